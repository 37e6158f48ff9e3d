//! The daemon comes and goes.

use std::time::{Duration, Instant};

use iscsidsc::api::{InitiatorPort, Library, Status};

use super::support::{Daemon, TARGET, Target, discover, log_in, portal_of, store, tgtd, until};

#[test]
fn without_a_daemon_the_service_is_not_running() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = Library::at(&directory.path().join("no socket"));
    assert_eq!(library.node_name(), Err(Status::SERVICE_NOT_RUNNING));
    let listener = std::os::unix::net::UnixListener::bind(directory.path().join("old"));
    drop(listener.expect("bound"));
    let library = Library::at(&directory.path().join("old"));
    assert_eq!(library.node_name(), Err(Status::SERVICE_NOT_RUNNING));
    let long = directory.path().join("x".repeat(200));
    let library = Library::at(&long);
    assert_eq!(library.node_name(), Err(Status::SERVICE_NOT_RUNNING));
}

#[test]
fn one_that_does_not_answer_is_given_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("silent");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
    let library = Library::at(&socket);
    let begun = Instant::now();
    let status = library.node_name().expect_err("nobody answers");
    assert!(
        matches!(status, Status::ERROR_TIMEOUT | Status::SERVICE_NOT_RUNNING),
        "{status}"
    );
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_daemon_that_was_killed_and_started_again_is_found_by_the_next_call() {
    let target = Target::start();
    let mut daemon = Daemon::start("none");
    let library = daemon.library();
    discover(&library, &target.portal());
    store(&library, TARGET);
    for _ in 0..3 {
        daemon.kill();
        assert_eq!(library.targets(false), Err(Status::SERVICE_NOT_RUNNING));
        daemon.start_again();
        // Not one call is lost, whether it changes something or only looks.
        assert_eq!(
            library.remove_radius_server("x"),
            Err(Status::ERROR_NOT_FOUND)
        );
        assert_eq!(library.targets(false), Ok(vec![TARGET.to_owned()]));
    }
    until("the persistent login", || {
        match library.sessions()?.first() {
            Some(session) if session.target_name == TARGET => Ok(()),
            _ => Err(Status::NOT_FOUND),
        }
    });
}

#[test]
fn a_restart_between_two_calls_is_not_seen() {
    let mut daemon = Daemon::start("none");
    let library = daemon.library();
    let name = library.node_name();
    // The connection that the library has is to the old daemon, and only the next call tells.
    daemon.stop();
    let other = Library::at(&daemon.socket());
    assert_eq!(other.node_name(), Err(Status::SERVICE_NOT_RUNNING));
    daemon.start_again();
    assert_eq!(library.node_name(), name);
}

/// tgt compares the bytes of names, as others do: it is logged in to under the name as it wrote it, whatever was typed,
/// also when its login is made again and no discovery tells of it any more.
#[test]
fn a_target_with_capitals_in_its_name_is_logged_in_to_as_it_writes_it() {
    const CAPITALS: &str = "iqn.2026-11.test.iscsidsc:NAS.Target-1";
    let tgt = tgtd(CAPITALS);
    let mut daemon = Daemon::start("none");
    let library = daemon.library();
    let portal = portal_of(tgt.portal());
    discover(&library, &portal);
    let reported = library.targets(false).expect("listed");
    assert_eq!(reported, [CAPITALS.to_lowercase()]);
    let session = log_in(&library, &reported[0]);
    assert_eq!(library.logout(session), Ok(()));
    store(&library, &CAPITALS.to_uppercase().replacen("IQN", "iqn", 1));
    let any = InitiatorPort::any();
    assert_eq!(library.remove_send_target_portal(&any, &portal), Ok(()));
    daemon.stop();
    daemon.start_again();
    until("its login", || match library.sessions()?.as_slice() {
        [session] if !session.connections.is_empty() => Ok(()),
        _ => Err(Status::TARGET_NOT_FOUND),
    });
}
