//! Counters of a server, for tests and for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.add_many(1);
    }

    pub(crate) fn add_many(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of a server.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        /// What a server has done since it was started.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct Snapshot { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            /// The numbers now.
            pub(crate) fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// TCP connections accepted.
    connections,
    /// Logins that reached the full feature phase.
    logins,
    /// Logins refused.
    refused_logins,
    /// Sessions replaced by a new login of the same initiator port.
    reinstatements,
    /// SCSI commands.
    commands,
    /// SNACK requests.
    snacks,
    /// Tasks that went on on another connection.
    reassignments,
    /// Reject PDUs sent.
    rejects,
    /// Bytes read from sockets.
    bytes_read,
    /// Bytes written to sockets.
    bytes_written,
    /// `read` system calls that gave something.
    reads,
    /// `write` system calls that took something.
    writes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_shows_what_was_counted() {
        let counters = Counters::default();
        counters.commands.add();
        counters.bytes_read.add_many(7);
        let snapshot = counters.snapshot();
        assert_eq!(
            (snapshot.commands, snapshot.bytes_read, snapshot.rejects),
            (1, 7, 0)
        );
    }
}
