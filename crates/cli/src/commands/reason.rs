//! A failure that is part of an answer: why a disk is not ready, why a portal did not answer.

use hawser_api::v1::ErrorDetail;
use hawser_api::{Failure, Status};
use serde::Serialize;

/// A failure in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct ReasonView {
    /// Name of the status, such as `ISDSC_CONNECTION_FAILED`.
    status: &'static str,
    /// Number of the status.
    code: u32,
    message: String,
    target: Option<String>,
    portal: Option<String>,
    peer_said: Option<String>,
    advice: Option<String>,
}

impl From<&ErrorDetail> for ReasonView {
    fn from(detail: &ErrorDetail) -> Self {
        Self {
            status: Status::from_code(detail.status).name(),
            code: detail.status,
            message: detail.message.clone(),
            target: some(&detail.target),
            portal: some(&detail.portal),
            peer_said: some(&detail.peer_said),
            advice: some(&detail.advice),
        }
    }
}

/// The text unless it is empty: in JSON, nothing is null.
pub(crate) fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A failure in a few words for a cell of a table: what happened and what the peer said, unless the
/// one says the other already.
pub(crate) fn short(detail: Option<&ErrorDetail>) -> String {
    match detail {
        None => String::new(),
        Some(detail) if detail.message.contains(&detail.peer_said) => detail.message.clone(),
        Some(detail) => format!("{} (peer said: {})", detail.message, detail.peer_said),
    }
}

/// A failure whole, on one line; already harmless.
pub(crate) fn whole(detail: &ErrorDetail) -> String {
    Failure::from(detail.clone()).to_string()
}
