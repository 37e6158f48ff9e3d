//! Ways to show a disk to programs: our daemon's, and `qemu-nbd` for comparison. One server for each way,
//! with a session of its own, for as long as a contest needs it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hawser_testkit::peers::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::finish;
use crate::site::{Disk, Site};

/// How long a server may take until its disk is there, and to stop.
const LIMIT: Duration = Duration::from_secs(60);

/// A way to show a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Export {
    /// Our daemon's NBD export.
    Nbd,
    /// Our daemon's FUSE file.
    Fuse,
    /// Our daemon's loop device.
    Loop,
    /// `qemu-nbd` on `iscsi://`, with libiscsi.
    QemuNbd,
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nbd => "hawser nbd",
            Self::Fuse => "hawser fuse",
            Self::Loop => "hawser loop",
            Self::QemuNbd => "qemu-nbd (libiscsi)",
        })
    }
}

/// A disk that is shown. Dropping it stops the server.
#[derive(Debug)]
pub(crate) struct Shown {
    server: Child,
    address: String,
    /// Its sockets and mounts are below it.
    _directory: TempDir,
}

impl Shown {
    /// Shows a disk in this way.
    pub(crate) fn start(export: Export, site: &Site, disk: &Disk) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("hawser-bench-export-")
            .tempdir()
            .context("make a directory for an export")?;
        match export {
            Export::Nbd => daemon(site, disk, directory, "nbd", "nbd"),
            Export::Fuse => daemon(site, disk, directory, "fuse", "device"),
            Export::Loop => daemon(site, disk, directory, "loop", "device"),
            Export::QemuNbd => qemu_nbd(disk, directory),
        }
        .with_context(|| format!("start {export}"))
    }

    /// Where the disk is: an NBD address, or a path.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// User and system time of the server so far, in seconds, as the system counts it.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let path = format!("/proc/{}/stat", self.server.id());
        let stat = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let ticks = cpu_ticks(&stat).with_context(|| format!("{path} holds {stat}"))?;
        let rate = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
        Ok(ticks as f64 / rate as f64)
    }
}

/// User and system time in `/proc/PID/stat`: the 14th and 15th field, counted behind the name in brackets.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

impl Drop for Shown {
    /// In order: a daemon that is killed leaves its mounts behind.
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.server.id()) {
            // Fails only when it is gone already.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let deadline = Instant::now() + LIMIT;
        while matches!(self.server.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

/// Our daemon with one disk, whose address is under `key` in the list of disks.
fn daemon(site: &Site, disk: &Disk, directory: TempDir, mode: &str, key: &str) -> Result<Shown> {
    let folder = directory.path().to_path_buf();
    std::fs::write(folder.join("hawser.toml"), "").context("write the configuration")?;
    let log = std::fs::File::create(folder.join("log")).context("make the log")?;
    let server = Command::new(site.program("hawser"))
        .env("HAWSER_LOG", "warn")
        .arg(format!("--exit-with-parent={}", std::process::id()))
        .arg("--socket")
        .arg(folder.join("socket"))
        .arg("daemon")
        .arg("--config")
        .arg(folder.join("hawser.toml"))
        .arg("--state-dir")
        .arg(folder.join("state"))
        .arg("--runtime-dir")
        .arg(folder.join("run"))
        .args(["--export", mode])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("start the daemon")?;
    let mut shown = Shown {
        server,
        address: String::new(),
        _directory: directory,
    };
    let hawser = site.program("hawser");
    let told = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    shown.address = address(&hawser, &folder, disk, key).with_context(told)?;
    Ok(shown)
}

/// Logs the daemon in and waits until the disk is there.
fn address(hawser: &Path, folder: &Path, disk: &Disk, key: &str) -> Result<String> {
    let ask = |words: &[&str]| {
        let mut command = Command::new(hawser);
        command.arg("--socket").arg(folder.join("socket"));
        command.args(words);
        finish(command, LIMIT).map(|finished| finished.stdout)
    };
    wait_until("the daemon to answer", LIMIT, || {
        ask(&["status"]).map_err(|error| error.to_string())
    })?;
    ask(&["portal", "add", &disk.portal.to_string()])?;
    ask(&["login", disk.target])?;
    let found = wait_until("the disk to be ready", LIMIT, || {
        let text = ask(&["disk", "list", "--json"]).map_err(|error| error.to_string())?;
        let disks: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let mut disks = disks.as_array().into_iter().flatten();
        let found = disks.find(|one| one["lun"] == disk.lun && one["state"] == "ready");
        found.cloned().ok_or(text)
    })?;
    let address = found[key].as_str();
    let address = address.with_context(|| format!("the disk has no {key}: {found}"))?;
    Ok(address.to_owned())
}

fn qemu_nbd(disk: &Disk, directory: TempDir) -> Result<Shown> {
    let socket: PathBuf = directory.path().join("socket");
    let server = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "qemu-nbd"])
        .args(["-f", "raw", "-t", "-e", "4", "--cache=none", "-k"])
        .arg(&socket)
        .arg(disk.url())
        .stdin(Stdio::null())
        .spawn()
        .context("start qemu-nbd")?;
    let mut shown = Shown {
        server,
        address: format!("nbd+unix:///?socket={}", socket.display()),
        _directory: directory,
    };
    let listens = wait_until("qemu-nbd to listen", LIMIT, || {
        match (socket.exists(), shown.server.try_wait()) {
            (_, Ok(Some(status))) => Ok(Err(status)),
            (true, _) => Ok(Ok(())),
            (false, _) => Err("no socket".to_owned()),
        }
    })?;
    if let Err(status) = listens {
        bail!("qemu-nbd ended: {status}");
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20 0";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(cpu_ticks(&own).is_some());
    }
}
