//! What each export has made, noted before it is made: so that the next daemon knows what a killed
//! one left behind. The runtime directory does not outlive a reboot and neither do mounts and loop
//! devices, so the files are renamed into place but not synced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The longest journal that is read: far more than one export notes.
const MAX_JOURNAL: u64 = 64 * 1024;

/// One export's notes. Paths below the runtime directory are left out: they follow from the id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notes {
    pub(crate) target: String,
    pub(crate) lun: u64,
    /// Loop devices that were tried; at most the last one is ours.
    pub(crate) loop_devices: Vec<u32>,
    /// The loop device's node was missing and we made it.
    pub(crate) node_made: bool,
}

/// The journal of one export.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    notes: Notes,
}

impl Journal {
    /// Starts a journal at `path`.
    pub(crate) fn create(path: PathBuf, target: &str, lun: u64) -> io::Result<Self> {
        let notes = Notes {
            target: target.to_owned(),
            lun,
            ..Notes::default()
        };
        let journal = Self { path, notes };
        journal.write()?;
        Ok(journal)
    }

    /// Notes that a loop device is about to be attached.
    pub(crate) fn note_loop_device(&mut self, number: u32) -> io::Result<()> {
        self.notes.loop_devices.push(number);
        self.write()
    }

    /// Notes that the loop device's node is ours to remove.
    pub(crate) fn note_node_made(&mut self) -> io::Result<()> {
        self.notes.node_made = true;
        self.write()
    }

    /// Ends the journal: nothing is left of the export.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn write(&self) -> io::Result<()> {
        let temporary = self.path.with_extension("new");
        fs::write(&temporary, serde_json::to_vec(&self.notes)?)?;
        fs::rename(temporary, &self.path)
    }
}

/// Reads a journal; a damaged one says nothing, and the clean-up finds things without it.
pub(crate) fn read(path: &Path) -> Option<Notes> {
    if fs::metadata(path).ok()?.len() > MAX_JOURNAL {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_there_before_the_deed_and_gone_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0123.json");
        let mut journal = Journal::create(path.clone(), "iqn.a", 3).unwrap();
        journal.note_loop_device(5).unwrap();
        journal.note_node_made().unwrap();
        let expected = Notes {
            target: "iqn.a".into(),
            lun: 3,
            loop_devices: vec![5],
            node_made: true,
        };
        assert_eq!(read(&path), Some(expected));
        journal.remove().unwrap();
        journal.remove().unwrap();
        assert_eq!(read(&path), None);
    }

    #[test]
    fn a_damaged_journal_is_no_journal() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bad.json");
        fs::write(&path, "{\"target\":").unwrap();
        assert_eq!(read(&path), None);
    }
}
