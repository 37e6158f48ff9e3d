//! Why a block request failed: a small stable kind to match on, context to print, a source to chain.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// What went wrong, as far as a caller can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Offset or length is not a multiple of the block size.
    Unaligned,
    /// The request reaches past the end of the disk.
    OutOfRange,
    /// The disk is write-protected.
    ReadOnly,
    /// The disk does not do this operation.
    Unsupported,
    /// No space on a thin-provisioned disk.
    NoSpace,
    /// Another initiator holds a reservation.
    ReservationConflict,
    /// The way to the disk is lost and the time to wait for it is over.
    Disconnected,
    /// The request did not end in its time and was aborted.
    TimedOut,
    /// The device is closed: logged out, or shut down.
    Closed,
    /// The medium or the target failed.
    Io,
}

/// An error of one request. Cheap to clone, because one cause often ends many requests.
#[derive(Debug, Clone)]
pub struct BlockError {
    kind: ErrorKind,
    context: Arc<str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl BlockError {
    /// An error of `kind`; `context` says what failed, where, and what the peer said.
    pub fn new(kind: ErrorKind, context: impl Into<Arc<str>>) -> Self {
        Self {
            kind,
            context: context.into(),
            source: None,
        }
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What to match on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn read_only() -> Self {
        Self::new(ErrorKind::ReadOnly, "the disk is write-protected")
    }

    pub(crate) fn unaligned(offset: u64, length: u64, block_size: u32) -> Self {
        let context =
            format!("offset {offset} or length {length} is not a multiple of {block_size} bytes");
        Self::new(ErrorKind::Unaligned, context)
    }

    pub(crate) fn out_of_range(offset: u64, length: u64, size: u64) -> Self {
        let context =
            format!("{length} bytes at {offset} reach past the end of a disk of {size} bytes");
        Self::new(ErrorKind::OutOfRange, context)
    }

    /// The errno that a kernel interface (FUSE, NBD, ublk) reports for this error, as Linux numbers
    /// it.
    #[must_use]
    pub fn errno(&self) -> i32 {
        const EIO: i32 = 5;
        const EBADE: i32 = 52;
        const EINVAL: i32 = 22;
        const ENOSPC: i32 = 28;
        const EROFS: i32 = 30;
        const EOPNOTSUPP: i32 = 95;
        const ETIMEDOUT: i32 = 110;
        const ESHUTDOWN: i32 = 108;
        match self.kind {
            ErrorKind::Unaligned | ErrorKind::OutOfRange => EINVAL,
            ErrorKind::ReadOnly => EROFS,
            ErrorKind::Unsupported => EOPNOTSUPP,
            ErrorKind::NoSpace => ENOSPC,
            ErrorKind::ReservationConflict => EBADE,
            ErrorKind::TimedOut => ETIMEDOUT,
            ErrorKind::Closed => ESHUTDOWN,
            ErrorKind::Disconnected | ErrorKind::Io => EIO,
        }
    }
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl Error for BlockError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
