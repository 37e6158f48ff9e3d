//! The tools of libiscsi (Debian package `libiscsi-bin`): a foreign initiator in user space.

use std::net::SocketAddr;
use std::time::Duration;

use super::{ChapAccount, PeerError, Tool, ToolOutput};

/// Logging in, one command, logging out: a second against istgt, which is slow to log out.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// What a timed run may take beyond its time: connecting, logging out.
const RUN_MARGIN: Duration = Duration::from_secs(30);

/// Where a LUN is and how to log in to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IscsiUrl {
    portal: SocketAddr,
    target: String,
    lun: u64,
    chap: Option<ChapAccount>,
    mutual: Option<ChapAccount>,
    header_digest: bool,
}

impl IscsiUrl {
    /// LUN `lun` of `target` at `portal`, without authentication and digests.
    #[must_use]
    pub fn new(portal: SocketAddr, target: &str, lun: u64) -> Self {
        Self {
            portal,
            target: target.to_owned(),
            lun,
            chap: None,
            mutual: None,
            header_digest: false,
        }
    }

    /// Logs in with this CHAP account.
    #[must_use]
    pub fn chap(mut self, user: &str, secret: &str) -> Self {
        self.chap = Some(ChapAccount::new(user, secret));
        self
    }

    /// Asks the target to prove that it knows this account (mutual CHAP).
    #[must_use]
    pub fn mutual(mut self, user: &str, secret: &str) -> Self {
        self.mutual = Some(ChapAccount::new(user, secret));
        self
    }

    /// Asks for CRC32C header digests. (libiscsi 1.19 has no setting for data digests.)
    #[must_use]
    pub fn header_digest(mut self) -> Self {
        self.header_digest = true;
        self
    }

    /// The URL as libiscsi reads it; secrets go through the environment instead.
    fn url(&self) -> String {
        let digest = if self.header_digest {
            "?header_digest=crc32c"
        } else {
            ""
        };
        format!(
            "iscsi://{}/{}/{}{digest}",
            self.portal, self.target, self.lun
        )
    }

    fn with_secrets(&self, tool: Tool) -> Tool {
        let mut tool = tool;
        if let Some(chap) = &self.chap {
            tool = tool
                .env("LIBISCSI_CHAP_USERNAME", &chap.user)
                .env("LIBISCSI_CHAP_PASSWORD", &chap.secret);
        }
        if let Some(mutual) = &self.mutual {
            tool = tool
                .env("LIBISCSI_CHAP_TARGET_USERNAME", &mutual.user)
                .env("LIBISCSI_CHAP_TARGET_PASSWORD", &mutual.secret);
        }
        tool
    }
}

/// Asks `portal` for its targets; gives pairs of target name and portal as printed (`ADDRESS:PORT,TPGT`).
///
/// # Errors
/// [`PeerError`]; [`PeerError::Failed`] carries what iscsi-ls said.
pub fn iscsi_list(portal: SocketAddr) -> Result<Vec<(String, String)>, PeerError> {
    let output = Tool::new("iscsi-ls")?
        .arg(format!("iscsi://{portal}"))
        .limit(COMMAND_LIMIT)
        .run_ok()?;
    Ok(output
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("Target:")?.split_once(" Portal:"))
        .map(|(name, portal)| (name.to_owned(), portal.to_owned()))
        .collect())
}

/// Logs in, sends an INQUIRY, logs out; gives what iscsi-inq prints.
///
/// # Errors
/// [`PeerError`]; [`PeerError::Failed`] carries the target's refusal.
pub fn iscsi_inquiry(url: &IscsiUrl) -> Result<String, PeerError> {
    let tool = Tool::new("iscsi-inq")?.arg(url.url()).limit(COMMAND_LIMIT);
    url.with_secrets(tool).run_ok().map(|output| output.stdout)
}

/// The result of one run of iscsi-perf.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerfReport {
    /// Reads a second, averaged over the run.
    pub iops: u64,
    /// Processor time that the initiator used, user and system, in seconds.
    pub cpu_seconds: f64,
    /// Length of the run in seconds.
    pub seconds: u64,
}

/// Reads from a LUN with `queue_depth` requests of `blocks` 512-byte blocks in flight for `seconds`.
///
/// # Errors
/// [`PeerError`].
pub fn iscsi_perf(
    url: &IscsiUrl,
    queue_depth: u32,
    blocks: u32,
    random: bool,
    seconds: u64,
) -> Result<PerfReport, PeerError> {
    let perf = super::find_program("iscsi-perf")?;
    // The shell's `times` tells what its child used; no other program is needed for it.
    let mut tool = Tool::new("sh")?
        .args(["-c", r#""$@" && times >&2"#, "sh"])
        .arg(perf)
        .args(["-m", &queue_depth.to_string(), "-b", &blocks.to_string()])
        .args(["-t", &seconds.to_string()]);
    if random {
        tool = tool.arg("-r");
    }
    let tool = tool
        .arg(url.url())
        .limit(Duration::from_secs(seconds) + RUN_MARGIN);
    let output = url.with_secrets(tool).run_ok()?;
    read_perf(&output, seconds).ok_or_else(|| PeerError::Unreadable {
        what: "the figures of iscsi-perf".into(),
        output: format!("{}{}", output.stdout, output.stderr),
    })
}

fn read_perf(output: &ToolOutput, seconds: u64) -> Option<PerfReport> {
    let average = output.stdout.rsplit("iops average ").next()?;
    let iops = average.split_whitespace().next()?.parse().ok()?;
    let children = output.stderr.lines().last()?;
    let cpu_seconds = children
        .split_whitespace()
        .map(shell_time)
        .sum::<Option<f64>>()?;
    Some(PerfReport {
        iops,
        cpu_seconds,
        seconds,
    })
}

/// `1m2.30s` in seconds.
fn shell_time(text: &str) -> Option<f64> {
    let (minutes, seconds) = text.strip_suffix('s')?.split_once('m')?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
}

/// What iscsi-test-cu found in one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestCuVerdict {
    /// It passed.
    Passed,
    /// It had no assertion to make, because the target does not have what it is about.
    Skipped,
    /// It failed.
    Failed,
}

/// One test of iscsi-test-cu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCuCase {
    /// `Suite.Test`.
    pub name: String,
    /// What it found.
    pub verdict: TestCuVerdict,
    /// What it printed: why it was skipped, which assertions failed.
    pub notes: Vec<String>,
}

/// The result of a run of iscsi-test-cu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCuReport {
    /// Tests that ran.
    pub ran: u32,
    /// Tests that passed (those that skip themselves count as passed).
    pub passed: u32,
    /// Tests that failed.
    pub failed: u32,
    /// Each of them, in their order.
    pub cases: Vec<TestCuCase>,
    /// All that the tool printed.
    pub output: String,
}

impl TestCuReport {
    /// Names of the tests with this verdict, as `Suite.Test`.
    #[must_use]
    pub fn names(&self, verdict: TestCuVerdict) -> Vec<&str> {
        let meant = self.cases.iter().filter(|case| case.verdict == verdict);
        meant.map(|case| case.name.as_str()).collect()
    }
}

/// Runs `tests` (`ALL`, `SCSI.Inquiry`, ...) of iscsi-test-cu against a LUN whose data may be destroyed.
///
/// # Errors
/// [`PeerError`]; failed tests are no error but part of the report.
pub fn iscsi_test_cu(
    url: &IscsiUrl,
    tests: &str,
    limit: Duration,
) -> Result<TestCuReport, PeerError> {
    let tool = Tool::new("iscsi-test-cu")?
        .args(["-d", "-v", "-t", tests])
        .arg(url.url())
        .limit(limit);
    let output = url.with_secrets(tool).run()?;
    let text = format!("{}{}", output.stdout, output.stderr);
    read_test_cu(&text).ok_or_else(|| PeerError::Unreadable {
        what: "the summary of iscsi-test-cu".into(),
        output: text,
    })
}

/// Reads CUnit's report: `Suite:` and `Test:` lines, then a table whose `tests` line counts
/// total, ran, passed, failed, inactive.
fn read_test_cu(text: &str) -> Option<TestCuReport> {
    let summary = text.rsplit("Run Summary:").next()?;
    let counts: Vec<u32> = summary
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("tests"))?
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let &[_, ran, passed, failed, ..] = counts.as_slice() else {
        return None;
    };
    Some(TestCuReport {
        ran,
        passed,
        failed,
        cases: read_cases(text),
        output: text.to_owned(),
    })
}

/// Reads the tests: `Test: NAME ...`, then notes, then `passed` or `FAILED`, behind the dots if there
/// are no notes, and behind `FAILED` the assertions that failed.
fn read_cases(text: &str) -> Vec<TestCuCase> {
    let mut suite = "";
    let mut cases: Vec<TestCuCase> = Vec::new();
    let body = text.split("Run Summary:").next().unwrap_or(text);
    for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut note = line;
        if let Some(name) = line.strip_prefix("Suite: ") {
            suite = name;
            continue;
        }
        if let Some((name, rest)) = line
            .strip_prefix("Test: ")
            .and_then(|rest| rest.split_once(" ..."))
        {
            cases.push(TestCuCase {
                name: format!("{suite}.{name}"),
                // One that does not come to its end has not passed.
                verdict: TestCuVerdict::Failed,
                notes: Vec::new(),
            });
            note = rest.trim();
        }
        let Some(case) = cases.last_mut() else {
            continue;
        };
        // What the test does behind its end may print on the same line.
        if let Some(rest) = note.strip_prefix("passed") {
            let skipped = case.notes.iter().any(|note| note.contains("[SKIPPED]"));
            case.verdict = if skipped {
                TestCuVerdict::Skipped
            } else {
                TestCuVerdict::Passed
            };
            note = rest.trim();
        } else if let Some(rest) = note.strip_prefix("FAILED") {
            note = rest.trim();
        }
        if !note.is_empty() {
            case.notes.push(note.to_owned());
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_times_are_read() {
        assert_eq!(shell_time("1m2.50s"), Some(62.5));
        assert_eq!(shell_time("2.5"), None);
    }

    #[test]
    fn a_cunit_report_is_read() {
        let report = read_test_cu(
            "Suite: Inquiry\n  Test: Standard ...passed\n  Test: BlockLimits ...FAILED\n    1. x.c:1  - y\n\
             \x20 Test: EVPD ...    [SKIPPED] not implemented.\npassed\nSuite: Other\n  Test: Late ...passed    [FAILED] later\n  Test: Long ...    [FAILED] z\nFAILED\n    1. x.c:2  - w\n\n\
             Run Summary:    Type  Total    Ran Passed Failed Inactive\n              suites     79      1    n/a      0        0\n               \
             tests    616      5      3      2        0\n             asserts   9 9 8 1 n/a\n",
        )
        .unwrap();
        assert_eq!((report.ran, report.passed, report.failed), (5, 3, 2));
        assert_eq!(
            report.names(TestCuVerdict::Failed),
            ["Inquiry.BlockLimits", "Other.Long"]
        );
        assert_eq!(
            report.names(TestCuVerdict::Passed),
            ["Inquiry.Standard", "Other.Late"]
        );
        assert_eq!(report.names(TestCuVerdict::Skipped), ["Inquiry.EVPD"]);
        assert_eq!(report.cases[4].notes, ["[FAILED] z", "1. x.c:2  - w"]);
    }
}
