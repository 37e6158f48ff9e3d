//! How targets become known: portals that are asked, targets added by hand.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hawser_api::v1;
use hawser_api::{Failure, Status};
use hawser_engine::IscsiName;
use hawser_store::{
    self as store, Change, DiscoveredTarget, DiscoverySource, PersistentLogin, PortalGroup, Record,
    SendTargetsPortal, SendTargetsPortalKey, StaticTarget,
};
use tokio::task::JoinSet;

use crate::daemon::Daemon;
use crate::events::{self, News};
use crate::initiators::{self, INSTANCE};
use crate::passing::MAX_KEPT;
use crate::{convert, failures, ipsec, logins, radius, security};

/// `ISCSI_TARGET_FLAGS`: keep a static target out of listings.
const FLAG_HIDDEN: u32 = 0x2;
/// `ISCSI_TARGET_FLAGS`: merge with what is stored.
const FLAG_MERGE: u32 = 0x4;
/// Portals asked at once.
const ASKED_AT_ONCE: usize = 16;
/// Portals of a static target.
const MAX_PORTALS: usize = 256;
/// Longest alias, as `MAX_ISCSI_ALIAS_LEN`.
const MAX_ALIAS_LEN: usize = 255;

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

/// A static target that a request asks for.
#[derive(Debug)]
pub(crate) struct WantedStatic {
    /// The target, its name as given.
    pub(crate) target: StaticTarget,
    /// Keep it over a restart.
    pub(crate) persist: bool,
}

/// Makes a target known by hand, in place of what was known by hand before, or merged with it.
pub(crate) async fn add_static(
    daemon: &Arc<Daemon>,
    wanted: WantedStatic,
) -> Result<Change, Failure> {
    let mut target = wanted.target;
    let name = IscsiName::parse(&target.target_name).map_err(|error| {
        Failure::new(Status::INVALID_ISCSI_NAME, error.to_string()).with_target(&target.target_name)
    })?;
    check_static(&target)?;
    target.target_name = name.as_str().to_owned();
    target.written_name = name.written().map(str::to_owned);
    target.added_at_ms = events::now_ms();
    let _lock = daemon.lock_target(name.as_str()).await;
    let present = static_targets(daemon)
        .into_iter()
        .find(|(known, _)| known.target_name == target.target_name);
    let known_before = present.is_some();
    if let Some((present, _)) = present {
        target.added_at_ms = present.added_at_ms;
        if target.target_flags & FLAG_MERGE != 0 {
            merge(&mut target, present);
            check_static(&target)?;
        }
    }
    let unchanged = keep_static(daemon, target, wanted.persist).await?;
    Ok(match (known_before, unchanged) {
        (false, _) => Change::Created,
        (true, true) => Change::Unchanged,
        (true, false) => Change::Updated,
    })
}

/// Puts a static target where it belongs and takes it away where it was before; gives whether it was there so already.
/// The store may refuse and comes first: the target that was known is then known as before.
async fn keep_static(
    daemon: &Daemon,
    target: StaticTarget,
    persist: bool,
) -> Result<bool, Failure> {
    let _moving = daemon.discovery.moving.lock().await;
    let name = target.target_name.clone();
    if persist {
        let change = daemon.records.put(target).await?;
        let was_passing = daemon.discovery.passing().remove(&name).is_some();
        return Ok(change == Change::Unchanged && !was_passing);
    }
    daemon.discovery.refuse_many(&name)?;
    daemon.records.remove::<StaticTarget>(name.clone()).await?;
    let before = daemon.discovery.passing().insert(name, target.clone());
    Ok(before.as_ref() == Some(&target))
}

/// Refuses a static target with flags that there are not, or with more than is kept of one.
fn check_static(target: &StaticTarget) -> Result<(), Failure> {
    if target.target_flags & !(FLAG_HIDDEN | FLAG_MERGE) != 0 {
        let flags = target.target_flags;
        let message = format!("the flags of a static target are 0x2 and 0x4, not {flags:#x}");
        return Err(
            Failure::new(Status::ERROR_INVALID_PARAMETER, message).with_target(&target.target_name)
        );
    }
    if target.portals.len() <= MAX_PORTALS && target.alias.len() <= MAX_ALIAS_LEN {
        return Ok(());
    }
    let message = format!("at most {MAX_PORTALS} portals, and an alias of {MAX_ALIAS_LEN} bytes");
    Err(Failure::new(Status::ERROR_INVALID_PARAMETER, message).with_target(&target.target_name))
}

/// What was not given stays as it was; portals are united.
fn merge(target: &mut StaticTarget, present: StaticTarget) {
    if target.alias.is_empty() {
        target.alias = present.alias;
    }
    target.mapping = target.mapping.take().or(present.mapping);
    target.login_options = target.login_options.take().or(present.login_options);
    let mut portals = present.portals;
    for portal in std::mem::take(&mut target.portals) {
        if !portals.iter().any(|known| known.key() == portal.key()) {
            portals.push(portal);
        }
    }
    target.portals = portals;
}

/// Forgets a static target.
pub(crate) async fn remove_static(daemon: &Arc<Daemon>, name: &str) -> Result<(), Failure> {
    let name = logins::target_name(name)?;
    let _lock = daemon.lock_target(name.as_str()).await;
    let key = name.as_str().to_owned();
    let stored = daemon.records.remove::<StaticTarget>(key).await?;
    let passing = daemon.discovery.passing().remove(name.as_str()).is_some();
    if !passing && stored == Change::Unchanged {
        let message = format!("{name} is not a static target");
        return Err(Failure::new(Status::TARGET_NOT_FOUND, message).with_target(name.as_str()));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn portal(address: &str) -> store::Portal {
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

    #[test]
    fn merging_keeps_what_is_not_given() {
        let present = StaticTarget {
            written_name: None,
            alias: "old".into(),
            login_options: Some(store::LoginOptions::default()),
            portals: vec![portal("a"), portal("b")],
            ..StaticTarget::default()
        };
        let mut target = StaticTarget {
            written_name: None,
            portals: vec![portal("B"), portal("c")],
            ..StaticTarget::default()
        };
        merge(&mut target, present);
        assert_eq!(target.alias, "old");
        assert!(target.login_options.is_some());
        let addresses: Vec<_> = target
            .portals
            .iter()
            .map(|portal| portal.address.as_str())
            .collect();
        assert_eq!(addresses, ["a", "b", "c"]);
    }

    #[test]
    fn flags_that_there_are_not_are_refused() {
        let flagged = |target_flags| {
            let target = StaticTarget {
                target_flags,
                ..StaticTarget::default()
            };
            check_static(&target).map_err(|failure| failure.status)
        };
        for flags in [0, FLAG_HIDDEN, FLAG_HIDDEN | FLAG_MERGE] {
            assert_eq!(flagged(flags), Ok(()));
        }
        for flags in [1, 8, 0x8000_0002] {
            assert_eq!(flagged(flags), Err(Status::ERROR_INVALID_PARAMETER));
        }
    }

    #[test]
    fn merging_drops_no_portal_without_a_word() {
        let numbered = |from: usize, count: usize| StaticTarget {
            written_name: None,
            portals: (from..from + count)
                .map(|number| portal(&format!("host-{number}")))
                .collect(),
            ..StaticTarget::default()
        };
        let mut target = numbered(200, 57);
        merge(&mut target, numbered(0, 200));
        assert_eq!(target.portals.len(), 257);
        let refused = check_static(&target).map_err(|failure| failure.status);
        assert_eq!(refused, Err(Status::ERROR_INVALID_PARAMETER));
        target.portals.pop();
        assert!(check_static(&target).is_ok());
    }
}
