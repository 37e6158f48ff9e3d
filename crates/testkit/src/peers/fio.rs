//! `fio`, which writes with checksums and reads back (Debian package `fio`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{PeerError, Tool};

/// Where fio reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Nbd(String),
}

/// One fio job: `bytes` from the start of a file, device or NBD export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FioJob {
    place: Place,
    bytes: u64,
    access: String,
    block_size: String,
    queue_depth: u32,
    verify: bool,
    direct: bool,
    seconds: Option<u64>,
}

/// What fio did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FioReport {
    /// Reads done, those of the verification included.
    pub reads: u64,
    /// Writes done.
    pub writes: u64,
    /// Errors counted; a failed checksum also makes fio fail.
    pub errors: u64,
}

impl FioJob {
    /// Random 4 KiB writes at queue depth 16 over the first `bytes` of the file or device at `path`.
    #[must_use]
    pub fn file(path: &Path, bytes: u64) -> Self {
        Self::new(Place::File(path.to_path_buf()), bytes)
    }

    /// The same over an NBD export, given as a URI such as `nbd+unix:///NAME?socket=PATH`.
    #[must_use]
    pub fn nbd(uri: &str, bytes: u64) -> Self {
        Self::new(Place::Nbd(uri.to_owned()), bytes)
    }

    fn new(place: Place, bytes: u64) -> Self {
        Self {
            place,
            bytes,
            access: "randwrite".into(),
            block_size: "4k".into(),
            queue_depth: 16,
            verify: false,
            direct: false,
            seconds: None,
        }
    }

    /// Sets fio's `--rw`: `read`, `write`, `randread`, `randwrite`, `randrw`, ...
    #[must_use]
    pub fn access(mut self, access: &str) -> Self {
        self.access = access.to_owned();
        self
    }

    /// Sets fio's block size: `--bs`, or `--bsrange` for something like `512-128k`.
    #[must_use]
    pub fn block_size(mut self, size: &str) -> Self {
        self.block_size = size.to_owned();
        self
    }

    /// Sets how many requests are in flight.
    #[must_use]
    pub fn queue_depth(mut self, depth: u32) -> Self {
        self.queue_depth = depth;
        self
    }

    /// Reads everything back afterwards and compares CRC-32C checksums.
    #[must_use]
    pub fn verify(mut self) -> Self {
        self.verify = true;
        self
    }

    /// Goes around the page cache (files and devices only).
    #[must_use]
    pub fn direct(mut self) -> Self {
        self.direct = true;
        self
    }

    /// Repeats for this long instead of going over the bytes once.
    #[must_use]
    pub fn seconds(mut self, seconds: u64) -> Self {
        self.seconds = Some(seconds);
        self
    }

    /// Runs the job; it is killed after `limit`.
    ///
    /// # Errors
    /// [`PeerError::Failed`] on an I/O error or a wrong checksum.
    pub fn run(&self, limit: Duration) -> Result<FioReport, PeerError> {
        // fio leaves verification state files in its working directory.
        let directory = tempfile::tempdir().map_err(PeerError::io("make a directory for fio"))?;
        let output = self.command(directory.path())?.limit(limit).run_ok()?;
        // Notes may stand before the JSON text.
        let json = output
            .stdout
            .find('{')
            .and_then(|at| output.stdout.get(at..));
        json.and_then(read_report)
            .ok_or_else(|| PeerError::Unreadable {
                what: "the report of fio".into(),
                output: output.stdout.clone(),
            })
    }

    fn command(&self, directory: &Path) -> Result<Tool, PeerError> {
        let size = if self.block_size.contains('-') {
            "bsrange"
        } else {
            "bs"
        };
        let mut tool = Tool::new("fio")?
            .args(["--name=hawser", "--output-format=json", "--thread"])
            .arg(format!("--aux-path={}", directory.display()))
            .arg(format!("--rw={}", self.access))
            .arg(format!("--{size}={}", self.block_size))
            .arg(format!("--size={}", self.bytes))
            .arg(format!("--iodepth={}", self.queue_depth));
        tool = match &self.place {
            Place::File(path) => tool
                .arg("--ioengine=libaio")
                .arg(format!("--filename={}", path.display())),
            Place::Nbd(uri) => tool.arg("--ioengine=nbd").arg(format!("--uri={uri}")),
        };
        if self.direct {
            tool = tool.arg("--direct=1");
        }
        if self.verify {
            tool = tool.args([
                "--verify=crc32c",
                "--verify_fatal=1",
                "--verify_state_save=0",
            ]);
        }
        if let Some(seconds) = self.seconds {
            tool = tool.arg("--time_based").arg(format!("--runtime={seconds}"));
        }
        Ok(tool)
    }
}

fn read_report(json: &str) -> Option<FioReport> {
    let report: serde_json::Value = serde_json::from_str(json).ok()?;
    let job = report.get("jobs")?.get(0)?;
    let count = |kind: &str| job.get(kind)?.get("total_ios")?.as_u64();
    Some(FioReport {
        reads: count("read")?,
        writes: count("write")?,
        errors: job.get("error")?.as_u64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_and_verified() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("disk");
        let report = FioJob::file(&file, 1 << 20)
            .verify()
            .run(Duration::from_secs(60))
            .unwrap();
        assert_eq!(report.writes, 256);
        assert!(report.reads >= 256);
        assert_eq!(report.errors, 0);
    }
}
