//! `hawser portal` and `hawser target`.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use hawser_api::v1::Portal;

use super::{LoginOptionArgs, OutputArgs, TargetName};

/// `hawser portal`.
#[derive(Debug, Subcommand)]
pub(crate) enum PortalCommand {
    /// Store a portal and ask it for its targets
    ///
    /// If it cannot be asked it stays stored, and the command fails with the reason.
    Add(Box<PortalAddArgs>),
    /// Forget a portal; sessions and persistent logins stay
    Remove(PortalArgs),
    /// Ask a portal again, or all of them
    Refresh(PortalRefreshArgs),
    /// List the stored portals
    List(OutputArgs),
}

/// `hawser portal add`.
#[derive(Debug, Args)]
pub(crate) struct PortalAddArgs {
    /// Address or name, and TCP port [default port: 3260]
    #[arg(value_name = "ADDR[:PORT]")]
    pub(crate) portal: Portal,
    /// Connect from this IP address of this machine [default: the system chooses]
    #[arg(long, value_name = "ADDR")]
    pub(crate) source: Option<IpAddr>,
    #[command(flatten)]
    pub(crate) options: LoginOptionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// A portal.
#[derive(Debug, Args)]
pub(crate) struct PortalArgs {
    /// Address or name, and TCP port [default port: 3260]
    #[arg(value_name = "ADDR[:PORT]")]
    pub(crate) portal: Portal,
}

/// `hawser portal refresh`.
#[derive(Debug, Args)]
pub(crate) struct PortalRefreshArgs {
    /// Only this portal
    #[arg(value_name = "ADDR[:PORT]")]
    pub(crate) portal: Option<Portal>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `hawser target`: with a subcommand it asks the daemon, without one it is the target program.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct TargetArgs {
    #[command(subcommand)]
    pub(crate) command: Option<TargetCommand>,
    /// Read here only so that help, completions and mistakes are those of `hawser-target`, which
    /// reads the words again.
    #[command(flatten)]
    pub(crate) serve: Option<hawser_target::program::Options>,
}

/// What the daemon knows of targets.
#[derive(Debug, Subcommand)]
pub(crate) enum TargetCommand {
    /// List the known targets
    List(TargetListArgs),
    /// Show one target: where it is reached, how it became known
    Info(TargetInfoArgs),
    /// Make a target known without discovery
    Add(TargetAddArgs),
    /// Forget a target that was added; sessions and persistent logins stay
    Remove(TargetNameArgs),
}

/// `hawser target list`.
#[derive(Debug, Args)]
pub(crate) struct TargetListArgs {
    /// Ask all portals again first
    #[arg(long)]
    pub(crate) refresh: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `hawser target info`.
#[derive(Debug, Args)]
pub(crate) struct TargetInfoArgs {
    /// iSCSI name of the target
    #[arg(value_name = "IQN")]
    pub(crate) target: TargetName,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `hawser target add`.
#[derive(Debug, Args)]
pub(crate) struct TargetAddArgs {
    /// iSCSI name of the target
    #[arg(value_name = "IQN")]
    pub(crate) target: TargetName,
    /// Where it is reached
    #[arg(value_name = "ADDR[:PORT]", required = true)]
    pub(crate) portals: Vec<Portal>,
}

/// A target.
#[derive(Debug, Args)]
pub(crate) struct TargetNameArgs {
    /// iSCSI name of the target
    #[arg(value_name = "IQN")]
    pub(crate) target: TargetName,
}
