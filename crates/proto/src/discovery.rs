//! Discovery with SendTargets (RFC 7143 §4.3, §13.3, Appendix C): ask, gather the answer, log out.
//!
//! [`SendTargets`] takes over a connection that has just been logged in, and is driven like
//! [`Login`](crate::login::Login). It sends one Text Request, joins an answer that comes in any number
//! of PDUs, reads the records with [`parse_records`], and closes the session, or stays for more.

mod records;

use std::fmt;

use thiserror::Error;

pub use records::{
    Discovered, DiscoveredTarget, MAX_ADDRESSES, MAX_TARGETS, RecordError, UnusualRecord,
    parse_records,
};

use crate::digest::wire_digest;
use crate::login::LoggedIn;
use crate::names::IscsiName;
use crate::pdu::{
    AsyncEvent, Bhs, FromTarget, LogoutReason, LogoutRequest, Malformed, Opcode, Pdu, RejectReason,
    Request, Response, SequenceNumbers, TextRequest, TextResponse, pad_length,
};
use crate::serial::Serial;
use crate::stream::{Item, Offence, Receiver};
use crate::text::{Assembly, PairWriter, TextError};

/// The most text taken as an answer, in bytes: 256 for each of [`MAX_TARGETS`].
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// The most PDUs taken as an answer: [`MAX_ANSWER_BYTES`] in segments of 512 bytes, the least that
/// a target may be held to.
pub const MAX_ANSWER_PDUS: u32 = 32 * 1024;

/// The Initiator Task Tags of our two tasks; any value but the reserved one would do.
const TEXT_ITT: u32 = 1;
const LOGOUT_ITT: u32 = 2;

/// What to ask for (RFC 7143 Appendix C).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// All targets; in a discovery session only.
    All,
    /// One target.
    Named(IscsiName),
    /// The target that the session is logged in to; in a normal session.
    Own,
}

/// An offence of the target during discovery. Each ends the connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A header that contradicts itself.
    #[error("malformed PDU: {0}")]
    Malformed(#[from] Malformed),
    /// The stream cannot be read any further.
    #[error("{0}")]
    Stream(#[from] Offence),
    /// A PDU that has no place here (RFC 7143 §7.4.3).
    #[error("sent opcode {opcode:#04x} during discovery")]
    UnexpectedPdu {
        /// Its opcode.
        opcode: u8,
    },
    /// An answer to no request of ours.
    #[error("answered task tag {got:#010x}, which is not outstanding")]
    WrongTaskTag {
        /// The tag.
        got: u32,
    },
    /// Another answer before our next request.
    #[error("sent a Text Response that answers no request")]
    UnaskedResponse,
    /// The data digest is wrong: part of the answer is lost.
    #[error("sent data with a wrong digest")]
    DataDigest,
    /// No end within [`MAX_ANSWER_PDUS`].
    #[error("did not come to an end within {limit} PDUs")]
    TooManyPdus {
        /// The limit.
        limit: u32,
    },
    /// The answer is no sequence of pairs, or longer than [`MAX_ANSWER_BYTES`].
    #[error("malformed text: {0}")]
    Text(#[from] TextError),
    /// The answer is no sequence of target records.
    #[error("malformed answer: {0}")]
    Records(#[from] RecordError),
}

/// Why discovery failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The target broke the protocol.
    #[error("the target {0}")]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// The target rejected the request.
    #[error("the target rejected SendTargets: {reason}")]
    Rejected {
        /// Its reason.
        reason: RejectReason,
    },
    /// The target closed the connection before its answer was complete.
    #[error("the target closed the connection before it had answered")]
    Closed,
}

impl From<Malformed> for DiscoveryError {
    fn from(malformed: Malformed) -> Self {
        Self::PeerMisbehaved(malformed.into())
    }
}

/// What the exchange waits for.
#[derive(Debug)]
enum State {
    /// To be asked.
    Idle,
    Text(ExpectTextResponse),
    Logout(ExpectLogoutResponse),
}

/// Waits for the answer, or its next part.
#[derive(Debug)]
struct ExpectTextResponse {
    answer: Assembly,
    pdus: u32,
}

/// Waits for leave to close the connection; the answer is complete.
#[derive(Debug)]
struct ExpectLogoutResponse {
    discovered: Discovered,
}

/// A request that waits to be sent; its numbers are filled in then.
#[derive(Debug)]
enum Due {
    Text { request: TextRequest, data: Vec<u8> },
    Logout,
}

/// A discovery session: one SendTargets exchange and the logout after it, or as many as are asked for.
///
/// In turn: write what [`poll_transmit`](Self::poll_transmit) gives, read, and show what was read to
/// [`handle_input`](Self::handle_input), until that gives the answer or an error; then close the
/// connection. If the connection ends first, [`handle_close`](Self::handle_close) says whether the
/// answer was complete, as it may be: targets are free to drop a discovery session
/// (RFC 7143 §7.4.3).
///
/// A session that [stays](Self::staying) gives the answer and waits for [`ask`](Self::ask) or
/// [`log_out`](Self::log_out); the end of the logout is an answer without targets. What comes in between is to
/// be shown to `handle_input` too: a target may ask to be logged out of, which is done at once or behind the
/// answer that is due.
pub struct SendTargets {
    link: Link,
    stays: bool,
    state: Option<State>,
    due: Option<Due>,
    failed: Option<DiscoveryError>,
}

impl fmt::Debug for SendTargets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendTargets")
            .field("state", &self.state)
            .field("is_due", &self.due.is_some())
            .finish_non_exhaustive()
    }
}

impl SendTargets {
    /// The exchange on a connection that `logged_in` describes and on which nothing was sent since.
    #[must_use]
    pub fn new(logged_in: &LoggedIn, ask: &Ask) -> Self {
        let mut session = Self::staying(logged_in);
        session.stays = false;
        session.ask(ask);
        session
    }

    /// A session that waits to be asked, again and again.
    #[must_use]
    pub fn staying(logged_in: &LoggedIn) -> Self {
        Self {
            link: Link::new(logged_in),
            stays: true,
            state: Some(State::Idle),
            due: None,
            failed: None,
        }
    }

    /// Asks, if nothing else is under way and the session is not over; says whether it did.
    pub fn ask(&mut self, ask: &Ask) -> bool {
        if !matches!(self.state, Some(State::Idle)) {
            return false;
        }
        let mut text = PairWriter::new();
        text.push(
            "SendTargets",
            match ask {
                Ask::All => "All",
                Ask::Named(name) => name.as_written(),
                Ask::Own => "",
            },
        );
        let mut request = TextRequest::new(TEXT_ITT);
        // With the window closed from the start only an immediate request may go out, and then all
        // requests of the exchange must be immediate (RFC 7143 §6.4).
        request.set_immediate(!self.link.window_is_open());
        let answer = Assembly::new(MAX_ANSWER_BYTES);
        self.state = Some(State::Text(ExpectTextResponse { answer, pdus: 0 }));
        let data = text.into_bytes();
        self.due = Some(Due::Text { request, data });
        true
    }

    /// Logs out of a session that stays, if nothing else is under way; says whether it will.
    pub fn log_out(&mut self) -> bool {
        if !matches!(self.state, Some(State::Idle)) {
            return false;
        }
        self.leave(Discovered::default());
        true
    }

    fn leave(&mut self, discovered: Discovered) {
        self.state = Some(State::Logout(ExpectLogoutResponse { discovered }));
        self.due = Some(Due::Logout);
    }

    /// Appends the PDU that is to be sent now, if there is one, and says whether it did.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        match self.due.take() {
            None => false,
            Some(Due::Logout) => {
                self.link.send_logout(out);
                true
            }
            Some(Due::Text { request, data }) => {
                if !request.is_immediate() && !self.link.window_is_open() {
                    self.due = Some(Due::Text { request, data });
                    return false;
                }
                self.link.send_text(request, &data, out);
                true
            }
        }
    }

    /// Takes bytes that were read, split in any way. Gives how many it used, and the answer when the
    /// target has confirmed the logout.
    ///
    /// # Errors
    /// Why discovery failed. Every later call gives the same error.
    pub fn handle_input(
        &mut self,
        input: &[u8],
    ) -> Result<(usize, Option<Discovered>), DiscoveryError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut rest = input;
        while self.state.is_some() && !rest.is_empty() {
            let discovered = self.advance(&mut rest).inspect_err(|error| {
                self.failed = Some(error.clone());
                self.state = None;
                self.due = None;
            })?;
            if discovered.is_some() {
                return Ok((input.len() - rest.len(), discovered));
            }
        }
        Ok((input.len() - rest.len(), None))
    }

    /// The connection ended, or the driver's patience with the logout did. Gives the answer if it is
    /// complete.
    ///
    /// # Errors
    /// [`DiscoveryError::Closed`], or the error that came before.
    pub fn handle_close(&mut self) -> Result<Discovered, DiscoveryError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.due = None;
        match self.state.take() {
            Some(State::Logout(state)) => Ok(state.discovered),
            Some(State::Idle | State::Text(_)) | None => {
                self.failed = Some(DiscoveryError::Closed);
                Err(DiscoveryError::Closed)
            }
        }
    }

    /// Handles at most one PDU.
    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Discovered>, DiscoveryError> {
        let Some((bhs, data)) = self.link.receive(input)? else {
            return Ok(None);
        };
        match (FromTarget::parse(&bhs)?, self.state.take()) {
            (FromTarget::TextResponse(pdu), Some(State::Text(state))) => {
                self.link.acknowledge(pdu.sequence_numbers(), true);
                self.text_response(state, pdu, &data)
            }
            (FromTarget::LogoutResponse(pdu), Some(State::Logout(state))) => {
                check_tag(pdu.itt.get(), LOGOUT_ITT)?;
                Ok(Some(state.discovered))
            }
            (FromTarget::Reject(pdu), Some(State::Text(_))) => Err(DiscoveryError::Rejected {
                reason: pdu.reason()?,
            }),
            (FromTarget::AsyncMessage(pdu), state) => {
                self.link.acknowledge(pdu.sequence_numbers(), true);
                self.hear(pdu.event()?, state)?;
                Ok(None)
            }
            (FromTarget::NopIn(pdu), state) => {
                // It can only bring news of the window: no answer is allowed here.
                self.link.acknowledge(pdu.sequence_numbers(), false);
                self.state = state;
                Ok(None)
            }
            (_, Some(State::Logout(state))) => {
                // The answer is complete; what comes before the logout's does not matter.
                self.state = Some(State::Logout(state));
                Ok(None)
            }
            _ => Err(PeerMisbehaved::UnexpectedPdu {
                opcode: bhs[0] & 0x3f,
            }
            .into()),
        }
    }

    /// An asynchronous message (RFC 7143 §11.9.1). Only what concerns the session itself is of interest.
    fn hear(&mut self, event: AsyncEvent, state: Option<State>) -> Result<(), DiscoveryError> {
        self.state = state;
        match event {
            AsyncEvent::LogoutRequest => {
                // Behind the answer that is due, or at once.
                self.stays = false;
                self.log_out();
            }
            AsyncEvent::ConnectionDrop | AsyncEvent::SessionDrop
                if !matches!(self.state, Some(State::Logout(_))) =>
            {
                return Err(DiscoveryError::Closed);
            }
            // There are no logical units here.
            AsyncEvent::Scsi | AsyncEvent::TaskTermination => {
                let opcode = Opcode::AsyncMessage.code();
                return Err(PeerMisbehaved::UnexpectedPdu { opcode }.into());
            }
            _ => {}
        }
        Ok(())
    }

    fn text_response(
        &mut self,
        mut state: ExpectTextResponse,
        pdu: &TextResponse,
        data: &[u8],
    ) -> Result<Option<Discovered>, DiscoveryError> {
        if self.due.is_some() {
            return Err(PeerMisbehaved::UnaskedResponse.into());
        }
        check_tag(pdu.itt.get(), TEXT_ITT)?;
        state.pdus += 1;
        if state.pdus > MAX_ANSWER_PDUS {
            return Err(PeerMisbehaved::TooManyPdus {
                limit: MAX_ANSWER_PDUS,
            }
            .into());
        }
        // Some targets cut records without the C bit, so all is joined until the F bit comes.
        let answer = state
            .answer
            .push(data, !pdu.is_final())
            .map_err(PeerMisbehaved::from)?;
        if let Some(answer) = answer {
            let discovered = parse_records(&answer).map_err(PeerMisbehaved::from)?;
            if self.stays {
                self.state = Some(State::Idle);
                return Ok(Some(discovered));
            }
            self.leave(discovered);
            return Ok(None);
        }
        self.state = Some(State::Text(state));
        self.due = Some(Due::Text {
            request: self.link.go_on(pdu),
            data: Vec::new(),
        });
        Ok(None)
    }
}

fn check_tag(got: u32, expected: u32) -> Result<(), PeerMisbehaved> {
    if got == expected {
        Ok(())
    } else {
        Err(PeerMisbehaved::WrongTaskTag { got })
    }
}

/// The connection: its stream, its numbers, its digests.
struct Link {
    receiver: Receiver,
    header: Option<Bhs>,
    /// The data segment under way; the receiver holds it to our MaxRecvDataSegmentLength.
    data: Vec<u8>,
    header_digest: bool,
    data_digest: bool,
    cmd_sn: Serial,
    exp_cmd_sn: Serial,
    max_cmd_sn: Serial,
    exp_stat_sn: u32,
    is_immediate: bool,
}

impl Link {
    fn new(logged_in: &LoggedIn) -> Self {
        let parameters = &logged_in.parameters;
        let mut receiver = Receiver::new(parameters.max_recv_data_segment);
        receiver.set_digests(parameters.header_digest, parameters.data_digest);
        Self {
            receiver,
            header: None,
            data: Vec::new(),
            header_digest: parameters.header_digest,
            data_digest: parameters.data_digest,
            cmd_sn: logged_in.cmd_sn,
            exp_cmd_sn: logged_in.exp_cmd_sn,
            max_cmd_sn: logged_in.max_cmd_sn,
            exp_stat_sn: logged_in.exp_stat_sn,
            is_immediate: false,
        }
    }

    /// RFC 7143 §4.2.2.1: whether a request that is not immediate may be sent.
    fn window_is_open(&self) -> bool {
        self.cmd_sn <= self.max_cmd_sn
    }

    /// CmdSN for the next request; only one that is not immediate uses it up.
    fn number(&mut self, immediate: bool) -> u32 {
        let number = self.cmd_sn;
        if !immediate {
            self.cmd_sn = number.plus(1);
        }
        number.0
    }

    fn send_text(&mut self, mut request: TextRequest, data: &[u8], out: &mut Vec<u8>) {
        self.is_immediate = request.is_immediate();
        request.cmd_sn = self.number(self.is_immediate).into();
        request.exp_stat_sn = self.exp_stat_sn.into();
        let length = u32::try_from(data.len()).unwrap_or_default();
        request.set_data_segment_length(length);
        self.put_header(request.as_bhs(), out);
        if data.is_empty() {
            return;
        }
        let at = out.len();
        out.extend_from_slice(data);
        out.extend(std::iter::repeat_n(0, pad_length(length)));
        if self.data_digest {
            let digest = wire_digest(out.get(at..).unwrap_or_default());
            out.extend_from_slice(&digest);
        }
    }

    fn send_logout(&mut self, out: &mut Vec<u8>) {
        let mut request = LogoutRequest::new(LOGOUT_ITT, LogoutReason::CloseSession, 0);
        let immediate = !self.window_is_open();
        request.set_immediate(immediate);
        request.cmd_sn = self.number(immediate).into();
        request.exp_stat_sn = self.exp_stat_sn.into();
        self.put_header(request.as_bhs(), out);
    }

    fn put_header(&self, bhs: &Bhs, out: &mut Vec<u8>) {
        out.extend_from_slice(bhs);
        if self.header_digest {
            out.extend_from_slice(&wire_digest(bhs));
        }
    }

    /// The request for the next part of an answer: same task tag, the target's tag and LUN.
    fn go_on(&self, pdu: &TextResponse) -> TextRequest {
        let mut request = TextRequest::new(TEXT_ITT);
        (request.ttt, request.lun) = (pdu.ttt, pdu.lun);
        request.set_immediate(self.is_immediate);
        request
    }

    /// Takes bytes up to the end of one PDU at most; gives the PDU when it is whole.
    fn receive(&mut self, input: &mut &[u8]) -> Result<Option<(Bhs, Vec<u8>)>, PeerMisbehaved> {
        while let Some(item) = self.receiver.next(input)? {
            match item {
                Item::Header(bhs) => {
                    self.header = Some(bhs);
                    self.data.clear();
                }
                Item::Data { bytes, .. } => self.data.extend_from_slice(bytes),
                Item::End { digest_ok: false } => return Err(PeerMisbehaved::DataDigest),
                Item::End { digest_ok: true } => {
                    let data = std::mem::take(&mut self.data);
                    return Ok(self.header.take().map(|bhs| (bhs, data)));
                }
            }
        }
        Ok(None)
    }

    /// Takes the numbers of a response; `uses_stat_sn` says whether it has a StatSN of its own.
    fn acknowledge(&mut self, numbers: SequenceNumbers, uses_stat_sn: bool) {
        if uses_stat_sn {
            self.exp_stat_sn = numbers.stat_sn.wrapping_add(1);
        }
        let (expected, max) = (Serial(numbers.exp_cmd_sn), Serial(numbers.max_cmd_sn));
        if max >= expected.previous() {
            self.exp_cmd_sn.advance_to(expected);
            self.max_cmd_sn.advance_to(max);
        }
    }
}

#[cfg(test)]
mod tests;
