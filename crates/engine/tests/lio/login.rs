//! Discovery and logins: plain, CHAP, digests, and what LIO refuses.

use hawser_engine::discovery::send_targets;
use hawser_engine::{DigestPolicy, LoginFailureKind, LoginOptions, Portal, Session};
use hawser_proto::chap::Algorithm;

use super::machine::{AWAY, CHAP, DIGESTS, MUTUAL, RECOVERY, lio, with};
use super::support::{
    LIMIT, SECRET, TARGET, chap, established, login_options, name, refused, secret, view,
    write_and_read,
};

fn mutual(target_secret: &str) -> LoginOptions {
    let mut login = chap(SECRET);
    let theirs = (Some("tgtuser".to_owned()), secret(target_secret));
    login.chap.as_mut().unwrap().mutual = Some(theirs);
    login
}

/// LIO sits behind a forwarded port and names the address that it sees itself.
#[tokio::test]
async fn discovery_lists_the_targets_that_are_in_service() {
    let portal = Portal::from(lio());
    let found = send_targets(&login_options(), &portal, LIMIT)
        .await
        .unwrap();
    let mut names: Vec<_> = found.iter().map(|target| target.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, [CHAP, DIGESTS, MUTUAL, RECOVERY, TARGET]);
    for target in &found {
        let addresses: Vec<_> = target
            .addresses
            .iter()
            .map(|address| (address.portal.to_string(), address.tag))
            .collect();
        assert_eq!(addresses, [("10.0.2.15:3260".to_owned(), Some(1))]);
    }
}

#[tokio::test]
async fn a_plain_session_finds_two_disks() {
    let session = established(with(TARGET, 1, login_options())).await;
    let mut identities = std::collections::HashSet::new();
    let luns = session.luns().await.unwrap();
    assert_eq!(luns.len(), 2);
    for number in luns {
        let lun = session.lun(number).await.unwrap();
        assert!(lun.is_disk(), "LUN {number}");
        assert!(identities.insert(lun.identity().unwrap().clone()));
    }
    assert_eq!(view(&session).chap, None);
    session.logout().await;
}

async fn proves(session: &Session, mutual: bool) {
    let view = view(session);
    let used = view.chap.expect("CHAP was used");
    assert_eq!(used.algorithm, Algorithm::Sha3_256, "the strongest of four");
    assert_eq!(used.mutual, mutual);
    assert!(!view.md5_fallback);
}

#[tokio::test]
async fn chap_takes_the_strongest_of_the_list() {
    let session = established(with(CHAP, 2, chap(SECRET))).await;
    proves(&session, false).await;
    write_and_read(&session).await;
    session.logout().await;
}

#[tokio::test]
async fn chap_both_ways_takes_the_strongest_of_the_list() {
    let session = established(with(MUTUAL, 3, mutual("targetsecret1"))).await;
    proves(&session, true).await;
    session.logout().await;
}

#[tokio::test]
async fn a_target_that_cannot_prove_itself_is_left() {
    let failure = refused(with(MUTUAL, 4, mutual("another-secret"))).await;
    assert!(failure.is_final(), "{failure}");
    assert!(failure.to_string().contains("authentication"), "{failure}");
}

/// RFC 7143 §11.13.5: 0x0201, authentication failure.
#[tokio::test]
async fn a_wrong_secret_is_told() {
    let failure = refused(with(CHAP, 5, chap("not-the-secret"))).await;
    assert!(failure.is_final(), "{failure}");
    assert!(failure.to_string().contains("0x0201"), "{failure}");
}

/// 0x0202, authorization failure: the portal group has a list of initiators.
#[tokio::test]
async fn an_initiator_that_is_not_on_the_list_is_told() {
    let mut login = mutual("targetsecret1");
    login.initiator_name = name("iqn.2026-11.test.hawser:stranger");
    let failure = refused(with(MUTUAL, 6, login)).await;
    assert!(failure.is_final(), "{failure}");
    assert!(failure.to_string().contains("0x0202"), "{failure}");
}

/// LIO closes the connection without an answer when CHAP is due and not offered. The error must say where
/// in the login that was, so that it does not look like a network that is down.
#[tokio::test]
async fn a_login_without_the_chap_that_is_due_ends() {
    let failure = refused(with(CHAP, 7, login_options())).await;
    let text = failure.to_string();
    assert!(text.contains(CHAP), "{text}");
    assert!(text.contains("authentication method"), "{text}");
}

/// LIO answers 0x0301, service unavailable, for a target that is out of service and for one that it does
/// not know: neither may be given up for good.
#[tokio::test]
async fn a_target_that_is_not_served_is_tried_again() {
    for (isid, target) in [(8, AWAY), (9, "iqn.2026-11.test.hawser:nobody")] {
        let failure = refused(with(target, isid, login_options())).await;
        assert!(!failure.is_final(), "{failure}");
        let text = failure.to_string();
        assert!(text.contains(target) && text.contains("0x0301"), "{text}");
    }
}

#[tokio::test]
async fn both_digests_are_agreed_on_and_used() {
    for (isid, header, data) in [(10, true, true), (11, true, false), (12, false, true)] {
        let policy = |wanted| {
            if wanted {
                DigestPolicy::Crc32c
            } else {
                DigestPolicy::None
            }
        };
        let mut login = login_options();
        login.header_digest = policy(header);
        login.data_digest = policy(data);
        let session = established(with(TARGET, isid, login)).await;
        let agreed = view(&session).parameters;
        assert_eq!((agreed.header_digest, agreed.data_digest), (header, data));
        write_and_read(&session).await;
        session.logout().await;
    }
}

#[tokio::test]
async fn a_target_that_insists_on_digests_gets_them() {
    let mut login = login_options();
    login.header_digest = DigestPolicy::PreferNone;
    login.data_digest = DigestPolicy::PreferNone;
    let session = established(with(DIGESTS, 13, login)).await;
    let agreed = view(&session).parameters;
    assert!(agreed.header_digest && agreed.data_digest);
    write_and_read(&session).await;
    session.logout().await;

    let failure = refused(with(DIGESTS, 14, login_options())).await;
    assert!(
        matches!(failure.kind, LoginFailureKind::Login(_)),
        "{failure}"
    );
}
