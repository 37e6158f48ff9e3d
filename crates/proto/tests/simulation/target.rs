//! The model target: nexuses, tasks, a RAM disk. It judges what it is told, and it keeps executing
//! the writes of a lost nexus until that is reinstated or its time is over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use hawser_proto::parameters::Parameters;
use hawser_proto::stream::{Item, Receiver};

use crate::disk::BLOCKS;
use crate::faults::Faults;
use crate::nexus::Nexus;
use crate::rng::Rng;

/// What the target wants of the world.
#[derive(Debug)]
pub(crate) enum Effect {
    Send { connection: u64, bytes: Vec<u8> },
    Timer { after: Duration, timer: Timer },
    Close { connection: u64 },
}

/// What is to be done later, unless its nexus or task is gone by then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timer {
    pub(crate) nexus: u64,
    pub(crate) step: Step,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// The next step of a task: send data, apply, respond.
    Task(u64),
    /// Carry out a management function.
    Manage(Function),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Function {
    pub(crate) itt: u32,
    pub(crate) code: u8,
    pub(crate) referenced: u32,
    pub(crate) cmd_sn: u32,
    pub(crate) lun: u8,
}

/// What all nexuses share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    pub(crate) parameters: Parameters,
    pub(crate) disk: Vec<u64>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) next_uid: u64,
    /// Commands granted from ExpCmdSN on.
    pub(crate) grant: u32,
    /// A lost nexus still has writes to carry out: none may be sent again yet.
    pub(crate) haunted: bool,
    pub(crate) trace: bool,
}

#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) shared: Shared,
    nexuses: BTreeMap<u64, Nexus>,
    next_nexus: u64,
    /// No logins before.
    pub(crate) down_until: Option<Instant>,
}

impl Target {
    pub(crate) fn new(rng: Rng, faults: Faults, parameters: Parameters, trace: bool) -> Self {
        Self {
            shared: Shared {
                rng,
                faults,
                parameters,
                disk: vec![0; BLOCKS],
                effects: Vec::new(),
                next_uid: 0,
                grant: 16,
                haunted: false,
                trace,
            },
            nexuses: BTreeMap::new(),
            next_nexus: 0,
            down_until: None,
        }
    }

    /// A login at a portal group, with the one ISID there is: the old nexus there is reinstated, and
    /// its tasks die. Gives CmdSN, MaxCmdSN and StatSN.
    pub(crate) fn login(&mut self, now: Instant, group: u16, connection: u64) -> (u32, u32, u32) {
        self.purge(now);
        self.nexuses.retain(|_, nexus| nexus.group != group);
        self.next_nexus += 1;
        let id = self.next_nexus;
        let nexus = Nexus::new(&mut self.shared, id, group, connection);
        let numbers = nexus.numbers();
        self.nexuses.insert(id, nexus);
        numbers
    }

    /// Forgets nexuses whose time is over.
    fn purge(&mut self, now: Instant) {
        self.nexuses
            .retain(|_, nexus| nexus.dies_at.is_none_or(|at| at > now));
    }

    pub(crate) fn receive(&mut self, now: Instant, connection: u64, bytes: &[u8]) {
        self.purge(now);
        self.shared.haunted = self.nexuses.values().any(Nexus::haunts);
        let found = self
            .nexuses
            .values_mut()
            .find(|nexus| nexus.connection == Some(connection));
        if let Some(nexus) = found {
            nexus.receive(&mut self.shared, bytes);
        }
        self.sweep();
    }

    pub(crate) fn timer(&mut self, now: Instant, timer: Timer) {
        self.purge(now);
        if let Some(nexus) = self.nexuses.get_mut(&timer.nexus) {
            nexus.timer(&mut self.shared, timer.step);
        }
        self.sweep();
    }

    /// Nexuses that were logged out of are gone with all their tasks.
    fn sweep(&mut self) {
        self.nexuses.retain(|_, nexus| !nexus.logged_out);
    }

    /// The connection is gone: its nexus lives on for Time2Wait + Time2Retain.
    pub(crate) fn lost(&mut self, now: Instant, connection: u64) {
        let p = &self.shared.parameters;
        let agreed = Duration::from_secs(u64::from(p.time2wait) + u64::from(p.time2retain));
        for nexus in self.nexuses.values_mut() {
            if nexus.connection == Some(connection) {
                nexus.connection = None;
                nexus.dies_at = Some(now + nexus.announced.unwrap_or(agreed));
            }
        }
        self.purge(now);
    }

    /// All is forgotten but the disk.
    pub(crate) fn restart(&mut self) -> Vec<u64> {
        let nexuses = std::mem::take(&mut self.nexuses);
        nexuses.into_values().filter_map(|n| n.connection).collect()
    }

    /// Says something on its own account: an asynchronous message, a ping, a wider window.
    pub(crate) fn speak(&mut self, now: Instant, what: Speech) {
        self.purge(now);
        for nexus in self.nexuses.values_mut().filter(|n| n.connection.is_some()) {
            nexus.speak(&mut self.shared, what);
        }
    }
}

/// What a target says unasked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Speech {
    Ping,
    /// Told when the window has changed.
    Numbers,
    Async {
        event: u8,
        parameters: [u16; 3],
    },
}

/// The PDUs of one direction, whole.
#[derive(Debug)]
pub(crate) struct Intake {
    receiver: Receiver,
    header: [u8; 48],
    data: Vec<u8>,
}

impl Intake {
    pub(crate) fn new(parameters: &Parameters) -> Self {
        let mut receiver = Receiver::new(parameters.max_send_data_segment);
        receiver.set_digests(parameters.header_digest, parameters.data_digest);
        Self {
            receiver,
            header: [0; 48],
            data: Vec::new(),
        }
    }

    /// The next whole PDU.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Option<([u8; 48], Vec<u8>)> {
        loop {
            match self.receiver.next(input).expect("a sound stream")? {
                Item::Header(bhs) => (self.header, self.data) = (bhs, Vec::new()),
                Item::Data { bytes, .. } => self.data.extend_from_slice(bytes),
                Item::End { digest_ok } => {
                    assert!(digest_ok, "data digest of the initiator");
                    return Some((self.header, std::mem::take(&mut self.data)));
                }
            }
        }
    }
}

/// Tags of tasks that have ended, so that a straggler is told from a stranger.
pub(crate) type Ended = BTreeSet<u32>;
/// Numbered requests by CmdSN.
pub(crate) type ByCmdSn<T> = HashMap<u32, T>;
