//! Targets that are made known by hand.

use std::sync::Arc;

use hawser_api::{Failure, Status};
use hawser_engine::IscsiName;
use hawser_store::{Change, StaticTarget};

use super::{FLAG_HIDDEN, static_targets};
use crate::daemon::Daemon;
use crate::{events, logins};

/// `ISCSI_TARGET_FLAGS`: merge with what is stored.
const FLAG_MERGE: u32 = 0x4;
/// Portals of a static target.
const MAX_PORTALS: usize = 256;
/// Longest alias, as `MAX_ISCSI_ALIAS_LEN`.
const MAX_ALIAS_LEN: usize = 255;

/// A static target that a request asks for.
#[derive(Debug)]
pub(crate) struct WantedStatic {
    /// The target, its name as given.
    pub(crate) target: StaticTarget,
    /// Keep it over a restart.
    pub(crate) persist: bool,
}

/// Makes a target known by hand, in place of what was known by hand before, or merged with it.
pub(crate) async fn add_static(
    daemon: &Arc<Daemon>,
    wanted: WantedStatic,
) -> Result<Change, Failure> {
    let mut target = wanted.target;
    let name = IscsiName::parse(&target.target_name).map_err(|error| {
        Failure::new(Status::INVALID_ISCSI_NAME, error.to_string()).with_target(&target.target_name)
    })?;
    check_static(&target)?;
    target.target_name = name.as_str().to_owned();
    target.written_name = name.written().map(str::to_owned);
    target.added_at_ms = events::now_ms();
    let _lock = daemon.lock_target(name.as_str()).await;
    let present = static_targets(daemon)
        .into_iter()
        .find(|(known, _)| known.target_name == target.target_name);
    let known_before = present.is_some();
    if let Some((present, _)) = present {
        target.added_at_ms = present.added_at_ms;
        if target.target_flags & FLAG_MERGE != 0 {
            merge(&mut target, present);
            check_static(&target)?;
        }
    }
    let unchanged = keep_static(daemon, target, wanted.persist).await?;
    Ok(match (known_before, unchanged) {
        (false, _) => Change::Created,
        (true, true) => Change::Unchanged,
        (true, false) => Change::Updated,
    })
}

/// Puts a static target where it belongs and takes it away where it was before; gives whether it was there so already.
/// The store may refuse and comes first: the target that was known is then known as before.
async fn keep_static(
    daemon: &Daemon,
    target: StaticTarget,
    persist: bool,
) -> Result<bool, Failure> {
    let _moving = daemon.discovery.moving.lock().await;
    let name = target.target_name.clone();
    if persist {
        let change = daemon.records.put(target).await?;
        let was_passing = daemon.discovery.passing().remove(&name).is_some();
        return Ok(change == Change::Unchanged && !was_passing);
    }
    daemon.discovery.refuse_many(&name)?;
    daemon.records.remove::<StaticTarget>(name.clone()).await?;
    let before = daemon.discovery.passing().insert(name, target.clone());
    Ok(before.as_ref() == Some(&target))
}

/// Refuses a static target with flags that there are not, or with more than is kept of one.
fn check_static(target: &StaticTarget) -> Result<(), Failure> {
    if target.target_flags & !(FLAG_HIDDEN | FLAG_MERGE) != 0 {
        let flags = target.target_flags;
        let message = format!("the flags of a static target are 0x2 and 0x4, not {flags:#x}");
        return Err(
            Failure::new(Status::ERROR_INVALID_PARAMETER, message).with_target(&target.target_name)
        );
    }
    if target.portals.len() <= MAX_PORTALS && target.alias.len() <= MAX_ALIAS_LEN {
        return Ok(());
    }
    let message = format!("at most {MAX_PORTALS} portals, and an alias of {MAX_ALIAS_LEN} bytes");
    Err(Failure::new(Status::ERROR_INVALID_PARAMETER, message).with_target(&target.target_name))
}

/// What was not given stays as it was; portals are united.
fn merge(target: &mut StaticTarget, present: StaticTarget) {
    if target.alias.is_empty() {
        target.alias = present.alias;
    }
    target.mapping = target.mapping.take().or(present.mapping);
    target.login_options = target.login_options.take().or(present.login_options);
    let mut portals = present.portals;
    for portal in std::mem::take(&mut target.portals) {
        if !portals.iter().any(|known| known.key() == portal.key()) {
            portals.push(portal);
        }
    }
    target.portals = portals;
}

/// Forgets a static target.
pub(crate) async fn remove_static(daemon: &Arc<Daemon>, name: &str) -> Result<(), Failure> {
    let name = logins::target_name(name)?;
    let _lock = daemon.lock_target(name.as_str()).await;
    let key = name.as_str().to_owned();
    let stored = daemon.records.remove::<StaticTarget>(key).await?;
    let passing = daemon.discovery.passing().remove(name.as_str()).is_some();
    if !passing && stored == Change::Unchanged {
        let message = format!("{name} is not a static target");
        return Err(Failure::new(Status::TARGET_NOT_FOUND, message).with_target(name.as_str()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hawser_store::LoginOptions;

    use super::super::tests::portal;
    use super::*;

    #[test]
    fn merging_keeps_what_is_not_given() {
        let present = StaticTarget {
            written_name: None,
            alias: "old".into(),
            login_options: Some(LoginOptions::default()),
            portals: vec![portal("a"), portal("b")],
            ..StaticTarget::default()
        };
        let mut target = StaticTarget {
            written_name: None,
            portals: vec![portal("B"), portal("c")],
            ..StaticTarget::default()
        };
        merge(&mut target, present);
        assert_eq!(target.alias, "old");
        assert!(target.login_options.is_some());
        let addresses: Vec<_> = target
            .portals
            .iter()
            .map(|portal| portal.address.as_str())
            .collect();
        assert_eq!(addresses, ["a", "b", "c"]);
    }

    #[test]
    fn flags_that_there_are_not_are_refused() {
        let flagged = |target_flags| {
            let target = StaticTarget {
                target_flags,
                ..StaticTarget::default()
            };
            check_static(&target).map_err(|failure| failure.status)
        };
        for flags in [0, FLAG_HIDDEN, FLAG_HIDDEN | FLAG_MERGE] {
            assert_eq!(flagged(flags), Ok(()));
        }
        for flags in [1, 8, 0x8000_0002] {
            assert_eq!(flagged(flags), Err(Status::ERROR_INVALID_PARAMETER));
        }
    }

    #[test]
    fn merging_drops_no_portal_without_a_word() {
        let numbered = |from: usize, count: usize| StaticTarget {
            written_name: None,
            portals: (from..from + count)
                .map(|number| portal(&format!("host-{number}")))
                .collect(),
            ..StaticTarget::default()
        };
        let mut target = numbered(200, 57);
        merge(&mut target, numbered(0, 200));
        assert_eq!(target.portals.len(), 257);
        let refused = check_static(&target).map_err(|failure| failure.status);
        assert_eq!(refused, Err(Status::ERROR_INVALID_PARAMETER));
        target.portals.pop();
        assert!(check_static(&target).is_ok());
    }
}
