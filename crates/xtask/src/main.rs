//! Workspace tasks: `cargo xtask WORD`.
#![forbid(unsafe_code)]

mod bench;
mod codegen;
mod deps;
mod fuzz;
mod install;
mod instructions;
mod limits;
mod packages;
mod scale;
mod spec;
mod stage;
mod test;
mod thirdparty;
mod vm;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: cargo xtask COMMAND
  test                          everything that continuous integration runs
  deps                          check that each crate uses only what the plan of rooms allows
  third-party                   check that third-party crates keep to deny.toml
  limits                        check the house limits that no lint knows
  spec                          check that SPECIFICATION.md names what is in the tree
  codegen [--check]             write the generated code, or check that it is up to date
  fuzz [--seconds N] [TARGET]   run the fuzz targets (10 seconds each unless told)
  bench [bars] [WORDS]          measure side by side with the peers; `bench --help` tells the words
  bench-scale [WORDS]           measure many sessions in one daemon; docs/performance.md tells the words
  instructions [--write]        count the instructions of the hot path; --write: as the numbers to keep to
  vm [lio|volumes]              what needs a kernel of our own, in virtual machines
  install [--prefix DIR] [--libdir DIR] [--destdir DIR] [--debug]
                                build and install programs, library, manual pages, units
  package-list                  the Debian packages that building and testing need, and why";

/// How long `cargo xtask fuzz` runs each target unless told.
const FUZZ_SECONDS: u64 = 10;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Without the backtrace that a set RUST_BACKTRACE would add: these are no crashes.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Carries out a command; `false` when it has said itself what failed.
fn run(words: &[&str]) -> Result<bool> {
    let root = root()?;
    match *words {
        ["test"] => return Ok(test::run(root)),
        ["deps"] => deps::run(root),
        ["third-party"] => thirdparty::run(root),
        ["limits"] => limits::run(root),
        ["spec"] => spec::run(root),
        ["codegen"] => codegen::run(false),
        ["codegen", "--check"] => codegen::run(true),
        ["fuzz"] => fuzz::run(root, FUZZ_SECONDS, None),
        ["fuzz", "--seconds", n] => fuzz::run(root, seconds(n)?, None),
        ["fuzz", "--seconds", n, target] => fuzz::run(root, seconds(n)?, Some(target)),
        ["fuzz", target] => fuzz::run(root, FUZZ_SECONDS, Some(target)),
        ["bench", ref words @ ..] => return bench::run(root, words),
        ["instructions"] => instructions::run(root, &mut stage::Counts::default()),
        ["instructions", "--write"] => instructions::write(root),
        ["vm"] => return vm::run(root, None),
        ["vm", suite] => return vm::run(root, Some(suite)),
        // What it measures is in docs/performance.md.
        ["bench-scale", ref words @ ..] => return scale::run(root, words),
        ["install", ref words @ ..] => install::run(root, words),
        ["package-list"] => {
            packages::list();
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
    .map(|()| true)
}

fn seconds(word: &str) -> Result<u64> {
    word.parse()
        .with_context(|| format!("{word} is not a number of seconds"))
}

/// The project's folder, two levels above this crate.
fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("the crate does not lie in crates/xtask")
}
