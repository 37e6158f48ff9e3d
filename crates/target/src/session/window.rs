//! The command window of a session: which CmdSN comes next, which wait for an earlier one, which
//! are dropped (RFC 7143 §4.2.2.1).

use std::collections::HashMap;

use hawser_proto::serial::Serial;

/// The most commands a session may have in hand: enough for the deepest queue an initiator uses,
/// small enough that the tasks of a session fit in memory.
pub(crate) const WINDOW_LIMIT: u32 = 1024;

/// What becomes of a numbered request that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is the next one: deliver it now; the window has moved past it.
    Next,
    /// It is inside the window but an earlier one is missing: hold it.
    Early,
    /// It is a duplicate or lies outside the window: drop it silently.
    Dropped,
}

/// The window `ExpCmdSN..=MaxCmdSN` and the requests that wait in it for an earlier one.
///
/// `size` is the number of commands the session may have in hand; those in progress are taken off
/// it, so that answered commands, not merely received ones, open the window again. `MaxCmdSN` never
/// goes back.
#[derive(Debug)]
pub(crate) struct Window<T> {
    expected: Serial,
    max: Serial,
    size: u32,
    held: HashMap<u32, Option<T>>,
}

impl<T> Window<T> {
    /// A window of `size` commands that begins at `first`, the CmdSN of the leading login.
    pub(crate) fn new(first: Serial, size: u32) -> Self {
        let size = size.min(WINDOW_LIMIT);
        Self {
            expected: first,
            max: first.plus(size).previous(),
            size,
            held: HashMap::new(),
        }
    }

    /// ExpCmdSN: the next number to be delivered.
    pub(crate) fn expected(&self) -> Serial {
        self.expected
    }

    /// MaxCmdSN: the last number the initiator may use.
    pub(crate) fn max(&self) -> Serial {
        self.max
    }

    /// Gives the session another number of commands it may have in hand. The window opens at the
    /// next [`Self::advertise`]; it closes only as the expected number catches up.
    pub(crate) fn set_size(&mut self, size: u32) {
        self.size = size.min(WINDOW_LIMIT);
    }

    /// Moves MaxCmdSN forward as far as `in_progress` unanswered commands allow, and says whether
    /// that opened a closed window.
    pub(crate) fn advertise(&mut self, in_progress: usize) -> bool {
        let was_closed = self.is_closed();
        let in_progress = u32::try_from(in_progress).unwrap_or(u32::MAX);
        let room = self.size.saturating_sub(in_progress);
        self.max.advance_to(self.expected.plus(room).previous());
        was_closed && !self.is_closed()
    }

    /// `MaxCmdSN = ExpCmdSN - 1`: no numbered request may be sent.
    pub(crate) fn is_closed(&self) -> bool {
        self.max < self.expected
    }

    /// What [`Self::judge`] would say.
    pub(crate) fn look(&self, number: Serial) -> Arrival {
        if number == self.expected && self.expected <= self.max {
            Arrival::Next
        } else if number > self.expected && number <= self.max {
            let held = self.held.contains_key(&number.0);
            if held {
                Arrival::Dropped
            } else {
                Arrival::Early
            }
        } else {
            Arrival::Dropped
        }
    }

    /// Judges a numbered request. After [`Arrival::Next`] take what had waited for it with
    /// [`Self::release`]; after [`Arrival::Early`] put it in with [`Self::hold`].
    pub(crate) fn judge(&mut self, number: Serial) -> Arrival {
        let arrival = self.look(number);
        if arrival == Arrival::Next {
            self.expected = self.expected.plus(1);
        }
        arrival
    }

    /// Keeps a request that was judged [`Arrival::Early`]. Never more than the window is wide.
    pub(crate) fn hold(&mut self, number: Serial, request: T) {
        self.held.insert(number.0, Some(request));
    }

    /// The next request that had been waiting, if its turn has come.
    pub(crate) fn release(&mut self) -> Option<T> {
        while let Some(entry) = self.held.remove(&self.expected.0) {
            self.expected = self.expected.plus(1);
            if entry.is_some() {
                return entry;
            }
        }
        None
    }

    /// Forgets the requests that wait for an earlier one and are `unwanted`: their numbers count as
    /// not received.
    pub(crate) fn discard(&mut self, unwanted: impl Fn(&T) -> bool) {
        self.held
            .retain(|_, entry| !entry.as_ref().is_some_and(&unwanted));
    }

    /// Counts `number` as received without a request, as ABORT TASK of a command never seen does
    /// (RFC 7143 §11.6.1). True when `number` was missing inside the window. What waited behind it
    /// is then ready in [`Self::release`].
    pub(crate) fn plug(&mut self, number: Serial) -> bool {
        match self.judge(number) {
            Arrival::Next => true,
            Arrival::Early => {
                self.held.insert(number.0, None);
                true
            }
            Arrival::Dropped => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivers_in_order_and_drops_duplicates() {
        let mut window = Window::new(Serial(0xffff_ffff), 4);
        assert_eq!(window.max(), Serial(2));
        assert_eq!(window.judge(Serial(0)), Arrival::Early);
        window.hold(Serial(0), 'b');
        assert_eq!(window.judge(Serial(0)), Arrival::Dropped);
        assert_eq!(window.judge(Serial(3)), Arrival::Dropped);
        assert_eq!(window.judge(Serial(0xffff_ffff)), Arrival::Next);
        assert_eq!(window.release(), Some('b'));
        assert_eq!(window.release(), None);
        assert_eq!(window.expected(), Serial(1));
        assert_eq!(window.judge(Serial(0)), Arrival::Dropped);
    }

    #[test]
    fn max_never_goes_back_and_a_closed_window_opens_once() {
        let mut window = Window::<()>::new(Serial(10), 2);
        window.set_size(0);
        window.advertise(0);
        assert_eq!(window.max(), Serial(11));
        assert_eq!(window.judge(Serial(10)), Arrival::Next);
        assert_eq!(window.judge(Serial(11)), Arrival::Next);
        assert!(!window.advertise(0));
        assert!(window.is_closed());
        assert_eq!(window.max(), Serial(11));
        assert_eq!(window.judge(Serial(12)), Arrival::Dropped);
        window.set_size(8);
        assert!(window.advertise(2));
        assert_eq!(window.max(), Serial(17));
    }

    #[test]
    fn a_plugged_gap_frees_what_waited() {
        let mut window = Window::new(Serial(1), 8);
        assert_eq!(window.judge(Serial(3)), Arrival::Early);
        window.hold(Serial(3), 'c');
        assert!(window.plug(Serial(2)));
        assert!(!window.plug(Serial(3)));
        assert_eq!(window.release(), None);
        assert!(window.plug(Serial(1)));
        assert_eq!(window.release(), Some('c'));
        assert_eq!(window.expected(), Serial(4));
    }

    #[test]
    fn what_is_discarded_may_come_again() {
        let mut window = Window::new(Serial(1), 8);
        for (number, request) in [(2, 'b'), (3, 'c')] {
            assert_eq!(window.judge(Serial(number)), Arrival::Early);
            window.hold(Serial(number), request);
        }
        window.discard(|request| *request == 'b');
        assert_eq!(window.judge(Serial(1)), Arrival::Next);
        assert_eq!(window.release(), None);
        assert_eq!(window.judge(Serial(2)), Arrival::Next);
        assert_eq!(window.release(), Some('c'));
    }

    #[test]
    fn half_the_number_space_away_is_dropped() {
        let mut window = Window::<()>::new(Serial(0), 8);
        assert_eq!(window.judge(Serial(1 << 31)), Arrival::Dropped);
    }
}
