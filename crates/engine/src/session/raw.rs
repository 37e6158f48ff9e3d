//! Raw SCSI commands and task management, for those who wait for one answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hawser_proto::pdu::TaskAttribute;
use hawser_proto::session::{Answer, Command, Direction, Extended, Outcome};
use hawser_scsi::{Cdb, Lun as LunNumber, ReportedLuns, Sense, Status};
use tokio::sync::oneshot;

use super::{ManagementRequest, Message, ScsiAnswer, ScsiRequest, Shared, Transfer};
use crate::error::{ScsiError, SessionError};

/// What a command of a check goes out for while the gate is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Urgent {
    /// The login it belongs to: it goes out in no other.
    pub(super) login: u64,
    /// The login itself is the reason for the check, so a unit attention in it is nothing new.
    pub(super) after_login: bool,
}

/// A raw command on its way, with who waits for it.
#[derive(Debug)]
pub(crate) struct RawIo {
    pub(super) request: ScsiRequest,
    /// Its CDB from the seventeenth byte on.
    pub(super) cdb_rest: Box<[u8]>,
    pub(super) attribute: TaskAttribute,
    /// What [`Session::abort`](super::Session::abort) names it by.
    pub(super) tag: Option<u64>,
    /// It is a check's.
    pub(super) urgent: Option<Urgent>,
    pub(super) reply: oneshot::Sender<(Outcome, Vec<u8>)>,
}

impl RawIo {
    /// The command for the core, and its buffer.
    pub(super) fn prepare(&mut self, timeout: Duration) -> (Command, Vec<u8>) {
        let (direction, data) = match &mut self.request.transfer {
            Transfer::None => (Direction::None, Vec::new()),
            Transfer::Read(length) => (Direction::Read(*length), vec![0; *length as usize]),
            Transfer::Write(data) | Transfer::Both { write: data, .. } => (
                Direction::Write(u32::try_from(data.len()).unwrap_or(u32::MAX)),
                std::mem::take(data),
            ),
        };
        let command = Command {
            cdb: sixteen(&self.request.cdb),
            lun: self.request.lun.0,
            direction,
            attribute: self.attribute,
            replay: false,
            urgent: self.urgent.is_some(),
            timeout,
        };
        (command, data)
    }

    /// What its command needs beyond others, if anything.
    pub(super) fn extended(&self) -> Option<Extended> {
        let read = self.read_beside();
        if self.cdb_rest.is_empty() && read.is_none() {
            return None;
        }
        Extended::new(&self.cdb_rest, read)
    }

    /// How much it reads beside what it writes.
    pub(super) fn read_beside(&self) -> Option<u32> {
        match self.request.transfer {
            Transfer::Both { read, .. } => Some(read),
            Transfer::None | Transfer::Read(_) | Transfer::Write(_) => None,
        }
    }

    /// Gives it back what its command had of it.
    pub(super) fn restore(&mut self, lent: Vec<u8>) {
        if let Transfer::Write(data) | Transfer::Both { write: data, .. } =
            &mut self.request.transfer
        {
            *data = lent;
        }
    }

    /// Hands the end to who waits; nobody may wait any more.
    pub(super) fn answer(self, outcome: Outcome, data: Vec<u8>) {
        drop(self.reply.send((outcome, data)));
    }
}

/// A CDB in the sixteen bytes of the PDU.
pub(crate) fn sixteen(cdb: &Cdb) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(cdb.as_bytes()) {
        *to = *from;
    }
    bytes
}

/// Carries out one command.
pub(super) async fn carry_out(
    shared: &Shared,
    request: ScsiRequest,
    urgent: Option<Urgent>,
) -> Result<ScsiAnswer, SessionError> {
    carry_out_long(shared, request, Box::default(), urgent).await
}

/// The same with a CDB that `cdb_rest` goes on with.
pub(super) async fn carry_out_long(
    shared: &Shared,
    request: ScsiRequest,
    cdb_rest: Box<[u8]>,
    urgent: Option<Urgent>,
) -> Result<ScsiAnswer, SessionError> {
    let (reply, answer) = oneshot::channel();
    shared.inbox.send(Message::Raw(RawIo {
        request,
        cdb_rest,
        attribute: TaskAttribute::Simple,
        tag: None,
        urgent,
        reply,
    }));
    await_answer(shared, answer).await
}

async fn await_answer(
    shared: &Shared,
    answer: oneshot::Receiver<(Outcome, Vec<u8>)>,
) -> Result<ScsiAnswer, SessionError> {
    let closed = || SessionError::Closed(shared.target.clone());
    let (outcome, data) = answer.await.map_err(|_| closed())?;
    Ok(read_answer(judge(shared, outcome)?, data))
}

/// A raw command that the session has: [`answer`](Self::answer) waits for its end. Dropping it does
/// not stop the command.
#[derive(Debug)]
pub struct RawCommand {
    shared: Arc<Shared>,
    answer: oneshot::Receiver<(Outcome, Vec<u8>)>,
}

impl RawCommand {
    /// The answer, whatever its status.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn answer(self) -> Result<ScsiAnswer, SessionError> {
        await_answer(&self.shared, self.answer).await
    }
}

/// Gives the session a command; what is given later goes out later.
pub(super) fn start(
    shared: &Arc<Shared>,
    request: ScsiRequest,
    attribute: TaskAttribute,
    tag: u64,
) -> RawCommand {
    let (reply, answer) = oneshot::channel();
    shared.inbox.send(Message::Raw(RawIo {
        request,
        cdb_rest: Box::default(),
        attribute,
        tag: Some(tag),
        urgent: None,
        reply,
    }));
    RawCommand {
        shared: Arc::clone(shared),
        answer,
    }
}

/// Asks for the end of one raw command.
pub(super) fn abort(shared: &Shared, tag: u64) -> impl Future<Output = Managed> + use<> {
    let (reply, answer) = oneshot::channel();
    shared.inbox.send(Message::Abort(tag, reply));
    await_code(shared, answer)
}

fn read_answer(answer: Answer, mut data: Vec<u8>) -> ScsiAnswer {
    data.truncate(answer.transferred as usize);
    ScsiAnswer {
        status: Status::from_byte(answer.status),
        sense: Sense::decode(&answer.sense),
        raw_sense: answer.sense.into_vec(),
        data,
        residual: answer.residual,
    }
}

/// The SCSI answer in an outcome, or why there is none.
fn judge(shared: &Shared, outcome: Outcome) -> Result<Answer, SessionError> {
    let target = shared.target.clone();
    let refused = |what: String| SessionError::Refused {
        target: target.clone(),
        what,
    };
    Err(match outcome {
        Outcome::Completed(answer) => return Ok(answer),
        Outcome::TargetFailure { response } => refused(format!(
            "the target failed (iSCSI response {response:#04x})"
        )),
        Outcome::Rejected { reason } => refused(format!("Reject, reason {reason:#04x}")),
        Outcome::Managed { response } => refused(format!("response code {response}")),
        Outcome::TimedOut => SessionError::TimedOut(target),
        Outcome::Aborted => SessionError::Aborted(target),
        Outcome::Interrupted => SessionError::Interrupted(target),
        Outcome::Disconnected => SessionError::Disconnected(target),
        Outcome::Withdrawn => refused("another disk answers at its LUN now".to_owned()),
        Outcome::Answered | Outcome::Closed => SessionError::Closed(target),
    })
}

/// How often a unit that has something to say first, or is busy, is asked again.
pub(super) const MAX_ATTEMPTS: u32 = 25;

/// Pause before a busy unit is asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// Carries out a command of our own that reads: repeats it while the unit only has something to say
/// first or is busy, and demands GOOD. To a check a unit attention is an error: what the unit said
/// before it may not hold any more.
pub(crate) async fn read(
    shared: &Shared,
    lun: LunNumber,
    cdb: Cdb,
    length: u32,
    urgent: Option<Urgent>,
) -> Result<Vec<u8>, SessionError> {
    let mut attempts = 0;
    loop {
        let transfer = if length == 0 {
            Transfer::None
        } else {
            Transfer::Read(length)
        };
        let answer = carry_out(shared, ScsiRequest { lun, cdb, transfer }, urgent).await?;
        let Some(error) = answer.error() else {
            return Ok(answer.data);
        };
        attempts += 1;
        let is_news = urgent.is_some() && error.is_attention();
        if attempts >= MAX_ATTEMPTS || !error.is_passing() || is_news {
            return Err(error.into());
        }
        if !error.is_attention() {
            tokio::time::sleep(BUSY_PAUSE).await;
        }
    }
}

impl ScsiAnswer {
    /// The error in it; `None` when the status is GOOD.
    pub(super) fn error(&self) -> Option<ScsiError> {
        (self.status != Status::Good).then(|| ScsiError {
            status: self.status.to_byte(),
            sense: self.sense,
        })
    }
}

/// REPORT LUNS at LUN 0 and, where that is refused, at the well known unit for it.
pub(super) async fn report_luns(shared: &Shared) -> Result<Vec<LunNumber>, SessionError> {
    const LENGTH: u32 = hawser_scsi::report_luns::ALLOCATION_LENGTH;
    let ask = |lun| read(shared, lun, Cdb::report_luns(0, LENGTH), LENGTH, None);
    let answer = match ask(LunNumber::ZERO).await {
        Err(SessionError::Scsi(first)) => match ask(LunNumber::REPORT_LUNS).await {
            Err(SessionError::Scsi(_)) => Err(SessionError::Scsi(first)),
            other => other,
        },
        other => other,
    }?;
    let reported = ReportedLuns::decode(&answer).map_err(|error| SessionError::BadAnswer {
        target: shared.target.clone(),
        command: "REPORT LUNS",
        what: error.to_string(),
    })?;
    if reported.missing > 0 {
        tracing::warn!(target_name = %shared.target, missing = reported.missing,
            "the target has more LUNs than are looked at");
    }
    let mut luns = reported.luns;
    // One that is listed twice is one unit all the same, and must not be opened twice.
    let mut seen = BTreeSet::new();
    luns.retain(|lun| seen.insert(*lun));
    Ok(luns)
}

/// A response code, or why there is none.
type Managed = Result<u8, SessionError>;

/// Asks for a task management function.
pub(super) fn manage(
    shared: &Shared,
    request: ManagementRequest,
) -> impl Future<Output = Managed> + use<> {
    let (reply, answer) = oneshot::channel();
    shared.inbox.send(Message::Manage(request, reply));
    await_code(shared, answer)
}

fn await_code(
    shared: &Shared,
    answer: oneshot::Receiver<Managed>,
) -> impl Future<Output = Managed> + use<> {
    let closed = SessionError::Closed(shared.target.clone());
    async move { answer.await.unwrap_or(Err(closed)) }
}

/// What a task management request came to.
pub(super) fn managed(shared: &Shared, outcome: Outcome) -> Result<u8, SessionError> {
    match outcome {
        Outcome::Managed { response } => Ok(response),
        other => judge(shared, other).map(|_| 0),
    }
}
