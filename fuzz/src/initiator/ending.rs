//! The end of a run: at once, by a logout, or in silence.

use std::time::Duration;

use hawser_proto::session::Hold;

use super::Run;

/// Timers until a session that nobody answers has ended all its tasks.
const PATIENCE: usize = 3000;

impl Run {
    /// Brings the session to its end and looks at what is left.
    pub(super) fn end(mut self, how: u8) {
        match how & 3 {
            0 | 1 => {}
            2 => self.log_out(),
            _ => self.fall_silent(),
        }
        self.session.close();
        self.drain();
        // A login that succeeds too late is of no use.
        self.dial(true);
        self.drain();
        assert!(self.closed, "no word of the end");
        assert!(
            self.open.is_empty(),
            "tasks without an end: {:?}",
            self.open
        );
        self.say(|| format!("-- {:?}", self.session.counters()));
        let left = (self.members.keys(), &self.dials);
        assert!(
            self.members.is_empty() && self.dials.is_empty(),
            "left: {left:?}"
        );
        assert_eq!(self.session.poll_timeout(), None, "a timer is left");
    }

    /// A logout that nobody answers ends the session too.
    fn log_out(&mut self) {
        self.session.logout(self.now);
        self.drain();
        for _ in 0..PATIENCE {
            if self.closed || !self.pass() {
                break;
            }
        }
        assert!(self.closed, "a logout without an end");
    }

    /// The target says nothing more and lets nobody in: each task ends in its time.
    fn fall_silent(&mut self) {
        self.logins = super::LOGINS_MAX;
        self.session.set_hold(Hold::For(Duration::from_secs(30)));
        for _ in 0..PATIENCE {
            if self.open.is_empty() || !self.pass() {
                break;
            }
        }
        assert!(
            self.open.is_empty(),
            "tasks without an end: {:?}",
            self.open
        );
    }

    /// Writes what there is to write and waits for the next timer; false if there is none.
    fn pass(&mut self) -> bool {
        while !self.dials.is_empty() {
            self.dial(false);
            self.drain();
        }
        let cids: Vec<u16> = self.members.keys().copied().collect();
        for cid in cids {
            self.flush(cid);
            self.drain();
        }
        let Some(due) = self.session.poll_timeout() else {
            return false;
        };
        self.now = due.max(self.now);
        self.run_timers();
        true
    }
}
