//! `--forward`: a target that others carry out.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use hawser_proto::names::{IscsiName, Portal};

use crate::forward::Forward;

/// The far target of `--forward` and how to log in to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarTarget {
    /// Where it is, and its name.
    pub url: FarUrl,
    /// The CHAP name to give it.
    pub chap_user: Option<String>,
    /// The file with the secret of that name.
    pub chap_secret_file: Option<PathBuf>,
}

/// Makes the far side of a target: this crate has no initiator.
pub type Connector = fn(&FarTarget) -> Result<Arc<dyn Forward>, String>;

/// `iscsi://ADDRESS[:PORT]/IQN`: all logical units of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarUrl {
    /// A portal of the target.
    pub portal: Portal,
    /// Its name.
    pub target: IscsiName,
}

impl FromStr for FarUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("iscsi://");
        let parts = rest.and_then(|rest| rest.split_once('/'));
        let (portal, target) = parts.ok_or("not iscsi://ADDRESS[:PORT]/IQN")?;
        if target.contains('/') {
            return Err("a LUN behind the target's name: all of its LUNs are forwarded".to_owned());
        }
        Ok(Self {
            portal: portal
                .parse()
                .map_err(|error| format!("{portal}: {error}"))?,
            target: IscsiName::parse(target).map_err(|error| format!("{target}: {error}"))?,
        })
    }
}

impl fmt::Display for FarUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "iscsi://{}/{}", self.portal, self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_portal_and_a_target() {
        let url: FarUrl = "iscsi://[::1]:3261/iqn.2024-01.test:far".parse().unwrap();
        assert_eq!(url.to_string(), "iscsi://[::1]:3261/iqn.2024-01.test:far");
        let url: FarUrl = "iscsi://far.test/iqn.2024-01.test:far".parse().unwrap();
        assert_eq!((url.portal.host(), url.portal.port()), ("far.test", 3260));
        for wrong in [
            "iqn.2024-01.test:far",
            "iscsi://127.0.0.1",
            "iscsi://127.0.0.1/far",
            "iscsi://127.0.0.1/iqn.2024-01.test:far/0",
            "iscsi://user@127.0.0.1/iqn.2024-01.test:far",
            "nbd://127.0.0.1/iqn.2024-01.test:far",
        ] {
            assert!(wrong.parse::<FarUrl>().is_err(), "{wrong}");
        }
    }
}
