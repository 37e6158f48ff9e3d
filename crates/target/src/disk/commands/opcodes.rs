//! REPORT SUPPORTED OPERATION CODES (SPC-4 §6.35), read off the table of commands.

use hawser_scsi::{Lun, Status};

use super::super::refusal::Refusal;
use super::super::task::Task;
use super::super::unit::LogicalUnit;
use super::{COMMANDS, Command};

/// A command timeouts descriptor that names no timeouts (SPC-4 §6.35.4).
const NO_TIMEOUTS: [u8; 12] = [0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// SUPPORT field: nothing of the kind.
const NOT_SUPPORTED: u8 = 1;
/// SUPPORT field: as the standard says.
const SUPPORTED: u8 = 3;

/// REPORT SUPPORTED OPERATION CODES.
pub(super) fn report_supported(
    _unit: &LogicalUnit,
    task: &mut Task<'_>,
) -> Result<Status, Refusal> {
    let timeouts = task.bit(2, 7);
    let (opcode, action) = (task.byte(3), task.number(4, 2));
    let mut of_opcode = COMMANDS.iter().filter(|command| command.opcode == opcode);
    let has_actions = of_opcode
        .clone()
        .any(|command| command.service_action.is_some());
    let with_action = of_opcode
        .clone()
        .find(|c| c.service_action.is_some_and(|own| u64::from(own) == action));
    let bytes = match task.byte(2) & 0x07 {
        0 => all_commands(timeouts),
        // Option 1 is for commands without service actions, option 2 for those with them.
        1 if has_actions => return Err(Refusal::cdb_bit(2, 2)),
        1 => one_command(of_opcode.next(), timeouts),
        2 if !has_actions && of_opcode.next().is_some() => return Err(Refusal::cdb_bit(2, 2)),
        2 => one_command(with_action, timeouts),
        // Option 3 takes both: the service action must then be 0 for a command without them.
        3 if has_actions => one_command(with_action, timeouts),
        3 => one_command(of_opcode.next().filter(|_| action == 0), timeouts),
        _ => return Err(Refusal::cdb_bit(2, 2)),
    };
    task.answer(&bytes, task.number(6, 4));
    Ok(Status::Good)
}

fn all_commands(timeouts: bool) -> Vec<u8> {
    let mut list = Vec::new();
    for command in COMMANDS {
        let action = command.service_action;
        let flags = u8::from(timeouts) << 1 | u8::from(action.is_some());
        let length = u8::try_from(command.usage.len()).unwrap_or(0);
        list.extend_from_slice(&[
            command.opcode,
            0,
            0,
            action.unwrap_or(0),
            0,
            flags,
            0,
            length,
        ]);
        if timeouts {
            list.extend_from_slice(&NO_TIMEOUTS);
        }
    }
    let mut bytes = u32::try_from(list.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes()
        .to_vec();
    bytes.extend_from_slice(&list);
    bytes
}

fn one_command(command: Option<&Command>, timeouts: bool) -> Vec<u8> {
    let Some(command) = command else {
        return vec![0, NOT_SUPPORTED, 0, 0];
    };
    let length = u8::try_from(command.usage.len()).unwrap_or(0);
    let mut bytes = vec![0, u8::from(timeouts) << 7 | SUPPORTED, 0, length];
    bytes.extend_from_slice(command.usage);
    if timeouts {
        bytes.extend_from_slice(&NO_TIMEOUTS);
    }
    bytes
}

/// REPORT LUNS to a unit that stands alone: it knows of no other than itself.
pub(super) fn report_own_lun(_unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let mut bytes = vec![0, 0, 0, 8, 0, 0, 0, 0];
    bytes.extend_from_slice(&Lun::ZERO.0);
    task.answer(&bytes, task.number(6, 4));
    Ok(Status::Good)
}
