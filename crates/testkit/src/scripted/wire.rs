//! The numbers of RFC 7143 that the scripted peer knows, typed from its text.

/// Bytes of a Basic Header Segment (§11.2.1).
pub const HEADER_BYTES: usize = 48;

/// "No tag", "no task" (§11.2.1.8, §11.7.4).
pub const NO_TAG: u32 = 0xffff_ffff;

/// Opcodes of initiator PDUs (§11.2.1.2), without the immediate bit.
pub const NOP_OUT: u8 = 0x00;
/// SCSI Command.
pub const SCSI_COMMAND: u8 = 0x01;
/// SCSI Task Management Function Request.
pub const TASK_MANAGEMENT_REQUEST: u8 = 0x02;
/// Login Request.
pub const LOGIN_REQUEST: u8 = 0x03;
/// Text Request.
pub const TEXT_REQUEST: u8 = 0x04;
/// SCSI Data-Out.
pub const DATA_OUT: u8 = 0x05;
/// Logout Request.
pub const LOGOUT_REQUEST: u8 = 0x06;
/// SNACK Request.
pub const SNACK: u8 = 0x10;

/// Opcodes of target PDUs (§11.2.1.2): NOP-In.
pub const NOP_IN: u8 = 0x20;
/// SCSI Response.
pub const SCSI_RESPONSE: u8 = 0x21;
/// SCSI Task Management Function Response.
pub const TASK_MANAGEMENT_RESPONSE: u8 = 0x22;
/// Login Response.
pub const LOGIN_RESPONSE: u8 = 0x23;
/// Text Response.
pub const TEXT_RESPONSE: u8 = 0x24;
/// SCSI Data-In.
pub const DATA_IN: u8 = 0x25;
/// Logout Response.
pub const LOGOUT_RESPONSE: u8 = 0x26;
/// Ready To Transfer.
pub const R2T: u8 = 0x31;
/// Asynchronous Message.
pub const ASYNC_MESSAGE: u8 = 0x32;
/// Reject.
pub const REJECT: u8 = 0x3f;

/// Byte 0, the immediate bit (§11.2.1.1).
pub const IMMEDIATE: u8 = 0x40;
/// Byte 1, the final bit; the transit bit of login PDUs (§11.2.1.3, §11.12.1).
pub const FINAL: u8 = 0x80;
/// Byte 1 of login and text PDUs: more text follows (§11.12.2).
pub const CONTINUE: u8 = 0x40;
/// Byte 1 of a SCSI Command: it reads (§11.3.1).
pub const READ: u8 = 0x40;
/// Byte 1 of a SCSI Command: it writes (§11.3.1).
pub const WRITE: u8 = 0x20;
/// Byte 1 of a Data-In: the initiator is to acknowledge (§11.7.2).
pub const ACKNOWLEDGE: u8 = 0x40;
/// Byte 1 of a Data-In and of a SCSI Response: residual overflow (§11.4.1).
pub const OVERFLOW: u8 = 0x04;
/// Byte 1 of a Data-In and of a SCSI Response: residual underflow (§11.4.1).
pub const UNDERFLOW: u8 = 0x02;
/// Byte 1 of a Data-In: it holds the status (§11.7.3).
pub const STATUS: u8 = 0x01;

/// Task management functions (§11.5.1): ABORT TASK.
pub const ABORT_TASK: u8 = 1;
/// ABORT TASK SET.
pub const ABORT_TASK_SET: u8 = 2;
/// CLEAR ACA.
pub const CLEAR_ACA: u8 = 3;
/// CLEAR TASK SET.
pub const CLEAR_TASK_SET: u8 = 4;
/// LOGICAL UNIT RESET.
pub const LOGICAL_UNIT_RESET: u8 = 5;
/// TARGET WARM RESET.
pub const TARGET_WARM_RESET: u8 = 6;
/// TARGET COLD RESET.
pub const TARGET_COLD_RESET: u8 = 7;
/// TASK REASSIGN.
pub const TASK_REASSIGN: u8 = 8;

/// SNACK types (§11.16.1): Data/R2T.
pub const SNACK_DATA: u8 = 0;
/// Status SNACK.
pub const SNACK_STATUS: u8 = 1;
/// `DataACK`.
pub const SNACK_DATA_ACK: u8 = 2;
/// R-Data SNACK.
pub const SNACK_R_DATA: u8 = 3;

/// Reasons of a Reject (§11.17.1): data digest error.
pub const REJECT_DATA_DIGEST: u8 = 0x02;
/// SNACK Reject.
pub const REJECT_SNACK: u8 = 0x03;
/// Protocol error.
pub const REJECT_PROTOCOL_ERROR: u8 = 0x04;
/// Command not supported.
pub const REJECT_NOT_SUPPORTED: u8 = 0x05;
/// Too many immediate commands.
pub const REJECT_IMMEDIATE: u8 = 0x06;
/// Invalid PDU field.
pub const REJECT_INVALID_FIELD: u8 = 0x09;

/// Stages of a login (§11.12.3): security negotiation.
pub const SECURITY: u8 = 0;
/// Operational negotiation.
pub const OPERATIONAL: u8 = 1;
/// Full feature phase.
pub const FULL_FEATURE: u8 = 3;

/// The limit of data segments until the full feature phase, and of a peer that declares none
/// (§13.12).
pub const DEFAULT_SEGMENT: usize = 8192;

/// SCSI statuses (SAM): GOOD.
pub const GOOD: u8 = 0x00;
/// CHECK CONDITION.
pub const CHECK_CONDITION: u8 = 0x02;
/// BUSY.
pub const BUSY: u8 = 0x08;
/// RESERVATION CONFLICT.
pub const RESERVATION_CONFLICT: u8 = 0x18;
/// TASK SET FULL.
pub const TASK_SET_FULL: u8 = 0x28;
/// ACA ACTIVE.
pub const ACA_ACTIVE: u8 = 0x30;
/// TASK ABORTED.
pub const TASK_ABORTED: u8 = 0x40;

/// What an opcode is called, for messages.
#[must_use]
pub fn name(opcode: u8) -> &'static str {
    match opcode {
        NOP_OUT => "NOP-Out",
        SCSI_COMMAND => "SCSI Command",
        TASK_MANAGEMENT_REQUEST => "Task Management Request",
        LOGIN_REQUEST => "Login Request",
        TEXT_REQUEST => "Text Request",
        DATA_OUT => "Data-Out",
        LOGOUT_REQUEST => "Logout Request",
        SNACK => "SNACK",
        NOP_IN => "NOP-In",
        SCSI_RESPONSE => "SCSI Response",
        TASK_MANAGEMENT_RESPONSE => "Task Management Response",
        LOGIN_RESPONSE => "Login Response",
        TEXT_RESPONSE => "Text Response",
        DATA_IN => "Data-In",
        LOGOUT_RESPONSE => "Logout Response",
        R2T => "R2T",
        ASYNC_MESSAGE => "Async Message",
        REJECT => "Reject",
        _ => "unknown opcode",
    }
}
