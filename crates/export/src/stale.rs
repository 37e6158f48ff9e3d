//! Clears away what a killed daemon left: mounts and loop devices outlive their server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::built;
use crate::fuse::{self, FILE_NAME, Unmount};
use crate::journal;
use crate::layout::Layout;
use crate::loopdev;
use crate::mounts::{self, Mount};

/// Mounts that may lie on top of each other at one place; more are not ours.
const MAX_STACKED: usize = 16;

/// Where the kernel shows its disks.
const SYS_BLOCK: &str = "/sys/block";

/// Where LVM notes which physical volumes are there.
const RUN_LVM: &str = "/run/lvm";

/// What a clean-up did, one sentence each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CleanUp {
    /// What was removed.
    pub removed: Vec<String>,
    /// What is in use still. It was taken off its place, so a new export can be made there, and goes
    /// for good when its last user lets go; until then that user gets I/O errors.
    pub left_behind: Vec<String>,
}

impl CleanUp {
    fn note(&mut self, what: String, done: io::Result<bool>) {
        match done {
            Ok(true) => self.removed.push(what),
            Ok(false) => self
                .left_behind
                .push(format!("{what}: in use, goes when it is let go")),
            Err(error) => self.left_behind.push(format!("{what}: {error}")),
        }
    }
}

/// Removes what an earlier daemon left below `runtime_dir`: what the system has built on its loop
/// devices (LVM, dm-crypt, RAID) and the file systems mounted on that, those mounted on its loop
/// devices, these loop devices, its FUSE mounts, links, sockets and journals, in this order. Only loop
/// devices whose file lies below the runtime directory, what is on them, and mounts there, are touched. Blocks for
/// seconds when there is something to do; each step has a limit.
///
/// The caller makes sure that no other daemon uses the directory, and calls this before
/// [`Exporter::new`](crate::Exporter::new).
///
/// # Errors
/// When the runtime directory, the mount table or sysfs cannot be read. What could not be removed is
/// no error but left behind.
pub fn clean_up(runtime_dir: &Path) -> io::Result<CleanUp> {
    let layout = Layout::open(runtime_dir)?;
    let mut report = CleanUp::default();
    // No server will come back for these connections. Should a process still hold one of their
    // descriptors, everything below would wait for it.
    for mount in our_fuse_mounts(&layout)? {
        fuse::abort(&mount);
    }
    let loop_devices = our_loop_devices(&layout)?;
    for (number, _) in &loop_devices {
        clear(&format!("loop{number}"), &mut report)?;
    }
    // Only now: a filesystem or an array holds several of them.
    for (number, file) in &loop_devices {
        let done = loopdev::detach(*number, file).map_err(io::Error::other);
        report.note(format!("loop device {number}"), done);
    }
    for mount in our_fuse_mounts(&layout)? {
        unmount(&mount, &mut report);
    }
    remove_made_nodes(&layout);
    remove_files(&layout, &mut report);
    Ok(report)
}

fn our_loop_devices(layout: &Layout) -> io::Result<Vec<(u32, PathBuf)>> {
    if !Path::new(SYS_BLOCK).is_dir() {
        return Ok(Vec::new());
    }
    let fuse = layout.fuse();
    loopdev::attached(|file| {
        file.starts_with(&fuse) && file.file_name() == Some(FILE_NAME.as_ref())
    })
}

/// Takes off a disk what is built on it and what is mounted.
fn clear(disk: &str, report: &mut CleanUp) -> io::Result<()> {
    let sys_block = Path::new(SYS_BLOCK);
    for device in built::on_disk(sys_block, disk)? {
        unmount_all_on(&device, report)?;
        let done = built::take_down(sys_block, &device).map(|()| true);
        report.note(format!("{device}, which is built on {disk}"), done);
    }
    let numbers = built::numbers(sys_block, disk)?;
    if let Err(error) = built::forget_physical_volumes(Path::new(RUN_LVM), &numbers) {
        report.note(format!("LVM's notes of {disk}"), Err(error));
    }
    unmount_all_on(disk, report)
}

/// Unmounts what is mounted on a disk or its partitions, the topmost first.
fn unmount_all_on(disk: &str, report: &mut CleanUp) -> io::Result<()> {
    let is_on = |mount: &Mount| mounts::disk_of(mount).is_some_and(|name| name == disk);
    for mount in mounts::read()?.into_iter().rev().filter(is_on) {
        unmount(&mount, report);
    }
    Ok(())
}

/// Our FUSE mounts, the topmost first.
fn our_fuse_mounts(layout: &Layout) -> io::Result<Vec<Mount>> {
    let fuse = layout.fuse();
    let ours = |mount: &Mount| {
        mount.kind == fuse::MOUNT_TYPE && mount.mount_point.parent() == Some(fuse.as_path())
    };
    Ok(mounts::read()?
        .into_iter()
        .rev()
        .filter(ours)
        .take(MAX_STACKED * MAX_STACKED)
        .collect())
}

/// Unmounts the topmost mount at a place, lazily when it is in use.
fn unmount(mount: &Mount, report: &mut CleanUp) {
    let place = &mount.mount_point;
    let done = match fuse::unmount(place, Unmount::Idle) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(true),
        Err(_) => fuse::unmount(place, Unmount::Lazily).map(|()| false),
    };
    report.note(format!("{} mount {}", mount.kind, place.display()), done);
}

/// Removes device nodes that the earlier daemon made because the container had none.
fn remove_made_nodes(layout: &Layout) {
    for path in files(&layout.journals()) {
        let Some(notes) = journal::read(&path).filter(|notes| notes.node_made) else {
            continue;
        };
        if let Some(number) = notes.loop_devices.last()
            && loopdev::backing_file(*number).is_none()
        {
            let _ = fs::remove_file(loopdev::node_path(*number));
        }
    }
}

/// Removes mount points, sockets, links and journals: all that lies below directories of ours.
fn remove_files(layout: &Layout, report: &mut CleanUp) {
    for directory in files(&layout.fuse()) {
        // Not recursive: whatever is in it, it is not a mount point of ours any more.
        if let Err(error) = fs::remove_dir(&directory) {
            report.note(format!("mount point {}", directory.display()), Err(error));
        }
    }
    let links = ["by-target", "by-id"].map(|name| layout.links().join(name));
    for directory in [&layout.nbd(), &links[0], &links[1], &layout.journals()] {
        for file in files(directory) {
            let done = fs::remove_file(&file).map(|()| true);
            report.note(file.display().to_string(), done);
        }
    }
}

/// What lies in a directory; nothing when it is missing.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_directory_needs_nothing() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(clean_up(directory.path()).unwrap(), CleanUp::default());
        assert!(clean_up(&directory.path().join("missing")).is_err());
    }

    #[test]
    fn files_of_a_dead_daemon_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::open(directory.path()).unwrap();
        layout.make_private_directories().unwrap();
        fs::create_dir(layout.mount_point("0123")).unwrap();
        journal::Journal::create(layout.journal("0123"), "iqn.a", 0).unwrap();
        drop(std::os::unix::net::UnixListener::bind(layout.socket("0123")).unwrap());
        let link = layout.by_target("iqn.a", 0);
        crate::links::make(&link, Path::new("/dev/loop99")).unwrap();
        let report = clean_up(directory.path()).unwrap();
        assert_eq!(report.left_behind, Vec::<String>::new());
        assert_eq!(report.removed.len(), 3);
        assert!(fs::symlink_metadata(link).is_err());
        assert!(files(&layout.fuse()).is_empty() && files(&layout.nbd()).is_empty());
    }
}
