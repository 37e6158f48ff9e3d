//! Logical unit numbers: eight bytes in one of the address formats of SAM-5 §4.7.

use std::fmt;
use std::str::FromStr;

/// Largest number the peripheral device format holds on bus 0 (SAM-5 §4.7.7.2: one byte).
const PERIPHERAL_MAX: u32 = 0xff;
const FLAT_MIN: u32 = PERIPHERAL_MAX + 1;
/// Largest number of the flat space format (SAM-5 §4.7.7.3: 14 bits).
const FLAT_MAX: u32 = 0x3fff;
const EXTENDED_FLAT_MIN: u32 = FLAT_MAX + 1;
/// Largest number of the extended flat space format (SAM-5 §4.7.7.5.3: 24 bits).
const EXTENDED_FLAT_MAX: u32 = 0x00ff_ffff;

/// A logical unit number as it travels: eight bytes, ordered by their bytes.
///
/// For numbers made by [`Lun::from_number`] the order of the bytes is the order of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lun(pub [u8; 8]);

/// What the bytes of a [`Lun`] say (SAM-5 §4.7.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LunFormat {
    /// Peripheral device addressing: bus 0 means a unit of this target.
    Peripheral {
        /// Bus identifier (6 bits); 0 is "here".
        bus: u8,
        /// Unit (bus 0) or target on that bus.
        lun: u8,
    },
    /// Flat space addressing: a 14-bit number.
    Flat(u16),
    /// Logical unit addressing: a unit behind a target on a bus.
    LogicalUnit {
        /// Target (6 bits).
        target: u8,
        /// Bus (3 bits).
        bus: u8,
        /// Unit (5 bits).
        lun: u8,
    },
    /// Extended flat space addressing: a 24-bit number.
    ExtendedFlat(u32),
    /// Long extended flat space addressing: a 40-bit number.
    LongExtendedFlat(u64),
    /// A well known logical unit, for example 1 = REPORT LUNS.
    WellKnown(u8),
    /// "Logical unit not specified": all ones.
    NotSpecified,
    /// A format that SAM-5 does not define.
    Unknown,
}

impl Lun {
    /// LUN 0, which every target answers on.
    pub const ZERO: Self = Self([0; 8]);
    /// The well known unit that answers REPORT LUNS (SAM-5 §4.7.7.5.1, SPC-4 §8).
    pub const REPORT_LUNS: Self = Self([0xc1, 0x01, 0, 0, 0, 0, 0, 0]);

    /// The shortest first-level form of `number`: peripheral up to 255, flat up to 16383, then
    /// extended and long extended flat.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        let [a, b, c, d] = number.to_be_bytes();
        match number {
            0..=PERIPHERAL_MAX => Self([0, d, 0, 0, 0, 0, 0, 0]),
            FLAT_MIN..=FLAT_MAX => Self([0x40 | c, d, 0, 0, 0, 0, 0, 0]),
            EXTENDED_FLAT_MIN..=EXTENDED_FLAT_MAX => Self([0xd2, b, c, d, 0, 0, 0, 0]),
            _ => Self([0xe2, 0, a, b, c, d, 0, 0]),
        }
    }

    /// The address format and its fields. Only the first level is read: further levels name units
    /// behind other units.
    #[must_use]
    pub const fn format(self) -> LunFormat {
        let [b0, b1, b2, b3, b4, b5, ..] = self.0;
        if u64::from_be_bytes(self.0) == u64::MAX {
            return LunFormat::NotSpecified;
        }
        match b0 >> 6 {
            0 => LunFormat::Peripheral { bus: b0, lun: b1 },
            1 => LunFormat::Flat(u16::from_be_bytes([b0 & 0x3f, b1])),
            2 => LunFormat::LogicalUnit {
                target: b0 & 0x3f,
                bus: b1 >> 5,
                lun: b1 & 0x1f,
            },
            _ => match b0 & 0x3f {
                0x01 => LunFormat::WellKnown(b1),
                0x12 => LunFormat::ExtendedFlat(u32::from_be_bytes([0, b1, b2, b3])),
                0x22 => {
                    let bytes = [0, 0, 0, b1, b2, b3, b4, b5];
                    LunFormat::LongExtendedFlat(u64::from_be_bytes(bytes))
                }
                _ => LunFormat::Unknown,
            },
        }
    }

    /// The plain number of a unit of this target, whatever format says it; `None` for well known
    /// units, units behind other buses or levels, and formats nobody defined.
    #[must_use]
    pub fn number(self) -> Option<u64> {
        let (number, used) = match self.format() {
            LunFormat::Peripheral { bus: 0, lun } => (u64::from(lun), 2),
            LunFormat::Flat(number) => (u64::from(number), 2),
            LunFormat::ExtendedFlat(number) => (u64::from(number), 4),
            LunFormat::LongExtendedFlat(number) => (number, 6),
            _ => return None,
        };
        self.0.iter().skip(used).all(|&b| b == 0).then_some(number)
    }

    /// The eight bytes as one big-endian number, as Linux prints a LUN.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        u64::from_be_bytes(self.0)
    }

    /// True where `number()` in its shortest form gives back these same bytes.
    fn is_shortest_form(self) -> Option<u32> {
        let number = u32::try_from(self.number()?).ok()?;
        (Self::from_number(number) == self).then_some(number)
    }
}

impl From<[u8; 8]> for Lun {
    fn from(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

/// The number where the shortest form of that number gives the same bytes; else all eight bytes as
/// `0x4001000000000000`, so that two different LUNs never print alike.
impl fmt::Display for Lun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_shortest_form() {
            Some(number) => write!(f, "{number}"),
            None => write!(f, "{:#018x}", self.as_u64()),
        }
    }
}

/// The text is neither a number nor eight bytes in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no LUN: write a number such as 3, or eight bytes such as 0x4001000000000000")]
pub struct ParseLunError(String);

/// Reads what `Display` writes: a decimal number, or `0x` with 16 hexadecimal digits.
impl FromStr for Lun {
    type Err = ParseLunError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseLunError(text.to_owned());
        let plain = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(hex) = text.strip_prefix("0x") {
            if hex.len() != 16 || !plain(hex) {
                return Err(wrong());
            }
            let value = u64::from_str_radix(hex, 16).map_err(|_| wrong())?;
            return Ok(Self(value.to_be_bytes()));
        }
        if text.is_empty() || !plain(text) {
            return Err(wrong());
        }
        text.parse().map(Self::from_number).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_shortest_format() {
        assert_eq!(Lun::from_number(0).0, [0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Lun::from_number(255).0, [0, 255, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Lun::from_number(256).0, [0x41, 0x00, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Lun::from_number(16383).0, [0x7f, 0xff, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            Lun::from_number(16384).0,
            [0xd2, 0x00, 0x40, 0x00, 0, 0, 0, 0]
        );
        assert_eq!(Lun::from_number(0x0100_0000).0, [0xe2, 0, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn every_format_is_told_apart() {
        let format = |hex: u64| Lun(hex.to_be_bytes()).format();
        assert_eq!(
            format(0x0203 << 48),
            LunFormat::Peripheral { bus: 2, lun: 3 }
        );
        assert_eq!(format(0x4103 << 48), LunFormat::Flat(0x103));
        assert_eq!(
            format(0x8a65 << 48),
            LunFormat::LogicalUnit {
                target: 10,
                bus: 3,
                lun: 5
            }
        );
        assert_eq!(format(0xc101 << 48), LunFormat::WellKnown(1));
        assert_eq!(
            format(0xd201_0203 << 32),
            LunFormat::ExtendedFlat(0x0001_0203)
        );
        let long = 0xe201_0203_0405 << 16;
        assert_eq!(format(long), LunFormat::LongExtendedFlat(0x01_0203_0405));
        assert_eq!(format(u64::MAX), LunFormat::NotSpecified);
        assert_eq!(format(0xc2 << 56), LunFormat::Unknown);
    }

    #[test]
    fn numbers_are_read_in_every_format() {
        assert_eq!(Lun([0x40, 1, 0, 0, 0, 0, 0, 0]).number(), Some(1));
        assert_eq!(Lun([1, 1, 0, 0, 0, 0, 0, 0]).number(), None, "another bus");
        assert_eq!(
            Lun([0, 1, 0, 2, 0, 0, 0, 0]).number(),
            None,
            "a second level"
        );
        assert_eq!(Lun::REPORT_LUNS.number(), None);
        for number in [
            0,
            1,
            255,
            256,
            16383,
            16384,
            0x00ff_ffff,
            0x0100_0000,
            u32::MAX,
        ] {
            assert_eq!(Lun::from_number(number).number(), Some(u64::from(number)));
        }
    }

    #[test]
    fn text_round_trips_and_tells_formats_apart() {
        for lun in [
            Lun::from_number(0),
            Lun::from_number(300),
            Lun::from_number(u32::MAX),
            Lun([0x40, 1, 0, 0, 0, 0, 0, 0]),
            Lun::REPORT_LUNS,
        ] {
            assert_eq!(lun.to_string().parse(), Ok(lun));
        }
        assert_eq!(Lun::from_number(1).to_string(), "1");
        assert_eq!(
            Lun([0x40, 1, 0, 0, 0, 0, 0, 0]).to_string(),
            "0x4001000000000000"
        );
        for wrong in [
            "",
            "+1",
            "-1",
            "0x1",
            "4294967296",
            "a",
            "0x400100000000000g",
        ] {
            assert!(wrong.parse::<Lun>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn order_is_the_order_of_numbers() {
        let numbers = [
            0,
            1,
            255,
            256,
            16383,
            16384,
            0x00ff_ffff,
            0x0100_0000,
            u32::MAX,
        ];
        assert!(numbers.map(Lun::from_number).is_sorted());
    }
}
