//! The SCSI device server of the target: disks, without a word of iSCSI.
//!
//! A [`Device`] holds [`LogicalUnit`]s by LUN and carries out one command at a time for whoever
//! calls [`Device::execute`]; it may be called from many threads at once, and it blocks while its
//! [`Backend`] works. The transport does four things:
//! 1. `device.nexus_started(&nexus)` when a session begins, `device.nexus_lost(&nexus)` when it is
//!    over (also before a reinstating session starts);
//! 2. for each command: gather all data out (at most [`MAX_TRANSFER_BYTES`]; what is longer is
//!    refused by `execute` whether its data came or not), then `execute`;
//! 3. send `data_in` (cut to what the initiator expects), the status and
//!    [`CommandResult::sense_data`], with the residual between the expected length and
//!    [`CommandResult::transfer_length`];
//! 4. `device.reset_unit(lun)` and `device.reset()` for the task management functions.
#![warn(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod attention;
pub mod backend;
mod commands;
mod device;
mod echo;
mod identity;
mod nexus;
mod refusal;
mod reservation;
mod task;
#[cfg(test)]
mod tests;
mod unit;

pub use backend::{Backend, Extent, FileBackend, RamBackend, VolatileCache};
pub use device::Device;
pub use echo::{ECHO, echo};
pub use identity::UnitIdentity;
pub use nexus::Nexus;
pub use task::CommandResult;
pub use unit::{LogicalUnit, UnitError};

/// Most bytes one command moves, in either direction: one command's buffers are a bounded part of
/// memory. Told to initiators in the block limits page.
pub const MAX_TRANSFER_BYTES: u64 = 16 * 1024 * 1024;
