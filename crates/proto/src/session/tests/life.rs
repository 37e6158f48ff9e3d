//! NOPs both ways and the silence of a dead target (rfc7143-initiator.md §9).

use std::time::Duration;

use super::bench::*;
use super::wire::*;
use crate::parameters::Parameters;
use crate::pdu::Malformed;
use crate::session::{ConnectionError, Direction, Event, Outcome, PeerMisbehaved, SessionConfig};

/// Pings after five seconds of silence, gives up after three more.
fn pinging() -> Bench {
    let config = SessionConfig {
        ping_interval: 5 * SECOND,
        ping_timeout: 3 * SECOND,
        ..SessionConfig::default()
    };
    Bench::up(config, Parameters::default())
}

#[test]
fn ffp_15_1_and_sup_a05_a_ping_of_the_target_is_answered() {
    // 0 is a valid target transfer tag.
    for ttt in [0, 1, 0xffff_fffe] {
        let mut bench = Bench::plain();
        bench.say(nop_in(ttt).lun(LUN_3));
        let pong = bench.take(NOP_OUT);
        assert!(pong.is_immediate() && pong.is_final());
        assert_eq!((pong.get_itt(), pong.word20()), (NONE, ttt));
        assert_eq!(pong.get_lun(), LUN_3);
        assert!(pong.data.is_empty());
        bench.read(0);
        assert_eq!(bench.take(COMMAND).cmd_sn(), pong.cmd_sn());
    }
}

#[test]
fn sup_a05_a_nop_in_without_tags_is_not_answered() {
    let mut bench = Bench::plain();
    bench.say(nop_in(NONE));
    bench.silent();
}

#[test]
fn ffp_15_2_silence_brings_a_ping() {
    let mut bench = pinging();
    bench.pass(5 * SECOND - Duration::from_millis(1));
    bench.silent();
    bench.pass(Duration::from_millis(1));
    let ping = bench.take(NOP_OUT);
    assert!(ping.is_immediate() && ping.is_final());
    assert_eq!(ping.word20(), NONE);
    assert_ne!(ping.get_itt(), NONE);
    assert_eq!(ping.get_lun(), LUN_0);
    assert!(ping.data.is_empty());
    bench.say(echo(ping.get_itt()));
    bench.pass(5 * SECOND - Duration::from_millis(1));
    bench.silent();
    bench.pass(Duration::from_millis(1));
    bench.take(NOP_OUT);
    bench.nothing_ended();
}

#[test]
fn a_long_patience_does_not_make_pings_rare() {
    let config = SessionConfig {
        ping_interval: SECOND,
        ping_timeout: 30 * SECOND,
        ..SessionConfig::default()
    };
    let mut bench = Bench::up(config, Parameters::default());
    for _ in 0..3 {
        bench.pass(SECOND);
        let itt = bench.take(NOP_OUT).get_itt();
        bench.say(echo(itt));
    }
    // The last answer is what it was silent after.
    bench.pass(31 * SECOND - Duration::from_millis(1));
    assert!(bench.session.is_up());
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.lost_by(), ConnectionError::Silent(31 * SECOND));
}

#[test]
fn sup_a06_an_unanswered_ping_ends_the_connection_and_the_session_reconnects() {
    let mut bench = pinging();
    bench.pass(8 * SECOND - Duration::from_millis(1));
    bench.take(NOP_OUT);
    assert!(bench.session.is_up());
    bench.pass(Duration::from_millis(1));
    assert!(!bench.session.is_up());
    assert_eq!(bench.lost_by(), ConnectionError::Silent(8 * SECOND));
    bench.pass(2 * SECOND);
    bench.login(Some(1));
    bench.open();
    bench.read(0);
    bench.take(COMMAND);
}

#[test]
fn sup_a06_the_echo_may_hold_data() {
    let mut bench = pinging();
    bench.pass(5 * SECOND);
    let itt = bench.take(NOP_OUT).get_itt();
    bench.say(echo(itt).data(&[5; 8192]));
    bench.pass(4 * SECOND);
    assert!(bench.session.is_up());
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let mut bench = pinging();
    let mut slow = command(Direction::Read(64));
    slow.timeout = 3600 * SECOND;
    let id = bench.submit(slow);
    bench.take(COMMAND);
    let pdu = bench.number(with_status(data_in(id.itt(), 0, 0, &[1; 64])));
    for byte in pdu.to_wire(false, false, false) {
        bench.pass(4 * SECOND);
        bench.silent();
        bench.feed(&[byte]).unwrap();
    }
    assert_eq!(bench.end().buffer, [1; 64]);
}

#[test]
fn a_target_that_talks_but_answers_no_ping_has_one_open() {
    let mut bench = pinging();
    for _ in 0..50 {
        bench.pass(6 * SECOND);
        bench.say(nop_in(NONE));
    }
    let pings = bench.take_all().len();
    assert_eq!(pings, 1);
    assert!(bench.session.is_up());
}

#[test]
fn traffic_leaves_no_room_for_pings() {
    let mut bench = pinging();
    for _ in 0..20 {
        bench.pass(2 * SECOND);
        let id = bench.read(0);
        bench.take(COMMAND);
        bench.say(response(id.itt(), 0));
    }
    bench.silent();
}

#[test]
fn pings_can_be_switched_off() {
    let mut bench = Bench::plain();
    bench.pass(3600 * SECOND);
    bench.silent();
    assert!(bench.session.is_up());
}

#[test]
fn a_full_table_does_not_keep_the_session_from_pinging() {
    let config = SessionConfig {
        max_tasks: 4,
        ..SessionConfig::default()
    };
    let mut bench = Bench::up(config, Parameters::default());
    for _ in 0..4 {
        bench.read(0);
    }
    assert!(!bench.session.has_room());
    bench.take_all();
    bench.pass(5 * SECOND);
    bench.take(NOP_OUT);
}

#[test]
fn a_nop_in_with_both_tags_is_a_format_error() {
    let mut bench = pinging();
    bench.pass(5 * SECOND);
    let itt = bench.take(NOP_OUT).get_itt();
    let error = bench.offend(echo(itt).put32(20, 1));
    assert_eq!(
        error,
        ConnectionError::Malformed(Malformed::NopInWithBothTags)
    );
}

#[test]
fn an_echo_must_fit_a_ping() {
    let mut bench = Bench::plain();
    let itt = bench.read(0).itt();
    assert_eq!(bench.misbehave(echo(itt)), PeerMisbehaved::WrongTask(itt));
    let mut bench = Bench::plain();
    assert_eq!(
        bench.misbehave(echo(0x0001_0004)),
        PeerMisbehaved::UnknownTask(0x0001_0004)
    );
}

#[test]
fn the_loss_of_a_ping_under_way_is_nobodys_business() {
    let mut bench = pinging();
    bench.pass(5 * SECOND);
    bench.take(NOP_OUT);
    bench.cut();
    bench.nothing_ended();
    assert!(
        bench
            .take_events()
            .iter()
            .all(|e| !matches!(e, Event::Done(_)))
    );
    let config = SessionConfig::default();
    assert_eq!(config.ping_interval, 5 * SECOND);
    bench.session.close();
    bench.settle();
    assert!(bench.ended.iter().all(|e| e.outcome != Outcome::Answered));
}
