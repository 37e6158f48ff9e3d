//! Asynchronous messages (rfc7143-initiator.md §11) and unasked text.

use std::time::Duration;

use super::bench::*;
use super::wire::*;
use crate::session::{ConnectionError, Direction, Event, Outcome, PeerMisbehaved};

#[test]
fn sup_a01_a_scsi_event_is_told_with_its_sense_and_costs_nothing() {
    let mut bench = Bench::plain();
    bench.take_events();
    // REPORTED LUNS DATA HAS CHANGED.
    let sense = [0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x3f, 0x0e];
    let data = [&[0, 14], &sense[..]].concat();
    bench.say(async_message(0, [0; 3]).lun(LUN_3).data(&data));
    let expected = Event::AsyncSense {
        lun: LUN_3,
        sense: sense.into(),
    };
    assert_eq!(bench.take_events(), [expected]);
    bench.read(0);
    bench.take(COMMAND);
    // Its StatSN was counted: Bench::judge has compared ExpStatSN.
    assert_eq!(bench.stat_sn, 0x4001);
}

#[test]
fn sup_a03_unknown_and_vendor_events_are_told_and_counted() {
    for event in [6, 100, 247, 248, 255] {
        let mut bench = Bench::plain();
        bench.take_events();
        bench.say(async_message(event, [1, 2, 3]).data(&[0, 0, 9, 9]));
        let parameters = [1, 2, 3];
        assert_eq!(
            bench.take_events(),
            [Event::AsyncNotice { event, parameters }]
        );
        bench.read(0);
        assert_eq!(bench.take(COMMAND).exp_stat_sn(), 0x4001);
    }
}

#[test]
fn sup_a02_event_5_is_safely_ignored_where_fast_abort_was_not_agreed() {
    let mut bench = Bench::with(|p| p.immediate_data = false);
    let id = bench.write(4);
    bench.take(COMMAND);
    bench.say(async_message(5, [0; 3]));
    bench.silent();
    bench.nothing_ended();
    bench.say(r2t(id.itt(), 1, 0, 0, 4));
    bench.take(DATA_OUT);
}

#[test]
fn ffp_14_1_and_20_1_and_sup_a04_a_logout_request_is_obeyed_at_once() {
    let mut bench = Bench::plain();
    let (repeated, lost) = (bench.read(4), bench.submit(once(Direction::Read(4))));
    bench.take_all();
    bench.say(async_message(1, [0, 0, 5]));
    let logout = bench.take(LOGOUT);
    assert!(logout.is_immediate());
    // Close the connection; its CID; no data.
    assert_eq!(logout.header[1], 0x81);
    assert_eq!(logout.header[20..22], [0, 0]);
    assert!(logout.data.is_empty());
    assert_ne!(logout.get_itt(), NONE);
    // No new requests of any kind, not even urgent ones or after opening the gate.
    bench.read(0);
    let mut urgent = command(Direction::None);
    urgent.urgent = true;
    bench.submit(urgent);
    bench.open();
    bench.say(async_message(4, [0, 0, 3]));
    bench.say(async_message(1, [0, 0, 1]));
    bench.session.abort(bench.now, repeated).unwrap();
    bench.silent();
    // Those under way may still end.
    bench.say(with_status(data_in(lost.itt(), 0, 0, &[1; 4])));
    assert!(matches!(bench.outcome(), Outcome::Completed(_)));
    let offer = logout_response(logout.get_itt(), 0, 7, 20);
    assert_eq!(bench.offend(offer), ConnectionError::Announced(1));
    assert_eq!(bench.farewells, 1);
    // Time2Wait of the response is waited (pitfall 44).
    bench.pass(7 * SECOND - Duration::from_millis(1));
    assert!(bench.connects.is_empty());
    bench.pass(Duration::from_millis(1));
    bench.login(Some(1));
    bench.take(COMMAND);
}

#[test]
fn a_command_that_may_not_be_repeated_does_not_survive_a_logout_request() {
    let mut bench = Bench::plain();
    bench.submit(once(Direction::Read(4)));
    bench.say(async_message(1, [0, 0, 5]));
    bench.take(COMMAND);
    let itt = bench.take(LOGOUT).get_itt();
    bench.offend(logout_response(itt, 0, 0, 0));
    assert_eq!(bench.outcome(), Outcome::Interrupted);
}

#[test]
fn ffp_20_2_a_connection_drop_is_taken_as_the_loss() {
    let mut bench = Bench::plain();
    bench.read(4);
    let error = bench.offend(async_message(2, [0, 0, 1]));
    assert_eq!(error, ConnectionError::Announced(2));
    assert_eq!(bench.disconnects, 1);
    // Parameter2 is 0: at once.
    bench.pass(Duration::ZERO);
    bench.login(Some(1));
    bench.open();
    bench.take(COMMAND);
}

#[test]
fn ffp_20_3_a_session_drop_is_waited_for() {
    let mut bench = Bench::plain();
    bench.read(4);
    let error = bench.offend(async_message(3, [0, 1, 2]));
    assert_eq!(error, ConnectionError::Announced(3));
    bench.pass(SECOND - Duration::from_millis(1));
    assert!(bench.connects.is_empty());
    bench.pass(SECOND);
    bench.login(Some(1));
    bench.open();
    bench.take(COMMAND);
}

#[test]
fn an_announced_wait_is_not_believed_beyond_an_hour() {
    let mut bench = Bench::plain();
    bench.offend(async_message(3, [0, 0xffff, 0xffff]));
    bench.pass(3600 * SECOND);
    assert_eq!(bench.connects.len(), 1);
}

#[test]
fn ffp_20_4_a_negotiation_request_brings_a_text_request() {
    let mut bench = Bench::plain();
    bench.say(async_message(4, [0, 0, 3]));
    let text = bench.take(TEXT);
    assert!(text.is_immediate() && text.is_final());
    assert_eq!((text.word20(), text.get_lun()), (NONE, LUN_0));
    assert!(text.data.is_empty());
    // One is pending: asking again changes nothing.
    for _ in 0..100 {
        bench.say(async_message(4, [0, 0, 3]));
    }
    bench.silent();
    let answer = Pdu::new(TEXT_RESPONSE, FINAL).itt(text.get_itt());
    bench.say(answer.put32(20, NONE));
    bench.say(async_message(4, [0, 0, 3]));
    bench.take(TEXT);
    bench.nothing_ended();
}

#[test]
fn a_text_request_that_is_not_answered_costs_the_connection() {
    let mut bench = Bench::plain();
    bench.say(async_message(4, [0, 0, 3]));
    bench.take(TEXT);
    bench.pass(16 * SECOND);
    let error = bench.lost_by();
    assert!(matches!(error, ConnectionError::Unanswered(_)), "{error}");
}

/// The target asks for a negotiation; gives the tag of our request.
fn asked_to_negotiate(bench: &mut Bench) -> u32 {
    bench.say(async_message(4, [0, 0, 3]));
    bench.take(TEXT).get_itt()
}

fn text(flags: u8, itt: u32, ttt: u32, data: &[u8]) -> Pdu {
    let pdu = Pdu::new(TEXT_RESPONSE, flags).itt(itt).put32(20, ttt);
    pdu.data(data)
}

/// C of a Text Response (RFC 7143 §11.11.2).
const CONTINUE: u8 = 0x40;

#[test]
fn a_segment_limit_that_the_target_declares_holds_from_the_end_of_its_text_on() {
    let mut bench = Bench::with(|p| p.immediate_data = false);
    let itt = asked_to_negotiate(&mut bench);
    bench.say(text(0, itt, 5, b"MaxRecvDataSegmentLength=512\0"));
    let write = bench.write(2048).itt();
    assert_eq!(bench.take(TEXT).word20(), 5);
    bench.take(COMMAND);
    bench.say(r2t(write, 1, 0, 0, 1024));
    assert_eq!(bench.take(DATA_OUT).data.len(), 1024, "not yet");
    bench.say(text(FINAL, itt, NONE, b"TargetAlias=disk\0"));
    bench.say(r2t(write, 2, 1, 1024, 1024));
    for _ in 0..2 {
        assert_eq!(bench.take(DATA_OUT).data.len(), 512);
    }
    bench.silent();
}

#[test]
fn text_may_come_in_pieces_and_unknown_keys_are_answered() {
    let mut bench = Bench::plain();
    let itt = asked_to_negotiate(&mut bench);
    // Cut within a key.
    bench.say(text(CONTINUE, itt, 0, b"X-com.exam").lun(LUN_3));
    let next = bench.take(TEXT);
    assert_eq!(
        (next.get_itt(), next.word20(), next.get_lun()),
        (itt, 0, LUN_3)
    );
    assert!(next.is_immediate() && next.is_final() && next.data.is_empty());
    bench.say(text(0, itt, 9, b"ple=1\0X-com.other=Reject\0"));
    let next = bench.take(TEXT);
    assert_eq!(
        (next.get_itt(), next.word20(), next.get_lun()),
        (itt, 9, LUN_0)
    );
    assert_eq!(next.data, b"X-com.example=NotUnderstood\0");
    bench.say(text(FINAL, itt, NONE, b""));
    bench.silent();
    // The next sequence begins without a tag.
    bench.say(async_message(4, [0, 0, 3]));
    let first = bench.take(TEXT);
    assert_eq!((first.word20(), first.get_lun()), (NONE, LUN_0));
    assert!(first.data.is_empty());
}

#[test]
fn a_text_sequence_that_breaks_off_changes_nothing() {
    let mut bench = Bench::with(|p| p.immediate_data = false);
    let itt = asked_to_negotiate(&mut bench);
    bench.say(text(0, itt, 5, b"MaxRecvDataSegmentLength=512\0"));
    let request = bench.take(TEXT);
    bench.say(reject(0x0b, &request));
    let write = bench.write(1024).itt();
    bench.take(COMMAND);
    bench.say(r2t(write, 1, 0, 0, 1024));
    assert_eq!(bench.take(DATA_OUT).data.len(), 1024);
    // Nor does it count in the next sequence.
    let itt = asked_to_negotiate(&mut bench);
    bench.say(text(FINAL, itt, NONE, b"MaxRecvDataSegmentLength=8192\0"));
    assert!(bench.session.is_up());
}

#[test]
fn a_text_sequence_does_not_go_on_behind_a_logout() {
    let mut bench = Bench::plain();
    let itt = asked_to_negotiate(&mut bench);
    bench.session.logout(bench.now);
    bench.settle();
    bench.take(LOGOUT);
    bench.say(text(0, itt, 1, b""));
    bench.silent();
}

#[test]
fn text_that_cannot_be() {
    for data in [
        &b"no pair"[..],
        b"MaxRecvDataSegmentLength=511\0",
        b"MaxRecvDataSegmentLength=16777216\0",
        b"MaxRecvDataSegmentLength=many\0",
        b"MaxRecvDataSegmentLength=512\0MaxRecvDataSegmentLength=512\0",
    ] {
        let mut bench = Bench::plain();
        let itt = asked_to_negotiate(&mut bench);
        let offence = bench.misbehave(text(FINAL, itt, NONE, data));
        assert_eq!(offence, PeerMisbehaved::MalformedText);
    }
}

#[test]
fn a_text_sequence_has_an_end() {
    let mut bench = Bench::plain();
    let itt = asked_to_negotiate(&mut bench);
    for _ in 0..16 {
        bench.say(text(0, itt, 1, b""));
        bench.take(TEXT);
    }
    let offence = bench.misbehave(text(FINAL, itt, NONE, b""));
    assert_eq!(offence, PeerMisbehaved::EndlessText);
}

#[test]
fn a_second_answer_to_one_text_request_is_an_offence() {
    let mut bench = Bench::plain();
    let itt = asked_to_negotiate(&mut bench);
    let mut bytes = Vec::new();
    for _ in 0..2 {
        let pdu = bench.number(text(0, itt, 1, b""));
        bytes.extend(pdu.to_wire(false, false, false));
    }
    let offence = PeerMisbehaved::WrongTask(itt);
    assert_eq!(
        bench.feed(&bytes),
        Err(ConnectionError::PeerMisbehaved(offence))
    );
}

#[test]
fn text_responses_must_fit_a_text_request() {
    let text = |itt| Pdu::new(TEXT_RESPONSE, FINAL).itt(itt).put32(20, NONE);
    let mut bench = Bench::plain();
    let itt = bench.read(0).itt();
    assert_eq!(bench.misbehave(text(itt)), PeerMisbehaved::WrongTask(itt));
    let mut bench = Bench::plain();
    assert_eq!(bench.misbehave(text(77)), PeerMisbehaved::UnknownTask(77));
}
