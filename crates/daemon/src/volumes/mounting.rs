//! Has bound volumes mounted: by a program of ours, or by the system where fstab or a unit says how;
//! and unmounts them at the daemon's end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hawser_api::{Failure, Status};
use hawser_store::{BoundVolume, MountedBy};
use tokio::task::JoinSet;

use super::judge::{is_device, mounted_by};
use super::mount::{self, MountOrder};
use super::mountinfo::MountTable;
use super::system::{self, Mounting};
use super::tools::{SystemTools, Tools};
use super::unmount_for_good;
use super::usable::{Known, State};
use crate::daemon::Daemon;
use crate::device_number::DeviceNumber;
use crate::events::News;
use crate::logins;

/// First pause after a failed mount; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause after a failed mount.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Longest time for which the daemon's end waits for mounts that are being made.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A mount that we make or ask for.
#[derive(Debug, Clone, Default)]
pub(super) enum Job {
    #[default]
    Idle,
    Running,
    Failed {
        why: Failure,
        at: Instant,
        pause: Duration,
    },
    /// The system mounts it after the bound volumes are usable: to wait for that would never end.
    LeftToSystem,
}

/// What becomes of a volume whose disks are there, the first with this number, and that is not mounted.
pub(super) fn want_mount(
    daemon: &Arc<Daemon>,
    volume: &BoundVolume,
    known: &mut Known,
    number: DeviceNumber,
) -> State {
    let being_mounted = || {
        State::Waiting(Failure::new(
            Status::DEVICE_NOT_FOUND,
            "it is being mounted",
        ))
    };
    if daemon.is_stopping() {
        return State::Waiting(Failure::new(
            Status::SERVICE_NOT_RUNNING,
            "the daemon is stopping",
        ));
    }
    let (pause, meanwhile) = match &known.job {
        Job::Running => return being_mounted(),
        Job::LeftToSystem => return State::Usable,
        Job::Failed { why, at, pause } if at.elapsed() < *pause => {
            return State::Failed(why.clone());
        }
        Job::Idle if known.mounted == Some(number) => {
            let message = format!("{} was unmounted by somebody", volume.path);
            let advice = "mount it again by hand, or unbind it";
            return State::Failed(
                Failure::new(Status::DEVICE_NOT_FOUND, message).with_advice(advice),
            );
        }
        // While it is tried again the reason of the failure stays to be seen.
        Job::Failed { why, pause, .. } => {
            ((*pause * 2).min(LONGEST_PAUSE), State::Failed(why.clone()))
        }
        Job::Idle => (FIRST_PAUSE, being_mounted()),
    };
    known.job = Job::Running;
    let work = carry_out(Arc::clone(daemon), volume.clone(), number, pause);
    tokio::spawn(work);
    meanwhile
}

/// Has a volume mounted and keeps what came of it.
async fn carry_out(daemon: Arc<Daemon>, volume: BoundVolume, disk: DeviceNumber, pause: Duration) {
    let done = {
        // What the service manager mounts is not ours to unmount: the end need not wait for it.
        let _mounting = match unmounts(&daemon, &volume) {
            true => Some(daemon.volumes.mounting.read().await),
            false => None,
        };
        if daemon.is_stopping() {
            return;
        }
        have_mounted(&daemon, &volume, disk).await
    };
    let job = match done {
        Ok(Mounting::Done) => {
            let message = format!("mounted {}", volume.path);
            daemon
                .events
                .tell(News::info("mounted", message).path(&volume.path));
            Job::Idle
        }
        Ok(Mounting::AfterVolumes) => Job::LeftToSystem,
        Err(why) => Job::Failed {
            why,
            at: Instant::now(),
            pause,
        },
    };
    // A look that is under way saw the mounts as they were before.
    let _looking = daemon.volumes.looking.lock().await;
    if let Some(known) = daemon.volumes.known().get_mut(&volume.path) {
        known.job = job;
        known.mounted = None;
    }
    daemon.volumes.look_again();
}

/// Has a volume mounted by whoever mounts it.
async fn have_mounted(
    daemon: &Daemon,
    volume: &BoundVolume,
    disk: DeviceNumber,
) -> Result<Mounting, Failure> {
    if mounted_by(daemon, volume) == MountedBy::System {
        let own = logins::own_disks(daemon);
        return system::mount(&daemon.host, &own, Path::new(&volume.resolved_path)).await;
    }
    mount_volume(daemon, volume, disk).await?;
    Ok(Mounting::Done)
}

/// Mounts a volume from a disk that was judged to be the right one.
async fn mount_volume(
    daemon: &Daemon,
    volume: &BoundVolume,
    disk: DeviceNumber,
) -> Result<(), Failure> {
    let failed = |what: String| {
        Failure::new(
            Status::DEVICE_NOT_FOUND,
            format!("{} cannot be mounted: {what}", volume.path),
        )
    };
    let number = filesystem_device(daemon, volume, disk).await?;
    let name = daemon
        .host
        .sysfs
        .name(number)
        .ok_or_else(|| failed("its device is gone".into()))?;
    let device = Path::new("/dev").join(name);
    let mount_point = Path::new(&volume.resolved_path);
    super::bind::refuse_nested(&daemon.host, &logins::own_disks(daemon), mount_point)?;
    let is_there = |mounts: &MountTable| {
        let mount = mounts.mounted_at(mount_point);
        mount.is_some_and(|mount| is_device(mount.device, &mount.fs_type, number))
    };
    if is_there(&daemon.host.mounts()?) {
        return Ok(());
    }
    let order = MountOrder {
        device: &device,
        mount_point,
        fs_type: volume.fs_type.as_deref().unwrap_or_default(),
        options: &mount::safe_options(&volume.mount_options),
    };
    mount::mount(&order).await.map_err(|why| {
        failed(why.clone())
            .with_peer_said(why)
            .with_advice("try it by hand, and look at the kernel's log")
    })?;
    if is_there(&daemon.host.mounts()?) {
        return Ok(());
    }
    Err(failed("it was mounted, and is not at its place".into()))
}

/// The device that carries the bound filesystem: the disk or a partition of it, by the UUIDs that were
/// recorded.
async fn filesystem_device(
    daemon: &Daemon,
    volume: &BoundVolume,
    disk: DeviceNumber,
) -> Result<DeviceNumber, Failure> {
    let sysfs = &daemon.host.sysfs;
    let unreadable = |error: std::io::Error| super::resolve::unreadable("/sys", &error);
    let mut candidates = vec![(None, disk)];
    if volume.partition_number.is_some() {
        let parts = sysfs.partitions(disk).map_err(unreadable)?;
        candidates = parts
            .into_iter()
            .map(|part| (Some(part.number), part.device))
            .collect();
        // The one with the recorded number is the likeliest.
        candidates.sort_by_key(|(number, _)| *number != volume.partition_number);
    }
    let mut found = Vec::new();
    for (_, device) in candidates {
        let Some(name) = sysfs.name(device) else {
            continue;
        };
        let probe = SystemTools.probe(&Path::new("/dev").join(&name)).await?;
        let same = |recorded: &Option<String>, seen: &str| {
            recorded.as_ref().is_none_or(|recorded| recorded == seen)
        };
        if same(&volume.fs_uuid, &probe.fs_uuid)
            && same(&volume.partition_uuid, &probe.partition_uuid)
        {
            return Ok(device);
        }
        let uuid = if probe.fs_uuid.is_empty() {
            "none"
        } else {
            &probe.fs_uuid
        };
        found.push(format!("{name} has {uuid}"));
    }
    let wanted = volume.fs_uuid.as_deref().unwrap_or("its partition");
    let seen = if found.is_empty() {
        "no partition is there".to_owned()
    } else {
        found.join(", ")
    };
    let message = format!(
        "the filesystem {wanted} of {} is not on its disk: {seen}",
        volume.path
    );
    Err(Failure::new(Status::DEVICE_NOT_FOUND, message)
        .with_advice("the disk was changed since: bind the path again if that is meant"))
}

/// Whether a volume is unmounted by us when its disk goes: where there is no service manager, nobody else
/// knows when.
pub(super) fn unmounts(daemon: &Daemon, volume: &BoundVolume) -> bool {
    match mounted_by(daemon, volume) {
        MountedBy::Hawser => true,
        MountedBy::System => !daemon.host.has_systemd(),
        MountedBy::Nobody => false,
    }
}

/// Unmounts what Hawser mounts, at the daemon's end.
pub(crate) async fn unmount_all(daemon: &Arc<Daemon>) {
    // Mounts that are being made come to their end first, or are left.
    let _mounting = tokio::time::timeout(STOP_LIMIT, daemon.volumes.mounting.write()).await;
    let Ok(mounts) = daemon.host.mounts() else {
        return;
    };
    let mut unmounting = JoinSet::new();
    for volume in daemon.records.all::<BoundVolume>() {
        let verdict = judge_mounted(daemon, &volume, &mounts);
        if verdict {
            let daemon = Arc::clone(daemon);
            let place = PathBuf::from(volume.resolved_path);
            unmounting.spawn(async move { unmount_for_good(&daemon, &place).await });
        }
    }
    unmounting.join_all().await;
}

/// Whether a volume is one of ours to mount, and mounted from one of our disks, whatever its session
/// does now.
fn judge_mounted(daemon: &Daemon, volume: &BoundVolume, mounts: &MountTable) -> bool {
    let Some(mount) = mounts.mounted_at(Path::new(&volume.resolved_path)) else {
        return false;
    };
    if !unmounts(daemon, volume) {
        return false;
    }
    let own = daemon
        .disks
        .all()
        .into_iter()
        .filter_map(|disk| disk.facts().block);
    let mut devices = own.flat_map(|block| {
        let parts = daemon.host.sysfs.partitions(block).unwrap_or_default();
        std::iter::once(block).chain(parts.into_iter().map(|part| part.device))
    });
    devices.any(|device| is_device(mount.device, &mount.fs_type, device))
}
