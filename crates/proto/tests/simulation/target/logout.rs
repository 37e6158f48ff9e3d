//! Logout of the model target (RFC 7143 §11.14, §11.15), and what becomes of a connection's tasks.

use std::time::{Duration, Instant};

use super::session::{Number, Session};
use super::{Effect, Shared};
use crate::wire::{FINAL, Header, LOGOUT_RESPONSE};

const CLOSE_SESSION: u8 = 0;
const CLOSE_CONNECTION: u8 = 1;
const RECOVER_CONNECTION: u8 = 2;

const CLOSED: u8 = 0;
const CID_NOT_FOUND: u8 = 1;
const RECOVERY_NOT_SUPPORTED: u8 = 2;
const CLEANUP_FAILED: u8 = 3;

impl Session {
    pub(super) fn logout(&mut self, shared: &mut Shared, cid: u16, header: &Header) {
        let (reason, leaving) = (header.0[1] & 0x7f, header.u16(20));
        let chance = shared.faults.refuse / 4;
        let refused = shared.rng.chance(chance);
        let code = match reason {
            CLOSE_SESSION => CLOSED,
            _ if !self.connections.contains_key(&leaving) => CID_NOT_FOUND,
            RECOVER_CONNECTION if self.keys.error_recovery_level < 2 => RECOVERY_NOT_SUPPORTED,
            _ if refused && leaving != cid => CLEANUP_FAILED,
            CLOSE_CONNECTION | RECOVER_CONNECTION => CLOSED,
            other => panic!("logout reason {other}"),
        };
        let mut answer = Header::new(LOGOUT_RESPONSE, FINAL, header.itt());
        answer.0[2] = code;
        answer.set16(40, shared.rng.range(0, 2) as u16);
        answer.set16(42, self.keys.time2retain);
        let gone = code == CLOSED && reason != CLOSE_SESSION;
        if gone && leaving != cid {
            self.leave(shared, leaving, reason);
        }
        self.send(shared, cid, answer, &[], Number::Taken);
        if gone && leaving == cid {
            self.leave(shared, leaving, reason);
        }
        if reason == CLOSE_SESSION {
            let links: Vec<u64> = self.links().collect();
            shared
                .effects
                .extend(links.into_iter().map(|link| Effect::Close { link }));
            self.is_closed = true;
        }
    }

    fn leave(&mut self, shared: &mut Shared, cid: u16, reason: u8) {
        let Some(connection) = self.connections.remove(&cid) else {
            return;
        };
        shared
            .effects
            .extend(connection.link.map(|link| Effect::Close { link }));
        let recovers = reason == RECOVER_CONNECTION;
        let until = recovers.then(|| self.suspended_until(shared.now));
        self.part_with(cid, until);
    }

    /// How long tasks wait to be reassigned: a little longer than they must.
    pub(super) fn suspended_until(&self, now: Instant) -> Instant {
        now + Duration::from_secs(u64::from(self.keys.time2retain) + 2)
    }

    /// A connection is gone: its commands that were not delivered are forgotten, so that their numbers
    /// are missing; others die too, or wait until then to be reassigned (RFC 7143 §11.14.5).
    pub(super) fn part_with(&mut self, cid: u16, suspended_until: Option<Instant>) {
        let own: Vec<u32> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.cid == cid && !task.is_suspended)
            .map(|(&itt, _)| itt)
            .collect();
        for itt in own {
            let Some(task) = self.tasks.get_mut(&itt) else {
                continue;
            };
            if self.waiting.remove(&task.cmd_sn).is_some() || suspended_until.is_none() {
                self.end(itt);
            } else {
                (task.is_suspended, task.forgotten_at) = (true, suspended_until);
            }
        }
    }
}
