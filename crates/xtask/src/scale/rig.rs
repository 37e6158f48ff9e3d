//! The processes: a target with many targets, daemons with their directories, a reader.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::figures::{self, Memory};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Requests of the reader under way at once.
const DEPTH: u32 = 32;
/// Logins that are asked for at once while a state directory is prepared.
const ASKED_AT_ONCE: usize = 8;

/// A process that goes with its value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The target, and where everything is.
pub(super) struct Rig {
    program: PathBuf,
    directory: TempDir,
    portal: String,
    _target: Process,
}

/// A daemon.
pub(super) struct Daemon {
    process: Process,
    caller: Caller,
    log: Receiver<(Instant, String)>,
    /// When each kind of event was told.
    heard: HashMap<String, Vec<Instant>>,
}

/// Calls a daemon with the program `hawser`.
struct Caller {
    program: PathBuf,
    socket: PathBuf,
}

impl Caller {
    fn hawser(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        let output = command
            .args(words)
            .env("HAWSER_SOCKET", &self.socket)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "hawser {}: {said}",
            words.join(" ")
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// The name of a target.
fn name(number: usize) -> String {
    format!("iqn.2026-11.test.hawser:scale.{number}")
}

impl Rig {
    /// Starts a target with so many targets, a disk in memory each.
    pub(super) fn start(program: &Path, targets: usize) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["target", "--portal", "127.0.0.1:0"]);
        for number in 0..targets {
            command.args(["--target", &name(number), "--lun", "ram:1M"]);
        }
        command.stderr(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().context("the target's output")?;
        let target = Process(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let portal = line.trim().strip_prefix("listening on ");
        Ok(Self {
            program: program.to_owned(),
            directory: tempfile::tempdir()?,
            portal: portal.context("the target does not listen")?.to_owned(),
            _target: target,
        })
    }

    /// A state directory with so many persistent logins, made by a daemon.
    pub(super) fn state(&self, name: &str, logins: usize) -> Result<PathBuf> {
        let state = self.directory.path().join(name);
        fs::create_dir(&state)?;
        let limits = format!("[limits]\nsessions = {}\n", logins.max(256) + 10);
        fs::write(state.join("hawser.toml"), limits)?;
        let daemon = self.daemon(&state, "none", 0)?;
        if logins > 0 {
            daemon.hawser(&["portal", "add", &self.portal])?;
        }
        let caller = &daemon.caller;
        let numbers: Vec<usize> = (0..logins).collect();
        let share = logins.div_ceil(ASKED_AT_ONCE).max(1);
        thread::scope(|scope| {
            let log_in = |numbers: &[usize]| -> Result<()> {
                for number in numbers {
                    caller.hawser(&["login", "--persist", &self::name(*number)])?;
                }
                Ok(())
            };
            let asking: Vec<_> = numbers
                .chunks(share)
                .map(|numbers| scope.spawn(move || log_in(numbers)))
                .collect();
            asking
                .into_iter()
                .try_for_each(|asked| asked.join().unwrap_or_else(|_| bail!("a login panicked")))
        })?;
        daemon.stop()?;
        Ok(state)
    }

    /// Starts a daemon and waits until so many sessions are up and their disks shown.
    pub(super) fn daemon(&self, state: &Path, mode: &str, sessions: usize) -> Result<Daemon> {
        let mut daemon = self.spawn(state, mode)?;
        daemon.heard("disk-ready", sessions)?;
        daemon.ensure_up(sessions)?;
        Ok(daemon)
    }

    /// Starts a daemon.
    pub(super) fn spawn(&self, state: &Path, mode: &str) -> Result<Daemon> {
        let runtime = state.with_extension("run");
        let mut command = Command::new(&self.program);
        command
            .arg("daemon")
            .arg("--config")
            .arg(state.join("hawser.toml"));
        command.arg("--state-dir").arg(state);
        command.arg("--runtime-dir").arg(&runtime);
        command.args(["--export", mode]);
        command.env_remove("HAWSER_SOCKET").env("RUST_LOG", "info");
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().context("the daemon's log")?;
        let process = Process(child);
        let (sender, log) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Nobody may listen any more; the daemon's log is read all the same.
                let _ = sender.send((Instant::now(), line));
            }
        });
        let mut daemon = Daemon {
            process,
            caller: Caller {
                program: self.program.clone(),
                socket: runtime.join("hawser.sock"),
            },
            log,
            heard: HashMap::new(),
        };
        daemon.heard("ready", 1)?;
        Ok(daemon)
    }
}

/// Reads 4 KiB so many times from a disk at an NBD address.
pub(super) fn read(uri: &str, reads: u32) -> Result<()> {
    let (reads, depth) = (reads.to_string(), DEPTH.to_string());
    let words = [
        "bench", "-f", "raw", "-s", "4096", "-d", &depth, "-c", &reads, uri,
    ];
    let output = Command::new("qemu-img").args(words).output();
    let output = output.context("qemu-img, of the Debian package qemu-utils")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "qemu-img bench: {said}");
    Ok(())
}

impl Daemon {
    /// Runs `hawser` with this daemon.
    pub(super) fn hawser(&self, words: &[&str]) -> Result<String> {
        self.caller.hawser(words)
    }

    /// When its log told of the last of so many events of a kind; of none, the present time.
    pub(super) fn heard(&mut self, kind: &str, times: usize) -> Result<Instant> {
        let Some(last) = times.checked_sub(1) else {
            return Ok(Instant::now());
        };
        loop {
            let heard = self.heard.get(kind);
            if let Some(at) = heard.and_then(|times| times.get(last)) {
                return Ok(*at);
            }
            let heard = heard.map_or(0, Vec::len);
            let next = self.hear();
            next.with_context(|| format!("{kind} was told {heard} times, not {times}"))?;
        }
    }

    /// Takes the next line of its log.
    fn hear(&mut self) -> Result<()> {
        let next = self.log.recv_timeout(PATIENCE);
        let (at, line) = next.context("the daemon is silent")?;
        ensure!(!line.contains("ERROR"), "{line}");
        let kind = line
            .split("kind=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let kind = kind.unwrap_or(if line.contains("ready socket=") {
            "ready"
        } else {
            ""
        });
        self.heard.entry(kind.to_owned()).or_default().push(at);
        Ok(())
    }

    /// Fails unless so many sessions are connected and so many disks there.
    pub(super) fn ensure_up(&self, sessions: usize) -> Result<()> {
        let status: serde_json::Value = serde_json::from_str(&self.hawser(&["status", "--json"])?)?;
        for what in ["sessions_connected", "disks"] {
            ensure!(status[what] == sessions, "{what}: {}", status[what]);
        }
        Ok(())
    }

    /// Its memory now.
    pub(super) fn memory(&self) -> Result<Memory> {
        figures::memory(self.process.0.id())
    }

    /// The CPU time it has taken.
    pub(super) fn cpu(&self) -> Result<Duration> {
        figures::cpu(self.process.0.id())
    }

    /// The NBD address of the first target's disk.
    pub(super) fn first_disk(&self) -> Result<String> {
        let disks: serde_json::Value =
            serde_json::from_str(&self.hawser(&["disk", "list", "--json"])?)?;
        let disks = disks.as_array().context("a list of disks")?;
        let disk = disks.iter().find(|disk| disk["target"] == name(0).as_str());
        let address = disk.and_then(|disk| disk["nbd"].as_str());
        Ok(address
            .context("the first disk has no NBD address")?
            .to_owned())
    }

    /// Ends it and waits for its end.
    pub(super) fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.process.0.id())?;
        kill(Pid::from_raw(pid), Signal::SIGTERM)?;
        let until = Instant::now() + PATIENCE;
        while self.process.0.try_wait()?.is_none() {
            ensure!(Instant::now() < until, "the daemon does not end");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
