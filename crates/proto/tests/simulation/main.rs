//! Seeded simulation: the session core and its login against a model target that keeps a RAM disk,
//! under virtual time, with faults.
//!
//! Each seed is one run with its own keys, its own number of connections and its own mix of faults.
//! Checked are:
//! - the callers ([`callers`]): no task is lost or ends twice or for a wrong reason; reads return what
//!   was acknowledged last or is being written; every acknowledged write is on the disk, and no older
//!   one comes after it;
//! - the wire ([`checkers`]): each PDU that the initiator sends, against what it was sent before;
//! - the target ([`target`]): no write is sent again while those of a lost nexus live on;
//! - the run ([`world`]): everything ends once the faults stop, and no command is held for longer than
//!   the hold time.
//!
//! `SIM_SEED=n` runs one seed and prints all it does, `SIM_SEEDS=from..to` runs those.

mod callers;
mod checkers;
mod disk;
mod initiator;
mod net;
mod network;
mod rng;
mod scenario;
mod tally;
mod target;
mod wire;
mod world;

use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tally::Tally;

/// Seeds of an ordinary test run.
const SEEDS: Range<u64> = 0..10_000;

fn number(variable: &str, text: &str) -> u64 {
    text.parse()
        .unwrap_or_else(|_| panic!("{variable}: {text} is no number"))
}

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("SIM_SEEDS") else {
        return SEEDS;
    };
    let (from, to) = text.split_once("..").expect("SIM_SEEDS=from..to");
    number("SIM_SEEDS", from)..number("SIM_SEEDS", to)
}

#[test]
fn every_seed_keeps_the_promises() {
    if let Ok(text) = std::env::var("SIM_SEED") {
        world::run(number("SIM_SEED", &text), true);
        return;
    }
    let seeds = seeds();
    let next = AtomicU64::new(seeds.start);
    let failed = AtomicU64::new(u64::MAX);
    let sum = Mutex::new(Tally::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || failed.load(Ordering::Relaxed) != u64::MAX {
                return;
            }
            match catch_unwind(|| world::run(seed, false)) {
                Ok(tally) => sum.lock().expect("no panic in here").add(tally),
                Err(_) => {
                    failed.fetch_min(seed, Ordering::Relaxed);
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner();
    assert_eq!(
        failed,
        u64::MAX,
        "replay: SIM_SEED={failed} cargo test -p hawser-proto --test simulation -- --nocapture"
    );
    judge(
        &sum.into_inner().expect("no panic in here"),
        seeds.end - seeds.start,
    );
}

/// What came of all runs together.
fn judge(tally: &Tally, runs: u64) {
    println!("{runs} seeds: {tally:#?}");
    // Faults must not be so many that nothing is ever carried out.
    let good = tally.get("ended well");
    assert!(
        good > 10 * runs,
        "only {good} commands ended well in {runs} runs"
    );
    let missing = tally.missing();
    assert!(
        runs < 1000 || missing.is_empty(),
        "never came upon {missing:?}"
    );
}
