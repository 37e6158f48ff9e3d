//! Settings that are kept until the daemon ends, over those that are stored: what the Discovery Library
//! sets without its Persist flag.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hawser_api::{Failure, Status};
use hawser_store::{Change, Record};

use crate::records::Records;

/// Settings of one kind that are kept in memory; each is a record of the client's, so there is a limit.
pub(crate) const MAX_KEPT: usize = 1024;

/// Settings of one kind.
#[derive(Debug)]
pub(crate) struct Passing<R: Record> {
    /// What counts in place of the stored record with that key; `None`: nothing does.
    over: Mutex<Vec<(R::Key, Option<R>)>>,
    /// Held while a setting is changed in both places.
    changing: tokio::sync::Mutex<()>,
}

impl<R: Record> Default for Passing<R> {
    fn default() -> Self {
        Self {
            over: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        }
    }
}

impl<R> Passing<R>
where
    R: Record + Send + Sync + 'static,
    R::Key: Clone + Send + 'static,
{
    fn over(&self) -> MutexGuard<'_, Vec<(R::Key, Option<R>)>> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that count now and whether each survives a restart, the stored ones first.
    pub(crate) fn all(&self, records: &Records) -> Vec<(R, bool)> {
        let over = self.over();
        let hidden = |record: &R| over.iter().any(|(key, _)| *key == record.key());
        let mut all: Vec<_> = records.all::<R>().into_iter().collect();
        all.retain(|record| !hidden(record));
        let kept = over.iter().filter_map(|(_, record)| record.clone());
        let stored = all.into_iter().map(|record| (record, true));
        stored.chain(kept.map(|record| (record, false))).collect()
    }

    /// The one that counts.
    pub(crate) fn get(&self, records: &Records, key: &R::Key) -> Result<Option<R>, Failure> {
        let kept = self.over().iter().find(|(own, _)| own == key).cloned();
        match kept {
            Some((_, record)) => Ok(record),
            None => records.get::<R>(key),
        }
    }

    /// Sets one, in the store or until the daemon ends.
    pub(crate) async fn put(
        &self,
        records: &Records,
        record: R,
        persist: bool,
    ) -> Result<Change, Failure> {
        let _changing = self.changing.lock().await;
        let key = record.key();
        let before = self.get(records, &key)?;
        if persist {
            records.put(record.clone()).await?;
            self.over().retain(|(own, _)| *own != key);
        } else {
            self.keep(key, Some(record.clone()))?;
        }
        Ok(match before {
            None => Change::Created,
            Some(before) if before == record => Change::Unchanged,
            Some(_) => Change::Updated,
        })
    }

    /// Removes one, from the store too or until the daemon ends.
    pub(crate) async fn remove(
        &self,
        records: &Records,
        key: R::Key,
        persist: bool,
    ) -> Result<Change, Failure> {
        let _changing = self.changing.lock().await;
        let there = self.get(records, &key)?.is_some();
        if persist {
            records.remove::<R>(key.clone()).await?;
            self.over().retain(|(own, _)| *own != key);
        } else if records.get::<R>(&key)?.is_some() {
            self.keep(key, None)?;
        } else {
            self.over().retain(|(own, _)| *own != key);
        }
        Ok(if there {
            Change::Removed
        } else {
            Change::Unchanged
        })
    }

    fn keep(&self, key: R::Key, record: Option<R>) -> Result<(), Failure> {
        let mut over = self.over();
        if let Some(place) = over.iter_mut().find(|(own, _)| *own == key) {
            place.1 = record;
            return Ok(());
        }
        if over.len() == MAX_KEPT {
            let message = format!("{MAX_KEPT} such settings are kept in memory, the limit");
            return Err(Failure::new(Status::ERROR_NOT_ENOUGH_MEMORY, message)
                .with_advice("store them (persist), or remove some"));
        }
        over.push((key, record));
        Ok(())
    }
}

/// A change of something with a secret in it: whether the secret is the same as before is never told.
pub(crate) fn untold(change: Change) -> Change {
    match change {
        Change::Unchanged => Change::Updated,
        told => told,
    }
}

#[cfg(test)]
mod tests {
    use hawser_store::{KeySource, RadiusServer, Store};

    use super::*;

    fn server(address: &str, added_at_ms: i64) -> RadiusServer {
        RadiusServer {
            address: address.to_owned(),
            added_at_ms,
        }
    }

    #[tokio::test]
    async fn what_is_not_stored_counts_until_the_end_and_hides_what_is() {
        let directory = tempfile::tempdir().unwrap();
        let source = KeySource::choose(None, directory.path());
        let records = Records::new(Store::open(directory.path(), &source).unwrap());
        let passing = Passing::<RadiusServer>::default();
        let put = async |record, persist| passing.put(&records, record, persist).await.unwrap();
        let remove = async |persist| {
            let key = "a".to_owned();
            passing.remove(&records, key, persist).await.unwrap()
        };
        let all = || passing.all(&records);

        assert_eq!(put(server("a", 1), true).await, Change::Created);
        assert_eq!(put(server("a", 1), false).await, Change::Unchanged);
        assert_eq!(put(server("a", 2), false).await, Change::Updated);
        assert_eq!(all(), [(server("a", 2), false)]);
        assert_eq!(remove(false).await, Change::Removed);
        assert_eq!(all(), [], "hidden until the end");
        assert_eq!(remove(false).await, Change::Unchanged);
        // As after a restart.
        let again = Passing::<RadiusServer>::default();
        assert_eq!(again.all(&records), [(server("a", 1), true)]);

        assert_eq!(put(server("a", 3), true).await, Change::Created);
        assert_eq!(all(), [(server("a", 3), true)]);
        assert_eq!(put(server("a", 4), false).await, Change::Updated);
        assert_eq!(remove(true).await, Change::Removed, "in both places");
        assert_eq!((all(), again.all(&records)), (vec![], vec![]));
    }

    #[tokio::test]
    async fn the_memory_for_them_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let source = KeySource::choose(None, directory.path());
        let records = Records::new(Store::open(directory.path(), &source).unwrap());
        let passing = Passing::<RadiusServer>::default();
        for number in 0..MAX_KEPT {
            let record = server(&number.to_string(), 0);
            passing.put(&records, record, false).await.unwrap();
        }
        let more = passing.put(&records, server("more", 0), false).await;
        assert_eq!(more.unwrap_err().status, Status::ERROR_NOT_ENOUGH_MEMORY);
        passing.put(&records, server("0", 7), false).await.unwrap();
    }
}
