//! The local RPC contract: messages, client, status codes.
#![forbid(unsafe_code)]

mod ids;
mod secret;
mod text;

pub use ids::{
    DEFAULT_PORT, MAX_LUN_NUMBER, ParseError, lun_as_discovery_library, lun_from_number,
};
pub use text::printable;

/// Messages, clients and servers of the package `hawser.v1`, generated from `proto/hawser/v1/*.proto`
/// by `cargo xtask codegen`.
#[allow(clippy::all, unused_qualifications)]
pub mod v1 {
    include!("generated/hawser.v1.rs");
}
