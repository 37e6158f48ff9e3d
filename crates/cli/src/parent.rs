//! Ends this process when the one that started it has ended, so that a demo that is killed leaves no
//! process behind.

use std::time::Duration;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};

use crate::error::CliError;
use crate::exit::Exit;

/// How long a target goes on after its parent: who uses it ends at the same moment, and must be able to
/// write what it still holds.
const LINGER: Duration = Duration::from_secs(10);

/// How often a target looks whether its parent is still there.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Has the kernel send SIGTERM to this process when `parent` ends.
///
/// # Errors
/// The kernel refuses, or the parent has ended already.
pub(crate) fn end_with(parent: i32) -> Result<(), CliError> {
    set_pdeathsig(Signal::SIGTERM)
        .map_err(|error| CliError::io("cannot watch the parent process", &error.into()))?;
    if getppid() == Pid::from_raw(parent) {
        return Ok(());
    }
    Err(CliError::new(
        Exit::Interrupted,
        "the parent process has ended",
    ))
}

/// Ends this process with SIGTERM some seconds after `parent` has ended. The kernel has no such signal
/// with a delay, hence the thread.
pub(crate) fn end_after(parent: i32) {
    std::thread::spawn(move || {
        while getppid() == Pid::from_raw(parent) {
            std::thread::sleep(LOOK_INTERVAL);
        }
        std::thread::sleep(LINGER);
        // A process may always send itself a signal.
        let _ = kill(Pid::this(), Signal::SIGTERM);
    });
}
