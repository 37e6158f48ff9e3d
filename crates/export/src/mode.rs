//! The ways to show a disk, and which of them this process may use here.

use std::fmt;
use std::fs::OpenOptions;
use std::str::FromStr;

use nix::errno::Errno;
use nix::mount::MsFlags;

use crate::fuse::fusermount;
use crate::loopdev;

/// How disks are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ExportMode {
    /// The best way that works: loop, else FUSE, else NBD.
    #[default]
    Auto,
    /// A FUSE file with a loop device on it: a real block device node.
    Loop,
    /// A FUSE file.
    Fuse,
    /// An NBD server on a Unix socket.
    Nbd,
    /// Not at all: the disk is only reached through Hawser itself.
    None,
}

impl ExportMode {
    /// The name that [`FromStr`] takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Loop => "loop",
            Self::Fuse => "fuse",
            Self::Nbd => "nbd",
            Self::None => "none",
        }
    }
}

impl fmt::Display for ExportMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no export mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no export mode; the modes are auto, loop, fuse, nbd and none")]
pub struct UnknownExportMode(String);

impl FromStr for ExportMode {
    type Err = UnknownExportMode;

    fn from_str(word: &str) -> Result<Self, UnknownExportMode> {
        [Self::Auto, Self::Loop, Self::Fuse, Self::Nbd, Self::None]
            .into_iter()
            .find(|mode| mode.name() == word)
            .ok_or_else(|| UnknownExportMode(word.to_owned()))
    }
}

/// A way that was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined {
    /// The way.
    pub mode: ExportMode,
    /// Why it cannot be used, in one sentence.
    pub reason: String,
}

/// What this process may do here. NBD needs nothing special, so it is always possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether FUSE files can be mounted, else why not.
    pub fuse: Result<(), String>,
    /// Whether loop devices can be attached, else why not. A loop device lies on a FUSE file, so both
    /// are needed for [`ExportMode::Loop`].
    pub loop_device: Result<(), String>,
}

/// Finds out what this process may do, by trying rather than by its user id: a root that was stripped
/// of its capabilities and a plain user with a setuid helper are both told the truth. It changes
/// nothing on the machine.
#[must_use]
pub fn capabilities() -> Capabilities {
    Capabilities {
        fuse: probe_fuse(),
        loop_device: loopdev::probe(),
    }
}

fn probe_fuse() -> Result<(), String> {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/fuse");
    opened.map_err(|error| format!("/dev/fuse cannot be opened: {error}"))?;
    if may_mount() || fusermount::is_usable() {
        return Ok(());
    }
    Err("this process may not mount, and fusermount3 is not installed setuid root".to_owned())
}

/// Asks for a FUSE mount without a descriptor. The kernel refuses it in any case, but says EPERM only
/// to a process that may not mount.
fn may_mount() -> bool {
    let nothing: Option<&str> = None;
    let refused = nix::mount::mount(nothing, "/", Some("fuse"), MsFlags::empty(), nothing);
    !matches!(refused, Err(Errno::EPERM | Errno::EACCES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_by_their_names() {
        for name in ["auto", "loop", "fuse", "nbd", "none"] {
            assert_eq!(name.parse::<ExportMode>().unwrap().to_string(), name);
        }
        let error = "Loop".parse::<ExportMode>().unwrap_err();
        assert!(error.to_string().contains("\"Loop\""), "{error}");
    }
}
