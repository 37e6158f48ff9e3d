//! Send-targets portals, iSNS servers, what they told, and static targets.
use serde::{Deserialize, Serialize};

use super::login::{InitiatorPort, LoginOptions, Portal, PortalGroup, PortalKey, TargetMapping};
use crate::record::sealed::Stored;
use crate::record::{Record, SecretSlots, key_text};

/// A portal that is asked for its targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendTargetsPortal {
    /// Initiator and source address to ask from.
    pub initiator: InitiatorPort,
    /// The portal.
    pub portal: Portal,
    /// Options of the discovery session.
    pub login_options: LoginOptions,
    /// `ISCSI_SECURITY_FLAGS` as given.
    pub security_flags: u64,
    /// When it was stored, in milliseconds since 1970.
    pub added_at_ms: i64,
}

/// What identifies a send-targets portal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendTargetsPortalKey {
    /// The portal.
    pub portal: PortalKey,
    /// Initiator and source address, the instance in lower case.
    pub initiator: InitiatorPort,
}

impl Stored for SendTargetsPortal {
    fn secrets(&mut self) -> SecretSlots<'_> {
        self.login_options.secret_slots()
    }
}

impl Record for SendTargetsPortal {
    type Key = SendTargetsPortalKey;

    const KIND: &'static str = "send-targets-portal";

    fn key(&self) -> SendTargetsPortalKey {
        SendTargetsPortalKey {
            portal: self.portal.key(),
            initiator: self.initiator.for_comparison(),
        }
    }
}

/// A name server that is asked for targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IsnsServer {
    /// IP literal or DNS name as given.
    pub address: String,
    /// When it was stored, in milliseconds since 1970.
    pub added_at_ms: i64,
}

impl Stored for IsnsServer {}

impl Record for IsnsServer {
    /// Its address in lower case.
    type Key = String;

    const KIND: &'static str = "isns-server";

    fn key(&self) -> String {
        self.address.to_lowercase()
    }
}

/// What told of a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiscoverySource {
    /// A stored send-targets portal; its targets are removed with it.
    SendTargets(SendTargetsPortalKey),
    /// An iSNS server, by its address in lower case; its targets stay when it is removed.
    Isns(String),
}

/// A target as one source told of it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscoveredTarget {
    /// What told of it.
    pub source: DiscoverySource,
    /// iSCSI name, normalised.
    pub target_name: String,
    /// The name as the source wrote it, if that is not the normalised one: targets that compare bytes know
    /// no other.
    #[serde(default)]
    pub written_name: Option<String>,
    /// Alias, or empty.
    pub alias: String,
    /// Where it is reached.
    pub portal_groups: Vec<PortalGroup>,
}

impl Stored for DiscoveredTarget {
    fn parent(&self) -> Option<(&'static str, String)> {
        match &self.source {
            DiscoverySource::SendTargets(portal) => {
                Some((SendTargetsPortal::KIND, key_text(portal)))
            }
            DiscoverySource::Isns(_) => None,
        }
    }
}

impl Record for DiscoveredTarget {
    type Key = (DiscoverySource, String);

    const KIND: &'static str = "discovered-target";

    fn key(&self) -> Self::Key {
        (self.source.clone(), self.target_name.clone())
    }
}

/// A target that was made known by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticTarget {
    /// iSCSI name, normalised.
    pub target_name: String,
    /// The name as it was given, if that is not the normalised one.
    #[serde(default)]
    pub written_name: Option<String>,
    /// Alias, or empty.
    pub alias: String,
    /// `ISCSI_TARGET_FLAGS` as given.
    pub target_flags: u32,
    /// Numbers for its LUNs.
    pub mapping: Option<TargetMapping>,
    /// Default options of logins to it; `None`: none were given.
    pub login_options: Option<LoginOptions>,
    /// Where it is reached.
    pub portals: Vec<Portal>,
    /// When it was stored, in milliseconds since 1970.
    pub added_at_ms: i64,
}

impl Stored for StaticTarget {
    fn secrets(&mut self) -> SecretSlots<'_> {
        self.login_options
            .as_mut()
            .map(LoginOptions::secret_slots)
            .unwrap_or_default()
    }
}

impl Record for StaticTarget {
    /// Its name.
    type Key = String;

    const KIND: &'static str = "static-target";

    fn key(&self) -> String {
        self.target_name.clone()
    }
}
