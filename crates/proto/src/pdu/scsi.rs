//! SCSI Command and SCSI Response (RFC 7143 §11.3, §11.4; RFC 7144 §5).

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::blank;
use super::{Lun, Malformed, NIL, NO_LUN};

codes! {
    /// The task attributes (RFC 7143 §11.3.1).
    TaskAttribute else ReservedTaskAttribute {
        /// Untagged.
        Untagged = 0 "untagged",
        /// Simple.
        Simple = 1 "simple",
        /// Ordered.
        Ordered = 2 "ordered",
        /// Head of queue.
        HeadOfQueue = 3 "head of queue",
        /// ACA.
        Aca = 4 "ACA",
    }
}

codes! {
    /// The iSCSI service response (RFC 7143 §11.4.3). All but the first mean that the command was
    /// not carried out: status, flags and residual counts say nothing then.
    ServiceResponse else ReservedServiceResponse {
        /// The SCSI status tells how the command ended.
        CommandCompleted = 0x00 "command completed at target",
        /// The target failed.
        TargetFailure = 0x01 "target failure",
    }
    Vendor in 0x80..=0xff
}

/// Which way the data of a command goes (the R and W bits, RFC 7143 §11.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DataDirection {
    /// No data.
    #[default]
    None,
    /// From target to initiator.
    Read,
    /// From initiator to target.
    Write,
    /// Both ways; the read length stands in an additional header.
    Bidirectional,
}

/// SCSI Command (RFC 7143 §11.3).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ScsiCommand {
    opcode: u8,
    flags: u8,
    priority: u8,
    reserved_3: u8,
    lengths: [u8; 4],
    /// The LUN.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub itt: U32,
    /// Expected Data Transfer Length in bytes; the write length of a bidirectional command.
    pub edtl: U32,
    /// CmdSN.
    pub cmd_sn: U32,
    /// ExpStatSN.
    pub exp_stat_sn: U32,
    /// The first 16 bytes of the CDB, the unused ones 0.
    pub cdb: [u8; 16],
}

request!(ScsiCommand);

flags!(ScsiCommand {
    /// F: no unsolicited Data-Out follows.
    0x80 => is_final, set_final;
    /// R: the command is expected to read data.
    0x40 => is_read, set_read;
    /// W: the command is expected to write data.
    0x20 => is_write, set_write;
});

impl ScsiCommand {
    /// A command with attribute simple that no unsolicited Data-Out follows. `edtl` is in bytes.
    #[must_use]
    pub fn new(itt: u32, lun: Lun, direction: DataDirection, edtl: u32, cdb: [u8; 16]) -> Self {
        let mut pdu: Self = blank(0x80 | TaskAttribute::Simple.code());
        pdu.itt = itt.into();
        pdu.lun = lun;
        pdu.edtl = edtl.into();
        pdu.cdb = cdb;
        pdu.set_direction(direction);
        pdu
    }

    /// Which way data goes.
    #[must_use]
    pub fn direction(&self) -> DataDirection {
        match (self.is_read(), self.is_write()) {
            (false, false) => DataDirection::None,
            (true, false) => DataDirection::Read,
            (false, true) => DataDirection::Write,
            (true, true) => DataDirection::Bidirectional,
        }
    }

    /// Sets which way data goes.
    pub fn set_direction(&mut self, direction: DataDirection) {
        use DataDirection::{Bidirectional, Read, Write};
        self.set_read(matches!(direction, Read | Bidirectional));
        self.set_write(matches!(direction, Write | Bidirectional));
    }

    /// The task attribute.
    ///
    /// # Errors
    /// [`Malformed::ReservedTaskAttribute`].
    pub fn attribute(&self) -> Result<TaskAttribute, Malformed> {
        TaskAttribute::try_from(self.flags & 0x07)
    }

    /// Sets the task attribute.
    pub fn set_attribute(&mut self, attribute: TaskAttribute) {
        self.flags = self.flags & !0x07 | attribute.code();
    }

    /// Command priority, 0 to 15 (RFC 7144 §5.1.1; reserved below iSCSIProtocolLevel 2).
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.priority >> 4
    }

    /// Sets the command priority; only its low four bits count.
    pub fn set_priority(&mut self, priority: u8) {
        self.priority = priority << 4;
    }
}

impl Default for ScsiCommand {
    fn default() -> Self {
        Self::new(NIL, NO_LUN, DataDirection::None, 0, [0; 16])
    }
}

/// SCSI Response (RFC 7143 §11.4). Its data segment begins with the length of the sense data in
/// two bytes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ScsiResponse {
    opcode: u8,
    flags: u8,
    /// The response code as it travels; [`Self::response`] reads it.
    pub response_code: u8,
    /// SCSI status; means something only when the command completed at the target.
    pub status: u8,
    lengths: [u8; 4],
    /// Status Qualifier (RFC 7144 §5.2.1); reserved below iSCSIProtocolLevel 2.
    pub status_qualifier: U16,
    reserved_10: [u8; 6],
    /// Initiator Task Tag of the command.
    pub itt: U32,
    /// SNACK Tag of the last R-Data SNACK, or 0.
    pub snack_tag: U32,
    /// StatSN.
    pub stat_sn: U32,
    /// ExpCmdSN.
    pub exp_cmd_sn: U32,
    /// MaxCmdSN.
    pub max_cmd_sn: U32,
    /// ExpDataSN: how many Data-In PDUs were sent for the command.
    pub exp_data_sn: U32,
    /// Bidirectional Read Residual Count in bytes; means something only with
    /// [`Self::bidi_overflow`] or [`Self::bidi_underflow`].
    pub bidi_residual_count: U32,
    /// Residual Count in bytes; means something only with [`Self::overflow`] or
    /// [`Self::underflow`].
    pub residual_count: U32,
}

response!(ScsiResponse);

flags!(ScsiResponse {
    /// o: the bidirectional command had more to read than expected.
    0x10 => bidi_overflow, set_bidi_overflow;
    /// u: the bidirectional command had less to read than expected.
    0x08 => bidi_underflow, set_bidi_underflow;
    /// O: the command had more data than expected.
    0x04 => overflow, set_overflow;
    /// U: the command had less data than expected.
    0x02 => underflow, set_underflow;
});

impl ScsiResponse {
    /// The end of command `itt`, completed at the target with this SCSI status.
    #[must_use]
    pub fn new(itt: u32, status: u8) -> Self {
        let mut pdu: Self = blank(0x80);
        pdu.itt = itt.into();
        pdu.status = status;
        pdu
    }

    /// The service response.
    ///
    /// # Errors
    /// [`Malformed::ReservedServiceResponse`].
    pub fn response(&self) -> Result<ServiceResponse, Malformed> {
        ServiceResponse::try_from(self.response_code)
    }
}

impl Default for ScsiResponse {
    fn default() -> Self {
        Self::new(NIL, 0)
    }
}
