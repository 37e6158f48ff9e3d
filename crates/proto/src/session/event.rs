//! What a session tells its driver: how tasks ended, what the target announced, what to do next.

use std::fmt;
use std::time::Duration;

use crate::pdu::LoginStatus;
use crate::serial::Serial;

/// The end of one task. Each submitted task ends exactly once; its slot (and the buffer in it) is
/// free from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The caller's token of the submission.
    pub token: u64,
    /// The slot the task held.
    pub slot: u16,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The target carried the command out and answered with a SCSI status (RFC 7143 §11.4.3,
    /// response 0). The status can still be an error.
    Completed(Answer),
    /// The target answered a task management request (RFC 7143 §11.6.1).
    Managed {
        /// The response code: 0 is success.
        response: u8,
    },
    /// The target answered a ping, a text request or a logout.
    Answered,
    /// SCSI Response with a response code other than 0: the command was not delivered
    /// (RFC 7143 §11.4.3).
    TargetFailure {
        /// The response code.
        response: u8,
    },
    /// The target rejected the request PDU (RFC 7143 §11.17).
    Rejected {
        /// The reason code.
        reason: u8,
    },
    /// It did not end in its time; the target has confirmed that it is aborted, or the nexus it
    /// belonged to is gone.
    TimedOut,
    /// A task management function ended it on the target (abort, LU reset).
    Aborted,
    /// The session lost its connection while the command was under way and it must not be sent
    /// again (RFC 7143 §7.1.4.4): it may or may not have been carried out.
    Interrupted,
    /// The session has been without a connection for longer than its hold time; the command was not
    /// carried out since.
    Disconnected,
    /// The driver took it back ([`Session::withdraw`](super::Session::withdraw)): the target is not
    /// working on it.
    Withdrawn,
    /// The session is closed.
    Closed,
}

/// A SCSI answer (RFC 7143 §11.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The SCSI status byte: 0 is GOOD.
    pub status: u8,
    /// Bytes of the buffer that were transferred, by the residual count: for a read the first
    /// `transferred` bytes are valid.
    pub transferred: u32,
    /// By how much the target's data differs from the expected length.
    pub residual: Residual,
    /// Sense data, without its length field; empty when there is none.
    pub sense: Box<[u8]>,
}

/// The residual of a command (RFC 7143 §11.4.5), in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Residual {
    /// The expected length was transferred.
    #[default]
    None,
    /// So many bytes fewer than expected.
    Underflow(u32),
    /// The target had so many bytes more than expected.
    Overflow(u32),
}

/// Something that happened to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A task ended.
    Done(Done),
    /// The session is up (again). The gate is closed: only urgent commands leave until
    /// [`Session::open_gate`](super::Session::open_gate).
    Up {
        /// `true` when an earlier connection of the same session was lost.
        again: bool,
    },
    /// The session lost its connections, for the reason given; it will be made again.
    Lost(ConnectionError),
    /// A connection joined the session, or took the place of a lost one: a login that was not the
    /// leading one.
    ConnectionUp {
        /// Its CID.
        cid: u16,
    },
    /// One connection is gone and the session lives on: its commands go on elsewhere
    /// (RFC 7143 §7.14).
    ConnectionLost {
        /// Its CID.
        cid: u16,
        /// Why.
        error: ConnectionError,
    },
    /// The target takes no further connection into the session (RFC 7143 §11.13.5, statuses 0206,
    /// 0208, 0209, 020a): no other is tried until the session is made again.
    ConnectionRefused {
        /// The CID that was tried.
        cid: u16,
        /// What the target said.
        status: LoginStatus,
    },
    /// An asynchronous SCSI event with its sense data (RFC 7143 §11.9.1, event 0).
    AsyncSense {
        /// The logical unit, as sent.
        lun: [u8; 8],
        /// Sense data, without its length field.
        sense: Box<[u8]>,
    },
    /// The target asks to be logged out of (event 1), announces a drop (2, 3), asks for negotiation
    /// (4), or says something of its own (248–255). The session acts on it by itself.
    AsyncNotice {
        /// The event code.
        event: u8,
        /// Parameters 1–3.
        parameters: [u16; 3],
    },
    /// A task timed out and the session is ending it by the means named.
    Escalated(Escalation),
    /// The session was logged out of, or given up; nothing more comes.
    Closed,
}

/// What a session does about a task that does not end (RFC 7143 §7.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escalation {
    /// ABORT TASK was sent.
    AbortTask,
    /// ABORT TASK failed or was not answered: LOGICAL UNIT RESET was sent.
    LogicalUnitReset,
    /// The reset failed or was not answered either: the connection is dropped, and the next login
    /// reinstates the session, which ends all its tasks.
    DropConnection,
}

/// Which login a connection begins with (RFC 7143 §6.3.1, §6.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginRole {
    /// The first of a session: TSIH 0. It makes a new session, or reinstates the one of the same ISID.
    Leading,
    /// Another connection of the session that is up, under a CID of its own.
    Additional(Joining),
    /// A connection under the CID of the last one, which was lost: the login is also the implicit
    /// logout of that (RFC 7143 §6.3.4).
    Reinstating(Joining),
}

/// What a login that joins a session says of it (RFC 7143 §11.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joining {
    /// The session's TSIH.
    pub tsih: u16,
    /// The session's present CmdSN (RFC 7143 §11.12.8).
    pub cmd_sn: Serial,
    /// ExpStatSN of the connection that it takes the place of (RFC 7143 §11.12.9); else 0.
    pub exp_stat_sn: u32,
}

/// What the driver must do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Close the socket of this connection, or give up the login under way for it.
    Disconnect {
        /// The connection's CID.
        cid: u16,
        /// The target has answered our logout and closes next: read until it has, but not for long,
        /// then close (RFC 7143 §11.14).
        after_logout: bool,
    },
    /// Connect and log in, then call `handle_logged_in` or, when that failed, `handle_login_failed`
    /// (a leading login) or `handle_join_failed` (any other).
    Connect {
        /// The CID to log in with.
        cid: u16,
        /// Which login it is.
        login: LoginRole,
        /// How many attempts in a row have failed before this one.
        failures: u32,
    },
}

/// Why a connection cannot go on. All of these end in session recovery at error recovery level 0;
/// above it, those that are only the connection's end in connection recovery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The stream broke the framing rules or a digest was wrong.
    #[error("{0}")]
    Stream(#[from] crate::stream::Offence),
    /// A header that contradicts itself.
    #[error("malformed PDU: {0}")]
    Malformed(#[from] crate::pdu::Malformed),
    /// The data digest of a PDU was wrong: its data is lost, which at error recovery level 0 ends
    /// the session (RFC 7143 §7.8).
    #[error("wrong data digest")]
    DataDigest,
    /// The target broke a rule of the full feature phase.
    #[error("the target broke the protocol: {0}")]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// The socket ended or failed; the text is the operating system's.
    #[error("the connection ended: {0}")]
    Transport(String),
    /// Nothing was heard for so long, a ping included (RFC 7143 §10.3).
    #[error("nothing heard from the target for {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// A logout or a text request of ours found no answer for so long.
    #[error("no answer to a logout or a text request for {} s", .0.as_secs_f32())]
    Unanswered(Duration),
    /// The target announced the drop, or asked for the logout.
    #[error("the target ended the connection (asynchronous event {0})")]
    Announced(u8),
    /// A task could not be ended by other means.
    #[error("the target does not end a timed-out command, neither by abort nor by reset")]
    Stuck,
    /// The target takes neither commands nor what fills in the number of one that it rejected, so
    /// that no command ever leaves again (RFC 7143 §4.2.2.1, §11.17.1).
    #[error("the target's command window stays closed")]
    WindowJammed,
    /// The driver gives it up, so that the next login writes again what a unit that was reset may have
    /// forgotten.
    #[error("a disk was reset: what it had not flushed is written again in a new session")]
    UnitReset,
    /// The caller wanted it.
    #[error("dropped by request")]
    Requested,
    /// The connection was logged out of, by our own wish or the target's.
    #[error("logged out of the connection")]
    LoggedOut,
    /// A lost connection could not be cleaned up on the target (RFC 7143 §7.14): neither by logout
    /// nor by reinstatement.
    #[error("the target does not clean up a lost connection")]
    CleanupFailed,
    /// What a SNACK asked for did not come, however often (RFC 7143 §7.8, §7.9).
    #[error("the target does not send again what was lost")]
    NotSentAgain,
}

impl ConnectionError {
    /// It is the fault of the connection alone, so the session and its other connections may go on.
    /// Format errors concern the whole session (RFC 7143 §7.7), and so does what only a new session
    /// cures.
    pub(super) fn spares_session(&self) -> bool {
        match self {
            Self::Stream(offence) => matches!(offence, crate::stream::Offence::HeaderDigest { .. }),
            Self::DataDigest
            | Self::Transport(_)
            | Self::Silent(_)
            | Self::Unanswered(_)
            | Self::Requested
            | Self::LoggedOut
            | Self::NotSentAgain => true,
            Self::Announced(event) => *event != SESSION_DROP,
            Self::Malformed(_)
            | Self::PeerMisbehaved(_)
            | Self::Stuck
            | Self::WindowJammed
            | Self::UnitReset
            | Self::CleanupFailed => false,
        }
    }
}

/// Asynchronous event 3: the target drops all connections of the session (RFC 7143 §11.9.1).
const SESSION_DROP: u8 = 3;

/// The offences of a target in the full feature phase, each named (RFC 7143 §7.7: a format error
/// drops all connections of the session).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A PDU that only belongs in the login phase (RFC 7143 §4.2.4).
    #[error("login response in the full feature phase")]
    LoginResponseAfterLogin,
    /// An initiator task tag that names no task (RFC 7143 §4.2.5.3).
    #[error("initiator task tag {0:#010x} names no task")]
    UnknownTask(u32),
    /// The task exists, but the PDU does not fit its kind, or comes on the wrong connection.
    #[error("a PDU of the wrong kind for task {0:#010x}")]
    WrongTask(u32),
    /// An R2T for another logical unit than its command's (RFC 7143 §4.2.5.3).
    #[error("R2T for LUN {got:02x?} of a command for LUN {expected:02x?}")]
    WrongLun {
        /// The LUN of the R2T.
        got: [u8; 8],
        /// The LUN of the command.
        expected: [u8; 8],
    },
    /// StatSN out of order: a status was lost (RFC 7143 §7.9).
    #[error("StatSN {got} where {expected} was due")]
    StatSnGap {
        /// What came.
        got: u32,
        /// What was due.
        expected: u32,
    },
    /// DataSN out of order: data was lost (RFC 7143 §7.9).
    #[error("DataSN {got} where {expected} was due")]
    DataSnGap {
        /// What came.
        got: u32,
        /// What was due.
        expected: u32,
    },
    /// R2TSN out of order (RFC 7143 §11.8.2).
    #[error("R2TSN {got} where {expected} was due")]
    R2tSnGap {
        /// What came.
        got: u32,
        /// What was due.
        expected: u32,
    },
    /// Data-In outside the command's buffer (RFC 7143 §11.7).
    #[error("Data-In of {length} bytes at {offset} is outside the expected {expected} bytes")]
    DataOutOfBounds {
        /// Buffer offset.
        offset: u32,
        /// Data segment length.
        length: u32,
        /// Expected data transfer length.
        expected: u32,
    },
    /// Data-In that leaves a hole or overlaps although `DataPDUInOrder=Yes` (RFC 7143 §13.18).
    #[error("Data-In at {got} where offset {expected} was due")]
    DataOutOfOrder {
        /// Buffer offset that came.
        got: u32,
        /// Offset that was due.
        expected: u32,
    },
    /// A command ended well although bytes were left out before the last that came, where data may come in any
    /// order (RFC 7143 §13.18, §13.19).
    #[error("a read ended well with a hole in its data")]
    DataHole,
    /// The response counts other Data-In PDUs than came (RFC 7143 §11.4.8).
    #[error("the response counts {counted} data PDUs, {received} came")]
    DataCountWrong {
        /// ExpDataSN of the response.
        counted: u32,
        /// Data-In PDUs received.
        received: u32,
    },
    /// An R2T with no length, above MaxBurstLength, or outside the command (RFC 7143 §11.8.4).
    #[error("R2T for {length} bytes at {offset} does not fit the command")]
    R2tOutOfBounds {
        /// Buffer offset.
        offset: u32,
        /// Desired data transfer length.
        length: u32,
    },
    /// More R2Ts at once than MaxOutstandingR2T (RFC 7143 §13.17).
    #[error("more R2Ts outstanding than agreed")]
    TooManyR2ts,
    /// CHECK CONDITION without sense data (RFC 7143 §7.7, §11.4.7).
    #[error("CHECK CONDITION without sense data")]
    NoSense,
    /// CHECK CONDITION in a Data-In, which cannot hold sense data (RFC 7143 §11.7.3).
    #[error("CHECK CONDITION in a Data-In PDU")]
    CheckConditionInData,
    /// A data segment longer than its PDU can need.
    #[error("{0} bytes in a PDU that holds far less")]
    ExcessData(u32),
    /// Text that is no sequence of pairs or is too long, or a key in it whose value cannot be or
    /// that comes twice (RFC 7143 §6.1, §6.4).
    #[error("malformed text in the full feature phase")]
    MalformedText,
    /// A text sequence that the target does not bring to an end (RFC 7143 §6.4).
    #[error("a text sequence without an end")]
    EndlessText,
    /// A Reject that does not hold the header of the rejected PDU (RFC 7143 §11.17).
    #[error("Reject without the rejected header")]
    RejectWithoutHeader,
}

impl fmt::Display for Residual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Underflow(n) => write!(f, "underflow of {n} bytes"),
            Self::Overflow(n) => write!(f, "overflow of {n} bytes"),
        }
    }
}
