//! Values with a form of their own.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser};
use hawser_api::v1::SessionId;

/// Longest iSCSI name, in bytes (RFC 7143 section 4.2.7.1).
const MAX_NAME_LEN: usize = 223;

/// The name of a target, as typed. Only what no iSCSI name can be is refused here; the daemon judges
/// the rest, so that old targets with unusual names can be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetName(pub(crate) String);

impl FromStr for TargetName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_NAME_LEN {
            return Err(format!("an iSCSI name has 1 to {MAX_NAME_LEN} bytes"));
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("an iSCSI name has no blanks".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A session by its id, or by its target.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SessionOrTarget {
    /// This session.
    Session(SessionId),
    /// The sessions of this target.
    Target(String),
}

/// What has the form of a session id is one: no iSCSI name has it, because each begins with `iqn.`,
/// `eui.` or `naa.`.
impl FromStr for SessionOrTarget {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text
            .parse()
            .map_or_else(|_| Self::Target(text.to_owned()), Self::Session))
    }
}

/// Takes the path of a socket; an empty one, as from an environment variable that is set to nothing,
/// is the same as none.
pub(crate) fn socket() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Reads a size in bytes: a number, with `k`, `m` or `g` for powers of 1024.
///
/// # Errors
/// What is wrong, for the usage message.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || "write a number of bytes, such as 4096, 4k or 1m".to_owned();
    let lower = text.to_ascii_lowercase();
    let plain = lower
        .strip_suffix("ib")
        .or(lower.strip_suffix('b'))
        .unwrap_or(&lower);
    let (digits, shift) = match plain.char_indices().last() {
        Some((end, 'k')) => (&plain[..end], 10),
        Some((end, 'm')) => (&plain[..end], 20),
        Some((end, 'g')) => (&plain[..end], 30),
        Some((end, 't')) => (&plain[..end], 40),
        _ => (plain, 0),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number
        .checked_mul(1 << shift)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(wrong)
}

/// Reads a time in seconds, also with a fraction.
///
/// # Errors
/// What is wrong, for the usage message.
pub(crate) fn seconds(text: &str) -> Result<std::time::Duration, String> {
    /// A day: longer is a mistake in the unit.
    const MAX_SECONDS: f64 = 86_400.0;
    let wrong = || format!("write a number of seconds up to {MAX_SECONDS}");
    let plain = text.trim_end_matches('s');
    let number: f64 = plain.parse().map_err(|_| wrong())?;
    if !(0.0..=MAX_SECONDS).contains(&number) {
        return Err(wrong());
    }
    Ok(std::time::Duration::from_secs_f64(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_the_usual_letters() {
        for (text, bytes) in [("512", 512), ("4k", 4096), ("4KiB", 4096), ("1m", 1 << 20)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "0", "k", "-1", "4x", "1.5k", "99999999999g", "+4"] {
            assert!(size(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn seconds_have_fractions_and_a_limit() {
        assert_eq!(seconds("0.25"), Ok(std::time::Duration::from_millis(250)));
        assert_eq!(seconds("5s"), Ok(std::time::Duration::from_secs(5)));
        for wrong in ["", "-1", "nan", "inf", "90000", "x"] {
            assert!(seconds(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn a_session_id_is_told_from_a_name() {
        let id = "fffffa800d008430-4000013700000001";
        assert!(matches!(id.parse(), Ok(SessionOrTarget::Session(_))));
        let name = "iqn.2026-01.example:a-1";
        assert_eq!(name.parse(), Ok(SessionOrTarget::Target(name.to_owned())));
    }

    #[test]
    fn names_without_a_chance_are_refused() {
        for wrong in ["", "iqn.2026-01.example:a b", "a\nb", &"x".repeat(224)] {
            assert!(wrong.parse::<TargetName>().is_err(), "{wrong:?} was taken");
        }
    }
}
