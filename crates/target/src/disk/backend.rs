//! What stands behind a disk: bytes that can be read, written, made durable and given back.

use std::fmt::Debug;
use std::io;

mod file;
mod ram;
mod volatile;

pub use file::FileBackend;
pub use ram::RamBackend;
pub use volatile::VolatileCache;

/// The medium of a disk. All offsets and lengths are in bytes and lie inside [`Backend::size`]: the
/// caller has checked. Calls come from many threads at once and may block.
pub trait Backend: Send + Sync + Debug {
    /// Bytes of the medium. May grow or shrink while the target runs.
    fn size(&self) -> u64;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// What the medium says; a CHECK CONDITION with MEDIUM ERROR for the initiator.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Stores `data` from `offset` on; it may stay in a volatile cache.
    ///
    /// # Errors
    /// What the medium says.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Makes durable what was written before in this range.
    ///
    /// # Errors
    /// What the medium says: then nothing may be told durable.
    fn flush(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Gives the range back: from now on it reads as zeros.
    ///
    /// # Errors
    /// What the medium says.
    fn discard(&self, offset: u64, len: u64) -> io::Result<()>;

    /// What lies at `offset`: mapped or not, and how far the same is true at least.
    ///
    /// # Errors
    /// What the medium says.
    fn extent(&self, offset: u64) -> io::Result<Extent>;

    /// Whether writes may be lost until they are flushed; told to the initiator as WCE.
    fn is_volatile(&self) -> bool;

    /// The power goes off and on again: what was volatile is lost.
    fn lose_power(&self) {}

    /// Whether calls may take long. Those of a medium that never does are made where the command
    /// came in; others by a worker thread, so that one slow disk holds nobody else up.
    fn may_block(&self) -> bool {
        true
    }
}

/// A stretch of a medium that is mapped, or not, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its length in bytes from the asked offset on, at least 1.
    pub len: u64,
    /// It holds data; otherwise it reads as zeros and takes no room.
    pub mapped: bool,
}
