//! The store's key: where it comes from, what is derived from it, and the two uses: checksums and sealing.
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::secret::Secret;

/// Name of the key file in the state directory.
pub const KEY_FILE_NAME: &str = "hawser.key";

/// Name of the systemd credential that is used instead of a key file if there is one (systemd.exec(5),
/// `LoadCredential=`).
pub const CREDENTIAL_NAME: &str = "hawser.key";

/// Bytes of a key file that this program makes, and the fewest that a credential must have.
const KEY_LEN: usize = 32;

/// The most bytes that a credential may have: more is a mistake.
const MAX_CREDENTIAL_LEN: usize = 4096;

/// Bytes of a keyed checksum (HMAC-SHA256).
pub(crate) const CHECKSUM_LEN: usize = 32;

/// Bytes of the nonce of XChaCha20-Poly1305; random ones of this length do not repeat.
const NONCE_LEN: usize = 24;

/// A keyed checksum.
pub(crate) type Checksum = [u8; CHECKSUM_LEN];

/// Where the store's key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file of 32 bytes with mode 0600, made at the first start.
    File(PathBuf),
    /// A file that something else provides, such as systemd; never made, 32 to 4096 bytes.
    Credential(PathBuf),
}

impl KeySource {
    /// The credential [`CREDENTIAL_NAME`] if systemd gives this process one, else [`KEY_FILE_NAME`] in `dir`.
    #[must_use]
    pub fn of_this_process(dir: &Path) -> Self {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self::choose(credentials.as_deref(), dir)
    }

    /// The same for a given credentials directory.
    #[must_use]
    pub fn choose(credentials: Option<&Path>, dir: &Path) -> Self {
        match credentials.map(|credentials| credentials.join(CREDENTIAL_NAME)) {
            Some(credential) if credential.exists() => Self::Credential(credential),
            _ => Self::File(dir.join(KEY_FILE_NAME)),
        }
    }

    /// Its path, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Credential(path) => path,
        }
    }
}

/// The keys derived from the master key, one a use.
pub(crate) struct Keys {
    checksum: Zeroizing<[u8; 32]>,
    seal: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    /// Reads the key; with `create`, makes the key file if there is none.
    pub(crate) fn load(source: &KeySource, create: bool) -> Result<Self, StoreError> {
        let master = match source {
            KeySource::Credential(path) => read_key(path, KEY_LEN..=MAX_CREDENTIAL_LEN)?,
            KeySource::File(path) => match read_key(path, KEY_LEN..=KEY_LEN) {
                Err(StoreError::KeyMissing { .. }) if create => make_key(path)?,
                other => other?,
            },
        };
        Ok(Self {
            checksum: derive(&master, b"hawser store: checksums of records"),
            seal: derive(&master, b"hawser store: sealing of secrets"),
        })
    }

    /// Keyed checksum over the parts, each guarded by its length.
    pub(crate) fn checksum(&self, parts: &[&[u8]]) -> Checksum {
        hmac(&self.checksum[..], parts)
    }

    /// Seals a secret; `context` says whose it is, and only there can it be opened again.
    pub(crate) fn seal(&self, secret: &Secret, context: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        fill_random(&mut nonce)?;
        let payload = Payload {
            msg: secret.expose(),
            aad: context,
        };
        let sealed = XChaCha20Poly1305::new((&*self.seal).into())
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| encoding("a secret", "sealing failed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens a sealed secret; `None` if it is not the one that was sealed for `context`.
    pub(crate) fn open(&self, sealed: &[u8], context: &[u8]) -> Option<Secret> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let opened = XChaCha20Poly1305::new((&*self.seal).into())
            .decrypt(
                &XNonce::from(*nonce),
                Payload {
                    msg: text,
                    aad: context,
                },
            )
            .ok()?;
        Some(Secret::new(opened))
    }
}

/// HMAC-SHA256 over parts, each preceded by its length so that no two lists of parts look the same.
fn hmac(key: &[u8], parts: &[&[u8]]) -> Checksum {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key)
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length (RFC 2104 section 2)"));
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// A key for one use, from the master key.
fn derive(master: &[u8], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(hmac(master, &[purpose]))
}

/// Reads a key file after checking that it is ours alone.
fn read_key(
    path: &Path,
    len: std::ops::RangeInclusive<usize>,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let bad = |why: String| StoreError::BadKey {
        key: path.to_owned(),
        why,
    };
    let opened = OpenOptions::new()
        .read(true)
        // Not through a symbolic link, and not to hang on a FIFO.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    let file = match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(StoreError::KeyMissing {
                key: path.to_owned(),
            });
        }
        other => other.map_err(|error| bad(error.to_string()))?,
    };
    let meta = file.metadata().map_err(|error| bad(error.to_string()))?;
    if !meta.is_file() {
        return Err(bad("it is not a regular file".to_owned()));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(StoreError::LooseKey {
            key: path.to_owned(),
            mode: meta.mode() & 0o7777,
        });
    }
    if meta.uid() != 0 && meta.uid() != nix::unistd::geteuid().as_raw() {
        return Err(bad(format!("it belongs to user {}", meta.uid())));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(*len.end() + 1));
    file.take(*len.end() as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| bad(error.to_string()))?;
    if !len.contains(&bytes.len()) {
        return Err(bad(format!("it has not {} bytes", len.start())));
    }
    Ok(bytes)
}

/// Makes a key file, durable before it is used.
fn make_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut bytes = Zeroizing::new(vec![0; KEY_LEN]);
    fill_random(&mut bytes)?;
    let fresh = path.with_extension("key.new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(StoreError::io("remove", &fresh, error));
        }
        _ => {}
    }
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|error| StoreError::io("make the key file", path, error))?;
    Ok(bytes)
}

/// Fills with random bytes from the system.
fn fill_random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| encoding("a random number", &error.to_string()))
}

/// An encoding error.
pub(crate) fn encoding(what: &str, why: &str) -> StoreError {
    StoreError::Encoding {
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(dir: &Path) -> Keys {
        Keys::load(&KeySource::File(dir.join("k.key")), true).expect("made")
    }

    #[test]
    fn a_sealed_secret_opens_only_where_it_was_sealed_and_only_whole() {
        let dir = tempfile::tempdir().expect("directory");
        let keys = keys(dir.path());
        let sealed = keys
            .seal(&Secret::new(*b"open sesame 123"), b"login a")
            .expect("sealed");
        assert!(!sealed.windows(4).any(|part| part == b"sesa"));
        assert_eq!(
            keys.open(&sealed, b"login a"),
            Some(Secret::new(*b"open sesame 123"))
        );
        assert_eq!(keys.open(&sealed, b"login b"), None);
        for index in 0..sealed.len() {
            let mut spoilt = sealed.clone();
            spoilt[index] ^= 1;
            assert_eq!(keys.open(&spoilt, b"login a"), None, "byte {index}");
            assert_eq!(
                keys.open(&sealed[..index], b"login a"),
                None,
                "first {index}"
            );
        }
        let again = keys
            .seal(&Secret::new(*b"open sesame 123"), b"login a")
            .expect("sealed");
        assert_ne!(sealed, again, "the nonce repeats");
    }

    #[test]
    fn checksums_depend_on_where_a_part_ends() {
        let dir = tempfile::tempdir().expect("directory");
        let keys = keys(dir.path());
        assert_ne!(keys.checksum(&[b"ab", b"c"]), keys.checksum(&[b"a", b"bc"]));
        assert_ne!(keys.checksum(&[b"ab"]), keys.checksum(&[b"ab", b""]));
    }

    // RFC 4231 section 4.2 (test case 1) proves the HMAC itself.
    #[test]
    fn hmac_is_hmac_sha256() {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&[0x0b; 20]).expect("key");
        mac.update(b"Hi There");
        let expected = [
            0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b,
            0xf1, 0x2b, 0x88, 0x1d, 0xc2, 0x00, 0xc9, 0x83, 0x3d, 0xa7, 0x26, 0xe9, 0x37, 0x6c,
            0x2e, 0x32, 0xcf, 0xf7,
        ];
        assert_eq!(<[u8; 32]>::from(mac.finalize().into_bytes()), expected);
    }

    #[test]
    fn debug_output_shows_neither_keys_nor_secrets() {
        let dir = tempfile::tempdir().expect("directory");
        assert_eq!(format!("{:?}", keys(dir.path())), "Keys(..)");
        assert_eq!(format!("{:#?}", Secret::new(*b"hush")), "Secret(..)");
    }
}
