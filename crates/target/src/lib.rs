//! A small real iSCSI target for demos and tests (RFC 7143), on the same codec as the initiator but
//! with nothing else in common.
//!
//! Put together a [`TargetServer`] of portals and [`TargetConfig`]s, start it, and watch or disturb
//! it through its [`TargetHandle`]; [`faults`] lists what can be made to go wrong, [`KeyPolicy`] what
//! a login can agree on: sessions of several connections, ErrorRecoveryLevel 0 to 2, data in any
//! order, FastAbort, iSCSIProtocolLevel 2. An initiator that offers none of this meets a plain
//! target.
//!
//! From the outside in: [`server`] listens; `connection` carries PDUs over one socket, first those
//! of `login`, then those of a `session`; `registry` knows which session replaces which; `session`
//! puts requests in order, gathers their data and has the [`disk`] carry them out.
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

pub mod config;
mod connection;
mod counters;
pub mod disk;
pub mod faults;
pub mod forward;
mod login;
pub mod policy;
pub mod program;
mod realm;
mod registry;
mod send_targets;
pub mod server;
mod session;

pub use config::{Access, ChapConfig, Credentials, PortalConfig, TargetConfig};
pub use counters::Snapshot;
pub use faults::Faults;
pub use policy::{DigestPolicy, KeyPolicy};
pub use server::{SessionInfo, StartError, TargetHandle, TargetServer};
