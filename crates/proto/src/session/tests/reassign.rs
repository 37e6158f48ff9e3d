//! Connection recovery at error recovery level 2 (rfc7143-initiator.md §13 ERR-09, TMF-06; RFC 7143 §7.1.4.3,
//! §7.2.2).

use super::bench::*;
use super::many::*;
use super::wire::*;
use crate::pdu::LoginStatus;
use crate::session::{ConnectionError, Direction, Event, LoginRole, Outcome};

/// TASK REASSIGN (RFC 7143 §11.5.1).
const REASSIGN: u8 = 8;

/// The recovery logout of a lost connection over another one, answered.
fn recovery_logout(many: &mut Many, lost: u16, over: u16, response: u8) {
    many.pass(2 * SECOND);
    let logout = many.take(over, LOGOUT);
    assert_eq!(
        logout.header[1] & 0x7f,
        2,
        "remove the connection for recovery"
    );
    assert_eq!(logout.word20() >> 16, u32::from(lost));
    many.say(over, logout_response(logout.get_itt(), response, 0, 20));
}

/// A TASK REASSIGN of a task: its own tag and ExpDataSN.
fn reassign(many: &mut Many, cid: u16, itt: u32) -> (u32, u32) {
    let tmf = many.take(cid, TMF);
    assert!(tmf.is_immediate(), "TMF-06");
    assert_eq!(tmf.header[1] & 0x7f, REASSIGN);
    assert_eq!(tmf.word20(), itt, "TMF-02");
    assert_eq!(tmf.get32(32), 0, "RefCmdSN is reserved");
    assert_eq!(tmf.get_lun(), LUN_0, "TMF-01: reserved");
    (tmf.get_itt(), tmf.get32(36))
}

/// Makes the target have taken all that it was sent.
fn acknowledge(many: &mut Many, cid: u16) {
    many.say(cid, nop_in(NONE));
    many.take_all(cid);
}

#[test]
fn ffp_19_5_tasks_of_a_lost_connection_are_reassigned_to_another() {
    let mut many = Many::up(2, 2);
    let ids = [
        many.read(16),
        many.read(0),
        many.submit(once(Direction::Write(4))),
    ];
    acknowledge(&mut many, 0);
    acknowledge(&mut many, 1);
    many.say(0, data_in(ids[0].itt(), 0, 0, &[1; 8]));
    many.cut(0);
    recovery_logout(&mut many, 0, 1, 0);
    // One after the other: the target has room for one.
    let (tag, exp_data_sn) = reassign(&mut many, 1, ids[0].itt());
    assert_eq!(exp_data_sn, 1, "the next data that did not come");
    many.silent(1);
    many.say(1, tmf_response(tag, 0));
    let (tag, exp_data_sn) = reassign(&mut many, 1, ids[2].itt());
    assert_eq!(exp_data_sn, 0);
    many.say(1, tmf_response(tag, 0));
    many.say(1, with_status(data_in(ids[0].itt(), 1, 8, &[2; 8])));
    assert_eq!(
        many.ended[0].buffer,
        [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]
    );
    many.say(1, response(ids[1].itt(), 0));
    // What must not be sent twice survives: the task goes on at the target.
    many.say(1, response(ids[2].itt(), 0));
    assert_eq!(many.all_good(), [1, 2, 3]);
    many.never_lost();
    many.join_all();
    assert_eq!(many.session.cids().count(), 2);
}

#[test]
fn ffp_7_1_a_new_connection_takes_the_place_of_the_only_one() {
    let mut many = Many::up(1, 2);
    let read = many.read(16);
    let write = many.submit(once(Direction::Write(100_000)));
    acknowledge(&mut many, 0);
    many.say(0, data_in(read.itt(), 0, 0, &[1; 8]));
    let stat_sn = many.wire(0).stat_sn;
    many.say(0, r2t(write.itt(), 3, 0, 8192, 8192));
    many.take(0, DATA_OUT);
    many.cut(0);
    assert!(!many.session.is_up());
    many.nothing_ended();
    many.pass(2 * SECOND - SECOND / 10);
    assert!(many.connects.is_empty(), "ERR-11");
    many.pass(SECOND / 10);
    let (cid, role, _) = many.connects.pop_front().unwrap();
    let LoginRole::Reinstating(joining) = role else {
        panic!("{role:?}");
    };
    // REI-02: the same CID; LOG-05: the old connection's ExpStatSN.
    assert_eq!((cid, joining.tsih, joining.exp_stat_sn), (0, TSIH, stat_sn));
    assert_eq!(joining.cmd_sn.0, many.exp_cmd_sn);
    many.log_in(0);
    let (tag, exp_data_sn) = reassign(&mut many, 0, read.itt());
    assert_eq!(exp_data_sn, 1);
    many.say(0, tmf_response(tag, 0));
    let (tag, _) = reassign(&mut many, 0, write.itt());
    many.say(0, tmf_response(tag, 0));
    // The target asks for what it has not got, with any number.
    many.say(0, r2t(write.itt(), 9, 0, 8192, 100));
    assert_eq!(many.take(0, DATA_OUT).offset(), 8192);
    many.say(0, r2t(write.itt(), 10, 1, 8292, 100));
    assert_eq!(many.take(0, DATA_OUT).offset(), 8292);
    // It may send all data again.
    many.say(0, data_in(read.itt(), 0, 0, &[9; 8]));
    many.say(0, with_status(data_in(read.itt(), 1, 8, &[2; 8])));
    assert_eq!(many.ended[0].buffer[..9], [1, 1, 1, 1, 1, 1, 1, 1, 2]);
    many.say(0, response(write.itt(), 0));
    many.all_good();
    let up = |event: &Event| matches!(event, Event::Up { .. } | Event::Lost(_));
    assert!(
        !many.events.iter().any(up),
        "the session is the same: {:?}",
        many.events
    );
    // And commands go on without a new check of the disks.
    many.read(0);
    many.take(0, COMMAND);
}

#[test]
fn err_09_commands_that_the_target_never_took_are_sent_again_with_their_numbers() {
    let mut many = Many::up(1, 2);
    let taken = many.read(0);
    acknowledge(&mut many, 0);
    many.wire(0).deaf = true;
    let lost = many.submit(once(Direction::Write(4)));
    many.cut(0);
    let waiting = many.read(0);
    many.pass(2 * SECOND);
    many.connects.pop_front().unwrap();
    many.log_in(0);
    let (tag, _) = reassign(&mut many, 0, taken.itt());
    let again = many.take(0, COMMAND);
    assert_eq!((again.get_itt(), again.cmd_sn()), (lost.itt(), 0x1001));
    let next = many.take(0, COMMAND);
    assert_eq!((next.get_itt(), next.cmd_sn()), (waiting.itt(), 0x1002));
    many.say(0, tmf_response(tag, 0));
    for id in [taken, lost, waiting] {
        many.say(0, response(id.itt(), 0));
    }
    many.all_good();
}

#[test]
fn sup_a10_responses_to_task_reassign() {
    // The task is gone: done anew where that may be, else Interrupted.
    let mut many = Many::up(2, 2);
    let ids = [
        many.read(0),
        many.read(0),
        many.submit(once(Direction::Read(0))),
    ];
    acknowledge(&mut many, 0);
    acknowledge(&mut many, 1);
    many.cut(0);
    recovery_logout(&mut many, 0, 1, 0);
    for id in [ids[0], ids[2]] {
        let (tag, _) = reassign(&mut many, 1, id.itt());
        many.say(1, tmf_response(tag, 1));
        if id == ids[0] {
            // The replay goes out with the next request.
            let at = many
                .wire(1)
                .sent
                .iter()
                .position(|pdu| pdu.opcode() == COMMAND);
            let replay = many.wire(1).sent.remove(at.unwrap()).unwrap();
            assert_ne!(replay.get_itt(), id.itt());
        }
    }
    assert_eq!(many.outcome(), Outcome::Interrupted);
    many.never_lost();
}

#[test]
fn a_target_that_does_not_reassign_is_made_to_forget_the_tasks() {
    for response_code in [4, 5] {
        let mut many = Many::up(2, 2);
        let ids = [
            many.read(0),
            many.read(0),
            many.submit(once(Direction::Read(0))),
        ];
        acknowledge(&mut many, 0);
        acknowledge(&mut many, 1);
        many.cut(0);
        recovery_logout(&mut many, 0, 1, 0);
        let (tag, _) = reassign(&mut many, 1, ids[0].itt());
        many.say(1, tmf_response(tag, response_code));
        assert_eq!(many.session.trusted_level(), 1);
        for id in [ids[0], ids[2]] {
            let at = many.wire(1).sent.iter().position(|pdu| pdu.opcode() == TMF);
            let abort = many.wire(1).sent.remove(at.unwrap()).unwrap();
            assert_eq!((abort.header[1] & 0x7f, abort.word20()), (1, id.itt()));
            many.say(1, tmf_response(abort.get_itt(), 0));
        }
        // Replayed only now, when the target cannot be working on it any more.
        let replay = many.take(1, COMMAND);
        assert_ne!(replay.get_itt(), ids[0].itt());
        assert_eq!(many.outcome(), Outcome::Interrupted);
        many.never_lost();
    }
}

#[test]
fn a_task_that_is_still_allegiant_is_asked_for_again() {
    let mut many = Many::up(2, 2);
    let id = many.read(0);
    acknowledge(&mut many, 0);
    many.cut(0);
    recovery_logout(&mut many, 0, 1, 0);
    let (tag, _) = reassign(&mut many, 1, id.itt());
    many.say(1, tmf_response(tag, 3));
    let (tag, _) = reassign(&mut many, 1, id.itt());
    many.say(1, tmf_response(tag, 0));
    many.say(1, response(id.itt(), 0));
    many.all_good();
}

#[test]
fn a_target_without_connection_recovery_gets_the_logout_of_level_1() {
    let mut many = Many::up(2, 2);
    let id = many.read(0);
    acknowledge(&mut many, 0);
    many.cut(0);
    recovery_logout(&mut many, 0, 1, 2);
    many.pass(SECOND);
    let logout = many.take(1, LOGOUT);
    assert_eq!(logout.header[1] & 0x7f, 1);
    many.say(1, logout_response(logout.get_itt(), 0, 0, 0));
    let replay = many.take(1, COMMAND);
    assert_ne!(replay.get_itt(), id.itt());
    assert_eq!(many.session.trusted_level(), 1);
    many.never_lost();
}

#[test]
fn a_connection_lost_while_it_takes_tasks_over_is_recovered_in_turn() {
    let mut many = Many::up(3, 2);
    let ids = [many.read(0), many.read(0), many.read(0)];
    (0..3).for_each(|cid| acknowledge(&mut many, cid));
    many.cut(0);
    recovery_logout(&mut many, 0, 1, 0);
    reassign(&mut many, 1, ids[0].itt());
    many.cut(1);
    many.silent(2);
    recovery_logout(&mut many, 1, 2, 0);
    let mut left = vec![ids[0].itt(), ids[1].itt()];
    for _ in 0..2 {
        let tmf = many.take(2, TMF);
        assert_eq!(tmf.header[1] & 0x7f, REASSIGN);
        left.retain(|itt| *itt != tmf.word20());
        many.say(2, tmf_response(tmf.get_itt(), 0));
    }
    assert!(left.is_empty());
    for id in ids {
        many.say(2, response(id.itt(), 0));
    }
    assert_eq!(many.all_good().len(), 3);
    many.never_lost();
}

#[test]
fn all_connections_lost_at_once_come_back_with_their_tasks() {
    let mut many = Many::up(2, 2);
    let ids = [many.read(0), many.read(0)];
    acknowledge(&mut many, 0);
    acknowledge(&mut many, 1);
    many.cut(0);
    many.cut(1);
    many.nothing_ended();
    many.pass(2 * SECOND);
    let (cid, role, _) = many.connects.pop_front().unwrap();
    assert!(matches!(role, LoginRole::Reinstating(_)));
    assert_eq!(cid, 1);
    many.log_in(1);
    recovery_logout(&mut many, 0, 1, 0);
    for id in [ids[1], ids[0]] {
        let (tag, _) = reassign(&mut many, 1, id.itt());
        many.say(1, tmf_response(tag, 0));
        many.say(1, response(id.itt(), 0));
    }
    many.all_good();
    many.join_all();
    assert_eq!(many.session.cids().collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn a_session_that_the_target_has_forgotten_is_made_again_at_once() {
    let mut many = Many::up(1, 2);
    let replayed = many.read(0);
    many.submit(once(Direction::Read(0)));
    acknowledge(&mut many, 0);
    many.cut(0);
    many.pass(2 * SECOND);
    let (cid, ..) = many.connects.pop_front().unwrap();
    many.refuse(cid, Some(LoginStatus::SESSION_DOES_NOT_EXIST));
    assert_eq!(many.outcome(), Outcome::Interrupted);
    assert!(
        many.events
            .contains(&Event::Lost(ConnectionError::CleanupFailed))
    );
    many.pass(SECOND / 10);
    let (cid, role, _) = many.connects.pop_front().unwrap();
    assert_eq!((cid, role), (0, LoginRole::Leading));
    many.exp_cmd_sn = 0x2000;
    many.log_in(0);
    many.session.open_gate(many.now);
    many.settle();
    let replay = many.take(0, COMMAND);
    assert_ne!(replay.get_itt(), replayed.itt());
}

#[test]
fn err_11_a_session_that_does_not_come_back_within_time2retain_is_made_again() {
    let mut many = Many::up(1, 2);
    many.read(0);
    acknowledge(&mut many, 0);
    many.cut(0);
    let mut attempts = 0;
    for _ in 0..21 {
        many.pass(SECOND);
        while let Some((cid, role, _)) = many.connects.pop_front() {
            assert!(matches!(role, LoginRole::Reinstating(_)), "{role:?}");
            attempts += 1;
            many.refuse(cid, None);
        }
    }
    assert!(attempts >= 4);
    many.pass(2 * SECOND);
    assert!(
        many.connects
            .iter()
            .any(|(_, role, _)| *role == LoginRole::Leading)
    );
}

#[test]
fn nothing_is_reassigned_where_the_target_keeps_nothing() {
    let mut many = Many::with(with_connections(1), |p| {
        (p.error_recovery_level, p.time2retain) = (2, 0);
    });
    many.read(0);
    acknowledge(&mut many, 0);
    many.cut(0);
    assert!(
        many.events
            .iter()
            .any(|event| matches!(event, Event::Lost(_)))
    );
    // Announced times win.
    let mut many = Many::up(1, 2);
    let error = many.say_last(0, async_message(2, [0, 1, 0]));
    assert_eq!(error, ConnectionError::Announced(2));
    assert!(
        many.events
            .iter()
            .any(|event| matches!(event, Event::Lost(_)))
    );
}

#[test]
fn a_format_error_costs_the_session_at_any_level() {
    let mut many = Many::up(2, 2);
    many.say_last(1, response(0x7777, 0));
    assert_eq!(many.disconnects, [0, 1], "ERR-05");
}

#[test]
fn an_aborted_or_timed_out_orphan_is_ended_on_the_target_first() {
    let mut many = Many::up(2, 2);
    let id = many.read(0);
    acknowledge(&mut many, 0);
    many.cut(0);
    many.session.abort(many.now, id).unwrap();
    many.settle();
    many.silent(1);
    many.nothing_ended();
    recovery_logout(&mut many, 0, 1, 0);
    let abort = many.take(1, TMF);
    assert_eq!(
        (abort.header[1] & 0x7f, abort.word20()),
        (1, id.itt()),
        "TMF-04"
    );
    many.say(1, tmf_response(abort.get_itt(), 0));
    assert_eq!(many.outcome(), Outcome::Aborted);
}

#[test]
fn a_wrong_header_digest_costs_the_connection_and_no_more() {
    let mut many = Many::with(with_connections(1), |p| {
        (p.error_recovery_level, p.header_digest) = (2, true);
    });
    let id = many.read(0);
    acknowledge(&mut many, 0);
    let pdu = many.number(0, response(id.itt(), 0));
    let error = many.say_raw(0, &pdu, true).unwrap_err();
    many.lose(0, error);
    many.pass(2 * SECOND);
    many.connects.pop_front().unwrap();
    many.log_in(0);
    let (tag, _) = reassign(&mut many, 0, id.itt());
    many.say(0, tmf_response(tag, 0));
    many.say(0, response(id.itt(), 0));
    many.all_good();
}

#[test]
fn a_target_that_takes_no_task_up_again_is_trusted_with_less() {
    let mut many = Many::up(1, 2);
    for _ in 0..2 {
        let id = many.read(0);
        acknowledge(&mut many, 0);
        many.cut(0);
        while many.connects.is_empty() {
            many.pass(SECOND);
        }
        let (cid, role, _) = many.connects.pop_front().unwrap();
        assert!(matches!(role, LoginRole::Reinstating(_)));
        many.log_in(cid);
        // It breaks on the reassignment.
        reassign(&mut many, 0, id.itt());
        many.lose(
            0,
            ConnectionError::PeerMisbehaved(crate::session::PeerMisbehaved::TooManyR2ts),
        );
        while many.connects.is_empty() {
            many.pass(SECOND);
        }
        let (_, role, _) = many.connects.pop_front().unwrap();
        assert_eq!(role, LoginRole::Leading);
        many.log_in(0);
        many.session.open_gate(many.now);
        many.settle();
        for pdu in many.take_all(0) {
            many.say(0, response(pdu.get_itt(), 0));
        }
        many.all_good();
    }
    assert_eq!(many.session.trusted_level(), 2);
    many.cut(0);
    assert_eq!(many.session.trusted_level(), 1);
    many.pass(SECOND * 3);
    assert_eq!(many.connects[0].1, LoginRole::Leading);
    // Idle ones say nothing against it.
    let mut many = Many::up(1, 2);
    for _ in 0..5 {
        many.cut(0);
        while many.connects.is_empty() {
            many.pass(SECOND);
        }
        let (cid, ..) = many.connects.pop_front().unwrap();
        many.log_in(cid);
        many.pass(60 * SECOND);
    }
    assert_eq!(many.session.trusted_level(), 2);
    many.never_lost();
}

/// Loses the connection of these tasks, and has the target reject that they are reassigned.
fn rejected(tasks: &[Direction]) -> (Many, Vec<u32>) {
    let mut many = Many::up(2, 2);
    many.set_policy(crate::session::Policy::FailOver);
    let itts: Vec<u32> = tasks
        .iter()
        .map(|&direction| many.submit(once(direction)).itt())
        .collect();
    acknowledge(&mut many, 0);
    many.cut(0);
    recovery_logout(&mut many, 0, 1, 0);
    for &itt in &itts {
        let (tag, _) = reassign(&mut many, 1, itt);
        many.say(1, tmf_response(tag, 255));
    }
    many.silent(1);
    (many, itts)
}

/// LIO answers 255 whenever it reassigns a task.
#[test]
fn a_task_that_goes_on_although_its_reassignment_was_rejected_is_reassigned() {
    let (mut many, itts) = rejected(&[Direction::Read(8), Direction::Write(4), Direction::None]);
    many.say(1, data_in(itts[0], 0, 0, &[1; 4]));
    many.say(1, r2t(itts[1], 7, 0, 0, 4));
    many.pass(5 * SECOND);
    let sent = many.take_all(1);
    let aborts = sent.iter().filter(|pdu| pdu.opcode() == TMF);
    let aborted: Vec<u32> = aborts.map(|pdu| pdu.word20()).collect();
    assert_eq!(aborted, [itts[2]], "the one that was not heard of");
    assert!(sent.iter().any(|pdu| pdu.opcode() == DATA_OUT));
    many.say(1, with_status(data_in(itts[0], 1, 4, &[1; 4])));
    many.say(1, response(itts[1], 0));
    assert_eq!(many.all_good().len(), 2);
    assert_eq!(many.session.counters().reassigned_commands, 2);
    many.never_lost();
}

#[test]
fn a_task_whose_reassignment_was_rejected_and_that_does_not_go_on_is_aborted() {
    let (mut many, itts) = rejected(&[Direction::Read(8)]);
    many.pass(5 * SECOND);
    let abort = many.take(1, TMF);
    assert_eq!((abort.header[1] & 0x7f, abort.word20()), (1, itts[0]));
    many.nothing_ended();
    many.say(1, tmf_response(abort.get_itt(), 0));
    assert_eq!(many.outcome(), Outcome::Interrupted);
    assert_eq!(many.session.counters().reassigned_commands, 0);
    many.never_lost();
}
