//! Loop devices on FUSE files: a real `/dev/loopN` for a disk.
//!
//! Every call that can do I/O on the file below runs in a child process: opening the file,
//! reading the partition table, and the last close of a device, which writes out what is dirty.

mod abi;

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::child::{self, ChildError, Overdue, Step};
use abi::LoopConfig;

/// The time one step may take; detaching writes out dirty pages, over a network.
const CHILD_LIMIT: Duration = Duration::from_secs(20);

/// The time that attaching waits for the partition table. It is read further behind our back.
const SCAN_LIMIT: Duration = Duration::from_secs(5);

/// Held from the question for a free device until it is attached, so that two threads never get the
/// same one: the loser would open a device that reads its partition table, and wait for a disk that
/// is not its own. Until then nothing is asked of the disk, so nobody waits long.
static ATTACHING: Mutex<()> = Mutex::new(());

/// Free devices that are tried. Another process may take the device that we were told is free, and
/// this many do not in a row.
const MAX_TRIES: usize = 32;

/// The time udev and the kernel have to close a device that was just detached.
const GONE_LIMIT: Duration = Duration::from_secs(2);

/// The pause between looks at whether a device is gone; sysfs cannot be waited on for this.
const GONE_PAUSE: Duration = Duration::from_millis(20);

/// Why a loop device could not be attached or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoopError {
    /// The control device does not work.
    #[error("/dev/loop-control: {0}")]
    Control(#[source] io::Error),
    /// The device node is missing and cannot be made, or is something else.
    #[error("{}: {source}", path.display())]
    Node {
        /// The node.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The device could not be set up.
    #[error("{}: {reason}", path.display())]
    Device {
        /// The node.
        path: PathBuf,
        /// Which step failed, and how.
        reason: String,
    },
    /// The disk below did not answer in time.
    #[error("{}: the disk below did not answer within {} s", path.display(), CHILD_LIMIT.as_secs())]
    Timeout {
        /// The node.
        path: PathBuf,
    },
    /// Every device that was free was taken before we had it.
    #[error("{MAX_TRIES} free loop devices were taken by others before they could be attached")]
    NoneFree,
}

impl LoopError {
    /// Whether the disk below did not answer: a process may wait for it still.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }
}

fn device_error(node: &Path, error: &ChildError) -> LoopError {
    let path = node.to_owned();
    match error {
        ChildError::Timeout(_) => LoopError::Timeout { path },
        error => LoopError::Device {
            path,
            reason: error.to_string(),
        },
    }
}

/// An attached loop device. Dropping it leaves it attached.
#[derive(Debug)]
pub struct LoopDevice {
    number: u32,
    node: PathBuf,
    node_made: bool,
    file: PathBuf,
    scanned: bool,
}

/// What to attach.
#[derive(Debug)]
pub struct Attachment<'a> {
    /// The file below; on a file system of ours.
    pub file: &'a Path,
    /// The logical block size in bytes.
    pub block_size: u32,
    /// Writes are refused.
    pub read_only: bool,
}

impl LoopDevice {
    /// Attaches a free loop device, with direct I/O (the file's own cache would hold everything
    /// twice), partition scan and no autoclear. `about_to` is told the number of each device before
    /// it is attached, so that it can be noted where a clean-up finds it. Blocks for some seconds.
    ///
    /// A disk that does not answer is attached all the same, as a disk that hangs would be; see
    /// [`is_scanned`](Self::is_scanned).
    ///
    /// # Errors
    /// See [`LoopError`].
    pub fn attach(
        attachment: &Attachment<'_>,
        about_to: impl FnMut(u32) -> io::Result<()>,
    ) -> Result<Self, LoopError> {
        let mut device = Self::configure_free(attachment, about_to)?;
        match scan_partitions(&device.node) {
            Ok(()) => device.scanned = true,
            Err(ChildError::Timeout(_)) => {}
            Err(error) => {
                let _ = device.detach();
                return Err(device_error(&device.node, &error));
            }
        }
        Ok(device)
    }

    fn configure_free(
        attachment: &Attachment<'_>,
        mut about_to: impl FnMut(u32) -> io::Result<()>,
    ) -> Result<Self, LoopError> {
        let _guard = ATTACHING.lock().unwrap_or_else(PoisonError::into_inner);
        let control = open_control().map_err(LoopError::Control)?;
        for _ in 0..MAX_TRIES {
            let number = free_number(&control).map_err(LoopError::Control)?;
            about_to(number).map_err(LoopError::Control)?;
            let (node, node_made) = provide_node(number)?;
            match configure(&node, attachment) {
                Ok(()) => {
                    return Ok(Self {
                        number,
                        node,
                        node_made,
                        file: attachment.file.to_owned(),
                        scanned: false,
                    });
                }
                Err(error) if error.errno() == Some(libc::EBUSY) => {}
                Err(error) => {
                    if node_made {
                        let _ = fs::remove_file(&node);
                    }
                    return Err(device_error(&node, &error));
                }
            }
        }
        Err(LoopError::NoneFree)
    }

    /// The device node, `/dev/loopN`.
    #[must_use]
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// N of `/dev/loopN`.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether the partition table has been read. If not, the disk did not answer yet; partitions
    /// appear when it does.
    #[must_use]
    pub fn is_scanned(&self) -> bool {
        self.scanned
    }

    /// Whether the node was missing and had to be made.
    #[must_use]
    pub fn node_made(&self) -> bool {
        self.node_made
    }

    /// Makes the device `node` as big as its `file` is now. Blocks.
    ///
    /// # Errors
    /// [`LoopError::Device`], [`LoopError::Timeout`].
    pub fn update_capacity(node: &Path, file: &Path) -> Result<(), LoopError> {
        set_capacity(node, file).map_err(|error| device_error(node, &error))
    }

    /// Detaches the device. False when somebody uses it: then it detaches itself when the last user
    /// closes it.
    ///
    /// # Errors
    /// [`LoopError::Device`]; [`LoopError::Timeout`], after which it can be tried again.
    pub fn detach(&self) -> Result<bool, LoopError> {
        let gone = detach(self.number, &self.file)?;
        if gone && self.node_made {
            let _ = fs::remove_file(&self.node);
        }
        Ok(gone)
    }
}

/// Detaches `/dev/loop<number>` if `file` is below it; see [`LoopDevice::detach`]. A device that has
/// another file by now was detached before and belongs to somebody else.
pub(crate) fn detach(number: u32, file: &Path) -> Result<bool, LoopError> {
    let is_ours = || backing_file(number).is_some_and(|below| below == file);
    if !is_ours() {
        return Ok(true);
    }
    let node = node_path(number);
    match clear(&node) {
        Ok(()) => {}
        // Not attached any more.
        Err(error) if error.errno() == Some(libc::ENXIO) => {}
        Err(error) => return Err(device_error(&node, &error)),
    }
    let deadline = Instant::now() + GONE_LIMIT;
    while is_ours() {
        if Instant::now() > deadline {
            return Ok(false);
        }
        std::thread::sleep(GONE_PAUSE);
    }
    Ok(true)
}

/// The path of the file below an attached device, as the kernel says it; without any I/O.
pub(crate) fn backing_file(number: u32) -> Option<PathBuf> {
    let text = fs::read(format!("/sys/block/loop{number}/loop/backing_file")).ok()?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    (!text.is_empty()).then(|| PathBuf::from(std::ffi::OsStr::from_bytes(text)))
}

/// The numbers and files of all loop devices whose file `is_ours`.
pub(crate) fn attached(is_ours: impl Fn(&Path) -> bool) -> io::Result<Vec<(u32, PathBuf)>> {
    let mut devices = Vec::new();
    for entry in fs::read_dir("/sys/block")? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("loop")?.parse().ok());
        if let Some(number) = number
            && let Some(file) = backing_file(number).filter(|file| is_ours(file))
        {
            devices.push((number, file));
        }
    }
    Ok(devices)
}

/// Says why loop devices cannot be attached here, if so.
pub(crate) fn probe() -> Result<(), String> {
    let number = open_control()
        .and_then(|control| free_number(&control))
        .map_err(|error| LoopError::Control(error).to_string())?;
    let (node, made) = provide_node(number).map_err(|error| error.to_string())?;
    // The device is free, so opening it does no I/O.
    let opened = OpenOptions::new().read(true).write(true).open(&node);
    if made {
        let _ = fs::remove_file(&node);
    }
    opened
        .map(drop)
        .map_err(|error| format!("{} cannot be opened: {error}", node.display()))
}

fn open_control() -> io::Result<File> {
    let options = libc::O_CLOEXEC;
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(options)
        .open("/dev/loop-control")
}

fn free_number(control: &File) -> io::Result<u32> {
    // SAFETY: LOOP_CTL_GET_FREE takes no argument and gives a device number or -1.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), abi::LOOP_CTL_GET_FREE) };
    u32::try_from(number).map_err(|_| io::Error::last_os_error())
}

/// The path of a device.
pub(crate) fn node_path(number: u32) -> PathBuf {
    PathBuf::from(format!("/dev/loop{number}"))
}

/// The node of a device, made when it is missing (a container's `/dev` has only the nodes of its
/// start), and whether it was made.
fn provide_node(number: u32) -> Result<(PathBuf, bool), LoopError> {
    let path = node_path(number);
    let failed = |source| LoopError::Node {
        path: path.clone(),
        source,
    };
    let device = makedev(u64::from(abi::LOOP_MAJOR), u64::from(number));
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.file_type().is_block_device() && metadata.rdev() == device => {
            return Ok((path, false));
        }
        Ok(_) => return Err(failed(io::Error::other("is not the device of that name"))),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Err(_) => {}
    }
    match mknod(&path, SFlag::S_IFBLK, Mode::S_IRUSR | Mode::S_IWUSR, device) {
        Ok(()) => Ok((path, true)),
        // devtmpfs was faster.
        Err(nix::errno::Errno::EEXIST) => Ok((path, false)),
        Err(error) => Err(failed(error.into())),
    }
}

fn c_path(path: &Path) -> CString {
    // Paths with NUL bytes cannot be opened; the empty path fails as such.
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

fn configure(node: &Path, attachment: &Attachment<'_>) -> Result<(), ChildError> {
    let (node, file) = (c_path(node), c_path(attachment.file));
    let (access, read_only) = if attachment.read_only {
        (libc::O_RDONLY, abi::LO_FLAGS_READ_ONLY)
    } else {
        (libc::O_RDWR, 0)
    };
    let flags = abi::LO_FLAGS_DIRECT_IO | read_only;
    let mut config = LoopConfig::new(flags, attachment.block_size, file.to_bytes());
    // SAFETY: the closure only makes system calls, on strings and a structure that are ready; the
    // structure is the one that LOOP_CONFIGURE takes.
    unsafe {
        child::run(CHILD_LIMIT, Overdue::Kill, || {
            let backing =
                Step::OpenFile.check(libc::open(file.as_ptr(), access | libc::O_CLOEXEC))?;
            let device = Step::OpenDevice
                .check(libc::open(node.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC))?;
            config.fd = backing as u32;
            let done = Step::Configure.check(libc::ioctl(device, abi::LOOP_CONFIGURE, &config));
            libc::close(device);
            done.map(drop)
        })
    }
}

/// Switches on the partition scan, which reads the partition table. That waits for the disk, so it is
/// not part of the configuration.
fn scan_partitions(node: &Path) -> Result<(), ChildError> {
    let node = c_path(node);
    let mut info = LoopConfig::new(0, 0, &[]).info;
    // SAFETY: the closure only makes system calls, on a string and a structure that are ready; the
    // structure is the one that both status calls take.
    unsafe {
        child::run(SCAN_LIMIT, Overdue::Leave, || {
            let device = Step::OpenDevice
                .check(libc::open(node.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC))?;
            Step::GetStatus.check(libc::ioctl(device, abi::LOOP_GET_STATUS64, &mut info))?;
            info.lo_flags |= abi::LO_FLAGS_PARTSCAN;
            let done = Step::SetStatus.check(libc::ioctl(device, abi::LOOP_SET_STATUS64, &info));
            libc::close(device);
            done.map(drop)
        })
    }
}

fn set_capacity(node: &Path, file: &Path) -> Result<(), ChildError> {
    let (node, file) = (c_path(node), c_path(file));
    // SAFETY: the closure only makes system calls, on strings that are ready and a structure of its
    // own.
    unsafe {
        child::run(CHILD_LIMIT, Overdue::Kill, || {
            // Makes the kernel ask us for the file's size.
            let mut stat = std::mem::zeroed::<libc::stat>();
            Step::StatFile.check(libc::stat(file.as_ptr(), &mut stat))?;
            let device = Step::OpenDevice
                .check(libc::open(node.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC))?;
            let done = Step::SetCapacity.check(libc::ioctl(device, abi::LOOP_SET_CAPACITY, 0));
            libc::close(device);
            done.map(drop)
        })
    }
}

fn clear(node: &Path) -> Result<(), ChildError> {
    let node = c_path(node);
    // SAFETY: the closure only makes system calls, on a string that is ready.
    unsafe {
        child::run(CHILD_LIMIT, Overdue::Kill, || {
            let device = Step::OpenDevice
                .check(libc::open(node.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC))?;
            let done = Step::ClearFd.check(libc::ioctl(device, abi::LOOP_CLR_FD, 0));
            // The device goes when the last descriptor is closed, so the wait for its dirty pages
            // is here and not in the child's exit.
            libc::close(device);
            done.map(drop)
        })
    }
}
