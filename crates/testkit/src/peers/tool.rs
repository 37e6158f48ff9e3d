//! Runs a foreign command-line tool to its end, with a time limit and captured output.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::error::tail;
use super::{PeerError, find_program, wait_until};

/// Longer than any tool here should take; tests that know better say so.
const LIMIT_DEFAULT: Duration = Duration::from_secs(60);
/// More output than this is read but not kept: no tool used here has that much to say.
const CAPTURE_MAX: u64 = 16 << 20;
/// How much of the output an error repeats, in bytes.
const ERROR_TAIL: usize = 4000;

/// A command being put together.
#[derive(Debug)]
pub struct Tool {
    command: Command,
    shown: String,
    limit: Duration,
    input: Vec<u8>,
}

/// What a tool printed and how it ended.
#[derive(Debug)]
pub struct ToolOutput {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output, bytes that are not UTF-8 replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
}

impl Tool {
    /// A command that runs `program`.
    ///
    /// # Errors
    /// [`PeerError::MissingProgram`].
    pub fn new(program: &str) -> Result<Self, PeerError> {
        Ok(Self {
            command: Command::new(find_program(program)?),
            shown: program.to_owned(),
            limit: LIMIT_DEFAULT,
            input: Vec::new(),
        })
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.shown.push(' ');
        self.shown.push_str(&argument.as_ref().to_string_lossy());
        self.command.arg(argument);
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the time after which the tool is killed; 60 s unless told.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Gives the tool `input` on its standard input (nothing unless told).
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs the tool to its end, whatever its exit status.
    ///
    /// # Errors
    /// [`PeerError::Io`] if it cannot start, [`PeerError::Timeout`] if it had to be killed.
    pub fn run(mut self) -> Result<ToolOutput, PeerError> {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(PeerError::io(format!("start {}", self.shown)))?;
        let stdout = capture(child.stdout.take());
        let stderr = capture(child.stderr.take());
        let input = std::mem::take(&mut self.input);
        let feeder = child.stdin.take().map(|mut pipe| {
            // A tool may end without reading all: that is its business, not an error.
            std::thread::spawn(move || drop(pipe.write_all(&input)))
        });
        let ended = wait_for_end(&mut child, &self.shown, self.limit);
        if ended.is_err() {
            kill_group(&mut child);
        }
        let stdout = collect(stdout);
        let stderr = collect(stderr);
        drop(feeder.map(JoinHandle::join));
        match ended {
            Ok(status) => Ok(ToolOutput {
                status,
                stdout,
                stderr,
            }),
            Err(PeerError::Timeout { what, limit, .. }) => Err(PeerError::Timeout {
                what,
                limit,
                detail: both(&stdout, &stderr),
            }),
            Err(other) => Err(other),
        }
    }

    /// Runs the tool and asks for success.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`PeerError::Failed`] with its output if the exit status is not 0.
    pub fn run_ok(self) -> Result<ToolOutput, PeerError> {
        let command = self.shown.clone();
        let output = self.run()?;
        if output.status.success() {
            return Ok(output);
        }
        Err(PeerError::Failed {
            command,
            status: output.status.to_string(),
            output: both(&output.stdout, &output.stderr),
        })
    }
}

fn wait_for_end(child: &mut Child, shown: &str, limit: Duration) -> Result<ExitStatus, PeerError> {
    let what = format!("the end of {shown}");
    wait_until(&what, limit, || match child.try_wait() {
        Ok(Some(status)) => Ok(Ok(status)),
        Ok(None) => Err(String::new()),
        Err(error) => Ok(Err(error)),
    })?
    .map_err(PeerError::io(what))
}

/// Kills the tool and all it started, and reaps it, so that its pipes close.
fn kill_group(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // Fails only when all of it is gone already.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    drop(child.kill());
    drop(child.wait());
}

fn capture(pipe: Option<impl Read + Send + 'static>) -> Option<JoinHandle<Vec<u8>>> {
    pipe.map(|mut pipe| {
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            drop(pipe.by_ref().take(CAPTURE_MAX).read_to_end(&mut kept));
            drop(std::io::copy(&mut pipe, &mut std::io::sink()));
            kept
        })
    })
}

fn collect(reader: Option<JoinHandle<Vec<u8>>>) -> String {
    let bytes = reader
        .and_then(|handle| handle.join().ok())
        .unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn both(stdout: &str, stderr: &str) -> String {
    format!("{}{}", tail(stdout, ERROR_TAIL), tail(stderr, ERROR_TAIL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_input_and_status_come_back() {
        let output = Tool::new("sh")
            .unwrap()
            .args(["-c", "cat; echo err >&2; exit 3"])
            .input("hello")
            .run()
            .unwrap();
        assert_eq!(output.stdout, "hello");
        assert_eq!(output.stderr, "err\n");
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn a_tool_that_hangs_is_killed_with_what_it_started() {
        let error = Tool::new("sh")
            .unwrap()
            .args(["-c", "echo started; sleep 600 & sleep 600"])
            .limit(Duration::from_millis(300))
            .run()
            .unwrap_err();
        assert!(matches!(&error, PeerError::Timeout { detail, .. } if detail.contains("started")));
    }

    #[test]
    fn a_failing_tool_shows_what_it_said() {
        let error = Tool::new("sh")
            .unwrap()
            .args(["-c", "echo because; exit 1"])
            .run_ok()
            .unwrap_err();
        assert!(matches!(&error, PeerError::Failed { output, .. } if output.contains("because")));
    }
}
