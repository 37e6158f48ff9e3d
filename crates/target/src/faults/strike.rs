//! Faults that strike one PDU of a kind: it is lost, comes twice, is spoilt, or the connection
//! breaks off at it.

/// Which way a PDU goes, as the target sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the initiator.
    Sent,
    /// From the initiator.
    Received,
}

/// What happens to a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PduAction {
    /// It is lost: as if its header digest had been wrong and the next PDU had been found all the
    /// same (RFC 7143 §7.8). A number it took stays taken.
    Drop,
    /// It is sent, or taken in, twice.
    Duplicate,
    /// Its header digest is wrong, if it is sent and has one; if it is received, the connection is
    /// closed for it.
    SpoilHeaderDigest,
    /// Its data digest is wrong, if it has one.
    SpoilDataDigest,
    /// The connection breaks off in its place.
    CutBefore,
    /// The connection breaks off behind it; if it is received, it is carried out and whatever the
    /// connection had yet to say stays unsaid.
    CutAfter,
}

/// A fault that strikes the n-th PDU of a kind from now, once.
///
/// ```
/// use hawser_target::faults::{PduAction, PduFault};
///
/// // The third Data-In that connection 2 of any session sends is lost.
/// const DATA_IN: u8 = 0x25;
/// let fault = PduFault::sent(DATA_IN, PduAction::Drop).on(2).nth(3);
/// # assert_eq!(fault.nth, 3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PduFault {
    /// Which way the PDU goes.
    pub direction: Direction,
    /// Its opcode without the I bit (RFC 7143 §11.2.1.2).
    pub opcode: u8,
    /// Only on connections of this CID; `None`: on any.
    pub cid: Option<u16>,
    /// Which of those PDUs from now on: 1 is the next.
    pub nth: u32,
    /// What happens to it.
    pub action: PduAction,
}

impl PduFault {
    /// Strikes the next PDU of this opcode that any connection sends.
    #[must_use]
    pub fn sent(opcode: u8, action: PduAction) -> Self {
        Self {
            direction: Direction::Sent,
            opcode: opcode & 0x3f,
            cid: None,
            nth: 1,
            action,
        }
    }

    /// Strikes the next PDU of this opcode that any connection receives.
    #[must_use]
    pub fn received(opcode: u8, action: PduAction) -> Self {
        Self {
            direction: Direction::Received,
            ..Self::sent(opcode, action)
        }
    }

    /// The same, on connections of this CID only.
    #[must_use]
    pub fn on(mut self, cid: u16) -> Self {
        self.cid = Some(cid);
        self
    }

    /// The same, for the n-th of those PDUs; 1 (or 0) is the next.
    #[must_use]
    pub fn nth(mut self, nth: u32) -> Self {
        self.nth = nth.max(1);
        self
    }

    fn fits(&self, direction: Direction, opcode: u8, cid: u16) -> bool {
        self.direction == direction
            && self.opcode == opcode
            && self.cid.is_none_or(|wanted| wanted == cid)
    }
}

/// Counts one PDU for all faults that wait, and takes the first whose turn has come.
pub(super) fn take(
    faults: &mut Vec<PduFault>,
    direction: Direction,
    opcode: u8,
    cid: u16,
) -> Option<PduAction> {
    let mut due = None;
    for (index, fault) in faults.iter_mut().enumerate() {
        if !fault.fits(direction, opcode, cid) {
            continue;
        }
        if fault.nth > 1 {
            fault.nth -= 1;
        } else if due.is_none() {
            due = Some(index);
        }
    }
    due.map(|index| faults.remove(index).action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counts_its_own_pdus() {
        let mut faults = vec![
            PduFault::sent(0x25, PduAction::Drop).nth(2),
            PduFault::sent(0x25, PduAction::Duplicate).on(2),
            PduFault::received(0x41, PduAction::CutBefore),
        ];
        let mut sent = |cid| take(&mut faults, Direction::Sent, 0x25, cid);
        assert_eq!(sent(1), None);
        // Both are due: the first goes first.
        assert_eq!(sent(2), Some(PduAction::Drop));
        assert_eq!(sent(1), None);
        assert_eq!(sent(2), Some(PduAction::Duplicate));
        assert_eq!(take(&mut faults, Direction::Sent, 0x01, 1), None);
        let received = take(&mut faults, Direction::Received, 0x01, 1);
        assert_eq!(received, Some(PduAction::CutBefore));
        assert!(faults.is_empty());
    }
}
