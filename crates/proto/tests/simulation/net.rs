//! The clock, the agenda and the connections of a run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::network::{Link, pieces};
use crate::rng::Rng;
use crate::scenario::Faults;
use crate::target::Timer;

/// What happens at some time.
#[derive(Debug)]
pub(crate) enum Happening {
    /// Bytes reach the target, or the initiator.
    Up(u64, Vec<u8>),
    Down(u64, Vec<u8>),
    /// The target learns that the connection is closed, or the initiator does.
    UpEnd(u64),
    DownEnd(u64),
    Target(Timer),
    /// The socket takes bytes again.
    Writable(u64),
    /// An attempt to connect succeeds, or a login has taken too long.
    Connected(u64),
    DialTimeout(u64),
    /// Opens the gate, or tries to find out again whether it may.
    Verify(u64),
    Caller,
    Tick,
    Thaw,
    FaultsEnd,
    RequestsEnd,
}

pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    agenda: BTreeMap<(Instant, u64), Happening>,
    next_number: u64,
    pub(crate) links: BTreeMap<u64, Link>,
    next_link: u64,
    /// The faults are over: new connections are quick too, or a long write over a slow one would never
    /// be done within the time limit of its command.
    pub(crate) is_calm: bool,
    pub(crate) trace: bool,
}

impl Net {
    pub(crate) fn new(start: Instant, rng: Rng, faults: Faults, trace: bool) -> Self {
        Self {
            now: start,
            start,
            rng,
            faults,
            agenda: BTreeMap::new(),
            next_number: 0,
            links: BTreeMap::new(),
            next_link: 0,
            is_calm: false,
            trace,
        }
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            let at = (self.now - self.start).as_secs_f64();
            println!("{at:10.3} {}", what());
        }
    }

    pub(crate) fn plan(&mut self, after: Duration, what: Happening) {
        self.plan_at(self.now + after, what);
    }

    pub(crate) fn plan_at(&mut self, at: Instant, what: Happening) {
        self.next_number += 1;
        self.agenda.insert((at, self.next_number), what);
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.agenda.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Goes to the next entry of the agenda.
    pub(crate) fn advance(&mut self) -> Happening {
        let ((at, _), what) = self.agenda.pop_first().expect("nothing ever happens again");
        self.now = at;
        what
    }

    pub(crate) fn open(&mut self) -> u64 {
        self.next_link += 1;
        let mut link = Link::new(self.now, &mut self.rng, &self.faults);
        if self.is_calm {
            link.heal();
        }
        self.links.insert(self.next_link, link);
        self.next_link
    }

    /// The initiator sends.
    pub(crate) fn send_up(&mut self, id: u64, bytes: Vec<u8>) {
        for piece in pieces(&mut self.rng, bytes) {
            let Some(link) = self.links.get_mut(&id) else {
                return;
            };
            let at = link.arrival_up(self.now, &mut self.rng);
            self.plan_at(at, Happening::Up(id, piece));
        }
    }

    /// The target sends.
    pub(crate) fn send_down(&mut self, id: u64, bytes: Vec<u8>) {
        for piece in pieces(&mut self.rng, bytes) {
            let Some(link) = self.links.get_mut(&id) else {
                return;
            };
            let at = link.arrival_down(self.now, &mut self.rng);
            self.plan_at(at, Happening::Down(id, piece));
        }
    }

    /// The target closes the connection: the initiator learns of it behind all that was sent.
    pub(crate) fn close_down(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let at = link.arrival_down(self.now, &mut self.rng);
        self.plan_at(at, Happening::DownEnd(id));
    }

    /// The initiator closes the connection.
    pub(crate) fn close_up(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let at = link.arrival_up(self.now, &mut self.rng);
        self.plan_at(at, Happening::UpEnd(id));
    }

    /// Takes what is on its way to the target on this connection.
    pub(crate) fn take_up(&mut self, id: u64) -> Vec<Vec<u8>> {
        let mut arriving = Vec::new();
        self.agenda.retain(|_, what| match what {
            Happening::Up(link, bytes) if *link == id => {
                arriving.push(std::mem::take(bytes));
                false
            }
            _ => true,
        });
        arriving
    }
}
