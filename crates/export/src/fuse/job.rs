//! One request of the kernel as steps on the disk, and all that are in flight.
//!
//! The kernel may send any byte range; the disk takes whole blocks. What is not aligned is read as
//! the blocks around it, or written by reading, patching and writing these blocks while nobody else
//! writes to them (see [`ranges`](super::ranges)).

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use hawser_block::{
    BlockDevice, BlockError, Completion, CompletionSink, ErrorKind, Operation, Request,
};

use super::ranges::{Claim, Ranges};

/// Requests in flight; the kernel's further ones wait in its queue. More than the kernel sends in the
/// background (`MAX_BACKGROUND`), so that synchronous callers get through beside it.
const MAX_IN_FLIGHT: usize = 256;

/// Buffers up to this capacity are kept for the next request.
const MAX_POOLED_CAPACITY: usize = 1024 * 1024;

/// Bytes of buffers that are kept when nothing is in flight.
const MAX_POOLED: usize = 16 * 1024 * 1024;

/// Who waits for a job.
pub(super) trait Answer: Send + 'static {
    /// The job succeeded; `data` is what a read asked for, and empty for all others.
    fn done(self, data: &[u8]);
    /// The job failed with an error number.
    fn failed(self, errno: i32);
}

/// What the kernel asks for; byte offsets and lengths of any alignment, inside the disk.
#[derive(Debug)]
pub(super) enum Task {
    Read {
        bytes: Range<u64>,
    },
    Write {
        offset: u64,
        data: Vec<u8>,
        fua: bool,
    },
    Zero {
        bytes: Range<u64>,
        may_unmap: bool,
    },
    Flush,
}

/// Bytes to lay over what is on the disk.
#[derive(Debug)]
enum Patch {
    Data(Vec<u8>),
    Zeroes(usize),
}

/// A step of a job.
#[derive(Debug)]
enum Step {
    /// One operation, with its offset and buffer.
    Plain(Operation, u64, Vec<u8>),
    /// Read the blocks around `offset`, lay the patch over them, and go on with writing them.
    Patch {
        offset: u64,
        patch: Patch,
        fua: bool,
    },
}

/// What the disk is doing for a job.
#[derive(Debug)]
enum Phase {
    /// An operation that needs nothing more.
    Last,
    /// Reading what a patch is laid over: first block's offset, patch's offset.
    Patching {
        start: u64,
        offset: u64,
        patch: Patch,
        fua: bool,
    },
}

/// The steps of a job that are still to come, the next one last. A job has at most three, so they
/// need no allocation.
#[derive(Debug, Default)]
struct Steps {
    steps: [Option<Step>; 3],
    count: usize,
}

impl Steps {
    fn one(step: Step) -> Self {
        let mut steps = Self::default();
        steps.push(step);
        steps
    }

    /// Puts a step before all others.
    fn push(&mut self, step: Step) {
        debug_assert!(
            self.count < self.steps.len(),
            "a job has at most three steps to come"
        );
        if let Some(place) = self.steps.get_mut(self.count) {
            *place = Some(step);
            self.count += 1;
        }
    }

    fn pop(&mut self) -> Option<Step> {
        self.count = self.count.checked_sub(1)?;
        self.steps.get_mut(self.count)?.take()
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }
}

struct Job<A> {
    answer: A,
    steps: Steps,
    phase: Phase,
    /// Where the answer lies in the buffer of a read.
    wanted: Range<usize>,
}

fn floor(offset: u64, block: u64) -> u64 {
    offset - offset % block
}

/// A disk's size is a multiple of its block size, so this stays inside the disk.
fn ceil(offset: u64, block: u64) -> u64 {
    offset.next_multiple_of(block)
}

/// The blocks around `bytes`.
fn around(bytes: &Range<u64>, block: u64) -> Range<u64> {
    floor(bytes.start, block)..ceil(bytes.end, block)
}

impl Task {
    /// The blocks that the task writes, and whether it needs them alone; none when it writes nothing.
    fn claim(&self, block: u64) -> Option<Claim> {
        let bytes = match self {
            Self::Write { offset, data, .. } => *offset..*offset + data.len() as u64,
            Self::Zero { bytes, .. } => bytes.clone(),
            Self::Read { .. } | Self::Flush => return None,
        };
        let blocks = around(&bytes, block);
        let exclusive = blocks != bytes;
        Some(Claim {
            bytes: blocks,
            exclusive,
        })
    }

    /// The steps, and where the answer lies in the last buffer.
    fn into_steps(self, block: u64, buffer: impl FnOnce() -> Vec<u8>) -> (Steps, Range<usize>) {
        match self {
            Self::Read { bytes } => {
                let blocks = around(&bytes, block);
                let mut buffer = buffer();
                buffer.resize((blocks.end - blocks.start) as usize, 0);
                let skip = (bytes.start - blocks.start) as usize;
                let wanted = skip..skip + (bytes.end - bytes.start) as usize;
                (
                    Steps::one(Step::Plain(Operation::Read, blocks.start, buffer)),
                    wanted,
                )
            }
            Self::Write { offset, data, fua } => {
                let aligned =
                    offset.is_multiple_of(block) && (data.len() as u64).is_multiple_of(block);
                let step = if aligned {
                    Step::Plain(Operation::Write { fua }, offset, data)
                } else {
                    Step::Patch {
                        offset,
                        patch: Patch::Data(data),
                        fua,
                    }
                };
                (Steps::one(step), 0..0)
            }
            Self::Zero { bytes, may_unmap } => (zero_steps(&bytes, block, may_unmap), 0..0),
            Self::Flush => (
                Steps::one(Step::Plain(Operation::Flush, 0, Vec::new())),
                0..0,
            ),
        }
    }
}

/// Whole blocks are zeroed by the disk, the pieces at the ends by patching.
fn zero_steps(bytes: &Range<u64>, block: u64, may_unmap: bool) -> Steps {
    let patch = |bytes: Range<u64>| Step::Patch {
        offset: bytes.start,
        patch: Patch::Zeroes((bytes.end - bytes.start) as usize),
        fua: false,
    };
    let inner = ceil(bytes.start, block)..floor(bytes.end, block);
    if inner.start > inner.end {
        return Steps::one(patch(bytes.clone()));
    }
    let mut steps = Steps::default();
    if inner.end < bytes.end {
        steps.push(patch(inner.end..bytes.end));
    }
    if inner.start < inner.end {
        let length = inner.end - inner.start;
        let operation = Operation::WriteZeroes {
            length,
            fua: false,
            may_unmap,
        };
        steps.push(Step::Plain(operation, inner.start, Vec::new()));
    }
    if bytes.start < inner.start {
        steps.push(patch(bytes.start..inner.start));
    }
    steps
}

impl Patch {
    fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Zeroes(length) => *length,
        }
    }

    fn lay_over(&self, bytes: &mut [u8]) {
        match self {
            Self::Data(data) => bytes.copy_from_slice(data),
            Self::Zeroes(_) => bytes.fill(0),
        }
    }
}

struct State<A> {
    jobs: Vec<Option<Job<A>>>,
    free: Vec<usize>,
    ranges: Ranges,
    pool: Vec<Vec<u8>>,
    /// Bytes of buffers in the pool.
    pooled: usize,
    /// Threads that wait for room: to tell one costs a system call, also when there is none.
    waiting: usize,
    /// Jobs that may start. Whoever finds `starting` unset starts them all, so that completions that
    /// come inside `submit` do not nest.
    ready: VecDeque<usize>,
    starting: bool,
    closed: bool,
}

/// The jobs in flight on one disk. It is the completion sink of all of them.
pub(super) struct Jobs<A> {
    device: Arc<dyn BlockDevice>,
    state: Mutex<State<A>>,
    room: Condvar,
    myself: std::sync::Weak<Self>,
}

impl<A: Answer> CompletionSink for Jobs<A> {
    fn complete(&self, completion: Completion) {
        self.advance(completion);
        self.start_ready();
    }
}

impl<A: Answer> Jobs<A> {
    pub(super) fn new(device: Arc<dyn BlockDevice>) -> Arc<Self> {
        let state = State {
            jobs: (0..MAX_IN_FLIGHT).map(|_| None).collect(),
            free: (0..MAX_IN_FLIGHT).rev().collect(),
            ranges: Ranges::new(MAX_IN_FLIGHT),
            pool: Vec::new(),
            pooled: 0,
            waiting: 0,
            ready: VecDeque::new(),
            starting: false,
            closed: false,
        };
        Arc::new_cyclic(|myself| Self {
            device,
            state: Mutex::new(state),
            room: Condvar::new(),
            myself: myself.clone(),
        })
    }

    pub(super) fn device(&self) -> &dyn BlockDevice {
        &*self.device
    }

    fn lock(&self) -> MutexGuard<'_, State<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer of an earlier job, with unspecified contents and length.
    pub(super) fn spare_buffer(&self) -> Vec<u8> {
        self.lock().spare_buffer()
    }

    /// Starts a job, waiting for room first. `answer` is told the end, perhaps before this returns.
    pub(super) fn start(&self, task: Task, answer: A) {
        let block = u64::from(self.device.geometry().block_size);
        let claim = task.claim(block);
        let (steps, wanted) = task.into_steps(block, || self.spare_buffer());
        let mut state = self.lock();
        while state.free.is_empty() && !state.closed {
            state.waiting += 1;
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        let Some(slot) = state.free.pop().filter(|_| !state.closed) else {
            drop(state);
            return answer.failed(libc::ENODEV);
        };
        state.jobs[slot] = Some(Job {
            answer,
            steps,
            phase: Phase::Last,
            wanted,
        });
        if claim.is_none_or(|claim| state.ranges.admit(slot, claim)) {
            state.ready.push_back(slot);
        }
        drop(state);
        self.start_ready();
    }

    /// Fails every job that comes from now on, and those that wait for room. Jobs in flight end when
    /// the disk ends them.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_all();
    }

    fn start_ready(&self) {
        let mut state = self.lock();
        if state.starting {
            return;
        }
        state.starting = true;
        while let Some(slot) = state.ready.pop_front() {
            let Some((operation, offset, buffer)) = self.next_operation(&mut state, slot) else {
                continue;
            };
            drop(state);
            self.submit(slot, operation, offset, buffer);
            state = self.lock();
        }
        state.starting = false;
    }

    fn submit(&self, slot: usize, operation: Operation, offset: u64, buffer: Vec<u8>) {
        // Whoever calls holds an Arc, so there always is one.
        let Some(sink) = self.myself.upgrade() else {
            return;
        };
        self.device.submit(Request {
            operation,
            offset,
            buffer,
            token: slot as u64,
            sink,
        });
    }

    /// Takes a job's next step and gives the operation to submit; none when there is no step.
    fn next_operation(
        &self,
        state: &mut State<A>,
        slot: usize,
    ) -> Option<(Operation, u64, Vec<u8>)> {
        let job = state.jobs.get_mut(slot)?.as_mut()?;
        match job.steps.pop()? {
            Step::Plain(operation, offset, buffer) => {
                job.phase = Phase::Last;
                Some((operation, offset, buffer))
            }
            Step::Patch { offset, patch, fua } => {
                let block = u64::from(self.device.geometry().block_size);
                let blocks = around(&(offset..offset + patch.len() as u64), block);
                job.phase = Phase::Patching {
                    start: blocks.start,
                    offset,
                    patch,
                    fua,
                };
                let mut buffer = state.spare_buffer();
                buffer.resize((blocks.end - blocks.start) as usize, 0);
                Some((Operation::Read, blocks.start, buffer))
            }
        }
    }

    /// Takes a completion: goes on with the job's next step, or ends it.
    fn advance(&self, completion: Completion) {
        let Completion {
            token,
            mut buffer,
            result,
        } = completion;
        let slot = token as usize;
        let mut state = self.lock();
        let Some(job) = state.jobs.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let phase = std::mem::replace(&mut job.phase, Phase::Last);
        match (phase, result) {
            (
                Phase::Patching {
                    start,
                    offset,
                    patch,
                    fua,
                },
                Ok(()),
            ) => {
                let skip = (offset - start) as usize;
                let Some(bytes) = buffer.get_mut(skip..skip + patch.len()) else {
                    return self.end(state, slot, buffer, Err(short_buffer()));
                };
                patch.lay_over(bytes);
                job.steps
                    .push(Step::Plain(Operation::Write { fua }, start, buffer));
                state.ready.push_back(slot);
            }
            (Phase::Last, Ok(())) if !job.steps.is_empty() => {
                state.ready.push_back(slot);
                state.keep(buffer);
            }
            (_, result) => self.end(state, slot, buffer, result),
        }
    }

    /// Frees the job's place, lets in who waited for it, and answers.
    fn end(
        &self,
        mut state: MutexGuard<'_, State<A>>,
        slot: usize,
        buffer: Vec<u8>,
        result: Result<(), BlockError>,
    ) {
        let Some(job) = state.jobs.get_mut(slot).and_then(Option::take) else {
            return;
        };
        let State { ranges, ready, .. } = &mut *state;
        ranges.release(slot, ready);
        state.free.push(slot);
        let somebody_waits = state.waiting > 0;
        drop(state);
        if somebody_waits {
            self.room.notify_one();
        }
        let data = buffer.get(job.wanted).ok_or_else(short_buffer);
        match result.and(data) {
            Ok(data) => job.answer.done(data),
            Err(error) => job.answer.failed(error.errno()),
        }
        self.lock().keep(buffer);
    }
}

fn short_buffer() -> BlockError {
    BlockError::new(
        ErrorKind::Io,
        "the disk gave back a buffer of another length",
    )
}

impl<A> State<A> {
    fn keep(&mut self, buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        let poolable = (1..=MAX_POOLED_CAPACITY).contains(&bytes);
        if poolable && self.pooled + bytes <= MAX_POOLED {
            self.pooled += bytes;
            self.pool.push(buffer);
        }
    }

    fn spare_buffer(&mut self) -> Vec<u8> {
        let buffer = self.pool.pop().unwrap_or_default();
        self.pooled -= buffer.capacity();
        buffer
    }
}

#[cfg(test)]
#[path = "job/tests.rs"]
mod tests;
