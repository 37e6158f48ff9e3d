//! What a caller says about a login and a session.

use std::net::IpAddr;
use std::time::Duration;

pub use hawser_proto::chap::ChapSecret as Secret;
use hawser_proto::names::{IscsiName, Isid, Portal};
use hawser_proto::session::{Hold, Policy};

/// Which digests are offered (RFC 7143 §13.1), in the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DigestPolicy {
    /// `None` alone.
    #[default]
    None,
    /// `None`, else `CRC32C`.
    PreferNone,
    /// `CRC32C`, else `None`.
    PreferCrc32c,
    /// `CRC32C` alone.
    Crc32c,
}

/// CHAP names and secrets of one target (RFC 7143 §12.1.3).
#[derive(Debug, Clone)]
pub struct ChapCredentials {
    /// CHAP_N we answer with; need not be UTF-8.
    pub user: Vec<u8>,
    /// The secret that proves us to the target.
    pub secret: Secret,
    /// The secret that proves the target to us (mutual CHAP), and the CHAP_N it must use, if that
    /// is to be checked.
    pub mutual: Option<(Option<String>, Secret)>,
    /// Take secrets under 96 bits, for old targets (RFC 7143 §9.2.1).
    pub allow_short_secrets: bool,
    /// Where a target cannot take the list of algorithms, try once more with MD5 alone.
    pub allow_md5: bool,
}

impl ChapCredentials {
    /// One-way CHAP of `user` with `secret`, MD5 allowed, short secrets refused.
    #[must_use]
    pub fn one_way(user: impl Into<Vec<u8>>, secret: Secret) -> Self {
        Self {
            user: user.into(),
            secret,
            mutual: None,
            allow_short_secrets: false,
            allow_md5: true,
        }
    }
}

/// How to log in.
#[derive(Debug, Clone)]
pub struct LoginOptions {
    /// The address of this machine to connect from; `None`: the system chooses.
    pub source: Option<IpAddr>,
    /// Our own name.
    pub initiator_name: IscsiName,
    /// Our alias, shown by targets; may be empty.
    pub initiator_alias: Option<String>,
    /// Header digest.
    pub header_digest: DigestPolicy,
    /// Data digest.
    pub data_digest: DigestPolicy,
    /// CHAP, if the target wants it or must prove itself.
    pub chap: Option<ChapCredentials>,
    /// `MaxRecvDataSegmentLength` we declare, bytes.
    pub max_recv_data_segment: u32,
    /// `MaxBurstLength` offered, bytes.
    pub max_burst: u32,
    /// `FirstBurstLength` offered, bytes.
    pub first_burst: u32,
    /// `MaxOutstandingR2T` offered.
    pub max_outstanding_r2t: u16,
    /// `InitialR2T` offered: `false` lets unsolicited data go out at once.
    pub initial_r2t: bool,
    /// `ImmediateData` offered.
    pub immediate_data: bool,
    /// `DefaultTime2Wait` offered, seconds.
    pub time2wait: u16,
    /// `DefaultTime2Retain` offered, seconds.
    pub time2retain: u16,
    /// `ErrorRecoveryLevel` offered, 0–2. A target that agrees on less is served with less, and one that
    /// agrees on more than it keeps to is offered less in the next login; to pin a target lower, offer
    /// less. `None`: 2, but 0 to a target that is known to break on more. In discovery it is always 0.
    pub error_recovery_level: Option<u8>,
    /// `MaxConnections` offered: as many connections as the session may ever have.
    pub max_connections: u16,
    /// `iSCSIProtocolLevel` offered, 1 or 2. At 2 there are the task management functions of RFC 7144 §6.2
    /// (I_T NEXUS RESET, QUERY TASK and theirs). A target that does not know the key stays at 1, which is not
    /// offered.
    pub protocol_level: u8,
    /// Offer `TaskReporting=FastAbort` (RFC 7143 §13.23): the target may end tasks of several connections at once
    /// without waiting for each to be acknowledged. A target that does not know the key reports as RFC 3720 has it.
    pub fast_abort: bool,
}

impl LoginOptions {
    /// The defaults for `initiator_name`: no CHAP, no digests, sizes made for speed.
    #[must_use]
    pub fn new(initiator_name: IscsiName) -> Self {
        Self {
            source: None,
            initiator_name,
            initiator_alias: None,
            header_digest: DigestPolicy::None,
            data_digest: DigestPolicy::None,
            chap: None,
            max_recv_data_segment: 256 * 1024,
            max_burst: 1024 * 1024,
            first_burst: 256 * 1024,
            max_outstanding_r2t: 8,
            initial_r2t: false,
            immediate_data: true,
            time2wait: 0,
            time2retain: 20,
            error_recovery_level: None,
            max_connections: 1,
            protocol_level: 1,
            fast_abort: false,
        }
    }
}

/// What is different for one further connection of a session; what is `None` is as for the leading one.
#[derive(Debug, Clone, Default)]
pub struct ConnectionOptions {
    /// The portal to connect to; `None`: those of the session in turn.
    pub portal: Option<Portal>,
    /// The address of this machine to connect from.
    pub source: Option<IpAddr>,
    /// Header digest.
    pub header_digest: Option<DigestPolicy>,
    /// Data digest.
    pub data_digest: Option<DigestPolicy>,
    /// CHAP; `Some(None)`: without.
    pub chap: Option<Option<ChapCredentials>>,
}

/// The time limits of a session.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// TCP connect and login together, for one portal.
    pub login: Duration,
    /// One attempt of a command.
    pub command: Duration,
    /// Silence before a ping; zero: never ping.
    pub ping_interval: Duration,
    /// Silence after a ping before the connection is given up.
    pub ping_timeout: Duration,
    /// A task management function, a logout.
    pub management: Duration,
    /// The first pause between attempts to reconnect; it doubles.
    pub backoff_first: Duration,
    /// The longest pause between attempts to reconnect.
    pub backoff_longest: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            login: Duration::from_secs(15),
            command: Duration::from_secs(60),
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(5),
            management: Duration::from_secs(15),
            backoff_first: Duration::from_millis(500),
            backoff_longest: Duration::from_secs(30),
        }
    }
}

/// Busy polling: what a session's thread does while it waits for an answer to one to three commands. To
/// look for it saves the time that sleeping and being woken take, and the thread does nothing else
/// meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BusyPolling {
    /// Look for up to 50 µs, where this costs hardly more of the processor's time for a command than sleeping
    /// does: mostly in a virtual machine, with a fast target. It is found out by trying both from time to time.
    #[default]
    WherePaid,
    /// Look for so long, whatever it costs; zero: never. A target that mostly takes longer is looked for
    /// less and less often.
    For(Duration),
}

/// Everything a session needs to know.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// The target.
    pub target: IscsiName,
    /// Where it can be reached, tried in this order.
    pub portals: Vec<Portal>,
    /// The session's ISID; keep it for the next session to the same portal group, so that a new
    /// login reinstates this one (RFC 7143 §4.4.3).
    pub isid: Isid,
    /// How to log in.
    pub login: LoginOptions,
    /// Time limits.
    pub timeouts: Timeouts,
    /// How long commands wait for a lost session.
    pub hold: Hold,
    /// Commands at once.
    pub queue_depth: u16,
    /// Connections that are wanted, at most as many as the target agrees to; more than
    /// [`LoginOptions::max_connections`] raise what is offered.
    pub connections: u16,
    /// How commands are shared out among them.
    pub policy: Policy,
    /// Whether the session's thread looks for an answer before it sleeps, when one to three commands are
    /// under way.
    pub busy_polling: BusyPolling,
    /// Log in again when the connection is lost. Without, the session is closed then, and what it
    /// has in hand ends with [`SessionError::Closed`](crate::SessionError::Closed) or
    /// [`Interrupted`](crate::SessionError::Interrupted): for those to whom another I_T nexus is
    /// not the same.
    pub reconnect: bool,
}

impl SessionOptions {
    /// A session to `target` at `portal` with defaults: commands are held for 120 s, 256 at once.
    #[must_use]
    pub fn new(login: LoginOptions, target: IscsiName, portal: Portal, isid: Isid) -> Self {
        Self {
            target,
            portals: vec![portal],
            isid,
            login,
            timeouts: Timeouts::default(),
            hold: Hold::For(Duration::from_secs(120)),
            queue_depth: 256,
            connections: 1,
            policy: Policy::default(),
            busy_polling: BusyPolling::WherePaid,
            reconnect: true,
        }
    }
}
