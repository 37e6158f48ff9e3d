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

/// The numbers (`7:3`) of a disk and of its partitions.
pub(crate) fn numbers(sys_block: &Path, disk: &str) -> io::Result<Vec<String>> {
    let directory = sys_block.join(disk);
    let parts = names_in(&directory)?.into_iter();
    let parts = parts.filter(|name| name.starts_with(disk));
    let parts = parts.map(|name| directory.join(name).join("dev"));
    let files = std::iter::once(directory.join("dev")).chain(parts);
    let numbers = files.filter_map(|file| fs::read_to_string(file).ok());
    Ok(numbers.map(|number| number.trim().to_owned()).collect())
}

/// Takes the devices with these numbers out of LVM's notes of which physical volumes are there: while a
/// volume group is noted as complete, it is not activated when its disks come again as other devices.
///
/// LVM keeps a file for each physical volume, with its number and its group, and one for each complete
/// group.
pub(crate) fn forget_physical_volumes(run_lvm: &Path, numbers: &[String]) -> io::Result<()> {
    let volumes = run_lvm.join("pvs_online");
    for name in names_in(&volumes)? {
        let file = volumes.join(name);
        let note = fs::read_to_string(&file)?;
        let mut lines = note.lines();
        let is_ours = |number: &str| numbers.iter().any(|ours| ours == number);
        if !lines.next().is_some_and(is_ours) {
            continue;
        }
        fs::remove_file(&file)?;
        let group = lines.find_map(|line| line.strip_prefix("vg:"));
        // A name with a slash is none that LVM would have.
        if let Some(group) = group.filter(|group| !group.contains('/')) {
            let complete = run_lvm.join("vgs_online").join(group);
            match fs::remove_file(complete) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
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
    fn only_our_physical_volumes_are_forgotten() {
        let root = tree(&["pvs_online", "vgs_online"]);
        let write = |file: &str, text: &str| fs::write(root.path().join(file), text).unwrap();
        write("pvs_online/a", "7:3\nvg:pair\ndev:/dev/loop3\n");
        write("pvs_online/b", "7:33\nvg:system\n");
        write("pvs_online/c", "259:1\n");
        write("vgs_online/pair", "");
        write("vgs_online/system", "");
        let ours = ["7:3".to_owned(), "259:1".to_owned()];
        forget_physical_volumes(root.path(), &ours).unwrap();
        assert_eq!(names_in(&root.path().join("pvs_online")).unwrap(), ["b"]);
        let groups = names_in(&root.path().join("vgs_online")).unwrap();
        assert_eq!(groups, ["system"]);
        forget_physical_volumes(&root.path().join("no LVM"), &ours).unwrap();
    }

    #[test]
    fn a_disk_and_its_partitions_have_numbers() {
        let root = tree(&["loop1/loop1p1", "loop1/holders"]);
        let write = |file: &str, text: &str| fs::write(root.path().join(file), text).unwrap();
        write("loop1/dev", "7:1\n");
        write("loop1/loop1p1/dev", "259:5\n");
        assert_eq!(numbers(root.path(), "loop1").unwrap(), ["7:1", "259:5"]);
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
