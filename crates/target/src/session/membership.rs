//! Connections that come to a session and leave it (RFC 7143 §6.3.4, §7.1.4, §11.14).

use std::sync::Arc;

use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::LoginStatus;

use super::link::Farewell;
use super::losses::{EVENT_SESSION_DROPPED, Times};
use super::seat::Replacing;
use super::task::Home;
use super::{Core, Ending, Link, Session};
use crate::faults::AsyncEvent;

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
        let limit = self.shared.faults.connection_limit();
        self.lock().has_room(cid, limit)
    }

    /// Adds a connection to the session, or puts it in place of the one that has its CID
    /// (RFC 7143 §6.3.4): that is an implicit logout of the old one, whose tasks end, or at level 2
    /// wait for a new allegiance, before the new one begins. `exp_stat_sn` is what the login says
    /// of the old one.
    ///
    /// # Errors
    /// The status to refuse the login with.
    pub(crate) async fn add(
        self: &Arc<Self>,
        cid: u16,
        mut link: Link,
        exp_stat_sn: Option<u32>,
    ) -> Result<(), LoginStatus> {
        let _replacing = Replacing::new(self, cid);
        let limit = self.shared.faults.connection_limit();
        let mut replaces = false;
        loop {
            {
                let mut core = self.lock();
                if core.closed {
                    return Err(LoginStatus::SESSION_DOES_NOT_EXIST);
                }
                core.has_room(cid, limit)?;
                self.log_out_loss(&mut core, cid, exp_stat_sn);
                if let Some(old) = core.link(cid) {
                    // Another login may have come first: then it is the one to be replaced.
                    let ended = exp_stat_sn.map(|number| old.acknowledge(number));
                    old.end(Ending::Now);
                    for (itt, stat_sn) in ended.unwrap_or_default() {
                        core.archive.arrived(cid, itt, stat_sn);
                    }
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
        let farewell = core
            .links
            .get(&cid)
            .map(|link| (link.farewell, link.announced));
        match farewell.filter(|_| !core.closed) {
            None | Some((Farewell::LoggedOut, _)) => {}
            Some((Farewell::None, announced)) => {
                let replaced = core.replacing.contains(&cid);
                self.take_out(&mut core, cid, replaced, announced);
            }
        }
        core.links.remove(&cid);
        core.close_if_empty();
        drop(core);
        self.settled.notify_waiters();
    }

    /// A connection ends that was not logged out: another takes its place, or it was lost, perhaps
    /// with an announcement of these times.
    fn take_out(
        self: &Arc<Self>,
        core: &mut Core,
        cid: u16,
        replaced: bool,
        announced: Option<Times>,
    ) {
        let times = announced.unwrap_or(core.times());
        match core.agreed.error_recovery_level {
            2 if replaced => {
                self.suspend(core, cid, times, true);
            }
            _ if replaced => self.end_tasks_of(core, Home::On(cid)),
            0 => {
                self.end_tasks_of(core, Home::On(cid));
                core.links.remove(&cid);
                self.fail(core);
            }
            _ => self.lose(core, cid, times),
        }
    }

    /// Ends the tasks of a connection as if with CHECK CONDITION, which nobody hears; the disks
    /// tell of it before the next command (RFC 7143 §11.14.5). What came on the connection before
    /// its turn counts as not received.
    pub(super) fn end_tasks_of(self: &Arc<Self>, core: &mut Core, home: Home) {
        if let Some(cid) = home.cid() {
            core.discard_held(cid);
        }
        let cleared = core.drop_tasks(|task| task.home == home);
        core.archive.discard(|task| task.home == home);
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

    /// Whether there is room for a connection of this CID: its place, or a new one. A limit that is set
    /// counts more than what was agreed on.
    fn has_room(&self, cid: u16, limit: Option<u16>) -> Result<(), LoginStatus> {
        let Parameters {
            max_connections,
            error_recovery_level,
            ..
        } = self.agreed;
        // What is logged out only has to say its last words.
        let others = self
            .links
            .iter()
            .filter(|(other, link)| **other != cid && link.farewell == Farewell::None)
            .count();
        // RFC 7143 §6.3.4: with recovery there must be room for one more, to clean up the first.
        let least = if error_recovery_level == 2 { 2 } else { 1 };
        let most = limit.unwrap_or(max_connections.max(least));
        if others < usize::from(most) {
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
