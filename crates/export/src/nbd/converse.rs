//! A whole conversation without sockets and without a disk, for tests and fuzz targets.

use hawser_block::Geometry;

use super::error::ClientMisbehaved;
use super::handshake::{ExportInfo, Handshake, Progress};
use super::reply::{Outcome, ReplyEncoder};
use super::request::{Command, REQUEST_LENGTH, RequestHeader};

/// What a conversation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversation {
    /// Requests that were answered.
    pub requests: usize,
    /// Bytes of reply headers and option replies that were made for them.
    pub reply_bytes: usize,
}

/// Plays the server for the bytes of a client, handshake and requests, fed in chunks of `split` bytes
/// (at least one). Requests are judged and answered as done, or refused; nothing is read or written.
///
/// # Errors
/// The offence after which the server would close the connection.
pub fn converse(
    client: &[u8],
    split: usize,
    geometry: Geometry,
) -> Result<Conversation, ClientMisbehaved> {
    let export = ExportInfo {
        name: "disk".to_owned(),
        description: "a disk".to_owned(),
    };
    let mut handshake = Handshake::new(export, geometry);
    let mut conversation = Conversation {
        requests: 0,
        reply_bytes: 0,
    };
    let mut chunks = client.chunks(split.max(1));
    let agreed = loop {
        let output = handshake.poll_transmit();
        conversation.reply_bytes += output.map_or(0, |output| output.len());
        let Some(chunk) = chunks.next() else {
            return Ok(conversation);
        };
        match handshake.handle_input(chunk)? {
            Progress::Transmission(agreed) => break agreed,
            Progress::Closed => return Ok(conversation),
            Progress::NeedInput => {}
        }
    };
    conversation.reply_bytes += handshake.poll_transmit().map_or(0, |output| output.len());
    let mut input = handshake.into_input();
    chunks.for_each(|chunk| input.extend_from_slice(chunk));
    let mut rest = input.as_slice();
    let encoder = ReplyEncoder::new(agreed.structured_replies);
    let mut reply = Vec::new();
    while let Some((header, tail)) = rest.split_first_chunk::<REQUEST_LENGTH>() {
        let header = RequestHeader::parse(header)?;
        let Some(tail) = tail.get(header.payload_length() as usize..) else {
            break;
        };
        rest = tail;
        let outcome = match header.judge(&geometry, agreed.structured_replies) {
            Ok(Command::Disconnect) => break,
            Ok(Command::Submit(_)) => Outcome::Done,
            Err(refusal) => Outcome::Refused(refusal),
        };
        reply.clear();
        encoder.encode(&header, &outcome, &mut reply);
        conversation.requests += 1;
        conversation.reply_bytes += reply.len();
    }
    Ok(conversation)
}
