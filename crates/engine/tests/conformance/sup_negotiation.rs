//! SUP-L: what is negotiated.

use hawser_engine::{LoginErrorKind, Parameters};
use hawser_proto::login::{
    DigestChoice, LoggedIn, LoginConfig, LoginError, PeerMisbehaved, SecurityStart, TaskReporting,
    Unusual,
};
use hawser_testkit::scripted::wire::FULL_FEATURE;

use super::core;
use super::support::operational;

/// Logs in with the answers of a cooperative target, but `key` answered with `value`; `None` leaves the
/// answer out.
async fn answered(
    config: LoginConfig,
    key: &str,
    value: Option<&str>,
) -> Result<LoggedIn, LoginError> {
    let script = async |peer: &mut hawser_testkit::scripted::Peer| {
        let request = operational(peer).await;
        let offered = request.keys();
        // Both bursts are answered to fit each other, whatever is asked for.
        let usual = |key: &str, offer: &str| match key {
            "HeaderDigest" | "DataDigest" | "TaskReporting" => {
                offer.split(',').next().unwrap().to_owned()
            }
            "MaxRecvDataSegmentLength" => "8192".to_owned(),
            _ => offer.to_owned(),
        };
        let mut answers: Vec<(String, String)> = offered
            .iter()
            .filter(|(name, _)| *name != key)
            .map(|(name, offer)| (name.to_owned(), usual(name, offer)))
            .collect();
        assert!(answers.len() < offered.len(), "{key} is offered");
        answers.extend(value.map(|value| (key.to_owned(), value.to_owned())));
        let answers: Vec<_> = answers
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        peer.agree(&request, &answers).await;
    };
    core::log_in(config, script).await.0
}

/// Offers of which every key has room below and above.
fn middling() -> LoginConfig {
    let mut config = core::config();
    let offers = &mut config.offers;
    offers.header_digest = vec![DigestChoice::Crc32c, DigestChoice::None];
    offers.data_digest = vec![DigestChoice::None, DigestChoice::Crc32c];
    offers.max_connections = 8;
    offers.max_burst = 65_536;
    offers.first_burst = 4096;
    offers.time2wait = 5;
    offers.time2retain = 100;
    offers.max_outstanding_r2t = 4;
    offers.error_recovery_level = 0;
    offers.protocol_level = 2;
    offers.task_reporting = vec![
        TaskReporting::FastAbort,
        TaskReporting::ResponseFence,
        TaskReporting::Rfc3720,
    ];
    config
}

/// A numeric key: what is offered, the answers that may be given, and some that may not.
struct Number {
    key: &'static str,
    allowed: &'static [u64],
    forbidden: &'static [u64],
    default: u64,
    read: fn(&Parameters) -> u64,
}

const NUMBERS: &[Number] = &[
    Number {
        key: "MaxConnections",
        allowed: &[1, 7, 8],
        forbidden: &[0, 9, 65_536],
        default: 1,
        read: |p| p.max_connections.into(),
    },
    Number {
        key: "MaxBurstLength",
        allowed: &[4096, 65_535, 65_536],
        forbidden: &[511, 65_537, 1 << 24],
        default: 262_144,
        read: |p| p.max_burst.into(),
    },
    Number {
        key: "FirstBurstLength",
        allowed: &[512, 4095, 4096],
        forbidden: &[0, 511, 4097],
        default: 65_536,
        read: |p| p.first_burst.into(),
    },
    // The result is the larger of both (§13.15).
    Number {
        key: "DefaultTime2Wait",
        allowed: &[5, 6, 3600],
        forbidden: &[0, 4, 3601],
        default: 2,
        read: |p| p.time2wait.into(),
    },
    Number {
        key: "DefaultTime2Retain",
        allowed: &[0, 99, 100],
        forbidden: &[101, 3601],
        default: 20,
        read: |p| p.time2retain.into(),
    },
    Number {
        key: "MaxOutstandingR2T",
        allowed: &[1, 3, 4],
        forbidden: &[0, 5, 65_536],
        default: 1,
        read: |p| p.max_outstanding_r2t.into(),
    },
    Number {
        key: "ErrorRecoveryLevel",
        allowed: &[0],
        forbidden: &[1, 2, 3],
        default: 0,
        read: |p| p.error_recovery_level.into(),
    },
    Number {
        key: "iSCSIProtocolLevel",
        allowed: &[1, 2],
        forbidden: &[3, 32],
        default: 1,
        read: |p| p.protocol_level.into(),
    },
];

/// A boolean key: whether the result is `Yes` if one side says so (OR), or if both do (AND).
struct Boolean {
    key: &'static str,
    is_or: bool,
    default: bool,
    offer: fn(&mut LoginConfig, bool),
    read: fn(&Parameters) -> bool,
}

const BOOLEANS: &[Boolean] = &[
    Boolean {
        key: "InitialR2T",
        is_or: true,
        default: true,
        offer: |config, value| config.offers.initial_r2t = value,
        read: |p| p.initial_r2t,
    },
    Boolean {
        key: "ImmediateData",
        is_or: false,
        default: true,
        offer: |config, value| config.offers.immediate_data = value,
        read: |p| p.immediate_data,
    },
    Boolean {
        key: "DataPDUInOrder",
        is_or: true,
        default: true,
        offer: |config, value| config.offers.data_pdu_in_order = value,
        read: |p| p.data_pdu_in_order,
    },
    Boolean {
        key: "DataSequenceInOrder",
        is_or: true,
        default: true,
        offer: |config, value| config.offers.data_sequence_in_order = value,
        read: |p| p.data_sequence_in_order,
    },
];

fn word(value: bool) -> &'static str {
    if value { "Yes" } else { "No" }
}

fn is_inadmissible(error: &LoginError) -> bool {
    matches!(
        error.kind,
        LoginErrorKind::PeerMisbehaved(PeerMisbehaved::InadmissibleAnswer { .. })
    )
}

#[tokio::test]
async fn sup_l12() {
    for number in NUMBERS {
        let key = number.key;
        for value in number.allowed {
            for text in [
                value.to_string(),
                format!("0x{value:x}"),
                format!("0X{value:X}"),
            ] {
                let login = answered(middling(), key, Some(&text)).await;
                let login = login.unwrap_or_else(|error| panic!("{key}={text}: {error}"));
                assert_eq!((number.read)(&login.parameters), *value, "{key}={text}");
            }
        }
        for value in number.forbidden {
            let error = answered(middling(), key, Some(&value.to_string()))
                .await
                .unwrap_err();
            assert!(is_inadmissible(&error), "{key}={value}: {error}");
        }
        for text in ["", "x", "-1", "01", "1~2", "Yes"] {
            let error = answered(middling(), key, Some(text)).await.unwrap_err();
            assert!(is_inadmissible(&error), "{key}={text}: {error}");
        }
        // The default holds. Of the bursts it may be cut to fit.
        for none in [
            Some("Reject"),
            Some("Irrelevant"),
            Some("NotUnderstood"),
            None,
        ] {
            let login = answered(middling(), key, none).await;
            let parameters = login
                .unwrap_or_else(|error| panic!("{key} {none:?}: {error}"))
                .parameters;
            let default = match key {
                "FirstBurstLength" => number.default.min(parameters.max_burst.into()),
                _ => number.default,
            };
            assert_eq!((number.read)(&parameters), default, "{key} {none:?}");
        }
    }
}

#[tokio::test]
async fn sup_l12_booleans_and_lists() {
    for boolean in BOOLEANS {
        let key = boolean.key;
        for text in ["yes", "1", "", "Yes,No"] {
            let error = answered(middling(), key, Some(text)).await.unwrap_err();
            assert!(is_inadmissible(&error), "{key}={text}: {error}");
        }
        // An offer that leaves the result open, so that an answer is due.
        let mut open = middling();
        (boolean.offer)(&mut open, !boolean.is_or);
        for none in [
            Some("Reject"),
            Some("Irrelevant"),
            Some("NotUnderstood"),
            None,
        ] {
            let login = answered(open.clone(), key, none).await.unwrap();
            assert_eq!(
                (boolean.read)(&login.parameters),
                boolean.default,
                "{key} {none:?}"
            );
        }
    }
    for key in ["HeaderDigest", "DataDigest", "TaskReporting"] {
        for text in ["MD5", "", "None,CRC32C", "crc32c"] {
            let error = answered(middling(), key, Some(text)).await.unwrap_err();
            assert!(is_inadmissible(&error), "{key}={text}: {error}");
        }
    }
    let login = answered(middling(), "DataDigest", Some("CRC32C"))
        .await
        .unwrap();
    assert!(login.parameters.data_digest && login.parameters.header_digest);
}

/// The result functions of §13, whichever side says more.
#[tokio::test]
async fn sup_l13() {
    for boolean in BOOLEANS {
        for ours in [false, true] {
            for theirs in [false, true] {
                let mut config = middling();
                (boolean.offer)(&mut config, ours);
                let result = if boolean.is_or {
                    ours | theirs
                } else {
                    ours & theirs
                };
                let login = answered(config, boolean.key, Some(word(theirs))).await;
                if result == theirs {
                    let parameters = login.unwrap().parameters;
                    assert_eq!(
                        (boolean.read)(&parameters),
                        result,
                        "{} {ours}",
                        boolean.key
                    );
                } else {
                    // The answer is the result; this one cannot be.
                    assert!(
                        is_inadmissible(&login.unwrap_err()),
                        "{} {ours}",
                        boolean.key
                    );
                }
            }
        }
    }
    // The numbers one side decides on: the larger wait, the smaller of all else.
    for number in NUMBERS {
        let extreme = match number.key {
            "DefaultTime2Wait" => number.allowed.iter().max(),
            _ => number.allowed.iter().min(),
        };
        let value = extreme.unwrap();
        let login = answered(middling(), number.key, Some(&value.to_string()))
            .await
            .unwrap();
        assert_eq!((number.read)(&login.parameters), *value, "{}", number.key);
    }
    let login = answered(middling(), "TaskReporting", Some("FastAbort"))
        .await
        .unwrap();
    assert!(login.parameters.fast_abort);
}

#[tokio::test]
async fn sup_l14() {
    let mut config = middling();
    config.offers.first_burst = 65_536;
    let error = answered(config, "MaxBurstLength", Some("4096"))
        .await
        .unwrap_err();
    let LoginErrorKind::PeerMisbehaved(offence) = &error.kind else {
        panic!("{error}");
    };
    let expected = PeerMisbehaved::FirstBurstAboveMaxBurst {
        first: 65_536,
        max: 4096,
    };
    assert_eq!(*offence, expected);
}

#[tokio::test]
async fn sup_l15() {
    const KEY: &str = "MaxRecvDataSegmentLength";
    let (login, ()) = core::log_in(core::config(), async |peer| {
        let request = operational(peer).await;
        peer.stay(&request, &[("InitialR2T", "Yes")]).await;
        let (request, _) = peer.login_request().await;
        peer.agree(&request, &[(KEY, "4096")]).await;
    })
    .await;
    assert_eq!(
        login.unwrap().parameters.max_send_data_segment,
        4096,
        "late"
    );
    let (login, ()) = core::log_in(core::config(), async |peer| {
        let request = operational(peer).await;
        peer.stay(&request, &[(KEY, "4096")]).await;
        let (request, _) = peer.login_request().await;
        peer.agree(&request, &[(KEY, "8192")]).await;
    })
    .await;
    let twice = login.unwrap_err().kind;
    let duplicate = LoginErrorKind::PeerMisbehaved(PeerMisbehaved::DuplicateKey {
        key: KEY.to_owned(),
    });
    assert_eq!(twice, duplicate);
    let login = answered(core::config(), KEY, None).await.unwrap();
    assert_eq!(login.parameters.max_send_data_segment, 8192, "not at all");
    let login = answered(core::config(), KEY, Some("0")).await.unwrap();
    assert_eq!(login.parameters.max_send_data_segment, 8192, "zero");
    assert!(
        login
            .unusual
            .contains(&Unusual::ZeroMaxRecvDataSegmentLength)
    );
    // It is a declaration: ours stays as it is, whatever theirs.
    let login = answered(core::config(), KEY, Some("16777215"))
        .await
        .unwrap();
    assert_eq!(login.parameters.max_send_data_segment, 16_777_215);
    assert_eq!(login.parameters.max_recv_data_segment, 256 * 1024);
    for wrong in ["511", "16777216", "Reject", "x"] {
        assert!(
            answered(core::config(), KEY, Some(wrong)).await.is_err(),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn sup_l16() {
    let (login, ()) = core::log_in(core::config(), async |peer| {
        let request = operational(peer).await;
        let offered = request.keys();
        assert!(
            offered.iter().all(|(key, _)| !key.contains("Mark")),
            "none are offered"
        );
        let markers = [
            ("IFMarker", "Yes"),
            ("OFMarker", "No"),
            ("IFMarkInt", "2048~8192"),
            ("OFMarkInt", "2048~8192"),
        ];
        peer.stay(&request, &markers).await;
        let (request, keys) = peer.login_request().await;
        for key in ["IFMarker", "OFMarker"] {
            assert!(matches!(keys.need(key), "No" | "Reject"), "{keys:?}");
        }
        assert_eq!(
            (keys.need("IFMarkInt"), keys.need("OFMarkInt")),
            ("Reject", "Reject")
        );
        assert_eq!(keys.len(), 4);
        peer.agree(&request, &[]).await;
    })
    .await;
    login.unwrap();
}

#[tokio::test]
async fn sup_l17() {
    // Security: the target proposes its methods (§6.3.1).
    let mut config = core::config();
    config.security = SecurityStart::LetTargetPropose;
    let (login, ()) = core::log_in(config, async |peer| {
        let (request, keys) = peer.login_request().await;
        assert!(keys.get("AuthMethod").is_none());
        peer.stay(
            &request,
            &[
                ("AuthMethod", "SRP,CHAP,None"),
                ("TargetPortalGroupTag", "1"),
            ],
        )
        .await;
        let (request, keys) = peer.login_request().await;
        assert_eq!(keys.need("AuthMethod"), "None");
        peer.agree(&request, &[]).await;
        peer.log_in(&[]).await;
    })
    .await;
    login.unwrap();
    // Operational keys that we did not propose.
    let (login, ()) = core::log_in(core::config(), async |peer| {
        let request = operational(peer).await;
        let theirs = [
            ("TaskReporting", "FastAbort,ResponseFence,RFC3720"),
            ("iSCSIProtocolLevel", "2"),
        ];
        peer.stay(&request, &theirs).await;
        let (request, keys) = peer.login_request().await;
        assert_eq!(keys.need("TaskReporting"), "RFC3720");
        assert_eq!(keys.need("iSCSIProtocolLevel"), "1");
        peer.agree(&request, &[]).await;
        assert_eq!(request.next_stage(), FULL_FEATURE);
    })
    .await;
    let parameters = login.unwrap().parameters;
    assert!(!parameters.fast_abort && parameters.protocol_level == 1);
    // A proposal where no answer is possible any more (§6.2).
    let (login, ()) = core::log_in(core::config(), async |peer| {
        let request = operational(peer).await;
        peer.agree(&request, &[("TaskReporting", "RFC3720,ResponseFence")])
            .await;
    })
    .await;
    let error = login.unwrap_err();
    assert!(
        matches!(
            error.kind,
            LoginErrorKind::PeerMisbehaved(PeerMisbehaved::ProposalInFinalResponse { .. })
        ),
        "{error}"
    );
}
