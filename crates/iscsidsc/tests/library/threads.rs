//! Many threads on one library, while the daemon comes and goes.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use iscsidsc::api::{Library, Login, LoginOptions, StaticTarget, Status};

use super::support::{Daemon, TARGET, Target, discover, log_in, login_to, portal_of};

const THREADS: usize = 32;
const CALLS_AT_LEAST: u64 = 1000;

#[test]
fn threads_share_one_library() {
    let target = Target::start();
    let daemon = Daemon::start("none");
    let library = daemon.library();
    discover(&library, &target.portal());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let library = &library;
            scope.spawn(move || {
                for turn in 0..20 {
                    assert_eq!(library.targets(false), Ok(vec![TARGET.to_owned()]));
                    if (thread + turn) % 8 == 0 {
                        log_in_and_out(library);
                    }
                }
            });
        }
    });
    assert_eq!(library.sessions(), Ok(Vec::new()));
}

fn log_in_and_out(library: &Library) {
    let more = Login {
        login_options: Some(LoginOptions {
            login_flags: 0x2,
            ..LoginOptions::default()
        }),
        ..login_to(TARGET)
    };
    let done = library.login(more).expect("logs in").value;
    let listed = library.sessions().expect("listed");
    assert!(listed.iter().any(|session| session.id == done.session_id));
    library.logout(done.session_id).expect("logs out");
}

#[test]
fn threads_outlive_daemons() {
    let mut daemon = Daemon::start("none");
    let library = daemon.library();
    let (over, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    one_of_each(&library);
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Also when a daemon does not come back: the threads would go on for ever.
        let _end = SetAtEnd(&over);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            daemon.kill();
            daemon.start_again();
        }
    });
    assert!(calls.into_inner() > CALLS_AT_LEAST);
    assert!(library.node_name().is_ok());
}

/// Sets a flag when it is dropped.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Each call either works or says that there is no daemon.
fn one_of_each(library: &Library) {
    let gone = Status::SERVICE_NOT_RUNNING;
    let may_fail = |result: Result<(), Status>| {
        if let Err(status) = result {
            assert_eq!(status, gone);
        }
    };
    may_fail(library.node_name().map(drop));
    may_fail(library.sessions().map(drop));
    may_fail(library.persistent_devices().map(drop));
    may_fail(library.add_radius_server("192.0.2.1"));
    may_fail(library.clear_persistent_devices());
    let removed = library.remove_persistent_device("/no/such/thing");
    let status = removed.expect_err("is not bound");
    assert!(
        [gone, Status::DEVICE_NOT_FOUND].contains(&status),
        "{status}"
    );
}

/// Logins to portals that swallow everything: more than the daemon carries out at once for one connection.
const HANGING: usize = 100;
/// How many it carries out (`CALLS_PER_CONNECTION` of the daemon).
const AT_ONCE: usize = 64;
/// Longest time of a call beside them: a login that hangs is given up after three times as long.
const PROMPT: Duration = Duration::from_secs(5);

#[test]
fn logins_that_hang_hold_up_nobody_else() {
    let target = Target::start();
    let hole = TcpListener::bind("127.0.0.1:0").expect("bound");
    let portal = portal_of(hole.local_addr().expect("has one"));
    let mut daemon = Daemon::start("none");
    let library = daemon.library();
    discover(&library, &target.portal());
    let session = log_in(&library, TARGET);
    let name = |number: usize| format!("iqn.2026-11.test.iscsidsc:hole-{number}");
    for number in 0..HANGING {
        let target = StaticTarget {
            name: name(number),
            ..StaticTarget::default()
        };
        library.add_static_target(target).expect("added");
    }
    std::thread::scope(|scope| {
        for number in 0..HANGING {
            let (library, portal) = (&library, portal.clone());
            scope.spawn(move || {
                let login = Login {
                    portal: Some(portal),
                    ..login_to(&name(number))
                };
                let refused = library.login(login).expect_err("nobody answers");
                assert_eq!(refused, Status::SERVICE_NOT_RUNNING);
            });
        }
        // Taken and left unanswered: as many as the daemon carries out at once hang now, the others wait their turn.
        let hanging: Vec<_> = hole.incoming().take(AT_ONCE).collect();
        let begun = Instant::now();
        assert!(library.node_name().is_ok());
        assert_eq!(library.sessions().map(|all| all.len()), Ok(1));
        assert_eq!(library.targets(false).map(|all| all.len()), Ok(HANGING + 1));
        assert_eq!(library.add_radius_server("192.0.2.1"), Ok(()));
        assert!(library.scsi_report_luns(session).is_ok());
        assert_eq!(library.logout(session), Ok(()));
        let took = begun.elapsed();
        // Ends the logins before anything is said of the time, or they would go on while the test fails.
        daemon.kill();
        assert!(took < PROMPT, "{took:?}");
        drop(hanging);
    });
}
