//! The PDUs of a login: one request out, one response in (RFC 7143 §6.3). It cuts and joins text with
//! the C bit, keeps StatSN and the command window, and checks all that a header says, so that the
//! states see only whole messages.

use crate::parameters::DEFAULT_MAX_RECV_DATA_SEGMENT_LENGTH;
use crate::pdu::{
    Bhs, FromTarget, LoginRequest, LoginResponse, LoginStage, LoginStatus, Malformed, NIL, Opcode,
    Pdu, Response, StatusClass, pad_length,
};
use crate::serial::Serial;
use crate::stream::{Item, Receiver};
use crate::text::{Assembly, MAX_TEXT_BYTES, PairWriter, Pieces};

use super::config::LoginConfig;
use super::error::{LoginErrorKind, PeerMisbehaved, Unusual};

/// The most requests in one login. RFC 7143 §10.3 asks for patience with at least six; a text of
/// 64 KiB in pieces of 512 bytes takes 128, and the rest of a login fewer than 20.
pub const MAX_EXCHANGES: u32 = 160;

/// RFC 7143 §13.12: the limit of data segments until the full feature phase, in bytes.
const SEGMENT_LIMIT: u32 = DEFAULT_MAX_RECV_DATA_SEGMENT_LENGTH;

/// What a state wants to say.
#[derive(Debug)]
pub(super) struct Message {
    /// The stage it belongs to.
    pub(super) stage: LoginStage,
    /// The stage to move to, if we are ready to (the T bit).
    pub(super) next: Option<LoginStage>,
    /// The pairs; may be empty.
    pub(super) text: PairWriter,
}

/// What the target says, whole.
#[derive(Debug)]
pub(super) enum Reply {
    /// The login proceeds.
    Success {
        /// The stage to which the target moves, if it does.
        moved: Option<LoginStage>,
        /// TSIH.
        tsih: u16,
        /// The text.
        text: Vec<u8>,
    },
    /// The login is redirected or refused.
    Ended {
        /// Why.
        status: LoginStatus,
        /// The text.
        text: Vec<u8>,
    },
}

/// The numbers with which the full feature phase begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    pub(super) exp_cmd_sn: Serial,
    pub(super) max_cmd_sn: Serial,
    pub(super) exp_stat_sn: u32,
    /// Whether any response gave a valid window.
    pub(super) window_seen: bool,
}

#[derive(Debug)]
pub(super) struct Exchange {
    receiver: Receiver,
    /// The header of the PDU under way.
    header: Option<Bhs>,
    /// Its data so far; the receiver holds it to `SEGMENT_LIMIT`.
    data: Vec<u8>,
    incoming: Assembly,

    template: LoginRequest,
    stage: LoginStage,
    next: Option<LoginStage>,
    pieces: Pieces,
    /// A request waits to be sent.
    is_due: bool,
    /// The last request sent had the C bit.
    sent_continued: bool,
    /// The last request sent had the T bit, with this NSG.
    sent_next: Option<LoginStage>,
    requests: u32,

    stat_sn: Option<u32>,
    window: Option<(Serial, Serial)>,
    pub(super) unusual: Vec<Unusual>,
}

impl Exchange {
    pub(super) fn new(config: &LoginConfig) -> Self {
        let mut template = LoginRequest::new(config.itt, config.isid.0, config.cid);
        template.tsih = config.tsih.into();
        template.cmd_sn = config.cmd_sn.0.into();
        template.exp_stat_sn = config.exp_stat_sn.into();
        Self {
            receiver: Receiver::new(SEGMENT_LIMIT),
            header: None,
            data: Vec::new(),
            incoming: Assembly::new(MAX_TEXT_BYTES),
            template,
            stage: LoginStage::SecurityNegotiation,
            next: None,
            pieces: Pieces::new(Vec::new(), SEGMENT_LIMIT as usize),
            is_due: false,
            sent_continued: false,
            sent_next: None,
            requests: 0,
            stat_sn: None,
            window: None,
            unusual: Vec::new(),
        }
    }

    /// Takes a message to be sent.
    pub(super) fn send(&mut self, message: Message) {
        self.stage = message.stage;
        self.next = message.next;
        self.pieces = Pieces::new(message.text.into_bytes(), SEGMENT_LIMIT as usize);
        self.is_due = true;
    }

    /// Appends the request that is due, if one is. Says whether it did.
    pub(super) fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        if !self.is_due {
            return false;
        }
        let (piece, continued) = self.pieces.next_piece();
        self.sent_continued = continued;
        self.sent_next = if continued { None } else { self.next };
        let length = u32::try_from(piece.len()).unwrap_or(SEGMENT_LIMIT);
        let mut request = self.template;
        request.set_stages(self.stage, self.sent_next);
        request.set_continued(continued);
        request.set_data_segment_length(length);
        if let Some(stat_sn) = self.stat_sn {
            request.exp_stat_sn = stat_sn.wrapping_add(1).into();
        }
        out.extend_from_slice(request.as_bhs());
        out.extend_from_slice(&piece);
        out.extend(std::iter::repeat_n(0, pad_length(length)));
        self.is_due = false;
        self.requests += 1;
        true
    }

    /// Takes bytes from the front of `input`, up to the end of one PDU at most, and gives the
    /// target's message when it is whole. `None` with bytes left in `input` means: call again.
    pub(super) fn handle_input(
        &mut self,
        input: &mut &[u8],
    ) -> Result<Option<Reply>, LoginErrorKind> {
        while let Some(item) = self.receiver.next(input).map_err(PeerMisbehaved::from)? {
            match item {
                Item::Header(bhs) => {
                    check_opcode(&bhs)?;
                    self.header = Some(bhs);
                    self.data.clear();
                }
                Item::Data { bytes, .. } => self.data.extend_from_slice(bytes),
                Item::End { .. } => {
                    let Some(bhs) = self.header.take() else {
                        continue;
                    };
                    return self.handle_pdu(&bhs);
                }
            }
        }
        Ok(None)
    }

    fn handle_pdu(&mut self, bhs: &Bhs) -> Result<Option<Reply>, LoginErrorKind> {
        let FromTarget::LoginResponse(pdu) = FromTarget::parse(bhs)? else {
            return Err(PeerMisbehaved::UnexpectedPdu {
                opcode: bhs[0] & 0x3f,
            }
            .into());
        };
        if self.is_due || self.requests == 0 {
            return Err(PeerMisbehaved::UnaskedResponse.into());
        }
        let (expected, got) = (self.template.itt.get(), pdu.itt.get());
        if got != expected {
            return Err(PeerMisbehaved::WrongTaskTag { expected, got }.into());
        }
        let data = std::mem::take(&mut self.data);
        if pdu.status().class()? != StatusClass::Success {
            // Text from before may belong to the redirection; its C bit no longer matters.
            let text = self.incoming.push(&data, false)?.unwrap_or_default();
            return Ok(Some(Reply::Ended {
                status: pdu.status(),
                text,
            }));
        }
        self.check_success(pdu)?;
        self.take_numbers(pdu);
        self.handle_success(pdu, &data)
    }

    /// What must hold in every response that lets the login proceed.
    fn check_success(&self, pdu: &LoginResponse) -> Result<(), LoginErrorKind> {
        if pdu.version_active != 0 {
            return Err(PeerMisbehaved::WrongVersion {
                active: pdu.version_active,
            }
            .into());
        }
        if pdu.isid != self.template.isid {
            return Err(PeerMisbehaved::IsidChanged.into());
        }
        let (expected, got) = (self.stage, pdu.current_stage()?);
        if got != expected {
            return Err(PeerMisbehaved::StageMismatch { expected, got }.into());
        }
        if !pdu.is_transit() {
            return Ok(());
        }
        let to = pdu.next_stage()?;
        let Some(asked) = self.sent_next else {
            return Err(PeerMisbehaved::UnaskedTransit.into());
        };
        if to.code() <= self.stage.code() {
            return Err(PeerMisbehaved::StageBackwards {
                from: self.stage,
                to,
            }
            .into());
        }
        if to.code() > asked.code() {
            return Err(PeerMisbehaved::StageBeyondRequest { asked, to }.into());
        }
        Ok(())
    }

    /// RFC 7143 §4.2.2: StatSN rises by one a response, and the window only grows. In a login to a session
    /// that is there, only the last response counts: before, a target may give the numbers of the login
    /// alone, which would acknowledge commands that it has never seen.
    fn take_numbers(&mut self, pdu: &LoginResponse) {
        let numbers = pdu.sequence_numbers();
        if let Some(last) = self.stat_sn {
            let expected = last.wrapping_add(1);
            if numbers.stat_sn != expected {
                let got = numbers.stat_sn;
                note(&mut self.unusual, Unusual::StatSnJump { expected, got });
            }
        }
        self.stat_sn = Some(numbers.stat_sn);
        let (expected, max) = (Serial(numbers.exp_cmd_sn), Serial(numbers.max_cmd_sn));
        if self.template.tsih != 0 {
            self.window = Some((expected, max));
            return;
        }
        if max < expected.previous() {
            return;
        }
        match &mut self.window {
            None => self.window = Some((expected, max)),
            Some((known_expected, known_max)) => {
                known_expected.advance_to(expected);
                known_max.advance_to(max);
            }
        }
    }

    fn handle_success(
        &mut self,
        pdu: &LoginResponse,
        data: &[u8],
    ) -> Result<Option<Reply>, LoginErrorKind> {
        if self.sent_continued {
            // Our own text is not complete: this is only leave to go on.
            if !data.is_empty() || pdu.is_continued() {
                return Err(PeerMisbehaved::TextDuringContinuation.into());
            }
            return self.go_on();
        }
        match self.incoming.push(data, pdu.is_continued())? {
            None => self.go_on(),
            Some(text) => {
                self.check_exchanges()?;
                let moved = pdu.is_transit().then(|| pdu.next_stage()).transpose()?;
                Ok(Some(Reply::Success {
                    moved,
                    tsih: pdu.tsih.get(),
                    text,
                }))
            }
        }
    }

    /// Sends the next piece of our text, or an empty request to have the next piece of the target's.
    fn go_on(&mut self) -> Result<Option<Reply>, LoginErrorKind> {
        self.check_exchanges()?;
        self.is_due = true;
        Ok(None)
    }

    fn check_exchanges(&self) -> Result<(), LoginErrorKind> {
        if self.requests >= MAX_EXCHANGES {
            return Err(PeerMisbehaved::TooManyExchanges {
                limit: MAX_EXCHANGES,
            }
            .into());
        }
        Ok(())
    }

    /// The numbers after the final response.
    pub(super) fn numbers(&self) -> Numbers {
        let cmd_sn = Serial(self.template.cmd_sn.get());
        let (exp_cmd_sn, max_cmd_sn) = self.window.unwrap_or((cmd_sn, cmd_sn.previous()));
        Numbers {
            exp_cmd_sn,
            max_cmd_sn,
            exp_stat_sn: self.stat_sn.unwrap_or(NIL).wrapping_add(1),
            window_seen: self
                .window
                .is_some_and(|(expected, max)| max >= expected.previous()),
        }
    }
}

/// Where the list of oddities stops: a target cannot make the log grow without end.
const MAX_UNUSUAL: usize = 64;

pub(super) fn note(list: &mut Vec<Unusual>, unusual: Unusual) {
    if list.len() < MAX_UNUSUAL {
        list.push(unusual);
    }
}

/// Refuses another PDU by its header, before its data is in.
fn check_opcode(bhs: &Bhs) -> Result<(), LoginErrorKind> {
    match Opcode::try_from(bhs[0]) {
        Ok(Opcode::LoginResponse) => Ok(()),
        Ok(_) | Err(Malformed::UnknownOpcode(_)) => Err(PeerMisbehaved::UnexpectedPdu {
            opcode: bhs[0] & 0x3f,
        }
        .into()),
        Err(malformed) => Err(malformed.into()),
    }
}
