//! The disk and the kernel that the virtual machines boot, made once from Debian packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::stage::check;

/// Making an image takes half a minute; most of the rest is for slow mirrors.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// What the image is made from: it is made again when one of these files has changed.
const MADE_FROM: [&str; 3] = ["image.sh", "packages.txt", "guest/early-init"];

/// A machine's kernel, initramfs and root disk.
pub(super) struct Image {
    directory: PathBuf,
}

impl Image {
    /// Makes the image below `root/target`, or takes the one that is there.
    pub(super) fn make(root: &Path) -> Result<Self> {
        let sources = root.join("tests/vm");
        let directory = root.join("target/vm-image");
        let image = Self { directory };
        let recipe = recipe(&sources)?;
        let written = image.directory.join("recipe");
        if fs::read_to_string(&written).is_ok_and(|of_old| of_old == recipe) {
            println!("the image is there");
            return Ok(image);
        }
        let mut command = Command::new(sources.join("image.sh"));
        command.arg(sources.join("packages.txt"));
        check(command.arg(&image.directory), LIMIT)?;
        // Last: an image that was not finished has no recipe.
        fs::write(&written, recipe).with_context(|| format!("write {}", written.display()))?;
        Ok(image)
    }

    /// A file of it: `vmlinuz`, `initrd` or `root.img`.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn recipe(sources: &Path) -> Result<String> {
    let mut recipe = String::new();
    for name in MADE_FROM {
        let path = sources.join(name);
        recipe += &fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    }
    Ok(recipe)
}
