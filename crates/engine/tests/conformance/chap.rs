//! CHAP as a target of the tests does it.

use std::sync::Arc;

use hawser_engine::{
    ChapCredentials, LoginErrorKind, LoginFailure, Secret, Session, SessionOptions, SessionView,
};
use hawser_proto::chap::ChapError;
use hawser_proto::login::{AuthenticationFailure, PeerMisbehaved};
use hawser_testkit::scripted::wire::{GOOD, OPERATIONAL};
use hawser_testkit::scripted::{Keys, Pdu, Peer, Target, chap, text};

use super::support::{in_time, kind, login_failure, options};

/// Secrets of 96 bits and more (RFC 7143 §9.2.1).
pub(crate) const USER: &str = "initiator-user";
pub(crate) const SECRET: &str = "initiator-secret";
pub(crate) const TARGET_USER: &str = "target-user";
pub(crate) const TARGET_SECRET: &str = "secret-of-target";

/// A challenge that is none of ours.
pub(crate) const CHALLENGE: &str = "0x00112233445566778899aabbccddeeff";

/// CHAP in one direction; a target that cannot take the list of algorithms gets no second try.
pub(crate) fn one_way() -> ChapCredentials {
    let mut chap = ChapCredentials::one_way(USER, Secret::from(SECRET));
    chap.allow_md5 = false;
    chap
}

/// CHAP in both directions; the target's name is checked if one is given.
pub(crate) fn mutual(expected: Option<&str>) -> ChapCredentials {
    let mut chap = one_way();
    chap.mutual = Some((expected.map(str::to_owned), Secret::from(TARGET_SECRET)));
    chap
}

/// Options with these credentials.
pub(crate) fn with(chap: ChapCredentials) -> impl FnOnce(&mut SessionOptions) {
    move |options| options.login.chap = Some(chap)
}

/// Chooses CHAP, and takes the request with CHAP_A.
pub(crate) async fn to_challenge(peer: &mut Peer) -> (Pdu, Keys) {
    let (request, keys) = peer.login_request().await;
    assert!(
        keys.need("AuthMethod")
            .split(',')
            .any(|method| method == "CHAP")
    );
    assert!(
        keys.get("CHAP_A").is_none(),
        "only after the method is settled"
    );
    peer.stay(
        &request,
        &[("AuthMethod", "CHAP"), ("TargetPortalGroupTag", "1")],
    )
    .await;
    let (request, keys) = peer.login_request().await;
    assert!(
        !request.is_final(),
        "with a challenge to come the stage cannot end"
    );
    assert!(keys.get("CHAP_A").is_some());
    (request, keys)
}

/// Challenges with identifier 7, and takes the request with CHAP_N and CHAP_R.
pub(crate) async fn challenge(
    peer: &mut Peer,
    request: &Pdu,
    algorithm: u8,
    challenge: &str,
) -> (Pdu, Keys) {
    send_challenge(peer, request, &algorithm.to_string(), "7", challenge).await;
    peer.login_request().await
}

pub(crate) async fn send_challenge(
    peer: &mut Peer,
    request: &Pdu,
    algorithm: &str,
    identifier: &str,
    challenge: &str,
) {
    let keys = [
        ("CHAP_A", algorithm),
        ("CHAP_I", identifier),
        ("CHAP_C", challenge),
    ];
    peer.stay(request, &keys).await;
}

/// The response of `keys` is the one for `challenge`.
pub(crate) fn assert_response(keys: &Keys, algorithm: u8, identifier: u8, challenge: &[u8]) {
    assert_eq!(keys.need("CHAP_N"), USER);
    let expected = chap::response(algorithm, identifier, SECRET.as_bytes(), challenge);
    assert_eq!(keys.need("CHAP_R"), text::hex(&expected));
}

/// Our own challenge in `keys`: identifier and octets.
pub(crate) fn own_challenge(keys: &Keys) -> (u8, Vec<u8>) {
    let identifier = keys
        .need("CHAP_I")
        .parse()
        .expect("a decimal number of a byte");
    (identifier, text::binary(keys.need("CHAP_C")))
}

/// How the target answers our challenge, with MD5: name and response.
pub(crate) fn proof(keys: &Keys, secret: &str) -> String {
    let (identifier, challenge) = own_challenge(keys);
    text::hex(&chap::response(
        5,
        identifier,
        secret.as_bytes(),
        &challenge,
    ))
}

/// Goes on to the operational stage after CHAP, logs in, and sees the session up.
pub(crate) async fn finish(
    peer: &mut Peer,
    request: &Pdu,
    keys: &[(&str, &str)],
    session: &Session,
) -> Arc<SessionView> {
    peer.agree(request, keys).await;
    peer.log_in(&[]).await;
    assert_eq!(
        peer.agreed().requests.last().unwrap().current_stage(),
        OPERATIONAL
    );
    in_time(session.established()).await.expect("logged in")
}

/// A session whose target takes the login by `script`, from the request with CHAP_A on; it gives the
/// request that ends the security stage, and the keys with which the target ends it.
pub(crate) async fn succeeds(
    credentials: ChapCredentials,
    script: impl AsyncFnOnce(&mut Peer, Pdu, Keys) -> (Pdu, Vec<(&'static str, String)>),
) -> Arc<SessionView> {
    let target = Target::listen().await;
    let mut options = options(&target);
    options.login.chap = Some(credentials);
    let session = Session::open(options);
    let mut peer = target.accept().await;
    let (request, keys) = to_challenge(&mut peer).await;
    let (request, keys) = script(&mut peer, request, keys).await;
    let keys: Vec<_> = keys
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    let view = finish(&mut peer, &request, &keys, &session).await;
    let asked = tokio::spawn(async move { session.luns().await });
    let command = peer.next().await;
    peer.respond(&command, GOOD).await;
    in_time(asked)
        .await
        .unwrap()
        .expect_err("an empty list is none");
    view
}

/// The failure of a login whose target goes on by `script` from the request with CHAP_A on.
pub(crate) async fn fails(
    credentials: ChapCredentials,
    script: impl AsyncFnOnce(&mut Peer, Pdu, Keys),
) -> LoginFailure {
    login_failure(with(credentials), async |peer| {
        let (request, keys) = to_challenge(peer).await;
        script(peer, request, keys).await;
    })
    .await
}

/// Why the two did not prove themselves.
pub(crate) fn authentication(failure: &LoginFailure) -> &AuthenticationFailure {
    match kind(failure) {
        LoginErrorKind::Authentication(failure) => failure,
        other => panic!("{other}"),
    }
}

pub(crate) fn chap_error(failure: &LoginFailure) -> ChapError {
    match kind(failure) {
        LoginErrorKind::Authentication(AuthenticationFailure::Chap(error))
        | LoginErrorKind::PeerMisbehaved(PeerMisbehaved::MalformedChap(error)) => *error,
        other => panic!("{other}"),
    }
}
