//! The engine against istgt, which knows CHAP with MD5 only.

use hawser_engine::discovery::{DiscoverySession, send_targets};
use hawser_engine::{DigestPolicy, Hold, Portal};
use hawser_testkit::peers::{Istgt, IstgtConfig, IstgtTarget};

use super::support::{
    LIMIT, MIB, SECRET, TARGET, USER, chap, established, first_disk, logged_in_again,
    login_options, offer_newer_keys, options, read, refused, secret, survive, up, view,
    write_and_read,
};

fn serve(target: IstgtTarget) -> Istgt {
    Istgt::start(IstgtConfig::new().target(target)).expect("istgt starts")
}

fn disks(count: usize) -> IstgtTarget {
    IstgtTarget::new(TARGET).disks(count, 64 * MIB)
}

#[tokio::test]
async fn a_discovery_session_that_stays_open_is_asked_again() {
    let server = serve(disks(1));
    let portal = Portal::from(server.portal());
    let mut session = DiscoverySession::open(&login_options(), &portal, LIMIT)
        .await
        .unwrap();
    for _ in 0..3 {
        let found = session.send_targets().await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name.as_str(), TARGET);
    }
    session.close().await;
}

#[tokio::test]
async fn discovery_and_four_disks() {
    let server = serve(disks(4));
    let portal = Portal::from(server.portal());
    let found = send_targets(&login_options(), &portal, LIMIT)
        .await
        .unwrap();
    assert_eq!(
        found
            .iter()
            .map(|target| target.name.as_str())
            .collect::<Vec<_>>(),
        [TARGET]
    );
    let session = up(server.portal(), login_options()).await;
    assert_eq!(session.luns().await.unwrap().len(), 4);
    write_and_read(&session).await;
    session.logout().await;
}

#[tokio::test]
async fn chap_one_way() {
    let server = serve(disks(1).chap(USER, SECRET));
    let session = up(server.portal(), chap(SECRET)).await;
    assert!(view(&session).chap.is_some_and(|used| !used.mutual));
    session.logout().await;

    let failure = refused(options(server.portal(), chap("not-the-secret"))).await;
    assert!(failure.is_final(), "{failure}");
}

/// istgt insists on the second half where it is configured.
#[tokio::test]
async fn chap_both_ways() {
    let server = serve(
        disks(1)
            .chap(USER, SECRET)
            .mutual("tgtuser", "targetsecret1"),
    );
    let mut login = chap(SECRET);
    let mutual = (Some("tgtuser".to_owned()), secret("targetsecret1"));
    login.chap.as_mut().unwrap().mutual = Some(mutual);
    let session = up(server.portal(), login).await;
    assert!(view(&session).chap.is_some_and(|used| used.mutual));
    write_and_read(&session).await;
    session.logout().await;
}

#[tokio::test]
async fn both_digests() {
    let server = serve(disks(1).require_digests());
    let mut login = login_options();
    login.header_digest = DigestPolicy::PreferCrc32c;
    login.data_digest = DigestPolicy::PreferCrc32c;
    let session = up(server.portal(), login).await;
    let view = view(&session);
    assert!(view.parameters.header_digest && view.parameters.data_digest);
    write_and_read(&session).await;
    session.logout().await;
}

#[tokio::test]
async fn a_killed_and_restarted_target_loses_no_write() {
    let mut server = serve(disks(1));
    let mut options = options(server.portal(), login_options());
    options.hold = Hold::Forever;
    let session = established(options).await;
    survive(&session, 100, 65_536, 7, || {
        server.kill();
        server.restart().unwrap();
    })
    .await;
    logged_in_again(&session, 1).await;
    drop(read(&first_disk(&session).await, 0, 4096).await);
    session.logout().await;
}

#[tokio::test]
async fn newer_keys_do_not_hinder_the_login() {
    let server = serve(disks(1));
    offer_newer_keys(server.portal()).await;
}
