//! `tgtd`, the Linux target framework's iSCSI target in user space (Debian package `tgt`).
//!
//! Habits to know: LUN 0 of every target is a controller, so the disks here start at LUN 1. With a
//! digest set to CRC32C it is used when offered and None is still accepted. CHAP knows MD5 and, under
//! the wrong number 7, SHA-1. Its page cache survives its own death, so a forgotten flush is not seen.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::server::Server;
use super::{ChapAccount, PeerError, Tool, free_port, wait_until};

/// How long tgtd may take to serve; it takes 50 ms on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(20);
/// One tgtadm call; it takes milliseconds, or hangs when tgtd is busy with itself.
const ADMIN_LIMIT: Duration = Duration::from_secs(10);
/// How often a start is tried with another port when the picked one was taken meanwhile.
const PORT_TRIES: usize = 5;
/// tgtd names its control socket by this number; ours is private by its directory already.
const CONTROL_PORT: &str = "1";

/// What lies behind a LUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// A new sparse file of this many bytes in the server's private directory.
    New(u64),
    /// A file or block device of the test's own; the server does not delete it.
    Path(PathBuf),
    /// Nothing: reads give whatever the buffer held, writes are forgotten, the size is 1 TiB. For speed.
    Null,
}

/// One disk of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TgtLun {
    /// What lies behind it.
    pub backing: Backing,
    /// Bytes a logical block; 512 unless told.
    pub block_size: u32,
    /// Whether writes are refused.
    pub readonly: bool,
    /// Whether it says that it is thin-provisioned and takes UNMAP.
    pub thin: bool,
}

impl TgtLun {
    /// A writable disk of 512-byte blocks over `backing`.
    #[must_use]
    pub fn new(backing: Backing) -> Self {
        Self {
            backing,
            block_size: 512,
            readonly: false,
            thin: false,
        }
    }
}

/// One target of a [`Tgtd`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TgtTarget {
    /// Its iSCSI name.
    pub name: String,
    /// Its disks: the first is LUN 1.
    pub luns: Vec<TgtLun>,
    /// The account the initiator must log in with, if any.
    pub chap: Option<ChapAccount>,
    /// The account with which the target proves itself in mutual CHAP, if any.
    pub mutual: Option<ChapAccount>,
    /// Offers CRC32C header digests.
    pub header_digest: bool,
    /// Offers CRC32C data digests.
    pub data_digest: bool,
    /// Further login keys or settings of tgtadm, such as `("InitialR2T", "No")`, `("nop_interval", "2")`.
    pub parameters: Vec<(String, String)>,
    /// Who may log in: initiator names, or addresses; everybody if empty.
    pub allowed: Vec<String>,
}

impl TgtTarget {
    /// A target without disks that everybody may use.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            luns: Vec::new(),
            chap: None,
            mutual: None,
            header_digest: false,
            data_digest: false,
            parameters: Vec::new(),
            allowed: Vec::new(),
        }
    }

    /// Adds a disk; the first is LUN 1.
    #[must_use]
    pub fn lun(mut self, lun: TgtLun) -> Self {
        self.luns.push(lun);
        self
    }

    /// Adds `count` disks of `bytes` each over new sparse files.
    #[must_use]
    pub fn disks(mut self, count: usize, bytes: u64) -> Self {
        let disk = TgtLun::new(Backing::New(bytes));
        self.luns.extend(std::iter::repeat_n(disk, count));
        self
    }

    /// Demands CHAP with this account.
    #[must_use]
    pub fn chap(mut self, user: &str, secret: &str) -> Self {
        self.chap = Some(ChapAccount::new(user, secret));
        self
    }

    /// Answers mutual CHAP with this account.
    #[must_use]
    pub fn mutual(mut self, user: &str, secret: &str) -> Self {
        self.mutual = Some(ChapAccount::new(user, secret));
        self
    }

    /// Offers CRC32C for both digests.
    #[must_use]
    pub fn digests(mut self) -> Self {
        self.header_digest = true;
        self.data_digest = true;
        self
    }

    /// Sets a further parameter of the target.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    fn all_parameters(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<(&str, &str)> = Vec::new();
        if self.header_digest {
            all.push(("HeaderDigest", "CRC32C"));
        }
        if self.data_digest {
            all.push(("DataDigest", "CRC32C"));
        }
        all.extend(
            self.parameters
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str())),
        );
        all
    }
}

/// What a [`Tgtd`] serves and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TgtConfig {
    /// Its targets.
    pub targets: Vec<TgtTarget>,
    /// The addresses it listens on, all with the same port; `127.0.0.1` unless told.
    pub addresses: Vec<IpAddr>,
}

impl TgtConfig {
    /// A server on `127.0.0.1` without targets.
    #[must_use]
    pub fn new() -> Self {
        Self {
            targets: Vec::new(),
            addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        }
    }

    /// Adds a target.
    #[must_use]
    pub fn target(mut self, target: TgtTarget) -> Self {
        self.targets.push(target);
        self
    }

    /// Also listens on `address`, with the same port.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// Accounts are the server's, not a target's: each user once.
    fn accounts(&self) -> Result<BTreeMap<&str, &str>, PeerError> {
        let mut accounts = BTreeMap::new();
        let named = self
            .targets
            .iter()
            .flat_map(|target| target.chap.iter().chain(&target.mutual));
        for account in named {
            let before = accounts.insert(account.user.as_str(), account.secret.as_str());
            if before.is_some_and(|secret| secret != account.secret) {
                return Err(PeerError::Config(format!(
                    "tgtd knows one secret a user, but {} has two",
                    account.user
                )));
            }
        }
        Ok(accounts)
    }
}

impl Default for TgtConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// A running `tgtd` with a port, control socket and backing files of its own.
#[derive(Debug)]
pub struct Tgtd {
    server: Option<Server>,
    config: TgtConfig,
    port: u16,
    directory: TempDir,
}

impl Tgtd {
    /// Starts tgtd and sets up all that `config` says; returns when it serves.
    ///
    /// # Errors
    /// [`PeerError`]: not installed, not ready in time, or a setting it refuses.
    pub fn start(config: TgtConfig) -> Result<Self, PeerError> {
        let directory = tempfile::Builder::new()
            .prefix("hawser-tgt-")
            .tempdir()
            .map_err(PeerError::io("make a directory for tgtd"))?;
        let mut tgtd = Self {
            server: None,
            config,
            port: 0,
            directory,
        };
        tgtd.make_images()?;
        for _ in 1..PORT_TRIES {
            tgtd.port = free_port()?;
            match tgtd.run() {
                Err(PeerError::Config(reason)) if reason == PORT_TAKEN => tgtd.kill(),
                other => return other.map(|()| tgtd),
            }
        }
        tgtd.port = free_port()?;
        tgtd.run().map(|()| tgtd)
    }

    /// The port, the same on every address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The portal at the first address.
    #[must_use]
    pub fn portal(&self) -> SocketAddr {
        let first = self.config.addresses.first().copied();
        SocketAddr::new(first.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), self.port)
    }

    /// The file behind a disk: `target` counts from 0 in the order of the configuration, `lun` is the LUN
    /// (from 1). None for a null disk.
    #[must_use]
    pub fn image(&self, target: usize, lun: usize) -> Option<PathBuf> {
        let disk = self
            .config
            .targets
            .get(target)?
            .luns
            .get(lun.checked_sub(1)?)?;
        match &disk.backing {
            Backing::New(_) => Some(self.image_path(target, lun)),
            Backing::Path(path) => Some(path.clone()),
            Backing::Null => None,
        }
    }

    /// Kills the server at once (SIGKILL). Its port and files are kept for [`restart`](Self::restart).
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts the server again with the same port, configuration and backing files; kills it first if it
    /// still runs.
    ///
    /// # Errors
    /// As [`start`](Self::start); also if somebody else took the port meanwhile.
    pub fn restart(&mut self) -> Result<(), PeerError> {
        self.kill();
        self.run()
    }

    /// Freezes the server (SIGSTOP): connections stay open, nothing is answered.
    ///
    /// # Errors
    /// [`PeerError`] if it does not run.
    pub fn freeze(&self) -> Result<(), PeerError> {
        self.running()?.freeze()
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// [`PeerError`] if it does not run.
    pub fn thaw(&self) -> Result<(), PeerError> {
        self.running()?.thaw()
    }

    /// Calls `tgtadm --lld iscsi` with `arguments`; returns what it prints. Target ids count from 1 in the
    /// order of the configuration.
    ///
    /// # Errors
    /// [`PeerError::Failed`] with tgtadm's words, [`PeerError::Timeout`] if tgtd does not answer it.
    pub fn admin(&self, arguments: &[&str]) -> Result<String, PeerError> {
        Tool::new("tgtadm")?
            .args(["-C", CONTROL_PORT, "--lld", "iscsi"])
            .args(arguments)
            .env("TGT_IPC_SOCKET", self.control_socket())
            .limit(ADMIN_LIMIT)
            .run_ok()
            .map(|output| output.stdout)
    }

    /// The initiator names of the sessions now open on a target (`target` counts from 0).
    ///
    /// # Errors
    /// As [`admin`](Self::admin).
    pub fn sessions(&self, target: usize) -> Result<Vec<String>, PeerError> {
        let tid = (target + 1).to_string();
        let shown = self.admin(&["--mode", "conn", "--op", "show", "--tid", &tid])?;
        Ok(shown
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Initiator: "))
            .map(|rest| rest.split(" alias:").next().unwrap_or(rest).to_owned())
            .collect())
    }

    /// Answers every later login to a target with a redirect to `portal`: temporary (0x0101) or permanent
    /// (0x0102). tgtd ignores it when the address equals the one dialled.
    ///
    /// # Errors
    /// As [`admin`](Self::admin).
    pub fn redirect(
        &self,
        target: usize,
        portal: SocketAddr,
        permanent: bool,
    ) -> Result<(), PeerError> {
        let kind = if permanent { "Permanent" } else { "Temporary" };
        self.set_parameter(target, "RedirectReason", kind)?;
        self.set_parameter(target, "RedirectAddress", &portal.ip().to_string())?;
        self.set_parameter(target, "RedirectPort", &portal.port().to_string())
    }

    /// Sets a parameter of a target (`target` counts from 0) while the server runs; sessions made later
    /// see it.
    ///
    /// # Errors
    /// As [`admin`](Self::admin).
    pub fn set_parameter(&self, target: usize, name: &str, value: &str) -> Result<(), PeerError> {
        let tid = (target + 1).to_string();
        let words = ["--mode", "target", "--op", "update", "--tid", &tid];
        self.admin(&[&words[..], &["--name", name, "--value", value]].concat())
            .map(drop)
    }

    /// The end of what tgtd printed.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.server
            .as_ref()
            .map(Server::log_tail)
            .unwrap_or_default()
    }

    fn running(&self) -> Result<&Server, PeerError> {
        self.server
            .as_ref()
            .ok_or_else(|| PeerError::Config("tgtd is not running".into()))
    }

    fn control_socket(&self) -> PathBuf {
        self.directory.path().join("ipc")
    }

    fn image_path(&self, target: usize, lun: usize) -> PathBuf {
        self.directory
            .path()
            .join(format!("t{target}-lun{lun}.img"))
    }

    fn make_images(&self) -> Result<(), PeerError> {
        for (t, target) in self.config.targets.iter().enumerate() {
            for (l, lun) in target.luns.iter().enumerate() {
                if let Backing::New(bytes) = lun.backing {
                    make_sparse(&self.image_path(t, l + 1), bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Starts the process and configures it.
    fn run(&mut self) -> Result<(), PeerError> {
        let socket = self.control_socket();
        // A killed tgtd leaves its socket and lock behind.
        for left in ["ipc.1", "ipc.1.lock"] {
            drop(std::fs::remove_file(self.directory.path().join(left)));
        }
        let portals: Vec<String> = self
            .config
            .addresses
            .iter()
            .map(|ip| format!("portal={}", SocketAddr::new(*ip, self.port)))
            .collect();
        let log = self.directory.path().join("log");
        let server = Server::start("tgtd", &log, |command| {
            command
                .args(["-f", "-C", CONTROL_PORT, "--iscsi", &portals.join(",")])
                .env("TGT_IPC_SOCKET", &socket);
        })?;
        self.server = Some(server);
        self.wait_for_control()?;
        self.check_portals()?;
        self.configure()
    }

    fn wait_for_control(&mut self) -> Result<(), PeerError> {
        wait_until("tgtd to answer tgtadm", START_LIMIT, || {
            if let Some(Err(ended)) = self.server.as_mut().map(Server::check_running) {
                return Ok(Err(ended));
            }
            self.admin(&["--mode", "sys", "--op", "show"])
                .map(|_| Ok(()))
                .map_err(|error| error.to_string())
        })?
    }

    /// When tgtd cannot bind a portal it goes on without it, and with none of ours it listens on every
    /// address at the well-known port instead: ask which portals it has.
    fn check_portals(&self) -> Result<(), PeerError> {
        let shown = self.admin(&["--mode", "portal", "--op", "show"])?;
        let all_bound = self.config.addresses.iter().all(|ip| {
            let wanted = format!("Portal: {},", SocketAddr::new(*ip, self.port));
            shown.lines().any(|line| line.starts_with(&wanted))
        });
        if all_bound {
            return Ok(());
        }
        Err(PeerError::Config(PORT_TAKEN.to_owned()))
    }

    fn configure(&self) -> Result<(), PeerError> {
        for (user, password) in self.config.accounts()? {
            let words = ["--mode", "account", "--op", "new", "--user", user];
            self.admin(&[&words[..], &["--password", password]].concat())?;
        }
        for (index, target) in self.config.targets.iter().enumerate() {
            self.configure_target(index, target)?;
        }
        Ok(())
    }

    fn configure_target(&self, index: usize, target: &TgtTarget) -> Result<(), PeerError> {
        let tid = (index + 1).to_string();
        let of_target = ["--tid", tid.as_str(), "--mode"];
        let call = |rest: &[&str]| self.admin(&[&of_target[..], rest].concat());
        call(&["target", "--op", "new", "-T", &target.name])?;
        for (l, lun) in target.luns.iter().enumerate() {
            self.configure_lun(index, l + 1, lun)?;
        }
        for (name, value) in target.all_parameters() {
            self.set_parameter(index, name, value)?;
        }
        if let Some(chap) = &target.chap {
            call(&["account", "--op", "bind", "--user", &chap.user])?;
        }
        if let Some(mutual) = &target.mutual {
            call(&[
                "account",
                "--op",
                "bind",
                "--user",
                &mutual.user,
                "--outgoing",
            ])?;
        }
        if target.allowed.is_empty() {
            call(&["target", "--op", "bind", "-I", "ALL"])?;
        }
        for who in &target.allowed {
            let kind = if who.parse::<IpAddr>().is_ok() {
                "-I"
            } else {
                "-Q"
            };
            call(&["target", "--op", "bind", kind, who])?;
        }
        Ok(())
    }

    fn configure_lun(&self, target: usize, lun: usize, disk: &TgtLun) -> Result<(), PeerError> {
        let tid = (target + 1).to_string();
        let number = lun.to_string();
        let path = self
            .image(target, lun)
            .unwrap_or_else(|| PathBuf::from("/dev/null"));
        let path = path.to_string_lossy();
        let block_size = disk.block_size.to_string();
        let of_lun = ["--mode", "logicalunit", "--tid", &tid, "--lun", &number];
        let mut new = vec!["--op", "new", "-b", &path, "--blocksize", &block_size];
        if disk.backing == Backing::Null {
            new.extend(["--bstype", "null"]);
        }
        self.admin(&[&of_lun[..], &new].concat())?;
        for (wanted, setting) in [
            (disk.readonly, "readonly=1"),
            (disk.thin, "thin_provisioning=1"),
        ] {
            if wanted {
                self.admin(&[&of_lun[..], &["--op", "update", "--params", setting]].concat())?;
            }
        }
        Ok(())
    }
}

/// The reason given when another process listens on the picked port.
const PORT_TAKEN: &str = "tgtd could not bind all of its portals: the port is in use";

/// A file of `bytes` that holds no data yet.
pub(crate) fn make_sparse(path: &Path, bytes: u64) -> Result<(), PeerError> {
    File::create(path)
        .and_then(|file| file.set_len(bytes))
        .map_err(PeerError::io(format!("make {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_else_has_is_noticed() {
        let mut tgtd = Tgtd::start(TgtConfig::new()).unwrap();
        tgtd.kill();
        let held = std::net::TcpListener::bind(tgtd.portal()).unwrap();
        let error = tgtd.restart().unwrap_err();
        assert!(matches!(error, PeerError::Config(reason) if reason == PORT_TAKEN));
        tgtd.kill();
        drop(held);
        tgtd.restart().unwrap();
    }
}
