//! What is kept for iSNS, RADIUS and IPsec: checked, stored or passing, reported, and no secret comes out.

use hawser_api::{Client, Failure, Status, v1};
use hawser_daemon::ExportMode;

use super::support::{Asks, Place, Running, now, portal, serve, target};

const RADIUS_SECRET: &str = "radius-secret-of-24-byte";
const GROUP_KEY: &str = "the-group-preshared-key";
const IKE_KEY: &str = "the-ike-preshared-key";
const INSTANCE: &str = "Root\\HAWSER\\0000_0";

fn status<T: std::fmt::Debug>(result: Result<T, Failure>) -> Status {
    result.unwrap_err().status
}

async fn add_isns(client: &Client, address: &str) -> Result<v1::AddIsnsServerResponse, Failure> {
    let address = address.to_owned();
    let request = v1::AddIsnsServerRequest { address };
    Ok(client
        .discovery()
        .add_isns_server(request)
        .await?
        .into_inner())
}

async fn remove_isns(client: &Client, address: &str) -> Result<(), Failure> {
    let address = address.to_owned();
    let request = v1::RemoveIsnsServerRequest { address };
    client.discovery().remove_isns_server(request).await?;
    Ok(())
}

async fn refresh_isns(client: &Client, address: &str) -> Result<Vec<v1::IsnsRefresh>, Failure> {
    let address = address.to_owned();
    let request = v1::RefreshIsnsServersRequest { address };
    let answer = client.discovery().refresh_isns_servers(request).await?;
    Ok(answer.into_inner().servers)
}

async fn isns(client: &Client) -> Vec<v1::IsnsServer> {
    let request = v1::ListIsnsServersRequest {};
    let answer = client.discovery().list_isns_servers(request).await;
    answer.unwrap().into_inner().servers
}

fn addresses(servers: &[v1::IsnsServer]) -> Vec<&str> {
    let servers = servers.iter();
    servers.map(|server| server.address.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn isns_servers_are_kept_though_nothing_can_ask_them() {
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let client = &daemon.client;
    assert_eq!(isns(client).await, []);
    assert_eq!(refresh_isns(client, "").await.unwrap(), []);

    let refused = add_isns(client, "isns.example").await.unwrap_err();
    assert_eq!(refused.status, Status::ISNS_SERVER_NOT_FOUND, "{refused}");
    assert!(
        refused.message.contains("isns.example") && !refused.advice.is_empty(),
        "{refused}"
    );
    let again = add_isns(client, "ISNS.example").await;
    assert_eq!(status(again), Status::ISNS_SERVER_NOT_FOUND);
    add_isns(client, "192.0.2.20").await.unwrap_err();
    let listed = isns(client).await;
    assert_eq!(addresses(&listed), ["ISNS.example", "192.0.2.20"], "once");
    let told = listed[0].last_error.as_ref().unwrap();
    assert_eq!(told.status, refused.status.code());
    assert_eq!(
        (listed[0].last_answer_ms, listed[0].targets.len()),
        (None, 0)
    );

    for wrong in ["", " ", "a b", "http://x", &*"x".repeat(256)] {
        let refused = add_isns(client, wrong).await;
        assert_eq!(status(refused), Status::ERROR_INVALID_PARAMETER, "{wrong}");
    }
    assert_eq!(isns(client).await.len(), 2, "nothing of that is stored");

    // One that is named fails the call, all of them do not; nor does a refresh of the targets.
    let named = refresh_isns(client, "isns.EXAMPLE").await;
    assert_eq!(status(named), Status::ISNS_SERVER_NOT_FOUND);
    let unknown = refresh_isns(client, "other.example").await;
    assert_eq!(status(unknown), Status::ISNS_SERVER_NOT_FOUND);
    let all = refresh_isns(client, "").await.unwrap();
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|server| server.error.is_some()));
    let request = v1::ListTargetsRequest {
        refresh: true,
        ..v1::ListTargetsRequest::default()
    };
    let targets = client.discovery().list_targets(request).await.unwrap();
    assert_eq!(targets.into_inner().refreshed_isns, all);
    daemon.stop().await;

    let daemon = place.start().await;
    let client = &daemon.client;
    daemon.event("isns-server-failed", |_| true).await;
    assert_eq!(
        addresses(&isns(client).await),
        ["ISNS.example", "192.0.2.20"]
    );
    remove_isns(client, "isns.example").await.unwrap();
    let twice = remove_isns(client, "isns.example").await;
    assert_eq!(status(twice), Status::ISNS_SERVER_NOT_FOUND);
    assert_eq!(addresses(&isns(client).await), ["192.0.2.20"]);
    daemon.stop().await;
}

async fn add_radius(client: &Client, address: &str) -> Result<v1::Change, Failure> {
    let address = address.to_owned();
    let request = v1::AddRadiusServerRequest { address };
    let answer = client.security().add_radius_server(request).await?;
    Ok(answer.into_inner().change())
}

async fn remove_radius(client: &Client, address: &str) -> Result<(), Failure> {
    let address = address.to_owned();
    let request = v1::RemoveRadiusServerRequest { address };
    client.security().remove_radius_server(request).await?;
    Ok(())
}

async fn radius(client: &Client) -> (Vec<String>, bool) {
    let request = v1::ListRadiusServersRequest {};
    let answer = client.security().list_radius_servers(request).await;
    let answer = answer.unwrap().into_inner();
    (answer.addresses, answer.secret_set)
}

async fn set_radius_secret(client: &Client, secret: &str) -> Result<v1::Change, Failure> {
    let secret = Some(v1::Secret::new(secret));
    let request = v1::SetRadiusSecretRequest { secret };
    let answer = client.security().set_radius_secret(request).await?;
    Ok(answer.into_inner().change())
}

#[tokio::test(flavor = "multi_thread")]
async fn radius_servers_and_their_secret_are_kept() {
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let client = &daemon.client;
    assert_eq!(radius(client).await, (vec![], false));
    let longest = "x".repeat(41);
    assert_eq!(
        add_radius(client, "192.0.2.30").await.unwrap(),
        v1::Change::Created
    );
    assert_eq!(
        add_radius(client, &longest).await.unwrap(),
        v1::Change::Created
    );
    assert_eq!(
        add_radius(client, "192.0.2.30").await.unwrap(),
        v1::Change::Unchanged
    );
    for wrong in ["", "a b", &*"x".repeat(42)] {
        let refused = add_radius(client, wrong).await;
        assert_eq!(status(refused), Status::ERROR_INVALID_PARAMETER, "{wrong}");
    }
    for wrong in [&*"s".repeat(21), &*"s".repeat(27), &*"s".repeat(2000)] {
        let refused = set_radius_secret(client, wrong).await;
        assert_eq!(status(refused), Status::ERROR_INVALID_PARAMETER);
    }
    let both = vec!["192.0.2.30".to_owned(), longest.clone()];
    assert_eq!(radius(client).await, (both.clone(), false));
    let set = set_radius_secret(client, RADIUS_SECRET).await.unwrap();
    assert_eq!(set, v1::Change::Created);
    let same = set_radius_secret(client, RADIUS_SECRET).await.unwrap();
    assert_eq!(same, v1::Change::Updated, "never says that it is the same");
    daemon.stop().await;

    let daemon = place.start().await;
    let client = &daemon.client;
    assert_eq!(radius(client).await, (both, true));
    remove_radius(client, &longest.to_uppercase())
        .await
        .unwrap();
    let twice = remove_radius(client, &longest).await;
    assert_eq!(status(twice), Status::ERROR_NOT_FOUND);
    let cleared = set_radius_secret(client, "").await.unwrap();
    assert_eq!(cleared, v1::Change::Removed);
    let nothing = set_radius_secret(client, "").await.unwrap();
    assert_eq!(nothing, v1::Change::Unchanged);
    assert_eq!(radius(client).await, (vec!["192.0.2.30".to_owned()], false));
    daemon.stop().await;
}

fn identity(id_type: u32, id: &[u8]) -> Option<v1::IkeIdentity> {
    let id = id.to_vec();
    Some(v1::IkeIdentity { id_type, id })
}

fn ike(id: &str, flags: u64, persist: bool) -> v1::SetIkeInfoRequest {
    v1::SetIkeInfoRequest {
        initiator: None,
        auth_method: 1,
        identity: identity(2, id.as_bytes()),
        security_flags: flags,
        key: Some(v1::Secret::new(IKE_KEY)),
        persist,
    }
}

async fn set_ike(client: &Client, request: v1::SetIkeInfoRequest) -> Result<v1::Change, Failure> {
    let answer = client.security().set_ike_info(request).await?;
    Ok(answer.into_inner().change())
}

async fn ike_flags(
    client: &Client,
    initiator: Option<v1::InitiatorPort>,
    id: &str,
) -> Result<u64, Failure> {
    let request = v1::GetIkeInfoRequest {
        initiator,
        auth_method: 1,
        identity: identity(2, id.as_bytes()),
    };
    let answer = client.security().get_ike_info(request).await?;
    Ok(answer.into_inner().security_flags)
}

async fn ike_infos(client: &Client) -> Vec<v1::IkeInfo> {
    let request = v1::ListIkeInfoRequest {};
    let answer = client.security().list_ike_info(request).await;
    answer.unwrap().into_inner().infos
}

/// The port that is the loopback address.
async fn loopback(client: &Client) -> v1::InitiatorPort {
    let request = v1::ListInitiatorsRequest {};
    let answer = client.system().list_initiators(request).await.unwrap();
    let initiator = answer.into_inner().initiators.remove(0);
    assert_eq!(initiator.instance, INSTANCE);
    let mut ports = initiator.ports.into_iter();
    let port = ports.find(|port| port.address == "127.0.0.1").unwrap();
    v1::InitiatorPort {
        instance: initiator.instance,
        port_number: Some(port.port_number),
        source_address: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ike_identities_give_their_flags_and_never_their_key() {
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let client = &daemon.client;
    let none = ike_flags(client, None, "a.example").await;
    assert_eq!(status(none), Status::NO_AUTH_INFO_AVAILABLE);
    let port = loopback(client).await;
    let of_port = v1::SetIkeInfoRequest {
        initiator: Some(port.clone()),
        ..ike("a.example", 0x27, true)
    };
    assert_eq!(
        set_ike(client, ike("a.example", 0x07, true)).await.unwrap(),
        v1::Change::Created
    );
    assert_eq!(
        set_ike(client, of_port.clone()).await.unwrap(),
        v1::Change::Created
    );
    assert_eq!(set_ike(client, of_port).await.unwrap(), v1::Change::Updated);
    assert_eq!(
        set_ike(client, ike("b.example", 1 << 40, false))
            .await
            .unwrap(),
        v1::Change::Created
    );

    // What is set for the port goes before what is set for all of them.
    let flags = async |initiator, id| ike_flags(client, initiator, id).await.unwrap();
    assert_eq!(flags(None, "a.example").await, 0x07);
    assert_eq!(flags(Some(port.clone()), "a.example").await, 0x27);
    assert_eq!(flags(Some(port.clone()), "b.example").await, 1 << 40);
    let other = ike_flags(client, Some(port.clone()), "c.example").await;
    assert_eq!(status(other), Status::TARGET_PRESHAREDKEY_UNAVAILABLE);
    daemon.stop().await;

    let daemon = place.start().await;
    let client = &daemon.client;
    let infos = ike_infos(client).await;
    let told: Vec<_> = infos
        .iter()
        .map(|info| (info.security_flags, info.persisted))
        .collect();
    assert_eq!(told, [(0x07, true), (0x27, true)], "b.example was passing");
    assert_eq!(
        ike_flags(client, Some(port.clone()), "a.example")
            .await
            .unwrap(),
        0x27
    );
    // Without a key it is removed, here until the end only.
    let removal = v1::SetIkeInfoRequest {
        key: None,
        ..ike("a.example", 0, false)
    };
    assert_eq!(
        set_ike(client, removal.clone()).await.unwrap(),
        v1::Change::Removed
    );
    assert_eq!(
        set_ike(client, removal).await.unwrap(),
        v1::Change::Unchanged
    );
    assert_eq!(
        ike_flags(client, None, "a.example").await.unwrap(),
        0x27,
        "the port's is left"
    );
    daemon.stop().await;
    let daemon = place.start().await;
    assert_eq!(ike_infos(&daemon.client).await.len(), 2);
    daemon.stop().await;
}

fn good_ike() -> v1::SetIkeInfoRequest {
    ike("a.example", 0x03, true)
}

fn ike_with_id(id_type: u32, id: &[u8]) -> v1::SetIkeInfoRequest {
    v1::SetIkeInfoRequest {
        identity: identity(id_type, id),
        ..good_ike()
    }
}

fn ike_at(instance: &str, port_number: Option<u32>) -> v1::SetIkeInfoRequest {
    v1::SetIkeInfoRequest {
        initiator: Some(v1::InitiatorPort {
            instance: instance.to_owned(),
            port_number,
            source_address: None,
        }),
        ..good_ike()
    }
}

/// Questions that are refused, and the status of each.
fn bad_ike() -> Vec<(v1::SetIkeInfoRequest, Status)> {
    let with_flags = |security_flags| v1::SetIkeInfoRequest {
        security_flags,
        ..good_ike()
    };
    let nameless = v1::SetIkeInfoRequest {
        identity: None,
        ..good_ike()
    };
    let without_method = v1::SetIkeInfoRequest {
        auth_method: 0,
        ..good_ike()
    };
    let long_key = v1::SetIkeInfoRequest {
        key: Some(v1::Secret::new(vec![7; 1025])),
        ..good_ike()
    };
    let size = Status::IKE_ID_PAYLOAD_INCORRECT_SIZE;
    let kind = Status::IKE_ID_PAYLOAD_TYPE_NOT_SUPPORTED;
    vec![
        (ike_with_id(1, &[192, 0, 2]), size),
        (ike_with_id(5, &[0; 15]), size),
        (ike_with_id(2, b""), size),
        (ike_with_id(3, &[b'x'; 256]), size),
        (ike_with_id(4, b"x"), kind),
        (nameless, kind),
        (without_method, Status::ERROR_INVALID_PARAMETER),
        (long_key, Status::ERROR_INVALID_PARAMETER),
        (with_flags(0x0f), Status::ERROR_INVALID_PARAMETER),
        (with_flags(0x63), Status::ERROR_INVALID_PARAMETER),
        (
            ike_at("Root\\OTHER\\0000_0", None),
            Status::INITIATOR_NOT_FOUND,
        ),
        (ike_at(INSTANCE, Some(9999)), Status::INVALID_PORT_NUMBER),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_an_ike_identity_is_refused_by_its_status() {
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let client = &daemon.client;
    for (request, expected) in bad_ike() {
        let shown = format!("{request:?}");
        assert_eq!(status(set_ike(client, request).await), expected, "{shown}");
    }
    assert_eq!(ike_infos(client).await, [], "nothing is stored");
    for (id_type, id) in [
        (1, &[192, 0, 2, 1][..]),
        (3, b"me@a.example"),
        (5, &[0; 16]),
    ] {
        set_ike(client, ike_with_id(id_type, id)).await.unwrap();
    }
    set_ike(client, ike_at("", Some(0))).await.unwrap();
    set_ike(client, ike_at(&INSTANCE.to_lowercase(), None))
        .await
        .unwrap();
    assert_eq!(ike_infos(client).await.len(), 5);
    daemon.stop().await;
}

async fn set_group_key(client: &Client, key: &[u8], persist: bool) -> Result<v1::Change, Failure> {
    let key = Some(v1::Secret::new(key));
    let request = v1::SetGroupPresharedKeyRequest { key, persist };
    let answer = client.security().set_group_preshared_key(request).await?;
    Ok(answer.into_inner().change())
}

async fn daemon_status(client: &Client) -> v1::GetStatusResponse {
    let request = v1::GetStatusRequest {};
    client
        .system()
        .get_status(request)
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_group_key_is_stored_or_passing() {
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let client = &daemon.client;
    let is_set = async |client: &Client| daemon_status(client).await.group_preshared_key_set;
    assert!(!is_set(client).await);
    let long = set_group_key(client, &[b'k'; 1025], true).await;
    assert_eq!(status(long), Status::ERROR_INVALID_PARAMETER);
    assert!(!is_set(client).await);
    assert_eq!(
        set_group_key(client, b"passing", false).await.unwrap(),
        v1::Change::Created
    );
    assert!(is_set(client).await);
    daemon.stop().await;

    let daemon = place.start().await;
    let client = &daemon.client;
    assert!(!is_set(client).await, "it has passed");
    set_group_key(client, GROUP_KEY.as_bytes(), true)
        .await
        .unwrap();
    let same = set_group_key(client, GROUP_KEY.as_bytes(), true)
        .await
        .unwrap();
    assert_eq!(same, v1::Change::Updated, "never says that it is the same");
    assert_eq!(
        set_group_key(client, b"", false).await.unwrap(),
        v1::Change::Removed
    );
    assert!(!is_set(client).await, "cleared until the end");
    daemon.stop().await;

    let daemon = place.start().await;
    let client = &daemon.client;
    assert!(is_set(client).await);
    assert_eq!(
        set_group_key(client, b"", true).await.unwrap(),
        v1::Change::Removed
    );
    assert_eq!(
        set_group_key(client, b"", true).await.unwrap(),
        v1::Change::Unchanged
    );
    assert!(!is_set(client).await);
    daemon.stop().await;
}

fn tunnel(destination: &str, outer: &str, persist: bool) -> v1::SetTunnelAddressRequest {
    v1::SetTunnelAddressRequest {
        initiator: None,
        destination_address: destination.to_owned(),
        outer_address: outer.to_owned(),
        persist,
    }
}

async fn set_tunnel(
    client: &Client,
    request: v1::SetTunnelAddressRequest,
) -> Result<v1::Change, Failure> {
    let answer = client.security().set_tunnel_address(request).await?;
    Ok(answer.into_inner().change())
}

async fn tunnels(client: &Client) -> Vec<(String, String, bool)> {
    let request = v1::ListTunnelAddressesRequest {};
    let answer = client.security().list_tunnel_addresses(request).await;
    let tunnels = answer.unwrap().into_inner().addresses.into_iter();
    let tunnels = tunnels.map(|tunnel| {
        let (to, outer) = (tunnel.destination_address, tunnel.outer_address);
        (to, outer, tunnel.persisted)
    });
    tunnels.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tunnels_have_outer_addresses_by_destination() {
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let client = &daemon.client;
    let set = async |request| set_tunnel(client, request).await.unwrap();
    assert_eq!(
        set(tunnel("", "198.51.100.1", true)).await,
        v1::Change::Created
    );
    assert_eq!(
        set(tunnel("san.example", "2001:db8::1", true)).await,
        v1::Change::Created
    );
    assert_eq!(
        set(tunnel("SAN.example", "2001:db8::2", true)).await,
        v1::Change::Updated
    );
    assert_eq!(
        set(tunnel("192.0.2.1", "198.51.100.2", false)).await,
        v1::Change::Created
    );
    for (wrong, expected) in [
        (
            tunnel("", "gate.example", true),
            Status::ERROR_INVALID_PARAMETER,
        ),
        (
            tunnel("a b", "198.51.100.1", true),
            Status::ERROR_INVALID_PARAMETER,
        ),
        (
            tunnel(&"x".repeat(256), "198.51.100.1", true),
            Status::ERROR_INVALID_PARAMETER,
        ),
        (
            v1::SetTunnelAddressRequest {
                initiator: Some(v1::InitiatorPort {
                    instance: "other".to_owned(),
                    ..v1::InitiatorPort::default()
                }),
                ..tunnel("", "198.51.100.9", true)
            },
            Status::INITIATOR_NOT_FOUND,
        ),
    ] {
        assert_eq!(status(set_tunnel(client, wrong).await), expected);
    }
    let entry = |to: &str, outer: &str, persisted| (to.to_owned(), outer.to_owned(), persisted);
    let stored = [
        entry("", "198.51.100.1", true),
        entry("SAN.example", "2001:db8::2", true),
    ];
    let mut all = stored.to_vec();
    all.push(entry("192.0.2.1", "198.51.100.2", false));
    assert_eq!(tunnels(client).await, all);
    daemon.stop().await;

    let daemon = place.start().await;
    let client = &daemon.client;
    assert_eq!(tunnels(client).await, stored);
    let removed = set_tunnel(client, tunnel("san.example", "", true)).await;
    assert_eq!(removed.unwrap(), v1::Change::Removed);
    let again = set_tunnel(client, tunnel("san.example", "", true)).await;
    assert_eq!(again.unwrap(), v1::Change::Unchanged);
    assert_eq!(tunnels(client).await, stored[..1]);
    daemon.stop().await;
}

/// Everything that the daemon tells of these settings, as text.
async fn everything(daemon: &Running) -> String {
    let client = &daemon.client;
    let mut shown = format!(
        "{:?}{:?}{:?}{:?}{:?}",
        daemon_status(client).await,
        radius(client).await,
        ike_infos(client).await,
        tunnels(client).await,
        ike_flags(client, None, "a.example").await,
    );
    let request = v1::ListPersistentLoginsRequest {};
    let logins = client.sessions().list_persistent_logins(request).await;
    shown += &format!("{:?}", logins.unwrap().into_inner());
    let request = v1::WatchEventsRequest::default();
    let mut events = client
        .system()
        .watch_events(request)
        .await
        .unwrap()
        .into_inner();
    while let Some(event) = events.message().await.unwrap() {
        shown += &format!("{event:?}");
    }
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_these_comes_out_or_lies_open_on_the_disk() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let client = &daemon.client;
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    let login = v1::LoginRequest {
        mode: v1::LoginMode::Store.into(),
        portal: Some(portal(server.local_addrs()[0])),
        preshared_key: Some(v1::Secret::new("the-key-of-a-login")),
        ..now()
    };
    daemon.login(login).await.unwrap();
    set_radius_secret(client, RADIUS_SECRET).await.unwrap();
    set_group_key(client, GROUP_KEY.as_bytes(), true)
        .await
        .unwrap();
    set_ike(client, ike("a.example", 0x27, true)).await.unwrap();
    let shown = everything(&daemon).await;
    assert!(shown.contains("radius_secret_set: true"), "{shown}");
    assert!(shown.contains("preshared_key_set: true"), "{shown}");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&place.config.state_dir).unwrap() {
        files.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    for secret in [RADIUS_SECRET, GROUP_KEY, IKE_KEY, "the-key-of-a-login"] {
        // As a byte vector prints.
        let numbers = format!("{:?}", secret.as_bytes());
        let numbers = numbers.trim_matches(['[', ']']);
        assert!(
            !shown.contains(secret) && !shown.contains(numbers),
            "{secret}"
        );
        let open = files
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!open, "{secret} lies open on the disk");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_demands_ipsec_or_radius_is_refused_when_it_connects_and_not_before() {
    let server = serve(target()).await;
    let address = server.local_addrs()[0];
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(address).await.unwrap();
    let with = |login_flags, security_flags, mode: v1::LoginMode| v1::LoginRequest {
        security_flags,
        mode: mode.into(),
        login_options: Some(v1::LoginOptions {
            login_flags,
            ..v1::LoginOptions::default()
        }),
        ..now()
    };
    for (login, security, expected) in [
        (0x10, 0, Status::REQUEST_NOT_SUPPORTED),
        (0x20, 0, Status::REQUEST_NOT_SUPPORTED),
        (0x01, 0, Status::IPSEC_NOT_SUPPORTED_ON_OS),
        (0, 0x03, Status::IPSEC_NOT_SUPPORTED_ON_OS),
        (0, 0x0d, Status::ERROR_INVALID_PARAMETER),
    ] {
        let refused = daemon
            .login(with(login, security, v1::LoginMode::Now))
            .await;
        assert_eq!(status(refused), expected);
    }
    daemon
        .login(with(0x31, 0x03, v1::LoginMode::Store))
        .await
        .unwrap();
    let contradiction = daemon.login(with(0, 0x61, v1::LoginMode::Store)).await;
    assert_eq!(status(contradiction), Status::ERROR_INVALID_PARAMETER);
    let request = v1::ListPersistentLoginsRequest {};
    let logins = daemon
        .client
        .sessions()
        .list_persistent_logins(request)
        .await;
    let logins = logins.unwrap().into_inner().logins;
    assert_eq!(logins.len(), 1);
    assert_eq!(logins[0].security_flags, 0x03);
    assert_eq!(logins[0].login_options.as_ref().unwrap().login_flags, 0x31);
    assert!(daemon.sessions().await.is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_chap_secret_is_stored_with_a_warning_where_that_is_asked_for() {
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let set = async |secret: &str, store_short| {
        let request = v1::SetChapSecretRequest {
            secret: Some(v1::Secret::new(secret)),
            allow_long: false,
            store_short,
        };
        let answer = daemon.client.security().set_chap_secret(request).await;
        answer
            .map(|answer| answer.into_inner().warning)
            .map_err(Failure::from)
    };
    let refused = set("short", false).await;
    assert_eq!(status(refused), Status::INVALID_INITIATOR_CHAP_SECRET);
    assert!(!daemon_status(&daemon.client).await.chap_secret_set);
    assert_eq!(
        set("short", true).await.unwrap(),
        Status::SHORT_CHAP_SECRET.code()
    );
    assert!(daemon_status(&daemon.client).await.chap_secret_set);
    assert_eq!(set("twelve-bytes", true).await.unwrap(), 0);
    let long = set("seventeen-bytes-x", true).await;
    assert_eq!(status(long), Status::INVALID_INITIATOR_CHAP_SECRET);
    daemon.stop().await;
}
