//! TASK REASSIGN: a task of a connection that was logged out for recovery goes on here
//! (RFC 7143 §7.2.2, §11.5.1, §11.5.6).

use hawser_proto::pdu::{Request, TaskManagementRequest, TaskManagementResponse, TmfResponse};

use super::Turn;
use super::task::{Home, Phase};

impl Turn<'_> {
    /// Judges a TASK REASSIGN, answers it, and goes on with the task.
    pub(crate) fn reassign(&mut self, cid: u16, request: &TaskManagementRequest) {
        let tag = request.referenced_task_tag.get();
        let response = self.judge_reassignment(request, tag);
        // RFC 7143 §11.5.1: the answer comes before the first PDU of the task.
        let answer = TaskManagementResponse::new(request.itt.get(), response);
        self.send(cid, answer, &[], true);
        if response == TmfResponse::Complete {
            self.session.shared.counters.reassignments.add();
            self.resume(cid, tag, request.exp_data_sn.get());
        }
    }

    fn judge_reassignment(&self, request: &TaskManagementRequest, tag: u32) -> TmfResponse {
        if self.core.agreed.error_recovery_level < 2 {
            return TmfResponse::ReassignmentNotSupported;
        }
        let links = self.core.links.values();
        let texting = links
            .filter_map(|link| link.text.as_ref())
            .any(|text| text.itt() == tag);
        if !request.is_immediate() || texting || self.core.managing.contains(&tag) {
            return TmfResponse::Rejected;
        }
        let task = self.core.tasks.get(&tag).map(|task| task.home);
        // An answer that was too long to keep is as good as gone.
        let answered = self.core.archive.get(tag).filter(|task| task.is_whole());
        match task.or(answered.map(|task| task.home)) {
            None => TmfResponse::TaskDoesNotExist,
            Some(Home::Lost(loss)) if self.core.is_logged_out(loss) => TmfResponse::Complete,
            Some(_) => TmfResponse::TaskStillAllegiant,
        }
    }

    /// Goes on with a task on connection `cid`. `exp_data_sn` acknowledges its R2Ts or Data-In PDUs
    /// before that number; 0 acknowledges nothing new.
    fn resume(&mut self, cid: u16, itt: u32, exp_data_sn: u32) {
        let Some(task) = self.core.tasks.get_mut(&itt) else {
            return self.answer_again(cid, itt, exp_data_sn);
        };
        task.home = Home::On(cid);
        task.command.snack_tag = 0;
        if let Phase::Gathering(gather) = &mut task.phase {
            gather.resume(exp_data_sn);
            self.proceed(itt);
        }
    }

    /// Has a command answered on connection `cid` if its connection is gone and logged out, as ABORT
    /// TASK wants it (RFC 7143 §11.5.1). False if that is not so.
    pub(crate) fn settle(&mut self, cid: u16, itt: u32) -> bool {
        let answered = self.core.archive.get(itt).filter(|task| task.is_whole());
        let home = answered.map(|task| task.home);
        let orphan = matches!(home, Some(Home::Lost(loss)) if self.core.is_logged_out(loss));
        if orphan {
            self.answer_again(cid, itt, 0);
        }
        orphan
    }
}
