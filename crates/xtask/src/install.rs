//! `cargo xtask install`: builds what users get and lays it out where programs, linkers, shells, `man` and
//! systemd look for it.
//!
//! `options` reads the command line and knows the directories, `layout` says which file goes where and what is
//! in it, `place` writes it. Every file appears whole under its name or not at all, so an installation over a
//! running one disturbs nothing, and a second one changes nothing.

mod layout;
mod options;
mod place;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::deps;
use layout::{Built, Library};
use options::Options;
use place::Outcome;

/// The crates whose programs and library are installed.
const PACKAGES: [&str; 2] = ["hawser-cli", "iscsidsc"];

/// Builds and installs as the words say.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let options = Options::read(words)?;
    // Told before the build, which takes minutes.
    place::ensure_writable(&options.staged(&options.prefix))?;
    let library = library(root)?;
    let built = build(root, &options)?;
    let entries = layout::entries(root, &options, &built, &library)?;
    for entry in &entries {
        let path = options.staged(&entry.path);
        let outcome =
            place::place(entry, &path).with_context(|| format!("install {}", path.display()))?;
        let note = match outcome {
            Outcome::Written => "",
            Outcome::Unchanged => " (as it was)",
            Outcome::Kept => " (yours is kept)",
        };
        println!("{}{note}", path.display());
    }
    for step in options.next_steps() {
        println!("next: {step}");
    }
    Ok(())
}

/// What the manifests say of the library.
fn library(root: &Path) -> Result<Library> {
    let metadata = deps::metadata(root)?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let package = packages
        .find(|package| package["name"] == "iscsidsc")
        .context("there is no crate iscsidsc")?;
    let text = |value: &Value, what: &str| {
        let text = value.as_str().map(str::to_owned);
        text.with_context(|| format!("the manifest of iscsidsc has no {what}"))
    };
    Ok(Library {
        release: text(&package["version"], "version")?,
        abi: text(
            &package["metadata"]["library"]["abi"],
            "metadata.library.abi",
        )?,
    })
}

/// Builds the programs and the library; cargo tells where it put them.
fn build(root: &Path, options: &Options) -> Result<Built> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(["build", "--locked"]);
    cargo.arg("--message-format=json-render-diagnostics");
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    if !options.debug {
        cargo.arg("--release");
    }
    // What the compiler has to say goes to the terminal.
    let output = cargo
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("run cargo build")?;
    ensure!(output.status.success(), "cargo build failed");
    let messages = String::from_utf8(output.stdout).context("read what cargo built")?;
    let artifacts: Vec<PathBuf> = messages.lines().flat_map(artifacts).collect();
    Ok(Built {
        programs: layout::PROGRAMS
            .iter()
            .map(|name| named(&artifacts, name))
            .collect::<Result<_>>()?,
        library: named(&artifacts, layout::LIBRARY)?,
    })
}

/// The files that a message of cargo says were built.
fn artifacts(message: &str) -> Vec<PathBuf> {
    let message: Value = serde_json::from_str(message).unwrap_or_default();
    let files = message["filenames"].as_array().into_iter().flatten();
    files.filter_map(Value::as_str).map(PathBuf::from).collect()
}

fn named(artifacts: &[PathBuf], name: &str) -> Result<PathBuf> {
    let found = artifacts.iter().find(|path| path.ends_with(name));
    match found {
        Some(path) => Ok(path.clone()),
        None => bail!("cargo built no {name}: only Linux and its kind have it"),
    }
}
