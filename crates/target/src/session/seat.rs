//! A connection's place in a session, which it gives up however it ends.

use std::sync::Arc;

use super::{Core, Session};

/// The place of one connection. Dropping it takes the connection out of the session, and a session
/// that is over out of the registry.
#[derive(Debug)]
pub(crate) struct Seat {
    session: Option<Arc<Session>>,
    cid: u16,
}

impl Seat {
    /// The place of the connection of this CID, which has joined the session.
    pub(crate) fn new(session: Arc<Session>, cid: u16) -> Self {
        Self {
            session: Some(session),
            cid,
        }
    }

    /// Gives the place up, and sees the session to its end if that was the last.
    pub(crate) async fn leave(mut self) {
        // Once only: the CID may belong to another connection right after.
        let Some(session) = self.session.take() else {
            return;
        };
        session.leave(self.cid);
        if session.lock().is_closed() {
            session.over().await;
            session.shared.registry.remove(&session);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.leave(self.cid);
            session.forget_if_over();
        }
    }
}

/// The wait for a connection whose CID another is to take over. Dropping it gives the wait up.
#[derive(Debug)]
pub(super) struct Replacing {
    pub(super) session: Arc<Session>,
    pub(super) cid: u16,
}

impl Drop for Replacing {
    fn drop(&mut self) {
        let mut core = self.session.lock();
        core.replacing.remove(&self.cid);
        core.close_if_empty();
        drop(core);
        self.session.forget_if_over();
    }
}

impl Core {
    /// At ErrorRecoveryLevel 0 nothing outlives the last connection (RFC 7143 §7.1.4.4).
    pub(super) fn close_if_empty(&mut self) {
        if self.links.is_empty() && self.replacing.is_empty() {
            self.close();
        }
    }
}

impl Session {
    /// Takes the session out of the registry if it is over.
    fn forget_if_over(self: &Arc<Self>) {
        if self.lock().is_closed() {
            self.shared.registry.remove(self);
        }
    }
}
