//! Data-Out of the model target: what came unsolicited, what is asked for, what is asked for again.

use std::ops::Range;

use super::commands::CHECK_CONDITION;
use super::session::{Number, Session};
use super::task::{R2t, Stage, Task};
use super::{Shared, Step};
use crate::wire::{FINAL, Header, NIL, Pdu};

impl Session {
    pub(super) fn data_out(&mut self, shared: &mut Shared, pdu: &Pdu) {
        let header = &pdu.header;
        let itt = header.itt();
        let Some(task) = self.tasks.get_mut(&itt) else {
            assert!(self.ended.contains(&itt), "data for a stranger");
            return;
        };
        let offset = header.u32(40) as usize;
        let end = offset + pdu.data.len();
        if pdu.is_sound {
            task.data[offset..end].copy_from_slice(&pdu.data);
            task.have[offset..end].fill(1);
        } else if self.keys.error_recovery_level == 0 {
            // Without recovery the command fails when all its data has come.
            task.have[offset..end].fill(1);
            task.status = CHECK_CONDITION;
        }
        if header.ttt() == NIL {
            task.take_unsolicited(header, end);
        } else {
            task.take_solicited(header, end);
        }
        if task.stage == Stage::Gathering {
            self.gather(shared, itt);
        }
    }

    /// Asks for what is missing, or goes on when nothing is.
    pub(super) fn gather(&mut self, shared: &mut Shared, itt: u32) {
        let Some(task) = self.tasks.get_mut(&itt) else {
            return;
        };
        if task.unsolicited.is_some() || task.is_suspended {
            return;
        }
        let most = usize::from(self.keys.max_outstanding_r2t);
        if task.to_ask.is_empty() && task.open_r2ts() == 0 {
            match task.missing(0..task.data.len()) {
                None => {
                    task.stage = Stage::Due;
                    return self.later(shared, itt);
                }
                Some(_) => task.plan_r2ts(shared, &self.keys),
            }
        }
        while let Some(task) = self.tasks.get_mut(&itt)
            && task.open_r2ts() < most
            && let Some(range) = task.to_ask.pop_front()
        {
            self.ask(shared, itt, range);
        }
    }

    fn ask(&mut self, shared: &mut Shared, itt: u32, range: Range<usize>) {
        let ttt = shared.ttt();
        let Some(task) = self.tasks.get_mut(&itt) else {
            return;
        };
        task.r2ts.push(R2t {
            ttt,
            sn: task.r2ts.len() as u32,
            next: range.start,
            range,
            data_sn: 0,
            is_done: false,
        });
        let (uid, sn) = (task.uid, task.r2ts.len() - 1);
        self.r2t(shared, itt, sn);
        if self.keys.error_recovery_level > 0 {
            let after = shared.rng.millis(1000, 3000);
            shared.later(self.id, after, Step::LateData { task: uid, ttt });
        }
    }

    /// Sends an R2T, for the first time or again.
    pub(super) fn r2t(&mut self, shared: &mut Shared, itt: u32, sn: usize) {
        let Some(task) = self.tasks.get(&itt) else {
            return;
        };
        let Some(r2t) = task.r2ts.get(sn) else { return };
        let mut header = Header::new(crate::wire::R2T, FINAL, itt);
        header.set_lun(task.lun);
        header.set32(20, r2t.ttt);
        header.set32(36, r2t.sn);
        header.set32(40, r2t.range.start as u32);
        header.set32(44, r2t.range.len() as u32);
        let cid = task.cid;
        self.send(shared, cid, header, &[], Number::Told);
    }

    /// The answer to an R2T does not come: it is asked for anew, by a recovery R2T (RFC 7143 §7.1.4.1).
    pub(super) fn late_data(&mut self, shared: &mut Shared, uid: u64, ttt: u32) {
        let Some((&itt, task)) = self.tasks.iter_mut().find(|(_, task)| task.uid == uid) else {
            return;
        };
        if task.stage != Stage::Gathering || task.is_suspended {
            return;
        }
        let Some(r2t) = task
            .r2ts
            .iter_mut()
            .find(|r2t| r2t.ttt == ttt && !r2t.is_done)
        else {
            return;
        };
        r2t.is_done = true;
        let range = r2t.range.clone();
        if let Some(missing) = task.missing(range) {
            task.to_ask.push_front(missing);
        }
        self.gather(shared, itt);
    }

    /// Asks anew for what is missing: what was on its way on the old connection is lost.
    pub(super) fn resume_gathering(&mut self, shared: &mut Shared, itt: u32) {
        let Some(task) = self.tasks.get_mut(&itt) else {
            return;
        };
        task.unsolicited = None;
        task.to_ask.clear();
        for r2t in &mut task.r2ts {
            r2t.is_done = true;
        }
        self.gather(shared, itt);
    }
}

impl Task {
    fn take_unsolicited(&mut self, header: &Header, end: usize) {
        let Some(unsolicited) = &mut self.unsolicited else {
            return;
        };
        unsolicited.next = end;
        unsolicited.data_sn += 1;
        if header.has(FINAL) {
            assert_eq!(end, unsolicited.end, "the whole first burst");
            self.unsolicited = None;
        }
    }

    fn take_solicited(&mut self, header: &Header, end: usize) {
        let r2t = self.r2ts.iter_mut().find(|r2t| r2t.ttt == header.ttt());
        let r2t = r2t.expect("an R2T that was sent");
        r2t.next = end;
        r2t.data_sn += 1;
        if header.has(FINAL) {
            r2t.is_done = true;
        }
    }

    /// Cuts what is missing into bursts.
    fn plan_r2ts(&mut self, shared: &mut Shared, keys: &crate::scenario::Keys) {
        let (mut at, end) = (0, self.data.len());
        let mut ranges = Vec::new();
        while let Some(missing) = self.missing(at..end) {
            let longest = missing.len().min(keys.max_burst as usize);
            let shortest = longest.div_ceil(4);
            let length = shared.rng.range(shortest as u64, longest as u64) as usize;
            at = missing.start + length;
            ranges.push(missing.start..at);
        }
        if !keys.data_sequence_in_order {
            for n in (1..ranges.len()).rev() {
                ranges.swap(n, shared.rng.index(n + 1));
            }
        }
        // Some data is asked for twice.
        let chance = shared.faults.ask_again;
        if keys.error_recovery_level > 0 && self.r2ts.is_empty() && shared.rng.chance(chance) {
            let range = ranges[shared.rng.index(ranges.len())].clone();
            ranges.push(range);
        }
        self.to_ask = ranges.into();
    }
}
