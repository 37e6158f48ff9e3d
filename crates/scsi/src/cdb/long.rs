//! Command descriptor blocks that do not fit a SCSI Command PDU.

use super::{Cdb, MAX_CDB_LEN};

/// Longest CDB of all (SPC-4 §4.2.4: ADDITIONAL CDB LENGTH is one byte, after eight).
pub const MAX_LONG_CDB_LEN: usize = 260;

/// A command descriptor block of 17 to 260 bytes: its first sixteen travel as others do, the rest in an
/// additional header segment (RFC 7143 §11.2.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongCdb {
    first: Cdb,
    rest: Box<[u8]>,
}

impl LongCdb {
    /// Takes over bytes that somebody else built; `None` if there are fewer than 17 or more than 260.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_at_checked(MAX_CDB_LEN)?;
        if rest.is_empty() || bytes.len() > MAX_LONG_CDB_LEN {
            return None;
        }
        let first = Cdb::from_bytes(first)?;
        let rest = rest.into();
        Some(Self { first, rest })
    }

    /// Its first sixteen bytes, and those from the seventeenth on.
    #[must_use]
    pub fn into_parts(self) -> (Cdb, Box<[u8]>) {
        (self.first, self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_cdb_has_17_to_260_bytes() {
        let bytes: Vec<u8> = (0..=255).cycle().take(261).collect();
        for length in [0, 1, 16, 261] {
            assert_eq!(LongCdb::from_bytes(&bytes[..length]), None, "{length}");
        }
        for length in [17, 260] {
            let (first, rest) = LongCdb::from_bytes(&bytes[..length]).unwrap().into_parts();
            assert_eq!(first.as_bytes(), &bytes[..16]);
            assert_eq!(&*rest, &bytes[16..length]);
        }
    }
}
