//! Logout Request and Logout Response (RFC 7143 §11.14, §11.15).

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::blank;
use super::{Malformed, NIL};

codes! {
    /// Why a connection or session is logged out (RFC 7143 §11.14.1).
    LogoutReason else ReservedLogoutReason {
        /// Close the session: all its commands end.
        CloseSession = 0 "close the session",
        /// Close the connection: all its commands end.
        CloseConnection = 1 "close the connection",
        /// Remove the connection for recovery: its commands wait for a new allegiance.
        RecoverConnection = 2 "remove the connection for recovery",
    }
}

codes! {
    /// How a logout went (RFC 7143 §11.15.1).
    LogoutResponseCode else UnassignedLogoutResponse {
        /// Connection or session closed.
        Closed = 0 "connection or session closed successfully",
        /// There is no connection with that CID.
        CidNotFound = 1 "CID not found",
        /// The target has no connection recovery.
        RecoveryNotSupported = 2 "connection recovery is not supported",
        /// The target could not clean up.
        CleanupFailed = 3 "cleanup failed for various reasons",
    }
}

/// Logout Request (RFC 7143 §11.14).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LogoutRequest {
    opcode: u8,
    flags: u8,
    reserved_2: [u8; 2],
    lengths: [u8; 4],
    reserved_8: [u8; 8],
    /// Initiator Task Tag.
    pub itt: U32,
    /// CID of the connection to log out; reserved when the session is closed.
    pub cid: U16,
    reserved_22: [u8; 2],
    /// CmdSN.
    pub cmd_sn: U32,
    /// ExpStatSN of the connection to log out.
    pub exp_stat_sn: U32,
    reserved_32: [u8; 16],
}

request!(LogoutRequest);

impl LogoutRequest {
    /// A request under task `itt`, not immediate; `cid` is 0 when the session is closed.
    #[must_use]
    pub fn new(itt: u32, reason: LogoutReason, cid: u16) -> Self {
        let mut pdu: Self = blank(0x80 | reason.code());
        pdu.itt = itt.into();
        pdu.cid = cid.into();
        pdu
    }

    /// The reason.
    ///
    /// # Errors
    /// [`Malformed::ReservedLogoutReason`].
    pub fn reason(&self) -> Result<LogoutReason, Malformed> {
        LogoutReason::try_from(self.flags & 0x7f)
    }
}

impl Default for LogoutRequest {
    fn default() -> Self {
        Self::new(NIL, LogoutReason::CloseSession, 0)
    }
}

/// Logout Response (RFC 7143 §11.15).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LogoutResponse {
    opcode: u8,
    flags: u8,
    /// The response code as it travels; [`Self::response`] reads it.
    pub response_code: u8,
    reserved_3: u8,
    lengths: [u8; 4],
    reserved_8: [u8; 8],
    /// Initiator Task Tag of the request.
    pub itt: U32,
    reserved_20: [u8; 4],
    /// StatSN.
    pub stat_sn: U32,
    /// ExpCmdSN.
    pub exp_cmd_sn: U32,
    /// MaxCmdSN.
    pub max_cmd_sn: U32,
    reserved_36: [u8; 4],
    /// Time2Wait in seconds.
    pub time2wait: U16,
    /// Time2Retain in seconds.
    pub time2retain: U16,
    reserved_44: [u8; 4],
}

response!(LogoutResponse);

impl LogoutResponse {
    /// The answer to task `itt`.
    #[must_use]
    pub fn new(itt: u32, response: LogoutResponseCode) -> Self {
        let mut pdu: Self = blank(0x80);
        pdu.itt = itt.into();
        pdu.response_code = response.code();
        pdu
    }

    /// The response code.
    ///
    /// # Errors
    /// [`Malformed::UnassignedLogoutResponse`].
    pub fn response(&self) -> Result<LogoutResponseCode, Malformed> {
        LogoutResponseCode::try_from(self.response_code)
    }
}

impl Default for LogoutResponse {
    fn default() -> Self {
        Self::new(NIL, LogoutResponseCode::Closed)
    }
}
