//! RFC 7143 §4.2.3, §11.5, §11.6, §11.14, §11.17: task management, NOP, Reject, logout.

use crate::raw::*;

/// Functions of §11.5.1.
const ABORT_TASK: u8 = 1;
const ABORT_TASK_SET: u8 = 2;
const CLEAR_ACA: u8 = 3;
const CLEAR_TASK_SET: u8 = 4;
const LOGICAL_UNIT_RESET: u8 = 5;
const TARGET_WARM_RESET: u8 = 6;
const TARGET_COLD_RESET: u8 = 7;
const TASK_REASSIGN: u8 = 8;

/// Responses of §11.6.1.
const COMPLETE: u8 = 0;
const NO_SUCH_TASK: u8 = 1;
const NO_SUCH_LUN: u8 = 2;
const NO_REASSIGNMENT: u8 = 4;
const NOT_SUPPORTED: u8 = 5;

fn ready() -> (Server, Initiator) {
    let server = Server::new();
    let mut initiator = server.log_in(&[]);
    initiator.hear_news();
    (server, initiator)
}

/// A write that waits for its data; its ITT and the tag of its R2T.
fn open_write(initiator: &mut Initiator) -> (u32, u32) {
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    let r2t = initiator.expect_unnumbered(R2T);
    assert_eq!(r2t.itt(), itt);
    (itt, r2t.word(20))
}

#[test]
fn abort_task_ends_a_task_or_says_why_not() {
    let (_server, mut initiator) = ready();
    let (itt, ttt) = open_write(&mut initiator);
    let number = initiator.cmd_sn - 1;
    assert_eq!(initiator.manage(ABORT_TASK, 0, itt, number), COMPLETE);
    // Data that was on its way is taken off the wire.
    initiator.data_out(itt, ttt, 0, 0, true, &[0x55; 512]);
    assert_eq!(initiator.read_blocks(0, 1), [0; 512]);
    // Answered long ago.
    assert_eq!(initiator.manage(ABORT_TASK, 0, itt, number), NO_SUCH_TASK);
    assert_eq!(
        initiator.manage(ABORT_TASK, 0, 0x7777, number + 5000),
        NO_SUCH_TASK
    );
}

#[test]
fn abort_task_of_a_command_that_never_came_fills_its_place() {
    let (_server, mut initiator) = ready();
    let missing = initiator.cmd_sn;
    initiator.cmd_sn += 1;
    let behind = initiator.command(FINAL | READ | SIMPLE, 512, read10(0, 1), &[]);
    initiator.expect_silence();
    let itt = initiator.send_function(ABORT_TASK, 0, 0x7777, missing);
    let mut kinds = [initiator.receive(), initiator.receive()];
    kinds.sort_by_key(Pdu::opcode);
    initiator.exp_stat_sn += 2;
    assert_eq!((kinds[0].opcode(), kinds[0].itt()), (TMF_RESPONSE, itt));
    assert_eq!(kinds[0].header[2], COMPLETE);
    assert_eq!((kinds[1].opcode(), kinds[1].itt()), (DATA_IN, behind));
    initiator.expect_silence();
}

#[test]
fn functions_that_we_do_not_have_say_so() {
    let (_server, mut initiator) = ready();
    assert_eq!(initiator.manage(TASK_REASSIGN, 0, 1, 1), NO_REASSIGNMENT);
    for function in [CLEAR_ACA, 9, 10, 11, 12, 77] {
        assert_eq!(
            initiator.manage(function, 0, NIL, 0),
            NOT_SUPPORTED,
            "{function}"
        );
    }
    for function in [ABORT_TASK_SET, CLEAR_TASK_SET, LOGICAL_UNIT_RESET] {
        assert_eq!(
            initiator.manage(function, 9, NIL, 0),
            NO_SUCH_LUN,
            "{function}"
        );
    }
}

#[test]
fn abort_task_set_waits_for_what_is_on_its_way() {
    let (_server, mut initiator) = ready();
    let (itt, ttt) = open_write(&mut initiator);
    let tmf = initiator.send_function(ABORT_TASK_SET, 0, NIL, 0);
    initiator.expect_silence();
    initiator.data_out(itt, ttt, 0, 0, true, &[0x55; 512]);
    let response = initiator.expect(TMF_RESPONSE);
    assert_eq!((response.itt(), response.header[2]), (tmf, COMPLETE));
    assert_eq!(initiator.read_blocks(0, 1), [0; 512]);
}

#[test]
fn an_initiator_that_owes_data_for_ever_gets_its_answer() {
    let (_server, mut initiator) = ready();
    open_write(&mut initiator);
    assert_eq!(initiator.manage(CLEAR_TASK_SET, 0, NIL, 0), COMPLETE);
}

#[test]
fn a_function_with_a_number_takes_its_turn() {
    let (_server, mut initiator) = ready();
    let (write, ttt) = open_write(&mut initiator);
    // One number is missing: the function waits, then ends what came before it.
    let gap = initiator.command_header(FINAL | READ | SIMPLE, 512, read10(0, 1));
    let itt = initiator.itt();
    let mut tmf = header(TMF_REQUEST, FINAL | LOGICAL_UNIT_RESET, itt);
    put(&mut tmf, 20, NIL);
    initiator.send_request(tmf, &[]);
    initiator.expect_silence();
    initiator.send(gap, &[]);
    assert_eq!(initiator.expect(DATA_IN).data.len(), 512);
    initiator.data_out(write, ttt, 0, 0, true, &[0x55; 512]);
    let response = initiator.expect(TMF_RESPONSE);
    assert_eq!((response.itt(), response.header[2]), (itt, COMPLETE));
    assert_eq!(response.word(28), initiator.cmd_sn);
}

#[test]
fn abort_task_set_leaves_other_sessions_alone() {
    let (server, mut initiator) = ready();
    let mut other = server.connect();
    other.isid[5] = 9;
    other.log_in(&[]);
    other.hear_news();
    let (itt, ttt) = open_write(&mut other);
    server.handle.faults().set_black_hole(0, true);
    initiator.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    assert_eq!(initiator.manage(ABORT_TASK_SET, 0, NIL, 0), COMPLETE);
    server.handle.faults().set_black_hole(0, false);
    other.data_out(itt, ttt, 0, 0, true, &[0x55; 512]);
    assert_eq!(other.expect(SCSI_RESPONSE).header[3], 0);
    assert_eq!(initiator.read_blocks(0, 1), [0x55; 512]);
}

#[test]
fn resets_end_the_tasks_of_all_and_are_heard_by_all() {
    let (server, mut initiator) = ready();
    let mut other = server.connect();
    other.isid[5] = 9;
    other.log_in(&[]);
    other.hear_news();
    for function in [LOGICAL_UNIT_RESET, TARGET_WARM_RESET] {
        let (itt, ttt) = open_write(&mut other);
        assert_eq!(initiator.manage(function, 0, NIL, 0), COMPLETE);
        other.data_out(itt, ttt, 0, 0, true, &[0x55; 512]);
        // 29/03: bus device reset function occurred.
        for session in [&mut initiator, &mut other] {
            session.command(FINAL | SIMPLE, 0, [0; 16], &[]);
            assert_eq!(session.expect(SCSI_RESPONSE).sense(), (0x06, 0x29, 0x03));
        }
    }
    assert_eq!(initiator.read_blocks(0, 1), [0; 512]);
}

#[test]
fn a_cold_reset_closes_every_connection() {
    let (server, mut initiator) = ready();
    let mut other = server.connect();
    other.isid[5] = 9;
    other.log_in(&[]);
    assert_eq!(initiator.manage(TARGET_COLD_RESET, 0, NIL, 0), COMPLETE);
    initiator.expect_closed();
    other.expect_closed();
    server.until("no session is left", |handle| handle.sessions().is_empty());
    server.log_in(&[]).hear_news();
}

/// No connection of it is there to see it to its end.
#[test]
fn a_cold_reset_ends_a_session_that_waits_for_a_connection() {
    let (server, mut initiator) = ready();
    let mut other = server.connect();
    other.isid[5] = 9;
    other.log_in(&[("ErrorRecoveryLevel", "2")]);
    drop(other);
    server.until("the other session waits", |handle| {
        let sessions = handle.sessions();
        sessions
            .iter()
            .any(|session| session.connections.is_empty())
    });
    assert_eq!(initiator.manage(TARGET_COLD_RESET, 0, NIL, 0), COMPLETE);
    initiator.expect_closed();
    server.until("no session is left", |handle| handle.sessions().is_empty());
}

#[test]
fn pings_come_back_with_their_data() {
    let (_server, mut initiator) = ready();
    for (opcode, length) in [(NOP_OUT, 0), (NOP_OUT | IMMEDIATE, 7), (NOP_OUT, 8192)] {
        let itt = initiator.itt();
        let mut ping = header(opcode, FINAL, itt);
        put(&mut ping, 20, NIL);
        initiator.send_request(ping, &pattern(1, length));
        let pong = initiator.expect(NOP_IN);
        assert_eq!((pong.itt(), pong.word(20)), (itt, NIL));
        assert_eq!(pong.data, pattern(1, length));
        assert_eq!(pong.word(28), initiator.cmd_sn);
    }
    // No more comes back than the initiator takes: 8192 bytes, as it has not said otherwise.
    let itt = initiator.itt();
    let mut ping = header(NOP_OUT | IMMEDIATE, FINAL, itt);
    put(&mut ping, 20, NIL);
    initiator.send_request(ping, &pattern(1, 9000));
    assert_eq!(initiator.expect(NOP_IN).data.len(), 8192);
    // An answer is not answered.
    initiator.send_request(header(NOP_OUT | IMMEDIATE, FINAL, NIL), &[]);
    initiator.expect_silence();
}

#[test]
fn what_makes_no_sense_is_rejected_and_may_be_sent_again() {
    let (_server, mut initiator) = ready();
    let number = initiator.cmd_sn;
    for (opcode, flags, reason) in [
        // Opcodes of nobody, and of the target: command not supported.
        (0x1c, FINAL, 0x05),
        (0x15, FINAL, 0x05),
        (NOP_IN, FINAL, 0x05),
        // SNACK reject; a login in the full feature phase is a protocol error.
        (SNACK, FINAL, 0x03),
        (LOGIN_REQUEST | IMMEDIATE, 0x87, 0x04),
        // Neither W nor F.
        (SCSI_COMMAND, SIMPLE, 0x04),
        // A reserved task attribute, a reserved logout reason: invalid PDU field.
        (SCSI_COMMAND, FINAL | 0x07, 0x09),
        (LOGOUT_REQUEST, FINAL | 0x07, 0x09),
    ] {
        let mut bad = header(opcode, flags, 0x4444);
        put(&mut bad, 24, number);
        initiator.send(bad, &[]);
        let reject = initiator.expect(REJECT);
        assert_eq!(
            (reject.header[2], reject.itt()),
            (reason, NIL),
            "{opcode:#04x}"
        );
        assert_eq!(reject.data, bad, "{opcode:#04x}");
        // It counts as not received.
        assert_eq!(reject.word(28), number);
    }
    initiator.read_blocks(0, 1);
}

#[test]
fn a_tag_in_use_may_not_be_used_again() {
    let (_server, mut initiator) = ready();
    let (itt, ttt) = open_write(&mut initiator);
    let mut again = header(SCSI_COMMAND, FINAL | SIMPLE, itt);
    put(&mut again, 24, initiator.cmd_sn);
    initiator.send(again, &[]);
    // Reason 07: task in progress.
    assert_eq!(initiator.expect(REJECT).header[2], 0x07);
    initiator.data_out(itt, ttt, 0, 0, true, &[1; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
}

#[test]
fn a_logout_is_answered_and_then_the_connection_closes() {
    for reason in [0, 1] {
        let (server, mut initiator) = ready();
        let mut out = header(LOGOUT_REQUEST, FINAL | reason, 0x99);
        out[21] = 1;
        initiator.send_request(out, &[]);
        let response = initiator.expect(LOGOUT_RESPONSE);
        assert_eq!((response.header[2], response.itt()), (0, 0x99));
        initiator.expect_closed();
        server.until("the session is gone", |handle| handle.sessions().is_empty());
    }
}

#[test]
fn a_logout_of_what_is_not_there_changes_nothing() {
    let (server, mut initiator) = ready();
    // Close a connection that does not exist; recovery, which ErrorRecoveryLevel 0 has not.
    for (reason, cid, response) in [(1, 77, 1), (2, 1, 2)] {
        let mut out = header(LOGOUT_REQUEST, FINAL | reason, 0x99);
        out[21] = cid;
        initiator.send_request(out, &[]);
        let answer = initiator.expect(LOGOUT_RESPONSE);
        assert_eq!(answer.header[2], response, "reason {reason}");
        // Time2Wait and Time2Retain as negotiated, if another logout makes sense.
        if response == 2 {
            assert_eq!((answer.half(40), answer.half(42)), (2, 20));
        }
    }
    initiator.expect_silence();
    assert_eq!(server.handle.sessions().len(), 1);
}
