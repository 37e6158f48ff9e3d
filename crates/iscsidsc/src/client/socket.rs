//! Which socket is the daemon's.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};

use hawser_api::{Failure, Places, Status, find_socket};

/// The socket that the environment names, else the default that `hawser` uses too.
///
/// A program that runs with more rights than its caller (set-user-ID, file capabilities) does not let its caller
/// choose whom it talks to: as with `secure_getenv(3)` no variable counts, and the system's daemon is meant.
pub(super) fn find() -> Result<PathBuf, Failure> {
    if is_secure() {
        return Ok(of_system());
    }
    find_socket(None).map_err(|no_place| {
        let what = format!("no place to look for the daemon: {no_place}");
        Failure::new(Status::SERVICE_NOT_RUNNING, what)
    })
}

/// `AT_SECURE` of the auxiliary vector (getauxval(3)): this program has more rights than its caller.
const AT_SECURE: usize = 23;

/// Whether the kernel started this program in secure-execution mode.
fn is_secure() -> bool {
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
    // No lock: a fork may happen at any moment.
    static KNOWN: AtomicU8 = AtomicU8::new(UNKNOWN);
    match KNOWN.load(Ordering::Relaxed) {
        UNKNOWN => {
            let auxiliary = std::fs::read("/proc/self/auxv");
            // What runs with file capabilities may not read it.
            let denied = auxiliary
                .as_ref()
                .is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
            let secure = denied || judge(auxiliary.ok().as_deref(), ids_differ());
            KNOWN.store(if secure { YES } else { NO }, Ordering::Relaxed);
            secure
        }
        known => known == YES,
    }
}

/// By the auxiliary vector; without it (no /proc) by the ids alone.
fn judge(auxiliary: Option<&[u8]>, ids_differ: bool) -> bool {
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| bytes.try_into().map(usize::from_ne_bytes).unwrap_or(0);
    let entries = auxiliary.unwrap_or_default().chunks_exact(2 * WORD);
    let mut secure = entries
        .map(|entry| entry.split_at(WORD))
        .filter(|(key, _)| word(key) == AT_SECURE)
        .map(|(_, value)| word(value) != 0);
    ids_differ || secure.next().unwrap_or(false)
}

fn ids_differ() -> bool {
    let users = nix::unistd::getuid() == nix::unistd::geteuid();
    let groups = nix::unistd::getgid() == nix::unistd::getegid();
    !(users && groups)
}

fn of_system() -> PathBuf {
    // Root's places come from no variable.
    Places::of(true, &|_| None).map_or_else(|_| PathBuf::new(), |places| places.socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: usize, value: usize) -> Vec<u8> {
        [key.to_ne_bytes(), value.to_ne_bytes()].concat()
    }

    #[test]
    fn the_kernel_says_whether_the_environment_counts() {
        let plain = [entry(6, 4096), entry(AT_SECURE, 0), entry(0, 0)].concat();
        let secure = [entry(6, 4096), entry(AT_SECURE, 1), entry(0, 0)].concat();
        assert!(!judge(Some(&plain), false));
        assert!(judge(Some(&secure), false));
        assert!(judge(None, true), "set-user-ID without /proc");
        assert!(!judge(None, false));
        assert!(!judge(Some(&secure[..7]), false), "cut short");
        assert!(!is_secure(), "this test is started as any program");
    }

    #[test]
    fn the_systems_socket_comes_from_no_variable() {
        assert_eq!(of_system(), PathBuf::from("/run/hawser/hawser.sock"));
    }
}
