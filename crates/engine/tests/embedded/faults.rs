//! Broken connections, broken PDUs, busy and silent targets.

use std::time::Duration;

use hawser_block::{ErrorKind, Operation, submit};
use hawser_engine::{
    DigestPolicy, Hold, LunNumber, ScsiRequest, SessionError, SessionEvent, Transfer,
};
use hawser_scsi::{Cdb, Status};
use hawser_target::faults::Answer;

use super::support::{
    at_level_0, disk, established, event, in_time, logged_in_again, options, pattern, read, serve,
    survive, up, write,
};

#[tokio::test]
async fn connections_that_break_after_any_number_of_bytes_cost_nothing() {
    connections_break(0).await;
}

#[tokio::test]
async fn connections_of_level_2_that_break_after_any_number_of_bytes_cost_nothing() {
    connections_break(2).await;
}

async fn connections_break(level: u8) {
    let server = serve().await;
    let mut options = options(server.local_addrs()[0]);
    options.hold = Hold::Forever;
    options.login.error_recovery_level = Some(level);
    let session = established(options).await;
    let disk = disk(&session).await;
    for (round, bytes) in (1..).zip([1, 47, 48, 49, 1000, 65_536, 500_001, 2_000_003]) {
        survive(&disk, round * 1000, || {
            server.faults().drop_after_bytes(bytes);
        })
        .await;
        server.faults().clear();
    }
    assert!(session.state().is_up_again(), "connections did break");
    session.logout().await;
}

/// A shorthand for the assertion above.
trait UpAgain {
    fn is_up_again(&self) -> bool;
}

impl UpAgain for hawser_engine::SessionState {
    fn is_up_again(&self) -> bool {
        matches!(self, Self::Up(view) if view.reconnects > 0)
    }
}

#[tokio::test]
async fn wrong_digests_end_the_connection_and_nothing_else() {
    let server = serve().await;
    let mut options = at_level_0(server.local_addrs()[0]);
    options.login.header_digest = DigestPolicy::Crc32c;
    options.login.data_digest = DigestPolicy::Crc32c;
    let session = established(options).await;
    let disk = disk(&session).await;
    write(&disk, 0, pattern(1 << 20, 3)).await;
    server.faults().corrupt_next_header_digest();
    assert!(read(&disk, 0, 1 << 20).await == pattern(1 << 20, 3));
    logged_in_again(&session, 1).await;
    server.faults().corrupt_next_data_digest();
    assert!(read(&disk, 0, 1 << 20).await == pattern(1 << 20, 3));
    logged_in_again(&session, 2).await;
    session.logout().await;
}

#[tokio::test]
async fn a_lost_status_is_noticed_by_its_number() {
    let server = serve().await;
    let session = up(&server).await;
    let disk = disk(&session).await;
    server.faults().jump_status_number(1);
    write(&disk, 0, pattern(4096, 1)).await;
    logged_in_again(&session, 1).await;
    session.logout().await;
}

#[tokio::test]
async fn a_busy_unit_is_asked_again_and_the_caller_never_knows() {
    let server = serve().await;
    let session = up(&server).await;
    let disk = disk(&session).await;
    for answer in [
        Answer::status(0x08),
        Answer::status(0x28),
        Answer::status(0x40),
        Answer::check_condition(0x6, 0x29, 0x00),
        Answer::check_condition(0x2, 0x04, 0x01),
        Answer::check_condition(0xb, 0x47, 0x05),
    ] {
        server.faults().answer_next(answer);
        write(&disk, 0, pattern(8192, 5)).await;
    }
    assert!(read(&disk, 0, 8192).await == pattern(8192, 5));
    session.logout().await;
}

#[tokio::test]
async fn what_a_caller_must_know_has_a_kind_and_the_sense() {
    let server = serve().await;
    let session = up(&server).await;
    let disk = disk(&session).await;
    for (answer, kind, words) in [
        (Answer::status(0x18), ErrorKind::ReservationConflict, "0x18"),
        (
            Answer::check_condition(0x3, 0x11, 0x00),
            ErrorKind::Io,
            "MEDIUM ERROR",
        ),
        (
            Answer::check_condition(0x7, 0x27, 0x00),
            ErrorKind::ReadOnly,
            "DATA PROTECT",
        ),
        (
            Answer::check_condition(0x7, 0x27, 0x07),
            ErrorKind::NoSpace,
            "DATA PROTECT",
        ),
    ] {
        server.faults().answer_next(answer);
        let write = submit(&disk, Operation::Write { fua: false }, 0, vec![1; 512]);
        let (buffer, result) = in_time(write).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(buffer, vec![1; 512], "the buffer comes back");
    }
    session.logout().await;
}

#[tokio::test]
async fn a_rejected_command_is_sent_again_and_the_window_does_not_jam() {
    let server = serve().await;
    let session = up(&server).await;
    let disk = disk(&session).await;
    for reason in [0x04, 0x05, 0x09] {
        server.faults().reject_next(reason);
        write(&disk, 0, pattern(4096, u64::from(reason))).await;
    }
    for seed in 0..200 {
        write(&disk, seed * 512, pattern(512, seed)).await;
    }
    session.logout().await;
}

#[tokio::test]
async fn a_window_of_one_command_is_kept() {
    let server = serve().await;
    server.faults().set_window(Some(1));
    let session = up(&server).await;
    let disk = disk(&session).await;
    survive(&disk, 9, || {}).await;
    session.logout().await;
}

/// TEST UNIT READY of a unit that never answers.
fn test_unit_ready() -> ScsiRequest {
    let (lun, cdb) = (LunNumber::ZERO, Cdb::test_unit_ready());
    ScsiRequest {
        lun,
        cdb,
        transfer: Transfer::None,
    }
}

#[tokio::test]
async fn a_command_that_is_never_answered_is_aborted() {
    let server = serve().await;
    let mut options = options(server.local_addrs()[0]);
    options.timeouts.command = Duration::from_millis(400);
    let session = established(options).await;
    let mut events = session.events();
    server.faults().set_black_hole(0, true);
    let error = in_time(session.scsi(test_unit_ready())).await.unwrap_err();
    assert!(matches!(error, SessionError::TimedOut(_)), "{error}");
    event(&mut events, |event| {
        matches!(event, SessionEvent::Escalated(_)).then_some(())
    })
    .await;
    server.faults().set_black_hole(0, false);
    let answer = in_time(session.scsi(test_unit_ready())).await.unwrap();
    assert!(matches!(
        answer.status,
        Status::Good | Status::CheckCondition
    ));
    session.logout().await;
}

#[tokio::test]
async fn a_block_request_that_is_never_answered_is_aborted_and_repeated() {
    let server = serve().await;
    let mut options = options(server.local_addrs()[0]);
    options.timeouts.command = Duration::from_millis(300);
    let session = established(options).await;
    let mut events = session.events();
    let disk = disk(&session).await;
    server.faults().set_black_hole(0, true);
    let request = submit(&disk, Operation::Write { fua: false }, 0, pattern(512, 1));
    event(&mut events, |event| {
        matches!(event, SessionEvent::Escalated(_)).then_some(())
    })
    .await;
    server.faults().set_black_hole(0, false);
    in_time(request).await.1.unwrap();
    assert!(read(&disk, 0, 512).await == pattern(512, 1));
    session.logout().await;
}

#[tokio::test]
async fn a_raw_command_is_never_sent_twice() {
    let server = serve().await;
    let session = established(at_level_0(server.local_addrs()[0])).await;
    server.faults().set_black_hole(0, true);
    let before = server.counters().commands;
    let request = tokio::spawn({
        let session = session.clone();
        async move { session.scsi(test_unit_ready()).await }
    });
    let received = async {
        while server.counters().commands == before {
            tokio::task::yield_now().await;
        }
    };
    in_time(received).await;
    session.reconnect();
    let error = in_time(request).await.unwrap().unwrap_err();
    assert!(matches!(error, SessionError::Interrupted(_)), "{error}");
    session.logout().await;
}

#[tokio::test]
async fn a_target_that_stops_answering_is_left_and_found_again() {
    let server = serve().await;
    let mut options = at_level_0(server.local_addrs()[0]);
    options.timeouts.ping_interval = Duration::from_millis(200);
    options.timeouts.ping_timeout = Duration::from_millis(200);
    let session = established(options).await;
    let disk = disk(&session).await;
    let mut events = session.events();
    server.faults().set_answers_stalled(true);
    let pending = submit(&disk, Operation::Read, 0, vec![0; 512]);
    event(&mut events, |event| {
        matches!(event, SessionEvent::Lost(_)).then_some(())
    })
    .await;
    server.faults().set_answers_stalled(false);
    in_time(pending).await.1.unwrap();
    session.logout().await;
}

#[tokio::test]
async fn a_table_full_of_held_writes_does_not_lock_out_the_check_of_the_disks() {
    let server = serve().await;
    let mut options = options(server.local_addrs()[0]);
    options.hold = Hold::Forever;
    options.queue_depth = 4;
    let session = established(options).await;
    let disk = disk(&session).await;
    survive(&disk, 1, || server.faults().drop_after_bytes(200)).await;
    assert!(session.state().is_up_again(), "the connection did break");
    session.logout().await;
}
