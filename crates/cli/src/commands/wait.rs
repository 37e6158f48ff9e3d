//! `hawser wait`: ends well only when every bound volume is usable.

use std::time::Duration;

use hawser_api::v1::{WaitOutcome, WaitRequest, WaitUpdate};
use hawser_api::{Failure, Status};
use serde::Serialize;

use super::Daemon;
use super::bound::BoundView;
use crate::args::WaitArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, to_json};
use crate::progress::Spinner;

/// How long the daemon may be late with its last word before it counts as hung.
const GRACE: Duration = Duration::from_secs(15);

/// `hawser wait`.
///
/// # Errors
/// [`Exit::TimedOut`] with what is missing and why; or the daemon could not be asked.
pub(crate) async fn run(daemon: &Daemon, args: WaitArgs) -> Result<(), CliError> {
    let timeout = args
        .timeout
        .map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    let client = daemon.client().await?;
    let request = WaitRequest {
        timeout_ms: timeout,
    };
    let mut updates = client.volumes().wait(request).await?.into_inner();
    let spinner = Spinner::start("waiting for the bound volumes");
    let mut limit = GRACE;
    let last = loop {
        let next = tokio::time::timeout(limit, updates.message()).await;
        let Some(update) = next.map_err(|_| hung())?? else {
            return Err(ended());
        };
        if update.outcome() != WaitOutcome::Pending {
            break update;
        }
        limit = Duration::from_millis(update.remaining_ms).saturating_add(GRACE);
        spinner.say(&waiting_for(&update));
    };
    drop(spinner);
    if args.output.json {
        output::print(&to_json(&WaitView::from(&last)))?;
    }
    finish(&last, args.output.json)
}

/// What is waited for, for the terminal.
fn waiting_for(update: &WaitUpdate) -> String {
    let paths: Vec<&str> = update
        .missing
        .iter()
        .map(|volume| volume.path.as_str())
        .collect();
    format!(
        "waiting for {} of {}: {}",
        paths.len(),
        update.total,
        paths.join(" ")
    )
}

fn hung() -> CliError {
    Failure::new(Status::ERROR_TIMEOUT, "the daemon does not answer any more")
        .with_advice("look at its log")
        .into()
}

fn ended() -> CliError {
    Failure::new(
        Status::SERVICE_NOT_RUNNING,
        "the daemon ended before the wait was over",
    )
    .with_advice("look at its log")
    .into()
}

/// How a wait ended, in JSON.
#[derive(Debug, Serialize)]
struct WaitView<'a> {
    all_usable: bool,
    total: u32,
    missing: Vec<BoundView<'a>>,
}

impl<'a> From<&'a WaitUpdate> for WaitView<'a> {
    fn from(update: &'a WaitUpdate) -> Self {
        Self {
            all_usable: update.outcome() == WaitOutcome::AllUsable,
            total: update.total,
            missing: update.missing.iter().map(Into::into).collect(),
        }
    }
}

fn finish(update: &WaitUpdate, quiet: bool) -> Result<(), CliError> {
    if update.outcome() == WaitOutcome::AllUsable {
        if quiet {
            return Ok(());
        }
        return output::print(&match update.total {
            0 => "no volume is bound: nothing to wait for".to_owned(),
            1 => "the bound volume is usable".to_owned(),
            total => format!("all {total} bound volumes are usable"),
        });
    }
    let count = update.missing.len();
    let message = format!(
        "{count} of {} bound volumes not usable in time",
        update.total
    );
    let mut error = CliError::new(Exit::TimedOut, message);
    for volume in &update.missing {
        error = error.with("missing", missing(volume));
    }
    Err(error.with("status", Status::PERSISTENT_LOGIN_TIMEOUT.to_string()))
}

/// A missing volume and why. The reason is harmless already and must not be escaped twice.
fn missing(volume: &hawser_api::v1::BoundVolume) -> String {
    let Some(reason) = &volume.reason else {
        return volume.path.clone();
    };
    let mut text = format!("{}: {}", volume.path, reason.message);
    let labelled = [
        ("target", &reason.target),
        ("portal", &reason.portal),
        ("peer said", &reason.peer_said),
        ("what to do", &reason.advice),
    ];
    for (label, detail) in labelled {
        if !detail.is_empty() {
            text += &format!("; {label}: {detail}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use hawser_api::v1::{BoundVolume, ErrorDetail};

    use super::*;

    fn timed_out() -> WaitUpdate {
        let mut update = WaitUpdate {
            total: 2,
            missing: vec![BoundVolume {
                path: "/srv/data".to_owned(),
                reason: Some(ErrorDetail {
                    message: "the target does not answer".to_owned(),
                    target: "iqn.2026-01.example:a".to_owned(),
                    portal: "192.0.2.10:3260".to_owned(),
                    peer_said: "connection refused\x1b".to_owned(),
                    ..ErrorDetail::default()
                }),
                ..BoundVolume::default()
            }],
            ..WaitUpdate::default()
        };
        update.set_outcome(WaitOutcome::TimedOut);
        update
    }

    #[test]
    fn what_is_missing_is_listed_with_its_reason() {
        let error = finish(&timed_out(), false).expect_err("it is missing");
        assert_eq!(error.exit(), Exit::TimedOut);
        let report = error.report("hawser");
        let expected = "missing: /srv/data: the target does not answer; \
                        target: iqn.2026-01.example:a; portal: 192.0.2.10:3260; \
                        peer said: connection refused\\u{1b}\n";
        assert!(report.contains(expected), "{report}");
        assert!(report.starts_with("hawser: 1 of 2 bound volumes not usable in time\n"));
    }

    #[test]
    fn the_json_lists_what_is_missing() {
        let json = to_json(&WaitView::from(&timed_out()));
        let json: serde_json::Value = serde_json::from_str(&json).expect("is JSON");
        assert_eq!(json["all_usable"], false);
        assert_eq!(json["missing"][0]["path"], "/srv/data");
        assert_eq!(json["missing"][0]["reason"], "the target does not answer");
    }
}
