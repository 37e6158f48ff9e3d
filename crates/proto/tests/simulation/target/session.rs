//! A session of the model target: its connections, the order of its commands, what it sends.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use super::connection::{Connection, Kept};
use super::login::Joined;
use super::task::{Stage, Task};
use super::{Effect, Shared, Step};
use crate::scenario::Keys;
use crate::wire::{
    ASYNC, COMMAND, DATA_IN, DATA_OUT, Header, LOGOUT, LOGOUT_RESPONSE, MANAGEMENT,
    MANAGEMENT_RESPONSE, NIL, NOP_IN, NOP_OUT, Pdu, R2T, REJECT, RESPONSE, SNACK, TEXT,
    TEXT_RESPONSE, at_most, encode,
};

/// What waits for its turn by CmdSN.
#[derive(Debug)]
pub(super) enum Numbered {
    Command(u32),
    /// Nothing is to be done.
    Filled,
}

/// How a PDU is numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// It takes a StatSN.
    Taken,
    /// It tells the next StatSN.
    Told,
    /// It has none.
    Without,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: u64,
    pub(super) group: u16,
    pub(super) tsih: u16,
    /// What was agreed on by the leading login.
    pub(super) keys: Keys,
    pub(super) connections: BTreeMap<u16, Connection>,
    pub(super) exp_cmd_sn: u32,
    pub(super) max_cmd_sn: u32,
    pub(super) waiting: BTreeMap<u32, Numbered>,
    pub(super) tasks: BTreeMap<u32, Task>,
    /// Tags of tasks that are gone, so that a straggler is told from a stranger.
    pub(super) ended: BTreeSet<u32>,
    /// Time2Wait and Time2Retain of the drop that is being announced.
    pub(super) announced: Option<Duration>,
    pub(super) is_closed: bool,
}

impl Session {
    pub(super) fn new(id: u64, joined: &Joined) -> Self {
        Self {
            id,
            group: joined.group,
            tsih: joined.tsih,
            keys: joined.agreed.clone(),
            connections: BTreeMap::new(),
            exp_cmd_sn: joined.exp_cmd_sn,
            max_cmd_sn: joined.max_cmd_sn,
            waiting: BTreeMap::new(),
            tasks: BTreeMap::new(),
            ended: BTreeSet::new(),
            announced: None,
            is_closed: false,
        }
    }

    pub(super) fn exp_cmd_sn(&self) -> u32 {
        self.exp_cmd_sn
    }

    pub(super) fn max_cmd_sn(&self) -> u32 {
        self.max_cmd_sn
    }

    pub(super) fn links(&self) -> impl Iterator<Item = u64> + '_ {
        self.connections
            .values()
            .filter_map(|connection| connection.link)
    }

    pub(super) fn has(&self, link: u64) -> bool {
        self.links().any(|of| of == link)
    }

    fn cid_of(&self, link: u64) -> Option<u16> {
        let found = self.connections.iter().find(|(_, c)| c.link == Some(link));
        found.map(|(&cid, _)| cid)
    }

    /// It has room for a connection of this name, or has it already.
    pub(super) fn takes(&self, cid: u16) -> bool {
        self.connections.contains_key(&cid)
            || self.connections.len() < usize::from(self.keys.max_connections)
    }

    /// A connection has logged in. One of the same name is logged out of by that (RFC 7143 §6.3.4).
    pub(super) fn add(&mut self, shared: &mut Shared, cid: u16, connection: Connection) {
        if let Some(old) = self.connections.remove(&cid) {
            shared
                .effects
                .extend(old.link.map(|link| Effect::Close { link }));
            let recovers = self.keys.error_recovery_level >= 2;
            let until = recovers.then(|| self.suspended_until(shared.now));
            self.part_with(cid, until);
        }
        self.connections.insert(cid, connection);
    }

    /// Its last connection is gone, and it will still write.
    pub(super) fn haunts(&self) -> bool {
        self.links().next().is_none() && self.tasks.values().any(Task::will_write)
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_closed || self.connections.is_empty()
    }

    /// How long the tasks of a lost connection are kept.
    pub(super) fn agreed_life(&self) -> Duration {
        let seconds = u64::from(self.keys.time2wait) + u64::from(self.keys.time2retain);
        Duration::from_secs(seconds)
    }

    pub(super) fn lost(&mut self, now: Instant, link: u64) {
        let Some(cid) = self.cid_of(link) else { return };
        let lives = self.announced.unwrap_or(self.agreed_life());
        if let Some(connection) = self.connections.get_mut(&cid) {
            connection.link = None;
            connection.dies_at = Some(now + lives);
        }
    }

    /// Connections whose time is over end with their tasks (RFC 7143 §8.1, transition M1).
    pub(super) fn expire(&mut self, now: Instant) {
        let over = |c: &Connection| c.dies_at.is_some_and(|at| at <= now);
        let dead: Vec<u16> = self
            .connections
            .iter()
            .filter(|(_, c)| over(c))
            .map(|(&cid, _)| cid)
            .collect();
        for cid in dead {
            self.connections.remove(&cid);
            self.part_with(cid, None);
        }
        let forgotten = |task: &Task| task.forgotten_at.is_some_and(|at| at <= now);
        let dead: Vec<u32> = self
            .tasks
            .iter()
            .filter(|(_, t)| forgotten(t))
            .map(|(&itt, _)| itt)
            .collect();
        for itt in dead {
            self.end(itt);
        }
    }

    /// Forgets a task.
    pub(super) fn end(&mut self, itt: u32) {
        self.tasks.remove(&itt);
        self.ended.insert(itt);
    }

    pub(super) fn receive(&mut self, shared: &mut Shared, link: u64, bytes: &[u8]) {
        let Some(cid) = self.cid_of(link) else { return };
        let connection = self.connections.get_mut(&cid).expect("found");
        let Ok(pdus) = connection.framer.take(bytes) else {
            // Where the next PDU begins is not known (RFC 7143 §7.8).
            return self.close(shared, cid);
        };
        for pdu in pdus {
            if shared.trace {
                println!("      -> {link} {:?}+ {}", pdu.header, pdu.data.len());
            }
            self.pdu(shared, cid, &pdu);
            if self.is_closed || !self.has(link) {
                return;
            }
        }
    }

    /// The target closes a connection; its tasks stay as if it was lost.
    pub(super) fn close(&mut self, shared: &mut Shared, cid: u16) {
        if let Some(link) = self.connections.get(&cid).and_then(|c| c.link) {
            shared.effects.push(Effect::Close { link });
            self.lost(shared.now, link);
        }
    }

    fn pdu(&mut self, shared: &mut Shared, cid: u16, pdu: &Pdu) {
        self.acknowledge(self.about(cid, &pdu.header), pdu.header.exp_stat_sn());
        let opcode = pdu.header.opcode();
        if !pdu.is_sound {
            self.unsound(shared, cid, pdu);
        } else if matches!(opcode, DATA_OUT | SNACK) || self.takes_number(shared, cid, &pdu.header)
        {
            match opcode {
                NOP_OUT => self.nop_out(shared, cid, pdu),
                COMMAND => self.command(shared, cid, pdu),
                MANAGEMENT => self.management(shared, cid, &pdu.header),
                TEXT => self.text(shared, cid, &pdu.header),
                DATA_OUT => self.data_out(shared, pdu),
                LOGOUT => self.logout(shared, cid, &pdu.header),
                SNACK => self.snack(shared, cid, &pdu.header),
                other => panic!("opcode {other:#x}"),
            }
        }
        self.advance(shared);
    }

    /// The connection whose ExpStatSN a request tells (RFC 7143 §11.14.4).
    fn about(&self, cid: u16, header: &Header) -> u16 {
        match header.opcode() == LOGOUT && header.0[1] & 0x7f != 0 {
            true => header.u16(20),
            false => cid,
        }
    }

    /// Responses that the initiator has are not kept any longer, nor are their tasks.
    fn acknowledge(&mut self, cid: u16, exp_stat_sn: u32) {
        let Some(connection) = self.connections.get_mut(&cid) else {
            return;
        };
        connection.acknowledge(exp_stat_sn);
        let done = |task: &Task| match task.stage {
            Stage::Answered { stat_sn } => task.cid == cid && connection.has_acknowledged(stat_sn),
            _ => false,
        };
        let done: Vec<u32> = self
            .tasks
            .iter()
            .filter(|(_, task)| done(task))
            .map(|(&itt, _)| itt)
            .collect();
        for itt in done {
            self.end(itt);
        }
    }

    fn text(&mut self, shared: &mut Shared, cid: u16, header: &Header) {
        let mut answer = Header::new(TEXT_RESPONSE, 0x80, header.itt());
        answer.set32(20, NIL);
        self.send(shared, cid, answer, &[], Number::Taken);
    }

    pub(super) fn reject(&mut self, shared: &mut Shared, cid: u16, reason: u8, victim: &Header) {
        let mut answer = Header::new(REJECT, 0x80, NIL);
        answer.0[2] = reason;
        self.send(shared, cid, answer, &victim.0, Number::Taken);
    }

    /// Delivers what is due by its number.
    pub(super) fn advance(&mut self, shared: &mut Shared) {
        while let Some(due) = self.waiting.remove(&self.exp_cmd_sn) {
            self.exp_cmd_sn = self.exp_cmd_sn.wrapping_add(1);
            if let Numbered::Command(itt) = due {
                self.deliver(shared, itt);
            }
        }
    }

    pub(super) fn timer(&mut self, shared: &mut Shared, step: Step) {
        match step {
            Step::Task(uid) => {
                let found = self.tasks.iter().find(|(_, task)| task.uid == uid);
                if let Some((&itt, _)) = found {
                    self.step(shared, itt);
                }
            }
            Step::LateData { task, ttt } => self.late_data(shared, task, ttt),
            Step::Manage(function) => self.manage(shared, function),
        }
    }

    /// The window as it is granted now: what was granted is not taken back.
    fn grant(&mut self, shared: &Shared) {
        let granted = self.exp_cmd_sn.wrapping_add(shared.grant).wrapping_sub(1);
        if at_most(self.max_cmd_sn, granted) {
            self.max_cmd_sn = granted;
        }
    }

    /// Sends a PDU on a connection; one that is gone numbers and keeps it all the same. Gives its
    /// StatSN.
    pub(super) fn send(
        &mut self,
        shared: &mut Shared,
        cid: u16,
        mut header: Header,
        data: &[u8],
        number: Number,
    ) -> u32 {
        let Some(connection) = self.connections.get_mut(&cid) else {
            return 0;
        };
        let stat_sn = connection.stat_sn;
        if number != Number::Without {
            header.set32(24, stat_sn);
        }
        if number == Number::Taken {
            connection.stat_sn = stat_sn.wrapping_add(1);
            connection.kept.push_back(Kept {
                stat_sn,
                header,
                data: data.to_vec(),
            });
        }
        self.transmit(shared, cid, header, data);
        stat_sn
    }

    /// Puts a PDU on the wire, with the numbers of now.
    pub(super) fn transmit(
        &mut self,
        shared: &mut Shared,
        cid: u16,
        mut header: Header,
        data: &[u8],
    ) {
        self.grant(shared);
        let Some(connection) = self.connections.get(&cid) else {
            return;
        };
        let Some(link) = connection.link else { return };
        header.set32(28, self.exp_cmd_sn);
        header.set32(32, self.max_cmd_sn);
        let chance = shared.faults.swallow;
        let is_told_again = matches!(header.opcode(), NOP_IN | DATA_IN | LOGOUT_RESPONSE);
        let lost = shared
            .rng
            .chance(if is_told_again { chance } else { chance / 2 });
        if shared.trace {
            let note = if lost { " lost" } else { "" };
            println!("      <- {link} {header:?}+ {}{note}", data.len());
        }
        let chance = shared.faults.garbage;
        let pad = if shared.rng.chance(chance) {
            shared.rng.next() as u8
        } else {
            0
        };
        scribble(&mut header, pad);
        if !lost {
            let bytes = encode(header, data, connection.framer.digests, pad);
            shared.effects.push(Effect::Send { link, bytes });
        }
    }
}

/// Fills in what is reserved, or means nothing here (RFC 7143 §11): nobody may look at it.
fn scribble(header: &mut Header, with: u8) {
    let is_plain_data = header.opcode() == DATA_IN && !header.has(0x01);
    let reserved: &[Range<usize>] = match header.opcode() {
        DATA_IN if is_plain_data && !header.has(0x40) => &[2..4, 8..16, 24..28, 44..48],
        DATA_IN if is_plain_data => &[2..4, 24..28, 44..48],
        DATA_IN => &[2..3, 44..48],
        RESPONSE if header.has(0x06) => &[8..16, 40..44],
        RESPONSE => &[8..16, 40..48],
        R2T => &[2..3, 3..4],
        NOP_IN => &[2..4, 36..48],
        MANAGEMENT_RESPONSE => &[3..4, 8..16, 20..24, 36..48],
        LOGOUT_RESPONSE => &[3..4, 8..16, 20..24, 36..40, 44..48],
        REJECT => &[3..4, 8..16, 20..24, 36..48],
        TEXT_RESPONSE => &[2..4, 36..48],
        ASYNC => &[2..4, 20..24, 44..48],
        _ => &[],
    };
    for range in reserved {
        for byte in &mut header.0[range.clone()] {
            *byte |= with;
        }
    }
}
