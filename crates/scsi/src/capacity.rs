//! READ CAPACITY: how many blocks of what size (SBC-3 §5.15, §5.16).

use crate::error::DecodeError;
use crate::fields::{be16, be32, be64, byte};

/// Bytes READ CAPACITY (10) answers.
pub const CAPACITY_10_LEN: usize = 8;
/// Bytes READ CAPACITY (16) answers; the first 12 are what everybody sends.
pub const CAPACITY_16_LEN: usize = 32;
/// Bytes without which the answer to READ CAPACITY (16) says nothing.
const CAPACITY_16_MIN: usize = 12;

/// The size of a disk and what it said beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Number of blocks: the last address and one.
    pub blocks: u64,
    /// Bytes in a logical block, never 0. Not more is checked: whoever uses it must refuse sizes
    /// that it cannot serve.
    pub block_size: u32,
    /// Logical blocks in a physical block, as a power of two.
    pub physical_exponent: u8,
    /// First logical block that starts a physical one.
    pub lowest_aligned_lba: u16,
    /// Thin: blocks can be unmapped (LBPME).
    pub provisioned_thin: bool,
    /// Unmapped blocks read as zeros (LBPRZ).
    pub unmapped_reads_zero: bool,
    /// Protection information type, 0 for none, 1-3 as the standard counts them.
    pub protection_type: u8,
}

impl Capacity {
    /// Reads the answer to READ CAPACITY (10). `None` where the disk is too large for it and READ
    /// CAPACITY (16) must be asked.
    ///
    /// # Errors
    /// `TooShort`; `Impossible` for a block size of 0.
    pub fn decode_10(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        DecodeError::need("READ CAPACITY(10) data", bytes, CAPACITY_10_LEN)?;
        let last = be32(bytes, 0);
        if last == u32::MAX {
            return Ok(None);
        }
        Ok(Some(Self {
            blocks: u64::from(last) + 1,
            block_size: block_size(be32(bytes, 4))?,
            physical_exponent: 0,
            lowest_aligned_lba: 0,
            provisioned_thin: false,
            unmapped_reads_zero: false,
            protection_type: 0,
        }))
    }

    /// Reads the answer to READ CAPACITY (16).
    ///
    /// # Errors
    /// `TooShort` below 12 bytes; `Impossible` for a block size of 0 or more bytes than 64 bits
    /// can count.
    pub fn decode_16(bytes: &[u8]) -> Result<Self, DecodeError> {
        DecodeError::need("READ CAPACITY(16) data", bytes, CAPACITY_16_MIN)?;
        let last = be64(bytes, 0);
        let block_size = block_size(be32(bytes, 8))?;
        let too_large = DecodeError::Impossible {
            what: "last block address",
            value: last,
        };
        let blocks = last.checked_add(1).ok_or(too_large)?;
        blocks.checked_mul(u64::from(block_size)).ok_or(too_large)?;
        let protection = byte(bytes, 12);
        Ok(Self {
            blocks,
            block_size,
            physical_exponent: byte(bytes, 13) & 0x0f,
            lowest_aligned_lba: be16(bytes, 14) & 0x3fff,
            provisioned_thin: byte(bytes, 14) & 0x80 != 0,
            unmapped_reads_zero: byte(bytes, 14) & 0x40 != 0,
            protection_type: match protection & 0x01 {
                0 => 0,
                _ => ((protection >> 1) & 0x07) + 1,
            },
        })
    }

    /// The size in bytes; cannot overflow, decoding saw to it.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.blocks.saturating_mul(self.block_size as u64)
    }

    /// Bytes in a physical block.
    #[must_use]
    pub const fn physical_block_size(&self) -> u64 {
        (self.block_size as u64) << (self.physical_exponent & 0x0f)
    }
}

fn block_size(value: u32) -> Result<u32, DecodeError> {
    match value {
        0 => Err(DecodeError::Impossible {
            what: "block size",
            value: 0,
        }),
        size => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_byte_form() {
        let capacity = Capacity::decode_10(&[0, 0, 0x07, 0xff, 0, 0, 2, 0])
            .unwrap()
            .unwrap();
        assert_eq!((capacity.blocks, capacity.block_size), (2048, 512));
        assert_eq!(capacity.bytes(), 1 << 20);
        assert_eq!(
            Capacity::decode_10(&[255, 255, 255, 255, 0, 0, 2, 0]),
            Ok(None)
        );
        assert!(Capacity::decode_10(&[0, 0, 0, 1, 0, 0, 0, 0]).is_err());
        assert!(Capacity::decode_10(&[0; 7]).is_err());
    }

    #[test]
    fn sixteen_byte_form() {
        let mut bytes = [0; 32];
        bytes[..12].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x10, 0]);
        bytes[12..16].copy_from_slice(&[0x05, 0x03, 0xc0, 0x07]);
        let capacity = Capacity::decode_16(&bytes).unwrap();
        assert_eq!(capacity.blocks, (1 << 32) + 1);
        assert_eq!(
            (capacity.block_size, capacity.physical_block_size()),
            (4096, 32768)
        );
        assert!(capacity.provisioned_thin && capacity.unmapped_reads_zero);
        assert_eq!(
            (capacity.lowest_aligned_lba, capacity.protection_type),
            (7, 3)
        );
    }

    #[test]
    fn sizes_beyond_counting_are_refused() {
        let mut bytes = [0xff; 12];
        assert!(Capacity::decode_16(&bytes).is_err());
        bytes[8..].copy_from_slice(&[0, 0, 2, 0]);
        bytes[..2].copy_from_slice(&[0x00, 0x7f]);
        assert!(
            Capacity::decode_16(&bytes).is_err(),
            "2^55 blocks of 2^9 bytes"
        );
        bytes[7] = 0xfe;
        assert!(Capacity::decode_16(&bytes).is_ok(), "one block less");
    }
}
