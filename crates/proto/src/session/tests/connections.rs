//! Several connections in one session (rfc7143-initiator.md §2 NUM-19, §4.2, §13 ERR-08, §14).

use super::bench::*;
use super::many::*;
use super::wire::*;
use crate::pdu::{LoginStatus, TaskAttribute, TmfFunction};
use crate::session::{
    ConnectionError, Direction, Event, LoginRole, Management, MembershipError, Outcome, Policy,
    SessionConfig,
};

/// How many commands came on each connection since the last look.
fn counts(many: &mut Many, cids: &[u16]) -> Vec<usize> {
    let count = |many: &mut Many, cid: &u16| many.take_all(*cid).len();
    cids.iter().map(|cid| count(many, cid)).collect()
}

fn submit(many: &mut Many, count: usize) {
    for _ in 0..count {
        many.submit_quietly(command(Direction::Read(0)));
    }
    many.settle();
}

#[test]
fn rei_03_further_connections_join_once_the_session_is_up() {
    let mut many = Many::new(with_connections(3), 0);
    let roles: Vec<_> = many
        .connects
        .iter()
        .map(|(cid, role, _)| (*cid, *role))
        .collect();
    assert_eq!(
        roles.iter().map(|(cid, _)| *cid).collect::<Vec<_>>(),
        [1, 2]
    );
    for (_, role) in roles {
        let LoginRole::Additional(joining) = role else {
            panic!("{role:?}");
        };
        // NUM-04: with the session's present CmdSN.
        assert_eq!((joining.tsih, joining.cmd_sn.0), (TSIH, many.exp_cmd_sn));
    }
    many.join_all();
    assert_eq!(many.session.cids().collect::<Vec<_>>(), [0, 1, 2]);
    assert!(many.events.contains(&Event::ConnectionUp { cid: 2 }));
}

#[test]
fn no_more_connections_than_the_target_agreed_to() {
    let many = Many::with(with_connections(9), |p| p.max_connections = 2);
    assert_eq!(many.connects.len(), 1);
    let many = Many::with(with_connections(9), |p| p.max_connections = 1);
    assert!(many.connects.is_empty());
}

#[test]
fn num_19_all_of_a_command_travels_on_its_connection() {
    let mut many = Many::up(2, 0);
    let ids: Vec<_> = (0..2).map(|_| many.write(100_000)).collect();
    for (cid, id) in [(0, ids[0]), (1, ids[1])] {
        assert_eq!(many.take(cid, COMMAND).get_itt(), id.itt());
        many.say(cid, r2t(id.itt(), 7, 0, 8192, 1000));
        assert_eq!(many.take(cid, DATA_OUT).get_itt(), id.itt());
        many.say(cid, response(id.itt(), 0));
    }
    assert_eq!(many.all_good(), [1, 2]);
    // One that comes on the other connection is an offence.
    let id = many.read(0);
    many.take(0, COMMAND);
    let error = many.say_last(1, response(id.itt(), 0));
    assert!(
        matches!(error, ConnectionError::PeerMisbehaved(_)),
        "{error}"
    );
    assert!(
        !many.session.is_up(),
        "a format error costs the session (ERR-05)"
    );
}

#[test]
fn commands_take_turns_and_their_numbers_rise_on_each_connection() {
    let mut many = Many::up(3, 0);
    for cid in [0, 1, 2, 0, 1, 2] {
        many.read(0);
        many.take(cid, COMMAND);
    }
    submit(&mut many, 30);
    for cid in 0..3 {
        let sent = many.take_all(cid);
        assert_eq!(sent.len(), 10);
        assert!(
            sent.windows(2).all(|w| w[0].cmd_sn() < w[1].cmd_sn()),
            "NUM-07"
        );
    }
}

#[test]
fn a_socket_that_is_full_holds_up_no_other() {
    for policy in [
        Policy::RoundRobin,
        Policy::LeastQueueDepth,
        Policy::Weighted(vec![(0, 7)]),
    ] {
        let mut many = Many::up(2, 0);
        many.set_policy(policy.clone());
        many.wire(0).blocked = true;
        submit(&mut many, 40);
        let (first, second) = (many.take_all(0).len(), many.take_all(1).len());
        assert_eq!(first + second, 40, "{policy:?}");
        submit(&mut many, 20);
        assert_eq!(counts(&mut many, &[0, 1]), [0, 20], "{policy:?}");
    }
}

#[test]
fn policies_can_be_changed_while_commands_run() {
    let mut many = Many::up(2, 0);
    many.set_policy(Policy::FailOver);
    submit(&mut many, 8);
    assert_eq!(counts(&mut many, &[0, 1]), [8, 0]);
    many.set_policy(Policy::LeastQueueDepth);
    submit(&mut many, 8);
    assert_eq!(counts(&mut many, &[0, 1]), [0, 8]);
    submit(&mut many, 8);
    let shares = counts(&mut many, &[0, 1]);
    assert!(shares.iter().all(|share| *share >= 3), "{shares:?}");
    many.set_policy(Policy::Weighted(vec![(0, 3), (1, 1)]));
    for _ in 0..8 {
        many.read(0);
    }
    assert_eq!(counts(&mut many, &[0, 1]), [6, 2]);
    many.set_policy(Policy::Weighted(vec![(0, 0)]));
    submit(&mut many, 8);
    assert_eq!(counts(&mut many, &[0, 1]), [0, 8]);
}

#[test]
fn a_connection_can_be_added_and_removed_while_commands_run() {
    let mut many = Many::new(with_connections(1), 0);
    assert!(many.connects.is_empty());
    let old = many.read(4);
    assert_eq!(many.session.add_connection(many.now), Ok(1));
    many.settle();
    many.join_all();
    let other = many.read(0);
    many.take(0, COMMAND);
    let new = if many.wire(1).sent.is_empty() {
        many.read(0)
    } else {
        other
    };
    assert_eq!(many.take(1, COMMAND).get_itt(), new.itt());
    // Its command has time to end before the logout (OUT-02).
    many.session.remove_connection(many.now, 1).unwrap();
    many.settle();
    many.silent(1);
    many.say(1, response(new.itt(), 0));
    let logout = many.take(1, LOGOUT);
    assert_eq!(logout.header[1] & 0x7f, 1, "OUT-01: close the connection");
    assert_eq!(logout.word20() >> 16, 1, "CID");
    let error = many.say_last(1, logout_response(logout.get_itt(), 0, 0, 0));
    assert_eq!(error, ConnectionError::LoggedOut);
    many.all_good();
    many.pass(5 * SECOND);
    assert!(many.connects.is_empty(), "it is not wanted any more");
    many.say(0, with_status(data_in(old.itt(), 0, 0, &[1; 4])));
    many.never_lost();
}

#[test]
fn the_last_connection_stays_and_unknown_ones_are_named() {
    let mut many = Many::up(2, 0);
    assert_eq!(
        many.session.remove_connection(many.now, 7),
        Err(MembershipError::Unknown(7))
    );
    many.session.remove_connection(many.now, 0).unwrap();
    assert_eq!(
        many.session.remove_connection(many.now, 1),
        Err(MembershipError::Last)
    );
    let mut many = Many::with(with_connections(1), |p| p.max_connections = 1);
    let error = many.session.add_connection(many.now).unwrap_err();
    assert_eq!(error, MembershipError::TooMany(1));
    assert!(!error.to_string().is_empty());
}

#[test]
fn what_does_not_end_before_the_logout_goes_on_elsewhere() {
    let mut many = Many::up(2, 0);
    let first = many.read(0);
    let second = many.submit(once(Direction::Read(0)));
    let third = many.read(4);
    many.say(0, nop_in(NONE));
    many.take_all(0);
    many.session.remove_connection(many.now, 0).unwrap();
    many.pass(5 * SECOND);
    let logout = many.take(0, LOGOUT);
    many.say_last(0, logout_response(logout.get_itt(), 0, 0, 0));
    many.take(1, COMMAND);
    let again = many.take_all(1);
    assert_eq!(again.len(), 2, "{again:?}");
    assert!(
        again
            .iter()
            .all(|pdu| pdu.get_itt() != first.itt() && pdu.get_itt() != third.itt())
    );
    for itt in again.iter().map(Pdu::get_itt).chain([second.itt()]) {
        many.say(1, response(itt, 0));
    }
    many.all_good();
    many.never_lost();
}

#[test]
fn ffp_14_2_a_logout_request_on_one_connection_leaves_the_other_working() {
    let mut many = Many::up(2, 0);
    many.say(0, async_message(1, [0, 0, 5]));
    let logout = many.take(0, LOGOUT);
    assert_eq!(logout.header[1] & 0x7f, 1);
    assert_eq!(logout.exp_stat_sn(), many.wire(0).stat_sn);
    submit(&mut many, 4);
    assert_eq!(counts(&mut many, &[0, 1]), [0, 4], "no new command");
    many.say_last(0, logout_response(logout.get_itt(), 0, 3, 20));
    many.never_lost();
    // It comes back after the pause that the logout response named.
    many.pass(2 * SECOND);
    assert!(many.connects.is_empty());
    many.pass(SECOND);
    assert_eq!(many.connects.front().unwrap().0, 0);
    many.join_all();
    submit(&mut many, 2);
    assert_eq!(counts(&mut many, &[0, 1]), [1, 1]);
}

/// RFC 7143 §11.14: the target ends all connections of the session, not only the one of the logout.
#[test]
fn every_connection_of_a_session_that_is_logged_out_is_closed_by_the_target_first() {
    let mut many = Many::up(3, 0);
    many.session.logout(many.now);
    many.settle();
    let logout = many.take(0, LOGOUT);
    many.say(0, logout_response(logout.get_itt(), 0, 0, 0));
    assert_eq!(many.disconnects, [0, 1, 2]);
    assert_eq!(many.farewells, [0, 1, 2]);
}

#[test]
fn an_additional_connection_is_tried_again_with_pauses_and_disturbs_nothing() {
    let mut many = Many::new(with_connections(2), 0);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let begin = many.now;
        while many.connects.is_empty() {
            many.pass(SECOND / 4);
        }
        pauses.push((many.now - begin).as_millis());
        let (cid, ..) = many.connects.pop_front().unwrap();
        many.refuse(cid, None);
        let id = many.read(0);
        many.say(0, response(id.itt(), 0));
    }
    assert_eq!(pauses, [0, 500, 1000, 2000]);
    many.all_good();
    many.never_lost();
}

#[test]
fn statuses_that_refuse_a_further_connection_end_the_attempts() {
    for status in [
        LoginStatus::TOO_MANY_CONNECTIONS,
        LoginStatus::CANNOT_INCLUDE_IN_SESSION,
        LoginStatus::SESSION_TYPE_NOT_SUPPORTED,
        LoginStatus::SESSION_DOES_NOT_EXIST,
    ] {
        let mut many = Many::new(with_connections(3), 2);
        let (cid, ..) = many.connects.pop_front().unwrap();
        many.refuse(cid, Some(status));
        assert!(
            many.events
                .contains(&Event::ConnectionRefused { cid, status })
        );
        many.connects.clear();
        many.pass(600 * SECOND);
        assert!(many.connects.is_empty());
        many.never_lost();
    }
    // Others pass.
    let mut many = Many::new(with_connections(2), 2);
    let (cid, ..) = many.connects.pop_front().unwrap();
    many.refuse(cid, Some(LoginStatus::OUT_OF_RESOURCES));
    many.pass(SECOND);
    assert_eq!(many.connects.len(), 1);
}

/// Their CIDs are free again: a login under way under one of them must not meet the next.
#[test]
fn other_logins_under_way_are_given_up_with_the_one_that_is_refused() {
    let mut many = Many::new(with_connections(4), 2);
    let dialed: Vec<u16> = many.connects.drain(..).map(|(cid, ..)| cid).collect();
    assert_eq!(dialed, [1, 2, 3]);
    many.refuse(2, Some(LoginStatus::TOO_MANY_CONNECTIONS));
    assert_eq!(many.disconnects, [1, 3]);
    many.never_lost();
}

/// What the target has refused is no longer wanted: one that is asked for is one more than there is.
#[test]
fn a_connection_can_be_added_after_others_were_refused() {
    let mut many = Many::with(with_connections(4), |p| p.max_connections = 4);
    let (cid, ..) = many.connects.pop_front().unwrap();
    many.refuse(cid, Some(LoginStatus::TOO_MANY_CONNECTIONS));
    many.connects.clear();
    for cid in 1..4 {
        assert_eq!(many.session.add_connection(many.now), Ok(cid));
        many.settle();
        assert_eq!(many.connects.len(), 1, "and no other");
        many.join_all();
    }
    let error = many.session.add_connection(many.now);
    assert_eq!(error, Err(MembershipError::TooMany(4)));
    many.never_lost();
}

/// More were wanted than the target agreed to.
#[test]
fn a_connection_that_was_removed_stays_away_and_leaves_its_place_to_another() {
    for level in 0..=2 {
        let mut many = Many::with(with_connections(5), |p| {
            (p.max_connections, p.error_recovery_level) = (3, level);
        });
        many.join_all();
        assert_eq!(many.session.cids().collect::<Vec<_>>(), [0, 1, 2]);
        many.session.remove_connection(many.now, 1).unwrap();
        many.settle();
        let logout = many.take(1, LOGOUT);
        many.say_last(1, logout_response(logout.get_itt(), 0, 0, 0));
        many.pass(5 * SECOND);
        assert!(many.connects.is_empty(), "it is not wanted any more");
        assert_eq!(many.session.add_connection(many.now), Ok(1));
        many.settle();
        many.join_all();
        assert_eq!(many.session.cids().count(), 3);
        many.never_lost();
    }
}

#[test]
fn at_level_0_the_loss_of_one_connection_is_that_of_the_session() {
    let mut many = Many::up(2, 0);
    submit(&mut many, 6);
    many.cut(1);
    assert_eq!(many.disconnects, [0, 1]);
    many.pass(2 * SECOND);
    let (cid, role, _) = many.connects.pop_front().unwrap();
    assert_eq!((cid, role), (0, LoginRole::Leading));
    many.log_in(0);
    many.session.open_gate(many.now);
    many.settle();
    many.join_all();
    let mut itts: Vec<_> = Vec::new();
    for cid in [0, 1] {
        itts.extend(many.take_all(cid).iter().map(|pdu| (cid, pdu.get_itt())));
    }
    assert_eq!(itts.len(), 6);
    for (cid, itt) in itts {
        many.say(cid, response(itt, 0));
    }
    many.all_good();
}

/// Logs out of a lost connection over another one, and gives the target's part of it.
fn clean_up(many: &mut Many, lost: u16, over: u16, reason: u8, response: u8) {
    many.pass(2 * SECOND);
    let logout = many.take(over, LOGOUT);
    assert!(logout.is_immediate());
    assert_eq!(logout.header[1] & 0x7f, reason);
    assert_eq!(logout.word20() >> 16, u32::from(lost), "CID");
    many.say(over, logout_response(logout.get_itt(), response, 0, 20));
}

#[test]
fn err_08_at_level_1_a_lost_connection_is_closed_by_a_logout_and_its_commands_go_on() {
    let mut many = Many::up(2, 1);
    many.set_policy(Policy::FailOver);
    let taken = many.read(4);
    let taken_once = many.submit(once(Direction::Read(4)));
    many.take_all(0);
    many.say(0, nop_in(NONE));
    // These do not arrive.
    many.wire(0).deaf = true;
    let lost = many.write(4);
    let lost_once = many.submit(once(Direction::Write(4)));
    many.cut(0);
    many.silent(1);
    many.nothing_ended();
    clean_up(&mut many, 0, 1, 1, 0);
    // What the target had taken is dead: replayed as a new command where that may be.
    assert_eq!(many.outcome(), Outcome::Interrupted);
    let sent = many.take_all(1);
    let (again, replay): (Vec<_>, Vec<_>) = sent.iter().partition(|pdu| pdu.cmd_sn() < 0x1004);
    // ERR-06: the same tag, number, flags, LUN and CDB, so that no number is missing.
    let tags = |pdus: &[&Pdu]| pdus.iter().map(|pdu| pdu.get_itt()).collect::<Vec<_>>();
    assert_eq!(tags(&again), [lost.itt(), lost_once.itt()]);
    assert_eq!(
        again.iter().map(|pdu| pdu.cmd_sn()).collect::<Vec<_>>(),
        [0x1002, 0x1003]
    );
    assert_eq!(replay.len(), 1);
    assert_ne!(replay[0].get_itt(), taken.itt());
    assert_ne!(replay[0].get_itt(), taken_once.itt());
    for pdu in &sent {
        many.say(1, response(pdu.get_itt(), 0));
    }
    assert_eq!(many.all_good().len(), 3);
    many.never_lost();
    // And the connection comes back, under its CID.
    many.join_all();
    assert_eq!(many.session.cids().collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn err_11_a_lost_connection_is_not_logged_out_of_before_time2wait() {
    let mut many = Many::up(2, 1);
    submit(&mut many, 2);
    counts(&mut many, &[0, 1]);
    many.cut(0);
    many.pass(2 * SECOND - SECOND / 10);
    many.silent(1);
    many.pass(SECOND / 10);
    many.take(1, LOGOUT);
}

#[test]
fn announced_times_of_one_connection_win() {
    let mut many = Many::up(2, 1);
    // The connection that says so lives on; CID 0 is dropped, and may be logged out of in 7 s.
    many.say(1, async_message(2, [0, 7, 20]));
    assert_eq!(many.disconnects, [0]);
    many.pass(7 * SECOND - SECOND / 10);
    many.silent(1);
    many.pass(SECOND / 10);
    many.take(1, LOGOUT);
    many.never_lost();
}

/// LIO counts a connection for a while after it has answered the logout for it.
#[test]
fn a_target_that_still_counts_a_lost_connection_is_asked_again() {
    let mut many = Many::up(2, 1);
    many.cut(0);
    clean_up(&mut many, 0, 1, 1, 0);
    let status = LoginStatus::TOO_MANY_CONNECTIONS;
    let refused = Event::ConnectionRefused { cid: 0, status };
    for _ in 0..4 {
        assert!(!many.connects.is_empty(), "another attempt");
        many.connects.clear();
        many.refuse(0, Some(status));
        assert!(!many.events.contains(&refused));
        many.pass(5 * SECOND);
        many.say(1, nop_in(NONE));
    }
    many.connects.clear();
    many.refuse(0, Some(status));
    assert!(many.events.contains(&refused), "{:?}", many.events);
    many.pass(5 * SECOND);
    assert!(many.connects.is_empty());
    many.never_lost();
}

/// LIO sends asynchronous event 2 for a connection after it was made to clean it up.
#[test]
fn a_notice_about_a_connection_that_is_gone_costs_no_other() {
    let mut many = Many::up(3, 2);
    many.cut(1);
    many.say(0, async_message(2, [1, 2, 20]));
    many.say(2, async_message(2, [1, 2, 20]));
    assert_eq!(many.session.cids().collect::<Vec<_>>(), [0, 2]);
    // Nor does it put off what follows: Time2Wait is over, and the logout due.
    many.pass(2 * SECOND);
    many.take(0, LOGOUT);
    many.never_lost();
}

#[test]
fn a_drop_that_is_told_on_each_connection_is_one() {
    let mut many = Many::up(3, 1);
    for told_on in [0, 2] {
        many.say(told_on, async_message(2, [1, 0, 0]));
    }
    assert_eq!(many.disconnects, [1]);
    many.never_lost();
}

#[test]
fn a_lost_connection_that_the_target_does_not_know_has_no_tasks() {
    let mut many = Many::up(2, 1);
    many.set_policy(Policy::FailOver);
    let id = many.read(0);
    many.say(0, nop_in(NONE));
    many.take_all(0);
    many.cut(0);
    clean_up(&mut many, 0, 1, 1, 1);
    let again = many.take(1, COMMAND);
    assert_ne!(again.get_itt(), id.itt());
    many.say(1, response(again.get_itt(), 0));
    many.all_good();
}

#[test]
fn a_cleanup_that_fails_is_tried_again_and_then_costs_the_session() {
    let mut many = Many::up(2, 1);
    many.cut(0);
    many.pass(SECOND);
    for _ in 0..4 {
        many.never_lost();
        clean_up(&mut many, 0, 1, 1, 3);
    }
    let lost = Event::Lost(ConnectionError::CleanupFailed);
    assert!(many.events.contains(&lost), "{:?}", many.events);
}

#[test]
fn a_logout_of_a_lost_connection_that_is_lost_too_goes_over_another() {
    let mut many = Many::up(3, 1);
    submit(&mut many, 9);
    counts(&mut many, &[0, 1, 2]);
    for cid in 0..3 {
        many.say(cid, nop_in(NONE));
    }
    many.cut(0);
    many.pass(2 * SECOND);
    many.take(1, LOGOUT);
    many.cut(1);
    let logout = many.take(2, LOGOUT);
    assert_eq!(logout.word20() >> 16, 0);
    many.say(2, logout_response(logout.get_itt(), 0, 0, 0));
    assert_eq!(many.take_all(2).len(), 3);
    clean_up(&mut many, 1, 2, 1, 0);
    assert_eq!(many.take_all(2).len(), 3);
    many.never_lost();
}

#[test]
fn tmf_04_abort_task_travels_with_its_task_and_others_on_the_first() {
    let mut many = Many::up(2, 1);
    let ids = [many.read(0), many.read(0)];
    counts(&mut many, &[0, 1]);
    many.session.abort(many.now, ids[1]).unwrap();
    many.settle();
    let tmf = many.take(1, TMF);
    assert_eq!(tmf.word20(), ids[1].itt());
    many.say(1, tmf_response(tmf.get_itt(), 0));
    assert_eq!(many.outcome(), Outcome::Aborted);
    let reset = Management {
        function: TmfFunction::LogicalUnitReset,
        lun: LUN_0,
        task: None,
        token: Some(99),
    };
    many.session.manage(many.now, reset).unwrap();
    many.settle();
    many.take(0, TMF);
    many.take(1, NOP_OUT);
    // A request whose connection is lost goes out on another; it is not told as lost.
    many.cut(0);
    let tmf = many.take(1, TMF);
    many.nothing_ended();
    many.say(1, tmf_response(tmf.get_itt(), 0));
    assert_eq!(many.outcome(), Outcome::Managed { response: 0 });
}

#[test]
fn each_connection_is_pinged_and_one_that_is_silent_is_lost_alone() {
    let config = SessionConfig {
        ping_interval: 5 * SECOND,
        ping_timeout: 5 * SECOND,
        connections: 2,
        ..SessionConfig::default()
    };
    let mut many = Many::new(config, 1);
    many.join_all();
    many.pass(5 * SECOND);
    let ping = many.take(1, NOP_OUT);
    many.take(0, NOP_OUT);
    many.say(1, echo(ping.get_itt()));
    many.pass(5 * SECOND - SECOND / 10);
    assert!(many.disconnects.is_empty());
    many.pass(SECOND / 10);
    assert_eq!(many.disconnects, [0]);
    many.never_lost();
}

#[test]
fn stat_sn_and_pings_of_the_target_belong_to_their_connection() {
    let mut many = Many::up(2, 0);
    for cid in [1, 0, 1] {
        many.say(cid, nop_in(5).lun(LUN_3));
        let pong = many.take(cid, NOP_OUT);
        assert_eq!((pong.word20(), pong.get_lun()), (5, LUN_3));
        let other = 1 - cid;
        many.silent(other);
    }
    let id = many.submit(crate::session::Command {
        attribute: TaskAttribute::Ordered,
        ..command(Direction::Read(0))
    });
    many.say(0, response(id.itt(), 0));
    // Every PDU that is sent is judged by the numbers of its own connection.
    many.say(1, nop_in(6));
    many.say(0, nop_in(6));
    many.all_good();
}

#[test]
fn a_session_is_closed_by_one_logout_for_all_connections() {
    let mut many = Many::up(3, 0);
    many.session.logout(many.now);
    many.settle();
    let logout = many.take(0, LOGOUT);
    assert_eq!((logout.header[1] & 0x7f, logout.word20()), (0, 0));
    many.silent(1);
    many.say(0, logout_response(logout.get_itt(), 0, 0, 0));
    assert_eq!(many.disconnects, [0, 1, 2], "OUT-03");
    assert!(many.events.contains(&Event::Closed));
}

#[test]
fn a_login_that_nobody_waits_for_is_refused() {
    let mut many = Many::up(2, 0);
    many.log_in(5);
    assert_eq!(many.disconnects, [5]);
    many.cut(0);
    many.disconnects.clear();
    many.log_in(0);
    assert!(many.session.is_up(), "a leading login is welcome early");
}

#[test]
fn tmf_15_statuses_are_acknowledged_on_all_connections_while_a_reset_waits() {
    let mut many = Many::up(2, 0);
    let ids = [many.read(0), many.read(0)];
    counts(&mut many, &[0, 1]);
    let reset = Management {
        function: TmfFunction::LogicalUnitReset,
        lun: LUN_0,
        task: None,
        token: Some(99),
    };
    many.session.manage(many.now, reset).unwrap();
    many.settle();
    let tmf = many.take(0, TMF);
    // NOP-04: neither tag, immediate.
    let nop = many.take(1, NOP_OUT);
    assert!(nop.is_immediate());
    assert_eq!(
        (nop.get_itt(), nop.word20(), nop.get_lun()),
        (NONE, NONE, LUN_0)
    );
    many.say(1, response(ids[1].itt(), 0));
    let stat_sn = many.wire(1).stat_sn;
    assert_eq!(many.take(1, NOP_OUT).exp_stat_sn(), stat_sn);
    many.say(0, tmf_response(tmf.get_itt(), 0));
    many.ended.clear();
    // Afterwards it is as before.
    let id = many.read(0);
    let cid = if many.wire(1).sent.is_empty() { 0 } else { 1 };
    many.take_all(cid);
    many.say(cid, response(id.itt(), 0));
    many.all_good();
}

#[test]
fn tmf_09_with_fast_abort_the_data_of_affected_tasks_stops_with_the_request() {
    for (fast_abort, expected) in [(true, 0), (false, 4)] {
        let mut many = Many::with(with_connections(1), |p| p.fast_abort = fast_abort);
        let id = many.write(100_000);
        many.take_all(0);
        many.wire(0).blocked = true;
        // The first leaves, the others wait behind it.
        many.say(0, nop_in(NONE));
        let set = Management {
            function: TmfFunction::AbortTaskSet,
            lun: LUN_0,
            task: None,
            token: Some(99),
        };
        many.session.manage(many.now, set).unwrap();
        let pdu = many.number(0, r2t(id.itt(), 3, 0, 8192, 32_768));
        let bytes = pdu.to_wire(false, false, false);
        many.session
            .handle_input(many.now, 0, &bytes, &mut many.buffers)
            .unwrap();
        many.wire(0).blocked = false;
        many.settle();
        many.take(0, TMF);
        assert_eq!(many.take_all(0).len(), expected);
    }
}

#[test]
fn tmf_13_functions_of_protocol_level_2_need_it() {
    for (level, response_code) in [(1, 5), (2, 7)] {
        let mut many = Many::with(with_connections(1), |p| p.protocol_level = level);
        let id = many.read(0);
        let cmd_sn = many.take(0, COMMAND).cmd_sn();
        for function in [
            TmfFunction::QueryTask,
            TmfFunction::QueryTaskSet,
            TmfFunction::QueryAsynchronousEvent,
        ] {
            let query = Management {
                function,
                lun: LUN_0,
                task: (function == TmfFunction::QueryTask).then_some(id),
                token: Some(9),
            };
            many.session.manage(many.now, query).unwrap();
            many.settle();
            if level == 2 {
                let tmf = many.take(0, TMF);
                assert_eq!(tmf.header[1] & 0x7f, function.code());
                let names_task = function == TmfFunction::QueryTask;
                let named = if names_task {
                    (id.itt(), cmd_sn)
                } else {
                    (NONE, 0)
                };
                assert_eq!((tmf.word20(), tmf.get32(32)), named);
                many.say(0, tmf_response(tmf.get_itt(), 7));
            }
            assert_eq!(
                many.outcome(),
                Outcome::Managed {
                    response: response_code
                }
            );
        }
        // The task is asked about, and no more.
        many.say(0, response(id.itt(), 0));
        many.all_good();
    }
    // I_T NEXUS RESET ends all tasks, and the target drops the connections then.
    let mut many = Many::with(with_connections(1), |p| p.protocol_level = 2);
    many.submit(once(Direction::Read(0)));
    many.take_all(0);
    let reset = Management {
        function: TmfFunction::ItNexusReset,
        lun: LUN_3,
        task: None,
        token: Some(9),
    };
    many.session.manage(many.now, reset).unwrap();
    many.settle();
    let tmf = many.take(0, TMF);
    assert_eq!((tmf.header[1] & 0x7f, tmf.get_lun()), (11, LUN_0));
    many.say(0, tmf_response(tmf.get_itt(), 0));
    let outcomes: Vec<_> = many.ended.drain(..).map(|ended| ended.outcome).collect();
    assert_eq!(
        outcomes,
        [Outcome::Managed { response: 0 }, Outcome::Aborted]
    );
}
