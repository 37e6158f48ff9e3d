//! What a server offers, as its logins and discovery sessions see it.

use std::sync::Arc;

use hawser_proto::names::IscsiName;

use crate::config::{ChapConfig, PortalConfig, TargetConfig};

/// All targets and portals of a server. It does not change while the server runs.
#[derive(Debug)]
pub(crate) struct Realm {
    pub(crate) targets: Vec<Arc<TargetConfig>>,
    /// Where the server listens, with the ports it got.
    pub(crate) portals: Vec<PortalConfig>,
    /// What discovery sessions must prove.
    pub(crate) discovery_chap: Option<ChapConfig>,
}

impl Realm {
    /// The target of this name.
    pub(crate) fn target(&self, name: &IscsiName) -> Option<&Arc<TargetConfig>> {
        self.targets.iter().find(|target| target.name == *name)
    }
}
