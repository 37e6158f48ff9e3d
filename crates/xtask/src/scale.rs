//! `cargo xtask bench-scale`: what many sessions in one daemon cost.
//!
//! A target of our own with as many targets, a disk each, and daemons of our own with a persistent login to
//! each of them. [`rig`] starts and stops them, [`figures`] reads what the kernel counts, [`report`] says what
//! was found. Measured are: how long it takes a daemon that starts to log all in; its memory for a session;
//! how long `hawser status` takes; what an I/O costs it on one disk while all the others are idle.

mod figures;
mod report;
mod rig;

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use figures::Memory;
use report::{Cost, Report};
use rig::{Daemon, Rig};

/// The export modes that are measured unless one is named.
const MODES: [&str; 2] = ["none", "nbd"];
/// Sessions, unless told.
const SESSIONS: usize = 1000;
/// How long a daemon rests before its memory is looked at: threads for blocking work end after ten seconds.
const REST: Duration = Duration::from_secs(12);
/// How long its idle CPU time is counted.
const IDLE: Duration = Duration::from_secs(10);
/// Runs of `hawser status`.
const STATUS_RUNS: usize = 21;
/// Times that both daemons are started anew to be read from: what a read costs differs by a tenth from one process
/// to the next of the same program.
const READ_STARTS: usize = 5;
/// Pairs of runs after each start.
const READ_PAIRS: usize = 2;
/// Reads of a run.
const READS: u32 = 60_000;

/// What is to be measured.
struct Plan {
    /// Sessions.
    sessions: usize,
    /// Export modes, one after the other.
    modes: Vec<String>,
    /// The program `hawser`.
    program: PathBuf,
}

/// Measures, prints a table, and says whether all bars are met.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<bool> {
    let plan = Plan::read(root, words)?;
    let mut met = true;
    for mode in &plan.modes {
        let report = measure(&plan, mode)?;
        print!("{report}");
        met &= report.is_met();
    }
    Ok(met)
}

impl Plan {
    fn read(root: &Path, words: &[&str]) -> Result<Self> {
        let mut plan = Self {
            sessions: SESSIONS,
            modes: MODES.map(str::to_owned).to_vec(),
            program: root.join("target/release/hawser"),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match *word {
                "--sessions" => plan.sessions = value()?.parse().context("--sessions")?,
                "--export" => plan.modes = vec![(*value()?).to_owned()],
                "--program" => plan.program = PathBuf::from(*value()?),
                _ => bail!("bench-scale does not know {word}"),
            }
        }
        ensure!(plan.sessions > 1, "--sessions must be more than 1");
        ensure!(
            plan.program.exists(),
            "{} is missing: cargo build --release -p hawser-cli --bins",
            plan.program.display()
        );
        Ok(plan)
    }
}

/// All of one export mode.
fn measure(plan: &Plan, mode: &str) -> Result<Report> {
    let step = |what: &str| eprintln!("{mode}: {what}");
    step("storing the logins");
    let rig = Rig::start(&plan.program, plan.sessions)?;
    let (empty, one, many) = (
        rig.state("empty", 0)?,
        rig.state("one", 1)?,
        rig.state("many", plan.sessions)?,
    );
    let none = rig.daemon(&empty, mode, 0)?;
    step("resting without sessions");
    sleep(REST);
    let without = none.memory()?;
    none.stop()?;
    step("logging in");
    let (daemon, ready) = timed_start(&rig, &many, mode, plan.sessions)?;
    let beside = rig.daemon(&one, mode, 1)?;
    step("resting with all sessions");
    sleep(REST);
    let memory = [without, beside.memory()?, daemon.memory()?];
    step("asking for the status");
    let status = status_times(&daemon)?;
    step("counting the CPU time of rest");
    let idle = idle_cpu(&daemon)?;
    step("reading");
    beside.stop()?;
    daemon.stop()?;
    let states = [one.as_path(), many.as_path()];
    let cost = (mode == "nbd").then(|| cost_of_reads(&rig, states, plan.sessions));
    Ok(Report {
        sessions: plan.sessions,
        mode: mode.to_owned(),
        logged_in: ready.logged_in,
        shown: ready.shown,
        memory,
        status,
        idle,
        cost: cost.transpose()?,
    })
}

/// How long a start took, from the start of the process.
struct Ready {
    /// Until all sessions were logged in.
    logged_in: Duration,
    /// Until all disks were shown.
    shown: Duration,
}

fn timed_start(rig: &Rig, state: &Path, mode: &str, sessions: usize) -> Result<(Daemon, Ready)> {
    let begun = Instant::now();
    let mut daemon = rig.spawn(state, mode)?;
    let logged_in = daemon.heard("session-up", sessions)?;
    let shown = daemon.heard("disk-ready", sessions)?;
    daemon.ensure_up(sessions)?;
    let ready = Ready {
        logged_in: logged_in - begun,
        shown: shown - begun,
    };
    Ok((daemon, ready))
}

/// Wall times of `hawser status` as a whole process.
fn status_times(daemon: &Daemon) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..STATUS_RUNS {
        let begun = Instant::now();
        daemon.hawser(&["status"])?;
        times.push(begun.elapsed());
    }
    times.sort();
    Ok(times)
}

/// CPU time that an idle daemon takes in a second: its pings.
fn idle_cpu(daemon: &Daemon) -> Result<Duration> {
    let before = daemon.cpu()?;
    sleep(IDLE);
    Ok((daemon.cpu()? - before) / u32::try_from(IDLE.as_secs())?)
}

/// Reads of the same disk through two daemons in turn: the one has nothing else, the other the idle sessions.
fn cost_of_reads(rig: &Rig, [one, many]: [&Path; 2], sessions: usize) -> Result<Cost> {
    let mut cost = Cost::default();
    for _ in 0..READ_STARTS {
        let one = rig.daemon(one, "nbd", 1)?;
        let many = rig.daemon(many, "nbd", sessions)?;
        // Listing a thousand disks is work too: not while the CPU time is counted.
        let (of_one, of_many) = (one.first_disk()?, many.first_disk()?);
        for disk in [&of_one, &of_many] {
            rig::read(disk, READS / 3)?;
        }
        for _ in 0..READ_PAIRS {
            cost.one.push(cost_of_read(&one, &of_one)?);
            cost.many.push(cost_of_read(&many, &of_many)?);
        }
        one.stop()?;
        many.stop()?;
    }
    Ok(cost)
}

/// CPU microseconds that a read costs the daemon.
fn cost_of_read(daemon: &Daemon, disk: &str) -> Result<f64> {
    let before = daemon.cpu()?;
    rig::read(disk, READS)?;
    Ok((daemon.cpu()? - before).as_secs_f64() * 1e6 / f64::from(READS))
}

/// Bytes by which `many` is above `few`, for each of so many sessions.
fn each(many: Memory, few: Memory, sessions: usize) -> Memory {
    let share = |many: u64, few: u64| many.saturating_sub(few) / sessions.max(1) as u64;
    Memory {
        resident: share(many.resident, few.resident),
        proportional: share(many.proportional, few.proportional),
        anonymous: share(many.anonymous, few.anonymous),
    }
}
