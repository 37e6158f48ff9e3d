//! What a session tells the world: state, events, log.

use hawser_proto::session::{ConnectionError, Escalation, Event};

use super::{SessionEvent, SessionState, Shared};
use crate::error::LoginFailure;

impl Shared {
    /// Tells an event to whoever listens.
    pub(super) fn tell(&self, event: SessionEvent) {
        self.events.tell(event);
    }

    pub(super) fn login_failed(&self, failure: &LoginFailure) {
        tracing::warn!(%failure, "login failed");
        self.state.send_modify(|state| match state {
            SessionState::Connecting { last_failure } | SessionState::Lost { last_failure, .. } => {
                *last_failure = Some(failure.clone());
            }
            SessionState::Up(_) | SessionState::Closed => {}
        });
        self.tell(SessionEvent::LoginFailed(failure.clone()));
    }

    pub(super) fn lost(&self, error: &ConnectionError) {
        tracing::warn!(target_name = %self.target, %error, "connection lost");
        let why = error.to_string();
        self.state.send_replace(SessionState::Lost {
            why: why.clone(),
            last_failure: None,
        });
        self.tell(SessionEvent::Lost(why));
    }

    /// Events of the core that are only news.
    pub(super) fn news(&self, event: &Event) {
        match event {
            Event::AsyncNotice { event, .. } => {
                tracing::info!(target_name = %self.target, event, "asynchronous message");
                self.tell(SessionEvent::AsyncNotice { event: *event });
            }
            Event::ConnectionRefused { cid, status } => {
                let why = status.to_string();
                tracing::warn!(target_name = %self.target, cid, why, "connection refused");
                self.tell(SessionEvent::ConnectionRefused {
                    cid: *cid,
                    status: *status,
                    why,
                });
            }
            Event::Escalated(step) => {
                let what = match step {
                    Escalation::AbortTask => "a command timed out: ABORT TASK",
                    Escalation::LogicalUnitReset => "ABORT TASK did not help: LUN reset",
                    Escalation::DropConnection => "the reset did not help: new session",
                };
                tracing::warn!(target_name = %self.target, what);
                self.tell(SessionEvent::Escalated(what));
            }
            _ => {}
        }
    }
}
