//! RFC 7143 §6.3: what a login may say, and what it gets for it.

use hawser_target::{Access, DigestPolicy, KeyPolicy};

use crate::raw::*;

/// One first request (CSG=1, NSG=3, T=1), and the status it gets.
fn status(server: &Server, keys: &[(&str, &str)]) -> u16 {
    let mut initiator = server.connect();
    let status = initiator.login_step(0x87, keys).login_status();
    if status >= 0x0200 {
        initiator.expect_closed();
    }
    status
}

#[test]
fn another_pdu_before_login_closes_the_connection() {
    let server = Server::new();
    let mut initiator = server.connect();
    initiator.send(header(NOP_OUT | IMMEDIATE, FINAL, 1), &[]);
    initiator.expect_closed();
}

#[test]
fn another_pdu_during_login_is_refused_with_020b() {
    let server = Server::new();
    let mut initiator = server.connect();
    let response = initiator.login_step(0x04, &Initiator::names());
    assert_eq!(response.login_status(), 0);
    initiator.send(header(TEXT_REQUEST, FINAL, 0x10), b"SendTargets=\0");
    assert_eq!(initiator.receive().login_status(), 0x020b);
    initiator.expect_closed();
}

#[test]
fn each_refusal_has_its_status() {
    let only = hawser_proto::names::IscsiName::parse("iqn.2024-01.test:other").unwrap();
    let closed = hawser_target::TargetConfig::new("iqn.2024-01.test:closed").unwrap();
    let server = Server::start(
        hawser_target::TargetServer::builder()
            .portal(localhost())
            .target(target())
            .target(closed.access(Access::Only(vec![only]))),
    );
    let initiator = ("InitiatorName", INITIATOR);
    for (keys, wanted) in [
        (&[("TargetName", IQN)][..], 0x0207),
        (&[initiator], 0x0207),
        (
            &[initiator, ("TargetName", "iqn.2024-01.test:none")],
            0x0203,
        ),
        (&[initiator, ("TargetName", "nonsense")], 0x0203),
        (
            &[initiator, ("TargetName", "iqn.2024-01.test:closed")],
            0x0202,
        ),
        (
            &[initiator, ("TargetName", IQN), ("SessionType", "Copy")],
            0x0209,
        ),
        (
            &[("InitiatorName", "nonsense"), ("TargetName", IQN)],
            0x0200,
        ),
        (&[initiator, ("TargetName", IQN), initiator], 0x0200),
        (
            &[initiator, ("TargetName", IQN), ("AuthMethod", "None")],
            0x0200,
        ),
        (
            &[initiator, ("TargetName", IQN), ("TargetAlias", "x")],
            0x0200,
        ),
        (
            &[
                initiator,
                ("TargetName", IQN),
                ("MaxRecvDataSegmentLength", "0"),
            ],
            0x0200,
        ),
        (&[initiator, ("TargetName", IQN)], 0x0000),
    ] {
        assert_eq!(status(&server, keys), wanted, "{keys:?}");
    }
    assert_eq!(server.handle.counters().refused_logins, 11);
}

#[test]
fn a_header_that_makes_no_sense_is_refused() {
    let server = Server::new();
    // Version-min 1: unsupported version.
    let mut initiator = server.connect();
    let mut header = initiator.login_header(0x87);
    header[3] = 1;
    initiator.send(header, &text(&Initiator::names()));
    assert_eq!(initiator.receive().login_status(), 0x0205);
    // From the operational stage back to security; into stage 2; the full feature phase at once.
    for flags in [0x84, 0x86, 0x8f, 0x0c] {
        let mut initiator = server.connect();
        initiator.send(initiator.login_header(flags), &text(&Initiator::names()));
        let answer = initiator.try_receive();
        let refused = answer
            .as_ref()
            .is_none_or(|pdu| pdu.login_status() == 0x0200);
        assert!(refused, "{flags:#04x}: {answer:02x?}");
    }
}

#[test]
fn what_is_constant_in_a_login_must_stay() {
    let server = Server::new();
    for byte in [8, 15, 19, 21] {
        let mut initiator = server.connect();
        assert_eq!(
            initiator
                .login_step(0x04, &Initiator::names())
                .login_status(),
            0
        );
        let mut header = initiator.login_header(0x87);
        header[byte] ^= 0x40;
        initiator.send(header, &[]);
        assert_eq!(initiator.receive().login_status(), 0x0200, "byte {byte}");
    }
}

#[test]
fn both_stages_with_every_response_as_the_rfc_wants_it() {
    let server = Server::new();
    let mut initiator = server.connect();
    let mut keys = Initiator::names();
    keys.push(("AuthMethod", "None"));
    let first = initiator.login_step(0x81, &keys);
    assert_eq!((first.login_status(), first.header[1]), (0, 0x81));
    // The tag comes with the first response, and the TSIH is still that of the request.
    assert_eq!(first.text(), "TargetPortalGroupTag=1\nAuthMethod=None\n");
    assert_eq!(
        (first.half(14), first.header[2], first.header[3]),
        (0, 0, 0)
    );
    assert_eq!(first.word(28), initiator.cmd_sn);
    let stat_sn = first.word(24);
    let second = initiator.login_step(0x87, &[("MaxBurstLength", "65536"), ("X-test.k", "1")]);
    assert_eq!((second.login_status(), second.header[1]), (0, 0x87));
    assert_eq!(
        second.text(),
        "X-test.k=NotUnderstood\nMaxBurstLength=65536\nMaxRecvDataSegmentLength=262144\n"
    );
    assert_ne!(second.half(14), 0);
    assert_eq!(second.word(24), stat_sn.wrapping_add(1));
    assert_eq!(
        (second.word(28), second.word(32)),
        (initiator.cmd_sn, initiator.cmd_sn + 127)
    );
    initiator.hear_news();
}

#[test]
fn text_in_pieces_is_joined() {
    let server = Server::new();
    let mut initiator = server.connect();
    let whole = text(&Initiator::names());
    let (head, tail) = whole.split_at(9);
    // C=1: the key is cut in the middle.
    initiator.send(initiator.login_header(0x44), head);
    let empty = initiator.receive();
    assert_eq!(
        (empty.login_status(), empty.header[1], empty.data.len()),
        (0, 0x04, 0)
    );
    initiator.send(initiator.login_header(0x87), tail);
    let last = initiator.receive();
    assert_eq!((last.login_status(), last.header[1]), (0, 0x87));
}

#[test]
fn endless_logins_end() {
    let server = Server::new();
    let mut initiator = server.connect();
    assert_eq!(
        initiator
            .login_step(0x04, &Initiator::names())
            .login_status(),
        0
    );
    for _ in 0..100 {
        let response = initiator.login_step(0x04, &[]);
        if response.login_status() != 0 {
            assert_eq!(response.login_status(), 0x0200);
            return initiator.expect_closed();
        }
    }
    panic!("a hundred requests were answered");
}

#[test]
fn chap_may_not_be_skipped() {
    let chap = hawser_target::ChapConfig::one_way("user", "secretsecret1".into());
    let server = Server::with_target(target().chap(chap));
    assert_eq!(status(&server, &Initiator::names()), 0x0201);
    // Security without a method: the target proposes one, and does not move on.
    let mut initiator = server.connect();
    let response = initiator.login_step(0x81, &Initiator::names());
    assert_eq!((response.login_status(), response.header[1]), (0, 0x00));
    assert_eq!(response.text(), "TargetPortalGroupTag=1\nAuthMethod=CHAP\n");
    // Only None on offer.
    let mut initiator = server.connect();
    let mut keys = Initiator::names();
    keys.push(("AuthMethod", "None"));
    assert_eq!(initiator.login_step(0x81, &keys).login_status(), 0x0201);
}

/// RFC 1994 §4.1, computed beforehand: MD5 of 01, "secretsecret1" and the challenge would need the
/// target's random bytes, so here only a wrong proof is sent; right ones come from other
/// initiators.
#[test]
fn a_wrong_proof_is_refused() {
    let chap = hawser_target::ChapConfig::one_way("user", "secretsecret1".into());
    let server = Server::with_target(target().chap(chap));
    let mut initiator = server.connect();
    let mut keys = Initiator::names();
    keys.push(("AuthMethod", "CHAP"));
    assert_eq!(
        initiator.login_step(0x00, &keys).text().lines().last(),
        Some("AuthMethod=CHAP")
    );
    let challenge = initiator.login_step(0x00, &[("CHAP_A", "8,5")]).text();
    let lines: Vec<&str> = challenge.lines().collect();
    assert_eq!(lines[0], "CHAP_A=8");
    assert!(
        lines[1]
            .strip_prefix("CHAP_I=")
            .unwrap()
            .parse::<u8>()
            .is_ok()
    );
    assert_eq!(lines[2].strip_prefix("CHAP_C=0x").unwrap().len(), 64);
    let proof = format!("0x{}", "5a".repeat(32));
    let response = initiator.login_step(0x81, &[("CHAP_N", "user"), ("CHAP_R", &proof)]);
    assert_eq!(response.login_status(), 0x0201);
    initiator.expect_closed();
}

#[test]
fn a_policy_that_the_initiator_leaves_at_the_default_is_proposed() {
    let policy = KeyPolicy {
        immediate_data: false,
        header_digest: DigestPolicy::Required,
        ..KeyPolicy::default()
    };
    let server = Server::with_policy(policy);
    let mut initiator = server.connect();
    let response = initiator.login_step(0x87, &Initiator::names());
    assert_eq!((response.login_status(), response.header[1]), (0, 0x04));
    let proposed = response.text();
    assert!(proposed.contains("HeaderDigest=CRC32C\n"), "{proposed}");
    assert!(proposed.contains("ImmediateData=No\n"), "{proposed}");
    let answer = [("HeaderDigest", "CRC32C"), ("ImmediateData", "No")];
    let response = initiator.login_step(0x87, &answer);
    assert_eq!((response.login_status(), response.header[1]), (0, 0x87));
    initiator.header_digest = true;
    initiator.hear_news();
    // Straight from security to the full feature phase: there is something to negotiate first.
    let mut initiator = server.connect();
    let response = initiator.login_step(0x83, &Initiator::names());
    assert_eq!((response.login_status(), response.header[1]), (0, 0x81));
}

#[test]
fn a_login_that_names_a_session_must_name_one_that_is_there() {
    let server = Server::new();
    let mut first = server.log_in(&[]);
    first.hear_news();
    let named = |tsih: u16, cid: u16| {
        let mut initiator = server.connect();
        (initiator.tsih, initiator.cid) = (tsih, cid);
        let keys = [("InitiatorName", INITIATOR), ("TargetName", IQN)];
        initiator.login_step(0x87, &keys).login_status()
    };
    assert_eq!(named(first.tsih.wrapping_add(1), 1), 0x020a);
    // A second connection: MaxConnections is 1.
    assert_eq!(named(first.tsih, 2), 0x0206);
    first.expect_silence();
}
