//! Commands that were answered but whose answers the initiator has not acknowledged yet: from
//! ErrorRecoveryLevel 1 on they are kept, to be sent again (RFC 7143 §7.1.4, §11.16).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use hawser_proto::pdu::{Bhs, DataIn, Pdu, ScsiResponse};

use super::Turn;
use super::data_in::{Cut, Mark, Sent, Transfer, cut};
use super::disorder::{Chance, Freedom, disorder};
use super::statuses::Kept;
use super::task::{Command, Home};

/// The most read data that a session keeps, in bytes. What was read beyond it cannot be sent again:
/// a SNACK for it is rejected.
const KEPT_DATA_LIMIT: usize = 64 * 1024 * 1024;

/// How much less or more a command moved than the initiator expected (RFC 7143 §11.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Residual {
    pub(crate) overflow: bool,
    pub(crate) underflow: bool,
    pub(crate) count: u32,
}

impl Residual {
    pub(crate) fn new(expected: u32, presented: u64) -> Self {
        let difference = presented.abs_diff(u64::from(expected));
        Self {
            overflow: presented > u64::from(expected),
            underflow: presented < u64::from(expected),
            count: u32::try_from(difference).unwrap_or(u32::MAX),
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The SCSI status.
    pub(crate) status: u8,
    pub(crate) sense: Vec<u8>,
    pub(crate) residual: Residual,
    /// That of the data that a bidirectional command read.
    pub(crate) bidi: Option<Residual>,
}

impl Outcome {
    pub(crate) fn is_good(&self) -> bool {
        self.status == 0
    }
}

/// An answered command.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The connection that it was answered on.
    pub(crate) home: Home,
    pub(crate) command: Command,
    pub(crate) outcome: Outcome,
    /// What it read; `None` if that was too much to keep.
    data: Option<Arc<Vec<u8>>>,
    /// How many bytes of it the initiator takes.
    length: usize,
    /// The Data-In PDUs that were sent last, by their DataSN.
    headers: Vec<Bhs>,
    marks: Vec<Mark>,
    /// Every Data-In before this one has arrived.
    acknowledged: u32,
    /// The StatSN of its status; `None` if that was never sent.
    pub(crate) stat_sn: Option<u32>,
}

impl Finished {
    /// How many Data-In PDUs were sent.
    fn count(&self) -> u32 {
        u32::try_from(self.headers.len()).unwrap_or(u32::MAX)
    }

    /// The next DataSN.
    pub(crate) fn next(&self) -> u32 {
        self.command.first_data_sn.saturating_add(self.count())
    }

    /// Whether all that was not acknowledged can be sent again.
    pub(crate) fn is_whole(&self) -> bool {
        self.data.is_some() || self.missing().is_empty()
    }

    /// Where the header of this DataSN is.
    fn index(&self, data_sn: u32) -> usize {
        data_sn.saturating_sub(self.command.first_data_sn) as usize
    }

    /// The first DataSN that was not acknowledged.
    pub(crate) fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// Takes note of a DataACK. False if it is none of an A bit of ours, or acknowledges what was
    /// acknowledged or not sent.
    pub(crate) fn acknowledge(&mut self, ttt: u32, next: u32) -> bool {
        let asked = self.marks.iter().any(|mark| mark.ttt == ttt);
        let sensible = (self.acknowledged..=self.next()).contains(&next);
        if asked && sensible {
            self.acknowledged = next;
        }
        asked && sensible
    }

    /// Whether a Data-In with this tag asked for an acknowledgment.
    pub(crate) fn has_mark(&self, ttt: u32) -> bool {
        self.marks.iter().any(|mark| mark.ttt == ttt)
    }

    /// The parts of the data that were not acknowledged, in the order in which they were sent.
    fn missing(&self) -> Vec<Range<usize>> {
        if self.headers.is_empty() {
            let whole = 0..self.length;
            return std::iter::once(whole)
                .filter(|whole| !whole.is_empty())
                .collect();
        }
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for header in self.headers.iter().skip(self.index(self.acknowledged)) {
            let next = range_of(header);
            match ranges.last_mut() {
                Some(range) if range.end == next.start => range.end = next.end,
                _ => ranges.push(next),
            }
        }
        ranges
    }
}

/// Where the payload of a Data-In belongs.
fn range_of(header: &Bhs) -> Range<usize> {
    let pdu = DataIn::from_bhs(header);
    let start = pdu.buffer_offset.get() as usize;
    start..start + pdu.data_segment_length() as usize
}

/// All answered commands of a session, by their ITT.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    tasks: HashMap<u32, Finished>,
    /// Bytes of read data in it.
    bytes: usize,
}

impl Archive {
    pub(crate) fn get(&self, itt: u32) -> Option<&Finished> {
        self.tasks.get(&itt)
    }

    pub(crate) fn get_mut(&mut self, itt: u32) -> Option<&mut Finished> {
        self.tasks.get_mut(&itt)
    }

    /// The command on connection `cid` whose Data-In with this tag asked for an acknowledgment.
    pub(crate) fn marked(&mut self, cid: u16, ttt: u32) -> Option<&mut Finished> {
        self.tasks
            .values_mut()
            .find(|task| task.home == Home::On(cid) && task.has_mark(ttt))
    }

    fn insert(&mut self, mut finished: Finished) {
        let itt = finished.command.itt();
        self.remove(itt);
        let size = finished.data.as_ref().map_or(0, |data| data.len());
        if self.bytes.saturating_add(size) > KEPT_DATA_LIMIT {
            finished.data = None;
        } else {
            self.bytes += size;
        }
        self.tasks.insert(itt, finished);
    }

    pub(crate) fn remove(&mut self, itt: u32) -> Option<Finished> {
        let finished = self.tasks.remove(&itt)?;
        let size = finished.data.as_ref().map_or(0, |data| data.len());
        self.bytes = self.bytes.saturating_sub(size);
        Some(finished)
    }

    /// Forgets the command whose status had this number on connection `cid`: it has arrived.
    pub(crate) fn arrived(&mut self, cid: u16, itt: u32, stat_sn: u32) {
        let same = self
            .tasks
            .get(&itt)
            .is_some_and(|task| task.home == Home::On(cid) && task.stat_sn == Some(stat_sn));
        if same {
            self.remove(itt);
        }
    }

    /// Gives the commands of one home another.
    pub(crate) fn rehome(&mut self, from: Home, to: Home) {
        for task in self.tasks.values_mut().filter(|task| task.home == from) {
            task.home = to;
        }
    }

    /// Forgets the commands that are `unwanted`.
    pub(crate) fn discard(&mut self, unwanted: impl Fn(&Finished) -> bool) {
        let doomed: Vec<u32> = self
            .tasks
            .iter()
            .filter(|(_, task)| unwanted(task))
            .map(|(itt, _)| *itt)
            .collect();
        for itt in doomed {
            self.remove(itt);
        }
    }
}

impl Turn<'_> {
    /// Answers a command with its data, of which `length` bytes are sent, and its status. If its
    /// connection is gone, the answer only waits for another.
    pub(crate) fn answer_command(
        &mut self,
        home: Home,
        command: &Command,
        outcome: Outcome,
        data: Vec<u8>,
        length: usize,
    ) {
        if let (Home::On(cid), 0, false) = (home, length, self.core.keeps()) {
            // The usual write: nothing to share, nothing to keep.
            self.send_response(cid, command, &outcome, 0);
            return;
        }
        let payload = Arc::new(data);
        let (sent, stat_sn) = match home {
            Home::On(cid) => self.send_answer(cid, command, &payload, &outcome, length),
            Home::Lost(_) => (Sent::default(), None),
        };
        if self.core.keeps() {
            let finished = Finished {
                home,
                command: command.clone(),
                outcome,
                data: Some(payload),
                length,
                headers: sent.headers,
                marks: sent.marks,
                acknowledged: command.first_data_sn,
                stat_sn,
            };
            self.keep_last_data_in(&finished, sent.status);
            self.core.archive.insert(finished);
        } else if let Some(payload) = Arc::into_inner(payload) {
            self.give_back(home, payload);
        }
    }

    /// Sends data and status of a command; gives the StatSN too.
    fn send_answer(
        &mut self,
        cid: u16,
        command: &Command,
        payload: &Arc<Vec<u8>>,
        outcome: &Outcome,
        length: usize,
    ) -> (Sent, Option<u32>) {
        let sent = self.send_part(cid, command, payload, outcome, 0..length);
        let stat_sn = match sent.status {
            Some(stat_sn) => Some(stat_sn),
            None => self.send_response(cid, command, outcome, sent.count),
        };
        (sent, stat_sn)
    }

    /// Sends a part of a command's data as its connection takes it now.
    fn send_part(
        &mut self,
        cid: u16,
        command: &Command,
        payload: &Arc<Vec<u8>>,
        outcome: &Outcome,
        range: Range<usize>,
    ) -> Sent {
        if range.is_empty() {
            return Sent::default();
        }
        let mut cuts = std::mem::take(&mut self.core.cuts);
        self.cut_for(cid, command.itt(), &[range], &mut cuts);
        let sent = self.send_data_in(
            cid,
            Transfer {
                command,
                payload,
                cuts: &cuts,
                first: command.first_data_sn,
                status: outcome.in_data().filter(|_| command.snack_tag == 0),
            },
        );
        self.core.cuts = cuts;
        sent
    }

    fn cut_for(&mut self, cid: u16, itt: u32, ranges: &[Range<usize>], cuts: &mut Vec<Cut>) {
        let burst = self.core.agreed.max_burst as usize;
        if let Some(link) = self.core.link(cid) {
            let segment = link.parameters.max_send_data_segment as usize;
            cut(ranges, segment, burst, cuts);
            self.disorder(itt, cuts);
        } else {
            cuts.clear();
        }
    }

    /// Puts the PDUs of a read in another order, if a fault says so and the login allows it.
    fn disorder(&self, itt: u32, cuts: &mut Vec<Cut>) {
        let freedom = Freedom {
            pdus: !self.core.agreed.data_pdu_in_order,
            sequences: !self.core.agreed.data_sequence_in_order,
        };
        if let Some(seed) = self.session.shared.faults.disorder() {
            let mut chance = Chance::new(seed ^ u64::from(itt));
            disorder(cuts, freedom, &mut chance);
        }
    }

    /// Keeps the Data-In that carried a command's status under this StatSN, for a Status SNACK.
    fn keep_last_data_in(&mut self, finished: &Finished, status: Option<u32>) {
        if let (Some(stat_sn), Some(cid)) = (status, finished.home.cid())
            && let (Some(header), Some(data)) = (finished.headers.last(), &finished.data)
        {
            let payload = Kept::Part(Arc::clone(data), range_of(header));
            self.keep_status(cid, stat_sn, header, payload, Some(finished.command.itt()));
        }
    }

    /// Sends the SCSI Response of a command; gives its StatSN.
    fn send_response(
        &mut self,
        cid: u16,
        command: &Command,
        outcome: &Outcome,
        data_in_count: u32,
    ) -> Option<u32> {
        let (pdu, data) = response(command, outcome, data_in_count);
        self.send_status(cid, pdu, &data, Some(command.itt()))
    }

    /// Sends the Data-In PDUs of a run again, as they were but for ExpCmdSN and MaxCmdSN
    /// (RFC 7143 §11.16). False if they were too much to keep.
    pub(crate) fn repeat_data(&mut self, cid: u16, itt: u32, run: Range<u32>) -> bool {
        let Some(finished) = self.core.archive.get_mut(itt) else {
            return false;
        };
        let Some(data) = finished.data.clone() else {
            return false;
        };
        let count = run.end.saturating_sub(run.start) as usize;
        let start = finished.index(run.start);
        let headers = finished.headers.iter().skip(start).take(count);
        let headers: Vec<Bhs> = headers.copied().collect();
        for header in headers {
            let range = range_of(&header);
            self.repeat(cid, &header, &Kept::Part(Arc::clone(&data), range));
        }
        true
    }

    /// Sends all data that was not acknowledged again, cut for what the initiator takes now, and
    /// the status under the number it had, with the tag of the R-Data SNACK that asked for it
    /// (RFC 7143 §11.16.3). False if that is not possible.
    pub(crate) fn resegment(&mut self, cid: u16, itt: u32, snack_tag: u32) -> bool {
        let Some(mut finished) = self.core.archive.remove(itt) else {
            return false;
        };
        let Some(data) = finished.data.clone() else {
            self.core.archive.insert(finished);
            return false;
        };
        let mut cuts = Vec::new();
        self.cut_for(cid, itt, &finished.missing(), &mut cuts);
        let transfer = Transfer {
            command: &finished.command,
            payload: &data,
            cuts: &cuts,
            first: finished.acknowledged,
            status: None,
        };
        let sent = self.send_data_in(cid, transfer);
        finished.take_over(sent);
        finished.command.snack_tag = snack_tag;
        self.tag_response(cid, &finished);
        self.core.archive.insert(finished);
        true
    }
}

impl Turn<'_> {
    /// Sends the SCSI Response of a command with its SNACK tag, under the StatSN that its status
    /// had, and keeps it in place of that.
    fn tag_response(&mut self, cid: u16, finished: &Finished) {
        let Some(stat_sn) = finished.stat_sn else {
            return;
        };
        let (command, outcome) = (&finished.command, &finished.outcome);
        let (mut pdu, sense) = response(command, outcome, finished.count());
        pdu.stat_sn = stat_sn.into();
        let header = *pdu.as_bhs();
        let payload = Kept::Bytes(sense);
        self.repeat(cid, &header, &payload);
        self.keep_status(cid, stat_sn, &header, payload, Some(command.itt()));
    }

    /// Answers a command again on connection `cid`, which is its new home: all data that was not
    /// acknowledged, as that connection takes it, and the status under a new number
    /// (RFC 7143 §7.2.2). `exp_data_sn` acknowledges data, if it is one of the numbers that were
    /// sent (§11.5.6).
    pub(crate) fn answer_again(&mut self, cid: u16, itt: u32, exp_data_sn: u32) {
        let Some(mut finished) = self.core.archive.remove(itt) else {
            return;
        };
        if (finished.acknowledged..=finished.next()).contains(&exp_data_sn) {
            finished.acknowledged = exp_data_sn;
        }
        finished.home = Home::On(cid);
        finished.command.snack_tag = 0;
        let mut cuts = Vec::new();
        self.cut_for(cid, itt, &finished.missing(), &mut cuts);
        let data = finished.data.clone().unwrap_or_default();
        let transfer = Transfer {
            command: &finished.command,
            payload: &data,
            cuts: &cuts,
            first: finished.acknowledged,
            status: finished.outcome.in_data(),
        };
        let sent = self.send_data_in(cid, transfer);
        let status = sent.status;
        finished.take_over(sent);
        finished.stat_sn = match status {
            Some(_) => status,
            None => {
                let (command, outcome) = (&finished.command, &finished.outcome);
                self.send_response(cid, command, outcome, finished.count())
            }
        };
        self.keep_last_data_in(&finished, status);
        self.core.archive.insert(finished);
    }
}

impl Finished {
    /// Replaces what was sent and not acknowledged by what was sent now.
    fn take_over(&mut self, sent: Sent) {
        self.headers.truncate(self.index(self.acknowledged));
        self.headers.extend(sent.headers);
        self.marks = sent.marks;
    }
}

/// The SCSI Response of a command with its data segment.
fn response(command: &Command, outcome: &Outcome, data_in_count: u32) -> (ScsiResponse, Vec<u8>) {
    let mut pdu = ScsiResponse::new(command.itt(), outcome.status);
    pdu.set_overflow(outcome.residual.overflow);
    pdu.set_underflow(outcome.residual.underflow);
    pdu.residual_count = outcome.residual.count.into();
    if let Some(bidi) = outcome.bidi {
        pdu.set_bidi_overflow(bidi.overflow);
        pdu.set_bidi_underflow(bidi.underflow);
        pdu.bidi_residual_count = bidi.count.into();
    }
    pdu.exp_data_sn = data_in_count.into();
    pdu.snack_tag = command.snack_tag.into();
    let mut data = Vec::new();
    if !outcome.sense.is_empty() {
        let length = u16::try_from(outcome.sense.len()).unwrap_or(u16::MAX);
        data.extend_from_slice(&length.to_be_bytes());
        data.extend(outcome.sense.iter().take(length.into()));
    }
    pdu.set_data_segment_length(u32::try_from(data.len()).unwrap_or_default());
    (pdu, data)
}
