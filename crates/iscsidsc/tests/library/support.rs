//! A daemon in a process of its own, targets, and the library on its socket.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hawser_target::disk::{LogicalUnit, RamBackend, UnitIdentity};
use hawser_target::{ChapConfig, TargetConfig, TargetHandle, TargetServer};
use hawser_testkit::peers::{TgtConfig, TgtTarget, Tgtd, wait_until};
use iscsidsc::api::{Device, InitiatorPort, Library, Login, Portal, SessionId, Status};
use tempfile::TempDir;

/// Name of the target of most tests.
pub(crate) const TARGET: &str = "iqn.2026-11.test.iscsidsc:disk";
/// How long anything in these tests may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
pub(crate) const MIB: u64 = 1 << 20;

/// A program of the workspace, beside this test's own.
pub(crate) fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("has a path");
    let built = own.parent().and_then(Path::parent).expect("is in deps");
    let program = built.join(name);
    assert!(
        program.exists(),
        "{} is missing: cargo build -p hawser-cli -p iscsidsc --bins --examples",
        program.display()
    );
    program
}

/// A daemon with private directories, over its restarts.
pub(crate) struct Daemon {
    child: Option<Child>,
    export: &'static str,
    directory: TempDir,
}

impl Daemon {
    /// Starts one that shows disks in this way.
    pub(crate) fn start(export: &'static str) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("hawser-lib-")
            .tempdir()
            .expect("a directory");
        std::fs::write(directory.path().join("hawser.toml"), "").expect("written");
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
            .open(self.path("log"))
            .expect("opened");
        let child = Command::new(program("hawserd"))
            .arg("--socket")
            .arg(self.socket())
            .arg("--config")
            .arg(self.path("hawser.toml"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .arg("--runtime-dir")
            .arg(self.path("run"))
            .args(["--export", self.export])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("started");
        self.child = Some(child);
        let library = self.library();
        let answers = || library.node_name().map_err(|status| status.to_string());
        wait_until("the daemon to answer", LIMIT, answers).expect("it answers");
    }

    /// The library on its socket.
    pub(crate) fn library(&self) -> Library {
        Library::at(&self.socket())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("hawser.sock")
    }

    /// A file or directory of its own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The process that it is now.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("gone");
        }
    }

    /// Asks it to end (SIGTERM) and waits for that.
    pub(crate) fn stop(&mut self) {
        let pid = self.pid().to_string();
        let mut child = self.child.take().expect("it runs");
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("kill runs").success());
        assert!(child.wait().expect("gone").success(), "it ended well");
    }
}

/// Ends it in the way in which it takes down what it shows.
impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.is_some() && !std::thread::panicking() {
            self.stop();
        } else if let Some(child) = &mut self.child {
            let pid = child.id().to_string();
            let _ = Command::new("kill").args(["-TERM", &pid]).status();
            let _ = child.wait();
        }
    }
}

/// A target of ours, on a runtime of its own.
pub(crate) struct Target {
    handle: Option<TargetHandle>,
    runtime: tokio::runtime::Runtime,
}

impl Target {
    /// One disk of 64 MiB at LUN 1.
    pub(crate) fn start() -> Self {
        Self::start_with(config(TARGET))
    }

    pub(crate) fn start_with(config: TargetConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = TargetServer::builder().portal(anywhere).target(config);
        let handle = runtime.block_on(server.start()).expect("it starts");
        Self {
            handle: Some(handle),
            runtime,
        }
    }

    pub(crate) fn portal(&self) -> Portal {
        let handle = self.handle.as_ref().expect("it runs");
        portal_of(handle.local_addrs()[0])
    }

    /// Ends it: its portal refuses connections then.
    pub(crate) fn kill(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.runtime.block_on(handle.kill());
        }
    }
}

pub(crate) fn portal_of(address: SocketAddr) -> Portal {
    Portal::new(&address.ip().to_string(), address.port())
}

/// A target with one disk of 64 MiB at LUN 1.
pub(crate) fn config(name: &str) -> TargetConfig {
    let backend = Arc::new(RamBackend::new(64 * MIB).expect("a size"));
    let identity = UnitIdentity::from_key(name);
    let unit = Arc::new(LogicalUnit::new(backend, 512, identity).expect("a unit"));
    TargetConfig::new(name)
        .expect("a name")
        .alias("a disk")
        .lun(1, unit)
}

/// The same that demands CHAP.
pub(crate) fn with_chap(user: &str, secret: &str) -> TargetConfig {
    config(TARGET).chap(ChapConfig::one_way(user, secret.into()))
}

/// A tgtd with a target of that name and one disk of 64 MiB at LUN 1.
pub(crate) fn tgtd(name: &str) -> Tgtd {
    let target = TgtTarget::new(name).disks(1, 64 * MIB);
    Tgtd::start(TgtConfig::new().target(target)).expect("tgtd serves")
}

pub(crate) fn discover(library: &Library, portal: &Portal) {
    library
        .add_send_target_portal(&InitiatorPort::any(), None, 0, portal)
        .expect("it answers");
}

pub(crate) fn login_to(name: &str) -> Login {
    Login {
        target_name: name.into(),
        ..Login::default()
    }
}

/// Logs in now; gives the session.
pub(crate) fn log_in(library: &Library, name: &str) -> SessionId {
    let done = library.login(login_to(name)).expect("logs in");
    done.value.session_id
}

/// Stores a persistent login.
pub(crate) fn store(library: &Library, name: &str) {
    let login = Login {
        persistent: true,
        ..login_to(name)
    };
    library.login(login).expect("stored");
}

/// Waits, as clients do, until a session has a device with a number.
pub(crate) fn ready_device(library: &Library, session: SessionId) -> Device {
    wait_until("a device", LIMIT, || {
        let devices = library
            .devices(session)
            .map_err(|status| status.to_string())?;
        let ready = |device: &Device| device.storage_device_number.device_number != u32::MAX;
        let shown = format!("{devices:?}");
        devices.into_iter().find(ready).ok_or(shown)
    })
    .expect("is ready")
}

/// Waits until a call gives what is wanted.
pub(crate) fn until<T>(what: &str, mut call: impl FnMut() -> Result<T, Status>) -> T {
    wait_until(what, LIMIT, || call().map_err(|status| status.to_string())).expect("in time")
}
