//! Checks after each login that the disks are who they were, before anything else is sent.

use std::sync::Arc;
use std::time::Duration;

use hawser_scsi::DiskIdentity;

use super::Shared;
use crate::error::SessionError;
use crate::lun::{LunState, identify};

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
        if lun.identity.is_none() || lun.is_wrong_disk() {
            continue;
        }
        match ask(&shared, &lun).await {
            Ok(found) if found == lun.identity => {}
            Ok(found) => wrong.push((lun, found)),
            Err(()) => return Verdict::Abandoned,
        }
    }
    Verdict::Checked { wrong }
}

/// Asks until there is an answer; `Err` when the connection is gone.
async fn ask(shared: &Shared, lun: &LunState) -> Result<Option<DiskIdentity>, ()> {
    loop {
        match identify(shared, lun.number, true).await {
            Ok((identity, _)) => return Ok(identity),
            Err(SessionError::Scsi(_) | SessionError::TimedOut(_) | SessionError::Aborted(_)) => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(_) => return Err(()),
        }
    }
}
