//! Task management (RFC 7143 §4.2.3, §11.5, §11.6).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use hawser_proto::pdu::{TaskManagementRequest, TaskManagementResponse, TmfFunction, TmfResponse};
use hawser_proto::serial::Serial;
use hawser_scsi::Lun;

use super::task::{Phase, Task};
use super::{Core, Ending, Session, Turn};
use crate::faults::AsyncEvent;

/// How long a function waits for what the initiator still owes: earlier commands, and the data of
/// R2Ts (RFC 7143 §4.2.3.3). One that never sends them gets its answer all the same.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// The tag of pings that ask for an acknowledgment. Any answer brings one.
const FENCE_TTT: u32 = 0xfeec;

/// Async event 5, "the tasks of a logical unit are terminated" (RFC 7143 §11.9.1).
const EVENT_TASKS_TERMINATED: u8 = 5;

/// Whom a function concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The tasks of one logical unit.
    Unit(Lun),
    /// All tasks.
    Target,
}

impl Scope {
    pub(super) fn covers(self, lun: Lun) -> bool {
        match self {
            Self::Unit(wanted) => wanted == lun || wanted.number() == lun.number(),
            Self::Target => true,
        }
    }
}

/// A function that is being carried out.
#[derive(Debug, Clone, Copy)]
struct Work {
    cid: u16,
    itt: u32,
    /// Its CmdSN, which marks its place among the commands.
    number: Serial,
    function: TmfFunction,
    scope: Scope,
}

impl Work {
    /// Whether it ends this task, of its `own` session or of another. What the initiator has sent
    /// behind it is not concerned, except by a reset.
    fn concerns(&self, task: &Task, own: bool) -> bool {
        let reset = !matches!(
            self.function,
            TmfFunction::AbortTaskSet | TmfFunction::ClearTaskSet
        );
        let before = !own || reset || task.command.number() < self.number;
        before && self.scope.covers(task.command.lun())
    }
}

impl Turn<'_> {
    /// Takes a task management function in hand.
    pub(crate) fn manage(&mut self, cid: u16, request: &TaskManagementRequest) {
        if let Some(far) = self.session.far.clone() {
            return self.manage_far(&far, cid, request);
        }
        let function = request.function();
        let itt = request.itt.get();
        let lun = Lun(request.lun);
        let answer = match function {
            Ok(TmfFunction::AbortTask) => self.abort_task(cid, request),
            Ok(
                function @ (TmfFunction::AbortTaskSet
                | TmfFunction::ClearTaskSet
                | TmfFunction::LogicalUnitReset),
            ) => {
                let known = self
                    .session
                    .device()
                    .is_some_and(|device| device.unit(lun).is_some());
                if known {
                    return self.manage_many(cid, request, function, Scope::Unit(lun));
                }
                Some(TmfResponse::LunDoesNotExist)
            }
            Ok(function @ (TmfFunction::TargetWarmReset | TmfFunction::TargetColdReset)) => {
                return self.manage_many(cid, request, function, Scope::Target);
            }
            Ok(TmfFunction::TaskReassign) => return self.reassign(cid, request),
            // RFC 7144 §6.3: only if it was agreed on.
            Ok(TmfFunction::ItNexusReset) if self.core.agreed.protocol_level >= 2 => {
                return self.manage_many(cid, request, TmfFunction::ItNexusReset, Scope::Target);
            }
            Ok(
                function @ (TmfFunction::QueryTask
                | TmfFunction::QueryTaskSet
                | TmfFunction::QueryAsynchronousEvent),
            ) if self.core.agreed.protocol_level >= 2 => return self.query(cid, request, function),
            // ACA is not implemented.
            _ => Some(TmfResponse::NotSupported),
        };
        if let Some(answer) = answer {
            self.send(cid, TaskManagementResponse::new(itt, answer), &[], true);
        }
    }

    /// ABORT TASK (RFC 7143 §11.6.1). `None` while the task is still being carried out.
    fn abort_task(&mut self, cid: u16, request: &TaskManagementRequest) -> Option<TmfResponse> {
        let tag = request.referenced_task_tag.get();
        let lun = Lun(request.lun);
        if self.core.managing.contains(&tag) {
            // RFC 7143 §11.5.1.
            return Some(TmfResponse::Rejected);
        }
        if self.settle(cid, tag) {
            return Some(TmfResponse::Complete);
        }
        if let Some(task) = self.core.tasks.get(&tag) {
            if task.command.lun() != lun {
                return Some(TmfResponse::TaskDoesNotExist);
            }
            let ticket = match task.phase {
                Phase::Executing(ticket) => Some(ticket),
                _ => None,
            };
            self.forget(tag);
            let Some(ticket) = ticket else {
                return Some(TmfResponse::Complete);
            };
            self.answer_when_idle(cid, request.itt.get(), ticket);
            return None;
        }
        // A command that never came: its number counts as received.
        let number = Serial(request.ref_cmd_sn.get());
        let missing = number < Serial(request.cmd_sn.get()) && self.core.window.plug(number);
        if missing {
            self.release();
            return Some(TmfResponse::Complete);
        }
        Some(TmfResponse::TaskDoesNotExist)
    }

    /// Answers once the command of this ticket is no longer being carried out.
    fn answer_when_idle(&mut self, cid: u16, itt: u32, ticket: u64) {
        self.core.managing.insert(itt);
        let session = Arc::clone(self.session);
        tokio::spawn(async move {
            session
                .until(|core| core.closed || !core.executing.contains_key(&ticket))
                .await;
            session.conclude(cid, itt);
        });
    }

    /// A function that concerns many tasks, perhaps of other sessions too.
    fn manage_many(
        &mut self,
        cid: u16,
        request: &TaskManagementRequest,
        function: TmfFunction,
        scope: Scope,
    ) {
        if scope == Scope::Target {
            // What has not come yet counts as received (RFC 7143 §4.2.3.3).
            self.plug_up_to(Serial(request.cmd_sn.get()));
        }
        self.core.managing.insert(request.itt.get());
        let session = Arc::clone(self.session);
        let number = Serial(request.cmd_sn.get());
        let work = Work {
            cid,
            itt: request.itt.get(),
            number,
            function,
            scope,
        };
        // What is here already ends here and now, before anything that comes behind.
        let all_here = self.core.window.expected() >= number;
        let tickets = all_here.then(|| self.doom(work, true));
        tokio::spawn(session.carry_out_function(work, tickets));
    }

    fn plug_up_to(&mut self, number: Serial) {
        let end = self.core.window.max().plus(1);
        let end = if number < end { number } else { end };
        let mut next = self.core.window.expected();
        while next < end {
            self.core.window.plug(next);
            next = next.plus(1);
        }
        self.release();
    }

    /// Ends the tasks that a function concerns, of its `own` session or of another. Of the own one
    /// those whose data is on its way stay until it has come, but not with FastAbort
    /// (RFC 7143 §4.2.3.4). Returns the tickets of commands that are being carried out.
    fn doom(&mut self, work: Work, own: bool) -> HashSet<u64> {
        self.announce_terminations(work, own);
        let patience = own && !self.core.agreed.fast_abort;
        let affected: Vec<u32> = self
            .core
            .tasks
            .iter()
            .filter(|(_, task)| work.concerns(task, own))
            .map(|(itt, _)| *itt)
            .collect();
        for itt in affected {
            let Some(task) = self.core.tasks.get_mut(&itt) else {
                continue;
            };
            let owed = matches!(&task.phase, Phase::Gathering(gather) if gather.has_open_r2ts());
            // To one without a connection nothing is on its way.
            let owed = owed && task.home.cid().is_some();
            if patience && owed {
                task.doomed = true;
            } else {
                self.forget(itt);
            }
        }
        let covered = self
            .core
            .executing
            .iter()
            .filter(|(_, lun)| work.scope.covers(**lun));
        covered.map(|(ticket, _)| *ticket).collect()
    }

    /// With FastAbort, tells the connections of affected tasks, but for the one that the function
    /// came on, that they end (RFC 7143 §4.2.3.4, §4.2.3.5).
    fn announce_terminations(&mut self, work: Work, own: bool) {
        if !self.core.agreed.fast_abort {
            return;
        }
        let affected = self.core.tasks.values();
        let affected: BTreeSet<(u16, u64)> = affected
            .filter(|task| work.concerns(task, own))
            .filter_map(|task| Some((task.home.cid()?, task.command.lun().number()?)))
            .filter(|(cid, _)| !own || *cid != work.cid)
            .collect();
        for (cid, lun) in affected {
            let event = AsyncEvent {
                event: EVENT_TASKS_TERMINATED,
                lun,
                ..AsyncEvent::default()
            };
            self.announce(cid, &event);
        }
    }
}

impl Session {
    /// The steps of RFC 7143 §4.2.3.3, in their order.
    async fn carry_out_function(self: Arc<Self>, work: Work, tickets: Option<HashSet<u64>>) {
        let Work {
            cid,
            itt,
            number,
            function,
            scope,
        } = work;
        let tickets = match tickets {
            Some(tickets) => tickets,
            None => {
                let received = |core: &Core| core.closed || core.window.expected() >= number;
                let _ = tokio::time::timeout(PATIENCE, self.until(received)).await;
                self.turn(&mut self.lock()).doom(work, true)
            }
        };
        let owed = |core: &Core| {
            core.closed
                || !core
                    .tasks
                    .values()
                    .any(|t| t.doomed && scope.covers(t.command.lun()))
        };
        let _ = tokio::time::timeout(PATIENCE, self.until(owed)).await;
        self.turn(&mut self.lock()).doom_again(scope);
        self.idle(&tickets).await;
        let others = match function {
            TmfFunction::AbortTaskSet | TmfFunction::ItNexusReset => Vec::new(),
            _ => self.shared.registry.others(&self),
        };
        for other in &others {
            let tickets = other.turn(&mut other.lock()).doom(work, false);
            other.idle(&tickets).await;
        }
        self.reset(function, scope);
        self.fence().await;
        self.conclude(cid, itt);
        match function {
            TmfFunction::TargetColdReset => self.drop_all(cid, &others),
            // RFC 7144 §6.3: nothing is waited for, whatever Time2Wait and Time2Retain say.
            TmfFunction::ItNexusReset => self.drop_all(cid, &[]),
            _ => return,
        }
        for session in others.iter().chain([&self]) {
            session.bury().await;
        }
    }

    /// Waits until the commands of these tickets are no longer being carried out.
    async fn idle(&self, tickets: &HashSet<u64>) {
        self.until(|core| {
            !tickets
                .iter()
                .any(|ticket| core.executing.contains_key(ticket))
        })
        .await;
    }

    fn reset(&self, function: TmfFunction, scope: Scope) {
        let Some(device) = self.device() else {
            return;
        };
        match (function, scope) {
            (TmfFunction::LogicalUnitReset, Scope::Unit(lun)) => {
                device.reset_unit(lun);
            }
            (TmfFunction::TargetWarmReset | TmfFunction::TargetColdReset, _) => device.reset(),
            _ => {}
        }
    }

    /// Waits until all responses sent so far have arrived, on a session of several connections
    /// (RFC 7143 §4.2.2.3.3): the answer that follows must be the last that is heard of the tasks.
    async fn fence(self: &Arc<Self>) {
        let marks = self.turn(&mut self.lock()).mark_statuses();
        if marks.is_empty() {
            return;
        }
        let arrived = |core: &Core| {
            core.closed
                || marks.iter().all(|(cid, stat_sn)| {
                    core.links
                        .get(cid)
                        .is_none_or(|link| link.has_acknowledged(*stat_sn))
                })
        };
        let _ = tokio::time::timeout(PATIENCE, self.until(arrived)).await;
        let mut core = self.lock();
        core.fences = core.fences.saturating_sub(1);
    }

    /// Answers a function that is carried out.
    fn conclude(self: &Arc<Self>, cid: u16, itt: u32) {
        let mut core = self.lock();
        core.managing.remove(&itt);
        let response = TaskManagementResponse::new(itt, TmfResponse::Complete);
        self.turn(&mut core).send(cid, response, &[], true);
    }

    /// TARGET COLD RESET and I_T NEXUS RESET: all connections to the target, or those of the session,
    /// are closed, the issuing one after its answer (RFC 7143 §11.6.1, RFC 7144 §6.3).
    fn drop_all(&self, cid: u16, others: &[Arc<Self>]) {
        others.iter().for_each(|other| other.end());
        let mut core = self.lock();
        core.forget_all();
        for (&linked, link) in &mut core.links {
            link.end(if linked == cid {
                Ending::AfterOutput
            } else {
                Ending::Now
            });
        }
    }
}

impl Turn<'_> {
    /// The next StatSN of each connection, and a ping to those that have not acknowledged all
    /// before it. Nothing on a session of one connection, where responses keep their order anyway.
    fn mark_statuses(&mut self) -> Vec<(u16, Serial)> {
        if self.core.links.len() < 2 {
            return Vec::new();
        }
        self.core.fences += 1;
        let links = self.core.links.iter();
        let marks: Vec<_> = links
            .map(|(cid, link)| (*cid, link.next_status()))
            .collect();
        for (cid, stat_sn) in &marks {
            let behind = self.core.links.get(cid);
            if behind.is_some_and(|link| !link.has_acknowledged(*stat_sn)) {
                self.ping(*cid, FENCE_TTT);
            }
        }
        marks
    }

    /// Ends what was doomed and has outlived our patience.
    fn doom_again(&mut self, scope: Scope) {
        let doomed: Vec<u32> = self
            .core
            .tasks
            .iter()
            .filter(|(_, task)| task.doomed && scope.covers(task.command.lun()))
            .map(|(itt, _)| *itt)
            .collect();
        doomed.into_iter().for_each(|itt| self.forget(itt));
    }
}
