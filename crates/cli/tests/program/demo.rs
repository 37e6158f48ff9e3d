//! `hawser demo`: it works as root and as a plain user, and leaves nothing behind, however it ends.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use hawser_testkit::peers::{Tool, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::hawser::PROGRAM;
use crate::machine;

/// How long a demo may take on a busy machine; it takes less than a second on an idle one.
const LIMIT: Duration = Duration::from_secs(120);

/// A directory in which demos of any user may work, so that what they leave there can be seen.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("hw-")
            .tempdir()
            .expect("temp dir");
        fs::set_permissions(directory.path(), Permissions::from_mode(0o1777)).expect("set");
        Self { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Nothing of a demo is left: no process, mount, loop device or file.
    fn is_as_before(&self) {
        let left = wait_until("all processes to be gone", Duration::from_secs(30), || {
            match machine::processes_naming(self.path()) {
                none if none.is_empty() => Ok(()),
                some => Err(format!("{some:?}")),
            }
        });
        left.expect("none is left");
        assert_eq!(machine::left_below(self.path()), Vec::<String>::new());
        let files: Vec<PathBuf> = fs::read_dir(self.path())
            .expect("read")
            .flatten()
            .map(|entry| entry.path())
            .collect();
        let files: Vec<&PathBuf> = files
            .iter()
            .filter(|path| !path.ends_with("hawser"))
            .collect();
        assert!(files.is_empty(), "{files:?}");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        machine::take_away_below(self.directory.path());
    }
}

/// Runs a demo that must work; gives what it told.
fn told(place: &Place, tool: Tool) -> String {
    let output = tool
        .env("TMPDIR", place.path())
        .env("HAWSER_SOCKET", "")
        .limit(LIMIT)
        .run();
    let output = output.expect("it ends in time");
    assert!(
        output.status.success(),
        "{}{}",
        output.stdout,
        output.stderr
    );
    assert!(output.stderr.is_empty(), "{}", output.stderr);
    let end = output.stdout.lines().last().unwrap_or_default();
    assert!(end.starts_with("All well in "), "{}", output.stdout);
    assert!(
        output.stdout.contains("every byte is the same"),
        "{}",
        output.stdout
    );
    place.is_as_before();
    output.stdout
}

#[test]
fn as_root_with_a_filesystem() {
    let place = Place::new();
    let story = told(&place, Tool::new(PROGRAM).expect("built").arg("demo"));
    for text in [
        "as root",
        "ext4 made on /dev/loop",
        "left behind: 2 mounts",
        "1 loop device",
    ] {
        assert!(story.contains(text), "{text:?} is not in\n{story}");
    }
}

#[test]
fn on_a_fuse_file_and_on_an_nbd_export() {
    let place = Place::new();
    for (mode, shown) in [("fuse", "FUSE file"), ("nbd", "NBD export")] {
        let tool = Tool::new(PROGRAM)
            .expect("built")
            .args(["demo", "--export", mode]);
        let story = told(&place, tool);
        assert!(story.contains(shown), "{story}");
    }
}

#[test]
fn as_a_plain_user() {
    let place = Place::new();
    let program = place.path().join("hawser");
    // By a process of its own: a child that another test starts meanwhile would hold the copy open for
    // writing, and it could not be started.
    let copy = Tool::new("cp").expect("installed").arg(PROGRAM);
    copy.arg(&program).run_ok().expect("copied");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("set");
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let tool = Tool::new("setpriv")
        .expect("installed")
        .args(user)
        .arg(&program)
        .arg("demo");
    let story = told(&place, tool.env("HOME", "/nonexistent"));
    assert!(story.contains("as a plain user"), "{story}");
}

#[test]
fn as_root_without_any_capability() {
    let place = Place::new();
    let none = ["--bounding-set=-all", "--inh-caps=-all", "--"];
    let tool = Tool::new("setpriv")
        .expect("installed")
        .args(none)
        .args([PROGRAM, "demo"]);
    let story = told(&place, tool);
    assert!(story.contains("NBD export"), "{story}");
}

/// A demo that is disturbed.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    fn start(place: &Place, words: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command
            .arg("demo")
            .args(words)
            .env("TMPDIR", place.path())
            .env("HAWSER_SOCKET", "");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.process_group(0).spawn().expect("started");
        let lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        Self { child, lines }
    }

    /// Waits until it has told this step.
    fn until_step(&mut self, number: usize) {
        let wanted = format!("{number}. ");
        for line in self.lines.by_ref() {
            if line.expect("read").trim_start().starts_with(&wanted) {
                return;
            }
        }
        panic!("it ended before step {number}");
    }

    fn send(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("fits"));
        kill(pid, signal).expect("sent");
    }

    fn end(mut self) -> ExitStatus {
        let ended = wait_until("the demo to end", LIMIT, || {
            self.child
                .try_wait()
                .expect("it is ours")
                .ok_or_else(String::new)
        });
        if ended.is_err() {
            drop(self.child.kill());
        }
        ended.expect("it ends")
    }
}

#[test]
fn interrupted_at_any_step_it_leaves_nothing() {
    for (step, signal) in [
        (1, Signal::SIGINT),
        (4, Signal::SIGTERM),
        (6, Signal::SIGINT),
        (8, Signal::SIGINT),
        (9, Signal::SIGTERM),
        (10, Signal::SIGINT),
        (12, Signal::SIGINT),
    ] {
        let place = Place::new();
        let mut demo = Running::start(&place, &[]);
        demo.until_step(step);
        demo.send(signal);
        let status = demo.end();
        assert_eq!(status.code(), Some(130), "after step {step}");
        place.is_as_before();
    }
}

#[test]
fn a_failure_is_told_with_its_step_and_leaves_nothing() {
    let place = Place::new();
    let mut demo = Running::start(&place, &[]);
    demo.until_step(2);
    // The target dies: the portal cannot be asked, or the login or the disk fails.
    let target = wait_until("the target", Duration::from_secs(10), || {
        process_with(place.path(), "--chap-secret-file").ok_or_else(|| "none".to_owned())
    });
    kill(target.expect("it runs"), Signal::SIGKILL).expect("killed");
    let mut stderr = demo.child.stderr.take().expect("is piped");
    let status = demo.end();
    assert!(!status.success());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut said).expect("read");
    assert!(
        said.contains("  step:") && said.contains("daemon's log:"),
        "{said}"
    );
    place.is_as_before();
}

#[test]
fn killed_outright_it_takes_its_processes_with_it() {
    let place = Place::new();
    let mut demo = Running::start(&place, &[]);
    demo.until_step(7);
    demo.send(Signal::SIGKILL);
    demo.end();
    let gone = wait_until(
        "its processes to end",
        LIMIT,
        || match machine::processes_naming(place.path()) {
            none if none.is_empty() => Ok(()),
            some => Err(format!("{some:?}")),
        },
    );
    gone.expect("they end");
    // If it had not itself just killed its daemon, that one has cleaned up after itself.
    let log = fs::read_dir(place.path())
        .expect("read")
        .flatten()
        .next()
        .expect("its directory");
    let log = fs::read_to_string(log.path().join("daemon.log")).expect("there is a log");
    if log.contains("SIGTERM: stopping") {
        assert_eq!(
            machine::left_below(place.path()),
            Vec::<String>::new(),
            "{log}"
        );
    }
}

/// The process with both texts in its command line.
fn process_with(directory: &Path, word: &str) -> Option<Pid> {
    let directory = directory.display().to_string();
    fs::read_dir("/proc")
        .expect("/proc is there")
        .flatten()
        .find_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line);
            (line.contains(&directory) && line.contains(word)).then(|| Pid::from_raw(pid))
        })
}
