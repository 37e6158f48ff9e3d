//! Runs the measured programs to their end, and asks the operating system what they cost.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, killpg};
use nix::sys::time::TimeVal;
use nix::unistd::Pid;

/// How long a server may take until it says where it listens.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What a program printed and cost.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Standard output.
    pub(crate) stdout: String,
    /// User and system time, in seconds, of the process and of those it waited for.
    pub(crate) cpu: f64,
}

/// Runs a program to its end, at most for `limit`. Nobody else may wait for a child meanwhile: the CPU
/// time is what the account of the children that were waited for grows by.
pub(crate) fn finish(command: Command, limit: Duration) -> Result<Finished> {
    let before = cpu_of_children()?;
    let stdout = Running::start(command)?.end(limit)?;
    let cpu = cpu_of_children()? - before;
    Ok(Finished { stdout, cpu })
}

fn cpu_of_children() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("getrusage")?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// A program that runs.
struct Running {
    child: Child,
    shown: String,
    stdout: mpsc::Receiver<String>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    fn start(mut command: Command) -> Result<Self> {
        let shown = shown(&command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {shown}"))?;
        let (sender, stdout) = mpsc::channel();
        if let Some(pipe) = child.stdout.take() {
            std::thread::spawn(move || drop(sender.send(read_all(pipe))));
        }
        let stderr = child
            .stderr
            .take()
            .map(|pipe| std::thread::spawn(move || read_all(pipe)));
        Ok(Self {
            child,
            shown,
            stdout,
            stderr,
        })
    }

    /// Waits until it has closed its output and ended; kills it, with all it started, at the limit.
    fn end(mut self, limit: Duration) -> Result<String> {
        let stdout = self.stdout.recv_timeout(limit);
        if let (Err(_), Ok(pid)) = (&stdout, i32::try_from(self.child.id())) {
            // Fails only when all of it is gone already. What is left would keep the pipes open.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let status = self.child.wait().with_context(|| self.shown.clone())?;
        let stderr = self.stderr.and_then(|reader| reader.join().ok());
        let stderr = stderr.unwrap_or_default();
        let Ok(stdout) = stdout else {
            bail!("{}: killed after {} s", self.shown, limit.as_secs());
        };
        ensure!(
            status.success(),
            "{}: {status}\n{}",
            self.shown,
            stderr.trim_end()
        );
        Ok(stdout)
    }
}

fn read_all(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    // What was read until an error is better than nothing.
    drop(pipe.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// A server of ours that says where it listens; killed when dropped.
#[derive(Debug)]
pub(crate) struct Served {
    child: Child,
    address: SocketAddr,
}

impl Served {
    /// Starts it; returns when it has printed `listening on ADDRESS`.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let shown = shown(&command);
        let mut child = command
            // Some of them end when this closes.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {shown}"))?;
        let (sender, line) = mpsc::channel();
        if let Some(pipe) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(pipe).lines().map_while(Result::ok);
                drop(sender.send(lines.next()));
                // It may go on to print.
                lines.for_each(drop);
            });
        }
        let mut served = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let line = line.recv_timeout(START_LIMIT).ok().flatten();
        let address = line
            .as_deref()
            .and_then(|line| line.trim().strip_prefix("listening on "))
            .and_then(|address| address.parse().ok());
        served.address = address.with_context(|| format!("{shown} does not say where it is"))?;
        Ok(served)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_and_cpu_come_back() {
        let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done";
        let finished = finish(shell(busy), Duration::from_secs(60)).unwrap();
        assert_eq!(finished.stdout, "done\n");
        assert!(finished.cpu > 0.001, "{}", finished.cpu);
    }

    #[test]
    fn a_failure_says_why_and_a_hang_ends() {
        let limit = Duration::from_secs(60);
        let error = finish(shell("echo because >&2; exit 3"), limit).unwrap_err();
        assert!(error.to_string().contains("because"), "{error}");
        let error = finish(shell("sleep 600 & wait"), Duration::from_millis(200)).unwrap_err();
        assert!(error.to_string().contains("killed after"), "{error}");
    }
}
