//! What `portal` prints.

use hawser_api::v1::{ErrorDetail, Portal};

use super::*;

fn portal() -> Portal {
    "192.0.2.10".parse().expect("is one")
}

fn refused() -> ErrorDetail {
    ErrorDetail {
        status: 0xefff_0003,
        message: "cannot connect".to_owned(),
        peer_said: "connection refused".to_owned(),
        ..ErrorDetail::default()
    }
}

#[test]
fn stored_portals_are_listed() {
    let stored = [
        StoredPortal {
            portal: Some(portal()),
            targets: vec!["iqn.2026-01.example:a".to_owned()],
            last_answer_ms: Some(1_767_225_600_000),
            ..StoredPortal::default()
        },
        StoredPortal {
            portal: Some("[2001:db8::1]:3261".parse().expect("is one")),
            last_error: Some(refused()),
            ..StoredPortal::default()
        },
    ];
    let expected = "\
PORTAL              TARGETS  LAST ANSWER           LOGIN  LAST ERROR
192.0.2.10:3260           1  2026-01-01 00:00:00Z  -      -
[2001:db8::1]:3261        0  -                     -      cannot connect (peer said: connection refused)
";
    assert_eq!(table(&stored), expected);
    let json: serde_json::Value = serde_json::from_str(&json(&stored)).expect("is JSON");
    assert_eq!(json[0]["portal"], "192.0.2.10:3260");
    assert_eq!(json[0]["targets"][0], "iqn.2026-01.example:a");
    assert_eq!(json[1]["last_error"]["peer_said"], "connection refused");
}

#[test]
fn found_targets_are_named_harmlessly() {
    let text = found("192.0.2.10:3260 added", &["iqn.a\x1b[2J".to_owned()]);
    assert_eq!(
        text,
        "192.0.2.10:3260 added; 1 target:\n  iqn.a\\u{1b}[2J\n"
    );
    assert_eq!(found("x", &[]), "x; it has no targets for us\n");
}

#[test]
fn each_refreshed_portal_has_its_outcome() {
    let refreshed = [
        PortalRefresh {
            portal: Some(portal()),
            targets: Vec::new(),
            error: None,
        },
        PortalRefresh {
            portal: Some(portal()),
            targets: Vec::new(),
            error: Some(refused()),
        },
    ];
    let text = refreshed_text(&refreshed);
    assert!(
        text.starts_with("192.0.2.10:3260 answered; it has no targets for us\n"),
        "{text}"
    );
    assert!(text.contains("192.0.2.10:3260: cannot connect; peer said: connection refused ["));
    let error = first_failure(&refreshed).expect_err("one failed");
    assert_eq!(error.exit().number(), 7);
}
