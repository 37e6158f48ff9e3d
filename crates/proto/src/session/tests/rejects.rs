//! Reject (rfc7143-initiator.md §12).

use std::time::Duration;

use super::bench::*;
use super::wire::*;
use crate::parameters::Parameters;
use crate::pdu::TmfFunction;
use crate::session::{
    ConnectionError, Direction, Management, Outcome, PeerMisbehaved, SessionConfig,
};

const REASONS: [u8; 11] = [
    0x02, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x77,
];
/// Those after which the PDU may be sent again.
const RESENDABLE: [u8; 4] = [0x02, 0x03, 0x06, 0x0a];

/// Sends a command that the target does not count, and gives its PDU.
fn uncounted(bench: &mut Bench) -> Pdu {
    bench.write(4);
    let sent = bench.take(COMMAND);
    bench.exp_cmd_sn = sent.cmd_sn();
    bench.check_cmd_sn = false;
    sent
}

#[test]
fn sup_a13_a_rejected_command_ends_and_its_number_is_filled_in() {
    for reason in REASONS {
        let mut bench = Bench::plain();
        let victim = uncounted(&mut bench);
        bench.say(reject(reason, &victim));
        assert_eq!(bench.outcome(), Outcome::Rejected { reason });
        let plug = bench.take(NOP_OUT);
        assert!(
            !plug.is_immediate(),
            "only a numbered request takes a number"
        );
        assert_eq!(plug.cmd_sn(), victim.cmd_sn());
        assert_ne!(plug.get_itt(), NONE);
        assert_eq!(plug.word20(), NONE);
        (bench.exp_cmd_sn, bench.check_cmd_sn) = (0x1001, true);
        bench.say(echo(plug.get_itt()));
        // The window goes on where it was.
        bench.read(0);
        assert_eq!(bench.take(COMMAND).cmd_sn(), 0x1001);
    }
}

#[test]
fn a_number_that_the_target_has_counted_is_not_filled_in() {
    let mut bench = Bench::plain();
    bench.read(0);
    let victim = bench.take(COMMAND);
    bench.say(reject(0x05, &victim));
    assert_eq!(bench.outcome(), Outcome::Rejected { reason: 5 });
    bench.silent();
}

#[test]
fn all_numbers_of_many_rejected_commands_are_filled_in() {
    let config = SessionConfig {
        max_tasks: 32,
        ..quiet()
    };
    let mut bench = Bench::up(config, Parameters::default());
    for _ in 0..32 {
        bench.read(0);
    }
    let victims = bench.take_all();
    (bench.exp_cmd_sn, bench.check_cmd_sn) = (0x1000, false);
    let mut bytes = Vec::new();
    for victim in &victims {
        let pdu = bench.number(reject(0x05, victim));
        bytes.extend(pdu.to_wire(false, false, false));
    }
    bench.feed(&bytes).unwrap();
    let mut plugged = Vec::new();
    while let Some(plug) = bench.sent.pop_front() {
        assert_eq!(plug.opcode(), NOP_OUT);
        plugged.push(plug.cmd_sn());
        bench.exp_cmd_sn += 1;
        bench.say(echo(plug.get_itt()));
    }
    assert_eq!(plugged, (0x1000..0x1020).collect::<Vec<_>>());
    assert_eq!(bench.ended.len(), 32);
}

#[test]
fn a_target_that_does_not_take_the_fill_in_is_given_up() {
    let mut bench = Bench::plain();
    let victim = uncounted(&mut bench);
    bench.say(reject(0x05, &victim));
    bench.take(NOP_OUT);
    bench.pass(15 * SECOND);
    bench.pass(SECOND);
    assert_eq!(bench.lost_by(), ConnectionError::WindowJammed);
    // Or it rejects that as well.
    let mut bench = Bench::plain();
    let victim = uncounted(&mut bench);
    bench.say(reject(0x05, &victim));
    let plug = bench.take(NOP_OUT);
    assert_eq!(
        bench.offend(reject(0x05, &plug)),
        ConnectionError::WindowJammed
    );
}

#[test]
fn a_fill_in_that_was_counted_but_never_echoed_is_forgotten() {
    let mut bench = Bench::plain();
    let victim = uncounted(&mut bench);
    bench.say(reject(0x05, &victim));
    bench.take(NOP_OUT);
    (bench.exp_cmd_sn, bench.check_cmd_sn) = (0x1001, true);
    bench.say(nop_in(NONE));
    bench.pass(60 * SECOND);
    assert!(bench.session.is_up());
    assert!(bench.session.poll_timeout().is_none(), "no task is left");
}

#[test]
fn sup_a13_a_rejected_data_out_does_not_end_its_task() {
    let mut bench = Bench::with(|p| p.immediate_data = false);
    let id = bench.write(512);
    bench.take(COMMAND);
    bench.say(r2t(id.itt(), 1, 0, 0, 512));
    let data = bench.take(DATA_OUT);
    bench.say(reject(0x02, &data));
    bench.silent();
    bench.nothing_ended();
    bench.say(response(id.itt(), 0));
    assert!(matches!(bench.outcome(), Outcome::Completed(_)));
}

#[test]
fn sup_a13_a_rejected_ping_is_over() {
    for reason in REASONS {
        let config = SessionConfig::default();
        let mut bench = Bench::up(config, Parameters::default());
        bench.pass(5 * SECOND);
        let ping = bench.take(NOP_OUT);
        bench.say(reject(reason, &ping));
        bench.nothing_ended();
        bench.silent();
        bench.pass(Duration::from_millis(300));
        let again = bench.take_all();
        assert_eq!(again.len(), usize::from(RESENDABLE.contains(&reason)));
        assert!(bench.session.is_up());
    }
}

#[test]
fn sup_a13_a_rejected_text_request_is_over() {
    for reason in [0x04, 0x05, 0x09, 0x0b] {
        let mut bench = Bench::plain();
        bench.say(async_message(4, [0, 0, 3]));
        let text = bench.take(TEXT);
        bench.say(reject(reason, &text));
        bench.pass(60 * SECOND);
        bench.silent();
        assert!(bench.session.is_up());
    }
}

fn reset(bench: &mut Bench) -> Pdu {
    let request = Management {
        function: TmfFunction::LogicalUnitReset,
        lun: LUN_3,
        task: None,
        token: Some(7),
    };
    bench.session.manage(bench.now, request).unwrap();
    bench.settle();
    bench.take(TMF)
}

#[test]
fn sup_a13_a_rejected_function_reads_as_refused() {
    for reason in [0x04, 0x05, 0x09, 0x0c] {
        let mut bench = Bench::plain();
        let tmf = reset(&mut bench);
        bench.say(reject(reason, &tmf));
        assert_eq!(bench.outcome(), Outcome::Managed { response: 255 });
        bench.silent();
    }
}

#[test]
fn sup_a13_a_rejected_abort_of_a_late_command_is_followed_by_a_reset() {
    let mut bench = Bench::plain();
    bench.submit(once(Direction::None));
    bench.take(COMMAND);
    bench.pass(11 * SECOND);
    let abort = bench.take(TMF);
    bench.say(reject(0x05, &abort));
    assert_eq!(bench.take(TMF).header[1], 0x85);
}

#[test]
fn sup_a13_an_immediate_request_there_was_no_room_for_goes_out_again() {
    for reason in RESENDABLE {
        let mut bench = Bench::plain();
        let tmf = reset(&mut bench);
        bench.say(reject(reason, &tmf));
        // Not in the same breath: the target has just said that it is too much.
        bench.silent();
        bench.pass(Duration::from_millis(250));
        let again = bench.take(TMF);
        assert_eq!(again.get_itt(), tmf.get_itt());
        bench.say(tmf_response(again.get_itt(), 0));
        assert_eq!(bench.outcome(), Outcome::Managed { response: 0 });
    }
}

#[test]
fn a_target_that_never_has_room_does_not_keep_a_function_alive() {
    let mut bench = Bench::plain();
    let mut sent = vec![reset(&mut bench)];
    let mut times = 0;
    let begin = bench.now;
    while bench.ended.is_empty() {
        for pdu in std::mem::take(&mut sent) {
            times += 1;
            // Twice is no more than once.
            bench.say(reject(0x06, &pdu));
            bench.say(reject(0x06, &pdu));
        }
        bench.pass(Duration::from_millis(50));
        sent = bench.take_all();
        assert!(sent.len() <= 1);
    }
    assert_eq!(bench.ended[0].outcome, Outcome::TimedOut);
    assert!(bench.now - begin <= 16 * SECOND);
    assert!(times <= 61, "sent {times} times");
}

#[test]
fn sup_a13_a_reject_that_names_nothing_of_ours_is_counted() {
    let mut bench = Bench::plain();
    let id = bench.read(0);
    let sent = bench.take(COMMAND);
    bench.say(response(id.itt(), 0));
    bench.outcome();
    // A task that has ended; one that never was; another kind of PDU with a living tag.
    bench.say(reject(0x04, &sent));
    bench.say(reject(0x04, &sent.clone().itt(0x7777_7777)));
    let id = bench.read(0);
    let mut other = bench.take(COMMAND);
    other.header[0] = 0x50;
    bench.say(reject(0x04, &other));
    bench.nothing_ended();
    bench.say(response(id.itt(), 0));
    assert!(matches!(bench.outcome(), Outcome::Completed(_)));
    bench.silent();
}

#[test]
fn a_reject_needs_the_rejected_header() {
    for length in [0, 1, 47] {
        let mut bench = Bench::plain();
        bench.read(0);
        let victim = bench.take(COMMAND);
        let mut pdu = reject(0x04, &victim);
        pdu.data.truncate(length);
        assert_eq!(bench.misbehave(pdu), PeerMisbehaved::RejectWithoutHeader);
    }
}

#[test]
fn ffp_18_5_a_rejected_text_request_leaves_the_connection_alone() {
    let mut bench = Bench::plain();
    bench.say(async_message(4, [0, 0, 3]));
    let text = bench.take(TEXT);
    bench.say(reject(0x0b, &text));
    assert!(bench.session.is_up());
    bench.say(async_message(4, [0, 0, 3]));
    assert_ne!(bench.take(TEXT).get_itt(), text.get_itt());
}
