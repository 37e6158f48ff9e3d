//! The fields of all requests, and which of them may be sent when (RFC 7143 §11).

use super::Checkers;
use crate::wire::{
    COMMAND, DATA_OUT, FINAL, Header, LOGOUT, MANAGEMENT, NIL, NOP_OUT, Pdu, SNACK, TEXT, at_most,
};

const ABORT_TASK: u8 = 1;
const LOGICAL_UNIT_RESET: u8 = 5;
const TASK_REASSIGN: u8 = 8;

impl Checkers {
    pub(super) fn check_pdu(&mut self, link: u64, pdu: &Pdu) {
        let header = &pdu.header;
        let length = pdu.data.len();
        let limit = self.connections[&link].parameters.max_send_data_segment;
        assert!(
            length <= limit as usize,
            "{length} bytes above MaxRecvDataSegmentLength"
        );
        assert!(header.is_zero(2..4), "reserved: {header:?}");
        assert_eq!(header.0[0] & 0x80, 0, "reserved: {header:?}");
        self.tally_pdu(header);
        match header.opcode() {
            NOP_OUT => self.check_nop_out(link, header),
            COMMAND => self.check_command(link, pdu),
            MANAGEMENT => self.check_management(link, header),
            TEXT => {
                assert!(header.is_zero(32..48), "reserved: {header:?}");
                self.check_request(link, header);
            }
            DATA_OUT => self.check_data_out(link, pdu),
            LOGOUT => self.check_logout(link, header),
            SNACK => self.check_snack(link, header),
            other => panic!("opcode {other:#x}"),
        }
    }

    fn tally_pdu(&mut self, header: &Header) {
        let kind = header.0[1] & 0x7f;
        match header.opcode() {
            NOP_OUT => self.tally.count("PDU NOP_OUT"),
            COMMAND => self.tally.count("PDU COMMAND"),
            TEXT => self.tally.count("PDU TEXT"),
            DATA_OUT => self.tally.count("PDU DATA_OUT"),
            MANAGEMENT => self.tally.count(&format!("PDU MANAGEMENT function {kind}")),
            LOGOUT => self.tally.count(&format!("PDU LOGOUT reason {kind}")),
            SNACK => self.tally.count(&format!("PDU SNACK type {kind}")),
            _ => {}
        }
    }

    /// A request: none follows a logout (§11.14), and its tag is its own.
    pub(super) fn check_request(&mut self, link: u64, header: &Header) {
        assert!(
            !self.is_left,
            "behind the logout of the session: {header:?}"
        );
        assert!(
            !self.connections[&link].is_left,
            "behind the logout: {header:?}"
        );
        let itt = header.itt();
        assert_ne!(itt, NIL, "a task without a tag");
        let is_used = self.tasks.get(&itt).is_some_and(|task| !task.is_over);
        assert!(!is_used, "the tag of a task under way: {header:?}");
        self.requests.insert(itt, *header);
    }

    /// §11.18: an answer to a ping, a ping, or what fills in the number of a rejected command.
    fn check_nop_out(&mut self, link: u64, header: &Header) {
        assert_eq!(header.0[1], FINAL);
        assert!(header.is_zero(32..48), "reserved: {header:?}");
        if header.itt() != NIL {
            assert_eq!(header.ttt(), NIL, "both tags: {header:?}");
            assert!(header.is_zero(8..16), "reserved: {header:?}");
            return self.check_request(link, header);
        }
        assert!(header.is_immediate(), "no answer is wanted: {header:?}");
        if header.ttt() == NIL {
            return;
        }
        let connection = self.connections.get_mut(&link).expect("it is up");
        let ping = (header.ttt(), header.lun());
        let at = connection.pings.iter().position(|&pending| pending == ping);
        connection
            .pings
            .remove(at.unwrap_or_else(|| panic!("no such ping: {header:?}")));
    }

    /// §11.5.
    fn check_management(&mut self, link: u64, header: &Header) {
        self.check_request(link, header);
        assert!(header.is_zero(40..48), "reserved: {header:?}");
        assert_eq!(header.data_length(), 0);
        self.function = header.itt();
        let function = header.0[1] & 0x7f;
        let (referenced, ref_cmd_sn) = (header.ttt(), header.u32(32));
        match function {
            ABORT_TASK => {
                let task = self
                    .tasks
                    .get_mut(&referenced)
                    .expect("a task to be aborted");
                assert_eq!(ref_cmd_sn, task.header.sn(), "RefCmdSN");
                assert_eq!(
                    header.lun(),
                    task.header.lun(),
                    "the LUN of an aborted task"
                );
                let is_out = self.cleaned.contains(&task.link)
                    || self.connections.get(&task.link).is_none_or(|c| c.is_left);
                assert!(
                    link == task.link || is_out,
                    "ABORT TASK on another connection"
                );
                // It is allegiant to this one from now on.
                task.link = link;
            }
            TASK_REASSIGN => self.check_reassign(link, header),
            LOGICAL_UNIT_RESET => assert_eq!(referenced, NIL),
            other => panic!("function {other}"),
        }
        if function != ABORT_TASK {
            assert_eq!(ref_cmd_sn, 0, "reserved: {header:?}");
        }
        if function != TASK_REASSIGN {
            assert_eq!(header.u32(36), 0, "reserved: {header:?}");
        }
    }

    /// §7.2.2, §11.5.1: only behind a recovery logout.
    fn check_reassign(&self, link: u64, header: &Header) {
        assert!(self.level(link) >= 2 && header.is_immediate());
        let task = self
            .tasks
            .get(&header.ttt())
            .expect("a task to be reassigned");
        assert!(
            self.recovered.contains(&task.link),
            "reassigned without a recovery logout"
        );
        assert!(header.is_zero(8..16), "reserved: {header:?}");
        let expected = header.u32(36);
        let is_known = expected == 0 || expected >= task.acknowledged;
        assert!(is_known, "ExpDataSN {expected} below {}", task.acknowledged);
        let has_all = (task.acknowledged..expected).all(|sn| task.received.contains(&sn));
        assert!(
            has_all,
            "ExpDataSN {expected} acknowledges what was not received"
        );
    }

    /// §11.14.
    fn check_logout(&mut self, link: u64, header: &Header) {
        self.check_request(link, header);
        assert!(header.is_zero(8..16) && header.is_zero(22..24) && header.is_zero(32..48));
        let (reason, cid) = (header.0[1] & 0x7f, header.u16(20));
        let level = self.level(link);
        match reason {
            0 => {
                assert_eq!(cid, 0, "reserved: {header:?}");
                self.is_left = true;
            }
            1 | 2 => {
                assert!(
                    reason == 1 || level >= 2,
                    "a recovery logout at level {level}"
                );
                let is_own = self.connections[&link].cid == cid;
                let of_cid = |c: &&super::Connection| c.cid == cid && !c.is_lost;
                let is_up = self.connections.values().any(|c| of_cid(&c));
                assert!(
                    is_own || !is_up,
                    "the logout of a connection that is up, over another"
                );
                self.connections.get_mut(&link).expect("it is up").is_left |= is_own;
            }
            other => panic!("logout reason {other}"),
        }
    }

    /// §11.16.
    fn check_snack(&mut self, link: u64, header: &Header) {
        assert!(self.level(link) > 0, "a SNACK without recovery");
        assert!(
            header.is_zero(24..28) && header.is_zero(32..40),
            "reserved: {header:?}"
        );
        assert_eq!(header.0[1] & 0xf0, 0x80, "reserved: {header:?}");
        let (begin, length) = (header.u32(40), header.u32(44));
        let kind = header.0[1] & 0x0f;
        match kind {
            0 | 3 => self.check_data_snack(link, header),
            1 => {
                assert_eq!((header.itt(), header.ttt()), (NIL, NIL));
                let connection = &self.connections[&link];
                let known = connection.sent_exp_stat_sn;
                let is_all = (begin, length) == (0, 0);
                assert!(
                    is_all || at_most(known, begin),
                    "StatSN {begin} was acknowledged"
                );
            }
            2 => self.check_data_ack(header),
            other => panic!("SNACK type {other}"),
        }
        if kind != 2 {
            assert!(header.is_zero(8..16), "reserved: {header:?}");
        }
    }

    fn check_data_snack(&self, link: u64, header: &Header) {
        let (begin, length) = (header.u32(40), header.u32(44));
        let task = self.tasks.get(&header.itt()).expect("the task of a SNACK");
        assert_eq!(task.link, link, "a SNACK on another connection");
        assert!(!task.is_over, "a SNACK for a task that is over");
        if header.0[1] & 0x0f == 3 {
            assert_eq!((begin, length), (0, 0));
            return assert!(!matches!(header.ttt(), 0 | NIL), "a SNACK tag");
        }
        assert_eq!(header.ttt(), NIL);
        let is_all = (begin, length) == (0, 0);
        let is_known = begin >= task.acknowledged;
        assert!(is_all || is_known, "DataSN {begin} was acknowledged");
        let is_missing = !task.received.contains(&begin);
        assert!(is_all || is_missing, "{begin} was received: {header:?}");
    }

    /// DataACK answers an A bit, once there is no hole before it.
    fn check_data_ack(&mut self, header: &Header) {
        let (begin, ttt) = (header.u32(40), header.ttt());
        assert_eq!((header.itt(), header.u32(44)), (NIL, 0));
        let marks = |task: &super::Task| task.marks.iter().any(|&(_, tag)| tag == ttt);
        let task = self.tasks.values_mut().find(|task| marks(task));
        let task = task.unwrap_or_else(|| panic!("no such A bit: {header:?}"));
        assert_eq!(header.lun(), task.header.lun());
        assert!(begin >= task.acknowledged, "DataACK went back");
        let has_all = (task.acknowledged..begin).all(|sn| task.received.contains(&sn));
        assert!(has_all, "DataACK of {begin} over a hole");
        task.acknowledged = begin;
    }
}
