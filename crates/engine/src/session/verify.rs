//! Checks that a disk is who it was, after each login and when it speaks of a change, and writes again
//! what it may have forgotten, before anything else is sent to it.

use std::sync::Arc;
use std::time::Duration;

use hawser_scsi::identity::IdentityKind;
use hawser_scsi::{Capacity, DiskIdentity};

use super::raw::{MAX_ATTEMPTS, Urgent, carry_out};
use super::{Message, ScsiRequest, SessionEvent, Shared, Transfer};
use crate::error::SessionError;
use crate::lun::{Kept, LunState, capacity, identify, kept_command};

/// Pause before a unit that could not be asked, or is not there, is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// What a check came to.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(super) lun: Arc<LunState>,
    pub(super) urgent: Urgent,
    pub(super) verdict: Verdict,
}

/// Who answers at a LUN.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The disk that was opened; it has all that it acknowledged.
    Same {
        /// How often it had been doubted when it was asked: a later doubt is not answered by this.
        doubts: u64,
    },
    /// Another disk, which says that it is this one, if it says so.
    Other(Option<DiskIdentity>),
    /// There is no answer yet, and nobody who needs one.
    Unneeded,
}

/// One check under way.
pub(super) struct Check {
    pub(super) shared: Arc<Shared>,
    pub(super) lun: Arc<LunState>,
    /// What its commands belong to. After a login all that the unit may have forgotten is written
    /// again.
    pub(super) urgent: Urgent,
}

impl Check {
    /// Asks until there is a verdict, and tells the driver, which ends the check itself when the
    /// connection is lost. A unit that answers nothing useful is asked for as long as somebody
    /// needs it.
    pub(super) async fn run(self) {
        let Some(verdict) = self.judge().await else {
            return;
        };
        self.shared.inbox.send(Message::Checked(Checked {
            lun: self.lun,
            urgent: self.urgent,
            verdict,
        }));
    }

    async fn judge(&self) -> Option<Verdict> {
        let mut attentions = 0;
        loop {
            match self.examine().await {
                Ok(verdict) => return Some(verdict),
                Err(SessionError::Closed(_)) => return None,
                // What it said before that is old.
                Err(SessionError::Scsi(error))
                    if error.is_attention() && attentions < MAX_ATTEMPTS =>
                {
                    attentions += 1;
                    continue;
                }
                Err(error) => tracing::debug!(target_name = %self.shared.target,
                    lun = %self.lun.number, %error, "cannot check the disk yet"),
            }
            attentions = 0;
            // The list of open LUNs holds it, and this check.
            if !self.lun.is_needed(2) {
                return Some(Verdict::Unneeded);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn examine(&self) -> Result<Verdict, SessionError> {
        let same = Verdict::Same {
            doubts: self.lun.doubts(),
        };
        if let Some(expected) = &self.lun.identity {
            let (found, _) = identify(&self.shared, self.lun.number, Some(self.urgent)).await?;
            if !Self::is_told(expected, found.as_ref()) {
                return Err(self
                    .shared
                    .bad_answer("INQUIRY", "it does not say who it is any more"));
            }
            if found.as_ref() != Some(expected) {
                return Ok(Verdict::Other(found));
            }
        }
        if !self.lun.is_disk() {
            return Ok(same);
        }
        // This also makes the unit say all that it has to say first: later news are new.
        let size = match capacity(&self.shared, self.lun.number, Some(self.urgent)).await {
            Ok(capacity) => Some(capacity),
            Err(SessionError::Scsi(error)) if !error.is_passing() => None,
            Err(error) => return Err(error),
        };
        if let Some(size) = size
            && !self.compare(&size)
        {
            return Ok(Verdict::Other(self.lun.identity.clone()));
        }
        if self.urgent.after_login {
            self.write_again().await?;
        }
        Ok(same)
    }

    /// The unit has said enough to tell whether it is the disk that was opened. One that had a name
    /// and gives none now, or only a serial number in place of it, has not said that it is another:
    /// it may be one that is just starting.
    fn is_told(expected: &DiskIdentity, found: Option<&DiskIdentity>) -> bool {
        let is_serial = |identity: &DiskIdentity| identity.kind() == IdentityKind::Serial;
        found.is_some_and(|found| !is_serial(found) || is_serial(expected))
    }

    /// Tells a new size; `false` when the blocks are of another size, so that it is another disk.
    fn compare(&self, now: &Capacity) -> bool {
        let before = self.lun.geometry();
        if now.bytes() != before.size {
            let lun = self.lun.number;
            self.shared.tell(SessionEvent::CapacityChanged(lun));
        }
        now.block_size == before.block_size
    }

    /// Writes again, one after the other, what the unit has acknowledged and may have forgotten. A
    /// change that it does not take any more fails the next flush.
    async fn write_again(&self) -> Result<(), SessionError> {
        self.lun.unflushed().begin_again();
        let mut next = 0;
        loop {
            let kept = self.lun.unflushed().from(next);
            let Some(kept) = kept else { break };
            next = kept.number + 1;
            match self.write_kept(kept).await {
                Ok(()) => {}
                Err(SessionError::Scsi(error)) if !error.is_passing() => {
                    tracing::error!(target_name = %self.shared.target, lun = %self.lun.number,
                        %error, "an acknowledged write cannot be repeated: the next flush will fail");
                    self.lun.unflushed().set_lost();
                }
                Err(error) => return Err(error),
            }
        }
        self.lun.unflushed().end_again();
        Ok(())
    }

    /// An error that passes begins the whole check anew: the unit may have been reset since the changes
    /// before this one.
    async fn write_kept(&self, kept: Kept) -> Result<(), SessionError> {
        let (cdb, data) = kept_command(&self.lun, kept);
        let request = ScsiRequest {
            lun: self.lun.number,
            cdb,
            transfer: Transfer::Write(data),
        };
        let answer = carry_out(&self.shared, request, Some(self.urgent)).await?;
        answer.error().map_or(Ok(()), |error| Err(error.into()))
    }
}
