//! Session recovery (RFC 7143 §7.1.4.4): loss, waiting, reconnecting, and what becomes of tasks.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::event::{Action, ConnectionError, Event, LoginRole, Outcome};
use super::task::{Kind, State, Task};
use super::{Hold, Session, Window};
use crate::parameters::Parameters;
use crate::pdu::LogoutReason;
use crate::serial::Serial;

/// Pauses between failed attempts to connect: doubling from `first` to `longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    pub(super) fn pause(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

/// What a login brought: the session's side of [`LoggedIn`](crate::login::LoggedIn).
#[derive(Debug, Clone, Default)]
pub struct Established {
    /// The connection's CID.
    pub cid: u16,
    /// The session's TSIH.
    pub tsih: u16,
    /// Target portal group tag, when the target said it.
    pub tpgt: Option<u16>,
    /// The parameters agreed on.
    pub parameters: Parameters,
    /// CmdSN of the first command.
    pub cmd_sn: Serial,
    /// ExpCmdSN of the final login response.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN of the final login response.
    pub max_cmd_sn: Serial,
    /// StatSN due next.
    pub exp_stat_sn: u32,
}

/// Where the session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No connection; the next attempt is due at `retry_at`, or under way.
    Down {
        retry_at: Instant,
        failures: u32,
        dialing: bool,
    },
    /// Logged in.
    Up { nexus: Nexus },
    /// The last connection was lost, and the session waits for another under its CID, in which its
    /// tasks go on (error recovery level 2).
    Suspended {
        nexus: Nexus,
        cid: u16,
        retry_at: Instant,
        /// When the target has ended the tasks.
        until: Instant,
        failures: u32,
        dialing: bool,
    },
    /// A logout of the session was sent.
    LoggingOut { until: Instant },
    /// Logged out, or given up.
    Closed,
}

/// What must be remembered of a login to know when its tasks are dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nexus {
    tpgt: Option<u16>,
    pub(super) time2wait: Duration,
    pub(super) time2retain: Duration,
    since: Instant,
}

/// A lost nexus on which the target may still be working on commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ghost {
    tpgt: Option<u16>,
    /// When its tasks are dead by the target's own timers.
    pub(super) until: Instant,
}

/// What the target said about the next login: in an asynchronous message or a logout response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) wait: Duration,
    pub(super) retain: Duration,
}

/// The longest Time2Wait or Time2Retain that is believed, in seconds: what the keys of the login can
/// say (RFC 7143 §13.15, §13.16). The fields of PDUs could say eighteen hours.
const LONGEST_TIME2: u16 = 3600;

/// Lost nexuses remembered one by one; more share the entry that lasts longest.
const MAX_GHOSTS: usize = 16;

impl Phase {
    pub(super) fn first(now: Instant) -> Self {
        Self::Down {
            retry_at: now,
            failures: 0,
            dialing: false,
        }
    }

    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::LoggingOut { .. } | Self::Closed)
    }

    pub(super) fn poll_timeout(self) -> Option<Instant> {
        match self {
            Self::Down {
                retry_at,
                dialing: false,
                ..
            } => Some(retry_at),
            Self::LoggingOut { until } => Some(until),
            Self::Suspended {
                until,
                dialing: true,
                ..
            } => Some(until),
            Self::Suspended {
                retry_at, until, ..
            } => Some(retry_at.min(until)),
            Self::Down { .. } | Self::Up { .. } | Self::Closed => None,
        }
    }
}

/// The CID of the leading connection.
const LEADING_CID: u16 = 0;

impl Session {
    pub(super) fn phase_timeout(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Down {
                retry_at,
                failures,
                dialing,
            } if !*dialing && *retry_at <= now => {
                *dialing = true;
                let failures = *failures;
                self.actions.push_back(Action::Connect {
                    cid: LEADING_CID,
                    login: LoginRole::Leading,
                    failures,
                });
            }
            Phase::LoggingOut { until } if *until <= now => self.close(),
            Phase::Suspended { .. } => self.suspended_timeout(now),
            _ => {}
        }
    }

    /// A login succeeded. After the leading one the session is up, with its gate closed; any other adds
    /// a connection to it, or takes the place of a lost one.
    pub fn handle_logged_in(&mut self, now: Instant, login: Established) {
        let same_session = login.tsih == self.tsih;
        match self.phase {
            Phase::Down { .. } => self.begin(now, login),
            Phase::Up { .. } if same_session && self.is_joining(login.cid) => self.join(now, login),
            Phase::Suspended { nexus, cid, .. } if same_session && cid == login.cid => {
                self.resume(now, login, nexus);
            }
            _ => self.actions.push_back(Action::Disconnect {
                cid: login.cid,
                after_logout: false,
            }),
        }
    }

    fn begin(&mut self, now: Instant, login: Established) {
        self.tsih = login.tsih;
        self.agreed_level = login.parameters.error_recovery_level;
        self.join_refused = false;
        self.window = Window::new(login.cmd_sn, login.exp_cmd_sn, login.max_cmd_sn);
        let nexus = Nexus {
            tpgt: login.tpgt,
            time2wait: Duration::from_secs(u64::from(login.parameters.time2wait)),
            time2retain: Duration::from_secs(u64::from(login.parameters.time2retain)),
            since: now,
        };
        // The same ISID at the same portal group reinstates the old session, which ends its tasks
        // (RFC 7143 §6.3.5). At another group, or one that was not named, they may live on until the
        // target forgets them.
        self.ghosts
            .retain(|ghost| ghost.tpgt.is_none() || ghost.tpgt != nexus.tpgt);
        let again = std::mem::replace(&mut self.was_up, true);
        let connection = self.connection(now, login);
        self.connections.push(connection);
        self.phase = Phase::Up { nexus };
        self.gate_open = false;
        self.leaving = false;
        self.watch(now);
        self.counters.reconnects += u64::from(again);
        self.events.push_back(Event::Up { again });
        self.next_management(now);
        self.plan_joins(now);
    }

    /// A leading login failed, or the attempt to connect for it; another follows after a pause.
    pub fn handle_login_failed(&mut self, now: Instant) {
        if let Phase::Down {
            retry_at,
            failures,
            dialing,
        } = &mut self.phase
        {
            *failures = failures.saturating_add(1);
            *dialing = false;
            *retry_at = now + self.config.backoff.pause(*failures);
            self.counters.failed_reconnects += u64::from(self.was_up);
        }
    }

    /// The whole session is made anew (RFC 7143 §7.1.4.4). Commands that may be replayed wait for it, all
    /// others end.
    pub(super) fn lose_session(&mut self, now: Instant, error: ConnectionError) {
        for connection in self.connections.drain(..) {
            self.actions.push_back(connection.disconnect());
        }
        self.cancel_joins();
        self.cleanups.clear();
        let announced = self.announced.take();
        self.gate_open = false;
        self.managing = None;
        self.acknowledges_at_once = false;
        match self.phase {
            Phase::Up { nexus } | Phase::Suspended { nexus, .. } => {
                self.outage_since.get_or_insert(now);
                let retry_at = now + self.pause_after(now, nexus, announced);
                self.cancel_resumption();
                self.phase = Phase::Down {
                    retry_at,
                    failures: 0,
                    dialing: false,
                };
                if self.interrupt(now) {
                    self.remember_ghost(now, nexus, announced);
                }
                if self.failing {
                    self.fail_held();
                } else if self.short_lives > 1 {
                    // Each login is the end of an outage, so the hold time alone would never be over.
                    self.fail_overaged(now);
                }
                self.events.push_back(Event::Lost(error));
            }
            Phase::LoggingOut { .. } => self.close(),
            Phase::Down { .. } | Phase::Closed => {}
        }
    }

    /// A login that was to take the place of the last connection is of no use any more.
    fn cancel_resumption(&mut self) {
        if let Phase::Suspended {
            cid, dialing: true, ..
        } = self.phase
        {
            self.actions.push_back(Action::Disconnect {
                cid,
                after_logout: false,
            });
        }
    }

    /// The target announces a drop or answers a logout: the pause and the retention it names hold for
    /// the next login, unless it named longer ones before.
    pub(super) fn announce(&mut self, wait: u16, retain: u16) {
        let seconds = |field: u16| Duration::from_secs(u64::from(field.min(LONGEST_TIME2)));
        let (wait, retain) = (seconds(wait), seconds(retain));
        let before = self.announced.unwrap_or(Announced { wait, retain });
        self.announced = Some(Announced {
            wait: wait.max(before.wait),
            retain: retain.max(before.retain),
        });
    }

    /// The pause before the next login: what the target said, else what was negotiated; and longer
    /// for a target that loses each connection soon after its login.
    fn pause_after(
        &mut self,
        now: Instant,
        nexus: Nexus,
        announced: Option<Announced>,
    ) -> Duration {
        let backoff = self.config.backoff;
        // What was waited for in vain has been waited for, unless that came to an early end.
        if let Phase::Suspended {
            retry_at, failures, ..
        } = self.phase
        {
            return match failures {
                0 => retry_at.saturating_duration_since(now),
                _ => Duration::ZERO,
            };
        }
        let wait = announced.map_or(nexus.time2wait, |announced| announced.wait);
        if now.saturating_duration_since(nexus.since) >= backoff.longest {
            self.short_lives = 0;
            return wait;
        }
        self.short_lives = self.short_lives.saturating_add(1);
        match self.short_lives {
            1 => wait,
            more => wait.max(backoff.pause(more - 1)),
        }
    }

    /// Remembers when the commands of a lost nexus are dead: after the times that were agreed on or
    /// announced, whichever are longer.
    fn remember_ghost(&mut self, now: Instant, nexus: Nexus, announced: Option<Announced>) {
        let agreed = nexus.time2wait + nexus.time2retain;
        let lifetime = announced.map_or(agreed, |a| agreed.max(a.wait + a.retain));
        if lifetime.is_zero() {
            return;
        }
        let ghost = Ghost {
            tpgt: nexus.tpgt,
            until: now + lifetime,
        };
        if self.ghosts.len() < MAX_GHOSTS {
            self.ghosts.push(ghost);
        } else if let Some(last) = self.ghosts.iter_mut().max_by_key(|ghost| ghost.until) {
            // It stands for more than one portal group now, so no login ends it early.
            last.until = last.until.max(ghost.until);
            last.tpgt = None;
        }
    }

    /// Forgets nexuses whose commands are dead by now.
    pub(super) fn forget_ghosts(&mut self, now: Instant) {
        self.ghosts.retain(|ghost| ghost.until > now);
    }

    /// All tasks of the lost nexus: replayed later, or ended. Says whether there were commands that
    /// the target may still be working on.
    fn interrupt(&mut self, now: Instant) -> bool {
        self.plugs.clear();
        self.retries.clear();
        self.reassign.clear();
        let batched: Vec<(u16, Option<Outcome>)> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.ended.is_some() || !matches!(task.kind, Kind::Scsi(_)))
            .map(|(slot, task)| (slot, task.ended.clone()))
            .collect();
        let sent = self.sent_commands(None, None);
        for slot in self.slots() {
            if let Some(task) = self.tasks.get_mut(slot) {
                task.in_batch = 0;
            }
        }
        for (slot, ended) in batched {
            self.finish(slot, ended.unwrap_or(Outcome::Interrupted));
        }
        for &slot in sent.iter().rev() {
            self.end_or_repeat(now, slot, Outcome::Interrupted);
        }
        while let Some(request) = self.management.pop_front() {
            self.report_unmanaged(request, Outcome::Interrupted);
        }
        !sent.is_empty()
    }

    fn slots(&self) -> Vec<u16> {
        self.tasks.iter().map(|(slot, _)| slot).collect()
    }

    /// Fails the waiting commands of a session that has been without a connection for too long.
    pub(super) fn expire_held(&mut self, now: Instant) {
        let Hold::For(limit) = self.config.hold else {
            return;
        };
        let Some(since) = self.outage_since else {
            return;
        };
        if self.failing || now.saturating_duration_since(since) < limit {
            return;
        }
        self.failing = true;
        self.fail_held();
        // What was under way waits no longer to go on either.
        if matches!(self.phase, Phase::Suspended { .. }) {
            self.lose_session(now, ConnectionError::CleanupFailed);
        }
    }

    /// Ends what waits for a session that has been gone for too long; urgent commands only while
    /// they cannot leave either.
    pub(super) fn fail_held(&mut self) {
        while let Some(slot) = self.ready.pop_front() {
            self.finish(slot, Outcome::Disconnected);
        }
        while !self.is_up()
            && let Some(slot) = self.urgent.pop_front()
        {
            self.finish(slot, Outcome::Disconnected);
        }
    }

    /// Gives up a connection whose target keeps the window closed although it has answered all
    /// commands: none of those that wait would ever leave, nor time out.
    pub(super) fn check_window(&mut self, now: Instant) {
        let may_leave = self.may_request() && !self.window.is_open();
        let gated = !self.commands_may_leave();
        let next = self
            .urgent
            .front()
            .or(self.ready.front().filter(|_| !gated));
        let limit = next
            .filter(|_| may_leave && self.sent_commands(None, None).is_empty())
            .and_then(|&slot| Some(self.tasks.get_mut(slot)?.command()?.timeout));
        let Some(limit) = limit else {
            self.jammed_since = None;
            return;
        };
        let since = *self.jammed_since.get_or_insert(now);
        if now.saturating_duration_since(since) < limit {
            return;
        }
        self.jammed_since = None;
        self.drop_session(now, ConnectionError::WindowJammed);
        self.fail_overaged(now);
    }

    /// Ends the waiting commands that are older than the hold time: a target that never takes them
    /// is as good as gone.
    fn fail_overaged(&mut self, now: Instant) {
        let Hold::For(limit) = self.config.hold else {
            return;
        };
        let overaged: Vec<u16> = self
            .tasks
            .iter()
            .filter(|(_, task)| {
                let age = now.saturating_duration_since(task.submitted);
                task.state == State::Ready && task.command().is_some() && age >= limit
            })
            .map(|(slot, _)| slot)
            .collect();
        for slot in overaged {
            self.unqueue(slot);
            self.finish(slot, Outcome::Disconnected);
        }
    }

    /// Pings silent connections and gives up dead ones (RFC 7143 §10.3). Any received byte is life.
    pub(super) fn check_life(&mut self, now: Instant) {
        let (interval, patience) = (self.config.ping_interval, self.config.ping_timeout);
        if interval.is_zero() || !self.may_request() {
            return;
        }
        let mut dead = Vec::new();
        let mut pings = Vec::new();
        for (index, connection) in self.connections.iter_mut().enumerate() {
            if connection.check_at > now {
                continue;
            }
            if !connection.may_carry() {
                // No request follows its logout (RFC 7143 §11.14), which has a time limit of its own.
                connection.check_at = now + interval;
                continue;
            }
            let heard = connection.last_heard;
            match connection.ping {
                Some(sent) if heard < sent && now >= sent + patience => {
                    dead.push((connection.cid, now - heard));
                }
                Some(sent) if heard < sent => connection.check_at = sent + patience,
                _ if now >= heard + interval => {
                    connection.ping = Some(now);
                    // It may be answered, and silence follow, long before the patience is over.
                    connection.check_at = now + patience.min(interval);
                    pings.push((index, connection.link));
                }
                _ => {
                    connection.ping = None;
                    connection.check_at = heard + interval;
                }
            }
        }
        // A target that talks but never answers pings has one of them open, not ever more.
        for (index, link) in pings {
            let is_open = |task: &Task| task.is_ping() && task.home == link;
            if !self.tasks.iter().any(|(_, task)| is_open(task)) {
                self.queue_immediate(now, index, Kind::Ping { plug: None });
            }
        }
        for (cid, silence) in dead {
            self.handle_connection_lost(now, cid, ConnectionError::Silent(silence));
        }
    }

    /// Queues a request of our own that goes out at once on a connection; `false` when there is no slot
    /// for it.
    pub(super) fn queue_immediate(&mut self, now: Instant, index: usize, kind: Kind) -> bool {
        let mut task = Task::new(0, kind, now);
        if !matches!(task.kind, Kind::Ping { .. }) {
            task.deadline = Some(now + self.config.management_timeout);
        }
        let Some(connection) = self.connections.get_mut(index) else {
            return false;
        };
        task.home = connection.link;
        let Some(id) = self.tasks.insert(task) else {
            return false;
        };
        connection.immediate.push_back(id.slot());
        self.watch(now);
        true
    }

    /// Logs out (RFC 7143 §11.14, reason 0) and ends the session. Commands still under way end with
    /// [`Outcome::Closed`]: to lose none, wait for them first. [`Event::Closed`] comes when it is done.
    pub fn logout(&mut self, now: Instant) {
        match self.phase {
            Phase::Up { .. } => {
                let until = now + self.config.management_timeout;
                self.phase = Phase::LoggingOut { until };
                let (reason, cid) = (LogoutReason::CloseSession, 0);
                let carrier = self.connections.iter().position(Connection::is_usable);
                let logout = Kind::Logout { reason, cid };
                // If the target asked for a logout just now, one is under way already.
                if !std::mem::replace(&mut self.leaving, true)
                    && !self.queue_immediate(now, carrier.unwrap_or(0), logout)
                {
                    self.close();
                }
            }
            Phase::Down { .. } | Phase::Suspended { .. } => self.close(),
            Phase::LoggingOut { .. } | Phase::Closed => {}
        }
    }

    /// Ends the session at once, without a word to the target.
    pub fn close(&mut self) {
        if self.phase == Phase::Closed {
            return;
        }
        for connection in self.connections.drain(..) {
            self.actions.push_back(connection.disconnect());
        }
        self.cancel_joins();
        self.cancel_resumption();
        self.cleanups.clear();
        self.phase = Phase::Closed;
        self.gate_open = false;
        self.outage_since = None;
        self.ghosts.clear();
        self.next_scan = None;
        self.managing = None;
        for queue in [
            &mut self.ready,
            &mut self.urgent,
            &mut self.retries,
            &mut self.reassign,
        ] {
            queue.clear();
        }
        self.plugs.clear();
        for slot in self.slots() {
            let ended = self.tasks.get_mut(slot).and_then(|task| {
                task.in_batch = 0;
                task.ended.take()
            });
            self.finish(slot, ended.unwrap_or(Outcome::Closed));
        }
        while let Some(request) = self.management.pop_front() {
            self.report_unmanaged(request, Outcome::Closed);
        }
        self.events.push_back(Event::Closed);
    }

    /// Takes back the commands for one logical unit that wait or are held back, in their order, except
    /// urgent ones: they end with [`Outcome::Withdrawn`]. Those already sent are left to their answers;
    /// where they would be sent again, they end so too.
    pub fn withdraw(&mut self, lun: [u8; 8]) {
        for slot in self.sent_commands(Some(lun), None) {
            if let Some(task) = self.tasks.get_mut(slot) {
                task.withdrawn = true;
            }
        }
        let tasks = &mut self.tasks;
        let is_meant = |slot: &u16| {
            let command = tasks.get_mut(*slot).and_then(|task| task.command());
            command.is_some_and(|command| command.lun == lun)
        };
        let ready = std::mem::take(&mut self.ready);
        let (withdrawn, kept): (VecDeque<u16>, VecDeque<u16>) =
            ready.into_iter().partition(is_meant);
        self.ready = kept;
        for slot in withdrawn {
            self.finish(slot, Outcome::Withdrawn);
        }
    }
}
