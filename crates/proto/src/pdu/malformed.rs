//! What a header can say that no peer may say.

use thiserror::Error;

use super::{Opcode, RejectReason};

/// Why a header was refused: each offence has its own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The opcode is unassigned or a vendor's (RFC 7143 §11.2.1.2).
    #[error("unknown opcode {0:#04x}")]
    UnknownOpcode(u8),
    /// An initiator's opcode came from a target, or the reverse (RFC 7143 §11.2.1.2).
    #[error("{0} may not be sent by this side")]
    WrongRole(Opcode),
    /// Additional headers on a PDU that has none (RFC 7143 §11.2.1.5).
    #[error("{0} with additional header segments")]
    UnexpectedAhs(Opcode),
    /// A data segment on a PDU that has none (RFC 7143 §11.5.2, §11.6.2, §11.8.1, §11.14.2,
    /// §11.15.2).
    #[error("{0} with a data segment")]
    UnexpectedData(Opcode),
    /// Both O and U (RFC 7143 §11.4.1).
    #[error("{0} with both residual overflow and underflow")]
    OverflowAndUnderflow(Opcode),
    /// Both o and u (RFC 7143 §11.4.1).
    #[error("SCSI Response with both bidirectional read residual overflow and underflow")]
    BidiOverflowAndUnderflow,
    /// S without F (RFC 7143 §11.7.3).
    #[error("Data-In with status but without the F bit")]
    StatusWithoutFinal,
    /// C with F in a text PDU (RFC 7143 §11.10.2, §11.11.2).
    #[error("{0} that is final and yet to be continued")]
    FinalAndContinue(Opcode),
    /// C with T in a login PDU (RFC 7143 §11.12.2, §11.13.7).
    #[error("{0} that moves to the next stage and is yet to be continued")]
    TransitAndContinue(Opcode),
    /// F is 0 and no tag was given to go on with (RFC 7143 §11.11.1).
    #[error("Text Response that is not final but has no Target Transfer Tag")]
    TextResponseWithoutTag,
    /// The reserved tag in an R2T (RFC 7143 §11.8.5).
    #[error("R2T without a Target Transfer Tag")]
    R2tWithoutTag,
    /// Desired Data Transfer Length of 0 (RFC 7143 §11.8.4).
    #[error("R2T that asks for no data")]
    R2tWithoutLength,
    /// An echo that also asks for an answer (RFC 7143 §11.19).
    #[error("NOP-In with both an Initiator Task Tag and a Target Transfer Tag")]
    NopInWithBothTags,
    /// NOP-Out that wants no answer must be immediate (RFC 7143 §11.18.1).
    #[error("NOP-Out without an Initiator Task Tag that is not immediate")]
    NopOutNotImmediate,
    /// Neither W nor F in a SCSI Command (RFC 7143 §11.3.1).
    #[error("SCSI Command with neither the W nor the F bit")]
    NeitherWriteNorFinal,
    /// Data is expected, but neither R nor W is set (RFC 7143 §11.3.1).
    #[error("SCSI Command that expects data in no direction")]
    TransferWithoutDirection,
    /// Attributes 5 to 7 (RFC 7143 §11.3.1).
    #[error("reserved task attribute {0}")]
    ReservedTaskAttribute(u8),
    /// Response codes 0x02 to 0x7f of a SCSI Response (RFC 7143 §11.4.3).
    #[error("reserved SCSI Response code {0:#04x}")]
    ReservedServiceResponse(u8),
    /// An unassigned task management function (RFC 7143 §11.5.1).
    #[error("unassigned task management function {0}")]
    UnassignedTmfFunction(u8),
    /// An unassigned task management response (RFC 7143 §11.6.1).
    #[error("unassigned task management response {0}")]
    UnassignedTmfResponse(u8),
    /// Stage 2 (RFC 7143 §11.12.3).
    #[error("reserved login stage {0}")]
    ReservedLoginStage(u8),
    /// Status-Class above 3 (RFC 7143 §11.13.5).
    #[error("unassigned login status class {0}")]
    UnassignedStatusClass(u8),
    /// An unassigned logout reason (RFC 7143 §11.14.1).
    #[error("reserved logout reason {0}")]
    ReservedLogoutReason(u8),
    /// An unassigned logout response (RFC 7143 §11.15.1).
    #[error("unassigned logout response {0}")]
    UnassignedLogoutResponse(u8),
    /// An unassigned SNACK type (RFC 7143 §11.16.1).
    #[error("reserved SNACK type {0}")]
    ReservedSnackType(u8),
    /// An unassigned asynchronous event (RFC 7143 §11.9.1).
    #[error("unassigned asynchronous event {0}")]
    UnassignedAsyncEvent(u8),
    /// An unassigned reason of a Reject (RFC 7143 §11.17.1).
    #[error("unassigned Reject reason {0:#04x}")]
    UnassignedRejectReason(u8),
    /// A reserved AHS code (RFC 7143 §11.2.2.1).
    #[error("reserved additional header type {0}")]
    ReservedAhsType(u8),
    /// An additional header that is longer than what is there, or has the wrong length for its
    /// type (RFC 7143 §11.2.2.2).
    #[error("additional header of type {kind} with a length of {length} bytes")]
    AhsLength {
        /// AHSType.
        kind: u8,
        /// AHSLength as the peer gave it.
        length: u16,
    },
    /// Bytes after the last additional header that are too few for another.
    #[error("{0} stray bytes after the additional headers")]
    AhsStrayBytes(usize),
    /// Two additional headers of one type.
    #[error("additional header type {0} twice")]
    AhsTwice(u8),
}

impl Malformed {
    /// The reason that a target gives when it rejects such a request (RFC 7143 §11.17.1).
    #[must_use]
    pub fn reject_reason(&self) -> RejectReason {
        match self {
            Self::UnknownOpcode(_) | Self::WrongRole(_) => RejectReason::CommandNotSupported,
            Self::ReservedTaskAttribute(_)
            | Self::ReservedLogoutReason(_)
            | Self::ReservedSnackType(_)
            | Self::ReservedAhsType(_)
            | Self::AhsLength { .. }
            | Self::AhsStrayBytes(_)
            | Self::AhsTwice(_) => RejectReason::InvalidPduField,
            _ => RejectReason::ProtocolError,
        }
    }
}
