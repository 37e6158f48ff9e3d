//! The lock file: one opener a store, and a mark of how far the store has come.
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// Name of the lock file in the state directory.
const LOCK_FILE_NAME: &str = "hawser.lock";

/// What the mark starts with.
const MARK_PREFIX: &str = "hawser store, changes: ";

/// Digits of the number in the mark, so that it is always overwritten whole.
const MARK_DIGITS: usize = 20;

/// The open and locked lock file. The lock ends with the process at the latest (flock(2)).
///
/// The mark in it counts the changes that were acknowledged. It is written after each, without fsync: it may
/// fall behind the database, never run ahead of it, so a database that is behind the mark has lost changes.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of the store in `dir`.
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(LOCK_FILE_NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StoreError::io("open", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
                dir: dir.to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path, error)),
        }
    }

    /// The mark; `None` if there is none that can be read, as before the first change.
    pub(crate) fn mark(&self) -> Option<u64> {
        let mut text = [0; MARK_PREFIX.len() + MARK_DIGITS];
        self.file.read_exact_at(&mut text, 0).ok()?;
        let digits = std::str::from_utf8(&text).ok()?.strip_prefix(MARK_PREFIX)?;
        digits.parse().ok()
    }

    /// Writes the mark.
    pub(crate) fn set_mark(&self, changes: u64) -> Result<(), StoreError> {
        let text = format!("{MARK_PREFIX}{changes:0MARK_DIGITS$}\n");
        self.file
            .write_all_at(text.as_bytes(), 0)
            .map_err(|error| StoreError::io("write", &self.path, error))
    }
}

impl Drop for Lock {
    /// Gives the lock back at once: a child process that is just being started shares it until its exec.
    fn drop(&mut self) {
        // The lock goes with the last descriptor anyway.
        self.file.unlock().ok();
    }
}
