//! Those who want something read or written, and what they check when it is done.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hawser_proto::pdu::{TaskAttribute, TmfFunction};
use hawser_proto::session::{Command, Direction, Done, Hold, Management, Outcome, TaskId};

use crate::disk::{BLOCK, BLOCKS, Oracle, block_of};
use crate::initiator::Initiator;
use crate::net::Net;
use crate::rng::Rng;
use crate::scenario::{Scenario, policy};
use crate::tally::Tally;

/// Tokens of management functions.
const FUNCTIONS: u64 = 1 << 32;

#[derive(Debug)]
struct Request {
    id: TaskId,
    first: usize,
    count: usize,
    /// The version a write brings.
    version: Option<u64>,
    replay: bool,
    /// It asks who the disk is.
    asks: bool,
    submitted: Instant,
}

/// The end of a request that asks who the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Nothing,
    Answered,
    Unanswered,
}

#[derive(Debug)]
pub(crate) struct Callers {
    oracle: Oracle,
    requests: HashMap<u64, Request>,
    functions: Vec<u64>,
    next_token: u64,
    next_version: u64,
    scenario: Scenario,
    /// Commands have been taken back.
    withdraws: bool,
    /// Commands that are still to be submitted.
    left: u64,
    pub(crate) tally: Tally,
}

impl Callers {
    pub(crate) fn new(scenario: Scenario) -> Self {
        Self {
            oracle: Oracle::new(),
            requests: HashMap::new(),
            functions: Vec::new(),
            next_token: 0,
            next_version: 0,
            withdraws: false,
            left: scenario.commands,
            scenario,
            tally: Tally::default(),
        }
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.requests.len() + self.functions.len()
    }

    pub(crate) fn stop(&mut self) {
        self.left = 0;
    }

    /// Submits some requests; false when there will be no more.
    pub(crate) fn call(&mut self, initiator: &mut Initiator, net: &mut Net) -> bool {
        let wanted = net.rng.range(1, 4);
        for _ in 0..wanted {
            let room = self.requests.len() < self.scenario.depth && initiator.session.has_room();
            if self.left > 0 && room {
                self.left -= 1;
                self.submit(initiator, net, false);
            }
        }
        self.left > 0
    }

    /// An urgent read that opens the gate when it is answered.
    pub(crate) fn ask(&mut self, initiator: &mut Initiator, net: &mut Net) {
        self.submit(initiator, net, true);
    }

    fn submit(&mut self, initiator: &mut Initiator, net: &mut Net, asks: bool) {
        let longest = if asks { 2 } else { self.scenario.longest };
        let count = net.rng.range(1, longest as u64) as usize;
        let first = net.rng.index(BLOCKS - count + 1);
        self.next_token += 1;
        let token = self.next_token;
        let version = (!asks && net.rng.chance(600)).then(|| {
            self.next_version += 1;
            self.next_version
        });
        let (direction, data) = match version {
            Some(version) => {
                let data = block_of(version).repeat(count);
                (Direction::Write(data.len() as u32), data)
            }
            None => {
                let data = vec![0xee; count * BLOCK];
                (Direction::Read(data.len() as u32), data)
            }
        };
        let replay = !asks && net.rng.chance(850);
        let mut command = command(&mut net.rng, direction, first, count);
        (command.replay, command.urgent) = (replay, asks);
        match version {
            Some(version) => self.oracle.begin_write(first, count, version),
            None => self.oracle.begin_read(token, first, count),
        }
        let submitted = net.now;
        let id = initiator
            .session
            .submit(submitted, command, token)
            .expect("there was room");
        let before = initiator.buffers.0.insert(id.slot(), (token, data));
        assert!(before.is_none(), "two tasks in a slot");
        net.say(|| format!("++ {token}: version {version:?} at {first}+{count}, replay {replay}"));
        let request = Request {
            id,
            first,
            count,
            version,
            replay,
            asks,
            submitted,
        };
        self.requests.insert(token, request);
    }

    /// A task ended: it was one that is under way, it ended for a reason, and it brought what it may.
    pub(crate) fn done(
        &mut self,
        initiator: &mut Initiator,
        net: &Net,
        outage: Duration,
        done: &Done,
    ) -> Asked {
        self.tally.count_variant("outcome", &done.outcome);
        if done.token >= FUNCTIONS {
            let at = self.functions.iter().position(|&f| f == done.token);
            self.functions
                .swap_remove(at.expect("a function that ends twice"));
            return Asked::Nothing;
        }
        let request = self
            .requests
            .remove(&done.token)
            .expect("a task that ends twice");
        let (token, data) = initiator.buffers.0.remove(&done.slot).expect("its buffer");
        assert_eq!(token, done.token, "another task's buffer");
        let age = net.now - request.submitted;
        judge(
            (self.scenario.hold, self.withdraws),
            age,
            outage,
            &request,
            &done.outcome,
        );
        let good = match &done.outcome {
            Outcome::Completed(answer) if answer.status == 0 => {
                assert_eq!(answer.transferred as usize, request.count * BLOCK);
                true
            }
            _ => false,
        };
        self.tally.count(if good {
            "ended well"
        } else {
            "ended with an error"
        });
        let (first, count) = (request.first, request.count);
        match request.version {
            Some(version) => self.oracle.end_write(first, count, version, good),
            None => self.oracle.end_read(token, good.then_some(&data)),
        }
        match (request.asks, good) {
            (false, _) => Asked::Nothing,
            (true, true) => Asked::Answered,
            (true, false) => Asked::Unanswered,
        }
    }

    /// Aborts a request, or resets a unit.
    pub(crate) fn change_their_mind(&mut self, initiator: &mut Initiator, net: &mut Net) {
        let mut tokens: Vec<_> = self.requests.keys().copied().collect();
        tokens.sort_unstable();
        if tokens.is_empty() {
            return;
        }
        if net.rng.chance(700) {
            let token = net.rng.pick(&tokens);
            net.say(|| format!("++ abort {token}"));
            // A full queue is a refusal like any other.
            let _ = initiator.session.abort(net.now, self.requests[&token].id);
            return;
        }
        self.next_token += 1;
        let token = FUNCTIONS + self.next_token;
        let request = Management {
            function: TmfFunction::LogicalUnitReset,
            lun: lun(net.rng.range(0, 1) as u8),
            task: None,
            token: Some(token),
        };
        net.say(|| format!("++ reset {:?}", request.lun));
        if initiator.session.manage(net.now, request).is_ok() {
            self.functions.push(token);
        }
    }

    /// Adds or removes a connection, changes the policy, or takes back commands for a unit.
    pub(crate) fn rearrange(&mut self, initiator: &mut Initiator, net: &mut Net) {
        let session = &mut initiator.session;
        let what = net.rng.range(0, 3);
        net.say(|| format!("++ rearranges {what}"));
        match what {
            // A refusal is an answer too.
            0 => {
                let _ = session.add_connection(net.now);
            }
            1 => {
                let cids: Vec<u16> = session.cids().collect();
                if !cids.is_empty() {
                    let cid = net.rng.pick(&cids);
                    let _ = session.remove_connection(net.now, cid);
                }
            }
            2 => session.set_policy(policy(&mut net.rng)),
            _ => {
                self.withdraws = true;
                session.withdraw(lun(net.rng.range(0, 1) as u8));
            }
        }
    }

    pub(crate) fn judge_disk(&self, disk: &[u64]) {
        assert!(self.requests.is_empty() && self.functions.is_empty());
        self.oracle.compare(disk);
    }
}

fn lun(number: u8) -> [u8; 8] {
    [0, number, 0, 0, 0, 0, 0, 0]
}

fn command(rng: &mut Rng, direction: Direction, first: usize, count: usize) -> Command {
    let mut cdb = [0; 16];
    cdb[5] = first as u8;
    cdb[8] = count as u8;
    Command {
        cdb,
        lun: lun(rng.range(0, 1) as u8),
        direction,
        attribute: TaskAttribute::Simple,
        replay: false,
        urgent: false,
        timeout: rng.millis(500, 6000),
    }
}

/// Whether a task may have ended so, at this age and in an outage that has lasted so long.
fn judge(
    (hold, withdraws): (Hold, bool),
    age: Duration,
    outage: Duration,
    request: &Request,
    outcome: &Outcome,
) {
    match outcome {
        Outcome::Interrupted => {
            let held_too_long = matches!(hold, Hold::For(limit) if age >= limit);
            assert!(
                !request.replay || held_too_long,
                "a request that may be replayed"
            );
        }
        Outcome::Disconnected => {
            let Hold::For(limit) = hold else {
                panic!("held for ever, yet failed");
            };
            assert!(outage >= limit || age >= limit, "failed before its time");
        }
        Outcome::Answered | Outcome::Managed { .. } => panic!("{outcome:?}"),
        Outcome::Withdrawn => assert!(withdraws && !request.asks, "not taken back"),
        Outcome::Completed(_)
        | Outcome::TargetFailure { .. }
        | Outcome::Rejected { .. }
        | Outcome::TimedOut
        | Outcome::Aborted
        | Outcome::Closed => {}
    }
}
