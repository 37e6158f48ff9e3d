//! Connections that come to a session and leave it (RFC 7143 §6.3.4, §7.1.4, §11.14).

use std::sync::Arc;

use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::LoginStatus;

use super::link::Farewell;
use super::seat::Replacing;
use super::{Core, Ending, Link, Session};
use crate::faults::AsyncEvent;

/// Async event 3, "all connections of the session are dropped" (RFC 7143 §11.9.1).
const EVENT_SESSION_DROPPED: u8 = 3;

impl Session {
    /// Begins the session with its leading connection, which agrees on what holds for all.
    pub(crate) fn begin(&self, cid: u16, link: Link) {
        let mut core = self.lock();
        core.agreed = link.parameters.clone();
        core.seat(cid, link);
    }

    /// Whether a login may add a connection of this CID or put one in the place of another.
    ///
    /// # Errors
    /// The status to refuse the login with.
    pub(crate) fn judge_connection(&self, cid: u16) -> Result<(), LoginStatus> {
        self.lock().has_room(cid)
    }

    /// Adds a connection to the session, or puts it in place of the one that has its CID
    /// (RFC 7143 §6.3.4): that is an implicit logout of the old one, whose tasks end before the new
    /// one begins.
    ///
    /// # Errors
    /// The status to refuse the login with.
    pub(crate) async fn add(self: &Arc<Self>, cid: u16, mut link: Link) -> Result<(), LoginStatus> {
        let _replacing = Replacing::new(self, cid);
        let mut replaces = false;
        loop {
            {
                let mut core = self.lock();
                if core.closed {
                    return Err(LoginStatus::SESSION_DOES_NOT_EXIST);
                }
                core.has_room(cid)?;
                if let Some(old) = core.link(cid) {
                    // Another login may have come first: then it is the one to be replaced.
                    old.end(Ending::Now);
                } else if core.is_idle() || !replaces {
                    link.inherit(&core.agreed);
                    core.seat(cid, link);
                    return Ok(());
                }
                replaces = true;
            }
            self.until(|core| core.closed || !core.links.contains_key(&cid) && core.is_idle())
                .await;
        }
    }

    /// Takes a connection out.
    pub(super) fn leave(self: &Arc<Self>, cid: u16) {
        let mut core = self.lock();
        let left = core.links.remove(&cid);
        if let Some(link) = left.filter(|_| !core.closed) {
            self.end_tasks_of(&mut core, cid);
            let expected = link.farewell == Farewell::Closed || core.replacing.contains(&cid);
            if !expected {
                self.fail(&mut core);
            }
        }
        core.close_if_empty();
        drop(core);
        self.settled.notify_waiters();
    }

    /// Ends the tasks of a connection as if with CHECK CONDITION, which nobody hears; the disks
    /// tell of it before the next command (RFC 7143 §11.14.5). What came on the connection before
    /// its turn counts as not received.
    pub(super) fn end_tasks_of(self: &Arc<Self>, core: &mut Core, cid: u16) {
        core.discard_held(cid);
        let cleared = core.drop_tasks(|task| task.cid == cid);
        core.archive.discard(|task| task.cid == cid);
        if let Some(device) = self.device() {
            for lun in cleared {
                device.commands_cleared(&self.nexus, lun);
            }
        }
        self.turn(core).resume_waiting();
    }

    /// At ErrorRecoveryLevel 0 nothing outlives a connection that breaks off: the session is to be
    /// made anew, and the other connections hear so (RFC 7143 §7.1.4.4, §7.14).
    fn fail(self: &Arc<Self>, core: &mut Core) {
        let cids: Vec<u16> = core.links.keys().copied().collect();
        let event = AsyncEvent {
            event: EVENT_SESSION_DROPPED,
            ..AsyncEvent::default()
        };
        for cid in cids {
            self.turn(core).announce(cid, &event);
            if let Some(link) = core.link(cid) {
                link.end(Ending::AfterOutput);
            }
        }
        core.forget_all();
    }
}

impl Core {
    /// Puts a connection in its place.
    fn seat(&mut self, cid: u16, mut link: Link) {
        link.out.set_cid(cid);
        self.links.insert(cid, link);
    }

    /// Whether there is room for a connection of this CID: its place, or a new one.
    fn has_room(&self, cid: u16) -> Result<(), LoginStatus> {
        let Parameters {
            max_connections, ..
        } = self.agreed;
        let others = self.links.keys().filter(|other| **other != cid).count();
        if others < usize::from(max_connections) {
            Ok(())
        } else {
            Err(LoginStatus::TOO_MANY_CONNECTIONS)
        }
    }

    /// Whether no command is being carried out.
    fn is_idle(&self) -> bool {
        self.executing.is_empty()
    }
}
