//! Logout (RFC 7143 §11.14, §11.15).

use std::sync::Arc;

use hawser_proto::pdu::{LogoutReason, LogoutRequest, LogoutResponse, LogoutResponseCode};

use super::link::Farewell;
use super::{Ending, Turn};

impl Turn<'_> {
    /// Closes the session or a connection.
    pub(crate) fn logout(&mut self, cid: u16, request: &LogoutRequest) {
        let (itt, other) = (request.itt.get(), request.cid.get());
        match request.reason() {
            Ok(LogoutReason::CloseSession) => self.close_session(cid, itt),
            Ok(LogoutReason::CloseConnection) if self.core.links.contains_key(&other) => {
                self.close_connection(cid, other, itt);
            }
            Ok(LogoutReason::CloseConnection) => {
                self.answer_logout(cid, itt, LogoutResponseCode::CidNotFound);
            }
            _ => self.answer_logout(cid, itt, LogoutResponseCode::RecoveryNotSupported),
        }
    }

    /// Answers a logout that came on connection `cid`.
    fn answer_logout(&mut self, cid: u16, itt: u32, code: LogoutResponseCode) {
        let mut response = LogoutResponse::new(itt, code);
        // RFC 7143 §11.15.3: invalid if there is no such connection, ignored below level 2.
        if code == LogoutResponseCode::RecoveryNotSupported {
            response.time2wait = self.core.agreed.time2wait.into();
            response.time2retain = self.core.agreed.time2retain.into();
        }
        self.send(cid, response, &[], true);
    }

    fn close_session(&mut self, cid: u16, itt: u32) {
        self.core.forget_all();
        self.answer_logout(cid, itt, LogoutResponseCode::Closed);
        for (&linked, link) in &mut self.core.links {
            link.farewell = Farewell::Closed;
            link.end(if linked == cid {
                Ending::AfterOutput
            } else {
                Ending::Now
            });
        }
    }

    /// Closes connection `other`. If that is not the one that asks, the answer waits until it is
    /// gone with all it did.
    fn close_connection(&mut self, cid: u16, other: u16, itt: u32) {
        let session = Arc::clone(self.session);
        session.end_tasks_of(self.core, other);
        if let Some(link) = self.core.link(other) {
            link.farewell = Farewell::Closed;
        }
        if cid == other {
            self.answer_logout(cid, itt, LogoutResponseCode::Closed);
            if let Some(link) = self.core.link(cid) {
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
            session
                .turn(&mut core)
                .answer_logout(cid, itt, LogoutResponseCode::Closed);
        });
    }
}
