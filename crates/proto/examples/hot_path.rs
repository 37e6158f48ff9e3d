//! What a 4 KiB READ and a 4 KiB WRITE cost in the session core, to be counted in instructions:
//!
//! `valgrind --tool=callgrind target/release/examples/hot_path [LEVEL]`
//!
//! LEVEL is the error recovery level, 0 unless given.
//! The target's PDUs are made beforehand as far as they can be, so that most of the count is the core's.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::TaskAttribute;
use hawser_proto::serial::Serial;
use hawser_proto::session::{
    Command, Direction, Established, Event, Hold, MAX_SEGMENTS, Session, SessionConfig,
    TaskBuffers, Transmit,
};

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
    let level = std::env::args().nth(1);
    let level: u8 = level.map_or(0, |level| level.parse().expect("a level"));
    let now = Instant::now();
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
    let mut buffers = Buffers(vec![vec![0; LENGTH as usize]; 512]);
    let (mut stat_sn, mut cmd_sn) = (1_u32, 1_u32);
    let mut input = Vec::new();
    let mut batch = Transmit::default();
    let mut done = 0;
    for round in 0..ROUNDS {
        input.clear();
        let reads = round % 2 == 0;
        for _ in 0..DEPTH {
            let id = session.submit(now, command(reads), 1).unwrap();
            cmd_sn += 1;
            answer(&mut input, reads, id.itt(), stat_sn, cmd_sn);
            stat_sn += 1;
        }
        while session.poll_transmit(now, 0, &buffers, &mut batch) {
            while !batch.is_empty() {
                let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
                let count = batch.slices(&buffers, &mut slices).unwrap();
                let written = slices[..count].iter().map(|slice| slice.len()).sum();
                batch.advance(written);
            }
            session.transmit_done(&mut batch);
        }
        session.handle_input(now, 0, &input, &mut buffers).unwrap();
        while let Some(event) = session.poll_event() {
            done += u32::from(matches!(event, Event::Done(_)));
        }
    }
    assert_eq!(done, DEPTH * ROUNDS);
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
