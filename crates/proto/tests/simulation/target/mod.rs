//! The model target: logins, sessions, tasks, a RAM disk. It is written from the RFC, knows nothing of
//! the codec it tests, and keeps executing the writes of a lost session until that is reinstated or its
//! time is over.

mod commands;
mod connection;
mod login;
mod logout;
mod management;
mod reads;
mod session;
mod snack;
mod speech;
mod task;
mod writes;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::disk::BLOCKS;
use crate::rng::Rng;
use crate::scenario::{Faults, Keys};
use connection::Connection;
use login::{Joined, Login};
use session::Session;
pub(crate) use speech::Speech;

/// What the target wants of the world.
#[derive(Debug)]
pub(crate) enum Effect {
    Send { link: u64, bytes: Vec<u8> },
    Timer { after: Duration, timer: Timer },
    Close { link: u64 },
}

/// What is to be done later, unless its session or task is gone by then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timer {
    session: u64,
    step: Step,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// The next step of a task: send data, apply, respond.
    Task(u64),
    /// The answer to an R2T is late.
    LateData { task: u64, ttt: u32 },
    /// Carry out a management function.
    Manage(management::Function),
}

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    now: Instant,
    rng: Rng,
    pub(crate) faults: Faults,
    keys: Keys,
    pub(crate) disk: Vec<u64>,
    pub(crate) effects: Vec<Effect>,
    next_uid: u64,
    next_ttt: u32,
    next_tsih: u16,
    /// Commands granted from ExpCmdSN on.
    pub(crate) grant: u32,
    /// A lost session still has writes to carry out: none may be sent again yet.
    haunted: bool,
    trace: bool,
}

impl Shared {
    fn ttt(&mut self) -> u32 {
        self.next_ttt = self.next_ttt.wrapping_add(1);
        self.next_ttt
    }

    fn later(&mut self, session: u64, after: Duration, step: Step) {
        let timer = Timer { session, step };
        self.effects.push(Effect::Timer { after, timer });
    }
}

#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) shared: Shared,
    sessions: BTreeMap<u64, Session>,
    logins: BTreeMap<u64, Login>,
    next_session: u64,
    /// No logins before.
    pub(crate) down_until: Option<Instant>,
}

impl Target {
    pub(crate) fn new(now: Instant, rng: Rng, faults: Faults, keys: Keys, trace: bool) -> Self {
        Self {
            shared: Shared {
                now,
                rng,
                faults,
                keys,
                disk: vec![0; BLOCKS],
                effects: Vec::new(),
                next_uid: 0,
                next_ttt: 0,
                next_tsih: 0,
                grant: 16,
                haunted: false,
                trace,
            },
            sessions: BTreeMap::new(),
            logins: BTreeMap::new(),
            next_session: 0,
            down_until: None,
        }
    }

    /// A TCP connection to a portal of this group.
    pub(crate) fn open(&mut self, link: u64, group: u16) {
        let login = Login::new(&mut self.shared, group);
        self.logins.insert(link, login);
    }

    pub(crate) fn receive(&mut self, now: Instant, link: u64, bytes: &[u8]) {
        self.begin(now);
        if let Some(login) = self.logins.get_mut(&link) {
            match login.receive(&mut self.shared, link, bytes, &self.sessions) {
                Ok(None) => {}
                Ok(Some(joined)) => self.admit(link, joined),
                Err(()) => self.close(link),
            }
        } else if let Some(session) = self.session_of(link) {
            let session = self.sessions.get_mut(&session).expect("found");
            session.receive(&mut self.shared, link, bytes);
        }
        self.sweep();
    }

    fn session_of(&self, link: u64) -> Option<u64> {
        let found = self.sessions.iter().find(|(_, session)| session.has(link));
        found.map(|(&id, _)| id)
    }

    fn close(&mut self, link: u64) {
        self.logins.remove(&link);
        self.shared.effects.push(Effect::Close { link });
    }

    /// A login is complete (RFC 7143 §6.3.1, §6.3.4, §6.3.5): it makes a session, ending the one of the
    /// same ISID in this portal group, or adds a connection, or replaces one.
    fn admit(&mut self, link: u64, joined: Joined) {
        let login = self.logins.remove(&link).expect("a login");
        let (cid, mut connection) = (joined.cid, Connection::new(link, &joined));
        connection.framer = login.into_framer(&joined);
        match joined.session {
            Some(id) => {
                let session = self.sessions.get_mut(&id).expect("looked up by the login");
                session.add(&mut self.shared, cid, connection);
            }
            None => {
                let old = self.sessions.iter().find(|(_, s)| s.group == joined.group);
                if let Some(old) = old.map(|(&id, _)| id) {
                    let old = self.sessions.remove(&old).expect("found");
                    self.shared
                        .effects
                        .extend(old.links().map(|link| Effect::Close { link }));
                }
                self.next_session += 1;
                let id = self.next_session;
                let mut session = Session::new(id, &joined);
                session.add(&mut self.shared, cid, connection);
                self.sessions.insert(id, session);
            }
        }
        self.shared.effects.push(Effect::Send {
            link,
            bytes: joined.response,
        });
    }

    /// Forgets connections and sessions whose time is over.
    fn begin(&mut self, now: Instant) {
        self.shared.now = now;
        for session in self.sessions.values_mut() {
            session.expire(now);
        }
        self.sweep();
        self.shared.haunted = self.sessions.values().any(Session::haunts);
    }

    fn sweep(&mut self) {
        self.sessions.retain(|_, session| !session.is_over());
    }

    pub(crate) fn timer(&mut self, now: Instant, timer: Timer) {
        self.begin(now);
        if let Some(session) = self.sessions.get_mut(&timer.session) {
            session.timer(&mut self.shared, timer.step);
        }
        self.sweep();
    }

    /// The connection is gone: its tasks live on for Time2Wait + Time2Retain.
    pub(crate) fn lost(&mut self, now: Instant, link: u64) {
        self.logins.remove(&link);
        for session in self.sessions.values_mut() {
            session.lost(now, link);
        }
        self.begin(now);
    }

    /// All is forgotten but the disk. Gives the connections that are closed by it.
    pub(crate) fn restart(&mut self) -> Vec<u64> {
        let sessions = std::mem::take(&mut self.sessions);
        let logins = std::mem::take(&mut self.logins);
        let links = sessions.values().flat_map(Session::links);
        links.chain(logins.into_keys()).collect()
    }

    /// Says something on its own account: an asynchronous message, a ping, a wider window.
    pub(crate) fn speak(&mut self, now: Instant, what: Speech) {
        self.begin(now);
        for session in self.sessions.values_mut() {
            session.speak(&mut self.shared, what);
        }
        self.sweep();
    }
}
