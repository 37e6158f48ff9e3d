//! Disks in the form of the Discovery Library: as devices of a session, and by the numbers that the
//! operating system's side has for them. Only what is in memory is looked at.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use hawser_api::v1;
use hawser_engine::Lun;

use super::{Disk, state_of};
use crate::daemon::Daemon;
use crate::initiators::INSTANCE;
use crate::numbers::{self, LunNumbers, Place};
use crate::sessions::Entry;

/// `MAX_PATH` less the NUL: callers of the Discovery Library have no room for more.
const MAX_PATH_LEN: usize = 259;
/// Partition number of a device that has no partitions.
const NO_PARTITIONS: u32 = u32::MAX;

/// `FILE_DEVICE_*` of the kinds of devices that the Discovery Library has a class for, by peripheral device
/// type (SPC-4 table 139); `None` for controllers, enclosures and the like.
fn file_device(device_type: u8) -> Option<u32> {
    const DISK: u32 = 7;
    const CD_ROM: u32 = 2;
    const TAPE: u32 = 31;
    const CHANGER: u32 = 48;
    match device_type {
        0 | 4 | 7 | 14 => Some(DISK),
        1 => Some(TAPE),
        5 => Some(CD_ROM),
        8 => Some(CHANGER),
        _ => None,
    }
}

/// A disk that is a device, and what it is.
struct Known {
    disk: Arc<Disk>,
    device_type: u8,
    file_device: u32,
    numbers: LunNumbers,
}

/// Disks of one target, by LUN.
type ByLun = HashMap<u64, Known>;

impl Known {
    /// `None` for a LUN that is not open yet or of a kind that has no devices.
    fn find(daemon: &Daemon, disk: Arc<Disk>) -> Option<Self> {
        let device_type = disk.handle.as_ref().map(Lun::inquiry)?.device_type;
        let file_device = file_device(device_type)?;
        let session = disk.session.adapter_specific;
        let lun = (disk.lun.as_u64(), disk.lun.number());
        let numbers = daemon.sessions.numbers.lun(session, lun.0, lun.1)?;
        Some(Self {
            disk,
            device_type,
            file_device,
            numbers,
        })
    }

    /// Whether it can be used now.
    fn is_ready(&self, daemon: &Daemon) -> bool {
        let entry = daemon.sessions.get(self.disk.session).ok();
        let (state, _) = state_of(&self.disk, &self.disk.facts(), entry.as_deref());
        state == v1::DiskState::Ready
    }

    /// A disk is shown once, and all ways lead to it: `others` are those of its target that other sessions show.
    fn show(&self, daemon: &Daemon, place: Place, others: &ByLun) -> v1::Device {
        let other = others.get(&self.disk.lun.as_u64());
        let other = other
            .filter(|other| !self.disk.is_shown() && other.disk.identity() == self.disk.identity());
        let shown = other.unwrap_or(self);
        let facts = shown.disk.facts();
        let ready = self.is_ready(daemon) && shown.is_ready(daemon);
        let is_disk = self.file_device == 7;
        v1::Device {
            session_id: Some(self.disk.session),
            initiator_instance: INSTANCE.to_owned(),
            target_name: self.disk.target.clone(),
            lun: self.disk.lun.as_u64(),
            scsi_address: Some(v1::ScsiAddress {
                port_number: numbers::ADAPTER,
                path_id: place.bus,
                target_id: place.target,
                lun: self.numbers.os_lun,
            }),
            device_type: self.device_type.into(),
            interface_name: first_that_fits(&facts.stable_paths()),
            legacy_name: first_that_fits(&facts.paths()),
            storage_device_number: ready.then_some(v1::StorageDeviceNumber {
                device_type: self.file_device,
                device_number: shown.numbers.device,
                partition_number: if is_disk { 0 } else { NO_PARTITIONS },
            }),
        }
    }
}

/// The first path that a caller has room for: one that is cut leads nowhere, or elsewhere. Empty if there is none.
fn first_that_fits(paths: &[PathBuf]) -> String {
    let mut paths = paths.iter().map(|path| path.display().to_string());
    paths
        .find(|path| path.len() <= MAX_PATH_LEN)
        .unwrap_or_default()
}

/// The devices of a session.
pub(crate) fn show_devices(daemon: &Daemon, entry: &Entry) -> Vec<v1::Device> {
    let place = daemon.sessions.numbers.place(entry.id.adapter_specific);
    // A session that is lost shows none: whoever waits for devices then waits for its return.
    let Some(place) = place.filter(|_| entry.view().is_some()) else {
        return Vec::new();
    };
    let others = shown_by_others(daemon, entry);
    let disks = daemon.disks.of_session(entry.id).into_iter();
    disks
        .filter_map(|disk| Known::find(daemon, disk))
        .map(|known| known.show(daemon, place, &others))
        .collect()
}

/// The disks of the session's target that other sessions show.
fn shown_by_others(daemon: &Daemon, entry: &Entry) -> ByLun {
    let disks = daemon.disks.of_target(&entry.origin.target).into_iter();
    let others = disks.filter(|disk| disk.session != entry.id && disk.is_shown());
    others
        .filter_map(|disk| Some((disk.lun.as_u64(), Known::find(daemon, disk)?)))
        .collect()
}

/// The numbers of all sessions that have devices.
pub(crate) fn show_mappings(daemon: &Daemon) -> Vec<v1::ActiveMapping> {
    let mut luns: HashMap<u64, Vec<v1::LunMapping>> = HashMap::new();
    for disk in daemon.disks.all() {
        let Some(known) = Known::find(daemon, disk) else {
            continue;
        };
        let of_session = luns.entry(known.disk.session.adapter_specific);
        of_session.or_default().push(v1::LunMapping {
            os_lun: known.numbers.os_lun,
            lun: known.disk.lun.as_u64(),
        });
    }
    let mapping = |entry: Arc<Entry>| {
        let session = entry.id.adapter_specific;
        let place = daemon.sessions.numbers.place(session)?;
        let mut luns = luns.remove(&session)?;
        luns.sort_by_key(|lun| lun.os_lun);
        Some(v1::ActiveMapping {
            session_id: Some(entry.id),
            initiator_instance: INSTANCE.to_owned(),
            target_name: entry.origin.target.clone(),
            os_device_name: numbers::adapter_device(),
            os_bus_number: place.bus,
            os_target_number: place.target,
            luns,
        })
    };
    let sessions = daemon.sessions.all().into_iter();
    sessions.filter_map(mapping).collect()
}
