//! Text forms of session and connection ids, portals and LUNs.
use std::fmt;
use std::str::FromStr;

use crate::v1::{ConnectionId, Portal, SessionId};

/// TCP port of a portal that names none (IANA, RFC 7143 section 4.1).
pub const DEFAULT_PORT: u16 = 3260;

/// Largest LUN number that the single-level forms of SAM-5 section 4.7.7 hold (flat space, 14 bits).
pub const MAX_LUN_NUMBER: u64 = 0x3fff;

/// Why a text is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct ParseError {
    /// The text.
    pub text: String,
    /// What it should have been.
    pub expected: &'static str,
}

impl ParseError {
    fn new(text: &str, expected: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            expected,
        }
    }
}

/// Splits `[0x]HEX-[0x]HEX` into its two halves, at most 16 digits each.
fn parse_pair(text: &str) -> Option<(u64, u64)> {
    let half = |digits: &str| {
        let digits = digits
            .strip_prefix("0x")
            .or(digits.strip_prefix("0X"))
            .unwrap_or(digits);
        let plain = digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        plain
            .then(|| u64::from_str_radix(digits, 16).ok())
            .flatten()
    };
    let (unique, specific) = text.split_once('-')?;
    let pair = (half(unique)?, half(specific)?);
    (pair != (0, 0)).then_some(pair)
}

macro_rules! id_text {
    ($id:ident, $what:literal) => {
        /// Lower-case hexadecimal, `adapter_unique-adapter_specific`.
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    "{:016x}-{:016x}",
                    self.adapter_unique, self.adapter_specific
                )
            }
        }

        /// Takes what `Display` gives, also with `0x` before either half; never both halves zero.
        impl FromStr for $id {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                parse_pair(text)
                    .map(|(adapter_unique, adapter_specific)| Self {
                        adapter_unique,
                        adapter_specific,
                    })
                    .ok_or_else(|| ParseError::new(text, $what))
            }
        }
    };
}
id_text!(SessionId, "a session id (HEX-HEX)");
id_text!(ConnectionId, "a connection id (HEX-HEX)");

/// `address:port`, an IPv6 literal in brackets.
impl fmt::Display for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = if self.port == 0 {
            u32::from(DEFAULT_PORT)
        } else {
            self.port
        };
        if self.address.contains(':') {
            write!(f, "[{}]:{port}", self.address)
        } else {
            write!(f, "{}:{port}", self.address)
        }
    }
}

/// Takes `ADDR`, `ADDR:PORT`, `[V6]`, `[V6]:PORT` and a bare IPv6 literal; without a port it is 3260.
impl FromStr for Portal {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new(text, "a portal (ADDR[:PORT] or [IPV6][:PORT])");
        let (address, port) = split_portal(text).ok_or_else(wrong)?;
        let port = match port {
            Some(digits) => parse_port(digits).ok_or_else(wrong)?,
            None => DEFAULT_PORT,
        };
        let spoilt = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '[' | ']');
        if address.is_empty() || address.len() > 255 || address.contains(spoilt) {
            return Err(wrong());
        }
        Ok(Self {
            address: address.to_owned(),
            port: port.into(),
            symbolic_name: String::new(),
        })
    }
}

/// Splits a portal's text into address and port digits.
fn split_portal(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let well_formed = is_ipv6(address);
        let port = if rest.is_empty() {
            None
        } else {
            Some(rest.strip_prefix(':')?)
        };
        return well_formed.then_some((address, port));
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => is_ipv6(text).then_some((text, None)),
        Some((address, port)) => Some((address, Some(port))),
        None => Some((text, None)),
    }
}

/// Whether this is an IPv6 literal, with or without a zone (`%eth0`).
fn is_ipv6(text: &str) -> bool {
    let literal = text.split_once('%').map_or(text, |(literal, _)| literal);
    literal.parse::<std::net::Ipv6Addr>().is_ok()
}

/// A TCP port in plain decimal digits, never 0.
fn parse_port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| digits.parse().ok())
        .flatten()
        .filter(|port| *port != 0)
}

/// The value of `Disk.lun` for the LUN number that people write: peripheral addressing below 256, flat
/// addressing up to [`MAX_LUN_NUMBER`] (SAM-5 section 4.7.7); `None` above.
#[must_use]
pub const fn lun_from_number(number: u64) -> Option<u64> {
    match number {
        0..=0xff => Some(number << 48),
        0x100..=MAX_LUN_NUMBER => Some((0x4000 | number) << 48),
        _ => None,
    }
}

/// The Discovery Library's view of `Disk.lun`: the eight LUN bytes read as a little-endian number.
/// Its own inverse.
#[must_use]
pub const fn lun_as_discovery_library(lun: u64) -> u64 {
    lun.swap_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_have_the_text_form_of_the_tools() {
        let text = "fffffa800d008430-4000013700000001";
        let id: SessionId = text.parse().expect("parses");
        assert_eq!(id.adapter_unique, 0xffff_fa80_0d00_8430);
        assert_eq!(id.to_string(), text);
        let prefixed: SessionId = "0xFFFFfa800d008430-0x4000013700000001"
            .parse()
            .expect("parses");
        assert_eq!(prefixed, id);
        for wrong in [
            "",
            "-",
            "1",
            "1-",
            "1-g",
            "+1-2",
            "0-0",
            "1-12345678901234567",
            "1-2-3",
        ] {
            assert!(wrong.parse::<SessionId>().is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn portals_are_read_in_every_usual_form() {
        let cases = [
            ("192.0.2.10", "192.0.2.10", 3260, "192.0.2.10:3260"),
            ("192.0.2.10:860", "192.0.2.10", 860, "192.0.2.10:860"),
            ("san.example", "san.example", 3260, "san.example:3260"),
            ("2001:db8::1", "2001:db8::1", 3260, "[2001:db8::1]:3260"),
            ("[2001:db8::1]", "2001:db8::1", 3260, "[2001:db8::1]:3260"),
            ("fe80::1%eth0", "fe80::1%eth0", 3260, "[fe80::1%eth0]:3260"),
            ("[fe80::1%eth0]:1", "fe80::1%eth0", 1, "[fe80::1%eth0]:1"),
            ("[::1]:3261", "::1", 3261, "[::1]:3261"),
        ];
        for (text, address, port, shown) in cases {
            let portal: Portal = text.parse().expect(text);
            assert_eq!(
                (portal.address.as_str(), portal.port),
                (address, port),
                "{text}"
            );
            assert_eq!(portal.to_string(), shown);
        }
        for wrong in [
            "", ":1", "a:", "a:0", "a:65536", "a:+1", "[::1", "[::1]x", "a b", "x:y:z", "[a]",
        ] {
            assert!(wrong.parse::<Portal>().is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn lun_numbers_take_the_single_level_forms() {
        assert_eq!(lun_from_number(0), Some(0));
        assert_eq!(lun_from_number(1), Some(0x0001_0000_0000_0000));
        assert_eq!(lun_from_number(300), Some(0x412c_0000_0000_0000));
        assert_eq!(lun_from_number(0x4000), None);
        assert_eq!(lun_as_discovery_library(0x0001_0000_0000_0000), 0x100);
    }
}
