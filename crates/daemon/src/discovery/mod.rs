//! How targets become known: portals that are asked, targets added by hand.

mod listing;
mod static_targets;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hawser_api::v1;
use hawser_api::{Failure, Status};
use hawser_engine::IscsiName;
use hawser_store::{
    self as store, Change, DiscoveredTarget, DiscoverySource, PortalGroup, Record,
    SendTargetsPortal, SendTargetsPortalKey, StaticTarget,
};
pub(crate) use listing::{count_targets, show_names, show_portals, show_target, show_targets};
pub(crate) use static_targets::{WantedStatic, add_static, remove_static};
use tokio::task::JoinSet;

use crate::daemon::Daemon;
use crate::events::{self, News};
use crate::initiators;
use crate::passing::MAX_KEPT;
use crate::{convert, failures, ipsec, logins, radius, security};

/// `ISCSI_TARGET_FLAGS`: keep a static target out of listings.
const FLAG_HIDDEN: u32 = 0x2;
/// Portals asked at once.
const ASKED_AT_ONCE: usize = 16;

/// What is known of portals and targets besides the store.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    passing: Mutex<BTreeMap<String, StaticTarget>>,
    /// Held while a static target goes from there to the store or back, so that the number of them is not exceeded.
    moving: tokio::sync::Mutex<()>,
    asked: Mutex<HashMap<String, Asked>>,
}

/// How a portal answered last.
#[derive(Debug, Clone, Default)]
struct Asked {
    answered_at_ms: Option<i64>,
    error: Option<Failure>,
}

impl Discovery {
    /// Static targets that end with the daemon.
    fn passing(&self) -> MutexGuard<'_, BTreeMap<String, StaticTarget>> {
        self.passing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses one more of them than there is memory for; one that is there already may be changed.
    fn refuse_many(&self, name: &str) -> Result<(), Failure> {
        let passing = self.passing();
        if passing.len() < MAX_KEPT || passing.contains_key(name) {
            return Ok(());
        }
        let message = format!("{MAX_KEPT} static targets are kept in memory, the limit");
        Err(Failure::new(Status::ERROR_NOT_ENOUGH_MEMORY, message)
            .with_target(name)
            .with_advice("store them (persist), or remove some"))
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<String, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a login needs to know of a target.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownTarget {
    /// Its name as it is written where it is known: what is sent to it.
    pub(crate) name: Option<IscsiName>,
    /// Stored options of logins to it.
    pub(crate) defaults: Option<store::LoginOptions>,
    /// Stored numbers for its LUNs.
    pub(crate) mapping: Option<store::TargetMapping>,
    /// Where it is reached, with the tags of the portal groups.
    pub(crate) portals: Vec<(hawser_engine::Portal, Option<u16>)>,
}

impl KnownTarget {
    /// Adds a portal behind the others, once.
    pub(crate) fn add(&mut self, portal: &store::Portal, tag: Option<u16>) {
        if let Ok(portal) = convert::engine_portal(portal)
            && !self.portals.iter().any(|(present, _)| *present == portal)
        {
            self.portals.push((portal, tag));
        }
    }

    /// The tag of the group that a portal is in.
    pub(crate) fn tag_of(&self, portal: &hawser_engine::Portal) -> Option<u16> {
        self.portals
            .iter()
            .find(|(known, _)| known == portal)
            .and_then(|(_, tag)| *tag)
    }
}

/// All static targets, those that end with the daemon too, and whether each is stored.
pub(crate) fn static_targets(daemon: &Daemon) -> Vec<(StaticTarget, bool)> {
    let passing = daemon.discovery.passing().clone();
    let stored = daemon.records.all::<StaticTarget>().into_iter();
    let mut all: Vec<_> = stored
        .filter(|target| !passing.contains_key(&target.target_name))
        .map(|target| (target, true))
        .collect();
    all.extend(passing.into_values().map(|target| (target, false)));
    all
}

/// The static target of this name.
fn static_target(daemon: &Daemon, name: &str) -> Option<StaticTarget> {
    let passing = daemon.discovery.passing().get(name).cloned();
    passing.or_else(|| {
        let stored = daemon.records.shared::<StaticTarget>();
        let mut stored = stored.iter();
        stored.find(|target| target.target_name == name).cloned()
    })
}

/// What is known of a target, for a login.
pub(crate) fn known_target(daemon: &Daemon, name: &str) -> Result<KnownTarget, Failure> {
    let discovered = daemon.records.shared::<DiscoveredTarget>();
    let dynamic = discovered.iter().any(|target| target.target_name == name);
    let fixed = static_target(daemon, name);
    let hidden = fixed
        .as_ref()
        .is_some_and(|target| target.target_flags & FLAG_HIDDEN != 0);
    if !dynamic && (fixed.is_none() || hidden) {
        return Err(not_found(name));
    }
    Ok(known_or_nothing(daemon, name))
}

/// A stored name as it was written.
pub(crate) fn written(normalised: &str, written: Option<&str>) -> Option<IscsiName> {
    IscsiName::parse(written.unwrap_or(normalised)).ok()
}

/// What is known of a target, which may be nothing.
pub(crate) fn known_or_nothing(daemon: &Daemon, name: &str) -> KnownTarget {
    let mut known = KnownTarget::default();
    let defaults = static_target(daemon, name).map(|target| {
        known.name = written(&target.target_name, target.written_name.as_deref());
        for portal in &target.portals {
            known.add(portal, None);
        }
        known.mapping = target.mapping;
        target.login_options
    });
    let discovered = daemon.records.shared::<DiscoveredTarget>();
    for target in discovered
        .iter()
        .filter(|target| target.target_name == name)
    {
        // What the target says of itself goes before what was typed.
        known.name = written(&target.target_name, target.written_name.as_deref());
        for group in &target.portal_groups {
            for portal in &group.portals {
                known.add(portal, group.tag);
            }
        }
    }
    known.defaults = defaults.flatten();
    known
}

fn not_found(name: &str) -> Failure {
    Failure::new(
        Status::TARGET_NOT_FOUND,
        format!("no target {name} is known"),
    )
    .with_target(name)
    .with_advice("add its portal with `hawser portal add`, or the target with `hawser target add`")
}

/// Stores a portal and asks it. It stays stored when it does not answer.
pub(crate) async fn add_portal(
    daemon: &Arc<Daemon>,
    mut record: SendTargetsPortal,
) -> Result<(Change, Vec<String>), Failure> {
    ipsec::check_flags(record.security_flags)?;
    record.initiator = initiators::resolve(record.initiator)?;
    record.added_at_ms = events::now_ms();
    if let Some(present) = daemon.records.get::<SendTargetsPortal>(&record.key())? {
        record.added_at_ms = present.added_at_ms;
    }
    let change = daemon.records.put(record.clone()).await?;
    let targets = ask(daemon, &record).await?;
    Ok((change, targets))
}

/// Forgets portals and what they told; gives the names that nothing else made known.
pub(crate) async fn remove_portal(
    daemon: &Arc<Daemon>,
    initiator: &store::InitiatorPort,
    portal: &store::Portal,
) -> Result<Vec<String>, Failure> {
    let keys = portal_keys(daemon, initiator, portal)?;
    let before = known_names(daemon);
    let asked: Vec<_> = keys.iter().map(asked_key).collect();
    daemon.records.remove_all::<SendTargetsPortal>(keys).await?;
    for key in asked {
        daemon.discovery.asked().remove(&key);
    }
    let after = known_names(daemon);
    let message = format!("the portal {}:{} is forgotten", portal.address, portal.port);
    daemon.events.tell(News::info("portal-removed", message));
    Ok(before.difference(&after).cloned().collect())
}

fn known_names(daemon: &Daemon) -> BTreeSet<String> {
    let discovered = daemon.records.all::<DiscoveredTarget>().into_iter();
    let fixed = static_targets(daemon)
        .into_iter()
        .map(|(target, _)| target.target_name);
    discovered
        .map(|target| target.target_name)
        .chain(fixed)
        .collect()
}

/// The stored portals that a request means: the exact one, else, with neither instance nor port, every
/// one of that address.
fn portal_keys(
    daemon: &Daemon,
    initiator: &store::InitiatorPort,
    portal: &store::Portal,
) -> Result<Vec<SendTargetsPortalKey>, Failure> {
    initiators::check_instance(initiator)?;
    let any = initiators::is_any(initiator);
    let wanted = SendTargetsPortalKey {
        portal: portal.key(),
        initiator: initiators::named(initiator).for_comparison(),
    };
    // Added without naming an initiator, it is with the one there is, which callers may name.
    let unnamed = SendTargetsPortalKey {
        initiator: store::InitiatorPort {
            instance: String::new(),
            ..wanted.initiator.clone()
        },
        portal: wanted.portal.clone(),
    };
    let stored = daemon.records.all::<SendTargetsPortal>();
    let mut keys: Vec<_> = stored.iter().map(Record::key).collect();
    for exact in [&wanted, &unnamed] {
        if keys.contains(exact) {
            return Ok(vec![exact.clone()]);
        }
    }
    keys.retain(|key| any && key.portal == wanted.portal);
    if keys.is_empty() {
        let shown = convert::portal_out(portal);
        return Err(Failure::new(
            Status::PORTAL_NOT_FOUND,
            format!("no portal {shown} is stored"),
        )
        .with_portal(shown)
        .with_advice("`hawser portal list` shows those that are"));
    }
    Ok(keys)
}

/// Asks one portal again, or all; with all of them the sessions look at their LUNs again too. The
/// failure of one that was named is the failure of the call.
pub(crate) async fn refresh(
    daemon: &Arc<Daemon>,
    initiator: &store::InitiatorPort,
    portal: Option<&store::Portal>,
) -> Result<Vec<v1::PortalRefresh>, Failure> {
    let stored = daemon.records.all::<SendTargetsPortal>();
    let Some(portal) = portal else {
        daemon
            .sessions
            .all()
            .iter()
            .for_each(|entry| entry.scan.notify_one());
        return Ok(ask_all(daemon, stored).await);
    };
    let keys = portal_keys(daemon, initiator, portal)?;
    let mut asked = Vec::new();
    for record in stored
        .into_iter()
        .filter(|record| keys.contains(&record.key()))
    {
        let targets = ask(daemon, &record).await?;
        asked.push(refreshed(&record, Ok(targets)));
    }
    Ok(asked)
}

/// Asks all portals, some at once; each by itself.
pub(crate) async fn ask_all(
    daemon: &Arc<Daemon>,
    records: Vec<SendTargetsPortal>,
) -> Vec<v1::PortalRefresh> {
    let mut asking = JoinSet::new();
    let mut asked = Vec::new();
    for (index, record) in records.into_iter().enumerate() {
        while asking.len() >= ASKED_AT_ONCE {
            asked.extend(asking.join_next().await.and_then(Result::ok));
        }
        let daemon = Arc::clone(daemon);
        asking.spawn(async move {
            let answer = ask(&daemon, &record).await;
            (index, refreshed(&record, answer))
        });
    }
    asked.extend(asking.join_all().await);
    asked.sort_by_key(|(index, _)| *index);
    asked.into_iter().map(|(_, refresh)| refresh).collect()
}

fn refreshed(
    record: &SendTargetsPortal,
    answer: Result<Vec<String>, Failure>,
) -> v1::PortalRefresh {
    let portal = Some(convert::portal_out(&record.portal));
    match answer {
        Ok(targets) => v1::PortalRefresh {
            portal,
            targets,
            error: None,
        },
        Err(failure) => v1::PortalRefresh {
            portal,
            targets: Vec::new(),
            error: Some(failure.into()),
        },
    }
}

/// Asks a stored portal; its answer replaces the earlier one, a failure leaves that as it was.
async fn ask(daemon: &Arc<Daemon>, record: &SendTargetsPortal) -> Result<Vec<String>, Failure> {
    let shown = convert::portal_out(&record.portal);
    let answer = send_targets(daemon, record).await;
    if matches!(&answer, Err(failure) if failure.status == Status::PORTAL_NOT_FOUND) {
        // Forgotten meanwhile: nothing more is to be known of it.
        return answer;
    }
    let (mut asked, told) = {
        let known = daemon.discovery.asked();
        let asked = known
            .get(&asked_key(&record.key()))
            .cloned()
            .unwrap_or_default();
        let told = asked.error.clone();
        (asked, told)
    };
    match &answer {
        Ok(names) => {
            asked = Asked {
                answered_at_ms: Some(events::now_ms()),
                error: None,
            };
            let message = format!("the portal {shown} told of {} targets", names.len());
            daemon.events.tell(News::info("portal-answered", message));
        }
        Err(failure) => {
            asked.error = Some(failure.clone());
            if told.as_ref() != Some(failure) {
                daemon
                    .events
                    .tell(News::warning("portal-failed", failure.clone()));
            }
        }
    }
    daemon
        .discovery
        .asked()
        .insert(asked_key(&record.key()), asked);
    answer
}

fn asked_key(key: &SendTargetsPortalKey) -> String {
    format!("{key:?}")
}

async fn send_targets(
    daemon: &Arc<Daemon>,
    record: &SendTargetsPortal,
) -> Result<Vec<String>, Failure> {
    ipsec::refuse(record.security_flags, record.login_options.login_flags)?;
    radius::refuse(record.login_options.login_flags)?;
    let portal = convert::engine_portal(&record.portal)?;
    let name = security::login_name(&daemon.records).await?;
    let mut options = logins::login_options(daemon, name, &record.login_options)?;
    options.source = initiators::source(&record.initiator)?;
    let limit = logins::timeouts(&record.login_options).login;
    let told = hawser_engine::discovery::send_targets(&options, &portal, limit).await;
    let told = told.map_err(|failure| failures::of_login(&failure))?;
    let source = DiscoverySource::SendTargets(record.key());
    let targets: Vec<_> =
        told.iter()
            .map(|target| DiscoveredTarget {
                source: source.clone(),
                target_name: target.name.as_str().to_owned(),
                written_name: target.name.written().map(str::to_owned),
                alias: String::new(),
                portal_groups: groups(
                    target.addresses.iter().map(|address| {
                        (address.tag, convert::engine_portal_stored(&address.portal))
                    }),
                ),
            })
            .collect();
    let names = targets
        .iter()
        .map(|target| target.target_name.clone())
        .collect();
    keep(daemon, record.key(), source, targets).await?;
    Ok(names)
}

/// Keeps the answer of a portal. The store takes none of a portal that is gone, which is no fault of its own then.
async fn keep(
    daemon: &Daemon,
    key: SendTargetsPortalKey,
    source: DiscoverySource,
    targets: Vec<DiscoveredTarget>,
) -> Result<(), Failure> {
    let kept = daemon.records.replace_discovered(source, targets).await;
    if kept.is_err() && daemon.records.get::<SendTargetsPortal>(&key)?.is_none() {
        let message = "the portal was forgotten while it was asked";
        return Err(Failure::new(Status::PORTAL_NOT_FOUND, message));
    }
    kept.map(drop)
}

/// Sorts portals into their groups, in the order in which they were told.
fn groups(portals: impl Iterator<Item = (Option<u16>, store::Portal)>) -> Vec<PortalGroup> {
    let mut groups: Vec<PortalGroup> = Vec::new();
    for (tag, portal) in portals {
        match groups.iter_mut().find(|group| group.tag == tag) {
            Some(group) => group.portals.push(portal),
            None => groups.push(PortalGroup {
                tag,
                portals: vec![portal],
            }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn portal(address: &str) -> store::Portal {
        store::Portal {
            address: address.into(),
            port: 3260,
            symbolic_name: String::new(),
        }
    }

    #[test]
    fn portals_are_sorted_into_groups_in_their_order() {
        let told = [
            (Some(2), portal("b")),
            (Some(1), portal("a")),
            (Some(2), portal("c")),
        ];
        let groups = groups(told.into_iter());
        let tags: Vec<_> = groups
            .iter()
            .map(|group| (group.tag, group.portals.len()))
            .collect();
        assert_eq!(tags, [(Some(2), 2), (Some(1), 1)]);
    }
}
