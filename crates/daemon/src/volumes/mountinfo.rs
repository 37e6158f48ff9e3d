//! The mount table of our namespace (`proc_pid_mountinfo(5)`), and which mount a path leads to.
//!
//! Reading the table touches no filesystem, so it is safe even for mounts on our own disks.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::device_number::DeviceNumber;

/// A longer table is refused: 100,000 mounts of ordinary length fit.
const MAX_TABLE_BYTES: u64 = 32 * 1024 * 1024;
/// Mounts stacked over one path; a table that says more is a loop.
const MAX_STACK: usize = 4096;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Its id in this table.
    pub(crate) id: u32,
    /// The mount that it is mounted on.
    pub(crate) parent: u32,
    /// `st_dev` of its files; 0:N for filesystems without a block device, and for btrfs.
    pub(crate) device: DeviceNumber,
    /// Directory of the filesystem that is its root: `/` unless it is a bind mount or a subvolume.
    pub(crate) root: PathBuf,
    /// Where it is mounted.
    pub(crate) mount_point: PathBuf,
    /// Options of this mount.
    pub(crate) options: String,
    /// Type of the filesystem.
    pub(crate) fs_type: String,
    /// What was named as source, for most filesystems a device path.
    pub(crate) source: PathBuf,
    /// Options of the filesystem.
    pub(crate) super_options: String,
}

impl Mount {
    /// Whether the whole filesystem is mounted here: not a directory of it (bind mount). A btrfs
    /// subvolume named in the options counts as whole.
    pub(crate) fn is_whole(&self) -> bool {
        if self.root == Path::new("/") {
            return true;
        }
        let subvolume = self
            .super_options
            .split(',')
            .find_map(|option| option.strip_prefix("subvol="));
        self.fs_type == "btrfs" && subvolume.is_some_and(|name| self.root == Path::new(name))
    }

    /// Options to mount it again with: those of the mount, then those of the filesystem, each once.
    pub(crate) fn all_options(&self) -> String {
        let mut all: Vec<&str> = Vec::new();
        for option in self.options.split(',').chain(self.super_options.split(',')) {
            // `seclabel` only reports that labels are supported.
            if !option.is_empty() && option != "seclabel" && !all.contains(&option) {
                all.push(option);
            }
        }
        // A read-only mount of a writable filesystem shows both.
        if all.contains(&"ro") {
            all.retain(|option| *option != "rw");
        }
        all.join(",")
    }
}

/// All mounts of a namespace, oldest first as the kernel lists them.
#[derive(Debug, Clone, Default)]
pub(crate) struct MountTable(Vec<Mount>);

impl MountTable {
    /// Reads the table at `path`, usually `/proc/self/mountinfo`.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?
            .take(MAX_TABLE_BYTES + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_TABLE_BYTES {
            return Err(io::Error::other(format!(
                "mount table over {MAX_TABLE_BYTES} bytes"
            )));
        }
        Ok(Self::parse(&bytes))
    }

    /// Reads the lines of a table. Lines that are none are left out.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        Self(lines.filter_map(parse_line).collect())
    }

    /// The mount that holds what is at `path` now: the walk that the kernel does from the root,
    /// crossing each mount on its way. `path` is absolute and without symbolic links.
    pub(crate) fn visible_at(&self, path: &Path) -> Option<&Mount> {
        let is_top = |mount: &Mount| {
            !self
                .0
                .iter()
                .any(|other| other.id == mount.parent && other.id != mount.id)
        };
        let mut here: Option<&Mount> = None;
        for _ in 0..MAX_STACK {
            let next = self
                .0
                .iter()
                .filter(|mount| match here {
                    Some(here) => mount.parent == here.id && mount.id != here.id,
                    None => is_top(mount),
                })
                .filter(|mount| path.starts_with(&mount.mount_point))
                .min_by_key(|mount| mount.mount_point.components().count());
            match next {
                Some(mount) => here = Some(mount),
                None => return here,
            }
        }
        None
    }

    /// The topmost mount whose mount point is exactly `path`.
    pub(crate) fn mounted_at(&self, path: &Path) -> Option<&Mount> {
        self.visible_at(path)
            .filter(|mount| mount.mount_point == path)
    }

    /// An older mount of the whole of the same filesystem elsewhere: `mount` then is a second mount or
    /// a bind mount, which the kernel does not tell apart.
    pub(crate) fn older_twin(&self, mount: &Mount) -> Option<&Mount> {
        let older = self.0.iter().take_while(|other| other.id != mount.id);
        older.into_iter().find(|other| {
            other.device == mount.device
                && other.root == mount.root
                && other.mount_point != mount.mount_point
        })
    }

    /// All mounts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.0.iter()
    }
}

/// One line: `id parent major:minor root mount-point options [optional]... - type source super-options`.
fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let root = PathBuf::from(unescape(fields.next()?));
    let mount_point = PathBuf::from(unescape(fields.next()?));
    let options = text(fields.next()?);
    fields.find(|field| *field == b"-")?;
    let fs_type = text(fields.next()?);
    let source = PathBuf::from(unescape(fields.next()?));
    let super_options = text(fields.next().unwrap_or_default());
    Some(Mount {
        id,
        parent,
        device,
        root,
        mount_point,
        options,
        fs_type,
        source,
        super_options,
    })
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field).into_vec()).into_owned()
}

/// Undoes the octal escapes (`\040` for a blank) of the kernel's tables and of `fstab(5)`.
pub(crate) fn unescape(field: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'\\')
            .then(|| after.get(..3).and_then(octal))
            .flatten();
        match escaped {
            Some(byte) => {
                plain.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                plain.push(first);
                rest = after;
            }
        }
    }
    OsString::from_vec(plain)
}

fn octal(digits: &[u8]) -> Option<u8> {
    let fits = digits.iter().all(|digit| (b'0'..=b'7').contains(digit));
    let value = digits.iter().fold(0u32, |value, digit| {
        value * 8 + u32::from(digit.wrapping_sub(b'0'))
    });
    fits.then(|| u8::try_from(value).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 21 7:0 / /srv/data rw,relatime shared:2 - ext4 /dev/loop0 rw,discard
31 21 7:1 / /srv/with\\040blank\\011tab rw - ext4 /dev/loop1 rw
32 21 7:0 /sub /srv/bind rw - ext4 /dev/loop0 rw
33 21 0:40 /@home /srv/btrfs rw - btrfs /dev/loop2 rw,ssd,subvolid=256,subvol=/@home
34 21 0:40 /@home/x /srv/btrfsbind rw - btrfs /dev/loop2 rw,subvolid=256,subvol=/@home
35 30 7:3 / /srv/data ro master:3 - xfs /dev/loop3 rw,inode64
36 21 7:0 / /srv/twin rw - ext4 /dev/loop0 rw
nonsense
37 21 7:9 / /srv/ünicode rw - ext4 /dev/loop9 rw
38 21 0:50 / /hidden rw - tmpfs tmpfs rw
39 21 7:5 / /hidden/inner rw - ext4 /dev/loop5 rw
";

    fn table() -> MountTable {
        MountTable::parse(TABLE.as_bytes())
    }

    #[test]
    fn the_topmost_mount_is_the_one_a_path_leads_to() {
        let table = table();
        let top = table.mounted_at(Path::new("/srv/data")).unwrap();
        assert_eq!(top.device, DeviceNumber::new(7, 3));
        assert_eq!(
            table.visible_at(Path::new("/srv/data/deep/er")).unwrap().id,
            35
        );
        assert_eq!(
            table.visible_at(Path::new("/srv/datax")).unwrap().id,
            21,
            "no prefix of a name"
        );
        assert!(table.mounted_at(Path::new("/srv/data/deep")).is_none());
    }

    #[test]
    fn a_mount_under_a_newer_mount_is_not_reached() {
        // /hidden/inner is a child of the root mount, but /hidden is crossed first.
        assert_eq!(
            table().visible_at(Path::new("/hidden/inner")).unwrap().id,
            38
        );
        assert!(table().mounted_at(Path::new("/hidden/inner")).is_none());
    }

    #[test]
    fn names_with_blanks_and_letters_outside_ascii_are_read() {
        assert!(
            table()
                .mounted_at(Path::new("/srv/with blank\ttab"))
                .is_some()
        );
        assert_eq!(
            table().mounted_at(Path::new("/srv/ünicode")).unwrap().id,
            37
        );
        assert_eq!(
            unescape(b"a\\134040b\\9\\04"),
            OsString::from("a\\040b\\9\\04")
        );
        assert_eq!(
            unescape(b"\\777"),
            OsString::from("\\777"),
            "more than a byte is no escape"
        );
    }

    #[test]
    fn bind_mounts_and_subvolumes_are_told_apart() {
        let table = table();
        let whole = |path: &str| table.mounted_at(Path::new(path)).unwrap().is_whole();
        assert!(whole("/srv/data"));
        assert!(!whole("/srv/bind"));
        assert!(whole("/srv/btrfs"));
        assert!(!whole("/srv/btrfsbind"));
        let twin = table.mounted_at(Path::new("/srv/twin")).unwrap();
        assert_eq!(table.older_twin(twin).unwrap().id, 30);
        assert!(
            table
                .older_twin(table.iter().find(|mount| mount.id == 30).unwrap())
                .is_none()
        );
    }

    #[test]
    fn options_are_joined_once() {
        let table = table();
        let options = |path: &str| table.mounted_at(Path::new(path)).unwrap().all_options();
        assert_eq!(options("/srv/data"), "ro,inode64");
        assert_eq!(options("/"), "rw,relatime,errors=remount-ro");
    }
}
