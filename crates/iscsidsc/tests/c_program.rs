//! A C program is compiled against the header, linked with `-liscsidsc` and run: the loader finds the library by its
//! soname, and the calls work through the real boundary.
#![cfg(target_os = "linux")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// Runs a program to its end and fails with all it said if it failed.
fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} (see testkit/debian-packages.txt): {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Lays the library out as it is installed and builds the program `name` against it.
fn build(directory: &Path, compiler: &str, name: &str) {
    let mut library = std::env::current_exe().unwrap();
    library.set_file_name("libiscsidsc.so");
    symlink(&library, directory.join("libiscsidsc.so")).unwrap();
    symlink(&library, directory.join("libiscsidsc.so.1")).unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    run(Command::new(compiler)
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(here.join("include"))
        .arg(here.join(format!("tests/c/{name}.c")))
        .arg("-L")
        .arg(directory)
        .args(["-liscsidsc", "-o"])
        .arg(directory.join(name)));
}

#[test]
fn a_c_program_links_and_runs() {
    for compiler in ["gcc", "clang"] {
        let directory = tempfile::tempdir().unwrap();
        build(directory.path(), compiler, "without_service");
        let said = run(Command::new(directory.path().join("without_service"))
            .env("LD_LIBRARY_PATH", directory.path())
            .env("HAWSER_SOCKET", directory.path().join("none.sock")));
        assert_eq!(said, "done\n");
    }
}

/// The library leaves nothing behind that it does not need and reads nothing that the caller did not fill.
#[test]
fn valgrind_finds_no_fault() {
    let directory = tempfile::tempdir().unwrap();
    build(directory.path(), "gcc", "without_service");
    run(Command::new("valgrind")
        .args(["--quiet", "--error-exitcode=9", "--leak-check=full"])
        .args(["--errors-for-leak-kinds=definite"])
        .arg(directory.path().join("without_service"))
        .env("LD_LIBRARY_PATH", directory.path())
        .env("HAWSER_SOCKET", directory.path().join("none.sock")));
}
