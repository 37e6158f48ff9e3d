//! How disks are shown: who has the name of an identity, NBD over TCP.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use hawser_api::v1;
use hawser_daemon::ExportMode;
use tokio::io::AsyncReadExt;

use super::support::{
    Asks, Place, Running, TARGET, in_time, now, path, persistent, serve, target, target_named,
};

const LIAR: &str = "iqn.2026-11.test.hawser:liar";

/// The disk of a target, once it is ready.
async fn disk_of(daemon: &Running, target: &str) -> v1::Disk {
    let is_of = |event: &v1::Event| event.detail.as_ref().is_some_and(|d| d.target == target);
    daemon.event("disk-ready", is_of).await;
    disk(daemon, target).await
}

async fn disk(daemon: &Running, target: &str) -> v1::Disk {
    let mut disks = daemon.disks().await.into_iter();
    disks.find(|disk| disk.target_name == target).unwrap()
}

fn by_id(disk: &v1::Disk) -> Option<&String> {
    disk.links.iter().find(|link| link.contains("/by-id/"))
}

fn login(target: &str, request: v1::LoginRequest) -> v1::LoginRequest {
    v1::LoginRequest {
        target_name: target.into(),
        ..request
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_an_identity_goes_to_the_disk_that_the_operator_chose() {
    // Both targets say that their disk is the same one.
    let honest = serve(target()).await;
    let liar = serve(target_named(LIAR, "disk")).await;
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    for server in [&honest, &liar] {
        daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    }
    daemon.login(login(LIAR, now())).await.unwrap();
    let first = disk_of(&daemon, LIAR).await;
    let link = by_id(&first).expect("it came first").clone();
    let leads_to = |disk: &v1::Disk| {
        let socket = std::fs::read_link(&link).unwrap();
        disk.nbd_address.contains(socket.to_str().unwrap())
    };
    assert!(leads_to(&first));

    // A persistent login counts more than who came first.
    daemon.login(persistent()).await.unwrap();
    let goes_to = |target: &'static str| {
        move |event: &v1::Event| event.detail.as_ref().is_some_and(|d| d.target == target)
    };
    let told = daemon.event("link-taken-over", goes_to(TARGET)).await;
    assert_eq!(told.severity(), v1::Severity::Warning);
    let message = &told.detail.as_ref().unwrap().message;
    assert!(
        message.contains(LIAR) && message.contains(&link),
        "{message}"
    );
    let (own, other) = (disk(&daemon, TARGET).await, disk(&daemon, LIAR).await);
    assert_eq!((by_id(&own), by_id(&other)), (Some(&link), None));
    assert!(leads_to(&own));

    // Among equals it stays, and a bound disk counts more than a persistent login.
    daemon.login(login(LIAR, persistent())).await.unwrap();
    assert!(leads_to(&own));
    let bound = other.links.first().expect("by target");
    daemon.bind(path(bound)).await.unwrap();
    daemon.event("link-taken-over", goes_to(LIAR)).await;
    assert!(leads_to(&other));
    // Who lost it does not take it away when it goes.
    let which = v1::logout_request::Which::TargetName(TARGET.into());
    let logout = v1::LogoutRequest {
        which: Some(which),
        force: false,
    };
    daemon.client.sessions().logout(logout).await.unwrap();
    assert!(leads_to(&other));
    daemon.stop().await;
    assert!(!Path::new(&link).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nbd_over_tcp_is_off_unless_asked_for_and_warned_of() {
    let server = serve(target()).await;
    let mut place = Place::new(ExportMode::Nbd);
    let daemon = place.start().await;
    let disk = daemon.persistent_disk(server.local_addrs()[0]).await;
    assert_eq!(disk.nbd_tcp_address, "");
    daemon.stop().await;

    place.config.nbd_tcp = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let daemon = place.start().await;
    let disk = daemon.ready_disk().await;
    let address = disk.nbd_tcp_address.strip_prefix("nbd://").unwrap();
    let mut stream = in_time(tokio::net::TcpStream::connect(address))
        .await
        .unwrap();
    let mut greeting = [0; 8];
    in_time(stream.read_exact(&mut greeting)).await.unwrap();
    assert_eq!(&greeting, b"NBDMAGIC");
    drop(stream);
    let told = daemon.event("nbd-tcp", |_| true).await;
    assert_eq!(told.severity(), v1::Severity::Warning);
    let detail = told.detail.unwrap();
    assert!(
        detail.message.contains("without authentication"),
        "{detail:?}"
    );
    assert!(detail.message.contains(address), "{detail:?}");
    daemon.stop().await;

    // An address of another machine (RFC 5737) is told, and the disk is there without it.
    place.config.nbd_tcp = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    let daemon = place.start().await;
    let disk = daemon.ready_disk().await;
    assert_eq!(disk.nbd_tcp_address, "");
    assert!(!disk.nbd_address.is_empty());
    let told = daemon.event("nbd-tcp", |_| true).await;
    let message = told.detail.unwrap().message;
    assert!(message.contains("192.0.2.1"), "{message}");
    daemon.stop().await;
}
