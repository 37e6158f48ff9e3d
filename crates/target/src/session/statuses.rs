//! What a connection has sent under StatSNs that are not acknowledged yet, to be sent again
//! (RFC 7143 §7.1.4.2, §11.16).

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use hawser_proto::pdu::Bhs;
use hawser_proto::serial::Serial;

/// How many statuses are kept for an initiator that does not acknowledge them; the oldest go first.
const STATUSES_LIMIT: usize = 4096;

/// How many bytes of data segments are kept with them, counting read data whole.
const BYTES_LIMIT: usize = 96 * 1024 * 1024;

/// The data segment of a PDU that may have to be sent again.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    /// Bytes of its own.
    Bytes(Vec<u8>),
    /// A part of the data of a read.
    Part(Arc<Vec<u8>>, Range<usize>),
}

impl Kept {
    fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Part(bytes, _) => bytes.len(),
        }
    }
}

/// A PDU that took a StatSN.
#[derive(Debug)]
struct Status {
    stat_sn: u32,
    header: Bhs,
    payload: Kept,
    /// The command that it ended.
    task: Option<u32>,
}

/// A command that ended with a status: its ITT and the StatSN.
pub(crate) type Ended = (u32, u32);

/// The unacknowledged statuses of a connection, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Statuses {
    kept: VecDeque<Status>,
    bytes: usize,
}

impl Statuses {
    /// Keeps a PDU that took this StatSN, in place of the one that did before. Gives the commands
    /// whose statuses had to go for it.
    pub(crate) fn keep(
        &mut self,
        stat_sn: u32,
        header: &Bhs,
        payload: Kept,
        task: Option<u32>,
    ) -> Vec<Ended> {
        let status = Status {
            stat_sn,
            header: *header,
            payload,
            task,
        };
        self.bytes += status.payload.size();
        let last = self.kept.back();
        if last.is_none_or(|last| Serial(last.stat_sn) < Serial(stat_sn)) {
            self.kept.push_back(status);
        } else if let Some(old) = self.kept.iter_mut().find(|old| old.stat_sn == stat_sn) {
            self.bytes = self.bytes.saturating_sub(old.payload.size());
            *old = status;
        }
        let mut gone = Vec::new();
        while self.kept.len() > 1 && (self.kept.len() > STATUSES_LIMIT || self.bytes > BYTES_LIMIT)
        {
            gone.extend(self.pop());
        }
        gone
    }

    /// Forgets everything before a number; gives the commands that ended with it.
    pub(crate) fn forget(&mut self, before: Serial) -> Vec<Ended> {
        let mut ended = Vec::new();
        while let Some(first) = self.kept.front()
            && Serial(first.stat_sn) < before
        {
            ended.extend(self.pop());
        }
        ended
    }

    /// What was kept under these numbers, `end` not included.
    pub(crate) fn run(
        &self,
        begin: Serial,
        end: Serial,
    ) -> impl Iterator<Item = (Bhs, Kept)> + use<'_> {
        self.kept
            .iter()
            .filter(move |status| Serial(status.stat_sn) >= begin && Serial(status.stat_sn) < end)
            .map(|status| (status.header, status.payload.clone()))
    }

    fn pop(&mut self) -> Option<Ended> {
        let status = self.kept.pop_front()?;
        self.bytes = self.bytes.saturating_sub(status.payload.size());
        status.task.map(|itt| (itt, status.stat_sn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Bhs = [0; 48];

    fn keep(statuses: &mut Statuses, stat_sn: u32, size: usize) -> Vec<Ended> {
        let payload = Kept::Bytes(vec![0; size]);
        statuses.keep(stat_sn, &HEADER, payload, Some(stat_sn ^ 0x100))
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_too_much() {
        let mut statuses = Statuses::default();
        for number in 0..4096 {
            assert_eq!(keep(&mut statuses, number, 0), []);
        }
        assert_eq!(keep(&mut statuses, 4096, 0), [(0x100, 0)]);
        let half = BYTES_LIMIT / 2;
        assert_eq!(keep(&mut statuses, 4097, half), [(0x101, 1)]);
        assert_eq!(keep(&mut statuses, 4098, half), [(0x102, 2)]);
        // One byte too many: all before the first large one go, and that too.
        let gone = keep(&mut statuses, 4099, 1);
        assert_eq!(gone.len(), 4095);
        assert_eq!((statuses.kept.len(), statuses.bytes), (2, half + 1));
    }

    #[test]
    fn one_number_is_kept_once() {
        let mut statuses = Statuses::default();
        keep(&mut statuses, u32::MAX, 10);
        keep(&mut statuses, 0, 10);
        keep(&mut statuses, u32::MAX, 30);
        assert_eq!(statuses.bytes, 40);
        let sizes: Vec<usize> = statuses
            .run(Serial(u32::MAX), Serial(1))
            .map(|(_, payload)| payload.size())
            .collect();
        assert_eq!(sizes, [30, 10]);
        assert_eq!(statuses.forget(Serial(0)), [(u32::MAX ^ 0x100, u32::MAX)]);
        assert_eq!((statuses.bytes, statuses.kept.len()), (10, 1));
    }
}
