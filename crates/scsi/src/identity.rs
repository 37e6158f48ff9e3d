//! Which disk is this? One stable name out of what a unit says of itself.
//!
//! The name must stay the same through every port, after every login and on every start, because
//! bound volumes are found by it. So only designators that are associated with the logical unit
//! count, in the order NAA, EUI-64, T10 vendor identification, and at last the unit serial number.

use std::fmt;
use std::str::FromStr;

use crate::fields::trim;
use crate::vpd::{Association, Designator, DesignatorKind};

/// Longest text of an identity. It becomes a file name (255 bytes at most on Linux) with room for
/// a prefix and a partition suffix.
pub const MAX_TEXT_LEN: usize = 200;
/// How many characters of a too long text are kept before its hash.
const KEPT_LEN: usize = MAX_TEXT_LEN - 17;

/// Where an identity was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentityKind {
    /// A NAA designator.
    Naa,
    /// An EUI-64 designator.
    Eui64,
    /// A T10 vendor identification designator.
    T10,
    /// The unit serial number page.
    Serial,
}

impl IdentityKind {
    const ALL: [Self; 4] = [Self::Naa, Self::Eui64, Self::T10, Self::Serial];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Naa => "naa.",
            Self::Eui64 => "eui.",
            Self::T10 => "t10.",
            Self::Serial => "serial.",
        }
    }
}

/// The stable name of a disk: `naa.6001405…`, `eui.…`, `t10.…` or `serial.…`.
///
/// It holds only ASCII letters, digits and `-._:%~`, and at most [`MAX_TEXT_LEN`] of them, so that
/// it can be a file name and can be printed. Other bytes are written as `%XX`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DiskIdentity {
    kind: IdentityKind,
    text: String,
}

impl DiskIdentity {
    /// Chooses among the designators of page 83h and the serial number of page 80h (raw bytes).
    /// `None` where the unit says nothing that could tell it from another.
    #[must_use]
    pub fn choose(designators: &[Designator], serial: Option<&[u8]>) -> Option<Self> {
        let naa = best(designators, DesignatorKind::Naa, naa_rank);
        let eui = best(designators, DesignatorKind::Eui64, eui_rank);
        let t10 = best(designators, DesignatorKind::T10Vendor, t10_rank);
        naa.map(|bytes| Self::new(IdentityKind::Naa, &hex(bytes)))
            .or_else(|| eui.map(|bytes| Self::new(IdentityKind::Eui64, &hex(bytes))))
            .or_else(|| t10.map(|bytes| Self::new(IdentityKind::T10, &encode(trim(bytes)))))
            .or_else(|| {
                let serial = trim(serial?);
                (!serial.is_empty()).then(|| Self::new(IdentityKind::Serial, &encode(serial)))
            })
    }

    fn new(kind: IdentityKind, name: &str) -> Self {
        Self {
            kind,
            text: shorten(kind.prefix().to_owned() + name),
        }
    }

    /// Where the name was taken from.
    #[must_use]
    pub const fn kind(&self) -> IdentityKind {
        self.kind
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for DiskIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The text is not the name of a disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the identity of a disk: it must start with naa., eui., t10. or serial.")]
pub struct ParseIdentityError;

/// Reads a name back, for example from a store.
impl FromStr for DiskIdentity {
    type Err = ParseIdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kinds = IdentityKind::ALL.into_iter();
        let kind = kinds.clone().find(|kind| text.starts_with(kind.prefix()));
        let kind = kind.ok_or(ParseIdentityError)?;
        let fits = text.len() <= MAX_TEXT_LEN && text.len() > kind.prefix().len();
        if !fits
            || !text
                .bytes()
                .all(|b| is_plain(b) || matches!(b, b'%' | b'~'))
        {
            return Err(ParseIdentityError);
        }
        Ok(Self {
            kind,
            text: text.to_owned(),
        })
    }
}

/// The designator of `kind` with the lowest rank; among equals the lowest bytes, because a unit
/// may list them in another order tomorrow.
fn best(
    designators: &[Designator],
    kind: DesignatorKind,
    rank: fn(&[u8]) -> Option<u8>,
) -> Option<&[u8]> {
    designators
        .iter()
        .filter(|d| d.kind == kind && d.association == Association::LogicalUnit)
        .filter(|d| d.bytes.iter().any(|&b| b != 0))
        .filter_map(|d| Some((rank(&d.bytes)?, d.bytes.as_slice())))
        .min()
        .map(|(_, bytes)| bytes)
}

/// NAA types (SPC-4 §7.8.6.6): 6 registered extended and 5 registered are unique in the world,
/// 2 extended too but old; 3 is locally assigned. The rest is no name.
fn naa_rank(bytes: &[u8]) -> Option<u8> {
    match (bytes.first()? >> 4, bytes.len()) {
        (6, 16) => Some(0),
        (5, 8) => Some(1),
        (2, 8) => Some(2),
        (3, 8) => Some(3),
        _ => None,
    }
}

/// EUI-64 designators have 8, 12 or 16 bytes (SPC-4 §7.8.6.5); the longest says most.
fn eui_rank(bytes: &[u8]) -> Option<u8> {
    match bytes.len() {
        16 => Some(0),
        12 => Some(1),
        8 => Some(2),
        _ => None,
    }
}

/// A T10 vendor designator names a unit only if something follows the 8 bytes of the vendor.
fn t10_rank(bytes: &[u8]) -> Option<u8> {
    let own = bytes.get(8..)?;
    (!trim(own).is_empty()).then_some(0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':')
}

/// Plain bytes as they are, all others as `%XX`: two different names never encode alike.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &b in bytes {
        if is_plain(b) {
            text.push(char::from(b));
        } else {
            text.push_str(&format!("%{b:02X}"));
        }
    }
    text
}

/// A text that is too long for a file name becomes its start, `~` and a hash of the whole.
fn shorten(mut text: String) -> String {
    if text.len() > MAX_TEXT_LEN {
        let hash = fnv1a_64(text.as_bytes());
        // Everything is ASCII here, so any place is a character boundary.
        text.truncate(KEPT_LEN);
        text.push_str(&format!("~{hash:016x}"));
    }
    text
}

/// FNV-1a: not secret, but the same on every machine and in every version.
fn fnv1a_64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &b| {
        (hash ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lu(kind: DesignatorKind, bytes: &[u8]) -> Designator {
        let association = Association::LogicalUnit;
        Designator {
            association,
            kind,
            code_set: 1,
            bytes: bytes.to_vec(),
        }
    }

    const NAA6: [u8; 16] = [0x60, 0x01, 0x40, 0x5a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const NAA5: [u8; 8] = [0x50, 0x01, 0x40, 0x5a, 0, 0, 0, 2];

    #[test]
    fn the_order_of_the_design() {
        let naa = lu(DesignatorKind::Naa, &NAA6);
        let eui = lu(DesignatorKind::Eui64, &[1, 2, 3, 4, 5, 6, 7, 8]);
        let t10 = lu(DesignatorKind::T10Vendor, b"LIO-ORG disk one");
        let all = [
            t10.clone(),
            eui.clone(),
            lu(DesignatorKind::Naa, &NAA5),
            naa,
        ];
        let serial = Some(&b"  AB/12 \0"[..]);
        let text = |d: &[Designator]| DiskIdentity::choose(d, serial).unwrap().to_string();
        assert_eq!(text(&all), "naa.6001405a000000000000000000000001");
        assert_eq!(text(&all[..3]), "naa.5001405a00000002");
        assert_eq!(text(&all[..2]), "eui.0102030405060708");
        assert_eq!(text(&all[..1]), "t10.LIO-ORG%20disk%20one");
        assert_eq!(text(&[]), "serial.AB%2F12");
        assert_eq!(DiskIdentity::choose(&[], Some(b" \0 ")), None);
        assert_eq!(DiskIdentity::choose(&[], None), None);
    }

    #[test]
    fn only_the_logical_unit_names_the_disk() {
        let mut port = lu(DesignatorKind::Naa, &NAA5);
        port.association = Association::TargetPort;
        assert_eq!(DiskIdentity::choose(&[port], None), None);
    }

    #[test]
    fn the_order_of_the_list_does_not_matter() {
        let mut other = NAA6;
        other[15] = 9;
        let (a, b) = (
            lu(DesignatorKind::Naa, &NAA6),
            lu(DesignatorKind::Naa, &other),
        );
        let one = DiskIdentity::choose(&[a.clone(), b.clone()], None);
        assert_eq!(one, DiskIdentity::choose(&[b, a], None));
    }

    #[test]
    fn names_that_name_nothing_are_passed_over() {
        let nothing = [
            lu(DesignatorKind::Naa, &[0; 16]),
            lu(DesignatorKind::Naa, &NAA6[..15]),
            lu(DesignatorKind::Naa, &[]),
            lu(DesignatorKind::Eui64, &[1, 2, 3]),
            lu(DesignatorKind::Eui64, &[0; 8]),
            lu(DesignatorKind::T10Vendor, b"LIO-ORG    "),
            lu(DesignatorKind::ScsiName, b"iqn.2001-04.com.example"),
        ];
        assert_eq!(DiskIdentity::choose(&nothing, None), None);
    }

    #[test]
    fn long_and_hostile_texts_stay_file_names() {
        let mut bytes = b"EVIL    ../../etc\x1b[2J".to_vec();
        bytes.resize(255, 0xff);
        let long = DiskIdentity::choose(&[lu(DesignatorKind::T10Vendor, &bytes)], None).unwrap();
        assert_eq!(long.as_str().len(), MAX_TEXT_LEN);
        assert!(
            long.as_str()
                .starts_with("t10.EVIL%20%20%20%20..%2F..%2Fetc%1B%5B2J%FF")
        );
        *bytes.last_mut().unwrap() = 0xfe;
        let other = DiskIdentity::choose(&[lu(DesignatorKind::T10Vendor, &bytes)], None).unwrap();
        assert_ne!(long, other, "the end counts too");
        assert_eq!(long.as_str().parse(), Ok(long.clone()));
    }

    #[test]
    fn names_are_read_back() {
        let id: DiskIdentity = "serial.AB%2F12".parse().unwrap();
        assert_eq!(
            (id.kind(), id.as_str()),
            (IdentityKind::Serial, "serial.AB%2F12")
        );
        for wrong in ["", "naa.", "iqn.x", "t10.a/b", "serial.a b"] {
            assert_eq!(
                wrong.parse::<DiskIdentity>(),
                Err(ParseIdentityError),
                "{wrong}"
            );
        }
    }
}
