//! Why a command is not carried out: sense data or a status other than GOOD.

use hawser_scsi::{Sense, SenseKey, Status};

/// The end of a command that was refused or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// CHECK CONDITION with these sense data.
    Check(Sense),
    /// Another status, without sense data.
    Status(Status),
}

impl Refusal {
    /// Another nexus holds a reservation that forbids this.
    pub(super) const CONFLICT: Self = Self::Status(Status::ReservationConflict);

    pub(super) const fn illegal(asc: u8, ascq: u8) -> Self {
        Self::Check(Sense::new(SenseKey::IllegalRequest, asc, ascq))
    }

    /// INVALID COMMAND OPERATION CODE.
    pub(super) const fn unknown_command() -> Self {
        Self::illegal(0x20, 0x00)
    }

    /// INVALID FIELD IN CDB, pointing at byte `byte`.
    pub(super) const fn cdb_field(byte: u16) -> Self {
        let sense = Sense::new(SenseKey::IllegalRequest, 0x24, 0x00);
        Self::Check(sense.with_field_pointer(true, byte, None))
    }

    /// INVALID FIELD IN CDB, pointing at bit `bit` of byte `byte`.
    pub(super) const fn cdb_bit(byte: u16, bit: u8) -> Self {
        let sense = Sense::new(SenseKey::IllegalRequest, 0x24, 0x00);
        Self::Check(sense.with_field_pointer(true, byte, Some(bit)))
    }

    /// INVALID FIELD IN PARAMETER LIST, pointing at byte `byte`.
    pub(super) const fn parameter_field(byte: u16) -> Self {
        let sense = Sense::new(SenseKey::IllegalRequest, 0x26, 0x00);
        Self::Check(sense.with_field_pointer(false, byte, None))
    }

    /// PARAMETER LIST LENGTH ERROR.
    pub(super) const fn parameter_length() -> Self {
        Self::illegal(0x1a, 0x00)
    }

    /// LOGICAL BLOCK ADDRESS OUT OF RANGE, naming the address.
    pub(super) const fn out_of_range(lba: u64) -> Self {
        let sense = Sense::new(SenseKey::IllegalRequest, 0x21, 0x00);
        Self::Check(sense.with_information(lba))
    }

    /// WRITE PROTECTED: for the whole unit, or by software (SWP).
    pub(super) const fn write_protected() -> Self {
        Self::Check(Sense::new(SenseKey::DataProtect, 0x27, 0x00))
    }

    /// MISCOMPARE DURING VERIFY OPERATION at byte `offset` of the data out.
    pub(super) const fn miscompare(offset: u64) -> Self {
        let sense = Sense::new(SenseKey::Miscompare, 0x1d, 0x00);
        Self::Check(sense.with_information(offset))
    }

    /// LOGICAL UNIT NOT SUPPORTED: nothing at this LUN.
    pub(super) const fn no_unit() -> Self {
        Self::illegal(0x25, 0x00)
    }
}
