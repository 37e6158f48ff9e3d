//! All sessions of a server, and which login replaces which of them (RFC 7143 §6.3.1, §6.3.5).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hawser_proto::pdu::LoginStatus;

use crate::forward::{FarLost, FarNexus, Forward};
use crate::login::Peer;
use crate::session::{Link, Session, SessionKey, Shared};

/// The most sessions at one time: a test target serves a handful of initiators.
const SESSIONS_LIMIT: usize = 1024;

/// What a login asks for, beyond who it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    pub(crate) tsih: u16,
    pub(crate) cid: u16,
    /// The CmdSN of the login.
    pub(crate) cmd_sn: u32,
    /// What its first request says of the connection that had its CID (RFC 7143 §11.12.9).
    pub(crate) exp_stat_sn: Option<u32>,
}

/// The table of sessions.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    sessions: HashMap<SessionKey, Arc<Session>>,
    last_tsih: u16,
}

impl Table {
    /// A TSIH that no session has; never 0.
    fn new_tsih(&mut self) -> u16 {
        loop {
            self.last_tsih = self.last_tsih.checked_add(1).unwrap_or(1);
            let taken = self
                .sessions
                .values()
                .any(|session| session.tsih == self.last_tsih);
            // There are fewer sessions than numbers.
            if !taken {
                return self.last_tsih;
            }
        }
    }
}

impl Table {
    /// Why a login that names a session which is not there under its key fails: the session may be
    /// one of another portal group, which it must not leave (RFC 7143 §4.4.3, §11.13.5).
    fn unknown(&self, key: &SessionKey, ticket: Ticket) -> LoginStatus {
        let elsewhere = self.sessions.values().any(|session| {
            let other = &session.key;
            session.tsih == ticket.tsih
                && other.group != key.group
                && (&other.initiator, other.isid, &other.target)
                    == (&key.initiator, key.isid, &key.target)
        });
        if elsewhere {
            LoginStatus::CANNOT_INCLUDE_IN_SESSION
        } else {
            LoginStatus::SESSION_DOES_NOT_EXIST
        }
    }
}

/// Makes the far nexus of a session of a target that forwards.
async fn open(
    forward: Option<&Arc<dyn Forward>>,
    key: &SessionKey,
) -> Result<Option<Arc<dyn FarNexus>>, LoginStatus> {
    let Some(forward) = forward else {
        return Ok(None);
    };
    match forward.open(key.nexus()).await {
        Ok(far) => Ok(Some(far)),
        Err(FarLost) => Err(LoginStatus::SERVICE_UNAVAILABLE),
    }
}

impl Registry {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All sessions.
    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        self.table().sessions.values().cloned().collect()
    }

    /// The other sessions with the target of this one.
    pub(crate) fn others(&self, session: &Session) -> Vec<Arc<Session>> {
        let mut others = self.sessions();
        others.retain(|other| {
            other.key.target == session.key.target && !std::ptr::eq(&**other, session)
        });
        others
    }

    /// Judges a login as soon as it is known who it is: one that names a session must name one
    /// that is there and has room for it. Gives the numbers of that session.
    ///
    /// # Errors
    /// The status to refuse the login with.
    pub(crate) fn judge(
        &self,
        key: &SessionKey,
        ticket: Ticket,
    ) -> Result<Option<(u32, u32)>, LoginStatus> {
        let table = self.table();
        let session = table.sessions.get(key);
        match session {
            _ if ticket.tsih == 0 => {
                let full = session.is_none() && table.sessions.len() >= SESSIONS_LIMIT;
                if full {
                    Err(LoginStatus::OUT_OF_RESOURCES)
                } else {
                    Ok(None)
                }
            }
            Some(session) if session.tsih == ticket.tsih => {
                session.judge_connection(ticket.cid)?;
                Ok(Some(session.lock().numbers()))
            }
            _ => Err(table.unknown(key, ticket)),
        }
    }

    /// Puts a login that is complete into a session: a new one, once the old one of the same key
    /// is over with all its tasks (RFC 7143 §6.3.5), or the one that it names, as another connection
    /// or in place of the one that had its CID (§6.3.4).
    ///
    /// # Errors
    /// The status to refuse the login with.
    pub(crate) async fn admit(
        &self,
        shared: &Arc<Shared>,
        key: SessionKey,
        peer: &Peer,
        ticket: Ticket,
        link: Link,
    ) -> Result<Arc<Session>, LoginStatus> {
        if ticket.tsih == 0 {
            return self.admit_new(shared, key, peer, ticket, link).await;
        }
        let session = self.table().sessions.get(&key).cloned();
        let session = session.filter(|session| session.tsih == ticket.tsih);
        let session = session.ok_or(LoginStatus::SESSION_DOES_NOT_EXIST)?;
        session.add(ticket.cid, link, ticket.exp_stat_sn).await?;
        Ok(session)
    }

    async fn admit_new(
        &self,
        shared: &Arc<Shared>,
        key: SessionKey,
        peer: &Peer,
        ticket: Ticket,
        link: Link,
    ) -> Result<Arc<Session>, LoginStatus> {
        let forward = peer
            .purpose
            .target()
            .and_then(|target| target.forward.as_ref());
        let mut far = None;
        loop {
            let old = {
                let mut table = self.table();
                match table.sessions.get(&key) {
                    Some(old) => Some(Arc::clone(old)),
                    None if table.sessions.len() >= SESSIONS_LIMIT => {
                        return Err(LoginStatus::OUT_OF_RESOURCES);
                    }
                    None if far.is_none() && forward.is_some() => None,
                    None => {
                        let tsih = table.new_tsih();
                        let shared = Arc::clone(shared);
                        let first = ticket.cmd_sn;
                        let session = Session::new(shared, key.clone(), tsih, peer, first, far);
                        session.begin(ticket.cid, link);
                        table.sessions.insert(key, Arc::clone(&session));
                        return Ok(session);
                    }
                }
            };
            let Some(old) = old else {
                far = open(forward, &key).await?;
                continue;
            };
            // Its nexus is the same: what was opened before it came is reinstated.
            far = None;
            shared.counters.reinstatements.add();
            old.end();
            old.over().await;
            self.remove(&old);
        }
    }

    /// Takes a session out that is over. Done once, whoever comes first: its last connection, or
    /// the login that replaces it.
    pub(crate) fn remove(&self, session: &Arc<Session>) {
        let mut table = self.table();
        let same = table
            .sessions
            .get(&session.key)
            .is_some_and(|now| Arc::ptr_eq(now, session));
        if same {
            // Before another session of this nexus can begin.
            session.lose_nexus();
            table.sessions.remove(&session.key);
        }
    }
}
