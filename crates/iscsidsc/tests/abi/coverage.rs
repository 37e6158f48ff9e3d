//! `docs/discovery-library.md` tells the truth: one row for each export, and what a row names is there. Whether a test
//! calls the export whose row names it is looked at by `run.py`, when it runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const EXPORTS: &str = include_str!("../exports.tsv");
/// The calls that the library answers by itself: no method, no function of the daemon.
const NEED_NO_SERVICE: [&str; 1] = ["GetIScsiVersionInformation"];
/// What stands for nothing in a cell.
const NOTHING: &str = "–";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of the rows of the table of calls, the last of the page.
fn rows() -> Vec<[String; 4]> {
    let page = read(&root().join("docs/discovery-library.md"));
    let table = page
        .lines()
        .skip_while(|line| !line.starts_with("| export |"));
    let lines = table.filter(|line| line.starts_with("| `"));
    let cells = lines.map(|line| {
        let inner = line
            .strip_prefix('|')
            .and_then(|line| line.strip_suffix('|'));
        let cells: Vec<String> = inner
            .into_iter()
            .flat_map(|inner| inner.split('|').map(|cell| cell.trim().to_owned()))
            .collect();
        cells
            .try_into()
            .unwrap_or_else(|_| panic!("not a row of four cells: {line}"))
    });
    cells.collect()
}

/// What stands in backticks in a cell, which has nothing else but blanks and commas.
fn names(cell: &str) -> Vec<&str> {
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for (index, part) in cell.split('`').enumerate() {
        let list = if index % 2 == 1 {
            &mut inside
        } else {
            &mut outside
        };
        list.push(part);
    }
    let separators = outside.concat();
    assert!(
        separators.chars().all(|c| c == ' ' || c == ','),
        "not a list of names: {cell}"
    );
    inside
}

/// `Service.Method` of all methods of the contract.
fn methods() -> BTreeSet<String> {
    let folder = root().join("crates/api/proto/hawser/v1");
    let files = fs::read_dir(&folder)
        .expect("listed")
        .map(|entry| entry.expect("listed").path());
    let mut found = BTreeSet::new();
    for file in files {
        let mut service = String::new();
        for line in read(&file).lines() {
            let words: Vec<&str> = line
                .split([' ', '('])
                .filter(|word| !word.is_empty())
                .collect();
            match words[..] {
                ["service", name, ..] => service = name.to_owned(),
                ["rpc", name, ..] => drop(found.insert(format!("{service}.{name}"))),
                _ => {}
            }
        }
    }
    found
}

/// Whether a file of the daemon has a function.
fn has_function(file: &str, name: &str) -> bool {
    let source = root().join(file);
    file.starts_with("crates/daemon/src/")
        && source.is_file()
        && ["(", "<"]
            .iter()
            .any(|after| read(&source).contains(&format!("fn {name}{after}")))
}

/// Whether `module::Class.test` is a test of `tests/abi`.
fn has_test(name: &str) -> bool {
    let parts = name.split_once("::").and_then(|(module, rest)| {
        let (class, test) = rest.split_once('.')?;
        Some((module, class, test))
    });
    let Some((module, class, test)) = parts else {
        return false;
    };
    let file = super::folder().join(format!("{module}.py"));
    if !test.starts_with("test_") || !file.is_file() {
        return false;
    }
    let source = read(&file);
    let mut lines = source
        .lines()
        .skip_while(|line| !line.starts_with(&format!("class {class}(")));
    lines.next();
    lines
        .take_while(|line| line.is_empty() || line.starts_with([' ', '#']))
        .any(|line| line.starts_with(&format!("    def {test}(")))
}

#[test]
fn each_export_has_one_row() {
    let rows = rows();
    let mut listed: Vec<&str> = rows.iter().flat_map(|[export, ..]| names(export)).collect();
    let mut wanted: Vec<&str> = EXPORTS
        .lines()
        .filter_map(|line| line.split('\t').next())
        .collect();
    listed.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(wanted.len(), 79);
    assert_eq!(listed, wanted);
}

#[test]
fn what_a_row_names_is_there() {
    let methods = methods();
    for [export, rpc, function, tests] in rows() {
        let alone = NEED_NO_SERVICE.iter().any(|name| names(&export) == [*name]);
        if alone {
            assert_eq!([rpc.as_str(), &function], [NOTHING; 2], "{export}");
        } else {
            let named = names(&rpc);
            assert!(!named.is_empty(), "{export} names no method");
            for method in named {
                assert!(methods.contains(method), "{export}: no method {method}");
            }
            let [file, name] = names(&function)[..] else {
                panic!("{export}: not a file and a function: {function}");
            };
            assert!(
                has_function(file, name),
                "{export}: no function {name} in {file}"
            );
        }
        for test in names(&tests) {
            assert!(has_test(test), "{export}: no test {test}");
        }
    }
}

#[test]
fn each_row_names_a_test() {
    let rows = rows();
    let without = rows.iter().filter(|[.., tests]| names(tests).is_empty());
    let without: Vec<&str> = without.map(|[export, ..]| export.as_str()).collect();
    assert!(
        without.is_empty(),
        "{} rows name no test: {}",
        without.len(),
        without.join(", ")
    );
}
