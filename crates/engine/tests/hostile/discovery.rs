//! Answers to SendTargets that are meant never to end.

use std::time::{Duration, Instant};

use hawser_engine::discovery::{DiscoveredTarget, send_targets};
use hawser_engine::{ConnectFailure, LoginFailure, LoginFailureKind, Portal};

use super::peer::{
    LIMIT, LOGOUT, NONE, NOP_IN, Pdu, Peer, TEXT, TEXT_RESPONSE, in_time, login_options, serve,
};

/// Asks such a peer; each step may take two seconds.
async fn ask(
    script: impl Fn(&mut Peer) + Send + 'static,
) -> Result<Vec<DiscoveredTarget>, LoginFailure> {
    let address = serve(move |peer| {
        if peer.log_in().is_some() {
            script(peer);
        }
    });
    let (options, portal) = (login_options(), Portal::from(address));
    let began = Instant::now();
    let answer = in_time(send_targets(&options, &portal, Duration::from_secs(2))).await;
    assert!(began.elapsed() < LIMIT / 2, "{answer:?} came late");
    answer
}

/// The answer to a text request, or a part of it.
fn text(request: &Pdu, flags: u8, ttt: u32, text: &[u8]) -> Pdu {
    let pdu = Pdu::new(TEXT_RESPONSE, request.itt());
    pdu.flags(flags).put(20, ttt).data(text)
}

const RECORD: &[u8] = b"TargetName=iqn.2026-11.test.hawser:one\0TargetAddress=10.0.0.1:3260,1\0";

#[tokio::test]
async fn an_answer_without_end() {
    let failure = ask(|peer| {
        // As fast as it can, in segments of 64 KiB.
        let record = b"TargetName=iqn.2026-11.test.hawser:many\0".repeat(1600);
        while let Some(request) = peer.await_request(TEXT) {
            if peer.say(text(&request, 0, 7, &record)).is_err() {
                return;
            }
        }
    })
    .await
    .unwrap_err();
    assert!(failure.to_string().contains("text"), "{failure}");
}

#[tokio::test]
async fn an_answer_in_nothings_without_end() {
    let failure = ask(|peer| {
        while let Some(request) = peer.await_request(TEXT) {
            if peer.say(text(&request, 0, 7, b"")).is_err() {
                return;
            }
        }
    })
    .await
    .unwrap_err();
    let is_timeout = matches!(
        failure.kind,
        LoginFailureKind::Connect(ConnectFailure::TimedOut(2))
    );
    assert!(
        is_timeout || failure.to_string().contains("PDUs"),
        "{failure}"
    );
}

#[tokio::test]
async fn pings_without_end_in_place_of_an_answer() {
    let failure = ask(|peer| {
        peer.await_request(TEXT);
        let ping = peer.number(Pdu::new(NOP_IN, NONE).put(20, NONE));
        peer.flood(&ping.bytes().repeat(100));
    })
    .await
    .unwrap_err();
    let kind = &failure.kind;
    assert!(
        matches!(kind, LoginFailureKind::Connect(ConnectFailure::TimedOut(2))),
        "{failure}"
    );
}

/// The answer was complete: how the connection ends does not matter.
#[tokio::test]
async fn an_answer_whose_logout_is_never_answered() {
    let targets = ask(|peer| {
        let Some(request) = peer.await_request(TEXT) else {
            return;
        };
        drop(peer.say(text(&request, 0x80, NONE, RECORD)));
        peer.await_request(LOGOUT);
        peer.sit();
    })
    .await
    .unwrap();
    assert_eq!(targets.len(), 1);
    assert_eq!(targets[0].addresses.len(), 1);
}
