//! A failed call: status, what failed, where, what the other side said, what to do; and its way over gRPC.
use std::error::Error;
use std::fmt;
use std::ops::Deref;

use prost::Message;
use tonic::Code;

use crate::status::Status;
use crate::text::{clipped, printable};
use crate::v1::ErrorDetail;

/// Longest text, in bytes, of one field of a failure on the wire. All of it travels in HTTP/2 trailers, which
/// clients commonly bound at 16 KiB: five fields in base64 and the message make 12 KiB at most.
const MAX_FIELD_LEN: usize = 1024;

/// Longest `grpc-message`, in bytes; percent-encoding may make it three times as long.
const MAX_MESSAGE_LEN: usize = 512;

/// Metadata key that carries the status in hexadecimal, for tools that do not decode the details.
const STATUS_KEY: &str = "hawser-status";

/// Why a call failed, told so that a person can act on it and a program can match on its `status`.
///
/// The daemon makes one with [`Failure::new`] and the setters and converts it into a [`tonic::Status`]; the
/// client converts that back. It reads like a [`FailureReport`] (it derefs to one) and is one pointer
/// wide. Texts may come from a hostile target: they are kept as they are, and `Display` escapes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(Box<FailureReport>);

/// What a [`Failure`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReport {
    /// What kind of failure.
    pub status: Status,
    /// What failed, in a sentence.
    pub message: String,
    /// The target concerned, or empty.
    pub target: String,
    /// The portal concerned as `address:port`, or empty.
    pub portal: String,
    /// What the other side said, or empty.
    pub peer_said: String,
    /// What to do about it, or empty.
    pub advice: String,
}

impl Deref for Failure {
    type Target = FailureReport;

    fn deref(&self) -> &FailureReport {
        &self.0
    }
}

impl Failure {
    /// A failure with its kind and what failed; an empty message becomes the status's own text.
    #[must_use]
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.is_empty() {
            status.text().clone_into(&mut message);
        }
        Self(Box::new(FailureReport {
            status,
            message,
            target: String::new(),
            portal: String::new(),
            peer_said: String::new(),
            advice: String::new(),
        }))
    }

    /// Names the target concerned.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.0.target = target.into();
        self
    }

    /// Names the portal concerned.
    #[must_use]
    pub fn with_portal(mut self, portal: impl fmt::Display) -> Self {
        self.0.portal = portal.to_string();
        self
    }

    /// Adds what the other side said.
    #[must_use]
    pub fn with_peer_said(mut self, said: impl Into<String>) -> Self {
        self.0.peer_said = said.into();
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = advice.into();
        self
    }

    /// Reads what a gRPC status without our details can tell.
    fn from_bare(status: &tonic::Status) -> Self {
        let broken = status
            .source()
            .is_some_and(|cause| cause.is::<tonic::transport::Error>());
        // tonic tells an expired deadline as a cancelled call, by this text (`tonic::TimeoutExpired`).
        let late = status.code() == Code::Cancelled
            && status.message() == tonic::TimeoutExpired(()).to_string();
        let code = if late {
            Code::DeadlineExceeded
        } else {
            status.code()
        };
        let (code, advice) = match code {
            Code::Unknown if broken => (
                Status::SERVICE_NOT_RUNNING,
                "the daemon ended during the call, which may have been carried out: see its log",
            ),
            Code::Unavailable => (
                Status::SERVICE_NOT_RUNNING,
                "start hawserd, or look at its log",
            ),
            Code::DeadlineExceeded => (
                Status::ERROR_TIMEOUT,
                "the daemon may still carry the call out: look at its state before asking again",
            ),
            Code::Unimplemented => (
                Status::ERROR_CALL_NOT_IMPLEMENTED,
                "client and daemon are of different versions: restart hawserd",
            ),
            Code::PermissionDenied | Code::Unauthenticated => (Status::ERROR_ACCESS_DENIED, ""),
            Code::InvalidArgument => (Status::ERROR_INVALID_PARAMETER, ""),
            Code::ResourceExhausted => (Status::ERROR_NOT_ENOUGH_MEMORY, ""),
            _ => (Status::NON_SPECIFIC_ERROR, ""),
        };
        let mut message = status.message().to_owned();
        let mut source = status.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        Self::new(code, message).with_advice(advice)
    }
}

/// One line: message, target and portal, what the other side said, advice, status.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.message))?;
        let labelled = [
            ("target", &self.target),
            ("portal", &self.portal),
            ("peer said", &self.peer_said),
        ];
        for (label, text) in labelled {
            if !text.is_empty() {
                write!(f, "; {label}: {}", printable(text))?;
            }
        }
        if !self.advice.is_empty() {
            write!(f, "; what to do: {}", printable(&self.advice))?;
        }
        write!(f, " [{}]", self.status)
    }
}

impl Error for Failure {}

impl From<Failure> for ErrorDetail {
    /// Clips each text to what may travel.
    fn from(failure: Failure) -> Self {
        Self {
            status: failure.status.code(),
            message: clipped(&failure.message, MAX_FIELD_LEN),
            target: clipped(&failure.target, MAX_FIELD_LEN),
            portal: clipped(&failure.portal, MAX_FIELD_LEN),
            peer_said: clipped(&failure.peer_said, MAX_FIELD_LEN),
            advice: clipped(&failure.advice, MAX_FIELD_LEN),
        }
    }
}

impl From<ErrorDetail> for Failure {
    fn from(detail: ErrorDetail) -> Self {
        Self(Box::new(FailureReport {
            status: Status::from_code(detail.status),
            message: detail.message,
            target: detail.target,
            portal: detail.portal,
            peer_said: detail.peer_said,
            advice: detail.advice,
        }))
    }
}

impl From<Failure> for tonic::Status {
    fn from(failure: Failure) -> Self {
        let status = failure.status;
        let message = clipped(&failure.message, MAX_MESSAGE_LEN);
        let details = ErrorDetail::from(failure).encode_to_vec();
        let code = match status.grpc_code() {
            Code::Ok => Code::Internal,
            code => code,
        };
        let mut rpc = Self::with_details(code, message, details.into());
        if let Ok(value) = format!("{:#010x}", status.code()).parse() {
            rpc.metadata_mut().insert(STATUS_KEY, value);
        }
        rpc
    }
}

impl From<tonic::Status> for Failure {
    fn from(rpc: tonic::Status) -> Self {
        match ErrorDetail::decode(rpc.details()) {
            Ok(detail) if !rpc.details().is_empty() && detail.status != 0 => detail.into(),
            _ => Self::from_bare(&rpc),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Failure {
        Failure::new(Status::AUTHENTICATION_FAILURE, "login failed")
            .with_target("iqn.2026-01.example:a")
            .with_portal("192.0.2.10:3260")
            .with_peer_said("status class 2 detail 1")
            .with_advice("check the CHAP secret")
    }

    #[test]
    fn survives_the_way_over_grpc() {
        let rpc = tonic::Status::from(refused());
        assert_eq!(rpc.code(), Code::FailedPrecondition);
        assert_eq!(
            rpc.metadata().get("hawser-status").expect("is set"),
            "0xefff0009"
        );
        assert_eq!(Failure::from(rpc), refused());
    }

    #[test]
    fn a_long_text_is_clipped_so_that_it_fits_into_trailers() {
        let long = "é".repeat(100_000);
        let failure = refused().with_peer_said(long.clone()).with_advice(long);
        let rpc = tonic::Status::from(failure);
        assert!(
            rpc.details().len() < 6 * MAX_FIELD_LEN,
            "{}",
            rpc.details().len()
        );
        let back = Failure::from(rpc);
        assert!(back.peer_said.ends_with("é…"));
        assert_eq!(back.status, Status::AUTHENTICATION_FAILURE);
    }

    #[test]
    fn shows_everything_on_one_harmless_line() {
        let shown = refused().with_peer_said("no\n\x1b[2J").to_string();
        assert_eq!(
            shown,
            "login failed; target: iqn.2026-01.example:a; portal: 192.0.2.10:3260; \
             peer said: no\\u{a}\\u{1b}[2J; what to do: check the CHAP secret \
             [ISDSC_AUTHENTICATION_FAILURE (0xefff0009)]"
        );
    }

    #[test]
    fn a_foreign_grpc_status_is_still_told_by_a_status() {
        let cases = [
            (Code::Unavailable, Status::SERVICE_NOT_RUNNING),
            (Code::DeadlineExceeded, Status::ERROR_TIMEOUT),
            (Code::Unimplemented, Status::ERROR_CALL_NOT_IMPLEMENTED),
            (Code::PermissionDenied, Status::ERROR_ACCESS_DENIED),
            (Code::Unknown, Status::NON_SPECIFIC_ERROR),
        ];
        for (code, status) in cases {
            assert_eq!(Failure::from(tonic::Status::new(code, "x")).status, status);
        }
        let rubbish = tonic::Status::with_details(Code::Internal, "x", vec![0xff; 9].into());
        assert_eq!(Failure::from(rubbish).status, Status::NON_SPECIFIC_ERROR);
    }
}
