//! Logouts and asynchronous messages.

use std::time::{Duration, Instant};

use hawser_engine::{LunNumber, Session, SessionError, SessionEvent, TmfFunction};
use hawser_testkit::scripted::wire::{GOOD, LOGOUT_REQUEST, NO_TAG, SCSI_COMMAND, TEXT_REQUEST};
use hawser_testkit::scripted::{LIMIT, Pdu, Target};

use super::support::{
    R2T_ONLY, Rig, TWO_CONNECTIONS, answer_logout, answered, assert_good, failed, in_time,
    offer_recovery, options,
};

/// The target asks for a logout while a command is under way: no new command comes, the old one may
/// end, the logout is in order, and the session is made again.
async fn asks_for_logout(seconds: u16) {
    let mut rig = Rig::up(R2T_ONLY).await;
    let under_way = rig.test_unit_ready();
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.send(Pdu::async_message(1, [0, 0, seconds])).await;
    // At once: the next PDU, whatever time there is.
    let logout = rig.peer.expect(LOGOUT_REQUEST).await;
    assert!(
        [0, 1].contains(&logout.code()),
        "close the session or the connection"
    );
    assert_eq!(logout.cid(), rig.peer.agreed().requests[0].cid());
    assert_eq!(logout.exp_stat_sn(), rig.peer.next_stat_sn());
    // Nothing that is asked for now goes out on this connection, not even what is immediate.
    let later = rig.test_unit_ready();
    let managed = rig.manage(TmfFunction::LogicalUnitReset, LunNumber::ZERO);
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(under_way).await);
    rig.peer.send(Pdu::logout_response(&logout, 0, 0, 0)).await;
    rig.peer.finish().await;
    rig.peer.expect_close().await;
    // It was for the tasks of then.
    assert!(matches!(
        failed(managed).await,
        SessionError::Interrupted(_)
    ));
    rig.peer = rig.next_login(&[]).await;
    let command = rig.peer.expect_command(0).await;
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(later).await);
    rig.log_out().await;
}

#[tokio::test]
async fn ffp_14_1() {
    asks_for_logout(5).await;
}

#[tokio::test]
async fn ffp_14_2() {
    let mut rig = Rig::with(offer_recovery, TWO_CONNECTIONS).await;
    let mut second = rig.target.accept().await;
    second.log_in(&[]).await;
    let cid = second.agreed().requests[0].cid();
    second.send(Pdu::async_message(1, [0, 0, 5])).await;
    let logout = second.expect(LOGOUT_REQUEST).await;
    assert_eq!((logout.code(), logout.cid()), (1, cid));
    second.send(Pdu::logout_response(&logout, 0, 0, 0)).await;
    second.finish().await;
    second.expect_close().await;
    rig.works().await;
}

#[tokio::test]
async fn ffp_17_1() {
    let target = Target::listen().await;
    let session = Session::open(options(&target));
    let mut peer = target.accept().await;
    peer.log_in(&[]).await;
    in_time(session.established()).await.unwrap();
    let leaving = session.clone();
    let logout = tokio::spawn(async move { leaving.logout().await });
    let request = peer.expect(LOGOUT_REQUEST).await;
    let late = session.luns().await;
    assert!(late.is_err(), "no command after the logout");
    peer.send(Pdu::logout_response(&request, 0, 0, 0)).await;
    // The initiator waits for the target's FIN before it closes.
    peer.expect_patience(Duration::from_millis(300)).await;
    assert!(!logout.is_finished(), "who ends now would close it");
    peer.finish().await;
    peer.expect_close().await;
    in_time(logout).await.unwrap();
    let again = Session::open(options(&target));
    let mut peer = target.accept().await;
    peer.log_in(&[]).await;
    in_time(again.established()).await.unwrap();
    let leaving = again.clone();
    let logout = tokio::spawn(async move { leaving.logout().await });
    answer_logout(&mut peer).await;
    in_time(logout).await.unwrap();
}

#[tokio::test]
async fn ffp_20_1() {
    asks_for_logout(1).await;
}

#[tokio::test]
async fn ffp_20_2() {
    let mut rig = Rig::up(&[]).await;
    let cid = rig.peer.agreed().requests[0].cid();
    rig.peer.send(Pdu::async_message(2, [cid, 0, 1])).await;
    let told = Instant::now();
    rig.peer.expect_close().await;
    rig.peer = rig.next_login(&[]).await;
    assert!(
        told.elapsed() < LIMIT / 2,
        "at once, on a machine that may be busy"
    );
    rig.works().await;
}

/// With one connection; the time is the target's own, so it passes as it does.
#[tokio::test]
async fn ffp_20_3_one_connection() {
    let mut rig = Rig::up(&[]).await;
    rig.peer.send(Pdu::async_message(3, [0, 1, 2])).await;
    let told = Instant::now();
    rig.peer.expect_close().await;
    rig.peer = rig.next_login(&[]).await;
    assert!(
        told.elapsed() >= Duration::from_secs(1),
        "not before Time2Wait"
    );
    rig.works().await;
}

#[tokio::test]
async fn ffp_20_3() {
    let mut rig = Rig::with(offer_recovery, TWO_CONNECTIONS).await;
    let mut second = rig.target.accept().await;
    second.log_in(&[]).await;
    rig.peer.send(Pdu::async_message(3, [0, 1, 2])).await;
    let told = Instant::now();
    rig.peer.expect_close().await;
    second.expect_close().await;
    rig.peer = rig.next_login(&[]).await;
    assert!(
        told.elapsed() >= Duration::from_secs(1),
        "not before Time2Wait"
    );
    assert_eq!(rig.peer.agreed().requests[0].tsih(), 0, "a new session");
}

#[tokio::test]
async fn ffp_20_4() {
    let mut rig = Rig::up(&[]).await;
    rig.peer.send(Pdu::async_message(4, [0, 0, 3])).await;
    let text = rig.peer.expect(TEXT_REQUEST).await;
    assert!(text.is_final() && text.ttt() == NO_TAG);
    rig.peer.send(Pdu::text_response(&text, &[])).await;
    while !matches!(rig.event().await, SessionEvent::AsyncNotice { event: 4 }) {}
    rig.works().await;
}
