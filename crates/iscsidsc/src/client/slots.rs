//! One value for each process: what a child of `fork()` must not take over from its parent.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::abi::process;

/// Forks of forks, each of which makes calls, for which there is a place that nobody else has touched.
const PLACES: usize = 16;

/// A value that is made once in each process.
///
/// After a fork the memory of the parent is there, locked as it happened to be at that moment by threads that are
/// not. So a child never looks at what belongs to another process: it takes the next place that is free.
pub(super) struct Slots<T> {
    places: [Place<T>; PLACES],
}

struct Place<T> {
    /// Identity of the process that it belongs to; 0: nobody.
    owner: AtomicU64,
    value: Mutex<Option<Arc<T>>>,
}

impl<T> Place<T> {
    const fn free() -> Self {
        Self {
            owner: AtomicU64::new(0),
            value: Mutex::new(None),
        }
    }

    fn claim(&self, process: u64) -> bool {
        let claimed = self
            .owner
            .compare_exchange(0, process, Ordering::AcqRel, Ordering::Acquire);
        match claimed {
            Ok(_) => true,
            Err(owner) => owner == process,
        }
    }

    /// Takes a place over from a process that is not this one, if its lock was free at the fork. What is in it is
    /// left alone: to end it would need what the other process has.
    fn take_over(&self, process: u64) -> bool {
        let Ok(mut value) = self.value.try_lock() else {
            return false;
        };
        std::mem::forget(value.take());
        self.owner.store(process, Ordering::Release);
        true
    }
}

impl<T> Slots<T> {
    pub(super) const fn new() -> Self {
        Self {
            places: [const { Place::free() }; PLACES],
        }
    }

    /// This process's value; `make` makes it if there is none.
    pub(super) fn get_or_make<E>(
        &self,
        make: impl FnOnce() -> Result<Arc<T>, E>,
    ) -> Result<Arc<T>, E> {
        let process = process::identity();
        let place = self.places.iter().find(|place| place.claim(process));
        let place = place.or_else(|| self.places.iter().find(|place| place.take_over(process)));
        let Some(place) = place else {
            // Every lock was held at a fork, sixteen times over: a value for this one call.
            return make();
        };
        let mut value = place.value.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = &*value {
            return Ok(Arc::clone(present));
        }
        let made = make()?;
        *value = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// What belongs to other processes is left alone.
impl<T> Drop for Slots<T> {
    fn drop(&mut self) {
        let process = process::identity();
        for place in &mut self.places {
            if *place.owner.get_mut() != process {
                let value = place
                    .value
                    .get_mut()
                    .unwrap_or_else(PoisonError::into_inner);
                std::mem::forget(value.take());
            }
        }
    }
}

impl<T> fmt::Debug for Slots<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn made(value: u32) -> Result<Arc<u32>, Infallible> {
        Ok(Arc::new(value))
    }

    #[test]
    fn a_value_is_made_once() {
        let slots = Slots::new();
        assert_eq!(slots.get_or_make(|| made(1)), Ok(Arc::new(1)));
        assert_eq!(slots.get_or_make(|| made(2)), Ok(Arc::new(1)));
    }

    #[test]
    fn what_could_not_be_made_is_tried_again() {
        let slots = Slots::<u32>::new();
        assert_eq!(slots.get_or_make(|| Err("no")), Err("no"));
        assert_eq!(
            slots.get_or_make(|| Ok::<_, &str>(Arc::new(2))),
            Ok(Arc::new(2))
        );
    }

    #[test]
    fn places_of_other_processes_are_not_looked_at_even_when_locked() {
        let slots = Slots::new();
        // As after a fork: a parent's place, locked by a thread that this process does not have.
        let parent = &slots.places[0];
        parent.owner.store(u64::MAX, Ordering::Relaxed);
        let held = parent.value.lock().expect("is free");
        assert_eq!(slots.get_or_make(|| made(3)), Ok(Arc::new(3)));
        assert_eq!(slots.get_or_make(|| made(4)), Ok(Arc::new(3)));
        drop(held);
    }

    #[test]
    fn when_every_place_is_another_processs_one_is_taken_over() {
        let slots = Slots::new();
        for place in &slots.places {
            place.owner.store(u64::MAX, Ordering::Relaxed);
        }
        let held = slots.places[0].value.lock().expect("is free");
        assert_eq!(slots.get_or_make(|| made(5)), Ok(Arc::new(5)));
        assert_eq!(slots.get_or_make(|| made(6)), Ok(Arc::new(5)));
        drop(held);
    }
}
