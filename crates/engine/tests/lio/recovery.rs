//! Lost connections and damaged PDUs at each error recovery level. What LIO did is printed; the table in
//! docs/testing-vm.md says why. Whatever it does, all requests end well and the data is right.
//!
//! Nothing here makes LIO reassign a task, which breaks its kernel: see `alone`.

use std::time::Duration;

use hawser_engine::Policy;
use hawser_testkit::proxy::{Direction, Fault};
use tokio::time::timeout;

use super::load::{BLOCK, Load, connections, digests, disk, told};
use super::support::{LIMIT, pattern, read, view, write};
use super::through::{Plan, Through, Written};

/// Pings at once, so that a connection without commands moves bytes; the answers may take their time.
const PINGS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Longer than the answer to a ping may take.
const SLOW: Duration = Duration::from_secs(8);

const fn damage(at: u64) -> Fault {
    Fault::CorruptAt { at, mask: 0x40 }
}

/// One of four is cut within the data of writes, another within the data of reads.
async fn two_of_four_are_cut(isid: u8, level: u8, has_digests: bool) {
    let faults = [
        (1, Direction::ToServer, Fault::CutAt { at: 700_000 }),
        (2, Direction::ToClient, Fault::CutAt { at: 500_000 }),
    ];
    let plan = Plan {
        isid,
        connections: 4,
        level,
        digest: digests(has_digests),
        faults: &faults,
        ..Plan::default()
    };
    let mut through = Through::new(plan).await;
    let what = format!("level {level}, digests {has_digests}, two of four connections cut");
    // Each cut costs a connection more at least.
    let is_over = |through: &Through| through.proxy.accepted() >= 6;
    let counters = through.loaded(&what, is_over).await;
    // At level 1 LIO may or may not give the session up.
    assert!(level == 1 || counters.reconnects >= 1);
    assert!(counters.replayed_commands > 0);
    connections(&through.session, 4).await;
    through.session.logout().await;
}

#[tokio::test]
async fn two_of_four_connections_are_cut_in_the_midst_of_reads_and_writes() {
    for (isid, level, has_digests) in [(50, 0, false), (51, 1, false), (52, 0, true), (53, 1, true)]
    {
        two_of_four_are_cut(isid, level, has_digests).await;
    }
}

#[tokio::test]
async fn the_only_connection_is_cut_in_the_midst_of_reads_and_writes() {
    for (isid, level, has_digests) in [(54, 0, false), (55, 1, false), (56, 0, true), (57, 1, true)]
    {
        let faults = [
            (0, Direction::ToServer, Fault::CutAt { at: 3_000_000 }),
            (1, Direction::ToClient, Fault::CutAt { at: 1_000_000 }),
        ];
        let plan = Plan {
            isid,
            level,
            digest: digests(has_digests),
            faults: &faults,
            ..Plan::default()
        };
        let mut through = Through::new(plan).await;
        let what = format!("level {level}, digests {has_digests}, the only connection cut twice");
        let is_over = |through: &Through| through.proxy.accepted() >= 3;
        let counters = through.loaded(&what, is_over).await;
        assert_eq!(counters.reconnects, 2);
        assert!(counters.replayed_commands > 0);
        through.session.logout().await;
    }
}

/// Level 2, the last of so many connections carries pings alone: the others, or another under the same CID, go
/// on in the same session (RFC 7143 §6.3.4, §7.1.4.3).
async fn comes_back(isid: u8, count: u16, has_digests: bool, direction: Direction, fault: Fault) {
    let faults = [(u64::from(count - 1), direction, fault)];
    let plan = Plan {
        isid,
        connections: count,
        level: 2,
        digest: digests(has_digests),
        policy: Policy::FailOver,
        ping: Some(PINGS),
        faults: &faults,
        ..Plan::default()
    };
    let mut through = Through::new(plan).await;
    let tsih = view(&through.session).tsih;
    let is_over = |through: &Through| through.proxy.accepted() > u64::from(count);
    if count == 1 {
        through.idle(is_over).await;
    }
    let what = format!("level 2, one of {count} without commands: {direction:?} {fault:?}");
    let counters = through.loaded(&what, is_over).await;
    connections(&through.session, count.into()).await;
    assert_eq!(view(&through.session).tsih, tsih, "the same session");
    assert_eq!(counters.reconnects, u64::from(count == 1));
    assert_eq!(counters.replayed_commands, 0);
    through.session.logout().await;
}

#[tokio::test]
async fn a_connection_without_commands_is_cut_at_level_2_and_comes_back() {
    let (client, server) = (Direction::ToClient, Direction::ToServer);
    let cut = Fault::CutAt { at: 1_500 };
    comes_back(60, 1, false, server, cut).await;
    comes_back(61, 1, true, client, cut).await;
    comes_back(62, 4, false, client, cut).await;
    comes_back(63, 4, true, server, cut).await;
}

/// RFC 7143 §7.8: a wrong header digest costs the connection.
#[tokio::test]
async fn a_header_without_a_command_is_damaged_at_level_2_and_the_connection_comes_back() {
    let (client, server) = (Direction::ToClient, Direction::ToServer);
    // Behind the logins.
    let damaged = damage(1_500);
    comes_back(64, 1, true, server, damaged).await;
    comes_back(65, 1, true, client, damaged).await;
    comes_back(66, 4, true, server, damaged).await;
    comes_back(67, 4, true, client, damaged).await;
}

#[tokio::test]
async fn a_slow_connection_without_commands_is_replaced_at_level_2() {
    let (from, by) = (1_500, SLOW);
    let slow = Fault::Delay { from, by };
    comes_back(68, 1, false, Direction::ToClient, slow).await;
    comes_back(69, 4, false, Direction::ToClient, slow).await;
}

/// Data of reads with a wrong digest: above level 0 LIO sends it again (RFC 7143 §7.8, §11.16).
async fn data_in_is_damaged(isid: u8, level: u8, count: u16) {
    let client = Direction::ToClient;
    // On two connections, or twice on the only one.
    let faults = [
        (0, client, damage(600_000)),
        (u64::from(count / 2), client, damage(1_100_000)),
    ];
    let plan = Plan {
        isid,
        connections: count,
        level,
        digest: digests(true),
        faults: &faults,
        ..Plan::default()
    };
    let mut through = Through::new(plan).await;
    let what = format!("level {level}, {count} connections, Data-In damaged");
    let is_over =
        |through: &Through| through.proxy.accepted() > u64::from(count) || through.is_damaged();
    let counters = through.loaded(&what, is_over).await;
    if level == 0 {
        assert_eq!((counters.digest_errors, counters.reconnects), (1, 1));
        assert_eq!(counters.snacks, 0);
        assert!(counters.replayed_commands > 0);
    } else {
        assert_eq!((counters.digest_errors, counters.reconnects), (2, 0));
        assert!(counters.snacks >= 2);
        assert_eq!(counters.replayed_commands, 0);
    }
    through.session.logout().await;
}

#[tokio::test]
async fn damaged_data_in_is_sent_again() {
    for level in 0..3 {
        data_in_is_damaged(70 + level, level, 1).await;
    }
}

#[tokio::test]
async fn damaged_data_in_of_two_of_four_connections_is_sent_again() {
    for level in 0..3 {
        data_in_is_damaged(73 + level, level, 4).await;
    }
}

/// Data of writes with a wrong digest costs the connection at level 0 (RFC 7143 §7.8); above it, see `alone`.
async fn data_out_is_damaged(isid: u8, count: u16, written: Written) {
    let server = Direction::ToServer;
    let faults = [
        (0, server, damage(600_000)),
        (u64::from(count / 2), server, damage(1_100_000)),
    ];
    let plan = Plan {
        isid,
        connections: count,
        digest: digests(true),
        written,
        faults: &faults,
        ..Plan::default()
    };
    let mut through = Through::new(plan).await;
    let what = format!("level 0, {count} connections, data damaged that left {written:?}");
    let is_over = |through: &Through| through.proxy.accepted() > u64::from(count);
    let counters = through.loaded(&what, is_over).await;
    assert_eq!(counters.reconnects, 1);
    assert!(counters.replayed_commands > 0);
    through.session.logout().await;
}

#[tokio::test]
async fn damaged_data_out_is_written_right_at_level_0() {
    data_out_is_damaged(76, 1, Written::Immediate).await;
    data_out_is_damaged(77, 4, Written::Immediate).await;
    data_out_is_damaged(78, 1, Written::Unsolicited).await;
    data_out_is_damaged(79, 1, Written::Solicited).await;
    data_out_is_damaged(80, 4, Written::Solicited).await;
}

/// A wrong header digest costs the connection (RFC 7143 §7.8), whichever side finds it.
async fn a_header_is_damaged(isid: u8, level: u8, direction: Direction) {
    let faults = [(0, direction, damage(5_000))];
    let plan = Plan {
        isid,
        level,
        digest: digests(true),
        faults: &faults,
        ..Plan::default()
    };
    let mut through = Through::new(plan).await;
    let disk = disk(&through.session).await;
    // Reads send headers alone, and writes are answered by headers alone.
    let data = match direction {
        Direction::ToClient => pattern(BLOCK, 5),
        Direction::ToServer => read(&disk, 0, BLOCK).await,
    };
    let until_lost = async {
        while through.proxy.accepted() < 2 {
            match direction {
                Direction::ToClient => write(&disk, 0, data.clone()).await,
                Direction::ToServer => assert!(read(&disk, 0, BLOCK).await == data),
            }
        }
    };
    timeout(LIMIT, until_lost).await.expect("in time");
    let what = format!("level {level}, header damaged ({direction:?})");
    told(&what, &through.session, &mut through.events);
    let counters = through.session.counters();
    assert_eq!((counters.reconnects, counters.failed_commands), (1, 0));
    assert_eq!(counters.replayed_commands, 1);
    assert!(read(&disk, 0, BLOCK).await == data);
    let mut load = Load::start(disk, 9).await;
    load.rounds(1).await;
    load.finish().await;
    through.session.logout().await;
}

#[tokio::test]
async fn a_damaged_header_costs_the_only_connection() {
    for level in 0..2 {
        a_header_is_damaged(85 + level, level, Direction::ToClient).await;
        a_header_is_damaged(87 + level, level, Direction::ToServer).await;
    }
}

/// A connection whose answers take longer than a ping may is given up, and replaced by one that is fast.
async fn a_connection_is_slow(isid: u8, count: u16, level: u8) {
    let (from, by) = (300_000, SLOW);
    let slow = (
        u64::from(count - 1),
        Direction::ToClient,
        Fault::Delay { from, by },
    );
    let plan = Plan {
        isid,
        connections: count,
        level,
        ping: Some(PINGS),
        faults: &[slow],
        ..Plan::default()
    };
    let mut through = Through::new(plan).await;
    let what = format!("level {level}, one of {count} connections slow");
    let is_over = |through: &Through| through.proxy.accepted() > u64::from(count);
    let counters = through.loaded(&what, is_over).await;
    connections(&through.session, count.into()).await;
    // Several connections at level 1: LIO may or may not give the session up.
    let is_open = level == 1 && count > 1;
    assert!(is_open || counters.reconnects == 1);
    assert!(counters.replayed_commands > 0);
    through.session.logout().await;
}

#[tokio::test]
async fn a_connection_slower_than_the_ping_time_is_replaced() {
    for level in 0..2 {
        a_connection_is_slow(92 + level, 1, level).await;
        a_connection_is_slow(94 + level, 4, level).await;
    }
}

/// RFC 7143 §4.2.2.1: what one connection delays, the target waits for before it carries out what comes behind.
#[tokio::test]
async fn late_connections_put_the_commands_out_of_order() {
    for level in 0..3 {
        let (from, by) = (2_000, Duration::from_millis(30));
        let late = Fault::Delay { from, by };
        let faults = [
            (1, Direction::ToServer, late),
            (2, Direction::ToClient, late),
        ];
        let plan = Plan {
            isid: 96 + level,
            connections: 4,
            level,
            digest: digests(true),
            faults: &faults,
            ..Plan::default()
        };
        let mut through = Through::new(plan).await;
        let what = format!("level {level}, two of four connections late");
        let is_over = |through: &Through| {
            let passed = |cid, direction| through.proxy.passed(cid, direction);
            passed(1, Direction::ToServer) > 500_000 && passed(2, Direction::ToClient) > 500_000
        };
        let counters = through.loaded(&what, is_over).await;
        assert_eq!((counters.reconnects, counters.timeouts), (0, 0));
        assert_eq!(counters.replayed_commands, 0);
        connections(&through.session, 4).await;
        through.session.logout().await;
    }
}
