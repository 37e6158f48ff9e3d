//! Counts latencies in a fixed amount of memory: 64 steps to each doubling, so that a percentile is
//! off by less than 1 %.

use std::time::Duration;

/// Steps to a doubling, as a power of two.
const STEP_BITS: u32 = 6;
/// Steps to a doubling.
const STEPS: usize = 1 << STEP_BITS;
/// Longer latencies count as this long: 2^40 ns are 18 minutes, longer than any command may take.
const MAX_BITS: u32 = 40;
/// One step a nanosecond at first, then 64 to each doubling.
const BUCKETS: usize = STEPS + (MAX_BITS - STEP_BITS) as usize * STEPS;

/// Latencies, counted.
#[derive(Debug)]
pub(super) struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    sum_ns: u128,
    longest_ns: u64,
}

impl Histogram {
    /// One without a latency in it. The only allocation.
    pub(super) fn new() -> Self {
        let counts = vec![0; BUCKETS].into_boxed_slice();
        Self {
            counts,
            total: 0,
            sum_ns: 0,
            longest_ns: 0,
        }
    }

    /// Counts one latency.
    pub(super) fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(ns)) {
            *count += 1;
        }
        self.total += 1;
        self.sum_ns += u128::from(ns);
        self.longest_ns = self.longest_ns.max(ns);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.counts.fill(0);
        (self.total, self.sum_ns, self.longest_ns) = (0, 0, 0);
    }

    /// Adds what another counted.
    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.sum_ns += other.sum_ns;
        self.longest_ns = self.longest_ns.max(other.longest_ns);
    }

    /// How many were counted.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The latency in microseconds that this share of all (0 to 1) did not exceed; 0 if none was
    /// counted.
    pub(super) fn percentile_us(&self, share: f64) -> f64 {
        let rank = (share * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return middle_ns(index).min(self.longest_ns as f64) / 1000.0;
            }
        }
        0.0
    }

    /// The mean in microseconds; 0 if none was counted.
    pub(super) fn mean_us(&self) -> f64 {
        if self.total == 0 {
            0.0
        } else {
            self.sum_ns as f64 / self.total as f64 / 1000.0
        }
    }

    /// The longest in microseconds.
    pub(super) fn longest_us(&self) -> f64 {
        self.longest_ns as f64 / 1000.0
    }
}

/// Where a latency is counted.
fn bucket(ns: u64) -> usize {
    let ns = ns.min((1 << MAX_BITS) - 1);
    if ns < STEPS as u64 {
        return ns as usize;
    }
    let shift = 63 - ns.leading_zeros() - STEP_BITS;
    // Its top seven bits: 64 to 127.
    let top = (ns >> shift) as usize;
    shift as usize * STEPS + top
}

/// The middle of what is counted in a bucket.
fn middle_ns(index: usize) -> f64 {
    if index < 2 * STEPS {
        return index as f64;
    }
    let shift = index / STEPS - 1;
    let low = ((STEPS + index % STEPS) as u64) << shift;
    low as f64 + (1_u64 << shift) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_has_a_bucket_whose_middle_is_near() {
        let mut last = 0;
        for ns in (0..1 << 14).chain((14..40).flat_map(|bits| [1_u64 << bits, (1 << bits) * 3 / 2]))
        {
            let index = bucket(ns);
            assert!(
                index < BUCKETS && index >= last,
                "{ns} is in {index} after {last}"
            );
            last = index;
            let error = (middle_ns(index) - ns as f64).abs();
            assert!(error <= ns as f64 / 100.0, "{ns}: {}", middle_ns(index));
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_a_known_series() {
        let mut histogram = Histogram::new();
        for us in 1..=1000 {
            histogram.record(Duration::from_micros(us));
        }
        assert_eq!(histogram.total(), 1000);
        for (share, us) in [(0.5, 500.0), (0.99, 990.0), (0.0, 1.0), (1.0, 1000.0)] {
            let found = histogram.percentile_us(share);
            assert!((found - us).abs() <= us / 100.0, "{share}: {found}");
        }
        assert!((histogram.mean_us() - 500.5).abs() < 1e-6);
        assert!((histogram.longest_us() - 1000.0).abs() < 1e-6);
    }

    #[test]
    fn two_make_one() {
        let (mut one, mut other) = (Histogram::new(), Histogram::new());
        for us in 1..=500 {
            one.record(Duration::from_micros(us));
            other.record(Duration::from_micros(us + 500));
        }
        one.add(&other);
        assert_eq!(one.total(), 1000);
        assert!((one.percentile_us(0.9) - 900.0).abs() <= 9.0);
        assert!((one.mean_us() - 500.5).abs() < 1e-6 && one.longest_us() > 999.0);
    }

    #[test]
    fn an_empty_one_gives_zero() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::from_secs(1));
        histogram.clear();
        assert_eq!(histogram.total(), 0);
        assert!(histogram.percentile_us(0.99) < 1e-9 && histogram.mean_us() < 1e-9);
    }
}
