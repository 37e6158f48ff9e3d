//! `cargo xtask instructions`: what the hot path of `hawser-proto` costs, counted in instructions by
//! callgrind, against the numbers in [`COUNTS`]. Time is noise on a machine that does other things, too;
//! a count is not.
//!
//! Instructions are those of our own program. What the C library does, foremost copying, depends on the
//! processor that it finds; of that the calls are counted.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::deps;
use crate::stage::{Counts, cargo, check};

/// The numbers that are committed.
const COUNTS: &str = "crates/proto/instructions.txt";
/// How far above them a count may be, in per cent.
const TOLERANCE: u64 = 3;
/// So much more is nothing, however small a count is: what the loader does at the first call.
const SLACK: u64 = 10;
/// What the build and each count may take.
const LIMIT: Duration = Duration::from_secs(600);
/// The parts of the hot path that the example counts apart.
const PARTS: [&str; 3] = ["encode", "decode", "submit-to-done"];

/// What one part costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    instructions: u64,
    calls: u64,
}

/// Counts, and compares with the committed numbers; each part counts as a test.
pub(crate) fn run(root: &Path, counts: &mut Counts) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        println!("the committed numbers are those of x86_64: nothing to compare with here");
        return Ok(());
    }
    let path = root.join(COUNTS);
    let text = fs::read_to_string(&path).with_context(|| format!("read {COUNTS}"))?;
    let program = build(root)?;
    let mut offences = Vec::new();
    for part in PARTS {
        let before = committed(&text, part).with_context(|| format!("{COUNTS} lacks {part}"))?;
        let now = count(&program, part)?;
        println!("{}", compared(part, before, now));
        if is_more(before.instructions, now.instructions) || is_more(before.calls, now.calls) {
            counts.failed += 1;
            offences.push(compared(part, before, now));
        } else {
            counts.passed += 1;
        }
    }
    ensure!(
        offences.is_empty(),
        "more than {TOLERANCE} % above {COUNTS}:\n{}\ncounted there with {}, here with {}; if it is meant \
         to cost more, say why and run `cargo xtask instructions --write`",
        offences.join("\n"),
        text.lines()
            .find_map(|line| line.strip_prefix("# with "))
            .unwrap_or("?"),
        compiler()?,
    );
    Ok(())
}

/// Counts, and writes the numbers to commit.
pub(crate) fn write(root: &Path) -> Result<()> {
    let program = build(root)?;
    let mut text = format!(
        "# Instructions of the hot path, and its calls into the C library; `cargo xtask instructions --write`\n\
         # with {}\n# part            instructions    calls\n",
        compiler()?
    );
    for part in PARTS {
        let Cost {
            instructions,
            calls,
        } = count(&program, part)?;
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{part:<17} {instructions:>12} {calls:>8}");
    }
    print!("{text}");
    fs::write(root.join(COUNTS), text).with_context(|| format!("write {COUNTS}"))
}

/// Builds the example as it would be released.
fn build(root: &Path) -> Result<PathBuf> {
    let what = ["build", "--quiet", "--profile", "counted"];
    let which = ["--package", "hawser-proto", "--example", "hot_path"];
    let mut command = cargo(root, &[&what[..], &which].concat());
    check(command.env("CARGO_INCREMENTAL", "0"), LIMIT)?;
    Ok(deps::target_directory(root)?.join("counted/examples/hot_path"))
}

/// Counts one part: what is below the functions that the example names for it.
fn count(program: &Path, part: &str) -> Result<Cost> {
    let folder = tempfile::tempdir().context("make a directory for callgrind")?;
    let out = folder.path().join("out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*measured*"])
        .args(["--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .arg(part)
        .output()
        .context("run valgrind")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("valgrind on {part}: {}\n{said}", output.status);
    }
    let profile = fs::read_to_string(&out).context("read what callgrind wrote")?;
    let cost = cost(&profile, &program.to_string_lossy());
    ensure!(cost.instructions > 0, "callgrind counted nothing of {part}");
    Ok(cost)
}

/// Adds up what a profile says of one program file: the lines of its own functions, and the calls into
/// other files.
fn cost(profile: &str, program: &str) -> Cost {
    let mut sum = Cost {
        instructions: 0,
        calls: 0,
    };
    let (mut ours, mut leaves, mut of_callee) = (false, false, false);
    for line in profile.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            ours = object == program;
        } else if let Some(object) = line.strip_prefix("cob=") {
            leaves = object != program;
        } else if let Some(calls) = line.strip_prefix("calls=") {
            if ours && leaves {
                sum.calls += first_number(calls).unwrap_or(0);
            }
            // The next line is what the callee cost, which its own lines say, too.
            (leaves, of_callee) = (false, true);
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            if ours && !of_callee {
                let cost = line.split_whitespace().nth(1);
                sum.instructions += cost.and_then(|cost| cost.parse::<u64>().ok()).unwrap_or(0);
            }
            of_callee = false;
        }
    }
    sum
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// The committed numbers of a part.
fn committed(text: &str, part: &str) -> Option<Cost> {
    let line = text
        .lines()
        .find(|line| line.split_whitespace().next() == Some(part))?;
    let mut numbers = line.split_whitespace().skip(1).map(str::parse);
    Some(Cost {
        instructions: numbers.next()?.ok()?,
        calls: numbers.next()?.ok()?,
    })
}

fn is_more(before: u64, now: u64) -> bool {
    now > before + before * TOLERANCE / 100 + SLACK
}

fn compared(part: &str, before: Cost, now: Cost) -> String {
    let change = (now.instructions as f64 / before.instructions as f64 - 1.0) * 100.0;
    format!(
        "{part}: {} instructions ({change:+.1} %; {}), {} calls into the C library ({})",
        now.instructions, before.instructions, now.calls, before.calls
    )
}

/// The compiler's name for itself.
fn compiler() -> Result<String> {
    let output = Command::new("rustc")
        .arg("--version")
        .output()
        .context("run rustc")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "version: 1\nsummary: 999\n\nob=/x/hot_path\nfl=a.rs\nfn=a\n1 100\n\
        cob=/lib/libc.so.6\ncfi=m.S\ncfn=memcpy\ncalls=7 0\n3 5000\ncfn=b\ncalls=2 0\n4 50\n\n\
        fn=b\n9 50\n\nob=/lib/libc.so.6\nfl=m.S\nfn=memcpy\n0 5000\n";

    #[test]
    fn only_our_own_lines_and_calls_out_are_counted() {
        let expected = Cost {
            instructions: 150,
            calls: 7,
        };
        assert_eq!(cost(PROFILE, "/x/hot_path"), expected);
        assert_eq!(cost(PROFILE, "/y").instructions, 0);
    }

    #[test]
    fn the_committed_numbers_are_read_and_have_a_tolerance() {
        let text = "# part\ndecode  1000 20\n";
        let before = committed(text, "decode").unwrap();
        assert_eq!((before.instructions, before.calls), (1000, 20));
        assert_eq!(committed(text, "encode"), None);
        assert!(!is_more(1000, 1040) && is_more(1000, 1041) && !is_more(0, 10));
    }
}
