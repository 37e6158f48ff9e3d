//! Binds everything: the list of bound volumes is made anew from what is there.

use std::sync::Arc;

use hawser_api::{Failure, Status, v1};
use hawser_store::{BoundKind, BoundVolume};

use super::bind::{Wanted, check_count, is_same, plain, record};
use super::usable;
use crate::daemon::Daemon;
use crate::devices::usage;
use crate::events::News;
use crate::sessions;

/// The list anew.
#[derive(Debug, Default)]
struct Anew {
    volumes: Vec<BoundVolume>,
    skipped: Vec<v1::SkippedVolume>,
}

/// Makes the list anew from what is now on disks of persistent logins: what was bound and can be bound
/// again, their mount points, and the disks on which none of these is.
///
/// What was bound and cannot be bound now, because its disk is away, would be lost from the list: that
/// is refused unless `drop_absent`.
pub(crate) async fn bind_all(
    daemon: &Arc<Daemon>,
    drop_absent: bool,
) -> Result<v1::BindAllResponse, Failure> {
    daemon.refuse_if_stopping()?;
    let _binding = daemon.volumes.binding.lock().await;
    let before = daemon.records.all::<BoundVolume>();
    let mut anew = Anew::default();
    for volume in &before {
        anew.add(daemon, &volume.path, Some(volume)).await;
    }
    let absent = std::mem::take(&mut anew.skipped);
    if !absent.is_empty() && !drop_absent {
        return Err(would_drop(&absent));
    }
    for path in candidates(daemon)? {
        anew.add(daemon, &path, None).await;
    }
    // Nothing is left out without a word.
    check_count(anew.volumes.len())?;
    daemon.records.replace_all(anew.volumes).await?;
    sessions::apply_holds(daemon);
    usable::look(daemon).await;
    let volumes = daemon.volumes.show_all(&daemon.records);
    let message = format!("{} paths are bound", volumes.len());
    daemon.events.tell(News::info("bound", message));
    Ok(v1::BindAllResponse {
        volumes,
        skipped: anew.skipped,
        dropped: absent,
    })
}

impl Anew {
    /// Adds a path, unless it is something that is there already; `kept` is its present record.
    async fn add(&mut self, daemon: &Daemon, path: &str, kept: Option<&BoundVolume>) {
        let wanted = Wanted {
            path: path.to_owned(),
            // What was said when it was bound still counts.
            mount_options: kept.map_or_else(String::new, |kept| kept.mount_options.clone()),
            ..Wanted::default()
        };
        match record(daemon, &wanted, &plain(path)).await {
            Ok(volume) if self.has(&volume) => {}
            Ok(mut volume) => {
                volume.bound_at_ms = kept.map_or(volume.bound_at_ms, |kept| kept.bound_at_ms);
                self.volumes.push(volume);
            }
            Err(failure) => self.skipped.push(v1::SkippedVolume {
                path: path.to_owned(),
                reason: Some(failure.into()),
            }),
        }
    }

    /// The same is in the list, or what is on the disk: a path of its own for the disk adds nothing.
    fn has(&self, volume: &BoundVolume) -> bool {
        let is_on = |other: &BoundVolume| {
            let mut disks = other.disks.iter();
            volume.kind == BoundKind::Device
                && other.kind == BoundKind::Volume
                && disks.any(|disk| volume.disks.contains(disk))
        };
        let mut volumes = self.volumes.iter();
        volumes.any(|other| is_same(other, volume) || is_on(other))
    }
}

fn would_drop(absent: &[v1::SkippedVolume]) -> Failure {
    let paths: Vec<&str> = absent.iter().map(|volume| volume.path.as_str()).collect();
    let why = absent.first().and_then(|volume| volume.reason.as_ref());
    let why = why.map_or("", |reason| reason.message.as_str());
    let message = format!(
        "{} would no longer be bound, because what was bound is not there now: {why}",
        paths.join(", ")
    );
    Failure::new(Status::DEVICE_NOT_FOUND, message)
        .with_advice("wait until the targets are back, unbind these paths, or use --force")
}

/// The mount points on our disks, and a path of each disk: it is taken where none of them can be.
fn candidates(daemon: &Daemon) -> Result<Vec<String>, Failure> {
    let mut paths = Vec::new();
    for disk in daemon.disks.all() {
        let facts = disk.facts();
        // The oldest first, so that a second mount of a filesystem is the one that is left out.
        for mount in usage::mounts_on(&daemon.host, &facts)?.iter().rev() {
            let place = mount.mount_point.display().to_string();
            if !paths.contains(&place) {
                paths.push(place);
            }
        }
        paths.extend(facts.stable_path().map(|path| path.display().to_string()));
    }
    Ok(paths)
}
