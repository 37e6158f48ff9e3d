//! RFC 7143 §6.3.4, §6.3.5, §7: reinstatement, lost connections, a killed target.

use std::sync::Arc;

use hawser_target::disk::{RamBackend, VolatileCache};
use hawser_target::{TargetConfig, TargetServer};

use crate::raw::*;

#[test]
fn a_new_login_ends_the_old_session_and_its_tasks_first() {
    let server = Server::new();
    let mut old = server.log_in(&[]);
    old.hear_news();
    let itt = old.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    let ttt = old.expect_unnumbered(R2T).word(20);
    let mut new = server.connect();
    let response = new.log_in(&[]);
    assert_ne!(response.half(14), old.tsih);
    // The login is complete: nothing of the old session may happen now.
    old.expect_closed();
    let _ = itt;
    let _ = ttt;
    assert_eq!(server.handle.sessions().len(), 1);
    assert_eq!(server.handle.counters().reinstatements, 1);
    new.hear_news();
    assert_eq!(new.read_blocks(0, 1), [0; 512]);
}

#[test]
fn another_isid_or_group_is_another_session() {
    let server = Server::start(
        TargetServer::builder()
            .portal(localhost())
            .portal_in_group(2, localhost())
            .target(target()),
    );
    let mut one = server.log_in(&[]);
    let mut two = server.connect();
    two.isid[5] = 2;
    two.log_in(&[]);
    let mut three = Initiator::connect(server.handle.local_addrs()[1]);
    three.log_in(&[]);
    assert_eq!(server.handle.sessions().len(), 3);
    for session in [&mut one, &mut two, &mut three] {
        session.hear_news();
    }
}

#[test]
fn a_login_with_the_same_cid_replaces_the_connection() {
    let server = Server::new();
    let mut old = server.log_in(&[("InitialR2T", "No")]);
    old.hear_news();
    old.write_blocks(0, &[7; 512]);
    let mut new = server.connect();
    (new.tsih, new.cmd_sn) = (old.tsih, old.cmd_sn);
    let response = new.log_in_as(&[("InitiatorName", INITIATOR), ("TargetName", IQN)]);
    assert_eq!(response.half(14), old.tsih);
    old.expect_closed();
    // The session goes on where it was: same numbers, no unit attention.
    assert_eq!(new.read_blocks(0, 1), [7; 512]);
    // What only a leading login agrees on is still in force: data may come unasked.
    let itt = new.command(WRITE | SIMPLE, 512, write10(0, 1), &[]);
    new.data_out(itt, NIL, 0, 0, true, &[8; 512]);
    assert_eq!(new.expect(SCSI_RESPONSE).header[3], 0);
    assert_eq!(server.handle.sessions()[0].connections, [1]);
}

#[test]
fn a_closed_connection_takes_its_session_along() {
    let server = Server::new();
    let initiator = server.log_in(&[]);
    let tsih = initiator.tsih;
    drop(initiator);
    server.until("the session is gone", |handle| handle.sessions().is_empty());
    let mut late = server.connect();
    late.tsih = tsih;
    let keys = [("InitiatorName", INITIATOR), ("TargetName", IQN)];
    assert_eq!(late.login_step(0x87, &keys).login_status(), 0x020a);
}

#[test]
fn a_killed_target_forgets_what_was_not_flushed() {
    let medium = Arc::new(VolatileCache::new(RamBackend::new(1 << 20).unwrap()));
    let disk = unit(medium);
    let start = || {
        let target = TargetConfig::new(IQN).unwrap().lun(0, Arc::clone(&disk));
        Server::with_target(target)
    };
    let server = start();
    let mut initiator = server.log_in(&[]);
    initiator.hear_news();
    initiator.write_blocks(0, &[1; 4096]);
    let mut synchronize = [0; 16];
    synchronize[0] = 0x35;
    initiator.command(FINAL | SIMPLE, 0, synchronize, &[]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    initiator.write_blocks(8, &[2; 4096]);
    server.runtime.block_on(server.handle.kill());
    initiator.expect_closed();
    let server = start();
    let mut initiator = server.log_in(&[]);
    initiator.hear_news();
    assert_eq!(initiator.read_blocks(0, 8), [1; 4096]);
    assert_eq!(initiator.read_blocks(8, 8), [0; 4096]);
}

#[test]
fn a_shutdown_asks_for_logouts_first() {
    let server = Server::new();
    let mut initiator = server.log_in(&[]);
    let address = server.address();
    let grace = std::time::Duration::from_secs(30);
    let stopping = server.runtime.spawn(server.handle.shutdown(grace));
    let event = initiator.expect(ASYNC);
    // Event 1, with the time that is left in Parameter3.
    assert_eq!(
        (event.header[36], event.half(42), event.itt()),
        (1, 30, NIL)
    );
    initiator.send_request(header(LOGOUT_REQUEST | IMMEDIATE, FINAL, 0x99), &[]);
    assert_eq!(initiator.expect(LOGOUT_RESPONSE).header[2], 0);
    initiator.expect_closed();
    server.runtime.block_on(stopping).unwrap();
    assert!(std::net::TcpStream::connect(address).is_err());
}
