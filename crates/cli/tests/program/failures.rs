//! What goes wrong is told: what, where, what the peer said, what to do; with its exit code.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use hawser_testkit::peers::{Tool, free_port, wait_until};

use crate::hawser::{Daemon, PROGRAM, code};
use crate::targets::{Embedded, SECRET, USER};

const TARGET: &str = "iqn.2026-01.example:a";

#[test]
fn a_wrong_secret() {
    let daemon = Daemon::start("none");
    let target = Embedded::with_chap(TARGET, daemon.directory());
    daemon.ok(&["portal", "add", &target.portal()]);
    let login = daemon.ask(&["login", TARGET, "--chap-user", USER]);
    let output = login
        .env("HAWSER_CHAP_SECRET", "another-secret-of")
        .run()
        .expect("ended");
    assert_eq!(code(&output), 8, "{}", output.stderr);
    let portal = target.portal();
    for text in [
        TARGET,
        &portal,
        "0x0201",
        "check the CHAP name and secret",
        "ISDSC_AUTHENTICATION",
    ] {
        assert!(
            output.stderr.contains(text),
            "{text:?} is not in\n{}",
            output.stderr
        );
    }
    assert!(
        !output.stderr.contains("another-secret-of"),
        "{}",
        output.stderr
    );
    assert_eq!(daemon.json(&["session", "list"]), serde_json::json!([]));

    let login = daemon.ask(&["login", TARGET, "--chap-user", USER]);
    let output = login
        .env("HAWSER_CHAP_SECRET", SECRET)
        .run()
        .expect("ended");
    assert_eq!(code(&output), 0, "the right one works: {}", output.stderr);
}

#[test]
fn an_unknown_target() {
    let daemon = Daemon::start("none");
    let said = daemon.fails(5, &["login", TARGET]);
    assert!(
        said.contains(TARGET) && said.contains("hawser portal add"),
        "{said}"
    );
    daemon.fails(5, &["target", "info", TARGET]);
    daemon.fails(5, &["logout", TARGET]);
    daemon.fails(5, &["persistent", "remove", TARGET]);
    let embedded = Embedded::with_chap(TARGET, daemon.directory());
    let other = "iqn.2026-01.example:other";
    daemon.ok(&["target", "add", other, &embedded.portal()]);
    let said = daemon.fails(5, &["login", other]);
    assert!(said.contains("0x0203") && said.contains(other), "{said}");
}

#[test]
fn a_portal_that_does_not_answer() {
    let daemon = Daemon::start("none");
    let portal = format!("127.0.0.1:{}", free_port().expect("there is one"));
    let said = daemon.fails(7, &["portal", "add", &portal]);
    assert!(said.contains(&portal) && said.contains("refused"), "{said}");
    assert!(said.contains("what to do:"), "{said}");
    let stored = daemon.json(&["portal", "list"]);
    assert_eq!(
        stored[0]["portal"],
        portal.as_str(),
        "it stays stored: {stored}"
    );
    assert_eq!(
        stored[0]["last_error"]["status"], "ISDSC_CONNECTION_FAILED",
        "{stored}"
    );
    daemon.fails(7, &["portal", "refresh", &portal]);
    daemon.ok(&["portal", "remove", &portal]);
    daemon.fails(5, &["portal", "remove", &portal]);
}

#[test]
fn a_second_daemon_on_the_same_state() {
    let mut daemon = Daemon::start("none");
    let second = daemon
        .command()
        .stderr(std::process::Stdio::piped())
        .output()
        .expect("ended");
    assert_eq!(second.status.code(), Some(9));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another daemon uses"), "{said}");
    let elsewhere = std::process::Command::new(PROGRAM)
        .arg("daemon")
        .arg("--state-dir")
        .arg(daemon.path("state"))
        .arg("--runtime-dir")
        .arg(daemon.path("elsewhere"))
        .output()
        .expect("ended");
    let said = String::from_utf8_lossy(&elsewhere.stderr);
    assert_eq!(elsewhere.status.code(), Some(9), "{said}");
    assert!(said.contains("in use by another daemon"), "{said}");
    daemon.ok(&["status"]);
    daemon.stop();
}

#[test]
fn paths_that_cannot_be_bound() {
    let daemon = Daemon::start("nbd");
    let target = Embedded::start(&["--target", TARGET, "--lun", "ram:16M"]);
    daemon.ok(&["portal", "add", &target.portal()]);
    daemon.ok(&["login", TARGET]);
    let link = daemon.disk(TARGET, 0)["links"][0]
        .as_str()
        .expect("has one")
        .to_owned();

    let said = daemon.fails(1, &["bind", &link]);
    assert!(said.contains("its login is not persistent"), "{said}");
    assert!(
        said.contains("ISDSC_DEVICE_NOT_ISCSI_OR_PERSISTENT"),
        "{said}"
    );
    let said = daemon.fails(1, &["bind", "/proc"]);
    assert!(said.contains("/proc cannot be bound"), "{said}");
    let said = daemon.fails(5, &["bind", "/no/such/path"]);
    assert!(said.contains("ISDSC_DEVICE_NOT_FOUND"), "{said}");

    daemon.ok(&["login", TARGET, "--persist"]);
    daemon.ok(&["bind", &link]);
    let said = daemon.fails(9, &["bind", &link]);
    assert!(
        said.contains("ISDSC_DEVICE_ALREADY_PERSISTENTLY_BOUND"),
        "{said}"
    );
    assert_eq!(daemon.json(&["bound"]).as_array().map(Vec::len), Some(1));
    daemon.ok(&["unbind", "--all"]);
    daemon.fails(5, &["unbind", &link]);
    assert_eq!(daemon.ok(&["unbind", "--all"]), "nothing was bound\n");
}

#[test]
fn a_volume_that_does_not_come() {
    let daemon = Daemon::start("nbd");
    let mut target = Embedded::start(&["--target", TARGET, "--lun", "ram:16M"]);
    daemon.ok(&["portal", "add", &target.portal()]);
    daemon.ok(&["login", TARGET, "--persist"]);
    daemon.disk(TARGET, 0);
    let all = daemon.json(&["bind", "--all"]);
    let path = all[0]["path"].as_str().expect("one is bound").to_owned();
    assert_eq!(
        daemon.ok(&["wait", "--timeout", "0"]),
        "the bound volume is usable\n"
    );

    target.kill();
    let refused = wait_until("a reconnect to be refused", Duration::from_secs(30), || {
        let bound = daemon.json(&["bound"]);
        let at = &bound[0]["reason_detail"]["portal"];
        if *at == target.portal().as_str() {
            Ok(())
        } else {
            Err(bound.to_string())
        }
    });
    refused.expect("it is noticed");
    let said = daemon.fails(6, &["wait", "--timeout", "0.2"]);
    assert!(
        said.contains("1 of 1 bound volumes not usable in time"),
        "{said}"
    );
    let missing = said
        .lines()
        .find(|line| line.contains("missing:"))
        .expect("is listed");
    for text in [path.as_str(), TARGET, &target.portal()] {
        assert!(missing.contains(text), "{text:?} is not in {missing}");
    }
    let json = daemon.run(&["wait", "--timeout", "0", "--json"]);
    assert_eq!(code(&json), 6);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("is JSON");
    assert_eq!(json["all_usable"], false);
    assert_eq!(json["missing"][0]["path"], path.as_str());
    assert!(json["missing"][0]["reason"].is_string(), "{json}");

    target.start_again();
    daemon.ok(&["wait", "--timeout", "30"]);
}

#[test]
fn a_user_who_may_not() {
    let daemon = Daemon::start("none");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(daemon.directory(), open).expect("set");
    let program = daemon.path("hawser");
    // By a process of its own: a child that another test starts meanwhile would hold the copy open for
    // writing, and it could not be started.
    let copy = Tool::new("cp").expect("it is installed").arg(PROGRAM);
    copy.arg(&program).run_ok().expect("copied");
    let as_nobody = |words: &[&str]| {
        let user = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        let tool = Tool::new("setpriv").expect("it is installed").args(user);
        let tool = tool
            .arg(&program)
            .arg("--socket")
            .arg(daemon.socket())
            .args(words);
        tool.run().expect("ended")
    };
    let status = as_nobody(&["status"]);
    assert_eq!(code(&status), 0, "others may look: {}", status.stderr);
    for words in [
        &["portal", "add", "127.0.0.1"][..],
        &["node-name", "--default"],
        &["bind", "--all"],
    ] {
        let refused = as_nobody(words);
        assert_eq!(code(&refused), 4, "{words:?}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("ERROR_ACCESS_DENIED"),
            "{}",
            refused.stderr
        );
    }
}
