//! Sessions of several connections whose target confuses them, or does not want them.

use std::thread;
use std::time::{Duration, Instant};

use hawser_engine::{SessionEvent, SessionOptions};

use super::measure::offence;
use super::peer::{Answers, LIMIT, Make, Pdu, Peer, Target};
use super::rig::{Rig, SHORT, in_time, recovering, with_two};

pub(super) const TWO: Answers = &[("MaxConnections", "2")];

/// A session of two connections, at the level that is in `answers`.
pub(super) async fn two(
    change: impl FnOnce(&mut SessionOptions),
    answers: Answers,
    script: impl FnOnce(&Target, [Peer; 2]) -> Option<()> + Send + 'static,
) -> Rig {
    let change = |options: &mut SessionOptions| {
        recovering(options);
        with_two(options);
        change(options);
    };
    let rig = Rig::with(change, answers, |target| {
        let peers = [target.log_in()?, target.log_in()?];
        script(target, peers)
    });
    let mut rig = rig.await;
    rig.joined().await;
    rig
}

/// The next command, whichever connection it comes on: that one, the command, and the other one.
pub(super) fn command_on([one, other]: [Peer; 2]) -> Option<(Peer, Pdu, Peer)> {
    let (mut one, mut other) = (one, other);
    let set = |peer: &Peer, limit| peer.stream.set_read_timeout(Some(limit)).ok();
    loop {
        for swapped in [false, true] {
            let peer = if swapped { &mut other } else { &mut one };
            set(peer, Duration::from_millis(10))?;
            let came = peer.stream.peek(&mut [0]).is_ok();
            set(peer, LIMIT)?;
            if came {
                let command = peer.command()?;
                let (on, off) = if swapped { (other, one) } else { (one, other) };
                return Some((on, command, off));
            }
        }
    }
}

#[test]
fn h_98_answers_on_the_wrong_connection() {
    offence("H-98", async {
        let pdus: [Make; 3] = [
            |r| Pdu::scsi_response(r, 0),
            |r| Pdu::data_in(r, 0, 0, &[1; 512]).with_status(0),
            |r| Pdu::data_in(r, 0, 0, &[1; 512]),
        ];
        for pdu in pdus {
            let rig = two(
                |_| {},
                TWO,
                move |_, peers| {
                    let (mut on, request, mut off) = command_on(peers)?;
                    off.say(pdu(&request)).ok()?;
                    on.sit();
                    None
                },
            );
            let rig = rig.await;
            let ended = rig.read(512).await;
            rig.breaks(ended, "a PDU of the wrong kind for task").await;
        }
    });
}

#[test]
fn h_99_an_r2t_on_the_wrong_connection() {
    offence("H-99", async {
        let rig = two(
            |_| {},
            TWO,
            |_, peers| {
                let (mut on, request, mut off) = command_on(peers)?;
                off.say(Pdu::r2t(&request, 7, 0, 0, 512)).ok()?;
                on.sit();
                None
            },
        );
        let rig = rig.await;
        let ended = rig.write(512).await;
        rig.breaks(ended, "a PDU of the wrong kind for task").await;
    });
}

#[test]
fn h_100_events_of_connections_that_are_not_there() {
    offence("H-100", async {
        let (told, over) = tokio::sync::oneshot::channel();
        let rig = two(
            |_| {},
            TWO,
            |_, peers| {
                let (mut on, request, mut off) = command_on(peers)?;
                off.flood_of(|n| {
                    let cid = 2 + (n % 60_000) as u16;
                    Pdu::async_message(2, [cid, 9, 9]).with_data(&[0x55; 208])
                })?;
                told.send(()).ok()?;
                on.say(Pdu::scsi_response(&request, 0)).ok()?;
                serve_both([on, off])
            },
        );
        let rig = rig.await;
        rig.ask().await.expect("the command ends well");
        over.await.expect("all of it was taken");
        rig.goes_on().await;
    });
}

/// Both are answered as they should be.
pub(super) fn serve_both([mut one, mut other]: [Peer; 2]) -> Option<()> {
    thread::spawn(move || one.serve());
    other.serve()
}

/// A session that wants two connections, whose target answers all requests for the second by `refuse`,
/// and tells when.
async fn alone(
    change: impl FnOnce(&mut SessionOptions),
    refuse: impl Fn(Peer, &Pdu) -> Option<()> + Send + 'static,
) -> (Rig, tokio::sync::mpsc::UnboundedReceiver<Instant>) {
    let (told, refused) = tokio::sync::mpsc::unbounded_channel();
    let change = |options: &mut SessionOptions| {
        with_two(options);
        change(options);
    };
    let rig = Rig::with(change, TWO, move |target| {
        let mut first = target.log_in()?;
        thread::spawn(move || first.serve());
        while let Some((peer, request)) = target.accept_request() {
            told.send(Instant::now()).ok()?;
            refuse(peer, &request);
        }
        None
    });
    (rig.await, refused)
}

/// The target said that it takes no more: it is believed.
#[test]
fn h_101_joins_refused_for_ever() {
    offence("H-101", async {
        let (mut rig, mut refused) = alone(
            |_| {},
            |mut peer, request| {
                let response = Pdu::login_response(request).with_login_status(2, 6);
                peer.say(response).ok()
            },
        )
        .await;
        loop {
            if let SessionEvent::ConnectionRefused { cid, why, .. } = rig.event().await {
                assert_eq!((cid, why.contains("connections")), (1, true), "{why}");
                break;
            }
        }
        in_time(refused.recv()).await.unwrap();
        rig.ask().await.unwrap();
        assert!(refused.try_recv().is_err(), "it was asked again");
        rig.goes_on().await;
    });
}

/// It says nothing about it: it is asked again, with a pause.
#[test]
fn h_102_joins_hung_up_on_for_ever() {
    offence("H-102", async {
        let (mut rig, mut refused) = alone(|_| {}, |_, _| Some(())).await;
        let first = in_time(refused.recv()).await.unwrap();
        let mut last = first;
        for _ in 0..6 {
            last = in_time(refused.recv()).await.unwrap();
            rig.ask().await.unwrap();
        }
        // 50, 100, and four times 200 ms.
        assert!(
            last - first > Duration::from_millis(900),
            "{:?}",
            last - first
        );
        let failure = rig.login_failed().await;
        assert!(
            failure.to_string().contains("closed the connection"),
            "{failure}"
        );
        rig.goes_on().await;
    });
}

#[test]
fn h_103_joins_that_hang_for_ever() {
    offence("H-103", async {
        let hold = |options: &mut SessionOptions| options.timeouts.login = SHORT;
        let (mut rig, mut refused) = alone(hold, |mut peer, _| {
            peer.sit();
            None
        })
        .await;
        for _ in 0..3 {
            in_time(refused.recv()).await.unwrap();
            rig.ask().await.unwrap();
        }
        let failure = rig.login_failed().await;
        assert!(
            failure.to_string().contains("no answer within"),
            "{failure}"
        );
        rig.goes_on().await;
    });
}

#[test]
fn h_104_joins_into_another_session() {
    offence("H-104", async {
        let (mut rig, _refused) = alone(
            |_| {},
            |mut peer, request| {
                let response = Peer::agreement(request, b"AuthMethod=None\0");
                peer.say(response.put_half(14, 0x7777)).ok()?;
                peer.sit();
                None
            },
        )
        .await;
        let failure = rig.login_failed().await;
        let words = "changed the TSIH from 0x1001 to 0x7777";
        assert!(failure.to_string().contains(words), "{failure}");
        rig.goes_on().await;
    });
}

/// The other connection is dropped by name; at level 0 that costs the session.
#[test]
fn h_105_a_drop_of_the_other_connection() {
    offence("H-105", async {
        let rig = two(
            |_| {},
            TWO,
            |_, peers| {
                let (mut on, _, mut off) = command_on(peers)?;
                // One of them is not its own.
                off.say(Pdu::async_message(2, [0, 0, 0])).ok()?;
                drop(off.say(Pdu::async_message(2, [1, 0, 0])));
                on.sit();
                None
            },
        );
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, "(asynchronous event 2)").await;
    });
}

/// One connection is to be left, and the logout from it is never answered.
#[test]
fn h_106_a_logout_of_one_that_is_never_answered() {
    offence("H-106", async {
        let short = |options: &mut SessionOptions| options.timeouts.management = SHORT;
        let rig = two(short, TWO, |_, peers| {
            let (mut on, request, mut off) = command_on(peers)?;
            off.say(Pdu::async_message(1, [0, 0, 1])).ok()?;
            thread::spawn(move || off.sit());
            on.say(Pdu::scsi_response(&request, 0)).ok()?;
            on.serve()
        });
        let mut rig = rig.await;
        rig.ask().await.unwrap();
        loop {
            match rig.event().await {
                SessionEvent::Lost(why) | SessionEvent::ConnectionLost { why, .. } => {
                    assert!(
                        why.contains("no answer to a logout or a text request for 0.3 s"),
                        "{why}"
                    );
                    break;
                }
                _ => {}
            }
        }
        rig.goes_on().await;
    });
}
