//! What a target server offers: portals in groups, targets with their logical units, who may log in
//! and how they prove it.

use std::net::SocketAddr;
use std::sync::Arc;

use hawser_proto::chap::{Algorithm, ChapSecret};
use hawser_proto::names::{IscsiName, NameError};

use crate::disk::{Device, LogicalUnit};
use crate::faults::Redirect;
use crate::forward::Forward;
use crate::policy::KeyPolicy;

/// The address and group of a place to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortalConfig {
    /// The portal group tag (RFC 7143 §13.9).
    pub group: u16,
    /// The address to bind; port 0 picks a free one.
    pub address: SocketAddr,
}

/// A name and the secret that proves it.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `CHAP_N`.
    pub name: String,
    /// The CHAP secret.
    pub secret: ChapSecret,
}

/// CHAP as a target demands it (RFC 7143 §12.1.3).
#[derive(Debug, Clone)]
pub struct ChapConfig {
    /// What the initiator must know.
    pub initiator: Credentials,
    /// What we prove ourselves with when the initiator asks; `None`: we cannot, and such a login
    /// fails.
    pub target: Option<Credentials>,
    /// The algorithms we take; the initiator's order decides.
    pub algorithms: Vec<Algorithm>,
}

impl ChapConfig {
    /// One-way CHAP with every algorithm.
    #[must_use]
    pub fn one_way(name: &str, secret: ChapSecret) -> Self {
        Self {
            initiator: Credentials {
                name: name.to_owned(),
                secret,
            },
            target: None,
            algorithms: Algorithm::STRONGEST_FIRST.to_vec(),
        }
    }

    /// The same, with what we prove ourselves with.
    #[must_use]
    pub fn mutual(mut self, name: &str, secret: ChapSecret) -> Self {
        self.target = Some(Credentials {
            name: name.to_owned(),
            secret,
        });
        self
    }

    /// The same, with these algorithms only.
    #[must_use]
    pub fn algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = algorithms.to_vec();
        self
    }
}

/// Which initiators a target lets in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Access {
    /// Every one.
    #[default]
    Everyone,
    /// Those of these names. To others the target does not show itself in SendTargets, and refuses
    /// their logins with `0202`.
    Only(Vec<IscsiName>),
}

impl Access {
    /// Whether this initiator is let in.
    #[must_use]
    pub fn allows(&self, initiator: &IscsiName) -> bool {
        match self {
            Self::Everyone => true,
            Self::Only(names) => names.contains(initiator),
        }
    }
}

/// One target: a name, logical units, rules.
#[derive(Debug, Clone)]
pub struct TargetConfig {
    pub(crate) name: IscsiName,
    pub(crate) alias: Option<String>,
    pub(crate) device: Arc<Device>,
    pub(crate) chap: Option<ChapConfig>,
    pub(crate) access: Access,
    pub(crate) groups: Option<Vec<u16>>,
    pub(crate) policy: KeyPolicy,
    pub(crate) redirect: Option<Redirect>,
    pub(crate) forward: Option<Arc<dyn Forward>>,
}

impl TargetConfig {
    /// A target without logical units, open to everyone through every portal group.
    ///
    /// # Errors
    /// [`NameError`] when `name` is not an iSCSI name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        Ok(Self {
            name: IscsiName::parse(name)?,
            alias: None,
            device: Arc::new(Device::new()),
            chap: None,
            access: Access::default(),
            groups: None,
            policy: KeyPolicy::default(),
            redirect: None,
            forward: None,
        })
    }

    /// The target's name.
    #[must_use]
    pub fn name(&self) -> &IscsiName {
        &self.name
    }

    /// The logical units. They may be added, taken away and changed while the target runs.
    #[must_use]
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Adds a logical unit at this LUN.
    #[must_use]
    pub fn lun(self, number: u32, unit: Arc<LogicalUnit>) -> Self {
        self.device.insert(number, unit);
        self
    }

    /// What to say as `TargetAlias`.
    #[must_use]
    pub fn alias(mut self, alias: &str) -> Self {
        self.alias = Some(alias.to_owned());
        self
    }

    /// Demands CHAP.
    #[must_use]
    pub fn chap(mut self, chap: ChapConfig) -> Self {
        self.chap = Some(chap);
        self
    }

    /// Says who may log in.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Makes the target reachable only through the portal groups of these tags.
    #[must_use]
    pub fn groups(mut self, tags: &[u16]) -> Self {
        self.groups = Some(tags.to_vec());
        self
    }

    /// What to agree to in a login.
    #[must_use]
    pub fn policy(mut self, policy: KeyPolicy) -> Self {
        self.policy = policy.clamped();
        self
    }

    /// Sends every login elsewhere, once the initiator has proved itself
    /// (RFC 7143 §11.13.5). [`Faults::set_redirect`](crate::Faults::set_redirect) does the same
    /// while the target runs, for all targets of a server.
    #[must_use]
    pub fn redirect(mut self, redirect: Redirect) -> Self {
        self.redirect = Some(redirect);
        self
    }

    /// Has all commands carried out elsewhere (see [`crate::forward`]). A nexus of the far target has
    /// one connection and ends with it, so sessions agree to one connection, ErrorRecoveryLevel 0 and
    /// iSCSIProtocolLevel 1 only.
    #[must_use]
    pub fn forward(mut self, forward: Arc<dyn Forward>) -> Self {
        self.forward = Some(forward);
        self
    }

    /// What a login may agree to.
    pub(crate) fn effective_policy(&self) -> KeyPolicy {
        let mut policy = self.policy.clone();
        if self.forward.is_some() {
            policy.max_connections = 1;
            policy.error_recovery_level = 0;
            policy.protocol_level = 1;
        }
        policy
    }

    /// Whether the target is reachable through the portal group of this tag.
    pub(crate) fn is_in_group(&self, tag: u16) -> bool {
        self.groups.as_ref().is_none_or(|tags| tags.contains(&tag))
    }
}
