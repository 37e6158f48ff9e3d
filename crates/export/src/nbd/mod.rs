//! An NBD server over one [`BlockDevice`](hawser_block::BlockDevice).
//!
//! The protocol ([`Handshake`], [`RequestHeader`], [`ReplyEncoder`]) decides and does no I/O, so that
//! it can be fed any split of any bytes by tests and fuzz targets; [`NbdServer`] drives it over Unix
//! and TCP sockets. The authority is `doc/proto.md` of the NetworkBlockDevice project.

mod connection;
mod converse;
mod error;
mod handshake;
mod reply;
mod request;
mod server;
mod slots;
mod unix;
mod wire;

pub use converse::{Conversation, converse};
pub use error::ClientMisbehaved;
pub use handshake::{ExportInfo, Handshake, Negotiated, Progress};
pub use reply::{Outcome, ReplyEncoder, nbd_error};
pub use request::{Command, REQUEST_LENGTH, Refusal, RequestHeader};
pub use server::{NbdServer, NbdServerError};
pub use wire::MAX_PAYLOAD;

#[cfg(test)]
mod tests;
