//! Logins that are meant never to end, or to end badly.

use std::io::Write;
use std::time::{Duration, Instant};

use hawser_engine::{LoginErrorKind, LoginFailure, LoginFailureKind, Session, SessionOptions};
use hawser_proto::login::PeerMisbehaved;
use hawser_proto::text::TextError;

use super::measure::offence;
use super::peer::{
    FULL_FEATURE, LOGIN_REQUEST, LOGIN_RESPONSE, Make, OPERATIONAL, Pdu, Peer, Target,
};
use super::rig::{
    Rig, first_response, in_time, kind, login_fails, offence_of, operational_response, options,
    to_operational,
};

fn a_second(options: &mut SessionOptions) {
    options.timeouts.login = Duration::from_secs(1);
}

fn is_silence(failure: &LoginFailure) -> bool {
    matches!(failure.kind, LoginFailureKind::Silent { seconds: 1, .. })
}

#[test]
fn h_10_a_login_of_a_byte_now_and_then() {
    offence("H-10", async {
        let failure = login_fails(a_second, |peer| {
            let request = peer.await_request(LOGIN_REQUEST)?;
            let response = Pdu::login_response(&request).with_data(&[b'X'; 4096]);
            let response = peer.number(response);
            peer.drip(&peer.bytes(&response));
            None
        });
        let failure = failure.await;
        assert!(is_silence(&failure), "{failure}");
    });
}

#[test]
fn h_11_a_login_of_half_a_pdu() {
    offence("H-11", async {
        for half in [0, 47, 50] {
            let failure = login_fails(a_second, move |peer| {
                let response = Pdu::new(LOGIN_RESPONSE, 0).with_data(&[b'X'; 100]);
                peer.stream.write_all(&peer.bytes(&response)[..half]).ok()?;
                peer.sit();
                None
            });
            let failure = failure.await;
            assert!(is_silence(&failure), "{half}: {failure}");
        }
    });
}

#[test]
fn h_12_text_that_is_always_to_be_continued() {
    offence("H-12", async {
        let failure = login_fails(
            |_| {},
            |peer| {
                while let Some(request) = peer.await_request(LOGIN_REQUEST) {
                    let text = Pdu::login_response(&request).with_data(&[b'X'; 8192]);
                    let text = text.put_byte(1, request.byte(1) & 0x0c | 0x40);
                    peer.say(text).ok()?;
                }
                None
            },
        );
        let offence = offence_of(&failure.await);
        let is_named = matches!(offence, PeerMisbehaved::Text(TextError::TooLong { .. }));
        assert!(is_named, "{offence}");
    });
}

#[test]
fn h_13_a_negotiation_without_end() {
    offence("H-13", async {
        let failure = login_fails(
            |_| {},
            |peer| {
                while let Some(request) = peer.await_request(LOGIN_REQUEST) {
                    peer.say(Pdu::login_response(&request)).ok()?;
                }
                None
            },
        );
        let offence = offence_of(&failure.await);
        let is_named = matches!(offence, PeerMisbehaved::TooManyExchanges { .. });
        assert!(is_named, "{offence}");
    });
}

#[test]
fn h_14_a_flood_of_login_responses() {
    offence("H-14", async {
        let failure = login_fails(
            |_| {},
            |peer| {
                let request = peer.await_request(LOGIN_REQUEST)?;
                let response = Pdu::login_response(&request).with_data(b"X-a=b\0");
                let response = peer.number(response);
                peer.flood_for_ever(&peer.bytes(&response));
                None
            },
        );
        let offence = offence_of(&failure.await);
        assert_eq!(offence, PeerMisbehaved::UnaskedResponse);
    });
}

#[test]
fn h_15_an_end_in_every_state_of_a_login() {
    offence("H-15", async {
        for requests in 0..3 {
            for half in [false, true] {
                let failure = login_fails(
                    |_| {},
                    move |peer| {
                        for answered in 0..requests {
                            let request = peer.await_request(LOGIN_REQUEST)?;
                            if answered + 1 < requests {
                                let text = b"AuthMethod=None\0TargetPortalGroupTag=1\0";
                                peer.say(Peer::agreement(&request, text)).ok()?;
                            }
                        }
                        let begun = if half { &[LOGIN_RESPONSE; 20][..] } else { &[] };
                        peer.stream.write_all(begun).ok()
                    },
                );
                let failure = failure.await;
                let words = failure.to_string();
                assert!(words.contains("closed the connection"), "{words}");
                assert_eq!(*kind(&failure), LoginErrorKind::Closed, "{requests} {half}");
            }
        }
    });
}

#[test]
fn h_16_pdus_that_have_no_place_in_a_login() {
    offence("H-16", async {
        let pdus: [(Make, &str); 5] = [
            (|r| Pdu::new(0x1f, r.itt()), "opcode 0x1f during the login"),
            (
                |r| Pdu::new(LOGIN_REQUEST, r.itt()),
                "opcode 0x03 during the login",
            ),
            (
                |r| Pdu::data_in(r, 0, 0, b""),
                "opcode 0x25 during the login",
            ),
            (|r| Pdu::reject(r, 4), "opcode 0x3f during the login"),
            (|r| Pdu::nop_in(7, r.lun()), "opcode 0x20 during the login"),
        ];
        for (pdu, words) in pdus {
            let offence = first_response(pdu).await.to_string();
            assert!(offence.contains(words), "{offence}");
        }
    });
}

#[test]
fn h_17_a_login_response_that_is_too_long() {
    offence("H-17", async {
        for length in [8193, 0x00ff_ffff] {
            let offence =
                first_response(move |request| Pdu::login_response(request).with_length(length));
            let offence = offence.await.to_string();
            let words = format!("data segment of {length} bytes above our");
            assert!(offence.contains(&words), "{offence}");
        }
    });
}

#[test]
fn h_18_additional_headers_in_a_login() {
    offence("H-18", async {
        for (words, shown) in [
            (0xff, "additional headers of 1020 bytes"),
            (1, "additional"),
        ] {
            let offence = first_response(move |request| {
                let mut pdu = Pdu::login_response(request).put_byte(4, words);
                pdu.ahs = vec![0xee; usize::from(words) * 4];
                pdu
            });
            let offence = offence.await.to_string();
            assert!(offence.contains(shown), "{offence}");
        }
    });
}

#[test]
fn h_19_stages_out_of_order() {
    offence("H-19", async {
        let transit = |to: u8| move |r: &Pdu| Pdu::login_response(r).moving_to(to);
        let malformed = "reserved login stage 2";
        assert!(
            first_response(transit(2))
                .await
                .to_string()
                .contains(malformed)
        );
        let offence = first_response(transit(0)).await;
        assert!(
            matches!(offence, PeerMisbehaved::StageBackwards { .. }),
            "{offence}"
        );
        let offence = first_response(transit(FULL_FEATURE)).await;
        assert!(
            matches!(offence, PeerMisbehaved::StageBeyondRequest { .. }),
            "{offence}"
        );
        let offence = operational_response(|r| Pdu::login_response(r).put_byte(1, 0)).await;
        assert!(
            matches!(offence, PeerMisbehaved::StageMismatch { .. }),
            "{offence}"
        );
        let offence = first_response(|r| Pdu::login_response(r).put_byte(1, 0xc0 | OPERATIONAL));
        let words = offence.await.to_string();
        assert!(words.contains("yet to be continued"), "{words}");
    });
}

#[test]
fn h_20_names_of_another_login() {
    offence("H-20", async {
        let offence = first_response(|r| Pdu::login_response(r).put_word(16, 0x0bad)).await;
        assert!(
            matches!(offence, PeerMisbehaved::WrongTaskTag { .. }),
            "{offence}"
        );
        let offence = first_response(|r| Pdu::login_response(r).put_byte(9, 0xff)).await;
        assert_eq!(offence, PeerMisbehaved::IsidChanged);
        let offence = first_response(|r| Pdu::login_response(r).put_byte(3, 7)).await;
        assert!(
            matches!(offence, PeerMisbehaved::WrongVersion { .. }),
            "{offence}"
        );
    });
}

#[test]
fn h_21_a_session_without_a_name() {
    offence("H-21", async {
        let offence = operational_response(|request| Peer::agreement(request, b"").put_half(14, 0));
        assert_eq!(offence.await, PeerMisbehaved::TsihZero);
    });
}

/// Each redirection leads back to the target, which the initiator asks no oftener than its limit allows.
#[test]
fn h_22_redirections_in_a_circle() {
    offence("H-22", async {
        let address = Target::listen(&[], |target| {
            loop {
                let (mut peer, request) = target.accept_request()?;
                let port = peer.stream.local_addr().ok()?.port();
                let text = format!("TargetAddress=127.0.0.1:{port},1\0");
                let response = Pdu::login_response(&request).with_data(text.as_bytes());
                peer.say(response.with_login_status(1, 1)).ok()?;
            }
        });
        let session = Session::open(options(address));
        let failure = in_time(session.established()).await.unwrap_err();
        let is_named = matches!(
            failure.kind,
            LoginFailureKind::TooManyRedirects { limit: 4, .. }
        );
        assert!(
            is_named && failure.to_string().contains(&address.to_string()),
            "{failure}"
        );
        in_time(session.logout()).await;
    });
}

#[test]
fn h_23_redirections_to_nowhere() {
    offence("H-23", async {
        let long = format!("TargetAddress={}:1,1\0", "a".repeat(4000));
        for text in ["", "TargetAddress=\0", "TargetAddress=[::1,1\0", &long] {
            let text = text.as_bytes().to_vec();
            let offence = first_response(move |request| {
                let response = Pdu::login_response(request).with_data(&text);
                response.with_login_status(1, 2)
            });
            let offence = offence.await;
            let is_named = matches!(
                offence,
                PeerMisbehaved::RedirectWithoutAddress { .. }
                    | PeerMisbehaved::MalformedValue { .. }
            );
            assert!(is_named, "{offence}");
        }
    });
}

/// A target that refuses for ever is asked with a pause, each longer than the one before up to the limit.
#[test]
fn h_24_refusals_without_end() {
    offence("H-24", async {
        let (told, mut refused) = tokio::sync::mpsc::unbounded_channel();
        let address = Target::listen(&[], move |target| {
            loop {
                let (mut peer, request) = target.accept_request()?;
                told.send(Instant::now()).ok()?;
                peer.say(Pdu::login_response(&request).with_login_status(3, 1))
                    .ok()?;
            }
        });
        let session = Session::open(options(address));
        let failure = in_time(session.established()).await.unwrap_err();
        let is_named = matches!(kind(&failure), LoginErrorKind::Refused { .. });
        assert!(is_named, "{failure}");
        let first = in_time(refused.recv()).await.unwrap();
        let mut last = first;
        for _ in 0..6 {
            last = in_time(refused.recv()).await.unwrap();
        }
        // 50, 100, and four times 200 ms.
        assert!(
            last - first > Duration::from_millis(900),
            "{:?}",
            last - first
        );
        in_time(session.logout()).await;
    });
}

/// A target that hangs up after each login is asked with a pause too, and what waits ends in its time.
#[test]
fn h_25_an_end_right_after_every_login() {
    offence("H-25", async {
        let (told, mut hung_up) = tokio::sync::mpsc::unbounded_channel();
        let mut rig = Rig::open(
            |options| options.hold = hawser_engine::Hold::For(Duration::from_secs(1)),
            &[],
            move |target| {
                loop {
                    drop(target.log_in());
                    told.send(Instant::now()).ok()?;
                }
            },
        );
        rig.was_lost("the connection ended").await;
        let first = in_time(hung_up.recv()).await.unwrap();
        let mut last = first;
        for _ in 0..6 {
            last = in_time(hung_up.recv()).await.unwrap();
        }
        assert!(
            last - first > Duration::from_millis(700),
            "{:?}",
            last - first
        );
        rig.log_out().await;
    });
}

/// A target that offends in one login is asked again.
#[test]
fn h_26_one_bad_login_among_good_ones() {
    offence("H-26", async {
        let address = Target::listen(&[], |target| {
            let mut peer = target.accept()?;
            let request = to_operational(&mut peer)?;
            peer.say(Pdu::login_response(&request).put_word(16, 0x0bad))
                .ok()?;
            peer.sit();
            None
        });
        let session = Session::open(options(address));
        let events = session.events();
        let failure = in_time(session.established()).await.unwrap_err();
        let offence = offence_of(&failure);
        assert!(
            matches!(offence, PeerMisbehaved::WrongTaskTag { .. }),
            "{offence}"
        );
        Rig { session, events }.goes_on().await;
    });
}
