//! Who may write where at the same time.
//!
//! A write that does not start and end on block boundaries is done by reading the blocks it touches,
//! laying its bytes over them, and writing them back. Anything written to these blocks in between
//! would be undone, so such a job needs its blocks alone. Writes of whole blocks need nothing from
//! each other: as on a disk, the outcome of two at the same place is either.

use std::collections::VecDeque;
use std::ops::Range;

/// Bytes on the disk, and whether they are needed alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) bytes: Range<u64>,
    pub(super) exclusive: bool,
}

impl Claim {
    fn conflicts(&self, other: &Self) -> bool {
        (self.exclusive || other.exclusive)
            && self.bytes.start < other.bytes.end
            && other.bytes.start < self.bytes.end
    }
}

/// The claims of all jobs in flight, by slot. A job that must wait keeps its place: nobody who comes
/// later and conflicts with it overtakes it, so none waits for ever.
#[derive(Debug)]
pub(super) struct Ranges {
    held: Vec<Option<Claim>>,
    waiting: VecDeque<(usize, Claim)>,
    /// Exclusive claims held or waiting. While there are none, nothing has to be searched.
    exclusive: usize,
}

impl Ranges {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            held: vec![None; slots],
            waiting: VecDeque::new(),
            exclusive: 0,
        }
    }

    /// Whether the job in `slot` may start; if not, [`release`](Self::release) will name it.
    pub(super) fn admit(&mut self, slot: usize, claim: Claim) -> bool {
        self.exclusive += usize::from(claim.exclusive);
        let blocked = self.exclusive > 0
            && (self
                .held
                .iter()
                .flatten()
                .any(|held| held.conflicts(&claim))
                || self
                    .waiting
                    .iter()
                    .any(|(_, waiting)| waiting.conflicts(&claim)));
        if blocked {
            self.waiting.push_back((slot, claim));
        } else {
            self.held[slot] = Some(claim);
        }
        !blocked
    }

    /// Ends the claim of `slot` and appends to `admitted` the slots that may start now. A slot
    /// without a claim is let be.
    pub(super) fn release(&mut self, slot: usize, admitted: &mut VecDeque<usize>) {
        let Some(claim) = self.held[slot].take() else {
            return;
        };
        self.exclusive -= usize::from(claim.exclusive);
        let mut index = 0;
        while let Some((slot, claim)) = self.waiting.get(index) {
            let earlier = self.waiting.iter().take(index);
            let blocked = self.held.iter().flatten().any(|held| held.conflicts(claim))
                || earlier
                    .into_iter()
                    .any(|(_, waiting)| waiting.conflicts(claim));
            if blocked {
                index += 1;
                continue;
            }
            admitted.push_back(*slot);
            self.held[*slot] = Some(claim.clone());
            self.waiting.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(bytes: Range<u64>, exclusive: bool) -> Claim {
        Claim { bytes, exclusive }
    }

    #[test]
    fn whole_blocks_never_wait_for_each_other() {
        let mut ranges = Ranges::new(4);
        assert!(ranges.admit(0, claim(0..8, false)));
        assert!(ranges.admit(1, claim(4..12, false)));
    }

    #[test]
    fn a_patch_waits_and_is_not_overtaken() {
        let mut ranges = Ranges::new(8);
        let mut admitted = VecDeque::new();
        assert!(ranges.admit(0, claim(0..8, false)));
        assert!(!ranges.admit(1, claim(4..8, true)));
        assert!(
            !ranges.admit(2, claim(6..9, false)),
            "must not overtake the waiting patch"
        );
        assert!(
            ranges.admit(3, claim(8..16, false)),
            "touches nobody who waits or holds alone"
        );
        ranges.release(3, &mut admitted);
        assert!(admitted.is_empty());
        ranges.release(0, &mut admitted);
        assert_eq!(admitted, [1]);
        ranges.release(1, &mut admitted);
        assert_eq!(admitted, [1, 2]);
        ranges.release(2, &mut admitted);
        assert!(ranges.admit(4, claim(0..64, true)));
    }
}
