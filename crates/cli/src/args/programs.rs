//! `hawser daemon`, and the program `hawserd`. (The target's own options are in `hawser_target::program`.)

use std::path::PathBuf;

use clap::{Args, Parser};

use super::values;
use crate::exit;

/// The daemon of Hawser, an iSCSI initiator in user space.
#[derive(Debug, Parser)]
#[command(name = "hawserd", version, after_help = exit::help(), max_term_width = 100)]
pub struct DaemonProgram {
    /// The socket to listen on [default: hawser.sock in the runtime directory]
    #[arg(long, env = "HAWSER_SOCKET", value_name = "PATH", hide_env_values = true,
          value_parser = values::socket())]
    pub(crate) socket: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) daemon: DaemonArgs,
}

/// `hawser daemon`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DaemonArgs {
    /// Configuration file [default: /etc/hawser/hawser.toml, or the user's]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the store is [default: /var/lib/hawser, or the user's]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Where links, mounts and sockets are [default: /run/hawser, or the user's]
    #[arg(long, value_name = "DIR")]
    pub(crate) runtime_dir: Option<PathBuf>,
    /// How disks are shown: auto, loop, fuse, nbd or none [default: auto]
    #[arg(long, value_name = "MODE", value_parser = ["auto", "loop", "fuse", "nbd", "none"])]
    pub(crate) export: Option<String>,
}
