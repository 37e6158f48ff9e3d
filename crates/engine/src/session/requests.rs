//! Where requests wait: for room in the task table, for their disk to be checked, for a flush.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use hawser_block::{BlockError, ErrorKind};
use hawser_proto::pdu::{TmfFunction, TmfResponse};
use hawser_proto::session::{ConnectionError, Hold, Outcome};
use hawser_scsi::Lun as LunNumber;
use tokio::sync::oneshot;

use super::driver::Driver;
use super::raw::{RawIo, Urgent};
use super::slots::Owner;
use super::{ManagementRequest, Message};
use crate::error::SessionError;
use crate::lun::{BlockIo, LunState, Stage, Standing, Unflushed, prepare};

/// Requests that are not in the core's table of tasks.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Messages just taken from the inbox.
    fresh: VecDeque<Message>,
    /// Block requests and raw commands that wait for room in the table.
    room: VecDeque<Message>,
    /// Commands of checks that wait for room: they must not stand behind commands that wait for
    /// their checks.
    urgent: VecDeque<RawIo>,
    /// Requests whose LUN takes none at the moment.
    parked: VecDeque<BlockIo>,
    /// An emptied queue, for its memory.
    spare: VecDeque<BlockIo>,
    /// Something happened for which a parked request may have waited.
    may_go: bool,
    /// When the first parked request has waited too long.
    parked_until: Option<Instant>,
}

impl Waiting {
    pub(super) fn parked_until(&self) -> Option<Instant> {
        self.parked_until
    }

    /// Parked requests are looked at again.
    pub(super) fn look_at_parked(&mut self) {
        self.may_go = !self.parked.is_empty();
    }

    /// Answers all of them: the session is closed.
    pub(super) fn refuse_all(&mut self) {
        self.fresh.drain(..).for_each(Message::refuse);
        self.room.drain(..).for_each(Message::refuse);
        self.urgent.clear();
        self.parked.drain(..).for_each(BlockIo::refuse);
    }
}

impl Driver {
    /// Starts requests that have waited long enough, and takes messages from the inbox: what is no
    /// request is carried out at once, whatever else has to wait.
    pub(super) fn poll_messages(&mut self, cx: &Context<'_>) -> bool {
        let mut moved = self.start_parked();
        while self.core.has_urgent_room()
            && let Some(io) = self.waiting.urgent.pop_front()
        {
            self.start_raw(io);
            moved = true;
        }
        while self.core.has_room()
            && let Some(message) = self.waiting.room.pop_front()
        {
            self.start(message);
            moved = true;
        }
        let mut fresh = std::mem::take(&mut self.waiting.fresh);
        if fresh.is_empty() {
            self.shared.inbox.take(cx, &mut fresh);
        }
        let mut has_started = false;
        while let Some(message) = fresh.pop_front() {
            moved = true;
            let is_function = matches!(message, Message::Manage(..) | Message::Abort(..));
            if has_started && is_function {
                // It goes out ahead of commands that wait (RFC 7143 §4.2.2.1: it is immediate), so those
                // before it leave first, as far as the target and the socket take them.
                fresh.push_front(message);
                break;
            }
            has_started |= matches!(message, Message::Block(_) | Message::Raw(_));
            self.handle_message(message);
        }
        self.waiting.fresh = fresh;
        moved
    }

    fn handle_message(&mut self, message: Message) {
        let now = self.now;
        match message {
            Message::Raw(io) if io.urgent.is_some() => self.waiting.urgent.push_back(io),
            Message::Block(_) | Message::Raw(_) => {
                if self.waiting.room.is_empty() && self.core.has_room() {
                    self.start(message);
                } else {
                    self.waiting.room.push_back(message);
                }
            }
            Message::Manage(request, reply) => self.manage(request, None, reply),
            Message::Abort(tag, reply) => self.abort_raw(tag, reply),
            Message::Check(lun) => self.doubt(&lun),
            Message::Checked(checked) => self.checked(checked),
            Message::SetHold(hold) => {
                self.options.hold = hold;
                self.core.set_hold(hold);
                self.waiting.look_at_parked();
            }
            Message::Reconnect => {
                let cids: Vec<u16> = self.core.cids().collect();
                for cid in cids {
                    self.lose(cid, ConnectionError::Requested);
                }
            }
            Message::Connections(request) => self.change_connections(request),
            Message::Logout => self.core.logout(now),
            Message::Abandon => self.core.close(),
        }
    }

    fn start(&mut self, message: Message) {
        match message {
            Message::Block(io) => self.start_block(io),
            Message::Raw(io) => self.start_raw(io),
            _ => {}
        }
    }

    /// Starts a request now, or before all others when there is room.
    pub(super) fn start_next(&mut self, io: BlockIo) {
        if self.core.has_room() {
            self.start_block(io);
        } else {
            self.waiting.room.push_front(Message::Block(io));
        }
    }

    /// A raw command ended.
    pub(super) fn raw_done(
        &mut self,
        mut io: RawIo,
        data: Vec<u8>,
        read: Vec<u8>,
        outcome: Outcome,
    ) {
        if outcome == Outcome::Withdrawn && self.may_be_at(io.request.lun) {
            // It names a LUN and no disk, so it does not wait for one.
            io.restore(data);
            return self.handle_message(Message::Raw(io));
        }
        self.hear_raw(&io, &outcome);
        let is_both = io.read_beside().is_some();
        io.answer(outcome, if is_both { read } else { data });
    }

    /// Submits a raw command; there is room for it. One that belongs to another login than the present
    /// one is dropped, and so is who waits for it: kept, it would go out first in the next login, to
    /// whoever answers there.
    fn start_raw(&mut self, mut io: RawIo) {
        let is_moot = |urgent: Urgent| urgent.login != self.login || !self.core.is_up();
        if io.urgent.is_some_and(is_moot) {
            return;
        }
        let (command, data) = io.prepare(self.options.timeouts.command);
        let (now, core) = (self.now, &mut self.core);
        let submitted = match io.extended() {
            None => core.submit(now, command, 0),
            Some(extended) => core.submit_extended(now, command, extended, 0),
        };
        if let Ok(id) = submitted {
            let read = io.read_beside();
            self.slots.put(id, data, Owner::Raw(io));
            if let Some(read) = read {
                self.slots.put_read(id, vec![0; read as usize]);
            }
        }
    }

    /// Commands that a function is about to concern and that have not left yet end here: sent behind
    /// it, they would be carried out after all. Only those whose order the caller has chosen.
    pub(super) fn end_unsent(&mut self, request: &ManagementRequest) {
        let unit = match request.function {
            TmfFunction::AbortTaskSet
            | TmfFunction::ClearTaskSet
            | TmfFunction::LogicalUnitReset => Some(request.lun),
            TmfFunction::TargetWarmReset | TmfFunction::TargetColdReset => None,
            _ => return,
        };
        let is_meant = |lun: LunNumber| unit.is_none_or(|unit| unit == lun);
        let room = std::mem::take(&mut self.waiting.room);
        for message in room {
            match message {
                Message::Raw(io) if io.tag.is_some() && is_meant(io.request.lun) => {
                    io.answer(Outcome::Aborted, Vec::new());
                }
                other => self.waiting.room.push_back(other),
            }
        }
        for (id, lun) in self.slots.all_tagged() {
            if is_meant(lun) {
                self.core.abort_unsent(id);
            }
        }
    }

    /// ABORT TASK of a raw command. One that was not sent ends here.
    fn abort_raw(&mut self, tag: u64, reply: oneshot::Sender<Result<u8, SessionError>>) {
        let has_tag =
            |message: &Message| matches!(message, Message::Raw(io) if io.tag == Some(tag));
        let waits = self.waiting.room.iter().position(has_tag);
        if let Some(Message::Raw(io)) = waits.and_then(|at| self.waiting.room.remove(at)) {
            io.answer(Outcome::Aborted, Vec::new());
            drop(reply.send(Ok(TmfResponse::Complete.code())));
            return;
        }
        match self.slots.tagged(tag) {
            None => drop(reply.send(Ok(TmfResponse::TaskDoesNotExist.code()))),
            Some((id, _)) if self.core.abort_unsent(id) => {
                drop(reply.send(Ok(TmfResponse::Complete.code())));
            }
            Some((id, lun)) => {
                let function = TmfFunction::AbortTask;
                let request = ManagementRequest { function, lun };
                self.manage(request, Some(id), reply);
            }
        }
    }

    /// Submits a block request, or parks it; there is room for it.
    fn start_block(&mut self, mut io: BlockIo) {
        match io.lun.standing() {
            Standing::Known => {}
            Standing::Wrong => return self.refuse_wrong_disk(io),
            // Before the gate is open the core holds it.
            Standing::Doubted(since) if self.gate_is_open() => return self.park_doubted(io, since),
            Standing::Doubted(_) => {}
        }
        if !reserve(&mut io) {
            if io.lun.unflushed().begin_own_flush() {
                self.start_next(BlockIo::own_flush(&io.lun));
            }
            return self.waiting.parked.push_back(io);
        }
        let prepared = prepare(&mut io, self.options.timeouts.command);
        match self.core.submit(self.now, prepared.command, 0) {
            Ok(id) => self.slots.put(id, prepared.data, Owner::Block(io)),
            Err(full) => {
                // Callers have asked for room, so this does not happen.
                io.take_back(prepared.data);
                self.release(&mut io);
                tracing::error!(%full, "a request found no room");
                self.waiting.room.push_front(Message::Block(io));
            }
        }
    }

    /// What was reserved for the change of an ended request is free again.
    pub(super) fn release(&mut self, io: &mut BlockIo) {
        let reserved = std::mem::take(&mut io.reserved);
        if reserved > 0 {
            io.lun.unflushed().release(reserved);
            self.waiting.look_at_parked();
        }
    }

    /// Its disk has to be checked first: it waits, as it would for a lost connection.
    pub(super) fn park_doubted(&mut self, io: BlockIo, since: Instant) {
        let until = self.held_until(since);
        if until.is_some_and(|until| until <= self.now) {
            let text = io
                .lun
                .describe("the disk has not said who it is for longer than the hold time");
            let error = BlockError::new(ErrorKind::Disconnected, text);
            return self.complete(io, Err(error));
        }
        let earliest = [self.waiting.parked_until, until]
            .into_iter()
            .flatten()
            .min();
        self.waiting.parked_until = earliest;
        self.waiting.parked.push_back(io);
    }

    /// When requests that wait since `since` have waited too long.
    fn held_until(&self, since: Instant) -> Option<Instant> {
        match self.options.hold {
            Hold::Forever => None,
            Hold::For(limit) => since.checked_add(limit),
        }
    }

    /// Parked requests are looked at again when the first of them has waited too long.
    pub(super) fn look_at_overdue(&mut self) {
        let until = self.waiting.parked_until;
        if until.is_some_and(|until| until <= self.now) {
            self.waiting.parked_until = None;
            self.waiting.look_at_parked();
        }
    }

    /// Starts parked requests that may go now; the others are parked again, in their order.
    fn start_parked(&mut self) -> bool {
        if !std::mem::take(&mut self.waiting.may_go) {
            return false;
        }
        let spare = std::mem::take(&mut self.waiting.spare);
        let mut parked = std::mem::replace(&mut self.waiting.parked, spare);
        self.waiting.parked_until = None;
        let mut moved = false;
        while self.core.has_room()
            && let Some(io) = parked.pop_front()
        {
            self.start_block(io);
            moved = true;
        }
        // For these there was no room.
        self.waiting.may_go |= !parked.is_empty();
        self.waiting.parked.append(&mut parked);
        self.waiting.spare = parked;
        moved
    }

    /// A flush of our own has failed because there is no session: so do the changes that wait for it.
    pub(super) fn fail_parked(&mut self, lun: &Arc<LunState>, error: &BlockError) {
        let spare = std::mem::take(&mut self.waiting.spare);
        let mut parked = std::mem::replace(&mut self.waiting.parked, spare);
        while let Some(io) = parked.pop_front() {
            if Arc::ptr_eq(&io.lun, lun) && cost(&io) > 0 {
                io.request.complete(Err(error.clone()));
            } else {
                self.waiting.parked.push_back(io);
            }
        }
        self.waiting.spare = parked;
    }
}

/// What keeping the change of a request costs: nothing, unless it goes to a volatile cache.
fn cost(io: &BlockIo) -> usize {
    let cost = Unflushed::cost(io.request.operation, io.request.buffer.len());
    if cost == 0 || io.stage != Stage::Main || !io.lun.geometry().volatile_cache {
        return 0;
    }
    cost
}

/// Makes room for keeping the change of a request; `false` when there is none.
fn reserve(io: &mut BlockIo) -> bool {
    let cost = cost(io);
    if cost == 0 {
        return true;
    }
    let fits = io.lun.unflushed().reserve(cost);
    io.reserved = if fits { cost } else { 0 };
    fits
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use hawser_proto::names::{IscsiName, Isid, Portal};
    use hawser_proto::pdu::TaskAttribute;
    use hawser_scsi::Cdb;
    use tokio::sync::oneshot::error::TryRecvError;
    use tokio::sync::{oneshot, watch};

    use super::super::{Inbox, ScsiRequest, SessionState, Shared, Transfer};
    use super::*;
    use crate::lun::OpenLuns;
    use crate::options::{LoginOptions, SessionOptions};

    /// A driver of a session that has no connection.
    fn down() -> Driver {
        let name = |text| IscsiName::parse(text).unwrap();
        let target = name("iqn.2026-11.test.hawser:target");
        let login = LoginOptions::new(name("iqn.2026-11.test.hawser:initiator"));
        let portal: std::net::SocketAddr = "127.0.0.1:3260".parse().unwrap();
        let isid = Isid::from_random([1, 2, 3, 4, 5]);
        let shared = Shared {
            target: target.clone(),
            inbox: Inbox::default(),
            counters: Default::default(),
            members: crate::session::Members::default(),
            luns: OpenLuns::default(),
            state: watch::channel(SessionState::Connecting { last_failure: None }).0,
            events: Default::default(),
            parting: watch::Sender::new(0),
        };
        let options = SessionOptions::new(login, target, Portal::from(portal), isid);
        Driver::new(options, Arc::new(shared))
    }

    /// It would go out first in the next login, before anybody knows who answers there.
    #[tokio::test]
    async fn a_command_of_a_check_is_not_kept_for_the_next_login() {
        let mut driver = down();
        let (reply, mut answer) = oneshot::channel();
        driver.shared.inbox.send(Message::Raw(RawIo {
            request: ScsiRequest {
                lun: LunNumber::ZERO,
                cdb: Cdb::test_unit_ready(),
                transfer: Transfer::None,
            },
            cdb_rest: Box::default(),
            attribute: TaskAttribute::Simple,
            tag: None,
            urgent: Some(Urgent {
                login: driver.login,
                after_login: true,
            }),
            reply,
        }));
        let cx = Context::from_waker(Waker::noop());
        while driver.poll_messages(&cx) {}
        assert_eq!(answer.try_recv().unwrap_err(), TryRecvError::Closed);
        assert!(driver.slots.urgent().is_empty());
    }
}
