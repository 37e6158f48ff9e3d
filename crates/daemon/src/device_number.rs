//! Number of a device node: `major:minor`, the one name of a block device that the kernel, its tables
//! and `stat` agree on.

use std::fmt;
use std::str::FromStr;

/// `major:minor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DeviceNumber {
    /// Which driver.
    pub(crate) major: u32,
    /// Which of its devices.
    pub(crate) minor: u32,
}

impl DeviceNumber {
    /// From its two halves.
    pub(crate) const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// The text is no device number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not MAJOR:MINOR")]
pub(crate) struct NotADeviceNumber(String);

impl FromStr for DeviceNumber {
    type Err = NotADeviceNumber;

    fn from_str(text: &str) -> Result<Self, NotADeviceNumber> {
        let halves = text.trim().split_once(':');
        halves
            .and_then(|(major, minor)| Some(Self::new(major.parse().ok()?, minor.parse().ok()?)))
            .ok_or_else(|| NotADeviceNumber(text.to_owned()))
    }
}
