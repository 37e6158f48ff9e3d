//! Error recovery level 1: targets that lose PDUs on purpose, and have them asked for in vain.

use hawser_engine::{DigestPolicy, ScsiAnswer, SessionError, SessionOptions};
use hawser_scsi::Status;

use super::measure::offence;
use super::peer::{
    Answers, NO_TAG, Pdu, Peer, SCSI_COMMAND, SNACK, SNACK_DATA, SNACK_STATUS,
    TASK_MANAGEMENT_REQUEST,
};
use super::rig::{Rig, assert_given_up, impatient, recovering};

const LEVEL_1: Answers = &[("ErrorRecoveryLevel", "1"), ("DefaultTime2Retain", "20")];

const NOT_SENT_AGAIN: &str = "the target does not send again what was lost";

/// A command is under way when the script goes on.
async fn during_a_command(
    script: impl FnOnce(&mut Peer, Pdu) -> Option<()> + Send + 'static,
) -> Rig {
    Rig::single(recovering, LEVEL_1, |peer| {
        let request = peer.command()?;
        script(peer, request)
    })
    .await
}

/// The status of the command never comes, and all that follow it have to wait.
#[test]
fn h_107_statuses_that_wait_without_end() {
    offence("H-107", async {
        let rig = during_a_command(|peer, _| {
            peer.skip_statuses(1);
            peer.flood_of(|_| Pdu::async_message(255, [1, 2, 3]))
        });
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, NOT_SENT_AGAIN).await;
    });
}

#[test]
fn h_108_large_statuses_that_wait() {
    offence("H-108", async {
        let rig = during_a_command(|peer, _| {
            peer.skip_statuses(1);
            let large = Pdu::async_sense([0; 8], [6, 0x29, 0]).with_data(&[0x55; 60_000]);
            peer.flood_of(|_| large.clone())
        });
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, NOT_SENT_AGAIN).await;
    });
}

/// Each second Data-In is left out.
#[test]
fn h_109_gaps_without_end() {
    offence("H-109", async {
        let rig = during_a_command(|peer, request| {
            peer.flood_of(|n| Pdu::data_in(&request, 2 * n + 1, 512 * (2 * n + 1), &[1; 512]))
        });
        let rig = rig.await;
        let ended = rig.read(1 << 20).await;
        rig.breaks(ended, "the target broke the protocol: DataSN")
            .await;
    });
}

/// So many that none of them can have been sent.
#[test]
fn h_110_a_data_number_that_leaps() {
    offence("H-110", async {
        let change = |options: &mut SessionOptions| {
            recovering(options);
            impatient(options);
        };
        let rig = Rig::single(change, LEVEL_1, |peer| {
            let request = peer.command()?;
            for sn in [0xffff_fff0, u32::MAX, 0xffff_fff0] {
                peer.say(Pdu::data_in(&request, sn, 0, &[1; 512])).ok()?;
            }
            peer.say(Pdu::scsi_response(&request, 0)).ok()?;
            peer.serve()
        });
        let rig = rig.await;
        assert_ended_by_abort(rig.read(2048).await);
        rig.goes_on().await;
    });
}

/// The command was aborted, and the session lives on.
fn assert_ended_by_abort(ended: Result<ScsiAnswer, SessionError>) {
    use SessionError::{Aborted, Interrupted, TimedOut};
    let error = ended.expect_err("the data never came");
    let is_named = matches!(error, Aborted(_) | TimedOut(_) | Interrupted(_));
    assert!(is_named, "{error}");
}

/// As RFC 7143 §7.8 wants it.
fn assert_lost_for_good(answer: &ScsiAnswer) {
    assert_eq!(answer.status, Status::CheckCondition);
    assert_eq!(answer.raw_sense[2], 0x0b, "ABORTED COMMAND");
    let crc_error = [0x47, 5];
    assert_eq!(answer.raw_sense[12..14], crc_error, "{answer:?}");
    assert!(answer.data.is_empty());
}

#[test]
fn h_111_a_status_number_beyond_all_loss() {
    offence("H-111", async {
        for leap in [0x8000, 0x7fff_ffff, 0x8000_0001] {
            let rig = during_a_command(move |peer, request| {
                peer.skip_statuses(leap);
                peer.say(Pdu::scsi_response(&request, 0)).ok()?;
                peer.sit();
                None
            });
            let rig = rig.await;
            let ended = rig.ask().await;
            rig.breaks(ended, "the target broke the protocol: StatSN")
                .await;
        }
    });
}

/// It is asked three times, with a pause, and given up.
#[test]
fn h_112_a_status_that_is_asked_for_in_vain() {
    offence("H-112", async {
        let (told, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let rig = during_a_command(move |peer, request| {
            peer.skip_statuses(1);
            peer.say(Pdu::scsi_response(&request, 0)).ok()?;
            while let Some(snack) = peer.await_request(SNACK) {
                told.send((snack.code(), snack.run_length())).ok()?;
            }
            None
        });
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, NOT_SENT_AGAIN).await;
        for _ in 0..3 {
            assert_eq!(asked.recv().await, Some((SNACK_STATUS, 1)));
        }
        assert_eq!(asked.recv().await, None);
    });
}

#[test]
fn h_113_data_that_is_asked_for_in_vain() {
    offence("H-113", async {
        let (told, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let rig = during_a_command(move |peer, request| {
            let data = Pdu::data_in(&request, 1, 512, &[1; 512]);
            peer.say(data.with_status(0)).ok()?;
            loop {
                let came = peer.take()?;
                if came.opcode() == SNACK {
                    told.send((came.code(), came.offset())).ok()?;
                } else {
                    assert_eq!(came.opcode(), TASK_MANAGEMENT_REQUEST);
                    peer.say(Pdu::task_management_response(&came, 0)).ok()?;
                    drop(told);
                    return peer.serve();
                }
            }
        });
        let rig = rig.await;
        assert_lost_for_good(&rig.read(1024).await.unwrap());
        for _ in 0..3 {
            assert_eq!(asked.recv().await, Some((SNACK_DATA, 0)));
        }
        assert_eq!(asked.recv().await, None);
        rig.log_out().await;
    });
}

/// Statuses are told of that do not come, one more or one less with each PDU.
#[test]
fn h_114_statuses_that_are_only_told_of() {
    offence("H-114", async {
        let rig = during_a_command(|peer, _| {
            let first = peer.number(Pdu::nop_in(NO_TAG, [0; 8])).word(24);
            let mut bytes = Vec::new();
            for ahead in (1..1000).chain((1..1000).rev()) {
                let told = Pdu::nop_in(NO_TAG, [0; 8]).with_data(&[0x55; 208]);
                let told = peer.number(told).put_word(24, first + ahead);
                bytes.extend(peer.bytes(&told));
            }
            peer.flood(&bytes)?;
            peer.sit();
            None
        });
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, NOT_SENT_AGAIN).await;
    });
}

/// Each Data-In wants an acknowledgement, and none is ever read.
#[test]
fn h_115_acknowledgements_that_nobody_reads() {
    offence("H-115", async {
        // In any order, so that the same bytes may come for ever.
        let answers: Answers = &[
            ("ErrorRecoveryLevel", "1"),
            ("DefaultTime2Retain", "20"),
            ("DataSequenceInOrder", "No"),
        ];
        let rig = Rig::single(recovering, answers, |peer| {
            let request = peer.command()?;
            peer.flood_of(|sn| {
                Pdu::data_in(&request, sn, 0, &[1; 256]).with_acknowledge(7, request.lun())
            })?;
            peer.say(Pdu::scsi_response(&request, 0)).ok()?;
            peer.serve()
        });
        let rig = rig.await;
        rig.read(2048).await.unwrap();
        rig.goes_on().await;
    });
}

/// A target may ask again for what it has lost, but not for all of it at once.
#[test]
fn h_116_a_flood_of_recovery_r2ts() {
    offence("H-116", async {
        let rig = during_a_command(|peer, request| {
            let r2ts = (0..100).map(|sn| Pdu::r2t(&request, sn + 1, sn, 0, 65_536));
            peer.say_all(r2ts).ok()?;
            peer.sit();
            None
        });
        let rig = rig.await;
        let ended = rig.write(65_536).await;
        rig.breaks(ended, "more R2Ts outstanding than agreed").await;
    });
}

/// R2Ts are left out, and come in any order: a write does without what does not come.
#[test]
fn h_117_r2t_numbers_without_order() {
    offence("H-117", async {
        let rig = during_a_command(|peer, request| {
            for sn in [90, 3, 3, 90, 0xffff_fff0, 1] {
                peer.say(Pdu::r2t(&request, 7, sn, 0, 512)).ok()?;
            }
            peer.say(Pdu::scsi_response(&request, 0)).ok()?;
            peer.serve()
        });
        let rig = rig.await;
        rig.write(512).await.unwrap();
        rig.goes_on().await;
    });
}

/// What was lost is lost for good, whatever the status says.
#[test]
fn h_118_a_data_snack_rejected() {
    offence("H-118", async {
        let rig = during_a_command(|peer, request| {
            let data = Pdu::data_in(&request, 1, 512, &[1; 512]);
            peer.say(data.with_status(0)).ok()?;
            let snack = peer.await_request(SNACK)?;
            peer.say(Pdu::reject(&snack, 3)).ok()?;
            peer.serve()
        });
        let rig = rig.await;
        let answer = rig.read(1024).await.unwrap();
        assert_lost_for_good(&answer);
        rig.goes_on().await;
    });
}

#[test]
fn h_119_a_status_snack_rejected() {
    offence("H-119", async {
        let rig = during_a_command(|peer, request| {
            let lost = peer.number(Pdu::async_message(255, [0; 3])).word(24);
            peer.say(Pdu::scsi_response(&request, 0)).ok()?;
            let snack = peer.await_request(SNACK)?;
            // It takes the place of what was lost.
            let reject = peer.number(Pdu::reject(&snack, 3)).put_word(24, lost);
            peer.send_numbered(&reject).ok()?;
            peer.sit();
            None
        });
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, NOT_SENT_AGAIN).await;
    });
}

/// What is rejected so is sent again, but not for ever.
#[test]
fn h_120_a_command_rejected_for_its_data_for_ever() {
    offence("H-120", async {
        let (told, mut sent) = tokio::sync::mpsc::unbounded_channel();
        let rig = during_a_command(move |peer, first| {
            let mut request = first.clone();
            loop {
                if request.opcode() == SCSI_COMMAND && request.cmd_sn() == first.cmd_sn() {
                    told.send(()).ok()?;
                    let reject = peer.number(Pdu::reject(&request, 2));
                    // Its number counts as not received.
                    let reject = reject.put_word(28, first.cmd_sn());
                    peer.send_numbered(&reject).ok()?;
                } else {
                    drop(told);
                    peer.answer(&request).ok()?;
                    return peer.serve();
                }
                request = peer.take()?;
            }
        });
        let rig = rig.await;
        let error = rig.ask().await.unwrap_err();
        assert!(matches!(error, SessionError::Refused { .. }), "{error}");
        let mut times = 0;
        while sent.recv().await.is_some() {
            times += 1;
        }
        assert!((2..=4).contains(&times), "{times}");
        rig.goes_on().await;
    });
}

/// What was damaged comes again and is damaged again, so that there is always something to wait for.
#[test]
fn h_121_damaged_data_for_ever() {
    const DIGESTS: Answers = &[
        ("ErrorRecoveryLevel", "1"),
        ("DefaultTime2Retain", "20"),
        ("HeaderDigest", "CRC32C"),
        ("DataDigest", "CRC32C"),
    ];
    offence("H-121", async {
        let change = |options: &mut SessionOptions| {
            recovering(options);
            impatient(options);
            options.login.header_digest = DigestPolicy::PreferCrc32c;
            options.login.data_digest = DigestPolicy::PreferCrc32c;
        };
        let rig = Rig::single(change, DIGESTS, |peer| {
            let request = peer.command()?;
            let data = peer.number(Pdu::data_in(&request, 0, 0, &[7; 512]));
            let mut bytes = peer.bytes(&data);
            *bytes.last_mut()? ^= 1;
            peer.flood_for_ever(&bytes);
            None
        });
        let mut rig = rig.await;
        assert_given_up(rig.read(2048).await);
        rig.was_lost("does not end a timed-out command").await;
        rig.goes_on().await;
    });
}
