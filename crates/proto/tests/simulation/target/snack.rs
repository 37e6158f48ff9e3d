//! SNACK of the model target (RFC 7143 §11.16): it sends again what it is asked for.

use super::reads::cuts;
use super::session::Session;
use super::task::Stage;
use super::{Shared, Step};
use crate::wire::{Header, NIL, at_most};

const DATA_OR_R2T: u8 = 0;
const STATUS: u8 = 1;
const DATA_ACK: u8 = 2;
const R_DATA: u8 = 3;

/// Reject reasons (RFC 7143 §11.17.1).
const SNACK_REJECT: u8 = 0x03;
const PROTOCOL_ERROR: u8 = 0x04;

impl Session {
    pub(super) fn snack(&mut self, shared: &mut Shared, cid: u16, header: &Header) {
        assert!(self.keys.error_recovery_level > 0, "SNACK without recovery");
        let (begin, length) = (header.u32(40), header.u32(44));
        let kind = header.0[1] & 0x0f;
        let chance = shared.faults.refuse / 4;
        if kind != DATA_ACK && shared.rng.chance(chance) {
            return self.reject(shared, cid, SNACK_REJECT, header);
        }
        let served = match kind {
            DATA_OR_R2T => self.again(shared, cid, header.itt(), begin, length),
            STATUS => self.statuses_again(shared, cid, begin, length),
            DATA_ACK => self.acknowledged(header, begin),
            R_DATA => self.data_anew(shared, cid, header),
            other => panic!("SNACK type {other}"),
        };
        if !served {
            self.reject(shared, cid, PROTOCOL_ERROR, header);
        }
    }

    /// Data-In or R2Ts of a task; `false` for what was never sent or is acknowledged.
    fn again(&mut self, shared: &mut Shared, cid: u16, itt: u32, begin: u32, length: u32) -> bool {
        let Some(task) = self.tasks.get(&itt).filter(|task| task.cid == cid) else {
            return false;
        };
        let sent = if task.is_write {
            task.r2ts.len()
        } else {
            task.sent
        };
        let begin = if length == 0 && begin == 0 {
            task.acknowledged
        } else {
            begin as usize
        };
        let end = if length == 0 {
            sent
        } else {
            begin + length as usize
        };
        if begin < task.acknowledged || end > sent {
            return false;
        }
        for sn in begin..end {
            if self.tasks.get(&itt).is_some_and(|task| task.is_write) {
                self.r2t(shared, itt, sn);
            } else {
                self.data_in_again(shared, itt, sn);
            }
        }
        true
    }

    fn statuses_again(&mut self, shared: &mut Shared, cid: u16, begin: u32, length: u32) -> bool {
        let Some(connection) = self.connections.get(&cid) else {
            return true;
        };
        let all = begin == 0 && length == 0;
        let oldest = connection
            .kept
            .front()
            .map_or(connection.stat_sn, |kept| kept.stat_sn);
        let begin = if all { oldest } else { begin };
        let end = if length == 0 {
            connection.stat_sn
        } else {
            begin.wrapping_add(length)
        };
        if !at_most(oldest, begin) || !at_most(end, connection.stat_sn) {
            return false;
        }
        let mut stat_sn = begin;
        while stat_sn != end {
            self.status_again(shared, cid, stat_sn);
            stat_sn = stat_sn.wrapping_add(1);
        }
        true
    }

    /// Sends a numbered response again, as it was.
    pub(super) fn status_again(&mut self, shared: &mut Shared, cid: u16, stat_sn: u32) {
        let Some(connection) = self.connections.get(&cid) else {
            return;
        };
        let found = connection.kept.iter().find(|kept| kept.stat_sn == stat_sn);
        if let Some(kept) = found {
            let (header, data) = (kept.header, kept.data.clone());
            self.transmit(shared, cid, header, &data);
        }
    }

    /// DataACK (RFC 7143 §11.16.2).
    fn acknowledged(&mut self, header: &Header, begin: u32) -> bool {
        assert_eq!(header.itt(), NIL);
        let holds = |cut: &super::reads::Cut| cut.ttt == header.ttt();
        // One that is late finds its task gone.
        let Some(task) = self
            .tasks
            .values_mut()
            .find(|task| task.cuts.iter().any(holds))
        else {
            return true;
        };
        let at = task.cuts.iter().position(holds).expect("found");
        assert!(
            (at + 1..=task.sent).contains(&(begin as usize)),
            "DataACK of {begin} behind {at}"
        );
        assert_eq!(header.lun(), task.lun);
        task.acknowledged = task.acknowledged.max(begin as usize);
        true
    }

    /// R-Data (RFC 7143 §11.16.3): the data that is not acknowledged is cut anew, and a SCSI Response
    /// ends it that carries the tag.
    fn data_anew(&mut self, shared: &mut Shared, cid: u16, header: &Header) -> bool {
        let limit = self.connections.get(&cid).map_or(512, |c| c.max_send);
        let itt = header.itt();
        let Some(task) = self.tasks.get(&itt).filter(|task| task.cid == cid) else {
            return false;
        };
        if task.is_write || !matches!(task.stage, Stage::Sending | Stage::Answered { .. }) {
            return false;
        }
        let kept = task.acknowledged;
        let begin = task.cuts[..kept]
            .iter()
            .map(|cut| cut.offset + cut.length)
            .max()
            .unwrap_or(0);
        let anew = cuts(shared, &self.keys, begin, task.data.len(), limit);
        let Some(task) = self.tasks.get_mut(&itt) else {
            return false;
        };
        task.cuts.truncate(kept);
        task.cuts.extend(anew);
        task.sent = kept;
        task.snack_tag = header.ttt();
        task.stage = Stage::Sending;
        let uid = task.uid;
        let after = shared.rng.millis(0, 4);
        shared.later(self.id, after, Step::Task(uid));
        true
    }
}
