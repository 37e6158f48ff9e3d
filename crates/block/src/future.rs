//! One request as a future, for callers that want to wait for it. It costs one allocation, so the
//! busy paths implement [`CompletionSink`] themselves.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::{BlockDevice, BlockError, Completion, CompletionSink, Operation, Request};

#[derive(Default)]
struct Slot {
    completion: Option<Completion>,
    waker: Option<Waker>,
}

struct Shared(Mutex<Slot>);

impl CompletionSink for Shared {
    fn complete(&self, completion: Completion) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.completion = Some(completion);
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The future of one request: the buffer comes back with the result.
///
/// # Cancellation
/// Dropping it does not stop the request: the device keeps the buffer until it is done with it, and
/// then drops it. A write may or may not reach the disk.
#[must_use = "a request is submitted at once, but its result is only known when awaited"]
pub struct IoFuture(Arc<Shared>);

impl std::fmt::Debug for IoFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IoFuture").finish_non_exhaustive()
    }
}

impl Future for IoFuture {
    type Output = (Vec<u8>, Result<(), BlockError>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.completion.take() {
            Some(Completion { buffer, result, .. }) => Poll::Ready((buffer, result)),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Submits one request and returns the future of its end.
///
/// `offset` is in bytes; `buffer` is the data of a write or the space of a read (see
/// [`Request::buffer`]) and comes back with the result. The request is in flight when this returns.
pub fn submit(
    device: &dyn BlockDevice,
    operation: Operation,
    offset: u64,
    buffer: Vec<u8>,
) -> IoFuture {
    let shared = Arc::new(Shared(Mutex::new(Slot::default())));
    let sink = Arc::clone(&shared) as Arc<dyn CompletionSink>;
    device.submit(Request {
        operation,
        offset,
        buffer,
        token: 0,
        sink,
    });
    IoFuture(shared)
}
