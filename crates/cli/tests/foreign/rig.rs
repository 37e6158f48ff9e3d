//! A daemon of the test's own, and the program that talks to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hawser_testkit::peers::{PeerError, Tool, wait_until};
use serde_json::Value;

/// How long one command, or the wait for one state, may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

const HAWSER: &str = env!("CARGO_BIN_EXE_hawser");

/// A daemon with directories of its own.
pub(crate) struct Rig {
    directory: tempfile::TempDir,
    export: &'static str,
    daemon: Child,
}

impl Rig {
    /// Starts a daemon that shows disks by `export`.
    pub(crate) fn start(export: &'static str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let daemon = spawn(directory.path(), export);
        let rig = Self {
            directory,
            export,
            daemon,
        };
        rig.wait_until_it_answers();
        rig
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Kills the daemon as `kill -9` does, and starts it again.
    pub(crate) fn kill_and_restart(&mut self) {
        self.daemon.kill().expect("SIGKILL");
        self.daemon.wait().expect("reaped");
        self.daemon = spawn(self.directory.path(), self.export);
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&self) {
        let ask = || self.try_run(&["status"]).map_err(|error| error.to_string());
        wait_until("the daemon answers", LIMIT, ask).expect("a daemon");
    }

    fn try_run(&self, arguments: &[&str]) -> Result<String, PeerError> {
        let socket = self.path("run/hawser.sock");
        let tool = Tool::new(HAWSER)?
            .arg("--socket")
            .arg(&socket)
            .args(arguments);
        Ok(tool.limit(LIMIT).run_ok()?.stdout)
    }

    /// Runs `hawser` with these words; it must succeed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.try_run(arguments)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{}", self.log()))
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).expect("JSON")
    }

    /// Discovers at `portal`, logs in to `target` for good, and waits for its first disk.
    pub(crate) fn log_in(&self, portal: SocketAddr, target: &str) -> Value {
        self.run(&["portal", "add", &portal.to_string()]);
        self.run(&["login", target, "--persist"]);
        self.first_disk()
    }

    /// The first disk that is ready.
    pub(crate) fn first_disk(&self) -> Value {
        let find = || {
            let disks = self.json(&["disk", "list"]);
            let ready = |disk: &&Value| disk["state"] == "ready" && disk["device_type"] == 0;
            let disk = disks
                .as_array()
                .and_then(|disks| disks.iter().find(ready))
                .cloned();
            disk.ok_or_else(|| format!("{disks:#}"))
        };
        wait_until("a disk", LIMIT, find).unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }
}

/// Asks the daemon to stop and waits for it, so that nothing stays mounted.
impl Drop for Rig {
    fn drop(&mut self) {
        let pid = self.daemon.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        let ended = || match self.daemon.try_wait() {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        };
        if wait_until("the daemon ends", LIMIT, ended).is_err() {
            drop(self.daemon.kill());
            drop(self.daemon.wait());
        }
    }
}

fn spawn(directory: &Path, export: &str) -> Child {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(directory.join("daemon.log"))
        .expect("a log");
    Command::new(HAWSER)
        .arg("daemon")
        .arg("--state-dir")
        .arg(directory.join("state"))
        .arg("--runtime-dir")
        .arg(directory.join("run"))
        .arg("--socket")
        .arg(directory.join("run/hawser.sock"))
        .args(["--export", export])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the daemon starts")
}

/// Runs a tool that must succeed.
pub(crate) fn tool(program: &str, arguments: &[&str]) -> String {
    let tool = Tool::new(program)
        .expect("installed")
        .args(arguments)
        .limit(LIMIT);
    tool.run_ok().expect(program).stdout
}
