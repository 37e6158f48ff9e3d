//! When a connection's reader is woken: not for each answer, where many are about to come.
//!
//! A fast target sends its answers one by one. To be woken, to read and to send the next command costs
//! the same for one answer as for ten, and is most of what a small read costs. So the kernel is told to
//! wake the reader only when a number of bytes is there (`SO_RCVLOWAT`): the *mark*, as network cards
//! moderate their interrupts. It is set so low that nobody waits for long:
//! - to half of what the target owes at most, so that it has commands left while answers wait;
//! - to what comes within [`WAIT`] at the present rate, so that a target that takes its time has each of
//!   its answers read when it comes;
//! - and when it was not reached for [`PATIENCE`], it is taken back for a while.
//!
//! A target that works on one command after the other loses nothing when half of its answers wait: it
//! even gains, because it is disturbed less. One that could work on all of them at once does lose.
//! Which it is shows in how much comes: both ways are tried, and the better one is kept ([`Trials`]).

use std::task::Context;
use std::time::{Duration, Instant};

use hawser_proto::session::Session as Core;
use nix::sys::socket::setsockopt;
use nix::{setsockopt_impl, sockopt_impl};
use tokio::net::TcpStream;

use super::alarm::Alarm;
use super::trials::Trials;

/// How long an answer may lie unread because the mark was set too high.
const PATIENCE: Duration = Duration::from_millis(2);

/// How long each answer is read when it comes, after a mark was too high.
const PAUSE: Duration = Duration::from_millis(50);

/// The highest mark: more does not fit the caches.
const HIGHEST: u64 = 512 * 1024;

/// A lower mark does not save anything: it is one answer.
const LOWEST: u64 = 2 * 48;

/// With fewer commands under way there is nothing to collect.
const FEW: u64 = 4;

/// Sleeps after which the mark is thought over.
const SLEEPS: u32 = 16;

/// What part of what the target owes may have to come before it is read, at most.
const PART: u64 = 2;

/// What answers may be collected for.
const WAIT: Duration = Duration::from_micros(400);

/// How much must come when answers are collected, in tenths of what comes when each is read: a tenth less is
/// within what is measured by chance.
const ENOUGH: u64 = 9;

sockopt_impl!(
    /// Bytes that must be there before the socket is readable.
    ReceiveLowWater,
    SetOnly,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    u32
);

/// The mark of one connection, and what it is set by.
#[derive(Debug)]
pub(super) struct Moderation {
    /// What the kernel was told.
    mark: u64,
    /// Sleeps since it was thought over, and the commands under way then.
    sleeps: u32,
    in_flight: u64,
    /// When it was thought over, and the bytes received until then.
    since: (Instant, u64),
    /// Whether answers are collected, or each is read when it comes.
    trials: Trials,
    /// Bytes received when the reader went to sleep last, and when they had come.
    heard: (Instant, u64),
    /// Goes off when the mark may be too high; made when it is first needed.
    alarm: Option<Alarm>,
    is_set: bool,
    /// Until when the mark stays down.
    paused_until: Option<Instant>,
}

impl Moderation {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            mark: 1,
            sleeps: 0,
            in_flight: 0,
            since: (now, 0),
            trials: Trials::new(now, ENOUGH),
            heard: (now, 0),
            alarm: None,
            is_set: false,
            paused_until: None,
        }
    }

    /// The reader is about to sleep, everything that was there is read: `received` bytes so far. The task
    /// of `cx` is woken when the mark turns out to be too high.
    pub(super) fn settle(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        (core, cid): (&Core, u16),
        received: u64,
        stream: &TcpStream,
    ) {
        if received != self.heard.1 {
            self.heard = (now, received);
        }
        self.sleeps += 1;
        let in_flight = core.counters().in_flight;
        if self.sleeps < SLEEPS && in_flight >= self.in_flight / 2 {
            return;
        }
        let owed = if in_flight < FEW { 0 } else { core.owed(cid) };
        let mark = self.fitting(now, owed, received);
        (self.sleeps, self.in_flight, self.since) = (0, in_flight, (now, received));
        // Each change is a system call: a mark that nearly fits may stay.
        if mark < self.mark.div_ceil(2)
            || mark > self.mark + self.mark / 2
            || self.mark > owed / 4 * 3
        {
            self.set(mark, stream);
        }
        self.guard(cx, now, stream);
    }

    /// Sees to it that a mark has an alarm, of which the task of `cx` hears.
    fn guard(&mut self, cx: &mut Context<'_>, now: Instant, stream: &TcpStream) {
        if self.mark > 1 && !self.is_set {
            self.set_alarm(PATIENCE, stream);
            self.poll(cx, now, stream);
        }
    }

    /// The mark that fits what is owed and how fast it comes.
    fn fitting(&mut self, now: Instant, owed: u64, received: u64) -> u64 {
        let (since, before) = self.since;
        let elapsed = now.saturating_duration_since(since);
        let received = received.saturating_sub(before);
        self.trials.next(now, received, elapsed);
        let is_paused = self.paused_until.is_some_and(|until| until > now);
        if is_paused || !self.trials.is_other() {
            return 1;
        }
        self.paused_until = None;
        let came = u128::from(received) * WAIT.as_nanos();
        let came = u64::try_from(came / elapsed.as_nanos().max(1)).unwrap_or(HIGHEST);
        match (owed / PART).min(came).min(HIGHEST) {
            mark if mark < LOWEST => 1,
            mark => mark,
        }
    }

    /// Takes the mark down if nothing was read for too long because of it: what is there is read then.
    /// To be called whenever the task of `cx` is woken.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant, stream: &TcpStream) {
        while self.is_set && self.has_gone_off(cx) {
            self.is_set = false;
            // It was set when the reader went to sleep some time ago, and is moved on only here.
            let silent = now.saturating_duration_since(self.heard.0);
            match PATIENCE.checked_sub(silent).filter(|left| !left.is_zero()) {
                _ if self.mark == 1 => {}
                Some(left) => self.set_alarm(left, stream),
                None => {
                    self.paused_until = now.checked_add(PAUSE);
                    self.set(1, stream);
                }
            }
        }
    }

    fn has_gone_off(&self, cx: &mut Context<'_>) -> bool {
        let gone_off = |alarm: &Alarm| alarm.poll(cx).is_ready();
        self.alarm.as_ref().is_some_and(gone_off)
    }

    /// Without an alarm there is no mark.
    fn set_alarm(&mut self, delay: Duration, stream: &TcpStream) {
        if self.alarm.is_none() {
            self.alarm = Alarm::new().ok();
        }
        let set = |alarm: &Alarm| alarm.set(delay).is_ok();
        self.is_set = self.alarm.as_ref().is_some_and(set);
        if !self.is_set {
            self.set(1, stream);
        }
    }

    fn set(&mut self, mark: u64, stream: &TcpStream) {
        if mark == self.mark {
            return;
        }
        // Where it is refused, each answer wakes the reader, as ever.
        let wanted = u32::try_from(mark).unwrap_or(1);
        if setsockopt(stream, ReceiveLowWater, &wanted).is_ok() {
            self.mark = mark;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::ErrorKind;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(near, listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    /// Nothing wakes the reader below the mark, but for the alarm.
    #[tokio::test]
    async fn what_does_not_reach_the_mark_is_read_before_long() {
        let (near, mut far) = connected().await;
        let begun = Instant::now();
        let mut moderation = Moderation::new(begun);
        moderation.set(1000, &near);
        assert_eq!(moderation.mark, 1000);
        // A new socket is taken to be readable until somebody has looked.
        let mut buffer = [0; 16];
        let looked = near.try_read(&mut buffer).map_err(|error| error.kind());
        assert_eq!(looked, Err(ErrorKind::WouldBlock));
        far.write_all(b"an answer").await.unwrap();
        // In the driver's order: a look at the alarm, a look at the socket, and then to sleep.
        let readable = poll_fn(|cx| {
            moderation.poll(cx, Instant::now(), &near);
            let ready = near.poll_read_ready(cx);
            if ready.is_pending() {
                moderation.guard(cx, Instant::now(), &near);
            }
            ready
        });
        let limit = Duration::from_secs(10);
        tokio::time::timeout(limit, readable)
            .await
            .unwrap()
            .unwrap();
        assert!(begun.elapsed() >= PATIENCE);
        assert_eq!(near.try_read(&mut buffer).unwrap(), 9);
        assert_eq!(moderation.mark, 1);
        assert!(moderation.paused_until.is_some());
    }

    #[test]
    fn a_mark_is_half_of_what_is_owed_or_comes_soon() {
        let begun = Instant::now();
        let millisecond = begun + Duration::from_millis(1);
        let mark = |owed, received| {
            let mut moderation = Moderation::new(begun);
            moderation.trials.choose_other();
            moderation.fitting(millisecond, owed, received)
        };
        // 1,000 bytes in a millisecond: 400 bytes within the wait.
        assert_eq!(mark(1_000_000, 1000), 400);
        assert_eq!(mark(10_000, 1_000_000), 5000);
        assert_eq!(mark(1 << 40, 1 << 40), HIGHEST);
        // Less than two answers is nothing to wait for.
        assert_eq!(mark(100, 1_000_000), 1);
        assert_eq!(mark(1_000_000, 200), 1);
    }
}
