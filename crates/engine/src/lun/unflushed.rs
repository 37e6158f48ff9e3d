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

/// Bytes, kept or under way, beyond which further changes wait for that flush.
const LIMIT: usize = 2 * FLUSH_AT;

/// What a change costs beside its data, so that changes without data are bounded too.
const ENTRY_COST: usize = 64;

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
    /// What the changes in `chunks` cost.
    kept: usize,
    /// What the changes under way will cost.
    reserved: usize,
    /// A flush of our own is under way.
    flushing: bool,
    /// The unit may have forgotten the kept changes: until they are written again, a flush that
    /// succeeds says nothing of them.
    forgotten: bool,
    /// Changes below this number that no flush covers are not kept: nothing is wrong unless the unit
    /// forgets them.
    unguarded: u64,
    /// Changes could not be written again: the next flush must fail.
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
    /// What keeping `operation` with `data` bytes of data costs; 0 for what is not kept.
    pub(crate) fn cost(operation: Operation, data: usize) -> usize {
        match operation {
            Operation::Write { .. } => ENTRY_COST + data,
            Operation::WriteZeroes { .. } => ENTRY_COST,
            Operation::Read | Operation::Flush | Operation::Discard { .. } => 0,
        }
    }

    /// Makes room for a change that is about to be sent; `false` when too much is kept or under way.
    #[must_use]
    pub(crate) fn reserve(&mut self, cost: usize) -> bool {
        let fits = self.kept + self.reserved + cost <= LIMIT;
        self.reserved += if fits { cost } else { 0 };
        fits
    }

    /// A change for which room was made has ended: what was acknowledged is kept by now.
    pub(crate) fn release(&mut self, cost: usize) {
        self.reserved = self.reserved.saturating_sub(cost);
    }

    /// Keeps an acknowledged change.
    pub(crate) fn keep(&mut self, operation: Operation, offset: u64, data: &[u8]) {
        let len = match operation {
            Operation::Write { .. } => data.len(),
            Operation::WriteZeroes { .. } => 0,
            Operation::Read | Operation::Flush | Operation::Discard { .. } => return,
        };
        let number = self.next;
        self.next += 1;
        self.kept += Self::cost(operation, len);
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

    /// The last chunk, if a change with `len` bytes of data fits, else a fresh one.
    fn chunk_for(&mut self, len: usize) -> &mut Chunk {
        let fits = self
            .chunks
            .back()
            .is_some_and(|chunk| chunk.cost() + ENTRY_COST + len <= CHUNK);
        if !fits {
            self.chunks.push_back(self.spare.pop().unwrap_or_default());
        }
        let last = self.chunks.len() - 1;
        &mut self.chunks[last]
    }

    /// Changes are kept. Then one that is durable by itself must be kept too: written again alone,
    /// an older one would undo it.
    pub(crate) fn has_kept(&self) -> bool {
        !self.chunks.is_empty()
    }

    /// Nothing is kept, and no flush must fail.
    pub(crate) fn is_idle(&self) -> bool {
        !self.has_kept() && self.unguarded <= self.flushed && !self.lost
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
            self.drop_first();
        }
        own || !std::mem::take(&mut self.lost)
    }

    /// Empties the first chunk.
    fn drop_first(&mut self) {
        if let Some(mut chunk) = self.chunks.pop_front() {
            self.kept = self.kept.saturating_sub(chunk.cost());
            chunk.data.clear();
            chunk.entries.clear();
            self.spare.push(chunk);
        }
    }

    /// So much is kept that the unit should be flushed, and no flush of ours is under way; it is
    /// noted as begun.
    pub(crate) fn begin_own_flush(&mut self) -> bool {
        let begin = !self.flushing && self.kept >= FLUSH_AT;
        self.flushing |= begin;
        begin
    }

    /// The flush of our own has ended, well or not.
    pub(crate) fn end_own_flush(&mut self) {
        self.flushing = false;
    }

    /// The unit cannot be flushed, so nothing can bound what is kept: it is kept no longer, and if
    /// the unit forgets it, the next flush fails.
    pub(crate) fn give_up(&mut self) {
        self.unguarded = self.next;
        while !self.chunks.is_empty() {
            self.drop_first();
        }
    }

    /// The unit was reset and may have forgotten what is kept; `false` when that is nothing.
    pub(crate) fn set_forgotten(&mut self) -> bool {
        self.forgotten = self.has_kept() || self.unguarded > self.flushed;
        self.forgotten
    }

    /// A flush that succeeds now says nothing: see [`set_forgotten`](Self::set_forgotten).
    pub(crate) fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    /// What the unit may have forgotten is about to be written again; what is not kept is lost.
    pub(crate) fn begin_again(&mut self) {
        self.lost |= self.unguarded > self.flushed;
        self.unguarded = 0;
    }

    /// All that is kept was written again.
    pub(crate) fn end_again(&mut self) {
        self.forgotten = false;
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

impl Chunk {
    fn cost(&self) -> usize {
        self.data.len() + self.entries.len() * ENTRY_COST
    }
}

#[cfg(test)]
mod tests;
