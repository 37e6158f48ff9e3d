//! Binds and unbinds paths.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hawser_api::{Failure, Status, v1};
use hawser_store::{BoundDisk, BoundKind, BoundVolume, MountedBy};

use super::identity;
use super::resolve::{BindPath, Host, Kind, OwnDisk, Resolved, resolve, unreadable};
use super::tools::{Probe, SeenKind, SystemTools, Tools};
use super::usable::{self, State};
use crate::daemon::Daemon;
use crate::events::{self, News};
use crate::{logins, sessions};

/// Longest path and option text, in bytes (`PATH_MAX`, one page of mount options).
const MAX_TEXT_LEN: usize = 4095;
/// Longest name of a filesystem type.
const MAX_TYPE_LEN: usize = 64;
/// Bound volumes; each is looked at whenever something happens.
const MAX_VOLUMES: usize = 4096;
/// How long a bind waits for its first mount.
const MOUNT_PATIENCE: Duration = Duration::from_secs(60);

/// A path that shall be bound.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// As typed.
    pub(crate) path: String,
    /// `st_dev` and `st_ino` that the client sees there.
    pub(crate) seen: Option<(u64, u64)>,
    /// Device to mount there; empty: none.
    pub(crate) device: String,
    /// Filesystem type; empty: as found.
    pub(crate) fs_type: String,
    /// Mount options; empty: as found.
    pub(crate) mount_options: String,
}

/// Binds a path.
pub(crate) async fn bind(daemon: &Arc<Daemon>, wanted: Wanted) -> Result<v1::BoundVolume, Failure> {
    daemon.refuse_if_stopping()?;
    let _binding = daemon.volumes.binding.lock().await;
    check(&wanted)?;
    let path = plain(&wanted.path);
    let volumes = daemon.records.all::<BoundVolume>();
    check_count(volumes.len() + 1)?;
    // Known without a look, which fails or hangs while its disk is away.
    if let Some(same) = volumes.iter().find(|bound| Path::new(&bound.path) == path) {
        return Err(bound_already(&same.path, same));
    }
    let volume = record(daemon, &wanted, &path).await?;
    if let Some(same) = volumes.iter().find(|bound| is_same(bound, &volume)) {
        return Err(bound_already(&volume.path, same));
    }
    daemon.records.put(volume.clone()).await?;
    let message = format!("{} is bound", volume.path);
    daemon
        .events
        .tell(News::info("bound", message).path(&volume.path));
    sessions::apply_holds(daemon);
    settle(daemon, &volume).await;
    Ok(daemon.volumes.show(&volume))
}

/// Refuses a list of so many volumes.
pub(super) fn check_count(count: usize) -> Result<(), Failure> {
    if count <= MAX_VOLUMES {
        return Ok(());
    }
    let message = format!("{count} volumes would be bound, and {MAX_VOLUMES} is the limit");
    Err(Failure::new(Status::ERROR_NOT_ENOUGH_MEMORY, message)
        .with_advice("bind those that matter by their paths, one by one, and unbind others"))
}

fn bound_already(path: &str, same: &BoundVolume) -> Failure {
    let message = format!("{path} is bound already, as {}", same.path);
    Failure::new(Status::VOLUME_ALREADY_PERSISTENTLY_BOUND, message)
}

/// Waits until a volume that we mount was mounted, or could not be.
async fn settle(daemon: &Arc<Daemon>, volume: &BoundVolume) {
    let mut changes = daemon.volumes.changed.subscribe();
    usable::look(daemon).await;
    let settled = async {
        loop {
            let known = daemon
                .volumes
                .known()
                .get(&volume.path)
                .cloned()
                .unwrap_or_default();
            let waiting = matches!(known.state, State::Waiting(_) | State::Unknown);
            if !waiting || changes.changed().await.is_err() {
                return;
            }
        }
    };
    // If it takes longer the caller is told that it is being mounted.
    let _ = tokio::time::timeout(MOUNT_PATIENCE, settled).await;
}

/// Refuses what can be no path, type or options.
fn check(wanted: &Wanted) -> Result<(), Failure> {
    let texts = [
        &wanted.path,
        &wanted.device,
        &wanted.fs_type,
        &wanted.mount_options,
    ];
    let spoilt = texts
        .iter()
        .any(|text| text.len() > MAX_TEXT_LEN || text.contains('\0'));
    let odd = |c: char| c.is_whitespace() || c.is_control();
    let odd_type = wanted.fs_type.len() > MAX_TYPE_LEN || wanted.fs_type.contains(odd);
    if spoilt || odd_type || wanted.fs_type.starts_with('-') || wanted.mount_options.contains('\n')
    {
        let message = "a path, filesystem type or mount option cannot be so";
        return Err(Failure::new(Status::ERROR_INVALID_PARAMETER, message));
    }
    Ok(())
}

/// The path without doubled slashes, single dots and a slash at the end.
pub(super) fn plain(path: &str) -> PathBuf {
    Path::new(path).components().collect()
}

/// Whether two records bind the same thing.
pub(super) fn is_same(bound: &BoundVolume, new: &BoundVolume) -> bool {
    if bound.path == new.path {
        return true;
    }
    if bound.kind != new.kind {
        return false;
    }
    match bound.kind {
        BoundKind::Volume => bound.resolved_path == new.resolved_path,
        BoundKind::Device => {
            let who = |volume: &BoundVolume| -> Vec<_> {
                volume
                    .disks
                    .iter()
                    .map(|disk| (disk.target_name.clone(), identity::text(&disk.identity)))
                    .collect()
            };
            let stacked = bound.disks.len() > 1 || bound.resolved_path.contains("/dm-");
            who(bound) == who(new)
                && bound.partition_number == new.partition_number
                && (!stacked || bound.resolved_path == new.resolved_path)
        }
    }
}

/// Finds out what a path is and writes it down.
pub(super) async fn record(
    daemon: &Daemon,
    wanted: &Wanted,
    path: &Path,
) -> Result<BoundVolume, Failure> {
    let own = logins::own_disks(daemon);
    let device = (!wanted.device.is_empty()).then(|| Path::new(&wanted.device));
    let asked = BindPath {
        path,
        seen: wanted.seen,
        device,
    };
    let found = resolve(&daemon.host, &SystemTools, &own, asked).await?;
    let mounted_by = match (found.kind, &found.owner) {
        (Kind::Device, _) => MountedBy::Nobody,
        (Kind::Volume, Some(_)) => MountedBy::System,
        (Kind::Volume, None) => {
            refuse_indirect(&found)?;
            refuse_nested(&daemon.host, &own, &found.real_path)?;
            MountedBy::Hawser
        }
    };
    let partition = match found.device {
        Some(device) => daemon.host.sysfs.partition_of(device),
        None => Ok(None),
    };
    let partition = partition.map_err(|error| unreadable("/sys", &error))?;
    let probe = probe(daemon, &found).await?;
    let fs_type = [
        &wanted.fs_type,
        found
            .mount
            .as_ref()
            .map_or(&probe.fs_type, |mount| &mount.fs_type),
    ];
    let fs_type = fs_type.into_iter().find(|name| !name.is_empty()).cloned();
    if mounted_by == MountedBy::Hawser && fs_type.is_none() {
        let message = format!(
            "{} cannot be bound: there is no filesystem on its device",
            path.display()
        );
        return Err(Failure::new(Status::DEVICE_NOT_FOUND, message).with_advice("make one first"));
    }
    let some = |text: String| (!text.is_empty()).then_some(text);
    let is_volume = found.kind == Kind::Volume;
    Ok(BoundVolume {
        path: text(path)?,
        resolved_path: text(&found.real_path)?,
        kind: if is_volume {
            BoundKind::Volume
        } else {
            BoundKind::Device
        },
        disks: found
            .disks
            .iter()
            .map(bound_disk)
            .collect::<Result<_, _>>()?,
        fs_type: fs_type.filter(|_| is_volume),
        fs_uuid: some(probe.fs_uuid).filter(|_| is_volume),
        partition_uuid: some(probe.partition_uuid).filter(|_| partition.is_some()),
        partition_number: partition.map(|(_, number)| number),
        mount_options: if is_volume {
            options(wanted, &found)
        } else {
            String::new()
        },
        mounted_by,
        bound_at_ms: events::now_ms(),
    })
}

/// A path as it is stored.
fn text(path: &Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let message = format!("{} is not UTF-8 text", path.display());
        Failure::new(Status::ERROR_INVALID_PARAMETER, message)
    })
}

/// What is on the device of a volume or partition.
async fn probe(daemon: &Daemon, found: &Resolved) -> Result<Probe, Failure> {
    let name = found
        .device
        .and_then(|device| daemon.host.sysfs.name(device));
    match name {
        Some(name) => SystemTools.probe(&Path::new("/dev").join(name)).await,
        None => Ok(Probe::default()),
    }
}

/// The options to mount a volume with again.
fn options(wanted: &Wanted, found: &Resolved) -> String {
    if !wanted.mount_options.is_empty() {
        return wanted.mount_options.clone();
    }
    match (&found.mount, &found.owner) {
        (Some(mount), _) => mount.all_options(),
        (None, Some(owner)) => owner.options.clone(),
        (None, None) => String::new(),
    }
}

fn bound_disk(disk: &OwnDisk) -> Result<BoundDisk, Failure> {
    let known = disk.identity.as_deref().and_then(identity::stored);
    let identity = known.ok_or_else(|| {
        let message = format!("a disk of {} has no identity to be known by", disk.target);
        Failure::new(Status::DEVICE_NOT_ISCSI_OR_PERSISTENT, message).with_target(&disk.target)
    })?;
    Ok(BoundDisk {
        target_name: disk.target.clone(),
        lun: disk.lun,
        identity,
    })
}

/// Only a filesystem that lies directly on a disk or partition is mounted by us: what is stacked needs
/// tools that put it together, which the system has.
fn refuse_indirect(found: &Resolved) -> Result<(), Failure> {
    if found.direct {
        return Ok(());
    }
    let path = found.real_path.display();
    let message =
        format!("{path} lies on several disks, LVM, dm-crypt or md: Hawser does not mount that");
    Err(Failure::new(Status::ERROR_NOT_SUPPORTED, message)
        .with_advice("add it to /etc/fstab, so that the system mounts it, and bind it then"))
}

/// Refuses a mount point inside a filesystem on one of our own disks: to reach it would be I/O on our
/// own export.
pub(super) fn refuse_nested(host: &Host, own: &[OwnDisk], place: &Path) -> Result<(), Failure> {
    let mounts = host.mounts()?;
    let Some(outer) = place.parent().and_then(|parent| mounts.visible_at(parent)) else {
        return Ok(());
    };
    // What cannot be followed to a disk lies on none of ours: those are loop devices that /sys knows.
    let under = host.disks_under_mount(outer).unwrap_or_default();
    let mut own = own.iter().filter_map(|disk| disk.block);
    if !own.any(|block| under.contains(&block)) {
        return Ok(());
    }
    let (inner, outer) = (place.display(), outer.mount_point.display());
    let message = format!("{inner} is inside {outer}, which is on a disk of Hawser itself");
    Err(Failure::new(Status::ERROR_NOT_SUPPORTED, message)
        .with_advice("add the inner one to /etc/fstab, so that the system mounts it in order"))
}

/// Unbinds a path, which need not exist any more; gives the stored path.
pub(crate) async fn unbind(
    daemon: &Arc<Daemon>,
    path: &str,
    seen: Option<(u64, u64)>,
) -> Result<String, Failure> {
    let _binding = daemon.volumes.binding.lock().await;
    check(&Wanted {
        path: path.to_owned(),
        ..Wanted::default()
    })?;
    let volumes = daemon.records.all::<BoundVolume>();
    let typed = plain(path);
    let by_text = volumes
        .iter()
        .find(|volume| Path::new(&volume.path) == typed);
    let by_text = by_text.or_else(|| {
        volumes
            .iter()
            .find(|volume| Path::new(&volume.resolved_path) == typed)
    });
    let found = match by_text {
        Some(volume) => Some(volume.path.clone()),
        None => by_look(daemon, &volumes, &typed, seen).await?,
    };
    let Some(path) = found else {
        let message = format!("{} is not bound", typed.display());
        return Err(Failure::new(Status::DEVICE_NOT_FOUND, message)
            .with_advice("`hawser bound` shows what is"));
    };
    daemon.records.remove::<BoundVolume>(path.clone()).await?;
    daemon
        .events
        .tell(News::info("unbound", format!("{path} is no longer bound")).path(&path));
    sessions::apply_holds(daemon);
    usable::look(daemon).await;
    Ok(path)
}

/// The bound volume that another path leads to.
async fn by_look(
    daemon: &Daemon,
    volumes: &[BoundVolume],
    path: &Path,
    seen: Option<(u64, u64)>,
) -> Result<Option<String>, Failure> {
    if !path.is_absolute() {
        let message = format!("{} is not an absolute path", path.display());
        return Err(Failure::new(Status::ERROR_INVALID_PARAMETER, message));
    }
    let Some(there) = SystemTools.look(path).await? else {
        return Ok(None);
    };
    if seen.is_some_and(|seen| seen != (there.st_dev, there.st_ino)) {
        return Ok(None);
    }
    if let Some(volume) = volumes
        .iter()
        .find(|volume| Path::new(&volume.resolved_path) == there.real_path)
    {
        return Ok(Some(volume.path.clone()));
    }
    let SeenKind::Block(device) = there.kind else {
        return Ok(None);
    };
    let node = daemon
        .host
        .sysfs
        .name(device)
        .map(|name| Path::new("/dev").join(name));
    let known = daemon.volumes.known();
    let is_it = |volume: &&BoundVolume| {
        let on = known
            .get(&volume.path)
            .and_then(|known| known.device.as_ref());
        volume.kind == BoundKind::Device && on.is_some() && on == node.as_ref()
    };
    Ok(volumes.iter().find(is_it).map(|volume| volume.path.clone()))
}

/// Unbinds everything; gives what was bound.
pub(crate) async fn unbind_all(daemon: &Arc<Daemon>) -> Result<Vec<String>, Failure> {
    let _binding = daemon.volumes.binding.lock().await;
    let volumes = daemon.records.all::<BoundVolume>();
    daemon
        .records
        .replace_all::<BoundVolume>(Vec::new())
        .await?;
    sessions::apply_holds(daemon);
    usable::look(daemon).await;
    daemon.events.tell(News::info(
        "unbound",
        format!("{} paths are no longer bound", volumes.len()),
    ));
    Ok(volumes.into_iter().map(|volume| volume.path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_volumes_than_the_limit_are_refused() {
        assert!(check_count(MAX_VOLUMES).is_ok());
        let failure = check_count(MAX_VOLUMES + 1).unwrap_err();
        assert_eq!(failure.status, Status::ERROR_NOT_ENOUGH_MEMORY);
        assert!(failure.message.contains("4097"), "{failure}");
    }
}
