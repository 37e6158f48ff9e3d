//! Recovery within a connection at error recovery level 1 (rfc7143-initiator.md §13; RFC 7143 §7.8, §7.9,
//! §11.16).

use std::time::Duration;

use super::bench::*;
use super::many::*;
use super::wire::*;
use crate::session::{Answer, ConnectionError, Direction, Event, Outcome};

/// A session of one connection at level 1, whose target loses things.
fn recovering() -> Many {
    let mut many = Many::up(1, 1);
    many.check_stat_sn = false;
    many
}

/// A SNACK with its fields: type, ITT, TTT, BegRun, RunLength, ExpStatSN.
fn snack(many: &mut Many) -> (u8, u32, u32, u32, u32, u32) {
    let pdu = many.take(0, SNACK);
    assert_eq!(pdu.header[0], SNACK, "never immediate, no CmdSN");
    assert_eq!(pdu.header[1] & 0xf0, 0x80);
    assert!(pdu.data.is_empty());
    let kind = pdu.header[1] & 0x0f;
    let (begin, length) = (pdu.get32(40), pdu.get32(44));
    (
        kind,
        pdu.get_itt(),
        pdu.word20(),
        begin,
        length,
        pdu.exp_stat_sn(),
    )
}

fn good(many: &mut Many) -> Answer {
    match many.outcome() {
        Outcome::Completed(answer) if answer.status == 0 => answer,
        other => panic!("{other:?}"),
    }
}

/// A read of four PDUs of four bytes, taken by the target.
fn read_of_four(many: &mut Many) -> u32 {
    let id = many.read(16);
    many.take(0, COMMAND);
    id.itt()
}

fn piece(itt: u32, number: u32) -> Pdu {
    data_in(itt, number, 4 * number, &[number as u8 + 1; 4])
}

/// What all four pieces make.
const WHOLE: [u8; 16] = [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4];

#[test]
fn ffp_13_1_a_missing_data_in_is_asked_for_and_its_status_not_acknowledged_before() {
    let mut many = recovering();
    let itt = read_of_four(&mut many);
    let stat_sn = many.wire(0).stat_sn;
    for number in [0, 1, 3] {
        many.say(0, piece(itt, number));
    }
    assert_eq!(snack(&mut many), (0, itt, NONE, 2, 1, stat_sn));
    many.say(0, response(itt, 0).put32(36, 4));
    many.nothing_ended();
    // NUM-15: what is sent now does not acknowledge it.
    many.read(0);
    assert_eq!(many.take(0, COMMAND).exp_stat_sn(), stat_sn);
    many.say(0, piece(itt, 2));
    let ended = many.ended.pop_front().unwrap();
    assert_eq!(ended.buffer, WHOLE);
    assert!(matches!(ended.outcome, Outcome::Completed(answer) if answer.transferred == 16));
    many.read(0);
    assert_eq!(many.take(0, COMMAND).exp_stat_sn(), stat_sn + 1);
    many.never_lost();
}

#[test]
fn err_03_a_data_in_with_a_wrong_digest_is_asked_for_again() {
    for damaged in 0..4 {
        let mut many = Many::with(with_connections(1), |p| {
            (p.error_recovery_level, p.data_digest) = (1, true);
        });
        many.check_stat_sn = false;
        let itt = read_of_four(&mut many);
        for number in 0..4 {
            let mut pdu = piece(itt, number);
            if number == 3 {
                pdu = with_status(pdu);
            }
            let pdu = many.number(0, pdu);
            many.say_raw(0, &pdu, number == damaged).unwrap();
        }
        let (kind, tag, _, begin, length, exp_stat_sn) = snack(&mut many);
        // The last one is all from there on.
        let count = u32::from(damaged != 3);
        assert_eq!((kind, tag, begin, length), (0, itt, damaged, count));
        many.nothing_ended();
        let mut again = piece(itt, damaged).put32(24, exp_stat_sn);
        if damaged == 3 {
            again = with_status(again);
        }
        let again = again
            .put32(28, many.exp_cmd_sn)
            .put32(32, many.exp_cmd_sn + 9);
        many.say_raw(0, &again, false).unwrap();
        let ended = many.ended.pop_front().unwrap();
        assert_eq!(ended.buffer, WHOLE, "damaged: {damaged}");
        assert!(matches!(ended.outcome, Outcome::Completed(a) if a.transferred == 16));
    }
}

#[test]
fn several_runs_are_asked_for_one_by_one_and_duplicates_are_dropped() {
    let mut many = recovering();
    let id = many.read(28);
    many.take(0, COMMAND);
    let itt = id.itt();
    for number in [1, 2, 5] {
        many.say(0, piece(itt, number));
    }
    let (_, _, _, begin, length, _) = snack(&mut many);
    assert_eq!((begin, length), (0, 1));
    let (_, _, _, begin, length, _) = snack(&mut many);
    assert_eq!((begin, length), (3, 2));
    many.silent(0);
    for number in [0, 2, 3, 3, 4, 5] {
        // One that came before is not written again.
        many.say(
            0,
            if number == 2 {
                data_in(itt, 2, 8, &[9; 4])
            } else {
                piece(itt, number)
            },
        );
    }
    many.say(0, with_status(piece(itt, 6)));
    let ended = many.ended.pop_front().unwrap();
    assert_eq!(ended.buffer[8..12], [3; 4]);
    assert_eq!(ended.buffer[24..28], [7; 4]);
    assert!(matches!(ended.outcome, Outcome::Completed(answer) if answer.transferred == 28));
}

#[test]
fn data_that_the_status_counts_and_that_did_not_come_is_asked_for() {
    let mut many = recovering();
    let itt = read_of_four(&mut many);
    many.say(0, piece(itt, 0));
    many.say(0, response(itt, 0).put32(36, 4));
    let (kind, _, _, begin, length, _) = snack(&mut many);
    assert_eq!(
        (kind, begin, length),
        (0, 1, 0),
        "RSP-07: all from there on"
    );
    many.nothing_ended();
    for number in 1..4 {
        many.say(0, piece(itt, number));
    }
    assert_eq!(many.ended[0].buffer, WHOLE);
    good(&mut many);
}

#[test]
fn err_04_a_missing_status_is_asked_for_and_later_ones_wait_in_their_order() {
    let mut many = recovering();
    let ids: Vec<_> = (0..4).map(|_| many.read(0)).collect();
    many.take_all(0);
    let first = many.wire(0).stat_sn;
    let pdus: Vec<_> = ids
        .iter()
        .map(|id| many.number(0, response(id.itt(), 0)))
        .collect();
    for at in [2, 3] {
        many.say_raw(0, &pdus[at], false).unwrap();
    }
    assert_eq!(snack(&mut many), (1, NONE, NONE, first, 2, first));
    many.silent(0);
    many.nothing_ended();
    many.say_raw(0, &pdus[1], false).unwrap();
    many.nothing_ended();
    many.say_raw(0, &pdus[0], false).unwrap();
    assert_eq!(many.all_good(), [1, 2, 3, 4]);
    // What comes twice is no offence.
    many.say_raw(0, &pdus[2], false).unwrap();
    many.never_lost();
}

#[test]
fn err_04_a_status_with_a_wrong_digest_is_asked_for() {
    let mut many = Many::with(with_connections(1), |p| {
        (p.error_recovery_level, p.data_digest) = (1, true);
    });
    many.check_stat_sn = false;
    let id = many.read(0);
    many.take(0, COMMAND);
    let first = many.wire(0).stat_sn;
    let pdu = many.number(0, response(id.itt(), 2).data(&[0, 2, 0x70, 5]));
    many.say_raw(0, &pdu, true).unwrap();
    assert_eq!(snack(&mut many), (1, NONE, NONE, first, 1, first));
    many.say_raw(0, &pdu, false).unwrap();
    let Outcome::Completed(answer) = many.outcome() else {
        panic!();
    };
    assert_eq!((answer.status, &answer.sense[..]), (2, &[0x70, 5][..]));
}

#[test]
fn nop_06_a_stat_sn_that_is_only_told_shows_what_is_missing() {
    let mut many = recovering();
    let id = many.read(0);
    many.take(0, COMMAND);
    let first = many.wire(0).stat_sn;
    let lost = many.number(0, response(id.itt(), 0));
    many.say(0, nop_in(NONE));
    assert_eq!(snack(&mut many), (1, NONE, NONE, first, 1, first));
    many.say_raw(0, &lost, false).unwrap();
    good(&mut many);
    many.never_lost();
}

#[test]
fn ffp_13_2_and_10_2_the_a_bit_is_answered_with_its_tags() {
    let mut many = recovering();
    let itt = read_of_four(&mut many);
    many.say(0, piece(itt, 0));
    many.say(0, piece(itt, 1).byte(1, 0x40).lun(LUN_3).put32(20, 77));
    let pdu = many.take(0, SNACK);
    assert_eq!(pdu.header[1], 0x82);
    assert_eq!(
        (pdu.get_itt(), pdu.word20(), pdu.get_lun()),
        (NONE, 77, LUN_3)
    );
    assert_eq!(
        (pdu.get32(40), pdu.get32(44)),
        (2, 0),
        "next DataSN, no run"
    );
    // DAT-15: only once nothing before it is missing.
    many.say(0, piece(itt, 3).byte(1, 0x40).put32(20, 78));
    let (kind, ..) = snack(&mut many);
    assert_eq!(kind, 0);
    many.silent(0);
    many.say(0, piece(itt, 2));
    let (kind, _, ttt, begin, ..) = snack(&mut many);
    assert_eq!((kind, ttt, begin), (2, 78, 4));
}

#[test]
fn what_is_asked_for_in_vain_is_asked_for_again_and_then_the_task_is_aborted() {
    let mut many = recovering();
    let itt = read_of_four(&mut many);
    many.say(0, piece(itt, 1));
    for _ in 0..3 {
        let (_, _, _, begin, length, _) = snack(&mut many);
        assert_eq!((begin, length), (0, 1));
        many.silent(0);
        many.pass(9 * SECOND / 4);
    }
    let tmf = many.take(0, TMF);
    assert_eq!(tmf.word20(), itt);
    many.say(0, tmf_response(tmf.get_itt(), 0));
    // It may be carried out anew.
    let again = many.take(0, COMMAND);
    assert_ne!(again.get_itt(), itt);
    many.nothing_ended();
}

#[test]
fn a_status_that_is_never_sent_again_costs_the_connection() {
    let mut many = recovering();
    let id = many.read(0);
    many.take(0, COMMAND);
    let _lost = many.number(0, response(id.itt(), 0));
    many.say(0, nop_in(NONE));
    many.pass(8 * SECOND);
    let lost = Event::Lost(ConnectionError::NotSentAgain);
    assert!(many.events.contains(&lost), "{:?}", many.events);
}

#[test]
fn ffp_16_4_2_a_rejected_snack_is_no_success() {
    let mut many = recovering();
    let itt = read_of_four(&mut many);
    for number in [0, 2, 3] {
        many.say(0, piece(itt, number));
    }
    let pdu = many.take(0, SNACK);
    many.say(0, reject(3, &pdu));
    many.nothing_ended();
    many.say(0, response(itt, 0).put32(36, 4));
    let Outcome::Completed(answer) = many.outcome() else {
        panic!();
    };
    assert_eq!((answer.status, answer.transferred), (2, 0));
    // ERR-03: ABORTED COMMAND, protocol service CRC error.
    assert_eq!(
        (answer.sense[2], answer.sense[12], answer.sense[13]),
        (0x0b, 0x47, 0x05)
    );
    many.silent(0);
    many.never_lost();
}

#[test]
fn a_snack_that_is_rejected_behind_the_status_ends_the_command_too() {
    let mut many = recovering();
    let itt = read_of_four(&mut many);
    many.say(0, piece(itt, 1));
    many.say(0, response(itt, 0).put32(36, 2));
    let pdu = many.take(0, SNACK);
    many.nothing_ended();
    // The Reject's own status comes behind the one that waits for the data.
    many.say(0, reject(3, &pdu));
    let Outcome::Completed(answer) = many.outcome() else {
        panic!();
    };
    assert_eq!(answer.status, 2);
    many.read(0);
    let stat_sn = many.wire(0).stat_sn;
    assert_eq!(many.take(0, COMMAND).exp_stat_sn(), stat_sn);
    many.never_lost();
}

#[test]
fn a_missing_r2t_is_asked_for_and_one_that_asks_again_is_served() {
    let mut many = recovering();
    let id = many.write(100_000);
    many.take(0, COMMAND);
    let itt = id.itt();
    many.say(0, r2t(itt, 5, 1, 8192, 100));
    assert_eq!(
        many.take_all(0).iter().map(Pdu::opcode).collect::<Vec<_>>(),
        [SNACK, DATA_OUT]
    );
    many.say(0, r2t(itt, 6, 0, 8292, 100));
    assert_eq!(many.take(0, DATA_OUT).offset(), 8292);
    many.say(0, r2t(itt, 6, 0, 8292, 100));
    many.silent(0);
    // DAT-09: a recovery R2T has the next number and asks for data that was sent before.
    many.say(0, r2t(itt, 7, 2, 8192, 100));
    let data = many.take(0, DATA_OUT);
    assert_eq!((data.offset(), data.word20(), data.data_sn()), (8192, 7, 0));
    assert_eq!(data.data[0], pattern(1, 8192));
}

#[test]
fn rej_04_immediate_data_with_a_wrong_digest_brings_the_whole_command_again() {
    let mut many = recovering();
    let id = many.write(600);
    let command = many.take(0, COMMAND);
    // The target has not taken the number.
    many.exp_cmd_sn = command.cmd_sn();
    many.say(0, reject(2, &command));
    let again = many.take(0, COMMAND);
    assert_eq!(again.header[..28], command.header[..28]);
    assert_eq!(again.header[32..], command.header[32..]);
    assert_eq!((again.get_itt(), &again.data), (id.itt(), &command.data));
    many.say(0, response(id.itt(), 0));
    good(&mut many);
}

#[test]
fn ffp_4_1_a_command_that_the_target_has_lost_is_sent_again_as_it_was() {
    let mut many = recovering();
    many.wire(0).deaf = true;
    let lost = many.submit(once(Direction::Read(4)));
    many.wire(0).deaf = false;
    let behind = many.read(0);
    many.take(0, COMMAND);
    for _ in 0..4 {
        many.pass(3 * SECOND / 2);
        many.say(0, nop_in(NONE));
    }
    let again = many.take(0, COMMAND);
    assert_eq!((again.get_itt(), again.cmd_sn()), (lost.itt(), 0x1000));
    many.say(0, response(behind.itt(), 0));
    many.say(0, with_status(data_in(lost.itt(), 0, 0, &[1; 4])));
    many.all_good();
    many.never_lost();
}

#[test]
fn bounds_hold_against_a_target_that_is_ever_further_ahead() {
    let mut many = recovering();
    let mut error = None;
    for ahead in 1..1000 {
        let stat_sn = many.wire(0).stat_sn.wrapping_add(ahead);
        let pdu = async_message(255, [0; 3])
            .data(&[7; 1000])
            .put32(24, stat_sn);
        let pdu = pdu
            .put32(28, many.exp_cmd_sn)
            .put32(32, many.exp_cmd_sn + 9);
        if let Err(refused) = many.say_raw(0, &pdu, false) {
            error = Some(refused);
            break;
        }
    }
    assert_eq!(error, Some(ConnectionError::NotSentAgain));
    assert!(many.session.connections[0].held.len() <= 128);
    // Data in more pieces than are kept apart.
    let mut many = recovering();
    let id = many.read(4096);
    let mut refused = false;
    for number in 1..200 {
        let pdu = data_in(id.itt(), 2 * number, 8 * number, &[1; 4]);
        let pdu = many.number(0, pdu);
        refused |= many.say_raw(0, &pdu, false).is_err();
    }
    assert!(refused);
}

#[test]
fn acknowledgements_that_the_target_does_not_read_are_bounded() {
    let mut many = recovering();
    let id = many.read(4096);
    many.take(0, COMMAND);
    let acknowledge = |number: u32| data_in(id.itt(), number, 0, &[]).byte(1, 0x40);
    many.wire(0).blocked = true;
    for number in 0..5000 {
        many.say(0, acknowledge(number).put32(20, 7));
    }
    assert_eq!(many.session.connections[0].replies.len(), 1024);
    // With room again, the next one stands for those that were left out.
    many.wire(0).blocked = false;
    many.pass(Duration::ZERO);
    many.say(0, acknowledge(5000).put32(20, 8));
    let last = many.wire(0).sent.pop_back().unwrap();
    assert_eq!(
        (last.header[1], last.word20(), last.get32(40)),
        (0x82, 8, 5001)
    );
}

#[test]
fn a_target_that_closes_when_it_is_asked_is_not_asked_again() {
    let mut many = Many::up(1, 2);
    many.check_stat_sn = false;
    let itt = read_of_four(&mut many);
    many.say(0, piece(itt, 1));
    many.take(0, SNACK);
    assert_eq!(many.session.trusted_level(), 2);
    many.cut(0);
    assert_eq!(many.session.trusted_level(), 0);
    // Session recovery, as at level 0.
    assert!(
        many.events
            .iter()
            .any(|event| matches!(event, Event::Lost(_)))
    );
    many.nothing_ended();
}

#[test]
fn num_14_a_stat_sn_far_away_is_an_offence_at_any_level() {
    let mut many = recovering();
    let id = many.read(0);
    let far = many.wire(0).stat_sn.wrapping_add(1 << 31);
    let pdu = many.number(0, response(id.itt(), 0)).put32(24, far);
    let error = many.say_raw(0, &pdu, false).unwrap_err();
    assert!(matches!(error, ConnectionError::PeerMisbehaved(_)));
}
