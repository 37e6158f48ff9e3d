//! No lost write, no wrong disk.

use std::sync::Arc;

use hawser_block::{BlockDevice, Operation, submit};
use hawser_engine::{Hold, Lun, SessionEvent};
use hawser_target::disk::{Backend, FileBackend, VolatileCache};

use super::support::{
    MIB, anywhere, disk, established, event, in_time, logged_in_again, options, pattern, ram, read,
    serve, serve_at, target, unit, up, write,
};

fn cached(path: &std::path::Path) -> Arc<dyn Backend> {
    Arc::new(VolatileCache::new(FileBackend::open(path, false).unwrap()))
}

async fn flush(disk: &Lun) {
    in_time(submit(disk, Operation::Flush, 0, Vec::new()))
        .await
        .1
        .unwrap();
}

/// The target's cache forgets what was not flushed when the target is killed: so the flush was sent,
/// and it was needed.
#[tokio::test]
async fn a_flush_reaches_the_medium_behind_a_volatile_cache() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("medium");
    std::fs::File::create(&path)
        .unwrap()
        .set_len(16 * MIB)
        .unwrap();
    let server = serve_at(anywhere(), target().lun(0, unit(cached(&path), "disk"))).await;
    let address = server.local_addrs()[0];
    let mut options = options(address);
    options.hold = Hold::Forever;
    let session = established(options).await;
    let disk = disk(&session).await;
    assert!(disk.geometry().volatile_cache);
    write(&disk, 0, pattern(MIB as usize, 1)).await;
    flush(&disk).await;
    let fua = submit(
        &disk,
        Operation::Write { fua: true },
        2 * MIB,
        pattern(4096, 2),
    );
    in_time(fua).await.1.unwrap();
    write(&disk, MIB, pattern(MIB as usize, 3)).await;
    server.kill().await;
    let server = serve_at(address, target().lun(0, unit(cached(&path), "disk"))).await;
    logged_in_again(&session, 1).await;
    assert!(
        read(&disk, 0, MIB as usize).await == pattern(MIB as usize, 1),
        "flushed"
    );
    assert!(
        read(&disk, 2 * MIB, 4096).await == pattern(4096, 2),
        "forced"
    );
    assert!(
        read(&disk, MIB, MIB as usize).await != pattern(MIB as usize, 3),
        "it does forget"
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
