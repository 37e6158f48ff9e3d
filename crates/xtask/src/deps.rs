//! `cargo xtask deps`: holds the workspace to its plan of rooms.
//!
//! The plan is [`ROOMS`]: which crate may use which, and what each says about `unsafe`. Rules:
//! - A normal or build dependency on a workspace crate must be in the room's `may_use`.
//! - A dev-dependency may also name `hawser-testkit`, `hawser-target` (the peer on the other side of the
//!   wire) and the rooms without policy of their own (`hawser-scsi`, `hawser-proto`, `hawser-block`):
//!   tests need bytes, peers and disks, but nothing that the crate itself must not know.
//! - Every workspace crate is in the plan.
//! - A crate root starts with the `unsafe_code` level of the plan, or a stricter one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// What a crate says about `unsafe`, strictest first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unsafe {
    /// `#![forbid(unsafe_code)]`.
    Forbid,
    /// `#![deny(unsafe_code)]`: a single place may lift it, with a reason.
    Deny,
    /// Allowed; each block has a `SAFETY:` comment, which clippy checks.
    Documented,
}

/// One crate of the workspace.
struct Room {
    package: &'static str,
    may_use: &'static [&'static str],
    unsafe_code: Unsafe,
}

const fn room(
    package: &'static str,
    may_use: &'static [&'static str],
    unsafe_code: Unsafe,
) -> Room {
    Room {
        package,
        may_use,
        unsafe_code,
    }
}

const ROOMS: &[Room] = &[
    room("hawser-scsi", &[], Unsafe::Forbid),
    room("hawser-proto", &[], Unsafe::Forbid),
    room("hawser-block", &[], Unsafe::Forbid),
    room(
        "hawser-engine",
        &["hawser-proto", "hawser-scsi", "hawser-block"],
        Unsafe::Deny,
    ),
    room(
        "hawser-target",
        &["hawser-proto", "hawser-scsi"],
        Unsafe::Forbid,
    ),
    room("hawser-store", &[], Unsafe::Forbid),
    room("hawser-api", &[], Unsafe::Forbid),
    room("hawser-export", &["hawser-block"], Unsafe::Documented),
    room(
        "hawser-daemon",
        &[
            "hawser-engine",
            "hawser-block",
            "hawser-store",
            "hawser-export",
            "hawser-api",
            "hawser-scsi",
        ],
        Unsafe::Deny,
    ),
    room(
        "hawser-cli",
        &[
            "hawser-api",
            "hawser-daemon",
            "hawser-target",
            "hawser-engine",
            "hawser-block",
        ],
        Unsafe::Forbid,
    ),
    room("iscsidsc", &["hawser-api"], Unsafe::Documented),
    room(
        "hawser-testkit",
        &["hawser-proto", "hawser-scsi", "hawser-target"],
        Unsafe::Forbid,
    ),
    room(
        "hawser-bench",
        &["hawser-proto", "hawser-testkit"],
        Unsafe::Forbid,
    ),
    room("xtask", &[], Unsafe::Forbid),
];

/// What any crate's tests may use beyond the crate's own `may_use`.
const TESTS_MAY_USE: &[&str] = &[
    "hawser-testkit",
    "hawser-target",
    "hawser-scsi",
    "hawser-proto",
    "hawser-block",
];

/// Checks the whole workspace; the error lists every offence.
pub(crate) fn run(root: &Path) -> Result<()> {
    let metadata = metadata(root)?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let offences = offences(packages)?;
    ensure!(offences.is_empty(), "{}", offences.join("\n"));
    println!("{} crates keep to the plan of rooms", packages.len());
    Ok(())
}

/// What cargo says about the crates of the workspace.
pub(crate) fn metadata(root: &Path) -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("run cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    serde_json::from_slice(&output.stdout).context("read cargo metadata")
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory(root: &Path) -> Result<PathBuf> {
    let metadata = metadata(root)?;
    text(&metadata, "target_directory").map(PathBuf::from)
}

fn offences(packages: &[Value]) -> Result<Vec<String>> {
    let plan: BTreeMap<&str, &Room> = ROOMS.iter().map(|room| (room.package, room)).collect();
    let mut offences = Vec::new();
    for package in packages {
        let name = text(package, "name")?;
        let Some(room) = plan.get(name) else {
            offences.push(format!(
                "{name} is not in the plan of rooms (crates/xtask/src/deps.rs)"
            ));
            continue;
        };
        let dependencies = package["dependencies"].as_array();
        for dependency in dependencies.into_iter().flatten() {
            offences.extend(edge_offence(room, dependency)?);
        }
        for source in crate_roots(package) {
            offences.extend(unsafe_offence(room, source)?);
        }
    }
    Ok(offences)
}

/// An offence if the workspace dependency is neither in the room's list nor allowed to its tests.
fn edge_offence(room: &Room, dependency: &Value) -> Result<Option<String>> {
    let used = text(dependency, "name")?;
    if !ROOMS.iter().any(|room| room.package == used) {
        return Ok(None);
    }
    let for_tests = dependency["kind"].as_str() == Some("dev");
    let allowed = room.may_use.contains(&used) || (for_tests && TESTS_MAY_USE.contains(&used));
    let kind = if for_tests { "tests of " } else { "" };
    Ok((!allowed).then(|| format!("{kind}{} must not use {used}", room.package)))
}

/// The `lib.rs` and `main.rs` files of a package, also those of further programs.
fn crate_roots(package: &Value) -> impl Iterator<Item = &str> {
    let targets = package["targets"].as_array();
    targets.into_iter().flatten().filter_map(|target| {
        let kinds = target["kind"].as_array()?;
        let counts = ["lib", "bin", "cdylib", "rlib"];
        let shipped = kinds
            .iter()
            .any(|kind| counts.iter().any(|wanted| kind == wanted));
        target["src_path"].as_str().filter(|_| shipped)
    })
}

fn unsafe_offence(room: &Room, source: &str) -> Result<Option<String>> {
    let code = std::fs::read_to_string(source).with_context(|| format!("read {source}"))?;
    let forbids = code.contains("#![forbid(unsafe_code)]");
    let denies = code.contains("#![deny(unsafe_code)]");
    let wanted = match room.unsafe_code {
        Unsafe::Forbid if !forbids => "#![forbid(unsafe_code)]",
        Unsafe::Deny if !forbids && !denies => "#![deny(unsafe_code)]",
        _ => return Ok(None),
    };
    Ok(Some(format!("{source} lacks {wanted}")))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("cargo metadata gives no {key}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edge(from: &str, to: &str, kind: Option<&str>) -> Option<String> {
        let room = ROOMS.iter().find(|room| room.package == from).unwrap();
        edge_offence(room, &json!({ "name": to, "kind": kind })).unwrap()
    }

    #[test]
    fn an_edge_outside_the_plan_is_an_offence() {
        assert!(edge("hawser-target", "hawser-engine", None).is_some());
        assert!(edge("hawser-proto", "hawser-scsi", None).is_some());
        assert!(edge("hawser-cli", "hawser-store", Some("build")).is_some());
    }

    #[test]
    fn an_edge_of_the_plan_and_a_foreign_crate_are_none() {
        assert!(edge("hawser-daemon", "hawser-store", None).is_none());
        assert!(edge("hawser-proto", "thiserror", None).is_none());
    }

    #[test]
    fn tests_may_use_peers_but_not_upper_rooms() {
        assert!(edge("hawser-engine", "hawser-testkit", Some("dev")).is_none());
        assert!(edge("hawser-engine", "hawser-testkit", None).is_some());
        assert!(edge("hawser-engine", "hawser-daemon", Some("dev")).is_some());
    }

    #[test]
    fn a_crate_outside_the_plan_is_an_offence() {
        let offences = offences(&[json!({ "name": "hawser-utils" })]).unwrap();
        assert_eq!(offences.len(), 1);
    }
}
