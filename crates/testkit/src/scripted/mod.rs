//! A target that a test steps by hand: PDUs of raw bytes, with constants and field places typed from
//! RFC 7143 and no line of the codec under test, so that a mistake there cannot agree with itself.
//!
//! ```no_run
//! # async fn example() {
//! use hawser_testkit::scripted::{Pdu, Target, wire};
//!
//! let target = Target::listen().await;
//! // The initiator connects to `target.address()`.
//! let mut peer = target.accept().await;
//! peer.log_in(&[("InitialR2T", "Yes"), ("ImmediateData", "No")]).await;
//! let command = peer.expect(wire::SCSI_COMMAND).await;
//! let data = peer.solicit(&command, 0, 0, command.expected_length()).await;
//! peer.respond(&command, wire::GOOD).await;
//! peer.send(Pdu::nop_in(7, [0; 8])).await;
//! # }
//! ```

pub mod chap;
pub mod crc32c;
pub mod disk;
mod login;
mod numbers;
mod pdu;
mod peer;
mod rules;
mod target;
pub mod text;
pub mod wire;

pub use disk::Disk;
pub use login::Agreed;
pub use pdu::{Pdu, fixed_sense};
pub use peer::{LIMIT, Peer};
pub use target::{Recorded, Target, Transcript};
pub use text::Keys;
