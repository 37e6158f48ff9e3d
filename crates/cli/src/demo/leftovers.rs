//! What a daemon that was killed leaves behind below a directory: mounts, and loop devices on files.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::mount::{MntFlags, umount2};
use tokio::process::Command;

use super::POLL;
use crate::error::CliError;

/// How long one attempt to take something away may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How often all that is left is tried again: a mount below another goes only after it, a loop device
/// only after its mount.
const ROUNDS: usize = 10;

/// Mounts and loop devices below a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Leftovers {
    directory: PathBuf,
    /// Mount points, in the order in which they were mounted.
    mounts: Vec<PathBuf>,
    /// Loop devices with a file below the directory, such as `/dev/loop3`.
    loops: Vec<PathBuf>,
}

impl Leftovers {
    /// Looks for them.
    ///
    /// # Errors
    /// The kernel's tables cannot be read.
    pub(super) fn below(directory: &Path) -> Result<Self, CliError> {
        let failed = |error| CliError::io("cannot look for what is left behind", &error);
        // The tables have no symbolic links in them.
        let directory = directory.canonicalize().map_err(failed)?;
        let table = fs::read("/proc/self/mountinfo").map_err(failed)?;
        let mounts = mount_points(&table)
            .filter(|path| path.starts_with(&directory))
            .collect();
        let loops = loops_on(Path::new("/sys/block"), &directory).map_err(failed)?;
        Ok(Self {
            directory,
            mounts,
            loops,
        })
    }

    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.mounts.is_empty() && self.loops.is_empty()
    }

    /// Takes away what there is, the latest mount first, as far as that goes.
    pub(super) async fn take_away(self) {
        let mut left = self;
        for _ in 0..ROUNDS {
            for mount in left.mounts.iter().rev() {
                unmount(mount.clone()).await;
            }
            for device in &left.loops {
                run("losetup", &["-d".as_ref(), device.as_ref()]).await;
            }
            match Self::below(&left.directory) {
                Ok(now) if now.is_empty() => return,
                Ok(now) => left = now,
                Err(_) => return,
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |kind: &str, paths: &[PathBuf]| {
            let s = if paths.len() == 1 { "" } else { "s" };
            let below = |path: &PathBuf| {
                path.strip_prefix(&self.directory)
                    .unwrap_or(path)
                    .display()
                    .to_string()
            };
            let paths: Vec<String> = paths.iter().map(below).collect();
            format!("{} {kind}{s} ({})", paths.len(), paths.join(", "))
        };
        match (self.mounts.as_slice(), self.loops.as_slice()) {
            ([], []) => f.write_str("no mount, no loop device"),
            (mounts, []) => f.write_str(&named("mount", mounts)),
            ([], loops) => f.write_str(&named("loop device", loops)),
            (mounts, loops) => {
                let (mounts, loops) = (named("mount", mounts), named("loop device", loops));
                write!(f, "{mounts}, {loops}")
            }
        }
    }
}

/// Detaches a mount, by ourselves or with the helper of plain users.
async fn unmount(path: PathBuf) {
    let of_thread = path.clone();
    let work = tokio::task::spawn_blocking(move || umount2(&of_thread, MntFlags::MNT_DETACH));
    if let Ok(Ok(Ok(()))) = tokio::time::timeout(LIMIT, work).await {
        return;
    }
    run(
        "fusermount3",
        &["-u".as_ref(), "-z".as_ref(), path.as_ref()],
    )
    .await;
}

/// Runs a tool; whether it worked shows in what is left.
async fn run(program: &str, words: &[&std::ffi::OsStr]) {
    let mut command = Command::new(program);
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    drop(tokio::time::timeout(LIMIT, command.kill_on_drop(true).status()).await);
}

/// The mount points in a mountinfo table (proc(5)): the fifth field, in which blanks, tabs, line ends
/// and backslashes are octal escapes.
fn mount_points(table: &[u8]) -> impl Iterator<Item = PathBuf> {
    table.split(|byte| *byte == b'\n').filter_map(|line| {
        let field = line.split(|byte| *byte == b' ').nth(4)?;
        Some(PathBuf::from(OsString::from_vec(unescaped(field))))
    })
}

fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.first_chunk::<3>().filter(|_| *first == b'\\');
        let code = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

/// The loop devices in `sys_block` whose file lies below `directory`. The kernel adds ` (deleted)` to
/// the name of a file that is gone, which changes nothing here.
fn loops_on(sys_block: &Path, directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(sys_block) {
        Ok(entries) => entries,
        // A container may show no block devices at all.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        // Only loop devices that are attached have the file; one may be detached meanwhile.
        let Ok(mut backing) = fs::read(entry.path().join("loop/backing_file")) else {
            continue;
        };
        if backing.last() == Some(&b'\n') {
            backing.pop();
        }
        if PathBuf::from(OsString::from_vec(backing)).starts_with(directory) {
            found.push(Path::new("/dev").join(entry.file_name()));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_escapes() {
        let table = b"36 35 98:0 / /mnt rw shared:1 - ext3 /dev/root rw\n\
                      37 35 0:5 / /tmp/a\\040b\\134c rw - fuse.hawser x rw\n";
        let points: Vec<PathBuf> = mount_points(table).collect();
        assert_eq!(points, [Path::new("/mnt"), Path::new("/tmp/a b\\c")]);
        assert_eq!(unescaped(b"a\\04"), b"a\\04");
        assert_eq!(unescaped(b"\\999"), b"\\999");
    }

    #[test]
    fn loop_devices_are_found_by_their_file() {
        let sys = tempfile::tempdir().expect("temp dir");
        for (name, file) in [
            ("loop0", Some("/t/demo/run/disk (deleted)\n")),
            ("loop1", None),
        ] {
            let attributes = sys.path().join(name).join("loop");
            fs::create_dir_all(&attributes).expect("made");
            if let Some(file) = file {
                fs::write(attributes.join("backing_file"), file).expect("written");
            }
        }
        let found = |below: &str| loops_on(sys.path(), Path::new(below)).expect("read");
        assert_eq!(found("/t/demo"), [Path::new("/dev/loop0")]);
        assert!(found("/t/dem").is_empty());
        assert!(
            loops_on(Path::new("/no/such"), Path::new("/"))
                .expect("none")
                .is_empty()
        );
    }

    #[test]
    fn what_is_left_is_named() {
        let mut left = Leftovers {
            directory: "/t".into(),
            ..Leftovers::default()
        };
        assert_eq!(left.to_string(), "no mount, no loop device");
        left.mounts = vec!["/t/run/fuse/1".into(), "/t/volume".into()];
        left.loops = vec!["/dev/loop0".into()];
        let expected = "2 mounts (run/fuse/1, volume), 1 loop device (/dev/loop0)";
        assert_eq!(left.to_string(), expected);
    }
}
