//! Lost connections and killed targets in the middle of writes.

use std::time::{Duration, Instant};

use hawser_block::{ErrorKind, Operation, submit};
use hawser_engine::{Hold, Session, SessionState};

use super::io::{disk, pattern, read};
use super::{LIMIT, disks, login_options, options, serve, up};

/// Waits for the `n`th login of the session.
async fn logged_in_again(session: &Session, reconnects: u64) {
    let mut states = session.watch();
    let again = states
        .wait_for(|state| matches!(state, SessionState::Up(view) if view.reconnects >= reconnects));
    tokio::time::timeout(LIMIT, again)
        .await
        .expect("in time")
        .expect("the driver lives");
}

#[tokio::test]
async fn a_killed_and_restarted_target_loses_no_write() {
    let mut server = serve(disks(1));
    let mut options = options(&server, login_options());
    options.hold = Hold::Forever;
    let session = Session::open(options);
    session.established().await.unwrap();
    let disk = disk(&session).await;
    let writes: Vec<_> = (0..200u64)
        .map(|i| {
            let data = pattern(65_536, i);
            submit(&disk, Operation::Write { fua: false }, i * 65_536, data)
        })
        .collect();
    server.kill();
    server.restart().unwrap();
    for write in writes {
        tokio::time::timeout(LIMIT, write)
            .await
            .expect("in time")
            .1
            .unwrap();
    }
    logged_in_again(&session, 1).await;
    for i in 0..200 {
        assert!(
            read(&disk, i * 65_536, 65_536).await == pattern(65_536, i),
            "block {i}"
        );
    }
    session.logout().await;
}

#[tokio::test]
async fn a_dropped_connection_is_made_again_with_the_same_isid() {
    let server = serve(disks(1));
    let session = up(&server, login_options()).await;
    let disk = disk(&session).await;
    for round in 1..4 {
        let writes: Vec<_> = (0..64u64)
            .map(|i| {
                let data = pattern(16_384, round * 100 + i);
                submit(&disk, Operation::Write { fua: false }, i * 16_384, data)
            })
            .collect();
        session.reconnect();
        for write in writes {
            tokio::time::timeout(LIMIT, write)
                .await
                .expect("in time")
                .1
                .unwrap();
        }
        logged_in_again(&session, round).await;
        for i in 0..64 {
            let data = read(&disk, i * 16_384, 16_384).await;
            assert!(
                data == pattern(16_384, round * 100 + i),
                "round {round} block {i}"
            );
        }
    }
    session.logout().await;
}

#[tokio::test]
async fn a_target_that_stays_away_fails_commands_after_the_hold_time() {
    let mut server = serve(disks(1));
    let mut options = options(&server, login_options());
    options.hold = Hold::For(Duration::from_secs(2));
    let session = Session::open(options);
    session.established().await.unwrap();
    let disk = disk(&session).await;
    server.kill();
    let begun = Instant::now();
    let (_, result) = submit(&disk, Operation::Read, 0, vec![0; 512]).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Disconnected);
    assert!(
        begun.elapsed() >= Duration::from_millis(1500),
        "{:?}",
        begun.elapsed()
    );
    // From then on at once, until the target is back.
    let begun = Instant::now();
    let (_, result) = submit(&disk, Operation::Read, 0, vec![0; 512]).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Disconnected);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    server.restart().unwrap();
    logged_in_again(&session, 1).await;
    let mut answer = submit(&disk, Operation::Read, 0, vec![0; 512]).await.1;
    // The gate opens once the disk has been asked who it is.
    while answer.is_err() {
        answer = submit(&disk, Operation::Read, 0, vec![0; 512]).await.1;
    }
    session.logout().await;
}

#[tokio::test]
async fn a_frozen_target_is_noticed_by_the_ping() {
    let server = serve(disks(1));
    let mut options = options(&server, login_options());
    options.timeouts.ping_interval = Duration::from_millis(300);
    options.timeouts.ping_timeout = Duration::from_millis(300);
    let session = Session::open(options);
    session.established().await.unwrap();
    let disk = disk(&session).await;
    server.freeze().unwrap();
    let pending = submit(&disk, Operation::Read, 0, vec![0; 512]);
    let mut states = session.watch();
    let lost = states.wait_for(|state| matches!(state, SessionState::Lost { .. }));
    tokio::time::timeout(LIMIT, lost)
        .await
        .expect("noticed in time")
        .unwrap();
    server.thaw().unwrap();
    tokio::time::timeout(LIMIT, pending)
        .await
        .expect("in time")
        .1
        .unwrap();
    session.logout().await;
}
