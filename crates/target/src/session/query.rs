//! The task management functions of RFC 7144 §6.3 that only ask (iSCSIProtocolLevel 2).

use hawser_proto::pdu::{TaskManagementRequest, TaskManagementResponse, TmfFunction, TmfResponse};
use hawser_scsi::Lun;

use super::Turn;

/// What a question is answered with: the response, and the additional response information.
type Answer = (TmfResponse, [u8; 3]);

/// There is nothing of what was asked for.
const NO: Answer = (TmfResponse::Complete, [0; 3]);

impl Turn<'_> {
    /// Answers QUERY TASK, QUERY TASK SET and QUERY ASYNCHRONOUS EVENT.
    pub(crate) fn query(
        &mut self,
        cid: u16,
        request: &TaskManagementRequest,
        function: TmfFunction,
    ) {
        let lun = Lun(request.lun);
        let known = self
            .session
            .device()
            .is_some_and(|device| device.unit(lun).is_some());
        let (response, information) = match function {
            _ if !known => (TmfResponse::LunDoesNotExist, [0; 3]),
            TmfFunction::QueryTask => self.query_task(request.referenced_task_tag.get(), lun),
            TmfFunction::QueryTaskSet => self.query_task_set(lun),
            _ => self.query_news(lun),
        };
        let mut pdu = TaskManagementResponse::new(request.itt.get(), response);
        pdu.additional_response_information = information;
        self.send(cid, pdu, &[], true);
    }

    fn query_task(&self, tag: u32, lun: Lun) -> Answer {
        if self.core.managing.contains(&tag) {
            return (TmfResponse::Rejected, [0; 3]);
        }
        let task = self.core.tasks.get(&tag);
        let there = task.is_some_and(|task| task.command.lun().number() == lun.number());
        present(there)
    }

    fn query_task_set(&self, lun: Lun) -> Answer {
        let mut tasks = self.core.tasks.values();
        present(tasks.any(|task| task.command.lun().number() == lun.number()))
    }

    /// Whether a unit attention waits for this nexus: how many (1, or 2 for more), and the sense of
    /// the first (SAM-5 §7.9).
    fn query_news(&self, lun: Lun) -> Answer {
        let device = self.session.device();
        let news = device.and_then(|device| device.news(&self.session.nexus, lun));
        news.map_or(NO, |(count, sense)| {
            let depth: u8 = if count > 1 { 2 } else { 1 };
            let information = [depth << 4 | sense.key.to_nibble(), sense.asc, sense.ascq];
            (TmfResponse::Succeeded, information)
        })
    }
}

fn present(there: bool) -> Answer {
    if there {
        (TmfResponse::Succeeded, [0; 3])
    } else {
        NO
    }
}
