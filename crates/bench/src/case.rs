//! What is measured: one access pattern at one depth.

use std::fmt;

/// Which way the data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Pattern {
    /// Reads at random places.
    Read,
    /// Writes at random places.
    Write,
    /// Reads and writes at random places: 70 of 100 are reads.
    Mixed,
    /// Reads, one after the other.
    SequentialRead,
    /// Writes, one after the other.
    SequentialWrite,
}

impl Pattern {
    /// It writes only.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Write | Self::SequentialWrite)
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

    /// The same with so many connections in each of so many sessions.
    pub(crate) const fn over(mut self, connections: u32, sessions: u32) -> Self {
        self.connections = connections;
        self.sessions = sessions;
        self
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = match self.pattern {
            Pattern::Read => "read",
            Pattern::Write => "write",
            Pattern::Mixed => "read and write",
            Pattern::SequentialRead => "sequential read",
            Pattern::SequentialWrite => "sequential write",
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
