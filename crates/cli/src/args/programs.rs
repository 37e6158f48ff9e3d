//! `hawser daemon` and `hawser iscsicli`, and the programs `hawserd` and `iscsicli`. (The target's own options
//! are in `hawser_target::program`.)

use std::ffi::OsString;
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

/// The commands of the program of this name on Windows, for scripts that drive it.
///
/// Without a command, commands are read from the standard input, one a line. `iscsicli help` lists them.
/// The exit code is the low byte of the status, whose text is the last line of the output.
#[derive(Debug, Parser)]
#[command(name = "iscsicli", version, max_term_width = 100)]
pub struct IscsicliProgram {
    /// The daemon's socket [default: /run/hawser/hawser.sock, or the user's own daemon's]
    #[arg(long, env = "HAWSER_SOCKET", value_name = "PATH", hide_env_values = true,
          value_parser = values::socket())]
    pub(crate) socket: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) iscsicli: IscsicliArgs,
}

/// `hawser iscsicli`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct IscsicliArgs {
    /// Print JSON instead of the output of Windows; also understood as the last word
    #[arg(long)]
    pub(crate) json: bool,
    /// A command, then its words in their order; `help` lists the commands
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub(crate) words: Vec<OsString>,
}
