//! What a record is, and its form in the database: JSON with the secrets sealed apart.
use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::key::{Keys, encoding};
use crate::secret::Secret;

/// Largest body of a record, in bytes. A static target with a hundred portals has some ten thousand.
pub(crate) const MAX_BODY_LEN: usize = 1 << 20;

/// What a call did to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The record was not there and is now.
    Created,
    /// The record was there and is another now.
    Updated,
    /// It was so already.
    Unchanged,
    /// The record was there and is no longer.
    Removed,
}

/// The secret fields of a record, by name.
pub(crate) type SecretSlots<'a> = Vec<(&'static str, &'a mut Option<Secret>)>;

/// Keeps other crates from adding kinds of records, and what they see of a record small.
pub(crate) mod sealed {
    use super::SecretSlots;

    /// What the store needs to know of a record.
    pub trait Stored {
        /// Its secrets. These fields are not serialised.
        fn secrets(&mut self) -> SecretSlots<'_> {
            Vec::new()
        }

        /// Kind and key text of the record that this one goes with.
        fn parent(&self) -> Option<(&'static str, String)> {
            None
        }
    }
}

/// A kind of record.
pub trait Record:
    sealed::Stored + Clone + Debug + PartialEq + Serialize + DeserializeOwned
{
    /// What names one record of the kind. Two records with the same key are the same one.
    type Key: Debug + PartialEq + Serialize;

    /// Name of the kind in the database and in messages.
    const KIND: &'static str;

    /// The key of this record.
    fn key(&self) -> Self::Key;
}

/// A record as it is written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<R> {
    record: R,
    /// The sealed secrets by name, in hexadecimal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sealed: BTreeMap<String, String>,
}

/// The text form of a key.
pub(crate) fn key_text<K: Serialize + Debug>(key: &K) -> String {
    // Keys are texts, numbers and options of such, which always have a JSON form; were one added that
    // has none, its Debug form still tells keys apart.
    serde_json::to_string(key).unwrap_or_else(|_| format!("{key:?}"))
}

/// Whose secret a sealed one is.
fn context(kind: &str, key: &str, name: &str) -> String {
    format!("{kind}\n{key}\n{name}")
}

/// Writes a record down, its secrets sealed.
pub(crate) fn encode<R: Record>(record: &R, keys: &Keys) -> Result<Vec<u8>, StoreError> {
    let key = key_text(&record.key());
    let mut bare = record.clone();
    let mut sealed = BTreeMap::new();
    for (name, slot) in bare.secrets() {
        if let Some(secret) = slot.take() {
            let bytes = keys.seal(&secret, context(R::KIND, &key, name).as_bytes())?;
            sealed.insert(name.to_owned(), to_hex(&bytes));
        }
    }
    let body = serde_json::to_vec(&Body {
        record: bare,
        sealed,
    })
    .map_err(|error| encoding(R::KIND, &error.to_string()))?;
    if body.len() > MAX_BODY_LEN {
        let what = format!("{} {key} has {} bytes", R::KIND, body.len());
        return Err(StoreError::TooLarge {
            what,
            limit: MAX_BODY_LEN,
        });
    }
    Ok(body)
}

/// Reads a record back; `Err` says why it cannot be it.
pub(crate) fn decode<R: Record>(key: &str, body: &[u8], keys: &Keys) -> Result<R, String> {
    let Body { mut record, sealed } = serde_json::from_slice::<Body<R>>(body)
        .map_err(|error| format!("not understood: {error}"))?;
    if key_text(&record.key()) != key {
        return Err("it is stored under the key of another record".to_owned());
    }
    let mut slots = record.secrets();
    for (name, text) in sealed {
        let slot = slots.iter_mut().find(|(known, _)| *known == name);
        let (_, slot) = slot.ok_or_else(|| format!("not understood: a secret named {name:?}"))?;
        let opened = from_hex(&text)
            .and_then(|bytes| keys.open(&bytes, context(R::KIND, key, &name).as_bytes()));
        **slot = Some(opened.ok_or_else(|| format!("its secret {name:?} cannot be opened"))?);
    }
    Ok(record)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(value(pair[0])? * 16 + value(pair[1])?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeySource;
    use crate::records::login::{LoginOptions, PersistentLogin};

    fn keys() -> Keys {
        let dir = tempfile::tempdir().expect("directory");
        Keys::load(&KeySource::File(dir.path().join("k.key")), true).expect("made")
    }

    fn login() -> PersistentLogin {
        PersistentLogin {
            written_name: None,
            target_name: "iqn.x:a".to_owned(),
            login_options: Some(LoginOptions {
                secret: Some(Secret::new(*b"a secret")),
                ..LoginOptions::default()
            }),
            ..PersistentLogin::default()
        }
    }

    /// Decodes the body of [`login`] with one text in it replaced by another.
    fn decode_changed(from: &str, to: &str) -> Result<PersistentLogin, String> {
        let keys = keys();
        let body = encode(&login(), &keys).expect("encodes");
        let changed = String::from_utf8(body).expect("JSON").replacen(from, to, 1);
        decode(&key_text(&login().key()), changed.as_bytes(), &keys)
    }

    #[test]
    fn a_body_comes_back_as_the_record() {
        assert_eq!(decode_changed("", ""), Ok(login()));
    }

    #[test]
    fn what_a_newer_program_added_is_refused_instead_of_dropped() {
        let field = decode_changed("\"login_flags\"", "\"new_field\":1,\"login_flags\"");
        assert!(field.expect_err("unknown field").contains("new_field"));
        let secret = decode_changed("\"sealed\":{\"secret\"", "\"sealed\":{\"new_secret\"");
        assert!(secret.expect_err("unknown secret").contains("new_secret"));
    }

    #[test]
    fn a_secret_opens_only_in_its_own_place() {
        let moved = decode_changed("\"sealed\":{\"secret\"", "\"sealed\":{\"mutual-secret\"");
        assert!(moved.expect_err("moved").contains("mutual-secret"));
        let other = decode_changed("iqn.x:a", "iqn.x:b");
        assert!(
            other
                .expect_err("another target")
                .contains("another record")
        );
    }

    #[test]
    fn a_body_that_an_older_program_wrote_gets_the_defaults() {
        let older = decode_changed("\"on_lost\":\"default\",", "");
        assert_eq!(older, Ok(login()));
    }

    #[test]
    fn options_that_were_not_given_stay_so_and_empty_ones_too() {
        let keys = keys();
        let comes_back = |login: &PersistentLogin| {
            let body = encode(login, &keys).expect("encodes");
            assert_eq!(
                decode(&key_text(&login.key()), &body, &keys),
                Ok(login.clone())
            );
        };
        let without = PersistentLogin {
            login_options: None,
            ..login()
        };
        comes_back(&without);
        let empty = LoginOptions {
            username: Some(Vec::new()),
            secret: Some(Secret::new([])),
            ..LoginOptions::default()
        };
        for login_options in [LoginOptions::default(), empty] {
            comes_back(&PersistentLogin {
                login_options: Some(login_options),
                ..login()
            });
        }
    }

    #[test]
    fn hexadecimal_comes_back_and_nothing_else_passes() {
        assert_eq!(
            from_hex(&to_hex(&[0, 0x7f, 0xff])),
            Some(vec![0, 0x7f, 0xff])
        );
        for wrong in ["0", "0g", "+1", "é", " 1"] {
            assert_eq!(from_hex(wrong), None, "{wrong:?}");
        }
    }
}
