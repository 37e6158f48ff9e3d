//! Error recovery level 2: targets that agree to keep the tasks of a lost connection, and do not.

use std::thread;
use std::time::{Duration, Instant};

use hawser_engine::{SessionError, SessionEvent, SessionOptions};

use super::connections::{command_on, serve_both, two};
use super::measure::offence;
use super::peer::{
    ABORT_TASK, Answers, LOGIN_REQUEST, LOGOUT_REQUEST, NO_TAG, Pdu, Peer, TASK_MANAGEMENT_REQUEST,
    TASK_REASSIGN, Target,
};
use super::rig::{Rig, SHORT, assert_given_up, impatient, in_time, recovering};

const TWO: Answers = &[
    ("ErrorRecoveryLevel", "2"),
    ("DefaultTime2Retain", "20"),
    ("MaxConnections", "2"),
];

/// The target keeps tasks for a second.
const ONE: Answers = &[("ErrorRecoveryLevel", "2"), ("DefaultTime2Retain", "1")];

const NOT_CLEANED_UP: &str = "the target does not clean up a lost connection";

/// Of two connections that is lost on which a command was acknowledged; the script goes on with the other
/// one.
async fn loses_one(
    change: impl FnOnce(&mut SessionOptions),
    script: impl FnOnce(&mut Peer, &Pdu) -> Option<()> + Send + 'static,
) -> Rig {
    two(change, TWO, |_, peers| {
        let (on, request, mut off) = command_on(peers)?;
        off.say(Pdu::nop_in(NO_TAG, [0; 8])).ok()?;
        drop(on);
        script(&mut off, &request)
    })
    .await
}

/// The lost connection is cleaned up as it should be; gives the TASK REASSIGN that follows.
fn to_reassign(peer: &mut Peer) -> Option<Pdu> {
    let logout = peer.await_request(LOGOUT_REQUEST)?;
    assert_eq!(logout.code(), 2, "remove the connection for recovery");
    peer.say(Pdu::logout_response(&logout, 0, 0, 20)).ok()?;
    let reassign = peer.await_request(TASK_MANAGEMENT_REQUEST)?;
    assert_eq!(reassign.code(), TASK_REASSIGN);
    Some(reassign)
}

#[test]
fn h_122_a_recovery_logout_refused_for_ever() {
    offence("H-122", async {
        let (told, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let rig = loses_one(
            |_| {},
            move |peer, _| {
                while let Some(logout) = peer.await_request(LOGOUT_REQUEST) {
                    told.send(logout.code()).ok()?;
                    peer.say(Pdu::logout_response(&logout, 3, 0, 0)).ok()?;
                }
                None
            },
        );
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, NOT_CLEANED_UP).await;
        let mut times = 0;
        while asked.recv().await.is_some() {
            times += 1;
        }
        assert_eq!(times, 4);
    });
}

#[test]
fn h_123_a_recovery_logout_never_answered() {
    offence("H-123", async {
        let short = |options: &mut SessionOptions| options.timeouts.management = SHORT;
        let rig = loses_one(short, |peer, _| {
            peer.sit();
            None
        });
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, "no answer to a logout or a text request for 0.3 s")
            .await;
    });
}

#[test]
fn h_124_a_recovery_logout_answered_with_nonsense() {
    offence("H-124", async {
        let rig = loses_one(
            |_| {},
            |peer, _| {
                while let Some(logout) = peer.await_request(LOGOUT_REQUEST) {
                    let nonsense = Pdu::logout_response(&logout, 0x77, u16::MAX, u16::MAX);
                    peer.say(nonsense).ok()?;
                }
                None
            },
        );
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, "unassigned logout response 119").await;
    });
}

/// The task is suspended, and nobody has asked to go on with it.
#[test]
fn h_125_answers_before_the_reassignment() {
    offence("H-125", async {
        let rig = loses_one(
            |_| {},
            |peer, request| {
                let logout = peer.await_request(LOGOUT_REQUEST)?;
                let done = Pdu::logout_response(&logout, 0, 0, 20);
                peer.say_all([done, Pdu::scsi_response(request, 0)]).ok()?;
                peer.sit();
                None
            },
        );
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, "a PDU of the wrong kind for task").await;
    });
}

/// The functions behind it get the same answer: nothing ends the task but a new session.
#[test]
fn h_126_a_reassignment_answered_with_nonsense() {
    offence("H-126", async {
        for (response, words) in [
            (0x77, "unassigned task management response 119"),
            (6, "does not end a timed-out command"),
        ] {
            let rig = loses_one(
                |_| {},
                move |peer, _| {
                    let mut request = to_reassign(peer)?;
                    loop {
                        peer.say(Pdu::task_management_response(&request, response))
                            .ok()?;
                        request = peer.await_request(TASK_MANAGEMENT_REQUEST)?;
                    }
                },
            );
            let rig = rig.await;
            let ended = rig.ask().await;
            rig.breaks(ended, words).await;
        }
    });
}

#[test]
fn h_127_a_task_that_is_always_allegiant_elsewhere() {
    offence("H-127", async {
        let (told, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let rig = loses_one(
            |_| {},
            move |peer, _| {
                let mut request = to_reassign(peer)?;
                while request.code() == TASK_REASSIGN {
                    told.send(()).ok()?;
                    peer.say(Pdu::task_management_response(&request, 3)).ok()?;
                    request = peer.await_request(TASK_MANAGEMENT_REQUEST)?;
                }
                drop(told);
                assert_eq!(request.code(), ABORT_TASK);
                peer.say(Pdu::task_management_response(&request, 0)).ok()?;
                peer.serve()
            },
        );
        let rig = rig.await;
        let error = rig.ask().await.unwrap_err();
        let is_named = matches!(
            error,
            SessionError::Interrupted(_) | SessionError::Aborted(_)
        );
        assert!(is_named, "{error}");
        let mut times = 0;
        while asked.recv().await.is_some() {
            times += 1;
        }
        assert_eq!(times, 3);
        rig.goes_on().await;
    });
}

#[test]
fn h_128_a_reassignment_never_answered() {
    offence("H-128", async {
        let rig = loses_one(impatient, |peer, _| {
            to_reassign(peer)?;
            peer.sit();
            None
        });
        let mut rig = rig.await;
        assert_given_up(rig.ask().await);
        rig.was_lost("does not end a timed-out command").await;
        rig.goes_on().await;
    });
}

/// The target agrees, and never goes on with the task.
#[test]
fn h_129_a_reassignment_without_effect() {
    offence("H-129", async {
        let rig = loses_one(impatient, |peer, _| {
            let request = to_reassign(peer)?;
            peer.say(Pdu::task_management_response(&request, 0)).ok()?;
            peer.sit();
            None
        });
        let mut rig = rig.await;
        assert_given_up(rig.ask().await);
        rig.was_lost("does not end a timed-out command").await;
        rig.goes_on().await;
    });
}

/// It goes on from where it never was.
#[test]
fn h_130_a_reassigned_task_that_goes_on_wrongly() {
    offence("H-130", async {
        let rig = loses_one(
            |_| {},
            |peer, request| {
                let reassign = to_reassign(peer)?;
                peer.say(Pdu::task_management_response(&reassign, 0)).ok()?;
                peer.say(Pdu::data_in(request, 0, 4096, &[1; 512])).ok()?;
                peer.sit();
                None
            },
        );
        let rig = rig.await;
        let ended = rig.read(2048).await;
        rig.breaks(ended, "at 4096 is outside the expected 2048")
            .await;
    });
}

/// Serves whoever begins a session, and treats whoever wants to go on in the one that was by `refuse`.
fn refuse_to_resume(target: &Target, refuse: impl Fn(&mut Peer, Pdu) -> Option<()>) -> Option<()> {
    loop {
        let mut peer = target.accept()?;
        let Some(request) = peer.await_request(LOGIN_REQUEST) else {
            continue;
        };
        if request.tsih() == 0 {
            peer.finish_login(request)?;
            return peer.serve();
        }
        refuse(&mut peer, request);
    }
}

/// The only connection of a session is lost with a command that was acknowledged.
async fn loses_all(refuse: impl Fn(&mut Peer, Pdu) -> Option<()> + Send + 'static) -> Rig {
    Rig::with(recovering, ONE, |target| {
        let mut peer = target.log_in()?;
        peer.command()?;
        peer.say(Pdu::nop_in(NO_TAG, [0; 8])).ok()?;
        drop(peer);
        refuse_to_resume(target, refuse)
    })
    .await
}

#[test]
fn h_131_a_session_that_is_never_resumed() {
    offence("H-131", async {
        let rig = loses_all(|_, _| Some(())).await;
        let ended = rig.ask().await;
        rig.breaks(ended, NOT_CLEANED_UP).await;
    });
}

#[test]
fn h_132_a_session_resumed_as_another() {
    offence("H-132", async {
        let rig = loses_all(|peer, request| {
            let response = Peer::agreement(&request, b"AuthMethod=None\0");
            peer.say(response.put_half(14, 0x7777)).ok()?;
            peer.sit();
            None
        });
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, NOT_CLEANED_UP).await;
    });
}

#[test]
fn h_133_a_session_that_the_target_has_forgotten() {
    offence("H-133", async {
        let rig = loses_all(|peer, request| {
            let response = Pdu::login_response(&request).with_login_status(2, 10);
            peer.say(response).ok()
        });
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks(ended, NOT_CLEANED_UP).await;
    });
}

/// Each time it is asked to go on with the task it hangs up.
#[test]
fn h_134_a_session_resumed_in_vain() {
    offence("H-134", async {
        let rig = loses_all(|peer, request| {
            peer.finish_login(request)?;
            peer.await_request(TASK_MANAGEMENT_REQUEST)?;
            Some(())
        });
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks_trust(ended, "the connection ended").await;
    });
}

/// The same with another connection that stays: each is hung up on in turn that is to take the task over.
#[test]
fn h_135_a_task_that_no_connection_may_take() {
    offence("H-135", async {
        let rig = two(
            |_| {},
            TWO,
            |target, peers| {
                let (on, _, mut off) = command_on(peers)?;
                off.say(Pdu::nop_in(NO_TAG, [0; 8])).ok()?;
                drop(on);
                loop {
                    let logout = off.await_request(LOGOUT_REQUEST)?;
                    off.say(Pdu::logout_response(&logout, 0, 0, 20)).ok()?;
                    // The one in place of the lost one is there before this one goes.
                    let (mut next, request) = target.accept_request()?;
                    next.finish_login(request.clone())?;
                    if request.tsih() == 0 {
                        return next.serve();
                    }
                    off.await_request(TASK_MANAGEMENT_REQUEST)?;
                    off = next;
                }
            },
        );
        let rig = rig.await;
        let ended = rig.ask().await;
        rig.breaks_trust(ended, "the connection ended").await;
    });
}

/// Each time it agrees to go on with the task, and hangs up: its time begins anew, but not for ever.
#[test]
fn h_136_a_task_taken_over_and_dropped_for_ever() {
    offence("H-136", async {
        let (told, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let rig = loses_all(move |peer, request| {
            peer.finish_login(request)?;
            let function = peer.await_request(TASK_MANAGEMENT_REQUEST)?;
            told.send(function.code()).ok()?;
            peer.answer(&function).ok()?;
            if function.code() == ABORT_TASK {
                return peer.serve();
            }
            Some(())
        });
        let rig = rig.await;
        let error = rig.ask().await.unwrap_err();
        assert!(matches!(error, SessionError::Interrupted(_)), "{error}");
        rig.goes_on().await;
        for _ in 0..8 {
            assert_eq!(asked.recv().await, Some(TASK_REASSIGN));
        }
        assert_eq!(asked.recv().await, Some(ABORT_TASK));
    });
}

/// The second connection is dropped right after each login: it is made again with a pause.
#[test]
fn h_137_joins_dropped_for_ever() {
    offence("H-137", async {
        let (told, mut dropped) = tokio::sync::mpsc::unbounded_channel();
        let rig = two(
            |_| {},
            TWO,
            move |target, [mut first, second]| {
                thread::spawn(move || first.serve());
                drop(second);
                loop {
                    drop(target.log_in());
                    told.send(Instant::now()).ok()?;
                }
            },
        );
        let mut rig = rig.await;
        let first = in_time(dropped.recv()).await.unwrap();
        let mut last = first;
        for _ in 0..6 {
            last = in_time(dropped.recv()).await.unwrap();
            rig.ask().await.unwrap();
        }
        assert!(
            last - first > Duration::from_millis(600),
            "{:?}",
            last - first
        );
        let (cid, why) = rig.lost_one().await;
        assert!(
            cid == 1 && why.contains("the connection ended"),
            "{cid} {why}"
        );
        rig.log_out().await;
    });
}

/// The other connection is dropped by name, again and again, also when it is gone.
#[test]
fn h_138_a_flood_of_drops_of_the_other_connection() {
    offence("H-138", async {
        let rig = two(
            |_| {},
            TWO,
            |target, [mut first, second]| {
                let drops = (0..100).map(|_| Pdu::async_message(2, [1, 0, 20]));
                first.say_all(drops).ok()?;
                drop(second);
                let logout = first.await_request(LOGOUT_REQUEST)?;
                first.say(Pdu::logout_response(&logout, 0, 0, 20)).ok()?;
                let second = target.log_in()?;
                serve_both([first, second])
            },
        );
        let mut rig = rig.await;
        let (cid, why) = rig.lost_one().await;
        assert!(
            cid == 1 && why.contains("(asynchronous event 2)"),
            "{cid} {why}"
        );
        loop {
            match rig.event().await {
                SessionEvent::ConnectionUp(view) => {
                    assert_eq!(view.cid, 1);
                    break;
                }
                SessionEvent::Lost(why) => panic!("all of it was lost: {why}"),
                _ => {}
            }
        }
        rig.goes_on().await;
    });
}
