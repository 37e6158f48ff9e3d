//! Who is measured, and how each is run and read.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::case::{Case, Pattern};
use crate::process::{AllFinished, finish, finish_all};
use crate::site::{Disk, Place, Site};

/// What a run may take beyond its time: logins, the last accesses, a busy machine.
const MARGIN: Duration = Duration::from_secs(60);
/// I/Os of the run that tells how fast `qemu-img` is, so that the others take their time.
const CALIBRATION: u64 = 2000;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// `hawser bench`.
    Hawser,
    /// `iscsi-perf`, of libiscsi.
    IscsiPerf,
    /// `qemu-img bench` on `iscsi://`, with libiscsi.
    QemuImg,
    /// A program of ours on libiscsi, which tells latencies.
    Libiscsi,
    /// The sockets alone.
    Limit,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hawser => "hawser",
            Self::IscsiPerf => "iscsi-perf",
            Self::QemuImg => "qemu-img (libiscsi)",
            Self::Libiscsi => "libiscsi (our loop)",
            Self::Limit => "limit",
        })
    }
}

/// What one run gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// Accesses a second.
    pub(crate) iops: f64,
    /// Bytes a second.
    pub(crate) bytes_per_s: f64,
    /// CPU time an access, in microseconds.
    pub(crate) cpu_us: f64,
    /// Median of the latency in microseconds, from who tells it.
    pub(crate) p50_us: Option<f64>,
    /// 99th percentile of the latency in microseconds.
    pub(crate) p99_us: Option<f64>,
}

impl Sample {
    fn new(case: &Case, ios: f64, seconds: f64, cpu: f64) -> Self {
        let iops = ios / seconds;
        Self {
            iops,
            bytes_per_s: iops * f64::from(case.bytes),
            cpu_us: cpu * 1e6 / ios,
            p50_us: None,
            p99_us: None,
        }
    }
}

/// Somebody who is measured, with what must be known of them beforehand.
#[derive(Debug)]
pub(crate) struct Runner {
    subject: Subject,
    place: Place,
    case: Case,
    time: Duration,
    /// For `qemu-img`, which takes a number of I/Os and no time: how many, and the CPU time of its start.
    calibrated: Option<(u64, f64)>,
}

impl Runner {
    /// One that runs for `time` each time.
    pub(crate) fn new(subject: Subject, place: Place, case: Case, time: Duration) -> Self {
        Self {
            subject,
            place,
            case,
            time,
            calibrated: None,
        }
    }

    /// Runs it once.
    pub(crate) fn run(&mut self, site: &Site) -> Result<Sample> {
        let disk = site.disk(self.place, self.case.digests);
        let sample = match self.subject {
            Subject::Hawser => self.hawser(site, &disk),
            Subject::IscsiPerf => self.iscsi_perf(&disk),
            Subject::QemuImg => self.qemu_img(&disk),
            Subject::Libiscsi => self.libiscsi(site, &disk),
            Subject::Limit => self.limit(site),
        };
        sample.with_context(|| format!("{} on {}: {}", self.subject, self.place, self.case))
    }

    /// Without a warm-up, so that all the CPU time belongs to I/Os that are counted; only those that are
    /// under way at the end are not.
    fn hawser(&self, site: &Site, disk: &Disk) -> Result<Sample> {
        let case = &self.case;
        let one = || {
            let mut command = Command::new(site.program("hawser"));
            command
                .args(["bench", "--json", "--warm-up", "0"])
                .args(["--portal", &disk.portal.to_string()])
                .args(["--target", disk.target, "--lun", &disk.lun.to_string()])
                .args(["--rw", hawser_pattern(case.pattern)])
                .args(["--bs", &case.bytes.to_string()])
                .args(["--qd", &case.depth.to_string()])
                .args(["--connections", &case.connections.to_string()])
                .args(["--time", &self.time.as_secs_f64().to_string()]);
            if case.digests {
                command.args(["--header-digest", "crc32c", "--data-digest", "crc32c"]);
            }
            command
        };
        let commands = (0..case.sessions).map(|_| one()).collect();
        read_json(case, &finish_all(commands, self.time + MARGIN)?)
    }

    fn libiscsi(&self, site: &Site, disk: &Disk) -> Result<Sample> {
        let mode = match self.case.pattern {
            Pattern::Read | Pattern::Sequential => "read",
            Pattern::Write => "write",
        };
        let mut command = Command::new(site.probe());
        command
            .args([&disk.url(), mode, &self.case.bytes.to_string()])
            .arg(self.case.depth.to_string())
            .arg(self.time.as_secs_f64().to_string());
        read_json(&self.case, &finish_all(vec![command], self.time + MARGIN)?)
    }

    fn limit(&self, site: &Site) -> Result<Sample> {
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command
            .args(["limit-client", "--server", &site.limit().to_string()])
            .args(["--bytes", &self.case.bytes.to_string()])
            .args(["--depth", &self.case.depth.to_string()])
            .args(["--seconds", &self.time.as_secs_f64().to_string()]);
        if self.case.pattern.writes() {
            command.arg("--write");
        }
        read_json(&self.case, &finish_all(vec![command], self.time + MARGIN)?)
    }

    /// It takes whole seconds and tells the average.
    fn iscsi_perf(&self, disk: &Disk) -> Result<Sample> {
        let seconds = self.time.as_secs_f64().ceil();
        let mut command = Command::new("iscsi-perf");
        command
            .args(["-m", &self.case.depth.to_string()])
            .args(["-b", &(self.case.bytes / 512).to_string()])
            .args(["-t", &format!("{seconds:.0}")]);
        if self.case.pattern != Pattern::Sequential {
            command.arg("-r");
        }
        command.arg(disk.url());
        let finished = finish(command, self.time + MARGIN)?;
        let iops = iscsi_perf_average(&finished.stdout)
            .with_context(|| format!("iscsi-perf printed\n{}", finished.stdout))?;
        Ok(Sample::new(
            &self.case,
            iops * seconds,
            seconds,
            finished.cpu,
        ))
    }

    /// Takes what starting it costs off the CPU time: it loads many libraries. That is in its favour.
    fn qemu_img(&mut self, disk: &Disk) -> Result<Sample> {
        let (count, start) = match self.calibrated {
            Some(known) => known,
            None => *self.calibrated.insert(self.calibrate(disk)?),
        };
        let (seconds, cpu) = self.qemu_img_run(disk, count)?;
        Ok(Sample::new(
            &self.case,
            count as f64,
            seconds,
            (cpu - start).max(0.0),
        ))
    }

    fn calibrate(&self, disk: &Disk) -> Result<(u64, f64)> {
        let (seconds, _) = self.qemu_img_run(disk, CALIBRATION)?;
        let count = CALIBRATION as f64 / seconds.max(1e-3) * self.time.as_secs_f64();
        let (_, start) = self.qemu_img_run(disk, 1)?;
        Ok((count.max(1.0) as u64, start))
    }

    /// Seconds it took, as it says, and CPU time.
    fn qemu_img_run(&self, disk: &Disk, count: u64) -> Result<(f64, f64)> {
        let mut command = Command::new("qemu-img");
        command
            .args(["bench", "-f", "raw", "-t", "none"])
            .args(["-c", &count.to_string()])
            .args(["-d", &self.case.depth.to_string()])
            .args(["-s", &self.case.bytes.to_string()]);
        if self.case.pattern.writes() {
            command.arg("-w");
        }
        command.arg(disk.url());
        let finished = finish(command, self.time * 10 + MARGIN)?;
        let seconds = qemu_img_seconds(&finished.stdout)
            .with_context(|| format!("qemu-img printed\n{}", finished.stdout))?;
        Ok((seconds, finished.cpu))
    }
}

/// The name of a pattern for `hawser bench --rw`.
fn hawser_pattern(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::Read => "randread",
        Pattern::Write => "randwrite",
        Pattern::Sequential => "read",
    }
}

/// Adds up what programs side by side print: I/Os, the longest time, the worst percentiles.
fn read_json(case: &Case, all: &AllFinished) -> Result<Sample> {
    let (mut ios, mut seconds) = (0.0, 0.0_f64);
    let (mut p50, mut p99) = (None::<f64>, None::<f64>);
    for stdout in &all.stdouts {
        let value: Value = serde_json::from_str(stdout).context("read its JSON")?;
        let number = |key: &str| value[key].as_f64();
        ios += number("ios").context("no ios")?;
        seconds = seconds.max(number("seconds").context("no seconds")?);
        p50 = p50.max_of(number("p50_us"));
        p99 = p99.max_of(number("p99_us"));
    }
    if ios < 1.0 {
        bail!("no I/O was done");
    }
    let mut sample = Sample::new(case, ios, seconds, all.cpu);
    (sample.p50_us, sample.p99_us) = (p50, p99);
    Ok(sample)
}

/// The greater of two numbers that may be missing.
trait MaxOf {
    fn max_of(self, other: Self) -> Self;
}

impl MaxOf for Option<f64> {
    fn max_of(self, other: Self) -> Self {
        match (self, other) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        }
    }
}

/// `iops average N` in the last line.
fn iscsi_perf_average(text: &str) -> Option<f64> {
    let (_, rest) = text.rsplit_once("iops average ")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// `Run completed in N seconds.`
fn qemu_img_seconds(text: &str) -> Option<f64> {
    let (_, rest) = text.split_once("completed in ")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_print_is_read() {
        let perf =
            "\riops current 5 (1 MB/s), iops average 4 (1 MB/s)\riops average 38106 (148 MB/s)  \n";
        assert_eq!(iscsi_perf_average(perf), Some(38106.0));
        let qemu = "Sending 5 requests\nRun completed in 1.250 seconds.\n";
        assert_eq!(qemu_img_seconds(qemu), Some(1.25));
        assert_eq!(qemu_img_seconds("nothing"), None);
    }

    #[test]
    fn sessions_side_by_side_are_added_up() {
        let one = r#"{"ios": 100, "seconds": 1.0, "p50_us": 2.0, "p99_us": 9.0}"#;
        let other = r#"{"ios": 300, "seconds": 2.0, "p50_us": 3.0, "p99_us": 5.0}"#;
        let all = AllFinished {
            stdouts: vec![one.to_owned(), other.to_owned()],
            cpu: 0.004,
        };
        let case = Case::new(Pattern::Read, 512, 1);
        let sample = read_json(&case, &all).unwrap();
        assert!((sample.iops - 200.0).abs() < 1e-9 && (sample.cpu_us - 10.0).abs() < 1e-9);
        assert_eq!((sample.p50_us, sample.p99_us), (Some(3.0), Some(9.0)));
    }
}
