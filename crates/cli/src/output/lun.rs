//! LUNs as they are shown, the same everywhere.

use std::fmt;

use hawser_engine::LunNumber;
use serde::{Serialize, Serializer};

/// A LUN as people write it and as `--lun` takes it: an ordinary one is its number. One that a number
/// does not name, such as a unit behind a bus or a number in another form than the shortest, is all
/// eight bytes in hexadecimal, so that two LUNs never look alike. In JSON the first is a number, the
/// second a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShownLun(LunNumber);

impl From<LunNumber> for ShownLun {
    fn from(lun: LunNumber) -> Self {
        Self(lun)
    }
}

/// From the eight bytes as a big-endian number, as the RPC has it.
impl From<u64> for ShownLun {
    fn from(lun: u64) -> Self {
        Self(lun.to_be_bytes().into())
    }
}

impl fmt::Display for ShownLun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for ShownLun {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.to_string();
        match text.parse::<u64>() {
            Ok(number) => serializer.serialize_u64(number),
            Err(_) => serializer.serialize_str(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_luns_are_numbers_and_others_their_bytes() {
        for (bytes, json) in [
            (0_u64, "0"),
            (0x0001_0000_0000_0000, "1"),
            (0x412c_0000_0000_0000, "300"),
            // LUN 1 in the flat form is not what `--lun 1` asks for.
            (0x4001_0000_0000_0000, "\"0x4001000000000000\""),
            // A unit behind a bus has no number, and is not LUN 0.
            (0x0203_0000_0000_0000, "\"0x0203000000000000\""),
            (u64::MAX, "\"0xffffffffffffffff\""),
        ] {
            let lun = ShownLun::from(bytes);
            assert_eq!(serde_json::to_string(&lun).expect("is JSON"), json);
            assert_eq!(lun.to_string(), json.trim_matches('"'));
            let again: LunNumber = lun.to_string().parse().expect("what --lun takes");
            assert_eq!(ShownLun::from(again), lun);
        }
    }
}
