//! `cargo xtask limits`: house limits that no lint knows.
//!
//! - A file has at most [`FILE_LINES_MAX`] lines of code. Blank lines, comments and the tests at the end
//!   of a file do not count; files of tests and generated files are free.
//! - Functions are held to 70 lines by clippy (`too_many_lines`, limit in `clippy.toml`). Where a table
//!   must be longer, the code lifts the lint with a reason, and the place is named in [`LONG_TABLES`].
//! - No unfinished work is left in the code.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Lines of code a file.
const FILE_LINES_MAX: usize = 800;

/// Files that may lift clippy's `too_many_lines`, each with the table that needs it.
const LONG_TABLES: &[(&str, &str)] = &[(
    "crates/api/src/lib.rs",
    "generated: one arm for each call of a service",
)];

/// Marks of unfinished work (put together here so that this file does not hold them).
const UNFINISHED: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];

/// Checks all sources under `crates` and `fuzz`; the error lists every offence.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut sources = Vec::new();
    for folder in ["crates", "fuzz"] {
        collect(&root.join(folder), &mut sources)?;
    }
    let mut offences = Vec::new();
    for source in &sources {
        let code = std::fs::read_to_string(source)
            .with_context(|| format!("read {}", source.display()))?;
        let name = source.strip_prefix(root).unwrap_or(source);
        offences.extend(file_offences(&name.to_string_lossy(), &code));
    }
    ensure!(offences.is_empty(), "{}", offences.join("\n"));
    println!("{} files keep to the house limits", sources.len());
    Ok(())
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") || path.join("src").exists() {
                collect(&path, sources)?;
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            sources.push(path);
        }
    }
    Ok(())
}

fn file_offences(name: &str, code: &str) -> Vec<String> {
    let mut offences = Vec::new();
    let lines = code_lines(code);
    if lines > FILE_LINES_MAX && !is_free(name) {
        offences.push(format!(
            "{name}: {lines} lines of code, at most {FILE_LINES_MAX}"
        ));
    }
    for (index, line) in code.lines().enumerate() {
        if UNFINISHED.iter().any(|mark| line.contains(mark)) {
            offences.push(format!("{name}:{}: unfinished work", index + 1));
        }
        // This crate names the lint to switch it on.
        let lifts = line.contains("clippy::too_many_lines") && !name.starts_with("crates/xtask/");
        if lifts && !LONG_TABLES.iter().any(|(file, _)| *file == name) {
            offences.push(format!(
                "{name}:{}: lifts too_many_lines but is not in LONG_TABLES",
                index + 1
            ));
        }
    }
    offences
}

/// Files of tests and generated files.
fn is_free(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("tests.rs") || name.contains("/generated/")
}

/// Lines that are neither blank nor comment, up to the tests at the end of the file.
fn code_lines(code: &str) -> usize {
    let mut lines = code.lines().map(str::trim).peekable();
    let mut count = 0;
    while let Some(line) = lines.next() {
        let next_is_module = lines.peek().is_some_and(|next| next.starts_with("mod "));
        if line == "#[cfg(test)]" && next_is_module {
            break;
        }
        if !line.is_empty() && !line.starts_with("//") {
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blanks_and_tests_do_not_count() {
        let code =
            "//! Head.\n\nfn a() {}\n// why\nfn b() {}\n#[cfg(test)]\nmod tests {\nfn c() {}\n}\n";
        assert_eq!(code_lines(code), 2);
    }

    #[test]
    fn a_long_file_is_an_offence_and_a_long_test_is_none() {
        let code = "fn a() {}\n".repeat(FILE_LINES_MAX + 1);
        assert_eq!(file_offences("crates/a/src/lib.rs", &code).len(), 1);
        assert!(file_offences("crates/a/src/lib/tests.rs", &code).is_empty());
        assert!(file_offences("crates/a/tests/b.rs", &code).is_empty());
    }

    #[test]
    fn unfinished_work_and_lifted_lints_are_offences() {
        let code = format!("// {}: later\n", UNFINISHED[0]);
        assert_eq!(file_offences("crates/a/src/lib.rs", &code).len(), 1);
        let code = "#[expect(clippy::too_many_lines, reason = \"no table\")]\n";
        assert_eq!(file_offences("crates/a/src/lib.rs", code).len(), 1);
    }
}
