//! The exit codes that scripts may rely on. They are listed in `hawser --help` and in `docs/cli.md`.

use std::process::ExitCode;

use hawser_api::Status;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// It failed; stderr says why.
    Failed,
    /// The command line cannot be carried out (clap ends with this code too).
    Usage,
    /// No daemon answers.
    NoDaemon,
    /// This user may not.
    NotPermitted,
    /// What was named is not there.
    NotFound,
    /// The time limit came first; of `wait`: not every bound volume is usable.
    TimedOut,
    /// The target could not be reached.
    Unreachable,
    /// The target and we could not prove who we are, or it does not let us in.
    Refused,
    /// Something is in use, or already so in a way that excludes it.
    InUse,
    /// Stopped by SIGINT or SIGTERM.
    Interrupted,
}

/// Each exit with its number and meaning, for the help text.
pub(crate) const ALL: [(Exit, &str); 11] = [
    (Exit::Done, "done"),
    (
        Exit::Failed,
        "failed; stderr says what, where and what to do",
    ),
    (Exit::Usage, "the command line is wrong"),
    (Exit::NoDaemon, "the daemon is not running"),
    (Exit::NotPermitted, "this user may not do that"),
    (
        Exit::NotFound,
        "no such portal, target, session, connection, path or device",
    ),
    (
        Exit::TimedOut,
        "the time limit was reached; of `wait`: something is missing",
    ),
    (
        Exit::Unreachable,
        "the target or portal could not be reached",
    ),
    (
        Exit::Refused,
        "authentication failed, or the target does not let us in",
    ),
    (Exit::InUse, "in use, or already logged in or bound"),
    (Exit::Interrupted, "stopped by a signal"),
];

impl Exit {
    /// Its number.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoDaemon => 3,
            Self::NotPermitted => 4,
            Self::NotFound => 5,
            Self::TimedOut => 6,
            Self::Unreachable => 7,
            Self::Refused => 8,
            Self::InUse => 9,
            // What a shell reports for a program that SIGINT ended.
            Self::Interrupted => 130,
        }
    }

    /// The exit for a status that a call failed with.
    pub(crate) fn for_status(status: Status) -> Self {
        match status {
            Status::SERVICE_NOT_RUNNING | Status::RPC_S_SERVER_UNAVAILABLE => Self::NoDaemon,
            Status::ERROR_ACCESS_DENIED => Self::NotPermitted,
            Status::ERROR_TIMEOUT | Status::PERSISTENT_LOGIN_TIMEOUT => Self::TimedOut,
            Status::ERROR_FILE_NOT_FOUND
            | Status::ERROR_NOT_FOUND
            | Status::TARGET_NOT_FOUND
            // What the portal says: it knows no such target, or no longer.
            | Status::NOT_FOUND
            | Status::TARGET_REMOVED
            | Status::PORTAL_NOT_FOUND
            | Status::INVALID_SESSION_ID
            | Status::INVALID_CONNECTION_ID
            | Status::DEVICE_NOT_FOUND => Self::NotFound,
            Status::CONNECTION_FAILED | Status::DNS_NAME_UNRESOLVED => Self::Unreachable,
            Status::AUTHENTICATION_FAILURE | Status::AUTHORIZATION_FAILURE => Self::Refused,
            Status::DEVICE_BUSY_ON_SESSION
            | Status::TARGET_ALREADY_LOGGED_IN
            | Status::ERROR_ALREADY_EXISTS
            | Status::DEVICE_ALREADY_PERSISTENTLY_BOUND => Self::InUse,
            Status::ERROR_INVALID_PARAMETER | Status::INVALID_PARAMETER => Self::Usage,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// The list for the end of the help text.
pub(crate) fn help() -> String {
    let lines = ALL
        .iter()
        .map(|(exit, meaning)| format!("  {:>3}  {meaning}", exit.number()));
    format!("Exit codes:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_the_documented_exit() {
        let cases = [
            (Status::SERVICE_NOT_RUNNING, 3),
            (Status::ERROR_ACCESS_DENIED, 4),
            (Status::TARGET_NOT_FOUND, 5),
            (Status::from_login_status(2, 3), 5),
            (Status::from_login_status(2, 4), 5),
            (Status::INVALID_SESSION_ID, 5),
            (Status::INVALID_CONNECTION_ID, 5),
            (Status::DEVICE_NOT_FOUND, 5),
            (Status::PERSISTENT_LOGIN_TIMEOUT, 6),
            (Status::CONNECTION_FAILED, 7),
            (Status::AUTHENTICATION_FAILURE, 8),
            (Status::DEVICE_BUSY_ON_SESSION, 9),
            (Status::VOLUME_ALREADY_PERSISTENTLY_BOUND, 9),
            (Status::DEVICE_NOT_ISCSI_OR_PERSISTENT, 1),
        ];
        for (status, number) in cases {
            assert_eq!(Exit::for_status(status).number(), number, "{status}");
        }
    }

    #[test]
    fn numbers_are_unique_and_all_are_in_the_help() {
        let numbers: Vec<u8> = ALL.iter().map(|(exit, _)| exit.number()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130]);
        assert!(help().contains("    6  the time limit"));
    }
}
