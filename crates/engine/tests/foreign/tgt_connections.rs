//! Several connections with tgt, and error recovery levels that it agrees on.

use hawser_engine::{Policy, SessionEvent, SessionOptions};

use super::support::{
    connections, established, login_options, options, survive, tgt, tgt_disks, write_and_read,
};

/// A target that agrees to `connections` and this level.
fn target(connections: u16, level: u8) -> hawser_testkit::peers::Tgtd {
    let target = tgt_disks(1)
        .parameter("MaxConnections", &connections.to_string())
        .parameter("ErrorRecoveryLevel", &level.to_string());
    tgt(target)
}

fn wanting(portal: std::net::SocketAddr, connections: u16, level: u8) -> SessionOptions {
    let mut login = login_options();
    login.max_connections = 4;
    login.error_recovery_level = Some(level);
    let mut options = options(portal, login);
    options.connections = connections;
    options
}

#[tokio::test]
async fn commands_go_over_all_connections() {
    let server = target(4, 0);
    let session = established(wanting(server.portal(), 3, 0)).await;
    connections(&session, 3).await;
    for policy in [
        Policy::RoundRobin,
        Policy::LeastQueueDepth,
        Policy::Weighted(vec![(0, 3)]),
    ] {
        session.set_policy(policy);
        survive(&session, 100, 65_536, 1, || {}).await;
    }
    write_and_read(&session).await;
    let views = session.connections().await;
    for view in &views {
        assert!(view.traffic.commands > 20, "{view:?}");
        assert!(view.traffic.bytes_sent > 65_536, "{view:?}");
    }
    let total: u64 = views.iter().map(|view| view.traffic.commands).sum();
    assert_eq!(total, session.counters().commands);
    session.logout().await;
}

#[tokio::test]
async fn connections_are_added_and_removed_while_commands_run() {
    let server = target(4, 0);
    let session = established(wanting(server.portal(), 1, 0)).await;
    let adding = session.clone();
    survive(&session, 200, 65_536, 1, move || {
        tokio::spawn(async move {
            adding.add_connection().await.unwrap();
            connections(&adding, 2).await;
            adding.add_connection().await.unwrap();
            connections(&adding, 3).await;
            adding.remove_connection(1).await.unwrap();
            connections(&adding, 2).await;
        });
    })
    .await;
    connections(&session, 2).await;
    survive(&session, 50, 65_536, 2, || {}).await;
    assert_eq!(session.counters().reconnects, 0);
    session.logout().await;
}

#[tokio::test]
async fn a_target_without_further_connections_is_used_with_one() {
    let server = target(1, 0);
    let session = established(wanting(server.portal(), 3, 0)).await;
    survive(&session, 20, 65_536, 1, || {}).await;
    assert_eq!(session.connections().await.len(), 1);
    assert!(session.add_connection().await.is_err());
    session.logout().await;
}

/// tgt agrees on any level and keeps to none of it: the commands must not notice.
#[tokio::test]
async fn a_target_that_does_not_recover_as_it_has_agreed_is_served_all_the_same() {
    for level in [1, 2] {
        for count in [1, 2] {
            let server = target(4, level);
            let session = established(wanting(server.portal(), count, level)).await;
            connections(&session, usize::from(count)).await;
            let mut events = session.events();
            for round in 1..3 {
                survive(&session, 64, 65_536, round * 100, || session.reconnect()).await;
            }
            write_and_read(&session).await;
            let mut seen = Vec::new();
            while let Ok(event) = events.try_recv() {
                seen.push(event);
            }
            let lost = |event: &SessionEvent| {
                matches!(
                    event,
                    SessionEvent::Lost(_) | SessionEvent::ConnectionLost { .. }
                )
            };
            assert!(seen.iter().any(lost), "level {level}, {count}: {seen:?}");
            session.logout().await;
        }
    }
}
