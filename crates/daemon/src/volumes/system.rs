//! Asks the system to mount what fstab or a unit says it mounts.
//!
//! The system may have tried before the disks were there, or have given up when they went: then nobody
//! would try again, and what needs the volume would start on an empty directory.

use std::path::Path;
use std::time::Duration;

use hawser_api::{Failure, Status};

use super::mount::{self, MountOrder};
use super::owner::unit_name;
use super::resolve::{Host, OwnDisk, device_of_owner};
use super::tools::SystemTools;
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

/// Has the system mount what belongs at `place` on disks of ours, and waits until it has.
pub(super) async fn mount(
    host: &Host,
    disks: &[OwnDisk],
    place: &Path,
) -> Result<Mounting, Failure> {
    if host.has_systemd() {
        by_systemd(place).await
    } else {
        as_fstab_says(host, disks, place).await?;
        Ok(Mounting::Done)
    }
}

/// Starts the mount unit, which systemd has made of a line in fstab if there is no other.
async fn by_systemd(place: &Path) -> Result<Mounting, Failure> {
    let unit = unit_name(place);
    let asked = ["show", "--property=After", "--value", "--", &unit];
    let advice = format!("look at `systemctl status {unit}`");
    let said = systemctl(&asked, ASK_LIMIT, place, &advice).await?;
    let advice = format!("{advice}; after a change of /etc/fstab run `systemctl daemon-reload`");
    if is_after_volumes(&String::from_utf8_lossy(&said.stdout)) {
        // To wait for it would be to wait for ourselves.
        let start = ["start", "--no-ask-password", "--no-block", "--", &unit];
        systemctl(&start, ASK_LIMIT, place, &advice).await?;
        return Ok(Mounting::AfterVolumes);
    }
    let start = ["start", "--no-ask-password", "--", &unit];
    systemctl(&start, MOUNT_LIMIT, place, &advice).await?;
    Ok(Mounting::Done)
}

/// Mounts as the line in fstab says, where nobody else does. Not with `mount PATH`: to find a UUID it
/// would look at all disks of the machine.
async fn as_fstab_says(host: &Host, disks: &[OwnDisk], place: &Path) -> Result<(), Failure> {
    let advice = "look at its line in /etc/fstab and at the kernel's log";
    let failed = |why: String| failure(place, advice).with_peer_said(why);
    let owner = host.owner_of(place)?;
    let owner = owner.ok_or_else(|| failed("no line in fstab is for it any more".to_owned()))?;
    let device = device_of_owner(host, &SystemTools, disks, &owner).await?;
    let name = device.and_then(|device| host.sysfs.name(device));
    let name = name.ok_or_else(|| failed("its device is not there".to_owned()))?;
    let order = MountOrder {
        device: &Path::new("/dev").join(name),
        mount_point: place,
        fs_type: &owner.fs_type,
        options: &owner.options,
    };
    mount::mount(&order).await.map_err(failed)
}

/// Whether the units that one is ordered after, blanks between them, hold one of ours.
fn is_after_volumes(after: &str) -> bool {
    after
        .split_whitespace()
        .any(|unit| AFTER_VOLUMES.contains(&unit))
}

/// Asks the service manager something that must succeed.
async fn systemctl(
    arguments: &[&str],
    limit: Duration,
    place: &Path,
    advice: &str,
) -> Result<Said, Failure> {
    let failed = |why: String| failure(place, advice).with_peer_said(why);
    let said = children::run("systemctl", arguments, limit).await;
    let said = said.map_err(|error| failed(error.to_string()))?;
    match said.code {
        0 => Ok(said),
        _ => Err(failed(said.complaint("systemctl"))),
    }
}

fn failure(place: &Path, advice: &str) -> Failure {
    let message = format!("the system has not mounted {}", place.display());
    Failure::new(Status::DEVICE_NOT_FOUND, message).with_advice(advice)
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
    async fn without_a_service_manager_it_is_told_why_a_line_of_fstab_is_not_mounted() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc")).unwrap();
        std::fs::create_dir_all(root.path().join("proc/self")).unwrap();
        std::fs::write(root.path().join("proc/self/mountinfo"), "").unwrap();
        let line = "/dev/no-such-device /srv/data ext4 defaults 0 0\n";
        std::fs::write(root.path().join("etc/fstab"), line).unwrap();
        let host = Host::new(root.path());
        let told = async |place: &str| {
            let error = mount(&host, &[], Path::new(place)).await.unwrap_err();
            assert!(error.message.contains(place), "{error}");
            error.peer_said.clone()
        };
        assert_eq!(told("/srv/data").await, "its device is not there");
        assert!(told("/srv/other").await.contains("no line"));
    }
}
