//! Who the disks are: asked after each login and when they speak of a change, one by one.

use std::sync::Arc;
use std::time::Duration;

use hawser_block::{BlockDevice, ErrorKind, IoFuture, Operation, submit};
use hawser_engine::{Hold, Lun, LunNumber, ScsiRequest, Session, SessionEvent, Transfer};
use hawser_scsi::Cdb;
use hawser_target::TargetHandle;
use hawser_target::disk::{Backend, Device, LogicalUnit, RamBackend, UnitIdentity};
use hawser_target::faults::Answer;

use super::support::{
    MIB, TARGET, anywhere, at_level_0, disk, established, event, in_time, logged_in_again, pattern,
    ram, read, serve, serve_at, target, unit, up, write,
};

/// Two disks, and a session whose commands have half a second each.
async fn neighbours(hold: Hold) -> (TargetHandle, Session, Lun, Lun) {
    let two = target()
        .lun(0, unit(ram(), "zero"))
        .lun(1, unit(ram(), "one"));
    let server = serve_at(anywhere(), two).await;
    let mut options = at_level_0(server.local_addrs()[0]);
    options.hold = hold;
    options.timeouts.command = Duration::from_millis(500);
    let session = established(options).await;
    let (zero, one) = (disk(&session).await, session.lun(LunNumber::from_number(1)));
    let one = in_time(one).await.unwrap();
    (server, session, zero, one)
}

fn device(server: &TargetHandle) -> Arc<Device> {
    Arc::clone(server.target(TARGET).unwrap().device())
}

fn begin_write(disk: &Lun, seed: u64) -> IoFuture {
    submit(
        disk,
        Operation::Write { fua: false },
        0,
        pattern(4096, seed),
    )
}

/// It has not said who it is, so it has not said that it is another.
#[tokio::test]
async fn a_disk_that_has_not_said_who_it_is_is_asked_again() {
    let server = serve().await;
    let session = established(at_level_0(server.local_addrs()[0])).await;
    let disk = disk(&session).await;
    for (reconnects, answer) in (1..).zip([
        Answer::status(0x08),
        Answer::status(0x28),
        Answer::check_condition(0x2, 0x04, 0x01),
        Answer::check_condition(0xb, 0x00, 0x00),
        Answer::check_condition(0x6, 0x29, 0x00),
        Answer::check_condition(0x5, 0x25, 0x00),
        // It refuses the page with its name, and would be known by its serial number only.
        Answer::check_condition(0x5, 0x24, 0x00),
    ]) {
        server.faults().answer_next(answer);
        session.reconnect();
        logged_in_again(&session, reconnects).await;
        write(&disk, 0, pattern(4096, reconnects)).await;
        assert!(!disk.is_wrong_disk());
    }
    session.logout().await;
}

#[tokio::test]
async fn a_check_that_is_rejected_is_made_again() {
    let server = serve().await;
    let session = up(&server).await;
    let disk = disk(&session).await;
    server.faults().reject_next(0x04);
    session.reconnect();
    logged_in_again(&session, 1).await;
    write(&disk, 0, pattern(4096, 1)).await;
    session.logout().await;
}

#[tokio::test]
async fn a_disk_that_is_silent_does_not_hold_up_its_neighbour() {
    let (server, session, zero, one) = neighbours(Hold::Forever).await;
    server.faults().set_black_hole(1, true);
    session.reconnect();
    logged_in_again(&session, 1).await;
    let held = begin_write(&one, 1);
    write(&zero, 0, pattern(4096, 2)).await;
    assert!(read(&zero, 0, 4096).await == pattern(4096, 2));
    server.faults().set_black_hole(1, false);
    in_time(held).await.1.unwrap();
    assert!(read(&one, 0, 4096).await == pattern(4096, 1));
    session.logout().await;
}

/// Targets open their portals before they have all their disks.
#[tokio::test]
async fn a_disk_that_is_not_there_yet_is_waited_for() {
    let (server, session, zero, one) = neighbours(Hold::Forever).await;
    let taken = device(&server).remove(1).unwrap();
    session.reconnect();
    logged_in_again(&session, 1).await;
    let held = begin_write(&one, 1);
    write(&zero, 0, pattern(4096, 2)).await;
    assert!(!one.is_wrong_disk());
    device(&server).insert(1, taken);
    in_time(held).await.1.unwrap();
    session.logout().await;
}

#[tokio::test]
async fn a_disk_that_stays_away_fails_its_requests_after_the_hold_time() {
    let (server, session, zero, one) = neighbours(Hold::For(Duration::from_secs(5))).await;
    device(&server).remove(1).unwrap();
    session.reconnect();
    logged_in_again(&session, 1).await;
    let held = begin_write(&one, 1);
    write(&zero, 0, pattern(4096, 2)).await;
    let failed = in_time(held).await.1.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Disconnected, "{failed}");
    // From now on at once.
    let failed = in_time(begin_write(&one, 1)).await.1.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Disconnected, "{failed}");
    write(&zero, 0, pattern(4096, 3)).await;
    session.logout().await;
}

#[tokio::test]
async fn a_disk_that_is_swapped_under_a_session_is_not_written_to() {
    let server = serve().await;
    let session = up(&server).await;
    let disk = disk(&session).await;
    let mut events = session.events();
    let other = ram();
    device(&server).insert(0, unit(Arc::clone(&other), "another"));
    in_time(begin_write(&disk, 1)).await.1.unwrap_err();
    event(&mut events, |event| {
        matches!(event, SessionEvent::WrongDisk { .. }).then_some(())
    })
    .await;
    let mut data = vec![0; 4096];
    other.read(0, &mut data).unwrap();
    assert_eq!(data, vec![0; 4096], "nothing was written");
    session.logout().await;
}

/// It would go to the disk that is there now.
#[tokio::test]
async fn a_write_that_was_lost_in_a_disk_is_not_repeated_to_another() {
    let (server, session, zero, _one) = neighbours(Hold::Forever).await;
    let mut events = session.events();
    server.faults().set_black_hole(0, true);
    let before = server.counters().commands;
    let lost = begin_write(&zero, 1);
    let received = async {
        while server.counters().commands == before {
            tokio::task::yield_now().await;
        }
    };
    in_time(received).await;
    server.faults().set_black_hole(0, false);
    let other = ram();
    device(&server).insert(0, unit(Arc::clone(&other), "another"));
    let (lun, cdb) = (LunNumber::ZERO, Cdb::test_unit_ready());
    let transfer = Transfer::None;
    in_time(session.scsi(ScsiRequest { lun, cdb, transfer }))
        .await
        .unwrap();
    event(&mut events, |event| {
        matches!(event, SessionEvent::WrongDisk { .. }).then_some(())
    })
    .await;
    in_time(lost).await.1.unwrap_err();
    let mut data = vec![0; 4096];
    other.read(0, &mut data).unwrap();
    assert_eq!(data, vec![0; 4096], "nothing was written");
    session.logout().await;
}

/// Every address would mean another place.
#[tokio::test]
async fn a_disk_with_blocks_of_another_size_is_another_disk() {
    for by_login in [false, true] {
        let server = serve().await;
        let session = up(&server).await;
        let disk = disk(&session).await;
        let other = ram();
        let large = LogicalUnit::new(Arc::clone(&other), 4096, UnitIdentity::from_key("disk"));
        device(&server).insert(0, Arc::new(large.unwrap()));
        if by_login {
            session.reconnect();
            logged_in_again(&session, 1).await;
        } else {
            let error = in_time(disk.refresh()).await.unwrap_err();
            assert!(error.to_string().contains("4096"), "{error}");
            assert!(disk.is_wrong_disk());
        }
        in_time(begin_write(&disk, 1)).await.1.unwrap_err();
        let mut data = vec![0; 65_536];
        other.read(0, &mut data).unwrap();
        assert_eq!(data, vec![0; 65_536], "nothing was written");
        session.logout().await;
    }
}

#[tokio::test]
async fn a_disk_that_has_grown_while_the_session_was_lost_is_told() {
    let server = serve().await;
    let session = established(at_level_0(server.local_addrs()[0])).await;
    let disk = disk(&session).await;
    let mut events = session.events();
    let large: Arc<dyn Backend> = Arc::new(RamBackend::new(32 * MIB).unwrap());
    device(&server).insert(0, unit(large, "disk"));
    session.reconnect();
    event(&mut events, |event| {
        matches!(event, SessionEvent::CapacityChanged(_)).then_some(())
    })
    .await;
    assert_eq!(in_time(disk.refresh()).await.unwrap().size, 32 * MIB);
    assert_eq!(disk.geometry().size, 32 * MIB);
    session.logout().await;
}
