//! One connection's part of a session: what it has agreed on, its StatSN, what it has to write.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::{Bhs, SequenceNumbers};
use hawser_proto::serial::Serial;

use super::gather::Rules;
use super::losses::Times;
use super::text::TextExchange;
use super::window::Window;
use crate::connection::mailbox::Mailbox;
use crate::connection::output::Output;
use crate::faults::Faults;

/// How a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// Not at all.
    Open,
    /// Once all is written: the initiator has logged out.
    AfterOutput,
    /// At once.
    Now,
}

/// How many statuses are kept for an initiator that does not acknowledge them; the oldest go first.
const KEPT_STATUSES: usize = 4096;

/// The data segment of a PDU that may have to be sent again.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    /// Bytes of its own.
    Bytes(Vec<u8>),
    /// A part of the data of a read.
    Part(Arc<Vec<u8>>, Range<usize>),
}

/// A PDU that took a StatSN, until that is acknowledged.
#[derive(Debug)]
struct Status {
    stat_sn: u32,
    header: Bhs,
    payload: Kept,
    /// The command that it ended.
    task: Option<u32>,
}

/// How the initiator has taken leave of a connection (RFC 7143 §11.14.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// Not at all: if it ends, it was lost.
    None,
    /// It was logged out: its tasks have ended, or wait for another connection already.
    LoggedOut,
}

/// A connection in the full feature phase.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) out: Output,
    pub(crate) parameters: Parameters,
    pub(crate) rules: Rules,
    pub(crate) text: Option<TextExchange>,
    pub(crate) ending: Ending,
    pub(crate) farewell: Farewell,
    /// The times that were announced for its end.
    pub(crate) announced: Option<Times>,
    /// The address by which the initiator reached us.
    pub(crate) local: SocketAddr,
    /// Wakes the connection when another one, or a worker, has left something to write.
    pub(crate) mailbox: Arc<Mailbox>,
    stat_sn: u32,
    /// ExpStatSN: every status before it has arrived.
    acknowledged: Serial,
    /// What was sent and not acknowledged, if the session has recovery.
    statuses: VecDeque<Status>,
}

impl Link {
    /// A connection that has just logged in; `stat_sn` is the number of its next status.
    pub(crate) fn new(
        parameters: Parameters,
        stat_sn: u32,
        local: SocketAddr,
        mailbox: Arc<Mailbox>,
    ) -> Self {
        let mut out = Output::default();
        out.set_digests(parameters.header_digest, parameters.data_digest);
        Self {
            out,
            rules: Rules::from(&parameters),
            parameters,
            text: None,
            ending: Ending::Open,
            farewell: Farewell::None,
            announced: None,
            local,
            mailbox,
            stat_sn,
            acknowledged: Serial(stat_sn),
            statuses: VecDeque::new(),
        }
    }

    /// Takes over what a session agreed on in its leading login, and only there.
    pub(crate) fn inherit(&mut self, session: &Parameters) {
        self.parameters = Parameters {
            header_digest: self.parameters.header_digest,
            data_digest: self.parameters.data_digest,
            max_send_data_segment: self.parameters.max_send_data_segment,
            max_recv_data_segment: self.parameters.max_recv_data_segment,
            ..session.clone()
        };
        self.rules = Rules::from(&self.parameters);
    }

    /// The numbers of the next PDU, which takes a StatSN or only shows it.
    pub(crate) fn numbers<T>(
        &mut self,
        window: &Window<T>,
        takes_status: bool,
        faults: &Faults,
    ) -> SequenceNumbers {
        if takes_status && let Some(distance) = faults.take_status_jump() {
            self.stat_sn = self.stat_sn.wrapping_add(distance);
        }
        let stat_sn = self.stat_sn;
        self.stat_sn = self.stat_sn.wrapping_add(u32::from(takes_status));
        SequenceNumbers {
            stat_sn,
            exp_cmd_sn: window.expected().0,
            max_cmd_sn: window.max().0,
        }
    }

    /// Takes note of ExpStatSN, and gives the commands that ended with a status that has so
    /// arrived, with its StatSN. What lies ahead of all that was sent acknowledges nothing.
    pub(crate) fn acknowledge(&mut self, exp_stat_sn: u32) -> Vec<(u32, u32)> {
        if Serial(exp_stat_sn) <= Serial(self.stat_sn) {
            self.acknowledged.advance_to(Serial(exp_stat_sn));
        }
        let mut ended = Vec::new();
        while let Some(first) = self.statuses.front() {
            if Serial(first.stat_sn) >= self.acknowledged {
                break;
            }
            ended.extend(first.task.map(|itt| (itt, first.stat_sn)));
            self.statuses.pop_front();
        }
        ended
    }

    /// The first StatSN that has not been acknowledged.
    pub(crate) fn acknowledged(&self) -> Serial {
        self.acknowledged
    }

    /// Keeps a PDU that took this StatSN, in place of the one that did before.
    pub(crate) fn keep(&mut self, stat_sn: u32, header: &Bhs, payload: Kept, task: Option<u32>) {
        let status = Status {
            stat_sn,
            header: *header,
            payload,
            task,
        };
        let last = self.statuses.back();
        let repeated = last.is_some_and(|last| Serial(last.stat_sn) >= Serial(stat_sn));
        if repeated {
            let same = self.statuses.iter_mut().find(|old| old.stat_sn == stat_sn);
            if let Some(old) = same {
                *old = status;
            }
            return;
        }
        if self.statuses.len() >= KEPT_STATUSES {
            self.statuses.pop_front();
        }
        self.statuses.push_back(status);
    }

    /// What was kept under these numbers, `end` not included.
    pub(crate) fn kept_in(
        &self,
        begin: Serial,
        end: Serial,
    ) -> impl Iterator<Item = (Bhs, Kept)> + use<'_> {
        self.statuses
            .iter()
            .filter(move |status| Serial(status.stat_sn) >= begin && Serial(status.stat_sn) < end)
            .map(|status| (status.header, status.payload.clone()))
    }

    /// The StatSN of the next status.
    pub(crate) fn next_status(&self) -> Serial {
        Serial(self.stat_sn)
    }

    /// Whether every status before this one has arrived.
    pub(crate) fn has_acknowledged(&self, stat_sn: Serial) -> bool {
        self.acknowledged >= stat_sn
    }

    /// Ends the connection in this way, or in the harder way already chosen.
    pub(crate) fn end(&mut self, ending: Ending) {
        self.ending = self.ending.max(ending);
        self.mailbox.wake();
    }
}
