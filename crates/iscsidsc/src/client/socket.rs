//! Which socket is the daemon's.

use std::path::PathBuf;

use hawser_api::{Failure, Places, Status, find_socket};

use crate::abi::process::has_more_rights_than_its_caller;

/// The socket that the environment names, else the default that `hawser` uses too.
///
/// A program that runs with more rights than its caller (set-user-ID, file capabilities) does not let its caller
/// choose whom it talks to: as with `secure_getenv(3)` no variable counts, and the system's daemon is meant.
pub(super) fn find() -> Result<PathBuf, Failure> {
    if has_more_rights_than_its_caller() {
        return Ok(of_system());
    }
    find_socket(None).map_err(|no_place| {
        let what = format!("no place to look for the daemon: {no_place}");
        Failure::new(Status::SERVICE_NOT_RUNNING, what)
    })
}

fn of_system() -> PathBuf {
    // Root's places come from no variable.
    Places::of(true, &|_| None).map_or_else(|_| PathBuf::new(), |places| places.socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_socket_comes_from_no_variable() {
        assert_eq!(of_system(), PathBuf::from("/run/hawser/hawser.sock"));
    }
}
