//! Cuts a byte stream into PDUs, for either role (RFC 7143 §11.2, §13.1).
//!
//! [`Receiver`] takes the stream in pieces of any size and gives headers, runs of payload and
//! ends of PDUs. It never owns payload: a run is a part of the input, and payload that the caller
//! reads straight into its own buffer is only shown to it ([`Receiver::payload_in_place`]).

mod buffer;

use thiserror::Error;

pub use buffer::PageBuffer;

use crate::digest::{DIGEST_LENGTH, Digest, wire_digest};
use crate::pdu::ahs::MAX_AHS_LENGTH;
use crate::pdu::{BHS_LENGTH, BasicHeader, Bhs, pad_length};

/// Room for the longest header: basic header, additional headers, digest.
const MAX_HEADER: usize = BHS_LENGTH + MAX_AHS_LENGTH + DIGEST_LENGTH;

/// Room for the longest trailer of a data segment: padding and digest.
const MAX_TRAILER: usize = 3 + DIGEST_LENGTH;

/// What makes a stream unusable: nothing after it can be trusted, so the connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Offence {
    /// The header digest is wrong: where the PDU ends is not known (RFC 7143 §7.8).
    #[error(
        "wrong header digest: received {received:02x?}, computed {computed:02x?}, opcode byte \
         {opcode:#04x}"
    )]
    HeaderDigest {
        /// The digest that came, as on the wire.
        received: [u8; DIGEST_LENGTH],
        /// The digest of the header that came, as on the wire.
        computed: [u8; DIGEST_LENGTH],
        /// Byte 0 of the header.
        opcode: u8,
    },
    /// More data than our MaxRecvDataSegmentLength allows (RFC 7143 §13.12).
    #[error(
        "data segment of {length} bytes above our MaxRecvDataSegmentLength of {limit}, opcode \
         byte {opcode:#04x}"
    )]
    DataSegmentTooLong {
        /// DataSegmentLength in bytes.
        length: u32,
        /// Our MaxRecvDataSegmentLength in bytes.
        limit: u32,
        /// Byte 0 of the header.
        opcode: u8,
    },
    /// More additional headers than any command can need ([`MAX_AHS_LENGTH`]).
    #[error(
        "additional headers of {length} bytes above the limit of {MAX_AHS_LENGTH}, opcode byte \
         {opcode:#04x}"
    )]
    AhsTooLong {
        /// TotalAHSLength in bytes.
        length: usize,
        /// Byte 0 of the header.
        opcode: u8,
    },
}

/// One thing found in the stream. Each PDU gives one `Header`, then any number of `Data`, then one
/// `End`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A whole header, whose digest (if any) is right. [`Receiver::ahs`] holds its additional
    /// headers until the next header begins.
    Header(Bhs),
    /// The next run of payload.
    Data {
        /// Where the run begins within the data segment, in bytes.
        offset: u32,
        /// The run; never empty.
        bytes: &'a [u8],
    },
    /// The PDU is complete, with padding and data digest.
    End {
        /// False when the data digest is wrong; true without one.
        digest_ok: bool,
    },
}

/// Where in a PDU the stream stands.
#[derive(Debug, Clone, Copy)]
enum State {
    /// In a header, of which `gathered` bytes are in the buffer.
    Header { gathered: usize },
    /// In the payload, of which `seen` of `length` bytes went by.
    Payload { seen: u32, length: u32 },
    /// In padding and data digest, of which `gathered` of `length` bytes are in the buffer.
    Trailer { gathered: usize, length: usize },
    /// Behind a PDU whose end was not told yet.
    End,
    /// The stream is unusable.
    Failed(Offence),
}

/// The parser of one direction of one connection.
///
/// Call [`next`](Self::next) with the bytes that were read until it gives `None`, which it does
/// when it has used up all input; then read more. When [`payload_missing`](Self::payload_missing)
/// says that payload is still to come, the caller may instead read up to that many bytes straight
/// to where they belong and show them to [`payload_in_place`](Self::payload_in_place).
///
/// After an error every further call gives the same error.
#[derive(Debug)]
pub struct Receiver {
    state: State,
    header_digest: bool,
    data_digest: bool,
    /// A PDU with a wrong header digest may be skipped.
    skips_bad_headers: bool,
    /// The last header had a wrong digest.
    bad_header: bool,
    /// Whether the PDU under way has a data digest.
    pdu_has_data_digest: bool,
    max_data_segment: u32,
    /// The header when it came in pieces or has additional headers.
    header: [u8; MAX_HEADER],
    /// Length of the additional headers of the last header.
    ahs_length: usize,
    trailer: [u8; MAX_TRAILER],
    digest: Digest,
}

impl Receiver {
    /// A receiver without digests, as every connection begins, that takes data segments of up to
    /// `max_recv_data_segment_length` bytes (our own declaration, 8192 until one was made).
    #[must_use]
    pub fn new(max_recv_data_segment_length: u32) -> Self {
        Self {
            state: State::Header { gathered: 0 },
            header_digest: false,
            data_digest: false,
            skips_bad_headers: false,
            bad_header: false,
            pdu_has_data_digest: false,
            max_data_segment: max_recv_data_segment_length,
            header: [0; MAX_HEADER],
            ahs_length: 0,
            trailer: [0; MAX_TRAILER],
            digest: Digest::new(),
        }
    }

    /// Switches header and data digests on or off from the next header on.
    pub fn set_digests(&mut self, header: bool, data: bool) {
        self.header_digest = header;
        self.data_digest = data;
    }

    /// Says whether a wrong header digest ends the stream at once, as it does unless told otherwise,
    /// or only when the next one is wrong too (RFC 7143 §7.8). In the second case the lengths in the
    /// header are believed, and [`header_is_bad`](Self::header_is_bad) tells that the PDU is to be
    /// discarded.
    pub fn set_skip_bad_headers(&mut self, skip: bool) {
        self.skips_bad_headers = skip;
    }

    /// Whether the last header given had a wrong digest: nothing of its PDU is to be used.
    #[must_use]
    pub fn header_is_bad(&self) -> bool {
        self.bad_header
    }

    /// Sets the longest data segment to take, in bytes, from the next header on.
    pub fn set_max_recv_data_segment_length(&mut self, length: u32) {
        self.max_data_segment = length;
    }

    /// The additional headers of the last header given, with their padding.
    #[must_use]
    pub fn ahs(&self) -> &[u8] {
        self.header
            .get(BHS_LENGTH..BHS_LENGTH + self.ahs_length)
            .unwrap_or_default()
    }

    /// Payload bytes of the PDU under way that did not come yet; 0 outside a payload.
    #[must_use]
    pub fn payload_missing(&self) -> usize {
        match self.state {
            State::Payload { seen, length } => (length - seen) as usize,
            _ => 0,
        }
    }

    /// Where in the data segment the next payload byte belongs; 0 outside a payload.
    #[must_use]
    pub fn payload_offset(&self) -> u32 {
        match self.state {
            State::Payload { seen, .. } => seen,
            _ => 0,
        }
    }

    /// Whether the stream stands between two PDUs, where a peer may close it.
    #[must_use]
    pub fn is_between_pdus(&self) -> bool {
        matches!(self.state, State::Header { gathered: 0 })
    }

    /// Takes note of payload bytes that the caller read to where they belong: the next bytes of
    /// the stream, at most [`payload_missing`](Self::payload_missing). Gives how many it took; what
    /// is beyond the payload is not taken and belongs to [`next`](Self::next).
    pub fn payload_in_place(&mut self, bytes: &[u8]) -> usize {
        self.take_payload(bytes).len()
    }

    /// Takes the next thing from the front of `input`, which is shortened by what was used.
    /// `None` means that all input is used up and more is needed.
    ///
    /// # Errors
    /// An [`Offence`]: the connection must be closed.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Item<'a>>, Offence> {
        match self.state {
            State::Header { gathered } => {
                let header = self.header(gathered, input);
                header.inspect_err(|offence| self.state = State::Failed(*offence))
            }
            State::Payload { seen, .. } => {
                let bytes = self.take_payload(input);
                *input = input.get(bytes.len()..).unwrap_or_default();
                Ok((!bytes.is_empty()).then_some(Item::Data {
                    offset: seen,
                    bytes,
                }))
            }
            State::Trailer { gathered, length } => Ok(self.trailer(gathered, length, input)),
            State::End => Ok(Some(self.end(true))),
            State::Failed(offence) => Err(offence),
        }
    }

    /// Gives a header as soon as it is whole.
    fn header<'a>(
        &mut self,
        gathered: usize,
        input: &mut &'a [u8],
    ) -> Result<Option<Item<'a>>, Offence> {
        let bhs = match self.header_in_one_piece(gathered, input)? {
            Some(bhs) => bhs,
            None => match self.gather_header(gathered, input)? {
                Some(bhs) => bhs,
                None => return Ok(None),
            },
        };
        let header = BasicHeader::from_bhs(&bhs);
        let length = header.data_segment_length();
        if length > self.max_data_segment {
            let (limit, opcode) = (self.max_data_segment, header.opcode);
            return Err(Offence::DataSegmentTooLong {
                length,
                limit,
                opcode,
            });
        }
        self.pdu_has_data_digest = self.data_digest;
        if length == 0 {
            self.state = State::End;
        } else {
            self.state = State::Payload { seen: 0, length };
            if self.pdu_has_data_digest {
                self.digest.reset();
            }
        }
        Ok(Some(Item::Header(bhs)))
    }

    /// The usual case: a header without additional ones that lies whole in `input`.
    fn header_in_one_piece(
        &mut self,
        gathered: usize,
        input: &mut &[u8],
    ) -> Result<Option<Bhs>, Offence> {
        if gathered != 0 {
            return Ok(None);
        }
        let Some((bhs, mut rest)) = input.split_first_chunk::<BHS_LENGTH>() else {
            return Ok(None);
        };
        if BasicHeader::from_bhs(bhs).total_ahs_length != 0 {
            return Ok(None);
        }
        if self.header_digest {
            let Some((received, behind)) = rest.split_first_chunk::<DIGEST_LENGTH>() else {
                return Ok(None);
            };
            self.judge_header(check_header_digest(bhs, *received))?;
            rest = behind;
        }
        *input = rest;
        self.ahs_length = 0;
        Ok(Some(*bhs))
    }

    /// Gathers a header in the buffer; gives it when it is whole.
    fn gather_header(
        &mut self,
        mut gathered: usize,
        input: &mut &[u8],
    ) -> Result<Option<Bhs>, Offence> {
        gather(&mut self.header, &mut gathered, BHS_LENGTH, input);
        self.state = State::Header { gathered };
        let Some(bhs) = self
            .header
            .first_chunk::<BHS_LENGTH>()
            .filter(|_| gathered >= BHS_LENGTH)
        else {
            return Ok(None);
        };
        let bhs = *bhs;
        let header = BasicHeader::from_bhs(&bhs);
        let ahs_length = header.total_ahs_length();
        if ahs_length > MAX_AHS_LENGTH {
            return Err(Offence::AhsTooLong {
                length: ahs_length,
                opcode: header.opcode,
            });
        }
        let digest_at = BHS_LENGTH + ahs_length;
        let length = digest_at + if self.header_digest { DIGEST_LENGTH } else { 0 };
        gather(&mut self.header, &mut gathered, length, input);
        self.state = State::Header { gathered };
        if gathered < length {
            return Ok(None);
        }
        if self.header_digest
            && let Some((covered, rest)) = self.header.split_at_checked(digest_at)
            && let Some(received) = rest.first_chunk::<DIGEST_LENGTH>()
        {
            let judged = check_header_digest(covered, *received);
            self.judge_header(judged)?;
        }
        self.ahs_length = ahs_length;
        Ok(Some(bhs))
    }

    /// Lets a header pass whose digest was compared. The first wrong one may pass; a second one
    /// behind it shows that the stream has lost its step.
    fn judge_header(&mut self, compared: Result<(), Offence>) -> Result<(), Offence> {
        let may_pass = self.skips_bad_headers && !self.bad_header;
        self.bad_header = compared.is_err();
        if may_pass { Ok(()) } else { compared }
    }

    /// Takes the next payload bytes from the front of `bytes` and gives what it took.
    fn take_payload<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let State::Payload { seen, length } = self.state else {
            return &[];
        };
        let taken = bytes.get(..(length - seen) as usize).unwrap_or(bytes);
        if self.pdu_has_data_digest {
            self.digest.update(taken);
        }
        // What was taken is at most `length - seen`, so it fits.
        let seen = seen + u32::try_from(taken.len()).unwrap_or(length - seen);
        self.state = if seen < length {
            State::Payload { seen, length }
        } else {
            let digest_length = if self.pdu_has_data_digest {
                DIGEST_LENGTH
            } else {
                0
            };
            match pad_length(length) + digest_length {
                0 => State::End,
                length => State::Trailer {
                    gathered: 0,
                    length,
                },
            }
        };
        taken
    }

    /// Takes padding and data digest in; tells the end when they are whole.
    fn trailer<'a>(
        &mut self,
        mut gathered: usize,
        length: usize,
        input: &mut &'a [u8],
    ) -> Option<Item<'a>> {
        gather(&mut self.trailer, &mut gathered, length, input);
        self.state = State::Trailer { gathered, length };
        if gathered < length {
            return None;
        }
        if !self.pdu_has_data_digest {
            return Some(self.end(true));
        }
        let (pad, received) = self
            .trailer
            .get(..length)?
            .split_last_chunk::<DIGEST_LENGTH>()?;
        self.digest.update(pad);
        let digest_ok = self.digest.finish() == *received;
        Some(self.end(digest_ok))
    }

    /// Tells the end of a PDU and makes ready for the next.
    fn end<'a>(&mut self, digest_ok: bool) -> Item<'a> {
        self.state = State::Header { gathered: 0 };
        Item::End { digest_ok }
    }
}

/// Moves bytes from the front of `input` to the buffer until that holds `length` bytes.
fn gather(buffer: &mut [u8], gathered: &mut usize, length: usize, input: &mut &[u8]) {
    let wanted = buffer.get_mut(*gathered..length).unwrap_or_default();
    let count = wanted.len().min(input.len());
    if let (Some(to), Some((from, rest))) = (wanted.get_mut(..count), input.split_at_checked(count))
    {
        to.copy_from_slice(from);
        *gathered += count;
        *input = rest;
    }
}

/// Compares the digest that came with that of the header.
fn check_header_digest(header: &[u8], received: [u8; DIGEST_LENGTH]) -> Result<(), Offence> {
    let computed = wire_digest(header);
    if received == computed {
        return Ok(());
    }
    let opcode = header.first().copied().unwrap_or_default();
    Err(Offence::HeaderDigest {
        received,
        computed,
        opcode,
    })
}

#[cfg(test)]
mod tests;
