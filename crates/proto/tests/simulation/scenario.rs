//! What a seed draws: the keys of the login, the session's settings, and what goes wrong. Each seed
//! switches on some faults and leaves others out, so that all pairs of faults meet and each is seen
//! alone.

use std::time::Duration;

use hawser_proto::login::{DigestChoice, Offers, SecurityStart};
use hawser_proto::session::{Backoff, Hold, Policy, SessionConfig};

use crate::rng::Rng;

/// Chances are in a thousand, of the thing named.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// A connection breaks after some number of bytes.
    pub(crate) cut: u64,
    /// ... without the initiator being told.
    pub(crate) silent: u64,
    /// A bit is damaged (only with both digests).
    pub(crate) corrupt: u64,
    /// A PDU of the target is lost whole, as one with a bad header digest may be.
    pub(crate) swallow: u64,
    /// The target restarts at a tick.
    pub(crate) restart: u64,
    /// The target does nothing for a while from a tick on.
    pub(crate) freeze: u64,
    /// An asynchronous message at a tick.
    pub(crate) notice: u64,
    /// The window changes at a tick.
    pub(crate) window: u64,
    /// A login fails.
    pub(crate) login: u64,
    /// A login goes to the other portal group.
    pub(crate) move_group: u64,
    /// A command is answered BUSY.
    pub(crate) busy: u64,
    /// A command is never answered.
    pub(crate) hang: u64,
    /// A command is rejected; half of these without counting its CmdSN.
    pub(crate) reject: u64,
    /// A task management function, a logout or a SNACK is ignored or refused.
    pub(crate) refuse: u64,
    /// A command takes seconds.
    pub(crate) slow: u64,
    /// The caller aborts a command or resets a unit at a tick.
    pub(crate) caller_aborts: u64,
    /// The caller adds or removes a connection, changes the policy, or takes commands back, at a tick.
    pub(crate) caller_rearranges: u64,
    /// What the RFC reserves is not zero, in any PDU or in none.
    pub(crate) garbage: u64,
    /// A Data-In without data comes along.
    pub(crate) empty: u64,
    /// Data that came is asked for again (error recovery level 1).
    pub(crate) ask_again: u64,
}

impl Faults {
    fn draw(rng: &mut Rng, scenario: &Keys) -> Self {
        let mut some = |chance: u64| if rng.chance(300) { chance } else { 0 };
        let digests = scenario.header_digest && scenario.data_digest;
        let move_group = some(500);
        Self {
            cut: some(700),
            silent: some(500),
            corrupt: if digests { some(700) } else { 0 },
            swallow: some(15),
            restart: some(10),
            freeze: some(10),
            notice: some(40),
            window: some(60),
            login: some(400),
            move_group,
            busy: some(50),
            hang: some(15),
            reject: some(25),
            refuse: some(400),
            slow: some(150),
            caller_aborts: some(20),
            caller_rearranges: some(20),
            garbage: some(500),
            empty: some(50),
            ask_again: some(100),
        }
    }
}

/// What one side wants of the negotiated keys. Lengths are in bytes, times in seconds.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) header_digest: bool,
    pub(crate) data_digest: bool,
    pub(crate) max_connections: u16,
    pub(crate) initial_r2t: bool,
    pub(crate) immediate_data: bool,
    pub(crate) max_recv_data_segment: u32,
    pub(crate) max_burst: u32,
    pub(crate) first_burst: u32,
    pub(crate) time2wait: u16,
    pub(crate) time2retain: u16,
    pub(crate) max_outstanding_r2t: u16,
    pub(crate) data_pdu_in_order: bool,
    pub(crate) data_sequence_in_order: bool,
    pub(crate) error_recovery_level: u8,
}

impl Keys {
    fn draw(rng: &mut Rng, digests: (bool, bool), level: u8) -> Self {
        let max_burst = rng.pick(&[512, 1024, 4096]);
        let data_sequence_in_order = rng.chance(600);
        // RFC 7143 §13.19.
        let most_r2ts = if level > 0 && data_sequence_in_order {
            1
        } else {
            4
        };
        Self {
            header_digest: digests.0,
            data_digest: digests.1,
            max_connections: rng.range(1, 4) as u16,
            initial_r2t: rng.chance(300),
            immediate_data: rng.chance(700),
            max_recv_data_segment: rng.pick(&[512, 700, 1024, 8192]),
            max_burst,
            first_burst: rng.pick(&[512, 1024, 4096]).min(max_burst),
            time2wait: rng.range(0, 2) as u16,
            time2retain: rng.range(0, 4) as u16,
            max_outstanding_r2t: rng.range(1, most_r2ts) as u16,
            data_pdu_in_order: rng.chance(700),
            data_sequence_in_order,
            error_recovery_level: level,
        }
    }

    /// As proposals of the initiator.
    pub(crate) fn offers(&self) -> Offers {
        let digest = |wanted| match wanted {
            true => vec![DigestChoice::Crc32c, DigestChoice::None],
            false => vec![DigestChoice::None],
        };
        Offers {
            header_digest: digest(self.header_digest),
            data_digest: digest(self.data_digest),
            max_connections: self.max_connections,
            initial_r2t: self.initial_r2t,
            immediate_data: self.immediate_data,
            max_recv_data_segment: self.max_recv_data_segment,
            max_burst: self.max_burst,
            first_burst: self.first_burst,
            time2wait: self.time2wait,
            time2retain: self.time2retain,
            max_outstanding_r2t: self.max_outstanding_r2t,
            data_pdu_in_order: self.data_pdu_in_order,
            data_sequence_in_order: self.data_sequence_in_order,
            error_recovery_level: self.error_recovery_level,
            ..Offers::default()
        }
    }
}

/// All that a seed draws before the run begins.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) initiator: Keys,
    pub(crate) target: Keys,
    pub(crate) security: SecurityStart,
    pub(crate) faults: Faults,
    /// Commands submitted in all, besides those that ask who the disk is.
    pub(crate) commands: u64,
    /// Commands under way at once.
    pub(crate) depth: usize,
    /// The most blocks of one command.
    pub(crate) longest: usize,
    pub(crate) hold: Hold,
    /// Connections wanted.
    pub(crate) connections: u16,
    pub(crate) policy: Policy,
}

/// The highest error recovery level that the core can do, and the most connections.
const HIGHEST_LEVEL: u64 = 2;
const MOST_CONNECTIONS: u64 = 4;

impl Scenario {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let digests = rng.pick(&[(false, false), (true, true), (true, true), (false, true)]);
        let level = rng.range(0, HIGHEST_LEVEL) as u8;
        let initiator = Keys::draw(rng, digests, level);
        let target = Keys::draw(rng, digests, level);
        let faults = Faults::draw(rng, &initiator);
        let hold = match rng.chance(500) {
            true => Hold::Forever,
            false => Hold::For(rng.millis(3000, 20_000)),
        };
        Self {
            initiator,
            target,
            security: rng.pick(&[SecurityStart::Propose, SecurityStart::Skip]),
            faults,
            commands: rng.range(20, 200),
            depth: rng.range(1, 16) as usize,
            longest: rng.pick(&[1, 8, 64]),
            hold,
            connections: rng.range(1, MOST_CONNECTIONS) as u16,
            policy: policy(rng),
        }
    }

    pub(crate) fn config(&self, rng: &mut Rng) -> SessionConfig {
        SessionConfig {
            max_tasks: rng.pick(&[1, 2, 8, 32]),
            hold: self.hold,
            ping_interval: rng.millis(500, 5000),
            ping_timeout: rng.millis(500, 3000),
            management_timeout: rng.millis(1000, 4000),
            backoff: Backoff {
                first: Duration::from_millis(100),
                longest: Duration::from_secs(2),
            },
            connections: self.connections,
            policy: self.policy.clone(),
        }
    }
}

pub(crate) fn policy(rng: &mut Rng) -> Policy {
    match rng.range(0, 3) {
        0 => Policy::RoundRobin,
        1 => Policy::LeastQueueDepth,
        2 => Policy::FailOver,
        _ => Policy::Weighted(vec![
            (0, rng.range(0, 3) as u16),
            (1, rng.range(1, 3) as u16),
        ]),
    }
}
