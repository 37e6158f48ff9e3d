//! Connections that were lost or logged out for recovery, and their tasks, which wait for a new
//! allegiance (RFC 7143 §7.1.4.3, §7.2.2, §7.5).

use std::sync::{Arc, Weak};
use std::time::Duration;

use hawser_proto::pdu::Request;
use hawser_proto::serial::Serial;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::task::Home;
use super::{Core, Ending, Session, Turn};
use crate::faults::AsyncEvent;

/// Async event 1, "the target requests logout" (RFC 7143 §11.9.1).
const EVENT_LOGOUT_REQUEST: u8 = 1;

/// Async event 2, "the connection is dropped".
const EVENT_CONNECTION_DROPPED: u8 = 2;

/// Async event 3, "all connections of the session are dropped".
pub(super) const EVENT_SESSION_DROPPED: u8 = 3;

/// How many losses a session keeps; the oldest ends for another.
const LOSSES_LIMIT: usize = 64;

/// Time2Wait and Time2Retain in seconds (RFC 7143 §7.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Times {
    pub(crate) wait: u16,
    pub(crate) retain: u16,
}

impl Times {
    fn total(self) -> Duration {
        Duration::from_secs(u64::from(self.wait) + u64::from(self.retain))
    }
}

/// A connection that is gone and whose tasks are still there.
#[derive(Debug)]
pub(crate) struct Loss {
    pub(crate) cid: u16,
    /// A recovery logout, explicit or implicit, has succeeded: tasks may be reassigned.
    pub(crate) logged_out: bool,
    /// The StatSN that would have come next.
    next_status: Serial,
    /// When the tasks end.
    deadline: Instant,
}

impl Core {
    /// The times that hold where none were announced.
    pub(super) fn times(&self) -> Times {
        Times {
            wait: self.agreed.time2wait,
            retain: self.agreed.time2retain,
        }
    }

    /// The loss of the connection of this CID that has not been logged out.
    fn open_loss(&self, cid: u16) -> Option<u64> {
        let mut losses = self.losses.iter();
        losses
            .find(|(_, loss)| loss.cid == cid && !loss.logged_out)
            .map(|(id, _)| *id)
    }

    /// Whether a connection of this CID was lost and is to be cleaned up.
    pub(super) fn has_open_loss(&self, cid: u16) -> bool {
        self.open_loss(cid).is_some()
    }

    /// Whether tasks of a loss may be reassigned.
    pub(super) fn is_logged_out(&self, loss: u64) -> bool {
        self.losses.get(&loss).is_some_and(|loss| loss.logged_out)
    }

    /// Forgets commands whose statuses had arrived, as a logout tells by its ExpStatSN
    /// (RFC 7143 §11.14.4) or the login that takes the place of the connection does (§11.12.9).
    fn acknowledge_loss(&mut self, id: u64, exp_stat_sn: u32) {
        let Some(loss) = self.losses.get(&id) else {
            return;
        };
        let exp_stat_sn = Serial(exp_stat_sn);
        if exp_stat_sn <= loss.next_status {
            self.archive.discard(|task| {
                let told = task.stat_sn.is_some_and(|own| Serial(own) < exp_stat_sn);
                task.home == Home::Lost(id) && told
            });
        }
    }
}

impl Session {
    /// Suspends the tasks of a connection that is gone or about to go; gives the loss that they
    /// wait in. Immediate commands end (RFC 7143 §7.14), and what came before its turn counts as
    /// not received (§11.14).
    pub(super) fn suspend(
        self: &Arc<Self>,
        core: &mut Core,
        cid: u16,
        times: Times,
        logged_out: bool,
    ) -> u64 {
        core.discard_held(cid);
        core.drop_tasks(|task| {
            let immediate = task.command.header.is_immediate();
            task.home == Home::On(cid) && (task.held || immediate)
        });
        while core.losses.len() >= LOSSES_LIMIT
            && let Some(oldest) = core.losses.keys().next().copied()
        {
            self.end_loss(core, oldest);
        }
        let id = core.next_loss;
        core.next_loss += 1;
        for task in core
            .tasks
            .values_mut()
            .filter(|task| task.home == Home::On(cid))
        {
            task.home = Home::Lost(id);
        }
        core.archive.rehome(Home::On(cid), Home::Lost(id));
        let next_status = core.links.get(&cid).map(|link| link.next_status());
        let loss = Loss {
            cid,
            logged_out,
            next_status: next_status.unwrap_or_default(),
            deadline: Instant::now() + times.total(),
        };
        core.losses.insert(id, loss);
        // A connection may also go because its runtime does; then there is nothing to wait for.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(expire(Arc::downgrade(self), id, times.total()));
        }
        id
    }

    /// A connection was lost: its tasks wait for what the initiator does about it, and the other
    /// connections hear of it (RFC 7143 §7.1.4.3).
    pub(super) fn lose(self: &Arc<Self>, core: &mut Core, cid: u16, times: Times) {
        if times.retain == 0 {
            self.end_tasks_of(core, Home::On(cid));
        } else {
            self.suspend(core, cid, times, false);
        }
        let event = AsyncEvent {
            event: EVENT_CONNECTION_DROPPED,
            parameter1: cid,
            parameter2: times.wait,
            parameter3: times.retain,
            ..AsyncEvent::default()
        };
        // Those that are ending themselves have been told.
        let others: Vec<u16> = core
            .links
            .iter()
            .filter(|(other, link)| **other != cid && link.ending == Ending::Open)
            .map(|(other, _)| *other)
            .collect();
        for other in others {
            self.turn(core).announce(other, &event);
        }
    }

    /// An implicit logout of a lost connection: at level 2 for recovery, below it for good
    /// (RFC 7143 §11.14).
    pub(super) fn log_out_loss(
        self: &Arc<Self>,
        core: &mut Core,
        cid: u16,
        exp_stat_sn: Option<u32>,
    ) {
        let Some(id) = core.open_loss(cid) else {
            return;
        };
        if let Some(exp_stat_sn) = exp_stat_sn {
            core.acknowledge_loss(id, exp_stat_sn);
        }
        if core.agreed.error_recovery_level < 2 {
            self.end_loss(core, id);
            return;
        }
        let deadline = Instant::now() + core.times().total();
        if let Some(loss) = core.losses.get_mut(&id) {
            loss.logged_out = true;
            loss.deadline = deadline;
        }
    }

    /// Ends the tasks of a lost connection for good.
    pub(super) fn close_loss(self: &Arc<Self>, core: &mut Core, cid: u16) {
        if let Some(id) = core.open_loss(cid) {
            self.end_loss(core, id);
        }
    }

    fn end_loss(self: &Arc<Self>, core: &mut Core, id: u64) {
        self.end_tasks_of(core, Home::Lost(id));
        core.losses.remove(&id);
    }
}

impl Turn<'_> {
    /// Announces that a connection is dropped, or all of the session, and ends what is announced
    /// (RFC 7143 §11.9.1, events 2 and 3).
    pub(crate) fn announce_end(&mut self, cid: u16, whole: bool, times: Times) {
        let (event, parameter1) = if whole {
            (EVENT_SESSION_DROPPED, 0)
        } else {
            (EVENT_CONNECTION_DROPPED, cid)
        };
        let event = AsyncEvent {
            event,
            parameter1,
            parameter2: times.wait,
            parameter3: times.retain,
            ..AsyncEvent::default()
        };
        // The first connection of a session that hears of its end tells it for all.
        let meant: Vec<u16> = self
            .core
            .links
            .iter()
            .filter(|(other, link)| (whole || **other == cid) && link.ending == Ending::Open)
            .map(|(other, _)| *other)
            .collect();
        for cid in meant {
            self.announce(cid, &event);
            if let Some(link) = self.core.link(cid) {
                link.announced = Some(times);
                link.end(Ending::AfterOutput);
            }
        }
    }

    /// Asks for a logout of a connection, and drops it if there is none in time
    /// (RFC 7143 §11.9.1, event 1).
    pub(crate) fn request_logout(&mut self, cid: u16, seconds: u16) {
        let event = AsyncEvent {
            event: EVENT_LOGOUT_REQUEST,
            parameter3: seconds,
            ..AsyncEvent::default()
        };
        self.announce(cid, &event);
        let Some(link) = self.core.link(cid) else {
            return;
        };
        let (session, asked) = (Arc::downgrade(self.session), Arc::downgrade(&link.mailbox));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds.into())).await;
            let Some(session) = session.upgrade() else {
                return;
            };
            let mut core = session.lock();
            // The CID may be that of another connection by now.
            let link = core.links.get(&cid);
            if link.is_some_and(|link| Weak::ptr_eq(&asked, &Arc::downgrade(&link.mailbox))) {
                let times = core.times();
                session.turn(&mut core).announce_end(cid, false, times);
            }
        });
    }

    /// Takes note of what a logout says has arrived on a connection that is gone.
    pub(super) fn acknowledge_lost(&mut self, cid: u16, exp_stat_sn: u32) {
        if let Some(id) = self.core.open_loss(cid) {
            self.core.acknowledge_loss(id, exp_stat_sn);
        }
    }
}

/// Ends the tasks of a loss when their time is up (RFC 7143 §7.5), and the session with the last
/// of its connections.
async fn expire(session: Weak<Session>, id: u64, first: Duration) {
    let mut wait = first;
    loop {
        tokio::time::sleep(wait).await;
        let Some(session) = session.upgrade() else {
            return;
        };
        let closed = {
            let mut core = session.lock();
            let Some(loss) = core.losses.get(&id) else {
                return;
            };
            wait = loss.deadline.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                session.end_loss(&mut core, id);
                core.close_if_empty();
            }
            core.closed
        };
        session.settled.notify_waiters();
        if closed {
            session.over().await;
            session.shared.registry.remove(&session);
            return;
        }
    }
}
