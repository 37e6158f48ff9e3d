//! Connections between the two: bytes arrive in order, late, in other pieces, damaged, or no more.
//! Each connection has delays of its own, so what is sent on two arrives in any order.

use std::time::{Duration, Instant};

use crate::rng::Rng;
use crate::scenario::Faults;

/// What becomes of a connection that carries no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// Both ends learn of it soon.
    Reset,
    /// The initiator learns nothing.
    Silent,
}

/// Damage to a stream: one bit, again and again.
#[derive(Debug, Clone, Copy)]
struct Damage {
    /// Bytes until the next.
    left: u64,
    /// Bytes from one to the next.
    period: u64,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    /// When the last bytes of a direction arrive: later ones may not overtake them.
    pub(crate) up_at: Instant,
    pub(crate) down_at: Instant,
    /// The longest time that bytes take.
    latency: u64,
    /// Bytes in both directions until it breaks.
    budget: Option<u64>,
    pub(crate) way: Break,
    /// What is damaged of the target's stream, and of the initiator's.
    damage_down: Option<Damage>,
    damage_up: Option<Damage>,
    /// Digests are in use: damage is found out.
    pub(crate) is_protected: bool,
    /// It carries no more.
    pub(crate) is_broken: bool,
}

impl Link {
    pub(crate) fn new(now: Instant, rng: &mut Rng, faults: &Faults) -> Self {
        let reach = rng.pick(&[2_000, 10_000, 40_000]);
        let budget = rng.chance(faults.cut).then(|| rng.range(0, reach));
        let mut damage = |chance| {
            rng.chance(chance).then(|| Damage {
                left: rng.range(0, reach),
                period: rng.range(1_000, 2 * reach),
            })
        };
        let (damage_down, damage_up) = (damage(faults.corrupt), damage(faults.corrupt));
        let way = match rng.chance(faults.silent) {
            true => Break::Silent,
            false => Break::Reset,
        };
        Self {
            up_at: now,
            down_at: now,
            latency: rng.pick(&[1, 3, 3, 10, 60]),
            budget,
            way,
            damage_down,
            damage_up,
            is_protected: false,
            is_broken: false,
        }
    }

    /// Bytes arrive, as many as still do; `true` when it breaks now.
    pub(crate) fn carry(&mut self, bytes: &mut Vec<u8>) -> bool {
        if self.is_broken {
            bytes.clear();
            return false;
        }
        let Some(budget) = &mut self.budget else {
            return false;
        };
        bytes.truncate(*budget as usize);
        *budget -= bytes.len() as u64;
        self.is_broken = *budget == 0;
        self.is_broken
    }

    /// No more faults.
    pub(crate) fn heal(&mut self) {
        self.budget = None;
        (self.damage_down, self.damage_up) = (None, None);
        self.latency = 3;
    }

    pub(crate) fn damage_down(&mut self, bytes: &mut [u8]) -> bool {
        self.is_protected && damage(&mut self.damage_down, bytes)
    }

    pub(crate) fn damage_up(&mut self, bytes: &mut [u8]) -> bool {
        self.is_protected && damage(&mut self.damage_up, bytes)
    }

    /// When bytes that are sent now arrive at the target.
    pub(crate) fn arrival_up(&mut self, now: Instant, rng: &mut Rng) -> Instant {
        self.up_at = self.up_at.max(now + self.delay(rng));
        self.up_at
    }

    /// When bytes that are sent now arrive at the initiator.
    pub(crate) fn arrival_down(&mut self, now: Instant, rng: &mut Rng) -> Instant {
        self.down_at = self.down_at.max(now + self.delay(rng));
        self.down_at
    }

    fn delay(&self, rng: &mut Rng) -> Duration {
        rng.millis(0, self.latency)
    }
}

/// Damages a bit when its time has come.
fn damage(damage: &mut Option<Damage>, bytes: &mut [u8]) -> bool {
    let Some(damage) = damage else { return false };
    let byte = bytes.get_mut(damage.left as usize);
    let is_hit = byte.is_some();
    if let Some(byte) = byte {
        *byte ^= 1 << (damage.left % 8);
        damage.left += damage.period;
    }
    damage.left = damage.left.saturating_sub(bytes.len() as u64);
    is_hit
}

/// Cuts bytes into pieces.
pub(crate) fn pieces(rng: &mut Rng, mut bytes: Vec<u8>) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    while bytes.len() > 1 && rng.chance(200) {
        let at = rng.range(1, bytes.len() as u64 - 1) as usize;
        let rest = bytes.split_off(at);
        pieces.push(std::mem::replace(&mut bytes, rest));
    }
    pieces.push(bytes);
    pieces
}
