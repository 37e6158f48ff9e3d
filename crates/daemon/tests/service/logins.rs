//! Portals, targets, logins, logouts.

use std::time::Duration;

use hawser_api::{Failure, Status, v1};
use hawser_daemon::ExportMode;
use hawser_target::ChapConfig;
use hawser_target::faults::Redirect;

use super::support::{
    Asks, LIMIT, Place, SECRET, TARGET, USER, in_time, now, persistent, portal, serve, serve_at,
    silent_portal, target, target_named, with_chap, with_secret,
};

fn status<T: std::fmt::Debug>(result: Result<T, Failure>) -> Status {
    result.unwrap_err().status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_appears_after_portal_and_login() {
    let server = serve(with_chap(target())).await;
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    let told = daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    assert_eq!(told, [TARGET]);
    let login = daemon.login(with_secret(now(), SECRET)).await.unwrap();
    assert!(!login.already_logged_in);
    let disk = daemon.ready_disk().await;
    assert_eq!(
        (disk.target_name.as_str(), disk.lun_number),
        (TARGET, Some(1))
    );
    assert_eq!((disk.bytes, disk.block_size), (64 << 20, 512));
    assert_eq!(disk.export_kind(), v1::ExportKind::Nbd);
    assert!(
        disk.nbd_address.starts_with("nbd+unix:///"),
        "{}",
        disk.nbd_address
    );
    assert!(!disk.persistent && disk.identity.is_some());
    assert_eq!(disk.links.len(), 2, "by-target and by-id: {:?}", disk.links);
    let session = &daemon.sessions().await[0];
    assert_eq!(session.state(), v1::SessionState::LoggedIn);
    let authentication = session.authentication.as_ref().unwrap();
    assert_eq!(authentication.r#type(), v1::AuthType::Chap);
    assert_eq!(session.connections.len(), 1);
    // The disk was asked who it is and how large: commands that read, and no write.
    let counters = session.counters.unwrap();
    assert!(
        counters.commands > 0 && counters.bytes_read > 0,
        "{counters:?}"
    );
    assert!(
        counters.wire_bytes_received > counters.bytes_read,
        "{counters:?}"
    );
    assert_eq!((counters.bytes_written, counters.reconnects), (0, 0));
    daemon.stop().await;
    assert!(server.sessions().is_empty(), "it logged out");
    assert!(
        disk.links
            .iter()
            .all(|link| !std::path::Path::new(link).exists())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_and_an_unknown_target_are_told() {
    let server = serve(with_chap(target())).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    assert_eq!(status(daemon.login(now()).await), Status::TARGET_NOT_FOUND);
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    let refused = daemon
        .login(with_secret(persistent(), "wrongwrongwrong"))
        .await
        .unwrap_err();
    assert_eq!(refused.status, Status::AUTHENTICATION_FAILURE, "{refused}");
    assert_eq!(
        (refused.target.as_str(), refused.portal.is_empty()),
        (TARGET, false)
    );
    assert!(
        !refused.advice.is_empty() && !refused.peer_said.is_empty(),
        "{refused}"
    );
    assert!(
        daemon.sessions().await.is_empty(),
        "a failed login leaves no session"
    );
    let request = v1::ListPersistentLoginsRequest {};
    let stored = daemon
        .client
        .sessions()
        .list_persistent_logins(request)
        .await
        .unwrap();
    assert!(
        stored.into_inner().logins.is_empty(),
        "stored only after it worked"
    );
    let short = daemon.login(with_secret(now(), "short")).await;
    assert_eq!(status(short), Status::INVALID_TARGET_CHAP_SECRET);
    let unknown = v1::LoginRequest {
        target_name: "iqn.2026-11.test:none".into(),
        ..now()
    };
    assert_eq!(
        status(daemon.login(unknown).await),
        Status::TARGET_NOT_FOUND
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_portal_stays_stored_and_answers_later() {
    let server = serve(target()).await;
    let address = server.local_addrs()[0];
    server.kill().await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let refused = daemon.add_portal(address).await.unwrap_err();
    assert_eq!(refused.status, Status::CONNECTION_FAILED, "{refused}");
    assert_eq!(refused.portal, address.to_string());
    assert_eq!(refused.target, "", "a portal was asked, no target");
    let list = async || {
        let request = v1::ListPortalsRequest {};
        let listed = daemon
            .client
            .discovery()
            .list_portals(request)
            .await
            .unwrap();
        listed.into_inner().portals
    };
    let listed = list().await;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        listed[0].last_error.as_ref().unwrap().status,
        refused.status.code()
    );
    let _server = serve_at(address, target()).await;
    let refresh = v1::RefreshPortalsRequest::default();
    let refreshed = daemon
        .client
        .discovery()
        .refresh_portals(refresh)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(refreshed.portals[0].targets, [TARGET]);
    assert!(list().await[0].last_error.is_none());
    let remove = v1::RemovePortalRequest {
        portal: Some(portal(address)),
        initiator: None,
    };
    let removed = daemon
        .client
        .discovery()
        .remove_portal(remove.clone())
        .await
        .unwrap();
    assert_eq!(removed.into_inner().forgotten_targets, [TARGET]);
    let again = daemon
        .client
        .discovery()
        .remove_portal(remove)
        .await
        .unwrap_err();
    assert_eq!(Failure::from(again).status, Status::PORTAL_NOT_FOUND);
    daemon.stop().await;
}

/// Its record names no portal, and the one that told of its target is removed.
#[tokio::test(flavor = "multi_thread")]
async fn a_persistent_login_comes_back_when_no_discovery_tells_of_its_target() {
    let server = serve(target()).await;
    let address = server.local_addrs()[0];
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(address).await.unwrap();
    daemon.login(persistent()).await.unwrap();
    let remove = v1::RemovePortalRequest {
        portal: Some(portal(address)),
        initiator: None,
    };
    let mut discovery = daemon.client.discovery();
    discovery.remove_portal(remove).await.unwrap();
    daemon.stop().await;
    let daemon = place.start().await;
    daemon.event("session-up", |_| true).await;
    assert_eq!(daemon.sessions().await[0].target_name, TARGET);
    daemon.stop().await;
}

/// There is no session that could try for ever, so the daemon does.
#[tokio::test(flavor = "multi_thread")]
async fn a_persistent_login_that_cannot_even_be_tried_is_tried_again() {
    const OTHER: &str = "iqn.2026-11.test.hawser:other";
    let server = serve(target()).await;
    let other = serve(target_named(OTHER, "the other disk")).await;
    let mut place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    for address in [server.local_addrs()[0], other.local_addrs()[0]] {
        daemon.add_portal(address).await.unwrap();
    }
    daemon.login(persistent()).await.unwrap();
    let second = v1::LoginRequest {
        target_name: OTHER.into(),
        ..persistent()
    };
    daemon.login(second).await.unwrap();
    daemon.stop().await;
    place.config.max_sessions = 1;
    // One after the other, so that the second finds the first.
    place.config.parallel_logins = 1;
    let daemon = place.start().await;
    let told = daemon.event("login-not-restored", |_| true).await;
    let failure = Failure::from(told.detail.unwrap());
    assert_eq!(failure.status, Status::TOO_MANY_SESSIONS);
    let up = daemon.sessions().await[0].target_name.clone();
    assert_ne!(up, failure.target);
    let logout = v1::LogoutRequest {
        which: Some(v1::logout_request::Which::TargetName(up)),
        force: false,
    };
    daemon.client.sessions().logout(logout).await.unwrap();
    let is_it = |event: &v1::Event| {
        let detail = event.detail.as_ref();
        detail.is_some_and(|detail| detail.target == failure.target)
    };
    daemon.event("session-up", is_it).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_twice_is_success_where_the_library_documents_no_error() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    let first = daemon.login(now()).await.unwrap();
    assert_eq!(
        status(daemon.login(now()).await),
        Status::TARGET_ALREADY_LOGGED_IN
    );
    let stored = daemon.login(persistent()).await.unwrap();
    assert!(stored.already_logged_in);
    assert_eq!(stored.session_id, first.session_id);
    assert_eq!(stored.persistent_login(), v1::Change::Created);
    let again = daemon.login(persistent()).await.unwrap();
    assert_eq!(again.persistent_login(), v1::Change::Unchanged);
    // With the multi-path flag there is a second session, with an ISID of its own.
    let flags = v1::LoginOptions {
        login_flags: 0x2,
        ..v1::LoginOptions::default()
    };
    let second = v1::LoginRequest {
        login_options: Some(flags),
        ..now()
    };
    daemon.login(second).await.unwrap();
    let sessions = daemon.sessions().await;
    assert_eq!(sessions.len(), 2);
    assert_ne!(sessions[0].isid, sessions[1].isid);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn isid_and_session_come_back_after_a_restart() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    daemon.persistent_disk(server.local_addrs()[0]).await;
    let before = daemon.sessions().await.remove(0);
    daemon.stop().await;
    let daemon = place.start().await;
    let disk = daemon.ready_disk().await;
    let after = daemon.sessions().await.remove(0);
    assert_eq!(before.isid, after.isid);
    assert_ne!(before.id, after.id, "a new login has a new id");
    assert!(after.persistent && disk.persistent);
    let request = v1::RemovePersistentLoginRequest {
        target_name: TARGET.into(),
        ..v1::RemovePersistentLoginRequest::default()
    };
    let mut sessions = daemon.client.sessions();
    let removed = sessions
        .remove_persistent_login(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!((removed.removed, removed.orphaned_paths.len()), (1, 0));
    let again = sessions.remove_persistent_login(request).await.unwrap_err();
    assert_eq!(Failure::from(again).status, Status::TARGET_NOT_FOUND);
    assert_eq!(daemon.sessions().await.len(), 1, "the session goes on");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_target_does_not_delay_the_others() {
    let server = serve(target()).await;
    let (silent, _task) = silent_portal().await;
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    daemon.persistent_disk(server.local_addrs()[0]).await;
    for n in 0..3 {
        let name = format!("iqn.2026-11.test.hawser:dead{n}");
        let add = v1::AddStaticTargetRequest {
            target_name: name.clone(),
            persist: true,
            portals: vec![portal(silent)],
            ..v1::AddStaticTargetRequest::default()
        };
        daemon
            .client
            .discovery()
            .add_static_target(add)
            .await
            .unwrap();
        let store = v1::LoginRequest {
            target_name: name,
            mode: v1::LoginMode::Store.into(),
            ..v1::LoginRequest::default()
        };
        assert!(daemon.login(store).await.unwrap().session_id.is_none());
    }
    daemon.stop().await;
    let begun = std::time::Instant::now();
    let daemon = place.start().await;
    daemon.ready_disk().await;
    // A login attempt to the silent portal takes 15 seconds.
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    let states: Vec<_> = daemon
        .sessions()
        .await
        .iter()
        .map(v1::Session::state)
        .collect();
    let connecting = states
        .iter()
        .filter(|state| **state == v1::SessionState::LoggingIn);
    assert_eq!((states.len(), connecting.count()), (4, 3), "{states:?}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_comes_late_is_logged_in_to() {
    let server = serve(target()).await;
    let address = server.local_addrs()[0];
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    daemon.persistent_disk(address).await;
    daemon.stop().await;
    server.kill().await;
    let daemon = place.start().await;
    let failed = daemon.event("login-failed", |_| true).await;
    let detail = failed.detail.unwrap();
    assert_eq!(detail.status, Status::CONNECTION_FAILED.code());
    assert_eq!(
        (detail.target.as_str(), detail.portal),
        (TARGET, address.to_string())
    );
    let request = v1::ListPersistentLoginsRequest {};
    let stored = daemon
        .client
        .sessions()
        .list_persistent_logins(request)
        .await
        .unwrap();
    assert!(stored.into_inner().logins[0].last_error.is_some());
    let _server = serve_at(address, target()).await;
    daemon.ready_disk().await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_redirect_replaces_the_stored_portal() {
    let old = serve(target()).await;
    let new = serve(target()).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let (from, to) = (old.local_addrs()[0], new.local_addrs()[0]);
    daemon.add_portal(from).await.unwrap();
    let chosen = v1::LoginRequest {
        portal: Some(portal(from)),
        ..persistent()
    };
    daemon.login(chosen).await.unwrap();
    old.faults().set_redirect(Some(Redirect::permanent(to)));
    daemon.stop().await;
    let daemon = place.start().await;
    daemon.event("target-moved", |_| true).await;
    let request = v1::ListPersistentLoginsRequest {};
    let stored = daemon
        .client
        .sessions()
        .list_persistent_logins(request)
        .await
        .unwrap();
    let stored = stored.into_inner().logins;
    assert_eq!(stored.len(), 1);
    assert_eq!(
        stored[0].portal.as_ref().unwrap().to_string(),
        to.to_string()
    );
    assert!(stored[0].session_id.is_some());
    daemon.stop().await;
}

/// The one persistent login.
async fn stored_login(daemon: &super::support::Running) -> v1::PersistentLogin {
    let request = v1::ListPersistentLoginsRequest {};
    let mut sessions = daemon.client.sessions();
    let stored = sessions.list_persistent_logins(request).await.unwrap();
    let mut logins = stored.into_inner().logins;
    assert_eq!(logins.len(), 1, "{logins:?}");
    logins.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_moved_for_good_is_found_when_its_old_portal_is_gone() {
    let old = serve(target()).await;
    let new = serve(target()).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let (from, to) = (old.local_addrs()[0], new.local_addrs()[0]);
    daemon.add_portal(from).await.unwrap();
    old.faults().set_redirect(Some(Redirect::permanent(to)));
    // The very first login is told of it; the login names no portal.
    daemon.login(persistent()).await.unwrap();
    daemon.event("target-moved", |_| true).await;
    let login = stored_login(&daemon).await;
    let shown = login.moved_to.as_ref().map(ToString::to_string);
    assert_eq!((login.portal, shown), (None, Some(to.to_string())));
    let again = daemon.login(persistent()).await.unwrap();
    assert_eq!(again.persistent_login(), v1::Change::Unchanged);
    let isid = daemon.sessions().await.remove(0).isid;
    daemon.stop().await;
    old.kill().await;

    let daemon = place.start().await;
    daemon.event("session-up", |_| true).await;
    let session = daemon.sessions().await.remove(0);
    assert_eq!(session.connections[0].remote, Some(portal(to)));
    assert_eq!(session.isid, isid, "it is the same session to the target");
    // What the portal told of is its own affair.
    let request = v1::GetTargetRequest {
        target_name: TARGET.into(),
    };
    let known = daemon.client.discovery().get_target(request).await.unwrap();
    let instances = known.into_inner().target.unwrap().instances;
    let portals = &instances[0].portal_groups[0].portals;
    let addresses: Vec<_> = portals.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, [from.to_string()]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_moved_is_stored_with_its_new_portal() {
    let old = serve(target()).await;
    let new = serve(target()).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let (from, to) = (old.local_addrs()[0], new.local_addrs()[0]);
    daemon.add_portal(from).await.unwrap();
    old.faults().set_redirect(Some(Redirect::permanent(to)));
    daemon.login(now()).await.unwrap();
    daemon.event("target-moved", |_| true).await;
    let chosen = v1::LoginRequest {
        portal: Some(portal(from)),
        ..persistent()
    };
    daemon.login(chosen).await.unwrap();
    let stored = stored_login(&daemon).await;
    assert_eq!(stored.portal.unwrap().to_string(), to.to_string());
    assert!(stored.session_id.is_some());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_lun_appears_and_a_removed_one_goes() {
    let config = target();
    let server = serve(config).await;
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    daemon.persistent_disk(server.local_addrs()[0]).await;
    let device = server.target(TARGET).unwrap().device();
    device.insert(
        2,
        super::support::unit(super::support::ram(1 << 20), "second"),
    );
    // The target tells of it with the next command's unit attention.
    test_unit_ready(&daemon.client).await;
    daemon
        .event("disk-ready", |event| event.lun == Some(2 << 48))
        .await;
    assert_eq!(daemon.disks().await.len(), 2);
    server.target(TARGET).unwrap().device().remove(1);
    // Or it is looked for.
    let refresh = v1::RefreshPortalsRequest::default();
    daemon
        .client
        .discovery()
        .refresh_portals(refresh)
        .await
        .unwrap();
    daemon
        .event("lun-gone", |event| event.lun == Some(1 << 48))
        .await;
    let left: Vec<_> = daemon
        .disks()
        .await
        .iter()
        .map(|disk| disk.lun_number)
        .collect();
    assert_eq!(left, [Some(2)]);
    daemon.stop().await;
}

/// TEST UNIT READY to LUN 1, so that the target can tell of what changed.
async fn test_unit_ready(client: &hawser_api::Client) {
    let nexus = v1::Nexus {
        which: Some(v1::nexus::Which::TargetName(TARGET.into())),
        lun: 1 << 48,
    };
    let request = v1::ExecuteRequest {
        nexus: Some(nexus),
        cdb: vec![0; 6],
        ..v1::ExecuteRequest::default()
    };
    client.scsi().execute(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_commands_are_answered_as_they_are() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    let informational = v1::LoginRequest {
        informational: true,
        ..now()
    };
    let login = daemon.login(informational).await.unwrap();
    let nexus = |lun: u64| v1::Nexus {
        which: login.session_id.map(v1::nexus::Which::SessionId),
        lun: lun << 48,
    };
    let mut scsi = daemon.client.scsi();
    let inquiry = v1::InquiryRequest {
        nexus: Some(nexus(1)),
        ..v1::InquiryRequest::default()
    };
    let answer = scsi.inquiry(inquiry).await.unwrap().into_inner();
    assert_eq!((answer.scsi_status, answer.data[0]), (0, 0), "a disk");
    let luns = v1::ReportLunsRequest {
        nexus: Some(nexus(0)),
    };
    let answer = scsi.report_luns(luns).await.unwrap().into_inner();
    // List length 8, four reserved bytes, then LUN 1 (SPC-4 section 6.33).
    assert_eq!(
        answer.data,
        [0, 0, 0, 8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    );
    let capacity = v1::ReadCapacityRequest {
        nexus: Some(nexus(1)),
        sixteen: false,
    };
    let answer = scsi.read_capacity(capacity).await.unwrap().into_inner();
    // Last block 0x1ffff, 512 bytes a block.
    assert_eq!(answer.data, [0, 1, 0xff, 0xff, 0, 0, 2, 0]);
    let bad = v1::ExecuteRequest {
        nexus: Some(nexus(1)),
        cdb: vec![0xff, 0, 0, 0, 0, 0],
        ..v1::ExecuteRequest::default()
    };
    let answer = scsi.execute(bad).await.unwrap().into_inner();
    assert_eq!(answer.scsi_status, 2, "CHECK CONDITION is an answer");
    assert!(!answer.sense.is_empty());
    assert!(
        daemon.disks().await.is_empty(),
        "informational sessions show no disks"
    );
    let gone = v1::ReportLunsRequest {
        nexus: Some(v1::Nexus::default()),
    };
    assert!(scsi.report_luns(gone).await.is_err());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_in_use_refuses_the_logout() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::Fuse);
    let daemon = place.start().await;
    let disk = daemon.persistent_disk(server.local_addrs()[0]).await;
    let input = std::fs::File::open(&disk.fuse_path).unwrap();
    let mut user = tokio::process::Command::new("sleep")
        .arg("600")
        .stdin(std::process::Stdio::from(input))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let out = |force| v1::LogoutRequest {
        which: Some(v1::logout_request::Which::TargetName(TARGET.into())),
        force,
    };
    let mut sessions = daemon.client.sessions();
    let refused = Failure::from(sessions.logout(out(false)).await.unwrap_err());
    assert_eq!(refused.status, Status::DEVICE_BUSY_ON_SESSION);
    let pid = user.id().unwrap();
    assert!(
        refused.message.contains(&format!("process {pid} (sleep)")),
        "{refused}"
    );
    assert_eq!(daemon.sessions().await.len(), 1);
    in_time(user.kill()).await.unwrap();
    let done = tokio::time::timeout(LIMIT, sessions.logout(out(false)))
        .await
        .unwrap();
    assert!(done.unwrap().into_inner().persistent_login_remains);
    assert!(daemon.disks().await.is_empty());
    let gone = Failure::from(sessions.logout(out(true)).await.unwrap_err());
    assert_eq!(gone.status, Status::TARGET_NOT_FOUND);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn static_targets_are_known_without_discovery() {
    let name = "iqn.2026-11.test.hawser:static";
    let server = serve(target_named(name, "static")).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let add = |persist, portals| v1::AddStaticTargetRequest {
        target_name: name.into(),
        persist,
        portals,
        ..v1::AddStaticTargetRequest::default()
    };
    let mut discovery = daemon.client.discovery();
    let passing = discovery
        .add_static_target(add(false, Vec::new()))
        .await
        .unwrap();
    assert_eq!(passing.into_inner().change(), v1::Change::Created);
    let login = v1::LoginRequest {
        target_name: name.into(),
        ..now()
    };
    assert_eq!(
        status(daemon.login(login.clone()).await),
        Status::NO_PORTAL_SPECIFIED
    );
    let portals = vec![portal(server.local_addrs()[0])];
    discovery
        .add_static_target(add(true, portals))
        .await
        .unwrap();
    daemon.login(login.clone()).await.unwrap();
    daemon.stop().await;
    let daemon = place.start().await;
    let mut discovery = daemon.client.discovery();
    let listed = discovery
        .list_targets(v1::ListTargetsRequest::default())
        .await
        .unwrap();
    let listed = listed.into_inner().targets;
    assert_eq!((listed.len(), listed[0].instances[0].persisted), (1, true));
    assert_eq!(listed[0].instances[0].mechanism_text, "Static:");
    let remove = v1::RemoveStaticTargetRequest {
        target_name: name.into(),
    };
    discovery
        .remove_static_target(remove.clone())
        .await
        .unwrap();
    let again = Failure::from(discovery.remove_static_target(remove).await.unwrap_err());
    assert_eq!(again.status, Status::TARGET_NOT_FOUND);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_must_prove_itself_in_mutual_chap() {
    let own = "initiator-secret";
    let chap = ChapConfig::one_way(USER, SECRET.into()).mutual("target-name", own.into());
    let server = serve(target().chap(chap)).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    let mut mutual = with_secret(persistent(), SECRET);
    mutual.login_options.as_mut().unwrap().auth_type = Some(v1::AuthType::MutualChap.into());
    let without = daemon.login(mutual.clone()).await;
    assert_eq!(status(without), Status::INVALID_INITIATOR_CHAP_SECRET);
    let mut security = daemon.client.security();
    let mut set = async |secret: &str| {
        let secret = Some(v1::Secret::new(secret));
        let request = v1::SetChapSecretRequest {
            secret,
            allow_long: false,
            store_short: false,
        };
        security
            .set_chap_secret(request)
            .await
            .unwrap()
            .into_inner()
            .warning
    };
    assert_eq!(set(SECRET).await, 0);
    let same = daemon.login(mutual.clone()).await;
    assert_eq!(
        status(same),
        Status::INVALID_CHAP_SECRET,
        "both directions the same"
    );
    assert_eq!(set("another-secret").await, 0);
    let wrong = daemon.login(mutual.clone()).await;
    assert_eq!(
        status(wrong),
        Status::AUTHENTICATION_FAILURE,
        "the target does not prove itself"
    );
    assert_eq!(set(own).await, 0);
    daemon.login(mutual).await.unwrap();
    daemon.stop().await;
    // The secrets are there after a restart, and nobody gets them.
    let daemon = place.start().await;
    daemon.event("session-up", |_| true).await;
    let session = daemon.sessions().await.remove(0);
    let authentication = session.authentication.unwrap();
    assert_eq!(authentication.r#type(), v1::AuthType::MutualChap);
    let request = v1::ListPersistentLoginsRequest {};
    let stored = daemon
        .client
        .sessions()
        .list_persistent_logins(request)
        .await
        .unwrap();
    let options = stored.into_inner().logins.remove(0).login_options.unwrap();
    assert!(options.secret_set && options.secret.is_none());
    for file in std::fs::read_dir(&place.config.state_dir)
        .unwrap()
        .flatten()
    {
        let bytes = std::fs::read(file.path()).unwrap();
        for secret in [SECRET, own] {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is readable in {}", file.path().display());
        }
    }
    daemon.stop().await;
}

/// A login, or a portal, from this address.
fn from(address: &str) -> Option<v1::InitiatorPort> {
    Some(v1::InitiatorPort {
        source_address: Some(address.into()),
        ..v1::InitiatorPort::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_source_address_is_used_and_kept_over_a_restart() {
    const SOURCE: &str = "127.9.8.7";
    let server = serve(target()).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    let chosen = v1::LoginRequest {
        initiator: from(SOURCE),
        ..persistent()
    };
    daemon.login(chosen.clone()).await.unwrap();
    let local = async |daemon: &super::support::Running| {
        let session = daemon.sessions().await.remove(0);
        let initiator = session.initiator.unwrap();
        assert_eq!(initiator.source_address.as_deref(), Some(SOURCE));
        session.connections[0]
            .local
            .as_ref()
            .unwrap()
            .address
            .clone()
    };
    assert_eq!(local(&daemon).await, SOURCE);
    let again = daemon.login(chosen.clone()).await.unwrap();
    assert!(again.already_logged_in);
    let elsewhere = v1::LoginRequest {
        initiator: from("127.9.8.6"),
        ..persistent()
    };
    assert_eq!(
        status(daemon.login(elsewhere).await),
        Status::TARGET_ALREADY_LOGGED_IN,
        "a session from another address is another login"
    );
    daemon.stop().await;

    let daemon = place.start().await;
    daemon.event("session-up", |_| true).await;
    assert_eq!(local(&daemon).await, SOURCE);
    let mut sessions = daemon.client.sessions();
    let remove = |address| v1::RemovePersistentLoginRequest {
        target_name: TARGET.into(),
        initiator: from(address),
        portal: None,
    };
    let other = sessions.remove_persistent_login(remove("127.9.8.6")).await;
    assert_eq!(
        Failure::from(other.unwrap_err()).status,
        Status::TARGET_NOT_FOUND
    );
    let removed = sessions.remove_persistent_login(remove(SOURCE)).await;
    assert_eq!(removed.unwrap().into_inner().removed, 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_is_asked_from_its_source_address_and_not_from_one_of_others() {
    const SOURCE: &str = "127.9.8.5";
    let listener = tokio::net::TcpListener::bind(super::support::anywhere())
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let add = |source| v1::AddPortalRequest {
        initiator: from(source),
        portal: Some(portal(address)),
        ..v1::AddPortalRequest::default()
    };
    let mut discovery = daemon.client.discovery();
    let foreign = Failure::from(discovery.add_portal(add("192.0.2.9")).await.unwrap_err());
    assert_eq!(foreign.status, Status::INVALID_PORT_NUMBER, "{foreign}");
    assert!(
        foreign.message.contains("192.0.2.9") && foreign.advice.contains("127.0.0.1"),
        "{foreign}"
    );
    // Whoever asks is seen and turned away.
    let asked = async { listener.accept().await.unwrap().1.ip().to_string() };
    let (refused, peer) = tokio::join!(discovery.add_portal(add(SOURCE)), in_time(asked));
    assert!(refused.is_err());
    assert_eq!(peer, SOURCE);
    let listed = discovery
        .list_portals(v1::ListPortalsRequest {})
        .await
        .unwrap()
        .into_inner()
        .portals;
    assert_eq!(listed.len(), 1, "the foreign address was not stored");
    let initiator = listed[0].initiator.as_ref().unwrap();
    assert_eq!(initiator.source_address.as_deref(), Some(SOURCE));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn short_chap_secrets_work_only_where_they_are_allowed() {
    let (theirs, own) = ("short", "shorter");
    let chap = ChapConfig::one_way(USER, theirs.into()).mutual("target-name", own.into());
    let server = serve(target().chap(chap)).await;
    let mut place = Place::new(ExportMode::None);
    let mut mutual = with_secret(persistent(), theirs);
    mutual.login_options.as_mut().unwrap().auth_type = Some(v1::AuthType::MutualChap.into());
    let set = v1::SetChapSecretRequest {
        secret: Some(v1::Secret::new(own)),
        allow_long: false,
        store_short: false,
    };
    let daemon = place.start().await;
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    let refused = daemon.login(mutual.clone()).await.unwrap_err();
    assert_eq!(refused.status, Status::INVALID_TARGET_CHAP_SECRET);
    assert!(refused.advice.contains("allow_short_secrets"), "{refused}");
    let refused = daemon.client.security().set_chap_secret(set.clone()).await;
    let refused = Failure::from(refused.unwrap_err());
    assert_eq!(refused.status, Status::INVALID_INITIATOR_CHAP_SECRET);
    assert!(refused.advice.contains("allow_short_secrets"), "{refused}");
    daemon.stop().await;
    place.config.allow_short_secrets = true;
    let daemon = place.start().await;
    let stored = daemon.client.security().set_chap_secret(set).await;
    let warning = stored.unwrap().into_inner().warning;
    assert_eq!(warning, Status::SHORT_CHAP_SECRET.code());
    daemon.login(mutual).await.unwrap();
    daemon.stop().await;
    // Forbidden again, the login that was stored is refused, and told with the reason.
    place.config.allow_short_secrets = false;
    let daemon = place.start().await;
    let told = daemon.event("login-not-restored", |_| true).await;
    let status = told.detail.unwrap().status;
    assert_eq!(status, Status::INVALID_TARGET_CHAP_SECRET.code());
    daemon.stop().await;
}
