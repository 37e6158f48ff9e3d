//! Where the target of a persistent login was found last. Discovery tells where targets are now, and a
//! login that names no portal goes by it; but a portal may be removed, or answer before the target is
//! listed again, and the login must come back all the same.

use hawser_store::{PersistentLogin, PortalGroup};

use crate::convert;
use crate::daemon::Daemon;
use crate::discovery::{self, KnownTarget};
use crate::sessions::Entry;

/// What is known of the target of a stored login: what discovery tells, and behind it where the login
/// found it last.
pub(crate) fn known(daemon: &Daemon, login: &PersistentLogin) -> KnownTarget {
    let mut known = discovery::known_or_nothing(daemon, &login.target_name);
    if known.name.is_none() {
        known.name = discovery::written(&login.target_name, login.written_name.as_deref());
    }
    for group in &login.last_portals {
        for portal in &group.portals {
            known.add(portal, group.tag);
        }
    }
    known
}

/// Notes in a login where its target is known to be now; what was noted stays if that is nowhere.
pub(crate) fn note(daemon: &Daemon, login: &mut PersistentLogin) {
    let now = discovery::known_or_nothing(daemon, &login.target_name);
    if !now.portals.is_empty() {
        login.last_portals = groups(&now);
    }
    if let Some(name) = now.name {
        login.written_name = name.written().map(str::to_owned);
    }
}

/// A session is up: notes where its target is in the login that it was made for.
///
/// # Errors
/// The store fails.
pub(crate) async fn remember(daemon: &Daemon, entry: &Entry) -> Result<(), hawser_api::Failure> {
    let _lock = daemon.lock_target(&entry.origin.target).await;
    let Some(key) = entry.login() else {
        return Ok(());
    };
    let Some(mut login) = daemon.records.get::<PersistentLogin>(&key)? else {
        return Ok(());
    };
    let before = login.clone();
    note(daemon, &mut login);
    if login != before {
        daemon.records.put(login).await?;
    }
    Ok(())
}

/// The portals in their groups, in the order in which they are tried.
fn groups(known: &KnownTarget) -> Vec<PortalGroup> {
    let mut groups: Vec<PortalGroup> = Vec::new();
    for (portal, tag) in &known.portals {
        let portal = convert::engine_portal_stored(portal);
        match groups.last_mut().filter(|group| group.tag == *tag) {
            Some(group) => group.portals.push(portal),
            None => groups.push(PortalGroup {
                tag: *tag,
                portals: vec![portal],
            }),
        }
    }
    groups
}
