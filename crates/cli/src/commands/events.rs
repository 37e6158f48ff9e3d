//! `hawser events`.

use hawser_api::v1::{Event, Severity, WatchEventsRequest};
use serde::Serialize;

use super::Daemon;
use super::reason::{ReasonView, some};
use crate::args::{EventsArgs, SeverityChoice};
use crate::error::CliError;
use crate::output::{self, ShownLun, to_json_line};
use crate::progress;

/// `hawser events`.
///
/// # Errors
/// Why it failed, or why it ended early.
pub(crate) async fn run(daemon: &Daemon, args: EventsArgs) -> Result<(), CliError> {
    let minimum = match args.minimum {
        None => Severity::Unspecified,
        Some(SeverityChoice::Info) => Severity::Info,
        Some(SeverityChoice::Warning) => Severity::Warning,
        Some(SeverityChoice::Error) => Severity::Error,
    };
    let request = WatchEventsRequest {
        recent: args.recent.unwrap_or(0),
        follow: args.follow,
        minimum: minimum.into(),
    };
    let client = daemon.client().await?;
    let mut events = client.system().watch_events(request).await?.into_inner();
    // It answers; whatever there is to say now are events.
    progress::end();
    let mut last = None;
    while let Some(event) = events.message().await? {
        if let Some(lost) = gap(last, event.sequence, minimum) {
            output::note(&format!(
                "{lost} events were lost: they came faster than they were read"
            ));
        }
        last = Some(event.sequence);
        output::print(&if args.output.json {
            to_json_line(&EventView::from(&event)) + "\n"
        } else {
            line(&event)
        })?;
    }
    Ok(())
}

/// How many events are missing between two that were got. With a minimum nothing can be told, as
/// those left out leave gaps, too.
fn gap(last: Option<u64>, next: u64, minimum: Severity) -> Option<u64> {
    let unfiltered = matches!(minimum, Severity::Unspecified | Severity::Info);
    let missing = next.checked_sub(last?)?.checked_sub(1)?;
    (unfiltered && missing > 0).then_some(missing)
}

/// An event in JSON, one a line.
#[derive(Debug, Serialize)]
struct EventView<'a> {
    sequence: u64,
    time_ms: i64,
    severity: &'static str,
    kind: &'a str,
    detail: Option<ReasonView>,
    session: Option<String>,
    lun: Option<ShownLun>,
    path: Option<String>,
}

impl<'a> From<&'a Event> for EventView<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            sequence: event.sequence,
            time_ms: event.time_ms,
            severity: severity(event.severity()),
            kind: &event.kind,
            detail: event.detail.as_ref().map(Into::into),
            session: event.session_id.as_ref().map(ToString::to_string),
            lun: event.lun.map(Into::into),
            path: some(&event.path),
        }
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Unspecified => "unknown",
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// An event on one line. An event that is no failure has no status to show.
fn line(event: &Event) -> String {
    let mut text = format!(
        "{} {:<7} {}: ",
        output::time(event.time_ms),
        severity(event.severity()),
        event.kind
    );
    let detail = event.detail.clone().unwrap_or_default();
    text += &detail.message;
    let lun = event.lun.map(|lun| ShownLun::from(lun).to_string());
    let lun = lun.unwrap_or_default();
    let labelled = [
        ("target", &detail.target),
        ("LUN", &lun),
        ("portal", &detail.portal),
        ("path", &event.path),
        ("peer said", &detail.peer_said),
        ("what to do", &detail.advice),
    ];
    for (label, value) in labelled {
        if !value.is_empty() {
            text += &format!("; {label}: {value}");
        }
    }
    hawser_api::printable(&text) + "\n"
}

#[cfg(test)]
mod tests {
    use hawser_api::v1::ErrorDetail;

    use super::*;

    fn event() -> Event {
        let mut event = Event {
            sequence: 7,
            time_ms: 1_767_225_600_000,
            kind: "session-lost".to_owned(),
            detail: Some(ErrorDetail {
                message: "the connection was lost".to_owned(),
                target: "iqn.2026-01.example:a\n".to_owned(),
                portal: "192.0.2.10:3260".to_owned(),
                ..ErrorDetail::default()
            }),
            lun: Some(0x0001_0000_0000_0000),
            ..Event::default()
        };
        event.set_severity(Severity::Warning);
        event
    }

    #[test]
    fn an_event_is_one_harmless_line() {
        let expected = "2026-01-01 00:00:00Z warning session-lost: the connection was lost; \
                        target: iqn.2026-01.example:a\\u{a}; LUN: 1; portal: 192.0.2.10:3260\n";
        assert_eq!(line(&event()), expected);
    }

    #[test]
    fn an_event_is_one_line_of_json() {
        let text = to_json_line(&EventView::from(&event()));
        assert!(!text.contains('\n'), "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
        assert_eq!(json["kind"], "session-lost");
        assert_eq!(json["severity"], "warning");
        assert_eq!(json["lun"], 1);
    }

    #[test]
    fn gaps_show_where_nothing_was_left_out_on_purpose() {
        assert_eq!(gap(None, 5, Severity::Unspecified), None);
        assert_eq!(gap(Some(4), 5, Severity::Unspecified), None);
        assert_eq!(gap(Some(4), 8, Severity::Info), Some(3));
        assert_eq!(gap(Some(4), 8, Severity::Warning), None);
        assert_eq!(gap(Some(4), 1, Severity::Info), None);
    }
}
