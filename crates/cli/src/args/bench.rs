//! `hawser bench`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use hawser_engine::{IscsiName, LunNumber, Portal};

use super::values::{seconds, size};
use super::{ChapArgs, DigestArgs, OutputArgs};

/// Largest transfer that is measured, in bytes: what one command of most targets may carry.
const MAX_TRANSFER: u64 = 16 << 20;

/// `hawser bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Where the target is reached
    #[arg(long, value_name = "ADDR[:PORT]")]
    pub(crate) portal: Portal,
    /// iSCSI name of the target
    #[arg(long, value_name = "IQN")]
    pub(crate) target: IscsiName,
    /// The LUN
    #[arg(long)]
    pub(crate) lun: LunNumber,
    /// What to do. Writes destroy what is on the disk
    #[arg(long, value_enum, default_value = "randread")]
    pub(crate) rw: Pattern,
    /// Bytes of one read or write, such as 4k
    #[arg(long, value_name = "SIZE", default_value = "4k", value_parser = transfer)]
    pub(crate) bs: u32,
    /// How many are under way at once
    #[arg(long, value_name = "COUNT", default_value = "32",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) qd: u16,
    /// Connections of the session, as the target agrees to them
    #[arg(long, value_name = "COUNT", default_value = "1",
          value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) connections: u16,
    /// Sessions side by side, each with as many accesses under way
    #[arg(long, value_name = "COUNT", default_value = "1",
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) sessions: u16,
    /// ErrorRecoveryLevel to offer instead of the highest that is safe
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(crate) error_recovery_level: Option<u8>,
    /// Microseconds to look for an answer before the thread sleeps, when one to three are under way; 0:
    /// never [default: 50, where that costs no more CPU than sleeping]
    #[arg(long, value_name = "MICROSECONDS",
          value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub(crate) busy_poll: Option<u64>,
    /// How long to measure
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) time: Duration,
    /// How long to run before the measurement begins
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    pub(crate) warm_up: Duration,
    #[command(flatten)]
    pub(crate) digests: DigestArgs,
    #[command(flatten)]
    pub(crate) chap: ChapArgs,
    /// Initiator name that is sent
    #[arg(
        long,
        value_name = "IQN",
        default_value = "iqn.2026-01.io.github.hawser:bench"
    )]
    pub(crate) initiator: IscsiName,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Direction and order of the accesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pattern {
    /// Reads, one after the other.
    Read,
    /// Writes, one after the other.
    Write,
    /// Reads at random places.
    Randread,
    /// Writes at random places.
    Randwrite,
    /// Reads and writes at random places: 70 of 100 are reads.
    Randrw,
}

impl Pattern {
    /// It writes.
    pub(crate) fn writes(self) -> bool {
        self.reads_in_hundred() < 100
    }

    /// How many of a hundred accesses are reads.
    pub(crate) fn reads_in_hundred(self) -> u8 {
        match self {
            Self::Read | Self::Randread => 100,
            Self::Write | Self::Randwrite => 0,
            Self::Randrw => 70,
        }
    }

    /// Its places are random.
    pub(crate) fn is_random(self) -> bool {
        matches!(self, Self::Randread | Self::Randwrite | Self::Randrw)
    }

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Randread => "randread",
            Self::Randwrite => "randwrite",
            Self::Randrw => "randrw",
        }
    }
}

/// Reads a transfer length.
fn transfer(text: &str) -> Result<u32, String> {
    let bytes = size(text)?;
    if bytes % 512 != 0 || bytes > MAX_TRANSFER {
        return Err("a multiple of 512 bytes, up to 16m".to_owned());
    }
    u32::try_from(bytes).map_err(|error| error.to_string())
}
