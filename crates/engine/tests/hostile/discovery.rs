//! Answers to SendTargets that are meant never to end, or to be believed.

use std::time::Duration;

use hawser_engine::discovery::{DiscoveredTarget, send_targets};
use hawser_engine::{ConnectFailure, LoginFailure, LoginFailureKind, Portal};
use hawser_proto::discovery::{DiscoveryError, PeerMisbehaved, RecordError};
use hawser_proto::text::TextError;

use super::measure::offence;
use super::peer::{LOGOUT_REQUEST, Make, NO_TAG, Pdu, Peer, TEXT_REQUEST, Target};
use super::rig::{in_time, login_options};

/// Seconds that each step may take.
const PATIENCE: u64 = 1;

/// Asks a peer that goes on by `script` when the request is there.
async fn ask(
    script: impl FnOnce(&mut Peer, Pdu) -> Option<()> + Send + 'static,
) -> Result<Vec<DiscoveredTarget>, LoginFailure> {
    let address = Target::listen(&[], |target| {
        let mut peer = target.log_in()?;
        let request = peer.await_request(TEXT_REQUEST)?;
        script(&mut peer, request)
    });
    let (options, portal) = (login_options(), Portal::from(address));
    let limit = Duration::from_secs(PATIENCE);
    let answer = in_time(send_targets(&options, &portal, limit)).await;
    if let Err(failure) = &answer {
        let words = failure.to_string();
        assert!(words.contains(&address.to_string()), "{words}");
    }
    answer
}

/// What was wrong with what came.
fn offence_in(answer: Result<Vec<DiscoveredTarget>, LoginFailure>) -> PeerMisbehaved {
    match answer.expect_err("the answer cannot be used").kind {
        LoginFailureKind::Discovery(DiscoveryError::PeerMisbehaved(offence)) => offence,
        other => panic!("{other}"),
    }
}

fn assert_late(answer: Result<Vec<DiscoveredTarget>, LoginFailure>) {
    let failure = answer.expect_err("there was no answer");
    let is_late = matches!(
        failure.kind,
        LoginFailureKind::Connect(ConnectFailure::TimedOut(PATIENCE))
    );
    assert!(is_late, "{failure}");
}

/// Answers this request and all that follow it with a part of an answer, as fast as it can.
fn parts_without_end(peer: &mut Peer, first: Pdu, part: &[u8]) -> Option<()> {
    let mut request = first;
    loop {
        peer.say(Pdu::unfinished_text(&request, 7, part)).ok()?;
        request = peer.await_request(TEXT_REQUEST)?;
    }
}

/// Answers with a text in parts of 64 KiB, and waits.
fn in_parts(peer: &mut Peer, first: Pdu, text: &[u8]) -> Option<()> {
    let mut request = first;
    let mut parts = text.chunks(64 << 10).peekable();
    while let Some(part) = parts.next() {
        let pdu = match parts.peek() {
            Some(_) => Pdu::unfinished_text(&request, 7, part).put_byte(1, 0x40),
            None => Pdu::text_response(&request, part),
        };
        peer.say(pdu).ok()?;
        request = peer.await_request(TEXT_REQUEST)?;
    }
    None
}

#[test]
fn h_01_an_answer_without_end() {
    offence("H-01", async {
        let answer = ask(|peer, request| {
            let part = b"TargetName=iqn.2026-11.test.hawser:many\0".repeat(1600);
            parts_without_end(peer, request, &part)
        });
        let offence = offence_in(answer.await);
        let is_named = matches!(offence, PeerMisbehaved::Text(TextError::TooLong { .. }));
        assert!(is_named, "{offence}");
    });
}

#[test]
fn h_02_an_answer_in_nothings_without_end() {
    offence("H-02", async {
        let answer = ask(|peer, request| parts_without_end(peer, request, b"")).await;
        let failure = answer.unwrap_err();
        let is_named = match &failure.kind {
            LoginFailureKind::Connect(ConnectFailure::TimedOut(PATIENCE)) => true,
            LoginFailureKind::Discovery(DiscoveryError::PeerMisbehaved(offence)) => {
                matches!(offence, PeerMisbehaved::TooManyPdus { .. })
            }
            _ => false,
        };
        assert!(is_named, "{failure}");
    });
}

#[test]
fn h_03_pings_in_place_of_an_answer() {
    offence("H-03", async {
        let answer = ask(|peer, _| {
            let ping = peer.number(Pdu::nop_in(NO_TAG, [0; 8]));
            peer.flood_for_ever(&peer.bytes(&ping));
            None
        });
        assert_late(answer.await);
    });
}

#[test]
fn h_04_an_answer_of_a_byte_now_and_then() {
    offence("H-04", async {
        let answer = ask(|peer, request| {
            let part = Pdu::text_response(&request, &[b'X'; 4096]);
            let part = peer.number(part);
            peer.drip(&peer.bytes(&part));
            None
        });
        assert_late(answer.await);
    });
}

/// The answer was complete: how the connection ends does not matter.
#[test]
fn h_05_a_logout_that_is_never_answered() {
    offence("H-05", async {
        let answer = ask(|peer, request| {
            let text = b"TargetName=iqn.2026-11.test.hawser:one\0TargetAddress=10.0.0.1:3260,1\0";
            peer.say(Pdu::text_response(&request, text)).ok()?;
            peer.await_request(LOGOUT_REQUEST)?;
            peer.sit();
            None
        });
        let targets = answer.await.unwrap();
        assert_eq!(targets.len(), 1);
        assert_eq!(targets[0].addresses.len(), 1);
    });
}

#[test]
fn h_06_more_targets_than_there_are() {
    offence("H-06", async {
        let answer = ask(|peer, request| {
            let names = (0..70_000).map(|n| format!("TargetName=iqn.2026-11.test:{n}\0"));
            in_parts(peer, request, names.collect::<String>().as_bytes())
        });
        let offence = offence_in(answer.await);
        let named = PeerMisbehaved::Records(RecordError::TooManyTargets);
        assert_eq!(offence, named);
    });
}

#[test]
fn h_07_more_addresses_than_there_are() {
    offence("H-07", async {
        let answer = ask(|peer, request| {
            let mut text = b"TargetName=iqn.2026-11.test.hawser:one\0".to_vec();
            text.extend(b"TargetAddress=10.0.0.1:3260,1\0".repeat(270_000));
            in_parts(peer, request, &text)
        });
        let offence = offence_in(answer.await);
        let named = PeerMisbehaved::Records(RecordError::TooManyAddresses);
        assert_eq!(offence, named);
    });
}

#[test]
fn h_08_answers_that_are_no_records() {
    offence("H-08", async {
        let texts: [(&[u8], &str); 4] = [
            (b"TargetAddress=10.0.0.1:3260,1\0", "before any TargetName"),
            (
                b"MaxBurstLength=512\0",
                "the operational key MaxBurstLength",
            ),
            (b"TargetName=iqn.2026-11.test:one", "not ended by a NUL"),
            (b"TargetName\0", "no '='"),
        ];
        for (text, words) in texts {
            let answer = ask(move |peer, request| in_parts(peer, request, text));
            let offence = offence_in(answer.await).to_string();
            assert!(offence.contains(words), "{offence}");
        }
    });
}

#[test]
fn h_09_answers_to_what_nobody_asked() {
    offence("H-09", async {
        let pdus: [(Make, &str); 3] = [
            (
                |ask| Pdu::text_response(ask, b"").put_word(16, 99),
                "task tag",
            ),
            (|ask| Pdu::scsi_response(ask, 0), "opcode 0x21"),
            (
                |ask| Pdu::reject(ask, 9).with_length(0x00ff_ffff),
                "16777215",
            ),
        ];
        for (pdu, words) in pdus {
            let answer = ask(move |peer, request| {
                peer.say(pdu(&request)).ok()?;
                peer.sit();
                None
            });
            let offence = offence_in(answer.await).to_string();
            assert!(offence.contains(words), "{offence}");
        }
    });
}
