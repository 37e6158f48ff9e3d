//! Where the demo takes place: a private directory, the target and the daemon; and its end.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hawser_api::Client;
use hawser_api::v1::GetStatusRequest;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use zeroize::Zeroizing;

use super::POLL;
use super::leftovers::Leftovers;
use super::process::Process;
use crate::error::CliError;
use crate::exit::Exit;

/// Name of the demo's target.
pub(super) const TARGET: &str = "iqn.2026-01.io.github.hawser:demo";

/// CHAP name that the target demands.
pub(super) const CHAP_USER: &str = "demo";

/// Its only disk.
const DISK: &str = "ram:64M";

/// How long target and daemon may take to start; a debug build on a busy machine takes a second.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long they may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How long they may take to stop after a failure or Ctrl-C.
const HURRIED_STOP_LIMIT: Duration = Duration::from_secs(5);

/// Longest name of the directory for temporary files that leaves room for the names of sockets in it
/// (107 bytes, unix(7)).
const MAX_PLACE_LEN: usize = 48;

/// The stage. [`Stage::strike`] ends what runs and removes everything; should the demo be dropped
/// without it, the processes are killed and the directory is removed.
pub(super) struct Stage {
    // Dropped in this order: who uses the directory before the directory.
    daemon: Option<Process>,
    target: Option<Process>,
    directory: TempDir,
    secret: Zeroizing<Vec<u8>>,
    export: String,
}

impl Stage {
    /// Makes the private directory and what lies in it.
    pub(super) fn set(export: &str) -> Result<Self, CliError> {
        let mut place = std::env::temp_dir();
        if place.as_os_str().len() > MAX_PLACE_LEN {
            place = "/tmp".into();
        }
        let failed = |error| CliError::io(format!("cannot write to {}", place.display()), &error);
        let made = tempfile::Builder::new()
            .prefix("hawser-demo-")
            .tempdir_in(&place);
        let directory = made.map_err(failed)?;
        for name in ["state", "run", "volume"] {
            fs::create_dir(directory.path().join(name)).map_err(failed)?;
        }
        // An empty file of its own, so that the daemon does not read the machine's.
        write_private(&directory.path().join("hawser.toml"), b"").map_err(failed)?;
        let secret = random_secret()?;
        write_private(&directory.path().join("secret"), &secret).map_err(failed)?;
        Ok(Self {
            daemon: None,
            target: None,
            directory,
            secret,
            export: export.to_owned(),
        })
    }

    /// The private directory.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the filesystem is mounted, if it may be.
    pub(super) fn volume(&self) -> PathBuf {
        self.in_directory("volume")
    }

    /// The daemon's socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.in_directory("hawser.sock")
    }

    /// The CHAP secret.
    pub(super) fn secret(&self) -> &[u8] {
        &self.secret
    }

    fn in_directory(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts the target on a free port; gives its portal once it listens.
    pub(super) async fn start_target(&mut self) -> Result<SocketAddr, CliError> {
        let secret = self.in_directory("secret");
        let words = [
            "target",
            "--portal",
            "127.0.0.1:0",
            "--target",
            TARGET,
            "--lun",
            DISK,
        ];
        let mut words: Vec<&OsStr> = words.map(OsStr::new).to_vec();
        words.extend(["--chap-user", CHAP_USER, "--chap-secret-file"].map(OsStr::new));
        words.push(secret.as_os_str());
        let log = self.in_directory("target.log");
        let target = self.target.insert(Process::start("target", &log, &words)?);
        let Some(stdout) = target.stdout() else {
            return Err(CliError::new(Exit::Failed, "the target has no stdout"));
        };
        let mut lines = BufReader::new(stdout).lines();
        let first = tokio::time::timeout(START_LIMIT, lines.next_line()).await;
        let line = first
            .map_err(|_| CliError::new(Exit::TimedOut, "the target did not start in time"))?
            .map_err(|error| CliError::io("the target cannot be heard", &error))?
            .unwrap_or_default();
        let told = line
            .strip_prefix("listening on ")
            .and_then(|rest| rest.parse().ok());
        told.ok_or_else(|| CliError::new(Exit::Failed, format!("the target said {line:?}")))
    }

    /// Starts the daemon; gives a client once it answers.
    pub(super) async fn start_daemon(&mut self) -> Result<Client, CliError> {
        let (socket, config) = (self.socket(), self.in_directory("hawser.toml"));
        let (state, run) = (self.in_directory("state"), self.in_directory("run"));
        let words = [
            OsStr::new("--socket"),
            socket.as_os_str(),
            OsStr::new("daemon"),
            OsStr::new("--config"),
            config.as_os_str(),
            OsStr::new("--state-dir"),
            state.as_os_str(),
            OsStr::new("--runtime-dir"),
            run.as_os_str(),
            OsStr::new("--export"),
            OsStr::new(&self.export),
        ];
        let log = self.in_directory("daemon.log");
        let daemon = self.daemon.insert(Process::start("daemon", &log, &words)?);
        let answer = async {
            loop {
                daemon.check_running()?;
                if let Ok(client) = Client::connect(&socket).await
                    && client
                        .system()
                        .get_status(GetStatusRequest {})
                        .await
                        .is_ok()
                {
                    return Ok(client);
                }
                tokio::time::sleep(POLL).await;
            }
        };
        let late = |_| CliError::new(Exit::TimedOut, "the daemon did not answer in time");
        tokio::time::timeout(START_LIMIT, answer)
            .await
            .map_err(late)?
    }

    /// Kills the daemon, as a crash would.
    pub(super) async fn kill_daemon(&mut self) -> Result<(), CliError> {
        match self.daemon.take() {
            Some(mut daemon) => daemon.kill().await,
            None => Ok(()),
        }
    }

    /// Stops daemon and target in order; fails if the daemon leaves anything behind.
    pub(super) async fn stop(&mut self) -> Result<(), CliError> {
        if let Some(daemon) = &mut self.daemon {
            daemon.stop(STOP_LIMIT).await?;
        }
        let left = Leftovers::below(self.directory())?;
        if !left.is_empty() {
            return Err(CliError::new(
                Exit::Failed,
                format!("the daemon left behind: {left}"),
            ));
        }
        if let Some(target) = &mut self.target {
            target.stop(STOP_LIMIT).await?;
        }
        (self.daemon, self.target) = (None, None);
        Ok(())
    }

    /// Adds the ends of the logs to an error.
    pub(super) fn with_logs(&self, error: CliError) -> CliError {
        if error.exit() == Exit::Interrupted {
            return error;
        }
        let processes = [
            ("daemon's log", &self.daemon),
            ("target's log", &self.target),
        ];
        processes
            .into_iter()
            .fold(error, |error, (label, process)| {
                let log = process.as_ref().map(Process::log_tail).unwrap_or_default();
                log.lines()
                    .fold(error, |error, line| error.with(label, line))
            })
    }

    /// Ends everything that still runs, takes away what is mounted, removes the directory.
    ///
    /// # Errors
    /// What could not be taken away.
    pub(super) async fn strike(mut self) -> Result<(), CliError> {
        // The daemon first, while the target still answers it. After a story that went well neither
        // runs any more; after another one, how they end no longer matters.
        for mut process in [self.daemon.take(), self.target.take()]
            .into_iter()
            .flatten()
        {
            drop(process.stop(HURRIED_STOP_LIMIT).await);
        }
        Leftovers::below(self.directory())?.take_away().await;
        let left = Leftovers::below(self.directory())?;
        if !left.is_empty() {
            // Removing the directory would reach into what is still mounted in it.
            let kept = self.directory.keep();
            let text = format!("could not take away: {left}");
            return Err(CliError::new(Exit::Failed, text).with("in", kept.display().to_string()));
        }
        let path = self.directory().display().to_string();
        let removed = self.directory.close();
        removed.map_err(|error| CliError::io(format!("cannot remove {path}"), &error))
    }
}

/// A file that only this user can read.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)
}

/// A CHAP secret of 128 random bits, in letters and digits.
fn random_secret() -> Result<Zeroizing<Vec<u8>>, CliError> {
    let mut random = Zeroizing::new([0; 16]);
    getrandom::fill(random.as_mut_slice())
        .map_err(|error| CliError::new(Exit::Failed, format!("no random bytes: {error}")))?;
    let digits = b"0123456789abcdef";
    let halves = random.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    Ok(Zeroizing::new(
        halves
            .filter_map(|half| digits.get(usize::from(half)).copied())
            .collect(),
    ))
}
