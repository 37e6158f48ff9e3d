//! The engine against the embedded target with its faults switched on: what no foreign target can be
//! made to do on demand.

mod busy_polling;
mod caches;
mod checks;
mod counters;
mod disks;
mod events;
mod failures;
mod faults;
mod once;
mod raw;
mod redirects;
mod support;
mod waiting;
