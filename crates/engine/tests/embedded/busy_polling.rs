//! Sessions whose thread looks for answers before it sleeps.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use hawser_block::{BlockDevice, Completion, CompletionSink, Operation, Request};
use hawser_engine::{BusyPolling, Hold, Lun};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

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

/// One that sends back each byte, on a thread of its own.
fn echo() -> tokio::net::UnixStream {
    let (near, mut far) = UnixStream::pair().unwrap();
    thread::spawn(move || {
        let mut byte = [0];
        while far.read_exact(&mut byte).is_ok() && far.write_all(&byte).is_ok() {}
    });
    near.set_nonblocking(true).unwrap();
    tokio::net::UnixStream::from_std(near).unwrap()
}

/// Sends a byte and waits until it is back, for ever; counts in `echoes`.
async fn ping_pong(mut peer: tokio::net::UnixStream, echoes: &mut u32) {
    let mut byte = [0];
    loop {
        peer.write_all(&byte).await.unwrap();
        peer.read_exact(&mut byte).await.unwrap();
        *echoes += 1;
    }
}

/// One read after the other, each asked for by the end of the one before.
struct Chain {
    disk: Lun,
    me: Weak<Self>,
    left: AtomicU32,
    ended: Notify,
}

impl Chain {
    fn next(self: Arc<Self>, buffer: Vec<u8>) {
        let disk = self.disk.clone();
        disk.submit(Request {
            operation: Operation::Read,
            offset: 0,
            buffer,
            token: 0,
            sink: self,
        });
    }
}

impl CompletionSink for Chain {
    fn complete(&self, completion: Completion) {
        completion.result.unwrap();
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            return self.ended.notify_one();
        }
        let me = self.me.upgrade().unwrap();
        me.next(completion.buffer);
    }
}

/// Who waits for another socket on the same thread is not kept waiting by a session that always has
/// something to look for.
#[tokio::test]
async fn others_on_the_thread_run_between_answers() {
    const READS: u32 = 4000;
    let elsewhere = tokio::runtime::Runtime::new().unwrap();
    let server = elsewhere.spawn(serve()).await.unwrap();
    let mut options = options(server.local_addrs()[0]);
    options.busy_polling = BusyPolling::For(Duration::from_millis(1));
    let session = established(options).await;
    let disk = disk(&session).await;
    let chain = Arc::new_cyclic(|me| Chain {
        disk,
        me: me.clone(),
        left: AtomicU32::new(READS),
        ended: Notify::new(),
    });
    let mut echoes = 0;
    Arc::clone(&chain).next(vec![0; 512]);
    tokio::select! {
        () = chain.ended.notified() => {}
        () = ping_pong(echo(), &mut echoes) => {}
    }
    println!("{READS} reads, {echoes} echoes");
    assert!(
        echoes > READS / 100,
        "{echoes} answers came through beside {READS} reads"
    );
    session.logout().await;
    elsewhere.shutdown_background();
}
