//! What must be reached is a ratio; whether it is, is said here. The list is in [`crate::trials`].

use std::fmt;

use crate::contest::{Contest, Held, median};
use crate::subject::Sample;

/// In a row about CPU time, the 99th percentile of the latency over the peer's.
const P99_MAX: f64 = 1.5;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    /// CPU time an access.
    Cpu,
    /// Median of the latency.
    P50,
    /// Bytes a second.
    Throughput,
}

impl Metric {
    fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Self::Cpu => Some(sample.cpu_us),
            Self::P50 => sample.p50_us,
            Self::Throughput => Some(sample.bytes_per_s),
        }
    }
}

/// Where the bar lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    /// So much or less.
    AtMost(f64),
    /// So much or more.
    AtLeast(f64),
}

impl Bound {
    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(most) => ratio <= most,
            Self::AtLeast(least) => ratio >= least,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most:.2}"),
            Self::AtLeast(least) => write!(f, "≥ {least:.2}"),
        }
    }
}

/// One bar: a ratio between two entrants of a contest, named by their places in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    text: &'static str,
    metric: Metric,
    ours: usize,
    against: usize,
    bound: Bound,
    /// Whose latency ours is held to; then the IOPS are held to those of `against`, too.
    latency_of: Option<usize>,
}

impl Bar {
    pub(crate) const fn new(
        text: &'static str,
        metric: Metric,
        (ours, against): (usize, usize),
        bound: Bound,
    ) -> Self {
        Self {
            text,
            metric,
            ours,
            against,
            bound,
            latency_of: None,
        }
    }

    /// Nor may the IOPS be below those of the peer, or the latency far above that of this one.
    pub(crate) const fn guarded(mut self, latency_of: usize) -> Self {
        self.latency_of = Some(latency_of);
        self
    }
}

impl Bar {
    /// What is compared.
    pub(crate) fn metric(&self) -> Metric {
        self.metric
    }

    /// Whether it names entrants of this contest, and the first of them is ours.
    #[cfg(test)]
    pub(crate) fn fits(&self, contest: &Contest) -> bool {
        let places = [Some(self.ours), Some(self.against), self.latency_of];
        let last = places.into_iter().flatten().max().unwrap_or(0);
        last < contest.entrants.len() && contest.entrants[self.ours].0.is_ours()
    }
}

/// A contest, and what must be reached in it.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) contest: Contest,
    pub(crate) bars: Vec<Bar>,
}

impl Trial {
    /// One in which nothing must be reached.
    pub(crate) fn without_bars(contest: Contest) -> Self {
        Self {
            contest,
            bars: Vec::new(),
        }
    }
}

/// How a bar was met.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) text: &'static str,
    pub(crate) against: String,
    pub(crate) bound: Bound,
    /// The median of the ratios of the rounds.
    pub(crate) ratio: f64,
    /// IOPS over the peer's, where they count.
    pub(crate) iops: Option<f64>,
    /// 99th percentile over the peer's, where it counts.
    pub(crate) p99: Option<f64>,
    pub(crate) reached: bool,
}

impl Verdict {
    /// Holds what was measured to a bar; `None` if a number is missing.
    pub(crate) fn of(bar: &Bar, held: &Held) -> Option<Self> {
        let ratio = ratio(held, bar.ours, bar.against, |sample| bar.metric.of(sample))?;
        let (mut iops, mut p99) = (None, None);
        if let Some(other) = bar.latency_of {
            iops = Some(ratio_of_iops(held, bar.ours, bar.against)?);
            p99 = Some(self::ratio(held, bar.ours, other, |sample| sample.p99_us)?);
        }
        let reached = bar.bound.holds(ratio)
            && iops.is_none_or(|iops| iops >= 1.0)
            && p99.is_none_or(|p99| p99 <= P99_MAX);
        Some(Self {
            text: bar.text,
            against: held.rows.get(bar.against)?.subject.to_string(),
            bound: bar.bound,
            ratio,
            iops,
            p99,
            reached,
        })
    }
}

fn ratio_of_iops(held: &Held, ours: usize, against: usize) -> Option<f64> {
    ratio(held, ours, against, |sample| Some(sample.iops))
}

/// The median of the ratios of the rounds: the runs of a round are next to each other, so what else the
/// machine does falls out.
fn ratio(
    held: &Held,
    ours: usize,
    against: usize,
    of: impl Fn(&Sample) -> Option<f64>,
) -> Option<f64> {
    let (ours, against) = (held.rows.get(ours)?, held.rows.get(against)?);
    let rounds = ours.samples.iter().zip(&against.samples);
    rounds
        .map(|(ours, against)| Some(of(ours)? / of(against)?))
        .collect::<Option<_>>()
        .map(median)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Case, Pattern, SMALL};
    use crate::contest::Row;
    use crate::site::Place;
    use crate::subject::Subject;

    fn row(subject: Subject, cpu: &[f64], iops: f64) -> Row {
        let sample = |&cpu_us: &f64| Sample {
            ios: iops,
            iops,
            bytes_per_s: iops * 4096.0,
            cpu_us,
            p50_us: Some(10.0),
            p99_us: Some(20.0),
        };
        Row {
            subject,
            case: Case::new(Pattern::Read, SMALL, 32),
            samples: cpu.iter().map(sample).collect(),
        }
    }

    #[test]
    fn a_bar_is_reached_when_the_ratio_and_the_guards_hold() {
        let mut held = Held {
            name: "x".to_owned(),
            place: Place::TgtNull,
            rows: vec![
                row(Subject::Hawser, &[1.0, 4.0, 1.0], 100.0),
                row(Subject::IscsiPerf, &[2.0, 8.0, 4.0], 90.0),
            ],
        };
        let bar = Bar::new("x", Metric::Cpu, (0, 1), Bound::AtMost(0.5)).guarded(1);
        let verdict = Verdict::of(&bar, &held).unwrap();
        assert!((verdict.ratio - 0.5).abs() < 1e-9 && verdict.reached);
        held.rows[0] = row(Subject::Hawser, &[1.0, 4.0, 1.0], 80.0);
        assert!(!Verdict::of(&bar, &held).unwrap().reached);
        held.rows[1].samples[0].p99_us = None;
        assert!(Verdict::of(&bar, &held).is_none());
    }
}
