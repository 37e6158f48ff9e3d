//! What the tests of exports share: odd disks, and programs run with a limit.
//!
//! The tests do no I/O on an export themselves: as for the daemon, that is for child processes.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use hawser_block::{
    BlockDevice, BlockError, ErrorKind, Geometry, MemoryDevice, Operation, Request,
};

/// The time any program and any wait of a test may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A disk in memory whose requests end on another thread, later ones sometimes earlier; it counts
/// what it is asked to do.
pub(crate) struct Queued {
    disk: Arc<MemoryDevice>,
    queue: mpsc::Sender<Request>,
    pub(crate) flushes: AtomicU64,
    pub(crate) fua_writes: AtomicU64,
    pub(crate) zeroed: AtomicU64,
}

impl Queued {
    pub(crate) fn new(bytes: usize, block_size: u32) -> Arc<Self> {
        let disk = Arc::new(MemoryDevice::new(bytes / block_size as usize, block_size));
        let (queue, requests) = mpsc::channel::<Request>();
        let worker = Arc::clone(&disk);
        std::thread::spawn(move || {
            while let Ok(first) = requests.recv() {
                // What has queued up is carried out backwards.
                let mut batch: Vec<_> = std::iter::once(first).chain(requests.try_iter()).collect();
                while let Some(request) = batch.pop() {
                    worker.submit(request);
                }
            }
        });
        let zero = AtomicU64::default;
        Arc::new(Self {
            disk,
            queue,
            flushes: zero(),
            fua_writes: zero(),
            zeroed: zero(),
        })
    }
}

impl BlockDevice for Queued {
    fn geometry(&self) -> Geometry {
        self.disk.geometry()
    }

    fn submit(&self, request: Request) {
        let count = |counter: &AtomicU64, by| counter.fetch_add(by, Ordering::SeqCst);
        let _ = match request.operation {
            Operation::Flush => count(&self.flushes, 1),
            Operation::Write { fua: true } => count(&self.fua_writes, 1),
            Operation::WriteZeroes { length, .. } => count(&self.zeroed, length),
            _ => 0,
        };
        self.queue
            .send(request)
            .expect("the worker lives as long as the disk");
    }
}

/// A disk in memory that hangs: it keeps every request until it is released.
pub(crate) struct Hung {
    disk: MemoryDevice,
    hangs: AtomicBool,
    held: Mutex<Vec<Request>>,
    came: Condvar,
}

impl Hung {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        let disk = MemoryDevice::new(bytes / 512, 512);
        let (held, came) = (Mutex::default(), Condvar::new());
        Arc::new(Self {
            disk,
            hangs: AtomicBool::new(true),
            held,
            came,
        })
    }

    /// Lets it work, or hang from now on.
    pub(crate) fn set_hanging(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }

    /// Waits until `count` requests are held, and fails the test when they do not come.
    pub(crate) fn wait_for(&self, count: usize) {
        let held = self.held.lock().unwrap();
        let (held, _) = self
            .came
            .wait_timeout_while(held, LIMIT, |held| held.len() < count)
            .unwrap();
        assert!(
            held.len() >= count,
            "{} of {count} requests came",
            held.len()
        );
    }

    pub(crate) fn held(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    /// Fails what is held.
    pub(crate) fn release(&self) {
        let held = std::mem::take(&mut *self.held.lock().unwrap());
        for request in held {
            request.complete(Err(BlockError::new(ErrorKind::Closed, "released")));
        }
    }
}

impl BlockDevice for Hung {
    fn geometry(&self) -> Geometry {
        self.disk.geometry()
    }

    fn submit(&self, request: Request) {
        if !self.hangs.load(Ordering::SeqCst) {
            return self.disk.submit(request);
        }
        self.held.lock().unwrap().push(request);
        self.came.notify_all();
    }
}

/// A disk that fails everything with one kind of error, or only lacks abilities.
pub(crate) struct Odd {
    pub(crate) geometry: Geometry,
    pub(crate) fails: Option<ErrorKind>,
    pub(crate) disk: MemoryDevice,
}

impl Odd {
    pub(crate) fn failing(kind: ErrorKind) -> Arc<Self> {
        let disk = MemoryDevice::new(2048, 512);
        Arc::new(Self {
            geometry: disk.geometry(),
            fails: Some(kind),
            disk,
        })
    }

    pub(crate) fn with(change: impl FnOnce(&mut Geometry)) -> Arc<Self> {
        let disk = MemoryDevice::new(2048, 512);
        let mut geometry = disk.geometry();
        change(&mut geometry);
        Arc::new(Self {
            geometry,
            fails: None,
            disk,
        })
    }
}

impl BlockDevice for Odd {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn submit(&self, request: Request) {
        match (self.fails, request.check(&self.geometry)) {
            (Some(kind), _) => request.complete(Err(BlockError::new(kind, "an odd disk"))),
            (None, Err(error)) => request.complete(Err(error)),
            (None, Ok(())) => self.disk.submit(request),
        }
    }
}

/// A disk in a file, which may grow: what outlives a killed server.
pub(crate) struct InFile {
    file: File,
    size: AtomicU64,
}

impl InFile {
    pub(crate) fn open(path: &Path, bytes: u64) -> Arc<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .unwrap();
        file.set_len(bytes).unwrap();
        Arc::new(Self {
            file,
            size: AtomicU64::new(bytes),
        })
    }

    pub(crate) fn grow(&self, bytes: u64) {
        self.file.set_len(bytes).unwrap();
        self.size.store(bytes, Ordering::SeqCst);
    }

    fn carry_out(&self, request: &mut Request) -> Result<(), BlockError> {
        request.check(&self.geometry())?;
        let offset = request.offset;
        let done = match request.operation {
            Operation::Read => self.file.read_exact_at(&mut request.buffer, offset),
            Operation::Write { .. } => self.file.write_all_at(&request.buffer, offset),
            Operation::Flush => self.file.sync_data(),
            Operation::Discard { .. } => Ok(()),
            Operation::WriteZeroes { length, .. } => {
                self.file.write_all_at(&vec![0; length as usize], offset)
            }
        };
        done.map_err(|error| BlockError::new(ErrorKind::Io, "the file").with_source(error))
    }
}

impl BlockDevice for InFile {
    fn geometry(&self) -> Geometry {
        let geometry = MemoryDevice::new(1, 512).geometry();
        Geometry {
            size: self.size.load(Ordering::SeqCst),
            volatile_cache: true,
            ..geometry
        }
    }

    fn submit(&self, mut request: Request) {
        let result = self.carry_out(&mut request);
        request.complete(result);
    }
}

/// Runs a program to its end, within [`LIMIT`].
pub(crate) fn try_run(program: &str, arguments: &[&str]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed for this test (apt): {error}"));
    let id = child.id().to_string();
    let (sender, ended) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if ended.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-9", &id]).status();
        }
    });
    let stdout = std::thread::spawn({
        let mut pipe = child.stdout.take().unwrap();
        move || {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut pipe, &mut bytes).map(|_| bytes)
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(sender);
    watch.join().unwrap();
    Output {
        stdout: stdout.join().unwrap().unwrap(),
        ..output
    }
}

/// Runs a program that must succeed, and gives what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = try_run(program, arguments);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?} ended with {}\n{stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

/// Runs a line of shell that must succeed.
pub(crate) fn shell(line: &str) -> String {
    run("sh", &["-ec", line])
}

/// Fails the test with a clear message when it is not run as root.
pub(crate) fn need_root() {
    let id = run("id", &["-u"]);
    assert_eq!(
        id.trim(),
        "0",
        "this test mounts and attaches loop devices: run it as root"
    );
}

/// Waits until `done`, and fails the test after [`LIMIT`].
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A path as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// The file below a loop device, if it is attached.
pub(crate) fn backing_file(node: &str) -> Option<String> {
    let name = node.strip_prefix("/dev/").unwrap();
    std::fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).ok()
}

/// A temporary runtime directory, which is cleaned up after a failed test too.
pub(crate) struct RuntimeDir(tempfile::TempDir);

impl RuntimeDir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The directory's resolved path.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.0.path().canonicalize().unwrap()
    }
}

impl Drop for RuntimeDir {
    fn drop(&mut self) {
        let _ = hawser_export::clean_up(self.0.path());
    }
}
