//! The one face of a disk: [`BlockDevice`], with owned buffers and completions.
//!
//! Everything that shows a disk (NBD, FUSE, benchmarks) speaks to this trait; everything that is a
//! disk (an iSCSI LUN, a file, memory) implements it. So either side can be tested without the other.
#![forbid(unsafe_code)]

mod device;
mod error;
mod future;
mod memory;

pub use device::{BlockDevice, Completion, CompletionSink, Geometry, Operation, Request};
pub use error::{BlockError, ErrorKind};
pub use future::{IoFuture, submit};
pub use memory::MemoryDevice;
