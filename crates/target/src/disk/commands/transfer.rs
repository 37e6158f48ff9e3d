//! READ, WRITE and SYNCHRONIZE CACHE (SBC-3 §5.10-5.14, §5.23, §5.32-5.35).

use std::sync::PoisonError;

use hawser_scsi::Status;

use super::super::refusal::Refusal;
use super::super::task::Task;
use super::super::unit::LogicalUnit;
use super::range::{Blocks, named_blocks, read_failed, write_failed};

/// FUA: bit 3 of byte 1, but not in the 6-byte commands, where it is part of the LBA.
pub(super) fn fua(task: &Task<'_>) -> bool {
    task.opcode() >> 5 != 0 && task.bit(1, 3)
}

/// READ (6, 10, 12, 16).
pub(super) fn read(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let blocks = unit.transfer_blocks(task)?;
    let (offset, len) = (unit.offset(blocks.lba), unit.bytes(blocks.count));
    if fua(task) {
        // What a read with FUA gives must be on the medium (SBC-3 §4.15.2).
        unit.flush(blocks)?;
    }
    let buffer = task.data_in_of(len);
    unit.backend
        .read(offset, buffer)
        .map_err(|e| read_failed(blocks.lba, &e))?;
    Ok(Status::Good)
}

/// WRITE (6, 10, 12, 16).
pub(super) fn write(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let blocks = unit.transfer_blocks(task)?;
    unit.check_writable()?;
    let data = unit.whole_blocks(task, blocks.count);
    let shared = unit.changes.read().unwrap_or_else(PoisonError::into_inner);
    unit.store(blocks.lba, data, fua(task))?;
    drop(shared);
    Ok(Status::Good)
}

/// SYNCHRONIZE CACHE (10, 16): 0 blocks means to the end. IMMED is allowed to be ignored.
pub(super) fn synchronize_cache(
    unit: &LogicalUnit,
    task: &mut Task<'_>,
) -> Result<Status, Refusal> {
    let mut blocks = named_blocks(task);
    unit.check_on_disk(blocks)?;
    if blocks.count == 0 {
        blocks.count = unit.blocks().saturating_sub(blocks.lba);
    }
    unit.flush(blocks)?;
    Ok(Status::Good)
}

impl LogicalUnit {
    /// The data out of a command over `count` blocks: whole blocks of what came, if less came than
    /// the CDB speaks of, and no more than it speaks of.
    pub(super) fn whole_blocks<'a>(&self, task: &mut Task<'a>, count: u64) -> &'a [u8] {
        let wanted = self.bytes(count);
        task.transfer_length = wanted as u64;
        let came = task.data_out.len().min(wanted);
        let block = usize::try_from(self.block_size).unwrap_or(usize::MAX);
        task.data_out.get(..came - came % block).unwrap_or_default()
    }

    /// Writes `data` at `lba`, with `durable` all the way to the medium.
    pub(super) fn store(&self, lba: u64, data: &[u8], durable: bool) -> Result<(), Refusal> {
        let offset = self.offset(lba);
        self.backend
            .write(offset, data)
            .map_err(|e| write_failed(lba, &e))?;
        if durable {
            let flushed = self.backend.flush(offset, data.len() as u64);
            flushed.map_err(|e| write_failed(lba, &e))?;
        }
        Ok(())
    }

    /// Makes what was written to these blocks durable.
    pub(super) fn flush(&self, blocks: Blocks) -> Result<(), Refusal> {
        let (offset, len) = (self.offset(blocks.lba), self.offset(blocks.count));
        self.backend
            .flush(offset, len)
            .map_err(|e| write_failed(blocks.lba, &e))
    }
}
