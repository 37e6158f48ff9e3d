//! What a call that only reads costs with many sessions up: `read_cost.c`, built against the header and the shared
//! library, with a daemon behind it that has logged in to as many targets.
//!
//! `cargo build --release -p hawser-cli --bins && cargo bench -p iscsidsc --bench read_cost [SESSIONS [EXPORT]]`
//!
//! Prints a table and fails if the median of a call reaches the limit, which is the word of docs/performance.md.

#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/library/support.rs"]
mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use hawser_target::{TargetHandle, TargetServer};
use iscsidsc::api::Library;

use support::{Daemon, config, discover, log_in, portal_of, store, until};

/// A median of this many microseconds or more is a failure.
const LIMIT_US: f64 = 1000.0;
const SESSIONS: usize = 200;

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let sessions = words.next().map_or(SESSIONS, |word| {
        word.parse().expect("the number of sessions")
    });
    let export = words.next().unwrap_or_else(|| "none".into());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let names: Vec<String> = (0..sessions).map(name).collect();
    let target = runtime.block_on(serve(&names));
    let address = target.local_addrs()[0];
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    let daemon = Daemon::start(String::leak(export));
    let library = daemon.library();
    discover(&library, &portal_of(address));
    for name in &names {
        log_in(&library, name);
        store(&library, name);
    }
    wait_for_devices(&library, sessions);
    let directory = tempfile::tempdir().expect("a directory");
    let program = build(directory.path());
    let output = Command::new(program)
        .env("LD_LIBRARY_PATH", directory.path())
        .env("HAWSER_SOCKET", daemon.socket())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    table(&said, sessions)
}

fn name(number: usize) -> String {
    format!("iqn.2026-11.test.iscsidsc:read-cost.{number}")
}

async fn serve(names: &[String]) -> TargetHandle {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut server = TargetServer::builder().portal(anywhere);
    for name in names {
        server = server.target(config(name));
    }
    server.start().await.expect("it starts")
}

/// Waits until each session's disk is known.
fn wait_for_devices(library: &Library, sessions: usize) {
    until("the disks of all sessions", || {
        let found = library.target_mappings()?.len();
        if found == sessions {
            Ok(())
        } else {
            Err(iscsidsc::api::Status::DEVICE_NOT_FOUND)
        }
    });
}

/// Builds the program beside the library, laid out as it is installed.
fn build(directory: &Path) -> PathBuf {
    let mut library = std::env::current_exe().expect("has a path");
    library.set_file_name("libiscsidsc.so");
    for name in ["libiscsidsc.so", "libiscsidsc.so.1"] {
        symlink(&library, directory.join(name)).expect("linked");
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = directory.join("read_cost");
    let built = Command::new("gcc")
        .args([
            "-std=c11",
            "-O2",
            "-D_POSIX_C_SOURCE=200809L",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-I",
        ])
        .arg(here.join("include"))
        .arg(here.join("benches/read_cost/read_cost.c"))
        .arg("-L")
        .arg(directory)
        .args(["-liscsidsc", "-o"])
        .arg(&program)
        .status();
    assert!(built.expect("gcc runs").success());
    program
}

fn table(lines: &str, sessions: usize) -> ExitCode {
    println!(
        "| call, {sessions} sessions | size | median µs | 99th percentile µs |\n|---|---|---|---|"
    );
    let mut within = true;
    for line in lines.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let median: f64 = fields[2].parse().expect("a number");
        within &= median < LIMIT_US;
        println!("| {} |", fields.join(" | "));
    }
    if within {
        ExitCode::SUCCESS
    } else {
        eprintln!("a median is {LIMIT_US} µs or more");
        ExitCode::FAILURE
    }
}
