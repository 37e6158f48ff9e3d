//! Which connections a session has and wants: how they join it, are tried again, and leave it
//! (RFC 7143 §4.2.3, §6.3.4).

use std::time::{Duration, Instant};

use super::Session;
use super::connection::{Connection, Parting, Traffic};
use super::event::{Action, Event, Joining, LoginRole};
use super::recovery::{Established, Phase};
use super::task::Kind;
use crate::pdu::{LoginStatus, LogoutReason};

/// Connections of one session at most: more than any host has paths to a target, and few enough that
/// all of them can be looked at each time.
pub const MAX_CONNECTIONS: u16 = 16;

/// How long the commands of a connection that is being logged out of may take to end; what is left
/// then goes on elsewhere.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Refusals for too many connections in a row that are not believed of a target that has just cleaned one of
/// them up: LIO counts it for a while longer.
const MAX_MISCOUNTS: u32 = 4;

/// Why a connection cannot be added or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// The session has as many as were agreed on ([`MaxConnections`]), or as it can have.
    ///
    /// [`MaxConnections`]: crate::parameters::Parameters::max_connections
    #[error("the session can have no more than {0} connections")]
    TooMany(u16),
    /// It is the only one: log out of the session instead.
    #[error("the last connection of a session cannot be removed")]
    Last,
    /// There is no connection of this CID.
    #[error("no connection has CID {0}")]
    Unknown(u16),
    /// The session is closed or being logged out of.
    #[error("the session is closed")]
    Closed,
}

/// A connection that is wanted, and is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Join {
    pub(super) cid: u16,
    pub(super) retry_at: Instant,
    /// Attempts in a row that failed.
    failures: u32,
    /// Connections in a row under this CID that were lost soon after their login.
    short_lives: u32,
    /// It takes the place of one that was lost.
    replaces: bool,
    dialing: bool,
}

impl Session {
    /// Wants one more connection. It is made at once if the session is up, else after the next login;
    /// [`Event::ConnectionUp`] tells when it is there. Gives its CID.
    ///
    /// # Errors
    /// [`MembershipError`]: nothing has happened then.
    pub fn add_connection(&mut self, now: Instant) -> Result<u16, MembershipError> {
        if self.phase.is_over() {
            return Err(MembershipError::Closed);
        }
        let limit = self.most_connections();
        let wanted = self.wanted();
        if wanted >= limit {
            return Err(MembershipError::TooMany(limit));
        }
        self.config.connections = wanted + 1;
        self.join_refused = false;
        let cid = self.free_cid();
        self.plan_joins(now);
        Ok(cid)
    }

    /// Takes a connection out of the session: its commands have a while to end, it is logged out of
    /// (RFC 7143 §11.14, reason 1), and what is left goes on elsewhere. Other commands are not
    /// disturbed.
    ///
    /// # Errors
    /// [`MembershipError`]: nothing has happened then.
    pub fn remove_connection(&mut self, now: Instant, cid: u16) -> Result<(), MembershipError> {
        if self.phase.is_over() {
            return Err(MembershipError::Closed);
        }
        if self.joins.iter().any(|join| join.cid == cid) {
            self.abandon_join(cid);
            return Ok(());
        }
        let index = self.index(cid).ok_or(MembershipError::Unknown(cid))?;
        let usable = |(at, c): (usize, &Connection)| at != index && c.is_usable();
        if !self.connections.iter().enumerate().any(usable) {
            return Err(MembershipError::Last);
        }
        self.config.connections = self.wanted().saturating_sub(1).max(1);
        self.part(now, index, DRAIN_LIMIT);
        Ok(())
    }

    /// A connection that was added and is not there yet is not wanted any more: its login is given up, and
    /// none is tried in its place.
    pub fn abandon_join(&mut self, cid: u16) {
        self.joins.retain(|join| join.cid != cid);
        // After a refusal only those that are there are wanted, which it is not.
        let given_up = u16::from(!self.join_refused);
        self.config.connections = self.wanted().saturating_sub(given_up).max(1);
        self.cancel_dial(cid);
    }

    /// The CIDs of the connections that are logged in, in the order in which they joined.
    pub fn cids(&self) -> impl Iterator<Item = u16> + '_ {
        self.connections.iter().map(|connection| connection.cid)
    }

    /// What a connection has carried since its login, if it is logged in.
    #[must_use]
    pub fn traffic(&self, cid: u16) -> Option<Traffic> {
        let connection = self.connections.get(self.index(cid)?)?;
        Some(connection.traffic)
    }

    /// How many connections the session may have.
    fn most_connections(&self) -> u16 {
        let agreed = self
            .connections
            .first()
            .map(|c| c.parameters.max_connections);
        agreed.unwrap_or(MAX_CONNECTIONS).min(MAX_CONNECTIONS)
    }

    /// Connections that are there or being made; a lost one comes back under its CID once the target has cleaned
    /// that up.
    fn there(&self) -> usize {
        let stays = self.connections.iter().filter(|c| c.is_usable()).count();
        stays + self.joins.len() + self.cleanups.len()
    }

    /// How many connections the session is to have before somebody changes it: no more than were agreed on, and
    /// none that the target has refused.
    fn wanted(&self) -> u16 {
        let wanted = if self.join_refused {
            u16::try_from(self.there()).unwrap_or(u16::MAX)
        } else {
            self.config.connections
        };
        wanted.min(self.most_connections()).max(1)
    }

    /// The lowest CID that nothing has or waits for.
    fn free_cid(&self) -> u16 {
        let taken = |cid: &u16| {
            self.index(*cid).is_some()
                || self.joins.iter().any(|join| join.cid == *cid)
                || self.cleanups.iter().any(|cleanup| cleanup.cid == *cid)
        };
        (0..u16::MAX).find(|cid| !taken(cid)).unwrap_or(u16::MAX)
    }

    /// Begins to make the connections that are missing.
    pub(super) fn plan_joins(&mut self, now: Instant) {
        if !self.may_request() || self.join_refused {
            return;
        }
        let wanted = self.config.connections.min(self.most_connections());
        for _ in self.there()..usize::from(wanted) {
            self.joins.push(Join {
                cid: self.free_cid(),
                retry_at: now,
                failures: 0,
                short_lives: 0,
                replaces: false,
                dialing: false,
            });
        }
        self.begin_joins(now);
    }

    /// Asks for the logins that are due.
    pub(super) fn begin_joins(&mut self, now: Instant) {
        if !self.may_request() {
            return;
        }
        let joining = self.joining(0);
        for join in self
            .joins
            .iter_mut()
            .filter(|j| !j.dialing && j.retry_at <= now)
        {
            join.dialing = true;
            self.actions.push_back(Action::Connect {
                cid: join.cid,
                login: LoginRole::Additional(joining),
                failures: join.failures,
            });
        }
    }

    /// A login for this CID is under way.
    pub(super) fn is_joining(&self, cid: u16) -> bool {
        self.joins
            .iter()
            .any(|join| join.cid == cid && join.dialing)
    }

    pub(super) fn joining(&self, exp_stat_sn: u32) -> Joining {
        Joining {
            tsih: self.tsih,
            cmd_sn: self.window.current(),
            exp_stat_sn,
        }
    }

    /// When the next login of an additional connection is due.
    pub(super) fn joins_due(&self) -> Option<Instant> {
        let waiting = self.joins.iter().filter(|join| !join.dialing);
        waiting
            .map(|join| join.retry_at)
            .min()
            .filter(|_| self.may_request())
    }

    /// An additional connection has logged in.
    pub(super) fn join(&mut self, now: Instant, login: Established) {
        let at = self.joins.iter().position(|join| join.cid == login.cid);
        let short_lives = at.map_or(0, |at| self.joins.remove(at).short_lives);
        self.enter(now, login, short_lives);
    }

    /// Takes a connection into the session that is up.
    pub(super) fn enter(&mut self, now: Instant, login: Established, short_lives: u32) {
        self.window.update(login.exp_cmd_sn, login.max_cmd_sn);
        let cid = login.cid;
        let mut connection = self.connection(now, login);
        connection.short_lives = short_lives;
        self.connections.push(connection);
        self.events.push_back(Event::ConnectionUp { cid });
        self.next_management(now);
    }

    /// A connection as it is after its login.
    pub(super) fn connection(&mut self, now: Instant, login: Established) -> Connection {
        self.next_link = self.next_link.wrapping_add(1);
        let names = (login.cid, self.next_link);
        Connection::new(names, login.parameters, login.exp_stat_sn, now)
    }

    /// An attempt to add a connection to the session, or to replace a lost one, has failed; `status` is
    /// the target's refusal if it answered. It is tried again after a pause unless that is of no use.
    pub fn handle_join_failed(&mut self, now: Instant, cid: u16, status: Option<LoginStatus>) {
        let refusal = status.filter(|&status| is_final(status));
        if matches!(self.phase, Phase::Suspended { .. }) {
            return self.resume_failed(now, refusal.is_some());
        }
        let Some(at) = self.joins.iter().position(|j| j.cid == cid && j.dialing) else {
            return;
        };
        let is_miscount = |join: &Join| join.replaces && join.failures < MAX_MISCOUNTS;
        let miscounts = refusal == Some(LoginStatus::TOO_MANY_CONNECTIONS)
            && self.joins.get(at).is_some_and(is_miscount);
        if let Some(status) = refusal.filter(|_| !miscounts) {
            self.joins.remove(at);
            // Others may be under way, and their CIDs are free again.
            self.cancel_joins();
            self.join_refused = true;
            self.events
                .push_back(Event::ConnectionRefused { cid, status });
            return;
        }
        self.counters.failed_reconnects += 1;
        let backoff = self.config.backoff;
        if let Some(join) = self.joins.get_mut(at) {
            join.failures = join.failures.saturating_add(1);
            join.dialing = false;
            join.retry_at = now + backoff.pause(join.failures);
        }
    }

    /// The logins under way are of no use any more.
    pub(super) fn cancel_joins(&mut self) {
        for join in std::mem::take(&mut self.joins) {
            self.cancel_dial(join.cid);
        }
    }

    fn cancel_dial(&mut self, cid: u16) {
        self.actions.push_back(Action::Disconnect {
            cid,
            after_logout: false,
        });
    }

    /// A connection of several takes no new commands from now on, and is logged out of when those it has
    /// have ended, within `patience`.
    pub(super) fn part(&mut self, now: Instant, index: usize, patience: Duration) {
        let until = now + patience.min(DRAIN_LIMIT);
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        if connection.parting == Parting::No {
            connection.parting = Parting::Draining { until };
            self.check_partings(now);
            self.watch(now);
        }
    }

    /// Logs out of connections whose commands have ended, or have had their time.
    pub(super) fn check_partings(&mut self, now: Instant) {
        for index in 0..self.connections.len() {
            let Some(connection) = self.connections.get(index) else {
                return;
            };
            let Parting::Draining { until } = connection.parting else {
                continue;
            };
            let (link, cid) = (connection.link, connection.cid);
            let is_busy = |task: &super::Task| task.is_sent_on(link);
            if now < until && self.tasks.iter().any(|(_, task)| is_busy(task)) {
                continue;
            }
            let reason = LogoutReason::CloseConnection;
            if self.queue_immediate(now, index, Kind::Logout { reason, cid })
                && let Some(connection) = self.connections.get_mut(index)
            {
                connection.parting = Parting::LoggingOut;
            }
        }
    }

    /// When a connection that is being left has waited long enough.
    pub(super) fn partings_due(&self) -> Option<Instant> {
        let until = |connection: &Connection| match connection.parting {
            Parting::Draining { until } => Some(until),
            Parting::No | Parting::LoggingOut => None,
        };
        self.connections.iter().filter_map(until).min()
    }

    /// Plans a connection under the CID of one that is gone, if it is still wanted: after `pause`, and
    /// later for one that is lost soon after each login.
    pub(super) fn replace(&mut self, now: Instant, gone: Gone, pause: Duration) {
        let wanted = usize::from(self.config.connections.min(self.most_connections()));
        let there = self.connections.iter().filter(|c| c.is_usable()).count() + self.joins.len();
        if self.join_refused || there >= wanted || !self.may_request() {
            return;
        }
        // A first short life may be chance.
        let pause = match gone.short_lives {
            0 | 1 => pause,
            more => pause.max(self.config.backoff.pause(more - 1)),
        };
        self.joins.push(Join {
            cid: gone.cid,
            retry_at: now + pause,
            failures: 0,
            short_lives: gone.short_lives,
            replaces: true,
            dialing: false,
        });
        self.begin_joins(now);
    }
}

/// What is remembered of a connection that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) cid: u16,
    pub(super) link: u16,
    /// ExpStatSN at its end.
    pub(super) exp_stat_sn: u32,
    /// Connections in a row under this CID that were lost soon after their login.
    pub(super) short_lives: u32,
}

impl Connection {
    /// What is remembered of it; it has lived long if it has lasted for `long`.
    pub(super) fn gone(&self, now: Instant, long: Duration) -> Gone {
        let has_lived = now.saturating_duration_since(self.since) >= long;
        Gone {
            cid: self.cid,
            link: self.link,
            exp_stat_sn: self.exp_stat_sn,
            short_lives: if has_lived {
                0
            } else {
                self.short_lives.saturating_add(1)
            },
        }
    }
}

/// Refusals for which another attempt is of no use (RFC 7143 §11.13.5): too many connections, a portal
/// of another group, no such session type, no such session.
fn is_final(status: LoginStatus) -> bool {
    matches!(
        status,
        LoginStatus::TOO_MANY_CONNECTIONS
            | LoginStatus::CANNOT_INCLUDE_IN_SESSION
            | LoginStatus::SESSION_TYPE_NOT_SUPPORTED
            | LoginStatus::SESSION_DOES_NOT_EXIST
    )
}
