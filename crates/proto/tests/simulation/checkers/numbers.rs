//! ExpStatSN, CmdSN and the command window (RFC 7143 §4.2.2.1, §4.2.2.2, §7.2.1).

use super::{Checkers, Unacknowledged};
use crate::wire::{COMMAND, DATA_OUT, Header, LOGOUT, NOP_OUT, SNACK, at_most};

impl Checkers {
    pub(super) fn check_numbers(&mut self, link: u64, header: &Header) {
        if let Some(about) = self.link_of_status(link, header) {
            self.check_exp_stat_sn(about, header.exp_stat_sn());
        }
        let (opcode, cmd_sn) = (header.opcode(), header.sn());
        if matches!(opcode, DATA_OUT | SNACK) {
            assert_eq!(cmd_sn, 0, "no CmdSN: {header:?}");
        } else if header.is_immediate() {
            assert_eq!(cmd_sn, self.next_cmd_sn, "CmdSN of an immediate request");
        } else {
            self.check_cmd_sn(link, header);
        }
    }

    /// The connection whose ExpStatSN a request tells: a logout tells that of the one that it is about,
    /// if that is still known (RFC 7143 §11.14.4).
    fn link_of_status(&self, link: u64, header: &Header) -> Option<u64> {
        let (reason, cid) = (header.0[1] & 0x7f, header.u16(20));
        if header.opcode() != LOGOUT || reason == 0 || self.connections[&link].cid == cid {
            return Some(link);
        }
        let of_cid = self.connections.iter().filter(|(_, c)| c.cid == cid);
        of_cid.map(|(&link, _)| link).max()
    }

    /// It never goes back, and it acknowledges only what was received.
    fn check_exp_stat_sn(&mut self, link: u64, got: u32) {
        let connection = self
            .connections
            .get_mut(&link)
            .expect("a connection that is up");
        let (before, has) = (connection.sent_exp_stat_sn, connection.has_before);
        assert!(
            at_most(before, got),
            "ExpStatSN went back from {before} to {got}"
        );
        assert!(
            at_most(got, has),
            "ExpStatSN {got}, but {has} was not received"
        );
        connection.sent_exp_stat_sn = got;
    }

    fn check_cmd_sn(&mut self, link: u64, header: &Header) {
        let cmd_sn = header.sn();
        let max = self.max_cmd_sn;
        assert!(
            at_most(cmd_sn, max),
            "CmdSN {cmd_sn} beyond the window that ends with {max}"
        );
        if cmd_sn == self.next_cmd_sn {
            self.next_cmd_sn = cmd_sn.wrapping_add(1);
        } else {
            self.check_retry(link, header);
        }
        let header = *header;
        self.unacknowledged
            .insert(cmd_sn, Unacknowledged { link, header });
    }

    /// A number is used again only to fill a hole: by the same command, or by a NOP-Out in its place.
    fn check_retry(&mut self, link: u64, header: &Header) {
        let cmd_sn = header.sn();
        let before = self.unacknowledged.get(&cmd_sn);
        let before = before.unwrap_or_else(|| panic!("CmdSN {cmd_sn} is out of order: {header:?}"));
        let is_hole = self.holes.remove(&cmd_sn);
        // What only fills a hole may do so twice.
        let is_filling = before.header.opcode() == NOP_OUT;
        assert!(
            is_hole || is_filling || before.link == link,
            "CmdSN {cmd_sn} again, on another connection"
        );
        if header.opcode() == COMMAND {
            let same =
                |range: std::ops::Range<usize>| header.0[range.clone()] == before.header.0[range];
            self.tally.count("a number used again by its command");
            assert!(
                same(0..4) && same(8..28) && same(32..48),
                "another command: {header:?}"
            );
        } else {
            self.tally.count("a number filled in");
            assert!(
                (is_hole || is_filling) && header.opcode() == NOP_OUT,
                "CmdSN {cmd_sn} again: {header:?}"
            );
        }
    }

    /// The two numbers of a PDU of the target.
    pub(super) fn window(&mut self, exp_cmd_sn: u32, max_cmd_sn: u32) {
        if !at_most(exp_cmd_sn.wrapping_sub(1), max_cmd_sn) {
            return;
        }
        if at_most(self.max_cmd_sn, max_cmd_sn) {
            self.max_cmd_sn = max_cmd_sn;
        }
        if at_most(self.exp_cmd_sn, exp_cmd_sn) {
            self.exp_cmd_sn = exp_cmd_sn;
            self.unacknowledged.retain(|&sn, _| at_most(exp_cmd_sn, sn));
            self.holes.retain(|&sn| at_most(exp_cmd_sn, sn));
        }
    }
}
