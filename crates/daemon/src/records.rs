//! The store, for async code: each change runs on a thread for blocking work and is durable when its
//! call returns.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hawser_api::{Failure, Status};
use hawser_store::{Change, Damage, DiscoveredTarget, DiscoverySource, Record, Store, StoreError};

/// The store, until it is closed.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    store: Arc<RwLock<Option<Store>>>,
    read: Arc<Mutex<ReadAlready>>,
}

/// The records that have been read since the last change, by kind: reading each from its body and opening
/// its secrets again for each call would make a listing of a few hundred cost milliseconds.
#[derive(Debug, Default)]
struct ReadAlready {
    /// Counts the changes: what was read before one must not be kept after it.
    changes: Changes,
    kinds: HashMap<&'static str, Arc<dyn Any + Send + Sync>>,
}

/// Changes of records of any kind, and those that were of one kind only.
#[derive(Debug, Default)]
struct Changes {
    any: u64,
    own: HashMap<&'static str, u64>,
}

impl Changes {
    /// Another number after each change that records of this kind may have had.
    fn of_kind(&self, kind: &str) -> (u64, u64) {
        (self.any, self.own.get(kind).copied().unwrap_or_default())
    }
}

impl Records {
    /// Takes an open store.
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store: Arc::new(RwLock::new(Some(store))),
            read: Arc::default(),
        }
    }

    /// Gives the store back, whoever still holds a handle: the state directory is free then.
    pub(crate) fn close(&self) {
        self.store
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.forget_read();
    }

    fn read(&self) -> MutexGuard<'_, ReadAlready> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_read(&self) {
        let mut read = self.read();
        read.changes.any += 1;
        read.kinds.clear();
    }

    /// Only records of this kind have changed: a thousand logins that each store an ISID must not have all the
    /// rest read a thousand times.
    fn forget_kind(&self, kind: &'static str) {
        let mut read = self.read();
        *read.changes.own.entry(kind).or_default() += 1;
        read.kinds.remove(kind);
    }

    /// Calls the store, unless it is closed.
    fn with<T>(&self, call: impl FnOnce(&Store) -> T) -> Option<T> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        store.as_ref().map(call)
    }

    /// All sound records of a kind, in the order of their adding. Does not touch the disk.
    pub(crate) fn all<R: Record + Send + Sync + 'static>(&self) -> Vec<R> {
        self.shared::<R>().as_ref().clone()
    }

    /// The same, without a copy for the caller.
    pub(crate) fn shared<R: Record + Send + Sync + 'static>(&self) -> Arc<Vec<R>> {
        let (known, changes) = {
            let read = self.read();
            let changes = read.changes.of_kind(R::KIND);
            (read.kinds.get(R::KIND).cloned(), changes)
        };
        if let Some(known) = known.and_then(|known| known.downcast().ok()) {
            return known;
        }
        let loaded = self.with(|store| store.load::<R>().0);
        let loaded = Arc::new(loaded.unwrap_or_default());
        let mut read = self.read();
        if read.changes.of_kind(R::KIND) == changes {
            read.kinds.insert(R::KIND, Arc::<Vec<R>>::clone(&loaded));
        }
        loaded
    }

    /// One record. Does not touch the disk.
    pub(crate) fn get<R: Record>(&self, key: &R::Key) -> Result<Option<R>, Failure> {
        let got = self.with(|store| store.get::<R>(key)).ok_or_else(closed)?;
        got.map_err(|error| failure(&error))
    }

    /// Stores a record in place of the one with its key.
    pub(crate) async fn put<R>(&self, record: R) -> Result<Change, Failure>
    where
        R: Record + Send + 'static,
    {
        self.change(Some(R::KIND), move |store| store.put(&record))
            .await
    }

    /// Removes a record.
    pub(crate) async fn remove<R>(&self, key: R::Key) -> Result<Change, Failure>
    where
        R: Record + 'static,
        R::Key: Send + 'static,
    {
        self.change(None, move |store| store.remove::<R>(&key))
            .await
    }

    /// Removes records, all or none.
    pub(crate) async fn remove_all<R>(&self, keys: Vec<R::Key>) -> Result<Change, Failure>
    where
        R: Record + 'static,
        R::Key: Send + 'static,
    {
        self.change(None, move |store| store.remove_all::<R>(&keys))
            .await
    }

    /// Makes these the only records of their kind.
    pub(crate) async fn replace_all<R>(&self, records: Vec<R>) -> Result<Change, Failure>
    where
        R: Record + Send + 'static,
    {
        self.change(None, move |store| store.replace_all(&records))
            .await
    }

    /// Makes these the only targets that `source` told of.
    pub(crate) async fn replace_discovered(
        &self,
        source: DiscoverySource,
        targets: Vec<DiscoveredTarget>,
    ) -> Result<Change, Failure> {
        self.change(None, move |store| {
            store.replace_discovered(&source, &targets)
        })
        .await
    }

    /// Damage that was found and is still there.
    pub(crate) fn damages(&self) -> Vec<Damage> {
        self.with(Store::damages).unwrap_or_default()
    }

    /// Carries a change out; `kind`: of records of this kind alone.
    async fn change<F>(&self, kind: Option<&'static str>, change: F) -> Result<Change, Failure>
    where
        F: FnOnce(&Store) -> Result<Change, StoreError> + Send + 'static,
    {
        let records = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = records.with(change);
            match (&done, kind) {
                (Some(Ok(_)), Some(kind)) => records.forget_kind(kind),
                // Whatever came of it: a change that failed may have found damage.
                _ => records.forget_read(),
            }
            done
        })
        .await;
        match done {
            Ok(Some(result)) => result.map_err(|error| failure(&error)),
            Ok(None) => Err(closed()),
            Err(error) => {
                let message = format!("the change was not carried out: {error}");
                Err(Failure::new(Status::NON_SPECIFIC_ERROR, message))
            }
        }
    }
}

fn closed() -> Failure {
    Failure::new(Status::SERVICE_NOT_RUNNING, "the daemon has stopped")
}

/// An error of the store as callers are told of it.
fn failure(error: &StoreError) -> Failure {
    let status = match error {
        StoreError::DiskFull { .. } => Status::ERROR_DISK_FULL,
        StoreError::TooLarge { .. } => Status::ERROR_NOT_ENOUGH_MEMORY,
        StoreError::Damaged(_) => Status::CACHE_CORRUPTED,
        _ => Status::NON_SPECIFIC_ERROR,
    };
    Failure::new(status, error.to_string()).with_advice(error.advice())
}

/// A change of the store as a response says it.
pub(crate) fn api_change(change: Change) -> hawser_api::v1::Change {
    match change {
        Change::Created => hawser_api::v1::Change::Created,
        Change::Updated => hawser_api::v1::Change::Updated,
        Change::Unchanged => hawser_api::v1::Change::Unchanged,
        Change::Removed => hawser_api::v1::Change::Removed,
    }
}
