//! Jobs against a model: a plain vector that is written in the order of the answers.

use std::sync::mpsc;

use hawser_block::{Geometry, MemoryDevice, submit};
use proptest::prelude::*;

use super::*;

/// Sends the end of a job to the test.
struct Told(usize, mpsc::Sender<(usize, Result<Vec<u8>, i32>)>);

impl Answer for Told {
    fn done(self, data: &[u8]) {
        self.1.send((self.0, Ok(data.to_vec()))).unwrap();
    }

    fn failed(self, errno: i32) {
        self.1.send((self.0, Err(errno))).unwrap();
    }
}

/// A memory disk that keeps requests until the test lets them go, in any order.
struct Held {
    disk: MemoryDevice,
    requests: Mutex<Vec<Request>>,
}

impl Held {
    fn new(blocks: usize) -> Arc<Self> {
        Arc::new(Self {
            disk: MemoryDevice::new(blocks, 512),
            requests: Mutex::default(),
        })
    }

    fn len(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// Carries out one of the waiting requests; false when there is none.
    fn let_go(&self, which: usize) -> bool {
        let mut requests = self.requests.lock().unwrap();
        if requests.is_empty() {
            return false;
        }
        let index = which % requests.len();
        let request = requests.swap_remove(index);
        drop(requests);
        self.disk.submit(request);
        true
    }

    fn contents(&self) -> Vec<u8> {
        let size = self.disk.geometry().size as usize;
        let future = submit(&self.disk, Operation::Read, 0, vec![0; size]);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).as_mut().poll(&mut context) {
            std::task::Poll::Ready((data, result)) => {
                result.unwrap();
                data
            }
            std::task::Poll::Pending => panic!("a memory disk answers at once"),
        }
    }
}

impl BlockDevice for Held {
    fn geometry(&self) -> Geometry {
        self.disk.geometry()
    }

    fn submit(&self, request: Request) {
        self.requests.lock().unwrap().push(request);
    }
}

/// Jobs on a held disk, with the ends of the jobs.
struct Bench {
    disk: Arc<Held>,
    jobs: Arc<Jobs<Told>>,
    sender: mpsc::Sender<(usize, Result<Vec<u8>, i32>)>,
    ends: mpsc::Receiver<(usize, Result<Vec<u8>, i32>)>,
}

impl Bench {
    fn new() -> Self {
        let disk = Held::new(8);
        let (sender, ends) = mpsc::channel();
        Self {
            jobs: Jobs::new(Arc::clone(&disk) as _),
            disk,
            sender,
            ends,
        }
    }

    fn start(&self, number: usize, task: Task) {
        self.jobs.start(task, Told(number, self.sender.clone()));
    }
}

fn write(offset: u64, byte: u8, length: usize) -> Task {
    Task::Write {
        offset,
        data: vec![byte; length],
        fua: false,
    }
}

#[test]
fn an_unaligned_write_keeps_what_is_around_it() {
    let bench = Bench::new();
    bench.start(0, write(0, 9, 4096));
    while bench.disk.let_go(0) {}
    bench.start(1, write(500, 7, 24));
    while bench.disk.let_go(0) {}
    let mut expected = vec![9; 4096];
    expected[500..524].fill(7);
    assert_eq!(bench.disk.contents(), expected);
    bench.start(2, Task::Read { bytes: 499..525 });
    while bench.disk.let_go(0) {}
    let ends: Vec<_> = bench.ends.try_iter().collect();
    assert_eq!(ends[2], (2, Ok(expected[499..525].to_vec())));
}

#[test]
fn two_writes_into_one_block_both_stay() {
    let bench = Bench::new();
    bench.start(0, write(0, 1, 100));
    bench.start(1, write(100, 2, 100));
    bench.start(2, write(0, 3, 1024));
    assert_eq!(
        bench.disk.len(),
        1,
        "the second patch and the whole-block write wait"
    );
    while bench.disk.let_go(0) {}
    assert_eq!(bench.disk.contents()[..1024], [3; 1024]);
    bench.start(3, write(10, 4, 1));
    bench.start(4, write(11, 5, 1));
    while bench.disk.let_go(0) {}
    assert_eq!(bench.disk.contents()[9..13], [3, 4, 5, 3]);
}

#[test]
fn a_read_that_fails_under_a_patch_fails_the_write_and_lets_the_next_in() {
    let bench = Bench::new();
    bench.start(0, write(1, 1, 1));
    bench.start(1, write(2, 2, 1));
    let request = bench.disk.requests.lock().unwrap().pop().unwrap();
    request.complete(Err(BlockError::new(ErrorKind::Io, "test")));
    while bench.disk.let_go(0) {}
    let ends: Vec<_> = bench.ends.try_iter().collect();
    assert_eq!(ends, [(0, Err(libc::EIO)), (1, Ok(vec![]))]);
    assert_eq!(bench.disk.contents()[..4], [0, 0, 2, 0]);
}

#[test]
fn zeroing_takes_the_ends_by_patching() {
    let bench = Bench::new();
    bench.start(0, write(0, 9, 4096));
    while bench.disk.let_go(0) {}
    for (number, bytes) in [
        (1, 100..2000),
        (2, 2050..2060),
        (3, 2560..3072),
        (4, 3500..3600),
    ] {
        bench.start(
            number,
            Task::Zero {
                bytes,
                may_unmap: true,
            },
        );
        while bench.disk.let_go(0) {}
    }
    let mut expected = vec![9; 4096];
    [100..2000, 2050..2060, 2560..3072, 3500..3600]
        .into_iter()
        .for_each(|bytes: Range<usize>| expected[bytes].fill(0));
    assert_eq!(bench.disk.contents(), expected);
    assert!(bench.ends.try_iter().all(|(_, end)| end == Ok(vec![])));
}

#[test]
fn closing_fails_new_jobs_and_lets_those_in_flight_end() {
    let bench = Bench::new();
    bench.start(0, Task::Flush);
    bench.jobs.close();
    bench.start(1, Task::Flush);
    assert_eq!(bench.ends.try_recv(), Ok((1, Err(libc::ENODEV))));
    assert!(bench.disk.let_go(0));
    assert_eq!(bench.ends.try_recv(), Ok((0, Ok(vec![]))));
}

#[test]
fn completions_inside_submit_do_not_nest() {
    let (sender, ends) = mpsc::channel();
    let disk = Arc::new(MemoryDevice::new(8, 512));
    let jobs = Jobs::new(disk as Arc<dyn BlockDevice>);
    for number in 0..10_000 {
        jobs.start(
            write(number % 4000, 1, 3),
            Told(number as usize, sender.clone()),
        );
    }
    assert_eq!(
        ends.try_iter().filter(|(_, end)| end.is_ok()).count(),
        10_000
    );
}

fn task() -> impl Strategy<Value = (u64, usize, u8, bool)> {
    (0u64..4096, 1usize..1500, any::<u8>(), any::<bool>())
}

proptest! {
    /// However the disk orders its work, the end is as if the jobs that conflict had run in the
    /// order in which they came; and every job ends once.
    #[test]
    fn conflicting_writes_keep_their_order(
        tasks in prop::collection::vec(task(), 1..40),
        order in prop::collection::vec(any::<usize>(), 1..60),
    ) {
        let bench = Bench::new();
        let mut model = vec![0; 4096];
        let mut order = order.into_iter().cycle();
        for (number, (offset, length, byte, zero)) in tasks.iter().enumerate() {
            let length = (*length).min(4096 - *offset as usize);
            let bytes = *offset..*offset + length as u64;
            // Aligned writes have no order between them on a disk, so the model has none either:
            // every task is made to start off a block boundary.
            let (bytes, length) = if bytes.start.is_multiple_of(512) && length > 1 {
                (bytes.start + 1..bytes.end, length - 1)
            } else {
                (bytes, length)
            };
            let task = if *zero {
                Task::Zero { bytes: bytes.clone(), may_unmap: false }
            } else {
                write(bytes.start, *byte, length)
            };
            let value = if *zero { 0 } else { *byte };
            model[bytes.start as usize..bytes.end as usize].fill(value);
            bench.start(number, task);
            let which = order.next().unwrap();
            if which.is_multiple_of(3) {
                bench.disk.let_go(which);
            }
        }
        while bench.disk.let_go(order.next().unwrap()) {}
        prop_assert_eq!(bench.disk.contents(), model);
        let mut ended: Vec<_> = bench.ends.try_iter().map(|(number, _)| number).collect();
        ended.sort_unstable();
        prop_assert_eq!(ended, (0..tasks.len()).collect::<Vec<_>>());
    }
}
