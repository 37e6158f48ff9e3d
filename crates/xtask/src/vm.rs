//! `cargo xtask vm`: what needs a kernel of our own, in virtual machines: LIO as a target, and volumes on
//! partitions, LVM, dm-crypt and RAID under systemd.
//!
//! One machine at a time, run by qemu in software; `docs/testing-vm.md` says how.

mod guest;
mod image;
mod lio;
mod payload;

use std::path::Path;

use anyhow::{Result, bail};

use crate::packages;
use crate::stage::Stages;
use image::Image;

/// The programs that the machines need here.
const PACKAGES: &str = include_str!("../../../tests/vm/host-packages.txt");

/// Runs one suite, or all; says whether all is well.
pub(crate) fn run(root: &Path, suite: Option<&str>) -> Result<bool> {
    let wanted = |name: &str| suite.is_none_or(|suite| suite == name);
    if let Some(unknown) = suite.filter(|suite| !["lio"].contains(suite)) {
        bail!("there is no suite {unknown}: lio");
    }
    let mut stages = Stages::new();
    if !stages.run("packages", |_| packages::ensure_listed(PACKAGES)) {
        return Ok(stages.finish());
    }
    let mut image = None;
    stages.run("machine image", |_| {
        image = Some(Image::make(root)?);
        Ok(())
    });
    let Some(image) = image else {
        return Ok(stages.finish());
    };
    if wanted("lio") {
        stages.run("LIO", |counts| lio::run(root, &image, counts));
    }
    Ok(stages.finish())
}
