//! Commands that read or write blocks as one step that no other change comes between: COMPARE AND
//! WRITE, ORWRITE, WRITE ATOMIC (SBC-3 §5.2, §5.9; SBC-4).

use std::sync::PoisonError;

use hawser_scsi::Status;

use super::super::refusal::Refusal;
use super::super::task::Task;
use super::super::unit::LogicalUnit;
use super::range::{Blocks, read_failed};
use super::transfer::fua;
use super::verify::first_difference;

/// Most blocks of one COMPARE AND WRITE, as the block limits page says.
pub(super) const MAX_COMPARE_BLOCKS: u8 = 255;
/// Most bytes of one WRITE ATOMIC, as the block limits page says.
pub(super) const MAX_ATOMIC_BYTES: u64 = 1 << 20;

/// COMPARE AND WRITE: the first half of the data out must be what is there, then the second half
/// is written.
pub(super) fn compare_and_write(
    unit: &LogicalUnit,
    task: &mut Task<'_>,
) -> Result<Status, Refusal> {
    let blocks = Blocks {
        lba: task.number(2, 8),
        count: task.number(13, 1),
    };
    unit.check_on_disk(blocks)?;
    unit.check_writable()?;
    let len = unit.bytes(blocks.count);
    let data = task.exactly(2 * len as u64)?;
    let Some((expected, new)) = data.split_at_checked(len) else {
        return Err(Refusal::cdb_field(13));
    };
    let alone = unit.changes.write().unwrap_or_else(PoisonError::into_inner);
    let present = unit.load(blocks.lba, len)?;
    if let Some(at) = first_difference(&present, expected) {
        return Err(Refusal::miscompare(at as u64));
    }
    unit.store(blocks.lba, new, fua(task))?;
    drop(alone);
    Ok(Status::Good)
}

/// ORWRITE (16): what is there becomes its OR with the data out.
pub(super) fn or_write(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let blocks = unit.transfer_blocks(task)?;
    unit.check_writable()?;
    let data = unit.whole_blocks(task, blocks.count);
    let alone = unit.changes.write().unwrap_or_else(PoisonError::into_inner);
    let mut merged = unit.load(blocks.lba, data.len())?;
    merged
        .iter_mut()
        .zip(data)
        .for_each(|(to, from)| *to |= from);
    unit.store(blocks.lba, &merged, fua(task))?;
    drop(alone);
    Ok(Status::Good)
}

/// WRITE ATOMIC (16) (SBC-4): all or nothing, up to 1 MiB. Its boundary field must be 0, because
/// the block limits page offers none. "Nothing" holds against other commands; against a crash it
/// is as good as the backend's single write.
pub(super) fn write_atomic(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    if task.number(10, 2) != 0 {
        return Err(Refusal::cdb_field(10));
    }
    let blocks = Blocks {
        lba: task.number(2, 8),
        count: task.number(12, 2),
    };
    unit.check_on_disk(blocks)?;
    if blocks.count > MAX_ATOMIC_BYTES / u64::from(unit.block_size()) {
        return Err(Refusal::cdb_field(12));
    }
    unit.check_writable()?;
    let wanted = unit.bytes(blocks.count) as u64;
    // Part of the data would not be all of them.
    let data = task.exactly(wanted)?;
    let alone = unit.changes.write().unwrap_or_else(PoisonError::into_inner);
    unit.store(blocks.lba, data, fua(task))?;
    drop(alone);
    Ok(Status::Good)
}

impl LogicalUnit {
    fn load(&self, lba: u64, len: usize) -> Result<Vec<u8>, Refusal> {
        let mut present = vec![0; len];
        let read = self.backend.read(self.offset(lba), &mut present);
        read.map_err(|e| read_failed(lba, &e))?;
        Ok(present)
    }
}
