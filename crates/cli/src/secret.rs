//! Takes secrets from a file, stdin or the environment, never from the command line; makes new ones.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::args::SecretSource;
use crate::error::CliError;
use crate::exit::Exit;

/// Environment variable with the secret that proves us to a target.
pub(crate) const CHAP_VARIABLE: &str = "HAWSER_CHAP_SECRET";

/// Environment variable with the secret that a target must prove in mutual CHAP.
pub(crate) const MUTUAL_VARIABLE: &str = "HAWSER_MUTUAL_SECRET";

/// Longest secret, in bytes: the most that the daemon takes.
const MAX_SECRET_LEN: usize = 255;

/// The characters of secrets that are made: 64, so that each holds six bits. All can be typed and none
/// means anything to shells and configuration files; there is no `0`, so that nothing reads a secret
/// that begins with `0x` as a number.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz123456789._+";

/// A secret's bytes, wiped when dropped.
pub(crate) type SecretBytes = Zeroizing<Vec<u8>>;

/// The secret from `source` if one is named, else from the environment variable if it is set.
///
/// # Errors
/// It cannot be read, is empty, or is too long.
pub(crate) fn find(
    source: Option<&SecretSource>,
    variable: &str,
) -> Result<Option<SecretBytes>, CliError> {
    match source {
        Some(source) => read(source).map(Some),
        None => from_variable(variable),
    }
}

/// As [`find`], but with stdin as the last resort unless that is a terminal, on which the secret
/// would be seen.
///
/// # Errors
/// As [`find`]; nothing is named and stdin is a terminal.
pub(crate) fn find_or_stdin(
    source: Option<&SecretSource>,
    variable: &str,
) -> Result<SecretBytes, CliError> {
    if let Some(secret) = find(source, variable)? {
        return Ok(secret);
    }
    if io::stdin().is_terminal() {
        let advice = format!("give --secret-file FILE, set {variable}, or pipe the secret in");
        return Err(CliError::usage("no secret is given").advice(advice));
    }
    read(&SecretSource::Stdin)
}

/// Makes a secret of `length` characters of six bits each, from the system's random numbers and
/// nothing else (RFC 7143 section 9.2.1).
///
/// # Errors
/// The system gives no random numbers.
pub(crate) fn generate(length: usize) -> Result<Zeroizing<String>, CliError> {
    let mut random = Zeroizing::new(vec![0; length]);
    getrandom::fill(&mut random).map_err(|error| {
        CliError::new(
            Exit::Failed,
            format!("the system gives no random numbers: {error}"),
        )
    })?;
    // One allocation, so that no copy stays behind in freed memory.
    let mut secret = Zeroizing::new(String::with_capacity(length));
    // 256 is a multiple of 64: every character is as likely as any other.
    secret.extend(
        random
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(byte % 64)])),
    );
    Ok(secret)
}

/// Writes a secret and a line end to a new file that only its owner may read. One that is there is
/// never written to: it may hold the only copy of another secret.
///
/// # Errors
/// It is there, or cannot be written to; then there is no file.
pub(crate) fn write_new(path: &Path, secret: &str) -> Result<(), CliError> {
    let name = path.display();
    let failed =
        |error: &io::Error| CliError::io(format!("cannot write the secret to {name}"), error);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| failed(&error))?;
    let line = Zeroizing::new(format!("{secret}\n"));
    let written = file
        .write_all(line.as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half a secret is none.
        drop(std::fs::remove_file(path));
        failed(&error)
    })
}

/// Reads a secret from where it is.
fn read(source: &SecretSource) -> Result<SecretBytes, CliError> {
    match source {
        SecretSource::Stdin => take("stdin", io::stdin().lock()),
        SecretSource::File(path) => {
            let name = path.display().to_string();
            let failed = |error| CliError::io(format!("cannot read the secret in {name}"), &error);
            take(&name, File::open(path).map_err(failed)?)
        }
    }
}

fn from_variable(variable: &str) -> Result<Option<SecretBytes>, CliError> {
    use std::os::unix::ffi::OsStringExt;
    let Some(value) = std::env::var_os(variable) else {
        return Ok(None);
    };
    let value = Zeroizing::new(value.into_vec());
    if value.is_empty() {
        return Ok(None);
    }
    take(variable, value.as_slice()).map(Some)
}

/// Takes the secret out of `source`: all bytes but one final line end, which editors and `echo` add.
fn take(name: &str, source: impl Read) -> Result<SecretBytes, CliError> {
    // One allocation that is never outgrown, so that no copy stays behind in freed memory. Two bytes
    // for a line end, one to see that there is more.
    let mut secret = Zeroizing::new(Vec::with_capacity(MAX_SECRET_LEN + 3));
    let limit = secret.capacity() as u64;
    source
        .take(limit)
        .read_to_end_within(&mut secret)
        .map_err(|error| CliError::io(format!("cannot read the secret in {name}"), &error))?;
    if secret.last() == Some(&b'\n') {
        secret.pop();
        if secret.last() == Some(&b'\r') {
            secret.pop();
        }
    }
    match secret.len() {
        0 => Err(CliError::usage(format!("the secret in {name} is empty"))),
        1..=MAX_SECRET_LEN => Ok(secret),
        _ => {
            let text = format!("the secret in {name} is longer than {MAX_SECRET_LEN} bytes");
            Err(CliError::usage(text))
        }
    }
}

/// Reads without growing the buffer, which `read_to_end` would do to see the end.
trait ReadWithin {
    /// Reads to the end or until the buffer's capacity is used up.
    fn read_to_end_within(self, buffer: &mut Vec<u8>) -> io::Result<()>;
}

impl<R: Read> ReadWithin for R {
    fn read_to_end_within(mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let capacity = buffer.capacity();
        let mut filled = 0;
        buffer.resize(capacity, 0);
        let outcome = loop {
            match self.read(&mut buffer[filled..]) {
                Ok(0) => break Ok(()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        buffer.truncate(filled);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bytes: &[u8]) -> Result<Vec<u8>, String> {
        take("it", bytes)
            .map(|secret| secret.to_vec())
            .map_err(|error| error.report("hawser"))
    }

    #[test]
    fn one_line_end_is_dropped_and_nothing_else() {
        assert_eq!(
            taken(b"twelve-bytes\n").as_deref(),
            Ok(&b"twelve-bytes"[..])
        );
        assert_eq!(taken(b"a b\t\r\n").as_deref(), Ok(&b"a b\t"[..]));
        assert_eq!(taken(b"x\n\n").as_deref(), Ok(&b"x\n"[..]));
        assert_eq!(taken(b"\xff\0").as_deref(), Ok(&b"\xff\0"[..]));
    }

    #[test]
    fn empty_and_endless_secrets_are_refused() {
        assert!(taken(b"\n").is_err_and(|text| text.contains("empty")));
        assert!(taken(&[b'x'; 255]).is_ok());
        assert!(taken(&[b'x'; 256]).is_err_and(|text| text.contains("longer")));
        let endless = take("it", io::repeat(b'x')).map(|_| ());
        assert!(endless.is_err_and(|error| error.report("").contains("longer")));
    }

    #[test]
    fn secrets_that_are_made_have_96_random_bits_in_16_plain_characters() {
        let mut alphabet = ALPHABET.to_vec();
        alphabet.sort_unstable();
        alphabet.dedup();
        assert_eq!(alphabet.len(), 64, "each character once: six bits");
        assert!(!alphabet.contains(&b'0') && alphabet.iter().all(u8::is_ascii_graphic));
        let made: Vec<_> = (0..200).map(|_| generate(16).expect("made")).collect();
        for (index, secret) in made.iter().enumerate() {
            assert_eq!(secret.len(), 16);
            assert!(secret.bytes().all(|byte| ALPHABET.contains(&byte)));
            assert!(
                !made[..index].contains(secret),
                "{} came twice",
                secret.as_str()
            );
        }
        // 3200 draws leave out one of 64 characters in one of 10^20 runs.
        let all = made.iter().flat_map(|secret| secret.bytes());
        let seen: std::collections::BTreeSet<u8> = all.collect();
        assert_eq!(seen.len(), 64);
    }

    #[test]
    fn a_secret_is_written_once_and_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("made");
        let path = directory.path().join("secret");
        write_new(&path, "first-of-them").expect("written");
        let mode = std::fs::metadata(&path).expect("is there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let error = write_new(&path, "second").expect_err("it is there");
        assert!(error.report("hawser").contains("exists"));
        let read = read(&SecretSource::File(path)).map(|secret| secret.to_vec());
        assert_eq!(read.ok().as_deref(), Some(&b"first-of-them"[..]));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let source = SecretSource::File("/no/such/file".into());
        let error = read(&source).map(|_| ()).expect_err("there is none");
        assert!(error.report("hawser").contains("/no/such/file"));
    }
}
