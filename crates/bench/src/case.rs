//! What is measured: one access pattern at one depth.

use std::fmt;

/// Which way the data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Pattern {
    /// Reads at random places.
    Read,
    /// Writes at random places.
    Write,
    /// Reads, one after the other.
    Sequential,
}

impl Pattern {
    /// It writes only.
    pub(crate) fn writes(self) -> bool {
        self == Self::Write
    }
}

/// One case. Random places unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Case {
    /// Which way the data goes.
    pub(crate) pattern: Pattern,
    /// Bytes an access.
    pub(crate) bytes: u32,
    /// Accesses at once, in each session.
    pub(crate) depth: u32,
    /// Both digests are on.
    pub(crate) digests: bool,
    /// Connections of each session.
    pub(crate) connections: u32,
    /// Sessions side by side.
    pub(crate) sessions: u32,
}

/// 4 KiB.
pub(crate) const SMALL: u32 = 4 << 10;
/// 128 KiB.
pub(crate) const BIG: u32 = 128 << 10;

impl Case {
    /// Without digests, in one session with one connection.
    pub(crate) const fn new(pattern: Pattern, bytes: u32, depth: u32) -> Self {
        Self {
            pattern,
            bytes,
            depth,
            digests: false,
            connections: 1,
            sessions: 1,
        }
    }

    /// The same with both digests.
    pub(crate) const fn digests(mut self) -> Self {
        self.digests = true;
        self
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = match self.pattern {
            Pattern::Read => "read",
            Pattern::Write => "write",
            Pattern::Sequential => "sequential read",
        };
        write!(
            f,
            "{} KiB {pattern}, depth {}",
            self.bytes >> 10,
            self.depth
        )?;
        if self.digests {
            f.write_str(", digests")?;
        }
        if self.connections > 1 {
            write!(f, ", {} connections", self.connections)?;
        }
        if self.sessions > 1 {
            write!(f, ", {} sessions", self.sessions)?;
        }
        Ok(())
    }
}
