//! The news of a session for whoever listens: a queue for each, which takes no room while nothing waits in it.
//!
//! A broadcast channel would set its places aside beforehand, 36 KiB for each session, idle or not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::SessionEvent;

/// Events kept for a listener that lags.
const BACKLOG: usize = 256;

/// The side that tells.
#[derive(Debug, Default)]
pub(crate) struct Teller(Mutex<Vec<Weak<Queue>>>);

/// What waits for one listener.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Something came, or nothing will any more.
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<SessionEvent>,
    /// Events that were dropped because too many waited.
    lost: u64,
    closed: bool,
}

/// The events of a session from when [`Session::events`](super::Session::events) was called. A listener
/// that lags more than 256 events behind loses the oldest, and is told how many.
#[derive(Debug)]
pub struct SessionEvents(Arc<Queue>);

impl Teller {
    /// Tells an event to all who listen.
    pub(super) fn tell(&self, event: SessionEvent) {
        let mut listeners = self.listeners();
        listeners.retain(|listener| listener.strong_count() > 0);
        let copies = std::iter::repeat_n(event, listeners.len());
        for (listener, event) in listeners.iter().zip(copies) {
            if let Some(queue) = listener.upgrade() {
                queue.push(event);
            }
        }
    }

    /// Listens from now on.
    pub(super) fn listen(&self) -> SessionEvents {
        let queue = Arc::new(Queue::default());
        let mut listeners = self.listeners();
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&queue));
        SessionEvents(queue)
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Weak<Queue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        for queue in self.listeners().iter().filter_map(Weak::upgrade) {
            queue.waiting().closed = true;
            queue.news.notify_one();
        }
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: SessionEvent) {
        let mut waiting = self.waiting();
        if waiting.events.len() == BACKLOG {
            waiting.events.pop_front();
            waiting.lost += 1;
        }
        waiting.events.push_back(event);
        drop(waiting);
        self.news.notify_one();
    }
}

impl SessionEvents {
    /// The next event.
    ///
    /// # Errors
    /// [`RecvError::Lagged`]: so many events were lost; the next call gives the oldest that is left.
    /// [`RecvError::Closed`]: the session is gone and all its events were taken.
    ///
    /// # Cancel safety
    /// No event is lost when the future is dropped.
    pub async fn recv(&mut self) -> Result<SessionEvent, RecvError> {
        loop {
            match self.try_recv() {
                Ok(event) => return Ok(event),
                Err(TryRecvError::Lagged(lost)) => return Err(RecvError::Lagged(lost)),
                Err(TryRecvError::Closed) => return Err(RecvError::Closed),
                Err(TryRecvError::Empty) => self.0.news.notified().await,
            }
        }
    }

    /// The next event, if one waits.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`TryRecvError::Empty`].
    pub fn try_recv(&mut self) -> Result<SessionEvent, TryRecvError> {
        let mut waiting = self.0.waiting();
        if waiting.lost > 0 {
            return Err(TryRecvError::Lagged(std::mem::take(&mut waiting.lost)));
        }
        let Some(event) = waiting.events.pop_front() else {
            return Err(if waiting.closed {
                TryRecvError::Closed
            } else {
                TryRecvError::Empty
            });
        };
        if waiting.events.is_empty() {
            // A burst leaves nothing behind.
            waiting.events = VecDeque::new();
        }
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(event: u8) -> SessionEvent {
        SessionEvent::AsyncNotice { event }
    }

    fn number(event: &SessionEvent) -> Option<u8> {
        match event {
            SessionEvent::AsyncNotice { event } => Some(*event),
            _ => None,
        }
    }

    #[tokio::test]
    async fn each_listener_gets_what_comes_after_it_and_then_the_end() {
        let teller = Teller::default();
        let mut early = teller.listen();
        teller.tell(told(1));
        let mut late = teller.listen();
        let waits = tokio::spawn(async move { (late.recv().await, late.recv().await) });
        tokio::task::yield_now().await;
        teller.tell(told(2));
        drop(teller);
        let (first, end) = waits.await.unwrap();
        assert_eq!(number(&first.unwrap()), Some(2));
        assert_eq!(end.unwrap_err(), RecvError::Closed);
        assert_eq!(number(&early.recv().await.unwrap()), Some(1));
        assert_eq!(number(&early.try_recv().unwrap()), Some(2));
        assert_eq!(early.try_recv().unwrap_err(), TryRecvError::Closed);
    }

    #[test]
    fn who_lags_is_told_how_many_events_were_lost_and_who_is_gone_costs_nothing() {
        let teller = Teller::default();
        let mut slow = teller.listen();
        drop(teller.listen());
        assert_eq!(slow.try_recv().unwrap_err(), TryRecvError::Empty);
        for _ in 0..3 {
            teller.tell(told(0));
        }
        for _ in 0..BACKLOG {
            teller.tell(told(7));
        }
        assert_eq!(teller.listeners().len(), 1);
        assert_eq!(slow.try_recv().unwrap_err(), TryRecvError::Lagged(3));
        for _ in 0..BACKLOG {
            assert_eq!(number(&slow.try_recv().unwrap()), Some(7));
        }
        assert_eq!(slow.try_recv().unwrap_err(), TryRecvError::Empty);
        assert_eq!(slow.0.waiting().events.capacity(), 0);
    }
}
