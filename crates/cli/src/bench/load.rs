//! Keeps a fixed number of accesses under way: each completion starts the next, with the same buffer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use hawser_block::{BlockDevice, BlockError, Completion, CompletionSink, Operation, Request};
use tokio::sync::Notify;

use super::histogram::Histogram;
use super::places::{Places, fill};

/// What one access does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    /// Reading or writing.
    pub(super) operation: Operation,
    /// Bytes.
    pub(super) size: u32,
}

/// The accesses under way and what is counted of them. Nothing is allocated once it runs: a slot's
/// buffer travels with its access and comes back with the completion.
pub(super) struct Load {
    device: Arc<dyn BlockDevice>,
    access: Access,
    state: Mutex<State>,
    /// Itself, for the next request.
    me: Weak<Self>,
    /// The last access has ended, or one has failed.
    changed: Notify,
}

/// What changes with each access.
struct State {
    places: Places,
    /// When the access of each slot was started.
    started: Vec<Instant>,
    latencies: Histogram,
    under_way: usize,
    counting: bool,
    stopping: bool,
    failure: Option<BlockError>,
}

impl Load {
    /// A load that does not run yet: `depth` accesses at once.
    pub(super) fn new(
        device: Arc<dyn BlockDevice>,
        access: Access,
        places: Places,
        depth: u16,
    ) -> Arc<Self> {
        let state = State {
            places,
            started: vec![Instant::now(); depth.into()],
            latencies: Histogram::new(),
            under_way: 0,
            counting: false,
            stopping: false,
            failure: None,
        };
        Arc::new_cyclic(|me| Self {
            device,
            access,
            state: Mutex::new(state),
            me: Weak::clone(me),
            changed: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts an access in every slot.
    pub(super) fn start(&self) {
        let depth = self.state().started.len();
        for slot in 0..depth {
            let mut buffer = vec![0; self.access.size as usize];
            fill(&mut buffer, slot as u64 + 1);
            let next = self.state().begin(slot, Instant::now());
            if let Some(offset) = next {
                self.submit(slot as u64, offset, buffer);
            }
        }
    }

    /// Forgets what was counted and counts from now on.
    pub(super) fn begin_counting(&self) {
        let mut state = self.state();
        state.latencies.clear();
        state.counting = true;
    }

    /// Counts no more and starts no more; gives what was counted.
    pub(super) fn stop(&self) -> Histogram {
        let mut state = self.state();
        state.counting = false;
        state.stopping = true;
        std::mem::replace(&mut state.latencies, Histogram::new())
    }

    /// Waits until an access fails.
    pub(super) async fn failed(&self) -> BlockError {
        loop {
            let changed = self.changed.notified();
            if let Some(failure) = self.state().failure.clone() {
                return failure;
            }
            changed.await;
        }
    }

    /// Waits until no access is under way.
    pub(super) async fn drained(&self) {
        loop {
            let changed = self.changed.notified();
            if self.state().under_way == 0 {
                return;
            }
            changed.await;
        }
    }

    /// The lock must not be held here: a device may complete before `submit` returns.
    fn submit(&self, token: u64, offset: u64, buffer: Vec<u8>) {
        let Some(sink) = self.me.upgrade() else {
            return;
        };
        let operation = self.access.operation;
        self.device.submit(Request {
            operation,
            offset,
            buffer,
            token,
            sink,
        });
    }
}

impl State {
    /// Starts the next access of a slot; gives its offset unless there shall be none.
    fn begin(&mut self, slot: usize, now: Instant) -> Option<u64> {
        if self.stopping || self.failure.is_some() {
            return None;
        }
        *self.started.get_mut(slot)? = now;
        self.under_way += 1;
        Some(self.places.next())
    }

    /// Ends the access of a slot.
    fn end(&mut self, slot: usize, now: Instant, result: Result<(), BlockError>) {
        self.under_way -= 1;
        match (result, self.started.get(slot)) {
            (Ok(()), Some(started)) if self.counting => {
                self.latencies
                    .record(now.saturating_duration_since(*started));
            }
            (Ok(()), _) => {}
            (Err(error), _) => {
                self.failure.get_or_insert(error);
            }
        }
    }
}

impl CompletionSink for Load {
    fn complete(&self, completion: Completion) {
        let Completion {
            token,
            buffer,
            result,
        } = completion;
        let now = Instant::now();
        let slot = token as usize;
        let mut state = self.state();
        state.end(slot, now, result);
        let next = state.begin(slot, now);
        let changed = state.failure.is_some() || state.under_way == 0;
        drop(state);
        if let Some(offset) = next {
            self.submit(token, offset, buffer);
        }
        if changed {
            self.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use hawser_block::{ErrorKind, Geometry, MemoryDevice};

    use super::*;

    /// A disk in memory that completes on a thread of its own, as an iSCSI disk does.
    struct Deferred {
        geometry: Geometry,
        queue: Mutex<Sender<Request>>,
    }

    impl Deferred {
        /// A disk that fails every request after the first `good` ones.
        fn new(good: u64) -> Arc<Self> {
            let inner = MemoryDevice::new(128, 512);
            let (queue, requests) = channel::<Request>();
            let geometry = inner.geometry();
            std::thread::spawn(move || {
                for (count, request) in (0..).zip(requests) {
                    if count < good {
                        inner.submit(request);
                    } else {
                        request.complete(Err(BlockError::new(ErrorKind::Io, "broken")));
                    }
                }
            });
            Arc::new(Self {
                geometry,
                queue: Mutex::new(queue),
            })
        }
    }

    impl BlockDevice for Deferred {
        fn geometry(&self) -> Geometry {
            self.geometry
        }

        fn submit(&self, request: Request) {
            let queue = self.queue.lock().expect("no thread panicked");
            queue.send(request).expect("the thread runs");
        }
    }

    fn load(device: Arc<Deferred>, operation: Operation) -> Arc<Load> {
        let places = Places::new(device.geometry.size, 4096, true).expect("fits");
        Load::new(
            device,
            Access {
                operation,
                size: 4096,
            },
            places,
            8,
        )
    }

    #[tokio::test]
    async fn it_counts_what_was_done_while_counting() {
        let load = load(Deferred::new(u64::MAX), Operation::Read);
        load.start();
        load.begin_counting();
        while load.state().latencies.total() < 1000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(load.state().under_way > 0);
        let latencies = load.stop();
        assert!(latencies.total() >= 1000);
        load.drained().await;
        assert_eq!(load.state().under_way, 0);
        assert_eq!(load.stop().total(), 0, "it counted on");
    }

    #[tokio::test]
    async fn the_first_failure_ends_it() {
        let load = load(Deferred::new(100), Operation::Write { fua: false });
        load.begin_counting();
        load.start();
        let failure = tokio::time::timeout(Duration::from_secs(10), load.failed()).await;
        assert_eq!(failure.expect("in time").kind(), ErrorKind::Io);
        load.drained().await;
        assert_eq!(load.stop().total(), 100);
    }
}
