//! Task management of the model target (RFC 7143 §11.5, §4.2.3).

use std::time::Duration;

use super::session::{Number, Numbered, Session};
use super::task::Stage;
use super::{Shared, Step};
use crate::wire::{FINAL, Header, MANAGEMENT_RESPONSE, at_most};

pub(super) const ABORT_TASK: u8 = 1;
pub(super) const LOGICAL_UNIT_RESET: u8 = 5;
pub(super) const TASK_REASSIGN: u8 = 8;

const COMPLETE: u8 = 0;
const TASK_DOES_NOT_EXIST: u8 = 1;
const STILL_ALLEGIANT: u8 = 3;
const REASSIGN_NOT_SUPPORTED: u8 = 4;

/// A function that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    cid: u16,
    itt: u32,
    code: u8,
    lun: [u8; 8],
    cmd_sn: u32,
    referenced: u32,
    ref_cmd_sn: u32,
    exp_data_sn: u32,
}

impl Session {
    pub(super) fn management(&mut self, shared: &mut Shared, cid: u16, header: &Header) {
        let function = Function {
            cid,
            itt: header.itt(),
            code: header.0[1] & 0x7f,
            lun: header.lun(),
            cmd_sn: header.sn(),
            referenced: header.u32(20),
            ref_cmd_sn: header.u32(32),
            exp_data_sn: header.u32(36),
        };
        let chance = shared.faults.refuse;
        if shared.rng.chance(chance) {
            if shared.rng.chance(500) {
                let code = shared.rng.pick(&[2, 5, 6, 255]);
                self.managed(shared, function, code);
            }
            return;
        }
        let after = shared.rng.millis(0, 30);
        shared.later(self.id, after, Step::Manage(function));
    }

    pub(super) fn manage(&mut self, shared: &mut Shared, function: Function) {
        match function.code {
            ABORT_TASK => {
                let code = self.abort(shared, function);
                self.advance(shared);
                self.managed(shared, function, code);
            }
            LOGICAL_UNIT_RESET => self.reset(shared, function),
            TASK_REASSIGN => self.reassign(shared, function),
            other => panic!("function {other}"),
        }
    }

    fn abort(&mut self, shared: &mut Shared, function: Function) -> u8 {
        let Some(task) = self.tasks.get(&function.referenced) else {
            // One that never came is answered for, and its number is filled in (§11.6.1).
            let sn = function.ref_cmd_sn;
            let is_due = at_most(self.exp_cmd_sn, sn) && at_most(sn, self.max_cmd_sn);
            if is_due && !self.waiting.contains_key(&sn) {
                self.waiting.insert(sn, Numbered::Filled);
                self.ended.insert(function.referenced);
                return COMPLETE;
            }
            return TASK_DOES_NOT_EXIST;
        };
        assert_eq!(task.lun, function.lun, "the LUN of an aborted task");
        assert_eq!(task.cmd_sn, function.ref_cmd_sn, "RefCmdSN");
        let is_answered = matches!(task.stage, Stage::Answered { .. });
        if is_answered && task.is_suspended {
            // It gets a new allegiance by this, and its status again (§11.5.1).
            self.adopt(function.referenced, function.cid);
            self.answer(shared, function.referenced);
            return COMPLETE;
        }
        if is_answered {
            return TASK_DOES_NOT_EXIST;
        }
        self.end(function.referenced);
        COMPLETE
    }

    /// Its place is marked by its CmdSN: it waits for what is before, and leaves alone what is behind.
    fn reset(&mut self, shared: &mut Shared, function: Function) {
        if !at_most(function.cmd_sn, self.exp_cmd_sn) {
            let after = Duration::from_millis(50);
            return shared.later(self.id, after, Step::Manage(function));
        }
        let hit = |task: &super::task::Task| {
            task.lun == function.lun
                && !at_most(function.cmd_sn, task.cmd_sn)
                && !matches!(task.stage, Stage::Answered { .. })
        };
        let dead: Vec<u32> = self
            .tasks
            .iter()
            .filter(|(_, task)| hit(task))
            .map(|(&itt, _)| itt)
            .collect();
        for itt in dead {
            self.end(itt);
        }
        self.managed(shared, function, COMPLETE);
    }

    fn managed(&mut self, shared: &mut Shared, function: Function, code: u8) {
        let mut answer = Header::new(MANAGEMENT_RESPONSE, FINAL, function.itt);
        answer.0[2] = code;
        self.send(shared, function.cid, answer, &[], Number::Taken);
    }

    /// TASK REASSIGN (RFC 7143 §7.2.2): the task goes on on this connection, after the response.
    fn reassign(&mut self, shared: &mut Shared, function: Function) {
        let Some(task) = self.tasks.get(&function.referenced) else {
            return self.managed(shared, function, TASK_DOES_NOT_EXIST);
        };
        if self.keys.error_recovery_level < 2 {
            return self.managed(shared, function, REASSIGN_NOT_SUPPORTED);
        }
        if !task.is_suspended {
            return self.managed(shared, function, STILL_ALLEGIANT);
        }
        self.managed(shared, function, COMPLETE);
        let itt = function.referenced;
        self.adopt(itt, function.cid);
        let Some(task) = self.tasks.get_mut(&itt) else {
            return;
        };
        let (sent, expected) = (task.sent, function.exp_data_sn as usize);
        if expected != 0 && !task.is_write {
            assert!(
                (task.acknowledged..=sent).contains(&expected),
                "ExpDataSN {expected} of {}..={sent}",
                task.acknowledged
            );
            task.acknowledged = expected;
        }
        match task.stage {
            Stage::Gathering => self.resume_gathering(shared, itt),
            Stage::Sending => {
                task.sent = task.acknowledged;
                self.step(shared, itt);
            }
            Stage::Answered { .. } if task.is_write || task.status != 0 => {
                task.stage = Stage::Settled;
                self.step(shared, itt);
            }
            Stage::Answered { .. } => {
                task.stage = Stage::Sending;
                task.sent = task.acknowledged;
                self.step(shared, itt);
            }
            Stage::Settled => self.step(shared, itt),
            Stage::Held | Stage::Due | Stage::Hung => {}
        }
    }

    /// A suspended task is allegiant to this connection from now on.
    fn adopt(&mut self, itt: u32, cid: u16) {
        if let Some(task) = self.tasks.get_mut(&itt) {
            task.cid = cid;
            (task.is_suspended, task.forgotten_at, task.snack_tag) = (false, None, 0);
        }
    }
}
