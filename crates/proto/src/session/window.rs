//! The command window of a session (RFC 7143 §4.2.2.1).

use crate::serial::Serial;

/// CmdSN of the next numbered request and the window the target grants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// What the next request carries; a numbered one then advances it.
    cmd_sn: Serial,
    exp_cmd_sn: Serial,
    max_cmd_sn: Serial,
}

impl Window {
    pub(super) fn new(cmd_sn: Serial, exp_cmd_sn: Serial, max_cmd_sn: Serial) -> Self {
        Self {
            cmd_sn,
            exp_cmd_sn,
            max_cmd_sn,
        }
    }

    /// What an immediate request carries.
    pub(super) fn current(&self) -> Serial {
        self.cmd_sn
    }

    /// A numbered request may be sent now.
    pub(super) fn is_open(&self) -> bool {
        self.cmd_sn <= self.max_cmd_sn
    }

    /// Takes the next number.
    pub(super) fn take(&mut self) -> Serial {
        let taken = self.cmd_sn;
        self.cmd_sn = taken.plus(1);
        taken
    }

    /// The first number that was used and that the target has not taken.
    pub(super) fn first_unacknowledged(&self) -> Option<Serial> {
        (self.exp_cmd_sn < self.cmd_sn).then_some(self.exp_cmd_sn)
    }

    /// The target has taken the request with this number, or one in its place.
    pub(super) fn is_acknowledged(&self, cmd_sn: Serial) -> bool {
        cmd_sn < self.exp_cmd_sn
    }

    /// Takes in the two numbers of a target PDU: both are ignored when they contradict each other,
    /// else each only moves forward.
    pub(super) fn update(&mut self, exp_cmd_sn: Serial, max_cmd_sn: Serial) {
        if max_cmd_sn < exp_cmd_sn.previous() {
            return;
        }
        self.exp_cmd_sn.advance_to(exp_cmd_sn);
        self.max_cmd_sn.advance_to(max_cmd_sn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(cmd: u32, exp: u32, max: u32) -> Window {
        Window::new(Serial(cmd), Serial(exp), Serial(max))
    }

    /// Takes numbers until the window is closed.
    fn room(window: &mut Window) -> Vec<u32> {
        std::iter::from_fn(|| window.is_open().then(|| window.take().0)).collect()
    }

    #[test]
    fn closes_at_max_cmd_sn_and_wraps() {
        let mut w = window(u32::MAX, u32::MAX, 0);
        assert_eq!(room(&mut w), [u32::MAX, 0]);
        assert!(!w.is_open());
    }

    #[test]
    fn a_granted_window_cannot_shrink() {
        let mut w = window(1, 1, 10);
        w.update(Serial(2), Serial(5));
        assert_eq!(room(&mut w).len(), 10);
    }

    #[test]
    fn contradicting_numbers_are_both_ignored() {
        let mut w = window(1, 1, 1);
        w.update(Serial(20), Serial(18));
        assert_eq!(room(&mut w), [1]);
        w.update(Serial(20), Serial(19));
        assert_eq!(room(&mut w).len(), 18);
    }
}
