//! The steps of a script: what the initiator does, by the rules and against them.

use std::time::Duration;

use super::disk::{BLOCK, BLOCKS, content};
use super::{Run, Task};
use crate::script::Script;
use crate::wire::{Damage, FINAL, NIL, Pdu, request};

/// READ (10) and WRITE (10).
const READ: u8 = 0x28;
const WRITE: u8 = 0x2a;
/// Blocks that one command reads or writes.
const COUNT_MAX: usize = 12;
/// The disk with which anything may be done.
const FREE_LUN: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];
/// Opcodes of commands for that disk, beside any others.
const CDBS: [u8; 28] = [
    0x00, 0x03, 0x12, 0x15, 0x16, 0x1a, 0x1b, 0x25, 0x28, 0x2a, 0x2e, 0x2f, 0x35, 0x41, 0x42, 0x53,
    0x55, 0x5a, 0x5e, 0x5f, 0x7f, 0x88, 0x89, 0x8a, 0x93, 0x9e, 0xa0, 0xa3,
];

impl Run {
    pub(super) async fn step(&mut self, choice: u8, script: &mut Script<'_>) {
        match choice {
            0..=7 => self.come(choice, script),
            8..=15 => self.go(choice, script),
            16..=55 => self.access(choice, script),
            56..=111 => self.send_asked(script),
            112..=127 => self.send_unasked(script),
            128..=159 => self.free_command(script),
            160..=171 => self.manage(script),
            172..=177 => self.nop(script),
            178..=187 => self.text(script),
            188..=190 => self.log_out(script),
            191..=210 => self.snack(script),
            211..=222 => self.pass(choice, script).await,
            223..=234 => self.send_again(script),
            _ => self.invent(script),
        }
    }

    fn client(&self, script: &mut Script<'_>) -> Option<usize> {
        let full: Vec<usize> = (0..self.clients.len())
            .filter(|at| self.clients[*at].is_full())
            .collect();
        match full.as_slice() {
            [] => None,
            [only] => Some(*only),
            several => script.pick(several),
        }
    }

    fn come(&mut self, choice: u8, script: &mut Script<'_>) {
        let nexus = usize::from(script.byte() & 1);
        match choice & 7 {
            0 => self.connect(nexus),
            1..=3 => {
                let cid = self.nexuses[nexus].next_cid;
                self.nexuses[nexus].next_cid = cid.wrapping_add(1);
                self.join(nexus, cid, 0);
            }
            5 => {
                // In the place of another, which may be there still.
                let cid = u16::from(script.byte() & 3);
                let same = |client: &&super::Client| client.nexus == nexus && client.cid == cid;
                let stat_sn = self
                    .clients
                    .iter()
                    .rev()
                    .find(same)
                    .map_or(0, |c| c.stat_sn);
                let back = u32::from(script.byte() & 3);
                self.join(nexus, cid, stat_sn.wrapping_sub(back));
            }
            4 => match script.byte() & 1 {
                0 => self.discover(nexus),
                _ => self.connect_with_chap(nexus, script),
            },
            _ => self.log_in_badly(nexus, script),
        }
    }

    /// A connection is closed, perhaps in the middle of a PDU.
    fn go(&mut self, choice: u8, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        if choice & 1 != 0 {
            let length = script.half() & 0x3fff;
            let mut pdu = Pdu::new(request::DATA_OUT, FINAL, self.next_itt);
            pdu.set(4, u32::from(length));
            pdu.set(20, NIL);
            let part = script.below(96);
            let bytes = pdu.encode(self.clients[at].digests(), Damage::default());
            self.clients[at].write(&bytes[..part.min(bytes.len())]);
        }
        self.clients[at].close();
    }

    fn tag(&mut self) -> u32 {
        self.next_itt += 1;
        self.next_itt - 1
    }

    /// Numbers a request: the next, one that was left out, or one beyond.
    fn number(&mut self, nexus: usize, pdu: &mut Pdu, how: u8) {
        let session = &mut self.nexuses[nexus];
        let next = session.cmd_sn;
        if pdu.header[0] & 0x40 != 0 {
            pdu.set(24, next);
            return;
        }
        let number = match how {
            0..=191 => next,
            192..=223 => {
                let gap = session.gaps.pop();
                gap.unwrap_or(next)
            }
            _ => {
                let skipped = u32::from(how & 3) + 1;
                session
                    .gaps
                    .extend((0..skipped).map(|n| next.wrapping_add(n)));
                session.gaps.truncate(64);
                next.wrapping_add(skipped)
            }
        };
        if number.wrapping_sub(next).cast_signed() >= 0 {
            session.cmd_sn = number.wrapping_add(1);
        }
        pdu.set(24, number);
    }

    /// Reads or writes blocks of the disk whose content is known.
    fn access(&mut self, choice: u8, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let writes = choice & 1 != 0;
        let count = u32::try_from(1 + script.below(COUNT_MAX)).expect("few blocks");
        let lba = u32::from(script.byte()) % (BLOCKS - count);
        let (how, shape) = (script.byte(), script.byte());
        let itt = self.tag();
        let length = count * BLOCK as u32;
        let mut pdu = Pdu::new(request::COMMAND, FINAL, itt);
        pdu.header[0] |= if shape & 0xe0 == 0xe0 { 0x40 } else { 0 };
        pdu.header[1] |= if writes { 0x20 } else { 0x40 };
        pdu.set(20, length);
        pdu.header[32] = if writes { WRITE } else { READ };
        pdu.set(34, lba);
        pdu.header[40] = u8::try_from(count).expect("few blocks");
        let nexus = self.clients[at].nexus;
        self.number(nexus, &mut pdu, how);
        let mut task = Task {
            nexus,
            writes,
            data: vec![0; length as usize],
            came: vec![false; count as usize],
            unsolicited: 0,
            recovered: false,
            ended: false,
        };
        if writes {
            task.data = (lba..lba + count)
                .flat_map(|block| content(itt, block))
                .collect();
            self.add_immediate(at, &mut pdu, &mut task, shape);
            self.disk.write(itt, lba, count);
        } else {
            self.disk.read(itt, lba, count);
        }
        self.tasks.insert(itt, task);
        self.send(at, pdu, shape, script);
    }

    /// Data in the command itself, and the promise of more.
    fn add_immediate(&self, at: usize, pdu: &mut Pdu, task: &mut Task, shape: u8) {
        let agreed = &self.clients[at].parameters;
        if agreed.immediate_data && shape & 1 != 0 {
            let most = agreed.first_burst.min(agreed.max_send_data_segment) as usize;
            let length = most.min(task.data.len());
            pdu.data = task.data[..length].to_vec();
            task.unsolicited = u32::try_from(length).expect("little data");
        }
        if !agreed.initial_r2t && shape & 2 != 0 && pdu.data.len() < task.data.len() {
            pdu.header[1] &= !FINAL;
        }
    }

    /// Sends data that was asked for.
    fn send_asked(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let (which, shape) = (script.byte(), script.byte());
        let client = &mut self.clients[at];
        let most = client.parameters.max_send_data_segment >> (shape & 1);
        let index = match which {
            0..=191 => 0,
            other => usize::from(other) % client.asked.len().max(1),
        };
        let Some(asked) = client.asked.get_mut(index) else {
            return;
        };
        let (itt, data_sn, offset) = (asked.itt, asked.data_sn, asked.offset);
        let length = asked.length.min(most);
        let mut pdu = Pdu::new(request::DATA_OUT, 0, itt);
        pdu.set(20, asked.ttt);
        pdu.set(36, data_sn);
        pdu.set(40, offset);
        asked.length -= length;
        asked.offset += length;
        asked.data_sn += 1;
        if asked.length == 0 {
            pdu.header[1] = FINAL;
            client.asked.remove(index);
        }
        let (from, to) = (offset as usize, (offset + length) as usize);
        pdu.data = match self
            .tasks
            .get(&itt)
            .and_then(|task| task.data.get(from..to))
        {
            Some(data) => data.to_vec(),
            None => vec![shape; length as usize],
        };
        self.send(at, pdu, shape, script);
    }

    /// Sends data that nobody has asked for.
    fn send_unasked(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let nexus = self.clients[at].nexus;
        let open = |task: &&Task| task.writes && !task.ended && task.nexus == nexus;
        let open: Vec<u32> = self
            .tasks
            .iter()
            .filter(|(_, task)| open(task))
            .map(|(itt, _)| *itt)
            .collect();
        let Some(itt) = script.pick(&open) else {
            return;
        };
        let shape = script.byte();
        let agreed = &self.clients[at].parameters;
        let (most, burst) = (agreed.max_send_data_segment, agreed.first_burst);
        let Some(task) = self.tasks.get_mut(&itt) else {
            return;
        };
        let offset = task.unsolicited;
        let whole = u32::try_from(task.data.len())
            .expect("little data")
            .min(burst);
        let length = whole.saturating_sub(offset).min(most >> (shape & 1));
        task.unsolicited += length;
        let mut pdu = Pdu::new(request::DATA_OUT, 0, itt);
        pdu.set(20, NIL);
        pdu.set(36, u32::from(shape >> 1 & 3));
        pdu.set(40, offset);
        if task.unsolicited == whole {
            pdu.header[1] = FINAL;
        }
        pdu.data = task.data[offset as usize..(offset + length) as usize].to_vec();
        self.send(at, pdu, shape, script);
    }

    /// Any command, for the disk with which anything may be done, or for none.
    fn free_command(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let itt = self.tag();
        self.strange.insert(itt);
        let (flags, how) = (script.byte(), script.byte());
        let mut pdu = Pdu::new(request::COMMAND, flags, itt);
        pdu.header[8..16].copy_from_slice(&FREE_LUN);
        if flags & 0x18 == 0x18 {
            pdu.header[8..10].copy_from_slice(&[script.byte() | 0x40, script.byte()]);
        }
        let length = script.half();
        pdu.set(20, u32::from(length) << ((flags >> 3 & 1) * 9));
        let opcode = script.byte();
        pdu.header[32] = match CDBS.get(usize::from(opcode) % 40) {
            Some(known) => *known,
            None => opcode,
        };
        let cdb = script.bytes(15);
        pdu.header[33..33 + cdb.len()].copy_from_slice(cdb);
        if flags & 0x60 == 0x60 {
            pdu.ahs = vec![0, 5, 2, 0, 0, 0, script.byte(), script.byte()];
        }
        if pdu.header[32] == 0x7f {
            pdu.ahs.extend_from_slice(&[0, 17, 1, 0]);
            pdu.ahs.extend((0..16).map(|_| script.byte()));
        }
        if flags & 0x20 != 0 && self.clients[at].parameters.immediate_data {
            let length = usize::from(script.byte());
            pdu.data = script.bytes(length).to_vec();
        }
        let nexus = self.clients[at].nexus;
        self.number(nexus, &mut pdu, how);
        let bend = script.byte();
        self.send(at, pdu, bend, script);
    }

    fn manage(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let itt = self.tag();
        self.strange.insert(itt);
        let (function, how) = (script.byte(), script.byte());
        let mut pdu = Pdu::new(request::MANAGEMENT, FINAL | (function % 14), itt);
        pdu.header[0] |= if function & 0x80 == 0 { 0x40 } else { 0 };
        pdu.header[9] = script.byte() & 1;
        let referenced = self.some_task(function & 0x40 == 0, script);
        pdu.set(20, referenced);
        if let Some(task) = self.tasks.get_mut(&referenced) {
            task.recovered = true;
        }
        let nexus = self.clients[at].nexus;
        self.number(nexus, &mut pdu, how);
        let number = pdu.get(24).wrapping_sub(u32::from(script.byte() & 7));
        pdu.set(32, number);
        pdu.set(36, u32::from(script.byte() & 3));
        let bend = script.byte();
        self.send(at, pdu, bend, script);
    }

    /// The tag of a task that has no end yet, or of any that was not long ago.
    fn some_task(&self, is_open: bool, script: &mut Script<'_>) -> u32 {
        let open = self.tasks.iter().filter(|(_, task)| !task.ended);
        let open: Vec<u32> = open.map(|(itt, _)| *itt).collect();
        match script.pick(&open).filter(|_| is_open) {
            Some(itt) => itt,
            None => self.next_itt.wrapping_sub(script.below(16) as u32 + 2),
        }
    }

    fn nop(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let (shape, how) = (script.byte(), script.byte());
        let itt = if shape & 1 == 0 { self.tag() } else { NIL };
        self.strange.insert(itt);
        let mut pdu = Pdu::new(request::NOP_OUT, FINAL, itt);
        pdu.header[0] |= if shape & 2 == 0 { 0x40 } else { 0 };
        pdu.set(20, if shape & 4 == 0 { NIL } else { 0xfeed });
        pdu.data = script.bytes(usize::from(shape >> 3)).to_vec();
        let nexus = self.clients[at].nexus;
        self.number(nexus, &mut pdu, how);
        self.send(at, pdu, 0, script);
    }

    fn text(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let (shape, how) = (script.byte(), script.byte());
        let itt = if shape & 1 == 0 {
            self.tag()
        } else {
            self.next_itt - 1
        };
        self.strange.insert(itt);
        let mut pdu = Pdu::new(request::TEXT, shape & 0xc0, itt);
        pdu.header[0] |= if shape & 2 == 0 { 0x40 } else { 0 };
        let ttt = script.byte();
        pdu.set(20, if ttt < 192 { NIL } else { u32::from(ttt - 192) });
        let length = usize::from(script.byte());
        pdu.data = match shape >> 2 & 3 {
            0 => b"SendTargets=All\0".to_vec(),
            1 => b"SendTargets=\0".to_vec(),
            2 => b"MaxRecvDataSegmentLength=4096\0X-fuzz=1\0".to_vec(),
            _ => script.bytes(length).to_vec(),
        };
        let nexus = self.clients[at].nexus;
        self.number(nexus, &mut pdu, how);
        let bend = script.byte();
        self.send(at, pdu, bend, script);
    }

    fn log_out(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let itt = self.tag();
        self.strange.insert(itt);
        let (reason, how) = (script.byte(), script.byte());
        let mut pdu = Pdu::new(request::LOGOUT, FINAL | reason & 3, itt);
        pdu.header[0] |= if reason & 4 == 0 { 0x40 } else { 0 };
        // That of a connection which is gone, most of all.
        let nexus = self.clients[at].nexus;
        let gone = |client: &&super::Client| client.nexus == nexus && !client.is_full();
        let gone: Vec<u16> = self.clients.iter().filter(gone).map(|c| c.cid).collect();
        let cid = match reason >> 3 & 3 {
            0 => self.clients[at].cid,
            1 => u16::from(script.byte() & 3),
            _ => script.pick(&gone).unwrap_or(0),
        };
        pdu.set(20, u32::from(cid) << 16);
        self.number(nexus, &mut pdu, how);
        self.send(at, pdu, 0, script);
    }

    fn snack(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let shape = script.byte();
        let back = u32::from(script.byte());
        let itt = self.next_itt.wrapping_sub(back % 16);
        if let Some(task) = self.tasks.get_mut(&itt) {
            task.recovered = true;
        }
        let mut pdu = Pdu::new(request::SNACK, FINAL | shape & 3, itt);
        let ttt = script.byte();
        let (begin, run) = (u32::from(script.byte()), u32::from(script.byte() & 15));
        match shape & 3 {
            1 => {
                pdu.set(16, NIL);
                let newest = self.clients[at].stat_sn;
                pdu.set(
                    40,
                    if shape & 4 == 0 {
                        newest.wrapping_sub(begin & 31)
                    } else {
                        0
                    },
                );
            }
            2 => {
                pdu.set(16, NIL);
                pdu.set(40, begin & 15);
            }
            _ => pdu.set(40, begin & 15),
        }
        pdu.set(20, if shape & 8 == 0 { NIL } else { u32::from(ttt) });
        pdu.set(44, if shape & 0x30 == 0 { 0 } else { run });
        let bend = script.byte();
        self.send(at, pdu, bend, script);
    }

    async fn pass(&mut self, choice: u8, script: &mut Script<'_>) {
        let much = u64::from(choice - 211) * u64::from(script.byte());
        tokio::time::advance(Duration::from_millis(much * 4)).await;
    }

    /// Sends the last PDU of a connection once more, perhaps on another.
    fn send_again(&mut self, script: &mut Script<'_>) {
        let (Some(from), Some(at)) = (self.client(script), self.client(script)) else {
            return;
        };
        if let Some(pdu) = self.clients[from].last.clone() {
            // It ends a task twice, or reads what is there by now.
            self.spoil(&pdu);
            let bend = script.byte();
            self.send(at, pdu, bend, script);
        }
    }

    /// A PDU of which the script chooses all that matters.
    fn invent(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let opcode = [0, 1, 2, 3, 4, 5, 6, 0x10, 0x1c, 0x3f][script.below(10)];
        let back = u32::from(script.byte());
        let itt = if back == 255 {
            NIL
        } else {
            self.next_itt.wrapping_sub(back % 16)
        };
        let mut pdu = Pdu::new(opcode | script.byte() & 0x40, script.byte(), itt);
        (pdu.header[2], pdu.header[3]) = (script.byte(), script.byte());
        let ttt = script.byte();
        pdu.set(20, if ttt == 0xff { NIL } else { u32::from(ttt) });
        for at in [36, 39, 42, 43, 46, 47] {
            pdu.header[at] = script.byte();
        }
        if script.byte() & 1 != 0 {
            let length = usize::from(script.byte() & 63);
            pdu.ahs = script.bytes(length * 4).to_vec();
            pdu.ahs.resize(pdu.ahs.len().next_multiple_of(4), 0);
        }
        let length = usize::from(script.byte());
        pdu.data = script.bytes(length).to_vec();
        let nexus = self.clients[at].nexus;
        self.number(nexus, &mut pdu, ttt);
        self.spoil(&pdu);
        let bend = script.byte();
        self.send(at, pdu, bend, script);
    }

    /// A PDU that is against the rules goes out: what it names is not judged any more.
    fn spoil(&mut self, pdu: &Pdu) {
        self.strange.insert(pdu.itt());
        if matches!(pdu.opcode(), request::COMMAND | request::DATA_OUT) {
            self.disk.spoil();
        }
    }

    /// Sends a PDU: as it is, or lost, damaged, changed, in pieces.
    fn send(&mut self, at: usize, mut pdu: Pdu, bend: u8, script: &mut Script<'_>) {
        pdu.set_lengths();
        let mut damage = Damage::default();
        let client = &mut self.clients[at];
        if bend & 4 == 0 {
            client.acknowledged = client.stat_sn;
        }
        pdu.set(28, client.acknowledged);
        match bend {
            0..=199 => {}
            200..=207 => return,
            208..=215 => damage.data = true,
            216..=219 => damage.header = true,
            220..=231 => {
                self.spoil(&pdu);
                let place = script.below(48);
                pdu.header[place] = script.byte();
                self.spoil(&pdu);
                // Any part of the data may be a request now.
                self.frameless |= (4..8).contains(&place);
            }
            _ => {}
        }
        // It may name another longest segment.
        self.clients[at].renegotiates |= pdu.opcode() == request::TEXT;
        self.say(|| {
            format!(
                "> {at}: {damage:?} {:02x?} {} bytes",
                pdu.header,
                pdu.data.len()
            )
        });
        let bytes = pdu.encode(self.clients[at].digests(), damage);
        self.clients[at].write(&bytes);
        self.clients[at].last = Some(pdu);
    }
}
