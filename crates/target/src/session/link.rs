//! One connection's part of a session: what it has agreed on, its StatSN, what it has to write.

use std::net::SocketAddr;
use std::sync::Arc;

use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::SequenceNumbers;
use hawser_proto::serial::Serial;

use super::gather::Rules;
use super::losses::Times;
use super::statuses::{Ended, Statuses};
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
    pub(crate) statuses: Statuses,
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
            statuses: Statuses::default(),
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
    pub(crate) fn acknowledge(&mut self, exp_stat_sn: u32) -> Vec<Ended> {
        if Serial(exp_stat_sn) <= Serial(self.stat_sn) {
            self.acknowledged.advance_to(Serial(exp_stat_sn));
        }
        self.statuses.forget(self.acknowledged)
    }

    /// The first StatSN that has not been acknowledged.
    pub(crate) fn acknowledged(&self) -> Serial {
        self.acknowledged
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
