//! Who is measured, and how each is run and read.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::case::{Case, Pattern};
use crate::exports::{Export, Shown};
use crate::process::{Finished, finish};
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
    /// `qemu-img bench` on a disk that is shown.
    QemuImgOn(Export),
    /// fio on a disk that is shown.
    FioOn(Export),
}

impl Subject {
    /// The way in which its disk is shown.
    pub(crate) fn export(self) -> Option<Export> {
        match self {
            Self::QemuImgOn(export) | Self::FioOn(export) => Some(export),
            _ => None,
        }
    }

    /// It measures something of ours.
    pub(crate) fn is_ours(self) -> bool {
        match self.export() {
            Some(export) => export != Export::QemuNbd,
            None => self == Self::Hawser,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hawser => f.write_str("hawser"),
            Self::IscsiPerf => f.write_str("iscsi-perf"),
            Self::QemuImg => f.write_str("qemu-img (libiscsi)"),
            Self::Libiscsi => f.write_str("libiscsi (our loop)"),
            Self::Limit => f.write_str("limit"),
            Self::QemuImgOn(export) => write!(f, "qemu-img on {export}"),
            Self::FioOn(export) => write!(f, "fio on {export}"),
        }
    }
}

/// What one run gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// Accesses.
    pub(crate) ios: f64,
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
            ios,
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

    /// Runs it once; `shown` is the disk as it is shown, for those who need that.
    pub(crate) fn run(&mut self, site: &Site, shown: Option<&Shown>) -> Result<Sample> {
        let disk = site.disk(self.place, self.case.digests);
        let sample = match self.subject {
            Subject::QemuImgOn(_) | Subject::FioOn(_) => {
                shown.context("the disk is not shown").and_then(|shown| {
                    let before = shown.cpu()?;
                    let mut sample = match self.subject {
                        Subject::FioOn(_) => self.fio(shown.address()),
                        _ => self.qemu_img(shown.address()),
                    }?;
                    let server = shown.cpu()? - before;
                    sample.cpu_us += server * 1e6 / sample.ios;
                    Ok(sample)
                })
            }
            Subject::Hawser => self.hawser(site, &disk),
            Subject::IscsiPerf => self.iscsi_perf(&disk),
            Subject::QemuImg => self.qemu_img(&disk.url()),
            Subject::Libiscsi => self.libiscsi(site, &disk),
            Subject::Limit => self.limit(site),
        };
        sample.with_context(|| format!("{} on {}: {}", self.subject, self.place, self.case))
    }

    /// Without a warm-up, so that all the CPU time belongs to I/Os that are counted; only those that are
    /// under way at the end are not.
    fn hawser(&self, site: &Site, disk: &Disk) -> Result<Sample> {
        let case = &self.case;
        let mut command = Command::new(site.program("hawser"));
        command
            .args(["bench", "--json", "--warm-up", "0"])
            .args(["--portal", &disk.portal.to_string()])
            .args(["--target", disk.target, "--lun", &disk.lun.to_string()])
            .args(["--rw", pattern_name(case.pattern)])
            .args(["--bs", &case.bytes.to_string()])
            .args(["--qd", &case.depth.to_string()])
            .args(["--sessions", &case.sessions.to_string()])
            .args(["--connections", &case.connections.to_string()])
            .args(["--time", &self.time.as_secs_f64().to_string()]);
        if case.digests {
            command.args(["--header-digest", "crc32c", "--data-digest", "crc32c"]);
        }
        read_json(case, &finish(command, self.time + MARGIN)?)
    }

    fn libiscsi(&self, site: &Site, disk: &Disk) -> Result<Sample> {
        let mode = match self.case.pattern {
            Pattern::Read => "read",
            Pattern::Write => "write",
            Pattern::Mixed => "rw",
            Pattern::SequentialRead | Pattern::SequentialWrite => bail!("it goes to random places"),
        };
        let mut command = Command::new(site.probe());
        command
            .args([&disk.url(), mode, &self.case.bytes.to_string()])
            .arg(self.case.depth.to_string())
            .arg(self.time.as_secs_f64().to_string());
        read_json(&self.case, &finish(command, self.time + MARGIN)?)
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
        read_json(&self.case, &finish(command, self.time + MARGIN)?)
    }

    /// It takes whole seconds and tells the average.
    fn iscsi_perf(&self, disk: &Disk) -> Result<Sample> {
        let seconds = self.time.as_secs_f64().ceil();
        let mut command = Command::new("iscsi-perf");
        command
            .args(["-m", &self.case.depth.to_string()])
            .args(["-b", &(self.case.bytes / 512).to_string()])
            .args(["-t", &format!("{seconds:.0}")]);
        if self.case.pattern != Pattern::SequentialRead {
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
    fn qemu_img(&mut self, image: &str) -> Result<Sample> {
        let (count, start) = match self.calibrated {
            Some(known) => known,
            None => *self.calibrated.insert(self.calibrate(image)?),
        };
        let (seconds, cpu) = self.qemu_img_run(image, count)?;
        Ok(Sample::new(
            &self.case,
            count as f64,
            seconds,
            (cpu - start).max(0.0),
        ))
    }

    fn calibrate(&self, image: &str) -> Result<(u64, f64)> {
        let (seconds, _) = self.qemu_img_run(image, CALIBRATION)?;
        let count = CALIBRATION as f64 / seconds.max(1e-3) * self.time.as_secs_f64();
        let (_, start) = self.qemu_img_run(image, 1)?;
        Ok((count.max(1.0) as u64, start))
    }

    /// Seconds it took, as it says, and CPU time.
    fn qemu_img_run(&self, image: &str, count: u64) -> Result<(f64, f64)> {
        let mut command = Command::new("qemu-img");
        command
            .args(["bench", "-f", "raw", "-t", "none"])
            .args(["-c", &count.to_string()])
            .args(["-d", &self.case.depth.to_string()])
            .args(["-s", &self.case.bytes.to_string()]);
        if self.case.pattern.writes() {
            command.arg("-w");
        }
        command.arg(image);
        let finished = finish(command, self.time * 10 + MARGIN)?;
        let seconds = qemu_img_seconds(&finished.stdout)
            .with_context(|| format!("qemu-img printed\n{}", finished.stdout))?;
        Ok((seconds, finished.cpu))
    }

    /// Its own CPU time holds that of its start, which is long.
    fn fio(&self, address: &str) -> Result<Sample> {
        let mut command = Command::new("fio");
        command
            .args(["--name=hawser", "--output-format=json", "--thread"])
            .args(["--time_based", "--direct=1", "--group_reporting"])
            .arg(format!("--runtime={}ms", self.time.as_millis()))
            .arg(format!("--bs={}", self.case.bytes))
            .arg(format!("--iodepth={}", self.case.depth))
            .arg(format!("--rw={}", pattern_name(self.case.pattern)));
        if self.case.pattern == Pattern::Mixed {
            command.arg("--rwmixread=70");
        }
        if address.starts_with("nbd") {
            command.args(["--ioengine=nbd", &format!("--uri={address}")]);
        } else {
            command.args(["--ioengine=libaio", &format!("--filename={address}")]);
        }
        let finished = finish(command, self.time + MARGIN)?;
        fio_sample(&self.case, &finished)
            .with_context(|| format!("fio printed\n{}", finished.stdout))
    }
}

/// Reads and writes of the one job. Its percentiles are those of the direction that had more to do.
fn fio_sample(case: &Case, finished: &Finished) -> Option<Sample> {
    let json = finished.stdout.get(finished.stdout.find('{')?..)?;
    let report: Value = serde_json::from_str(json).ok()?;
    let job = &report["jobs"][0];
    let ios = |kind: &str| job[kind]["total_ios"].as_f64();
    let (reads, writes) = (ios("read")?, ios("write")?);
    let main = &job[if reads >= writes { "read" } else { "write" }];
    let seconds = main["runtime"].as_f64()? / 1000.0;
    let mut sample = Sample::new(case, reads + writes, seconds, finished.cpu);
    let percentile = |name: &str| Some(main["clat_ns"]["percentile"][name].as_f64()? / 1000.0);
    (sample.p50_us, sample.p99_us) = (percentile("50.000000"), percentile("99.000000"));
    Some(sample)
}

/// The name of a pattern for `--rw` of `hawser bench` and of fio.
fn pattern_name(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::Read => "randread",
        Pattern::Write => "randwrite",
        Pattern::Mixed => "randrw",
        Pattern::SequentialRead => "read",
        Pattern::SequentialWrite => "write",
    }
}

/// What `hawser bench`, the limit and our loop on libiscsi print.
fn read_json(case: &Case, finished: &Finished) -> Result<Sample> {
    let value: Value = serde_json::from_str(&finished.stdout).context("read its JSON")?;
    let number = |key: &str| value[key].as_f64();
    let ios = number("ios").context("no ios")?;
    let seconds = number("seconds").context("no seconds")?;
    ensure!(ios >= 1.0, "no I/O was done");
    let mut sample = Sample::new(case, ios, seconds, finished.cpu);
    (sample.p50_us, sample.p99_us) = (number("p50_us"), number("p99_us"));
    Ok(sample)
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

    fn printed(text: &str) -> Finished {
        Finished {
            stdout: text.to_owned(),
            cpu: 0.004,
        }
    }

    #[test]
    fn json_is_read() {
        let case = Case::new(Pattern::Read, 512, 1);
        let text = r#"{"ios": 400, "seconds": 2.0, "p50_us": 3.0, "p99_us": 9.0}"#;
        let sample = read_json(&case, &printed(text)).unwrap();
        assert!((sample.iops - 200.0).abs() < 1e-9 && (sample.cpu_us - 10.0).abs() < 1e-9);
        assert_eq!((sample.p50_us, sample.p99_us), (Some(3.0), Some(9.0)));
        let nothing = printed(r#"{"ios": 0, "seconds": 2.0}"#);
        assert!(read_json(&case, &nothing).is_err());
    }

    #[test]
    fn the_report_of_fio_is_read() {
        let case = Case::new(Pattern::Mixed, 512, 1);
        let text = r#"note {"jobs": [{"read": {"total_ios": 70, "runtime": 500,
            "clat_ns": {"percentile": {"50.000000": 2000, "99.000000": 9000}}},
            "write": {"total_ios": 30, "runtime": 500}}]}"#;
        let sample = fio_sample(&case, &printed(text)).unwrap();
        assert!((sample.iops - 200.0).abs() < 1e-9 && (sample.cpu_us - 40.0).abs() < 1e-9);
        assert_eq!((sample.p50_us, sample.p99_us), (Some(2.0), Some(9.0)));
    }
}
