//! What was found, and whether it meets the bars.

use std::fmt;
use std::time::Duration;

use super::each;
use super::figures::Memory;

/// Longest time until all sessions are logged in.
const LOGIN_LIMIT: Duration = Duration::from_secs(5);
/// Most resident memory of an idle session, in bytes.
const MEMORY_LIMIT: u64 = 48 * 1024;
/// Longest median of `hawser status`.
const STATUS_LIMIT: Duration = Duration::from_millis(50);
/// Most that an I/O may cost beside the idle sessions, as a multiple of what it costs alone.
const GROWTH_LIMIT: f64 = 1.05;

/// CPU microseconds that a read cost the daemon, run by run.
#[derive(Debug, Default)]
pub(super) struct Cost {
    /// With one session.
    pub(super) one: Vec<f64>,
    /// With all of them.
    pub(super) many: Vec<f64>,
}

impl Cost {
    /// What the idle sessions make of the cost: the ratio of the medians.
    fn growth(&self) -> f64 {
        median(&self.many) / median(&self.one)
    }
}

/// The figures of one export mode.
#[derive(Debug)]
pub(super) struct Report {
    /// Sessions.
    pub(super) sessions: usize,
    /// The export mode.
    pub(super) mode: String,
    /// Until all were logged in.
    pub(super) logged_in: Duration,
    /// Until all disks were shown.
    pub(super) shown: Duration,
    /// Memory with no session, with one, with all.
    pub(super) memory: [Memory; 3],
    /// Times of `hawser status`, in order.
    pub(super) status: Vec<Duration>,
    /// CPU time in a second of rest.
    pub(super) idle: Duration,
    /// What reads cost, where disks are shown by a way that was measured.
    pub(super) cost: Option<Cost>,
}

impl Report {
    /// All bars are met.
    pub(super) fn is_met(&self) -> bool {
        let growth = self.cost.as_ref().map_or(1.0, Cost::growth);
        self.logged_in <= LOGIN_LIMIT
            && self.session_memory().resident <= MEMORY_LIMIT
            && self.status_median() <= STATUS_LIMIT
            && growth <= GROWTH_LIMIT
    }

    /// What each session takes beyond a daemon without any.
    fn session_memory(&self) -> Memory {
        let [none, _, many] = self.memory;
        each(many, none, self.sessions)
    }

    fn status_median(&self) -> Duration {
        self.status[self.status.len() / 2]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sessions, mode, .. } = self;
        writeln!(f, "| {sessions} sessions, --export {mode} | |\n|---|---|")?;
        writeln!(f, "| all logged in | {:.2?} |", self.logged_in)?;
        writeln!(f, "| all disks shown | {:.2?} |", self.shown)?;
        let [none, one, many] = self.memory;
        let kib = |bytes: u64| bytes as f64 / 1024.0;
        let three = |memory: Memory| {
            let Memory {
                resident,
                proportional,
                anonymous,
            } = memory;
            let (resident, proportional) = (kib(resident), kib(proportional));
            format!("{resident:.1} · {proportional:.1} · {:.1}", kib(anonymous))
        };
        let what = "KiB resident · proportional · anonymous";
        writeln!(f, "| {what}, no session | {} |", three(none))?;
        writeln!(f, "| the same, one | {} |", three(one))?;
        writeln!(f, "| the same, all | {} |", three(many))?;
        let beyond_none = three(self.session_memory());
        let beyond_one = three(each(many, one, sessions - 1));
        writeln!(f, "| a session, against none | {beyond_none} |")?;
        writeln!(f, "| a session, against one | {beyond_one} |")?;
        let (least, most) = (self.status[0], self.status[self.status.len() - 1]);
        let median = self.status_median();
        writeln!(
            f,
            "| `hawser status`, median (least, most) | {median:.1?} ({least:.1?}, {most:.1?}) |"
        )?;
        writeln!(f, "| CPU in a second of rest | {:.1?} |", self.idle)?;
        if let Some(cost) = &self.cost {
            let runs = |runs: &[f64]| {
                let runs: Vec<_> = runs.iter().map(|run| format!("{run:.2}")).collect();
                runs.join(" · ")
            };
            writeln!(f, "| CPU µs a read, one session | {} |", runs(&cost.one))?;
            writeln!(f, "| CPU µs a read, all | {} |", runs(&cost.many))?;
            writeln!(f, "| growth, ratio of the medians | {:.3} |", cost.growth())?;
        }
        let met = if self.is_met() { "met" } else { "missed" };
        writeln!(f, "\nthe bars are {met}\n")
    }
}

fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let pair = sorted.get(middle.saturating_sub(1)).zip(sorted.get(middle));
    match pair {
        Some((below, above)) if sorted.len().is_multiple_of(2) => (below + above) / 2.0,
        Some((_, middle)) => *middle,
        None => f64::NAN,
    }
}
