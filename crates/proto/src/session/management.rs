//! Task management (RFC 7143 §11.5), and how tasks that do not end are made to.

use std::collections::VecDeque;
use std::time::Instant;

use super::connection::{Burst, Pong, Reply};
use super::event::{Action, ConnectionError, Escalation, Event, Outcome};
use super::task::{Ending, Kind, State, Task, TaskId};
use super::{Hold, Session};
use crate::pdu::{NIL, NO_LUN, TmfFunction};
use crate::serial::Serial;

/// A task management request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Management {
    /// What to do. TASK REASSIGN is not asked for here; functions 9 to 12 need iSCSIProtocolLevel 2
    /// (RFC 7144 §6.1) and are answered with response 5 without it.
    pub function: TmfFunction,
    /// The logical unit; not looked at for target resets.
    pub lun: [u8; 8],
    /// The task, for [`TmfFunction::AbortTask`] and [`TmfFunction::QueryTask`], as its submission named
    /// it.
    pub task: Option<TaskId>,
    /// Who hears of it: `None` when the session asks by itself.
    pub token: Option<u64>,
}

/// Management functions that may wait for the one under way.
const MAX_MANAGEMENT_QUEUE: usize = 64;

const COMPLETE: u8 = 0;
const TASK_DOES_NOT_EXIST: u8 = 1;
const NOT_SUPPORTED: u8 = 5;

impl Management {
    /// The task it refers to (RFC 7143 §11.5.4).
    pub(super) fn referenced(&self) -> Option<TaskId> {
        self.task.filter(|_| self.names_task())
    }

    /// Its function is one that refers to a task.
    fn names_task(&self) -> bool {
        use TmfFunction::{AbortTask, QueryTask, TaskReassign};
        matches!(self.function, AbortTask | QueryTask | TaskReassign)
    }
}

impl Management {
    /// It ends all tasks of a logical unit, or of the target.
    pub(super) fn ends_groups(&self) -> bool {
        use TmfFunction::{
            AbortTaskSet, ClearTaskSet, ItNexusReset, LogicalUnitReset, TargetColdReset,
            TargetWarmReset,
        };
        matches!(
            self.function,
            AbortTaskSet
                | ClearTaskSet
                | LogicalUnitReset
                | TargetWarmReset
                | TargetColdReset
                | ItNexusReset
        )
    }

    /// It concerns one logical unit.
    fn names_lun(&self) -> bool {
        super::reassign::reserved_lun(self.function).is_none()
    }
}

impl Task {
    /// Its end is told to the driver.
    pub(super) fn is_reported(&self) -> bool {
        match &self.kind {
            Kind::Scsi(_) => true,
            Kind::Management(request) => request.token.is_some(),
            Kind::Ping { .. } | Kind::Text | Kind::Logout { .. } => false,
        }
    }
}

/// Drops the Data-Out of tasks.
fn drain_bursts(bursts: &mut VecDeque<Burst>, mut affected: impl FnMut(TaskId) -> bool) {
    bursts.retain(|burst| !affected(burst.task));
}

impl Session {
    /// Asks for a task management function. Functions run one after the other; a `token` comes back
    /// in the [`Done`](super::Done), with [`Outcome::Managed`] or the reason there was no answer.
    /// Without a connection it ends at once with [`Outcome::Disconnected`]: what is asked of the
    /// tasks of now must not hit those of later.
    ///
    /// # Errors
    /// [`Full`](super::Full) when too many wait already.
    pub fn manage(&mut self, now: Instant, mut request: Management) -> Result<(), super::Full> {
        // One that has ended keeps its name, and is found not to exist when its turn comes.
        request.task = request.task.map(|id| self.tasks.present(id).unwrap_or(id));
        self.enqueue(now, request)
    }

    fn enqueue(&mut self, now: Instant, request: Management) -> Result<(), super::Full> {
        if self.management.len() >= MAX_MANAGEMENT_QUEUE {
            return Err(super::Full);
        }
        if let Some(refusal) = self.refusal(&request) {
            self.report_unmanaged(request, refusal);
            return Ok(());
        }
        self.management.push_back(request);
        self.next_management(now);
        Ok(())
    }

    /// Why a request cannot be sent at all.
    fn refusal(&self, request: &Management) -> Option<Outcome> {
        let agreed = self
            .connections
            .first()
            .map_or(1, |c| c.parameters.protocol_level);
        let not_asked_here = match request.function {
            TmfFunction::TaskReassign => true,
            function => agreed < 2 && function.code() > TmfFunction::TaskReassign.code(),
        };
        if self.phase.is_over() {
            Some(Outcome::Closed)
        } else if !self.is_up() {
            Some(Outcome::Disconnected)
        } else if not_asked_here {
            let response = NOT_SUPPORTED;
            Some(Outcome::Managed { response })
        } else if request.names_task() && request.task.is_none() {
            let response = TASK_DOES_NOT_EXIST;
            Some(Outcome::Managed { response })
        } else {
            None
        }
    }

    /// The logical unit and the CmdSN of a command that was sent and has no end yet.
    pub(super) fn live_command(&mut self, id: TaskId) -> Option<([u8; 8], Serial)> {
        let task = self.tasks.find(id).filter(|task| task.ended.is_none())?;
        match (task.command(), task.state) {
            (Some(command), State::Sent { cmd_sn, .. }) => Some((command.lun, cmd_sn)),
            (Some(_) | None, _) => None,
        }
    }

    /// Aborts a task: it ends with [`Outcome::Aborted`], unless its answer comes first. A task that
    /// was not sent yet ends at once.
    ///
    /// # Errors
    /// [`Full`](super::Full) when too many management functions wait already.
    pub fn abort(&mut self, now: Instant, id: TaskId) -> Result<(), super::Full> {
        if self.abort_unsent(id) {
            return Ok(());
        }
        let Some(id) = self.tasks.present(id) else {
            return Ok(());
        };
        let state = self.tasks.find(id).map(|task| task.state);
        if state.is_some_and(|state| self.is_orphan(state)) {
            // It ends when the target has cleaned up after its connection.
            if let Some(task) = self.tasks.find(id) {
                task.ending = Ending::Cancelled;
            }
            return Ok(());
        }
        let Some((lun, _)) = self.live_command(id) else {
            return Ok(());
        };
        let function = TmfFunction::AbortTask;
        self.enqueue(
            now,
            Management {
                function,
                lun,
                task: Some(id),
                token: None,
            },
        )?;
        if let Some(task) = self.tasks.find(id) {
            task.ending = Ending::Cancelled;
        }
        Ok(())
    }

    /// Ends a task that was not sent yet with [`Outcome::Aborted`]; false if there is none, or it was
    /// sent: then only the target can abort it.
    pub fn abort_unsent(&mut self, id: TaskId) -> bool {
        let Some(id) = self.tasks.present(id) else {
            return false;
        };
        match self.tasks.find(id).map(|task| task.state) {
            Some(State::Ready) => {}
            // Its number must not be missing.
            Some(State::Numbered { cmd_sn }) => self.plugs.push_back(cmd_sn),
            _ => return false,
        }
        self.unqueue(id.slot());
        self.finish(id.slot(), Outcome::Aborted);
        true
    }

    /// Sends the next waiting function, if none is under way and there is a slot and a connection.
    pub(super) fn next_management(&mut self, now: Instant) {
        while self.managing.is_none() && self.may_request() {
            let Some(request) = self.next_reassign().or_else(|| self.management.pop_front()) else {
                return;
            };
            let referenced = request.referenced();
            if referenced.is_some_and(|id| self.live_command(id).is_none()) {
                self.report_unmanaged(
                    request,
                    Outcome::Managed {
                        response: TASK_DOES_NOT_EXIST,
                    },
                );
                continue;
            }
            let aborted = referenced.filter(|_| request.function == TmfFunction::AbortTask);
            if aborted.is_some_and(|id| self.awaits_cleanup(id)) {
                // On another connection it may be aborted when its own was logged out of (RFC 7143
                // §11.5.1); what becomes of it is decided then.
                self.report_unmanaged(request, Outcome::Interrupted);
                continue;
            }
            let carrier = self.carrier(&request);
            let token = request.token.unwrap_or_default();
            let mut task = Task::new(token, Kind::Management(request), now);
            task.deadline = Some(now + self.config.management_timeout);
            let connection = carrier.and_then(|at| self.connections.get_mut(at));
            task.home = connection.as_ref().map_or(0, |connection| connection.link);
            let inserted = connection.and_then(|c| Some((c, self.tasks.insert(task)?)));
            let Some((connection, id)) = inserted else {
                self.management.push_front(request);
                return;
            };
            self.managing = Some(id.slot());
            connection.immediate.push_back(id.slot());
            self.watch(now);
        }
    }

    /// The connection that a request travels on: that of the task it refers to (RFC 7143 §11.5.1), if
    /// that is there, else any that takes requests.
    fn carrier(&mut self, request: &Management) -> Option<usize> {
        let task = request.referenced().and_then(|id| self.tasks.find(id));
        let home = task.and_then(|task| match task.state {
            State::Sent { link, .. } => Some(link),
            State::Ready | State::Numbered { .. } => None,
        });
        let of_task = home.and_then(|link| {
            let is_home = |c: &super::Connection| c.link == link && c.may_carry();
            self.connections.iter().position(is_home)
        });
        of_task.or_else(|| {
            self.connections
                .iter()
                .position(super::Connection::is_usable)
        })
    }

    /// A function that ends many tasks leaves on a connection. With FastAbort their Data-Out stops there
    /// (RFC 7143 §4.2.3.4). The target answers it only when the statuses before it are acknowledged on all
    /// connections (§4.2.2.3.3), so each of them says at once what it has.
    pub(super) fn begin_group_function(&mut self, index: usize, request: &Management) {
        let tasks = &mut self.tasks;
        let affected = |id: TaskId| {
            let lun = tasks
                .find(id)
                .and_then(|task| task.command())
                .map(|command| command.lun);
            !request.names_lun() || lun == Some(request.lun)
        };
        if let Some(connection) = self.connections.get_mut(index)
            && connection.parameters.fast_abort
        {
            drain_bursts(&mut connection.bursts, affected);
        }
        self.acknowledges_at_once = self.connections.len() > 1;
        for at in (0..self.connections.len()).filter(|at| *at != index) {
            self.acknowledge_now(at);
        }
    }

    /// Sends what acknowledges the statuses of a connection, if nothing is going out on it anyway
    /// (RFC 7143 §11.18: a NOP-Out without tags).
    pub(super) fn acknowledge_now(&mut self, index: usize) {
        if let Some(connection) = self.connections.get_mut(index)
            && connection.replies.is_empty()
        {
            let (lun, ttt) = (NO_LUN, NIL);
            connection.replies.push_back(Reply::Pong(Pong { lun, ttt }));
        }
    }

    /// Tells the end of a request that never became a task.
    pub(super) fn report_unmanaged(&mut self, request: Management, outcome: Outcome) {
        if let Some(token) = request.token {
            let done = super::Done {
                token,
                slot: u16::MAX,
                outcome,
            };
            self.events.push_back(Event::Done(done));
        }
    }

    /// A task management response came to the request that was sent with `cmd_sn`.
    pub(super) fn managed(
        &mut self,
        now: Instant,
        slot: u16,
        request: Management,
        cmd_sn: Serial,
        response: u8,
    ) {
        self.managing = None;
        self.acknowledges_at_once = false;
        self.finish(slot, Outcome::Managed { response });
        let ended = response == COMPLETE
            || (response == TASK_DOES_NOT_EXIST && request.function == TmfFunction::AbortTask);
        if ended {
            self.conclude(now, request, cmd_sn);
        } else if request.token.is_none() {
            self.escalate(now, request);
        }
        self.next_management(now);
    }

    /// The target has ended the tasks that `request` names: so they end here, or, where they may be
    /// sent again and nobody asked for their end, wait to be sent again. `cmd_sn` marks the request's
    /// place: commands behind it are not affected and may well be carried out (RFC 7143 §4.2.3.3).
    fn conclude(&mut self, now: Instant, request: Management, cmd_sn: Serial) {
        let mut affected: Vec<u16> = match request.function {
            TmfFunction::AbortTask => {
                let id = request.task.filter(|&id| self.live_command(id).is_some());
                id.map(TaskId::slot).into_iter().collect()
            }
            TmfFunction::ClearAca
            | TmfFunction::TaskReassign
            | TmfFunction::QueryTask
            | TmfFunction::QueryTaskSet
            | TmfFunction::QueryAsynchronousEvent => Vec::new(),
            TmfFunction::AbortTaskSet
            | TmfFunction::ClearTaskSet
            | TmfFunction::LogicalUnitReset => self.sent_commands(Some(request.lun), Some(cmd_sn)),
            TmfFunction::TargetWarmReset
            | TmfFunction::TargetColdReset
            | TmfFunction::ItNexusReset => self.sent_commands(None, Some(cmd_sn)),
        };
        // What the target never took is none of its tasks: it goes out again with its number.
        affected.retain(|&slot| !self.is_untaken(slot));
        for &slot in affected.iter().rev() {
            self.end_or_repeat(now, slot, Outcome::Aborted);
        }
    }

    /// A command that is lost with its connection, or waits to be sent again, and whose number the target
    /// has not acknowledged.
    fn is_untaken(&self, slot: u16) -> bool {
        let state = self.tasks.get(slot).map_or(State::Ready, |task| task.state);
        match state {
            State::Ready => false,
            State::Numbered { .. } => true,
            State::Sent { cmd_sn, .. } => {
                self.is_orphan(state) && !self.window.is_acknowledged(cmd_sn)
            }
        }
    }

    /// Commands that were sent, for one logical unit or all, before `before` or at any time, in the
    /// order of their CmdSN.
    pub(super) fn sent_commands(&self, lun: Option<[u8; 8]>, before: Option<Serial>) -> Vec<u16> {
        let mut sent: Vec<_> = self
            .tasks
            .iter()
            .filter_map(|(slot, task)| {
                let command = task.command()?;
                let cmd_sn = task.cmd_sn()?;
                let affected = lun.is_none_or(|lun| lun == command.lun)
                    && before.is_none_or(|before| cmd_sn < before)
                    && task.ended.is_none();
                affected.then(|| (self.window.current().since(cmd_sn), slot))
            })
            .collect();
        sent.sort_unstable_by(|a, b| b.cmp(a));
        sent.into_iter().map(|(_, slot)| slot).collect()
    }

    /// A sent command is no longer alive on the target. It goes back to the front of the queue if it
    /// may be replayed and still has time, or to the driver if that has taken it back; else it ends with
    /// `outcome`, or as timed out if that is why it was ended.
    pub(super) fn end_or_repeat(&mut self, now: Instant, slot: u16, outcome: Outcome) {
        let hold = self.config.hold;
        let Some(task) = self.tasks.get_mut(slot) else {
            return;
        };
        let in_time = match hold {
            Hold::Forever => true,
            Hold::For(limit) => now.saturating_duration_since(task.submitted) < limit,
        };
        let (replay, urgent) = task
            .command()
            .map_or((false, false), |command| (command.replay, command.urgent));
        match task.ending {
            Ending::Cancelled => self.finish(slot, Outcome::Aborted),
            _ if replay && in_time && task.withdrawn => self.finish(slot, Outcome::Withdrawn),
            _ if replay && in_time && !self.phase.is_over() => {
                task.rewind();
                self.counters.replayed_commands += 1;
                self.tasks.renew(slot);
                let queue = if urgent {
                    &mut self.urgent
                } else {
                    &mut self.ready
                };
                queue.push_front(slot);
            }
            Ending::TimedOut => self.finish(slot, Outcome::TimedOut),
            Ending::Orphaned => self.finish(slot, Outcome::Interrupted),
            Ending::No => self.finish(slot, outcome),
        }
    }

    /// Looks at the deadlines of all tasks.
    pub(super) fn scan_deadlines(&mut self, now: Instant) {
        let late: Vec<u16> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.deadline.is_some_and(|deadline| deadline <= now))
            .map(|(slot, _)| slot)
            .collect();
        for slot in late {
            self.overdue(now, slot);
        }
    }

    fn overdue(&mut self, now: Instant, slot: u16) {
        let id = self.tasks.id(slot);
        let Some(task) = self.tasks.get(slot) else {
            return;
        };
        let (state, home) = (task.state, task.home);
        match task.kind.clone() {
            // It has its answer, but the target does not read what is being written of it, and so
            // nothing else either.
            Kind::Scsi(_) if task.ended.is_some() => self.drop_session(now, ConnectionError::Stuck),
            // What becomes of it is decided when its connection is cleaned up, which has limits of its
            // own.
            Kind::Scsi(_) if self.is_orphan(state) => {}
            Kind::Scsi(command) => {
                let function = TmfFunction::AbortTask;
                let lun = command.lun;
                let request = Management {
                    function,
                    lun,
                    task: Some(id),
                    token: None,
                };
                // With too many functions waiting already, or on the way out, it stays overdue and is
                // looked at again: those have limits of their own.
                if self.may_request() && self.enqueue(now, request).is_ok() {
                    self.events
                        .push_back(Event::Escalated(Escalation::AbortTask));
                    if let Some(task) = self.tasks.find(id) {
                        task.deadline = None;
                        if task.ending == Ending::No {
                            task.ending = Ending::TimedOut;
                            self.counters.timeouts += 1;
                        }
                    }
                }
            }
            Kind::Management(request) => {
                self.managing = None;
                self.acknowledges_at_once = false;
                self.unqueue(slot);
                self.finish(slot, Outcome::TimedOut);
                self.escalate(now, request);
                self.next_management(now);
            }
            // A logout that is not answered is over all the same; so is the connection that does not
            // answer a text request (asynchronous event 4).
            Kind::Logout { .. } | Kind::Text => self.end_unanswered(now, slot, home),
            Kind::Ping { plug: Some(plug) } if !self.window.is_acknowledged(plug) => {
                self.drop_session(now, ConnectionError::WindowJammed);
            }
            Kind::Ping { .. } => {
                self.unqueue(slot);
                self.finish(slot, Outcome::TimedOut);
            }
        }
    }

    /// A logout or a text request was not answered in its time.
    fn end_unanswered(&mut self, now: Instant, slot: u16, home: u16) {
        let of_lost = self.tasks.get(slot).and_then(|task| match task.kind {
            Kind::Logout { cid, .. } => Some(cid).filter(|cid| self.index(*cid).is_none()),
            _ => None,
        });
        let error = ConnectionError::Unanswered(self.config.management_timeout);
        let several = self.connections.len() > 1 && !self.leaving;
        let carrier = self.connections.iter_mut().find(|c| c.link == home);
        match (of_lost, carrier) {
            (Some(lost), Some(_)) if several => {
                self.unqueue(slot);
                self.finish(slot, Outcome::TimedOut);
                self.cleaned_up(now, lost, None, 0);
            }
            (None, Some(carrier)) if several => {
                let cid = carrier.cid;
                self.handle_connection_lost(now, cid, error);
            }
            _ => self.drop_session(now, error),
        }
    }

    /// A function did not help, or was not answered: the next stronger means.
    fn escalate(&mut self, now: Instant, request: Management) {
        let step = match request.function {
            TmfFunction::AbortTask
                if request
                    .task
                    .is_some_and(|id| self.live_command(id).is_none()) =>
            {
                return;
            }
            TmfFunction::AbortTask => Escalation::LogicalUnitReset,
            _ => Escalation::DropConnection,
        };
        self.events.push_back(Event::Escalated(step));
        if step == Escalation::DropConnection {
            self.drop_session(now, ConnectionError::Stuck);
            return;
        }
        let function = TmfFunction::LogicalUnitReset;
        self.management.push_front(Management {
            function,
            task: None,
            token: None,
            ..request
        });
        self.next_management(now);
    }

    /// Takes a slot out of the queues.
    pub(super) fn unqueue(&mut self, slot: u16) {
        for queue in [
            &mut self.ready,
            &mut self.urgent,
            &mut self.retries,
            &mut self.reassign,
        ] {
            queue.retain(|&queued| queued != slot);
        }
        for connection in &mut self.connections {
            connection.immediate.retain(|&queued| queued != slot);
            connection.postponed.retain(|&queued| queued != slot);
        }
    }

    /// Drops all connections by our own decision.
    pub(super) fn drop_session(&mut self, now: Instant, error: ConnectionError) {
        if self.connections.is_empty() {
            return;
        }
        self.counters.lost(&error);
        self.lose_session(now, error);
        debug_assert!(
            self.actions
                .iter()
                .any(|a| matches!(a, Action::Disconnect { .. }))
        );
    }
}
