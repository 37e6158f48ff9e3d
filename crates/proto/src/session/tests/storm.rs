//! Random faults against a small target that keeps to the levels: whatever is lost, each command ends once,
//! none that must not be repeated is carried out twice, and in the end all is quiet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::bench::*;
use super::many::*;
use super::wire::*;
use crate::session::{Direction, LoginRole, Outcome, Policy};

/// A generator good enough to mix things up (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// A command at the target.
struct AtTarget {
    cid: u16,
    cmd_sn: u32,
    token: u64,
    /// Its connection is gone and it waits to be reassigned.
    suspended: bool,
    /// Its status was sent with this number, and may have been lost.
    answered: Option<u32>,
}

struct Storm {
    many: Many,
    dice: Dice,
    level: u8,
    /// By initiator task tag.
    tasks: BTreeMap<u32, AtTarget>,
    /// How often each token was carried out.
    done: HashMap<u64, u32>,
    /// Connections that broke and were not logged out of.
    broken: BTreeSet<u16>,
    /// Statuses that were lost on their way, by connection.
    lost: BTreeMap<(u16, u32), Pdu>,
    ended: BTreeMap<u64, Outcome>,
    submitted: u64,
    calm: bool,
}

impl Storm {
    fn new(seed: u64, level: u8, connections: u16) -> Self {
        let mut many = Many::new(with_connections(connections), level);
        many.check_stat_sn = false;
        let policies = [
            Policy::RoundRobin,
            Policy::LeastQueueDepth,
            Policy::FailOver,
        ];
        many.set_policy(policies[(seed % 3) as usize].clone());
        Self {
            many,
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            level,
            tasks: BTreeMap::new(),
            done: HashMap::new(),
            broken: BTreeSet::new(),
            lost: BTreeMap::new(),
            ended: BTreeMap::new(),
            submitted: 0,
            calm: false,
        }
    }

    fn chance(&mut self, percent: u64) -> bool {
        !self.calm && self.dice.roll(100) < percent
    }

    fn submit(&mut self) {
        if !self.many.session.has_room() || self.submitted >= 400 {
            return;
        }
        self.submitted += 1;
        let mut submitted = if self.submitted.is_multiple_of(3) {
            once(Direction::None)
        } else {
            command(Direction::None)
        };
        // The target sees who it is.
        submitted.cdb[..8].copy_from_slice(&self.submitted.to_be_bytes());
        submitted.timeout = 600 * SECOND;
        self.many.submit(submitted);
    }

    fn cut(&mut self) {
        let cids: Vec<u16> = self.many.wires.keys().copied().collect();
        if cids.is_empty() {
            return;
        }
        let cid = cids[self.dice.roll(cids.len() as u64) as usize];
        self.hear();
        if !self.many.wires.contains_key(&cid) {
            return;
        }
        if self.chance(50) {
            // The last things it wrote do not arrive.
            self.many.wire(cid).deaf = true;
            self.submit();
            self.submit();
        }
        self.broken.insert(cid);
        self.lost.retain(|(on, _), _| *on != cid);
        self.many.cut(cid);
        if !self.many.session.is_up() && self.level < 2 {
            self.forget_all();
        }
        self.sync();
    }

    /// The session is made anew: its tasks are dead.
    fn forget_all(&mut self) {
        self.tasks.clear();
        self.broken.clear();
        self.lost.clear();
    }

    /// The target's view of connections that the initiator has closed.
    fn sync(&mut self) {
        let wires: Vec<u16> = self.many.wires.keys().copied().collect();
        self.lost.retain(|(cid, _), _| wires.contains(cid));
    }

    /// Takes all that has arrived.
    fn hear(&mut self) {
        let cids: Vec<u16> = self.many.wires.keys().copied().collect();
        for cid in cids {
            while let Some(pdu) = self
                .many
                .wires
                .get_mut(&cid)
                .and_then(|w| w.sent.pop_front())
            {
                self.take(cid, &pdu);
            }
        }
    }

    fn take(&mut self, cid: u16, pdu: &Pdu) {
        match pdu.opcode() {
            COMMAND => {
                let token = u64::from_be_bytes(pdu.header[32..40].try_into().unwrap());
                let task = AtTarget {
                    cid,
                    cmd_sn: pdu.cmd_sn(),
                    token,
                    suspended: false,
                    answered: None,
                };
                assert!(
                    self.tasks.insert(pdu.get_itt(), task).is_none(),
                    "a tag twice"
                );
            }
            TMF => self.manage(cid, pdu),
            LOGOUT => self.log_out(cid, pdu),
            SNACK => self.send_again(cid, pdu),
            NOP_OUT if pdu.get_itt() != NONE => self.many.say(cid, echo(pdu.get_itt())),
            _ => {}
        }
    }

    fn manage(&mut self, cid: u16, pdu: &Pdu) {
        let meant = pdu.word20();
        let code = match (pdu.header[1] & 0x7f, self.tasks.get_mut(&meant)) {
            (8, Some(task)) if task.suspended => {
                (task.cid, task.suspended, task.answered) = (cid, false, None);
                0
            }
            (8, Some(_)) => panic!("reassigned while allegiant"),
            (1, Some(_)) => {
                self.tasks.remove(&meant);
                0
            }
            (1 | 8, None) => 1,
            (function, _) => panic!("function {function}"),
        };
        self.many.say(cid, tmf_response(pdu.get_itt(), code));
    }

    fn log_out(&mut self, cid: u16, pdu: &Pdu) {
        let reason = pdu.header[1] & 0x7f;
        let meant = (pdu.word20() >> 16) as u16;
        assert!(reason != 0 && meant != cid && self.broken.remove(&meant));
        self.clean_up(meant, reason == 2);
        self.many.say(cid, logout_response(pdu.get_itt(), 0, 0, 20));
    }

    /// What is not acknowledged is forgotten; the rest dies, or is suspended.
    fn clean_up(&mut self, cid: u16, recovery: bool) {
        let exp_cmd_sn = self.many.exp_cmd_sn;
        self.tasks.retain(|_, task| {
            let taken = exp_cmd_sn.wrapping_sub(task.cmd_sn) < 1 << 31 && task.cmd_sn != exp_cmd_sn;
            let stays = task.cid != cid || task.suspended;
            task.suspended |= !stays;
            stays || (recovery && taken)
        });
        self.many.forget_early(Some(cid));
    }

    /// A Status SNACK.
    fn send_again(&mut self, cid: u16, pdu: &Pdu) {
        assert_eq!(pdu.header[1] & 0x0f, 1);
        let (begin, length) = (pdu.get32(40), pdu.get32(44));
        for number in begin..begin + length {
            let pdu = self.lost.remove(&(cid, number));
            if let Some(pdu) = pdu {
                self.many.say_raw(cid, &pdu, false).unwrap();
            }
        }
    }

    /// Answers a command that is there and was not answered.
    fn answer(&mut self) {
        let exp_cmd_sn = self.many.exp_cmd_sn;
        let ready: Vec<u32> = self
            .tasks
            .iter()
            .filter(|(_, task)| {
                let delivered = exp_cmd_sn.wrapping_sub(task.cmd_sn).wrapping_sub(1) < 1 << 30;
                let connected = self.many.wires.contains_key(&task.cid);
                delivered && connected && !task.suspended && task.answered.is_none()
            })
            .map(|(itt, _)| *itt)
            .collect();
        if ready.is_empty() {
            return;
        }
        let itt = ready[self.dice.roll(ready.len() as u64) as usize];
        let is_lost = self.level > 0 && self.chance(20);
        let Some(task) = self.tasks.get_mut(&itt) else {
            return;
        };
        let (cid, token) = (task.cid, task.token);
        *self.done.entry(token).or_default() += u32::from(task.answered.is_none());
        let pdu = self.many.number(cid, response(itt, 0));
        let number = pdu.get32(24);
        task.answered = Some(number);
        if is_lost {
            self.lost.insert((cid, number), pdu);
        } else {
            self.many.say_raw(cid, &pdu, false).unwrap();
        }
        self.collect();
    }

    /// What has ended is no task any more.
    fn collect(&mut self) {
        for ended in std::mem::take(&mut self.many.ended) {
            let again = self.ended.insert(ended.token, ended.outcome);
            assert!(again.is_none(), "{} ended twice", ended.token);
            let token = ended.token;
            self.tasks.retain(|_, task| task.token != token);
        }
    }

    /// Lets the logins that are wanted succeed, most of the time.
    fn log_in(&mut self) {
        while let Some((cid, role, _)) = self.many.connects.pop_front() {
            let joins = role != LoginRole::Leading;
            if self.chance(20) {
                if joins {
                    self.many.refuse(cid, None);
                } else {
                    self.many.session.handle_login_failed(self.many.now);
                }
                continue;
            }
            match role {
                LoginRole::Leading => {
                    self.forget_all();
                    self.many.forget_early(None);
                }
                LoginRole::Reinstating(_) => {
                    self.broken.remove(&cid);
                    self.clean_up(cid, true);
                }
                LoginRole::Additional(_) => assert!(!self.broken.contains(&cid)),
            }
            self.many.log_in(cid);
            if !joins {
                self.many.session.open_gate(self.many.now);
                self.many.settle();
            }
        }
    }

    fn run(&mut self) {
        for step in 0..3000 {
            self.calm = step >= 2000;
            match self.dice.roll(12) {
                0..=3 => self.submit(),
                4 if self.chance(15) => self.cut(),
                5 => self.many.pass(SECOND / 4),
                6 => self.log_in(),
                _ => self.answer(),
            }
            self.hear();
            self.collect();
        }
        for _ in 0..2000 {
            self.many.pass(SECOND / 4);
            self.log_in();
            self.hear();
            // Nothing stays lost for ever: a told StatSN shows what is missing.
            let cids: Vec<u16> = self.many.wires.keys().copied().collect();
            for cid in cids {
                self.many.say(cid, nop_in(NONE));
            }
            self.hear();
            self.answer();
        }
        self.collect();
        self.check();
    }

    fn check(&mut self) {
        let open: Vec<u64> = (1..=self.submitted)
            .filter(|t| !self.ended.contains_key(t))
            .collect();
        assert!(open.is_empty(), "never ended: {open:?}");
        for (token, outcome) in &self.ended {
            let times = self.done.get(token).copied().unwrap_or(0);
            match outcome {
                Outcome::Completed(_) => assert!(times > 0, "{token}: never done"),
                Outcome::Interrupted => assert_eq!(token % 3, 0, "{token}: may be repeated"),
                other => panic!("{token}: {other:?}"),
            }
        }
    }
}

#[test]
fn each_command_ends_once_whatever_is_lost() {
    let seeds = std::env::var("HAWSER_SEEDS").ok();
    let seeds = seeds.and_then(|seeds| seeds.parse().ok()).unwrap_or(4);
    for seed in 1..=seeds {
        for level in 0..=2 {
            for connections in 1..=3 {
                println!("seed {seed}, level {level}, connections {connections}");
                Storm::new(seed, level, connections).run();
            }
        }
    }
}
