//! Logins: made on request, stored to be made again, ended.

mod isids;
mod options;

use std::collections::BTreeSet;
use std::sync::Arc;

use hawser_api::v1;
use hawser_api::{Failure, Status};
use hawser_engine::{IscsiName, NameError, Session, SessionEvents, SessionState};
use hawser_store::{self as store, Change, PersistentLogin, PersistentLoginKey, Record};
pub(crate) use isids::keep_isid;
use options::prepare;
pub(crate) use options::{login_options, timeouts};

use crate::daemon::Daemon;
use crate::devices::{self, usage};
use crate::discovery::{self, KnownTarget};
use crate::events::News;
use crate::sessions::{self, Entry};
use crate::{convert, failures, initiators, ipsec, shared_secrets, volumes, whereabouts};

/// `ISCSI_LOGIN_FLAGS`: a target that is logged in may be logged in to again.
const FLAG_MULTIPATH: u32 = 0x02;

/// A login that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The target's name.
    pub(crate) target: IscsiName,
    /// Its LUNs are not to be shown.
    pub(crate) informational: bool,
    /// Initiator and source address.
    pub(crate) initiator: store::InitiatorPort,
    /// Exactly this portal.
    pub(crate) portal: Option<store::Portal>,
    /// Without such a portal: the one to try first.
    pub(crate) moved_to: Option<store::Portal>,
    /// As given.
    pub(crate) security_flags: u64,
    /// Numbers for its LUNs.
    pub(crate) mapping: Option<store::TargetMapping>,
    /// Options; `None`: the target's defaults.
    pub(crate) options: Option<store::LoginOptions>,
    /// As given.
    pub(crate) preshared_key: Option<store::Secret>,
}

impl Wanted {
    /// The record from which the login is made again.
    fn record(&self, added_at_ms: i64) -> PersistentLogin {
        PersistentLogin {
            target_name: self.target.as_str().to_owned(),
            written_name: self.target.written().map(str::to_owned),
            informational: self.informational,
            initiator: self.initiator.clone(),
            portal: self.portal.clone(),
            moved_to: self.moved_to.clone(),
            last_portals: Vec::new(),
            security_flags: self.security_flags,
            mapping: self.mapping.clone(),
            login_options: self.options.clone(),
            preshared_key: self.preshared_key.clone(),
            added_at_ms,
        }
    }

    /// The login that a record asks for.
    fn of_record(record: &PersistentLogin) -> Result<Self, Failure> {
        Ok(Self {
            target: target_name(record.written_name.as_ref().unwrap_or(&record.target_name))?,
            informational: record.informational,
            initiator: record.initiator.clone(),
            portal: record.portal.clone(),
            moved_to: record.moved_to.clone(),
            security_flags: record.security_flags,
            mapping: record.mapping.clone(),
            options: record.login_options.clone(),
            preshared_key: record.preshared_key.clone(),
        })
    }
}

/// A target's name from a request. What no name can hold is told as such; one that merely has the wrong form is not
/// known.
pub(crate) fn target_name(name: &str) -> Result<IscsiName, Failure> {
    IscsiName::parse(name).map_err(|error| {
        let status = match error {
            NameError::TooLong { .. } | NameError::ForbiddenCharacter { .. } => {
                Status::INVALID_ISCSI_NAME
            }
            _ => Status::TARGET_NOT_FOUND,
        };
        Failure::new(status, error.to_string()).with_target(name)
    })
}

/// What came of a login.
#[derive(Debug)]
pub(crate) struct Done {
    /// The session; `None` if only a record was stored.
    pub(crate) entry: Option<Arc<Entry>>,
    /// It was there before.
    pub(crate) already: bool,
    /// What became of the record.
    pub(crate) stored: Option<Change>,
    /// A secret of it is used for other targets too.
    pub(crate) shared_secret: Option<Failure>,
}

/// Carries a login out as `mode` says.
pub(crate) async fn login(
    daemon: &Arc<Daemon>,
    mut wanted: Wanted,
    mode: v1::LoginMode,
) -> Result<Done, Failure> {
    daemon.refuse_if_stopping()?;
    let _lock = daemon.lock_target(wanted.target.as_str()).await;
    let known = discovery::known_target(daemon, wanted.target.as_str())?;
    ipsec::check_flags(wanted.security_flags)?;
    wanted.initiator = initiators::resolve(wanted.initiator)?;
    let options = effective_options(&wanted, &known);
    if mode == v1::LoginMode::Store {
        let stored = store_login(daemon, &wanted, None).await?;
        return Ok(Done {
            entry: None,
            already: false,
            stored: Some(stored),
            shared_secret: shared_secrets::warn(daemon, wanted.target.as_str(), &options),
        });
    }
    let persist = mode == v1::LoginMode::NowAndStore;
    if let Some(present) = present_session(daemon, &wanted, &options, persist)? {
        // What is not said again stays as it was when the session was made: above all its secret.
        let asked = wanted.options.or_else(|| present.origin.asked.clone());
        let wanted = Wanted {
            options: asked,
            ..wanted
        };
        let options = effective_options(&wanted, &known);
        let stored = store_login(daemon, &wanted, Some(&present)).await?;
        return Ok(Done {
            shared_secret: shared_secrets::warn(daemon, wanted.target.as_str(), &options),
            entry: Some(present),
            already: true,
            stored: Some(stored),
        });
    }
    let entry = log_in_now(daemon, &wanted, &options, &known).await?;
    let mut stored = None;
    if persist {
        stored = Some(store_login(daemon, &wanted, Some(&entry)).await?);
    }
    let shared_secret = shared_secrets::warn(daemon, wanted.target.as_str(), &options);
    if let Some(warning) = &shared_secret {
        entry.note(warning.message.clone());
    }
    Ok(Done {
        entry: Some(entry),
        already: false,
        stored,
        shared_secret,
    })
}

/// The session that already is the login that is asked for. Without the multi-path flag any session
/// with the target is in the way; when the login shall also be stored it counts as the login.
fn present_session(
    daemon: &Daemon,
    wanted: &Wanted,
    options: &store::LoginOptions,
    persist: bool,
) -> Result<Option<Arc<Entry>>, Failure> {
    let present = daemon.sessions.of_target(wanted.target.as_str());
    let multipath = options.login_flags & FLAG_MULTIPATH != 0;
    let same = present.iter().find(|entry| {
        let goes_there = match (&wanted.portal, entry.view()) {
            (Some(portal), Some(view)) => {
                convert::engine_portal(portal).is_ok_and(|portal| portal == view.portal)
            }
            _ => !multipath,
        };
        let source = &wanted.initiator.source;
        let comes_from_there = source.is_none() || *source == entry.origin.initiator.source;
        entry.origin.informational == wanted.informational && goes_there && comes_from_there
    });
    match (same, present.first()) {
        (Some(entry), _) if persist => Ok(Some(Arc::clone(entry))),
        (_, Some(entry)) if !multipath => {
            let target = wanted.target.as_str();
            let message = format!("{target} is logged in already, as session {}", entry.id);
            Err(Failure::new(Status::TARGET_ALREADY_LOGGED_IN, message)
                .with_target(target)
                .with_advice("login flag 0x2 (multi-path) allows further sessions"))
        }
        _ => Ok(None),
    }
}

/// Options of the request over the target's defaults.
fn effective_options(wanted: &Wanted, known: &KnownTarget) -> store::LoginOptions {
    let defaults = known.defaults.clone().unwrap_or_default();
    match &wanted.options {
        Some(options) => convert::options_over(options, &defaults),
        None => defaults,
    }
}

/// Stores the record of a login.
async fn store_login(
    daemon: &Daemon,
    wanted: &Wanted,
    entry: Option<&Arc<Entry>>,
) -> Result<Change, Failure> {
    let mut record = wanted.record(crate::events::now_ms());
    if let Some(moved) = entry.and_then(|entry| entry.moved()) {
        moved.apply(&mut record);
    }
    let key = record.key();
    if let Some(present) = daemon.records.get::<PersistentLogin>(&key)? {
        record.added_at_ms = present.added_at_ms;
        record.moved_to = record.moved_to.or(present.moved_to);
        record.last_portals = present.last_portals;
    }
    whereabouts::note(daemon, &mut record);
    let change = daemon.records.put(record).await.map_err(|failure| {
        let status = Status::COULD_NOT_SAVE_PERSISTENT_LOGIN_DATA;
        not_changed("the persistent login was not saved", status, &failure)
    })?;
    if let Some(entry) = entry {
        entry.set_login(Some(key));
    }
    if change != Change::Unchanged {
        let message = format!("the login to {} is persistent", wanted.target);
        daemon
            .events
            .tell(News::info("login-stored", message).target(wanted.target.as_str()));
    }
    daemon.volumes.look_again();
    Ok(change)
}

/// A record of a login that could not be changed: `status` says so, unless there is no room, which callers can mend.
fn not_changed(what: &str, status: Status, failure: &Failure) -> Failure {
    let status = match failure.status {
        Status::ERROR_DISK_FULL => Status::ERROR_DISK_FULL,
        _ => status,
    };
    Failure::new(status, format!("{what}: {}", failure.message)).with_advice(failure.advice.clone())
}

/// Logs in and waits for the outcome; the session stays only if it worked.
async fn log_in_now(
    daemon: &Arc<Daemon>,
    wanted: &Wanted,
    options: &store::LoginOptions,
    known: &KnownTarget,
) -> Result<Arc<Entry>, Failure> {
    let prepared = prepare(daemon, wanted, options, known).await?;
    if !wanted.informational {
        let numbers = &daemon.sessions.numbers;
        numbers.check(prepared.origin.mapping.as_ref())?;
    }
    let attempts = prepared.options.portals.len();
    let session = daemon.threads.open(prepared.options);
    let news = session.events();
    if let Err(failure) = outcome(&session, attempts).await {
        session.logout().await;
        return Err(failure);
    }
    let entry = daemon.sessions.add(prepared.origin, session, None);
    start(daemon, &entry, news);
    Ok(entry)
}

/// Follows a session that was just taken in.
fn start(daemon: &Arc<Daemon>, entry: &Arc<Entry>, news: SessionEvents) {
    let bound = daemon.volumes.bound_targets(&daemon.records);
    entry.apply_hold(bound.contains(&entry.origin.target), daemon.config.hold);
    sessions::supervise(daemon, entry, news);
}

/// Waits until the session is up or each portal has failed once; gives the last failure.
async fn outcome(session: &Session, attempts: usize) -> Result<(), Failure> {
    let closed = || Failure::new(Status::LOGIN_FAILED, "the session was closed");
    let mut states = session.watch();
    let mut failed = 0;
    loop {
        match &*states.borrow_and_update() {
            SessionState::Up(_) => return Ok(()),
            SessionState::Connecting {
                last_failure: Some(failure),
            } => {
                failed += 1;
                if failed >= attempts.max(1) {
                    return Err(failures::of_login(failure));
                }
            }
            SessionState::Closed => return Err(closed()),
            _ => {}
        }
        states.changed().await.map_err(|_| closed())?;
    }
}

/// Makes a stored login again. The session stays, tries for ever and tells of its failures itself; we
/// come back when it is up or each portal has failed once.
///
/// # Errors
/// There is no session: it could not even be tried.
pub(crate) async fn restore(daemon: &Arc<Daemon>, record: &PersistentLogin) -> Result<(), Failure> {
    if let Some((session, attempts)) = reopen(daemon, record).await? {
        // Not under the lock: another way to the same target must not wait for this one.
        let _ = outcome(&session, attempts).await;
    }
    Ok(())
}

/// Opens the session of a stored login, unless there is one; gives it and the number of its portals.
async fn reopen(
    daemon: &Arc<Daemon>,
    record: &PersistentLogin,
) -> Result<Option<(Session, usize)>, Failure> {
    let _lock = daemon.lock_target(&record.target_name).await;
    daemon.refuse_if_stopping()?;
    let key = record.key();
    let present = daemon.sessions.of_target(&record.target_name);
    if present
        .iter()
        .any(|entry| entry.login().as_ref() == Some(&key))
    {
        return Ok(None);
    }
    let wanted = Wanted::of_record(record)?;
    let known = whereabouts::known(daemon, record);
    let options = effective_options(&wanted, &known);
    let prepared = prepare(daemon, &wanted, &options, &known).await?;
    let attempts = prepared.options.portals.len();
    let session = daemon.threads.open(prepared.options);
    let news = session.events();
    let entry = daemon
        .sessions
        .add(prepared.origin, session.clone(), Some(key));
    start(daemon, &entry, news);
    Ok(Some((session, attempts)))
}

/// Ends sessions of one target. All are checked before the first is ended.
pub(crate) async fn logout(
    daemon: &Arc<Daemon>,
    target: &str,
    entries: Vec<Arc<Entry>>,
    force: bool,
) -> Result<Vec<v1::SessionId>, Failure> {
    let _lock = daemon.lock_target(target).await;
    for entry in &entries {
        if force {
            detach_users(daemon, entry).await;
        } else {
            refuse_if_in_use(daemon, entry).await?;
        }
    }
    let mut ended = Vec::new();
    for entry in entries {
        sessions::end(daemon, &entry).await;
        ended.push(entry.id);
    }
    Ok(ended)
}

/// Refuses when somebody uses a disk of the session, and says who.
async fn refuse_if_in_use(daemon: &Arc<Daemon>, entry: &Entry) -> Result<(), Failure> {
    let disks = daemon.disks.of_session(entry.id);
    let used = usage::look(&daemon.host, disks).await;
    let Some((lun, holders)) = used.into_iter().next() else {
        return Ok(());
    };
    let target = &entry.origin.target;
    let message = format!("LUN {lun} of {target} is in use: {}", holders.join("; "));
    Err(Failure::new(Status::DEVICE_BUSY_ON_SESSION, message)
        .with_target(target)
        .with_advice(
            "unmount it and end its users first, or use --force, which makes their I/O fail",
        ))
}

/// Takes the mounts off the disks of a session, lazily where they are in use.
async fn detach_users(daemon: &Arc<Daemon>, entry: &Entry) {
    for disk in daemon.disks.of_session(entry.id) {
        let mounts = match usage::mounts_on(&daemon.host, &disk.facts()) {
            Ok(mounts) => mounts,
            Err(failure) => {
                tracing::warn!(%failure, "cannot see what is mounted");
                continue;
            }
        };
        for mount in mounts {
            volumes::unmount_for_good(daemon, &mount.mount_point).await;
        }
    }
}

/// Removes the stored logins that match; gives how many, and the bound paths that nothing brings back
/// now.
pub(crate) async fn remove_stored(
    daemon: &Arc<Daemon>,
    target: &str,
    initiator: &store::InitiatorPort,
    portal: Option<&store::Portal>,
) -> Result<(u32, Vec<String>), Failure> {
    let _lock = daemon.lock_target(target).await;
    initiators::check_instance(initiator)?;
    let wanted = initiators::named(initiator).for_comparison();
    // A login that names no initiator is held by the one there is, which callers may name.
    let matches = |key: &PersistentLoginKey| {
        key.target_name == target
            && (wanted.port_number.is_none() || key.initiator.port_number == wanted.port_number)
            && (wanted.source.is_none() || key.initiator.source == wanted.source)
            && portal.is_none_or(|portal| key.portal.as_ref() == Some(&portal.key()))
    };
    let all = daemon.records.all::<PersistentLogin>();
    let keys: Vec<_> = all.iter().map(Record::key).filter(matches).collect();
    if keys.is_empty() {
        let message = format!("there is no such persistent login to {target}");
        return Err(Failure::new(Status::TARGET_NOT_FOUND, message)
            .with_target(target)
            .with_advice("`hawser persistent list` shows those that are"));
    }
    let removed = u32::try_from(keys.len()).unwrap_or(u32::MAX);
    let gone = daemon.records.remove_all::<PersistentLogin>(keys.clone());
    gone.await.map_err(|failure| {
        let status = Status::COULD_NOT_REMOVE_PERSISTENT_LOGIN_DATA;
        not_changed("no persistent login was removed", status, &failure)
    })?;
    for entry in daemon.sessions.of_target(target) {
        if entry.login().is_some_and(|key| keys.contains(&key)) {
            entry.set_login(None);
        }
    }
    daemon.volumes.look_again();
    let orphaned = if is_persistent(daemon, target) {
        Vec::new()
    } else {
        volumes::bound_on(&daemon.records, target)
    };
    Ok((removed, orphaned))
}

/// Whether a target is logged in to again at every start.
pub(crate) fn is_persistent(daemon: &Daemon, target: &str) -> bool {
    let stored = daemon.records.all::<PersistentLogin>();
    stored
        .iter()
        .any(|login| login.target_name == target && !login.informational)
}

/// The disks that can be bound.
pub(crate) fn own_disks(daemon: &Daemon) -> Vec<volumes::OwnDisk> {
    let stored = daemon.records.all::<PersistentLogin>();
    let targets: BTreeSet<&str> = stored
        .iter()
        .filter(|login| !login.informational)
        .map(|login| login.target_name.as_str())
        .collect();
    let disks: &devices::Disks = &daemon.disks;
    disks.own(|target| targets.contains(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_cannot_be_changed_is_told_by_its_own_status() {
        let status = Status::COULD_NOT_REMOVE_PERSISTENT_LOGIN_DATA;
        let told = |from| {
            let failure = Failure::new(from, "why").with_advice("what to do");
            not_changed("it was not removed", status, &failure)
        };
        let failure = told(Status::NON_SPECIFIC_ERROR);
        assert_eq!(failure.status, status);
        assert_eq!(failure.message, "it was not removed: why");
        assert_eq!(failure.advice, "what to do");
        assert_eq!(
            told(Status::ERROR_DISK_FULL).status,
            Status::ERROR_DISK_FULL
        );
    }
}
