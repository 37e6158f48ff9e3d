//! Names and places: iSCSI node names (RFC 7143 §4.2.7), the initiator's half of a session identifier
//! (§11.12.5), and the addresses of portals (§13.8).
//!
//! ```
//! use hawser_proto::names::{IscsiName, TargetAddress};
//!
//! let name: IscsiName = "iqn.2024-01.com.Example:disk1".parse().unwrap();
//! assert_eq!(name.as_str(), "iqn.2024-01.com.example:disk1");
//!
//! let address: TargetAddress = "[2001:db8::1]:3261,2".parse().unwrap();
//! assert_eq!(address.portal.port(), 3261);
//! assert_eq!(address.tag, Some(2));
//! ```

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// RFC 7143 §4.2.7.1: the longest iSCSI name, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 223;

/// RFC 7143 §15: the TCP port registered for iSCSI, used when an address names none.
pub const DEFAULT_PORT: u16 = 3260;

/// RFC 1035 §2.3.4: the longest host name, in bytes.
pub const MAX_HOST_BYTES: usize = 255;

/// Why a text is not an iSCSI name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// It is longer than [`MAX_NAME_BYTES`].
    #[error("the iSCSI name has {bytes} bytes; {MAX_NAME_BYTES} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It begins with none of `iqn.`, `eui.` and `naa.`.
    #[error("the iSCSI name {name:?} begins with none of iqn., eui. and naa.")]
    UnknownType {
        /// The text, cut to a printable length.
        name: String,
    },
    /// It holds a character that no normalised name may hold.
    #[error("the iSCSI name {name:?} holds the character {character:?}, which names may not hold")]
    ForbiddenCharacter {
        /// The text, cut to a printable length.
        name: String,
        /// The first such character.
        character: char,
    },
    /// `iqn.` is not followed by a year, a month, a dot and a domain (RFC 7143 §4.2.7.4).
    #[error("the iSCSI name {name:?} is not of the form iqn.YYYY-MM.reversed.domain[:any]")]
    MalformedIqn {
        /// The text, cut to a printable length.
        name: String,
    },
    /// `eui.` is not followed by 16 hexadecimal digits, or `naa.` not by 16 or 32
    /// (RFC 7143 §4.2.7.5, §4.2.7.6).
    #[error("the iSCSI name {name:?} does not end in the hexadecimal digits its type asks for")]
    MalformedHex {
        /// The text, cut to a printable length.
        name: String,
    },
}

/// The name of an iSCSI node: 1 to 223 bytes, of type `iqn.`, `eui.` or `naa.`.
///
/// Names are compared, ordered and hashed in their normalised, lower-case form, which
/// [`as_str`](Self::as_str) and `Display` give. The form in which the name was written is kept too,
/// because some targets announce upper-case letters and then insist on them: a login sends a
/// target's name [`as_written`](Self::as_written), and our own name normalised.
///
/// RFC 3722 allows letters, digits, `-`, `.` and `:`. The underscore is taken as well: it is common
/// in the field.
#[derive(Clone)]
pub struct IscsiName {
    normal: String,
    written: Option<Box<str>>,
}

impl IscsiName {
    /// Reads and normalises a name.
    ///
    /// # Errors
    /// A [`NameError`] that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let normal = text.to_lowercase();
        let bytes = normal.len().max(text.len());
        if bytes > MAX_NAME_BYTES {
            return Err(NameError::TooLong { bytes });
        }
        if let Some(character) = normal.chars().find(|c| !is_name_character(*c)) {
            let name = excerpt(text);
            return Err(NameError::ForbiddenCharacter { name, character });
        }
        let Some((kind, rest)) = normal.split_once('.') else {
            return Err(NameError::UnknownType {
                name: excerpt(text),
            });
        };
        match kind {
            "iqn" if is_iqn_tail(rest) => {}
            "eui" if is_hex(rest) && rest.len() == 16 => {}
            "naa" if is_hex(rest) && matches!(rest.len(), 16 | 32) => {}
            "iqn" => {
                return Err(NameError::MalformedIqn {
                    name: excerpt(text),
                });
            }
            "eui" | "naa" => {
                return Err(NameError::MalformedHex {
                    name: excerpt(text),
                });
            }
            _ => {
                return Err(NameError::UnknownType {
                    name: excerpt(text),
                });
            }
        }
        let written = (normal != text).then(|| text.into());
        Ok(Self { normal, written })
    }

    /// The name as it was written, if that is not the normalised one.
    #[must_use]
    pub fn written(&self) -> Option<&str> {
        self.written.as_deref()
    }

    /// The normalised name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.normal
    }

    /// The name as it was first written; the same as [`as_str`](Self::as_str) but for case.
    #[must_use]
    pub fn as_written(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.normal)
    }
}

/// RFC 7143 §4.2.7.2 and RFC 3722 §6: what may stand in a normalised name, plus the underscore.
fn is_name_character(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | ':' | '_')
    } else {
        c.is_alphanumeric()
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether `rest` is `yyyy-mm.domain` with an optional `:` and free text.
fn is_iqn_tail(rest: &str) -> bool {
    let Some((date, naming)) = rest.split_once('.') else {
        return false;
    };
    let Some((year, month)) = date.split_once('-') else {
        return false;
    };
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let month_exists = month.parse::<u8>().is_ok_and(|m| (1..=12).contains(&m));
    let domain = naming.split(':').next().unwrap_or_default();
    digits(year, 4) && digits(month, 2) && month_exists && !domain.is_empty()
}

/// At most 64 characters of a text that is not trusted, for an error message.
fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

impl PartialEq for IscsiName {
    fn eq(&self, other: &Self) -> bool {
        self.normal == other.normal
    }
}

impl Eq for IscsiName {}

impl PartialOrd for IscsiName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for IscsiName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.normal.cmp(&other.normal)
    }
}

impl Hash for IscsiName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normal.hash(state);
    }
}

impl FromStr for IscsiName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl AsRef<str> for IscsiName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for IscsiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.normal)
    }
}

impl fmt::Debug for IscsiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.normal, f)
    }
}

/// Why a text is not an ISID.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an ISID is 12 hexadecimal digits, with or without 0x")]
pub struct IsidError;

/// The initiator's half of a session identifier (RFC 7143 §11.12.5): with the initiator's name it
/// is the initiator's SCSI port, so it decides which login reinstates which session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Isid(pub [u8; 6]);

impl Isid {
    /// The random form (`T` = 10b): one octet that says so, three random octets, a qualifier of two.
    #[must_use]
    pub fn from_random(random: [u8; 5]) -> Self {
        let [a, b, c, d, e] = random;
        Self([0x80, a, b, c, d, e])
    }
}

impl FromStr for Isid {
    type Err = IsidError;

    fn from_str(text: &str) -> Result<Self, IsidError> {
        let digits = text
            .strip_prefix("0x")
            .or_else(|| text.strip_prefix("0X"))
            .unwrap_or(text);
        if digits.len() != 12 || !is_hex(digits) {
            return Err(IsidError);
        }
        let number = u64::from_str_radix(digits, 16).map_err(|_| IsidError)?;
        let [_, _, octets @ ..] = number.to_be_bytes();
        Ok(Self(octets))
    }
}

impl fmt::Display for Isid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Isid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Isid({self})")
    }
}

/// Why a text is not the address of a portal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The host is missing, too long, or holds a character no host has.
    #[error("{address:?} has no usable host")]
    Host {
        /// The text, cut to a printable length.
        address: String,
    },
    /// What follows the host is not a port from 1 to 65535.
    #[error("{address:?} has no usable port")]
    Port {
        /// The text, cut to a printable length.
        address: String,
    },
    /// What follows the comma is not a portal group tag from 0 to 65535.
    #[error("{address:?} has no usable portal group tag")]
    Tag {
        /// The text, cut to a printable length.
        address: String,
    },
}

/// Where a target listens: a host (name, IPv4 or IPv6 address) and a TCP port.
///
/// Written `host:port`, with an IPv6 address in brackets. Host names are kept in lower case and IP
/// addresses in their shortest form, so that equal places compare equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Portal {
    host: String,
    port: u16,
}

impl Portal {
    /// A portal from a host, without brackets, and a port.
    ///
    /// # Errors
    /// [`AddressError::Host`] or [`AddressError::Port`] when it is not one.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        let whole = || excerpt(host);
        let host = normalise_host(host).ok_or_else(|| AddressError::Host { address: whole() })?;
        if port == 0 {
            return Err(AddressError::Port { address: whole() });
        }
        Ok(Self { host, port })
    }

    /// The host, without brackets; an IPv6 address may carry a `%zone`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host as an IP address, if it is one and carries no zone.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl From<std::net::SocketAddr> for Portal {
    fn from(address: std::net::SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl FromStr for Portal {
    type Err = AddressError;

    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`; a bare IPv6 address is taken too.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let bad_host = || AddressError::Host {
            address: excerpt(text),
        };
        let bad_port = || AddressError::Port {
            address: excerpt(text),
        };
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, after) = rest.split_once(']').ok_or_else(bad_host)?;
            if !host.contains(':') {
                return Err(bad_host());
            }
            let port = after.strip_prefix(':');
            if port.is_none() && !after.is_empty() {
                return Err(bad_port());
            }
            (host, port)
        } else if text.matches(':').count() > 1 {
            (text, None)
        } else {
            text.split_once(':')
                .map_or((text, None), |(host, port)| (host, Some(port)))
        };
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| bad_port())?
            }
            Some(_) => return Err(bad_port()),
        };
        Self::new(host, port).map_err(|e| match e {
            AddressError::Port { .. } => bad_port(),
            _ => bad_host(),
        })
    }
}

/// The one way of writing a host, or nothing if `host` cannot be one.
fn normalise_host(host: &str) -> Option<String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some(ip.to_string());
    }
    if let Some((address, zone)) = host.split_once('%') {
        let address: Ipv6Addr = address.parse().ok()?;
        let zone_fits = !zone.is_empty() && zone.len() <= 32 && zone.chars().all(is_host_character);
        return zone_fits.then(|| format!("{address}%{zone}"));
    }
    let fits = !host.is_empty() && host.len() <= MAX_HOST_BYTES;
    (fits && host.chars().all(is_host_character)).then(|| host.to_lowercase())
}

fn is_host_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '.' | '_')
}

impl fmt::Display for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The value of the `TargetAddress` key (RFC 7143 §13.8): `host[:port][,portal-group-tag]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetAddress {
    /// Where to connect.
    pub portal: Portal,
    /// The portal group tag: present in SendTargets answers, absent in redirects.
    pub tag: Option<u16>,
}

impl FromStr for TargetAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let Some((place, tag)) = text.split_once(',') else {
            return Ok(Self {
                portal: text.parse()?,
                tag: None,
            });
        };
        let bad_tag = || AddressError::Tag {
            address: excerpt(text),
        };
        let tag = crate::text::parse_number(tag).map_err(|_| bad_tag())?;
        let tag = u16::try_from(tag).map_err(|_| bad_tag())?;
        Ok(Self {
            portal: place.parse()?,
            tag: Some(tag),
        })
    }
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag {
            Some(tag) => write!(f, "{},{tag}", self.portal),
            None => self.portal.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
