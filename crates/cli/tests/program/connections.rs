//! Sessions of several connections: `hawser login --connections`, `session add-connection`, `remove-connection` and
//! `policy`, while files on the disk are used.

use hawser_testkit::peers::{TgtConfig, TgtTarget, Tgtd};
use serde_json::{Value, json};

use crate::hawser::Daemon;
use crate::targets::Embedded;
use crate::traffic::{DiskUse, Way};

const TARGET: &str = "iqn.2026-01.example:connections";
/// No session has this id.
const NOBODY: &str = "0000000000000001-0000000000000001";

/// tgt with one disk, which agrees to so many connections.
fn tgt(connections: u16) -> Tgtd {
    let target = TgtTarget::new(TARGET)
        .disks(1, 64 << 20)
        .parameter("MaxConnections", &connections.to_string())
        .parameter("ErrorRecoveryLevel", "2");
    Tgtd::start(TgtConfig::new().target(target)).expect("tgt runs")
}

/// Logs in with these options; gives the session's id.
fn log_in(daemon: &Daemon, options: &[&str]) -> String {
    let login = daemon.json(&[&["login", TARGET][..], options].concat());
    login["session"].as_str().expect("there is one").to_owned()
}

/// Waits until a session has so many connections; gives it.
fn with_connections(daemon: &Daemon, session: &str, count: usize) -> Value {
    crate::traffic::until("the connections", || {
        let shown = daemon.json(&["session", "show", session]);
        let there = shown["connections"].as_array().map(Vec::len) == Some(count);
        there.then_some(shown.clone()).ok_or(shown.to_string())
    })
}

/// CIDs of a session, as it is shown.
fn cids(shown: &Value) -> Vec<u64> {
    let connections = shown["connections"].as_array().into_iter().flatten();
    connections
        .filter_map(|connection| connection["cid"].as_u64())
        .collect()
}

/// What was said on stderr has all of these words.
#[track_caller]
fn has(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in\n{said}");
    }
}

#[test]
fn commands_spread_over_connections_that_are_added_and_removed() {
    let server = tgt(4);
    let way = Way::to(server.portal());
    let daemon = Daemon::start("fuse");
    daemon.ok(&["target", "add", TARGET, &way.portal()]);
    let session = log_in(&daemon, &["--max-connections", "4"]);
    let work = DiskUse::of(&daemon.disk(TARGET, 1));
    way.carries(&[0], &work);

    let said = daemon.ok(&["session", "add-connection", &session]);
    let expected = format!("session {session}: connection 1 to {}\n", way.portal());
    assert_eq!(said, expected);
    way.carries(&[0, 1], &work);
    // The way does not count what goes around it.
    let around = server.portal().to_string();
    let add = ["session", "add-connection", &session];
    let added = daemon.json(&[&add[..], &["--portal", &around]].concat());
    assert_eq!(added["portal"], around.as_str(), "{added}");
    let third = daemon.json(&add);
    assert_eq!((&added["cid"], &third["cid"]), (&json!(2), &json!(3)));
    assert_eq!(third["session"], session.as_str(), "{third}");
    way.carries(&[0, 1, 2], &work);
    has(
        &daemon.fails(1, &add),
        &["allows 4 connections", "ISDSC_TOO_MANY_CONNECTIONS", TARGET],
    );

    let shown = with_connections(&daemon, &session, 4);
    assert_eq!(shown["connections"][2]["connection"], added["connection"]);
    assert_eq!(shown["negotiated"]["max_connections"], 4, "{shown}");
    let text = daemon.ok(&["session", "show", &session]);
    has(&text, &["\nConnection 3 ", &around, "round-robin"]);

    let remove = ["session", "remove-connection", &session];
    let said = daemon.ok(&[&remove[..], &["1"]].concat());
    assert_eq!(said, format!("session {session}: connection 1 removed\n"));
    let removed = daemon.json(&[&remove[..], &["2"]].concat());
    assert_eq!(removed, added, "what came with it goes with it");
    assert_eq!(cids(&with_connections(&daemon, &session, 2)), [0, 3]);
    way.carries(&[0, 2], &work);
    work.end();
    let counters = &daemon.json(&["session", "show", &session])["counters"];
    assert_eq!(counters["reconnects"], 0, "{counters}");
    assert_eq!(counters["failed_commands"], 0, "{counters}");
}

#[test]
fn a_policy_says_which_connections_carry_the_commands() {
    let server = tgt(4);
    let way = Way::to(server.portal());
    let daemon = Daemon::start("fuse");
    daemon.ok(&["target", "add", TARGET, &way.portal()]);
    let session = log_in(&daemon, &["--max-connections", "3"]);
    // One after the other, so that they are the way's in the order of their CIDs.
    for _ in 0..2 {
        daemon.ok(&["session", "add-connection", &session]);
    }
    let work = DiskUse::of(&daemon.disk(TARGET, 1));
    way.carries(&[0, 1, 2], &work);

    let policy = ["session", "policy", &session];
    let said = daemon.ok(&[&policy[..], &["fail-over"]].concat());
    assert_eq!(said, format!("session {session}: fail-over\n"));
    way.carries_only(&[0], &work);
    let weighted = [&policy[..], &["weighted", "0=0", "1=2"]].concat();
    let said = daemon.ok(&weighted);
    assert_eq!(said, format!("session {session}: weighted 0=0 1=2\n"));
    way.carries_only(&[1, 2], &work);
    let weights = json!([{"cid": 0, "weight": 0}, {"cid": 1, "weight": 2}]);
    let expected = json!({"session": session, "policy": "weighted", "weights": weights});
    assert_eq!(daemon.json(&weighted), expected);
    let shown = daemon.json(&["session", "show", &session]);
    assert_eq!(shown["policy"], "weighted", "{shown}");
    assert_eq!(shown["weights"], weights, "{shown}");
    let text = daemon.ok(&["session", "show", &session]);
    has(&text, &["weighted 0=0 1=2\n"]);

    let refused = [&policy[..], &["round-robin", "0=1"]].concat();
    let said = daemon.fails(2, &refused);
    has(
        &said,
        &["only the weighted policy", "ERROR_INVALID_PARAMETER"],
    );
    daemon.fails(2, &[&policy[..], &["weighted", "1=1", "1=2"]].concat());
    let shown = daemon.json(&["session", "show", &session]);
    assert_eq!(shown["policy"], "weighted", "it stays as it was: {shown}");
    for even in ["least-queue-depth", "round-robin"] {
        let said = daemon.json(&[&policy[..], &[even]].concat());
        assert_eq!(said["policy"], even, "{said}");
        assert_eq!(said["weights"], json!([]), "{said}");
        way.carries(&[0, 1, 2], &work);
    }
    work.end();
}

#[test]
fn a_login_makes_as_many_connections_as_it_is_told() {
    let server = tgt(4);
    let way = Way::to(server.portal());
    let daemon = Daemon::start("fuse");
    daemon.ok(&["target", "add", TARGET, &way.portal()]);
    for level in ["0", "1", "2"] {
        let before = way.connections();
        let options = ["--connections", "3", "--error-recovery-level", level];
        let session = log_in(&daemon, &options);
        let shown = with_connections(&daemon, &session, 3);
        let negotiated = &shown["negotiated"];
        assert_eq!(negotiated["max_connections"], 3, "{shown}");
        assert_eq!(negotiated["error_recovery_level"].to_string(), level);
        let text = daemon.ok(&["session", "show", &session]);
        assert!(
            text.lines()
                .any(|line| line.starts_with("ErrorRecoveryLevel ") && line.ends_with(level)),
            "{text}"
        );
        let work = DiskUse::of(&daemon.disk(TARGET, 1));
        way.carries(&[before, before + 1, before + 2], &work);
        work.end();
        daemon.ok(&["logout", &session]);
    }
}

#[test]
fn a_target_that_agrees_to_fewer_connections_has_those() {
    let server = tgt(1);
    let daemon = Daemon::start("none");
    daemon.ok(&["portal", "add", &server.portal().to_string()]);
    let session = log_in(&daemon, &["--connections", "3"]);
    let shown = daemon.json(&["session", "show", &session]);
    assert_eq!(shown["negotiated"]["max_connections"], 1, "{shown}");
    assert_eq!(cids(&shown), [0]);
    let said = daemon.fails(1, &["session", "add-connection", &session]);
    let words = [
        "allows one connection, which it has",
        "--max-connections",
        "ISDSC_TOO_MANY_CONNECTIONS",
    ];
    has(&said, &words);
    let said = daemon.fails(1, &["session", "remove-connection", &session, "0"]);
    let words = [
        "the last connection",
        "log the session out",
        "ISDSC_CANT_REMOVE_LAST_CONNECTION",
    ];
    has(&said, &words);
}

#[test]
fn what_cannot_be_done_to_connections_is_told() {
    let daemon = Daemon::start("none");
    let target = Embedded::start(&["--target", TARGET, "--lun", "ram:1M"]);
    daemon.ok(&["portal", "add", &target.portal()]);
    let session = log_in(&daemon, &["--connections", "2", "--max-connections", "3"]);
    let before = cids(&with_connections(&daemon, &session, 2));
    for words in [
        &["add-connection", NOBODY][..],
        &["remove-connection", NOBODY, "0"],
        &["policy", NOBODY, "round-robin"],
    ] {
        let said = daemon.fails(5, &[&["session"][..], words].concat());
        has(&said, &["ISDSC_INVALID_SESSION_ID", NOBODY]);
    }
    let remove = ["session", "remove-connection", &session];
    let said = daemon.fails(1, &[&remove[..], &["0"]].concat());
    let words = [
        "the leading connection",
        "log the session out",
        "ISDSC_CANNOT_REMOVE_LEADING_CONNECTION",
    ];
    has(&said, &words);
    let said = daemon.fails(5, &[&remove[..], &["7"]].concat());
    let words = [
        "has no connection 7",
        "hawser session show",
        "ISDSC_INVALID_CONNECTION_ID",
    ];
    has(&said, &words);
    // Nobody listens there.
    let nowhere = "127.0.0.1:1".to_owned();
    let add = ["session", "add-connection", &session, "--portal", &nowhere];
    let said = daemon.fails(7, &add);
    has(&said, &[&nowhere, TARGET, "ISDSC_CONNECTION_FAILED"]);
    let shown = daemon.json(&["session", "show", &session]);
    assert_eq!(cids(&shown), before, "nothing has changed");
}

#[test]
fn wrong_words_about_connections_are_refused_before_anything_is_done() {
    let daemon = Daemon::start("none");
    for (words, expected) in [
        (&["--error-recovery-level", "3"][..], "0..=2"),
        (&["--connections", "0"], "1..=16"),
        (&["--connections", "17"], "1..=16"),
        (&["--max-connections", "65536"], "1..=65535"),
        (
            &["--connections", "3", "--max-connections", "2"],
            "--connections 3 is more than --max-connections 2",
        ),
    ] {
        let said = daemon.fails(2, &[&["login", TARGET][..], words].concat());
        has(&said, &[expected]);
    }
    for (words, expected) in [
        (&["policy", NOBODY, "weighted", "0:1"][..], "CID=WEIGHT"),
        (&["policy", NOBODY, "weighted", "0=65536"], "0 to 65535"),
        (&["policy", NOBODY, "some"], "least-queue-depth"),
        (&["remove-connection", NOBODY, "65536"], "65536"),
        (&["add-connection", "what"], "what"),
    ] {
        let said = daemon.fails(2, &[&["session"][..], words].concat());
        has(&said, &[expected]);
    }
}
