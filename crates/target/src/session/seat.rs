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

/// A login that is about to take its place, perhaps that of another connection. The session lives
/// as long as this does.
#[derive(Debug)]
pub(super) struct Replacing {
    session: Arc<Session>,
    cid: u16,
}

impl Replacing {
    /// A login to `session` that wants this CID.
    pub(super) fn new(session: &Arc<Session>, cid: u16) -> Self {
        session.lock().replacing.push(cid);
        Self {
            session: Arc::clone(session),
            cid,
        }
    }
}

impl Drop for Replacing {
    fn drop(&mut self) {
        let mut core = self.session.lock();
        let own = core.replacing.iter().position(|cid| *cid == self.cid);
        if let Some(index) = own {
            core.replacing.swap_remove(index);
        }
        core.close_if_empty();
        drop(core);
        self.session.forget_if_over();
    }
}

impl Core {
    /// A session ends with its last connection, unless another login is about to come in or tasks
    /// wait for one.
    pub(super) fn close_if_empty(&mut self) {
        if self.links.is_empty() && self.replacing.is_empty() && self.losses.is_empty() {
            self.close();
        }
    }
}

impl Session {
    /// Sees a session to its end that was closed while it waited for a connection: no seat does.
    pub(super) async fn bury(self: &Arc<Self>) {
        let is_silent = {
            let core = self.lock();
            core.closed && core.links.is_empty()
        };
        if is_silent {
            self.over().await;
            self.shared.registry.remove(self);
        }
    }

    /// Takes the session out of the registry if it is over.
    fn forget_if_over(self: &Arc<Self>) {
        if self.lock().is_closed() {
            self.shared.registry.remove(self);
        }
    }
}
