//! What the initiator has been told: it may act on that and on nothing else.

use super::{Checkers, R2t, Task};
use crate::wire::{
    ASYNC, DATA_IN, Header, LOGOUT_RESPONSE, MANAGEMENT_RESPONSE, NIL, NOP_IN, Pdu, REJECT,
    RESPONSE, TEXT_RESPONSE, at_most,
};

impl Checkers {
    pub(super) fn take(&mut self, link: u64, pdu: &Pdu) {
        let header = &pdu.header;
        let opcode = header.opcode();
        let has_status = opcode == DATA_IN && header.has(0x01);
        let is_numbered = has_status
            || matches!(
                opcode,
                RESPONSE | MANAGEMENT_RESPONSE | TEXT_RESPONSE | LOGOUT_RESPONSE | ASYNC | REJECT
            )
            || opcode == NOP_IN && header.itt() != NIL;
        if is_numbered && !self.take_status(link, header.sn()) {
            return;
        }
        self.window(header.u32(28), header.u32(32));
        match opcode {
            DATA_IN => self.take_data_in(link, header, has_status),
            RESPONSE => self.end(link, header.itt()),
            crate::wire::R2T => self.take_r2t(link, header),
            NOP_IN if header.itt() == NIL && header.ttt() != NIL => {
                let connection = self.connections.get_mut(&link).expect("it is up");
                connection.pings.push((header.ttt(), header.lun()));
            }
            MANAGEMENT_RESPONSE => self.take_managed(link, header),
            LOGOUT_RESPONSE => self.take_logout(header),
            REJECT => self.take_reject(&pdu.data),
            _ => {}
        }
    }

    /// Counts a status; `false` when it came before.
    fn take_status(&mut self, link: u64, stat_sn: u32) -> bool {
        let connection = self.connections.get_mut(&link).expect("it is up");
        if !at_most(connection.has_before, stat_sn) || !connection.has_ahead.insert(stat_sn) {
            return false;
        }
        while connection.has_ahead.remove(&connection.has_before) {
            connection.has_before = connection.has_before.wrapping_add(1);
        }
        true
    }

    fn task(&mut self, link: u64, itt: u32) -> Option<&mut Task> {
        self.tasks.get_mut(&itt).filter(|task| task.link == link)
    }

    fn take_data_in(&mut self, link: u64, header: &Header, has_status: bool) {
        let Some(task) = self.task(link, header.itt()) else {
            return;
        };
        let sn = header.u32(36);
        task.received.insert(sn);
        if header.has(0x40) {
            task.marks.push((sn, header.ttt()));
        }
        if has_status {
            self.end(link, header.itt());
        }
    }

    /// At level 0 the answer is the end. Above it, data that was lost may still be asked for.
    fn end(&mut self, link: u64, itt: u32) {
        let is_end = self.level(link) == 0;
        if let Some(task) = self.task(link, itt) {
            task.is_over |= is_end;
            task.unsolicited = None;
            task.r2ts.clear();
        }
    }

    fn take_r2t(&mut self, link: u64, header: &Header) {
        let Some(task) = self.task(link, header.itt()) else {
            return;
        };
        let sn = header.u32(36);
        if task.received.insert(sn) {
            let offset = header.u32(40);
            task.r2ts.push(R2t {
                ttt: header.ttt(),
                sn,
                next: offset,
                end: offset + header.u32(44),
                data_sn: 0,
            });
            // Those that were lost come late.
            task.r2ts.sort_by_key(|r2t| r2t.sn);
        }
    }

    /// An aborted task is over. A reassigned one goes on here, with what was not acknowledged.
    fn take_managed(&mut self, link: u64, header: &Header) {
        let Some(request) = self.requests.remove(&header.itt()) else {
            return;
        };
        // Above level 0 it may have to wait for what was lost before it.
        let is_last = self.function == header.itt() && self.level(link) == 0;
        let (function, code) = (request.0[1] & 0x7f, header.0[2]);
        let Some(task) = self.tasks.get_mut(&request.ttt()) else {
            return;
        };
        match (function, code) {
            (1, 0) => task.is_over |= is_last,
            (8, 0) => {
                let kind = if task.header.has(0x20) {
                    "write"
                } else {
                    "read"
                };
                self.tally.count(&format!("a reassigned {kind}"));
                task.link = link;
                task.acknowledged = task.acknowledged.max(request.u32(36));
                let acknowledged = task.acknowledged;
                task.received.retain(|&sn| sn < acknowledged);
                task.r2ts.clear();
                task.unsolicited = None;
            }
            _ => {}
        }
    }

    /// What was sent on a connection that is logged out of and not acknowledged is missing now.
    fn take_logout(&mut self, header: &Header) {
        let Some(request) = self.requests.remove(&header.itt()) else {
            return;
        };
        let (reason, cid) = (request.0[1] & 0x7f, request.u16(20));
        if reason != 0 && matches!(header.0[2], 0 | 1) {
            self.reinstated(cid, reason == 2);
        }
    }

    /// The connections of this CID are cleaned up.
    pub(super) fn reinstated(&mut self, cid: u16, recovers: bool) {
        let of_cid = self.connections.iter().filter(|(_, c)| c.cid == cid);
        let links: Vec<u64> = of_cid.map(|(&link, _)| link).collect();
        for (&sn, request) in &self.unacknowledged {
            if links.contains(&request.link) {
                self.holes.insert(sn);
            }
        }
        if recovers {
            self.recovered.extend(&links);
        }
        self.cleaned.extend(links);
    }

    /// The number of a command that was rejected counts as not received.
    fn take_reject(&mut self, victim: &[u8]) {
        let victim = Header(victim[..48].try_into().expect("a header"));
        if victim.is_immediate() || !matches!(victim.opcode(), 0x00 | 0x01) {
            return;
        }
        self.holes.insert(victim.sn());
        if let Some(task) = self.tasks.get_mut(&victim.itt()) {
            task.unsolicited = None;
        }
    }
}
