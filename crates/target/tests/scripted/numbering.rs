//! RFC 7143 §4.2.2: CmdSN, its window, StatSN, immediate delivery.

use hawser_target::KeyPolicy;

use crate::raw::*;

/// A numbered ping with this CmdSN.
fn ping(initiator: &mut Initiator, itt: u32, cmd_sn: u32) {
    let mut ping = header(NOP_OUT, FINAL, itt);
    put(&mut ping, 20, NIL);
    put(&mut ping, 24, cmd_sn);
    initiator.send(ping, &[]);
}

#[test]
fn requests_are_carried_out_in_their_order() {
    let server = Server::new();
    let mut initiator = server.log_in(&[]);
    initiator.hear_news();
    let first = initiator.cmd_sn;
    ping(&mut initiator, 103, first + 2);
    ping(&mut initiator, 102, first + 1);
    initiator.expect_silence();
    ping(&mut initiator, 101, first);
    for itt in [101, 102, 103] {
        assert_eq!(initiator.expect(NOP_IN).itt(), itt);
    }
    initiator.cmd_sn = first + 3;
    initiator.hear_nothing_wrong();
}

#[test]
fn what_is_outside_the_window_or_twice_is_dropped() {
    let server = Server::with_policy(KeyPolicy {
        window: 4,
        ..KeyPolicy::default()
    });
    let mut initiator = server.log_in(&[]);
    let first = initiator.cmd_sn;
    for cmd_sn in [
        first.wrapping_sub(1),
        first + 4,
        first + 100,
        first ^ 0x8000_0000,
    ] {
        ping(&mut initiator, 1, cmd_sn);
    }
    initiator.expect_silence();
    ping(&mut initiator, 2, first + 1);
    ping(&mut initiator, 3, first + 1);
    ping(&mut initiator, 4, first);
    assert_eq!(initiator.expect(NOP_IN).itt(), 4);
    assert_eq!(initiator.expect(NOP_IN).itt(), 2);
    ping(&mut initiator, 5, first);
    ping(&mut initiator, 6, first + 1);
    initiator.cmd_sn = first + 2;
    initiator.expect_silence();
}

#[test]
fn numbers_wrap() {
    let server = Server::new();
    let mut initiator = server.connect();
    initiator.cmd_sn = 0xffff_fffe;
    initiator.log_in(&[]);
    initiator.hear_news();
    for block in 0..6 {
        initiator.write_blocks(block, &pattern(block as u8, 512));
    }
    assert_eq!(initiator.cmd_sn, 5);
    assert_eq!(initiator.read_blocks(5, 1), pattern(5, 512));
}

#[test]
fn immediate_requests_pass_a_closed_window() {
    let server = Server::new();
    server.handle.faults().set_window(Some(1));
    let mut initiator = server.log_in(&[]);
    server.handle.faults().set_black_hole(0, true);
    let lost = initiator.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    // The window is closed: MaxCmdSN is ExpCmdSN - 1, and a numbered request is dropped.
    let next = initiator.cmd_sn;
    ping(&mut initiator, 9, next);
    let itt = initiator.itt();
    let mut out = header(NOP_OUT | IMMEDIATE, FINAL, itt);
    put(&mut out, 20, NIL);
    initiator.send_request(out, &[]);
    let pong = initiator.expect(NOP_IN);
    assert_eq!(pong.word(32), pong.word(28).wrapping_sub(1));
    // Ending the task opens it.
    server.handle.faults().set_black_hole(0, false);
    assert_eq!(initiator.manage(1, 0, lost, initiator.cmd_sn - 1), 0);
    initiator.hear_news();
}

#[test]
fn a_window_that_opens_is_announced() {
    let server = Server::new();
    server.handle.faults().set_window(Some(0));
    let mut initiator = server.connect();
    let response = initiator.log_in(&[]);
    assert_eq!(response.word(32), response.word(28).wrapping_sub(1));
    let next = initiator.cmd_sn;
    ping(&mut initiator, 1, next);
    initiator.expect_silence();
    server.handle.faults().set_window(Some(3));
    let opened = initiator.expect_unnumbered(NOP_IN);
    assert_eq!((opened.itt(), opened.word(20)), (NIL, NIL));
    assert_eq!(opened.word(32), opened.word(28) + 2);
    initiator.hear_news();
}

#[test]
fn a_shrinking_window_never_takes_a_promise_back() {
    let server = Server::new();
    let mut initiator = server.connect();
    let promised = initiator.log_in(&[]).word(32);
    server.handle.faults().set_window(Some(2));
    initiator.hear_news();
    for _ in 0..3 {
        let itt = initiator.itt();
        let mut out = header(NOP_OUT, FINAL, itt);
        put(&mut out, 20, NIL);
        initiator.send_request(out, &[]);
        assert_eq!(initiator.expect(NOP_IN).word(32), promised);
    }
}

#[test]
fn a_status_number_jump_is_one() {
    let server = Server::new();
    let mut initiator = server.log_in(&[]);
    initiator.hear_news();
    server.handle.faults().jump_status_number(1000);
    initiator.exp_stat_sn += 1000;
    initiator.expect_silence();
    initiator.expect_silence();
}

#[test]
fn bytes_may_come_one_by_one_or_all_at_once() {
    let server = Server::new();
    let mut initiator = server.log_in(&[("HeaderDigest", "CRC32C"), ("DataDigest", "CRC32C")]);
    initiator.hear_news();
    let data = pattern(3, 1024);
    let pdu = initiator.command_header(FINAL | WRITE | SIMPLE, 1024, write10(4, 2));
    for byte in initiator.encode(pdu, &data) {
        initiator.send_bytes(&[byte]);
    }
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    let mut bytes = Vec::new();
    for _ in 0..50 {
        let pdu = initiator.command_header(FINAL | READ | SIMPLE, 1024, read10(4, 2));
        bytes.extend(initiator.encode(pdu, &[]));
    }
    initiator.send_bytes(&bytes);
    for _ in 0..50 {
        let pdu = initiator.expect(DATA_IN);
        assert_eq!(pdu.data, data);
    }
}

impl Initiator {
    /// The disk answers a read.
    fn hear_nothing_wrong(&mut self) {
        assert_eq!(self.read_blocks(0, 1).len(), 512);
    }
}
