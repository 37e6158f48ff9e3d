//! The loss of one connection of a session that lives on (RFC 7143 §7.14, §7.1.4.3): the target cleans
//! up after it, and its commands go on elsewhere.
//!
//! A lost connection is logged out of over another one. At error recovery level 1 the reason is "close
//! the connection": its tasks are dead then. At level 2 it is "remove the connection for recovery": they
//! are suspended, and reassigned (see `reassign`). When the last connection is lost at level 2, a new one
//! takes its CID, which is the same logout implied (§6.3.4).
//!
//! Either way the target has forgotten the commands whose CmdSN it never acknowledged: they are sent
//! again with the same number and tag, so that no number is missing (§7.2.1). That is no replay.
//!
//! What fails here falls back: recovery logout, close logout, session recovery.

use std::time::{Duration, Instant};

use super::Session;
use super::connection::Connection;
use super::event::{Action, ConnectionError, Event, LoginRole, Outcome};
use super::members::Gone;
use super::recovery::{Established, Nexus, Phase};
use super::task::{Ending, Kind, State, TaskId};
use crate::pdu::{LogoutReason, TmfFunction};

/// Logouts that are tried for one lost connection before the whole session is given up.
const MAX_LOGOUTS: u8 = 4;

/// The shortest pause before a logout that failed is tried again.
const LOGOUT_PAUSE: Duration = Duration::from_secs(1);

/// A lost connection that the target has not cleaned up yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cleanup {
    pub(super) cid: u16,
    pub(super) gone: Gone,
    reason: LogoutReason,
    attempts: u8,
    /// When the logout is due; `None` while one is under way.
    due: Option<Instant>,
}

/// What a session does about the loss of one of its connections.
enum Rescue {
    /// The whole session is made again.
    Session,
    /// The connection has been logged out of: its tasks are dead.
    LoggedOut,
    /// The connection is cleaned up over another one.
    Connection,
    /// It was the last one, and the session waits for another to take its place.
    Suspend,
}

/// What has become of the tasks of a connection that is cleaned up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remains {
    /// They are dead.
    Dead,
    /// They are suspended.
    Suspended,
}

impl Session {
    /// A connection is gone, or must be. At error recovery level 0, or when all else fails, the whole
    /// session is made anew: commands that may be replayed wait for it, all others end. Above it, its
    /// commands go on on the other connections, or on one that takes its place.
    pub fn handle_connection_lost(&mut self, now: Instant, cid: u16, error: ConnectionError) {
        let Some(index) = self.index(cid) else {
            return;
        };
        self.counters.lost(&error);
        self.note_distrust(index, &error);
        let rescue = self.rescue(index, &error);
        if matches!(rescue, Rescue::Connection) && self.carries_orphan(index) {
            // With the last connection it is counted when that is resumed.
            self.vain_resumptions = self.vain_resumptions.saturating_add(1);
        }
        match rescue {
            Rescue::Session => self.lose_session(now, error),
            Rescue::LoggedOut => self.lose_logged_out(now, index, error),
            Rescue::Connection | Rescue::Suspend
                if self.vain_resumptions >= MAX_VAIN_RESUMPTIONS =>
            {
                // It agrees on more than it does.
                self.trusted_level = self.trusted_level.min(1);
                self.lose_session(now, error);
            }
            Rescue::Connection => self.lose_connection(now, index, error),
            Rescue::Suspend => self.suspend(now, index, error),
        }
    }

    /// The error recovery level in force: the one agreed on, or less where the target has shown that
    /// it does not keep to it.
    #[inline]
    pub(super) fn level(&self) -> u8 {
        self.agreed_level.min(self.trusted_level)
    }

    /// The highest error recovery level that is worth offering to this target: what it agreed on before
    /// and did not keep to is not in it.
    #[must_use]
    pub fn trusted_level(&self) -> u8 {
        self.trusted_level
    }

    fn rescue(&self, index: usize, error: &ConnectionError) -> Rescue {
        let logged_out = self.connections.get(index).is_some_and(|c| c.logged_out);
        let usable = |(at, c): (usize, &Connection)| at != index && c.is_usable();
        let others = self.connections.iter().enumerate().any(usable);
        let phase_up = matches!(self.phase, Phase::Up { .. }) && !self.leaving;
        if !phase_up || !error.spares_session() {
            return Rescue::Session;
        }
        match self.level() {
            _ if others && logged_out => Rescue::LoggedOut,
            1 | 2 if others && !logged_out => Rescue::Connection,
            // Nobody waits for what goes on later when the hold time is over.
            2 if self.connections.len() == 1
                && !logged_out
                && !self.failing
                && self.is_retained() =>
            {
                Rescue::Suspend
            }
            _ => Rescue::Session,
        }
    }

    /// The target keeps the tasks of a lost connection for a while.
    fn is_retained(&self) -> bool {
        self.retention()
            .is_some_and(|(_, retain)| !retain.is_zero())
    }

    /// Time2Wait and Time2Retain for what is lost now: announced ones, else those agreed on.
    fn retention(&self) -> Option<(Duration, Duration)> {
        let Phase::Up { nexus } = self.phase else {
            return None;
        };
        let agreed = (nexus.time2wait, nexus.time2retain);
        Some(self.announced.map_or(agreed, |a| (a.wait, a.retain)))
    }

    /// Takes a connection out of the table, with all that is only its own.
    fn take_out(&mut self, now: Instant, index: usize) -> Option<Gone> {
        if index >= self.connections.len() {
            return None;
        }
        let connection = self.connections.remove(index);
        self.actions.push_back(connection.disconnect());
        for slot in &connection.batched {
            self.unreference(*slot);
        }
        self.abandon_requests(&connection);
        for cleanup in &mut self.cleanups {
            // Its logout may have travelled here.
            if cleanup.due.is_none()
                && !self
                    .tasks
                    .iter()
                    .any(|(_, task)| task.is_logout_of(cleanup.cid))
            {
                cleanup.due = Some(now);
            }
        }
        Some(connection.gone(now, self.config.backoff.longest))
    }

    /// The requests of our own on a lost connection: those that concern it alone are moot, others go out
    /// again on another one.
    fn abandon_requests(&mut self, connection: &Connection) {
        let own: Vec<u16> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.command().is_none() && task.home == connection.link)
            .map(|(slot, _)| slot)
            .collect();
        for slot in own {
            let Some(task) = self.tasks.get_mut(slot) else {
                continue;
            };
            match task.kind.clone() {
                Kind::Management(request) => {
                    self.managing = None;
                    self.acknowledges_at_once = false;
                    // No end of it is told: it goes on.
                    self.tasks.vacate(slot);
                    self.tasks.release(slot);
                    self.resend_management(request, connection.link);
                }
                Kind::Ping { plug: Some(plug) } => {
                    self.finish(slot, Outcome::Interrupted);
                    self.plugs.push_front(plug);
                }
                _ => self.finish(slot, Outcome::Interrupted),
            }
        }
    }

    /// A management request whose connection was lost before its answer came.
    fn resend_management(&mut self, request: super::Management, link: u16) {
        let task = request.referenced().and_then(|id| {
            let task = self.tasks.find(id)?;
            Some((id.slot(), task.is_sent_on(link)))
        });
        match (request.function, task) {
            (TmfFunction::TaskReassign, Some((slot, _))) => self.reassign.push_front(slot),
            (TmfFunction::TaskReassign, None) => {}
            // What becomes of the task is decided when the connection is cleaned up.
            (TmfFunction::AbortTask, Some((_, true))) => {
                self.report_unmanaged(request, Outcome::Interrupted);
            }
            _ => self.management.push_front(request),
        }
    }

    /// A connection of several ended after its logout: the others go on.
    fn lose_logged_out(&mut self, now: Instant, index: usize, error: ConnectionError) {
        let pause = self.announced.take().map_or(Duration::ZERO, |a| a.wait);
        let Some(gone) = self.take_out(now, index) else {
            return;
        };
        let cid = gone.cid;
        self.events.push_back(Event::ConnectionLost { cid, error });
        self.settle(now, gone.link, Remains::Dead);
        self.replace(now, gone, pause);
        self.next_management(now);
    }

    /// A connection of several was lost: it is logged out of over another one.
    fn lose_connection(&mut self, now: Instant, index: usize, error: ConnectionError) {
        let (wait, _) = self.retention().unwrap_or_default();
        self.announced = None;
        let reason = if self.level() >= 2 {
            LogoutReason::RecoverConnection
        } else {
            LogoutReason::CloseConnection
        };
        let Some(gone) = self.take_out(now, index) else {
            return;
        };
        let cid = gone.cid;
        self.cleanups.push(Cleanup {
            cid,
            gone,
            reason,
            attempts: 0,
            // RFC 7143 §13.15: no logout before Time2Wait either.
            due: Some(now + wait),
        });
        self.events.push_back(Event::ConnectionLost { cid, error });
        self.begin_cleanups(now);
        self.next_management(now);
    }

    /// The last connection was lost, and the target keeps its tasks for a while.
    fn suspend(&mut self, now: Instant, index: usize, error: ConnectionError) {
        let (Phase::Up { nexus }, Some((wait, retain))) = (self.phase, self.retention()) else {
            return self.lose_session(now, error);
        };
        self.lose_connection(now, index, error.clone());
        let Some(cleanup) = self.cleanups.last_mut() else {
            return self.lose_session(now, error);
        };
        let short_lives = cleanup.gone.short_lives;
        let cid = cleanup.cid;
        self.outage_since.get_or_insert(now);
        self.cancel_joins();
        // A target that loses each connection soon after its login is not run against.
        let pause = match short_lives {
            0 | 1 => wait,
            more => wait.max(self.config.backoff.pause(more - 1)),
        };
        self.phase = Phase::Suspended {
            nexus,
            cid,
            retry_at: now + pause,
            until: now + wait + retain,
            failures: 0,
            dialing: false,
        };
    }

    /// Asks for the login that takes the place of the last connection, or gives the session up when the
    /// target keeps its tasks no longer (RFC 7143 §7.5).
    pub(super) fn suspended_timeout(&mut self, now: Instant) {
        let exp_stat_sn = self
            .cleanups
            .last()
            .map_or(0, |cleanup| cleanup.gone.exp_stat_sn);
        let joining = self.joining(exp_stat_sn);
        let Phase::Suspended {
            cid,
            retry_at,
            until,
            failures,
            dialing,
            ..
        } = &mut self.phase
        else {
            return;
        };
        if *until <= now {
            self.lose_session(now, ConnectionError::CleanupFailed);
            // The leading login is due at once.
            return self.phase_timeout(now);
        }
        if !*dialing && *retry_at <= now {
            *dialing = true;
            let (cid, failures) = (*cid, *failures);
            self.actions.push_back(Action::Connect {
                cid,
                login: LoginRole::Reinstating(joining),
                failures,
            });
        }
    }

    /// The login that takes the place of the last connection has failed; it is `final` when another
    /// is of no use.
    pub(super) fn resume_failed(&mut self, now: Instant, is_final: bool) {
        self.counters.failed_reconnects += 1;
        if is_final {
            // Once it may have been restarted; twice in a row it keeps no sessions.
            self.vain_resumptions = self.vain_resumptions.saturating_add(1);
            return self.lose_session(now, ConnectionError::CleanupFailed);
        }
        let backoff = self.config.backoff;
        if let Phase::Suspended {
            retry_at,
            failures,
            dialing,
            ..
        } = &mut self.phase
        {
            *failures = failures.saturating_add(1);
            *dialing = false;
            *retry_at = now + backoff.pause(*failures);
        }
    }

    /// A connection has taken the place of the last one, which it has logged out of: the session goes on.
    pub(super) fn resume(&mut self, now: Instant, login: Established, nexus: Nexus) {
        self.phase = Phase::Up { nexus };
        self.counters.reconnects += 1;
        if self.gate_open {
            self.outage_since = None;
            self.failing = false;
        }
        let cid = login.cid;
        let at = self.cleanups.iter().position(|cleanup| cleanup.cid == cid);
        let gone = at.map(|at| self.cleanups.remove(at).gone);
        self.enter(now, login, gone.map_or(0, |gone| gone.short_lives));
        if let Some(gone) = gone {
            if self.has_suspended() {
                // Until a task has gone on.
                self.vain_resumptions = self.vain_resumptions.saturating_add(1);
            }
            self.settle(now, gone.link, Remains::Suspended);
        }
        self.plan_joins(now);
        self.watch(now);
    }

    /// The target has taken commands of connections that are gone: of the last one, or of one before it
    /// with which none has gone on since.
    fn has_suspended(&self) -> bool {
        self.tasks.iter().any(|(_, task)| {
            let taken = task
                .cmd_sn()
                .is_some_and(|cmd_sn| self.window.is_acknowledged(cmd_sn));
            taken && self.is_orphan(task.state) && task.command().is_some()
        })
    }

    /// A connection on which a task of another was to be reassigned or ended.
    fn carries_orphan(&self, index: usize) -> bool {
        let managing = self.managing.and_then(|slot| self.tasks.get(slot));
        let Some(Kind::Management(request)) = managing.map(|task| &task.kind) else {
            return false;
        };
        let referenced = request
            .referenced()
            .and_then(|id| self.tasks.get(id.slot()));
        let home = managing.map(|task| task.home);
        let link = self.connections.get(index).map(|c| c.link);
        home == link && referenced.is_some_and(|task| self.is_orphan(task.state))
    }

    /// Logs out of lost connections.
    pub(super) fn begin_cleanups(&mut self, now: Instant) {
        if !self.may_request() {
            return;
        }
        for at in 0..self.cleanups.len() {
            let Some(&Cleanup {
                cid,
                reason,
                due: Some(due),
                ..
            }) = self.cleanups.get(at)
            else {
                continue;
            };
            let carrier = self.connections.iter().position(Connection::is_usable);
            let Some(carrier) = carrier.filter(|_| due <= now) else {
                continue;
            };
            let queued = self.queue_immediate(now, carrier, Kind::Logout { reason, cid });
            if let Some(cleanup) = self.cleanups.get_mut(at) {
                cleanup.due = (!queued).then_some(now + LOGOUT_PAUSE);
                cleanup.attempts += 1;
            }
        }
    }

    /// When the next logout of a lost connection is due.
    pub(super) fn cleanups_due(&self) -> Option<Instant> {
        let can_be = self.may_request() && self.connections.iter().any(Connection::is_usable);
        let due = self.cleanups.iter().filter_map(|cleanup| cleanup.due);
        due.min().filter(|_| can_be)
    }

    /// The target has answered the logout of a lost connection (RFC 7143 §11.15.1); `None`: it has not,
    /// in its time.
    pub(super) fn cleaned_up(&mut self, now: Instant, cid: u16, response: Option<u8>, wait: u16) {
        let Some(at) = self.cleanups.iter().position(|cleanup| cleanup.cid == cid) else {
            return;
        };
        let Some(cleanup) = self.cleanups.get_mut(at) else {
            return;
        };
        let recovers = cleanup.reason == LogoutReason::RecoverConnection;
        let remains = match response {
            // A target that does not know the connection may have suspended its tasks all the same: by an
            // earlier logout whose answer was lost.
            Some(CLOSED | CID_NOT_FOUND) if recovers => Remains::Suspended,
            // What the target knows nothing of has no tasks either.
            Some(CLOSED | CID_NOT_FOUND) => Remains::Dead,
            Some(RECOVERY_NOT_SUPPORTED) if recovers => {
                cleanup.reason = LogoutReason::CloseConnection;
                cleanup.due = Some(now);
                self.trusted_level = self.trusted_level.min(1);
                return;
            }
            _ if cleanup.attempts >= MAX_LOGOUTS => {
                return self.drop_session(now, ConnectionError::CleanupFailed);
            }
            _ => {
                let pause =
                    Duration::from_secs(u64::from(wait)).clamp(LOGOUT_PAUSE, MAX_LOGOUT_PAUSE);
                cleanup.due = Some(now + pause);
                return;
            }
        };
        let gone = self.cleanups.remove(at).gone;
        self.settle(now, gone.link, remains);
        self.replace(now, gone, Duration::ZERO);
        self.next_management(now);
    }

    /// Decides on each command of a connection that is gone and cleaned up.
    pub(super) fn settle(&mut self, now: Instant, link: u16, remains: Remains) {
        let orphans: Vec<u16> = self
            .sent_commands(None, None)
            .into_iter()
            .filter(|&slot| {
                self.tasks
                    .get(slot)
                    .is_some_and(|task| task.is_sent_on(link))
            })
            .collect();
        // What was to be sent again on it may go on any other.
        for &slot in &self.retries {
            if let Some(task) = self.tasks.get_mut(slot).filter(|task| task.home == link) {
                task.home = 0;
            }
        }
        let may_retry = self.level() >= 1;
        let mut dead = Vec::new();
        for slot in orphans {
            let Some(task) = self.tasks.get_mut(slot) else {
                continue;
            };
            let State::Sent { cmd_sn, .. } = task.state else {
                continue;
            };
            let given_up = task.ending != Ending::No || task.withdrawn;
            if self.window.is_acknowledged(cmd_sn) {
                match remains {
                    Remains::Dead => dead.push(slot),
                    Remains::Suspended => self.reassign.push_back(slot),
                }
            } else if may_retry && !given_up {
                task.renumber(cmd_sn);
                self.retries.push_back(slot);
            } else {
                // Its number must not be missing.
                self.plugs.push_back(cmd_sn);
                dead.push(slot);
            }
        }
        for slot in dead.into_iter().rev() {
            self.end_or_repeat(now, slot, Outcome::Interrupted);
        }
        self.next_management(now);
    }

    /// The connection that a command is allegiant to was lost and is not logged out of yet.
    pub(super) fn awaits_cleanup(&mut self, id: TaskId) -> bool {
        let task = self.tasks.find(id);
        task.is_some_and(|task| self.cleanups.iter().any(|c| task.is_sent_on(c.gone.link)))
    }

    /// The connection that a command is allegiant to is gone, and what becomes of the command is not
    /// decided yet.
    pub(super) fn is_orphan(&self, state: State) -> bool {
        let State::Sent { link, .. } = state else {
            return false;
        };
        !self
            .connections
            .iter()
            .any(|connection| connection.link == link)
    }

    /// Remembers a target that agrees on a level and breaks on it: it closed the connection when it was
    /// asked to send something again.
    fn note_distrust(&mut self, index: usize, error: &ConnectionError) {
        let is_end = matches!(error, ConnectionError::Transport(_));
        if is_end && self.has_asked_in_vain(index) {
            self.trusted_level = 0;
        }
    }
}

/// Attempts in a row to go on in a session that the target was to keep, without success.
const MAX_VAIN_RESUMPTIONS: u8 = 2;

/// Logout Response: closed successfully (RFC 7143 §11.15.1).
const CLOSED: u8 = 0;
const CID_NOT_FOUND: u8 = 1;
const RECOVERY_NOT_SUPPORTED: u8 = 2;

/// The longest Time2Wait that is believed of a target that fails to clean up.
const MAX_LOGOUT_PAUSE: Duration = Duration::from_secs(60);
