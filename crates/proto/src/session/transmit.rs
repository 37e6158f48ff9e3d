//! One batch of outgoing PDUs: headers in an arena, payload by reference to the tasks' buffers.

use std::io::IoSlice;

use crate::digest::{Digest, wire_digest};
use crate::pdu::Pdu;

/// Where the buffers of the tasks are: the driver keeps them by slot, the core only looks into them
/// (to send, to place small payloads, to compute digests). A slot without a buffer is empty.
pub trait TaskBuffers {
    /// The data of the task in `slot`.
    fn outgoing(&self, slot: u16) -> &[u8];
    /// The space of the task in `slot`.
    fn incoming(&mut self, slot: u16) -> &mut [u8];
}

/// Segments in one batch: what one vectored write takes (well below IOV_MAX of 1024), so that the
/// slices fit a stack array.
pub const MAX_SEGMENTS: usize = 64;

/// Bytes after which a batch is full: enough to keep a socket busy, little enough that a Logout or
/// an ABORT TASK behind it leaves soon.
const BATCH_BYTES: usize = 512 * 1024;

/// Segments one PDU can add: arena, payload, arena.
const SEGMENTS_PER_PDU: usize = 3;

#[derive(Debug, Clone, Copy)]
enum Segment {
    Arena {
        start: usize,
        len: usize,
    },
    Payload {
        slot: u16,
        offset: usize,
        len: usize,
    },
}

impl Segment {
    fn len(self) -> usize {
        match self {
            Self::Arena { len, .. } | Self::Payload { len, .. } => len,
        }
    }
}

/// A batch of PDUs on their way out of one connection.
///
/// The core fills an empty batch (`Session::poll_transmit`); the driver writes
/// [`slices`](Self::slices) and [`advance`](Self::advance)s by what the socket took until the batch
/// is empty. Adjacent headers are one segment, so thirty-two reads leave as one slice.
#[derive(Debug, Default)]
pub struct Transmit {
    arena: Vec<u8>,
    segments: Vec<Segment>,
    /// Segments written completely.
    written: usize,
    /// Bytes of segment `written` that are written.
    partial: usize,
    bytes: usize,
    pdus: u32,
    /// The connection it is for.
    pub(super) link: u16,
}

impl Transmit {
    /// Nothing is left to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written >= self.segments.len()
    }

    /// Fills `out` with what is left to write and returns how many slices there are. `None` when a
    /// task's buffer is shorter than its command said: nothing may be written then, for the stream
    /// would lose its frame.
    pub fn slices<'a, B: TaskBuffers>(
        &'a self,
        buffers: &'a B,
        out: &mut [IoSlice<'a>; MAX_SEGMENTS],
    ) -> Option<usize> {
        let left = self.segments.iter().skip(self.written);
        let mut skip = self.partial;
        let mut count = 0;
        for (segment, slice) in left.zip(out.iter_mut()) {
            let bytes = match *segment {
                Segment::Arena { start, len } => self.arena.get(start..start + len),
                Segment::Payload { slot, offset, len } => {
                    buffers.outgoing(slot).get(offset..offset + len)
                }
            };
            *slice = IoSlice::new(bytes?.get(skip..)?);
            skip = 0;
            count += 1;
        }
        Some(count)
    }

    /// Records that the socket took `written` more bytes.
    pub fn advance(&mut self, mut written: usize) {
        while let Some(segment) = self.segments.get(self.written) {
            let left = segment.len() - self.partial;
            if written < left {
                self.partial += written;
                return;
            }
            written -= left;
            self.written += 1;
            self.partial = 0;
        }
    }

    /// The tasks whose buffers the batch refers to, once per reference.
    pub(super) fn referenced(&self) -> impl Iterator<Item = u16> + '_ {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Payload { slot, .. } => Some(*slot),
            Segment::Arena { .. } => None,
        })
    }

    pub(super) fn clear(&mut self) {
        self.arena.clear();
        self.segments.clear();
        self.written = 0;
        self.partial = 0;
        self.bytes = 0;
        self.pdus = 0;
    }

    /// How many bytes, and PDUs, it was filled with.
    pub(super) fn size(&self) -> (usize, u32) {
        (self.bytes, self.pdus)
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes < BATCH_BYTES && self.segments.len() + SEGMENTS_PER_PDU <= MAX_SEGMENTS
    }

    /// Adds a PDU whose data segment is `data`, copied into the batch.
    pub(super) fn push<P: Pdu>(&mut self, digests: Digests, pdu: &mut P, data: &[u8]) {
        self.push_header(digests, pdu, data.len());
        if !data.is_empty() {
            self.push_arena(data);
            self.push_trailer(digests, data);
        }
    }

    /// Adds a PDU whose data segment is `len` bytes at `offset` of the buffer of `slot`.
    pub(super) fn push_payload<P: Pdu, B: TaskBuffers>(
        &mut self,
        digests: Digests,
        pdu: &mut P,
        payload: Payload,
        buffers: &B,
    ) {
        self.push_header(digests, pdu, payload.len);
        self.push_segment(digests, payload, buffers);
    }

    /// Like [`push_payload`](Self::push_payload), with additional headers, which the header digest covers
    /// too (RFC 7143 §11.2.2, §11.2.3).
    #[cold]
    pub(super) fn push_extended<P: Pdu, B: TaskBuffers>(
        &mut self,
        digests: Digests,
        pdu: &mut P,
        headers: &[u8],
        payload: Payload,
        buffers: &B,
    ) {
        pdu.set_total_ahs_length(headers.len());
        let without = Digests {
            header: false,
            ..digests
        };
        self.push_header(without, pdu, payload.len);
        self.push_arena(headers);
        if digests.header {
            let mut digest = Digest::new();
            digest.update(pdu.as_bhs());
            digest.update(headers);
            self.push_arena(&digest.finish());
        }
        self.push_segment(digests, payload, buffers);
    }

    #[inline]
    fn push_segment<B: TaskBuffers>(&mut self, digests: Digests, payload: Payload, buffers: &B) {
        let Payload { slot, offset, len } = payload;
        if len == 0 {
            return;
        }
        self.segments.push(Segment::Payload { slot, offset, len });
        self.bytes += len;
        let data = buffers
            .outgoing(slot)
            .get(offset..offset + len)
            .unwrap_or_default();
        self.push_trailer(digests, data);
    }

    fn push_header<P: Pdu>(&mut self, digests: Digests, pdu: &mut P, data_len: usize) {
        self.pdus += 1;
        // Data segments are limited to 2^24-1 bytes by negotiation.
        pdu.set_data_segment_length(u32::try_from(data_len).unwrap_or(u32::MAX));
        self.push_arena(pdu.as_bhs());
        if digests.header {
            self.push_arena(&wire_digest(pdu.as_bhs()));
        }
    }

    /// Padding to a multiple of four bytes, and the data digest over both (RFC 7143 §11.2.3).
    fn push_trailer(&mut self, digests: Digests, data: &[u8]) {
        const PAD: [u8; 3] = [0; 3];
        let pad = PAD.get(..data.len().wrapping_neg() % 4).unwrap_or_default();
        self.push_arena(pad);
        if digests.data {
            let mut digest = Digest::new();
            digest.update(data);
            digest.update(pad);
            self.push_arena(&digest.finish());
        }
    }

    fn push_arena(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        self.bytes += bytes.len();
        match self.segments.last_mut() {
            Some(Segment::Arena { len, .. }) => *len += bytes.len(),
            _ => self.segments.push(Segment::Arena {
                start,
                len: bytes.len(),
            }),
        }
    }
}

/// A range of a task's buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payload {
    pub(super) slot: u16,
    pub(super) offset: usize,
    pub(super) len: usize,
}

/// Which digests a connection uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) header: bool,
    pub(super) data: bool,
}
