//! docs/hostile-peers.md says what is here: each offence once, with its bounds and its test.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The number of offences that were asked for.
const AT_LEAST: usize = 60;

/// What a row allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes above what was live at the beginning.
    pub(crate) memory: u64,
    pub(crate) time: Duration,
}

/// One row of the document.
#[derive(Debug)]
struct Row {
    id: String,
    cells: Vec<String>,
}

/// The cells of a row, by their place.
const NAME: usize = 1;
const PHASE: usize = 2;
const MEMORY: usize = 5;
const TIME: usize = 7;
const TEST: usize = 8;
const CELLS: usize = 9;

const PHASES: [&str; 6] = [
    "discovery",
    "login",
    "full feature",
    "several connections",
    "level 1",
    "level 2",
];

fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/hostile-peers.md");
    let document = fs::read_to_string(path).expect("docs/hostile-peers.md");
    let row = |line: &str| {
        let cells = line.trim_matches('|').split(" | ").map(str::trim);
        let cells: Vec<String> = cells.map(str::to_owned).collect();
        assert_eq!(cells.len(), CELLS, "the cells of {line}");
        let id = cells.first().cloned().unwrap_or_default();
        Row { id, cells }
    };
    let lines = document.lines().filter(|line| line.starts_with("| H-"));
    lines.map(row).collect()
}

impl Row {
    fn cell(&self, at: usize) -> &str {
        &self.cells[at]
    }

    /// A number and its unit.
    fn amount(&self, at: usize) -> (u64, &str) {
        let (number, unit) = self.cell(at).split_once(' ').expect("a unit");
        (number.parse().expect("a number"), unit)
    }

    fn bounds(&self) -> Bounds {
        let (memory, unit) = self.amount(MEMORY);
        let factor = match unit {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            other => panic!("{}: {other}", self.id),
        };
        let (seconds, unit) = self.amount(TIME);
        assert_eq!(unit, "s", "{}", self.id);
        let time = Duration::from_secs(seconds);
        Bounds {
            memory: memory * factor,
            time,
        }
    }

    fn test(&self) -> &str {
        self.cell(TEST).trim_matches('`')
    }
}

/// The bounds that stand in the row `id`.
pub(crate) fn bounds(id: &str) -> Bounds {
    let rows = rows();
    let row = rows.iter().find(|row| row.id == id);
    row.unwrap_or_else(|| panic!("{id} has no row")).bounds()
}

/// The tests of this program, by name, each with the row that it claims: a test `h_07_...` asks for the
/// bounds of `H-07`.
fn tests() -> BTreeMap<String, Option<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let mut tests = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        let mut name = None;
        for line in source.lines().map(str::trim) {
            if let Some(function) = line.strip_prefix("fn h_") {
                let (rest, _) = function.split_once('(').unwrap();
                name = Some(format!("h_{rest}"));
                let twice = tests.insert(format!("h_{rest}"), None);
                assert!(twice.is_none(), "h_{rest} is there twice");
            } else if let Some(id) = line.strip_prefix("offence(\"") {
                let (id, _) = id.split_once('"').unwrap();
                let name = name.take().expect("one offence in a test");
                tests.insert(name, Some(id.to_owned()));
            }
        }
    }
    tests
}

#[test]
fn each_row_has_its_test_and_each_test_its_row() {
    let mut tests = tests();
    let rows = rows();
    assert!(rows.len() >= AT_LEAST, "{} rows", rows.len());
    for (number, row) in (1..).zip(&rows) {
        assert_eq!(row.id, format!("H-{number:02}"), "the ids count up");
        let claimed = tests.remove(row.test());
        assert_eq!(claimed, Some(Some(row.id.clone())), "{}", row.test());
        let prefix = format!("h_{number:02}_");
        assert!(row.test().starts_with(&prefix), "{}", row.test());
    }
    assert!(tests.is_empty(), "tests without a row: {tests:?}");
}

#[test]
fn each_row_is_complete() {
    for row in rows() {
        assert!(PHASES.contains(&row.cell(PHASE)), "{row:?}");
        assert!(row.cells.iter().all(|cell| !cell.is_empty()), "{row:?}");
        assert!(row.cell(NAME).len() < 60, "{row:?}");
        let bounds = row.bounds();
        assert!(bounds.time <= super::peer::LIMIT, "{row:?}");
        let (measured, unit) = row.amount(MEMORY + 1);
        assert_eq!(unit, "KiB", "{row:?}");
        assert!(measured << 10 <= bounds.memory, "{row:?}");
    }
}
