//! One connection of a session: its numbers, its parser, and what it has to send.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::SessionConfig;
use super::event::{Action, PeerMisbehaved};
use super::snack::Asked;
use super::talk::Talk;
use super::task::{Kind, Table, Task, TaskId};
use super::transmit::Digests;
use crate::parameters::Parameters;
use crate::pdu::{Bhs, Snack};
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

/// What is sent before all else.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reply {
    Pong(Pong),
    Snack(Snack),
}

/// A PDU whose turn has not come: a status before it is missing, or data of its command.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) stat_sn: u32,
    pub(super) bhs: Bhs,
    pub(super) data: Vec<u8>,
}

/// How far a connection is on its way out of a session that lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    No,
    /// It takes no new commands; its logout goes out when those it has have ended, or then.
    Draining {
        until: Instant,
    },
    /// Its logout is queued or sent: no request may follow (RFC 7143 §11.14).
    LoggingOut,
}

/// What one connection has carried since its login; logins are not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// SCSI commands sent.
    pub commands: u64,
    /// PDUs sent.
    pub pdus_sent: u64,
    /// PDUs received.
    pub pdus_received: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
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
    /// Names this connection among all that the session ever had, to which its tasks are allegiant
    /// (RFC 7143 §4.2.5.1): a CID may be used again.
    pub(super) link: u16,
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
    pub(super) replies: VecDeque<Reply>,
    /// Requests that are sent immediate: management, pings, logout, text.
    pub(super) immediate: VecDeque<u16>,
    /// Immediate requests that the target had no room for: they go out again after a pause.
    pub(super) postponed: VecDeque<u16>,
    /// PDUs that wait for their turn, in the order of their StatSN.
    pub(super) held: VecDeque<Held>,
    /// StatSN behind the last that is known to have been sent, if that is later than the next.
    pub(super) statuses_up_to: u32,
    /// Missing statuses below this were asked for.
    pub(super) asked_up_to: u32,
    /// What was asked for again and has not come.
    pub(super) asked: Vec<Asked>,
    /// Tasks whose buffers the batch being written refers to, once per reference.
    pub(super) batched: Vec<u16>,
    /// A batch is being written.
    pub(super) writing: bool,
    pub(super) parting: Parting,
    /// Commands it may take before the others have had their turn.
    pub(super) credit: u32,
    /// Its commands under way, when that was looked at last.
    pub(super) depth: u32,
    /// Connections in a row that were lost soon after their login, under this CID.
    pub(super) short_lives: u32,
    pub(super) since: Instant,
    pub(super) traffic: Traffic,
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
    pub(super) fn new(
        (cid, link): (u16, u16),
        parameters: Parameters,
        exp_stat_sn: u32,
        now: Instant,
    ) -> Self {
        let digests = Digests {
            header: parameters.header_digest,
            data: parameters.data_digest,
        };
        let mut receiver = Receiver::new(parameters.max_recv_data_segment);
        receiver.set_digests(digests.header, digests.data);
        Self {
            cid,
            link,
            parameters,
            digests,
            receiver,
            exp_stat_sn,
            header: [0; 48],
            incoming: Incoming::Discard,
            collected: Vec::new(),
            bursts: VecDeque::new(),
            replies: VecDeque::new(),
            immediate: VecDeque::new(),
            postponed: VecDeque::new(),
            held: VecDeque::new(),
            statuses_up_to: exp_stat_sn,
            asked_up_to: exp_stat_sn,
            asked: Vec::new(),
            batched: Vec::new(),
            writing: false,
            parting: Parting::No,
            credit: 0,
            depth: 0,
            short_lives: 0,
            since: now,
            traffic: Traffic::default(),
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

    /// It takes new requests.
    pub(super) fn is_usable(&self) -> bool {
        self.parting == Parting::No && !self.logged_out
    }

    /// Requests that concern its own tasks may still be sent on it.
    pub(super) fn may_carry(&self) -> bool {
        self.parting != Parting::LoggingOut && !self.logged_out
    }

    /// Requests that the target had no room for go out again; behind a logout no other than that does.
    pub(super) fn repeat_postponed(&mut self, tasks: &Table) {
        let may_carry = self.may_carry();
        let may_go = |slot: &u16| {
            let is_logout = |task: &Task| matches!(task.kind, Kind::Logout { .. });
            may_carry || tasks.get(*slot).is_some_and(is_logout)
        };
        let postponed = std::mem::take(&mut self.postponed);
        let (going, staying): (VecDeque<u16>, VecDeque<u16>) =
            postponed.into_iter().partition(may_go);
        self.immediate.extend(going);
        self.postponed = staying;
    }

    /// It takes new requests, and its socket takes bytes.
    pub(super) fn is_available(&self) -> bool {
        self.is_usable() && !self.writing
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
