//! Which disks must be asked who they are, and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hawser_proto::session::{ConnectionError, Outcome};
use hawser_scsi::{DiskIdentity, Lun as LunNumber, Sense, SenseKey};
use tokio::task::JoinSet;

use super::SessionEvent;
use super::driver::Driver;
use super::raw::{RawIo, Urgent};
use super::verify::{Check, Checked, Verdict};
use crate::lun::{LunState, Standing};

/// How long after a login the disks that answer wait for those that do not: then each goes its own
/// way, so that a disk that hangs never holds up its neighbours.
const PATIENCE: Duration = Duration::from_secs(1);

/// The checks under way, and the gate that they open.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    checks: JoinSet<()>,
    /// Commands leave.
    gate_is_open: bool,
    /// When the gate is opened all the same.
    gate_due: Option<Instant>,
    /// Since when no commands leave, if they did before.
    outage_since: Option<Instant>,
}

impl Doubts {
    pub(super) fn gate_due(&self) -> Option<Instant> {
        self.gate_due
    }
}

impl Driver {
    pub(super) fn gate_is_open(&self) -> bool {
        self.doubts.gate_is_open
    }

    /// The session is logged in: all disks are asked.
    pub(super) fn begin_checks(&mut self) {
        let since = self.doubts.outage_since.unwrap_or(self.now);
        let (login, luns) = self.shared.luns.logged_in();
        self.login = login;
        self.doubts.gate_due = Some(self.now + PATIENCE);
        for lun in luns {
            if !lun.is_wrong_disk() {
                lun.doubt(since);
                self.begin_check(lun, true);
            }
        }
        self.open_gate_if_checked();
    }

    /// Until they were asked, no disk is trusted to be the one that it was.
    pub(super) fn doubt_all(&self) {
        let since = self.doubts.outage_since.unwrap_or(self.now);
        for lun in self.shared.luns.all() {
            lun.doubt(since);
        }
    }

    fn begin_check(&mut self, lun: Arc<LunState>, after_login: bool) {
        let login = self.login;
        let check = Check {
            shared: Arc::clone(&self.shared),
            lun,
            urgent: Urgent { login, after_login },
        };
        self.doubts.checks.spawn(check.run());
    }

    /// The connection is lost: the next login checks again. What the checks had to send is moot, and
    /// must not reach what answers then.
    pub(super) fn end_checks(&mut self) {
        self.doubts.outage_since.get_or_insert(self.now);
        self.doubts.gate_is_open = false;
        self.doubts.gate_due = None;
        // Dropping the set ends its tasks.
        self.doubts.checks = JoinSet::new();
        for id in self.slots.urgent() {
            // One that waits to be sent ends at once; those that were sent have ended with the loss.
            let _ = self.core.abort(self.now, id);
        }
    }

    /// A disk must be asked who it is before it is sent anything more.
    pub(super) fn doubt(&mut self, lun: &Arc<LunState>) {
        if lun.is_wrong_disk() {
            return self.disown(lun, None);
        }
        if !lun.doubt(self.now) || !self.core.is_up() {
            return;
        }
        if self.doubts.gate_is_open {
            // What was not sent yet is parked.
            self.core.withdraw(lun.number.0);
        }
        self.begin_check(Arc::clone(lun), false);
    }

    /// A check has ended.
    pub(super) fn checked(&mut self, checked: Checked) {
        let Checked {
            lun,
            urgent,
            verdict,
        } = checked;
        if urgent.login != self.login || !self.core.is_up() {
            return;
        }
        while self.doubts.checks.try_join_next().is_some() {}
        let is_over = match verdict {
            Verdict::Same { doubts } => {
                let trusted = lun.trust(doubts);
                if trusted {
                    self.shared.tell(SessionEvent::DiskChecked(lun.number));
                }
                trusted
            }
            Verdict::Other(found) => {
                self.disown(&lun, found);
                true
            }
            // Unless somebody has opened it again meanwhile.
            Verdict::Unneeded => self.shared.luns.forget(&lun),
        };
        if !is_over {
            return self.begin_check(lun, urgent.after_login);
        }
        self.waiting.look_at_parked();
        self.open_gate_if_checked();
    }

    /// A LUN turned out to be another disk: nothing more goes to it.
    fn disown(&mut self, lun: &LunState, found: Option<DiskIdentity>) {
        lun.set_wrong_disk();
        self.core.withdraw(lun.number.0);
        self.waiting.look_at_parked();
        if let Some(expected) = lun.identity.clone() {
            self.shared.tell(SessionEvent::WrongDisk {
                lun: lun.number,
                expected,
                found,
            });
        }
    }

    fn open_gate_if_checked(&mut self) {
        if !self.doubts.gate_is_open && self.doubted().is_empty() {
            self.open_gate();
        }
    }

    /// Not while the session is being left: the next login has a gate of its own.
    fn open_gate(&mut self) {
        self.doubts.gate_due = None;
        self.doubts.gate_is_open = self.core.open_gate(self.now);
        if self.doubts.gate_is_open {
            self.doubts.outage_since = None;
        }
    }

    /// A disk that is open, and not known to be another, has this LUN.
    pub(super) fn may_be_at(&self, number: LunNumber) -> bool {
        let luns = self.shared.luns.all();
        luns.iter().any(|lun| lun.is_at(number))
    }

    fn doubted(&self) -> Vec<Arc<LunState>> {
        let mut luns = self.shared.luns.all();
        luns.retain(|lun| matches!(lun.standing(), Standing::Doubted(_)));
        luns
    }

    /// The gate is opened although some disks have not answered: what waits for these is taken out
    /// of the core, and parked.
    pub(super) fn leave_doubted_behind(&mut self) {
        for lun in self.doubted() {
            tracing::warn!(target_name = %self.shared.target, lun = %lun.number,
                "the disk has not been checked yet: its requests wait");
            self.core.withdraw(lun.number.0);
        }
        self.open_gate();
    }

    /// Somebody's raw command was answered: news in it are for all. To a check after a login the unit
    /// says what it has to say about that.
    pub(super) fn hear_raw(&mut self, io: &RawIo, outcome: &Outcome) {
        if let Outcome::Completed(answer) = outcome
            && io.urgent.is_none_or(|urgent| !urgent.after_login)
            && let Some(sense) = Sense::decode(&answer.sense)
        {
            self.hear(io.request.lun, &sense);
        }
    }

    /// The target said something without being asked.
    pub(super) fn hear_async(&mut self, lun: [u8; 8], sense: &[u8]) {
        let (lun, sense) = (LunNumber(lun), Sense::decode(sense));
        if let Some(sense) = sense {
            self.hear(lun, &sense);
        }
        self.shared.tell(SessionEvent::AsyncSense { lun, sense });
    }

    /// A unit attention: some are worth telling, and some put the disk in doubt.
    pub(super) fn hear(&mut self, number: LunNumber, sense: &Sense) {
        if sense.key != SenseKey::UnitAttention {
            return;
        }
        match (sense.asc, sense.ascq) {
            // Changes of the transceiver, and the loss of the nexus, leave the unit as it was.
            (0x29, 0x05..=0x07) => {}
            (0x29, _) => self.was_reset(number),
            (0x2a, 0x09) => self.shared.tell(SessionEvent::CapacityChanged(number)),
            // MEDIUM MAY HAVE CHANGED; INQUIRY DATA, DEVICE IDENTIFIER HAS CHANGED.
            (0x28, 0x00) | (0x3f, 0x03 | 0x05) => self.doubt_at(|lun| lun.is_at(number)),
            // REPORTED LUNS DATA HAS CHANGED.
            (0x3f, 0x0e) => {
                self.shared.tell(SessionEvent::LunsChanged);
                self.doubt_at(|_| true);
            }
            (asc, ascq) => tracing::debug!(target_name = %self.shared.target, lun = %number,
                "unit attention {asc:#04x}/{ascq:#04x}"),
        }
    }

    fn doubt_at(&mut self, is_meant: impl Fn(&Arc<LunState>) -> bool) {
        for lun in self.shared.luns.all().iter().filter(|lun| is_meant(lun)) {
            self.doubt(lun);
        }
    }

    /// A unit was reset, or switched on: it may have forgotten what it had acknowledged, and may be
    /// another. What is kept is written again in a new login, which also ends the commands under way:
    /// they could be carried out in any order with that.
    fn was_reset(&mut self, number: LunNumber) {
        let luns = self.shared.luns.all();
        let forgets = |lun: &&Arc<LunState>| lun.is_at(number) && lun.unflushed().set_forgotten();
        if luns.iter().filter(forgets).count() > 0 {
            tracing::warn!(target_name = %self.shared.target, lun = %number,
                "the unit was reset: what it had not flushed is written again");
            let cid = self.core.cids().next();
            self.lose(cid.unwrap_or(0), ConnectionError::UnitReset);
        } else {
            self.doubt_at(|lun| lun.is_at(number));
        }
    }
}
