//! The buffer protocol (§1.3 to §1.5 of the sheet) through the shared library, as a program in C sees it: every report
//! call with every capacity from none to one more than it needs, in memory that faults behind the buffer and shows each
//! byte written in front of it. `c/buffer_protocol/sweep.c` says what is checked of each call.
#![cfg(target_os = "linux")]

#[path = "buffers/state.rs"]
mod state;
#[path = "library/support.rs"]
#[allow(
    dead_code,
    reason = "shared with the other tests, which need more of it"
)]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hawser_testkit::peers::Tool;
use state::{Everything, FIXED, GROUPED, HIDDEN, PAIR};
use support::Daemon;
use tempfile::TempDir;

/// The program takes seconds, and under valgrind a minute; this is for something that hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// The program in C, beside the library that it is linked to.
struct Program {
    directory: TempDir,
    path: PathBuf,
}

impl Program {
    fn build() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let library = std::env::current_exe()
            .expect("has a path")
            .with_file_name("libiscsidsc.so");
        for name in ["libiscsidsc.so", "libiscsidsc.so.1"] {
            symlink(&library, directory.path().join(name)).expect("linked");
        }
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let sources = here.join("tests/c");
        let parts = [
            "check", "guarded", "walk", "reports", "sweep", "scsi", "changing",
        ];
        let path = directory.path().join("buffer_protocol");
        Tool::new("gcc")
            .expect("is installed")
            .args([
                "-std=c11",
                "-g",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-pedantic",
                "-I",
            ])
            .arg(here.join("include"))
            .arg(sources.join("buffer_protocol.c"))
            .args(parts.map(|part| sources.join(format!("buffer_protocol/{part}.c"))))
            .arg("-L")
            .arg(directory.path())
            .args(["-liscsidsc", "-pthread", "-o"])
            .arg(&path)
            .run_ok()
            .unwrap_or_else(|error| panic!("{error}"));
        Self { directory, path }
    }

    /// Runs it to its end, and gives what it has found out.
    fn run(&self, daemon: &Daemon, mode: &str, targets: &[&str]) -> Found {
        let program = Tool::new(self.path.to_str().expect("is text")).expect("is there");
        self.found(program, daemon, mode, targets)
    }

    /// The same under valgrind, which finds use of what nobody wrote, of memory that is nobody's, and leaks.
    fn run_in_valgrind(&self, daemon: &Daemon, mode: &str, targets: &[&str]) -> Found {
        let program = Tool::new("valgrind")
            .expect("is installed")
            .args(["--quiet", "--error-exitcode=9", "--leak-check=full"])
            .args([
                "--errors-for-leak-kinds=definite",
                "--show-leak-kinds=definite",
            ])
            .arg(&self.path);
        self.found(program, daemon, mode, targets)
    }

    fn found(&self, program: Tool, daemon: &Daemon, mode: &str, targets: &[&str]) -> Found {
        let output = program
            .arg(mode)
            .args(targets)
            .env("LD_LIBRARY_PATH", self.directory.path())
            .env("HAWSER_SOCKET", daemon.socket())
            .limit(LIMIT)
            .run_ok()
            .unwrap_or_else(|error| panic!("{error}"));
        println!("{}", output.stdout);
        Found::read(&output.stdout)
    }
}

/// What the program printed: numbers by the name of the report and of what it was asked about.
struct Found(BTreeMap<(String, String), BTreeMap<String, u64>>);

impl Found {
    /// Lines of `REPORT SUBJECT NAME NUMBER NAME NUMBER...`; the report may have blanks in brackets.
    fn read(printed: &str) -> Self {
        let mut found = BTreeMap::new();
        for line in printed.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [report, subject, numbers @ ..] = &words[..] else {
                panic!("{line}");
            };
            let numbers = numbers.chunks(2).map(|pair| {
                let number = pair[1].parse().unwrap_or_else(|_| panic!("{line}"));
                (pair[0].to_owned(), number)
            });
            let key = ((*report).to_owned(), (*subject).to_owned());
            let before = found.insert(key, numbers.collect());
            assert!(before.is_none(), "twice: {line}");
        }
        Self(found)
    }

    /// A number of a report that was asked about this.
    fn number(&self, report: &str, subject: &str, name: &str) -> u64 {
        let key = (report.to_owned(), subject.to_owned());
        let numbers = self.0.get(&key).unwrap_or_else(|| panic!("{key:?}"));
        numbers[name]
    }

    /// All numbers of this name, by report and subject.
    fn numbers(&self, name: &str) -> impl Iterator<Item = (&str, &str, u64)> {
        self.0
            .iter()
            .filter_map(move |((report, subject), numbers)| {
                numbers
                    .get(name)
                    .map(|number| (&**report, &**subject, *number))
            })
    }

    /// How many calls were made.
    fn calls(&self) -> u64 {
        self.number("everything", "all", "calls")
    }
}

/// The exported functions that fill a buffer whose size the caller says.
fn reporting_functions() -> BTreeSet<&'static str> {
    let exports = include_str!("exports.tsv").lines();
    let names = exports.filter_map(|line| line.split('\t').next());
    let fill = ["Report", "Get", "SendScsi"];
    // These fill one struct, or an array of a fixed size.
    let fixed = [
        "GetIScsiVersion",
        "GetIScsiInitiatorNodeName",
        "GetIScsiIKEInfo",
    ];
    let begins = |name: &str, with: &[&str]| with.iter().any(|begin| name.starts_with(begin));
    names
        .filter(|name| begins(name, &fill) && !begins(name, &fixed))
        .collect()
}

/// No call was left out.
fn check_complete(found: &Found) {
    let called: BTreeSet<&str> = found
        .numbers("calls")
        .map(|(report, _, _)| report.split('(').next().unwrap_or(report))
        .filter(|report| *report != "everything")
        .collect();
    assert_eq!(called, reporting_functions());
}

/// The reports that were empty, where not all are.
fn check_empty_ones(found: &Found) {
    let empty: BTreeSet<(&str, &str)> = found
        .numbers("needs")
        .filter(|(_, _, needs)| *needs == 0)
        .map(|(report, subject, _)| (report, subject))
        .collect();
    let mut expected = BTreeSet::new();
    for target in [PAIR, GROUPED] {
        expected.extend([
            (
                "GetIScsiTargetInformationA(PersistentTargetMappings)",
                target,
            ),
            (
                "GetIScsiTargetInformationW(PersistentTargetMappings)",
                target,
            ),
            ("GetIScsiTargetInformationA(LoginOptions)", target),
            ("GetIScsiTargetInformationW(LoginOptions)", target),
        ]);
    }
    for session in ["session-2", "session-3"] {
        expected.extend([
            ("GetDevicesForIScsiSessionA", session),
            ("GetDevicesForIScsiSessionW", session),
        ]);
    }
    assert_eq!(empty, expected);
}

/// What the program found is what was prepared; sizes of which the sheet says how they are made up are those.
fn check_everything(found: &Found, everything: &Everything) {
    check_complete(found);
    check_empty_ones(found);
    let listed = everything.daemon.library().sessions().expect("listed");
    let listed: Vec<_> = listed.iter().map(|session| session.id).collect();
    assert_eq!(listed, everything.sessions, "numbered as they were made");
    let counts = [
        ("GetIScsiSessionList", "all", 4),
        ("ReportActiveIScsiTargetMappings", "all", 2),
        ("ReportIScsiPersistentLogins", "all", 2),
        ("ReportIScsiSendTargetPortals", "all", 3),
        ("ReportIScsiSendTargetPortalsEx", "all", 3),
        ("ReportIScsiTargetPortals", PAIR, 2),
        ("ReportIScsiTargetPortals", GROUPED, 3),
        ("GetDevicesForIScsiSession", "session-0", 2),
        ("GetDevicesForIScsiSession", "session-1", 2),
    ];
    for (report, subject, wanted) in counts {
        for width in ["A", "W"] {
            let count = found.number(&format!("{report}{width}"), subject, "count");
            assert_eq!(count, wanted, "{report}{width}");
        }
    }
    // Three structs and one user name of nine bytes; a group of two portals and one of one.
    let needs = |report: &str, subject: &str| found.number(report, subject, "needs");
    let groups = |width: &str| {
        needs(
            &format!("GetIScsiTargetInformation{width}(PortalGroups)"),
            GROUPED,
        )
    };
    assert_eq!(needs("ReportIScsiSendTargetPortalsExA", "all"), 3 * 848 + 9);
    assert_eq!(
        needs("ReportIScsiSendTargetPortalsExW", "all"),
        3 * 1616 + 9
    );
    assert_eq!(
        (groups("A"), groups("W")),
        (4 + 1036 + 520, 4 + 2060 + 1032)
    );
}

/// Every capacity of every report, SCSI responses and sense data among them.
#[test]
fn every_report_keeps_to_the_buffer_protocol_with_every_capacity() {
    let everything = Everything::prepare();
    let found = Program::build().run(&everything.daemon, "sweep", &[PAIR, GROUPED, FIXED]);
    check_everything(&found, &everything);
    for (report, subject, needs) in found.numbers("needs") {
        let calls = found.number(report, subject, "calls");
        assert!(calls >= needs + 2, "{report} {subject}: {calls} calls");
    }
}

/// A call takes some ten milliseconds in valgrind, so not every capacity is taken, but those near 0, those near what is
/// needed, those beside each beginning and end of a structure, text or list, and every 127th between. Of false claims
/// and odd addresses it is every third, of the sessions one is sent SCSI commands.
#[test]
fn valgrind_finds_no_fault_in_any_report() {
    let everything = Everything::prepare();
    let program = Program::build();
    let found = program.run_in_valgrind(&everything.daemon, "some", &[PAIR, GROUPED, FIXED]);
    check_everything(&found, &everything);
    println!("{} calls in valgrind", found.calls());
}

/// The table "empty results" of §1.3.
fn check_nothing(found: &Found) {
    for (report, subject, needs) in found.numbers("needs") {
        let characters = if report.contains("InformationW") {
            2
        } else {
            1
        };
        let wanted = match report.trim_end_matches(['A', 'W']) {
            "ReportIScsiTargets" => 2,
            "ReportIScsiInitiatorList" => 20,
            _ if report.ends_with("(TargetAlias)") => characters,
            _ if report.ends_with("(ProtocolType)") || report.ends_with("(TargetFlags)") => 4,
            _ if report.ends_with("(InitiatorName)") => 19 * characters,
            _ if report.ends_with("(DiscoveryMechanisms)") => 9 * characters,
            _ => 0,
        };
        assert_eq!(needs, wanted, "{report} {subject}");
    }
}

#[test]
fn where_nothing_is_every_report_says_so() {
    let daemon = state::nothing();
    let program = Program::build();
    let found = program.run(&daemon, "sweep", &[HIDDEN]);
    check_nothing(&found);
    let watched = program.run_in_valgrind(&daemon, "some", &[HIDDEN]);
    check_nothing(&watched);
    println!("{} and {} calls", found.calls(), watched.calls());
}

#[test]
fn a_report_of_a_list_that_changes_is_of_one_moment() {
    let daemon = state::something();
    let found = Program::build().run(&daemon, "changing", &[FIXED]);
    // Two lists, each seen twenty times, with room and without.
    for (report, subject, calls) in found.numbers("calls") {
        assert!(calls >= 80, "{report} {subject}: {calls}");
    }
}
