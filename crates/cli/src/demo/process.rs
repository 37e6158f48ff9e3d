//! A process of the demo: this same executable as target or daemon, with its log in a file.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdout, Command};

use crate::error::CliError;
use crate::exit::Exit;

/// The end of a log that is told when something went wrong, in bytes.
const LOG_TAIL: usize = 2000;

/// A running process. It is killed when dropped, and by the kernel should the demo itself be killed.
pub(super) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `hawser --exit-with-parent=PID WORDS…`. It has a process group of its own, so that a Ctrl-C
    /// at the terminal reaches only the demo, which then ends it in order.
    pub(super) fn start(
        name: &'static str,
        log: &Path,
        words: &[&OsStr],
    ) -> Result<Self, CliError> {
        let failed = |error: io::Error| CliError::io(format!("cannot start the {name}"), &error);
        let executable = std::env::current_exe().map_err(failed)?;
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(failed)?;
        let mut command = Command::new(executable);
        command
            .arg(format!("--exit-with-parent={}", std::process::id()))
            .args(words);
        for variable in ["HAWSER_SOCKET", "NOTIFY_SOCKET", "JOURNAL_STREAM"] {
            command.env_remove(variable);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        Ok(Self {
            name,
            child,
            log: log.to_owned(),
        })
    }

    /// What it prints on stdout; only once.
    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Fails if it has ended.
    pub(super) fn check_running(&mut self) -> Result<(), CliError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                let text = format!("the {} ended at once: {status}", self.name);
                Err(CliError::new(Exit::Failed, text))
            }
            Err(error) => Err(CliError::io(format!("the {} is lost", self.name), &error)),
        }
    }

    /// Kills it and takes its end.
    pub(super) async fn kill(&mut self) -> Result<(), CliError> {
        let killed = self.child.kill().await;
        killed.map_err(|error| CliError::io(format!("cannot kill the {}", self.name), &error))
    }

    /// Asks it to stop and waits; kills it at the limit.
    ///
    /// # Errors
    /// It had to be killed, or did not end well.
    pub(super) async fn stop(&mut self, limit: Duration) -> Result<(), CliError> {
        let lost = |error: io::Error| CliError::io(format!("the {} is lost", self.name), &error);
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended by itself; the wait tells.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let status: ExitStatus = match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => status.map_err(lost)?,
            Err(_) => {
                self.kill().await?;
                let text = format!("the {} did not stop in {} s", self.name, limit.as_secs());
                return Err(CliError::new(Exit::TimedOut, text));
            }
        };
        if status.success() {
            return Ok(());
        }
        Err(CliError::new(
            Exit::Failed,
            format!("the {} ended badly: {status}", self.name),
        ))
    }

    /// The end of its log.
    pub(super) fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let from = text.len().saturating_sub(LOG_TAIL);
        String::from_utf8_lossy(&text[from..]).into_owned()
    }
}
