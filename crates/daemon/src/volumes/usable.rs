//! Which bound volumes are usable, and what is missing of the others; has those mounted that are ours
//! to mount.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hawser_api::{Failure, Status, v1};
use hawser_engine::{LoginFailure, SessionState};
use hawser_store::{BoundDisk, BoundKind, BoundVolume, MountedBy};
use tokio::task::JoinSet;

use super::mount::{self, MountOrder};
use super::mountinfo::MountTable;
use super::resolve::lun_text;
use super::tools::{SystemTools, Tools};
use super::{identity, unmount_for_good};
use crate::daemon::Daemon;
use crate::device_number::DeviceNumber;
use crate::devices::Disk;
use crate::events::News;
use crate::{failures, logins};

/// How often the volumes are looked at when nothing is heard: mounts change without a word to us.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// First pause after a failed mount; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause after a failed mount.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Longest time for which the daemon's end waits for mounts that are being made.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What is known of a bound volume now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Whether it is usable.
    pub(crate) state: State,
    /// The device that it is on.
    pub(crate) device: Option<PathBuf>,
    /// Who mounts it, as the machine is set up now.
    pub(crate) mounted_by: Option<MountedBy>,
    job: Job,
    /// The device that was mounted there last. When it is no longer, somebody unmounted it.
    mounted: Option<DeviceNumber>,
}

/// The state of a bound volume.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum State {
    /// Not looked at yet.
    #[default]
    Unknown,
    /// There, and who it should be.
    Usable,
    /// Something is missing that may come.
    Waiting(Failure),
    /// Another disk came.
    Wrong(Failure),
    /// It cannot come without help.
    Failed(Failure),
}

impl State {
    /// The state as the RPC says it.
    pub(crate) fn show(&self) -> (v1::BoundState, Option<Failure>) {
        match self {
            Self::Unknown => {
                let failure = Failure::new(Status::DEVICE_NOT_FOUND, "it is being looked at");
                (v1::BoundState::Waiting, Some(failure))
            }
            Self::Usable => (v1::BoundState::Usable, None),
            Self::Waiting(failure) => (v1::BoundState::Waiting, Some(failure.clone())),
            Self::Wrong(failure) => (v1::BoundState::WrongIdentity, Some(failure.clone())),
            Self::Failed(failure) => (v1::BoundState::Failed, Some(failure.clone())),
        }
    }
}

/// A mount of ours.
#[derive(Debug, Clone, Default)]
enum Job {
    #[default]
    Idle,
    Running,
    Failed {
        why: Failure,
        at: Instant,
        pause: Duration,
    },
}

/// What a look at a volume says.
struct Verdict {
    state: State,
    device: Option<PathBuf>,
    mounted_by: MountedBy,
    /// Mounted there as it should be.
    mounted: Option<DeviceNumber>,
    /// It should be mounted by us, from this disk.
    mountable: Option<DeviceNumber>,
}

/// Keeps the volumes: looks at them whenever something happens, until the daemon ends.
pub(crate) async fn keep(daemon: Arc<Daemon>) {
    loop {
        look(&daemon).await;
        tokio::select! {
            () = daemon.stopped() => return,
            () = daemon.volumes.wake.notified() => {}
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
    }
}

/// Looks at all volumes once.
pub(crate) async fn look(daemon: &Arc<Daemon>) {
    let _looking = daemon.volumes.looking.lock().await;
    let volumes = daemon.records.all::<BoundVolume>();
    let judge = {
        let (daemon, volumes) = (Arc::clone(daemon), volumes.clone());
        tokio::task::spawn_blocking(move || {
            let mounts = daemon.host.mounts();
            let judged = volumes
                .iter()
                .map(|volume| judge(&daemon, volume, mounts.as_ref()));
            judged.collect::<Vec<_>>()
        })
    };
    let Ok(verdicts) = judge.await else { return };
    let mut changed = false;
    for (volume, verdict) in volumes.iter().zip(verdicts) {
        changed |= take(daemon, volume, verdict);
    }
    {
        let mut known = daemon.volumes.known();
        let before = known.len();
        known.retain(|path, _| volumes.iter().any(|volume| volume.path == *path));
        changed |= known.len() != before;
    }
    if changed {
        daemon.volumes.changed.send_modify(|count| *count += 1);
        notify_status(daemon, &volumes);
    }
}

/// Takes a verdict in; starts the mount that it asks for. Gives whether anything changed.
fn take(daemon: &Arc<Daemon>, volume: &BoundVolume, verdict: Verdict) -> bool {
    let mut all = daemon.volumes.known();
    let known = all.entry(volume.path.clone()).or_default();
    let mut state = verdict.state;
    known.device = verdict.device;
    known.mounted_by = Some(verdict.mounted_by);
    if verdict.mounted.is_some() && matches!(known.job, Job::Failed { .. }) {
        known.job = Job::Idle;
    }
    // A disk that is away comes back as another device: what was mounted then does not count.
    if verdict.mountable.is_none() {
        known.mounted = verdict.mounted;
    }
    if let Some(number) = verdict.mountable {
        state = want_mount(daemon, volume, known, number);
    }
    let changed = state != known.state;
    if changed {
        tell(daemon, volume, &known.state, &state);
        known.state = state;
    }
    changed
}

/// What becomes of a volume that we should mount from the disk with this number.
fn want_mount(
    daemon: &Arc<Daemon>,
    volume: &BoundVolume,
    known: &mut Known,
    number: DeviceNumber,
) -> State {
    let being_mounted = || {
        State::Waiting(Failure::new(
            Status::DEVICE_NOT_FOUND,
            "it is being mounted",
        ))
    };
    if daemon.is_stopping() {
        return State::Waiting(Failure::new(
            Status::SERVICE_NOT_RUNNING,
            "the daemon is stopping",
        ));
    }
    match &known.job {
        Job::Running => being_mounted(),
        Job::Failed { why, at, pause } if at.elapsed() < *pause => State::Failed(why.clone()),
        Job::Idle if known.mounted == Some(number) => {
            let message = format!("{} was unmounted by somebody", volume.path);
            let advice = "mount it again by hand, or unbind it";
            State::Failed(Failure::new(Status::DEVICE_NOT_FOUND, message).with_advice(advice))
        }
        job => {
            let pause = match job {
                Job::Failed { pause, .. } => (*pause * 2).min(LONGEST_PAUSE),
                _ => FIRST_PAUSE,
            };
            let again = match job {
                // While it is tried again the reason of the failure stays to be seen.
                Job::Failed { why, .. } => State::Failed(why.clone()),
                _ => being_mounted(),
            };
            known.job = Job::Running;
            tokio::spawn(carry_out(Arc::clone(daemon), volume.clone(), number, pause));
            again
        }
    }
}

/// Mounts a volume and keeps what came of it.
async fn carry_out(daemon: Arc<Daemon>, volume: BoundVolume, disk: DeviceNumber, pause: Duration) {
    let done = {
        let _mounting = daemon.volumes.mounting.read().await;
        if daemon.is_stopping() {
            return;
        }
        mount_volume(&daemon, &volume, disk).await
    };
    let job = match done {
        Ok(()) => {
            let message = format!("mounted {}", volume.path);
            daemon
                .events
                .tell(News::info("mounted", message).path(&volume.path));
            Job::Idle
        }
        Err(why) => Job::Failed {
            why,
            at: Instant::now(),
            pause,
        },
    };
    if let Some(known) = daemon.volumes.known().get_mut(&volume.path) {
        known.job = job;
        known.mounted = None;
    }
    daemon.volumes.look_again();
}

/// Mounts a volume from a disk that was judged to be the right one.
async fn mount_volume(
    daemon: &Daemon,
    volume: &BoundVolume,
    disk: DeviceNumber,
) -> Result<(), Failure> {
    let failed = |what: String| {
        Failure::new(
            Status::DEVICE_NOT_FOUND,
            format!("{} cannot be mounted: {what}", volume.path),
        )
    };
    let number = filesystem_device(daemon, volume, disk).await?;
    let name = daemon
        .host
        .sysfs
        .name(number)
        .ok_or_else(|| failed("its device is gone".into()))?;
    let device = Path::new("/dev").join(name);
    let mount_point = Path::new(&volume.resolved_path);
    super::bind::refuse_nested(&daemon.host, &logins::own_disks(daemon), mount_point)?;
    let is_there = |mounts: &MountTable| {
        let mount = mounts.mounted_at(mount_point);
        mount.is_some_and(|mount| is_device(mount.device, &mount.fs_type, number))
    };
    if is_there(&daemon.host.mounts()?) {
        return Ok(());
    }
    let order = MountOrder {
        device: &device,
        mount_point,
        fs_type: volume.fs_type.as_deref().unwrap_or_default(),
        options: &volume.mount_options,
    };
    mount::mount(&order).await.map_err(|why| {
        failed(why.clone())
            .with_peer_said(why)
            .with_advice("try it by hand, and look at the kernel's log")
    })?;
    if is_there(&daemon.host.mounts()?) {
        return Ok(());
    }
    Err(failed("it was mounted, and is not at its place".into()))
}

/// btrfs mounts have a device number of their own.
fn is_device(mounted: DeviceNumber, fs_type: &str, number: DeviceNumber) -> bool {
    mounted == number || (mounted.major == 0 && fs_type == "btrfs")
}

/// The device that carries the bound filesystem: the disk or a partition of it, by the UUIDs that were
/// recorded.
async fn filesystem_device(
    daemon: &Daemon,
    volume: &BoundVolume,
    disk: DeviceNumber,
) -> Result<DeviceNumber, Failure> {
    let sysfs = &daemon.host.sysfs;
    let unreadable = |error: std::io::Error| super::resolve::unreadable("/sys", &error);
    let mut candidates = vec![(None, disk)];
    if volume.partition_number.is_some() {
        let parts = sysfs.partitions(disk).map_err(unreadable)?;
        candidates = parts
            .into_iter()
            .map(|part| (Some(part.number), part.device))
            .collect();
        // The one with the recorded number is the likeliest.
        candidates.sort_by_key(|(number, _)| *number != volume.partition_number);
    }
    let mut found = Vec::new();
    for (_, device) in candidates {
        let Some(name) = sysfs.name(device) else {
            continue;
        };
        let probe = SystemTools.probe(&Path::new("/dev").join(&name)).await?;
        let same = |recorded: &Option<String>, seen: &str| {
            recorded.as_ref().is_none_or(|recorded| recorded == seen)
        };
        if same(&volume.fs_uuid, &probe.fs_uuid)
            && same(&volume.partition_uuid, &probe.partition_uuid)
        {
            return Ok(device);
        }
        let uuid = if probe.fs_uuid.is_empty() {
            "none"
        } else {
            &probe.fs_uuid
        };
        found.push(format!("{name} has {uuid}"));
    }
    let wanted = volume.fs_uuid.as_deref().unwrap_or("its partition");
    let seen = if found.is_empty() {
        "no partition is there".to_owned()
    } else {
        found.join(", ")
    };
    let message = format!(
        "the filesystem {wanted} of {} is not on its disk: {seen}",
        volume.path
    );
    Err(Failure::new(Status::DEVICE_NOT_FOUND, message)
        .with_advice("the disk was changed since: bind the path again if that is meant"))
}

/// Judges one volume by what is there now. Reads tables only.
fn judge(daemon: &Daemon, volume: &BoundVolume, mounts: Result<&MountTable, &Failure>) -> Verdict {
    let mounted_by = mounted_by(daemon, volume);
    let verdict = |state, device| Verdict {
        state,
        device,
        mounted_by,
        mounted: None,
        mountable: None,
    };
    let disks: Vec<Arc<Disk>> = match volume
        .disks
        .iter()
        .map(|bound| bound_disk(daemon, bound))
        .collect()
    {
        Ok(disks) => disks,
        Err(state) => return verdict(state, None),
    };
    let Some(first) = disks.first() else {
        let failure = Failure::new(Status::CACHE_CORRUPTED, "the record names no disk");
        return verdict(State::Failed(failure), None);
    };
    let facts = first.facts();
    let Some(block) = facts.block else {
        return judge_without_block(volume, first, verdict);
    };
    if volume.kind == BoundKind::Device && is_stacked(volume) {
        return match stacked_device(daemon, volume, &disks) {
            Ok(node) => verdict(State::Usable, Some(node)),
            Err(failure) => verdict(State::Waiting(failure), None),
        };
    }
    let device = match device_of(daemon, volume, block) {
        Ok(device) => device,
        Err(failure) => return verdict(State::Waiting(failure), None),
    };
    let node = daemon
        .host
        .sysfs
        .name(device)
        .map(|name| Path::new("/dev").join(name));
    if mounted_by != MountedBy::Hawser {
        return verdict(State::Usable, node);
    }
    let mounts = match mounts {
        Ok(mounts) => mounts,
        Err(failure) => return verdict(State::Failed(failure.clone()), node),
    };
    let place = Path::new(&volume.resolved_path);
    let mut judged = verdict(State::Usable, node);
    match mounts.mounted_at(place) {
        Some(mount) if is_device(mount.device, &mount.fs_type, device) => {
            judged.mounted = Some(block);
        }
        Some(mount) => {
            let message = format!(
                "{} is mounted at {} instead",
                mount.source.display(),
                volume.path
            );
            let failure = Failure::new(Status::DEVICE_NOT_FOUND, message);
            judged.state = State::Failed(failure.with_advice("unmount it"));
        }
        None => judged.mountable = Some(block),
    }
    judged
}

/// A device that was bound is no disk of ours nor a partition of one, but built on them: LVM, dm-crypt,
/// md. Ours are loop devices.
fn is_stacked(volume: &BoundVolume) -> bool {
    let name = volume.resolved_path.strip_prefix("/dev/");
    name.is_some_and(|name| !name.starts_with("loop"))
}

/// The node of a stacked device, once the system has put it together from the right disks. Device nodes
/// lie in `/dev`, so this look is no I/O on a disk.
fn stacked_device(
    daemon: &Daemon,
    volume: &BoundVolume,
    disks: &[Arc<Disk>],
) -> Result<PathBuf, Failure> {
    let path = Path::new(&volume.path);
    let absent = |what: String| {
        Failure::new(Status::DEVICE_NOT_FOUND, format!("{}: {what}", volume.path))
            .with_advice("its disks are there: it is for the system to put it together")
    };
    let metadata = std::fs::metadata(path).map_err(|error| absent(error.to_string()))?;
    if !metadata.file_type().is_block_device() {
        return Err(absent("it is no block device".to_owned()));
    }
    let (major, minor) = (
        nix::sys::stat::major(metadata.rdev()),
        nix::sys::stat::minor(metadata.rdev()),
    );
    let number = |half: u64| u32::try_from(half).unwrap_or(u32::MAX);
    let device = DeviceNumber::new(number(major), number(minor));
    let stack = daemon
        .host
        .sysfs
        .stack_under(device)
        .map_err(|error| absent(error.to_string()))?;
    let ours = disks.iter().filter_map(|disk| disk.facts().block).collect();
    if stack.disks != ours {
        return Err(absent(
            "it does not lie on the disks that were bound".to_owned(),
        ));
    }
    Ok(path.to_owned())
}

/// A disk that is a file or socket here can only be bound as a device.
fn judge_without_block(
    volume: &BoundVolume,
    disk: &Disk,
    verdict: impl Fn(State, Option<PathBuf>) -> Verdict,
) -> Verdict {
    let path = disk.facts().fuse_file;
    if volume.kind == BoundKind::Device {
        return verdict(State::Usable, path);
    }
    let message = format!(
        "LUN {} of {} is not shown as a block device here",
        disk.lun, disk.target
    );
    let failure = Failure::new(Status::DEVICE_NOT_FOUND, message)
        .with_target(&disk.target)
        .with_advice("run the daemon with the right to use loop devices: see `hawser status`");
    verdict(State::Failed(failure), path)
}

/// Who mounts a volume, as fstab and units are now.
pub(super) fn mounted_by(daemon: &Daemon, volume: &BoundVolume) -> MountedBy {
    if volume.kind == BoundKind::Device {
        return MountedBy::Nobody;
    }
    match daemon.host.owner_of(Path::new(&volume.resolved_path)) {
        Ok(Some(_)) => MountedBy::System,
        Ok(None) => MountedBy::Hawser,
        // Rather leave it to the system than mount over it.
        Err(_) => MountedBy::System,
    }
}

/// The device of a volume: the disk, or its partition by the recorded number.
fn device_of(
    daemon: &Daemon,
    volume: &BoundVolume,
    block: DeviceNumber,
) -> Result<DeviceNumber, Failure> {
    let Some(number) = volume.partition_number else {
        return Ok(block);
    };
    let partitions = daemon.host.sysfs.partitions(block);
    let partitions = partitions.map_err(|error| super::resolve::unreadable("/sys", &error))?;
    let found = partitions
        .iter()
        .find(|partition| partition.number == number);
    found.map(|partition| partition.device).ok_or_else(|| {
        Failure::new(
            Status::DEVICE_NOT_FOUND,
            format!("its disk has no partition {number} now"),
        )
    })
}

/// The disk of ours that a record names, if it is there and usable.
fn bound_disk(daemon: &Daemon, bound: &BoundDisk) -> Result<Arc<Disk>, State> {
    let wanted = identity::text(&bound.identity);
    let disks = daemon.disks.of_target(&bound.target_name);
    let is_wanted = |disk: &&Arc<Disk>| {
        disk.identity()
            .is_some_and(|found| found.as_str() == wanted)
    };
    let found = disks.iter().filter(is_wanted).max_by_key(|disk| {
        // Several paths to one disk: the one that is shown counts.
        (
            disk.trouble().is_none(),
            disk.facts().block.is_some(),
            disk.lun.as_u64() == bound.lun,
        )
    });
    if let Some(disk) = found {
        return match (disk.trouble(), session_trouble(daemon, disk)) {
            (Some(failure), _) if disk.is_wrong() => Err(State::Wrong(failure)),
            (Some(failure), _) | (None, Some(failure)) => Err(State::Waiting(failure)),
            (None, None) => Ok(Arc::clone(disk)),
        };
    }
    if let Some(disk) = disks.iter().find(|disk| disk.lun.as_u64() == bound.lun) {
        return Err(match disk.trouble() {
            Some(failure) if disk.is_wrong() => State::Wrong(failure),
            Some(failure) => State::Waiting(failure),
            None => State::Waiting(absent(daemon, bound, &wanted)),
        });
    }
    if !logins::is_persistent(daemon, &bound.target_name) && disks.is_empty() {
        let message = format!(
            "there is no persistent login to {} any more",
            bound.target_name
        );
        let advice = format!(
            "run `hawser login {} --persist`, or unbind the path",
            bound.target_name
        );
        let failure = Failure::new(Status::DEVICE_NOT_ISCSI_OR_PERSISTENT, message);
        return Err(State::Failed(
            failure.with_target(&bound.target_name).with_advice(advice),
        ));
    }
    Err(State::Waiting(absent(daemon, bound, &wanted)))
}

/// Why the session of a disk cannot carry I/O now.
fn session_trouble(daemon: &Daemon, disk: &Disk) -> Option<Failure> {
    let entry = daemon.sessions.get(disk.session).ok()?;
    if entry.view().is_some() {
        return None;
    }
    Some(entry.last_error().unwrap_or_else(|| {
        let message = format!("the session with {} is lost", disk.target);
        Failure::new(Status::NO_CONNECTION_AVAILABLE, message).with_target(&disk.target)
    }))
}

/// Why a disk is not there: the session's trouble, else that the target does not show it.
fn absent(daemon: &Daemon, bound: &BoundDisk, wanted: &str) -> Failure {
    let target = &bound.target_name;
    let sessions = daemon.sessions.of_target(target);
    let Some(entry) = sessions
        .iter()
        .find(|entry| entry.view().is_some())
        .or(sessions.first())
    else {
        let message = format!("there is no session with {target}");
        return Failure::new(Status::DEVICE_NOT_FOUND, message)
            .with_target(target)
            .with_advice(format!("run `hawser login {target}`"));
    };
    match entry.engine.state() {
        SessionState::Up(_) => {
            let lun = lun_text(bound.lun);
            let message =
                format!("{wanted} (LUN {lun} of {target}) is not among the target's disks");
            Failure::new(Status::DEVICE_NOT_FOUND, message)
                .with_target(target)
                .with_advice("look at the target's LUNs and at `hawser disk list`")
        }
        SessionState::Connecting { last_failure } | SessionState::Lost { last_failure, .. } => {
            unreachable_target(target, last_failure.as_ref(), entry.last_error())
        }
        _ => Failure::new(
            Status::DEVICE_NOT_FOUND,
            format!("the session with {target} has ended"),
        )
        .with_target(target),
    }
}

fn unreachable_target(
    target: &str,
    last: Option<&LoginFailure>,
    earlier: Option<Failure>,
) -> Failure {
    let told = last.map(failures::of_login).or(earlier);
    told.unwrap_or_else(|| {
        let message = format!("the login to {target} is under way");
        Failure::new(Status::DEVICE_NOT_FOUND, message).with_target(target)
    })
}

/// Tells of a change of state.
fn tell(daemon: &Daemon, volume: &BoundVolume, before: &State, now: &State) {
    let path = &volume.path;
    let news = match (before, now) {
        (_, State::Usable) => News::info("volume-usable", format!("{path} is usable")),
        (State::Usable, State::Waiting(failure)) => News::warning("volume-lost", failure.clone()),
        (_, State::Wrong(failure)) => News::error("volume-wrong-disk", failure.clone()),
        (_, State::Failed(failure)) => News::error("volume-failed", failure.clone()),
        _ => return,
    };
    daemon.events.tell(news.path(path));
}

/// Tells the service manager how many are usable.
fn notify_status(daemon: &Daemon, volumes: &[BoundVolume]) {
    let known = daemon.volumes.known();
    let usable = |volume: &&BoundVolume| {
        known
            .get(&volume.path)
            .is_some_and(|known| known.state == State::Usable)
    };
    let count = volumes.iter().filter(usable).count();
    let status = format!("{count} of {} bound volumes usable", volumes.len());
    crate::run::notify(&[sd_notify::NotifyState::Status(&status)]);
}

/// Unmounts what Hawser mounts, at the daemon's end.
pub(crate) async fn unmount_all(daemon: &Arc<Daemon>) {
    // Mounts that are being made come to their end first, or are left.
    let _mounting = tokio::time::timeout(STOP_LIMIT, daemon.volumes.mounting.write()).await;
    let Ok(mounts) = daemon.host.mounts() else {
        return;
    };
    let mut unmounting = JoinSet::new();
    for volume in daemon.records.all::<BoundVolume>() {
        let verdict = judge_mounted(daemon, &volume, &mounts);
        if verdict {
            let daemon = Arc::clone(daemon);
            let place = PathBuf::from(volume.resolved_path);
            unmounting.spawn(async move { unmount_for_good(&daemon, &place).await });
        }
    }
    unmounting.join_all().await;
}

/// Whether a volume is one of ours to mount, and mounted from one of our disks, whatever its session
/// does now.
fn judge_mounted(daemon: &Daemon, volume: &BoundVolume, mounts: &MountTable) -> bool {
    let Some(mount) = mounts.mounted_at(Path::new(&volume.resolved_path)) else {
        return false;
    };
    if mounted_by(daemon, volume) != MountedBy::Hawser {
        return false;
    }
    let own = daemon
        .disks
        .all()
        .into_iter()
        .filter_map(|disk| disk.facts().block);
    let mut devices = own.flat_map(|block| {
        let parts = daemon.host.sysfs.partitions(block).unwrap_or_default();
        std::iter::once(block).chain(parts.into_iter().map(|part| part.device))
    });
    devices.any(|device| is_device(mount.device, &mount.fs_type, device))
}
