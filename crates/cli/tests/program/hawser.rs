//! Runs the program, and a daemon of the test's own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hawser_testkit::peers::{Tool, ToolOutput, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::machine;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_hawser");

/// How long the daemon may take to start or stop on a busy machine.
const DAEMON_LIMIT: Duration = Duration::from_secs(60);

/// Runs `hawser WORDS…` with nothing of the environment's that it would heed.
pub(crate) fn tool(program: &str) -> Tool {
    Tool::new(program)
        .expect("the program is built")
        .env("HAWSER_SOCKET", "")
        .env("HAWSER_CHAP_SECRET", "")
        .env("HAWSER_MUTUAL_SECRET", "")
}

/// The exit code; a test that was killed has none.
pub(crate) fn code(output: &ToolOutput) -> i32 {
    output.status.code().expect("it ended by itself")
}

/// A daemon with private directories, and the commands that ask it. Whatever a failed test leaves is
/// taken away when it is dropped.
pub(crate) struct Daemon {
    child: Option<Child>,
    export: &'static str,
    directory: TempDir,
}

impl Daemon {
    /// Starts one that shows disks in this way.
    pub(crate) fn start(export: &'static str) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("hawser-cli-")
            .tempdir()
            .expect("temp dir");
        std::fs::write(directory.path().join("hawser.toml"), "").expect("written");
        std::fs::create_dir(directory.path().join("volume")).expect("made");
        let mut daemon = Self {
            child: None,
            export,
            directory,
        };
        daemon.start_again();
        daemon
    }

    /// Starts it on what an earlier one left.
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"));
        let log = log.expect("opened");
        let child = self.command().stderr(log).spawn().expect("started");
        self.child = Some(child);
        let answered = wait_until("the daemon to answer", DAEMON_LIMIT, || {
            let output = self.run(&["status"]);
            if code(&output) == 0 {
                Ok(())
            } else {
                Err(format!("{}{}", output.stderr, self.log()))
            }
        });
        answered.expect("it answers");
    }

    /// The command line of such a daemon.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .arg(format!("--exit-with-parent={}", std::process::id()))
            .arg("--socket")
            .arg(self.socket())
            .arg("daemon");
        command.arg("--config").arg(self.path("hawser.toml"));
        command.arg("--state-dir").arg(self.path("state"));
        command.arg("--runtime-dir").arg(self.path("run"));
        command.args(["--export", self.export]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// A file or directory of its own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("hawser.sock")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A command that asks it.
    pub(crate) fn ask(&self, words: &[&str]) -> Tool {
        tool(PROGRAM).arg("--socket").arg(self.socket()).args(words)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> ToolOutput {
        self.ask(words).run().expect("it ends in time")
    }

    /// Runs a command that must work; gives what it printed.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(
            code(&output),
            0,
            "{words:?}: {}{}\n{}",
            output.stdout,
            output.stderr,
            self.log()
        );
        output.stdout
    }

    /// Runs a command that must work with `--json`; gives what it said.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let text = self.ok(&[words, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words:?}: {error}: {text}"))
    }

    /// Runs a command that must fail with this exit code; gives what it said on stderr.
    pub(crate) fn fails(&self, expected: i32, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(
            code(&output),
            expected,
            "{words:?}: {}{}",
            output.stdout,
            output.stderr
        );
        assert!(output.stdout.is_empty(), "{words:?} said {}", output.stdout);
        output.stderr
    }

    /// Waits until a disk of the target with this LUN is ready; gives its listing.
    pub(crate) fn disk(&self, target: &str, lun: u64) -> Value {
        let ready = wait_until("the disk to be ready", Duration::from_secs(30), || {
            let disks = self.json(&["disk", "list", target]);
            let found = disks.as_array().into_iter().flatten().find(|disk| {
                disk["lun"] == lun && disk["target"] == target && disk["state"] == "ready"
            });
            found.cloned().ok_or_else(|| disks.to_string())
        });
        ready.unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("ended");
    }

    /// Stops it in order; it must end well and leave nothing.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let pid = Pid::from_raw(child.id().try_into().expect("fits"));
        kill(pid, Signal::SIGTERM).expect("asked");
        let ended = wait_until("the daemon to stop", DAEMON_LIMIT, || {
            child
                .try_wait()
                .expect("it is ours")
                .ok_or_else(|| self.log())
        });
        if ended.is_err() {
            drop(child.kill());
            drop(child.wait());
        }
        let status = ended.expect("it stops");
        assert!(status.success(), "{status}: {}", self.log());
        assert_eq!(machine::left_below(self.directory()), Vec::<String>::new());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
        machine::take_away_below(self.directory.path());
    }
}
