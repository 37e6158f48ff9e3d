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
    use std::fs;
    use std::path::Path;

    use super::*;

    /// How tests start a program whose name is written out.
    const STARTS: [&str; 6] = [
        "Command::new(\"",
        "Tool::new(\"",
        "program(\"",
        "find_program(\"",
        "run(\"",
        "try_run(\"",
    ];

    /// Programs of Debian's essential packages, which are always there, and cargo's own.
    const ALWAYS_THERE: [&str; 21] = [
        "bash",
        "cargo",
        "chmod",
        "cmp",
        "cp",
        "dd",
        "git",
        "head",
        "id",
        "mountpoint",
        "readlink",
        "rustc",
        "sh",
        "sleep",
        "stat",
        "sync",
        "tar",
        "timeout",
        "true",
        "umount",
        "tee",
    ];

    /// The names of programs that a source starts.
    fn started(source: &str) -> impl Iterator<Item = &str> {
        let after = STARTS
            .iter()
            .flat_map(|start| source.split(start).skip(1).map(|rest| (*start, rest)));
        let names = after.filter_map(|(start, rest)| {
            let (name, after) = rest.split_once('"')?;
            // Functions of that name that take something else have one argument.
            let is_program = !start.contains("run(") || after.starts_with(',');
            is_program.then_some(name)
        });
        // Ours are built, not installed.
        let is_foreign = |name: &&str| !name.starts_with("hawser") && !name.contains('/');
        names
            .filter(|name| !name.contains("no-such"))
            .filter(is_foreign)
    }

    /// All Rust sources below the folders `tests` of the crates.
    fn sources_of_tests(folder: &Path, inside: bool, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources_of_tests(&path, inside || path.ends_with("tests"), found);
            } else if inside && path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    /// A program that happens to be on this machine must not be forgotten on a fresh one.
    #[test]
    fn every_program_that_tests_start_is_listed() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut sources = Vec::new();
        sources_of_tests(crates, false, &mut sources);
        let listed: BTreeSet<&str> = needs().map(|need| need.program).collect();
        let mut count = 0;
        for source in sources {
            let text = fs::read_to_string(&source).unwrap();
            for name in started(&text) {
                count += 1;
                let known = listed.contains(name) || ALWAYS_THERE.contains(&name);
                assert!(
                    known,
                    "{} starts {name}, which is not listed",
                    source.display()
                );
            }
        }
        assert!(
            count > 20,
            "only {count} were found: is it still looking at the right places?"
        );
    }

    #[test]
    fn every_need_has_a_program_a_package_and_a_reason() {
        let lines = FOR_TESTS.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(needs().count(), lines.count() + FOR_BUILDING.len());
        for need in needs() {
            assert!(!need.package.is_empty() && !need.why.is_empty());
        }
    }
}
