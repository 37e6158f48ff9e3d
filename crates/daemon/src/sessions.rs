//! The sessions that are: what is known of each, and what its news lead to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hawser_api::v1::{self, SessionId};
use hawser_api::{Failure, Status};
use hawser_engine::{
    Counters, Hold, Isid, Session, SessionEvent, SessionEvents, SessionState, SessionView,
};
use hawser_store as store;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, watch};

use crate::connections::{self, Member, Members};
use crate::daemon::Daemon;
use crate::events::{self, News};
use crate::moves::{self, Move};
use crate::numbers::Numbers;
use crate::{convert, devices, failures, logins, whereabouts};

/// Notes that are kept of a session.
const MAX_NOTES: usize = 32;
/// Longest time that a logout may take before the session is given up: the engine's own limits end it
/// earlier.
const LOGOUT_LIMIT: Duration = Duration::from_secs(60);

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    entries: Mutex<BTreeMap<u64, Arc<Entry>>>,
    adapter_unique: u64,
    next: Arc<AtomicU64>,
    /// How the operating system's side calls the data sessions and their LUNs.
    pub(crate) numbers: Numbers,
}

/// What a session is made from.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The target's name, normalised.
    pub(crate) target: String,
    /// Its LUNs are not shown as disks.
    pub(crate) informational: bool,
    /// Initiator and source address.
    pub(crate) initiator: store::InitiatorPort,
    /// The name that we send.
    pub(crate) initiator_name: String,
    /// The options of the login, without secrets.
    pub(crate) options: store::LoginOptions,
    /// The options as they were asked for, with secrets: a login that is made persistent later, without
    /// saying them again, is stored with these.
    pub(crate) asked: Option<store::LoginOptions>,
    /// Numbers that its LUNs shall have.
    pub(crate) mapping: Option<store::TargetMapping>,
    /// Our half of the session's identity.
    pub(crate) isid: Isid,
    /// Where that is kept.
    pub(crate) isid_key: store::IsidKey,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its id.
    pub(crate) id: SessionId,
    /// What it is made from.
    pub(crate) origin: Origin,
    /// The session itself.
    pub(crate) engine: Session,
    /// Asks for a look at its LUNs.
    pub(crate) scan: Notify,
    /// It is being ended.
    pub(crate) ending: watch::Sender<bool>,
    life: Mutex<Life>,
    next: Arc<AtomicU64>,
}

/// What changes while a session lives.
#[derive(Debug, Default)]
struct Life {
    login: Option<store::PersistentLoginKey>,
    members: Members,
    logged_in_at_ms: i64,
    lost_at_ms: Option<i64>,
    last_error: Option<Failure>,
    notes: VecDeque<String>,
    hold: Option<Hold>,
    moved: Option<Move>,
}

impl Entry {
    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The persistent login that it was made from or that was made from it.
    pub(crate) fn login(&self) -> Option<store::PersistentLoginKey> {
        self.life().login.clone()
    }

    /// Ties it to a persistent login, or unties it.
    pub(crate) fn set_login(&self, login: Option<store::PersistentLoginKey>) {
        self.life().login = login;
    }

    /// Where its target said that it has moved to for good, last time.
    pub(crate) fn moved(&self) -> Option<Move> {
        self.life().moved.clone()
    }

    /// Its target has moved for good.
    pub(crate) fn set_moved(&self, moved: Move) {
        self.life().moved = Some(moved);
    }

    /// Why it was lost or not logged in, last time.
    pub(crate) fn last_error(&self) -> Option<Failure> {
        self.life().last_error.clone()
    }

    /// Keeps a note for the operator.
    pub(crate) fn note(&self, text: impl Into<String>) {
        let mut life = self.life();
        if life.notes.len() == MAX_NOTES {
            life.notes.pop_front();
        }
        life.notes.push_back(text.into());
    }

    /// Its connections now, the leading one first, or the one that has taken its place.
    pub(crate) fn members(&self) -> Vec<Member> {
        // Looked at under the lock: an older look must not come after a newer one.
        self.with_members(|members| members.now(self.engine.members(), || fresh(&self.next)))
    }

    /// What is kept of its connections.
    pub(crate) fn with_members<T>(&self, work: impl FnOnce(&mut Members) -> T) -> T {
        work(&mut self.life().members)
    }

    /// The id of the connection of this number.
    pub(crate) fn id_of(&self, number: u64) -> v1::ConnectionId {
        v1::ConnectionId {
            adapter_unique: self.id.adapter_unique,
            adapter_specific: number,
        }
    }

    /// The id of a connection; one that is gone already has a number that no other has.
    pub(crate) fn connection_id(&self, view: &Arc<SessionView>) -> v1::ConnectionId {
        let members = self.members();
        let mut members = members.iter();
        let member = members.find(|member| Arc::ptr_eq(&member.view, view));
        self.id_of(member.map_or_else(|| fresh(&self.next), |member| member.number))
    }

    /// The id of its first connection; of one that is lost a number that no other has.
    pub(crate) fn first_connection_id(&self) -> v1::ConnectionId {
        let members = self.members();
        let first = members.first();
        self.id_of(first.map_or_else(|| fresh(&self.next), |first| first.number))
    }

    /// It is logged in now.
    pub(crate) fn view(&self) -> Option<Arc<SessionView>> {
        match self.engine.state() {
            SessionState::Up(view) => Some(view),
            _ => None,
        }
    }

    /// Its loss was told, and not its return.
    fn is_lost(&self) -> bool {
        self.life().lost_at_ms.is_some()
    }

    /// It is being ended.
    pub(crate) fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }

    /// Waits for its end to begin.
    pub(crate) async fn ended(&self) {
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }

    /// The time for which lost I/O is held is over.
    pub(crate) fn hold_is_over(&self) -> bool {
        let life = self.life();
        let (Some(Hold::For(limit)), Some(lost)) = (life.hold, life.lost_at_ms) else {
            return false;
        };
        let since = u64::try_from(events::now_ms().saturating_sub(lost)).unwrap_or_default();
        Duration::from_millis(since) >= limit
    }

    /// Sets how long its I/O is held: for ever with bound volumes on it, unless its options say else.
    pub(crate) fn apply_hold(&self, bound: bool, default: Duration) {
        let options = &self.origin.options;
        let limited = || {
            let seconds = options
                .hold_time_s
                .map(|seconds| Duration::from_secs(seconds.into()));
            Hold::For(seconds.unwrap_or(default))
        };
        let hold = match options.on_lost {
            store::OnLost::Hold => Hold::Forever,
            store::OnLost::Fail => limited(),
            store::OnLost::Default if bound => Hold::Forever,
            store::OnLost::Default => limited(),
        };
        let mut life = self.life();
        // Asked for after each look at any session: only a change wakes the engine, which is told under the
        // lock, so that the last one to be kept is the last one to be told.
        if life.hold.replace(hold) != Some(hold) {
            self.engine.set_hold(hold);
        }
    }

    /// The session as the RPC shows it: all that is known.
    pub(crate) fn show(&self, persistent: bool, luns: Vec<u64>) -> v1::Session {
        let life = self.life();
        let last_error = life.last_error.clone().map(Into::into);
        let notes = life.notes.iter().cloned().collect();
        drop(life);
        v1::Session {
            counters: Some(show_counters(&self.engine.counters())),
            last_error,
            notes,
            luns,
            ..self.show_negotiated(persistent)
        }
    }

    /// Who it is, its connections, and what was negotiated for it.
    pub(crate) fn show_negotiated(&self, persistent: bool) -> v1::Session {
        let view = self.view();
        let view = view.as_deref();
        v1::Session {
            negotiated: view.map(show_negotiated),
            authentication: view.map(|view| self.show_authentication(view)),
            ..self.show_connections(persistent)
        }
    }

    /// Who it is, and its connections.
    pub(crate) fn show_connections(&self, persistent: bool) -> v1::Session {
        let state = self.engine.state();
        let members = self.members();
        let life = self.life();
        let (policy, weights) = life.members.show_policy();
        let view = match &state {
            SessionState::Up(view) => Some(Arc::clone(view)),
            _ => None,
        };
        let shown_state = match &state {
            _ if self.is_ending() => v1::SessionState::LoggingOut,
            SessionState::Up(_) => v1::SessionState::LoggedIn,
            SessionState::Connecting { .. } => v1::SessionState::LoggingIn,
            SessionState::Closed => v1::SessionState::LoggingOut,
            _ => v1::SessionState::Reconnecting,
        };
        let (on_lost, hold_time_s) = match life.hold {
            Some(Hold::For(limit)) => (
                v1::OnLost::Fail,
                u32::try_from(limit.as_secs()).unwrap_or(u32::MAX),
            ),
            _ => (v1::OnLost::Hold, 0),
        };
        let origin = &self.origin;
        let kind = if origin.informational {
            v1::SessionType::Informational
        } else {
            v1::SessionType::Data
        };
        let isid = view.as_ref().map_or(origin.isid, |view| view.isid);
        v1::Session {
            id: Some(self.id),
            target_name: origin.target.clone(),
            initiator_node_name: origin.initiator_name.clone(),
            initiator: Some(convert::initiator_out(&origin.initiator)),
            r#type: kind.into(),
            state: shown_state.into(),
            isid: isid.0.to_vec(),
            tsih: view.as_ref().map_or(0, |view| view.tsih.into()),
            target_portal_group_tag: view.as_ref().and_then(|view| view.tpgt).map(u32::from),
            target_alias: view
                .as_ref()
                .and_then(|view| view.target_alias.clone())
                .unwrap_or_default(),
            connections: members
                .iter()
                .map(|member| self.show_connection(member, &life.members))
                .collect(),
            policy: policy.into(),
            weights,
            persistent,
            on_lost: on_lost.into(),
            hold_time_s,
            logged_in_at_ms: life.logged_in_at_ms,
            lost_at_ms: life.lost_at_ms,
            ..v1::Session::default()
        }
    }

    fn show_connection(&self, member: &Member, kept: &Members) -> v1::Connection {
        let view = &member.view;
        let mut shown = show_connection(view, self.id_of(member.number));
        if kept.is_parting(view.cid) || self.is_ending() {
            shown.set_state(v1::ConnectionState::Logout);
        }
        shown
    }

    fn show_authentication(&self, view: &SessionView) -> v1::Authentication {
        let Some(used) = &view.chap else {
            return v1::Authentication::default();
        };
        let kind = if used.mutual {
            v1::AuthType::MutualChap
        } else {
            v1::AuthType::Chap
        };
        let given = self.origin.options.username.as_ref();
        let given = given.filter(|name| !name.is_empty());
        let own_name = || self.origin.initiator_name.clone().into_bytes();
        v1::Authentication {
            r#type: kind.into(),
            algorithm: used.algorithm.to_string(),
            username: given.map_or_else(own_name, Clone::clone),
            md5_retry: view.md5_fallback,
        }
    }
}

/// A number that no session or connection has had.
fn fresh(next: &AtomicU64) -> u64 {
    next.fetch_add(1, Ordering::Relaxed)
}

fn show_connection(view: &SessionView, id: v1::ConnectionId) -> v1::Connection {
    let digest = |on: bool| {
        if on {
            v1::Digest::Crc32c
        } else {
            v1::Digest::None
        }
        .into()
    };
    let parameters = &view.parameters;
    v1::Connection {
        id: Some(id),
        cid: view.cid.into(),
        state: v1::ConnectionState::FullFeature.into(),
        local: view.local_address.parse().ok(),
        remote: view.remote_address.parse().ok(),
        header_digest: digest(parameters.header_digest),
        data_digest: digest(parameters.data_digest),
        max_recv_data_segment_length: parameters.max_recv_data_segment,
        max_send_data_segment_length: parameters.max_send_data_segment,
        connected_at_ms: events::ms_of(view.since),
    }
}

fn show_counters(counted: &Counters) -> v1::SessionCounters {
    v1::SessionCounters {
        commands: counted.commands,
        commands_in_flight: counted.in_flight,
        bytes_read: counted.bytes_read,
        bytes_written: counted.bytes_written,
        check_conditions: counted.check_conditions,
        failed_commands: counted.failed_commands,
        replayed_commands: counted.replayed_commands,
        timeouts: counted.timeouts,
        digest_errors: counted.digest_errors,
        protocol_errors: counted.protocol_errors,
        reconnects: counted.reconnects,
        failed_reconnects: counted.failed_reconnects,
        management_functions: counted.management_functions,
        pdus_sent: counted.pdus_sent,
        pdus_received: counted.pdus_received,
        wire_bytes_sent: counted.wire_bytes_sent,
        wire_bytes_received: counted.wire_bytes_received,
    }
}

fn show_negotiated(view: &SessionView) -> v1::NegotiatedParameters {
    let parameters = &view.parameters;
    v1::NegotiatedParameters {
        initial_r2t: parameters.initial_r2t,
        immediate_data: parameters.immediate_data,
        data_pdu_in_order: parameters.data_pdu_in_order,
        data_sequence_in_order: parameters.data_sequence_in_order,
        error_recovery_level: parameters.error_recovery_level.into(),
        max_connections: parameters.max_connections.into(),
        max_outstanding_r2t: parameters.max_outstanding_r2t.into(),
        first_burst_length: parameters.first_burst,
        max_burst_length: parameters.max_burst,
        default_time2wait_s: parameters.time2wait.into(),
        default_time2retain_s: parameters.time2retain.into(),
    }
}

impl Sessions {
    /// None yet. Ids of this daemon's life differ from those of others.
    pub(crate) fn new() -> Self {
        let started = u64::try_from(events::now_ms()).unwrap_or_default();
        let adapter_unique = (started << 16) | u64::from(std::process::id() & 0xffff) | 1;
        Self {
            entries: Mutex::default(),
            adapter_unique,
            next: Arc::new(AtomicU64::new(1)),
            numbers: Numbers::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a session in.
    pub(crate) fn add(
        &self,
        origin: Origin,
        engine: Session,
        login: Option<store::PersistentLoginKey>,
    ) -> Arc<Entry> {
        let [a, b, c, d, ..] = origin.isid.0;
        // As seen on Windows: the start of the ISID above, a counter below.
        let specific = (u64::from(u32::from_be_bytes([a, b, c, d])) << 32) | fresh(&self.next);
        let id = SessionId {
            adapter_unique: self.adapter_unique,
            adapter_specific: specific,
        };
        let life = Life {
            login,
            ..Life::default()
        };
        if !origin.informational {
            self.numbers.seat(specific, origin.mapping.as_ref());
        }
        let entry = Arc::new(Entry {
            id,
            origin,
            engine,
            scan: Notify::new(),
            ending: watch::channel(false).0,
            life: Mutex::new(life),
            next: Arc::clone(&self.next),
        });
        // Its first connection gets the number that follows its own.
        entry.members();
        self.entries()
            .insert(specific & 0xffff_ffff, Arc::clone(&entry));
        entry
    }

    fn remove(&self, id: SessionId) {
        self.entries().remove(&(id.adapter_specific & 0xffff_ffff));
        self.numbers.leave(id.adapter_specific);
    }

    /// All sessions in the order of their login.
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.entries().values().cloned().collect()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.entries().len()
    }

    /// All sessions by the target's name.
    pub(crate) fn by_target(&self) -> BTreeMap<String, Vec<Arc<Entry>>> {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for entry in self.all() {
            let target = entry.origin.target.clone();
            all.entry(target).or_default().push(entry);
        }
        all
    }

    /// The sessions with a target.
    pub(crate) fn of_target(&self, target: &str) -> Vec<Arc<Entry>> {
        let entries = self.entries();
        let all = entries.values();
        all.filter(|entry| entry.origin.target == target)
            .cloned()
            .collect()
    }

    /// One session.
    pub(crate) fn get(&self, id: SessionId) -> Result<Arc<Entry>, Failure> {
        let entry = self
            .entries()
            .get(&(id.adapter_specific & 0xffff_ffff))
            .cloned();
        entry.filter(|entry| entry.id == id).ok_or_else(|| {
            Failure::new(
                Status::INVALID_SESSION_ID,
                format!("there is no session {id}"),
            )
            .with_advice("`hawser session list` shows those that are")
        })
    }
}

/// Starts the tasks that follow a session.
pub(crate) fn supervise(daemon: &Arc<Daemon>, entry: &Arc<Entry>, news: SessionEvents) {
    tokio::spawn(follow(Arc::clone(daemon), Arc::clone(entry), news));
    if !entry.origin.informational {
        tokio::spawn(devices::keep_scanned(Arc::clone(daemon), Arc::clone(entry)));
    }
}

/// Takes the news of a session until it ends.
async fn follow(daemon: Arc<Daemon>, entry: Arc<Entry>, mut news: SessionEvents) {
    // The session may have come up before anybody listened.
    let mut seen = entry.view();
    if let Some(view) = &seen {
        Box::pin(take_up(&daemon, &entry, view)).await;
        daemon.volumes.look_again();
    }
    loop {
        match news.recv().await {
            Ok(SessionEvent::Closed) | Err(RecvError::Closed) => break,
            Ok(SessionEvent::Up(view)) => {
                if !seen.take().is_some_and(|seen| Arc::ptr_eq(&seen, &view)) {
                    Box::pin(take_up(&daemon, &entry, &view)).await;
                }
            }
            // Boxed: what an event may lead to would be room that each session takes for ever.
            Ok(event) => Box::pin(take(&daemon, &entry, event)).await,
            Err(RecvError::Lagged(lost)) => {
                entry.note(format!("{lost} events of the session were lost"));
                entry.scan.notify_one();
            }
        }
        daemon.volumes.look_again();
    }
    if !entry.is_ending() {
        // Nobody asked for it: the engine gave the session up.
        entry.ending.send_replace(true);
        Box::pin(devices::take_away_all(&daemon, &entry)).await;
        daemon.sessions.remove(entry.id);
        let what = format!("the session with {} was closed", entry.origin.target);
        let failure =
            Failure::new(Status::CONNECTION_FAILED, what).with_target(&entry.origin.target);
        daemon
            .events
            .tell(News::error("session-closed", failure).session(entry.id));
    }
    daemon.volumes.look_again();
}

async fn take(daemon: &Arc<Daemon>, entry: &Arc<Entry>, event: SessionEvent) {
    match event {
        SessionEvent::Lost(why)
        | SessionEvent::ConnectionLost {
            why, last: true, ..
        } => take_loss(daemon, entry, &why),
        SessionEvent::ConnectionLost { cid, why, .. } => {
            connections::take_loss(daemon, entry, cid, &why);
        }
        // One that takes the place of the last one brings the session back.
        SessionEvent::ConnectionUp(view) if entry.is_lost() => take_up(daemon, entry, &view).await,
        SessionEvent::ConnectionUp(view) => connections::take_up(daemon, entry, &view),
        SessionEvent::ConnectionRefused { cid, status, why } => {
            let status = Status::from_login_status(status.class, status.detail);
            connections::take_refusal(daemon, entry, cid, status, &why);
        }
        SessionEvent::LoginFailed(failure) => {
            take_failed_login(daemon, entry, failures::of_login(&failure));
        }
        SessionEvent::MovedPermanently(portal) => {
            entry.note(format!("the target has moved permanently to {portal}"));
            moves::take(daemon, entry, &portal).await;
        }
        SessionEvent::LunsChanged => entry.scan.notify_one(),
        SessionEvent::DiskChecked(lun) => {
            devices::checked(daemon, entry, lun);
            daemon.volumes.look_again();
        }
        SessionEvent::CapacityChanged(lun) => devices::size_changed(daemon, entry, lun),
        SessionEvent::WrongDisk {
            lun,
            expected,
            found,
        } => {
            devices::wrong_disk(daemon, entry, lun, expected.as_str(), found.as_ref()).await;
        }
        SessionEvent::AsyncSense {
            lun,
            sense: Some(sense),
        } => {
            entry.note(format!("LUN {lun} sent sense data: {sense}"));
        }
        SessionEvent::AsyncNotice { event } => {
            entry.note(format!("the target sent asynchronous event {event}"));
        }
        SessionEvent::Escalated(what) => {
            entry.note(what);
            let failure = Failure::new(
                Status::ERROR_TIMEOUT,
                format!("a command timed out: {what}"),
            )
            .with_target(&entry.origin.target);
            daemon
                .events
                .tell(News::warning("command-timeout", failure).session(entry.id));
        }
        other => entry.note(format!("{other:?}")),
    }
}

async fn take_up(daemon: &Arc<Daemon>, entry: &Arc<Entry>, view: &SessionView) {
    let first = {
        let mut life = entry.life();
        life.lost_at_ms = None;
        let first = life.logged_in_at_ms == 0;
        if first {
            life.logged_in_at_ms = events::ms_of(view.since);
        }
        first
    };
    for oddity in &view.unusual {
        entry.note(oddity.clone());
    }
    let origin = &entry.origin;
    if view.md5_fallback {
        let what = "CHAP fell back to MD5 alone: the target cannot take the list of algorithms";
        entry.note(what);
        let failure = Failure::new(Status::ERROR_SUCCESS, what)
            .with_target(&origin.target)
            .with_portal(&view.portal)
            .with_advice("update the target, or set chap.allow_md5 = false to refuse it");
        daemon
            .events
            .tell(News::warning("chap-md5", failure).session(entry.id));
    }
    if let Err(failure) = logins::keep_isid(daemon, entry, view).await {
        tracing::warn!(target_name = origin.target, %failure, "cannot keep the ISID");
    }
    if let Err(failure) = whereabouts::remember(daemon, entry).await {
        tracing::warn!(target_name = origin.target, %failure, "cannot keep where the target is");
    }
    let what = if first {
        "logged in to"
    } else {
        "logged in again to"
    };
    let kind = if first { "session-up" } else { "session-back" };
    let message = format!("{what} {} at {}", origin.target, view.portal);
    daemon.events.tell(
        News::info(kind, message)
            .target(&origin.target)
            .session(entry.id),
    );
    entry.scan.notify_one();
}

fn take_loss(daemon: &Daemon, entry: &Entry, why: &str) {
    let message = format!("the session with {} was lost: {why}", entry.origin.target);
    let failure = Failure::new(Status::CONNECTION_FAILED, message)
        .with_target(&entry.origin.target)
        .with_peer_said(why)
        .with_advice("it is being made again; I/O waits");
    let is_new = {
        let mut life = entry.life();
        let is_new = life.lost_at_ms.is_none();
        life.lost_at_ms.get_or_insert_with(events::now_ms);
        life.last_error = Some(failure.clone());
        is_new
    };
    // A session whose last connection could not be replaced has been told of.
    if is_new {
        daemon
            .events
            .tell(News::warning("session-lost", failure).session(entry.id));
    }
}

/// Told once for each reason: a target that is away for a day fails thousands of times.
fn take_failed_login(daemon: &Daemon, entry: &Entry, failure: Failure) {
    let new = {
        let mut life = entry.life();
        let new = life.last_error.as_ref() != Some(&failure);
        life.last_error = Some(failure.clone());
        new
    };
    if new {
        daemon
            .events
            .tell(News::warning("login-failed", failure).session(entry.id));
    }
}

/// Ends a session in order: exports, then the session. The caller holds the target's lock and has
/// seen to those who use its disks.
pub(crate) async fn end(daemon: &Arc<Daemon>, entry: &Arc<Entry>) {
    entry.ending.send_replace(true);
    devices::take_away_all(daemon, entry).await;
    if tokio::time::timeout(LOGOUT_LIMIT, entry.engine.logout())
        .await
        .is_err()
    {
        entry.note("the logout was not answered");
    }
    daemon.sessions.remove(entry.id);
    let message = format!("logged out of {}", entry.origin.target);
    let news = News::info("session-ended", message).target(&entry.origin.target);
    daemon.events.tell(news.session(entry.id));
    daemon.volumes.look_again();
}

/// Sets how long the sessions of a target hold I/O, after a change of what is bound.
pub(crate) fn apply_holds(daemon: &Daemon) {
    let bound = daemon.volumes.bound_targets(&daemon.records);
    for entry in daemon.sessions.all() {
        entry.apply_hold(bound.contains(&entry.origin.target), daemon.config.hold);
    }
}
