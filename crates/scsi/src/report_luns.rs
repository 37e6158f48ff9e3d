//! REPORT LUNS: which units a target has (SPC-4 §6.33).

use crate::error::DecodeError;
use crate::fields::{array, be32};
use crate::lun::Lun;

/// Bytes before the first LUN.
const HEADER_LEN: usize = 8;
/// Bytes of a LUN.
const LUN_LEN: usize = 8;
/// Most LUNs that are taken from one answer, as Linux does by default: a target that claims more
/// is either broken or hostile, and each LUN costs its own questions.
pub const MAX_LUNS: usize = 512;
/// Room in bytes to ask for, so that [`MAX_LUNS`] fit.
pub const ALLOCATION_LENGTH: u32 = 8 + 8 * 512;

/// The LUNs of one answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReportedLuns {
    /// The LUNs that came, in the order of the target, at most [`MAX_LUNS`].
    pub luns: Vec<Lun>,
    /// How many more the target has than are in `luns`.
    pub missing: usize,
}

impl ReportedLuns {
    /// Reads the answer to REPORT LUNS.
    ///
    /// # Errors
    /// `TooShort` below the 8 bytes of its header.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        DecodeError::need("REPORT LUNS data", bytes, HEADER_LEN)?;
        let claimed = usize::try_from(be32(bytes, 0)).unwrap_or(usize::MAX) / LUN_LEN;
        let luns: Vec<Lun> = (0..claimed.min(MAX_LUNS))
            .map_while(|i| array(bytes, HEADER_LEN + i * LUN_LEN).map(Lun))
            .collect();
        Ok(Self {
            missing: claimed - luns.len(),
            luns,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_luns() {
        let mut bytes = vec![0, 0, 0, 16, 0, 0, 0, 0];
        bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&[0x41, 0x02, 0, 0, 0, 0, 0, 0]);
        let reported = ReportedLuns::decode(&bytes).unwrap();
        assert_eq!(
            reported.luns,
            [Lun::from_number(0), Lun::from_number(0x102)]
        );
        assert_eq!(reported.missing, 0);
    }

    #[test]
    fn claims_are_bounded() {
        let mut bytes = vec![0xff; 4];
        bytes.extend_from_slice(&[0; 20]);
        let reported = ReportedLuns::decode(&bytes).unwrap();
        assert_eq!(reported.luns.len(), 2, "the third is cut off");
        assert_eq!(reported.missing, 0x1fff_ffff - 2);
        assert!(ReportedLuns::decode(&bytes[..7]).is_err());
        let many = [&[0, 1, 0, 0, 0, 0, 0, 0][..], &[0; 65536]].concat();
        let reported = ReportedLuns::decode(&many).unwrap();
        assert_eq!(
            (reported.luns.len(), reported.missing),
            (MAX_LUNS, 8192 - MAX_LUNS)
        );
    }
}
