//! `cargo xtask spec`: holds SPECIFICATION.md and THREAT-MODEL.md to the tree.
//!
//! The rows of their tables are `| rule | what we do | where | tests |`. A name in the third column is a
//! file below `crates/proto/src`, one in the fourth a test of `hawser-proto`; `engine::` and the like
//! before it says another crate, `fuzz::` a fuzz target. A rule without a test says why with its first
//! word, one of [`WHY_NO_TEST`]. Every rule of `spec_rules.txt` has one row.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// The file that has a row for each rule.
const SPECIFICATION: &str = "SPECIFICATION.md";
/// The file that has a row for each threat.
const THREATS: &str = "THREAT-MODEL.md";
/// The rules that must be in the first.
const RULES: &str = include_str!("spec_rules.txt");
/// The crate of a name that says none.
const USUAL_CRATE: &str = "proto";

/// First words of a row without a test: the rule belongs to a later issue, it is not kept, it is a
/// duty of the other side or of the host, or it asks for nothing that a test could see.
const WHY_NO_TEST: [&str; 5] = ["later:", "gap:", "target:", "host:", "note:"];

/// Checks both files; the error lists every offence.
pub(crate) fn run(root: &Path) -> Result<()> {
    let rules = rules(RULES)?;
    let tree = Tree::read(root)?;
    for (file, rules) in [(SPECIFICATION, rules), (THREATS, BTreeSet::new())] {
        let text = fs::read_to_string(root.join(file)).with_context(|| format!("read {file}"))?;
        let offences = offences(&text, &rules, &tree);
        ensure!(offences.is_empty(), "{file}:\n{}", offences.join("\n"));
        println!("{file}: {}", summary(&text));
    }
    Ok(())
}

/// The ids that the list stands for.
fn rules(list: &str) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let Some((family, last)) = line.split_once(' ') else {
            bail!("spec_rules.txt: {line:?} is no family with a number");
        };
        let last: u32 = last.parse().with_context(|| line.to_owned())?;
        ids.extend((1..=last).map(|number| format!("{family}-{number:02}")));
    }
    Ok(ids)
}

/// What a name in the file may refer to.
#[derive(Debug, Default)]
struct Tree {
    root: PathBuf,
    /// The tests of each crate, and the fuzz targets under `fuzz`.
    tests: BTreeMap<String, BTreeSet<String>>,
}

impl Tree {
    fn read(root: &Path) -> Result<Self> {
        let mut tests = BTreeMap::new();
        for entry in list(&root.join("crates"))? {
            let mut names = BTreeSet::new();
            collect(&entry, &mut |code| names.extend(test_names(code)))?;
            tests.insert(file_name(&entry), names);
        }
        let targets = list(&root.join("fuzz/fuzz_targets"))?;
        let targets = targets
            .iter()
            .map(|path| file_name(&path.with_extension("")));
        tests.insert("fuzz".to_owned(), targets.collect());
        Ok(Self {
            root: root.to_owned(),
            tests,
        })
    }

    fn has_source(&self, name: &str) -> bool {
        let (room, path) = split(name);
        let folder = self.root.join("crates").join(room);
        folder.join("src").join(path).exists()
    }

    fn has_test(&self, name: &str) -> bool {
        let (room, test) = split(name);
        self.tests.get(room).is_some_and(|all| all.contains(test))
    }
}

/// Crate and rest of a name.
fn split(name: &str) -> (&str, &str) {
    name.split_once("::").unwrap_or((USUAL_CRATE, name))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Shows `each` every Rust file below `path`.
fn collect(path: &Path, each: &mut impl FnMut(&str)) -> Result<()> {
    if path.is_dir() {
        for entry in list(path)? {
            collect(&entry, each)?;
        }
    } else if path.extension().is_some_and(|ending| ending == "rs") {
        each(&fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?);
    }
    Ok(())
}

/// The functions behind a `#[test]` or `#[tokio::test]`.
fn test_names(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in code.lines().map(str::trim) {
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let function = line.strip_prefix("async ").unwrap_or(line);
        if let Some(rest) = function.strip_prefix("fn ") {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            if std::mem::take(&mut is_test) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// The four cells of a table row, or nothing for any other line.
fn row(line: &str) -> Option<[&str; 4]> {
    let cells: Vec<&str> = line
        .strip_prefix('|')?
        .strip_suffix('|')?
        .split('|')
        .map(str::trim)
        .collect();
    let cells: [&str; 4] = cells.try_into().ok()?;
    let is_head = cells[3] == "tests" || cells[0].starts_with("--");
    (!is_head).then_some(cells)
}

/// The names in backticks.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether a row without a test says why.
fn is_excused(what: &str) -> bool {
    WHY_NO_TEST.iter().any(|word| what.starts_with(word))
}

fn offences(text: &str, rules: &BTreeSet<String>, tree: &Tree) -> Vec<String> {
    let mut offences = Vec::new();
    let mut seen = BTreeSet::new();
    for [rule, what, place, tests] in text.lines().filter_map(row) {
        if !seen.insert(rule.to_owned()) {
            offences.push(format!("{rule}: has two rows"));
        }
        let strange = names(place).filter(|name| !tree.has_source(name));
        offences.extend(strange.map(|name| format!("{rule}: no file {name}")));
        let strange = names(tests).filter(|name| !tree.has_test(name));
        offences.extend(strange.map(|name| format!("{rule}: no test {name}")));
        if names(tests).next().is_none() && !is_excused(what) {
            offences.push(format!("{rule}: has no test and does not say why"));
        }
    }
    let missing = rules.difference(&seen);
    offences.extend(missing.map(|rule| format!("{rule}: has no row")));
    offences
}

/// How many rows have tests, and how many of the others say what. A gap counts wherever it stands.
fn summary(text: &str) -> String {
    let mut kinds = BTreeMap::new();
    for [_, what, _, _] in text.lines().filter_map(row) {
        let first = WHY_NO_TEST.iter().find(|word| what.starts_with(**word));
        let kind = match first {
            _ if what.contains("gap:") => "gap",
            Some(word) => word.trim_end_matches(':'),
            None => "done and tested",
        };
        *kinds.entry(kind).or_insert(0) += 1;
    }
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, n)| format!("{n} {kind}"))
        .collect();
    kinds.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let tests = BTreeSet::from(["a_test".to_owned()]);
        Tree {
            root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
            tests: BTreeMap::from([(USUAL_CRATE.to_owned(), tests)]),
        }
    }

    fn offences_of(text: &str) -> Vec<String> {
        offences(text, &BTreeSet::from(["FRM-01".to_owned()]), &tree())
    }

    #[test]
    fn a_row_with_file_and_test_is_in_order() {
        let text = "| rule | what | where | tests |\n|---|---|---|---|\n\
                    | FRM-01 | it is so | `lib.rs`, `xtask::spec.rs` | `a_test` |";
        assert!(offences_of(text).is_empty());
        assert!(offences_of("| FRM-01 | later: not yet | – | – |").is_empty());
    }

    #[test]
    fn what_is_not_in_the_tree_is_an_offence() {
        for row in [
            "| FRM-01 | it is so | `gone.rs` | `a_test` |",
            "| FRM-01 | it is so | `engine::spec.rs` | `a_test` |",
            "| FRM-01 | it is so | `lib.rs` | `gone` |",
            "| FRM-01 | it is so | `lib.rs` | `engine::a_test` |",
            "| FRM-01 | it is so | `lib.rs` | – |",
            "| FRM-02 | it is so | `lib.rs` | `a_test` |",
        ] {
            assert_eq!(offences_of(row).len(), 1, "{row}");
        }
    }

    #[test]
    fn a_rule_has_one_row() {
        let row = "| FRM-01 | it is so | `lib.rs` | `a_test` |";
        assert_eq!(offences_of(&format!("{row}\n{row}")).len(), 1);
    }

    #[test]
    fn the_list_of_rules_is_read() {
        let ids = rules("# head\nAB 2\nLV2 1\n").unwrap();
        assert_eq!(Vec::from_iter(ids), ["AB-01", "AB-02", "LV2-01"]);
        assert!(rules(RULES).unwrap().contains("TMF-15"));
        assert!(rules("AB").is_err());
    }

    #[test]
    fn tests_are_told_from_other_functions() {
        let code = "#[test]\nfn one() {}\nfn two() {}\n    #[tokio::test(start_paused = true)]\n\
                    /// Why.\n    async fn three() {}\nfn four() {}\n";
        assert_eq!(test_names(code), ["one", "three"]);
    }
}
