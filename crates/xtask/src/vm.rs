//! `cargo xtask vm`: what needs a kernel of our own, in virtual machines: LIO as a target, and volumes on
//! partitions, LVM, dm-crypt and RAID under systemd.
//!
//! One machine at a time, run by qemu in software; `docs/testing-vm.md` says how.

mod guest;
mod image;
mod lio;
mod payload;
mod volumes;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::packages;
use crate::stage::Stages;
use image::Image;

/// The programs that the machines need here.
const PACKAGES: &str = include_str!("../../../tests/vm/host-packages.txt");

/// What can be asked for alone.
const SUITES: [&str; 2] = ["lio", "volumes"];

/// Runs one suite, or all; says whether all is well.
pub(crate) fn run(root: &Path, suite: Option<&str>) -> Result<bool> {
    if let Some(unknown) = suite.filter(|suite| !SUITES.contains(suite)) {
        bail!("there is no suite {unknown}, but {}", SUITES.join(" and "));
    }
    let mut stages = Stages::new();
    add_stages(root, suite, &mut stages);
    Ok(stages.finish())
}

/// The stages of one suite, or of all.
pub(crate) fn add_stages(root: &Path, suite: Option<&str>, stages: &mut Stages) {
    if !stages.run("packages of the machines", |_| {
        packages::ensure_listed(PACKAGES)
    }) {
        return;
    }
    let mut image = None;
    stages.run("machine image", |_| {
        image = Some(Image::make(root)?);
        Ok(())
    });
    let Some(image) = image else {
        return;
    };
    let wanted = |name: &str| suite.is_none_or(|suite| suite == name);
    if wanted("lio") {
        stages.run("LIO in a machine", |counts| lio::run(root, &image, counts));
    }
    if wanted("volumes") {
        stages.run("volumes in a machine", |counts| {
            volumes::run(root, &image, counts)
        });
    }
}

/// An empty folder for a suite's disks and consoles, which stay there to be looked at.
fn fresh_directory(root: &Path, suite: &str) -> Result<PathBuf> {
    let directory = root.join("target/vm-run").join(suite);
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("remove {}", directory.display()))?;
    }
    fs::create_dir_all(&directory).with_context(|| format!("make {}", directory.display()))?;
    Ok(directory)
}
