//! How others reach a connection: they wake it, or leave it an event.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use crate::faults::Event;

/// How many events may wait; a connection that does not look for so long misses the rest.
const EVENTS_LIMIT: usize = 256;

/// What waits for a connection.
#[derive(Debug, Default)]
struct Slot {
    waker: Option<Waker>,
    woken: bool,
    events: VecDeque<Event>,
}

/// The mailbox of one connection.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    slot: Mutex<Slot>,
}

impl Mailbox {
    /// Makes the connection look at its session again.
    pub(crate) fn wake(&self) {
        let waker = {
            let mut slot = self.slot();
            slot.woken = true;
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Leaves an event.
    pub(crate) fn post(&self, event: Event) {
        {
            let mut slot = self.slot();
            if slot.events.len() < EVENTS_LIMIT {
                slot.events.push_back(event);
            }
        }
        self.wake();
    }

    /// Whether somebody was here since the last look. If not, the task of `cx` is woken when
    /// somebody comes.
    pub(crate) fn look(&self, cx: &Context<'_>) -> bool {
        let mut slot = self.slot();
        let known = slot
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if !known {
            slot.waker = Some(cx.waker().clone());
        }
        std::mem::take(&mut slot.woken)
    }

    /// The next event.
    pub(crate) fn take(&self) -> Option<Event> {
        self.slot().events.pop_front()
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
