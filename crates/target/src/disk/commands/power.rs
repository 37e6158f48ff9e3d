//! TEST UNIT READY, START STOP UNIT and PREVENT ALLOW MEDIUM REMOVAL (SPC-4 §6.47, SBC-3 §5.25,
//! SPC-4 §6.17).

use hawser_scsi::Status;

use super::super::refusal::Refusal;
use super::super::task::Task;
use super::super::unit::LogicalUnit;
use super::range::Blocks;

/// TEST UNIT READY: whoever gets here is ready.
pub(super) fn test_unit_ready(
    _unit: &LogicalUnit,
    _task: &mut Task<'_>,
) -> Result<Status, Refusal> {
    Ok(Status::Good)
}

/// START STOP UNIT. Stopping flushes first, unless NO_FLUSH forbids it. Power conditions are
/// refused, and so is LOEJ: our medium cannot be taken out.
pub(super) fn start_stop(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let (power_condition, no_flush) = (task.byte(4) >> 4, task.bit(4, 2));
    let (load_eject, start) = (task.bit(4, 1), task.bit(4, 0));
    if power_condition != 0 || task.byte(3) != 0 {
        return Err(Refusal::cdb_bit(4, 7));
    }
    if load_eject {
        return Err(Refusal::cdb_bit(4, 1));
    }
    if !start && !no_flush {
        unit.flush(Blocks {
            lba: 0,
            count: unit.blocks(),
        })?;
    }
    unit.state().stopped = !start;
    Ok(Status::Good)
}

/// PREVENT ALLOW MEDIUM REMOVAL: noted for each nexus; there is nothing to remove.
pub(super) fn prevent_allow(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    match task.byte(4) & 0x03 {
        0 => {
            unit.state().preventing.remove(task.nexus);
        }
        1 => {
            unit.state().preventing.insert(task.nexus.clone());
        }
        _ => return Err(Refusal::cdb_bit(4, 1)),
    }
    Ok(Status::Good)
}
