//! What the system has built on a disk: device mapper (LVM, dm-crypt) and RAID.
//!
//! Such devices outlive a killed daemon like mounts do, and hold its dead loop devices. The same volume
//! cannot be put together anew from the new devices while its name and its UUID are taken, so they are
//! taken down before the loop devices are. Nothing is lost by that: all that was on its way to the dead
//! disk has failed already.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::child;

/// Devices on one disk; a stack of LVM on RAID on a hundred partitions stays far below.
const MAX_BUILT: usize = 4096;

/// The time in which one device is taken down. It waits for udev.
const TAKE_DOWN_LIMIT: Duration = Duration::from_secs(20);

/// The names (`dm-0`, `md127`) of the devices that are built on a disk or on its partitions, each after
/// those that are built on it.
pub(crate) fn on_disk(sys_block: &Path, disk: &str) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    visit(sys_block, disk, &mut vec![disk.to_owned()], &mut found)?;
    Ok(found)
}

/// Adds what is built on `disk` to `found`, the topmost first. `seen` ends the search in a tree that
/// changes while it is read.
fn visit(
    sys_block: &Path,
    disk: &str,
    seen: &mut Vec<String>,
    found: &mut Vec<String>,
) -> io::Result<()> {
    for holder in holders(&sys_block.join(disk), disk)? {
        if seen.len() < MAX_BUILT && !seen.contains(&holder) {
            seen.push(holder.clone());
            visit(sys_block, &holder, seen, found)?;
            found.push(holder);
        }
    }
    Ok(())
}

/// The holders of a disk and of its partitions.
fn holders(directory: &Path, disk: &str) -> io::Result<Vec<String>> {
    let mut holders = names_in(&directory.join("holders"))?;
    for name in names_in(directory)? {
        if name.starts_with(disk) {
            holders.extend(names_in(&directory.join(name).join("holders"))?);
        }
    }
    Ok(holders)
}

/// Names in a directory, none if it is not there.
fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// Takes a device down on which nothing is built or mounted any more. Blocks up to
/// [`TAKE_DOWN_LIMIT`].
///
/// # Errors
/// When it is open still, is of an unknown kind, or its program is not there.
pub(crate) fn take_down(sys_block: &Path, name: &str) -> io::Result<()> {
    let directory = sys_block.join(name);
    if directory.join("md").is_dir() {
        let state: PathBuf = directory.join("md/array_state");
        return fs::write(state, "clear");
    }
    if directory.join("dm").is_dir() {
        let number = fs::read_to_string(directory.join("dev"))?;
        let (major, minor) = number.trim().split_once(':').unwrap_or_default();
        let arguments = ["remove", "--retry", "--major", major, "--minor", minor];
        return child::program("dmsetup", &arguments, TAKE_DOWN_LIMIT);
    }
    Err(io::Error::other("it is neither device mapper nor RAID"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree like `/sys/block`: each line is a directory.
    fn tree(directories: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for directory in directories {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        root
    }

    #[test]
    fn what_is_built_is_found_through_partitions_topmost_first_and_once() {
        // RAID of two partitions, LVM on it and on a third one, and dm-crypt on the LVM.
        let root = tree(&[
            "loop0/loop0p1/holders/md0",
            "loop0/loop0p2/holders/md0",
            "loop0/loop0p3/holders/dm-0",
            "loop0/holders",
            "md0/holders/dm-0",
            "dm-0/holders/dm-1",
            "dm-1/holders",
            "loop1/holders/dm-7",
        ]);
        assert_eq!(
            on_disk(root.path(), "loop0").unwrap(),
            ["dm-1", "dm-0", "md0"]
        );
        assert_eq!(on_disk(root.path(), "loop2").unwrap(), [""; 0]);
    }

    #[test]
    fn a_circle_ends() {
        let root = tree(&["a/holders/b", "b/holders/a"]);
        assert_eq!(on_disk(root.path(), "a").unwrap(), ["b"]);
    }

    #[test]
    fn an_array_is_stopped_through_its_state() {
        let root = tree(&["md0/md"]);
        take_down(root.path(), "md0").unwrap();
        let state = fs::read_to_string(root.path().join("md0/md/array_state"));
        assert_eq!(state.unwrap(), "clear");
    }

    #[test]
    fn what_cannot_be_taken_down_is_an_error_that_says_why() {
        let root = tree(&["dm-9999/dm", "bcache0"]);
        fs::write(root.path().join("dm-9999/dev"), "253:9999\n").unwrap();
        let error = take_down(root.path(), "dm-9999").unwrap_err();
        assert!(error.to_string().contains("dmsetup"), "{error}");
        let error = take_down(root.path(), "bcache0").unwrap_err();
        assert!(error.to_string().contains("neither"), "{error}");
    }
}
