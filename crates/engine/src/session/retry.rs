//! What becomes of a block request when its command has ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hawser_block::{BlockError, Completion, CompletionSink, ErrorKind, Operation, Request};
use hawser_proto::session::{Answer, Outcome};
use hawser_scsi::{DiskIdentity, Sense, SenseKey, Status};

use super::driver::Driver;
use super::{SessionEvent, Shared};
use crate::error::ScsiError;
use crate::lun::{BlockIo, LunState, Stage};

/// Pause before a command is sent again to a unit that is busy, full, or becoming ready.
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// How often a unit may turn one request away by unit attentions, busy answers and aborts before
/// the caller hears of it: with [`BUSY_PAUSE`] a minute for a unit that is not ready.
const MAX_ATTEMPTS: u32 = 300;

/// Pause before a write is tried that found too much waiting to be flushed.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// Requests that wait to be sent again, in the order of their time.
#[derive(Debug, Default)]
pub(super) struct Retries(VecDeque<(Instant, BlockIo)>);

impl Retries {
    fn push(&mut self, at: Instant, io: BlockIo) {
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
        let moves_data = matches!(
            io.request.operation,
            Operation::Read | Operation::Write { .. }
        );
        if moves_data && io.stage == Stage::Main {
            io.request.buffer = data;
        }
        match self.judge(&io, outcome) {
            Verdict::Done => self.done(io),
            Verdict::Failed(error) => io.request.complete(Err(error)),
            Verdict::Again { .. } if io.attempts >= MAX_ATTEMPTS => {
                let text = io.lun.describe("the unit stays busy or not ready");
                io.request
                    .complete(Err(BlockError::new(ErrorKind::TimedOut, text)));
            }
            Verdict::Again { pause } => {
                io.attempts += 1;
                self.send_again(io, pause);
            }
        }
    }

    /// Its command did what it was for.
    fn done(&mut self, mut io: BlockIo) {
        if !io.lun.geometry().volatile_cache {
            return io.request.complete(Ok(()));
        }
        let operation = io.request.operation;
        if io.stage != Stage::Main || operation == Operation::Flush {
            let whole = io
                .lun
                .unflushed()
                .flushed(io.mark, io.stage == Stage::Upkeep);
            let text = "the target lost acknowledged writes before they were flushed";
            let lost = || BlockError::new(ErrorKind::Io, io.lun.describe(text));
            let result = if whole { Ok(()) } else { Err(lost()) };
            return io.request.complete(result);
        }
        if !is_forced(&io) {
            let (offset, data) = (io.request.offset, &io.request.buffer);
            io.lun.unflushed().keep(operation, offset, data);
        }
        if must_flush(&io) {
            io.stage = Stage::Durability;
            return self.send_again(io, false);
        }
        if io.lun.unflushed().begin_own_flush() {
            self.send_again(BlockIo::own_flush(&io.lun), false);
        }
        io.request.complete(Ok(()));
    }

    /// Its slot was just freed, but another request may have taken it: then it waits its turn.
    fn send_again(&mut self, io: BlockIo, pause: bool) {
        if !pause && self.core.has_room() {
            self.start_block(io);
        } else {
            let at = self.now + if pause { BUSY_PAUSE } else { Duration::ZERO };
            self.retries.push(at, io);
        }
    }

    fn judge(&self, io: &BlockIo, outcome: Outcome) -> Verdict {
        let failed =
            |kind, what: &str| Verdict::Failed(BlockError::new(kind, io.lun.describe(what)));
        match outcome {
            Outcome::Completed(answer) => self.judge_answer(io, &answer),
            Outcome::TargetFailure { .. } | Outcome::Rejected { .. } | Outcome::Aborted => {
                Verdict::Again { pause: true }
            }
            Outcome::TimedOut => failed(ErrorKind::TimedOut, "no answer in time"),
            Outcome::Interrupted => failed(ErrorKind::Disconnected, "the connection was lost"),
            Outcome::Disconnected | Outcome::Withdrawn => failed(
                ErrorKind::Disconnected,
                "no connection for longer than the hold time",
            ),
            Outcome::Closed => failed(ErrorKind::Closed, "the session is closed"),
            Outcome::Managed { .. } | Outcome::Answered => {
                failed(ErrorKind::Io, "an answer of another kind")
            }
        }
    }

    fn judge_answer(&self, io: &BlockIo, answer: &Answer) -> Verdict {
        let status = Status::from_byte(answer.status);
        let sense = Sense::decode(&answer.sense);
        match status {
            Status::Good => whole(io, answer),
            Status::CheckCondition => self.judge_sense(io, answer, sense),
            Status::Busy | Status::TaskSetFull | Status::AcaActive | Status::TaskAborted => {
                Verdict::Again { pause: true }
            }
            Status::ReservationConflict => Verdict::Failed(scsi_error(
                io,
                ErrorKind::ReservationConflict,
                answer,
                sense,
            )),
            _ => Verdict::Failed(scsi_error(io, ErrorKind::Io, answer, sense)),
        }
    }

    fn judge_sense(&self, io: &BlockIo, answer: &Answer, sense: Option<Sense>) -> Verdict {
        let Some(sense) = sense else {
            return Verdict::Failed(scsi_error(io, ErrorKind::Io, answer, None));
        };
        let fail = |kind| Verdict::Failed(scsi_error(io, kind, answer, Some(sense)));
        match (sense.key, sense.asc, sense.ascq) {
            (SenseKey::UnitAttention, asc, ascq) => {
                self.shared.attention(&io.lun, asc, ascq);
                Verdict::Again { pause: false }
            }
            (SenseKey::NoSense | SenseKey::RecoveredError, ..) => whole(io, answer),
            // LOGICAL UNIT NOT READY, but for good reasons to give up: manual intervention,
            // medium not present, format corrupt.
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

    /// A LUN turned out to be another disk: nothing more goes to it.
    pub(super) fn disown(&mut self, lun: &LunState, found: Option<DiskIdentity>) {
        lun.set_wrong_disk();
        self.core.withdraw(lun.number.0);
        if let Some(expected) = lun.identity.clone() {
            self.shared.tell(SessionEvent::WrongDisk {
                lun: lun.number,
                expected,
                found,
            });
        }
    }

    /// A write to a unit with too much unflushed waits for the flush that is under way.
    pub(super) fn waits_for_flush(&mut self, io: BlockIo) -> Option<BlockIo> {
        let keeps = matches!(io.request.operation, Operation::Write { .. });
        if !keeps || io.stage != Stage::Main || !io.lun.unflushed().is_full() {
            return Some(io);
        }
        self.retries.push(self.now + FULL_PAUSE, io);
        None
    }

    pub(super) fn refuse_wrong_disk(&self, io: BlockIo) {
        let text = io.lun.describe("another disk answers at this LUN now");
        io.request
            .complete(Err(BlockError::new(ErrorKind::Closed, text)));
    }
}

/// Its command had FUA, so its data is durable. WRITE SAME has no such bit.
fn is_forced(io: &BlockIo) -> bool {
    io.request.operation == Operation::Write { fua: true } && io.lun.limits().fua
}

/// The write is in a volatile cache and was to be durable.
fn must_flush(io: &BlockIo) -> bool {
    let fua = matches!(
        io.request.operation,
        Operation::Write { fua: true } | Operation::WriteZeroes { fua: true, .. }
    );
    fua && !is_forced(io)
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

/// The sink of our own flushes.
#[derive(Debug)]
struct Upkeep(Arc<LunState>);

impl CompletionSink for Upkeep {
    fn complete(&self, completion: Completion) {
        self.0.unflushed().end_own_flush();
        if let Err(error) = completion.result {
            tracing::warn!(%error, "a flush failed");
        }
    }
}

impl BlockIo {
    /// A flush that nobody asked for.
    fn own_flush(lun: &Arc<LunState>) -> Self {
        let request = Request {
            operation: Operation::Flush,
            offset: 0,
            buffer: Vec::new(),
            token: 0,
            sink: Arc::new(Upkeep(Arc::clone(lun))),
        };
        let (lun, stage) = (Arc::clone(lun), Stage::Upkeep);
        Self {
            request,
            lun,
            attempts: 0,
            stage,
            mark: 0,
        }
    }
}

impl LunState {
    fn describe(&self, what: &str) -> String {
        format!("LUN {} of {}: {what}", self.number, self.target)
    }
}

impl Shared {
    /// A unit attention: some are worth telling.
    fn attention(&self, lun: &LunState, asc: u8, ascq: u8) {
        match (asc, ascq) {
            (0x2a, 0x09) => self.tell(SessionEvent::CapacityChanged(lun.number)),
            (0x3f, 0x0e) => self.tell(SessionEvent::LunsChanged),
            _ => tracing::debug!(target_name = %self.target, lun = %lun.number,
                "unit attention {asc:#04x}/{ascq:#04x}"),
        }
    }
}
