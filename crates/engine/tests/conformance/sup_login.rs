//! SUP-L: the login phase.

use std::time::Duration;

use hawser_engine::{
    IscsiName, Isid, LoginErrorKind, LoginFailureKind, Session, SessionError, SessionState,
};
use hawser_proto::login::{PeerMisbehaved, RetryAdvice, SecurityStart, Unusual};
use hawser_proto::session::Direction;
use hawser_testkit::scripted::disk::TEST_UNIT_READY;
use hawser_testkit::scripted::wire::{
    CONTINUE, DEFAULT_SEGMENT, FULL_FEATURE, GOOD, LOGIN_REQUEST, NO_TAG, OPERATIONAL,
    SCSI_COMMAND, SECURITY,
};
use hawser_testkit::scripted::{Pdu, Peer, Target, text};

use super::core::{self, Core};
use super::support::{
    INITIATOR, R2T_ONLY, Rig, TARGET, answer_logout, failed, in_time, kind, login_failure, offence,
    operational, options,
};

#[tokio::test]
async fn sup_l01() {
    let rig = Rig::up(&[]).await;
    let requests = rig.peer.transcript().of(LOGIN_REQUEST);
    let first = &rig.peer.transcript().pdus()[0];
    assert_eq!(first.byte(0), 0x43, "a Login Request, immediate");
    assert_eq!(
        (first.byte(2), first.byte(3)),
        (0, 0),
        "Version-max and Version-min"
    );
    assert_eq!(first.tsih(), 0);
    assert_eq!(first.isid()[0] & 0xc0, 0x80, "the random form");
    assert!(requests.len() >= 2);
    for request in &requests {
        assert_eq!((request.itt(), request.isid()), (first.itt(), first.isid()));
        assert_eq!((request.tsih(), request.cid()), (0, first.cid()));
        assert_eq!(request.cmd_sn(), first.cmd_sn());
    }
    let keys = first.keys();
    assert_eq!(
        (keys.need("InitiatorName"), keys.need("TargetName")),
        (INITIATOR, TARGET)
    );
    assert_eq!(keys.need("SessionType"), "Normal");
}

#[tokio::test]
async fn sup_l02() {
    let target = Target::listen().await;
    let session = Session::open(options(&target));
    let mut peer = target.accept().await;
    let second = operational(&mut peer).await;
    let mut request = second;
    for round in 0..4 {
        assert!(request.is_final() && request.next_stage() == FULL_FEATURE);
        peer.stay(&request, &[]).await;
        request = peer.expect(LOGIN_REQUEST).await;
        assert!(request.data.is_empty(), "round {round}: all has been said");
    }
    let keys = [("ImmediateData", "Yes"), ("InitialR2T", "Yes")];
    peer.stay(&request, &keys).await;
    peer.log_in(&[]).await;
    let view = in_time(session.established()).await.unwrap();
    assert!(view.parameters.immediate_data && view.parameters.initial_r2t);

    let failure = login_failure(
        |_| {},
        async |peer| {
            let mut request = operational(peer).await;
            // The initiator has a limit of its own and leaves.
            while let Some(next) = {
                peer.stay(&request, &[]).await;
                peer.take().await
            } {
                request = next;
            }
        },
    )
    .await;
    assert!(matches!(
        offence(&failure),
        PeerMisbehaved::TooManyExchanges { .. }
    ));
}

/// The operational keys, cut at all places: inside keys, inside values, between.
#[tokio::test]
async fn sup_l03() {
    const ANSWER: &[(&str, &str)] = &[
        ("HeaderDigest", "None"),
        ("DataDigest", "None"),
        ("MaxConnections", "1"),
        ("InitialR2T", "Yes"),
        ("ImmediateData", "No"),
        ("MaxBurstLength", "65536"),
        ("FirstBurstLength", "32768"),
        ("DefaultTime2Wait", "0"),
        ("DefaultTime2Retain", "0"),
        ("MaxOutstandingR2T", "1"),
        ("DataPDUInOrder", "Yes"),
        ("DataSequenceInOrder", "Yes"),
        ("ErrorRecoveryLevel", "0"),
        ("MaxRecvDataSegmentLength", "4096"),
    ];
    let whole = text::write(ANSWER);
    for size in [7, 16, 61, whole.len() - 1] {
        let target = Target::listen().await;
        let session = Session::open(options(&target));
        let mut peer = target.accept().await;
        let mut request = operational(&mut peer).await;
        let pieces: Vec<&[u8]> = whole.chunks(size).collect();
        let (last, parts) = pieces.split_last().unwrap();
        for part in parts {
            let continued = Pdu::login_response(&request).with_data(part);
            let flags = continued.byte(1) | CONTINUE;
            peer.send(continued.put_byte(1, flags)).await;
            request = peer.expect(LOGIN_REQUEST).await;
            assert!(request.data.is_empty() && !request.is_continued());
        }
        let end = peer.agreement(&request, &[]).with_data(last);
        peer.send(end).await;
        let parameters = &in_time(session.established()).await.unwrap().parameters;
        assert_eq!(
            (parameters.max_burst, parameters.first_burst),
            (65_536, 32_768)
        );
        assert_eq!(parameters.max_send_data_segment, 4096);
        assert!(parameters.initial_r2t && !parameters.immediate_data);
    }
}

/// The most that the initiator can be made to say: 64 keys that it does not know. It fits one PDU; more
/// of them are an offence, so that it never has to split.
#[tokio::test]
async fn sup_l04() {
    let unknown = |count| -> Vec<u8> {
        let key = |i: usize| format!("X-{:x<61}=1\0", format!("{i}y"));
        (0..count).map(key).collect::<String>().into_bytes()
    };
    let mut peer_saw = 0;
    let (outcome, ()) = core::log_in(core::config(), async |peer| {
        let request = operational(peer).await;
        peer.send(Pdu::login_response(&request).with_data(&unknown(64)))
            .await;
        let (answer, keys) = peer.login_request().await;
        assert!(!answer.is_continued() && answer.data.len() <= DEFAULT_SEGMENT);
        assert!(keys.iter().all(|(_, value)| value == "NotUnderstood"));
        peer_saw = keys.len();
        peer.agree(&answer, &[]).await;
    })
    .await;
    outcome.unwrap();
    assert_eq!(peer_saw, 64);
    let failure = login_failure(
        |_| {},
        async |peer| {
            let request = operational(peer).await;
            peer.send(Pdu::login_response(&request).with_data(&unknown(65)))
                .await;
        },
    )
    .await;
    assert!(matches!(
        offence(&failure),
        PeerMisbehaved::TooManyUnknownKeys { .. }
    ));
}

/// A response to the first request, whose stage is security, with these bits.
async fn first_response(flags: u8) -> PeerMisbehaved {
    let failure = login_failure(
        |_| {},
        async |peer| {
            let (request, _) = peer.login_request().await;
            let keys = [("AuthMethod", "None"), ("TargetPortalGroupTag", "1")];
            let pdu = Pdu::login_response(&request).with_data(&text::write(&keys));
            peer.send(pdu.put_byte(1, flags)).await;
        },
    )
    .await;
    offence(&failure).clone()
}

#[tokio::test]
async fn sup_l05() {
    // From stage 0 to 3 where 1 was asked for; to stage 2; to where it is.
    let beyond = first_response(0x80 | FULL_FEATURE).await;
    assert!(
        matches!(beyond, PeerMisbehaved::StageBeyondRequest { .. }),
        "{beyond}"
    );
    let reserved = first_response(0x82).await;
    assert!(
        matches!(reserved, PeerMisbehaved::Malformed(_)),
        "{reserved}"
    );
    let nowhere = first_response(0x80).await;
    assert!(
        matches!(nowhere, PeerMisbehaved::StageBackwards { .. }),
        "{nowhere}"
    );
    let failure = login_failure(
        |_| {},
        async |peer| {
            let request = operational(peer).await;
            let back = Pdu::login_response(&request).moving_to(SECURITY);
            peer.send(back).await;
        },
    )
    .await;
    assert!(matches!(
        offence(&failure),
        PeerMisbehaved::StageBackwards { .. }
    ));
    // 0, 1, 3 is what a login does.
    Rig::up(&[]).await.works().await;
}

#[tokio::test]
async fn sup_l06() {
    let other_stage = first_response(OPERATIONAL << 2).await;
    assert!(
        matches!(other_stage, PeerMisbehaved::StageMismatch { .. }),
        "{other_stage}"
    );
    let beyond = first_response(0x80 | FULL_FEATURE).await;
    assert!(
        matches!(beyond, PeerMisbehaved::StageBeyondRequest { .. }),
        "{beyond}"
    );
    // With CHAP to come the first request has T=0.
    let with_chap = |options: &mut hawser_engine::SessionOptions| {
        options.login.chap = Some(super::chap::one_way());
    };
    let failure = login_failure(with_chap, async |peer| {
        let (request, _) = peer.login_request().await;
        assert!(!request.is_final());
        peer.send(Pdu::login_response(&request).moving_to(OPERATIONAL))
            .await;
    })
    .await;
    assert!(matches!(offence(&failure), PeerMisbehaved::UnaskedTransit));
}

#[tokio::test]
async fn sup_l07() {
    let failure = login_failure(
        |_| {},
        async |peer| {
            let (request, _) = peer.login_request().await;
            let pdu = peer.agreement(&request, &[("AuthMethod", "None")]);
            peer.send(pdu.put_byte(3, 1)).await;
        },
    )
    .await;
    assert!(matches!(
        offence(&failure),
        PeerMisbehaved::WrongVersion { active: 1 }
    ));
    let failure = login_failure(
        |_| {},
        async |peer| {
            let (request, _) = peer.login_request().await;
            peer.refuse(&request, 2, 5, &[]).await;
        },
    )
    .await;
    assert!(failure.is_final());
    assert!(failure.to_string().contains("version"), "{failure}");
}

#[tokio::test]
async fn sup_l08() {
    let failure = login_failure(
        |_| {},
        async |peer| {
            let request = operational(peer).await;
            let pdu = peer.agreement(&request, &[]).put_half(14, 0);
            peer.send(pdu).await;
        },
    )
    .await;
    assert!(matches!(offence(&failure), PeerMisbehaved::TsihZero));
    let failure = login_failure(
        |_| {},
        async |peer| {
            let (request, _) = peer.login_request().await;
            let pdu = peer.agreement(&request, &[("AuthMethod", "None")]);
            let changed = pdu.byte(13) ^ 1;
            peer.send(pdu.put_byte(13, changed)).await;
        },
    )
    .await;
    assert!(matches!(offence(&failure), PeerMisbehaved::IsidChanged));
    // A TSIH that comes early harms nobody: noted, and the final one counts.
    let (login, ()) = core::log_in(core::config(), async |peer| {
        let (request, _) = peer.login_request().await;
        let keys = [("AuthMethod", "None"), ("TargetPortalGroupTag", "1")];
        let pdu = peer.agreement(&request, &keys).put_half(14, 0x0777);
        peer.send(pdu).await;
        peer.log_in(&[]).await;
    })
    .await;
    let login = login.unwrap();
    assert!(login.unusual.contains(&Unusual::EarlyTsih) && login.tsih != 0x0777);
}

#[tokio::test]
async fn sup_l09() {
    for stray in [
        Pdu::nop_in(1, [0; 8]),
        Pdu::async_message(1, [0; 3]),
        Pdu::reject(&Pdu::new(LOGIN_REQUEST, 0), 4),
    ] {
        for stage in [SECURITY, OPERATIONAL] {
            let failure = login_failure(
                |_| {},
                async |peer| {
                    if stage == SECURITY {
                        peer.login_request().await;
                    } else {
                        operational(peer).await;
                    }
                    peer.send(stray.clone()).await;
                },
            )
            .await;
            let opcode = stray.opcode();
            let offence = offence(&failure);
            assert!(
                matches!(offence, PeerMisbehaved::UnexpectedPdu { opcode: got } if *got == opcode),
                "{offence}"
            );
        }
    }
}

#[tokio::test]
async fn sup_l10() {
    for first in [0, 1, 0x7fff_ffff, u32::MAX - 1, u32::MAX] {
        let begin = |peer: &mut Peer| peer.set_next_stat_sn(first);
        let mut rig = Rig::prepared(|_| {}, begin, &[]).await;
        let requests = rig.peer.transcript().of(LOGIN_REQUEST);
        assert_eq!(requests[1].exp_stat_sn(), first.wrapping_add(1));
        for answered in 0..3_u32 {
            let asked = rig.test_unit_ready();
            let command = rig.peer.expect(SCSI_COMMAND).await;
            assert_eq!(command.exp_stat_sn(), first.wrapping_add(2 + answered));
            rig.peer.respond(&command, GOOD).await;
            super::support::answered(asked).await;
        }
    }
    for first in [0, 1, 0x7fff_ffff, u32::MAX - 1] {
        let mut config = core::config();
        config.cmd_sn = hawser_proto::serial::Serial(first);
        let (mut core, mut peer) = Core::up(config, R2T_ONLY).await;
        for place in 0..4 {
            core.submit(&[TEST_UNIT_READY], Direction::None, &[]);
            let script = async {
                let command = peer.expect(SCSI_COMMAND).await;
                assert_eq!(command.cmd_sn(), first.wrapping_add(place));
                peer.respond(&command, GOOD).await;
            };
            let (done, ()) = tokio::join!(core.run(), script);
            done.unwrap();
        }
    }
}

#[tokio::test]
async fn sup_l11() {
    // The same key again, in the same PDU and in a later one.
    let failure = login_failure(
        |_| {},
        async |peer| {
            let request = operational(peer).await;
            let twice = b"InitialR2T=Yes\0InitialR2T=Yes\0";
            peer.send(Pdu::login_response(&request).with_data(twice))
                .await;
        },
    )
    .await;
    assert!(matches!(
        offence(&failure),
        PeerMisbehaved::DuplicateKey { .. }
    ));
    let failure = login_failure(
        |_| {},
        async |peer| {
            let request = operational(peer).await;
            peer.stay(&request, &[("InitialR2T", "Yes")]).await;
            let (request, _) = peer.login_request().await;
            peer.stay(&request, &[("InitialR2T", "Yes")]).await;
        },
    )
    .await;
    assert!(matches!(
        offence(&failure),
        PeerMisbehaved::DuplicateKey { .. }
    ));
    let failure = login_failure(
        |_| {},
        async |peer| {
            let (request, _) = peer.login_request().await;
            peer.stay(&request, &[("MaxBurstLength", "65536")]).await;
        },
    )
    .await;
    assert!(matches!(
        offence(&failure),
        PeerMisbehaved::KeyInWrongStage { .. }
    ));
    let (login, ()) = core::log_in(core::config(), async |peer| {
        let request = operational(peer).await;
        peer.stay(&request, &[("X-com.example.unknown", "1")]).await;
        let (request, keys) = peer.login_request().await;
        assert_eq!(keys.need("X-com.example.unknown"), "NotUnderstood");
        peer.agree(&request, &[]).await;
    })
    .await;
    login.unwrap();
}

#[tokio::test]
async fn sup_l18() {
    let advice = |class: u8, detail: u8| match (class, detail) {
        (2, 3 | 4) => RetryAdvice::Rediscover,
        (2, 10) => RetryAdvice::NewSession,
        (3, _) => RetryAdvice::Later,
        _ => RetryAdvice::No,
    };
    let details = (0..=11).chain([0x7f]).map(|detail| (2, detail));
    let details = details.chain((0..=2).chain([0x7f]).map(|detail| (3, detail)));
    for (class, detail) in details {
        let failure = login_failure(
            |_| {},
            async |peer| {
                let (request, _) = peer.login_request().await;
                peer.refuse(&request, class, detail, &[]).await;
            },
        )
        .await;
        let LoginErrorKind::Refused { status, retry } = kind(&failure) else {
            panic!("{failure}");
        };
        assert_eq!((status.class, status.detail), (class, detail));
        assert_eq!(*retry, advice(class, detail), "{class:02x}{detail:02x}");
        let again = matches!(retry, RetryAdvice::Later | RetryAdvice::NewSession);
        assert_eq!(failure.is_final(), !again, "{failure}");
    }
    let failure = login_failure(
        |_| {},
        async |peer| {
            let (request, _) = peer.login_request().await;
            peer.refuse(&request, 4, 0, &[]).await;
        },
    )
    .await;
    assert!(
        matches!(offence(&failure), PeerMisbehaved::Malformed(_)),
        "{failure}"
    );
}

#[tokio::test]
async fn sup_l21() {
    let mut rig = Rig::up(R2T_ONLY).await;
    let first = rig.peer.agreed().requests[0].clone();
    let asked = [rig.read(512), rig.write(&[1; 512])];
    for _ in &asked {
        rig.peer.expect(SCSI_COMMAND).await;
    }
    rig.peer.finish().await;
    for asked in asked {
        let error = failed(asked).await;
        assert!(matches!(error, SessionError::Interrupted(_)), "{error}");
    }
    // They have ended before the target was even asked again.
    rig.peer = rig.next_login(R2T_ONLY).await;
    let again = &rig.peer.agreed().requests[0];
    assert_eq!((again.isid(), again.tsih()), (first.isid(), 0));
    assert_eq!(
        again.keys().need("InitiatorName"),
        first.keys().need("InitiatorName")
    );
    rig.works().await;
}

/// A session sends the ISID that it was given; who asks for two sessions gives two. A discovery session
/// takes one of its own each time, so that it never reinstates another.
#[tokio::test]
async fn sup_l22() {
    let target = Target::listen().await;
    let mut isids = Vec::new();
    for seed in [1, 2] {
        let mut options = options(&target);
        options.isid = Isid::from_random([seed; 5]);
        let session = Session::open(options.clone());
        let mut peer = target.accept().await;
        peer.log_in(&[]).await;
        in_time(session.established()).await.unwrap();
        assert_eq!(peer.agreed().requests[0].isid(), options.isid.0);
        isids.push(options.isid.0);
    }
    for _ in 0..2 {
        let isid = super::ffp_text::discover(async |peer| {
            let request = super::ffp_text::expect_send_targets(peer).await;
            isids.push(peer.agreed().requests[0].isid());
            peer.send(Pdu::text_response(&request, &[])).await;
            answer_logout(peer).await;
        });
        isid.await.unwrap();
    }
    isids.sort_unstable();
    isids.dedup();
    assert_eq!(isids.len(), 4, "{isids:02x?}");
}

#[tokio::test]
async fn sup_l23() {
    let (login, ()) = core::log_in(core::config(), async |peer| {
        let (request, _) = peer.login_request().await;
        peer.agree(&request, &[("AuthMethod", "None")]).await;
        let (request, _) = peer.login_request().await;
        peer.agree(&request, &[]).await;
    })
    .await;
    let login = login.unwrap();
    assert_eq!(login.tpgt, None);
    assert!(login.unusual.contains(&Unusual::PortalGroupTagMissing));
    let mut config = core::config();
    config.expected_tpgt = Some(1);
    let (login, ()) = core::log_in(config, async |peer| {
        peer.log_in(&[("TargetPortalGroupTag", "2")]).await;
    })
    .await;
    // Adopted, and told.
    let login = login.unwrap();
    assert_eq!(login.tpgt, Some(2));
    let changed = Unusual::PortalGroupTagChanged {
        expected: 1,
        got: 2,
    };
    assert!(login.unusual.contains(&changed), "{:?}", login.unusual);
}

/// The target falls silent after so many steps; `waiting` says for what the login ran out of time.
async fn silence(steps: u32, waiting: &str) {
    let change = |options: &mut hawser_engine::SessionOptions| {
        options.timeouts.login = Duration::from_secs(2);
        options.login.chap = (steps > 1).then(super::chap::one_way);
    };
    let failure = login_failure(change, async |peer| match steps {
        0 => drop(peer.login_request().await),
        1 => drop(operational(peer).await),
        2 => drop(super::chap::to_challenge(peer).await),
        _ => {
            let (request, _) = super::chap::to_challenge(peer).await;
            super::chap::challenge(peer, &request, 5, "0x0102030405060708").await;
        }
    })
    .await;
    assert!(
        matches!(failure.kind, LoginFailureKind::Silent { seconds: 2, .. }),
        "{failure}"
    );
    assert!(failure.to_string().contains(waiting), "{failure}");
    assert!(!failure.is_final());
}

#[tokio::test]
async fn sup_l24() {
    tokio::join!(
        silence(0, "method"),
        silence(1, "parameters"),
        silence(2, "challenge"),
        silence(3, "verdict"),
    );
}

#[tokio::test]
async fn sup_l25() {
    let target = Target::listen().await;
    let mut options = options(&target);
    options.login.initiator_name = super::support::name("IQN.2026-11.Test.Hawser:UPPER");
    let session = Session::open(options);
    let mut peer = target.accept().await;
    peer.log_in(&[]).await;
    in_time(session.established()).await.unwrap();
    let sent = peer.agreed().offered.need("InitiatorName").to_owned();
    assert_eq!(sent, "iqn.2026-11.test.hawser:upper");
    for refused in [
        "iqn.2026-11.test.hawser:with blank",
        "iqn.2026-11.test.hawser:tab\t",
        "hawser",
        "",
        &format!("iqn.2026-11.test.hawser:{}", "x".repeat(223 - 23)),
    ] {
        assert!(IscsiName::parse(refused).is_err(), "{refused:?}");
    }
    let longest = format!("iqn.2026-11.test.hawser:{}", "x".repeat(223 - 24));
    assert_eq!(
        (longest.len(), IscsiName::parse(&longest).is_ok()),
        (223, true)
    );
}

/// A session that is not up yet says why.
#[tokio::test]
async fn sup_l18_is_told() {
    let target = Target::listen().await;
    let mut options = options(&target);
    options.timeouts.backoff_first = Duration::from_millis(20);
    let session = Session::open(options);
    let mut peer = target.accept().await;
    let (request, _) = peer.login_request().await;
    peer.refuse(&request, 3, 1, &[]).await;
    peer.expect_close().await;
    // The target asked to be tried again later, and is.
    let mut peer = target.accept().await;
    let state = session.state();
    assert!(
        matches!(&state, SessionState::Connecting { last_failure: Some(failure) } if !failure.is_final()),
        "{state:?}"
    );
    peer.log_in(&[]).await;
    in_time(
        session
            .watch()
            .wait_for(|state| matches!(state, SessionState::Up(_))),
    )
    .await
    .unwrap();
    peer.send(Pdu::nop_in(NO_TAG, [0; 8])).await;
    peer.quiet().await;
}

/// Going straight to the operational stage is the core's to ask for; see `sup_c09` for a target that
/// insists on security.
#[tokio::test]
async fn sup_l02_without_security() {
    let mut config = core::config();
    config.security = SecurityStart::Skip;
    let (login, requests) = core::log_in(config, async |peer| {
        peer.log_in(&[]).await;
        peer.agreed().requests.clone()
    })
    .await;
    login.unwrap();
    assert_eq!(requests[0].current_stage(), OPERATIONAL);
}
