//! Asynchronous messages (RFC 7143 §11.9), and what a session does by itself about them.

use std::time::{Duration, Instant};

use super::Session;
use super::connection::{Connection, Pong, Reply};
use super::event::{ConnectionError, Event, Outcome};
use super::receive::{MAX_PONGS, sense_data};
use super::talk::Talk;
use super::task::{Kind, Task};
use crate::pdu::{AsyncEvent, AsyncMessage, LogoutReason, NIL};

impl Session {
    pub(super) fn handle_async(
        &mut self,
        now: Instant,
        index: usize,
        pdu: &AsyncMessage,
    ) -> Result<(), ConnectionError> {
        self.consume_stat_sn(index, pdu.stat_sn.get())?;
        let Some(connection) = self.connections.get(index) else {
            return Ok(());
        };
        let event = pdu.event();
        if event == Ok(AsyncEvent::Scsi) {
            let sense = sense_data(&connection.collected);
            self.events.push_back(Event::AsyncSense {
                lun: pdu.lun,
                sense,
            });
            return Ok(());
        }
        let parameters = [
            pdu.parameter1.get(),
            pdu.parameter2.get(),
            pdu.parameter3.get(),
        ];
        self.events.push_back(Event::AsyncNotice {
            event: pdu.event_code,
            parameters,
        });
        match event {
            Ok(AsyncEvent::LogoutRequest) => self.leave(now, index, pdu.parameter3.get())?,
            Ok(event @ (AsyncEvent::ConnectionDrop | AsyncEvent::SessionDrop)) => {
                return self.handle_drop(now, index, event, parameters);
            }
            Ok(AsyncEvent::NegotiationRequest) => self.begin_talk(now, index),
            Ok(AsyncEvent::TaskTermination) => self.handle_termination(now, index, pdu.lun),
            _ => {}
        }
        Ok(())
    }

    /// The target ends all tasks of a logical unit (RFC 7143 §4.2.3.4, §11.9.1): their Data-Out stops,
    /// an acknowledgement goes out, no response comes. Only where FastAbort was agreed on; elsewhere
    /// the target may not say so, and the tasks are left to their answers.
    fn handle_termination(&mut self, now: Instant, index: usize, lun: [u8; 8]) {
        let agreed = |connection: &&mut Connection| connection.parameters.fast_abort;
        let Some(connection) = self.connections.get_mut(index).filter(agreed) else {
            return;
        };
        if connection.replies.len() < MAX_PONGS {
            connection
                .replies
                .push_back(Reply::Pong(Pong { lun, ttt: NIL }));
        }
        for &slot in self.sent_commands(Some(lun), None).iter().rev() {
            self.end_or_repeat(now, slot, Outcome::Aborted);
        }
    }

    /// The target drops a connection, not always the one that says so, or all of them (asynchronous events
    /// 2 and 3).
    fn handle_drop(
        &mut self,
        now: Instant,
        index: usize,
        event: AsyncEvent,
        [cid, wait, retain]: [u16; 3],
    ) -> Result<(), ConnectionError> {
        let error = ConnectionError::Announced(event.code());
        let this = self.connections.get(index).map(|connection| connection.cid);
        let is_other = event == AsyncEvent::ConnectionDrop && this != Some(cid);
        // LIO says it of a connection that it has just been made to clean up.
        if is_other && self.index(cid).is_none() {
            return Ok(());
        }
        self.announce(wait, retain);
        if is_other {
            self.handle_connection_lost(now, cid, error);
            return Ok(());
        }
        Err(error)
    }

    /// The target asks for negotiation (asynchronous event 4).
    fn begin_talk(&mut self, now: Instant, index: usize) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let home = connection.link;
        let is_text = |task: &Task| task.home == home && matches!(task.kind, Kind::Text);
        let pending = self.tasks.iter().any(|(_, task)| is_text(task));
        if !pending && connection.is_usable() && self.may_request() {
            if let Some(connection) = self.connections.get_mut(index) {
                connection.talk = Talk::default();
            }
            self.queue_immediate(now, index, Kind::Text);
        }
    }

    /// The target wants us gone (asynchronous event 1). One connection of several is left in good order.
    /// From the only one we log out at once: the session is made again after the pause that the logout
    /// response names.
    fn leave(&mut self, now: Instant, index: usize, limit: u16) -> Result<(), ConnectionError> {
        if !self.may_request() {
            return Ok(());
        }
        let usable = |(at, c): (usize, &Connection)| at != index && c.is_usable();
        if self.connections.iter().enumerate().any(usable) {
            // Half of its patience is for our commands, half for the logout.
            let patience = Duration::from_secs(u64::from(limit)) / 2;
            self.part(now, index, patience);
            return Ok(());
        }
        self.gate_open = false;
        self.leaving = true;
        let reason = LogoutReason::CloseConnection;
        let cid = self
            .connections
            .get(index)
            .map_or(0, |connection| connection.cid);
        if self.queue_immediate(now, index, Kind::Logout { reason, cid }) {
            Ok(())
        } else {
            Err(ConnectionError::Announced(AsyncEvent::LogoutRequest.code()))
        }
    }
}
