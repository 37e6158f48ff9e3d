//! Task Management Function Request and Response (RFC 7143 §11.5, §11.6; RFC 7144 §6).

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::blank;
use super::{Lun, Malformed, NIL, NO_LUN};

codes! {
    /// The task management functions of RFC 7143 §11.5.1 and RFC 7144 §6.1 (9 to 12, which need
    /// iSCSIProtocolLevel 2).
    TmfFunction else UnassignedTmfFunction {
        /// Aborts one task.
        AbortTask = 1 "ABORT TASK",
        /// Aborts all tasks of this session on the logical unit.
        AbortTaskSet = 2 "ABORT TASK SET",
        /// Clears the auto contingent allegiance.
        ClearAca = 3 "CLEAR ACA",
        /// Aborts all tasks in the task set.
        ClearTaskSet = 4 "CLEAR TASK SET",
        /// Resets the logical unit.
        LogicalUnitReset = 5 "LOGICAL UNIT RESET",
        /// Resets all logical units of the target.
        TargetWarmReset = 6 "TARGET WARM RESET",
        /// Resets the target and drops all its connections.
        TargetColdReset = 7 "TARGET COLD RESET",
        /// Moves a task to this connection.
        TaskReassign = 8 "TASK REASSIGN",
        /// Asks whether a task is there.
        QueryTask = 9 "QUERY TASK",
        /// Asks whether any task of this session is there.
        QueryTaskSet = 10 "QUERY TASK SET",
        /// Drops all connections of the session.
        ItNexusReset = 11 "I_T NEXUS RESET",
        /// Asks whether a unit attention or the like is pending.
        QueryAsynchronousEvent = 12 "QUERY ASYNCHRONOUS EVENT",
    }
}

codes! {
    /// How a task management function went (RFC 7143 §11.6.1, RFC 7144 §6.2).
    TmfResponse else UnassignedTmfResponse {
        /// Done.
        Complete = 0 "function complete",
        /// There is no such task.
        TaskDoesNotExist = 1 "task does not exist",
        /// There is no such logical unit.
        LunDoesNotExist = 2 "LUN does not exist",
        /// The task's connection is still there.
        TaskStillAllegiant = 3 "task still allegiant",
        /// The target does not reassign tasks.
        ReassignmentNotSupported = 4 "task allegiance reassignment not supported",
        /// The target does not have the function.
        NotSupported = 5 "task management function not supported",
        /// The initiator may not.
        AuthorizationFailed = 6 "function authorization failed",
        /// What was asked for is so (only to functions 9 to 12).
        Succeeded = 7 "function succeeded",
        /// Refused.
        Rejected = 255 "function rejected",
    }
}

/// Task Management Function Request (RFC 7143 §11.5).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct TaskManagementRequest {
    opcode: u8,
    flags: u8,
    reserved_2: [u8; 2],
    lengths: [u8; 4],
    /// The LUN, for functions on one logical unit; else reserved.
    pub lun: Lun,
    /// Initiator Task Tag of this request.
    pub itt: U32,
    /// Referenced Task Tag: the ITT of the task meant by functions 1, 8 and 9; else [`NIL`].
    pub referenced_task_tag: U32,
    /// CmdSN.
    pub cmd_sn: U32,
    /// ExpStatSN.
    pub exp_stat_sn: U32,
    /// RefCmdSN: the CmdSN of the task to abort or query; else reserved.
    pub ref_cmd_sn: U32,
    /// ExpDataSN, for TASK REASSIGN only.
    pub exp_data_sn: U32,
    reserved_40: [u8; 8],
}

request!(TaskManagementRequest);

impl TaskManagementRequest {
    /// A request under task `itt` that refers to no task, not immediate.
    #[must_use]
    pub fn new(itt: u32, function: TmfFunction, lun: Lun) -> Self {
        let mut pdu: Self = blank(0x80 | function.code());
        pdu.itt = itt.into();
        pdu.lun = lun;
        pdu.referenced_task_tag = NIL.into();
        pdu
    }

    /// The function. [`FromInitiator::parse`](super::FromInitiator::parse) lets an unassigned one
    /// pass: a target answers it with [`TmfResponse::NotSupported`].
    ///
    /// # Errors
    /// [`Malformed::UnassignedTmfFunction`].
    pub fn function(&self) -> Result<TmfFunction, Malformed> {
        TmfFunction::try_from(self.flags & 0x7f)
    }
}

impl Default for TaskManagementRequest {
    fn default() -> Self {
        Self::new(NIL, TmfFunction::AbortTask, NO_LUN)
    }
}

/// Task Management Function Response (RFC 7143 §11.6).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct TaskManagementResponse {
    opcode: u8,
    flags: u8,
    /// The response code as it travels; [`Self::response`] reads it.
    pub response_code: u8,
    reserved_3: u8,
    lengths: [u8; 4],
    /// Additional Response Information (RFC 7144 §6.2), at iSCSIProtocolLevel 2 only.
    pub additional_response_information: [u8; 3],
    reserved_11: [u8; 5],
    /// Initiator Task Tag of the request.
    pub itt: U32,
    reserved_20: [u8; 4],
    /// StatSN.
    pub stat_sn: U32,
    /// ExpCmdSN.
    pub exp_cmd_sn: U32,
    /// MaxCmdSN.
    pub max_cmd_sn: U32,
    reserved_36: [u8; 12],
}

response!(TaskManagementResponse);

impl TaskManagementResponse {
    /// The answer to task `itt`.
    #[must_use]
    pub fn new(itt: u32, response: TmfResponse) -> Self {
        let mut pdu: Self = blank(0x80);
        pdu.itt = itt.into();
        pdu.response_code = response.code();
        pdu
    }

    /// The response code.
    ///
    /// # Errors
    /// [`Malformed::UnassignedTmfResponse`].
    pub fn response(&self) -> Result<TmfResponse, Malformed> {
        TmfResponse::try_from(self.response_code)
    }
}

impl Default for TaskManagementResponse {
    fn default() -> Self {
        Self::new(NIL, TmfResponse::Complete)
    }
}
