//! Builds SCSI CDBs and reads what comes back.
//!
//! Pure: no IO, no clock, no state. [`lun`] says which unit, [`cdb`] what it shall do, [`status`]
//! and [`sense`] how it went; [`inquiry`], [`vpd`], [`capacity`], [`report_luns`] and [`mode`] read
//! the answers, and [`identity`] decides from them which disk this is. Whatever a device sends is
//! hostile: every decoder takes any bytes and gives a value or a [`DecodeError`], never a panic.
//!
//! Field positions follow SPC-4 (primary commands), SBC-3 (block commands) and SAM-5 (LUNs, status).
#![forbid(unsafe_code)]
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

pub mod capacity;
pub mod cdb;
mod error;
mod fields;
pub mod identity;
pub mod inquiry;
pub mod lun;
pub mod mode;
pub mod opcode;
pub mod report_luns;
pub mod sense;
pub mod status;
pub mod vpd;

pub use capacity::Capacity;
pub use cdb::{Cdb, IoFlags, LongCdb};
pub use error::DecodeError;
pub use identity::DiskIdentity;
pub use inquiry::Inquiry;
pub use lun::Lun;
pub use report_luns::ReportedLuns;
pub use sense::{Sense, SenseKey};
pub use status::Status;
