//! The contests: those with bars, and the whole matrix.

use crate::bars::{Bar, Bound, Metric, Trial};
use crate::case::{BIG, Case, Pattern, SMALL};
use crate::contest::Contest;
use crate::exports::Export;
use crate::site::Place;
use crate::subject::Subject;

/// Bars that another program measures, since they are about the daemon with many sessions.
pub(crate) const ELSEWHERE: [&str; 2] = [
    "1,000 sessions in one daemon: login of all ≤ 5 s, memory of an idle session ≤ 48 KiB, `hawser status` ≤ 50 ms",
    "CPU per I/O with 1,000 idle sessions beside the busy one ≤ 1.05",
];

/// All contests with bars.
pub(crate) fn with_bars() -> Vec<Trial> {
    let mut trials = vec![
        against_libiscsi(
            "read-4k",
            "4 KiB read, depth 32, tgt null: CPU per I/O",
            0.35,
        ),
        against_libiscsi(
            "write-4k",
            "4 KiB write, depth 32, tgt null: CPU per I/O",
            0.40,
        ),
        against_libiscsi(
            "read-128k",
            "128 KiB read, depth 32, tgt null: CPU per I/O",
            0.60,
        ),
        against_libiscsi(
            "write-128k",
            "128 KiB write, depth 32, tgt null: CPU per I/O",
            0.60,
        ),
    ];
    trials.extend([
        one_at_a_time(),
        own_small_reads(),
        own_big(),
        nbd(),
        files(),
    ]);
    trials
}

/// Ours against the tool of libiscsi that can do the same, with the latencies of our loop on libiscsi.
fn against_libiscsi(name: &str, text: &'static str, most: f64) -> Trial {
    let bytes = if name.ends_with("-4k") { SMALL } else { BIG };
    let (pattern, tool) = if name.starts_with("read") {
        (Pattern::Read, Subject::IscsiPerf)
    } else {
        (Pattern::Write, Subject::QemuImg)
    };
    let subjects = [Subject::Hawser, tool, Subject::Libiscsi];
    let bar = Bar::new(text, Metric::Cpu, (0, 1), Bound::AtMost(most)).guarded(2);
    let case = Case::new(pattern, bytes, 32);
    trial(name, Place::TgtNull, &all(&subjects, case), vec![bar])
}

fn one_at_a_time() -> Trial {
    let subjects = [Subject::Hawser, Subject::IscsiPerf, Subject::Libiscsi];
    let latency = "4 KiB read, depth 1, tgt null: median latency";
    let cpu = "4 KiB read, depth 1, tgt null: CPU per I/O";
    let bars = vec![
        Bar::new(latency, Metric::P50, (0, 2), Bound::AtMost(0.95)),
        Bar::new(cpu, Metric::Cpu, (0, 1), Bound::AtMost(0.90)).guarded(2),
    ];
    let case = Case::new(Pattern::Read, SMALL, 1);
    trial("depth-1", Place::TgtNull, &all(&subjects, case), bars)
}

fn own_small_reads() -> Trial {
    let subjects = [Subject::Hawser, Subject::Limit];
    let text = "4 KiB read, depth 32, own target: CPU per I/O";
    let bar = Bar::new(text, Metric::Cpu, (0, 1), Bound::AtMost(2.5));
    let case = Case::new(Pattern::Read, SMALL, 32);
    trial("limit-4k", Place::Own, &all(&subjects, case), vec![bar])
}

fn own_big() -> Trial {
    let read = Case::new(Pattern::Read, BIG, 32);
    let write = Case::new(Pattern::Write, BIG, 32);
    let entrants = [
        (Subject::Hawser, read),
        (Subject::Limit, read),
        (Subject::Hawser, write),
        (Subject::Limit, write),
        (Subject::Hawser, read.digests()),
        (Subject::Hawser, write.digests()),
    ];
    let bars = vec![
        rate(
            "128 KiB read, depth 32, own target: throughput",
            (0, 1),
            0.85,
        ),
        rate(
            "128 KiB, own target: write throughput against read",
            (2, 0),
            0.90,
        ),
        rate(
            "128 KiB read, own target: digests on against off",
            (4, 0),
            0.85,
        ),
        rate(
            "128 KiB write, own target: digests on against off",
            (5, 2),
            0.85,
        ),
    ];
    trial("limit-128k", Place::Own, &entrants, bars)
}

/// The same client on our export and on libiscsi itself.
fn nbd() -> Trial {
    let bars = vec![
        rate("NBD export, 4 KiB read, depth 32: throughput", (0, 1), 1.0),
        rate("NBD export, 4 KiB write, depth 32: throughput", (2, 3), 1.0),
        rate(
            "NBD export, 128 KiB read, depth 32: throughput",
            (4, 5),
            1.0,
        ),
        rate(
            "NBD export, 128 KiB write, depth 32: throughput",
            (6, 7),
            1.0,
        ),
    ];
    trial("nbd", Place::Own, &nbd_pairs(), bars)
}

fn nbd_pairs() -> Vec<(Subject, Case)> {
    let ours = Subject::QemuImgOn(Export::Nbd);
    let cases = [
        Case::new(Pattern::SequentialRead, SMALL, 32),
        Case::new(Pattern::SequentialWrite, SMALL, 32),
        Case::new(Pattern::SequentialRead, BIG, 32),
        Case::new(Pattern::SequentialWrite, BIG, 32),
    ];
    cases
        .map(|case| [(ours, case), (Subject::QemuImg, case)])
        .concat()
}

fn files() -> Trial {
    let subjects = [
        Subject::FioOn(Export::Loop),
        Subject::FioOn(Export::Fuse),
        Subject::Hawser,
    ];
    let read = all(&subjects, Case::new(Pattern::SequentialRead, BIG, 32));
    let write = all(&subjects, Case::new(Pattern::SequentialWrite, BIG, 32));
    let bars = vec![
        rate(
            "loop export, 128 KiB sequential read: throughput",
            (0, 2),
            0.6,
        ),
        rate(
            "FUSE export, 128 KiB sequential read: throughput",
            (1, 2),
            0.6,
        ),
        rate(
            "loop export, 128 KiB sequential write: throughput",
            (3, 5),
            0.6,
        ),
        rate(
            "FUSE export, 128 KiB sequential write: throughput",
            (4, 5),
            0.6,
        ),
    ];
    trial("files", Place::Own, &[read, write].concat(), bars)
}

fn rate(text: &'static str, pair: (usize, usize), least: f64) -> Bar {
    Bar::new(text, Metric::Throughput, pair, Bound::AtLeast(least))
}

fn trial(name: &str, place: Place, entrants: &[(Subject, Case)], bars: Vec<Bar>) -> Trial {
    Trial {
        contest: Contest::new(name, place, entrants),
        bars,
    }
}

/// These, all with the same case.
fn all(subjects: &[Subject], case: Case) -> Vec<(Subject, Case)> {
    subjects.iter().map(|subject| (*subject, case)).collect()
}

/// Short words for the names of contests.
fn words(pattern: Pattern, bytes: u32) -> String {
    let pattern = match pattern {
        Pattern::Read | Pattern::SequentialRead => "read",
        Pattern::Write | Pattern::SequentialWrite => "write",
        Pattern::Mixed => "mixed",
    };
    format!("{pattern}-{}k", bytes >> 10)
}

/// Everything else that is worth a look.
pub(crate) fn matrix() -> Vec<Contest> {
    let mut contests = Vec::new();
    for bytes in [SMALL, BIG] {
        for pattern in [Pattern::Read, Pattern::Write, Pattern::Mixed] {
            for depth in [1, 8, 32, 128] {
                contests.extend(at_depth(Case::new(pattern, bytes, depth)));
            }
        }
        for place in [Place::TgtNull, Place::Own] {
            contests.push(digests(place, bytes));
            contests.push(many(place, bytes));
        }
        contests.extend(exports(bytes));
    }
    contests.push(Contest::new("nbd-null", Place::TgtNull, &nbd_pairs()));
    contests
}

/// One case on the targets, against who can do it.
fn at_depth(case: Case) -> Vec<Contest> {
    let name = |place: &str| format!("{place}-{}-{}", words(case.pattern, case.bytes), case.depth);
    let libiscsi = [Subject::Hawser, Subject::Libiscsi];
    let mut on_own = vec![Subject::Hawser];
    if case.pattern != Pattern::Mixed {
        on_own.push(Subject::Limit);
    }
    let mut contests = vec![Contest::new(
        &name("null"),
        Place::TgtNull,
        &all(&libiscsi, case),
    )];
    if case.depth == 32 {
        on_own.push(Subject::Libiscsi);
        let memory = Contest::new(&name("memory"), Place::TgtMemory, &all(&libiscsi, case));
        contests.push(memory);
    }
    contests.push(Contest::new(&name("own"), Place::Own, &all(&on_own, case)));
    contests
}

fn digests(place: Place, bytes: u32) -> Contest {
    let cases = [Pattern::Read, Pattern::Write].map(|pattern| Case::new(pattern, bytes, 32));
    let entrants: Vec<_> = cases
        .into_iter()
        .flat_map(|case| [case, case.digests()])
        .map(|case| (Subject::Hawser, case))
        .collect();
    Contest::new(&format!("digests-{}k", bytes >> 10), place, &entrants)
}

fn many(place: Place, bytes: u32) -> Contest {
    let case = Case::new(Pattern::Read, bytes, 32);
    let entrants = [(1, 1), (2, 1), (4, 1), (1, 2), (1, 4)]
        .map(|(connections, sessions)| (Subject::Hawser, case.over(connections, sessions)));
    Contest::new(&format!("many-{}k", bytes >> 10), place, &entrants)
}

/// fio on each way to show a disk.
fn exports(bytes: u32) -> impl Iterator<Item = Contest> {
    let subjects = [Export::Nbd, Export::QemuNbd, Export::Fuse, Export::Loop].map(Subject::FioOn);
    let patterns = [Pattern::Read, Pattern::Write, Pattern::Mixed];
    patterns.into_iter().map(move |pattern| {
        let name = format!("exports-{}", words(pattern, bytes));
        let case = Case::new(pattern, bytes, 32);
        Contest::new(&name, Place::Own, &all(&subjects, case))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_bar_names_entrants_of_its_contest() {
        for trial in with_bars() {
            for bar in &trial.bars {
                assert!(bar.fits(&trial.contest), "{bar:?}");
            }
        }
    }

    #[test]
    fn the_names_tell_the_contests_of_a_target_apart() {
        let contests: Vec<Contest> = matrix();
        let names: BTreeSet<String> = contests
            .iter()
            .map(|contest| format!("{} {}", contest.name, contest.place))
            .collect();
        assert_eq!(names.len(), contests.len());
    }
}
