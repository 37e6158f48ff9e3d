//! What comes: each PDU judged against the task and the connection it belongs to.

use std::time::Instant;

use super::connection::{Burst, Connection, Incoming, Pong};
use super::event::{Answer, ConnectionError, Event, Outcome, PeerMisbehaved, Residual};
use super::talk::Talk;
use super::task::{Kind, State, TaskId};
use super::transmit::TaskBuffers;
use super::{Session, recovery::Phase};
use crate::pdu::{
    AsyncEvent, AsyncMessage, BasicHeader, Bhs, DataIn, FromTarget, LogoutReason, LogoutResponse,
    NIL, NopIn, Pdu, R2t, Reject, RejectReason, ScsiResponse, SequenceNumbers,
    TaskManagementResponse,
};
use crate::serial::Serial;

/// The longest data segment that is collected rather than placed: sense data, text, a rejected
/// header. The largest sense data is 252 bytes and a rejected header 48; text may fill a segment.
const MAX_COLLECTED: u32 = 64 * 1024;

/// Pings of the target that wait to be answered; one that sends more without reading our answers
/// gets only these.
const MAX_PONGS: usize = 64;

/// CmdSNs of rejected commands that wait to be filled in: a target that rejects more without taking
/// what fills them in is given up.
const MAX_PLUGS: usize = 4096;

const CHECK_CONDITION: u8 = 2;

/// Where payload can be read to without a copy: see [`Session::direct_read`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectRead {
    /// The slot of the task.
    pub slot: u16,
    /// Offset in its buffer, in bytes.
    pub offset: usize,
    /// Bytes that may be read there.
    pub len: usize,
}

impl Session {
    /// The place in a task's buffer where the next bytes of the stream belong, if they are payload
    /// of a Data-In. A driver that reads there tells by [`handle_direct`](Self::handle_direct).
    #[must_use]
    pub fn direct_read(&self, cid: u16) -> Option<DirectRead> {
        let connection = self.connections.get(self.index(cid)?)?;
        let len = connection.receiver.payload_missing();
        let Incoming::Task { slot, offset } = connection.incoming else {
            return None;
        };
        let offset = (offset + connection.receiver.payload_offset()) as usize;
        (len > 0).then_some(DirectRead { slot, offset, len })
    }

    /// `read` bytes were put where [`direct_read`](Self::direct_read) said. Call
    /// [`handle_input`](Self::handle_input) afterwards, with what was read beyond them or nothing.
    pub fn handle_direct<B: TaskBuffers>(&mut self, cid: u16, read: usize, buffers: &mut B) {
        let Some(place) = self.direct_read(cid) else {
            return;
        };
        let Some(index) = self.index(cid) else { return };
        let end = place.offset + read.min(place.len);
        let bytes = buffers
            .incoming(place.slot)
            .get(place.offset..end)
            .unwrap_or_default();
        if let Some(connection) = self.connections.get_mut(index) {
            self.counters.wire_bytes_received += bytes.len() as u64;
            connection.receiver.payload_in_place(bytes);
        }
    }

    /// Takes bytes of the stream of connection `cid`, however they are split. Payload among them is
    /// copied to where it belongs.
    ///
    /// # Errors
    /// Why the connection cannot go on; give it to
    /// [`handle_connection_lost`](Self::handle_connection_lost).
    pub fn handle_input<B: TaskBuffers>(
        &mut self,
        now: Instant,
        cid: u16,
        mut input: &[u8],
        buffers: &mut B,
    ) -> Result<(), ConnectionError> {
        use crate::stream::Item;
        let Some(index) = self.index(cid) else {
            return Ok(());
        };
        self.counters.wire_bytes_received += input.len() as u64;
        loop {
            let Some(connection) = self.connections.get_mut(index) else {
                return Ok(());
            };
            connection.last_heard = now;
            match connection.receiver.next(&mut input)? {
                None => return Ok(()),
                Some(Item::Header(bhs)) => {
                    self.counters.pdus_received += 1;
                    connection.header = bhs;
                    let incoming = self.place(index, &bhs)?;
                    if let Some(connection) = self.connections.get_mut(index) {
                        connection.incoming = incoming;
                    }
                }
                Some(Item::Data { offset, bytes }) => {
                    connection.take_payload(offset, bytes, buffers);
                }
                Some(Item::End { digest_ok: true }) => self.handle_pdu(now, index)?,
                Some(Item::End { digest_ok: false }) => {
                    return Err(ConnectionError::DataDigest);
                }
            }
        }
    }

    /// Says where the payload of the PDU that begins with `bhs` goes.
    fn place(&mut self, index: usize, bhs: &Bhs) -> Result<Incoming, ConnectionError> {
        let length = BasicHeader::from_bhs(bhs).data_segment_length();
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(Incoming::Discard);
        };
        connection.collected.clear();
        let FromTarget::DataIn(pdu) = FromTarget::parse(bhs)? else {
            if length > MAX_COLLECTED {
                return Err(PeerMisbehaved::ExcessData(length).into());
            }
            return Ok(Incoming::Collect);
        };
        let (cid, in_order) = (connection.cid, connection.parameters.in_order());
        let itt = pdu.itt.get();
        let Some(task) = self
            .tasks
            .find(TaskId::from_itt(itt))
            .filter(|t| t.ended.is_none())
        else {
            self.late(itt)?;
            return Ok(Incoming::Discard);
        };
        if !task.is_sent_on(cid) || !task.is_read() {
            return Err(PeerMisbehaved::WrongTask(itt).into());
        }
        if pdu.has_status() && pdu.status == CHECK_CONDITION {
            return Err(PeerMisbehaved::CheckConditionInData.into());
        }
        let (offset, expected) = (pdu.buffer_offset.get(), task.read_length());
        if offset.checked_add(length).is_none_or(|end| end > expected) {
            return Err(PeerMisbehaved::DataOutOfBounds {
                offset,
                length,
                expected,
            }
            .into());
        }
        if in_order && offset != task.received {
            let expected = task.received;
            return Err(PeerMisbehaved::DataOutOfOrder {
                got: offset,
                expected,
            }
            .into());
        }
        if pdu.data_sn.get() != task.next_data_sn {
            let (got, expected) = (pdu.data_sn.get(), task.next_data_sn);
            return Err(PeerMisbehaved::DataSnGap { got, expected }.into());
        }
        Ok(Incoming::Task {
            slot: TaskId::from_itt(itt).slot(),
            offset,
        })
    }

    /// A tag that names no living task: a task that was ended by a management function may still be
    /// answered (RFC 7143 §4.2.3.3), anything else is an offence.
    pub(super) fn late(&mut self, itt: u32) -> Result<(), PeerMisbehaved> {
        let id = TaskId::from_itt(itt);
        if self.tasks.has_been(id) || self.tasks.find(id).is_some_and(|t| t.ended.is_some()) {
            return Ok(());
        }
        Err(PeerMisbehaved::UnknownTask(itt))
    }

    fn handle_pdu(&mut self, now: Instant, index: usize) -> Result<(), ConnectionError> {
        let Some(connection) = self.connections.get(index) else {
            return Ok(());
        };
        let bhs = connection.header;
        let pdu = FromTarget::parse(&bhs)?;
        let SequenceNumbers {
            exp_cmd_sn,
            max_cmd_sn,
            ..
        } = pdu.sequence_numbers();
        if !matches!(pdu, FromTarget::LoginResponse(_)) {
            self.window.update(Serial(exp_cmd_sn), Serial(max_cmd_sn));
        }
        match pdu {
            FromTarget::DataIn(pdu) => self.handle_data_in(index, pdu),
            FromTarget::ScsiResponse(pdu) => self.handle_scsi_response(index, pdu),
            FromTarget::R2t(pdu) => self.handle_r2t(index, pdu),
            FromTarget::NopIn(pdu) => self.handle_nop_in(index, pdu),
            FromTarget::TaskManagementResponse(pdu) => self.handle_tmf_response(now, index, pdu),
            FromTarget::TextResponse(pdu) => self.handle_text_response(index, pdu),
            FromTarget::LogoutResponse(pdu) => self.handle_logout_response(index, pdu),
            FromTarget::AsyncMessage(pdu) => self.handle_async(now, index, pdu),
            FromTarget::Reject(pdu) => self.handle_reject(now, index, pdu),
            FromTarget::LoginResponse(_) => Err(PeerMisbehaved::LoginResponseAfterLogin.into()),
        }
    }

    pub(super) fn consume_stat_sn(
        &mut self,
        index: usize,
        stat_sn: u32,
    ) -> Result<(), PeerMisbehaved> {
        let connection = self.connections.get_mut(index);
        connection.map_or(Ok(()), |connection| connection.consume_stat_sn(stat_sn))
    }

    fn handle_data_in(&mut self, index: usize, pdu: &DataIn) -> Result<(), ConnectionError> {
        if pdu.has_status() {
            self.consume_stat_sn(index, pdu.stat_sn.get())?;
        }
        let id = TaskId::from_itt(pdu.itt.get());
        let Some(task) = self.tasks.find(id).filter(|task| task.ended.is_none()) else {
            return Ok(());
        };
        // `place` has checked that this does not pass the expected length.
        task.received = task.received.saturating_add(pdu.data_segment_length());
        task.next_data_sn = task.next_data_sn.wrapping_add(1);
        task.data_pdus = task.data_pdus.wrapping_add(1);
        if pdu.has_status() {
            let expected = task.read_length();
            let residual = residual(pdu.overflow(), pdu.underflow(), pdu.residual_count.get());
            let transferred = transferred(expected, task.received.min(expected), residual);
            let sense = Box::default();
            let answer = Answer {
                status: pdu.status,
                transferred,
                residual,
                sense,
            };
            self.finish(id.slot(), Outcome::Completed(answer));
        }
        Ok(())
    }

    fn handle_scsi_response(
        &mut self,
        index: usize,
        pdu: &ScsiResponse,
    ) -> Result<(), ConnectionError> {
        self.consume_stat_sn(index, pdu.stat_sn.get())?;
        let itt = pdu.itt.get();
        let id = TaskId::from_itt(itt);
        let Some(connection) = self.connections.get(index) else {
            return Ok(());
        };
        let Some(task) = self.tasks.find(id).filter(|task| task.ended.is_none()) else {
            return Ok(self.late(itt)?);
        };
        if !task.is_sent_on(connection.cid) || task.command().is_none() {
            return Err(PeerMisbehaved::WrongTask(itt).into());
        }
        if pdu.response_code != 0 {
            self.finish(
                id.slot(),
                Outcome::TargetFailure {
                    response: pdu.response_code,
                },
            );
            return Ok(());
        }
        let (counted, received) = (pdu.exp_data_sn.get(), task.data_pdus);
        if task.read_length() > 0 && counted > received {
            return Err(PeerMisbehaved::DataCountWrong { counted, received }.into());
        }
        let residual = residual(pdu.overflow(), pdu.underflow(), pdu.residual_count.get());
        let transferred = match task.read_length() {
            0 => transferred(task.write_length(), task.write_length(), residual),
            expected => transferred(expected, task.received.min(expected), residual),
        };
        // A SenseLength of 0 is the target's loss alone; an empty segment is a format error.
        if pdu.status == CHECK_CONDITION && connection.collected.is_empty() {
            return Err(PeerMisbehaved::NoSense.into());
        }
        let sense = sense_data(&connection.collected);
        let answer = Answer {
            status: pdu.status,
            transferred,
            residual,
            sense,
        };
        self.finish(id.slot(), Outcome::Completed(answer));
        Ok(())
    }

    fn handle_r2t(&mut self, index: usize, pdu: &R2t) -> Result<(), ConnectionError> {
        let itt = pdu.itt.get();
        let id = TaskId::from_itt(itt);
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        connection.compare_stat_sn(pdu.stat_sn.get())?;
        let Some(task) = self.tasks.find(id).filter(|task| task.ended.is_none()) else {
            return Ok(self.late(itt)?);
        };
        if !task.is_sent_on(connection.cid) || task.write_length() == 0 {
            return Err(PeerMisbehaved::WrongTask(itt).into());
        }
        if let Some(command) = task.command().filter(|command| command.lun != pdu.lun) {
            let (got, expected) = (pdu.lun, command.lun);
            return Err(PeerMisbehaved::WrongLun { got, expected }.into());
        }
        let (got, expected) = (pdu.r2t_sn.get(), task.next_data_sn);
        if got != expected {
            return Err(PeerMisbehaved::R2tSnGap { got, expected }.into());
        }
        let (offset, length) = (pdu.buffer_offset.get(), pdu.desired_length.get());
        let end = offset
            .checked_add(length)
            .filter(|&end| end <= task.write_length());
        let Some(end) = end.filter(|_| length <= connection.parameters.max_burst) else {
            return Err(PeerMisbehaved::R2tOutOfBounds { offset, length }.into());
        };
        if task.open_r2ts >= connection.parameters.max_outstanding_r2t {
            return Err(PeerMisbehaved::TooManyR2ts.into());
        }
        task.next_data_sn = task.next_data_sn.wrapping_add(1);
        task.open_r2ts += 1;
        let (lun, ttt) = (pdu.lun, pdu.ttt.get());
        connection.bursts.push_back(Burst {
            task: id,
            lun,
            ttt,
            offset,
            end,
            data_sn: 0,
        });
        Ok(())
    }

    fn handle_nop_in(&mut self, index: usize, pdu: &NopIn) -> Result<(), ConnectionError> {
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        if pdu.itt.get() == NIL {
            connection.compare_stat_sn(pdu.stat_sn.get())?;
            if pdu.wants_answer() && connection.pongs.len() < MAX_PONGS {
                connection.pongs.push_back(Pong {
                    lun: pdu.lun,
                    ttt: pdu.ttt.get(),
                });
            }
            return Ok(());
        }
        connection.consume_stat_sn(pdu.stat_sn.get())?;
        self.end_own_request(pdu.itt.get(), |kind| matches!(kind, Kind::Ping { .. }))?;
        Ok(())
    }

    /// Ends a request of our own that was answered, if it is what the answer is for; `false` when
    /// the answer is late.
    fn end_own_request(
        &mut self,
        itt: u32,
        fits: impl Fn(&Kind) -> bool,
    ) -> Result<bool, ConnectionError> {
        let id = TaskId::from_itt(itt);
        match self.tasks.find(id) {
            None => Ok(self.late(itt).map(|()| false)?),
            Some(task) if fits(&task.kind) && task.state != State::Ready => {
                self.finish(id.slot(), Outcome::Answered);
                Ok(true)
            }
            Some(_) => Err(PeerMisbehaved::WrongTask(itt).into()),
        }
    }

    fn handle_tmf_response(
        &mut self,
        now: Instant,
        index: usize,
        pdu: &TaskManagementResponse,
    ) -> Result<(), ConnectionError> {
        self.consume_stat_sn(index, pdu.stat_sn.get())?;
        let itt = pdu.itt.get();
        let id = TaskId::from_itt(itt);
        match self
            .tasks
            .find(id)
            .map(|task| (task.kind.clone(), task.state))
        {
            None => self.late(itt)?,
            Some((Kind::Management(request), State::Sent { cmd_sn, .. })) => {
                self.managed(now, id.slot(), request, cmd_sn, pdu.response_code);
            }
            Some(_) => return Err(PeerMisbehaved::WrongTask(itt).into()),
        }
        Ok(())
    }

    /// The connection is logged out: the target closes it, and so do we.
    fn handle_logout_response(
        &mut self,
        index: usize,
        pdu: &LogoutResponse,
    ) -> Result<(), ConnectionError> {
        self.consume_stat_sn(index, pdu.stat_sn.get())?;
        if !self.end_own_request(pdu.itt.get(), |kind| matches!(kind, Kind::Logout { .. }))? {
            return Ok(());
        }
        if let Some(connection) = self.connections.get_mut(index) {
            connection.logged_out = true;
        }
        if matches!(self.phase, Phase::LoggingOut { .. }) {
            self.close();
            return Ok(());
        }
        self.announce(pdu.time2wait.get(), pdu.time2retain.get());
        Err(ConnectionError::Announced(AsyncEvent::LogoutRequest.code()))
    }

    fn handle_async(
        &mut self,
        now: Instant,
        index: usize,
        pdu: &AsyncMessage,
    ) -> Result<(), ConnectionError> {
        self.consume_stat_sn(index, pdu.stat_sn.get())?;
        let Some(connection) = self.connections.get(index) else {
            return Ok(());
        };
        let event = pdu.event();
        if event == Ok(AsyncEvent::Scsi) {
            let sense = sense_data(&connection.collected);
            self.events.push_back(Event::AsyncSense {
                lun: pdu.lun,
                sense,
            });
            return Ok(());
        }
        let parameters = [
            pdu.parameter1.get(),
            pdu.parameter2.get(),
            pdu.parameter3.get(),
        ];
        self.events.push_back(Event::AsyncNotice {
            event: pdu.event_code,
            parameters,
        });
        match event {
            Ok(AsyncEvent::LogoutRequest) => self.leave(now)?,
            Ok(event @ (AsyncEvent::ConnectionDrop | AsyncEvent::SessionDrop)) => {
                self.announce(pdu.parameter2.get(), pdu.parameter3.get());
                return Err(ConnectionError::Announced(event.code()));
            }
            Ok(AsyncEvent::NegotiationRequest) => {
                let pending = self.tasks.iter().any(|(_, t)| matches!(t.kind, Kind::Text));
                if !pending && self.may_request() {
                    if let Some(connection) = self.connections.get_mut(index) {
                        connection.talk = Talk::default();
                    }
                    self.queue_immediate(now, Kind::Text);
                }
            }
            Ok(AsyncEvent::TaskTermination) => self.handle_termination(now, index, pdu.lun),
            _ => {}
        }
        Ok(())
    }

    /// The target ends all tasks of a logical unit (RFC 7143 §4.2.3.4, §11.9.1): their Data-Out stops,
    /// an acknowledgement goes out, no response comes. Only where FastAbort was agreed on; elsewhere
    /// the target may not say so, and the tasks are left to their answers.
    fn handle_termination(&mut self, now: Instant, index: usize, lun: [u8; 8]) {
        let agreed = |connection: &&mut Connection| connection.parameters.fast_abort;
        let Some(connection) = self.connections.get_mut(index).filter(agreed) else {
            return;
        };
        if connection.pongs.len() < MAX_PONGS {
            connection.pongs.push_back(Pong { lun, ttt: NIL });
        }
        for &slot in self.sent_commands(Some(lun), None).iter().rev() {
            self.end_or_repeat(now, slot, Outcome::Aborted);
        }
    }

    /// The target wants us gone (asynchronous event 1): log out of the connection at once; the
    /// session is made again after the pause that the logout response names.
    fn leave(&mut self, now: Instant) -> Result<(), ConnectionError> {
        if !self.may_request() {
            return Ok(());
        }
        self.gate_open = false;
        self.leaving = true;
        let reason = LogoutReason::CloseConnection;
        if self.queue_immediate(now, Kind::Logout { reason }) {
            Ok(())
        } else {
            Err(ConnectionError::Announced(AsyncEvent::LogoutRequest.code()))
        }
    }

    fn handle_reject(
        &mut self,
        now: Instant,
        index: usize,
        pdu: &Reject,
    ) -> Result<(), ConnectionError> {
        self.consume_stat_sn(index, pdu.stat_sn.get())?;
        let Some(connection) = self.connections.get(index) else {
            return Ok(());
        };
        let Some(victim) = connection.collected.first_chunk::<48>().copied() else {
            return Err(PeerMisbehaved::RejectWithoutHeader.into());
        };
        let victim = BasicHeader::from_bhs(&victim);
        let reason = pdu.reason_code;
        let id = TaskId::from_itt(victim.itt.get());
        let Some(task) = self.tasks.find(id).filter(|task| task.ended.is_none()) else {
            return Ok(());
        };
        let State::Sent { cmd_sn, .. } = task.state else {
            return Ok(());
        };
        // Only the rejection of the request itself ends a task; after that of a Data-Out a response
        // still comes (RFC 7143 §7.3).
        if !task.is_request(victim.opcode) {
            return Ok(());
        }
        if pdu.reason().is_ok_and(RejectReason::may_resend) && victim.is_immediate() {
            task.state = State::Ready;
            self.postponed.push_back(id.slot());
            return Ok(());
        }
        let kind = task.kind.clone();
        if let Kind::Management(request) = kind {
            self.managed(now, id.slot(), request, cmd_sn, REJECTED);
            return Ok(());
        }
        self.finish(id.slot(), Outcome::Rejected { reason });
        match kind {
            Kind::Scsi(_) => self.plug(cmd_sn),
            Kind::Ping { plug: Some(plug) } if !self.window.is_acknowledged(plug) => {
                Err(ConnectionError::WindowJammed)
            }
            Kind::Logout { .. } => self.leave_unheard(),
            _ => Ok(()),
        }
    }

    /// The CmdSN of a rejected command counts as not received: a ping takes its place, or the window
    /// jams (RFC 7143 §11.17.1). A target that counts it all the same says so by ExpCmdSN.
    fn plug(&mut self, cmd_sn: Serial) -> Result<(), ConnectionError> {
        if self.window.is_acknowledged(cmd_sn) {
            return Ok(());
        }
        if self.plugs.len() >= MAX_PLUGS {
            return Err(ConnectionError::WindowJammed);
        }
        self.plugs.push_back(cmd_sn);
        Ok(())
    }

    /// Our logout was rejected: the connection ends without it.
    fn leave_unheard(&mut self) -> Result<(), ConnectionError> {
        if matches!(self.phase, Phase::LoggingOut { .. }) {
            self.close();
            return Ok(());
        }
        Err(ConnectionError::Announced(AsyncEvent::LogoutRequest.code()))
    }
}

/// The response code that stands for a rejected management request (RFC 7143 §11.6.1).
const REJECTED: u8 = 255;

impl Connection {
    fn take_payload<B: TaskBuffers>(&mut self, offset: u32, bytes: &[u8], buffers: &mut B) {
        match self.incoming {
            Incoming::Task { slot, offset: base } => {
                let start = (base + offset) as usize;
                let to = buffers.incoming(slot).get_mut(start..start + bytes.len());
                if let Some(to) = to {
                    to.copy_from_slice(bytes);
                }
            }
            // Bounded: `place` has checked the length of the segment.
            Incoming::Collect => self.collected.extend_from_slice(bytes),
            Incoming::Discard => {}
        }
    }
}

/// Sense data behind its two-byte length (RFC 7143 §11.4.7); a length beyond the segment is cut.
fn sense_data(segment: &[u8]) -> Box<[u8]> {
    let Some((length, rest)) = segment.split_first_chunk::<2>() else {
        return Box::default();
    };
    let length = usize::from(u16::from_be_bytes(*length));
    rest.get(..length).unwrap_or(rest).into()
}

fn residual(overflow: bool, underflow: bool, count: u32) -> Residual {
    match (overflow, underflow) {
        (true, _) => Residual::Overflow(count),
        (_, true) => Residual::Underflow(count),
        _ => Residual::None,
    }
}

/// Valid bytes: what came, but never more than the residual leaves.
fn transferred(expected: u32, moved: u32, residual: Residual) -> u32 {
    match residual {
        Residual::Underflow(short) => moved.min(expected.saturating_sub(short)),
        Residual::None | Residual::Overflow(_) => moved,
    }
}
