//! A short time limit that costs nothing while it does not pass.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::task::{Context, Poll};
use std::time::Duration;

use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A timer of the kernel's, for limits of milliseconds. The runtime's own timers make each of its sleeps
/// end in time, so that the nearest limit is set and taken back with each sleep; in a virtual machine
/// that leaves the guest every time. This one is set once.
#[derive(Debug)]
pub(super) struct Alarm(AsyncFd<Timer>);

#[derive(Debug)]
struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Alarm {
    /// An alarm that is not set.
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let (timer, readable) = (Timer(timer), Interest::READABLE);
        // SAFETY: `timer` owns its descriptor: `as_raw_fd` gives the same one until it is dropped.
        #[allow(unsafe_code)]
        let registered = unsafe { AsyncFd::register_with_interest(timer, readable) };
        registered.map(Self).map_err(io::Error::from)
    }

    /// Sets it to go off once, after `delay`.
    pub(super) fn set(&self, delay: Duration) -> io::Result<()> {
        let once = Expiration::OneShot(delay.into());
        let flags = TimerSetTimeFlags::empty();
        Ok(self.0.get_ref().0.set(once, flags)?)
    }

    /// Ready once after it has gone off; the task of `cx` is woken then.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Ok(mut ready)) = self.0.poll_read_ready(cx) {
            match ready.get_inner().0.wait() {
                Ok(()) => return Poll::Ready(()),
                // The readiness is used up: asking again registers for more.
                Err(_) => ready.clear_ready(),
            }
        }
        Poll::Pending
    }
}
