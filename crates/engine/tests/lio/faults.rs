//! Lost connections in the middle of writes.

use std::sync::Arc;
use std::time::Duration;

use hawser_engine::{DigestPolicy, Hold, Session, SessionState};
use hawser_testkit::proxy::{Direction, Fault, FaultyProxy};

use super::machine::{at, lio, with};
use super::support::{LIMIT, TARGET, established, logged_in_again, login_options, survive, view};

/// A session through a proxy that breaks its connections.
async fn through(proxy: &FaultyProxy, isid: u8) -> Session {
    let mut options = at(proxy.address(), TARGET, isid, login_options());
    options.hold = Hold::Forever;
    established(options).await
}

#[tokio::test]
async fn a_connection_cut_again_and_again_loses_no_write() {
    let proxy = FaultyProxy::start(lio()).await.unwrap();
    // Inside the data of the writes, and inside the answers to them.
    proxy.plan(0, Direction::ToServer, Fault::CutAt { at: 1_000_000 });
    proxy.plan(1, Direction::ToClient, Fault::CutAt { at: 1_500 });
    proxy.plan(2, Direction::ToServer, Fault::CutAt { at: 2_222_222 });
    let session = through(&proxy, 30).await;
    let tsih = view(&session).tsih;
    survive(&session, 128, 65_536, 1, || {}).await;
    logged_in_again(&session, 3).await;
    assert_eq!(proxy.accepted(), 4);
    // RFC 7143 §6.3.5: the same ISID reinstates the session, which gets a new handle.
    assert_ne!(view(&session).tsih, tsih);
    session.logout().await;
}

#[tokio::test]
async fn an_ordered_reconnect_loses_no_write() {
    let session = established(with(TARGET, 31, login_options())).await;
    for round in 1..4 {
        survive(&session, 64, 16_384, round * 100, || session.reconnect()).await;
        logged_in_again(&session, round).await;
    }
    session.logout().await;
}

#[tokio::test]
async fn a_silent_connection_is_noticed_and_made_again() {
    let proxy = Arc::new(FaultyProxy::start(lio()).await.unwrap());
    let mut options = at(proxy.address(), TARGET, 32, login_options());
    options.hold = Hold::Forever;
    options.timeouts.ping_interval = Duration::from_millis(500);
    options.timeouts.ping_timeout = Duration::from_secs(1);
    let session = established(options).await;
    let watched = Arc::clone(&proxy);
    let mut states = session.watch();
    let unstall = tokio::spawn(async move {
        let lost = states.wait_for(|state| matches!(state, SessionState::Lost { .. }));
        let noticed = tokio::time::timeout(LIMIT, lost).await;
        watched.stall(Direction::ToClient, false);
        noticed.expect("noticed in time").expect("the driver lives");
    });
    survive(&session, 32, 16_384, 5, || {
        proxy.stall(Direction::ToClient, true);
    })
    .await;
    unstall.await.unwrap();
    logged_in_again(&session, 1).await;
    session.logout().await;
}

/// A byte turned round in data that a digest covers is found, and the write is sent again.
#[tokio::test]
async fn a_corrupted_byte_is_found_by_the_digest() {
    let proxy = FaultyProxy::start(lio()).await.unwrap();
    let fault = Fault::CorruptAt {
        at: 800_000,
        mask: 0x10,
    };
    proxy.plan(0, Direction::ToServer, fault);
    let mut login = login_options();
    login.header_digest = DigestPolicy::Crc32c;
    login.data_digest = DigestPolicy::Crc32c;
    let mut options = at(proxy.address(), TARGET, 33, login);
    options.hold = Hold::Forever;
    let session = established(options).await;
    survive(&session, 64, 65_536, 7, || {}).await;
    session.logout().await;
}
