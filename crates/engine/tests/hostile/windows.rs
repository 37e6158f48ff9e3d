//! Numbers of a session that leap, stand still or go back.

use std::time::Duration;

use hawser_engine::{Hold, SessionError, SessionOptions};

use super::measure::offence;
use super::peer::{NO_TAG, NOP_OUT, Pdu, SCSI_COMMAND};
use super::rig::{Rig, SHORT, impatient};

/// No command may ever be sent, in this session and the next ones.
#[test]
fn h_84_a_window_that_never_opens() {
    offence("H-84", async {
        let change = |options: &mut SessionOptions| {
            impatient(options);
            options.hold = Hold::For(Duration::from_secs(1));
        };
        let rig = Rig::with(change, &[], |target| {
            target.close_window();
            while let Some(mut peer) = target.log_in() {
                peer.sit();
            }
            None
        });
        let mut rig = rig.await;
        let error = rig.ask().await.unwrap_err();
        assert!(matches!(error, SessionError::Disconnected(_)), "{error}");
        rig.was_lost("the target's command window stays closed")
            .await;
        rig.log_out().await;
    });
}

/// It was open once.
#[test]
fn h_85_a_window_that_never_opens_again() {
    offence("H-85", async {
        let rig = Rig::single(impatient, &[], |peer| {
            peer.set_window(0);
            let request = peer.command()?;
            peer.say(Pdu::scsi_response(&request, 0)).ok()?;
            for _ in 0..31 {
                let request = peer.command()?;
                peer.say(Pdu::scsi_response(&request, 0)).ok()?;
            }
            peer.sit();
            None
        });
        let mut rig = rig.await;
        for _ in 0..33 {
            // The last one never left before the session was made again.
            rig.ask().await.unwrap();
        }
        rig.was_lost("the target's command window stays closed")
            .await;
        rig.goes_on().await;
    });
}

/// However far MaxCmdSN leaps, no more is sent than the session may have under way.
#[test]
fn h_86_a_window_that_leaps() {
    offence("H-86", async {
        for leap in [1 << 20, 0x7fff_fffe, 0x8000_0000, u32::MAX] {
            let rig = Rig::patient(move |peer| {
                for _ in 0..20 {
                    let request = peer.command()?;
                    let (expected, _) = peer.window();
                    let response = peer.number(Pdu::scsi_response(&request, 0));
                    let response = response.put_word(32, expected.wrapping_add(leap));
                    peer.send_numbered(&response).ok()?;
                }
                peer.serve()
            });
            let rig = rig.await;
            for _ in 0..20 {
                rig.ask().await.unwrap();
            }
            rig.goes_on().await;
        }
    });
}

/// Neither number is taken back.
#[test]
fn h_87_a_window_that_goes_back() {
    offence("H-87", async {
        let rig = Rig::patient(|peer| {
            for back in 1..=20 {
                let request = peer.command()?;
                let (expected, max) = peer.window();
                let response = peer
                    .number(Pdu::scsi_response(&request, 0))
                    .put_word(28, expected.wrapping_sub(back * 1000))
                    .put_word(32, max.wrapping_sub(back * 1000));
                peer.send_numbered(&response).ok()?;
            }
            peer.serve()
        });
        let rig = rig.await;
        for _ in 0..20 {
            rig.ask().await.unwrap();
        }
        rig.goes_on().await;
    });
}

#[test]
fn h_88_a_status_number_that_leaps() {
    offence("H-88", async {
        for leap in [1, 1000, 0x7fff_ffff, u32::MAX] {
            let rig = Rig::single(
                |_| {},
                &[],
                move |peer| {
                    let request = peer.command()?;
                    peer.skip_statuses(leap);
                    peer.say(Pdu::scsi_response(&request, 0)).ok()?;
                    peer.sit();
                    None
                },
            );
            let rig = rig.await;
            let ended = rig.ask().await;
            rig.breaks(ended, "the target broke the protocol: StatSN")
                .await;
        }
    });
}

/// Each command is rejected, and its number with it.
#[test]
fn h_89_rejects_of_all_commands() {
    const REJECTED: u32 = 500;
    offence("H-89", async {
        let rig = Rig::patient(|peer| {
            let mut rejected = 0;
            while rejected < REJECTED {
                let request = peer.take()?;
                match request.opcode() {
                    SCSI_COMMAND => {
                        rejected += 1;
                        peer.say(Pdu::reject(&request, 4)).ok()?;
                    }
                    NOP_OUT if request.itt() != NO_TAG => peer.say(Pdu::pong(&request)).ok()?,
                    _ => {}
                }
            }
            peer.serve()
        });
        let rig = rig.await;
        for _ in 0..REJECTED {
            let error = rig.ask().await.unwrap_err();
            assert!(matches!(error, SessionError::Refused { .. }), "{error}");
            assert!(error.to_string().contains("Reject, reason 0x04"), "{error}");
        }
        rig.goes_on().await;
    });
}

/// A command that is rejected leaves its number open, and so is what fills it in: no command leaves again.
#[test]
fn h_90_a_number_that_cannot_be_filled_in() {
    offence("H-90", async {
        let rig = Rig::single(impatient, &[], |peer| {
            let request = peer.command()?;
            let first = request.cmd_sn();
            let reject = |pdu: &Pdu| Pdu::reject(pdu, 4);
            let mut victim = request;
            loop {
                let pdu = peer
                    .number(reject(&victim))
                    .put_word(28, first)
                    .put_word(32, first);
                peer.send_numbered(&pdu).ok()?;
                victim = peer.take()?;
            }
        });
        let mut rig = rig.await;
        let error = rig.ask().await.unwrap_err();
        assert!(matches!(error, SessionError::Refused { .. }), "{error}");
        rig.was_lost("the target's command window stays closed")
            .await;
        rig.goes_on().await;
    });
}

/// And hangs up after each login, before it is found to be closed.
#[test]
fn h_91_an_end_before_any_command_may_leave() {
    offence("H-91", async {
        let change = |options: &mut SessionOptions| {
            options.hold = Hold::For(Duration::from_secs(1));
        };
        let rig = Rig::open(change, &[], |target| {
            target.close_window();
            loop {
                let mut peer = target.log_in()?;
                // The session is up for a moment.
                peer.say(Pdu::nop_in(7, [0; 8])).ok()?;
                peer.await_request(NOP_OUT);
            }
        });
        let error = rig.ask().await.unwrap_err();
        assert!(matches!(error, SessionError::Disconnected(_)), "{error}");
        rig.log_out().await;
    });
}

/// A pause that nobody would wait for is announced: what waits ends with the hold time.
#[test]
fn h_92_a_drop_until_tomorrow() {
    offence("H-92", async {
        let rig = Rig::single(
            |options| options.hold = Hold::For(SHORT),
            &[],
            |peer| {
                peer.command()?;
                peer.say(Pdu::async_message(3, [0, u16::MAX, u16::MAX]))
                    .ok()?;
                peer.sit();
                None
            },
        );
        let mut rig = rig.await;
        let error = rig.ask().await.unwrap_err();
        assert!(matches!(error, SessionError::Interrupted(_)), "{error}");
        rig.was_lost("(asynchronous event 3)").await;
        let error = rig.ask().await.unwrap_err();
        assert!(matches!(error, SessionError::Disconnected(_)), "{error}");
        rig.log_out().await;
    });
}

/// It says that it will be back at once and never is: what waits ends with the hold time.
#[test]
fn h_93_a_port_that_goes_deaf() {
    offence("H-93", async {
        let rig = Rig::with(
            |options| {
                options.hold = Hold::For(Duration::from_secs(1));
                options.timeouts.login = SHORT;
            },
            &[],
            |target| {
                let mut peer = target.log_in()?;
                peer.command()?;
                drop(peer);
                // Connections are made by the system, and nobody answers.
                let mut deaf = Vec::new();
                while let Some(peer) = target.accept() {
                    deaf.push(peer);
                }
                None
            },
        );
        let mut rig = rig.await;
        let error = rig.ask().await.unwrap_err();
        assert!(matches!(error, SessionError::Interrupted(_)), "{error}");
        rig.was_lost("the connection ended").await;
        let error = rig.ask().await.unwrap_err();
        assert!(matches!(error, SessionError::Disconnected(_)), "{error}");
        rig.log_out().await;
    });
}
