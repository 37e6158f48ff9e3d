//! What a connection has yet to write: headers and small payloads gathered in long runs, large
//! payloads by reference, all of it offered to one vectored write.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use hawser_proto::digest::{DIGEST_LENGTH, wire_digest};
use hawser_proto::pdu::{Bhs, pad_length};

use crate::faults::{Direction, Faults, PduAction};

/// A run of gathered bytes is closed when it has grown to this many, so that it can be reused.
const RUN_LIMIT: usize = 256 * 1024;

/// How many empty runs are kept for reuse.
const SPARE_RUNS: usize = 4;

/// How many written payload buffers are kept for reuse: as many as are large and in flight on a fast
/// connection.
const SPARE_PAYLOADS: usize = 4;

/// The most slices offered to one vectored write; the kernel takes up to 1024.
pub(crate) const SLICES_LIMIT: usize = 64;

/// Bytes in the order in which they are to be written.
#[derive(Debug)]
enum Chunk {
    /// Headers, digests, padding, small payloads.
    Run(Vec<u8>),
    /// A part of a large payload.
    Part(Arc<Vec<u8>>, Range<usize>),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Run(run) => run,
            Self::Part(payload, range) => payload.get(range.clone()).unwrap_or_default(),
        }
    }
}

/// Which digests of a PDU are to be wrong.
#[derive(Debug, Clone, Copy, Default)]
struct Spoilt {
    header: bool,
    data: bool,
}

impl Spoilt {
    const HEADER: Self = Self {
        header: true,
        data: false,
    };
    const DATA: Self = Self {
        header: false,
        data: true,
    };
}

/// The payload of one PDU.
#[derive(Debug, Clone)]
pub(crate) enum Payload<'a> {
    /// Bytes to copy; none make no data segment.
    Bytes(&'a [u8]),
    /// A range of a large buffer, to be written from where it is.
    Part(&'a Arc<Vec<u8>>, Range<usize>),
}

impl Payload<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Part(_, range) => range.is_empty(),
        }
    }
}

/// The queue of bytes to write on one connection.
#[derive(Debug, Default)]
pub(crate) struct Output {
    chunks: VecDeque<Chunk>,
    /// The run that is being gathered: it comes after all chunks.
    open: Vec<u8>,
    /// How much of the first chunk, or else of the open run, has been written.
    written: usize,
    /// Bytes not written yet.
    pending: usize,
    spare: Vec<Vec<u8>>,
    /// Large buffers that have been written and nobody else holds.
    payloads: Vec<Vec<u8>>,
    header_digest: bool,
    data_digest: bool,
    /// The connection, which faults may be meant for.
    cid: u16,
    /// Nothing more is taken once the PDU after which a fault closes the connection is queued.
    cut: bool,
}

impl Output {
    /// Digests on or off for what is queued from now on.
    pub(crate) fn set_digests(&mut self, header: bool, data: bool) {
        self.header_digest = header;
        self.data_digest = data;
    }

    /// Says which connection it writes to.
    pub(crate) fn set_cid(&mut self, cid: u16) {
        self.cid = cid;
    }

    /// Whether everything has been written.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// Bytes not written yet.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// A fault wants the connection closed once all is written.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Queues one PDU. `header` must state the length of `payload`; padding and digests are added
    /// here.
    pub(crate) fn push(&mut self, header: &Bhs, payload: Payload<'_>, faults: &Faults) {
        if self.cut {
            return;
        }
        let opcode = header[0];
        match faults.take_strike(Direction::Sent, opcode, self.cid) {
            None => self.push_one(header, payload, Spoilt::default(), faults),
            Some(PduAction::Drop) => {}
            Some(PduAction::Duplicate) => {
                self.push_one(header, payload.clone(), Spoilt::default(), faults);
                self.push_one(header, payload, Spoilt::default(), faults);
            }
            Some(PduAction::SpoilHeaderDigest) => {
                self.push_one(header, payload, Spoilt::HEADER, faults);
            }
            Some(PduAction::SpoilDataDigest) => {
                self.push_one(header, payload, Spoilt::DATA, faults);
            }
            Some(PduAction::CutBefore) => self.cut = true,
            Some(PduAction::CutAfter) => {
                self.push_one(header, payload, Spoilt::default(), faults);
                self.cut = true;
            }
        }
    }

    /// Throws away what is queued.
    pub(crate) fn discard(&mut self) {
        self.chunks.clear();
        self.open.clear();
        (self.pending, self.written) = (0, 0);
    }

    fn push_one(&mut self, header: &Bhs, payload: Payload<'_>, spoilt: Spoilt, faults: &Faults) {
        let spoilt = Spoilt {
            header: self.header_digest && (spoilt.header || faults.take_header_digest()),
            ..spoilt
        };
        let header_digest = self
            .header_digest
            .then(|| spoil(wire_digest(header), spoilt.header));
        let run = self.run();
        let before = run.len();
        run.extend_from_slice(header);
        if let Some(digest) = header_digest {
            run.extend_from_slice(&digest);
        }
        let mut queued = run.len() - before;
        let has_data_digest = self.data_digest && !payload.is_empty();
        let spoilt = has_data_digest && (spoilt.data || faults.take_data_digest());
        queued += match payload {
            Payload::Bytes(bytes) => self.push_bytes(bytes, spoilt),
            Payload::Part(payload, range) => self.push_part(payload, range, spoilt),
        };
        self.pending += queued;
        self.cut |= faults.pdu_sent();
    }

    /// Puts as many slices as there are, and fit, into `slices`; returns how many. At most `limit`
    /// bytes.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>], limit: usize) -> usize {
        let mut skip = self.written;
        let mut room = limit;
        let mut count = 0;
        let queued = self.chunks.iter().map(Chunk::bytes).chain([&self.open[..]]);
        for (slot, bytes) in slices.iter_mut().zip(queued) {
            let bytes = bytes.get(skip..).unwrap_or_default();
            let bytes = bytes.get(..room).unwrap_or(bytes);
            skip = 0;
            room -= bytes.len();
            *slot = IoSlice::new(bytes);
            count += 1;
            if room == 0 {
                break;
            }
        }
        count
    }

    /// A buffer for a large payload, perhaps with old contents.
    pub(crate) fn take_payload(&mut self) -> Vec<u8> {
        self.payloads.pop().unwrap_or_default()
    }

    /// Takes a buffer for [`Self::take_payload`].
    pub(crate) fn give_payload(&mut self, payload: Vec<u8>) {
        if payload.capacity() > 0 && self.payloads.len() < SPARE_PAYLOADS {
            self.payloads.push(payload);
        }
    }

    /// Takes note that `count` bytes have been written.
    pub(crate) fn advance(&mut self, count: usize) {
        self.pending = self.pending.saturating_sub(count);
        self.written += count;
        while let Some(first) = self.chunks.front() {
            let length = first.bytes().len();
            if self.written < length {
                return;
            }
            self.written -= length;
            match self.chunks.pop_front() {
                Some(Chunk::Run(mut run)) if self.spare.len() < SPARE_RUNS => {
                    run.clear();
                    self.spare.push(run);
                }
                Some(Chunk::Part(payload, _)) if self.payloads.len() < SPARE_PAYLOADS => {
                    self.payloads.extend(Arc::into_inner(payload));
                }
                _ => {}
            }
        }
        if self.written >= self.open.len() {
            self.open.clear();
            self.written = 0;
        }
    }

    /// The run that is being gathered; a full one is closed first.
    fn run(&mut self) -> &mut Vec<u8> {
        if self.open.len() >= RUN_LIMIT {
            self.close_run();
        }
        &mut self.open
    }

    /// Puts the run that is being gathered behind what is queued and begins another.
    fn close_run(&mut self) {
        if !self.open.is_empty() {
            let next = self.spare.pop().unwrap_or_default();
            let run = std::mem::replace(&mut self.open, next);
            self.chunks.push_back(Chunk::Run(run));
        }
    }

    fn push_bytes(&mut self, bytes: &[u8], spoilt: bool) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        let with_digest = self.data_digest;
        let run = self.run();
        let start = run.len();
        run.extend_from_slice(bytes);
        finish_data(run, start, with_digest, spoilt);
        run.len() - start
    }

    fn push_part(&mut self, payload: &Arc<Vec<u8>>, range: Range<usize>, spoilt: bool) -> usize {
        let bytes = payload.get(range.clone()).unwrap_or_default();
        if bytes.is_empty() {
            return 0;
        }
        let pad = pad_length_of(bytes.len());
        let digest = self.data_digest.then(|| {
            let mut digest = hawser_proto::digest::Digest::new();
            digest.update(bytes);
            digest.update([0; 3].get(..pad).unwrap_or_default());
            spoil(digest.finish(), spoilt)
        });
        let length = bytes.len();
        self.close_run();
        self.chunks
            .push_back(Chunk::Part(Arc::clone(payload), range));
        if pad == 0 && digest.is_none() {
            return length;
        }
        let run = self.run();
        let before = run.len();
        run.resize(before + pad, 0);
        run.extend_from_slice(digest.as_ref().map_or(&[][..], |digest| &digest[..]));
        length + run.len() - before
    }
}

/// Pads the data that begins at `start` and adds its digest.
fn finish_data(run: &mut Vec<u8>, start: usize, with_digest: bool, spoilt: bool) {
    let pad = pad_length_of(run.len() - start);
    run.resize(run.len() + pad, 0);
    if with_digest {
        let digest = wire_digest(run.get(start..).unwrap_or_default());
        run.extend_from_slice(&spoil(digest, spoilt));
    }
}

/// The padding behind `length` bytes; a data segment never has more than 24 bits of length.
fn pad_length_of(length: usize) -> usize {
    pad_length(u32::try_from(length).unwrap_or_default())
}

fn spoil(digest: [u8; DIGEST_LENGTH], wanted: bool) -> [u8; DIGEST_LENGTH] {
    if wanted {
        digest.map(|byte| !byte)
    } else {
        digest
    }
}

#[cfg(test)]
mod tests {
    use hawser_proto::pdu::BHS_LENGTH;

    use super::*;

    fn drain(output: &mut Output, piece: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_LIMIT];
            let count = output.slices(&mut slices, piece);
            let written: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            assert!(written > 0 && written <= piece);
            slices[..count]
                .iter()
                .for_each(|slice| bytes.extend_from_slice(slice));
            output.advance(written);
        }
        bytes
    }

    fn fill(output: &mut Output, payload: &Arc<Vec<u8>>) -> Vec<u8> {
        let faults = Faults::default();
        let header = [0x11; BHS_LENGTH];
        output.push(&header, Payload::Bytes(b"abcde"), &faults);
        output.push(&header, Payload::Part(payload, 2..9), &faults);
        output.push(&header, Payload::Part(payload, 0..8), &faults);
        output.push(&[0x22; BHS_LENGTH], Payload::Bytes(b"xyz"), &faults);
        output.push(&header, Payload::Bytes(&[]), &faults);
        let mut expected = Vec::new();
        for (byte, data) in [
            (0x11, &b"abcde\0\0\0"[..]),
            (0x11, b"2345678\0"),
            (0x11, b"01234567"),
            (0x22, b"xyz\0"),
            (0x11, b""),
        ] {
            expected.extend_from_slice(&[byte; BHS_LENGTH]);
            expected.extend_from_slice(data);
        }
        expected
    }

    #[test]
    fn what_is_queued_comes_out_in_order_in_any_pieces() {
        let payload = Arc::new(b"0123456789".to_vec());
        for piece in [1, 7, 48, 53, 100_000] {
            let mut output = Output::default();
            for _ in 0..2 {
                let expected = fill(&mut output, &payload);
                assert_eq!(output.pending(), expected.len());
                assert_eq!(drain(&mut output, piece), expected, "in pieces of {piece}");
            }
        }
    }

    #[test]
    fn digests_cover_header_and_padded_data() {
        let faults = Faults::default();
        let mut output = Output::default();
        output.set_digests(true, true);
        let payload = Arc::new(b"123456789".to_vec());
        output.push(&[0; BHS_LENGTH], Payload::Part(&payload, 0..9), &faults);
        output.push(&[0; BHS_LENGTH], Payload::Bytes(b"123456789"), &faults);
        output.push(&[0; BHS_LENGTH], Payload::Bytes(b"123456789"), &faults);
        faults.corrupt_next_data_digest();
        output.push(&[0; BHS_LENGTH], Payload::Bytes(b"123456789"), &faults);
        let bytes = drain(&mut output, 1000);
        let data = wire_digest(b"123456789\0\0\0");
        for (index, pdu) in bytes.chunks(48 + 4 + 12 + 4).enumerate() {
            assert_eq!(pdu[48..52], wire_digest(&[0; 48]), "PDU {index}");
            assert_eq!(pdu[52..64], *b"123456789\0\0\0", "PDU {index}");
            assert_eq!(pdu[64..] == data, index < 3, "PDU {index}");
        }
        assert_eq!(bytes.len(), 4 * 68);
    }

    #[test]
    fn nothing_follows_the_pdu_after_which_a_fault_cuts() {
        let faults = Faults::default();
        faults.drop_after_pdus(2);
        let mut output = Output::default();
        for byte in 1..4 {
            output.push(&[byte; BHS_LENGTH], Payload::Bytes(&[]), &faults);
        }
        assert!(output.is_cut());
        assert_eq!(drain(&mut output, 1000).len(), 2 * BHS_LENGTH);
    }
}
