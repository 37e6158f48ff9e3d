//! docs/conformance.md says what is here: every line of the lists once, with its tests and their result.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The lines of the UNH-IOL full feature phase suite for initiators.
const FFP: &str = "1.1 2.1 2.2 3.1 3.2 3.3 4.1 5.1 6.1 7.1 8.1 8.2 8.3 9.1 10.1 10.2 11.1.1 11.1.2 \
    11.2.1 11.2.2 11.3 11.4 12.1 12.2 12.3 12.4 13.1 13.2 14.1 14.2 15.1 15.2 15.3 16.1.1 16.1.2 \
    16.2.1 16.2.2 16.2.3 16.2.4 16.3.1 16.4.1 16.4.2 16.4.3 16.4.4 16.4.5 16.4.6 16.5 16.6 17.1 \
    18.1 18.2 18.3.1 18.3.2 18.4 18.5 19.1 19.2 19.3 19.4.1 19.4.2 19.4.3 19.5 20.1 20.2 20.3 20.4";

/// The lines of our supplement: how many of each letter.
const SUPPLEMENT: [(char, u32); 7] = [
    ('L', 25),
    ('C', 10),
    ('R', 1),
    ('D', 6),
    ('X', 13),
    ('G', 6),
    ('A', 17),
];

/// The titles of the login phase suite that are public.
const LOGIN: &str = "1.1 2.1 2.2 2.3 3.1 3.2 4.1 4.2 5.1 6.1 6.2 6.3 7.1 7.2 7.3 7.4 7.5 7.6 8.1 9.1 \
    9.2 9.3 10.1 11.1 12.1 13.1 13.2 13.3 14.1 15.1 16.1 16.2 16.3 17.1 18.1 19.1 20.1 21.1 22.1 23.1";

/// The titles of the CHAP suite that are public.
const CHAP: &str = "1.1 1.2.1 1.2.2 1.3 2.1 2.2 2.3 2.4 2.5 2.6 3.1 3.2 3.3 3.4 3.5 3.6.1 3.6.2 3.6.3 \
    3.6.4 3.7 3.8 4.1 4.2 4.3 4.4 4.5 4.6 4.7 4.8 5.1 5.2 5.3";

/// All lines, as the document names them.
fn lines() -> Vec<String> {
    let named = |list: &str, ids: &str| -> Vec<String> {
        ids.split_whitespace()
            .map(|id| format!("{list} {id}"))
            .collect()
    };
    let supplement = SUPPLEMENT
        .iter()
        .flat_map(|&(letter, count)| (1..=count).map(move |n| format!("SUP-{letter}{n:02}")));
    let mut lines = named("FFP", FFP);
    assert_eq!(lines.len(), 66);
    lines.extend(supplement);
    assert_eq!(lines.len(), 66 + 78);
    lines.extend(named("LOGIN", LOGIN));
    lines.extend(named("CHAP", CHAP));
    lines
}

/// The tests of this program with the reason why they are left out, if they are.
fn tests() -> BTreeMap<String, Option<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut tests = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        let mut source = source.lines().map(str::trim);
        while let Some(line) = source.next() {
            if line != "#[tokio::test]" {
                continue;
            }
            let mut next = source.next().unwrap();
            let ignored = next
                .strip_prefix("#[ignore = \"")
                .and_then(|rest| rest.strip_suffix("\"]"));
            if ignored.is_some() {
                next = source.next().unwrap();
            }
            let function = next
                .strip_prefix("async fn ")
                .expect("a test is a function");
            let (name, _) = function.split_once('(').unwrap();
            let twice = tests.insert(name.to_owned(), ignored.map(str::to_owned));
            assert_eq!(twice, None, "{name} is there twice");
        }
    }
    tests
}

/// One line of the document.
struct Row {
    line: String,
    tests: Vec<String>,
    result: String,
}

fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/conformance.md");
    let document = fs::read_to_string(path).expect("docs/conformance.md");
    let lists = ["| FFP ", "| SUP-", "| LOGIN ", "| CHAP "];
    let is_row = |line: &&str| lists.iter().any(|list| line.starts_with(list));
    document
        .lines()
        .filter(is_row)
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [line, _, tests, result] = cells[..] else {
                panic!("four cells: {line}");
            };
            let named = tests.split('`').skip(1).step_by(2);
            Row {
                line: line.to_owned(),
                tests: named.map(str::to_owned).collect(),
                result: result.to_owned(),
            }
        })
        .collect()
}

/// What the tests of a line must be named after.
fn base(line: &str) -> String {
    line.to_lowercase().replace([' ', '.', '-'], "_")
}

#[test]
fn each_line_is_there_once() {
    let mut listed: Vec<String> = rows().into_iter().map(|row| row.line).collect();
    let mut lines = lines();
    listed.sort_unstable();
    lines.sort_unstable();
    assert_eq!(listed, lines);
}

#[test]
fn each_test_has_its_line() {
    let mut unlisted = tests();
    for row in rows() {
        let base = base(&row.line);
        for test in &row.tests {
            let fits = test
                .strip_prefix(&base)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
            assert!(fits, "{test} stands at {}", row.line);
            let known = unlisted.remove(test);
            assert!(
                known.is_some(),
                "{test} at {} is no test, or stands there twice",
                row.line
            );
        }
    }
    assert!(unlisted.is_empty(), "tests without a line: {unlisted:?}");
}

#[test]
fn each_line_has_the_result_of_its_tests() {
    let tests = tests();
    for row in rows() {
        let Row { line, result, .. } = &row;
        let ignored: Vec<&str> = row
            .tests
            .iter()
            .filter_map(|test| tests[test].as_deref())
            .collect();
        if let Some(reason) = result.strip_prefix("does not apply: ") {
            assert!(reason.len() > 20 && ignored.is_empty(), "{line}: {result}");
            continue;
        }
        assert!(
            row.tests.contains(&base(line)),
            "{line} has no test of its name"
        );
        if ignored.is_empty() {
            assert_eq!(result, "passes", "{line}");
            continue;
        }
        for reason in &ignored {
            assert!(
                result.starts_with(&format!("waits for {reason}")),
                "{line}: {result}"
            );
        }
        let rest = ignored.len() < row.tests.len();
        assert_eq!(result.contains("; passes "), rest, "{line}: {result}");
    }
}
