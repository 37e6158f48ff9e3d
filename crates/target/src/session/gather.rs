//! The write data of one task: immediate, unsolicited, and asked for with R2Ts
//! (RFC 7143 §4.2.5.2, §11.7, §11.8).

use std::collections::VecDeque;
use std::ops::Range;

use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::NIL;

use super::disorder::Chance;
use super::ranges::Ranges;
use crate::faults::R2tFault;

/// How often data of one task may be lost before the task fails: an initiator whose digests are
/// always wrong is not asked for ever.
const LOSSES_LIMIT: u32 = 64;

/// Into how many separate parts the data of one sequence may fall; more make the task fail.
const PARTS_LIMIT: usize = 1024;

/// How many tags of sequences that were given up are remembered.
const STALE_LIMIT: usize = 64;

/// What went wrong with the data of a task. It is told once nothing more is on its way
/// (RFC 7143 §11.4.2), as CHECK CONDITION with key ABORTED COMMAND (§11.4.7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataFault {
    /// Data that the login did not allow to be sent unasked: 0C/0C.
    Unexpected,
    /// More or less data than agreed, or not where it belongs: 0C/0D.
    Amount,
    /// A data digest was wrong, or a PDU is missing: 47/05.
    Lost,
    /// A SNACK was rejected: 11/13.
    SnackRejected,
}

impl DataFault {
    /// The additional sense code and its qualifier.
    pub(crate) fn asc(self) -> (u8, u8) {
        match self {
            Self::Unexpected => (0x0c, 0x0c),
            Self::Amount => (0x0c, 0x0d),
            Self::Lost => (0x47, 0x05),
            Self::SnackRejected => (0x11, 0x13),
        }
    }
}

/// What the login agreed on about write data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) immediate_data: bool,
    pub(crate) initial_r2t: bool,
    pub(crate) first_burst: u32,
    pub(crate) max_burst: u32,
    pub(crate) max_outstanding_r2t: usize,
    pub(crate) data_pdu_in_order: bool,
    pub(crate) data_sequence_in_order: bool,
    /// Lost data is asked for again (ErrorRecoveryLevel 1 and 2).
    pub(crate) recovers: bool,
}

impl Rules {
    /// Whether a command that expects `expected` bytes may bring `length` of them along.
    pub(crate) fn takes(&self, length: usize, expected: u32) -> bool {
        self.immediate_data && length <= self.first_burst.min(expected) as usize
    }
}

impl From<&Parameters> for Rules {
    fn from(parameters: &Parameters) -> Self {
        Self {
            immediate_data: parameters.immediate_data,
            initial_r2t: parameters.initial_r2t,
            first_burst: parameters.first_burst,
            max_burst: parameters.max_burst,
            max_outstanding_r2t: usize::from(parameters.max_outstanding_r2t),
            data_pdu_in_order: parameters.data_pdu_in_order,
            data_sequence_in_order: parameters.data_sequence_in_order,
            recovers: parameters.error_recovery_level > 0,
        }
    }
}

/// A run of Data-Out PDUs that ends with F=1.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sequence {
    /// The tag of its R2T; NIL when nobody asked.
    ttt: u32,
    r2t_sn: u32,
    start: u32,
    end: u32,
    /// Bytes that came.
    done: u32,
    data_sn: u32,
    /// What came, if lost data is to be asked for again.
    came: Ranges,
    /// Something of it was lost.
    lossy: bool,
}

impl Sequence {
    fn new(ttt: u32, r2t_sn: u32, range: Range<u32>) -> Self {
        Self {
            ttt,
            r2t_sn,
            start: range.start,
            end: range.end,
            done: 0,
            data_sn: 0,
            came: Ranges::default(),
            lossy: false,
        }
    }
}

/// An R2T to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) ttt: u32,
    pub(crate) r2t_sn: u32,
    pub(crate) offset: u32,
    pub(crate) length: u32,
}

/// What the header of a Data-Out says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) ttt: u32,
    pub(crate) data_sn: u32,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) last: bool,
}

/// What to do with the payload of a Data-Out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Store it at its offset.
    Store,
    /// Take it off the wire and forget it.
    Discard,
    /// Its tag is none of ours: Reject.
    Stray,
}

/// The write data of one task.
#[derive(Debug)]
pub(crate) struct Gather {
    rules: Rules,
    /// How many bytes the command takes; what comes beyond is dropped.
    wanted: u32,
    buffer: Vec<u8>,
    sequences: Vec<Sequence>,
    /// Every byte before this one has come or was asked for.
    asked: u32,
    r2t_sn: u32,
    /// What is to be asked for before the rest: what was lost, and what is asked for out of order.
    first: VecDeque<Range<u32>>,
    /// How often something was.
    losses: u32,
    /// Tags of sequences that were given up: what still comes of them is not minded.
    stale: VecDeque<u32>,
    /// Grows with every Data-Out and every R2T.
    progress: u64,
    fault: Option<DataFault>,
}

impl Gather {
    /// The data of a command that announces `expected` bytes (EDTL) and takes `wanted` of them.
    /// `immediate` bytes came with it; more come unasked unless it is `last` (its F bit).
    /// `buffer` is reused.
    pub(crate) fn new(
        rules: Rules,
        expected: u32,
        wanted: u32,
        immediate: u32,
        last: bool,
        buffer: Vec<u8>,
    ) -> Self {
        let limit = rules.first_burst.min(expected);
        let mut gather = Self {
            rules,
            wanted: wanted.min(expected),
            buffer,
            sequences: Vec::new(),
            asked: immediate,
            r2t_sn: 0,
            first: VecDeque::new(),
            losses: 0,
            stale: VecDeque::new(),
            progress: 0,
            fault: None,
        };
        if immediate > 0 && !rules.immediate_data || !last && rules.initial_r2t {
            gather.fault = Some(DataFault::Unexpected);
        } else if immediate > limit {
            gather.fault = Some(DataFault::Amount);
        }
        if !last {
            gather.asked = limit.max(immediate);
            let range = immediate..limit.max(immediate);
            gather.sequences.push(Sequence::new(NIL, 0, range));
        }
        gather
    }

    /// Whether the command takes all its data from the immediate part that is in the buffer, or
    /// never gets it.
    pub(crate) fn is_finished(&self) -> bool {
        let complete = self.asked >= self.wanted && self.first.is_empty();
        self.sequences.is_empty() && (self.fault.is_some() || complete)
    }

    /// Whether Data-Out with this tag is on its way.
    pub(crate) fn is_expected(&self, ttt: u32) -> bool {
        self.sequences.iter().any(|sequence| sequence.ttt == ttt)
    }

    /// Whether Data-Out that nobody asked for is on its way: it decides what is left to ask for.
    pub(crate) fn is_unsolicited(&self) -> bool {
        self.is_expected(NIL)
    }

    /// Whether Data-Out is on its way.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.sequences.is_empty()
    }

    /// Whether some of what is on its way was asked for with R2Ts.
    pub(crate) fn has_open_r2ts(&self) -> bool {
        self.sequences.iter().any(|sequence| sequence.ttt != NIL)
    }

    /// What went wrong.
    pub(crate) fn fault(&self) -> Option<DataFault> {
        self.fault
    }

    /// Notes what went wrong; the first fault stays.
    pub(crate) fn fail(&mut self, fault: DataFault) {
        self.fault.get_or_insert(fault);
    }

    /// How much memory the task asks for once R2Ts are sent.
    pub(crate) fn wanted(&self) -> usize {
        self.wanted as usize
    }

    /// The data that came.
    pub(crate) fn data(&self) -> &[u8] {
        self.buffer.get(..self.wanted()).unwrap_or_default()
    }

    /// Gives the buffer away, to be reused.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Takes the buffer out, to read into it; give it back with [`Self::put_buffer`].
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// Gives back what [`Self::take_buffer`] took.
    pub(crate) fn put_buffer(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }

    /// Stores bytes that came, as far as the command takes them.
    pub(crate) fn store(&mut self, offset: u32, bytes: &[u8]) {
        let start = offset as usize;
        let end = start.saturating_add(bytes.len()).min(self.wanted());
        let Some(bytes) = bytes
            .get(..end.saturating_sub(start))
            .filter(|b| !b.is_empty())
        else {
            return;
        };
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        if let Some(place) = self.buffer.get_mut(start..end) {
            place.copy_from_slice(bytes);
        }
    }

    /// Makes room for all data, so that it can be read to where it belongs.
    pub(crate) fn make_room(&mut self) {
        if self.buffer.len() < self.wanted() {
            self.buffer.resize(self.wanted(), 0);
        }
    }

    /// Judges the header of a Data-Out. Its payload comes between this and [`Self::arrived`].
    pub(crate) fn judge(&mut self, piece: Piece) -> Fate {
        let (in_order, recovers) = (self.rules.data_pdu_in_order, self.rules.recovers);
        let Some(sequence) = self.sequences.iter_mut().find(|s| s.ttt == piece.ttt) else {
            return Fate::Stray;
        };
        let end = piece.offset.checked_add(piece.length);
        let inside = piece.offset >= sequence.start && end.is_some_and(|end| end <= sequence.end);
        let next = sequence.start.wrapping_add(sequence.done);
        let missed = piece.data_sn != sequence.data_sn;
        if recovers {
            // RFC 7143 §7.9: the PDUs in between are lost, and asked for again behind the last.
            sequence.lossy |= missed;
        } else if missed {
            self.fail(DataFault::Lost);
        }
        // Behind a loss, only the limits of the sequence are known.
        let known = !recovers;
        if !inside || known && in_order && piece.offset != next {
            self.fail(DataFault::Amount);
        }
        if self.fault.is_some() {
            Fate::Discard
        } else {
            Fate::Store
        }
    }

    /// Takes note that a Data-Out is complete.
    pub(crate) fn arrived(&mut self, piece: Piece, digest_ok: bool) {
        self.progress += 1;
        let recovers = self.rules.recovers;
        if !digest_ok && !recovers {
            self.fail(DataFault::Lost);
        }
        let Some(index) = self.sequences.iter().position(|s| s.ttt == piece.ttt) else {
            return;
        };
        let Some(sequence) = self.sequences.get_mut(index) else {
            return;
        };
        sequence.data_sn = piece.data_sn.wrapping_add(1);
        sequence.done = sequence.done.saturating_add(piece.length);
        sequence.lossy |= !digest_ok;
        let range = piece.offset..piece.offset.saturating_add(piece.length);
        match (recovers, digest_ok) {
            (false, _) => {}
            (true, true) => sequence.came.add(range),
            (true, false) => sequence.came.remove(&range),
        }
        let scattered = sequence.came.count() > PARTS_LIMIT;
        if scattered {
            self.fail(DataFault::Amount);
        }
        if piece.last {
            self.close(index);
        }
    }

    /// A sequence is over. What is missing of it is asked for again if it was lost; if it was never
    /// sent, that is a fault.
    fn close(&mut self, index: usize) {
        let sequence = self.sequences.swap_remove(index);
        if !sequence.lossy {
            if sequence.done != sequence.end - sequence.start {
                self.fail(DataFault::Amount);
            }
            return;
        }
        let end = sequence.end.min(self.wanted);
        let gaps = sequence.came.gaps(sequence.start.min(end)..end);
        if gaps.is_empty() {
            return;
        }
        self.first.extend(gaps);
        self.losses += 1;
        if self.losses > LOSSES_LIMIT {
            self.fail(DataFault::Lost);
        }
    }

    /// Gives up waiting for what is on its way: all that has not come is lost
    /// (RFC 7143 §7.1.4.1 b).
    pub(crate) fn time_out(&mut self) {
        while let Some(sequence) = self.sequences.last_mut() {
            sequence.lossy = true;
            self.stale.push_back(sequence.ttt);
            if self.stale.len() > STALE_LIMIT {
                self.stale.pop_front();
            }
            self.close(self.sequences.len() - 1);
        }
        self.progress += 1;
    }

    /// Goes on on another connection: what was on its way there is asked for again. R2Ts before
    /// `exp_data_sn` have arrived; numbers from there on are used anew (RFC 7143 §7.2.2, §11.5.6).
    pub(crate) fn resume(&mut self, exp_data_sn: u32) {
        let losses = self.losses;
        self.time_out();
        self.stale.clear();
        // It is not the initiator that lost it.
        self.losses = losses;
        if exp_data_sn <= self.r2t_sn {
            self.r2t_sn = exp_data_sn;
        }
    }

    /// Whether a tag is that of a sequence that was given up.
    pub(crate) fn is_stale(&self, ttt: u32) -> bool {
        self.stale.contains(&ttt)
    }

    /// A number that changes whenever data comes or is asked for.
    pub(crate) fn progress(&self) -> u64 {
        self.progress
    }

    /// Forgets the sequences of which nothing has come.
    pub(crate) fn drop_untouched(&mut self) {
        self.sequences.retain(|sequence| sequence.done > 0);
    }

    /// The R2TSN of the next R2T.
    pub(crate) fn next_r2t(&self) -> u32 {
        self.r2t_sn
    }

    /// The R2Ts of these numbers that are open.
    pub(crate) fn open_r2ts(&self, numbers: Range<u32>) -> impl Iterator<Item = Ask> + use<'_> {
        self.sequences
            .iter()
            .filter(move |s| s.ttt != NIL && numbers.contains(&s.r2t_sn))
            .map(|sequence| Ask {
                ttt: sequence.ttt,
                r2t_sn: sequence.r2t_sn,
                offset: sequence.start,
                length: sequence.end - sequence.start,
            })
    }

    /// The R2Ts to send now. `tag` gives a new Target Transfer Tag.
    pub(crate) fn ask(&mut self, bend: R2tFault, mut tag: impl FnMut() -> u32) -> Vec<Ask> {
        if self.is_unsolicited() || self.fault.is_some() {
            return Vec::new();
        }
        let mut asks = Vec::new();
        let burst = self.burst(bend);
        while self.sequences.len() < self.rules.max_outstanding_r2t
            && let Some(range) = self.next_range(burst)
        {
            let ask = Ask {
                ttt: tag(),
                r2t_sn: self.r2t_sn,
                offset: range.start,
                length: range.end - range.start,
            };
            self.r2t_sn = self.r2t_sn.wrapping_add(1);
            self.progress += 1;
            asks.push(ask);
            self.sequences
                .push(Sequence::new(ask.ttt, ask.r2t_sn, range));
        }
        if bend.reversed && !self.rules.data_sequence_in_order {
            self.reverse(&mut asks);
        }
        asks
    }

    /// The next range to ask for.
    fn next_range(&mut self, burst: u32) -> Option<Range<u32>> {
        if let Some(first) = self.first.pop_front() {
            let end = first.end.min(first.start.saturating_add(burst));
            if end < first.end {
                self.first.push_front(end..first.end);
            }
            return Some(first.start..end);
        }
        let start = self.asked;
        let end = self.wanted.min(start.saturating_add(burst));
        if start >= end {
            return None;
        }
        self.asked = end;
        Some(start..end)
    }

    /// Has all that was not asked for yet asked for in an order of chance, in pieces of a burst, if
    /// the sequences may be out of order.
    pub(crate) fn scatter(&mut self, bend: R2tFault, chance: &mut Chance) {
        let free = !self.rules.data_sequence_in_order && !self.is_unsolicited();
        if !free || self.asked >= self.wanted {
            return;
        }
        let burst = self.burst(bend);
        let mut pieces = Vec::new();
        while self.asked < self.wanted {
            let end = self.wanted.min(self.asked.saturating_add(burst));
            pieces.push(self.asked..end);
            self.asked = end;
        }
        chance.shuffle(&mut pieces);
        self.first.extend(pieces);
    }

    /// How much to ask for with one R2T.
    fn burst(&self, bend: R2tFault) -> u32 {
        match bend.max_bytes {
            0 => self.rules.max_burst,
            most => most.min(self.rules.max_burst),
        }
    }

    /// Turns the order of new R2Ts around; their R2TSN rise all the same.
    fn reverse(&mut self, asks: &mut [Ask]) {
        let numbers: Vec<u32> = asks.iter().map(|ask| ask.r2t_sn).collect();
        asks.reverse();
        for (ask, r2t_sn) in asks.iter_mut().zip(numbers) {
            ask.r2t_sn = r2t_sn;
            let own = self.sequences.iter_mut().find(|s| s.ttt == ask.ttt);
            if let Some(sequence) = own {
                sequence.r2t_sn = r2t_sn;
            }
        }
    }
}

#[cfg(test)]
mod tests;
