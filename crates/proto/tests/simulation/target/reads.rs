//! Data-In of the model target: cut and ordered by chance where the keys allow it.

use super::session::{Number, Session};
use super::task::Stage;
use super::{Shared, Step};
use crate::disk::block_of;
use crate::rng::Rng;
use crate::scenario::Keys;
use crate::wire::{DATA_IN, FINAL, Header, NIL};

const ACKNOWLEDGE: u8 = 0x40;
const STATUS: u8 = 0x01;

/// One Data-In PDU.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) offset: usize,
    pub(super) length: usize,
    pub(super) flags: u8,
    /// The tag that goes with the A bit.
    pub(super) ttt: u32,
}

fn shuffle<T>(rng: &mut Rng, items: &mut [T]) {
    for n in (1..items.len()).rev() {
        items.swap(n, rng.index(n + 1));
    }
}

/// Cuts `range` into parts of at most `longest` bytes.
fn parts(rng: &mut Rng, range: std::ops::Range<usize>, longest: usize) -> Vec<(usize, usize)> {
    let shortest = longest.div_ceil(rng.pick(&[1, 1, 4]));
    let (mut at, mut parts) = (range.start, Vec::new());
    while at < range.end {
        let length = (rng.range(shortest as u64, longest as u64) as usize).min(range.end - at);
        parts.push((at, length));
        at += length;
    }
    parts
}

/// How the bytes from `begin` on travel (RFC 7143 §11.7).
pub(super) fn cuts(
    shared: &mut Shared,
    keys: &Keys,
    begin: usize,
    end: usize,
    limit: usize,
) -> Vec<Cut> {
    let rng = &mut shared.rng;
    let mut sequences = parts(rng, begin..end, keys.max_burst as usize);
    if !keys.data_sequence_in_order {
        shuffle(rng, &mut sequences);
    }
    let mut cuts = Vec::new();
    for (start, length) in sequences {
        let mut pdus = parts(rng, start..start + length, limit);
        if !keys.data_pdu_in_order {
            shuffle(rng, &mut pdus);
        }
        if rng.chance(shared.faults.empty) {
            // It is legal, and useless (RFC 7143 §11.7.7).
            let (offset, _) = pdus[0];
            pdus.insert(0, (offset, 0));
        }
        cuts.extend(pdus.into_iter().map(|(offset, length)| Cut {
            offset,
            length,
            flags: 0,
            ttt: NIL,
        }));
        if let Some(last) = cuts.last_mut() {
            last.flags |= FINAL;
            if keys.error_recovery_level > 0 && rng.chance(500) {
                last.flags |= ACKNOWLEDGE;
                shared.next_ttt = shared.next_ttt.wrapping_add(1);
                last.ttt = shared.next_ttt;
            }
        }
    }
    cuts
}

impl Session {
    /// Carries a read out.
    pub(super) fn plan_data_in(&mut self, shared: &mut Shared, itt: u32) {
        let limit = |cid| self.connections.get(&cid).map_or(512, |c| c.max_send);
        let Some(task) = self.tasks.get(&itt) else {
            return;
        };
        let limit = limit(task.cid);
        let blocks = task.first..task.first + task.count;
        let data: Vec<_> = shared.disk[blocks]
            .iter()
            .map(|&version| block_of(version))
            .collect();
        let data = data.concat();
        let mut cuts = cuts(shared, &self.keys, 0, data.len(), limit);
        let chance = if self.keys.error_recovery_level == 0 {
            500
        } else {
            300
        };
        if shared.rng.chance(chance)
            && let Some(last) = cuts.last_mut()
        {
            last.flags |= STATUS;
        }
        let Some(task) = self.tasks.get_mut(&itt) else {
            return;
        };
        (task.data, task.cuts) = (data, cuts);
        task.stage = Stage::Sending;
    }

    /// Sends some Data-In, then the rest later, then the status.
    pub(super) fn send_data_in(&mut self, shared: &mut Shared, itt: u32) {
        let count = shared.rng.pick(&[1, 2, 8]);
        for _ in 0..count {
            let Some(task) = self.tasks.get_mut(&itt) else {
                return;
            };
            let Some(&cut) = task.cuts.get(task.sent) else {
                task.stage = Stage::Settled;
                return self.answer(shared, itt);
            };
            task.sent += 1;
            let sn = task.sent - 1;
            self.data_in(shared, itt, sn, cut);
        }
        let Some(task) = self.tasks.get(&itt) else {
            return;
        };
        if task.stage == Stage::Sending {
            let longest = shared.rng.pick(&[2, 4, 40]);
            let (after, uid) = (shared.rng.millis(0, longest), task.uid);
            shared.later(self.id, after, Step::Task(uid));
        }
    }

    fn data_in(&mut self, shared: &mut Shared, itt: u32, sn: usize, cut: Cut) {
        let Some(task) = self.tasks.get(&itt) else {
            return;
        };
        let cid = task.cid;
        let mut header = Header::new(DATA_IN, cut.flags, itt);
        header.set32(20, cut.ttt);
        header.set32(36, sn as u32);
        header.set32(40, cut.offset as u32);
        if cut.flags & ACKNOWLEDGE != 0 {
            header.set_lun(task.lun);
        }
        let data = task.data[cut.offset..cut.offset + cut.length].to_vec();
        if cut.flags & STATUS == 0 {
            self.send(shared, cid, header, &data, Number::Without);
            return;
        }
        let stat_sn = self.send(shared, cid, header, &data, Number::Taken);
        self.answered(itt, stat_sn);
    }

    /// Sends Data-In again that was sent before; its status has the number it had.
    pub(super) fn data_in_again(&mut self, shared: &mut Shared, itt: u32, sn: usize) {
        let Some(task) = self.tasks.get(&itt) else {
            return;
        };
        let (cid, cut) = (task.cid, task.cuts[sn]);
        if cut.flags & STATUS != 0 {
            if let Stage::Answered { stat_sn } = task.stage {
                self.status_again(shared, cid, stat_sn);
            }
            return;
        }
        self.data_in(shared, itt, sn, cut);
    }
}
