//! The store: opening it, and the calls that read and change it.
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use crate::error::{Damage, StoreError};
use crate::key::{KeySource, Keys};
use crate::lock::Lock;
use crate::record::{Change, Record, decode, encode, key_text};
use crate::records::discovery::{DiscoveredTarget, DiscoverySource};
use crate::rows::{Row, RowKey, Rows, Write, write_first_manifest};
use crate::schema;

/// Name of the database in the state directory.
pub const DATABASE_FILE_NAME: &str = "hawser.db";

/// Bytes of a page of the database, as the schema sets them.
const PAGE_LEN: u64 = schema::PAGE_LEN as u64;

/// Bounds of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest database, in bytes. Beyond it a change fails with [`StoreError::DiskFull`].
    pub database_bytes: u64,
    /// Most records of all kinds. They are kept in memory.
    pub records: usize,
}

impl Default for Limits {
    /// 256 MiB and 100,000 records: far more than one machine's targets, far less than would hurt it.
    fn default() -> Self {
        Self {
            database_bytes: 256 << 20,
            records: 100_000,
        }
    }
}

/// The records and secrets of one daemon, in one directory.
///
/// Every call blocks: an async program calls from a thread for that. Calls from several threads are carried
/// out one after the other. A change is durable (on the disk, fsynced) when its call returns `Ok`, and
/// nothing is changed when it returns an error. Records are verified when the store is opened and kept in
/// memory, secrets sealed; reading does not touch the disk.
///
/// The directory belongs to one `Store` at a time: see [`StoreError::InUse`].
pub struct Store {
    inner: Mutex<Inner>,
    dir: PathBuf,
}

/// Names the directory only.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

struct Inner {
    // The database is closed before the lock goes.
    db: Connection,
    rows: Rows,
    keys: Keys,
    limits: Limits,
    lock: Lock,
}

impl Store {
    /// Opens the store in `dir` and makes it if there is none, with the default [`Limits`].
    ///
    /// # Errors
    /// See [`StoreError`]. Damaged records are no error here: see [`Store::damages`].
    pub fn open(dir: &Path, key: &KeySource) -> Result<Self, StoreError> {
        Self::open_with(dir, key, Limits::default())
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(dir: &Path, key: &KeySource, limits: Limits) -> Result<Self, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| StoreError::io("make the directory", dir, error))?;
        let lock = Lock::take(dir)?;
        let path = dir.join(DATABASE_FILE_NAME);
        refuse_lost_database(&path, lock.mark())?;
        let mut db = open_database(&path, limits)?;
        let version = schema::version(&db, &path)?;
        if version == 0 && lock.mark().is_some() {
            return Err(StoreError::DatabaseMissing { path });
        }
        let keys = Keys::load(key, version == 0)?;
        prepare(&mut db, &path, version, &keys)?;
        let (rows, verdict) = Rows::read(&db, &path, &keys, lock.mark())?;
        if verdict.anything && !verdict.verified {
            return Err(StoreError::WrongKey {
                path,
                key: key.path().to_owned(),
            });
        }
        if lock.mark().is_none() {
            lock.set_mark(rows.changes())?;
            sync_dir(dir)?;
        }
        let inner = Mutex::new(Inner {
            db,
            rows,
            keys,
            limits,
            lock,
        });
        Ok(Self {
            inner,
            dir: dir.to_owned(),
        })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All records of a kind in the order of their adding, their secrets opened, and the damage of those that
    /// are not among them. Damage whose kind cannot be told is only in [`Store::damages`].
    pub fn load<R: Record>(&self) -> (Vec<R>, Vec<Damage>) {
        let inner = self.inner();
        let mut damages = inner.rows.damages();
        damages.retain(|damage| damage.kind == R::KIND);
        let mut records = Vec::new();
        for (key, row) in inner.rows.of_kind(R::KIND) {
            match decode(key, &row.body, &inner.keys) {
                Ok(record) => records.push(record),
                Err(reason) => damages.push(Damage::new(R::KIND, key, reason)),
            }
        }
        (records, damages)
    }

    /// One record; `None` if it is not stored.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is damaged.
    pub fn get<R: Record>(&self, key: &R::Key) -> Result<Option<R>, StoreError> {
        self.inner().get(&row_key::<R>(key))
    }

    /// Stores a record in place of the one with its key.
    ///
    /// # Errors
    /// [`StoreError::NoParent`] for a discovered target whose portal is not stored, [`StoreError::DiskFull`],
    /// [`StoreError::TooLarge`], or a failure of system or database.
    pub fn put<R: Record>(&self, record: &R) -> Result<Change, StoreError> {
        let mut inner = self.inner();
        let (change, write) = inner.plan_put(record)?;
        inner.commit(write.into_iter().collect())?;
        Ok(change)
    }

    /// Removes a record, and those that go with it; damaged or not.
    ///
    /// # Errors
    /// A failure of system or database.
    pub fn remove<R: Record>(&self, key: &R::Key) -> Result<Change, StoreError> {
        self.remove_all::<R>(std::slice::from_ref(key))
    }

    /// Removes records, and those that go with them, all at once; damaged or not. What is not stored is no fault.
    ///
    /// # Errors
    /// As [`Store::remove`]; then none is removed.
    pub fn remove_all<R: Record>(&self, keys: &[R::Key]) -> Result<Change, StoreError> {
        let mut inner = self.inner();
        let mut keys: Vec<_> = keys.iter().map(row_key::<R>).collect();
        keys.retain(|key| inner.rows.get(key).is_some() || inner.rows.damage_of(key).is_some());
        if keys.is_empty() {
            return Ok(Change::Unchanged);
        }
        let writes = keys.into_iter().map(|key| Write::Remove { key });
        inner.commit(writes.collect())?;
        Ok(Change::Removed)
    }

    /// Makes these the only records of their kind, all at once. Of two with the same key the later counts.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn replace_all<R: Record>(&self, records: &[R]) -> Result<Change, StoreError> {
        self.inner().replace(records, |_: &R| true)
    }

    /// Makes these the only targets that `source` told of, all at once.
    ///
    /// # Errors
    /// As [`Store::put`]; [`StoreError::Encoding`] for a target of another source.
    pub fn replace_discovered(
        &self,
        source: &DiscoverySource,
        targets: &[DiscoveredTarget],
    ) -> Result<Change, StoreError> {
        if let Some(stray) = targets.iter().find(|target| target.source != *source) {
            let what = format!("the target {}", stray.target_name);
            return Err(StoreError::Encoding {
                what,
                why: "it is of another source".to_owned(),
            });
        }
        self.inner().replace(targets, |target: &DiscoveredTarget| {
            target.source == *source
        })
    }

    /// All damage that was found when the store was opened and is still there.
    pub fn damages(&self) -> Vec<Damage> {
        self.inner().rows.damages()
    }

    /// Removes damaged records from the database and takes the rest as all there is. Gives what was damaged.
    ///
    /// # Errors
    /// A failure of system or database.
    pub fn discard_damaged(&self) -> Result<Vec<Damage>, StoreError> {
        let mut inner = self.inner();
        let Inner { db, rows, keys, .. } = &mut *inner;
        let damages = rows.discard_damaged(db, keys)?;
        inner.acknowledge();
        Ok(damages)
    }

    /// A thread that panicked inside a call has changed nothing: transactions roll back, memory follows last.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn get<R: Record>(&self, key: &RowKey) -> Result<Option<R>, StoreError> {
        let refused = |damage| Err(StoreError::Damaged(damage));
        match (self.rows.get(key), self.rows.damage_of(key)) {
            (Some(row), _) => match decode(&key.1, &row.body, &self.keys) {
                Ok(record) => Ok(Some(record)),
                Err(reason) => refused(Damage::new(R::KIND, &key.1, reason)),
            },
            (None, Some(damage)) => refused(damage.clone()),
            (None, None) => Ok(None),
        }
    }

    /// What putting a record comes to; no write if it is stored already.
    fn plan_put<R: Record>(&self, record: &R) -> Result<(Change, Option<Write>), StoreError> {
        let key = row_key::<R>(&record.key());
        let parent = self.parent_of(record)?;
        let present = self.rows.get(&key);
        let same = |row: &Row| {
            row.parent == parent
                && decode::<R>(&key.1, &row.body, &self.keys).is_ok_and(|stored| stored == *record)
        };
        let change = match present {
            Some(row) if same(row) => return Ok((Change::Unchanged, None)),
            Some(_) => Change::Updated,
            None if self.rows.damage_of(&key).is_some() => Change::Updated,
            None => Change::Created,
        };
        let body = encode(record, &self.keys)?;
        Ok((change, Some(Write::Put { key, parent, body })))
    }

    /// The row that a record goes with.
    fn parent_of<R: Record>(&self, record: &R) -> Result<Option<i64>, StoreError> {
        let Some((kind, key)) = record.parent() else {
            return Ok(None);
        };
        match self.rows.get(&(kind.to_owned(), key.clone())) {
            Some(parent) => Ok(Some(parent.id)),
            None => Err(StoreError::NoParent { kind, key }),
        }
    }

    /// Makes `records` the only ones of those that `concerned` names, damaged ones included.
    fn replace<R: Record>(
        &mut self,
        records: &[R],
        concerned: impl Fn(&R) -> bool,
    ) -> Result<Change, StoreError> {
        let wanted: BTreeMap<String, &R> = records
            .iter()
            .map(|record| (key_text(&record.key()), record))
            .collect();
        let mut writes = Vec::new();
        for (key, row) in self.rows.of_kind(R::KIND) {
            let kept = decode(key, &row.body, &self.keys).is_ok_and(|stored| !concerned(&stored));
            if !kept && !wanted.contains_key(key) {
                writes.push(Write::Remove {
                    key: (R::KIND.to_owned(), key.to_owned()),
                });
            }
        }
        // In the caller's order, which the listing shows.
        for record in records {
            let is_last = |last: &&R| std::ptr::eq(*last, record);
            if wanted.get(&key_text(&record.key())).is_some_and(is_last) {
                writes.extend(self.plan_put(record)?.1);
            }
        }
        if writes.is_empty() {
            return Ok(Change::Unchanged);
        }
        self.commit(writes)?;
        Ok(Change::Updated)
    }

    /// Carries writes out; durable when this returns.
    fn commit(&mut self, writes: Vec<Write>) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        let added = writes.iter().filter(
            |write| matches!(write, Write::Put { key, .. } if self.rows.get(key).is_none()),
        );
        if self.rows.len() + added.count() > self.limits.records {
            let what = "too many records".to_owned();
            return Err(StoreError::TooLarge {
                what,
                limit: self.limits.records,
            });
        }
        self.rows.commit(&mut self.db, &self.keys, writes)?;
        self.acknowledge();
        Ok(())
    }

    /// After a change that is durable in the write-ahead log: brings it into the database proper, where damage
    /// to one place cannot take later changes with it, and counts it in the mark.
    fn acknowledge(&mut self) {
        // Neither can undo the change: a checkpoint that fails is made up for by the next one, and a mark
        // that is behind only notices less.
        self.db
            .pragma_query(None, "wal_checkpoint(TRUNCATE)", |_| Ok(()))
            .ok();
        self.lock.set_mark(self.rows.changes()).ok();
    }
}

/// Kind and key of a record as the rows have them.
fn row_key<R: Record>(key: &R::Key) -> RowKey {
    (R::KIND.to_owned(), key_text(key))
}

/// Fails if a store was here and its database is gone or truncated: of an empty file or a stub SQLite would make
/// a new database without a word, and the part of a page it would fill up with zeros.
fn refuse_lost_database(path: &Path, mark: Option<u64>) -> Result<(), StoreError> {
    let len_of = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
    let mut log = path.to_owned().into_os_string();
    log.push("-wal");
    let len = len_of(path);
    // While changes are being taken over from the log the last page may be there in part.
    let unfinished = len_of(Path::new(&log)) > 0 && len >= PAGE_LEN;
    let path = path.to_owned();
    if len == 0 && mark.is_some() {
        return Err(StoreError::DatabaseMissing { path });
    }
    if !len.is_multiple_of(PAGE_LEN) && !unfinished {
        let what = format!("it is truncated to {len} bytes");
        return Err(StoreError::Corrupt { path, what });
    }
    Ok(())
}

/// Opens or makes the database file, readable for its owner only.
fn open_database(path: &Path, limits: Limits) -> Result<Connection, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| StoreError::io("open", path, error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let db = Connection::open_with_flags(path, flags)
        .map_err(|error| StoreError::sqlite(path, error))?;
    let pages = u32::try_from(limits.database_bytes / PAGE_LEN)
        .unwrap_or(u32::MAX - 1)
        .max(1);
    schema::configure(&db, path, pages)?;
    Ok(db)
}

/// Brings the schema up to date, with the first manifest in a new store, and checks it.
fn prepare(db: &mut Connection, path: &Path, version: i64, keys: &Keys) -> Result<(), StoreError> {
    if version < schema::VERSION {
        let done = (|| {
            let transaction = db.transaction()?;
            schema::migrate(&transaction, version)?;
            if version == 0 {
                write_first_manifest(&transaction, keys)?;
            }
            transaction.commit()
        })();
        done.map_err(|error| StoreError::sqlite(path, error))?;
    }
    schema::check(db, path)
}

/// Makes the names of new files durable.
fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| StoreError::io("sync", dir, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::discovery::IsnsServer;

    #[test]
    fn a_removal_of_several_that_fails_removes_none() {
        let dir = tempfile::tempdir().expect("directory");
        let source = KeySource::choose(None, dir.path());
        let store = Store::open(dir.path(), &source).expect("open");
        let servers = ["a", "b", "c"].map(|address| IsnsServer {
            address: address.to_owned(),
            added_at_ms: 0,
        });
        for server in &servers {
            store.put(server).expect("put");
        }
        let keys = servers.each_ref().map(Record::key);
        let refuse = "CREATE TEMP TRIGGER refuse BEFORE DELETE ON main.records \
                      WHEN instr(OLD.key, 'b') BEGIN SELECT RAISE(ABORT, 'refused'); END";
        store.inner().db.execute_batch(refuse).expect("a trigger");
        let refused = store.remove_all::<IsnsServer>(&keys);
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(store.load(), (servers.to_vec(), vec![]));
        drop(store);
        let store = Store::open(dir.path(), &source).expect("open again");
        assert_eq!(store.load(), (servers.to_vec(), vec![]));
        store.remove_all::<IsnsServer>(&keys).expect("remove");
        assert_eq!(store.load::<IsnsServer>(), (vec![], vec![]));
    }
}
