//! `libiscsidsc.so` exports the functions of the header and nothing else, under the name that programs ask the loader
//! for.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

const EXPORTS: &str = include_str!("exports.tsv");

/// Functions that are ours, beside the 79 of Windows.
const HELPERS: [&str; 1] = ["IScsiStatusText"];

/// The shared object that cargo built for this test run, beside the test itself.
fn library() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.set_file_name("libiscsidsc.so");
    assert!(path.exists(), "{} was not built", path.display());
    path
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(library())
        .output()
        .unwrap_or_else(|error| {
            panic!("{program} is needed, see testkit/debian-packages.txt: {error}")
        });
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn exported_are_the_79_and_our_helper() {
    let wanted: BTreeSet<&str> = EXPORTS
        .lines()
        .map(|line| line.split_once('\t').unwrap().0)
        .chain(HELPERS)
        .collect();
    assert_eq!(wanted.len(), 80);
    let listed = said_by("nm", &["-D", "--defined-only", "--format=posix"]);
    let exported: BTreeSet<&str> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let missing: Vec<_> = wanted.difference(&exported).collect();
    let unknown: Vec<_> = exported.difference(&wanted).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "missing: {missing:?}, not in the list: {unknown:?}"
    );
}

#[test]
fn its_name_carries_the_version_of_the_abi() {
    let dynamic = said_by("readelf", &["-d"]);
    assert!(
        dynamic.contains("Library soname: [libiscsidsc.so.1]"),
        "{dynamic}"
    );
}
