//! One connection of a session: its numbers, its parser, and what it has to send.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::SessionConfig;
use super::event::{Action, PeerMisbehaved};
use super::talk::Talk;
use super::task::TaskId;
use super::transmit::Digests;
use crate::parameters::Parameters;
use crate::pdu::Bhs;
use crate::stream::Receiver;

/// How far behind a StatSN may be that is only told: as many statuses as the largest table of tasks
/// can get at once.
const MAX_STALE_STATUS: u32 = super::task::MAX_TASKS as u32;

/// Data-Out to send: the answer to one R2T, or the unsolicited data of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Burst {
    pub(super) task: TaskId,
    pub(super) lun: [u8; 8],
    /// Target transfer tag; NIL for unsolicited data.
    pub(super) ttt: u32,
    pub(super) offset: u32,
    pub(super) end: u32,
    pub(super) data_sn: u32,
}

/// An answer to the target's ping (RFC 7143 §11.18).
#[derive(Debug, Clone, Copy)]
pub(super) struct Pong {
    pub(super) lun: [u8; 8],
    pub(super) ttt: u32,
}

/// Where the payload of the PDU being received goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incoming {
    /// Into the buffer of this slot, from this offset.
    Task { slot: u16, offset: u32 },
    /// Into `collected`: sense, text, a rejected header.
    Collect,
    /// Nowhere: it belongs to a task that was ended.
    Discard,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) cid: u16,
    pub(super) parameters: Parameters,
    pub(super) digests: Digests,
    pub(super) receiver: Receiver,
    /// StatSN due next (RFC 7143 §4.2.2.2); sent as ExpStatSN in every PDU.
    pub(super) exp_stat_sn: u32,
    /// The header of the PDU being received.
    pub(super) header: Bhs,
    pub(super) incoming: Incoming,
    pub(super) collected: Vec<u8>,
    pub(super) bursts: VecDeque<Burst>,
    pub(super) pongs: VecDeque<Pong>,
    /// The target has answered our logout.
    pub(super) logged_out: bool,
    /// The text sequence under way.
    pub(super) talk: Talk,
    pub(super) last_heard: Instant,
    /// When silence is looked at next; moved on lazily, so that traffic costs no timer.
    pub(super) check_at: Instant,
    /// The ping under way, and when it was sent.
    pub(super) ping: Option<Instant>,
}

impl Connection {
    pub(super) fn new(cid: u16, parameters: Parameters, exp_stat_sn: u32, now: Instant) -> Self {
        let digests = Digests {
            header: parameters.header_digest,
            data: parameters.data_digest,
        };
        let mut receiver = Receiver::new(parameters.max_recv_data_segment);
        receiver.set_digests(digests.header, digests.data);
        Self {
            cid,
            parameters,
            digests,
            receiver,
            exp_stat_sn,
            header: [0; 48],
            incoming: Incoming::Discard,
            collected: Vec::new(),
            bursts: VecDeque::new(),
            pongs: VecDeque::new(),
            logged_out: false,
            talk: Talk::default(),
            last_heard: now,
            check_at: now,
            ping: None,
        }
    }

    /// Takes a StatSN that is consumed (RFC 7143 §4.2.2.2, rule NUM-13).
    pub(super) fn consume_stat_sn(&mut self, got: u32) -> Result<(), PeerMisbehaved> {
        self.expect_stat_sn(got)?;
        self.exp_stat_sn = got.wrapping_add(1);
        Ok(())
    }

    /// Compares a StatSN that is not consumed: a higher one shows that a status was lost. One that
    /// is a little behind was written before a status that overtook it.
    pub(super) fn compare_stat_sn(&self, got: u32) -> Result<(), PeerMisbehaved> {
        if self.exp_stat_sn.wrapping_sub(got) <= MAX_STALE_STATUS {
            return Ok(());
        }
        self.expect_stat_sn(got)
    }

    fn expect_stat_sn(&self, got: u32) -> Result<(), PeerMisbehaved> {
        if got == self.exp_stat_sn {
            return Ok(());
        }
        Err(PeerMisbehaved::StatSnGap {
            got,
            expected: self.exp_stat_sn,
        })
    }

    /// What the driver must do when the connection is over.
    pub(super) fn disconnect(&self) -> Action {
        Action::Disconnect {
            cid: self.cid,
            after_logout: self.logged_out,
        }
    }

    pub(super) fn poll_timeout(&self, config: &SessionConfig) -> Option<Instant> {
        (config.ping_interval > Duration::ZERO).then_some(self.check_at)
    }
}
