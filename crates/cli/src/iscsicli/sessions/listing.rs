//! How sessions with their connections and devices, and mappings, are listed.

use hawser_api::v1::{ActiveMapping, Connection, Device, Disk, Portal, Session};
use serde_json::{Value, json};

use super::super::page::{Mapping, Page, id, shown};
use super::super::stop::Answer;
use super::values;

/// What a user of a disk begins with that is a mount.
const MOUNTED_AT: &str = "mounted at ";

/// A session as it is listed.
#[derive(Debug, Default)]
pub(in super::super) struct Listed {
    /// The session.
    pub(in super::super) session: Session,
    /// Its devices; none if they are not asked for.
    pub(in super::super) devices: Vec<Device>,
    /// The disks that the devices are.
    pub(in super::super) disks: Vec<Disk>,
}

/// `SessionList`.
pub(in super::super) fn sessions(all: &[Listed]) -> Answer {
    let mut page = Page::default();
    page.line(format!("Total of {} sessions", all.len()));
    page.blank();
    for listed in all {
        one_session(&mut page, &listed.session);
        if !listed.devices.is_empty() {
            page.line("    Devices:");
        }
        for device in &listed.devices {
            let disk = listed.disks.iter().find(|disk| disk.lun == device.lun);
            one_device(&mut page, device, disk);
        }
    }
    Answer::new(page, values(all, session_json))
}

fn one_session(page: &mut Page, session: &Session) {
    let session_id = session.id.unwrap_or_default();
    page.line(format!(
        "Session Id             : {}",
        id(session_id.adapter_unique, session_id.adapter_specific)
    ));
    let name = shown(&session.initiator_node_name);
    page.line(format!("Initiator Node Name    : {name}"));
    // What Windows prints for it.
    page.line("Target Node Name       : (null)");
    let name = shown(&session.target_name);
    page.line(format!("Target Name            : {name}"));
    page.line(format!("ISID                   : {}", bytes(&session.isid)));
    let tsid = low_bytes(session.tsih);
    page.line(format!("TSID                   : {}", bytes(&tsid)));
    let connections = &session.connections;
    page.line(format!("Number Connections     : {}", connections.len()));
    if !connections.is_empty() {
        page.blank();
        page.line("    Connections:");
    }
    for connection in connections {
        one_connection(page, connection);
    }
    page.blank();
}

fn one_connection(page: &mut Page, connection: &Connection) {
    let connection_id = connection.id.unwrap_or_default();
    page.line(format!(
        "        Connection Id     : {}",
        id(connection_id.adapter_unique, connection_id.adapter_specific)
    ));
    let (local, remote) = (slashed(&connection.local), slashed(&connection.remote));
    page.line(format!("        Initiator Portal  : {local}"));
    page.line(format!("        Target Portal     : {remote}"));
    let cid = low_bytes(connection.cid);
    page.line(format!("        CID               : {}", bytes(&cid)));
}

fn one_device(page: &mut Page, device: &Device, disk: Option<&Disk>) {
    let kind = Kind::of(device.device_type);
    let number = device.storage_device_number.unwrap_or_default();
    // Not ready yet is the number of which all bits are set.
    let device_number = device
        .storage_device_number
        .map_or(-1, |number| number.device_number.cast_signed());
    let address = device.scsi_address.unwrap_or_default();
    let (port, bus, target, lun) = (
        address.port_number,
        address.path_id,
        address.target_id,
        address.lun,
    );
    let lines = [
        ("Device Type            ", kind.name.to_owned()),
        ("Device Number          ", device_number.to_string()),
        ("Storage Device Type    ", number.device_type.to_string()),
        (
            "Partition Number       ",
            number.partition_number.cast_signed().to_string(),
        ),
        (
            "Friendly Name          ",
            disk.map(friendly_name).unwrap_or_default(),
        ),
        ("Device Description     ", kind.description.to_owned()),
        (
            "Reported Mappings      ",
            format!("Port {port}, Bus {bus}, Target Id {target}, LUN {lun}"),
        ),
        (
            "Location               ",
            format!("Bus Number {bus}, Target Id {target}, LUN {lun}"),
        ),
        ("Initiator Name         ", device.initiator_instance.clone()),
        ("Target Name            ", device.target_name.clone()),
        ("Device Interface Name  ", device.interface_name.clone()),
        ("Legacy Device Name     ", device.legacy_name.clone()),
        ("Device Instance        ", "0x0".to_owned()),
    ];
    for (label, value) in lines {
        page.line(format!("        {label}: {}", shown(&value)));
    }
    let mounts = disk.map(mounts_on).unwrap_or_default();
    if !mounts.is_empty() {
        // The blank before the line end is what Windows prints.
        page.line("        Volume Path Names      : ");
    }
    for mount in mounts {
        page.line(format!("                                 {}", shown(mount)));
    }
    page.blank();
}

/// A kind of device as it is named.
struct Kind {
    name: &'static str,
    description: &'static str,
}

impl Kind {
    /// The kind of a peripheral device type (SPC-4 section 6.6.2).
    fn of(device_type: u32) -> Self {
        let (name, description) = match device_type {
            0x00 | 0x07 | 0x0e => ("Disk", "Disk drive"),
            0x01 => ("Tape", "Tape drive"),
            0x04 => ("Write Once Disk", "Write once disk drive"),
            0x05 => ("CDRom", "CD-ROM drive"),
            0x08 => ("Medium Changer", "Medium changer"),
            _ => ("Unknown", "Unknown device"),
        };
        Self { name, description }
    }
}

fn friendly_name(disk: &Disk) -> String {
    format!("{} {}", disk.vendor.trim(), disk.product.trim())
        .trim()
        .to_owned()
}

/// Where a disk is mounted.
fn mounts_on(disk: &Disk) -> Vec<&str> {
    let mounts = disk
        .holders
        .iter()
        .filter_map(|holder| holder.strip_prefix(MOUNTED_AT));
    mounts.collect()
}

/// `address/port`.
fn slashed(portal: &Option<Portal>) -> String {
    let portal = portal.clone().unwrap_or_default();
    format!("{}/{}", shown(&portal.address), portal.port)
}

/// The two bytes of a handle in the order in which Windows keeps them.
fn low_bytes(number: u32) -> [u8; 2] {
    let [low, high, ..] = number.to_le_bytes();
    [low, high]
}

fn bytes(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

fn session_json(listed: &Listed) -> Value {
    let session = &listed.session;
    json!({
        "session": session.id.map(|id| id.to_string()),
        "initiator_node_name": session.initiator_node_name,
        "target": session.target_name,
        "isid": bytes(&session.isid).replace(' ', ""),
        "tsih": session.tsih,
        "connections": values(&session.connections, |connection| json!({
            "connection": connection.id.map(|id| id.to_string()),
            "local": connection.local.as_ref().map(ToString::to_string),
            "remote": connection.remote.as_ref().map(ToString::to_string),
            "cid": connection.cid,
        })),
        "devices": values(&listed.devices, |device| {
            let disk = listed.disks.iter().find(|disk| disk.lun == device.lun);
            device_json(device, disk)
        }),
    })
}

fn device_json(device: &Device, disk: Option<&Disk>) -> Value {
    json!({
        "type": Kind::of(device.device_type).name,
        "number": device.storage_device_number.map(|number| number.device_number),
        "lun": crate::output::ShownLun::from(device.lun),
        "interface_name": device.interface_name,
        "device": device.legacy_name,
        "volumes": disk.map(mounts_on).unwrap_or_default(),
    })
}

/// `ReportTargetMappings`.
pub(in super::super) fn mappings(all: &[ActiveMapping]) -> Answer {
    let mut page = Page::default();
    if all.is_empty() {
        page.line("No mappings");
    } else {
        page.line(format!("Total of {} mappings returned", all.len()));
    }
    for one in all {
        let session = one.session_id.unwrap_or_default();
        page.mapping(&Mapping {
            session: id(session.adapter_unique, session.adapter_specific),
            target: &one.target_name,
            initiator: &one.initiator_instance,
            device: &one.os_device_name,
            bus: one.os_bus_number.into(),
            target_id: one.os_target_number.into(),
            luns: one.luns.iter().map(|lun| (lun.lun, lun.os_lun)).collect(),
        });
    }
    Answer::new(page, values(all, mapping_json))
}

fn mapping_json(mapping: &ActiveMapping) -> Value {
    json!({
        "session": mapping.session_id.map(|id| id.to_string()),
        "target": mapping.target_name,
        "initiator": mapping.initiator_instance,
        "device": mapping.os_device_name,
        "bus": mapping.os_bus_number,
        "target_id": mapping.os_target_number,
        "luns": values(&mapping.luns, |lun| json!({
            "lun": crate::output::ShownLun::from(lun.lun),
            "os_lun": lun.os_lun,
        })),
    })
}
