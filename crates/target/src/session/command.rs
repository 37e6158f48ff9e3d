//! SCSI commands: gathered, carried out, answered (RFC 7143 §11.3, §11.4, §11.7).

use std::sync::{Arc, Weak};
use std::time::Duration;

use hawser_proto::pdu::R2t;
use hawser_scsi::opcode;

use super::disorder::Chance;
use super::finished::{Outcome, Residual};
use super::gather::Gather;
use super::task::{Command, Home, Phase, Task};
use super::{Session, Turn};
use crate::disk::{CommandResult, Device, ECHO, MAX_TRANSFER_BYTES, echo};
use crate::faults::Answer;

/// The most memory that a session's writes may set aside at one time, in bytes. Later ones wait
/// for their R2Ts. One task may always have what it needs.
const RESERVED_LIMIT: usize = 64 * 1024 * 1024;

/// How many buffers a session keeps for reuse.
const SPARE_BUFFERS: usize = 8;

/// Buffers above this many bytes are not kept.
const SPARE_BUFFER_LIMIT: usize = 2 * 1024 * 1024;

/// The data that comes with a command that is carried out.
pub(super) enum DataOut<'a> {
    /// All of it came with the command.
    Immediate(&'a [u8]),
    /// It was gathered.
    Gathered(Gather),
}

impl DataOut<'_> {
    /// The bytes, to be kept.
    pub(super) fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Immediate(bytes) => bytes.to_vec(),
            Self::Gathered(gather) => {
                let wanted = gather.wanted();
                let mut buffer = gather.into_buffer();
                buffer.truncate(wanted);
                buffer
            }
        }
    }
}

impl Turn<'_> {
    /// Takes in a command with its immediate data. One that is `held` waits for its turn.
    pub(crate) fn command(&mut self, cid: u16, command: Command, data: &[u8], held: bool) {
        self.session.shared.counters.commands.add();
        let header = &command.header;
        let Some(link) = self.core.links.get(&cid) else {
            return;
        };
        let wanted = if header.is_write() {
            self.wanted(&command)
        } else {
            0
        };
        let last = header.is_final() || !header.is_write();
        let whole = last && command.immediate_length() >= wanted;
        if whole && !held && (data.is_empty() || link.rules.takes(data.len(), command.expected())) {
            let data = data.get(..wanted as usize).unwrap_or(data);
            return self.carry_out(cid, command, DataOut::Immediate(data));
        }
        let buffer = self.core.buffers.pop().unwrap_or_default();
        let immediate = command.immediate_length();
        let mut gather = Gather::new(
            link.rules,
            command.expected(),
            wanted,
            immediate,
            last,
            buffer,
        );
        gather.store(0, data);
        let itt = command.itt();
        let phase = Phase::Gathering(gather);
        let task = Task {
            home: Home::On(cid),
            command,
            phase,
            held,
            doomed: false,
            delayed: false,
            reserved: 0,
            seen: None,
        };
        self.core.tasks.insert(itt, task);
        self.proceed(itt);
        self.watch_data(itt);
    }

    /// Has the data of tasks that gather it asked for again if it stays away.
    fn watch_data(&mut self, itt: u32) {
        let task = self.core.tasks.get(&itt);
        let gathering = task.is_some_and(|task| matches!(task.phase, Phase::Gathering(_)));
        let policy = self.session.purpose.target().map(|target| &target.policy);
        let timeout = policy.and_then(|policy| policy.sequence_timeout);
        if let Some(timeout) = timeout
            && gathering
            && self.core.keeps()
            && !std::mem::replace(&mut self.core.watching, true)
        {
            tokio::spawn(watch_data(Arc::downgrade(self.session), timeout));
        }
    }

    /// Takes data for lost that is owed since the last look and of which nothing has come. False
    /// when no task gathers data.
    fn look_for_data(&mut self) -> bool {
        let mut late = Vec::new();
        let mut any = false;
        for (itt, task) in &mut self.core.tasks {
            let Phase::Gathering(gather) = &mut task.phase else {
                continue;
            };
            any = true;
            let progress = Some(gather.progress());
            if task.seen == progress && gather.is_waiting() && task.home.cid().is_some() {
                gather.time_out();
                late.push(*itt);
            }
            task.seen = progress;
        }
        late.into_iter().for_each(|itt| self.proceed(itt));
        self.core.watching = any;
        any
    }

    /// How many bytes of data to ask for: all that the initiator announced, unless the command
    /// fails anyway.
    fn wanted(&self, command: &Command) -> u32 {
        let expected = command.expected();
        let unit = self
            .session
            .device()
            .and_then(|device| device.unit(command.lun()));
        let known = unit.is_some() || self.session.far.is_some();
        let reasonable = u64::from(expected) <= MAX_TRANSFER_BYTES;
        if reasonable && known { expected } else { 0 }
    }

    /// Does what is to be done next for a task that gathers its data.
    pub(crate) fn proceed(&mut self, itt: u32) {
        let ready = |task: &&mut Task| !task.held && task.home.cid().is_some();
        let Some(task) = self.core.tasks.get_mut(&itt).filter(ready) else {
            return;
        };
        let Phase::Gathering(gather) = &mut task.phase else {
            return;
        };
        if task.doomed {
            if !gather.is_waiting() {
                self.forget(itt);
            }
        } else if gather.is_finished() {
            self.finish(itt);
        } else if !gather.is_unsolicited() {
            self.ask(itt);
        }
    }

    /// Sends the R2Ts that may go out now.
    fn ask(&mut self, itt: u32) {
        let bend = self.session.shared.faults.r2t();
        let Some(task) = self.core.tasks.get_mut(&itt) else {
            return;
        };
        let lun = task.command.header.lun;
        let Some(cid) = task.home.cid() else {
            return;
        };
        let Phase::Gathering(gather) = &mut task.phase else {
            return;
        };
        if task.reserved == 0 {
            let after = self.core.reserved.saturating_add(gather.wanted());
            if self.core.reserved > 0 && after > RESERVED_LIMIT {
                self.core.waiting.push_back(itt);
                return;
            }
            self.core.reserved = after;
            task.reserved = gather.wanted();
            gather.make_room();
        }
        if !bend.delay.is_zero() && !std::mem::replace(&mut task.delayed, true) {
            return self.ask_later(itt, bend.delay);
        }
        if let Some(seed) = self.session.shared.faults.disorder() {
            gather.scatter(bend, &mut Chance::new(seed ^ u64::from(itt)));
        }
        let next_ttt = &mut self.core.next_ttt;
        let asks = gather.ask(bend, || super::answer::take_ttt(next_ttt));
        for ask in asks {
            let mut r2t = R2t::new(itt, ask.ttt, ask.offset, ask.length);
            r2t.lun = lun;
            r2t.r2t_sn = ask.r2t_sn.into();
            self.send(cid, r2t, &[], false);
        }
    }

    /// A fault holds the R2Ts back for a while.
    fn ask_later(&self, itt: u32, delay: Duration) {
        let session = Arc::clone(self.session);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let mut core = session.lock();
            session.turn(&mut core).proceed(itt);
        });
    }

    /// All data of a task is here, or none will come: carries it out, or tells what went wrong.
    fn finish(&mut self, itt: u32) {
        let Some(mut task) = self.core.tasks.remove(&itt) else {
            return;
        };
        task.command.note_r2ts(&task.phase);
        let reserved = task.reserved;
        let (Phase::Gathering(gather), Some(cid)) = (task.phase, task.home.cid()) else {
            return;
        };
        match gather.fault() {
            Some(fault) => {
                let (asc, ascq) = fault.asc();
                let answer = Answer::check_condition(ABORTED_COMMAND, asc, ascq);
                self.recycle(gather.into_buffer());
                self.refuse(cid, &task.command, &answer);
            }
            None => self.carry_out(cid, task.command, DataOut::Gathered(gather)),
        }
        self.unreserve(reserved);
    }

    /// Takes a task out of the table without an answer.
    pub(crate) fn forget(&mut self, itt: u32) {
        if let Some(task) = self.core.tasks.remove(&itt) {
            self.unreserve(task.reserved);
            self.session.settled.notify_waiters();
        }
    }

    /// Gives set-aside memory back.
    fn unreserve(&mut self, reserved: usize) {
        self.core.reserved = self.core.reserved.saturating_sub(reserved);
        self.resume_waiting();
    }

    /// Lets tasks that wait for memory go on, as far as there is some.
    pub(crate) fn resume_waiting(&mut self) {
        // A task that still finds no room waits at the end of the queue again.
        for _ in 0..self.core.waiting.len() {
            if self.core.reserved >= RESERVED_LIMIT {
                break;
            }
            if let Some(next) = self.core.waiting.pop_front() {
                self.proceed(next);
            }
        }
    }

    /// Carries a command out: here, or by a worker if its disk may block.
    fn carry_out(&mut self, cid: u16, command: Command, data: DataOut<'_>) {
        let Some(device) = self.session.device() else {
            return;
        };
        if self.session.shared.faults.armed() && self.is_intercepted(cid, &command) {
            return;
        }
        if let Some(far) = self.session.far.clone() {
            return self.forward(&far, cid, command, data);
        }
        let unit = device.unit(command.lun());
        if unit.is_some_and(|unit| unit.backend().may_block()) {
            return self.send_to_worker(cid, command, data);
        }
        let mut data_in = self.core.link(cid).map(|link| link.out.take_payload());
        let data_in = data_in.get_or_insert_default();
        let bytes = match &data {
            DataOut::Immediate(bytes) => bytes,
            DataOut::Gathered(gather) => gather.data(),
        };
        let result = self.session.execute(device, &command, bytes, data_in);
        if let DataOut::Gathered(gather) = data {
            self.recycle(gather.into_buffer());
        }
        self.respond(Home::On(cid), &command, &result, std::mem::take(data_in));
    }

    /// Whether a fault switch answers the command, or swallows it.
    fn is_intercepted(&mut self, cid: u16, command: &Command) -> bool {
        let faults = &self.session.shared.faults;
        let Some(number) = command.lun().number() else {
            return false;
        };
        if let Some(answer) = faults.take_answer(number) {
            self.refuse(cid, command, &answer);
            return true;
        }
        let swallowed = faults.is_black_hole(number);
        if swallowed {
            self.keep(cid, command.clone(), Phase::Swallowed);
        }
        swallowed
    }

    /// Puts a command in the table that has no data to gather any more.
    pub(super) fn keep(&mut self, cid: u16, command: Command, phase: Phase) {
        let itt = command.itt();
        let (held, doomed, delayed) = (false, false, false);
        let task = Task {
            home: Home::On(cid),
            command,
            phase,
            held,
            doomed,
            delayed,
            reserved: 0,
            seen: None,
        };
        self.core.tasks.insert(itt, task);
    }

    /// Has a worker carry a command out. The window bounds how many there are.
    fn send_to_worker(&mut self, cid: u16, command: Command, data: DataOut<'_>) {
        let ticket = self.core.next_ticket;
        self.core.next_ticket += 1;
        self.core.executing.insert(ticket, command.lun());
        self.keep(cid, command.clone(), Phase::Executing(ticket));
        let data = data.into_vec();
        let session = Arc::clone(self.session);
        tokio::task::spawn_blocking(move || session.work(ticket, &command, &data));
    }

    /// Answers a command with a status and sense data, without having carried it out.
    pub(crate) fn refuse(&mut self, cid: u16, command: &Command, answer: &Answer) {
        let outcome = Outcome {
            status: answer.status,
            sense: answer.sense.clone(),
            residual: Residual::new(command.expected(), 0),
            bidi: command
                .is_bidirectional()
                .then(|| Residual::new(command.expected_in(), 0)),
        };
        self.answer_command(Home::On(cid), command, outcome, Vec::new(), 0);
    }

    /// Answers a command that was carried out.
    fn respond(
        &mut self,
        home: Home,
        command: &Command,
        result: &CommandResult,
        mut data_in: Vec<u8>,
    ) {
        let (residual, bidi) = residuals(command, result, data_in.len());
        let outcome = Outcome {
            status: result.status.to_byte(),
            sense: result.sense_data(),
            residual,
            bidi,
        };
        let length = data_in.len().min(command.expected_in() as usize);
        if length == 0 {
            self.give_back(home, std::mem::take(&mut data_in));
        }
        self.answer_command(home, command, outcome, data_in, length);
    }

    pub(crate) fn give_back(&mut self, home: Home, data_in: Vec<u8>) {
        if let Some(link) = home.cid().and_then(|cid| self.core.link(cid)) {
            link.out.give_payload(data_in);
        }
    }

    fn recycle(&mut self, buffer: Vec<u8>) {
        let fits = (1..=SPARE_BUFFER_LIMIT).contains(&buffer.capacity());
        if fits && self.core.buffers.len() < SPARE_BUFFERS {
            self.core.buffers.push(buffer);
        }
    }
}

/// Looks every now and then whether data of tasks has come, as long as some is to come.
async fn watch_data(session: Weak<Session>, timeout: Duration) {
    loop {
        tokio::time::sleep(timeout).await;
        let Some(session) = session.upgrade() else {
            return;
        };
        let mut core = session.lock();
        if !session.turn(&mut core).look_for_data() {
            return;
        }
    }
}

/// The sense key of what goes wrong on the way (RFC 7143 §11.4.7.2).
const ABORTED_COMMAND: u8 = 0x0b;

impl Session {
    /// Carries a command out on the thread of a worker, and answers it where it is at home by then,
    /// unless it was aborted.
    fn work(self: &Arc<Self>, ticket: u64, command: &Command, data: &[u8]) {
        let mut data_in = Vec::new();
        let result = self
            .device()
            .map(|device| self.execute(device, command, data, &mut data_in));
        let mut core = self.lock();
        core.executing.remove(&ticket);
        let itt = command.itt();
        let alive = core
            .tasks
            .get(&itt)
            .is_some_and(|task| matches!(task.phase, Phase::Executing(own) if own == ticket));
        if let Some(result) = result.filter(|_| alive)
            && let Some(task) = core.tasks.remove(&itt)
        {
            let mut turn = self.turn(&mut core);
            turn.respond(task.home, &task.command, &result, data_in);
        }
        drop(core);
        self.settled.notify_waiters();
    }
}

/// What a command moved less or more than expected; in a bidirectional one, of what it wrote and of
/// what it read.
fn residuals(
    command: &Command,
    result: &CommandResult,
    data_in: usize,
) -> (Residual, Option<Residual>) {
    let moved = result.transfer_length.unwrap_or_default();
    if !command.is_bidirectional() {
        return (Residual::new(command.expected(), moved), None);
    }
    // ECHO moves data both ways; a command of one direction moves none in the other.
    let echoes = command.header.cdb.first() == Some(&ECHO);
    let (written, read) = match data_in {
        _ if echoes => (moved, data_in as u64),
        0 => (moved, 0),
        _ => (0, moved),
    };
    (
        Residual::new(command.expected(), written),
        Some(Residual::new(command.expected_in(), read)),
    )
}

impl Session {
    fn execute(
        &self,
        device: &Device,
        command: &Command,
        data: &[u8],
        data_in: &mut Vec<u8>,
    ) -> CommandResult {
        let mut long = Vec::new();
        let cdb = command.cdb(&mut long);
        let opcode = cdb.first().copied();
        let unit = device.unit(command.lun());
        match unit {
            Some(_) if opcode == Some(ECHO) && self.shared.faults.echoes() => {
                echo(cdb, command.header.is_write(), data, data_in)
            }
            Some(unit) if opcode != Some(opcode::REPORT_LUNS) => {
                unit.execute(&self.nexus, cdb, data, data_in)
            }
            _ => device.execute(&self.nexus, command.lun(), cdb, data, data_in),
        }
    }
}
