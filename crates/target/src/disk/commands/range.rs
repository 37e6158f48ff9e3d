//! Ranges of blocks in CDBs: where they stand, and whether they lie on the disk.

use std::io;

use hawser_scsi::{Sense, SenseKey};

use super::super::MAX_TRANSFER_BYTES;
use super::super::refusal::Refusal;
use super::super::task::Task;
use super::super::unit::LogicalUnit;

/// Blocks on the disk, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) lba: u64,
    pub(super) count: u64,
}

/// Where a CDB of this length keeps its length field.
const fn length_field(opcode: u8) -> u16 {
    match opcode >> 5 {
        0 => 4,
        1 | 2 => 7,
        5 => 6,
        _ => 10,
    }
}

/// LBA and length of a read- or write-like CDB, by the group of its operation code (SPC-4
/// §4.2.5.1): unchecked.
pub(super) fn named_blocks(task: &Task<'_>) -> Blocks {
    match task.opcode() >> 5 {
        0 => Blocks {
            lba: task.number(1, 3) & 0x1f_ffff,
            // SBC-3 §5.10: 0 means 256 here, and only here.
            count: if task.byte(4) == 0 {
                256
            } else {
                task.number(4, 1)
            },
        },
        1 | 2 => Blocks {
            lba: task.number(2, 4),
            count: task.number(7, 2),
        },
        5 => Blocks {
            lba: task.number(2, 4),
            count: task.number(6, 4),
        },
        _ => Blocks {
            lba: task.number(2, 8),
            count: task.number(10, 4),
        },
    }
}

impl LogicalUnit {
    /// Refuses blocks that do not all lie on the disk.
    pub(super) fn check_on_disk(&self, blocks: Blocks) -> Result<(), Refusal> {
        let end = blocks.lba.checked_add(blocks.count);
        match end {
            Some(end) if end <= self.blocks() => Ok(()),
            _ => Err(Refusal::out_of_range(blocks.lba)),
        }
    }

    /// The blocks of a CDB that moves them: on the disk, and not more than one command may move.
    pub(super) fn transfer_blocks(&self, task: &Task<'_>) -> Result<Blocks, Refusal> {
        let blocks = named_blocks(task);
        self.check_on_disk(blocks)?;
        if blocks.count > self.max_transfer_blocks() {
            return Err(Refusal::cdb_field(length_field(task.opcode())));
        }
        Ok(blocks)
    }

    /// Most blocks that one command moves.
    pub(super) fn max_transfer_blocks(&self) -> u64 {
        MAX_TRANSFER_BYTES / u64::from(self.block_size)
    }

    /// The place of a block on the medium, in bytes.
    pub(super) fn offset(&self, lba: u64) -> u64 {
        lba.saturating_mul(u64::from(self.block_size))
    }

    /// Bytes of so many blocks, of which there are at most [`MAX_TRANSFER_BYTES`].
    pub(super) fn bytes(&self, count: u64) -> usize {
        usize::try_from(self.offset(count).min(MAX_TRANSFER_BYTES)).unwrap_or(usize::MAX)
    }

    /// Refuses a write to a disk that must not be written.
    pub(super) fn check_writable(&self) -> Result<(), Refusal> {
        if self.write_protected || self.state().software_write_protect {
            return Err(Refusal::write_protected());
        }
        Ok(())
    }
}

/// A failed read of the medium, for the initiator and for the log.
pub(super) fn read_failed(lba: u64, error: &io::Error) -> Refusal {
    tracing::warn!(lba, %error, "reading the medium failed");
    Refusal::Check(Sense::new(SenseKey::MediumError, 0x11, 0x00).with_information(lba))
}

/// A failed change of the medium, for the initiator and for the log. A full disk has its own code.
pub(super) fn write_failed(lba: u64, error: &io::Error) -> Refusal {
    tracing::warn!(lba, %error, "writing the medium failed");
    let sense = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Sense::new(SenseKey::DataProtect, 0x27, 0x07)
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Sense::new(SenseKey::DataProtect, 0x27, 0x00)
        }
        _ => Sense::new(SenseKey::MediumError, 0x0c, 0x00),
    };
    Refusal::Check(sense.with_information(lba))
}
