//! What the engine and the exporter say failed, as callers are told of it: status, what the peer said,
//! what to do.

use hawser_api::{Failure, Status};
use hawser_engine::discovery::DiscoveryError;
use hawser_engine::{ConnectFailure, LoginErrorKind, LoginFailure, LoginFailureKind, SessionError};

/// A failed login or discovery.
pub(crate) fn of_login(failure: &LoginFailure) -> Failure {
    let (status, said, advice) = match &failure.kind {
        LoginFailureKind::Connect(connect) => of_connect(connect),
        LoginFailureKind::Silent { waiting, .. } => (
            Status::CONNECTION_FAILED,
            format!("nothing more, {waiting}"),
            "it took the connection and then fell silent: look at its log, then try again",
        ),
        LoginFailureKind::Login(error) => of_login_error(&error.kind),
        LoginFailureKind::Discovery(DiscoveryError::Closed) => (
            Status::CONNECTION_FAILED,
            "it closed the connection before it had answered".to_owned(),
            "",
        ),
        LoginFailureKind::Discovery(error) => (
            Status::INVALID_SENDTARGETS_TEXT,
            error.to_string(),
            "the portal's answer cannot be used: look at the target's configuration",
        ),
        LoginFailureKind::TooManyRedirects { permanent, .. } => (
            if *permanent {
                Status::TARGET_MOVED_PERMANENTLY
            } else {
                Status::TARGET_MOVED_TEMPORARILY
            },
            String::new(),
            "the target's portals lead to each other: check its configuration",
        ),
        other => (Status::LOGIN_FAILED, other.to_string(), ""),
    };
    let mut told = Failure::new(status, failure.to_string())
        .with_peer_said(said)
        .with_advice(advice);
    if let Some(target) = &failure.target {
        told = told.with_target(target.as_str());
    }
    if let Some(portal) = &failure.portal {
        told = told.with_portal(portal);
    }
    told
}

fn of_connect(failure: &ConnectFailure) -> (Status, String, &'static str) {
    match failure {
        ConnectFailure::Resolve(why) => (
            Status::DNS_NAME_UNRESOLVED,
            why.clone(),
            "check the portal's name, or give its IP address",
        ),
        ConnectFailure::Source { why, .. } => (
            Status::CONNECTION_FAILED,
            why.clone(),
            "give this address to an interface of this machine, or log in without a source address",
        ),
        ConnectFailure::Connect(why) | ConnectFailure::Lost(why) => (
            Status::CONNECTION_FAILED,
            why.clone(),
            "check that the target runs and that the network and firewalls let its port through",
        ),
        other => (
            Status::CONNECTION_FAILED,
            other.to_string(),
            "check that the target runs and that the network and firewalls let its port through",
        ),
    }
}

fn of_login_error(kind: &LoginErrorKind) -> (Status, String, &'static str) {
    match kind {
        LoginErrorKind::Refused { status: said, .. } => {
            let status = Status::from_login_status(said.class, said.detail);
            (status, said.to_string(), advice_for(status))
        }
        LoginErrorKind::Authentication(why) => (
            Status::AUTHENTICATION_FAILURE,
            why.to_string(),
            "check the CHAP names and secrets on both sides",
        ),
        LoginErrorKind::Unacceptable(why) => (
            Status::LOGIN_FAILED,
            why.to_string(),
            "offer the other digest setting with --header-digest or --data-digest",
        ),
        LoginErrorKind::Config(why) => (Status::LOGIN_USER_INFO_BAD, why.to_string(), ""),
        LoginErrorKind::Closed => (
            Status::CONNECTION_FAILED,
            "it closed the connection".to_owned(),
            "",
        ),
        other => (
            Status::INVALID_TEXT_KEY,
            other.to_string(),
            "the target breaks the protocol",
        ),
    }
}

fn advice_for(status: Status) -> &'static str {
    match status {
        Status::AUTHENTICATION_FAILURE => "check the CHAP name and secret on both sides",
        Status::AUTHORIZATION_FAILURE => {
            "let this initiator in on the target: `hawser node-name` shows its name"
        }
        Status::NOT_FOUND | Status::TARGET_REMOVED => {
            "refresh the portals: the target may have another name, or not admit this initiator"
        }
        Status::TOO_MANY_CONNECTIONS => {
            "the target takes no more connections: end some, or raise its limit"
        }
        Status::CANT_INCLUDE_IN_SESSION => {
            "a session stays in one portal group: name a portal of it (`hawser target info` shows them)"
        }
        Status::SERVICE_UNAVAILABLE | Status::OUT_OF_RESOURCES | Status::TARGET_ERROR => {
            "the target is in trouble: look at its log, then try again"
        }
        _ => "",
    }
}

/// A failed request to a session.
pub(crate) fn of_session(error: &SessionError, target: &str) -> Failure {
    let status = match error {
        SessionError::Closed(_) => Status::INVALID_SESSION_ID,
        SessionError::Disconnected(_) => Status::NO_CONNECTION_AVAILABLE,
        SessionError::Interrupted(_) | SessionError::Aborted(_) => Status::TRANSPORT_ERROR,
        SessionError::TimedOut(_) => Status::ERROR_TIMEOUT,
        SessionError::Scsi(_) => Status::SCSI_REQUEST_FAILED,
        _ => Status::TARGET_ERROR,
    };
    Failure::new(status, error.to_string()).with_target(target)
}
