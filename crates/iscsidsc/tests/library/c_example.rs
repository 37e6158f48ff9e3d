//! The example in C, built against the header and the shared library as a program elsewhere is, with a daemon and
//! tgt behind it: the whole way through the C ABI.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::support::{Daemon, TARGET, portal_of, tgtd};

/// Builds `examples/c/bind.c` in a directory, beside the library as it is installed.
fn build(directory: &Path) -> PathBuf {
    let mut library = std::env::current_exe().expect("has a path");
    library.set_file_name("libiscsidsc.so");
    for name in ["libiscsidsc.so", "libiscsidsc.so.1"] {
        symlink(&library, directory.join(name)).expect("linked");
    }
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
