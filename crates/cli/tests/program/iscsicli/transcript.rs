//! Every command with all that it prints, against a real daemon and a real target: `transcript.txt` has the
//! lines as they are seen on a terminal. A text was typed there, not recorded, with two liberties:
//! - `{name}` stands for what differs from run to run. The first time it takes what is there, up to what follows
//!   it in its line; from then on it is that.
//! - `! TEXT` is something that the test does between two commands.
//!
//! `(exit code N)` follows the output of a command that does not end with 0.

use std::collections::{BTreeMap, BTreeSet};

use super::{ISCSICLI, TARGET, address_and_port, iscsicli, mounted, run};
use crate::hawser::{Daemon, code, tool};
use crate::targets::Embedded;

const TRANSCRIPT: &str = include_str!("transcript.txt");

/// What the names in braces stand for.
type Known = BTreeMap<String, String>;

/// A text with the names that are known replaced.
fn filled(text: &str, known: &Known) -> String {
    known.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), value)
    })
}

/// Compares a line with what was expected; a name that is not known yet takes what is there.
fn compare(expected: &str, line: &str, known: &mut Known) -> bool {
    let expected = filled(expected, known);
    let Some((before, rest)) = expected.split_once('{') else {
        return expected == line;
    };
    let Some((name, after)) = rest.split_once('}') else {
        return expected == line;
    };
    let Some(line) = line.strip_prefix(before) else {
        return false;
    };
    let literal = after.split('{').next().unwrap_or_default();
    let end = if literal.is_empty() {
        Some(line.len())
    } else {
        line.find(literal)
    };
    let Some((value, rest)) = end.filter(|end| *end > 0).map(|end| line.split_at(end)) else {
        return false;
    };
    known.insert(name.to_owned(), value.to_owned());
    compare(after, rest, known)
}

/// The words of a command line; double quotes hold blanks together.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let words = parts.flat_map(|(index, part)| match index % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// Runs a command and compares all it prints; gives its name.
fn command(daemon: &Daemon, line: &str, expected: &str, known: &mut Known) -> String {
    let line = filled(line, known);
    let words = words(&line);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = iscsicli(daemon, &words);
    let mut printed = output.stdout.clone();
    if code(&output) != 0 {
        printed.push_str(&format!("(exit code {})\n", code(&output)));
    }
    let same = expected.lines().count() == printed.lines().count()
        && std::iter::zip(expected.lines(), printed.lines())
            .all(|(expected, line)| compare(expected, line, known));
    assert!(
        same && printed.ends_with('\n'),
        "{line}\nexpected:\n{}\nprinted:\n{printed}\n{}",
        filled(expected, known),
        output.stderr
    );
    words[0].to_owned()
}

/// What is done between two commands.
fn action(daemon: &Daemon, what: &str, known: &Known) {
    let device = || {
        let disk = daemon.disk(TARGET, 0);
        disk["device"].as_str().expect("it has one").to_owned()
    };
    match what {
        "wait for the disk" => drop(device()),
        "mount the disk" => drop(mounted(daemon, &device())),
        "unmount it" => run("umount", &[&known["volume"]]),
        other => panic!("{other}?"),
    }
}

/// The names in the usage of all commands.
fn all_commands() -> BTreeSet<String> {
    let help = tool(ISCSICLI).arg("help").run_ok().expect("works").stdout;
    let heads = help
        .lines()
        .filter_map(|line| line.strip_prefix("iscsicli "));
    let names = heads.filter_map(|rest| rest.split(' ').next());
    let names = names.filter(|name| !name.starts_with('['));
    names.map(str::to_owned).collect()
}

#[test]
fn every_command_prints_what_the_transcript_has() {
    let mut daemon = Daemon::start("loop");
    let own = Embedded::start(&["--target", TARGET, "--lun", "ram:64M"]);
    let portal = own.portal();
    let (address, port) = address_and_port(&portal);
    let volume = daemon.path("volume");
    let mut known: Known = [
        ("address", address),
        ("port", port),
        ("target", TARGET),
        ("volume", volume.to_str().expect("is UTF-8")),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let mut seen = BTreeSet::new();
    for block in format!("\n\n{}", TRANSCRIPT.trim_end_matches('\n'))
        .split("\n\n$ iscsicli ")
        .skip(1)
    {
        let (block, actions) = block.split_once("\n\n! ").unwrap_or((block, ""));
        let (line, expected) = block.split_once('\n').expect("something is printed");
        seen.insert(command(&daemon, line, expected, &mut known));
        for what in actions.split("! ").map(str::trim) {
            if !what.is_empty() {
                action(&daemon, what, &known);
            }
        }
    }
    assert_eq!(seen, all_commands());
    daemon.stop();
}

#[test]
fn a_name_takes_what_is_there_and_is_that_from_then_on() {
    let mut known = Known::new();
    assert!(compare("Id {a}-{b}.", "Id 12-3.", &mut known));
    assert!(compare("{b} {a}", "3 12", &mut known));
    for (expected, line) in [
        ("{a}", "13"),
        ("x {c}", "y 1"),
        ("{d}", ""),
        ("{e}-", "1"),
        ("blank ", "blank"),
    ] {
        assert!(!compare(expected, line, &mut known), "{expected}: {line}");
    }
}
