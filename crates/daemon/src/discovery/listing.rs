//! What is known of portals and targets, as it is shown.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use hawser_api::v1;
use hawser_store::{
    DiscoveredTarget, DiscoverySource, PersistentLogin, PortalGroup, Record, SendTargetsPortal,
    StaticTarget,
};

use super::{FLAG_HIDDEN, asked_key, static_targets};
use crate::convert;
use crate::daemon::Daemon;
use crate::initiators::INSTANCE;

/// The stored portals as the RPC shows them.
pub(crate) fn show_portals(daemon: &Daemon) -> Vec<v1::StoredPortal> {
    let discovered = daemon.records.shared::<DiscoveredTarget>();
    let mut told: HashMap<&DiscoverySource, Vec<String>> = HashMap::new();
    for target in discovered.iter() {
        let names = told.entry(&target.source).or_default();
        names.push(target.target_name.clone());
    }
    let asked = daemon.discovery.asked().clone();
    let stored = daemon.records.all::<SendTargetsPortal>().into_iter();
    stored
        .map(|record| {
            let source = DiscoverySource::SendTargets(record.key());
            let asked = asked
                .get(&asked_key(&record.key()))
                .cloned()
                .unwrap_or_default();
            v1::StoredPortal {
                initiator: Some(convert::initiator_out(&record.initiator)),
                portal: Some(convert::portal_out(&record.portal)),
                login_options: Some(convert::options_out(&record.login_options)),
                security_flags: record.security_flags,
                last_answer_ms: asked.answered_at_ms,
                last_error: asked.error.map(Into::into),
                targets: told.remove(&source).unwrap_or_default(),
            }
        })
        .collect()
}

/// The known targets as the RPC shows them, sorted by name.
pub(crate) fn show_targets(daemon: &Daemon, include_hidden: bool) -> Vec<v1::Target> {
    show_those(daemon, include_hidden, |_| true)
}

/// The names of the known targets.
pub(crate) fn show_names(daemon: &Daemon, include_hidden: bool) -> Vec<v1::Target> {
    let discovered = daemon.records.shared::<DiscoveredTarget>();
    let mut names: BTreeSet<&str> = discovered
        .iter()
        .map(|found| found.target_name.as_str())
        .collect();
    let fixed = static_targets(daemon);
    let shown = |target: &StaticTarget| include_hidden || target.target_flags & FLAG_HIDDEN == 0;
    let shown = fixed.iter().filter(|(target, _)| shown(target));
    names.extend(shown.map(|(target, _)| target.target_name.as_str()));
    let targets = names.into_iter().map(|name| v1::Target {
        target_name: name.to_owned(),
        ..v1::Target::default()
    });
    targets.collect()
}

/// How many targets [`show_targets`] shows without the hidden ones.
pub(crate) fn count_targets(daemon: &Daemon) -> usize {
    let discovered = daemon.records.shared::<DiscoveredTarget>();
    let fixed = static_targets(daemon);
    let fixed = fixed.iter().map(|(target, _)| target);
    let shown = fixed.filter(|target| target.target_flags & FLAG_HIDDEN == 0);
    discovered
        .iter()
        .map(|target| &target.target_name)
        .chain(shown.map(|target| &target.target_name))
        .collect::<HashSet<_>>()
        .len()
}

/// One known target as the RPC shows it, hidden or not.
pub(crate) fn show_target(daemon: &Daemon, name: &str) -> Option<v1::Target> {
    let mut found = show_those(daemon, true, |known| known == name);
    found.pop()
}

/// The known targets that `wanted` takes. What is known of all of them is asked for once: there may be
/// thousands.
fn show_those(
    daemon: &Daemon,
    include_hidden: bool,
    wanted: impl Fn(&str) -> bool,
) -> Vec<v1::Target> {
    let mut targets: BTreeMap<String, v1::Target> = BTreeMap::new();
    let discovered = daemon.records.shared::<DiscoveredTarget>();
    for found in discovered.iter().filter(|found| wanted(&found.target_name)) {
        let target = targets.entry(found.target_name.clone()).or_default();
        target.instances.push(show_discovered(found.clone()));
    }
    for (fixed, persisted) in static_targets(daemon) {
        let hidden = fixed.target_flags & FLAG_HIDDEN != 0 && !include_hidden;
        let name = &fixed.target_name;
        if !wanted(name) || hidden && !targets.contains_key(name) {
            continue;
        }
        let target = targets.entry(name.clone()).or_default();
        fixed.alias.clone_into(&mut target.alias);
        target.instances.push(show_static(fixed, persisted));
    }
    for login in daemon.records.shared::<PersistentLogin>().iter() {
        if let Some(target) = targets.get_mut(&login.target_name) {
            target.persistent |= !login.informational;
        }
    }
    for entry in daemon.sessions.all() {
        let Some(target) = targets.get_mut(&entry.origin.target) else {
            continue;
        };
        target.sessions.push(entry.id);
        if target.alias.is_empty() {
            let told = entry.view().and_then(|view| view.target_alias.clone());
            target.alias = told.unwrap_or_default();
        }
    }
    let named = targets.into_iter().map(|(target_name, target)| v1::Target {
        target_name,
        ..target
    });
    named.collect()
}

fn show_discovered(found: DiscoveredTarget) -> v1::TargetInstance {
    let (mechanism, mechanism_text, source) = match &found.source {
        DiscoverySource::SendTargets(key) => {
            let (address, port) = (&key.portal.address, key.portal.port);
            let portal = v1::Portal {
                address: address.clone(),
                port: port.into(),
                symbolic_name: address.clone(),
            };
            let source = key.initiator.source.as_deref();
            let from = source.map_or(String::new(), |source| format!(" {source}"));
            let text = format!("SendTargets:*{address} {port:07} {INSTANCE}{from}");
            (v1::DiscoveryMechanism::SendTargets, text, Some(portal))
        }
        DiscoverySource::Isns(server) => {
            let source = server.parse().ok();
            (
                v1::DiscoveryMechanism::Isns,
                format!("iSNS:{server}"),
                source,
            )
        }
    };
    v1::TargetInstance {
        mechanism: mechanism.into(),
        mechanism_text,
        source,
        portal_groups: found.portal_groups.iter().map(show_group).collect(),
        alias: found.alias,
        initiator_instance: INSTANCE.to_owned(),
        ..v1::TargetInstance::default()
    }
}

fn show_static(fixed: StaticTarget, persisted: bool) -> v1::TargetInstance {
    let group = PortalGroup {
        tag: None,
        portals: fixed.portals,
    };
    let groups = if group.portals.is_empty() {
        Vec::new()
    } else {
        vec![show_group(&group)]
    };
    v1::TargetInstance {
        mechanism: v1::DiscoveryMechanism::Static.into(),
        mechanism_text: "Static:".to_owned(),
        source: None,
        portal_groups: groups,
        alias: fixed.alias,
        target_flags: fixed.target_flags,
        login_options: fixed.login_options.as_ref().map(convert::options_out),
        mapping: fixed.mapping.as_ref().map(convert::mapping_out),
        initiator_instance: INSTANCE.to_owned(),
        persisted,
    }
}

fn show_group(group: &PortalGroup) -> v1::PortalGroup {
    v1::PortalGroup {
        tag: group.tag.map(u32::from),
        portals: group.portals.iter().map(convert::portal_out).collect(),
    }
}
