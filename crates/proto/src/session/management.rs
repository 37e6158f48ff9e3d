//! Task management (RFC 7143 §11.5), and how tasks that do not end are made to.

use std::time::Instant;

use super::event::{Action, ConnectionError, Escalation, Event, Outcome};
use super::task::{Ending, Kind, State, Task, TaskId};
use super::{Hold, Session};
use crate::pdu::TmfFunction;
use crate::serial::Serial;

/// A task management request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Management {
    /// What to do; TASK REASSIGN and the functions of protocol level 2 are not asked for here.
    pub function: TmfFunction,
    /// The logical unit; not looked at for target resets.
    pub lun: [u8; 8],
    /// The task, for [`TmfFunction::AbortTask`], as its submission named it.
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
    /// The task it refers to: only ABORT TASK does (RFC 7143 §11.5.4).
    pub(super) fn referenced(&self) -> Option<TaskId> {
        self.task
            .filter(|_| self.function == TmfFunction::AbortTask)
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
        let not_asked_here = request.function.code() > TmfFunction::TargetColdReset.code();
        if self.phase.is_over() {
            Some(Outcome::Closed)
        } else if !self.is_up() {
            Some(Outcome::Disconnected)
        } else if not_asked_here {
            let response = NOT_SUPPORTED;
            Some(Outcome::Managed { response })
        } else if request.function == TmfFunction::AbortTask && request.task.is_none() {
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
            _ => None,
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
        let present = self.tasks.present(id);
        let task = present.and_then(|id| self.tasks.find(id));
        let Some(slot) = task
            .filter(|task| task.state == State::Ready)
            .and(present)
            .map(TaskId::slot)
        else {
            return false;
        };
        self.unqueue(slot);
        self.finish(slot, Outcome::Aborted);
        true
    }

    /// Sends the next waiting function, if none is under way and there is a slot and a connection.
    pub(super) fn next_management(&mut self, now: Instant) {
        while self.managing.is_none() && self.may_request() {
            let Some(request) = self.management.pop_front() else {
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
            let token = request.token.unwrap_or_default();
            let mut task = Task::new(token, Kind::Management(request), now);
            task.deadline = Some(now + self.config.management_timeout);
            let Some(id) = self.tasks.insert(task) else {
                self.management.push_front(request);
                return;
            };
            self.managing = Some(id.slot());
            self.immediate.push_back(id.slot());
            self.watch(now);
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
        let affected: Vec<u16> = match request.function {
            TmfFunction::AbortTask => {
                let id = request.task.filter(|&id| self.live_command(id).is_some());
                id.map(TaskId::slot).into_iter().collect()
            }
            TmfFunction::ClearAca => Vec::new(),
            TmfFunction::AbortTaskSet
            | TmfFunction::ClearTaskSet
            | TmfFunction::LogicalUnitReset => self.sent_commands(Some(request.lun), Some(cmd_sn)),
            _ => self.sent_commands(None, Some(cmd_sn)),
        };
        for &slot in affected.iter().rev() {
            self.end_or_repeat(now, slot, Outcome::Aborted);
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
                let State::Sent { cmd_sn, .. } = task.state else {
                    return None;
                };
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
        let Some(task) = self.tasks.get_mut(slot) else {
            return;
        };
        match task.kind.clone() {
            // It has its answer, but the target does not read what is being written of it, and so
            // nothing else either.
            Kind::Scsi(_) if task.ended.is_some() => self.drop_session(now, ConnectionError::Stuck),
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
                self.unqueue(slot);
                self.finish(slot, Outcome::TimedOut);
                self.escalate(now, request);
                self.next_management(now);
            }
            // A logout that is not answered is over all the same; so is the connection that does not
            // answer a text request (asynchronous event 4).
            Kind::Logout { .. } | Kind::Text => self.drop_session(now, ConnectionError::Stuck),
            Kind::Ping { plug: Some(plug) } if !self.window.is_acknowledged(plug) => {
                self.drop_session(now, ConnectionError::WindowJammed);
            }
            Kind::Ping { .. } => {
                self.unqueue(slot);
                self.finish(slot, Outcome::TimedOut);
            }
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
            &mut self.immediate,
            &mut self.postponed,
        ] {
            queue.retain(|&queued| queued != slot);
        }
    }

    /// Drops all connections by our own decision.
    pub(super) fn drop_session(&mut self, now: Instant, error: ConnectionError) {
        let Some(cid) = self.connections.first().map(|connection| connection.cid) else {
            return;
        };
        self.handle_connection_lost(now, cid, error);
        debug_assert!(
            self.actions
                .iter()
                .any(|a| matches!(a, Action::Disconnect { .. }))
        );
    }
}
