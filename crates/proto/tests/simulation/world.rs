//! One run: the initiator, the network, the target, the callers, and what goes wrong between them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hawser_proto::session::{Event, Hold};

use crate::callers::{Asked, Callers};
use crate::initiator::Initiator;
use crate::net::{Happening, Net};
use crate::network::Break;
use crate::rng::Rng;
use crate::scenario::{Faults, Scenario};
use crate::tally::Tally;
use crate::target::{Effect, Speech, Target};

/// Faults stop between these, new requests a little later.
const FAULTS_END: (u64, u64) = (2_000, 12_000);
const REQUESTS_END: Duration = Duration::from_secs(3);
/// Everything must have ended so long after the faults.
const LIMIT: Duration = Duration::from_secs(120);
/// Far more steps than any run takes: a livelock ends here.
const MOST_STEPS: u64 = 200_000;

struct World {
    net: Net,
    initiator: Initiator,
    target: Target,
    callers: Callers,
    hold: Hold,
    /// What waits for the target to thaw.
    frozen: Option<VecDeque<Happening>>,
    /// The portal group that logins go to.
    group: u16,
    /// The mean pause between requests, in milliseconds.
    pause: u64,
    faults_end: Instant,
    logins: u64,
    outage_since: Option<Instant>,
    gate_open: bool,
    closed: bool,
}

/// Carries out the run of a seed; a panic is a finding. Gives what it came upon.
pub(crate) fn run(seed: u64, trace: bool) -> Tally {
    let mut world = World::new(seed, trace);
    let end = world.faults_end + LIMIT;
    let mut steps = 0;
    while !world.is_over() {
        world.step();
        steps += 1;
        let waiting = world.callers.outstanding();
        assert!(
            world.net.now < end,
            "seed {seed}: {waiting} tasks never end"
        );
        assert!(steps < MOST_STEPS, "seed {seed}: a livelock");
    }
    world.callers.judge_disk(&world.target.shared.disk);
    let mut tally = world.callers.tally;
    tally.add(world.initiator.tally);
    tally.add(world.initiator.checkers.tally);
    tally
}

impl World {
    fn new(seed: u64, trace: bool) -> Self {
        let mut rng = Rng::new(seed);
        let scenario = Scenario::draw(&mut rng);
        let config = scenario.config(&mut rng);
        if trace {
            println!("{scenario:#?}\n{config:?}");
        }
        let start = Instant::now();
        let faults = scenario.faults.clone();
        let keys = scenario.target.clone();
        let target = Target::new(start, Rng::new(rng.next()), faults.clone(), keys, trace);
        let faults_end = rng.range(FAULTS_END.0, FAULTS_END.1);
        let pause = 1 + 2 * (faults_end + 2000) / scenario.commands;
        let mut net = Net::new(start, rng, faults, trace);
        let faults_end = Duration::from_millis(faults_end);
        net.plan(faults_end, Happening::FaultsEnd);
        net.plan(faults_end + REQUESTS_END, Happening::RequestsEnd);
        net.plan(Duration::ZERO, Happening::Caller);
        net.plan(Duration::ZERO, Happening::Tick);
        Self {
            net,
            hold: scenario.hold,
            callers: Callers::new(scenario.clone()),
            initiator: Initiator::new(start, scenario, config),
            target,
            frozen: None,
            group: 1,
            pause,
            faults_end: start + faults_end,
            logins: 0,
            outage_since: Some(start),
            gate_open: false,
            closed: false,
        }
    }

    fn is_over(&self) -> bool {
        self.closed && self.callers.outstanding() == 0
    }

    /// The next thing happens: a timer of the session or an entry of the agenda.
    fn step(&mut self) {
        let due = self.initiator.session.poll_timeout();
        let next = self.net.next_at();
        if let Some(due) = due
            && next.is_none_or(|next| due <= next)
        {
            self.net.now = self.net.now.max(due);
            let session = &mut self.initiator.session;
            session.handle_timeout(self.net.now);
            let again = session.poll_timeout();
            assert!(
                again.is_none_or(|again| again > self.net.now),
                "a busy timer"
            );
        } else {
            let what = self.net.advance();
            self.happen(what);
        }
        self.drive();
    }

    fn happen(&mut self, what: Happening) {
        let of_target = matches!(
            what,
            Happening::Up(..) | Happening::UpEnd(_) | Happening::Target(_)
        );
        if of_target && let Some(frozen) = &mut self.frozen {
            frozen.push_back(what);
            return;
        }
        match what {
            Happening::Up(link, bytes) => self.up(link, bytes),
            Happening::Down(link, bytes) => self.down(link, bytes),
            Happening::UpEnd(link) => {
                self.target.lost(self.net.now, link);
                self.net.links.remove(&link);
            }
            Happening::DownEnd(link) => {
                if self
                    .net
                    .links
                    .get(&link)
                    .is_some_and(|link| !link.is_broken)
                {
                    self.initiator.ended(&mut self.net, link);
                }
            }
            Happening::Target(timer) => self.target.timer(self.net.now, timer),
            Happening::Writable(link) => self.initiator.writable(link),
            Happening::Connected(link) => self.connected(link),
            Happening::DialTimeout(link) => self.initiator.dial_timeout(&mut self.net, link),
            Happening::Verify(login) => self.verify(login),
            Happening::Caller => self.call(),
            Happening::Tick => self.tick(),
            Happening::Thaw => {
                for what in self.frozen.take().into_iter().flatten() {
                    self.happen(what);
                }
            }
            Happening::FaultsEnd => self.end_faults(),
            Happening::RequestsEnd => self.callers.stop(),
        }
    }

    fn up(&mut self, id: u64, mut bytes: Vec<u8>) {
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        let breaks = link.carry(&mut bytes);
        if link.damage_up(&mut bytes) {
            self.net
                .say(|| format!("-- damage on the way up of link {id}"));
        }
        self.target.receive(self.net.now, id, &bytes);
        if breaks {
            self.breaks(id);
        }
    }

    fn down(&mut self, id: u64, mut bytes: Vec<u8>) {
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        let breaks = link.carry(&mut bytes);
        if link.damage_down(&mut bytes) {
            self.net
                .say(|| format!("-- damage on the way down of link {id}"));
        }
        if !bytes.is_empty() {
            self.initiator.receive(&mut self.net, id, &bytes);
        }
        if breaks {
            self.breaks(id);
        }
    }

    /// The connection carries no more. Where a session may move to another portal group, the target
    /// learns of it at once: how long its tasks live is counted from there, and the initiator counts
    /// from when it learns.
    fn breaks(&mut self, id: u64) {
        self.net.say(|| format!("-- link {id} breaks"));
        let Some(link) = self.net.links.get(&id) else {
            return;
        };
        let silent = link.way == Break::Silent;
        if !silent || self.net.faults.move_group > 0 {
            self.target.lost(self.net.now, id);
        }
        if !silent {
            self.initiator.ended(&mut self.net, id);
        }
    }

    /// Does all that can be done now.
    fn drive(&mut self) {
        loop {
            self.initiator.drive(&mut self.net);
            let news = self.handle_events();
            self.tell_target();
            let effects = std::mem::take(&mut self.target.shared.effects);
            if effects.is_empty() && !news {
                break;
            }
            for effect in effects {
                match effect {
                    Effect::Timer { after, timer } => {
                        self.net.plan(after, Happening::Target(timer));
                    }
                    Effect::Send { link, bytes } => self.net.send_down(link, bytes),
                    Effect::Close { link } => {
                        self.target.lost(self.net.now, link);
                        self.net.close_down(link);
                    }
                }
            }
        }
        self.check_hold();
    }

    /// What the initiator wrote before it closed a connection reaches the target first.
    fn tell_target(&mut self) {
        for id in std::mem::take(&mut self.initiator.closed) {
            if self.net.faults.move_group == 0 && self.frozen.is_none() {
                self.net.close_up(id);
                continue;
            }
            // See `breaks`.
            let arriving = self.net.take_up(id);
            let is_broken = self.net.links.get(&id).is_none_or(|link| link.is_broken);
            if self.frozen.is_none() && !is_broken {
                for bytes in arriving {
                    self.target.receive(self.net.now, id, &bytes);
                }
            }
            self.target.lost(self.net.now, id);
            self.net.links.remove(&id);
        }
    }

    fn handle_events(&mut self) -> bool {
        let mut news = false;
        while let Some(event) = self.initiator.events.pop_front() {
            news = true;
            match event {
                Event::Done(done) => {
                    let outage = self
                        .outage_since
                        .map_or(Duration::ZERO, |since| self.net.now - since);
                    match self
                        .callers
                        .done(&mut self.initiator, &self.net, outage, &done)
                    {
                        Asked::Nothing => {}
                        Asked::Answered => self.verified(),
                        Asked::Unanswered => self.verify_later(),
                    }
                }
                Event::Up { again } => {
                    self.gate_open = false;
                    assert_eq!(again, self.logins > 0);
                    self.logins += 1;
                    self.net
                        .plan(Duration::ZERO, Happening::Verify(self.logins));
                }
                Event::Lost(_) => {
                    self.outage_since.get_or_insert(self.net.now);
                }
                Event::ConnectionLost { .. } if !self.initiator.session.is_up() => {
                    self.outage_since.get_or_insert(self.net.now);
                }
                Event::ConnectionUp { .. } if self.gate_open => self.outage_since = None,
                // The session was resumed before its disk was asked, or had answered.
                Event::ConnectionUp { .. } => self.verify_later(),
                Event::Closed => {
                    assert!(!self.closed, "closed twice");
                    self.closed = true;
                }
                _ => {}
            }
        }
        news
    }

    fn connected(&mut self, link: u64) {
        let down = self
            .target
            .down_until
            .is_some_and(|until| until > self.net.now);
        let chance = self.net.faults.login / 2;
        let well = !down && self.frozen.is_none() && !self.net.rng.chance(chance);
        let chance = self.net.faults.move_group;
        if let Some(is_leading) = self.initiator.connected(&mut self.net, link, well) {
            if is_leading && self.net.rng.chance(chance) {
                self.group = 3 - self.group;
            }
            self.target.open(link, self.group);
        }
    }

    /// Asks the disk who it is, by an urgent command, until there is an answer.
    fn verify(&mut self, login: u64) {
        if login != self.logins || !self.initiator.session.is_up() {
            return;
        }
        if self.initiator.session.has_urgent_room() {
            self.callers.ask(&mut self.initiator, &mut self.net);
        } else {
            self.verify_later();
        }
    }

    fn verify_later(&mut self) {
        self.net
            .plan(Duration::from_millis(200), Happening::Verify(self.logins));
    }

    fn verified(&mut self) {
        if self.initiator.session.open_gate(self.net.now) {
            self.net.say(|| "-- the gate is opened".to_owned());
            self.outage_since = None;
            self.gate_open = true;
        }
    }

    fn call(&mut self) {
        if self.callers.call(&mut self.initiator, &mut self.net) {
            let after = self.net.rng.millis(0, 2 * self.pause);
            self.net.plan(after, Happening::Caller);
        } else if self.callers.outstanding() == 0 {
            self.initiator.session.logout(self.net.now);
        } else {
            self.net.plan(Duration::from_millis(300), Happening::Caller);
        }
    }

    /// A tenth of a second: time for something to go wrong.
    fn tick(&mut self) {
        self.net.plan(Duration::from_millis(100), Happening::Tick);
        if self.frozen.is_some() {
            return;
        }
        let faults = self.net.faults.clone();
        let rng = &mut self.net.rng;
        if rng.chance(20) {
            self.target.speak(self.net.now, Speech::Ping);
        }
        if rng.chance(faults.notice) {
            let event = rng.pick(&[0, 0, 1, 2, 3, 4, 255]);
            let parameters = [0, rng.range(0, 2) as u16, rng.range(0, 3) as u16];
            self.target
                .speak(self.net.now, Speech::Async { event, parameters });
        }
        if rng.chance(faults.window) {
            let grant = rng.pick(&[0, 1, 1, 2, 16]);
            self.set_grant(grant);
        }
        if self.net.rng.chance(faults.restart) {
            self.restart();
        }
        if self.net.rng.chance(faults.freeze) {
            self.net.say(|| "-- the target freezes".to_owned());
            self.frozen = Some(VecDeque::new());
            let after = self.net.rng.millis(100, 8_000);
            self.net.plan(after, Happening::Thaw);
        }
        if self.net.rng.chance(faults.caller_aborts) {
            self.callers
                .change_their_mind(&mut self.initiator, &mut self.net);
        }
        if self.net.rng.chance(faults.caller_rearranges) {
            self.callers.rearrange(&mut self.initiator, &mut self.net);
        }
    }

    fn set_grant(&mut self, grant: u32) {
        self.net.say(|| format!("-- grants {grant}"));
        self.target.shared.grant = grant;
        self.target.speak(self.net.now, Speech::Numbers);
    }

    fn restart(&mut self) {
        self.net.say(|| "-- the target restarts".to_owned());
        self.target.down_until = Some(self.net.now + self.net.rng.millis(0, 2000));
        for link in self.target.restart() {
            self.net.close_down(link);
        }
    }

    fn end_faults(&mut self) {
        self.net.say(|| "-- no more faults".to_owned());
        // Whether portal groups change stays as it is, for what it says of when the target learns.
        let move_group = self.net.faults.move_group;
        self.net.faults = Faults {
            move_group,
            ..Faults::default()
        };
        self.net.is_calm = true;
        self.target.shared.faults = Faults::default();
        for link in self.net.links.values_mut().filter(|link| !link.is_broken) {
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
        if !self.initiator.session.is_up() && self.net.now > since + limit + slack {
            assert_eq!(self.callers.outstanding(), 0, "held beyond the limit");
        }
    }
}
