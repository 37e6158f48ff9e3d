//! SNACK Request: asks for lost PDUs again, or acknowledges data (RFC 7143 §11.16).

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::blank;
use super::{Lun, Malformed, NIL};

codes! {
    /// What a SNACK asks for (RFC 7143 §11.16.1).
    SnackType else ReservedSnackType {
        /// Data-In or R2T PDUs again.
        DataOrR2t = 0 "Data/R2T SNACK",
        /// Responses again.
        Status = 1 "Status SNACK",
        /// Nothing: Data-In PDUs are acknowledged.
        DataAck = 2 "DataACK",
        /// Data-In PDUs again, perhaps cut anew.
        ResegmentedData = 3 "R-Data SNACK",
    }
}

/// SNACK Request (RFC 7143 §11.16).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Snack {
    opcode: u8,
    flags: u8,
    reserved_2: [u8; 2],
    lengths: [u8; 4],
    /// The LUN, copied from the Data-In that a DataACK acknowledges; else reserved.
    pub lun: Lun,
    /// Initiator Task Tag of the task; [`NIL`] in a Status SNACK and a DataACK.
    pub itt: U32,
    /// Target Transfer Tag (DataACK) or SNACK Tag (R-Data SNACK); else [`NIL`].
    pub ttt: U32,
    reserved_24: [u8; 4],
    /// ExpStatSN.
    pub exp_stat_sn: U32,
    reserved_32: [u8; 8],
    /// BegRun: the first number asked for.
    pub beg_run: U32,
    /// RunLength: how many PDUs; 0 for all from BegRun on.
    pub run_length: U32,
}

pdu!(Snack);

impl Snack {
    /// A SNACK of this type without tags, for all unacknowledged PDUs.
    #[must_use]
    pub fn new(snack_type: SnackType) -> Self {
        let mut pdu: Self = blank(0x80 | snack_type.code());
        pdu.itt = NIL.into();
        pdu.ttt = NIL.into();
        pdu
    }

    /// The type.
    ///
    /// # Errors
    /// [`Malformed::ReservedSnackType`].
    pub fn snack_type(&self) -> Result<SnackType, Malformed> {
        SnackType::try_from(self.flags & 0x0f)
    }
}

impl Default for Snack {
    fn default() -> Self {
        Self::new(SnackType::DataOrR2t)
    }
}
