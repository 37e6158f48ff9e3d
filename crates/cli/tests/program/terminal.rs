//! What a person sees who waits: a sign of life, and events as they come.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::hawser::{Daemon, PROGRAM};

const LIMIT: Duration = Duration::from_secs(60);

/// Ended when dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What a program writes to stdout, piece by piece.
fn pieces(child: &mut Child) -> Receiver<String> {
    let mut stdout = child.stdout.take().expect("is piped");
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = stdout.read(&mut piece) {
            let text = String::from_utf8_lossy(&piece[..length]).into_owned();
            if sender.send(text).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Runs a command on a terminal of its own, with `script` (Debian package bsdutils).
fn on_a_terminal(socket: &str, words: &str) -> Ended {
    let command = format!("exec {PROGRAM} --socket {socket} {words}");
    let child = Command::new("script")
        .args([
            "--quiet",
            "--flush",
            "--return",
            "--command",
            &command,
            "/dev/null",
        ])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    Ended(child.expect("script runs"))
}

#[test]
fn whoever_waits_for_longer_than_a_second_sees_that_it_goes_on() {
    let directory = tempfile::tempdir().expect("temp dir");
    let socket = directory.path().join("mute.sock");
    // Connections are taken by the kernel, and nobody answers.
    let mute = UnixListener::bind(&socket).expect("bound");
    let socket = socket.to_str().expect("is UTF-8");
    let commands = [
        "disk list",
        "unbind /srv/data",
        "portal remove 192.0.2.1",
        "scsi inquiry iqn.2026-01.example:a",
        "bound --json",
        "status",
    ];
    let mut running: Vec<_> = commands.map(|words| on_a_terminal(socket, words)).into();
    for (command, words) in running.iter_mut().zip(commands) {
        let written = pieces(&mut command.0);
        let mut seen = String::new();
        while !seen.contains("waiting for the daemon (") {
            match written.recv_timeout(LIMIT) {
                Ok(piece) => seen += &piece,
                Err(error) => panic!("{words}: {error}: {seen:?}"),
            }
        }
    }
    drop(mute);
}

#[test]
fn events_are_shown_when_they_come() {
    let daemon = Daemon::start("none");
    let mut following = Command::new(PROGRAM);
    following.arg("--socket").arg(daemon.socket());
    following.args(["events", "--follow", "--json"]);
    let child = following.stdout(Stdio::piped()).spawn().expect("started");
    let mut child = Ended(child);
    let stdout = child.0.stdout.take().expect("is piped");
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let wait_for = |kind: &str| loop {
        let line = lines.recv_timeout(LIMIT).expect("there is one in time");
        let event: serde_json::Value = serde_json::from_str(&line).expect("is JSON");
        if event["kind"] == kind {
            return event;
        }
    };
    // What was before comes first; then it follows.
    let started = wait_for("started");
    daemon.ok(&["node-name", "iqn.2026-01.example:follower"]);
    let renamed = wait_for("node-name");
    assert!(renamed["sequence"].as_u64() > started["sequence"].as_u64());
    let message = renamed["detail"]["message"].as_str().expect("has one");
    assert!(message.contains("follower"), "{renamed}");
    assert!(child.0.try_wait().expect("is ours").is_none(), "it goes on");
}
