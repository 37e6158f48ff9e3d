//! The page about conformance names tests of this program: they must be here.

use std::collections::BTreeSet;
use std::path::Path;

/// The tests of this program as `file::test`.
fn tests() -> BTreeSet<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripted");
    let mut tests = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        for test in text.split("#[test]").skip(1) {
            let name = test.split("fn ").nth(1).unwrap().split('(').next().unwrap();
            tests.insert(format!("{file}::{name}"));
        }
    }
    tests
}

#[test]
fn every_test_that_the_page_on_conformance_names_is_here() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/target-conformance.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("## The UNH-IOL target suite").unwrap();
    let (table, _) = section.split_once("\n## ").unwrap();
    let tests = tests();
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let mut named = 0;
    for row in rows.skip(1) {
        for name in row.split('`').filter(|part| part.contains("::")) {
            assert!(tests.contains(name), "{name} in {row}");
            named += 1;
        }
    }
    assert!(named > 82, "{named} tests for 82 titles");
}
