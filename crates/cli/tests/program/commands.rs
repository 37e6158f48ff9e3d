//! Commands that the main job does not use, against a real daemon and target.

use serde_json::{Value, json};

use crate::hawser::{Daemon, code};
use crate::targets::{Embedded, SECRET, USER};

const TARGET: &str = "iqn.2026-01.example:commands";
/// What the target proves itself with in mutual CHAP.
const OWN_SECRET: &str = "secret-of-us-16b";

#[test]
fn mutual_chap_with_the_initiators_own_secret() {
    let daemon = Daemon::start("none");
    let (file, own) = (daemon.path("secret"), daemon.path("own"));
    std::fs::write(&file, format!("{SECRET}\n")).expect("written");
    std::fs::write(&own, OWN_SECRET).expect("written");
    let (file, own) = (
        file.to_str().expect("is UTF-8"),
        own.to_str().expect("is UTF-8"),
    );
    let disk = ["--target", TARGET, "--lun", "ram:1M"];
    let chap = ["--chap-user", USER, "--chap-secret-file", file];
    let prove = ["--mutual-user", "them", "--mutual-secret-file", own];
    let target = Embedded::start(&[&disk[..], &chap, &prove].concat());
    daemon.ok(&["portal", "add", &target.portal()]);

    let login = [&["login", TARGET], &chap[..], &["--mutual"]].concat();
    let set = |secret: &str| {
        let output = daemon
            .ask(&["chap-secret", "set"])
            .input(secret)
            .run()
            .expect("ended");
        assert_eq!(code(&output), 0, "{}", output.stderr);
    };
    set("not-their-secret");
    let said = daemon.fails(8, &login);
    assert!(
        said.contains(TARGET) && said.contains("ISDSC_AUTHENTICATION_FAILURE"),
        "{said}"
    );
    set(OWN_SECRET);
    assert_eq!(daemon.json(&["status"])["chap_secret_set"], true);
    daemon.ok(&login);
    let sessions = daemon.json(&["session", "list"]);
    assert_eq!(
        sessions[0]["authentication"]["type"], "mutual-chap",
        "{sessions}"
    );
    daemon.ok(&["logout", TARGET]);

    daemon.ok(&["chap-secret", "clear"]);
    assert_eq!(daemon.json(&["status"])["chap_secret_set"], false);
    daemon.fails(
        8,
        &[
            &login[..],
            &["--mutual-user", "somebody", "--mutual-secret-file", own],
        ]
        .concat(),
    );
    daemon.ok(&[
        &login[..],
        &["--mutual-user", "them", "--mutual-secret-file", own],
    ]
    .concat());
}

#[test]
fn the_status_has_every_setting_and_no_secret() {
    let mut daemon = Daemon::start("none");
    let text = daemon.ok(&["status"]);
    assert!(text.contains("\nIKE identities     none\n"), "{text}");
    for line in [
        "QAddTarget iqn.2026-01.example:static 192.0.2.1",
        "CHAPSecret a-secret-of-many",
        "GroupKey the-key-of-all T",
        "PSKey * * 0x43 2 a.example the-key-of-one F",
        "TunnelAddr * * 192.0.2.9 192.0.2.254 T",
    ] {
        let words: Vec<&str> = ["iscsicli"].into_iter().chain(line.split(' ')).collect();
        daemon.ok(&words);
    }
    // Nobody answers there, but it is kept.
    let portal = daemon.run(&["portal", "add", "127.0.0.1:1"]);
    assert_ne!(code(&portal), 0, "{}", portal.stdout);
    let text = daemon.ok(&["status"]);
    for line in [
        "\nStatic targets     iqn.2026-01.example:static: 192.0.2.1:3260\n",
        "\nOwn CHAP secret    set\n",
        "\nRADIUS servers     none\n",
        "\nRADIUS secret      not set\n",
        "\nIKE default key    set\n",
        "\nIKE identities     domain name a.example, flags 0x43, until the daemon ends\n",
        "\nTunnels            to 192.0.2.9 by 192.0.2.254\n",
        "\nPortals            127.0.0.1:1: ",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let json = daemon.json(&["status"]);
    let settings = &json["settings"];
    assert_eq!(
        settings["portals"][0]["last_error"]["status"], "ISDSC_CONNECTION_FAILED",
        "{json}"
    );
    assert_eq!(settings["ike_identities"][0]["id"], "a.example", "{json}");
    assert_eq!(json["group_preshared_key_set"], true, "{json}");
    for secret in ["a-secret-of-many", "the-key-of-all", "the-key-of-one"] {
        assert!(!text.contains(secret), "{text}");
        assert!(!json.to_string().contains(secret), "{json}");
    }
    daemon.stop();
}

#[test]
fn scsi_commands_and_their_failures() {
    let daemon = Daemon::start("none");
    let target = Embedded::start(&[
        "--target",
        TARGET,
        "--lun",
        "ram:1M",
        "--lun",
        "ram:2M,bs=4096",
    ]);
    daemon.ok(&["portal", "add", &target.portal()]);
    let login = daemon.json(&["login", TARGET]);
    let session = login["session"].as_str().expect("there is one").to_owned();

    assert_eq!(daemon.json(&["scsi", "luns", TARGET]), json!([0, 1]));
    let capacity = daemon.json(&["scsi", "capacity", &session, "--lun", "1"]);
    assert_eq!(capacity["bytes"], 2 << 20, "{capacity}");
    assert_eq!(capacity["block_size"], 4096, "{capacity}");
    let inquiry = daemon.json(&["scsi", "inquiry", TARGET]);
    assert_eq!(inquiry["vendor"], "HAWSER", "{inquiry}");
    let page = daemon.json(&["scsi", "inquiry", TARGET, "--page", "0x83"]);
    assert!(
        page["data"]
            .as_str()
            .is_some_and(|data| data.starts_with("0083")),
        "{page}"
    );

    let said = daemon.fails(1, &["scsi", "inquiry", TARGET, "--page", "0x9f"]);
    assert!(
        said.contains("CHECK CONDITION") && said.contains("ILLEGAL REQUEST"),
        "{said}"
    );
    daemon.fails(1, &["scsi", "capacity", TARGET, "--lun", "9"]);
    daemon.fails(5, &["scsi", "luns", "0000000000000001-0000000000000001"]);
}

#[test]
fn the_node_name_is_what_targets_see() {
    let daemon = Daemon::start("none");
    let own = daemon.json(&["node-name"]);
    assert_eq!(own["is_default"], true, "{own}");
    let name = "iqn.2026-01.example:renamed";
    daemon.ok(&["node-name", name]);
    assert_eq!(
        daemon.json(&["node-name"]),
        json!({"node_name": name, "is_default": false})
    );
    let target = Embedded::start(&["--target", TARGET, "--lun", "ram:1M"]);
    daemon.ok(&["portal", "add", &target.portal()]);
    daemon.ok(&["login", TARGET]);
    assert_eq!(daemon.json(&["session", "list"])[0]["initiator"], name);
    let back = daemon.json(&["node-name", "--default"]);
    assert_eq!(back["node_name"], own["node_name"], "{back}");
}

#[test]
fn events_tell_what_happened_in_order() {
    let daemon = Daemon::start("none");
    let target = Embedded::start(&["--target", TARGET, "--lun", "ram:1M"]);
    daemon.ok(&["portal", "add", &target.portal()]);
    daemon.ok(&["login", TARGET]);
    let text = daemon.ok(&["events", "--json"]);
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("is JSON"))
        .collect();
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["kind"].as_str())
        .collect();
    let place = |kind| kinds.iter().position(|other| *other == kind);
    assert!(place("portal-answered") < place("session-up"), "{kinds:?}");
    let up = &events[place("session-up").expect("is there")];
    assert_eq!(up["detail"]["target"], TARGET, "{up}");
    assert_eq!(daemon.ok(&["events", "--recent", "1"]).lines().count(), 1);
    let errors = daemon.ok(&["events", "--minimum", "error"]);
    assert!(errors.is_empty(), "{errors}");
}

#[test]
fn a_static_target_needs_no_discovery() {
    let daemon = Daemon::start("none");
    let target = Embedded::start(&["--target", TARGET, "--lun", "ram:1M"]);
    daemon.ok(&["target", "add", TARGET, &target.portal()]);
    let known = daemon.json(&["target", "info", TARGET]);
    assert_eq!(known["discovered_by"][0]["mechanism"], "static", "{known}");
    daemon.ok(&["login", TARGET]);
    let said = daemon.ok(&["target", "remove", TARGET]);
    assert_eq!(said, format!("{TARGET} removed\n"));
    daemon.fails(5, &["target", "remove", TARGET]);
    let listed = daemon.ok(&["session", "list"]);
    assert!(listed.contains("logged-in"), "the session stays: {listed}");
}

#[test]
fn a_generated_secret_logs_in_and_is_warned_of_where_two_targets_have_it() {
    let daemon = Daemon::start("none");
    let file = daemon.path("secret");
    let file = file.to_str().expect("is UTF-8");
    let said = daemon.ok(&["chap-secret", "generate", "--output", file]);
    let secret = std::fs::read_to_string(file).expect("is there");
    assert_eq!(secret.trim_end().len(), 16, "96 bits");
    assert!(
        said.contains(file) && !said.contains(secret.trim_end()),
        "{said}"
    );
    daemon.fails(1, &["chap-secret", "generate", "--output", file]);
    assert_eq!(std::fs::read_to_string(file).expect("is there"), secret);

    let chap = ["--chap-user", USER, "--chap-secret-file", file];
    let other = "iqn.2026-01.example:other";
    let serve = |name: &str| {
        let disk = ["--target", name, "--lun", "ram:1M"];
        Embedded::start(&[&disk[..], &chap].concat())
    };
    let (first, second) = (serve(TARGET), serve(other));
    for target in [&first, &second] {
        daemon.ok(&["portal", "add", &target.portal()]);
    }
    let login = |name| daemon.run(&[&["login", name], &chap[..]].concat());
    let quiet = login(TARGET);
    assert_eq!((code(&quiet), quiet.stderr.as_str()), (0, ""));
    let warned = login(other);
    assert_eq!(code(&warned), 0, "{}", warned.stderr);
    assert!(
        warned.stderr.starts_with("warning: a CHAP secret for")
            && warned.stderr.contains(TARGET)
            && !warned.stderr.contains(secret.trim_end()),
        "{}",
        warned.stderr
    );
}

#[test]
fn a_secret_is_made_without_a_daemon() {
    let make = |words: &[&str]| {
        let words = [&["chap-secret", "generate"], words].concat();
        let output = crate::hawser::tool(crate::hawser::PROGRAM)
            .args(&words)
            .run()
            .expect("ended");
        assert_eq!(code(&output), 0, "{}", output.stderr);
        output.stdout
    };
    let (one, two) = (make(&[]), make(&[]));
    assert_ne!(one, two);
    assert_eq!(one.trim_end().len(), 16);
    assert_eq!(make(&["--length", "22"]).trim_end().len(), 22);
}
