//! The local RPC contract: messages, client, status codes, and what the Discovery Library asks of its arguments.
#![forbid(unsafe_code)]

mod client;
pub mod discovery_library;
mod failure;
mod ids;
mod places;
mod secret;
mod status;
mod text;

pub use client::{
    BlockingClient, Client, ConnectError, Deadlines, MAX_MESSAGE_SIZE, Transport, default_deadline,
};
pub use failure::{Failure, FailureReport};
pub use ids::{
    DEFAULT_PORT, MAX_LUN_NUMBER, ParseError, lun_as_discovery_library, lun_from_number,
};
pub use places::{MAX_SOCKET_PATH_LEN, NoPlace, Places, SOCKET_VARIABLE, find_socket};
pub use status::{Status, StatusInfo};
pub use text::printable;

/// Messages, clients and servers of the package `hawser.v1`, generated from `proto/hawser/v1/*.proto`
/// by `cargo xtask codegen`.
#[allow(clippy::all, clippy::too_many_lines, unused_qualifications)]
pub mod v1 {
    include!("generated/hawser.v1.rs");
}
