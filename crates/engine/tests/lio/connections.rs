//! Several connections in one session.

use hawser_engine::{DigestPolicy, Policy, Session};

use super::load::{Load, agreed, connections, disk, heard, wanting};
use super::machine::lio;
use super::support::{established, view};

/// Commands of each connection, by CID.
async fn commands(session: &Session) -> [u64; 4] {
    let mut commands = [0; 4];
    for view in session.connections().await {
        commands[usize::from(view.login.cid)] = view.traffic.commands;
    }
    commands
}

/// What each connection carries under a policy.
async fn carried(session: &Session, policy: Policy) -> [u64; 4] {
    session.set_policy(policy);
    let before = commands(session).await;
    let mut load = Load::start(disk(session).await, 1).await;
    load.rounds(4).await;
    load.finish().await;
    let after = commands(session).await;
    std::array::from_fn(|cid| after[cid] - before[cid])
}

/// RFC 7143 §4.2.3, §7.4.1: the four are one session, and all carry commands.
async fn four_join(isid: u8, level: u8, digest: DigestPolicy) {
    let session = established(wanting(lio(), isid, 4, level, digest)).await;
    connections(&session, 4).await;
    agreed(&session, level, digest).await;
    let tsih = view(&session).tsih;
    for connection in session.connections().await {
        assert_eq!(connection.login.tsih, tsih);
    }
    let mut load = Load::start(disk(&session).await, u64::from(isid)).await;
    load.rounds(2).await;
    load.finish().await;
    let carried = commands(&session).await;
    println!("    commands of each: {carried:?}");
    assert!(carried.iter().all(|&commands| commands > 8), "{carried:?}");
    let counters = session.counters();
    assert_eq!((counters.reconnects, counters.digest_errors), (0, 0));
    session.logout().await;
}

#[tokio::test]
async fn four_connections_join_one_session_at_each_level() {
    for level in 0..3 {
        four_join(40 + level, level, DigestPolicy::None).await;
    }
}

#[tokio::test]
async fn four_connections_with_digests_join_one_session_at_each_level() {
    for level in 0..3 {
        four_join(36 + level, level, DigestPolicy::Crc32c).await;
    }
}

#[tokio::test]
async fn each_policy_spreads_the_commands_in_its_way() {
    let session = established(wanting(lio(), 43, 4, 0, DigestPolicy::None)).await;
    connections(&session, 4).await;
    for policy in [Policy::RoundRobin, Policy::LeastQueueDepth] {
        let shares = carried(&session, policy.clone()).await;
        println!("{policy:?}: {shares:?}");
        let total: u64 = shares.iter().sum();
        assert!(
            shares.iter().all(|&share| share >= total / 10),
            "{policy:?}: {shares:?}"
        );
    }
    let weighted = carried(&session, Policy::Weighted(vec![(2, 5), (3, 0)])).await;
    println!("weights 1, 1, 5, 0: {weighted:?}");
    let [first, second, heavy, idle] = weighted;
    assert!(heavy > 2 * first && heavy > 2 * second, "{weighted:?}");
    assert!(first > 0 && second > 0 && idle < heavy, "{weighted:?}");
    let one = carried(&session, Policy::FailOver).await;
    println!("the first alone: {one:?}");
    assert!(one[0] > 0 && one[1..] == [0, 0, 0], "{one:?}");
    session.logout().await;
}

/// RFC 7143 §11.14, reason 1: the commands of the others, and of the session, do not notice.
#[tokio::test]
async fn each_connection_is_removed_and_added_while_commands_run() {
    for level in 0..3 {
        let digest = DigestPolicy::None;
        let session = established(wanting(lio(), 44 + level, 4, level, digest)).await;
        connections(&session, 4).await;
        agreed(&session, level, digest).await;
        let mut events = session.events();
        let mut load = Load::start(disk(&session).await, 7).await;
        for cid in 0..4 {
            session.remove_connection(cid).await.unwrap();
            connections(&session, 3).await;
            load.rounds(1).await;
            assert_eq!(session.add_connection().await.unwrap(), cid);
            connections(&session, 4).await;
            load.rounds(1).await;
        }
        load.finish().await;
        let counters = session.counters();
        assert_eq!((counters.reconnects, counters.failed_commands), (0, 0));
        let heard = heard(&mut events);
        let up = |cid| heard.contains(&format!("CID {cid} up"));
        assert!((0..4).all(up), "{heard:?}");
        session.logout().await;
    }
}

/// The target ends the other connections of a session that is logged out itself (RFC 7143 §11.14): LIO's kernel may
/// break over those that the initiator closes meanwhile.
#[tokio::test]
async fn a_session_of_four_connections_logs_out_again_and_again() {
    for _ in 0..30 {
        let session = established(wanting(lio(), 47, 4, 0, DigestPolicy::None)).await;
        connections(&session, 4).await;
        session.logout().await;
    }
}

/// Who asks for no level gets what LIO's kernel survives, also when the session is made again.
#[tokio::test]
async fn a_session_without_a_wish_spares_lio() {
    for (isid, count) in [(48, 1), (49, 4)] {
        let mut options = wanting(lio(), isid, count, 2, DigestPolicy::None);
        options.login.error_recovery_level = None;
        options.login.time2wait = 0;
        options.login.max_connections = count;
        let session = established(options).await;
        connections(&session, usize::from(count)).await;
        let agreed = view(&session).parameters;
        println!(
            "LIO agreed: MaxConnections={} ErrorRecoveryLevel={} DefaultTime2Wait={}",
            agreed.max_connections, agreed.error_recovery_level, agreed.time2wait
        );
        assert_eq!(agreed.error_recovery_level, 0);
        assert!(count == 1 || agreed.time2wait == 4, "{agreed:?}");
        let mut load = Load::start(disk(&session).await, u64::from(isid)).await;
        load.rounds(1).await;
        session.reconnect();
        load.rounds(2).await;
        load.finish().await;
        connections(&session, usize::from(count)).await;
        assert_eq!(session.counters().reconnects, 1);
        assert_eq!(view(&session).parameters.error_recovery_level, 0);
        session.logout().await;
    }
}
