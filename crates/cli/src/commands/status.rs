//! `hawser status`.

use hawser_api::v1::{GetStatusRequest, GetStatusResponse};
use serde::Serialize;

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
    output::print(&if output.json {
        json(&status)
    } else {
        details(&status)
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
fn json(status: &GetStatusResponse) -> String {
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
        damaged_records: damaged.collect(),
    })
}

/// The daemon's state for people.
fn details(status: &GetStatusResponse) -> String {
    let mut details = Details::default();
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
    details.line("Portals", status.portals);
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
    let set = if status.chap_secret_set {
        "set"
    } else {
        "not set"
    };
    details.line("Own CHAP secret", set);
    let damaged = status
        .damaged_records
        .iter()
        .map(|record| format!("{} {}: {}", record.kind, record.key, record.reason));
    details.list("Damaged records", damaged);
    details.into_text()
}

#[cfg(test)]
mod tests {
    use hawser_api::v1::{DamagedRecord, ExportMethod};

    use super::*;

    fn status() -> GetStatusResponse {
        let method = |name: &str, available, reason: &str| ExportMethod {
            name: name.to_owned(),
            available,
            reason: reason.to_owned(),
        };
        GetStatusResponse {
            version: "0.1.0".to_owned(),
            pid: 42,
            started_at_ms: 1_767_225_600_000,
            node_name: "iqn.2026-01.example:host".to_owned(),
            state_dir: "/var/lib/hawser".to_owned(),
            runtime_dir: "/run/hawser".to_owned(),
            export_mode: "auto".to_owned(),
            export_methods: vec![
                method("loop", false, "no /dev/loop-control"),
                method("fuse", true, ""),
            ],
            sessions: 2,
            sessions_connected: 1,
            damaged_records: vec![DamagedRecord {
                kind: "portal".to_owned(),
                key: "x\x1b".to_owned(),
                reason: "checksum".to_owned(),
            }],
            ..GetStatusResponse::default()
        }
    }

    #[test]
    fn people_see_all_of_it() {
        let expected = "\
Daemon             0.1.0 (pid 42, uid 0)
Running since      2026-01-01 00:00:00Z
Node name          iqn.2026-01.example:host
State              /var/lib/hawser
Runtime            /run/hawser
Export mode        auto
Exports            loop: no: no /dev/loop-control
                   fuse: works
Portals            0
Targets            0
Sessions           2, 1 connected
Persistent logins  0, 0 waiting for their target
Disks              0
Bound volumes      0, 0 usable
Own CHAP secret    not set
Damaged records    portal x\\u{1b}: checksum
";
        assert_eq!(details(&status()), expected);
    }

    #[test]
    fn programs_see_the_same() {
        let json: serde_json::Value = serde_json::from_str(&json(&status())).expect("is JSON");
        assert_eq!(json["pid"], 42);
        assert_eq!(json["export_methods"][0]["reason"], "no /dev/loop-control");
        assert_eq!(json["export_methods"][1]["reason"], serde_json::Value::Null);
        assert_eq!(json["damaged_records"][0]["key"], "x\x1b");
    }
}
