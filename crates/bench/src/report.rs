//! What was measured, as tables and a chart for people and as JSON for programs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::bars::{Metric, Verdict};
use crate::chart;
use crate::contest::{Effort, Held, Row};
use crate::subject::Sample;
use crate::trials::ELSEWHERE;

/// A contest, and how it is shown.
#[derive(Debug)]
pub(crate) struct Shown {
    /// What the chart shows of it.
    pub(crate) metric: Metric,
    /// How it was measured.
    pub(crate) effort: Effort,
    /// What was measured.
    pub(crate) held: Held,
}

/// All that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) contests: Vec<Shown>,
    pub(crate) verdicts: Vec<Verdict>,
}

impl Report {
    /// Writes `NAME.md`, `NAME.svg` and `NAME.json` into a folder.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let text = format!("{}\n{}", self.bars_table(), self.rows_table());
        let chart = chart::draw(&self.contests);
        let json = format!("{:#}\n", self.to_json());
        for (ending, content) in [("md", text), ("svg", chart), ("json", json)] {
            let path = folder.join(format!("{name}.{ending}"));
            fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
            println!("written: {}", path.display());
        }
        Ok(())
    }

    /// The bars.
    pub(crate) fn bars_table(&self) -> String {
        if self.verdicts.is_empty() {
            return String::new();
        }
        let mut text = String::from(
            "| case | against | bar | ratio | IOPS | p99 | |\n|---|---|---|---|---|---|---|\n",
        );
        for verdict in &self.verdicts {
            let said = if verdict.reached {
                "reached"
            } else {
                "**missed**"
            };
            // Writing into a String cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.2} | {} | {} | {said} |",
                verdict.text,
                verdict.against,
                verdict.bound,
                verdict.ratio,
                shown(verdict.iops, 2),
                shown(verdict.p99, 2),
            );
        }
        for bar in ELSEWHERE {
            let _ = writeln!(text, "| {bar} | | | | | | `cargo xtask bench-scale` |");
        }
        text
    }

    /// Everything, as medians.
    fn rows_table(&self) -> String {
        let mut text = String::from(
            "Medians of runs in turn.\n\n\
             | target | case | who | runs | IOPS | MB/s | CPU µs per I/O | p50 µs | p99 µs |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        for Shown { effort, held, .. } in &self.contests {
            for row in &held.rows {
                let of = |of: fn(&Sample) -> Option<f64>, places| shown(row.median(of), places);
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {} of {} s | {} | {} | {} | {} | {} |",
                    held.place,
                    row.case,
                    row.subject,
                    effort.runs,
                    effort.time.as_secs_f64(),
                    of(|sample| Some(sample.iops), 0),
                    of(|sample| Some(sample.bytes_per_s / 1e6), 0),
                    of(|sample| Some(sample.cpu_us), 2),
                    of(|sample| sample.p50_us, 0),
                    of(|sample| sample.p99_us, 0),
                );
            }
        }
        text
    }

    fn to_json(&self) -> Value {
        let contests: Vec<Value> = self.contests.iter().map(contest_json).collect();
        let verdicts: Vec<Value> = self.verdicts.iter().map(verdict_json).collect();
        json!({
            "bars": verdicts,
            "contests": contests,
        })
    }
}

fn contest_json(Shown { effort, held, .. }: &Shown) -> Value {
    let rows: Vec<Value> = held.rows.iter().map(row_json).collect();
    json!({
        "name": held.name,
        "target": held.place.to_string(),
        "seconds": effort.time.as_secs_f64(),
        "rows": rows,
    })
}

fn row_json(row: &Row) -> Value {
    let samples: Vec<Value> = row.samples.iter().map(sample_json).collect();
    json!({
        "who": row.subject.to_string(),
        "case": row.case.to_string(),
        "iops": row.median(|sample| Some(sample.iops)),
        "bytes_per_s": row.median(|sample| Some(sample.bytes_per_s)),
        "cpu_us_per_io": row.median(|sample| Some(sample.cpu_us)),
        "p50_us": row.median(|sample| sample.p50_us),
        "p99_us": row.median(|sample| sample.p99_us),
        "runs": samples,
    })
}

fn sample_json(sample: &Sample) -> Value {
    json!({
        "iops": sample.iops,
        "bytes_per_s": sample.bytes_per_s,
        "cpu_us_per_io": sample.cpu_us,
        "p50_us": sample.p50_us,
        "p99_us": sample.p99_us,
    })
}

fn verdict_json(verdict: &Verdict) -> Value {
    json!({
        "case": verdict.text,
        "against": verdict.against,
        "bar": verdict.bound.to_string(),
        "ratio": verdict.ratio,
        "iops_ratio": verdict.iops,
        "p99_ratio": verdict.p99,
        "reached": verdict.reached,
    })
}

/// A number with so many places, or nothing.
fn shown(number: Option<f64>, places: usize) -> String {
    number.map_or_else(String::new, |number| format!("{number:.places$}"))
}
