//! Data-In, residuals, status and sense (rfc7143-initiator.md §8, §8.1).

use super::bench::*;
use super::wire::*;
use crate::pdu::{Malformed, TaskAttribute};
use crate::session::{Answer, ConnectionError, Direction, Outcome, PeerMisbehaved, Residual};

fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Completed(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ffp_16_1_1_the_fields_of_a_command() {
    let mut bench = Bench::plain();
    let mut read = command(Direction::Read(0x0102_0304));
    (read.lun, read.attribute) = (LUN_3, TaskAttribute::Ordered);
    let cdb = read.cdb;
    let id = bench.session.submit(bench.now, read, 1).unwrap();
    bench.settle();
    let sent = bench.take(COMMAND);
    // F, R, ORDERED.
    assert_eq!(sent.header[..4], [COMMAND, 0xc2, 0, 0]);
    assert_eq!(sent.get_lun(), LUN_3);
    assert_eq!(sent.get_itt(), id.itt());
    assert_eq!(sent.word20(), 0x0102_0304);
    assert_eq!((sent.cmd_sn(), sent.exp_stat_sn()), (0x1000, 0x4000));
    assert_eq!(sent.header[32..], cdb);
    assert!(sent.data.is_empty());
    for (attribute, code) in [
        (TaskAttribute::Untagged, 0),
        (TaskAttribute::Simple, 1),
        (TaskAttribute::HeadOfQueue, 3),
        (TaskAttribute::Aca, 4),
    ] {
        let mut none = command(Direction::None);
        none.attribute = attribute;
        bench.submit(none);
        assert_eq!(bench.take(COMMAND).header[1], FINAL | code);
    }
}

#[test]
fn ffp_10_1_status_in_the_last_data_in_ends_the_command() {
    for status in [0x00, 0x04, 0x10, 0x14] {
        let mut bench = Bench::plain();
        let id = bench.read(8);
        bench.say(data_in(id.itt(), 0, 0, &[1, 2, 3, 4]));
        bench.nothing_ended();
        bench.say(with_status(data_in(id.itt(), 1, 4, &[5, 6, 7, 8])).byte(3, status));
        let ended = bench.end();
        assert_eq!(ended.buffer, [1, 2, 3, 4, 5, 6, 7, 8]);
        let expected = Answer {
            status,
            transferred: 8,
            residual: Residual::None,
            sense: Box::default(),
        };
        assert_eq!(answer(ended.outcome), expected);
        bench.read(0);
        assert_eq!(bench.take_all().len(), 2, "new commands follow");
    }
}

#[test]
fn ffp_10_2_the_a_bit_is_ignored_at_level_0() {
    let mut bench = Bench::plain();
    let id = bench.read(8);
    bench.take(COMMAND);
    bench.say(data_in(id.itt(), 0, 0, &[1; 4]).byte(1, 0x40).put32(20, 77));
    bench.silent();
    bench.say(with_status(data_in(id.itt(), 1, 4, &[1; 4])));
    assert!(matches!(bench.outcome(), Outcome::Completed(_)));
}

#[test]
fn ffp_11_1_2_an_empty_data_in_is_taken() {
    let mut bench = Bench::plain();
    let id = bench.read(4);
    bench.say(data_in(id.itt(), 0, 0, &[]));
    bench.say(data_in(id.itt(), 1, 0, &[1; 4]));
    bench.say(with_status(data_in(id.itt(), 2, 4, &[])));
    assert_eq!(bench.end().buffer, [1; 4]);
}

#[test]
fn data_sn_goes_on_across_sequences() {
    let mut bench = Bench::with(|p| p.max_burst = 512);
    let id = bench.read(1536);
    for sn in 0..3 {
        bench.say(data_in(id.itt(), sn, sn * 512, &[sn as u8; 512]).byte(1, FINAL));
    }
    bench.say(response(id.itt(), 0).put32(36, 3));
    let ended = bench.end();
    assert_eq!(answer(ended.outcome).transferred, 1536);
    assert_eq!(ended.buffer[512..1024], [1; 512]);
}

#[test]
fn sup_x04_data_outside_the_buffer() {
    for (offset, length) in [(0, 9), (8, 1), (5, 4), (u32::MAX, 4), (9, 0)] {
        let mut bench = Bench::with(|p| p.data_pdu_in_order = false);
        let id = bench.read(8);
        let expected = PeerMisbehaved::DataOutOfBounds {
            offset,
            length: length as u32,
            expected: 8,
        };
        let pdu = data_in(id.itt(), 0, offset, &vec![1; length]);
        assert_eq!(bench.misbehave(pdu), expected);
    }
}

#[test]
fn sup_x04_holes_and_overlaps_where_order_was_agreed() {
    for got in [0, 3, 5] {
        let mut bench = Bench::plain();
        let id = bench.read(12);
        bench.say(data_in(id.itt(), 0, 0, &[1; 4]));
        let expected = PeerMisbehaved::DataOutOfOrder { got, expected: 4 };
        assert_eq!(
            bench.misbehave(data_in(id.itt(), 1, got, &[1; 4])),
            expected
        );
    }
}

#[test]
fn sup_x04_any_order_where_none_was_agreed() {
    for (pdu_in_order, sequence_in_order) in [(false, true), (true, false), (false, false)] {
        let mut bench = Bench::with(|p| {
            p.data_pdu_in_order = pdu_in_order;
            p.data_sequence_in_order = sequence_in_order;
        });
        let id = bench.read(6);
        bench.say(data_in(id.itt(), 0, 4, &[5, 6]));
        bench.say(data_in(id.itt(), 1, 0, &[1, 2]));
        bench.say(with_status(data_in(id.itt(), 2, 2, &[3, 4])));
        let ended = bench.end();
        assert_eq!(ended.buffer, [1, 2, 3, 4, 5, 6]);
        assert_eq!(answer(ended.outcome).transferred, 6);
    }
}

#[test]
fn overlapping_data_does_not_count_beyond_the_buffer() {
    let mut bench = Bench::with(|p| p.data_pdu_in_order = false);
    let id = bench.read(4);
    bench.say(data_in(id.itt(), 0, 0, &[1; 4]));
    bench.say(with_status(data_in(id.itt(), 1, 0, &[2; 4])));
    assert_eq!(answer(bench.outcome()).transferred, 4);
}

/// What was left out between two pieces was never read, whichever PDU carries the status.
#[test]
fn sup_x04_a_hole_where_no_order_was_agreed() {
    let begun = || {
        let mut bench = Bench::with(|p| p.data_sequence_in_order = false);
        let id = bench.read(8);
        bench.say(data_in(id.itt(), 0, 0, &[1; 2]));
        (bench, id.itt())
    };
    let (mut bench, itt) = begun();
    let last = with_status(data_in(itt, 1, 4, &[1; 4]));
    assert_eq!(bench.misbehave(last), PeerMisbehaved::DataHole);

    let (mut bench, itt) = begun();
    // The same bytes once more do not make up for those that are missing.
    bench.say(data_in(itt, 1, 4, &[1; 4]));
    bench.say(data_in(itt, 2, 6, &[1; 2]));
    let end = response(itt, 0).put32(36, 3);
    assert_eq!(bench.misbehave(end), PeerMisbehaved::DataHole);

    // A command that failed may have moved anything.
    let (mut bench, itt) = begun();
    bench.say(data_in(itt, 1, 4, &[1; 4]));
    let sense = response(itt, 2).put32(36, 2).data(&[0, 2, 0x70, 0]);
    bench.say(sense);
    assert_eq!(answer(bench.outcome()).status, 2);
}

#[test]
fn sup_x04_a_gap_in_data_sn_is_lost_data() {
    for got in [0, 2, u32::MAX] {
        let mut bench = Bench::plain();
        let id = bench.read(8);
        bench.say(data_in(id.itt(), 0, 0, &[1; 4]));
        let expected = PeerMisbehaved::DataSnGap { got, expected: 1 };
        assert_eq!(
            bench.misbehave(data_in(id.itt(), got, 4, &[1; 4])),
            expected
        );
    }
}

#[test]
fn sup_x05_status_needs_the_final_bit() {
    let mut bench = Bench::plain();
    let id = bench.read(4);
    let error = bench.offend(data_in(id.itt(), 0, 0, &[1; 4]).byte(1, 0x01));
    assert_eq!(
        error,
        ConnectionError::Malformed(Malformed::StatusWithoutFinal)
    );
}

#[test]
fn sup_x05_check_condition_in_a_data_in_is_refused() {
    let mut bench = Bench::plain();
    let id = bench.read(4);
    let pdu = with_status(data_in(id.itt(), 0, 0, &[1; 4])).byte(3, 0x02);
    assert_eq!(bench.misbehave(pdu), PeerMisbehaved::CheckConditionInData);
}

#[test]
fn sup_x05_data_after_the_status_is_thrown_away() {
    let mut bench = Bench::plain();
    let id = bench.read(4);
    bench.say(response(id.itt(), 0));
    bench.outcome();
    // Another task has the slot now.
    let next = bench.read(4);
    assert_eq!(next.slot(), id.slot());
    bench.say(data_in(id.itt(), 0, 0, &[9; 4]));
    bench.say(with_status(data_in(next.itt(), 0, 0, &[1; 4])));
    assert_eq!(bench.end().buffer, [1; 4]);
}

#[test]
fn data_for_a_command_that_reads_nothing_is_refused() {
    for direction in [Direction::None, Direction::Write(4)] {
        for data in [&[][..], &[1; 4]] {
            let mut bench = Bench::plain();
            let itt = bench.submit(command(direction)).itt();
            let pdu = with_status(data_in(itt, 0, 0, data));
            assert_eq!(bench.misbehave(pdu), PeerMisbehaved::WrongTask(itt));
        }
    }
}

#[test]
fn the_response_may_not_count_more_data_than_came() {
    let mut bench = Bench::plain();
    let id = bench.read(8);
    bench.say(data_in(id.itt(), 0, 0, &[1; 8]));
    let expected = PeerMisbehaved::DataCountWrong {
        counted: 2,
        received: 1,
    };
    assert_eq!(
        bench.misbehave(response(id.itt(), 0).put32(36, 2)),
        expected
    );
    // A write may be counted as the target likes (RFC 3720 counted R2Ts).
    let mut bench = Bench::plain();
    let id = bench.write(8);
    bench.say(response(id.itt(), 0).put32(36, 1));
    assert_eq!(answer(bench.outcome()).transferred, 8);
}

#[test]
fn sup_x06_and_sup_x11_residuals_trim_what_was_transferred() {
    // Flags, residual, GOOD or CHECK CONDITION: residual and bytes of a read of 8 that got 8.
    let cases = [
        (0x00, 5, Residual::None, 8),
        (0x02, 5, Residual::Underflow(5), 3),
        (0x02, 8, Residual::Underflow(8), 0),
        (0x02, 900, Residual::Underflow(900), 0),
        (0x04, 5, Residual::Overflow(5), 8),
    ];
    for (flags, count, residual, transferred) in cases {
        for status in [0x00, 0x02] {
            let mut bench = Bench::plain();
            let id = bench.read(8);
            bench.say(data_in(id.itt(), 0, 0, &[1; 8]));
            let pdu = response(id.itt(), status)
                .byte(1, FINAL | flags)
                .put32(36, 1)
                .put32(44, count)
                .data(&[0, 4, 0x70, 0, 5, 0]);
            bench.say(pdu);
            let answer = answer(bench.outcome());
            assert_eq!(
                (answer.residual, answer.transferred),
                (residual, transferred)
            );
            assert_eq!(answer.status, status);
        }
        let mut bench = Bench::plain();
        let id = bench.read(8);
        let pdu = with_status(data_in(id.itt(), 0, 0, &[1; 8]));
        bench.say(pdu.byte(1, FINAL | 0x01 | flags).put32(44, count));
        let answer = answer(bench.outcome());
        assert_eq!(
            (answer.residual, answer.transferred),
            (residual, transferred)
        );
    }
}

#[test]
fn sup_x06_a_write_counts_by_the_residual() {
    for (flags, residual, transferred) in [
        (0x02, Residual::Underflow(100), 412),
        (0x04, Residual::Overflow(100), 512),
        (0x00, Residual::None, 512),
    ] {
        let mut bench = Bench::plain();
        let id = bench.write(512);
        bench.say(response(id.itt(), 0).byte(1, FINAL | flags).put32(44, 100));
        let answer = answer(bench.outcome());
        assert_eq!(
            (answer.residual, answer.transferred),
            (residual, transferred)
        );
    }
}

#[test]
fn sup_x06_both_residual_flags_are_a_format_error() {
    let mut bench = Bench::plain();
    let id = bench.read(8);
    let error = bench.offend(response(id.itt(), 0).byte(1, FINAL | 0x06));
    assert!(matches!(
        error,
        ConnectionError::Malformed(Malformed::OverflowAndUnderflow(_))
    ));
}

#[test]
fn sup_x11_bytes_that_did_not_come_are_not_counted_and_not_touched() {
    let mut bench = Bench::plain();
    let id = bench.read(8);
    bench.say(data_in(id.itt(), 0, 0, &[1; 3]));
    bench.say(response(id.itt(), 0).byte(1, FINAL | 0x02).put32(44, 5));
    let ended = bench.end();
    assert_eq!(ended.buffer, [1, 1, 1, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa]);
    assert_eq!(answer(ended.outcome).transferred, 3);
    // The target forgot to say that it sent less.
    let id = bench.read(8);
    bench.say(data_in(id.itt(), 0, 0, &[1; 3]));
    bench.say(response(id.itt(), 0));
    assert_eq!(answer(bench.outcome()).transferred, 3);
}

#[test]
fn sup_x07_the_forms_of_sense_data() {
    let fixed = [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0];
    let descriptor = [0x72, 5, 0x24, 0, 0, 0, 0, 0];
    let segment = |length: u16, bytes: &[u8]| [&length.to_be_bytes()[..], bytes].concat();
    let cases: [(Vec<u8>, &[u8]); 6] = [
        (segment(14, &fixed), &fixed),
        (segment(8, &descriptor), &descriptor),
        // Longer than the segment: cut.
        (segment(200, &fixed), &fixed),
        // Shorter: what follows is response data.
        (segment(8, &fixed), &fixed[..8]),
        (segment(0, &[]), &[]),
        (vec![7], &[]),
    ];
    for (data, sense) in cases {
        let mut bench = Bench::plain();
        let id = bench.read(8);
        bench.say(response(id.itt(), 0x02).data(&data));
        let answer = answer(bench.outcome());
        assert_eq!((answer.status, &*answer.sense), (0x02, sense));
        assert_eq!(answer.transferred, 0);
    }
}

#[test]
fn sup_x07_check_condition_without_a_data_segment_is_a_format_error() {
    let mut bench = Bench::plain();
    let id = bench.read(8);
    assert_eq!(
        bench.misbehave(response(id.itt(), 0x02)),
        PeerMisbehaved::NoSense
    );
}

#[test]
fn ffp_16_4_1_and_16_4_3_and_16_4_4_iscsi_sense_reaches_the_caller() {
    for (asc, ascq) in [(0x47, 0x05), (0x0c, 0x0c), (0x0c, 0x0d)] {
        let mut bench = Bench::plain();
        let id = bench.write(8);
        let sense = [0x70, 0, 0x0b, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq];
        bench.say(response(id.itt(), 0x02).data(&[&[0, 14], &sense[..]].concat()));
        let answer = answer(bench.outcome());
        assert_eq!((answer.status, &*answer.sense), (0x02, &sense[..]));
        bench.take(COMMAND);
        bench.silent();
    }
}

#[test]
fn sup_x08_a_response_code_other_than_0_is_no_scsi_status() {
    for code in [0x01, 0x80, 0xff] {
        let mut bench = Bench::plain();
        let id = bench.read(8);
        // Status and flags are to be ignored: both residual flags would be a format error.
        bench.say(response(id.itt(), 0x02).byte(1, FINAL | 0x06).byte(2, code));
        assert_eq!(bench.outcome(), Outcome::TargetFailure { response: code });
    }
    let mut bench = Bench::plain();
    let id = bench.read(8);
    let error = bench.offend(response(id.itt(), 0).byte(2, 0x02));
    let expected = Malformed::ReservedServiceResponse(2);
    assert_eq!(error, ConnectionError::Malformed(expected));
}

#[test]
fn sup_x09_and_ffp_16_4_5_and_16_4_6_other_statuses_reach_the_caller() {
    // BUSY, RESERVATION CONFLICT, TASK SET FULL, ACA ACTIVE, TASK ABORTED.
    for status in [0x08, 0x18, 0x28, 0x30, 0x40] {
        let mut bench = Bench::plain();
        let id = bench.read(8);
        bench.take(COMMAND);
        bench.say(response(id.itt(), status));
        assert_eq!(answer(bench.outcome()).status, status);
        bench.silent();
    }
}

#[test]
fn payload_may_be_read_straight_into_its_place() {
    for digest in [false, true] {
        let mut bench = Bench::with(|p| p.data_digest = digest);
        let id = bench.read(1000);
        let data: Vec<u8> = (0..1000).map(|n| (n % 251) as u8).collect();
        let pdu = bench.number(with_status(data_in(id.itt(), 0, 0, &data)));
        let wire = pdu.to_wire(false, digest, false);
        // The header and a little payload came by an ordinary read.
        bench.feed(&wire[..60]).unwrap();
        let place = bench.session.direct_read(0).unwrap();
        assert_eq!((place.slot, place.offset, place.len), (id.slot(), 12, 988));
        for (from, to) in [(60, 300), (300, 1048)] {
            let place = bench.session.direct_read(0).unwrap();
            let buffer = bench.buffers.0.get_mut(&place.slot).unwrap();
            buffer[place.offset..place.offset + to - from].copy_from_slice(&wire[from..to]);
            bench
                .session
                .handle_direct(0, to - from, &mut bench.buffers);
        }
        assert!(bench.session.direct_read(0).is_none());
        bench.feed(&wire[1048..]).unwrap();
        assert_eq!(bench.end().buffer, data);
    }
}
