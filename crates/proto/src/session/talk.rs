//! The text that a target asks for in the full feature phase (asynchronous event 4): one sequence of
//! Text Requests and Responses (RFC 7143 §6.4, §11.10, §11.11).
//!
//! We propose nothing. Of what the target may declare here, its MaxRecvDataSegmentLength matters; a key
//! that we do not know is answered with `NotUnderstood`. What was said holds from the end of the
//! sequence on (§6.2: all or nothing), so a sequence that breaks off changes nothing.

use super::event::{ConnectionError, Outcome, PeerMisbehaved};
use super::task::{Kind, State, TaskId};
use super::{Session, connection::Connection};
use crate::pdu::{NIL, NO_LUN, TextResponse};
use crate::text::{
    Assembly, IRRELEVANT, Key, KeyForm, MAX_PAIRS, MAX_TEXT_BYTES, NOT_UNDERSTOOD, PairWriter,
    REJECT, lookup, pairs, parse_number, spec,
};

/// Responses in one sequence: a longest text in segments of 8192 bytes takes eight, and a target that
/// has anything to negotiate is done in a few rounds.
const MAX_RESPONSES: u32 = 16;

/// One sequence, as far as it has come.
#[derive(Debug)]
pub(super) struct Talk {
    /// The target's tag, which the next request brings back, and the logical unit that goes with it.
    pub(super) ttt: u32,
    pub(super) lun: [u8; 8],
    /// The text of the next request.
    pub(super) answers: Vec<u8>,
    text: Assembly,
    responses: u32,
    /// The target's new MaxRecvDataSegmentLength, in bytes.
    max_send: Option<u32>,
}

impl Default for Talk {
    fn default() -> Self {
        Self {
            ttt: NIL,
            lun: NO_LUN,
            answers: Vec::new(),
            text: Assembly::new(MAX_TEXT_BYTES),
            responses: 0,
            max_send: None,
        }
    }
}

impl Talk {
    /// Takes one response, and makes the answers to it.
    fn take(&mut self, pdu: &TextResponse, data: &[u8]) -> Result<(), PeerMisbehaved> {
        self.responses += 1;
        if self.responses > MAX_RESPONSES {
            return Err(PeerMisbehaved::EndlessText);
        }
        (self.ttt, self.lun) = (pdu.ttt.get(), pdu.lun);
        let whole = self.text.push(data, pdu.is_continued());
        let whole = whole.map_err(|_| PeerMisbehaved::MalformedText)?;
        self.answers = match whole {
            Some(text) => self.read(&text)?.into_bytes(),
            None => Vec::new(),
        };
        Ok(())
    }

    fn read(&mut self, text: &[u8]) -> Result<PairWriter, PeerMisbehaved> {
        let mut answers = PairWriter::new();
        let pairs = pairs(text, MAX_PAIRS).map_err(|_| PeerMisbehaved::MalformedText)?;
        for pair in pairs {
            match lookup(pair.key) {
                Some(Key::MaxRecvDataSegmentLength) => {
                    // A key that comes again is an offence, a value out of range is one too.
                    let length = declared_length(pair.value).filter(|_| self.max_send.is_none());
                    self.max_send = Some(length.ok_or(PeerMisbehaved::MalformedText)?);
                }
                // Aliases and addresses; or what has no place here and is left without effect.
                Some(_) => {}
                None if matches!(pair.value, NOT_UNDERSTOOD | IRRELEVANT | REJECT) => {}
                None => answers.push(pair.key, NOT_UNDERSTOOD),
            }
        }
        Ok(answers)
    }
}

fn declared_length(value: &str) -> Option<u32> {
    let KeyForm::Number { min, max } = spec(Key::MaxRecvDataSegmentLength).form else {
        return None;
    };
    let length = parse_number(value).ok()?;
    let fits = (min..=max).contains(&length);
    u32::try_from(length).ok().filter(|_| fits)
}

impl Connection {
    /// The sequence is over: what the target said holds now.
    fn end_talk(&mut self) {
        let talk = std::mem::take(&mut self.talk);
        if let Some(length) = talk.max_send {
            self.parameters.max_send_data_segment = length;
        }
    }
}

impl Session {
    /// The answer to a text request of ours: the last one ends the sequence, any other brings the next
    /// request, under the same tag.
    pub(super) fn handle_text_response(
        &mut self,
        index: usize,
        pdu: &TextResponse,
    ) -> Result<(), ConnectionError> {
        self.consume_stat_sn(index, pdu.stat_sn.get())?;
        let itt = pdu.itt.get();
        let id = TaskId::from_itt(itt);
        let (Some(task), Some(connection)) = (self.tasks.find(id), self.connections.get_mut(index))
        else {
            return Ok(self.late(itt)?);
        };
        if !matches!(task.kind, Kind::Text) || !task.is_sent_on(connection.link) {
            return Err(PeerMisbehaved::WrongTask(itt).into());
        }
        connection.talk.take(pdu, &connection.collected)?;
        if pdu.is_final() {
            connection.end_talk();
            self.finish(id.slot(), Outcome::Answered);
        } else if self.leaving || !connection.is_usable() {
            // No request may follow a logout (§11.14).
            self.finish(id.slot(), Outcome::Interrupted);
        } else {
            task.state = State::Ready;
            connection.immediate.push_back(id.slot());
        }
        Ok(())
    }
}
