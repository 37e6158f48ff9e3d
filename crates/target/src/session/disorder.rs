//! Data in an order of chance, where the login allows it (RFC 7143 §13.18, §13.19).

use super::data_in::Cut;

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Puts things in another order.
    pub(crate) fn shuffle<T>(&mut self, things: &mut [T]) {
        for end in (1..things.len()).rev() {
            let choices = u64::try_from(end).unwrap_or(u64::MAX).saturating_add(1);
            let chosen = usize::try_from(self.next() % choices).unwrap_or_default();
            things.swap(end, chosen);
        }
    }
}

/// What may be put in another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freedom {
    /// PDUs within a sequence (`DataPDUInOrder=No`).
    pub(crate) pdus: bool,
    /// Sequences (`DataSequenceInOrder=No`).
    pub(crate) sequences: bool,
}

/// Puts the PDUs of a read in another order. The last of each sequence has F, wherever its data
/// belongs.
pub(crate) fn disorder(cuts: &mut Vec<Cut>, freedom: Freedom, chance: &mut Chance) {
    let mut sequences: Vec<Vec<Cut>> = cuts
        .split_inclusive(|cut| cut.last)
        .map(<[Cut]>::to_vec)
        .collect();
    if freedom.pdus {
        for sequence in &mut sequences {
            chance.shuffle(sequence);
            sequence.iter_mut().for_each(|cut| cut.last = false);
            if let Some(cut) = sequence.last_mut() {
                cut.last = true;
            }
        }
    }
    if freedom.sequences {
        chance.shuffle(&mut sequences);
    }
    *cuts = sequences.concat();
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "lists of one range are meant"
)]
mod tests {
    use super::*;
    use crate::session::data_in::cut;

    fn shuffled(seed: u64, pdus: bool, sequences: bool) -> Vec<Cut> {
        let mut cuts = Vec::new();
        cut(&[0..64], 4, 16, &mut cuts);
        disorder(
            &mut cuts,
            Freedom { pdus, sequences },
            &mut Chance::new(seed),
        );
        cuts
    }

    fn offsets(cuts: &[Cut]) -> Vec<usize> {
        cuts.iter().map(|cut| cut.offset).collect()
    }

    #[test]
    fn only_what_is_free_changes_its_order_and_nothing_is_lost() {
        let in_order: Vec<usize> = (0..64).step_by(4).collect();
        assert_eq!(offsets(&shuffled(1, false, false)), in_order);
        for (pdus, sequences) in [(true, false), (false, true), (true, true)] {
            let cuts = shuffled(7, pdus, sequences);
            assert_ne!(offsets(&cuts), in_order);
            assert_eq!(cuts, shuffled(7, pdus, sequences));
            assert_ne!(cuts, shuffled(8, pdus, sequences));
            for (index, sequence) in cuts.chunks(4).enumerate() {
                let start = sequence.iter().map(|cut| cut.offset).min().unwrap();
                assert_eq!(start % 16, 0);
                assert!(sequences || start == index * 16);
                assert!(
                    sequence
                        .iter()
                        .all(|cut| (start..start + 16).contains(&cut.offset))
                );
                let last: Vec<bool> = sequence.iter().map(|cut| cut.last).collect();
                assert_eq!(last, [false, false, false, true]);
            }
            let mut all = offsets(&cuts);
            all.sort_unstable();
            assert_eq!(all, in_order);
        }
    }
}
