//! Logout (RFC 7143 §11.14, §11.15).

use std::sync::Arc;

use hawser_proto::pdu::{LogoutReason, LogoutRequest, LogoutResponse, LogoutResponseCode};

use super::link::Farewell;
use super::task::Home;
use super::{Ending, Times, Turn};

/// An answer to a logout.
#[derive(Debug, Clone, Copy)]
struct Answer {
    /// The connection that asked.
    cid: u16,
    itt: u32,
    code: LogoutResponseCode,
    /// How long to wait and how long there is for what comes next.
    times: Times,
}

impl Turn<'_> {
    /// Closes the session or a connection, or removes a connection for recovery.
    pub(crate) fn logout(&mut self, cid: u16, request: &LogoutRequest) {
        let other = request.cid.get();
        let (here, lost) = (
            self.core.links.contains_key(&other),
            self.core.has_open_loss(other),
        );
        let recovers = self.core.agreed.error_recovery_level == 2;
        let mut answer = Answer {
            cid,
            itt: request.itt.get(),
            code: LogoutResponseCode::Closed,
            times: Times::default(),
        };
        match request.reason() {
            Ok(LogoutReason::CloseSession) => return self.close_session(answer),
            // Such a session has one connection.
            Ok(LogoutReason::CloseConnection) if self.session.far.is_some() && other == cid => {
                return self.close_session(answer);
            }
            Ok(LogoutReason::RecoverConnection) if !recovers => {
                answer.code = LogoutResponseCode::RecoveryNotSupported;
                answer.times = self.core.times();
            }
            Ok(reason) if here => {
                let recover = reason == LogoutReason::RecoverConnection;
                return self.remove_connection(answer, other, recover);
            }
            Ok(LogoutReason::CloseConnection) if lost => {
                let session = Arc::clone(self.session);
                session.close_loss(self.core, other);
            }
            Ok(LogoutReason::RecoverConnection) if lost => {
                let session = Arc::clone(self.session);
                session.log_out_loss(self.core, other, None);
                answer.times = self.core.times();
            }
            _ => answer.code = LogoutResponseCode::CidNotFound,
        }
        self.answer_logout(answer);
    }

    fn answer_logout(&mut self, answer: Answer) {
        let mut response = LogoutResponse::new(answer.itt, answer.code);
        response.time2wait = answer.times.wait.into();
        response.time2retain = answer.times.retain.into();
        self.send(answer.cid, response, &[], true);
    }

    fn close_session(&mut self, answer: Answer) {
        self.core.forget_all();
        let Some(far) = self.session.far.clone() else {
            return self.say_farewell(answer);
        };
        // What the initiator had reserved is to be free once it hears that it is out.
        let session = Arc::clone(self.session);
        tokio::spawn(async move {
            far.close().await;
            session.turn(&mut session.lock()).say_farewell(answer);
        });
    }

    /// Answers the logout of a session, whose connections end then.
    fn say_farewell(&mut self, answer: Answer) {
        self.answer_logout(answer);
        for (&linked, link) in &mut self.core.links {
            link.farewell = Farewell::LoggedOut;
            link.end(if linked == answer.cid {
                Ending::AfterOutput
            } else {
                Ending::Now
            });
        }
    }

    /// Closes connection `other`, or removes it to `recover` its tasks. If that is not the one that
    /// asks, the answer waits until it is gone.
    fn remove_connection(&mut self, mut answer: Answer, other: u16, recover: bool) {
        let session = Arc::clone(self.session);
        if recover {
            answer.times = self.core.times();
        }
        if recover && answer.times.retain > 0 {
            session.suspend(self.core, other, answer.times, true);
        } else {
            session.end_tasks_of(self.core, Home::On(other));
        }
        if let Some(link) = self.core.link(other) {
            link.farewell = Farewell::LoggedOut;
        }
        if answer.cid == other {
            self.answer_logout(answer);
            if let Some(link) = self.core.link(other) {
                link.end(Ending::AfterOutput);
            }
            return;
        }
        if let Some(link) = self.core.link(other) {
            link.end(Ending::Now);
        }
        tokio::spawn(async move {
            session
                .until(|core| core.closed || !core.links.contains_key(&other))
                .await;
            let mut core = session.lock();
            session.turn(&mut core).answer_logout(answer);
        });
    }
}
