//! Mounts and unmounts bound volumes, in child processes.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path};
use std::time::Duration;

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use crate::children;

/// A mount may replay a long journal.
const MOUNT_LIMIT: Duration = Duration::from_secs(300);
/// An unmount writes back what is dirty.
const UNMOUNT_LIMIT: Duration = Duration::from_secs(120);

/// What to mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountOrder<'a> {
    /// The block device.
    pub(crate) device: &'a Path,
    /// The mount point, absolute and without symbolic links.
    pub(crate) mount_point: &'a Path,
    /// Type of the filesystem.
    pub(crate) fs_type: &'a str,
    /// Recorded options.
    pub(crate) options: &'a str,
}

/// The options to mount with: those recorded, and `nosuid` and `nodev` unless they say `suid` or `dev`.
pub(crate) fn safe_options(recorded: &str) -> String {
    let mut options: Vec<&str> = recorded
        .split(',')
        .filter(|option| !option.is_empty())
        .collect();
    for (safe, unsafe_) in [("nosuid", "suid"), ("nodev", "dev")] {
        if !options.contains(&safe) && !options.contains(&unsafe_) {
            options.push(safe);
        }
    }
    options.join(",")
}

/// Mounts a filesystem. The mount point is reached without following a symbolic link, also one that is
/// put there at this moment: the child mounts on the directory that we hold open.
///
/// # Errors
/// In words: what failed and what `mount` said.
pub(crate) async fn mount(order: &MountOrder<'_>) -> Result<(), String> {
    let place = order.mount_point.to_owned();
    let opened = tokio::task::spawn_blocking(move || open_directory(&place)).await;
    let directory = opened
        .map_err(|error| error.to_string())?
        .map_err(|error| format!("cannot reach {} : {error}", order.mount_point.display()))?;
    let target = format!("/proc/{}/fd/{}", std::process::id(), directory.as_raw_fd());
    let mut arguments = vec!["--no-canonicalize"];
    if !order.options.is_empty() {
        arguments.extend(["-o", order.options]);
    }
    if !order.fs_type.is_empty() {
        arguments.extend(["-t", order.fs_type]);
    }
    let device = order
        .device
        .to_str()
        .ok_or("the device's path is not UTF-8")?;
    arguments.extend(["--", device, &target]);
    let said = children::run("mount", &arguments, MOUNT_LIMIT)
        .await
        .map_err(|e| e.to_string())?;
    drop(directory);
    match said.code {
        0 => Ok(()),
        _ => Err(said.complaint("mount")),
    }
}

/// Unmounts what is at `mount_point`; with `lazily`, what is in use goes when its last user lets go.
///
/// # Errors
/// In words: what `umount` said.
pub(crate) async fn unmount(mount_point: &Path, lazily: bool) -> Result<(), String> {
    let mut arguments = vec!["--no-canonicalize".as_ref()];
    if lazily {
        arguments.push("--lazy".as_ref());
    }
    arguments.extend(["--".as_ref(), mount_point.as_os_str()]);
    let said = children::run("umount", &arguments, UNMOUNT_LIMIT)
        .await
        .map_err(|e| e.to_string())?;
    match said.code {
        0 => Ok(()),
        _ => Err(said.complaint("umount")),
    }
}

/// Opens a directory component by component, each of which must be a real directory.
pub(crate) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut here = open("/", flags, Mode::empty()).map_err(io::Error::from)?;
    for component in path.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(name) => here = openat(&here, name, flags, Mode::empty())?,
            _ => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
        }
    }
    Ok(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_made_safe_unless_they_say_otherwise() {
        assert_eq!(safe_options(""), "nosuid,nodev");
        assert_eq!(safe_options("rw,noatime"), "rw,noatime,nosuid,nodev");
        assert_eq!(safe_options("nodev,suid"), "nodev,suid");
        assert_eq!(safe_options("dev,ro"), "dev,ro,nosuid");
    }

    #[test]
    fn a_mount_point_is_not_reached_through_a_link() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real/inner")).unwrap();
        std::os::unix::fs::symlink(root.join("real"), root.join("link")).unwrap();
        open_directory(&root.join("real/inner")).unwrap();
        for refused in ["link", "link/inner", "real/none", "real/../real"] {
            assert!(open_directory(&root.join(refused)).is_err(), "{refused}");
        }
    }

    #[tokio::test]
    async fn what_mount_says_is_told() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().canonicalize().unwrap();
        let order = MountOrder {
            device: Path::new("/dev/null"),
            mount_point: &place,
            fs_type: "ext4",
            options: "",
        };
        let error = mount(&order).await.unwrap_err();
        assert!(error.starts_with("mount ended with "), "{error}");
        let error = unmount(&place, false).await.unwrap_err();
        assert!(error.starts_with("umount ended with "), "{error}");
    }
}
