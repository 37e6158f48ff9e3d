//! `iscsi-test-cu`, the outside judge of a target.

use std::collections::BTreeSet;

use hawser_target::disk::{FileBackend, VolatileCache};

use super::*;

/// What passes on the kernel's own target, LIO, of 615 tests (measured; it is the floor).
const PASSED_ON_LIO: u32 = 513;
/// The page that gives the reason of each failure.
const REASONS: &str = include_str!("../../../../docs/target-conformance.md");

/// What the judge says.
struct Verdict {
    ran: u32,
    passed: u32,
    /// `Suite.Test` of each test with a failure.
    failed: BTreeSet<String>,
    text: String,
}

/// Runs the tests named `tests` (`ALL` or a part of it; all four families without) on the LUNs.
fn judge(tests: Option<&str>, urls: &[&str]) -> Verdict {
    let mut arguments = vec!["-d", "-n"];
    arguments.extend(tests.into_iter().flat_map(|tests| ["-t", tests]));
    arguments.extend(urls);
    let (_, text) = try_run("iscsi-test-cu", &arguments);
    let mut lines = text.lines().map(str::trim_start);
    let summary = lines.clone().find(|line| line.starts_with("tests "));
    let summary = summary.unwrap_or_else(|| panic!("no summary:\n{text}"));
    let numbers: Vec<u32> = summary
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [total, ran, passed, _failed, _inactive] = numbers[..] else {
        panic!("{summary}");
    };
    assert_eq!(total, ran, "{summary}");
    let failed = lines
        .by_ref()
        .filter_map(|line| line.strip_prefix("Suite ")?.strip_suffix(" had failures:"))
        .map(|name| name.replace(", Test ", "."))
        .collect();
    println!("iscsi-test-cu {arguments:?}: {passed} of {total} passed");
    Verdict {
        ran,
        passed,
        failed,
        text,
    }
}

#[test]
fn at_least_as_many_tests_pass_as_on_lio_and_each_failure_has_its_reason() {
    let server = Server::with_target(target().lun(0, ram(64)));
    let verdict = judge(None, &[&server.url()]);
    assert_eq!(verdict.ran, 615);
    assert!(verdict.passed >= PASSED_ON_LIO, "{}", verdict.text);
    let known = BTreeSet::from(["GetLBAStatus.UnmapSingle".to_owned()]);
    assert_eq!(verdict.failed, known, "{}", verdict.text);
    for name in &verdict.failed {
        let heading = format!("`{name}`");
        assert!(
            REASONS.contains(&heading),
            "no reason is written for {name}"
        );
    }
}

#[test]
fn every_test_passes_on_blocks_of_4096_bytes_in_a_file_behind_a_volatile_cache() {
    let dir = tempfile::tempdir().unwrap();
    let file = FileBackend::create(&dir.path().join("disk"), 64 << 20).unwrap();
    let identity = UnitIdentity::from_key("foreign 4096");
    let unit = LogicalUnit::new(Arc::new(VolatileCache::new(file)), 4096, identity).unwrap();
    let server = Server::with_target(target().lun(0, Arc::new(unit)));
    let verdict = judge(Some("ALL"), &[&server.url()]);
    assert_eq!(verdict.failed, BTreeSet::new(), "{}", verdict.text);
    assert_eq!(verdict.passed, verdict.ran);
}

#[test]
fn two_portals_are_two_paths_to_one_disk() {
    let portal = || "127.0.0.1:0".parse().unwrap();
    let builder = TargetServer::builder().portal(portal());
    let builder = builder.portal_in_group(2, portal());
    let server = Server::start(builder.target(target().lun(0, ram(64))));
    let urls: Vec<String> = (server.handle.local_addrs().iter())
        .map(|portal| format!("iscsi://{portal}/{IQN}/0"))
        .collect();
    let verdict = judge(Some("ALL.MultipathIO"), &[&urls[0], &urls[1]]);
    assert!(
        !verdict.text.contains("Multipath unavailable"),
        "{}",
        verdict.text
    );
    assert_eq!(verdict.failed, BTreeSet::new(), "{}", verdict.text);
}

#[test]
fn a_read_only_disk_is_one() {
    let identity = UnitIdentity::from_key("foreign read-only");
    let ram = RamBackend::new(64 << 20).unwrap();
    let unit = LogicalUnit::new(Arc::new(ram), 512, identity).unwrap();
    let server = Server::with_target(target().lun(0, Arc::new(unit.with_write_protect(true))));
    let verdict = judge(Some("ALL.ReadOnly"), &[&server.url()]);
    assert!(!verdict.text.contains("SKIPPED"), "{}", verdict.text);
    assert_eq!(verdict.failed, BTreeSet::new(), "{}", verdict.text);
}
