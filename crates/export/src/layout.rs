//! Where exports live below the runtime directory.
//!
//! ```text
//! exports/<id>.json     what an export has made, written before it is made (0700)
//! fuse/<id>/disk        FUSE files (0700)
//! nbd/<id>.sock         NBD sockets (0700)
//! disk/by-target/…      links for people and services
//! disk/by-id/…
//! ```
//! The id is a hash of the target's name and the LUN: short, because a socket path has at most 107
//! bytes; the same after a restart; and free of anything that a target said.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::links;

/// 64-bit FNV-1a over `parts`, each followed by a zero byte so that parts cannot run into each other.
pub(crate) fn fnv1a(parts: &[&[u8]]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = parts.iter().flat_map(|part| part.iter().chain(&[0]));
    bytes.fold(OFFSET_BASIS, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    })
}

/// The id of a logical unit's export.
pub(crate) fn export_id(target: &str, lun: u64) -> String {
    format!("{:016x}", fnv1a(&[target.as_bytes(), &lun.to_be_bytes()]))
}

/// The paths below one runtime directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `runtime_dir`, which must exist. The path is resolved, because the kernel
    /// reports resolved paths of mounts and backing files.
    pub(crate) fn open(runtime_dir: &Path) -> io::Result<Self> {
        Ok(Self {
            root: runtime_dir.canonicalize()?,
        })
    }

    /// Makes the directories that only we may enter.
    pub(crate) fn make_private_directories(&self) -> io::Result<()> {
        [self.journals(), self.fuse(), self.nbd()]
            .iter()
            .try_for_each(|path| make_private(path))
    }

    pub(crate) fn journals(&self) -> PathBuf {
        self.root.join("exports")
    }

    pub(crate) fn fuse(&self) -> PathBuf {
        self.root.join("fuse")
    }

    pub(crate) fn nbd(&self) -> PathBuf {
        self.root.join("nbd")
    }

    pub(crate) fn journal(&self, id: &str) -> PathBuf {
        self.journals().join(format!("{id}.json"))
    }

    pub(crate) fn mount_point(&self, id: &str) -> PathBuf {
        self.fuse().join(id)
    }

    pub(crate) fn socket(&self, id: &str) -> PathBuf {
        self.nbd().join(format!("{id}.sock"))
    }

    pub(crate) fn links(&self) -> PathBuf {
        self.root.join("disk")
    }

    pub(crate) fn by_target(&self, target: &str, lun: u64) -> PathBuf {
        self.links()
            .join("by-target")
            .join(links::by_target_name(target, lun))
    }

    pub(crate) fn by_id(&self, identity: &str) -> PathBuf {
        self.links()
            .join("by-id")
            .join(links::encode_name(identity))
    }
}

/// Makes a directory of mode 0700, or takes one that is there and ours.
fn make_private(path: &Path) -> io::Result<()> {
    let made = DirBuilder::new().mode(0o700).create(path);
    if !matches!(&made, Err(error) if error.kind() == io::ErrorKind::AlreadyExists) {
        return made;
    }
    let metadata = fs::symlink_metadata(path)?;
    let ours = metadata.uid() == nix::unistd::geteuid().as_raw();
    if !metadata.is_dir() || !ours {
        let text = format!("{} is not a directory of ours", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_differ() {
        // The published value of FNV-1a 64 for no bytes.
        assert_eq!(fnv1a(&[]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(export_id("iqn.a", 0), export_id("iqn.a", 0));
        assert_ne!(export_id("iqn.a", 0), export_id("iqn.a", 1));
        assert_eq!(export_id("iqn.a", 0).len(), 16);
    }

    #[test]
    fn a_planted_link_is_not_taken_for_our_directory() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join("nbd")).unwrap();
        let layout = Layout::open(root.path()).unwrap();
        assert!(layout.make_private_directories().is_err());
        fs::remove_file(root.path().join("nbd")).unwrap();
        layout.make_private_directories().unwrap();
        layout.make_private_directories().unwrap();
        assert_eq!(fs::metadata(layout.nbd()).unwrap().mode() & 0o777, 0o700);
    }
}
