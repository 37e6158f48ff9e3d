//! `istgt`, an iSCSI target in user space that shares no code with tgt (Debian package `istgt`).
//!
//! Habits to know: LUNs start at 0 and are disks. CHAP is MD5 only. `InitialR2T=No` and
//! ErrorRecoveryLevel above 0 are refused at start. It logs out slowly (a second). Digests are used when
//! offered, or demanded.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::server::Server;
use super::tgt::make_sparse;
use super::{ChapAccount, PeerError, free_port};

/// How long istgt may take to listen.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How often a start is tried with another port when the picked one was taken meanwhile.
const PORT_TRIES: usize = 5;
/// What istgt prints when it cannot bind a portal; it ends then.
const PORT_TAKEN: &str = "listen error";
/// istgt reads sizes in whole MB.
const MEGABYTE: u64 = 1 << 20;

/// One target of an [`Istgt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IstgtTarget {
    /// Its iSCSI name.
    pub name: String,
    /// Bytes of each disk, LUN 0 first; whole multiples of 1 MiB.
    pub luns: Vec<u64>,
    /// The account the initiator must log in with, if any.
    pub chap: Option<ChapAccount>,
    /// The account with which the target proves itself in mutual CHAP; only beside `chap`.
    pub mutual: Option<ChapAccount>,
    /// Whether both digests are demanded; otherwise they are used when offered.
    pub digests_required: bool,
}

impl IstgtTarget {
    /// A target without disks.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            luns: Vec::new(),
            chap: None,
            mutual: None,
            digests_required: false,
        }
    }

    /// Adds `count` disks of `bytes` each.
    #[must_use]
    pub fn disks(mut self, count: usize, bytes: u64) -> Self {
        self.luns.extend(std::iter::repeat_n(bytes, count));
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

    /// Demands both digests.
    #[must_use]
    pub fn require_digests(mut self) -> Self {
        self.digests_required = true;
        self
    }
}

/// What an [`Istgt`] serves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IstgtConfig {
    /// Its targets.
    pub targets: Vec<IstgtTarget>,
}

impl IstgtConfig {
    /// A server without targets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a target.
    #[must_use]
    pub fn target(mut self, target: IstgtTarget) -> Self {
        self.targets.push(target);
        self
    }
}

/// A running `istgt` with ports and files of its own.
#[derive(Debug)]
pub struct Istgt {
    server: Option<Server>,
    config: IstgtConfig,
    port: u16,
    directory: TempDir,
}

impl Istgt {
    /// Starts istgt on `127.0.0.1`; returns when it listens.
    ///
    /// # Errors
    /// [`PeerError`]: not installed, not ready in time, or a setting it refuses.
    pub fn start(config: IstgtConfig) -> Result<Self, PeerError> {
        let directory = tempfile::Builder::new()
            .prefix("hawser-istgt-")
            .tempdir()
            .map_err(PeerError::io("make a directory for istgt"))?;
        let mut istgt = Self {
            server: None,
            config,
            port: 0,
            directory,
        };
        istgt.make_images()?;
        for _ in 1..PORT_TRIES {
            istgt.write_config()?;
            match istgt.run() {
                Err(PeerError::Failed { output, .. }) if output.contains(PORT_TAKEN) => {}
                other => return other.map(|()| istgt),
            }
        }
        istgt.write_config()?;
        istgt.run().map(|()| istgt)
    }

    /// The port on `127.0.0.1`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The portal.
    #[must_use]
    pub fn portal(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.port)
    }

    /// The file behind a disk: `target` counts from 0 in the order of the configuration, `lun` is the LUN.
    #[must_use]
    pub fn image(&self, target: usize, lun: usize) -> PathBuf {
        self.directory
            .path()
            .join(format!("t{target}-lun{lun}.img"))
    }

    /// Kills the server at once (SIGKILL). Its port and files are kept for [`restart`](Self::restart).
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts the server again with the same port and files; kills it first if it still runs.
    ///
    /// # Errors
    /// As [`start`](Self::start).
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

    /// The end of what istgt printed.
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
            .ok_or_else(|| PeerError::Config("istgt is not running".into()))
    }

    fn make_images(&self) -> Result<(), PeerError> {
        for (t, target) in self.config.targets.iter().enumerate() {
            for (lun, bytes) in target.luns.iter().enumerate() {
                make_sparse(&self.image(t, lun), *bytes)?;
            }
        }
        Ok(())
    }

    /// Picks ports and writes the two configuration files for them.
    fn write_config(&mut self) -> Result<(), PeerError> {
        self.port = free_port()?;
        let control_port = free_port()?;
        write_private(
            &self.directory.path().join("istgt.conf"),
            &self.main_config(control_port),
        )?;
        write_private(
            &self.directory.path().join("auth.conf"),
            &self.config.accounts(),
        )
    }

    fn main_config(&self, control_port: u16) -> String {
        let directory = self.directory.path().display();
        let port = self.port;
        let mut text = format!(
            "[Global]\n NodeBase \"iqn.2024-01.test\"\n PidFile {directory}/istgt.pid\n \
             AuthFile {directory}/auth.conf\n MediaDirectory {directory}\n LogFacility \"local7\"\n \
             Timeout 30\n NopInInterval 20\n DiscoveryAuthMethod None\n MaxSessions 16\n \
             MaxConnections 8\n MaxR2T 32\n MaxOutstandingR2T 16\n DefaultTime2Wait 2\n \
             DefaultTime2Retain 20\n FirstBurstLength 262144\n MaxBurstLength 1048576\n \
             MaxRecvDataSegmentLength 262144\n InitialR2T Yes\n ImmediateData Yes\n \
             DataPDUInOrder Yes\n DataSequenceInOrder Yes\n ErrorRecoveryLevel 0\n\
             [UnitControl]\n AuthMethod CHAP Mutual\n AuthGroup AuthGroup10000\n \
             Portal UC1 127.0.0.1:{control_port}\n Netmask 127.0.0.1\n\
             [PortalGroup1]\n Portal DA1 127.0.0.1:{port}\n\
             [InitiatorGroup1]\n InitiatorName \"ALL\"\n Netmask 127.0.0.0/8\n"
        );
        for (index, target) in self.config.targets.iter().enumerate() {
            self.describe_target(&mut text, index, target);
        }
        text
    }

    fn describe_target(&self, text: &mut String, index: usize, target: &IstgtTarget) {
        let number = index + 1;
        let method = match (&target.chap, &target.mutual) {
            (None, _) => "None".to_owned(),
            (Some(_), None) => format!("CHAP\n AuthGroup AuthGroup{number}"),
            (Some(_), Some(_)) => format!("CHAP Mutual\n AuthGroup AuthGroup{number}"),
        };
        let digest = if target.digests_required {
            "Header Data"
        } else {
            "Auto"
        };
        // Writing into a String cannot fail.
        let _ = write!(
            text,
            "[LogicalUnit{number}]\n TargetName {}\n Mapping PortalGroup1 InitiatorGroup1\n \
             AuthMethod {method}\n UseDigest {digest}\n UnitType Disk\n",
            target.name
        );
        for (lun, bytes) in target.luns.iter().enumerate() {
            let image = self.image(index, lun);
            let megabytes = bytes / MEGABYTE;
            let _ = writeln!(text, " LUN{lun} Storage {} {megabytes}MB", image.display());
        }
    }

    fn run(&mut self) -> Result<(), PeerError> {
        let directory = self.directory.path();
        let server = Server::start("istgt", &directory.join("log"), |command| {
            command
                .arg("-c")
                .arg(directory.join("istgt.conf"))
                .arg("-p")
                .arg(directory.join("istgt.pid"))
                .arg("-D");
        })?;
        let port = self.port;
        self.server.insert(server).wait_listening(port, START_LIMIT)
    }
}

impl IstgtConfig {
    /// The authentication file: one group a target, and one for istgt's own control port, which nobody
    /// uses but which it demands.
    fn accounts(&self) -> String {
        let mut text = String::from(
            "[AuthGroup10000]\n Auth \"control\" \"control-secret-1\" \"peer\" \"control-secret-2\"\n",
        );
        for (index, target) in self.targets.iter().enumerate() {
            let Some(chap) = &target.chap else { continue };
            let number = index + 1;
            let _ = write!(
                text,
                "[AuthGroup{number}]\n Auth \"{}\" \"{}\"",
                chap.user, chap.secret
            );
            if let Some(mutual) = &target.mutual {
                let _ = write!(text, " \"{}\" \"{}\"", mutual.user, mutual.secret);
            }
            text.push('\n');
        }
        text
    }
}

/// istgt refuses an authentication file that others may read.
fn write_private(path: &Path, text: &str) -> Result<(), PeerError> {
    use std::io::Write as _;
    std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(PeerError::io(format!("write {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_else_has_is_noticed() {
        let target = IstgtTarget::new("iqn.2024-01.test:t").disks(1, MEGABYTE);
        let mut istgt = Istgt::start(IstgtConfig::new().target(target)).unwrap();
        istgt.kill();
        let held = std::net::TcpListener::bind(istgt.portal()).unwrap();
        let error = istgt.restart().unwrap_err();
        assert!(error.to_string().contains(PORT_TAKEN), "{error}");
        drop(held);
        istgt.restart().unwrap();
    }
}
