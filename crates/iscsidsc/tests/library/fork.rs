//! Children of `fork()`.

use std::sync::atomic::{AtomicBool, Ordering};

use iscsidsc::api::{Library, Status};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use super::support::{Daemon, LIMIT};

/// Runs `call` in a child; whether it was true there.
///
/// The child neither prints nor panics nor returns: it has only this thread of the test's.
fn in_child(call: impl FnOnce() -> bool) -> bool {
    // SAFETY: The child calls the library, which is what this tests, and then `_exit`. Memory can be allocated
    // there, as glibc sees to its own locks at a fork.
    let forked = unsafe { fork() }.expect("forks");
    match forked {
        ForkResult::Child => {
            // One that hangs would keep the test for ever.
            nix::unistd::alarm::set(u32::try_from(LIMIT.as_secs()).unwrap_or(60));
            let code = i32::from(!call());
            // SAFETY: `_exit` ends the process and touches nothing in it.
            unsafe { nix::libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            let ended = waitpid(child, None).expect("is ours");
            matches!(ended, WaitStatus::Exited(_, 0))
        }
    }
}

/// The daemon answers.
fn answers(library: &Library) -> bool {
    library.node_name().is_ok() && library.sessions().is_ok()
}

#[test]
fn parent_and_children_each_have_a_connection() {
    let daemon = Daemon::start("none");
    let library = daemon.library();
    assert!(library.node_name().is_ok());
    assert!(in_child(|| answers(&library)));
    assert!(library.node_name().is_ok(), "the parent's is as it was");
    // A child of a child, and one that never used the library before its own child did.
    assert!(in_child(
        || in_child(|| answers(&library)) && answers(&library)
    ));
    // A child that gives up what it inherited does not end what its parent has.
    assert!(in_child(|| {
        drop(library.clone());
        let copy = library.clone();
        answers(&copy)
    }));
    assert!(library.node_name().is_ok());
}

/// From now on the children of this process are in a PID namespace of their own, the first with the number 1.
fn nest_children() -> bool {
    // SAFETY: it changes where children are made and touches no memory.
    unsafe { nix::libc::unshare(nix::libc::CLONE_NEWPID) == 0 }
}

#[test]
fn a_child_with_the_number_of_its_parent_has_a_connection_of_its_own() {
    let daemon = Daemon::start("none");
    let library = daemon.library();
    let first_of_its_namespace = || std::process::id() == 1;
    // The outermost child makes the namespaces, so that the test's own later children stay in the test's.
    assert!(in_child(|| nest_children()
        && in_child(|| first_of_its_namespace()
            && answers(&library)
            && nest_children()
            && in_child(
                || first_of_its_namespace() && answers(&library)
            )
            && answers(&library))));
    assert!(answers(&library));
}

#[test]
fn deep_down_there_is_still_a_connection() {
    fn descend(library: &Library, levels: u32) -> bool {
        answers(library) && (levels == 0 || in_child(|| descend(library, levels - 1)))
    }
    let daemon = Daemon::start("none");
    let library = daemon.library();
    let reached = in_child(|| descend(&library, 20));
    assert!(reached, "more than there are places");
}

#[test]
fn a_fork_in_the_midst_of_other_threads_calls_is_no_harm() {
    let daemon = Daemon::start("none");
    let library = daemon.library();
    let over = AtomicBool::new(false);
    let failed = std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert!(library.targets(false).is_ok());
                }
            });
        }
        let failed = (0..50).filter(|_| !in_child(|| answers(&library))).count();
        over.store(true, Ordering::Relaxed);
        failed
    });
    assert_eq!(failed, 0, "of 50 children");
}

#[test]
fn a_daemon_that_restarts_is_found_by_parent_and_child() {
    let mut daemon = Daemon::start("none");
    let library = daemon.library();
    assert!(library.node_name().is_ok());
    daemon.kill();
    assert!(in_child(|| library.node_name().is_err()));
    daemon.start_again();
    assert!(in_child(|| answers(&library)));
    assert!(library.node_name().is_ok());
}

#[test]
fn a_connection_that_breaks_raises_no_sigpipe() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("hangs up");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
    // Each connection is closed as soon as it is made, while the library writes to it.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let library = Library::at(&socket);
    let survived = in_child(|| {
        // Rust programs ignore SIGPIPE; others do not.
        // SAFETY: The default action is no handler of ours.
        let set = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
        set.is_ok() && (0..100).all(|_| library.node_name() == Err(Status::SERVICE_NOT_RUNNING))
    });
    assert!(survived, "by a signal, or another status");
}
