//! The connections of a session: added, removed, looked at.

use std::sync::Arc;

use hawser_proto::pdu::LoginStatus;
use hawser_proto::session::{ConnectionError, MembershipError, Policy, Traffic};
use tokio::sync::oneshot;

use super::driver::Driver;
use super::{Message, Session, SessionEvent, SessionState, SessionView};
use crate::error::LoginFailure;
use crate::login::LoggedInStream;

/// One connection of a session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionView {
    /// What its login brought; what is of the whole session is the same for all.
    pub login: Arc<SessionView>,
    /// What it has carried since.
    pub traffic: Traffic,
}

/// What is asked about the connections of a session.
#[derive(Debug)]
pub(crate) enum ConnectionsRequest {
    Add(oneshot::Sender<Result<u16, MembershipError>>),
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
            ConnectionsRequest::Remove(cid, reply) => {
                let _ = reply.send(self.core.remove_connection(now, cid));
            }
            ConnectionsRequest::List(reply) => drop(reply.send(self.connection_views())),
            ConnectionsRequest::SetPolicy(policy) => self.core.set_policy(policy),
        }
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
        let view = Arc::new(login.view(self.login));
        tracing::info!(target_name = %self.shared.target, cid = view.cid, portal = %view.portal,
            "connection joined the session");
        self.enter(login, Arc::clone(&view));
        if self.core.traffic(view.cid).is_some() {
            self.shared.tell(SessionEvent::ConnectionUp(view));
            self.show_first();
        }
    }

    /// An attempt to add a connection, or to replace one, has failed.
    pub(super) fn join_failed(&mut self, cid: u16, failure: &LoginFailure) {
        tracing::warn!(target_name = %self.shared.target, cid, %failure, "a connection cannot join");
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
        self.shared.tell(SessionEvent::ConnectionLost { cid, why });
        self.show_first();
    }

    /// Has the session's state show its first connection.
    fn show_first(&self) {
        let first = self.core.cids().next();
        let shown = self.sockets.iter().find(|socket| Some(socket.cid) == first);
        let Some(view) = shown.map(|socket| &socket.view) else {
            return;
        };
        self.shared.state.send_if_modified(|state| match state {
            SessionState::Up(now) if !Arc::ptr_eq(now, view) => {
                *now = Arc::clone(view);
                true
            }
            _ => false,
        });
    }
}
