//! The questions about paths and devices that only I/O can answer, asked through child processes.

use std::future::Future;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hawser_api::{Failure, Status};

use crate::children::{self, Said};
use crate::device_number::DeviceNumber;

/// Longest time for a look at a path or a probe of a device: longer means that it hangs.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// What `stat` says last of a path at which there can be nothing (ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP).
const LEADS_NOWHERE: [&str; 4] = [
    "No such file or directory",
    "Not a directory",
    "File name too long",
    "Too many levels of symbolic links",
];

/// What is at a path, symbolic links followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The path without symbolic links.
    pub(crate) real_path: PathBuf,
    /// `st_dev`.
    pub(crate) st_dev: u64,
    /// `st_ino`.
    pub(crate) st_ino: u64,
    /// Kind of file.
    pub(crate) kind: SeenKind,
}

/// Kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeenKind {
    /// A directory.
    Directory,
    /// A block device.
    Block(DeviceNumber),
    /// Something else.
    Other,
}

/// What `blkid` finds on a device; empty where it finds nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Probe {
    /// UUID of the filesystem.
    pub(crate) fs_uuid: String,
    /// Type of the filesystem.
    pub(crate) fs_type: String,
    /// Label of the filesystem, encoded as udev does.
    pub(crate) fs_label: String,
    /// UUID of the partition.
    pub(crate) partition_uuid: String,
    /// Name of the partition, encoded as udev does.
    pub(crate) partition_label: String,
}

/// Asks the machine. Tests answer from a table.
pub(crate) trait Tools: Send + Sync {
    /// What is at `path`; `None` if nothing is.
    fn look(&self, path: &Path) -> impl Future<Output = Result<Option<Seen>, Failure>> + Send;

    /// What is on the block device at `device`.
    fn probe(&self, device: &Path) -> impl Future<Output = Result<Probe, Failure>> + Send;
}

/// The machine, asked with `stat`, `readlink` and `blkid`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemTools;

impl Tools for SystemTools {
    async fn look(&self, path: &Path) -> Result<Option<Seen>, Failure> {
        let stat = [
            "-L".as_ref(),
            "-c".as_ref(),
            "%d %i %f %t %T".as_ref(),
            "--".as_ref(),
            path.as_os_str(),
        ];
        let said = ask("stat", &stat, path).await?;
        if said.code != 0 {
            // At the end: the path, which stands before, may hold the same words.
            let nothing = LEADS_NOWHERE.iter().any(|why| said.stderr.ends_with(why));
            return if nothing {
                Ok(None)
            } else {
                Err(cannot_look(path, &said.stderr))
            };
        }
        let resolved = ask(
            "readlink",
            &["-f".as_ref(), "--".as_ref(), path.as_os_str()],
            path,
        )
        .await?;
        let real_path = real_path(resolved, path)?;
        parse_stat(&String::from_utf8_lossy(&said.stdout), real_path)
            .map(Some)
            .ok_or_else(|| cannot_look(path, "stat answered something else"))
    }

    async fn probe(&self, device: &Path) -> Result<Probe, Failure> {
        let arguments = [
            "-p".as_ref(),
            "-o".as_ref(),
            "udev".as_ref(),
            "--".as_ref(),
            device.as_os_str(),
        ];
        let said = ask("blkid", &arguments, device).await?;
        match said.code {
            0 => Ok(parse_probe(&String::from_utf8_lossy(&said.stdout))),
            // 2: nothing known was found.
            2 => Ok(Probe::default()),
            8 => Err(cannot_look(
                device,
                "more than one filesystem signature is on it",
            )),
            _ => Err(cannot_look(device, &said.stderr)),
        }
    }
}

async fn ask(program: &str, arguments: &[&std::ffi::OsStr], path: &Path) -> Result<Said, Failure> {
    let said = children::run(program, arguments, LOOK_LIMIT).await;
    said.map_err(|failure| cannot_look(path, &failure.to_string()))
}

fn cannot_look(path: &Path, why: &str) -> Failure {
    let message = format!("cannot look at {}: {why}", path.display());
    Failure::new(Status::NON_SPECIFIC_ERROR, message)
}

/// The line that `readlink -f` gave, which may hold any byte but the last newline.
fn real_path(said: Said, path: &Path) -> Result<PathBuf, Failure> {
    let mut bytes = said.stdout;
    if said.code != 0 || bytes.pop() != Some(b'\n') {
        return Err(cannot_look(path, &said.stderr));
    }
    Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

/// `st_dev st_ino mode-in-hex rdev-major-in-hex rdev-minor-in-hex`.
fn parse_stat(line: &str, real_path: PathBuf) -> Option<Seen> {
    let mut fields = line.split_whitespace();
    let st_dev = fields.next()?.parse().ok()?;
    let st_ino = fields.next()?.parse().ok()?;
    let mut hex = || u32::from_str_radix(fields.next()?, 16).ok();
    let (mode, major, minor) = (hex()?, hex()?, hex()?);
    let kind = match mode & 0o170_000 {
        0o040_000 => SeenKind::Directory,
        0o060_000 => SeenKind::Block(DeviceNumber::new(major, minor)),
        _ => SeenKind::Other,
    };
    Some(Seen {
        real_path,
        st_dev,
        st_ino,
        kind,
    })
}

/// Lines `KEY=value` in the form for udev, whose values are encoded and so hold no newline.
fn parse_probe(text: &str) -> Probe {
    let mut probe = Probe::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let field = match key {
            "ID_FS_UUID" => &mut probe.fs_uuid,
            "ID_FS_TYPE" => &mut probe.fs_type,
            "ID_FS_LABEL_ENC" => &mut probe.fs_label,
            "ID_PART_ENTRY_UUID" => &mut probe.partition_uuid,
            "ID_PART_ENTRY_NAME" => &mut probe.partition_label,
            _ => continue,
        };
        value.clone_into(field);
    }
    probe
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[tokio::test]
    async fn a_look_sees_what_stat_sees() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().canonicalize().unwrap().join("a b\nü");
        std::fs::create_dir(&real).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let seen = SystemTools.look(&link).await.unwrap().unwrap();
        let metadata = std::fs::metadata(&real).unwrap();
        assert_eq!(seen.real_path, real);
        assert_eq!((seen.st_dev, seen.st_ino), (metadata.dev(), metadata.ino()));
        assert_eq!(seen.kind, SeenKind::Directory);
    }

    #[tokio::test]
    async fn a_path_that_leads_nowhere_has_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("file"), "").unwrap();
        std::os::unix::fs::symlink("round", path("round")).unwrap();
        std::os::unix::fs::symlink("none", path("dangling")).unwrap();
        let long = "x".repeat(300);
        for name in ["none", "none/x", "file/x", "round", "dangling", &long] {
            let seen = SystemTools.look(&path(name)).await.unwrap();
            assert_eq!(seen, None, "{name}");
        }
    }

    #[test]
    fn block_devices_are_told_by_their_numbers() {
        let seen = parse_stat("6 81 61b0 7 10\n", PathBuf::new()).unwrap();
        assert_eq!(
            seen.kind,
            SeenKind::Block(DeviceNumber::new(7, 16)),
            "hexadecimal"
        );
        assert_eq!(
            parse_stat("6 81 81b0 0 0", PathBuf::new()).unwrap().kind,
            SeenKind::Other
        );
        assert!(parse_stat("6 x", PathBuf::new()).is_none());
    }

    #[test]
    fn blkid_is_read_by_its_keys() {
        let text = "ID_FS_UUID=1-2\nID_FS_UUID_ENC=1-2\nID_FS_TYPE=ext4\nID_FS_LABEL_ENC=a\\x20b\n\
                    ID_PART_ENTRY_UUID=aa-01\nrubbish\n";
        let probe = parse_probe(text);
        assert_eq!(
            (probe.fs_uuid.as_str(), probe.fs_type.as_str()),
            ("1-2", "ext4")
        );
        assert_eq!(
            (probe.fs_label.as_str(), probe.partition_uuid.as_str()),
            ("a\\x20b", "aa-01")
        );
    }
}
