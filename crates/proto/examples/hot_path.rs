//! What a 4 KiB READ and a 4 KiB WRITE cost in the core, to be counted in instructions:
//!
//! `valgrind --tool=callgrind --toggle-collect='*measured*' hot_path PART [LEVEL]`
//!
//! PART is `encode` (headers of 16,000 commands and as many Data-Out), `decode` (16,000 Data-In in a stream
//! and what each header is), or `submit-to-done` (16,000 commands through a session, 32 at once). LEVEL is
//! the error recovery level of the session, 0 unless given.
//! Only the functions whose names begin with `measured` are counted: what this program does in the
//! target's place is not in them. `cargo xtask test` holds the counts to those in `instructions.txt`.

use std::hint::black_box;
use std::io::IoSlice;
use std::time::{Duration, Instant};

use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::{DataDirection, DataOut, FromTarget, Pdu, ScsiCommand, TaskAttribute};
use hawser_proto::serial::Serial;
use hawser_proto::session::{
    Command, Direction, Established, Event, Hold, MAX_SEGMENTS, Session, SessionConfig,
    TaskBuffers, TaskId, Transmit,
};
use hawser_proto::stream::{Item, Receiver};

const LENGTH: u32 = 4096;
const DEPTH: u32 = 32;
const ROUNDS: u32 = 500;

struct Buffers(Vec<Vec<u8>>);

impl TaskBuffers for Buffers {
    fn outgoing(&self, slot: u16) -> &[u8] {
        &self.0[usize::from(slot)]
    }
    fn incoming(&mut self, slot: u16) -> &mut [u8] {
        &mut self.0[usize::from(slot)]
    }
}

fn main() {
    let mut words = std::env::args().skip(1);
    let part = words.next();
    let level: u8 = words
        .next()
        .map_or(0, |level| level.parse().expect("a level"));
    let done = match part.as_deref() {
        Some("encode") => encode(),
        Some("decode") => decode(),
        Some("submit-to-done") => submit_to_done(level),
        _ => panic!("say encode, decode or submit-to-done"),
    };
    assert_eq!(done, DEPTH * ROUNDS);
}

/// The headers of commands and of Data-Out.
fn encode() -> u32 {
    let mut out = Vec::with_capacity(2 * 48 * DEPTH as usize);
    let mut done = 0;
    for _ in 0..ROUNDS {
        out.clear();
        measured_encoding(&mut out);
        done += u32::try_from(black_box(&out).len() / 96).expect("fits");
    }
    done
}

#[inline(never)]
fn measured_encoding(out: &mut Vec<u8>) {
    for itt in 0..DEPTH {
        let direction = DataDirection::Write;
        let mut command = ScsiCommand::new(itt, [0; 8], direction, LENGTH, black_box([0; 16]));
        command.cmd_sn = itt.into();
        command.exp_stat_sn = 7.into();
        out.extend_from_slice(command.as_bhs());
        let mut data = DataOut::unsolicited(black_box(itt));
        data.set_data_segment_length(LENGTH);
        data.exp_stat_sn = 7.into();
        data.set_final(true);
        out.extend_from_slice(data.as_bhs());
    }
}

/// Data-In, in a stream that is read in one piece.
fn decode() -> u32 {
    let mut input = Vec::new();
    for number in 0..DEPTH {
        answer(&mut input, true, number, number + 1, number + 1);
    }
    let mut receiver = Receiver::new(LENGTH);
    (0..ROUNDS)
        .map(|_| measured_decoding(&mut receiver, black_box(&input)))
        .sum()
}

#[inline(never)]
fn measured_decoding(receiver: &mut Receiver, mut input: &[u8]) -> u32 {
    let mut done = 0;
    while let Some(item) = receiver.next(&mut input).expect("no offence") {
        match item {
            Item::Header(bhs) => {
                black_box(FromTarget::parse(&bhs).expect("well-formed"));
            }
            Item::Data { bytes, .. } => {
                black_box(bytes);
            }
            Item::End { digest_ok } => done += u32::from(digest_ok),
        }
    }
    done
}

/// Commands through a session whose target answers at once.
fn submit_to_done(level: u8) -> u32 {
    let now = Instant::now();
    let mut session = logged_in(level, now);
    let mut buffers = Buffers(vec![vec![0; LENGTH as usize]; 512]);
    let (mut stat_sn, mut cmd_sn) = (1_u32, 1_u32);
    let mut ids = Vec::with_capacity(DEPTH as usize);
    let (mut input, mut batch) = (Vec::new(), Transmit::default());
    let mut done = 0;
    for round in 0..ROUNDS {
        let reads = round % 2 == 0;
        ids.clear();
        measured_submitting(&mut session, now, reads, &mut ids);
        input.clear();
        for id in &ids {
            cmd_sn += 1;
            answer(&mut input, reads, id.itt(), stat_sn, cmd_sn);
            stat_sn += 1;
        }
        measured_sending(&mut session, now, &buffers, &mut batch);
        done += measured_receiving(&mut session, now, &input, &mut buffers);
    }
    done
}

/// A session that may send.
fn logged_in(level: u8, now: Instant) -> Session {
    let config = SessionConfig {
        ping_interval: Duration::ZERO,
        hold: Hold::Forever,
        ..SessionConfig::default()
    };
    let mut session = Session::new(config, now);
    session.handle_timeout(now);
    while session.poll_action().is_some() {}
    let login = Established {
        cid: 0,
        tpgt: Some(1),
        parameters: Parameters {
            error_recovery_level: level,
            ..Parameters::default()
        },
        cmd_sn: Serial(1),
        exp_cmd_sn: Serial(1),
        max_cmd_sn: Serial(DEPTH),
        exp_stat_sn: 1,
        ..established()
    };
    session.handle_logged_in(now, login);
    session.open_gate(now);
    session
}

#[inline(never)]
fn measured_submitting(session: &mut Session, now: Instant, reads: bool, ids: &mut Vec<TaskId>) {
    for _ in 0..DEPTH {
        ids.push(session.submit(now, command(reads), 1).expect("room"));
    }
}

#[inline(never)]
fn measured_sending(session: &mut Session, now: Instant, buffers: &Buffers, batch: &mut Transmit) {
    while session.poll_transmit(now, 0, buffers, batch) {
        while !batch.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
            let count = batch.slices(buffers, &mut slices).expect("their buffers");
            let written = slices[..count].iter().map(|slice| slice.len()).sum();
            batch.advance(written);
        }
        session.transmit_done(batch);
    }
}

#[inline(never)]
fn measured_receiving(
    session: &mut Session,
    now: Instant,
    input: &[u8],
    buffers: &mut Buffers,
) -> u32 {
    session
        .handle_input(now, 0, input, buffers)
        .expect("no offence");
    let mut done = 0;
    while let Some(event) = session.poll_event() {
        done += u32::from(matches!(event, Event::Done(_)));
    }
    done
}

/// A READ or a WRITE of 4 KiB.
fn command(reads: bool) -> Command {
    let direction = match reads {
        true => Direction::Read(LENGTH),
        false => Direction::Write(LENGTH),
    };
    Command {
        cdb: [0; 16],
        lun: [0; 8],
        direction,
        attribute: TaskAttribute::Simple,
        replay: true,
        urgent: false,
        timeout: Duration::from_secs(60),
    }
}

/// The fields that this program does not care for.
fn established() -> Established {
    Established::default()
}

/// A Data-In with status, or a SCSI Response (RFC 7143 §11.4, §11.7).
fn answer(input: &mut Vec<u8>, reads: bool, itt: u32, stat_sn: u32, exp_cmd_sn: u32) {
    let mut header = [0; 48];
    header[..2].copy_from_slice(if reads { &[0x25, 0x81] } else { &[0x21, 0x80] });
    header[16..20].copy_from_slice(&itt.to_be_bytes());
    header[20..24].copy_from_slice(&[0xff; 4]);
    header[24..28].copy_from_slice(&stat_sn.to_be_bytes());
    header[28..32].copy_from_slice(&exp_cmd_sn.to_be_bytes());
    header[32..36].copy_from_slice(&(exp_cmd_sn + DEPTH - 1).to_be_bytes());
    if reads {
        header[5..8].copy_from_slice(&LENGTH.to_be_bytes()[1..]);
    }
    input.extend_from_slice(&header);
    if reads {
        input.resize(input.len() + LENGTH as usize, 7);
    }
}
