//! The threads that carry the sessions' bytes.

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use hawser_engine::{Session, SessionOptions};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// More threads than this do not make sessions faster: few machines have more disks that are busy at
/// once than this.
const MOST: usize = 16;

/// One runtime a thread, one thread a core. A session stays on one of them, and what shows its disks to
/// NBD clients is put on the same (`ExportRequest::runtime`), so that a request changes no thread on
/// its way. RPC, logins of the store and all that may take long run elsewhere.
#[derive(Debug)]
pub(crate) struct DataThreads {
    threads: Vec<DataThread>,
    next: AtomicUsize,
}

/// A thread that carries its runtime's tasks until this is dropped.
#[derive(Debug)]
struct DataThread {
    runtime: Handle,
    _end: oneshot::Sender<()>,
}

impl DataThreads {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives no thread, or no descriptors for its runtime.
    pub(crate) fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = (0..cores.min(MOST)).map(|number| DataThread::start(number + 1));
        Ok(Self {
            threads: threads.collect::<io::Result<_>>()?,
            next: AtomicUsize::new(0),
        })
    }

    /// Opens a session on one of the threads, each in its turn.
    pub(crate) fn open(&self, options: SessionOptions) -> Session {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let thread = self.threads.get(turn % self.threads.len().max(1));
        let _entered = thread.map(|thread| thread.runtime.enter());
        Session::open(options)
    }
}

impl DataThread {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let carry = move || {
            // A dropped sender ends it as well.
            let _ = runtime.block_on(ended);
            // What is left of sessions that were not logged out answers its callers.
            runtime.shutdown_background();
        };
        thread::Builder::new()
            .name(format!("data-{number}"))
            .spawn(carry)?;
        Ok(Self {
            runtime: handle,
            _end: end,
        })
    }
}
