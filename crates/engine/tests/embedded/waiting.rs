//! Requests that wait never wait in vain: the session that ends, in whatever way, answers them.

use std::time::Duration;

use hawser_block::{ErrorKind, IoFuture, Operation, submit};
use hawser_engine::{Hold, Lun, Session, SessionState};
use hawser_target::TargetHandle;
use hawser_target::faults::Answer;

use super::support::{
    MIB, at_level_0, disk, established, in_time, options, pattern, read, serve, up,
};

/// A session with room for two commands, whose target is gone for ever, and ten writes.
async fn forsaken() -> (Session, Lun, Vec<IoFuture>) {
    let server = serve().await;
    let (session, disk) = narrow(&server).await;
    server.kill().await;
    let writes = (0..10).map(|i| write(&disk, i)).collect();
    (session, disk, writes)
}

async fn narrow(server: &TargetHandle) -> (Session, Lun) {
    let mut options = at_level_0(server.local_addrs()[0]);
    options.hold = Hold::Forever;
    options.queue_depth = 2;
    let session = established(options).await;
    let disk = disk(&session).await;
    (session, disk)
}

fn write(disk: &Lun, i: u64) -> IoFuture {
    let operation = Operation::Write { fua: false };
    submit(disk, operation, i * 4096, pattern(4096, i))
}

async fn all_closed(writes: Vec<IoFuture>) {
    for write in writes {
        let (buffer, result) = in_time(write).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(buffer.len(), 4096, "the buffer comes back");
    }
}

#[tokio::test]
async fn a_logout_passes_what_waits_for_a_target_that_is_gone() {
    let (session, _disk, writes) = forsaken().await;
    in_time(session.logout()).await;
    all_closed(writes).await;
}

#[tokio::test]
async fn a_session_that_nobody_holds_ends_although_requests_wait() {
    let (session, disk, writes) = forsaken().await;
    let mut states = session.watch();
    drop((session, disk));
    let closed = states.wait_for(|state| matches!(state, SessionState::Closed));
    drop(in_time(closed).await);
    all_closed(writes).await;
}

/// With more writes than the task table holds, all in the hands of a target that loses them.
#[tokio::test]
async fn more_requests_than_room_survive_a_loss() {
    let server = serve().await;
    let (session, disk) = narrow(&server).await;
    server.faults().set_black_hole(0, true);
    let writes: Vec<_> = (0..64).map(|i| write(&disk, i)).collect();
    let before = server.counters().commands;
    let received = async {
        while server.counters().commands < before + 2 {
            tokio::task::yield_now().await;
        }
    };
    in_time(received).await;
    server.faults().set_black_hole(0, false);
    session.reconnect();
    for write in writes {
        in_time(write).await.1.unwrap();
    }
    session.logout().await;
}

/// The task that drives the session is dropped with its runtime; those that wait are elsewhere.
#[tokio::test]
async fn a_runtime_that_shuts_down_leaves_nobody_waiting() {
    let server = serve().await;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (session, disk) = {
        let options = options(server.local_addrs()[0]);
        let opened = runtime.spawn(async {
            let session = established(options).await;
            let disk = disk(&session).await;
            (session, disk)
        });
        in_time(opened).await.unwrap()
    };
    server.faults().set_black_hole(0, true);
    let writes: Vec<_> = (0..10).map(|i| write(&disk, i)).collect();
    runtime.shutdown_background();
    all_closed(writes).await;
    all_closed(vec![write(&disk, 0)]).await;
    in_time(session.logout()).await;
    assert!(matches!(session.state(), SessionState::Closed));
}

/// Clock ticks of processor time that this thread has used; on the runtime of these tests it drives
/// the session too.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let behind_name = stat.rsplit_once(')').unwrap().1;
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut next = || fields.next().unwrap().parse::<u64>().unwrap();
    next() + next()
}

/// One request is to be sent again, and finds no room among those that wait for the target.
#[tokio::test]
async fn a_session_that_can_only_wait_uses_no_processor() {
    let server = serve().await;
    let (session, disk) = narrow(&server).await;
    server.faults().answer_next(Answer::status(0x08));
    let before = server.counters().commands;
    let mut writes = vec![write(&disk, 0)];
    let answered = async {
        while server.counters().commands == before {
            tokio::task::yield_now().await;
        }
    };
    in_time(answered).await;
    server.kill().await;
    writes.extend((1..10).map(|i| write(&disk, i)));
    let mut used = ticks();
    // Two windows: in the first the pause of the busy unit ends.
    for _ in 0..2 {
        let start = ticks();
        tokio::time::sleep(Duration::from_millis(700)).await;
        used = ticks() - start;
    }
    assert!(used < 20, "{used} ticks of 70");
    in_time(session.logout()).await;
    all_closed(writes).await;
}

#[tokio::test]
async fn large_requests_are_cut_and_put_together() {
    let server = serve().await;
    let session = up(&server).await;
    let disk = disk(&session).await;
    let (large, at) = (9 * MIB + 512, MIB - 512);
    let data = pattern(large as usize, 1);
    let write = || submit(&disk, Operation::Write { fua: true }, at, data.clone());
    let (buffer, result) = in_time(write()).await;
    result.unwrap();
    assert!(buffer == data, "the buffer comes back");
    assert!(read(&disk, at, large as usize).await == data);
    for operation in [
        Operation::Discard { length: large },
        Operation::WriteZeroes {
            length: large,
            fua: true,
            may_unmap: false,
        },
    ] {
        let request = submit(&disk, operation, at, Vec::new());
        in_time(request).await.1.unwrap();
    }
    assert!(read(&disk, at, large as usize).await == vec![0; large as usize]);
    session.logout().await;
    // Now each part is refused while it is submitted.
    let (buffer, result) = in_time(write()).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Closed);
    assert!(buffer == data, "the buffer comes back");
}
