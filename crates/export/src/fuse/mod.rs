//! A disk as a FUSE file.
//!
//! One connection a disk, so that a disk that hangs fills only its own queue. The `fuser` crate
//! speaks the kernel's protocol; mounting and unmounting are ours, because they must not happen in a
//! way that makes this process wait for itself. Descriptors are never cloned: one descriptor is all
//! that must close for the kernel to end the connection.

mod filesystem;
pub(crate) mod fusermount;
mod job;
mod mount;
mod ranges;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hawser_block::BlockDevice;

use crate::mounts;
use filesystem::{DiskFilesystem, Waiting};
use job::Jobs;

pub(crate) use filesystem::FILE_NAME;
pub(crate) use mount::{MOUNT_TYPE, Unmount, abort, unmount};

/// The time the serving thread has to end after its connection did.
const END_LIMIT: Duration = Duration::from_secs(5);

/// The pause between looks at whether the thread has ended; a thread cannot be waited on with a limit.
const END_PAUSE: Duration = Duration::from_millis(5);

/// A mounted FUSE file system with the file `disk`. Dropping it leaves it mounted and served; see
/// [`unmount`](Self::unmount).
pub struct FuseFile {
    mount_point: PathBuf,
    file: PathBuf,
    jobs: Arc<Jobs<Waiting>>,
    server: JoinHandle<()>,
}

impl fmt::Debug for FuseFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FuseFile")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl FuseFile {
    /// Mounts a file system with `device` at the directory `mount_point` and serves it on a thread
    /// of its own. Blocks for a few milliseconds; does no I/O on the file.
    ///
    /// # Errors
    /// What mount(2), `fusermount3` or the kernel's greeting said.
    pub fn mount(mount_point: &Path, device: Arc<dyn BlockDevice>) -> io::Result<Self> {
        let descriptor = mount::mount(mount_point)?;
        let jobs = Jobs::new(device);
        let filesystem = DiskFilesystem::new(Arc::clone(&jobs));
        // The kernel itself admits only the user who mounted. A check of user ids here would refuse
        // the loop driver's own threads.
        let acl = fuser::SessionACL::All;
        let config = fuser::Config::default();
        let served =
            fuser::Session::from_fd(filesystem, descriptor, acl, config).and_then(|session| {
                let name = mount_point
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy();
                thread::Builder::new()
                    .name(format!("fuse-{name}"))
                    .spawn(move || {
                        become_io_flusher();
                        match session.run() {
                            Ok(()) => tracing::debug!("FUSE connection ended"),
                            Err(error) => tracing::warn!(%error, "FUSE connection failed"),
                        }
                    })
            });
        match served {
            Ok(server) => {
                let (mount_point, file) = (mount_point.to_owned(), mount_point.join(FILE_NAME));
                Ok(Self {
                    mount_point,
                    file,
                    jobs,
                    server,
                })
            }
            Err(error) => {
                let _ = unmount(mount_point, Unmount::Lazily);
                Err(error)
            }
        }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Unmounts. When the file is in use, it is unmounted lazily and false is returned: nobody can
    /// open it any more, and who has it open goes on until they close it. Blocks for seconds at most.
    ///
    /// # Errors
    /// What umount2(2) said.
    pub fn unmount(self) -> io::Result<bool> {
        let idle = match unmount(&self.mount_point, Unmount::Idle) {
            Ok(()) => true,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => true,
            Err(_) => {
                unmount(&self.mount_point, Unmount::Lazily)?;
                false
            }
        };
        if idle {
            self.jobs.close();
            self.wait_for_server();
        }
        Ok(idle)
    }

    /// Ends the connection: every request on it fails, now and later, also those that the disk never
    /// answers. The mount stays until it is unmounted.
    pub fn abort(&self) {
        self.jobs.close();
        if let Ok(Some(mount)) = mounts::at(&self.mount_point) {
            abort(&mount);
        }
    }

    fn wait_for_server(&self) {
        let deadline = Instant::now() + END_LIMIT;
        while !self.server.is_finished() && Instant::now() < deadline {
            thread::sleep(END_PAUSE);
        }
    }
}

/// Tells the kernel that the calling thread, and those it starts, serve a disk: when it needs memory
/// for them it must not write to that disk first, because it would wait for this very thread. The
/// daemon calls it once at its start, before it starts threads. Without the capability to do so
/// nothing changes.
pub fn become_io_flusher() {
    /// From `linux/prctl.h`.
    const PR_SET_IO_FLUSHER: i32 = 57;
    // SAFETY: PR_SET_IO_FLUSHER takes a number and changes a flag of the calling thread.
    unsafe {
        libc::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    }
}
