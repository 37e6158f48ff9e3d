//! Keeps a fixed number of accesses under way: each completion starts the next, with the same buffer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use hawser_block::{BlockDevice, BlockError, Completion, CompletionSink, Operation, Request};
use tokio::sync::Notify;

use super::histogram::Histogram;
use super::places::{Mix, Places, fill};

/// What was counted.
#[derive(Debug)]
pub(super) struct Counted {
    /// The latencies of all accesses.
    pub(super) latencies: Histogram,
    /// How many of them were reads.
    pub(super) reads: u64,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            latencies: Histogram::new(),
            reads: 0,
        }
    }
}

impl Counted {
    /// Adds what was counted elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies);
        self.reads += other.reads;
    }
}

/// The accesses under way and what is counted of them. Nothing is allocated once it runs: a slot's
/// buffer travels with its access and comes back with the completion.
pub(super) struct Load {
    device: Arc<dyn BlockDevice>,
    /// Bytes an access.
    size: u32,
    state: Mutex<State>,
    /// Itself, for the next request.
    me: Weak<Self>,
    /// The last access has ended, or one has failed.
    changed: Notify,
}

/// What changes with each access.
struct State {
    places: Places,
    mix: Mix,
    /// When the access of each slot was started, and what it does.
    started: Vec<(Instant, Operation)>,
    latencies: Histogram,
    reads: u64,
    under_way: usize,
    counting: bool,
    stopping: bool,
    failure: Option<BlockError>,
}

impl Load {
    /// A load that does not run yet: `depth` accesses of `size` bytes at once.
    pub(super) fn new(
        device: Arc<dyn BlockDevice>,
        size: u32,
        (places, mix): (Places, Mix),
        depth: u16,
    ) -> Arc<Self> {
        let state = State {
            places,
            mix,
            started: vec![(Instant::now(), Operation::Read); depth.into()],
            latencies: Histogram::new(),
            reads: 0,
            under_way: 0,
            counting: false,
            stopping: false,
            failure: None,
        };
        Arc::new_cyclic(|me| Self {
            device,
            size,
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
            let mut buffer = vec![0; self.size as usize];
            fill(&mut buffer, slot as u64 + 1);
            let next = self.state().begin(slot, Instant::now());
            if let Some(access) = next {
                self.submit(slot as u64, access, buffer);
            }
        }
    }

    /// Forgets what was counted and counts from now on.
    pub(super) fn begin_counting(&self) {
        let mut state = self.state();
        state.latencies.clear();
        state.reads = 0;
        state.counting = true;
    }

    /// Counts no more and starts no more; gives what was counted.
    pub(super) fn stop(&self) -> Counted {
        let mut state = self.state();
        state.counting = false;
        state.stopping = true;
        Counted {
            latencies: std::mem::replace(&mut state.latencies, Histogram::new()),
            reads: std::mem::take(&mut state.reads),
        }
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
    fn submit(&self, token: u64, (operation, offset): (Operation, u64), buffer: Vec<u8>) {
        let Some(sink) = self.me.upgrade() else {
            return;
        };
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
    /// Starts the next access of a slot; gives what it does and where, unless there shall be none.
    fn begin(&mut self, slot: usize, now: Instant) -> Option<(Operation, u64)> {
        if self.stopping || self.failure.is_some() {
            return None;
        }
        let operation = self.mix.next();
        *self.started.get_mut(slot)? = (now, operation);
        self.under_way += 1;
        Some((operation, self.places.next()))
    }

    /// Ends the access of a slot.
    fn end(&mut self, slot: usize, now: Instant, result: Result<(), BlockError>) {
        self.under_way -= 1;
        match (result, self.started.get(slot)) {
            (Ok(()), Some((started, operation))) if self.counting => {
                self.latencies
                    .record(now.saturating_duration_since(*started));
                self.reads += u64::from(*operation == Operation::Read);
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
        if let Some(access) = next {
            self.submit(token, access, buffer);
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

    fn load(device: Arc<Deferred>, reads_in_hundred: u8) -> Arc<Load> {
        let places = Places::new(device.geometry.size, 4096, true, 0).expect("fits");
        Load::new(device, 4096, (places, Mix::new(reads_in_hundred)), 8)
    }

    #[tokio::test]
    async fn it_counts_what_was_done_while_counting() {
        let load = load(Deferred::new(u64::MAX), 70);
        load.start();
        load.begin_counting();
        while load.state().latencies.total() < 1000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(load.state().under_way > 0);
        let counted = load.stop();
        let all = counted.latencies.total();
        assert!(all >= 1000);
        assert!(
            counted.reads > all / 2 && counted.reads < all,
            "{counted:?}"
        );
        load.drained().await;
        assert_eq!(load.state().under_way, 0);
        assert_eq!(load.stop().latencies.total(), 0, "it counted on");
    }

    #[tokio::test]
    async fn the_first_failure_ends_it() {
        let load = load(Deferred::new(100), 0);
        load.begin_counting();
        load.start();
        let failure = tokio::time::timeout(Duration::from_secs(10), load.failed()).await;
        assert_eq!(failure.expect("in time").kind(), ErrorKind::Io);
        load.drained().await;
        let counted = load.stop();
        assert_eq!((counted.latencies.total(), counted.reads), (100, 0));
    }
}
