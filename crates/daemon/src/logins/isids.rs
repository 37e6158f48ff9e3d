//! The ISIDs of sessions, kept so that the next session of the same kind reinstates the last.

use std::collections::BTreeSet;

use hawser_api::{Failure, Status};
use hawser_engine::{Isid, SessionView};
use hawser_store::{IsidKey, KeptIsid};

use crate::daemon::Daemon;
use crate::sessions::Entry;

/// Sessions of one initiator with one portal group for which ISIDs are kept.
const MAX_ISID_SLOTS: u16 = 64;

/// The ISID of a new session: the first kept one of that portal group that no session with the target
/// uses, else a new one, stored before it is used.
pub(super) async fn choose_isid(
    daemon: &Daemon,
    initiator: &str,
    target: &str,
    tag: Option<u16>,
) -> Result<(IsidKey, Isid), Failure> {
    let present = daemon.sessions.of_target(target);
    let used: BTreeSet<[u8; 6]> = present.iter().map(|entry| entry.origin.isid.0).collect();
    let key = |portal_group, slot| IsidKey {
        initiator_name: initiator.to_owned(),
        target_name: target.to_owned(),
        portal_group,
        slot,
    };
    for slot in 0..MAX_ISID_SLOTS {
        let own = key(tag, slot);
        let kept = match daemon.records.get::<KeptIsid>(&own)? {
            None if tag.is_some() => daemon.records.get::<KeptIsid>(&key(None, slot))?,
            kept => kept,
        };
        match kept {
            Some(kept) if used.contains(&kept.isid) => {}
            Some(kept) => return Ok((own, Isid(kept.isid))),
            None => {
                let isid = fresh_isid()?;
                daemon
                    .records
                    .put(KeptIsid {
                        session: own.clone(),
                        isid: isid.0,
                    })
                    .await?;
                return Ok((own, isid));
            }
        }
    }
    let message = format!("there are {MAX_ISID_SLOTS} sessions with {target}, the limit");
    Err(Failure::new(Status::TOO_MANY_SESSIONS, message).with_target(target))
}

fn fresh_isid() -> Result<Isid, Failure> {
    let mut random = [0; 5];
    getrandom::fill(&mut random).map_err(|error| {
        Failure::new(
            Status::NON_SPECIFIC_ERROR,
            format!("no random number: {error}"),
        )
    })?;
    Ok(Isid::from_random(random))
}

/// Keeps the ISID under the portal group that the login turned out to reach.
pub(crate) async fn keep_isid(
    daemon: &Daemon,
    entry: &Entry,
    view: &SessionView,
) -> Result<(), Failure> {
    let mut session = entry.origin.isid_key.clone();
    if session.portal_group == view.tpgt {
        return Ok(());
    }
    session.portal_group = view.tpgt;
    daemon
        .records
        .put(KeptIsid {
            session,
            isid: entry.origin.isid.0,
        })
        .await
        .map(|_| ())
}
