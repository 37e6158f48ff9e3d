//! Replies of the transmission phase: simple, or structured where the client asked for them.

use hawser_block::BlockError;

use super::request::{Refusal, RequestHeader};
use super::wire::{self, chunk, error_code};

/// The longest error text that goes to a client, in bytes; the rest is cut off.
const MAX_ERROR_TEXT: usize = 1024;

/// What came of a request.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It succeeded; a read's data follows the reply's header.
    Done,
    /// We refused it.
    Refused(Refusal),
    /// The disk failed it.
    Failed(BlockError),
}

/// Writes reply headers.
#[derive(Debug, Clone, Copy)]
pub struct ReplyEncoder {
    structured: bool,
}

impl ReplyEncoder {
    /// An encoder of structured replies, or of simple ones.
    #[must_use]
    pub fn new(structured: bool) -> Self {
        Self { structured }
    }

    /// Appends the reply to `request` to `out`. Returns whether the read data (exactly
    /// `request.length` bytes) must follow.
    pub fn encode(&self, request: &RequestHeader, outcome: &Outcome, out: &mut Vec<u8>) -> bool {
        let (code, text) = match outcome {
            Outcome::Done => {
                self.encode_success(request, out);
                return request.is_read();
            }
            Outcome::Refused(refusal) => (refusal.code, refusal.text.to_owned()),
            Outcome::Failed(error) => (nbd_error(error), error.to_string()),
        };
        if self.structured {
            let text = &text.as_bytes()[..text.floor_char_boundary(MAX_ERROR_TEXT)];
            let length = text.len() as u32 + 6;
            chunk_header(request, chunk::ERROR, length, out);
            out.extend(code.to_be_bytes());
            out.extend((text.len() as u16).to_be_bytes());
            out.extend_from_slice(text);
        } else {
            simple(request, code, out);
        }
        false
    }

    fn encode_success(&self, request: &RequestHeader, out: &mut Vec<u8>) {
        if !self.structured {
            simple(request, 0, out);
        } else if request.is_read() {
            // A good read is at most MAX_PAYLOAD long, so the sum cannot overflow.
            chunk_header(
                request,
                chunk::OFFSET_DATA,
                request.length.saturating_add(8),
                out,
            );
            out.extend(request.offset.to_be_bytes());
        } else {
            chunk_header(request, chunk::NONE, 0, out);
        }
    }
}

fn simple(request: &RequestHeader, code: u32, out: &mut Vec<u8>) {
    out.extend(wire::SIMPLE_REPLY_MAGIC.to_be_bytes());
    out.extend(code.to_be_bytes());
    out.extend(request.cookie.to_be_bytes());
}

fn chunk_header(request: &RequestHeader, kind: u16, length: u32, out: &mut Vec<u8>) {
    out.extend(wire::STRUCTURED_REPLY_MAGIC.to_be_bytes());
    out.extend(chunk::FLAG_DONE.to_be_bytes());
    out.extend(kind.to_be_bytes());
    out.extend(request.cookie.to_be_bytes());
    out.extend(length.to_be_bytes());
}

/// The protocol's error for `error`. NBD knows few of the system's error numbers; what it does not
/// know becomes EIO.
#[must_use]
pub fn nbd_error(error: &BlockError) -> u32 {
    match error.errno() {
        libc::EROFS => error_code::EPERM,
        libc::EINVAL => error_code::EINVAL,
        libc::ENOSPC => error_code::ENOSPC,
        libc::EOPNOTSUPP => error_code::ENOTSUP,
        libc::ESHUTDOWN => error_code::ESHUTDOWN,
        _ => error_code::EIO,
    }
}
