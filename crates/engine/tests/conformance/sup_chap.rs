//! SUP-C: CHAP.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use hawser_engine::{ChapCredentials, LoginErrorKind, Secret, Session};
use hawser_proto::chap::ChapError;
use hawser_proto::login::{AuthenticationFailure, ConfigError, PeerMisbehaved, SecurityStart};
use hawser_testkit::scripted::{Target, chap, text};

use super::chap::{
    CHALLENGE, SECRET, TARGET_SECRET, TARGET_USER, assert_response, authentication, challenge,
    chap_error, fails, finish, mutual, one_way, own_challenge, proof, send_challenge, succeeds,
    to_challenge, with,
};
use super::core;
use super::support::{in_time, kind, login_failure, offence, options};

#[tokio::test]
async fn sup_c01() {
    let octets = text::binary(CHALLENGE);
    for algorithm in [5, 6, 7, 8] {
        let view = succeeds(one_way(), async |peer, request, keys| {
            assert_eq!(
                keys.need("CHAP_A"),
                "8,7,6,5",
                "strongest first, MD5 always"
            );
            let (request, keys) = challenge(peer, &request, algorithm, CHALLENGE).await;
            assert_response(&keys, algorithm, 7, &octets);
            assert_eq!(
                (keys.get("CHAP_I"), keys.get("CHAP_C")),
                (None, None),
                "one way only"
            );
            (request, Vec::new())
        })
        .await;
        let used = view.chap.expect("CHAP was used");
        assert_eq!((used.algorithm.number(), used.mutual), (algorithm, false));
    }
}

/// A target that cannot take the list gets one more try with MD5 alone.
#[tokio::test]
async fn sup_c01_restricted_to_md5() {
    let target = Target::listen().await;
    let mut options = options(&target);
    options.login.chap = Some(ChapCredentials {
        allow_md5: true,
        ..one_way()
    });
    let session = Session::open(options);
    let mut first = target.accept().await;
    let (request, _) = to_challenge(&mut first).await;
    first.refuse(&request, 2, 0, &[]).await;
    first.expect_close().await;
    let mut peer = target.accept().await;
    let (request, keys) = to_challenge(&mut peer).await;
    assert_eq!(keys.need("CHAP_A"), "5");
    let (request, keys) = challenge(&mut peer, &request, 5, CHALLENGE).await;
    assert_response(&keys, 5, 7, &text::binary(CHALLENGE));
    let view = finish(&mut peer, &request, &[], &session).await;
    assert!(view.md5_fallback);
}

#[tokio::test]
async fn sup_c02() {
    for answer in ["9", "4", "8,7", "5,5", "x", ""] {
        let failure = fails(one_way(), async |peer, request, _| {
            send_challenge(peer, &request, answer, "7", CHALLENGE).await;
        })
        .await;
        let offence = offence(&failure);
        assert!(
            matches!(offence, PeerMisbehaved::AlgorithmNotOffered { .. }),
            "{answer}: {offence}"
        );
    }
    let failure = fails(one_way(), async |peer, request, _| {
        peer.stay(&request, &[("CHAP_A", "Reject")]).await;
    })
    .await;
    assert_eq!(
        *authentication(&failure),
        AuthenticationFailure::AlgorithmRefused
    );
    let failure = fails(one_way(), async |peer, request, _| {
        send_challenge(peer, &request, "Reject", "7", CHALLENGE).await;
    })
    .await;
    assert_eq!(
        *authentication(&failure),
        AuthenticationFailure::AlgorithmRefused
    );
}

#[tokio::test]
async fn sup_c03() {
    let long: Vec<u8> = (0..1024).map(|i| (i * 31) as u8).collect();
    let forms = [
        ("7", text::hex(&long[..16]), long[..16].to_vec()),
        ("0x7", text::hex(&long[..16]), long[..16].to_vec()),
        (
            "0X07",
            text::hex(&long[..16]).to_uppercase(),
            long[..16].to_vec(),
        ),
        // An odd number of digits: the first is a byte of its own.
        ("7", "0xabc".to_owned(), vec![0x0a, 0xbc]),
        ("7", text::base64(&long[..16]), long[..16].to_vec()),
        ("7", text::base64(&long), long.clone()),
        ("7", text::hex(&long[..1]), long[..1].to_vec()),
        ("7", text::hex(&long[..253]), long[..253].to_vec()),
        ("7", text::hex(&long), long.clone()),
    ];
    for (identifier, form, octets) in forms {
        succeeds(one_way(), async |peer, request, _| {
            send_challenge(peer, &request, "5", identifier, &form).await;
            let (request, keys) = peer.login_request().await;
            assert_response(&keys, 5, 7, &octets);
            (request, Vec::new())
        })
        .await;
    }
    for (identifier, form) in [
        ("7", text::hex(&[1; 1025])),
        ("7", text::base64(&[1; 1025])),
        ("7", "0x".to_owned()),
        ("7", "0xzz".to_owned()),
        ("7", "1234".to_owned()),
        ("256", CHALLENGE.to_owned()),
        ("-1", CHALLENGE.to_owned()),
        ("", CHALLENGE.to_owned()),
    ] {
        let failure = fails(one_way(), async |peer, request, _| {
            send_challenge(peer, &request, "5", identifier, &form).await;
        })
        .await;
        let offence = offence(&failure);
        assert!(
            matches!(offence, PeerMisbehaved::MalformedChap(_)),
            "{identifier} {form}: {offence}"
        );
    }
}

#[tokio::test]
async fn sup_c04() {
    let view = succeeds(mutual(Some(TARGET_USER)), async |peer, request, _| {
        let (request, keys) = challenge(peer, &request, 5, CHALLENGE).await;
        let proof = proof(&keys, TARGET_SECRET);
        (
            request,
            vec![("CHAP_N", TARGET_USER.to_owned()), ("CHAP_R", proof)],
        )
    })
    .await;
    assert!(view.chap.expect("CHAP was used").mutual);

    let failing = async |answer: fn(String) -> Vec<(&'static str, String)>| {
        fails(mutual(Some(TARGET_USER)), async |peer, request, _| {
            let (request, keys) = challenge(peer, &request, 5, CHALLENGE).await;
            let answer = answer(proof(&keys, TARGET_SECRET));
            let answer: Vec<_> = answer.iter().map(|(k, v)| (*k, v.as_str())).collect();
            peer.agree(&request, &answer).await;
        })
        .await
    };
    let wrong = failing(|_| {
        vec![
            ("CHAP_N", TARGET_USER.to_owned()),
            ("CHAP_R", text::hex(&[9; 16])),
        ]
    });
    assert_eq!(chap_error(&wrong.await), ChapError::WrongResponse);
    let no_name = failing(|proof| vec![("CHAP_R", proof)]).await;
    assert!(matches!(
        offence(&no_name),
        PeerMisbehaved::MissingKey { .. }
    ));
    let no_response = failing(|_| vec![("CHAP_N", TARGET_USER.to_owned())]).await;
    assert!(matches!(
        offence(&no_response),
        PeerMisbehaved::MissingKey { .. }
    ));
    let other = failing(|proof| vec![("CHAP_N", "somebody".to_owned()), ("CHAP_R", proof)]).await;
    assert!(matches!(
        authentication(&other),
        AuthenticationFailure::WrongName { .. }
    ));
    let silent = failing(|_| Vec::new()).await;
    assert_eq!(
        *authentication(&silent),
        AuthenticationFailure::TargetDidNotAuthenticate
    );
}

#[tokio::test]
async fn sup_c05() {
    // Two logins are under way; the target of the second sends the challenge of the first.
    let (first, second) = (Target::listen().await, Target::listen().await);
    let open = |target: &Target| {
        let mut options = options(target);
        options.login.chap = Some(mutual(None));
        Session::open(options)
    };
    let (session, other) = (open(&first), open(&second));
    let mut peer = first.accept().await;
    let (request, _) = to_challenge(&mut peer).await;
    let (_, keys) = challenge(&mut peer, &request, 5, CHALLENGE).await;
    let ours = text::hex(&own_challenge(&keys).1);
    let mut attacked = second.accept().await;
    let (request, _) = to_challenge(&mut attacked).await;
    send_challenge(&mut attacked, &request, "5", "9", &ours).await;
    attacked.expect_close().await;
    let failure = in_time(other.established()).await.unwrap_err();
    assert_eq!(chap_error(&failure), ChapError::ReflectedChallenge);
    drop(session);
    // The response that we would have given.
    let failure = fails(mutual(None), async |peer, request, _| {
        let (request, keys) = challenge(peer, &request, 5, CHALLENGE).await;
        let reflected = proof(&keys, SECRET);
        peer.agree(&request, &[("CHAP_N", TARGET_USER), ("CHAP_R", &reflected)])
            .await;
    })
    .await;
    assert_eq!(chap_error(&failure), ChapError::ReflectedResponse);
}

/// The failure of a login that must not even begin: nothing is sent.
async fn refused_before_it_begins(credentials: ChapCredentials) -> ConfigError {
    let target = Target::listen().await;
    let mut options = options(&target);
    options.login.chap = Some(credentials);
    let session = Session::open(options);
    let failure = in_time(session.established()).await.unwrap_err();
    assert!(failure.is_final());
    session.logout().await;
    assert!(!target.has_connection().await);
    match kind(&failure) {
        LoginErrorKind::Config(error) => error.clone(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn sup_c06() {
    let mut same = one_way();
    same.mutual = Some((None, Secret::from(SECRET)));
    let error = refused_before_it_begins(same).await;
    assert!(error.to_string().contains("same"), "{error}");
}

#[tokio::test]
async fn sup_c07() {
    let credentials = |bytes: usize, allow| {
        let secret = Secret::from("s".repeat(bytes).as_str());
        let mut chap = ChapCredentials::one_way("user", secret);
        (chap.allow_short_secrets, chap.allow_md5) = (allow, false);
        chap
    };
    let error = refused_before_it_begins(credentials(11, false)).await;
    let short = ChapError::SecretTooShort {
        bytes: 11,
        minimum: 12,
    };
    assert_eq!(error, ConfigError::Secret(short));
    for (bytes, allow) in [(12, false), (11, true), (1, true)] {
        succeeds(credentials(bytes, allow), async |peer, request, _| {
            let (request, keys) = challenge(peer, &request, 5, CHALLENGE).await;
            let secret = "s".repeat(bytes);
            let right = chap::response(5, 7, secret.as_bytes(), &text::binary(CHALLENGE));
            assert_eq!(keys.need("CHAP_R"), text::hex(&right));
            (request, Vec::new())
        })
        .await;
    }
}

#[tokio::test]
async fn sup_c08() {
    for moves in [false, true] {
        let failure = login_failure(with(one_way()), async |peer| {
            let (request, keys) = peer.login_request().await;
            assert_eq!(keys.need("AuthMethod"), "CHAP", "None is not offered");
            let keys = [("AuthMethod", "None"), ("TargetPortalGroupTag", "1")];
            if moves {
                peer.agree(&request, &keys).await;
            } else {
                peer.stay(&request, &keys).await;
            }
        })
        .await;
        assert_eq!(*authentication(&failure), AuthenticationFailure::NoneChosen);
        assert!(failure.is_final());
    }
}

#[tokio::test]
async fn sup_c09() {
    let mut config = core::config();
    config.security = SecurityStart::Skip;
    let (outcome, ()) = core::log_in(config, async |peer| {
        let (request, _) = peer.login_request().await;
        assert_eq!(request.current_stage(), 1);
        peer.refuse(&request, 2, 1, &[]).await;
        peer.expect_close().await;
    })
    .await;
    let error = outcome.unwrap_err();
    assert!(error.is_final());
    assert!(error.to_string().contains("uthentication"), "{error}");
}

/// All that is logged in a thread, fields and messages.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut Fields(&self.0));
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut Fields(&self.0));
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Fields(&self.0));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

struct Fields<'a>(&'a Mutex<String>);

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

#[tokio::test]
async fn sup_c10() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    tracing::warn!("the log is heard");
    let mut said = Vec::new();
    let failure = fails(mutual(None), async |peer, request, _| {
        let (request, keys) = challenge(peer, &request, 5, CHALLENGE).await;
        said.push(keys.need("CHAP_R").to_owned());
        said.push(keys.need("CHAP_C").to_owned());
        peer.agree(
            &request,
            &[("CHAP_N", TARGET_USER), ("CHAP_R", &text::hex(&[3; 16]))],
        )
        .await;
    })
    .await;
    let target = Target::listen().await;
    let mut options = options(&target);
    options.login.chap = Some(mutual(None));
    let session = Session::open(options.clone());
    let mut peer = target.accept().await;
    let (request, _) = to_challenge(&mut peer).await;
    let (request, keys) = challenge(&mut peer, &request, 5, CHALLENGE).await;
    said.push(keys.need("CHAP_R").to_owned());
    let proof = proof(&keys, TARGET_SECRET);
    let view = finish(
        &mut peer,
        &request,
        &[("CHAP_N", TARGET_USER), ("CHAP_R", &proof)],
        &session,
    )
    .await;
    said.push(proof);
    let shown = format!("{failure} {failure:?} {options:?} {session:?} {view:?}");
    let logged = log.0.lock().unwrap().clone();
    assert!(logged.contains("the log is heard"));
    said.extend([SECRET.to_owned(), TARGET_SECRET.to_owned()]);
    for secret in &said {
        let secret = secret.trim_start_matches("0x");
        assert!(!shown.contains(secret), "{secret} in {shown}");
        assert!(!logged.contains(secret), "{secret} in {logged}");
    }
}
