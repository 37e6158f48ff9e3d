//! The commands that a disk knows: one table with the bits each may set, who may send it, and the
//! handler that carries it out.

use std::fmt;

use hawser_scsi::{Status, opcode};

use super::refusal::Refusal;
use super::reservation::Access;
use super::task::Task;
use super::unit::LogicalUnit;

pub(super) use table::COMMANDS;

mod atomic;
mod capacity;
mod inquiry;
mod mode;
mod opcodes;
mod persistent;
mod power;
mod provisioning;
mod range;
mod table;
mod transfer;
mod verify;

/// Carries a command out; the status is GOOD but for PRE-FETCH.
type Handler = fn(&LogicalUnit, &mut Task<'_>) -> Result<Status, Refusal>;

/// One command, or one service action of a command that has them.
pub(super) struct Command {
    pub(super) opcode: u8,
    /// The service action in the low five bits of byte 1.
    pub(super) service_action: Option<u8>,
    /// The CDB usage data of REPORT SUPPORTED OPERATION CODES: byte 0 (and a service action) as
    /// they are, then a 1 for each bit that may be set. Its length is that of the CDB.
    pub(super) usage: &'static [u8],
    pub(super) access: Access,
    /// It cannot be done while the unit is stopped.
    pub(super) needs_medium: bool,
    pub(super) run: Handler,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Command({:#04x}, {:?})",
            self.opcode, self.service_action
        )
    }
}

impl Command {
    /// A command that needs the medium.
    const fn new(usage: &'static [u8], access: Access, run: Handler) -> Self {
        let opcode = match usage {
            [opcode, ..] => *opcode,
            [] => 0,
        };
        Self {
            opcode,
            service_action: None,
            usage,
            access,
            needs_medium: true,
            run,
        }
    }

    /// A service action of a command, as byte 1 of its usage data says.
    const fn action(usage: &'static [u8], access: Access, run: Handler) -> Self {
        let command = Self::new(usage, access, run);
        let service_action = match usage {
            [_, action, ..] => Some(*action),
            _ => None,
        };
        Self {
            service_action,
            ..command
        }
    }

    /// The same, but carried out on a stopped unit too.
    const fn without_medium(self) -> Self {
        Self {
            needs_medium: false,
            ..self
        }
    }

    /// What this CDB does, as far as reservations care.
    pub(super) fn access_of(&self, task: &Task<'_>) -> Access {
        match self.opcode {
            // Allowing removal harms nobody; preventing it does.
            opcode::PREVENT_ALLOW_MEDIUM_REMOVAL if task.byte(4) & 0x03 != 0 => Access::Steer,
            // Starting the unit is always allowed, stopping is not (SBC-3 table 13).
            opcode::START_STOP_UNIT if task.byte(4) & 0xf3 == 0x01 => Access::Always,
            _ => self.access,
        }
    }

    /// Refuses a CDB with a bit set that this command does not know, and points at it.
    pub(super) fn check_reserved_bits(&self, task: &Task<'_>) -> Result<(), Refusal> {
        let first = if self.service_action.is_some() { 2 } else { 1 };
        for (at, (&byte, &allowed)) in task.cdb.iter().zip(self.usage).enumerate().skip(first) {
            let wrong = byte & !allowed;
            if let Some(bit) = wrong.checked_ilog2() {
                let at = u16::try_from(at).unwrap_or(0);
                return Err(Refusal::cdb_bit(at, u8::try_from(bit).unwrap_or(0)));
            }
        }
        Ok(())
    }
}

/// The command of a CDB. An unknown service action of a known command is an invalid field.
pub(super) fn find(task: &Task<'_>) -> Result<&'static Command, Refusal> {
    let mut known = false;
    for command in COMMANDS
        .iter()
        .filter(|command| command.opcode == task.opcode())
    {
        known = true;
        if command
            .service_action
            .is_none_or(|action| action == task.byte(1) & 0x1f)
        {
            return Ok(command);
        }
    }
    Err(if known {
        Refusal::cdb_bit(1, 4)
    } else {
        Refusal::unknown_command()
    })
}
