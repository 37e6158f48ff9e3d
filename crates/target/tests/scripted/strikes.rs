//! Faults that strike one PDU, and the ends of connections that are announced.

use hawser_target::KeyPolicy;
use hawser_target::faults::{AsyncEvent, PduAction, PduFault};

use crate::raw::*;

const LEVEL_1: [(&str, &str); 3] = [
    ("ErrorRecoveryLevel", "1"),
    ("MaxRecvDataSegmentLength", "512"),
    ("MaxConnections", "4"),
];

fn ready(keys: &[(&str, &str)]) -> (Server, Initiator) {
    let server = Server::with_policy(KeyPolicy::default());
    let mut all = LEVEL_1.to_vec();
    all.extend_from_slice(keys);
    let mut initiator = server.log_in(&all);
    initiator.hear_news();
    (server, initiator)
}

#[test]
fn a_pdu_that_is_lost_on_its_way_can_be_had_again() {
    let (server, mut initiator) = ready(&[]);
    let data = pattern(6, 1536);
    initiator.write_blocks(0, &data);
    let lost = PduFault::sent(DATA_IN, PduAction::Drop).nth(2);
    server.handle.faults().strike(lost);
    let itt = initiator.command(FINAL | READ | SIMPLE, 1536, read10(0, 3), &[]);
    let pdus = initiator.receive_read(itt);
    let numbers: Vec<u32> = pdus.iter().map(|pdu| pdu.word(36)).collect();
    assert_eq!(numbers, [0, 2]);
    assert_eq!(server.handle.faults().strikes_left(), 0);
    initiator.snack(0, itt, NIL, (1, 1));
    let again = initiator.receive();
    assert_eq!((again.word(36), &again.data[..]), (1, &data[512..1024]));
    initiator.exp_stat_sn += 1;
    // A status that is lost keeps its number.
    let lost = PduFault::sent(SCSI_RESPONSE, PduAction::Drop);
    server.handle.faults().strike(lost);
    initiator.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    let missing = initiator.exp_stat_sn;
    initiator.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    assert_eq!(initiator.receive().word(24), missing + 1);
    initiator.snack(1, NIL, NIL, (missing, 1));
    assert_eq!(initiator.expect(SCSI_RESPONSE).word(24), missing);
}

#[test]
fn a_pdu_comes_twice_or_spoilt() {
    let keys = [("HeaderDigest", "CRC32C"), ("DataDigest", "CRC32C")];
    let (server, mut initiator) = ready(&keys);
    let faults = server.handle.faults();
    faults.strike(PduFault::sent(DATA_IN, PduAction::Duplicate));
    initiator.command(FINAL | READ | SIMPLE, 512, read10(0, 1), &[]);
    let first = initiator.expect(DATA_IN);
    assert_eq!(initiator.receive(), first);
    for (action, spoilt) in [
        (PduAction::SpoilHeaderDigest, 48..52),
        (PduAction::SpoilDataDigest, 52 + 512..52 + 516),
    ] {
        faults.strike(PduFault::sent(DATA_IN, action));
        initiator.command(FINAL | READ | SIMPLE, 512, read10(0, 1), &[]);
        let mut bytes = [0; 48 + 4 + 512 + 4];
        assert!(initiator.read(&mut bytes));
        for (covered, digest) in [(0..48, 48..52), (52..564, 564..568)] {
            let right = crc32c(&bytes[covered]) == bytes[digest.clone()];
            assert_eq!(right, digest != spoilt, "{action:?} {digest:?}");
        }
        initiator.exp_stat_sn += 1;
    }
    initiator.expect_silence();
}

#[test]
fn a_request_is_lost_or_spoilt_or_comes_twice() {
    let (server, mut initiator) = ready(&[("DataDigest", "CRC32C")]);
    let faults = server.handle.faults();
    // A command that is lost leaves a gap; the retry fills it.
    faults.strike(PduFault::received(SCSI_COMMAND, PduAction::Drop));
    let command = initiator.command_header(FINAL | WRITE | SIMPLE, 512, write10(0, 1));
    initiator.send(command, &[1; 512]);
    initiator.expect_silence();
    initiator.send(command, &[1; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    // Spoilt: rejected, and to be sent again.
    faults.strike(PduFault::received(SCSI_COMMAND, PduAction::SpoilDataDigest));
    let command = initiator.command_header(FINAL | WRITE | SIMPLE, 512, write10(0, 1));
    initiator.send(command, &[2; 512]);
    initiator.expect_reject(0x02);
    faults.strike(PduFault::received(SCSI_COMMAND, PduAction::Duplicate));
    initiator.send(command, &[2; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    // The second Data-Out of two is lost: its data is asked for again.
    faults.strike(PduFault::received(DATA_OUT, PduAction::Drop).nth(2));
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 1536, write10(0, 3), &[]);
    let tag = initiator.expect_unnumbered(R2T).word(20);
    for n in 0..3 {
        initiator.data_out(itt, tag, n, n * 512, n == 2, &[3; 512]);
    }
    let again = initiator.expect_unnumbered(R2T);
    assert_eq!((again.word(40), again.word(44)), (512, 512));
    initiator.data_out(itt, again.word(20), 0, 512, true, &[3; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    assert_eq!(initiator.read_blocks(0, 3), [3; 1536]);
}

#[test]
fn a_connection_breaks_off_at_a_pdu() {
    let (server, mut one) = ready(&[]);
    let faults = server.handle.faults();
    let mut two = server.join(&one, 2);
    // Before and behind what it sends, on that connection only.
    faults.strike(PduFault::sent(NOP_IN, PduAction::CutAfter).on(2).nth(2));
    one.expect_silence();
    one.expect_silence();
    two.cmd_sn = one.cmd_sn;
    two.expect_silence();
    two.expect_silence();
    two.expect_closed();
    assert_eq!(one.expect(ASYNC).header[36], 2);
    let mut three = server.join(&one, 3);
    faults.strike(PduFault::sent(NOP_IN, PduAction::CutBefore).on(3));
    three.ping();
    three.expect_closed();
    assert_eq!(one.expect(ASYNC).half(38), 3);
    // A command is carried out, and its answer is never heard.
    let mut four = server.join(&one, 4);
    faults.strike(PduFault::received(SCSI_COMMAND, PduAction::CutAfter).on(4));
    four.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[9; 512]);
    four.expect_closed();
    one.cmd_sn = four.cmd_sn;
    assert_eq!(one.expect(ASYNC).half(38), 4);
    assert_eq!(one.read_blocks(0, 1), [9; 512]);
    // Or it is not.
    let mut five = server.join(&one, 5);
    faults.strike(PduFault::received(SCSI_COMMAND, PduAction::CutBefore).on(5));
    five.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[8; 512]);
    five.expect_closed();
    assert_eq!(one.expect(ASYNC).half(38), 5);
    assert_eq!(one.read_blocks(0, 1), [9; 512]);
}

#[test]
fn events_go_to_one_connection() {
    let (server, mut one) = ready(&[]);
    let mut two = server.join(&one, 2);
    for event in [0, 1, 2, 3, 4, 5, 248, 255] {
        let message = AsyncEvent {
            event,
            parameter1: 2,
            ..AsyncEvent::default()
        };
        server.handle.faults().send_async_on(2, message);
        let message = two.expect(ASYNC);
        assert_eq!((message.header[36], message.half(38)), (event, 2));
    }
    one.expect_silence();
    server.handle.faults().drop_connection(2);
    two.expect_closed();
    assert_eq!(one.expect(ASYNC).header[36], 2);
}

#[test]
fn an_announced_drop_keeps_its_times() {
    let (server, mut one) = ready(&[]);
    let mut two = server.join(&one, 2);
    server.handle.faults().announce_drop(2, 7, 9);
    for connection in [&mut two, &mut one] {
        let event = connection.expect(ASYNC);
        assert_eq!((event.header[36], event.half(38)), (2, 2));
        assert_eq!((event.half(40), event.half(42)), (7, 9));
    }
    two.expect_closed();
    let mut three = server.join(&one, 3);
    // With nothing to be kept, the session is over with its connections.
    server.handle.faults().announce_session_drop(5, 0);
    for connection in [&mut three, &mut one] {
        let event = connection.expect(ASYNC);
        assert_eq!((event.header[36], event.half(38)), (3, 0));
        assert_eq!((event.half(40), event.half(42)), (5, 0));
        connection.expect_closed();
    }
}

#[test]
fn who_does_not_log_out_in_time_is_dropped() {
    let (server, mut one) = ready(&[]);
    let mut two = server.join(&one, 2);
    let mut three = server.join(&one, 3);
    server.handle.faults().request_logout(Some(2), 1);
    server.handle.faults().request_logout(Some(3), 1);
    for connection in [&mut two, &mut three] {
        let event = connection.expect(ASYNC);
        assert_eq!((event.header[36], event.half(42)), (1, 1));
    }
    three.log_out(1, 3);
    assert_eq!(three.expect(LOGOUT_RESPONSE).header[2], 0);
    three.expect_closed();
    for connection in [&mut two, &mut one] {
        let event = connection.expect(ASYNC);
        assert_eq!((event.header[36], event.half(38)), (2, 2));
        assert_eq!((event.half(40), event.half(42)), (2, 20));
    }
    two.expect_closed();
    one.cmd_sn = three.cmd_sn;
    one.expect_silence();
}

impl Initiator {
    fn ping(&mut self) {
        let itt = self.itt();
        let mut ping = header(NOP_OUT | IMMEDIATE, FINAL, itt);
        put(&mut ping, 20, NIL);
        self.send_request(ping, &[]);
    }
}
