//! Who uses a disk now: mounts, devices built on it, programs that have it open.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hawser_api::Failure;
use hawser_engine::LunNumber;

use super::{Disk, Facts};
use crate::device_number::DeviceNumber;
use crate::volumes::{Host, Mount};

/// Processes that are looked at; a machine with more is not searched to the end.
const MAX_PROCESSES: usize = 65_536;
/// Descriptors of one process that are looked at.
const MAX_DESCRIPTORS: usize = 65_536;
/// Longest table of sockets that is read, in bytes: 100,000 sockets fit.
const MAX_SOCKET_TABLE: u64 = 16 * 1024 * 1024;
/// Users that are named of each disk.
const MAX_NAMED: usize = 32;

/// Who has what open on this machine, as far as we may see: files below some places by their paths.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    files: BTreeMap<PathBuf, Vec<String>>,
    /// Connections to Unix sockets, by the path of the listener.
    connections: BTreeMap<Vec<u8>, usize>,
}

impl OpenFiles {
    /// Looks through the descriptors of all processes but our own. Only names are read, so nothing
    /// that hangs is touched. Blocks for a while on a large machine.
    pub(crate) fn read(wanted: &[PathBuf]) -> Self {
        let mut found = Self {
            connections: connections(),
            ..Self::default()
        };
        if wanted.is_empty() {
            return found;
        }
        let own = std::process::id().to_string();
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = processes.filter(|entry| {
            let name = entry.file_name();
            name.as_bytes().iter().all(u8::is_ascii_digit) && name.as_bytes() != own.as_bytes()
        });
        for process in pids.take(MAX_PROCESSES) {
            found.look_at(&process.path(), wanted);
        }
        found
    }

    fn look_at(&mut self, process: &Path, wanted: &[PathBuf]) {
        let descriptors = std::fs::read_dir(process.join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        for descriptor in descriptors.take(MAX_DESCRIPTORS) {
            let Ok(file) = std::fs::read_link(descriptor.path()) else {
                continue;
            };
            if !wanted.contains(&file) {
                continue;
            }
            let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
            let pid = process.file_name().unwrap_or_default().to_string_lossy();
            let who = format!("process {pid} ({})", name.trim());
            let users = self.files.entry(file).or_default();
            if users.len() < MAX_NAMED && !users.contains(&who) {
                users.push(who);
            }
        }
    }

    fn of(&self, file: &Path) -> impl Iterator<Item = String> + '_ {
        self.files.get(file).into_iter().flatten().cloned()
    }
}

/// How many connections each listener on a Unix socket has taken: lines of `/proc/net/unix` in the
/// state "connected" that carry its path.
fn connections() -> BTreeMap<Vec<u8>, usize> {
    const CONNECTED: &[u8] = b"03";
    let mut table = Vec::new();
    if let Ok(file) = std::fs::File::open("/proc/net/unix") {
        // What cannot be read is not counted.
        let _ = file.take(MAX_SOCKET_TABLE).read_to_end(&mut table);
    }
    let mut counts = BTreeMap::new();
    for line in table.split(|byte| *byte == b'\n') {
        let mut fields = line
            .split(|byte| *byte == b' ')
            .filter(|field| !field.is_empty());
        let (state, path) = (fields.nth(5), fields.nth(1));
        if let (Some(CONNECTED), Some(path)) = (state, path) {
            *counts.entry(path.to_vec()).or_insert(0) += 1;
        }
    }
    counts
}

/// The device nodes and files through which a disk can be open.
pub(crate) fn files_of(host: &Host, facts: &Facts) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = facts.fuse_file.iter().cloned().collect();
    files.extend(facts.node.clone());
    for device in devices_of(host, facts) {
        files.extend(
            host.sysfs
                .name(device)
                .map(|name| Path::new("/dev").join(name)),
        );
    }
    files.sort();
    files.dedup();
    files
}

/// A disk's block device and its partitions.
fn devices_of(host: &Host, facts: &Facts) -> Vec<DeviceNumber> {
    let Some(block) = facts.block else {
        return Vec::new();
    };
    let partitions = host.sysfs.partitions(block).unwrap_or_default();
    std::iter::once(block)
        .chain(partitions.into_iter().map(|part| part.device))
        .collect()
}

/// The mounts that lie on a disk, also through what is built on it; the topmost first.
pub(crate) fn mounts_on(host: &Host, facts: &Facts) -> Result<Vec<Mount>, Failure> {
    let Some(block) = facts.block else {
        return Ok(Vec::new());
    };
    let table = host.mounts()?;
    let mut found: Vec<Mount> = table
        .iter()
        .filter(|mount| {
            let under = host.disks_under_mount(mount);
            under.is_ok_and(|disks| disks.contains(&block))
        })
        .cloned()
        .collect();
    found.reverse();
    Ok(found)
}

/// Everybody who uses a disk, one sentence each.
pub(crate) fn holders(host: &Host, facts: &Facts, open: &OpenFiles) -> Vec<String> {
    let mut holders = Vec::new();
    match mounts_on(host, facts) {
        Ok(mounts) => {
            holders.extend(
                mounts
                    .iter()
                    .map(|mount| format!("mounted at {}", mount.mount_point.display())),
            );
        }
        Err(failure) => holders.push(failure.message.clone()),
    }
    if let Some(block) = facts.block {
        let built = host.sysfs.holders(block).unwrap_or_default();
        holders.extend(built.into_iter().map(|name| format!("part of {name}")));
    }
    for file in files_of(host, facts) {
        holders.extend(open.of(&file));
    }
    let clients = facts
        .nbd_socket
        .as_ref()
        .and_then(|socket| open.connections.get(socket.as_os_str().as_bytes()));
    holders.extend(clients.map(|count| format!("{count} NBD clients")));
    holders.truncate(MAX_NAMED);
    holders
}

/// Everybody who uses some disks, looked for now: the LUN of each that is used, and its users.
pub(crate) async fn look(host: &Host, disks: Vec<Arc<Disk>>) -> Vec<(LunNumber, Vec<String>)> {
    let host = host.clone();
    let found = tokio::task::spawn_blocking(move || {
        let files: Vec<_> = disks
            .iter()
            .flat_map(|disk| files_of(&host, &disk.facts()))
            .collect();
        let open = OpenFiles::read(&files);
        let used = disks
            .iter()
            .map(|disk| (disk.lun, holders(&host, &disk.facts(), &open)));
        used.filter(|(_, holders)| !holders.is_empty())
            .collect::<Vec<_>>()
    });
    found.await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_program_that_has_a_file_open_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("disk");
        std::fs::write(&path, "x").unwrap();
        let input = std::fs::File::open(&path).unwrap();
        let mut child = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::from(input))
            .spawn()
            .unwrap();
        let open = OpenFiles::read(std::slice::from_ref(&path));
        child.kill().unwrap();
        child.wait().unwrap();
        let named: Vec<String> = open.of(&path).collect();
        assert_eq!(named, [format!("process {} (sleep)", child.id())]);
        let facts = Facts {
            fuse_file: Some(path),
            ..Facts::default()
        };
        assert_eq!(holders(&Host::new(Path::new("/")), &facts, &open), named);
    }

    #[test]
    fn connections_to_a_socket_are_counted() {
        use std::os::unix::net::{UnixListener, UnixStream};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nbd.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let facts = Facts {
            nbd_socket: Some(path.clone()),
            ..Facts::default()
        };
        let host = Host::new(Path::new("/"));
        assert!(
            holders(&host, &facts, &OpenFiles::read(&[])).is_empty(),
            "only a listener"
        );
        let _client = UnixStream::connect(&path).unwrap();
        let _server = listener.accept().unwrap();
        assert_eq!(
            holders(&host, &facts, &OpenFiles::read(&[])),
            ["1 NBD clients"]
        );
    }
}
