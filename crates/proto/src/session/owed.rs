//! What a target still has to send.

use super::Session;
use crate::pdu::BHS_LENGTH;

impl Session {
    /// The least number of bytes that the target still has to send on connection `cid`, in answer to the
    /// SCSI commands that were sent there: the data that has not come and a status each. A driver that
    /// sleeps until so many bytes, or fewer, have come does not sleep for ever because it asked for too
    /// much; only because the target is slow. Looks at each task: ask seldom.
    #[must_use]
    pub fn owed(&self, cid: u16) -> u64 {
        let connection = self.index(cid).and_then(|at| self.connections.get(at));
        let Some(link) = connection.map(|connection| connection.link) else {
            return 0;
        };
        let sent = self.tasks.iter().filter(|(_, task)| {
            task.command().is_some() && task.ended.is_none() && task.is_sent_on(link)
        });
        sent.map(|(_, task)| {
            let data = task.read_length().saturating_sub(task.received);
            u64::from(data) + BHS_LENGTH as u64
        })
        .sum()
    }
}
