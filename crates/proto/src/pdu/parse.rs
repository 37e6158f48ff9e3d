//! Reads a header by the role of its sender, and refuses what contradicts itself.
//!
//! What is checked needs the header alone. What needs memory of the task or of the negotiation
//! (tags, offsets, sequence numbers) is for the session to check.

use super::{
    AsyncMessage, BasicHeader, Bhs, DataIn, DataOut, LoginRequest, LoginResponse, LogoutRequest,
    LogoutResponse, Malformed, NIL, NopIn, NopOut, Opcode, Pdu, R2t, Reject, Request, Response,
    ScsiCommand, ScsiResponse, SequenceNumbers, ServiceResponse, Snack, StatusClass,
    TaskManagementRequest, TaskManagementResponse, TextRequest, TextResponse,
};

/// A header that a target may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromTarget<'a> {
    /// NOP-In.
    NopIn(&'a NopIn),
    /// SCSI Response.
    ScsiResponse(&'a ScsiResponse),
    /// Task Management Function Response.
    TaskManagementResponse(&'a TaskManagementResponse),
    /// Login Response.
    LoginResponse(&'a LoginResponse),
    /// Text Response.
    TextResponse(&'a TextResponse),
    /// SCSI Data-In.
    DataIn(&'a DataIn),
    /// Logout Response.
    LogoutResponse(&'a LogoutResponse),
    /// Ready To Transfer.
    R2t(&'a R2t),
    /// Asynchronous Message.
    AsyncMessage(&'a AsyncMessage),
    /// Reject.
    Reject(&'a Reject),
}

impl<'a> FromTarget<'a> {
    /// Sees `bhs`, which came from a target, as the PDU it is.
    ///
    /// # Errors
    /// The first offence found in the header.
    pub fn parse(bhs: &'a Bhs) -> Result<Self, Malformed> {
        let opcode = checked_opcode(bhs, true)?;
        let pdu = match opcode {
            Opcode::DataIn => Self::DataIn(check_data_in(Pdu::from_bhs(bhs))?),
            Opcode::ScsiResponse => Self::ScsiResponse(check_scsi_response(Pdu::from_bhs(bhs))?),
            Opcode::R2t => Self::R2t(check_r2t(Pdu::from_bhs(bhs))?),
            Opcode::NopIn => Self::NopIn(check_nop_in(Pdu::from_bhs(bhs))?),
            Opcode::TaskManagementResponse => {
                let pdu = TaskManagementResponse::from_bhs(bhs);
                pdu.response()?;
                Self::TaskManagementResponse(pdu)
            }
            Opcode::LoginResponse => Self::LoginResponse(check_login_response(Pdu::from_bhs(bhs))?),
            Opcode::TextResponse => Self::TextResponse(check_text_response(Pdu::from_bhs(bhs))?),
            Opcode::LogoutResponse => {
                let pdu = LogoutResponse::from_bhs(bhs);
                pdu.response()?;
                Self::LogoutResponse(pdu)
            }
            Opcode::AsyncMessage => Self::AsyncMessage(Pdu::from_bhs(bhs)),
            Opcode::Reject => Self::Reject(Pdu::from_bhs(bhs)),
            other => return Err(Malformed::WrongRole(other)),
        };
        Ok(pdu)
    }

    /// StatSN, ExpCmdSN and MaxCmdSN, as [`Response::sequence_numbers`] gives them.
    #[must_use]
    pub fn sequence_numbers(&self) -> SequenceNumbers {
        match self {
            Self::NopIn(pdu) => pdu.sequence_numbers(),
            Self::ScsiResponse(pdu) => pdu.sequence_numbers(),
            Self::TaskManagementResponse(pdu) => pdu.sequence_numbers(),
            Self::LoginResponse(pdu) => pdu.sequence_numbers(),
            Self::TextResponse(pdu) => pdu.sequence_numbers(),
            Self::DataIn(pdu) => pdu.sequence_numbers(),
            Self::LogoutResponse(pdu) => pdu.sequence_numbers(),
            Self::R2t(pdu) => pdu.sequence_numbers(),
            Self::AsyncMessage(pdu) => pdu.sequence_numbers(),
            Self::Reject(pdu) => pdu.sequence_numbers(),
        }
    }
}

/// A header that an initiator may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromInitiator<'a> {
    /// NOP-Out.
    NopOut(&'a NopOut),
    /// SCSI Command.
    ScsiCommand(&'a ScsiCommand),
    /// Task Management Function Request.
    TaskManagementRequest(&'a TaskManagementRequest),
    /// Login Request.
    LoginRequest(&'a LoginRequest),
    /// Text Request.
    TextRequest(&'a TextRequest),
    /// SCSI Data-Out.
    DataOut(&'a DataOut),
    /// Logout Request.
    LogoutRequest(&'a LogoutRequest),
    /// SNACK Request.
    Snack(&'a Snack),
}

impl<'a> FromInitiator<'a> {
    /// Sees `bhs`, which came from an initiator, as the PDU it is.
    ///
    /// # Errors
    /// The first offence found in the header.
    pub fn parse(bhs: &'a Bhs) -> Result<Self, Malformed> {
        let opcode = checked_opcode(bhs, false)?;
        let pdu = match opcode {
            Opcode::ScsiCommand => Self::ScsiCommand(check_scsi_command(Pdu::from_bhs(bhs))?),
            Opcode::DataOut => Self::DataOut(Pdu::from_bhs(bhs)),
            Opcode::NopOut => Self::NopOut(check_nop_out(Pdu::from_bhs(bhs))?),
            Opcode::TaskManagementRequest => Self::TaskManagementRequest(Pdu::from_bhs(bhs)),
            Opcode::LoginRequest => Self::LoginRequest(check_login_request(Pdu::from_bhs(bhs))?),
            Opcode::TextRequest => Self::TextRequest(check_text_request(Pdu::from_bhs(bhs))?),
            Opcode::LogoutRequest => {
                let pdu = LogoutRequest::from_bhs(bhs);
                pdu.reason()?;
                Self::LogoutRequest(pdu)
            }
            Opcode::Snack => {
                let pdu = Snack::from_bhs(bhs);
                pdu.snack_type()?;
                Self::Snack(pdu)
            }
            other => return Err(Malformed::WrongRole(other)),
        };
        Ok(pdu)
    }
}

/// The opcode, after the checks that hold for all PDUs of this role.
fn checked_opcode(bhs: &Bhs, from_target: bool) -> Result<Opcode, Malformed> {
    let header = BasicHeader::from_bhs(bhs);
    let opcode = Opcode::try_from(header.opcode)?;
    if opcode.is_from_target() != from_target {
        return Err(Malformed::WrongRole(opcode));
    }
    if header.total_ahs_length != 0 && opcode != Opcode::ScsiCommand {
        return Err(Malformed::UnexpectedAhs(opcode));
    }
    let never_data = matches!(
        opcode,
        Opcode::TaskManagementRequest
            | Opcode::TaskManagementResponse
            | Opcode::R2t
            | Opcode::LogoutRequest
            | Opcode::LogoutResponse
            | Opcode::Snack
    );
    if never_data && header.data_segment_length() != 0 {
        return Err(Malformed::UnexpectedData(opcode));
    }
    Ok(opcode)
}

fn check_data_in(pdu: &DataIn) -> Result<&DataIn, Malformed> {
    if pdu.has_status() {
        if !pdu.is_final() {
            return Err(Malformed::StatusWithoutFinal);
        }
        // O and U are valid only together with S (RFC 7143 §11.7.3).
        if pdu.overflow() && pdu.underflow() {
            return Err(Malformed::OverflowAndUnderflow(Opcode::DataIn));
        }
    }
    Ok(pdu)
}

fn check_scsi_response(pdu: &ScsiResponse) -> Result<&ScsiResponse, Malformed> {
    // The flags are to be ignored when the command did not complete (RFC 7143 §11.4.3).
    if pdu.response()? == ServiceResponse::CommandCompleted {
        if pdu.overflow() && pdu.underflow() {
            return Err(Malformed::OverflowAndUnderflow(Opcode::ScsiResponse));
        }
        if pdu.bidi_overflow() && pdu.bidi_underflow() {
            return Err(Malformed::BidiOverflowAndUnderflow);
        }
    }
    Ok(pdu)
}

fn check_r2t(pdu: &R2t) -> Result<&R2t, Malformed> {
    if pdu.ttt.get() == NIL {
        return Err(Malformed::R2tWithoutTag);
    }
    if pdu.desired_length.get() == 0 {
        return Err(Malformed::R2tWithoutLength);
    }
    Ok(pdu)
}

fn check_nop_in(pdu: &NopIn) -> Result<&NopIn, Malformed> {
    if pdu.itt.get() != NIL && pdu.ttt.get() != NIL {
        return Err(Malformed::NopInWithBothTags);
    }
    Ok(pdu)
}

fn check_login_response(pdu: &LoginResponse) -> Result<&LoginResponse, Malformed> {
    // A failed login ends here; whatever else the response says no longer matters.
    if pdu.status().class()? == StatusClass::Success {
        if pdu.is_transit() && pdu.is_continued() {
            return Err(Malformed::TransitAndContinue(Opcode::LoginResponse));
        }
        pdu.current_stage()?;
        if pdu.is_transit() {
            pdu.next_stage()?;
        }
    }
    Ok(pdu)
}

fn check_text_response(pdu: &TextResponse) -> Result<&TextResponse, Malformed> {
    if pdu.is_final() && pdu.is_continued() {
        return Err(Malformed::FinalAndContinue(Opcode::TextResponse));
    }
    if !pdu.is_final() && pdu.ttt.get() == NIL {
        return Err(Malformed::TextResponseWithoutTag);
    }
    Ok(pdu)
}

fn check_scsi_command(pdu: &ScsiCommand) -> Result<&ScsiCommand, Malformed> {
    if !pdu.is_write() && !pdu.is_final() {
        return Err(Malformed::NeitherWriteNorFinal);
    }
    if !pdu.is_read() && !pdu.is_write() && pdu.edtl.get() != 0 {
        return Err(Malformed::TransferWithoutDirection);
    }
    pdu.attribute()?;
    Ok(pdu)
}

fn check_nop_out(pdu: &NopOut) -> Result<&NopOut, Malformed> {
    if pdu.itt.get() == NIL && !pdu.is_immediate() {
        return Err(Malformed::NopOutNotImmediate);
    }
    Ok(pdu)
}

fn check_login_request(pdu: &LoginRequest) -> Result<&LoginRequest, Malformed> {
    if pdu.is_transit() && pdu.is_continued() {
        return Err(Malformed::TransitAndContinue(Opcode::LoginRequest));
    }
    pdu.current_stage()?;
    if pdu.is_transit() {
        pdu.next_stage()?;
    }
    Ok(pdu)
}

fn check_text_request(pdu: &TextRequest) -> Result<&TextRequest, Malformed> {
    if pdu.is_final() && pdu.is_continued() {
        return Err(Malformed::FinalAndContinue(Opcode::TextRequest));
    }
    Ok(pdu)
}
