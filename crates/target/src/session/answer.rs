//! What a session says of itself: responses to requests that are no commands, Reject, Async Message
//! and NOP-In (RFC 7143 §11).

use hawser_proto::pdu::{
    AsyncEvent, AsyncMessage, Bhs, NIL, NO_LUN, NopIn, NopOut, Pdu, Reject, RejectReason, Response,
    ScsiResponse, TextRequest,
};

use super::Turn;
use super::statuses::Kept;
use super::text::{self, Question, TextExchange};
use crate::connection::output::Payload;
use crate::faults;
use crate::send_targets::{Asker, Scope, send_targets};

impl Turn<'_> {
    /// Queues a PDU on a connection. It takes a StatSN, or only shows the next.
    pub(crate) fn send<R: Response>(
        &mut self,
        cid: u16,
        mut pdu: R,
        payload: &[u8],
        takes_status: bool,
    ) {
        if takes_status {
            self.send_status(cid, pdu, payload, None);
            return;
        }
        self.core.window.advertise(self.core.tasks.len());
        let faults = &self.session.shared.faults;
        let Some(link) = self.core.links.get_mut(&cid) else {
            return;
        };
        pdu.set_sequence_numbers(link.numbers(&self.core.window, false, faults));
        pdu.set_data_segment_length(u32::try_from(payload.len()).unwrap_or_default());
        link.out.push(pdu.as_bhs(), Payload::Bytes(payload), faults);
        self.wake(cid);
    }

    /// Queues a PDU that takes a StatSN, which it gives; nothing if the connection is gone. It is
    /// kept until it is acknowledged if the session has recovery; `task` is the command whose
    /// status it is.
    pub(crate) fn send_status<R: Response>(
        &mut self,
        cid: u16,
        mut pdu: R,
        payload: &[u8],
        task: Option<u32>,
    ) -> Option<u32> {
        self.core.window.advertise(self.core.tasks.len());
        let keeps = self.core.keeps();
        let faults = &self.session.shared.faults;
        let link = self.core.links.get_mut(&cid)?;
        let numbers = link.numbers(&self.core.window, true, faults);
        pdu.set_sequence_numbers(numbers);
        pdu.set_data_segment_length(u32::try_from(payload.len()).unwrap_or_default());
        link.out.push(pdu.as_bhs(), Payload::Bytes(payload), faults);
        if keeps {
            let payload = Kept::Bytes(payload.to_vec());
            self.keep_status(cid, numbers.stat_sn, pdu.as_bhs(), payload, task);
        }
        self.wake(cid);
        Some(numbers.stat_sn)
    }

    /// Keeps a PDU that took a StatSN until that is acknowledged; `task` is the command whose status
    /// it is. Commands whose statuses have to go for it can no longer be answered again.
    pub(crate) fn keep_status(
        &mut self,
        cid: u16,
        stat_sn: u32,
        header: &Bhs,
        payload: Kept,
        task: Option<u32>,
    ) {
        let Some(link) = self.core.links.get_mut(&cid) else {
            return;
        };
        for (itt, stat_sn) in link.statuses.keep(stat_sn, header, payload, task) {
            self.core.archive.arrived(cid, itt, stat_sn);
        }
    }

    /// Sends a PDU again as it was, but for ExpCmdSN and MaxCmdSN.
    pub(crate) fn repeat(&mut self, cid: u16, header: &Bhs, payload: &Kept) {
        let (expected, max) = self.core.numbers();
        let faults = &self.session.shared.faults;
        let Some(link) = self.core.links.get_mut(&cid) else {
            return;
        };
        // All PDUs of targets have them at the same place: any will do to write them.
        let mut pdu = *ScsiResponse::from_bhs(header);
        pdu.exp_cmd_sn = expected.into();
        pdu.max_cmd_sn = max.into();
        let payload = match payload {
            Kept::Bytes(bytes) => Payload::Bytes(bytes),
            Kept::Part(bytes, range) => Payload::Part(bytes, range.clone()),
        };
        link.out.push(pdu.as_bhs(), payload, faults);
        self.wake(cid);
    }

    /// Rejects the PDU with this header.
    pub(crate) fn reject(&mut self, cid: u16, header: &Bhs, reason: RejectReason) {
        self.reject_code(cid, header, reason.code());
    }

    /// The same with any reason code.
    pub(crate) fn reject_code(&mut self, cid: u16, header: &Bhs, code: u8) {
        let mut pdu = Reject::default();
        pdu.reason_code = code;
        self.send_reject(cid, pdu, header);
    }

    /// Sends a Reject of the PDU with this header.
    pub(crate) fn send_reject(&mut self, cid: u16, pdu: Reject, header: &Bhs) {
        self.session.shared.counters.rejects.add();
        let (code, opcode) = (pdu.reason_code, header[0] & 0x3f);
        tracing::debug!(cid, code, opcode, "reject");
        self.send(cid, pdu, header, true);
    }

    /// Answers a ping; a NOP-Out without a task tag is an answer itself (RFC 7143 §11.18).
    pub(crate) fn nop(&mut self, cid: u16, request: &NopOut, data: &[u8]) {
        if request.itt.get() == NIL {
            return;
        }
        let limit = self
            .core
            .link(cid)
            .map_or(0, |link| link.parameters.max_send_data_segment);
        let echo = data.get(..limit as usize).unwrap_or(data);
        self.send(cid, NopIn::answer(request.itt.get()), echo, true);
    }

    /// Sends a NOP-In of our own; a tag of NIL wants no answer.
    pub(crate) fn ping(&mut self, cid: u16, ttt: u32) {
        self.send(cid, NopIn::ping(ttt, NO_LUN), &[], false);
    }

    /// Sends an Async Message.
    pub(crate) fn announce(&mut self, cid: u16, event: &faults::AsyncEvent) {
        let mut pdu = AsyncMessage::new(AsyncEvent::Scsi);
        pdu.event_code = event.event;
        pdu.vendor_code = event.vendor_code;
        pdu.lun = hawser_scsi::Lun::from_number(u32::try_from(event.lun).unwrap_or_default()).0;
        pdu.parameter1 = event.parameter1.into();
        pdu.parameter2 = event.parameter2.into();
        pdu.parameter3 = event.parameter3.into();
        let mut data = Vec::new();
        if !event.sense.is_empty() {
            let length = u16::try_from(event.sense.len()).unwrap_or(u16::MAX);
            data.extend_from_slice(&length.to_be_bytes());
            data.extend(event.sense.iter().take(length.into()));
        }
        self.send(cid, pdu, &data, true);
    }

    /// Makes the command window as wide as it is to be now, and tells a connection if that opened
    /// it: nothing else might (RFC 7143 §11.4.11).
    pub(crate) fn refresh_window(&mut self, cid: u16) {
        let configured = self
            .session
            .purpose
            .target()
            .map(|target| target.policy.window);
        let Some(size) = self.session.shared.faults.window().or(configured) else {
            return;
        };
        self.core.window.set_size(size);
        if self.core.window.advertise(self.core.tasks.len()) {
            self.ping(cid, NIL);
        }
    }

    /// Answers a Text Request (RFC 7143 §11.10).
    pub(crate) fn text(&mut self, cid: u16, request: &TextRequest, data: &[u8]) {
        if let Err(reason) = self.try_text(cid, request, data) {
            // RFC 7143 §6.4: the negotiation is over, and old values stay.
            if let Some(link) = self.core.link(cid) {
                link.text = None;
            }
            self.reject(cid, request.as_bhs(), reason);
        }
    }

    fn try_text(
        &mut self,
        cid: u16,
        request: &TextRequest,
        data: &[u8],
    ) -> Result<(), RejectReason> {
        let ttt = self.new_ttt();
        let Some(link) = self.core.link(cid) else {
            return Ok(());
        };
        let old = link.text.take();
        let mut exchange = if text::is_first(request) {
            TextExchange::begin(request, ttt)
        } else {
            let same = old.filter(|exchange| exchange.is_continued_by(request));
            same.ok_or(RejectReason::InvalidPduField)?
        };
        let limit = link.parameters.max_send_data_segment;
        let local = link.local;
        if let Some(whole) = exchange.take(request, data)? {
            let answer = self.answer_text(cid, local, &whole)?;
            exchange.set_answer(answer, limit);
        }
        let (mut response, text) = exchange.respond(request);
        text::set_length(&mut response, &text);
        if !response.is_final()
            && let Some(link) = self.core.link(cid)
        {
            link.text = Some(exchange);
        }
        self.send(cid, response, &text, true);
        Ok(())
    }

    /// The answer to a whole text.
    fn answer_text(
        &mut self,
        cid: u16,
        local: std::net::SocketAddr,
        whole: &[u8],
    ) -> Result<Vec<u8>, RejectReason> {
        let target = self.session.purpose.target();
        match text::read(whole, target.is_none())? {
            Question::Answered(answer, limit) => {
                if let (Some(link), Some(limit)) = (self.core.link(cid), limit) {
                    link.parameters.max_send_data_segment = limit;
                }
                Ok(answer)
            }
            Question::SendTargets(value) => {
                let realm = &self.session.shared.realm;
                let scope = target.map_or(Scope::Discovery, |target| Scope::Own(&target.name));
                let asker = Asker {
                    initiator: &self.session.key.initiator,
                    local,
                    scope,
                };
                let targets = realm.targets.iter().map(AsRef::as_ref);
                send_targets(asker, &value, targets, &realm.portals)
                    .ok_or(RejectReason::ProtocolError)
            }
        }
    }

    /// A Target Transfer Tag for a new exchange.
    pub(crate) fn new_ttt(&mut self) -> u32 {
        take_ttt(&mut self.core.next_ttt)
    }
}

/// The next Target Transfer Tag, which no other has at present; never NIL.
pub(crate) fn take_ttt(next: &mut u32) -> u32 {
    let ttt = *next;
    *next = if ttt == NIL - 1 { 0 } else { ttt + 1 };
    ttt
}
