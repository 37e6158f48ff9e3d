//! MODE SENSE: is the disk write-protected, and has it a volatile cache (SPC-4 §7.5, SBC-3 §6.5)?

use crate::error::DecodeError;
use crate::fields::{be16, byte, slice};

/// Page code of the caching mode page (SBC-3 §6.5.5).
pub const PAGE_CACHING: u8 = 0x08;
/// Page code of the control mode page (SPC-4 §7.5.8).
pub const PAGE_CONTROL: u8 = 0x0a;
/// Page code of the informational exceptions control mode page.
pub const PAGE_INFORMATIONAL_EXCEPTIONS: u8 = 0x1c;
/// Page code that asks for all pages.
pub const PAGE_ALL: u8 = 0x3f;
/// Bytes of the MODE SENSE (6) header.
const HEADER_6_LEN: usize = 4;
/// Bytes of the MODE SENSE (10) header.
const HEADER_10_LEN: usize = 8;
/// Most pages looked at: there are 64 page codes, and subpages are not followed further.
const MAX_PAGES: usize = 64;

/// What a disk's mode parameters say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModeParameters {
    /// Writes are refused (WP).
    pub write_protected: bool,
    /// FUA and DPO are understood (DPOFUA).
    pub fua_supported: bool,
    /// The caching page, if it came.
    pub caching: Option<Caching>,
}

/// The caching mode page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caching {
    /// Writes are acknowledged from a volatile cache (WCE): flushes matter.
    pub write_cache_enabled: bool,
    /// Reads do not come from a cache (RCD).
    pub read_cache_disabled: bool,
}

impl ModeParameters {
    /// Reads the answer to MODE SENSE (6).
    ///
    /// # Errors
    /// `TooShort` below its 4-byte header.
    pub fn decode_6(bytes: &[u8]) -> Result<Self, DecodeError> {
        DecodeError::need("MODE SENSE(6) data", bytes, HEADER_6_LEN)?;
        let end = usize::from(byte(bytes, 0)) + 1;
        let descriptors = usize::from(byte(bytes, 3));
        Ok(Self::decode(
            slice(bytes, 0, end),
            byte(bytes, 2),
            HEADER_6_LEN + descriptors,
        ))
    }

    /// Reads the answer to MODE SENSE (10).
    ///
    /// # Errors
    /// `TooShort` below its 8-byte header.
    pub fn decode_10(bytes: &[u8]) -> Result<Self, DecodeError> {
        DecodeError::need("MODE SENSE(10) data", bytes, HEADER_10_LEN)?;
        let end = usize::from(be16(bytes, 0)) + 2;
        let descriptors = usize::from(be16(bytes, 6));
        Ok(Self::decode(
            slice(bytes, 0, end),
            byte(bytes, 3),
            HEADER_10_LEN + descriptors,
        ))
    }

    fn decode(bytes: &[u8], device_specific: u8, pages_at: usize) -> Self {
        Self {
            write_protected: device_specific & 0x80 != 0,
            fua_supported: device_specific & 0x10 != 0,
            caching: find_page(bytes.get(pages_at..).unwrap_or(&[]), PAGE_CACHING).map(|page| {
                Caching {
                    write_cache_enabled: byte(page, 0) & 0x04 != 0,
                    read_cache_disabled: byte(page, 0) & 0x01 != 0,
                }
            }),
        }
    }
}

/// The body of the page `wanted` (subpage 0), behind its code and length; at least one byte.
fn find_page(mut pages: &[u8], wanted: u8) -> Option<&[u8]> {
    for _ in 0..MAX_PAGES {
        let code = *pages.first()?;
        let (start, length) = match code & 0x40 {
            0 => (2, usize::from(*pages.get(1)?)),
            _ => (4, usize::from(be16(pages, 2))),
        };
        if code & 0x7f == wanted {
            return Some(slice(pages, start, length)).filter(|page| !page.is_empty());
        }
        pages = pages.get(start + length..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHING: [u8; 20] = [
        0x88, 0x12, 0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn six_byte_form_behind_a_block_descriptor() {
        let mut bytes = vec![31, 0, 0x90, 8, 0, 0, 0, 0, 0, 0, 2, 0];
        bytes.extend_from_slice(&CACHING);
        let mode = ModeParameters::decode_6(&bytes).unwrap();
        assert!(mode.write_protected && mode.fua_supported);
        let caching = mode.caching.unwrap();
        assert!(caching.write_cache_enabled && caching.read_cache_disabled);
    }

    #[test]
    fn ten_byte_form_behind_other_pages() {
        let mut bytes = vec![0, 0, 0, 0x10, 0, 0, 0, 0];
        bytes.extend_from_slice(&[0x01, 2, 0xff, 0xff]); // read-write error recovery, cut short
        bytes.extend_from_slice(&[0x4a, 0x01, 0, 3, 1, 2, 3]); // a subpage
        bytes.extend_from_slice(&CACHING);
        let length = u8::try_from(bytes.len() - 2).unwrap();
        bytes[1] = length;
        let mode = ModeParameters::decode_10(&bytes).unwrap();
        assert!(!mode.write_protected && mode.fua_supported);
        assert!(mode.caching.unwrap().write_cache_enabled);
    }

    #[test]
    fn no_caching_page_is_not_a_write_through_cache() {
        let mode = ModeParameters::decode_6(&[3, 0, 0, 0]).unwrap();
        assert_eq!(mode, ModeParameters::default());
        assert_eq!(
            ModeParameters::decode_6(&[5, 0, 0, 0, 0x08, 0x12])
                .unwrap()
                .caching,
            None
        );
        assert!(ModeParameters::decode_6(&[3, 0, 0]).is_err());
        assert!(ModeParameters::decode_10(&[0; 7]).is_err());
    }
}
