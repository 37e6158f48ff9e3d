//! The titles of the UNH-IOL suite "Login Phase for initiators". Only the titles are public: what each
//! asks of an initiator is read from RFC 7143 §6, §11.12 and §13.

use hawser_engine::{DigestPolicy, LoginErrorKind, LoginFailure, Session, SessionOptions};
use hawser_proto::login::{DigestChoice, LOGIN_RANDOM_BYTES, Login, LoginError, PeerMisbehaved};
use hawser_testkit::scripted::wire::{
    FULL_FEATURE, GOOD, LOGIN_REQUEST, LOGIN_RESPONSE, OPERATIONAL, SCSI_COMMAND, SECURITY,
};
use hawser_testkit::scripted::{Pdu, Peer, Target, text};

use super::core;
use super::support::{
    INITIATOR, Rig, TARGET, TWO_CONNECTIONS, answered, assert_good, in_time, login_failure,
    offence, offer_recovery, operational, options,
};

/// The target answers the operational request with this text, staying in the stage.
async fn operational_answer(text: &[u8]) -> LoginFailure {
    login_failure(
        |_| {},
        async |peer| {
            let request = operational(peer).await;
            peer.send(Pdu::login_response(&request).with_data(text))
                .await;
        },
    )
    .await
}

fn is_inadmissible(failure: &LoginFailure) -> bool {
    matches!(offence(failure), PeerMisbehaved::InadmissibleAnswer { .. })
}

/// What the initiator offers with these options.
async fn offers(change: impl FnOnce(&mut SessionOptions), keys: &[&str]) -> Vec<Option<String>> {
    let rig = Rig::with(change, &[]).await;
    let offered = &rig.peer.agreed().offered;
    keys.iter()
        .map(|key| offered.get(key).map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn login_1_1() {
    let mut rig = Rig::up(&[]).await;
    let requests = rig.peer.transcript().of(LOGIN_REQUEST);
    let stages: Vec<(u8, bool, u8)> = requests
        .iter()
        .map(|request| {
            (
                request.current_stage(),
                request.is_final(),
                request.next_stage(),
            )
        })
        .collect();
    assert_eq!(
        stages,
        [
            (SECURITY, true, OPERATIONAL),
            (OPERATIONAL, true, FULL_FEATURE)
        ]
    );
    rig.works().await;
    rig.log_out().await;
}

#[tokio::test]
async fn login_2_1() {
    let mut rig = Rig::up(&[]).await;
    for request in rig.peer.transcript().of(LOGIN_REQUEST) {
        assert_eq!(request.tsih(), 0);
    }
    assert_eq!(rig.view().await.tsih, rig.peer.agreed().tsih);
    rig.works().await;
}

#[tokio::test]
async fn login_2_2() {
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
}

#[tokio::test]
async fn login_2_3() {
    let rig = Rig::with(offer_recovery, TWO_CONNECTIONS).await;
    let mut second = rig.target.accept().await;
    second.log_in(&[]).await;
    let (first, second) = (rig.peer.agreed(), second.agreed());
    for request in &second.requests {
        assert_eq!(
            (request.tsih(), request.isid()),
            (first.tsih, first.requests[0].isid())
        );
        assert!(request.cid() != first.requests[0].cid());
    }
    // What belongs to the leading login is not said again (§6.3.3).
    for key in [
        "SessionType",
        "MaxConnections",
        "InitialR2T",
        "ErrorRecoveryLevel",
    ] {
        assert_eq!(second.offered.get(key), None, "{key}");
    }
}

/// T=1 names a next stage; with a challenge to come it is not set.
#[tokio::test]
async fn login_3_1() {
    let rig = Rig::up(&[]).await;
    for request in rig.peer.transcript().of(LOGIN_REQUEST) {
        assert!(request.is_final() && request.next_stage() > request.current_stage());
    }
    let chap = super::chap::with(super::chap::one_way());
    login_failure(chap, async |peer| {
        let (first, _) = peer.login_request().await;
        assert!(!first.is_final());
        peer.refuse(&first, 2, 1, &[]).await;
    })
    .await;
}

#[tokio::test]
async fn login_3_2() {
    let (login, ()) = core::log_in(core::config(), async |peer| {
        for stage in [SECURITY, OPERATIONAL] {
            let (mut request, _) = peer.login_request().await;
            for _ in 0..3 {
                assert_eq!((request.current_stage(), request.is_final()), (stage, true));
                peer.stay(&request, &[]).await;
                (request, _) = peer.login_request().await;
                assert!(request.data.is_empty(), "nothing is said twice");
            }
            peer.agree(&request, &[]).await;
        }
    })
    .await;
    login.unwrap();
}

async fn stat_sn_begins_with(first: u32) {
    let begin = |peer: &mut Peer| peer.set_next_stat_sn(first);
    let mut rig = Rig::prepared(|_| {}, begin, &[]).await;
    let requests = rig.peer.transcript().of(LOGIN_REQUEST);
    assert_eq!(requests[1].exp_stat_sn(), first.wrapping_add(1));
    let asked = rig.test_unit_ready();
    let command = rig.peer.expect(SCSI_COMMAND).await;
    assert_eq!(command.exp_stat_sn(), first.wrapping_add(2));
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
}

#[tokio::test]
async fn login_4_1() {
    stat_sn_begins_with(0).await;
}

#[tokio::test]
async fn login_4_2() {
    stat_sn_begins_with(0x1234_5678).await;
}

#[tokio::test]
async fn login_5_1() {
    let (login, ()) = core::log_in(core::config(), async |peer| {
        let (request, _) = peer.login_request().await;
        assert_eq!(request.exp_stat_sn(), 0, "nothing is acknowledged yet");
        let mut request = request;
        for _ in 0..3 {
            peer.stay(&request, &[]).await;
            let due = peer.next_stat_sn();
            (request, _) = peer.login_request().await;
            assert_eq!(request.exp_stat_sn(), due);
        }
        peer.agree(&request, &[]).await;
        peer.log_in(&[]).await;
    })
    .await;
    login.unwrap();
}

/// The initiator says each key once, over all requests of the login.
#[tokio::test]
async fn login_6_1() {
    let (login, ()) = core::log_in(core::config(), async |peer| {
        let request = operational(peer).await;
        peer.stay(&request, &[("ImmediateData", "Yes")]).await;
        let (request, _) = peer.login_request().await;
        peer.agree(&request, &[]).await;
        let mut said = Vec::new();
        for request in &peer.agreed().requests {
            said.extend(request.keys().iter().map(|(key, _)| key.to_owned()));
        }
        let count = said.len();
        said.sort_unstable();
        said.dedup();
        assert!(count > 10 && said.len() == count, "{said:?}");
    })
    .await;
    login.unwrap();
}

#[tokio::test]
async fn login_6_2() {
    let failure = login_failure(
        |_| {},
        async |peer| {
            let request = operational(peer).await;
            peer.stay(&request, &[("ImmediateData", "Yes")]).await;
            let (request, _) = peer.login_request().await;
            peer.stay(&request, &[("ImmediateData", "No")]).await;
        },
    )
    .await;
    assert!(
        matches!(offence(&failure), PeerMisbehaved::DuplicateKey { .. }),
        "{failure}"
    );
}

#[tokio::test]
async fn login_6_3() {
    let failure = operational_answer(b"ImmediateData=Yes\0ImmediateData=No\0").await;
    assert!(
        matches!(offence(&failure), PeerMisbehaved::DuplicateKey { .. }),
        "{failure}"
    );
}

#[tokio::test]
async fn login_7_1() {
    let rig = Rig::up(&[]).await;
    let first = &rig.peer.transcript().of(LOGIN_REQUEST)[0];
    assert_eq!((first.byte(0), first.byte(2), first.byte(3)), (0x43, 0, 0));
    assert_eq!(
        (first.ahs_length(), first.data_length()),
        (0, first.data.len())
    );
    let keys = first.keys();
    let (name, target) = (keys.need("InitiatorName"), keys.need("TargetName"));
    assert_eq!((name, target), (INITIATOR, TARGET));
    assert_eq!(keys.need("AuthMethod"), "None");
}

/// Lists are in the order of preference; the answer is one of their items.
#[tokio::test]
async fn login_7_2() {
    for (policy, list) in [
        (DigestPolicy::None, "None"),
        (DigestPolicy::PreferNone, "None,CRC32C"),
        (DigestPolicy::PreferCrc32c, "CRC32C,None"),
        (DigestPolicy::Crc32c, "CRC32C"),
    ] {
        let change = |options: &mut SessionOptions| {
            (options.login.header_digest, options.login.data_digest) = (policy, policy);
        };
        let offered = offers(change, &["HeaderDigest", "DataDigest"]).await;
        assert_eq!(offered, [Some(list.to_owned()), Some(list.to_owned())]);
    }
    for answer in ["None,CRC32C", "crc32c", "MD5"] {
        let failure = operational_answer(&text::write(&[("HeaderDigest", answer)])).await;
        assert!(is_inadmissible(&failure), "{answer}: {failure}");
    }
}

#[tokio::test]
async fn login_7_3() {
    for method in ["KRB5", "CHAP", "None,CHAP", "none", ""] {
        let failure = login_failure(
            |_| {},
            async |peer| {
                let (request, _) = peer.login_request().await;
                peer.stay(&request, &[("AuthMethod", method)]).await;
            },
        )
        .await;
        assert!(
            matches!(offence(&failure), PeerMisbehaved::MethodNotOffered { .. }),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn login_7_4() {
    // Above what was offered; above MaxBurstLength.
    let failure = operational_answer(b"FirstBurstLength=16777215\0").await;
    assert!(is_inadmissible(&failure), "{failure}");
    let failure = login_failure(
        |_| {},
        async |peer| {
            let request = operational(peer).await;
            peer.agree(
                &request,
                &[("FirstBurstLength", "65536"), ("MaxBurstLength", "512")],
            )
            .await;
        },
    )
    .await;
    assert!(matches!(
        offence(&failure),
        PeerMisbehaved::FirstBurstAboveMaxBurst { .. }
    ));
}

#[tokio::test]
async fn login_7_5() {
    for value in ["Maybe", "yes", "1", ""] {
        let failure = operational_answer(&text::write(&[("ImmediateData", value)])).await;
        assert!(is_inadmissible(&failure), "{value}: {failure}");
    }
}

#[tokio::test]
async fn login_7_6() {
    let (login, ()) = core::log_in(core::config(), async |peer| {
        let request = operational(peer).await;
        peer.stay(
            &request,
            &[("NoSuchKey", "1"), ("X-org.example.key", "Yes")],
        )
        .await;
        let (request, keys) = peer.login_request().await;
        assert_eq!(keys.need("NoSuchKey"), "NotUnderstood");
        assert_eq!(keys.need("X-org.example.key"), "NotUnderstood");
        peer.agree(&request, &[]).await;
    })
    .await;
    login.unwrap();
    // Keys that only initiators send.
    let failure = operational_answer(b"InitiatorName=iqn.2026-11.test.hawser:x\0").await;
    assert!(
        matches!(offence(&failure), PeerMisbehaved::KeyOfInitiator { .. }),
        "{failure}"
    );
}

#[tokio::test]
async fn login_8_1() {
    // Text that is none; a PDU that is none of a login; lengths beyond the limit.
    for text in [
        &b"ImmediateData"[..],
        b"ImmediateData=Yes",
        b"=Yes\0",
        b"\xff\xfe=1\0",
    ] {
        let failure = operational_answer(text).await;
        assert!(
            matches!(offence(&failure), PeerMisbehaved::Text(_)),
            "{failure}"
        );
    }
    for pdu in [Pdu::new(0x21, 0), Pdu::new(0x3b, 0)] {
        let failure = login_failure(
            |_| {},
            async |peer| {
                peer.login_request().await;
                peer.send(pdu.clone()).await;
            },
        )
        .await;
        assert!(
            matches!(offence(&failure), PeerMisbehaved::UnexpectedPdu { .. }),
            "{failure}"
        );
    }
    let failure = login_failure(
        |_| {},
        async |peer| {
            peer.login_request().await;
            peer.send(Pdu::new(LOGIN_RESPONSE, 0).with_data(&[0; 8196]))
                .await;
        },
    )
    .await;
    assert!(
        matches!(offence(&failure), PeerMisbehaved::Stream(_)),
        "{failure}"
    );
    let failure = login_failure(
        |_| {},
        async |peer| {
            let (request, _) = peer.login_request().await;
            peer.send(Pdu::login_response(&request).put_word(16, 0x0099))
                .await;
        },
    )
    .await;
    assert!(
        matches!(offence(&failure), PeerMisbehaved::WrongTaskTag { .. }),
        "{failure}"
    );
}

#[tokio::test]
async fn login_9_1() {
    let both = |options: &mut SessionOptions| {
        options.login.header_digest = DigestPolicy::PreferCrc32c;
        options.login.data_digest = DigestPolicy::PreferCrc32c;
    };
    for offer in offers(both, &["HeaderDigest", "DataDigest"]).await {
        assert_eq!(offer.as_deref(), Some("CRC32C,None"));
    }
    let plain = offers(|_| {}, &["HeaderDigest", "DataDigest"]).await;
    assert_eq!(plain, [Some("None".to_owned()), Some("None".to_owned())]);
}

/// What the target chooses holds from the full feature phase on, for each digest by itself.
#[tokio::test]
async fn login_9_2() {
    for (header, data) in [("CRC32C", "None"), ("None", "CRC32C")] {
        let both = |options: &mut SessionOptions| {
            options.login.header_digest = DigestPolicy::PreferCrc32c;
            options.login.data_digest = DigestPolicy::PreferNone;
        };
        let mut rig = Rig::with(both, &[("HeaderDigest", header), ("DataDigest", data)]).await;
        let parameters = rig.view().await.parameters.clone();
        assert_eq!(parameters.header_digest, header == "CRC32C");
        assert_eq!(parameters.data_digest, data == "CRC32C");
        rig.works().await;
    }
}

/// A target that insists on CRC32C has it; one that refuses it where we insist is left.
#[tokio::test]
async fn login_9_3() {
    let insist = |options: &mut SessionOptions| {
        (options.login.header_digest, options.login.data_digest) =
            (DigestPolicy::Crc32c, DigestPolicy::Crc32c);
    };
    let mut rig = Rig::with(insist, &[("InitialR2T", "Yes")]).await;
    let asked = rig.write(&[5; 600]);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    assert_eq!(rig.peer.take_write(&command).await, [5; 600]);
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
    for answer in ["None", "Reject"] {
        let failure = login_failure(insist, async |peer| {
            let request = operational(peer).await;
            peer.agree(
                &request,
                &[("HeaderDigest", answer), ("DataDigest", "CRC32C")],
            )
            .await;
        })
        .await;
        assert!(failure.to_string().contains("HeaderDigest"), "{failure}");
    }
}

/// The smaller number of both sides; the target here takes one.
#[tokio::test]
async fn login_10_1() {
    let rig = Rig::up(&[]).await;
    let offered = rig.peer.agreed().offered.number("MaxConnections");
    assert_eq!(rig.view().await.parameters.max_connections, 1);
    for wrong in [offered + 1, 0, 65_536] {
        let answer = wrong.to_string();
        let failure = operational_answer(&text::write(&[("MaxConnections", &answer)])).await;
        assert!(is_inadmissible(&failure), "{answer}: {failure}");
    }
}

#[tokio::test]
async fn login_11_1() {
    let alias = |options: &mut SessionOptions| {
        options.login.initiator_alias = Some("A name, of any kind".to_owned());
    };
    let rig = Rig::with(alias, &[("TargetAlias", "The target")]).await;
    let first = rig.peer.transcript().of(LOGIN_REQUEST)[0].keys();
    assert_eq!(first.need("InitiatorName"), INITIATOR);
    assert_eq!(first.need("TargetName"), TARGET);
    assert_eq!(first.need("InitiatorAlias"), "A name, of any kind");
    assert_eq!(rig.view().await.target_alias.as_deref(), Some("The target"));
}

#[tokio::test]
async fn login_12_1() {
    let keys = ["IFMarker", "OFMarker", "IFMarkInt", "OFMarkInt"];
    assert_eq!(offers(|_| {}, &keys).await, [None, None, None, None]);
    let (login, ()) = core::log_in(core::config(), async |peer| {
        let request = operational(peer).await;
        peer.stay(&request, &[("IFMarker", "Yes"), ("OFMarkInt", "2048")])
            .await;
        let (request, keys) = peer.login_request().await;
        assert!(matches!(keys.need("IFMarker"), "No" | "Reject"));
        assert_eq!(keys.need("OFMarkInt"), "Reject");
        peer.agree(&request, &[]).await;
    })
    .await;
    login.unwrap();
}

#[tokio::test]
async fn login_13_1() {
    let change = |options: &mut SessionOptions| {
        (options.login.initial_r2t, options.login.immediate_data) = (true, false);
    };
    let offered = offers(change, &["InitialR2T", "ImmediateData"]).await;
    assert_eq!(offered, [Some("Yes".to_owned()), Some("No".to_owned())]);
    let offered = offers(|_| {}, &["InitialR2T", "ImmediateData", "DataPDUInOrder"]).await;
    assert_eq!(
        offered,
        ["No", "Yes", "Yes"].map(|word| Some(word.to_owned()))
    );
}

#[tokio::test]
async fn login_13_2() {
    for (initial_r2t, immediate_data) in
        [("Yes", "No"), ("No", "Yes"), ("Yes", "Yes"), ("No", "No")]
    {
        let answers = [
            ("InitialR2T", initial_r2t),
            ("ImmediateData", immediate_data),
        ];
        let rig = Rig::up(&answers).await;
        let parameters = &rig.view().await.parameters;
        assert_eq!(parameters.initial_r2t, initial_r2t == "Yes");
        assert_eq!(parameters.immediate_data, immediate_data == "Yes");
    }
}

/// Answers that the result function cannot give: OR of Yes, AND of No.
#[tokio::test]
async fn login_13_3() {
    let change = |options: &mut SessionOptions| {
        (options.login.initial_r2t, options.login.immediate_data) = (true, false);
    };
    for wrong in [
        ("InitialR2T", "No"),
        ("ImmediateData", "Yes"),
        ("DataPDUInOrder", "No"),
    ] {
        let failure = login_failure(change, async |peer| {
            let request = operational(peer).await;
            peer.stay(&request, &[wrong]).await;
        })
        .await;
        assert!(is_inadmissible(&failure), "{wrong:?}: {failure}");
    }
}

#[tokio::test]
async fn login_14_1() {
    let change = |options: &mut SessionOptions| options.login.max_recv_data_segment = 4096;
    let mut rig = Rig::with(change, &[("MaxRecvDataSegmentLength", "1024")]).await;
    assert_eq!(
        rig.peer.agreed().offered.need("MaxRecvDataSegmentLength"),
        "4096"
    );
    let parameters = rig.view().await.parameters.clone();
    assert_eq!(parameters.max_recv_data_segment, 4096, "each side's own");
    assert_eq!(parameters.max_send_data_segment, 1024);
    // The peer holds all that comes to what it declared.
    let asked = rig.write(&[5; 8192]);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    assert!(command.data.len() <= 1024);
    assert_eq!(rig.peer.take_write(&command).await, [5; 8192]);
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
}

/// The number agreed on for a key, of which the target's answer is smaller, and an answer that may not be.
async fn takes_the_smaller(
    key: &'static str,
    answer: &str,
    too_much: &str,
    read: fn(&hawser_engine::Parameters) -> u32,
) {
    let rig = Rig::up(&[(key, answer)]).await;
    assert_eq!(read(&rig.view().await.parameters).to_string(), answer);
    let failure = operational_answer(&text::write(&[(key, too_much)])).await;
    assert!(is_inadmissible(&failure), "{failure}");
}

#[tokio::test]
async fn login_15_1() {
    let offered = offers(|_| {}, &["MaxBurstLength"]).await;
    assert_eq!(offered[0].as_deref(), Some("1048576"));
    takes_the_smaller("MaxBurstLength", "524288", "1048577", |p| p.max_burst).await;
}

#[tokio::test]
async fn login_16_1() {
    takes_the_smaller("FirstBurstLength", "512", "511", |p| p.first_burst).await;
}

#[tokio::test]
async fn login_16_2() {
    let failure = operational_answer(b"FirstBurstLength=262145\0").await;
    assert!(is_inadmissible(&failure), "{failure}");
}

/// Our own offer fits MaxBurstLength, whatever is configured.
#[tokio::test]
async fn login_16_3() {
    let offered = offers(|_| {}, &["FirstBurstLength", "MaxBurstLength"]).await;
    let number = |at: usize| offered[at].as_deref().unwrap().parse::<u32>().unwrap();
    assert!(number(0) <= number(1));
    let target = Target::listen().await;
    let mut options = options(&target);
    (options.login.first_burst, options.login.max_burst) = (65_536, 32_768);
    let session = Session::open(options);
    let failure = in_time(session.established()).await.unwrap_err();
    assert!(
        failure.to_string().contains("FirstBurstLength"),
        "{failure}"
    );
    session.logout().await;
    assert!(!target.has_connection().await, "nothing was sent");
}

#[tokio::test]
async fn login_17_1() {
    takes_the_smaller("DefaultTime2Retain", "5", "21", |p| p.time2retain.into()).await;
}

/// The larger holds.
#[tokio::test]
async fn login_18_1() {
    let change = |options: &mut SessionOptions| options.login.time2wait = 3;
    let rig = Rig::with(change, &[("DefaultTime2Wait", "7")]).await;
    assert_eq!(rig.peer.agreed().offered.need("DefaultTime2Wait"), "3");
    assert_eq!(rig.view().await.parameters.time2wait, 7);
    let failure = login_failure(change, async |peer| {
        let request = operational(peer).await;
        peer.stay(&request, &[("DefaultTime2Wait", "2")]).await;
    })
    .await;
    assert!(is_inadmissible(&failure), "{failure}");
}

#[tokio::test]
async fn login_19_1() {
    takes_the_smaller("MaxOutstandingR2T", "2", "9", |p| {
        p.max_outstanding_r2t.into()
    })
    .await;
}

/// What is offered is what the core can do (§7.1.5), so a higher answer is none.
#[tokio::test]
async fn login_20_1() {
    let rig = Rig::up(&[]).await;
    let offered = rig.peer.agreed().offered.number("ErrorRecoveryLevel");
    assert_eq!(rig.view().await.parameters.error_recovery_level, 0);
    let more = (offered + 1).to_string();
    let failure = operational_answer(&text::write(&[("ErrorRecoveryLevel", &more)])).await;
    assert!(is_inadmissible(&failure), "{failure}");
}

#[tokio::test]
async fn login_21_1() {
    let rig = Rig::up(&[]).await;
    let first = rig.peer.transcript().of(LOGIN_REQUEST)[0].keys();
    assert_eq!(first.need("SessionType"), "Normal");
    super::ffp_text::discover(async |peer| {
        let first = peer.transcript().of(LOGIN_REQUEST)[0].keys();
        assert_eq!(first.need("SessionType"), "Discovery");
        // What means nothing in discovery is not negotiated (§13).
        for key in [
            "MaxConnections",
            "InitialR2T",
            "MaxBurstLength",
            "MaxOutstandingR2T",
        ] {
            assert_eq!(peer.agreed().offered.get(key), None, "{key}");
        }
        let request = super::ffp_text::expect_send_targets(peer).await;
        peer.send(Pdu::text_response(&request, &[])).await;
        super::support::answer_logout(peer).await;
    })
    .await
    .unwrap();
    let failure = operational_answer(b"SessionType=Discovery\0").await;
    assert!(
        matches!(offence(&failure), PeerMisbehaved::KeyOfInitiator { .. }),
        "{failure}"
    );
}

#[tokio::test]
async fn login_22_1() {
    // Without CHAP only None is offered, with it only CHAP.
    let rig = Rig::up(&[]).await;
    assert_eq!(rig.peer.agreed().offered.need("AuthMethod"), "None");
    let chap = super::chap::with(super::chap::one_way());
    let failure = login_failure(chap, async |peer| {
        let (request, keys) = peer.login_request().await;
        assert_eq!(keys.need("AuthMethod"), "CHAP");
        peer.stay(&request, &[("AuthMethod", "Reject")]).await;
    })
    .await;
    assert!(failure.is_final());
}

/// The title is cut off in what is public; by its beginning and its place it is one of the target's keys.
#[tokio::test]
async fn login_23_1() {
    let rig = Rig::up(&[("TargetPortalGroupTag", "65535"), ("TargetAlias", "alias")]).await;
    let view = rig.view().await;
    assert_eq!(
        (view.tpgt, view.target_alias.as_deref()),
        (Some(65_535), Some("alias"))
    );
    for key in [
        "TargetName",
        "TargetAlias",
        "TargetAddress",
        "TargetPortalGroupTag",
    ] {
        let offered = rig.peer.agreed().offered.get(key);
        assert_eq!(offered.is_some(), key == "TargetName", "{key}");
    }
    for tag in ["65536", "-1", "x"] {
        let failure = login_failure(
            |_| {},
            async |peer| {
                let (request, _) = peer.login_request().await;
                peer.stay(&request, &[("TargetPortalGroupTag", tag)]).await;
            },
        )
        .await;
        assert!(
            matches!(
                offence(&failure),
                PeerMisbehaved::OutOfRange { .. } | PeerMisbehaved::MalformedValue { .. }
            ),
            "{failure}"
        );
    }
}

/// Offers of the core beyond the engine's options are held to the same rules.
#[tokio::test]
async fn login_20_1_of_the_core() {
    let level = |level, r2ts| -> Result<(), LoginError> {
        let mut config = core::config();
        config.offers.error_recovery_level = level;
        config.offers.max_outstanding_r2t = r2ts;
        config.offers.header_digest = vec![DigestChoice::None];
        config
            .check()
            .map_err(|error| match Login::new(config, &[0; LOGIN_RANDOM_BYTES]) {
                Err(refused) => {
                    assert!(
                        matches!(&refused.kind, LoginErrorKind::Config(same) if *same == error)
                    );
                    refused
                }
                Ok(_) => panic!("{error} was not looked at"),
            })
    };
    level(2, 1).unwrap();
    // With ordered sequences only one R2T may be outstanding above level 0 (§13.19).
    level(1, 2).unwrap_err();
    level(3, 1).unwrap_err();
}
