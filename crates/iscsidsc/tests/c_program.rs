//! Programs in C are compiled against the header, linked with `-liscsidsc` or loading the library themselves, and run: the
//! loader finds the library by its soname, and the calls work through the real boundary.
#![cfg(target_os = "linux")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hawser_api::Status;

/// Runs a program to its end and fails with all it said if it failed.
fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} (see testkit/debian-packages.txt): {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The library that cargo built for these tests.
fn library() -> PathBuf {
    let mut library = std::env::current_exe().unwrap();
    library.set_file_name("libiscsidsc.so");
    library
}

/// Compiles the program `name` into `directory` with `more` words for the compiler.
fn compile(directory: &Path, compiler: &str, name: &str, more: &[&str]) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    run(Command::new(compiler)
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(here.join("include"))
        .arg(here.join(format!("tests/c/{name}.c")))
        .arg("-L")
        .arg(directory)
        .args(more)
        .arg("-o")
        .arg(directory.join(name)));
}

/// Lays the library out as it is installed and builds the program `name` against it.
fn build(directory: &Path, compiler: &str, name: &str) {
    symlink(library(), directory.join("libiscsidsc.so")).unwrap();
    symlink(library(), directory.join("libiscsidsc.so.1")).unwrap();
    compile(directory, compiler, name, &["-liscsidsc"]);
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

/// As `docs/porting.md` says: a thread of the library runs in it.
#[test]
fn the_library_stays_when_a_program_unloads_it() {
    let directory = tempfile::tempdir().unwrap();
    compile(directory.path(), "gcc", "unloading", &["-ldl"]);
    let said = run(Command::new(directory.path().join("unloading"))
        .arg(library())
        .env("HAWSER_SOCKET", directory.path().join("none.sock")));
    assert_eq!(said, "done\n");
}

/// Two users that are neither root nor each other: `daemon` and `nobody` where there are such.
const OWNER: u32 = 1;
const CALLER: u32 = 65_534;

/// A socket that counts who comes, and sends everybody away.
fn counting(socket: &Path) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(socket).unwrap();
    fs::set_permissions(socket, Permissions::from_mode(0o777)).unwrap();
    let came = Arc::new(AtomicUsize::new(0));
    let count = came.clone();
    std::thread::spawn(move || {
        for caller in listener.incoming() {
            drop(caller);
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    came
}

/// Who calls a program that has the rights of somebody else does not say with whom it speaks.
#[test]
fn a_set_user_id_program_does_not_look_at_the_environment() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "run as root: it needs two users"
    );
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::set_permissions(at, Permissions::from_mode(0o755)).unwrap();
    // The caller may be let into no directory of ours, and the loader looks at no variable of such a program.
    for name in ["libiscsidsc.so", "libiscsidsc.so.1"] {
        fs::copy(library(), at.join(name)).unwrap();
        fs::set_permissions(at.join(name), Permissions::from_mode(0o755)).unwrap();
    }
    let place = format!("-Wl,-rpath,{}", at.display());
    compile(at, "gcc", "asks", &["-liscsidsc", &place]);
    let (plain, raised) = (at.join("asks"), at.join("raised"));
    fs::copy(&plain, &raised).unwrap();
    chown(&raised, Some(OWNER), None).unwrap();
    fs::set_permissions(&plain, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&raised, Permissions::from_mode(0o4755)).unwrap();

    let socket = at.join("socket");
    let came = counting(&socket);
    let asks = |program: &Path| {
        run(Command::new(program)
            .env("HAWSER_SOCKET", &socket)
            .uid(CALLER)
            .gid(CALLER))
    };
    let stopped = Status::SERVICE_NOT_RUNNING.code();
    let said = asks(&raised);
    // Not so where the directory is mounted with `nosuid`.
    assert_eq!(said, format!("{CALLER} {OWNER} {stopped:x}\n"));
    assert_eq!(came.load(Ordering::SeqCst), 0, "it asked whom it was told");
    let said = asks(&plain);
    assert_eq!(said, format!("{CALLER} {CALLER} {stopped:x}\n"));
    assert_ne!(
        came.load(Ordering::SeqCst),
        0,
        "else the above proves nothing"
    );
}
