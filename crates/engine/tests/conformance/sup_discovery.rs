//! SUP-D: discovery.

use std::fmt::Write;

use hawser_engine::LoginFailureKind;
use hawser_proto::discovery::{Ask, DiscoveryError, PeerMisbehaved, RecordError, SendTargets};
use hawser_testkit::scripted::wire::{
    CONTINUE, LOGIN_REQUEST, LOGOUT_REQUEST, NO_TAG, NOP_OUT, TEXT_REQUEST,
};
use hawser_testkit::scripted::{Pdu, text};

use super::core;
use super::ffp_text::{ONE_TARGET, discover, expect_send_targets};
use super::support::answer_logout;

fn targets(count: usize) -> Vec<u8> {
    let mut text = String::new();
    for number in 0..count {
        write!(text, "TargetName=iqn.2026-11.test.hawser:{number}\0").unwrap();
        write!(text, "TargetAddress=192.0.2.{}:3260,1\0", number % 250 + 1).unwrap();
    }
    text.into_bytes()
}

/// Sends a whole answer in pieces, each but the last with these flags.
async fn found_in_pieces(answer: &[u8], size: usize, flags: u8) -> usize {
    let found = discover(async |peer| {
        let mut request = expect_send_targets(peer).await;
        let first = request.itt();
        let mut pieces = answer.chunks(size).peekable();
        let mut ttt = 0x40;
        loop {
            let piece = pieces.next().unwrap_or_default();
            if pieces.peek().is_none() {
                peer.send(Pdu::text_response(&request, piece)).await;
                break;
            }
            peer.send(Pdu::unfinished_text(&request, ttt, piece).put_byte(1, flags))
                .await;
            request = peer.expect(TEXT_REQUEST).await;
            assert_eq!((request.itt(), request.ttt()), (first, ttt));
            assert!(request.data.is_empty() && request.is_final());
            ttt += 1;
        }
        answer_logout(peer).await;
    })
    .await;
    found.unwrap().len()
}

#[tokio::test]
async fn sup_d01() {
    for count in [0, 1, 100] {
        let answer = targets(count);
        assert_eq!(found_in_pieces(&answer, 8192, 0).await, count, "in one");
        // Without the C bit, F=0 alone says that more comes; keys are cut anywhere.
        assert_eq!(found_in_pieces(&answer, 301, 0).await, count, "F=0");
        assert_eq!(found_in_pieces(&answer, 301, CONTINUE).await, count, "C=1");
    }
}

#[tokio::test]
async fn sup_d02() {
    let answer = b"TargetName=iqn.2026-11.test.hawser:many\0\
        TargetAddress=192.0.2.1:3261,1\0TargetAddress=[2001:db8::1]:3260,2\0\
        TargetAddress=storage.example:3260,3\0TargetAddress=192.0.2.2,1\0\
        TargetAddress=192.0.2.3:3260\0TargetAddress=:::bad,1\0\
        TargetName=iqn.2026-11.test.hawser:none\0";
    let mut asked = String::new();
    let found = discover(async |peer| {
        let request = expect_send_targets(peer).await;
        peer.send(Pdu::text_response(&request, answer)).await;
        asked = format!("127.0.0.1:{}", peer.local_port());
        answer_logout(peer).await;
    })
    .await
    .unwrap();
    let shown = |at: usize| -> Vec<(String, u16, Option<u16>)> {
        let addresses = found[at].addresses.iter();
        addresses
            .map(|a| (a.portal.host().to_owned(), a.portal.port(), a.tag))
            .collect()
    };
    let plain = |host: &str, port, tag| (host.to_owned(), port, tag);
    let many = shown(0);
    assert_eq!(
        many,
        [
            plain("192.0.2.1", 3261, Some(1)),
            plain("2001:db8::1", 3260, Some(2)),
            plain("storage.example", 3260, Some(3)),
            plain("192.0.2.2", 3260, Some(1)),
            // Without the tag that must be there: taken, and noted in the log.
            plain("192.0.2.3", 3260, None),
        ]
    );
    // A target without an address is where it was asked for.
    let own = shown(1);
    assert_eq!(format!("{}:{}", own[0].0, own[0].1), asked);
}

#[tokio::test]
async fn sup_d03() {
    let failure = discover(async |peer| {
        let request = expect_send_targets(peer).await;
        let answer = b"TargetAddress=192.0.2.1:3260,1\0TargetName=iqn.2026-11.test.hawser:a\0";
        peer.send(Pdu::text_response(&request, answer)).await;
        peer.await_close().await;
    })
    .await
    .unwrap_err();
    let LoginFailureKind::Discovery(DiscoveryError::PeerMisbehaved(offence)) = &failure.kind else {
        panic!("{failure}");
    };
    assert_eq!(
        *offence,
        PeerMisbehaved::Records(RecordError::AddressBeforeName)
    );
}

#[tokio::test]
async fn sup_d04() {
    discover(async |peer| {
        assert_eq!(peer.agreed().offered.need("SessionType"), "Discovery");
        let request = expect_send_targets(peer).await;
        // A ping, which no target may send here, is not answered (§4.3, §7.4.3).
        peer.send(Pdu::nop_in(7, [0; 8])).await;
        peer.send(Pdu::text_response(&request, ONE_TARGET)).await;
        answer_logout(peer).await;
        let seen: Vec<u8> = peer.transcript().pdus().iter().map(Pdu::opcode).collect();
        let allowed = [LOGIN_REQUEST, TEXT_REQUEST, LOGOUT_REQUEST];
        assert!(
            seen.iter().all(|opcode| allowed.contains(opcode)),
            "{seen:x?}"
        );
        assert!(peer.transcript().of(NOP_OUT).is_empty());
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn sup_d05() {
    // After the answer: it counts. Before: an error.
    let found = discover(async |peer| {
        let request = expect_send_targets(peer).await;
        peer.send(Pdu::text_response(&request, ONE_TARGET)).await;
        peer.finish().await;
        peer.await_close().await;
    })
    .await;
    assert_eq!(found.unwrap().len(), 1);
    let failure = discover(async |peer| {
        expect_send_targets(peer).await;
        peer.finish().await;
        peer.await_close().await;
    })
    .await
    .unwrap_err();
    assert!(matches!(
        failure.kind,
        LoginFailureKind::Discovery(DiscoveryError::Closed)
    ));
}

/// In a normal session: the core's to ask for, with an empty value for the session's own target.
#[tokio::test]
async fn sup_d06() {
    let (login, _) = core::log_in(core::config(), async |peer| peer.log_in(&[]).await).await;
    let login = login.unwrap();
    let mut exchange = SendTargets::new(&login, &Ask::Own);
    let mut out = Vec::new();
    assert!(exchange.poll_transmit(&mut out));
    assert_eq!(out[0] & 0x3f, TEXT_REQUEST);
    assert_eq!(&out[20..24], NO_TAG.to_be_bytes());
    let length = usize::from(out[7]);
    assert_eq!(&out[48..48 + length], text::write(&[("SendTargets", "")]));
    let request = {
        let mut pdu = Pdu::new(0, 0);
        pdu.header.copy_from_slice(&out[..48]);
        pdu
    };
    assert_eq!(request.cmd_sn(), login.cmd_sn.0);
    let answer = Pdu::text_response(&request, ONE_TARGET)
        .put_word(24, login.exp_stat_sn)
        .put_word(28, request.cmd_sn().wrapping_add(1))
        .put_word(32, request.cmd_sn().wrapping_add(8));
    let bytes = [&answer.header[..], &answer.data, &answer.padding].concat();
    assert!(exchange.handle_input(&bytes).unwrap().1.is_none());
    let found = exchange.handle_close().unwrap();
    assert_eq!(found.targets.len(), 1);
}
