//! What block devices are made of, as `/sys` tells: partitions, stacked devices (LVM, dm-crypt, md),
//! members of a btrfs, and who holds a device.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::device_number::DeviceNumber;

/// Devices under one volume; a stack of LVM on md on partitions of a hundred disks stays far below.
const MAX_DEVICES: usize = 4096;
/// Longest attribute that is read, in bytes.
const MAX_ATTRIBUTE_BYTES: usize = 4096;

/// A tree like `/sys`.
#[derive(Debug, Clone)]
pub(crate) struct Sysfs {
    root: PathBuf,
}

/// A partition of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partition {
    /// Its number in the partition table.
    pub(crate) number: u32,
    /// Its device.
    pub(crate) device: DeviceNumber,
    /// Its name, such as `loop0p1`.
    pub(crate) name: String,
}

/// What lies under a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Stack {
    /// The disks at the bottom, each once.
    pub(crate) disks: BTreeSet<DeviceNumber>,
    /// There is something other than a partition between: LVM, dm-crypt, md ...
    pub(crate) stacked: bool,
}

impl Sysfs {
    /// The tree at `root`, `/sys` outside tests.
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory of a block device; `None` if the kernel has no such device.
    fn directory(&self, device: DeviceNumber) -> io::Result<Option<PathBuf>> {
        let link = self.root.join("dev/block").join(device.to_string());
        match std::fs::canonicalize(link) {
            Ok(directory) => Ok(Some(directory)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The kernel's name of a device, such as `loop0p1`.
    pub(crate) fn name(&self, device: DeviceNumber) -> Option<String> {
        let directory = self.directory(device).ok()??;
        Some(directory.file_name()?.to_string_lossy().into_owned())
    }

    /// The disk that a partition is part of and its number; `None` for a whole device.
    pub(crate) fn partition_of(
        &self,
        device: DeviceNumber,
    ) -> io::Result<Option<(DeviceNumber, u32)>> {
        let Some(directory) = self.directory(device)? else {
            return Ok(None);
        };
        let Some(number) = attribute(&directory.join("partition"))? else {
            return Ok(None);
        };
        let parent = directory.parent().unwrap_or(&directory);
        let disk = device_of(parent)?;
        let number = number
            .parse()
            .map_err(|_| malformed(&directory, "partition"))?;
        Ok(Some((disk, number)))
    }

    /// Follows a device down to the disks it is made of.
    pub(crate) fn stack_under(&self, device: DeviceNumber) -> io::Result<Stack> {
        let mut stack = Stack::default();
        let mut seen = BTreeSet::new();
        let mut open = vec![device];
        while let Some(device) = open.pop() {
            if !seen.insert(device) {
                continue;
            }
            if seen.len() > MAX_DEVICES {
                return Err(io::Error::other(format!(
                    "more than {MAX_DEVICES} devices lie under it"
                )));
            }
            let directory = self.directory(device)?.ok_or_else(|| gone(device))?;
            if let Some((disk, _)) = self.partition_of(device)? {
                open.push(disk);
                continue;
            }
            let slaves = devices_in(&directory.join("slaves"))?;
            if slaves.is_empty() {
                stack.disks.insert(device);
            } else {
                stack.stacked = true;
                open.extend(slaves);
            }
        }
        Ok(stack)
    }

    /// Names of the devices that are built on this disk or on one of its partitions.
    pub(crate) fn holders(&self, disk: DeviceNumber) -> io::Result<Vec<String>> {
        let Some(directory) = self.directory(disk)? else {
            return Ok(Vec::new());
        };
        let mut holders = names_in(&directory.join("holders"))?;
        for partition in self.partitions(disk)? {
            holders.extend(names_in(&directory.join(&partition.name).join("holders"))?);
        }
        Ok(holders)
    }

    /// The partitions of a disk, by number.
    pub(crate) fn partitions(&self, disk: DeviceNumber) -> io::Result<Vec<Partition>> {
        let Some(directory) = self.directory(disk)? else {
            return Ok(Vec::new());
        };
        let mut partitions = Vec::new();
        for name in names_in(&directory)? {
            let inner = directory.join(&name);
            let Some(number) = attribute(&inner.join("partition"))? else {
                continue;
            };
            let number = number.parse().map_err(|_| malformed(&inner, "partition"))?;
            partitions.push(Partition {
                number,
                device: device_of(&inner)?,
                name,
            });
        }
        partitions.sort_by_key(|partition| partition.number);
        Ok(partitions)
    }

    /// UUID and members of the mounted btrfs that `device` belongs to.
    pub(crate) fn btrfs_of(
        &self,
        device: DeviceNumber,
    ) -> io::Result<Option<(String, Vec<DeviceNumber>)>> {
        for uuid in names_in(&self.root.join("fs/btrfs"))? {
            let members = devices_in(&self.root.join("fs/btrfs").join(&uuid).join("devices"))?;
            if members.contains(&device) {
                return Ok(Some((uuid, members)));
            }
        }
        Ok(None)
    }

    /// The device with the kernel's name `name`.
    pub(crate) fn by_name(&self, name: &str) -> Option<DeviceNumber> {
        device_of(&self.root.join("class/block").join(name)).ok()
    }
}

/// A short attribute file without its newline; `None` if there is no such file.
fn attribute(file: &Path) -> io::Result<Option<String>> {
    match std::fs::read(file) {
        Ok(bytes) if bytes.len() <= MAX_ATTRIBUTE_BYTES => {
            Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
        }
        Ok(_) => Err(io::Error::other(format!("{} is too long", file.display()))),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The number in the attribute `dev` of a device's directory.
fn device_of(directory: &Path) -> io::Result<DeviceNumber> {
    let text = attribute(&directory.join("dev"))?.ok_or_else(|| malformed(directory, "dev"))?;
    text.parse().map_err(|_| malformed(directory, "dev"))
}

/// Names in a directory, sorted; none if it is not there.
fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries.take(MAX_DEVICES) {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The devices whose directories are linked in `directory`.
fn devices_in(directory: &Path) -> io::Result<Vec<DeviceNumber>> {
    names_in(directory)?
        .iter()
        .map(|name| device_of(&directory.join(name)))
        .collect()
}

fn malformed(directory: &Path, attribute: &str) -> io::Error {
    io::Error::other(format!(
        "{} has no usable attribute {attribute}",
        directory.display()
    ))
}

fn gone(device: DeviceNumber) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("the kernel has no block device {device}"),
    )
}
