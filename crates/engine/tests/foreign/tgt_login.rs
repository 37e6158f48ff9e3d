//! Discovery and logins: plain, CHAP, digests, redirects, and what tgt refuses.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hawser_engine::discovery::{DiscoveredTarget, DiscoverySession, send_targets};
use hawser_engine::{DigestPolicy, LoginFailureKind, Portal, SessionState};

use hawser_testkit::peers::{TgtConfig, Tgtd};

use super::support::{
    LIMIT, SECRET, TARGET, USER, chap, login_options, name, offer_newer_keys, options, refused,
    secret, survive, tgt, tgt_disks, up, view, write_and_read,
};

#[tokio::test]
async fn a_discovery_session_that_stays_open_sees_a_new_target() {
    let mut server = tgt(tgt_disks(1));
    let portal = Portal::from(server.portal());
    let mut session = DiscoverySession::open(&login_options(), &portal, LIMIT)
        .await
        .unwrap();
    let names = |found: Vec<DiscoveredTarget>| -> Vec<String> {
        found.iter().map(|target| target.name.to_string()).collect()
    };
    assert_eq!(names(session.send_targets().await.unwrap()), [TARGET]);
    let other = "iqn.2026-11.test.hawser:second";
    let new = ["--lld", "iscsi", "--mode", "target", "--op"];
    let bind = [&new[..], &["bind", "--tid", "2", "-I", "ALL"]].concat();
    let new = [&new[..], &["new", "--tid", "2", "-T", other]].concat();
    server.admin(&new).unwrap();
    server.admin(&bind).unwrap();
    let mut now = names(session.send_targets().await.unwrap());
    now.sort_unstable();
    assert_eq!(now, [other, TARGET]);
    // A target that is gone is told, and the session is over.
    server.kill();
    session.send_targets().await.unwrap_err();
    let error = session.send_targets().await.unwrap_err();
    assert_eq!(error.portal.as_ref(), Some(&portal));

    server.restart().unwrap();
    let mut session = DiscoverySession::open(&login_options(), &portal, LIMIT)
        .await
        .unwrap();
    assert_eq!(names(session.send_targets().await.unwrap()), [TARGET]);
    session.close().await;
}

#[tokio::test]
async fn discovery_lists_targets_and_portals() {
    let server = tgt(tgt_disks(1));
    let portal = Portal::from(server.portal());
    let found = send_targets(&login_options(), &portal, LIMIT)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name.as_str(), TARGET);
    assert!(
        found[0]
            .addresses
            .iter()
            .any(|address| address.portal == portal)
    );
}

#[tokio::test]
async fn a_plain_session_finds_four_disks() {
    let server = tgt(tgt_disks(4));
    let session = up(server.portal(), login_options()).await;
    let luns = session.luns().await.unwrap();
    // LUN 0 of tgt is always a controller.
    assert_eq!(luns.len(), 5);
    let mut identities = std::collections::HashSet::new();
    for number in luns {
        let lun = session.lun(number).await.unwrap();
        assert_eq!(lun.is_disk(), number.number() != Some(0), "LUN {number}");
        if lun.is_disk() {
            assert!(identities.insert(lun.identity().unwrap().clone()));
        }
    }
    session.logout().await;
    assert!(matches!(session.state(), SessionState::Closed));
    assert!(server.sessions(0).unwrap().is_empty(), "tgt saw the logout");
}

#[tokio::test]
async fn chap_one_way_falls_back_to_md5_with_a_note() {
    let server = tgt(tgt_disks(1).chap(USER, SECRET));
    let session = up(server.portal(), chap(SECRET)).await;
    let view = view(&session);
    assert!(view.chap.is_some_and(|used| !used.mutual));
    // tgt takes 7 for SHA-1, so the list fails and MD5 alone works.
    assert!(view.md5_fallback);
    assert_eq!(session.luns().await.unwrap().len(), 2);
    session.logout().await;
}

#[tokio::test]
async fn md5_can_be_forbidden() {
    let server = tgt(tgt_disks(1).chap(USER, SECRET));
    let mut login = chap(SECRET);
    login.chap.as_mut().unwrap().allow_md5 = false;
    let failure = refused(options(server.portal(), login)).await;
    assert!(
        matches!(failure.kind, LoginFailureKind::Login(_)),
        "{failure}"
    );
}

#[tokio::test]
async fn chap_both_ways() {
    let server = tgt(tgt_disks(1)
        .chap(USER, SECRET)
        .mutual("tgtuser", "targetsecret1"));
    let mut login = chap(SECRET);
    let mutual = (Some("tgtuser".to_owned()), secret("targetsecret1"));
    login.chap.as_mut().unwrap().mutual = Some(mutual);
    let session = up(server.portal(), login).await;
    assert!(view(&session).chap.is_some_and(|used| used.mutual));
    session.logout().await;
}

#[tokio::test]
async fn a_target_that_cannot_prove_itself_is_left() {
    let server = tgt(tgt_disks(1)
        .chap(USER, SECRET)
        .mutual("tgtuser", "targetsecret1"));
    let mut login = chap(SECRET);
    login.chap.as_mut().unwrap().mutual = Some((None, secret("another-secret")));
    let failure = refused(options(server.portal(), login)).await;
    assert!(failure.is_final(), "{failure}");
    assert!(failure.to_string().contains("authentication"), "{failure}");
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_target_are_told_apart() {
    let server = tgt(tgt_disks(1).chap(USER, SECRET));
    let failure = refused(options(server.portal(), chap("not-the-secret"))).await;
    assert!(failure.is_final(), "{failure}");

    let mut unknown = options(server.portal(), login_options());
    unknown.target = name("iqn.2026-11.test.hawser:nobody");
    let text = refused(unknown).await.to_string();
    assert!(text.contains("iqn.2026-11.test.hawser:nobody"), "{text}");
    assert!(text.contains("0x0203"), "{text}");
}

#[tokio::test]
async fn an_unreachable_portal_is_named() {
    let mut server = tgt(tgt_disks(1));
    server.kill();
    let failure = refused(options(server.portal(), login_options())).await;
    assert!(!failure.is_final(), "it may come back");
    assert!(
        failure.to_string().contains(&server.portal().to_string()),
        "{failure}"
    );
}

#[tokio::test]
async fn both_digests_are_agreed_on() {
    let server = tgt(tgt_disks(1).digests());
    let mut login = login_options();
    login.header_digest = DigestPolicy::Crc32c;
    login.data_digest = DigestPolicy::Crc32c;
    let session = up(server.portal(), login).await;
    let view = view(&session);
    assert!(view.parameters.header_digest && view.parameters.data_digest);
    write_and_read(&session).await;
    session.logout().await;
}

#[tokio::test]
async fn newer_keys_do_not_hinder_the_login() {
    let server = tgt(tgt_disks(1));
    offer_newer_keys(server.portal()).await;
}

#[tokio::test]
async fn a_target_at_an_ipv6_address_is_found_and_used() {
    let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let config = TgtConfig::new().target(tgt_disks(1)).address(address);
    let server = Tgtd::start(config).expect("tgtd starts");
    let at = SocketAddr::new(address, server.port());
    let portal = Portal::from(at);
    let found = send_targets(&login_options(), &portal, LIMIT).await;
    let addresses = &found.unwrap()[0].addresses;
    assert!(
        addresses.iter().any(|address| address.portal == portal),
        "{addresses:?}"
    );
    let session = up(at, login_options()).await;
    assert_eq!(view(&session).portal, portal);
    write_and_read(&session).await;
    survive(&session, 100, 65_536, 1, || session.reconnect()).await;
    session.logout().await;
}
