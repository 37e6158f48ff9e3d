//! Where on the disk the next access goes, and what it does there.

use hawser_block::Operation;

/// Start of the random sequence: fixed, so that two measurements touch the same places.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// The places of a disk that is cut into pieces of one access each.
#[derive(Debug)]
pub(super) struct Places {
    count: u64,
    size: u64,
    /// The last random number, or the next place in order.
    state: u64,
    random: bool,
}

impl Places {
    /// Places of `size` bytes on a disk of `disk` bytes; `None` if not even one fits. Those of another
    /// `session` come in another random order.
    pub(super) fn new(disk: u64, size: u32, random: bool, session: u16) -> Option<Self> {
        let size = u64::from(size);
        let count = disk.checked_div(size).filter(|count| *count > 0)?;
        Some(Self {
            count,
            size,
            state: if random {
                SEED.wrapping_mul(2 * u64::from(session) + 1)
            } else {
                0
            },
            random,
        })
    }

    /// The next byte offset.
    pub(super) fn next(&mut self) -> u64 {
        let place = if self.random {
            // A multiplication in place of a slow division brings the number into range.
            self.state = next_random(self.state);
            ((u128::from(self.state) * u128::from(self.count)) >> 64) as u64
        } else {
            let place = self.state;
            self.state = if place + 1 == self.count {
                0
            } else {
                place + 1
            };
            place
        };
        place * self.size
    }
}

/// What comes next of the accesses: reads and writes in a fixed proportion, in random order.
#[derive(Debug)]
pub(super) struct Mix {
    reads_in_hundred: u8,
    state: u64,
}

impl Mix {
    /// One with so many reads in a hundred accesses.
    pub(super) fn new(reads_in_hundred: u8) -> Self {
        Self {
            reads_in_hundred,
            state: SEED,
        }
    }

    /// What the next access does.
    pub(super) fn next(&mut self) -> Operation {
        let reads = match self.reads_in_hundred {
            0 => false,
            100 => true,
            part => {
                self.state = next_random(self.state);
                ((u128::from(self.state) * 100) >> 64) < u128::from(part)
            }
        };
        if reads {
            Operation::Read
        } else {
            Operation::Write { fua: false }
        }
    }
}

/// Marsaglia's xorshift64.
fn next_random(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ (state << 17)
}

/// Fills a buffer with bytes that do not compress.
pub(crate) fn fill(buffer: &mut [u8], seed: u64) {
    let mut state = seed.wrapping_mul(SEED) | 1;
    for chunk in buffer.chunks_mut(8) {
        state = next_random(state);
        for (byte, random) in chunk.iter_mut().zip(state.to_le_bytes()) {
            *byte = random;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_they_begin_again_at_the_end() {
        let mut places = Places::new(10_000, 4096, false, 0).expect("fits");
        assert_eq!([places.next(), places.next(), places.next()], [0, 4096, 0]);
        assert!(Places::new(4095, 4096, false, 0).is_none());
    }

    #[test]
    fn at_random_they_cover_the_disk_and_stay_on_it() {
        let mut places = Places::new(100 * 512, 512, true, 0).expect("fits");
        let mut seen = [false; 100];
        for _ in 0..10_000 {
            let offset = places.next();
            assert!(offset.is_multiple_of(512));
            seen[usize::try_from(offset / 512).expect("fits")] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }

    #[test]
    fn sessions_go_to_other_places() {
        let mut places: Vec<Places> = (0..64)
            .filter_map(|session| Places::new(1 << 40, 512, true, session))
            .collect();
        let first: std::collections::BTreeSet<u64> = places.iter_mut().map(Places::next).collect();
        assert_eq!(first.len(), 64);
    }

    #[test]
    fn a_mix_keeps_its_proportion() {
        for (part, least, most) in [(0, 0, 0), (70, 6_800, 7_200), (100, 10_000, 10_000)] {
            let mut mix = Mix::new(part);
            let reads = (0..10_000)
                .filter(|_| mix.next() == Operation::Read)
                .count();
            assert!((least..=most).contains(&reads), "{reads} reads of {part} %");
        }
    }

    #[test]
    fn buffers_differ() {
        let (mut one, mut other) = ([0; 100], [0; 100]);
        fill(&mut one, 1);
        fill(&mut other, 2);
        assert_ne!(one, other);
        assert!(one.iter().any(|byte| *byte != one[0]));
    }
}
