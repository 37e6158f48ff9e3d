//! The main job: a filesystem on a loop device, mounted, bound, and back after SIGKILL. Needs root, FUSE
//! and loop devices.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hawser_api::{Failure, Status, v1};
use hawser_daemon::ExportMode;
use hawser_target::TargetConfig;
use hawser_target::disk::{Backend, Extent};
use hawser_testkit::peers::{TgtConfig, TgtTarget, Tgtd};

use super::support::{
    Asks, MIB, MountNamespace, Place, SECRET, Spawned, TARGET, USER, in_time, path, persistent,
    ram, run, serve, target, unit, with_chap, with_secret,
};

const LONG: Duration = Duration::from_secs(50);

fn is_mounted(place: &Path) -> bool {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    table
        .lines()
        .any(|line| line.split(' ').nth(4) == place.to_str())
}

/// A mount point that is not left mounted when a test fails.
struct MountPoint(PathBuf);

impl MountPoint {
    fn new(place: &Place) -> Self {
        let path = place.root().join("data");
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn text(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for MountPoint {
    fn drop(&mut self) {
        while is_mounted(&self.0) {
            let done = std::process::Command::new("umount")
                .arg("-l")
                .arg(&self.0)
                .status();
            assert!(done.is_ok_and(|status| status.success()));
        }
    }
}

/// Takes away what a killed daemon of a failed test has left.
struct Leftovers(PathBuf);

impl Drop for Leftovers {
    fn drop(&mut self) {
        let _ = hawser_export::clean_up(&self.0);
    }
}

/// No child of the daemon may hold a descriptor of a FUSE connection: it would outlive the daemon.
fn assert_closes_on_exec(pid: u32) {
    const O_CLOEXEC: u32 = 0o2_000_000;
    let mut seen = 0;
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten()
    {
        let file = std::fs::read_link(entry.path()).unwrap_or_default();
        if file != Path::new("/dev/fuse") {
            continue;
        }
        let number = entry.file_name().to_string_lossy().into_owned();
        let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap();
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap();
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        assert!(flags & O_CLOEXEC != 0, "{info}");
        seen += 1;
    }
    assert!(seen > 0, "the daemon serves FUSE");
}

async fn main_job(address: std::net::SocketAddr) {
    let place = Place::new(ExportMode::Loop);
    let _leftovers = Leftovers(place.config.runtime_dir.clone());
    let mount_point = MountPoint::new(&place);
    let daemon = place.spawn().await;
    daemon.add_portal(address).await.unwrap();
    daemon
        .login(with_secret(persistent(), SECRET))
        .await
        .unwrap();
    let disk = daemon.ready_disk().await;
    assert_eq!(disk.export_kind(), v1::ExportKind::Loop);
    run("mkfs.ext4", &["-q", "-F", &disk.device]).await;
    let request = v1::BindRequest {
        device: disk.links[0].clone(),
        ..path(mount_point.text())
    };
    let bound = daemon.bind(request).await.unwrap();
    assert_eq!(bound.state(), v1::BoundState::Usable, "{:?}", bound.reason);
    assert_eq!(bound.mounted_by(), v1::MountedBy::Hawser);
    assert_eq!((bound.fs_type.as_str(), bound.fs_uuid.len()), ("ext4", 36));
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = table
        .lines()
        .find(|line| line.contains(&mount_point.text()))
        .unwrap();
    assert!(line.contains("nosuid,nodev"), "{line}");
    assert_closes_on_exec(daemon.child.id().unwrap());
    let file = mount_point.0.join("file");
    std::fs::write(&file, "what was written before the kill").unwrap();
    run("sync", &["-f", file.to_str().unwrap()]).await;
    daemon.kill().await;

    let daemon = place.spawn().await;
    let update = daemon.wait(LONG).await;
    assert_eq!(
        update.outcome(),
        v1::WaitOutcome::AllUsable,
        "{:?}",
        update.missing
    );
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "what was written before the kill"
    );
    let disk = daemon.ready_disk().await;
    assert_eq!(disk.bound_paths, [mount_point.text()]);
    assert!(
        disk.holders
            .contains(&format!("mounted at {}", mount_point.text()))
    );
    let logout = v1::LogoutRequest {
        which: Some(v1::logout_request::Which::TargetName(TARGET.into())),
        force: false,
    };
    let refused = daemon.client.sessions().logout(logout).await.unwrap_err();
    assert_eq!(
        Failure::from(refused).status,
        Status::DEVICE_BUSY_ON_SESSION
    );
    daemon.terminate().await;
    assert!(!is_mounted(&mount_point.0), "its mounts go first");
    let number = disk.device.trim_start_matches("/dev/");
    let backing = format!("/sys/block/{number}/loop/backing_file");
    let file = std::fs::read_to_string(backing).unwrap_or_default();
    assert!(
        !file.contains(place.root().to_str().unwrap()),
        "the loop device is gone: {file}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_filesystem_is_back_after_sigkill() {
    let server = serve(with_chap(target())).await;
    main_job(server.local_addrs()[0]).await;
    in_time(server.shutdown(Duration::from_secs(5))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_filesystem_on_tgt_is_back_after_sigkill() {
    let started = tokio::task::spawn_blocking(|| {
        let target = TgtTarget::new(TARGET).disks(1, 64 << 20).chap(USER, SECRET);
        Tgtd::start(TgtConfig::new().target(target))
    });
    let tgtd = started
        .await
        .unwrap()
        .expect("tgtd runs (Debian package tgt)");
    main_job(tgtd.portal()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_filesystem_is_bound_as_it_is() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::Loop);
    let _leftovers = Leftovers(place.config.runtime_dir.clone());
    let mount_point = MountPoint::new(&place);
    let daemon = place.spawn().await;
    let disk = daemon.persistent_disk(server.local_addrs()[0]).await;
    run("mkfs.ext4", &["-q", "-F", &disk.device]).await;
    run(
        "mount",
        &["-o", "noatime", &disk.device, &mount_point.text()],
    )
    .await;
    let inner = mount_point.0.join("inner");
    std::fs::create_dir(&inner).unwrap();
    let inside = daemon
        .bind(path(inner.to_str().unwrap()))
        .await
        .unwrap_err();
    assert_eq!(
        inside.status,
        Status::DEVICE_NOT_ISCSI_OR_PERSISTENT,
        "{inside}"
    );
    let bound = daemon.bind(path(mount_point.text())).await.unwrap();
    assert_eq!(bound.state(), v1::BoundState::Usable);
    assert!(
        bound.mount_options.contains("noatime"),
        "{}",
        bound.mount_options
    );
    // Somebody unmounts it: told, and not mounted over their head.
    run("umount", &[&mount_point.text()]).await;
    daemon
        .event("volume-failed", |event| event.path == mount_point.text())
        .await;
    assert!(!is_mounted(&mount_point.0));
    // The same disk with another filesystem is not mounted either.
    run("mkfs.ext4", &["-q", "-F", &disk.device]).await;
    daemon.kill().await;
    let daemon = place.spawn().await;
    let failed = daemon
        .event("volume-failed", |event| event.path == mount_point.text())
        .await;
    let message = failed.detail.unwrap().message;
    assert!(message.contains(&bound.fs_uuid), "{message}");
    assert!(!is_mounted(&mount_point.0));
    // With force the session ends although it is mounted.
    run(
        "mount",
        &[&daemon.ready_disk().await.device, &mount_point.text()],
    )
    .await;
    let logout = |force| v1::LogoutRequest {
        which: Some(v1::logout_request::Which::TargetName(TARGET.into())),
        force,
    };
    let mut sessions = daemon.client.sessions();
    assert!(sessions.logout(logout(false)).await.is_err());
    in_time(sessions.logout(logout(true))).await.unwrap();
    assert!(!is_mounted(&mount_point.0));
    daemon.terminate().await;
}

/// Runs in a mount namespace of its own, because it needs an fstab of its own.
#[tokio::test(flavor = "multi_thread")]
async fn what_fstab_owns_is_mounted_as_fstab_says() {
    const UUID: &str = "0e5c0b8a-7f7a-4f33-9a51-6d2c3e1f0a42";
    let server = serve(target()).await;
    let place = Place::new(ExportMode::Loop);
    let _leftovers = Leftovers(place.config.runtime_dir.clone());
    let mount_point = MountPoint::new(&place);
    let fstab = place.root().join("fstab");
    let line = format!(
        "UUID={UUID} {} ext4 noauto,noatime 0 0\n",
        mount_point.text()
    );
    std::fs::write(&fstab, line).unwrap();
    let namespace = MountNamespace::with_fstab(&fstab).await;
    let daemon = place.spawn_in(&namespace).await;
    let disk = daemon.persistent_disk(server.local_addrs()[0]).await;
    let early = daemon.bind(path(mount_point.text())).await.unwrap_err();
    assert_eq!(
        early.status,
        Status::DEVICE_NOT_ISCSI_OR_PERSISTENT,
        "{early}"
    );
    run("mkfs.ext4", &["-q", "-F", "-U", UUID, &disk.device]).await;
    let bound = daemon.bind(path(mount_point.text())).await.unwrap();
    assert_eq!(bound.state(), v1::BoundState::Usable, "{:?}", bound.reason);
    assert_eq!(bound.mounted_by(), v1::MountedBy::System);
    let mounted_as = |daemon: &Spawned| {
        let pid = daemon.child.id().unwrap();
        let table = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        let line = table
            .lines()
            .find(|line| line.contains(&mount_point.text()));
        line.unwrap_or("not mounted").to_owned()
    };
    let line = mounted_as(&daemon);
    assert!(
        line.contains("noatime") && !line.contains("nosuid"),
        "{line}"
    );
    assert_eq!(
        (bound.fs_uuid.as_str(), bound.kind()),
        (UUID, v1::BoundKind::Volume)
    );
    assert!(
        bound.mount_options.contains("noatime"),
        "{}",
        bound.mount_options
    );
    daemon.kill().await;
    let daemon = place.spawn_in(&namespace).await;
    let update = daemon.wait(LONG).await;
    assert_eq!(
        update.outcome(),
        v1::WaitOutcome::AllUsable,
        "{:?}",
        update.missing
    );
    let line = mounted_as(&daemon);
    assert!(line.contains("noatime"), "{line}");
    daemon.terminate().await;
}

/// A medium of 64 MiB that shows as much of itself as it is told to.
#[derive(Debug)]
struct Growing {
    medium: Arc<dyn Backend>,
    size: AtomicU64,
}

impl Backend for Growing {
    fn size(&self) -> u64 {
        self.size.load(Ordering::SeqCst)
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.medium.read(offset, buffer)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.medium.write(offset, data)
    }

    fn flush(&self, offset: u64, len: u64) -> io::Result<()> {
        self.medium.flush(offset, len)
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.medium.discard(offset, len)
    }

    fn extent(&self, offset: u64) -> io::Result<Extent> {
        self.medium.extent(offset)
    }

    fn is_volatile(&self) -> bool {
        self.medium.is_volatile()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_grows_is_larger_at_once() {
    let medium = Arc::new(Growing {
        medium: ram(64 * MIB),
        size: AtomicU64::new(32 * MIB),
    });
    let backend: Arc<dyn Backend> = Arc::clone(&medium) as _;
    let config = TargetConfig::new(TARGET)
        .unwrap()
        .lun(1, unit(backend, "growing"));
    let server = serve(config).await;
    let place = Place::new(ExportMode::Loop);
    let _leftovers = Leftovers(place.config.runtime_dir.clone());
    let daemon = place.spawn().await;
    let disk = daemon.persistent_disk(server.local_addrs()[0]).await;
    assert_eq!(disk.bytes, 32 * MIB);
    medium.size.store(64 * MIB, Ordering::SeqCst);
    let device = server.target(TARGET).unwrap().device();
    device.unit(device.luns()[0]).unwrap().capacity_changed();
    // The target tells of it with the answer to the next command.
    let input = format!("if={}", disk.device);
    run(
        "dd",
        &[&input, "of=/dev/null", "bs=4096", "count=1", "iflag=direct"],
    )
    .await;
    daemon.event("size-changed", |_| true).await;
    assert_eq!(daemon.ready_disk().await.bytes, 64 * MIB);
    let name = disk.device.trim_start_matches("/dev/");
    let sectors = std::fs::read_to_string(format!("/sys/block/{name}/size")).unwrap();
    assert_eq!(sectors.trim(), (64 * MIB / 512).to_string());
    daemon.terminate().await;
}

/// tgt is told its targets and LUNs one by one after its start, so a login may come too early.
#[tokio::test(flavor = "multi_thread")]
async fn a_bound_filesystem_survives_a_killed_tgt() {
    let target = TgtTarget::new(TARGET).disks(1, 64 << 20);
    let started = tokio::task::spawn_blocking(|| Tgtd::start(TgtConfig::new().target(target)));
    let mut tgtd = started
        .await
        .unwrap()
        .expect("tgtd runs (Debian package tgt)");
    let place = Place::new(ExportMode::Loop);
    let _leftovers = Leftovers(place.config.runtime_dir.clone());
    let mount_point = MountPoint::new(&place);
    let daemon = place.spawn().await;
    let disk = daemon.persistent_disk(tgtd.portal()).await;
    run("mkfs.ext4", &["-q", "-F", &disk.device]).await;
    let request = v1::BindRequest {
        device: disk.device.clone(),
        ..path(mount_point.text())
    };
    daemon.bind(request).await.unwrap();
    for round in 0..5 {
        tgtd.kill();
        let file = mount_point.0.join(format!("round{round}"));
        let text = format!("written while the target was away, round {round}");
        let name = file.display().to_string();
        let script = format!("printf '%s' '{text}' > '{name}' && sync -f '{name}'");
        let writing = tokio::spawn(async move { run("sh", &["-c", &script]).await });
        tgtd = tokio::task::spawn_blocking(move || tgtd.restart().map(|()| tgtd))
            .await
            .unwrap()
            .expect("tgtd starts again");
        in_time(writing).await.unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
    assert_eq!(
        daemon.wait(LONG).await.outcome(),
        v1::WaitOutcome::AllUsable
    );
    daemon.terminate().await;
}
