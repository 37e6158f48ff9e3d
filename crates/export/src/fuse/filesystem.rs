//! The file system behind one mount: a directory with one file, `disk`, whose bytes are the disk's.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, InitFlags, KernelConfig, LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use hawser_block::Geometry;

use super::job::{Answer, Jobs, Task};

/// The file's name.
pub(crate) const FILE_NAME: &str = "disk";

/// The biggest read or write the kernel sends at once. It is what the kernel takes by default
/// (256 pages), and bounds the memory of the requests in flight to 256 MiB a disk.
const MAX_WRITE: u32 = 1024 * 1024;

/// Asynchronous requests that the kernel has under way at once on this connection: as many as a deep
/// queue on a loop device wants. The kernel's own default of 12 would halve its speed.
const MAX_BACKGROUND: u16 = 128;

/// Names never change; sizes may, so they are asked for each time (which a loop device does not do).
const NAME_TTL: Duration = Duration::from_secs(3600);
const SIZE_TTL: Duration = Duration::ZERO;

const DIRECTORY: INodeNo = INodeNo::ROOT;
const DISK: INodeNo = INodeNo(2);

/// The size that file systems like to be asked in; any multiple of the page size would do.
const PREFERRED_IO: u32 = 4096;

/// A request of the kernel that waits for the disk.
#[derive(Debug)]
pub(super) enum Waiting {
    Read(ReplyData),
    Write(ReplyWrite, u32),
    Other(ReplyEmpty),
}

impl Answer for Waiting {
    fn done(self, data: &[u8]) {
        match self {
            Self::Read(reply) => reply.data(data),
            Self::Write(reply, length) => reply.written(length),
            Self::Other(reply) => reply.ok(),
        }
    }

    fn failed(self, errno: i32) {
        let errno = Errno::from_i32(errno);
        match self {
            Self::Read(reply) => reply.error(errno),
            Self::Write(reply, _) => reply.error(errno),
            Self::Other(reply) => reply.error(errno),
        }
    }
}

/// The file system; see the module.
pub(super) struct DiskFilesystem {
    jobs: Arc<Jobs<Waiting>>,
    mounted: SystemTime,
    /// Something was read or written since the mount.
    touched: AtomicBool,
}

impl DiskFilesystem {
    pub(super) fn new(jobs: Arc<Jobs<Waiting>>) -> Self {
        Self {
            jobs,
            mounted: SystemTime::now(),
            touched: AtomicBool::new(false),
        }
    }

    fn start(&self, task: Task, answer: Waiting) {
        self.touched.store(true, Ordering::Relaxed);
        self.jobs.start(task, answer);
    }

    fn geometry(&self) -> Geometry {
        self.jobs.device().geometry()
    }

    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let geometry = self.geometry();
        let write = if geometry.read_only { 0 } else { 0o200 };
        let (kind, perm, nlink, size) = match inode {
            DIRECTORY => (FileType::Directory, 0o500, 2, 0),
            DISK => (FileType::RegularFile, 0o400 | write, 1, geometry.size),
            _ => return None,
        };
        Some(FileAttr {
            ino: inode,
            size,
            blocks: size / 512,
            atime: self.mounted,
            mtime: self.mounted,
            ctime: self.mounted,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink,
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            rdev: 0,
            blksize: geometry.physical_block_size.max(PREFERRED_IO),
            flags: 0,
        })
    }
}

impl Filesystem for DiskFilesystem {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Each setter fails with the nearest value that works, which is then as good as it gets.
        if let Err(nearest) = config.set_max_write(MAX_WRITE) {
            let _ = config.set_max_write(nearest);
        }
        if let Err(nearest) = config.set_max_readahead(MAX_WRITE) {
            let _ = config.set_max_readahead(nearest);
        }
        let _ = config.set_max_background(MAX_BACKGROUND);
        // A loop device's requests are asynchronous direct I/O; without this they come one by one.
        if config.add_capabilities(InitFlags::FUSE_ASYNC_DIO).is_err() {
            tracing::warn!(
                "the kernel has no asynchronous direct I/O on FUSE: exports will be slow"
            );
        }
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self
            .attributes(DISK)
            .filter(|_| parent == DIRECTORY && name == FILE_NAME)
        {
            Some(attributes) => {
                reply.entry_with_ttls(&SIZE_TTL, &NAME_TTL, &attributes, Generation(0));
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _req: &Request, inode: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Some(attributes) => reply.attr(&SIZE_TTL, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    /// A disk has no owner or mode to change, and its size is its own. As a block device does, it
    /// lets itself be opened for truncation (as `dd` and `cp` do) without becoming shorter.
    fn setattr(
        &self,
        _req: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let Some(attributes) = self.attributes(inode) else {
            return reply.error(Errno::ENOENT);
        };
        if mode.is_some() || uid.is_some() || gid.is_some() {
            return reply.error(Errno::EPERM);
        }
        if size.is_some_and(|size| size > attributes.size) {
            return reply.error(Errno::ENOSPC);
        }
        reply.attr(&SIZE_TTL, &attributes);
    }

    /// All I/O is direct: whatever cached the disk's bytes here would hold them a second time, and
    /// stale when the disk changes below.
    fn open(&self, _req: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        if inode != DISK {
            return reply.error(Errno::EISDIR);
        }
        if self.geometry().read_only && flags.acc_mode() != OpenAccMode::O_RDONLY {
            return reply.error(Errno::EROFS);
        }
        let flags = FopenFlags::FOPEN_DIRECT_IO
            | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES
            | FopenFlags::FOPEN_NOFLUSH;
        reply.opened(FileHandle(0), flags);
    }

    fn read(
        &self,
        _req: &Request,
        _inode: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let end = offset
            .saturating_add(u64::from(size))
            .min(self.geometry().size);
        if offset >= end {
            return reply.data(&[]);
        }
        self.start(Task::Read { bytes: offset..end }, Waiting::Read(reply));
    }

    fn write(
        &self,
        _req: &Request,
        _inode: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let room = self.geometry().size.saturating_sub(offset);
        let length = (data.len() as u64).min(room);
        if length == 0 && !data.is_empty() {
            return reply.error(Errno::ENOSPC);
        }
        let mut buffer = self.jobs.spare_buffer();
        buffer.clear();
        buffer.extend_from_slice(&data[..length as usize]);
        // The kernel passes on O_DSYNC and O_SYNC and expects us to keep them.
        let fua = flags.0 & (libc::O_DSYNC | libc::O_SYNC) != 0;
        let task = Task::Write {
            offset,
            data: buffer,
            fua,
        };
        self.start(task, Waiting::Write(reply, length as u32));
    }

    /// Before anything was read or written there is nothing to make durable. The loop driver syncs a
    /// file when it is attached; with a disk that hangs it would wait then, and whoever attaches
    /// another device with it.
    fn fsync(
        &self,
        _req: &Request,
        _inode: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        if !self.touched.load(Ordering::Relaxed) {
            return reply.ok();
        }
        self.start(Task::Flush, Waiting::Other(reply));
    }

    /// Both hole punching and zeroing must read as zeroes afterwards: a loop device sends the first
    /// for "write zeroes, may unmap" as well as for discards and does not say which. So a discard
    /// whose contents are left open is never used here; a disk that cannot zero by itself says that
    /// it cannot punch, and the kernel writes zeroes where it needs them and drops its discards.
    fn fallocate(
        &self,
        _req: &Request,
        _inode: INodeNo,
        _fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        const KEEP_SIZE: i32 = libc::FALLOC_FL_KEEP_SIZE;
        const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE | KEEP_SIZE;
        let geometry = self.geometry();
        let end = offset.saturating_add(length);
        let bytes = offset..end.min(geometry.size);
        match mode & !KEEP_SIZE {
            _ if geometry.read_only => return reply.error(Errno::EROFS),
            // Every block is there already.
            0 if end <= geometry.size || mode == KEEP_SIZE => return reply.ok(),
            0 => return reply.error(Errno::ENOSPC),
            libc::FALLOC_FL_ZERO_RANGE if end > geometry.size && mode & KEEP_SIZE == 0 => {
                return reply.error(Errno::ENOSPC);
            }
            libc::FALLOC_FL_ZERO_RANGE => {}
            libc::FALLOC_FL_PUNCH_HOLE if mode == PUNCH && geometry.can_write_zeroes => {}
            _ => return reply.error(Errno::EOPNOTSUPP),
        }
        if bytes.is_empty() {
            return reply.ok();
        }
        let task = Task::Zero {
            bytes,
            may_unmap: mode == PUNCH,
        };
        self.start(task, Waiting::Other(reply));
    }

    fn readdir(
        &self,
        _req: &Request,
        inode: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        if inode != DIRECTORY {
            return reply.error(Errno::ENOTDIR);
        }
        let entries = [
            (DIRECTORY, FileType::Directory, "."),
            (DIRECTORY, FileType::Directory, ".."),
            (DISK, FileType::RegularFile, FILE_NAME),
        ];
        for (next, (inode, kind, name)) in (1u64..).zip(entries) {
            if next > offset && reply.add(inode, next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _req: &Request, _inode: INodeNo, reply: ReplyStatfs) {
        const NAME_MAX: u32 = 255;
        let geometry = self.geometry();
        let blocks = geometry.size / u64::from(geometry.block_size);
        reply.statfs(
            blocks,
            0,
            0,
            1,
            0,
            geometry.block_size,
            NAME_MAX,
            geometry.block_size,
        );
    }
}
