//! Reads big-endian fields and device texts out of byte slices without ever going past the end.

use std::fmt::Write as _;

/// The byte at `at`, or 0 behind the end: SPC lets a device send less than asked, and a field that
/// did not come counts as zero.
pub(crate) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// The two bytes at `at` as a number, or 0 if they did not come.
pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    array::<2>(bytes, at).map_or(0, u16::from_be_bytes)
}

/// The four bytes at `at` as a number, or 0 if they did not come.
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    array::<4>(bytes, at).map_or(0, u32::from_be_bytes)
}

/// The eight bytes at `at` as a number, or 0 if they did not come.
pub(crate) fn be64(bytes: &[u8], at: usize) -> u64 {
    array::<8>(bytes, at).map_or(0, u64::from_be_bytes)
}

/// `N` bytes at `at`, if all of them came.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    let end = at.checked_add(N)?;
    bytes.get(at..end)?.try_into().ok()
}

/// At most `len` bytes at `at`: fewer, or none, where the answer ends.
pub(crate) fn slice(bytes: &[u8], at: usize, len: usize) -> &[u8] {
    let end = at.saturating_add(len).min(bytes.len());
    bytes.get(at..end).unwrap_or(&[])
}

/// A device's text for humans: blanks and NULs at both ends removed, every byte that is not
/// printable ASCII written as `\xNN`, so that it can do nothing to a terminal or a log.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &b in trim(bytes) {
        if b == b' ' || (b.is_ascii_graphic() && b != b'\\') {
            text.push(char::from(b));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{b:02x}");
        }
    }
    text
}

/// `bytes` without the blanks and NULs that pad both ends.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let pad = |b: &u8| *b == b' ' || *b == 0;
    let start = bytes.iter().position(|b| !pad(b)).unwrap_or(bytes.len());
    let end = bytes
        .iter()
        .rposition(|b| !pad(b))
        .map_or(start, |last| last.saturating_add(1));
    bytes.get(start..end).unwrap_or(&[])
}
