//! One connection in the full feature phase: its StatSN, and the responses that are not acknowledged
//! yet.

use std::collections::VecDeque;
use std::time::Instant;

use super::login::Joined;
use crate::wire::{Framer, Header, at_most};

/// A response that the initiator has not acknowledged.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) stat_sn: u32,
    pub(super) header: Header,
    pub(super) data: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Connection {
    /// The TCP connection; `None` when it is gone.
    pub(super) link: Option<u64>,
    /// When its tasks die, once it is gone.
    pub(super) dies_at: Option<Instant>,
    pub(super) framer: Framer,
    /// The initiator's MaxRecvDataSegmentLength.
    pub(super) max_send: usize,
    pub(super) stat_sn: u32,
    pub(super) kept: VecDeque<Kept>,
    /// Tags of our pings that were not answered, with their logical units.
    pub(super) pings: Vec<(u32, [u8; 8])>,
}

impl Connection {
    pub(super) fn new(link: u64, joined: &Joined) -> Self {
        Self {
            link: Some(link),
            dies_at: None,
            framer: Framer::default(),
            max_send: joined.max_send as usize,
            stat_sn: joined.stat_sn,
            kept: VecDeque::new(),
            pings: Vec::new(),
        }
    }

    /// The initiator has all responses before `exp_stat_sn`. One from the future is that of an earlier
    /// connection of this name, in a logout that took its time.
    pub(super) fn acknowledge(&mut self, exp_stat_sn: u32) {
        if !at_most(exp_stat_sn, self.stat_sn) {
            return;
        }
        while let Some(kept) = self.kept.front()
            && !at_most(exp_stat_sn, kept.stat_sn)
        {
            self.kept.pop_front();
        }
    }

    /// The response with this number was acknowledged.
    pub(super) fn has_acknowledged(&self, stat_sn: u32) -> bool {
        match self.kept.front() {
            Some(oldest) => !at_most(oldest.stat_sn, stat_sn),
            None => true,
        }
    }
}
