//! The driver of a session under test, towards a target that means harm: whatever that sends and
//! whenever, each task ends exactly once, what ended is not written to, nothing grows without bound, and
//! the session can always be brought to an end.

mod buffers;
mod ending;
mod member;
mod steps;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use hawser_proto::parameters::Parameters;
use hawser_proto::serial::Serial;
use hawser_proto::session::{
    Action, Backoff, Established, Event, Hold, LoginRole, Outcome, Policy, Session, SessionConfig,
    TaskId,
};

use self::buffers::Buffers;
use self::member::Member;
use crate::hostile_target::HostileTarget;
use crate::script::Script;

/// Commands at once.
const TASKS: u16 = 8;
/// More of them that may be urgent, so that a full table cannot keep the gate shut.
const URGENT_TASKS: usize = 8;
/// Task management functions that may wait or run.
const FUNCTIONS_MAX: usize = 80;
/// Logins that a run may make; further ones fail.
const LOGINS_MAX: u32 = 12;
/// Steps of one script.
const STEPS_MAX: usize = 600;
/// Actions and events that one call may leave: an end for each task, and a few words for each connection.
const NEWS_MAX: usize = 512;

/// What a target of the fuzzer lets happen.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The highest error recovery level that is agreed on.
    pub level: u8,
    /// The most connections.
    pub connections: u16,
}

/// A command or function without an end.
#[derive(Debug)]
struct Open {
    /// `None` for a task management function.
    id: Option<TaskId>,
    length: usize,
}

/// One run.
pub struct Run {
    session: Session,
    buffers: Buffers,
    target: HostileTarget,
    now: Instant,
    parameters: Parameters,
    cmd_sn: u32,
    /// By token.
    open: HashMap<u64, Open>,
    submitted: u64,
    members: BTreeMap<u16, Member>,
    /// Logins under way.
    dials: VecDeque<(u16, LoginRole)>,
    /// Logins succeed at once, and the gate opens by itself.
    eager: bool,
    logins: u32,
    closed: bool,
    /// The environment asks for an account of the run.
    tells: bool,
}

/// Plays a whole script.
pub fn play(bytes: &[u8], setting: Setting) {
    let mut script = Script::new(bytes);
    let mut run = Run::new(&mut script, setting);
    let end = script.byte();
    for _ in 0..STEPS_MAX {
        let Some(choice) = script.step() else { break };
        run.say(|| format!("-- step {choice}"));
        run.step(choice, &mut script);
        run.drain();
        run.check();
    }
    run.end(end);
}

impl Run {
    fn new(script: &mut Script<'_>, setting: Setting) -> Self {
        let now = Instant::now();
        let parameters = parameters(script, setting);
        let habits = script.byte();
        let config = SessionConfig {
            max_tasks: TASKS,
            connections: 1 + u16::from(habits & 3) % setting.connections,
            policy: policy(habits >> 2 & 3),
            ping_interval: Duration::from_secs(u64::from(habits >> 4 & 1) * 5),
            hold: Hold::For(Duration::from_secs(30)),
            backoff: Backoff::default(),
            ..SessionConfig::default()
        };
        let mut run = Self {
            session: Session::new(config, now),
            buffers: Buffers::default(),
            target: HostileTarget::default(),
            now,
            parameters,
            cmd_sn: [1, 0x7fff_fffa, 0xffff_fffa][script.below(3)],
            open: HashMap::new(),
            submitted: 0,
            members: BTreeMap::new(),
            dials: VecDeque::new(),
            eager: habits & 128 == 0,
            logins: 0,
            closed: false,
            tells: std::env::var_os("TRACE").is_some(),
        };
        run.session.handle_timeout(now);
        run.drain();
        run
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.tells {
            eprintln!("{}", what());
        }
    }

    /// Does what the session asks for and takes note of what it says.
    fn drain(&mut self) {
        for _ in 0..NEWS_MAX {
            if let Some(action) = self.session.poll_action() {
                self.act(action);
            } else if let Some(event) = self.session.poll_event() {
                self.hear(event);
            } else if self.dials.is_empty() || !self.dial_at_once() {
                return;
            }
        }
        panic!("no end of actions and events");
    }

    fn hear(&mut self, event: Event) {
        if self.closed {
            // Only for what was asked after the end.
            let is_refusal = |event: &Event| match event {
                Event::Done(done) => done.outcome == Outcome::Closed,
                _ => false,
            };
            assert!(is_refusal(&event), "{event:?} after the end");
        }
        self.say(|| format!("{event:?}"));
        match event {
            Event::Done(done) => {
                let open = self.open.remove(&done.token).expect("one end a task");
                if let Outcome::Completed(answer) = &done.outcome {
                    assert!(answer.transferred as usize <= open.length);
                }
                if let Some(id) = open.id {
                    assert_eq!(id.slot(), done.slot);
                    self.buffers.remove(done.slot);
                }
            }
            Event::Up { .. } if self.eager => {
                // It stays shut when the session is lost again or being logged out of.
                let _ = self.session.open_gate(self.now);
            }
            Event::Lost(error) | Event::ConnectionLost { error, .. } => {
                assert!(!error.to_string().is_empty());
            }
            Event::Closed => self.closed = true,
            _ => {}
        }
    }

    fn act(&mut self, action: Action) {
        self.say(|| format!("{action:?}"));
        match action {
            Action::Disconnect { cid, .. } => self.disconnect(cid),
            Action::Connect { cid, login, .. } => {
                let is_new = !self.members.contains_key(&cid);
                let is_first = self.dials.iter().all(|(dialed, _)| *dialed != cid);
                assert!(is_new && is_first, "two connections of CID {cid}");
                self.dials.push_back((cid, login));
            }
        }
    }

    fn disconnect(&mut self, cid: u16) {
        self.dials.retain(|(dialed, _)| *dialed != cid);
        if let Some(mut member) = self.members.remove(&cid) {
            // What was being written goes nowhere now.
            self.session.transmit_done(&mut member.batch);
            self.target.lose(cid);
        }
    }

    /// Ends the oldest login under way, if its end need not wait for a step of the script.
    fn dial_at_once(&mut self) -> bool {
        let well = self.logins < LOGINS_MAX;
        if self.eager || !well {
            self.dial(well);
        }
        self.eager || !well
    }

    /// The oldest login under way comes to its end.
    fn dial(&mut self, well: bool) {
        let Some((cid, role)) = self.dials.pop_front() else {
            return;
        };
        match role {
            _ if well => self.log_in(cid, role),
            LoginRole::Leading => self.session.handle_login_failed(self.now),
            _ => self.session.handle_join_failed(self.now, cid, None),
        }
    }

    fn log_in(&mut self, cid: u16, role: LoginRole) {
        self.logins += 1;
        let tsih = match role {
            LoginRole::Leading => {
                self.target.begin(self.cmd_sn, 16);
                u16::try_from(self.logins).expect("few logins")
            }
            LoginRole::Additional(joining) | LoginRole::Reinstating(joining) => joining.tsih,
        };
        let (exp_cmd_sn, max_cmd_sn) = self.target.window();
        self.target.join(cid, 1);
        self.members.insert(cid, Member::new(&self.parameters));
        let established = Established {
            cid,
            tsih,
            tpgt: Some(1),
            parameters: self.parameters.clone(),
            cmd_sn: Serial(self.cmd_sn),
            exp_cmd_sn: Serial(exp_cmd_sn),
            max_cmd_sn: Serial(max_cmd_sn),
            exp_stat_sn: 1,
        };
        self.session.handle_logged_in(self.now, established);
    }

    /// What holds at any time.
    fn check(&self) {
        let functions = self.open.values().filter(|open| open.id.is_none()).count();
        assert!(functions <= FUNCTIONS_MAX);
        let commands = self.open.len() - functions;
        assert!(commands <= usize::from(TASKS) + URGENT_TASKS);
        assert_eq!(self.session.counters().in_flight, commands as u64);
        for member in self.members.values() {
            member.check(&self.buffers);
        }
        let logged_in = self.session.cids().count();
        assert_eq!(
            logged_in,
            self.members.len(),
            "connections that only one side knows"
        );
    }
}

fn parameters(script: &mut Script<'_>, setting: Setting) -> Parameters {
    let (data, digests) = (script.byte(), script.byte());
    let in_order = data & 1 == 0;
    let time = script.byte();
    Parameters {
        header_digest: digests & 1 != 0,
        data_digest: digests & 2 != 0,
        fast_abort: digests & 4 != 0,
        protocol_level: 1 + (digests >> 3 & 1),
        error_recovery_level: (digests >> 4 & 3).min(setting.level),
        max_connections: setting.connections,
        initial_r2t: data & 2 == 0,
        immediate_data: data & 4 == 0,
        max_send_data_segment: 512 << (data >> 3 & 3),
        max_recv_data_segment: 8192,
        max_burst: 1024,
        first_burst: 512 << (data >> 5 & 1),
        max_outstanding_r2t: 1 + u16::from(data >> 6),
        data_pdu_in_order: in_order,
        data_sequence_in_order: in_order,
        time2wait: u16::from(time & 3),
        time2retain: u16::from(time >> 2 & 31),
    }
}

fn policy(choice: u8) -> Policy {
    match choice {
        0 => Policy::RoundRobin,
        1 => Policy::LeastQueueDepth,
        2 => Policy::FailOver,
        _ => Policy::Weighted(vec![(0, 2), (1, 0)]),
    }
}
