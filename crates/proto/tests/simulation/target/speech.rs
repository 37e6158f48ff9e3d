//! What the model target says unasked.

use std::time::Duration;

use super::Shared;
use super::session::{Number, Session};
use crate::wire::{ASYNC, FINAL, Header, NIL, NOP_IN};

const CONNECTION_DROP: u8 = 2;
const SESSION_DROP: u8 = 3;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Speech {
    Ping,
    /// Told when the window has changed.
    Numbers,
    Async {
        event: u8,
        parameters: [u16; 3],
    },
}

impl Session {
    /// Says it on one of its connections.
    pub(super) fn speak(&mut self, shared: &mut Shared, what: Speech) {
        let cids: Vec<u16> = self
            .connections
            .iter()
            .filter(|(_, c)| c.link.is_some())
            .map(|(&cid, _)| cid)
            .collect();
        if cids.is_empty() {
            return;
        }
        let cid = shared.rng.pick(&cids);
        match what {
            Speech::Ping => self.ping(shared, cid),
            Speech::Numbers => {
                let mut nop = Header::new(NOP_IN, FINAL, NIL);
                nop.set32(20, NIL);
                self.send(shared, cid, nop, &[], Number::Told);
            }
            Speech::Async { event, parameters } => {
                let about = shared.rng.pick(&cids);
                self.notify(shared, (cid, about), event, parameters);
            }
        }
    }

    fn ping(&mut self, shared: &mut Shared, cid: u16) {
        let lun = [0, shared.rng.range(0, 1) as u8, 0, 0, 0, 0, 0, 0];
        let ttt = shared.ttt();
        let mut ping = Header::new(NOP_IN, FINAL, NIL);
        ping.set_lun(lun);
        ping.set32(20, ttt);
        self.connections
            .entry(cid)
            .and_modify(|c| c.pings.push((ttt, lun)));
        self.send(shared, cid, ping, &[], Number::Told);
    }

    /// An asynchronous message (RFC 7143 §11.9); the drop that it announces follows at once.
    fn notify(
        &mut self,
        shared: &mut Shared,
        (cid, about): (u16, u16),
        event: u8,
        mut p: [u16; 3],
    ) {
        if event == CONNECTION_DROP {
            p[0] = about;
        }
        let mut pdu = Header::new(ASYNC, FINAL, NIL);
        pdu.0[36] = event;
        for (at, value) in [38, 40, 42].into_iter().zip(p) {
            pdu.set16(at, value);
        }
        self.send(shared, cid, pdu, &[0, 2, 0x70, 0], Number::Taken);
        let lives = Duration::from_secs(u64::from(p[1]) + u64::from(p[2]));
        match event {
            CONNECTION_DROP => self.drop_announced(shared, vec![about], lives),
            SESSION_DROP => {
                let all = self.connections.keys().copied().collect();
                self.drop_announced(shared, all, lives);
            }
            _ => {}
        }
    }

    /// With several connections it may be that the end of one is heard of before what was said about it:
    /// the state that is left lives no longer than was agreed on then, for the initiator goes by that.
    fn drop_announced(&mut self, shared: &mut Shared, cids: Vec<u16>, mut lives: Duration) {
        if self.connections.len() > 1 {
            lives = lives.min(self.agreed_life());
        }
        self.announced = Some(lives);
        for cid in cids {
            self.close(shared, cid);
        }
        self.announced = None;
    }
}
