//! Keeps records and secrets durably.
//!
//! One directory holds a store: the SQLite file, the key file and the lock file. [`Store`] is the one way in.
//! The file's own pages have no checksums, so each record carries a keyed one, and a manifest guards the set
//! of them: a record that was damaged, lost or rolled back is named ([`Damage`]) and refused, the rest go on.
#![forbid(unsafe_code)]

mod error;
mod key;
mod lock;
mod record;
mod records;
mod rows;
mod schema;
mod secret;
mod store;

pub use error::{Damage, StoreError};
pub use key::{CREDENTIAL_NAME, KEY_FILE_NAME, KeySource};
pub use record::{Change, Record};
pub use records::discovery::{
    DiscoveredTarget, DiscoverySource, IsnsServer, SendTargetsPortal, SendTargetsPortalKey,
    StaticTarget,
};
pub use records::login::{
    AuthType, Digest, InitiatorPort, IsidKey, KeptIsid, LoginOptions, LunMapping, OnLost,
    PersistentLogin, PersistentLoginKey, Portal, PortalGroup, PortalKey, TargetMapping,
};
pub use records::node::{NodeName, SecretName, Setting, StoredSecret};
pub use records::security::{IkeInfo, IkeInfoKey, RadiusServer, TunnelAddress, TunnelAddressKey};
pub use records::volume::{
    BoundDisk, BoundKind, BoundVolume, DiskIdentity, IdentityType, MountedBy,
};
pub use secret::Secret;
pub use store::{DATABASE_FILE_NAME, Limits, Store};
