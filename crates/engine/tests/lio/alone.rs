//! What breaks LIO's kernel, or may: `cargo xtask vm lio` gives each of these tests a machine of its own.
//!
//! LIO reassigns a task (RFC 7143 §7.2.2) and ends it well; its kernel breaks when the status is acknowledged and the
//! task released. Of a write whose data it had to ask for again it drops a reference too many. What it is asked after
//! that may fail, but must end.

use std::collections::BTreeMap;
use std::time::Duration;

use hawser_block::{Operation, submit};
use hawser_engine::{DigestPolicy, Hold, Lun, LunNumber, Policy, ScsiRequest, Session, Transfer};
use hawser_scsi::{Cdb, IoFlags, Status};
use hawser_testkit::proxy::{Direction, Fault};
use tokio::time::timeout;

use super::load::{BLOCK, digests, disk, told, wanting};
use super::machine::lio;
use super::support::{LIMIT, established, pattern, read, write};
use super::through::{Plan, Through, Written};

/// Bytes of the command that is disturbed.
const LENGTH: u32 = 1 << 20;
/// A byte in its midst: what the disk is asked before it is far less.
const MIDST: u64 = 600_000;

/// The time limits of what LIO may never answer.
fn limited<'a>(isid: u8, level: u8) -> Plan<'a> {
    Plan {
        isid,
        level,
        command: Some(Duration::from_secs(10)),
        hold: Hold::For(Duration::from_secs(10)),
        ..Plan::default()
    }
}

const fn damage(at: u64) -> Fault {
    Fault::CorruptAt { at, mask: 0x40 }
}

/// The same disk through a session of its own, which acknowledges nothing of the other.
async fn witness() -> Lun {
    disk(&established(wanting(lio(), 89, 1, 0, DigestPolicy::None)).await).await
}

/// A raw command is never sent twice.
async fn raw(session: &Session, cdb: Cdb, transfer: Transfer) -> Vec<u8> {
    let lun = LunNumber::from_number(0);
    let request = ScsiRequest { lun, cdb, transfer };
    let answer = timeout(LIMIT, session.scsi(request)).await;
    let answer = answer.expect("in time").unwrap();
    assert_eq!(answer.status, Status::Good);
    answer.data
}

/// What the session is asked now acknowledges the status, upon which LIO may break. It must end: with the right data, or
/// with an error that says what happened.
async fn aftermath(session: &Session, disk: &Lun, data: &[u8]) {
    let request = ScsiRequest {
        lun: LunNumber::from_number(0),
        cdb: Cdb::test_unit_ready(),
        transfer: Transfer::None,
    };
    let ready = timeout(LIMIT, session.scsi(request)).await;
    match ready.expect("in time") {
        Ok(answer) => println!("    the next command: {:?}", answer.status),
        Err(error) => println!("    the next command: {error}"),
    }
    let again = submit(disk, Operation::Read, 0, vec![0xee; data.len()]);
    match timeout(LIMIT, again).await.expect("in time") {
        (found, Ok(())) => {
            println!("    the next read: right");
            assert!(found == data);
        }
        (_, Err(error)) => println!("    the next read: {error}"),
    }
    timeout(LIMIT, session.logout()).await.expect("in time");
}

/// Breaks one of the connections in the midst of a raw command, which ends well only where it is reassigned.
async fn goes_on(count: u16, direction: Direction, fault: Fault) {
    let plan = Plan {
        connections: count,
        policy: Policy::FailOver,
        ping: Some((Duration::from_secs(1), Duration::from_secs(5))),
        faults: &[(0, direction, fault)],
        ..limited(90, 2)
    };
    let mut through = Through::new(plan).await;
    let disk = disk(&through.session).await;
    let witness = witness().await;
    let data = pattern(LENGTH as usize, 77);
    let (blocks, flags) = (LENGTH / 512, IoFlags::default());
    match direction {
        Direction::ToClient => {
            write(&witness, 0, data.clone()).await;
            let cdb = Cdb::read(0, blocks, flags);
            let found = raw(&through.session, cdb, Transfer::Read(LENGTH)).await;
            assert!(found == data);
        }
        Direction::ToServer => {
            let cdb = Cdb::write(0, blocks, flags);
            raw(&through.session, cdb, Transfer::Write(data.clone())).await;
            assert!(read(&witness, 0, LENGTH as usize).await == data);
        }
    }
    let what = format!("level 2, one of {count} with a command, {direction:?} {fault:?}");
    told(&what, &through.session, &mut through.events);
    let counters = through.session.counters();
    assert_eq!(counters.reassigned_commands, 1);
    assert_eq!(counters.replayed_commands, 0);
    assert_eq!(counters.reconnects, u64::from(count == 1));
    aftermath(&through.session, &disk, &data).await;
}

#[tokio::test]
async fn a_read_goes_on_after_the_only_connection() {
    goes_on(1, Direction::ToClient, Fault::CutAt { at: MIDST }).await;
}

#[tokio::test]
async fn a_write_goes_on_after_the_only_connection() {
    goes_on(1, Direction::ToServer, Fault::CutAt { at: MIDST }).await;
}

#[tokio::test]
async fn a_read_goes_on_on_another_connection() {
    goes_on(4, Direction::ToClient, Fault::CutAt { at: MIDST }).await;
}

#[tokio::test]
async fn a_write_goes_on_on_another_connection() {
    goes_on(4, Direction::ToServer, Fault::CutAt { at: MIDST }).await;
}

#[tokio::test]
async fn a_read_goes_on_after_a_slow_connection() {
    let (from, by) = (MIDST, Duration::from_secs(20));
    goes_on(4, Direction::ToClient, Fault::Delay { from, by }).await;
}

/// The header of a status is damaged: the command is done, and it is reassigned to hear how it ended.
#[tokio::test]
async fn a_status_comes_after_a_damaged_header() {
    let plan = Plan {
        digest: digests(true),
        faults: &[(0, Direction::ToClient, damage(5_000))],
        ..limited(90, 2)
    };
    let mut through = Through::new(plan).await;
    let disk = disk(&through.session).await;
    let witness = witness().await;
    let data = pattern(512, 78);
    while through.proxy.accepted() < 2 {
        let cdb = Cdb::write(0, 1, IoFlags::default());
        raw(&through.session, cdb, Transfer::Write(data.clone())).await;
    }
    told(
        "level 2, the header of a status damaged",
        &through.session,
        &mut through.events,
    );
    assert!(read(&witness, 0, 512).await == data);
    let counters = through.session.counters();
    assert_eq!((counters.digest_errors, counters.reconnects), (1, 1));
    assert_eq!(counters.reassigned_commands, 1);
    aftermath(&through.session, &disk, &data).await;
}

/// The header of a command is damaged: LIO never takes it, and it goes out again under its own number. The status of the
/// command before may be without an acknowledgement then, over which LIO may break when the connection comes back.
#[tokio::test]
async fn reads_end_of_which_a_header_is_damaged_at_level_2() {
    let plan = Plan {
        digest: digests(true),
        faults: &[(0, Direction::ToServer, damage(5_000))],
        ..limited(95, 2)
    };
    let mut through = Through::new(plan).await;
    let disk = disk(&through.session).await;
    let data = pattern(BLOCK, 82);
    write(&witness().await, 0, data.clone()).await;
    let mut failure = None;
    while through.proxy.accepted() < 2 && failure.is_none() {
        let read = submit(&disk, Operation::Read, 0, vec![0xee; BLOCK]);
        match timeout(LIMIT, read).await.expect("in time") {
            (found, Ok(())) => assert!(found == data),
            (_, Err(error)) => failure = Some(error.to_string()),
        }
    }
    let what = "level 2, the header of a command damaged";
    told(what, &through.session, &mut through.events);
    println!("    the read that failed: {failure:?}");
    aftermath(&through.session, &disk, &data).await;
}

/// Data that is not in the command has a wrong digest: LIO asks for it again. Whether it answers the command then or
/// not, the write ends well: it may be sent again.
async fn is_written(level: u8, written: Written, at: u64) {
    let plan = Plan {
        digest: digests(true),
        written,
        faults: &[(0, Direction::ToServer, damage(at))],
        ..limited(91, level)
    };
    let mut through = Through::new(plan).await;
    let disk = disk(&through.session).await;
    let witness = witness().await;
    let data = pattern(LENGTH as usize, 79);
    timeout(LIMIT, write(&disk, 0, data.clone()))
        .await
        .expect("in time");
    assert!(through.is_damaged());
    let what = format!("level {level}, data damaged that left {written:?}");
    told(&what, &through.session, &mut through.events);
    assert!(read(&witness, 0, LENGTH as usize).await == data);
    assert_eq!(through.session.counters().failed_commands, 0);
    aftermath(&through.session, &disk, &data).await;
}

/// Immediate data has a wrong digest: LIO rejects each such command, which goes out again with its number (RFC 7143
/// §7.8). It may break when it computes the digest of the Reject, so each write must only end.
async fn is_written_or_fails(level: u8) {
    let damages = [1, 3, 5, 7].map(|block| damage(block * BLOCK as u64));
    let faults = damages.map(|fault| (0, Direction::ToServer, fault));
    let plan = Plan {
        digest: digests(true),
        faults: &faults,
        ..limited(94, level)
    };
    let mut through = Through::new(plan).await;
    let disk = disk(&through.session).await;
    let data = pattern(16 * BLOCK, 81);
    let writes: Vec<_> = (0..data.len())
        .step_by(BLOCK)
        .zip(data.chunks(BLOCK))
        .map(|(at, block)| {
            let operation = Operation::Write { fua: false };
            submit(&disk, operation, at as u64, block.to_vec())
        })
        .collect();
    let mut failures = BTreeMap::new();
    for write in writes {
        if let (_, Err(error)) = timeout(LIMIT, write).await.expect("in time") {
            *failures.entry(error.to_string()).or_insert(0) += 1;
        }
    }
    let what = format!("level {level}, data damaged that left Immediate");
    told(&what, &through.session, &mut through.events);
    println!("    writes that failed: {failures:?}");
    if failures.is_empty() {
        assert!(through.is_damaged());
        assert!(read(&witness().await, 0, data.len()).await == data);
        aftermath(&through.session, &disk, &data).await;
    }
}

#[tokio::test]
async fn damaged_immediate_data_is_written_at_level_1() {
    is_written_or_fails(1).await;
}

#[tokio::test]
async fn damaged_immediate_data_is_written_at_level_2() {
    is_written_or_fails(2).await;
}

#[tokio::test]
async fn damaged_solicited_data_is_written_at_level_1() {
    is_written(1, Written::Solicited, MIDST).await;
}

#[tokio::test]
async fn damaged_solicited_data_is_written_at_level_2() {
    is_written(2, Written::Solicited, MIDST).await;
}

#[tokio::test]
async fn damaged_unsolicited_data_is_written_at_level_1() {
    is_written(1, Written::Unsolicited, 100_000).await;
}

#[tokio::test]
async fn damaged_unsolicited_data_is_written_at_level_2() {
    is_written(2, Written::Unsolicited, 100_000).await;
}

/// Reads on four connections of which one is disturbed. Each must end: with the right data, or with an error that says
/// what happened.
async fn reads_end(what: &str, plan: Plan<'_>) {
    const READS: usize = 24;
    let connections = plan.connections;
    let mut through = Through::new(plan).await;
    let disk = disk(&through.session).await;
    let data = pattern(READS * BLOCK, 80);
    write(&witness().await, 0, data.clone()).await;
    let mut failures = BTreeMap::new();
    while through.proxy.accepted() <= connections.into() && failures.is_empty() {
        let reads: Vec<_> = (0..READS * BLOCK)
            .step_by(BLOCK)
            .map(|at| submit(&disk, Operation::Read, at as u64, vec![0xee; BLOCK]))
            .collect();
        for (read, expected) in reads.into_iter().zip(data.chunks(BLOCK)) {
            match timeout(LIMIT, read).await.expect("in time") {
                (found, Ok(())) => assert!(found == expected),
                (_, Err(error)) => *failures.entry(error.to_string()).or_insert(0) += 1,
            }
        }
    }
    told(what, &through.session, &mut through.events);
    println!("    reads that failed: {failures:?}");
    aftermath(&through.session, &disk, &data).await;
}

#[tokio::test]
async fn many_reads_end_whose_connection_is_cut_at_level_2() {
    let plan = Plan {
        connections: 4,
        faults: &[(1, Direction::ToClient, Fault::CutAt { at: 300_000 })],
        ..limited(92, 2)
    };
    reads_end("level 2, one of four cut with many commands", plan).await;
}

/// A session of several connections that is made again before LIO has looked at those that are closed: LIO may break, as
/// it then goes through a list from which they vanish.
#[tokio::test]
async fn reads_end_whose_session_is_made_again_after_two_seconds() {
    let plan = Plan {
        connections: 4,
        digest: digests(true),
        time2wait: 2,
        faults: &[(0, Direction::ToClient, damage(MIDST))],
        ..limited(93, 0)
    };
    reads_end("level 0, made again after 2 s", plan).await;
}
