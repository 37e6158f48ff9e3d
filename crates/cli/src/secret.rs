//! Takes secrets from a file, stdin or the environment, never from the command line.

use std::fs::File;
use std::io::{self, IsTerminal, Read};

use zeroize::Zeroizing;

use crate::args::SecretSource;
use crate::error::CliError;

/// Environment variable with the secret that proves us to a target.
pub(crate) const CHAP_VARIABLE: &str = "HAWSER_CHAP_SECRET";

/// Environment variable with the secret that a target must prove in mutual CHAP.
pub(crate) const MUTUAL_VARIABLE: &str = "HAWSER_MUTUAL_SECRET";

/// Longest secret, in bytes: the most that the daemon takes.
const MAX_SECRET_LEN: usize = 255;

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
    fn a_file_that_is_not_there_is_named() {
        let source = SecretSource::File("/no/such/file".into());
        let error = read(&source).map(|_| ()).expect_err("there is none");
        assert!(error.report("hawser").contains("/no/such/file"));
    }
}
