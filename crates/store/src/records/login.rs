//! Persistent logins, the options of logins, and the ISIDs that make a new login reinstate an old session.
use serde::{Deserialize, Serialize};

use crate::record::sealed::Stored;
use crate::record::{Record, SecretSlots};
use crate::secret::Secret;

/// An initiator and one of its source addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitiatorPort {
    /// Initiator instance; empty: any.
    pub instance: String,
    /// Index of the source address when it was chosen; `None`: any.
    pub port_number: Option<u32>,
    /// The source address itself, an IP literal: indices change with the machine's addresses.
    #[serde(default)]
    pub source: Option<String>,
}

impl InitiatorPort {
    /// The form in which two of them are compared: the instance in lower case, and of index and
    /// address the address, if there is one.
    #[must_use]
    pub fn for_comparison(&self) -> Self {
        Self {
            instance: self.instance.to_lowercase(),
            port_number: self.port_number.filter(|_| self.source.is_none()),
            source: self.source.clone(),
        }
    }
}

/// A place where a target listens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portal {
    /// IP literal or DNS name.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// Free text, no part of its identity.
    #[serde(default)]
    pub symbolic_name: String,
}

impl Portal {
    /// What identifies it: the address in lower case and the port.
    #[must_use]
    pub fn key(&self) -> PortalKey {
        PortalKey {
            address: self.address.to_lowercase(),
            port: self.port,
        }
    }
}

/// What identifies a portal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortalKey {
    /// Address in lower case.
    pub address: String,
    /// TCP port.
    pub port: u16,
}

/// Portals of one portal group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortalGroup {
    /// Target portal group tag; `None` if no discovery told it.
    pub tag: Option<u16>,
    /// Its portals in the order in which they are tried.
    pub portals: Vec<Portal>,
}

/// Which digests a login offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Digest {
    /// None only.
    None,
    /// CRC32C only.
    Crc32c,
    /// CRC32C, then None.
    PreferCrc32c,
}

/// Who proves to whom who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthType {
    /// Nobody.
    None,
    /// We to the target.
    Chap,
    /// Each to the other.
    MutualChap,
}

/// What becomes of I/O when a session is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnLost {
    /// The daemon decides.
    #[default]
    Default,
    /// It is held for ever.
    Hold,
    /// It fails after the hold time.
    Fail,
}

/// Parameters of a login; `None`: not specified, the default applies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoginOptions {
    /// `ISCSI_LOGIN_FLAGS` as given.
    pub login_flags: u32,
    /// Authentication.
    pub auth_type: Option<AuthType>,
    /// Header digest.
    pub header_digest: Option<Digest>,
    /// Data digest.
    pub data_digest: Option<Digest>,
    /// MaxConnections.
    pub max_connections: Option<u32>,
    /// DefaultTime2Wait in seconds.
    pub default_time2wait_s: Option<u32>,
    /// DefaultTime2Retain in seconds.
    pub default_time2retain_s: Option<u32>,
    /// CHAP name that we send, raw bytes; empty: the initiator's node name, whatever the target's options say.
    pub username: Option<Vec<u8>>,
    /// The secret with which we answer the target; empty: there is none, whatever the target's options say. Sealed
    /// in the database.
    #[serde(skip)]
    pub secret: Option<Secret>,
    /// CHAP name that the target must send.
    pub mutual_username: Option<Vec<u8>>,
    /// The secret that the target must prove. Sealed in the database.
    #[serde(skip)]
    pub mutual_secret: Option<Secret>,
    /// What becomes of I/O when the session is lost.
    pub on_lost: OnLost,
    /// Seconds for which I/O is held before it fails.
    pub hold_time_s: Option<u32>,
    /// Milliseconds for one login attempt.
    pub login_timeout_ms: Option<u32>,
    /// Milliseconds of silence before a NOP-Out.
    pub nop_interval_ms: Option<u32>,
    /// Milliseconds for the answer to it.
    pub nop_timeout_ms: Option<u32>,
    /// MaxRecvDataSegmentLength in bytes.
    pub max_recv_data_segment_length: Option<u32>,
    /// FirstBurstLength in bytes.
    pub first_burst_length: Option<u32>,
    /// MaxBurstLength in bytes.
    pub max_burst_length: Option<u32>,
    /// MaxOutstandingR2T.
    pub max_outstanding_r2t: Option<u32>,
    /// InitialR2T.
    pub initial_r2t: Option<bool>,
    /// ImmediateData.
    pub immediate_data: Option<bool>,
    /// ErrorRecoveryLevel.
    pub error_recovery_level: Option<u32>,
    /// Connections that are made.
    pub connections: Option<u32>,
}

impl LoginOptions {
    /// Its secret fields.
    pub(crate) fn secret_slots(&mut self) -> SecretSlots<'_> {
        vec![
            ("secret", &mut self.secret),
            ("mutual-secret", &mut self.mutual_secret),
        ]
    }
}

/// Fixed numbers for a target's LUNs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetMapping {
    /// Bus number; `None`: any.
    pub os_bus_number: Option<u32>,
    /// Target number; `None`: any.
    pub os_target_number: Option<u32>,
    /// One entry a LUN.
    pub luns: Vec<LunMapping>,
}

/// Fixed number for one LUN.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LunMapping {
    /// Number on the operating system's side.
    pub os_lun: u32,
    /// The eight LUN bytes in wire order as a big-endian number.
    pub lun: u64,
}

/// A login that is made again at every start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersistentLogin {
    /// iSCSI name of the target, normalised.
    pub target_name: String,
    /// The name as the target was logged in to, if that is not the normalised one.
    #[serde(default)]
    pub written_name: Option<String>,
    /// Its LUNs are not shown as disks.
    pub informational: bool,
    /// Initiator and source address.
    pub initiator: InitiatorPort,
    /// The portal; `None`: any.
    pub portal: Option<Portal>,
    /// Where the target said that it has moved to for good: tried before the others where `portal` is
    /// `None`.
    #[serde(default)]
    pub moved_to: Option<Portal>,
    /// Where the target was known to be when the login worked last: tried behind what is known now, so
    /// that the login comes back when no discovery tells of its target any more.
    #[serde(default)]
    pub last_portals: Vec<PortalGroup>,
    /// `ISCSI_SECURITY_FLAGS` as given.
    pub security_flags: u64,
    /// Numbers for its LUNs.
    pub mapping: Option<TargetMapping>,
    /// Options; `None`: none were given, so that the target's own count, whatever they are when it is logged in to.
    #[serde(default)]
    pub login_options: Option<LoginOptions>,
    /// IKE preshared key. Sealed in the database.
    #[serde(skip)]
    pub preshared_key: Option<Secret>,
    /// When it was stored, in milliseconds since 1970.
    pub added_at_ms: i64,
}

/// What identifies a persistent login: the same target may have several, one a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersistentLoginKey {
    /// iSCSI name of the target.
    pub target_name: String,
    /// The portal; `None`: any.
    pub portal: Option<PortalKey>,
    /// Initiator and source address, the instance in lower case.
    pub initiator: InitiatorPort,
}

impl Stored for PersistentLogin {
    fn secrets(&mut self) -> SecretSlots<'_> {
        let options = self.login_options.as_mut();
        let mut slots = options.map(LoginOptions::secret_slots).unwrap_or_default();
        slots.push(("preshared-key", &mut self.preshared_key));
        slots
    }
}

impl Record for PersistentLogin {
    type Key = PersistentLoginKey;

    const KIND: &'static str = "persistent-login";

    fn key(&self) -> PersistentLoginKey {
        PersistentLoginKey {
            target_name: self.target_name.clone(),
            portal: self.portal.as_ref().map(Portal::key),
            initiator: self.initiator.for_comparison(),
        }
    }
}

/// The ISID that our session with a portal group of a target uses, kept so that the next login
/// to it reinstates that session (RFC 7143 section 6.3.5) and the target ends its old tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptIsid {
    /// Which session.
    pub session: IsidKey,
    /// The six bytes in wire order.
    pub isid: [u8; 6],
}

/// Which session an ISID is kept for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IsidKey {
    /// Name that we sent in the login: ISIDs are unique only beside it.
    pub initiator_name: String,
    /// iSCSI name of the target.
    pub target_name: String,
    /// Target portal group tag; `None` while it is not known.
    pub portal_group: Option<u16>,
    /// 0 for the first session of that initiator with that portal group, 1 for the next, and so on.
    pub slot: u16,
}

impl Stored for KeptIsid {}

impl Record for KeptIsid {
    type Key = IsidKey;

    const KIND: &'static str = "isid";

    fn key(&self) -> IsidKey {
        self.session.clone()
    }
}
