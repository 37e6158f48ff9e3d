//! Additional headers: long CDBs and data both ways (rfc7143-initiator.md FRM-07, FRM-08, DAT-02, NUM-16).

use std::collections::HashMap;
use std::io::IoSlice;

use super::bench::*;
use super::wire::*;
use crate::parameters::Parameters;
use crate::session::{
    Answer, Command, Direction, Event, Extended, MAX_SEGMENTS, Outcome, Residual, TaskBuffers,
    TaskId, Transmit,
};

/// Each task has a buffer each way.
#[derive(Default)]
struct Both {
    out: HashMap<u16, Vec<u8>>,
    back: HashMap<u16, Vec<u8>>,
}

impl TaskBuffers for Both {
    fn outgoing(&self, slot: u16) -> &[u8] {
        self.out.get(&slot).map_or(&[], Vec::as_slice)
    }

    fn incoming(&mut self, slot: u16) -> &mut [u8] {
        self.back.get_mut(&slot).map_or(&mut [], Vec::as_mut_slice)
    }
}

/// What the session writes now.
fn written(bench: &mut Bench, buffers: &Both) -> Vec<u8> {
    let mut batch = Transmit::default();
    let mut bytes = Vec::new();
    while bench
        .session
        .poll_transmit(bench.now, 0, buffers, &mut batch)
    {
        let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
        let count = batch.slices(buffers, &mut slices).unwrap();
        slices[..count]
            .iter()
            .for_each(|slice| bytes.extend_from_slice(slice));
        bench.session.transmit_done(&mut batch);
    }
    bytes
}

/// A bidirectional command that writes and reads eight bytes, on its way.
fn bidirectional(bench: &mut Bench, buffers: &mut Both) -> TaskId {
    let extended = Extended::new(&[], Some(8)).unwrap();
    let write = command(Direction::Write(8));
    let submitted = bench.session.submit_extended(bench.now, write, extended, 1);
    let id = submitted.unwrap();
    buffers.out.insert(id.slot(), vec![7; 8]);
    buffers.back.insert(id.slot(), vec![0; 8]);
    bench.exp_cmd_sn += 1;
    id
}

fn hear(bench: &mut Bench, buffers: &mut Both, pdu: Pdu) {
    let bytes = bench.number(pdu).to_wire(false, false, false);
    bench
        .session
        .handle_input(bench.now, 0, &bytes, buffers)
        .unwrap();
}

fn answer(bench: &mut Bench) -> Answer {
    while let Some(event) = bench.session.poll_event() {
        if let Event::Done(done) = event {
            let Outcome::Completed(answer) = done.outcome else {
                panic!("{:?}", done.outcome);
            };
            return answer;
        }
    }
    panic!("nothing ended");
}

#[test]
fn frm_08_a_long_cdb_goes_on_in_an_additional_header() {
    for (rest, words) in [(1, 2), (4, 2), (16, 5), (244, 62)] {
        for header_digest in [false, true] {
            let mut bench = Bench::with(|p| p.header_digest = header_digest);
            let cdb_rest: Vec<u8> = (0..rest).map(|n| n as u8 ^ 0x5a).collect();
            let extended = Extended::new(&cdb_rest, None).unwrap();
            let none = command(Direction::None);
            let submitted = bench.session.submit_extended(bench.now, none, extended, 1);
            submitted.unwrap();
            let bytes = written(&mut bench, &Both::default());
            let ahs = usize::from(bytes[4]) * 4;
            assert_eq!(bytes[4], words, "TotalAHSLength");
            // AHSLength counts the reserved byte and the CDB's rest, not itself, the type and the pad.
            assert_eq!(bytes[48..50], (rest as u16 + 1).to_be_bytes());
            assert_eq!(bytes[50..52], [1, 0]);
            assert_eq!(bytes[52..52 + rest], cdb_rest);
            assert!(bytes[52 + rest..48 + ahs].iter().all(|&pad| pad == 0));
            if header_digest {
                assert_eq!(bytes[48 + ahs..], crc32c(&bytes[..48 + ahs]), "FRM-14");
            } else {
                assert_eq!(bytes.len(), 48 + ahs);
            }
        }
    }
    assert!(Extended::new(&[0; 245], None).is_none());
}

#[test]
fn dat_02_a_bidirectional_command_reads_and_writes() {
    let mut bench = Bench::with(|p: &mut Parameters| p.immediate_data = false);
    let mut buffers = Both::default();
    let id = bidirectional(&mut bench, &mut buffers);
    let bytes = written(&mut bench, &buffers);
    assert_eq!(bytes[1] & 0xe0, 0xe0, "F, R and W");
    assert_eq!(bytes[20..24], [0, 0, 0, 8], "the write length");
    assert_eq!(bytes[4], 2);
    assert_eq!(bytes[48..], [0, 5, 2, 0, 0, 0, 0, 8], "the read length");
    // NUM-16: Data-In and R2T share one counter.
    hear(&mut bench, &mut buffers, data_in(id.itt(), 0, 0, &[1; 4]));
    hear(&mut bench, &mut buffers, r2t(id.itt(), 9, 1, 0, 8));
    assert_eq!(written(&mut bench, &buffers)[48..], [7; 8]);
    hear(&mut bench, &mut buffers, data_in(id.itt(), 2, 4, &[2; 4]));
    // Both residuals, each of its own direction.
    let ended = response(id.itt(), 0)
        .byte(1, FINAL | 0x08 | 0x02)
        .put32(36, 2);
    hear(&mut bench, &mut buffers, ended.put32(40, 3).put32(44, 1));
    let answer = answer(&mut bench);
    assert_eq!(
        (answer.transferred, answer.residual),
        (5, Residual::Underflow(1))
    );
    assert_eq!(buffers.back[&id.slot()], [1, 1, 1, 1, 2, 2, 2, 2]);
}

#[test]
fn num_16_counters_of_their_own_and_r2ts_in_exp_data_sn_are_tolerated() {
    let mut bench = Bench::with(|p| p.immediate_data = false);
    let mut buffers = Both::default();
    let id = bidirectional(&mut bench, &mut buffers);
    written(&mut bench, &buffers);
    hear(&mut bench, &mut buffers, r2t(id.itt(), 9, 0, 0, 4));
    hear(&mut bench, &mut buffers, data_in(id.itt(), 0, 0, &[1; 4]));
    written(&mut bench, &buffers);
    hear(&mut bench, &mut buffers, r2t(id.itt(), 9, 1, 4, 4));
    hear(&mut bench, &mut buffers, data_in(id.itt(), 1, 4, &[2; 4]));
    hear(&mut bench, &mut buffers, response(id.itt(), 0).put32(36, 4));
    assert_eq!(answer(&mut bench).transferred, 8);
}

#[test]
fn a_replayed_command_keeps_its_additional_headers() {
    let mut bench = Bench::plain();
    let extended = Extended::new(&[1; 16], None).unwrap();
    let read = Command {
        direction: Direction::None,
        ..command(Direction::None)
    };
    bench
        .session
        .submit_extended(bench.now, read, extended, 1)
        .unwrap();
    let first = written(&mut bench, &Both::default());
    bench.exp_cmd_sn += 1;
    bench
        .session
        .handle_connection_lost(bench.now, 0, crate::session::ConnectionError::Requested);
    bench.settle();
    bench.pass(2 * SECOND);
    bench.connects.clear();
    let login = crate::session::Established {
        tpgt: Some(1),
        cmd_sn: crate::serial::Serial(5),
        exp_cmd_sn: crate::serial::Serial(5),
        max_cmd_sn: crate::serial::Serial(9),
        ..Default::default()
    };
    bench.session.handle_logged_in(bench.now, login);
    bench.session.open_gate(bench.now);
    let second = written(&mut bench, &Both::default());
    assert_eq!(first[4], 5);
    assert_eq!(first[48..], second[48..]);
}
