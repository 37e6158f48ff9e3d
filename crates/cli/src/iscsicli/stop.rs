//! What a command answers, and why it stops.

use hawser_api::{Failure, Status};
use serde_json::Value;

use super::page::Page;

/// What a command that was carried out says.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// What is printed between banner and status.
    pub(super) page: Page,
    /// The same for `--json`.
    pub(super) json: Value,
    /// A warning status (carried out, with a reservation), or 0.
    pub(super) warning: u32,
    /// What a person should know, for stderr.
    pub(super) notes: Vec<String>,
}

impl Answer {
    /// Nothing to say but that it is done.
    pub(super) fn done() -> Self {
        Self::default()
    }

    /// A page, and the same in JSON.
    pub(super) fn new(page: Page, json: Value) -> Self {
        Self {
            page,
            json,
            ..Self::default()
        }
    }

    /// Adds something that a person should know.
    #[must_use]
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Sets the warning status.
    #[must_use]
    pub(super) fn warning(mut self, warning: u32) -> Self {
        self.warning = warning;
        self
    }
}

/// Why a command was not carried out.
#[derive(Debug)]
pub(super) enum Stop {
    /// The number of words or their form is wrong. The usage of the command is printed and, as on
    /// Windows, the status is success; stderr says what was wrong.
    Usage(String),
    /// A line is printed and, as on Windows, the status is success.
    Said(String),
    /// It failed.
    Failed {
        /// What is printed before the status.
        page: Page,
        /// Why.
        failure: Failure,
    },
}

impl Stop {
    /// A value that cannot be, told by a line of its own on stdout.
    pub(super) fn invalid_line(line: &str, why: impl Into<String>) -> Self {
        let mut page = Page::default();
        page.line(line);
        Self::Failed {
            page,
            failure: Failure::new(Status::ERROR_INVALID_PARAMETER, why),
        }
    }

    /// A value that cannot be.
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Failure::new(Status::ERROR_INVALID_PARAMETER, why).into()
    }

    /// The same with a page printed before the status.
    #[must_use]
    pub(super) fn after(self, before: &Page) -> Self {
        match self {
            Self::Failed { mut page, failure } => {
                page.put_before(before);
                Self::Failed { page, failure }
            }
            other => other,
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed {
            page: Page::default(),
            failure,
        }
    }
}

impl From<tonic::Status> for Stop {
    fn from(status: tonic::Status) -> Self {
        Failure::from(status).into()
    }
}
