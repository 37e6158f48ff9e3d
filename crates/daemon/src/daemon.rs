//! What all parts of the running daemon share.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hawser_api::{Failure, Status};
use hawser_export::Exporter;
use tokio::sync::{OwnedMutexGuard, watch};

use crate::config::Config;
use crate::data_threads::DataThreads;
use crate::devices::Disks;
use crate::discovery::Discovery;
use crate::events::{self, Events};
use crate::ipsec::Ipsec;
use crate::isns::Isns;
use crate::records::Records;
use crate::sessions::Sessions;
use crate::volumes::{Host, Volumes};

/// Locks of targets that are kept while nobody holds them; beyond this they are cleared away.
const KEPT_LOCKS: usize = 256;

/// The running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// What it was told.
    pub(crate) config: Config,
    /// The machine.
    pub(crate) host: Host,
    /// The store.
    pub(crate) records: Records,
    /// What happened lately.
    pub(crate) events: Events,
    /// Shows disks.
    pub(crate) exporter: Exporter,
    /// Carry the sessions' bytes.
    pub(crate) threads: DataThreads,
    /// Sessions.
    pub(crate) sessions: Sessions,
    /// Disks of the sessions.
    pub(crate) disks: Disks,
    /// Portals and targets, as far as they are not stored.
    pub(crate) discovery: Discovery,
    /// iSNS servers, as far as they are not stored.
    pub(crate) isns: Isns,
    /// IKE and IPsec settings, as far as they are not stored.
    pub(crate) ipsec: Ipsec,
    /// Bound volumes.
    pub(crate) volumes: Volumes,
    /// When it started, in milliseconds since 1970.
    pub(crate) started_at_ms: i64,
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    stopping: watch::Sender<bool>,
}

impl Daemon {
    /// Puts the parts together.
    pub(crate) fn new(
        config: Config,
        records: Records,
        exporter: Exporter,
        threads: DataThreads,
    ) -> Self {
        Self {
            config,
            host: Host::new(Path::new("/")),
            records,
            events: Events::new(),
            exporter,
            threads,
            sessions: Sessions::new(),
            disks: Disks::default(),
            discovery: Discovery::default(),
            isns: Isns::default(),
            ipsec: Ipsec::default(),
            volumes: Volumes::default(),
            started_at_ms: events::now_ms(),
            locks: Mutex::default(),
            stopping: watch::channel(false).0,
        }
    }

    /// Waits until no other login, logout or change of the same target is under way.
    pub(crate) async fn lock_target(&self, target: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            if locks.len() > KEPT_LOCKS {
                locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            }
            Arc::clone(locks.entry(target.to_owned()).or_default())
        };
        lock.lock_owned().await
    }

    /// From now on nothing new is begun.
    pub(crate) fn begin_stop(&self) {
        self.stopping.send_replace(true);
    }

    /// The daemon is ending.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Refuses what must not begin any more.
    pub(crate) fn refuse_if_stopping(&self) -> Result<(), Failure> {
        if self.is_stopping() {
            return Err(Failure::new(
                Status::SERVICE_NOT_RUNNING,
                "the daemon is stopping",
            ));
        }
        Ok(())
    }

    /// Waits for the daemon's end.
    pub(crate) async fn stopped(&self) {
        // The sender lives in self, so this only ends with the value.
        let _ = self
            .stopping
            .subscribe()
            .wait_for(|stopping| *stopping)
            .await;
    }
}

/// Carries `work` out to its end even if the caller goes away: what has begun to change things must not
/// stop half way.
pub(crate) async fn to_its_end<T, F>(work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    tokio::spawn(work).await.unwrap_or_else(|error| {
        let message = format!("the daemon failed while it did that: {error}");
        Err(Failure::new(Status::NON_SPECIFIC_ERROR, message))
    })
}
