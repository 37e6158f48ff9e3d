//! Which error recovery level is offered to whom.

use hawser_engine::{Session, SessionEvent};
use hawser_testkit::scripted::wire::LOGIN_REQUEST;
use hawser_testkit::scripted::{Peer, Target};

use super::support::{LEVEL_2, answer_logout, in_time, options};

const LIO: (&str, &str) = ("TargetAlias", "LIO Target");

/// Logs the next connection in, and gives the level that it offered and the answers it got.
async fn log_in(target: &Target, answers: &[(&str, &str)]) -> (Peer, u64) {
    let mut peer = target.accept().await;
    peer.log_in(answers).await;
    let offered = peer.agreed().offered.number("ErrorRecoveryLevel");
    (peer, offered)
}

fn lio_at_level_2() -> Vec<(&'static str, &'static str)> {
    [LEVEL_2, &[LIO]].concat()
}

#[tokio::test]
async fn login_20_1_the_highest_level_is_offered_and_less_is_taken() {
    let target = Target::listen().await;
    let session = Session::open(options(&target));
    let (_peer, offered) = log_in(&target, &[("ErrorRecoveryLevel", "1")]).await;
    assert_eq!(offered, 2);
    let view = in_time(session.established()).await.unwrap();
    assert_eq!(view.parameters.error_recovery_level, 1);
}

#[tokio::test]
async fn login_20_1_a_target_that_breaks_on_its_level_is_logged_in_to_once_more_without() {
    let target = Target::listen().await;
    let session = Session::open(options(&target));
    let mut events = session.events();
    let (mut first, offered) = log_in(&target, &lio_at_level_2()).await;
    assert_eq!(offered, 2);
    answer_logout(&mut first).await;
    let (again, offered) = log_in(&target, &[LIO]).await;
    assert_eq!(offered, 0);
    let request = &again.transcript().of(LOGIN_REQUEST)[0];
    assert_eq!(request.tsih(), 0, "a session of its own");
    let view = in_time(session.established()).await.unwrap();
    assert_eq!(view.parameters.error_recovery_level, 0);

    // It is remembered.
    drop(again);
    let (_third, offered) = log_in(&target, &[LIO]).await;
    assert_eq!(offered, 0);
    let is_back = async { while !matches!(events.recv().await, Ok(SessionEvent::Up(_))) {} };
    in_time(is_back).await;
}

#[tokio::test]
async fn login_20_1_a_level_that_was_asked_for_is_offered_to_any_target() {
    let target = Target::listen().await;
    let mut options = options(&target);
    options.login.error_recovery_level = Some(2);
    let session = Session::open(options);
    let (_peer, offered) = log_in(&target, &lio_at_level_2()).await;
    assert_eq!(offered, 2);
    let view = in_time(session.established()).await.unwrap();
    assert_eq!(view.parameters.error_recovery_level, 2);
}

/// LIO also breaks when several connections are lost and the session is made again too soon.
#[tokio::test]
async fn login_20_1_several_connections_with_lio_wait_long_enough() {
    let target = Target::listen().await;
    let mut options = options(&target);
    options.connections = 2;
    options.login.error_recovery_level = Some(0);
    let session = Session::open(options);
    let answers = [LIO, ("MaxConnections", "2"), ("DefaultTime2Wait", "2")];
    let (mut first, _) = log_in(&target, &answers).await;
    answer_logout(&mut first).await;
    let answers = [LIO, ("MaxConnections", "2"), ("DefaultTime2Wait", "4")];
    let (leading, _) = log_in(&target, &answers).await;
    assert_eq!(leading.agreed().offered.number("DefaultTime2Wait"), 4);
    let view = in_time(session.established()).await.unwrap();
    assert_eq!(view.parameters.time2wait, 4);
}
