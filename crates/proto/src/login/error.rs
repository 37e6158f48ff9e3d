//! Why a login failed, by name: what the peer did wrong, what it refused, what we would not take.

use std::fmt;

use thiserror::Error;

use crate::chap::ChapError;
use crate::names::AddressError;
use crate::pdu::{LoginStage, LoginStatus, Malformed};
use crate::stream::Offence;
use crate::text::{AnswerError, TextError, ValueError};

use super::config::ConfigError;

/// An offence of the target during a login. Each ends the login and its connection
/// (RFC 7143 §6.3, §7.12).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A header that contradicts itself.
    #[error("malformed PDU: {0}")]
    Malformed(#[from] Malformed),
    /// A PDU that may not be read to its end; above all one with more than 8192 bytes of text, the
    /// limit until the full feature phase (RFC 7143 §13.12).
    #[error("{0}")]
    Stream(#[from] Offence),
    /// Text that is no sequence of pairs.
    #[error("malformed text: {0}")]
    Text(#[from] TextError),
    /// Something other than a Login Response (RFC 7143 §4.2.4).
    #[error("sent opcode {opcode:#04x} during the login")]
    UnexpectedPdu {
        /// Its opcode.
        opcode: u8,
    },
    /// A Login Response without a request (RFC 7143 §6.3: one is outstanding at a time).
    #[error("sent a Login Response that answers no request")]
    UnaskedResponse,
    /// Another Initiator Task Tag than the login's.
    #[error("answered with task tag {got:#010x} instead of {expected:#010x}")]
    WrongTaskTag {
        /// The login's tag.
        expected: u32,
        /// The response's.
        got: u32,
    },
    /// Version-active is not 0, the only version we offer (RFC 7143 §11.12.4).
    #[error("chose version {active} of iSCSI, of which only 0 was offered")]
    WrongVersion {
        /// Version-active.
        active: u8,
    },
    /// Another ISID than the request's (RFC 7143 §11.13).
    #[error("changed the ISID")]
    IsidChanged,
    /// Another TSIH than that of the session that the connection is to join.
    #[error("changed the TSIH from {expected:#06x} to {got:#06x}")]
    TsihChanged {
        /// The session's TSIH.
        expected: u16,
        /// The response's.
        got: u16,
    },
    /// TSIH 0 for a new session (RFC 7143 §11.13.3).
    #[error("gave the new session the reserved TSIH 0")]
    TsihZero,
    /// The response belongs to another stage than the request (RFC 7143 §6.3).
    #[error("answered in stage {got} to a request in stage {expected}")]
    StageMismatch {
        /// The request's stage.
        expected: LoginStage,
        /// The response's.
        got: LoginStage,
    },
    /// T is 1 and was 0 in the request (RFC 7143 §11.13.6).
    #[error("moved to another stage without being asked to")]
    UnaskedTransit,
    /// The next stage is not after the current one.
    #[error("moved from stage {from} back to stage {to}")]
    StageBackwards {
        /// The current stage.
        from: LoginStage,
        /// The next stage.
        to: LoginStage,
    },
    /// The next stage is beyond the one we asked for.
    #[error("moved to stage {to} when stage {asked} was asked for")]
    StageBeyondRequest {
        /// The stage we asked for.
        asked: LoginStage,
        /// The next stage.
        to: LoginStage,
    },
    /// Text in the answer to a request that is yet to be continued (RFC 7143 §6.2).
    #[error("sent text before our own text was complete")]
    TextDuringContinuation,
    /// No end after [`MAX_EXCHANGES`](super::MAX_EXCHANGES) requests.
    #[error("did not come to an end within {limit} exchanges")]
    TooManyExchanges {
        /// The limit.
        limit: u32,
    },
    /// A key for the second time (RFC 7143 §6.3).
    #[error("sent the key {key} twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// More keys that we do not know than the limit.
    #[error("sent more than {limit} unknown keys")]
    TooManyUnknownKeys {
        /// The limit.
        limit: usize,
    },
    /// A key that is not allowed in this stage, or not in a login (RFC 7143 §6.3, §12).
    #[error("sent the key {key} in a stage where it is not allowed")]
    KeyInWrongStage {
        /// The key.
        key: &'static str,
    },
    /// A key that only initiators send.
    #[error("sent the key {key}, which only initiators send")]
    KeyOfInitiator {
        /// The key.
        key: &'static str,
    },
    /// A key that does not fit this step (RFC 7143 §9.2).
    #[error("sent the key {key}, which does not fit this step")]
    UnexpectedKey {
        /// The key.
        key: &'static str,
    },
    /// A key that this step must bring (RFC 7143 §12.1.3).
    #[error("left out the key {key}")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A declared value that is malformed.
    #[error("sent {key} with a value that is {source}")]
    MalformedValue {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        source: ValueError,
    },
    /// A declared number outside its range.
    #[error("declared {key}={value}, outside the range from {min} to {max}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// The value.
        value: u64,
        /// The least value allowed.
        min: u64,
        /// The greatest value allowed.
        max: u64,
    },
    /// A CHAP key whose value is malformed.
    #[error("{0}")]
    MalformedChap(ChapError),
    /// An answer that cannot follow from what we proposed (RFC 7143 §6.2).
    #[error("answered {key}={answer:?} to our {key}={proposal}: {source}")]
    InadmissibleAnswer {
        /// The key.
        key: &'static str,
        /// What we proposed.
        proposal: String,
        /// The answer, cut to a printable length.
        answer: String,
        /// What is wrong with it.
        source: AnswerError,
    },
    /// `Reject`, `Irrelevant` or `NotUnderstood` as a proposal (RFC 7143 §6.2).
    #[error("proposed {key}={value:?}, which can only be an answer")]
    RefusalProposed {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// A key that needs an answer in a response that leaves no room for one (RFC 7143 §11.13.6).
    #[error("proposed {key} in the response that ends the stage")]
    ProposalInFinalResponse {
        /// The key.
        key: &'static str,
    },
    /// An authentication method that we did not offer.
    #[error("chose the authentication method {answer:?}, which was not offered")]
    MethodNotOffered {
        /// The answer, cut to a printable length.
        answer: String,
    },
    /// A CHAP algorithm that we did not offer, or more than one (RFC 7143 §12.1.3).
    #[error("chose the CHAP algorithm {answer:?}, which was not offered")]
    AlgorithmNotOffered {
        /// The answer, cut to a printable length.
        answer: String,
    },
    /// FirstBurstLength above MaxBurstLength, with unsolicited data allowed (RFC 7143 §13.14).
    #[error("FirstBurstLength {first} is above MaxBurstLength {max}")]
    FirstBurstAboveMaxBurst {
        /// FirstBurstLength in force.
        first: u32,
        /// MaxBurstLength in force.
        max: u32,
    },
    /// A redirection without a usable TargetAddress (RFC 7143 §11.13.5).
    #[error("redirected the login without saying where to")]
    RedirectWithoutAddress {
        /// What is wrong with the address, if there is one.
        source: Option<AddressError>,
    },
}

/// Why the two sides could not prove to each other who they are.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthenticationFailure {
    /// The target takes none of our authentication methods.
    #[error("the target takes none of the authentication methods offered")]
    MethodRefused,
    /// The target takes none of our CHAP algorithms.
    #[error("the target takes none of the CHAP algorithms offered")]
    AlgorithmRefused,
    /// The target wants no authentication, but we insist on it.
    #[error("the target asks for no authentication, but CHAP is configured")]
    NoneChosen,
    /// The target asks for a method for which we have no configuration.
    #[error("the target asks for one of the authentication methods {methods:?}")]
    NotConfigured {
        /// The methods, cut to a printable length.
        methods: String,
    },
    /// The target was to prove itself and went on without doing so (RFC 7143 §12.1.3).
    #[error("the target did not prove its own identity, as mutual CHAP asks")]
    TargetDidNotAuthenticate,
    /// The target proved itself under another name than the one configured.
    #[error("the target calls itself {got:?} in CHAP, not {expected:?}")]
    WrongName {
        /// The name configured.
        expected: String,
        /// The name it gave, cut to a printable length.
        got: String,
    },
    /// The target's challenge or its response was bad.
    #[error("{0}")]
    Chap(#[from] ChapError),
}

/// What we would not take, although the target broke no rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unacceptable {
    /// No digest is common to both sides.
    #[error("the target takes none of the values {offered} of {key}")]
    NoCommonDigest {
        /// `HeaderDigest` or `DataDigest`.
        key: &'static str,
        /// What we offered.
        offered: String,
    },
}

/// What to do after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAdvice {
    /// The same login will be refused again.
    No,
    /// The target is not here (any more): look for it again first.
    Rediscover,
    /// The session is gone: log in with TSIH 0.
    NewSession,
    /// The target asks to be tried again later.
    Later,
}

impl RetryAdvice {
    /// The advice for a status whose class is 2 or 3 (RFC 7143 §11.13.5).
    #[must_use]
    pub fn of(status: LoginStatus) -> Self {
        match status {
            LoginStatus::NOT_FOUND | LoginStatus::TARGET_REMOVED => Self::Rediscover,
            LoginStatus::SESSION_DOES_NOT_EXIST => Self::NewSession,
            LoginStatus { class: 3, .. } => Self::Later,
            _ => Self::No,
        }
    }
}

/// What ended a login.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoginErrorKind {
    /// The target broke the protocol.
    #[error("the target {0}")]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// The target refused the login.
    #[error("the target refused the login: {status}")]
    Refused {
        /// Status-Class and Status-Detail; [`LoginStatus::text`] explains them.
        status: LoginStatus,
        /// Whether another attempt can help.
        retry: RetryAdvice,
    },
    /// One side did not prove its identity to the other.
    #[error("authentication failed: {0}")]
    Authentication(#[from] AuthenticationFailure),
    /// The two sides have too little in common.
    #[error("{0}")]
    Unacceptable(#[from] Unacceptable),
    /// What we were asked to do is impossible; nothing was sent.
    #[error("the login is misconfigured: {0}")]
    Config(#[from] ConfigError),
    /// The target closed the connection.
    #[error("the target closed the connection")]
    Closed,
}

impl From<Malformed> for LoginErrorKind {
    fn from(malformed: Malformed) -> Self {
        Self::PeerMisbehaved(malformed.into())
    }
}

impl From<TextError> for LoginErrorKind {
    fn from(error: TextError) -> Self {
        Self::PeerMisbehaved(error.into())
    }
}

/// What a login was waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// Nothing: it has not begun.
    Start,
    /// The answer to the first request of the security stage.
    SecurityReply,
    /// CHAP_A, CHAP_I and CHAP_C.
    ChapChallenge,
    /// The target's word on our CHAP response, and its own response if it must prove itself.
    ChapVerdict,
    /// The end of the security stage.
    SecurityEnd,
    /// The answer to our operational keys.
    OperationalReply,
    /// Nothing: it has ended.
    End,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "before the login began",
            Self::SecurityReply => "waiting for the target's authentication method",
            Self::ChapChallenge => "waiting for the target's CHAP challenge",
            Self::ChapVerdict => "waiting for the target's verdict on our CHAP response",
            Self::SecurityEnd => "waiting for the end of the security stage",
            Self::OperationalReply => "waiting for the target's operational parameters",
            Self::End => "after the login ended",
        })
    }
}

/// A login that failed: what ended it, and what it was waiting for then.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} ({waiting})")]
pub struct LoginError {
    /// What ended it.
    pub kind: LoginErrorKind,
    /// What it was waiting for.
    pub waiting: Waiting,
    /// Whether a list of CHAP algorithms was out that an old target may have failed on.
    pub(super) list_in_doubt: bool,
}

impl LoginError {
    /// Whether the one retry with `md5_only` is worth making: the login ended after we sent a list
    /// of CHAP algorithms and before the target chose MD5 from it. Old targets read the list as a
    /// single number, or mistake an algorithm's number.
    ///
    /// Never true when the target failed to prove itself: that is no reason to ask for less.
    #[must_use]
    pub fn wants_md5_only_retry(&self) -> bool {
        self.list_in_doubt
            && match &self.kind {
                LoginErrorKind::Refused { .. } | LoginErrorKind::Closed => true,
                LoginErrorKind::Authentication(failure) => {
                    *failure == AuthenticationFailure::AlgorithmRefused
                }
                LoginErrorKind::PeerMisbehaved(offence) => matches!(
                    offence,
                    PeerMisbehaved::AlgorithmNotOffered { .. }
                        | PeerMisbehaved::MissingKey { .. }
                        | PeerMisbehaved::MalformedChap(_)
                ),
                LoginErrorKind::Unacceptable(_) | LoginErrorKind::Config(_) => false,
            }
    }

    /// Whether the same login will fail again until something is changed: the configuration, the
    /// portal, the target.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match &self.kind {
            LoginErrorKind::PeerMisbehaved(_) | LoginErrorKind::Closed => false,
            LoginErrorKind::Refused { retry, .. } => {
                matches!(retry, RetryAdvice::No | RetryAdvice::Rediscover)
            }
            LoginErrorKind::Authentication(_)
            | LoginErrorKind::Unacceptable(_)
            | LoginErrorKind::Config(_) => true,
        }
    }
}

/// Something odd that the target did and that was tolerated; for the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unusual {
    /// A key that we do not know; it was answered `NotUnderstood` where an answer was possible.
    #[error("the target sent the unknown key {key}")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A proposal of ours without an answer where one was due (RFC 7143 §6.2).
    #[error("the target did not answer {key}; the default is in force")]
    Unanswered {
        /// The key.
        key: &'static str,
    },
    /// A proposal of ours answered with `Reject`.
    #[error("the target rejected {key}; the default is in force")]
    Rejected {
        /// The key.
        key: &'static str,
    },
    /// `NotUnderstood` for a key of RFC 7143.
    #[error("the target does not understand the standard key {key}")]
    StandardKeyNotUnderstood {
        /// The key.
        key: &'static str,
    },
    /// A key of the session in the login of a later connection (RFC 7143 §6.3.3), which tgt sends; it was
    /// answered with what the session has agreed on.
    #[error("the target proposed {key} again for a later connection of the session")]
    LeadingKeyOnLaterConnection {
        /// The key.
        key: &'static str,
    },
    /// An obsolete key; it was answered `No` or `Reject` (RFC 7143 §13.25).
    #[error("the target proposed the obsolete key {key}")]
    ObsoleteKey {
        /// The key.
        key: &'static str,
    },
    /// MaxRecvDataSegmentLength 0; 8192 is used.
    #[error("the target declared MaxRecvDataSegmentLength=0; 8192 is used")]
    ZeroMaxRecvDataSegmentLength,
    /// No TargetPortalGroupTag (RFC 7143 §6.3.1).
    #[error("the target did not name its portal group")]
    PortalGroupTagMissing,
    /// Another portal group than discovery promised.
    #[error("the target's portal group tag is {got}, not {expected}")]
    PortalGroupTagChanged {
        /// The tag expected.
        expected: u16,
        /// The tag it gave.
        got: u16,
    },
    /// A TSIH before the final response (RFC 7143 §11.13.3).
    #[error("the target gave a TSIH before the login was complete")]
    EarlyTsih,
    /// TSIH 0 for a discovery session.
    #[error("the target gave the discovery session the reserved TSIH 0")]
    DiscoveryTsihZero,
    /// StatSN did not rise by one.
    #[error("StatSN went from {expected} to {got} within the login")]
    StatSnJump {
        /// The StatSN due.
        expected: u32,
        /// The StatSN that came.
        got: u32,
    },
    /// MaxCmdSN and ExpCmdSN that contradict each other in all responses (RFC 7143 §4.2.2.1).
    #[error("the target opened no valid command window")]
    NoCommandWindow,
    /// A TargetAddress although the login was not redirected.
    #[error("the target sent a TargetAddress without redirecting the login")]
    StrayTargetAddress,
    /// An alias above 255 bytes; it was cut.
    #[error("the target's alias is longer than 255 bytes")]
    LongAlias,
    /// Our own CHAP name looks like an encoded binary, as which some targets take it.
    #[error("the CHAP name begins like a binary constant; some targets decode it")]
    ChapNameLooksEncoded,
}
