//! CDBs of SBC-3 that move or change blocks.

use super::Cdb;
use crate::opcode;

/// Most blocks one 6-byte read or write moves (SBC-3 §5.10: 0 in the field means 256).
const SIX_BYTE_MAX_BLOCKS: u16 = 256;
/// Largest LBA of the 6-byte commands: 21 bits.
const SIX_BYTE_MAX_LBA: u32 = 0x1f_ffff;
/// Bytes of the UNMAP parameter list before its first descriptor (SBC-3 §5.28).
const UNMAP_HEADER_LEN: usize = 8;
/// Bytes of one UNMAP block descriptor.
const UNMAP_DESCRIPTOR_LEN: usize = 16;
/// Most descriptors whose list length fits the 16-bit length fields.
const UNMAP_MAX_RANGES: usize = (u16::MAX as usize - UNMAP_HEADER_LEN) / UNMAP_DESCRIPTOR_LEN;

/// What a read or write asks of the unit's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IoFlags {
    /// Force unit access: the medium itself, not a volatile cache, must hold the data at the end.
    pub fua: bool,
    /// Disable page out: do not keep the data in the cache.
    pub dpo: bool,
}

impl IoFlags {
    /// No wishes.
    pub const NONE: Self = Self {
        fua: false,
        dpo: false,
    };
    /// Force unit access.
    pub const FUA: Self = Self {
        fua: true,
        dpo: false,
    };

    const fn byte(self) -> u8 {
        (self.dpo as u8) << 4 | (self.fua as u8) << 3
    }
}

/// The switches of WRITE SAME.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteSameFlags {
    /// The unit may deallocate the blocks instead of writing them.
    pub unmap: bool,
    /// ... but keep their space assigned.
    pub anchor: bool,
    /// No data-out buffer: write zeros. Only WRITE SAME (16) has it.
    pub ndob: bool,
}

/// One range of blocks for [`encode_unmap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnmapRange {
    /// First block.
    pub lba: u64,
    /// How many.
    pub blocks: u32,
}

/// The parameter list that goes with [`Cdb::unmap`]; `None` for more ranges than its 16-bit
/// lengths can say (4095).
#[must_use]
pub fn encode_unmap(ranges: &[UnmapRange]) -> Option<Vec<u8>> {
    if ranges.len() > UNMAP_MAX_RANGES {
        return None;
    }
    let descriptors = ranges.len() * UNMAP_DESCRIPTOR_LEN;
    let mut list = Vec::with_capacity(UNMAP_HEADER_LEN + descriptors);
    // The data length does not count its own two bytes.
    list.extend_from_slice(&u16::try_from(descriptors + 6).ok()?.to_be_bytes());
    list.extend_from_slice(&u16::try_from(descriptors).ok()?.to_be_bytes());
    list.extend_from_slice(&[0; 4]);
    for range in ranges {
        list.extend_from_slice(&range.lba.to_be_bytes());
        list.extend_from_slice(&range.blocks.to_be_bytes());
        list.extend_from_slice(&[0; 4]);
    }
    Some(list)
}

impl Cdb {
    /// The shortest of READ (10) and READ (16) that can name `blocks` blocks at `lba`.
    #[must_use]
    pub fn read(lba: u64, blocks: u32, flags: IoFlags) -> Self {
        match (u32::try_from(lba), u16::try_from(blocks)) {
            (Ok(lba), Ok(blocks)) => Self::read_10(lba, blocks, flags),
            _ => Self::read_16(lba, blocks, flags),
        }
    }

    /// The shortest of WRITE (10) and WRITE (16) that can name `blocks` blocks at `lba`.
    #[must_use]
    pub fn write(lba: u64, blocks: u32, flags: IoFlags) -> Self {
        match (u32::try_from(lba), u16::try_from(blocks)) {
            (Ok(lba), Ok(blocks)) => Self::write_10(lba, blocks, flags),
            _ => Self::write_16(lba, blocks, flags),
        }
    }

    /// READ (6): 1 to 256 blocks at an LBA of 21 bits; `None` outside that.
    #[must_use]
    pub fn read_6(lba: u32, blocks: u16) -> Option<Self> {
        Self::six(opcode::READ_6, lba, blocks)
    }

    /// WRITE (6): 1 to 256 blocks at an LBA of 21 bits; `None` outside that.
    #[must_use]
    pub fn write_6(lba: u32, blocks: u16) -> Option<Self> {
        Self::six(opcode::WRITE_6, lba, blocks)
    }

    /// READ (10): 0 blocks read nothing.
    #[must_use]
    pub const fn read_10(lba: u32, blocks: u16, flags: IoFlags) -> Self {
        Self::ten(opcode::READ_10, flags.byte(), lba, blocks)
    }

    /// WRITE (10): 0 blocks write nothing.
    #[must_use]
    pub const fn write_10(lba: u32, blocks: u16, flags: IoFlags) -> Self {
        Self::ten(opcode::WRITE_10, flags.byte(), lba, blocks)
    }

    /// READ (12).
    #[must_use]
    pub const fn read_12(lba: u32, blocks: u32, flags: IoFlags) -> Self {
        Self::twelve(opcode::READ_12, flags.byte(), lba, blocks)
    }

    /// WRITE (12).
    #[must_use]
    pub const fn write_12(lba: u32, blocks: u32, flags: IoFlags) -> Self {
        Self::twelve(opcode::WRITE_12, flags.byte(), lba, blocks)
    }

    /// READ (16).
    #[must_use]
    pub const fn read_16(lba: u64, blocks: u32, flags: IoFlags) -> Self {
        Self::sixteen(opcode::READ_16, flags.byte(), lba, blocks)
    }

    /// WRITE (16).
    #[must_use]
    pub const fn write_16(lba: u64, blocks: u32, flags: IoFlags) -> Self {
        Self::sixteen(opcode::WRITE_16, flags.byte(), lba, blocks)
    }

    /// SYNCHRONIZE CACHE (10): 0 blocks means to the end of the disk. With `immediate` the unit
    /// answers before it is done, which proves nothing about durability.
    #[must_use]
    pub const fn synchronize_cache_10(lba: u32, blocks: u16, immediate: bool) -> Self {
        Self::ten(
            opcode::SYNCHRONIZE_CACHE_10,
            (immediate as u8) << 1,
            lba,
            blocks,
        )
    }

    /// SYNCHRONIZE CACHE (16): 0 blocks means to the end of the disk.
    #[must_use]
    pub const fn synchronize_cache_16(lba: u64, blocks: u32, immediate: bool) -> Self {
        Self::sixteen(
            opcode::SYNCHRONIZE_CACHE_16,
            (immediate as u8) << 1,
            lba,
            blocks,
        )
    }

    /// UNMAP, with the length in bytes of the list that [`encode_unmap`] made.
    #[must_use]
    pub const fn unmap(anchor: bool, parameter_list_length: u16) -> Self {
        let [a, b] = parameter_list_length.to_be_bytes();
        Self::new_10([opcode::UNMAP, anchor as u8, 0, 0, 0, 0, 0, a, b, 0])
    }

    /// WRITE SAME (10): one block of data, written `blocks` times; 0 means to the end of the disk
    /// where the unit allows it. `ndob` is not in this form and is ignored.
    #[must_use]
    pub const fn write_same_10(lba: u32, blocks: u16, flags: WriteSameFlags) -> Self {
        let switches = (flags.anchor as u8) << 4 | (flags.unmap as u8) << 3;
        Self::ten(opcode::WRITE_SAME_10, switches, lba, blocks)
    }

    /// WRITE SAME (16): one block of data (none with `ndob`), written `blocks` times.
    #[must_use]
    pub const fn write_same_16(lba: u64, blocks: u32, flags: WriteSameFlags) -> Self {
        let switches = (flags.anchor as u8) << 4 | (flags.unmap as u8) << 3 | flags.ndob as u8;
        Self::sixteen(opcode::WRITE_SAME_16, switches, lba, blocks)
    }

    /// COMPARE AND WRITE: the data out are `blocks` blocks to compare with, then as many to write.
    #[must_use]
    pub const fn compare_and_write(lba: u64, blocks: u8, flags: IoFlags) -> Self {
        Self::sixteen(opcode::COMPARE_AND_WRITE, flags.byte(), lba, blocks as u32)
    }

    /// GET LBA STATUS: what is mapped from `lba` on (SBC-3 §5.7).
    #[must_use]
    pub const fn get_lba_status(lba: u64, allocation_length: u32) -> Self {
        Self::sixteen(
            opcode::SERVICE_ACTION_IN_16,
            opcode::SA_GET_LBA_STATUS,
            lba,
            allocation_length,
        )
    }

    fn six(opcode: u8, lba: u32, blocks: u16) -> Option<Self> {
        if lba > SIX_BYTE_MAX_LBA || !(1..=SIX_BYTE_MAX_BLOCKS).contains(&blocks) {
            return None;
        }
        let [_, a, b, c] = lba.to_be_bytes();
        let [_, count] = blocks.to_be_bytes();
        Some(Self::new_6([opcode, a, b, c, count, 0]))
    }

    const fn ten(opcode: u8, switches: u8, lba: u32, blocks: u16) -> Self {
        let [a, b, c, d] = lba.to_be_bytes();
        let [m, n] = blocks.to_be_bytes();
        Self::new_10([opcode, switches, a, b, c, d, 0, m, n, 0])
    }

    const fn twelve(opcode: u8, switches: u8, lba: u32, blocks: u32) -> Self {
        let [a, b, c, d] = lba.to_be_bytes();
        let [m, n, o, p] = blocks.to_be_bytes();
        Self::new_12([opcode, switches, a, b, c, d, m, n, o, p, 0, 0])
    }

    /// The 16-byte layout: switches or service action, LBA in bytes 2-9, length in bytes 10-13.
    pub(super) const fn sixteen(opcode: u8, switches: u8, lba: u64, length: u32) -> Self {
        let [a, b, c, d, e, f, g, h] = lba.to_be_bytes();
        let [m, n, o, p] = length.to_be_bytes();
        Self::new_16([opcode, switches, a, b, c, d, e, f, g, h, m, n, o, p, 0, 0])
    }
}
