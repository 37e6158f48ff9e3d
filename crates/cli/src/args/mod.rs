//! What can be said on the command line, as clap reads it.

mod bench;
mod discovery;
mod disks;
mod login;
mod programs;
mod values;

use std::path::PathBuf;

pub(crate) use bench::BenchArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
pub(crate) use discovery::{
    PortalCommand, PortalRefreshArgs, TargetAddArgs, TargetArgs, TargetCommand, TargetListArgs,
};
pub(crate) use disks::{BindArgs, DiskCommand, ScsiCommand, ScsiNexus, UnbindArgs, WaitArgs};
pub(crate) use login::{
    AddConnectionArgs, ChapArgs, ChapSecretCommand, ConnectionArgs, DigestArgs, DigestChoice,
    LoginArgs, LoginOptionArgs, LogoutArgs, OnLostChoice, PersistentCommand, PolicyArgs,
    PolicyChoice, RemoveConnectionArgs, SecretSource, SessionCommand, SessionShowArgs,
};
pub(crate) use programs::{DaemonArgs, IscsicliArgs};
pub use programs::{DaemonProgram, IscsicliProgram};
pub(crate) use values::{SessionOrTarget, TargetName};

use crate::exit;

/// An iSCSI initiator in user space, with persistently bound volumes.
///
/// Most commands talk to the daemon (`hawserd`, or `hawser daemon`) over its Unix socket.
#[derive(Debug, Parser)]
#[command(name = "hawser", version, after_help = exit::help(), max_term_width = 100)]
#[command(
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// The daemon's socket [default: /run/hawser/hawser.sock, or the user's own daemon's]
    #[arg(long, global = true, env = "HAWSER_SOCKET", value_name = "PATH", hide_env_values = true,
          value_parser = values::socket())]
    pub(crate) socket: Option<PathBuf>,
    /// Stop when the process that started this one, with this id, ends
    #[arg(long, hide = true, value_name = "PID")]
    pub(crate) exit_with_parent: Option<i32>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Ask(AskCommand),
    /// Targets that are known; without a subcommand: be a small iSCSI target (`hawser-target`)
    #[command(display_order = 0)]
    Target(Box<TargetArgs>),
    /// Measure a disk: reads or writes straight over iSCSI, without the daemon
    Bench(Box<BenchArgs>),
    /// Show a bound volume coming back after the daemon was killed, on a target of its own
    Demo(DemoArgs),
    /// Be the daemon (`hawserd`)
    Daemon(DaemonArgs),
    /// The commands of the program iscsicli on Windows, with its output (`iscsicli`)
    Iscsicli(IscsicliArgs),
    /// Print the completions of a shell for one of the programs
    Completions(CompletionsArgs),
    /// Write the manual pages into a directory
    #[command(hide = true)]
    Man(ManArgs),
}

/// What the daemon is asked.
#[derive(Debug, Subcommand)]
pub(crate) enum AskCommand {
    /// Portals that are asked for their targets
    #[command(subcommand, display_order = 0)]
    Portal(PortalCommand),
    /// Log in to a target
    Login(Box<LoginArgs>),
    /// End a session, or all sessions of a target
    Logout(LogoutArgs),
    /// Sessions that are
    #[command(subcommand)]
    Session(SessionCommand),
    /// Persistent logins: sessions that are made again at every start
    #[command(subcommand)]
    Persistent(PersistentCommand),
    /// The initiator's own CHAP secret, which targets must prove in mutual CHAP
    #[command(subcommand)]
    ChapSecret(ChapSecretCommand),
    /// Show or set the name that is sent in logins
    NodeName(NodeNameArgs),
    /// Disks of the sessions
    #[command(subcommand)]
    Disk(DiskCommand),
    /// Bind a volume: `hawser wait` and the services behind it wait for it at every start
    Bind(BindArgs),
    /// Take a volume off the list of bound volumes
    Unbind(UnbindArgs),
    /// List the bound volumes
    Bound(OutputArgs),
    /// Wait until every bound volume is usable
    Wait(WaitArgs),
    /// Send a SCSI command to a disk
    #[command(subcommand)]
    Scsi(ScsiCommand),
    /// How the daemon is
    Status(OutputArgs),
    /// What happened lately
    Events(EventsArgs),
}

/// How a listing is printed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct OutputArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `hawser node-name`.
#[derive(Debug, Args)]
pub(crate) struct NodeNameArgs {
    /// The new name; without one the present name is shown
    #[arg(conflicts_with = "default")]
    pub(crate) name: Option<String>,
    /// Go back to the name that the daemon made for itself
    #[arg(long)]
    pub(crate) default: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `hawser events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Go on with what happens from now on, until stopped
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Show at most so many of the past events [default: all that are kept]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) recent: Option<u32>,
    /// Leave out what matters less
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(crate) minimum: Option<SeverityChoice>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How much an event must matter to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SeverityChoice {
    /// Everything.
    Info,
    /// What does not work as it should.
    Warning,
    /// What does not work.
    Error,
}

/// `hawser demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How the demo's daemon shows the disk: auto, loop, fuse or nbd
    #[arg(long, value_name = "MODE", default_value = "auto",
          value_parser = ["auto", "loop", "fuse", "nbd"])]
    pub(crate) export: String,
}

/// `hawser completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
    /// The program
    #[arg(value_enum, default_value = "hawser")]
    pub(crate) program: Program,
}

/// A program that words can be completed for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Program {
    /// `hawser`
    Hawser,
    /// `hawserd`
    Hawserd,
    /// `hawser-target`
    HawserTarget,
    /// `iscsicli`
    Iscsicli,
}

/// `hawser man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The directory, which must exist
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

#[cfg(test)]
mod tests;
