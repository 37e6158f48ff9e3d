//! The examples in C and Python, which call the shared library as a program elsewhere does, with a daemon and tgt
//! behind it: the whole way through the C ABI.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::support::{Daemon, TARGET, discover, log_in, portal_of, ready_device, store, tgtd};

/// Lays the library out in a directory as it is installed.
fn install(directory: &Path) {
    let mut library = std::env::current_exe().expect("has a path");
    library.set_file_name("libiscsidsc.so");
    for name in ["libiscsidsc.so", "libiscsidsc.so.1"] {
        symlink(&library, directory.join(name)).expect("linked");
    }
}

/// Builds `examples/c/bind.c` beside it.
fn build(directory: &Path) -> PathBuf {
    install(directory);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = directory.join("bind");
    let built = Command::new("gcc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(here.join("include"))
        .arg(here.join("../../examples/c/bind.c"))
        .arg("-L")
        .arg(directory)
        .args(["-liscsidsc", "-o"])
        .arg(&program)
        .output()
        .expect("gcc runs");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    program
}

fn text(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout);
    format!("{said}{}", String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_c_example_binds_the_disk_of_a_target_of_tgt() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = build(directory.path());
    let tgt = tgtd(TARGET);
    let daemon = Daemon::start("fuse");
    let portal = portal_of(tgt.portal());
    let run = || {
        Command::new(&program)
            .args([&portal.address, &portal.socket.to_string(), TARGET])
            .env("LD_LIBRARY_PATH", directory.path())
            .env("HAWSER_SOCKET", daemon.socket())
            .output()
            .expect("it runs")
    };
    let first = run();
    let said = text(&first);
    assert!(first.status.success(), "{said}");
    assert!(said.contains(&format!("target: {TARGET}\n")), "{said}");
    let library = daemon.library();
    let bound = library.persistent_devices().expect("listed");
    assert_eq!(bound.len(), 1, "{said}");
    assert!(said.contains(&format!("bound: {}\n", bound[0])), "{said}");
    // The target is logged in to now, which the call says with the status of the sheet.
    let second = run();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second).contains("0xefff003f"), "{}", text(&second));
    assert_eq!(library.clear_persistent_devices(), Ok(()));
}

#[test]
fn the_python_example_binds_through_the_wide_calls() {
    let directory = tempfile::tempdir().expect("a directory");
    install(directory.path());
    let tgt = tgtd(TARGET);
    let daemon = Daemon::start("fuse");
    let library = daemon.library();
    discover(&library, &portal_of(tgt.portal()));
    store(&library, TARGET);
    let session = log_in(&library, TARGET);
    let path = ready_device(&library, session).interface_name;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/python/bind.py");
    let run = |paths: &[&str]| {
        Command::new("python3")
            .arg(&script)
            .args(paths)
            .env("LD_LIBRARY_PATH", directory.path())
            .env("HAWSER_SOCKET", daemon.socket())
            .output()
            .expect("python3 runs")
    };
    assert_eq!(text(&run(&[])), "", "nothing is bound");
    for _again in 0..2 {
        assert_eq!(text(&run(&[&path])), format!("{path}\n"));
    }
    let refused = run(&["/no/such/path-\u{fc}"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("0xefff005d"), "{}", text(&refused));
    assert_eq!(library.clear_persistent_devices(), Ok(()));
}
