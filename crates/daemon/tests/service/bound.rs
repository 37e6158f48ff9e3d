//! Bound volumes as devices: what can be bound, what a wait says, the wrong disk.

use std::time::Duration;

use hawser_api::{Failure, Status, v1};
use hawser_daemon::ExportMode;
use tokio::io::AsyncReadExt;

use super::support::{
    Asks, Place, TARGET, in_time, now, path, persistent, serve, serve_at, target, target_named,
};

const LONG: Duration = Duration::from_secs(50);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_bound_is_nothing_to_wait_for() {
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let begun = std::time::Instant::now();
    let update = daemon.wait(LONG).await;
    assert_eq!(
        (update.outcome(), update.total),
        (v1::WaitOutcome::AllUsable, 0)
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_bound_and_usable_again_after_a_restart() {
    let server = serve(target()).await;
    let address = server.local_addrs()[0];
    let place = Place::new(ExportMode::Fuse);
    let daemon = place.start().await;
    let disk = daemon.persistent_disk(address).await;
    let link = disk.links[0].clone();
    let bound = daemon.bind(path(&link)).await.unwrap();
    assert_eq!(
        (bound.kind(), bound.state()),
        (v1::BoundKind::Device, v1::BoundState::Usable)
    );
    assert_eq!(bound.disks[0].identity, disk.identity);
    // Twice, by this and by any other name of the same disk.
    for same in [&link, &disk.links[1], &disk.fuse_path] {
        let twice = daemon.bind(path(same)).await.unwrap_err();
        assert_eq!(
            twice.status,
            Status::VOLUME_ALREADY_PERSISTENTLY_BOUND,
            "{same}"
        );
    }
    let session = &daemon.sessions().await[0];
    assert_eq!(
        session.on_lost(),
        v1::OnLost::Hold,
        "bound volumes hold I/O for ever"
    );
    daemon.stop().await;
    server.kill().await;

    let daemon = place.start().await;
    let late = daemon.wait(Duration::from_millis(300)).await;
    assert_eq!(late.outcome(), v1::WaitOutcome::TimedOut);
    assert_eq!((late.total, late.missing.len()), (1, 1));
    let missing = &late.missing[0];
    assert_eq!(
        (missing.path.as_str(), missing.state()),
        (link.as_str(), v1::BoundState::Waiting)
    );
    let reason = missing.reason.as_ref().unwrap();
    assert_eq!(
        reason.status,
        Status::CONNECTION_FAILED.code(),
        "{reason:?}"
    );
    assert_eq!(
        (reason.target.as_str(), &reason.portal),
        (TARGET, &address.to_string())
    );
    // It is waited for until the target comes.
    let _server = serve_at(address, target()).await;
    let done = daemon.wait(LONG).await;
    assert_eq!(done.outcome(), v1::WaitOutcome::AllUsable);
    let unbind = v1::UnbindRequest {
        path: link.clone(),
        seen: None,
    };
    let mut volumes = daemon.client.volumes();
    volumes.unbind(unbind.clone()).await.unwrap();
    let again = Failure::from(volumes.unbind(unbind).await.unwrap_err());
    assert_eq!(again.status, Status::DEVICE_NOT_FOUND);
    assert_eq!(
        daemon.sessions().await[0].on_lost(),
        v1::OnLost::Fail,
        "no longer for ever"
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_disk_of_ours_is_refused() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    let refused = async |what: String| daemon.bind(path(what)).await.unwrap_err().status;
    let not_ours = Status::DEVICE_NOT_ISCSI_OR_PERSISTENT;
    assert_eq!(
        refused("/".into()).await,
        not_ours,
        "the root's disk is not ours"
    );
    assert_eq!(refused("/proc".into()).await, not_ours);
    assert_eq!(refused(place.root().display().to_string()).await, not_ours);
    assert_eq!(refused("/dev/null".into()).await, not_ours);
    let absent = place.root().join("none").display().to_string();
    assert_eq!(refused(absent).await, Status::DEVICE_NOT_FOUND);
    assert_eq!(
        refused("relative".into()).await,
        Status::ERROR_INVALID_PARAMETER
    );
    // A disk whose login is not persistent.
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    daemon.login(now()).await.unwrap();
    let disk = daemon.ready_disk().await;
    assert_eq!(refused(disk.links[0].clone()).await, not_ours);
    daemon.login(persistent()).await.unwrap();
    // Another view of the path than the daemon's.
    let other = v1::BindRequest {
        seen: Some(v1::PathView {
            st_dev: 1,
            st_ino: 1,
        }),
        ..path(disk.links[0].clone())
    };
    let failure = daemon.bind(other).await.unwrap_err();
    assert!(failure.message.contains("not the same thing"), "{failure}");
    assert!(daemon.bound().await.is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_bound_anew_and_unbound() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    let mut volumes = daemon.client.volumes();
    let nothing = volumes
        .bind_all(v1::BindAllRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(nothing.volumes.is_empty() && nothing.skipped.is_empty());
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    daemon.login(now()).await.unwrap();
    let disk = daemon.ready_disk().await;
    let skipped = volumes
        .bind_all(v1::BindAllRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!((skipped.volumes.len(), skipped.skipped.len()), (0, 1));
    daemon.login(persistent()).await.unwrap();
    let all = volumes
        .bind_all(v1::BindAllRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(all.volumes[0].path, disk.links[0]);
    // Again, and during an outage: what is bound is not lost from the list unawares.
    server.kill().await;
    daemon.event("session-lost", |_| true).await;
    let again = volumes.bind_all(v1::BindAllRequest::default()).await;
    let kept = again.unwrap().into_inner().volumes;
    assert_eq!(kept[0].path, disk.links[0], "its disk is held");
    let disks = daemon.disks().await;
    assert_eq!(disks[0].bound_paths, [disk.links[0].as_str()]);
    let unbound = volumes
        .unbind_all(v1::UnbindAllRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(unbound.paths, [disk.links[0].as_str()]);
    assert!(daemon.bound().await.is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_disk_in_the_place_of_a_bound_one_is_refused_loudly() {
    let server = serve(target()).await;
    let address = server.local_addrs()[0];
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    let disk = daemon.persistent_disk(address).await;
    let link = disk.links[0].clone();
    daemon.bind(path(&link)).await.unwrap();
    // While the daemon runs.
    server.kill().await;
    let server = serve_at(address, target_named(TARGET, "another disk")).await;
    let told = daemon.event("wrong-disk", |_| true).await;
    assert_eq!(told.severity(), v1::Severity::Error);
    let update = daemon.wait(Duration::from_secs(2)).await;
    assert_eq!(update.outcome(), v1::WaitOutcome::TimedOut);
    assert_eq!(update.missing[0].state(), v1::BoundState::WrongIdentity);
    assert!(
        !std::path::Path::new(&link).exists(),
        "not shown under a bound name"
    );
    daemon.stop().await;
    // At a start.
    let daemon = place.start().await;
    let told = daemon.event("wrong-disk", |_| true).await;
    let detail = told.detail.unwrap();
    let identity = disk.identity.unwrap().text;
    assert!(detail.message.contains(&identity), "{}", detail.message);
    let disks = daemon.disks().await;
    assert_eq!(disks[0].state(), v1::DiskState::WrongIdentity);
    assert!(disks[0].links.is_empty() && disks[0].nbd_address.is_empty());
    // The right disk comes back.
    server.kill().await;
    let _server = serve_at(address, target()).await;
    assert_eq!(
        daemon.wait(LONG).await.outcome(),
        v1::WaitOutcome::AllUsable
    );
    assert!(std::path::Path::new(&link).exists());
    daemon.stop().await;
}

/// A target that was just started may not report its LUNs at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_bound_disk_that_is_not_reported_for_a_while_is_kept() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::Fuse);
    let daemon = place.start().await;
    let disk = daemon.persistent_disk(server.local_addrs()[0]).await;
    daemon.bind(path(&disk.links[0])).await.unwrap();
    let device = server.target(TARGET).unwrap().device();
    let unit = device.remove(1).unwrap();
    let mut discovery = daemon.client.discovery();
    let refresh = v1::RefreshPortalsRequest::default();
    discovery.refresh_portals(refresh.clone()).await.unwrap();
    daemon.event("lun-gone", |_| true).await;
    let update = daemon.wait(Duration::ZERO).await;
    assert_eq!(update.missing[0].state(), v1::BoundState::Waiting);
    let disks = daemon.disks().await;
    let is_shown = |shown: &v1::Disk| shown.device == disk.device;
    assert!(disks.iter().any(is_shown), "still shown: {disks:?}");
    device.insert(1, unit);
    discovery.refresh_portals(refresh).await.unwrap();
    daemon.event("lun-back", |_| true).await;
    assert_eq!(
        daemon.wait(LONG).await.outcome(),
        v1::WaitOutcome::AllUsable
    );
    daemon.stop().await;
}

/// During an outage the list of bound volumes must not shrink unawares.
#[tokio::test(flavor = "multi_thread")]
async fn binding_all_does_not_drop_what_is_away_unless_told_to() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    let disk = daemon.persistent_disk(server.local_addrs()[0]).await;
    let link = disk.links[0].clone();
    daemon.bind(path(&link)).await.unwrap();
    daemon.stop().await;
    server.kill().await;
    let daemon = place.start().await;
    let mut volumes = daemon.client.volumes();
    let refused = volumes.bind_all(v1::BindAllRequest::default()).await;
    let failure = Failure::from(refused.unwrap_err());
    assert_eq!(failure.status, Status::DEVICE_NOT_FOUND);
    assert!(failure.message.contains(&link), "{failure}");
    assert_eq!(daemon.bound().await[0].path, link, "still bound");
    let request = v1::BindAllRequest { drop_absent: true };
    let done = volumes.bind_all(request).await.unwrap().into_inner();
    assert_eq!(done.dropped[0].path, link);
    assert!(done.volumes.is_empty() && daemon.bound().await.is_empty());
    daemon.stop().await;
}

/// Without a new login in between: the target's administrator maps another disk to the LUN.
#[tokio::test(flavor = "multi_thread")]
async fn another_disk_at_the_lun_of_a_bound_one_is_refused_while_the_session_stays_up() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    let disk = daemon.persistent_disk(server.local_addrs()[0]).await;
    daemon.bind(path(&disk.links[0])).await.unwrap();
    let session = daemon.sessions().await[0].clone();
    let device = server.target(TARGET).unwrap().device();
    let _ours = device.remove(1).unwrap();
    let other = serve(target_named(TARGET, "another disk")).await;
    let foreign = other.target(TARGET).unwrap().device().remove(1).unwrap();
    let mut discovery = daemon.client.discovery();
    let refresh = v1::RefreshPortalsRequest::default();
    discovery.refresh_portals(refresh.clone()).await.unwrap();
    daemon.event("lun-gone", |_| true).await;
    device.insert(1, foreign);
    discovery.refresh_portals(refresh).await.unwrap();
    daemon.event("wrong-disk", |_| true).await;
    let update = daemon.wait(Duration::from_secs(2)).await;
    assert_eq!(update.missing[0].state(), v1::BoundState::WrongIdentity);
    let now = &daemon.sessions().await[0];
    assert_eq!(now.connections, session.connections, "the same connection");
    daemon.stop().await;
}

/// A virtual machine on NBD must not lose its disk to a moment in which the target does not report it.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_in_use_that_is_not_reported_for_a_while_is_kept() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    let disk = daemon.persistent_disk(server.local_addrs()[0]).await;
    let (_, socket) = disk.nbd_address.split_once("socket=").unwrap();
    let mut client = tokio::net::UnixStream::connect(socket).await.unwrap();
    // The greeting says that it was taken.
    in_time(client.read_exact(&mut [0; 16])).await.unwrap();
    let device = server.target(TARGET).unwrap().device();
    let unit = device.remove(1).unwrap();
    let mut discovery = daemon.client.discovery();
    let refresh = v1::RefreshPortalsRequest::default();
    discovery.refresh_portals(refresh.clone()).await.unwrap();
    daemon.event("lun-gone", |_| true).await;
    // A target without disks may show its controller.
    let disks = daemon.disks().await;
    let is_shown = |shown: &v1::Disk| shown.nbd_address == disk.nbd_address;
    assert!(disks.iter().any(is_shown), "still shown: {disks:?}");
    device.insert(1, unit);
    discovery.refresh_portals(refresh).await.unwrap();
    daemon.event("lun-back", |_| true).await;
    let disks = daemon.disks().await;
    assert!(disks.iter().any(is_shown), "shown again: {disks:?}");
    drop(client);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_volume_without_persistent_login_is_told() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    let disk = daemon.persistent_disk(server.local_addrs()[0]).await;
    daemon.bind(path(&disk.links[0])).await.unwrap();
    let request = v1::RemovePersistentLoginRequest {
        target_name: TARGET.into(),
        ..v1::RemovePersistentLoginRequest::default()
    };
    let removed = daemon
        .client
        .sessions()
        .remove_persistent_login(request)
        .await
        .unwrap();
    assert_eq!(
        removed.into_inner().orphaned_paths,
        [disk.links[0].as_str()]
    );
    daemon.stop().await;
    let daemon = place.start().await;
    let update = daemon.wait(Duration::ZERO).await;
    assert_eq!(update.outcome(), v1::WaitOutcome::TimedOut);
    assert_eq!(update.missing[0].state(), v1::BoundState::Failed);
    let reason = update.missing[0].reason.as_ref().unwrap();
    assert!(reason.advice.contains("--persist"), "{reason:?}");
    daemon.stop().await;
}
