//! A hostile target: each offence has its name, and none of them a way in.
//!
//! Offences that belong to one rule are tested with it; [`each_offence_has_a_test`] keeps the list
//! complete.

use super::bench::*;
use super::wire::*;
use crate::pdu::{Malformed, Opcode};
use crate::session::{ConnectionError, PeerMisbehaved};
use crate::stream::Offence;

/// The compiler refuses a variant that is not named here with the test that provokes it.
#[test]
fn each_offence_has_a_test() {
    fn test_of(offence: &PeerMisbehaved) -> &'static str {
        use PeerMisbehaved as P;
        match offence {
            P::LoginResponseAfterLogin => "hostile::login_pdus_after_the_login",
            P::UnknownTask(_) => "hostile::sup_g04_unknown_tags",
            P::WrongTask(_) => "hostile::pdus_of_the_wrong_kind",
            P::WrongLun { .. } => "writes::an_r2t_is_for_the_logical_unit_of_its_command",
            P::StatSnGap { .. } => {
                "numbers::ffp_5_1_and_sup_a16_a_gap_in_stat_sn_costs_the_session"
            }
            P::DataSnGap { .. } => "reads::sup_x04_a_gap_in_data_sn_is_lost_data",
            P::R2tSnGap { .. } => "writes::sup_x03_a_gap_in_r2t_sn_or_a_repeated_one",
            P::DataOutOfBounds { .. } => "reads::sup_x04_data_outside_the_buffer",
            P::DataOutOfOrder { .. } => "reads::sup_x04_holes_and_overlaps_where_order_was_agreed",
            P::DataHole => "reads::sup_x04_a_hole_where_no_order_was_agreed",
            P::DataCountWrong { .. } => "reads::the_response_may_not_count_more_data_than_came",
            P::R2tOutOfBounds { .. } => "writes::sup_x02_r2ts_that_do_not_fit_the_command",
            P::TooManyR2ts => "writes::sup_x03_more_r2ts_than_agreed",
            P::NoSense => "reads::sup_x07_check_condition_without_a_data_segment_is_a_format_error",
            P::CheckConditionInData => "reads::sup_x05_check_condition_in_a_data_in_is_refused",
            P::ExcessData(_) => "hostile::more_data_than_a_pdu_can_need",
            P::MalformedText => "events::text_that_cannot_be",
            P::EndlessText => "events::a_text_sequence_has_an_end",
            P::RejectWithoutHeader => "rejects::a_reject_needs_the_rejected_header",
        }
    }
    fn test_of_error(error: &ConnectionError) -> &'static str {
        use ConnectionError as C;
        match error {
            C::Stream(_) => "hostile::sup_g02_header_digest",
            C::Malformed(_) => "hostile::sup_g04_headers_that_may_not_be",
            C::DataDigest => "hostile::sup_g03_data_digest",
            C::PeerMisbehaved(offence) => test_of(offence),
            C::Transport(_) => "numbers::sup_g05_the_target_may_close_in_the_middle_of_a_pdu",
            C::Silent(_) => {
                "life::sup_a06_an_unanswered_ping_ends_the_connection_and_the_session_reconnects"
            }
            C::Unanswered(_) => "events::a_text_request_that_is_not_answered_costs_the_connection",
            C::Announced(_) => "events::ffp_20_2_a_connection_drop_is_taken_as_the_loss",
            C::Stuck => "stuck::sup_a11_reset_refused_then_the_connection_is_dropped",
            C::WindowJammed => {
                "stuck::a_window_that_stays_closed_without_a_cause_costs_the_connection"
            }
            // Both are reasons of the driver, which the session only passes on.
            C::LoggedOut => "connections::a_connection_can_be_added_and_removed_while_commands_run",
            C::CleanupFailed => {
                "connections::a_cleanup_that_fails_is_tried_again_and_then_costs_the_session"
            }
            C::NotSentAgain => "snack::a_status_that_is_never_sent_again_costs_the_connection",
            C::Requested | C::UnitReset => "loss::a_second_word_of_a_loss_is_ignored",
        }
    }
    let sources = [
        ("connections", include_str!("connections.rs")),
        ("events", include_str!("events.rs")),
        ("hostile", include_str!("hostile.rs")),
        ("life", include_str!("life.rs")),
        ("loss", include_str!("loss.rs")),
        ("numbers", include_str!("numbers.rs")),
        ("reads", include_str!("reads.rs")),
        ("rejects", include_str!("rejects.rs")),
        ("snack", include_str!("snack.rs")),
        ("stuck", include_str!("stuck.rs")),
        ("writes", include_str!("writes.rs")),
    ];
    for name in all_errors().iter().map(test_of_error) {
        let (file, function) = name.split_once("::").unwrap();
        let source = sources.iter().find(|(known, _)| *known == file).unwrap().1;
        assert!(source.contains(&format!("fn {function}()")), "{name}");
    }
}

/// One of each.
fn all_errors() -> Vec<ConnectionError> {
    use PeerMisbehaved as P;
    let (got, expected) = (1, 2);
    let offences = [
        P::LoginResponseAfterLogin,
        P::UnknownTask(1),
        P::WrongTask(1),
        P::WrongLun {
            got: LUN_0,
            expected: LUN_3,
        },
        P::StatSnGap { got, expected },
        P::DataSnGap { got, expected },
        P::R2tSnGap { got, expected },
        P::DataOutOfBounds {
            offset: 1,
            length: 2,
            expected,
        },
        P::DataOutOfOrder { got, expected },
        P::DataCountWrong {
            counted: 2,
            received: 1,
        },
        P::R2tOutOfBounds {
            offset: 1,
            length: 2,
        },
        P::TooManyR2ts,
        P::NoSense,
        P::CheckConditionInData,
        P::ExcessData(1),
        P::MalformedText,
        P::EndlessText,
        P::RejectWithoutHeader,
    ];
    let mut all: Vec<_> = offences.map(ConnectionError::PeerMisbehaved).into();
    all.extend([
        ConnectionError::Stream(Offence::AhsTooLong {
            length: 1,
            opcode: 1,
        }),
        ConnectionError::Malformed(Malformed::R2tWithoutTag),
        ConnectionError::DataDigest,
        ConnectionError::Transport(String::new()),
        ConnectionError::Silent(SECOND),
        ConnectionError::Unanswered(SECOND),
        ConnectionError::Announced(1),
        ConnectionError::Stuck,
        ConnectionError::WindowJammed,
        ConnectionError::Requested,
        ConnectionError::UnitReset,
    ]);
    all
}

#[test]
fn login_pdus_after_the_login() {
    let mut bench = Bench::plain();
    let offence = bench.misbehave(Pdu::new(LOGIN_RESPONSE, 0x87).byte(15, 1));
    assert_eq!(offence, PeerMisbehaved::LoginResponseAfterLogin);
}

#[test]
fn sup_g04_unknown_tags() {
    type Say = fn(u32) -> Pdu;
    let kinds: [Say; 6] = [
        |itt| response(itt, 0),
        |itt| data_in(itt, 0, 0, &[1; 4]),
        |itt| r2t(itt, 1, 0, 0, 4),
        |itt| tmf_response(itt, 0),
        |itt| logout_response(itt, 0, 0, 0),
        |itt| Pdu::new(TEXT_RESPONSE, FINAL).itt(itt).put32(20, NONE),
    ];
    for kind in kinds {
        // No such slot; a generation of slot 0 that was never there; the reserved tag.
        for itt in [0x0001_0005, 0x0002_0000, 0x9999_0000, NONE] {
            let mut bench = Bench::plain();
            bench.read(4);
            let offence = bench.misbehave(kind(itt));
            assert_eq!(offence, PeerMisbehaved::UnknownTask(itt));
            bench.nothing_ended();
        }
    }
}

#[test]
fn pdus_of_the_wrong_kind() {
    // For a ping of ours.
    type Say = fn(u32) -> Pdu;
    let kinds: [Say; 5] = [
        |itt| response(itt, 0),
        |itt| with_status(data_in(itt, 0, 0, &[])),
        |itt| r2t(itt, 1, 0, 0, 4),
        |itt| tmf_response(itt, 0),
        |itt| logout_response(itt, 0, 0, 0),
    ];
    for kind in kinds {
        let mut bench = Bench::up(Default::default(), Default::default());
        bench.pass(5 * SECOND);
        let itt = bench.take(NOP_OUT).get_itt();
        assert_eq!(bench.misbehave(kind(itt)), PeerMisbehaved::WrongTask(itt));
    }
}

#[test]
fn answers_to_commands_that_were_not_sent() {
    let mut bench = Bench::window(0);
    let itt = bench.read(4).itt();
    assert_eq!(
        bench.misbehave(response(itt, 0)),
        PeerMisbehaved::WrongTask(itt)
    );
    let mut bench = Bench::window(0);
    let itt = bench.write(4).itt();
    assert_eq!(
        bench.misbehave(r2t(itt, 1, 0, 0, 4)),
        PeerMisbehaved::WrongTask(itt)
    );
    let mut bench = Bench::window(0);
    let itt = bench.read(4).itt();
    let offence = bench.misbehave(data_in(itt, 0, 0, &[1; 4]));
    assert_eq!(offence, PeerMisbehaved::WrongTask(itt));
    assert_eq!(bench.buffers.0.values().next().unwrap(), &[0xaa; 4]);
}

#[test]
fn sup_g04_headers_that_may_not_be() {
    let cases = [
        // Unassigned opcodes; one of the initiator's; one of a vendor's.
        (Pdu::new(0x3a, FINAL), Malformed::UnknownOpcode(0x3a)),
        (Pdu::new(0x3c, FINAL), Malformed::UnknownOpcode(0x3c)),
        (
            Pdu::new(COMMAND, FINAL),
            Malformed::WrongRole(Opcode::ScsiCommand),
        ),
        (
            r2t(1, 1, 0, 0, 4).data(&[1]),
            Malformed::UnexpectedData(Opcode::R2t),
        ),
        (
            nop_in(NONE).byte(4, 1),
            Malformed::UnexpectedAhs(Opcode::NopIn),
        ),
        (
            logout_response(1, 9, 0, 0),
            Malformed::UnassignedLogoutResponse(9),
        ),
    ];
    for (pdu, expected) in cases {
        let mut bench = Bench::plain();
        bench.read(4);
        let mut wire = bench.number(pdu.clone()).to_wire(false, false, false);
        if pdu.header[4] != 0 {
            wire.extend([0; 4]);
        }
        let error = bench.feed(&wire).unwrap_err();
        assert_eq!(error, ConnectionError::Malformed(expected));
        // An unusable stream stays so, and the tasks live through it.
        bench.lose(error);
        bench.nothing_ended();
    }
}

#[test]
fn sup_g04_segments_above_our_limit() {
    let mut bench = Bench::with(|p| p.max_recv_data_segment = 1024);
    let id = bench.read(4096);
    let error = bench.offend(data_in(id.itt(), 0, 0, &[1; 1025]));
    let expected = Offence::DataSegmentTooLong {
        length: 1025,
        limit: 1024,
        opcode: DATA_IN,
    };
    assert_eq!(error, ConnectionError::Stream(expected));
}

#[test]
fn more_data_than_a_pdu_can_need() {
    let mut bench = Bench::with(|p| p.max_recv_data_segment = 1 << 20);
    let itt = bench.read(0).itt();
    let offence = bench.misbehave(response(itt, 0).data(&[0; 65_537]));
    assert_eq!(offence, PeerMisbehaved::ExcessData(65_537));
}

#[test]
fn sup_g02_header_digest() {
    let mut bench = Bench::with(|p| p.header_digest = true);
    bench.read(0);
    let pdu = bench.number(nop_in(NONE));
    let error = bench.feed(&pdu.to_wire(true, false, true)).unwrap_err();
    assert!(matches!(
        error,
        ConnectionError::Stream(Offence::HeaderDigest { .. })
    ));
    bench.lose(error);
    bench.nothing_ended();
}

#[test]
fn sup_g03_data_digest() {
    type Say = fn(u32, u32) -> Pdu;
    let kinds: [(&str, Say); 4] = [
        ("Data-In", |read, _| {
            with_status(data_in(read, 0, 0, &[1; 5]))
        }),
        ("Response", |read, _| {
            response(read, 2).data(&[0, 2, 0x70, 0])
        }),
        ("NOP-In", |_, ping| echo(ping).data(&[1])),
        ("Async", |_, _| async_message(0, [0; 3]).data(&[0, 0])),
    ];
    for (name, kind) in kinds {
        let parameters = crate::parameters::Parameters {
            header_digest: true,
            data_digest: true,
            ..Default::default()
        };
        let mut bench = Bench::up(Default::default(), parameters);
        bench.pass(5 * SECOND);
        let ping = bench.take(NOP_OUT).get_itt();
        let read = bench.read(5).itt();
        bench.take(COMMAND);
        let pdu = bench.number(kind(read, ping));
        let error = bench.feed(&pdu.to_wire(true, true, true)).unwrap_err();
        assert_eq!(error, ConnectionError::DataDigest, "{name}");
        bench.lose(error);
        // The read is not done; it is made again.
        bench.nothing_ended();
        bench.pass(2 * SECOND);
        bench.login(Some(1));
        bench.open();
        bench.take(COMMAND);
    }
}

#[test]
fn a_pdu_for_a_task_of_the_lost_connection_has_no_effect_on_its_replay() {
    let mut bench = Bench::plain();
    let old = bench.read(4).itt();
    bench.cut();
    bench.pass(2 * SECOND);
    bench.login(Some(1));
    bench.open();
    let new = bench.take(COMMAND).get_itt();
    bench.say(data_in(old, 0, 0, &[9; 4]));
    bench.say(response(old, 0));
    bench.nothing_ended();
    bench.say(with_status(data_in(new, 0, 0, &[1; 4])));
    assert_eq!(bench.end().buffer, [1; 4]);
}
