//! `cargo xtask third-party`: holds third-party crates to `deny.toml`.
//!
//! `cargo deny` reads more of that file (advisories, duplicates), but takes minutes to build and is not
//! on a fresh machine. This checks what must never slip in: a licence outside the list, a banned crate, a
//! crate that comes from elsewhere than crates.io.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::stage::cargo;

/// How cargo names crates.io in a package's source.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The part of `deny.toml` that is checked here.
struct Rules {
    licences: Vec<String>,
    banned: Vec<String>,
}

/// Checks every crate in the main workspace's lock file; the error lists every offence.
pub(crate) fn run(root: &Path) -> Result<()> {
    let rules = read_rules(&std::fs::read_to_string(root.join("deny.toml"))?)?;
    let output = cargo(root, &["metadata", "--format-version", "1"])
        .output()
        .context("run cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("read cargo metadata")?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let offences: Vec<String> = packages
        .iter()
        .filter_map(|package| offence(package, &rules))
        .collect();
    ensure!(offences.is_empty(), "{}", offences.join("\n"));
    println!("{} crates keep to deny.toml", packages.len());
    Ok(())
}

fn read_rules(text: &str) -> Result<Rules> {
    let rules: toml::Table = text.parse().context("read deny.toml")?;
    let array = |table: &str, key: &str| {
        rules
            .get(table)
            .and_then(|table| table.get(key)?.as_array())
            .with_context(|| format!("deny.toml has no {key} in [{table}]"))
    };
    let text = |value: &toml::Value| value.as_str().map(str::to_owned);
    let licences: Vec<String> = array("licenses", "allow")?
        .iter()
        .filter_map(text)
        .collect();
    let banned = array("bans", "deny")?;
    let banned = banned
        .iter()
        .filter_map(|entry| entry.get("crate").and_then(text))
        .collect();
    ensure!(!licences.is_empty(), "deny.toml allows no licence");
    Ok(Rules { licences, banned })
}

fn offence(package: &Value, rules: &Rules) -> Option<String> {
    let name = package["name"].as_str().unwrap_or("?");
    if rules.banned.iter().any(|banned| banned == name) {
        return Some(format!("{name} is banned by deny.toml"));
    }
    // Crates of the workspace have no source.
    let source = package["source"].as_str().unwrap_or(CRATES_IO);
    if source != CRATES_IO {
        return Some(format!("{name} comes from {source}"));
    }
    let licence = package["license"].as_str().unwrap_or("");
    (!is_allowed(licence, &rules.licences))
        .then(|| format!("{name}: licence {licence:?} is not allowed by deny.toml"))
}

/// Whether an SPDX expression can be met with the allowed licences. Old crates write `/` for `OR`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace(" WITH ", "+WITH+");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest, allowed) && rest.is_empty()
}

/// `a OR b OR ...`: every alternative is read, one is enough.
fn either(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = all(rest, allowed);
    while let ["OR", after @ ..] = *rest {
        *rest = after;
        met |= all(rest, allowed);
    }
    met
}

/// `a AND b AND ...`, which binds tighter than OR.
fn all(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = one(rest, allowed);
    while let ["AND", after @ ..] = *rest {
        *rest = after;
        met &= one(rest, allowed);
    }
    met
}

/// One licence, or an expression in brackets.
fn one(rest: &mut &[&str], allowed: &[String]) -> bool {
    match *rest {
        ["(", after @ ..] => {
            *rest = after;
            let met = either(rest, allowed);
            if let [")", after @ ..] = *rest {
                *rest = after;
            }
            met
        }
        [licence, after @ ..] => {
            *rest = after;
            allowed.iter().any(|one| one == licence)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allowed(expression: &str) -> bool {
        is_allowed(
            expression,
            &["MIT".into(), "Apache-2.0".into(), "Zlib".into()],
        )
    }

    #[test]
    fn one_alternative_is_enough_but_all_parts_are_needed() {
        assert!(allowed("MIT"));
        assert!(allowed("GPL-3.0 OR MIT"));
        assert!(allowed(
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR GPL-2.0"
        ));
        assert!(allowed("Unlicense/MIT"));
        assert!(allowed("(MIT OR GPL-2.0) AND Zlib"));
        assert!(!allowed("GPL-3.0"));
        assert!(!allowed("MIT AND GPL-3.0"));
        assert!(!allowed("(MIT OR Apache-2.0) AND GPL-2.0"));
        assert!(!allowed("MIT AND"));
        assert!(!allowed(""));
    }

    #[test]
    fn a_banned_or_foreign_crate_is_an_offence() {
        let rules = read_rules(
            "[licenses]\nallow = [\"MIT\"]\n[bans]\ndeny = [{ crate = \"bad\", reason = \"x\" }]",
        )
        .unwrap();
        let package =
            |name: &str, source: Value| json!({ "name": name, "source": source, "license": "MIT" });
        assert!(offence(&package("bad", json!(CRATES_IO)), &rules).is_some());
        assert!(offence(&package("good", json!("git+https://example.com")), &rules).is_some());
        assert!(offence(&package("good", json!(CRATES_IO)), &rules).is_none());
        assert!(offence(&package("ours", Value::Null), &rules).is_none());
    }
}
