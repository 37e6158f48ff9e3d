//! Mounting and unmounting, without I/O of this process on the mounted file system.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::MsFlags;

use super::fusermount;
use crate::child::{self, Overdue, Step};
use crate::mounts::Mount;

/// The time an unmount may take. It writes nothing for a FUSE file with direct I/O, but it waits for
/// requests under way.
const UNMOUNT_LIMIT: Duration = Duration::from_secs(10);

/// The file system type in the mount table.
pub(crate) const MOUNT_TYPE: &str = "fuse.hawser";

/// Mounts a FUSE connection at the directory and gives its descriptor, on which the kernel's first
/// request waits. As root by mount(2), else through `fusermount3`.
pub(super) fn mount(mount_point: &Path) -> io::Result<OwnedFd> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_CLOEXEC)
        .open("/dev/fuse")
        .map_err(|error| io::Error::new(error.kind(), format!("/dev/fuse: {error}")))?;
    let device = OwnedFd::from(device);
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let options = format!(
        "fd={},rootmode=40000,user_id={uid},group_id={gid}",
        device.as_raw_fd()
    );
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let mounted = nix::mount::mount(
        Some("hawser"),
        mount_point,
        Some(MOUNT_TYPE),
        flags,
        Some(options.as_str()),
    );
    match mounted {
        Ok(()) => Ok(device),
        Err(Errno::EPERM) => fusermount::mount(mount_point),
        Err(error) => Err(io::Error::new(
            io::Error::from(error).kind(),
            format!("cannot mount on {}: {error}", mount_point.display()),
        )),
    }
}

/// How to unmount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmount {
    /// Only when nobody uses it.
    Idle,
    /// At once for new users; for good when the last one lets go.
    Lazily,
    /// Abort the FUSE connection, so that nobody waits for a server any more.
    Abort,
}

impl Unmount {
    fn flags(self) -> i32 {
        const UMOUNT_NOFOLLOW: i32 = 8;
        UMOUNT_NOFOLLOW
            | match self {
                Self::Idle => 0,
                Self::Lazily => libc::MNT_DETACH,
                Self::Abort => libc::MNT_FORCE,
            }
    }
}

/// Unmounts what is mounted topmost at `mount_point`, in a child process.
///
/// # Errors
/// EBUSY when it is in use, EINVAL when nothing is mounted there.
pub(crate) fn unmount(mount_point: &Path, how: Unmount) -> io::Result<()> {
    let path = CString::new(mount_point.as_os_str().as_bytes())?;
    // SAFETY: the closure makes one system call, on a string that is ready.
    let result = unsafe {
        child::run(UNMOUNT_LIMIT, Overdue::Kill, || {
            Step::Unmount
                .check(libc::umount2(path.as_ptr(), how.flags()))
                .map(drop)
        })
    };
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.errno() == Some(libc::EPERM) && how != Unmount::Abort => {
            fusermount::unmount(mount_point, how == Unmount::Lazily)
        }
        Err(error) => match error.errno() {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Err(io::Error::other(error.to_string())),
        },
    }
}

/// Aborts the FUSE connection of a mount: every request on it ends with an error, now and later.
/// Through fusectl where it is mounted, else by a forced unmount, which does the same first and may
/// fail to unmount afterwards.
pub(crate) fn abort(mount: &Mount) {
    let control = format!("/sys/fs/fuse/connections/{}/abort", mount.minor);
    if fs::write(control, "1").is_err() {
        let _ = unmount(&mount.mount_point, Unmount::Abort);
    }
}
