//! One run: the session with its driver, the network, the target, the callers, and the clock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::IoSlice;
use std::time::{Duration, Instant};

use hawser_proto::parameters::Parameters;
use hawser_proto::serial::Serial;
use hawser_proto::session::{
    Action, Backoff, ConnectionError, Established, Event, Hold, MAX_SEGMENTS, Session,
    SessionConfig, TaskBuffers, Transmit,
};

use crate::callers::Callers;
use crate::faults::{Faults, parameters};
use crate::network::{Link, pieces};
use crate::rng::Rng;
use crate::target::{Effect, Speech, Target, Timer};

/// Faults stop after this long, new requests a little later.
const FAULTS_END: Duration = Duration::from_secs(30);
const REQUESTS_END: Duration = Duration::from_secs(34);
/// Everything must have ended by then.
const LIMIT: Duration = Duration::from_secs(600);
/// Far more steps than any run takes: a livelock ends here.
const MOST_STEPS: u64 = 400_000;
/// Bytes a socket takes at once.
const SOCKET: usize = 16 * 1024;

#[derive(Debug)]
enum Happening {
    /// Bytes reach the target, or the initiator.
    Up(u64, Vec<u8>),
    Down(u64, Vec<u8>),
    /// The initiator learns that the connection is closed.
    Fin(u64),
    Target(Timer),
    /// The socket takes bytes again.
    Writable(u64),
    LoginDone(u64),
    /// Opens the gate, or tries to find out again whether it may.
    Verify(u64),
    Caller,
    Tick,
    Thaw,
    FaultsEnd,
    RequestsEnd,
}

/// The driver's buffers, by slot, with the token of their task.
#[derive(Debug, Default)]
pub(crate) struct Buffers(pub(crate) HashMap<u16, (u64, Vec<u8>)>);

impl TaskBuffers for Buffers {
    fn outgoing(&self, slot: u16) -> &[u8] {
        self.0.get(&slot).map_or(&[], |(_, data)| data)
    }

    fn incoming(&mut self, slot: u16) -> &mut [u8] {
        self.0.get_mut(&slot).map_or(&mut [], |(_, data)| data)
    }
}

pub(crate) struct World {
    pub(crate) now: Instant,
    start: Instant,
    pub(crate) rng: Rng,
    pub(crate) session: Session,
    pub(crate) buffers: Buffers,
    pub(crate) faults: Faults,
    parameters: Parameters,
    pub(crate) hold: Hold,
    agenda: BTreeMap<(Instant, u64), Happening>,
    next_number: u64,
    target: Target,
    callers: Callers,
    link: Option<Link>,
    next_link: u64,
    batch: Transmit,
    blocked: bool,
    /// What waits for the target to thaw.
    frozen: Option<VecDeque<Happening>>,
    group: u16,
    dialing: u64,
    logins: u64,
    pub(crate) outage_since: Option<Instant>,
    closed: bool,
    pub(crate) trace: bool,
}

/// Carries out the run of a seed; a panic is a finding.
pub(crate) fn run(seed: u64, trace: bool) {
    let mut world = World::new(seed, trace);
    let end = world.start + LIMIT;
    let mut steps = 0;
    while !world.is_over() {
        world.step();
        steps += 1;
        assert!(
            world.now < end,
            "{} tasks never end",
            world.callers.outstanding()
        );
        assert!(steps < MOST_STEPS, "a livelock");
    }
    world.callers.judge_disk(&world.target.shared.disk);
}

impl World {
    fn new(seed: u64, trace: bool) -> Self {
        let mut rng = Rng::new(seed);
        let parameters = parameters(&mut rng);
        let faults = Faults::swarm(&mut rng, &parameters);
        let hold = match rng.chance(500) {
            true => Hold::Forever,
            false => Hold::For(rng.millis(3000, 20_000)),
        };
        let config = SessionConfig {
            max_tasks: rng.pick(&[1, 2, 8, 32]),
            hold,
            ping_interval: rng.millis(500, 5000),
            ping_timeout: rng.millis(500, 3000),
            management_timeout: rng.millis(1000, 4000),
            backoff: Backoff {
                first: Duration::from_millis(100),
                longest: Duration::from_secs(2),
            },
            ..SessionConfig::default()
        };
        if trace {
            println!("{config:?}\n{parameters:?}\n{faults:?}");
        }
        let start = Instant::now();
        let target = Target::new(
            Rng::new(rng.next()),
            faults.clone(),
            parameters.clone(),
            trace,
        );
        let callers = Callers::new(&mut rng);
        let mut world = Self {
            now: start,
            start,
            rng,
            session: Session::new(config, start),
            buffers: Buffers::default(),
            faults,
            parameters,
            hold,
            agenda: BTreeMap::new(),
            next_number: 0,
            target,
            callers,
            link: None,
            next_link: 0,
            batch: Transmit::default(),
            blocked: false,
            frozen: None,
            group: 1,
            dialing: 0,
            logins: 0,
            outage_since: Some(start),
            closed: false,
            trace,
        };
        world.plan(FAULTS_END, Happening::FaultsEnd);
        world.plan(REQUESTS_END, Happening::RequestsEnd);
        world.plan(Duration::ZERO, Happening::Caller);
        world.plan(Duration::ZERO, Happening::Tick);
        world
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            let at = (self.now - self.start).as_secs_f64();
            println!("{at:10.3} {}", what());
        }
    }

    fn is_over(&self) -> bool {
        self.closed && self.callers.outstanding() == 0
    }

    fn plan(&mut self, after: Duration, what: Happening) {
        self.plan_at(self.now + after, what);
    }

    fn plan_at(&mut self, at: Instant, what: Happening) {
        self.next_number += 1;
        self.agenda.insert((at, self.next_number), what);
    }

    /// The next thing happens: a timer of the session or an entry of the agenda.
    fn step(&mut self) {
        let due = self.session.poll_timeout();
        let next = self.agenda.first_key_value().map(|(&(at, _), _)| at);
        if let Some(due) = due
            && next.is_none_or(|next| due <= next)
        {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            let again = self.session.poll_timeout();
            assert!(again.is_none_or(|again| again > self.now), "a busy timer");
        } else {
            let ((at, _), what) = self.agenda.pop_first().expect("nothing ever happens again");
            self.now = at;
            self.happen(what);
        }
        self.drive();
    }

    fn happen(&mut self, what: Happening) {
        let of_target = matches!(what, Happening::Up(..) | Happening::Target(_));
        if of_target && let Some(frozen) = &mut self.frozen {
            frozen.push_back(what);
            return;
        }
        match what {
            Happening::Up(link, bytes) => self.up(link, &bytes),
            Happening::Down(link, bytes) => self.down(link, bytes),
            Happening::Fin(link) => {
                if self.is_link(link) {
                    self.lose(ConnectionError::Transport(
                        "closed by the target".to_owned(),
                    ));
                }
            }
            Happening::Target(timer) => self.target.timer(self.now, timer),
            Happening::Writable(link) => self.blocked &= !self.is_link(link),
            Happening::LoginDone(dialing) => self.login(dialing),
            Happening::Verify(login) => self.verify(login),
            Happening::Caller => self.call(),
            Happening::Tick => self.tick(),
            Happening::Thaw => self.thaw(),
            Happening::FaultsEnd => self.end_faults(),
            Happening::RequestsEnd => self.callers.stop(),
        }
    }

    fn is_link(&self, id: u64) -> bool {
        self.link.as_ref().is_some_and(|link| link.id == id)
    }

    fn up(&mut self, id: u64, bytes: &[u8]) {
        let Some(link) = self.link.as_mut().filter(|link| link.id == id) else {
            return;
        };
        let carried = link.carry(bytes.len());
        self.target.receive(self.now, id, &bytes[..carried]);
        self.break_if_due(id);
    }

    fn down(&mut self, id: u64, mut bytes: Vec<u8>) {
        let Some(link) = self.link.as_mut().filter(|link| link.id == id) else {
            return;
        };
        let carried = link.carry(bytes.len());
        bytes.truncate(carried);
        link.damage(&mut bytes);
        if let Err(error) = self.feed(&bytes) {
            self.lose(error);
        }
        self.break_if_due(id);
    }

    /// Gives the session bytes, some of them read straight into their place.
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), ConnectionError> {
        while !bytes.is_empty() {
            let taken = self.rng.range(1, bytes.len() as u64) as usize;
            let (piece, rest) = bytes.split_at(taken);
            bytes = rest;
            let mut beyond = piece;
            if let Some(place) = self.session.direct_read(0)
                && self.rng.chance(500)
            {
                let count = piece.len().min(place.len);
                let to = self.buffers.incoming(place.slot);
                to[place.offset..place.offset + count].copy_from_slice(&piece[..count]);
                self.session.handle_direct(0, count, &mut self.buffers);
                beyond = &piece[count..];
            }
            self.session
                .handle_input(self.now, 0, beyond, &mut self.buffers)?;
            self.drain();
            if self.link.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn break_if_due(&mut self, id: u64) {
        if self
            .link
            .as_ref()
            .is_some_and(|l| l.id == id && l.is_broken())
        {
            self.say(|| "-- the connection breaks".to_owned());
            self.target.lost(self.now, id);
            let after = self.rng.millis(0, 20);
            self.plan(after, Happening::Fin(id));
        }
    }

    fn lose(&mut self, error: ConnectionError) {
        self.say(|| format!("-- lost: {error}"));
        self.session.handle_connection_lost(self.now, 0, error);
    }

    /// Does all that can be done now: the driver's loop.
    fn drive(&mut self) {
        loop {
            self.drain();
            self.carry_out_effects();
            if !self.write() {
                break;
            }
        }
        self.check_hold();
    }

    fn drain(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Disconnect { .. } => self.disconnect(),
                Action::Connect { .. } => {
                    self.dialing += 1;
                    let after = self.rng.millis(1, 30);
                    self.plan(after, Happening::LoginDone(self.dialing));
                }
            }
        }
        while let Some(event) = self.session.poll_event() {
            self.say(|| format!("** {event:?}"));
            match event {
                Event::Done(done) => {
                    let mut callers = std::mem::take(&mut self.callers);
                    callers.done(self, &done);
                    self.callers = callers;
                }
                Event::Up { again } => {
                    assert_eq!(again, self.logins > 0);
                    self.logins += 1;
                    self.plan(Duration::ZERO, Happening::Verify(self.logins));
                }
                Event::Lost(_) => {
                    self.outage_since.get_or_insert(self.now);
                }
                Event::Closed => {
                    assert!(!self.closed, "closed twice");
                    self.closed = true;
                }
                _ => {}
            }
        }
    }

    /// What the initiator wrote before it closed reaches the target first, then the end does.
    fn disconnect(&mut self) {
        let Some(link) = self.link.take() else { return };
        self.batch = Transmit::default();
        self.blocked = false;
        let mut arriving = Vec::new();
        self.agenda.retain(|_, what| match what {
            Happening::Up(id, bytes) if *id == link.id => {
                arriving.push(std::mem::take(bytes));
                false
            }
            _ => true,
        });
        if self.frozen.is_none() && !link.is_broken() {
            for bytes in arriving {
                self.target.receive(self.now, link.id, &bytes);
            }
        }
        self.target.lost(self.now, link.id);
    }

    fn carry_out_effects(&mut self) {
        for effect in std::mem::take(&mut self.target.shared.effects) {
            match effect {
                Effect::Timer { after, timer } => self.plan(after, Happening::Target(timer)),
                Effect::Send { connection, bytes } => self.send_down(connection, bytes),
                Effect::Close { connection } => {
                    self.target.lost(self.now, connection);
                    if let Some(link) = self.link.as_ref().filter(|l| l.id == connection) {
                        let at = link.last_down.max(self.now);
                        self.plan_at(at, Happening::Fin(connection));
                    }
                }
            }
        }
    }

    fn send_down(&mut self, connection: u64, bytes: Vec<u8>) {
        let Some(mut at) = self
            .link
            .as_ref()
            .filter(|link| link.id == connection)
            .map(|link| link.last_down)
        else {
            return;
        };
        for piece in pieces(&mut self.rng, bytes) {
            at = at.max(self.now + self.rng.millis(0, 3));
            self.plan_at(at, Happening::Down(connection, piece));
        }
        if let Some(link) = &mut self.link {
            link.last_down = at;
        }
    }

    /// Writes what the session has to say; the socket takes all, or some and no more for a while.
    fn write(&mut self) -> bool {
        let Some(link) = self.link.as_ref().filter(|_| !self.blocked) else {
            return false;
        };
        let (id, mut at) = (link.id, link.last_up);
        if self.batch.is_empty() {
            self.session.transmit_done(&mut self.batch);
            if !self
                .session
                .poll_transmit(self.now, 0, &self.buffers, &mut self.batch)
            {
                return false;
            }
        }
        let mut bytes = Vec::new();
        let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
        let count = self.batch.slices(&self.buffers, &mut slices);
        for slice in &slices[..count.expect("the buffer of a task under way")] {
            bytes.extend_from_slice(slice);
        }
        bytes.truncate(SOCKET);
        if self.rng.chance(100) {
            let taken = self.rng.range(1, bytes.len() as u64) as usize;
            bytes.truncate(taken);
            self.blocked = true;
            let after = self.rng.millis(0, 10);
            self.plan(after, Happening::Writable(id));
        }
        self.batch.advance(bytes.len());
        for piece in pieces(&mut self.rng, bytes) {
            at = at.max(self.now + self.rng.millis(0, 3));
            self.plan_at(at, Happening::Up(id, piece));
        }
        if let Some(link) = &mut self.link {
            link.last_up = at;
        }
        true
    }

    fn login(&mut self, dialing: u64) {
        if dialing != self.dialing || self.closed {
            return;
        }
        let down = self.target.down_until.is_some_and(|until| until > self.now);
        if down || self.frozen.is_some() || self.rng.chance(self.faults.login) {
            self.session.handle_login_failed(self.now);
            return;
        }
        if self.rng.chance(self.faults.move_group) {
            self.group = 3 - self.group;
        }
        self.next_link += 1;
        let id = self.next_link;
        self.say(|| format!("-- login at group {}", self.group));
        self.link = Some(Link::new(id, self.now, &mut self.rng, &self.faults));
        let (cmd_sn, max_cmd_sn, stat_sn) = self.target.login(self.now, self.group, id);
        let login = Established {
            cid: 0,
            tsih: 1,
            tpgt: Some(self.group),
            parameters: self.parameters.clone(),
            cmd_sn: Serial(cmd_sn),
            exp_cmd_sn: Serial(cmd_sn),
            max_cmd_sn: Serial(max_cmd_sn),
            exp_stat_sn: stat_sn,
        };
        self.session.handle_logged_in(self.now, login);
    }

    /// Asks the disk who it is, by an urgent command, until there is an answer.
    fn verify(&mut self, login: u64) {
        if login != self.logins || !self.session.is_up() {
            return;
        }
        if self.session.has_urgent_room() {
            let mut callers = std::mem::take(&mut self.callers);
            callers.ask(self);
            self.callers = callers;
        } else {
            self.verify_later();
        }
    }

    pub(crate) fn verify_later(&mut self) {
        self.plan(Duration::from_millis(200), Happening::Verify(self.logins));
    }

    pub(crate) fn verified(&mut self) {
        if self.session.open_gate(self.now) {
            self.say(|| "-- the gate is opened".to_owned());
            self.outage_since = None;
        }
    }

    fn call(&mut self) {
        let mut callers = std::mem::take(&mut self.callers);
        let again = callers.call(self);
        self.callers = callers;
        if again {
            let after = self.rng.millis(1, 400);
            self.plan(after, Happening::Caller);
        } else if self.callers.outstanding() == 0 {
            self.session.logout(self.now);
        } else {
            self.plan(Duration::from_millis(500), Happening::Caller);
        }
    }

    /// A tenth of a second: time for something to go wrong.
    fn tick(&mut self) {
        self.plan(Duration::from_millis(100), Happening::Tick);
        if self.frozen.is_some() {
            return;
        }
        if self.rng.chance(20) {
            self.target.speak(self.now, Speech::Ping);
        }
        if self.rng.chance(self.faults.notice) {
            let event = self.rng.pick(&[0, 0, 1, 2, 3, 4, 255]);
            let parameters = [0, self.rng.range(0, 2) as u16, self.rng.range(0, 3) as u16];
            self.target
                .speak(self.now, Speech::Async { event, parameters });
        }
        if self.rng.chance(self.faults.window) {
            let grant = self.rng.pick(&[0, 1, 1, 2, 16]);
            self.set_grant(grant);
        }
        if self.rng.chance(self.faults.restart) {
            self.restart();
        }
        if self.rng.chance(self.faults.freeze) {
            self.say(|| "-- the target freezes".to_owned());
            self.frozen = Some(VecDeque::new());
            let after = self.rng.millis(100, 12_000);
            self.plan(after, Happening::Thaw);
        }
        if self.rng.chance(self.faults.caller_aborts) {
            let mut callers = std::mem::take(&mut self.callers);
            callers.change_their_mind(self);
            self.callers = callers;
        }
    }

    fn set_grant(&mut self, grant: u32) {
        self.target.shared.grant = grant;
        self.target.speak(self.now, Speech::Numbers);
    }

    fn restart(&mut self) {
        self.say(|| "-- the target restarts".to_owned());
        self.target.down_until = Some(self.now + self.rng.millis(0, 3000));
        for link in self.target.restart() {
            self.plan(Duration::ZERO, Happening::Fin(link));
        }
    }

    fn thaw(&mut self) {
        for what in self.frozen.take().into_iter().flatten() {
            self.happen(what);
        }
    }

    fn end_faults(&mut self) {
        self.say(|| "-- no more faults".to_owned());
        self.faults = Faults::none();
        self.target.shared.faults = Faults::none();
        if let Some(link) = &mut self.link {
            link.heal();
        }
        self.set_grant(16);
    }

    /// Commands wait no longer for a lost session than they are told to.
    fn check_hold(&self) {
        let (Hold::For(limit), Some(since)) = (self.hold, self.outage_since) else {
            return;
        };
        let slack = Duration::from_secs(1);
        if !self.session.is_up() && self.now > since + limit + slack {
            assert_eq!(self.callers.outstanding(), 0, "held beyond the limit");
        }
    }
}
