//! SUP-L11 to SUP-L17: keys, their values, and the parameters that come of them.

use super::peer::{INITIATOR, ISID, Peer, RANDOM, Reply, borrow, config};
use crate::login::{
    ConfigError, DigestChoice, LoggedIn, Login, LoginConfig, LoginErrorKind, Offers,
    PeerMisbehaved, TaskReporting, Unacceptable, Unusual,
};
use crate::names::Isid;
use crate::parameters::Parameters;
use crate::text::{AnswerError, TextError, ValueError};

/// The outcome of a login whose target answers the operational keys with `keys` and nothing else.
fn outcome(config: LoginConfig, keys: &[(&str, &str)]) -> Result<LoggedIn, LoginErrorKind> {
    let (mut peer, _) = Peer::operational(config);
    match peer.try_reply(&Reply::go(1, 3).with(keys)) {
        Ok(Some(crate::login::LoginOutcome::FullFeature(logged_in))) => Ok(*logged_in),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.kind),
    }
}

fn parameters(keys: &[(&str, &str)]) -> Parameters {
    outcome(config(), keys).unwrap().parameters
}

fn offence(keys: &[(&str, &str)]) -> PeerMisbehaved {
    match outcome(config(), keys) {
        Err(LoginErrorKind::PeerMisbehaved(offence)) => offence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_proposals() {
    let (_, request) = Peer::operational(config());
    assert_eq!(
        borrow(&request.pairs()),
        [
            ("HeaderDigest", "None,CRC32C"),
            ("DataDigest", "None,CRC32C"),
            ("MaxConnections", "1"),
            ("InitialR2T", "No"),
            ("ImmediateData", "Yes"),
            ("MaxBurstLength", "1048576"),
            ("FirstBurstLength", "262144"),
            ("DefaultTime2Wait", "2"),
            ("DefaultTime2Retain", "20"),
            ("MaxOutstandingR2T", "8"),
            ("DataPDUInOrder", "Yes"),
            ("DataSequenceInOrder", "Yes"),
            ("ErrorRecoveryLevel", "0"),
            ("MaxRecvDataSegmentLength", "262144"),
        ]
    );
}

#[test]
fn a_target_that_agrees_to_everything() {
    let mut config = config();
    config.offers.protocol_level = 2;
    config.offers.task_reporting = vec![
        TaskReporting::FastAbort,
        TaskReporting::ResponseFence,
        TaskReporting::Rfc3720,
    ];
    config.offers.header_digest = vec![DigestChoice::Crc32c, DigestChoice::None];
    let (mut peer, request) = Peer::operational(config);
    assert_eq!(request.get("iSCSIProtocolLevel").as_deref(), Some("2"));
    let list = request.get("TaskReporting");
    assert_eq!(list.as_deref(), Some("FastAbort,ResponseFence,RFC3720"));
    let mut answers = Peer::agreement(&request);
    answers.retain(|(key, _)| key != "MaxRecvDataSegmentLength");
    answers.push(("MaxRecvDataSegmentLength".into(), "65536".into()));
    let logged_in = peer.last_reply(&Reply::go(1, 3).with(&borrow(&answers)));
    assert_eq!(
        logged_in.parameters,
        Parameters {
            header_digest: true,
            data_digest: false,
            max_connections: 1,
            initial_r2t: false,
            immediate_data: true,
            max_send_data_segment: 65536,
            max_recv_data_segment: 262_144,
            max_burst: 1_048_576,
            first_burst: 262_144,
            time2wait: 2,
            time2retain: 20,
            max_outstanding_r2t: 8,
            data_pdu_in_order: true,
            data_sequence_in_order: true,
            error_recovery_level: 0,
            fast_abort: true,
            protocol_level: 2,
        }
    );
    assert_eq!(logged_in.unusual, []);
    assert_eq!(
        (logged_in.tsih, logged_in.isid.0, logged_in.cid),
        (0x7777, ISID, 0)
    );
}

#[test]
fn sup_l11_a_key_twice() {
    for keys in [
        [("HeaderDigest", "None"), ("HeaderDigest", "None")],
        [
            ("MaxRecvDataSegmentLength", "8192"),
            ("MaxRecvDataSegmentLength", "8192"),
        ],
    ] {
        let key = keys[0].0.to_owned();
        assert_eq!(offence(&keys), PeerMisbehaved::DuplicateKey { key });
    }
    // Once in each stage.
    let key = "TargetPortalGroupTag".to_owned();
    assert_eq!(
        offence(&[("TargetPortalGroupTag", "1")]),
        PeerMisbehaved::DuplicateKey { key }
    );
    // Once in each of two responses.
    let (mut peer, _) = Peer::operational(config());
    peer.reply(&Reply::stay(1).with(&[("ImmediateData", "Yes")]));
    let key = "ImmediateData".to_owned();
    let twice = Reply::go(1, 3).with(&[("ImmediateData", "Yes")]);
    assert_eq!(peer.offence(&twice), PeerMisbehaved::DuplicateKey { key });
}

#[test]
fn sup_l11_a_key_in_the_wrong_place() {
    for key in ["HeaderDigest", "MaxBurstLength", "MaxRecvDataSegmentLength"] {
        let mut peer = Peer::new(config());
        peer.request();
        let offence = peer.offence(&Reply::go(0, 1).with(&[(key, "None")]));
        assert_eq!(offence, PeerMisbehaved::KeyInWrongStage { key });
    }
    for key in ["CHAP_A", "AuthMethod", "TargetName"] {
        let (mut peer, _) = Peer::operational(config());
        let value = "x";
        let result = peer.offence(&Reply::go(1, 3).with(&[(key, value)]));
        let twice = PeerMisbehaved::DuplicateKey { key: key.into() };
        let wrong = PeerMisbehaved::KeyInWrongStage { key };
        assert!(
            result == wrong || (key == "AuthMethod" && result == twice),
            "{result}"
        );
    }
    for key in ["InitiatorName", "SessionType", "SendTargets"] {
        assert_eq!(
            offence(&[(key, "x")]),
            PeerMisbehaved::KeyOfInitiator { key }
        );
    }
    let refused = outcome(config(), &[("InitiatorAlias", "NotUnderstood")]).unwrap();
    let note = Unusual::StandardKeyNotUnderstood {
        key: "InitiatorAlias",
    };
    assert!(refused.unusual.contains(&note));

    let mut config = config();
    config.tsih = 0x7777;
    let mut peer = Peer::new(config);
    peer.request();
    peer.reply(&Reply {
        tsih: 0x7777,
        ..Reply::go(0, 1)
    });
    // tgt asks again for what the session has agreed on: that stays.
    let asks = Reply {
        tsih: 0x7777,
        ..Reply::stay(1)
    };
    let keys = [
        ("MaxBurstLength", "512"),
        ("InitialR2T", "No"),
        ("TaskReporting", "RFC3720"),
    ];
    let answers = peer.reply(&asks.with(&keys));
    assert_eq!(answers.get("MaxBurstLength").as_deref(), Some("262144"));
    assert_eq!(answers.get("InitialR2T").as_deref(), Some("Yes"));
    assert_eq!(answers.get("TaskReporting").as_deref(), Some("Irrelevant"));
    let logged_in = peer.last_reply(&Reply {
        tsih: 0x7777,
        ..Reply::go(1, 3)
    });
    assert_eq!(logged_in.parameters.max_burst, 262_144);
    let key = "MaxBurstLength";
    let note = Unusual::LeadingKeyOnLaterConnection { key };
    assert!(logged_in.unusual.contains(&note));
}

#[test]
fn sup_l11_unknown_keys() {
    let mut peer = Peer::new(config());
    peer.request();
    let keys = [
        ("X-com.example.a", "1"),
        ("X-com.example.b", "NotUnderstood"),
    ];
    let second = peer.reply(&Reply::stay(0).with(&keys));
    assert_eq!(
        borrow(&second.pairs()),
        [("X-com.example.a", "NotUnderstood")]
    );
    let third = peer.reply(&Reply::go(0, 1));
    assert_eq!(third.get("X-com.example.a"), None);
    let fourth = peer.reply(&Reply::stay(1).with(&[("RDMAExtensions", "Yes")]));
    assert_eq!(
        borrow(&fourth.pairs()),
        [("RDMAExtensions", "NotUnderstood")]
    );
    let logged_in = peer.last_reply(&Reply::go(1, 3).with(&[("X-com.example.c", "1")]));
    for key in [
        "X-com.example.a",
        "X-com.example.b",
        "X-com.example.c",
        "RDMAExtensions",
    ] {
        assert!(
            logged_in
                .unusual
                .contains(&Unusual::UnknownKey { key: key.into() })
        );
    }

    let key = "X-com.example.a";
    assert_eq!(
        offence(&[(key, "1"), (key, "2")]),
        PeerMisbehaved::DuplicateKey { key: key.into() }
    );
    let many: Vec<_> = (0..65)
        .map(|n| (format!("X-{n}"), "1".to_owned()))
        .collect();
    assert_eq!(
        offence(&borrow(&many)),
        PeerMisbehaved::TooManyUnknownKeys { limit: 64 }
    );
}

#[test]
fn malformed_text_is_an_offence() {
    let (mut peer, _) = Peer::operational(config());
    let mut reply = Reply::go(1, 3);
    reply.data = b"HeaderDigest=None".to_vec();
    assert_eq!(
        peer.offence(&reply),
        PeerMisbehaved::Text(TextError::Unterminated)
    );
}

/// RFC 7143 §13: what each negotiated number may be, what the target may answer, and where it goes.
#[test]
fn sup_l12_numbers() {
    type Place = fn(&Parameters) -> u64;
    let cases: [(&str, u64, u64, u64, Place); 8] = [
        ("MaxConnections", 1, 1, 1, |p| p.max_connections.into()),
        ("MaxBurstLength", 262_144, 1_048_576, 511, |p| {
            p.max_burst.into()
        }),
        ("FirstBurstLength", 512, 262_144, 511, |p| {
            p.first_burst.into()
        }),
        ("DefaultTime2Wait", 2, 3600, 3601, |p| p.time2wait.into()),
        ("DefaultTime2Retain", 0, 20, 3601, |p| p.time2retain.into()),
        ("MaxOutstandingR2T", 1, 8, 0, |p| {
            p.max_outstanding_r2t.into()
        }),
        ("ErrorRecoveryLevel", 0, 0, 3, |p| {
            p.error_recovery_level.into()
        }),
        ("MaxRecvDataSegmentLength", 512, 16_777_215, 511, |p| {
            p.max_send_data_segment.into()
        }),
    ];
    for (key, least, most, outside, place) in cases {
        for value in [least, most] {
            for text in [value.to_string(), format!("0x{value:x}")] {
                assert_eq!(place(&parameters(&[(key, &text)])), value, "{key}");
            }
        }
        for text in [outside.to_string(), "many".into(), String::new()] {
            if key == "MaxConnections" && text == "1" {
                continue;
            }
            let result = offence(&[(key, &text)]);
            let is_named = matches!(
                result,
                PeerMisbehaved::InadmissibleAnswer { .. }
                    | PeerMisbehaved::OutOfRange { .. }
                    | PeerMisbehaved::MalformedValue { .. }
            );
            assert!(is_named, "{key}={text}: {result}");
        }
    }
}

#[test]
fn sup_l12_an_answer_beyond_our_offer() {
    for (key, answer, source) in [
        ("MaxOutstandingR2T", "9", AnswerError::Inadmissible),
        ("DefaultTime2Wait", "1", AnswerError::Inadmissible),
        ("MaxBurstLength", "1048577", AnswerError::Inadmissible),
        ("ErrorRecoveryLevel", "2", AnswerError::Inadmissible),
        ("DataPDUInOrder", "No", AnswerError::Inadmissible),
        ("HeaderDigest", "CRC64", AnswerError::NotOffered),
        ("HeaderDigest", "None,CRC32C", AnswerError::NotOffered),
        (
            "InitialR2T",
            "yes",
            AnswerError::Malformed(ValueError::NotABoolean),
        ),
        (
            "MaxConnections",
            "0",
            AnswerError::OutOfRange { min: 1, max: 65535 },
        ),
    ] {
        match offence(&[(key, answer)]) {
            PeerMisbehaved::InadmissibleAnswer {
                key: k,
                answer: a,
                source: s,
                ..
            } => {
                assert_eq!((k, a.as_str(), s), (key, answer, source));
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn sup_l12_refusals_leave_the_default() {
    let defaults = Parameters::default();
    for refusal in ["Reject", "Irrelevant", "NotUnderstood"] {
        let keys: Vec<_> = [
            "HeaderDigest",
            "DataDigest",
            "MaxConnections",
            "InitialR2T",
            "ImmediateData",
            "MaxBurstLength",
            "FirstBurstLength",
            "DefaultTime2Wait",
            "DefaultTime2Retain",
            "MaxOutstandingR2T",
            "DataPDUInOrder",
            "DataSequenceInOrder",
            "ErrorRecoveryLevel",
        ]
        .into_iter()
        .map(|key| (key, refusal))
        .collect();
        let logged_in = outcome(config(), &keys).unwrap();
        let expected = Parameters {
            max_recv_data_segment: 262_144,
            ..defaults.clone()
        };
        assert_eq!(logged_in.parameters, expected, "{refusal}");
        let noted = logged_in.unusual.iter().any(|unusual| {
            matches!(
                unusual,
                Unusual::Rejected {
                    key: "MaxBurstLength"
                } | Unusual::StandardKeyNotUnderstood {
                    key: "MaxBurstLength"
                }
            )
        });
        assert_eq!(noted, refusal != "Irrelevant");
    }
}

#[test]
fn sup_l12_no_answer_at_all() {
    let mut config = config();
    config.offers.immediate_data = false;
    config.offers.max_outstanding_r2t = 1;
    let logged_in = outcome(config, &[]).unwrap();
    let p = &logged_in.parameters;
    assert!(!p.immediate_data, "AND with No needs no answer");
    assert!(
        p.data_pdu_in_order && p.data_sequence_in_order,
        "OR with Yes needs none either"
    );
    assert!(p.initial_r2t, "the default");
    assert_eq!((p.max_burst, p.first_burst), (262_144, 65_536));
    assert_eq!(p.max_send_data_segment, 8192);
    assert!(
        logged_in
            .unusual
            .contains(&Unusual::Unanswered { key: "InitialR2T" })
    );
    assert!(!logged_in.unusual.contains(&Unusual::Unanswered {
        key: "ImmediateData"
    }));
    assert!(!logged_in.unusual.contains(&Unusual::Unanswered {
        key: "DataPDUInOrder"
    }));
}

#[test]
fn later_keys_may_be_unknown() {
    let mut config = config();
    config.offers.protocol_level = 2;
    config.offers.task_reporting = vec![TaskReporting::ResponseFence, TaskReporting::Rfc3720];
    let keys = [
        ("iSCSIProtocolLevel", "NotUnderstood"),
        ("TaskReporting", "NotUnderstood"),
    ];
    let logged_in = outcome(config, &keys).unwrap();
    assert_eq!(logged_in.parameters.protocol_level, 1);
    assert!(!logged_in.parameters.fast_abort);
    assert!(
        !logged_in
            .unusual
            .iter()
            .any(|unusual| matches!(unusual, Unusual::StandardKeyNotUnderstood { .. }))
    );
}

#[test]
fn no_common_digest() {
    let mut config = config();
    config.offers.data_digest = vec![DigestChoice::Crc32c];
    for keys in [&[("DataDigest", "Reject")][..], &[]] {
        let failure = outcome(config.clone(), keys).unwrap_err();
        let (key, offered) = ("DataDigest", "CRC32C".to_owned());
        assert_eq!(
            failure,
            Unacceptable::NoCommonDigest { key, offered }.into()
        );
    }
    assert!(
        outcome(config, &[("DataDigest", "CRC32C")])
            .unwrap()
            .parameters
            .data_digest
    );
}

#[test]
fn sup_l14_first_burst_above_max_burst() {
    let keys = [("MaxBurstLength", "4096"), ("FirstBurstLength", "8192")];
    let expected = PeerMisbehaved::FirstBurstAboveMaxBurst {
        first: 8192,
        max: 4096,
    };
    assert_eq!(offence(&[keys[0], keys[1], ("InitialR2T", "No")]), expected);
    assert_eq!(
        offence(&[keys[0], keys[1], ("InitialR2T", "Yes")]),
        expected,
        "immediate data"
    );

    // Where no unsolicited data is allowed the key means nothing.
    let none = [
        ("InitialR2T", "Yes"),
        ("ImmediateData", "No"),
        keys[0],
        keys[1],
    ];
    assert_eq!(parameters(&none).first_burst, 4096);
    // A default that does not fit is nobody's fault.
    let p = parameters(&[
        ("MaxBurstLength", "4096"),
        ("FirstBurstLength", "Irrelevant"),
    ]);
    assert_eq!((p.first_burst, p.max_burst), (4096, 4096));
}

#[test]
fn sup_l15_max_recv_data_segment_length() {
    let key = "MaxRecvDataSegmentLength";
    let logged_in = outcome(config(), &[(key, "0")]).unwrap();
    assert_eq!(logged_in.parameters.max_send_data_segment, 8192);
    assert!(
        logged_in
            .unusual
            .contains(&Unusual::ZeroMaxRecvDataSegmentLength)
    );

    // Late, in a response of its own.
    let (mut peer, _) = Peer::operational(config());
    peer.reply(&Reply::stay(1).with(&[("HeaderDigest", "None")]));
    peer.reply(&Reply::stay(1).with(&[(key, "4096")]));
    let p = peer.last_reply(&Reply::go(1, 3)).parameters;
    assert_eq!(
        (p.max_send_data_segment, p.max_recv_data_segment),
        (4096, 262_144)
    );

    let offence = offence(&[(key, "16777216")]);
    let (min, max) = (512, 16_777_215);
    assert_eq!(
        offence,
        PeerMisbehaved::OutOfRange {
            key,
            value: 16_777_216,
            min,
            max
        }
    );
}

#[test]
fn sup_l16_markers() {
    let (mut peer, _) = Peer::operational(config());
    let keys = [
        ("IFMarker", "No"),
        ("OFMarker", "Yes"),
        ("IFMarkInt", "2048~4096"),
        ("OFMarkInt", "2048"),
    ];
    let answer = peer.reply(&Reply::stay(1).with(&keys));
    assert_eq!(
        borrow(&answer.pairs()),
        [
            ("IFMarker", "No"),
            ("OFMarker", "No"),
            ("IFMarkInt", "Reject"),
            ("OFMarkInt", "Reject")
        ]
    );
    let logged_in = peer.last_reply(&Reply::go(1, 3));
    assert!(
        logged_in
            .unusual
            .contains(&Unusual::ObsoleteKey { key: "OFMarker" })
    );
}

#[test]
fn sup_l17_the_target_proposes() {
    let (mut peer, request) = Peer::operational(config());
    assert_eq!(request.get("TaskReporting"), None);
    let keys = [
        ("TaskReporting", "FastAbort,ResponseFence,RFC3720"),
        ("iSCSIProtocolLevel", "2"),
    ];
    let answer = peer.reply(&Reply::stay(1).with(&keys));
    assert!(answer.t);
    assert_eq!(
        borrow(&answer.pairs()),
        [("TaskReporting", "RFC3720"), ("iSCSIProtocolLevel", "1")]
    );
    let p = peer.last_reply(&Reply::go(1, 3)).parameters;
    assert_eq!((p.fast_abort, p.protocol_level), (false, 1));

    let final_proposal = PeerMisbehaved::ProposalInFinalResponse {
        key: "TaskReporting",
    };
    assert_eq!(offence(&[keys[0]]), final_proposal);
    let (key, value) = ("TaskReporting", "Reject".to_owned());
    assert_eq!(
        offence(&[(key, "Reject")]),
        PeerMisbehaved::RefusalProposed { key, value }
    );
}

#[test]
fn declarations_of_the_target() {
    let long = "\u{e9}".repeat(200);
    let keys = [
        ("TargetAlias", long.as_str()),
        ("X#NodeArchitecture", "vendor,1.0"),
        ("TargetAddress", "192.0.2.1:3260"),
    ];
    let logged_in = outcome(config(), &keys).unwrap();
    assert_eq!(logged_in.target_alias, Some("\u{e9}".repeat(127)));
    assert!(logged_in.unusual.contains(&Unusual::LongAlias));
    assert!(logged_in.unusual.contains(&Unusual::StrayTargetAddress));
}

fn discovery() -> LoginConfig {
    let mut config = LoginConfig::discovery(INITIATOR.parse().unwrap(), Isid(ISID));
    config.itt = super::peer::ITT;
    config.offers.header_digest = vec![DigestChoice::Crc32c];
    config.offers.error_recovery_level = 1;
    config.offers.max_outstanding_r2t = 1;
    config
}

#[test]
fn a_discovery_login() {
    let mut peer = Peer::new(discovery());
    let first = peer.request();
    assert_eq!(
        borrow(&first.pairs()),
        [
            ("InitiatorName", INITIATOR),
            ("SessionType", "Discovery"),
            ("AuthMethod", "None")
        ]
    );
    let second = peer.reply(&Reply::go(0, 1));
    assert_eq!(
        borrow(&second.pairs()),
        [
            ("HeaderDigest", "None"),
            ("DataDigest", "None"),
            ("DefaultTime2Wait", "2"),
            ("DefaultTime2Retain", "20"),
            ("ErrorRecoveryLevel", "0"),
            ("MaxRecvDataSegmentLength", "262144"),
        ]
    );
    let keys = [
        ("MaxBurstLength", "512"),
        ("MaxConnections", "4"),
        ("InitialR2T", "Yes"),
    ];
    let third = peer.reply(&Reply::stay(1).with(&keys));
    assert_eq!(
        borrow(&third.pairs()),
        keys.map(|(key, _)| (key, "Irrelevant"))
    );
    let logged_in = peer.last_reply(&Reply {
        tsih: 0,
        ..Reply::go(1, 3)
    });
    assert_eq!(logged_in.parameters.error_recovery_level, 0);
    assert_eq!(logged_in.parameters.max_connections, 1);
    assert!(!logged_in.parameters.header_digest);
    assert!(logged_in.unusual.contains(&Unusual::DiscoveryTsihZero));
    assert!(!logged_in.unusual.contains(&Unusual::PortalGroupTagMissing));
}

#[test]
fn offers_that_cannot_be() {
    let refused = |change: fn(&mut Offers)| {
        let mut config = config();
        change(&mut config.offers);
        match Login::new(config, &RANDOM).unwrap_err().kind {
            LoginErrorKind::Config(error) => error,
            other => panic!("{other}"),
        }
    };
    assert_eq!(
        refused(|offers| offers.first_burst = offers.max_burst + 1),
        ConfigError::FirstBurstAboveMaxBurst
    );
    let out_of_range = |key, value| ConfigError::OfferOutOfRange { key, value };
    assert_eq!(
        refused(|o| o.max_burst = 511),
        out_of_range("MaxBurstLength", 511)
    );
    assert_eq!(
        refused(|o| o.time2wait = 3601),
        out_of_range("DefaultTime2Wait", 3601)
    );
    assert_eq!(
        refused(|o| o.max_recv_data_segment = 1 << 24),
        out_of_range("MaxRecvDataSegmentLength", 1 << 24)
    );
    assert_eq!(
        refused(|o| o.protocol_level = 3),
        out_of_range("iSCSIProtocolLevel", 3)
    );
    assert_eq!(
        refused(|o| o.header_digest.clear()),
        ConfigError::MalformedList {
            key: "HeaderDigest"
        }
    );
    assert_eq!(
        refused(|o| o.error_recovery_level = 1),
        ConfigError::R2tsNeedUnorderedSequences
    );
    assert_eq!(
        refused(|o| o.task_reporting = vec![TaskReporting::FastAbort]),
        ConfigError::TaskReportingIncomplete
    );
    let mut config = config();
    config.target_name = None;
    assert_eq!(config.check(), Err(ConfigError::TargetNameMissing));
    config = super::peer::config();
    config.initiator_alias = Some("x".repeat(256));
    assert_eq!(
        config.check(),
        Err(ConfigError::TextTooLong {
            what: "initiator alias"
        })
    );
}

#[test]
fn sup_l25_an_upper_case_target_name_is_sent_as_it_was_written() {
    let mut config = config();
    config.initiator_name = "IQN.1999-07.com.OS:hostid.77".parse().unwrap();
    config.target_name = Some("iqn.1999-07.com.example:Array.1".parse().unwrap());
    let first = Peer::new(config).request();
    assert_eq!(first.get("InitiatorName").as_deref(), Some(INITIATOR));
    assert_eq!(
        first.get("TargetName").as_deref(),
        Some("iqn.1999-07.com.example:Array.1")
    );
}
