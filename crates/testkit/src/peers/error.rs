//! What can go wrong with a foreign program.

use std::io;
use std::time::Duration;

/// Why a foreign server or tool could not be used. Tests should fail on it, never skip.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The program is not installed.
    #[error(
        "the program {program} is not installed: install the Debian package {package} \
         (`cargo xtask test` does it as root)"
    )]
    MissingProgram {
        /// Its name on the command line.
        program: String,
        /// The Debian package that holds it.
        package: String,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// Something awaited did not happen in time.
    #[error("{what}: not within {}.{:03} s\n{detail}", limit.as_secs(), limit.subsec_millis())]
    Timeout {
        /// What was awaited.
        what: String,
        /// How long.
        limit: Duration,
        /// The last thing seen: an error, or the end of a log.
        detail: String,
    },
    /// A program ended with an error.
    #[error("{command} failed ({status})\n{output}")]
    Failed {
        /// The command line.
        command: String,
        /// Its exit status in words.
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// A program printed something that could not be understood.
    #[error("{what}: {output}")]
    Unreadable {
        /// What was looked for.
        what: String,
        /// The text.
        output: String,
    },
    /// The test asked for something the server cannot be configured to do.
    #[error("bad configuration: {0}")]
    Config(String),
}

impl PeerError {
    /// Wraps an I/O error with what was attempted.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// The last `max` bytes of `text`, cut at a character, so that an error message stays readable.
pub(crate) fn tail(text: &str, max: usize) -> &str {
    let mut start = text.len().saturating_sub(max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}
