//! Bound volumes: what must be there before the services that live on it may start.
//!
//! [`resolve`] says what a path is, [`bind`] stores it, [`judge`] holds what is stored against what is
//! there, [`mounting`] has mounted what is not, [`usable`] keeps what came of both, [`wait`] tells how it
//! stands.

mod bind;
mod bind_all;
mod identity;
mod judge;
mod mount;
mod mountinfo;
mod mounting;
mod owner;
mod resolve;
mod sysfs;
mod system;
mod tools;
mod usable;
pub(crate) mod wait;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hawser_api::{Failure, Status, v1};
use hawser_store::{self as store, BoundVolume};
use tokio::sync::{Notify, RwLock, watch};

pub(crate) use bind::{Wanted, bind, unbind, unbind_all};
pub(crate) use bind_all::bind_all;
pub(crate) use identity::show as show_identity;
pub(crate) use mountinfo::Mount;
pub(crate) use mounting::unmount_all;
pub(crate) use resolve::{Host, OwnDisk, lun_text};
pub(crate) use usable::keep;

use crate::daemon::Daemon;
use crate::devices::{Facts, usage};
use crate::events::News;
use crate::records::Records;

/// How the bound volumes are now.
#[derive(Debug, Default)]
pub(crate) struct Volumes {
    known: Mutex<HashMap<String, usable::Known>>,
    /// Something happened that a volume may depend on.
    wake: Notify,
    /// Counts changes of what is known.
    changed: watch::Sender<u64>,
    /// Binding and unbinding, one at a time.
    binding: tokio::sync::Mutex<()>,
    /// Looks, one at a time: a late one must not go by what an early one saw.
    looking: tokio::sync::Mutex<()>,
    /// Held for reading while something is mounted; for writing when nothing may be any more.
    mounting: RwLock<()>,
}

impl Volumes {
    fn known(&self) -> MutexGuard<'_, HashMap<String, usable::Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened that a volume may depend on.
    pub(crate) fn look_again(&self) {
        self.wake.notify_one();
    }

    /// The targets on which something is bound.
    pub(crate) fn bound_targets(&self, records: &Records) -> BTreeSet<String> {
        let bound = records.all::<BoundVolume>().into_iter();
        bound
            .flat_map(|volume| volume.disks)
            .map(|disk| disk.target_name)
            .collect()
    }

    /// A bound volume as the RPC shows it.
    pub(crate) fn show(&self, volume: &BoundVolume) -> v1::BoundVolume {
        let known = self.known().get(&volume.path).cloned().unwrap_or_default();
        let kind = match volume.kind {
            store::BoundKind::Volume => v1::BoundKind::Volume,
            store::BoundKind::Device => v1::BoundKind::Device,
        };
        let mounted_by = match known.mounted_by.unwrap_or(volume.mounted_by) {
            store::MountedBy::Nobody => v1::MountedBy::Nobody,
            store::MountedBy::System => v1::MountedBy::System,
            store::MountedBy::Hawser => v1::MountedBy::Hawser,
        };
        let (state, reason) = known.state.show();
        v1::BoundVolume {
            path: volume.path.clone(),
            kind: kind.into(),
            state: state.into(),
            reason: reason.map(Into::into),
            disks: volume.disks.iter().map(show_bound_disk).collect(),
            fs_uuid: volume.fs_uuid.clone().unwrap_or_default(),
            fs_type: volume.fs_type.clone().unwrap_or_default(),
            partition_uuid: volume.partition_uuid.clone().unwrap_or_default(),
            mount_options: volume.mount_options.clone(),
            mounted_by: mounted_by.into(),
            device: known
                .device
                .map(|device| device.display().to_string())
                .unwrap_or_default(),
            bound_at_ms: volume.bound_at_ms,
        }
    }

    /// All bound volumes as the RPC shows them.
    pub(crate) fn show_all(&self, records: &Records) -> Vec<v1::BoundVolume> {
        records
            .all::<BoundVolume>()
            .iter()
            .map(|volume| self.show(volume))
            .collect()
    }
}

fn show_bound_disk(disk: &store::BoundDisk) -> v1::BoundDisk {
    v1::BoundDisk {
        target_name: disk.target_name.clone(),
        lun: disk.lun,
        identity: Some(identity::show(&identity::text(&disk.identity))),
    }
}

/// Who must be at a LUN because something is bound on it.
pub(crate) fn expected_at(records: &Records, target: &str, lun: u64) -> Option<String> {
    let volumes = records.all::<BoundVolume>();
    let mut disks = volumes.iter().flat_map(|volume| &volume.disks);
    let found = disks.find(|disk| disk.target_name == target && disk.lun == lun)?;
    Some(identity::text(&found.identity))
}

/// The paths that are bound on disks of a target.
pub(crate) fn bound_on(records: &Records, target: &str) -> Vec<String> {
    let on = |volume: &BoundVolume| volume.disks.iter().any(|disk| disk.target_name == target);
    records
        .all::<BoundVolume>()
        .into_iter()
        .filter(on)
        .map(|volume| volume.path)
        .collect()
}

/// The paths that need a disk.
pub(crate) fn bound_paths_of(volumes: &[BoundVolume], target: &str, identity: &str) -> Vec<String> {
    let needs = |volume: &&BoundVolume| {
        let mut disks = volume.disks.iter();
        disks.any(|disk| disk.target_name == target && identity::text(&disk.identity) == identity)
    };
    volumes
        .iter()
        .filter(needs)
        .map(|volume| volume.path.clone())
        .collect()
}

/// Unmounts the bound volumes that Hawser mounts from a disk that is being taken away: on a dead device
/// they would be in the way of the next mount.
pub(crate) async fn unmount_ours(daemon: &Daemon, facts: &Facts) {
    let mounts = match usage::mounts_on(&daemon.host, facts) {
        Ok(mounts) => mounts,
        Err(failure) => return tracing::warn!(%failure, "cannot see what is mounted"),
    };
    let volumes = daemon.records.all::<BoundVolume>();
    for mount in mounts {
        let is_it = |volume: &&BoundVolume| Path::new(&volume.resolved_path) == mount.mount_point;
        let bound = volumes.iter().find(is_it);
        if bound.is_some_and(|volume| mounting::unmounts(daemon, volume)) {
            unmount_for_good(daemon, &mount.mount_point).await;
        }
    }
}

/// Unmounts what is at a place, lazily if it is in use.
pub(crate) async fn unmount_for_good(daemon: &Daemon, place: &Path) {
    let shown = place.display();
    let Err(why) = mount::unmount(place, false).await else {
        let message = format!("unmounted {shown}");
        return daemon
            .events
            .tell(News::info("unmounted", message).path(shown.to_string()));
    };
    let (message, advice) = match mount::unmount(place, true).await {
        Ok(()) => (
            format!("{shown} was in use and was unmounted lazily: {why}"),
            "end the programs that still use it",
        ),
        Err(lazily) => (
            format!("cannot unmount {shown}: {lazily}"),
            "unmount it by hand",
        ),
    };
    let failure = Failure::new(Status::DEVICE_BUSY_ON_SESSION, message).with_advice(advice);
    daemon
        .events
        .tell(News::warning("unmounted", failure).path(shown.to_string()));
}
