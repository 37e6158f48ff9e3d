//! `hawser status`.

use hawser_api::v1::{GetStatusRequest, GetStatusResponse};
use serde::Serialize;

mod settings;

use self::settings::{Settings, SettingsView};
use super::Daemon;
use super::reason::some;
use crate::args::OutputArgs;
use crate::error::CliError;
use crate::output::{self, Details, to_json};

/// `hawser status`.
///
/// # Errors
/// Why it failed.
pub(crate) async fn run(daemon: &Daemon, output: OutputArgs) -> Result<(), CliError> {
    let client = daemon.client().await?;
    let status = client
        .system()
        .get_status(GetStatusRequest {})
        .await?
        .into_inner();
    let settings = Settings::ask(&client).await?;
    output::print(&if output.json {
        json(&status, &settings)
    } else {
        details(&status, &settings)
    })
}

/// The daemon's state in JSON.
#[derive(Debug, Serialize)]
struct StatusView<'a> {
    version: &'a str,
    pid: u32,
    uid: u32,
    started_at_ms: i64,
    node_name: &'a str,
    state_dir: &'a str,
    runtime_dir: &'a str,
    export: &'a str,
    export_methods: Vec<MethodView<'a>>,
    portals: u32,
    targets: u32,
    sessions: u32,
    sessions_connected: u32,
    persistent_logins: u32,
    persistent_logins_waiting: u32,
    disks: u32,
    bound_volumes: u32,
    bound_volumes_usable: u32,
    chap_secret_set: bool,
    radius_secret_set: bool,
    group_preshared_key_set: bool,
    settings: SettingsView<'a>,
    damaged_records: Vec<DamagedView<'a>>,
}

/// One way to show disks, in JSON.
#[derive(Debug, Serialize)]
struct MethodView<'a> {
    name: &'a str,
    available: bool,
    reason: Option<String>,
}

/// A refused record, in JSON.
#[derive(Debug, Serialize)]
struct DamagedView<'a> {
    kind: &'a str,
    key: &'a str,
    reason: &'a str,
}

/// The daemon's state as JSON.
fn json(status: &GetStatusResponse, settings: &Settings) -> String {
    let methods = status.export_methods.iter().map(|method| MethodView {
        name: &method.name,
        available: method.available,
        reason: some(&method.reason),
    });
    let damaged = status.damaged_records.iter().map(|record| DamagedView {
        kind: &record.kind,
        key: &record.key,
        reason: &record.reason,
    });
    to_json(&StatusView {
        version: &status.version,
        pid: status.pid,
        uid: status.uid,
        started_at_ms: status.started_at_ms,
        node_name: &status.node_name,
        state_dir: &status.state_dir,
        runtime_dir: &status.runtime_dir,
        export: &status.export_mode,
        export_methods: methods.collect(),
        portals: status.portals,
        targets: status.targets,
        sessions: status.sessions,
        sessions_connected: status.sessions_connected,
        persistent_logins: status.persistent_logins,
        persistent_logins_waiting: status.persistent_logins_waiting,
        disks: status.disks,
        bound_volumes: status.bound_volumes,
        bound_volumes_usable: status.bound_volumes_usable,
        chap_secret_set: status.chap_secret_set,
        radius_secret_set: status.radius_secret_set,
        group_preshared_key_set: status.group_preshared_key_set,
        settings: settings.into(),
        damaged_records: damaged.collect(),
    })
}

/// The daemon's state for people: itself, how disks are shown, where targets come from, what there is, who we are
/// to others, and what is broken. The order stays; secrets are only said to be set.
fn details(status: &GetStatusResponse, settings: &Settings) -> String {
    let mut details = Details::default();
    process(&mut details, status);
    settings.sources(&mut details);
    contents(&mut details, status);
    let secret = |set| if set { "set" } else { "not set" };
    details.line("Own CHAP secret", secret(status.chap_secret_set));
    settings.radius_servers(&mut details);
    details.line("RADIUS secret", secret(status.radius_secret_set));
    details.line("IKE default key", secret(status.group_preshared_key_set));
    settings.ipsec(&mut details);
    let damaged = status
        .damaged_records
        .iter()
        .map(|record| format!("{} {}: {}", record.kind, record.key, record.reason));
    details.list("Damaged records", damaged);
    details.into_text()
}

fn process(details: &mut Details, status: &GetStatusResponse) {
    let process = format!(
        "{} (pid {}, uid {})",
        status.version, status.pid, status.uid
    );
    details.line("Daemon", process);
    details.line("Running since", output::time(status.started_at_ms));
    details.line("Node name", &status.node_name);
    details.line("State", &status.state_dir);
    details.line("Runtime", &status.runtime_dir);
    details.line("Export mode", &status.export_mode);
    let methods = status
        .export_methods
        .iter()
        .map(|method| match method.available {
            true => format!("{}: works", method.name),
            false => format!("{}: no: {}", method.name, method.reason),
        });
    details.list("Exports", methods);
}

fn contents(details: &mut Details, status: &GetStatusResponse) {
    details.line("Targets", status.targets);
    let sessions = format!(
        "{}, {} connected",
        status.sessions, status.sessions_connected
    );
    details.line("Sessions", sessions);
    let logins = format!(
        "{}, {} waiting for their target",
        status.persistent_logins, status.persistent_logins_waiting
    );
    details.line("Persistent logins", logins);
    details.line("Disks", status.disks);
    let volumes = format!(
        "{}, {} usable",
        status.bound_volumes, status.bound_volumes_usable
    );
    details.line("Bound volumes", volumes);
}

#[cfg(test)]
mod tests;
