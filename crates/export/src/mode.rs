//! The ways to show a disk, and which of them this process may use here.

use std::fmt;
use std::str::FromStr;

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
