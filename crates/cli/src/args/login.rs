//! `hawser login`, `logout`, `session`, `persistent`, `chap-secret`, and the options of a login.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use hawser_api::v1::{Portal, SessionId};

use super::{OutputArgs, SessionOrTarget, TargetName};

/// `hawser login`.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// iSCSI name of the target, which must be known: see `hawser target list`
    #[arg(value_name = "IQN")]
    pub(crate) target: TargetName,
    /// Use exactly this portal [default: those known for the target, in their order]
    #[arg(long, value_name = "ADDR[:PORT]")]
    pub(crate) portal: Option<Portal>,
    /// Connect from this IP address of this machine [default: the system chooses]
    #[arg(long, value_name = "ADDR")]
    pub(crate) source: Option<IpAddr>,
    /// Also make the login persistent: it is made again at every start
    #[arg(long)]
    pub(crate) persist: bool,
    #[command(flatten)]
    pub(crate) options: LoginOptionArgs,
    #[command(flatten)]
    pub(crate) connections: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How many connections a session has, and what it does about the loss of one.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Login options")]
pub(crate) struct ConnectionArgs {
    /// Connections that are made, 1 to 16, by the known portals in turn; as many as the target agrees to [default: 1]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(crate) connections: Option<u32>,
    /// Connections that the session may have, 1 to 65535, so that more can be added later [default: --connections]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub(crate) max_connections: Option<u32>,
    /// ErrorRecoveryLevel that is offered, 0 to 2; the target may settle for less [default: the configuration's]
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u32).range(..=2))]
    pub(crate) error_recovery_level: Option<u32>,
}

/// Options of a login, also of one that only asks for targets.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Login options")]
pub(crate) struct LoginOptionArgs {
    #[command(flatten)]
    pub(crate) digests: DigestArgs,
    #[command(flatten)]
    pub(crate) chap: ChapArgs,
    /// Mutual CHAP: the target must prove itself too, with the secret of `hawser chap-secret set`
    /// unless --mutual-secret-file or HAWSER_MUTUAL_SECRET gives one for this login
    #[arg(long)]
    pub(crate) mutual: bool,
    /// The name that the target must use in mutual CHAP [default: any]
    #[arg(long, value_name = "NAME", requires = "mutual")]
    pub(crate) mutual_user: Option<String>,
    /// File with the secret that the target must prove; `-`: stdin
    #[arg(long, value_name = "FILE", requires = "mutual")]
    pub(crate) mutual_secret_file: Option<SecretSource>,
    /// What becomes of I/O while the session is lost [default: hold if a bound volume needs it]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) on_lost: Option<OnLostChoice>,
    /// Seconds for which I/O is held before it fails
    #[arg(long, value_name = "SECONDS")]
    pub(crate) hold_time: Option<u32>,
}

/// Digests of a login.
#[derive(Debug, Default, Args)]
pub(crate) struct DigestArgs {
    /// Header digest [default: none]
    #[arg(long, value_enum, value_name = "DIGEST")]
    pub(crate) header_digest: Option<DigestChoice>,
    /// Data digest [default: none]
    #[arg(long, value_enum, value_name = "DIGEST")]
    pub(crate) data_digest: Option<DigestChoice>,
}

/// One-way CHAP. A secret is never given on the command line, where others could read it.
#[derive(Debug, Default, Args)]
pub(crate) struct ChapArgs {
    /// CHAP name that is sent [default: the initiator's name]
    #[arg(long, value_name = "USER")]
    pub(crate) chap_user: Option<String>,
    /// File with the CHAP secret, `-` for stdin [default: the variable HAWSER_CHAP_SECRET]
    #[arg(long, value_name = "FILE")]
    pub(crate) chap_secret_file: Option<SecretSource>,
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretSource {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl From<std::ffi::OsString> for SecretSource {
    fn from(text: std::ffi::OsString) -> Self {
        if text == "-" {
            Self::Stdin
        } else {
            Self::File(text.into())
        }
    }
}

/// Which digests are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DigestChoice {
    /// Only None.
    None,
    /// Only CRC32C: the login fails if the target cannot.
    Crc32c,
    /// CRC32C, then None.
    PreferCrc32c,
}

/// What becomes of I/O while a session is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnLostChoice {
    /// It waits for ever.
    Hold,
    /// It waits for the hold time, then fails.
    Fail,
}

/// `hawser logout`.
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// A session, or a target: then all of its sessions
    #[arg(value_name = "IQN|SESSION")]
    pub(crate) which: SessionOrTarget,
    /// Even if a disk is in use: its mounts are detached and its I/O fails
    #[arg(long)]
    pub(crate) force: bool,
}

/// `hawser session`.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List the sessions
    List(OutputArgs),
    /// Show one session: what was negotiated, how it fares
    Show(SessionShowArgs),
    /// Add a connection to a session, and wait until it is there
    ///
    /// The session has as many as its login agreed on: see --max-connections of `hawser login`. The connection
    /// is made again when it is lost, but not stored: the next login has as many as --connections said.
    AddConnection(AddConnectionArgs),
    /// Remove a connection from a session; its commands go on on the others
    ///
    /// The first connection stays: `hawser logout` ends the session.
    RemoveConnection(RemoveConnectionArgs),
    /// Choose how the commands of a session are shared out among its connections, for as long as it lives
    Policy(PolicyArgs),
}

/// `hawser session add-connection`.
#[derive(Debug, Args)]
pub(crate) struct AddConnectionArgs {
    /// The session, as listed
    #[arg(value_name = "SESSION")]
    pub(crate) session: SessionId,
    /// Connect to this portal [default: those of the session in turn]
    #[arg(long, value_name = "ADDR[:PORT]")]
    pub(crate) portal: Option<Portal>,
    /// Connect from this IP address of this machine [default: as the session does]
    #[arg(long, value_name = "ADDR")]
    pub(crate) source: Option<IpAddr>,
    #[command(flatten)]
    pub(crate) digests: DigestArgs,
    #[command(flatten)]
    pub(crate) chap: ChapArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `hawser session remove-connection`.
#[derive(Debug, Args)]
pub(crate) struct RemoveConnectionArgs {
    /// The session, as listed
    #[arg(value_name = "SESSION")]
    pub(crate) session: SessionId,
    /// The connection, by its CID as `hawser session show` tells it
    #[arg(value_name = "CID")]
    pub(crate) connection: u16,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `hawser session policy`.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// The session, as listed
    #[arg(value_name = "SESSION")]
    pub(crate) session: SessionId,
    /// The policy
    #[arg(value_enum, value_name = "POLICY")]
    pub(crate) policy: PolicyChoice,
    /// Weights for the weighted policy; a connection that is not named has 1, and one of 0 takes commands only when no
    /// other can
    #[arg(value_name = "CID=WEIGHT")]
    pub(crate) weights: Vec<WeightChoice>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How the commands of a session are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyChoice {
    /// Each connection in turn.
    RoundRobin,
    /// The connection that has the fewest commands under way.
    LeastQueueDepth,
    /// The first connection alone; the others stand by for its loss.
    FailOver,
    /// Each in turn, as many commands as its weight.
    Weighted,
}

/// The weight of one connection, as `CID=WEIGHT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WeightChoice {
    /// CID.
    pub(crate) cid: u16,
    /// Weight.
    pub(crate) weight: u16,
}

impl std::str::FromStr for WeightChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=');
        let numbers =
            parts.and_then(|(cid, weight)| Some((cid.parse().ok()?, weight.parse().ok()?)));
        let (cid, weight) = numbers.ok_or("a weight is written CID=WEIGHT, both 0 to 65535")?;
        Ok(Self { cid, weight })
    }
}

/// `hawser session show`.
#[derive(Debug, Args)]
pub(crate) struct SessionShowArgs {
    /// The session, as listed
    #[arg(value_name = "SESSION")]
    pub(crate) session: SessionId,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `hawser persistent`.
#[derive(Debug, Subcommand)]
pub(crate) enum PersistentCommand {
    /// List the persistent logins
    List(OutputArgs),
    /// Remove the persistent logins of a target; its sessions stay
    Remove(PersistentRemoveArgs),
}

/// `hawser persistent remove`.
#[derive(Debug, Args)]
pub(crate) struct PersistentRemoveArgs {
    /// iSCSI name of the target
    #[arg(value_name = "IQN")]
    pub(crate) target: TargetName,
    /// Only the login through this portal
    #[arg(long, value_name = "ADDR[:PORT]")]
    pub(crate) portal: Option<Portal>,
}

/// `hawser chap-secret`.
#[derive(Debug, Subcommand)]
pub(crate) enum ChapSecretCommand {
    /// Set the secret that targets must prove in mutual CHAP
    Set(ChapSecretSetArgs),
    /// Clear it
    Clear,
    /// Make a random secret and print it, or write it to a file; nothing is set
    ///
    /// It is for any login: the target is told the same secret, then `hawser login` is given the file.
    Generate(ChapSecretGenerateArgs),
}

/// `hawser chap-secret generate`.
#[derive(Debug, Args)]
pub(crate) struct ChapSecretGenerateArgs {
    /// Write it to this new file, which only its owner may read [default: print it]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Characters, 16 to 255. Each holds 6 random bits: 16 are the 96 bits that CHAP needs and the most
    /// that many targets take, 22 are more than 128 bits
    #[arg(long, value_name = "CHARACTERS", default_value_t = 16,
          value_parser = clap::value_parser!(u8).range(16..))]
    pub(crate) length: u8,
}

/// `hawser chap-secret set`.
#[derive(Debug, Args)]
pub(crate) struct ChapSecretSetArgs {
    /// File with the secret, `-` for stdin [default: the variable HAWSER_MUTUAL_SECRET, else stdin
    /// unless that is a terminal]
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<SecretSource>,
    /// Take more than the 16 bytes that the Discovery Library allows, up to 255
    #[arg(long)]
    pub(crate) allow_long: bool,
}
