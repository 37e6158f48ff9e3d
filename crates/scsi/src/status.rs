//! The status byte that ends every SCSI command (SAM-5 §5.3).

use std::fmt;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// 00h: it was done.
    Good,
    /// 02h: it was not, or not quietly; the sense data say why.
    CheckCondition,
    /// 04h: PRE-FETCH found room for everything.
    ConditionMet,
    /// 08h: the unit cannot take it now; send it again later.
    Busy,
    /// 18h: another nexus holds a reservation.
    ReservationConflict,
    /// 28h: the unit's queue is full.
    TaskSetFull,
    /// 30h: an auto contingent allegiance is in the way.
    AcaActive,
    /// 40h: another nexus aborted it.
    TaskAborted,
    /// A value that SAM-5 does not define, or calls obsolete.
    Other(u8),
}

impl Status {
    /// The status that `byte` stands for.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            0x00 => Self::Good,
            0x02 => Self::CheckCondition,
            0x04 => Self::ConditionMet,
            0x08 => Self::Busy,
            0x18 => Self::ReservationConflict,
            0x28 => Self::TaskSetFull,
            0x30 => Self::AcaActive,
            0x40 => Self::TaskAborted,
            other => Self::Other(other),
        }
    }

    /// The byte that stands for this status.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Good => 0x00,
            Self::CheckCondition => 0x02,
            Self::ConditionMet => 0x04,
            Self::Busy => 0x08,
            Self::ReservationConflict => 0x18,
            Self::TaskSetFull => 0x28,
            Self::AcaActive => 0x30,
            Self::TaskAborted => 0x40,
            Self::Other(byte) => byte,
        }
    }
}

/// The standard's own words, with the byte for a value it does not define.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "GOOD",
            Self::CheckCondition => "CHECK CONDITION",
            Self::ConditionMet => "CONDITION MET",
            Self::Busy => "BUSY",
            Self::ReservationConflict => "RESERVATION CONFLICT",
            Self::TaskSetFull => "TASK SET FULL",
            Self::AcaActive => "ACA ACTIVE",
            Self::TaskAborted => "TASK ABORTED",
            Self::Other(byte) => return write!(f, "status {byte:#04x}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_round_trips() {
        for byte in 0..=u8::MAX {
            assert_eq!(Status::from_byte(byte).to_byte(), byte);
        }
        assert_eq!(Status::from_byte(0x18).to_string(), "RESERVATION CONFLICT");
        assert_eq!(Status::from_byte(0x55).to_string(), "status 0x55");
    }
}
