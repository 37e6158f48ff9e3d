//! The servers that are measured on, started once and used by all.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use hawser_testkit::peers::{Backing, TgtConfig, TgtLun, TgtTarget, Tgtd};
use tempfile::TempDir;

use crate::process::Served;

/// The program that tells the latencies of libiscsi.
const PROBE: &str = "libiscsi_load";
/// Bytes of the disks in memory.
const DISK: u64 = 64 << 20;
/// A target that offers no digests.
const PLAIN: &str = "iqn.2026-01.io.github.hawser.bench:plain";
/// The same disks with both digests on offer.
const DIGESTS: &str = "iqn.2026-01.io.github.hawser.bench:digests";

/// What is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// tgt with nothing behind the disk.
    TgtNull,
    /// tgt with a file in memory.
    TgtMemory,
    /// Our own target with a disk in memory; the limit's server takes its place for the limit.
    Own,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TgtNull => "tgt, null",
            Self::TgtMemory => "tgt, file in memory",
            Self::Own => "own target",
        })
    }
}

/// A LUN to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk {
    /// Where its target is.
    pub(crate) portal: SocketAddr,
    /// The target's name.
    pub(crate) target: &'static str,
    /// The LUN.
    pub(crate) lun: u64,
}

impl Disk {
    /// As libiscsi reads it.
    pub(crate) fn url(&self) -> String {
        format!("iscsi://{}/{}/{}", self.portal, self.target, self.lun)
    }
}

/// All servers, and the programs to measure with. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Site {
    programs: PathBuf,
    /// The disk in memory.
    _directory: TempDir,
    tgtd: Tgtd,
    own: Served,
    limit: Served,
}

impl Site {
    /// Starts the servers, and builds the program that tells the latencies of libiscsi.
    pub(crate) fn open() -> Result<Self> {
        let this = std::env::current_exe().context("find this program")?;
        let programs = this.parent().context("this program lies nowhere")?;
        let directory = tempfile::Builder::new()
            .prefix("hawser-bench-")
            .tempdir_in("/dev/shm")
            .context("make a directory in memory")?;
        build_probe(&programs.join(PROBE))?;
        let mut limit = Command::new(&this);
        limit.arg("limit-server");
        Ok(Self {
            tgtd: start_tgtd(directory.path())?,
            own: Served::start(own_target(&programs.join("hawser")))?,
            limit: Served::start(limit)?,
            programs: programs.to_path_buf(),
            _directory: directory,
        })
    }

    /// The disk at a place.
    pub(crate) fn disk(&self, place: Place, digests: bool) -> Disk {
        let (portal, lun) = match place {
            Place::TgtNull => (self.tgtd.portal(), 1),
            Place::TgtMemory => (self.tgtd.portal(), 2),
            Place::Own => (self.own.address(), 0),
        };
        let target = if digests && place != Place::Own {
            DIGESTS
        } else {
            PLAIN
        };
        Disk {
            portal,
            target,
            lun,
        }
    }

    /// Where the limit's server listens.
    pub(crate) fn limit(&self) -> SocketAddr {
        self.limit.address()
    }

    /// One of the project's programs, which lie beside this one.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// The program that tells the latencies of libiscsi.
    pub(crate) fn probe(&self) -> PathBuf {
        self.programs.join(PROBE)
    }
}

/// Builds `c/libiscsi_load.c` against the system's libiscsi, unless that was done already.
fn build_probe(program: &Path) -> Result<()> {
    let code = include_str!("../c/libiscsi_load.c");
    let source = program.with_extension("c");
    let built = program.exists() && std::fs::read_to_string(&source).is_ok_and(|is| is == code);
    if built {
        return Ok(());
    }
    drop(std::fs::remove_file(program));
    std::fs::write(&source, code).context("write its source")?;
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-Wall", "-o"]);
    gcc.arg(program).arg(source).arg("-liscsi");
    let limit = std::time::Duration::from_secs(60);
    crate::process::finish(gcc, limit).context("build the program for libiscsi's latencies")?;
    Ok(())
}

fn own_target(hawser: &Path) -> Command {
    let mut command = Command::new(hawser);
    command
        .env("HAWSER_LOG", "warn")
        .arg(format!("--exit-with-parent={}", std::process::id()))
        .args(["target", "--portal", "127.0.0.1:0", "--target", PLAIN])
        .args(["--lun", &format!("ram:{}M", DISK >> 20)]);
    command
}

fn start_tgtd(directory: &Path) -> Result<Tgtd> {
    let image = directory.join("disk");
    std::fs::write(&image, vec![0x5a; DISK as usize]).context("make a disk in memory")?;
    let target = |name| {
        TgtTarget::new(name)
            .parameter("MaxConnections", "8")
            .lun(TgtLun::new(Backing::Null))
            .lun(TgtLun::new(Backing::Path(image.clone())))
    };
    let config = TgtConfig::new()
        .target(target(PLAIN))
        .target(target(DIGESTS).digests());
    Ok(Tgtd::start(config)?)
}
