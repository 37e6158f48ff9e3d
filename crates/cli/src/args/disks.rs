//! `hawser disk`, `bind`, `unbind`, `wait` and `scsi`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use hawser_engine::LunNumber;

use super::values::seconds;
use super::{OutputArgs, SessionOrTarget, TargetName};

/// `hawser disk`.
#[derive(Debug, Subcommand)]
pub(crate) enum DiskCommand {
    /// List the disks: LUN, size, identity, where to use them, who does
    List(DiskListArgs),
}

/// `hawser disk list`.
#[derive(Debug, Args)]
pub(crate) struct DiskListArgs {
    /// Only the disks of this target
    #[arg(value_name = "IQN")]
    pub(crate) target: Option<TargetName>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `hawser bind`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["path", "all"]).required(true))]
pub(crate) struct BindArgs {
    /// A mount point, a device node or a link to one, or with --device a directory
    pub(crate) path: Option<PathBuf>,
    /// Make the list anew from all that is now on disks of persistent logins
    #[arg(long, conflicts_with_all = ["device", "fs_type", "options"])]
    pub(crate) all: bool,
    /// With --all: take off the list what is bound and not there now
    // clap does not ask for what conflicts with something given: so PATH has to be excluded itself.
    #[arg(long, requires = "all", conflicts_with = "path")]
    pub(crate) force: bool,
    /// The disk or partition to mount at PATH, which is not mounted yet
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<PathBuf>,
    /// Filesystem type to mount it with [default: as it is found]
    #[arg(long, value_name = "TYPE")]
    pub(crate) fs_type: Option<String>,
    /// Mount options [default: those of the present mount]. Where Hawser mounts, nosuid and nodev are
    /// added unless they say suid or dev
    #[arg(long, short, value_name = "OPTIONS")]
    pub(crate) options: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `hawser unbind`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["path", "all"]).required(true))]
pub(crate) struct UnbindArgs {
    /// The path as `hawser bound` shows it; it need not exist any more
    pub(crate) path: Option<PathBuf>,
    /// Everything
    #[arg(long)]
    pub(crate) all: bool,
}

/// `hawser wait`.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Wait at most so long; 0: only look [default: the daemon's limit]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `hawser scsi`.
#[derive(Debug, Subcommand)]
pub(crate) enum ScsiCommand {
    /// INQUIRY: what a disk says of itself
    Inquiry(InquiryArgs),
    /// READ CAPACITY (16): how large a disk is
    Capacity(ScsiCapacityArgs),
    /// REPORT LUNS: which disks a target has
    Luns(ScsiLunsArgs),
}

/// Where a SCSI command goes.
#[derive(Debug, Args)]
pub(crate) struct ScsiNexus {
    /// A session, or a target with one session
    #[arg(value_name = "IQN|SESSION")]
    pub(crate) which: SessionOrTarget,
    /// The LUN: a number, or all eight bytes as 0x and 16 digits
    #[arg(long, default_value = "0")]
    pub(crate) lun: LunNumber,
}

/// `hawser scsi inquiry`.
#[derive(Debug, Args)]
pub(crate) struct InquiryArgs {
    #[command(flatten)]
    pub(crate) nexus: ScsiNexus,
    /// Ask for this vital product data page, such as 0x83
    #[arg(long, value_name = "PAGE", value_parser = page_code)]
    pub(crate) page: Option<u8>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `hawser scsi capacity`.
#[derive(Debug, Args)]
pub(crate) struct ScsiCapacityArgs {
    #[command(flatten)]
    pub(crate) nexus: ScsiNexus,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `hawser scsi luns`.
#[derive(Debug, Args)]
pub(crate) struct ScsiLunsArgs {
    /// A session, or a target with one session
    #[arg(value_name = "IQN|SESSION")]
    pub(crate) which: SessionOrTarget,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Reads a page code, decimal or with `0x`.
fn page_code(text: &str) -> Result<u8, String> {
    let read = match text.strip_prefix("0x") {
        Some(digits) if !digits.starts_with('+') => u8::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    };
    read.ok_or_else(|| "a page code is 0 to 255, or 0x00 to 0xff".to_owned())
}

#[cfg(test)]
mod tests {
    use super::page_code;

    #[test]
    fn page_codes_are_read_in_both_bases() {
        assert_eq!(page_code("0x83"), Ok(0x83));
        assert_eq!(page_code("131"), Ok(0x83));
        for wrong in ["", "0x", "0x100", "256", "0x+1", "83h"] {
            assert!(page_code(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
