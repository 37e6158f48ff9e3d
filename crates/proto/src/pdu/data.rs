//! Data both ways and the request for it: SCSI Data-Out, SCSI Data-In, Ready To Transfer
//! (RFC 7143 §11.7, §11.8).

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::blank;
use super::{Lun, NIL};

/// SCSI Data-Out (RFC 7143 §11.7).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DataOut {
    opcode: u8,
    flags: u8,
    reserved_2: [u8; 2],
    lengths: [u8; 4],
    /// The LUN copied from the R2T; reserved in unsolicited data.
    pub lun: Lun,
    /// Initiator Task Tag of the command.
    pub itt: U32,
    /// Target Transfer Tag copied from the R2T; [`NIL`] in unsolicited data.
    pub ttt: U32,
    reserved_24: [u8; 4],
    /// ExpStatSN.
    pub exp_stat_sn: U32,
    reserved_32: [u8; 4],
    /// DataSN within the sequence, from 0.
    pub data_sn: U32,
    /// Buffer Offset in bytes within the whole transfer.
    pub buffer_offset: U32,
    reserved_44: [u8; 4],
}

pdu!(DataOut);

flags!(DataOut {
    /// F: the last PDU of the sequence.
    0x80 => is_final, set_final;
});

impl DataOut {
    /// Unsolicited data of command `itt`, not final.
    #[must_use]
    pub fn unsolicited(itt: u32) -> Self {
        let mut pdu: Self = blank(0);
        pdu.itt = itt.into();
        pdu.ttt = NIL.into();
        pdu
    }

    /// Data that an R2T asked for, not final, at the R2T's offset.
    #[must_use]
    pub fn solicited(r2t: &R2t) -> Self {
        let mut pdu: Self = blank(0);
        pdu.lun = r2t.lun;
        pdu.itt = r2t.itt;
        pdu.ttt = r2t.ttt;
        pdu.buffer_offset = r2t.buffer_offset;
        pdu
    }
}

impl Default for DataOut {
    fn default() -> Self {
        Self::unsolicited(NIL)
    }
}

/// SCSI Data-In (RFC 7143 §11.7).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DataIn {
    opcode: u8,
    flags: u8,
    reserved_2: u8,
    /// SCSI status; means something only with [`Self::has_status`].
    pub status: u8,
    lengths: [u8; 4],
    /// The LUN, with the A bit; else reserved.
    pub lun: Lun,
    /// Initiator Task Tag of the command.
    pub itt: U32,
    /// Target Transfer Tag, with the A bit; else [`NIL`].
    pub ttt: U32,
    /// StatSN; means something only with [`Self::has_status`].
    pub stat_sn: U32,
    /// ExpCmdSN.
    pub exp_cmd_sn: U32,
    /// MaxCmdSN.
    pub max_cmd_sn: U32,
    /// DataSN within the command, from 0.
    pub data_sn: U32,
    /// Buffer Offset in bytes within the whole transfer.
    pub buffer_offset: U32,
    /// Residual Count in bytes; means something only with status and [`Self::overflow`] or
    /// [`Self::underflow`].
    pub residual_count: U32,
}

response!(DataIn);

flags!(DataIn {
    /// F: the last PDU of a sequence.
    0x80 => is_final, set_final;
    /// A: the target asks for a DataACK SNACK.
    0x40 => wants_acknowledge, set_wants_acknowledge;
    /// O: more data was there than expected; only with status.
    0x04 => overflow, set_overflow;
    /// U: less data was there than expected; only with status.
    0x02 => underflow, set_underflow;
    /// S: this PDU also ends the command with its status.
    0x01 => has_status, set_has_status;
});

impl DataIn {
    /// Data of command `itt`, not final, without status.
    #[must_use]
    pub fn new(itt: u32) -> Self {
        let mut pdu: Self = blank(0);
        pdu.itt = itt.into();
        pdu.ttt = NIL.into();
        pdu
    }
}

impl Default for DataIn {
    fn default() -> Self {
        Self::new(NIL)
    }
}

/// Ready To Transfer (RFC 7143 §11.8).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct R2t {
    opcode: u8,
    flags: u8,
    reserved_2: [u8; 2],
    lengths: [u8; 4],
    /// The LUN, to be copied to the Data-Out PDUs.
    pub lun: Lun,
    /// Initiator Task Tag of the command.
    pub itt: U32,
    /// Target Transfer Tag, to be copied to the Data-Out PDUs; never [`NIL`].
    pub ttt: U32,
    /// The next StatSN; an R2T takes none.
    pub stat_sn: U32,
    /// ExpCmdSN.
    pub exp_cmd_sn: U32,
    /// MaxCmdSN.
    pub max_cmd_sn: U32,
    /// R2TSN within the command, from 0.
    pub r2t_sn: U32,
    /// Buffer Offset in bytes within the whole transfer.
    pub buffer_offset: U32,
    /// Desired Data Transfer Length in bytes; never 0.
    pub desired_length: U32,
}

response!(R2t);

impl R2t {
    /// Asks for `desired_length` bytes (not 0) of command `itt` from `buffer_offset` on under the
    /// tag `ttt`, which must not be [`NIL`].
    #[must_use]
    pub fn new(itt: u32, ttt: u32, buffer_offset: u32, desired_length: u32) -> Self {
        let mut pdu: Self = blank(0x80);
        pdu.itt = itt.into();
        pdu.ttt = ttt.into();
        pdu.buffer_offset = buffer_offset.into();
        pdu.desired_length = desired_length.into();
        pdu
    }
}

impl Default for R2t {
    /// An R2T with tags and numbers still to be set: [`FromTarget`](super::FromTarget) refuses it
    /// as it stands.
    fn default() -> Self {
        Self::new(NIL, NIL, 0, 0)
    }
}
