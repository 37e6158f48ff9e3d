//! The engine's tests against LIO, the target of the Linux kernel, which runs in a virtual machine.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::guest::{Boot, Guest};
use super::image::Image;
use super::payload::Payload;
use crate::stage::{Counts, cargo, check, check_tests};

/// A boot takes seven seconds on a machine that does nothing else.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// The tests take half a minute.
const TEST_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Builds the tests, boots LIO, runs them.
pub(super) fn run(root: &Path, image: &Image, counts: &mut Counts) -> Result<()> {
    let test = ["test", "-p", "hawser-engine", "--features", "lio"];
    let test = [&test[..], &["--test", "lio"]].concat();
    check(
        &mut cargo(root, &[&test[..], &["--no-run"]].concat()),
        TEST_LIMIT,
    )?;

    let directory = super::fresh_directory(root, "lio")?;
    let payload = Payload::new(&directory);
    payload.file(&root.join("tests/vm/guest/lio"), "/hawser/lio")?;
    let payload = payload.pack()?;
    let port = free_port()?;
    let guest = Guest::boot(&Boot {
        image,
        root: None,
        payload: &payload,
        append: "hawser.init=/hawser/lio",
        forward: Some(port),
        console: &directory.join("console"),
    })?;
    guest.wait_for("LIO READY", BOOT_LIMIT)?;

    // One after the other: the tests share the disks of one machine.
    let mut tests = cargo(root, &[&test[..], &["--", "--test-threads=1"]].concat());
    tests.env("HAWSER_LIO", format!("127.0.0.1:{port}"));
    check_tests(&mut tests, TEST_LIMIT, counts).with_context(|| guest.last_words())
}

/// A port that is free now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("bind a port")?;
    Ok(listener.local_addr()?.port())
}
