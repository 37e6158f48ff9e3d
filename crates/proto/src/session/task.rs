//! Tasks and the table they live in.

use std::time::Instant;

use super::event::Outcome;
use super::gaps::Recovery;
use super::{Command, Direction, Management};
use crate::pdu::{LogoutReason, Opcode};
use crate::serial::Serial;

/// The most tasks one table can hold: slots stay below this, so that no tag is ever the reserved
/// 0xffffffff (RFC 7143 §11.2.1.8).
pub const MAX_TASKS: u16 = 0x7fff;

/// Slots beyond those of the commands, for the session's own requests: one management function; one
/// ping, one text request and one logout of each connection; and some that fill in the CmdSN of
/// rejected commands. So a table full of commands that hang can still be aborted, and a full session
/// logged out.
pub(super) const OWN_SLOTS: u16 = 16 + 3 * super::members::MAX_CONNECTIONS;

/// Slots beyond those of the other commands, for urgent ones: the commands of a lost connection fill
/// the table until the gate opens, and it opens only after urgent commands were answered.
pub(super) const URGENT_SLOTS: u16 = 8;

/// How many generations of a slot back a late PDU is still believed to be one.
const STALE_GENERATIONS: u16 = 1 << 10;

/// Names one task of one session for as long as it lives: its slot and the slot's generation. On
/// the wire `generation << 16 | slot` is the initiator task tag, so a late PDU of an earlier task in
/// the same slot is told from the present one. A task that is sent again gets a new tag; its caller
/// goes on naming it as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId {
    slot: u16,
    generation: u16,
}

impl TaskId {
    /// The slot, by which the driver keeps the buffer.
    #[must_use]
    pub fn slot(self) -> u16 {
        self.slot
    }

    /// The initiator task tag of its first sending.
    #[must_use]
    pub fn itt(self) -> u32 {
        u32::from(self.generation) << 16 | u32::from(self.slot)
    }

    pub(super) fn from_itt(itt: u32) -> Self {
        let [g1, g0, s1, s0] = itt.to_be_bytes();
        Self {
            slot: u16::from_be_bytes([s1, s0]),
            generation: u16::from_be_bytes([g1, g0]),
        }
    }
}

/// What a task is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Scsi(Command),
    Management(Management),
    /// Our own NOP-Out; `plug` is the CmdSN it fills in for a rejected command.
    Ping {
        plug: Option<Serial>,
    },
    /// The empty text request that answers asynchronous event 4.
    Text,
    /// `cid` names the connection that is meant, which may be another than the one it travels on; it
    /// is of no meaning where the session is meant.
    Logout {
        reason: LogoutReason,
        cid: u16,
    },
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Waits to be sent.
    Ready,
    /// Sent; allegiant to this connection, which may be lost.
    Sent { link: u16, cmd_sn: Serial },
    /// Waits to be sent again under the number it has, which the target has not taken
    /// (RFC 7143 §7.2.1).
    Numbered { cmd_sn: Serial },
}

/// Why a sent task is being ended before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    No,
    /// Its time is over and the target is being made to forget it.
    TimedOut,
    /// The caller asked for it.
    Cancelled,
    /// The target could not go on with it after the loss of its connection.
    Orphaned,
}

#[derive(Debug)]
pub(super) struct Task {
    pub(super) token: u64,
    pub(super) kind: Kind,
    pub(super) state: State,
    pub(super) ending: Ending,
    /// When the present attempt has taken too long.
    pub(super) deadline: Option<Instant>,
    /// When it was submitted: replays keep it.
    pub(super) submitted: Instant,
    /// Data-In bytes received.
    pub(super) received: u32,
    /// DataSN or R2TSN due next: they share one counter (RFC 7143 §11.7.5).
    pub(super) next_data_sn: u32,
    /// Data-In PDUs received, as ExpDataSN counts them.
    pub(super) data_pdus: u32,
    /// R2Ts that are not answered in full yet.
    pub(super) open_r2ts: u16,
    /// The driver has taken it back: it is not sent again without asking there.
    pub(super) withdrawn: bool,
    /// A request of our own that has been sent once.
    pub(super) was_sent: bool,
    /// The connection that a request of our own is for.
    pub(super) home: u16,
    /// References of the batches being written to this task's buffer.
    pub(super) in_batch: u16,
    /// It has ended, but a batch still refers to its buffer.
    pub(super) ended: Option<Outcome>,
    /// What it needs beyond others, or since something of it was lost: most tasks never do.
    pub(super) recovery: Option<Box<Recovery>>,
}

impl Task {
    pub(super) fn new(token: u64, kind: Kind, now: Instant) -> Self {
        Self {
            token,
            kind,
            state: State::Ready,
            ending: Ending::No,
            deadline: None,
            submitted: now,
            received: 0,
            next_data_sn: 0,
            data_pdus: 0,
            open_r2ts: 0,
            withdrawn: false,
            was_sent: false,
            home: 0,
            in_batch: 0,
            ended: None,
            recovery: None,
        }
    }

    /// Makes it as if it had never been sent. A batch that is being written may still refer to its
    /// buffer, so that count stays.
    pub(super) fn rewind(&mut self) {
        self.state = State::Ready;
        self.ending = Ending::No;
        self.deadline = None;
        self.received = 0;
        self.next_data_sn = 0;
        self.data_pdus = 0;
        self.open_r2ts = 0;
        if self.recovery.is_some() {
            self.forget_recovery();
        }
    }

    /// Makes it as if it had never been sent, but for its number.
    pub(super) fn renumber(&mut self, cmd_sn: Serial) {
        self.rewind();
        self.home = 0;
        self.state = State::Numbered { cmd_sn };
    }

    /// It is the logout of the connection with this CID.
    pub(super) fn is_logout_of(&self, cid: u16) -> bool {
        matches!(self.kind, Kind::Logout { reason, cid: of }
            if of == cid && reason != LogoutReason::CloseSession)
    }

    pub(super) fn command(&self) -> Option<&Command> {
        match &self.kind {
            Kind::Scsi(command) => Some(command),
            _ => None,
        }
    }

    pub(super) fn is_read(&self) -> bool {
        match self.command().map(|command| command.direction) {
            Some(Direction::Read(_)) => true,
            _ => self.is_bidirectional(),
        }
    }

    /// Expected length of what it reads, 0 if it does not.
    pub(super) fn read_length(&self) -> u32 {
        match self.command().map(|command| command.direction) {
            Some(Direction::Read(length)) => length,
            _ if self.recovery.is_some() => self.bidi_read_length().unwrap_or(0),
            _ => 0,
        }
    }

    /// Expected data transfer length of a write, 0 for all else.
    pub(super) fn write_length(&self) -> u32 {
        match self.command().map(|command| command.direction) {
            Some(Direction::Write(length)) => length,
            _ => 0,
        }
    }

    /// The PDU with this opcode byte is the request itself.
    pub(super) fn is_request(&self, opcode: u8) -> bool {
        let own = match self.kind {
            Kind::Scsi(_) => Opcode::ScsiCommand,
            Kind::Management(_) => Opcode::TaskManagementRequest,
            Kind::Ping { .. } => Opcode::NopOut,
            Kind::Text => Opcode::TextRequest,
            Kind::Logout { .. } => Opcode::LogoutRequest,
        };
        Opcode::try_from(opcode) == Ok(own)
    }

    pub(super) fn is_sent_on(&self, link: u16) -> bool {
        matches!(self.state, State::Sent { link: on, .. } if on == link)
    }

    /// Its CmdSN, if it has one.
    pub(super) fn cmd_sn(&self) -> Option<Serial> {
        match self.state {
            State::Ready => None,
            State::Sent { cmd_sn, .. } | State::Numbered { cmd_sn } => Some(cmd_sn),
        }
    }
}

#[derive(Debug, Default)]
struct Entry {
    generation: u16,
    /// The generation its task had when it was submitted: replays have later ones.
    submitted_as: u16,
    task: Option<Task>,
    /// Whose slots it counts among, until it is released.
    share: Share,
}

/// Who may have how many slots.
#[derive(Debug, Clone, Copy, Default)]
enum Share {
    #[default]
    Commands,
    Urgent,
    Own,
}

/// Slots taken of one share, and how many there are.
#[derive(Debug)]
struct Slots {
    taken: u16,
    limit: u16,
}

impl Slots {
    fn new(limit: u16) -> Self {
        Self { taken: 0, limit }
    }

    fn is_full(&self) -> bool {
        self.taken >= self.limit
    }
}

/// The tasks of a session, by slot. It grows as slots are first used, so an idle session is small.
#[derive(Debug)]
pub(super) struct Table {
    entries: Vec<Entry>,
    free: Vec<u16>,
    commands: Slots,
    urgent: Slots,
    own: Slots,
}

impl Table {
    /// A table of at most `capacity` commands, itself at most [`MAX_TASKS`].
    pub(super) fn new(capacity: u16) -> Self {
        let capacity = capacity.clamp(1, MAX_TASKS);
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            commands: Slots::new(capacity),
            urgent: Slots::new(URGENT_SLOTS),
            own: Slots::new(OWN_SLOTS),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commands.taken == 0 && self.urgent.taken == 0 && self.own.taken == 0
    }

    /// No further command finds a slot, unless it is urgent.
    pub(super) fn is_full(&self) -> bool {
        self.commands.is_full()
    }

    /// No further urgent command finds a slot.
    pub(super) fn is_full_for_urgent(&self) -> bool {
        self.urgent.is_full() && self.commands.is_full()
    }

    fn share(&mut self, share: Share) -> &mut Slots {
        match share {
            Share::Commands => &mut self.commands,
            Share::Urgent => &mut self.urgent,
            Share::Own => &mut self.own,
        }
    }

    pub(super) fn insert(&mut self, task: Task) -> Option<TaskId> {
        let share = match task.command() {
            None => Share::Own,
            Some(command) if command.urgent && !self.urgent.is_full() => Share::Urgent,
            Some(_) => Share::Commands,
        };
        let slots = self.share(share);
        if slots.is_full() {
            return None;
        }
        slots.taken += 1;
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.entries.push(Entry::default());
                u16::try_from(self.entries.len() - 1).ok()?
            }
        };
        let entry = self.entries.get_mut(usize::from(slot))?;
        entry.generation = entry.generation.wrapping_add(1);
        entry.task = Some(task);
        entry.share = share;
        entry.submitted_as = entry.generation;
        Some(TaskId {
            slot,
            generation: entry.generation,
        })
    }

    /// Drops the task. The slot stays taken until it is [`release`](Self::release)d.
    pub(super) fn vacate(&mut self, slot: u16) {
        if let Some(entry) = self.entries.get_mut(usize::from(slot)) {
            entry.task = None;
        }
    }

    /// Lets an emptied slot be used again.
    pub(super) fn release(&mut self, slot: u16) {
        let Some(entry) = self.entries.get(usize::from(slot)) else {
            return;
        };
        if entry.task.is_none() {
            let share = entry.share;
            let slots = self.share(share);
            slots.taken = slots.taken.saturating_sub(1);
            self.free.push(slot);
        }
    }

    pub(super) fn get(&self, slot: u16) -> Option<&Task> {
        self.entries.get(usize::from(slot))?.task.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u16) -> Option<&mut Task> {
        self.entries.get_mut(usize::from(slot))?.task.as_mut()
    }

    /// The task that `id` names, if it still lives.
    pub(super) fn find(&mut self, id: TaskId) -> Option<&mut Task> {
        let entry = self.entries.get_mut(usize::from(id.slot))?;
        if entry.generation == id.generation {
            entry.task.as_mut()
        } else {
            None
        }
    }

    /// The present name of the task that got `id` when it was submitted.
    pub(super) fn present(&self, id: TaskId) -> Option<TaskId> {
        let entry = self.entries.get(usize::from(id.slot))?;
        let lives = entry.task.is_some() && entry.submitted_as == id.generation;
        lives.then(|| self.id(id.slot))
    }

    /// `id` named a task of this table that has ended: its slot has since had a later generation, or
    /// is free.
    pub(super) fn has_been(&self, id: TaskId) -> bool {
        self.entries.get(usize::from(id.slot)).is_some_and(|entry| {
            let age = entry.generation.wrapping_sub(id.generation);
            (age > 0 && age < STALE_GENERATIONS) || (age == 0 && entry.task.is_none())
        })
    }

    /// Gives the slot's task a new tag, so that PDUs of its earlier life are told from the new.
    pub(super) fn renew(&mut self, slot: u16) {
        if let Some(entry) = self.entries.get_mut(usize::from(slot)) {
            entry.generation = entry.generation.wrapping_add(1);
        }
    }

    pub(super) fn id(&self, slot: u16) -> TaskId {
        let generation = self
            .entries
            .get(usize::from(slot))
            .map_or(0, |entry| entry.generation);
        TaskId { slot, generation }
    }

    /// Live tasks with their slots, in no order of meaning.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, &Task)> {
        let slots = 0..=u16::MAX;
        slots
            .zip(&self.entries)
            .filter_map(|(slot, entry)| Some((slot, entry.task.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping() -> Task {
        Task::new(0, Kind::Ping { plug: None }, Instant::now())
    }

    fn command() -> Task {
        let command = Command {
            cdb: [0; 16],
            lun: [0; 8],
            direction: Direction::None,
            attribute: crate::pdu::TaskAttribute::Simple,
            replay: false,
            urgent: false,
            timeout: std::time::Duration::from_secs(1),
        };
        Task::new(0, Kind::Scsi(command), Instant::now())
    }

    #[test]
    fn commands_leave_room_for_own_requests_and_own_requests_for_commands() {
        let mut table = Table::new(3);
        for _ in 0..OWN_SLOTS {
            table.insert(ping()).unwrap();
        }
        assert!(table.insert(ping()).is_none());
        let commands: Vec<_> = (0..3).map(|_| table.insert(command()).unwrap()).collect();
        assert!(table.is_full() && table.insert(command()).is_none());
        table.vacate(commands[1].slot());
        assert!(table.is_full(), "not released");
        table.release(commands[1].slot());
        assert!(!table.is_full() && table.insert(ping()).is_none());
        table.insert(command()).unwrap();
    }

    #[test]
    fn a_late_tag_names_nothing() {
        let mut table = Table::new(1);
        let first = table.insert(command()).unwrap();
        assert!(table.insert(command()).is_none(), "full");
        table.vacate(first.slot());
        assert!(table.insert(command()).is_none(), "not released");
        table.release(first.slot());
        let second = table.insert(command()).unwrap();
        assert_eq!(first.slot(), second.slot());
        assert!(table.find(first).is_none());
        assert!(table.find(TaskId::from_itt(second.itt())).is_some());
    }

    #[test]
    fn tags_never_repeat_soon_and_are_never_reserved() {
        let mut table = Table::new(2);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..60_000 {
            let id = table.insert(ping()).unwrap();
            assert_ne!(id.itt(), 0xffff_ffff);
            assert!(seen.insert(id.itt()));
            table.vacate(id.slot());
            table.release(id.slot());
        }
    }
}
