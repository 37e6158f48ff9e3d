//! A block request as a SCSI command.

use std::time::Duration;

use hawser_block::Operation;
use hawser_proto::pdu::TaskAttribute;
use hawser_proto::session::{Command, Direction};
use hawser_scsi::cdb::{UnmapRange, WriteSameFlags, encode_unmap};
use hawser_scsi::{Cdb, IoFlags};

use super::{BlockIo, Kept, LunState, Stage};
use crate::session::sixteen;

/// A command and the data in its slot. For reads and writes the data is the request's own buffer;
/// the others have parameter data of their own.
pub(crate) struct Prepared {
    pub(crate) command: Command,
    pub(crate) data: Vec<u8>,
}

/// Makes the command for `io`, whose size fits one command ([`super::split`]).
///
/// All of these may be sent again after a lost connection: doing one twice in a row leaves the disk
/// as doing it once.
pub(crate) fn prepare(io: &mut BlockIo, timeout: Duration) -> Prepared {
    let BlockIo {
        request,
        lun,
        stage,
        mark,
        forced,
        ..
    } = io;
    let (geometry, limits) = (lun.geometry(), lun.limits());
    let operation = match stage {
        Stage::Main => request.operation,
        Stage::Durability | Stage::Upkeep => Operation::Flush,
    };
    if operation == Operation::Flush {
        *mark = lun.unflushed().mark();
    }
    let block = u64::from(geometry.block_size);
    let lba = request.offset / block;
    let blocks = u32::try_from(request.length() / block).unwrap_or(u32::MAX);
    let flags = |fua: bool| IoFlags {
        fua: fua && limits.fua,
        ..IoFlags::default()
    };
    let (cdb, data, write) = match operation {
        Operation::Read => {
            let data = std::mem::take(&mut request.buffer);
            (Cdb::read(lba, blocks, IoFlags::default()), data, false)
        }
        Operation::Write { fua } => {
            let data = std::mem::take(&mut request.buffer);
            *forced = fua && limits.fua;
            (Cdb::write(lba, blocks, flags(fua)), data, true)
        }
        Operation::Flush => (Cdb::synchronize_cache_10(0, 0, false), Vec::new(), false),
        Operation::Discard { .. } => {
            let list = encode_unmap(&[UnmapRange { lba, blocks }]).unwrap_or_default();
            let length = u16::try_from(list.len()).unwrap_or(u16::MAX);
            (Cdb::unmap(false, length), list, true)
        }
        Operation::WriteZeroes { may_unmap, .. } => {
            let unmap = may_unmap && limits.write_same_unmaps;
            let flags = WriteSameFlags {
                unmap,
                ..WriteSameFlags::default()
            };
            let block_of_zeroes = vec![0; geometry.block_size as usize];
            (
                Cdb::write_same_16(lba, blocks, flags),
                block_of_zeroes,
                true,
            )
        }
    };
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let direction = match (length, write) {
        (0, _) => Direction::None,
        (_, true) => Direction::Write(length),
        (_, false) => Direction::Read(length),
    };
    let command = Command {
        cdb: sixteen(&cdb),
        lun: lun.number.0,
        direction,
        attribute: TaskAttribute::Simple,
        replay: true,
        urgent: false,
        timeout,
    };
    Prepared { command, data }
}

/// The command that writes a kept change again, and its data.
pub(crate) fn kept_command(lun: &LunState, kept: Kept) -> (Cdb, Vec<u8>) {
    let geometry = lun.geometry();
    let block = u64::from(geometry.block_size);
    let lba = kept.offset / block;
    let count = |bytes: u64| u32::try_from(bytes / block).unwrap_or(u32::MAX);
    match kept.operation {
        Operation::WriteZeroes {
            length, may_unmap, ..
        } => {
            let unmap = may_unmap && lun.limits().write_same_unmaps;
            let flags = WriteSameFlags {
                unmap,
                ..WriteSameFlags::default()
            };
            let zeroes = vec![0; geometry.block_size as usize];
            (Cdb::write_same_16(lba, count(length), flags), zeroes)
        }
        _ => {
            let blocks = count(kept.data.len() as u64);
            (Cdb::write(lba, blocks, IoFlags::default()), kept.data)
        }
    }
}
