//! ECHO: a command of ours that tests long CDBs and data in both directions.

use hawser_scsi::Status;

use super::task::CommandResult;

/// The opcode of ECHO, one of those left to vendors (SPC-4 §4.2.5.1).
pub const ECHO: u8 = 0xd0;

/// Carries ECHO out: its data in are its CDB and behind it its data out. `writes` says that the
/// initiator sends data, so that [`CommandResult::transfer_length`] counts what came of it;
/// otherwise it counts the data in.
#[must_use]
pub fn echo(cdb: &[u8], writes: bool, data_out: &[u8], data_in: &mut Vec<u8>) -> CommandResult {
    data_in.clear();
    data_in.extend_from_slice(cdb);
    data_in.extend_from_slice(data_out);
    let moved = if writes { data_out } else { data_in };
    CommandResult {
        status: Status::Good,
        sense: None,
        transfer_length: Some(moved.len() as u64),
        descriptor_sense: false,
    }
}
