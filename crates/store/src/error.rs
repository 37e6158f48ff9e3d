//! What can go wrong with a store, each told with the file concerned and what to do.
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// A record, or a part of the store, that is not what was stored. It is refused; everything else goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Kind of record as far as it can be read, or `store` for the whole.
    pub kind: String,
    /// Key of the record as far as it can be read.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

impl Damage {
    pub(crate) fn new(kind: &str, key: &str, reason: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            key: key.to_owned(),
            reason: reason.into(),
        }
    }

    /// Damage of the store as a whole.
    pub(crate) fn of_store(reason: impl Into<String>) -> Self {
        Self::new("store", "", reason)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, key, reason } = self;
        if key.is_empty() {
            write!(f, "{}: {reason}", kind.escape_debug())
        } else {
            write!(
                f,
                "{} {}: {reason}",
                kind.escape_debug(),
                key.escape_debug()
            )
        }
    }
}

/// Why a call on a store failed. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another `Store` of this one, has the store open.
    #[error("the store in {} is in use by another daemon", dir.display())]
    InUse {
        /// The state directory.
        dir: PathBuf,
    },
    /// The store was written by a newer program.
    #[error("{} has schema version {found}, this program knows up to {known}", path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Our version.
        known: i64,
    },
    /// The key is not the one that the store was made with.
    #[error("the key {} does not fit the store {}", key.display(), path.display())]
    WrongKey {
        /// The database.
        path: PathBuf,
        /// The key file or credential.
        key: PathBuf,
    },
    /// There is a store, but no key for it.
    #[error("the store's key {} is missing", key.display())]
    KeyMissing {
        /// The key file.
        key: PathBuf,
    },
    /// The key file is readable or writable by others than its owner.
    #[error("the key file {} has mode {mode:04o}: others may read it", key.display())]
    LooseKey {
        /// The key file.
        key: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file cannot be used for another reason.
    #[error("the key file {} cannot be used: {why}", key.display())]
    BadKey {
        /// The key file.
        key: PathBuf,
        /// Why.
        why: String,
    },
    /// The store was there once, and its database is gone or empty.
    #[error("the database {} is missing or empty, but this store has held records", path.display())]
    DatabaseMissing {
        /// The database.
        path: PathBuf,
    },
    /// The database is truncated or otherwise not readable as one.
    #[error("the database {} is damaged: {what}", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// No space left for the change; what was stored before is still there.
    #[error("no space left to store the change in {}", path.display())]
    DiskFull {
        /// The database.
        path: PathBuf,
    },
    /// The directory or a file in it cannot be written to.
    #[error("{} cannot be written to: {why}", path.display())]
    Unwritable {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// This record is damaged.
    #[error("refused a damaged record: {0}")]
    Damaged(Damage),
    /// A record refers to another that is not stored.
    #[error("no {kind} {key} is stored to attach this to")]
    NoParent {
        /// Kind of the other.
        kind: &'static str,
        /// Its key.
        key: String,
    },
    /// A bound of the store would be exceeded.
    #[error("{what}: the store takes {limit} at most")]
    TooLarge {
        /// What is too large or too many.
        what: String,
        /// The bound.
        limit: usize,
    },
    /// The system failed in another way.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite failed in another way.
    #[error("the database {} cannot be used: {source}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record could not be written down, sealed or opened.
    #[error("{what} cannot be encoded: {why}")]
    Encoding {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
}

impl StoreError {
    /// What to do about it, in a sentence, or empty.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "stop the other daemon, or give this one its own --state-dir",
            Self::NewerSchema { .. } => "run the newer program, or restore an older backup",
            Self::WrongKey { .. } => "put the key back that the store was made with",
            Self::KeyMissing { .. } => {
                "restore the key from a backup; without it the stored secrets are lost, and only \
                 moving the whole state directory away allows a new start"
            }
            Self::LooseKey { .. } => {
                "chmod 600 the key file, and change the secrets if others may have read it"
            }
            Self::BadKey { .. } => "restore the key from a backup",
            Self::DatabaseMissing { .. } | Self::Corrupt { .. } => {
                "restore the state directory from a backup, or move it away to start empty"
            }
            Self::DiskFull { .. } => "free space on that filesystem and try again",
            Self::Unwritable { .. } => {
                "give the daemon's user write permission, or another --state-dir"
            }
            Self::Damaged(_) => "store it again, or discard the damaged records",
            _ => "",
        }
    }

    /// Sorts an error of SQLite into ours.
    pub(crate) fn sqlite(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        let what = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { path, what }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::Unwritable { path, why: what }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse {
                dir: path.parent().map(Path::to_owned).unwrap_or(path),
            },
            _ => Self::Database {
                path,
                source: Box::new(error),
            },
        }
    }

    /// Sorts an error of the system into ours.
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory => Self::Unwritable {
                path,
                why: source.to_string(),
            },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { what, path, source },
        }
    }
}
