//! A task of the model target.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use super::reads::Cut;

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its number is not due yet.
    Held,
    /// A write that waits for data.
    Gathering,
    /// To be carried out.
    Due,
    /// A read whose data is on its way.
    Sending,
    /// Carried out; the status is due.
    Settled,
    /// The status was sent and not acknowledged: it may be asked for again.
    Answered { stat_sn: u32 },
    /// Never to be answered.
    Hung,
}

#[derive(Debug)]
pub(super) struct R2t {
    pub(super) ttt: u32,
    pub(super) sn: u32,
    pub(super) range: Range<usize>,
    /// Where the next Data-Out begins, and its DataSN.
    pub(super) next: usize,
    pub(super) data_sn: u32,
    /// Answered, or asked for anew.
    pub(super) is_done: bool,
}

/// Unsolicited Data-Out that is still to come.
#[derive(Debug)]
pub(super) struct Unsolicited {
    pub(super) next: usize,
    pub(super) end: usize,
    pub(super) data_sn: u32,
}

#[derive(Debug)]
pub(super) struct Task {
    pub(super) uid: u64,
    /// The connection it is allegiant to.
    pub(super) cid: u16,
    /// That was logged out of: it waits to be reassigned, until then.
    pub(super) is_suspended: bool,
    pub(super) forgotten_at: Option<Instant>,
    pub(super) lun: [u8; 8],
    pub(super) cmd_sn: u32,
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) is_write: bool,
    pub(super) stage: Stage,
    /// SCSI status.
    pub(super) status: u8,
    pub(super) data: Vec<u8>,
    /// Which bytes of a write have come: 1 for those. Bytes are found faster than truths.
    pub(super) have: Vec<u8>,
    pub(super) unsolicited: Option<Unsolicited>,
    /// What is to be asked for.
    pub(super) to_ask: VecDeque<Range<usize>>,
    /// All R2Ts ever sent, by R2TSN.
    pub(super) r2ts: Vec<R2t>,
    /// The Data-In PDUs of a read, by DataSN.
    pub(super) cuts: Vec<Cut>,
    /// Data-In PDUs that were sent.
    pub(super) sent: usize,
    /// Data-In PDUs that the initiator has acknowledged.
    pub(super) acknowledged: usize,
    /// The tag of the last R-Data SNACK.
    pub(super) snack_tag: u32,
}

impl Task {
    /// It will change the disk unless something ends it.
    pub(super) fn will_write(&self) -> bool {
        self.is_write && self.stage == Stage::Due && self.status == 0
    }

    pub(super) fn open_r2ts(&self) -> usize {
        self.r2ts.iter().filter(|r2t| !r2t.is_done).count()
    }

    /// The first bytes within `range` that have not come.
    pub(super) fn missing(&self, range: Range<usize>) -> Option<Range<usize>> {
        let have = &self.have[range.clone()];
        if !have.contains(&0) {
            return None;
        }
        let begin = range.start + have.iter().position(|&has| has == 0)?;
        let end = self.have[begin..range.end].iter().position(|&has| has == 1);
        Some(begin..end.map_or(range.end, |length| begin + length))
    }
}
