//! A disk in a file or on a block device.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

use super::{Backend, Extent};

/// Bytes of zeros that are written at once where holes cannot be made.
const ZEROS: usize = 64 * 1024;

/// A disk in a file. The page cache of the system counts as its volatile cache: a flush is an
/// `fdatasync`.
#[derive(Debug)]
pub struct FileBackend {
    file: File,
    size: u64,
    read_only: bool,
}

impl FileBackend {
    /// Opens an existing file or block device; its size at this moment is the size of the disk.
    ///
    /// # Errors
    /// As the system says, for example when it is not there or may not be written.
    pub fn open(path: &Path, read_only: bool) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(!read_only).open(path)?;
        let metadata = file.metadata()?;
        // A block device has no length in its metadata; its end can be sought.
        let size = match metadata.file_type().is_block_device() {
            true => file.seek(SeekFrom::End(0))?,
            false => metadata.len(),
        };
        Ok(Self {
            file,
            size,
            read_only,
        })
    }

    /// Opens the file at `path`, or makes it; a shorter one grows to `size` bytes (as a hole), a
    /// longer one keeps its size.
    ///
    /// # Errors
    /// As the system says.
    pub fn create(path: &Path, size: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path)?;
        let len = file.metadata()?.len();
        if len < size {
            file.set_len(size)?;
            file.sync_all()?;
        }
        Ok(Self {
            file,
            size: len.max(size),
            read_only: false,
        })
    }

    /// True if it was opened only to be read.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn write_zeros(&self, mut offset: u64, mut len: u64) -> io::Result<()> {
        let zeros = [0; ZEROS];
        while len > 0 {
            let part = usize::try_from(len).unwrap_or(ZEROS).min(ZEROS);
            self.file
                .write_all_at(zeros.get(..part).unwrap_or(&zeros), offset)?;
            offset += part as u64;
            len -= part as u64;
        }
        Ok(())
    }
}

impl Backend for FileBackend {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    fn flush(&self, _offset: u64, _len: u64) -> io::Result<()> {
        self.file.sync_data()
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        // Not every filesystem makes holes; zeros are the promise, room is a courtesy.
        punch_hole(&self.file, offset, len).or_else(|_| self.write_zeros(offset, len))
    }

    fn extent(&self, offset: u64) -> io::Result<Extent> {
        let rest = self.size.saturating_sub(offset).max(1);
        Ok(sparse_extent(&self.file, offset, rest).unwrap_or(Extent {
            len: rest,
            mapped: true,
        }))
    }

    fn is_volatile(&self) -> bool {
        true
    }
}

#[cfg(target_os = "linux")]
fn punch_hole(file: &File, offset: u64, len: u64) -> io::Result<()> {
    use nix::fcntl::{FallocateFlags, fallocate};
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let number = |value: u64| i64::try_from(value).map_err(|_| io::ErrorKind::InvalidInput);
    Ok(fallocate(file, flags, number(offset)?, number(len)?)?)
}

#[cfg(not(target_os = "linux"))]
fn punch_hole(_file: &File, _offset: u64, _len: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Data or a hole at `offset`, as far as the filesystem tells; `None` where it does not.
#[cfg(target_os = "linux")]
fn sparse_extent(file: &File, offset: u64, rest: u64) -> Option<Extent> {
    use nix::errno::Errno;
    use nix::unistd::{Whence, lseek};
    let at = i64::try_from(offset).ok()?;
    let data = match lseek(file, at, Whence::SeekData) {
        Ok(data) => u64::try_from(data).ok()?,
        // No data behind `offset`: a hole to the end.
        Err(Errno::ENXIO) => {
            return Some(Extent {
                len: rest,
                mapped: false,
            });
        }
        Err(_) => return None,
    };
    if data > offset {
        return Some(Extent {
            len: (data - offset).min(rest),
            mapped: false,
        });
    }
    let hole = u64::try_from(lseek(file, at, Whence::SeekHole).ok()?).ok()?;
    Some(Extent {
        len: hole.checked_sub(offset)?.clamp(1, rest),
        mapped: true,
    })
}

#[cfg(not(target_os = "linux"))]
fn sparse_extent(_file: &File, _offset: u64, _rest: u64) -> Option<Extent> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let disk = FileBackend::create(&path, 1 << 20).unwrap();
        disk.write(4096, &[3; 8192]).unwrap();
        disk.discard(4096, 4096).unwrap();
        disk.flush(0, 1 << 20).unwrap();
        drop(disk);
        let disk = FileBackend::open(&path, true).unwrap();
        assert!(disk.is_read_only() && disk.size() == 1 << 20);
        let mut back = [9; 8192];
        disk.read(4096, &mut back).unwrap();
        assert_eq!(back[..4096], [0; 4096]);
        assert_eq!(back[4096..], [3; 4096]);
        assert!(disk.write(0, &[0]).is_err());
        assert!(disk.read((1 << 20) - 1, &mut [0; 2]).is_err());
    }

    #[test]
    fn extents_cover_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FileBackend::create(&dir.path().join("disk"), 1 << 20).unwrap();
        disk.write(65536, &[1; 65536]).unwrap();
        let (mut at, mut mapped) = (0, 0);
        while at < disk.size() {
            let extent = disk.extent(at).unwrap();
            assert!(extent.len >= 1);
            at += extent.len;
            mapped += if extent.mapped { extent.len } else { 0 };
        }
        assert_eq!(at, disk.size());
        assert!(mapped >= 65536, "what was written is mapped");
    }

    #[test]
    fn zeros_stand_in_for_holes() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FileBackend::create(&dir.path().join("disk"), 1 << 18).unwrap();
        disk.write(0, &vec![1; 1 << 18]).unwrap();
        disk.write_zeros(1, ZEROS as u64 + 1).unwrap();
        let mut back = vec![0; ZEROS + 3];
        disk.read(0, &mut back).unwrap();
        assert!(back[1..ZEROS + 2].iter().all(|&b| b == 0));
        assert_eq!((back[0], back[ZEROS + 2]), (1, 1));
    }
}
