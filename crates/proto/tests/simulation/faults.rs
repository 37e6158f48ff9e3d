//! What goes wrong in a run: each seed switches on some faults and leaves others out, so that all
//! pairs of faults meet and each is seen alone.

use hawser_proto::parameters::Parameters;

use crate::rng::Rng;

/// Chances are in a thousand, of the thing named.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    /// A connection breaks after some number of bytes.
    pub(crate) cut: u64,
    /// A byte of the target's stream is damaged (only with both digests).
    pub(crate) corrupt: u64,
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
    /// A task management function is ignored or refused.
    pub(crate) refuse_management: u64,
    /// A command takes seconds.
    pub(crate) slow: u64,
    /// The caller aborts a command or resets a unit at a tick.
    pub(crate) caller_aborts: u64,
}

impl Faults {
    pub(crate) fn swarm(rng: &mut Rng, parameters: &Parameters) -> Self {
        let mut some = |chance: u64| if rng.chance(400) { chance } else { 0 };
        let digests = parameters.header_digest && parameters.data_digest;
        Self {
            cut: some(700),
            corrupt: if digests { some(700) } else { 0 },
            restart: some(8),
            freeze: some(8),
            notice: some(40),
            window: some(60),
            login: some(400),
            move_group: some(500),
            busy: some(50),
            hang: some(15),
            reject: some(25),
            refuse_management: some(400),
            slow: some(150),
            caller_aborts: some(20),
        }
    }

    /// A target that does all it should.
    pub(crate) fn none() -> Self {
        Self {
            cut: 0,
            corrupt: 0,
            restart: 0,
            freeze: 0,
            notice: 0,
            window: 0,
            login: 0,
            move_group: 0,
            busy: 0,
            hang: 0,
            reject: 0,
            refuse_management: 0,
            slow: 0,
            caller_aborts: 0,
        }
    }
}

/// What a login of this run agrees on, each time the same.
pub(crate) fn parameters(rng: &mut Rng) -> Parameters {
    let digests = rng.pick(&[(false, false), (true, true), (true, true), (false, true)]);
    let max_burst = rng.pick(&[512, 1024, 4096]);
    Parameters {
        header_digest: digests.0,
        data_digest: digests.1,
        initial_r2t: rng.chance(500),
        immediate_data: rng.chance(500),
        max_send_data_segment: rng.pick(&[512, 600, 1024, 8192]),
        max_recv_data_segment: rng.pick(&[512, 700, 4096]),
        max_burst,
        first_burst: rng.pick(&[512, 1024, 4096]).min(max_burst),
        time2wait: rng.range(0, 2) as u16,
        time2retain: rng.range(0, 4) as u16,
        max_outstanding_r2t: rng.range(1, 4) as u16,
        ..Parameters::default()
    }
}
