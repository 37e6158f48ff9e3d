//! What works, and how it fails, where no daemon runs.

use crate::hawser::{PROGRAM, code, tool};

#[test]
fn every_command_says_that_the_daemon_is_not_running() {
    for words in [
        &["portal", "list"][..],
        &["portal", "add", "127.0.0.1"],
        &["target", "list"],
        &["login", "iqn.2026-01.example:a"],
        &["logout", "iqn.2026-01.example:a"],
        &["session", "list"],
        &["persistent", "list"],
        &["chap-secret", "clear"],
        &["node-name"],
        &["disk", "list", "--json"],
        &["bind", "/srv"],
        &["unbind", "--all"],
        &["bound"],
        &["wait", "--timeout", "1"],
        &["scsi", "luns", "iqn.2026-01.example:a"],
        &["status"],
        &["events"],
    ] {
        let output = tool(PROGRAM)
            .args(["--socket", "/no/such/socket"])
            .args(words)
            .run();
        let output = output.expect("ended");
        assert_eq!(code(&output), 3, "{words:?}: {}", output.stderr);
        assert!(output.stdout.is_empty(), "{words:?}: {}", output.stdout);
        assert!(
            output.stderr.contains("/no/such/socket"),
            "{words:?}: {}",
            output.stderr
        );
        assert!(
            output.stderr.contains("start hawserd"),
            "{words:?}: {}",
            output.stderr
        );
    }
}

#[test]
fn the_socket_may_come_from_the_environment() {
    let output = tool(PROGRAM)
        .env("HAWSER_SOCKET", "/no/such/other")
        .arg("status")
        .run();
    let output = output.expect("ended");
    assert_eq!(code(&output), 3);
    assert!(
        output.stderr.contains("/no/such/other"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for words in [
        &["frobnicate"][..],
        &["bind"],
        &["login", "x", "--chap-secret", "s"],
        &["target"],
    ] {
        let output = tool(PROGRAM).args(words).run().expect("ended");
        assert_eq!(code(&output), 2, "{words:?}: {}", output.stderr);
        assert!(
            output.stderr.contains("Usage"),
            "{words:?}: {}",
            output.stderr
        );
    }
}

#[test]
fn a_secret_that_cannot_be_read_is_told_before_the_daemon_is_asked() {
    let words = [
        "login",
        "iqn.2026-01.example:a",
        "--chap-secret-file",
        "/no/such/secret",
    ];
    let output = tool(PROGRAM).args(words).run().expect("ended");
    assert_eq!(code(&output), 5, "{}", output.stderr);
    assert!(
        output.stderr.contains("/no/such/secret"),
        "{}",
        output.stderr
    );
    let words = ["login", "iqn.2026-01.example:a", "--chap-user", "u"];
    let output = tool(PROGRAM).args(words).run().expect("ended");
    assert_eq!(code(&output), 2, "{}", output.stderr);
}

#[test]
fn help_version_completions_and_manual_pages() {
    let help = tool(PROGRAM).arg("--help").run_ok().expect("works").stdout;
    assert!(
        help.contains("Exit codes:") && help.contains("bound"),
        "{help}"
    );
    let version = tool(PROGRAM)
        .arg("--version")
        .run_ok()
        .expect("works")
        .stdout;
    assert_eq!(version, format!("hawser {}\n", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish"] {
        let script = tool(PROGRAM)
            .args(["completions", shell])
            .run_ok()
            .expect("works")
            .stdout;
        assert!(
            script.contains("persistent") && script.contains("header-digest"),
            "{shell}"
        );
    }
    let directory = tempfile::tempdir().expect("temp dir");
    tool(PROGRAM)
        .arg("man")
        .arg(directory.path())
        .run_ok()
        .expect("works");
    let pages = std::fs::read_dir(directory.path().join("man1")).expect("read");
    let pages = pages.count();
    assert!(pages > 30, "only {pages} pages");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let script = format!("set -o pipefail; {PROGRAM} completions bash | head -c 1 > /dev/null");
    let output = tool("bash").args(["-c", &script]).run().expect("ended");
    assert_eq!(code(&output), 0, "{}", output.stderr);
    assert!(output.stderr.is_empty(), "{}", output.stderr);
}

#[test]
fn the_thin_programs_are_those_inside_hawser() {
    let daemon = env!("CARGO_BIN_EXE_hawserd");
    let target = env!("CARGO_BIN_EXE_hawser-target");
    let help = tool(daemon).arg("--help").run_ok().expect("works").stdout;
    for option in [
        "--config",
        "--state-dir",
        "--runtime-dir",
        "--socket",
        "--export",
    ] {
        assert!(help.contains(option), "{option} is not in\n{help}");
    }
    let help = tool(target).arg("--help").run_ok().expect("works").stdout;
    assert!(
        help.contains("--lun") && help.contains("--chap-secret-file"),
        "{help}"
    );
    let wrong = tool(daemon)
        .args(["--config", "/no/such/file"])
        .run()
        .expect("ended");
    assert_eq!(code(&wrong), 2, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("/no/such/file"), "{}", wrong.stderr);
}

#[test]
fn progress_is_shown_on_a_terminal_only() {
    use std::io::Read;
    use std::net::TcpListener;
    // A portal that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("bound");
    let portal = silent.local_addr().expect("known").to_string();
    let bench =
        format!("{PROGRAM} bench --portal {portal} --target iqn.2026-01.example:a --lun 0 2>&1");
    let terminal = std::thread::spawn({
        let bench = bench.clone();
        move || {
            tool("script")
                .args(["-q", "-e", "-c", &bench, "/dev/null"])
                .run()
                .expect("ended")
        }
    });
    let plain = tool("sh").args(["-c", &bench]);
    let plain = std::thread::spawn(move || plain.run().expect("ended"));
    let mut connections = Vec::new();
    for _ in 0..2 {
        let (mut connection, _) = silent.accept().expect("connected");
        // Its login has come; now it is made to wait for longer than the second of silence.
        connection.read_exact(&mut [0; 48]).expect("a login");
        connections.push(connection);
    }
    std::thread::sleep(std::time::Duration::from_millis(1500));
    drop(connections);
    drop(silent);
    let (terminal, plain) = (terminal.join().expect("ran"), plain.join().expect("ran"));
    let shown = "logging in to iqn.2026-01.example:a";
    assert!(terminal.stdout.contains(shown), "{}", terminal.stdout);
    assert!(!plain.stdout.contains(shown), "{}", plain.stdout);
}
