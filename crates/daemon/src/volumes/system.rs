//! Asks the system to mount what fstab or a unit says it mounts.
//!
//! The system may have tried before the disks were there, or have given up when they went: then nobody
//! would try again, and what needs the volume would start on an empty directory.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use hawser_api::{Failure, Status};

use super::owner::unit_name;
use super::resolve::Host;
use crate::children::{self, Said};

/// The time for a mount: the service manager waits 90 s for a device by default, and a journal may have
/// to be replayed.
const MOUNT_LIMIT: Duration = Duration::from_secs(300);
/// The time for a question to the service manager.
const ASK_LIMIT: Duration = Duration::from_secs(20);
/// Our units that are reached only when the bound volumes are usable.
const AFTER_VOLUMES: [&str; 2] = ["hawser-volumes.service", "hawser-volumes.target"];

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mounting {
    /// It is mounted.
    Done,
    /// The system mounts it only after the bound volumes are usable.
    AfterVolumes,
}

/// Has the system mount what belongs at `place`, and waits until it has.
pub(super) async fn mount(host: &Host, place: &Path) -> Result<Mounting, Failure> {
    if !host.has_systemd() {
        let arguments = ["--".as_ref(), place.as_os_str()];
        let advice = "look at its line in /etc/fstab and at the kernel's log";
        run("mount", &arguments, MOUNT_LIMIT, place, advice).await?;
        return Ok(Mounting::Done);
    }
    let unit = unit_name(place);
    let asked = ["show", "--property=After", "--value", "--", &unit].map(OsStr::new);
    let advice = format!("look at `systemctl status {unit}`");
    let said = run("systemctl", &asked, ASK_LIMIT, place, &advice).await?;
    if is_after_volumes(&String::from_utf8_lossy(&said.stdout)) {
        return Ok(Mounting::AfterVolumes);
    }
    let start = ["start", "--no-ask-password", "--", &unit].map(OsStr::new);
    let advice = format!(
        "look at `systemctl status {unit}`; after a change of /etc/fstab run `systemctl daemon-reload`"
    );
    run("systemctl", &start, MOUNT_LIMIT, place, &advice).await?;
    Ok(Mounting::Done)
}

/// Whether the units that one is ordered after, blanks between them, hold one of ours.
fn is_after_volumes(after: &str) -> bool {
    after
        .split_whitespace()
        .any(|unit| AFTER_VOLUMES.contains(&unit))
}

/// Runs a program that must succeed.
async fn run(
    program: &str,
    arguments: &[&OsStr],
    limit: Duration,
    place: &Path,
    advice: &str,
) -> Result<Said, Failure> {
    let failed = |why: String| {
        let message = format!("the system has not mounted {}", place.display());
        let failure = Failure::new(Status::DEVICE_NOT_FOUND, message);
        failure.with_peer_said(why).with_advice(advice)
    };
    let said = children::run(program, arguments, limit).await;
    let said = said.map_err(|error| failed(error.to_string()))?;
    match said.code {
        0 => Ok(said),
        _ => Err(failed(said.complaint(program))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_that_waits_for_the_volumes_is_not_waited_for() {
        assert!(is_after_volumes(
            "-.mount remote-fs-pre.target hawser-volumes.target system.slice\n"
        ));
        assert!(is_after_volumes("hawser-volumes.service"));
        assert!(!is_after_volumes(
            "hawserd.service my-hawser-volumes.target"
        ));
        assert!(!is_after_volumes("\n"));
    }

    #[tokio::test]
    async fn without_a_service_manager_fstab_is_mounted_and_what_mount_says_is_told() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("not in fstab");
        let error = mount(&Host::new(root.path()), &place).await.unwrap_err();
        assert!(error.message.contains("not in fstab"), "{error}");
        assert!(error.peer_said.starts_with("mount ended with "), "{error}");
    }
}
