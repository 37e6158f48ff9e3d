//! RADIUS servers, IKE identities and the outer addresses of IPsec tunnels.
use serde::{Deserialize, Serialize};

use super::login::InitiatorPort;
use crate::record::sealed::Stored;
use crate::record::{Record, SecretSlots};
use crate::secret::Secret;

/// A server that makes or checks CHAP answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadiusServer {
    /// IP literal or DNS name as given.
    pub address: String,
    /// When it was stored, in milliseconds since 1970.
    pub added_at_ms: i64,
}

impl Stored for RadiusServer {}

impl Record for RadiusServer {
    /// Its address in lower case.
    type Key = String;

    const KIND: &'static str = "radius-server";

    fn key(&self) -> String {
        self.address.to_lowercase()
    }
}

/// The preshared key and the flags of an IKE identity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IkeInfo {
    /// Initiator and source address that it is for; no port: every one.
    pub initiator: InitiatorPort,
    /// `IKE_IDENTIFICATION_PAYLOAD_TYPE`.
    pub id_type: u8,
    /// Address bytes in network order, or text.
    pub id: Vec<u8>,
    /// `ISCSI_SECURITY_FLAGS` as given.
    pub security_flags: u64,
    /// The preshared key. Sealed in the database.
    #[serde(skip)]
    pub key: Option<Secret>,
    /// When it was stored, in milliseconds since 1970.
    pub added_at_ms: i64,
}

/// What identifies an [`IkeInfo`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IkeInfoKey {
    /// Initiator and source address, the instance in lower case.
    pub initiator: InitiatorPort,
    /// As in [`IkeInfo::id_type`].
    pub id_type: u8,
    /// As in [`IkeInfo::id`].
    pub id: Vec<u8>,
}

impl Stored for IkeInfo {
    fn secrets(&mut self) -> SecretSlots<'_> {
        vec![("key", &mut self.key)]
    }
}

impl Record for IkeInfo {
    type Key = IkeInfoKey;

    const KIND: &'static str = "ike-info";

    fn key(&self) -> IkeInfoKey {
        IkeInfoKey {
            initiator: self.initiator.for_comparison(),
            id_type: self.id_type,
            id: self.id.clone(),
        }
    }
}

/// The outer address of IPsec tunnels to a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunnelAddress {
    /// Initiator and source address that it is for; no port: every one.
    pub initiator: InitiatorPort,
    /// IP literal or DNS name of the destination; empty: every one that has no setting of its own.
    pub destination: String,
    /// IP literal of the tunnel's other end.
    pub outer: String,
    /// When it was stored, in milliseconds since 1970.
    pub added_at_ms: i64,
}

/// What identifies a [`TunnelAddress`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunnelAddressKey {
    /// Initiator and source address, the instance in lower case.
    pub initiator: InitiatorPort,
    /// Destination in lower case.
    pub destination: String,
}

impl Stored for TunnelAddress {}

impl Record for TunnelAddress {
    type Key = TunnelAddressKey;

    const KIND: &'static str = "tunnel-address";

    fn key(&self) -> TunnelAddressKey {
        TunnelAddressKey {
            initiator: self.initiator.for_comparison(),
            destination: self.destination.to_lowercase(),
        }
    }
}
