//! One I_T nexus of the model target, with its tasks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hawser_proto::digest::wire_digest;

use crate::disk::{BLOCK, block_of, version_of};
use crate::target::{ByCmdSn, Effect, Ended, Function, Intake, Shared, Speech, Step, Timer};

const NIL: u32 = 0xffff_ffff;
const BUSY: u8 = 0x08;

#[derive(Debug)]
struct R2t {
    ttt: u32,
    offset: usize,
    end: usize,
    got: usize,
    data_sn: u32,
}

#[derive(Debug, PartialEq)]
enum Stage {
    /// Its number is not due yet.
    Held,
    /// A write that waits for data.
    Gathering,
    /// The next step is to be carried out.
    Due,
    /// A read that sends this from that offset on.
    Sending { data: Vec<u8>, at: usize },
    /// A write that is on the disk.
    Applied,
    /// Never to be answered.
    Hung,
}

#[derive(Debug)]
struct Task {
    uid: u64,
    lun: u8,
    cmd_sn: u32,
    first: usize,
    count: usize,
    write: bool,
    stage: Stage,
    data: Vec<u8>,
    got: usize,
    /// Unsolicited data that is still to come ends here.
    unsolicited_end: Option<usize>,
    unsolicited_sn: u32,
    asked: usize,
    r2ts: Vec<R2t>,
    next_sn: u32,
}

#[derive(Debug)]
enum Numbered {
    Command(u32),
    Filled,
}

#[derive(Debug)]
pub(crate) struct Nexus {
    id: u64,
    pub(crate) group: u16,
    pub(crate) connection: Option<u64>,
    pub(crate) dies_at: Option<Instant>,
    pub(crate) announced: Option<Duration>,
    pub(crate) logged_out: bool,
    intake: Option<Intake>,
    exp_cmd_sn: u32,
    max_cmd_sn: u32,
    /// CmdSN of the next new request.
    next_cmd_sn: u32,
    /// Numbers that were rejected and not counted.
    rejected: Vec<u32>,
    /// Numbers that were rejected and counted: what fills them in is dropped without a word.
    counted: Vec<u32>,
    waiting: ByCmdSn<Numbered>,
    stat_sn: u32,
    acked: u32,
    tasks: BTreeMap<u32, Task>,
    ended: Ended,
    pings: Vec<(u32, u8)>,
    next_ttt: u32,
}

fn get32(header: &[u8; 48], at: usize) -> u32 {
    u32::from_be_bytes(header[at..at + 4].try_into().unwrap())
}

fn put32(header: &mut [u8; 48], at: usize, value: u32) {
    header[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

impl Nexus {
    pub(crate) fn new(shared: &mut Shared, id: u64, group: u16, connection: u64) -> Self {
        let cmd_sn = shared.rng.pick(&[1, 0x7fff_fff0, 0xffff_fff8]);
        let stat_sn = shared.rng.pick(&[0, 1, 0x7fff_fff0, 0xffff_fffd]);
        Self {
            id,
            group,
            connection: Some(connection),
            dies_at: None,
            announced: None,
            logged_out: false,
            intake: Some(Intake::new(&shared.parameters)),
            exp_cmd_sn: cmd_sn,
            max_cmd_sn: cmd_sn.wrapping_add(shared.grant).wrapping_sub(1),
            next_cmd_sn: cmd_sn,
            rejected: Vec::new(),
            counted: Vec::new(),
            waiting: ByCmdSn::new(),
            stat_sn,
            acked: stat_sn,
            tasks: BTreeMap::new(),
            ended: Ended::new(),
            pings: Vec::new(),
            next_ttt: 0,
        }
    }

    /// CmdSN, MaxCmdSN, StatSN after the login.
    pub(crate) fn numbers(&self) -> (u32, u32, u32) {
        (self.exp_cmd_sn, self.max_cmd_sn, self.stat_sn)
    }

    /// It is lost, and will still write.
    pub(crate) fn haunts(&self) -> bool {
        let writes = |task: &Task| task.write && task.stage == Stage::Due;
        self.connection.is_none() && self.tasks.values().any(writes)
    }

    pub(crate) fn receive(&mut self, shared: &mut Shared, mut bytes: &[u8]) {
        let mut intake = self.intake.take().expect("an intake");
        while let Some((header, data)) = intake.next(&mut bytes) {
            if shared.trace {
                println!("      -> {} {header:02x?} + {}", self.id, data.len());
            }
            self.request(shared, &header, &data);
            if self.logged_out || self.connection.is_none() {
                break;
            }
        }
        self.intake = Some(intake);
    }

    fn request(&mut self, shared: &mut Shared, header: &[u8; 48], data: &[u8]) {
        let opcode = header[0] & 0x3f;
        let exp_stat_sn = get32(header, 28);
        assert!(
            exp_stat_sn.wrapping_sub(self.acked) < 1 << 31,
            "ExpStatSN went back"
        );
        assert!(
            self.stat_sn.wrapping_sub(exp_stat_sn) < 1 << 31,
            "ExpStatSN from the future"
        );
        self.acked = exp_stat_sn;
        let itt = get32(header, 16);
        if opcode != 0x05 && self.refuses(shared, header) {
            return;
        }
        match opcode {
            0x00 => self.nop_out(shared, header),
            0x01 => self.command(shared, header, data),
            0x02 => self.management(shared, header),
            0x04 => {
                let mut answer = self.answer(0x24, 0x80, itt);
                put32(&mut answer, 20, NIL);
                self.send(shared, answer, &[], true);
            }
            0x05 => self.data_out(shared, header, data),
            0x06 => self.logout(shared, header, itt),
            other => panic!("opcode {other:#x}"),
        }
        self.advance(shared);
    }

    /// Checks the number of a request; true when it was rejected.
    fn refuses(&mut self, shared: &mut Shared, header: &[u8; 48]) -> bool {
        let (opcode, cmd_sn) = (header[0] & 0x3f, get32(header, 24));
        if header[0] & 0x40 != 0 {
            assert_eq!(cmd_sn, self.next_cmd_sn, "CmdSN of an immediate request");
            let troubled = opcode == 0x02 || opcode == 0x00 && get32(header, 16) != NIL;
            let chance = shared.faults.reject * 4;
            if troubled && shared.rng.chance(chance) {
                self.reject(shared, 0x06, header);
                return true;
            }
            return false;
        }
        let room = self.max_cmd_sn.wrapping_sub(cmd_sn);
        assert!(
            room < 1 << 31,
            "CmdSN {cmd_sn} is beyond MaxCmdSN {}",
            self.max_cmd_sn
        );
        if let Some(at) = self.rejected.iter().position(|&sn| sn == cmd_sn) {
            assert_eq!(opcode, 0x00, "what fills in a number is a NOP-Out");
            self.rejected.swap_remove(at);
            self.waiting.insert(cmd_sn, Numbered::Filled);
            return false;
        }
        if opcode == 0x00 && self.counted.contains(&cmd_sn) {
            return true;
        }
        assert_eq!(cmd_sn, self.next_cmd_sn, "CmdSN out of order");
        self.next_cmd_sn = cmd_sn.wrapping_add(1);
        let chance = shared.faults.reject;
        if opcode == 0x01 && shared.rng.chance(chance) {
            if shared.rng.chance(500) {
                self.waiting.insert(cmd_sn, Numbered::Filled);
                self.counted.push(cmd_sn);
                self.advance(shared);
            } else {
                self.rejected.push(cmd_sn);
            }
            self.ended.insert(get32(header, 16));
            let reason = shared.rng.pick(&[0x02, 0x04, 0x05, 0x09]);
            self.reject(shared, reason, header);
            return true;
        }
        let itt = get32(header, 16);
        self.waiting.insert(cmd_sn, Numbered::Command(itt));
        false
    }

    fn reject(&mut self, shared: &mut Shared, reason: u8, victim: &[u8; 48]) {
        let mut answer = self.answer(0x3f, 0x80, NIL);
        answer[2] = reason;
        self.send(shared, answer, victim, true);
    }

    /// Delivers what is due by its number.
    fn advance(&mut self, shared: &mut Shared) {
        while let Some(due) = self.waiting.remove(&self.exp_cmd_sn) {
            self.exp_cmd_sn = self.exp_cmd_sn.wrapping_add(1);
            if let Numbered::Command(itt) = due {
                self.deliver(shared, itt);
            }
        }
    }

    fn deliver(&mut self, shared: &mut Shared, itt: u32) {
        let Some(task) = self.tasks.get_mut(&itt) else {
            return;
        };
        let faults = &shared.faults;
        if shared.rng.chance(faults.hang) {
            task.stage = Stage::Hung;
        } else if shared.rng.chance(shared.faults.busy) {
            self.finish(shared, itt, BUSY);
        } else if task.write {
            task.stage = Stage::Gathering;
            self.gather(shared, itt);
        } else {
            task.stage = Stage::Due;
            let uid = task.uid;
            self.later(shared, uid);
        }
    }

    fn later(&self, shared: &mut Shared, uid: u64) {
        let slow = shared.faults.slow;
        let after = if shared.rng.chance(slow) {
            shared.rng.millis(100, 4000)
        } else {
            shared.rng.millis(0, 8)
        };
        let step = Step::Task(uid);
        let nexus = self.id;
        let timer = Timer { nexus, step };
        shared.effects.push(Effect::Timer { after, timer });
    }

    fn command(&mut self, shared: &mut Shared, header: &[u8; 48], data: &[u8]) {
        let itt = get32(header, 16);
        let (read, write) = (header[1] & 0x40 != 0, header[1] & 0x20 != 0);
        assert!(read != write);
        assert!(
            !write || !shared.haunted,
            "a write while those of a lost nexus live on"
        );
        let count = usize::from(header[40]);
        let edtl = get32(header, 20) as usize;
        assert_eq!(edtl, count * BLOCK);
        let parameters = &shared.parameters;
        let first_burst = edtl.min(parameters.first_burst as usize);
        let is_final = header[1] & 0x80 != 0;
        assert!(is_final || write && !parameters.initial_r2t);
        assert!(
            data.len()
                <= if parameters.immediate_data {
                    first_burst
                } else {
                    0
                }
        );
        let mut buffer = vec![0; if write { edtl } else { 0 }];
        buffer[..data.len()].copy_from_slice(data);
        shared.next_uid += 1;
        let task = Task {
            uid: shared.next_uid,
            lun: header[9],
            cmd_sn: get32(header, 24),
            first: usize::from(header[37]),
            count,
            write,
            stage: Stage::Held,
            data: buffer,
            got: data.len(),
            unsolicited_end: (!is_final).then_some(first_burst),
            unsolicited_sn: 0,
            asked: 0,
            r2ts: Vec::new(),
            next_sn: 0,
        };
        assert!(!self.ended.contains(&itt), "tag {itt:#x} again");
        assert!(self.tasks.insert(itt, task).is_none(), "tag {itt:#x} twice");
    }

    fn data_out(&mut self, shared: &mut Shared, header: &[u8; 48], data: &[u8]) {
        let itt = get32(header, 16);
        let Some(task) = self.tasks.get_mut(&itt) else {
            assert!(self.ended.contains(&itt), "data for a stranger");
            return;
        };
        let (ttt, data_sn) = (get32(header, 20), get32(header, 36));
        let (offset, is_final) = (get32(header, 40) as usize, header[1] & 0x80 != 0);
        assert!(!data.is_empty());
        let end = offset + data.len();
        if ttt == NIL {
            assert_eq!((offset, data_sn), (task.got, task.unsolicited_sn));
            let due = task.unsolicited_end.expect("no unsolicited data is due");
            assert_eq!(is_final, end == due);
            assert!(end <= due);
            task.unsolicited_sn += 1;
            if is_final {
                task.unsolicited_end = None;
            }
        } else {
            let at = task.r2ts.iter().position(|r2t| r2t.ttt == ttt);
            let at = at.expect("no such R2T");
            assert_eq!(at, 0, "R2Ts are answered in order");
            let r2t = &mut task.r2ts[at];
            assert_eq!((offset, data_sn), (r2t.offset + r2t.got, r2t.data_sn));
            assert_eq!(header[9], task.lun, "the LUN is copied");
            r2t.got += data.len();
            r2t.data_sn += 1;
            assert_eq!(is_final, end == r2t.end);
            if is_final {
                task.r2ts.remove(at);
            }
        }
        task.data[offset..end].copy_from_slice(data);
        task.got += data.len();
        if task.stage == Stage::Gathering {
            self.gather(shared, itt);
        }
    }

    /// Asks for what is missing, or goes on when nothing is.
    fn gather(&mut self, shared: &mut Shared, itt: u32) {
        let Some(task) = self.tasks.get_mut(&itt) else {
            return;
        };
        if task.unsolicited_end.is_some() {
            return;
        }
        task.asked = task.asked.max(task.got);
        let mut asks = Vec::new();
        let most = usize::from(shared.parameters.max_outstanding_r2t);
        while task.asked < task.data.len() && task.r2ts.len() < most {
            let longest = (task.data.len() - task.asked).min(shared.parameters.max_burst as usize);
            let length = shared.rng.range(1.max(longest as u64 / 4), longest as u64) as usize;
            let (offset, end) = (task.asked, task.asked + length);
            self.next_ttt = self.next_ttt.wrapping_add(1);
            asks.push((self.next_ttt, task.next_sn, offset, length));
            task.r2ts.push(R2t {
                ttt: self.next_ttt,
                offset,
                end,
                got: 0,
                data_sn: 0,
            });
            task.asked = end;
            task.next_sn += 1;
        }
        if task.got == task.data.len() {
            task.stage = Stage::Due;
            let uid = task.uid;
            self.later(shared, uid);
            return;
        }
        let lun = task.lun;
        for (ttt, sn, offset, length) in asks {
            let mut r2t = self.answer(0x31, 0x80, itt);
            r2t[9] = lun;
            put32(&mut r2t, 20, ttt);
            put32(&mut r2t, 36, sn);
            put32(&mut r2t, 40, offset as u32);
            put32(&mut r2t, 44, length as u32);
            self.send(shared, r2t, &[], false);
        }
    }

    pub(crate) fn timer(&mut self, shared: &mut Shared, step: Step) {
        match step {
            Step::Task(uid) => {
                let found = self.tasks.iter().find(|(_, task)| task.uid == uid);
                if let Some((&itt, _)) = found {
                    self.step(shared, itt);
                }
            }
            Step::Manage(function) => self.manage(shared, function),
        }
    }

    /// The next step of a task. A lost nexus still writes, but reads for nobody.
    fn step(&mut self, shared: &mut Shared, itt: u32) {
        let Some(task) = self.tasks.get_mut(&itt) else {
            return;
        };
        let blocks = task.first..task.first + task.count;
        match &mut task.stage {
            // A lost nexus takes its time.
            Stage::Due if task.write && self.connection.is_none() && shared.rng.chance(700) => {
                let after = shared.rng.millis(50, 2000);
                let step = Step::Task(task.uid);
                let nexus = self.id;
                let timer = Timer { nexus, step };
                shared.effects.push(Effect::Timer { after, timer });
            }
            Stage::Due if task.write => {
                for (n, block) in blocks.zip(task.data.chunks(BLOCK)) {
                    shared.disk[n] = version_of(block);
                }
                if shared.trace {
                    println!("      disk: nexus {} applies {itt:#x}", self.id);
                }
                task.stage = Stage::Applied;
                let uid = task.uid;
                self.later(shared, uid);
            }
            Stage::Due => {
                let data = blocks.flat_map(|n| block_of(shared.disk[n])).collect();
                task.stage = Stage::Sending { data, at: 0 };
                self.send_data(shared, itt);
            }
            Stage::Sending { .. } => self.send_data(shared, itt),
            Stage::Applied => self.finish(shared, itt, 0),
            Stage::Held | Stage::Gathering | Stage::Hung => {}
        }
    }

    /// One Data-In, the last one with or without the status.
    fn send_data(&mut self, shared: &mut Shared, itt: u32) {
        let Some(Task {
            stage: Stage::Sending { data, at },
            next_sn,
            uid,
            ..
        }) = self.tasks.get_mut(&itt)
        else {
            return;
        };
        let uid = *uid;
        let longest = (data.len() - *at).min(shared.parameters.max_recv_data_segment as usize);
        let length = shared.rng.range(longest as u64 / 3, longest as u64) as usize;
        let segment = data[*at..*at + length].to_vec();
        let (offset, sn) = (*at as u32, *next_sn);
        *at += length;
        *next_sn += 1;
        let last = *at == data.len();
        let with_status = last && shared.rng.chance(500);
        let flags = if with_status { 0x81 } else { 0 };
        let mut pdu = self.answer(0x25, flags, itt);
        put32(&mut pdu, 20, NIL);
        put32(&mut pdu, 36, sn);
        put32(&mut pdu, 40, offset);
        self.send(shared, pdu, &segment, with_status);
        if with_status {
            self.tasks.remove(&itt);
            self.ended.insert(itt);
        } else if last {
            self.finish(shared, itt, 0);
        } else {
            self.later(shared, uid);
        }
    }

    fn finish(&mut self, shared: &mut Shared, itt: u32, status: u8) {
        let Some(task) = self.tasks.remove(&itt) else {
            return;
        };
        self.ended.insert(itt);
        let mut pdu = self.answer(0x21, 0x80, itt);
        pdu[3] = status;
        if !task.write {
            put32(&mut pdu, 36, task.next_sn);
        }
        self.send(shared, pdu, &[], true);
    }

    fn nop_out(&mut self, shared: &mut Shared, header: &[u8; 48]) {
        let (itt, ttt) = (get32(header, 16), get32(header, 20));
        if itt == NIL {
            let at = self.pings.iter().position(|ping| *ping == (ttt, header[9]));
            self.pings
                .swap_remove(at.expect("an answer to a ping of ours"));
            return;
        }
        self.advance(shared);
        let mut echo = self.answer(0x20, 0x80, itt);
        put32(&mut echo, 20, NIL);
        self.send(shared, echo, &[], true);
    }

    fn management(&mut self, shared: &mut Shared, header: &[u8; 48]) {
        let function = Function {
            itt: get32(header, 16),
            code: header[1] & 0x7f,
            referenced: get32(header, 20),
            cmd_sn: get32(header, 24),
            lun: header[9],
        };
        let chance = shared.faults.refuse_management;
        if shared.rng.chance(chance) {
            if shared.rng.chance(500) {
                let code = shared.rng.pick(&[2, 5, 6, 255]);
                self.managed(shared, function.itt, code);
            }
            return;
        }
        let after = shared.rng.millis(0, 50);
        let timer = Timer {
            nexus: self.id,
            step: Step::Manage(function),
        };
        shared.effects.push(Effect::Timer { after, timer });
    }

    fn manage(&mut self, shared: &mut Shared, function: Function) {
        let mut code = 0;
        match function.code {
            1 => match self.tasks.remove(&function.referenced) {
                Some(task) => {
                    assert_eq!(task.lun, function.lun, "the LUN of an aborted task");
                    self.ended.insert(function.referenced);
                }
                None => code = 1,
            },
            5 => {
                // Its place is marked by its CmdSN: what came behind it is not affected.
                let hit = |task: &Task| {
                    task.lun == function.lun
                        && function.cmd_sn.wrapping_sub(task.cmd_sn) < 1 << 31
                        && task.cmd_sn != function.cmd_sn
                };
                let dead: Vec<u32> = self
                    .tasks
                    .iter()
                    .filter(|(_, task)| hit(task))
                    .map(|(&itt, _)| itt)
                    .collect();
                for itt in dead {
                    self.tasks.remove(&itt);
                    self.ended.insert(itt);
                }
            }
            other => panic!("function {other}"),
        }
        self.managed(shared, function.itt, code);
    }

    fn managed(&mut self, shared: &mut Shared, itt: u32, code: u8) {
        let mut answer = self.answer(0x22, 0x80, itt);
        answer[2] = code;
        self.send(shared, answer, &[], true);
    }

    fn logout(&mut self, shared: &mut Shared, header: &[u8; 48], itt: u32) {
        assert!(matches!(header[1] & 0x7f, 0 | 1));
        let mut answer = self.answer(0x26, 0x80, itt);
        answer[41] = shared.rng.range(0, 2) as u8;
        self.send(shared, answer, &[], true);
        self.logged_out = true;
        let connection = self.connection.expect("a connection");
        shared.effects.push(Effect::Close { connection });
    }

    pub(crate) fn speak(&mut self, shared: &mut Shared, what: Speech) {
        match what {
            Speech::Ping => {
                self.next_ttt = self.next_ttt.wrapping_add(1);
                let lun = shared.rng.range(0, 1) as u8;
                self.pings.push((self.next_ttt, lun));
                let mut ping = self.answer(0x20, 0x80, NIL);
                ping[9] = lun;
                put32(&mut ping, 20, self.next_ttt);
                self.send(shared, ping, &[], false);
            }
            Speech::Numbers => {
                let mut nop = self.answer(0x20, 0x80, NIL);
                put32(&mut nop, 20, NIL);
                self.send(shared, nop, &[], false);
            }
            Speech::Async { event, parameters } => {
                let mut pdu = self.answer(0x32, 0x80, NIL);
                pdu[36] = event;
                for (at, value) in [38, 40, 42].into_iter().zip(parameters) {
                    pdu[at..at + 2].copy_from_slice(&value.to_be_bytes());
                }
                self.send(shared, pdu, &[0, 2, 0x70, 0], true);
                if matches!(event, 2 | 3) {
                    let [_, wait, retain] = parameters.map(u64::from);
                    self.announced = Some(Duration::from_secs(wait + retain));
                    let connection = self.connection.expect("a connection");
                    shared.effects.push(Effect::Close { connection });
                }
            }
        }
    }

    fn answer(&self, opcode: u8, flags: u8, itt: u32) -> [u8; 48] {
        let mut header = [0; 48];
        header[0] = opcode;
        header[1] = flags;
        put32(&mut header, 16, itt);
        header
    }

    fn send(&mut self, shared: &mut Shared, mut header: [u8; 48], data: &[u8], consumes: bool) {
        let Some(connection) = self.connection else {
            return;
        };
        let granted = self.exp_cmd_sn.wrapping_add(shared.grant).wrapping_sub(1);
        if granted.wrapping_sub(self.max_cmd_sn) < 1 << 31 {
            self.max_cmd_sn = granted;
        }
        header[5..8].copy_from_slice(&(data.len() as u32).to_be_bytes()[1..]);
        put32(&mut header, 24, self.stat_sn);
        put32(&mut header, 28, self.exp_cmd_sn);
        put32(&mut header, 32, self.max_cmd_sn);
        self.stat_sn = self.stat_sn.wrapping_add(u32::from(consumes));
        if shared.trace {
            println!("      <- {} {header:02x?} + {}", self.id, data.len());
        }
        let mut bytes = header.to_vec();
        if shared.parameters.header_digest {
            bytes.extend(wire_digest(&header));
        }
        if !data.is_empty() {
            let begin = bytes.len();
            bytes.extend_from_slice(data);
            while !(bytes.len() - begin).is_multiple_of(4) {
                bytes.push(0);
            }
            if shared.parameters.data_digest {
                let digest = wire_digest(&bytes[begin..]);
                bytes.extend(digest);
            }
        }
        shared.effects.push(Effect::Send { connection, bytes });
    }
}
