//! The PDUs of iSCSI (RFC 7143 §11): 48-byte headers seen in place, without copying.
//!
//! Each header is a struct laid out as on the wire, named and with fields named as in the RFC.
//! Build one with its `new` or `Default` (right opcode, mandatory bits, tags [`NIL`]), set what
//! else is to be said and send [`Pdu::as_bhs`]. Read one with [`FromTarget::parse`] or
//! [`FromInitiator::parse`], which refuse what contradicts itself and name why ([`Malformed`]).
//! Bits and fields that the RFC reserves are sent as 0 and ignored on receipt.

#[macro_use]
mod macros;

pub mod ahs;
mod data;
mod header;
mod login;
mod logout;
mod malformed;
mod message;
mod nop;
mod parse;
mod scsi;
mod snack;
mod task;
mod text;

pub use data::{DataIn, DataOut, R2t};
pub use header::{
    BHS_LENGTH, BasicHeader, Bhs, Lun, MAX_DATA_SEGMENT_LENGTH, NIL, NO_LUN, Opcode, Pdu, Request,
    Response, SequenceNumbers, pad_length,
};
pub use login::{Isid, LoginRequest, LoginResponse, LoginStage, LoginStatus, StatusClass};
pub use logout::{LogoutReason, LogoutRequest, LogoutResponse, LogoutResponseCode};
pub use malformed::Malformed;
pub use message::{AsyncEvent, AsyncMessage, Reject, RejectReason};
pub use nop::{NopIn, NopOut};
pub use parse::{FromInitiator, FromTarget};
pub use scsi::{DataDirection, ScsiCommand, ScsiResponse, ServiceResponse, TaskAttribute};
pub use snack::{Snack, SnackType};
pub use task::{TaskManagementRequest, TaskManagementResponse, TmfFunction, TmfResponse};
pub use text::{TextRequest, TextResponse};
pub use zerocopy::big_endian::{U16, U32};

#[cfg(test)]
mod tests;
