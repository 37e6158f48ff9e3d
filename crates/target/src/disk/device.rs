//! The SCSI target device: logical units by LUN, and what belongs to no single unit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use hawser_scsi::{Lun, Sense, Status, opcode};

use super::attention::Attention;
use super::nexus::Nexus;
use super::refusal::Refusal;
use super::task::{CommandResult, Task};
use super::unit::LogicalUnit;

/// REPORT LUNS with less room than this is an error (SPC-4 §6.33).
const MIN_REPORT_LUNS_ROOM: u64 = 16;
/// First byte of INQUIRY data where no unit can be: qualifier 3, type 1Fh.
const NO_UNIT: u8 = 0x7f;

/// All disks of one target. Cheap to share: every method takes `&self`.
#[derive(Debug, Default)]
pub struct Device {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    units: BTreeMap<Lun, Arc<LogicalUnit>>,
    nexuses: BTreeSet<Nexus>,
}

impl Device {
    /// A target without disks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows `unit` at `lun`, in place of the one that was there and is given back. Every nexus
    /// hears that the list of LUNs has changed.
    pub fn insert(&self, lun: u32, unit: Arc<LogicalUnit>) -> Option<Arc<LogicalUnit>> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        for nexus in &inner.nexuses {
            unit.nexus_started(nexus);
        }
        inner.tell_luns_changed();
        inner.units.insert(Lun::from_number(lun), unit)
    }

    /// Takes the disk at `lun` away and gives it back. Every nexus hears of it.
    pub fn remove(&self, lun: u32) -> Option<Arc<LogicalUnit>> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let unit = inner.units.remove(&Lun::from_number(lun))?;
        inner.tell_luns_changed();
        Some(unit)
    }

    /// The disk at `lun`, in whatever address format the LUN is written.
    #[must_use]
    pub fn unit(&self, lun: Lun) -> Option<Arc<LogicalUnit>> {
        let number = u32::try_from(lun.number()?).ok()?;
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.units.get(&Lun::from_number(number)).cloned()
    }

    /// All LUNs that have a disk, in their order.
    #[must_use]
    pub fn luns(&self) -> Vec<Lun> {
        self.inner
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .units
            .keys()
            .copied()
            .collect()
    }

    /// A session begins: each disk tells it first that it was switched on (29h).
    pub fn nexus_started(&self, nexus: &Nexus) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.nexuses.insert(nexus.clone());
        inner
            .units
            .values()
            .for_each(|unit| unit.nexus_started(nexus));
    }

    /// A session is over: what it reserved without persistence is free again.
    pub fn nexus_lost(&self, nexus: &Nexus) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.nexuses.remove(nexus);
        inner.units.values().for_each(|unit| unit.nexus_lost(nexus));
    }

    /// How many unit attentions the disk at `lun` has for a nexus, and the sense data of the first,
    /// which stays; `None` without any.
    #[must_use]
    pub fn news(&self, nexus: &Nexus, lun: Lun) -> Option<(usize, Sense)> {
        self.unit(lun)?.news(nexus)
    }

    /// Commands that a nexus had given the disk at `lun` were ended without an answer when their
    /// connection went: it hears so before its next command (RFC 7143 §11.14.5, 47h/7Fh).
    pub fn commands_cleared(&self, nexus: &Nexus, lun: Lun) {
        if let Some(unit) = self.unit(lun) {
            unit.commands_cleared(nexus);
        }
    }

    /// LOGICAL UNIT RESET; false if there is no such disk.
    pub fn reset_unit(&self, lun: Lun) -> bool {
        let unit = self.unit(lun);
        unit.as_ref().inspect(|unit| unit.reset()).is_some()
    }

    /// TARGET WARM or COLD RESET: every disk is reset.
    pub fn reset(&self) {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.units.values().for_each(|unit| unit.reset());
    }

    /// Carries out one command, as [`LogicalUnit::execute`]; REPORT LUNS and commands to a LUN
    /// without a disk are answered here.
    pub fn execute(
        &self,
        nexus: &Nexus,
        lun: Lun,
        cdb: &[u8],
        data_out: &[u8],
        data_in: &mut Vec<u8>,
    ) -> CommandResult {
        let opcode = cdb.first().copied().unwrap_or(0);
        if opcode != opcode::REPORT_LUNS
            && let Some(unit) = self.unit(lun)
        {
            return unit.execute(nexus, cdb, data_out, data_in);
        }
        let Some(mut task) = Task::new(nexus, cdb, data_out, data_in) else {
            return CommandResult::refused(Refusal::unknown_command());
        };
        let result = match opcode {
            opcode::REPORT_LUNS => self.report_luns(&mut task),
            opcode::INQUIRY => inquire_nothing(&mut task),
            opcode::REQUEST_SENSE => sense_nothing(&mut task),
            _ => Err(Refusal::no_unit()),
        };
        task.finish(result)
    }

    /// REPORT LUNS (SPC-4 §6.33): we have no well known units, so SELECT REPORT 1 lists none.
    fn report_luns(&self, task: &mut Task<'_>) -> Result<Status, Refusal> {
        let allocation_length = task.number(6, 4);
        if allocation_length < MIN_REPORT_LUNS_ROOM {
            return Err(Refusal::cdb_field(6));
        }
        let luns = match task.byte(2) {
            0 | 2 => self.luns(),
            1 => Vec::new(),
            _ => return Err(Refusal::cdb_field(2)),
        };
        let length = u32::try_from(luns.len() * 8).unwrap_or(u32::MAX);
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0; 4]);
        luns.iter().for_each(|lun| bytes.extend_from_slice(&lun.0));
        task.answer(&bytes, allocation_length);
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        for unit in inner.units.values() {
            // Whoever reads the list knows that it changed (SPC-4 §6.33).
            unit.state()
                .attentions
                .forget(task.nexus, Attention::ReportedLunsChanged);
        }
        Ok(Status::Good)
    }
}

impl Inner {
    fn tell_luns_changed(&self) {
        for unit in self.units.values() {
            unit.state()
                .attentions
                .tell_others(None, Attention::ReportedLunsChanged);
        }
    }
}

/// INQUIRY where no unit is: data that say so (SPC-4 §6.6.2).
fn inquire_nothing(task: &mut Task<'_>) -> Result<Status, Refusal> {
    if task.bit(1, 0) || task.byte(2) != 0 {
        return Err(Refusal::no_unit());
    }
    let mut bytes = [0; 36];
    bytes[..5].copy_from_slice(&[NO_UNIT, 0, 0x06, 0x02, 31]);
    task.answer(&bytes, task.number(3, 2));
    Ok(Status::Good)
}

/// REQUEST SENSE where no unit is: sense data that say so (SPC-4 §6.39).
fn sense_nothing(task: &mut Task<'_>) -> Result<Status, Refusal> {
    if let Refusal::Check(sense) = Refusal::no_unit() {
        task.answer(&sense.encode_fixed(), task.number(4, 1));
    }
    Ok(Status::Good)
}
