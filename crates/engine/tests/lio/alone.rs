//! What breaks LIO's kernel, or may: `cargo xtask vm lio` gives each of these tests a machine of its own.
//!
//! LIO reassigns a task (RFC 7143 §7.2.2) and ends it well; its kernel breaks when the status is acknowledged and the
//! task released. Of a write whose data it had to ask for again it drops the last reference too early.

use std::time::Duration;

use hawser_engine::{DigestPolicy, LunNumber, Policy, ScsiRequest, Transfer};
use hawser_scsi::{Cdb, IoFlags, Status};
use hawser_testkit::proxy::{Direction, Fault, FaultyProxy};

use super::load::{disk, told};
use super::support::{pattern, write};
use super::through::{Plan, Through};

/// Bytes of the command that is cut.
const LENGTH: u32 = 1 << 20;

/// Cuts the connection in the middle of a raw command, which is never sent twice, so it ends well only where it
/// was reassigned.
async fn survives(connections: u16, direction: Direction) {
    // The disk is opened, and written to before it is read, with far fewer bytes than these.
    let at = match direction {
        Direction::ToClient => 600_000,
        Direction::ToServer => 800_000,
    };
    let faults = [(0, direction, Fault::CutAt { at })];
    let plan = Plan {
        isid: 90,
        connections,
        level: 2,
        policy: Policy::FailOver,
        faults: &faults,
        ..Plan::default()
    };
    let mut through = Through::new(plan).await;
    let disk = disk(&through.session).await;
    let data = pattern(LENGTH as usize, 77);
    let (lun, flags) = (LunNumber::from_number(0), IoFlags::default());
    let (cdb, transfer) = match direction {
        Direction::ToClient => {
            write(&disk, 0, data.clone()).await;
            (Cdb::read(0, LENGTH / 512, flags), Transfer::Read(LENGTH))
        }
        Direction::ToServer => {
            let transfer = Transfer::Write(data.clone());
            (Cdb::write(0, LENGTH / 512, flags), transfer)
        }
    };
    let request = ScsiRequest { lun, cdb, transfer };
    let answer = through.session.scsi(request).await.unwrap();
    let what = format!("level 2, one of {connections} cut within a command ({direction:?})");
    told(&what, &through.session, &mut through.events);
    assert_eq!(answer.status, Status::Good);
    assert!(direction == Direction::ToServer || answer.data == data);
    let counters = through.session.counters();
    assert_eq!(counters.reassigned_commands, 1);
    assert_eq!(counters.replayed_commands, 0);
    assert_eq!(counters.reconnects, u64::from(connections == 1));
}

#[tokio::test]
async fn a_read_goes_on_after_the_only_connection() {
    survives(1, Direction::ToClient).await;
}

#[tokio::test]
async fn a_write_goes_on_after_the_only_connection() {
    survives(1, Direction::ToServer).await;
}

#[tokio::test]
async fn a_read_goes_on_on_another_connection() {
    survives(4, Direction::ToClient).await;
}

#[tokio::test]
async fn a_write_goes_on_on_another_connection() {
    survives(4, Direction::ToServer).await;
}

/// Solicited data with a wrong digest: LIO asks for it again and writes it, but never answers the command. That runs
/// into its time limit, is aborted, and sent again.
async fn damaged_solicited_data(level: u8) {
    let at = 1_100_000;
    let faults = [(0, Direction::ToServer, Fault::CorruptAt { at, mask: 0x40 })];
    let plan = Plan {
        isid: 91,
        level,
        digest: DigestPolicy::Crc32c,
        solicited: true,
        command: Some(Duration::from_secs(5)),
        faults: &faults,
        ..Plan::default()
    };
    let mut through = Through::new(plan).await;
    let what = format!("level {level}, solicited Data-Out damaged");
    let is_over = |proxy: &FaultyProxy| proxy.passed(0, Direction::ToServer) > at;
    let counters = through.loaded(&what, is_over).await;
    assert!(counters.timeouts >= 1 && counters.replayed_commands >= 1);
    assert_eq!(counters.failed_commands, 0);
}

#[tokio::test]
async fn damaged_solicited_data_is_written_at_level_1() {
    damaged_solicited_data(1).await;
}

#[tokio::test]
async fn damaged_solicited_data_is_written_at_level_2() {
    damaged_solicited_data(2).await;
}
