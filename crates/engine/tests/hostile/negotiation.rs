//! Keys and values in a login that cannot be.

use hawser_proto::login::PeerMisbehaved;
use hawser_proto::text::TextError;

use super::measure::offence;
use super::peer::{LOGIN_REQUEST, Pdu, Peer};
use super::rig::{login_fails, offence_of, operational_response};

/// What the target did wrong that answers the operational keys with this text.
async fn says(text: impl Into<Vec<u8>>) -> PeerMisbehaved {
    let text = text.into();
    operational_response(move |request| Peer::agreement(request, &text)).await
}

#[test]
fn h_27_values_out_of_range() {
    offence("H-27", async {
        for value in ["1", "511", "16777216", "0xffffffffffffffff"] {
            let offence = says(format!("MaxRecvDataSegmentLength={value}\0")).await;
            assert!(
                matches!(offence, PeerMisbehaved::OutOfRange { .. }),
                "{offence}"
            );
        }
        for pair in [
            "MaxRecvDataSegmentLength=99999999999999999999",
            "MaxBurstLength=many",
        ] {
            let offence = says(format!("{pair}\0")).await;
            let is_named = matches!(
                offence,
                PeerMisbehaved::MalformedValue { .. } | PeerMisbehaved::InadmissibleAnswer { .. }
            );
            assert!(is_named, "{offence}");
        }
    });
}

#[test]
fn h_28_answers_beyond_what_was_offered() {
    offence("H-28", async {
        for pair in [
            "MaxBurstLength=16777215",
            "FirstBurstLength=16777215",
            "MaxConnections=65535",
            "MaxOutstandingR2T=65535",
            "ErrorRecoveryLevel=3",
            "HeaderDigest=CRC32C",
            "HeaderDigest=SHA-1",
            "DataPDUInOrder=Perhaps",
            "DefaultTime2Retain=3601",
        ] {
            let offence = says(format!("{pair}\0")).await;
            let is_named = matches!(offence, PeerMisbehaved::InadmissibleAnswer { .. });
            assert!(is_named, "{pair}: {offence}");
        }
    });
}

#[test]
fn h_29_a_key_answered_twice() {
    offence("H-29", async {
        let offence = says("MaxBurstLength=512\0MaxBurstLength=1024\0").await;
        assert!(
            matches!(offence, PeerMisbehaved::DuplicateKey { .. }),
            "{offence}"
        );
        let offence = says("X-a=1\0X-a=2\0").await;
        assert!(
            matches!(offence, PeerMisbehaved::DuplicateKey { .. }),
            "{offence}"
        );
    });
}

#[test]
fn h_30_keys_that_nobody_knows() {
    offence("H-30", async {
        let keys: String = (0..200).map(|n| format!("X-key{n}=1\0")).collect();
        let offence = says(keys).await;
        let is_named = matches!(offence, PeerMisbehaved::TooManyUnknownKeys { .. });
        assert!(is_named, "{offence}");
        let offence = says("X-a=1\0".repeat(1000)).await;
        let is_named = matches!(
            offence,
            PeerMisbehaved::Text(TextError::TooManyPairs { .. })
        );
        assert!(is_named, "{offence}");
    });
}

/// A few in each response, so that no response is too much: each is answered, and that has an end.
#[test]
fn h_31_new_keys_in_each_response() {
    offence("H-31", async {
        let failure = login_fails(
            |_| {},
            |peer| {
                for n in 0_u32.. {
                    let request = peer.await_request(LOGIN_REQUEST)?;
                    let keys = format!("X-one{n}=1\0X-two{n}=1\0");
                    let stay = Pdu::login_response(&request).with_data(keys.as_bytes());
                    peer.say(stay).ok()?;
                }
                None
            },
        );
        let offence = offence_of(&failure.await);
        let is_named = matches!(offence, PeerMisbehaved::TooManyUnknownKeys { .. });
        assert!(is_named, "{offence}");
    });
}

#[test]
fn h_32_keys_that_are_not_the_targets() {
    offence("H-32", async {
        let offence = says("InitiatorName=iqn.2026-11.test:me\0").await;
        assert!(
            matches!(offence, PeerMisbehaved::KeyOfInitiator { .. }),
            "{offence}"
        );
        let offence = says("SendTargets=All\0").await;
        let is_named = matches!(
            offence,
            PeerMisbehaved::KeyOfInitiator { .. } | PeerMisbehaved::KeyInWrongStage { .. }
        );
        assert!(is_named, "{offence}");
        for pair in ["CHAP_A=5", "AuthMethod=None"] {
            let offence = says(format!("{pair}\0")).await;
            let is_named = matches!(
                offence,
                PeerMisbehaved::KeyInWrongStage { .. } | PeerMisbehaved::DuplicateKey { .. }
            );
            assert!(is_named, "{pair}: {offence}");
        }
    });
}

#[test]
fn h_33_text_that_is_no_text() {
    offence("H-33", async {
        let long = format!("{}=1\0", "K".repeat(64));
        for (text, named) in [
            (&b"MaxBurstLength=512"[..], TextError::Unterminated),
            (b"MaxBurstLength\0", TextError::NoEquals),
            (b"=512\0", TextError::MalformedKey),
            (long.as_bytes(), TextError::MalformedKey),
            (b"MaxBurstLength=\xff\xfe\0", TextError::NotUtf8),
        ] {
            assert_eq!(says(text).await, PeerMisbehaved::Text(named));
        }
    });
}

#[test]
fn h_34_a_proposal_that_cannot_be_answered() {
    offence("H-34", async {
        let failure = login_fails(
            |_| {},
            |peer| {
                let request = peer.await_request(LOGIN_REQUEST)?;
                let text = b"AuthMethod=None\0TargetPortalGroupTag=1\0MaxBurstLength=512\0";
                peer.say(Peer::agreement(&request, text)).ok()?;
                peer.sit();
                None
            },
        );
        let offence = offence_of(&failure.await);
        assert!(
            matches!(offence, PeerMisbehaved::KeyInWrongStage { .. }),
            "{offence}"
        );
        let offence =
            says("MaxBurstLength=8192\0FirstBurstLength=65536\0InitialR2T=No\0ImmediateData=Yes\0")
                .await;
        let named = PeerMisbehaved::FirstBurstAboveMaxBurst {
            first: 65_536,
            max: 8192,
        };
        assert_eq!(offence, named);
    });
}
