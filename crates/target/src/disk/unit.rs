//! A logical unit: a disk with its geometry, its names, its state, and the order in which each
//! command is judged before it is carried out.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hawser_scsi::{Sense, SenseKey, Status, opcode};

use super::attention::{Attention, Attentions};
use super::backend::Backend;
use super::commands::{self, Command};
use super::identity::UnitIdentity;
use super::nexus::Nexus;
use super::refusal::Refusal;
use super::reservation::Reservations;
use super::task::{CommandResult, Task};

/// Block sizes that a disk may have, in bytes.
const BLOCK_SIZES: [u32; 2] = [512, 4096];

/// A disk cannot be made like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The block size is not one we serve.
    #[error("a block size of {0} bytes is not served: 512 or 4096")]
    BlockSize(u32),
    /// The medium does not hold one block.
    #[error("a medium of {0} bytes does not hold a single block")]
    NoRoom(u64),
}

/// What changes while a unit runs.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) attentions: Attentions,
    pub(super) reservations: Reservations,
    /// Stopped by START STOP UNIT: no access to the medium until it is started.
    pub(super) stopped: bool,
    /// Nexuses that prevent the removal of the medium.
    pub(super) preventing: BTreeSet<Nexus>,
    /// SWP of the control mode page.
    pub(super) software_write_protect: bool,
    /// D_SENSE of the control mode page.
    pub(super) descriptor_sense: bool,
}

/// One disk of the target.
#[derive(Debug)]
pub struct LogicalUnit {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) block_size: u32,
    pub(super) identity: UnitIdentity,
    pub(super) write_protected: bool,
    state: Mutex<State>,
    /// Held shared by every change of the medium and alone by those that must see nothing between
    /// their reading and their writing (COMPARE AND WRITE, ORWRITE, WRITE ATOMIC).
    pub(super) changes: RwLock<()>,
}

impl LogicalUnit {
    /// A disk on `backend` with blocks of `block_size` bytes (512 or 4096). A last part of the
    /// medium that is less than a block stays unused.
    ///
    /// # Errors
    /// Another block size, or a medium smaller than one block.
    pub fn new(
        backend: Arc<dyn Backend>,
        block_size: u32,
        identity: UnitIdentity,
    ) -> Result<Self, UnitError> {
        if !BLOCK_SIZES.contains(&block_size) {
            return Err(UnitError::BlockSize(block_size));
        }
        if backend.size() < u64::from(block_size) {
            return Err(UnitError::NoRoom(backend.size()));
        }
        Ok(Self {
            backend,
            block_size,
            identity,
            write_protected: false,
            state: Mutex::default(),
            changes: RwLock::new(()),
        })
    }

    /// The same disk, which refuses every write.
    #[must_use]
    pub fn with_write_protect(mut self, write_protected: bool) -> Self {
        self.write_protected = write_protected;
        self
    }

    /// Bytes in a block.
    #[must_use]
    pub const fn block_size(&self) -> u32 {
        self.block_size
    }

    /// Number of blocks.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.backend.size() / u64::from(self.block_size)
    }

    /// Its names.
    #[must_use]
    pub const fn identity(&self) -> &UnitIdentity {
        &self.identity
    }

    /// The medium behind it.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Tells every nexus that the medium has another size now.
    pub fn capacity_changed(&self) {
        self.state()
            .attentions
            .tell_others(None, Attention::CapacityChanged);
    }

    /// How many unit attentions wait for a nexus, and the first.
    pub(super) fn news(&self, nexus: &Nexus) -> Option<(usize, Sense)> {
        let waiting = self.state().attentions.waiting(nexus);
        waiting.map(|(count, first)| (count, first.sense()))
    }

    /// Commands of this nexus were ended by the protocol without an answer (RFC 7143 §11.14.5).
    pub(super) fn commands_cleared(&self, nexus: &Nexus) {
        self.state()
            .attentions
            .tell(nexus, Attention::CommandsCleared);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn nexus_started(&self, nexus: &Nexus) {
        self.state().attentions.nexus_started(nexus);
    }

    /// A nexus is gone: so are its reservation by RESERVE (6) and its prevention of removal;
    /// persistent reservations stay (SPC-4 §5.12.1).
    pub(super) fn nexus_lost(&self, nexus: &Nexus) {
        let mut state = self.state();
        state.attentions.nexus_lost(nexus);
        state.reservations.nexus_lost(nexus);
        state.preventing.remove(nexus);
    }

    /// A logical unit reset (SAM-5 §6.3.3): what RESERVE (6), PREVENT ALLOW and MODE SELECT set up
    /// is gone, persistent reservations stay, and every nexus hears of it.
    pub(super) fn reset(&self) {
        let mut state = self.state();
        state.reservations.reset();
        state.preventing.clear();
        state.stopped = false;
        state.software_write_protect = false;
        state.descriptor_sense = false;
        state.attentions.reset();
    }

    /// Carries out one command of `nexus`. `data_in` is emptied and filled with what the command
    /// reads; a buffer that served before is reused without being cleared first.
    ///
    /// Where less data out came than the CDB speaks of, whole blocks of what came are written.
    pub fn execute(
        &self,
        nexus: &Nexus,
        cdb: &[u8],
        data_out: &[u8],
        data_in: &mut Vec<u8>,
    ) -> CommandResult {
        let Some(mut task) = Task::new(nexus, cdb, data_out, data_in) else {
            return CommandResult::refused(Refusal::unknown_command());
        };
        let result = self
            .judge(&task)
            .and_then(|command| (command.run)(self, &mut task));
        let mut result = task.finish(result);
        if result.sense.is_some() {
            result.descriptor_sense = self.state().descriptor_sense;
        }
        result
    }

    /// All that can stand in a command's way before its own handler looks at it, in the order of
    /// SAM-5 §5.3.3 and SPC-4: is it known, is there news, a reservation, a reserved bit, a
    /// stopped unit?
    fn judge(&self, task: &Task<'_>) -> Result<&'static Command, Refusal> {
        let command = commands::find(task)?;
        let mut state = self.state();
        if !hears_no_news(task.opcode())
            && let Some(news) = state.attentions.take(task.nexus)
        {
            return Err(Refusal::Check(news.sense()));
        }
        if !state
            .reservations
            .allow(task.nexus, command.access_of(task))
        {
            return Err(Refusal::CONFLICT);
        }
        let stopped = state.stopped;
        drop(state);
        command.check_reserved_bits(task)?;
        if stopped && command.needs_medium {
            let sense = Sense::new(SenseKey::NotReady, 0x04, 0x02);
            return Err(Refusal::Check(sense));
        }
        Ok(command)
    }

    /// The news for `nexus` as sense data, or that there are none, for REQUEST SENSE.
    pub(super) fn request_sense(&self, task: &mut Task<'_>) -> Result<Status, Refusal> {
        let news = self.state().attentions.take(task.nexus);
        let sense = news.map_or(Sense::new(SenseKey::NoSense, 0, 0), Attention::sense);
        let bytes = match task.bit(1, 0) {
            true => sense.encode_descriptor(),
            false => sense.encode_fixed().to_vec(),
        };
        task.answer(&bytes, task.number(4, 1));
        Ok(Status::Good)
    }
}

/// Commands that are carried out although there is news (SAM-5 §5.14); REQUEST SENSE tells it.
const fn hears_no_news(opcode: u8) -> bool {
    matches!(
        opcode,
        opcode::INQUIRY | opcode::REPORT_LUNS | opcode::REQUEST_SENSE
    )
}
