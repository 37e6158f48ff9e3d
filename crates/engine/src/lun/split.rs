//! Requests that are too large for one command, or that the unit has no command for, as several.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use hawser_block::{
    BlockError, Completion, CompletionSink, ErrorKind, Geometry, Operation, Request,
};

use super::{Limits, Lun};

/// Parts of one request that are under way at once, so that one large request does not take all
/// task slots of its session.
const PARTS_AT_ONCE: usize = 8;

/// The request must be split, or done by other means.
pub(super) fn is_needed(request: &Request, geometry: &Geometry, limits: Limits) -> bool {
    match request.operation {
        Operation::Flush => false,
        Operation::WriteZeroes { .. } if limits.write_same_blocks == 0 => true,
        _ => request.length() > part_limit(request.operation, geometry, limits),
    }
}

/// The most bytes of one part.
fn part_limit(operation: Operation, geometry: &Geometry, limits: Limits) -> u64 {
    let block = u64::from(geometry.block_size);
    match operation {
        Operation::Discard { .. } => u64::from(limits.unmap_blocks) * block,
        Operation::WriteZeroes { .. } if limits.write_same_blocks > 0 => {
            u64::from(limits.write_same_blocks) * block
        }
        _ => limits.transfer,
    }
}

/// Submits the parts of `request`; it completes when all have, with the first error.
pub(super) fn submit(lun: &Lun, request: Request, geometry: &Geometry, limits: Limits) {
    let part = part_limit(request.operation, geometry, limits);
    if part == 0 {
        let text = format!("LUN {} of {} cannot do this", lun.number(), lun.target());
        return request.complete(Err(BlockError::new(ErrorKind::Unsupported, text)));
    }
    let length = request.length();
    let writes_zeroes =
        matches!(request.operation, Operation::WriteZeroes { .. }) && limits.write_same_blocks == 0;
    let progress = Progress {
        request: Some(request),
        next: 0,
        under_way: 0,
        error: None,
    };
    let plan = Plan {
        part,
        length,
        writes_zeroes,
    };
    let split = Arc::new_cyclic(|this| Split {
        this: this.clone(),
        lun: lun.clone(),
        plan,
        progress: Mutex::new(progress),
    });
    split.go_on();
}

/// How a request is cut.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Most bytes of a part.
    part: u64,
    /// Bytes of the whole.
    length: u64,
    /// Zeroes are written as data.
    writes_zeroes: bool,
}

struct Progress {
    /// The whole request, until it is completed.
    request: Option<Request>,
    /// Where the next part begins, relative to the whole.
    next: u64,
    under_way: usize,
    error: Option<BlockError>,
}

struct Split {
    /// Itself, to be the sink of further parts.
    this: Weak<Self>,
    lun: Lun,
    plan: Plan,
    progress: Mutex<Progress>,
}

impl Split {
    /// Starts parts until enough are under way; completes the whole when none are left.
    fn go_on(&self) {
        loop {
            let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            let more = progress.next < self.plan.length && progress.error.is_none();
            if !more && progress.under_way == 0 {
                let result = progress.error.take().map_or(Ok(()), Err);
                let request = progress.request.take();
                drop(progress);
                if let Some(request) = request {
                    request.complete(result);
                }
                return;
            }
            if !more || progress.under_way >= PARTS_AT_ONCE {
                return;
            }
            let Some(part) = self.cut(&mut progress) else {
                return;
            };
            drop(progress);
            self.lun.submit_one(part);
        }
    }

    /// The next part, as a request of its own whose token is its place in the whole.
    fn cut(&self, progress: &mut Progress) -> Option<Request> {
        let start = progress.next;
        let bytes = self.plan.part.min(self.plan.length - start);
        let whole = progress.request.as_ref()?;
        let range = start as usize..(start + bytes) as usize;
        let (operation, buffer) = match whole.operation {
            Operation::Read => (Operation::Read, vec![0; bytes as usize]),
            Operation::Write { fua } => (Operation::Write { fua }, whole.buffer[range].to_vec()),
            Operation::Flush => (Operation::Flush, Vec::new()),
            Operation::Discard { .. } => (Operation::Discard { length: bytes }, Vec::new()),
            Operation::WriteZeroes { fua, .. } if self.plan.writes_zeroes => {
                (Operation::Write { fua }, vec![0; bytes as usize])
            }
            Operation::WriteZeroes { fua, may_unmap, .. } => (
                Operation::WriteZeroes {
                    length: bytes,
                    fua,
                    may_unmap,
                },
                Vec::new(),
            ),
        };
        let offset = whole.offset + start;
        let sink = self.this.upgrade()? as Arc<dyn CompletionSink>;
        progress.next += bytes;
        progress.under_way += 1;
        Some(Request {
            operation,
            offset,
            buffer,
            token: start,
            sink,
        })
    }

    fn part_done(&self, completion: Completion) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.under_way -= 1;
        if let Err(error) = completion.result {
            progress.error.get_or_insert(error);
            return;
        }
        let Some(whole) = &mut progress.request else {
            return;
        };
        if whole.operation == Operation::Read {
            let start = completion.token as usize;
            whole.buffer[start..start + completion.buffer.len()]
                .copy_from_slice(&completion.buffer);
        }
    }
}

/// Parts complete on the driver's thread; the next ones are submitted from there.
impl CompletionSink for Split {
    fn complete(&self, completion: Completion) {
        self.part_done(completion);
        self.go_on();
    }
}
