//! Targets that say more than anybody asked, or do not listen.

use std::time::Duration;

use hawser_engine::{
    LunNumber, ManagementRequest, SessionError, SessionEvent, SessionOptions, TmfFunction,
};

use super::measure::offence;
use super::peer::{
    DATA_OUT, LOGOUT_REQUEST, NO_TAG, Pdu, Peer, REJECT, SCSI_COMMAND, TASK_MANAGEMENT_REQUEST,
    TEXT_REQUEST,
};
use super::rig::{Rig, SHORT, assert_given_up, impatient, in_time};

/// What makes the PDUs of a flood a little longer, so that it takes fewer of them.
const PADDING: [u8; 208] = [0x55; 208];

/// A command is under way when a flood comes that is to be endured: all of it is taken, and then the
/// command ends as if nothing had been.
async fn endures(flood: impl FnOnce(&mut Peer, &Pdu) -> Option<()> + Send + 'static) -> Rig {
    let (told, over) = tokio::sync::oneshot::channel();
    let rig = Rig::patient(|peer| {
        let request = peer.command()?;
        flood(peer, &request)?;
        told.send(()).ok()?;
        peer.say(Pdu::scsi_response(&request, 0)).ok()?;
        peer.serve()
    });
    let rig = rig.await;
    rig.ask().await.expect("the command ends well");
    over.await.expect("all of it was taken");
    rig
}

#[test]
fn h_70_a_flood_of_nop_ins() {
    offence("H-70", async {
        let rig = endures(|peer, _| {
            let quiet = peer.number(Pdu::nop_in(NO_TAG, [0; 8]));
            peer.flood(&peer.bytes(&quiet))
        });
        rig.await.goes_on().await;
    });
}

#[test]
fn h_71_a_flood_of_nop_ins_with_data() {
    offence("H-71", async {
        let rig = endures(|peer, _| {
            let quiet = peer.number(Pdu::nop_in(NO_TAG, [0; 8]).with_data(&[0x55; 65_536]));
            peer.flood(&peer.bytes(&quiet))
        });
        rig.await.goes_on().await;
    });
}

/// It wants an answer to each, and never reads one: the answers that wait are few, and the clock goes on.
#[test]
fn h_72_pings_whose_answers_nobody_reads() {
    offence("H-72", async {
        for data in [0, 60_000] {
            let rig = Rig::single(impatient, &[], move |peer| {
                peer.command()?;
                let ping = peer.number(Pdu::nop_in(7, [0; 8]).with_data(&vec![0x55; data]));
                peer.flood_for_ever(&peer.bytes(&ping));
                None
            });
            let mut rig = rig.await;
            assert_given_up(rig.read(2048).await);
            rig.was_lost("does not end a timed-out command").await;
            rig.goes_on().await;
        }
    });
}

/// Each ping finds its answer, without the data that came with it.
#[test]
fn h_73_pings_one_after_the_other() {
    offence("H-73", async {
        let rig = endures(|peer, _| {
            for n in 0..2000 {
                peer.say(Pdu::nop_in(n, [0; 8]).with_data(&[0x55; 32_768]))
                    .ok()?;
                let pong = peer.take()?;
                assert_eq!((pong.ttt(), pong.data.len()), (n, 0), "{pong:?}");
            }
            Some(())
        });
        rig.await.goes_on().await;
    });
}

/// It answers the command although it has not read its data, never does, and goes on talking.
#[test]
fn h_74_a_target_that_stops_reading_and_goes_on_talking() {
    offence("H-74", async {
        // More than the sockets hold.
        const WRITE: u32 = 8 << 20;
        let change = |options: &mut SessionOptions| {
            impatient(options);
            options.login.max_burst = WRITE;
        };
        let rig = Rig::with(change, &[], |target| {
            let mut peer = target.accept()?;
            peer.take_little();
            peer.log_in()?;
            let request = peer.command()?;
            peer.say(Pdu::r2t(&request, 7, 0, 0, WRITE)).ok()?;
            // It is on its way.
            peer.await_request(DATA_OUT)?;
            peer.say(Pdu::scsi_response(&request, 0)).ok()?;
            let quiet = peer.number(Pdu::nop_in(NO_TAG, [0; 8]));
            peer.drip_pdus(&quiet);
            None
        });
        let mut rig = rig.await;
        // The answer counts.
        rig.write(WRITE).await.unwrap();
        rig.was_lost("does not end a timed-out command").await;
        rig.goes_on().await;
    });
}

/// It takes the command and nothing of its data, and says nothing.
#[test]
fn h_75_a_target_that_never_reads() {
    offence("H-75", async {
        let unsolicited = &[
            ("InitialR2T", "No"),
            ("ImmediateData", "Yes"),
            ("FirstBurstLength", "262144"),
            ("MaxBurstLength", "1048576"),
            ("MaxRecvDataSegmentLength", "262144"),
        ];
        let (leave, left) = std::sync::mpsc::channel::<()>();
        let rig = Rig::with(impatient, unsolicited, move |target| {
            let mut deaf = target.accept()?;
            deaf.take_little();
            deaf.log_in()?;
            std::thread::spawn(move || {
                // Until all is over.
                let _ = left.recv();
                drop(deaf);
            });
            Some(())
        });
        let mut rig = rig.await;
        // More than the sockets hold. What has not left yet goes out in the next session.
        let writes = (0..32).map(|_| rig.write(262_144));
        let ended = join_all(writes.collect()).await;
        let given_up = ended
            .into_iter()
            .filter(Result::is_err)
            .map(assert_given_up);
        assert!(given_up.count() > 0);
        rig.was_lost("does not end a timed-out command").await;
        drop(leave);
        rig.goes_on().await;
    });
}

/// Carries futures out together.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    std::future::poll_fn(|context| {
        let mut all = true;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => all = false,
                }
            }
        }
        if all {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    futures
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}

#[test]
fn h_76_a_flood_of_events() {
    offence("H-76", async {
        let rig = endures(|peer, _| {
            peer.flood_of(|_| Pdu::async_message(255, [1, 2, 3]).with_data(&PADDING))
        });
        rig.await.goes_on().await;
        let rig = endures(|peer, _| {
            let sense = Pdu::async_sense([0; 8], [6, 0x29, 0]).data;
            let sense = [&sense[..], &PADDING].concat();
            let sense = Pdu::async_message(0, [0; 3]).with_data(&sense);
            peer.flood_of(|n| sense.clone().put_lun([0, n as u8, 0, 0, 0, 0, 0, 0]))
        });
        let mut rig = rig.await;
        assert!(matches!(rig.event().await, SessionEvent::AsyncSense { .. }));
        rig.goes_on().await;
    });
}

#[test]
fn h_77_a_flood_of_rejects() {
    offence("H-77", async {
        let rig = endures(|peer, _| {
            let victim = Pdu::new(SCSI_COMMAND, 0x1234_5678).put_word(24, 99);
            let victim = [&victim.header[..], &PADDING].concat();
            peer.flood_of(|n| {
                let reason = [2, 4, 5, 9][n as usize % 4];
                Pdu::new(REJECT, NO_TAG)
                    .put_byte(2, reason)
                    .with_data(&victim)
            })
        });
        rig.await.goes_on().await;
    });
}

#[test]
fn h_78_a_reject_of_nothing() {
    offence("H-78", async {
        for data in [0, 47] {
            let rig = Rig::patient(move |peer| {
                let request = peer.command()?;
                peer.say(Pdu::reject(&request, 4).with_data(&vec![1; data]))
                    .ok()?;
                peer.sit();
                None
            });
            let rig = rig.await;
            let ended = rig.ask().await;
            rig.breaks(ended, "Reject without the rejected header")
                .await;
        }
    });
}

/// It asks for negotiation again and again, and never answers.
#[test]
fn h_79_a_flood_of_requests_for_text() {
    offence("H-79", async {
        let rig = endures(|peer, _| {
            peer.flood_of(|_| Pdu::async_message(4, [0, 0, 3]).with_data(&PADDING))
        });
        rig.await.goes_on().await;
    });
}

#[test]
fn h_80_text_without_end_in_full_feature() {
    offence("H-80", async {
        for (text, words) in [
            (&b""[..], "a text sequence without an end"),
            (&[b'X'; 60_000], "malformed text in the full feature phase"),
            (
                b"MaxRecvDataSegmentLength=1\0",
                "malformed text in the full feature phase",
            ),
        ] {
            let rig = Rig::patient(move |peer| {
                peer.command()?;
                peer.say(Pdu::async_message(4, [0, 0, 3])).ok()?;
                while let Some(request) = peer.await_request(TEXT_REQUEST) {
                    peer.say(Pdu::unfinished_text(&request, 7, text)).ok()?;
                }
                None
            });
            let rig = rig.await;
            let ended = rig.ask().await;
            rig.breaks(ended, words).await;
        }
    });
}

/// It asks for a logout again and again, and never answers it.
#[test]
fn h_81_pings_in_place_of_a_logout_response() {
    offence("H-81", async {
        let short = |options: &mut SessionOptions| options.timeouts.management = SHORT;
        let rig = Rig::single(short, &[], |peer| {
            peer.await_request(LOGOUT_REQUEST)?;
            let quiet = peer.number(Pdu::nop_in(NO_TAG, [0; 8]));
            peer.flood_for_ever(&peer.bytes(&quiet));
            None
        });
        let mut rig = rig.await;
        in_time(rig.session.logout()).await;
        while !matches!(rig.event().await, SessionEvent::Closed) {}
        let error = rig.ask().await.unwrap_err();
        assert!(matches!(error, SessionError::Closed(_)), "{error}");
    });
}

#[test]
fn h_82_a_function_that_is_never_answered() {
    offence("H-82", async {
        let short = |options: &mut SessionOptions| options.timeouts.management = SHORT;
        let rig = Rig::single(short, &[], |peer| {
            peer.await_request(TASK_MANAGEMENT_REQUEST)?;
            peer.flood_of(|n| Pdu::nop_in(NO_TAG, [0, n as u8, 0, 0, 0, 0, 0, 0]))?;
            peer.sit();
            None
        });
        let mut rig = rig.await;
        let (function, lun) = (TmfFunction::LogicalUnitReset, LunNumber::ZERO);
        let reset = rig.session.manage(ManagementRequest { function, lun });
        let error = in_time(reset).await.unwrap_err();
        assert!(matches!(error, SessionError::TimedOut(_)), "{error}");
        rig.was_lost("does not end a timed-out command").await;
        rig.goes_on().await;
    });
}

#[test]
fn h_83_a_flood_of_requests_for_logout() {
    offence("H-83", async {
        let rig = Rig::single(
            |options| options.timeouts.management = Duration::from_secs(1),
            &[],
            |peer| {
                peer.command()?;
                peer.flood_of(|_| Pdu::async_message(1, [0, 0, 3]).with_data(&PADDING))?;
                peer.sit();
                None
            },
        );
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, "no answer to a logout or a text request for 1 s")
            .await;
    });
}
