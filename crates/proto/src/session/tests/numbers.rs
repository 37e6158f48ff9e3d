//! CmdSN, the command window, StatSN, task tags (rfc7143-initiator.md §2).

use std::collections::HashSet;

use super::bench::*;
use super::wire::*;
use crate::pdu::TmfFunction;
use crate::session::{ConnectionError, Direction, Management, Outcome, PeerMisbehaved};

#[test]
fn ffp_1_1_cmd_sn_rises_by_one_for_each_command_from_the_login_on() {
    let mut bench = Bench::plain();
    for n in 0..10 {
        let id = bench.read(0);
        let sent = bench.take(COMMAND);
        assert_eq!(sent.cmd_sn(), 0x1000 + n);
        assert!(!sent.is_immediate());
        bench.say(response(id.itt(), 0));
    }
}

#[test]
fn ffp_2_1_immediate_requests_carry_the_next_cmd_sn_and_do_not_take_it() {
    let mut bench = Bench::plain();
    bench.read(0);
    bench.take(COMMAND);
    bench.say(async_message(4, [0, 0, 3]));
    bench.say(nop_in(7));
    let (text, pong) = (bench.take(TEXT), bench.take(NOP_OUT));
    assert!(text.is_immediate() && pong.is_immediate());
    bench.read(0);
    let next = bench.take(COMMAND);
    for pdu in [text, pong, next] {
        assert_eq!(pdu.cmd_sn(), 0x1001);
    }
}

#[test]
fn ffp_2_2_and_19_1_an_immediate_tmf_shares_its_cmd_sn_with_the_next_command() {
    let mut bench = Bench::plain();
    let id = bench.read(512);
    bench.take(COMMAND);
    bench.session.abort(bench.now, id).unwrap();
    bench.settle();
    let tmf = bench.take(TMF);
    assert!(tmf.is_immediate());
    bench.read(512);
    assert_eq!(
        (tmf.cmd_sn(), bench.take(COMMAND).cmd_sn()),
        (0x1001, 0x1001)
    );
}

#[test]
fn ffp_3_1_nothing_leaves_through_a_closed_window_until_a_nop_in_opens_it() {
    let mut bench = Bench::window(0);
    bench.read(0);
    bench.silent();
    bench.max_cmd_sn += 1;
    bench.say(nop_in(NONE));
    assert_eq!(bench.take(COMMAND).cmd_sn(), 0x1000);
    bench.read(0);
    bench.silent();
}

#[test]
fn ffp_3_2_a_wide_window_is_used() {
    let mut bench = Bench::window(100);
    for _ in 0..101 {
        bench.read(0);
    }
    assert_eq!(bench.take_all().len(), 100);
}

#[test]
fn ffp_3_3_a_window_of_one_lets_out_one_command_at_a_time() {
    let mut bench = Bench::window(1);
    let ids = [(); 3].map(|()| bench.read(0));
    assert_eq!(bench.take(COMMAND).get_itt(), ids[0].itt());
    bench.silent();
    bench.max_cmd_sn += 1;
    bench.say(response(ids[0].itt(), 0));
    assert_eq!(bench.take(COMMAND).get_itt(), ids[1].itt());
    bench.silent();
    bench.max_cmd_sn += 10;
    bench.say(nop_in(NONE));
    assert_eq!(bench.take(COMMAND).get_itt(), ids[2].itt());
}

#[test]
fn ffp_16_5_a_response_may_leave_the_window_closed() {
    let mut bench = Bench::window(1);
    let id = bench.read(0);
    bench.take(COMMAND);
    bench.read(0);
    bench.say(response(id.itt(), 0));
    bench.silent();
    assert!(matches!(bench.outcome(), Outcome::Completed(_)));
    bench.max_cmd_sn += 1;
    bench.say(nop_in(NONE));
    bench.take(COMMAND);
}

#[test]
fn immediate_requests_pass_a_closed_window() {
    let mut bench = Bench::window(0);
    bench.say(nop_in(1));
    bench.take(NOP_OUT);
    let request = Management {
        function: TmfFunction::LogicalUnitReset,
        lun: LUN_3,
        task: None,
        token: Some(1),
    };
    bench.session.manage(bench.now, request).unwrap();
    bench.settle();
    bench.take(TMF);
}

#[test]
fn a_target_cannot_take_back_a_window_nor_contradict_itself() {
    let mut bench = Bench::window(4);
    let at = |pdu: Pdu, exp: u32, max: u32| pdu.put32(24, 0x4000).put32(28, exp).put32(32, max);
    bench.say_raw(&at(nop_in(NONE), 0x1000, 0x0fff)).unwrap();
    bench.say_raw(&at(nop_in(NONE), 0x1000, 0x1001)).unwrap();
    // MaxCmdSN below ExpCmdSN - 1: both are ignored.
    bench.say_raw(&at(nop_in(NONE), 0x2000, 0x1ffe)).unwrap();
    for _ in 0..5 {
        bench.read(0);
    }
    assert_eq!(bench.take_all().len(), 4);
}

#[test]
fn cmd_sn_is_taken_at_the_moment_of_sending() {
    let mut bench = Bench::window(0);
    let first = bench.read(0);
    let second = bench.read(0);
    bench.session.abort(bench.now, first).unwrap();
    bench.settle();
    assert_eq!(bench.outcome(), Outcome::Aborted);
    bench.max_cmd_sn += 1;
    bench.say(nop_in(NONE));
    let sent = bench.take(COMMAND);
    assert_eq!((sent.cmd_sn(), sent.get_itt()), (0x1000, second.itt()));
}

#[test]
fn sup_x13_numbers_wrap_under_traffic() {
    let mut bench = Bench::down(quiet(), Default::default());
    (bench.exp_cmd_sn, bench.stat_sn) = (0xffff_ff00, 0xffff_fff0);
    bench.grant = Some(3);
    bench.login(Some(1));
    bench.open();
    for _ in 0..600 {
        let id = bench.read(0);
        bench.take(COMMAND);
        bench.say(response(id.itt(), 0));
        bench.outcome();
    }
    assert_eq!(bench.exp_cmd_sn, 0x158);
    assert_eq!(bench.stat_sn, 0x248);
}

#[test]
fn sup_x12_tags_are_unique_and_never_reserved_over_many_commands_at_depth_128() {
    let mut bench = Bench::plain();
    bench.grant = Some(200);
    bench.say(nop_in(NONE));
    let mut live = HashSet::new();
    let mut seen = HashSet::new();
    for n in 0..20_000_u32 {
        let itt = bench.submit(command(Direction::None)).itt();
        assert_eq!(bench.take(COMMAND).get_itt(), itt);
        assert_ne!(itt, NONE);
        assert!(live.insert(itt));
        assert!(seen.insert(itt), "a tag came back within 20,000 commands");
        if live.len() == 128 {
            // Not the oldest, nor the newest.
            let mut tags: Vec<_> = live.iter().copied().collect();
            tags.sort_unstable();
            let itt = tags[n as usize * 7919 % 128];
            live.remove(&itt);
            bench.say(response(itt, 0));
            bench.outcome();
        }
    }
}

#[test]
fn ffp_5_1_and_sup_a16_a_gap_in_stat_sn_costs_the_session() {
    for gap in [1, 2, 1 << 31, u32::MAX] {
        let mut bench = Bench::plain();
        let id = bench.read(0);
        bench.take(COMMAND);
        let due = bench.stat_sn;
        bench.stat_sn = due.wrapping_add(gap);
        let expected = PeerMisbehaved::StatSnGap {
            got: due.wrapping_add(gap),
            expected: due,
        };
        assert_eq!(bench.misbehave(response(id.itt(), 0)), expected);
        assert_eq!(bench.disconnects, 1);
        // The command is not forgotten: it goes out again after the next login.
        bench.nothing_ended();
        bench.pass(2 * SECOND);
        bench.login(Some(1));
        bench.open();
        bench.take(COMMAND);
    }
}

#[test]
fn sup_a17_a_stat_sn_that_is_only_told_shows_a_lost_status() {
    type Say = fn(u32) -> Pdu;
    let told: [Say; 2] = [|_| nop_in(NONE), |itt| r2t(itt, 5, 0, 0, 512)];
    for say in told {
        let mut bench = Bench::with(|p| p.immediate_data = false);
        let itt = bench.write(512).itt();
        bench.take(COMMAND);
        bench.stat_sn += 1;
        let expected = PeerMisbehaved::StatSnGap {
            got: 0x4001,
            expected: 0x4000,
        };
        assert_eq!(bench.misbehave(say(itt)), expected);
    }
}

#[test]
fn a_told_stat_sn_may_be_overtaken_by_a_status() {
    let mut bench = Bench::plain();
    let id = bench.read(0);
    let stale = bench.number(nop_in(NONE));
    bench.say(response(id.itt(), 0));
    bench.say_raw(&stale).unwrap();
    bench.read(0);
    bench.take(COMMAND);
}

#[test]
fn each_status_is_consumed_and_each_told_number_is_not() {
    // Bench::judge compares ExpStatSN of all that is sent; this makes sure all kinds are there.
    let mut bench = Bench::with(|p| p.immediate_data = false);
    let (read, write) = (bench.read(4), bench.write(4));
    bench.say(data_in(read.itt(), 0, 0, &[1, 2]).put32(24, 0xdead));
    bench.say(r2t(write.itt(), 9, 0, 0, 4));
    bench.say(with_status(data_in(read.itt(), 1, 2, &[3, 4])));
    bench.say(response(write.itt(), 0));
    bench.say(async_message(255, [0; 3]));
    bench.say(nop_in(3));
    let sent = bench.take_all();
    assert_eq!(sent.len(), 4);
    assert_eq!(sent[3].exp_stat_sn(), 0x4003);
}

#[test]
fn stat_sn_is_not_looked_at_in_data_in_without_status() {
    let mut bench = Bench::plain();
    let id = bench.read(4);
    let pdu = data_in(id.itt(), 0, 0, &[1; 4]);
    let pdu = bench.number(pdu).put32(24, 0x1234_5678);
    bench.say_raw(&pdu).unwrap();
    bench.say(response(id.itt(), 0).put32(36, 1));
    assert!(matches!(bench.outcome(), Outcome::Completed(_)));
}

#[test]
fn sup_g05_a_stream_may_come_byte_by_byte_or_all_at_once() {
    let script = |bench: &mut Bench| {
        let (a, b) = (bench.read(6), bench.read(3));
        let mut bytes = Vec::new();
        for pdu in [
            data_in(a.itt(), 0, 0, &[1, 2, 3]),
            nop_in(NONE),
            with_status(data_in(b.itt(), 0, 0, &[7, 8, 9])),
            with_status(data_in(a.itt(), 1, 3, &[4, 5, 6])),
        ] {
            let pdu = bench.number(pdu);
            let (header, data) = (bench.parameters.header_digest, bench.parameters.data_digest);
            bytes.extend(pdu.to_wire(header, data, false));
        }
        bytes
    };
    for digests in [(false, false), (true, false), (false, true), (true, true)] {
        for pieces in [1, 2, 3, 47, 48, 49, 1000] {
            let mut bench = Bench::with(|p| (p.header_digest, p.data_digest) = digests);
            let bytes = script(&mut bench);
            for piece in bytes.chunks(pieces) {
                bench.feed(piece).unwrap();
            }
            let ended: Vec<_> = bench.ended.drain(..).map(|e| e.buffer).collect();
            assert_eq!(ended, [vec![7, 8, 9], vec![1, 2, 3, 4, 5, 6]]);
        }
    }
}

#[test]
fn sup_g05_the_target_may_close_in_the_middle_of_a_pdu() {
    let mut bench = Bench::plain();
    let id = bench.read(64);
    let pdu = bench.number(data_in(id.itt(), 0, 0, &[1; 64]));
    bench.feed(&pdu.to_wire(false, false, false)[..60]).unwrap();
    bench.cut();
    assert!(matches!(bench.lost_by(), ConnectionError::Transport(_)));
    bench.pass(2 * SECOND);
    bench.login(Some(1));
    bench.open();
    // The half of the old stream does not stick to the new one.
    let again = bench.take(COMMAND).get_itt();
    bench.say(with_status(data_in(again, 0, 0, &[2; 64])));
    assert_eq!(bench.end().buffer, [2; 64]);
}
