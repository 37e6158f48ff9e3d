//! The face by which the commands of a target are carried out elsewhere.
//!
//! A target that [forwards](crate::TargetConfig::forward) has no logical units of its own: whatever
//! its initiators ask of any LUN, REPORT LUNS too, goes through a [`Forward`] to a far target, and
//! status, sense data, data and residual come back untouched. A SCSI target keeps reservations and
//! unit attentions for each I_T nexus, so each near session has a far nexus of its own, which lives
//! exactly as long:
//! 1. [`Forward::open`] is awaited before the last Login Response leaves; a far target that cannot be
//!    reached is a login refused with `0301` (service unavailable);
//! 2. [`FarNexus::execute`] and [`FarNexus::manage`] are called in the order of CmdSN;
//! 3. [`FarNexus::lost`] or a [`FarLost`] ends the near session without an answer to what it had in
//!    hand: the initiator meets the loss of its own nexus (SAM-5 §6.3.4), logs in again and hears the
//!    unit attentions that the far target has for the new nexus;
//! 4. [`FarNexus::close`] is awaited before the near session's end is told: before its Logout Response,
//!    and before a session that reinstates it.
//!
//! Nothing is carried out on a thread, so commands that hang at the far target hold none up.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hawser_proto::pdu::{TaskAttribute, TmfFunction};
use hawser_scsi::Lun;
use thiserror::Error;

use crate::disk::Nexus;

/// What the far side will say.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Where the commands of a target are carried out.
pub trait Forward: fmt::Debug + Send + Sync {
    /// A session begins: makes a far nexus for it, and for no other. If one of the same `nexus` is
    /// still there, it is reinstated.
    fn open(&self, nexus: Nexus) -> Pending<Result<Arc<dyn FarNexus>, FarLost>>;
}

/// The far half of one session.
pub trait FarNexus: fmt::Debug + Send + Sync {
    /// Sends a command on its way at once, behind all that came before; what is given is its end.
    fn execute(&self, command: FarCommand) -> Pending<Result<FarEnd, FarLost>>;

    /// Asks for a task management function; gives the response code (RFC 7143 §11.6.1). Commands that
    /// it ends end as [`FarEnd::Aborted`].
    fn manage(&self, function: FarFunction) -> Pending<Result<u8, FarLost>>;

    /// Waits until the nexus is lost.
    fn lost(&self) -> Pending<()>;

    /// Ends the nexus, and with it all that is under way; done when the far target has let go of it,
    /// or is given up. Asked for again, it waits for the same.
    fn close(&self) -> Pending<()>;
}

/// The far nexus is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the far target is not connected")]
pub struct FarLost;

/// A command for the far target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarCommand {
    /// What [`FarFunction::AbortTask`] names it by.
    pub tag: u64,
    /// The logical unit, as the initiator wrote it.
    pub lun: Lun,
    /// The command, as it came.
    pub cdb: [u8; 16],
    /// The task attribute.
    pub attribute: TaskAttribute,
    /// Its data.
    pub data: FarData,
}

/// Which way a command moves data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FarData {
    /// No data is expected.
    None,
    /// So many bytes are expected at most.
    In(u32),
    /// These bytes, as many as the initiator announced.
    Out(Vec<u8>),
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FarEnd {
    /// It was answered.
    Answered(FarAnswer),
    /// A task management function ended it: it has no answer.
    Aborted,
}

/// The answer of the far target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FarAnswer {
    /// The SCSI status byte.
    pub status: u8,
    /// The sense data as they came.
    pub sense: Vec<u8>,
    /// What was read.
    pub data: Vec<u8>,
    /// What was moved less or more than expected.
    pub residual: FarResidual,
}

/// The residual count of an answer (RFC 7143 §11.4.5), in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FarResidual {
    /// All was moved.
    #[default]
    None,
    /// So much was not moved.
    Underflow(u32),
    /// So much more would have been moved.
    Overflow(u32),
}

/// A task management function for the far target (RFC 7143 §11.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FarFunction {
    /// ABORT TASK of the command with this tag.
    AbortTask(u64),
    /// A function on many tasks: ABORT TASK SET, CLEAR ACA, CLEAR TASK SET, or a reset. The LUN does
    /// not count for the resets of the target.
    Many(TmfFunction, Lun),
}
