//! `cargo xtask install` from the build to a program that is linked to what was installed.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What is installed below the prefix, but for manual pages and completions.
const FILES: [&str; 21] = [
    "bin/hawser",
    "bin/hawser-target",
    "bin/hawserd",
    "bin/iscsicli",
    "include/iscsidsc.h",
    "include/iscsierr.h",
    "lib/libiscsidsc.so",
    "lib/libiscsidsc.so.1",
    "lib/libiscsidsc.so.1.0.0",
    "lib/pkgconfig/iscsidsc.pc",
    "lib/systemd/system/hawser-volumes.service",
    "lib/systemd/system/hawser-volumes.target",
    "lib/systemd/system/hawserd.service",
    "lib/sysusers.d/hawser.conf",
    "lib/tmpfiles.d/hawser.conf",
    "share/doc/hawser/CHANGELOG.md",
    "share/doc/hawser/LICENSE",
    "share/doc/hawser/LICENSE-APACHE",
    "share/doc/hawser/LICENSE-MIT",
    "share/doc/hawser/hawser.toml",
    "share/man/man8/hawserd.8",
];
/// Where the others are, and one of each kind.
const MADE_BY_THE_PROGRAM: [(&str, &str); 4] = [
    ("share/man/man", "share/man/man1/hawser-login.1"),
    (
        "share/bash-completion/completions/",
        "share/bash-completion/completions/iscsicli",
    ),
    (
        "share/zsh/site-functions/_",
        "share/zsh/site-functions/_hawser",
    ),
    (
        "share/fish/vendor_completions.d/",
        "share/fish/vendor_completions.d/hawserd.fish",
    ),
];

/// `ISDSC_SERVICE_NOT_RUNNING`, as the example prints it.
const SERVICE_NOT_RUNNING: &str = "0xefff003e";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Runs a program to its end.
fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} (see testkit/debian-packages.txt): {error}"))
}

/// The same for one that must succeed; gives what it printed.
fn run_ok(command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn install(words: &[&str]) -> String {
    let xtask = env!("CARGO_BIN_EXE_xtask");
    run_ok(Command::new(xtask).args(["install", "--debug"]).args(words))
}

/// All files and links below a directory, and all directories must be open to everybody.
fn files_below(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(one) = directories.pop() {
        for entry in fs::read_dir(&one).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
                assert_eq!(mode, 0o755, "{}", entry.path().display());
                directories.push(entry.path());
            } else {
                let path = entry.path();
                let below = path.strip_prefix(directory).unwrap();
                found.insert(below.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn everything_is_laid_out_below_the_destination() {
    let stage = tempfile::tempdir().unwrap();
    let configuration = stage.path().join("etc/hawser/hawser.toml");
    let said = install(&["--destdir", stage.path().to_str().unwrap()]);
    assert!(!said.contains("next:"), "{said}");
    let mut found = files_below(stage.path());
    assert!(found.remove("etc/hawser/hawser.toml"));
    let found: BTreeSet<String> = found
        .iter()
        .map(|path| path.strip_prefix("usr/local/").expect(path).to_owned())
        .collect();
    for (_, one) in MADE_BY_THE_PROGRAM {
        assert!(found.contains(one), "{one}: {found:?}");
    }
    let is_made = |path: &str| {
        let mut places = MADE_BY_THE_PROGRAM.iter().map(|(place, _)| *place);
        places.any(|place| path.starts_with(place))
    };
    let others: BTreeSet<&str> = found
        .iter()
        .map(String::as_str)
        .filter(|path| !is_made(path))
        .collect();
    let expected = FILES.into_iter().filter(|path| !is_made(path));
    assert_eq!(others, expected.collect());
    assert!(FILES.iter().all(|path| found.contains(*path)), "{found:?}");

    // The second time nothing is written, and what the user made of the configuration stays.
    fs::write(&configuration, "# mine\n").unwrap();
    let said = install(&["--destdir", stage.path().to_str().unwrap()]);
    for line in said.lines() {
        let kept = line.ends_with("hawser/hawser.toml (yours is kept)");
        assert!(line.ends_with(" (as it was)") || kept, "{line}");
    }
    assert_eq!(fs::read_to_string(configuration).unwrap(), "# mine\n");
    let unit = "usr/local/lib/systemd/system/hawserd.service";
    let unit = fs::read_to_string(stage.path().join(unit)).unwrap();
    assert!(
        unit.contains("\nExecStart=/usr/local/bin/hawserd\n"),
        "{unit}"
    );
    assert!(!unit.contains("=/usr/bin/"), "{unit}");
}

/// Compiles the example with what pkg-config says of the library, and nothing else.
fn build_example(prefix: &Path, directory: &Path) -> PathBuf {
    let flags = run_ok(
        Command::new("pkg-config")
            .args(["--cflags", "--libs", "iscsidsc"])
            .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")),
    );
    let program = directory.join("bind");
    run_ok(
        Command::new("gcc")
            .arg(root().join("examples/c/bind.c"))
            .args(flags.split_whitespace())
            .arg("-o")
            .arg(&program),
    );
    program
}

#[test]
fn a_program_finds_the_library_by_pkg_config_and_asks_for_a_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = directory.path().join("prefix");
    install(&["--prefix", prefix.to_str().unwrap()]);
    // The configuration of the machine is none of this prefix's business.
    assert!(!prefix.join("etc").exists());
    let version = run_ok(
        Command::new("pkg-config")
            .args(["--modversion", "iscsidsc"])
            .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")),
    );
    assert_eq!(version.trim(), env!("CARGO_PKG_VERSION"));
    let program = build_example(&prefix, directory.path());
    let ended = run(Command::new(program)
        .args(["192.0.2.10", "3260", "iqn.2026-11.example:disk"])
        .env("LD_LIBRARY_PATH", prefix.join("lib"))
        .env("HAWSER_SOCKET", directory.path().join("none.sock")));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains(SERVICE_NOT_RUNNING), "{said}");
    let hawser = run_ok(Command::new(prefix.join("bin/hawser")).arg("--version"));
    assert!(hawser.contains(env!("CARGO_PKG_VERSION")), "{hawser}");
}

#[test]
fn mistakes_are_told_before_anything_is_built() {
    for (words, told) in [
        (&["--prefix", "usr"][..], "must begin with /"),
        (&["--strip"], "there is no option --strip"),
        (&["--destdir"], "needs a directory"),
        (
            &["--destdir", "/dev/null/stage"],
            "may not write to /dev/null",
        ),
    ] {
        let xtask = env!("CARGO_BIN_EXE_xtask");
        let ended = run(Command::new(xtask).arg("install").args(words));
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.contains(told), "{words:?}: {said}");
    }
}
