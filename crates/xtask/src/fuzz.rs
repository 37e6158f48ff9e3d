//! `cargo xtask fuzz`: builds and runs the fuzz targets with the stable toolchain.
//!
//! `fuzz/` is laid out for `cargo fuzz`, but that program asks for a nightly compiler. All that libFuzzer
//! needs are LLVM's coverage counters, which stable rustc can be told to insert, and libFuzzer itself,
//! which the crate `libfuzzer-sys` builds with the C++ compiler. So we pass the flags ourselves. No
//! sanitizer runs beside it: the fuzzed crates have no `unsafe` code, and a panic, an overflow, a hang and
//! too much memory are found without one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::stage::{Stages, cargo, check};

/// What makes rustc insert the counters that guide libFuzzer.
const COVERAGE_FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Compiling libFuzzer and the fuzzed crates with optimisation.
const BUILD_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Beyond its time a target may take this long to start and to read its corpus.
const RUN_MARGIN: Duration = Duration::from_secs(60);
/// One input may take this many seconds; anything near is a hang.
const INPUT_SECONDS: u64 = 5;
/// Memory that a target may use, in MiB: far above what the largest bounded input needs.
const MEMORY_MIB: u64 = 512;
/// Longest input, in bytes: several PDUs with data.
const INPUT_MAX: u64 = 16 * 1024;
/// How much of a failed target's output is shown.
const LOG_LINES: usize = 60;

/// Builds and runs all targets for `seconds` each, or just `only`.
pub(crate) fn run(root: &Path, seconds: u64, only: Option<&str>) -> Result<()> {
    let targets = targets(root)?;
    build(root)?;
    let chosen: Vec<&String> = targets
        .iter()
        .filter(|target| only.is_none_or(|only| only == target.as_str()))
        .collect();
    ensure!(
        !chosen.is_empty(),
        "no such target; there are: {}",
        targets.join(", ")
    );
    for target in chosen {
        run_target(root, target, seconds)?;
    }
    Ok(())
}

/// The same as stages of a larger run; each target counts as one test.
pub(crate) fn stages(root: &Path, seconds: u64, stages: &mut Stages) {
    let mut names = Vec::new();
    let built = stages.run("build of the fuzz targets", |_| {
        names = targets(root)?;
        build(root)
    });
    if !built {
        return;
    }
    for target in names {
        stages.run(&format!("fuzz {target}"), |counts| {
            run_target(root, &target, seconds)?;
            counts.passed += 1;
            Ok(())
        });
    }
}

/// The names of the targets, from the files in `fuzz/fuzz_targets`.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        if let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The target triple of this machine. Naming it keeps the coverage flags away from build scripts.
fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("run rustc -vV")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match text.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => bail!("rustc -vV names no host: {text}"),
    }
}

fn build(root: &Path) -> Result<()> {
    let host = host()?;
    let mut command = cargo(&root.join("fuzz"), &["build", "--bins", "--target", &host]);
    command
        .env("RUSTFLAGS", COVERAGE_FLAGS)
        // Beside the main one, because the flags differ; not where the caller's environment says.
        .env("CARGO_TARGET_DIR", root.join("fuzz/target"));
    check(&mut command, BUILD_LIMIT)
}

fn program(root: &Path, target: &str) -> Result<PathBuf> {
    let path = root
        .join("fuzz/target")
        .join(host()?)
        .join("debug")
        .join(target);
    ensure!(path.exists(), "{} was not built", path.display());
    Ok(path)
}

/// Runs one target from its committed corpus. New inputs are kept under `fuzz/target`, an input that
/// breaks something under `fuzz/artifacts`.
fn run_target(root: &Path, target: &str, seconds: u64) -> Result<()> {
    let found = root.join("fuzz/target/corpus").join(target);
    let seeds = root.join("fuzz/corpus").join(target);
    let artifacts = root.join("fuzz/artifacts").join(target);
    for folder in [&found, &artifacts] {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    let seeded = seeds.is_dir() && std::fs::read_dir(&seeds)?.next().is_some();
    ensure!(seeded, "{} holds no seeds", seeds.display());
    let log = root.join("fuzz/target").join(format!("{target}.log"));
    let output = File::create(&log).with_context(|| format!("make {}", log.display()))?;
    let mut command = Command::new(program(root, target)?);
    command
        .arg(&found)
        .arg(&seeds)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .arg(format!("-max_len={INPUT_MAX}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-print_final_stats=1", "-verbosity=0"])
        .stderr(output);
    let dictionary = root
        .join("fuzz/dictionaries")
        .join(format!("{target}.dict"));
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    let result = check(&mut command, Duration::from_secs(seconds) + RUN_MARGIN);
    report(target, &log, result.is_err())?;
    result.with_context(|| format!("{target} found something: see fuzz/artifacts/{target}"))
}

/// Prints how many inputs a target tried, or when it failed the end of what it said.
fn report(target: &str, log: &Path, failed: bool) -> Result<()> {
    let said = std::fs::read(log).with_context(|| format!("read {}", log.display()))?;
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    if failed {
        let shown = lines.len().saturating_sub(LOG_LINES);
        println!("{}", lines.get(shown..).unwrap_or_default().join("\n"));
        return Ok(());
    }
    let tried = lines
        .iter()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .with_context(|| format!("{target} printed no statistics: see {}", log.display()))?;
    println!("{target}: {} inputs", tried.trim());
    Ok(())
}
