//! UNMAP, WRITE SAME and GET LBA STATUS (SBC-3 §5.7, §5.28, §5.39-5.41).

use std::sync::PoisonError;

use hawser_scsi::{Status, opcode};

use super::super::MAX_TRANSFER_BYTES;
use super::super::refusal::Refusal;
use super::super::task::Task;
use super::super::unit::LogicalUnit;
use super::range::{Blocks, named_blocks, read_failed, write_failed};

/// Most ranges of one UNMAP.
pub(super) const MAX_UNMAP_RANGES: u32 = 256;
/// Most blocks of one UNMAP, over all its ranges: giving room back costs time too.
pub(super) const MAX_UNMAP_BLOCKS: u32 = 1 << 20;
/// Most bytes of one WRITE SAME: what one command may write, it may write in this way too.
pub(super) const MAX_WRITE_SAME_BYTES: u64 = MAX_TRANSFER_BYTES;
/// Bytes that WRITE SAME writes to the backend at once.
const WRITE_SAME_STEP: usize = 256 * 1024;
/// Bytes of the UNMAP parameter list before its descriptors.
const UNMAP_HEADER_LEN: usize = 8;
/// Bytes of an UNMAP or LBA status descriptor.
const DESCRIPTOR_LEN: usize = 16;
/// Most descriptors that GET LBA STATUS answers with; the initiator asks again for the rest.
const MAX_STATUS_DESCRIPTORS: usize = 256;

/// UNMAP. Nothing is unmapped unless all ranges are right.
pub(super) fn unmap(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    if task.bit(1, 0) {
        // ANCHOR: the provisioning page says that we cannot.
        return Err(Refusal::cdb_bit(1, 0));
    }
    unit.check_writable()?;
    let list = task.parameter_list(task.number(7, 2))?;
    if list.is_empty() {
        return Ok(Status::Good);
    }
    let ranges = unmap_ranges(unit, list)?;
    let shared = unit.changes.read().unwrap_or_else(PoisonError::into_inner);
    for blocks in ranges {
        unit.discard(blocks)?;
    }
    drop(shared);
    Ok(Status::Good)
}

/// The ranges of an UNMAP parameter list, each and all checked.
fn unmap_ranges(unit: &LogicalUnit, list: &[u8]) -> Result<Vec<Blocks>, Refusal> {
    let [_, _, high, low, ..] = list else {
        return Err(Refusal::parameter_length());
    };
    let Some(rest) = list.get(UNMAP_HEADER_LEN..) else {
        return Err(Refusal::parameter_length());
    };
    let claimed = usize::from(u16::from_be_bytes([*high, *low]));
    let descriptors = rest.get(..claimed).unwrap_or(rest);
    let mut ranges = Vec::new();
    let mut total = 0;
    for descriptor in descriptors.chunks_exact(DESCRIPTOR_LEN) {
        let number = |bytes: Option<&[u8]>| {
            bytes
                .unwrap_or_default()
                .iter()
                .fold(0, |n, &b| n << 8 | u64::from(b))
        };
        let lba = number(descriptor.get(..8));
        let blocks = Blocks {
            lba,
            count: number(descriptor.get(8..12)),
        };
        unit.check_on_disk(blocks)?;
        total += blocks.count;
        ranges.push(blocks);
    }
    if ranges.len() > MAX_UNMAP_RANGES as usize {
        return Err(Refusal::parameter_field(2));
    }
    if total > u64::from(MAX_UNMAP_BLOCKS) {
        return Err(Refusal::parameter_field(16));
    }
    Ok(ranges)
}

/// WRITE SAME (10, 16).
pub(super) fn write_same(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let no_data_out = task.opcode() == opcode::WRITE_SAME_16 && task.bit(1, 0);
    let (may_unmap, anchor) = (task.bit(1, 3), task.bit(1, 4));
    if anchor {
        // Anchored blocks are not offered, and without UNMAP the bit means nothing.
        return Err(Refusal::cdb_bit(1, 4));
    }
    let blocks = named_blocks(task);
    unit.check_on_disk(blocks)?;
    // 0 blocks would mean "to the end", which the block limits page rules out (WSNZ).
    if blocks.count == 0 || unit.offset(blocks.count) > MAX_WRITE_SAME_BYTES {
        let field = if task.opcode() == opcode::WRITE_SAME_16 {
            10
        } else {
            7
        };
        return Err(Refusal::cdb_field(field));
    }
    unit.check_writable()?;
    let data = match no_data_out {
        true => &[],
        false => task.exactly(u64::from(unit.block_size()))?,
    };
    let zeros = data.iter().all(|&b| b == 0);
    let shared = unit.changes.read().unwrap_or_else(PoisonError::into_inner);
    // Unmapped blocks read as zeros (LBPRZ), so only zeros may be unmapped.
    if zeros && (may_unmap || no_data_out) {
        unit.discard(blocks)?;
    } else {
        unit.repeat(blocks, data)?;
    }
    drop(shared);
    Ok(Status::Good)
}

/// GET LBA STATUS: which blocks are mapped, from an LBA on.
pub(super) fn get_lba_status(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let start = task.number(2, 8);
    unit.check_on_disk(Blocks {
        lba: start,
        count: 1,
    })?;
    let room = task.number(10, 4);
    let wanted = usize::try_from(room)
        .unwrap_or(usize::MAX)
        .saturating_sub(8)
        / DESCRIPTOR_LEN;
    let mut bytes = vec![0; 8];
    let mut lba = start;
    for _ in 0..wanted.clamp(1, MAX_STATUS_DESCRIPTORS) {
        if lba >= unit.blocks() {
            break;
        }
        let (count, mapped) = unit.block_extent(lba)?;
        bytes.extend_from_slice(&lba.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&[u8::from(!mapped), 0, 0, 0]);
        lba += u64::from(count);
    }
    // The length does not count its own four bytes.
    let length = u32::try_from(bytes.len() - 4)
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    bytes
        .iter_mut()
        .zip(length)
        .for_each(|(to, from)| *to = from);
    task.answer(&bytes, room);
    Ok(Status::Good)
}

impl LogicalUnit {
    fn discard(&self, blocks: Blocks) -> Result<(), Refusal> {
        let (offset, len) = (self.offset(blocks.lba), self.offset(blocks.count));
        self.backend
            .discard(offset, len)
            .map_err(|e| write_failed(blocks.lba, &e))
    }

    /// Writes `block` to each of `blocks`.
    fn repeat(&self, blocks: Blocks, block: &[u8]) -> Result<(), Refusal> {
        let per_step = (WRITE_SAME_STEP / block.len().max(1)).max(1);
        let step = block.repeat(per_step.min(usize::try_from(blocks.count).unwrap_or(per_step)));
        let mut lba = blocks.lba;
        let mut rest = self.offset(blocks.count);
        while rest > 0 {
            let now = step
                .get(..usize::try_from(rest).unwrap_or(usize::MAX))
                .unwrap_or(&step);
            self.store(lba, now, false)?;
            rest -= now.len() as u64;
            lba += now.len() as u64 / u64::from(self.block_size());
        }
        Ok(())
    }

    /// How many blocks from `lba` on are mapped, or not, alike: at least 1. A block that is partly
    /// mapped counts as mapped.
    fn block_extent(&self, lba: u64) -> Result<(u32, bool), Refusal> {
        let size = u64::from(self.block_size());
        let end = self.offset(self.blocks());
        let offset = self.offset(lba);
        let extent = self
            .backend
            .extent(offset)
            .map_err(|e| read_failed(lba, &e))?;
        let len = extent.len.min(end - offset);
        let (count, mapped) = match (extent.mapped, len / size) {
            (true, _) => (len.div_ceil(size), true),
            // Less than a block is a hole: the rest of the block is mapped.
            (false, 0) => (1, true),
            (false, count) => (count, false),
        };
        Ok((u32::try_from(count).unwrap_or(u32::MAX), mapped))
    }
}
