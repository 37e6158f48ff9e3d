//! Recovery within a connection (RFC 7143 §7.1.4.1, §7.1.4.2, §11.16): what was lost between two PDUs that
//! came is asked for again, and what follows it waits or is put where it belongs.
//!
//! Only at error recovery level 1 and above. Lost are the numbers that a later one has passed over, and
//! PDUs whose data digest is wrong, for their headers say which they were. Data-In is placed as it comes;
//! R2Ts are served as they come; statuses wait for those before them, and for the data of their commands,
//! because they are acknowledged together (§7.9).
//!
//! What is asked for and does not come is asked for again, a few times; then a task is aborted, and a
//! connection that owes a status is given up.

use std::time::{Duration, Instant};

use super::Session;
use super::connection::{Connection, Held, Incoming, Reply};
use super::event::{ConnectionError, PeerMisbehaved};
use super::gaps::OwedAck;
use super::task::{Ending, State, TaskId};
use crate::pdu::{BasicHeader, Bhs, DataIn, FromTarget, NIL, Opcode, R2t, Snack, SnackType};

/// How long a target may take to send again what it was asked for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Times that the same is asked for.
const MAX_ASKS: u8 = 3;

/// Statuses that wait for an earlier one. A target that is further ahead than this has lost more than
/// can be waited for.
const MAX_HELD: usize = 128;

/// Bytes of data segments that wait with them.
const MAX_HELD_BYTES: usize = 256 * 1024;

/// Answers that wait to be sent on one connection. A target that does not read them gets no more: what they
/// would have asked for is asked for again later, and a later acknowledgement stands for an earlier one.
const MAX_REPLIES: usize = 1024;

/// Numbers that were asked for again and have not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    what: Lost,
    at: Instant,
    times: u8,
}

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// Data-In or R2T of a task.
    Data(TaskId),
    /// Statuses of the connection.
    Status,
}

/// How a status that came stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Now,
    Later,
    /// It was there before.
    Never,
}

impl Session {
    /// Nothing is missing, on the connection or of the task, and a PDU comes in its turn: it is handled as at
    /// level 0.
    #[inline]
    pub(super) fn is_in_turn(&mut self, index: usize, pdu: &FromTarget<'_>) -> bool {
        let Some(connection) = self.connections.get(index) else {
            return false;
        };
        let (itt, is_due, counted) = match pdu {
            FromTarget::DataIn(pdu) if !pdu.wants_acknowledge() => {
                let is_due = !pdu.has_status() || pdu.stat_sn.get() == connection.exp_stat_sn;
                (pdu.itt.get(), is_due, 0)
            }
            FromTarget::ScsiResponse(pdu) => {
                let is_due = pdu.stat_sn.get() == connection.exp_stat_sn;
                (pdu.itt.get(), is_due, pdu.exp_data_sn.get())
            }
            FromTarget::R2t(pdu) => (pdu.itt.get(), true, 0),
            _ => return false,
        };
        let has_all = connection.held.is_empty() && connection.asked.is_empty();
        let task = self.tasks.find(TaskId::from_itt(itt));
        has_all
            && is_due
            && task.is_some_and(|task| {
                task.recovery.is_none() && (!task.is_read() || counted <= task.data_pdus)
            })
    }

    /// Handles a PDU at a level at which what was lost is asked for.
    pub(super) fn handle_recovering(
        &mut self,
        now: Instant,
        index: usize,
        bhs: &Bhs,
    ) -> Result<(), ConnectionError> {
        let Some(connection) = self.connections.get(index) else {
            return Ok(());
        };
        let (cid, incoming) = (connection.cid, connection.incoming);
        let pdu = FromTarget::parse(bhs)?;
        self.note_taken_up(now, &pdu);
        if let FromTarget::DataIn(pdu) = &pdu {
            let id = TaskId::from_itt(pdu.itt.get());
            if incoming != Incoming::Discard
                && let Some(task) = self.tasks.find(id).filter(|task| task.ended.is_none())
            {
                task.count_data_in(pdu)?;
            }
            self.pay_ack(index, id);
            if pdu.wants_acknowledge() && !pdu.has_status() {
                self.owe_ack(index, pdu);
            }
        }
        if self.admit(now, index, bhs)? {
            match pdu {
                FromTarget::DataIn(pdu) => self.end_by_data_in(index, pdu)?,
                pdu => self.handle_any(now, index, pdu)?,
            }
        }
        self.release_held(now, cid)
    }

    /// Looks at the StatSN of a PDU before it is handled; `false` when its turn has not come: it is kept,
    /// or has been there before.
    fn admit(&mut self, now: Instant, index: usize, bhs: &Bhs) -> Result<bool, ConnectionError> {
        let pdu = FromTarget::parse(bhs)?;
        let Some(stat_sn) = consumed(&pdu) else {
            return Ok(true);
        };
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(false);
        };
        let turn = connection.turn_of(stat_sn)?;
        // The data of a command comes before its status (RFC 7143 §7.9).
        let waits_for_data = turn == Turn::Now && self.counts_missing_data(&pdu)?;
        match turn {
            Turn::Now if !waits_for_data => Ok(true),
            Turn::Now | Turn::Later => {
                self.hear_early(index, &pdu)?;
                self.hold(index, stat_sn, bhs)?;
                if turn == Turn::Later {
                    self.ask(now, index, Lost::Status);
                }
                if let Some(id) = status_of(&pdu).filter(|_| waits_for_data) {
                    self.ask(now, index, Lost::Data(id));
                }
                Ok(false)
            }
            Turn::Never => Ok(false),
        }
    }

    /// The command that a status ends misses data. What the status counts and did not come is missing from
    /// then on.
    fn counts_missing_data(&mut self, pdu: &FromTarget<'_>) -> Result<bool, PeerMisbehaved> {
        let Some(id) = status_of(pdu) else {
            return Ok(false);
        };
        let Some(task) = self.tasks.find(id).filter(|task| task.ended.is_none()) else {
            return Ok(false);
        };
        if let FromTarget::ScsiResponse(response) = pdu
            && response.response_code == 0
            && task.is_read()
            && !task.is_bidirectional()
        {
            let counted = response.exp_data_sn.get();
            let more = counted.saturating_sub(task.data_pdus);
            task.skip_to(task.next_data_sn.saturating_add(more))?;
            if more > 0 {
                task.recovery_mut().end_of_data = Some(task.next_data_sn);
            }
        }
        Ok(task.is_read() && task.waits_for_gaps())
    }

    /// Keeps a PDU with its data until its turn comes.
    fn hold(&mut self, index: usize, stat_sn: u32, bhs: &Bhs) -> Result<(), ConnectionError> {
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        if connection.held.iter().any(|held| held.stat_sn == stat_sn) {
            return Ok(());
        }
        let data = match connection.incoming {
            Incoming::Collect => std::mem::take(&mut connection.collected),
            Incoming::Task { .. } | Incoming::Discard => Vec::new(),
        };
        let bytes: usize = connection.held.iter().map(|held| held.data.len()).sum();
        if connection.held.len() >= MAX_HELD || bytes + data.len() > MAX_HELD_BYTES {
            return Err(ConnectionError::NotSentAgain);
        }
        let next = connection.exp_stat_sn;
        let before = |held: &Held| held.stat_sn.wrapping_sub(next) < stat_sn.wrapping_sub(next);
        let at = connection
            .held
            .iter()
            .take_while(|held| before(held))
            .count();
        let held = Held {
            stat_sn,
            bhs: *bhs,
            data,
        };
        connection.held.insert(at, held);
        connection.note_status(stat_sn.wrapping_add(1));
        Ok(())
    }

    /// Handles the kept PDUs whose turn has come.
    fn release_held(&mut self, now: Instant, cid: u16) -> Result<(), ConnectionError> {
        while let Some(index) = self.index(cid) {
            let Some(connection) = self.connections.get_mut(index) else {
                return Ok(());
            };
            let next = connection.exp_stat_sn;
            let Some(held) = connection.held.front().filter(|held| held.stat_sn == next) else {
                return Ok(());
            };
            let bhs = held.bhs;
            let pdu = FromTarget::parse(&bhs)?;
            if self.counts_missing_data(&pdu)? {
                return Ok(());
            }
            let Some(connection) = self.connections.get_mut(index) else {
                return Ok(());
            };
            let data = connection.held.pop_front().map(|held| held.data);
            let during = std::mem::replace(&mut connection.collected, data.unwrap_or_default());
            let before = std::mem::replace(&mut connection.header, bhs);
            let handled = match pdu {
                // Its data was placed when it came.
                FromTarget::DataIn(pdu) => self.end_by_data_in(index, pdu),
                pdu => self.handle_any(now, index, pdu),
            };
            if let Some(connection) = self.index(cid).and_then(|at| self.connections.get_mut(at)) {
                connection.collected = during;
                connection.header = before;
            }
            handled?;
        }
        Ok(())
    }

    /// The data digest of a PDU is wrong: its data is lost, and its header says which it was
    /// (RFC 7143 §7.8).
    pub(super) fn handle_damaged(
        &mut self,
        now: Instant,
        index: usize,
    ) -> Result<(), ConnectionError> {
        let level = self.level();
        let Some(connection) = self.connections.get_mut(index).filter(|_| level > 0) else {
            return Err(ConnectionError::DataDigest);
        };
        self.counters.digest_errors += 1;
        let bhs = connection.header;
        let pdu = FromTarget::parse(&bhs)?;
        if let FromTarget::DataIn(pdu) = &pdu {
            self.lose_data(now, index, pdu)?;
        }
        let Some(stat_sn) = consumed(&pdu) else {
            return Ok(());
        };
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        let turn = connection.turn_of(stat_sn)?;
        if turn != Turn::Never {
            connection.note_status(stat_sn.wrapping_add(1));
            self.ask(now, index, Lost::Status);
        }
        Ok(())
    }

    fn lose_data(
        &mut self,
        now: Instant,
        index: usize,
        pdu: &DataIn,
    ) -> Result<(), ConnectionError> {
        let id = TaskId::from_itt(pdu.itt.get());
        let discarded = self.connections.get(index).map(|c| c.incoming) == Some(Incoming::Discard);
        let Some(task) = self.tasks.find(id).filter(|_| !discarded) else {
            return Ok(());
        };
        let (number, next) = (pdu.data_sn.get(), task.next_data_sn);
        // One that was asked for and is damaged again is missing as before.
        if number == next {
            task.skip_to(number.saturating_add(1))?;
            task.note_end_of_data(pdu);
        }
        self.ask(now, index, Lost::Data(id));
        Ok(())
    }

    /// Where a Data-In of a task goes that something was lost of, or whose number is not the next: `false`
    /// when it was there before.
    pub(super) fn place_out_of_turn(
        &mut self,
        now: Instant,
        index: usize,
        pdu: &DataIn,
    ) -> Result<bool, ConnectionError> {
        let level = self.level();
        let id = TaskId::from_itt(pdu.itt.get());
        let Some(task) = self.tasks.find(id) else {
            return Ok(false);
        };
        let (got, expected) = (pdu.data_sn.get(), task.next_data_sn);
        if task.is_bidirectional() {
            return Ok(task.check_bidi_data_sn(got).map(|()| true)?);
        }
        if level == 0 && got != expected {
            return Err(PeerMisbehaved::DataSnGap { got, expected }.into());
        }
        if got < expected {
            return Ok(task
                .recovery
                .as_ref()
                .is_some_and(|r| r.missing.contains(got)));
        }
        if got > expected {
            task.skip_to(got)?;
            self.ask(now, index, Lost::Data(id));
        }
        Ok(true)
    }

    /// An R2T whose number is not the next. `true`: it is served.
    pub(super) fn take_r2t_out_of_turn(
        &mut self,
        now: Instant,
        index: usize,
        pdu: &R2t,
    ) -> Result<bool, ConnectionError> {
        let level = self.level();
        let id = TaskId::from_itt(pdu.itt.get());
        let Some(task) = self.tasks.find(id) else {
            return Ok(false);
        };
        let (got, expected) = (pdu.r2t_sn.get(), task.next_data_sn);
        if level == 0 {
            return Err(PeerMisbehaved::R2tSnGap { got, expected }.into());
        }
        let recovery = task.recovery_mut();
        if std::mem::take(&mut recovery.is_resumed) {
            task.next_data_sn = got.saturating_add(1);
            return Ok(true);
        }
        if got < expected {
            return Ok(recovery.missing.take(got));
        }
        task.skip_to(got)?;
        task.next_data_sn = got.saturating_add(1);
        self.ask(now, index, Lost::Data(id));
        Ok(true)
    }

    /// A StatSN that is only told is above the one due: statuses were lost (RFC 7143 §11.19.2).
    pub(super) fn told_stat_sn(
        &mut self,
        now: Instant,
        index: usize,
        told: u32,
    ) -> Result<(), ConnectionError> {
        let level = self.level();
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        match connection.compare_stat_sn(told) {
            Ok(()) => Ok(()),
            Err(offence) if level == 0 => Err(offence.into()),
            Err(_) => {
                // Beyond what can be waited for, it is no loss but an offence.
                connection.turn_of(told)?;
                connection.note_status(told);
                self.ask(now, index, Lost::Status);
                Ok(())
            }
        }
    }

    /// A Data-In with the A bit: it is acknowledged once no data before it is missing
    /// (RFC 7143 §11.7.2), which needs no word when its status is acknowledged at once.
    fn owe_ack(&mut self, index: usize, pdu: &DataIn) {
        let id = TaskId::from_itt(pdu.itt.get());
        let owed = OwedAck {
            lun: pdu.lun,
            ttt: pdu.ttt.get(),
        };
        let Some(task) = self.tasks.find(id).filter(|_| owed.ttt != NIL) else {
            return;
        };
        if task.has_gaps() {
            task.recovery_mut().owed = Some(owed);
        } else {
            let next = task.next_data_sn;
            self.acknowledge(index, owed, next);
        }
    }

    /// Sends the acknowledgement that has waited for missing data, if that is there now.
    fn pay_ack(&mut self, index: usize, id: TaskId) {
        let Some(task) = self.tasks.find(id).filter(|task| !task.has_gaps()) else {
            return;
        };
        let next = task.next_data_sn;
        if let Some(owed) = task.recovery.as_mut().and_then(|r| r.owed.take()) {
            self.acknowledge(index, owed, next);
        }
    }

    fn acknowledge(&mut self, index: usize, owed: OwedAck, next: u32) {
        let mut snack = Snack::new(SnackType::DataAck);
        snack.lun = owed.lun;
        snack.ttt = owed.ttt.into();
        snack.beg_run = next.into();
        self.reply(index, snack);
    }

    /// Asks for what is lost, unless that was asked for a moment ago.
    fn ask(&mut self, now: Instant, index: usize, what: Lost) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let asked = connection.asked.iter_mut().find(|asked| asked.what == what);
        let times = match asked {
            // A new gap is asked for at once; the old ones go with it.
            Some(asked) => {
                asked.at = now;
                asked.times
            }
            None => {
                let (at, times) = (now, 1);
                connection.asked.push(Asked { what, at, times });
                times
            }
        };
        self.watch(now);
        if times <= MAX_ASKS {
            self.send_snacks(index, what);
        }
    }

    /// One SNACK for each run that is missing and was not asked for yet.
    fn send_snacks(&mut self, index: usize, what: Lost) {
        match what {
            Lost::Data(id) => {
                let Some(task) = self.tasks.find(id) else {
                    return;
                };
                let Some(recovery) = task.recovery.as_mut() else {
                    return;
                };
                let end = recovery.end_of_data;
                let runs = recovery.unasked();
                for run in runs {
                    let mut snack = Snack::new(SnackType::DataOrR2t);
                    snack.itt = id.itt().into();
                    snack.beg_run = run.begin.into();
                    // LIO takes a number too many for one that was never sent, rejects the SNACK and breaks;
                    // 0 is "to the end" (RFC 7143 §11.16.5).
                    let is_last = end == Some(run.end);
                    let length = if is_last { 0 } else { run.end - run.begin };
                    snack.run_length = length.into();
                    self.reply(index, snack);
                }
            }
            Lost::Status => {
                let Some(connection) = self.connections.get_mut(index) else {
                    return;
                };
                for (begin, length) in connection.lost_statuses() {
                    let mut snack = Snack::new(SnackType::Status);
                    snack.beg_run = begin.into();
                    snack.run_length = length.into();
                    self.reply(index, snack);
                }
            }
        }
    }

    fn reply(&mut self, index: usize, snack: Snack) {
        let connection = self.connections.get_mut(index);
        if let Some(connection) = connection.filter(|c| c.replies.len() < MAX_REPLIES) {
            connection.replies.push_back(Reply::Snack(snack));
            self.counters.snacks += 1;
        }
    }

    /// Looks at what was asked for: asks again, or gives up.
    pub(super) fn check_asked(&mut self, now: Instant) {
        for index in (0..self.connections.len()).rev() {
            let Some(connection) = self.connections.get_mut(index) else {
                continue;
            };
            if connection.asked.is_empty() {
                continue;
            }
            let cid = connection.cid;
            let asked = std::mem::take(&mut connection.asked);
            for mut asked in asked {
                if !self.is_lost(index, asked.what) {
                    continue;
                }
                let is_due = now.saturating_duration_since(asked.at) >= PATIENCE;
                if is_due && asked.times >= MAX_ASKS {
                    match asked.what {
                        Lost::Data(id) => self.give_up_data(now, id),
                        Lost::Status => {
                            self.handle_connection_lost(now, cid, ConnectionError::NotSentAgain);
                            break;
                        }
                    }
                    continue;
                }
                if is_due {
                    asked.at = now;
                    asked.times += 1;
                }
                if let Some(connection) = self.connections.get_mut(index) {
                    connection.asked.push(asked);
                }
                if is_due {
                    self.ask_again(index, asked.what);
                }
            }
        }
    }

    /// The target has been asked to send something again, and has not yet.
    pub(super) fn has_asked_in_vain(&mut self, index: usize) -> bool {
        let asked = self.connections.get(index).map(|c| c.asked.clone());
        asked.is_some_and(|asked| asked.iter().any(|asked| self.is_lost(index, asked.what)))
    }

    fn ask_again(&mut self, index: usize, what: Lost) {
        match what {
            Lost::Data(id) => {
                if let Some(recovery) = self.tasks.find(id).and_then(|t| t.recovery.as_mut()) {
                    recovery.forget_asking();
                }
            }
            Lost::Status => {
                if let Some(connection) = self.connections.get_mut(index) {
                    connection.asked_up_to = connection.exp_stat_sn;
                }
            }
        }
        self.send_snacks(index, what);
    }

    /// It has not come yet.
    fn is_lost(&mut self, index: usize, what: Lost) -> bool {
        match what {
            Lost::Data(id) => self.tasks.find(id).is_some_and(|task| {
                task.waits_for_gaps() && task.ended.is_none() && task.state != State::Ready
            }),
            Lost::Status => {
                let connection = self.connections.get_mut(index);
                connection.is_some_and(|connection| connection.has_lost_status())
            }
        }
    }

    /// The target does not send data again: the task is aborted, and carried out anew if it may be.
    fn give_up_data(&mut self, now: Instant, id: TaskId) {
        let Some(task) = self.tasks.find(id) else {
            return;
        };
        task.give_up_gaps();
        if !task.is_read() {
            // What a write does not get asked for is the target's to ask for (RFC 7143 §7.1.4.1).
            return;
        }
        if task.ending == Ending::No {
            task.ending = Ending::Orphaned;
        }
        let Some((lun, _)) = self.live_command(id) else {
            return;
        };
        let request = super::Management {
            function: crate::pdu::TmfFunction::AbortTask,
            lun,
            task: Some(id),
            token: None,
        };
        // With too many functions waiting already, its own deadline ends it.
        let _ = self.manage(now, request);
    }

    /// The target has rejected a SNACK of ours with these flags and this tag (RFC 7143 §7.8): what was asked
    /// for is lost for good.
    pub(super) fn snack_rejected(&mut self, flags: u8, itt: u32) -> Result<(), ConnectionError> {
        let kind = SnackType::try_from(flags & 0x0f);
        match kind {
            // We have sent none.
            _ if self.level() == 0 => Ok(()),
            Ok(SnackType::DataAck) | Err(_) => Ok(()),
            Ok(SnackType::Status) => Err(ConnectionError::NotSentAgain),
            Ok(SnackType::DataOrR2t | SnackType::ResegmentedData) => {
                if let Some(task) = self.tasks.find(TaskId::from_itt(itt)) {
                    task.give_up_gaps();
                }
                Ok(())
            }
        }
    }

    /// A status may wait for data that a Reject behind it says will not come: so that is looked at before
    /// its turn.
    fn hear_early(&mut self, index: usize, pdu: &FromTarget<'_>) -> Result<(), ConnectionError> {
        let FromTarget::Reject(_) = pdu else {
            return Ok(());
        };
        let collected = self.connections.get(index).map(|c| c.collected.as_slice());
        let Some(victim) = collected.and_then(|data| data.first_chunk::<48>()) else {
            return Ok(());
        };
        let victim = BasicHeader::from_bhs(victim);
        if Opcode::try_from(victim.opcode) != Ok(Opcode::Snack) {
            return Ok(());
        }
        let (flags, itt) = (victim.flags, victim.itt.get());
        self.snack_rejected(flags, itt)
    }
}

/// StatSN of a PDU that consumes it (RFC 7143 §4.2.2.2).
fn consumed(pdu: &FromTarget<'_>) -> Option<u32> {
    match pdu {
        FromTarget::DataIn(pdu) => pdu.has_status().then(|| pdu.stat_sn.get()),
        FromTarget::NopIn(pdu) => (pdu.itt.get() != NIL).then(|| pdu.stat_sn.get()),
        FromTarget::R2t(_) | FromTarget::LoginResponse(_) => None,
        FromTarget::ScsiResponse(_)
        | FromTarget::TaskManagementResponse(_)
        | FromTarget::TextResponse(_)
        | FromTarget::LogoutResponse(_)
        | FromTarget::AsyncMessage(_)
        | FromTarget::Reject(_) => Some(pdu.sequence_numbers().stat_sn),
    }
}

/// The command that a PDU ends.
fn status_of(pdu: &FromTarget<'_>) -> Option<TaskId> {
    match pdu {
        FromTarget::DataIn(pdu) => pdu.has_status().then(|| TaskId::from_itt(pdu.itt.get())),
        FromTarget::ScsiResponse(pdu) => Some(TaskId::from_itt(pdu.itt.get())),
        _ => None,
    }
}

impl Connection {
    /// Whether a StatSN is the next, a later one, or one that was there before.
    fn turn_of(&self, got: u32) -> Result<Turn, PeerMisbehaved> {
        let expected = self.exp_stat_sn;
        let (ahead, behind) = (got.wrapping_sub(expected), expected.wrapping_sub(got));
        match (ahead, behind) {
            (0, _) => Ok(Turn::Now),
            (ahead, _) if ahead <= MAX_STATUS_DISTANCE => Ok(Turn::Later),
            (_, behind) if behind <= MAX_STATUS_DISTANCE => Ok(Turn::Never),
            _ => Err(PeerMisbehaved::StatSnGap { got, expected }),
        }
    }

    /// Statuses up to this number, which is not in, were sent.
    fn note_status(&mut self, up_to: u32) {
        let (known, new) = (self.statuses_up_to, up_to);
        let distance = |number: u32| number.wrapping_sub(self.exp_stat_sn);
        let is_old = distance(known) > MAX_STATUS_DISTANCE + 1;
        if is_old || distance(new) > distance(known) {
            self.statuses_up_to = new;
        }
    }

    /// The runs of statuses that were sent and did not come, from `from` on.
    fn status_gaps(&self, from: u32) -> Vec<(u32, u32)> {
        let base = self.exp_stat_sn;
        let distance = |number: u32| match number.wrapping_sub(base) {
            distance if distance <= MAX_STATUS_DISTANCE + 1 => distance,
            // It lies behind.
            _ => 0,
        };
        let (mut next, end) = (distance(from), distance(self.statuses_up_to));
        let mut gaps = Vec::new();
        for held in &self.held {
            let at = distance(held.stat_sn);
            if at > next {
                gaps.push((base.wrapping_add(next), at - next));
            }
            next = next.max(at + 1);
        }
        if end > next {
            gaps.push((base.wrapping_add(next), end - next));
        }
        gaps
    }

    fn has_lost_status(&self) -> bool {
        !self.status_gaps(self.exp_stat_sn).is_empty()
    }

    /// Those of them that were not asked for yet.
    fn lost_statuses(&mut self) -> Vec<(u32, u32)> {
        let gaps = self.status_gaps(self.asked_up_to);
        self.asked_up_to = self.statuses_up_to;
        gaps
    }
}

/// How far a StatSN may be from the next: as many statuses as the largest table of tasks can get at once
/// (RFC 7143 §4.2.2.2 wants a limit).
const MAX_STATUS_DISTANCE: u32 = super::task::MAX_TASKS as u32;
