//! The engine's tests against LIO, the target of the Linux kernel, which runs in a virtual machine.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::guest::{Boot, Guest};
use super::image::Image;
use super::payload::Payload;
use crate::stage::{Counts, cargo, check, check_tests};

/// A boot takes seven seconds on a machine that does nothing else.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// The tests on one machine take ten minutes.
const TEST_LIMIT: Duration = Duration::from_secs(30 * 60);

/// The tests that break LIO's kernel: each has a machine of its own.
const ALONE: &str = "alone::";

/// What a kernel says that is broken from then on; at `loglevel=5` its warnings are on the console.
const BROKEN: [&str; 4] = ["BUG: ", "Oops: ", "WARNING: ", "Kernel panic"];

/// Builds the tests, boots LIO, runs them.
pub(super) fn run(root: &Path, image: &Image, counts: &mut Counts) -> Result<()> {
    let mut build = cargo(root, &[&TEST[..], &["--no-run"]].concat());
    check(&mut build, TEST_LIMIT)?;

    let directory = super::fresh_directory(root, "lio")?;
    let payload = Payload::new(&directory);
    payload.file(&root.join("tests/vm/guest/lio"), "/hawser/lio")?;
    let payload = payload.pack()?;

    let console = directory.join("console");
    let machine = Machine::boot(image, &payload, &console)?;
    machine.test(root, &["--skip", ALONE], counts)?;
    // What the tests after it have shown would be worth nothing.
    ensure!(
        machine.broken().is_empty(),
        "LIO's kernel broke\n{}",
        machine.guest.last_words()
    );
    drop(machine);
    for test in alone(root)? {
        let console = directory.join(format!("console-{}", test.replace("::", "-")));
        let machine = Machine::boot(image, &payload, &console)?;
        machine.test(root, &["--exact", &test], counts)?;
        for line in machine.broken() {
            println!("LIO's kernel after {test}: {line}");
        }
    }
    Ok(())
}

/// The names of the tests that need a machine for themselves.
fn alone(root: &Path) -> Result<Vec<String>> {
    let list = ["--", ALONE, "--list"];
    let output = cargo(root, &[&TEST[..], &list[..]].concat()).output()?;
    let names = String::from_utf8_lossy(&output.stdout);
    let names = names.lines().filter_map(|line| line.strip_suffix(": test"));
    let names: Vec<String> = names.map(str::to_owned).collect();
    ensure!(!names.is_empty(), "no test is called {ALONE}");
    Ok(names)
}

/// The tests.
const TEST: [&str; 7] = [
    "test",
    "-p",
    "hawser-engine",
    "--features",
    "lio",
    "--test",
    "lio",
];

/// A machine in which LIO serves.
struct Machine {
    guest: Guest,
    port: u16,
}

impl Machine {
    fn boot(image: &Image, payload: &Path, console: &Path) -> Result<Self> {
        let port = free_port()?;
        let guest = Guest::boot(&Boot {
            image,
            root: None,
            payload,
            append: "hawser.init=/hawser/lio loglevel=5",
            forward: Some(port),
            console,
        })?;
        guest.wait_for("LIO READY", BOOT_LIMIT)?;
        Ok(Self { guest, port })
    }

    /// Runs some of the tests, at least one, one after the other: they share the disks. `--show-output`
    /// prints what they tell of LIO.
    fn test(&self, root: &Path, which: &[&str], counts: &mut Counts) -> Result<()> {
        let how = ["--", "--test-threads=1", "--show-output"];
        let mut tests = cargo(root, &[&TEST[..], &how[..], which].concat());
        tests.env("HAWSER_LIO", format!("127.0.0.1:{}", self.port));
        let before = counts.passed;
        check_tests(&mut tests, TEST_LIMIT, counts).with_context(|| self.guest.last_words())?;
        ensure!(counts.passed > before, "no test is called {which:?}");
        Ok(())
    }

    /// The lines in which its kernel says that it is broken.
    fn broken(&self) -> Vec<String> {
        let console = self.guest.console();
        let says = |line: &&str| BROKEN.iter().any(|broken| line.contains(broken));
        console.lines().filter(says).map(str::to_owned).collect()
    }
}

/// A port that is free now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("bind a port")?;
    Ok(listener.local_addr()?.port())
}
