//! READ CAPACITY (SBC-3 §5.15, §5.16).

use hawser_scsi::Status;

use super::super::refusal::Refusal;
use super::super::task::Task;
use super::super::unit::LogicalUnit;

/// Bytes of a physical block: what our backends like to write at once.
const PHYSICAL_BLOCK: u32 = 4096;

/// READ CAPACITY (10): the last address, or all ones if it has more than 32 bits.
pub(super) fn read_capacity_10(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    // The obsolete PMI asks for the next delay behind an LBA; a disk of ours has none.
    if !task.bit(8, 0) && task.number(2, 4) != 0 {
        return Err(Refusal::cdb_field(2));
    }
    let last = u32::try_from(unit.blocks().saturating_sub(1)).unwrap_or(u32::MAX);
    let mut bytes = last.to_be_bytes().to_vec();
    bytes.extend_from_slice(&unit.block_size().to_be_bytes());
    task.answer(&bytes, u64::MAX);
    Ok(Status::Good)
}

/// READ CAPACITY (16): thin, and unmapped blocks read as zeros.
pub(super) fn read_capacity_16(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    if task.number(2, 8) != 0 {
        return Err(Refusal::cdb_field(2));
    }
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&unit.blocks().saturating_sub(1).to_be_bytes());
    bytes[8..12].copy_from_slice(&unit.block_size().to_be_bytes());
    bytes[13] = physical_exponent(unit.block_size());
    bytes[14] = 0xc0; // LBPME, LBPRZ
    task.answer(&bytes, task.number(10, 4));
    Ok(Status::Good)
}

/// Logical blocks in a physical block, as a power of two.
fn physical_exponent(block_size: u32) -> u8 {
    let ratio = (PHYSICAL_BLOCK / block_size.max(1)).max(1);
    u8::try_from(ratio.ilog2()).unwrap_or(0)
}
