//! Paths on a made-up machine: its `/sys`, mount table and fstab are files below a directory.

use std::os::unix::fs::symlink;

use super::*;
use crate::volumes::tools::Probe;

const TARGET: &str = "iqn.2026-01.example:a";

/// A machine made of files, and what its tools answer.
struct Machine {
    root: tempfile::TempDir,
    mounts: String,
    looks: BTreeMap<PathBuf, Seen>,
    probes: BTreeMap<PathBuf, Probe>,
    disks: Vec<OwnDisk>,
}

fn number(major: u32, minor: u32) -> DeviceNumber {
    DeviceNumber::new(major, minor)
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for directory in [
            "sys/dev/block",
            "sys/class/block",
            "sys/devices",
            "proc/self",
            "etc",
        ] {
            std::fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let mounts = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n".to_owned();
        Self {
            root,
            mounts,
            looks: BTreeMap::new(),
            probes: BTreeMap::new(),
            disks: Vec::new(),
        }
    }

    fn sys(&self, path: &str) -> PathBuf {
        self.root.path().join("sys").join(path)
    }

    /// A block device with its directory at `place` below `/sys/devices`.
    fn block(&mut self, place: &str, device: DeviceNumber) -> &mut Self {
        let directory = self.sys("devices").join(place);
        std::fs::create_dir_all(directory.join("slaves")).unwrap();
        std::fs::create_dir_all(directory.join("holders")).unwrap();
        std::fs::write(directory.join("dev"), format!("{device}\n")).unwrap();
        let name = directory.file_name().unwrap();
        symlink(&directory, self.sys("dev/block").join(device.to_string())).unwrap();
        symlink(&directory, self.sys("class/block").join(name)).unwrap();
        let node = Path::new("/dev").join(name);
        self.looks
            .insert(node.clone(), seen(&node, SeenKind::Block(device)));
        self
    }

    fn partition(&mut self, disk: &str, n: u32, device: DeviceNumber) -> &mut Self {
        self.block(&format!("{disk}/{disk}p{n}"), device);
        std::fs::write(
            self.sys(&format!("devices/{disk}/{disk}p{n}/partition")),
            format!("{n}\n"),
        )
        .unwrap();
        self
    }

    /// `upper` is built on `lower`, both named as below `/sys/class/block`.
    fn stack(&mut self, upper: &str, lower: &str) -> &mut Self {
        let directory = |name: &str| self.sys("class/block").join(name).canonicalize().unwrap();
        symlink(
            directory(lower),
            directory(upper).join("slaves").join(lower),
        )
        .unwrap();
        symlink(
            directory(upper),
            directory(lower).join("holders").join(upper),
        )
        .unwrap();
        self
    }

    /// A disk of ours.
    fn own(&mut self, name: &str, device: DeviceNumber, lun: u64) -> &mut Self {
        self.block(name, device);
        self.disks.push(OwnDisk {
            target: TARGET.to_owned(),
            lun: lun << 48,
            identity: Some(format!("naa.600140500000000{lun}")),
            block: Some(device),
            paths: vec![
                Path::new("/dev").join(name),
                PathBuf::from(format!("/run/hawser/disk/by-id/{lun}")),
            ],
            persistent: true,
        });
        self
    }

    fn mount(&mut self, id: u32, rest: &str) -> &mut Self {
        self.mounts.push_str(&format!("{id} 21 {rest}\n"));
        self
    }

    fn directory(&mut self, path: &str) -> &mut Self {
        self.looks
            .insert(path.into(), seen(Path::new(path), SeenKind::Directory));
        self
    }

    fn fstab(&mut self, text: &str) -> &mut Self {
        std::fs::write(self.root.path().join("etc/fstab"), text).unwrap();
        self
    }

    fn probe_says(&mut self, node: &str, fs_uuid: &str, partition_uuid: &str) -> &mut Self {
        let probe = Probe {
            fs_uuid: fs_uuid.into(),
            partition_uuid: partition_uuid.into(),
            fs_type: "ext4".into(),
            ..Probe::default()
        };
        self.probes.insert(node.into(), probe);
        self
    }

    async fn resolve(&self, path: &str) -> Result<Resolved, Failure> {
        self.resolve_with(path, None, None).await
    }

    async fn resolve_with(
        &self,
        path: &str,
        seen: Option<(u64, u64)>,
        device: Option<&str>,
    ) -> Result<Resolved, Failure> {
        std::fs::write(self.root.path().join("proc/self/mountinfo"), &self.mounts).unwrap();
        let wanted = BindPath {
            path: Path::new(path),
            seen,
            device: device.map(Path::new),
        };
        resolve(&Host::new(self.root.path()), self, &self.disks, wanted).await
    }

    async fn refusal(&self, path: &str) -> String {
        let failure = self.resolve(path).await.unwrap_err();
        assert_eq!(
            failure.status,
            Status::DEVICE_NOT_ISCSI_OR_PERSISTENT,
            "{failure}"
        );
        failure.to_string()
    }
}

fn seen(real: &Path, kind: SeenKind) -> Seen {
    Seen {
        real_path: real.to_owned(),
        st_dev: 5,
        st_ino: 77,
        kind,
    }
}

impl Tools for Machine {
    async fn look(&self, path: &Path) -> Result<Option<Seen>, Failure> {
        Ok(self.looks.get(path).cloned())
    }

    async fn probe(&self, device: &Path) -> Result<Probe, Failure> {
        Ok(self.probes.get(device).cloned().unwrap_or_default())
    }
}

fn luns(resolved: &Resolved) -> Vec<u64> {
    resolved.disks.iter().map(|disk| disk.lun >> 48).collect()
}

#[tokio::test]
async fn a_mount_point_on_a_whole_disk() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .directory("/srv/data")
        .mount(30, "7:0 / /srv/data rw - ext4 /dev/loop0 rw");
    let found = machine.resolve("/srv/data").await.unwrap();
    assert_eq!(
        (found.kind, found.direct, luns(&found)),
        (Kind::Volume, true, vec![1])
    );
    assert_eq!(found.device, Some(number(7, 0)));
    assert!(found.mount.is_some() && found.owner.is_none());
}

#[tokio::test]
async fn the_topmost_mount_decides() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .block("loop1", number(7, 1))
        .directory("/srv/data");
    machine.mount(30, "7:0 / /srv/data rw - ext4 /dev/loop0 rw");
    machine
        .mounts
        .push_str("31 30 7:1 / /srv/data rw - ext4 /dev/loop1 rw\n");
    assert!(machine.refusal("/srv/data").await.contains("loop1 (7:1)"));
}

#[tokio::test]
async fn a_partition_is_followed_to_its_disk() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .partition("loop0", 1, number(259, 0))
        .directory("/srv/data");
    machine.mount(30, "259:0 / /srv/data rw - xfs /dev/loop0p1 rw");
    let found = machine.resolve("/srv/data").await.unwrap();
    assert_eq!((found.direct, luns(&found)), (true, vec![1]));
    let node = machine.resolve("/dev/loop0p1").await.unwrap();
    assert_eq!(
        (node.kind, node.device),
        (Kind::Device, Some(number(259, 0)))
    );
}

#[tokio::test]
async fn dm_crypt_over_a_partition_is_followed() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .partition("loop0", 2, number(259, 1));
    machine
        .block("virtual/dm-0", number(253, 0))
        .stack("dm-0", "loop0p2")
        .directory("/srv/crypt");
    machine.mount(30, "253:0 / /srv/crypt rw - ext4 /dev/mapper/crypt rw");
    let found = machine.resolve("/srv/crypt").await.unwrap();
    assert_eq!(
        (found.direct, luns(&found)),
        (false, vec![1]),
        "something lies between"
    );
}

#[tokio::test]
async fn lvm_over_two_disks_needs_both_to_be_ours() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .block("sdb", number(8, 16))
        .block("dm-3", number(253, 3));
    machine
        .stack("dm-3", "loop0")
        .stack("dm-3", "sdb")
        .directory("/srv/lv");
    machine.mount(30, "253:3 / /srv/lv rw - ext4 /dev/mapper/vg-lv rw");
    assert!(machine.refusal("/srv/lv").await.contains("sdb (8:16)"));
    machine.disks.push(OwnDisk {
        block: Some(number(8, 16)),
        lun: 2 << 48,
        ..machine.disks[0].clone()
    });
    assert_eq!(luns(&machine.resolve("/srv/lv").await.unwrap()), [1, 2]);
    // A disk without a persistent login spoils the whole volume.
    machine.disks[1].persistent = false;
    assert!(
        machine
            .refusal("/srv/lv")
            .await
            .contains("hawser login iqn.2026-01.example:a --persist")
    );
}

#[tokio::test]
async fn md_is_followed_and_so_is_a_stack_of_stacks() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .own("loop1", number(7, 1), 2)
        .partition("loop1", 1, number(259, 4));
    machine
        .block("md0", number(9, 0))
        .stack("md0", "loop0")
        .stack("md0", "loop1p1");
    machine.block("dm-0", number(253, 0)).stack("dm-0", "md0");
    let found = machine.resolve("/dev/dm-0").await.unwrap();
    assert_eq!((found.direct, luns(&found)), (false, vec![1, 2]));
}

#[tokio::test]
async fn btrfs_counts_all_its_members() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .own("loop1", number(7, 1), 2)
        .directory("/srv/b");
    machine.mount(
        30,
        "0:44 /@ /srv/b rw - btrfs /dev/loop0 rw,subvolid=256,subvol=/@",
    );
    assert!(machine.refusal("/srv/b").await.contains("does not tell"));
    let members = machine.sys("fs/btrfs/0f-1/devices");
    std::fs::create_dir_all(&members).unwrap();
    symlink(machine.sys("devices/loop0"), members.join("loop0")).unwrap();
    symlink(machine.sys("devices/loop1"), members.join("loop1")).unwrap();
    let found = machine.resolve("/srv/b").await.unwrap();
    assert_eq!(
        (found.direct, luns(&found)),
        (false, vec![1, 2]),
        "two members are not direct"
    );
    machine.disks.pop();
    assert!(machine.refusal("/srv/b").await.contains("loop1 (7:1)"));
}

#[tokio::test]
async fn bind_mounts_subdirectories_and_diskless_filesystems_are_refused() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .directory("/srv/data")
        .directory("/srv/data/sub")
        .directory("/srv/bind");
    machine.directory("/srv/twin").directory("/tmp/x");
    machine.mount(30, "7:0 / /srv/data rw - ext4 /dev/loop0 rw");
    machine.mount(31, "7:0 /sub /srv/bind rw - ext4 /dev/loop0 rw");
    machine.mount(32, "7:0 / /srv/twin rw - ext4 /dev/loop0 rw");
    machine.mount(33, "0:50 / /tmp/x rw - tmpfs tmpfs rw");
    assert!(
        machine
            .refusal("/srv/bind")
            .await
            .contains("bind mount of /sub")
    );
    assert!(
        machine
            .refusal("/srv/twin")
            .await
            .contains("mounted at /srv/data")
    );
    assert!(
        machine
            .refusal("/srv/data/sub")
            .await
            .contains("filesystem mounted at /srv/data")
    );
    assert!(machine.refusal("/tmp/x").await.contains("tmpfs"));
}

#[tokio::test]
async fn names_with_blanks_and_letters_outside_ascii() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .own("loop1", number(7, 1), 2);
    machine.directory("/srv/my data").directory("/srv/Übung");
    machine.mount(30, "7:0 / /srv/my\\040data rw - ext4 /dev/loop0 rw");
    machine.mount(31, "7:1 / /srv/Übung rw - ext4 /dev/loop1 rw");
    assert_eq!(luns(&machine.resolve("/srv/my data").await.unwrap()), [1]);
    assert_eq!(luns(&machine.resolve("/srv/Übung").await.unwrap()), [2]);
}

#[tokio::test]
async fn a_path_of_fstab_is_found_before_it_is_mounted() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .partition("loop0", 1, number(259, 0))
        .own("loop1", number(7, 1), 2);
    machine
        .directory("/srv/u")
        .directory("/srv/p")
        .directory("/srv/foreign")
        .block("sdb", number(8, 16));
    machine
        .probe_says("/dev/loop0p1", "11-22", "aa-01")
        .probe_says("/dev/loop1", "33-44", "");
    machine.fstab(
        "UUID=11-22 /srv/u ext4 defaults 0 2\n\
         /run/hawser/disk/by-id/2 /srv/p ext4 ro 0 0\n\
         PARTUUID=AA-01 /srv/none ext4 ro 0 0\n\
         /dev/sdb /srv/foreign ext4 rw\n\
         UUID=77 /srv/absent ext4 rw\n",
    );
    let by_uuid = machine.resolve("/srv/u").await.unwrap();
    assert_eq!(
        (by_uuid.kind, by_uuid.device, luns(&by_uuid)),
        (Kind::Volume, Some(number(259, 0)), vec![1])
    );
    assert!(by_uuid.owner.is_some() && by_uuid.mount.is_none());
    assert_eq!(
        luns(&machine.resolve("/srv/p").await.unwrap()),
        [2],
        "by our link, without a look"
    );
    assert_eq!(
        luns(&machine.resolve("/srv/none").await.unwrap()),
        [1],
        "systemd makes the directory"
    );
    assert!(machine.refusal("/srv/foreign").await.contains("sdb"));
    assert!(
        machine
            .refusal("/srv/absent")
            .await
            .contains("no disk of Hawser now")
    );
}

#[tokio::test]
async fn an_fstab_uuid_is_found_on_lvm_over_our_disk() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .partition("loop0", 1, number(259, 0))
        .directory("/srv/lv");
    machine
        .block("dm-0", number(253, 0))
        .stack("dm-0", "loop0p1")
        .probe_says("/dev/dm-0", "5-5", "");
    machine.fstab("UUID=5-5 /srv/lv ext4 defaults\n");
    let found = machine.resolve("/srv/lv").await.unwrap();
    assert_eq!(
        (found.device, found.direct, luns(&found)),
        (Some(number(253, 0)), false, vec![1])
    );
}

#[tokio::test]
async fn devices_links_and_files_of_ours() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .block("sdb", number(8, 16));
    let link = "/dev/disk/by-id/wwn-1";
    machine.looks.insert(
        link.into(),
        seen(Path::new("/dev/loop0"), SeenKind::Block(number(7, 0))),
    );
    assert_eq!(luns(&machine.resolve(link).await.unwrap()), [1]);
    assert!(
        machine
            .refusal("/dev/sdb")
            .await
            .contains("no disk of Hawser")
    );
    // Without a block device the FUSE file or the socket itself can be bound, by any of its names.
    let file = "/run/hawser/fuse/0/disk";
    machine.disks.push(OwnDisk {
        block: None,
        paths: vec![file.into(), "/run/hawser/disk/by-id/9".into()],
        ..machine.disks[0].clone()
    });
    machine.looks.insert(
        "/run/hawser/disk/by-id/9".into(),
        seen(Path::new(file), SeenKind::Other),
    );
    let found = machine.resolve("/run/hawser/disk/by-id/9").await.unwrap();
    assert_eq!((found.kind, found.device), (Kind::Device, None));
}

#[tokio::test]
async fn a_directory_needs_a_device_named_for_it() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .own("loop1", number(7, 1), 2)
        .directory("/srv/new");
    assert!(machine.refusal("/srv/new").await.contains("--device"));
    let found = machine
        .resolve_with("/srv/new", None, Some("/run/hawser/disk/by-id/1"))
        .await
        .unwrap();
    assert_eq!(
        (found.kind, found.device, luns(&found)),
        (Kind::Volume, Some(number(7, 0)), vec![1])
    );
    let absent = machine
        .resolve_with("/srv/new", None, Some("/dev/none"))
        .await
        .unwrap_err();
    assert_eq!(absent.status, Status::DEVICE_NOT_FOUND);
    machine.mount(30, "7:0 / /srv/new rw - ext4 /dev/loop0 rw");
    let other = machine
        .resolve_with("/srv/new", None, Some("/dev/loop1"))
        .await
        .unwrap_err();
    assert_eq!(other.status, Status::ERROR_INVALID_PARAMETER, "{other}");
    machine
        .resolve_with("/srv/new", None, Some("/dev/loop0"))
        .await
        .unwrap();
}

#[tokio::test]
async fn nothing_there_another_view_and_relative_paths() {
    let mut machine = Machine::new();
    machine
        .own("loop0", number(7, 0), 1)
        .directory("/srv/data")
        .mount(30, "7:0 / /srv/data rw - ext4 /dev/loop0 rw");
    assert_eq!(
        machine.resolve("/srv/none").await.unwrap_err().status,
        Status::DEVICE_NOT_FOUND
    );
    assert_eq!(
        machine.resolve("srv").await.unwrap_err().status,
        Status::ERROR_INVALID_PARAMETER
    );
    machine
        .resolve_with("/srv/data", Some((5, 77)), None)
        .await
        .unwrap();
    for (path, view) in [
        ("/srv/data", (5, 78)),
        ("/srv/data", (6, 77)),
        ("/srv/gone", (5, 77)),
    ] {
        let failure = machine
            .resolve_with(path, Some(view), None)
            .await
            .unwrap_err();
        assert!(failure.message.contains("not the same thing"), "{failure}");
    }
}

#[tokio::test]
async fn a_disk_without_identity_cannot_be_bound() {
    let mut machine = Machine::new();
    machine.own("loop0", number(7, 0), 1);
    machine.disks[0].identity = None;
    assert!(machine.refusal("/dev/loop0").await.contains("no identity"));
}

#[test]
fn labels_are_encoded_as_udev_does() {
    assert_eq!(udev_encoded("My Disk/1"), "My\\x20Disk\\x2f1");
    assert_eq!(udev_encoded("größe_1"), "größe_1");
}
