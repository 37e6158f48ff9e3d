//! The thread that drives the connections, and the connections.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hawser_api::{Client, ConnectError};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Mutex, oneshot};

use super::Lane;

/// Tries to connect while the daemon has too many others waiting to be let in.
const CONNECT_TRIES: u32 = 20;
/// Pause between them.
const CONNECT_PAUSE: Duration = Duration::from_millis(25);
/// Stack of the thread, in bytes. It decodes messages of many megabytes, but not deeply nested ones.
const STACK_SIZE: usize = 1 << 20;

/// Faults of the thread itself: a program's own handlers of these are left to see them.
const FAULTS: [Signal; 6] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGSYS,
];

/// A thread with a runtime on it, and the connections that live there. Dropping it ends all of them.
#[derive(Debug)]
pub(super) struct Worker {
    runtime: Handle,
    connections: [Mutex<Connection>; Lane::COUNT],
    // The thread ends when this is dropped.
    _end: oneshot::Sender<()>,
}

/// The connection of a lane, if there is one.
#[derive(Debug, Default)]
struct Connection {
    client: Option<(PathBuf, Client)>,
    /// Counts connections, so that a call which saw one break does not drop its successor.
    number: u64,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread or no descriptors for it.
    pub(super) fn start() -> io::Result<Arc<Self>> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("iscsidsc".into())
            .stack_size(STACK_SIZE);
        let spawned = without_signals(|| {
            thread.spawn(move || {
                // An error means that the sender is gone, which is what ends this thread.
                let _ = runtime.block_on(ended);
                runtime.shutdown_background();
            })
        })?;
        drop(spawned?);
        Ok(Arc::new(Self {
            runtime: handle,
            connections: Default::default(),
            _end: end,
        }))
    }

    /// Runs a future on the thread and waits for its end; `None` if it has none within `longest`.
    pub(super) fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
        longest: Duration,
    ) -> Option<T> {
        let (answer, answered) = mpsc::sync_channel(1);
        let task = self.runtime.spawn(async move {
            // Nobody waits any more if this fails.
            let _ = answer.try_send(future.await);
        });
        let given = answered.recv_timeout(longest).ok();
        if given.is_none() {
            task.abort();
        }
        given
    }

    /// A client on the lane's connection, which is made if there is none to `socket`, and the connection's number.
    pub(super) async fn client(
        &self,
        lane: Lane,
        socket: &Path,
    ) -> Result<(Client, u64), ConnectError> {
        let mut connection = self.connections[lane as usize].lock().await;
        if let Some((to, client)) = &connection.client
            && to == socket
        {
            return Ok((client.clone(), connection.number));
        }
        let client = connect(socket).await?;
        connection.number += 1;
        connection.client = Some((socket.to_owned(), client.clone()));
        Ok((client, connection.number))
    }

    /// Drops the lane's connection of that number, if it is still the present one.
    pub(super) async fn forget(&self, lane: Lane, number: u64) {
        let mut connection = self.connections[lane as usize].lock().await;
        if connection.number == number {
            connection.client = None;
        }
    }
}

async fn connect(socket: &Path) -> Result<Client, ConnectError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match Client::connect(socket).await {
            // The listener's queue is full: the daemon is there, and busy.
            Err(ConnectError::Other { source, .. })
                if source.kind() == io::ErrorKind::WouldBlock && tries < CONNECT_TRIES =>
            {
                tokio::time::sleep(CONNECT_PAUSE).await;
            }
            other => return other,
        }
    }
}

/// Does on a thread of its own what the system may never finish, and gives it up after `longest`.
pub(crate) fn given_up_after<T: Send + 'static>(
    longest: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (answer, answered) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("iscsidsc".into())
        .stack_size(STACK_SIZE);
    let spawned = without_signals(|| {
        thread.spawn(move || {
            // Nobody waits any more if this fails.
            let _ = answer.try_send(work());
        })
    });
    drop(spawned.ok()?.ok()?);
    answered.recv_timeout(longest).ok()
}

/// Runs `start` with all signals blocked but faults: a thread takes its mask from the one that starts it. Signals
/// are the program's, and a SIGPIPE of our thread stays pending on it and harms nobody.
fn without_signals<T>(start: impl FnOnce() -> T) -> io::Result<T> {
    let mut blocked = SigSet::all();
    for fault in FAULTS {
        blocked.remove(fault);
    }
    let before = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let started = start();
    before.thread_set_mask()?;
    Ok(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_signal_is_delivered_to_the_thread() {
        let worker = Worker::start().expect("a thread");
        let mask = worker
            .run(
                async { SigSet::thread_get_mask().expect("has a mask") },
                Duration::from_secs(10),
            )
            .expect("answers");
        for signal in Signal::iterator() {
            let is_fault = FAULTS.contains(&signal);
            // Two cannot be blocked at all.
            let can_be = !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP);
            assert_eq!(mask.contains(signal), can_be && !is_fault, "{signal}");
        }
        let own = SigSet::thread_get_mask().expect("has a mask");
        assert!(
            !own.contains(Signal::SIGTERM),
            "the caller's mask is as it was"
        );
    }

    #[test]
    fn work_without_an_end_is_given_up() {
        let (_open, never) = mpsc::channel::<()>();
        let given = given_up_after(Duration::from_millis(10), move || never.recv());
        assert_eq!(given, None);
        assert_eq!(given_up_after(Duration::from_secs(10), || 7), Some(7));
    }

    #[test]
    fn a_future_without_an_end_does_not_keep_its_caller() {
        let worker = Worker::start().expect("a thread");
        let given = worker.run(std::future::pending::<()>(), Duration::from_millis(10));
        assert_eq!(given, None);
        assert_eq!(worker.run(async { 7 }, Duration::from_secs(10)), Some(7));
    }
}
