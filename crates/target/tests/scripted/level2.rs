//! RFC 7144 §6.3, §6.4 (iSCSIProtocolLevel 2) and RFC 7143 §4.2.3.4 (FastAbort).

use hawser_target::KeyPolicy;

use crate::raw::*;

/// Functions of RFC 7143 §11.5.1 and RFC 7144 §6.3.
const ABORT_TASK_SET: u8 = 2;
const LOGICAL_UNIT_RESET: u8 = 5;
const QUERY_TASK: u8 = 9;
const QUERY_TASK_SET: u8 = 10;
const I_T_NEXUS_RESET: u8 = 11;
const QUERY_ASYNCHRONOUS_EVENT: u8 = 12;

/// Responses.
const COMPLETE: u8 = 0;
const NO_SUCH_LUN: u8 = 2;
const NOT_SUPPORTED: u8 = 5;
const SUCCEEDED: u8 = 7;

const LEVEL_2: [(&str, &str); 2] = [("iSCSIProtocolLevel", "2"), ("MaxConnections", "4")];

fn open_write(initiator: &mut Initiator) -> (u32, u32) {
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    (itt, initiator.expect_unnumbered(R2T).word(20))
}

#[test]
fn tasks_and_news_are_asked_for() {
    let server = Server::new();
    let mut initiator = server.connect();
    let text = initiator.log_in(&LEVEL_2).text();
    assert!(text.contains("iSCSIProtocolLevel=2\n"), "{text}");
    // The unit attention of a new session waits: one, key 6, 29/00.
    let itt = initiator.send_function(QUERY_ASYNCHRONOUS_EVENT, 0, NIL, 0);
    let response = initiator.expect(TMF_RESPONSE);
    assert_eq!((response.itt(), response.header[2]), (itt, SUCCEEDED));
    assert_eq!(response.header[8..11], [0x16, 0x29, 0x00]);
    initiator.hear_news();
    assert_eq!(
        initiator.manage(QUERY_ASYNCHRONOUS_EVENT, 0, NIL, 0),
        COMPLETE
    );
    assert_eq!(initiator.manage(QUERY_TASK_SET, 0, NIL, 0), COMPLETE);
    let (write, ttt) = open_write(&mut initiator);
    let number = initiator.cmd_sn - 1;
    assert_eq!(initiator.manage(QUERY_TASK, 0, write, number), SUCCEEDED);
    assert_eq!(initiator.manage(QUERY_TASK_SET, 0, NIL, 0), SUCCEEDED);
    initiator.data_out(write, ttt, 0, 0, true, &[1; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    assert_eq!(initiator.manage(QUERY_TASK, 0, write, number), COMPLETE);
    for function in [QUERY_TASK, QUERY_TASK_SET, QUERY_ASYNCHRONOUS_EVENT] {
        assert_eq!(initiator.manage(function, 9, NIL, 0), NO_SUCH_LUN);
    }
}

#[test]
fn the_functions_of_level_2_need_level_2() {
    let server = Server::with_policy(KeyPolicy {
        protocol_level: 1,
        ..KeyPolicy::default()
    });
    let mut initiator = server.connect();
    let text = initiator.log_in(&LEVEL_2).text();
    assert!(text.contains("iSCSIProtocolLevel=1\n"), "{text}");
    for function in QUERY_TASK..=QUERY_ASYNCHRONOUS_EVENT {
        assert_eq!(initiator.manage(function, 0, NIL, 0), NOT_SUPPORTED);
    }
}

#[test]
fn an_i_t_nexus_reset_ends_the_session_at_once() {
    let server = Server::new();
    let mut keys = LEVEL_2.to_vec();
    keys.push(("ErrorRecoveryLevel", "2"));
    let mut one = server.log_in(&keys);
    one.hear_news();
    let mut two = server.join(&one, 2);
    let mut other = server.connect();
    other.isid[5] = 9;
    other.log_in(&[]);
    other.hear_news();
    let (itt, ttt) = open_write(&mut other);
    two.expect_silence();
    let tmf = one.send_function(I_T_NEXUS_RESET, 0, NIL, 0);
    // The other connection is asked to acknowledge what it has heard, before the last answer.
    assert_eq!(two.expect_unnumbered(NOP_IN).itt(), NIL);
    two.exp_stat_sn_told();
    let response = one.expect(TMF_RESPONSE);
    assert_eq!((response.itt(), response.header[2]), (tmf, COMPLETE));
    one.expect_closed();
    two.expect_closed();
    server.until("only the other session is left", |handle| {
        handle.sessions().len() == 1
    });
    // Others go on, and hear nothing.
    other.data_out(itt, ttt, 0, 0, true, &[7; 512]);
    assert_eq!(other.expect(SCSI_RESPONSE).header[3], 0);
}

#[test]
fn fast_abort_waits_for_no_data_and_tells_the_other_connections() {
    let server = Server::new();
    let keys = [
        ("MaxConnections", "4"),
        ("TaskReporting", "FastAbort,ResponseFence,RFC3720"),
    ];
    let mut one = server.connect();
    let text = one.log_in(&keys).text();
    assert!(text.contains("TaskReporting=FastAbort\n"), "{text}");
    one.hear_news();
    let mut two = server.join(&one, 2);
    let (first, first_tag) = open_write(&mut one);
    two.cmd_sn = one.cmd_sn;
    let (second, second_tag) = open_write(&mut two);
    one.cmd_sn = two.cmd_sn;
    let tmf = one.send_function(ABORT_TASK_SET, 0, NIL, 0);
    // Event 5 for LUN 0, and not on the connection that asked.
    let event = two.expect(ASYNC);
    assert_eq!((event.header[36], &event.header[8..16]), (5, &[0; 8][..]));
    // It is asked to acknowledge it before the function is answered.
    assert_eq!(two.expect_unnumbered(NOP_IN).itt(), NIL);
    two.exp_stat_sn_told();
    let response = one.expect(TMF_RESPONSE);
    assert_eq!((response.itt(), response.header[2]), (tmf, COMPLETE));
    // What was on its way is not minded.
    one.data_out(first, first_tag, 0, 0, true, &[1; 512]);
    two.data_out(second, second_tag, 0, 0, true, &[2; 512]);
    two.expect_silence();
    assert_eq!(one.read_blocks(0, 1), [0; 512]);
}

#[test]
fn third_parties_hear_of_a_reset_if_they_want_fast_abort() {
    let server = Server::new();
    let mut initiator = server.log_in(&[]);
    initiator.hear_news();
    let mut sessions = Vec::new();
    for (last, reporting) in [(8, "FastAbort"), (9, "ResponseFence")] {
        let mut other = server.connect();
        other.isid[5] = last;
        let list = format!("{reporting},RFC3720");
        other.log_in(&[("TaskReporting", &list)]);
        other.hear_news();
        open_write(&mut other);
        sessions.push(other);
    }
    assert_eq!(initiator.manage(LOGICAL_UNIT_RESET, 0, NIL, 0), COMPLETE);
    let event = sessions[0].expect(ASYNC);
    assert_eq!(event.header[36], 5);
    for session in &mut sessions {
        session.expect_silence();
    }
}

#[test]
fn fast_abort_can_be_refused() {
    let server = Server::with_policy(KeyPolicy {
        fast_abort: false,
        ..KeyPolicy::default()
    });
    let mut initiator = server.connect();
    let keys = [("TaskReporting", "FastAbort,ResponseFence,RFC3720")];
    let text = initiator.log_in(&keys).text();
    assert!(text.contains("TaskReporting=ResponseFence\n"), "{text}");
}

impl Initiator {
    /// Tells ExpStatSN with a NOP-Out that wants no answer.
    fn exp_stat_sn_told(&mut self) {
        let mut told = header(NOP_OUT | IMMEDIATE, FINAL, NIL);
        put(&mut told, 20, NIL);
        self.send_request(told, &[]);
    }
}
