//! Which parts of a sequence of write data have come.

use std::ops::Range;

/// Parts of the data of a task, as byte ranges that neither touch nor overlap, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ranges(Vec<Range<u32>>);

impl Ranges {
    /// How many separate parts there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Adds a part.
    pub(crate) fn add(&mut self, part: Range<u32>) {
        if part.is_empty() {
            return;
        }
        let mut whole = part;
        self.0.retain(|old| {
            let apart = old.end < whole.start || old.start > whole.end;
            if !apart {
                whole = whole.start.min(old.start)..whole.end.max(old.end);
            }
            apart
        });
        let index = self.0.partition_point(|old| old.start < whole.start);
        self.0.insert(index, whole);
    }

    /// Takes a part out.
    pub(crate) fn remove(&mut self, part: &Range<u32>) {
        let old = std::mem::take(&mut self.0);
        for range in old {
            let before = range.start..range.end.min(part.start);
            let behind = range.start.max(part.end)..range.end;
            self.0
                .extend([before, behind].into_iter().filter(|rest| !rest.is_empty()));
        }
    }

    /// What is missing of `whole`.
    pub(crate) fn gaps(&self, whole: Range<u32>) -> Vec<Range<u32>> {
        let mut gaps = Vec::new();
        let mut start = whole.start;
        for range in &self.0 {
            let gap = start..range.start.min(whole.end);
            if !gap.is_empty() {
                gaps.push(gap);
            }
            start = start.max(range.end);
        }
        if start < whole.end {
            gaps.push(start..whole.end);
        }
        gaps
    }
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "lists of one range are meant"
)]
mod tests {
    use super::*;

    #[test]
    fn parts_join_part_and_leave_gaps() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.gaps(5..9), [5..9]);
        for part in [10..20, 30..40, 20..25, 7..7] {
            ranges.add(part);
        }
        assert_eq!(ranges.count(), 2);
        assert_eq!(ranges.gaps(0..50), [0..10, 25..30, 40..50]);
        assert_eq!(ranges.gaps(12..20), []);
        ranges.remove(&(15..35));
        assert_eq!(ranges.gaps(10..40), [15..35]);
        ranges.remove(&(12..13));
        assert_eq!(ranges.gaps(10..15), [12..13]);
        ranges.add(0..100);
        assert_eq!((ranges.count(), ranges.gaps(0..100)), (1, vec![]));
    }
}
