//! Busy polling: looking for an answer instead of sleeping until one comes.
//!
//! To sleep and to be woken takes longer than many targets take for a small read, above all in a virtual
//! machine, where both leave the guest. When so few commands are under way that each is waited for, the
//! thread may look at the sockets for a while before it sleeps. Whether that is done is said by
//! [`BusyPolling`]; by default where it costs no more of the processor than sleeping does, which both
//! ways are measured for ([`Trials`]).

use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use super::driver::Driver;
use super::trials::Trials;
use crate::options::BusyPolling;

/// With as many commands under way, or more, there is enough to do without waiting for one.
const MANY: u64 = 4;

/// How long is looked where nobody said: a target that takes longer is better slept for.
const WHERE_PAID: Duration = Duration::from_micros(50);

/// Sleeps, or attempts in their place, after which is looked at what they cost: the question is a system
/// call.
const SLEEPS: u32 = 64;

/// What a second of the processor must yield, in tenths of what it yields with sleeping: as much, but for what
/// is measured by chance. The time that is saved comes on top.
const ENOUGH: u64 = 9;

/// After so many vain attempts in a row the next one is left out, after twice as many two, and so on.
const PATIENT: u32 = 4;

/// The longest row of sleeps without an attempt.
const LONGEST: u32 = 64;

/// Whether it pays: a target that takes its time is not worth the processor's.
#[derive(Debug)]
pub(super) struct BusyPoll {
    /// Vain attempts since the last good one.
    vain: u32,
    /// Sleeps that are still to come without an attempt.
    left_out: u32,
    /// Commands for the processor's time, with sleeping and without.
    trials: Trials,
    sleeps: u32,
    /// What was known when it was looked last; `None`: too much was under way since.
    since: Option<Spent>,
}

/// What a thread had done.
#[derive(Debug, Clone, Copy)]
struct Spent {
    /// Its clock is the thread's own.
    thread: ThreadId,
    processor: Duration,
    commands: u64,
}

impl Spent {
    /// What the calling thread has spent until now.
    fn until_now(commands: u64) -> Option<Self> {
        Some(Self {
            thread: thread::current().id(),
            processor: clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?.into(),
            commands,
        })
    }
}

impl BusyPoll {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            vain: 0,
            left_out: 0,
            trials: Trials::new(now, ENOUGH),
            sleeps: 0,
            since: None,
        }
    }

    /// The driver is about to sleep, with few commands under way: is it worth an attempt?
    fn is_due(&mut self) -> bool {
        let is_due = self.left_out == 0;
        self.left_out = self.left_out.saturating_sub(1);
        is_due
    }

    /// An attempt has ended.
    fn ended(&mut self, well: bool) {
        self.vain = if well { 0 } else { self.vain.saturating_add(1) };
        self.left_out = (self.vain / PATIENT).min(LONGEST);
    }

    /// It costs less than sleeping, or it is to be found out whether it does: asked before each sleep
    /// with few commands under way, when `commands` were sent in all.
    fn pays(&mut self, now: Instant, commands: u64) -> bool {
        self.sleeps += 1;
        if self.sleeps >= SLEEPS || self.since.is_none() {
            self.sleeps = 0;
            let present = Spent::until_now(commands);
            if let (Some(since), Some(present)) = (self.since, present)
                && since.thread == present.thread
            {
                let commands = commands.saturating_sub(since.commands);
                let spent = present.processor.saturating_sub(since.processor);
                self.trials.next(now, commands, spent);
            }
            self.since = present;
        }
        self.trials.is_other()
    }
}

impl Driver {
    /// Looks for answers and messages without sleeping, for a while, if that is worth it. `true`: something
    /// came. Everything that could be done was done before.
    pub(super) fn busy_poll(&mut self) -> bool {
        let counters = self.core.counters();
        if !(1..MANY).contains(&counters.in_flight) {
            // What is spent now tells nothing of waiting for single commands; and nothing under way is
            // what lies between two of them.
            if counters.in_flight > 0 {
                self.busy.since = None;
            }
            return false;
        }
        let limit = match self.options.busy_polling {
            BusyPolling::For(limit) => limit,
            BusyPolling::WherePaid if self.busy.pays(self.now, counters.commands) => WHERE_PAID,
            BusyPolling::WherePaid => Duration::ZERO,
        };
        if limit.is_zero() || !self.busy.is_due() {
            return false;
        }
        let came = self.look_for(limit);
        self.busy.ended(came);
        came
    }

    fn look_for(&mut self, limit: Duration) -> bool {
        let begun = Instant::now();
        loop {
            self.now = Instant::now();
            if self.receive_now() || self.shared.inbox.has_messages() {
                return true;
            }
            if self.now.saturating_duration_since(begun) >= limit {
                return false;
            }
            // Whoever is to answer may need this very processor.
            thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_target_is_waited_for_less_and_less_and_tried_again() {
        let mut busy = BusyPoll::new(Instant::now());
        let attempts = (0..10_000).filter(|_| {
            let due = busy.is_due();
            if due {
                busy.ended(false);
            }
            due
        });
        let attempts = attempts.count();
        assert!((200..600).contains(&attempts), "{attempts}");
        // One answer in time, and every wait is an attempt again.
        while !busy.is_due() {}
        busy.ended(true);
        assert!(busy.is_due() && busy.is_due());
    }
}
