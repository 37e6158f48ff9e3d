//! Writes that a unit with a volatile cache has acknowledged and not yet flushed.
//!
//! A target that dies and comes back has forgotten them, and a session that is made again hides
//! that it died: the next flush would succeed, and the caller would believe its data safe. So they
//! are kept here until a flush that covers them succeeds, and written again after each new login,
//! before anything else. What was flushed is never written again.

use std::collections::VecDeque;

use hawser_block::Operation;

/// Bytes of one chunk of kept data: the largest write of ours fits.
const CHUNK: usize = 1024 * 1024;

/// Kept bytes from which on the unit is flushed by our own decision.
const FLUSH_AT: usize = 16 * CHUNK;

/// Kept bytes at which further writes wait for that flush.
const LIMIT: usize = 2 * FLUSH_AT;

/// One acknowledged change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// `len` bytes at `at` of the chunk.
    Data { at: usize, len: usize },
    /// So many zeroes.
    Zeroes { length: u64, may_unmap: bool },
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    number: u64,
    offset: u64,
    change: Change,
}

/// Entries and the bytes they refer to. Emptied chunks are used again.
#[derive(Debug, Default)]
struct Chunk {
    data: Vec<u8>,
    entries: Vec<Entry>,
}

/// The acknowledged, unflushed changes of one unit, in the order of their acknowledgement.
#[derive(Debug, Default)]
pub(crate) struct Unflushed {
    chunks: VecDeque<Chunk>,
    spare: Vec<Chunk>,
    /// The number of the next change.
    next: u64,
    /// Changes below this number are flushed.
    flushed: u64,
    /// A flush of our own is under way.
    flushing: bool,
    /// Changes that could not be written again: the next flush must fail.
    lost: bool,
}

/// A kept change, to be written again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its number, to go on behind it.
    pub(crate) number: u64,
    /// Where on the disk, in bytes.
    pub(crate) offset: u64,
    /// A write or a write of zeroes.
    pub(crate) operation: Operation,
    /// The data of a write.
    pub(crate) data: Vec<u8>,
}

impl Unflushed {
    /// Keeps an acknowledged change.
    pub(crate) fn keep(&mut self, operation: Operation, offset: u64, data: &[u8]) {
        let len = match operation {
            Operation::Write { .. } => data.len(),
            Operation::WriteZeroes { .. } => 0,
            Operation::Read | Operation::Flush | Operation::Discard { .. } => return,
        };
        let number = self.next;
        self.next += 1;
        let chunk = self.chunk_for(len);
        let change = match operation {
            Operation::WriteZeroes {
                length, may_unmap, ..
            } => Change::Zeroes { length, may_unmap },
            _ => Change::Data {
                at: chunk.data.len(),
                len,
            },
        };
        chunk
            .data
            .extend_from_slice(data.get(..len).unwrap_or_default());
        chunk.entries.push(Entry {
            number,
            offset,
            change,
        });
    }

    /// The last chunk, if `len` more bytes fit, else a fresh one.
    fn chunk_for(&mut self, len: usize) -> &mut Chunk {
        let fits = self
            .chunks
            .back()
            .is_some_and(|chunk| chunk.data.len() + len <= CHUNK);
        if !fits {
            self.chunks.push_back(self.spare.pop().unwrap_or_default());
        }
        let last = self.chunks.len() - 1;
        &mut self.chunks[last]
    }

    /// The mark of a flush that is sent now: it covers the changes acknowledged so far.
    pub(crate) fn mark(&self) -> u64 {
        self.next
    }

    /// A flush with this mark succeeded. `false`: but changes before it are lost, so whoever asked
    /// for it must hear of an error. A flush of our `own` leaves that for one that was asked for.
    #[must_use]
    pub(crate) fn flushed(&mut self, mark: u64, own: bool) -> bool {
        self.flushed = self.flushed.max(mark);
        while let Some(chunk) = self.chunks.front() {
            if chunk
                .entries
                .last()
                .is_some_and(|entry| entry.number >= self.flushed)
            {
                break;
            }
            let Some(mut chunk) = self.chunks.pop_front() else {
                break;
            };
            chunk.data.clear();
            chunk.entries.clear();
            self.spare.push(chunk);
        }
        own || !std::mem::take(&mut self.lost)
    }

    fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.data.len()).sum()
    }

    /// So much is kept that the unit should be flushed, and no flush of ours is under way; it is
    /// noted as begun.
    pub(crate) fn begin_own_flush(&mut self) -> bool {
        let begin = !self.flushing && self.bytes() >= FLUSH_AT;
        self.flushing |= begin;
        begin
    }

    /// The flush of our own has ended, well or not.
    pub(crate) fn end_own_flush(&mut self) {
        self.flushing = false;
    }

    /// Nothing more can be kept until a flush succeeds.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes() >= LIMIT
    }

    /// The first kept change from `number` on that no flush has covered.
    pub(crate) fn from(&self, number: u64) -> Option<Kept> {
        let number = number.max(self.flushed);
        let chunk = self.chunks.iter().find(|chunk| {
            chunk
                .entries
                .last()
                .is_some_and(|entry| entry.number >= number)
        })?;
        let at = chunk.entries.partition_point(|entry| entry.number < number);
        let entry = chunk.entries.get(at)?;
        let (operation, data) = match entry.change {
            Change::Data { at, len } => (
                Operation::Write { fua: false },
                chunk.data.get(at..at + len)?.to_vec(),
            ),
            Change::Zeroes { length, may_unmap } => (
                Operation::WriteZeroes {
                    length,
                    fua: false,
                    may_unmap,
                },
                Vec::new(),
            ),
        };
        Some(Kept {
            number: entry.number,
            offset: entry.offset,
            operation,
            data,
        })
    }

    /// Kept changes could not be written again.
    pub(crate) fn set_lost(&mut self) {
        self.lost = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Operation = Operation::Write { fua: false };

    fn all(kept: &Unflushed) -> Vec<(u64, Vec<u8>)> {
        let mut next = 0;
        std::iter::from_fn(|| {
            let change = kept.from(next)?;
            next = change.number + 1;
            Some((change.offset, change.data))
        })
        .collect()
    }

    #[test]
    fn a_flush_covers_what_was_acknowledged_before_it_was_sent() {
        let mut kept = Unflushed::default();
        kept.keep(WRITE, 0, &[1; 512]);
        let mark = kept.mark();
        kept.keep(WRITE, 512, &[2; 512]);
        assert!(kept.flushed(mark, false));
        assert_eq!(all(&kept), [(512, vec![2; 512])]);
        let mark = kept.mark();
        assert!(kept.flushed(mark, false));
        assert_eq!(all(&kept), []);
    }

    #[test]
    fn order_is_kept_over_many_chunks_and_memory_is_used_again() {
        let mut kept = Unflushed::default();
        for round in 0..3u64 {
            for i in 0..40u64 {
                kept.keep(WRITE, i, &vec![i as u8; 300_000]);
            }
            let expected: Vec<_> = (0..40).map(|i| (i, vec![i as u8; 300_000])).collect();
            assert!(all(&kept) == expected, "round {round}");
            let mark = kept.mark();
            assert!(kept.flushed(mark, false));
            assert_eq!(kept.bytes(), 0);
        }
        assert!(kept.spare.len() <= 14, "{} chunks", kept.spare.len());
    }

    #[test]
    fn what_is_kept_is_bounded_by_flushes_of_our_own() {
        let mut kept = Unflushed::default();
        let mut flushes = 0;
        while !kept.is_full() {
            kept.keep(WRITE, 0, &[0; 65_536]);
            flushes += u32::from(kept.begin_own_flush());
        }
        assert_eq!(flushes, 1, "one at a time");
        let mark = kept.mark();
        assert!(kept.flushed(mark, false));
        kept.end_own_flush();
        assert!(!kept.is_full());
    }

    #[test]
    fn a_loss_is_told_by_the_next_flush_and_only_by_that() {
        let mut kept = Unflushed::default();
        kept.keep(WRITE, 0, &[1; 512]);
        kept.set_lost();
        let mark = kept.mark();
        assert!(kept.flushed(mark, true), "nobody asked for this one");
        let mark = kept.mark();
        assert!(!kept.flushed(mark, false));
        let mark = kept.mark();
        assert!(kept.flushed(mark, false));
    }

    #[test]
    fn zeroes_are_kept_and_discards_are_not() {
        let mut kept = Unflushed::default();
        let zeroes = Operation::WriteZeroes {
            length: 4096,
            fua: true,
            may_unmap: true,
        };
        kept.keep(zeroes, 512, &[]);
        kept.keep(Operation::Discard { length: 4096 }, 0, &[]);
        let change = kept.from(0).unwrap();
        assert_eq!(
            change.operation,
            Operation::WriteZeroes {
                length: 4096,
                fua: false,
                may_unmap: true
            }
        );
        assert!(kept.from(1).is_none());
    }
}
