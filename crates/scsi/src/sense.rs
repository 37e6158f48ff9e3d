//! Sense data: why a command ended with CHECK CONDITION (SPC-4 §4.5), read and written in the
//! fixed and the descriptor format.

use std::fmt;

use crate::fields::{array, be32, be64, byte, slice};

#[cfg(test)]
mod tests;
mod texts;

pub use texts::additional_sense_text;

/// Bytes of fixed format sense data as [`Sense::encode_fixed`] writes it (SPC-4 §4.5.3).
pub const FIXED_LEN: usize = 18;
/// Bytes before the first descriptor of descriptor format sense data (SPC-4 §4.5.2.1).
const DESCRIPTOR_HEADER_LEN: usize = 8;
/// Most descriptors that are looked at; SPC-4 limits the whole to 244 bytes and none is shorter
/// than two, so that more can only be nonsense.
const MAX_DESCRIPTORS: usize = 122;

/// The broad kind of a failure (SPC-4 table 48).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SenseKey {
    /// 0h: nothing to tell.
    NoSense,
    /// 1h: it was done, with some effort.
    RecoveredError,
    /// 2h: the unit cannot be reached now.
    NotReady,
    /// 3h: the medium is at fault.
    MediumError,
    /// 4h: the device is at fault.
    HardwareError,
    /// 5h: the CDB or the parameter list is wrong.
    IllegalRequest,
    /// 6h: something has changed that the initiator must know.
    UnitAttention,
    /// 7h: the blocks are protected against this.
    DataProtect,
    /// 8h: blank or non-blank medium where it must not be.
    BlankCheck,
    /// 9h: the vendor's own.
    VendorSpecific,
    /// Ah: a copy was given up.
    CopyAborted,
    /// Bh: the device gave the command up; it may be sent again.
    AbortedCommand,
    /// Ch: reserved.
    Reserved,
    /// Dh: data remain that the medium has no room for.
    VolumeOverflow,
    /// Eh: the data compared are not those on the medium.
    Miscompare,
    /// Fh: it was done, and there is something to tell.
    Completed,
}

impl SenseKey {
    /// The key of the low four bits of `value`.
    #[must_use]
    pub const fn from_nibble(value: u8) -> Self {
        match value & 0x0f {
            0x0 => Self::NoSense,
            0x1 => Self::RecoveredError,
            0x2 => Self::NotReady,
            0x3 => Self::MediumError,
            0x4 => Self::HardwareError,
            0x5 => Self::IllegalRequest,
            0x6 => Self::UnitAttention,
            0x7 => Self::DataProtect,
            0x8 => Self::BlankCheck,
            0x9 => Self::VendorSpecific,
            0xa => Self::CopyAborted,
            0xb => Self::AbortedCommand,
            0xc => Self::Reserved,
            0xd => Self::VolumeOverflow,
            0xe => Self::Miscompare,
            _ => Self::Completed,
        }
    }

    /// The four bits of this key.
    #[must_use]
    pub const fn to_nibble(self) -> u8 {
        self as u8
    }
}

/// The standard's own words.
impl fmt::Display for SenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSense => "NO SENSE",
            Self::RecoveredError => "RECOVERED ERROR",
            Self::NotReady => "NOT READY",
            Self::MediumError => "MEDIUM ERROR",
            Self::HardwareError => "HARDWARE ERROR",
            Self::IllegalRequest => "ILLEGAL REQUEST",
            Self::UnitAttention => "UNIT ATTENTION",
            Self::DataProtect => "DATA PROTECT",
            Self::BlankCheck => "BLANK CHECK",
            Self::VendorSpecific => "VENDOR SPECIFIC",
            Self::CopyAborted => "COPY ABORTED",
            Self::AbortedCommand => "ABORTED COMMAND",
            Self::Reserved => "RESERVED SENSE KEY",
            Self::VolumeOverflow => "VOLUME OVERFLOW",
            Self::Miscompare => "MISCOMPARE",
            Self::Completed => "COMPLETED",
        })
    }
}

/// Sense data without the format they came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sense {
    /// They tell of an earlier command (response codes 71h and 73h), which itself had ended well.
    pub deferred: bool,
    /// The broad kind.
    pub key: SenseKey,
    /// Additional sense code.
    pub asc: u8,
    /// Additional sense code qualifier.
    pub ascq: u8,
    /// The INFORMATION field where it is valid: for block commands mostly the LBA at fault.
    pub information: Option<u64>,
    /// The COMMAND-SPECIFIC INFORMATION field, where it is not zero.
    pub command_specific: Option<u64>,
    /// The three bytes of SENSE KEY SPECIFIC with their valid bit (SKSV): for ILLEGAL REQUEST
    /// where in the CDB or parameter list the fault is, for NOT READY the progress.
    pub sense_key_specific: Option<[u8; 3]>,
}

impl Sense {
    /// Sense data of the current command that say a key and its additional codes.
    #[must_use]
    pub const fn new(key: SenseKey, asc: u8, ascq: u8) -> Self {
        Self {
            deferred: false,
            key,
            asc,
            ascq,
            information: None,
            command_specific: None,
            sense_key_specific: None,
        }
    }

    /// These sense data with a valid INFORMATION field.
    #[must_use]
    pub const fn with_information(self, information: u64) -> Self {
        Self {
            information: Some(information),
            ..self
        }
    }

    /// These sense data pointing at the faulty byte of the CDB (`in_cdb`) or of the parameter list
    /// (SPC-4 §4.5.2.4.2); `bit` names the leftmost faulty bit of it.
    #[must_use]
    pub const fn with_field_pointer(self, in_cdb: bool, field: u16, bit: Option<u8>) -> Self {
        let [high, low] = field.to_be_bytes();
        let bits = match bit {
            Some(bit) => 0x08 | (bit & 0x07),
            None => 0,
        };
        let first = 0x80 | (in_cdb as u8) << 6 | bits;
        Self {
            sense_key_specific: Some([first, high, low]),
            ..self
        }
    }

    /// Reads sense data of either format. `None` where the bytes are none: no response code of
    /// 70h-73h, or not even a sense key.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? & 0x7f {
            0x70 => Self::decode_fixed(bytes, false),
            0x71 => Self::decode_fixed(bytes, true),
            0x72 => Self::decode_descriptors(bytes, false),
            0x73 => Self::decode_descriptors(bytes, true),
            _ => None,
        }
    }

    fn decode_fixed(bytes: &[u8], deferred: bool) -> Option<Self> {
        let key = SenseKey::from_nibble(*bytes.get(2)?);
        // What lies behind ADDITIONAL SENSE LENGTH is not sense data, even if it came along.
        let end = usize::from(byte(bytes, 7)).saturating_add(8);
        let bytes = slice(bytes, 0, end);
        let valid = byte(bytes, 0) & 0x80 != 0;
        Some(Self {
            deferred,
            key,
            asc: byte(bytes, 12),
            ascq: byte(bytes, 13),
            information: valid.then(|| u64::from(be32(bytes, 3))),
            command_specific: Some(u64::from(be32(bytes, 8))).filter(|&value| value != 0),
            sense_key_specific: key_specific(bytes, 15),
        })
    }

    fn decode_descriptors(bytes: &[u8], deferred: bool) -> Option<Self> {
        let mut sense = Self::new(
            SenseKey::from_nibble(*bytes.get(1)?),
            byte(bytes, 2),
            byte(bytes, 3),
        );
        sense.deferred = deferred;
        let mut rest = slice(bytes, DESCRIPTOR_HEADER_LEN, usize::from(byte(bytes, 7)));
        for _ in 0..MAX_DESCRIPTORS {
            let [kind, length, body @ ..] = rest else {
                break;
            };
            sense.take_descriptor(*kind, slice(body, 0, usize::from(*length)));
            rest = body.get(usize::from(*length)..).unwrap_or(&[]);
        }
        Some(sense)
    }

    /// Takes over one descriptor; `body` starts behind its type and length bytes.
    fn take_descriptor(&mut self, kind: u8, body: &[u8]) {
        match (kind, body.len()) {
            (0x00, 10..) if byte(body, 0) & 0x80 != 0 => {
                self.information = Some(be64(body, 2));
            }
            (0x01, 10..) => {
                self.command_specific = Some(be64(body, 2)).filter(|&value| value != 0);
            }
            (0x02, 6..) => {
                self.sense_key_specific = key_specific(body, 2);
            }
            _ => {}
        }
    }

    /// The fixed format, 18 bytes. An INFORMATION or COMMAND-SPECIFIC value beyond 32 bits does not
    /// fit it and is left out.
    #[must_use]
    pub fn encode_fixed(&self) -> [u8; FIXED_LEN] {
        let mut bytes = [0; FIXED_LEN];
        bytes[0] = 0x70 | u8::from(self.deferred);
        bytes[2] = self.key.to_nibble();
        if let Some(information) = self.information.and_then(|value| u32::try_from(value).ok()) {
            bytes[0] |= 0x80;
            [bytes[3], bytes[4], bytes[5], bytes[6]] = information.to_be_bytes();
        }
        bytes[7] = 10;
        let specific = self
            .command_specific
            .and_then(|value| u32::try_from(value).ok());
        [bytes[8], bytes[9], bytes[10], bytes[11]] = specific.unwrap_or(0).to_be_bytes();
        bytes[12] = self.asc;
        bytes[13] = self.ascq;
        [bytes[15], bytes[16], bytes[17]] = self.sense_key_specific.unwrap_or_default();
        bytes
    }

    /// The descriptor format: 8 bytes and a descriptor for each field that is there.
    #[must_use]
    pub fn encode_descriptor(&self) -> Vec<u8> {
        let code = 0x72 | u8::from(self.deferred);
        let mut bytes = vec![code, self.key.to_nibble(), self.asc, self.ascq, 0, 0, 0, 0];
        if let Some(information) = self.information {
            bytes.extend_from_slice(&[0x00, 0x0a, 0x80, 0]);
            bytes.extend_from_slice(&information.to_be_bytes());
        }
        if let Some(specific) = self.command_specific {
            bytes.extend_from_slice(&[0x01, 0x0a, 0, 0]);
            bytes.extend_from_slice(&specific.to_be_bytes());
        }
        if let Some(specific) = self.sense_key_specific {
            bytes.extend_from_slice(&[0x02, 0x06, 0, 0]);
            bytes.extend_from_slice(&specific);
            bytes.push(0);
        }
        // At most 12 + 12 + 8 bytes of descriptors.
        let added = u8::try_from(bytes.len() - DESCRIPTOR_HEADER_LEN).unwrap_or(0);
        if let Some(length) = bytes.get_mut(7) {
            *length = added;
        }
        bytes
    }

    /// Key, code and qualifier, for matching.
    #[must_use]
    pub const fn code(&self) -> (SenseKey, u8, u8) {
        (self.key, self.asc, self.ascq)
    }

    /// What ASC and ASCQ mean, where this crate's table knows.
    #[must_use]
    pub fn text(&self) -> Option<&'static str> {
        additional_sense_text(self.asc, self.ascq)
    }
}

/// The three bytes at `at`, if their valid bit (SKSV) is set.
fn key_specific(bytes: &[u8], at: usize) -> Option<[u8; 3]> {
    array::<3>(bytes, at).filter(|[first, ..]| first & 0x80 != 0)
}

/// `ILLEGAL REQUEST: LOGICAL BLOCK ADDRESS OUT OF RANGE (05/21/00), information 0x64`.
impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.deferred {
            f.write_str("deferred error of an earlier command: ")?;
        }
        write!(f, "{}", self.key)?;
        if let Some(text) = self.text() {
            write!(f, ": {text}")?;
        }
        write!(
            f,
            " ({:02x}/{:02x}/{:02x})",
            self.key.to_nibble(),
            self.asc,
            self.ascq
        )?;
        if let Some(information) = self.information {
            write!(f, ", information {information:#x}")?;
        }
        match (self.key, self.sense_key_specific) {
            (SenseKey::IllegalRequest, Some([first, high, low])) => {
                let place = if first & 0x40 != 0 {
                    "CDB"
                } else {
                    "parameter list"
                };
                write!(
                    f,
                    ", byte {} of the {place}",
                    u16::from_be_bytes([high, low])
                )?;
                if first & 0x08 != 0 {
                    write!(f, ", bit {}", first & 0x07)?;
                }
                Ok(())
            }
            (SenseKey::NotReady | SenseKey::NoSense, Some([_, high, low])) => {
                let done = u32::from(u16::from_be_bytes([high, low])) * 100 / 65536;
                write!(f, ", {done} % done")
            }
            _ => Ok(()),
        }
    }
}
