//! What the demo writes to and reads from: a file on a mounted filesystem where it may mount, else the
//! disk itself, as device, FUSE file or NBD export.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hawser_api::v1::{Disk, ExportKind};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tokio::process::Command;

use super::nbd;
use crate::error::CliError;
use crate::exit::Exit;

/// How long one piece of work on the disk may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The filesystem that is made, and the program that makes it.
const FILESYSTEM: (&str, &str) = ("ext4", "mkfs.ext4");

/// What is written to and read from.
#[derive(Debug, Clone)]
pub(super) enum Medium {
    /// A file on a filesystem that is mounted at this directory.
    Volume {
        mount_point: PathBuf,
        device: PathBuf,
    },
    /// A block device or FUSE file, and why nothing is mounted.
    Raw { path: PathBuf, why: String },
    /// An NBD export on this socket, and why nothing is mounted.
    Nbd { socket: PathBuf },
}

impl Medium {
    /// How a disk is shown, for people.
    pub(super) fn describe(disk: &Disk) -> String {
        let how = match disk.export_kind() {
            ExportKind::Loop => "loop device",
            ExportKind::Fuse => "FUSE file",
            ExportKind::Nbd => "NBD export",
            ExportKind::Ublk => "ublk device",
            ExportKind::NbdKernel => "kernel NBD device",
            ExportKind::None => "not shown",
        };
        let place = if disk.device.is_empty() {
            &disk.nbd_address
        } else {
            &disk.device
        };
        format!("{how} {place}")
    }

    /// Makes a filesystem on the disk and mounts it at `mount_point`, as far as this user may.
    pub(super) async fn prepare(disk: &Disk, mount_point: &Path) -> Result<Self, CliError> {
        if disk.device.is_empty() {
            let socket = nbd::socket_of(&disk.nbd_address).ok_or_else(|| {
                let text = format!("no way to the disk: {}", Self::describe(disk));
                CliError::new(Exit::Failed, text)
            })?;
            return Ok(Self::Nbd { socket });
        }
        let device = PathBuf::from(&disk.device);
        let raw = |why: &str| Self::Raw {
            path: device.clone(),
            why: why.to_owned(),
        };
        let is_block = |path: &Path| {
            path.metadata()
                .is_ok_and(|m| m.file_type().is_block_device())
        };
        if !is_block(&device) {
            return Ok(raw("a FUSE file is no block device"));
        }
        if let Some(why) = make_filesystem(&device).await? {
            return Ok(raw(&why));
        }
        let (source, place) = (device.clone(), mount_point.to_owned());
        let mounted = blocking("mounting", move || {
            let nothing: Option<&str> = None;
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            let done = mount(Some(&source), &place, Some(FILESYSTEM.0), flags, nothing);
            Ok(done.map_err(io::Error::from))
        });
        match mounted.await? {
            Ok(()) => Ok(Self::Volume {
                mount_point: mount_point.to_owned(),
                device,
            }),
            Err(error) => Ok(raw(&format!("it cannot be mounted here: {error}"))),
        }
    }

    /// What to bind: the mount point, else a stable link to the disk, else what there is.
    pub(super) fn bind_path(&self, disk: &Disk) -> String {
        match (self, disk.links.first()) {
            (Self::Volume { mount_point, .. }, _) => mount_point.display().to_string(),
            (_, Some(link)) => link.clone(),
            (Self::Raw { path, .. }, None) => path.display().to_string(),
            (Self::Nbd { socket }, None) => socket.display().to_string(),
        }
    }

    /// Writes and makes durable.
    pub(super) async fn write(&self, payload: Vec<u8>) -> Result<(), CliError> {
        let medium = self.clone();
        blocking("writing", move || match medium {
            Self::Volume { .. } | Self::Raw { .. } => {
                let mut file = medium.open_to_write()?;
                file.write_all(&payload)?;
                file.sync_all()
            }
            Self::Nbd { socket } => nbd::write(open_socket(&socket)?, &payload),
        })
        .await
    }

    /// Reads `length` bytes back. Nothing of them can come from a cache: the filesystem was mounted
    /// anew, and so was the FUSE file.
    pub(super) async fn read(&self, length: usize) -> Result<Vec<u8>, CliError> {
        let medium = self.clone();
        blocking("reading", move || {
            let path = match medium {
                Self::Nbd { socket } => return nbd::read(open_socket(&socket)?, length),
                Self::Volume { mount_point, .. } => file_on(&mount_point),
                Self::Raw { path, .. } => path,
            };
            let mut bytes = vec![0; length];
            File::open(path)?.read_exact(&mut bytes)?;
            Ok(bytes)
        })
        .await
    }

    /// Unmounts what was mounted, unless the daemon has done so when it was unbound.
    pub(super) async fn release(&self) -> Result<(), CliError> {
        let Self::Volume { mount_point, .. } = self.clone() else {
            return Ok(());
        };
        blocking("unmounting", move || {
            match umount2(&mount_point, MntFlags::empty()) {
                Ok(()) | Err(nix::errno::Errno::EINVAL) => Ok(()),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    fn open_to_write(&self) -> io::Result<File> {
        match self {
            Self::Volume { mount_point, .. } => File::create_new(file_on(mount_point)),
            Self::Raw { path, .. } => OpenOptions::new().write(true).open(path),
            Self::Nbd { socket } => Err(io::Error::other(format!(
                "{} is a socket",
                socket.display()
            ))),
        }
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume { device, .. } => {
                write!(
                    f,
                    "{} made on {} and mounted",
                    FILESYSTEM.0,
                    device.display()
                )
            }
            Self::Raw { why, .. } => write!(f, "to be written to directly: {why}"),
            Self::Nbd { .. } => f.write_str("to be written to over NBD: no device to mount"),
        }
    }
}

/// The file on a mounted filesystem.
fn file_on(mount_point: &Path) -> PathBuf {
    mount_point.join("hawser-demo.bin")
}

/// Connects, with a limit on each read and write.
fn open_socket(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Makes a filesystem; says why not if it cannot be made here, which is no failure of the demo.
async fn make_filesystem(device: &Path) -> Result<Option<String>, CliError> {
    let (name, program) = FILESYSTEM;
    // A plain user's PATH may lack the places of such programs.
    let places = format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    );
    let mut command = Command::new(program);
    command.args(["-q", "-F"]).arg(device).env("PATH", &places);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = match tokio::time::timeout(LIMIT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Ok(Some(format!("{program} cannot be run: {error}"))),
        Err(_) => {
            let text = format!("{program} took longer than {} s", LIMIT.as_secs());
            return Err(CliError::new(Exit::TimedOut, text));
        }
    };
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let text = format!("no {name} can be made on {}", device.display());
    Err(CliError::new(Exit::Failed, text).with("mkfs said", said.trim()))
}

/// Does what may block on a thread of its own, with a limit.
async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, CliError> {
    match tokio::time::timeout(LIMIT, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done.map_err(|error| CliError::io(format!("{what} failed"), &error)),
        Ok(Err(panicked)) => Err(CliError::new(
            Exit::Failed,
            format!("{what} failed: {panicked}"),
        )),
        Err(_) => {
            let text = format!("{what} took longer than {} s", LIMIT.as_secs());
            Err(CliError::new(Exit::TimedOut, text))
        }
    }
}
