//! What `hawser bench` prints.

use serde::Serialize;

use crate::output::{self, ShownLun, to_json};

/// What was measured. `ios`, `iops`, `bytes_per_s`, `cpu_s`, `p50_us` and `p99_us` are promised to
/// scripts.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) target: String,
    pub(super) portal: String,
    pub(super) lun: ShownLun,
    pub(super) rw: &'static str,
    /// Bytes an access.
    pub(super) bs: u32,
    /// Accesses at once, in each session.
    pub(super) qd: u16,
    /// Sessions side by side.
    pub(super) sessions: u16,
    /// Connections of each session.
    pub(super) connections: u16,
    /// How long was measured.
    pub(super) seconds: f64,
    /// Accesses that ended while measuring.
    pub(super) ios: u64,
    /// How many of them were reads.
    pub(super) reads: u64,
    pub(super) iops: f64,
    pub(super) bytes_per_s: f64,
    /// CPU time of this process while measuring, user and system.
    pub(super) cpu_s: f64,
    pub(super) cpu_us_per_io: f64,
    pub(super) mean_us: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) max_us: f64,
}

impl Report {
    pub(super) fn to_json(&self) -> String {
        to_json(self)
    }

    pub(super) fn to_text(&self) -> String {
        let connections = match self.connections {
            1 => String::new(),
            several => format!(" over {several} connections"),
        };
        let sessions = match self.sessions {
            1 => String::new(),
            several => format!(" in each of {several} sessions"),
        };
        let head = format!(
            "{} of {}, {} at once{sessions}{connections}, {:.2} s: LUN {} of {} at {}",
            self.rw,
            output::bytes(self.bs.into()),
            self.qd,
            self.seconds,
            self.lun,
            self.target,
            self.portal
        );
        // Below 2^53 the conversion loses no byte that anyone would miss.
        let rate = output::bytes(self.bytes_per_s as u64);
        format!(
            "{head}\n\
             \x20 {} I/Os, {:.0} IOPS, {rate}/s\n\
             \x20 latency in µs: mean {:.1}, p50 {:.1}, p99 {:.1}, p99.9 {:.1}, longest {:.1}\n\
             \x20 CPU {:.2} s, {:.2} µs an I/O\n",
            self.ios,
            self.iops,
            self.mean_us,
            self.p50_us,
            self.p99_us,
            self.p999_us,
            self.max_us,
            self.cpu_s,
            self.cpu_us_per_io
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            target: "iqn.2026-01.example:a".to_owned(),
            portal: "192.0.2.10:3260".to_owned(),
            lun: ShownLun::from(1_u64 << 48),
            rw: "randread",
            bs: 4096,
            qd: 32,
            sessions: 1,
            connections: 1,
            seconds: 5.0,
            ios: 500_000,
            reads: 500_000,
            iops: 100_000.0,
            bytes_per_s: 409_600_000.0,
            cpu_s: 2.5,
            cpu_us_per_io: 5.0,
            mean_us: 320.0,
            p50_us: 300.0,
            p99_us: 900.0,
            p999_us: 1200.0,
            max_us: 5000.5,
        }
    }

    #[test]
    fn people_read_four_lines() {
        let expected = "\
randread of 4.0 KiB, 32 at once, 5.00 s: LUN 1 of iqn.2026-01.example:a at 192.0.2.10:3260
  500000 I/Os, 100000 IOPS, 390.6 MiB/s
  latency in µs: mean 320.0, p50 300.0, p99 900.0, p99.9 1200.0, longest 5000.5
  CPU 2.50 s, 5.00 µs an I/O
";
        assert_eq!(report().to_text(), expected);
        let over_two = Report {
            connections: 2,
            sessions: 3,
            ..report()
        };
        let line = over_two.to_text();
        assert!(
            line.contains("32 at once in each of 3 sessions over 2 connections, 5.00 s"),
            "{line}"
        );
    }

    #[test]
    fn programs_read_the_promised_keys() {
        let json: serde_json::Value = serde_json::from_str(&report().to_json()).expect("is JSON");
        for key in ["ios", "iops", "bytes_per_s", "cpu_s", "p50_us", "p99_us"] {
            assert!(json[key].is_number(), "{key} is missing");
        }
    }
}
