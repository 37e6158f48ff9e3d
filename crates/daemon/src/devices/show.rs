//! Shows disks: exports them, and decides which of two has the name of an identity.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hawser_api::{Failure, Status};
use hawser_block::BlockDevice;
use hawser_engine::Lun;
use hawser_export::{Export, ExportError, ExportRequest};
use hawser_store::BoundVolume;

use super::{Disk, Facts};
use crate::daemon::Daemon;
use crate::events::News;
use crate::{logins, volumes};

/// Makes the export. NBD over TCP is an extra: an address that this machine does not have (yet) must not
/// keep the disk away from those who use it here.
async fn export(
    daemon: &Daemon,
    disk: &Disk,
    device: &Arc<dyn BlockDevice>,
) -> Result<Export, ExportError> {
    let request = |nbd_tcp| {
        let number = disk.lun.number().unwrap_or(disk.lun.as_u64());
        let mut request = ExportRequest::new(Arc::clone(device), disk.target.clone(), number);
        request.identity = disk.identity().map(|identity| identity.as_str().to_owned());
        request.also_nbd = daemon.config.also_nbd;
        request.nbd_tcp = nbd_tcp;
        request.runtime = disk.handle.as_ref().map(Lun::runtime);
        request
    };
    // Any free port: each disk has a server of its own.
    let address = daemon.config.nbd_tcp.map(|host| SocketAddr::new(host, 0));
    let made = daemon.exporter.export(request(address)).await;
    let (export, failure) = match (made, address) {
        (Err(ExportError::Nbd(error)), Some(address)) => {
            let export = daemon.exporter.export(request(None)).await?;
            let message = format!(
                "LUN {} of {} is not served over NBD on {}: {error}",
                disk.lun,
                disk.target,
                address.ip()
            );
            let failure = Failure::new(Status::NON_SPECIFIC_ERROR, message)
                .with_advice("set export.nbd_tcp in hawser.toml to an address of this machine");
            (export, Some(failure))
        }
        (made, _) => (made?, None),
    };
    let open = export.nbd_tcp.map(|address| {
        let message = format!(
            "LUN {} of {} is served over NBD on {address} without authentication or encryption",
            disk.lun, disk.target
        );
        Failure::new(Status::ERROR_SUCCESS, message).with_advice(
            "whoever reaches that port can read and write the disk: see to it that only those who \
             may can, or take export.nbd_tcp out of hawser.toml",
        )
    });
    if let Some(failure) = failure.or(open) {
        let news = News::warning("nbd-tcp", failure.with_target(&disk.target));
        let news = news.session(disk.session).lun(disk.lun.as_u64());
        daemon.events.tell(news);
    }
    Ok(export)
}

/// Exports a disk; gives what there is to tell of it.
pub(super) async fn show(daemon: &Daemon, disk: &Disk) -> Result<Option<News>, Failure> {
    let Some(handle) = disk.handle.clone() else {
        return Ok(None);
    };
    let device: Arc<dyn BlockDevice> = Arc::new(handle);
    let export = match export(daemon, disk, &device).await {
        Ok(export) => export,
        // Another session with the target shows it.
        Err(ExportError::AlreadyExported { .. }) => return Ok(None),
        Err(error) => {
            let message = format!(
                "LUN {} of {} cannot be shown: {error}",
                disk.lun, disk.target
            );
            return Err(Failure::new(Status::NON_SPECIFIC_ERROR, message)
                .with_target(&disk.target)
                .with_advice("see `hawser status` for the ways that work here"));
        }
    };
    let facts = Facts::of(&export, daemon);
    let place = facts
        .paths()
        .first()
        .map_or("nowhere".to_owned(), |path| path.display().to_string());
    let message = format!("LUN {} of {} is at {place}", disk.lun, disk.target);
    *disk.facts_mut() = facts;
    *disk.export.lock().await = Some(export);
    let news = News::info("disk-ready", message)
        .target(&disk.target)
        .session(disk.session);
    Ok(Some(news.lun(disk.lun.as_u64())))
}

/// How good the claim of a disk to the name of its identity is. A target can say anything of its disks;
/// what the operator said counts more, and among equals who came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// It says so.
    Said,
    /// The login to its target is persistent.
    PersistentLogin,
    /// It is bound: this identity at this target.
    Bound,
}

fn claim(daemon: &Daemon, bound: &[BoundVolume], disk: &Disk, identity: &str) -> Claim {
    if !volumes::bound_paths_of(bound, &disk.target, identity).is_empty() {
        Claim::Bound
    } else if logins::is_persistent(daemon, &disk.target) {
        Claim::PersistentLogin
    } else {
        Claim::Said
    }
}

/// The link to a disk by its identity, if it has that.
fn by_id(facts: &Facts) -> Option<PathBuf> {
    let is_by_id = |link: &&PathBuf| link.parent().is_some_and(|dir| dir.ends_with("by-id"));
    facts.links.iter().find(is_by_id).cloned()
}

/// Where several disks say that they are the same, gives the link `disk/by-id/…` to the one with the
/// best claim. To be called when disks have come, or a login or a volume has been stored.
pub(crate) async fn settle_links(daemon: &Daemon) {
    let _one_at_a_time = daemon.disks.settling.lock().await;
    let mut same: BTreeMap<String, Vec<Arc<Disk>>> = BTreeMap::new();
    for disk in daemon.disks.all() {
        if let Some(identity) = disk.identity().map(|identity| identity.as_str().to_owned())
            && disk.is_shown()
        {
            same.entry(identity).or_default().push(disk);
        }
    }
    same.retain(|_, disks| disks.len() > 1);
    if same.is_empty() {
        return;
    }
    let bound = daemon.records.all::<BoundVolume>();
    for (identity, disks) in &same {
        let claim = |disk: &Disk| claim(daemon, &bound, disk, identity);
        let holder = disks.iter().find(|disk| by_id(&disk.facts()).is_some());
        let best = disks.iter().max_by_key(|disk| claim(disk));
        if let (Some(holder), Some(best)) = (holder, best)
            && claim(best) > claim(holder)
        {
            take_over(daemon, identity, holder, best, claim(best)).await;
        }
    }
}

/// Lets the link of an identity lead to another disk.
async fn take_over(daemon: &Daemon, identity: &str, from: &Disk, to: &Disk, claim: Claim) {
    let mut export = to.export.lock().await;
    // It is being taken away.
    let Some(export) = export.as_mut() else {
        return;
    };
    let link = match export.take_over_by_id(identity) {
        Ok(Some(link)) => link,
        Ok(None) => return,
        Err(error) => {
            let (lun, target) = (to.lun, &to.target);
            return tracing::warn!(%error, %lun, target, "cannot take the link by-id over");
        }
    };
    from.facts_mut().links.retain(|other| *other != link);
    to.facts_mut().links.push(link.clone());
    daemon.events.tell(taken_over(&link, from, to, claim));
}

fn taken_over(link: &Path, from: &Disk, to: &Disk, claim: Claim) -> News {
    let why = match claim {
        Claim::Bound => "is bound",
        _ => "has a persistent login",
    };
    let message = format!(
        "{} leads to LUN {} of {} now, which {why}, and no longer to LUN {} of {}: both say that they \
         are this disk",
        link.display(),
        to.lun,
        to.target,
        from.lun,
        from.target
    );
    let failure = Failure::new(Status::ERROR_SUCCESS, message)
        .with_target(&to.target)
        .with_advice("if these are not two ways to one disk, look at what the other target is");
    News::warning("link-taken-over", failure)
        .session(to.session)
        .lun(to.lun.as_u64())
}
