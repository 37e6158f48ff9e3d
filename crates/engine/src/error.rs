//! What goes wrong in the engine, with target, portal and what the peer said.

use std::net::IpAddr;

use hawser_proto::discovery::DiscoveryError;
use hawser_proto::login::{LoginError, LoginErrorKind, Waiting};
use hawser_proto::names::{IscsiName, Portal};
use hawser_proto::pdu::LoginStatus;
use hawser_scsi::{Sense, SenseKey, Status};

/// One failed attempt to connect and log in.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} failed: {kind}", attempt(.target.as_ref(), .portal.as_ref()))]
pub struct LoginFailure {
    /// The target; `None` in discovery, which asks a portal and no target.
    pub target: Option<IscsiName>,
    /// The portal that was tried, if one was.
    pub portal: Option<Portal>,
    /// What happened.
    pub kind: LoginFailureKind,
}

/// What was tried: `login to TARGET at PORTAL`, `discovery at PORTAL`.
fn attempt(target: Option<&IscsiName>, portal: Option<&Portal>) -> String {
    let what = target.map_or("discovery".to_owned(), |name| format!("login to {name}"));
    portal.map_or(what.clone(), |portal| format!("{what} at {portal}"))
}

impl LoginFailure {
    /// What the target said, where it refused the login.
    #[must_use]
    pub fn status(&self) -> Option<LoginStatus> {
        let LoginFailureKind::Login(error) = &self.kind else {
            return None;
        };
        match error.kind {
            LoginErrorKind::Refused { status, .. } => Some(status),
            _ => None,
        }
    }

    /// Trying the same again cannot help: the configuration must change first.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match &self.kind {
            LoginFailureKind::Connect(_)
            | LoginFailureKind::Silent { .. }
            | LoginFailureKind::Discovery(_) => false,
            LoginFailureKind::Login(error) => error.is_final(),
            LoginFailureKind::TooManyRedirects { .. } => true,
        }
    }
}

/// What made an attempt fail.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LoginFailureKind {
    /// No connection, or it ended during login.
    #[error(transparent)]
    Connect(#[from] ConnectFailure),
    /// There is a connection, but the login did not end in its time.
    #[error("no answer within {seconds} s, {waiting}")]
    Silent {
        /// The limit.
        seconds: u64,
        /// What the login was waiting for.
        waiting: Waiting,
    },
    /// The target refused, or broke the protocol, or failed to prove itself.
    #[error(transparent)]
    Login(Box<LoginError>),
    /// The answer to SendTargets cannot be used.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The target redirected us more often than the limit.
    #[error("redirected more than {limit} times")]
    TooManyRedirects {
        /// The limit.
        limit: u32,
        /// The last one said that the target has moved for good.
        permanent: bool,
    },
}

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The name could not be resolved.
    #[error("cannot resolve the address: {0}")]
    Resolve(String),
    /// TCP said no.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The chosen source address cannot be used.
    #[error("cannot connect from {address}: {why}")]
    Source {
        /// The source address.
        address: IpAddr,
        /// What is wrong with it.
        why: String,
    },
    /// The connection ended or failed.
    #[error("the connection ended: {0}")]
    Lost(String),
    /// The limit was reached.
    #[error("no answer within {0} s")]
    TimedOut(u64),
}

/// Why a request to a session failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The session is closed.
    #[error("the session with {0} is closed")]
    Closed(IscsiName),
    /// There was no connection for longer than the hold time.
    #[error("no connection to {0} for longer than the hold time")]
    Disconnected(IscsiName),
    /// The connection was lost while the command was under way; it may or may not have been carried
    /// out, and commands of its kind are never sent again.
    #[error("the connection to {0} was lost while the command was under way")]
    Interrupted(IscsiName),
    /// It did not end in its time and was aborted.
    #[error("no answer from {0} in time; the command was aborted")]
    TimedOut(IscsiName),
    /// A reset or an abort ended it.
    #[error("the command to {0} was aborted")]
    Aborted(IscsiName),
    /// The target could not or would not take the request.
    #[error("{target} refused the request: {what}")]
    Refused {
        /// The target.
        target: IscsiName,
        /// What it said.
        what: String,
    },
    /// The command ended with an error status.
    #[error(transparent)]
    Scsi(#[from] ScsiError),
    /// The answer makes no sense.
    #[error("{target} answered {command} with what cannot be read: {what}")]
    BadAnswer {
        /// The target.
        target: IscsiName,
        /// The command.
        command: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

/// A SCSI status other than GOOD.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SCSI status {status:#04x}{}", .sense.as_ref().map(|s| format!(", {s}")).unwrap_or_default())]
pub struct ScsiError {
    /// The status byte.
    pub status: u8,
    /// Sense data, when there was any that can be read.
    pub sense: Option<Sense>,
}

impl ScsiError {
    /// The unit could not take the command just now: it is busy, full, or becoming ready, or has
    /// aborted it for a reason of its own. Not so one that waits for somebody to do something.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match Status::from_byte(self.status) {
            Status::Busy | Status::TaskSetFull | Status::AcaActive | Status::TaskAborted => true,
            Status::CheckCondition => self.sense.is_some_and(|sense| match sense.code() {
                (SenseKey::UnitAttention | SenseKey::AbortedCommand, ..) => true,
                (SenseKey::NotReady, 0x04, ascq) => ascq != MANUAL_INTERVENTION,
                _ => false,
            }),
            _ => false,
        }
    }

    /// A unit attention: the command was not carried out, because the unit had news to tell first.
    #[must_use]
    pub fn is_attention(&self) -> bool {
        let key = self.sense.map(|sense| sense.key);
        key == Some(SenseKey::UnitAttention)
    }

    /// There is no logical unit at the LUN (LOGICAL UNIT NOT SUPPORTED).
    #[must_use]
    pub fn is_no_unit(&self) -> bool {
        let sense = self.sense.map(|sense| sense.code());
        matches!(sense, Some((SenseKey::IllegalRequest, 0x25, _)))
    }
}

/// LOGICAL UNIT NOT READY, MANUAL INTERVENTION REQUIRED.
const MANUAL_INTERVENTION: u8 = 0x03;
