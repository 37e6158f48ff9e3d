//! System calls that must not be made in this process: done in a forked child, with a time limit.
//!
//! Attaching a loop device, unmounting and detaching do I/O on our own exports. A process that waits
//! for itself like this cannot be killed: its descriptor of `/dev/fuse` never closes, so the request
//! it waits for never fails. A child that holds no such descriptor only hangs until the daemon
//! answers or dies. We fork rather than run `losetup` and `umount` because containers often lack
//! them, or have Busybox versions that know no sector size; and rather than start our own executable
//! anew because a library does not know its program's command line.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2, read};

/// The child's only descriptor beside stdin, stdout and stderr: where it writes its report.
const REPORT: i32 = 3;

/// Why a child's work failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    #[error("{step}: {}", io::Error::from_raw_os_error(*errno))]
    Failed { step: Step, errno: i32 },
    #[error("not done after {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("the child process died")]
    Died,
    #[error("cannot start a child process: {0}")]
    Start(#[from] io::Error),
}

impl ChildError {
    /// The error number of the failed call, if it was one.
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            Self::Failed { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

/// The steps that a child's work is made of, as they are named when they fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    OpenFile,
    OpenDevice,
    StatFile,
    Configure,
    GetStatus,
    SetStatus,
    SetCapacity,
    ClearFd,
    Unmount,
}

impl Step {
    const ALL: [Self; 9] = [
        Self::OpenFile,
        Self::OpenDevice,
        Self::StatFile,
        Self::Configure,
        Self::GetStatus,
        Self::SetStatus,
        Self::SetCapacity,
        Self::ClearFd,
        Self::Unmount,
    ];

    /// Turns the -1 of a failed system call into this step's failure.
    pub(crate) fn check(self, result: i32) -> Result<i32, Failure> {
        if result < 0 {
            Err(Failure {
                step: self,
                errno: Errno::last_raw(),
            })
        } else {
            Ok(result)
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenFile => "open the backing file",
            Self::OpenDevice => "open the loop device",
            Self::StatFile => "stat the backing file",
            Self::Configure => "LOOP_CONFIGURE",
            Self::GetStatus => "LOOP_GET_STATUS64",
            Self::SetStatus => "LOOP_SET_STATUS64",
            Self::SetCapacity => "LOOP_SET_CAPACITY",
            Self::ClearFd => "LOOP_CLR_FD",
            Self::Unmount => "umount2",
        })
    }
}

/// What a child reports when a step fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    step: Step,
    errno: i32,
}

/// What becomes of a child that is not done in time. A thread of its own waits for its end then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// It gets SIGKILL: its work is given up.
    Kill,
    /// It goes on.
    Leave,
}

/// Runs `work` in a forked child that has closed all our descriptors above stderr, and waits up to
/// `limit` for it.
///
/// # Safety
/// The process has threads, so between fork and exit the child may only do what is
/// async-signal-safe: `work` makes system calls on memory that is ready; it allocates nothing, takes
/// no lock and does not panic.
pub(crate) unsafe fn run(
    limit: Duration,
    overdue: Overdue,
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), ChildError> {
    let (report, writer) = pipe2(OFlag::O_CLOEXEC).map_err(io::Error::from)?;
    // SAFETY: the child only runs `in_child`, which keeps to async-signal-safe calls because `work`
    // does, and never returns.
    match unsafe { fork() }.map_err(io::Error::from)? {
        ForkResult::Child => in_child(writer.as_raw_fd(), work),
        ForkResult::Parent { child } => {
            drop(writer);
            wait(child, &report, limit, overdue)
        }
    }
}

/// Runs a program, which holds none of our descriptors because all of them close on exec, and waits up
/// to `limit` for it. One that is not done then gets SIGKILL.
///
/// # Errors
/// When it cannot be started, is not done in time, or fails; what it said is in the error.
pub(crate) fn program(name: &str, arguments: &[&str], limit: Duration) -> io::Result<()> {
    let told = |what: String| io::Error::other(format!("{name}: {what}"));
    let mut child = Command::new(name)
        .args(arguments)
        .env("LC_ALL", "C")
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Read at the end: the few lines of a failure fit into the pipe.
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| told(error.to_string()))?;
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    let pidfd = pidfd_open(Pid::from_raw(pid))?;
    if !readable_within(pidfd.as_fd(), limit) {
        // It may hang in the kernel still, and somebody must take its exit status.
        let _ = child.kill();
        std::thread::spawn(move || child.wait());
        return Err(told(format!("not done after {} s", limit.as_secs())));
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(told(format!("{}: {}", output.status, said.trim())))
}

fn in_child(writer: i32, work: impl FnOnce() -> Result<(), Failure>) -> ! {
    // SAFETY: plain system calls in a child that has one thread. The descriptors they close belong
    // to values of the parent that are never dropped here, because the child leaves with `_exit`.
    unsafe {
        if (writer != REPORT && libc::dup2(writer, REPORT) < 0)
            || libc::syscall(libc::SYS_close_range, REPORT + 1, u32::MAX, 0) < 0
        {
            libc::_exit(1);
        }
        let report = match work() {
            Ok(()) => [0, 0],
            Err(failure) => [failure.step as i32, failure.errno],
        };
        libc::write(REPORT, report.as_ptr().cast(), size_of_val(&report));
        libc::_exit(0)
    }
}

fn wait(child: Pid, report: &OwnedFd, limit: Duration, overdue: Overdue) -> Result<(), ChildError> {
    let exited = match pidfd_open(child) {
        Ok(pidfd) => readable_within(pidfd.as_fd(), limit),
        Err(_) => readable_within(report.as_fd(), limit),
    };
    if !exited {
        if overdue == Overdue::Kill {
            let _ = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL);
        }
        // It may hang in the kernel still, and somebody must take its exit status.
        std::thread::spawn(move || waitpid(child, None));
        return Err(ChildError::Timeout(limit));
    }
    let mut bytes = [0; 8];
    let count = read(report, &mut bytes).map_err(io::Error::from);
    let _ = waitpid(child, None);
    if count? != bytes.len() {
        return Err(ChildError::Died);
    }
    let [s0, s1, s2, s3, e0, e1, e2, e3] = bytes;
    let errno = i32::from_ne_bytes([e0, e1, e2, e3]);
    let step = usize::try_from(i32::from_ne_bytes([s0, s1, s2, s3])).unwrap_or(usize::MAX);
    match Step::ALL.get(step) {
        _ if errno == 0 => Ok(()),
        Some(step) => Err(ChildError::Failed { step: *step, errno }),
        None => Err(ChildError::Died),
    }
}

/// A descriptor that becomes readable when the process ends.
fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes a process id and flags, and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = i32::try_from(fd)
        .ok()
        .filter(|fd| *fd >= 0)
        .ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn readable_within(fd: BorrowedFd<'_>, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let millis = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], millis) {
            Ok(0) | Err(Errno::EINTR) if left.is_zero() => return false,
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn work_is_done_and_failures_are_named() {
        // SAFETY: the closures only make system calls.
        let (good, bad) = unsafe {
            (
                run(LIMIT, Overdue::Kill, || Ok(())),
                run(LIMIT, Overdue::Kill, || {
                    Step::ClearFd.check(libc::close(77)).map(drop)
                }),
            )
        };
        good.unwrap();
        let error = bad.unwrap_err();
        assert_eq!(error.errno(), Some(libc::EBADF));
        assert!(error.to_string().starts_with("LOOP_CLR_FD: "), "{error}");
        for (index, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, index);
        }
    }

    #[test]
    fn the_child_holds_none_of_our_descriptors() {
        let file = std::fs::File::open("/dev/null").unwrap();
        // SAFETY: fcntl on an open descriptor; the copy lives as long as the process.
        let copy = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 100) };
        assert!(copy >= 100);
        // SAFETY: the closure only makes a system call.
        let error = unsafe {
            run(LIMIT, Overdue::Kill, || {
                Step::StatFile
                    .check(libc::fcntl(copy, libc::F_GETFD))
                    .map(drop)
            })
        }
        .unwrap_err();
        assert_eq!(error.errno(), Some(libc::EBADF));
    }

    #[test]
    fn a_program_succeeds_or_says_why_not_within_its_time() {
        program("true", &[], LIMIT).unwrap();
        let error = program("sh", &["-c", "echo because >&2; exit 3"], LIMIT).unwrap_err();
        assert_eq!(error.to_string(), "sh: exit status: 3: because");
        let error = program("no-such-program-here", &[], LIMIT).unwrap_err();
        assert!(error.to_string().starts_with("no-such-program-here: "));
        let error = program("sleep", &["600"], Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("not done"), "{error}");
    }

    #[test]
    fn a_child_that_hangs_is_given_up() {
        let limit = Duration::from_millis(50);
        // SAFETY: the closure only makes a system call.
        let result = unsafe {
            run(limit, Overdue::Kill, || {
                libc::pause();
                Ok(())
            })
        };
        assert!(matches!(result, Err(ChildError::Timeout(_))), "{result:?}");
    }
}
