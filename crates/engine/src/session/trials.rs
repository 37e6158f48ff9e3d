//! Which of two ways is better, found out by trying both.

use std::time::{Duration, Instant};

/// What the yield of a way is measured over, at least.
const TRIAL: Duration = Duration::from_millis(8);

/// How long the better way is kept before the other one is tried again.
const TERM: Duration = Duration::from_millis(500);

/// A plain way to do something, and another one that is better in some places and worse in others. Whoever
/// uses it says from time to time what was got and what was spent for it, and asks which way to go on.
#[derive(Debug)]
pub(super) struct Trials {
    is_other: bool,
    /// When the way is changed, if it is the better one only for a look at the other.
    until: Instant,
    /// What each way yields in a second of what is spent, the latest measurements counting most; 0 before.
    plain: u64,
    other: u64,
    /// The other way is the better one when it yields as many tenths of what the plain one does.
    enough: u64,
    /// What was got since the measurement began, and spent for it.
    got: u64,
    spent: Duration,
}

impl Trials {
    /// Trials that begin with the plain way. The other one is the better one when it yields `enough`
    /// tenths of what the plain one does.
    pub(super) fn new(now: Instant, enough: u64) -> Self {
        Self {
            is_other: false,
            until: now,
            plain: 0,
            other: 0,
            enough,
            got: 0,
            spent: Duration::ZERO,
        }
    }

    /// The other way is to be gone now.
    pub(super) fn is_other(&self) -> bool {
        self.is_other
    }

    /// So much more was `got` in the way that was to be gone, and `spent` for it.
    pub(super) fn next(&mut self, now: Instant, got: u64, spent: Duration) {
        self.got += got;
        self.spent += spent;
        if self.spent < TRIAL {
            return;
        }
        let nanos = u64::try_from(self.spent.as_nanos()).unwrap_or(u64::MAX);
        let measured = self.got.saturating_mul(1_000_000_000) / nanos.max(1);
        (self.got, self.spent) = (0, Duration::ZERO);
        let known = match self.is_other {
            false => &mut self.plain,
            true => &mut self.other,
        };
        *known = blend(*known, measured);
        if self.until <= now {
            self.is_other = !self.is_other;
            let is_better = self.is_other == self.other_is_better();
            let term = if is_better { TERM } else { TRIAL };
            self.until = now.checked_add(term).unwrap_or(now);
        }
    }

    fn other_is_better(&self) -> bool {
        self.other >= self.plain / 10 * self.enough
    }

    /// As if the other way had been found to be the better one.
    #[cfg(test)]
    pub(super) fn choose_other(&mut self) {
        self.is_other = true;
    }
}

/// One measurement is short: whatever else the machine does meanwhile shall not decide alone.
fn blend(known: u64, measured: u64) -> u64 {
    match known {
        0 => measured,
        known => known - known / 4 + measured / 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of the time in which the other way is gone, where the ways yield so much.
    fn other(plain: u64, other: u64) -> f64 {
        let begun = Instant::now();
        let mut trials = Trials::new(begun, 9);
        let (steps, step) = (10_000, Duration::from_millis(1));
        let gone = (1..=steps).filter(|at| {
            let rate = match trials.is_other() {
                false => plain,
                true => other,
            };
            trials.next(begun + step * *at, rate / 1000, step);
            trials.is_other()
        });
        gone.count() as f64 / f64::from(steps)
    }

    #[test]
    fn the_other_way_is_kept_where_it_yields_enough() {
        assert!(other(1_000_000, 1_000_000) > 0.95);
        assert!(other(1_000_000, 950_000) > 0.95);
    }

    #[test]
    fn one_bad_measurement_decides_nothing() {
        let begun = Instant::now();
        let mut trials = Trials::new(begun, 10);
        let mut now = begun;
        for _ in 0..200 {
            now += TRIAL;
            trials.next(now, if trials.is_other() { 1000 } else { 800 }, TRIAL);
        }
        assert!(trials.is_other() && trials.other_is_better());
        trials.next(now, 500, TRIAL);
        assert!(trials.other_is_better());
        // What lasts does.
        for _ in 0..10 {
            trials.next(now, 500, TRIAL);
        }
        assert!(!trials.other_is_better());
    }

    #[test]
    fn the_plain_way_is_kept_where_the_other_yields_less() {
        assert!(other(1_000_000, 850_000) < 0.05);
    }
}
