//! The disks of the sessions: found, checked, shown, and taken away again.

mod listing;
mod show;
pub(crate) mod usage;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hawser_api::v1::{self, SessionId};
use hawser_api::{Failure, Status};
use hawser_block::BlockDevice;
use hawser_engine::{DiskIdentity, Lun, LunNumber};
use hawser_export::{Export, ExportMode};
use hawser_store::BoundVolume;
pub(crate) use listing::{show_devices, show_mappings};
pub(crate) use show::settle_links;
use tokio::task::JoinSet;

use crate::daemon::Daemon;
use crate::device_number::DeviceNumber;
use crate::events::News;
use crate::sessions::{self, Entry};
use crate::volumes::{OwnDisk, lun_text};
use crate::{failures, volumes};

/// LUNs of a session that are opened at once: enough to hide the latency, few enough that the target
/// is not flooded.
const OPENED_AT_ONCE: usize = 16;
/// First pause before a look is repeated because something failed; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// All disks.
#[derive(Debug, Default)]
pub(crate) struct Disks {
    entries: Mutex<BTreeMap<DiskKey, Arc<Disk>>>,
    /// Held while links go from one disk to another.
    settling: tokio::sync::Mutex<()>,
}

/// Sorts disks by target, LUN and session.
type DiskKey = (String, u64, u64);

/// A LUN of a data session.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Its session.
    pub(crate) session: SessionId,
    /// The target's name.
    pub(crate) target: String,
    /// Its LUN.
    pub(crate) lun: LunNumber,
    handle: Option<Lun>,
    facts: Mutex<Facts>,
    export: tokio::sync::Mutex<Option<Export>>,
}

/// How a disk is shown, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    kind: v1::ExportKind,
    /// Its device node.
    pub(crate) node: Option<PathBuf>,
    /// Its block device.
    pub(crate) block: Option<DeviceNumber>,
    /// Its FUSE file.
    pub(crate) fuse_file: Option<PathBuf>,
    /// The socket of its NBD server.
    pub(crate) nbd_socket: Option<PathBuf>,
    nbd_uri: String,
    /// Where it is served over TCP.
    nbd_tcp: Option<SocketAddr>,
    links: Vec<PathBuf>,
    trouble: Option<Trouble>,
}

/// Why a disk cannot be used.
#[derive(Debug, Clone)]
enum Trouble {
    /// Something failed that may come right.
    Failed(Failure),
    /// It is not the disk that it must be.
    Wrong(Failure),
    /// The target does not show it now, and somebody needs it.
    Missing(Failure),
    /// It is being removed.
    Removing,
}

impl Disk {
    fn new(entry: &Entry, lun: LunNumber, handle: Option<Lun>) -> Self {
        Self {
            session: entry.id,
            target: entry.origin.target.clone(),
            lun,
            handle,
            facts: Mutex::default(),
            export: tokio::sync::Mutex::new(None),
        }
    }

    fn facts_mut(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is shown now.
    pub(crate) fn facts(&self) -> Facts {
        self.facts_mut().clone()
    }

    /// Who it is.
    pub(crate) fn identity(&self) -> Option<&DiskIdentity> {
        self.handle.as_ref().and_then(Lun::identity)
    }

    fn is_missing(&self) -> bool {
        matches!(self.facts_mut().trouble, Some(Trouble::Missing(_)))
    }

    /// It was asked who it is since its session was made last.
    pub(crate) fn is_checked(&self) -> bool {
        self.handle.as_ref().is_some_and(Lun::is_checked)
    }

    /// Why it cannot be used by itself, whatever its session does.
    pub(crate) fn trouble(&self) -> Option<Failure> {
        match &self.facts_mut().trouble {
            Some(
                Trouble::Failed(failure) | Trouble::Wrong(failure) | Trouble::Missing(failure),
            ) => Some(failure.clone()),
            Some(Trouble::Removing) => Some(Failure::new(
                Status::SESSION_BUSY,
                "the disk is being removed",
            )),
            None => None,
        }
    }

    /// It is another disk than the one that must be there.
    pub(crate) fn is_wrong(&self) -> bool {
        matches!(self.facts_mut().trouble, Some(Trouble::Wrong(_)))
    }

    fn key(&self) -> DiskKey {
        (
            self.target.clone(),
            self.lun.as_u64(),
            self.session.adapter_specific,
        )
    }

    /// There is a path to it.
    fn is_shown(&self) -> bool {
        !self.facts_mut().paths().is_empty()
    }

    /// Works, so that it need not be opened again.
    fn is_sound(&self) -> bool {
        self.handle.is_some() && self.facts_mut().trouble.is_none()
    }
}

impl Facts {
    fn of(export: &Export, daemon: &Daemon) -> Self {
        let kind = match export.mode {
            ExportMode::Loop => v1::ExportKind::Loop,
            ExportMode::Fuse => v1::ExportKind::Fuse,
            ExportMode::Nbd => v1::ExportKind::Nbd,
            ExportMode::None | ExportMode::Auto => v1::ExportKind::None,
        };
        let name = export
            .device_node
            .as_ref()
            .and_then(|node| node.file_name());
        Self {
            kind,
            node: export.device_node.clone(),
            block: name.and_then(|name| daemon.host.sysfs.by_name(&name.to_string_lossy())),
            fuse_file: export.fuse_file.clone(),
            nbd_socket: export.nbd_socket.clone(),
            nbd_uri: export.nbd_uri.clone().unwrap_or_default(),
            nbd_tcp: export.nbd_tcp,
            links: export.links.clone(),
            trouble: None,
        }
    }

    /// A path that leads to it after a restart too, as far as there is one.
    pub(crate) fn stable_path(&self) -> Option<PathBuf> {
        self.stable_paths().first().cloned()
    }

    /// The paths by which it is reached, those before the others that lead to it after a restart too.
    fn stable_paths(&self) -> Vec<PathBuf> {
        let mut paths = self.links.clone();
        paths.extend(self.files());
        paths
    }

    /// Its own files, the best first.
    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let files = [&self.node, &self.fuse_file, &self.nbd_socket];
        files.into_iter().flatten().cloned()
    }

    /// The paths by which it is reached, the best first.
    fn paths(&self) -> Vec<PathBuf> {
        self.files().chain(self.links.iter().cloned()).collect()
    }
}

impl Disks {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<DiskKey, Arc<Disk>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, by target, LUN, session.
    pub(crate) fn all(&self) -> Vec<Arc<Disk>> {
        self.entries().values().cloned().collect()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.entries().len()
    }

    /// Those of a session.
    pub(crate) fn of_session(&self, session: SessionId) -> Vec<Arc<Disk>> {
        self.filtered(|disk| disk.session == session)
    }

    /// The LUNs of all of them, by the half of the session's id that names it.
    pub(crate) fn luns(&self) -> HashMap<u64, Vec<u64>> {
        let mut luns: HashMap<u64, Vec<u64>> = HashMap::new();
        for (_, lun, session) in self.entries().keys() {
            luns.entry(*session).or_default().push(*lun);
        }
        luns
    }

    /// Those of a target.
    pub(crate) fn of_target(&self, target: &str) -> Vec<Arc<Disk>> {
        self.filtered(|disk| disk.target == target)
    }

    fn filtered(&self, is_meant: impl Fn(&Disk) -> bool) -> Vec<Arc<Disk>> {
        let entries = self.entries();
        let all = entries.values();
        all.filter(|disk| is_meant(disk)).cloned().collect()
    }

    /// Those that can be bound.
    pub(crate) fn own(&self, is_persistent: impl Fn(&str) -> bool) -> Vec<OwnDisk> {
        let sound = self.all().into_iter().filter(|disk| disk.is_sound());
        sound
            .map(|disk| {
                let facts = disk.facts();
                OwnDisk {
                    target: disk.target.clone(),
                    lun: disk.lun.as_u64(),
                    identity: disk.identity().map(|identity| identity.as_str().to_owned()),
                    block: facts.block,
                    paths: facts.paths(),
                    persistent: is_persistent(&disk.target),
                }
            })
            .filter(|disk| !disk.paths.is_empty())
            .collect()
    }
}

/// Looks at the LUNs of a session whenever that is asked for, and again while something fails.
pub(crate) async fn keep_scanned(daemon: Arc<Daemon>, entry: Arc<Entry>) {
    let mut pause = FIRST_PAUSE;
    let mut retry = false;
    loop {
        tokio::select! {
            () = entry.ended() => return,
            () = entry.scan.notified() => pause = FIRST_PAUSE,
            () = tokio::time::sleep(pause), if retry => pause = (pause * 2).min(LONGEST_PAUSE),
        }
        // Boxed, as each session waits here for ever and looks seldom.
        retry = match Box::pin(scan(&daemon, &entry)).await {
            Ok(all_sound) => !all_sound,
            Err(failure) => {
                if !entry.is_ending() {
                    entry.note(format!("the LUNs could not be listed: {}", failure.message));
                    tracing::warn!(%failure, "cannot list the LUNs");
                }
                true
            }
        };
        Box::pin(settle_links(&daemon)).await;
        sessions::apply_holds(&daemon);
        daemon.volumes.look_again();
    }
}

/// Asks for the LUNs, opens new ones, takes away those that are gone. Gives whether all are sound.
async fn scan(daemon: &Arc<Daemon>, entry: &Arc<Entry>) -> Result<bool, Failure> {
    let asked = tokio::select! {
        () = entry.ended() => return Ok(true),
        asked = entry.engine.luns() => asked,
    };
    let mut luns = asked.map_err(|error| failures::of_session(&error, &entry.origin.target))?;
    let limit = daemon.config.max_luns;
    if luns.len() > limit {
        entry.note(format!(
            "only {limit} of its {} LUNs are looked at",
            luns.len()
        ));
        luns.truncate(limit);
    }
    let mut all_sound = true;
    for disk in daemon.disks.of_session(entry.id) {
        if luns.contains(&disk.lun) {
            reappeared(daemon, &disk).await;
        } else {
            all_sound &= missing(daemon, entry, &disk).await;
        }
    }
    let known = daemon.disks.of_session(entry.id);
    // One that is back is being asked who it is.
    let is_open = |disk: &Disk| disk.is_sound() || disk.is_missing();
    let is_known = |lun: &LunNumber| known.iter().any(|disk| disk.lun == *lun && is_open(disk));
    let mut opening = JoinSet::new();
    for lun in luns.into_iter().filter(|lun| !is_known(lun)) {
        while opening.len() >= OPENED_AT_ONCE {
            all_sound &= matches!(opening.join_next().await, Some(Ok(true)));
        }
        opening.spawn(open(Arc::clone(daemon), Arc::clone(entry), lun));
    }
    while let Some(opened) = opening.join_next().await {
        all_sound &= opened.unwrap_or(false);
    }
    Ok(all_sound)
}

/// A LUN is no longer among those that the target reports. A target that was just started may report
/// it a moment later, so a disk that somebody needs stays, and is looked for. Gives whether it is
/// settled.
async fn missing(daemon: &Arc<Daemon>, entry: &Entry, disk: &Arc<Disk>) -> bool {
    let message = format!("LUN {} of {} is gone", disk.lun, disk.target);
    let failure = Failure::new(Status::DEVICE_NOT_FOUND, message)
        .with_target(&disk.target)
        .with_advice("look at the target's LUNs; the disk is used again when it is back");
    let known = disk.is_missing();
    let needed = disk.handle.is_some() && is_needed(daemon, disk).await;
    if needed {
        disk.facts_mut().trouble = Some(Trouble::Missing(failure.clone()));
    } else {
        take_away(daemon, disk).await;
    }
    if !known {
        let news = News::warning("lun-gone", failure).session(entry.id);
        daemon.events.tell(news.lun(disk.lun.as_u64()));
    }
    !needed
}

/// Something is bound on it, or somebody uses it.
async fn is_needed(daemon: &Daemon, disk: &Arc<Disk>) -> bool {
    let identity = disk.identity().map_or("", DiskIdentity::as_str);
    let bound = daemon.records.all::<BoundVolume>();
    if !volumes::bound_paths_of(&bound, &disk.target, identity).is_empty() {
        return true;
    }
    let used = usage::look(&daemon.host, vec![Arc::clone(disk)]).await;
    !used.is_empty()
}

/// A LUN is reported: if it was missing it is asked who it is now, and [`checked`] goes on.
async fn reappeared(daemon: &Daemon, disk: &Arc<Disk>) {
    if !disk.is_missing() {
        return;
    }
    match &disk.handle {
        Some(handle) if handle.is_wrong_disk() => take_away(daemon, disk).await,
        Some(handle) => handle.check(),
        None => {}
    }
}

/// A LUN was asked who it is and is the disk it was: if it was missing it is used again.
pub(crate) fn checked(daemon: &Daemon, entry: &Entry, lun: LunNumber) {
    let disk = daemon.disks.entries().get(&key(entry, lun)).cloned();
    let Some(disk) = disk.filter(|disk| disk.is_missing()) else {
        return;
    };
    disk.facts_mut().trouble = None;
    let message = format!("LUN {} of {} is back", disk.lun, disk.target);
    let news = News::info("lun-back", message).target(&disk.target);
    daemon
        .events
        .tell(news.session(disk.session).lun(disk.lun.as_u64()));
}

/// Opens a LUN and shows it if it is a disk and the right one. Gives whether nothing needs to be tried
/// again.
async fn open(daemon: Arc<Daemon>, entry: Arc<Entry>, lun: LunNumber) -> bool {
    let opened = tokio::select! {
        () = entry.ended() => return true,
        opened = entry.engine.lun(lun) => opened,
    };
    let earlier = daemon.disks.entries().get(&key(&entry, lun)).cloned();
    let disk = match opened {
        Ok(handle) => Arc::new(Disk::new(&entry, lun, Some(handle))),
        Err(error) => {
            let failure = failures::of_session(&error, &entry.origin.target);
            return keep_failed(&daemon, Disk::new(&entry, lun, None), failure);
        }
    };
    if let Some(wrong) = wrong_identity(&daemon, &disk) {
        disk.facts_mut().trouble = Some(Trouble::Wrong(wrong.clone()));
        // Whoever is told finds it in the list.
        daemon.disks.entries().insert(disk.key(), Arc::clone(&disk));
        if !earlier.is_some_and(|earlier| earlier.is_wrong()) {
            tell_wrong(&daemon, &disk, wrong);
        }
        return false;
    }
    let is_disk = disk.handle.as_ref().is_some_and(Lun::is_disk);
    let shown = if is_disk {
        show::show(&daemon, &disk).await
    } else {
        Ok(None)
    };
    let (sound, news) = match shown {
        Ok(news) => (true, news),
        Err(failure) => {
            disk.facts_mut().trouble = Some(Trouble::Failed(failure));
            (false, None)
        }
    };
    // The session may have ended while the export was made.
    let ending = {
        let mut entries = daemon.disks.entries();
        entries.insert(disk.key(), Arc::clone(&disk));
        entry.is_ending()
    };
    if ending {
        take_away(&daemon, &disk).await;
    } else if let Some(news) = news {
        daemon.events.tell(news);
    }
    daemon.volumes.look_again();
    sound || ending
}

fn key(entry: &Entry, lun: LunNumber) -> DiskKey {
    (
        entry.origin.target.clone(),
        lun.as_u64(),
        entry.id.adapter_specific,
    )
}

/// Lists a LUN that could not be opened, with the reason.
fn keep_failed(daemon: &Daemon, disk: Disk, failure: Failure) -> bool {
    tracing::warn!(lun = %disk.lun, %failure, "cannot open the LUN");
    disk.facts_mut().trouble = Some(Trouble::Failed(failure));
    daemon.disks.entries().insert(disk.key(), Arc::new(disk));
    false
}

/// Why a disk must not be shown: a bound volume says that another one is at its place.
fn wrong_identity(daemon: &Daemon, disk: &Disk) -> Option<Failure> {
    let lun = disk.lun.as_u64();
    let expected = volumes::expected_at(&daemon.records, &disk.target, lun)?;
    let found = disk.identity().map(|identity| identity.as_str());
    if found == Some(expected.as_str()) {
        return None;
    }
    Some(wrong_disk_failure(&disk.target, lun, &expected, found))
}

fn wrong_disk_failure(target: &str, lun: u64, expected: &str, found: Option<&str>) -> Failure {
    let found = found.unwrap_or("a disk without identity");
    let message = format!(
        "LUN {} of {target} is {found}, but {expected} is bound there: it is refused",
        lun_text(lun)
    );
    Failure::new(Status::DEVICE_NOT_FOUND, message)
        .with_target(target)
        .with_peer_said(found)
        .with_advice(
            "put the right disk back; or, if the change is meant, unbind what was bound on it",
        )
}

fn tell_wrong(daemon: &Daemon, disk: &Disk, failure: Failure) {
    let news = News::error("wrong-disk", failure).session(disk.session);
    daemon.events.tell(news.lun(disk.lun.as_u64()));
}

/// Takes one disk away: our mounts, what shows it, then the entry.
async fn take_away(daemon: &Daemon, disk: &Arc<Disk>) {
    disk.facts_mut().trouble = Some(Trouble::Removing);
    daemon.volumes.look_again();
    volumes::unmount_ours(daemon, &disk.facts()).await;
    let export = disk.export.lock().await.take();
    if let Some(export) = export {
        for what in export.remove().await.left_behind {
            let failure = Failure::new(
                Status::DEVICE_BUSY_ON_SESSION,
                format!("left behind: {what}"),
            );
            let failure = failure
                .with_target(&disk.target)
                .with_advice("it goes by itself when its last user lets go");
            let news = News::warning("left-behind", failure).session(disk.session);
            daemon.events.tell(news.lun(disk.lun.as_u64()));
        }
    }
    let freed = {
        let mut entries = daemon.disks.entries();
        let present = entries.get(&disk.key());
        if present.is_some_and(|present| Arc::ptr_eq(present, disk)) {
            entries.remove(&disk.key());
        }
        other_way(&mut entries, disk)
    };
    if let Some(entry) = freed.and_then(|session| daemon.sessions.get(session).ok()) {
        entry.scan.notify_one();
    }
}

/// Another session with the target may show the disk now: its entry goes, so that its next look finds
/// the disk anew.
fn other_way(entries: &mut BTreeMap<DiskKey, Arc<Disk>>, gone: &Disk) -> Option<SessionId> {
    let other = entries.values().find(|disk| {
        disk.target == gone.target && disk.lun == gone.lun && disk.is_sound() && !disk.is_shown()
    });
    let other = Arc::clone(other?);
    entries.remove(&other.key());
    Some(other.session)
}

/// Takes all disks of a session away, at once.
pub(crate) async fn take_away_all(daemon: &Arc<Daemon>, entry: &Entry) {
    let mut removals = JoinSet::new();
    for disk in daemon.disks.of_session(entry.id) {
        let daemon = Arc::clone(daemon);
        removals.spawn(async move { take_away(&daemon, &disk).await });
    }
    removals.join_all().await;
}

/// A LUN turned out to be another disk after a reconnect: no request reaches it any more, and it is no
/// longer shown.
pub(crate) async fn wrong_disk(
    daemon: &Arc<Daemon>,
    entry: &Arc<Entry>,
    lun: LunNumber,
    expected: &str,
    found: Option<&DiskIdentity>,
) {
    let Some(disk) = daemon.disks.entries().get(&key(entry, lun)).cloned() else {
        return;
    };
    let found = found.map(DiskIdentity::as_str);
    let failure = wrong_disk_failure(&disk.target, lun.as_u64(), expected, found);
    tell_wrong(daemon, &disk, failure);
    let daemon = Arc::clone(daemon);
    let entry = Arc::clone(entry);
    // Removal can take long; the session's other news must not wait for it.
    tokio::spawn(async move {
        take_away(&daemon, &disk).await;
        entry.scan.notify_one();
    });
}

/// The capacity of a LUN has changed: asks for it and tells who shows it.
pub(crate) fn size_changed(daemon: &Arc<Daemon>, entry: &Arc<Entry>, lun: LunNumber) {
    let Some(disk) = daemon.disks.entries().get(&key(entry, lun)).cloned() else {
        return;
    };
    let (daemon, entry) = (Arc::clone(daemon), Arc::clone(entry));
    tokio::spawn(async move {
        let Some(handle) = &disk.handle else { return };
        let geometry = match handle.refresh().await {
            Ok(geometry) => geometry,
            Err(error) => {
                let failure = failures::of_session(&error, &disk.target);
                return daemon
                    .events
                    .tell(News::warning("size-unknown", failure).session(entry.id));
            }
        };
        if let Some(export) = &*disk.export.lock().await
            && let Err(error) = export.set_geometry_changed().await
        {
            entry.note(format!("LUN {lun}: its device keeps the old size: {error}"));
        }
        let message = format!(
            "LUN {lun} of {} has {} bytes now",
            disk.target, geometry.size
        );
        let news = News::info("size-changed", message)
            .target(&disk.target)
            .session(entry.id);
        daemon.events.tell(news.lun(lun.as_u64()));
    });
}

/// What to know of the sessions and records to show a disk.
pub(crate) struct Around<'a> {
    /// Its session.
    pub(crate) entry: Option<&'a Entry>,
    /// Its login is persistent.
    pub(crate) persistent: bool,
    /// Bound paths that need it.
    pub(crate) bound_paths: Vec<String>,
    /// Who uses it.
    pub(crate) holders: Vec<String>,
}

/// A disk as the RPC shows it.
pub(crate) fn show_disk(disk: &Disk, around: Around<'_>) -> v1::Disk {
    let facts = disk.facts();
    let (state, reason) = state_of(disk, &facts, around.entry);
    let inquiry = disk.handle.as_ref().map(Lun::inquiry);
    let geometry = disk.handle.as_ref().map(|handle| handle.geometry());
    let text = |path: &Option<PathBuf>| {
        path.as_ref()
            .map_or(String::new(), |path| path.display().to_string())
    };
    let device = facts.node.clone().or_else(|| facts.fuse_file.clone());
    v1::Disk {
        target_name: disk.target.clone(),
        lun: disk.lun.as_u64(),
        lun_number: disk.lun.number(),
        session_id: Some(disk.session),
        bytes: geometry.map_or(0, |geometry| geometry.size),
        block_size: geometry.map_or(0, |geometry| geometry.block_size),
        physical_block_size: geometry.map_or(0, |geometry| geometry.physical_block_size),
        identity: disk
            .identity()
            .map(|identity| volumes::show_identity(identity.as_str())),
        vendor: inquiry
            .map(|inquiry| inquiry.vendor.clone())
            .unwrap_or_default(),
        product: inquiry
            .map(|inquiry| inquiry.product.clone())
            .unwrap_or_default(),
        revision: inquiry
            .map(|inquiry| inquiry.revision.clone())
            .unwrap_or_default(),
        serial: disk
            .handle
            .as_ref()
            .and_then(Lun::serial)
            .unwrap_or_default()
            .to_owned(),
        device_type: inquiry.map_or(0, |inquiry| inquiry.device_type.into()),
        read_only: geometry.is_some_and(|geometry| geometry.read_only),
        state: state.into(),
        reason: reason.map(Into::into),
        export_kind: facts.kind.into(),
        device: text(&device),
        device_number: facts
            .block
            .map(|block| block.to_string())
            .unwrap_or_default(),
        fuse_path: text(&facts.fuse_file),
        nbd_address: facts.nbd_uri.clone(),
        links: facts
            .links
            .iter()
            .map(|link| link.display().to_string())
            .collect(),
        holders: around.holders,
        bound_paths: around.bound_paths,
        persistent: around.persistent,
        nbd_tcp_address: facts
            .nbd_tcp
            .map(|address| format!("nbd://{address}"))
            .unwrap_or_default(),
    }
}

fn state_of(disk: &Disk, facts: &Facts, entry: Option<&Entry>) -> (v1::DiskState, Option<Failure>) {
    match &facts.trouble {
        Some(Trouble::Removing) => return (v1::DiskState::Removing, None),
        Some(Trouble::Wrong(failure)) => {
            return (v1::DiskState::WrongIdentity, Some(failure.clone()));
        }
        Some(Trouble::Failed(failure) | Trouble::Missing(failure)) => {
            return (v1::DiskState::Failed, Some(failure.clone()));
        }
        None => {}
    }
    if disk.handle.is_none() {
        return (v1::DiskState::Preparing, None);
    }
    match entry {
        Some(entry) if entry.view().is_none() => lost_state(entry),
        _ => (v1::DiskState::Ready, None),
    }
}

/// The state of the disks of a session that is lost.
fn lost_state(entry: &Entry) -> (v1::DiskState, Option<Failure>) {
    let why = entry.last_error().unwrap_or_else(|| {
        Failure::new(Status::NO_CONNECTION_AVAILABLE, "its session is lost")
            .with_target(&entry.origin.target)
    });
    if entry.hold_is_over() {
        let advice = "I/O failed after the hold time: once the session is back, unmount, check and \
                      mount what is on it again; on_lost = hold waits for ever";
        return (v1::DiskState::Failed, Some(why.with_advice(advice)));
    }
    (v1::DiskState::Held, Some(why))
}
