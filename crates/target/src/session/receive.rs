//! What arrives on a connection: checked, put in the order of CmdSN, handed on
//! (RFC 7143 §4.2.2.1, §7.3).

use hawser_proto::pdu::ahs::AdditionalHeaders;
use hawser_proto::pdu::{
    BasicHeader, Bhs, DataOut, FromInitiator, LogoutReason, NIL, Opcode, Pdu, RejectReason,
    Request, ScsiCommand, SnackType,
};
use hawser_proto::serial::Serial;

use super::gather::{Fate, Piece};
use super::task::{Command, Home, Phase};
use super::window::Arrival;
use super::{Ending, Held, Turn};
use crate::faults::{Direction, PduAction};

/// The most task management functions a session may have in hand. The RFC asks for room for one.
const MANAGING_LIMIT: usize = 16;

/// Where the payload of a PDU goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    /// It is collected and handed over with the PDU.
    Collect,
    /// It belongs to the data of the task with this ITT, from this offset on.
    Task(u32, u32),
    /// It is taken off the wire and forgotten.
    Discard,
}

/// A whole PDU.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) header: &'a Bhs,
    /// Additional headers.
    pub(crate) ahs: &'a [u8],
    /// The payload, if it was collected.
    pub(crate) data: &'a [u8],
    pub(crate) digest_ok: bool,
}

impl Turn<'_> {
    /// Says where the payload of the PDU with this header goes.
    pub(crate) fn begin(&mut self, cid: u16, header: &Bhs) -> Sink {
        if BasicHeader::from_bhs(header).opcode & 0x3f != Opcode::DataOut.code() {
            return Sink::Collect;
        }
        let pdu = DataOut::from_bhs(header);
        let itt = pdu.itt.get();
        if let Some(task) = self
            .core
            .tasks
            .get_mut(&itt)
            .filter(|task| task.home == Home::On(cid))
            && let Phase::Gathering(gather) = &mut task.phase
            && gather.judge(piece(pdu)) == Fate::Store
        {
            return Sink::Task(itt, pdu.buffer_offset.get());
        }
        Sink::Discard
    }

    /// Stores payload of a task as it comes.
    pub(crate) fn store(&mut self, itt: u32, offset: u32, bytes: &[u8]) {
        if let Some(task) = self.core.tasks.get_mut(&itt)
            && let Phase::Gathering(gather) = &mut task.phase
        {
            gather.store(offset, bytes);
        }
    }

    /// Lends the buffer of a task, if `end` bytes fit in it, to read payload to where it belongs.
    pub(crate) fn lend_buffer(&mut self, itt: u32, end: usize) -> Option<Vec<u8>> {
        let task = self.core.tasks.get_mut(&itt)?;
        let Phase::Gathering(gather) = &mut task.phase else {
            return None;
        };
        (end <= gather.wanted()).then(|| {
            gather.make_room();
            gather.take_buffer()
        })
    }

    /// Takes back what [`Self::lend_buffer`] lent.
    pub(crate) fn return_buffer(&mut self, itt: u32, buffer: Vec<u8>) {
        if let Some(task) = self.core.tasks.get_mut(&itt)
            && let Phase::Gathering(gather) = &mut task.phase
        {
            gather.put_buffer(buffer);
        }
    }

    /// Takes in a whole PDU.
    pub(crate) fn receive(&mut self, cid: u16, incoming: &Incoming<'_>) {
        let open = self
            .core
            .link(cid)
            .is_some_and(|link| link.ending == Ending::Open);
        if !open {
            return;
        }
        let opcode = incoming.header[0];
        let faults = &self.session.shared.faults;
        match faults.take_strike(Direction::Received, opcode, cid) {
            None => self.take_in(cid, incoming),
            Some(action) => self.take_in_bent(cid, incoming, action),
        }
    }

    /// A fault strikes a PDU.
    fn take_in_bent(&mut self, cid: u16, incoming: &Incoming<'_>, action: PduAction) {
        match action {
            PduAction::Drop => {}
            PduAction::Duplicate => {
                self.take_in(cid, incoming);
                self.take_in(cid, incoming);
            }
            PduAction::SpoilDataDigest => {
                let digest_ok = !has_data(incoming.header);
                let bent = Incoming {
                    digest_ok,
                    ..*incoming
                };
                self.take_in(cid, &bent);
            }
            PduAction::SpoilHeaderDigest | PduAction::CutBefore => self.cut(cid),
            PduAction::CutAfter => {
                self.take_in(cid, incoming);
                self.cut(cid);
            }
        }
    }

    /// Breaks a connection off; what it had yet to say stays unsaid.
    fn cut(&mut self, cid: u16) {
        if let Some(link) = self.core.link(cid) {
            link.out.discard();
            link.end(Ending::Now);
        }
    }

    fn take_in(&mut self, cid: u16, incoming: &Incoming<'_>) {
        let header = incoming.header;
        let pdu = match FromInitiator::parse(header) {
            Ok(pdu) => pdu,
            Err(malformed) => {
                tracing::debug!(cid, %malformed, "malformed PDU");
                return self.reject(cid, header, malformed.reject_reason());
            }
        };
        if let FromInitiator::Snack(snack) = pdu
            && snack.snack_type() == Ok(SnackType::DataAck)
        {
            // The same PDU may acknowledge the status, and with it all data.
            self.snack(cid, snack);
            return self.acknowledge(cid, &pdu);
        }
        self.acknowledge(cid, &pdu);
        if let FromInitiator::Snack(snack) = pdu {
            return self.snack(cid, snack);
        }
        if let FromInitiator::DataOut(pdu) = pdu {
            return self.data_out(cid, pdu, incoming);
        }
        if !incoming.digest_ok {
            return self.reject(cid, header, RejectReason::DataDigestError);
        }
        if let Some(code) = self.session.shared.faults.take_reject() {
            return self.reject_code(cid, header, code);
        }
        let number = number(&pdu);
        if number.is_some_and(|number| self.core.window.look(number) == Arrival::Dropped) {
            return;
        }
        if let Err(reason) = self.check(&pdu, incoming) {
            return self.reject(cid, header, reason);
        }
        let Some(number) = number else {
            return self.deliver(cid, pdu, incoming);
        };
        match self.core.window.judge(number) {
            Arrival::Dropped => {}
            Arrival::Next => {
                self.deliver(cid, pdu, incoming);
                self.release();
            }
            Arrival::Early => self.hold(cid, number, pdu, incoming),
        }
    }

    /// Takes note of the ExpStatSN of a PDU: that of its own connection, or that of the one to be
    /// logged out (RFC 7143 §11.14.4).
    fn acknowledge(&mut self, cid: u16, pdu: &FromInitiator<'_>) {
        let (about, exp_stat_sn) = match pdu {
            FromInitiator::LogoutRequest(pdu) => match pdu.reason() {
                Ok(LogoutReason::CloseSession) | Err(_) => (cid, pdu.exp_stat_sn),
                Ok(_) => (pdu.cid.get(), pdu.exp_stat_sn),
            },
            FromInitiator::NopOut(pdu) => (cid, pdu.exp_stat_sn),
            FromInitiator::ScsiCommand(pdu) => (cid, pdu.exp_stat_sn),
            FromInitiator::TaskManagementRequest(pdu) => (cid, pdu.exp_stat_sn),
            FromInitiator::TextRequest(pdu) => (cid, pdu.exp_stat_sn),
            FromInitiator::DataOut(pdu) => (cid, pdu.exp_stat_sn),
            FromInitiator::Snack(pdu) => (cid, pdu.exp_stat_sn),
            FromInitiator::LoginRequest(_) => return,
        };
        let ended = self
            .core
            .link(about)
            .map(|link| link.acknowledge(exp_stat_sn.get()));
        if ended.is_none() {
            self.acknowledge_lost(about, exp_stat_sn.get());
        }
        for (itt, stat_sn) in ended.unwrap_or_default() {
            self.core.archive.arrived(about, itt, stat_sn);
        }
        if self.core.fences > 0 {
            self.session.settled.notify_waiters();
        }
    }

    /// Delivers what had waited for an earlier request that is here now.
    pub(crate) fn release(&mut self) {
        while let Some(held) = self.core.window.release() {
            match held {
                Held::Task(itt) => {
                    // Another task may have the tag by now, if this one was aborted.
                    let number = self.core.window.expected().previous();
                    if let Some(task) = self.core.tasks.get_mut(&itt)
                        && task.command.number() == number
                    {
                        task.held = false;
                        self.proceed(itt);
                    }
                }
                Held::Request(cid, header, data) => {
                    let incoming = Incoming {
                        header: &header,
                        ahs: &[],
                        data: &data,
                        digest_ok: true,
                    };
                    if let Ok(pdu) = FromInitiator::parse(&header) {
                        self.deliver(cid, pdu, &incoming);
                    }
                }
            }
        }
    }

    /// Keeps a request until its turn comes.
    fn hold(&mut self, cid: u16, number: Serial, pdu: FromInitiator<'_>, incoming: &Incoming<'_>) {
        if let FromInitiator::ScsiCommand(header) = pdu {
            self.core.window.hold(number, Held::Task(header.itt.get()));
            return self.command(cid, command(header, incoming.ahs), incoming.data, true);
        }
        let held = Held::Request(cid, *incoming.header, incoming.data.to_vec());
        self.core.window.hold(number, held);
    }

    fn deliver(&mut self, cid: u16, pdu: FromInitiator<'_>, incoming: &Incoming<'_>) {
        match pdu {
            FromInitiator::ScsiCommand(header) => {
                self.command(cid, command(header, incoming.ahs), incoming.data, false);
            }
            FromInitiator::NopOut(request) => self.nop(cid, request, incoming.data),
            FromInitiator::TaskManagementRequest(request) => self.manage(cid, request),
            FromInitiator::TextRequest(request) => self.text(cid, request, incoming.data),
            FromInitiator::LogoutRequest(request) => self.logout(cid, request),
            // Refused by `check`, or handled before.
            FromInitiator::LoginRequest(_)
            | FromInitiator::Snack(_)
            | FromInitiator::DataOut(_) => {}
        }
    }

    /// Finds what is wrong with a request before its CmdSN is taken: a rejected one counts as not
    /// received (RFC 7143 §7.3).
    fn check(&self, pdu: &FromInitiator<'_>, incoming: &Incoming<'_>) -> Result<(), RejectReason> {
        let discovery = self.session.purpose.target().is_none();
        let tagged = |itt: u32| {
            if itt == NIL {
                Err(RejectReason::InvalidPduField)
            } else {
                Ok(())
            }
        };
        match pdu {
            FromInitiator::TextRequest(request) => tagged(request.itt.get()),
            FromInitiator::LogoutRequest(request) => tagged(request.itt.get()),
            FromInitiator::LoginRequest(_) => Err(RejectReason::ProtocolError),
            // RFC 7143 §4.3: a discovery session asks for targets, and logs out.
            _ if discovery => Err(RejectReason::ProtocolError),
            FromInitiator::ScsiCommand(header) => {
                tagged(header.itt.get())?;
                self.check_command(header, incoming)
            }
            FromInitiator::TaskManagementRequest(request) => {
                if self.core.managing.len() >= MANAGING_LIMIT {
                    return Err(RejectReason::TooManyImmediateCommands);
                }
                tagged(request.itt.get())
            }
            FromInitiator::NopOut(_) | FromInitiator::DataOut(_) | FromInitiator::Snack(_) => {
                Ok(())
            }
        }
    }

    fn check_command(
        &self,
        header: &ScsiCommand,
        incoming: &Incoming<'_>,
    ) -> Result<(), RejectReason> {
        if self.core.tasks.contains_key(&header.itt.get()) {
            return Err(RejectReason::TaskInProgress);
        }
        if header.data_segment_length() > 0 && !header.is_write() {
            return Err(RejectReason::ProtocolError);
        }
        let additional = AdditionalHeaders::parse(incoming.ahs)
            .map_err(|malformed| malformed.reject_reason())?;
        let bidirectional = header.is_read() && header.is_write();
        if bidirectional && additional.bidi_read_length.is_none() {
            // RFC 7143 §11.2.2.4: how much it reads must be said.
            return Err(RejectReason::ProtocolError);
        }
        Ok(())
    }

    /// A Data-Out is complete; its payload is where it belongs.
    fn data_out(&mut self, cid: u16, pdu: &DataOut, incoming: &Incoming<'_>) {
        let itt = pdu.itt.get();
        if !incoming.digest_ok {
            self.reject(cid, incoming.header, RejectReason::DataDigestError);
        }
        let Some(task) = self
            .core
            .tasks
            .get_mut(&itt)
            .filter(|task| task.home == Home::On(cid))
        else {
            // The data of a task that was aborted may come after its end.
            return;
        };
        let Phase::Gathering(gather) = &mut task.phase else {
            return;
        };
        let piece = piece(pdu);
        if gather.is_stale(piece.ttt) {
            // It was asked for again meanwhile.
            return;
        }
        if !gather.is_expected(piece.ttt) {
            return self.reject(cid, incoming.header, RejectReason::InvalidPduField);
        }
        gather.arrived(piece, incoming.digest_ok);
        self.proceed(itt);
    }
}

fn has_data(header: &Bhs) -> bool {
    BasicHeader::from_bhs(header).data_segment_length() > 0
}

/// The CmdSN of a request that takes one; none for what is immediate.
fn number(pdu: &FromInitiator<'_>) -> Option<Serial> {
    let (immediate, number) = match pdu {
        FromInitiator::NopOut(pdu) => (pdu.is_immediate(), pdu.cmd_sn),
        FromInitiator::ScsiCommand(pdu) => (pdu.is_immediate(), pdu.cmd_sn),
        FromInitiator::TaskManagementRequest(pdu) => (pdu.is_immediate(), pdu.cmd_sn),
        FromInitiator::TextRequest(pdu) => (pdu.is_immediate(), pdu.cmd_sn),
        FromInitiator::LogoutRequest(pdu) => (pdu.is_immediate(), pdu.cmd_sn),
        FromInitiator::LoginRequest(_) | FromInitiator::DataOut(_) | FromInitiator::Snack(_) => {
            return None;
        }
    };
    (!immediate).then_some(Serial(number.get()))
}

fn command(header: &ScsiCommand, ahs: &[u8]) -> Command {
    let additional = AdditionalHeaders::parse(ahs).unwrap_or_default();
    let extended_cdb = additional.extended_cdb.unwrap_or_default().to_vec();
    Command {
        header: *header,
        extended_cdb,
        bidi_read_length: additional.bidi_read_length,
        first_data_sn: 0,
        snack_tag: 0,
    }
}

fn piece(pdu: &DataOut) -> Piece {
    Piece {
        ttt: pdu.ttt.get(),
        data_sn: pdu.data_sn.get(),
        offset: pdu.buffer_offset.get(),
        length: pdu.data_segment_length(),
        last: pdu.is_final(),
    }
}
