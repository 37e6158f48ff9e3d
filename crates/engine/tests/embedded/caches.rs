//! Volatile caches: what is kept for them, in which order, and what happens when they cannot be
//! flushed.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use hawser_block::{BlockDevice, ErrorKind, Operation, submit};
use hawser_engine::{Hold, LunNumber, ScsiRequest, Transfer};
use hawser_scsi::Cdb;
use hawser_target::disk::{Backend, Extent, RamBackend};
use hawser_target::faults::Answer;

use super::disks::{flush, hold_cached, medium, on_medium, serve_cached};
use super::support::{
    MIB, TARGET, anywhere, at_level_0, disk, established, in_time, logged_in_again, options,
    pattern, read, serve_at, target, unit, write,
};

/// Written again alone, the older write would undo the newer, which is durable.
#[tokio::test]
async fn a_forced_write_is_not_undone_by_an_older_one_that_is_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let (server, session, disk) = hold_cached(&medium(&directory)).await;
    write(&disk, 0, pattern(4096, 1)).await;
    let forced = submit(&disk, Operation::Write { fua: true }, 0, pattern(4096, 2));
    in_time(forced).await.1.unwrap();
    session.reconnect();
    logged_in_again(&session, 1).await;
    assert!(read(&disk, 0, 4096).await == pattern(4096, 2));
    session.logout().await;
    drop(server);
}

/// Opened twice, it is one disk still, with one order of its writes.
#[tokio::test]
async fn two_handles_of_a_disk_keep_its_writes_together() {
    let directory = tempfile::tempdir().unwrap();
    let (server, session, first) = hold_cached(&medium(&directory)).await;
    let second = disk(&session).await;
    write(&first, 0, pattern(4096, 1)).await;
    write(&second, 0, pattern(4096, 2)).await;
    flush(&second).await;
    session.reconnect();
    logged_in_again(&session, 1).await;
    assert!(read(&first, 0, 4096).await == pattern(4096, 2));
    session.logout().await;
    drop(server);
}

/// Whoever flushes later, by another handle, relies on it.
#[tokio::test]
async fn what_a_dropped_handle_wrote_is_written_again_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = medium(&directory);
    let (server, session, first) = hold_cached(&path).await;
    let address = server.local_addrs()[0];
    write(&first, 0, pattern(4096, 1)).await;
    drop(first);
    let second = disk(&session).await;
    server.kill().await;
    let server = serve_cached(address, &path).await;
    logged_in_again(&session, 1).await;
    flush(&second).await;
    server.kill().await;
    assert!(on_medium(&path, 0, 4096) == pattern(4096, 1));
    drop(session);
}

/// A reset, or a power failure of the unit alone, which costs no connection. Whoever hears of it
/// first, the write is there when the flush has succeeded.
#[tokio::test]
async fn a_unit_that_was_reset_under_a_session_gets_back_what_it_forgot() {
    for heard_by_another in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let path = medium(&directory);
        let (server, session, disk) = hold_cached(&path).await;
        write(&disk, MIB, pattern(65_536, 1)).await;
        let device = Arc::clone(server.target(TARGET).unwrap().device());
        device.unit(LunNumber::ZERO).unwrap().backend().lose_power();
        device.reset();
        if heard_by_another {
            let (lun, cdb) = (LunNumber::ZERO, Cdb::test_unit_ready());
            let transfer = Transfer::None;
            in_time(session.scsi(ScsiRequest { lun, cdb, transfer }))
                .await
                .unwrap();
        }
        flush(&disk).await;
        server.kill().await;
        assert!(on_medium(&path, MIB, 65_536) == pattern(65_536, 1));
        drop(session);
    }
}

/// A deferred error tells, in place of an answer, of a write that was acknowledged before.
#[tokio::test]
async fn a_write_that_fails_after_its_acknowledgement_fails_the_next_flush() {
    let directory = tempfile::tempdir().unwrap();
    let (server, session, disk) = hold_cached(&medium(&directory)).await;
    // Deferred, fixed format: MEDIUM ERROR, WRITE ERROR.
    let mut sense = vec![0; 18];
    (sense[0], sense[2], sense[7], sense[12]) = (0x71, 0x03, 10, 0x0c);
    let (lun, status) = (None, 0x02);
    server.faults().answer_next(Answer { lun, status, sense });
    write(&disk, 0, pattern(4096, 1)).await;
    assert!(read(&disk, 0, 4096).await == pattern(4096, 1));
    let flush = || in_time(submit(&disk, Operation::Flush, 0, Vec::new()));
    flush().await.1.unwrap_err();
    flush().await.1.unwrap();
    session.logout().await;
}

/// A disk whose cache cannot be flushed, or only when the test lets it.
#[derive(Debug)]
struct Stubborn {
    medium: RamBackend,
    fails: AtomicBool,
    /// Somebody has flushed it.
    flushing: AtomicBool,
    held: Mutex<bool>,
    released: Condvar,
}

impl Stubborn {
    fn new(fails: bool, held: bool) -> Arc<Self> {
        Arc::new(Self {
            medium: RamBackend::new(16 * MIB).unwrap(),
            fails: AtomicBool::new(fails),
            flushing: AtomicBool::new(false),
            held: Mutex::new(held),
            released: Condvar::new(),
        })
    }

    fn release(&self) {
        *self.held.lock().unwrap() = false;
        self.released.notify_all();
    }
}

/// Releases the disk even when the test fails: the runtime does not end before its flush.
struct Releaser(Arc<Stubborn>);

impl Drop for Releaser {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Backend for Stubborn {
    fn size(&self) -> u64 {
        self.medium.size()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.medium.read(offset, buffer)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.medium.write(offset, data)
    }

    fn flush(&self, _: u64, _: u64) -> io::Result<()> {
        self.flushing.store(true, Ordering::SeqCst);
        let held = self.held.lock().unwrap();
        drop(self.released.wait_while(held, |held| *held).unwrap());
        match self.fails.load(Ordering::SeqCst) {
            true => Err(io::Error::other("no")),
            false => Ok(()),
        }
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.medium.discard(offset, len)
    }

    fn extent(&self, offset: u64) -> io::Result<Extent> {
        self.medium.extent(offset)
    }

    fn is_volatile(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn writes_to_a_disk_that_cannot_be_flushed_go_on_and_its_flushes_fail() {
    let stubborn = Stubborn::new(true, false);
    let server = serve_at(
        anywhere(),
        target().lun(0, unit(Arc::clone(&stubborn) as _, "stubborn")),
    )
    .await;
    let session = established(at_level_0(server.local_addrs()[0])).await;
    let disk = disk(&session).await;
    assert!(disk.geometry().volatile_cache);
    for i in 0..80 {
        write(&disk, i % 16 * MIB, pattern(MIB as usize, i)).await;
    }
    let flush = || in_time(submit(&disk, Operation::Flush, 0, Vec::new()));
    flush().await.1.unwrap_err();
    // What was not kept is not lost as long as the disk did not forget it.
    stubborn.fails.store(false, Ordering::SeqCst);
    flush().await.1.unwrap();
    // But when it may have forgotten it, that is told.
    stubborn.fails.store(true, Ordering::SeqCst);
    for i in 0..20 {
        write(&disk, i % 16 * MIB, pattern(MIB as usize, i)).await;
    }
    stubborn.fails.store(false, Ordering::SeqCst);
    session.reconnect();
    logged_in_again(&session, 1).await;
    let lost = flush().await.1.unwrap_err();
    assert!(lost.to_string().contains("lost acknowledged"), "{lost}");
    flush().await.1.unwrap();
    session.logout().await;
}

/// They are held no longer than commands that wait for the session itself.
#[tokio::test]
async fn writes_that_wait_for_a_flush_fail_when_the_target_stays_away() {
    let stubborn = Stubborn::new(false, true);
    let _releaser = Releaser(Arc::clone(&stubborn));
    let server = serve_at(
        anywhere(),
        target().lun(0, unit(Arc::clone(&stubborn) as _, "stubborn")),
    )
    .await;
    let mut options = options(server.local_addrs()[0]);
    options.hold = Hold::For(Duration::from_secs(1));
    let session = established(options).await;
    let disk = disk(&session).await;
    let writes: Vec<_> = (0..64)
        .map(|i| {
            let write = Operation::Write { fua: false };
            submit(&disk, write, i % 16 * MIB, pattern(MIB as usize, i))
        })
        .collect();
    let flushing = async {
        while !stubborn.flushing.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    };
    in_time(flushing).await;
    server.faults().drop_connections();
    let killed = tokio::spawn(server.kill());
    let mut ends = Vec::new();
    for write in writes {
        ends.push(in_time(write).await.1);
    }
    let failed = ends.iter().filter_map(|end| end.as_ref().err());
    assert!(failed.clone().all(|e| e.kind() == ErrorKind::Disconnected));
    assert!(failed.count() > 0);
    stubborn.release();
    in_time(killed).await.unwrap();
    session.logout().await;
}
