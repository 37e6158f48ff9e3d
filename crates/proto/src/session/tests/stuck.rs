//! Commands that do not end: abort, reset, drop (rfc7143-initiator.md TMF-11, pitfall 35).

use std::time::Duration;

use super::bench::*;
use super::wire::*;
use crate::parameters::Parameters;
use crate::session::{ConnectionError, Direction, Escalation, Event, Hold, Outcome, SessionConfig};

/// A command has ten seconds, and deadlines are looked at four times a second.
const OVERDUE: Duration = Duration::from_millis(10_250);
/// A function has fifteen.
const UNANSWERED: Duration = Duration::from_millis(15_250);

fn escalations(bench: &mut Bench) -> Vec<Escalation> {
    let events = bench.take_events().into_iter();
    let steps = events.filter_map(|event| match event {
        Event::Escalated(step) => Some(step),
        _ => None,
    });
    steps.collect()
}

#[test]
fn sup_a11_a_late_command_is_aborted_and_ends_when_the_target_says_so() {
    let mut bench = Bench::plain();
    let id = bench.submit(once(Direction::Read(8)));
    bench.take(COMMAND);
    bench.pass(9 * SECOND);
    bench.silent();
    bench.pass(OVERDUE - 9 * SECOND);
    let tmf = bench.take(TMF);
    assert_eq!((tmf.header[1], tmf.word20()), (0x81, id.itt()));
    assert_eq!(escalations(&mut bench), [Escalation::AbortTask]);
    bench.nothing_ended();
    bench.say(tmf_response(tmf.get_itt(), 0));
    assert_eq!(bench.outcome(), Outcome::TimedOut);
}

#[test]
fn a_late_answer_is_better_than_none() {
    let mut bench = Bench::plain();
    let id = bench.submit(once(Direction::Read(8)));
    bench.take(COMMAND);
    bench.pass(OVERDUE);
    let tmf = bench.take(TMF).get_itt();
    bench.say(with_status(data_in(id.itt(), 0, 0, &[1; 8])));
    assert!(matches!(bench.outcome(), Outcome::Completed(_)));
    bench.say(tmf_response(tmf, 1));
    bench.nothing_ended();
    bench.pass(60 * SECOND);
    bench.silent();
}

#[test]
fn a_late_command_that_may_be_repeated_is_until_the_hold_time_is_over() {
    let mut bench = Bench::plain();
    bench.read(8);
    let mut attempts = 0;
    while bench.ended.is_empty() {
        bench.take(COMMAND);
        attempts += 1;
        bench.pass(OVERDUE);
        let tmf = bench.take(TMF).get_itt();
        bench.say(tmf_response(tmf, 0));
    }
    assert_eq!(bench.outcome(), Outcome::TimedOut);
    // 120 seconds of hold, ten and a quarter an attempt.
    assert_eq!(attempts, 12);
}

#[test]
fn sup_a11_abort_refused_then_reset_of_the_unit() {
    for code in [2, 3, 4, 5, 6, 255] {
        let mut bench = Bench::plain();
        let mut late = once(Direction::Read(8));
        late.lun = LUN_3;
        bench.submit(late);
        bench.take(COMMAND);
        bench.pass(OVERDUE);
        let tmf = bench.take(TMF).get_itt();
        bench.say(tmf_response(tmf, code));
        let reset = bench.take(TMF);
        assert_eq!((reset.header[1], reset.get_lun()), (0x85, LUN_3));
        assert_eq!((reset.word20(), reset.get32(32)), (NONE, 0));
        bench.nothing_ended();
        bench.say(tmf_response(reset.get_itt(), 0));
        assert_eq!(bench.outcome(), Outcome::TimedOut);
        let steps = [Escalation::AbortTask, Escalation::LogicalUnitReset];
        assert_eq!(escalations(&mut bench), steps);
        bench.silent();
    }
}

#[test]
fn sup_a11_no_answer_to_abort_then_none_to_reset_then_the_connection_is_dropped() {
    let mut bench = Bench::plain();
    bench.submit(once(Direction::Read(8)));
    let other = bench.read(8);
    bench.take_all();
    // The other one is answered: only one command hangs.
    bench.say(with_status(data_in(other.itt(), 0, 0, &[1; 8])));
    bench.outcome();
    bench.pass(OVERDUE);
    bench.take(TMF);
    bench.pass(UNANSWERED);
    assert_eq!(bench.take(TMF).header[1], 0x85);
    bench.nothing_ended();
    bench.pass(UNANSWERED);
    assert!(!bench.session.is_up());
    assert_eq!(bench.outcome(), Outcome::TimedOut);
    let events = bench.take_events();
    assert!(events.contains(&Event::Escalated(Escalation::DropConnection)));
    assert!(events.contains(&Event::Lost(ConnectionError::Stuck)));
}

#[test]
fn sup_a11_reset_refused_then_the_connection_is_dropped() {
    let mut bench = Bench::plain();
    bench.read(8);
    bench.take(COMMAND);
    bench.pass(OVERDUE);
    for _ in 0..2 {
        let tmf = bench.take(TMF).get_itt();
        bench.say(tmf_response(tmf, 5));
    }
    assert_eq!(bench.lost_by(), ConnectionError::Stuck);
    // The next login ends it on the target; then it goes out again.
    bench.nothing_ended();
    bench.pass(2 * SECOND);
    bench.login(Some(1));
    bench.open();
    bench.take(COMMAND);
}

#[test]
fn many_late_commands_are_all_ended() {
    let config = SessionConfig {
        max_tasks: 200,
        ..quiet()
    };
    let mut bench = Bench::up(config, Parameters::default());
    bench.grant = Some(300);
    bench.say(nop_in(NONE));
    for _ in 0..200 {
        bench.submit(once(Direction::None));
    }
    assert!(!bench.session.has_room());
    bench.take_all();
    bench.pass(OVERDUE);
    // More than wait for their turn; the rest is looked at again.
    for _ in 0..200 {
        let tmf = bench.take(TMF);
        assert_eq!(tmf.header[1], 0x81);
        bench.say(tmf_response(tmf.get_itt(), 0));
        bench.pass(Duration::from_millis(250));
    }
    assert_eq!(bench.ended.len(), 200);
    assert!(bench.ended.iter().all(|e| e.outcome == Outcome::TimedOut));
    assert!(bench.session.is_up());
    bench.silent();
}

#[test]
fn one_reset_spares_the_aborts_of_its_unit() {
    let mut bench = Bench::plain();
    for _ in 0..5 {
        bench.submit(once(Direction::None));
    }
    bench.take_all();
    bench.pass(OVERDUE);
    let tmf = bench.take(TMF).get_itt();
    bench.say(tmf_response(tmf, 255));
    let reset = bench.take(TMF);
    bench.say(tmf_response(reset.get_itt(), 0));
    assert_eq!(bench.ended.len(), 5);
    bench.silent();
    // The next function is not held up.
    bench.ended.clear();
    bench.submit(once(Direction::None));
    bench.take(COMMAND);
    bench.pass(OVERDUE);
    bench.take(TMF);
}

#[test]
fn a_window_that_stays_closed_without_a_cause_costs_the_connection() {
    let mut bench = Bench::window(0);
    bench.read(8);
    bench.pass(10 * SECOND);
    assert!(bench.session.is_up());
    bench.pass(SECOND);
    assert_eq!(bench.lost_by(), ConnectionError::WindowJammed);
    // Again and again: after the hold time the command ends.
    let mut logins = 0;
    while bench.ended.is_empty() {
        bench.pass(SECOND);
        if !bench.connects.is_empty() {
            logins += 1;
            assert!(logins < 30);
            bench.login(Some(1));
            bench.open();
        }
    }
    assert_eq!(bench.outcome(), Outcome::Disconnected);
}

#[test]
fn a_window_may_be_closed_as_long_as_commands_are_under_way() {
    let mut bench = Bench::window(1);
    let mut slow = command(Direction::None);
    slow.timeout = 600 * SECOND;
    let slow = bench.submit(slow);
    bench.read(8);
    bench.take(COMMAND);
    bench.pass(500 * SECOND);
    assert!(bench.session.is_up());
    bench.max_cmd_sn += 1;
    bench.say(response(slow.itt(), 0));
    bench.take(COMMAND);
}

#[test]
fn commands_of_a_session_that_holds_for_ever_are_repeated_for_ever() {
    let mut bench = Bench::plain();
    bench.session.set_hold(Hold::Forever);
    bench.read(8);
    for _ in 0..100 {
        bench.take(COMMAND);
        bench.pass(OVERDUE);
        let tmf = bench.take(TMF).get_itt();
        bench.say(tmf_response(tmf, 0));
    }
    bench.nothing_ended();
}

#[test]
fn times_without_limit_do_not_overflow() {
    let config = SessionConfig {
        hold: Hold::For(Duration::MAX),
        ..quiet()
    };
    let mut bench = Bench::up(config, Parameters::default());
    let mut patient = command(Direction::None);
    patient.timeout = Duration::MAX;
    bench.submit(patient);
    bench.take(COMMAND);
    bench.pass(SECOND);
    bench.cut();
    bench.pass(SECOND);
    bench.nothing_ended();
}

/// Nothing else would notice: the command has its answer, later ones wait to be sent, and a target
/// that goes on talking is alive.
#[test]
fn an_answered_command_whose_data_the_target_never_reads_costs_the_connection() {
    let mut bench = Bench::plain();
    bench.writing = Some(crate::session::Transmit::default());
    let write = bench.write(4096);
    let _half_written = bench.begin_write().unwrap();
    bench.say(response(write.itt(), 0x08));
    let waiting = bench.read(8);
    bench.pass(9 * SECOND);
    bench.nothing_ended();
    bench.pass(OVERDUE - 9 * SECOND);
    assert_eq!(bench.lost_by(), ConnectionError::Stuck);
    // The answer counts, and what waited is sent when the session is back.
    assert!(matches!(bench.outcome(), Outcome::Completed(_)));
    bench.take_all();
    bench.pass(2 * SECOND);
    bench.login(Some(1));
    bench.open();
    assert_eq!(bench.take(COMMAND).get_itt(), waiting.itt());
}
