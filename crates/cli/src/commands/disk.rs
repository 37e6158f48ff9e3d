//! `hawser disk list`.

use hawser_api::v1::{Disk, DiskState, ExportKind, ListDisksRequest};
use serde::Serialize;

use super::Daemon;
use super::reason::{ReasonView, short, some, whole};
use crate::args::DiskCommand;
use crate::error::CliError;
use crate::output::{self, Listing, ShownLun, to_json};

/// `hawser disk`.
///
/// # Errors
/// Why it failed.
pub(crate) async fn run(daemon: &Daemon, command: DiskCommand) -> Result<(), CliError> {
    let DiskCommand::List(args) = command;
    let request = ListDisksRequest {
        target_name: args.target.map(|target| target.0).unwrap_or_default(),
        session_id: None,
    };
    let client = daemon.client().await?;
    let disks = client
        .volumes()
        .list_disks(request)
        .await?
        .into_inner()
        .disks;
    output::print(&if args.output.json {
        json(&disks)
    } else {
        table(&disks)
    })
}

/// A disk in JSON. `target`, `lun`, `device`, `bytes`, `identity` and `state` are promised to scripts.
#[derive(Debug, Serialize)]
struct DiskView<'a> {
    target: &'a str,
    lun: ShownLun,
    device: Option<String>,
    bytes: u64,
    identity: Option<String>,
    state: &'static str,
    reason: Option<ReasonView>,
    block_size: u32,
    physical_block_size: u32,
    read_only: bool,
    vendor: &'a str,
    product: &'a str,
    revision: &'a str,
    serial: Option<String>,
    device_type: u32,
    session: Option<String>,
    persistent: bool,
    export: &'static str,
    device_number: Option<String>,
    fuse_path: Option<String>,
    nbd: Option<String>,
    nbd_tcp: Option<String>,
    links: &'a [String],
    holders: &'a [String],
    bound_paths: &'a [String],
}

impl<'a> From<&'a Disk> for DiskView<'a> {
    fn from(disk: &'a Disk) -> Self {
        Self {
            target: &disk.target_name,
            lun: disk.lun.into(),
            device: some(&disk.device),
            bytes: disk.bytes,
            identity: disk
                .identity
                .as_ref()
                .and_then(|identity| some(&identity.text)),
            state: state(disk.state()),
            reason: disk.reason.as_ref().map(Into::into),
            block_size: disk.block_size,
            physical_block_size: disk.physical_block_size,
            read_only: disk.read_only,
            vendor: &disk.vendor,
            product: &disk.product,
            revision: &disk.revision,
            serial: some(&disk.serial),
            device_type: disk.device_type,
            session: disk.session_id.as_ref().map(ToString::to_string),
            persistent: disk.persistent,
            export: export(disk.export_kind()),
            device_number: some(&disk.device_number),
            fuse_path: some(&disk.fuse_path),
            nbd: some(&disk.nbd_address),
            nbd_tcp: some(&disk.nbd_tcp_address),
            links: &disk.links,
            holders: &disk.holders,
            bound_paths: &disk.bound_paths,
        }
    }
}

fn state(state: DiskState) -> &'static str {
    match state {
        DiskState::Unspecified => "unknown",
        DiskState::Preparing => "preparing",
        DiskState::Ready => "ready",
        DiskState::Held => "held",
        DiskState::Failed => "failed",
        DiskState::WrongIdentity => "wrong-identity",
        DiskState::Removing => "removing",
    }
}

fn export(kind: ExportKind) -> &'static str {
    match kind {
        ExportKind::None => "none",
        ExportKind::Loop => "loop",
        ExportKind::Fuse => "fuse",
        ExportKind::Nbd => "nbd",
        ExportKind::Ublk => "ublk",
        ExportKind::NbdKernel => "nbd-kernel",
    }
}

/// The disks as JSON.
fn json(disks: &[Disk]) -> String {
    to_json(&disks.iter().map(DiskView::from).collect::<Vec<_>>())
}

/// The disks as a table, then one line for each that is not ready.
fn table(disks: &[Disk]) -> String {
    let heads = [
        "TARGET", ">LUN", ">SIZE", "IDENTITY", "STATE", "DEVICE", "NBD", "USED BY", "BOUND",
    ];
    let mut listing = Listing::new(&heads, "no disks: log in with `hawser login IQN`");
    for disk in disks {
        let identity = disk
            .identity
            .as_ref()
            .map(|identity| identity.text.as_str());
        listing.row([
            disk.target_name.as_str(),
            &ShownLun::from(disk.lun).to_string(),
            &if disk.bytes == 0 {
                String::new()
            } else {
                output::bytes(disk.bytes)
            },
            identity.unwrap_or_default(),
            state(disk.state()),
            &disk.device,
            &nbd(disk),
            &disk.holders.join(" "),
            &disk.bound_paths.join(" "),
        ]);
    }
    let reasons = disks.iter().filter_map(|disk| {
        let reason = disk.reason.as_ref()?;
        let name = hawser_api::printable(&disk.target_name);
        Some(format!(
            "{name} LUN {}: {}\n",
            ShownLun::from(disk.lun),
            whole(reason)
        ))
    });
    let reasons: String = reasons.collect();
    let gap = if reasons.is_empty() { "" } else { "\n" };
    format!("{}{gap}{reasons}", listing.into_text())
}

/// Where it is served over NBD: on its socket, over TCP, or both.
fn nbd(disk: &Disk) -> String {
    let both = [disk.nbd_address.as_str(), disk.nbd_tcp_address.as_str()];
    let known = both.into_iter().filter(|address| !address.is_empty());
    known.collect::<Vec<_>>().join(" ")
}

/// A disk in a few words, for the lists of other commands.
pub(crate) fn brief(disk: &Disk) -> String {
    let reason = short(disk.reason.as_ref());
    let device = output::or_dash(&disk.device);
    let lun = ShownLun::from(disk.lun);
    let text = format!("LUN {lun} {} {device}", state(disk.state()));
    if reason.is_empty() {
        text
    } else {
        format!("{text}: {reason}")
    }
}

#[cfg(test)]
mod tests;
