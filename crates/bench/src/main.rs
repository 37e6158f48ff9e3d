//! Measures Hawser side by side with its peers; `cargo xtask bench` builds and starts it.
//!
//! Who is compared meets in a [`contest`]: on the same target, in turn, several rounds. The bars of
//! [`bars`] say what must come out of some of them.
#![forbid(unsafe_code)]

mod bars;
mod case;
mod chart;
mod contest;
mod exports;
mod limit;
mod process;
mod report;
mod site;
mod subject;
mod trials;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};

use crate::bars::{Bar, Metric, Trial, Verdict};
use crate::contest::{Contest, Effort};
use crate::report::{Report, Shown};
use crate::site::Site;

/// Measure Hawser side by side with its peers: all, or what is named.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Options {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What must be reached, and whether it is
    Bars,
    /// Targets, patterns, sizes, depths, digests, connections, sessions, exports
    Matrix,
    /// The names of all contests, for --only
    List,
    /// The server of the limit
    #[command(hide = true)]
    LimitServer,
    /// The client of the limit
    #[command(hide = true)]
    LimitClient(LimitClient),
}

/// How to measure.
#[derive(Debug, Args)]
struct Measure {
    /// Runs of each; the medians are told [default: 5, with --quick 3]
    #[arg(long, global = true, value_name = "COUNT")]
    runs: Option<usize>,
    /// Time of each run [default: 2 for the bars, 1 for the matrix and with --quick]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Only the bars, and not for long
    #[arg(long, global = true)]
    quick: bool,
    /// Only contests whose name holds this
    #[arg(long, global = true, value_name = "NAME", default_value = "")]
    only: String,
    /// Folder for the report
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "target/bench"
    )]
    output: PathBuf,
}

impl Measure {
    /// Takes those whose names are meant.
    fn chosen(&self, contest: &Contest) -> bool {
        contest.name.contains(&self.only)
    }

    fn effort(&self, seconds: u64) -> Effort {
        let (runs, seconds) = if self.quick { (3, 1) } else { (5, seconds) };
        Effort {
            runs: self.runs.unwrap_or(runs).max(1),
            time: self.seconds.unwrap_or(Duration::from_secs(seconds)),
        }
    }
}

/// Time of a run for the bars.
const BARS_SECONDS: u64 = 2;
/// Time of a run for the matrix, which has many.
const MATRIX_SECONDS: u64 = 1;

#[derive(Debug, Args)]
struct LimitClient {
    #[arg(long)]
    server: SocketAddr,
    #[arg(long)]
    bytes: u32,
    #[arg(long)]
    depth: u32,
    #[arg(long, value_parser = seconds)]
    seconds: Duration,
    #[arg(long)]
    write: bool,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Options { what, measure }: Options) -> Result<()> {
    match what {
        None => compare(&measure, "all", true, !measure.quick),
        Some(What::Bars) => compare(&measure, "bars", true, false),
        Some(What::Matrix) => compare(&measure, "matrix", false, true),
        Some(What::List) => {
            list();
            Ok(())
        }
        Some(What::LimitServer) => limit::server(),
        Some(What::LimitClient(LimitClient {
            server,
            bytes,
            depth,
            seconds,
            write,
        })) => limit::client(server, bytes, write, depth, seconds),
    }
}

fn list() {
    let contests = trials::with_bars().into_iter().map(|trial| trial.contest);
    for contest in contests.chain(trials::matrix()) {
        println!("{:<24} {}", contest.name, contest.place);
    }
}

/// Holds the contests and writes the report. A missed bar is no error of this program: it is what it is
/// there to tell.
fn compare(measure: &Measure, name: &str, bars: bool, matrix: bool) -> Result<()> {
    let mut trials = Vec::new();
    if bars {
        let with_bars = trials::with_bars().into_iter();
        trials.extend(with_bars.map(|trial| (trial, measure.effort(BARS_SECONDS))));
    }
    if matrix {
        let without = trials::matrix().into_iter().map(Trial::without_bars);
        trials.extend(without.map(|trial| (trial, measure.effort(MATRIX_SECONDS))));
    }
    trials.retain(|(trial, _)| measure.chosen(&trial.contest));
    ensure!(!trials.is_empty(), "no contest is named {}", measure.only);
    let site = Site::open()?;
    let mut report = Report::default();
    for (Trial { contest, bars }, effort) in trials {
        let held = contest.hold(&site, effort)?;
        for bar in &bars {
            let verdict = Verdict::of(bar, &held).context("a number is missing")?;
            report.verdicts.push(verdict);
        }
        report.contests.push(Shown {
            metric: bars.first().map_or(Metric::Cpu, Bar::metric),
            effort,
            held,
        });
    }
    print!("{}", report.bars_table());
    report.write(&measure.output, name)
}

/// Reads a time in seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if !(0.01..=3600.0).contains(&number) {
        return Err("from 0.01 to 3600 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(number))
}
