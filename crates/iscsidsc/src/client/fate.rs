//! What became of a call that failed: whether the daemon can have carried it out.

use std::error::Error;

use tonic::Code;

/// What is known of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The daemon, or a deadline, said how it ended.
    Answered,
    /// The connection failed before the daemon was told of the call.
    NotSent,
    /// The connection broke: it may have been carried out, or not.
    Unknown,
}

/// Judges by what the layers below have told: tonic keeps their errors as sources of its own.
pub(super) fn of(refused: &tonic::Status) -> Fate {
    if !refused.details().is_empty() {
        return Fate::Answered;
    }
    let mut connection_failed = false;
    let mut cause = refused.source();
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return Fate::Answered;
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            // Cancelled is what hyper calls a request that it gives back unsent.
            if error.is_canceled() {
                return Fate::NotSent;
            }
            connection_failed = true;
        }
        if error.is::<tonic::ConnectError>() {
            return Fate::NotSent;
        }
        connection_failed |= error.is::<tonic::transport::Error>();
        cause = error.source();
    }
    match refused.code() {
        // HTTP/2's REFUSED_STREAM, and connections that could not be made: never looked at.
        Code::Unavailable if connection_failed => Fate::NotSent,
        _ if connection_failed => Fate::Unknown,
        // What tonic makes up when a stream ends without its trailers.
        Code::Unknown | Code::Internal if refused.metadata().is_empty() => Fate::Unknown,
        _ => Fate::Answered,
    }
}

#[cfg(test)]
mod tests {
    use hawser_api::{Failure, Status};

    use super::*;

    #[test]
    fn what_the_daemon_says_is_an_answer() {
        let said = Failure::new(Status::TARGET_NOT_FOUND, "no such target");
        assert_eq!(of(&tonic::Status::from(said)), Fate::Answered);
        let said = Failure::new(Status::SERVICE_NOT_RUNNING, "it is ending");
        assert_eq!(of(&tonic::Status::from(said)), Fate::Answered);
        assert_eq!(of(&tonic::Status::unimplemented("old")), Fate::Answered);
    }

    #[test]
    fn a_deadline_is_an_answer() {
        let late = tonic::Status::from_error(Box::new(tonic::TimeoutExpired(())));
        assert_eq!(of(&late), Fate::Answered);
    }

    #[test]
    fn a_stream_without_an_end_is_not_known() {
        assert_eq!(of(&tonic::Status::unknown("stream ended")), Fate::Unknown);
    }
}
