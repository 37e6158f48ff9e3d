//! `cargo xtask package-list` and the first stage of `cargo xtask test`: the Debian packages that building
//! and testing need.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The one list: programs that the tests start. The launchers in `hawser-testkit` read it too.
const FOR_TESTS: &str = include_str!("../../testkit/debian-packages.txt");

/// What building needs beyond Rust: program, package, why.
const FOR_BUILDING: &[(&str, &str, &str)] = &[
    ("cc", "gcc", "builds SQLite, which the store uses"),
    ("c++", "g++", "builds libFuzzer, which the fuzz targets use"),
];

/// Directories that a plain user's `PATH` often lacks.
const SYSTEM_DIRECTORIES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// One needed program.
struct Need {
    program: &'static str,
    package: &'static str,
    why: &'static str,
}

fn needs() -> impl Iterator<Item = Need> {
    let building = FOR_BUILDING.iter().map(|&(program, package, why)| Need {
        program,
        package,
        why,
    });
    building.chain(FOR_TESTS.lines().filter_map(need_of_line))
}

fn need_of_line(line: &'static str) -> Option<Need> {
    if line.starts_with('#') {
        return None;
    }
    let (program, rest) = line.split_once(char::is_whitespace)?;
    let (package, why) = rest.trim_start().split_once(char::is_whitespace)?;
    Some(Need {
        program,
        package,
        why: why.trim_start(),
    })
}

/// Prints every needed package with the reason, and whether its program is there.
pub(crate) fn list() {
    for need in needs() {
        let state = if is_there(need.program) {
            "there"
        } else {
            "missing"
        };
        println!(
            "{:<14} {:<14} {state:<8} {}",
            need.package, need.program, need.why
        );
    }
}

/// Installs what building and testing need and is missing, if this process may; otherwise fails with the list.
pub(crate) fn ensure_installed() -> Result<()> {
    ensure_there(&needs().collect::<Vec<_>>())
}

/// The same for a list of its own, written like the one of the tests.
pub(crate) fn ensure_listed(list: &'static str) -> Result<()> {
    ensure_there(&list.lines().filter_map(need_of_line).collect::<Vec<_>>())
}

fn ensure_there(needs: &[Need]) -> Result<()> {
    let missing: BTreeSet<&str> = needs
        .iter()
        .filter(|need| !is_there(need.program))
        .map(|need| need.package)
        .collect();
    if missing.is_empty() {
        println!("all programs are there");
        return Ok(());
    }
    let missing: Vec<&str> = missing.into_iter().collect();
    println!("missing: {}", missing.join(" "));
    if !nix::unistd::geteuid().is_root() || !is_there("apt-get") {
        bail!("install these Debian packages first: {}", missing.join(" "));
    }
    apt_get(&["update", "-qq"])?;
    apt_get(
        &[
            &["install", "-y", "-qq", "--no-install-recommends"],
            &missing[..],
        ]
        .concat(),
    )?;
    let still: Vec<&str> = needs
        .iter()
        .filter(|need| !is_there(need.program))
        .map(|need| need.program)
        .collect();
    ensure!(
        still.is_empty(),
        "installed, but these programs are not there: {}",
        still.join(" ")
    );
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .context("run apt-get")?;
    ensure!(status.success(), "apt-get {} failed", arguments.join(" "));
    Ok(())
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_DIRECTORIES.iter().map(PathBuf::from))
        .any(|directory| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_need_has_a_program_a_package_and_a_reason() {
        let lines = FOR_TESTS.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(needs().count(), lines.count() + FOR_BUILDING.len());
        for need in needs() {
            assert!(!need.package.is_empty() && !need.why.is_empty());
        }
    }
}
