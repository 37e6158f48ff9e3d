//! Logins: plain, CHAP, digests, and what tgt refuses.

use hawser_engine::{
    ChapCredentials, DigestPolicy, LoginFailureKind, LoginOptions, Secret, Session, SessionState,
};

use super::{LIMIT, disks, login_options, options, serve, up};

const USER: &str = "user1";
const SECRET: &str = "secretsecret1";

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn chap(text: &str) -> LoginOptions {
    let mut login = login_options();
    login.chap = Some(ChapCredentials::one_way(USER, secret(text)));
    login
}

#[tokio::test]
async fn a_plain_session_finds_four_disks() {
    let server = serve(disks(4));
    let session = up(&server, login_options()).await;
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
    let server = serve(disks(1).chap(USER, SECRET));
    let session = up(&server, chap(SECRET)).await;
    let SessionState::Up(view) = session.state() else {
        panic!("not up")
    };
    assert!(view.chap.is_some_and(|used| !used.mutual));
    // tgt takes 7 for SHA-1, so the list fails and MD5 alone works.
    assert!(view.md5_fallback);
    assert_eq!(session.luns().await.unwrap().len(), 2);
    session.logout().await;
}

#[tokio::test]
async fn md5_can_be_forbidden() {
    let server = serve(disks(1).chap(USER, SECRET));
    let mut login = chap(SECRET);
    login.chap.as_mut().unwrap().allow_md5 = false;
    let session = Session::open(options(&server, login));
    let failure = tokio::time::timeout(LIMIT, session.established())
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(failure.kind, LoginFailureKind::Login(_)),
        "{failure}"
    );
}

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
    let session = up(&server, login).await;
    let SessionState::Up(view) = session.state() else {
        panic!("not up")
    };
    assert!(view.chap.is_some_and(|used| used.mutual));
    session.logout().await;
}

#[tokio::test]
async fn a_target_that_cannot_prove_itself_is_left() {
    let server = serve(
        disks(1)
            .chap(USER, SECRET)
            .mutual("tgtuser", "targetsecret1"),
    );
    let mut login = chap(SECRET);
    login.chap.as_mut().unwrap().mutual = Some((None, secret("another-secret")));
    let session = Session::open(options(&server, login));
    let failure = tokio::time::timeout(LIMIT, session.established())
        .await
        .unwrap()
        .unwrap_err();
    assert!(failure.is_final(), "{failure}");
    assert!(failure.to_string().contains("authentication"), "{failure}");
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_target_are_told_apart() {
    let server = serve(disks(1).chap(USER, SECRET));
    let session = Session::open(options(&server, chap("not-the-secret")));
    let failure = tokio::time::timeout(LIMIT, session.established())
        .await
        .unwrap()
        .unwrap_err();
    assert!(failure.is_final(), "{failure}");

    let mut unknown = options(&server, login_options());
    unknown.target = hawser_engine::IscsiName::parse("iqn.2026-11.test.hawser:nobody").unwrap();
    let session = Session::open(unknown);
    let failure = tokio::time::timeout(LIMIT, session.established())
        .await
        .unwrap()
        .unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("iqn.2026-11.test.hawser:nobody"), "{text}");
    assert!(text.contains("0x0203"), "{text}");
}

#[tokio::test]
async fn both_digests_are_agreed_on() {
    let server = serve(disks(1).digests());
    let mut login = login_options();
    login.header_digest = DigestPolicy::Crc32c;
    login.data_digest = DigestPolicy::Crc32c;
    let session = up(&server, login).await;
    let SessionState::Up(view) = session.state() else {
        panic!("not up")
    };
    assert!(view.parameters.header_digest && view.parameters.data_digest);
    super::io::write_and_read(&session).await;
    session.logout().await;
}
