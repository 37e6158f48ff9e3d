//! Standard INQUIRY data: what kind of unit this is and who made it (SPC-4 §6.6.2).

use crate::error::DecodeError;
use crate::fields::{byte, printable, slice};

/// Bytes without which standard INQUIRY data say nothing: up to ADDITIONAL LENGTH.
const MIN_LEN: usize = 5;
/// Bytes that every device sends: up to PRODUCT REVISION LEVEL.
pub const STANDARD_LEN: u16 = 36;
/// Peripheral device type of a disk (direct access block device, SBC).
pub const DEVICE_TYPE_DISK: u8 = 0x00;
/// Peripheral device type "unknown or no device", with qualifier 3: no unit at this LUN.
pub const DEVICE_TYPE_NONE: u8 = 0x1f;

/// Standard INQUIRY data; texts are trimmed and safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// 0: a unit is connected; 1: it could be but is not; 3: there can be none at this LUN.
    pub peripheral_qualifier: u8,
    /// What kind of device: 0 = disk, 5 = CD/DVD, 1fh = none.
    pub device_type: u8,
    /// Its medium can be taken out.
    pub removable: bool,
    /// Version of SPC that it claims (6 = SPC-4).
    pub version: u8,
    /// Target port group support: 0 none, 1 implicit, 2 explicit, 3 both.
    pub tpgs: u8,
    /// It can keep protection information with each block.
    pub protect: bool,
    /// It takes more than one command at a time.
    pub command_queuing: bool,
    /// T10 vendor identification.
    pub vendor: String,
    /// Product identification.
    pub product: String,
    /// Product revision level.
    pub revision: String,
}

impl Inquiry {
    /// Reads standard INQUIRY data; fields that did not come are zero or empty.
    ///
    /// # Errors
    /// `TooShort` below 5 bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        DecodeError::need("INQUIRY data", bytes, MIN_LEN)?;
        let bytes = slice(bytes, 0, usize::from(byte(bytes, 4)) + MIN_LEN);
        Ok(Self {
            peripheral_qualifier: byte(bytes, 0) >> 5,
            device_type: byte(bytes, 0) & 0x1f,
            removable: byte(bytes, 1) & 0x80 != 0,
            version: byte(bytes, 2),
            tpgs: (byte(bytes, 5) >> 4) & 0x03,
            protect: byte(bytes, 5) & 0x01 != 0,
            command_queuing: byte(bytes, 7) & 0x02 != 0,
            vendor: printable(slice(bytes, 8, 8)),
            product: printable(slice(bytes, 16, 16)),
            revision: printable(slice(bytes, 32, 4)),
        })
    }

    /// A unit is there (qualifier 0) and it is a disk.
    #[must_use]
    pub const fn is_disk(&self) -> bool {
        self.is_connected() && self.device_type == DEVICE_TYPE_DISK
    }

    /// A unit is there, whatever it is.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.peripheral_qualifier == 0 && self.device_type != DEVICE_TYPE_NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Vec<u8> {
        let mut bytes = vec![0x00, 0x80, 0x06, 0x12, 31, 0x11, 0, 0x02];
        bytes.extend_from_slice(b"HAWSER  ");
        bytes.extend_from_slice(b"Virtual disk\x1b   ");
        bytes.extend_from_slice(b"1   ");
        bytes
    }

    #[test]
    fn fields_of_the_table() {
        let inquiry = Inquiry::decode(&disk()).unwrap();
        assert!(inquiry.is_disk());
        assert!(inquiry.removable && inquiry.protect && inquiry.command_queuing);
        assert_eq!((inquiry.version, inquiry.tpgs), (6, 1));
        assert_eq!(inquiry.vendor, "HAWSER");
        assert_eq!(
            inquiry.product, "Virtual disk\\x1b",
            "no escape reaches a terminal"
        );
        assert_eq!(inquiry.revision, "1");
    }

    #[test]
    fn no_unit_at_this_lun() {
        let mut bytes = disk();
        bytes[0] = 0x7f;
        let inquiry = Inquiry::decode(&bytes).unwrap();
        assert!(!inquiry.is_connected() && !inquiry.is_disk());
    }

    #[test]
    fn short_answers_are_read_as_far_as_they_go() {
        let inquiry = Inquiry::decode(&disk()[..12]).unwrap();
        assert_eq!(
            (inquiry.vendor.as_str(), inquiry.product.as_str()),
            ("HAWS", "")
        );
        let short = DecodeError::TooShort {
            what: "INQUIRY data",
            need: 5,
            got: 4,
        };
        assert_eq!(Inquiry::decode(&disk()[..4]), Err(short));
    }
}
