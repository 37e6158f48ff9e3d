//! SUP-L01 to SUP-L10: bits, stages, numbers, the C bit, and bytes in any split.

use proptest::prelude::*;

use super::peer::{INITIATOR, ISID, ITT, Peer, RANDOM, Reply, TARGET, borrow, config};
use crate::login::{
    Login, LoginErrorKind, LoginOutcome, MAX_EXCHANGES, PeerMisbehaved, Unusual, Waiting,
};
use crate::pdu::{LoginStage, Malformed};
use crate::serial::Serial;
use crate::stream::Offence;
use crate::text::TextError;

#[test]
fn sup_l01_the_first_request() {
    let mut config = config();
    config.initiator_alias = Some("host 77".into());
    let mut peer = Peer::new(config);
    let first = peer.request();
    assert_eq!(first.byte0, 0x43, "Login Request with the I bit");
    assert_eq!(first.versions, [0, 0]);
    assert_eq!(first.isid, ISID);
    assert_eq!((first.tsih, first.cid, first.itt), (0, 0, ITT));
    assert_eq!((first.cmd_sn, first.exp_stat_sn), (0x100, 0));
    assert_eq!(
        (first.t, first.c, first.csg, first.nsg),
        (true, false, 0, 1)
    );
    assert_eq!(
        borrow(&first.pairs()),
        [
            ("InitiatorName", INITIATOR),
            ("InitiatorAlias", "host 77"),
            ("SessionType", "Normal"),
            ("TargetName", TARGET),
            ("AuthMethod", "None"),
        ]
    );
    let second = peer.reply(&Reply::go(0, 1));
    assert_eq!(
        (second.byte0, second.itt, second.cmd_sn),
        (0x43, ITT, 0x100)
    );
    assert_eq!((second.t, second.csg, second.nsg), (true, 1, 3));
    for declared_once in [
        "InitiatorName",
        "InitiatorAlias",
        "SessionType",
        "TargetName",
        "AuthMethod",
    ] {
        assert_eq!(second.get(declared_once), None);
    }
}

#[test]
fn the_login_of_a_later_connection() {
    let mut config = config();
    (config.tsih, config.cid, config.cmd_sn) = (0x7777, 3, Serial(0xffff_fffe));
    config.exp_stat_sn = 0x1234_5678;
    config.joined = Some(crate::parameters::Parameters {
        max_burst: 4096,
        ..Default::default()
    });
    let mut peer = Peer::new(config);
    let first = peer.request();
    assert_eq!(
        (first.tsih, first.cid, first.cmd_sn),
        (0x7777, 3, 0xffff_fffe)
    );
    assert_eq!(
        first.exp_stat_sn, 0x1234_5678,
        "of the connection that is replaced"
    );
    assert_eq!(first.get("SessionType"), None);
    let second = peer.reply(&Reply {
        tsih: 0x7777,
        exp_cmd_sn: 0xffff_fffe,
        max_cmd_sn: 0xffff_fffe,
        ..Reply::go(0, 1)
    });
    let keys: Vec<_> = second.pairs().into_iter().map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        ["HeaderDigest", "DataDigest", "MaxRecvDataSegmentLength"]
    );
    // The response before gave the numbers of the login alone: ExpCmdSN after all commands that were sent.
    let reply = Reply {
        exp_cmd_sn: 0xffff_fff0,
        max_cmd_sn: 5,
        ..Reply::go(1, 3)
    };
    let reply = reply.with(&[("HeaderDigest", "CRC32C"), ("DataDigest", "None")]);
    let logged_in = peer.last_reply(&reply);
    assert_eq!(logged_in.exp_cmd_sn, Serial(0xffff_fff0));
    assert_eq!(logged_in.max_cmd_sn, Serial(5));
    assert!(logged_in.parameters.header_digest);
    assert_eq!(logged_in.parameters.max_burst, 4096, "of the session");
}

#[test]
fn sup_l02_a_target_that_is_not_ready() {
    let (mut peer, _) = Peer::operational(config());
    let empty = peer.reply(&Reply::stay(1).with(&[("HeaderDigest", "None")]));
    assert_eq!((empty.t, empty.csg, empty.nsg), (true, 1, 3));
    assert!(empty.data.is_empty());
    assert!(peer.reply(&Reply::stay(1)).t);
    peer.last_reply(&Reply::go(1, 3));
}

#[test]
fn sup_l02_a_target_that_is_never_ready() {
    for (csg, mut peer) in [(0, Peer::new(config())), (1, Peer::operational(config()).0)] {
        if csg == 0 {
            peer.request();
        }
        let offence = (0..1000).find_map(|_| match peer.try_reply(&Reply::stay(csg)) {
            Ok(_) => {
                peer.request();
                None
            }
            Err(error) => Some(error.kind),
        });
        let limit = MAX_EXCHANGES;
        let expected = PeerMisbehaved::TooManyExchanges { limit };
        assert_eq!(offence, Some(LoginErrorKind::PeerMisbehaved(expected)));
    }
}

#[test]
fn sup_l03_text_in_several_responses() {
    // Split inside a key, inside a value, and before a NUL.
    for cut in [3, 15, 17] {
        let (mut peer, _) = Peer::operational(config());
        let whole = b"HeaderDigest=CRC32C\0DataDigest=None\0";
        let mut part = Reply::stay(1);
        part.flags |= 0x40;
        part.data = whole[..cut].to_vec();
        let empty = peer.reply(&part);
        assert!(empty.data.is_empty() && !empty.c);
        let mut rest = Reply::go(1, 3);
        rest.data = whole[cut..].to_vec();
        let logged_in = peer.last_reply(&rest);
        assert!(logged_in.parameters.header_digest);
        assert!(!logged_in.parameters.data_digest);
    }
}

#[test]
fn sup_l03_endless_text_has_a_limit() {
    let (mut peer, _) = Peer::operational(config());
    let mut part = Reply::stay(1);
    part.flags |= 0x40;
    part.data = vec![b'A'; 8192];
    for _ in 0..8 {
        assert!(peer.reply(&part).data.is_empty());
    }
    let limit = 65536;
    assert_eq!(
        peer.offence(&part),
        PeerMisbehaved::Text(TextError::TooLong { limit })
    );
}

#[test]
fn sup_l04_our_own_text_is_split_at_8192_bytes() {
    let mut config = config();
    // 223 bytes of name and 255 of alias are not enough to need it, but many answers are.
    config.initiator_alias = Some("a".repeat(255));
    let (mut peer, _) = Peer::operational(config);
    let keys: Vec<_> = (0..60)
        .map(|n| (format!("X-{n:02}{}", "k".repeat(59)), "v".repeat(70)))
        .collect();
    let first = peer.reply(&Reply::stay(1).with(&borrow(&keys)));
    assert!(first.data.len() <= 8192);
    // 60 answers of 63 + 1 + 13 + 1 bytes fit in one request; more keys than that are an offence.
    assert_eq!(first.data.len(), 60 * 78);
    assert!(!first.c);
}

/// The login's keys never need it, so the cutting is tested where it is done.
#[test]
fn sup_l04_continuation_of_a_long_request() {
    use crate::login::exchange::{Exchange, Message, Reply as Whole};
    use crate::text::PairWriter;

    let mut exchange = Exchange::new(&config());
    let mut text = PairWriter::new();
    text.push("X-long", &"v".repeat(20_000));
    let whole = text.clone().into_bytes();
    let next = Some(LoginStage::FullFeaturePhase);
    exchange.send(Message {
        stage: LoginStage::OperationalNegotiation,
        next,
        text,
    });
    let mut joined = Vec::new();
    for (number, length) in [8192, 8192, whole.len() - 16384].into_iter().enumerate() {
        let mut out = Vec::new();
        assert!(exchange.poll_transmit(&mut out));
        let is_last = number == 2;
        assert_eq!(
            out[1],
            if is_last { 0x87 } else { 0x44 },
            "T and NSG only without C"
        );
        assert_eq!(out[4..8], (length as u32).to_be_bytes());
        joined.extend_from_slice(&out[48..48 + length]);
        let reply = if is_last {
            Reply::go(1, 3)
        } else {
            Reply::stay(1)
        };
        let bytes = reply.bytes(number as u32);
        match exchange.handle_input(&mut bytes.as_slice()).unwrap() {
            None => assert!(!is_last),
            Some(Whole::Success { moved, .. }) => {
                assert!(is_last);
                assert_eq!(moved, next);
            }
            Some(Whole::Ended { .. }) => panic!("refused"),
        }
    }
    assert_eq!(joined, whole);
}

#[test]
fn sup_l04_text_before_ours_is_complete() {
    use crate::login::exchange::{Exchange, Message};
    use crate::text::PairWriter;

    let mut exchange = Exchange::new(&config());
    let mut text = PairWriter::new();
    text.push("X-long", &"v".repeat(9000));
    exchange.send(Message {
        stage: LoginStage::SecurityNegotiation,
        next: None,
        text,
    });
    exchange.poll_transmit(&mut Vec::new());
    let bytes = Reply::stay(0).with(&[("TargetAlias", "x")]).bytes(0);
    let error = exchange.handle_input(&mut bytes.as_slice()).unwrap_err();
    assert_eq!(error, PeerMisbehaved::TextDuringContinuation.into());
}

#[test]
fn sup_l05_stages_that_may_not_follow() {
    let mut peer = Peer::new(config());
    peer.request();
    let expected = PeerMisbehaved::StageBeyondRequest {
        asked: LoginStage::OperationalNegotiation,
        to: LoginStage::FullFeaturePhase,
    };
    assert_eq!(
        peer.offence(&Reply::go(0, 3)),
        expected,
        "0 to 3 when 1 was asked for"
    );

    let mut peer = Peer::new(config());
    peer.request();
    let expected = PeerMisbehaved::Malformed(Malformed::ReservedLoginStage(2));
    assert_eq!(peer.offence(&Reply::go(0, 2)), expected);

    for to in [
        LoginStage::SecurityNegotiation,
        LoginStage::OperationalNegotiation,
    ] {
        let (mut peer, _) = Peer::operational(config());
        let from = LoginStage::OperationalNegotiation;
        let expected = PeerMisbehaved::StageBackwards { from, to };
        assert_eq!(peer.offence(&Reply::go(1, to as u8)), expected);
    }
}

#[test]
fn sup_l06_answers_that_do_not_fit_the_request() {
    let mut peer = Peer::new(config());
    peer.request();
    let (expected, got) = (
        LoginStage::SecurityNegotiation,
        LoginStage::OperationalNegotiation,
    );
    let offence = peer.offence(&Reply::stay(1));
    assert_eq!(offence, PeerMisbehaved::StageMismatch { expected, got });

    let mut peer = Peer::new(super::chap::chap_config());
    assert!(!peer.request().t);
    assert_eq!(
        peer.offence(&Reply::go(0, 1)),
        PeerMisbehaved::UnaskedTransit
    );

    let (mut peer, _) = Peer::operational(config());
    let mut both = Reply::go(1, 3);
    both.flags |= 0x40;
    let offence = peer.offence(&both);
    assert!(matches!(
        offence,
        PeerMisbehaved::Malformed(Malformed::TransitAndContinue(_))
    ));
}

#[test]
fn sup_l07_another_version() {
    let mut peer = Peer::new(config());
    peer.request();
    let reply = Reply {
        version_active: 1,
        ..Reply::go(0, 1)
    };
    assert_eq!(
        peer.offence(&reply),
        PeerMisbehaved::WrongVersion { active: 1 }
    );
}

#[test]
fn sup_l08_session_identifiers() {
    let (mut peer, _) = Peer::operational(config());
    assert_eq!(
        peer.offence(&Reply {
            tsih: 0,
            ..Reply::go(1, 3)
        }),
        PeerMisbehaved::TsihZero
    );

    let mut peer = Peer::new(config());
    peer.request();
    peer.reply(&Reply {
        tsih: 9,
        ..Reply::go(0, 1)
    });
    let logged_in = peer.last_reply(&Reply::go(1, 3));
    assert_eq!(logged_in.tsih, 0x7777);
    assert!(logged_in.unusual.contains(&Unusual::EarlyTsih));

    let mut peer = Peer::new(config());
    peer.request();
    let reply = Reply {
        isid: [0; 6],
        ..Reply::go(0, 1)
    };
    assert_eq!(peer.offence(&reply), PeerMisbehaved::IsidChanged);

    let mut config = config();
    config.tsih = 5;
    let mut peer = Peer::new(config);
    peer.request();
    let reply = Reply {
        tsih: 6,
        ..Reply::go(0, 1)
    };
    assert_eq!(
        peer.offence(&reply),
        PeerMisbehaved::TsihChanged {
            expected: 5,
            got: 6
        }
    );

    let mut peer = Peer::new(self::config());
    peer.request();
    let reply = Reply {
        itt: 1,
        ..Reply::go(0, 1)
    };
    assert_eq!(
        peer.offence(&reply),
        PeerMisbehaved::WrongTaskTag {
            expected: ITT,
            got: 1
        }
    );
}

#[test]
fn sup_l09_other_pdus() {
    // NOP-In, SCSI Response, Text Response, Asynchronous Message, Reject, one of ours, none at all.
    for opcode in [0x20, 0x21, 0x24, 0x32, 0x3f, 0x03, 0x3a] {
        let mut peer = Peer::new(config());
        peer.request();
        let reply = Reply {
            opcode,
            ..Reply::stay(0)
        };
        assert_eq!(
            peer.offence(&reply),
            PeerMisbehaved::UnexpectedPdu { opcode }
        );
    }
}

#[test]
fn a_response_that_nobody_asked_for() {
    let mut peer = Peer::new(config());
    assert_eq!(
        peer.offence(&Reply::stay(0)),
        PeerMisbehaved::UnaskedResponse,
        "before the login"
    );

    let mut peer = Peer::new(config());
    peer.request();
    let two = [Reply::go(0, 1).bytes(0), Reply::go(1, 3).bytes(1)].concat();
    let error = peer.login.handle_input(&two).unwrap_err();
    assert_eq!(error.kind, PeerMisbehaved::UnaskedResponse.into());
}

#[test]
fn a_data_segment_above_the_limit() {
    let mut peer = Peer::new(config());
    peer.request();
    let mut reply = Reply::stay(0);
    reply.data = vec![0; 8193];
    let PeerMisbehaved::Stream(offence) = peer.offence(&reply) else {
        panic!()
    };
    assert_eq!(
        offence,
        Offence::DataSegmentTooLong {
            length: 8193,
            limit: 8192,
            opcode: 0x23
        }
    );
}

#[test]
fn sup_l10_numbers_from_any_start() {
    for stat_sn in [0u32, 1, 0x7fff_ffff, 0xffff_ffff] {
        for cmd_sn in [0u32, 0x7fff_ffff, 0xffff_ffff] {
            let mut config = config();
            config.cmd_sn = Serial(cmd_sn);
            let mut peer = Peer::new(config);
            peer.stat_sn = stat_sn;
            assert_eq!(peer.request().cmd_sn, cmd_sn);
            let numbered = |reply| Reply {
                exp_cmd_sn: cmd_sn,
                max_cmd_sn: cmd_sn.wrapping_add(31),
                ..reply
            };
            let second = peer.reply(&numbered(Reply::go(0, 1)));
            assert_eq!(second.cmd_sn, cmd_sn);
            assert_eq!(second.exp_stat_sn, stat_sn.wrapping_add(1));
            let logged_in = peer.last_reply(&numbered(Reply::go(1, 3)));
            assert_eq!(logged_in.exp_stat_sn, stat_sn.wrapping_add(2));
            assert_eq!(logged_in.cmd_sn, Serial(cmd_sn));
            assert_eq!(logged_in.exp_cmd_sn, Serial(cmd_sn));
            assert_eq!(logged_in.max_cmd_sn, Serial(cmd_sn.wrapping_add(31)));
        }
    }
}

#[test]
fn sup_l10_odd_numbers_are_noted() {
    let mut peer = Peer::new(config());
    peer.request();
    // MaxCmdSN below ExpCmdSN - 1: both are ignored (RFC 7143 §4.2.2.1).
    let nonsense = |reply| Reply {
        exp_cmd_sn: 0x100,
        max_cmd_sn: 0xfe,
        ..reply
    };
    peer.reply(&nonsense(Reply::go(0, 1)));
    let jumped = Reply {
        stat_sn: Some(0x60),
        ..nonsense(Reply::go(1, 3))
    };
    let logged_in = peer.last_reply(&jumped);
    assert_eq!(logged_in.exp_stat_sn, 0x61);
    assert_eq!(
        (logged_in.exp_cmd_sn, logged_in.max_cmd_sn),
        (Serial(0x100), Serial(0xff))
    );
    assert!(logged_in.unusual.contains(&Unusual::StatSnJump {
        expected: 0x56,
        got: 0x60
    }));
    assert!(logged_in.unusual.contains(&Unusual::NoCommandWindow));
}

#[test]
fn sup_l24_what_a_silent_target_was_asked() {
    let mut peer = Peer::new(config());
    assert_eq!(peer.login.waiting(), Waiting::SecurityReply);
    peer.request();
    peer.reply(&Reply::go(0, 1));
    assert_eq!(peer.login.waiting(), Waiting::OperationalReply);
    let error = peer.login.handle_close();
    assert_eq!(
        (&error.kind, error.waiting),
        (&LoginErrorKind::Closed, Waiting::OperationalReply)
    );
    assert!(!error.is_final() && !error.wants_md5_only_retry());
    assert_eq!(peer.login.waiting(), Waiting::End);
}

#[test]
fn bytes_of_the_full_feature_phase_are_left() {
    let (mut peer, _) = Peer::operational(config());
    let last = Reply::go(1, 3).bytes(0x56);
    let mut bytes = last.clone();
    bytes.extend_from_slice(&[0x20; 60]);
    let (used, outcome) = peer.login.handle_input(&bytes).unwrap();
    assert_eq!(used, last.len());
    assert!(matches!(outcome, Some(LoginOutcome::FullFeature(_))));
    assert_eq!(peer.login.handle_input(&bytes).unwrap(), (0, None));
}

/// Runs a login whose responses come in pieces of the given lengths, over and over.
fn outcome_in_pieces(lengths: &[usize]) -> Option<LoginOutcome> {
    let mut login = Login::new(config(), &RANDOM).unwrap();
    let mut partial = Reply::stay(1).with(&[("TargetAlias", "an alias")]);
    partial.flags |= 0x40;
    let replies = [
        Reply::go(0, 1).with(&[("TargetPortalGroupTag", "7"), ("AuthMethod", "None")]),
        partial,
        Reply::stay(1).with(&[("X-com.example.key", "1"), ("DataDigest", "CRC32C")]),
        Reply::go(1, 3).with(&[("HeaderDigest", "None")]),
    ];
    let mut lengths = lengths.iter().copied().cycle();
    for (stat_sn, reply) in replies.iter().enumerate() {
        assert!(login.poll_transmit(&mut Vec::new()));
        let bytes = reply.bytes(stat_sn as u32);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (piece, _) = rest.split_at(lengths.next().unwrap().min(rest.len()));
            let (used, outcome) = login.handle_input(piece).unwrap();
            assert_eq!(used, piece.len());
            rest = &rest[used..];
            if outcome.is_some() {
                assert!(rest.is_empty());
                return outcome;
            }
        }
    }
    None
}

proptest! {
    #[test]
    fn any_split_gives_the_same_outcome(lengths in proptest::collection::vec(1usize..70, 1..20)) {
        let whole = outcome_in_pieces(&[usize::MAX]);
        prop_assert!(whole.is_some());
        prop_assert_eq!(outcome_in_pieces(&lengths), whole);
    }

    #[test]
    fn any_bytes_end_or_wait(bytes in proptest::collection::vec(any::<u8>(), 0..400), header: bool) {
        let mut peer = Peer::new(config());
        peer.request();
        let mut input = if header { Reply::stay(0).bytes(0) } else { Vec::new() };
        input.extend(bytes);
        let _ = peer.login.handle_input(&input);
    }
}
