//! Commands that are sent again under the number they have, because the target did not take it
//! (RFC 7143 §7.2.1): so no number is missing, and the commands behind it can be carried out.

use std::time::{Duration, Instant};

use super::Session;
use super::connection::Connection;
use super::event::Outcome;
use super::gaps::Recovery;
use super::task::{Ending, State, Task, TaskId};
use crate::pdu::RejectReason;
use crate::serial::Serial;

/// How long a target may take to acknowledge a command while it says other things. It drops one that it
/// has already, so that patience costs more than haste; but most delays are its own.
const PATIENCE: Duration = Duration::from_secs(4);

/// Times that one command is sent again under its number.
const MAX_RETRIES: u8 = 3;

impl Session {
    /// The target takes a command again that it has rejected for its data, or not at all. `false` when it
    /// has counted the number, or has rejected the command often enough.
    pub(super) fn resend_rejected(&mut self, id: TaskId, link: u16) -> bool {
        let level = self.level();
        let Some(task) = self.tasks.find(id) else {
            return false;
        };
        let Some(cmd_sn) = task.cmd_sn() else {
            return false;
        };
        if level == 0 || self.window.is_acknowledged(cmd_sn) || !task.resend(cmd_sn, link) {
            return false;
        }
        task.recovery_mut().is_refused = true;
        self.retries.push_back(id.slot());
        true
    }

    /// The target has counted the number of a command before that was sent again: it has taken the
    /// command after all, or has rejected it for good.
    pub(super) fn end_retry(&mut self, now: Instant, slot: u16, cmd_sn: Serial) {
        let Some(task) = self.tasks.get_mut(slot) else {
            return;
        };
        let is_refused = |recovery: &Recovery| recovery.is_refused;
        if task.recovery.as_deref().is_some_and(is_refused) {
            let reason = RejectReason::DataDigestError.code();
            self.finish(slot, Outcome::Rejected { reason });
            return;
        }
        let timeout = task.command().map_or(PATIENCE, |command| command.timeout);
        task.deadline = now.checked_add(timeout);
        task.state = State::Sent {
            link: task.home,
            cmd_sn,
        };
    }

    /// Sends again the command whose number the target waits for, if it has not acknowledged that for long
    /// although it has said something since: it has lost the command.
    pub(super) fn check_stalled(&mut self, now: Instant) {
        let first = self.window.first_unacknowledged();
        let Some(first) = first.filter(|_| self.level() > 0 && self.may_request()) else {
            self.stalled = None;
            return;
        };
        let since = match self.stalled {
            Some((stalled, since)) if stalled == first => since,
            _ => {
                self.stalled = Some((first, now));
                return;
            }
        };
        if now.saturating_duration_since(since) < PATIENCE {
            return;
        }
        self.stalled = Some((first, now));
        let is_first = |task: &Task| {
            task.command().is_some()
                && task.ended.is_none()
                && task.ending == Ending::No
                && matches!(task.state, State::Sent { cmd_sn, .. } if cmd_sn == first)
        };
        let found = self
            .tasks
            .iter()
            .find(|(_, task)| is_first(task))
            .map(|(slot, _)| slot);
        if let Some(slot) = found {
            self.resend_stalled(slot, first, since);
        }
    }

    fn resend_stalled(&mut self, slot: u16, cmd_sn: Serial, since: Instant) {
        let Some(task) = self.tasks.get_mut(slot) else {
            return;
        };
        let State::Sent { link, .. } = task.state else {
            return;
        };
        let speaks = |c: &Connection| c.link == link && c.last_heard > since;
        if self.connections.iter().any(speaks) && task.in_batch == 0 && task.resend(cmd_sn, link) {
            self.retries.push_back(slot);
        }
    }
}

impl Task {
    /// Makes it wait to be sent again on the connection that it is allegiant to; `false` when that was done
    /// often enough.
    fn resend(&mut self, cmd_sn: Serial, link: u16) -> bool {
        let retries = self
            .recovery
            .as_ref()
            .map_or(0, |recovery| recovery.retries);
        if retries >= MAX_RETRIES {
            return false;
        }
        self.renumber(cmd_sn);
        self.home = link;
        self.recovery_mut().retries = retries + 1;
        true
    }
}
