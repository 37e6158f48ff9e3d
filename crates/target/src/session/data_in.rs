//! The data of a read on its way to the initiator: cut into PDUs and sequences, and sent
//! (RFC 7143 §11.7).

use std::ops::Range;
use std::sync::Arc;

use hawser_proto::pdu::{Bhs, DataIn, Pdu, Response};

use super::Turn;
use super::finished::{Outcome, Residual};
use super::task::Command;
use crate::connection::output::Payload;

/// Payloads up to this many bytes are copied behind their header; longer ones are written from
/// where they are. Copying so little costs less than another slice of a vectored write.
const COPIED_PAYLOAD: usize = 16 * 1024;

/// The payload of one Data-In PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) offset: usize,
    pub(crate) length: usize,
    /// F: the last PDU of a sequence.
    pub(crate) last: bool,
}

/// Cuts ranges of data into PDUs of at most `segment` bytes, in sequences of at most `burst`.
pub(crate) fn cut(ranges: &[Range<usize>], segment: usize, burst: usize, cuts: &mut Vec<Cut>) {
    cuts.clear();
    for range in ranges {
        let mut offset = range.start;
        while offset < range.end {
            let left_in_burst = burst - offset % burst;
            let length = (range.end - offset).min(segment).min(left_in_burst);
            let last = offset + length == range.end || length == left_in_burst;
            cuts.push(Cut {
                offset,
                length,
                last,
            });
            offset += length;
        }
    }
}

/// Data to send for a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer<'a> {
    pub(crate) command: &'a Command,
    pub(crate) payload: &'a Arc<Vec<u8>>,
    pub(crate) cuts: &'a [Cut],
    /// The DataSN of the first PDU.
    pub(crate) first: u32,
    /// GOOD status with this residual goes into the last PDU.
    pub(crate) status: Option<Residual>,
}

/// A Data-In PDU with the A bit (RFC 7143 §11.7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) ttt: u32,
    /// What DataACK is to say: the DataSN behind the PDU.
    pub(crate) next: u32,
}

/// What was sent of a command's data.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// How many PDUs.
    pub(crate) count: u32,
    /// The StatSN of the status that went along.
    pub(crate) status: Option<u32>,
    /// The headers, if they are kept.
    pub(crate) headers: Vec<Bhs>,
    /// The requests for an acknowledgment among them.
    pub(crate) marks: Vec<Mark>,
}

impl Turn<'_> {
    /// Sends the data of a read on its connection; nothing if that is gone.
    pub(crate) fn send_data_in(&mut self, cid: u16, transfer: Transfer<'_>) -> Sent {
        let mut sent = Sent::default();
        let Transfer {
            payload,
            cuts,
            status,
            ..
        } = transfer;
        self.core.window.advertise(self.core.tasks.len());
        let copied = cuts.iter().map(|cut| cut.length).sum::<usize>() <= COPIED_PAYLOAD;
        let mut unmarked = 0;
        for (index, cut) in cuts.iter().enumerate() {
            let last = index + 1 == cuts.len();
            let mut pdu = transfer.pdu(*cut, sent.count, status.filter(|_| last));
            unmarked += cut.length;
            if self.wants_mark(cut.last, unmarked) {
                unmarked = 0;
                let mark = self.mark(&mut pdu, transfer.command);
                sent.marks.push(mark);
            }
            let faults = &self.session.shared.faults;
            let Some(link) = self.core.links.get_mut(&cid) else {
                return Sent::default();
            };
            let with_status = pdu.has_status();
            let numbers = link.numbers(&self.core.window, with_status, faults);
            pdu.set_sequence_numbers(numbers);
            let range = cut.offset..cut.offset + cut.length;
            let part = if copied {
                Payload::Bytes(payload.get(range).unwrap_or_default())
            } else {
                Payload::Part(payload, range)
            };
            link.out.push(pdu.as_bhs(), part, faults);
            sent.count = sent.count.saturating_add(1);
            sent.status = with_status.then_some(numbers.stat_sn);
            if self.core.keeps() {
                sent.headers.push(*pdu.as_bhs());
            }
        }
        self.wake(cid);
        sent
    }

    /// Whether the next Data-In asks for an acknowledgment, `unmarked` bytes after the last that
    /// did.
    fn wants_mark(&self, ends_sequence: bool, unmarked: usize) -> bool {
        let spacing = self
            .session
            .purpose
            .target()
            .and_then(|target| target.policy.data_ack_every);
        self.core.keeps()
            && spacing.is_some_and(|bytes| {
                let frugal = bytes >= self.core.agreed.max_burst;
                unmarked >= bytes as usize && (ends_sequence || !frugal)
            })
    }

    fn mark(&mut self, pdu: &mut DataIn, command: &Command) -> Mark {
        let ttt = self.new_ttt();
        pdu.set_wants_acknowledge(true);
        pdu.ttt = ttt.into();
        pdu.lun = command.header.lun;
        Mark {
            ttt,
            next: pdu.data_sn.get().wrapping_add(1),
        }
    }

    /// Has a connection look for what it has to write, unless it is its own turn.
    pub(crate) fn wake(&self, cid: u16) {
        if self.caller != Some(cid)
            && let Some(link) = self.core.links.get(&cid)
        {
            link.mailbox.wake();
        }
    }
}

impl Transfer<'_> {
    /// The PDU of one cut, `count` PDUs after the first.
    fn pdu(&self, cut: Cut, count: u32, status: Option<Residual>) -> DataIn {
        let mut pdu = DataIn::new(self.command.itt());
        pdu.data_sn = self.first.wrapping_add(count).into();
        pdu.buffer_offset = u32::try_from(cut.offset).unwrap_or(u32::MAX).into();
        pdu.set_final(cut.last);
        pdu.set_data_segment_length(u32::try_from(cut.length).unwrap_or_default());
        if let Some(residual) = status {
            pdu.set_has_status(true);
            pdu.set_overflow(residual.overflow);
            pdu.set_underflow(residual.underflow);
            pdu.residual_count = residual.count.into();
        }
        pdu
    }
}

impl Outcome {
    /// The residual that goes into the last Data-In, if the status may: it must be GOOD, and not that
    /// of a bidirectional command (RFC 7143 §11.7.3).
    pub(crate) fn in_data(&self) -> Option<Residual> {
        (self.is_good() && self.bidi.is_none()).then_some(self.residual)
    }
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "lists of one range are meant"
)]
mod tests {
    use super::*;

    fn cuts(ranges: &[Range<usize>], segment: usize, burst: usize) -> Vec<(usize, usize, bool)> {
        let mut cuts = Vec::new();
        cut(ranges, segment, burst, &mut cuts);
        cuts.into_iter()
            .map(|cut| (cut.offset, cut.length, cut.last))
            .collect()
    }

    #[test]
    fn pdus_end_where_segment_burst_or_range_does() {
        assert_eq!(
            cuts(&[0..25], 10, 15),
            [(0, 10, false), (10, 5, true), (15, 10, true)]
        );
        assert_eq!(
            cuts(&[5..12, 20..21], 10, 15),
            [(5, 7, true), (20, 1, true)]
        );
        assert_eq!(cuts(&[], 10, 15), []);
    }
}
