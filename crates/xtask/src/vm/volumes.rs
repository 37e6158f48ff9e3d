//! Bound volumes on partitions, LVM, dm-crypt, RAID and btrfs, under systemd with the units of `packaging/`:
//! one machine, booted three times.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::guest::{Boot, Guest};
use super::image::Image;
use super::payload::Payload;
use crate::stage::{Counts, cargo, check};

/// Building the program.
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);
/// Longest silence between two reports: the waits of the guest, on a busy host.
const SILENCE_LIMIT: Duration = Duration::from_secs(600);
/// From the last report to the end of the machine.
const POWEROFF_LIMIT: Duration = Duration::from_secs(120);
/// Copying the root disk.
const COPY_LIMIT: Duration = Duration::from_secs(60);

/// The boots, in order; `tests/vm/guest/phase-NAME` has the checks of each.
const PHASES: [&str; 3] = ["bind", "back", "missing"];

/// Units that the tests bring along and that start at boot.
const UNITS_AT_BOOT: [&str; 3] = ["vm-tgtd.service", "vm-test.service", "vm-disks.service"];
/// Units of `packaging/systemd` that start at boot.
const OUR_UNITS_AT_BOOT: [&str; 2] = ["hawserd.service", "hawser-volumes.target"];

/// Builds the program, then boots the machine once for each phase.
pub(super) fn run(root: &Path, image: &Image, counts: &mut Counts) -> Result<()> {
    let build = ["build", "-p", "hawser-cli", "--bins"];
    check(&mut cargo(root, &build), BUILD_LIMIT)?;
    let directory = super::fresh_directory(root, "volumes")?;
    let payload = pack(root, &directory)?;
    let disk = directory.join("root.img");
    let mut copy = Command::new("cp");
    copy.args(["--sparse=always", "--reflink=auto"]);
    check(copy.arg(image.file("root.img")).arg(&disk), COPY_LIMIT)?;
    for phase in PHASES {
        println!("--- boot: {phase}");
        let guest = Guest::boot(&Boot {
            image,
            root: Some(&disk),
            payload: &payload,
            append: &format!("hawser.phase={phase}"),
            forward: None,
            console: &directory.join(format!("console-{phase}")),
        })?;
        let passed = reports(&guest, counts)?;
        ensure!(passed > 0, "the boot {phase} checked nothing");
    }
    ensure!(counts.failed == 0, "{} checks failed", counts.failed);
    Ok(())
}

/// Counts what a guest reports until it has powered itself off; gives how many checks passed.
fn reports(guest: &Guest, counts: &mut Counts) -> Result<u64> {
    let (mut passed, mut failed, mut ended) = (0, 0, false);
    let begun = Instant::now();
    loop {
        let limit = if ended { POWEROFF_LIMIT } else { SILENCE_LIMIT };
        let Some(line) = guest.line(Instant::now() + limit)? else {
            break;
        };
        println!("{:>6.1} {line}", begun.elapsed().as_secs_f64());
        if line.starts_with("ok ") {
            passed += 1;
        } else if line.starts_with("not ok ") {
            failed += 1;
        } else if line == "end" {
            ended = true;
        }
    }
    counts.passed += passed;
    counts.failed += failed;
    if !ended || failed > 0 {
        println!("{}", guest.last_words());
    }
    if !ended {
        bail!("the machine ended before its last report");
    }
    Ok(passed)
}

/// The archive with our program, the units, and the scripts of the tests.
fn pack(root: &Path, directory: &Path) -> Result<PathBuf> {
    let payload = Payload::new(directory);
    let scripts = root.join("tests/vm/guest");
    let packaging = root.join("packaging");
    for program in ["hawser", "hawserd"] {
        let built = root.join("target/debug").join(program);
        payload.file(&built, &format!("/usr/bin/{program}"))?;
    }
    payload.folder(&scripts, "/hawser")?;
    let key = directory.join("key");
    fs::write(&key, "the key of the encrypted partition")?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    payload.file(&key, "/hawser/key")?;
    let system = "/etc/systemd/system";
    payload.folder(&packaging.join("systemd"), "/usr/lib/systemd/system")?;
    payload.folder(&packaging.join("sysusers.d"), "/usr/lib/sysusers.d")?;
    payload.folder(&packaging.join("tmpfiles.d"), "/usr/lib/tmpfiles.d")?;
    payload.folder(&scripts.join("units"), system)?;
    let wants = format!("{system}/multi-user.target.wants");
    let at_boot = UNITS_AT_BOOT
        .map(|unit| (system, unit))
        .into_iter()
        .chain(OUR_UNITS_AT_BOOT.map(|unit| ("/usr/lib/systemd/system", unit)));
    for (place, unit) in at_boot {
        payload.link(&format!("{place}/{unit}"), &format!("{wants}/{unit}"))?;
    }
    payload.pack().context("pack what the machine gets")
}
