//! What a path that shall be bound is: which filesystem or device, and on which of our disks.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use hawser_api::{Failure, Status};

use super::mountinfo::{Mount, MountTable};
use super::owner::{self, MountOwner, MountSpec, TagKind};
use super::sysfs::Sysfs;
use super::tools::{Seen, SeenKind, Tools};
use crate::device_number::DeviceNumber;

/// Devices on one disk that are asked for their UUID: partitions and what is built on them.
const MAX_CANDIDATES: usize = 512;

/// The parts of the machine that are files: tables, units, `/sys`.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    root: PathBuf,
    /// Block devices.
    pub(crate) sysfs: Sysfs,
}

impl Host {
    /// The machine below `root`, which is `/` outside tests.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            sysfs: Sysfs::new(root.join("sys")),
        }
    }

    /// The mounts of our namespace.
    pub(crate) fn mounts(&self) -> Result<MountTable, Failure> {
        MountTable::read(&self.root.join("proc/self/mountinfo"))
            .map_err(|e| unreadable("the mount table", &e))
    }

    /// Whether a service manager runs that mounts what fstab and units say (`sd_booted(3)`).
    pub(crate) fn has_systemd(&self) -> bool {
        self.root.join("run/systemd/system").is_dir()
    }

    /// The disks under a mounted filesystem; none for one that has no disk.
    pub(crate) fn disks_under_mount(&self, mount: &Mount) -> io::Result<BTreeSet<DeviceNumber>> {
        let mut devices = vec![mount.device];
        if mount.device.major == 0 {
            devices = self.btrfs_members(mount)?;
        }
        let mut disks = BTreeSet::new();
        for device in devices {
            disks.extend(self.sysfs.stack_under(device)?.disks);
        }
        Ok(disks)
    }

    /// The devices of a mounted btrfs, found by the one that was named as its source.
    fn btrfs_members(&self, mount: &Mount) -> io::Result<Vec<DeviceNumber>> {
        // A link in /dev may have been named; to follow it is no I/O on a disk.
        let source = if mount.fs_type == "btrfs" && mount.source.starts_with("/dev") {
            std::fs::canonicalize(&mount.source)?
        } else {
            return Ok(Vec::new());
        };
        let name = source.file_name().unwrap_or_default().to_string_lossy();
        let Some(device) = self.sysfs.by_name(&name) else {
            return Ok(Vec::new());
        };
        Ok(self
            .sysfs
            .btrfs_of(device)?
            .map_or_else(Vec::new, |(_, members)| members))
    }

    /// Who else mounts `path`.
    pub(crate) fn owner_of(&self, path: &Path) -> Result<Option<MountOwner>, Failure> {
        owner::owner_of(&self.root, path).map_err(|e| unreadable("fstab and the mount units", &e))
    }
}

pub(crate) fn unreadable(what: &str, error: &io::Error) -> Failure {
    Failure::new(
        Status::NON_SPECIFIC_ERROR,
        format!("cannot read {what}: {error}"),
    )
}

/// A disk of ours, as far as binding is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnDisk {
    /// iSCSI name of its target.
    pub(crate) target: String,
    /// Its LUN bytes as a big-endian number.
    pub(crate) lun: u64,
    /// Text form of its identity, if it has one.
    pub(crate) identity: Option<String>,
    /// Its block device, if it is shown as one.
    pub(crate) block: Option<DeviceNumber>,
    /// Paths by which it is reached: node, FUSE file, NBD socket, links.
    pub(crate) paths: Vec<PathBuf>,
    /// Its login is persistent.
    pub(crate) persistent: bool,
}

/// What shall be bound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BindPath<'a> {
    /// The path as typed.
    pub(crate) path: &'a Path,
    /// `st_dev` and `st_ino` that the client sees there.
    pub(crate) seen: Option<(u64, u64)>,
    /// Device to mount there.
    pub(crate) device: Option<&'a Path>,
}

/// Kind of what is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A filesystem at a mount point.
    Volume,
    /// A device.
    Device,
}

/// What a path is.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    /// The path without symbolic links.
    pub(crate) real_path: PathBuf,
    /// Kind.
    pub(crate) kind: Kind,
    /// The device that is meant or that the filesystem lies on; for btrfs one of them; `None` for a
    /// disk that is no block device here.
    pub(crate) device: Option<DeviceNumber>,
    /// The filesystem lies on one disk or one partition, with nothing between.
    pub(crate) direct: bool,
    /// All disks under it.
    pub(crate) disks: Vec<OwnDisk>,
    /// The present mount.
    pub(crate) mount: Option<Mount>,
    /// Who else mounts it.
    pub(crate) owner: Option<MountOwner>,
}

/// Finds out what a path is, in the order: mount point; path that the system mounts; device; link of
/// ours; with `device`, a directory.
pub(crate) async fn resolve<T: Tools>(
    host: &Host,
    tools: &T,
    disks: &[OwnDisk],
    wanted: BindPath<'_>,
) -> Result<Resolved, Failure> {
    if !wanted.path.is_absolute() {
        let message = format!("{} is not an absolute path", wanted.path.display());
        return Err(Failure::new(Status::ERROR_INVALID_PARAMETER, message));
    }
    let seen = tools.look(wanted.path).await?;
    same_view(wanted, seen.as_ref())?;
    let resolver = Resolver {
        host,
        tools,
        disks,
        mounts: host.mounts()?,
    };
    let found = resolver.find(wanted, seen.as_ref()).await?;
    if let Some(device) = wanted.device {
        resolver.same_device(&found, device).await?;
    }
    Ok(found)
}

/// The device that the system mounts, found on our own disks only: a search among all devices of the
/// machine would wait for each that hangs.
pub(crate) async fn device_of_owner<T: Tools>(
    host: &Host,
    tools: &T,
    disks: &[OwnDisk],
    owner: &MountOwner,
) -> Result<Option<DeviceNumber>, Failure> {
    let resolver = Resolver {
        host,
        tools,
        disks,
        mounts: host.mounts()?,
    };
    let devices = resolver.devices_of_owner(owner).await?;
    Ok(devices.first().copied())
}

/// Refuses when client and daemon see different things at the path: they live in different mount
/// namespaces, or it changed between.
fn same_view(wanted: BindPath<'_>, ours: Option<&Seen>) -> Result<(), Failure> {
    let path = wanted.path.display();
    let why = match (wanted.seen, ours) {
        (Some((dev, ino)), Some(seen)) if (dev, ino) == (seen.st_dev, seen.st_ino) => return Ok(()),
        (None, _) => return Ok(()),
        (Some(theirs), Some(seen)) => format!(
            "you see device {} inode {}, the daemon sees device {} inode {}",
            theirs.0, theirs.1, seen.st_dev, seen.st_ino
        ),
        (Some(_), None) => "the daemon sees nothing there".to_owned(),
    };
    let message = format!("{path} is not the same thing for you and for the daemon: {why}");
    Err(
        Failure::new(Status::DEVICE_NOT_ISCSI_OR_PERSISTENT, message)
            .with_advice("run the command in the daemon's mount namespace"),
    )
}

struct Resolver<'a, T> {
    host: &'a Host,
    tools: &'a T,
    disks: &'a [OwnDisk],
    mounts: MountTable,
}

impl<T: Tools> Resolver<'_, T> {
    async fn find(&self, wanted: BindPath<'_>, seen: Option<&Seen>) -> Result<Resolved, Failure> {
        let real = seen.map_or(wanted.path, |seen| seen.real_path.as_path());
        if let Some(mount) = self.mounts.mounted_at(real) {
            return self.by_mount(real, mount).await;
        }
        if let Some(owner) = self.host.owner_of(real)? {
            return self.by_owner(real, owner).await;
        }
        let Some(seen) = seen else {
            let message = format!("there is no {}", wanted.path.display());
            return Err(Failure::new(Status::DEVICE_NOT_FOUND, message));
        };
        if let SeenKind::Block(device) = seen.kind {
            return self.by_device(real, device);
        }
        let is_own = |disk: &&OwnDisk| {
            disk.paths
                .iter()
                .any(|path| path == real || path == wanted.path)
        };
        if let Some(disk) = self.disks.iter().find(is_own) {
            let disks = self.bindable(vec![disk.clone()])?;
            return Ok(Resolved {
                disks,
                ..unmounted(real, Kind::Device, disk.block)
            });
        }
        match (wanted.device, seen.kind) {
            (Some(device), SeenKind::Directory) => self.by_request(real, device).await,
            _ => Err(self.nothing_of_ours(real, seen.kind)),
        }
    }

    /// A mount point: the filesystem that is topmost there.
    async fn by_mount(&self, real: &Path, mount: &Mount) -> Result<Resolved, Failure> {
        let owner = self.host.owner_of(real)?;
        if !mount.is_whole() {
            let why = format!(
                "it is a bind mount of {} of that filesystem",
                mount.root.display()
            );
            return Err(refused(
                real,
                &why,
                "bind the mount point of the filesystem itself",
            ));
        }
        if let Some(older) = self.mounts.older_twin(mount) {
            let other = older.mount_point.display();
            let why = format!("the same filesystem is mounted at {other} already (a bind mount)");
            return Err(refused(real, &why, "bind that mount point"));
        }
        let devices = self.devices_of_mount(real, mount).await?;
        let (disks, direct) = self.disks_under(real, &devices)?;
        Ok(Resolved {
            direct,
            disks,
            mount: Some(mount.clone()),
            owner,
            ..unmounted(real, Kind::Volume, devices.first().copied())
        })
    }

    /// The block devices that a mounted filesystem lies on: one, but for btrfs all members.
    async fn devices_of_mount(
        &self,
        real: &Path,
        mount: &Mount,
    ) -> Result<Vec<DeviceNumber>, Failure> {
        if mount.device.major != 0 {
            return Ok(vec![mount.device]);
        }
        if mount.fs_type != "btrfs" {
            let why = format!(
                "a filesystem of type {} is mounted there, which has no disk",
                mount.fs_type
            );
            return Err(refused(real, &why, ""));
        }
        let looked = self.tools.look(&mount.source).await?;
        let Some(SeenKind::Block(source)) = looked.map(|seen| seen.kind) else {
            let why = format!("its device {} cannot be found", mount.source.display());
            return Err(refused(real, &why, ""));
        };
        let found = self
            .host
            .sysfs
            .btrfs_of(source)
            .map_err(|e| unreadable("/sys/fs/btrfs", &e))?;
        found.map(|(_, members)| members).ok_or_else(|| {
            refused(
                real,
                "the kernel does not tell on which disks that btrfs lies",
                "",
            )
        })
    }

    /// The devices that the system mounts; several only for the members of a btrfs.
    async fn devices_of_owner(&self, owner: &MountOwner) -> Result<Vec<DeviceNumber>, Failure> {
        match &owner.spec {
            MountSpec::Path(path) => Ok(self.device_at(path).await?.into_iter().collect()),
            MountSpec::Tag(kind, value) => self.tagged(*kind, value).await,
        }
    }

    /// A path that the system will mount from one of our disks.
    async fn by_owner(&self, real: &Path, owner: MountOwner) -> Result<Resolved, Failure> {
        let devices = self.devices_of_owner(&owner).await?;
        if devices.is_empty() {
            let file = owner.file.display();
            let why = format!("{file} mounts it from something that is no disk of Hawser now");
            return Err(refused(real, &why, "log in to its target first"));
        }
        let (disks, direct) = self.disks_under(real, &devices)?;
        let owner = Some(owner);
        let device = devices.first().copied();
        Ok(Resolved {
            direct,
            disks,
            owner,
            ..unmounted(real, Kind::Volume, device)
        })
    }

    /// A device node.
    fn by_device(&self, real: &Path, device: DeviceNumber) -> Result<Resolved, Failure> {
        let (disks, direct) = self.disks_under(real, &[device])?;
        Ok(Resolved {
            direct,
            disks,
            ..unmounted(real, Kind::Device, Some(device))
        })
    }

    /// A directory on which a named device shall be mounted.
    async fn by_request(&self, real: &Path, device: &Path) -> Result<Resolved, Failure> {
        let Some(number) = self.device_at(device).await? else {
            let message = format!("{} is no block device", device.display());
            let own = self
                .disks
                .iter()
                .any(|disk| disk.paths.iter().any(|path| path == device));
            let advice = if own {
                "a disk must be exported as a loop device to be mounted"
            } else {
                ""
            };
            return Err(Failure::new(Status::DEVICE_NOT_FOUND, message).with_advice(advice));
        };
        let resolved = self.by_device(real, number)?;
        Ok(Resolved {
            kind: Kind::Volume,
            ..resolved
        })
    }

    /// Whether a device that was named is one that the path lies on.
    async fn same_device(&self, found: &Resolved, device: &Path) -> Result<(), Failure> {
        let named = self.device_at(device).await?;
        if named.is_some() && named == found.device {
            return Ok(());
        }
        let message = format!(
            "{} is not on {}, which --device names",
            found.real_path.display(),
            device.display()
        );
        Err(Failure::new(Status::ERROR_INVALID_PARAMETER, message))
    }

    /// The block device at a path. Our own paths are known without a look.
    async fn device_at(&self, path: &Path) -> Result<Option<DeviceNumber>, Failure> {
        if let Some(disk) = self
            .disks
            .iter()
            .find(|disk| disk.paths.iter().any(|own| own == path))
        {
            return Ok(disk.block);
        }
        Ok(match self.tools.look(path).await? {
            Some(Seen {
                kind: SeenKind::Block(device),
                ..
            }) => Some(device),
            _ => None,
        })
    }

    /// The devices on our disks that carry a tag; several only for the members of a btrfs.
    async fn tagged(&self, kind: TagKind, value: &str) -> Result<Vec<DeviceNumber>, Failure> {
        let mut found = Vec::new();
        for disk in self.disks.iter().filter_map(|disk| disk.block) {
            for device in self.candidates(disk)? {
                let Some(name) = self.host.sysfs.name(device) else {
                    continue;
                };
                let probe = match self.tools.probe(&Path::new("/dev").join(name)).await {
                    Ok(probe) => probe,
                    Err(failure) => {
                        tracing::debug!(%device, %failure, "cannot probe");
                        continue;
                    }
                };
                let has = match kind {
                    TagKind::Uuid => &probe.fs_uuid,
                    TagKind::Label => &probe.fs_label,
                    TagKind::PartUuid => &probe.partition_uuid,
                    TagKind::PartLabel => &probe.partition_label,
                };
                if has.eq_ignore_ascii_case(&udev_encoded(value)) && !found.contains(&device) {
                    found.push(device);
                }
            }
        }
        Ok(found)
    }

    /// A disk, its partitions, and what is built on them.
    fn candidates(&self, disk: DeviceNumber) -> Result<Vec<DeviceNumber>, Failure> {
        let sysfs = &self.host.sysfs;
        let unreadable = |error: io::Error| unreadable("/sys", &error);
        let mut all = vec![disk];
        let mut next = 0;
        while let Some(&device) = all.get(next) {
            next += 1;
            let partitions = sysfs.partitions(device).map_err(unreadable)?;
            let holders = sysfs.holders(device).map_err(unreadable)?;
            let built = holders.iter().filter_map(|name| sysfs.by_name(name));
            for device in partitions
                .iter()
                .map(|partition| partition.device)
                .chain(built)
            {
                if !all.contains(&device) && all.len() < MAX_CANDIDATES {
                    all.push(device);
                }
            }
        }
        Ok(all)
    }

    /// The disks under some devices: every one must be ours and come back by itself.
    fn disks_under(
        &self,
        real: &Path,
        devices: &[DeviceNumber],
    ) -> Result<(Vec<OwnDisk>, bool), Failure> {
        let mut numbers = BTreeSet::new();
        let mut direct = devices.len() == 1;
        for device in devices {
            let stack = self.host.sysfs.stack_under(*device).map_err(|error| {
                refused(
                    real,
                    &format!("cannot tell on which disks {device} lies: {error}"),
                    "",
                )
            })?;
            direct &= !stack.stacked;
            numbers.extend(stack.disks);
        }
        let own: BTreeMap<DeviceNumber, &OwnDisk> = self
            .disks
            .iter()
            .filter_map(|disk| Some((disk.block?, disk)))
            .collect();
        let mut found = Vec::new();
        for number in numbers {
            let Some(disk) = own.get(&number) else {
                let name = self
                    .host
                    .sysfs
                    .name(number)
                    .unwrap_or_else(|| number.to_string());
                let why = format!("it lies on {name} ({number}), which is no disk of Hawser");
                return Err(refused(
                    real,
                    &why,
                    "`hawser disk list` shows the disks that are",
                ));
            };
            found.push((*disk).clone());
        }
        Ok((self.bindable(found)?, direct))
    }

    /// The disks, if each of them can be known and brought back after a restart.
    fn bindable(&self, disks: Vec<OwnDisk>) -> Result<Vec<OwnDisk>, Failure> {
        for disk in &disks {
            let named = format!("LUN {} of {}", lun_text(disk.lun), disk.target);
            let (why, advice) = if !disk.persistent {
                let advice = format!("run `hawser login {} --persist`", disk.target);
                ("its login is not persistent", advice)
            } else if disk.identity.is_none() {
                (
                    "it has no identity (VPD page 83h or serial number) to be known by",
                    String::new(),
                )
            } else {
                continue;
            };
            let failure = Failure::new(
                Status::DEVICE_NOT_ISCSI_OR_PERSISTENT,
                format!("{named}: {why}"),
            );
            return Err(failure.with_target(&disk.target).with_advice(advice));
        }
        Ok(disks)
    }

    /// Why a path that exists cannot be bound.
    fn nothing_of_ours(&self, real: &Path, kind: SeenKind) -> Failure {
        let why = match (kind, self.mounts.visible_at(real)) {
            (SeenKind::Directory, Some(mount)) => {
                format!(
                    "it is a directory in the filesystem mounted at {}",
                    mount.mount_point.display()
                )
            }
            _ => "it is neither a mount point nor a device nor a link of Hawser".to_owned(),
        };
        let advice =
            "bind a mount point or a device, or name the device to mount there with --device";
        refused(real, &why, advice)
    }
}

/// A result with nothing known but the device.
fn unmounted(real: &Path, kind: Kind, device: Option<DeviceNumber>) -> Resolved {
    let real_path = real.to_owned();
    Resolved {
        real_path,
        kind,
        device,
        direct: true,
        disks: Vec::new(),
        mount: None,
        owner: None,
    }
}

fn refused(path: &Path, why: &str, advice: &str) -> Failure {
    let message = format!("{} cannot be bound: {why}", path.display());
    Failure::new(Status::DEVICE_NOT_ISCSI_OR_PERSISTENT, message).with_advice(advice)
}

/// The number of a LUN as people write it, else all its bytes.
pub(crate) fn lun_text(lun: u64) -> String {
    hawser_scsi::Lun(lun.to_be_bytes()).to_string()
}

/// A label as udev and `blkid -o udev` encode it: unsafe ASCII as `\xNN`.
fn udev_encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for character in value.chars() {
        let plain = character.is_ascii_alphanumeric() || !character.is_ascii();
        if plain || "#+-.:=@_".contains(character) {
            encoded.push(character);
        } else {
            encoded.push_str(&format!("\\x{:02x}", u32::from(character)));
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
