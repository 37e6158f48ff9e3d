//! What the kernel counts of a process.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// What is resident.
    pub(super) resident: u64,
    /// The same, with shared pages counted in part.
    pub(super) proportional: u64,
    /// What is resident and of no file.
    pub(super) anonymous: u64,
}

/// The memory of a process now.
pub(super) fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let field = |name: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let number = number.with_context(|| format!("{path} has no {name}"))?;
        Ok(number.trim().parse::<u64>()? * 1024)
    };
    Ok(Memory {
        resident: field("Rss:")?,
        proportional: field("Pss:")?,
        anonymous: field("Anonymous:")?,
    })
}

/// CPU time, user and system, of all threads of a process that still run. The scheduler counts it in
/// nanoseconds; `/proc/PID/stat` would in hundredths of a second.
pub(super) fn cpu(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/task");
    let mut all = Duration::ZERO;
    for thread in fs::read_dir(&path).with_context(|| format!("list {path}"))? {
        // One that has ended meanwhile was one for blocking work, which an idle daemon does not do.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let run = text.split(' ').next().unwrap_or_default();
        all += Duration::from_nanos(run.parse().context("schedstat")?);
    }
    Ok(all)
}
