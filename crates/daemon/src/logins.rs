//! Logins: made on request, stored to be made again, ended.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hawser_api::v1;
use hawser_api::{Failure, Status};
use hawser_engine::{
    ChapCredentials, DigestPolicy, IscsiName, Isid, LoginOptions, NameError, Secret, Session,
    SessionEvents, SessionOptions, SessionState, SessionView, Timeouts,
};
use hawser_store::{
    self as store, Change, IsidKey, KeptIsid, PersistentLogin, PersistentLoginKey, Record,
};

use crate::daemon::Daemon;
use crate::devices::{self, usage};
use crate::discovery::{self, KnownTarget};
use crate::events::News;
use crate::sessions::{self, Entry, Origin};
use crate::{
    connections, convert, failures, initiators, ipsec, radius, security, shared_secrets, volumes,
    whereabouts,
};

/// `ISCSI_LOGIN_FLAGS`: a target that is logged in may be logged in to again.
const FLAG_MULTIPATH: u32 = 0x02;
/// `ISCSI_LOGIN_FLAGS`: other portals of the target may be tried.
const FLAG_PORTAL_HOPPING: u32 = 0x08;
/// Sessions of one initiator with one portal group for which ISIDs are kept.
const MAX_ISID_SLOTS: u16 = 64;
/// Portals that one login tries.
const MAX_PORTALS: usize = 32;

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

/// What a session needs to be opened.
struct Prepared {
    options: SessionOptions,
    origin: Origin,
}

async fn prepare(
    daemon: &Daemon,
    wanted: &Wanted,
    options: &store::LoginOptions,
    known: &KnownTarget,
) -> Result<Prepared, Failure> {
    ipsec::refuse(wanted.security_flags, options.login_flags)?;
    radius::refuse(options.login_flags)?;
    if daemon.sessions.count() >= daemon.config.max_sessions {
        let message = format!(
            "there are {} sessions, the limit",
            daemon.config.max_sessions
        );
        return Err(Failure::new(Status::TOO_MANY_SESSIONS, message));
    }
    let name = security::login_name(&daemon.records).await?;
    let (portals, tag) = portals(daemon, wanted, options, known)?;
    let mut login = login_options(daemon, name.clone(), options)?;
    login.source = initiators::source(&wanted.initiator)?;
    let (isid_key, isid) = choose_isid(daemon, name.as_str(), wanted.target.as_str(), tag).await?;
    let first = portals
        .first()
        .cloned()
        .ok_or_else(|| no_portal(wanted.target.as_str()))?;
    let target = known.name.as_ref().unwrap_or(&wanted.target);
    let mut session = SessionOptions::new(login, target.clone(), first, isid);
    session.portals = portals;
    session.timeouts = timeouts(options);
    session.busy_polling = daemon.config.busy_polling;
    session.connections = connections::wanted(options);
    let bare = store::LoginOptions {
        secret: None,
        mutual_secret: None,
        ..options.clone()
    };
    let origin = Origin {
        target: wanted.target.as_str().to_owned(),
        informational: wanted.informational,
        initiator: wanted.initiator.clone(),
        initiator_name: name.as_str().to_owned(),
        options: bare,
        asked: wanted.options.clone(),
        mapping: wanted.mapping.clone().or_else(|| known.mapping.clone()),
        isid,
        isid_key,
    };
    Ok(Prepared {
        options: session,
        origin,
    })
}

fn no_portal(target: &str) -> Failure {
    Failure::new(
        Status::NO_PORTAL_SPECIFIED,
        format!("no portal of {target} is known"),
    )
    .with_target(target)
    .with_advice("name one with --portal, or refresh the portals")
}

/// The portals to try in turn, the chosen one first, and the tag of the first one's group.
fn portals(
    daemon: &Daemon,
    wanted: &Wanted,
    options: &store::LoginOptions,
    known: &KnownTarget,
) -> Result<(Vec<hawser_engine::Portal>, Option<u16>), Failure> {
    let hopping = options.login_flags & FLAG_PORTAL_HOPPING != 0;
    let mut chosen = Vec::new();
    let mut tag = None;
    if let Some(portal) = wanted.portal.as_ref().or(wanted.moved_to.as_ref()) {
        let portal = convert::engine_portal(portal)?;
        // A target that has moved mostly has its groups as before, and its session then keeps its ISID.
        let first = || known.portals.first().and_then(|(_, tag)| *tag);
        tag = known.tag_of(&portal).or_else(first);
        chosen.push(portal);
    }
    if wanted.portal.is_none() || hopping {
        for (portal, group) in &known.portals {
            if chosen.len() >= MAX_PORTALS {
                break;
            }
            let usable = daemon.config.link_local || !is_link_local(portal);
            if usable && !chosen.contains(portal) {
                if chosen.is_empty() {
                    tag = *group;
                }
                chosen.push(portal.clone());
            }
        }
    }
    if chosen.is_empty() {
        return Err(no_portal(wanted.target.as_str()));
    }
    Ok((chosen, tag))
}

/// Addresses that mean something on one link only, as targets list them by mistake.
fn is_link_local(portal: &hawser_engine::Portal) -> bool {
    let host = portal.host();
    let literal = host.split_once('%').map_or(host, |(literal, _)| literal);
    match literal.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_unicast_link_local(),
        Err(_) => false,
    }
}

/// The login options as the engine takes them.
pub(crate) fn login_options(
    daemon: &Daemon,
    name: IscsiName,
    options: &store::LoginOptions,
) -> Result<LoginOptions, Failure> {
    let mut login = LoginOptions::new(name);
    let digest = |digest: Option<store::Digest>| match digest {
        None | Some(store::Digest::None) => DigestPolicy::None,
        Some(store::Digest::Crc32c) => DigestPolicy::Crc32c,
        Some(store::Digest::PreferCrc32c) => DigestPolicy::PreferCrc32c,
    };
    login.header_digest = digest(options.header_digest);
    login.data_digest = digest(options.data_digest);
    let short = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    login.time2wait = options.default_time2wait_s.map_or(login.time2wait, short);
    login.time2retain = options
        .default_time2retain_s
        .map_or(login.time2retain, short);
    login.max_outstanding_r2t = options
        .max_outstanding_r2t
        .map_or(login.max_outstanding_r2t, short);
    login.max_recv_data_segment = options
        .max_recv_data_segment_length
        .unwrap_or(login.max_recv_data_segment);
    login.max_burst = options.max_burst_length.unwrap_or(login.max_burst);
    // The pair must fit together even where it was given in part (RFC 7143 §13.14).
    login.first_burst = options
        .first_burst_length
        .unwrap_or(login.first_burst)
        .min(login.max_burst);
    login.initial_r2t = options.initial_r2t.unwrap_or(login.initial_r2t);
    login.immediate_data = options.immediate_data.unwrap_or(login.immediate_data);
    login.max_connections = connections::offered(options);
    login.error_recovery_level = connections::level(options, daemon.config.error_recovery_level);
    login.chap = chap(daemon, &login.initiator_name, options)?;
    Ok(login)
}

/// CHAP names and secrets, checked by the rules of the Discovery Library.
fn chap(
    daemon: &Daemon,
    name: &IscsiName,
    options: &store::LoginOptions,
) -> Result<Option<ChapCredentials>, Failure> {
    // What is empty was said so that nothing stored counts; it is no name and no secret.
    let name_given = options.username.as_ref().filter(|user| !user.is_empty());
    let secret = options.secret.as_ref();
    let secret = secret.filter(|secret| !secret.expose().is_empty());
    let given = secret.is_some() || name_given.is_some();
    let default = if given {
        store::AuthType::Chap
    } else {
        store::AuthType::None
    };
    let kind = options.auth_type.unwrap_or(default);
    if kind == store::AuthType::None {
        return Ok(None);
    }
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|_| {
            Failure::new(
                Status::INVALID_CHAP_USER_NAME,
                "a CHAP name must be UTF-8 text",
            )
        })
    };
    let user = name_given.map_or_else(|| name.as_str().into(), Clone::clone);
    let secret = secret.ok_or_else(|| {
        Failure::new(
            Status::INVALID_TARGET_CHAP_SECRET,
            "CHAP needs the target's secret",
        )
        .with_advice("give it with --chap-secret-file")
    })?;
    let short = daemon.config.allow_short_secrets;
    let status = Status::INVALID_TARGET_CHAP_SECRET;
    security::check_length(secret, short, "the target's", status)?;
    let mut chap = ChapCredentials::one_way(user, Secret::new(secret.expose().to_vec()));
    chap.allow_md5 = daemon.config.allow_md5;
    chap.allow_short_secrets = short;
    if kind == store::AuthType::MutualChap {
        let own = match &options.mutual_secret {
            Some(own) => Some(own.clone()),
            None => security::chap_secret(&daemon.records)?,
        };
        let status = Status::INVALID_INITIATOR_CHAP_SECRET;
        let own = own.ok_or_else(|| {
            Failure::new(status, "mutual CHAP needs the initiator's secret")
                .with_advice("set it with `hawser chap-secret set`")
        })?;
        security::check_length(&own, short, "the initiator's", status)?;
        if own == *secret {
            let what = "the secrets of the two directions must differ (RFC 7143 section 9.2.1)";
            return Err(Failure::new(Status::INVALID_CHAP_SECRET, what));
        }
        let peer = options.mutual_username.as_deref().map(text).transpose()?;
        chap.mutual = Some((peer, Secret::new(own.expose().to_vec())));
    }
    Ok(Some(chap))
}

/// The time limits as the engine takes them.
pub(crate) fn timeouts(options: &store::LoginOptions) -> Timeouts {
    let mut timeouts = Timeouts::default();
    let ms = |value: Option<u32>, default: Duration| {
        value.map_or(default, |value| Duration::from_millis(value.into()))
    };
    timeouts.login = ms(options.login_timeout_ms, timeouts.login);
    timeouts.ping_interval = ms(options.nop_interval_ms, timeouts.ping_interval);
    timeouts.ping_timeout = ms(options.nop_timeout_ms, timeouts.ping_timeout);
    timeouts
}

/// The ISID of a new session: the first kept one of that portal group that no session with the target
/// uses, else a new one, stored before it is used.
async fn choose_isid(
    daemon: &Daemon,
    initiator: &str,
    target: &str,
    tag: Option<u16>,
) -> Result<(IsidKey, Isid), Failure> {
    let present = daemon.sessions.of_target(target);
    let used: BTreeSet<[u8; 6]> = present.iter().map(|entry| entry.origin.isid.0).collect();
    let key = |portal_group, slot| IsidKey {
        initiator_name: initiator.to_owned(),
        target_name: target.to_owned(),
        portal_group,
        slot,
    };
    for slot in 0..MAX_ISID_SLOTS {
        let own = key(tag, slot);
        let kept = match daemon.records.get::<KeptIsid>(&own)? {
            None if tag.is_some() => daemon.records.get::<KeptIsid>(&key(None, slot))?,
            kept => kept,
        };
        match kept {
            Some(kept) if used.contains(&kept.isid) => {}
            Some(kept) => return Ok((own, Isid(kept.isid))),
            None => {
                let isid = fresh_isid()?;
                daemon
                    .records
                    .put(KeptIsid {
                        session: own.clone(),
                        isid: isid.0,
                    })
                    .await?;
                return Ok((own, isid));
            }
        }
    }
    let message = format!("there are {MAX_ISID_SLOTS} sessions with {target}, the limit");
    Err(Failure::new(Status::TOO_MANY_SESSIONS, message).with_target(target))
}

fn fresh_isid() -> Result<Isid, Failure> {
    let mut random = [0; 5];
    getrandom::fill(&mut random).map_err(|error| {
        Failure::new(
            Status::NON_SPECIFIC_ERROR,
            format!("no random number: {error}"),
        )
    })?;
    Ok(Isid::from_random(random))
}

/// Keeps the ISID under the portal group that the login turned out to reach.
pub(crate) async fn keep_isid(
    daemon: &Daemon,
    entry: &Entry,
    view: &SessionView,
) -> Result<(), Failure> {
    let mut session = entry.origin.isid_key.clone();
    if session.portal_group == view.tpgt {
        return Ok(());
    }
    session.portal_group = view.tpgt;
    daemon
        .records
        .put(KeptIsid {
            session,
            isid: entry.origin.isid.0,
        })
        .await
        .map(|_| ())
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

    #[test]
    fn link_local_addresses_are_told_apart() {
        let portal = |host: &str| hawser_engine::Portal::new(host, 3260).unwrap();
        for host in ["169.254.1.1", "fe80::1", "fe80::1%eth0"] {
            assert!(is_link_local(&portal(host)), "{host}");
        }
        for host in ["192.0.2.1", "2001:db8::1", "san.example", "127.0.0.1"] {
            assert!(!is_link_local(&portal(host)), "{host}");
        }
    }
}
