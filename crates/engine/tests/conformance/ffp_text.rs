//! Text requests: SendTargets in a discovery session, negotiation in the full feature phase.

use std::time::Duration;

use hawser_engine::LoginFailure;
use hawser_engine::discovery::{DiscoveredTarget, send_targets};
use hawser_testkit::scripted::wire::{
    LOGIN_REQUEST, LOGOUT_REQUEST, NO_TAG, REJECT_PROTOCOL_ERROR, TEXT_REQUEST,
};
use hawser_testkit::scripted::{LIMIT, Pdu, Peer, Target, text};

use super::support::{Rig, answer_logout, in_time, login_options, portal};

/// One answer of a target: itself at an address.
pub(crate) const ONE_TARGET: &[u8] =
    b"TargetName=iqn.2026-11.test.hawser:one\0TargetAddress=192.0.2.1:3260,1\0";

/// Asks a target for its targets, which is logged in to and then goes on by `script`.
pub(crate) async fn discover(
    script: impl AsyncFnOnce(&mut Peer),
) -> Result<Vec<DiscoveredTarget>, LoginFailure> {
    let target = Target::listen().await;
    let (options, portal) = (login_options(), portal(&target));
    let asked = tokio::spawn(async move { send_targets(&options, &portal, LIMIT).await });
    let mut peer = target.accept().await;
    peer.log_in(&[]).await;
    script(&mut peer).await;
    drop(peer);
    in_time(asked).await.unwrap()
}

/// The request for all targets.
pub(crate) async fn expect_send_targets(peer: &mut Peer) -> Pdu {
    let request = peer.expect(TEXT_REQUEST).await;
    assert_eq!(request.data, text::write(&[("SendTargets", "All")]));
    request
}

#[tokio::test]
async fn ffp_18_1() {
    let found = discover(async |peer| {
        let granted = peer.next_cmd_sn();
        let request = expect_send_targets(peer).await;
        assert_eq!(request.cmd_sn(), granted);
        assert_eq!(request.ttt(), NO_TAG);
        assert!(request.is_final() && !request.is_continued());
        assert_eq!(request.exp_stat_sn(), peer.next_stat_sn());
        let login = peer.transcript().of(LOGIN_REQUEST)[0].itt();
        assert!(request.itt() != login, "the login's tag is not used again");
        peer.send(Pdu::text_response(&request, ONE_TARGET)).await;
        answer_logout(peer).await;
    })
    .await
    .unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn ffp_18_2() {
    let lun = [0, 3, 0, 0, 0, 0, 0, 0];
    let found = discover(async |peer| {
        let request = expect_send_targets(peer).await;
        let (first, rest) = ONE_TARGET.split_at(20);
        peer.send(Pdu::unfinished_text(&request, 0x0bad, first).put_lun(lun))
            .await;
        let follow_up = peer.expect(TEXT_REQUEST).await;
        assert_eq!(follow_up.itt(), request.itt());
        assert_eq!((follow_up.ttt(), follow_up.lun()), (0x0bad, lun));
        assert!(follow_up.is_final() && follow_up.data.is_empty());
        peer.send(Pdu::text_response(&follow_up, rest)).await;
        answer_logout(peer).await;
    })
    .await
    .unwrap();
    assert_eq!(found[0].name.as_str(), "iqn.2026-11.test.hawser:one");
}

#[tokio::test]
async fn ffp_18_3_1() {
    discover(async |peer| {
        let request = expect_send_targets(peer).await;
        peer.send(Pdu::text_response(&request, ONE_TARGET).put_word(20, 99))
            .await;
        let logout = peer.expect(LOGOUT_REQUEST).await;
        assert_eq!(logout.code(), 0);
        assert!(logout.itt() != request.itt());
        peer.send(Pdu::logout_response(&logout, 0, 0, 0)).await;
        peer.finish().await;
        peer.expect_close().await;
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn ffp_18_3_2() {
    let failure = discover(async |peer| {
        let request = expect_send_targets(peer).await;
        peer.send(Pdu::unfinished_text(&request, NO_TAG, ONE_TARGET))
            .await;
        match peer.take().await {
            None => {}
            Some(pdu) => assert_eq!(pdu.opcode(), LOGOUT_REQUEST, "{pdu:?}"),
        }
    })
    .await;
    assert!(failure.is_err(), "{failure:?}");
}

#[tokio::test]
async fn ffp_18_4() {
    let failure = discover(async |peer| {
        let request = expect_send_targets(peer).await;
        let answer = [ONE_TARGET, b"MaxRecvDataSegmentLength=1024\0"].concat();
        peer.send(Pdu::text_response(&request, &answer)).await;
        // Whichever way it recovers, the exchange does not go on as if nothing had happened.
        match peer.take().await {
            None => {}
            Some(pdu) => assert_eq!(pdu.opcode(), LOGOUT_REQUEST, "{pdu:?}"),
        }
    })
    .await;
    assert!(failure.is_err(), "{failure:?}");
}

/// The target asks for a negotiation and rejects it: the connection stays, and the next negotiation is
/// a new one.
#[tokio::test]
async fn ffp_18_5() {
    let mut rig = Rig::up(&[]).await;
    rig.peer.send(Pdu::async_message(4, [0, 0, 3])).await;
    let first = rig.peer.expect(TEXT_REQUEST).await;
    rig.peer
        .send(Pdu::reject(&first, REJECT_PROTOCOL_ERROR))
        .await;
    rig.works().await;
    rig.peer.send(Pdu::async_message(4, [0, 0, 3])).await;
    let second = rig.peer.expect(TEXT_REQUEST).await;
    assert_eq!(second.ttt(), NO_TAG, "a new sequence");
    assert!(second.itt() != first.itt());
    rig.peer.send(Pdu::text_response(&second, &[])).await;
    rig.works().await;
}

/// A discovery session that is answered in time needs no more than the limit says.
#[tokio::test]
async fn ffp_18_1_has_a_limit() {
    let target = Target::listen().await;
    let (options, portal) = (login_options(), portal(&target));
    let limit = Duration::from_millis(300);
    let asked = tokio::spawn(async move { send_targets(&options, &portal, limit).await });
    let mut peer = target.accept().await;
    peer.log_in(&[]).await;
    expect_send_targets(&mut peer).await;
    peer.expect_close().await;
    assert!(in_time(asked).await.unwrap().is_err());
}
