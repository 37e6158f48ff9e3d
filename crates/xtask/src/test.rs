//! `cargo xtask test`: all that continuous integration runs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::stage::{Stages, cargo, check, check_tests};
use crate::{codegen, deps, fuzz, instructions, limits, packages, spec, thirdparty};

/// More than any stage needs on two slow cores; reached only by something that hangs.
const STAGE_LIMIT: Duration = Duration::from_secs(20 * 60);
/// How long each fuzz target runs.
const FUZZ_SECONDS: u64 = 10;

/// What the demo may take; it takes seconds.
const DEMO_LIMIT: Duration = Duration::from_secs(180);
/// The command line has a demo when this is there.
const DEMO_SOURCE: &str = "crates/cli/src/demo/mod.rs";

/// Runs every stage and says whether all is well. The last line printed is the total.
pub(crate) fn run(root: &Path) -> bool {
    let mut stages = Stages::new();
    if !stages.run("packages", |_| packages::ensure_installed()) {
        return stages.finish();
    }
    static_checks(root, &mut stages);
    let before = work_tree(root);
    tests(root, &mut stages);
    if root.join(DEMO_SOURCE).exists() {
        stages.run("demo", |counts| {
            demo()?;
            counts.passed += 1;
            Ok(())
        });
    }
    stages.run("instructions", |counts| instructions::run(root, counts));
    fuzz::stages(root, FUZZ_SECONDS, &mut stages);
    // Elsewhere somebody may be editing meanwhile.
    if is_ci() {
        stages.run("nothing left behind", |_| nothing_left(root, before));
    }
    stages.finish()
}

/// What git sees as changed or new in the work tree.
fn work_tree(root: &Path) -> Result<String> {
    let output = Command::new("git")
        .args(["status", "--porcelain"])
        .current_dir(root)
        .output()
        .context("run git status")?;
    ensure!(output.status.success(), "git status failed");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Tests write to directories of their own, never into the project's.
fn nothing_left(root: &Path, before: Result<String>) -> Result<()> {
    let (before, after) = (before?, work_tree(root)?);
    ensure!(before == after, "the tests changed the work tree:\n{after}");
    Ok(())
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// Everything that runs none of the project's code.
fn static_checks(root: &Path, stages: &mut Stages) {
    stages.run("format", |_| {
        check(&mut cargo(root, &["fmt", "--all", "--check"]), STAGE_LIMIT)
    });
    stages.run("rooms", |_| deps::run(root));
    stages.run("third-party crates", |_| thirdparty::run(root));
    stages.run("limits", |_| limits::run(root));
    stages.run("specification", |_| spec::run(root));
    stages.run("generated code", |_| codegen::run(true));
    stages.run("clippy", |_| {
        let what = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--keep-going",
            "--",
        ];
        let lints = ["-D", "warnings", "-D", "clippy::too_many_lines"];
        let arguments = [&what[..], &lints].concat();
        check(&mut build(root, &arguments), STAGE_LIMIT)
    });
    stages.run("documentation", |_| {
        let how = ["--no-deps", "--keep-going", "--quiet"];
        let arguments = [&["doc", "--workspace"], &how[..]].concat();
        // The head of a crate may name its private modules: it is the manual of those who read the code.
        let flags = "-D warnings -A rustdoc::private_intra_doc_links";
        check(
            build(root, &arguments).env("RUSTDOCFLAGS", flags),
            STAGE_LIMIT,
        )
    });
}

/// The tests: one build of all test programs, then the ones that need nothing from outside, then those
/// in `crates/*/tests`, among them all that start foreign servers.
fn tests(root: &Path, stages: &mut Stages) {
    let built = stages.run("build of the tests", |_| {
        // Without --all-targets, which would make test programs of the examples that tests start.
        let arguments = ["test", "--workspace", "--no-run", "--quiet"];
        check(&mut build(root, &arguments), STAGE_LIMIT)
    });
    if !built {
        return;
    }
    run_tests(root, stages, "unit and property tests", || {
        Ok(vec!["--lib".to_owned(), "--bins".to_owned()])
    });
    run_tests(root, stages, "integration tests", || integration(root));
    run_tests(root, stages, "examples in the docs", || {
        Ok(vec!["--doc".to_owned()])
    });
}

fn run_tests(
    root: &Path,
    stages: &mut Stages,
    name: &str,
    which: impl FnOnce() -> Result<Vec<String>>,
) {
    stages.run(name, |counts| {
        let mut command = build(root, &["test", "--workspace", "--no-fail-fast"]);
        command.args(which()?);
        check_tests(&mut command, STAGE_LIMIT, counts)
    });
}

/// The test programs in `crates/*/tests` by name. Those that stand behind a feature need a machine of their
/// own: `cargo xtask vm` runs them.
fn integration(root: &Path) -> Result<Vec<String>> {
    let metadata = deps::metadata(root)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let names: BTreeSet<&str> = targets
        .filter(|target| target["kind"][0] == "test")
        .filter(|target| {
            let features = target["required-features"].as_array();
            features.is_none_or(Vec::is_empty)
        })
        .filter_map(|target| target["name"].as_str())
        .collect();
    ensure!(!names.is_empty(), "no integration test found");
    Ok(names
        .into_iter()
        .map(|name| format!("--test={name}"))
        .collect())
}

/// Runs `hawser demo`. The build of the tests made the program, in the folder where this one lies.
fn demo() -> Result<()> {
    let program = std::env::current_exe()?.with_file_name("hawser");
    check(Command::new(program).arg("demo"), DEMO_LIMIT)
}

/// A cargo command that builds. On a fresh clone incremental compilation only costs time.
fn build(root: &Path, arguments: &[&str]) -> Command {
    let mut command = cargo(root, arguments);
    if is_ci() {
        command.env("CARGO_INCREMENTAL", "0");
    }
    command
}
