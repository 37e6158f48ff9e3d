//! What the initiator sends, judged by what it was sent before: the rules of RFC 7143 that hold on the
//! wire. It sees the bytes of each connection as they leave the session and as they reach it.

mod data;
mod numbers;
mod received;
mod requests;

use std::collections::{BTreeMap, BTreeSet};

use hawser_proto::login::LoggedIn;
use hawser_proto::parameters::Parameters;

use crate::tally::Tally;
use crate::wire::{Digests, Framer, Header, Pdu};

/// A connection as the initiator must see it.
#[derive(Debug)]
struct Connection {
    cid: u16,
    parameters: Parameters,
    up: Framer,
    down: Framer,
    /// The header digest of something received was wrong.
    is_unframed: bool,
    /// ExpStatSN last sent.
    sent_exp_stat_sn: u32,
    /// All statuses before this one have been received, and some behind it.
    has_before: u32,
    has_ahead: BTreeSet<u32>,
    /// Pings that wait for their answer: target transfer tags and logical units.
    pings: Vec<(u32, [u8; 8])>,
    /// A logout of it was sent on it.
    is_left: bool,
    is_lost: bool,
}

impl Connection {
    fn new(login: &LoggedIn) -> Self {
        let parameters = login.parameters.clone();
        let digests = Digests {
            header: parameters.header_digest,
            data: parameters.data_digest,
        };
        Self {
            cid: login.cid,
            parameters,
            up: Framer::new(digests),
            down: Framer::new(digests),
            is_unframed: false,
            sent_exp_stat_sn: login.exp_stat_sn,
            has_before: login.exp_stat_sn,
            has_ahead: BTreeSet::new(),
            pings: Vec::new(),
            is_left: false,
            is_lost: false,
        }
    }
}

#[derive(Debug)]
struct R2t {
    ttt: u32,
    sn: u32,
    next: u32,
    end: u32,
    data_sn: u32,
}

/// A task as the wire shows it.
#[derive(Debug)]
struct Task {
    link: u64,
    header: Header,
    /// Unsolicited data due: where it goes on, where it ends, its DataSN.
    unsolicited: Option<(u32, u32, u32)>,
    r2ts: Vec<R2t>,
    /// R2TSNs or DataSNs received.
    received: BTreeSet<u32>,
    /// Data-In with the A bit: DataSN, tag.
    marks: Vec<(u32, u32)>,
    /// DataSNs before this one were acknowledged.
    acknowledged: u32,
    /// It has its answer, or was ended by a function, or its caller was told of its end.
    is_over: bool,
}

/// A numbered request that the target has not acknowledged.
#[derive(Debug)]
struct Unacknowledged {
    link: u64,
    header: Header,
}

#[derive(Debug, Default)]
pub(crate) struct Checkers {
    next_cmd_sn: u32,
    exp_cmd_sn: u32,
    max_cmd_sn: u32,
    connections: BTreeMap<u64, Connection>,
    tasks: BTreeMap<u32, Task>,
    unacknowledged: BTreeMap<u32, Unacknowledged>,
    /// Numbers that are missing at the target and may be sent again.
    holes: BTreeSet<u32>,
    /// By tag.
    requests: BTreeMap<u32, Header>,
    /// The tag of the last management function: the answer to one that was given up is not waited for.
    function: u32,
    /// Connections that were logged out of, and those of them whose tasks may be reassigned.
    cleaned: BTreeSet<u64>,
    recovered: BTreeSet<u64>,
    /// The session was logged out of.
    is_left: bool,
    pub(crate) tally: Tally,
}

impl Checkers {
    /// A connection has logged in; the first one of a session begins all anew.
    pub(crate) fn logged_in(&mut self, link: u64, login: &LoggedIn, is_leading: bool) {
        if is_leading {
            let tally = std::mem::take(&mut self.tally);
            *self = Self {
                tally,
                next_cmd_sn: login.cmd_sn.0,
                exp_cmd_sn: login.exp_cmd_sn.0,
                max_cmd_sn: login.max_cmd_sn.0,
                ..Self::default()
            };
        } else {
            self.reinstated(login.cid, login.parameters.error_recovery_level >= 2);
            self.window(login.exp_cmd_sn.0, login.max_cmd_sn.0);
        }
        self.connections.insert(link, Connection::new(login));
    }

    pub(crate) fn lost(&mut self, link: u64) {
        if let Some(connection) = self.connections.get_mut(&link) {
            connection.is_lost = true;
        }
    }

    /// The caller was told of the end of the task in this slot: nothing more is sent of it.
    pub(crate) fn done(&mut self, slot: u16) {
        for (_, task) in self
            .tasks
            .iter_mut()
            .filter(|(itt, _)| **itt as u16 == slot)
        {
            task.is_over = true;
        }
    }

    /// The session gives these bytes to be sent.
    pub(crate) fn sent(&mut self, link: u64, bytes: &[u8]) {
        let connection = self
            .connections
            .get_mut(&link)
            .expect("a connection that is up");
        let pdus = connection.up.take(bytes).expect("our own header digest");
        for pdu in pdus {
            assert!(pdu.is_sound, "our own data digest");
            self.check(link, &pdu);
        }
        // Batches hold whole PDUs.
        assert!(self.connections[&link].up.is_empty());
    }

    /// These bytes reach the session.
    pub(crate) fn received(&mut self, link: u64, bytes: &[u8]) {
        let connection = self
            .connections
            .get_mut(&link)
            .expect("a connection that is up");
        if connection.is_unframed {
            return;
        }
        let Ok(pdus) = connection.down.take(bytes) else {
            connection.is_unframed = true;
            self.tally.count("a wrong header digest heard of");
            return;
        };
        for pdu in pdus {
            if pdu.is_sound {
                self.take(link, &pdu);
            } else {
                self.tally.count("a wrong data digest heard of");
            }
        }
    }

    fn check(&mut self, link: u64, pdu: &Pdu) {
        self.check_numbers(link, &pdu.header);
        self.check_pdu(link, pdu);
    }

    fn level(&self, link: u64) -> u8 {
        self.connections[&link].parameters.error_recovery_level
    }
}
