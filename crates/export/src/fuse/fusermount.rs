//! Mounting as a plain user: through the setuid helper `fusermount3`, which mounts for us and hands
//! the descriptor over a socket.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

/// The helper's name.
const PROGRAM: &str = "fusermount3";

/// The variable that tells the helper where to send the descriptor.
const SOCKET_VARIABLE: &str = "_FUSE_COMMFD";

/// Whether the helper is installed and setuid.
pub(crate) fn is_usable() -> bool {
    const SETUID: u32 = 0o4000;
    find()
        .and_then(|path| path.metadata().ok())
        .is_some_and(|m| m.permissions().mode() & SETUID != 0)
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(PROGRAM))
        .find(|p| p.is_file())
}

/// Mounts at `mount_point` and gives the descriptor of `/dev/fuse`.
pub(super) fn mount(mount_point: &Path) -> io::Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair()?;
    let number = theirs.as_raw_fd();
    let mut command = Command::new(PROGRAM);
    command
        .args([
            "-o",
            "fsname=hawser,subtype=hawser,nosuid,nodev,noexec",
            "--",
        ])
        .arg(mount_point)
        .env(SOCKET_VARIABLE, number.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // SAFETY: the closure makes one system call in the child, on a descriptor that stays open until
    // the child is started.
    unsafe {
        command.pre_exec(move || {
            let theirs = std::os::fd::BorrowedFd::borrow_raw(number);
            fcntl(theirs, FcntlArg::F_SETFD(FdFlag::empty()))?;
            Ok(())
        });
    }
    let child = command.spawn().map_err(|error| named(&error.to_string()))?;
    drop(theirs);
    let descriptor = receive_descriptor(&ours);
    let output = child.wait_with_output()?;
    match descriptor {
        Ok(Some(descriptor)) if output.status.success() => Ok(descriptor),
        Ok(_) => Err(named(String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(error),
    }
}

/// Unmounts, lazily when asked to.
pub(super) fn unmount(mount_point: &Path, lazily: bool) -> io::Result<()> {
    let mut command = Command::new(PROGRAM);
    command
        .arg("-u")
        .args(lazily.then_some("-z"))
        .arg("--")
        .arg(mount_point);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| named(&e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(named(String::from_utf8_lossy(&output.stderr).trim()))
}

fn named(message: &str) -> io::Error {
    io::Error::other(format!("{PROGRAM}: {message}"))
}

/// The descriptor that the helper sent; none when it closed the socket.
fn receive_descriptor(socket: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    let mut control = nix::cmsg_space!(std::os::fd::RawFd);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut data, Some(&mut control), flags)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = part
            && let Some(descriptor) = descriptors.first()
        {
            // SAFETY: the kernel has just made the descriptor for us; nobody else owns it. There is
            // room for one only.
            return Ok(Some(unsafe { OwnedFd::from_raw_fd(*descriptor) }));
        }
    }
    Ok(None)
}
