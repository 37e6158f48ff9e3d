//! The requests one client has in flight: bounded by count and bytes, with their buffers pooled.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hawser_block::{
    BlockDevice, BlockError, Completion, CompletionSink, ErrorKind, Operation, Request,
};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::reply::Outcome;
use super::request::RequestHeader;
use super::wire::MAX_PAYLOAD;

/// Requests one client may have in flight; more wait in its socket. Enough for the queue depth of
/// any benchmark, small enough that a client cannot fill a disk's queue alone.
pub(super) const MAX_IN_FLIGHT: usize = 256;

/// Data bytes one client may have in flight: one request of the greatest size, or thousands of small
/// ones. With the limit on clients it bounds the memory of an export.
const MAX_BYTES_IN_FLIGHT: usize = MAX_PAYLOAD as usize;

/// Buffers up to this capacity are kept for the next request; bigger ones are freed at once.
const MAX_POOLED_CAPACITY: usize = 256 * 1024;

/// Buffers that are kept when nothing is in flight: with the capacity limit, at most 8 MiB a client.
const MAX_POOLED: usize = 32;

/// A request whose reply is due.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) token: usize,
    pub(super) request: RequestHeader,
    pub(super) outcome: Outcome,
    pub(super) buffer: Vec<u8>,
    /// Data bytes the request was admitted with.
    bytes: usize,
}

#[derive(Debug)]
struct State {
    /// The requests in flight, with their data bytes.
    slots: Vec<Option<(RequestHeader, usize)>>,
    free: Vec<usize>,
    finished: VecDeque<Finished>,
    pool: Vec<Vec<u8>>,
    bytes_in_flight: usize,
    ended: bool,
}

/// One client's requests in flight. It is the completion sink of all of them, so it lives until the
/// disk is done with the last one, also when the client is long gone; only then does the client's
/// permit return.
pub(super) struct Slots {
    device: Arc<dyn BlockDevice>,
    state: Mutex<State>,
    /// Something is finished, or no more will come.
    finished: Notify,
    /// A slot or bytes were freed.
    room: Notify,
    _permit: OwnedSemaphorePermit,
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").finish_non_exhaustive()
    }
}

impl CompletionSink for Slots {
    fn complete(&self, completion: Completion) {
        let Completion {
            token,
            buffer,
            result,
        } = completion;
        let outcome = result.map_or_else(Outcome::Failed, |()| Outcome::Done);
        self.finish(token as usize, outcome, buffer);
    }
}

impl Slots {
    pub(super) fn new(device: Arc<dyn BlockDevice>, permit: OwnedSemaphorePermit) -> Arc<Self> {
        let state = State {
            slots: vec![None; MAX_IN_FLIGHT],
            free: (0..MAX_IN_FLIGHT).rev().collect(),
            finished: VecDeque::with_capacity(MAX_IN_FLIGHT),
            pool: Vec::with_capacity(MAX_POOLED),
            bytes_in_flight: 0,
            ended: false,
        };
        Arc::new(Self {
            device,
            state: Mutex::new(state),
            finished: Notify::new(),
            room: Notify::new(),
            _permit: permit,
        })
    }

    pub(super) fn device(&self) -> &dyn BlockDevice {
        &*self.device
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for a request with `bytes` of data, and gives its token and a buffer
    /// of that length with unspecified contents.
    pub(super) async fn admit(&self, request: RequestHeader, bytes: usize) -> (usize, Vec<u8>) {
        let (token, mut buffer) = loop {
            if let Some(admitted) = self.try_admit(request, bytes) {
                break admitted;
            }
            self.room.notified().await;
        };
        buffer.resize(bytes, 0);
        (token, buffer)
    }

    fn try_admit(&self, request: RequestHeader, bytes: usize) -> Option<(usize, Vec<u8>)> {
        let mut state = self.lock();
        if state.bytes_in_flight + bytes > MAX_BYTES_IN_FLIGHT {
            return None;
        }
        let token = state.free.pop()?;
        state.bytes_in_flight += bytes;
        state.slots[token] = Some((request, bytes));
        let buffer = if bytes == 0 { None } else { state.pool.pop() };
        Some((token, buffer.unwrap_or_default()))
    }

    /// Gives an admitted request to the disk.
    pub(super) fn submit(
        self: &Arc<Self>,
        token: usize,
        operation: Operation,
        offset: u64,
        buffer: Vec<u8>,
    ) {
        let sink = Arc::clone(self) as Arc<dyn CompletionSink>;
        self.device.submit(Request {
            operation,
            offset,
            buffer,
            token: token as u64,
            sink,
        });
    }

    /// Ends an admitted request; its reply becomes due.
    pub(super) fn finish(&self, token: usize, outcome: Outcome, buffer: Vec<u8>) {
        let mut state = self.lock();
        let Some((request, bytes)) = state.slots.get_mut(token).and_then(Option::take) else {
            return;
        };
        let outcome = match outcome {
            // The reply's header promises the data; anything else would put the stream out of step.
            Outcome::Done if request.is_read() && buffer.len() != bytes => {
                let text = "the disk gave back a buffer of another length";
                Outcome::Failed(BlockError::new(ErrorKind::Io, text))
            }
            outcome => outcome,
        };
        state.finished.push_back(Finished {
            token,
            request,
            outcome,
            buffer,
            bytes,
        });
        drop(state);
        self.finished.notify_one();
    }

    /// Says that no request will come any more.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.finished.notify_one();
    }

    /// Waits for finished requests and moves up to `limit` of them into `batch`. False when all
    /// requests are answered and no more will come.
    pub(super) async fn next_finished(&self, batch: &mut Vec<Finished>, limit: usize) -> bool {
        loop {
            if let Some(more) = self.take_finished(batch, limit) {
                return more;
            }
            self.finished.notified().await;
        }
    }

    /// As [`next_finished`](Self::next_finished); `None` when one must wait.
    fn take_finished(&self, batch: &mut Vec<Finished>, limit: usize) -> Option<bool> {
        let mut state = self.lock();
        let count = state.finished.len().min(limit);
        if count > 0 {
            batch.extend(state.finished.drain(..count));
            return Some(true);
        }
        (state.ended && state.free.len() == MAX_IN_FLIGHT).then_some(false)
    }

    /// Frees the slots of answered requests and keeps their buffers for the next ones.
    pub(super) fn release(&self, batch: &mut Vec<Finished>) {
        let mut state = self.lock();
        for finished in batch.drain(..) {
            state.bytes_in_flight -= finished.bytes;
            state.free.push(finished.token);
            let capacity = finished.buffer.capacity();
            let poolable = capacity > 0 && capacity <= MAX_POOLED_CAPACITY;
            if poolable && state.pool.len() < MAX_POOLED {
                state.pool.push(finished.buffer);
            }
        }
        drop(state);
        self.room.notify_one();
    }
}
