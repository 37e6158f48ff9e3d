//! SUP-C01 to SUP-C10: CHAP in the login, and the flow of RFC 7143 Appendix B.

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use sha3::Sha3_256;

use super::peer::{INITIATOR, ISID, Peer, RANDOM, Reply, TARGET, borrow, config};
use crate::chap::{Algorithm, ChallengeLedger, ChapError, ChapSecret};
use crate::login::{
    AuthenticationFailure, ChapConfig, ChapUsed, ConfigError, Login, LoginConfig, LoginErrorKind,
    MutualChap, PeerMisbehaved, RetryAdvice, SecurityStart, Unusual, Waiting,
};
use crate::pdu::LoginStatus;
use crate::text::ValueError;

const OURS: &str = "initiator-secret";
const THEIRS: &str = "the-targets-secret";
/// The octets of `CHALLENGE`.
const CHALLENGE_OCTETS: [u8; 16] = *b"@ABCDEFGHIJKLMNO";
const CHALLENGE: &str = "0x404142434445464748494a4b4c4d4e4f";

/// RFC 1994 §4.1, computed here without our own code.
fn expected(algorithm: u8, identifier: u8, secret: &str, challenge: &[u8]) -> String {
    let input = [&[identifier], secret.as_bytes(), challenge].concat();
    let octets = match algorithm {
        5 => Md5::digest(&input).to_vec(),
        6 => Sha1::digest(&input).to_vec(),
        7 => Sha256::digest(&input).to_vec(),
        8 => Sha3_256::digest(&input).to_vec(),
        _ => unreachable!(),
    };
    let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("0x{digits}")
}

pub(super) fn chap_config() -> LoginConfig {
    let mut config = config();
    config.chap = Some(ChapConfig::one_way("user77", OURS.into()));
    config
}

fn mutual_config() -> LoginConfig {
    let mut config = chap_config();
    if let Some(chap) = &mut config.chap {
        chap.mutual = Some(MutualChap {
            expected_name: Some("tgt88".into()),
            secret: THEIRS.into(),
        });
    }
    config
}

fn challenge(algorithm: &str) -> Reply {
    Reply::stay(0).with(&[
        ("CHAP_A", algorithm),
        ("CHAP_I", "42"),
        ("CHAP_C", CHALLENGE),
    ])
}

/// Up to CHAP_A: the method is settled, the algorithms are offered.
fn offered(config: LoginConfig) -> Peer {
    let mut peer = Peer::new(config);
    let first = peer.request();
    assert_eq!((first.t, first.csg), (false, 0));
    let second = peer.reply(&Reply::stay(0).with(&[("AuthMethod", "CHAP")]));
    assert_eq!((second.t, second.csg), (false, 0));
    assert!(second.get("CHAP_A").is_some());
    assert_eq!(second.pairs().len(), 1, "CHAP_A in a PDU of its own");
    peer
}

/// RFC 7143 Appendix B, the fourth example: both sides authenticate each other with CHAP.
#[test]
fn the_mutual_example_of_appendix_b() {
    let mut peer = Peer::new(mutual_config());
    let first = peer.request();
    assert_eq!((first.csg, first.t), (0, false));
    assert_eq!(first.get("InitiatorName").as_deref(), Some(INITIATOR));
    assert_eq!(first.get("TargetName").as_deref(), Some(TARGET));
    assert_eq!(first.get("AuthMethod").as_deref(), Some("CHAP"));

    let tag = ("TargetPortalGroupTag", "1");
    let second = peer.reply(&Reply::stay(0).with(&[("AuthMethod", "CHAP"), tag]));
    assert_eq!((second.csg, second.t), (0, false));
    assert_eq!(borrow(&second.pairs()), [("CHAP_A", "8,7,6,5")]);

    let third = peer.reply(&challenge("5"));
    assert_eq!((third.csg, third.nsg, third.t), (0, 1, true));
    assert_eq!(third.get("CHAP_N").as_deref(), Some("user77"));
    assert_eq!(
        third.get("CHAP_R"),
        Some(expected(5, 42, OURS, &CHALLENGE_OCTETS))
    );
    assert_eq!(third.get("CHAP_I").as_deref(), Some("107"));
    let ours: String = RANDOM[..32]
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    assert_eq!(third.get("CHAP_C"), Some(format!("0x{ours}")));

    let response = expected(5, 107, THEIRS, &RANDOM[..32]);
    let fourth = peer.reply(&Reply::go(0, 1).with(&[("CHAP_N", "tgt88"), ("CHAP_R", &response)]));
    assert_eq!((fourth.csg, fourth.nsg, fourth.t), (1, 3, true));
    let logged_in = peer.last_reply(&Reply::go(1, 3));
    assert_eq!(
        logged_in.chap,
        Some(ChapUsed {
            algorithm: Algorithm::Md5,
            mutual: true
        })
    );
    assert_eq!(logged_in.tpgt, Some(1));
}

#[test]
fn sup_c01_each_algorithm() {
    for (number, algorithm) in [
        (5, Algorithm::Md5),
        (6, Algorithm::Sha1),
        (7, Algorithm::Sha256),
        (8, Algorithm::Sha3_256),
    ] {
        let mut peer = offered(chap_config());
        // The number may come in hexadecimal too.
        let third = peer.reply(&challenge(&format!("0x{number}")));
        assert_eq!(
            third.get("CHAP_R"),
            Some(expected(number, 42, OURS, &CHALLENGE_OCTETS))
        );
        assert_eq!(third.get("CHAP_C"), None, "one-way");
        peer.reply(&Reply::go(0, 1));
        let logged_in = peer.last_reply(&Reply::go(1, 3));
        assert_eq!(
            logged_in.chap,
            Some(ChapUsed {
                algorithm,
                mutual: false
            })
        );
    }
}

#[test]
fn sup_c01_md5_alone() {
    let mut config = chap_config();
    config.md5_only = true;
    let mut peer = Peer::new(config);
    peer.request();
    let second = peer.reply(&Reply::stay(0).with(&[("AuthMethod", "CHAP")]));
    assert_eq!(second.get("CHAP_A").as_deref(), Some("5"));
    let error = peer.try_reply(&Reply::status(2, 1)).unwrap_err();
    assert!(!error.wants_md5_only_retry(), "it was MD5 alone");
}

#[test]
fn sup_c01_md5_may_be_forbidden() {
    let mut config = chap_config();
    if let Some(chap) = &mut config.chap {
        chap.algorithms = vec![Algorithm::Sha3_256, Algorithm::Sha256];
    }
    let mut peer = offered(config.clone());
    let error = peer.try_reply(&Reply::status(2, 1)).unwrap_err();
    assert!(!error.wants_md5_only_retry());
    config.md5_only = true;
    assert_eq!(config.check(), Err(ConfigError::NoAlgorithm));
}

#[test]
fn the_md5_only_retry_is_asked_for_when_the_list_may_be_at_fault() {
    let refusals = [
        Reply::status(2, 1),
        Reply::status(2, 0),
        Reply::status(3, 0),
        Reply::stay(0).with(&[("CHAP_A", "Reject")]),
        challenge("8,7,6,5"),
        challenge("4"),
        Reply::stay(0),
    ];
    for reply in refusals {
        let error = offered(chap_config()).try_reply(&reply).unwrap_err();
        assert!(error.wants_md5_only_retry(), "{error}");
    }
    assert!(
        offered(chap_config())
            .login
            .handle_close()
            .wants_md5_only_retry()
    );

    // The target chose an algorithm, and refused our response: it may have mistaken its number.
    for (algorithm, retry) in [("7", true), ("5", false)] {
        let mut peer = offered(chap_config());
        peer.reply(&challenge(algorithm));
        let error = peer.try_reply(&Reply::status(2, 1)).unwrap_err();
        assert_eq!(error.wants_md5_only_retry(), retry);
        assert_eq!(error.waiting, Waiting::ChapVerdict);
        assert!(error.is_final());
    }

    // A target that cannot prove itself is no reason to ask for less.
    let mut peer = offered(mutual_config());
    peer.reply(&challenge("7"));
    let wrong = [
        ("CHAP_N", "tgt88"),
        ("CHAP_R", &*expected(5, 107, THEIRS, &RANDOM[..32])),
    ];
    let error = peer.try_reply(&Reply::go(0, 1).with(&wrong)).unwrap_err();
    assert!(!error.wants_md5_only_retry());
}

#[test]
fn sup_c02_an_algorithm_that_was_not_offered() {
    for answer in ["9", "5,7", "", "MD5", "Irrelevant"] {
        let offence = offered(chap_config()).offence(&challenge(answer));
        assert_eq!(
            offence,
            PeerMisbehaved::AlgorithmNotOffered {
                answer: answer.into()
            }
        );
    }
    let failure = offered(chap_config()).failure(&challenge("Reject"));
    assert_eq!(failure, AuthenticationFailure::AlgorithmRefused.into());
}

#[test]
fn sup_c03_forms_of_identifier_and_challenge() {
    let long = |bytes: usize| format!("0x{}", "ab".repeat(bytes));
    let cases: [(&str, String, Vec<u8>); 7] = [
        ("0x2A", "0XAbC".into(), vec![0x0a, 0xbc]),
        (
            "42",
            "0bQEFCQ0RFRkdISUpLTE1OTw==".into(),
            CHALLENGE_OCTETS.to_vec(),
        ),
        ("42", "0x07".into(), vec![7]),
        ("42", long(16), vec![0xab; 16]),
        ("42", long(253), vec![0xab; 253]),
        ("42", long(1024), vec![0xab; 1024]),
        ("42", "0x1".into(), vec![1]),
    ];
    for (identifier, value, octets) in cases {
        let mut peer = offered(chap_config());
        let keys = [
            ("CHAP_A", "5"),
            ("CHAP_I", identifier),
            ("CHAP_C", value.as_str()),
        ];
        let third = peer.reply(&Reply::stay(0).with(&keys));
        assert_eq!(third.get("CHAP_R"), Some(expected(5, 42, OURS, &octets)));
    }
    let keys = [("CHAP_A", "5"), ("CHAP_I", "42"), ("CHAP_C", &*long(1025))];
    let offence = offered(chap_config()).offence(&Reply::stay(0).with(&keys));
    let error = ChapError::MalformedChallenge(ValueError::TooLong { limit: 1024 });
    assert_eq!(offence, PeerMisbehaved::MalformedChap(error));
    let keys = [("CHAP_A", "5"), ("CHAP_I", "256"), ("CHAP_C", "0x01")];
    let offence = offered(chap_config()).offence(&Reply::stay(0).with(&keys));
    assert_eq!(
        offence,
        PeerMisbehaved::MalformedChap(ChapError::MalformedIdentifier)
    );
}

#[test]
fn sup_c03_keys_that_are_missing_or_do_not_fit() {
    for missing in ["CHAP_A", "CHAP_I", "CHAP_C"] {
        let keys = [("CHAP_A", "5"), ("CHAP_I", "42"), ("CHAP_C", CHALLENGE)];
        let rest: Vec<_> = keys
            .into_iter()
            .filter(|(key, _)| *key != missing)
            .collect();
        let offence = offered(chap_config()).offence(&Reply::stay(0).with(&rest));
        assert_eq!(offence, PeerMisbehaved::MissingKey { key: missing });
    }
    let early = Reply::stay(0).with(&[("AuthMethod", "CHAP"), ("CHAP_I", "1")]);
    let mut peer = Peer::new(chap_config());
    peer.request();
    assert_eq!(
        peer.offence(&early),
        PeerMisbehaved::UnexpectedKey { key: "CHAP_I" }
    );

    let offence = offered(chap_config()).offence(&challenge("5").with(&[("CHAP_N", "x")]));
    assert_eq!(offence, PeerMisbehaved::UnexpectedKey { key: "CHAP_N" });

    let mut peer = offered(chap_config());
    peer.reply(&challenge("5"));
    let offence = peer.offence(&Reply::go(0, 1).with(&[("CHAP_N", "x"), ("CHAP_R", "0x00")]));
    assert!(
        matches!(offence, PeerMisbehaved::UnexpectedKey { .. }),
        "one-way: {offence}"
    );
}

/// What the target's answer to our challenge leads to.
fn verdict(reply: &Reply) -> LoginErrorKind {
    let mut peer = offered(mutual_config());
    peer.reply(&challenge("5"));
    peer.failure(reply)
}

#[test]
fn sup_c04_a_target_that_does_not_prove_itself() {
    let right = expected(5, 107, THEIRS, &RANDOM[..32]);
    let wrong = expected(5, 107, "another-secret!!", &RANDOM[..32]);
    let last = |keys: &[(&str, &str)]| Reply::go(0, 1).with(keys);
    assert_eq!(
        verdict(&last(&[("CHAP_N", "tgt88"), ("CHAP_R", &wrong)])),
        AuthenticationFailure::Chap(ChapError::WrongResponse).into()
    );
    assert_eq!(
        verdict(&last(&[("CHAP_N", "other"), ("CHAP_R", &right)])),
        AuthenticationFailure::WrongName {
            expected: "tgt88".into(),
            got: "other".into()
        }
        .into()
    );
    assert_eq!(
        verdict(&last(&[])),
        AuthenticationFailure::TargetDidNotAuthenticate.into()
    );
    assert_eq!(
        verdict(&last(&[("CHAP_R", &right)])),
        PeerMisbehaved::MissingKey { key: "CHAP_N" }.into()
    );
    assert_eq!(
        verdict(&last(&[("CHAP_N", "tgt88")])),
        PeerMisbehaved::MissingKey { key: "CHAP_R" }.into()
    );
    let short = ChapError::ResponseLength {
        bytes: 15,
        expected: 16,
    };
    assert_eq!(
        verdict(&last(&[("CHAP_N", "tgt88"), ("CHAP_R", &right[..32])])),
        AuthenticationFailure::Chap(short).into()
    );
}

#[test]
fn sup_c04_a_target_that_takes_its_time() {
    let mut peer = offered(mutual_config());
    peer.reply(&challenge("5"));
    let again = peer.reply(&Reply::stay(0));
    assert!(again.t && again.data.is_empty());
    let response = expected(5, 107, THEIRS, &RANDOM[..32]);
    let proof = [("CHAP_N", "tgt88"), ("CHAP_R", response.as_str())];
    let again = peer.reply(&Reply::stay(0).with(&proof));
    assert!(again.t && again.data.is_empty() && again.csg == 0);
    assert_eq!(peer.login.waiting(), Waiting::SecurityEnd);
    assert_eq!(peer.reply(&Reply::go(0, 1)).csg, 1);
    assert!(peer.last_reply(&Reply::go(1, 3)).chap.unwrap().mutual);
}

#[test]
fn sup_c05_reflection_of_our_challenge() {
    let ours: String = RANDOM[..32]
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let keys = [
        ("CHAP_A", "5"),
        ("CHAP_I", "1"),
        ("CHAP_C", &*format!("0x{ours}")),
    ];
    let failure = offered(mutual_config()).failure(&Reply::stay(0).with(&keys));
    assert_eq!(
        failure,
        AuthenticationFailure::Chap(ChapError::ReflectedChallenge).into()
    );

    // The same from another of our connections.
    let mut ledger = ChallengeLedger::new();
    ledger.insert(&CHALLENGE_OCTETS);
    let mut peer = offered(mutual_config());
    peer.login.refuse_challenges(&ledger);
    let failure = peer.failure(&challenge("5"));
    assert_eq!(
        failure,
        AuthenticationFailure::Chap(ChapError::ReflectedChallenge).into()
    );
    let failure = {
        let mut peer = offered(mutual_config());
        peer.login.refuse_challenges(&ledger);
        assert_eq!(peer.login.own_challenge(), &RANDOM[..32]);
        peer.failure(&Reply::stay(0).with(&keys))
    };
    assert_eq!(
        failure,
        AuthenticationFailure::Chap(ChapError::ReflectedChallenge).into()
    );
}

#[test]
fn sup_c05_reflection_of_our_response() {
    let reflected = expected(5, 107, OURS, &RANDOM[..32]);
    let failure = verdict(&Reply::go(0, 1).with(&[("CHAP_N", "tgt88"), ("CHAP_R", &reflected)]));
    assert_eq!(
        failure,
        AuthenticationFailure::Chap(ChapError::ReflectedResponse).into()
    );

    // Our identifier is never the target's.
    let mut peer = offered(mutual_config());
    let keys = [("CHAP_A", "5"), ("CHAP_I", "107"), ("CHAP_C", CHALLENGE)];
    assert_eq!(
        peer.reply(&Reply::stay(0).with(&keys))
            .get("CHAP_I")
            .as_deref(),
        Some("108")
    );
}

#[test]
fn sup_c06_sup_c07_secrets_that_may_not_be_used() {
    let change = |change: fn(&mut ChapConfig)| {
        let mut config = mutual_config();
        config.chap.as_mut().map(change).unwrap();
        Login::new(config, &RANDOM)
            .map(|_| ())
            .map_err(|error| error.kind)
    };
    let same = change(|chap| chap.secret = ChapSecret::from(THEIRS));
    assert_eq!(
        same,
        Err(ConfigError::Secret(ChapError::SecretsNotDistinct).into())
    );
    let short = ChapError::SecretTooShort {
        bytes: 11,
        minimum: 12,
    };
    let eleven = change(|chap| chap.secret = "12345678901".into());
    assert_eq!(eleven, Err(ConfigError::Secret(short).into()));
    let eleven = change(|chap| chap.mutual.as_mut().unwrap().secret = "12345678901".into());
    assert_eq!(eleven, Err(ConfigError::Secret(short).into()));
    assert_eq!(change(|chap| chap.secret = "123456789012".into()), Ok(()));
    let overridden = change(|chap| {
        chap.policy.minimum = 1;
        chap.secret = "1".into();
    });
    assert_eq!(overridden, Ok(()));
    assert_eq!(
        change(|chap| chap.allow_none = true),
        Err(ConfigError::MutualIsOptional.into())
    );
}

#[test]
fn sup_c08_a_target_that_wants_no_authentication() {
    let none = Reply::stay(0).with(&[("AuthMethod", "None")]);
    for config in [chap_config(), mutual_config()] {
        let mut peer = Peer::new(config);
        peer.request();
        assert_eq!(
            peer.failure(&none),
            AuthenticationFailure::NoneChosen.into()
        );
    }
    let mut config = chap_config();
    config.chap.as_mut().unwrap().allow_none = true;
    let mut peer = Peer::new(config);
    assert_eq!(
        peer.request().get("AuthMethod").as_deref(),
        Some("CHAP,None")
    );
    let second = peer.reply(&none);
    assert!(second.t && second.csg == 0 && second.data.is_empty());
    assert_eq!(peer.reply(&Reply::go(0, 1)).csg, 1);
    assert_eq!(peer.last_reply(&Reply::go(1, 3)).chap, None);
}

#[test]
fn methods_that_were_not_offered() {
    for (answer, kind) in [
        ("Reject", AuthenticationFailure::MethodRefused.into()),
        (
            "KRB5",
            PeerMisbehaved::MethodNotOffered {
                answer: "KRB5".into(),
            }
            .into(),
        ),
        (
            "CHAP,None",
            PeerMisbehaved::MethodNotOffered {
                answer: "CHAP,None".into(),
            }
            .into(),
        ),
    ] {
        let mut peer = Peer::new(chap_config());
        peer.request();
        assert_eq!(
            peer.failure(&Reply::stay(0).with(&[("AuthMethod", answer)])),
            kind
        );
    }
    let mut peer = Peer::new(config());
    peer.request();
    let offence = peer.offence(&Reply::stay(0).with(&[("AuthMethod", "CHAP")]));
    assert_eq!(
        offence,
        PeerMisbehaved::MethodNotOffered {
            answer: "CHAP".into()
        }
    );
}

#[test]
fn sup_c09_straight_to_the_operational_stage() {
    let mut config = config();
    config.security = SecurityStart::Skip;
    let mut peer = Peer::new(config.clone());
    let first = peer.request();
    assert_eq!((first.t, first.csg, first.nsg), (true, 1, 3));
    assert_eq!(first.get("InitiatorName").as_deref(), Some(INITIATOR));
    assert!(first.get("AuthMethod").is_none() && first.get("HeaderDigest").is_some());
    let logged_in = peer.last_reply(&Reply::go(1, 3).with(&[("TargetPortalGroupTag", "3")]));
    assert_eq!((logged_in.tpgt, logged_in.isid.0), (Some(3), ISID));

    let mut peer = Peer::new(config.clone());
    peer.request();
    let refused = peer.failure(&Reply::status(2, 1));
    let (status, retry) = (LoginStatus::AUTHENTICATION_FAILURE, RetryAdvice::No);
    assert_eq!(refused, LoginErrorKind::Refused { status, retry });

    config.chap = chap_config().chap;
    assert_eq!(config.check(), Err(ConfigError::SecuritySkipped));
}

#[test]
fn sup_l17_the_target_directs_security() {
    let start = |mut config: LoginConfig| {
        config.security = SecurityStart::LetTargetPropose;
        let mut peer = Peer::new(config);
        let first = peer.request();
        assert_eq!((first.t, first.csg, first.nsg), (true, 0, 1));
        assert_eq!(first.get("AuthMethod"), None);
        peer
    };
    let mut peer = start(chap_config());
    let second = peer.reply(&Reply::stay(0).with(&[("AuthMethod", "KRB5,CHAP,None")]));
    assert_eq!(
        borrow(&second.pairs()),
        [("AuthMethod", "CHAP"), ("CHAP_A", "8,7,6,5")]
    );
    assert!(!second.t);
    peer.reply(&challenge("8"));

    let mut peer = start(config());
    let second = peer.reply(&Reply::stay(0).with(&[("AuthMethod", "CHAP,None")]));
    assert_eq!(borrow(&second.pairs()), [("AuthMethod", "None")]);
    assert_eq!(peer.reply(&Reply::go(0, 1)).csg, 1);

    let mut peer = start(config());
    assert_eq!(
        peer.reply(&Reply::go(0, 1)).csg,
        1,
        "the target skips security"
    );

    let mut peer = start(chap_config());
    assert_eq!(
        peer.failure(&Reply::go(0, 1)),
        AuthenticationFailure::NoneChosen.into()
    );

    let mut peer = start(config());
    let failure = peer.failure(&Reply::stay(0).with(&[("AuthMethod", "CHAP")]));
    assert_eq!(
        failure,
        AuthenticationFailure::NotConfigured {
            methods: "CHAP".into()
        }
        .into()
    );

    let mut peer = start(config());
    let offence = peer.offence(&Reply::go(0, 1).with(&[("AuthMethod", "None")]));
    assert_eq!(
        offence,
        PeerMisbehaved::ProposalInFinalResponse { key: "AuthMethod" }
    );

    let mut peer = start(config());
    let offence = peer.offence(&Reply::stay(0).with(&[("AuthMethod", "Reject")]));
    let (key, value) = ("AuthMethod", "Reject".into());
    assert_eq!(offence, PeerMisbehaved::RefusalProposed { key, value });
}

#[test]
fn sup_c10_nothing_secret_is_printed() {
    let mut peer = offered(mutual_config());
    let shown = format!("{:?} {:?}", mutual_config(), peer.login);
    let third = peer.reply(&challenge("5"));
    let response = third.get("CHAP_R").unwrap();
    let wrong = expected(5, 107, "another-secret!!", &RANDOM[..32]);
    let keys = [("CHAP_N", "tgt88"), ("CHAP_R", wrong.as_str())];
    let state = format!("{:?}", peer.login);
    let error = peer.try_reply(&Reply::go(0, 1).with(&keys)).unwrap_err();
    let all = format!("{shown} {state} {error} {error:?} {:?}", peer.login);
    for secret in [OURS, THEIRS, &response[2..], &wrong[2..], "6b6b6b"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    assert!(!all.contains(&format!("{:?}", OURS.as_bytes())));
}

#[test]
fn a_name_is_sent_byte_by_byte() {
    let mut config = chap_config();
    config.chap.as_mut().unwrap().user = b"m\xfcller".to_vec();
    let data = offered(config).reply(&challenge("5")).data;
    assert!(
        data.windows(14).any(|part| part == b"CHAP_N=m\xfcller\0"),
        "{data:?}"
    );
}

#[test]
fn a_name_that_looks_encoded_is_noted() {
    for (user, noted) in [("0xuser", true), ("0buser", true), ("", false)] {
        let mut config = chap_config();
        config.chap.as_mut().unwrap().user = user.into();
        let mut peer = offered(config);
        assert_eq!(
            peer.reply(&challenge("5")).get("CHAP_N").as_deref(),
            Some(user)
        );
        peer.reply(&Reply::go(0, 1));
        let logged_in = peer.last_reply(&Reply::go(1, 3));
        assert_eq!(
            logged_in.unusual.contains(&Unusual::ChapNameLooksEncoded),
            noted
        );
    }
}
