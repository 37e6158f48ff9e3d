//! What a run brings into a virtual machine: our programs, the scripts of the tests, the systemd units.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::stage::check;

/// Packing takes a second.
const LIMIT: Duration = Duration::from_secs(60);

/// A folder that becomes a tar archive.
pub(super) struct Payload {
    folder: PathBuf,
}

impl Payload {
    /// An empty one in `directory`.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            folder: directory.join("payload"),
        }
    }

    /// Copies a file, with its mode, to `place` in the guest.
    pub(super) fn file(&self, source: &Path, place: &str) -> Result<()> {
        let target = self.place(place)?;
        fs::copy(source, &target).with_context(|| format!("copy {}", source.display()))?;
        Ok(())
    }

    /// Copies all files of a folder to `place` in the guest.
    pub(super) fn folder(&self, source: &Path, place: &str) -> Result<()> {
        let read = fs::read_dir(source).with_context(|| format!("read {}", source.display()))?;
        for entry in read {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let name = entry.file_name();
                self.file(&entry.path(), &format!("{place}/{}", name.display()))?;
            }
        }
        Ok(())
    }

    /// Makes a symbolic link in the guest.
    pub(super) fn link(&self, to: &str, place: &str) -> Result<()> {
        symlink(to, self.place(place)?).with_context(|| format!("link {place}"))
    }

    /// The archive.
    pub(super) fn pack(self) -> Result<PathBuf> {
        let archive = self.folder.with_extension("tar");
        let mut tar = Command::new("tar");
        tar.arg("--owner=0").arg("--group=0").arg("-cf");
        tar.arg(&archive).arg("-C").arg(&self.folder).arg(".");
        check(&mut tar, LIMIT)?;
        Ok(archive)
    }

    fn place(&self, place: &str) -> Result<PathBuf> {
        let target = self.folder.join(place.trim_start_matches('/'));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        }
        Ok(target)
    }
}
