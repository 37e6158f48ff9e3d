//! The titles of the UNH-IOL suite "CHAP for initiators". Only the titles are public: what each asks of
//! an initiator is read from RFC 7143 §9.2 and §12.1.3 and RFC 1994.

use hawser_engine::Session;
use hawser_proto::chap::ChapError;
use hawser_proto::login::{AuthenticationFailure, PeerMisbehaved};
use hawser_testkit::scripted::{Target, text};

use super::chap::{
    CHALLENGE, SECRET, TARGET_SECRET, TARGET_USER, USER, assert_response, authentication,
    challenge, chap_error, fails, mutual, one_way, own_challenge, proof, send_challenge, succeeds,
    to_challenge,
};
use super::support::{in_time, offence, options};

/// The target sends this in answer to CHAP_A: an offence of this kind.
async fn offends(keys: &[(&str, &str)]) -> PeerMisbehaved {
    let failure = fails(one_way(), async |peer, request, _| {
        peer.stay(&request, keys).await;
    })
    .await;
    offence(&failure).clone()
}

/// CHAP_A and CHAP_C with this identifier.
async fn identified(identifier: &str, number: u8) {
    succeeds(one_way(), async |peer, request, _| {
        send_challenge(peer, &request, "5", identifier, CHALLENGE).await;
        let (request, keys) = peer.login_request().await;
        assert_response(&keys, 5, number, &text::binary(CHALLENGE));
        (request, Vec::new())
    })
    .await;
}

async fn challenged(octets: &[u8]) {
    succeeds(one_way(), async |peer, request, _| {
        let (request, keys) = challenge(peer, &request, 5, &text::hex(octets)).await;
        assert_response(&keys, 5, 7, octets);
        (request, Vec::new())
    })
    .await;
}

/// Both prove themselves, the target under this name; gives our challenge.
async fn mutual_as(expected: Option<&str>, name: &str) -> (u8, Vec<u8>) {
    let mut ours = (0, Vec::new());
    let view = succeeds(mutual(expected), async |peer, request, _| {
        let (request, keys) = challenge(peer, &request, 5, CHALLENGE).await;
        ours = own_challenge(&keys);
        let proof = proof(&keys, TARGET_SECRET);
        (
            request,
            vec![("CHAP_N", name.to_owned()), ("CHAP_R", proof)],
        )
    })
    .await;
    assert!(view.chap.expect("CHAP was used").mutual);
    ours
}

/// The target answers our challenge so.
async fn answers(expected: Option<&str>, answer: &[(&str, &str)]) -> hawser_engine::LoginFailure {
    fails(mutual(expected), async |peer, request, _| {
        let (request, _) = challenge(peer, &request, 5, CHALLENGE).await;
        peer.agree(&request, answer).await;
    })
    .await
}

#[tokio::test]
async fn chap_1_1() {
    for algorithm in [5, 8] {
        succeeds(one_way(), async |peer, request, _| {
            let (request, keys) = challenge(peer, &request, algorithm, CHALLENGE).await;
            assert_response(&keys, algorithm, 7, &text::binary(CHALLENGE));
            (request, Vec::new())
        })
        .await;
    }
}

#[tokio::test]
async fn chap_1_2_1() {
    for number in ["0", "4", "9", "255", "4294967301"] {
        let offence = offends(&[("CHAP_A", number), ("CHAP_I", "7"), ("CHAP_C", CHALLENGE)]).await;
        assert!(
            matches!(offence, PeerMisbehaved::AlgorithmNotOffered { .. }),
            "{offence}"
        );
    }
}

#[tokio::test]
async fn chap_1_2_2() {
    for word in ["MD5", "five", "5 ", "None", ""] {
        let offence = offends(&[("CHAP_A", word), ("CHAP_I", "7"), ("CHAP_C", CHALLENGE)]).await;
        assert!(
            matches!(offence, PeerMisbehaved::AlgorithmNotOffered { .. }),
            "{offence}"
        );
    }
}

/// CHAP_A comes a second time, with the verdict, or not when it is due.
#[tokio::test]
async fn chap_1_3() {
    let missing = offends(&[("CHAP_I", "7"), ("CHAP_C", CHALLENGE)]).await;
    assert!(
        matches!(missing, PeerMisbehaved::MissingKey { .. }),
        "{missing}"
    );
    let failure = fails(one_way(), async |peer, request, _| {
        let (request, _) = challenge(peer, &request, 5, CHALLENGE).await;
        peer.stay(&request, &[("CHAP_A", "5")]).await;
    })
    .await;
    assert!(
        matches!(offence(&failure), PeerMisbehaved::DuplicateKey { .. }),
        "{failure}"
    );
}

#[tokio::test]
async fn chap_2_1() {
    for (text, number) in [("0", 0), ("255", 255), ("0xff", 255)] {
        identified(text, number).await;
    }
}

#[tokio::test]
async fn chap_2_2() {
    for text in ["256", "-1", "0x100", "abc", "", "1,2"] {
        let offence = offends(&[("CHAP_A", "5"), ("CHAP_I", text), ("CHAP_C", CHALLENGE)]).await;
        assert!(
            matches!(offence, PeerMisbehaved::MalformedChap(_)),
            "{offence}"
        );
    }
}

#[tokio::test]
async fn chap_2_3() {
    let missing = offends(&[("CHAP_A", "5"), ("CHAP_C", CHALLENGE)]).await;
    assert!(
        matches!(missing, PeerMisbehaved::MissingKey { .. }),
        "{missing}"
    );
    let failure = fails(one_way(), async |peer, request, _| {
        let (request, _) = challenge(peer, &request, 5, CHALLENGE).await;
        peer.stay(&request, &[("CHAP_I", "8")]).await;
    })
    .await;
    assert!(
        matches!(offence(&failure), PeerMisbehaved::DuplicateKey { .. }),
        "{failure}"
    );
}

/// Informative: an identifier that a target uses again is answered again.
#[tokio::test]
async fn chap_2_4() {
    for _ in 0..2 {
        identified("7", 7).await;
    }
}

/// Ours is never the target's, so that an answer to one could not serve for the other.
#[tokio::test]
async fn chap_2_5() {
    let target = Target::listen().await;
    for identifier in 0..=255_u8 {
        let mut options = options(&target);
        options.login.chap = Some(mutual(None));
        let session = Session::open(options);
        let mut peer = target.accept().await;
        let (request, _) = to_challenge(&mut peer).await;
        send_challenge(&mut peer, &request, "5", &identifier.to_string(), CHALLENGE).await;
        let (_, keys) = peer.login_request().await;
        assert_ne!(own_challenge(&keys).0, identifier);
        drop(session);
    }
}

#[tokio::test]
async fn chap_2_6() {
    for (text, number) in [("1", 1), ("2", 2)] {
        identified(text, number).await;
    }
}

#[tokio::test]
async fn chap_3_1() {
    challenged(&[0x5a; 1024]).await;
}

#[tokio::test]
async fn chap_3_2() {
    challenged(&[0x5a]).await;
}

#[tokio::test]
async fn chap_3_3() {
    let big = text::hex(&[0x5a; 1025]);
    let offence = offends(&[("CHAP_A", "5"), ("CHAP_I", "7"), ("CHAP_C", &big)]).await;
    assert!(
        matches!(offence, PeerMisbehaved::MalformedChap(_)),
        "{offence}"
    );
}

#[tokio::test]
async fn chap_3_4() {
    for empty in ["", "0x", "0b"] {
        let offence = offends(&[("CHAP_A", "5"), ("CHAP_I", "7"), ("CHAP_C", empty)]).await;
        assert!(
            matches!(offence, PeerMisbehaved::MalformedChap(_)),
            "{empty:?}: {offence}"
        );
    }
}

#[tokio::test]
async fn chap_3_5() {
    let missing = offends(&[("CHAP_A", "5"), ("CHAP_I", "7")]).await;
    assert!(
        matches!(missing, PeerMisbehaved::MissingKey { .. }),
        "{missing}"
    );
    let failure = fails(one_way(), async |peer, request, _| {
        let (request, _) = challenge(peer, &request, 5, CHALLENGE).await;
        peer.stay(&request, &[("CHAP_C", CHALLENGE)]).await;
    })
    .await;
    assert!(
        matches!(offence(&failure), PeerMisbehaved::DuplicateKey { .. }),
        "{failure}"
    );
}

/// Informative: what a target challenges with is its own matter; two logins at once answer it.
#[tokio::test]
async fn chap_3_6_1() {
    tokio::join!(challenged(&[0x33; 16]), challenged(&[0x33; 16]));
}

/// Informative, as [`chap_3_6_1`], one after the other.
#[tokio::test]
async fn chap_3_6_2() {
    challenged(&[0x33; 16]).await;
    challenged(&[0x33; 16]).await;
}

/// What we challenge with is new in each login, of two at once too.
#[tokio::test]
async fn chap_3_6_3() {
    let (first, second) = tokio::join!(mutual_as(None, TARGET_USER), mutual_as(None, TARGET_USER));
    assert!(first.1 != second.1);
    assert!((16..=1024).contains(&first.1.len()) && first.1.len() == second.1.len());
}

/// As [`chap_3_6_3`], one after the other.
#[tokio::test]
async fn chap_3_6_4() {
    let mut seen = Vec::new();
    for _ in 0..4 {
        let (_, challenge) = mutual_as(None, TARGET_USER).await;
        assert!(!seen.contains(&challenge));
        seen.push(challenge);
    }
}

/// We do not challenge with what we were challenged with.
#[tokio::test]
async fn chap_3_7() {
    let (_, ours) = mutual_as(None, TARGET_USER).await;
    assert!(ours != text::binary(CHALLENGE));
}

/// The target challenges with what we challenge with: on another connection, while it is out.
#[tokio::test]
async fn chap_3_8() {
    let target = Target::listen().await;
    let mut options = options(&target);
    options.login.chap = Some(mutual(None));
    let _first = Session::open(options.clone());
    let mut peer = target.accept().await;
    let (request, _) = to_challenge(&mut peer).await;
    let (_, keys) = challenge(&mut peer, &request, 5, CHALLENGE).await;
    let ours = text::hex(&own_challenge(&keys).1);
    let second = Session::open(options);
    let mut peer = target.accept().await;
    let (request, _) = to_challenge(&mut peer).await;
    send_challenge(&mut peer, &request, "5", "9", &ours).await;
    peer.expect_close().await;
    let failure = in_time(second.established()).await.unwrap_err();
    assert_eq!(chap_error(&failure), ChapError::ReflectedChallenge);
}

#[tokio::test]
async fn chap_4_1() {
    mutual_as(Some(TARGET_USER), TARGET_USER).await;
}

#[tokio::test]
async fn chap_4_2() {
    let long = "n".repeat(255);
    mutual_as(Some(&long), &long).await;
}

#[tokio::test]
async fn chap_4_3() {
    mutual_as(Some("n"), "n").await;
}

#[tokio::test]
async fn chap_4_4() {
    let long = "n".repeat(256);
    let failure = fails(mutual(None), async |peer, request, _| {
        let (request, keys) = challenge(peer, &request, 5, CHALLENGE).await;
        let proof = proof(&keys, TARGET_SECRET);
        peer.agree(&request, &[("CHAP_N", &long), ("CHAP_R", &proof)])
            .await;
    })
    .await;
    assert!(
        matches!(offence(&failure), PeerMisbehaved::MalformedValue { .. }),
        "{failure}"
    );
}

#[tokio::test]
async fn chap_4_5() {
    // With the challenge, where it has no place.
    let early = offends(&[
        ("CHAP_A", "5"),
        ("CHAP_I", "7"),
        ("CHAP_C", CHALLENGE),
        ("CHAP_N", TARGET_USER),
    ])
    .await;
    assert!(
        matches!(early, PeerMisbehaved::UnexpectedKey { .. }),
        "{early}"
    );
    // Without its response.
    let alone = answers(None, &[("CHAP_N", TARGET_USER)]).await;
    assert!(
        matches!(offence(&alone), PeerMisbehaved::MissingKey { .. }),
        "{alone}"
    );
}

/// The target calls itself as we do.
#[tokio::test]
async fn chap_4_6() {
    let failure = fails(mutual(Some(TARGET_USER)), async |peer, request, _| {
        let (request, keys) = challenge(peer, &request, 5, CHALLENGE).await;
        let proof = proof(&keys, TARGET_SECRET);
        peer.agree(&request, &[("CHAP_N", USER), ("CHAP_R", &proof)])
            .await;
    })
    .await;
    assert!(matches!(
        authentication(&failure),
        AuthenticationFailure::WrongName { .. }
    ));
}

#[tokio::test]
async fn chap_4_7() {
    for _ in 0..2 {
        mutual_as(Some(TARGET_USER), TARGET_USER).await;
    }
}

/// A name that is not checked may be any; one that is may not.
#[tokio::test]
async fn chap_4_8() {
    mutual_as(None, "one-name").await;
    mutual_as(None, "another-name").await;
    let failure = fails(mutual(Some("one-name")), async |peer, request, _| {
        let (request, keys) = challenge(peer, &request, 5, CHALLENGE).await;
        let proof = proof(&keys, TARGET_SECRET);
        peer.agree(&request, &[("CHAP_N", "another-name"), ("CHAP_R", &proof)])
            .await;
    })
    .await;
    assert!(matches!(
        authentication(&failure),
        AuthenticationFailure::WrongName { .. }
    ));
}

#[tokio::test]
async fn chap_5_1() {
    let failure = answers(
        None,
        &[("CHAP_N", TARGET_USER), ("CHAP_R", &text::hex(&[1; 16]))],
    )
    .await;
    assert_eq!(chap_error(&failure), ChapError::WrongResponse);
    for malformed in ["", "0x", "response", "0xxyz"] {
        let failure = answers(None, &[("CHAP_N", TARGET_USER), ("CHAP_R", malformed)]).await;
        assert!(
            matches!(offence(&failure), PeerMisbehaved::MalformedChap(_)),
            "{failure}"
        );
    }
    // What our own secret gives is no proof of the target's.
    let failure = fails(mutual(None), async |peer, request, _| {
        let (request, keys) = challenge(peer, &request, 5, CHALLENGE).await;
        let reflected = proof(&keys, SECRET);
        peer.agree(&request, &[("CHAP_N", TARGET_USER), ("CHAP_R", &reflected)])
            .await;
    })
    .await;
    assert_eq!(chap_error(&failure), ChapError::ReflectedResponse);
}

/// A response of `bytes` bytes that begins as the right one does.
async fn sized(bytes: usize) -> ChapError {
    let failure = fails(mutual(None), async |peer, request, _| {
        let (request, keys) = challenge(peer, &request, 5, CHALLENGE).await;
        let mut response = text::binary(&proof(&keys, TARGET_SECRET));
        response.resize(bytes, 0);
        let response = text::hex(&response);
        peer.agree(&request, &[("CHAP_N", TARGET_USER), ("CHAP_R", &response)])
            .await;
    })
    .await;
    chap_error(&failure)
}

#[tokio::test]
async fn chap_5_2() {
    for bytes in [17, 32, 1024] {
        let error = sized(bytes).await;
        assert_eq!(
            error,
            ChapError::ResponseLength {
                bytes,
                expected: 16
            }
        );
    }
    assert!(matches!(sized(1025).await, ChapError::MalformedResponse(_)));
}

#[tokio::test]
async fn chap_5_3() {
    for bytes in [1, 15] {
        let error = sized(bytes).await;
        assert_eq!(
            error,
            ChapError::ResponseLength {
                bytes,
                expected: 16
            }
        );
    }
}
