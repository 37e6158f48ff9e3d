//! Connections between the two: bytes arrive in order, late, in other pieces, or no more.

use std::time::Instant;

use crate::faults::Faults;
use crate::rng::Rng;

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: u64,
    /// When the last bytes of a direction arrive: later ones may not overtake them.
    pub(crate) last_up: Instant,
    pub(crate) last_down: Instant,
    /// Bytes in both directions until it breaks.
    budget: Option<u64>,
    /// Bytes from the target until one is damaged.
    damage: Option<u64>,
}

impl Link {
    pub(crate) fn new(id: u64, now: Instant, rng: &mut Rng, faults: &Faults) -> Self {
        let mut within = |chance| rng.chance(chance).then(|| rng.range(0, 30_000));
        Self {
            id,
            last_up: now,
            last_down: now,
            budget: within(faults.cut),
            damage: within(faults.corrupt),
        }
    }

    /// Bytes arrive: gives how many of them still do.
    pub(crate) fn carry(&mut self, length: usize) -> usize {
        let Some(budget) = &mut self.budget else {
            return length;
        };
        let carried = (length as u64).min(*budget);
        *budget -= carried;
        carried as usize
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.budget == Some(0)
    }

    /// No more faults.
    pub(crate) fn heal(&mut self) {
        if !self.is_broken() {
            self.budget = None;
        }
        self.damage = None;
    }

    /// Damages a byte of the target's stream when its time has come.
    pub(crate) fn damage(&mut self, bytes: &mut [u8]) {
        let Some(left) = &mut self.damage else { return };
        if let Some(byte) = bytes.get_mut(*left as usize) {
            *byte ^= 1 << (*left % 8);
            self.damage = None;
        } else {
            *left -= bytes.len() as u64;
        }
    }
}

/// Cuts bytes into pieces.
pub(crate) fn pieces(rng: &mut Rng, mut bytes: Vec<u8>) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    while bytes.len() > 1 && rng.chance(300) {
        let at = rng.range(1, bytes.len() as u64 - 1) as usize;
        let rest = bytes.split_off(at);
        pieces.push(std::mem::replace(&mut bytes, rest));
    }
    pieces.push(bytes);
    pieces
}
