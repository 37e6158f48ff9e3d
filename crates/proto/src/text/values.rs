//! The forms of values (RFC 7143 §6.1): numbers, booleans, lists, and binaries in hexadecimal or base64.

use thiserror::Error;

/// RFC 7143 §12.1.3: the longest binary of CHAP and SRP, in bytes.
pub const MAX_BINARY_BYTES: usize = 1024;

/// Why a value is not of the form its key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Neither a decimal nor a hexadecimal number below 2^64.
    #[error("not a decimal or hexadecimal number")]
    NotANumber,
    /// Neither `Yes` nor `No`.
    #[error("neither Yes nor No")]
    NotABoolean,
    /// Neither `0x` with hexadecimal digits nor `0b` with base64.
    #[error("neither a hexadecimal nor a base64 constant")]
    NotABinary,
    /// A binary longer than its key allows.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
}

/// Reads a numerical value: decimal without leading zeros, or hexadecimal, below 2^64.
///
/// # Errors
/// [`ValueError::NotANumber`].
pub fn parse_number(text: &str) -> Result<u64, ValueError> {
    let (digits, radix) = match hex_digits(text) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let leading_zero = radix == 10 && digits.len() > 1 && digits.starts_with('0');
    let only_digits = digits.bytes().all(|b| char::from(b).is_digit(radix));
    if digits.is_empty() || leading_zero || !only_digits {
        return Err(ValueError::NotANumber);
    }
    u64::from_str_radix(digits, radix).map_err(|_| ValueError::NotANumber)
}

/// Reads `Yes` or `No`.
///
/// # Errors
/// [`ValueError::NotABoolean`].
pub fn parse_boolean(text: &str) -> Result<bool, ValueError> {
    match text {
        "Yes" => Ok(true),
        "No" => Ok(false),
        _ => Err(ValueError::NotABoolean),
    }
}

/// Writes `Yes` or `No`.
#[must_use]
pub fn format_boolean(value: bool) -> &'static str {
    if value { "Yes" } else { "No" }
}

/// The items of a comma-separated list, in order.
pub fn list_items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
}

/// Reads a binary of at most `limit` bytes: `0x` and hexadecimal digits, where an odd number of
/// digits means that the first byte has one digit (§6.1: n digits are (n+1)/2 bytes), or `0b` and
/// base64 (RFC 4648), whose padding may be missing.
///
/// # Errors
/// [`ValueError::NotABinary`] or [`ValueError::TooLong`].
pub fn parse_binary(text: &str, limit: usize) -> Result<Vec<u8>, ValueError> {
    let bytes = if let Some(digits) = hex_digits(text) {
        if digits.len() > limit.saturating_mul(2) {
            return Err(ValueError::TooLong { limit });
        }
        from_hex(digits)
    } else if let Some(digits) = text.strip_prefix("0b").or_else(|| text.strip_prefix("0B")) {
        from_base64(digits, limit)?
    } else {
        None
    };
    match bytes {
        Some(bytes) if bytes.len() > limit => Err(ValueError::TooLong { limit }),
        Some(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(ValueError::NotABinary),
    }
}

/// Writes a binary as a hexadecimal constant.
#[must_use]
pub fn format_hex(bytes: &[u8]) -> String {
    let nibble = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    let digits = bytes.iter().flat_map(|b| [nibble(b >> 4), nibble(b & 0xf)]);
    "0x".chars().chain(digits).collect()
}

/// Writes a binary as a base64 constant, with padding.
#[must_use]
pub fn format_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + bytes.len().div_ceil(3) * 4);
    text.push_str("0b");
    for group in bytes.chunks(3) {
        let mut word = group.iter().fold(0u32, |word, b| word << 8 | u32::from(*b));
        word <<= 8 * (3 - group.len());
        for place in 0..4 {
            if place <= group.len() {
                text.push(base64_digit(word >> (18 - 6 * place) & 0x3f));
            } else {
                text.push('=');
            }
        }
    }
    text
}

fn hex_digits(text: &str) -> Option<&str> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len().div_ceil(2));
    // With an odd count the first byte is complete after one digit.
    let mut half_done = digits.len() % 2 == 1;
    let mut byte = 0u8;
    for digit in digits.chars() {
        let nibble = u8::try_from(digit.to_digit(16)?).ok()?;
        byte = byte << 4 | nibble;
        if half_done {
            bytes.push(byte);
            byte = 0;
        }
        half_done = !half_done;
    }
    Some(bytes)
}

fn from_base64(text: &str, limit: usize) -> Result<Option<Vec<u8>>, ValueError> {
    if text.len() > limit.div_ceil(3).saturating_mul(4) {
        return Err(ValueError::TooLong { limit });
    }
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    // One digit left over holds six bits: not a byte. Padding, if there, must fill the last group.
    if digits.len() % 4 == 1 || padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut word, mut bits) = (0u32, 0u32);
    for digit in digits.bytes() {
        let Some(value) = base64_value(digit) else {
            return Ok(None);
        };
        word = (word << 6 | value) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.extend(u8::try_from(word >> bits & 0xff));
        }
    }
    Ok(Some(bytes))
}

fn base64_value(digit: u8) -> Option<u32> {
    let digit = u32::from(digit);
    match u8::try_from(digit).ok()? {
        b'A'..=b'Z' => Some(digit - u32::from(b'A')),
        b'a'..=b'z' => Some(digit - u32::from(b'a') + 26),
        b'0'..=b'9' => Some(digit - u32::from(b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

fn base64_digit(value: u32) -> char {
    let digit = match value {
        0..=25 => u32::from(b'A') + value,
        26..=51 => u32::from(b'a') + value - 26,
        52..=61 => u32::from(b'0') + value - 52,
        62 => u32::from(b'+'),
        _ => u32::from(b'/'),
    };
    char::from_u32(digit).unwrap_or('/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(parse_number("0"), Ok(0));
        assert_eq!(parse_number("262144"), Ok(262_144));
        assert_eq!(parse_number("0x40000"), Ok(262_144));
        assert_eq!(parse_number("0X00fF"), Ok(255));
        assert_eq!(parse_number("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse_number("0xffffffffffffffff"), Ok(u64::MAX));
        for bad in [
            "",
            "00",
            "01",
            "-1",
            "+1",
            " 1",
            "1 ",
            "0x",
            "0xg",
            "1a",
            "18446744073709551616",
            "0x1ffffffffffffffff",
            "Yes",
        ] {
            assert_eq!(parse_number(bad), Err(ValueError::NotANumber), "{bad:?}");
        }
    }

    #[test]
    fn sup_c03_hex_of_odd_length_and_either_case() {
        assert_eq!(parse_binary("0xabc", 2), Ok(vec![0x0a, 0xbc]));
        assert_eq!(parse_binary("0XABc", 2), Ok(vec![0x0a, 0xbc]));
        assert_eq!(parse_binary("0x0", 1), Ok(vec![0]));
        assert_eq!(parse_binary("0x000102", 3), Ok(vec![0, 1, 2]));
        for bad in [
            "",
            "0x",
            "0b",
            "0xg1",
            "abcd",
            "12",
            "0b====",
            "0bA",
            "0bAA=",
            "0bA===",
            "0bAA*A",
            "0bAA==AA==",
        ] {
            assert_eq!(
                parse_binary(bad, 99),
                Err(ValueError::NotABinary),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn sup_c03_base64_vectors_of_rfc_4648() {
        for (text, bytes) in [
            ("0bZg==", "f"),
            ("0bZm8=", "fo"),
            ("0BZm9v", "foo"),
            ("0bZm9vYg==", "foob"),
            ("0bZm9vYmE=", "fooba"),
            ("0bZm9vYmFy", "foobar"),
            ("0bZm9vYg", "foob"),
        ] {
            assert_eq!(parse_binary(text, 6).unwrap(), bytes.as_bytes(), "{text}");
        }
        assert_eq!(format_base64(b"foob"), "0bZm9vYg==");
        assert_eq!(format_base64(&[0xfb, 0xff]), "0b+/8=");
    }

    #[test]
    fn sup_c03_binaries_have_a_limit() {
        for (bytes, fits) in [
            (1, true),
            (16, true),
            (253, true),
            (1024, true),
            (1025, false),
        ] {
            let value = vec![0x5a; bytes];
            for text in [format_hex(&value), format_base64(&value)] {
                let expected = if fits {
                    Ok(value.clone())
                } else {
                    Err(ValueError::TooLong { limit: 1024 })
                };
                assert_eq!(parse_binary(&text, MAX_BINARY_BYTES), expected);
            }
        }
    }

    proptest! {
        #[test]
        fn numbers_round_trip(n: u64) {
            prop_assert_eq!(parse_number(&n.to_string()), Ok(n));
            prop_assert_eq!(parse_number(&format!("0x{n:x}")), Ok(n));
            prop_assert_eq!(parse_number(&format!("0X{n:020X}")), Ok(n));
        }

        #[test]
        fn binaries_round_trip(bytes in proptest::collection::vec(any::<u8>(), 1..300)) {
            prop_assert_eq!(parse_binary(&format_hex(&bytes), 300), Ok(bytes.clone()));
            prop_assert_eq!(parse_binary(&format_hex(&bytes).to_uppercase(), 300), Ok(bytes.clone()));
            prop_assert_eq!(parse_binary(&format_base64(&bytes), 300), Ok(bytes.clone()));
        }

        #[test]
        fn any_text_gives_an_answer_within_the_limit(text in "(0[xXbB])?[0-9a-zA-Z+/=,~]{0,40}", limit in 0usize..24) {
            let _ = parse_number(&text);
            if let Ok(bytes) = parse_binary(&text, limit) {
                prop_assert!(bytes.len() <= limit);
            }
        }
    }
}
