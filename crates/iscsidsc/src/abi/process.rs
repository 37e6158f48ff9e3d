//! Which process this is: told apart from its parent and its children also where the kernel gives them one number.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use nix::libc;

/// Identity of this process among its forefathers and descendants; never 0.
///
/// Its number alone is not enough: the first process of a nested PID namespace has the number of its parent if that is
/// the first of its own. So the kernel is asked to wipe a page of ours at each fork, however the fork is made, and who
/// finds the page empty counts on. Where it cannot do that (Linux before 4.14, other systems), the number has to do.
pub(crate) fn identity() -> u64 {
    (u64::from(generation()) << 32) | u64::from(std::process::id())
}

/// Whether this program was started with more rights than its caller has (set-user-ID, file capabilities): what
/// `secure_getenv(3)` asks too. The kernel tells it once and for all, in memory that needs no file system to be read.
#[cfg(target_os = "linux")]
pub(crate) fn has_more_rights_than_its_caller() -> bool {
    // SAFETY: it reads what the kernel left in this process's memory; there is no number that it does not take.
    let secure = unsafe { libc::getauxval(libc::AT_SECURE) };
    secure != 0
}

/// The same as far as the ids tell it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn has_more_rights_than_its_caller() -> bool {
    let users = nix::unistd::getuid() == nix::unistd::geteuid();
    let groups = nix::unistd::getgid() == nix::unistd::getegid();
    !(users && groups)
}

/// How many of our forefathers, as far as they asked, there were before us; 0 if the kernel wipes nothing.
fn generation() -> u32 {
    /// What this process and its forefathers have counted.
    static COUNTED: AtomicU32 = AtomicU32::new(0);
    // No lock: a fork may happen at any moment.
    let Some(own) = wiped_at_fork() else { return 0 };
    match own.load(Ordering::Acquire) {
        0 => {
            let next = COUNTED.fetch_add(1, Ordering::Relaxed) + 1;
            // Another thread may have been faster; then it is its number.
            let set = own.compare_exchange(0, next, Ordering::AcqRel, Ordering::Acquire);
            set.map_or_else(|present| present, |_| next)
        }
        known => known,
    }
}

/// A number that is 0 in each new process; `None` if there can be none.
fn wiped_at_fork() -> Option<&'static AtomicU32> {
    static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(null_mut());
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        let made = map_page()?;
        match PAGE.compare_exchange(null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => page = made,
            Err(present) => {
                // SAFETY: nobody else has seen the page that `map_page` gave us.
                unsafe { libc::munmap(made.cast(), size_of::<AtomicU32>()) };
                page = present;
            }
        }
    }
    // SAFETY: it is a page of `map_page`, which is never given back: readable, writable, aligned, and all zeros are
    // a number.
    Some(unsafe { &*page })
}

#[cfg(target_os = "linux")]
fn map_page() -> Option<*mut AtomicU32> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address that the kernel chooses touches nobody's memory. The kernel rounds up to a page.
    let page = unsafe { libc::mmap(null_mut(), size_of::<AtomicU32>(), access, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the page is ours alone.
    let refused = unsafe { libc::madvise(page, size_of::<AtomicU32>(), libc::MADV_WIPEONFORK) };
    if refused != 0 {
        // SAFETY: as above, and nobody has its address.
        unsafe { libc::munmap(page, size_of::<AtomicU32>()) };
        return None;
    }
    Some(page.cast())
}

#[cfg(not(target_os = "linux"))]
fn map_page() -> Option<*mut AtomicU32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program with more rights does is seen in `tests/c_program.rs`.
    #[test]
    fn this_test_has_the_rights_of_its_caller() {
        assert!(!has_more_rights_than_its_caller());
    }

    #[test]
    fn all_threads_are_one_process() {
        let own = identity();
        assert_ne!(own, 0);
        for other in (0..8).map(|_| std::thread::spawn(identity)) {
            assert_eq!(other.join().expect("runs"), own);
        }
    }
}
