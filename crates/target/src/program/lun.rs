//! What `--lun` says of a disk.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::disk::{Backend, FileBackend, LogicalUnit, RamBackend, UnitIdentity, VolatileCache};

/// The block size of a disk that names none, in bytes.
const DEFAULT_BLOCK_SIZE: u32 = 512;

/// Why a text does not describe a disk.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum LunSpecError {
    #[error("a disk is ram:SIZE or file:PATH")]
    Kind,
    #[error("{0:?} is not a size such as 64M")]
    Size(String),
    #[error("{0:?} is not an option of a disk")]
    Option(String),
}

/// Where the bytes of a disk are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Medium {
    Ram(u64),
    /// A file; with a size it is made if it is not there.
    File(PathBuf, Option<u64>),
}

/// A disk as the command line describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LunSpec {
    text: String,
    medium: Medium,
    block_size: u32,
    volatile: bool,
    read_only: bool,
}

impl FromStr for LunSpec {
    type Err = LunSpecError;

    fn from_str(text: &str) -> Result<Self, LunSpecError> {
        let mut parts = text.split(',');
        let first = parts.next().unwrap_or_default();
        let medium = match first.split_once(':') {
            Some(("ram", size)) => Medium::Ram(parse_size(size)?),
            Some(("file", path)) if !path.is_empty() => Medium::File(path.into(), None),
            _ => return Err(LunSpecError::Kind),
        };
        let mut spec = Self {
            text: text.to_owned(),
            medium,
            block_size: DEFAULT_BLOCK_SIZE,
            volatile: false,
            read_only: false,
        };
        for part in parts {
            let wrong = || LunSpecError::Option(part.to_owned());
            match part.split_once('=') {
                None if part == "volatile" => spec.volatile = true,
                None if part == "ro" => spec.read_only = true,
                Some(("bs", size)) => spec.block_size = size.parse().map_err(|_| wrong())?,
                Some(("size", size)) => match &mut spec.medium {
                    Medium::File(_, wanted) => *wanted = Some(parse_size(size)?),
                    Medium::Ram(_) => return Err(wrong()),
                },
                _ => return Err(wrong()),
            }
        }
        Ok(spec)
    }
}

impl LunSpec {
    /// Opens the disk. `key` is what its identity is made from, so that it is the same at every
    /// start.
    pub(super) fn open(&self, key: &str) -> Result<Arc<LogicalUnit>, Box<dyn std::error::Error>> {
        let backend: Arc<dyn Backend> = match &self.medium {
            Medium::Ram(size) => self.cached(RamBackend::new(*size)?),
            Medium::File(path, Some(size)) if !self.read_only => {
                self.cached(FileBackend::create(path, *size)?)
            }
            Medium::File(path, _) => self.cached(FileBackend::open(path, self.read_only)?),
        };
        let identity = UnitIdentity::from_key(key);
        let unit = LogicalUnit::new(backend, self.block_size, identity)?;
        Ok(Arc::new(unit.with_write_protect(self.read_only)))
    }

    fn cached(&self, backend: impl Backend + 'static) -> Arc<dyn Backend> {
        if self.volatile {
            Arc::new(VolatileCache::new(backend))
        } else {
            Arc::new(backend)
        }
    }
}

impl fmt::Display for LunSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads a number of bytes, with K, M, G or T for powers of 1024.
fn parse_size(text: &str) -> Result<u64, LunSpecError> {
    let wrong = || LunSpecError::Size(text.to_owned());
    let shift = match text.as_bytes().last() {
        Some(b'k' | b'K') => 10,
        Some(b'm' | b'M') => 20,
        Some(b'g' | b'G') => 30,
        Some(b't' | b'T') => 40,
        _ => 0,
    };
    let digits = if shift == 0 {
        text
    } else {
        text.get(..text.len() - 1).ok_or_else(wrong)?
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_read() {
        let spec: LunSpec = "file:/a/b,bs=4096,size=1G,volatile,ro".parse().unwrap();
        assert_eq!(spec.medium, Medium::File("/a/b".into(), Some(1 << 30)));
        assert_eq!(
            (spec.block_size, spec.volatile, spec.read_only),
            (4096, true, true)
        );
        let spec: LunSpec = "ram:64M".parse().unwrap();
        assert_eq!(spec.medium, Medium::Ram(64 << 20));
        assert_eq!(
            (spec.block_size, spec.volatile, spec.read_only),
            (512, false, false)
        );
    }

    #[test]
    fn what_is_no_disk_is_refused() {
        let refused = |text: &str| text.parse::<LunSpec>().unwrap_err();
        for text in ["", "ram", "file:", "tape:1"] {
            assert_eq!(refused(text), LunSpecError::Kind, "{text}");
        }
        for size in ["", "x", "1X", "-1", "99999999999T", "é"] {
            assert_eq!(
                refused(&format!("ram:{size}")),
                LunSpecError::Size(size.to_owned())
            );
        }
        for option in ["rw", "bs=x", "size=1M", ""] {
            let text = format!("ram:1M,{option}");
            assert_eq!(
                refused(&text),
                LunSpecError::Option(option.to_owned()),
                "{text}"
            );
        }
    }
}
