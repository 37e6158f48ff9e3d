//! What becomes of a block request when its command has ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hawser_block::{BlockError, Completion, CompletionSink, ErrorKind, Operation, Request};
use hawser_proto::session::{Answer, Outcome};
use hawser_scsi::{Sense, SenseKey, Status};

use super::driver::Driver;
use crate::error::ScsiError;
use crate::lun::{BlockIo, LunState, Stage};

/// Pause before a command is sent again to a unit that is busy, full, or becoming ready.
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// How often a unit may turn one request away by unit attentions, busy answers and aborts before
/// the caller hears of it: with [`BUSY_PAUSE`] a minute for a unit that is not ready.
const MAX_ATTEMPTS: u32 = 300;

/// Requests that wait to be sent again, in the order of their time.
#[derive(Debug, Default)]
pub(super) struct Retries(VecDeque<(Instant, BlockIo)>);

impl Retries {
    pub(super) fn push(&mut self, at: Instant, io: BlockIo) {
        let place = self.0.partition_point(|(due, _)| *due <= at);
        self.0.insert(place, (at, io));
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.front().map(|(at, _)| *at)
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Option<BlockIo> {
        if self.next_due().is_none_or(|at| at > now) {
            return None;
        }
        self.0.pop_front().map(|(_, io)| io)
    }

    pub(super) fn refuse_all(&mut self) {
        self.0.drain(..).for_each(|(_, io)| io.refuse());
    }
}

/// What to do about an ended command.
enum Verdict {
    Done,
    Failed(BlockError),
    /// Send it again: at once, or after a pause.
    Again {
        pause: bool,
    },
}

impl Driver {
    /// A command of a block request ended.
    pub(super) fn block_done(&mut self, mut io: BlockIo, data: Vec<u8>, outcome: Outcome) {
        io.take_back(data);
        self.release(&mut io);
        if outcome == Outcome::Withdrawn {
            return self.start_next(io);
        }
        let sense = sense_of(&outcome);
        if let Some(sense) = &sense {
            self.hear(io.lun.number, sense);
        }
        let verdict = judge(&io, outcome, sense);
        self.conclude(io, verdict);
    }

    fn conclude(&mut self, mut io: BlockIo, verdict: Verdict) {
        match verdict {
            Verdict::Done => self.done(io),
            Verdict::Failed(error) => self.complete(io, Err(error)),
            Verdict::Again { .. } if io.attempts >= MAX_ATTEMPTS => {
                let text = io.lun.describe("the unit stays busy or not ready");
                self.complete(io, Err(BlockError::new(ErrorKind::TimedOut, text)));
            }
            Verdict::Again { pause } => {
                io.attempts += 1;
                if pause {
                    self.retries.push(self.now + BUSY_PAUSE, io);
                } else {
                    self.start_next(io);
                }
            }
        }
    }

    /// Its command did what it was for.
    fn done(&mut self, mut io: BlockIo) {
        let operation = io.request.operation;
        if io.stage != Stage::Main || operation == Operation::Flush {
            return self.flushed(io);
        }
        if io.lun.geometry().volatile_cache {
            self.keep(&io);
            if must_flush(&io) {
                io.stage = Stage::Durability;
                return self.start_next(io);
            }
        }
        io.request.complete(Ok(()));
    }

    /// Keeps what is in a volatile cache now, and flushes when that is much.
    fn keep(&mut self, io: &BlockIo) {
        let mut unflushed = io.lun.unflushed();
        if !io.forced || unflushed.has_kept() {
            let request = &io.request;
            unflushed.keep(request.operation, request.offset, &request.buffer);
        }
        let begin = unflushed.begin_own_flush();
        drop(unflushed);
        if begin {
            self.start_next(BlockIo::own_flush(&io.lun));
        }
    }

    /// A flush succeeded; it says nothing if the unit may have forgotten what it should have flushed.
    fn flushed(&mut self, io: BlockIo) {
        let mut unflushed = io.lun.unflushed();
        if unflushed.is_forgotten() {
            drop(unflushed);
            return self.start_next(io);
        }
        let whole = unflushed.flushed(io.mark, io.stage == Stage::Upkeep);
        drop(unflushed);
        self.waiting.look_at_parked();
        let text = "the target lost acknowledged writes before they were flushed";
        let lost = || BlockError::new(ErrorKind::Io, io.lun.describe(text));
        let result = if whole { Ok(()) } else { Err(lost()) };
        self.complete(io, result);
    }

    /// Ends a request; a flush of our own also for those that wait for it.
    pub(super) fn complete(&mut self, io: BlockIo, result: Result<(), BlockError>) {
        let (lun, stage) = (Arc::clone(&io.lun), io.stage);
        let error = result.as_ref().err().cloned();
        io.request.complete(result);
        if stage != Stage::Upkeep {
            return;
        }
        lun.unflushed().end_own_flush();
        let Some(error) = error else { return };
        tracing::warn!(%error, "a flush of our own failed");
        if matches!(error.kind(), ErrorKind::Disconnected | ErrorKind::Closed) {
            return self.fail_parked(&lun, &error);
        }
        lun.unflushed().give_up();
        self.waiting.look_at_parked();
    }

    pub(super) fn refuse_wrong_disk(&mut self, io: BlockIo) {
        let text = io.lun.describe("another disk answers at this LUN now");
        self.complete(io, Err(BlockError::new(ErrorKind::Closed, text)));
    }
}

fn sense_of(outcome: &Outcome) -> Option<Sense> {
    match outcome {
        Outcome::Completed(answer) if Status::from_byte(answer.status) != Status::Good => {
            Sense::decode(&answer.sense)
        }
        _ => None,
    }
}

fn judge(io: &BlockIo, outcome: Outcome, sense: Option<Sense>) -> Verdict {
    let failed = |kind, what: &str| Verdict::Failed(BlockError::new(kind, io.lun.describe(what)));
    match outcome {
        Outcome::Completed(answer) => judge_answer(io, &answer, sense),
        Outcome::TargetFailure { .. } | Outcome::Rejected { .. } | Outcome::Aborted => {
            Verdict::Again { pause: true }
        }
        Outcome::TimedOut => failed(ErrorKind::TimedOut, "no answer in time"),
        Outcome::Interrupted => failed(ErrorKind::Disconnected, "the connection was lost"),
        Outcome::Disconnected => failed(
            ErrorKind::Disconnected,
            "no connection for longer than the hold time",
        ),
        Outcome::Closed => failed(ErrorKind::Closed, "the session is closed"),
        Outcome::Managed { .. } | Outcome::Answered | Outcome::Withdrawn => {
            failed(ErrorKind::Io, "an answer of another kind")
        }
    }
}

fn judge_answer(io: &BlockIo, answer: &Answer, sense: Option<Sense>) -> Verdict {
    let fail = |kind| Verdict::Failed(scsi_error(io, kind, answer, sense));
    match Status::from_byte(answer.status) {
        Status::Good => whole(io, answer),
        Status::CheckCondition => match &sense {
            Some(sense) => judge_sense(io, answer, sense),
            None => fail(ErrorKind::Io),
        },
        Status::Busy | Status::TaskSetFull | Status::AcaActive | Status::TaskAborted => {
            Verdict::Again { pause: true }
        }
        Status::ReservationConflict => fail(ErrorKind::ReservationConflict),
        _ => fail(ErrorKind::Io),
    }
}

fn judge_sense(io: &BlockIo, answer: &Answer, sense: &Sense) -> Verdict {
    let fail = |kind| Verdict::Failed(scsi_error(io, kind, answer, Some(*sense)));
    match sense.code() {
        (SenseKey::UnitAttention, ..) => Verdict::Again { pause: false },
        // It speaks of an earlier command, and this one was not carried out.
        _ if sense.deferred => {
            tracing::error!(target_name = %io.lun.target, lun = %io.lun.number, %sense,
                "an acknowledged write has failed: the next flush will fail");
            io.lun.unflushed().set_lost();
            Verdict::Again { pause: false }
        }
        (SenseKey::NoSense | SenseKey::RecoveredError, ..) => whole(io, answer),
        // LOGICAL UNIT NOT READY, but for good reasons to give up: manual intervention, medium not
        // present, format corrupt.
        (SenseKey::NotReady, 0x04, 0x03) => fail(ErrorKind::Io),
        (SenseKey::NotReady, 0x04, _) | (SenseKey::AbortedCommand, ..) => {
            Verdict::Again { pause: true }
        }
        (SenseKey::DataProtect, 0x27, 0x07) => fail(ErrorKind::NoSpace),
        (SenseKey::DataProtect, ..) => fail(ErrorKind::ReadOnly),
        (SenseKey::IllegalRequest, 0x20, _) => fail(ErrorKind::Unsupported),
        (SenseKey::IllegalRequest, 0x21, _) => fail(ErrorKind::OutOfRange),
        _ => fail(ErrorKind::Io),
    }
}

/// The write is in a volatile cache and was to be durable.
fn must_flush(io: &BlockIo) -> bool {
    let fua = matches!(
        io.request.operation,
        Operation::Write { fua: true } | Operation::WriteZeroes { fua: true, .. }
    );
    fua && !io.forced
}

/// Done, if all of the data came.
fn whole(io: &BlockIo, answer: &Answer) -> Verdict {
    let expected = match io.request.operation {
        Operation::Read | Operation::Write { .. } if io.stage == Stage::Main => {
            io.request.buffer.len()
        }
        _ => return Verdict::Done,
    };
    if answer.transferred as usize == expected {
        return Verdict::Done;
    }
    let what = format!(
        "{} of {expected} bytes were transferred",
        answer.transferred
    );
    Verdict::Failed(BlockError::new(ErrorKind::Io, io.lun.describe(&what)))
}

fn scsi_error(io: &BlockIo, kind: ErrorKind, answer: &Answer, sense: Option<Sense>) -> BlockError {
    let error = ScsiError {
        status: answer.status,
        sense,
    };
    BlockError::new(kind, io.lun.describe(&error.to_string())).with_source(error)
}

/// The sink of our own flushes: the driver sees their end by itself.
#[derive(Debug)]
struct Upkeep;

impl CompletionSink for Upkeep {
    fn complete(&self, _: Completion) {}
}

impl BlockIo {
    /// A flush that nobody asked for.
    pub(super) fn own_flush(lun: &Arc<LunState>) -> Self {
        let request = Request {
            operation: Operation::Flush,
            offset: 0,
            buffer: Vec::new(),
            token: 0,
            sink: Arc::new(Upkeep),
        };
        Self::new(request, Arc::clone(lun), Stage::Upkeep)
    }
}

impl LunState {
    pub(super) fn describe(&self, what: &str) -> String {
        format!("LUN {} of {}: {what}", self.number, self.target)
    }
}
