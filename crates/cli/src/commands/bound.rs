//! `hawser bind`, `unbind` and `bound`.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hawser_api::v1::{
    BindAllRequest, BindAllResponse, BindRequest, BoundKind, BoundState, BoundVolume,
    ListBoundRequest, MountedBy, PathView, UnbindAllRequest, UnbindRequest,
};
use serde::Serialize;

use super::Daemon;
use super::reason::{ReasonView, some, whole};
use crate::args::{BindArgs, OutputArgs, UnbindArgs};
use crate::error::CliError;
use crate::output::{self, Listing, ShownLun, to_json};
use crate::progress;

/// `hawser bind`.
///
/// # Errors
/// Why it failed.
pub(crate) async fn bind(daemon: &Daemon, args: BindArgs) -> Result<(), CliError> {
    let Some(path) = args.path else {
        return bind_all(daemon, args.force, args.output).await;
    };
    let path = absolute(&path)?;
    let device = args.device.as_deref().map(absolute).transpose()?;
    let request = BindRequest {
        path: text(&path)?,
        seen: view(&path),
        device: device.as_deref().map(text).transpose()?.unwrap_or_default(),
        fs_type: args.fs_type.unwrap_or_default(),
        mount_options: args.options.unwrap_or_default(),
    };
    let client = daemon.client().await?;
    let mut volumes = client.volumes();
    let what = format!("binding {}", path.display());
    let answer = progress::during(&what, volumes.bind(request))
        .await?
        .into_inner();
    let volume = answer.volume.unwrap_or_default();
    if let Some(note) = made_safe(&volume) {
        output::note(&note);
    }
    if args.output.json {
        return output::print(&to_json(&BoundView::from(&volume)));
    }
    output::print(&format!(
        "{}: bound, {}",
        path.display(),
        described(&volume)
    ))
}

async fn bind_all(daemon: &Daemon, drop_absent: bool, output: OutputArgs) -> Result<(), CliError> {
    let client = daemon.client().await?;
    let mut volumes = client.volumes();
    let asked = volumes.bind_all(BindAllRequest { drop_absent });
    let answer = progress::during("binding all volumes", asked)
        .await?
        .into_inner();
    for note in answer.volumes.iter().filter_map(made_safe) {
        output::note(&note);
    }
    for skipped in &answer.skipped {
        let why = skipped.reason.as_ref().map(whole).unwrap_or_default();
        output::note(&format!("left out: {}: {why}", skipped.path));
    }
    for dropped in &answer.dropped {
        let why = dropped.reason.as_ref().map(whole).unwrap_or_default();
        output::note(&format!("no longer bound: {}: {why}", dropped.path));
    }
    output::print(&bound_all(&answer, output))
}

fn bound_all(answer: &BindAllResponse, output: OutputArgs) -> String {
    if output.json {
        json(&answer.volumes)
    } else {
        table(&answer.volumes)
    }
}

/// `hawser unbind`.
///
/// # Errors
/// Why it failed.
pub(crate) async fn unbind(daemon: &Daemon, args: UnbindArgs) -> Result<(), CliError> {
    let Some(path) = args.path else {
        let client = daemon.client().await?;
        let paths = client
            .volumes()
            .unbind_all(UnbindAllRequest {})
            .await?
            .into_inner()
            .paths;
        let lines = paths
            .iter()
            .map(|path| format!("{}: unbound\n", hawser_api::printable(path)));
        let lines: String = lines.collect();
        return output::print(if lines.is_empty() {
            "nothing was bound\n"
        } else {
            &lines
        });
    };
    let path = absolute(&path)?;
    let request = UnbindRequest {
        path: text(&path)?,
        seen: view(&path),
    };
    let client = daemon.client().await?;
    let answer = client.volumes().unbind(request).await?.into_inner();
    output::print(&format!("{}: unbound", hawser_api::printable(&answer.path)))
}

/// `hawser bound`.
///
/// # Errors
/// Why it failed.
pub(crate) async fn list(daemon: &Daemon, output: OutputArgs) -> Result<(), CliError> {
    let client = daemon.client().await?;
    let volumes = client
        .volumes()
        .list_bound(ListBoundRequest {})
        .await?
        .into_inner()
        .volumes;
    output::print(&if output.json {
        json(&volumes)
    } else {
        table(&volumes)
    })
}

/// The path from the root, as typed otherwise: links are the daemon's to resolve.
fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    let what = || format!("no absolute path for {}", path.display());
    std::path::absolute(path).map_err(|error| CliError::io(what(), &error))
}

fn text(path: &Path) -> Result<String, CliError> {
    let refused = || CliError::usage(format!("{} is not UTF-8", path.display()));
    path.to_str().map(str::to_owned).ok_or_else(refused)
}

/// What this process sees at the path, so that the daemon notices when it sees something else there.
/// A path on a dead disk may not answer at all, and nothing is seen then either.
pub(crate) fn view(path: &Path) -> Option<PathView> {
    let seen = std::fs::metadata(path).ok()?;
    Some(PathView {
        st_dev: seen.dev(),
        st_ino: seen.ino(),
    })
}

/// A bound volume in JSON. `path`, `state` and `reason` are promised to scripts.
#[derive(Debug, Serialize)]
pub(crate) struct BoundView<'a> {
    path: &'a str,
    state: &'static str,
    reason: Option<String>,
    reason_detail: Option<ReasonView>,
    kind: &'static str,
    device: Option<String>,
    fs_type: Option<String>,
    fs_uuid: Option<String>,
    partition_uuid: Option<String>,
    mount_options: Option<String>,
    mounted_by: &'static str,
    disks: Vec<BoundDiskView<'a>>,
    bound_at_ms: i64,
}

/// A disk under a bound volume in JSON.
#[derive(Debug, Serialize)]
struct BoundDiskView<'a> {
    target: &'a str,
    lun: ShownLun,
    identity: Option<String>,
}

impl<'a> From<&'a BoundVolume> for BoundView<'a> {
    fn from(volume: &'a BoundVolume) -> Self {
        let disks = volume.disks.iter().map(|disk| BoundDiskView {
            target: &disk.target_name,
            lun: disk.lun.into(),
            identity: disk
                .identity
                .as_ref()
                .and_then(|identity| some(&identity.text)),
        });
        Self {
            path: &volume.path,
            state: state(volume.state()),
            reason: volume.reason.as_ref().map(|reason| reason.message.clone()),
            reason_detail: volume.reason.as_ref().map(Into::into),
            kind: kind(volume.kind()),
            device: some(&volume.device),
            fs_type: some(&volume.fs_type),
            fs_uuid: some(&volume.fs_uuid),
            partition_uuid: some(&volume.partition_uuid),
            mount_options: some(&volume.mount_options),
            mounted_by: mounted_by(volume.mounted_by()),
            disks: disks.collect(),
            bound_at_ms: volume.bound_at_ms,
        }
    }
}

fn state(state: BoundState) -> &'static str {
    match state {
        BoundState::Unspecified => "unknown",
        BoundState::Usable => "usable",
        BoundState::Waiting => "waiting",
        BoundState::WrongIdentity => "wrong-identity",
        BoundState::Failed => "failed",
    }
}

fn kind(kind: BoundKind) -> &'static str {
    match kind {
        BoundKind::Unspecified => "unknown",
        BoundKind::Volume => "volume",
        BoundKind::Device => "device",
    }
}

fn mounted_by(who: MountedBy) -> &'static str {
    match who {
        MountedBy::Nobody => "nobody",
        MountedBy::System => "system",
        MountedBy::Hawser => "hawser",
    }
}

/// What was bound, in a few words.
fn described(volume: &BoundVolume) -> String {
    let disks: Vec<String> = volume
        .disks
        .iter()
        .map(|disk| format!("{} LUN {}", disk.target_name, ShownLun::from(disk.lun)))
        .collect();
    let what = match volume.kind() {
        BoundKind::Volume => format!("{} filesystem", output::or_dash(&volume.fs_type)),
        _ => "device".to_owned(),
    };
    let who = match volume.mounted_by() {
        MountedBy::Nobody => "",
        MountedBy::System => ", mounted by the system",
        MountedBy::Hawser => ", mounted by Hawser",
    };
    hawser_api::printable(&format!("{what} on {}{who}", disks.join(" and ")))
}

/// What changes when Hawser mounts a volume: nosuid and nodev, unless its options say suid or dev. A
/// volume that was mounted by hand with the defaults comes back with less than it had.
fn made_safe(volume: &BoundVolume) -> Option<String> {
    if volume.mounted_by() != MountedBy::Hawser {
        return None;
    }
    let said: Vec<&str> = volume.mount_options.split(',').collect();
    let pairs = [("suid", "nosuid"), ("dev", "nodev")];
    let (ask, added): (Vec<_>, Vec<_>) = pairs
        .into_iter()
        .filter(|(ask, safe)| !said.contains(ask) && !said.contains(safe))
        .unzip();
    if added.is_empty() {
        return None;
    }
    let (path, added, ask) = (&volume.path, added.join(","), ask.join(","));
    let kept = match volume.mount_options.as_str() {
        "" => String::new(),
        options => format!("{options},"),
    };
    Some(format!(
        "note: from the next start on Hawser mounts {path} with {added}: programs with the set-user-ID \
         bit and device files on it do not work then. If they must, unbind it and bind it with \
         --options {kept}{ask}"
    ))
}

/// The bound volumes as JSON.
pub(crate) fn json(volumes: &[BoundVolume]) -> String {
    to_json(&volumes.iter().map(BoundView::from).collect::<Vec<_>>())
}

/// The bound volumes as a table, then one line for each that is not usable.
pub(crate) fn table(volumes: &[BoundVolume]) -> String {
    let heads = [
        "PATH",
        "STATE",
        "KIND",
        "FILESYSTEM",
        "MOUNTED BY",
        "DEVICE",
        "DISKS",
    ];
    let mut listing = Listing::new(&heads, "no bound volumes: bind one with `hawser bind PATH`");
    for volume in volumes {
        let disks: Vec<String> = volume
            .disks
            .iter()
            .map(|disk| format!("{}:{}", disk.target_name, ShownLun::from(disk.lun)))
            .collect();
        listing.row([
            volume.path.as_str(),
            state(volume.state()),
            kind(volume.kind()),
            &volume.fs_type,
            mounted_by(volume.mounted_by()),
            &volume.device,
            &disks.join(" "),
        ]);
    }
    let reasons = reasons(volumes);
    let gap = if reasons.is_empty() { "" } else { "\n" };
    format!("{}{gap}{reasons}", listing.into_text())
}

/// Why volumes are not usable, one line each.
pub(crate) fn reasons(volumes: &[BoundVolume]) -> String {
    let lines = volumes.iter().filter_map(|volume| {
        let reason = volume.reason.as_ref()?;
        Some(format!(
            "{}: {}\n",
            hawser_api::printable(&volume.path),
            whole(reason)
        ))
    });
    lines.collect()
}

#[cfg(test)]
mod tests;
