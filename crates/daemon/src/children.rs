//! Runs the system's programs for work that may touch our own disks.
//!
//! The daemon serves those disks, so any I/O on them from within it could wait for itself, and a
//! process that waits so cannot be killed. A child can hang without harm: it is given up after its
//! time, and it holds none of our descriptors, because all of them close on exec.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// Output beyond this is cut, in bytes: what the programs we run say fits many times.
const MAX_OUTPUT_BYTES: u64 = 64 * 1024;

/// Longest text of a child that is told on, in bytes.
const MAX_COMPLAINT_BYTES: usize = 1000;

/// What a child said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// Exit code; -1 if a signal ended it.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: Vec<u8>,
    /// Standard error, trimmed.
    pub(crate) stderr: String,
}

impl Said {
    /// What to tell of a child that failed: its code, and the beginning of what it said.
    pub(crate) fn complaint(&self, program: &str) -> String {
        let mut end = self.stderr.len().min(MAX_COMPLAINT_BYTES);
        while !self.stderr.is_char_boundary(end) {
            end -= 1;
        }
        let text = self.stderr.get(..end).unwrap_or_default();
        format!(
            "{program} ended with {}: {}",
            self.code,
            text.replace('\n', "; ")
        )
    }
}

/// Why a child said nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildFailure {
    /// It could not be started.
    #[error("cannot run {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It did not end in its time; it was killed and is no longer waited for.
    #[error("{program} did not end within {seconds} s")]
    TimedOut {
        /// The program.
        program: String,
        /// Its time.
        seconds: u64,
    },
}

/// Runs `program` with `arguments`, in the C locale, without input, for at most `limit`.
///
/// # Cancellation
/// Dropping the future kills the child and does not wait for it.
pub(crate) async fn run<A: AsRef<OsStr>>(
    program: &str,
    arguments: &[A],
    limit: Duration,
) -> Result<Said, ChildFailure> {
    let start = |source| ChildFailure::Start {
        program: program.to_owned(),
        source,
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        // What it has to say to the service manager is not about us.
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(start)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let everything = async {
        let (stdout, stderr, status) = tokio::join!(bounded(stdout), bounded(stderr), child.wait());
        status.map(|status| Said {
            code: status.code().unwrap_or(-1),
            stdout,
            stderr: String::from_utf8_lossy(&stderr).trim().to_owned(),
        })
    };
    match tokio::time::timeout(limit, everything).await {
        Ok(said) => said.map_err(start),
        Err(_) => {
            let seconds = limit.as_secs();
            Err(ChildFailure::TimedOut {
                program: program.to_owned(),
                seconds,
            })
        }
    }
}

/// Reads to the end, keeps the beginning. An error ends the reading; what came counts.
async fn bounded<R: AsyncRead + Unpin>(pipe: Option<R>) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        let read = (&mut pipe)
            .take(MAX_OUTPUT_BYTES)
            .read_to_end(&mut kept)
            .await;
        // The rest is thrown away, so that the child never waits for us.
        if read.is_ok() {
            let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn output_and_code_come_back_and_are_bounded() {
        let said = run("sh", &["-c", "echo out; echo no >&2; exit 3"], LONG)
            .await
            .unwrap();
        assert_eq!(
            (said.code, said.stdout.as_slice(), said.stderr.as_str()),
            (3, &b"out\n"[..], "no")
        );
        let said = run("sh", &["-c", "head -c 1000000 /dev/zero"], LONG)
            .await
            .unwrap();
        assert_eq!((said.code, said.stdout.len() as u64), (0, MAX_OUTPUT_BYTES));
    }

    #[tokio::test]
    async fn a_child_that_hangs_is_given_up() {
        let error = run("sleep", &["600"], Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(matches!(error, ChildFailure::TimedOut { .. }), "{error}");
        let error = run("no-such-program-here", &[""], LONG).await.unwrap_err();
        assert!(
            error.to_string().contains("no-such-program-here"),
            "{error}"
        );
    }

    /// Children must not keep a FUSE connection alive.
    #[tokio::test]
    async fn a_child_holds_none_of_our_descriptors() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("ours");
        let file = std::fs::File::create(&path).unwrap();
        let list = "for f in /proc/$$/fd/*; do readlink $f; done";
        let said = run("sh", &["-c", list], LONG).await.unwrap();
        let inherited = run(
            "sh",
            &["-c", &format!("exec 7<{}; {list}", path.display())],
            LONG,
        )
        .await
        .unwrap();
        drop(file);
        let lists =
            |said: &Said| String::from_utf8_lossy(&said.stdout).contains(path.to_str().unwrap());
        assert!(!lists(&said), "our open file is open in the child");
        assert!(lists(&inherited), "the list does not show open files");
    }
}
