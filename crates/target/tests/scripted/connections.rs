//! RFC 7143 §4.2.2, §6.3.4, §7.14, §11.14: sessions of several connections.

use hawser_target::{KeyPolicy, TargetServer};

use crate::raw::*;

/// Functions of §11.5.1.
const ABORT_TASK_SET: u8 = 2;

/// A session of two connections, whose disk has told its news.
fn pair() -> (Server, Initiator, Initiator) {
    let server = Server::new();
    let mut one = server.log_in(&[("MaxConnections", "4")]);
    one.hear_news();
    let two = server.join(&one, 2);
    (server, one, two)
}

#[test]
fn commands_of_all_connections_are_carried_out_in_one_order() {
    let (_server, mut one, mut two) = pair();
    let data = pattern(5, 512);
    // The write is numbered before the read, and comes after it, on the other connection.
    let first = one.cmd_sn;
    two.cmd_sn = first + 1;
    let read = two.command(FINAL | READ | SIMPLE, 512, read10(3, 1), &[]);
    two.expect_silence();
    let write = one.command(FINAL | WRITE | SIMPLE, 512, write10(3, 1), &data);
    let written = one.expect(SCSI_RESPONSE);
    assert_eq!((written.itt(), written.header[3]), (write, 0));
    let came = two.expect(DATA_IN);
    assert_eq!((came.itt(), &came.data[..]), (read, &data[..]));
    // Each connection tells the numbers of the session.
    assert_eq!(came.word(28), first + 2);
}

#[test]
fn a_session_takes_so_many_connections_and_no_strangers() {
    let server = Server::start(
        TargetServer::builder()
            .portal(localhost())
            .portal_in_group(2, localhost())
            .target(target().policy(KeyPolicy {
                max_connections: 2,
                ..KeyPolicy::default()
            })),
    );
    let one = server.log_in(&[("MaxConnections", "8")]);
    let two = server.join(&one, 2);
    assert_eq!(server.handle.sessions()[0].connections, [1, 2]);
    let refusal = |portal: usize, cid: u16, tsih: u16| {
        let mut login = Initiator::connect(server.handle.local_addrs()[portal]);
        (login.cid, login.tsih, login.cmd_sn) = (cid, tsih, one.cmd_sn);
        let response = login.login_step(0x87, &Initiator::further_names());
        login.expect_closed();
        response.login_status()
    };
    // Too many; another portal group; a session that is not there.
    assert_eq!(refusal(0, 3, one.tsih), 0x0206);
    assert_eq!(refusal(1, 3, one.tsih), 0x0208);
    assert_eq!(refusal(0, 3, one.tsih + 1), 0x020a);
    // A connection that is there may be replaced all the same.
    let mut again = server.join(&one, 2);
    assert_eq!(again.tsih, two.tsih);
    again.expect_silence();
}

#[test]
fn a_limit_that_is_set_counts_more_than_what_was_agreed_on() {
    let (server, one, two) = pair();
    server.handle.faults().set_connection_limit(Some(1));
    let refused = |cid: u16| {
        let mut login = Initiator::connect(server.handle.local_addrs()[0]);
        (login.cid, login.tsih, login.cmd_sn) = (cid, one.tsih, one.cmd_sn);
        let response = login.login_step(0x87, &Initiator::further_names());
        login.expect_closed();
        response.login_status()
    };
    assert_eq!(refused(3), 0x0206);
    assert_eq!(server.handle.sessions()[0].connections, [1, two.cid]);
    server.handle.faults().set_connection_limit(None);
    drop(server.join(&one, 3));
}

#[test]
fn one_connection_is_all_that_most_initiators_ask_for() {
    let server = Server::new();
    let one = server.log_in(&[]);
    let mut login = server.connect();
    (login.cid, login.tsih, login.cmd_sn) = (2, one.tsih, one.cmd_sn);
    let response = login.login_step(0x87, &Initiator::further_names());
    assert_eq!(response.login_status(), 0x0206);
}

#[test]
fn what_holds_for_the_session_is_said_in_its_first_login_only() {
    let server = Server::new();
    let mut one = server.log_in(&[("MaxConnections", "4"), ("InitialR2T", "No")]);
    one.hear_news();
    let mut login = server.connect();
    (login.cid, login.tsih, login.cmd_sn) = (2, one.tsih, one.cmd_sn);
    let mut keys = Initiator::further_names();
    keys.push(("InitialR2T", "No"));
    assert_eq!(login.login_step(0x87, &keys).login_status(), 0x0200);
    // Digests belong to a connection, InitialR2T to the session.
    let mut two = server.connect();
    (two.cid, two.tsih, two.cmd_sn) = (2, one.tsih, one.cmd_sn);
    let mut keys = Initiator::further_names();
    keys.push(("HeaderDigest", "CRC32C"));
    two.log_in_as(&keys);
    let itt = two.command(WRITE | SIMPLE, 512, write10(0, 1), &[]);
    two.data_out(itt, NIL, 0, 0, true, &[8; 512]);
    assert_eq!(two.expect(SCSI_RESPONSE).header[3], 0);
}

#[test]
fn data_must_come_on_the_connection_of_its_command() {
    let (_server, mut one, mut two) = pair();
    let itt = one.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    let ttt = one.expect_unnumbered(R2T).word(20);
    two.data_out(itt, ttt, 0, 0, true, &[7; 512]);
    two.expect_silence();
    one.data_out(itt, ttt, 0, 0, true, &[8; 512]);
    assert_eq!(one.expect(SCSI_RESPONSE).header[3], 0);
    assert_eq!(one.read_blocks(0, 1), [8; 512]);
}

#[test]
fn a_connection_that_logs_out_takes_its_tasks_along() {
    let (server, mut one, mut two) = pair();
    two.cmd_sn = one.cmd_sn;
    two.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    two.expect_unnumbered(R2T);
    two.log_out(1, 2);
    assert_eq!(two.expect(LOGOUT_RESPONSE).header[2], 0);
    two.expect_closed();
    server.until("it is gone", |handle| {
        handle.sessions()[0].connections == [1]
    });
    one.cmd_sn = two.cmd_sn;
    // 47/7F: some commands cleared by iSCSI protocol event.
    one.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    assert_eq!(one.expect(SCSI_RESPONSE).sense(), (0x06, 0x47, 0x7f));
    assert_eq!(one.read_blocks(0, 1), [0; 512]);
}

#[test]
fn another_connection_is_gone_before_its_logout_is_answered() {
    let (server, mut one, mut two) = pair();
    // A command waits on the second connection for one that never came.
    two.cmd_sn = one.cmd_sn + 1;
    let early = two.command_header(FINAL | READ | SIMPLE, 512, read10(0, 1));
    two.send(early, &[]);
    two.expect_silence();
    one.log_out_now(1, 2);
    assert_eq!(one.expect(LOGOUT_RESPONSE).header[2], 0);
    assert_eq!(server.handle.sessions()[0].connections, [1]);
    two.expect_closed();
    // It counts as not received: the gap behind the first is to be filled again.
    one.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    let response = one.expect(SCSI_RESPONSE);
    assert_eq!(response.sense(), (0x06, 0x47, 0x7f));
    assert_eq!(response.word(28), one.cmd_sn);
    one.send(one.numbered_again(early), &[]);
    one.cmd_sn += 1;
    assert_eq!(one.expect(DATA_IN).data.len(), 512);
    // Once more: there is no such connection any more.
    one.log_out_now(1, 2);
    assert_eq!(one.expect(LOGOUT_RESPONSE).header[2], 1);
}

#[test]
fn a_session_that_is_closed_closes_all_connections() {
    let (server, mut one, mut two) = pair();
    one.log_out(0, 0);
    assert_eq!(one.expect(LOGOUT_RESPONSE).header[2], 0);
    one.expect_closed();
    two.expect_closed();
    server.until("the session is gone", |handle| handle.sessions().is_empty());
}

#[test]
fn without_recovery_a_lost_connection_ends_the_session() {
    let (server, one, mut two) = pair();
    let tsih = one.tsih;
    drop(one);
    // Event 3: all connections are dropped; there is nothing to wait for or to reassign.
    let event = two.expect(ASYNC);
    assert_eq!((event.header[36], event.itt()), (3, NIL));
    assert_eq!((event.half(40), event.half(42)), (0, 0));
    two.expect_closed();
    server.until("the session is gone", |handle| handle.sessions().is_empty());
    let mut late = server.connect();
    (late.tsih, late.cid) = (tsih, 3);
    let response = late.login_step(0x87, &Initiator::further_names());
    assert_eq!(response.login_status(), 0x020a);
}

#[test]
fn a_replaced_connection_leaves_the_others_alone() {
    let (server, mut one, mut two) = pair();
    two.cmd_sn = one.cmd_sn;
    two.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    two.expect_unnumbered(R2T);
    one.cmd_sn = two.cmd_sn;
    let mut again = server.join(&one, 2);
    two.expect_closed();
    again.expect_silence();
    one.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    assert_eq!(one.expect(SCSI_RESPONSE).sense(), (0x06, 0x47, 0x7f));
    again.cmd_sn = one.cmd_sn;
    assert_eq!(again.read_blocks(0, 1), [0; 512]);
    assert_eq!(server.handle.sessions()[0].connections, [1, 2]);
}

#[test]
fn a_function_on_many_tasks_waits_until_all_connections_have_heard_their_answers() {
    let (_server, mut one, mut two) = pair();
    two.cmd_sn = one.cmd_sn;
    two.write_blocks(0, &[3; 512]);
    one.cmd_sn = two.cmd_sn;
    // The second connection has not acknowledged its response: it is asked to.
    let itt = one.send_function(ABORT_TASK_SET, 0, NIL, 0);
    let ping = two.expect_unnumbered(NOP_IN);
    assert_eq!(ping.itt(), NIL);
    one.expect_silence();
    let mut pong = header(NOP_OUT | IMMEDIATE, FINAL, NIL);
    put(&mut pong, 20, ping.word(20));
    two.cmd_sn = one.cmd_sn;
    two.send_request(pong, &[]);
    let response = one.expect(TMF_RESPONSE);
    assert_eq!((response.itt(), response.header[2]), (itt, 0));
}
