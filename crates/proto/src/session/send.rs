//! What leaves: PDUs in the order that the numbers and the target's requests demand.

use std::time::Instant;

use super::connection::{Burst, Connection, Reply};
use super::event::Outcome;
use super::extended::Extended;
use super::reassign::reserved_lun;
use super::task::{Kind, State, Task, TaskId};
use super::transmit::{Payload, TaskBuffers, Transmit};
use super::{Command, Direction, Management, Session};
use crate::pdu::{
    DataDirection, DataOut, LogoutReason, LogoutRequest, NIL, NO_LUN, NopOut, Request, ScsiCommand,
    TaskManagementRequest, TextRequest, TmfFunction,
};
use crate::serial::Serial;

impl Session {
    /// Fills `out`, which must be empty, with what connection `cid` has to send now; `false` when
    /// that is nothing. CmdSN is taken here, at the moment of sending, so that a command that was
    /// only waiting never leaves a hole.
    pub fn poll_transmit<B: TaskBuffers>(
        &mut self,
        now: Instant,
        cid: u16,
        buffers: &B,
        out: &mut Transmit,
    ) -> bool {
        out.clear();
        let Some(index) = self.index(cid) else {
            return false;
        };
        if self.connections.len() > 1 {
            self.weigh();
        }
        while out.has_room()
            && (self.send_reply(index, out)
                || self.send_immediate(now, index, out)
                || self.send_burst(index, buffers, out)
                || self.send_command(now, index, buffers, out))
        {}
        let Some(connection) = self.connections.get_mut(index) else {
            return false;
        };
        out.link = connection.link;
        for slot in out.referenced() {
            if let Some(task) = self.tasks.get_mut(slot) {
                task.in_batch += 1;
                connection.batched.push(slot);
            }
        }
        connection.writing = !out.is_empty();
        connection.writing
    }

    /// The batch is written completely, or its connection is gone and it goes nowhere: tasks that ended
    /// meanwhile are given back.
    pub fn transmit_done(&mut self, batch: &mut Transmit) {
        let (bytes, pdus) = batch.size();
        self.counters.wire_bytes_sent += bytes as u64;
        self.counters.pdus_sent += u64::from(pdus);
        let link = batch.link;
        if let Some(connection) = self.connections.iter_mut().find(|c| c.link == link) {
            connection.writing = false;
            connection.batched.clear();
            connection.traffic.bytes_sent += bytes as u64;
            connection.traffic.pdus_sent += u64::from(pdus);
            for slot in batch.referenced() {
                self.unreference(slot);
            }
        }
        batch.clear();
    }

    fn send_reply(&mut self, index: usize, out: &mut Transmit) -> bool {
        let cmd_sn = self.window.current();
        let Some(connection) = self.connections.get_mut(index) else {
            return false;
        };
        let Some(reply) = connection.replies.pop_front() else {
            return false;
        };
        let pong = match reply {
            Reply::Pong(pong) => pong,
            Reply::Snack(mut snack) => {
                snack.exp_stat_sn = connection.exp_stat_sn.into();
                out.push(connection.digests, &mut snack, &[]);
                return true;
            }
        };
        let mut pdu = NopOut::default();
        pdu.lun = pong.lun;
        pdu.ttt = pong.ttt.into();
        pdu.cmd_sn = cmd_sn.0.into();
        pdu.exp_stat_sn = connection.exp_stat_sn.into();
        out.push(connection.digests, &mut pdu, &[]);
        true
    }

    /// Management, pings, text and logout: immediate, so they need no window.
    fn send_immediate(&mut self, now: Instant, index: usize, out: &mut Transmit) -> bool {
        let Some(connection) = self.connections.get_mut(index) else {
            return false;
        };
        if connection.immediate.is_empty() && self.plugs.is_empty() {
            return false;
        }
        let (link, usable) = (connection.link, connection.is_usable());
        let queued = connection.immediate.pop_front();
        // Nothing new follows a logout (RFC 7143 §11.14).
        let plug = |session: &mut Self| usable.then(|| session.next_plug(now, link)).flatten();
        let Some(slot) = queued.or_else(|| plug(self)) else {
            return false;
        };
        let id = self.tasks.id(slot);
        let cmd_sn = self.window.current();
        let limit = self.config.management_timeout;
        let (Some(task), Some(connection)) =
            (self.tasks.get_mut(slot), self.connections.get_mut(index))
        else {
            return false;
        };
        task.state = State::Sent {
            link: connection.link,
            cmd_sn,
        };
        // A request that goes out once more has no more time for it.
        if task.deadline.is_some() && !std::mem::replace(&mut task.was_sent, true) {
            task.deadline = now.checked_add(limit);
        }
        match task.kind.clone() {
            Kind::Management(request) => self.send_management(now, index, id, request, out),
            Kind::Ping { plug } => send_ping(connection, id, cmd_sn, plug, out),
            Kind::Text => send_text(connection, id, cmd_sn, out),
            Kind::Logout { reason, cid } => self.send_logout(index, id, reason, cid, out),
            Kind::Scsi(_) => {}
        }
        true
    }

    /// Makes a ping that fills in the next CmdSN of a rejected command, if there is a slot for it.
    fn next_plug(&mut self, now: Instant, link: u16) -> Option<u16> {
        if self.plugs.is_empty() || !self.may_request() {
            return None;
        }
        while self
            .plugs
            .pop_front_if(|plug| self.window.is_acknowledged(*plug))
            .is_some()
        {}
        let plug = self.plugs.pop_front()?;
        let mut task = Task::new(0, Kind::Ping { plug: Some(plug) }, now);
        task.deadline = now.checked_add(self.config.management_timeout);
        task.home = link;
        let Some(id) = self.tasks.insert(task) else {
            self.plugs.push_front(plug);
            return None;
        };
        self.watch(now);
        Some(id.slot())
    }

    fn send_management(
        &mut self,
        now: Instant,
        index: usize,
        id: TaskId,
        request: Management,
        out: &mut Transmit,
    ) {
        let cmd_sn = self.window.current();
        let lun = reserved_lun(request.function).unwrap_or(request.lun);
        let mut pdu = TaskManagementRequest::new(id.itt(), request.function, lun);
        pdu.set_immediate(true);
        if let Some(referenced) = request.referenced() {
            let Some((task_lun, task_sn)) = self.live_command(referenced) else {
                // It ended while the request waited.
                self.managing = None;
                self.finish(id.slot(), Outcome::Managed { response: 1 });
                self.next_management(now);
                return;
            };
            pdu.lun = reserved_lun(request.function).unwrap_or(task_lun);
            pdu.referenced_task_tag = referenced.itt().into();
            if request.function == TmfFunction::TaskReassign {
                pdu.exp_data_sn = self.data_to_resume(referenced).into();
            } else {
                pdu.ref_cmd_sn = task_sn.0.into();
                self.adopt_orphan(referenced, index);
            }
        }
        pdu.cmd_sn = cmd_sn.0.into();
        let Some(connection) = self.connections.get(index) else {
            return;
        };
        pdu.exp_stat_sn = connection.exp_stat_sn.into();
        out.push(connection.digests, &mut pdu, &[]);
        self.counters.management_functions += 1;
        if request.ends_groups() {
            self.begin_group_function(index, &request);
        }
    }

    /// One Data-Out PDU of the oldest burst.
    fn send_burst<B: TaskBuffers>(
        &mut self,
        index: usize,
        buffers: &B,
        out: &mut Transmit,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(index) else {
            return false;
        };
        let Some(burst) = connection.bursts.front_mut() else {
            return false;
        };
        let alive = self
            .tasks
            .find(burst.task)
            .filter(|task| task.ended.is_none() && task.is_sent_on(connection.link));
        let Some(task) = alive else {
            connection.bursts.pop_front();
            return true;
        };
        let limit = segment_limit(connection.parameters.max_send_data_segment);
        let len = (burst.end - burst.offset).min(limit);
        let last = burst.offset + len == burst.end;
        let mut pdu = DataOut::unsolicited(burst.task.itt());
        pdu.lun = burst.lun;
        pdu.ttt = burst.ttt.into();
        pdu.exp_stat_sn = connection.exp_stat_sn.into();
        pdu.data_sn = burst.data_sn.into();
        pdu.buffer_offset = burst.offset.into();
        pdu.set_final(last);
        let (slot, offset) = (burst.task.slot(), burst.offset as usize);
        let payload = Payload {
            slot,
            offset,
            len: len as usize,
        };
        out.push_payload(connection.digests, &mut pdu, payload, buffers);
        burst.offset += len;
        burst.data_sn = burst.data_sn.wrapping_add(1);
        if last {
            if burst.ttt != NIL {
                task.open_r2ts = task.open_r2ts.saturating_sub(1);
            }
            connection.bursts.pop_front();
        }
        true
    }

    /// The next urgent command; one that writes waits until no earlier write can come in between.
    fn next_urgent(&mut self) -> Option<u16> {
        if self.ghosts.is_empty() {
            return self.urgent.pop_front();
        }
        let (tasks, urgent) = (&mut self.tasks, &mut self.urgent);
        let harmless = |&slot: &u16| {
            let task = tasks.get_mut(slot);
            task.is_none_or(|task| task.write_length() == 0)
        };
        let at = urgent.iter().position(harmless)?;
        urgent.remove(at)
    }

    /// The next command, if the window and the gate let it out.
    fn send_command<B: TaskBuffers>(
        &mut self,
        now: Instant,
        index: usize,
        buffers: &B,
        out: &mut Transmit,
    ) -> bool {
        let Some((slot, numbered)) = self.next_command(now, index) else {
            return false;
        };
        let id = self.tasks.id(slot);
        let (Some(task), Some(connection)) =
            (self.tasks.get_mut(slot), self.connections.get_mut(index))
        else {
            return true;
        };
        let Kind::Scsi(command) = &task.kind else {
            return true;
        };
        let cmd_sn = numbered.unwrap_or_else(|| self.window.take());
        task.state = State::Sent {
            link: connection.link,
            cmd_sn,
        };
        task.deadline = now.checked_add(command.timeout);
        let extended = task.extended();
        push_command(connection, (id, cmd_sn), command, extended, buffers, out);
        connection.traffic.commands += 1;
        self.counters.commands += 1;
        true
    }

    /// The command that this connection sends next, and its number if it has one.
    #[inline]
    fn next_command(&mut self, now: Instant, index: usize) -> Option<(u16, Option<Serial>)> {
        if !self.may_request() {
            return None;
        }
        if !self.retries.is_empty()
            && let Some((slot, cmd_sn)) = self.next_retry(now, index)
        {
            return Some((slot, Some(cmd_sn)));
        }
        if !self.window.is_open() || !self.may_take(index) {
            return None;
        }
        let gated = !self.commands_may_leave();
        let next = self.next_urgent();
        let next = next.or_else(|| if gated { None } else { self.ready.pop_front() });
        next.map(|slot| (slot, None))
    }

    /// The connection takes new commands now: alone always, and among several when it is its turn.
    #[inline]
    fn may_take(&mut self, index: usize) -> bool {
        if !self
            .connections
            .get(index)
            .is_some_and(Connection::is_usable)
        {
            return false;
        }
        // A turn is not used up by a command that is not there.
        self.connections.len() == 1
            || ((!self.urgent.is_empty() || !self.ready.is_empty()) && self.takes(index))
    }

    /// A command that goes out again with the number it has, which lies in the window
    /// (RFC 7143 §7.2.1): one that is allegiant to no connection, or to this one.
    #[cold]
    fn next_retry(&mut self, now: Instant, index: usize) -> Option<(u16, Serial)> {
        let connection = self.connections.get(index).filter(|c| c.is_usable())?;
        let link = connection.link;
        loop {
            let may_go = |task: &Task| task.home == 0 || task.home == link;
            let at = self
                .retries
                .iter()
                .position(|&slot| self.tasks.get(slot).is_none_or(may_go))?;
            let slot = self.retries.remove(at)?;
            let Some(State::Numbered { cmd_sn }) = self.tasks.get(slot).map(|task| task.state)
            else {
                continue;
            };
            if !self.window.is_acknowledged(cmd_sn) {
                return Some((slot, cmd_sn));
            }
            self.end_retry(now, slot, cmd_sn);
        }
    }

    /// A logout: of the session, of this connection, or of one that is lost, whose last ExpStatSN it
    /// then carries (RFC 7143 §11.14.4).
    fn send_logout(
        &mut self,
        index: usize,
        id: TaskId,
        reason: LogoutReason,
        cid: u16,
        out: &mut Transmit,
    ) {
        let lost = self.cleanups.iter().find(|cleanup| cleanup.cid == cid);
        let lost = lost.filter(|_| reason != LogoutReason::CloseSession);
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let exp_stat_sn = match lost {
            Some(lost) if connection.cid != cid => lost.gone.exp_stat_sn,
            _ => connection.exp_stat_sn,
        };
        let mut pdu = LogoutRequest::new(id.itt(), reason, cid);
        pdu.set_immediate(true);
        pdu.cmd_sn = self.window.current().0.into();
        pdu.exp_stat_sn = exp_stat_sn.into();
        out.push(connection.digests, &mut pdu, &[]);
    }
}

/// The longest data segment to send: a multiple of four, so that only the last one of a sequence
/// needs padding (RFC 7143 §11.7.7).
fn segment_limit(max_send_data_segment: u32) -> u32 {
    (max_send_data_segment & !3).max(512)
}

/// A SCSI Command PDU with its immediate data; queues its unsolicited Data-Out (RFC 7143 §11.3,
/// §13.10, §13.11).
#[inline]
fn push_command<B: TaskBuffers>(
    connection: &mut Connection,
    (id, cmd_sn): (TaskId, Serial),
    command: &Command,
    extended: Option<&Extended>,
    buffers: &B,
    out: &mut Transmit,
) {
    let (direction, edtl) = match command.direction {
        Direction::None => (DataDirection::None, 0),
        Direction::Read(length) => (DataDirection::Read, length),
        Direction::Write(length) if extended.is_some_and(Extended::reads) => {
            (DataDirection::Bidirectional, length)
        }
        Direction::Write(length) => (DataDirection::Write, length),
    };
    let mut pdu = ScsiCommand::new(id.itt(), command.lun, direction, edtl, command.cdb);
    pdu.set_attribute(command.attribute);
    pdu.cmd_sn = cmd_sn.0.into();
    pdu.exp_stat_sn = connection.exp_stat_sn.into();
    let write = if matches!(command.direction, Direction::Write(_)) {
        edtl
    } else {
        0
    };
    let parameters = &connection.parameters;
    let unsolicited = write.min(parameters.first_burst);
    let immediate = match parameters.immediate_data {
        true => unsolicited.min(segment_limit(parameters.max_send_data_segment)),
        false => 0,
    };
    let more_unsolicited = !parameters.initial_r2t && unsolicited > immediate;
    pdu.set_final(!more_unsolicited);
    let payload = Payload {
        slot: id.slot(),
        offset: 0,
        len: immediate as usize,
    };
    let digests = connection.digests;
    match extended {
        None => out.push_payload(digests, &mut pdu, payload, buffers),
        Some(more) => out.push_extended(digests, &mut pdu, more.headers(), payload, buffers),
    }
    if more_unsolicited {
        connection.bursts.push_back(Burst {
            task: id,
            lun: NO_LUN,
            ttt: NIL,
            offset: immediate,
            end: unsolicited,
            data_sn: 0,
        });
    }
}

/// Our ping: immediate, unless it fills in the CmdSN of a rejected command (RFC 7143 §11.17.1).
fn send_ping(
    connection: &Connection,
    id: TaskId,
    cmd_sn: Serial,
    plug: Option<Serial>,
    out: &mut Transmit,
) {
    let mut pdu = NopOut::ping(id.itt());
    pdu.set_immediate(plug.is_none());
    pdu.cmd_sn = plug.unwrap_or(cmd_sn).0.into();
    pdu.exp_stat_sn = connection.exp_stat_sn.into();
    out.push(connection.digests, &mut pdu, &[]);
}

fn send_text(connection: &Connection, id: TaskId, cmd_sn: Serial, out: &mut Transmit) {
    let mut pdu = TextRequest::new(id.itt());
    pdu.set_immediate(true);
    (pdu.ttt, pdu.lun) = (connection.talk.ttt.into(), connection.talk.lun);
    pdu.cmd_sn = cmd_sn.0.into();
    pdu.exp_stat_sn = connection.exp_stat_sn.into();
    out.push(connection.digests, &mut pdu, &connection.talk.answers);
}

impl Task {
    /// It is a ping of ours.
    pub(super) fn is_ping(&self) -> bool {
        matches!(self.kind, Kind::Ping { .. })
    }
}
