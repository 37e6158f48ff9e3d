//! Judges a bound volume by what is there now: which disk, which device, what is mounted. Reads tables
//! only, so no disk that hangs can hold it up.

use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hawser_api::{Failure, Status};
use hawser_engine::{LoginFailure, SessionState};
use hawser_store::{BoundDisk, BoundKind, BoundVolume, MountedBy};

use super::identity;
use super::mountinfo::{Mount, MountTable};
use super::resolve::lun_text;
use super::usable::State;
use crate::daemon::Daemon;
use crate::device_number::DeviceNumber;
use crate::devices::Disk;
use crate::{failures, logins};

/// What a look at a volume says.
pub(super) struct Verdict {
    pub(super) state: State,
    /// The device that it is on.
    pub(super) device: Option<PathBuf>,
    pub(super) mounted_by: MountedBy,
    /// Mounted there as it should be; the number of its (first) disk.
    pub(super) mounted: Option<DeviceNumber>,
    /// Its disks are there and it should be mounted; the number of the (first) disk.
    pub(super) mountable: Option<DeviceNumber>,
}

/// Judges one volume by what is there now.
pub(super) fn judge(
    daemon: &Daemon,
    volume: &BoundVolume,
    mounts: Result<&MountTable, &Failure>,
) -> Verdict {
    let mounted_by = mounted_by(daemon, volume);
    let verdict = |state, device| Verdict {
        state,
        device,
        mounted_by,
        mounted: None,
        mountable: None,
    };
    let found = volume.disks.iter().map(|bound| bound_disk(daemon, bound));
    let disks: Vec<Arc<Disk>> = match found.collect() {
        Ok(disks) => disks,
        Err(state) => return verdict(state, None),
    };
    let Some(first) = disks.first() else {
        let failure = Failure::new(Status::CACHE_CORRUPTED, "the record names no disk");
        return verdict(State::Failed(failure), None);
    };
    let Some(block) = first.facts().block else {
        return judge_without_block(volume, first, verdict);
    };
    if volume.kind == BoundKind::Device && is_stacked(volume) {
        return match stacked_device(daemon, volume, &disks) {
            Ok(node) => verdict(State::Usable, Some(node)),
            Err(failure) => verdict(State::Waiting(failure), None),
        };
    }
    let device = match device_of(daemon, volume, block) {
        Ok(device) => device,
        Err(failure) => return verdict(State::Waiting(failure), None),
    };
    let name = daemon.host.sysfs.name(device);
    let node = name.map(|name| Path::new("/dev").join(name));
    let judged = verdict(State::Usable, node);
    let is_right = |mount: &Mount| match mounted_by {
        MountedBy::System => lies_on(daemon, mount, &disks),
        _ => is_device(mount.device, &mount.fs_type, device),
    };
    match (mounted_by, mounts) {
        (MountedBy::Nobody, _) => judged,
        (_, Ok(mounts)) => judge_mount(volume, mounts, judged, block, is_right),
        (_, Err(failure)) => Verdict {
            state: State::Failed(failure.clone()),
            ..judged
        },
    }
}

/// Judges what is mounted at the place of a volume whose device is there.
fn judge_mount(
    volume: &BoundVolume,
    mounts: &MountTable,
    mut judged: Verdict,
    block: DeviceNumber,
    is_right: impl Fn(&Mount) -> bool,
) -> Verdict {
    match mounts.mounted_at(Path::new(&volume.resolved_path)) {
        Some(mount) if is_right(mount) => {
            judged.mounted = Some(block);
            if judged.mounted_by == MountedBy::System {
                judged.device = Some(mount.source.clone());
            }
        }
        Some(mount) => {
            let source = mount.source.display();
            let message = format!(
                "{source} is mounted at {} instead, or on disks that are gone",
                volume.path
            );
            let failure = Failure::new(Status::DEVICE_NOT_FOUND, message);
            judged.state = State::Failed(failure.with_advice("unmount it"));
        }
        None => judged.mountable = Some(block),
    }
    judged
}

/// Whether a filesystem that the system mounted, from whatever it built, lies on just these disks. What
/// is left of disks that a killed daemon served does not: they were other devices.
fn lies_on(daemon: &Daemon, mount: &Mount, disks: &[Arc<Disk>]) -> bool {
    let ours: BTreeSet<_> = disks.iter().filter_map(|disk| disk.facts().block).collect();
    let found = daemon.host.disks_under_mount(mount);
    found.is_ok_and(|found| found == ours)
}

/// btrfs mounts have a device number of their own.
pub(super) fn is_device(mounted: DeviceNumber, fs_type: &str, number: DeviceNumber) -> bool {
    mounted == number || (mounted.major == 0 && fs_type == "btrfs")
}

/// A device that was bound is no disk of ours nor a partition of one, but built on them: LVM, dm-crypt,
/// md. Ours are loop devices.
fn is_stacked(volume: &BoundVolume) -> bool {
    let name = volume.resolved_path.strip_prefix("/dev/");
    name.is_some_and(|name| !name.starts_with("loop"))
}

/// The node of a stacked device, once the system has put it together from the right disks. Device nodes
/// lie in `/dev`, so this look is no I/O on a disk.
fn stacked_device(
    daemon: &Daemon,
    volume: &BoundVolume,
    disks: &[Arc<Disk>],
) -> Result<PathBuf, Failure> {
    let path = Path::new(&volume.path);
    let absent = |what: String| {
        Failure::new(Status::DEVICE_NOT_FOUND, format!("{}: {what}", volume.path))
            .with_advice("its disks are there: it is for the system to put it together")
    };
    let metadata = std::fs::metadata(path).map_err(|error| absent(error.to_string()))?;
    if !metadata.file_type().is_block_device() {
        return Err(absent("it is no block device".to_owned()));
    }
    let (major, minor) = (
        nix::sys::stat::major(metadata.rdev()),
        nix::sys::stat::minor(metadata.rdev()),
    );
    let number = |half: u64| u32::try_from(half).unwrap_or(u32::MAX);
    let device = DeviceNumber::new(number(major), number(minor));
    let stack = daemon
        .host
        .sysfs
        .stack_under(device)
        .map_err(|error| absent(error.to_string()))?;
    let ours = disks.iter().filter_map(|disk| disk.facts().block).collect();
    if stack.disks != ours {
        return Err(absent(
            "it does not lie on the disks that were bound".to_owned(),
        ));
    }
    Ok(path.to_owned())
}

/// A disk that is a file or socket here can only be bound as a device.
fn judge_without_block(
    volume: &BoundVolume,
    disk: &Disk,
    verdict: impl Fn(State, Option<PathBuf>) -> Verdict,
) -> Verdict {
    let path = disk.facts().fuse_file;
    if volume.kind == BoundKind::Device {
        return verdict(State::Usable, path);
    }
    let message = format!(
        "LUN {} of {} is not shown as a block device here",
        disk.lun, disk.target
    );
    let failure = Failure::new(Status::DEVICE_NOT_FOUND, message)
        .with_target(&disk.target)
        .with_advice("run the daemon with the right to use loop devices: see `hawser status`");
    verdict(State::Failed(failure), path)
}

/// Who mounts a volume, as fstab and units are now.
pub(super) fn mounted_by(daemon: &Daemon, volume: &BoundVolume) -> MountedBy {
    if volume.kind == BoundKind::Device {
        return MountedBy::Nobody;
    }
    match daemon.host.owner_of(Path::new(&volume.resolved_path)) {
        Ok(Some(_)) => MountedBy::System,
        Ok(None) => MountedBy::Hawser,
        // Rather leave it to the system than mount over it.
        Err(_) => MountedBy::System,
    }
}

/// The device of a volume: the disk, or its partition by the recorded number.
fn device_of(
    daemon: &Daemon,
    volume: &BoundVolume,
    block: DeviceNumber,
) -> Result<DeviceNumber, Failure> {
    let Some(number) = volume.partition_number else {
        return Ok(block);
    };
    let partitions = daemon.host.sysfs.partitions(block);
    let partitions = partitions.map_err(|error| super::resolve::unreadable("/sys", &error))?;
    let found = partitions
        .iter()
        .find(|partition| partition.number == number);
    found.map(|partition| partition.device).ok_or_else(|| {
        Failure::new(
            Status::DEVICE_NOT_FOUND,
            format!("its disk has no partition {number} now"),
        )
    })
}

/// The disk of ours that a record names, if it is there and usable.
fn bound_disk(daemon: &Daemon, bound: &BoundDisk) -> Result<Arc<Disk>, State> {
    let wanted = identity::text(&bound.identity);
    let disks = daemon.disks.of_target(&bound.target_name);
    let is_wanted = |disk: &&Arc<Disk>| {
        disk.identity()
            .is_some_and(|found| found.as_str() == wanted)
    };
    let found = disks.iter().filter(is_wanted).max_by_key(|disk| {
        // Several paths to one disk: the one that is shown counts.
        (
            disk.trouble().is_none(),
            disk.facts().block.is_some(),
            disk.lun.as_u64() == bound.lun,
        )
    });
    if let Some(disk) = found {
        return match (disk.trouble(), session_trouble(daemon, disk)) {
            (Some(failure), _) if disk.is_wrong() => Err(State::Wrong(failure)),
            (Some(failure), _) | (None, Some(failure)) => Err(State::Waiting(failure)),
            (None, None) if disk.is_checked() => Ok(Arc::clone(disk)),
            (None, None) => Err(State::Waiting(unchecked(disk))),
        };
    }
    if let Some(disk) = disks.iter().find(|disk| disk.lun.as_u64() == bound.lun) {
        return Err(match disk.trouble() {
            Some(failure) if disk.is_wrong() => State::Wrong(failure),
            Some(failure) => State::Waiting(failure),
            None => State::Waiting(absent(daemon, bound, &wanted)),
        });
    }
    if !logins::is_persistent(daemon, &bound.target_name) && disks.is_empty() {
        let message = format!(
            "there is no persistent login to {} any more",
            bound.target_name
        );
        let advice = format!(
            "run `hawser login {} --persist`, or unbind the path",
            bound.target_name
        );
        let failure = Failure::new(Status::DEVICE_NOT_ISCSI_OR_PERSISTENT, message);
        return Err(State::Failed(
            failure.with_target(&bound.target_name).with_advice(advice),
        ));
    }
    Err(State::Waiting(absent(daemon, bound, &wanted)))
}

fn unchecked(disk: &Disk) -> Failure {
    let message = format!(
        "LUN {} of {} has not said yet who it is",
        disk.lun, disk.target
    );
    Failure::new(Status::DEVICE_NOT_FOUND, message)
        .with_target(&disk.target)
        .with_advice("if that lasts, the disk does not answer: look at the target")
}

/// Why the session of a disk cannot carry I/O now.
fn session_trouble(daemon: &Daemon, disk: &Disk) -> Option<Failure> {
    let entry = daemon.sessions.get(disk.session).ok()?;
    if entry.view().is_some() {
        return None;
    }
    Some(entry.last_error().unwrap_or_else(|| {
        let message = format!("the session with {} is lost", disk.target);
        Failure::new(Status::NO_CONNECTION_AVAILABLE, message).with_target(&disk.target)
    }))
}

/// Why a disk is not there: the session's trouble, else that the target does not show it.
fn absent(daemon: &Daemon, bound: &BoundDisk, wanted: &str) -> Failure {
    let target = &bound.target_name;
    let sessions = daemon.sessions.of_target(target);
    let Some(entry) = sessions
        .iter()
        .find(|entry| entry.view().is_some())
        .or(sessions.first())
    else {
        let message = format!("there is no session with {target}");
        return Failure::new(Status::DEVICE_NOT_FOUND, message)
            .with_target(target)
            .with_advice(format!("run `hawser login {target}`"));
    };
    match entry.engine.state() {
        SessionState::Up(_) => {
            let lun = lun_text(bound.lun);
            let message =
                format!("{wanted} (LUN {lun} of {target}) is not among the target's disks");
            Failure::new(Status::DEVICE_NOT_FOUND, message)
                .with_target(target)
                .with_advice("look at the target's LUNs and at `hawser disk list`")
        }
        SessionState::Connecting { last_failure } | SessionState::Lost { last_failure, .. } => {
            unreachable_target(target, last_failure.as_ref(), entry.last_error())
        }
        _ => Failure::new(
            Status::DEVICE_NOT_FOUND,
            format!("the session with {target} has ended"),
        )
        .with_target(target),
    }
}

fn unreachable_target(
    target: &str,
    last: Option<&LoginFailure>,
    earlier: Option<Failure>,
) -> Failure {
    let told = last.map(failures::of_login).or(earlier);
    told.unwrap_or_else(|| {
        let message = format!("the login to {target} is under way");
        Failure::new(Status::DEVICE_NOT_FOUND, message).with_target(target)
    })
}
