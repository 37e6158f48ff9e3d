//! Drives the sans-IO core over real sockets and timers, and offers LUNs as block devices.
//!
//! [`discovery`] asks a portal for its targets; [`Session`] logs in to one and stays logged in;
//! [`Lun`] is one of its disks, a [`BlockDevice`](hawser_block::BlockDevice). In the order of the
//! data's way: [`lun`] turns a block request into SCSI commands, `session` carries them, and
//! `session::socket` moves the bytes.
#![deny(unsafe_code)]

mod connect;
pub mod discovery;
mod error;
mod login;
pub mod lun;
mod options;
mod quirks;
mod session;
mod source;

pub use error::{ConnectFailure, LoginFailure, LoginFailureKind, ScsiError, SessionError};
pub use hawser_proto::login::{LoginError, LoginErrorKind, Waiting};
pub use hawser_proto::names::{IscsiName, Isid, NameError, Portal};
pub use hawser_proto::parameters::Parameters;
pub use hawser_proto::pdu::{TaskAttribute, TmfFunction};
pub use hawser_proto::session::{
    Counters, Hold, MAX_CONNECTIONS, MembershipError, Policy, Residual, Traffic,
};
pub use hawser_scsi::{Cdb, DiskIdentity, LongCdb, Lun as LunNumber};
pub use lun::Lun;
pub use options::{
    BusyPolling, ChapCredentials, ConnectionOptions, DigestPolicy, LoginOptions, Secret,
    SessionOptions, Timeouts,
};
pub use session::{
    ConnectionView, JoinError, ManagementRequest, RawCommand, ScsiAnswer, ScsiRequest, Session,
    SessionEvent, SessionEvents, SessionState, SessionView, Transfer,
};
