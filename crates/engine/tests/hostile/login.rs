//! Logins that are meant never to end, or to end badly.

use std::io::Write;
use std::time::{Duration, Instant};

use hawser_engine::{LoginFailure, LoginFailureKind, Session};

use super::peer::{LIMIT, LOGIN, LOGIN_RESPONSE, Pdu, Peer, in_time, options, serve};

/// What the first login with such a peer came to.
async fn failure(script: impl Fn(&mut Peer) + Send + 'static) -> LoginFailure {
    let session = Session::open(options(serve(script)));
    let began = Instant::now();
    let failure = in_time(session.established()).await.unwrap_err();
    // A second is the limit; the rest is for a machine with other things to do.
    assert!(began.elapsed() < LIMIT / 4, "{failure} came late");
    session.logout().await;
    failure
}

fn is_timeout(failure: &LoginFailure) -> bool {
    matches!(failure.kind, LoginFailureKind::Silent { seconds: 1, .. })
}

/// A response to `request` that stays where it is.
fn stay(request: &Pdu, flags: u8, text: &[u8]) -> Pdu {
    let stage = request.header[1] & 0x0c;
    let mut pdu = Pdu::new(LOGIN_RESPONSE, request.itt()).flags(stage | flags);
    pdu.header[8..14].copy_from_slice(&request.header[8..14]);
    pdu.data(text)
}

#[tokio::test]
async fn a_response_of_a_byte_now_and_then() {
    let failure = failure(|peer| {
        let Some(request) = peer.await_request(LOGIN) else {
            return;
        };
        let response = stay(&request, 0, &[b'X'; 4096]);
        for byte in peer.number(response).bytes() {
            if peer.stream.write_all(&[byte]).is_err() {
                return;
            }
            // This is what the peer does, not what the test waits for.
            std::thread::sleep(Duration::from_millis(20));
        }
    })
    .await;
    assert!(is_timeout(&failure), "{failure}");
}

#[tokio::test]
async fn text_without_end() {
    let failure = failure(|peer| {
        while let Some(request) = peer.await_request(LOGIN) {
            let text = stay(&request, 0x40, &[b'X'; 8192]);
            if peer.say(text).is_err() {
                return;
            }
        }
    })
    .await;
    assert!(!is_timeout(&failure), "{failure}");
    assert!(failure.to_string().contains("text"), "{failure}");
}

#[tokio::test]
async fn a_negotiation_without_end() {
    let failure = failure(|peer| {
        while let Some(request) = peer.await_request(LOGIN) {
            if peer.say(stay(&request, 0, b"")).is_err() {
                return;
            }
        }
    })
    .await;
    assert!(!is_timeout(&failure), "{failure}");
    assert!(failure.to_string().contains("exchanges"), "{failure}");
}

#[tokio::test]
async fn silence_after_half_a_pdu_and_without_reading() {
    for half in [0, 1, 47, 48, 50] {
        let failure = failure(move |peer| {
            let response = Pdu::new(LOGIN_RESPONSE, 0).length(100).bytes();
            let with_data = [response, vec![b'X'; 100]].concat();
            if peer.stream.write_all(&with_data[..half]).is_ok() {
                peer.sit();
            }
        })
        .await;
        assert!(
            is_timeout(&failure) || matches!(failure.kind, LoginFailureKind::Login(_)),
            "{half}: {failure}"
        );
    }
}

#[tokio::test]
async fn an_end_in_every_state() {
    for requests in 0..3 {
        for half in [false, true] {
            let failure = failure(move |peer| {
                for answered in 0..requests {
                    let Some(request) = peer.await_request(LOGIN) else {
                        return;
                    };
                    if answered + 1 < requests {
                        let text = b"AuthMethod=None\0TargetPortalGroupTag=1\0";
                        drop(peer.say(Peer::agree(&request, 1, text)));
                    }
                }
                if half {
                    drop(peer.stream.write_all(&[LOGIN_RESPONSE; 20]));
                }
            })
            .await;
            assert!(
                !is_timeout(&failure) && failure.to_string().contains("closed"),
                "{requests} {half}: {failure}"
            );
        }
    }
}

#[tokio::test]
async fn pdus_that_have_no_place() {
    let huge_ahs = {
        let mut pdu = Pdu::new(LOGIN_RESPONSE, 0);
        pdu.header[4] = 0xff;
        pdu
    };
    for (pdu, words) in [
        (Pdu::new(0x1f, 0), "0x1f"),
        (Pdu::new(0x25, 0), "0x25"),
        (Pdu::new(LOGIN_RESPONSE, 0).length(0x00ff_ffff), "16777215"),
        (huge_ahs, "header"),
    ] {
        let failure = failure(move |peer| {
            peer.await_request(LOGIN);
            drop(peer.say(pdu.clone()));
            peer.flood(&[0; 4096]);
        })
        .await;
        assert!(!is_timeout(&failure), "{failure}");
        assert!(failure.to_string().contains(words), "{failure}");
    }
}
