//! What comes of SCSI commands: Data-In, R2Ts, responses (RFC 7143 §11.4, §11.7, §11.8).

use std::time::Instant;

use super::Session;
use super::connection::Burst;
use super::event::{Answer, ConnectionError, Outcome, PeerMisbehaved, Residual};
use super::receive::{CHECK_CONDITION, sense_data};
use super::task::{Task, TaskId};
use crate::pdu::{DataIn, Pdu, R2t, ScsiResponse};

/// R2Ts of one task beyond those agreed on, at a level at which the target may ask again for data that it
/// has lost (RFC 7143 §11.8.2).
const MAX_RECOVERY_R2TS: u16 = 8;

/// SCSI status (SAM-5 §5.3.1).
const GOOD: u8 = 0;

/// Sense data of a read whose data was lost (RFC 7143 §11.4.7.2): fixed format, ABORTED COMMAND, protocol
/// service CRC error.
const CRC_ERROR_SENSE: [u8; 18] = [
    0x70, 0, 0x0b, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x47, 0x05, 0, 0, 0, 0,
];

impl Session {
    /// A Data-In at error recovery level 0: all data before it came.
    pub(super) fn handle_data_in(
        &mut self,
        index: usize,
        pdu: &DataIn,
    ) -> Result<(), ConnectionError> {
        if pdu.has_status() {
            self.consume_stat_sn(index, pdu.stat_sn.get())?;
        }
        let id = TaskId::from_itt(pdu.itt.get());
        let Some(task) = self.tasks.find(id).filter(|task| task.ended.is_none()) else {
            return Ok(());
        };
        task.count_data_in(pdu)?;
        if pdu.has_status() {
            task.check_whole(pdu.status)?;
            let answer = task.answered_by(pdu);
            self.finish(id.slot(), Outcome::Completed(answer));
        }
        Ok(())
    }

    /// A Data-In that was counted when it came ends its command.
    pub(super) fn end_by_data_in(
        &mut self,
        index: usize,
        pdu: &DataIn,
    ) -> Result<(), ConnectionError> {
        if !pdu.has_status() {
            return Ok(());
        }
        self.consume_stat_sn(index, pdu.stat_sn.get())?;
        let id = TaskId::from_itt(pdu.itt.get());
        if let Some(task) = self.tasks.find(id).filter(|task| task.ended.is_none()) {
            task.check_whole(pdu.status)?;
            let answer = task.answered_by(pdu);
            self.finish(id.slot(), Outcome::Completed(answer));
        }
        Ok(())
    }

    pub(super) fn handle_scsi_response(
        &mut self,
        index: usize,
        pdu: &ScsiResponse,
    ) -> Result<(), ConnectionError> {
        self.consume_stat_sn(index, pdu.stat_sn.get())?;
        let itt = pdu.itt.get();
        let id = TaskId::from_itt(itt);
        let Some(connection) = self.connections.get(index) else {
            return Ok(());
        };
        let Some(task) = self.tasks.find(id).filter(|task| task.ended.is_none()) else {
            return Ok(self.late(itt)?);
        };
        if !task.is_sent_on(connection.link) || task.command().is_none() {
            return Err(PeerMisbehaved::WrongTask(itt).into());
        }
        if pdu.response_code != 0 {
            self.finish(
                id.slot(),
                Outcome::TargetFailure {
                    response: pdu.response_code,
                },
            );
            return Ok(());
        }
        let (counted, received) = (pdu.exp_data_sn.get(), task.data_pdus);
        // RFC 3720 counted the R2Ts of a bidirectional command too.
        let received = match task.is_bidirectional() {
            true => received.max(task.next_data_sn),
            false => received,
        };
        if task.read_length() > 0 && counted > received {
            return Err(PeerMisbehaved::DataCountWrong { counted, received }.into());
        }
        task.check_whole(pdu.status)?;
        let residual = residual(pdu.overflow(), pdu.underflow(), pdu.residual_count.get());
        let of_read = match task.is_bidirectional() {
            true => bidi_residual(pdu),
            false => residual,
        };
        let transferred = match task.read_length() {
            0 => transferred(task.write_length(), task.write_length(), residual),
            expected => transferred(expected, task.received.min(expected), of_read),
        };
        // A SenseLength of 0 is the target's loss alone; an empty segment is a format error.
        if pdu.status == CHECK_CONDITION && connection.collected.is_empty() {
            return Err(PeerMisbehaved::NoSense.into());
        }
        let sense = sense_data(&connection.collected);
        let answer = Answer {
            status: pdu.status,
            transferred,
            residual,
            sense,
        };
        let answer = task.answered(answer);
        self.finish(id.slot(), Outcome::Completed(answer));
        Ok(())
    }

    pub(super) fn handle_r2t(
        &mut self,
        now: Instant,
        index: usize,
        pdu: &R2t,
    ) -> Result<(), ConnectionError> {
        let itt = pdu.itt.get();
        let id = TaskId::from_itt(itt);
        self.told_stat_sn(now, index, pdu.stat_sn.get())?;
        let level = self.level();
        let Some(connection) = self.connections.get(index) else {
            return Ok(());
        };
        let Some(task) = self.tasks.find(id).filter(|task| task.ended.is_none()) else {
            return Ok(self.late(itt)?);
        };
        if !task.is_sent_on(connection.link) || task.write_length() == 0 {
            return Err(PeerMisbehaved::WrongTask(itt).into());
        }
        if let Some(command) = task.command().filter(|command| command.lun != pdu.lun) {
            let (got, expected) = (pdu.lun, command.lun);
            return Err(PeerMisbehaved::WrongLun { got, expected }.into());
        }
        let is_next =
            pdu.r2t_sn.get() == task.next_data_sn || task.is_bidi_r2t_sn(pdu.r2t_sn.get());
        if level == 0 && !is_next {
            let (got, expected) = (pdu.r2t_sn.get(), task.next_data_sn);
            return Err(PeerMisbehaved::R2tSnGap { got, expected }.into());
        }
        let (offset, length) = (pdu.buffer_offset.get(), pdu.desired_length.get());
        let end = offset
            .checked_add(length)
            .filter(|&end| end <= task.write_length());
        let Some(end) = end.filter(|_| length <= connection.parameters.max_burst) else {
            return Err(PeerMisbehaved::R2tOutOfBounds { offset, length }.into());
        };
        let agreed = connection.parameters.max_outstanding_r2t;
        let more = if level > 0 { MAX_RECOVERY_R2TS } else { 0 };
        if task.open_r2ts >= agreed.saturating_add(more) {
            return Err(PeerMisbehaved::TooManyR2ts.into());
        }
        if is_next {
            task.next_data_sn = task.next_data_sn.wrapping_add(1);
        } else if !self.take_r2t_out_of_turn(now, index, pdu)? {
            return Ok(());
        }
        if let Some(task) = self.tasks.find(id) {
            task.open_r2ts += 1;
        }
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        let (lun, ttt) = (pdu.lun, pdu.ttt.get());
        connection.bursts.push_back(Burst {
            task: id,
            lun,
            ttt,
            offset,
            end,
            data_sn: 0,
        });
        Ok(())
    }
}

impl Task {
    /// Data is where it belongs.
    #[inline]
    pub(super) fn count_data_in(&mut self, pdu: &DataIn) -> Result<(), PeerMisbehaved> {
        let is_next = pdu.data_sn.get() == self.next_data_sn || self.is_bidirectional();
        if is_next {
            self.next_data_sn = self.next_data_sn.wrapping_add(1);
            self.data_pdus = self.data_pdus.wrapping_add(1);
        }
        if self.recovery.is_some() || pdu.buffer_offset.get() != self.received {
            return self.count_out_of_turn(pdu, is_next);
        }
        // `place` has checked that this does not pass the expected length.
        self.received = self.received.saturating_add(pdu.data_segment_length());
        Ok(())
    }

    /// What the status in a Data-In comes to.
    #[inline]
    fn answered_by(&self, pdu: &DataIn) -> Answer {
        let expected = self.read_length();
        let residual = residual(pdu.overflow(), pdu.underflow(), pdu.residual_count.get());
        let transferred = transferred(expected, self.received.min(expected), residual);
        let sense = Box::default();
        self.answered(Answer {
            status: pdu.status,
            transferred,
            residual,
            sense,
        })
    }

    /// Nobody is given a buffer as read in which bytes were left out.
    #[inline]
    fn check_whole(&self, status: u8) -> Result<(), PeerMisbehaved> {
        match status == GOOD && self.has_hole() {
            true => Err(PeerMisbehaved::DataHole),
            false => Ok(()),
        }
    }

    /// The target has answered it. A command whose data is lost for good does not end as it says
    /// (RFC 7143 §7.8).
    #[inline]
    fn answered(&self, answer: Answer) -> Answer {
        if self.is_hopeless() {
            crc_error()
        } else {
            answer
        }
    }
}

#[cold]
fn crc_error() -> Answer {
    Answer {
        status: CHECK_CONDITION,
        transferred: 0,
        residual: Residual::None,
        sense: CRC_ERROR_SENSE.into(),
    }
}

fn residual(overflow: bool, underflow: bool, count: u32) -> Residual {
    match (overflow, underflow) {
        (true, _) => Residual::Overflow(count),
        (_, true) => Residual::Underflow(count),
        _ => Residual::None,
    }
}

#[cold]
fn bidi_residual(pdu: &ScsiResponse) -> Residual {
    let count = pdu.bidi_residual_count.get();
    residual(pdu.bidi_overflow(), pdu.bidi_underflow(), count)
}

/// Valid bytes: what came, but never more than the residual leaves.
fn transferred(expected: u32, moved: u32, residual: Residual) -> u32 {
    match residual {
        Residual::Underflow(short) => moved.min(expected.saturating_sub(short)),
        Residual::None | Residual::Overflow(_) => moved,
    }
}
