//! A session in the full feature phase: commands go in, each gets exactly one end.

mod asynchronous;
mod cleanup;
mod connection;
mod counters;
mod coverage;
mod data;
mod event;
mod extended;
mod gaps;
mod management;
mod members;
mod owed;
mod policy;
mod reassign;
mod receive;
mod recovery;
mod resend;
mod send;
mod snack;
mod talk;
mod task;
mod transmit;
mod window;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cleanup::Cleanup;
use connection::Connection;
pub use connection::Traffic;
pub use counters::Counters;
pub use event::{
    Action, Answer, ConnectionError, Done, Escalation, Event, Joining, LoginRole, Outcome,
    PeerMisbehaved, Residual,
};
pub use extended::Extended;
pub use management::Management;
use members::Join;
pub use members::{MAX_CONNECTIONS, MembershipError};
pub use policy::Policy;
pub use receive::DirectRead;
use recovery::{Announced, Ghost, Phase};
pub use recovery::{Backoff, Established};
use task::{Kind, Table, Task};
pub use task::{MAX_TASKS, TaskId};

pub use transmit::{MAX_SEGMENTS, TaskBuffers, Transmit};
use window::Window;

use crate::pdu::TaskAttribute;
use crate::serial::Serial;

/// Which way a command moves data, and the expected data transfer length in bytes
/// (RFC 7143 §11.3.4), which is also the length of the task's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// No data.
    None,
    /// From the target.
    Read(u32),
    /// To the target.
    Write(u32),
}

/// A SCSI command to carry out.
#[derive(Debug, Clone)]
pub struct Command {
    /// The command descriptor block, zero-filled to sixteen bytes.
    pub cdb: [u8; 16],
    /// The logical unit, in SAM format.
    pub lun: [u8; 8],
    /// Data direction and length.
    pub direction: Direction,
    /// The task attribute.
    pub attribute: TaskAttribute,
    /// It may be sent again after a lost connection, because carrying it out twice in a row is the
    /// same as once: plain reads and writes. All else ends with [`Outcome::Interrupted`].
    pub replay: bool,
    /// It goes out while the gate is closed, ahead of others: for checking who the disk is.
    pub urgent: bool,
    /// How long one attempt may take before it is aborted.
    pub timeout: Duration,
}

/// How long a session without a connection holds its commands before it fails them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// For ever: for bound volumes.
    Forever,
    /// This long from the loss; the session goes on trying to reconnect.
    For(Duration),
}

/// How a session behaves. [`Default`] is what a user who says nothing gets.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Commands at once; more are refused with [`Full`]. Urgent commands and the session's own
    /// requests have slots beyond these.
    pub max_tasks: u16,
    /// How long commands wait for a lost session.
    pub hold: Hold,
    /// Silence after which the target is pinged; zero switches pings off.
    pub ping_interval: Duration,
    /// Further silence after which the connection is given up.
    pub ping_timeout: Duration,
    /// How long a task management function or a logout may take.
    pub management_timeout: Duration,
    /// Pauses between attempts to reconnect.
    pub backoff: Backoff,
    /// How many connections are wanted; at most as many as the target agrees to (`MaxConnections`), and
    /// [`MAX_CONNECTIONS`].
    pub connections: u16,
    /// How commands are shared out among them.
    pub policy: Policy,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            max_tasks: 256,
            hold: Hold::For(Duration::from_secs(120)),
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(5),
            management_timeout: Duration::from_secs(15),
            backoff: Backoff::default(),
            connections: 1,
            policy: Policy::default(),
        }
    }
}

/// The task table is full: submit again when a task has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all task slots of the session are in use")]
pub struct Full;

/// One session with its connections, from the first login to the last logout.
///
/// It owns CmdSN and the command window, the tasks, and N connections with their StatSN, digests
/// and stream parsers. It owns no payload, no socket and no clock.
///
/// # Driving it
/// 1. After every call, drain [`poll_action`](Self::poll_action) (connect, disconnect) and
///    [`poll_event`](Self::poll_event) (ended tasks, news).
/// 2. On `Action::Connect` connect and log in as it says ([`Login`](crate::login::Login)), then call
///    [`handle_logged_in`](Self::handle_logged_in), or
///    [`handle_login_failed`](Self::handle_login_failed) after a leading login and
///    [`handle_join_failed`](Self::handle_join_failed) after any other. `Action::Disconnect` for a CID
///    whose login is under way gives that up.
/// 3. [`Event::Up`] comes with the gate closed: check that the disks are who they were with `urgent`
///    commands, then [`open_gate`](Self::open_gate). Nothing is sent to the wrong disk. Urgent
///    commands have slots of their own ([`has_urgent_room`](Self::has_urgent_room)).
/// 4. For each connection: while the socket is writable, [`poll_transmit`](Self::poll_transmit) into
///    an empty [`Transmit`], write it out, then [`transmit_done`](Self::transmit_done). Where there are
///    several, poll in rounds, until none has anything to send: one may leave its turn to another. While
///    it is readable, read into the place that [`direct_read`](Self::direct_read) names and call
///    [`handle_direct`](Self::handle_direct), and give all other bytes to
///    [`handle_input`](Self::handle_input). An error from either, or from the socket, goes to
///    [`handle_connection_lost`](Self::handle_connection_lost).
/// 5. At [`poll_timeout`](Self::poll_timeout) call [`handle_timeout`](Self::handle_timeout).
///
/// `now` never goes back from call to call.
///
/// # What it promises
/// Each submitted task ends exactly once. Its buffer is not looked at after that, and not given back
/// while a batch still refers to it. A task that may be replayed is sent again after a lost
/// connection only when the target can no longer be working on the earlier attempt: after the old
/// session was reinstated, or its state has expired.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    phase: Phase,
    connections: Vec<Connection>,
    tasks: Table,
    window: Window,
    /// Numbered commands that wait for the window and the gate.
    ready: VecDeque<u16>,
    /// Numbered commands that wait for the window only.
    urgent: VecDeque<u16>,
    /// Commands that were sent on a connection that is gone and go out again, on any other, with the
    /// number they had.
    retries: VecDeque<u16>,
    /// Commands that the target has suspended and that wait to be reassigned.
    reassign: VecDeque<u16>,
    /// CmdSNs of rejected commands that are to be filled in.
    plugs: VecDeque<Serial>,
    /// Management functions that wait for the one before (RFC 7143 §4.2.2.1: the target has room
    /// for one).
    management: VecDeque<Management>,
    /// The slot of the management function under way.
    managing: Option<u16>,
    /// It waits for statuses to be acknowledged on all of several connections.
    acknowledges_at_once: bool,
    gate_open: bool,
    /// A logout is queued or sent: no new request may follow it (RFC 7143 §11.14).
    leaving: bool,
    /// Earlier nexuses on which the target may still be working on commands.
    ghosts: Vec<Ghost>,
    /// The target's half of the session's identity.
    tsih: u16,
    /// The number of the last connection.
    next_link: u16,
    /// Connections that are wanted and not there yet.
    joins: Vec<Join>,
    /// The target takes no more connections.
    join_refused: bool,
    /// Lost connections that the target has not cleaned up yet.
    cleanups: Vec<Cleanup>,
    /// ErrorRecoveryLevel, as the leading login has agreed on it.
    agreed_level: u8,
    /// The highest error recovery level that the target is trusted with.
    trusted_level: u8,
    /// Connections in a row that took the place of the last one, or should have, without a task that went
    /// on.
    vain_resumptions: u8,
    /// There was a login before.
    was_up: bool,
    /// Connections in a row that were lost soon after their login.
    short_lives: u32,
    /// What the target said about the next login.
    announced: Option<Announced>,
    /// Since when commands are not getting through; `None` while the gate is open.
    outage_since: Option<Instant>,
    /// The outage has outlasted the hold time: commands fail at once.
    failing: bool,
    /// Since when commands wait for a closed window although none is under way.
    jammed_since: Option<Instant>,
    /// The first CmdSN that the target has not acknowledged, and since when that is so.
    stalled: Option<(Serial, Instant)>,
    /// When deadlines of tasks are looked at next; set while there are tasks.
    next_scan: Option<Instant>,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    counters: Counters,
}

/// The highest error recovery level there is (RFC 7143 §7.1.5).
const HIGHEST_LEVEL: u8 = 2;

/// How often the deadlines of tasks are looked at: no task pays for a timer of its own.
const SCAN_INTERVAL: Duration = Duration::from_millis(250);

impl Session {
    /// A session that wants to connect at once.
    #[must_use]
    pub fn new(config: SessionConfig, now: Instant) -> Self {
        Self {
            phase: Phase::first(now),
            connections: Vec::new(),
            tasks: Table::new(config.max_tasks),
            window: Window::new(Serial(0), Serial(0), Serial(0)),
            ready: VecDeque::new(),
            urgent: VecDeque::new(),
            retries: VecDeque::new(),
            reassign: VecDeque::new(),
            plugs: VecDeque::new(),
            management: VecDeque::new(),
            managing: None,
            acknowledges_at_once: false,
            gate_open: false,
            leaving: false,
            ghosts: Vec::new(),
            tsih: 0,
            next_link: 0,
            joins: Vec::new(),
            join_refused: false,
            cleanups: Vec::new(),
            agreed_level: 0,
            trusted_level: HIGHEST_LEVEL,
            vain_resumptions: 0,
            was_up: false,
            short_lives: 0,
            announced: None,
            jammed_since: None,
            stalled: None,
            outage_since: Some(now),
            failing: false,
            next_scan: None,
            actions: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            config,
        }
    }

    /// Submits a SCSI command. `token` comes back in its [`Done`]. The task's buffer must be in its
    /// slot before the next [`poll_transmit`](Self::poll_transmit).
    ///
    /// # Errors
    /// [`Full`] when there is no slot; nothing has happened then.
    pub fn submit(&mut self, now: Instant, command: Command, token: u64) -> Result<TaskId, Full> {
        let urgent = command.urgent;
        let id = self
            .tasks
            .insert(Task::new(token, Kind::Scsi(command), now))
            .ok_or(Full)?;
        self.counters.in_flight += 1;
        if self.phase.is_over() {
            self.finish(id.slot(), Outcome::Closed);
        } else if self.failing && !(urgent && self.is_up()) {
            self.finish(id.slot(), Outcome::Disconnected);
        } else if urgent {
            self.urgent.push_back(id.slot());
        } else {
            self.ready.push_back(id.slot());
        }
        self.watch(now);
        Ok(id)
    }

    /// Another command would find a slot, urgent or not.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.tasks.is_full()
    }

    /// Another urgent command would find a slot. Commands that wait for the gate may fill the table,
    /// and the gate waits for urgent ones: a driver must let these past those that find no room.
    #[must_use]
    pub fn has_urgent_room(&self) -> bool {
        !self.tasks.is_full_for_urgent()
    }

    /// The session has a logged-in connection.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.connections.is_empty()
    }

    /// Changes how long commands wait for a lost session: a bound volume's wait for ever.
    pub fn set_hold(&mut self, hold: Hold) {
        self.config.hold = hold;
        if hold == Hold::Forever {
            self.failing = false;
        }
    }

    /// Lets commands out after [`Event::Up`]: the disks have been checked. Those that were under way
    /// on an earlier nexus, and all behind them, wait on until that nexus is known dead. `false` when
    /// the session is down or being logged out of: the gate stays closed until the next login.
    pub fn open_gate(&mut self, now: Instant) -> bool {
        if !self.may_request() {
            return false;
        }
        self.gate_open = true;
        self.failing = false;
        self.outage_since = None;
        self.forget_ghosts(now);
        true
    }

    /// What the session has done so far. Costs a copy: ask as often as you like.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What the driver must do next, if anything.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What happened, if anything. The slot of an ended task is free for another once its end was
    /// taken here, so the driver never meets two tasks in one slot.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if let Some(Event::Done(done)) = &event {
            self.tasks.release(done.slot);
        }
        event
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due. It changes seldom, so that a driver need
    /// not touch its timer for each command.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let pings = self
            .connections
            .iter()
            .filter(|_| self.may_request())
            .filter_map(|c| c.poll_timeout(&self.config))
            .min();
        let expiry = match self.config.hold {
            Hold::For(limit) if !self.failing && !self.tasks.is_empty() => {
                self.outage_since.and_then(|since| since.checked_add(limit))
            }
            _ => None,
        };
        [
            self.phase.poll_timeout(),
            self.next_scan,
            self.ghosts.iter().map(|ghost| ghost.until).min(),
            expiry,
            pings,
            self.joins_due(),
            self.cleanups_due(),
            self.partings_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expire_held(now);
        self.forget_ghosts(now);
        if self.next_scan.is_some_and(|at| at <= now) {
            for connection in &mut self.connections {
                connection.repeat_postponed(&self.tasks);
            }
            self.scan_deadlines(now);
            self.check_window(now);
            self.check_asked(now);
            self.check_stalled(now);
            self.next_scan = None;
            self.watch(now);
        }
        self.check_partings(now);
        self.begin_cleanups(now);
        self.begin_joins(now);
        self.check_life(now);
        // Last, for what came before may have lost the connection.
        self.phase_timeout(now);
    }

    /// Ends a task: gives the slot back and says so, or waits for the batch that refers to it.
    fn finish(&mut self, slot: u16, outcome: Outcome) {
        let Some(task) = self.tasks.get_mut(slot) else {
            return;
        };
        if task.in_batch > 0 {
            // The first end is the end.
            task.ended.get_or_insert(outcome);
            return;
        }
        if let Some(command) = task.command() {
            self.counters.ended(command, &outcome);
        }
        let (token, is_reported) = (task.token, task.is_reported());
        self.tasks.vacate(slot);
        if is_reported {
            self.events.push_back(Event::Done(Done {
                token,
                slot,
                outcome,
            }));
        } else {
            self.tasks.release(slot);
        }
    }

    /// Starts looking at deadlines, if that is not going on. Without a connection no task has one.
    fn watch(&mut self, now: Instant) {
        if self.next_scan.is_none() && self.is_up() && !self.tasks.is_empty() {
            self.next_scan = Some(now + SCAN_INTERVAL);
        }
    }

    /// New requests may go out: the session is logged in and was not logged out of.
    fn may_request(&self) -> bool {
        matches!(self.phase, Phase::Up { .. }) && !self.leaving
    }

    /// A batch that referred to the buffer of a task is gone.
    fn unreference(&mut self, slot: u16) {
        let Some(task) = self.tasks.get_mut(slot) else {
            return;
        };
        task.in_batch = task.in_batch.saturating_sub(1);
        if task.in_batch == 0
            && let Some(outcome) = task.ended.take()
        {
            self.finish(slot, outcome);
        }
    }

    fn commands_may_leave(&self) -> bool {
        self.gate_open && self.ghosts.is_empty()
    }

    fn index(&self, cid: u16) -> Option<usize> {
        self.connections
            .iter()
            .position(|connection| connection.cid == cid)
    }
}

#[cfg(test)]
mod tests;
