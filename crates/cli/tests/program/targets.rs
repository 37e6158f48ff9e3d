//! Targets for the tests: our own, as a process; tgt comes from the test kit.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::hawser::PROGRAM;

/// CHAP name of the tests.
pub(crate) const USER: &str = "tester";
/// CHAP secret of the tests: 16 bytes.
pub(crate) const SECRET: &str = "a-secret-of-many";

/// `hawser target`, killed when dropped.
pub(crate) struct Embedded {
    child: Child,
    portal: SocketAddr,
    words: Vec<String>,
}

impl Embedded {
    /// Starts it on a free port with these words.
    pub(crate) fn start(words: &[&str]) -> Self {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let (child, portal) = spawn("127.0.0.1:0", &words);
        Self {
            child,
            portal,
            words,
        }
    }

    /// Starts it with one RAM disk of 64 MiB at LUN 0, demanding CHAP; the secret goes to a file in
    /// `directory`.
    pub(crate) fn with_chap(name: &str, directory: &Path) -> Self {
        let file = directory.join("target-secret");
        std::fs::write(&file, SECRET).expect("written");
        let file = file.to_str().expect("is UTF-8");
        let chap = ["--chap-user", USER, "--chap-secret-file", file];
        Self::start(&[&["--target", name, "--lun", "ram:64M"], &chap[..]].concat())
    }

    pub(crate) fn portal(&self) -> String {
        self.portal.to_string()
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Starts it again at the same portal. What was in its memory is gone.
    pub(crate) fn start_again(&mut self) {
        self.kill();
        (self.child, self.portal) = spawn(&self.portal.to_string(), &self.words);
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(portal: &str, words: &[String]) -> (Child, SocketAddr) {
    let mut command = Command::new(PROGRAM);
    command
        .arg(format!("--exit-with-parent={}", std::process::id()))
        .args(["target", "--portal", portal])
        .args(words);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("started");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("is piped"));
    stdout.read_line(&mut line).expect("read");
    let portal = line
        .trim_end()
        .strip_prefix("listening on ")
        .and_then(|rest| rest.parse().ok());
    let Some(portal) = portal else {
        panic!("the target said {line:?}");
    };
    (child, portal)
}
