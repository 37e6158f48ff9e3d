//! `hawser bench` on our own target and on tgt.

use hawser_testkit::peers::{Backing, TgtConfig, TgtLun, TgtTarget, Tgtd, ToolOutput};
use serde_json::Value;

use crate::hawser::{Daemon, PROGRAM, code, tool};
use crate::targets::{Embedded, SECRET, USER};

const TARGET: &str = "iqn.2026-01.example:bench";

/// Runs it for a moment.
fn bench(portal: &str, lun: &str, words: &[&str]) -> ToolOutput {
    let place = [
        "bench", "--portal", portal, "--target", TARGET, "--lun", lun,
    ];
    let moment = ["--time", "0.3", "--warm-up", "0.1"];
    tool(PROGRAM)
        .args(place)
        .args(moment)
        .args(words)
        .run()
        .expect("it ends in time")
}

/// Runs it with `--json`; it must work.
fn measured(portal: &str, lun: &str, words: &[&str]) -> Value {
    let output = bench(portal, lun, &[words, &["--json"]].concat());
    assert_eq!(code(&output), 0, "{words:?}: {}", output.stderr);
    serde_json::from_str(&output.stdout).expect("is JSON")
}

/// Whether the numbers can belong together.
fn check(report: &Value, bytes: f64) {
    let number = |key: &str| {
        report[key]
            .as_f64()
            .unwrap_or_else(|| panic!("no {key} in {report}"))
    };
    assert!(number("ios") > 0.0, "{report}");
    let rate = number("ios") / number("seconds");
    assert!((number("iops") / rate - 1.0).abs() < 0.001, "{report}");
    assert!(
        (number("bytes_per_s") / (rate * bytes) - 1.0).abs() < 0.001,
        "{report}"
    );
    assert!(
        number("cpu_s") > 0.0 && number("cpu_s") < 2.0 * number("seconds"),
        "{report}"
    );
    assert!(
        number("p50_us") > 0.0 && number("p50_us") <= number("p99_us"),
        "{report}"
    );
    assert!(number("p99_us") <= number("max_us"), "{report}");
}

#[test]
fn every_pattern_on_our_own_target() {
    let target = Embedded::start(&["--target", TARGET, "--lun", "ram:16M"]);
    for pattern in ["read", "write", "randread", "randwrite", "randrw"] {
        let report = measured(&target.portal(), "0", &["--rw", pattern, "--qd", "8"]);
        assert_eq!(report["connections"], 1);
        assert_eq!(report["rw"], pattern);
        let reads = report["reads"].as_f64().expect("a number");
        let share = reads / report["ios"].as_f64().expect("a number");
        let expected = match pattern {
            "read" | "randread" => 1.0..=1.0,
            "write" | "randwrite" => 0.0..=0.0,
            _ => 0.6..=0.8,
        };
        assert!(expected.contains(&share), "{pattern}: {report}");
        check(&report, 4096.0);
    }
    let digests = ["--header-digest", "crc32c", "--data-digest", "crc32c"];
    let report = measured(
        &target.portal(),
        "0",
        &[&["--bs", "128k"], &digests[..]].concat(),
    );
    check(&report, 131_072.0);
    let words = ["--connections", "2", "--error-recovery-level", "0"];
    let report = measured(&target.portal(), "0", &words);
    assert_eq!(report["connections"], 2);
    check(&report, 4096.0);
    let words = ["--sessions", "3", "--rw", "randrw", "--qd", "4"];
    let report = measured(&target.portal(), "0", &words);
    assert_eq!(report["sessions"], 3);
    check(&report, 4096.0);
    let text = bench(&target.portal(), "0", &["--qd", "1"]);
    assert!(
        text.stdout.contains(" IOPS, ") && text.stdout.contains("CPU "),
        "{}",
        text.stdout
    );
}

#[test]
fn reads_and_writes_on_tgt_with_chap() {
    let null = TgtLun::new(Backing::Null);
    let config = TgtTarget::new(TARGET)
        .lun(null)
        .disks(1, 16 << 20)
        .chap(USER, SECRET)
        .digests();
    let tgtd = Tgtd::start(TgtConfig::new().target(config)).expect("tgt runs");
    let portal = tgtd.portal().to_string();
    let directory = tempfile::tempdir().expect("temp dir");
    let secret = directory.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("written");
    let secret = secret.to_str().expect("is UTF-8");
    let chap = ["--chap-user", USER, "--chap-secret-file", secret];
    check(&measured(&portal, "1", &chap), 4096.0);
    let write = ["--rw", "write", "--bs", "64k", "--data-digest", "crc32c"];
    check(
        &measured(&portal, "2", &[&chap[..], &write].concat()),
        65_536.0,
    );

    let refused = bench(&portal, "1", &[]);
    assert_eq!(code(&refused), 8, "{}", refused.stderr);
    assert!(refused.stderr.contains(&portal) && refused.stderr.contains(TARGET));
}

#[test]
fn what_cannot_be_measured_is_told() {
    let small = [
        "--lun",
        "ram:16M",
        "--lun",
        "ram:16M,bs=4096",
        "--lun",
        "ram:16M,ro",
    ];
    let target = Embedded::start(&[&["--target", TARGET], &small[..]].concat());
    let portal = target.portal();
    for (lun, words, expected, text) in [
        ("1", &["--bs", "512"][..], 2, "multiple of 4096"),
        ("2", &["--rw", "write"], 2, "write-protected"),
        ("0", &["--qd", "0"], 2, "--qd"),
        ("0", &["--connections", "17"], 2, "--connections"),
        ("0", &["--sessions", "65"], 2, "--sessions"),
        (
            "0",
            &["--connections", "9"],
            1,
            "agrees to MaxConnections 8",
        ),
    ] {
        let output = bench(&portal, lun, words);
        assert_eq!(code(&output), expected, "{words:?}: {}", output.stderr);
        assert!(
            output.stderr.contains(text),
            "{text:?} is not in\n{}",
            output.stderr
        );
    }
    let output = bench("127.0.0.1:1", "0", &[]);
    assert_eq!(code(&output), 7, "{}", output.stderr);
}

#[test]
fn a_disk_that_the_daemon_knows_to_be_in_use_is_not_written_to() {
    let daemon = Daemon::start("nbd");
    let target = Embedded::start(&["--target", TARGET, "--lun", "ram:16M"]);
    daemon.ok(&["portal", "add", &target.portal()]);
    daemon.ok(&["login", TARGET, "--persist"]);
    daemon.disk(TARGET, 0);
    daemon.ok(&["bind", "--all"]);
    let place = [
        "bench",
        "--portal",
        &target.portal(),
        "--target",
        TARGET,
        "--lun",
        "0",
    ];
    let said = daemon.fails(9, &[&place[..], &["--rw", "write"]].concat());
    assert!(said.contains("is in use"), "{said}");
    daemon.ok(&[&place[..], &["--time", "0.1"]].concat());
}
