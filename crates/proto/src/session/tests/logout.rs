//! Logout (rfc7143-initiator.md §14).

use super::bench::*;
use super::wire::*;
use crate::parameters::Parameters;
use crate::pdu::TmfFunction;
use crate::session::{
    ConnectionError, Direction, Event, Management, Outcome, PeerMisbehaved, SessionConfig,
};

fn logout(bench: &mut Bench) -> Pdu {
    bench.session.logout(bench.now);
    bench.settle();
    bench.take(LOGOUT)
}

fn is_closed(bench: &mut Bench) -> bool {
    bench.take_events().contains(&Event::Closed)
}

#[test]
fn ffp_17_1_and_sup_a12_nothing_follows_a_logout() {
    let config = SessionConfig::default();
    let mut bench = Bench::up(config, Parameters::default());
    let id = bench.read(4);
    bench.take(COMMAND);
    let sent = logout(&mut bench);
    assert!(sent.is_immediate() && sent.is_final());
    assert_eq!(sent.header[1], 0x80, "close the session");
    assert!(sent.data.is_empty());
    bench.read(4);
    assert_eq!(bench.outcome(), Outcome::Closed);
    let request = Management {
        function: TmfFunction::ClearAca,
        lun: LUN_3,
        task: None,
        token: Some(3),
    };
    bench.session.manage(bench.now, request).unwrap();
    bench.session.abort(bench.now, id).unwrap();
    bench.session.logout(bench.now);
    bench.say(async_message(4, [0, 0, 3]));
    bench.say(async_message(1, [0, 0, 3]));
    // Not even a ping, however silent it is.
    bench.pass(14 * SECOND);
    bench.silent();
    assert_eq!(bench.outcome(), Outcome::Closed);
    bench.say(logout_response(sent.get_itt(), 0, 0, 0));
    assert_eq!(bench.outcome(), Outcome::Closed);
    assert!(is_closed(&mut bench));
    assert_eq!((bench.disconnects, bench.farewells), (1, 1));
    assert!(bench.session.poll_timeout().is_none());
}

#[test]
fn a_command_may_end_between_logout_and_its_response() {
    let mut bench = Bench::with(|p| p.immediate_data = false);
    let (read, write) = (bench.read(4), bench.write(4));
    bench.take_all();
    let itt = logout(&mut bench).get_itt();
    bench.say(with_status(data_in(read.itt(), 0, 0, &[1; 4])));
    assert!(matches!(bench.outcome(), Outcome::Completed(_)));
    bench.say(r2t(write.itt(), 1, 0, 0, 4));
    bench.take(DATA_OUT);
    bench.say(logout_response(itt, 0, 0, 0));
    assert_eq!(bench.outcome(), Outcome::Closed);
}

#[test]
fn sup_a12_each_logout_response_closes() {
    for code in [0, 1, 2, 3] {
        let mut bench = Bench::plain();
        let itt = logout(&mut bench).get_itt();
        bench.say(logout_response(itt, code, 2, 20));
        assert!(is_closed(&mut bench));
        assert!(!bench.session.is_up());
    }
}

#[test]
fn sup_a12_a_logout_that_is_not_answered_ends_all_the_same() {
    let mut bench = Bench::plain();
    bench.read(4);
    bench.take(COMMAND);
    logout(&mut bench);
    bench.pass(14 * SECOND);
    assert!(!is_closed(&mut bench));
    bench.pass(SECOND);
    assert!(is_closed(&mut bench));
    assert_eq!(bench.outcome(), Outcome::Closed);
    assert_eq!((bench.disconnects, bench.farewells), (1, 0));
}

#[test]
fn sup_a12_the_target_may_close_first() {
    let mut bench = Bench::plain();
    bench.read(4);
    logout_after_command(&mut bench);
    bench.cut();
    assert!(is_closed(&mut bench));
    assert_eq!(bench.outcome(), Outcome::Closed);
    bench.pass(100 * SECOND);
    assert!(bench.connects.is_empty());
}

fn logout_after_command(bench: &mut Bench) {
    bench.take(COMMAND);
    logout(bench);
}

#[test]
fn a_logout_without_a_connection_just_closes() {
    let mut bench = Bench::down(quiet(), Parameters::default());
    bench.read(4);
    bench.session.logout(bench.now);
    bench.settle();
    assert!(is_closed(&mut bench));
    assert_eq!(bench.outcome(), Outcome::Closed);
    // A login that was under way comes too late.
    bench.login(Some(1));
    assert_eq!(bench.disconnects, 1);
}

#[test]
fn a_full_session_can_be_logged_out_of() {
    let config = SessionConfig {
        max_tasks: 4,
        ..quiet()
    };
    let mut bench = Bench::up(config, Parameters::default());
    for _ in 0..4 {
        bench.read(0);
    }
    bench.take_all();
    let itt = logout(&mut bench).get_itt();
    bench.say(logout_response(itt, 0, 0, 0));
    assert_eq!(bench.ended.len(), 4);
}

#[test]
fn a_rejected_logout_closes_too() {
    let mut bench = Bench::plain();
    let sent = logout(&mut bench);
    bench.say(reject(0x05, &sent));
    assert!(is_closed(&mut bench));
    // The one that the target had asked for: the session is made again.
    let mut bench = Bench::plain();
    bench.read(4);
    bench.take(COMMAND);
    bench.say(async_message(1, [0, 0, 3]));
    let sent = bench.take(LOGOUT);
    assert_eq!(
        bench.offend(reject(0x05, &sent)),
        ConnectionError::Announced(1)
    );
    bench.pass(2 * SECOND);
    bench.login(Some(1));
    bench.open();
    bench.take(COMMAND);
}

#[test]
fn a_logout_request_of_the_target_that_is_not_answered_costs_the_connection() {
    let mut bench = Bench::plain();
    bench.say(async_message(1, [0, 0, 3]));
    bench.take(LOGOUT);
    bench.pass(16 * SECOND);
    let error = bench.lost_by();
    assert!(matches!(error, ConnectionError::Unanswered(_)), "{error}");
}

#[test]
fn a_logout_of_ours_joins_the_one_the_target_asked_for() {
    let mut bench = Bench::plain();
    bench.say(async_message(1, [0, 0, 3]));
    let itt = bench.take(LOGOUT).get_itt();
    bench.session.logout(bench.now);
    bench.silent();
    bench.say(logout_response(itt, 0, 2, 20));
    assert!(is_closed(&mut bench));
    assert!(bench.connects.is_empty());
}

#[test]
fn a_logout_response_must_fit_a_logout() {
    let mut bench = Bench::plain();
    let id = bench.read(0);
    let offence = bench.misbehave(logout_response(id.itt(), 0, 0, 0));
    assert_eq!(offence, PeerMisbehaved::WrongTask(id.itt()));
    // The tag of a task that has ended: late, and of no effect.
    let mut bench = Bench::plain();
    let id = bench.read(0);
    bench.say(response(id.itt(), 0));
    bench.say(logout_response(id.itt(), 0, 0, 0));
    assert!(bench.session.is_up());
}

#[test]
fn closing_ends_everything_at_once() {
    let mut bench = Bench::window(1);
    bench.read(4);
    bench.submit(once(Direction::Read(4)));
    bench.take(COMMAND);
    bench.session.close();
    bench.session.close();
    bench.drain();
    assert_eq!(bench.ended.len(), 2);
    assert_eq!(bench.disconnects, 1);
    let closed = bench
        .take_events()
        .into_iter()
        .filter(|e| *e == Event::Closed);
    assert_eq!(closed.count(), 1);
}
