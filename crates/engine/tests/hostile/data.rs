//! Data, R2Ts and statuses that do not belong to the commands they are for.

use super::framing::breaks_a_read;
use super::measure::offence;
use super::peer::{DATA_OUT, FLOOD, Make, NO_TAG, Pdu};
use super::rig::{Rig, assert_given_up, impatient};

/// A write of so many bytes is under way when these come: the session is lost for a reason in these words.
async fn breaks_a_write(
    bytes: u32,
    pdus: impl FnOnce(&Pdu) -> Vec<Pdu> + Send + 'static,
    words: &str,
) {
    let rig = Rig::patient(|peer| {
        let request = peer.command()?;
        peer.say_all(pdus(&request)).ok()?;
        peer.sit();
        None
    });
    let rig = rig.await;
    let ended = rig.write(bytes).await;
    rig.breaks(ended, words).await;
}

#[test]
fn h_53_answers_to_unknown_tags() {
    offence("H-53", async {
        let words = "the target broke the protocol: initiator task tag 0x12345678 names no task";
        let pdus: [Make; 6] = [
            |r| Pdu::scsi_response(r, 0),
            |r| Pdu::data_in(r, 0, 0, &[1; 512]),
            |r| Pdu::r2t(r, 7, 0, 0, 512),
            |r| Pdu::task_management_response(r, 0),
            |r| Pdu::text_response(r, b"X-a=b\0"),
            |r| Pdu::logout_response(r, 0, 0, 0),
        ];
        for pdu in pdus {
            breaks_a_read(move |r| pdu(r).put_word(16, 0x1234_5678), words).await;
        }
    });
}

#[test]
fn h_54_answers_of_the_wrong_kind() {
    offence("H-54", async {
        let pdus: [Make; 5] = [
            |r| Pdu::task_management_response(r, 0),
            |r| Pdu::text_response(r, b"X-a=b\0"),
            |r| Pdu::logout_response(r, 0, 0, 0),
            |r| Pdu::nop_in(NO_TAG, [0; 8]).put_word(16, r.itt()),
            |r| Pdu::r2t(r, 7, 0, 0, 512),
        ];
        for pdu in pdus {
            breaks_a_read(pdu, "a PDU of the wrong kind for task").await;
        }
        let data = |r: &Pdu| vec![Pdu::data_in(r, 0, 0, &[1; 512])];
        breaks_a_write(2048, data, "a PDU of the wrong kind for task").await;
    });
}

#[test]
fn h_55_data_beyond_the_buffer() {
    offence("H-55", async {
        for (offset, length, words) in [
            (
                1536,
                1024,
                "Data-In of 1024 bytes at 1536 is outside the expected 2048",
            ),
            (
                2048,
                512,
                "Data-In of 512 bytes at 2048 is outside the expected 2048",
            ),
            (
                0xffff_fe00,
                1024,
                "at 4294966784 is outside the expected 2048",
            ),
        ] {
            let data = move |r: &Pdu| Pdu::data_in(r, 0, offset, &vec![1; length]);
            breaks_a_read(data, words).await;
        }
    });
}

/// It never stops by itself.
#[test]
fn h_56_a_flood_of_data_in_order() {
    offence("H-56", async {
        let rig = Rig::patient(|peer| {
            let request = peer.command()?;
            peer.flood_of(|sn| Pdu::data_in(&request, sn, sn * 512, &[1; 512]))
        });
        let rig = rig.await;
        let ended = rig.read(2048).await;
        rig.breaks(ended, "is outside the expected 2048").await;
    });
}

#[test]
fn h_57_data_that_overlaps_or_leaves_a_hole() {
    offence("H-57", async {
        for offset in [0, 256, 1024] {
            let rig = Rig::patient(move |peer| {
                let request = peer.command()?;
                peer.say(Pdu::data_in(&request, 0, 0, &[1; 512])).ok()?;
                peer.say(Pdu::data_in(&request, 1, offset, &[2; 512]))
                    .ok()?;
                peer.sit();
                None
            });
            let rig = rig.await;
            let ended = rig.read(2048).await;
            let words = format!("Data-In at {offset} where offset 512 was due");
            rig.breaks(ended, &words).await;
        }
    });
}

#[test]
fn h_58_data_with_wrong_numbers() {
    offence("H-58", async {
        for sn in [1, 7, u32::MAX] {
            let words = format!("DataSN {sn} where 0 was due");
            breaks_a_read(move |r| Pdu::data_in(r, sn, 0, &[1; 512]), &words).await;
        }
    });
}

/// All that comes of a command that has ended is thrown away, however much it is.
#[test]
fn h_59_data_after_the_status() {
    offence("H-59", async {
        let rig = Rig::patient(|peer| {
            let request = peer.command()?;
            peer.say(Pdu::scsi_response(&request, 0)).ok()?;
            peer.flood_of(|sn| Pdu::data_in(&request, sn, 0, &[1; 60_000]))?;
            peer.serve()
        });
        let rig = rig.await;
        let answer = rig.read(2048).await.unwrap();
        assert_eq!(answer.data.len(), 0);
        rig.goes_on().await;
    });
}

/// The first counts.
#[test]
fn h_60_a_status_twice() {
    offence("H-60", async {
        let rig = Rig::patient(|peer| {
            let request = peer.command()?;
            peer.say(Pdu::data_in(&request, 0, 0, &[1; 512]).with_status(0))
                .ok()?;
            for _ in 0..10_000 {
                peer.say(Pdu::check_condition(&request, [3, 0x11, 0]))
                    .ok()?;
            }
            peer.serve()
        });
        let rig = rig.await;
        let answer = rig.read(512).await.unwrap();
        assert_eq!(answer.data, [1; 512]);
        assert_eq!(rig.session.counters().check_conditions, 0);
        rig.goes_on().await;
    });
}

#[test]
fn h_61_a_status_that_counts_what_never_came() {
    offence("H-61", async {
        for counted in [1, u32::MAX] {
            let words = format!("the response counts {counted} data PDUs, 0 came");
            let response = move |r: &Pdu| Pdu::scsi_response(r, 0).put_word(36, counted);
            breaks_a_read(response, &words).await;
        }
    });
}

#[test]
fn h_62_sense_data_where_none_can_be() {
    offence("H-62", async {
        breaks_a_read(
            |r| Pdu::scsi_response(r, 2),
            "CHECK CONDITION without sense data",
        )
        .await;
        let data = |r: &Pdu| Pdu::data_in(r, 0, 0, &[1; 18]).with_status(2);
        breaks_a_read(data, "CHECK CONDITION in a Data-In PDU").await;
    });
}

/// Residuals and sense lengths that cannot be do no harm: no more data is shown than there is.
#[test]
fn h_63_counts_that_cannot_be() {
    offence("H-63", async {
        for flag in [2, 4] {
            let rig = Rig::patient(move |peer| {
                let request = peer.command()?;
                peer.say(Pdu::data_in(&request, 0, 0, &[1; 512])).ok()?;
                let response = Pdu::scsi_response(&request, 0).put_word(36, 1);
                peer.say(response.with_residual(flag, u32::MAX)).ok()?;
                peer.serve()
            });
            let rig = rig.await;
            let answer = rig.read(2048).await.unwrap();
            assert!(answer.data.len() <= 512, "{}", answer.data.len());
            rig.goes_on().await;
        }
        let rig = Rig::patient(|peer| {
            let request = peer.command()?;
            let response = Pdu::scsi_response(&request, 2).with_data(&[0xff, 0xff, 0x70, 0]);
            peer.say(response).ok()?;
            peer.serve()
        });
        let rig = rig.await;
        let answer = rig.read(2048).await.unwrap();
        assert_eq!(answer.raw_sense, [0x70, 0]);
        rig.goes_on().await;
    });
}

#[test]
fn h_64_more_r2ts_than_agreed() {
    offence("H-64", async {
        let r2ts = |r: &Pdu| {
            (0..100)
                .map(|sn| Pdu::r2t(r, sn + 1, sn, sn * 512, 512))
                .collect()
        };
        breaks_a_write(65_536, r2ts, "more R2Ts outstanding than agreed").await;
    });
}

#[test]
fn h_65_r2ts_outside_the_command() {
    offence("H-65", async {
        for (offset, length) in [
            (65_536, 512),
            (65_024, 1024),
            (0xffff_fe00, 1024),
            (0, 0xffff_ffff),
            (0, 1 << 20),
        ] {
            let words = format!("R2T for {length} bytes at {offset} does not fit the command");
            let r2t = move |r: &Pdu| vec![Pdu::r2t(r, 7, 0, offset, length)];
            breaks_a_write(65_536, r2t, &words).await;
        }
        let no_write = |r: &Pdu| Pdu::r2t(r, 7, 0, 0, 512);
        breaks_a_read(no_write, "a PDU of the wrong kind for task").await;
    });
}

#[test]
fn h_66_r2ts_with_wrong_numbers() {
    offence("H-66", async {
        let r2t = |r: &Pdu| vec![Pdu::r2t(r, 7, 5, 0, 512)];
        breaks_a_write(2048, r2t, "R2TSN 5 where 0 was due").await;
        let twice = |r: &Pdu| vec![Pdu::r2t(r, 7, 0, 0, 512), Pdu::r2t(r, 7, 0, 0, 512)];
        breaks_a_write(2048, twice, "R2TSN 0 where 1 was due").await;
        let lun = |r: &Pdu| vec![Pdu::r2t(r, 7, 0, 0, 512).put_lun([0, 9, 0, 0, 0, 0, 0, 0])];
        breaks_a_write(2048, lun, "of a command for LUN").await;
    });
}

/// Each one is in order, has the same tag and asks for the same bytes: the command never ends by itself.
#[test]
fn h_67_the_same_r2t_for_ever() {
    offence("H-67", async {
        let rig = Rig::single(impatient, &[], |peer| {
            let request = peer.command()?;
            for sn in 0.. {
                peer.say(Pdu::r2t(&request, 7, sn, 0, 2048)).ok()?;
                let data = peer.await_request(DATA_OUT)?;
                assert_eq!((data.ttt(), data.offset(), data.data.len()), (7, 0, 2048));
            }
            None
        });
        let mut rig = rig.await;
        assert_given_up(rig.write(2048).await);
        rig.was_lost("does not end a timed-out command").await;
        rig.goes_on().await;
    });
}

/// Each one is in order and holds nothing: the command never ends by itself.
#[test]
fn h_68_data_of_no_bytes_for_ever() {
    offence("H-68", async {
        let rig = Rig::single(impatient, &[], |peer| {
            let request = peer.command()?;
            let mut sn = 0;
            loop {
                let pdus = (sn..sn + 1000).map(|sn| Pdu::data_in(&request, sn, 0, b""));
                peer.say_all(pdus).ok()?;
                sn += 1000;
            }
        });
        let mut rig = rig.await;
        assert_given_up(rig.read(2048).await);
        rig.was_lost("does not end a timed-out command").await;
        rig.goes_on().await;
    });
}

/// Data that was never asked for fills no buffer: the write has one, and no target may fill it.
#[test]
fn h_69_one_command_asked_for_all_over_again() {
    offence("H-69", async {
        // Four times the flood goes out of one buffer of a MiB.
        const WRITE: u32 = 1 << 20;
        let rig = Rig::single(
            |_| {},
            &[("MaxBurstLength", "1048576")],
            |peer| {
                let request = peer.command()?;
                let mut taken = 0;
                for sn in 0.. {
                    peer.say(Pdu::r2t(&request, 7, sn, 0, WRITE)).ok()?;
                    let mut last = false;
                    while !last {
                        let data = peer.take()?;
                        taken += data.data.len();
                        last = data.is_final();
                    }
                    if taken >= FLOOD {
                        break;
                    }
                }
                peer.say(Pdu::scsi_response(&request, 0)).ok()?;
                peer.serve()
            },
        );
        let rig = rig.await;
        rig.write(WRITE).await.unwrap();
        rig.goes_on().await;
    });
}

/// Bytes that were never sent are not given out as read, whoever says that all went well.
#[test]
fn h_139_a_hole_where_any_order_was_agreed() {
    offence("H-139", async {
        for ends_in_data in [true, false] {
            let answers = &[("DataSequenceInOrder", "No")];
            let rig = Rig::single(
                |_| {},
                answers,
                move |peer| {
                    let request = peer.command()?;
                    peer.say(Pdu::data_in(&request, 0, 0, &[1; 512])).ok()?;
                    let rest = Pdu::data_in(&request, 1, 1024, &[2; 1024]);
                    if ends_in_data {
                        peer.say(rest.with_status(0)).ok()?;
                    } else {
                        peer.say(rest).ok()?;
                        let end = Pdu::scsi_response(&request, 0).put_word(36, 2);
                        peer.say(end).ok()?;
                    }
                    peer.sit();
                    None
                },
            );
            let rig = rig.await;
            let ended = rig.read(2048).await;
            rig.breaks(ended, "a hole in its data").await;
        }
    });
}
