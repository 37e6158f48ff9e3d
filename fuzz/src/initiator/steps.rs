//! The steps of a script: what the caller asks, what the sockets do, what the target sends.

use std::time::Duration;

use hawser_proto::pdu::{LoginStatus, TaskAttribute, TmfFunction};
use hawser_proto::session::{
    Command, ConnectionError, Direction, Extended, Hold, Management, TaskBuffers, TaskId,
};

use super::{LOGINS_MAX, Open, Run, policy};
use crate::script::Script;
use crate::wire::{Damage, Pdu};

/// The longest data of a command.
const DATA_MAX: usize = 4096;
/// Batches in a row that one connection may have to send without hearing anything.
const BATCHES_MAX: usize = 128;
/// Timers that may be due at one moment, one after the other.
const TIMERS_MAX: usize = 64;

const FUNCTIONS: [TmfFunction; 12] = [
    TmfFunction::AbortTask,
    TmfFunction::AbortTaskSet,
    TmfFunction::ClearAca,
    TmfFunction::ClearTaskSet,
    TmfFunction::LogicalUnitReset,
    TmfFunction::TargetWarmReset,
    TmfFunction::TargetColdReset,
    TmfFunction::TaskReassign,
    TmfFunction::QueryTask,
    TmfFunction::QueryTaskSet,
    TmfFunction::ItNexusReset,
    TmfFunction::QueryAsynchronousEvent,
];

impl Run {
    pub(super) fn step(&mut self, choice: u8, script: &mut Script<'_>) {
        match choice {
            0..=39 => self.submit(choice, script),
            40..=71 => self.flush_one(script),
            72..=79 => self.write_some(choice, script),
            80..=91 => self.wait(choice),
            92..=99 => self.interfere(choice, script),
            100..=107 => self.change_members(choice, script),
            108..=111 => self.end_dial(choice, script),
            112..=115 => self.lose(script),
            116 => self.session.logout(self.now),
            117 => self.session.set_policy(policy(script.byte())),
            118 => self.set_hold(script.byte()),
            119 => {
                let _ = self.session.open_gate(self.now);
            }
            120..=127 => self.target.set_width(u32::from(choice & 7) * 3),
            128..=215 => self.hear_answer(script),
            216..=227 => self.hear_news(script),
            228..=239 => self.hear_again(script),
            _ => self.hear_invention(script),
        }
    }

    fn cid(&self, script: &mut Script<'_>) -> Option<u16> {
        let cids: Vec<u16> = self.members.keys().copied().collect();
        match cids.as_slice() {
            [] => None,
            [only] => Some(*only),
            several => script.pick(several),
        }
    }

    fn submit(&mut self, choice: u8, script: &mut Script<'_>) {
        let shape = script.byte();
        let length = DATA_MAX >> (choice & 3);
        let bytes = u32::try_from(length).expect("a small length");
        let (direction, outgoing, incoming) = match choice >> 2 & 3 {
            0 => (Direction::None, 0, 0),
            1 => (Direction::Write(bytes), length, 0),
            _ => (Direction::Read(bytes), 0, length),
        };
        let command = Command {
            cdb: [0; 16],
            lun: [0, shape & 1, 0, 0, 0, 0, 0, 0],
            direction,
            attribute: TaskAttribute::Simple,
            replay: shape & 2 != 0,
            urgent: shape & 4 != 0,
            timeout: Duration::from_secs(u64::from(shape >> 3 & 3) * 5 + 1),
        };
        let has_room = match command.urgent {
            true => self.session.has_urgent_room(),
            false => self.session.has_room(),
        };
        let token = self.submitted;
        let bidi = (outgoing > 0 && shape & 64 != 0).then_some(bytes);
        let submitted = if shape & 32 != 0 {
            let rest = vec![7; usize::from(script.byte())];
            let Some(extended) = Extended::new(&rest, bidi) else {
                return;
            };
            self.session
                .submit_extended(self.now, command, extended, token)
        } else {
            self.session.submit(self.now, command, token)
        };
        assert_eq!(submitted.is_ok(), has_room, "room for a command");
        let Ok(id) = submitted else { return };
        let both = bidi.is_some() && shape & 32 != 0;
        let incoming = if both { outgoing } else { incoming };
        self.buffers.insert(id.slot(), outgoing, incoming);
        let length = outgoing.max(incoming);
        self.open.insert(
            token,
            Open {
                id: Some(id),
                length,
            },
        );
        self.submitted += 1;
    }

    fn flush_one(&mut self, script: &mut Script<'_>) {
        if let Some(cid) = self.cid(script) {
            self.flush(cid);
        }
    }

    /// Writes all that a connection has to say.
    pub(super) fn flush(&mut self, cid: u16) {
        for _ in 0..BATCHES_MAX {
            let Some(member) = self.members.get_mut(&cid) else {
                return;
            };
            self.session.transmit_done(&mut member.batch);
            if !self.poll(cid) {
                return;
            }
        }
        panic!("no end of batches");
    }

    /// Begins to write a batch, which the target has at once.
    fn poll(&mut self, cid: u16) -> bool {
        let Some(member) = self.members.get_mut(&cid) else {
            return false;
        };
        let (now, batch) = (self.now, &mut member.batch);
        if !self.session.poll_transmit(now, cid, &self.buffers, batch) {
            assert!(batch.is_empty());
            return false;
        }
        assert!(!batch.is_empty());
        for pdu in member.take_sent(&mut self.buffers) {
            if self.tells {
                eprintln!("< {cid}: {:02x?} {} bytes", pdu.header, pdu.data.len());
            }
            self.target.receive(cid, pdu);
        }
        true
    }

    /// A socket that takes little.
    fn write_some(&mut self, choice: u8, script: &mut Script<'_>) {
        let Some(cid) = self.cid(script) else { return };
        let Some(member) = self.members.get_mut(&cid) else {
            return;
        };
        if !member.batch.is_empty() && choice & 1 == 0 {
            member.batch.advance(usize::from(script.half()));
        }
        if member.batch.is_empty() || choice & 2 != 0 {
            self.session.transmit_done(&mut member.batch);
            self.poll(cid);
        }
    }

    /// Time passes: some, or until a timer is due.
    fn wait(&mut self, choice: u8) {
        let some = self.now + Duration::from_millis(u64::from(choice - 80) * 300);
        let due = self.session.poll_timeout();
        self.now = match due {
            Some(due) if choice & 1 == 0 => due.max(self.now),
            _ => some,
        };
        self.run_timers();
    }

    /// Does what is due now, and sees that it is done then.
    pub(super) fn run_timers(&mut self) {
        for _ in 0..TIMERS_MAX {
            self.session.handle_timeout(self.now);
            self.drain();
            if self.session.poll_timeout().is_none_or(|due| due > self.now) {
                return;
            }
        }
        panic!("a timer that stays due");
    }

    fn interfere(&mut self, choice: u8, script: &mut Script<'_>) {
        let task = self.some_task(script);
        match (choice & 7, task) {
            // Refused when too many wait; then nothing happens.
            (0 | 1, Some(id)) => drop(self.session.abort(self.now, id)),
            (2, Some(id)) => drop(self.session.abort_unsent(id)),
            (3, _) => self
                .session
                .withdraw([0, script.byte() & 1, 0, 0, 0, 0, 0, 0]),
            (_, task) => self.manage(task, script),
        }
    }

    fn some_task(&self, script: &mut Script<'_>) -> Option<TaskId> {
        let mut tokens: Vec<u64> = self.open.keys().copied().collect();
        tokens.sort_unstable();
        let token = script.pick(&tokens)?;
        self.open.get(&token)?.id
    }

    fn manage(&mut self, task: Option<TaskId>, script: &mut Script<'_>) {
        let function = FUNCTIONS[script.below(FUNCTIONS.len())];
        let request = Management {
            function,
            lun: [0; 8],
            task,
            token: Some(self.submitted),
        };
        if self.session.manage(self.now, request).is_ok() {
            let (id, length) = (None, 0);
            self.open.insert(self.submitted, Open { id, length });
            self.submitted += 1;
        }
    }

    fn change_members(&mut self, choice: u8, script: &mut Script<'_>) {
        let cid = u16::from(script.byte() & 7);
        match choice & 3 {
            0 | 1 => drop(self.session.add_connection(self.now)),
            2 => drop(self.session.remove_connection(self.now, cid)),
            // Only for one that was added and is not there yet.
            _ if self.dials.iter().any(|(dialed, _)| *dialed == cid) => {
                self.session.abandon_join(cid);
            }
            _ => {}
        }
    }

    fn end_dial(&mut self, choice: u8, script: &mut Script<'_>) {
        let is_leading = |role| role == hawser_proto::session::LoginRole::Leading;
        match (choice & 3, self.dials.front().copied()) {
            (0, Some((cid, role))) if !is_leading(role) => {
                self.dials.pop_front();
                let (class, detail) = (script.byte() & 3, script.byte() & 15);
                let status = LoginStatus { class, detail };
                self.session.handle_join_failed(self.now, cid, Some(status));
            }
            (1, _) => self.dial(false),
            _ => self.dial(self.logins < LOGINS_MAX),
        }
    }

    fn lose(&mut self, script: &mut Script<'_>) {
        let Some(cid) = self.cid(script) else { return };
        let error = match script.byte() & 3 {
            0 => ConnectionError::UnitReset,
            1 => ConnectionError::Requested,
            _ => ConnectionError::Transport(String::from("closed")),
        };
        self.session.handle_connection_lost(self.now, cid, error);
    }

    fn set_hold(&mut self, choice: u8) {
        let hold = match choice & 15 {
            15 => Hold::Forever,
            other => Hold::For(Duration::from_secs(u64::from(other) * 4)),
        };
        self.session.set_hold(hold);
    }

    fn hear_answer(&mut self, script: &mut Script<'_>) {
        let Some(cid) = self.cid(script) else { return };
        let pdus = self.target.answer(cid, script);
        let bend = script.byte();
        for mut pdu in pdus {
            let numbered = pdu.get(24) != 0;
            if !numbered {
                self.target.finish(cid, &mut pdu);
            }
            self.deliver(cid, pdu, bend, script);
        }
    }

    fn hear_news(&mut self, script: &mut Script<'_>) {
        let Some(cid) = self.cid(script) else { return };
        let mut pdu = self.target.announce(script);
        self.target.finish(cid, &mut pdu);
        self.deliver(cid, pdu, 0, script);
    }

    fn hear_again(&mut self, script: &mut Script<'_>) {
        let Some(cid) = self.cid(script) else { return };
        if let Some(pdu) = self.target.repeat(cid, script) {
            let bend = script.byte();
            self.deliver(cid, pdu, bend, script);
        }
    }

    fn hear_invention(&mut self, script: &mut Script<'_>) {
        let Some(cid) = self.cid(script) else { return };
        let mut pdu = self.target.invent(script);
        self.target.finish(cid, &mut pdu);
        let bend = script.byte();
        self.deliver(cid, pdu, bend, script);
    }

    /// Sends a PDU: as it is, or lost, damaged, changed, twice, in pieces.
    fn deliver(&mut self, cid: u16, mut pdu: Pdu, bend: u8, script: &mut Script<'_>) {
        let Some(member) = self.members.get_mut(&cid) else {
            return;
        };
        let mut damage = Damage::default();
        match bend {
            0..=159 => {}
            160..=179 => return,
            180..=191 => damage.data = true,
            192..=199 => damage.header = true,
            200..=239 => {
                let at = script.below(48);
                pdu.header[at] = script.byte();
                member.framed &= !(4..8).contains(&at);
            }
            _ => {}
        }
        let tag = member.framed.then(|| pdu.itt());
        if self.tells {
            eprintln!(
                "> {cid}: {damage:?} {:02x?} {} bytes",
                pdu.header,
                pdu.data.len()
            );
        }
        let bytes = pdu.encode(member.digests, damage);
        if bend >= 240 && bytes.len() > 48 {
            let (first, second) =
                bytes.split_at(48 + usize::from(bend - 240) * 4 % (bytes.len() - 48));
            member.pipe.push((tag, first.to_vec()));
            self.pump(cid);
            if bend & 1 != 0 {
                // The rest comes with the next PDU.
                if let Some(member) = self.members.get_mut(&cid) {
                    member.pipe.push((tag, second.to_vec()));
                }
                return;
            }
            if let Some(member) = self.members.get_mut(&cid) {
                member.pipe.push((tag, second.to_vec()));
            }
        } else {
            member.pipe.push((tag, bytes));
        }
        self.pump(cid);
    }

    /// Gives the session what is on its way to it.
    pub(super) fn pump(&mut self, cid: u16) {
        let Some(member) = self.members.get_mut(&cid) else {
            return;
        };
        for (tag, bytes) in std::mem::take(&mut member.pipe) {
            self.buffers.deliver(tag);
            let rest = self.read_in_place(cid, &bytes);
            let result =
                self.session
                    .handle_input(self.now, cid, &bytes[rest..], &mut self.buffers);
            self.buffers.deliver(None);
            if let Err(error) = result {
                self.session.handle_connection_lost(self.now, cid, error);
            }
            self.drain();
            if !self.members.contains_key(&cid) {
                return;
            }
        }
    }

    /// Reads payload to where the session wants it; how many bytes those were.
    fn read_in_place(&mut self, cid: u16, bytes: &[u8]) -> usize {
        let Some(place) = self.session.direct_read(cid) else {
            return 0;
        };
        let count = place.len.min(bytes.len());
        let buffer = self.buffers.incoming(place.slot);
        assert!(
            place.offset + place.len <= buffer.len(),
            "a place outside the buffer"
        );
        buffer[place.offset..place.offset + count].copy_from_slice(&bytes[..count]);
        self.session.handle_direct(cid, count, &mut self.buffers);
        count
    }
}
