//! Tasks that go on on another connection (RFC 7143 §7.2.2, §11.5.1): TASK REASSIGN, one after the other,
//! each with the number of the first data that is not there yet.

use std::time::{Duration, Instant};

use super::Session;
use super::event::Outcome;
use super::management::Management;
use super::task::{Ending, State, TaskId};
use crate::pdu::{FromTarget, NO_LUN, TmfFunction};

/// Times that a task is asked for which the target still thinks to be allegiant to the lost connection.
const MAX_REASSIGNS: u8 = 3;

/// Times that one task goes on on another connection: a target that takes it over and is lost again each
/// time would have it go on for ever, for its time begins anew with each.
const MAX_MOVES: u8 = 8;

/// How long a target that has rejected the reassignment of a task may take to go on with it all the same.
const REJECTED_PATIENCE: Duration = Duration::from_secs(4);

const COMPLETE: u8 = 0;
const TASK_DOES_NOT_EXIST: u8 = 1;
const STILL_ALLEGIANT: u8 = 3;
const REASSIGNMENT_NOT_SUPPORTED: u8 = 4;
const NOT_SUPPORTED: u8 = 5;
const REJECTED: u8 = 255;

impl Session {
    /// The next request for a suspended task, once all lost connections are cleaned up: the task may
    /// have been reassigned to one that was lost in turn.
    pub(super) fn next_reassign(&mut self) -> Option<Management> {
        if !self.cleanups.is_empty() {
            return None;
        }
        while let Some(slot) = self.reassign.pop_front() {
            let Some(state) = self.tasks.get(slot).map(|task| task.state) else {
                continue;
            };
            let (is_orphan, level) = (self.is_orphan(state), self.level());
            let Some(task) = self.tasks.get_mut(slot).filter(|_| is_orphan) else {
                continue;
            };
            let Some(lun) = task.command().map(|command| command.lun) else {
                continue;
            };
            // One that nobody waits for any more is ended, now that it may be on any connection.
            let goes_on = task.ending == Ending::No && level >= 2 && task.may_move_again(MAX_MOVES);
            let function = if goes_on {
                TmfFunction::TaskReassign
            } else {
                TmfFunction::AbortTask
            };
            let request = Management {
                function,
                lun,
                task: Some(self.tasks.id(slot)),
                token: None,
            };
            if !goes_on {
                self.give_up_orphan(slot);
            }
            return Some(request);
        }
        None
    }

    fn give_up_orphan(&mut self, slot: u16) {
        if let Some(task) = self.tasks.get_mut(slot)
            && task.ending == Ending::No
        {
            task.ending = Ending::Orphaned;
        }
    }

    /// A function that ends a task whose connection is gone also makes it allegiant to the one that it
    /// travels on: a status that was not acknowledged comes there first (RFC 7143 §11.5.1).
    pub(super) fn adopt_orphan(&mut self, id: TaskId, index: usize) {
        let state = self.tasks.find(id).map(|task| task.state);
        let Some(State::Sent { cmd_sn, .. }) = state.filter(|&state| self.is_orphan(state)) else {
            return;
        };
        let link = self
            .connections
            .get(index)
            .map(|connection| connection.link);
        if let (Some(task), Some(link)) = (self.tasks.find(id), link) {
            task.state = State::Sent { link, cmd_sn };
            task.resume();
        }
    }

    /// ExpDataSN of a TASK REASSIGN (RFC 7143 §11.5.6): the first Data-In that did not come; 0 when none
    /// came, and for a write.
    pub(super) fn data_to_resume(&mut self, id: TaskId) -> u32 {
        self.tasks.find(id).map_or(0, |task| task.first_missing())
    }

    /// The target has answered a TASK REASSIGN that travelled on `link`.
    pub(super) fn reassigned(
        &mut self,
        now: Instant,
        request: Management,
        link: u16,
        response: u8,
    ) {
        let Some(id) = request.referenced() else {
            return;
        };
        let slot = id.slot();
        let Some(task) = self.tasks.find(id).filter(|task| task.ended.is_none()) else {
            return;
        };
        let State::Sent { cmd_sn, .. } = task.state else {
            return;
        };
        match response {
            COMPLETE => {
                let timeout = task.command().map_or(super::SCAN_INTERVAL, |c| c.timeout);
                task.state = State::Sent { link, cmd_sn };
                task.deadline = now.checked_add(timeout);
                task.resume();
                self.counters.reassigned_commands += 1;
                self.vain_resumptions = 0;
            }
            // LIO says so whenever it does reassign the task, and goes on with it at once. One that it is not
            // heard of soon is aborted.
            REJECTED => {
                task.state = State::Sent { link, cmd_sn };
                task.deadline = now.checked_add(REJECTED_PATIENCE);
                task.resume();
                task.recovery_mut().is_doubtful = true;
                self.give_up_orphan(slot);
                self.watch(now);
            }
            // The target has ended it, and the answer is lost.
            TASK_DOES_NOT_EXIST => self.end_or_repeat(now, slot, Outcome::Interrupted),
            STILL_ALLEGIANT if task.may_ask_again(MAX_REASSIGNS) => self.reassign.push_back(slot),
            REASSIGNMENT_NOT_SUPPORTED | NOT_SUPPORTED | STILL_ALLEGIANT => {
                self.trusted_level = self.trusted_level.min(1);
                self.reassign.push_front(slot);
            }
            // This one alone: the target is made to forget it, whatever it is doing with it.
            _ => {
                self.give_up_orphan(slot);
                self.reassign.push_front(slot);
            }
        }
    }

    /// The target goes on with a task whose reassignment it has rejected: it was reassigned after all.
    pub(super) fn note_taken_up(&mut self, now: Instant, pdu: &FromTarget<'_>) {
        let itt = match pdu {
            FromTarget::DataIn(pdu) => pdu.itt.get(),
            FromTarget::R2t(pdu) => pdu.itt.get(),
            FromTarget::ScsiResponse(pdu) => pdu.itt.get(),
            _ => return,
        };
        let Some(task) = self.tasks.find(TaskId::from_itt(itt)) else {
            return;
        };
        let Some(recovery) = task.recovery.as_mut().filter(|r| r.is_doubtful) else {
            return;
        };
        recovery.is_doubtful = false;
        // It may be overdue already, and an abort under way.
        if task.ending == Ending::Orphaned && task.deadline.is_some() {
            task.ending = Ending::No;
            let timeout = task.command().map_or(super::SCAN_INTERVAL, |c| c.timeout);
            task.deadline = now.checked_add(timeout);
        }
        self.counters.reassigned_commands += 1;
        self.vain_resumptions = 0;
    }
}

/// The LUN of a request that is for none.
pub(super) fn reserved_lun(function: TmfFunction) -> Option<[u8; 8]> {
    use TmfFunction::{ItNexusReset, TargetColdReset, TargetWarmReset, TaskReassign};
    // RFC 7143 §11.5.3: TASK REASSIGN carries none either.
    matches!(
        function,
        TargetWarmReset | TargetColdReset | ItNexusReset | TaskReassign
    )
    .then_some(NO_LUN)
}
