//! RFC 7143 §4.3, §11.10, Appendix C: discovery sessions and text.

use hawser_target::{TargetConfig, TargetServer};

use crate::raw::*;

fn discovery(server: &Server, keys: &[(&str, &str)]) -> Initiator {
    let mut initiator = server.connect();
    let mut all = vec![("InitiatorName", INITIATOR), ("SessionType", "Discovery")];
    all.extend_from_slice(keys);
    initiator.log_in_as(&all);
    initiator
}

/// Asks, and joins the answer over as many PDUs as it takes.
fn ask(initiator: &mut Initiator, question: &[u8]) -> (String, usize) {
    let itt = initiator.itt();
    let mut request = header(TEXT_REQUEST, FINAL, itt);
    put(&mut request, 20, NIL);
    initiator.send_request(request, question);
    let (mut bytes, mut count) = (Vec::new(), 0);
    loop {
        let response = initiator.expect(TEXT_RESPONSE);
        assert_eq!(response.itt(), itt);
        bytes.extend_from_slice(&response.data);
        count += 1;
        if response.header[1] & FINAL != 0 {
            assert_eq!((response.header[1], response.word(20)), (FINAL, NIL));
            return (String::from_utf8(bytes).unwrap().replace('\0', "\n"), count);
        }
        assert_ne!(response.word(20), NIL);
        let mut more = header(TEXT_REQUEST, FINAL, itt);
        more[8..16].copy_from_slice(&response.header[8..16]);
        put(&mut more, 20, response.word(20));
        initiator.send_request(more, &[]);
    }
}

#[test]
fn targets_are_told_with_all_their_portals() {
    let server = Server::start(
        TargetServer::builder()
            .portal(localhost())
            .portal_in_group(2, localhost())
            .portal_in_group(2, "[::1]:0".parse().unwrap())
            .target(target())
            .target(
                TargetConfig::new("iqn.2024-01.test:second")
                    .unwrap()
                    .groups(&[2]),
            ),
    );
    let addresses = server.handle.local_addrs();
    let second = format!(
        "TargetAddress={},2\nTargetAddress={},2\n",
        addresses[1], addresses[2]
    );
    let own = format!(
        "TargetName={IQN}\nTargetAddress={},1\n{second}",
        addresses[0]
    );
    let other = format!("TargetName=iqn.2024-01.test:second\n{second}");
    let mut initiator = discovery(&server, &[]);
    assert_eq!(
        ask(&mut initiator, b"SendTargets=All\0").0,
        format!("{own}{other}")
    );
    let named = b"SendTargets=iqn.2024-01.test:second\0";
    assert_eq!(ask(&mut initiator, named).0, other);
    assert_eq!(
        ask(&mut initiator, b"SendTargets=iqn.2024-01.test:third\0").0,
        ""
    );
    // The second target is not there at the first portal, but at those of its group.
    let keys = [
        ("InitiatorName", INITIATOR),
        ("TargetName", "iqn.2024-01.test:second"),
    ];
    let mut refused = server.connect();
    assert_eq!(refused.login_step(0x87, &keys).login_status(), 0x0203);
    for address in &addresses[1..] {
        let response = Initiator::connect(*address).log_in_as(&keys);
        assert!(response.text().contains("TargetPortalGroupTag=2\n"));
    }
}

#[test]
fn a_long_answer_comes_in_pieces() {
    let mut builder = TargetServer::builder().portal(localhost());
    for n in 0..100 {
        builder = builder.target(TargetConfig::new(&format!("iqn.2024-01.test:n{n:03}")).unwrap());
    }
    let server = Server::start(builder);
    let mut initiator = discovery(&server, &[("MaxRecvDataSegmentLength", "512")]);
    let (text, count) = ask(&mut initiator, b"SendTargets=All\0");
    assert_eq!(count, text.len().div_ceil(512));
    let address = server.address();
    let wanted: String = (0..100)
        .map(|n| format!("TargetName=iqn.2024-01.test:n{n:03}\nTargetAddress={address},1\n"))
        .collect();
    assert_eq!(text, wanted);
    // With the default limit the same takes one piece less than 8192 bytes each.
    let mut initiator = discovery(&server, &[]);
    assert_eq!(ask(&mut initiator, b"SendTargets=All\0"), (wanted, 1));
}

#[test]
fn a_discovery_session_does_nothing_else() {
    let server = Server::new();
    let mut initiator = discovery(&server, &[]);
    for (opcode, flags) in [
        (SCSI_COMMAND, FINAL | SIMPLE),
        (TMF_REQUEST | IMMEDIATE, FINAL | 1),
        (NOP_OUT | IMMEDIATE, FINAL),
    ] {
        let mut pdu = header(opcode, flags, 0x55);
        put(&mut pdu, 24, initiator.cmd_sn);
        initiator.send(pdu, &[]);
        assert_eq!(initiator.expect(REJECT).header[2], 0x04, "{opcode:#04x}");
    }
    for question in [
        &b"X-test.key=1\0"[..],
        b"SendTargets=\0",
        b"SendTargets=All\0X-test.k=1\0",
    ] {
        let itt = initiator.itt();
        let mut request = header(TEXT_REQUEST, FINAL, itt);
        put(&mut request, 20, NIL);
        initiator.send_request(request, question);
        assert_eq!(initiator.expect(REJECT).header[2], 0x04);
    }
    assert!(
        ask(&mut initiator, b"SendTargets=All\0")
            .0
            .starts_with("TargetName=")
    );
    initiator.send_request(header(LOGOUT_REQUEST, FINAL, 0x99), &[]);
    assert_eq!(initiator.expect(LOGOUT_RESPONSE).header[2], 0);
    initiator.expect_closed();
}

#[test]
fn a_normal_session_asks_for_its_own_target_only() {
    let server = Server::new();
    let mut initiator = server.log_in(&[]);
    let own = format!("TargetName={IQN}\nTargetAddress={},1\n", server.address());
    assert_eq!(ask(&mut initiator, b"SendTargets=\0").0, own);
    assert_eq!(
        ask(&mut initiator, format!("SendTargets={IQN}\0").as_bytes()).0,
        own
    );
    let mut request = header(TEXT_REQUEST, FINAL, 0x77);
    put(&mut request, 20, NIL);
    initiator.send_request(request, b"SendTargets=All\0");
    assert_eq!(initiator.expect(REJECT).header[2], 0x04);
    // A tag that no exchange has.
    let mut request = header(TEXT_REQUEST, FINAL, 0x78);
    put(&mut request, 20, 0x1234);
    initiator.send_request(request, &[]);
    assert_eq!(initiator.expect(REJECT).header[2], 0x09);
}

#[test]
fn the_receive_limit_may_change_in_the_full_feature_phase() {
    let server = Server::new();
    let mut initiator = server.log_in(&[]);
    initiator.hear_news();
    let (answer, _) = ask(
        &mut initiator,
        b"MaxRecvDataSegmentLength=512\0X-test.k=1\0",
    );
    assert_eq!(answer, "X-test.k=NotUnderstood\n");
    initiator.command(FINAL | READ | SIMPLE, 1024, read10(0, 2), &[]);
    assert_eq!(initiator.expect_unnumbered(DATA_IN).data.len(), 512);
    assert_eq!(initiator.expect(DATA_IN).data.len(), 512);
}

/// A Text Request of task 0x77; `flags` is byte 1.
fn text_request(initiator: &mut Initiator, flags: u8, ttt: u32, text: &[u8]) {
    let mut request = header(TEXT_REQUEST, flags, 0x77);
    put(&mut request, 20, ttt);
    initiator.send_request(request, text);
}

/// C of byte 1: the text goes on.
const CONTINUE: u8 = 0x40;

#[test]
fn text_comes_in_pieces_and_is_answered_whole() {
    let server = Server::new();
    let mut initiator = server.log_in(&[]);
    text_request(&mut initiator, CONTINUE, NIL, b"X-test.fi");
    let more = initiator.expect(TEXT_RESPONSE);
    // Neither F nor C, nothing said, and a tag to go on by.
    assert_eq!((more.header[1], &more.data[..]), (0, &b""[..]));
    let tag = more.word(20);
    assert_ne!(tag, NIL);
    // F=0: the initiator has more to say, and so the answer is not the last.
    text_request(&mut initiator, 0, tag, b"rst=1\0");
    let answer = initiator.expect(TEXT_RESPONSE);
    assert_eq!(
        (answer.header[1], &answer.text()[..]),
        (0, "X-test.first=NotUnderstood\n")
    );
    text_request(&mut initiator, FINAL, answer.word(20), b"");
    let last = initiator.expect(TEXT_RESPONSE);
    assert_eq!((last.header[1], last.word(20)), (FINAL, NIL));
    assert_eq!(last.itt(), 0x77);
}

#[test]
fn a_text_negotiation_is_begun_anew_or_fails_and_old_values_stay() {
    let server = Server::new();
    let mut initiator = server.log_in(&[]);
    initiator.hear_news();
    // Begun anew with a tag of NIL: the first is forgotten.
    text_request(&mut initiator, CONTINUE, NIL, b"MaxRecvDataSegmentLength=5");
    let old = initiator.expect(TEXT_RESPONSE).word(20);
    text_request(&mut initiator, FINAL, NIL, b"X-test.k=1\0");
    let answer = initiator.expect(TEXT_RESPONSE);
    assert_eq!(answer.text(), "X-test.k=NotUnderstood\n");
    text_request(&mut initiator, FINAL, old, b"12\0");
    initiator.expect_reject(0x09);
    // F and C at once, a key twice, a key of the login: each is refused.
    for (flags, text) in [
        (FINAL | CONTINUE, &b"X-test.k=1\0"[..]),
        (
            FINAL,
            b"MaxRecvDataSegmentLength=512\0MaxRecvDataSegmentLength=512\0",
        ),
        (FINAL, b"MaxBurstLength=512\0"),
    ] {
        let number = initiator.cmd_sn;
        text_request(&mut initiator, flags, NIL, text);
        let reject = initiator.expect(REJECT);
        // Malformed, it was not received; understood, it was.
        assert!([number, number + 1].contains(&reject.word(28)));
        initiator.cmd_sn = reject.word(28);
    }
    assert_eq!(initiator.read_blocks(0, 2).len(), 1024);
    let itt = initiator.command(FINAL | READ | SIMPLE, 1024, read10(0, 2), &[]);
    assert_eq!(initiator.receive_read(itt).len(), 1);
}

#[test]
fn discovery_may_demand_chap() {
    let chap = hawser_target::ChapConfig::one_way("user", "secretsecret1".into());
    let server = Server::start(
        TargetServer::builder()
            .portal(localhost())
            .target(target())
            .discovery_chap(chap),
    );
    let mut initiator = server.connect();
    let keys = [("InitiatorName", INITIATOR), ("SessionType", "Discovery")];
    assert_eq!(initiator.login_step(0x87, &keys).login_status(), 0x0201);
    server.log_in(&[]).hear_news();
}
