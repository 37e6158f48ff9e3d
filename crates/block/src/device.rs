//! The trait, its requests and its completions.

use std::fmt;
use std::sync::Arc;

use crate::BlockError;

/// What a disk is made of. Sizes are in bytes unless the name says blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Capacity in bytes; a multiple of `block_size`.
    pub size: u64,
    /// Logical block size in bytes: every offset and length is a multiple of it. A power of two
    /// between 512 and 65,536.
    pub block_size: u32,
    /// Physical block size in bytes; at least `block_size`.
    pub physical_block_size: u32,
    /// The transfer size in bytes that the disk likes best; 0 when it does not say.
    pub optimal_transfer: u32,
    /// Writes, discards and write-zeroes are refused with
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly).
    pub read_only: bool,
    /// [`Operation::Discard`] reaches the disk.
    pub can_discard: bool,
    /// [`Operation::WriteZeroes`] is carried out by the disk rather than by sending zeroes.
    pub can_write_zeroes: bool,
    /// The disk may keep acknowledged writes in a volatile cache until [`Operation::Flush`].
    pub volatile_cache: bool,
}

/// What a request asks for. `fua` = the data is on stable storage before the completion comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Fill the whole buffer from `offset`.
    Read,
    /// Write the whole buffer to `offset`.
    Write {
        /// Force unit access: durable before it completes.
        fua: bool,
    },
    /// Make every write that completed before this request was submitted durable.
    Flush,
    /// `length` bytes from `offset` are no longer needed; what they read as afterwards is unspecified.
    Discard {
        /// Bytes to discard.
        length: u64,
    },
    /// `length` bytes from `offset` read as zero afterwards.
    WriteZeroes {
        /// Bytes to zero.
        length: u64,
        /// Durable before it completes.
        fua: bool,
        /// The disk may unmap the blocks, as long as they read as zero.
        may_unmap: bool,
    },
}

/// One request. It is owned whole by the device until its completion: dropping a future or a client
/// never frees memory that is in flight.
pub struct Request {
    /// What to do.
    pub operation: Operation,
    /// Byte offset on the disk, a multiple of the block size.
    pub offset: u64,
    /// The data of a write, the space of a read (its `len()`, not its capacity, is the transfer
    /// length in bytes); handed back untouched for other operations, so that callers can keep one
    /// buffer per slot.
    pub buffer: Vec<u8>,
    /// Handed back in the [`Completion`]; means nothing to the device.
    pub token: u64,
    /// Who is told.
    pub sink: Arc<dyn CompletionSink>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("operation", &self.operation)
            .field("offset", &self.offset)
            .field("len", &self.buffer.len())
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Ends the request: gives the buffer back to its sink with `result`.
    pub fn complete(self, result: Result<(), BlockError>) {
        let Self {
            buffer,
            token,
            sink,
            ..
        } = self;
        sink.complete(Completion {
            token,
            buffer,
            result,
        });
    }

    /// Bytes of the disk the request touches: the buffer's length for reads and writes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self.operation {
            Operation::Read | Operation::Write { .. } => self.buffer.len() as u64,
            Operation::Flush => 0,
            Operation::Discard { length } | Operation::WriteZeroes { length, .. } => length,
        }
    }

    /// Checks the request against the disk: alignment, bounds, write protection. Every device calls
    /// this before it does anything else, so that all devices refuse the same requests alike.
    ///
    /// # Errors
    /// The error to complete the request with.
    pub fn check(&self, geometry: &Geometry) -> Result<(), BlockError> {
        let block = u64::from(geometry.block_size);
        let length = self.length();
        let writes = !matches!(self.operation, Operation::Read | Operation::Flush);
        if writes && geometry.read_only {
            return Err(BlockError::read_only());
        }
        if matches!(self.operation, Operation::Flush) {
            return Ok(());
        }
        if !self.offset.is_multiple_of(block) || !length.is_multiple_of(block) {
            return Err(BlockError::unaligned(
                self.offset,
                length,
                geometry.block_size,
            ));
        }
        match self.offset.checked_add(length) {
            Some(end) if end <= geometry.size => Ok(()),
            _ => Err(BlockError::out_of_range(self.offset, length, geometry.size)),
        }
    }
}

/// The end of a request.
#[derive(Debug)]
pub struct Completion {
    /// The request's token.
    pub token: u64,
    /// The request's buffer; after a failed read its contents are unspecified.
    pub buffer: Vec<u8>,
    /// What came of it.
    pub result: Result<(), BlockError>,
}

/// Who is told of completions. It is called on the device's own thread, so it must not block and
/// must not do I/O on the same device other than [`BlockDevice::submit`].
pub trait CompletionSink: Send + Sync {
    /// Takes one completion. Each submitted request is completed exactly once.
    fn complete(&self, completion: Completion);
}

/// A disk: fixed-size blocks that can be read, written, flushed and discarded.
///
/// `submit` never blocks on I/O: it queues the request and returns; the completion comes through the
/// request's sink, from any thread, in any order, possibly before `submit` returns. Requests in
/// flight together have no order between them, as on a real disk. A device that loses its backing
/// completes requests with an error or holds them, by its own policy; it never drops one.
pub trait BlockDevice: Send + Sync {
    /// The disk's present size and abilities.
    fn geometry(&self) -> Geometry;

    /// Queues `request`. Bad requests are completed with an error, like all others.
    fn submit(&self, request: Request);
}

impl fmt::Debug for dyn BlockDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockDevice")
            .field("geometry", &self.geometry())
            .finish()
    }
}
