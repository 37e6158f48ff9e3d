//! Checks after each login that the disks are who they were, and writes again what they may have
//! forgotten, before anything else is sent.

use std::sync::Arc;
use std::time::Duration;

use hawser_scsi::{DiskIdentity, SenseKey, Status};

use super::raw::carry_out;
use super::{ScsiRequest, Shared, Transfer};
use crate::error::{ScsiError, SessionError};
use crate::lun::{Kept, LunState, identify, kept_command};

/// Pause before a unit that could not say who it is is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// What the check came to.
pub(super) enum Verdict {
    /// All were asked; these are other disks now.
    Checked {
        /// The LUN, and who it says it is.
        wrong: Vec<(Arc<LunState>, Option<DiskIdentity>)>,
    },
    /// The connection was lost meanwhile: the next login checks again.
    Abandoned,
}

/// Asks each of `luns` that had an identity for it.
pub(super) async fn verify(shared: Arc<Shared>, luns: Vec<Arc<LunState>>) -> Verdict {
    let mut wrong = Vec::new();
    for lun in luns {
        if lun.is_wrong_disk() {
            continue;
        }
        match check(&shared, &lun).await {
            Ok(None) => {}
            Ok(Some(found)) => wrong.push((lun, found)),
            Err(Gone) => return Verdict::Abandoned,
        }
    }
    Verdict::Checked { wrong }
}

/// The connection is gone.
struct Gone;

/// Asks one unit who it is and, if it is who it was, writes again what it may have forgotten. Gives
/// the other disk's identity when it is another.
async fn check(shared: &Shared, lun: &LunState) -> Result<Option<Option<DiskIdentity>>, Gone> {
    if lun.identity.is_some() {
        let found = ask(shared, lun).await?;
        if found != lun.identity {
            return Ok(Some(found));
        }
    }
    write_again(shared, lun).await?;
    Ok(None)
}

/// Asks until there is an answer.
async fn ask(shared: &Shared, lun: &LunState) -> Result<Option<DiskIdentity>, Gone> {
    loop {
        match identify(shared, lun.number, true).await {
            Ok((identity, _)) => return Ok(identity),
            Err(SessionError::Scsi(_) | SessionError::TimedOut(_) | SessionError::Aborted(_)) => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(_) => return Err(Gone),
        }
    }
}

/// Writes again, one after the other, what the unit has acknowledged and may have forgotten. A
/// change that it does not take any more fails the next flush.
async fn write_again(shared: &Shared, lun: &LunState) -> Result<(), Gone> {
    let mut next = 0;
    loop {
        let kept = lun.unflushed().from(next);
        let Some(kept) = kept else { return Ok(()) };
        next = kept.number + 1;
        match write_kept(shared, lun, kept).await {
            Ok(()) => {}
            Err(SessionError::Scsi(error)) => {
                tracing::error!(target_name = %shared.target, lun = %lun.number, %error,
                    "an acknowledged write cannot be repeated: the next flush will fail");
                lun.unflushed().set_lost();
            }
            Err(_) => return Err(Gone),
        }
    }
}

/// How often a unit that is busy or has something to say first is asked to take one change.
const MAX_ATTEMPTS: u32 = 60;

async fn write_kept(shared: &Shared, lun: &LunState, kept: Kept) -> Result<(), SessionError> {
    let (cdb, data) = kept_command(lun, kept);
    let mut attempts = 0;
    loop {
        let (lun, transfer) = (lun.number, Transfer::Write(data.clone()));
        let answer = carry_out(shared, ScsiRequest { lun, cdb, transfer }, true).await?;
        attempts += 1;
        let attention = answer
            .sense
            .is_some_and(|sense| sense.key == SenseKey::UnitAttention);
        match answer.status {
            Status::Good => return Ok(()),
            Status::CheckCondition if attention && attempts < MAX_ATTEMPTS => {}
            Status::Busy | Status::TaskSetFull if attempts < MAX_ATTEMPTS => {
                tokio::time::sleep(PAUSE).await;
            }
            status => {
                let (status, sense) = (status.to_byte(), answer.sense);
                return Err(ScsiError { status, sense }.into());
            }
        }
    }
}
