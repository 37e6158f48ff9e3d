//! Lost connections and damaged PDUs at each error recovery level. What LIO did is printed; the table in
//! docs/testing-vm.md says why. Whatever it does, all requests end well and the data is right.
//!
//! Nothing here makes LIO reassign a task, which breaks its kernel: see `alone`.

use std::time::Duration;

use hawser_engine::{DigestPolicy, Policy};
use hawser_testkit::proxy::{Direction, Fault, FaultyProxy};
use tokio::time::timeout;

use super::load::{BLOCK, Load, connections, disk, told};
use super::support::{LIMIT, pattern, read, view, write};
use super::through::{Plan, Through};

/// One of four is cut within the data of writes, another within the data of reads. LIO gives the session up
/// for one lost connection below level 2, which the RFC lets it do (RFC 7143 §7.1.4.4).
#[tokio::test]
async fn one_connection_of_four_is_cut_in_the_midst_of_reads_and_writes() {
    for level in 0..2 {
        let faults = [
            (1, Direction::ToServer, Fault::CutAt { at: 700_000 }),
            (2, Direction::ToClient, Fault::CutAt { at: 500_000 }),
        ];
        let plan = Plan {
            isid: 50 + level,
            connections: 4,
            level,
            faults: &faults,
            ..Plan::default()
        };
        let mut through = Through::new(plan).await;
        let what = format!("level {level}, two of four connections cut");
        let counters = through.loaded(&what, |proxy| proxy.accepted() >= 6).await;
        assert!(counters.reconnects >= 1 && counters.replayed_commands > 0);
        connections(&through.session, 4).await;
        through.session.logout().await;
    }
}

#[tokio::test]
async fn the_only_connection_is_cut_in_the_midst_of_reads_and_writes() {
    for level in 0..2 {
        let faults = [
            (0, Direction::ToServer, Fault::CutAt { at: 3_000_000 }),
            (1, Direction::ToClient, Fault::CutAt { at: 1_000_000 }),
        ];
        let plan = Plan {
            isid: 53 + level,
            level,
            faults: &faults,
            ..Plan::default()
        };
        let mut through = Through::new(plan).await;
        let what = format!("level {level}, the only connection cut twice");
        let counters = through.loaded(&what, |proxy| proxy.accepted() >= 3).await;
        assert_eq!(counters.reconnects, 2);
        assert!(counters.replayed_commands > 0);
        through.session.logout().await;
    }
}

/// Level 2, the connection carries pings alone: the others, or another under the same CID, go on in the same
/// session (RFC 7143 §6.3.4, §7.1.4.3).
#[tokio::test]
async fn a_connection_without_commands_comes_back_under_its_cid_at_level_2() {
    for (isid, count) in [(56, 1), (57, 4)] {
        let cut = count - 1;
        let faults = [(cut.into(), Direction::ToServer, Fault::CutAt { at: 1_000 })];
        let plan = Plan {
            isid,
            connections: count,
            level: 2,
            policy: Policy::FailOver,
            ping: Some(Duration::from_secs(1)),
            faults: &faults,
            ..Plan::default()
        };
        let mut through = Through::new(plan).await;
        let tsih = view(&through.session).tsih;
        let is_over = |proxy: &FaultyProxy| proxy.accepted() > u64::from(count);
        if count == 1 {
            let over = async {
                while !is_over(&through.proxy) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(LIMIT, over).await.expect("in time");
        }
        let what = format!("level 2, one of {count} cut that had no commands");
        let counters = through.loaded(&what, is_over).await;
        connections(&through.session, count.into()).await;
        assert_eq!(view(&through.session).tsih, tsih, "the same session");
        assert_eq!(counters.reconnects, u64::from(count == 1));
        assert_eq!(
            (counters.replayed_commands, counters.failed_commands),
            (0, 0)
        );
        through.session.logout().await;
    }
}

/// Data of reads with a wrong digest: above level 0 LIO sends it again (RFC 7143 §7.8, §11.16).
#[tokio::test]
async fn damaged_data_in_is_sent_again() {
    for level in 0..3 {
        let fault = |at| Fault::CorruptAt { at, mask: 0x40 };
        let faults = [
            (0, Direction::ToClient, fault(1_100_000)),
            (0, Direction::ToClient, fault(3_000_000)),
        ];
        let plan = Plan {
            isid: 60 + level,
            level,
            digest: DigestPolicy::Crc32c,
            faults: &faults,
            ..Plan::default()
        };
        let mut through = Through::new(plan).await;
        let what = format!("level {level}, Data-In damaged");
        let is_over = |proxy: &FaultyProxy| {
            proxy.accepted() >= 2 || proxy.passed(0, Direction::ToClient) > 3_000_000
        };
        let counters = through.loaded(&what, is_over).await;
        if level == 0 {
            assert_eq!((counters.digest_errors, counters.reconnects), (1, 1));
            assert_eq!(counters.snacks, 0);
        } else {
            assert_eq!((counters.digest_errors, counters.reconnects), (2, 0));
            assert!(counters.snacks >= 2);
            assert_eq!(counters.replayed_commands, 0);
        }
        through.session.logout().await;
    }
}

/// Data of writes with a wrong digest: above level 0 LIO rejects a command with immediate data, which goes out
/// again with its number (RFC 7143 §7.8). Solicited data costs the connection at level 0; above it, see `alone`.
#[tokio::test]
async fn damaged_data_out_is_written_right() {
    for (isid, level, solicited) in [
        (63, 0, false),
        (64, 1, false),
        (65, 2, false),
        (66, 0, true),
    ] {
        let fault = |at| Fault::CorruptAt { at, mask: 0x40 };
        let faults = [
            (0, Direction::ToServer, fault(1_100_000)),
            (0, Direction::ToServer, fault(2_000_000)),
        ];
        let plan = Plan {
            isid,
            level,
            digest: DigestPolicy::Crc32c,
            solicited,
            faults: &faults,
            ..Plan::default()
        };
        let mut through = Through::new(plan).await;
        let what = format!("level {level}, Data-Out damaged (solicited: {solicited})");
        let is_over = |proxy: &FaultyProxy| {
            proxy.accepted() >= 2 || proxy.passed(0, Direction::ToServer) > 2_000_000
        };
        let counters = through.loaded(&what, is_over).await;
        assert_eq!(counters.reconnects, u64::from(level == 0));
        assert_eq!(counters.replayed_commands > 0, level == 0);
        through.session.logout().await;
    }
}

/// A wrong header digest costs the connection (RFC 7143 §7.8), whichever side finds it.
#[tokio::test]
async fn a_damaged_header_costs_the_connection() {
    let (client, server) = (Direction::ToClient, Direction::ToServer);
    for (isid, level, direction) in [
        (70, 0, client),
        (71, 1, client),
        (72, 0, server),
        (73, 1, server),
    ] {
        let at = 5_000;
        let faults = [(0, direction, Fault::CorruptAt { at, mask: 0x40 })];
        let plan = Plan {
            isid,
            level,
            digest: DigestPolicy::Crc32c,
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
        assert_eq!(counters.reconnects, 1);
        assert_eq!(
            (counters.replayed_commands, counters.failed_commands),
            (1, 0)
        );
        assert!(read(&disk, 0, BLOCK).await == data);
        let mut load = Load::start(&through.session, 9).await;
        load.rounds(1).await;
        load.finish().await;
        through.session.logout().await;
    }
}

/// A connection whose answers take longer than a ping may is given up, and replaced by one that is fast.
#[tokio::test]
async fn a_connection_slower_than_the_ping_time_is_replaced() {
    for (isid, count, level, policy) in [
        (76, 1, 0, Policy::RoundRobin),
        (77, 4, 0, Policy::RoundRobin),
        (78, 4, 1, Policy::RoundRobin),
        // The slow one has no commands.
        (79, 4, 2, Policy::FailOver),
    ] {
        let slow = count - 1;
        let by = Duration::from_millis(4_500);
        let faults = [(slow.into(), Direction::ToClient, Fault::Delay { by })];
        let plan = Plan {
            isid,
            connections: count,
            level,
            policy,
            ping: Some(Duration::from_secs(2)),
            faults: &faults,
            ..Plan::default()
        };
        let mut through = Through::new(plan).await;
        let what = format!("level {level}, one of {count} connections slow");
        let is_over = |proxy: &FaultyProxy| proxy.accepted() > u64::from(count);
        let counters = through.loaded(&what, is_over).await;
        connections(&through.session, count.into()).await;
        // At level 1 LIO may or may not give the session up.
        assert!(level == 1 || (counters.reconnects >= 1) == (level == 0));
        assert_eq!(counters.failed_commands, 0);
        through.session.logout().await;
    }
}
