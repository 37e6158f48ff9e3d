//! Single words: how a number, a truth value, a secret, an id is written.

use hawser_api::v1::{ConnectionId, Secret, SessionId};

use super::stop::Stop;

/// Digits that are read of one half of an id, or of a LUN.
const MAX_HEX_DIGITS: usize = 16;

/// Whether a word asks for the default. Only its first character counts.
pub(super) fn is_default(word: &str) -> bool {
    word.starts_with('*')
}

/// Whether a word of a user name or password says "specified, but empty".
pub(super) fn is_empty_mark(word: &str) -> bool {
    word.starts_with('-')
}

/// A word where a number belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// It is one.
    Whole(u32),
    /// It begins with one, which counts; the rest does not.
    Begins(u32),
    /// It does not even begin with one, and counts as 0.
    None,
}

/// A number: hexadecimal after `0x`, where all digits must be ones, else decimal, where what follows the digits is not
/// looked at, as with `atoi`.
///
/// # Errors
/// A number of more than 32 bits.
pub(super) fn number(word: &str) -> Result<Number, Stop> {
    let too_large = || Stop::invalid(format!("{word} is too large a number"));
    let hexadecimal = word.strip_prefix("0x").or(word.strip_prefix("0X"));
    if let Some(digits) = hexadecimal.filter(|digits| !digits.is_empty()) {
        if !digits.chars().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(Number::None);
        }
        let value = u32::from_str_radix(digits, 16).map_err(|_| too_large())?;
        return Ok(Number::Whole(value));
    }
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    let behind = unsigned.trim_start_matches(|digit: char| digit.is_ascii_digit());
    if behind.len() == unsigned.len() {
        return Ok(Number::None);
    }
    let (digits, _) = word.split_at(word.len() - behind.len());
    let value: i64 = digits.parse().map_err(|_| too_large())?;
    // -1 is how some scripts write "any": the bits count.
    let signed = i32::try_from(value).map(i32::cast_unsigned);
    let value = u32::try_from(value).or(signed).map_err(|_| too_large())?;
    Ok(if behind.is_empty() {
        Number::Whole(value)
    } else {
        Number::Begins(value)
    })
}

/// A truth value: `t…` or `T…` is true, `*` is the default, anything else is false.
pub(super) fn flag(word: &str, default: bool) -> bool {
    if is_default(word) {
        return default;
    }
    word.starts_with(['t', 'T'])
}

/// Whether a word that is read as false looks as if true were meant.
pub(super) fn looks_true(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    word == "1" || word.starts_with('y') || word == "on"
}

/// A secret: text, or hexadecimal after `0x`, two digits a byte. `None` for digits that are not.
pub(super) fn secret(word: &str) -> Option<Secret> {
    let Some(digits) = word.strip_prefix("0x").or(word.strip_prefix("0X")) else {
        return Some(Secret::new(word));
    };
    let pairs = digits.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs.map(hex_byte).collect();
    bytes.map(Secret::new)
}

fn hex_byte(pair: &[u8]) -> Option<u8> {
    let [high, low] = pair else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

/// A LUN as the commands that send SCSI commands take it: hexadecimal digits alone, sixteen of which are
/// read. In the form of `Disk.lun`.
pub(super) fn bare_lun(word: &str) -> Option<u64> {
    let read: String = word.chars().take(MAX_HEX_DIGITS).collect();
    let plain = !read.is_empty() && read.chars().all(|digit| digit.is_ascii_hexdigit());
    let value = plain.then(|| u64::from_str_radix(&read, 16).ok()).flatten();
    value.map(hawser_api::lun_as_discovery_library)
}

/// The LUN of a mapping: `0x` and sixteen hexadecimal digits. In the form of `Disk.lun`.
pub(super) fn mapped_lun(word: &str) -> Option<u64> {
    let digits = word.strip_prefix("0x").or(word.strip_prefix("0X"))?;
    let full = digits.len() == MAX_HEX_DIGITS && digits.chars().all(|d| d.is_ascii_hexdigit());
    let value = full
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()?;
    Some(hawser_api::lun_as_discovery_library(value))
}

/// A session id.
pub(super) fn session_id(word: &str) -> Option<SessionId> {
    word.parse().ok()
}

/// A connection id.
pub(super) fn connection_id(word: &str) -> Option<ConnectionId> {
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal_and_other_text_is_none() {
        let cases = [
            ("0", Number::Whole(0)),
            ("3260", Number::Whole(3260)),
            ("0010", Number::Whole(10)),
            ("0x10", Number::Whole(16)),
            ("0XfF", Number::Whole(255)),
            ("-1", Number::Whole(u32::MAX)),
            ("+1", Number::Whole(1)),
            ("4294967295", Number::Whole(u32::MAX)),
            ("12abc", Number::Begins(12)),
            ("12 ", Number::Begins(12)),
            ("-1é", Number::Begins(u32::MAX)),
            ("0x", Number::Begins(0)),
            ("*", Number::None),
            ("abc", Number::None),
            ("0x1g", Number::None),
            ("0x-1", Number::None),
            ("", Number::None),
            ("-", Number::None),
            ("--1", Number::None),
        ];
        for (word, value) in cases {
            assert_eq!(number(word).expect(word), value, "{word}");
        }
        for word in [
            "4294967296",
            "0x100000000",
            "99999999999999999999",
            "-2147483649",
            "4294967296abc",
        ] {
            assert!(number(word).is_err(), "{word}");
        }
    }

    #[test]
    fn truth_is_in_the_first_letter() {
        for (word, value) in [
            ("T", true),
            ("true", true),
            ("F", false),
            ("1", false),
            ("yes", false),
            ("", false),
        ] {
            assert_eq!(flag(word, true), value, "{word}");
            assert_eq!(flag(word, false), value, "{word}");
        }
        assert!(flag("*", true) && flag("*abc", true) && !flag("*", false));
        assert!(looks_true("1") && looks_true("Yes") && !looks_true("F"));
    }

    #[test]
    fn secrets_are_text_or_pairs_of_digits() {
        let bytes = |word| secret(word).map(|secret| secret.expose().to_vec());
        assert_eq!(bytes("secret"), Some(b"secret".to_vec()));
        assert_eq!(bytes("0x00fF"), Some(vec![0x00, 0xff]));
        assert_eq!(bytes("0X"), Some(vec![]));
        assert_eq!(bytes("0x123"), None);
        assert_eq!(bytes("0x1g"), None);
    }

    #[test]
    fn luns_have_two_forms() {
        assert_eq!(bare_lun("0"), Some(0));
        assert_eq!(bare_lun("100"), Some(0x0001_0000_0000_0000));
        assert_eq!(
            bare_lun("00000000000001000"),
            bare_lun("100"),
            "16 are read"
        );
        assert_eq!(bare_lun("0x100"), None);
        assert_eq!(bare_lun(""), None);
        assert_eq!(
            mapped_lun("0x0000000000000100"),
            Some(0x0001_0000_0000_0000)
        );
        for wrong in ["0x100", "100", "0x000000000000010g", "0000000000000000100"] {
            assert_eq!(mapped_lun(wrong), None, "{wrong}");
        }
    }
}
