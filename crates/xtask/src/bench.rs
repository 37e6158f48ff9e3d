//! `cargo xtask bench`: builds the programs as they are released, and has `hawser-bench` measure them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::stage::cargo;
use crate::{deps, packages};

/// The programs that are measured and measured with.
const PACKAGES: &str = include_str!("../../bench/debian-packages.txt");

/// Runs it with these words; says whether it went well.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<bool> {
    packages::ensure_listed(PACKAGES)?;
    let built = ["build", "--release", "--bins"];
    let which = ["--package", "hawser-cli", "--package", "hawser-bench"];
    let status = cargo(root, &[&built[..], &which].concat())
        .status()
        .context("run cargo")?;
    ensure!(status.success(), "the programs cannot be built");
    let program = deps::target_directory(root)?.join("release/hawser-bench");
    let status = Command::new(&program)
        .args(words)
        .current_dir(root)
        .status()
        .with_context(|| format!("run {}", program.display()))?;
    Ok(status.success())
}
