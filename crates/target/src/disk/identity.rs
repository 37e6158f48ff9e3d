//! What a unit says of itself: names that stay, and texts for humans.

/// Vendor identification of all our disks (T10 vendor ids have 8 characters).
pub(super) const VENDOR: &str = "HAWSER";
/// Product identification of all our disks, 16 characters at most.
pub(super) const PRODUCT: &str = "Virtual disk";
/// Product revision level, 4 characters at most.
pub(super) const REVISION: &str = "1";
/// Longest serial number that is kept.
const MAX_SERIAL_LEN: usize = 64;

/// The names of one disk, the same through every port and after every restart as long as they are
/// made from the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitIdentity {
    naa: [u8; 16],
    serial: String,
    /// T10 vendor identification, up to 8 ASCII characters.
    pub vendor: String,
    /// Product identification, up to 16 ASCII characters.
    pub product: String,
    /// Product revision level, up to 4 ASCII characters.
    pub revision: String,
}

impl UnitIdentity {
    /// Names made from a key that the disk alone has, such as its target name and LUN: NAA 3h
    /// (locally assigned) cannot hold enough, so NAA 6h with the bits of two hashes.
    #[must_use]
    pub fn from_key(key: &str) -> Self {
        let first = fnv1a_64(key.bytes());
        let second = fnv1a_64(key.bytes().rev().chain(first.to_be_bytes()));
        Self::from_seed(u128::from(first) << 64 | u128::from(second))
    }

    /// Names made from 124 bits that are the disk's own; the highest four bits do not count.
    #[must_use]
    pub fn from_seed(seed: u128) -> Self {
        let naa = (seed & !(0xf << 124) | 0x6 << 124).to_be_bytes();
        Self {
            naa,
            serial: naa.iter().skip(8).map(|b| format!("{b:02x}")).collect(),
            vendor: VENDOR.to_owned(),
            product: PRODUCT.to_owned(),
            revision: REVISION.to_owned(),
        }
    }

    /// The same with this serial number; what is not printable ASCII or too long is dropped.
    #[must_use]
    pub fn with_serial(mut self, serial: &str) -> Self {
        self.serial = serial
            .chars()
            .filter(char::is_ascii_graphic)
            .take(MAX_SERIAL_LEN)
            .collect();
        self
    }

    /// The NAA identifier, 16 bytes of type 6h.
    #[must_use]
    pub const fn naa(&self) -> &[u8; 16] {
        &self.naa
    }

    /// The unit serial number.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }
}

/// FNV-1a, 64 bits.
fn fnv1a_64(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, b| {
        (hash ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// `text` as a field of `N` bytes, cut or padded with blanks.
pub(super) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    for (to, from) in field.iter_mut().zip(text.bytes()) {
        *to = if from.is_ascii_graphic() || from == b' ' {
            from
        } else {
            b'?'
        };
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_depend_on_the_key_alone() {
        let one = UnitIdentity::from_key("iqn.2026-01.example:a,0");
        assert_eq!(one, UnitIdentity::from_key("iqn.2026-01.example:a,0"));
        let other = UnitIdentity::from_key("iqn.2026-01.example:a,1");
        assert_ne!(one.naa(), other.naa());
        assert_ne!(one.serial(), other.serial());
        assert_eq!(one.naa()[0] >> 4, 6);
    }

    #[test]
    fn fields_are_padded_and_clean() {
        assert_eq!(&padded::<4>("ab"), b"ab  ");
        assert_eq!(&padded::<2>("abc"), b"ab");
        assert_eq!(&padded::<3>("a\nb"), b"a?b");
        assert_eq!(
            UnitIdentity::from_seed(1)
                .with_serial("a b\u{e9}c")
                .serial(),
            "abc"
        );
    }
}
