//! Why an answer of a device could not be read.

/// A device's answer that does not have the form its standard gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The answer ends before the fields without which it means nothing.
    #[error("{what}: {got} bytes came, at least {need} are needed")]
    TooShort {
        /// Which answer was being read.
        what: &'static str,
        /// Bytes that the mandatory fields take.
        need: usize,
        /// Bytes that came.
        got: usize,
    },
    /// Another VPD page came than the one asked for.
    #[error("VPD page {got:#04x} came, page {asked:#04x} was asked for")]
    WrongPage {
        /// The page code that was asked for.
        asked: u8,
        /// The page code in the answer.
        got: u8,
    },
    /// A field holds a value that cannot be true.
    #[error("{what} cannot be {value}")]
    Impossible {
        /// Which field.
        what: &'static str,
        /// What the device put there.
        value: u64,
    },
}

impl DecodeError {
    /// Gives `TooShort` unless `bytes` has at least `need` bytes.
    pub(crate) fn need(what: &'static str, bytes: &[u8], need: usize) -> Result<(), Self> {
        if bytes.len() < need {
            return Err(Self::TooShort {
                what,
                need,
                got: bytes.len(),
            });
        }
        Ok(())
    }
}
