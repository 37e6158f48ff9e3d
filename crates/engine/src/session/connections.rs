//! The connections of a session: added, removed, looked at.

use std::sync::{Arc, Mutex, PoisonError};

use hawser_proto::pdu::LoginStatus;
use hawser_proto::session::{ConnectionError, MembershipError, Policy, Traffic};
use tokio::sync::oneshot;

use super::driver::Driver;
use super::{Message, Session, SessionEvent, SessionState, SessionView};
use crate::error::LoginFailure;
use crate::login::LoggedInStream;
use crate::options::ConnectionOptions;

/// One connection of a session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionView {
    /// What its login brought; what is of the whole session is the same for all.
    pub login: Arc<SessionView>,
    /// What it has carried since.
    pub traffic: Traffic,
}

/// Why a connection that was asked for with [`Session::join`] is not there.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The session can have no more, or is closed.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The session has no connection now that another could join.
    #[error("the session is lost")]
    Lost,
    /// Its login failed.
    #[error(transparent)]
    Login(Box<LoginFailure>),
}

/// The connections of a session for whoever looks, without asking the task that drives it.
#[derive(Debug, Default)]
pub(crate) struct Members(Mutex<Vec<Arc<SessionView>>>);

impl Members {
    /// The connections that are, in the order of [`Session::connections`].
    pub(crate) fn set(&self, members: Vec<Arc<SessionView>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = members;
    }

    fn get(&self) -> Vec<Arc<SessionView>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A connection that somebody has asked for and waits for.
#[derive(Debug)]
pub(super) struct Newcomer {
    cid: u16,
    reply: oneshot::Sender<Result<Arc<SessionView>, JoinError>>,
}

/// What is asked about the connections of a session.
#[derive(Debug)]
pub(crate) enum ConnectionsRequest {
    Add(oneshot::Sender<Result<u16, MembershipError>>),
    Join(
        Box<ConnectionOptions>,
        oneshot::Sender<Result<Arc<SessionView>, JoinError>>,
    ),
    Remove(u16, oneshot::Sender<Result<(), MembershipError>>),
    List(oneshot::Sender<Vec<ConnectionView>>),
    SetPolicy(Policy),
}

impl Session {
    /// Wants one more connection, and gives its CID. It is made behind this call and tried until it is
    /// there: [`SessionEvent::ConnectionUp`] tells.
    ///
    /// # Errors
    /// [`MembershipError`]: the session has as many connections as were agreed on, or is closed.
    pub async fn add_connection(&self) -> Result<u16, MembershipError> {
        let (reply, answer) = oneshot::channel();
        self.ask(ConnectionsRequest::Add(reply));
        answer.await.unwrap_or(Err(MembershipError::Closed))
    }

    /// Adds a connection and waits for it: its login is tried once. Afterwards it is as those of
    /// [`add_connection`](Self::add_connection): made again, with the same options, when it is lost.
    ///
    /// # Errors
    /// [`JoinError`]: the session is as it was before.
    pub async fn join(&self, options: ConnectionOptions) -> Result<Arc<SessionView>, JoinError> {
        let (reply, answer) = oneshot::channel();
        self.ask(ConnectionsRequest::Join(Box::new(options), reply));
        let closed = || Err(MembershipError::Closed.into());
        answer.await.unwrap_or_else(|_| closed())
    }

    /// What the logins of the present connections brought, in the order of
    /// [`connections`](Self::connections), at once: without what they have carried.
    #[must_use]
    pub fn members(&self) -> Vec<Arc<SessionView>> {
        self.handle.members.get()
    }

    /// Takes a connection out of the session. Its commands have a while to end, then it is logged out of,
    /// and what is left goes on on the others: [`SessionEvent::ConnectionLost`] tells.
    ///
    /// # Errors
    /// [`MembershipError`]: there is no such connection, it is the last one, or the session is closed.
    pub async fn remove_connection(&self, cid: u16) -> Result<(), MembershipError> {
        let (reply, answer) = oneshot::channel();
        self.ask(ConnectionsRequest::Remove(cid, reply));
        answer.await.unwrap_or(Err(MembershipError::Closed))
    }

    /// Changes how commands are shared out among the connections.
    pub fn set_policy(&self, policy: Policy) {
        self.ask(ConnectionsRequest::SetPolicy(policy));
    }

    /// The connections that are logged in, the leading one first, or the one that has taken its place; none
    /// when the session is lost or closed.
    pub async fn connections(&self) -> Vec<ConnectionView> {
        let (reply, answer) = oneshot::channel();
        self.ask(ConnectionsRequest::List(reply));
        answer.await.unwrap_or_default()
    }

    fn ask(&self, request: ConnectionsRequest) {
        self.handle.inbox.send(Message::Connections(request));
    }
}

impl Driver {
    pub(super) fn change_connections(&mut self, request: ConnectionsRequest) {
        let now = self.now;
        // Whoever asked may not wait any more.
        match request {
            ConnectionsRequest::Add(reply) => drop(reply.send(self.core.add_connection(now))),
            ConnectionsRequest::Join(options, reply) => self.invite(*options, reply),
            ConnectionsRequest::Remove(cid, reply) => {
                let removed = self.core.remove_connection(now, cid);
                if removed.is_ok() {
                    self.dialer.forget_further(cid);
                    // A login that is given up must not be taken for the next one of its CID.
                    self.carry_out_actions();
                }
                let _ = reply.send(removed);
            }
            ConnectionsRequest::List(reply) => drop(reply.send(self.connection_views())),
            ConnectionsRequest::SetPolicy(policy) => self.core.set_policy(policy),
        }
    }

    fn invite(
        &mut self,
        options: ConnectionOptions,
        reply: oneshot::Sender<Result<Arc<SessionView>, JoinError>>,
    ) {
        if !self.core.is_up() {
            let _ = reply.send(Err(JoinError::Lost));
            return;
        }
        match self.core.add_connection(self.now) {
            Ok(cid) => {
                self.dialer.set_further(cid, options);
                self.newcomers.push(Newcomer { cid, reply });
            }
            Err(error) => drop(reply.send(Err(error.into()))),
        }
    }

    fn take_newcomer(&mut self, cid: u16) -> Option<Newcomer> {
        let at = self.newcomers.iter().position(|n| n.cid == cid)?;
        Some(self.newcomers.swap_remove(at))
    }

    /// The login of a connection that somebody waits for was given up, if there is one of this CID.
    pub(super) fn turn_away(&mut self, cid: u16) {
        if let Some(newcomer) = self.take_newcomer(cid) {
            self.core.abandon_join(cid);
            self.dialer.forget_further(cid);
            let _ = newcomer.reply.send(Err(JoinError::Lost));
        }
    }

    /// Shows the connections as they are now.
    fn show_members(&self) {
        let view = |cid: u16| {
            let socket = self.sockets.iter().find(|socket| socket.cid == cid)?;
            Some(Arc::clone(&socket.view))
        };
        let members = self.core.cids().filter_map(view).collect();
        self.shared.members.set(members);
    }

    fn connection_views(&self) -> Vec<ConnectionView> {
        let view = |cid: u16| {
            let socket = self.sockets.iter().find(|socket| socket.cid == cid)?;
            Some(ConnectionView {
                login: Arc::clone(&socket.view),
                traffic: self.core.traffic(cid)?,
            })
        };
        self.core.cids().filter_map(view).collect()
    }

    /// A connection has joined the session, or taken the place of its last one.
    pub(super) fn joined(&mut self, login: LoggedInStream) {
        let view = Arc::new(login.view(self.reconnects()));
        tracing::info!(target_name = %self.shared.target, cid = view.cid, portal = %view.portal,
            "connection joined the session");
        self.enter(login, Arc::clone(&view));
        let newcomer = self.take_newcomer(view.cid);
        if self.core.traffic(view.cid).is_some() {
            self.show_first();
            self.shared
                .tell(SessionEvent::ConnectionUp(Arc::clone(&view)));
            if let Some(newcomer) = newcomer {
                let _ = newcomer.reply.send(Ok(view));
            }
        }
    }

    /// An attempt to add a connection, or to replace one, has failed.
    pub(super) fn join_failed(&mut self, cid: u16, failure: &LoginFailure) {
        tracing::warn!(target_name = %self.shared.target, cid, %failure, "a connection cannot join");
        if let Some(newcomer) = self.take_newcomer(cid) {
            self.core.abandon_join(cid);
            self.dialer.forget_further(cid);
            let failed = JoinError::Login(Box::new(failure.clone()));
            let _ = newcomer.reply.send(Err(failed));
            return;
        }
        self.shared.login_failed(failure);
        let of_other_group = |status: &LoginStatus| {
            matches!(
                *status,
                LoginStatus::CANNOT_INCLUDE_IN_SESSION | LoginStatus::SESSION_DOES_NOT_EXIST
            )
        };
        let mut status = failure.status();
        if status.as_ref().is_some_and(of_other_group)
            && self.dialer.is_foreign(failure.portal.as_ref())
        {
            // There are other portals to try.
            status = None;
        }
        self.core.handle_join_failed(self.now, cid, status);
    }

    /// One connection is gone, and the session lives on.
    pub(super) fn connection_lost(&mut self, cid: u16, error: &ConnectionError) {
        tracing::warn!(target_name = %self.shared.target, cid, %error, "connection lost");
        let why = error.to_string();
        let last = !self.core.is_up();
        self.show_first();
        if last {
            self.shared.state.send_replace(SessionState::Lost {
                why: why.clone(),
                last_failure: None,
            });
        }
        self.shared
            .tell(SessionEvent::ConnectionLost { cid, why, last });
    }

    /// Shows the connections, and has the session's state show the first one.
    fn show_first(&self) {
        self.show_members();
        let first = self.core.cids().next();
        let shown = self.sockets.iter().find(|socket| Some(socket.cid) == first);
        let Some(view) = shown.map(|socket| &socket.view) else {
            return;
        };
        self.shared.state.send_if_modified(|state| match state {
            SessionState::Up(now) if Arc::ptr_eq(now, view) => false,
            // A connection that took the place of the last one ends the loss.
            SessionState::Up(_) | SessionState::Lost { .. } => {
                *state = SessionState::Up(Arc::clone(view));
                true
            }
            SessionState::Connecting { .. } | SessionState::Closed => false,
        });
    }
}
