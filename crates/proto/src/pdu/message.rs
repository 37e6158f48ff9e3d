//! What a target says unasked: Asynchronous Message and Reject (RFC 7143 §11.9, §11.17).

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::blank;
use super::{Lun, Malformed, NIL};

codes! {
    /// The events of an Asynchronous Message (RFC 7143 §11.9.1).
    AsyncEvent else UnassignedAsyncEvent {
        /// A SCSI event, told by the sense data.
        Scsi = 0 "SCSI asynchronous event",
        /// The target asks for logout within Parameter3 seconds.
        LogoutRequest = 1 "logout request",
        /// The target will drop the connection whose CID is Parameter1.
        ConnectionDrop = 2 "connection drop notification",
        /// The target will drop all connections of the session.
        SessionDrop = 3 "session drop notification",
        /// The target asks for a Text Request within Parameter3 seconds.
        NegotiationRequest = 4 "negotiation request",
        /// All tasks of the logical unit are being ended (needs TaskReporting=FastAbort).
        TaskTermination = 5 "task termination",
    }
    Vendor in 248..=255
}

codes! {
    /// Why a PDU was rejected (RFC 7143 §11.17.1).
    RejectReason else UnassignedRejectReason {
        /// The data digest was wrong.
        DataDigestError = 0x02 "data digest error",
        /// A SNACK was refused.
        SnackReject = 0x03 "SNACK reject",
        /// A protocol error.
        ProtocolError = 0x04 "protocol error",
        /// The target does not have the command.
        CommandNotSupported = 0x05 "command not supported",
        /// Too many immediate commands.
        TooManyImmediateCommands = 0x06 "immediate command reject: too many immediate commands",
        /// The task is in progress.
        TaskInProgress = 0x07 "task in progress",
        /// A DataACK that acknowledges what it cannot.
        InvalidDataAck = 0x08 "invalid data ACK",
        /// A field has an invalid value.
        InvalidPduField = 0x09 "invalid PDU field",
        /// No Target Transfer Tag left.
        LongOperationReject = 0x0a "long operation reject: out of resources",
        /// Deprecated: to be taken as a failed negotiation.
        NegotiationReset = 0x0b "negotiation reset (deprecated)",
        /// The target waits for the logout it asked for.
        WaitingForLogout = 0x0c "waiting for logout",
    }
}

impl RejectReason {
    /// Whether the rejected PDU may be sent again (RFC 7143 §11.17.1, the table's third column).
    #[must_use]
    pub fn may_resend(self) -> bool {
        matches!(
            self,
            Self::DataDigestError
                | Self::SnackReject
                | Self::TooManyImmediateCommands
                | Self::LongOperationReject
        )
    }
}

/// Asynchronous Message (RFC 7143 §11.9). Its data segment begins with the length of the sense
/// data in two bytes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct AsyncMessage {
    opcode: u8,
    flags: u8,
    reserved_2: [u8; 2],
    lengths: [u8; 4],
    /// The LUN, of a SCSI event or a task termination; else reserved.
    pub lun: Lun,
    /// Always [`NIL`].
    pub itt: U32,
    reserved_20: [u8; 4],
    /// StatSN.
    pub stat_sn: U32,
    /// ExpCmdSN.
    pub exp_cmd_sn: U32,
    /// MaxCmdSN.
    pub max_cmd_sn: U32,
    /// AsyncEvent as it travels; [`Self::event`] reads it.
    pub event_code: u8,
    /// AsyncVCode: the vendor's detail of a vendor's event.
    pub vendor_code: u8,
    /// Parameter1: the CID of a connection drop.
    pub parameter1: U16,
    /// Parameter2: Time2Wait of a drop, in seconds.
    pub parameter2: U16,
    /// Parameter3: Time2Retain of a drop, or the time left to obey, in seconds.
    pub parameter3: U16,
    reserved_44: [u8; 4],
}

response!(AsyncMessage);

impl AsyncMessage {
    /// A message of this event with all parameters 0.
    #[must_use]
    pub fn new(event: AsyncEvent) -> Self {
        let mut pdu: Self = blank(0x80);
        pdu.itt = NIL.into();
        pdu.event_code = event.code();
        pdu
    }

    /// The event. [`FromTarget::parse`](super::FromTarget::parse) lets an unassigned one pass, so
    /// that it can be logged and its StatSN counted instead of costing the session.
    ///
    /// # Errors
    /// [`Malformed::UnassignedAsyncEvent`].
    pub fn event(&self) -> Result<AsyncEvent, Malformed> {
        AsyncEvent::try_from(self.event_code)
    }
}

impl Default for AsyncMessage {
    fn default() -> Self {
        Self::new(AsyncEvent::Scsi)
    }
}

/// Reject (RFC 7143 §11.17). Its data segment is the header of the rejected PDU.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Reject {
    opcode: u8,
    flags: u8,
    /// The reason as it travels; [`Self::reason`] reads it.
    pub reason_code: u8,
    reserved_3: u8,
    lengths: [u8; 4],
    reserved_8: [u8; 8],
    /// Always [`NIL`]; the victim is told by the header in the data segment.
    pub itt: U32,
    reserved_20: [u8; 4],
    /// StatSN.
    pub stat_sn: U32,
    /// ExpCmdSN.
    pub exp_cmd_sn: U32,
    /// MaxCmdSN.
    pub max_cmd_sn: U32,
    /// DataSN/R2TSN: the next one, when a Data/R2T SNACK was a protocol error; else reserved.
    pub data_sn: U32,
    reserved_40: [u8; 8],
}

response!(Reject);

impl Reject {
    /// A Reject for this reason.
    #[must_use]
    pub fn new(reason: RejectReason) -> Self {
        let mut pdu: Self = blank(0x80);
        pdu.itt = NIL.into();
        pdu.reason_code = reason.code();
        pdu
    }

    /// The reason. [`FromTarget::parse`](super::FromTarget::parse) lets an unassigned one pass: the
    /// PDU it names is rejected all the same.
    ///
    /// # Errors
    /// [`Malformed::UnassignedRejectReason`].
    pub fn reason(&self) -> Result<RejectReason, Malformed> {
        RejectReason::try_from(self.reason_code)
    }
}

impl Default for Reject {
    fn default() -> Self {
        Self::new(RejectReason::ProtocolError)
    }
}
