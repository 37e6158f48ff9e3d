//! Sessions whose thread looks for answers before it sleeps.

use std::time::Duration;

use hawser_engine::{BusyPolling, Hold, Lun};

use super::support::{
    at_level_0, disk, established, logged_in_again, options, pattern, read, serve, write,
};

const SIZE: usize = 20_480;

/// Writes and reads back, one access at a time.
async fn one_by_one(disk: &Lun, seed: u64) {
    for i in 0..50 {
        let data = pattern(SIZE, seed + i);
        write(disk, i * SIZE as u64, data.clone()).await;
        assert!(
            read(disk, i * SIZE as u64, SIZE).await == data,
            "access {i}"
        );
    }
}

#[tokio::test]
async fn single_accesses_are_right() {
    let server = serve().await;
    let mut options = options(server.local_addrs()[0]);
    options.busy_polling = BusyPolling::For(Duration::from_millis(1));
    let session = established(options).await;
    one_by_one(&disk(&session).await, 1).await;
    session.logout().await;
}

/// The loss of the connection is noticed while the thread looks, too, and costs nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_accesses_survive_broken_connections() {
    let server = serve().await;
    let mut options = at_level_0(server.local_addrs()[0]);
    options.busy_polling = BusyPolling::For(Duration::from_millis(1));
    options.hold = Hold::Forever;
    let session = established(options).await;
    let disk = disk(&session).await;
    for (round, bytes) in (1..).zip([1, 48, 20_000, 300_001]) {
        server.faults().drop_after_bytes(bytes);
        one_by_one(&disk, round * 1000).await;
        server.faults().clear();
    }
    logged_in_again(&session, 1).await;
    session.logout().await;
}
