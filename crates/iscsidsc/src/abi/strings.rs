//! Text across the boundary: UTF-8 in the A variants, UTF-16 in the W variants, NUL-terminated in both (§1.1, §1.8).

use hawser_api::Status;

/// What one character of an A or W text is: a `u8` or a `u16`.
pub(crate) trait Unit: Copy + Eq + 'static {
    /// The end of a text.
    const NUL: Self;

    /// The units of `text`, without a NUL at the end.
    fn encode(text: &str) -> Vec<Self>;

    /// The text that these units are; `None` if they are none.
    fn decode(units: &[Self]) -> Option<String>;

    /// Whether a text may be cut before this unit.
    fn starts_a_character(self) -> bool;

    /// Writes itself to `bytes`, which are as many as it has.
    fn store(self, bytes: &mut [u8]);
}

impl Unit for u8 {
    const NUL: Self = 0;

    fn encode(text: &str) -> Vec<Self> {
        text.as_bytes().to_vec()
    }

    fn decode(units: &[Self]) -> Option<String> {
        String::from_utf8(units.to_vec()).ok()
    }

    fn starts_a_character(self) -> bool {
        self & 0xc0 != 0x80
    }

    fn store(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&[self]);
    }
}

impl Unit for u16 {
    const NUL: Self = 0;

    fn encode(text: &str) -> Vec<Self> {
        text.encode_utf16().collect()
    }

    fn decode(units: &[Self]) -> Option<String> {
        String::from_utf16(units).ok()
    }

    fn starts_a_character(self) -> bool {
        self & 0xfc00 != 0xdc00
    }

    fn store(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.to_ne_bytes());
    }
}

/// How long a text may be, and what it is answered if it is longer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// Most units, without the NUL.
    units: usize,
    too_long: Status,
}

impl Limit {
    const fn new(units: usize, too_long: Status) -> Self {
        Self { units, too_long }
    }

    /// An iSCSI name (§1.8).
    pub(crate) const ISCSI_NAME: Self = Self::new(223, Status::INVALID_ISCSI_NAME);
    /// An initiator instance (§1.8). Ours have no longer names, nor has anybody's.
    pub(crate) const INSTANCE: Self = Self::new(255, Status::ERROR_INVALID_PARAMETER);
    /// An alias (§1.8).
    pub(crate) const ALIAS: Self = Self::new(255, Status::ERROR_INVALID_PARAMETER);
    /// The address of a server or peer; DNS has none longer.
    pub(crate) const ADDRESS: Self = Self::new(255, Status::ERROR_INVALID_PARAMETER);
    /// The address of a RADIUS server (§2.9).
    pub(crate) const RADIUS_ADDRESS: Self = Self::new(41, Status::ERROR_INVALID_PARAMETER);
    /// A discovery mechanism: a prefix, an address, a port, an initiator instance and its address (§1.7). No
    /// longer one exists, so it is not found.
    pub(crate) const MECHANISM: Self = Self::new(1023, Status::DISCOVERY_MECHANISM_NOT_FOUND);
    /// A path: `PATH_MAX` of Linux with its NUL. No longer one leads to a device.
    pub(crate) const PATH: Self = Self::new(4095, Status::DEVICE_NOT_FOUND);
}

/// Reads a caller's NUL-terminated text; NULL is `None`.
///
/// Fails with the status of `limit` for a text that is longer, of which `limit.units + 1` units are read and no more;
/// with `ERROR_INVALID_PARAMETER` if it is not UTF-8 or UTF-16.
///
/// # Safety
/// `text` is NULL, or the units from there to the first NUL, or `limit.units + 1` of them, can be read. It need not
/// be aligned.
pub(crate) unsafe fn read_text<C: Unit>(
    text: *const C,
    limit: Limit,
) -> Result<Option<String>, Status> {
    if text.is_null() {
        return Ok(None);
    }
    let mut units = Vec::new();
    loop {
        // SAFETY: no NUL was among the `units.len()` units before this one, and they are `limit.units` at most, so the
        // caller vouches for this one.
        let unit = unsafe { text.add(units.len()).read_unaligned() };
        if unit == C::NUL {
            break;
        }
        if units.len() == limit.units {
            return Err(limit.too_long);
        }
        units.push(unit);
    }
    C::decode(&units)
        .map(Some)
        .ok_or(Status::ERROR_INVALID_PARAMETER)
}

/// The same where a text must be given: NULL is `ERROR_INVALID_PARAMETER`.
///
/// # Safety
/// As [`read_text`].
pub(crate) unsafe fn require_text<C: Unit>(text: *const C, limit: Limit) -> Result<String, Status> {
    // SAFETY: the caller vouches for what `read_text` asks.
    unsafe { read_text(text, limit) }?.ok_or(Status::ERROR_INVALID_PARAMETER)
}

/// The text in an array of a caller's struct: up to its NUL. `ERROR_INVALID_PARAMETER` if it has none (over-long, §1.8)
/// or is not UTF-8 or UTF-16.
pub(crate) fn text_of_array<C: Unit>(array: &[C]) -> Result<String, Status> {
    let end = array.iter().position(|unit| *unit == C::NUL);
    end.and_then(|end| C::decode(&array[..end]))
        .ok_or(Status::ERROR_INVALID_PARAMETER)
}

/// `text` as an array of a struct for the caller: filled up with NULs, of which there is one at least; cut between
/// two characters if it is too long (§1.1).
pub(crate) fn array_of_text<C: Unit, const N: usize>(text: &str) -> [C; N] {
    let mut array = [C::NUL; N];
    let units = clean::<C>(text);
    let mut length = units.len().min(N.saturating_sub(1));
    while length < units.len() && length > 0 && !units[length].starts_a_character() {
        length -= 1;
    }
    array[..length].copy_from_slice(&units[..length]);
    array
}

/// The units of `text` up to the first NUL in it: a text with a NUL inside would be two for the caller.
pub(crate) fn clean<C: Unit>(text: &str) -> Vec<C> {
    C::encode(text.split('\0').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Limit = Limit::new(4, Status::INVALID_ISCSI_NAME);
    const INVALID: Status = Status::ERROR_INVALID_PARAMETER;

    fn read<C: Unit>(units: &[C]) -> Result<Option<String>, Status> {
        // SAFETY: every test passes a slice with a NUL in it, or with more than four units.
        unsafe { read_text(units.as_ptr(), SHORT) }
    }

    #[test]
    fn a_text_ends_at_its_nul() {
        assert_eq!(read(b"ab\0cd\0"), Ok(Some("ab".into())));
        assert_eq!(
            read(&[0x61_u16, 0xd83d, 0xde00, 0, 0x62]),
            Ok(Some("a😀".into()))
        );
        assert_eq!(read(b"\0"), Ok(Some(String::new())));
    }

    #[test]
    fn a_text_at_an_odd_address_is_read() {
        let bytes = [0_u8, b'a', 0, b'b', 0, 0, 0, 0];
        let odd = bytes.as_ptr().wrapping_add(1).cast::<u16>();
        // SAFETY: three units from there are in `bytes`, the third is a NUL.
        let text = unsafe { read_text(odd, SHORT) };
        assert_eq!(text, Ok(Some("ab".into())));
    }

    #[test]
    fn null_is_no_text() {
        // SAFETY: NULL is allowed.
        let text = unsafe { read_text(std::ptr::null::<u16>(), SHORT) };
        assert_eq!(text, Ok(None));
    }

    #[test]
    fn an_over_long_text_is_read_no_further_than_its_limit() {
        assert_eq!(read(b"abcd\0"), Ok(Some("abcd".into())));
        assert_eq!(read(b"abcde"), Err(Status::INVALID_ISCSI_NAME));
        assert_eq!(read(&[0x61_u16; 5]), Err(Status::INVALID_ISCSI_NAME));
    }

    #[test]
    fn what_is_not_unicode_is_refused() {
        assert_eq!(read(b"a\xff\0"), Err(INVALID));
        assert_eq!(read(&[0xd83d_u16, 0x61, 0]), Err(INVALID));
        assert_eq!(text_of_array(b"\xc3\0"), Err(INVALID));
        assert_eq!(text_of_array(&[0xdc00_u16, 0]), Err(INVALID));
    }

    #[test]
    fn an_array_without_a_nul_is_over_long() {
        assert_eq!(text_of_array(b"abc"), Err(INVALID));
        assert_eq!(text_of_array(b"ab\0"), Ok("ab".into()));
        assert_eq!(text_of_array(b"\0\xff\xff"), Ok(String::new()));
    }

    #[test]
    fn an_array_is_cut_between_characters() {
        assert_eq!(array_of_text::<u8, 4>("abc"), *b"abc\0");
        assert_eq!(array_of_text::<u8, 4>("abcd"), *b"abc\0");
        assert_eq!(array_of_text::<u8, 4>("abé"), *b"ab\0\0");
        assert_eq!(array_of_text::<u8, 4>("é"), *b"\xc3\xa9\0\0");
        assert_eq!(array_of_text::<u8, 3>("😀"), *b"\0\0\0");
        assert_eq!(array_of_text::<u16, 3>("a😀"), [0x61, 0, 0]);
        assert_eq!(array_of_text::<u16, 4>("a😀"), [0x61, 0xd83d, 0xde00, 0]);
        assert_eq!(array_of_text::<u8, 4>("a\0b"), *b"a\0\0\0");
    }
}
