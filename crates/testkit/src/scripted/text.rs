//! Text of login and text PDUs (RFC 7143 §6.1).

/// `key=value` pairs in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keys(Vec<(String, String)>);

impl Keys {
    /// Reads a data segment.
    ///
    /// # Panics
    /// When it is no sequence of pairs, each ended by one NUL; when a key is longer than 63 bytes or does
    /// not begin with a capital letter; or when a key comes twice.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).expect("text is UTF-8");
        if text.is_empty() {
            return Self::default();
        }
        let pairs = text
            .strip_suffix('\0')
            .expect("the last pair ends with a NUL too");
        let mut keys = Self::default();
        for pair in pairs.split('\0') {
            let (key, value) = pair.split_once('=').expect("a pair has an equals sign");
            assert!(key.len() <= 63, "the key {key} is too long");
            assert!(
                key.starts_with(|c: char| c.is_ascii_uppercase() || c == 'i'),
                "{key}"
            );
            assert!(keys.get(key).is_none(), "{key} comes twice");
            keys.0.push((key.to_owned(), value.to_owned()));
        }
        keys
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(name, _)| name == key);
        pair.map(|(_, value)| value.as_str())
    }

    /// The value of a key that must be there.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn need(&self, key: &str) -> &str {
        self.get(key)
            .unwrap_or_else(|| panic!("{key} is missing in {self:?}"))
    }

    /// The number under a key.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn number(&self, key: &str) -> u64 {
        self.need(key).parse().expect("a decimal number")
    }

    /// The pairs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in the pairs of a later PDU, later values in place of earlier ones.
    pub(super) fn merge(&mut self, later: &Self) {
        for (key, value) in later.iter() {
            self.0.retain(|(name, _)| name != key);
            self.0.push((key.to_owned(), value.to_owned()));
        }
    }
}

/// Writes pairs as a data segment.
#[must_use]
pub fn write(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in pairs {
        bytes.extend_from_slice(key.as_bytes());
        bytes.push(b'=');
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// Bytes in hexadecimal, as CHAP values are written.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// Bytes in base64, as CHAP values are written.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "0b".to_owned();
    for three in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=three.len()].copy_from_slice(three);
        let word = u32::from_be_bytes(word);
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() {
                digit.into()
            } else {
                '='
            });
        }
    }
    text
}

/// Reads hexadecimal or base64 with its prefix.
///
/// # Panics
/// When it is neither.
#[must_use]
pub fn binary(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let digits = digits.unwrap_or_else(|| panic!("{text} is not hexadecimal"));
    assert!(
        digits.len().is_multiple_of(2),
        "{text} has an odd number of digits"
    );
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 §10.
    #[test]
    fn base64_of_the_rfc() {
        let texts = ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes()));
        assert_eq!(texts, ["0b", "0bZg==", "0bZm8=", "0bZm9v", "0bZm9vYg=="]);
    }

    #[test]
    fn pairs_come_back() {
        let keys = Keys::parse(&write(&[("A", "1"), ("B", "x=y")]));
        assert_eq!(
            (keys.need("A"), keys.need("B"), keys.len()),
            ("1", "x=y", 2)
        );
        assert_eq!(binary(&hex(&[0, 0xff, 7])), [0, 0xff, 7]);
    }
}
