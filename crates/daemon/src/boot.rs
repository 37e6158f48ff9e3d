//! What the daemon does by itself at its start: restores the persistent logins, asks the portals.

use std::sync::Arc;

use hawser_store::{PersistentLogin, SendTargetsPortal};
use tokio::sync::Semaphore;

use crate::daemon::Daemon;
use crate::events::News;
use crate::{discovery, logins, shared_secrets};

/// Restores the persistent logins, a bounded number at once, each by itself: one that gets no answer
/// holds up no other for longer than its first attempt, and goes on trying for ever.
pub(crate) async fn restore_logins(daemon: Arc<Daemon>) {
    shared_secrets::warn_of_stored(&daemon);
    let places = Arc::new(Semaphore::new(daemon.config.parallel_logins));
    for record in daemon.records.all::<PersistentLogin>() {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        if daemon.is_stopping() {
            return;
        }
        let daemon = Arc::clone(&daemon);
        tokio::spawn(async move {
            // A session that was made tells of its failures itself, once for each reason.
            if let Err(failure) = logins::restore(&daemon, &record).await
                && daemon.sessions.of_target(&record.target_name).is_empty()
                && !daemon.is_stopping()
            {
                let failure = failure.with_target(&record.target_name);
                daemon
                    .events
                    .tell(News::error("login-not-restored", failure));
            }
            drop(place);
            daemon.volumes.look_again();
        });
    }
}

/// Asks all stored portals once, in the background.
pub(crate) async fn refresh_portals(daemon: Arc<Daemon>) {
    let portals = daemon.records.all::<SendTargetsPortal>();
    discovery::ask_all(&daemon, portals).await;
}
