//! No lost write, no wrong disk.

use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hawser_block::{BlockDevice, Operation, submit};
use hawser_engine::{Hold, Lun, Session, SessionEvent};
use hawser_target::TargetHandle;
use hawser_target::disk::{Backend, FileBackend, LogicalUnit, UnitIdentity, VolatileCache};

use super::support::{
    MIB, anywhere, disk, established, event, in_time, logged_in_again, options, pattern, ram, read,
    serve, serve_at, target, unit, up, write,
};

pub(crate) fn cached(path: &Path) -> Arc<dyn Backend> {
    Arc::new(VolatileCache::new(FileBackend::open(path, false).unwrap()))
}

pub(crate) async fn flush(disk: &Lun) {
    in_time(submit(disk, Operation::Flush, 0, Vec::new()))
        .await
        .1
        .unwrap();
}

/// Bytes of the medium itself, behind the target's cache.
pub(crate) fn on_medium(path: &Path, offset: u64, length: usize) -> Vec<u8> {
    let mut data = vec![0; length];
    let file = std::fs::File::open(path).unwrap();
    file.read_exact_at(&mut data, offset).unwrap();
    data
}

pub(crate) fn medium(directory: &tempfile::TempDir) -> PathBuf {
    let path = directory.path().join("medium");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(64 * MIB).unwrap();
    path
}

/// A disk with a volatile cache before `path`, at `address`.
pub(crate) async fn serve_cached(address: SocketAddr, path: &Path) -> TargetHandle {
    serve_at(address, target().lun(0, unit(cached(path), "disk"))).await
}

/// The same, and a session to it that holds its commands for ever.
pub(crate) async fn hold_cached(path: &Path) -> (TargetHandle, Session, Lun) {
    let server = serve_cached(anywhere(), path).await;
    let mut options = options(server.local_addrs()[0]);
    options.hold = Hold::Forever;
    let session = established(options).await;
    let disk = disk(&session).await;
    assert!(disk.geometry().volatile_cache);
    (server, session, disk)
}

/// The target's cache forgets what was not flushed when the target is killed: so what is on the
/// medium then was flushed by us, and what is there after all was written again by us.
#[tokio::test]
async fn a_target_that_forgets_its_cache_loses_no_acknowledged_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = medium(&directory);
    let (server, session, disk) = hold_cached(&path).await;
    let address = server.local_addrs()[0];
    let data = |seed| pattern(MIB as usize, seed);
    write(&disk, 0, data(1)).await;
    flush(&disk).await;
    let forced = submit(
        &disk,
        Operation::Write { fua: true },
        2 * MIB,
        pattern(4096, 2),
    );
    in_time(forced).await.1.unwrap();
    write(&disk, MIB, data(3)).await;
    server.kill().await;
    assert!(on_medium(&path, 0, MIB as usize) == data(1), "flushed");
    assert!(
        on_medium(&path, 2 * MIB, 4096) == pattern(4096, 2),
        "forced"
    );
    assert!(
        on_medium(&path, MIB, MIB as usize) != data(3),
        "the target does forget"
    );

    let server = serve_cached(address, &path).await;
    logged_in_again(&session, 1).await;
    assert!(
        read(&disk, MIB, MIB as usize).await == data(3),
        "written again"
    );
    flush(&disk).await;
    server.kill().await;
    assert!(
        on_medium(&path, MIB, MIB as usize) == data(3),
        "and flushed"
    );
}

/// Much more is written than is kept: flushes of our own make room, and nothing is lost.
#[tokio::test]
async fn what_is_kept_for_a_volatile_cache_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let path = medium(&directory);
    let (server, session, disk) = hold_cached(&path).await;
    let address = server.local_addrs()[0];
    for i in 0..60 {
        write(&disk, i * MIB, pattern(MIB as usize, i)).await;
    }
    server.kill().await;
    assert!(
        on_medium(&path, 0, MIB as usize) == pattern(MIB as usize, 0),
        "flushed by ourselves"
    );
    let server = serve_cached(address, &path).await;
    logged_in_again(&session, 1).await;
    for i in 0..60 {
        assert!(
            read(&disk, i * MIB, MIB as usize).await == pattern(MIB as usize, i),
            "{i}"
        );
    }
    session.logout().await;
    drop(server);
}

/// A change that the unit does not take again is not passed over in silence.
#[tokio::test]
async fn an_acknowledged_write_that_cannot_be_repeated_fails_the_next_flush() {
    let directory = tempfile::tempdir().unwrap();
    let path = medium(&directory);
    let (server, session, disk) = hold_cached(&path).await;
    let address = server.local_addrs()[0];
    write(&disk, 0, pattern(4096, 1)).await;
    server.kill().await;
    let protected = LogicalUnit::new(cached(&path), 512, UnitIdentity::from_key("disk"));
    let protected = Arc::new(protected.unwrap().with_write_protect(true));
    let server = serve_at(address, target().lun(0, protected)).await;
    logged_in_again(&session, 1).await;
    let failed = in_time(submit(&disk, Operation::Flush, 0, Vec::new()))
        .await
        .1
        .unwrap_err();
    assert!(
        failed.to_string().contains("lost acknowledged writes"),
        "{failed}"
    );
    session.logout().await;
    drop(server);
}

#[tokio::test]
async fn another_disk_at_the_same_lun_is_never_written_to() {
    let server = serve().await;
    let address = server.local_addrs()[0];
    let mut options = options(address);
    options.hold = Hold::Forever;
    let session = established(options).await;
    let disk = disk(&session).await;
    let mut events = session.events();
    server.kill().await;
    let pending = submit(&disk, Operation::Write { fua: false }, 0, pattern(4096, 1));
    let other = ram();
    let server = serve_at(
        address,
        target().lun(0, unit(Arc::clone(&other), "another")),
    )
    .await;
    let (expected, found) = event(&mut events, |event| match event {
        SessionEvent::WrongDisk {
            expected, found, ..
        } => Some((expected, found)),
        _ => None,
    })
    .await;
    assert_eq!(Some(&expected), disk.identity());
    assert_ne!(found, Some(expected));
    in_time(pending).await.1.unwrap_err();
    let late = submit(&disk, Operation::Write { fua: false }, 0, pattern(4096, 2));
    let refused = in_time(late).await.1.unwrap_err();
    assert!(refused.to_string().contains("another disk"), "{refused}");
    assert!(disk.is_wrong_disk());
    let mut data = vec![0; 4096];
    other.read(0, &mut data).unwrap();
    assert_eq!(data, vec![0; 4096], "nothing was written");
    session.logout().await;
    drop(server);
}

#[tokio::test]
async fn a_changed_capacity_is_told_and_taken_over() {
    let server = serve().await;
    let session = up(&server).await;
    let disk = disk(&session).await;
    let mut events = session.events();
    let device = Arc::clone(server.target(super::support::TARGET).unwrap().device());
    device.unit(device.luns()[0]).unwrap().capacity_changed();
    drop(read(&disk, 0, 512).await);
    event(&mut events, |event| {
        matches!(event, SessionEvent::CapacityChanged(_)).then_some(())
    })
    .await;
    assert_eq!(in_time(disk.refresh()).await.unwrap().size, 16 * MIB);
    session.logout().await;
}

#[tokio::test]
async fn a_session_without_handles_ends() {
    let server = serve().await;
    let session = up(&server).await;
    let lun = disk(&session).await;
    let mut states = session.watch();
    drop(session);
    // A LUN is enough to keep it.
    drop(read(&lun, 0, 512).await);
    drop(lun);
    let closed = states.wait_for(|state| matches!(state, hawser_engine::SessionState::Closed));
    drop(in_time(closed).await);
}
