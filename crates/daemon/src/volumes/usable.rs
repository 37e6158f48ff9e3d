//! Which bound volumes are usable, and what is missing of the others; has those mounted that are not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hawser_api::{Failure, Status, v1};
use hawser_store::{BoundVolume, MountedBy};

use super::judge::{Verdict, judge};
use super::mounting::{Job, want_mount};
use crate::daemon::Daemon;
use crate::device_number::DeviceNumber;
use crate::events::News;

/// How often the volumes are looked at when nothing is heard: mounts change without a word to us.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// What is known of a bound volume now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Whether it is usable.
    pub(crate) state: State,
    /// The device that it is on.
    pub(crate) device: Option<PathBuf>,
    /// Who mounts it, as the machine is set up now.
    pub(crate) mounted_by: Option<MountedBy>,
    pub(super) job: Job,
    /// The disk from which it was mounted last. When it is no longer, somebody unmounted it.
    pub(super) mounted: Option<DeviceNumber>,
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
