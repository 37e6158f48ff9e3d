//! Runs the stages of a check one after the other, counts tests, and prints what happened.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How many tests ended how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    /// Adds what a `test result:` line of a Rust test program says; other lines change nothing.
    fn add_line(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.skipped += number,
                _ => {}
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// One stage that has ended.
struct Ended {
    name: String,
    took: Duration,
    counts: Counts,
    error: Option<String>,
}

/// The stages run so far.
pub(crate) struct Stages {
    started: Instant,
    ended: Vec<Ended>,
}

impl Stages {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            ended: Vec::new(),
        }
    }

    /// Runs one stage. A failed stage does not stop the ones after it; returns whether it succeeded.
    pub(crate) fn run(
        &mut self,
        name: &str,
        stage: impl FnOnce(&mut Counts) -> Result<()>,
    ) -> bool {
        println!("\n=== {name}");
        let start = Instant::now();
        let mut counts = Counts::default();
        let error = stage(&mut counts).err().map(|error| format!("{error:#}"));
        let took = start.elapsed();
        match &error {
            None => println!("=== {name}: ok, {:.1} s", took.as_secs_f64()),
            Some(error) => println!(
                "=== {name}: FAILED after {:.1} s\n{error}",
                took.as_secs_f64()
            ),
        }
        let fine = error.is_none();
        if !fine && counts.failed == 0 {
            // A stage without tests of its own counts as one, so that the total is never "0 failed"
            // when something failed.
            counts.failed = 1;
        }
        self.ended.push(Ended {
            name: name.to_owned(),
            took,
            counts,
            error,
        });
        fine
    }

    /// Prints the table of stages and the total line; false if anything failed or no test ran.
    pub(crate) fn finish(self) -> bool {
        let mut total = Counts::default();
        let mut table = String::new();
        for stage in &self.ended {
            total.add(stage.counts);
            let outcome = if stage.error.is_some() {
                "FAILED"
            } else {
                "ok"
            };
            let took = stage.took.as_secs_f64();
            // Writing into a String cannot fail.
            let _ = write!(table, "{:<28} {took:>7.1} s  {outcome}", stage.name);
            if stage.counts != Counts::default() {
                let Counts {
                    passed,
                    failed,
                    skipped,
                } = stage.counts;
                let _ = write!(
                    table,
                    "  ({passed} passed, {failed} failed, {skipped} skipped)"
                );
            }
            table.push('\n');
        }
        println!(
            "\n{table}total {:.1} s",
            self.started.elapsed().as_secs_f64()
        );
        let failed = self.ended.iter().filter(|stage| stage.error.is_some());
        let failed: Vec<&str> = failed.map(|stage| stage.name.as_str()).collect();
        if !failed.is_empty() {
            println!("failed: {}", failed.join(", "));
        } else if total.passed == 0 {
            println!("no test ran");
        }
        println!("{}", total_line(total));
        failed.is_empty() && total.passed > 0
    }
}

/// The line that machines read.
fn total_line(total: Counts) -> String {
    let mut line = format!("{} passed, {} failed", total.passed, total.failed);
    if total.skipped > 0 {
        let _ = write!(line, ", {} skipped", total.skipped);
    }
    line
}

/// A cargo command in the project's root.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(root);
    command
}

/// Runs a command to its end, at most for `limit`; its output goes where ours goes.
pub(crate) fn check(command: &mut Command, limit: Duration) -> Result<()> {
    check_lines(command, limit, |_| {})
}

/// Runs a command that runs Rust tests; counts them and repeats the names of skipped ones.
pub(crate) fn check_tests(
    command: &mut Command,
    limit: Duration,
    counts: &mut Counts,
) -> Result<()> {
    let mut skipped = Vec::new();
    let result = check_lines(command, limit, |line| {
        counts.add_line(line);
        if line.starts_with("test ") && line.contains(" ... ignored") {
            skipped.push(line.to_owned());
        }
    });
    for line in skipped {
        println!("skipped: {line}");
    }
    result
}

fn check_lines(command: &mut Command, limit: Duration, mut each: impl FnMut(&str)) -> Result<()> {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {shown}"))?;
    let deadline = Instant::now() + limit;
    let lines = read_lines(&mut child);
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                println!("{line}");
                each(&line);
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                kill_tree(&child);
                // It was just killed.
                drop(child.wait());
                bail!("{shown}: killed after {} s", limit.as_secs());
            }
        }
    }
    let status = child.wait().with_context(|| format!("wait for {shown}"))?;
    ensure!(status.success(), "{shown}: {status}");
    Ok(())
}

/// The lines of a child's standard output, which must be a pipe, as they come.
pub(crate) fn read_lines(child: &mut Child) -> mpsc::Receiver<String> {
    let (lines, inbox) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n') {
                let Ok(line) = line else { break };
                let line = String::from_utf8_lossy(&line).into_owned();
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
    }
    inbox
}

/// Kills a child and all that came from it: cargo's death alone would leave a hanging test behind.
fn kill_tree(child: &Child) {
    let mut family = vec![child.id()];
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((pid, parent_of(pid)?))
        })
        .collect();
    let mut next = 0;
    while let Some(&member) = family.get(next) {
        next += 1;
        family.extend(
            parents
                .iter()
                .filter(|(_, p)| *p == member)
                .map(|(c, _)| *c),
        );
    }
    for pid in family {
        if let Ok(pid) = i32::try_from(pid) {
            // Fails only for one that has ended meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// The parent in `/proc/PID/stat`: the second field after the name, which stands in brackets.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_up() {
        let mut counts = Counts::default();
        counts.add_line(
            "test result: ok. 14 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.47s",
        );
        counts.add_line("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured");
        counts.add_line("test peers::port::tests::ports_differ ... ok");
        let expected = Counts {
            passed: 15,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(counts, expected);
        assert_eq!(total_line(counts), "15 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_failed_stage_fails_the_run_and_is_counted() {
        let mut stages = Stages::new();
        assert!(stages.run("good", |counts| {
            counts.passed = 3;
            Ok(())
        }));
        assert!(!stages.run("bad", |_| bail!("because")));
        assert_eq!(stages.ended[1].counts.failed, 1);
        assert!(!stages.finish());
    }

    #[test]
    fn a_run_without_tests_fails() {
        let mut stages = Stages::new();
        assert!(stages.run("nothing", |_| Ok(())));
        assert!(!stages.finish());
    }

    #[test]
    fn a_hanging_command_is_killed_with_its_children() {
        let limit = Duration::from_millis(300);
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & wait"]);
        let start = Instant::now();
        let error = check(&mut command, limit).unwrap_err();
        assert!(error.to_string().contains("killed after"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}
