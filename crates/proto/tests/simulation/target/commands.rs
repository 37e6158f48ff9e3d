//! SCSI commands of the model target: their numbers, their delivery, their execution, their status.

use super::session::{Number, Numbered, Session};
use super::task::{Stage, Task, Unsolicited};
use super::{Shared, Step};
use crate::disk::{BLOCK, version_of};
use crate::wire::{
    COMMAND, FINAL, Header, MANAGEMENT, NIL, NOP_IN, NOP_OUT, Pdu, RESPONSE, SNACK, at_most,
};

pub(super) const CHECK_CONDITION: u8 = 0x02;
const BUSY: u8 = 0x08;
/// No SCSI status, but a response of "target failure" (RFC 7143 §11.4.3).
const FAILURE: u8 = 0xff;

/// Reject reasons (RFC 7143 §11.17.1).
const DATA_DIGEST_ERROR: u8 = 0x02;
const TOO_MANY_IMMEDIATE: u8 = 0x06;

/// Protocol service CRC error: fixed format sense data behind its length.
const SENSE: [u8; 20] = [
    0, 18, 0x70, 0, 0x0b, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x47, 0x05, 0, 0, 0, 0,
];

impl Session {
    /// The request is taken by its number: not a duplicate, and not rejected by a whim.
    pub(super) fn takes_number(&mut self, shared: &mut Shared, cid: u16, header: &Header) -> bool {
        let (opcode, cmd_sn) = (header.opcode(), header.sn());
        if header.is_immediate() {
            let troubled = opcode == MANAGEMENT || opcode == NOP_OUT && header.itt() != NIL;
            let chance = shared.faults.reject * 4;
            let refused = troubled && shared.rng.chance(chance);
            if refused {
                self.reject(shared, cid, TOO_MANY_IMMEDIATE, header);
            }
            return !refused;
        }
        assert!(
            at_most(cmd_sn, self.max_cmd_sn),
            "CmdSN {cmd_sn} is beyond MaxCmdSN"
        );
        if !at_most(self.exp_cmd_sn, cmd_sn) || self.waiting.contains_key(&cmd_sn) {
            return false;
        }
        let chance = shared.faults.reject;
        if opcode == COMMAND && shared.rng.chance(chance) {
            // Some targets count what they reject.
            if shared.rng.chance(500) {
                self.waiting.insert(cmd_sn, Numbered::Filled);
            }
            self.ended.insert(header.itt());
            let reason = shared.rng.pick(&[0x02, 0x04, 0x05, 0x09]);
            self.reject(shared, cid, reason, header);
            return false;
        }
        let numbered = match opcode {
            COMMAND => Numbered::Command(header.itt()),
            _ => Numbered::Filled,
        };
        self.waiting.insert(cmd_sn, numbered);
        true
    }

    /// The data of a PDU is damaged (RFC 7143 §7.8): it is rejected, and data is asked for again.
    pub(super) fn unsound(&mut self, shared: &mut Shared, cid: u16, pdu: &Pdu) {
        let header = &pdu.header;
        match header.opcode() {
            COMMAND => {
                let known = self.tasks.contains_key(&header.itt());
                if known || !at_most(self.exp_cmd_sn, header.sn()) {
                    return;
                }
                self.ended.insert(header.itt());
            }
            SNACK => return,
            // Its header is good: the data is missing, not the PDU.
            crate::wire::DATA_OUT => self.data_out(shared, pdu),
            _ => {}
        }
        self.reject(shared, cid, DATA_DIGEST_ERROR, header);
    }

    pub(super) fn command(&mut self, shared: &mut Shared, cid: u16, pdu: &Pdu) {
        let header = &pdu.header;
        let is_write = header.has(0x20);
        assert!(
            !is_write || !shared.haunted,
            "a write while those of a lost nexus live on"
        );
        if is_write {
            self.check_replay(&pdu.data);
        }
        let (first, count) = (usize::from(header.0[37]), usize::from(header.0[40]));
        let edtl = header.u32(20) as usize;
        let length = if is_write { edtl } else { 0 };
        let (mut data, mut have) = (vec![0; length], vec![0; length]);
        data[..pdu.data.len()].copy_from_slice(&pdu.data);
        have[..pdu.data.len()].fill(1);
        let unsolicited = (!header.has(FINAL)).then(|| Unsolicited {
            next: pdu.data.len(),
            end: edtl.min(self.keys.first_burst as usize),
            data_sn: 0,
        });
        shared.next_uid += 1;
        let task = Task {
            uid: shared.next_uid,
            cid,
            is_suspended: false,
            forgotten_at: None,
            lun: header.lun(),
            cmd_sn: header.sn(),
            first,
            count,
            is_write,
            stage: Stage::Held,
            status: 0,
            data,
            have,
            unsolicited,
            to_ask: Default::default(),
            r2ts: Vec::new(),
            cuts: Vec::new(),
            sent: 0,
            acknowledged: 0,
            snack_tag: 0,
        };
        self.ended.remove(&header.itt());
        let before = self.tasks.insert(header.itt(), task);
        assert!(before.is_none(), "tag {:#x} twice", header.itt());
    }

    /// A write is sent anew only when its suspended self is dead: each brings a version of its own.
    fn check_replay(&self, data: &[u8]) {
        let Some(version) = data.first_chunk::<8>() else {
            return;
        };
        let is_alive = |task: &Task| task.stage == Stage::Gathering || task.will_write();
        let mut suspended = self.tasks.values().filter(|task| task.is_suspended);
        let is_same = |task: &Task| task.data.first_chunk() == Some(version);
        assert!(
            !suspended.any(|task| is_alive(task) && is_same(task)),
            "a write is sent anew while it is suspended"
        );
    }

    pub(super) fn deliver(&mut self, shared: &mut Shared, itt: u32) {
        let Some(task) = self.tasks.get_mut(&itt) else {
            return;
        };
        let (hang, busy) = (shared.faults.hang, shared.faults.busy);
        if shared.rng.chance(hang) {
            task.stage = Stage::Hung;
        } else if shared.rng.chance(busy / 4) {
            task.status = FAILURE;
            task.stage = Stage::Settled;
            self.step(shared, itt);
        } else if shared.rng.chance(busy) {
            task.status = BUSY;
            task.stage = Stage::Settled;
            self.step(shared, itt);
        } else if task.is_write {
            task.stage = Stage::Gathering;
            self.gather(shared, itt);
        } else {
            task.stage = Stage::Due;
            self.later(shared, itt);
        }
    }

    /// The next step of a task comes after a while.
    pub(super) fn later(&self, shared: &mut Shared, itt: u32) {
        let Some(task) = self.tasks.get(&itt) else {
            return;
        };
        let slow = shared.faults.slow;
        let after = if shared.rng.chance(slow) {
            shared.rng.millis(100, 4000)
        } else {
            shared.rng.millis(0, 8)
        };
        shared.later(self.id, after, Step::Task(task.uid));
    }

    /// The next step of a task. A lost session still writes, but reads for nobody.
    pub(super) fn step(&mut self, shared: &mut Shared, itt: u32) {
        let alive = self.links().next().is_some();
        let Some(task) = self.tasks.get_mut(&itt) else {
            return;
        };
        match task.stage {
            // A lost session takes its time.
            Stage::Due if task.will_write() && !alive && shared.rng.chance(700) => {
                let (after, uid) = (shared.rng.millis(50, 2000), task.uid);
                shared.later(self.id, after, Step::Task(uid));
            }
            Stage::Due if task.is_write => {
                if task.status == 0 {
                    for (n, block) in task.data.chunks(BLOCK).enumerate() {
                        shared.disk[task.first + n] = version_of(block);
                    }
                }
                task.stage = Stage::Settled;
                self.later(shared, itt);
            }
            Stage::Due => {
                self.plan_data_in(shared, itt);
                self.step(shared, itt);
            }
            Stage::Sending if !task.is_suspended => self.send_data_in(shared, itt),
            Stage::Settled if !task.is_suspended => self.answer(shared, itt),
            Stage::Held
            | Stage::Gathering
            | Stage::Sending
            | Stage::Settled
            | Stage::Answered { .. }
            | Stage::Hung => {}
        }
    }

    /// Sends the status in a SCSI Response.
    pub(super) fn answer(&mut self, shared: &mut Shared, itt: u32) {
        let Some(task) = self.tasks.get(&itt) else {
            return;
        };
        let mut response = Header::new(RESPONSE, FINAL, itt);
        if task.status == FAILURE {
            response.0[2] = 0x01;
        } else {
            response.0[3] = task.status;
        }
        response.set32(20, task.snack_tag);
        response.set32(36, task.cuts.len() as u32);
        let length = task.count * BLOCK;
        if !matches!(task.status, 0 | FAILURE) {
            // Nothing was transferred.
            response.0[1] |= 0x02;
            response.set32(44, length as u32);
        }
        let sense: &[u8] = match task.status {
            CHECK_CONDITION => &SENSE,
            _ => &[],
        };
        let cid = task.cid;
        let stat_sn = self.send(shared, cid, response, sense, Number::Taken);
        self.answered(itt, stat_sn);
    }

    /// The status is on its way. Above level 0 the task stays until that is acknowledged.
    pub(super) fn answered(&mut self, itt: u32, stat_sn: u32) {
        if self.keys.error_recovery_level == 0 {
            self.end(itt);
        } else if let Some(task) = self.tasks.get_mut(&itt) {
            task.stage = Stage::Answered { stat_sn };
        }
    }

    pub(super) fn nop_out(&mut self, shared: &mut Shared, cid: u16, pdu: &Pdu) {
        let header = &pdu.header;
        if header.itt() == NIL {
            let Some(connection) = self.connections.get_mut(&cid) else {
                return;
            };
            let ping = (header.ttt(), header.lun());
            connection.pings.retain(|&pending| pending != ping);
            return;
        }
        let mut echo = Header::new(NOP_IN, FINAL, header.itt());
        echo.set32(20, NIL);
        self.send(shared, cid, echo, &pdu.data, Number::Taken);
    }
}
