//! The local RPC contract: messages, client, status codes.
#![forbid(unsafe_code)]

mod failure;
mod ids;
mod secret;
mod status;
mod text;

pub use failure::Failure;
pub use ids::{
    DEFAULT_PORT, MAX_LUN_NUMBER, ParseError, lun_as_discovery_library, lun_from_number,
};
pub use status::{Status, StatusInfo};
pub use text::printable;

/// Messages, clients and servers of the package `hawser.v1`, generated from `proto/hawser/v1/*.proto`
/// by `cargo xtask codegen`.
#[allow(clippy::all, unused_qualifications)]
pub mod v1 {
    include!("generated/hawser.v1.rs");
}
