//! SUP-L19, SUP-L20: logins that are sent elsewhere.

use std::net::{IpAddr, Ipv6Addr};

use hawser_engine::{LoginFailureKind, Session, SessionEvent, SessionEvents, SessionState};
use hawser_proto::login::PeerMisbehaved;
use hawser_testkit::scripted::wire::{LOGIN_REQUEST, SECURITY};
use hawser_testkit::scripted::{Peer, Target, text};

use super::chap::{self, CHALLENGE, assert_response, challenge, to_challenge};
use super::support::{TARGET, in_time, login_failure, offence, operational, options, portal};

/// Temporarily, permanently.
const TEMPORARY: u8 = 1;
const PERMANENT: u8 = 2;

async fn redirect(peer: &mut Peer, detail: u8, address: &str) {
    let (request, _) = peer.login_request().await;
    peer.refuse(&request, 1, detail, &[("TargetAddress", address)])
        .await;
    peer.expect_close().await;
}

async fn up(session: &Session, logins: u64) {
    let mut states = session.watch();
    let up = states
        .wait_for(|state| matches!(state, SessionState::Up(view) if view.reconnects + 1 == logins));
    in_time(up).await.expect("the driver lives");
}

/// A session that is sent from `from` to `to` with this text as the address.
async fn follow(from: &Target, to: &Target, detail: u8, address: &str) -> (Session, Peer) {
    let session = Session::open(options(from));
    let mut group = from.accept().await;
    redirect(&mut group, detail, address).await;
    let asked = group.transcript().of(LOGIN_REQUEST)[0].clone();
    let mut member = to.accept().await;
    member.log_in(&[]).await;
    up(&session, 1).await;
    let again = &member.agreed().requests[0];
    assert_eq!((again.isid(), again.tsih()), (asked.isid(), 0));
    assert_eq!(again.keys().need("TargetName"), TARGET);
    assert_eq!(
        again.current_stage(),
        SECURITY,
        "a login from its beginning"
    );
    (session, member)
}

#[tokio::test]
async fn sup_l19() {
    let (group, member) = (Target::listen().await, Target::listen().await);
    let port = member.address().port();
    for address in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        let (session, peer) = follow(&group, &member, TEMPORARY, &address).await;
        // The address it was configured with stays: the next login asks there first.
        drop(peer);
        let mut again = group.accept().await;
        again.log_in(&[]).await;
        up(&session, 2).await;
        session.reconnect();
        session.logout().await;
    }
}

#[tokio::test]
async fn sup_l19_ipv6() {
    let group = Target::listen().await;
    let member = Target::listen_on(IpAddr::V6(Ipv6Addr::LOCALHOST)).await;
    let address = format!("[::1]:{}", member.address().port());
    let (_session, peer) = follow(&group, &member, TEMPORARY, &address).await;
    drop(peer);
}

/// For good: told to whoever keeps the address, and asked first from then on.
#[tokio::test]
async fn sup_l19_permanent() {
    let (group, member) = (Target::listen().await, Target::listen().await);
    let session = Session::open(options(&group));
    let mut events: SessionEvents = session.events();
    let mut asked = group.accept().await;
    redirect(&mut asked, PERMANENT, &member.address().to_string()).await;
    let mut peer = member.accept().await;
    peer.log_in(&[]).await;
    up(&session, 1).await;
    loop {
        if let SessionEvent::MovedPermanently(to) = in_time(events.recv()).await.unwrap() {
            assert_eq!(to, portal(&member));
            break;
        }
    }
    drop(peer);
    let mut peer = member.accept().await;
    peer.log_in(&[]).await;
    up(&session, 2).await;
    assert!(!group.has_connection().await);
}

/// Whatever is at the port of old on this machine knows nothing of our target; what counts is where the
/// login was tried.
#[tokio::test]
async fn sup_l19_without_a_port() {
    let elsewhere = async |peer: &mut Peer| redirect(peer, TEMPORARY, "127.0.0.77").await;
    let failure = login_failure(|_| {}, elsewhere).await;
    let tried = failure.portal.expect("a portal");
    assert_eq!((tried.host(), tried.port()), ("127.0.0.77", 3260));
}

#[tokio::test]
async fn sup_l19_without_an_address() {
    for keys in [
        &[][..],
        &[("TargetAddress", "")],
        &[("TargetAlias", "elsewhere")],
    ] {
        let failure = login_failure(
            |_| {},
            async |peer| {
                let (request, _) = peer.login_request().await;
                peer.refuse(&request, 1, TEMPORARY, keys).await;
            },
        )
        .await;
        assert!(matches!(
            offence(&failure),
            PeerMisbehaved::RedirectWithoutAddress { .. }
        ));
    }
}

#[tokio::test]
async fn sup_l19_in_a_circle() {
    let target = Target::listen().await;
    let session = Session::open(options(&target));
    let here = target.address().to_string();
    let mut hops = 0;
    let failure = loop {
        tokio::select! {
            failure = session.established() => break failure.unwrap_err(),
            mut peer = target.accept() => {
                hops += 1;
                assert!(hops <= 8, "a limit on hops");
                redirect(&mut peer, TEMPORARY, &here).await;
            }
        }
    };
    assert!(
        matches!(failure.kind, LoginFailureKind::TooManyRedirects { .. }),
        "{failure}"
    );
    assert!(hops > 1);
}

/// What was proved to the one does not count with the other.
#[tokio::test]
async fn sup_l19_with_chap() {
    let (group, member) = (Target::listen().await, Target::listen().await);
    let mut options = options(&group);
    options.login.chap = Some(chap::one_way());
    let session = Session::open(options);
    let mut asked = group.accept().await;
    let (request, _) = to_challenge(&mut asked).await;
    let (request, _) = challenge(&mut asked, &request, 5, CHALLENGE).await;
    let address = member.address().to_string();
    asked
        .refuse(&request, 1, TEMPORARY, &[("TargetAddress", &address)])
        .await;
    asked.expect_close().await;
    let mut peer = member.accept().await;
    let (request, _) = to_challenge(&mut peer).await;
    let (request, keys) = challenge(&mut peer, &request, 5, "0x99").await;
    assert_response(&keys, 5, 7, &text::binary("0x99"));
    chap::finish(&mut peer, &request, &[], &session).await;
}

#[tokio::test]
async fn sup_l20() {
    // Before the security stage has begun: in the answer to the first request, see `sup_l19`. In it,
    // see `sup_l19_with_chap`. After it:
    let (group, member) = (Target::listen().await, Target::listen().await);
    let session = Session::open(options(&group));
    let mut asked = group.accept().await;
    let request = operational(&mut asked).await;
    let address = member.address().to_string();
    asked
        .refuse(&request, 1, TEMPORARY, &[("TargetAddress", &address)])
        .await;
    asked.expect_close().await;
    let mut peer = member.accept().await;
    peer.log_in(&[]).await;
    up(&session, 1).await;
    // With CHAP done and the operational stage reached.
    let mut options = options(&group);
    options.login.chap = Some(chap::one_way());
    let session = Session::open(options);
    let mut asked = group.accept().await;
    let (request, _) = to_challenge(&mut asked).await;
    let (request, _) = challenge(&mut asked, &request, 5, CHALLENGE).await;
    asked.agree(&request, &[]).await;
    redirect(&mut asked, TEMPORARY, &address).await;
    let mut peer = member.accept().await;
    let (request, _) = to_challenge(&mut peer).await;
    let (request, _) = challenge(&mut peer, &request, 5, CHALLENGE).await;
    chap::finish(&mut peer, &request, &[], &session).await;
}
