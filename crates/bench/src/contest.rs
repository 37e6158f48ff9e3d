//! Runs that are compared with each other: interleaved, so that a busy machine is busy for all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use anyhow::Result;

use crate::case::Case;
use crate::exports::{Export, Shown};
use crate::site::{Place, Site};
use crate::subject::{Runner, Sample, Subject};

/// Who meets on the same target.
#[derive(Debug, Clone)]
pub(crate) struct Contest {
    /// Its name, for `--only`.
    pub(crate) name: String,
    /// Where.
    pub(crate) place: Place,
    /// Who does what.
    pub(crate) entrants: Vec<(Subject, Case)>,
}

/// How often, and how long each time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Runs of each.
    pub(crate) runs: usize,
    /// Time of a run.
    pub(crate) time: Duration,
}

/// A contest that was held.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) rows: Vec<Row>,
}

/// What one entrant did.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) subject: Subject,
    pub(crate) case: Case,
    /// In the order of the rounds, the same for all rows of a contest.
    pub(crate) samples: Vec<Sample>,
}

impl Contest {
    /// Between these on this place.
    pub(crate) fn new(name: &str, place: Place, entrants: &[(Subject, Case)]) -> Self {
        Self {
            name: name.to_owned(),
            place,
            entrants: entrants.to_vec(),
        }
    }

    /// Holds it: each entrant in turn, round by round.
    pub(crate) fn hold(self, site: &Site, effort: Effort) -> Result<Held> {
        eprintln!("{} ({})", self.name, self.place);
        let mut runners: Vec<Runner> = self
            .entrants
            .iter()
            .map(|&(subject, case)| Runner::new(subject, self.place, case, effort.time))
            .collect();
        let mut rows: Vec<Row> = self
            .entrants
            .into_iter()
            .map(|(subject, case)| Row {
                subject,
                case,
                samples: Vec::with_capacity(effort.runs),
            })
            .collect();
        let shown = shown(site, self.place, &rows)?;
        for _ in 0..effort.runs {
            for (runner, row) in runners.iter_mut().zip(&mut rows) {
                let shown = row.subject.export().and_then(|export| shown.get(&export));
                row.samples.push(runner.run(site, shown)?);
            }
        }
        for row in &rows {
            eprintln!("  {}", row.line());
        }
        Ok(Held {
            name: self.name,
            place: self.place,
            rows,
        })
    }
}

/// Shows the disk in all ways that are needed.
fn shown(site: &Site, place: Place, rows: &[Row]) -> Result<HashMap<Export, Shown>> {
    let mut shown = HashMap::new();
    for export in rows.iter().filter_map(|row| row.subject.export()) {
        if let Entry::Vacant(vacant) = shown.entry(export) {
            vacant.insert(Shown::start(export, site, &site.disk(place, false))?);
        }
    }
    Ok(shown)
}

impl Row {
    /// The median of what `of` gives of each run, if it gives something of each.
    pub(crate) fn median(&self, of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        self.samples
            .iter()
            .map(of)
            .collect::<Option<_>>()
            .map(median)
    }

    /// For the one who waits.
    fn line(&self) -> String {
        let of = |of: fn(&Sample) -> Option<f64>| self.median(of).unwrap_or(f64::NAN);
        format!(
            "{:<22} {:<36} {:>9.0} IOPS {:>7.0} MB/s {:>7.2} µs CPU  p50 {:>7.0}  p99 {:>7.0}",
            self.subject.to_string(),
            self.case.to_string(),
            of(|sample| Some(sample.iops)),
            of(|sample| Some(sample.bytes_per_s / 1e6)),
            of(|sample| Some(sample.cpu_us)),
            of(|sample| sample.p50_us),
            of(|sample| sample.p99_us),
        )
    }
}

/// The middle of some numbers, of which there must be one at least; NaN otherwise.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match (numbers.len() % 2, numbers.get(middle)) {
        (_, None) => f64::NAN,
        (1, Some(number)) => *number,
        (_, Some(number)) => (numbers[middle - 1] + number) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![9.0, 1.0, 5.0]) - 5.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 9.0]) - 3.0).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
