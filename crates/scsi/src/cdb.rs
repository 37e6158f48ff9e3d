//! Command descriptor blocks: what a unit is asked to do, in at most 16 bytes kept inline.
//!
//! Each builder is named after its command and takes the fields of the standard's table in their
//! units (blocks, bytes). Numbers whose field is narrower than their type are checked.

use std::fmt;

use crate::opcode;

mod io;
mod long;
mod primary;
#[cfg(test)]
mod tests;

pub use io::{IoFlags, UnmapRange, WriteSameFlags, encode_unmap};
pub use long::{LongCdb, MAX_LONG_CDB_LEN};
pub use primary::{OpcodeQuery, ReservationScopeType, reservation};

/// Longest CDB that [`Cdb`] holds. Longer ones are [`LongCdb`]s.
pub const MAX_CDB_LEN: usize = 16;

/// One command descriptor block of 1 to 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cdb {
    bytes: [u8; MAX_CDB_LEN],
    len: u8,
}

impl Cdb {
    /// Takes over bytes that somebody else built; `None` if there are none or more than 16.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let mut inline = [0; MAX_CDB_LEN];
        inline.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self {
            bytes: inline,
            len: u8::try_from(bytes.len()).ok()?,
        })
    }

    /// The bytes of the command, without padding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.len))
            .unwrap_or(&self.bytes)
    }

    /// The bytes padded with zeros to the 16 that a SCSI Command PDU carries (RFC 7143 §11.3.5).
    #[must_use]
    pub const fn padded(&self) -> [u8; MAX_CDB_LEN] {
        self.bytes
    }

    /// The operation code, byte 0.
    #[must_use]
    pub const fn opcode(&self) -> u8 {
        self.bytes[0]
    }

    const fn new_6(bytes: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = bytes;
        Self {
            bytes: [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            len: 6,
        }
    }

    const fn new_10(bytes: [u8; 10]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j] = bytes;
        Self {
            bytes: [a, b, c, d, e, f, g, h, i, j, 0, 0, 0, 0, 0, 0],
            len: 10,
        }
    }

    const fn new_12(bytes: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Self {
            bytes: [a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 0],
            len: 12,
        }
    }

    const fn new_16(bytes: [u8; 16]) -> Self {
        Self { bytes, len: 16 }
    }
}

/// The command's name and its bytes in hexadecimal, for logs.
impl fmt::Display for Cdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(opcode::name(self.opcode()).unwrap_or("unknown command"))?;
        f.write_str(" [")?;
        for (i, byte) in self.as_bytes().iter().enumerate() {
            write!(f, "{}{byte:02x}", if i == 0 { "" } else { " " })?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Cdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cdb({self})")
    }
}
