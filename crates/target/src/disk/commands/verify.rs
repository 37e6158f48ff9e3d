//! VERIFY, WRITE AND VERIFY and PRE-FETCH (SBC-3 §5.8, §5.29-5.31, §5.36-5.38).

use std::sync::PoisonError;

use hawser_scsi::Status;

use super::super::refusal::Refusal;
use super::super::task::Task;
use super::super::unit::LogicalUnit;
use super::range::{Blocks, named_blocks, read_failed};

/// Bytes of the medium that are read at once while they are checked.
const STEP: usize = 256 * 1024;

/// What BYTCHK (bits 1-2 of byte 1) asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteCheck {
    /// 00b: read the medium, compare nothing; no data out.
    Medium,
    /// 01b: compare with as many blocks of data out.
    Blocks,
    /// 11b: compare each block with the one block of data out.
    OneBlock,
}

fn byte_check(task: &Task<'_>) -> Result<ByteCheck, Refusal> {
    match (task.byte(1) >> 1) & 0x03 {
        0 => Ok(ByteCheck::Medium),
        1 => Ok(ByteCheck::Blocks),
        3 => Ok(ByteCheck::OneBlock),
        _ => Err(Refusal::cdb_bit(1, 2)),
    }
}

/// VERIFY (10, 12, 16).
pub(super) fn verify(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let check = byte_check(task)?;
    let blocks = unit.transfer_blocks(task)?;
    let data = match check {
        ByteCheck::Medium => &[],
        ByteCheck::Blocks => unit.whole_blocks(task, blocks.count),
        ByteCheck::OneBlock => unit.whole_blocks(task, blocks.count.min(1)),
    };
    unit.compare(blocks, check, data)?;
    Ok(Status::Good)
}

/// WRITE AND VERIFY (10, 12, 16): the data go to the medium, and are read back from it.
pub(super) fn write(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let check = byte_check(task)?;
    if check == ByteCheck::OneBlock {
        return Err(Refusal::cdb_bit(1, 2));
    }
    let blocks = unit.transfer_blocks(task)?;
    unit.check_writable()?;
    let data = unit.whole_blocks(task, blocks.count);
    let shared = unit.changes.read().unwrap_or_else(PoisonError::into_inner);
    unit.store(blocks.lba, data, true)?;
    drop(shared);
    let written = data.len() as u64 / u64::from(unit.block_size());
    unit.compare(
        Blocks {
            count: written,
            ..blocks
        },
        check,
        data,
    )?;
    Ok(Status::Good)
}

/// PRE-FETCH (10, 16): nothing is fetched; that there was not room for all is a right answer.
pub(super) fn pre_fetch(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    unit.check_on_disk(named_blocks(task))?;
    Ok(Status::Good)
}

impl LogicalUnit {
    /// Reads `blocks` and compares them with `data`, as far as `data` goes.
    fn compare(&self, blocks: Blocks, check: ByteCheck, data: &[u8]) -> Result<(), Refusal> {
        let block = usize::try_from(self.block_size()).unwrap_or(STEP);
        let mut rest = self.bytes(blocks.count);
        let mut done = 0_usize;
        let mut medium = vec![0; STEP.min(rest)];
        while rest > 0 {
            let now = medium.get_mut(..rest.min(STEP)).unwrap_or_default();
            let lba = blocks.lba + done as u64 / block as u64;
            let offset = self.offset(blocks.lba) + done as u64;
            self.backend
                .read(offset, now)
                .map_err(|e| read_failed(lba, &e))?;
            let expected = match check {
                ByteCheck::Medium => None,
                ByteCheck::Blocks => data.get(done..).map(|data| first_difference(now, data)),
                ByteCheck::OneBlock => Some(
                    now.chunks(block)
                        .find_map(|one| first_difference(one, data)),
                ),
            };
            if let Some(Some(at)) = expected {
                return Err(Refusal::miscompare((done + at) as u64));
            }
            done += now.len();
            rest -= now.len();
        }
        Ok(())
    }
}

/// Where two byte strings first differ, as far as both go.
pub(super) fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    // Comparing whole slices first is far quicker than byte by byte.
    let len = a.len().min(b.len());
    match (a.get(..len), b.get(..len)) {
        (a, b) if a == b => None,
        _ => a.iter().zip(b).position(|(a, b)| a != b),
    }
}
