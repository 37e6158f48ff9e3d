//! CHAP with a target that does not know the secret, or would like to.

use hawser_engine::{
    ChapCredentials, LoginErrorKind, LoginFailure, LoginFailureKind, Secret, Session,
    SessionOptions,
};
use hawser_proto::chap::ChapError;
use hawser_proto::login::{AuthenticationFailure, PeerMisbehaved};
use hawser_testkit::scripted::text;

use super::measure::offence;
use super::peer::{LOGIN_REQUEST, Pdu, Peer, Target};
use super::rig::{in_time, kind, login_fails, offence_of, options};

const CHALLENGE: &str = "0x00112233445566778899aabbccddeeff";

/// The target must prove itself too, and gets no second chance with MD5 alone.
fn mutual(options: &mut SessionOptions) {
    let mut chap = ChapCredentials::one_way("user", Secret::from("a secret of ours"));
    chap.mutual = Some((None, Secret::from("a secret of theirs")));
    chap.allow_md5 = false;
    options.login.chap = Some(chap);
}

/// Chooses CHAP, and takes the algorithms.
fn to_algorithms(peer: &mut Peer) -> Option<Pdu> {
    let first = peer.await_request(LOGIN_REQUEST)?;
    let text = b"AuthMethod=CHAP\0TargetPortalGroupTag=1\0";
    peer.say(Pdu::login_response(&first).with_data(text)).ok()?;
    peer.await_request(LOGIN_REQUEST)
}

fn stay(peer: &mut Peer, request: &Pdu, keys: &[(&str, &str)]) -> Option<()> {
    let text = text::write(keys);
    peer.say(Pdu::login_response(request).with_data(&text)).ok()
}

fn challenge(peer: &mut Peer, request: &Pdu, keys: [&str; 3]) -> Option<()> {
    let [algorithm, identifier, challenge] = keys;
    let keys = [
        ("CHAP_A", algorithm),
        ("CHAP_I", identifier),
        ("CHAP_C", challenge),
    ];
    stay(peer, request, &keys)
}

/// What a login comes to whose target answers the algorithms with this.
async fn challenged(
    algorithm: &'static str,
    identifier: &'static str,
    value: String,
) -> LoginFailure {
    login_fails(mutual, move |peer| {
        let request = to_algorithms(peer)?;
        challenge(peer, &request, [algorithm, identifier, &value])?;
        peer.sit();
        None
    })
    .await
}

/// What a login comes to whose target goes on with these keys after our response.
async fn answered(keys: &'static [(&'static str, &'static str)]) -> AuthenticationFailure {
    let failure = login_fails(mutual, move |peer| {
        let request = to_algorithms(peer)?;
        challenge(peer, &request, ["7", "9", CHALLENGE])?;
        let request = peer.await_request(LOGIN_REQUEST)?;
        peer.say(Peer::agreement(&request, &text::write(keys)))
            .ok()?;
        peer.sit();
        None
    });
    authentication(&failure.await)
}

fn authentication(failure: &LoginFailure) -> AuthenticationFailure {
    match kind(failure) {
        LoginErrorKind::Authentication(failure) => failure.clone(),
        other => panic!("{other}"),
    }
}

#[test]
fn h_35_a_challenge_without_measure() {
    offence("H-35", async {
        for value in [
            text::hex(&[1; 1025]),
            text::hex(&[1; 3000]),
            text::base64(&[1; 3000]),
        ] {
            let offence = offence_of(&challenged("7", "9", value).await);
            let is_named = matches!(
                offence,
                PeerMisbehaved::MalformedChap(ChapError::MalformedChallenge(_))
            );
            assert!(
                is_named && offence.to_string().contains("longer than 1024"),
                "{offence}"
            );
        }
    });
}

#[test]
fn h_36_a_challenge_that_is_no_number() {
    offence("H-36", async {
        for value in ["0x", "0xzz", "0x0g1", "1234", "0b=", "", "0xé"] {
            let offence = offence_of(&challenged("7", "9", value.to_owned()).await);
            assert!(
                matches!(offence, PeerMisbehaved::MalformedChap(_)),
                "{value}: {offence}"
            );
        }
        for identifier in ["256", "-1", "", "0x100", "9 "] {
            let failure = challenged("7", identifier, CHALLENGE.to_owned()).await;
            let named = PeerMisbehaved::MalformedChap(ChapError::MalformedIdentifier);
            assert_eq!(offence_of(&failure), named, "{identifier}");
        }
    });
}

#[test]
fn h_37_an_algorithm_that_was_not_offered() {
    offence("H-37", async {
        for algorithm in ["0", "9", "5,7", "4294967303", "x", ""] {
            let offence = offence_of(&challenged(algorithm, "9", CHALLENGE.to_owned()).await);
            let is_named = matches!(offence, PeerMisbehaved::AlgorithmNotOffered { .. });
            assert!(is_named, "{algorithm}: {offence}");
        }
    });
}

/// Our challenge of one login comes back in another: whoever answers it would prove the target's identity
/// for it.
#[test]
fn h_38_our_own_challenge_sent_back() {
    offence("H-38", async {
        let address = Target::listen(&[], |target| {
            let mut first = target.accept()?;
            let request = to_algorithms(&mut first)?;
            challenge(&mut first, &request, ["7", "9", CHALLENGE])?;
            let ours = first.await_request(LOGIN_REQUEST)?.keys();
            let mut second = target.accept()?;
            let request = to_algorithms(&mut second)?;
            challenge(&mut second, &request, ["7", "9", ours.need("CHAP_C")])?;
            second.sit();
            first.sit();
            None
        });
        let mut options = options(address);
        mutual(&mut options);
        let sessions = [Session::open(options.clone()), Session::open(options)];
        let [one, other] = &sessions;
        let failure = tokio::select! {
            failure = in_time(one.established()) => failure,
            failure = in_time(other.established()) => failure,
        };
        let failure = failure.expect_err("the login was to fail");
        let named = AuthenticationFailure::Chap(ChapError::ReflectedChallenge);
        assert_eq!(authentication(&failure), named);
        for session in &sessions {
            in_time(session.logout()).await;
        }
    });
}

#[test]
fn h_39_a_target_that_cannot_prove_itself() {
    offence("H-39", async {
        let silence = answered(&[]).await;
        assert_eq!(silence, AuthenticationFailure::TargetDidNotAuthenticate);
        let guess = answered(&[
            ("CHAP_N", "target"),
            (
                "CHAP_R",
                "0x0000000000000000000000000000000000000000000000000000000000000000",
            ),
        ]);
        let named = AuthenticationFailure::Chap(ChapError::WrongResponse);
        assert_eq!(guess.await, named);
    });
}

#[test]
fn h_40_a_target_that_waives_the_proof() {
    offence("H-40", async {
        let failure = login_fails(mutual, |peer| {
            let request = peer.await_request(LOGIN_REQUEST)?;
            let text = b"AuthMethod=None\0TargetPortalGroupTag=1\0";
            peer.say(Peer::agreement(&request, text)).ok()?;
            peer.sit();
            None
        });
        let failure = failure.await;
        assert!(
            matches!(failure.kind, LoginFailureKind::Login(_)),
            "{failure}"
        );
        assert_eq!(authentication(&failure), AuthenticationFailure::NoneChosen);
    });
}
