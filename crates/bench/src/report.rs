//! What was measured, as a table for people and as JSON for programs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::bars::Verdict;
use crate::contest::{Effort, Held, Row};
use crate::subject::Sample;

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    effort: Effort,
    pub(crate) contests: Vec<Held>,
    pub(crate) verdicts: Vec<Verdict>,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(effort: Effort) -> Self {
        Self {
            effort,
            contests: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    /// Writes `NAME.md` and `NAME.json` into a folder.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let text = format!("{}\n{}", self.bars_table(), self.rows_table());
        for (ending, content) in [("md", text), ("json", format!("{:#}\n", self.to_json()))] {
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
        text
    }

    /// Everything, as medians.
    fn rows_table(&self) -> String {
        let mut text = format!(
            "Medians of {} runs of {} s each, in turn.\n\n\
             | target | case | who | IOPS | MB/s | CPU µs per I/O | p50 µs | p99 µs |\n\
             |---|---|---|---|---|---|---|---|\n",
            self.effort.runs,
            self.effort.time.as_secs_f64()
        );
        for held in &self.contests {
            for row in &held.rows {
                let of = |of: fn(&Sample) -> Option<f64>, places| shown(row.median(of), places);
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {} | {} | {} | {} | {} |",
                    held.place,
                    row.case,
                    row.subject,
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
            "runs": self.effort.runs,
            "seconds": self.effort.time.as_secs_f64(),
            "bars": verdicts,
            "contests": contests,
        })
    }
}

fn contest_json(held: &Held) -> Value {
    let rows: Vec<Value> = held.rows.iter().map(row_json).collect();
    json!({ "name": held.name, "target": held.place.to_string(), "rows": rows })
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
