//! What one task has missed: numbers of data PDUs that did not come. Most tasks never have one of these.

use super::coverage::{Coverage, TooManyPieces};
use super::event::PeerMisbehaved;
use super::extended::Extended;
use super::task::Task;
use crate::pdu::{DataIn, Pdu};

/// Runs of missing numbers in one task. A target that loses more in between is not worth asking.
const MAX_RUNS: usize = 32;

/// Numbers from `begin` up to, but not with, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) begin: u32,
    pub(super) end: u32,
}

/// Missing numbers, as runs in rising order.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs(Vec<Run>);

/// There are more runs than are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyRuns;

impl Runs {
    /// Adds the numbers of `run`, which are higher than all there are.
    pub(super) fn append(&mut self, run: Run) -> Result<(), TooManyRuns> {
        if let Some(last) = self.0.last_mut().filter(|last| last.end == run.begin) {
            last.end = run.end;
            return Ok(());
        }
        if self.0.len() >= MAX_RUNS {
            return Err(TooManyRuns);
        }
        self.0.push(run);
        Ok(())
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        self.0
            .iter()
            .any(|run| (run.begin..run.end).contains(&number))
    }

    /// Takes one number out; `false` when it is not in.
    pub(super) fn take(&mut self, number: u32) -> bool {
        let holds = |run: &Run| (run.begin..run.end).contains(&number);
        let Some(at) = self.0.iter().position(holds) else {
            return false;
        };
        let Some(&run) = self.0.get(at) else {
            return false;
        };
        let parts = [
            Run { end: number, ..run },
            Run {
                begin: number.saturating_add(1),
                ..run
            },
        ];
        // One run more than there were, at the very most one above the limit.
        let parts = parts.into_iter().filter(|part| part.begin < part.end);
        self.0.splice(at..=at, parts);
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn first(&self) -> Option<Run> {
        self.0.first().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Run> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// A DataACK that is owed (RFC 7143 §11.16.2): the tags of the Data-In with the A bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwedAck {
    pub(super) lun: [u8; 8],
    pub(super) ttt: u32,
}

/// What a task that something happened to needs beyond the others.
#[derive(Debug, Clone, Default)]
pub(super) struct Recovery {
    /// Its additional headers.
    pub(super) extended: Option<Extended>,
    /// Which bytes came, once they did not come in order.
    covered: Option<Coverage>,
    /// DataSNs, or R2TSNs, that did not come.
    pub(super) missing: Runs,
    /// The number behind the last Data-In, when that is known.
    pub(super) end_of_data: Option<u32>,
    /// Those below this were asked for.
    asked_up_to: u32,
    /// An acknowledgement that waits for what is missing.
    pub(super) owed: Option<OwedAck>,
    /// The target does not send again what is missing: the task cannot end well.
    pub(super) is_hopeless: bool,
    /// It went on on another connection: its next R2T may have any number.
    pub(super) is_resumed: bool,
    /// The target has rejected its reassignment, and may have carried it out all the same.
    pub(super) is_doubtful: bool,
    /// Times that its reassignment was asked for in vain.
    reassigns: u8,
    /// Times that it was asked for on another connection.
    moves: u8,
    /// Times that its command was sent again under its number.
    pub(super) retries: u8,
    /// The target has rejected its command.
    pub(super) is_refused: bool,
}

impl Recovery {
    /// The missing runs that were not asked for yet; they count as asked for from now on.
    pub(super) fn unasked(&mut self) -> Vec<Run> {
        let from = self.asked_up_to;
        let cut = |run: Run| Run {
            begin: run.begin.max(from),
            ..run
        };
        let runs = self
            .missing
            .iter()
            .map(cut)
            .filter(|run| run.begin < run.end);
        let runs: Vec<Run> = runs.collect();
        self.asked_up_to = runs.last().map_or(from, |run| run.end);
        runs
    }

    /// All that is missing is to be asked for again.
    pub(super) fn forget_asking(&mut self) {
        self.asked_up_to = 0;
    }
}

impl Task {
    /// The data PDUs from the next one up to `number`, which is not in, did not come.
    pub(super) fn skip_to(&mut self, number: u32) -> Result<(), PeerMisbehaved> {
        let (got, expected) = (number, self.next_data_sn);
        if got <= expected {
            return Ok(());
        }
        let run = Run {
            begin: expected,
            end: got,
        };
        let appended = self.recovery_mut().missing.append(run);
        appended.map_err(|TooManyRuns| PeerMisbehaved::DataSnGap { got, expected })?;
        self.next_data_sn = got;
        self.data_pdus = self.data_pdus.saturating_add(got - expected);
        Ok(())
    }

    /// The header of a Data-In whose data is lost tells that no other comes behind it.
    pub(super) fn note_end_of_data(&mut self, pdu: &DataIn) {
        let behind = pdu
            .buffer_offset
            .get()
            .checked_add(pdu.data_segment_length());
        if pdu.has_status() || behind == Some(self.read_length()) {
            self.recovery_mut().end_of_data = Some(pdu.data_sn.get().saturating_add(1));
        }
    }

    /// Data came that is not simply the next.
    #[cold]
    pub(super) fn count_out_of_turn(
        &mut self,
        pdu: &DataIn,
        is_next: bool,
    ) -> Result<(), PeerMisbehaved> {
        let received = self.received;
        let recovery = self.recovery_mut();
        if !is_next && !recovery.missing.take(pdu.data_sn.get()) {
            return Ok(());
        }
        let begin = pdu.buffer_offset.get();
        // `place` has checked that this does not pass the expected length.
        let end = begin.saturating_add(pdu.data_segment_length());
        let covered = recovery
            .covered
            .get_or_insert_with(|| Coverage::up_to(received));
        let added = covered.add(begin, end);
        added.map_err(|TooManyPieces| PeerMisbehaved::DataOutOfOrder {
            got: begin,
            expected: received,
        })?;
        self.received = covered.total();
        Ok(())
    }

    /// The target has ended it well, but bytes are missing before the last that came.
    #[inline]
    pub(super) fn has_hole(&self) -> bool {
        self.recovery.as_ref().is_some_and(|recovery| {
            let covered = recovery.covered.as_ref();
            !recovery.is_hopeless && covered.is_some_and(|covered| !covered.is_whole())
        })
    }

    /// Some of its data is missing, and may still come.
    pub(super) fn waits_for_gaps(&self) -> bool {
        self.has_gaps() && self.recovery.as_ref().is_some_and(|r| !r.is_hopeless)
    }

    /// What is missing does not come: a read cannot end well, a write does without.
    pub(super) fn give_up_gaps(&mut self) {
        let is_read = self.is_read();
        let Some(recovery) = self.recovery.as_mut() else {
            return;
        };
        if is_read {
            recovery.is_hopeless |= !recovery.missing.is_empty();
        } else {
            recovery.missing.clear();
        }
    }

    /// It has not all of its data and never will.
    pub(super) fn is_hopeless(&self) -> bool {
        self.recovery
            .as_ref()
            .is_some_and(|recovery| recovery.is_hopeless)
    }

    /// Its additional headers, if it has any.
    #[inline]
    pub(super) fn extended(&self) -> Option<&Extended> {
        self.recovery.as_ref()?.extended.as_ref()
    }

    /// What was lost of it does not matter any more: it begins anew.
    #[cold]
    pub(super) fn forget_recovery(&mut self) {
        let extended = self.recovery.take().and_then(|recovery| recovery.extended);
        if extended.is_some() {
            self.recovery_mut().extended = extended;
        }
    }

    /// What it needs beyond other tasks, from now on.
    pub(super) fn recovery_mut(&mut self) -> &mut Recovery {
        self.recovery.get_or_insert_default()
    }

    /// Some of its data is missing.
    pub(super) fn has_gaps(&self) -> bool {
        self.recovery
            .as_ref()
            .is_some_and(|recovery| !recovery.missing.is_empty())
    }

    /// The first DataSN that did not come, for a command that reads; 0 for all else.
    pub(super) fn first_missing(&self) -> u32 {
        if !self.is_read() {
            return 0;
        }
        let recovery = self.recovery.as_ref();
        let missing = recovery.and_then(|recovery| recovery.missing.first());
        missing.map_or(self.next_data_sn, |run| run.begin)
    }

    /// It goes on on another connection, from the first number that is missing.
    pub(super) fn resume(&mut self) {
        let next = self.first_missing();
        let reads = self.is_read();
        self.open_r2ts = 0;
        if reads {
            self.next_data_sn = next;
            self.data_pdus = next;
        }
        let recovery = self.recovery_mut();
        recovery.missing.clear();
        recovery.owed = None;
        recovery.end_of_data = None;
        recovery.forget_asking();
        recovery.is_resumed = true;
    }

    /// Counts that it is to go on on another connection.
    pub(super) fn may_move_again(&mut self, limit: u8) -> bool {
        let recovery = self.recovery_mut();
        recovery.moves = recovery.moves.saturating_add(1);
        recovery.moves <= limit
    }

    /// Counts a reassignment that the target was not ready for.
    pub(super) fn may_ask_again(&mut self, limit: u8) -> bool {
        let recovery = self.recovery_mut();
        recovery.reassigns = recovery.reassigns.saturating_add(1);
        recovery.reassigns < limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(runs: &Runs) -> Vec<(u32, u32)> {
        runs.iter().map(|run| (run.begin, run.end)).collect()
    }

    #[test]
    fn runs_are_joined_split_and_emptied() {
        let mut missing = Runs::default();
        missing.append(Run { begin: 2, end: 5 }).unwrap();
        missing.append(Run { begin: 5, end: 6 }).unwrap();
        missing.append(Run { begin: 9, end: 10 }).unwrap();
        assert_eq!(runs(&missing), [(2, 6), (9, 10)]);
        assert!(missing.take(3) && !missing.take(3) && !missing.take(7));
        assert_eq!(runs(&missing), [(2, 3), (4, 6), (9, 10)]);
        for number in [9, 2, 5, 4] {
            assert!(missing.contains(number) && missing.take(number));
        }
        assert!(missing.is_empty() && missing.first().is_none());
    }

    #[test]
    fn runs_have_a_limit() {
        let mut missing = Runs::default();
        let run = |at: u32| Run {
            begin: at,
            end: at + 1,
        };
        let added = (0..100).filter(|n| missing.append(run(2 * n)).is_ok());
        assert_eq!(added.count(), MAX_RUNS);
    }
}
