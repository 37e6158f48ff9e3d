//! Broken PDUs, ends and silence in the full feature phase.

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use super::measure::offence;
use super::peer::{Answers, LOGIN_RESPONSE, Make, NO_TAG, NOP_OUT, Pdu, SCSI_COMMAND};
use super::rig::{Rig, SHORT, assert_given_up, impatient, in_time};

const DIGESTS: Answers = &[("HeaderDigest", "CRC32C"), ("DataDigest", "CRC32C")];

/// A read is under way when this comes: the session is lost for a reason in these words, and made again.
pub(super) async fn breaks_a_read(pdu: impl FnOnce(&Pdu) -> Pdu + Send + 'static, words: &str) {
    let rig = Rig::patient(|peer| {
        let request = peer.command()?;
        peer.say(pdu(&request)).ok()?;
        peer.sit();
        None
    });
    let rig = rig.await;
    let ended = rig.read(2048).await;
    rig.breaks(ended, words).await;
}

#[test]
fn h_41_opcodes_that_no_target_has() {
    offence("H-41", async {
        for (opcode, words) in [
            (0x1f, "malformed PDU: unknown opcode 0x1f"),
            (0x3e, "malformed PDU: unknown opcode 0x3e"),
            (
                SCSI_COMMAND,
                "malformed PDU: SCSI Command (0x01) may not be sent by this side",
            ),
            (
                NOP_OUT,
                "malformed PDU: NOP-Out (0x00) may not be sent by this side",
            ),
        ] {
            breaks_a_read(move |request| Pdu::new(opcode, request.itt()), words).await;
        }
    });
}

#[test]
fn h_42_a_segment_that_is_too_long() {
    offence("H-42", async {
        let huge = |request: &Pdu| Pdu::scsi_response(request, 0).with_length(0x00ff_ffff);
        breaks_a_read(huge, "data segment of 16777215 bytes above our").await;
        let data = |request: &Pdu| Pdu::data_in(request, 0, 0, b"").with_length(262_148);
        breaks_a_read(data, "data segment of 262148 bytes above our").await;
    });
}

/// Within what we declared, but beyond what any such PDU can need.
#[test]
fn h_43_a_segment_where_little_belongs() {
    offence("H-43", async {
        let long = vec![0x55; 100_000];
        let sense = long.clone();
        breaks_a_read(
            move |request| Pdu::check_condition(request, [5, 0, 0]).with_data(&sense),
            "the target broke the protocol: 100000 bytes in a PDU that holds far less",
        )
        .await;
        breaks_a_read(
            move |request| Pdu::nop_in(7, request.lun()).with_data(&long),
            "the target broke the protocol: 100000 bytes in a PDU that holds far less",
        )
        .await;
    });
}

#[test]
fn h_44_additional_headers_of_nonsense() {
    offence("H-44", async {
        let with_ahs = |pdu: Pdu, words: u8| {
            let mut pdu = pdu.put_byte(4, words);
            pdu.ahs = vec![0xee; usize::from(words) * 4];
            pdu
        };
        breaks_a_read(
            move |request| with_ahs(Pdu::scsi_response(request, 0), 0xff),
            "additional headers of 1020 bytes above the limit of 256",
        )
        .await;
        breaks_a_read(
            move |request| with_ahs(Pdu::data_in(request, 0, 0, &[1; 512]), 2),
            "SCSI Data-In (0x25) with additional header segments",
        )
        .await;
        breaks_a_read(
            move |request| with_ahs(Pdu::nop_in(NO_TAG, request.lun()), 64),
            "NOP-In (0x20) with additional header segments",
        )
        .await;
    });
}

#[test]
fn h_45_a_wrong_header_digest() {
    offence("H-45", async {
        let rig = Rig::single(offer_digests, DIGESTS, |peer| {
            let request = peer.command()?;
            let response = peer.number(Pdu::scsi_response(&request, 0));
            let mut bytes = peer.bytes(&response);
            bytes[48] ^= 1;
            peer.stream.write_all(&bytes).ok()?;
            peer.sit();
            None
        });
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, "wrong header digest").await;
    });
}

#[test]
fn h_46_a_wrong_data_digest() {
    offence("H-46", async {
        let rig = Rig::single(offer_digests, DIGESTS, |peer| {
            let request = peer.command()?;
            let data = peer.number(Pdu::data_in(&request, 0, 0, &[7; 512]).with_status(0));
            let mut bytes = peer.bytes(&data);
            *bytes.last_mut()? ^= 1;
            peer.stream.write_all(&bytes).ok()?;
            peer.sit();
            None
        });
        let rig = rig.await;
        let ended = rig.read(512).await;
        rig.breaks(ended, "wrong data digest").await;
    });
}

fn offer_digests(options: &mut hawser_engine::SessionOptions) {
    options.login.header_digest = hawser_engine::DigestPolicy::PreferCrc32c;
    options.login.data_digest = hawser_engine::DigestPolicy::PreferCrc32c;
}

#[test]
fn h_47_pdus_that_contradict_themselves() {
    offence("H-47", async {
        let pdus: [(Make, &str); 6] = [
            (
                |r| Pdu::data_in(r, 0, 0, b"").put_byte(1, 1),
                "Data-In with status but without the F bit",
            ),
            (
                |r| Pdu::scsi_response(r, 0).put_byte(1, 0x86),
                "both residual overflow and underflow",
            ),
            (
                |r| Pdu::scsi_response(r, 0).put_byte(2, 0x33),
                "reserved SCSI Response code 0x33",
            ),
            (
                |r| Pdu::nop_in(7, r.lun()).put_word(16, r.itt()),
                "NOP-In with both an Initiator Task Tag and a Target Transfer Tag",
            ),
            (
                |r| Pdu::r2t(r, NO_TAG, 0, 0, 512),
                "R2T without a Target Transfer Tag",
            ),
            (|r| Pdu::r2t(r, 7, 0, 0, 0), "R2T that asks for no data"),
        ];
        for (pdu, words) in pdus {
            breaks_a_read(pdu, words).await;
        }
    });
}

#[test]
fn h_48_a_login_response_after_the_login() {
    offence("H-48", async {
        let late = |request: &Pdu| Pdu::new(LOGIN_RESPONSE, request.itt()).put_byte(1, 0x87);
        let words = "the target broke the protocol: login response in the full feature phase";
        breaks_a_read(late, words).await;
    });
}

/// In a header, behind one, in a payload that is read straight to its place and in one that is not.
#[test]
fn h_49_an_end_anywhere() {
    offence("H-49", async {
        for (length, sent) in [(0, 0), (0, 20), (4096, 48), (4096, 2000), (65_536, 60_000)] {
            let rig = Rig::patient(move |peer| {
                let request = peer.command()?;
                let data = peer.number(Pdu::data_in(&request, 0, 0, &vec![7; length]));
                peer.stream.write_all(&peer.bytes(&data)[..sent]).ok()
            });
            let rig = rig.await;
            let ended = rig.read(65_536).await;
            rig.breaks(ended, "the connection ended: ").await;
        }
    });
}

#[test]
fn h_50_silence_anywhere() {
    offence("H-50", async {
        for sent in [0, 20, 2000] {
            let rig = Rig::single(
                |options| {
                    options.timeouts.ping_interval = SHORT;
                    options.timeouts.ping_timeout = SHORT;
                },
                &[],
                move |peer| {
                    let request = peer.command()?;
                    let data = peer.number(Pdu::data_in(&request, 0, 0, &[7; 4096]));
                    peer.stream.write_all(&peer.bytes(&data)[..sent]).ok()?;
                    peer.sit();
                    None
                },
            );
            let rig = rig.await;
            let ended = rig.read(4096).await;
            rig.breaks(ended, "nothing heard from the target").await;
        }
    });
}

/// Each byte is a sign of life, so that no ping finds fault with it; the time limit of the command does.
#[test]
fn h_51_data_of_a_byte_now_and_then() {
    offence("H-51", async {
        let rig = Rig::single(
            |options| {
                impatient(options);
                options.timeouts.ping_interval = SHORT;
                options.timeouts.ping_timeout = SHORT;
            },
            &[],
            |peer| {
                let request = peer.command()?;
                let data = peer.number(Pdu::data_in(&request, 0, 0, &[7; 4096]));
                peer.drip(&peer.bytes(&data));
                None
            },
        );
        let mut rig = rig.await;
        assert_given_up(rig.read(4096).await);
        let words = "does not end a timed-out command, neither by abort nor by reset";
        rig.was_lost(words).await;
        rig.goes_on().await;
    });
}

/// A read that fills the whole buffer leaves open whether there is more: the answer is to ask again,
/// not to sleep. The runtime's only thread is held up until all has arrived, so that the session finds
/// just as much; and nothing but the target's ping can wake it then.
#[test]
fn h_52_just_as_much_as_is_read_at_once() {
    const SCRATCH: usize = 64 * 1024;
    offence("H-52", async {
        let (told, written) = mpsc::channel();
        let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let (tell, go_on) = mpsc::channel();
        let rig = Rig::patient(move |peer| {
            let quiet = Pdu::nop_in(NO_TAG, [0; 8]);
            let (plain, rest) = (SCRATCH / 48 - 1, SCRATCH % 48);
            let mut bytes = Vec::new();
            for pdu in [&quiet, &quiet.clone().with_data(&vec![0; rest])] {
                let pdu = peer.number(pdu.clone());
                let times = if pdu.data.is_empty() { plain } else { 1 };
                bytes.extend(peer.bytes(&pdu).repeat(times));
            }
            assert_eq!(bytes.len(), SCRATCH);
            while go_on.recv().is_ok() {
                peer.stream.write_all(&bytes).unwrap();
                told.send(()).unwrap();
                go_on.recv().ok()?;
                peer.say(quiet.clone().put_word(20, 7)).ok()?;
                let answer = peer.take().map(|pdu| (pdu.opcode(), pdu.ttt()));
                answered.send(answer).unwrap();
            }
            peer.serve()
        });
        let rig = rig.await;
        for _ in 0..8 {
            tell.send(()).unwrap();
            written.recv().unwrap();
            // The session reads all of it, and goes to sleep.
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            tell.send(()).unwrap();
            let answer = tokio::time::timeout(Duration::from_secs(5), answers.recv());
            let answer = answer.await.expect("the session hears");
            assert_eq!(answer, Some(Some((NOP_OUT, 7))));
        }
        drop(tell);
        in_time(rig.session.logout()).await;
    });
}
