//! When a session at rest wakes: together with the others.
//!
//! All that happens in one is a ping every few seconds. A thousand sessions that each wake for theirs at a time of
//! their own have the process wake two hundred times a second, and a wake costs more than a ping.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The sessions of a process wake at multiples of this, if they have nothing to do that is urgent: as precise as
/// the core is with the deadlines of tasks.
const STEP: Duration = Duration::from_millis(250);
/// What is due sooner than this is not put off.
const SOON: Duration = Duration::from_secs(1);

/// The time at which a session at rest sees to what is `due`: that or, if it is not soon, up to a [`STEP`] later.
pub(super) fn wake_for(due: Instant, now: Instant) -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    if due.saturating_duration_since(now) < SOON {
        return due;
    }
    let since = due.saturating_duration_since(*START.get_or_init(Instant::now));
    let step = STEP.as_nanos();
    let behind = u64::try_from(since.as_nanos() % step).unwrap_or_default();
    match behind {
        0 => due,
        behind => due + (STEP - Duration::from_nanos(behind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_urgent_waits_for_the_next_step_that_all_share() {
        let now = Instant::now();
        let wake = |ms| wake_for(now + Duration::from_millis(ms), now);
        assert_eq!(wake(999), now + Duration::from_millis(999));
        let step = wake(5000);
        assert!(step - now >= Duration::from_millis(5000));
        assert!(step - now < Duration::from_millis(5250));
        assert_eq!(wake_for(step, now), step);
        assert_eq!(wake_for(step + Duration::from_millis(1), now), step + STEP);
    }
}
