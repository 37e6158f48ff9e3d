//! The counters of a session where its handles can read them.

use std::sync::atomic::{AtomicU64, Ordering};

use hawser_proto::session::Counters;

/// The numbers that the driver counted, published without a lock: each is whole, and together they are
/// of about the same moment.
#[derive(Debug, Default)]
pub(crate) struct Published([AtomicU64; Counters::COUNT]);

impl Published {
    /// Publishes them. Only the driver does, a few stores each time that something has moved.
    pub(super) fn publish(&self, counters: Counters) {
        for (place, number) in self.0.iter().zip(counters.to_array()) {
            place.store(number, Ordering::Relaxed);
        }
    }

    /// What was published last.
    pub(super) fn read(&self) -> Counters {
        let numbers = self.0.each_ref().map(|place| place.load(Ordering::Relaxed));
        Counters::from_array(numbers)
    }
}
