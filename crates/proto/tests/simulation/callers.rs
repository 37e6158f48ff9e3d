//! Those who want something read or written, and what they check when it is done.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hawser_proto::pdu::{TaskAttribute, TmfFunction};
use hawser_proto::session::{Command, Direction, Done, Hold, Management, Outcome, TaskId};

use crate::disk::{BLOCK, BLOCKS, MOST_BLOCKS, Oracle, block_of};
use crate::rng::Rng;
use crate::world::World;

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

#[derive(Debug)]
pub(crate) struct Callers {
    oracle: Oracle,
    requests: HashMap<u64, Request>,
    functions: Vec<u64>,
    next_token: u64,
    next_version: u64,
    depth: usize,
    longest: usize,
    stopped: bool,
}

impl Default for Callers {
    fn default() -> Self {
        Self {
            oracle: Oracle::new(),
            requests: HashMap::new(),
            functions: Vec::new(),
            next_token: 0,
            next_version: 0,
            depth: 0,
            longest: 0,
            stopped: false,
        }
    }
}

impl Callers {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            depth: rng.range(1, 16) as usize,
            longest: rng.range(1, MOST_BLOCKS as u64) as usize,
            ..Self::default()
        }
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.requests.len() + self.functions.len()
    }

    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Submits some requests; false when there will be no more.
    pub(crate) fn call(&mut self, world: &mut World) -> bool {
        if self.stopped {
            return false;
        }
        let wanted = world.rng.range(1, 4);
        for _ in 0..wanted {
            if self.requests.len() < self.depth && world.session.has_room() {
                self.submit(world, false);
            }
        }
        true
    }

    /// An urgent read that opens the gate when it is answered.
    pub(crate) fn ask(&mut self, world: &mut World) {
        self.submit(world, true);
    }

    fn submit(&mut self, world: &mut World, asks: bool) {
        let longest = if asks { 2 } else { self.longest };
        let count = world.rng.range(1, longest as u64) as usize;
        let first = world.rng.index(BLOCKS - count + 1);
        let write = !asks && world.rng.chance(600) && self.oracle.may_write(first, count);
        self.next_token += 1;
        let token = self.next_token;
        let version = write.then(|| {
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
        let replay = !asks && world.rng.chance(850);
        let command = command(world, direction, first, count, replay, asks);
        match version {
            Some(version) => self.oracle.begin_write(first, count, version),
            None => self.oracle.begin_read(token, first, count),
        }
        let id = world
            .session
            .submit(world.now, command, token)
            .expect("there was room");
        let before = world.buffers.0.insert(id.slot(), (token, data));
        assert!(before.is_none(), "two tasks in a slot");
        world
            .say(|| format!("++ {token}: version {version:?} at {first}+{count}, replay {replay}"));
        let submitted = world.now;
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
    pub(crate) fn done(&mut self, world: &mut World, done: &Done) {
        if done.token >= FUNCTIONS {
            let at = self.functions.iter().position(|&f| f == done.token);
            self.functions
                .swap_remove(at.expect("a function that ends twice"));
            return;
        }
        let request = self
            .requests
            .remove(&done.token)
            .expect("a task that ends twice");
        let (token, data) = world.buffers.0.remove(&done.slot).expect("its buffer");
        assert_eq!(token, done.token, "another task's buffer");
        judge(world, &request, &done.outcome);
        let good = match &done.outcome {
            Outcome::Completed(answer) if answer.status == 0 => {
                assert_eq!(answer.transferred as usize, request.count * BLOCK);
                true
            }
            _ => false,
        };
        match request.version {
            Some(version) => self
                .oracle
                .end_write(request.first, request.count, version, good),
            None => self.oracle.end_read(token, good.then_some(&data)),
        }
        if request.asks {
            if good {
                world.verified();
            } else {
                world.verify_later();
            }
        }
    }

    /// Aborts a request, or resets a unit.
    pub(crate) fn change_their_mind(&mut self, world: &mut World) {
        let mut tokens: Vec<_> = self.requests.keys().copied().collect();
        tokens.sort_unstable();
        if tokens.is_empty() {
            return;
        }
        if world.rng.chance(700) {
            let token = world.rng.pick(&tokens);
            world.say(|| format!("++ abort {token}"));
            // A full queue is a refusal like any other.
            let _ = world.session.abort(world.now, self.requests[&token].id);
            return;
        }
        self.next_token += 1;
        let token = FUNCTIONS + self.next_token;
        let request = Management {
            function: TmfFunction::LogicalUnitReset,
            lun: lun(world.rng.range(0, 1) as u8),
            task: None,
            token: Some(token),
        };
        world.say(|| format!("++ reset {:?}", request.lun));
        if world.session.manage(world.now, request).is_ok() {
            self.functions.push(token);
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

fn command(
    world: &mut World,
    direction: Direction,
    first: usize,
    count: usize,
    replay: bool,
    urgent: bool,
) -> Command {
    let mut cdb = [0; 16];
    cdb[5] = first as u8;
    cdb[8] = count as u8;
    Command {
        cdb,
        lun: lun(world.rng.range(0, 1) as u8),
        direction,
        attribute: TaskAttribute::Simple,
        replay,
        urgent,
        timeout: world.rng.millis(500, 6000),
    }
}

/// Whether a task may have ended so.
fn judge(world: &World, request: &Request, outcome: &Outcome) {
    let age = world.now - request.submitted;
    match outcome {
        Outcome::Interrupted => {
            let held_too_long = matches!(world.hold, Hold::For(limit) if age >= limit);
            assert!(
                !request.replay || held_too_long,
                "a request that may be replayed"
            );
        }
        Outcome::Disconnected => {
            let Hold::For(limit) = world.hold else {
                panic!("held for ever, yet failed");
            };
            let outage = world
                .outage_since
                .map_or(Duration::ZERO, |at| world.now - at);
            assert!(outage >= limit || age >= limit, "failed before its time");
        }
        Outcome::Answered | Outcome::Managed { .. } | Outcome::Withdrawn => panic!("{outcome:?}"),
        Outcome::TargetFailure { .. } => panic!("the model gives none"),
        Outcome::Completed(_)
        | Outcome::Rejected { .. }
        | Outcome::TimedOut
        | Outcome::Aborted
        | Outcome::Closed => {}
    }
}
