//! Session recovery (RFC 7143 §7.1.4.4): loss, waiting, reconnecting, and what becomes of tasks.

use std::time::{Duration, Instant};

use super::connection::Connection;
use super::event::{Action, ConnectionError, Event, Outcome};
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
    fn pause(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

/// What a login brought: the session's side of [`LoggedIn`](crate::login::LoggedIn).
#[derive(Debug, Clone)]
pub struct Established {
    /// The connection's CID.
    pub cid: u16,
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
    /// A logout of the session was sent.
    LoggingOut { until: Instant },
    /// Logged out, or given up.
    Closed,
}

/// What must be remembered of a login to know when its tasks are dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nexus {
    tpgt: Option<u16>,
    time2wait: Duration,
    time2retain: Duration,
}

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
                    failures,
                });
            }
            Phase::LoggingOut { until } if *until <= now => self.close(),
            _ => {}
        }
    }

    /// The leading login succeeded: the session is up, with its gate closed.
    pub fn handle_logged_in(&mut self, now: Instant, login: Established) {
        if !matches!(self.phase, Phase::Down { .. }) {
            self.actions
                .push_back(Action::Disconnect { cid: login.cid });
            return;
        }
        self.window = Window::new(login.cmd_sn, login.exp_cmd_sn, login.max_cmd_sn);
        let nexus = Nexus {
            tpgt: login.tpgt,
            time2wait: Duration::from_secs(u64::from(login.parameters.time2wait)),
            time2retain: Duration::from_secs(u64::from(login.parameters.time2retain)),
        };
        // The same ISID at the same portal group reinstates the old session, which ends its tasks
        // (RFC 7143 §6.3.5). At another group they may live on until the target forgets them.
        let again = self.last_nexus.is_some();
        if self.last_nexus.is_some_and(|last| last.tpgt == nexus.tpgt) {
            self.ghosts_until = None;
        }
        self.last_nexus = Some(nexus);
        let connection = Connection::new(login.cid, login.parameters, login.exp_stat_sn, now);
        self.connections.push(connection);
        self.phase = Phase::Up { nexus };
        self.gate_open = false;
        self.leaving = false;
        self.events.push_back(Event::Up { again });
        self.next_management(now);
    }

    /// An attempt to connect or log in failed; another follows after a pause.
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
        }
    }

    /// A connection is gone, or must be: at error recovery level 0 the whole session is made anew.
    /// Commands that may be replayed wait for it, all others end.
    pub fn handle_connection_lost(&mut self, now: Instant, cid: u16, error: ConnectionError) {
        if self.index(cid).is_none() {
            return;
        }
        for connection in self.connections.drain(..) {
            self.actions.push_back(Action::Disconnect {
                cid: connection.cid,
            });
        }
        let wait = self.wait_announced.take();
        self.gate_open = false;
        self.managing = None;
        match self.phase {
            Phase::Up { nexus } => {
                self.outage_since.get_or_insert(now);
                let pause = wait.unwrap_or(nexus.time2wait);
                let retry_at = now + pause;
                self.phase = Phase::Down {
                    retry_at,
                    failures: 0,
                    dialing: false,
                };
                if self.interrupt(now) {
                    let dead = now + nexus.time2wait + nexus.time2retain;
                    self.ghosts_until = Some(self.ghosts_until.map_or(dead, |at| at.max(dead)));
                }
                self.events.push_back(Event::Lost(error));
                self.watch(now);
            }
            Phase::LoggingOut { .. } => self.close(),
            Phase::Down { .. } | Phase::Closed => {}
        }
    }

    /// All tasks of the lost nexus: replayed later, or ended. Says whether there were commands that
    /// the target may still be working on.
    fn interrupt(&mut self, now: Instant) -> bool {
        self.immediate.clear();
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
        if self.failing || now < since + limit {
            return;
        }
        self.failing = true;
        while let Some(slot) = self.ready.pop_front() {
            self.finish(slot, Outcome::Disconnected);
        }
    }

    /// Pings silent connections and gives up dead ones (RFC 7143 §10.3). Any received byte is life.
    pub(super) fn check_life(&mut self, now: Instant) {
        let (interval, patience) = (self.config.ping_interval, self.config.ping_timeout);
        if interval.is_zero() {
            return;
        }
        let mut dead = None;
        let mut pings = 0;
        for connection in self.connections.iter_mut().filter(|c| c.check_at <= now) {
            let heard = connection.last_heard;
            match connection.ping {
                Some(sent) if heard < sent && now >= sent + patience => {
                    dead = Some((connection.cid, now - heard));
                }
                Some(sent) if heard < sent => connection.check_at = sent + patience,
                _ if now >= heard + interval => {
                    connection.ping = Some(now);
                    connection.check_at = now + patience;
                    pings += 1;
                }
                _ => {
                    connection.ping = None;
                    connection.check_at = heard + interval;
                }
            }
        }
        if let Some((cid, silence)) = dead {
            self.handle_connection_lost(now, cid, ConnectionError::Silent(silence));
            return;
        }
        // A target that talks but never answers pings has one of them open, not ever more.
        if pings > 0 && self.may_request() && !self.tasks.iter().any(|(_, task)| task.is_ping()) {
            self.queue_immediate(now, Kind::Ping { plug: None });
        }
    }

    /// Queues a request of our own that goes out at once. Without a free slot it is left out: the
    /// commands in the slots keep the connection talking.
    pub(super) fn queue_immediate(&mut self, now: Instant, kind: Kind) -> bool {
        let mut task = Task::new(0, kind, now);
        if !matches!(task.kind, Kind::Ping { .. }) {
            task.deadline = Some(now + self.config.management_timeout);
        }
        let Some(id) = self.tasks.insert(task) else {
            return false;
        };
        self.immediate.push_back(id.slot());
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
                self.leaving = true;
                if !self.queue_immediate(
                    now,
                    Kind::Logout {
                        reason: LogoutReason::CloseSession,
                    },
                ) {
                    self.close();
                }
            }
            Phase::Down { .. } => self.close(),
            Phase::LoggingOut { .. } | Phase::Closed => {}
        }
    }

    /// Ends the session at once, without a word to the target.
    pub fn close(&mut self) {
        if self.phase == Phase::Closed {
            return;
        }
        for connection in self.connections.drain(..) {
            self.actions.push_back(Action::Disconnect {
                cid: connection.cid,
            });
        }
        self.phase = Phase::Closed;
        self.gate_open = false;
        self.outage_since = None;
        self.ghosts_until = None;
        self.managing = None;
        for queue in [&mut self.ready, &mut self.urgent, &mut self.immediate] {
            queue.clear();
        }
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

    /// Ends the commands for one logical unit that wait or are held back: it is not the disk it was.
    /// Those already sent are left to their answers.
    pub fn fail_waiting(&mut self, lun: [u8; 8]) {
        let waiting: Vec<u16> = self
            .tasks
            .iter()
            .filter(|(_, task)| {
                task.state == State::Ready && task.command().is_some_and(|c| c.lun == lun)
            })
            .map(|(slot, _)| slot)
            .collect();
        for slot in waiting {
            self.unqueue(slot);
            self.finish(slot, Outcome::Disconnected);
        }
    }
}
