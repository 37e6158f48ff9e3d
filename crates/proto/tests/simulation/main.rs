//! Seeded simulation: the session core against a model target that keeps a RAM disk, under virtual
//! time, with faults.
//!
//! Each seed is one run with its own mix of faults. Checked are: no task is lost or ends twice;
//! CmdSN, the window and StatSN keep their rules; every acknowledged write is on the disk; reads
//! return what was acknowledged last or is being written; everything ends once the faults stop; no
//! command is held longer than the hold time. A lost nexus goes on with its writes on the target
//! until it is reinstated or expires, so a replay that comes too early is found out.
//!
//! `HAWSER_SEEDS=n` runs that many seeds, `HAWSER_SEED=n` runs one and prints all it does.

mod callers;
mod disk;
mod faults;
mod network;
mod nexus;
mod rng;
mod target;
mod world;

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 2000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

#[test]
fn every_seed_keeps_the_promises() {
    if let Some(seed) = number("HAWSER_SEED") {
        world::run(seed, true);
        return;
    }
    let seeds = number("HAWSER_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let failed = AtomicU64::new(u64::MAX);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || failed.load(Ordering::Relaxed) != u64::MAX {
                        return;
                    }
                    if catch_unwind(|| world::run(seed, false)).is_err() {
                        failed.fetch_min(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert_eq!(
        failed,
        u64::MAX,
        "replay: HAWSER_SEED={failed} cargo test -p hawser-proto --test simulation -- --nocapture"
    );
}
