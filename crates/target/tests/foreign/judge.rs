//! `iscsi-test-cu`, the outside judge of a target.

use super::*;

/// What passes on the kernel's own target, LIO, of 615 tests (measured; it is the floor).
const PASSED_ON_LIO: u32 = 513;

#[test]
fn at_least_as_many_tests_pass_as_on_lio() {
    let server = Server::with_target(target().lun(0, ram(64)));
    let (_, text) = try_run("iscsi-test-cu", &["-d", "-n", &server.url()]);
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with("tests "))
        .unwrap_or_else(|| panic!("no summary:\n{text}"));
    let numbers: Vec<u32> = line
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [total, ran, passed, failed, _inactive] = numbers[..] else {
        panic!("{line}");
    };
    println!("iscsi-test-cu: {passed} of {total} passed, {failed} failed");
    assert_eq!((total, ran), (615, 615), "{line}");
    assert!(passed >= PASSED_ON_LIO, "{line}\n{text}");
}
