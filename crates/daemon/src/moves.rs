//! A target that says in a login that it has moved for good (RFC 7143 §11.13.5, status 0102): later
//! logins go to the new address first. Only the persistent login of that session is changed. What
//! discovery told stays as it is: it says what the portal says, and other logins may go by it.

use std::sync::Arc;

use hawser_api::Failure;
use hawser_store::{PersistentLogin, Portal, Record};

use crate::convert;
use crate::daemon::Daemon;
use crate::events::News;
use crate::sessions::Entry;

/// Where a target has moved to, and the portal that said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    from: Option<Portal>,
    to: Portal,
}

impl Move {
    /// Changes what is stored of a login. One that names the portal which said it names the new one
    /// from then on; one that names none tries the new one before those that are known, so that it
    /// comes back even when the old portal is gone; one that names another is not concerned.
    pub(crate) fn apply(&self, login: &mut PersistentLogin) {
        let said_it = |named: &Portal| {
            let from = self.from.as_ref();
            from.is_none_or(|from| from.key() == named.key())
        };
        match &login.portal {
            None => login.moved_to = Some(self.to.clone()),
            Some(named) if said_it(named) => login.portal = Some(self.to.clone()),
            Some(_) => {}
        }
    }
}

/// Takes in that the target of a session has moved.
pub(crate) async fn take(daemon: &Arc<Daemon>, entry: &Arc<Entry>, portal: &hawser_engine::Portal) {
    // A login that is still under way stores its record first.
    let _lock = daemon.lock_target(&entry.origin.target).await;
    let moved = Move {
        from: entry
            .view()
            .map(|view| convert::engine_portal_stored(&view.portal)),
        to: convert::engine_portal_stored(portal),
    };
    entry.set_moved(moved.clone());
    let target = &entry.origin.target;
    let news = match change_record(daemon, entry, &moved).await {
        Ok(()) => {
            let message = format!("{target} has moved to {portal} for good");
            News::info("target-moved", message).target(target)
        }
        Err(failure) => News::warning("target-moved", failure.with_target(target)),
    };
    daemon.events.tell(news.session(entry.id));
}

async fn change_record(
    daemon: &Arc<Daemon>,
    entry: &Arc<Entry>,
    moved: &Move,
) -> Result<(), Failure> {
    let Some(key) = entry.login() else {
        return Ok(());
    };
    let Some(mut record) = daemon.records.get::<PersistentLogin>(&key)? else {
        return Ok(());
    };
    moved.apply(&mut record);
    let new = record.key();
    if new == key {
        daemon.records.put(record).await?;
        return Ok(());
    }
    if daemon.records.get::<PersistentLogin>(&new)?.is_some() {
        // Another login goes there already. It is not to be overwritten on the word of a target, and
        // this one still leads there by its redirect.
        return Ok(());
    }
    daemon.records.put(record).await?;
    daemon.records.remove::<PersistentLogin>(key).await?;
    entry.set_login(Some(new));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portal(address: &str) -> Portal {
        Portal {
            address: address.to_owned(),
            port: 3260,
            symbolic_name: String::new(),
        }
    }

    #[test]
    fn only_what_the_portal_spoke_of_is_changed() {
        let moved = |from: Option<&str>, named: Option<&str>| {
            let mut login = PersistentLogin {
                written_name: None,
                portal: named.map(portal),
                ..PersistentLogin::default()
            };
            let moved = Move {
                from: from.map(portal),
                to: portal("new.example"),
            };
            moved.apply(&mut login);
            let address = |portal: Option<Portal>| portal.map(|portal| portal.address);
            (address(login.portal), address(login.moved_to))
        };
        let new = || Some("new.example".to_owned());
        assert_eq!(moved(Some("old.example"), None), (None, new()));
        assert_eq!(
            moved(Some("old.example"), Some("OLD.example")),
            (new(), None)
        );
        assert_eq!(moved(None, Some("old.example")), (new(), None));
        let other = Some("other.example".to_owned());
        assert_eq!(
            moved(Some("old.example"), Some("other.example")),
            (other, None)
        );
    }
}
