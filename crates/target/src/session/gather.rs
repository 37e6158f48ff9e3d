//! The write data of one task: immediate, unsolicited, and asked for with R2Ts
//! (RFC 7143 §4.2.5.2, §11.7, §11.8).

use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::NIL;

use crate::faults::R2tFault;

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
}

impl DataFault {
    /// The additional sense code and its qualifier.
    pub(crate) fn asc(self) -> (u8, u8) {
        match self {
            Self::Unexpected => (0x0c, 0x0c),
            Self::Amount => (0x0c, 0x0d),
            Self::Lost => (0x47, 0x05),
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
        }
    }
}

/// A run of Data-Out PDUs that ends with F=1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sequence {
    /// The tag of its R2T; NIL when nobody asked.
    ttt: u32,
    start: u32,
    end: u32,
    /// Bytes that came.
    done: u32,
    data_sn: u32,
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
            fault: None,
        };
        if immediate > 0 && !rules.immediate_data || !last && rules.initial_r2t {
            gather.fault = Some(DataFault::Unexpected);
        } else if immediate > limit {
            gather.fault = Some(DataFault::Amount);
        }
        if !last {
            gather.asked = limit.max(immediate);
            gather.sequences.push(Sequence {
                ttt: NIL,
                start: immediate,
                end: limit.max(immediate),
                done: 0,
                data_sn: 0,
            });
        }
        gather
    }

    /// Whether the command takes all its data from the immediate part that is in the buffer, or
    /// never gets it.
    pub(crate) fn is_finished(&self) -> bool {
        self.sequences.is_empty() && (self.fault.is_some() || self.asked >= self.wanted)
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
        let in_order = self.rules.data_pdu_in_order;
        let Some(sequence) = self.sequences.iter().find(|s| s.ttt == piece.ttt) else {
            return Fate::Stray;
        };
        let end = piece.offset.checked_add(piece.length);
        let inside = piece.offset >= sequence.start && end.is_some_and(|end| end <= sequence.end);
        let next = sequence.start.wrapping_add(sequence.done);
        if piece.data_sn != sequence.data_sn {
            self.fail(DataFault::Lost);
        } else if !inside || in_order && piece.offset != next {
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
        if !digest_ok {
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
        if !piece.last {
            return;
        }
        let sequence = self.sequences.swap_remove(index);
        if sequence.done != sequence.end - sequence.start {
            self.fail(DataFault::Amount);
        }
    }

    /// The R2Ts to send now. `tag` gives a new Target Transfer Tag.
    pub(crate) fn ask(&mut self, bend: R2tFault, mut tag: impl FnMut() -> u32) -> Vec<Ask> {
        if self.is_unsolicited() || self.fault.is_some() {
            return Vec::new();
        }
        let mut asks = Vec::new();
        while self.asked < self.wanted && self.sequences.len() < self.rules.max_outstanding_r2t {
            let burst = match bend.max_bytes {
                0 => self.rules.max_burst,
                most => most.min(self.rules.max_burst),
            };
            let length = burst.min(self.wanted - self.asked);
            let ask = Ask {
                ttt: tag(),
                r2t_sn: self.r2t_sn,
                offset: self.asked,
                length,
            };
            self.r2t_sn = self.r2t_sn.wrapping_add(1);
            self.asked += length;
            asks.push(ask);
            self.sequences.push(Sequence {
                ttt: ask.ttt,
                start: ask.offset,
                end: ask.offset + length,
                done: 0,
                data_sn: 0,
            });
        }
        if bend.reversed && !self.rules.data_sequence_in_order {
            self.reverse(&mut asks);
        }
        asks
    }

    /// Turns the order of new R2Ts around; their R2TSN rise all the same.
    fn reverse(&mut self, asks: &mut [Ask]) {
        let numbers: Vec<u32> = asks.iter().map(|ask| ask.r2t_sn).collect();
        asks.reverse();
        for (ask, r2t_sn) in asks.iter_mut().zip(numbers) {
            ask.r2t_sn = r2t_sn;
        }
    }
}

#[cfg(test)]
mod tests;
