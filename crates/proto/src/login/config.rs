//! What a login is to do and to offer, checked before a byte is sent.

use thiserror::Error;

use crate::chap::{Algorithm, ChapError, ChapSecret, SecretPolicy, check_distinct};
use crate::names::{IscsiName, Isid};
use crate::parameters::Parameters;
use crate::serial::Serial;
use crate::text::{Key, KeyForm, Offer, spec};

/// RFC 7143 §6.1: the longest simple value, in bytes: aliases and CHAP names are held to it.
pub(super) const MAX_VALUE_BYTES: usize = 255;

/// The protocol levels that we know: RFC 7143 and RFC 7144.
const PROTOCOL_LEVELS: std::ops::RangeInclusive<u8> = 1..=2;

/// Why a login cannot even begin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A normal session has a target name.
    #[error("a normal session needs a target name")]
    TargetNameMissing,
    /// The alias or the CHAP name is too long or holds a NUL.
    #[error("the {what} is longer than 255 bytes or holds a NUL")]
    TextTooLong {
        /// Which.
        what: &'static str,
    },
    /// An offer outside the range of its key.
    #[error("the offer {key}={value} is outside the range of the key")]
    OfferOutOfRange {
        /// The key.
        key: &'static str,
        /// The offer.
        value: u64,
    },
    /// Nothing, or something twice, in a list.
    #[error("the list for {key} is empty or names something twice")]
    MalformedList {
        /// The key.
        key: &'static str,
    },
    /// RFC 7143 §13.14.
    #[error("FirstBurstLength is above MaxBurstLength")]
    FirstBurstAboveMaxBurst,
    /// RFC 7143 §13.19: with recovery and ordered sequences only one R2T may be outstanding.
    #[error("ErrorRecoveryLevel above 0 with DataSequenceInOrder allows MaxOutstandingR2T=1 only")]
    R2tsNeedUnorderedSequences,
    /// RFC 7143 §13.23: a list for TaskReporting holds at least RFC3720 and ResponseFence.
    #[error("TaskReporting must offer RFC3720 and ResponseFence")]
    TaskReportingIncomplete,
    /// No CHAP algorithm to offer; with `md5_only`: MD5 is not among those allowed.
    #[error("no CHAP algorithm is left to offer")]
    NoAlgorithm,
    /// Without CHAP the target proves nothing.
    #[error("mutual CHAP cannot be had if doing without CHAP is allowed")]
    MutualIsOptional,
    /// CHAP is configured, and its stage is to be skipped.
    #[error("the security stage cannot be skipped with CHAP configured")]
    SecuritySkipped,
    /// A secret that may not be used.
    #[error(transparent)]
    Secret(#[from] ChapError),
}

/// RFC 7143 §13.21.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionType {
    /// For SCSI commands.
    #[default]
    Normal,
    /// Only for SendTargets.
    Discovery,
}

impl SessionType {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Discovery => "Discovery",
        }
    }
}

/// A digest that may be agreed on (RFC 7143 §13.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestChoice {
    /// `None`.
    None,
    /// `CRC32C`.
    Crc32c,
}

impl DigestChoice {
    fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Crc32c => "CRC32C",
        }
    }
}

/// How tasks are reported that another task's management ended (RFC 7143 §13.23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskReporting {
    /// As RFC 3720 had it.
    Rfc3720,
    /// With a fence between responses.
    ResponseFence,
    /// With fast completion of aborted tasks.
    FastAbort,
}

impl TaskReporting {
    fn name(self) -> &'static str {
        match self {
            Self::Rfc3720 => "RFC3720",
            Self::ResponseFence => "ResponseFence",
            Self::FastAbort => "FastAbort",
        }
    }
}

/// How the security stage begins when it is up to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecurityStart {
    /// We propose AuthMethod: what every target understands.
    #[default]
    Propose,
    /// We enter the stage and let the target propose AuthMethod (RFC 7143 §6.3.1).
    LetTargetPropose,
    /// We begin with the operational stage; a target that insists on security refuses.
    Skip,
}

/// What we propose for each operational key. Lengths in bytes, times in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// `HeaderDigest`, most wanted first.
    pub header_digest: Vec<DigestChoice>,
    /// `DataDigest`, most wanted first.
    pub data_digest: Vec<DigestChoice>,
    /// `MaxConnections`.
    pub max_connections: u16,
    /// `InitialR2T`.
    pub initial_r2t: bool,
    /// `ImmediateData`.
    pub immediate_data: bool,
    /// Our `MaxRecvDataSegmentLength`: declared, not negotiated.
    pub max_recv_data_segment: u32,
    /// `MaxBurstLength`.
    pub max_burst: u32,
    /// `FirstBurstLength`, at most `max_burst`.
    pub first_burst: u32,
    /// `DefaultTime2Wait`.
    pub time2wait: u16,
    /// `DefaultTime2Retain`.
    pub time2retain: u16,
    /// `MaxOutstandingR2T`.
    pub max_outstanding_r2t: u16,
    /// `DataPDUInOrder`.
    pub data_pdu_in_order: bool,
    /// `DataSequenceInOrder`.
    pub data_sequence_in_order: bool,
    /// `ErrorRecoveryLevel`; offering a level promises all of it.
    pub error_recovery_level: u8,
    /// `iSCSIProtocolLevel`; 1 is the default and is not sent.
    pub protocol_level: u8,
    /// `TaskReporting`, most wanted first; empty: not sent, and RFC3720 holds.
    pub task_reporting: Vec<TaskReporting>,
}

impl Default for Offers {
    /// No digests unless the target wants them, unsolicited data, and sizes made for speed.
    fn default() -> Self {
        Self {
            header_digest: vec![DigestChoice::None, DigestChoice::Crc32c],
            data_digest: vec![DigestChoice::None, DigestChoice::Crc32c],
            max_connections: 1,
            initial_r2t: false,
            immediate_data: true,
            max_recv_data_segment: 256 * 1024,
            max_burst: 1024 * 1024,
            first_burst: 256 * 1024,
            time2wait: 2,
            time2retain: 20,
            max_outstanding_r2t: 8,
            data_pdu_in_order: true,
            data_sequence_in_order: true,
            error_recovery_level: 0,
            protocol_level: 1,
            task_reporting: Vec::new(),
        }
    }
}

/// How the target must prove itself.
#[derive(Debug, Clone)]
pub struct MutualChap {
    /// The CHAP name it must use; `None` takes any name (RFC 7143 §9.2 advises to check it).
    pub expected_name: Option<String>,
    /// Its secret, different from ours.
    pub secret: ChapSecret,
}

/// How we prove ourselves.
#[derive(Debug, Clone)]
pub struct ChapConfig {
    /// Our CHAP name; may be empty, which some arrays ask for. It is sent as it is: administrators of targets type
    /// names in the encoding of their own machine, so it need not be UTF-8.
    pub user: Vec<u8>,
    /// Our secret.
    pub secret: ChapSecret,
    /// The algorithms to offer, in this order.
    pub algorithms: Vec<Algorithm>,
    /// How the target must prove itself, if it must.
    pub mutual: Option<MutualChap>,
    /// How short secrets may be.
    pub policy: SecretPolicy,
    /// Whether `None` is offered as well, for targets that want no authentication.
    pub allow_none: bool,
}

impl ChapConfig {
    /// One-way CHAP with all algorithms, strongest first.
    #[must_use]
    pub fn one_way(user: impl Into<Vec<u8>>, secret: ChapSecret) -> Self {
        Self {
            user: user.into(),
            secret,
            algorithms: Algorithm::STRONGEST_FIRST.to_vec(),
            mutual: None,
            policy: SecretPolicy::default(),
            allow_none: false,
        }
    }
}

/// All that a login needs to know.
#[derive(Debug, Clone)]
pub struct LoginConfig {
    /// Our name; sent in normalised form.
    pub initiator_name: IscsiName,
    /// Our alias.
    pub initiator_alias: Option<String>,
    /// The target's name; may be missing in a discovery session only. Sent as it was written.
    pub target_name: Option<IscsiName>,
    /// What the session is for.
    pub session_type: SessionType,
    /// Our half of the session identifier. An ISID that is in use reinstates its session.
    pub isid: Isid,
    /// 0 for a new session, else that of the session to which the connection is added.
    pub tsih: u16,
    /// The connection's identifier, unique in the session.
    pub cid: u16,
    /// CmdSN: of the session's first command, or the current one when a connection is added.
    pub cmd_sn: Serial,
    /// ExpStatSN of the first request: 0, but that of the old connection when this one replaces it.
    pub exp_stat_sn: u32,
    /// The Initiator Task Tag of the whole login.
    pub itt: u32,
    /// What to propose.
    pub offers: Offers,
    /// The parameters of the session that the connection joins, when `tsih` is not 0.
    pub joined: Option<Parameters>,
    /// CHAP, if it is to be used.
    pub chap: Option<ChapConfig>,
    /// Offer MD5 alone: for the one retry that
    /// [`wants_md5_only_retry`](super::LoginError::wants_md5_only_retry) asks for.
    pub md5_only: bool,
    /// How the security stage begins.
    pub security: SecurityStart,
    /// The portal group tag that discovery gave, to be compared.
    pub expected_tpgt: Option<u16>,
}

impl LoginConfig {
    /// The leading login of a normal session, with default offers and no authentication.
    #[must_use]
    pub fn normal(initiator_name: IscsiName, target_name: IscsiName, isid: Isid) -> Self {
        Self {
            target_name: Some(target_name),
            session_type: SessionType::Normal,
            ..Self::discovery(initiator_name, isid)
        }
    }

    /// The login of a discovery session, without a target name and without authentication.
    #[must_use]
    pub fn discovery(initiator_name: IscsiName, isid: Isid) -> Self {
        Self {
            initiator_name,
            initiator_alias: None,
            target_name: None,
            session_type: SessionType::Discovery,
            isid,
            tsih: 0,
            cid: 0,
            cmd_sn: Serial(1),
            exp_stat_sn: 0,
            itt: 0,
            offers: Offers::default(),
            joined: None,
            chap: None,
            md5_only: false,
            security: SecurityStart::default(),
            expected_tpgt: None,
        }
    }

    pub(super) fn is_discovery(&self) -> bool {
        self.session_type == SessionType::Discovery
    }

    /// Whether this is the first connection of its session.
    pub(super) fn is_leading(&self) -> bool {
        self.tsih == 0
    }

    /// The CHAP algorithms to offer.
    pub(super) fn algorithms(&self, chap: &ChapConfig) -> Vec<Algorithm> {
        let allowed = |a: &&Algorithm| !self.md5_only || **a == Algorithm::Md5;
        chap.algorithms.iter().filter(allowed).copied().collect()
    }

    /// Whether the login makes sense.
    ///
    /// # Errors
    /// The first [`ConfigError`] in it.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.target_name.is_none() && !self.is_discovery() {
            return Err(ConfigError::TargetNameMissing);
        }
        check_text(
            "initiator alias",
            self.initiator_alias
                .as_deref()
                .unwrap_or_default()
                .as_bytes(),
        )?;
        if let Some(chap) = &self.chap {
            self.check_chap(chap)?;
        }
        self.offers.check()
    }

    fn check_chap(&self, chap: &ChapConfig) -> Result<(), ConfigError> {
        check_text("CHAP name", &chap.user)?;
        if self.security == SecurityStart::Skip {
            return Err(ConfigError::SecuritySkipped);
        }
        if self.algorithms(chap).is_empty() {
            return Err(ConfigError::NoAlgorithm);
        }
        chap.policy.check(&chap.secret)?;
        if let Some(mutual) = &chap.mutual {
            chap.policy.check(&mutual.secret)?;
            check_distinct(&chap.secret, &mutual.secret)?;
            if chap.allow_none {
                return Err(ConfigError::MutualIsOptional);
            }
        }
        Ok(())
    }
}

fn check_text(what: &'static str, text: &[u8]) -> Result<(), ConfigError> {
    if text.len() > MAX_VALUE_BYTES || text.contains(&0) {
        return Err(ConfigError::TextTooLong { what });
    }
    Ok(())
}

/// What we want of one negotiated key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Number(u64),
    Boolean(bool),
    List(Vec<&'static str>),
}

impl Wanted {
    pub(super) fn as_offer(&self) -> Offer<'_> {
        match self {
            Self::Number(number) => Offer::Number(*number),
            Self::Boolean(value) => Offer::Boolean(*value),
            Self::List(items) => Offer::List(items),
        }
    }
}

impl Offers {
    /// What we want of each negotiated key, in the order in which the keys are proposed.
    pub(super) fn wanted(&self) -> Vec<(Key, Wanted)> {
        use Wanted::{Boolean, Number};
        let digest = |list: &[DigestChoice]| list_of(list, DigestChoice::name);
        let reporting = if self.task_reporting.is_empty() {
            Wanted::List(vec![TaskReporting::Rfc3720.name()])
        } else {
            list_of(&self.task_reporting, TaskReporting::name)
        };
        vec![
            (Key::HeaderDigest, digest(&self.header_digest)),
            (Key::DataDigest, digest(&self.data_digest)),
            (Key::MaxConnections, Number(self.max_connections.into())),
            (Key::InitialR2T, Boolean(self.initial_r2t)),
            (Key::ImmediateData, Boolean(self.immediate_data)),
            (Key::MaxBurstLength, Number(self.max_burst.into())),
            (Key::FirstBurstLength, Number(self.first_burst.into())),
            (Key::DefaultTime2Wait, Number(self.time2wait.into())),
            (Key::DefaultTime2Retain, Number(self.time2retain.into())),
            (
                Key::MaxOutstandingR2T,
                Number(self.max_outstanding_r2t.into()),
            ),
            (Key::DataPduInOrder, Boolean(self.data_pdu_in_order)),
            (
                Key::DataSequenceInOrder,
                Boolean(self.data_sequence_in_order),
            ),
            (
                Key::ErrorRecoveryLevel,
                Number(self.error_recovery_level.into()),
            ),
            (Key::TaskReporting, reporting),
            (Key::IscsiProtocolLevel, Number(self.protocol_level.into())),
        ]
    }

    /// Whether a key is worth proposing: not when its default is all we want and old targets do not
    /// know it.
    pub(super) fn is_proposed(&self, key: Key) -> bool {
        match key {
            Key::TaskReporting => !self.task_reporting.is_empty(),
            Key::IscsiProtocolLevel => self.protocol_level > 1,
            _ => true,
        }
    }

    /// Whether the offers are possible.
    ///
    /// # Errors
    /// The first [`ConfigError`] in them.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (key, wanted) in self.wanted() {
            check_offer(key, &wanted)?;
        }
        check_offer(
            Key::MaxRecvDataSegmentLength,
            &Wanted::Number(self.max_recv_data_segment.into()),
        )?;
        if !PROTOCOL_LEVELS.contains(&self.protocol_level) {
            let key = spec(Key::IscsiProtocolLevel).name;
            return Err(ConfigError::OfferOutOfRange {
                key,
                value: self.protocol_level.into(),
            });
        }
        if self.first_burst > self.max_burst {
            return Err(ConfigError::FirstBurstAboveMaxBurst);
        }
        let ordered_recovery = self.error_recovery_level > 0 && self.data_sequence_in_order;
        if ordered_recovery && self.max_outstanding_r2t != 1 {
            return Err(ConfigError::R2tsNeedUnorderedSequences);
        }
        let offered = |value| self.task_reporting.contains(&value);
        let complete = offered(TaskReporting::Rfc3720) && offered(TaskReporting::ResponseFence);
        if !self.task_reporting.is_empty() && !complete {
            return Err(ConfigError::TaskReportingIncomplete);
        }
        Ok(())
    }
}

fn list_of<T: Copy>(items: &[T], name: impl Fn(T) -> &'static str) -> Wanted {
    Wanted::List(items.iter().map(|item| name(*item)).collect())
}

fn check_offer(key: Key, wanted: &Wanted) -> Result<(), ConfigError> {
    let spec = spec(key);
    match (wanted, spec.form) {
        (
            Wanted::Number(value),
            KeyForm::Minimum { min, max }
            | KeyForm::Maximum { min, max }
            | KeyForm::Number { min, max },
        ) if !(min..=max).contains(value) => Err(ConfigError::OfferOutOfRange {
            key: spec.name,
            value: *value,
        }),
        (Wanted::List(items), _) => {
            let mut distinct = items.clone();
            distinct.sort_unstable();
            distinct.dedup();
            if items.is_empty() || distinct.len() != items.len() {
                return Err(ConfigError::MalformedList { key: spec.name });
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
