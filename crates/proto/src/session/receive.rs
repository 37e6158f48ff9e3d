//! What comes: each PDU judged against the task and the connection it belongs to.

use std::time::Instant;

use super::connection::{Connection, Incoming, Pong, Reply};
use super::event::{ConnectionError, Outcome, PeerMisbehaved};
use super::task::{Kind, State, TaskId};
use super::transmit::TaskBuffers;
use super::{Session, recovery::Phase};
use crate::pdu::{
    AsyncEvent, BasicHeader, Bhs, FromTarget, LogoutReason, LogoutResponse, NIL, NopIn, Opcode,
    Reject, RejectReason, SequenceNumbers, TaskManagementResponse, TmfFunction,
};
use crate::serial::Serial;

/// The longest data segment that is collected rather than placed: sense data, text, a rejected
/// header. The largest sense data is 252 bytes and a rejected header 48; text may fill a segment.
const MAX_COLLECTED: u32 = 64 * 1024;

/// Pings of the target that wait to be answered; one that sends more without reading our answers
/// gets only these.
pub(super) const MAX_PONGS: usize = 64;

/// CmdSNs of rejected commands that wait to be filled in: a target that rejects more without taking
/// what fills them in is given up.
const MAX_PLUGS: usize = 4096;

pub(super) const CHECK_CONDITION: u8 = 2;

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
            connection.traffic.bytes_received += bytes.len() as u64;
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
        let Some(mut index) = self.index(cid) else {
            return Ok(());
        };
        self.counters.wire_bytes_received += input.len() as u64;
        if let Some(connection) = self.connections.get_mut(index) {
            connection.traffic.bytes_received += input.len() as u64;
        }
        loop {
            let Some(connection) = self.connections.get_mut(index) else {
                return Ok(());
            };
            connection.last_heard = now;
            match connection.receiver.next(&mut input)? {
                None => return Ok(()),
                Some(Item::Header(bhs)) => {
                    self.counters.pdus_received += 1;
                    connection.traffic.pdus_received += 1;
                    connection.header = bhs;
                    let incoming = self.place(now, index, &bhs)?;
                    if let Some(connection) = self.connections.get_mut(index) {
                        connection.incoming = incoming;
                    }
                }
                Some(Item::Data { offset, bytes }) => {
                    connection.take_payload(offset, bytes, buffers);
                }
                Some(Item::End { digest_ok: true }) => {
                    self.handle_pdu(now, index)?;
                    if self.connections.len() > 1 {
                        self.check_partings(now);
                    }
                    // What it said may have cost another connection, or this one.
                    if self.connections.get(index).is_none_or(|c| c.cid != cid) {
                        let Some(at) = self.index(cid) else {
                            return Ok(());
                        };
                        index = at;
                    }
                }
                Some(Item::End { digest_ok: false }) => self.handle_damaged(now, index)?,
            }
        }
    }

    /// Says where the payload of the PDU that begins with `bhs` goes.
    fn place(
        &mut self,
        now: Instant,
        index: usize,
        bhs: &Bhs,
    ) -> Result<Incoming, ConnectionError> {
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
        let (link, in_order) = (connection.link, connection.parameters.in_order());
        let itt = pdu.itt.get();
        let Some(task) = self
            .tasks
            .find(TaskId::from_itt(itt))
            .filter(|t| t.ended.is_none())
        else {
            self.late(itt)?;
            return Ok(Incoming::Discard);
        };
        if !task.is_sent_on(link) || !task.is_read() {
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
        if pdu.data_sn.get() != task.next_data_sn || task.recovery.is_some() {
            if !self.place_out_of_turn(now, index, pdu)? {
                return Ok(Incoming::Discard);
            }
        } else if in_order && offset != task.received {
            let expected = task.received;
            return Err(PeerMisbehaved::DataOutOfOrder {
                got: offset,
                expected,
            }
            .into());
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
        // First what is 0 at most targets.
        if self.agreed_level > 0 && self.level() > 0 && !self.is_in_turn(index, &pdu) {
            return self.handle_recovering(now, index, &bhs);
        }
        self.dispatch(now, index, pdu)
    }

    /// Handles a PDU whose turn it is: [`dispatch`](Self::dispatch) for those who are seldom called, so
    /// that its body is in the hot path alone.
    #[cold]
    pub(super) fn handle_any(
        &mut self,
        now: Instant,
        index: usize,
        pdu: FromTarget<'_>,
    ) -> Result<(), ConnectionError> {
        self.dispatch(now, index, pdu)
    }

    #[inline(always)]
    fn dispatch(
        &mut self,
        now: Instant,
        index: usize,
        pdu: FromTarget<'_>,
    ) -> Result<(), ConnectionError> {
        match pdu {
            FromTarget::DataIn(pdu) => self.handle_data_in(index, pdu),
            FromTarget::ScsiResponse(pdu) => self.handle_scsi_response(index, pdu),
            FromTarget::R2t(pdu) => self.handle_r2t(now, index, pdu),
            FromTarget::NopIn(pdu) => self.handle_nop_in(now, index, pdu),
            FromTarget::TaskManagementResponse(pdu) => self.handle_tmf_response(now, index, pdu),
            FromTarget::TextResponse(pdu) => self.handle_text_response(index, pdu),
            FromTarget::LogoutResponse(pdu) => self.handle_logout_response(now, index, pdu),
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
        if let Some(connection) = self.connections.get_mut(index) {
            connection.consume_stat_sn(stat_sn)?;
        }
        if self.acknowledges_at_once {
            self.acknowledge_now(index);
        }
        Ok(())
    }

    fn handle_nop_in(
        &mut self,
        now: Instant,
        index: usize,
        pdu: &NopIn,
    ) -> Result<(), ConnectionError> {
        if pdu.itt.get() == NIL {
            self.told_stat_sn(now, index, pdu.stat_sn.get())?;
            let Some(connection) = self.connections.get_mut(index) else {
                return Ok(());
            };
            if pdu.wants_answer() && connection.replies.len() < MAX_PONGS {
                connection.replies.push_back(Reply::Pong(Pong {
                    lun: pdu.lun,
                    ttt: pdu.ttt.get(),
                }));
            }
            return Ok(());
        }
        self.consume_stat_sn(index, pdu.stat_sn.get())?;
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
            Some((Kind::Management(request), State::Sent { link, .. }))
                if request.function == TmfFunction::TaskReassign =>
            {
                self.managing = None;
                self.finish(id.slot(), Outcome::Answered);
                self.reassigned(now, request, link, pdu.response_code);
                self.next_management(now);
            }
            Some((Kind::Management(request), State::Sent { cmd_sn, .. })) => {
                self.managed(now, id.slot(), request, cmd_sn, pdu.response_code);
            }
            Some(_) => return Err(PeerMisbehaved::WrongTask(itt).into()),
        }
        Ok(())
    }

    /// A connection is logged out: the target closes it, and so do we; or one that was lost is cleaned
    /// up.
    fn handle_logout_response(
        &mut self,
        now: Instant,
        index: usize,
        pdu: &LogoutResponse,
    ) -> Result<(), ConnectionError> {
        self.consume_stat_sn(index, pdu.stat_sn.get())?;
        let itt = pdu.itt.get();
        let meant = self
            .tasks
            .find(TaskId::from_itt(itt))
            .map(|task| task.kind.clone());
        if !self.end_own_request(itt, |kind| matches!(kind, Kind::Logout { .. }))? {
            return Ok(());
        }
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        if let Some(Kind::Logout { reason, cid }) = meant
            && reason != LogoutReason::CloseSession
            && cid != connection.cid
        {
            self.cleaned_up(now, cid, Some(pdu.response_code), pdu.time2wait.get());
            return Ok(());
        }
        connection.logged_out = true;
        if matches!(self.phase, Phase::LoggingOut { .. }) {
            // The target closes them all now, and LIO breaks over those that vanish meanwhile.
            for connection in &mut self.connections {
                connection.logged_out = true;
            }
            self.close();
            return Ok(());
        }
        self.announce(pdu.time2wait.get(), pdu.time2retain.get());
        Err(match self.leaving {
            true => ConnectionError::Announced(AsyncEvent::LogoutRequest.code()),
            false => ConnectionError::LoggedOut,
        })
    }

    fn handle_reject(
        &mut self,
        now: Instant,
        index: usize,
        pdu: &Reject,
    ) -> Result<(), ConnectionError> {
        self.consume_stat_sn(index, pdu.stat_sn.get())?;
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        let Some(victim) = connection.collected.first_chunk::<48>().copied() else {
            return Err(PeerMisbehaved::RejectWithoutHeader.into());
        };
        let victim = BasicHeader::from_bhs(&victim);
        if Opcode::try_from(victim.opcode) == Ok(Opcode::Snack) {
            let (flags, itt) = (victim.flags, victim.itt.get());
            return self.snack_rejected(flags, itt);
        }
        let reason = pdu.reason_code;
        let id = TaskId::from_itt(victim.itt.get());
        let Some(task) = self.tasks.find(id).filter(|task| task.ended.is_none()) else {
            return Ok(());
        };
        let State::Sent { cmd_sn, link } = task.state else {
            return Ok(());
        };
        // Only the rejection of the request itself ends a task; after that of a Data-Out a response
        // still comes (RFC 7143 §7.3).
        if !task.is_request(victim.opcode) {
            return Ok(());
        }
        if pdu.reason().is_ok_and(RejectReason::may_resend) && victim.is_immediate() {
            task.state = State::Ready;
            connection.postponed.push_back(id.slot());
            return Ok(());
        }
        let kind = task.kind.clone();
        let is_damaged = pdu.reason() == Ok(RejectReason::DataDigestError);
        if is_damaged && task.command().is_some() && self.resend_rejected(id, link) {
            return Ok(());
        }
        if let Kind::Management(request) = kind {
            if request.function == TmfFunction::TaskReassign {
                self.managing = None;
                self.finish(id.slot(), Outcome::Answered);
                self.reassigned(now, request, link, REJECTED);
                self.next_management(now);
                return Ok(());
            }
            self.managed(now, id.slot(), request, cmd_sn, REJECTED);
            return Ok(());
        }
        self.finish(id.slot(), Outcome::Rejected { reason });
        match kind {
            Kind::Scsi(_) => self.plug(cmd_sn),
            Kind::Ping { plug: Some(plug) } if !self.window.is_acknowledged(plug) => {
                Err(ConnectionError::WindowJammed)
            }
            Kind::Logout { reason, cid }
                if reason != LogoutReason::CloseSession && self.index(cid) != Some(index) =>
            {
                self.cleaned_up(now, cid, None, 0);
                Ok(())
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
        Err(match self.leaving {
            true => ConnectionError::Announced(AsyncEvent::LogoutRequest.code()),
            false => ConnectionError::LoggedOut,
        })
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
pub(super) fn sense_data(segment: &[u8]) -> Box<[u8]> {
    let Some((length, rest)) = segment.split_first_chunk::<2>() else {
        return Box::default();
    };
    let length = usize::from(u16::from_be_bytes(*length));
    rest.get(..length).unwrap_or(rest).into()
}
