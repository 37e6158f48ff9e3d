//! Measures Hawser side by side with its peers; `cargo xtask bench` builds and starts it.
//!
//! Who is compared meets in a [`contest`]: on the same target, in turn, several rounds. The bars of
//! [`bars`] say what must come out of some of them.
#![forbid(unsafe_code)]

mod bars;
mod case;
mod contest;
mod limit;
mod process;
mod report;
mod site;
mod subject;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};

use crate::bars::{Trial, Verdict};
use crate::contest::Effort;
use crate::report::Report;
use crate::site::Site;

/// Measure Hawser side by side with its peers.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What must be reached, and whether it is
    Bars(Measure),
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
    /// Runs of each; the medians are told
    #[arg(long, value_name = "COUNT", default_value = "5")]
    runs: usize,
    /// Time of each run
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    seconds: Duration,
    /// Only contests whose name holds this
    #[arg(long, value_name = "NAME", default_value = "")]
    only: String,
    /// Folder for the report
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    output: PathBuf,
}

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
    match run(Options::parse().what) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(what: What) -> Result<()> {
    match what {
        What::Bars(measure) => bars(&measure),
        What::LimitServer => limit::server(),
        What::LimitClient(LimitClient {
            server,
            bytes,
            depth,
            seconds,
            write,
        }) => limit::client(server, bytes, write, depth, seconds),
    }
}

/// A missed bar is no error of this program: it is what it is there to tell.
fn bars(measure: &Measure) -> Result<()> {
    let trials: Vec<Trial> = bars::engine()
        .into_iter()
        .filter(|trial| trial.contest.name.contains(&measure.only))
        .collect();
    ensure!(!trials.is_empty(), "no contest is named {}", measure.only);
    let effort = Effort {
        runs: measure.runs.max(1),
        time: measure.seconds,
    };
    let site = Site::open()?;
    let mut report = Report::new(effort);
    for Trial { contest, bars } in trials {
        let held = contest.hold(&site, effort)?;
        for bar in &bars {
            let verdict = Verdict::of(bar, &held).context("a number is missing")?;
            report.verdicts.push(verdict);
        }
        report.contests.push(held);
    }
    print!("{}", report.bars_table());
    report.write(&measure.output, "bars")
}

/// Reads a time in seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if !(0.01..=3600.0).contains(&number) {
        return Err("from 0.01 to 3600 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(number))
}
