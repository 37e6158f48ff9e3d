//! The initiator itself: its name, its own secrets, settings.
use serde::{Deserialize, Serialize};

use crate::record::sealed::Stored;
use crate::record::{Record, SecretSlots};
use crate::secret::Secret;

/// The name that this initiator sends in logins. There is one record of it at most; its key is `()`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeName {
    /// The name.
    pub name: String,
    /// The daemon made it for itself.
    pub is_default: bool,
}

impl Stored for NodeName {}

impl Record for NodeName {
    type Key = ();

    const KIND: &'static str = "node-name";

    fn key(&self) {}
}

/// Which secret of the initiator itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretName {
    /// What targets must prove in mutual CHAP.
    InitiatorChap,
    /// What proves us to RADIUS servers.
    Radius,
    /// The default IKE preshared key.
    GroupPresharedKey,
}

/// A secret of the initiator itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredSecret {
    /// Which.
    pub name: SecretName,
    /// The secret. Sealed in the database. A record without one counts as cleared.
    #[serde(skip)]
    pub secret: Option<Secret>,
}

impl Stored for StoredSecret {
    fn secrets(&mut self) -> SecretSlots<'_> {
        vec![("secret", &mut self.secret)]
    }
}

impl Record for StoredSecret {
    type Key = SecretName;

    const KIND: &'static str = "secret";

    fn key(&self) -> SecretName {
        self.name
    }
}

/// A setting of the daemon that is changed while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Stored for Setting {}

impl Record for Setting {
    /// Its name.
    type Key = String;

    const KIND: &'static str = "setting";

    fn key(&self) -> String {
        self.name.clone()
    }
}
