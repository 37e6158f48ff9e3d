//! A target that means harm: it knows what it was asked and how to answer, and then does as the script
//! says.

use std::collections::{BTreeMap, VecDeque};

use crate::script::Script;
use crate::wire::{FINAL, NIL, Pdu, answer, request};

/// Opcodes of a target, and one that is none.
const OPCODES: [u8; 10] = [0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3f];
/// PDUs that can be sent once more, of each connection.
const LOG_MAX: usize = 32;
/// Requests that wait for an answer; older ones never get one.
const REQUESTS_MAX: usize = 64;
/// The CID of commands without a connection.
const NOBODY: u16 = u16::MAX;
/// The longest data segment in an answer.
const PIECE_MAX: u32 = 1024;
/// Sense data of an aborted command, with its length field.
const SENSE: [u8; 20] = [
    0, 18, 0x70, 0, 0x0b, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0, 0, 0, 0, 0,
];

/// A request without an answer.
#[derive(Debug)]
struct Asked {
    cid: u16,
    pdu: Pdu,
    /// Bytes it wants to read and to write, if it is a command.
    reads: u32,
    writes: u32,
    data_sn: u32,
    r2t_sn: u32,
    read_to: u32,
    asked_to: u32,
}

/// One connection.
#[derive(Debug)]
struct Link {
    stat_sn: u32,
    log: VecDeque<Pdu>,
}

/// The target.
#[derive(Debug, Default)]
pub struct HostileTarget {
    links: BTreeMap<u16, Link>,
    requests: VecDeque<Asked>,
    exp_cmd_sn: u32,
    /// Commands that it lets be under way.
    width: u32,
    next_ttt: u32,
}

impl HostileTarget {
    /// A new session, whose first command has this number.
    pub fn begin(&mut self, cmd_sn: u32, width: u32) {
        self.requests.clear();
        self.links.clear();
        (self.exp_cmd_sn, self.width) = (cmd_sn, width);
    }

    /// The numbers of a login response: ExpCmdSN and MaxCmdSN.
    #[must_use]
    pub fn window(&self) -> (u32, u32) {
        let max = self.exp_cmd_sn.wrapping_add(self.width).wrapping_sub(1);
        (self.exp_cmd_sn, max)
    }

    /// A connection of this CID has logged in; its next status has this number.
    pub fn join(&mut self, cid: u16, stat_sn: u32) {
        let log = VecDeque::new();
        self.links.insert(cid, Link { stat_sn, log });
    }

    /// A connection is gone. Its commands stay, to be reassigned.
    pub fn lose(&mut self, cid: u16) {
        self.links.remove(&cid);
        self.requests
            .retain(|asked| asked.cid != cid || asked.pdu.opcode() == request::COMMAND);
        for asked in self.requests.iter_mut().filter(|asked| asked.cid == cid) {
            asked.cid = NOBODY;
        }
    }

    /// Takes note of what the initiator sent.
    pub fn receive(&mut self, cid: u16, pdu: Pdu) {
        let is_immediate = pdu.header[0] & 0x40 != 0;
        let is_numbered = !matches!(pdu.opcode(), request::DATA_OUT | request::SNACK);
        if is_numbered && !is_immediate && pdu.get(24) == self.exp_cmd_sn {
            self.exp_cmd_sn = self.exp_cmd_sn.wrapping_add(1);
        }
        let is_pong = pdu.opcode() == request::NOP_OUT && pdu.itt() == NIL;
        if pdu.opcode() == request::DATA_OUT || is_pong {
            return;
        }
        // It may be sent once more, on another connection.
        let is_same = |asked: &Asked| asked.pdu.itt() == pdu.itt() && pdu.itt() != NIL;
        self.requests.retain(|asked| !is_same(asked));
        let (reads, writes) = lengths(&pdu);
        self.requests.push_back(Asked {
            cid,
            pdu,
            reads,
            writes,
            data_sn: 0,
            r2t_sn: 0,
            read_to: 0,
            asked_to: 0,
        });
        if self.requests.len() > REQUESTS_MAX {
            self.requests.pop_front();
        }
    }

    /// Answers one of the requests of a connection: as it should be done, as far as the script lets it.
    pub fn answer(&mut self, cid: u16, script: &mut Script<'_>) -> Vec<Pdu> {
        let own: Vec<usize> = (0..self.requests.len())
            .filter(|at| self.requests[*at].cid == cid)
            .collect();
        let Some(at) = script.pick(&own) else {
            return Vec::new();
        };
        let how = script.byte();
        match self.requests[at].pdu.opcode() {
            request::COMMAND => vec![self.answer_command(at, how, script)],
            request::SNACK => self.answer_snack(at),
            opcode => vec![self.answer_other(at, opcode, how, script)],
        }
    }

    fn answer_command(&mut self, at: usize, how: u8, script: &mut Script<'_>) -> Pdu {
        let task = &self.requests[at];
        let (wants_r2t, wants_data) = (task.asked_to < task.writes, task.read_to < task.reads);
        match how % 8 {
            0..=3 if wants_data => self.data_in(at, how, script),
            0..=3 if wants_r2t => self.r2t(at, script),
            4 => self.data_in(at, how, script),
            5 => self.r2t(at, script),
            6 => self.reject(at, script.byte()),
            _ => self.response(at, how, script),
        }
    }

    fn data_in(&mut self, at: usize, how: u8, script: &mut Script<'_>) -> Pdu {
        let shape = script.byte();
        let task = &mut self.requests[at];
        let left = task.reads.saturating_sub(task.read_to);
        let length = left.min(PIECE_MAX >> (shape & 3));
        let mut pdu = Pdu::new(answer::DATA_IN, 0, task.pdu.itt());
        pdu.header[8..16].copy_from_slice(&task.pdu.lun());
        pdu.set(20, NIL);
        pdu.set(36, task.data_sn);
        pdu.set(40, task.read_to);
        pdu.data = vec![shape; length as usize];
        task.data_sn = task.data_sn.wrapping_add(1);
        task.read_to += length;
        if shape & 4 != 0 || length == left {
            pdu.header[1] |= FINAL;
        }
        if shape & 8 != 0 {
            // It wants to know that the data has come.
            pdu.header[1] |= 0x40;
            pdu.set(20, u32::from(shape));
        }
        if how & 32 != 0 && length == left {
            pdu.header[1] |= FINAL | 1;
            self.requests.remove(at);
        }
        pdu
    }

    fn r2t(&mut self, at: usize, script: &mut Script<'_>) -> Pdu {
        let shape = script.byte();
        let task = &mut self.requests[at];
        let left = task.writes.saturating_sub(task.asked_to);
        let length = left.min(PIECE_MAX >> (shape & 1));
        let mut pdu = Pdu::new(answer::R2T, FINAL, task.pdu.itt());
        pdu.header[8..16].copy_from_slice(&task.pdu.lun());
        self.next_ttt += 1;
        pdu.set(20, self.next_ttt);
        pdu.set(36, task.r2t_sn);
        pdu.set(40, task.asked_to);
        pdu.set(44, length);
        task.r2t_sn = task.r2t_sn.wrapping_add(1);
        task.asked_to += length;
        pdu
    }

    fn response(&mut self, at: usize, how: u8, script: &mut Script<'_>) -> Pdu {
        let Some(task) = self.requests.remove(at) else {
            return Pdu::new(answer::RESPONSE, FINAL, NIL);
        };
        let mut pdu = Pdu::new(answer::RESPONSE, FINAL, task.pdu.itt());
        pdu.set(36, task.data_sn);
        if how & 32 != 0 {
            pdu.header[1] |= script.byte() & 0x1e;
            pdu.header[2] = script.byte() & 1;
            pdu.set(44, u32::from(script.half()));
        }
        if how & 64 != 0 {
            pdu.header[3] = 2;
            pdu.data = SENSE.to_vec();
        }
        if how & 128 != 0 {
            pdu.header[3] = script.byte();
        }
        pdu
    }

    fn reject(&mut self, at: usize, reason: u8) -> Pdu {
        let rejected = self.requests.remove(at);
        let header = rejected.map_or([0; 48], |task| task.pdu.header);
        let mut pdu = Pdu::new(answer::REJECT, FINAL, NIL).with_data(&header);
        pdu.header[2] = reason & 15;
        pdu
    }

    /// Sends what a SNACK asks for once more, as far as it is known.
    fn answer_snack(&mut self, at: usize) -> Vec<Pdu> {
        let Some(snack) = self.requests.remove(at) else {
            return Vec::new();
        };
        let (begin, run) = (snack.pdu.get(40), snack.pdu.get(44));
        let in_run = |number: u32| run == 0 || number.wrapping_sub(begin) < run;
        let kind = snack.pdu.header[1] & 15;
        let is_meant = |pdu: &&Pdu| match (kind, pdu.opcode()) {
            (1, answer::DATA_IN) => pdu.header[1] & 1 != 0 && in_run(pdu.get(24)),
            (1, opcode) => opcode != answer::R2T && in_run(pdu.get(24)),
            (0 | 3, answer::DATA_IN | answer::R2T) => {
                pdu.itt() == snack.pdu.itt() && in_run(pdu.get(36))
            }
            _ => false,
        };
        let log = self.links.get(&snack.cid).map(|link| link.log.iter());
        log.into_iter()
            .flatten()
            .filter(is_meant)
            .cloned()
            .collect()
    }

    fn answer_other(&mut self, at: usize, opcode: u8, how: u8, script: &mut Script<'_>) -> Pdu {
        if how & 31 == 31 {
            return self.reject(at, how >> 5);
        }
        let Some(asked) = self.requests.remove(at) else {
            return Pdu::new(answer::NOP_IN, FINAL, NIL);
        };
        let mut pdu = Pdu::new(answer::NOP_IN, FINAL, asked.pdu.itt());
        pdu.header[0] = opcode | 0x20;
        let response = if how < 128 { 0 } else { how & 15 };
        match opcode {
            request::NOP_OUT => pdu.set(20, NIL),
            request::MANAGEMENT => {
                pdu.header[2] = response;
                let reassigns = asked.pdu.header[1] & 0x7f == 8;
                self.manage(&asked, response == 0, reassigns);
            }
            request::LOGOUT => pdu.header[2] = response & 3,
            request::TEXT => {
                pdu.set(20, if how < 64 { NIL } else { u32::from(how) });
                pdu.header[1] = if how < 64 { FINAL } else { how & 0xc0 };
                pdu.data = script.bytes(usize::from(how & 63)).to_vec();
            }
            _ => {}
        }
        pdu
    }

    /// Ends the task that a function names, or moves it to the connection that asks.
    fn manage(&mut self, asked: &Asked, well: bool, reassigns: bool) {
        let referenced = asked.pdu.get(20);
        let found = self
            .requests
            .iter()
            .position(|task| task.pdu.itt() == referenced && task.pdu.opcode() == request::COMMAND);
        match found {
            Some(at) if well && reassigns => self.requests[at].cid = asked.cid,
            Some(at) if well => {
                self.requests.remove(at);
            }
            _ => {}
        }
    }

    /// Says something that nobody asked for.
    pub fn announce(&mut self, script: &mut Script<'_>) -> Pdu {
        let what = script.byte();
        let mut pdu = Pdu::new(answer::NOP_IN, FINAL, NIL);
        if what & 1 == 0 {
            pdu.set(20, u32::from(what));
            return pdu;
        }
        pdu.header[0] = answer::ASYNC;
        pdu.header[36] = if what < 224 { what >> 1 & 7 } else { what };
        for at in [39, 41, 43] {
            pdu.header[at] = script.byte() & 31;
        }
        if pdu.header[36] == 0 {
            pdu.data = SENSE.to_vec();
        }
        pdu
    }

    /// A PDU of which the script chooses all that matters.
    pub fn invent(&mut self, script: &mut Script<'_>) -> Pdu {
        let itts: Vec<u32> = self.requests.iter().map(|asked| asked.pdu.itt()).collect();
        let opcode = OPCODES[script.below(OPCODES.len())];
        let itt = match script.byte() {
            0..=191 => script.pick(&itts).unwrap_or(NIL),
            192..=223 => NIL,
            other => u32::from(other),
        };
        let mut pdu = Pdu::new(opcode, script.byte(), itt);
        (pdu.header[2], pdu.header[3]) = (script.byte(), script.byte());
        let ttt = script.byte();
        pdu.set(20, if ttt == 0xff { NIL } else { u32::from(ttt) });
        for at in [36, 39, 42, 43, 46, 47] {
            pdu.header[at] = script.byte();
        }
        let length = script.byte();
        pdu.data = script.bytes(usize::from(length)).to_vec();
        pdu
    }

    /// Numbers a PDU and keeps it, to be sent once more.
    pub fn finish(&mut self, cid: u16, pdu: &mut Pdu) {
        let (expected, max) = self.window();
        let Some(link) = self.links.get_mut(&cid) else {
            return;
        };
        let is_plain = pdu.opcode() == answer::DATA_IN && pdu.header[1] & 1 == 0;
        let is_ping = pdu.opcode() == answer::NOP_IN && pdu.itt() == NIL;
        if !is_plain {
            pdu.set(24, link.stat_sn);
        }
        if !is_plain && !is_ping && pdu.opcode() != answer::R2T {
            link.stat_sn = link.stat_sn.wrapping_add(1);
        }
        pdu.set(28, expected);
        pdu.set(32, max);
        pdu.set_lengths();
        link.log.push_back(pdu.clone());
        if link.log.len() > LOG_MAX {
            link.log.pop_front();
        }
    }

    /// Something that was sent before.
    pub fn repeat(&self, cid: u16, script: &mut Script<'_>) -> Option<Pdu> {
        let log = &self.links.get(&cid)?.log;
        let back = script.below(LOG_MAX);
        log.iter().rev().nth(back % log.len().max(1)).cloned()
    }

    /// Changes how many commands it lets be under way.
    pub fn set_width(&mut self, width: u32) {
        self.width = width;
    }
}

/// How much a command wants to read and to write.
fn lengths(pdu: &Pdu) -> (u32, u32) {
    if pdu.opcode() != request::COMMAND {
        return (0, 0);
    }
    let length = pdu.get(20);
    // An additional header of type 2 holds the length of a bidirectional read (section 11.2.2.4).
    let bidi = pdu.ahs.windows(8).find(|ahs| ahs[..3] == [0, 5, 2]);
    let bidi = bidi.map_or(0, |ahs| {
        u32::from_be_bytes([ahs[4], ahs[5], ahs[6], ahs[7]])
    });
    match pdu.header[1] & 0x60 {
        0x60 => (bidi, length),
        0x40 => (length, 0),
        0x20 => (0, length),
        _ => (0, 0),
    }
}
