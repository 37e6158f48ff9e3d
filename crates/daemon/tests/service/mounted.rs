//! The main job: a filesystem on a loop device, mounted, bound, and back after SIGKILL. Needs root, FUSE
//! and loop devices.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hawser_api::{Failure, Status, v1};
use hawser_daemon::ExportMode;
use hawser_testkit::peers::{TgtConfig, TgtTarget, Tgtd};

use super::support::{
    Asks, Place, SECRET, TARGET, USER, in_time, path, persistent, run, serve, target, with_chap,
    with_secret,
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
