//! Waits for the bound volumes.

use std::sync::Arc;
use std::time::Duration;

use hawser_api::v1;
use hawser_store::BoundVolume;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::daemon::Daemon;

/// Longest wait that can be asked for: a week. Beyond it is a mistake.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 86_400);

/// Tells how the volumes stand, now and at each change, until all are usable, the time is over, or
/// nobody listens any more.
pub(crate) async fn wait<E>(
    daemon: Arc<Daemon>,
    timeout: Option<Duration>,
    listener: mpsc::Sender<Result<v1::WaitUpdate, E>>,
) {
    let limit = timeout
        .unwrap_or(daemon.config.wait_timeout)
        .min(LONGEST_WAIT);
    let end = Instant::now() + limit;
    let mut changes = daemon.volumes.changed.subscribe();
    // What is known may be older than the call.
    super::usable::look(&daemon).await;
    loop {
        changes.mark_unchanged();
        let update = stand(&daemon, end);
        let over = update.outcome() != v1::WaitOutcome::Pending;
        if listener.send(Ok(update)).await.is_err() || over {
            return;
        }
        tokio::select! {
            () = daemon.stopped() => return,
            () = listener.closed() => return,
            _ = changes.changed() => {}
            () = tokio::time::sleep_until(end) => {}
        }
    }
}

/// How the volumes stand.
fn stand(daemon: &Daemon, end: Instant) -> v1::WaitUpdate {
    let volumes = daemon.records.all::<BoundVolume>();
    let shown = volumes.iter().map(|volume| daemon.volumes.show(volume));
    let missing: Vec<_> = shown
        .filter(|volume| volume.state() != v1::BoundState::Usable)
        .collect();
    let remaining = end.saturating_duration_since(Instant::now());
    let outcome = if missing.is_empty() {
        v1::WaitOutcome::AllUsable
    } else if remaining.is_zero() {
        v1::WaitOutcome::TimedOut
    } else {
        v1::WaitOutcome::Pending
    };
    let over = outcome != v1::WaitOutcome::Pending;
    v1::WaitUpdate {
        outcome: outcome.into(),
        total: u32::try_from(volumes.len()).unwrap_or(u32::MAX),
        missing,
        remaining_ms: if over {
            0
        } else {
            u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX)
        },
    }
}
