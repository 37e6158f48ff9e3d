//! What the Discovery Library reports of sessions: connections, devices, and the numbers for them.

use hawser_api::{Failure, Status, v1};
use hawser_daemon::ExportMode;
use hawser_target::TargetConfig;

use super::support::{
    Asks, MIB, Place, Running, TARGET, now, persistent, portal, ram, serve, serve_at, target,
    target_named, unit,
};

const SECOND: &str = "iqn.2026-11.test.hawser:second";
const DISK: u32 = 7;

fn status<T: std::fmt::Debug>(result: Result<T, Failure>) -> Status {
    result.unwrap_err().status
}

/// Disks at LUN 0, 1 and 5.
fn three_disks() -> TargetConfig {
    let lun = |key| unit(ram(MIB), key);
    target().lun(0, lun("zero")).lun(5, lun("five"))
}

fn lun(number: u64) -> u64 {
    hawser_api::lun_from_number(number).unwrap()
}

async fn mappings(daemon: &Running) -> Vec<v1::ActiveMapping> {
    let request = v1::ListMappingsRequest {};
    let answer = daemon.client.sessions().list_mappings(request).await;
    answer.unwrap().into_inner().mappings
}

async fn devices(
    daemon: &Running,
    session_id: Option<v1::SessionId>,
) -> Result<Vec<v1::Device>, Failure> {
    let request = v1::ListDevicesRequest { session_id };
    let answer = daemon.client.volumes().list_devices(request).await?;
    Ok(answer.into_inner().devices)
}

/// Logs in and waits until so many disks are ready.
async fn log_in(daemon: &Running, request: v1::LoginRequest, disks: usize) -> v1::SessionId {
    let name = request.target_name.clone();
    let login = daemon.login(request).await.unwrap();
    let ready = std::sync::Mutex::new(0);
    let is_last = |event: &v1::Event| {
        let own = event.detail.as_ref().is_some_and(|d| d.target == name);
        let mut ready = ready.lock().unwrap();
        *ready += usize::from(own);
        *ready == disks
    };
    daemon.event("disk-ready", is_last).await;
    login.session_id.unwrap()
}

fn of(target: &str, request: v1::LoginRequest) -> v1::LoginRequest {
    v1::LoginRequest {
        target_name: target.into(),
        ..request
    }
}

fn mapping(bus: u32, target: u32, luns: &[(u32, u64)]) -> Option<v1::TargetMapping> {
    let luns = luns.iter();
    Some(v1::TargetMapping {
        os_bus_number: Some(bus),
        os_target_number: Some(target),
        luns: luns
            .map(|&(os_lun, number)| v1::LunMapping {
                os_lun,
                lun: lun(number),
            })
            .collect(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_mappings_have_numbers_that_stay_over_a_reconnect() {
    let server = serve(three_disks()).await;
    let second = serve(target_named(SECOND, "second")).await;
    let address = server.local_addrs()[0];
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    for address in [address, second.local_addrs()[0]] {
        daemon.add_portal(address).await.unwrap();
    }
    assert_eq!(mappings(&daemon).await, []);
    let first = log_in(&daemon, now(), 3).await;
    let other = log_in(&daemon, of(SECOND, now()), 1).await;

    let told = mappings(&daemon).await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].session_id, Some(first));
    assert_eq!(told[0].target_name, TARGET);
    assert_eq!(told[0].initiator_instance, "Root\\HAWSER\\0000_0");
    assert_eq!(told[0].os_device_name, "\\\\.\\Scsi0:");
    assert_eq!((told[0].os_bus_number, told[0].os_target_number), (0, 0));
    let luns: Vec<_> = told[0].luns.iter().map(|l| (l.os_lun, l.lun)).collect();
    assert_eq!(luns, [(0, lun(0)), (1, lun(1)), (5, lun(5))]);
    assert_eq!(told[1].session_id, Some(other));
    assert_eq!((told[1].os_bus_number, told[1].os_target_number), (0, 1));

    let shown = devices(&daemon, Some(first)).await.unwrap();
    assert_eq!(shown.len(), 3);
    let device = &shown[2];
    let place_of = device.scsi_address.unwrap();
    assert_eq!((place_of.port_number, place_of.path_id), (0, 0));
    assert_eq!((place_of.target_id, place_of.lun), (0, 5));
    assert_eq!((device.device_type, device.lun), (0, lun(5)));
    assert!(device.interface_name.contains("/disk/by-"), "{device:?}");
    assert!(std::path::Path::new(&device.legacy_name).exists());
    let mut numbers = Vec::new();
    for device in shown
        .iter()
        .chain(&devices(&daemon, Some(other)).await.unwrap())
    {
        let number = device.storage_device_number.unwrap();
        assert_eq!((number.device_type, number.partition_number), (DISK, 0));
        numbers.push(number.device_number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3], "each its own");

    server.kill().await;
    daemon.event("session-lost", |_| true).await;
    assert_eq!(devices(&daemon, Some(first)).await.unwrap(), [], "none now");
    assert_eq!(mappings(&daemon).await, told, "they keep their numbers");
    let _server = serve_at(address, three_disks()).await;
    daemon.event("session-back", |_| true).await;
    assert_eq!(mappings(&daemon).await, told);
    let again = devices(&daemon, Some(first)).await.unwrap();
    assert_eq!(again, shown);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_has_a_name_that_callers_have_room_for() {
    let longest = format!("{TARGET}{}", "x".repeat(223 - TARGET.len()));
    let server = serve(target_named(&longest, "disk")).await;
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    let session = log_in(&daemon, of(&longest, now()), 1).await;
    let disk = daemon.disks().await.remove(0);
    assert!(disk.links[0].contains("/by-target/") && disk.links[0].len() > 259);
    let device = devices(&daemon, Some(session)).await.unwrap().remove(0);
    let name = &device.interface_name;
    assert!(name.contains("/by-id/") && name.len() <= 259, "{name}");
    assert!(std::path::Path::new(name).exists(), "{name}");
    daemon.stop().await;
}

fn with_mapping(request: v1::LoginRequest, mapping: Option<v1::TargetMapping>) -> v1::LoginRequest {
    v1::LoginRequest { mapping, ..request }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_cannot_be_is_refused() {
    let server = serve(three_disks()).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    let out_of_range = Status::TARGET_MAPPING_OUT_OF_RANGE;
    let invalid = Status::INVALID_TARGET_MAPPING;
    for (wrong, expected) in [
        (mapping(256, 0, &[]), out_of_range),
        (mapping(0, 256, &[]), out_of_range),
        (mapping(0, 0, &[(1, 0), (1, 5)]), invalid),
        (mapping(0, 0, &[(1, 5), (2, 5)]), invalid),
    ] {
        let refused = daemon
            .login(with_mapping(persistent(), wrong.clone()))
            .await;
        assert_eq!(status(refused), expected);
        let request = v1::AddStaticTargetRequest {
            target_name: SECOND.into(),
            mapping: wrong,
            ..v1::AddStaticTargetRequest::default()
        };
        let refused = daemon.client.discovery().add_static_target(request).await;
        assert_eq!(status(refused.map_err(Failure::from)), expected);
    }
    assert!(daemon.sessions().await.is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_a_mapping_asks_for_are_given_or_refused() {
    let server = serve(three_disks()).await;
    let second = serve(target_named(SECOND, "second")).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    for server in [&server, &second] {
        daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    }
    let wanted = mapping(3, 7, &[(0, 5), (9, 0)]);
    let first = log_in(&daemon, with_mapping(persistent(), wanted.clone()), 3).await;
    let told = mappings(&daemon).await;
    assert_eq!((told[0].os_bus_number, told[0].os_target_number), (3, 7));
    let luns: Vec<_> = told[0].luns.iter().map(|l| (l.os_lun, l.lun)).collect();
    assert_eq!(luns, [(0, lun(5)), (1, lun(1)), (9, lun(0))]);
    let taken = with_mapping(of(SECOND, now()), wanted.clone());
    let refused = daemon.login(taken.clone()).await;
    assert_eq!(status(refused), Status::TARGET_MAPPING_UNAVAILABLE);
    assert_eq!(daemon.sessions().await.len(), 1);
    // One without disks has no numbers to take.
    let informational = v1::LoginRequest {
        informational: true,
        ..taken
    };
    let quiet = daemon.login(informational).await.unwrap().session_id;
    assert_eq!(mappings(&daemon).await.len(), 1);
    assert_eq!(devices(&daemon, quiet).await.unwrap(), []);

    what_a_target_has_stored_counts(&daemon).await;
    daemon.stop().await;

    // A stored login has its numbers again.
    let daemon = place.start().await;
    daemon.event("disk-ready", |_| true).await;
    let told = mappings(&daemon).await;
    assert_ne!(told[0].session_id, Some(first), "another session");
    assert_eq!((told[0].os_bus_number, told[0].os_target_number), (3, 7));
    daemon.stop().await;
}

/// Where the login says nothing.
async fn what_a_target_has_stored_counts(daemon: &Running) {
    let which = v1::logout_request::Which::TargetName(SECOND.into());
    let logout = v1::LogoutRequest {
        which: Some(which),
        force: false,
    };
    daemon.client.sessions().logout(logout).await.unwrap();
    let request = v1::AddStaticTargetRequest {
        target_name: SECOND.into(),
        mapping: mapping(u32::MAX, 9, &[(4, 1)]),
        ..v1::AddStaticTargetRequest::default()
    };
    daemon
        .client
        .discovery()
        .add_static_target(request)
        .await
        .unwrap();
    log_in(daemon, of(SECOND, now()), 1).await;
    let told = mappings(daemon).await;
    assert_eq!((told[1].os_bus_number, told[1].os_target_number), (0, 9));
    assert_eq!(told[1].luns[0].os_lun, 4);
}

fn addition(session_id: Option<v1::SessionId>) -> v1::AddConnectionRequest {
    v1::AddConnectionRequest {
        session_id,
        ..v1::AddConnectionRequest::default()
    }
}

const NO_SESSION: v1::SessionId = v1::SessionId {
    adapter_unique: 1,
    adapter_specific: 2,
};

/// Connections that are asked for in vain, and the status of each.
fn vain_additions(
    id: Option<v1::SessionId>,
    address: std::net::SocketAddr,
) -> Vec<(v1::AddConnectionRequest, Status)> {
    let port = |instance: &str, port_number| v1::AddConnectionRequest {
        initiator: Some(v1::InitiatorPort {
            instance: instance.to_owned(),
            port_number,
            source_address: None,
        }),
        ..addition(id)
    };
    let flags = |security_flags| v1::AddConnectionRequest {
        security_flags,
        ..addition(id)
    };
    let to = |portal| v1::AddConnectionRequest {
        portal: Some(portal),
        ..addition(id)
    };
    let odd_kind = v1::AddConnectionRequest {
        login_options: Some(v1::LoginOptions {
            auth_type: Some(9),
            ..Default::default()
        }),
        ..addition(id)
    };
    let long_key = v1::AddConnectionRequest {
        preshared_key: Some(v1::Secret::new(vec![1; 1025])),
        ..addition(id)
    };
    let nowhere = v1::Portal {
        address: "a b".into(),
        ..Default::default()
    };
    vec![
        (addition(None), Status::INVALID_SESSION_ID),
        (addition(Some(NO_SESSION)), Status::INVALID_SESSION_ID),
        (port("other", None), Status::INITIATOR_NOT_FOUND),
        (port("", Some(9999)), Status::INVALID_PORT_NUMBER),
        (flags(0x0d), Status::ERROR_INVALID_PARAMETER),
        (flags(0x03), Status::IPSEC_NOT_SUPPORTED_ON_OS),
        (odd_kind, Status::INVALID_LOGON_AUTH_TYPE),
        (to(nowhere), Status::ERROR_INVALID_PARAMETER),
        (long_key, Status::ERROR_INVALID_PARAMETER),
        (addition(id), Status::TOO_MANY_CONNECTIONS),
        (port("", Some(0)), Status::TOO_MANY_CONNECTIONS),
        (to(portal(address)), Status::TOO_MANY_CONNECTIONS),
    ]
}

async fn add_connection(daemon: &Running, request: v1::AddConnectionRequest) -> Status {
    let added = daemon.client.sessions().add_connection(request).await;
    status(added.map_err(Failure::from))
}

async fn remove_connection(
    daemon: &Running,
    session_id: Option<v1::SessionId>,
    connection_id: Option<v1::ConnectionId>,
) -> Status {
    let request = v1::RemoveConnectionRequest {
        session_id,
        connection_id,
    };
    let removed = daemon.client.sessions().remove_connection(request).await;
    status(removed.map_err(Failure::from))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_connection_is_checked_and_refused_and_the_session_stays() {
    let server = serve(target()).await;
    let address = server.local_addrs()[0];
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(address).await.unwrap();
    let login = daemon.login(now()).await.unwrap();
    let id = login.session_id;
    let before = daemon.sessions().await;
    for (request, expected) in vain_additions(id, address) {
        let shown = format!("{request:?}");
        let added = add_connection(&daemon, request).await;
        assert_eq!(added, expected, "{shown}");
    }
    let own = login.connection_id.unwrap();
    let none_such = v1::ConnectionId {
        adapter_specific: own.adapter_specific + 1,
        ..own
    };
    for (session, connection, expected) in [
        (Some(NO_SESSION), Some(own), Status::INVALID_SESSION_ID),
        (id, None, Status::INVALID_CONNECTION_ID),
        (id, Some(none_such), Status::INVALID_CONNECTION_ID),
        (id, Some(own), Status::CANT_REMOVE_LAST_CONNECTION),
    ] {
        let removed = remove_connection(&daemon, session, connection).await;
        assert_eq!(removed, expected, "{session:?} {connection:?}");
    }
    let after = daemon.sessions().await;
    assert_eq!(after[0].connections, before[0].connections);
    assert_eq!(after[0].state(), v1::SessionState::LoggedIn);
    assert_eq!(server.sessions().len(), 1);

    // While it is lost it has no connection to remove.
    server.kill().await;
    daemon.event("session-lost", |_| true).await;
    let removed = remove_connection(&daemon, id, Some(own)).await;
    assert_eq!(removed, Status::INVALID_CONNECTION_ID);
    let added = add_connection(&daemon, addition(id)).await;
    assert_eq!(added, Status::TOO_MANY_CONNECTIONS);
    let gone = devices(&daemon, Some(NO_SESSION)).await;
    assert_eq!(status(gone), Status::INVALID_SESSION_ID);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mechanism_names_the_address_that_its_portal_is_asked_from() {
    let server = serve(target()).await;
    let address = server.local_addrs()[0];
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(address).await.unwrap();
    let request = v1::AddPortalRequest {
        portal: Some(portal(address)),
        initiator: Some(v1::InitiatorPort {
            source_address: Some("127.0.0.1".into()),
            ..v1::InitiatorPort::default()
        }),
        ..v1::AddPortalRequest::default()
    };
    daemon.client.discovery().add_portal(request).await.unwrap();
    let request = v1::AddStaticTargetRequest {
        target_name: TARGET.into(),
        alias: "by hand".into(),
        ..v1::AddStaticTargetRequest::default()
    };
    daemon
        .client
        .discovery()
        .add_static_target(request)
        .await
        .unwrap();
    let target_name = TARGET.to_owned();
    let request = v1::GetTargetRequest { target_name };
    let told = daemon.client.discovery().get_target(request).await;
    let told = told.unwrap().into_inner().target.unwrap();
    assert_eq!(told.alias, "by hand");
    let texts: Vec<_> = told
        .instances
        .iter()
        .map(|i| i.mechanism_text.as_str())
        .collect();
    let (ip, port) = (address.ip(), address.port());
    let plain = format!("SendTargets:*{ip} {port:07} Root\\HAWSER\\0000_0");
    assert_eq!(texts, [&plain, &format!("{plain} 127.0.0.1"), "Static:"]);
    let mut discovery = daemon.client.discovery();
    let listed = discovery.list_targets(v1::ListTargetsRequest::default());
    let listed = listed.await.unwrap().into_inner().targets;
    assert_eq!(listed, [told]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_added_without_an_initiator_is_also_that_of_the_one_there_is() {
    let server = serve(target()).await;
    let address = server.local_addrs()[0];
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(address).await.unwrap();
    let stored = v1::LoginRequest {
        mode: v1::LoginMode::Store.into(),
        ..now()
    };
    daemon.login(stored).await.unwrap();
    let initiator = |instance: &str| {
        Some(v1::InitiatorPort {
            instance: instance.to_owned(),
            ..v1::InitiatorPort::default()
        })
    };
    let forget = async |instance: &str| {
        let request = v1::RemovePersistentLoginRequest {
            initiator: initiator(instance),
            target_name: TARGET.into(),
            portal: None,
        };
        let mut sessions = daemon.client.sessions();
        let removed = sessions.remove_persistent_login(request).await;
        removed.map_err(Failure::from)
    };
    let remove = async |instance: &str| {
        let request = v1::RemovePortalRequest {
            initiator: initiator(instance),
            portal: Some(portal(address)),
        };
        let mut discovery = daemon.client.discovery();
        let removed = discovery.remove_portal(request).await;
        removed.map_err(Failure::from)
    };
    assert_eq!(status(forget("other").await), Status::INITIATOR_NOT_FOUND);
    assert_eq!(status(remove("other").await), Status::INITIATOR_NOT_FOUND);
    let ours = "Root\\HAWSER\\0000_0";
    assert_eq!(forget(ours).await.unwrap().into_inner().removed, 1);
    assert_eq!(status(forget(ours).await), Status::TARGET_NOT_FOUND);
    remove(ours).await.unwrap();
    assert_eq!(status(remove(ours).await), Status::PORTAL_NOT_FOUND);
    daemon.stop().await;
}
