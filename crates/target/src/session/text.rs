//! Text requests in the full feature phase (RFC 7143 §6.4, §11.10, Appendix C): sans-IO, one
//! exchange at a time on a connection.

use hawser_proto::pdu::{Lun, NIL, Pdu, RejectReason, TextRequest, TextResponse};
use hawser_proto::text::{
    Assembly, Key, MAX_PAIRS, Pair, PairWriter, Pieces, Sender, lookup, pairs, spec,
};

use crate::login::{answer_unknown, receive_limit};

/// The most text that an initiator may send in one exchange: a SendTargets takes 240 bytes.
const MAX_REQUEST_TEXT: usize = 8192;

/// What a whole text asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// SendTargets with this value.
    SendTargets(String),
    /// Something else, which has this answer; the initiator's new receive limit, if it told one.
    Answered(Vec<u8>, Option<u32>),
}

/// An exchange that takes more than one request.
#[derive(Debug)]
pub(crate) struct TextExchange {
    itt: u32,
    ttt: u32,
    lun: Lun,
    incoming: Assembly,
    outgoing: Option<Pieces>,
}

impl TextExchange {
    /// The exchange that `request` begins; `ttt` is the tag by which to go on.
    pub(crate) fn begin(request: &TextRequest, ttt: u32) -> Self {
        Self {
            itt: request.itt.get(),
            ttt,
            lun: request.lun,
            incoming: Assembly::new(MAX_REQUEST_TEXT),
            outgoing: None,
        }
    }

    /// The task of the exchange.
    pub(crate) fn itt(&self) -> u32 {
        self.itt
    }

    /// Whether `request` goes on with this exchange.
    pub(crate) fn is_continued_by(&self, request: &TextRequest) -> bool {
        request.itt.get() == self.itt && request.ttt.get() == self.ttt && request.lun == self.lun
    }

    /// Takes in the text of one request; gives the whole when it is complete, or nothing when the
    /// request only asks for more of ours.
    pub(crate) fn take(
        &mut self,
        request: &TextRequest,
        data: &[u8],
    ) -> Result<Option<Vec<u8>>, RejectReason> {
        if self.outgoing.is_some() {
            let empty = data.is_empty();
            return if empty {
                Ok(None)
            } else {
                Err(RejectReason::ProtocolError)
            };
        }
        self.incoming
            .push(data, request.is_continued())
            .map_err(|_| RejectReason::ProtocolError)
    }

    /// Sets the answer to a whole text, to be sent in pieces of at most `limit` bytes.
    pub(crate) fn set_answer(&mut self, text: Vec<u8>, limit: u32) {
        self.outgoing = Some(Pieces::new(text, limit as usize));
    }

    /// The next response. The exchange is over when it is final.
    pub(crate) fn respond(&mut self, request: &TextRequest) -> (TextResponse, Vec<u8>) {
        let answered = self.outgoing.is_some();
        let (text, more) = self
            .outgoing
            .as_mut()
            .map(Pieces::next_piece)
            .unwrap_or_default();
        if !more {
            self.outgoing = None;
        }
        let mut response = TextResponse::new(self.itt);
        let last = answered && !more && request.is_final();
        response.set_final(last);
        response.set_continued(more);
        if !last {
            response.ttt = self.ttt.into();
            response.lun = self.lun;
        }
        (response, text)
    }
}

/// Reads a whole text. A discovery session may ask for targets only.
pub(crate) fn read(text: &[u8], discovery: bool) -> Result<Question, RejectReason> {
    let pairs = pairs(text, MAX_PAIRS).map_err(|_| RejectReason::ProtocolError)?;
    let send_targets = spec(Key::SendTargets).name;
    if let [only] = pairs[..]
        && only.key == send_targets
    {
        return Ok(Question::SendTargets(only.value.to_owned()));
    }
    let asks = pairs.iter().any(|pair| pair.key == send_targets);
    if asks || discovery && !pairs.is_empty() {
        return Err(RejectReason::ProtocolError);
    }
    negotiate(&pairs)
}

/// Answers the keys that may be said in the full feature phase.
fn negotiate(pairs: &[Pair<'_>]) -> Result<Question, RejectReason> {
    let mut out = PairWriter::new();
    let mut limit = None;
    for pair in pairs {
        let Some(key) = lookup(pair.key) else {
            answer_unknown(pair.key, pair.value, &mut out);
            continue;
        };
        let spec = spec(key);
        if !spec.stages.full_feature || spec.sender == Sender::Target {
            return Err(RejectReason::ProtocolError);
        }
        if key == Key::MaxRecvDataSegmentLength {
            let told = receive_limit(pair.value).ok_or(RejectReason::ProtocolError)?;
            if limit.replace(told).is_some() {
                return Err(RejectReason::ProtocolError);
            }
        }
    }
    Ok(Question::Answered(out.into_bytes(), limit))
}

/// Whether a request begins an exchange.
pub(crate) fn is_first(request: &TextRequest) -> bool {
    request.ttt.get() == NIL
}

/// The length of a text as a data segment.
pub(crate) fn set_length(response: &mut TextResponse, text: &[u8]) {
    response.set_data_segment_length(u32::try_from(text.len()).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(flags: (bool, bool), ttt: u32) -> TextRequest {
        let mut request = TextRequest::new(7);
        request.set_final(flags.0);
        request.set_continued(flags.1);
        request.ttt = ttt.into();
        request.lun = [0, 3, 0, 0, 0, 0, 0, 0];
        request
    }

    #[test]
    fn a_long_answer_goes_out_in_pieces() {
        let first = request((true, false), NIL);
        let mut exchange = TextExchange::begin(&first, 55);
        let text = exchange
            .take(&first, b"SendTargets=All\0")
            .unwrap()
            .unwrap();
        assert_eq!(
            read(&text, true),
            Ok(Question::SendTargets("All".to_owned()))
        );
        exchange.set_answer(b"TargetName=iqn.x\0".to_vec(), 10);
        let (response, text) = exchange.respond(&first);
        assert_eq!(text, b"TargetName");
        assert!(!response.is_final() && response.is_continued());
        assert_eq!((response.itt.get(), response.ttt.get()), (7, 55));
        assert_eq!(response.lun, first.lun);
        let next = request((true, false), 55);
        assert!(exchange.is_continued_by(&next));
        assert!(!exchange.is_continued_by(&request((true, false), 56)));
        assert_eq!(exchange.take(&next, b""), Ok(None));
        let (response, text) = exchange.respond(&next);
        assert_eq!(text, b"=iqn.x\0");
        assert!(response.is_final() && !response.is_continued());
        assert_eq!(response.ttt.get(), NIL);
    }

    #[test]
    fn a_question_in_pieces_is_joined() {
        let first = request((false, true), NIL);
        let mut exchange = TextExchange::begin(&first, 9);
        assert_eq!(exchange.take(&first, b"SendTar"), Ok(None));
        let (response, text) = exchange.respond(&first);
        assert!(!response.is_final() && text.is_empty());
        assert_eq!(response.ttt.get(), 9);
        let last = request((true, false), 9);
        let text = exchange.take(&last, b"gets=\0").unwrap().unwrap();
        assert_eq!(read(&text, false), Ok(Question::SendTargets(String::new())));
    }

    #[test]
    fn only_keys_of_the_full_feature_phase_are_taken() {
        let told = read(b"MaxRecvDataSegmentLength=1024\0X-test.a=1\0", false);
        let answer = b"X-test.a=NotUnderstood\0".to_vec();
        assert_eq!(told, Ok(Question::Answered(answer, Some(1024))));
        assert_eq!(read(b"", true), Ok(Question::Answered(Vec::new(), None)));
        for wrong in [
            &b"MaxBurstLength=1024\0"[..],
            b"MaxRecvDataSegmentLength=1\0",
            b"MaxRecvDataSegmentLength=1024\0MaxRecvDataSegmentLength=1024\0",
            b"TargetAlias=x\0",
            b"SendTargets=All\0X-test.a=1\0",
            b"no equals sign\0",
        ] {
            assert_eq!(read(wrong, false), Err(RejectReason::ProtocolError));
        }
        assert_eq!(
            read(b"X-test.a=1\0", true),
            Err(RejectReason::ProtocolError)
        );
    }
}
