//! Lost connections and killed targets in the middle of writes.

use std::time::{Duration, Instant};

use hawser_block::{ErrorKind, Operation, submit};
use hawser_engine::{Hold, SessionState};

use super::support::{
    LIMIT, established, first_disk, logged_in_again, login_options, options, survive, tgt,
    tgt_disks, up,
};

#[tokio::test]
async fn a_killed_and_restarted_target_loses_no_write() {
    let mut server = tgt(tgt_disks(1));
    let mut options = options(server.portal(), login_options());
    options.hold = Hold::Forever;
    let session = established(options).await;
    survive(&session, 200, 65_536, 1, || {
        server.kill();
        server.restart().unwrap();
    })
    .await;
    logged_in_again(&session, 1).await;
    session.logout().await;
}

#[tokio::test]
async fn a_dropped_connection_is_made_again() {
    let server = tgt(tgt_disks(1));
    let session = up(server.portal(), login_options()).await;
    for round in 1..4 {
        survive(&session, 64, 16_384, round * 100, || session.reconnect()).await;
        logged_in_again(&session, round).await;
    }
    session.logout().await;
}

#[tokio::test]
async fn a_target_that_stays_away_fails_commands_after_the_hold_time() {
    let mut server = tgt(tgt_disks(1));
    let mut options = options(server.portal(), login_options());
    options.hold = Hold::For(Duration::from_secs(2));
    let session = established(options).await;
    let disk = first_disk(&session).await;
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
    // The gate opens once the disk has been asked who it is.
    let answered = async {
        while submit(&disk, Operation::Read, 0, vec![0; 512])
            .await
            .1
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, answered)
        .await
        .expect("in time");
    session.logout().await;
}

#[tokio::test]
async fn a_frozen_target_is_noticed_by_the_ping() {
    let server = tgt(tgt_disks(1));
    let mut options = options(server.portal(), login_options());
    options.timeouts.ping_interval = Duration::from_millis(300);
    options.timeouts.ping_timeout = Duration::from_millis(300);
    let session = established(options).await;
    let disk = first_disk(&session).await;
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
