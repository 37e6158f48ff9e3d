//! Bound volumes: what must be usable before the services that live on it may start.
use serde::{Deserialize, Serialize};

use crate::record::Record;
use crate::record::sealed::Stored;

/// Kind of a bound volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoundKind {
    /// A mounted filesystem.
    Volume,
    /// A device.
    Device,
}

/// Who mounts a bound volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountedBy {
    /// Nobody: it is a device.
    Nobody,
    /// The system: fstab or a mount unit owns the path.
    System,
    /// Hawser.
    Hawser,
}

/// Kind of designator of a disk, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityType {
    /// NAA (VPD page 83h).
    Naa,
    /// EUI-64 (VPD page 83h).
    Eui64,
    /// T10 vendor id (VPD page 83h).
    T10,
    /// Unit serial number (VPD page 80h).
    Serial,
}

/// What a disk is, wherever it appears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskIdentity {
    /// Kind of designator.
    pub kind: IdentityType,
    /// The designator as text: hexadecimal digits for NAA and EUI-64, the encoded name for the others.
    pub value: Vec<u8>,
}

/// A disk under a bound volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundDisk {
    /// iSCSI name of its target when it was bound.
    pub target_name: String,
    /// Its LUN then: the eight LUN bytes in wire order as a big-endian number.
    pub lun: u64,
    /// Who it must be.
    pub identity: DiskIdentity,
}

/// A bound volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundVolume {
    /// Path as typed; its key.
    pub path: String,
    /// The path with symbolic links resolved when it was bound.
    pub resolved_path: String,
    /// Kind.
    pub kind: BoundKind,
    /// Every disk under it.
    pub disks: Vec<BoundDisk>,
    /// Filesystem type; `None`: none was found.
    pub fs_type: Option<String>,
    /// Filesystem UUID; `None`: it has none.
    pub fs_uuid: Option<String>,
    /// Partition UUID; `None`: the whole disk.
    pub partition_uuid: Option<String>,
    /// Partition number; `None`: the whole disk.
    pub partition_number: Option<u32>,
    /// Mount options, as for mount(8).
    pub mount_options: String,
    /// Who mounts it.
    pub mounted_by: MountedBy,
    /// When it was bound, in milliseconds since 1970.
    pub bound_at_ms: i64,
}

impl Stored for BoundVolume {}

impl Record for BoundVolume {
    /// The path as typed.
    type Key = String;

    const KIND: &'static str = "bound-volume";

    fn key(&self) -> String {
        self.path.clone()
    }
}
