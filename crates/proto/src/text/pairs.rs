//! Pairs in and out of data segments: splitting received text, joining it over PDUs with the C bit,
//! writing our own and cutting it to the peer's limit (RFC 7143 §6.1, §11.12.2).

use thiserror::Error;

/// RFC 7143 §6.1: the longest name of a key, in characters.
pub const MAX_KEY_BYTES: usize = 63;

/// RFC 7143 §6.1: both sides must take at least 64 KiB of text when long authentication items are in
/// use. It is also where we stop.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// The most pairs taken in one logical text. All keys of RFC 7143 are fewer than 60; the rest is
/// room for a vendor's own. (Answers to SendTargets have their own limit.)
pub const MAX_PAIRS: usize = 256;

/// Why a text is not a sequence of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TextError {
    /// More text than the limit, over all PDUs of the sequence.
    #[error("the text is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// More pairs than the limit.
    #[error("the text has more than {limit} pairs")]
    TooManyPairs {
        /// The limit.
        limit: usize,
    },
    /// It is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The last pair is not followed by a NUL.
    #[error("the last pair is not ended by a NUL")]
    Unterminated,
    /// A pair without `=`.
    #[error("a pair has no '='")]
    NoEquals,
    /// A key that is empty, longer than [`MAX_KEY_BYTES`], or holds a character keys may not hold.
    #[error("a key is no standard label")]
    MalformedKey,
}

/// One `key=value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// What stands before the first `=`.
    pub key: &'a str,
    /// What stands after it.
    pub value: &'a str,
}

/// Splits a complete logical text into at most `limit` pairs. Empty pairs (a NUL after a NUL) are
/// skipped: some targets pad their text with NULs.
///
/// # Errors
/// The first [`TextError`] in it.
pub fn pairs(text: &[u8], limit: usize) -> Result<Vec<Pair<'_>>, TextError> {
    let Some((last, body)) = text.split_last() else {
        return Ok(Vec::new());
    };
    if *last != 0 {
        return Err(TextError::Unterminated);
    }
    let body = std::str::from_utf8(body).map_err(|_| TextError::NotUtf8)?;
    let mut found = Vec::new();
    for item in body.split('\0').filter(|item| !item.is_empty()) {
        if found.len() == limit {
            return Err(TextError::TooManyPairs { limit });
        }
        let (key, value) = item.split_once('=').ok_or(TextError::NoEquals)?;
        if !is_label(key) {
            return Err(TextError::MalformedKey);
        }
        found.push(Pair { key, value });
    }
    Ok(found)
}

/// Whether a key is made like a standard label. `#` stands in the X# keys; that a label begins with a
/// capital letter is not checked, for `iSCSIProtocolLevel` does not.
fn is_label(key: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-+@_#".contains(&b);
    (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(allowed)
}

/// Text that arrives in several PDUs: all but the last have the C bit.
#[derive(Debug)]
pub struct Assembly {
    bytes: Vec<u8>,
    limit: usize,
}

impl Assembly {
    /// An empty text that may grow to `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
        }
    }

    /// Adds the data segment of one PDU. Gives the whole text, and begins anew, when `more` (the
    /// C bit) is not set.
    ///
    /// # Errors
    /// [`TextError::TooLong`] when the limit is passed.
    pub fn push(&mut self, segment: &[u8], more: bool) -> Result<Option<Vec<u8>>, TextError> {
        if segment.len() > self.limit.saturating_sub(self.bytes.len()) {
            return Err(TextError::TooLong { limit: self.limit });
        }
        self.bytes.extend_from_slice(segment);
        Ok((!more).then(|| std::mem::take(&mut self.bytes)))
    }

    /// Whether part of a text is waiting for the rest.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.bytes.is_empty()
    }
}

/// Writes pairs, each ended by a NUL.
#[derive(Debug, Clone, Default)]
pub struct PairWriter {
    bytes: Vec<u8>,
}

impl PairWriter {
    /// No pairs yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `key=value`.
    pub fn push(&mut self, key: &str, value: &str) {
        self.push_bytes(key, value.as_bytes());
    }

    /// The same with a value that need not be UTF-8, as a CHAP name.
    pub fn push_bytes(&mut self, key: &str, value: &[u8]) {
        debug_assert!(!key.contains(['=', '\0']) && !value.contains(&0));
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.push(b'=');
        self.bytes.extend_from_slice(value);
        self.bytes.push(0);
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The text.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Our own text, cut into data segments for a peer that takes `limit` bytes in one.
#[derive(Debug)]
pub struct Pieces {
    rest: std::vec::IntoIter<u8>,
    limit: usize,
}

impl Pieces {
    /// Cuts `text` into pieces of at most `limit` bytes (at least one).
    #[must_use]
    pub fn new(text: Vec<u8>, limit: usize) -> Self {
        Self {
            rest: text.into_iter(),
            limit: limit.max(1),
        }
    }

    /// The next data segment, and whether more follow it (the C bit). After the last: empty, false.
    pub fn next_piece(&mut self) -> (Vec<u8>, bool) {
        let piece = self.rest.by_ref().take(self.limit).collect();
        (piece, self.is_pending())
    }

    /// Whether something is still to be sent.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        !self.rest.as_slice().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &[u8]) -> Result<Vec<(&str, &str)>, TextError> {
        pairs(text, 4).map(|found| found.iter().map(|p| (p.key, p.value)).collect())
    }

    #[test]
    fn pairs_are_split_at_the_first_equals() {
        assert_eq!(split(b""), Ok(vec![]));
        assert_eq!(split(b"A=\0"), Ok(vec![("A", "")]));
        assert_eq!(
            split(b"CHAP_C=0bZg==\0X-a.b=c=d\0"),
            Ok(vec![("CHAP_C", "0bZg=="), ("X-a.b", "c=d")])
        );
        assert_eq!(
            split("TargetAlias=\u{e9}\0".as_bytes()),
            Ok(vec![("TargetAlias", "\u{e9}")])
        );
        assert_eq!(split(b"A=1\0\0\0"), Ok(vec![("A", "1")]));
    }

    #[test]
    fn malformed_text_has_a_name() {
        assert_eq!(split(b"A=1"), Err(TextError::Unterminated));
        assert_eq!(split(b"A\0"), Err(TextError::NoEquals));
        assert_eq!(split(b"=1\0"), Err(TextError::MalformedKey));
        assert_eq!(split(b"A b=1\0"), Err(TextError::MalformedKey));
        assert_eq!(
            split(&[vec![b'K'; 64], b"=\0".to_vec()].concat()),
            Err(TextError::MalformedKey)
        );
        assert_eq!(split(b"A=\xff\0"), Err(TextError::NotUtf8));
        assert_eq!(
            split(b"A=1\0B=1\0C=1\0D=1\0E=1\0"),
            Err(TextError::TooManyPairs { limit: 4 })
        );
    }

    #[test]
    fn assembly_has_a_limit() {
        let mut text = Assembly::new(8);
        assert_eq!(text.push(b"Abc=", true), Ok(None));
        assert!(text.is_partial());
        assert_eq!(text.push(b"def\0", false), Ok(Some(b"Abc=def\0".to_vec())));
        assert_eq!(text.push(b"Abc=", true), Ok(None));
        assert_eq!(
            text.push(b"defg\0", false),
            Err(TextError::TooLong { limit: 8 })
        );
    }

    proptest! {
        #[test]
        fn what_is_cut_is_joined(
            values in proptest::collection::vec("[a-zA-Z0-9:./-]{0,40}", 0..20),
            limit in 1usize..64,
        ) {
            let mut writer = PairWriter::new();
            for (n, value) in values.iter().enumerate() {
                writer.push(&format!("Key{n}"), value);
            }
            let text = writer.into_bytes();
            let mut pieces = Pieces::new(text.clone(), limit);
            let mut assembly = Assembly::new(MAX_TEXT_BYTES);
            let joined = loop {
                let (piece, more) = pieces.next_piece();
                prop_assert!(piece.len() <= limit);
                if let Some(joined) = assembly.push(&piece, more).unwrap() {
                    break joined;
                }
            };
            prop_assert_eq!(&joined, &text);
            let found = pairs(&joined, MAX_PAIRS).unwrap();
            prop_assert_eq!(found.iter().map(|p| p.value.to_owned()).collect::<Vec<_>>(), values);
        }

        #[test]
        fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = pairs(&bytes, 8);
        }
    }
}
