//! What the target says must be legal, and true.

use hawser_proto::pdu::FromTarget;

use super::Run;
use super::client::Asked;
use super::disk::BLOCK;
use crate::wire::{NIL, Pdu, answer};

/// O, U, and their bidirectional twins: there is a residual.
const RESIDUAL: u8 = 0x1e;

impl Run {
    /// A PDU in the full feature phase.
    pub(super) fn judge(&mut self, at: usize, pdu: &Pdu) {
        let parsed = FromTarget::parse(&pdu.header);
        assert!(parsed.is_ok(), "{parsed:?} of {pdu:02x?}");
        assert!(pdu.ahs.is_empty(), "additional headers of a target");
        let longest = self.clients[at].parameters.max_recv_data_segment as usize;
        let may_differ = self.clients[at].renegotiates || self.frameless;
        let fits = pdu.data.len() <= longest || may_differ;
        assert!(fits, "a segment of {} bytes", pdu.data.len());
        let room = pdu.get(32).wrapping_sub(pdu.get(28));
        assert!(
            room.wrapping_add(1) <= 2048,
            "MaxCmdSN {room} above ExpCmdSN"
        );
        self.count(at, pdu);
        if self.frameless {
            return;
        }
        match pdu.opcode() {
            answer::DATA_IN => self.data_in(pdu),
            answer::RESPONSE => self.response(pdu),
            answer::R2T => self.r2t(at, pdu),
            answer::LOGIN => panic!("a login response in the full feature phase"),
            answer::NOP_IN | answer::ASYNC | answer::REJECT if pdu.itt() == NIL => {}
            _ => assert!(self.knows(pdu.itt()), "an answer to nothing: {pdu:02x?}"),
        }
    }

    /// What comes in answer to a login that is none: login responses, if anything.
    pub(super) fn judge_raw(&mut self, at: usize) {
        let digests = self.clients[at].digests();
        while let Some(pdu) = Pdu::take(&mut self.clients[at].inbox, digests) {
            let parsed = FromTarget::parse(&pdu.header);
            assert!(parsed.is_ok(), "{parsed:?} of {pdu:02x?}");
            if pdu.opcode() == answer::LOGIN && pdu.header[1] & 0x83 == 0x83 {
                // It did log in: what follows may be anything, for we did not listen.
                self.clients[at].close();
                return;
            }
        }
    }

    /// Statuses come in order, but for what is sent again.
    fn count(&mut self, at: usize, pdu: &Pdu) {
        let has_status = pdu.opcode() != answer::DATA_IN || pdu.header[1] & 1 != 0;
        if !has_status {
            return;
        }
        let client = &mut self.clients[at];
        let stat_sn = pdu.get(24);
        let ahead = stat_sn.wrapping_sub(client.stat_sn).cast_signed();
        assert!(
            ahead <= 0,
            "StatSN {stat_sn} where {} is due",
            client.stat_sn
        );
        let takes_none =
            pdu.opcode() == answer::R2T || pdu.opcode() == answer::NOP_IN && pdu.itt() == NIL;
        let again = client.parameters.error_recovery_level > 0;
        assert!(ahead == 0 || again, "StatSN {stat_sn} twice at level 0");
        if ahead == 0 && !takes_none {
            client.stat_sn = client.stat_sn.wrapping_add(1);
        }
    }

    fn knows(&self, itt: u32) -> bool {
        self.tasks.contains_key(&itt) || self.strange.contains(&itt)
    }

    fn data_in(&mut self, pdu: &Pdu) {
        let itt = pdu.itt();
        let Some(task) = self.tasks.get_mut(&itt) else {
            assert!(self.strange.contains(&itt), "data for nothing: {pdu:02x?}");
            return;
        };
        if self.strange.contains(&itt) {
            return;
        }
        assert!(!task.writes, "data for a write");
        let offset = pdu.get(40) as usize;
        let end = offset + pdu.data.len();
        assert!(end <= task.data.len(), "data beyond the command");
        task.data[offset..end].copy_from_slice(&pdu.data);
        for at in offset.div_ceil(BLOCK)..end / BLOCK {
            task.came[at] = true;
        }
        // A block may come in two pieces.
        if !offset.is_multiple_of(BLOCK) || !end.is_multiple_of(BLOCK) {
            task.recovered = true;
        }
        if pdu.header[1] & 1 != 0 {
            self.finish(itt, pdu.header[3], pdu.header[1] & RESIDUAL);
        }
    }

    fn response(&mut self, pdu: &Pdu) {
        assert!(self.knows(pdu.itt()), "a response to nothing: {pdu:02x?}");
        let status = pdu.header[3] | pdu.header[2];
        assert!(
            status != 2 || pdu.data.len() > 2,
            "CHECK CONDITION without sense"
        );
        self.finish(pdu.itt(), status, pdu.header[1] & RESIDUAL);
    }

    /// A command has ended.
    fn finish(&mut self, itt: u32, status: u8, residual: u8) {
        let Some(task) = self.tasks.get_mut(&itt) else {
            return;
        };
        if self.strange.contains(&itt) || std::mem::replace(&mut task.ended, true) {
            return;
        }
        if status != 0 || residual != 0 {
            return;
        }
        if task.writes {
            self.disk.written(itt);
        } else if task.came.iter().all(|came| *came) {
            self.disk.check_read(itt, &task.data);
        } else {
            assert!(task.recovered, "GOOD without the data of {itt:#x}");
        }
    }

    fn r2t(&mut self, at: usize, pdu: &Pdu) {
        let asked = Asked {
            itt: pdu.itt(),
            ttt: pdu.get(20),
            offset: pdu.get(40),
            length: pdu.get(44),
            data_sn: 0,
        };
        assert_ne!(asked.ttt, NIL, "an R2T without a tag");
        assert!(asked.length > 0, "an R2T for nothing");
        let client = &mut self.clients[at];
        assert!(
            asked.length <= client.parameters.max_burst,
            "an R2T above MaxBurstLength"
        );
        client.asked.push_back(asked);
        if client.asked.len() > 64 {
            client.asked.pop_front();
        }
        if let Some(task) = self.tasks.get(&asked.itt) {
            let end = asked.offset as usize + asked.length as usize;
            let fits = task.writes && end <= task.data.len();
            assert!(
                fits || self.strange.contains(&asked.itt),
                "an R2T beyond the command"
            );
        } else {
            assert!(self.knows(asked.itt), "an R2T for nothing");
        }
    }
}
