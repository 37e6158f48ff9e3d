//! SNACK: what is sent again, what is acknowledged, and what is refused (RFC 7143 §11.16).

use std::ops::Range;

use hawser_proto::pdu::{Bhs, NIL, Pdu, R2t, Reject, RejectReason, Snack, SnackType};
use hawser_proto::serial::Serial;

use super::Turn;
use super::gather::DataFault;
use super::statuses::Kept;
use super::task::{Home, Phase};

/// Why a SNACK is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// What it asks for was not sent, or has been acknowledged: "protocol error", with the next
    /// number of the task's data.
    NotSent(u32),
    /// We cannot send it again, or a fault says so: "SNACK reject".
    Unable,
    /// It acknowledges what no A bit asked for: "invalid data ACK".
    InvalidAck,
    /// Its fields do not go together: "invalid PDU field".
    Field,
}

impl Refusal {
    fn reason(self) -> RejectReason {
        match self {
            Self::NotSent(_) => RejectReason::ProtocolError,
            Self::Unable => RejectReason::SnackReject,
            Self::InvalidAck => RejectReason::InvalidDataAck,
            Self::Field => RejectReason::InvalidPduField,
        }
    }
}

impl Turn<'_> {
    /// Does what a SNACK asks for, or rejects it.
    pub(crate) fn snack(&mut self, cid: u16, pdu: &Snack) {
        self.session.shared.counters.snacks.add();
        if let Err(refusal) = self.try_snack(cid, pdu) {
            let mut reject = Reject::default();
            reject.reason_code = refusal.reason().code();
            if let Refusal::NotSent(next) = refusal {
                reject.data_sn = next.into();
            }
            self.send_reject(cid, reject, pdu.as_bhs());
        }
    }

    fn try_snack(&mut self, cid: u16, pdu: &Snack) -> Result<(), Refusal> {
        let kind = pdu.snack_type().map_err(|_| Refusal::Field)?;
        if !self.core.keeps() {
            return Err(Refusal::Unable);
        }
        if self.session.shared.faults.take_snack_reject() {
            self.give_up(pdu.itt.get());
            return Err(Refusal::Unable);
        }
        let (itt, tag) = (pdu.itt.get(), pdu.ttt.get());
        let run = (pdu.beg_run.get(), pdu.run_length.get());
        match kind {
            SnackType::Status if (itt, tag) == (NIL, NIL) => self.repeat_statuses(cid, run),
            SnackType::DataAck if itt == NIL && run.1 == 0 => {
                let marked = self.core.archive.marked(cid, tag);
                let own = marked.filter(|task| task.command.header.lun == pdu.lun);
                let valid = own.is_some_and(|task| task.acknowledge(tag, run.0));
                valid.then_some(()).ok_or(Refusal::InvalidAck)
            }
            SnackType::DataOrR2t if itt != NIL && tag == NIL => self.repeat_transfer(cid, itt, run),
            SnackType::ResegmentedData if itt != NIL && tag != NIL && tag != 0 && run == (0, 0) => {
                self.send_anew(cid, itt, tag)
            }
            _ => Err(Refusal::Field),
        }
    }

    /// Status SNACK.
    fn repeat_statuses(&mut self, cid: u16, run: (u32, u32)) -> Result<(), Refusal> {
        let Some(link) = self.core.link(cid) else {
            return Ok(());
        };
        let (first, next) = (link.acknowledged(), link.next_status());
        let (begin, end) = match run {
            (0, 0) => (first, next),
            (begin, 0) => (Serial(begin), next),
            (begin, length) => (Serial(begin), Serial(begin).plus(length)),
        };
        // Outside of what was sent and not acknowledged there is nothing to send.
        if !(begin >= first && begin <= end && end <= next) {
            return Err(Refusal::NotSent(0));
        }
        let kept: Vec<(Bhs, Kept)> = link.statuses.run(begin, end).collect();
        if kept.len() != end.since(begin) as usize {
            return Err(Refusal::Unable);
        }
        for (header, payload) in kept {
            self.repeat(cid, &header, &payload);
        }
        Ok(())
    }

    /// Data/R2T SNACK.
    fn repeat_transfer(&mut self, cid: u16, itt: u32, run: (u32, u32)) -> Result<(), Refusal> {
        if self
            .core
            .tasks
            .get(&itt)
            .is_some_and(|task| task.home == Home::On(cid))
        {
            return self.repeat_r2ts(cid, itt, run);
        }
        let (acknowledged, next) = self.finished_next(cid, itt)?;
        let wanted = run_in(run, acknowledged, next).ok_or(Refusal::NotSent(next))?;
        if self.repeat_data(cid, itt, wanted) {
            Ok(())
        } else {
            Err(Refusal::Unable)
        }
    }

    /// R-Data SNACK. A command that is not answered yet remembers the tag.
    fn send_anew(&mut self, cid: u16, itt: u32, tag: u32) -> Result<(), Refusal> {
        let task = self.core.tasks.get_mut(&itt);
        if let Some(task) = task.filter(|task| task.home == Home::On(cid)) {
            task.command.snack_tag = tag;
            return Ok(());
        }
        self.finished_next(cid, itt)?;
        if self.resegment(cid, itt, tag) {
            Ok(())
        } else {
            Err(Refusal::Unable)
        }
    }

    /// The first DataSN of an answered command that was not acknowledged, and the next.
    fn finished_next(&mut self, cid: u16, itt: u32) -> Result<(u32, u32), Refusal> {
        let finished = self.core.archive.get_mut(itt);
        let finished = finished.filter(|task| task.home == Home::On(cid));
        let finished = finished.ok_or(Refusal::NotSent(0))?;
        Ok((finished.acknowledged(), finished.next()))
    }

    /// Sends R2Ts again that are still open: with the data of the others the initiator has shown
    /// that they arrived.
    fn repeat_r2ts(&mut self, cid: u16, itt: u32, run: (u32, u32)) -> Result<(), Refusal> {
        let task = self.core.tasks.get(&itt);
        let Some((task, Phase::Gathering(gather))) = task.map(|task| (task, &task.phase)) else {
            // It is being carried out: nothing was sent yet, and "all" asks for nothing.
            return if run == (0, 0) {
                Ok(())
            } else {
                Err(Refusal::NotSent(0))
            };
        };
        let (lun, next) = (task.command.header.lun, gather.next_r2t());
        let wanted = run_in(run, 0, next).ok_or(Refusal::NotSent(next))?;
        let asks: Vec<_> = gather.open_r2ts(wanted).collect();
        if asks.is_empty() && run != (0, 0) {
            return Err(Refusal::NotSent(next));
        }
        for ask in asks {
            let mut r2t = R2t::new(itt, ask.ttt, ask.offset, ask.length);
            r2t.lun = lun;
            r2t.r2t_sn = ask.r2t_sn.into();
            self.send(cid, r2t, &[], false);
        }
        Ok(())
    }

    /// A SNACK for a command without a status is refused: the command ends with CHECK CONDITION
    /// (RFC 7143 §7.8). Sequences of which nothing has come are not waited for: their R2Ts may be
    /// what was lost.
    fn give_up(&mut self, itt: u32) {
        if let Some(task) = self.core.tasks.get_mut(&itt)
            && let Phase::Gathering(gather) = &mut task.phase
        {
            gather.fail(DataFault::SnackRejected);
            gather.drop_untouched();
            self.proceed(itt);
        }
    }
}

/// The numbers that BegRun and RunLength ask for, out of those that were sent and not acknowledged;
/// `None` if they ask for others.
fn run_in(run: (u32, u32), acknowledged: u32, next: u32) -> Option<Range<u32>> {
    let wanted = match run {
        (0, 0) => acknowledged..next,
        (begin, 0) => begin..next,
        (begin, length) => begin..begin.checked_add(length)?,
    };
    let inside = wanted.start >= acknowledged && wanted.end <= next;
    let something = !wanted.is_empty() || run == (0, 0);
    (inside && something).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_lies_within_what_was_sent_and_not_acknowledged() {
        assert_eq!(run_in((0, 0), 2, 5), Some(2..5));
        assert_eq!(run_in((3, 0), 2, 5), Some(3..5));
        assert_eq!(run_in((2, 2), 2, 5), Some(2..4));
        assert_eq!(run_in((0, 0), 5, 5), Some(5..5));
        for wrong in [(1, 1), (0, 3), (3, 3), (5, 0), (6, 1), (4, u32::MAX)] {
            assert_eq!(run_in(wrong, 2, 5), None, "{wrong:?}");
        }
    }
}
