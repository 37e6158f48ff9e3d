//! The database's schema, its migrations by `user_version`, and the settings of its connection.
use std::path::Path;

use rusqlite::Connection;

use crate::error::StoreError;

/// Marks the file as ours in its header (`PRAGMA application_id`): "Hwsr".
const APPLICATION_ID: i64 = 0x4877_7372;

/// Each step brings the schema from version N to N + 1. Steps are only ever appended.
///
/// The columns have no types or constraints on purpose. SQLite could only answer a violation, which after
/// damage is likely, with an error for the whole table; the record's checksum names the one record instead.
const MIGRATIONS: [&str; 1] = ["CREATE TABLE records (
        id INTEGER PRIMARY KEY,
        parent INTEGER REFERENCES records (id) ON DELETE CASCADE,
        kind,
        key,
        body,
        checksum
    );
    CREATE TABLE manifest (
        id INTEGER PRIMARY KEY,
        changes,
        count,
        sum,
        checksum
    );"];

/// The schema version that this program reads and writes.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Bytes of a page of the database.
pub(crate) const PAGE_LEN: u32 = 4096;

/// How long to wait for someone who has the file open at the moment, such as a backup with `sqlite3`.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Sets up the connection: durable, exclusive, distrustful; at most `max_pages` pages long.
pub(crate) fn configure(db: &Connection, path: &Path, max_pages: u32) -> Result<(), StoreError> {
    let sqlite = |error| StoreError::sqlite(path, error);
    db.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    db.pragma_update(None, "page_size", PAGE_LEN)
        .map_err(sqlite)?;
    // Exclusive before WAL, so that WAL needs no shared memory file.
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")
        .map_err(sqlite)?;
    db.pragma_update(None, "trusted_schema", false)
        .map_err(sqlite)?;
    db.pragma_update(None, "cell_size_check", true)
        .map_err(sqlite)?;
    db.pragma_update(None, "mmap_size", 0).map_err(sqlite)?;
    let mode: String = db
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(sqlite)?;
    if mode != "wal" {
        let why = format!("its journal mode stays {mode}");
        return Err(StoreError::Unwritable {
            path: path.to_owned(),
            why,
        });
    }
    db.pragma_update(None, "synchronous", "FULL")
        .map_err(sqlite)?;
    db.pragma_update(None, "foreign_keys", true)
        .map_err(sqlite)?;
    // Freed space is overwritten, so that an old sealed secret does not linger in the file.
    db.pragma_update(None, "secure_delete", true)
        .map_err(sqlite)?;
    db.pragma_update_and_check(None, "max_page_count", max_pages, |_| Ok(()))
        .map_err(sqlite)
}

/// The schema version of the file; 0 for one that was just made.
pub(crate) fn version(db: &Connection, path: &Path) -> Result<i64, StoreError> {
    let pragma = |name| {
        db.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(|error| StoreError::sqlite(path, error))
    };
    let version = pragma("user_version")?;
    let application = pragma("application_id")?;
    if version > VERSION {
        let path = path.to_owned();
        return Err(StoreError::NewerSchema {
            path,
            found: version,
            known: VERSION,
        });
    }
    let ours = if version == 0 {
        application == 0
    } else {
        application == APPLICATION_ID
    };
    if version < 0 || !ours {
        let what = "it is not a store of Hawser".to_owned();
        return Err(StoreError::Corrupt {
            path: path.to_owned(),
            what,
        });
    }
    Ok(version)
}

/// Brings the schema from `version` to [`VERSION`], as part of the caller's transaction.
pub(crate) fn migrate(db: &Connection, version: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(version).unwrap_or(0);
    for step in MIGRATIONS.iter().skip(done) {
        db.execute_batch(step)?;
    }
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.pragma_update(None, "user_version", VERSION)
}

/// Fails if the file's structure or schema is not sound.
pub(crate) fn check(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let corrupt = |what| StoreError::Corrupt {
        path: path.to_owned(),
        what,
    };
    let finding: String = db
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| StoreError::sqlite(path, error))?;
    if finding != "ok" {
        return Err(corrupt(finding));
    }
    let fresh = Connection::open_in_memory().map_err(|error| StoreError::sqlite(path, error))?;
    migrate(&fresh, 0).map_err(|error| StoreError::sqlite(path, error))?;
    let present = texts(db).map_err(|error| StoreError::sqlite(path, error))?;
    let expected = texts(&fresh).map_err(|error| StoreError::sqlite(path, error))?;
    if present != expected {
        return Err(corrupt(
            "its schema is not the one of its version".to_owned(),
        ));
    }
    Ok(())
}

/// Type, name, table and SQL of an object of the schema.
type Object = (String, String, String, Option<String>);

/// The schema as SQLite keeps it, root pages excepted.
fn texts(db: &Connection) -> rusqlite::Result<Vec<Object>> {
    db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")?
        .query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect()
}
