//! The daemon's life: start, serve, stop, each in its order.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hawser_export::{ExportError, Exporter};
use hawser_store::{KeySource, Store, StoreError};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::net::UnixListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::daemon::Daemon;
use crate::events::News;
use crate::instance::{Instance, InstanceError};
use crate::records::Records;
use crate::{boot, rpc, security, sessions, volumes};

/// Longest time that calls under way get at the end.
const LAST_CALLS: Duration = Duration::from_secs(5);

/// Descriptors that the daemon may have open, as far as the system lets it: a session has one for each connection
/// and each disk that is shown, and one for each client of that. Not all that may be had: there are programs that try
/// each descriptor that they might have, and what mounts and makes filesystems runs with our limit.
const DESCRIPTORS: u64 = 65_536;

/// Why the daemon could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Its place is taken or not safe.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The store cannot be opened.
    #[error("{0}{advice}", advice = advice(.0))]
    Store(#[from] StoreError),
    /// What an earlier daemon left cannot be looked at.
    #[error("cannot clean up after an earlier daemon: {0}")]
    CleanUp(std::io::Error),
    /// Disks cannot be shown.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The store refuses what must be stored.
    #[error("{0}")]
    Refused(hawser_api::Failure),
    /// The RPC failed.
    #[error("the RPC failed: {0}")]
    Rpc(#[from] tonic::transport::Error),
    /// The system failed.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl RunError {
    /// Another daemon has what this one needs: the runtime directory, the socket, or the state.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(
            self,
            Self::Instance(InstanceError::InUse { .. }) | Self::Store(StoreError::InUse { .. })
        )
    }
}

fn advice(error: &StoreError) -> String {
    match error.advice() {
        "" => String::new(),
        advice => format!("; {advice}"),
    }
}

/// Runs a daemon until SIGTERM or SIGINT. Call it on a multi-threaded tokio runtime.
///
/// # Errors
/// Why it could not start, or what failed so that it cannot go on.
pub async fn run(config: Config) -> Result<(), RunError> {
    let failed = |source| RunError::System {
        what: "listen for signals",
        source,
    };
    raise_descriptor_limit();
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let end = async move {
        tokio::select! {
            _ = term.recv() => tracing::info!("SIGTERM: stopping"),
            _ = int.recv() => tracing::info!("SIGINT: stopping"),
        }
    };
    run_until(config, end).await
}

/// Asks for room for [`DESCRIPTORS`]: the limit that processes start with is 1024 for the sake of programs that
/// use `select`.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = DESCRIPTORS.min(hard);
        if wanted <= soft {
            return Ok(());
        }
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open descriptors");
    }
}

/// Runs a daemon until `end`.
///
/// # Errors
/// As [`run`].
pub async fn run_until(
    config: Config,
    end: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    let instance = Instance::take(&config)?;
    let (daemon, listener) = prepare(config, &instance).await?;
    let (stop_rpc, rpc_stopped) = oneshot::channel::<()>();
    let serving = rpc::serve(Arc::clone(&daemon), listener, async {
        // A dropped sender ends it as well.
        let _ = rpc_stopped.await;
    });
    let mut serving = tokio::spawn(serving);
    let mut tasks = JoinSet::new();
    tasks.spawn(volumes::keep(Arc::clone(&daemon)));
    tasks.spawn(boot::restore_logins(Arc::clone(&daemon)));
    tasks.spawn(boot::refresh_portals(Arc::clone(&daemon)));
    notify(&[NotifyState::Ready]);
    tracing::info!(socket = %daemon.config.socket.display(), "ready");
    let outcome = tokio::select! {
        () = end => Ok(()),
        served = &mut serving => served_outcome(served),
    };
    notify(&[NotifyState::Stopping]);
    stop(&daemon).await;
    tasks.abort_all();
    drop(stop_rpc);
    if !serving.is_finished()
        && tokio::time::timeout(LAST_CALLS, &mut serving)
            .await
            .is_err()
    {
        serving.abort();
    }
    remove_socket(&daemon.config);
    daemon.records.close();
    outcome
}

fn served_outcome(
    served: Result<Result<(), tonic::transport::Error>, tokio::task::JoinError>,
) -> Result<(), RunError> {
    match served {
        Ok(served) => served.map_err(RunError::Rpc),
        Err(error) => {
            let source = std::io::Error::other(error);
            Err(RunError::System {
                what: "serve calls",
                source,
            })
        }
    }
}

/// The start up to where calls can be taken: store, what an earlier daemon left, exporter, socket.
async fn prepare(
    config: Config,
    instance: &Instance,
) -> Result<(Arc<Daemon>, UnixListener), RunError> {
    let (state, runtime) = (config.state_dir.clone(), config.runtime_dir.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let store = Store::open(&state, &KeySource::of_this_process(&state))?;
        let cleaned = hawser_export::clean_up(&runtime).map_err(RunError::CleanUp)?;
        Ok::<_, RunError>((store, cleaned))
    });
    let (store, cleaned) = opened.await.map_err(|error| RunError::System {
        what: "start",
        source: std::io::Error::other(error),
    })??;
    for what in &cleaned.removed {
        tracing::info!(what, "cleaned up after an earlier daemon");
    }
    for what in &cleaned.left_behind {
        tracing::warn!(what, "left behind by an earlier daemon and still in use");
    }
    let records = Records::new(store);
    for damage in records.damages() {
        tracing::error!(%damage, "a stored record is damaged and refused");
    }
    // Made on first use, so that it never changes by itself later.
    security::node_name(&records)
        .await
        .map_err(RunError::Refused)?;
    let exporter = Exporter::new(&config.runtime_dir, config.export, Handle::current())?;
    let listener = instance.listen(&config.socket)?;
    let daemon = Arc::new(Daemon::new(config, records, exporter));
    daemon.events.tell(News::info(
        "started",
        format!("hawserd {}", env!("CARGO_PKG_VERSION")),
    ));
    Ok((daemon, listener))
}

/// The end, in order: mounts, exports, sessions.
async fn stop(daemon: &Arc<Daemon>) {
    daemon.begin_stop();
    volumes::unmount_all(daemon).await;
    let mut ending = JoinSet::new();
    for entry in daemon.sessions.all() {
        let daemon = Arc::clone(daemon);
        ending.spawn(async move {
            let _lock = daemon.lock_target(&entry.origin.target).await;
            if !entry.is_ending() {
                sessions::end(&daemon, &entry).await;
            }
        });
    }
    ending.join_all().await;
    tracing::info!("stopped");
}

fn remove_socket(config: &Config) {
    if let Err(error) = std::fs::remove_file(&config.socket) {
        tracing::debug!(%error, "the socket is gone already");
    }
}

/// Tells the service manager, if there is one.
pub(crate) fn notify(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, what) {
        tracing::debug!(%error, "cannot tell the service manager");
    }
}
