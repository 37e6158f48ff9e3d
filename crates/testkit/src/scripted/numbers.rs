//! CmdSN of a session and StatSN of its connections, as the target sees them (RFC 7143 §4.2.2).

use std::collections::BTreeSet;

use super::pdu::Pdu;
use super::wire::{DATA_IN, DATA_OUT, LOGIN_RESPONSE, NO_TAG, NOP_IN, R2T, SNACK, STATUS};

/// What MaxCmdSN says.
#[derive(Debug, Clone, Copy)]
enum Grant {
    /// So many commands beyond those received.
    Rolling(u32),
    /// Always this number: the window closes as commands come.
    Fixed(u32),
}

/// The numbers of one session, shared by its connections.
#[derive(Debug)]
pub(super) struct SessionNumbers {
    /// The CmdSN that a new numbered request must have.
    next: u32,
    /// Numbers below `next` that count as not received.
    gaps: BTreeSet<u32>,
    /// Numbers below `next` that may come once more.
    retries: BTreeSet<u32>,
    grant: Grant,
    /// More than one connection has logged in: what they bring may be read in another order than that in
    /// which it was numbered.
    has_joined: bool,
}

impl SessionNumbers {
    pub(super) fn new() -> Self {
        Self {
            next: 0,
            gaps: BTreeSet::new(),
            retries: BTreeSet::new(),
            grant: Grant::Rolling(32),
            has_joined: false,
        }
    }

    /// A leading login: its CmdSN is the first command's.
    pub(super) fn begin(&mut self, cmd_sn: u32) {
        self.next = cmd_sn;
        self.gaps.clear();
        self.retries.clear();
        self.has_joined = false;
    }

    /// A connection joins the session.
    pub(super) fn join(&mut self) {
        self.has_joined = true;
    }

    pub(super) fn next(&self) -> u32 {
        self.next
    }

    pub(super) fn grant(&mut self, commands: u32) {
        self.grant = Grant::Rolling(commands);
    }

    pub(super) fn fix_max_cmd_sn(&mut self, max_cmd_sn: u32) {
        self.grant = Grant::Fixed(max_cmd_sn);
    }

    pub(super) fn forget(&mut self, cmd_sn: u32) {
        self.gaps.insert(cmd_sn);
    }

    pub(super) fn allow_retry(&mut self, cmd_sn: u32) {
        self.retries.insert(cmd_sn);
    }

    /// ExpCmdSN: the lowest number that was not received.
    pub(super) fn exp_cmd_sn(&self) -> u32 {
        let behind = |gap: &&u32| self.next.wrapping_sub(**gap);
        self.gaps
            .iter()
            .max_by_key(behind)
            .copied()
            .unwrap_or(self.next)
    }

    pub(super) fn max_cmd_sn(&self) -> u32 {
        match self.grant {
            Grant::Rolling(commands) => self.exp_cmd_sn().wrapping_add(commands).wrapping_sub(1),
            Grant::Fixed(max_cmd_sn) => max_cmd_sn,
        }
    }

    /// Takes the CmdSN of a PDU: a numbered request has the next one and lies in the window, an
    /// immediate one repeats it (§4.2.2.1).
    pub(super) fn receive(&mut self, pdu: &Pdu) -> Result<(), String> {
        if matches!(pdu.opcode(), DATA_OUT | SNACK) {
            return Ok(());
        }
        let (got, next) = (pdu.cmd_sn(), self.next);
        if pdu.is_immediate() {
            let ahead = self.has_joined && got.wrapping_sub(next).cast_signed() > 0;
            return if got == next || ahead {
                Ok(())
            } else {
                Err(format!(
                    "an immediate request has CmdSN {got}, {next} is current"
                ))
            };
        }
        if self.gaps.remove(&got) || self.retries.remove(&got) {
            return Ok(());
        }
        let skipped = got.wrapping_sub(next).cast_signed();
        if skipped < 0 || (skipped > 0 && !self.has_joined) {
            return Err(format!("CmdSN {got} where {next} was due"));
        }
        let room = self.max_cmd_sn().wrapping_sub(got).cast_signed();
        if room < 0 {
            return Err(format!(
                "CmdSN {got} is beyond MaxCmdSN {}",
                self.max_cmd_sn()
            ));
        }
        // On their way on another connection.
        let mut number = next;
        while number != got {
            self.gaps.insert(number);
            number = number.wrapping_add(1);
        }
        self.next = got.wrapping_add(1);
        Ok(())
    }
}

/// StatSN of one connection.
#[derive(Debug)]
pub(super) struct StatusNumbers {
    /// The next StatSN.
    pub(super) next: u32,
    /// The ExpStatSN that came last; none before the first that means something.
    acknowledged: Option<u32>,
}

impl StatusNumbers {
    pub(super) fn new(first: u32) -> Self {
        Self {
            next: first,
            acknowledged: None,
        }
    }

    /// Numbers a PDU of the target; StatSN is used up by those that carry a status (§4.2.2.2).
    pub(super) fn stamp(&mut self, pdu: Pdu) -> Pdu {
        let consumes = match pdu.opcode() {
            DATA_IN => pdu.byte(1) & STATUS != 0,
            NOP_IN => pdu.itt() != NO_TAG,
            R2T => false,
            LOGIN_RESPONSE => pdu.byte(36) == 0,
            _ => true,
        };
        let stat_sn = self.next;
        self.next = stat_sn.wrapping_add(u32::from(consumes));
        pdu.put_word(24, stat_sn)
    }

    /// Takes an ExpStatSN: it never goes back, and never acknowledges what was not sent.
    pub(super) fn receive(&mut self, exp_stat_sn: u32) -> Result<(), String> {
        let ahead = exp_stat_sn.wrapping_sub(self.next).cast_signed();
        if ahead > 0 {
            return Err(format!(
                "ExpStatSN {exp_stat_sn}, but {} is next",
                self.next
            ));
        }
        if let Some(last) = self.acknowledged
            && exp_stat_sn.wrapping_sub(last).cast_signed() < 0
        {
            return Err(format!("ExpStatSN {exp_stat_sn} after {last}"));
        }
        self.acknowledged = Some(exp_stat_sn);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::wire::{IMMEDIATE, NOP_OUT, SCSI_COMMAND};

    fn command(cmd_sn: u32) -> Pdu {
        Pdu::new(SCSI_COMMAND, 1).put_word(24, cmd_sn)
    }

    #[test]
    fn numbers_rise_by_one_within_the_window() {
        let mut numbers = SessionNumbers::new();
        numbers.begin(u32::MAX);
        numbers.fix_max_cmd_sn(0);
        assert!(numbers.receive(&command(0)).is_err());
        numbers.receive(&command(u32::MAX)).unwrap();
        let immediate = Pdu::new(NOP_OUT | IMMEDIATE, 1);
        numbers.receive(&immediate).unwrap();
        assert!(numbers.receive(&immediate.put_word(24, 1)).is_err());
        numbers.receive(&command(0)).unwrap();
        assert!(numbers.receive(&command(1)).is_err(), "closed");
        numbers.forget(0);
        assert_eq!(numbers.exp_cmd_sn(), 0);
        numbers.receive(&command(0)).unwrap();
        assert!(numbers.receive(&command(0)).is_err(), "once is enough");
        assert_eq!(numbers.exp_cmd_sn(), 1);
    }

    #[test]
    fn several_connections_may_be_read_in_any_order() {
        let mut numbers = SessionNumbers::new();
        numbers.begin(u32::MAX);
        assert!(numbers.receive(&command(1)).is_err(), "one connection");
        numbers.join();
        numbers.receive(&command(1)).unwrap();
        assert_eq!(numbers.exp_cmd_sn(), u32::MAX);
        assert!(numbers.receive(&command(40)).is_err(), "beyond the window");
        numbers.receive(&command(u32::MAX)).unwrap();
        numbers.receive(&command(0)).unwrap();
        assert!(numbers.receive(&command(0)).is_err(), "once is enough");
        assert_eq!(numbers.exp_cmd_sn(), 2);
    }

    #[test]
    fn acknowledgements_neither_go_back_nor_ahead() {
        let mut status = StatusNumbers::new(u32::MAX);
        assert!(status.receive(0).is_err());
        status.receive(u32::MAX).unwrap();
        let pdu = status.stamp(Pdu::new(NOP_IN, NO_TAG));
        assert_eq!((pdu.word(24), status.next), (u32::MAX, u32::MAX));
        status.stamp(Pdu::new(NOP_IN, 1));
        status.receive(0).unwrap();
        assert!(status.receive(u32::MAX).is_err());
    }
}
