//! What the daemon does by itself at its start: restores the persistent logins, asks the portals.

use std::sync::Arc;
use std::time::Duration;

use hawser_api::Failure;
use hawser_store::{PersistentLogin, PersistentLoginKey, Record, SendTargetsPortal};
use tokio::sync::Semaphore;

use crate::daemon::Daemon;
use crate::events::News;
use crate::{discovery, isns, logins, shared_secrets};

/// First pause before a login that could not even be tried is looked at again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Restores the persistent logins, a bounded number at once, each by itself: one that gets no answer
/// holds up no other for longer than its first attempt, and goes on trying for ever.
pub(crate) async fn restore_logins(daemon: Arc<Daemon>) {
    shared_secrets::warn_of_stored(&daemon);
    let places = Arc::new(Semaphore::new(daemon.config.parallel_logins));
    for record in daemon.records.all::<PersistentLogin>() {
        tokio::spawn(restore(
            Arc::clone(&daemon),
            record.key(),
            Arc::clone(&places),
        ));
    }
}

/// Restores one login: until there is a session, which goes on by itself, or nobody wants it any more.
async fn restore(daemon: Arc<Daemon>, login: PersistentLoginKey, places: Arc<Semaphore>) {
    let mut pause = FIRST_PAUSE;
    let mut told = None;
    loop {
        let attempt = attempt(&daemon, &login, &places);
        let Err(failure) = attempt.await else { return };
        if told.as_ref() != Some(&failure) {
            let news = News::error("login-not-restored", failure.clone());
            daemon.events.tell(news);
        }
        told = Some(failure);
        tokio::select! {
            () = daemon.stopped() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

/// One attempt, in its turn. An error means that it is to be tried again.
async fn attempt(
    daemon: &Arc<Daemon>,
    login: &PersistentLoginKey,
    places: &Semaphore,
) -> Result<(), Failure> {
    let Ok(_place) = places.acquire().await else {
        return Ok(());
    };
    // As it is stored now.
    let record = daemon.records.get::<PersistentLogin>(login)?;
    let Some(record) = record.filter(|_| !daemon.is_stopping()) else {
        return Ok(());
    };
    let restored = logins::restore(daemon, &record).await;
    daemon.volumes.look_again();
    match restored {
        Err(failure) if !daemon.is_stopping() => Err(failure.with_target(&record.target_name)),
        _ => Ok(()),
    }
}

/// Asks all stored portals and iSNS servers once, in the background.
pub(crate) async fn refresh_portals(daemon: Arc<Daemon>) {
    let portals = daemon.records.all::<SendTargetsPortal>();
    isns::ask_all(&daemon);
    discovery::ask_all(&daemon, portals).await;
}
