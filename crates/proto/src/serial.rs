//! Serial number arithmetic on 32 bits (RFC 1982), for CmdSN and its window (RFC 7143 §4.2.2.1).

use std::cmp::Ordering;
use std::fmt;

/// A sequence number that wraps: `Serial(0xffff_ffff)` is less than `Serial(0)`.
///
/// Two numbers exactly 2^31 apart have no order; every comparison of them is false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Serial(pub u32);

impl Serial {
    /// The number `n` places after this one.
    #[must_use]
    pub fn plus(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n))
    }

    /// The number just before this one.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.wrapping_sub(1))
    }

    /// How many places `self` is after `earlier`, which must not be after `self`.
    #[must_use]
    pub fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Moves to `candidate` if that is later (RFC 7143 §4.2.2.1: a value that is not greater is
    /// ignored).
    pub fn advance_to(&mut self, candidate: Self) {
        if candidate > *self {
            *self = candidate;
        }
    }
}

impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        const HALF: u32 = 1 << 31;
        match self.0.wrapping_sub(other.0) {
            0 => Some(Ordering::Equal),
            HALF => None,
            distance if distance < HALF => Some(Ordering::Greater),
            _ => Some(Ordering::Less),
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_wraps() {
        assert!(Serial(0xffff_ffff) < Serial(0));
        assert!(Serial(0x7fff_fffe) > Serial(0xffff_ffff));
        assert!(Serial(5) > Serial(4));
        assert_eq!(Serial(0x7fff_ffff).partial_cmp(&Serial(0xffff_ffff)), None);
    }

    #[test]
    fn advances_only_forward() {
        let mut sn = Serial(0xffff_fff0);
        sn.advance_to(Serial(2));
        assert_eq!(sn, Serial(2));
        sn.advance_to(Serial(0xffff_fff0));
        assert_eq!(sn, Serial(2));
        assert_eq!(sn.since(Serial(0xffff_fff0)), 18);
    }
}
