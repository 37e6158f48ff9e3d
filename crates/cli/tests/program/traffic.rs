//! The use of a disk by threads, and how much of it goes over each connection.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hawser_testkit::peers::wait_until;
use hawser_testkit::proxy::{Direction, FaultyProxy};
use serde_json::Value;
use tokio::runtime::Runtime;

/// How long anything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// What is written and read at once.
const PIECE: usize = 64 * 1024;
/// Pieces of each thread.
const PIECES: u64 = 64;
/// Bytes that only commands come to: a connection that has none is pinged now and then.
const CARRIED: u64 = 4 * PIECE as u64;
/// Threads that use a disk: with one alone, commands of a kind might all go over the same connection.
const THREADS: u64 = 3;

/// Waits for a condition; it must come.
pub(crate) fn until<T>(what: &str, condition: impl FnMut() -> Result<T, String>) -> T {
    wait_until(what, LIMIT, condition).unwrap_or_else(|error| panic!("{error}"))
}

/// Threads that write pieces of a disk and read them again.
pub(crate) struct DiskUse {
    end: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl DiskUse {
    /// Starts using a disk, as it is listed, at its FUSE file.
    pub(crate) fn of(disk: &Value) -> Self {
        let path = disk["fuse_path"].as_str().expect("it has one");
        let (end, rounds) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let thread = |number: u64| {
            let file = File::options().read(true).write(true).open(path);
            let file = file.expect("opened");
            let (end, rounds) = (Arc::clone(&end), Arc::clone(&rounds));
            std::thread::spawn(move || use_pieces(&file, number * PIECES, &end, &rounds))
        };
        let threads = (0..THREADS).map(thread).collect();
        Self {
            end,
            rounds,
            threads,
        }
    }

    /// Waits until every thread has done a round that began after this call.
    fn go_on(&self) {
        let wanted = self.rounds.load(Ordering::Relaxed) + 8 * THREADS;
        until("the disk to be used", || {
            assert!(!self.has_failed(), "a piece was wrong");
            let done = self.rounds.load(Ordering::Relaxed);
            (done >= wanted).then_some(()).ok_or(done.to_string())
        });
    }

    fn has_failed(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Stops; every piece must have been right.
    pub(crate) fn end(mut self) {
        self.end.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut self.threads) {
            thread.join().expect("every piece was right");
        }
    }
}

/// Ends the threads of a test that fails, so that the disk can go.
impl Drop for DiskUse {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

fn use_pieces(file: &File, first: u64, end: &AtomicBool, rounds: &AtomicU64) {
    let mut read = vec![0; PIECE];
    for round in 0_u64.. {
        if end.load(Ordering::Relaxed) {
            return;
        }
        let at = (first + round % PIECES) * PIECE as u64;
        let value = u8::try_from((first + round) % 251).expect("is below 256");
        let piece = vec![value; PIECE];
        file.write_all_at(&piece, at).expect("written");
        file.sync_data().expect("on the disk");
        file.read_exact_at(&mut read, at).expect("read");
        assert!(read == piece, "round {round}");
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

/// The way to a target's portal, on which the bytes of each connection are counted; connections are named by the order
/// in which they came.
pub(crate) struct Way {
    // Cuts its connections before its runtime goes.
    proxy: FaultyProxy,
    _runtime: Runtime,
}

impl Way {
    /// A way to this portal.
    pub(crate) fn to(portal: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let proxy = runtime.block_on(FaultyProxy::start(portal));
        Self {
            proxy: proxy.expect("it listens"),
            _runtime: runtime,
        }
    }

    /// Where it begins.
    pub(crate) fn portal(&self) -> String {
        self.proxy.address().to_string()
    }

    /// How many connections have come so far.
    pub(crate) fn connections(&self) -> u64 {
        self.proxy.accepted()
    }

    /// Waits until each of these connections has carried commands since this call.
    pub(crate) fn carries(&self, connections: &[u64], work: &DiskUse) {
        let before = self.carried();
        until("all connections to carry commands", || {
            assert!(!work.has_failed(), "a piece was wrong");
            let more = self.since(&before);
            let does = |&number: &u64| more[usize::try_from(number).expect("fits")] >= CARRIED;
            let all = connections.iter().all(does);
            all.then_some(()).ok_or(format!("{more:?}"))
        });
    }

    /// Waits until each of these connections has carried commands while all others carried none.
    pub(crate) fn carries_only(&self, connections: &[u64], work: &DiskUse) {
        // What was under way before comes to its end first.
        work.go_on();
        let before = self.carried();
        self.carries(connections, work);
        work.go_on();
        for (number, more) in (0..).zip(self.since(&before)) {
            assert!(
                connections.contains(&number) || more < PIECE as u64,
                "{more} bytes over connection {number}"
            );
        }
    }

    /// Bytes of each connection so far, both ways.
    fn carried(&self) -> Vec<u64> {
        let both = |number| {
            let passed = |direction| self.proxy.passed(number, direction);
            passed(Direction::ToServer) + passed(Direction::ToClient)
        };
        (0..self.connections()).map(both).collect()
    }

    fn since(&self, before: &[u64]) -> Vec<u64> {
        let carried = self.carried().into_iter();
        carried.zip(before).map(|(now, then)| now - then).collect()
    }
}
