//! What a session has done, in numbers.

use super::event::{ConnectionError, Outcome};
use super::{Command, Direction};
use crate::stream::Offence;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a session has done since it was made, over all its connections. Plain numbers that the
        /// session counts as it goes; all but `in_flight` only grow.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// How many numbers there are.
            pub const COUNT: usize = [$(stringify!($name)),*].len();

            /// The numbers in a fixed order, for a driver that publishes them one by one.
            #[must_use]
            pub fn to_array(self) -> [u64; Self::COUNT] {
                [$(self.$name),*]
            }

            /// The reverse of [`to_array`](Self::to_array).
            #[must_use]
            pub fn from_array(numbers: [u64; Self::COUNT]) -> Self {
                let [$($name),*] = numbers;
                Self { $($name),* }
            }
        }
    };
}

counters! {
    /// SCSI commands sent; one that is sent again counts again.
    commands,
    /// SCSI commands under way now: those that wait to be sent, and those that wait for an answer.
    in_flight,
    /// Bytes that commands which were answered had read.
    bytes_read,
    /// Bytes that commands which were answered had written.
    bytes_written,
    /// Commands answered with CHECK CONDITION.
    check_conditions,
    /// Commands that ended without a SCSI status: refused, aborted, late, or ended by a loss.
    failed_commands,
    /// Commands that went back to be sent again, because what they were sent on was lost or reset.
    replayed_commands,
    /// Commands that went on on another connection, where they were (TASK REASSIGN).
    reassigned_commands,
    /// Requests to send lost PDUs again, and acknowledgements of data (SNACK).
    snacks,
    /// Commands that ran into their time limit.
    timeouts,
    /// Task management functions sent: aborts and resets.
    management_functions,
    /// Wrong header or data digests.
    digest_errors,
    /// Connections lost because the target broke the protocol.
    protocol_errors,
    /// Logins after the first.
    reconnects,
    /// Attempts to log in again that failed.
    failed_reconnects,
    /// PDUs sent; those of logins are not in it, here and below.
    pdus_sent,
    /// PDUs received.
    pdus_received,
    /// Bytes of PDUs sent.
    wire_bytes_sent,
    /// Bytes of PDUs received.
    wire_bytes_received,
}

/// SCSI status CHECK CONDITION.
const CHECK_CONDITION: u8 = 2;

impl Counters {
    /// A command ended.
    pub(super) fn ended(&mut self, command: &Command, outcome: &Outcome) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match outcome {
            Outcome::Completed(answer) => {
                let moved = u64::from(answer.transferred);
                match command.direction {
                    Direction::Read(_) => self.bytes_read += moved,
                    Direction::Write(_) => self.bytes_written += moved,
                    Direction::None => {}
                }
                self.check_conditions += u64::from(answer.status == CHECK_CONDITION);
            }
            Outcome::TargetFailure { .. }
            | Outcome::Rejected { .. }
            | Outcome::TimedOut
            | Outcome::Aborted
            | Outcome::Interrupted
            | Outcome::Disconnected
            | Outcome::Closed => self.failed_commands += 1,
            _ => {}
        }
    }

    /// A connection was lost.
    pub(super) fn lost(&mut self, error: &ConnectionError) {
        match error {
            ConnectionError::DataDigest | ConnectionError::Stream(Offence::HeaderDigest { .. }) => {
                self.digest_errors += 1;
            }
            ConnectionError::Stream(_)
            | ConnectionError::Malformed(_)
            | ConnectionError::PeerMisbehaved(_)
            | ConnectionError::WindowJammed => self.protocol_errors += 1,
            _ => {}
        }
    }
}
