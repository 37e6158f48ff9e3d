//! Where on the disk the next access goes.

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
    /// Places of `size` bytes on a disk of `disk` bytes; `None` if not even one fits.
    pub(super) fn new(disk: u64, size: u32, random: bool) -> Option<Self> {
        let size = u64::from(size);
        let count = disk.checked_div(size).filter(|count| *count > 0)?;
        Some(Self {
            count,
            size,
            state: if random { SEED } else { 0 },
            random,
        })
    }

    /// The next byte offset.
    pub(super) fn next(&mut self) -> u64 {
        let place = if self.random {
            // Marsaglia's xorshift64, then a multiplication in place of a slow division to bring
            // the number into range.
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
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

/// Fills a buffer with bytes that do not compress.
pub(crate) fn fill(buffer: &mut [u8], seed: u64) {
    let mut state = seed.wrapping_mul(SEED) | 1;
    for chunk in buffer.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
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
        let mut places = Places::new(10_000, 4096, false).expect("fits");
        assert_eq!([places.next(), places.next(), places.next()], [0, 4096, 0]);
        assert!(Places::new(4095, 4096, false).is_none());
    }

    #[test]
    fn at_random_they_cover_the_disk_and_stay_on_it() {
        let mut places = Places::new(100 * 512, 512, true).expect("fits");
        let mut seen = [false; 100];
        for _ in 0..10_000 {
            let offset = places.next();
            assert!(offset.is_multiple_of(512));
            seen[usize::try_from(offset / 512).expect("fits")] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
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
