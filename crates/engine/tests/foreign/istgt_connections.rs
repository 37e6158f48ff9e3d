//! Several connections with istgt. It agrees to error recovery level 0 alone, at which the loss of one connection is that
//! of the session.

use std::sync::Arc;
use std::time::Duration;

use hawser_engine::{
    ConnectionOptions, ConnectionView, DigestPolicy, JoinError, MembershipError, Portal, Session,
    SessionEvent, SessionOptions, SessionView,
};
use hawser_testkit::peers::{Istgt, IstgtConfig, IstgtTarget};
use hawser_testkit::proxy::FaultyProxy;
use tokio::time::timeout;

use super::support::{
    LIMIT, MIB, TARGET, connections, established, logged_in_again, login_options, options, survive,
    write_and_read,
};

/// `MaxConnections` of the testkit's istgt.
const MOST: u16 = 8;

fn serve() -> Istgt {
    let target = IstgtTarget::new(TARGET).disks(1, 64 * MIB);
    Istgt::start(IstgtConfig::new().target(target)).expect("istgt starts")
}

/// Options for a session of one connection that offers so many.
fn offered(server: &Istgt, most: u16) -> SessionOptions {
    let mut login = login_options();
    login.max_connections = most;
    options(server.portal(), login)
}

async fn offering(server: &Istgt, most: u16) -> Session {
    established(offered(server, most)).await
}

async fn join(
    session: &Session,
    options: ConnectionOptions,
) -> Result<Arc<SessionView>, JoinError> {
    timeout(LIMIT, session.join(options))
        .await
        .expect("in time")
}

fn print_negotiated(views: &[ConnectionView]) {
    for view in views {
        let login = &view.login;
        println!(
            "connection {}: TSIH {:#x}, {:?}",
            login.cid, login.tsih, login.parameters
        );
    }
}

#[tokio::test]
async fn connections_join_a_session_and_share_its_commands() {
    let server = serve();
    let session = offering(&server, 4).await;
    let first = session.connections().await.remove(0);
    assert_eq!(first.login.parameters.max_connections, 4);
    assert_eq!(first.login.parameters.error_recovery_level, 0);
    let digests = ConnectionOptions {
        header_digest: Some(DigestPolicy::Crc32c),
        data_digest: Some(DigestPolicy::Crc32c),
        ..ConnectionOptions::default()
    };
    for (cid, options) in [(1, ConnectionOptions::default()), (2, digests)] {
        let joined = join(&session, options).await.expect("istgt takes it");
        assert_eq!((joined.cid, joined.tsih), (cid, first.login.tsih));
        let parameters = &joined.parameters;
        let digests = (parameters.header_digest, parameters.data_digest);
        assert_eq!(digests, (cid == 2, cid == 2));
    }
    survive(&session, 150, 65_536, 1, || {}).await;
    write_and_read(&session).await;
    let views = connections(&session, 3).await;
    print_negotiated(&views);
    for view in &views {
        assert!(view.traffic.commands > 40, "{view:?}");
        assert!(view.traffic.bytes_sent > 65_536, "{view:?}");
    }
    let total: u64 = views.iter().map(|view| view.traffic.commands).sum();
    assert_eq!(total, session.counters().commands);
    session.logout().await;
}

#[tokio::test]
async fn connections_are_added_while_commands_run_and_removed_between_them() {
    let server = serve();
    let session = offering(&server, 4).await;
    let own = session.clone();
    let mut change = None;
    survive(&session, 200, 65_536, 1, || {
        change = Some(tokio::spawn(async move {
            for _ in 0..2 {
                join(&own, ConnectionOptions::default()).await.unwrap();
            }
        }));
    })
    .await;
    timeout(LIMIT, change.unwrap())
        .await
        .expect("in time")
        .expect("it went well");
    session.remove_connection(1).await.unwrap();
    connections(&session, 2).await;
    let cids: Vec<_> = session.members().iter().map(|member| member.cid).collect();
    assert_eq!(cids, [0, 2]);
    survive(&session, 50, 65_536, 2, || {}).await;
    let again = join(&session, ConnectionOptions::default()).await.unwrap();
    assert_eq!(again.cid, 1, "its place is free again");
    survive(&session, 50, 65_536, 3, || {}).await;
    let counters = session.counters();
    assert_eq!((counters.reconnects, counters.failed_reconnects), (0, 0));
    session.logout().await;
}

/// When a connection logs out, istgt may forget commands that it has just received on the others: they are
/// acknowledged and never answered. It answers ABORT TASK for them and still counts them, so that its
/// command window stays closed, and a new session is the only way on. No write may be lost by it.
#[tokio::test]
async fn no_write_is_lost_when_istgt_forgets_commands_as_a_connection_is_removed() {
    let server = serve();
    let mut options = offered(&server, 4);
    options.timeouts.command = Duration::from_secs(2);
    let session = established(options).await;
    for _ in 0..2 {
        join(&session, ConnectionOptions::default()).await.unwrap();
    }
    let own = session.clone();
    let mut removal = None;
    survive(&session, 200, 65_536, 1, || {
        removal = Some(tokio::spawn(async move { own.remove_connection(1).await }));
    })
    .await;
    timeout(LIMIT, removal.unwrap())
        .await
        .expect("in time")
        .expect("no panic")
        .expect("it is removed");
    connections(&session, 2).await;
    let counters = session.counters();
    println!(
        "commands that istgt forgot: {}, sessions after the first: {}",
        counters.timeouts, counters.reconnects
    );
    assert!(
        counters.reconnects == 0 || counters.timeouts > 0,
        "no command was late: {counters:?}"
    );
    write_and_read(&session).await;
    session.logout().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_while_commands_run_loses_no_write() {
    let server = serve();
    let proxy = FaultyProxy::start(server.portal()).await.unwrap();
    let session = offering(&server, 4).await;
    let through = ConnectionOptions {
        portal: Some(Portal::from(proxy.address())),
        ..ConnectionOptions::default()
    };
    join(&session, ConnectionOptions::default()).await.unwrap();
    join(&session, through).await.unwrap();
    for round in 1..=2 {
        connections(&session, 3).await;
        let mut events = session.events();
        survive(&session, 200, 65_536, round * 1000, || proxy.cut_all()).await;
        logged_in_again(&session, round).await;
        let views = connections(&session, 3).await;
        print_negotiated(&views);
        let mut losses = 0;
        while let Ok(event) = events.try_recv() {
            losses += u64::from(matches!(event, SessionEvent::Lost(_)));
        }
        assert_eq!(losses, 1, "all connections end with one");
    }
    write_and_read(&session).await;
    let counters = session.counters();
    assert_eq!(counters.reconnects, 2);
    assert!(
        counters.replayed_commands > 0,
        "none was under way: {counters:?}"
    );
    session.logout().await;
}

#[tokio::test]
async fn as_many_connections_join_as_istgt_agrees_to() {
    let server = serve();
    let session = offering(&server, 16).await;
    let agreed = session.members()[0].parameters.max_connections;
    println!("istgt answers MaxConnections={agreed} to an offer of 16");
    assert_eq!(agreed, MOST);
    for cid in 1..MOST {
        let joined = join(&session, ConnectionOptions::default()).await.unwrap();
        assert_eq!(joined.cid, cid);
    }
    let refused = join(&session, ConnectionOptions::default()).await;
    assert!(
        matches!(
            refused,
            Err(JoinError::Membership(MembershipError::TooMany(MOST)))
        ),
        "{refused:?}"
    );
    survive(&session, 200, 65_536, 1, || {}).await;
    for view in connections(&session, usize::from(MOST)).await {
        assert!(view.traffic.commands > 10, "{view:?}");
    }
    session.logout().await;
}
