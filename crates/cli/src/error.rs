//! Why a command failed, told so that a person can act on it, and the exit code that goes with it.

use std::io;

use hawser_api::{ConnectError, Failure, NoPlace, Status, printable};

use crate::exit::Exit;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct CliError {
    exit: Exit,
    /// What failed, in a sentence.
    message: String,
    /// Labelled details: target, portal, what the peer said, what to do, status.
    details: Vec<(&'static str, String)>,
}

impl CliError {
    /// A failure of our own.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// The command line cannot be carried out.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A system call failed; `what` says what was tried.
    pub(crate) fn io(what: impl Into<String>, error: &io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::PermissionDenied => Exit::NotPermitted,
            io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Failed,
        };
        Self::new(exit, format!("{}: {error}", what.into()))
    }

    /// Adds a detail unless it is empty.
    #[must_use]
    pub(crate) fn with(mut self, label: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.details.push((label, text));
        }
        self
    }

    /// Adds what to do.
    #[must_use]
    pub(crate) fn advice(self, text: impl Into<String>) -> Self {
        self.with("what to do", text)
    }

    /// How the program ends for it.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// What failed, without the details.
    pub(crate) fn into_message(self) -> String {
        self.message
    }

    /// What is written to stderr: the message, then one line a detail. Texts of others are escaped.
    pub(crate) fn report(&self, program: &str) -> String {
        let mut text = format!("{program}: {}\n", printable(&self.message));
        let width = self
            .details
            .iter()
            .map(|(label, _)| label.len())
            .max()
            .unwrap_or(0);
        for (label, detail) in &self.details {
            let padding = " ".repeat(width - label.len());
            text.push_str(&format!("  {label}:{padding} {}\n", printable(detail)));
        }
        text
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        Self::new(Exit::for_status(failure.status), failure.message.clone())
            .with("target", failure.target.clone())
            .with("portal", failure.portal.clone())
            .with("peer said", failure.peer_said.clone())
            .advice(failure.advice.clone())
            .with("status", failure.status.to_string())
    }
}

impl From<tonic::Status> for CliError {
    fn from(status: tonic::Status) -> Self {
        Failure::from(status).into()
    }
}

impl From<ConnectError> for CliError {
    fn from(error: ConnectError) -> Self {
        Failure::from(error).into()
    }
}

impl From<NoPlace> for CliError {
    fn from(error: NoPlace) -> Self {
        Failure::new(Status::SERVICE_NOT_RUNNING, error.to_string())
            .with_advice("name the daemon's socket with --socket or HAWSER_SOCKET")
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_whole_and_harmlessly() {
        let failure = Failure::new(Status::AUTHENTICATION_FAILURE, "login failed")
            .with_target("iqn.2026-01.example:a")
            .with_portal("192.0.2.10:3260")
            .with_peer_said("status class 2 detail 1\x1b[2J")
            .with_advice("check the CHAP secret");
        let error = CliError::from(failure);
        assert_eq!(error.exit(), Exit::Refused);
        assert_eq!(
            error.report("hawser"),
            "hawser: login failed\n\
             \x20 target:     iqn.2026-01.example:a\n\
             \x20 portal:     192.0.2.10:3260\n\
             \x20 peer said:  status class 2 detail 1\\u{1b}[2J\n\
             \x20 what to do: check the CHAP secret\n\
             \x20 status:     ISDSC_AUTHENTICATION_FAILURE (0xefff0009)\n"
        );
    }

    #[test]
    fn empty_details_are_left_out() {
        let error = CliError::from(Failure::new(Status::NON_SPECIFIC_ERROR, "it broke"));
        assert_eq!(error.report("hawser").lines().count(), 2);
        assert_eq!(CliError::usage("no").report("hawser"), "hawser: no\n");
    }
}
