//! Thirty-two threads of a C program call all 79 exports at random while the daemon is killed and started again every
//! few seconds: no crash, no leak, no answer that the sheet does not allow in that state, no lost write, and nine good
//! calls in ten succeed while the daemon is up. `tests/c/stress/stress.h` says how the program knows.
//!
//! A run is repeated with its seed, which the program prints: `STRESS_SEED=… cargo test -p iscsidsc --test stress`.
#![cfg(target_os = "linux")]

// The tests of the library use more of it.
#[allow(dead_code)]
#[path = "library/support.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hawser_testkit::peers::{TgtConfig, TgtTarget, Tgtd, wait_until};
use iscsidsc::api::Portal;
use support::{Daemon, LIMIT, MIB, discover};

/// Threads of the program, each with a target of its own.
const THREADS: usize = 32;
/// Targets that all its threads log in to.
const SHARED_TARGETS: usize = 4;
/// How long a daemon lives.
const LIFE: Duration = Duration::from_secs(4);
/// How long the last one lives before the program is told to tidy up, in which it lives on: thousands of calls, so that one
/// which costs it a descriptor or a thread shows. What earlier ones kept has gone with them.
const LAST_LIFE: Duration = Duration::from_secs(4);
/// How much more the daemon may have at the end than before: connections that are just being closed, and the threads
/// for blocking work that it keeps for a while.
const MORE_DESCRIPTORS: usize = 4;
const MORE_THREADS: usize = 4;

const SUPPRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/c/stress/valgrind.supp");

/// How long a run is without the last daemon's life, and by which factor slower than usual it may be.
struct Plan {
    warm_up: Duration,
    main: Duration,
    patience: u32,
    /// How much more memory it may have at the end than after the warm-up, in KiB.
    more_kib: u32,
    valgrind: bool,
}

#[test]
fn threads_calling_everything_outlive_daemons() {
    storm(&Plan {
        warm_up: Duration::from_secs(15),
        main: Duration::from_secs(41),
        patience: 1,
        // The allocator keeps what the busiest moment took.
        more_kib: 8 << 10,
        valgrind: false,
    });
}

#[test]
fn valgrind_finds_neither_errors_nor_leaks() {
    storm(&Plan {
        warm_up: Duration::from_secs(15),
        main: Duration::from_secs(41),
        patience: 3,
        // valgrind holds back what is freed, to find those who still use it; it looks for leaks itself.
        more_kib: 1 << 20,
        valgrind: true,
    });
}

/// The file that tells the program how the daemon is (`struct shared` of `stress.h`).
struct Shared {
    file: File,
    epoch: u32,
}

/// What the program's threads do (`enum phase` of `stress.h`).
#[derive(Clone, Copy)]
enum Phase {
    WarmUp,
    Main,
    Tidy,
}

impl Shared {
    fn new(path: &Path) -> Self {
        let options = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path);
        let mut shared = Self {
            file: options.expect("made"),
            epoch: 1,
        };
        shared.file.set_len(12).expect("made longer");
        shared.begin(Phase::WarmUp);
        shared.turn();
        shared
    }

    /// From up to changing, or back: the program sees the word in the pages that both share.
    fn turn(&mut self) {
        self.epoch += 1;
        let word = self.epoch.to_ne_bytes();
        self.file.write_all_at(&word, 0).expect("written");
    }

    /// How many exports have been called.
    fn called(&self) -> u32 {
        let mut word = [0; 4];
        self.file.read_exact_at(&mut word, 8).expect("read");
        u32::from_ne_bytes(word)
    }

    fn begin(&self, phase: Phase) {
        let word = (phase as u32).to_ne_bytes();
        self.file.write_all_at(&word, 4).expect("written");
    }
}

fn storm(plan: &Plan) {
    let directory = tempfile::tempdir().expect("a directory");
    // Each thread has a portal of its own there, with an address of its own.
    let addresses = (1..)
        .map(|last| Ipv4Addr::new(127, 1, 0, last))
        .take(THREADS);
    let tgt = tgtd(
        SHARED_TARGETS,
        |number| format!("shared-{number}"),
        addresses.collect(),
    );
    let own = tgtd(THREADS, |number| format!("own-{number:02}"), Vec::new());
    let mut daemon = Daemon::start("fuse");
    discover(&daemon.library(), &Portal::new("127.0.0.1", tgt.port()));
    let before = Usage::of(daemon.pid());
    let mut shared = Shared::new(&directory.path().join("shared"));
    build(directory.path());
    let mut program = Program::start(plan, directory.path(), &daemon, [tgt.port(), own.port()]);
    for (phase, time) in [(Phase::WarmUp, plan.warm_up), (Phase::Main, plan.main)] {
        shared.begin(phase);
        restarts(&mut daemon, &mut shared, &mut program, time);
    }
    program.runs_for(LAST_LIFE);
    program.calls_all(&shared);
    shared.begin(Phase::Tidy);
    let said = program.end(plan);
    println!("{said}");
    assert_eq!(names(&said, CALLS), exports(), "each export is called");
    if !plan.valgrind {
        let all = exports();
        let refused: Vec<_> = all.difference(&names(&said, SUCCESSES)).copied().collect();
        assert_eq!(refused, NEVER_DONE, "each other export succeeds too");
    }
    assert_eq!(daemon.library().sessions(), Ok(Vec::new()));
    let back = || before.is_back(&Usage::of(daemon.pid()));
    wait_until("the daemon to give back what it took", LIMIT, back).expect("it does");
}

/// Takes the daemon down and starts it again for so long, hard and soft in turn. The program sees it up at the end.
fn restarts(daemon: &mut Daemon, shared: &mut Shared, program: &mut Program, time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time && program.runs_for(LIFE) {
        shared.turn();
        if shared.epoch % 4 == 3 {
            daemon.kill();
            // And once more, while the next one restores what is stored.
            daemon.start_again();
            daemon.kill();
        } else {
            daemon.stop();
        }
        daemon.start_again();
        shared.turn();
    }
}

/// A tgtd with targets of these names, also at these addresses.
fn tgtd(targets: usize, name: impl Fn(usize) -> String, more: Vec<Ipv4Addr>) -> Tgtd {
    let mut config = TgtConfig::new();
    for number in 0..targets {
        let name = format!("iqn.2026-11.test.stress:{}", name(number));
        config = config.target(TgtTarget::new(&name).disks(1, 4 * MIB));
    }
    for address in more {
        config = config.address(address.into());
    }
    Tgtd::start(config).expect("tgtd serves")
}

/// Builds the program against the library as it is installed.
fn build(directory: &Path) {
    let mut library = std::env::current_exe().expect("has a path");
    library.set_file_name("libiscsidsc.so");
    for name in ["libiscsidsc.so", "libiscsidsc.so.1"] {
        symlink(&library, directory.join(name)).expect("linked");
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = std::fs::read_dir(here.join("tests/c/stress")).expect("is there");
    let sources = listed.map(|entry| entry.expect("is listed").path());
    let built = Command::new("gcc")
        .args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-O1", "-g"])
        .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(here.join("include"))
        .args(sources.filter(|path| path.extension().is_some_and(|kind| kind == "c")))
        .arg("-L")
        .arg(directory)
        .args(["-liscsidsc", "-lpthread", "-o"])
        .arg(directory.join("stress"))
        .output()
        .expect("gcc runs");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
}

/// The program, ended with the test.
struct Program {
    child: Child,
    output: PathBuf,
}

impl Program {
    fn start(plan: &Plan, directory: &Path, daemon: &Daemon, ports: [u16; 2]) -> Self {
        let output = directory.join("output");
        let file = File::create(&output).expect("made");
        let program = directory.join("stress");
        let mut command = if plan.valgrind {
            let mut valgrind = Command::new("valgrind");
            valgrind
                .args(["--quiet", "--error-exitcode=9", "--leak-check=full"])
                .args(["--errors-for-leak-kinds=definite", "--fair-sched=yes"])
                .arg(format!("--suppressions={SUPPRESSIONS}"))
                .arg(program);
            valgrind
        } else {
            Command::new(program)
        };
        let child = command
            .arg(directory.join("shared"))
            .args(ports.map(|port| port.to_string()))
            .args(
                [seed(), plan.patience.into(), plan.more_kib.into()]
                    .map(|number| number.to_string()),
            )
            .env("LD_LIBRARY_PATH", directory)
            .env("HAWSER_SOCKET", daemon.socket())
            .stderr(file.try_clone().expect("copied"))
            .stdout(file)
            .spawn()
            .expect("starts (see testkit/debian-packages.txt)");
        Self { child, output }
    }

    /// Waits for so long; whether it still runs.
    fn runs_for(&mut self, time: Duration) -> bool {
        self.ended_within(time).is_none()
    }

    /// Waits until it has called all exports, which takes longer where all is slow.
    fn calls_all(&mut self, shared: &Shared) {
        let all = u32::try_from(exports().len()).expect("a few");
        let child = &mut self.child;
        let called = || {
            let has_ended = child.try_wait().is_ok_and(|ended| ended.is_some());
            let called = shared.called();
            // What it has to say of its end is heard later.
            (called == all || has_ended)
                .then_some(())
                .ok_or(called.to_string())
        };
        wait_until("all exports to be called", LIMIT, called).expect("they are");
    }

    fn ended_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let child = &mut self.child;
        let ended = || {
            child
                .try_wait()
                .ok()
                .flatten()
                .ok_or_else(|| "it runs".to_owned())
        };
        wait_until("the program's end", time, ended).ok()
    }

    /// Waits for its end; what it said.
    fn end(&mut self, plan: &Plan) -> String {
        let ended = self.ended_within(LIMIT * plan.patience);
        let said = std::fs::read_to_string(&self.output).expect("read");
        let success = ended.is_some_and(|ended| ended.success());
        assert!(success, "{ended:?}\n{said}");
        said
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails where it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn seed() -> u64 {
    let given = std::env::var("STRESS_SEED").ok();
    given.map_or_else(
        || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.expect("after 1970").as_secs()
        },
        |text| text.parse().expect("a number"),
    )
}

/// The exports of the sheet.
fn exports() -> BTreeSet<&'static str> {
    let lines = include_str!("exports.tsv").lines();
    lines.filter_map(|line| line.split('\t').next()).collect()
}

/// Columns of the program's table.
const CALLS: usize = 1;
const SUCCESSES: usize = 2;
/// What is refused with the documented status whatever it is asked for: nobody answers as an iSNS server, and a session
/// has one connection.
const NEVER_DONE: &[&str] = &[
    "AddISNSServerA",
    "AddISNSServerW",
    "AddIScsiConnectionA",
    "AddIScsiConnectionW",
    "RemoveIScsiConnection",
];

/// The exports of the program's table that have a number in this column.
fn names(said: &str, column: usize) -> BTreeSet<&str> {
    let rows = said.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let some = columns.get(column)?.parse::<u64>().ok()? > 0;
        (columns.len() == 7 && some).then(|| columns[0])
    });
    rows.collect()
}

/// What a process has of the system.
#[derive(Debug)]
struct Usage {
    descriptors: usize,
    threads: usize,
}

impl Usage {
    fn of(pid: u32) -> Self {
        let count = |what: &str| {
            let listed = std::fs::read_dir(format!("/proc/{pid}/{what}"));
            listed.expect("is there").count()
        };
        Self {
            descriptors: count("fd"),
            threads: count("task"),
        }
    }

    fn is_back(&self, now: &Self) -> Result<(), String> {
        let back = now.descriptors <= self.descriptors + MORE_DESCRIPTORS
            && now.threads <= self.threads + MORE_THREADS;
        if back {
            println!("the daemon at the start: {self:?}; at the end: {now:?}");
            return Ok(());
        }
        Err(format!("{now:?} after {self:?}"))
    }
}
