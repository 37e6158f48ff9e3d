//! The mount table of this process, read without touching what is mounted.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One line of `/proc/self/mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Device numbers of the file system (its `st_dev`).
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) mount_point: PathBuf,
    /// File system type, with its subtype.
    pub(crate) kind: String,
    /// What is mounted; for most file systems on disks the device node.
    pub(crate) source: PathBuf,
}

/// All mounts, in the order of mounting.
pub(crate) fn read() -> io::Result<Vec<Mount>> {
    let table = fs::read("/proc/self/mountinfo")?;
    Ok(table
        .split(|byte| *byte == b'\n')
        .filter_map(parse)
        .collect())
}

/// The topmost mount at a path.
pub(crate) fn at(path: &Path) -> io::Result<Option<Mount>> {
    Ok(read()?.into_iter().rfind(|mount| mount.mount_point == path))
}

/// The whole-disk name (`loop3`) of a mount's block device, partitions included; none for a file
/// system that is not on one.
pub(crate) fn disk_of(mount: &Mount) -> Option<String> {
    let link = format!("/sys/dev/block/{}:{}", mount.major, mount.minor);
    if let Ok(path) = fs::read_link(link) {
        let mut names = path.iter().skip_while(|part| *part != "block").skip(1);
        return names.next()?.to_str().map(str::to_owned);
    }
    // btrfs has a device number of its own, but says its device, perhaps by a link like those of LVM.
    let named = mount.source.strip_prefix("/dev").ok()?;
    let link = fs::read_link(&mount.source);
    let name = link.as_deref().map_or(named, last_name).to_str()?;
    if name.starts_with("dm-") {
        return Some(name.to_owned());
    }
    let digits = name
        .strip_prefix("loop")?
        .find(|c: char| !c.is_ascii_digit());
    Some(
        digits
            .map_or(name, |at| &name[..at + "loop".len()])
            .to_owned(),
    )
}

/// The last part of a link's target, `dm-0` of `../dm-0`.
fn last_name(target: &Path) -> &Path {
    target.file_name().map_or(target, Path::new)
}

/// A line: id, parent, major:minor, root, mount point, options, optional fields, `-`, type, source.
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let (major, minor) = std::str::from_utf8(fields.nth(2)?).ok()?.split_once(':')?;
    let mount_point = unescape(fields.nth(1)?);
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    Some(Mount {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        mount_point,
        kind: String::from_utf8_lossy(rest.next()?).into_owned(),
        source: unescape(rest.next()?),
    })
}

/// Undoes the kernel's octal escapes of blanks and backslashes.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, tail)) = rest.split_first() {
        let octal = tail.first_chunk::<3>().filter(|digits| {
            *byte == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit))
        });
        if let Some(digits) = octal {
            let value = digits
                .iter()
                .fold(0u32, |v, digit| v * 8 + u32::from(digit - b'0'));
            bytes.push(value as u8);
            rest = &tail[3..];
        } else {
            bytes.push(*byte);
            rest = tail;
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_its_escapes() {
        let line = br"36 35 98:0 /mnt1 /mnt/a\040b\134 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let expected = Mount {
            major: 98,
            minor: 0,
            mount_point: PathBuf::from(r"/mnt/a b\"),
            kind: "ext3".into(),
            source: PathBuf::from("/dev/root"),
        };
        assert_eq!(parse(line), Some(expected));
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"36 35 98:0 /mnt1"), None);
    }

    #[test]
    fn the_root_is_mounted() {
        assert!(at(Path::new("/")).unwrap().is_some());
        assert!(at(Path::new("/no/such/mount")).unwrap().is_none());
    }

    #[test]
    fn a_btrfs_source_names_its_disk() {
        let mount = |source: &str| Mount {
            major: 0,
            minor: 9999,
            mount_point: PathBuf::from("/m"),
            kind: "btrfs".into(),
            source: PathBuf::from(source),
        };
        assert_eq!(disk_of(&mount("/dev/loop12p3")), Some("loop12".into()));
        assert_eq!(disk_of(&mount("/dev/loop7")), Some("loop7".into()));
        assert_eq!(disk_of(&mount("tmpfs")), None);
    }
}
