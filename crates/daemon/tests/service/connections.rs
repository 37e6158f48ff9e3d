//! Sessions of several connections, and the error recovery level.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use hawser_api::{Failure, Status, v1};
use hawser_daemon::ExportMode;

use super::support::{
    Asks, Place, Running, in_time, now, persistent, portal, serve, target, with_chap,
};

const PIECE: usize = 64 * 1024;

/// A login that makes so many connections of the most that there may be.
fn with_connections(request: v1::LoginRequest, made: u32, most: u32) -> v1::LoginRequest {
    let options = v1::LoginOptions {
        connections: Some(made),
        max_connections: Some(most),
        ..request.login_options.unwrap_or_default()
    };
    v1::LoginRequest {
        login_options: Some(options),
        ..request
    }
}

async fn add(
    daemon: &Running,
    request: v1::AddConnectionRequest,
) -> Result<v1::ConnectionId, Failure> {
    let mut sessions = daemon.client.sessions();
    let added = in_time(sessions.add_connection(request)).await?;
    Ok(added.into_inner().connection_id.unwrap())
}

fn addition(session_id: Option<v1::SessionId>) -> v1::AddConnectionRequest {
    v1::AddConnectionRequest {
        session_id,
        ..v1::AddConnectionRequest::default()
    }
}

async fn remove(
    daemon: &Running,
    session_id: Option<v1::SessionId>,
    connection_id: Option<v1::ConnectionId>,
) -> Result<(), Status> {
    let request = v1::RemoveConnectionRequest {
        session_id,
        connection_id,
    };
    let mut sessions = daemon.client.sessions();
    let removed = in_time(sessions.remove_connection(request)).await;
    removed
        .map(drop)
        .map_err(|status| Failure::from(status).status)
}

async fn session(daemon: &Running) -> v1::Session {
    daemon.sessions().await.remove(0)
}

/// Ids of the connections in the order in which they are listed.
async fn ids(daemon: &Running) -> Vec<v1::ConnectionId> {
    let connections = session(daemon).await.connections.into_iter();
    connections
        .map(|connection| connection.id.unwrap())
        .collect()
}

/// Waits for so many events that a connection has joined.
async fn joined(daemon: &Running, count: u32) {
    let seen = AtomicU32::new(0);
    let is_last = |_: &v1::Event| seen.fetch_add(1, Ordering::Relaxed) + 1 == count;
    daemon.event("connection-up", is_last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_made_added_and_removed() {
    let server = serve(target()).await;
    let address = server.local_addrs()[0];
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(address).await.unwrap();
    let login = daemon.login(with_connections(now(), 2, 4)).await.unwrap();
    let id = login.session_id;
    joined(&daemon, 1).await;
    let first = ids(&daemon).await;
    assert_eq!(first.len(), 2);
    assert_eq!(Some(first[0]), login.connection_id, "the leading one");
    let negotiated = session(&daemon).await.negotiated.unwrap();
    assert_eq!(negotiated.max_connections, 4);
    assert_eq!(negotiated.error_recovery_level, 2, "the default");

    let third = add(&daemon, addition(id)).await.unwrap();
    let to = v1::AddConnectionRequest {
        portal: Some(portal(address)),
        login_options: Some(v1::LoginOptions {
            header_digest: Some(v1::Digest::Crc32c.into()),
            ..Default::default()
        }),
        ..addition(id)
    };
    let fourth = add(&daemon, to).await.unwrap();
    let all = ids(&daemon).await;
    assert_eq!(all, [first[0], first[1], third, fourth]);
    let shown = session(&daemon).await.connections;
    let cids: Vec<_> = shown.iter().map(|connection| connection.cid).collect();
    assert_eq!(cids, [0, 1, 2, 3]);
    let digests: Vec<_> = shown.iter().map(v1::Connection::header_digest).collect();
    assert_eq!(digests[2..], [v1::Digest::None, v1::Digest::Crc32c]);
    assert_eq!(server.sessions()[0].connections.len(), 4);
    let refused = add(&daemon, addition(id)).await.unwrap_err();
    assert_eq!(refused.status, Status::TOO_MANY_CONNECTIONS);

    let leading = remove(&daemon, id, Some(first[0])).await;
    assert_eq!(leading, Err(Status::CANNOT_REMOVE_LEADING_CONNECTION));
    for gone in [third, first[1], fourth] {
        remove(&daemon, id, Some(gone)).await.unwrap();
        let again = remove(&daemon, id, Some(gone)).await;
        assert_eq!(again, Err(Status::INVALID_CONNECTION_ID));
    }
    let last = remove(&daemon, id, Some(first[0])).await;
    assert_eq!(last, Err(Status::CANT_REMOVE_LAST_CONNECTION));
    daemon.event("connection-removed", |_| true).await;
    assert_eq!(ids(&daemon).await, [first[0]]);
    let another = add(&daemon, addition(id)).await.unwrap();
    assert!(!all.contains(&another), "each has an id of its own");
    assert_eq!(session(&daemon).await.counters.unwrap().reconnects, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_cannot_be_made_leaves_the_session_as_it_is() {
    let server = serve(with_chap(target())).await;
    let address = server.local_addrs()[0];
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(address).await.unwrap();
    let login = super::support::with_secret(now(), super::support::SECRET);
    let login = daemon.login(with_connections(login, 1, 2)).await.unwrap();
    let id = login.session_id;
    let (nowhere, keeper) = closed_portal().await;
    let lost = v1::AddConnectionRequest {
        portal: Some(portal(nowhere)),
        ..addition(id)
    };
    let wrong = v1::AddConnectionRequest {
        login_options: Some(v1::LoginOptions {
            username: Some(super::support::USER.into()),
            secret: Some(v1::Secret::new("anothersecret")),
            ..Default::default()
        }),
        ..addition(id)
    };
    let before = ids(&daemon).await;
    for (request, expected) in [
        (lost, Status::CONNECTION_FAILED),
        (wrong, Status::AUTHENTICATION_FAILURE),
    ] {
        let refused = add(&daemon, request).await.unwrap_err();
        assert_eq!(refused.status, expected, "{refused}");
        assert_eq!(ids(&daemon).await, before);
    }
    drop(keeper);
    // What is not said is as in the session.
    add(&daemon, addition(id)).await.unwrap();
    daemon.stop().await;
}

/// A target that agrees to several connections and then takes only the first.
async fn serve_one_connection() -> hawser_target::TargetHandle {
    let server = serve(target()).await;
    server.faults().set_connection_limit(Some(1));
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_targets_own_limit_is_refused_with_its_status() {
    let server = serve_one_connection().await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    let login = daemon.login(with_connections(now(), 1, 4)).await.unwrap();
    let negotiated = session(&daemon).await.negotiated.unwrap();
    assert_eq!(negotiated.max_connections, 4);
    let before = ids(&daemon).await;
    let refused = add(&daemon, addition(login.session_id)).await.unwrap_err();
    assert_eq!(refused.status, Status::TOO_MANY_CONNECTIONS, "{refused}");
    assert_eq!(refused.target, super::support::TARGET);
    assert!(refused.peer_said.contains("0x0206"), "{refused:?}");
    assert!(!refused.advice.is_empty(), "{refused:?}");
    // The target may have its reasons to take one later: it is asked each time.
    server.faults().refuse_next_login(2, 8);
    let refused = add(&daemon, addition(login.session_id)).await.unwrap_err();
    assert_eq!(refused.status, Status::CANT_INCLUDE_IN_SESSION, "{refused}");
    assert!(!refused.advice.is_empty(), "{refused:?}");
    assert_eq!(ids(&daemon).await, before);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_login_beyond_the_targets_own_limit_are_told_and_given_up() {
    let server = serve_one_connection().await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    let login = daemon.login(with_connections(now(), 3, 4)).await.unwrap();
    let told = daemon.event("connection-refused", |_| true).await;
    assert_eq!(told.severity(), v1::Severity::Warning);
    assert_eq!(told.session_id, login.session_id);
    let detail = told.detail.unwrap();
    assert_eq!(
        detail.status,
        Status::TOO_MANY_CONNECTIONS.code(),
        "{detail:?}"
    );
    assert_eq!(detail.target, super::support::TARGET);
    assert!(detail.peer_said.contains("0x0206"), "{detail:?}");
    let shown = session(&daemon).await;
    assert_eq!(shown.connections.len(), 1);
    assert_eq!(shown.state(), v1::SessionState::LoggedIn);
    let says = |note: &String| note.contains("takes no connection");
    assert!(shown.notes.iter().any(says), "{:?}", shown.notes);
    // It is not tried again by itself, but for whoever asks.
    server.faults().set_connection_limit(None);
    add(&daemon, addition(login.session_id)).await.unwrap();
    assert_eq!(ids(&daemon).await.len(), 2);
    daemon.stop().await;
}

/// A portal where nobody listens, and what keeps it so.
async fn closed_portal() -> (std::net::SocketAddr, tokio::net::TcpSocket) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(super::support::anywhere()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

/// Writes pieces and reads each again until it is told to end; gives how many.
fn use_disk(path: PathBuf, end: &AtomicBool, done: &AtomicU32) {
    let options = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path);
    let mut file = options.unwrap();
    while !end.load(Ordering::Relaxed) {
        let round = done.load(Ordering::Relaxed);
        let piece = vec![u8::try_from(round % 251).unwrap(); PIECE];
        let at = SeekFrom::Start(u64::from(round % 512) * PIECE as u64);
        let mut read = vec![0; PIECE];
        file.seek(at).unwrap();
        file.write_all(&piece).unwrap();
        file.sync_data().unwrap();
        file.seek(at).unwrap();
        file.read_exact(&mut read).unwrap();
        assert!(read == piece, "round {round}");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

async fn set_policy(
    daemon: &Running,
    session_id: Option<v1::SessionId>,
    policy: v1::ConnectionPolicy,
    weights: &[(u32, u32)],
) -> Result<(), Failure> {
    let weights = weights.iter();
    let request = v1::SetPolicyRequest {
        session_id,
        policy: policy.into(),
        weights: weights
            .map(|&(cid, weight)| v1::ConnectionWeight { cid, weight })
            .collect(),
    };
    daemon.client.sessions().set_policy(request).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn io_goes_on_while_connections_are_lost_and_policies_change() {
    for level in 0..=2 {
        let server = serve(target()).await;
        let place = Place::new(ExportMode::Fuse);
        let daemon = place.start().await;
        daemon.add_portal(server.local_addrs()[0]).await.unwrap();
        let mut request = with_connections(now(), 3, 3);
        if let Some(options) = &mut request.login_options {
            options.error_recovery_level = Some(level);
        }
        let id = daemon.login(request).await.unwrap().session_id;
        joined(&daemon, 2).await;
        daemon.event("disk-ready", |_| true).await;
        let path = daemon.disks().await[0].fuse_path.clone();
        let (end, done) = <(Arc<AtomicBool>, Arc<AtomicU32>)>::default();
        let (own_end, own_done) = (Arc::clone(&end), Arc::clone(&done));
        let work = tokio::task::spawn_blocking(move || use_disk(path.into(), &own_end, &own_done));
        let rounds = async |count: u32| {
            let until = done.load(Ordering::Relaxed) + count;
            in_time(async {
                while done.load(Ordering::Relaxed) < until && !work.is_finished() {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            })
            .await;
        };
        rounds(5).await;
        for (policy, weights) in [
            (v1::ConnectionPolicy::LeastQueueDepth, &[][..]),
            (v1::ConnectionPolicy::FailOver, &[]),
            (v1::ConnectionPolicy::Weighted, &[(0, 3), (1, 0)]),
        ] {
            set_policy(&daemon, id, policy, weights).await.unwrap();
            let shown = session(&daemon).await;
            assert_eq!(shown.policy(), policy);
            assert_eq!(shown.weights.len(), weights.len());
            rounds(5).await;
        }
        server.faults().drop_connection(1);
        let kind = if level == 0 {
            "session-back"
        } else {
            "connection-lost"
        };
        daemon.event(kind, |_| true).await;
        rounds(5).await;
        joined(&daemon, if level == 0 { 4 } else { 3 }).await;
        end.store(true, Ordering::Relaxed);
        in_time(work).await.unwrap();
        let shown = session(&daemon).await;
        assert_eq!(shown.connections.len(), 3);
        let counters = shown.counters.unwrap();
        assert_eq!(counters.reconnects, u64::from(level == 0), "{level}");
        assert_eq!(shown.negotiated.unwrap().error_recovery_level, level);
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_the_last_connection_is_that_of_the_session() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    let login = daemon.login(now()).await.unwrap();
    server.faults().drop_connection(0);
    daemon.event("session-lost", |_| true).await;
    daemon.event("session-back", |_| true).await;
    let shown = session(&daemon).await;
    assert_eq!(shown.id, login.session_id);
    assert_eq!(shown.connections.len(), 1);
    assert_ne!(shown.connections[0].id, login.connection_id, "another one");
    assert_eq!(shown.lost_at_ms, None);
    assert_eq!(shown.state(), v1::SessionState::LoggedIn);
    let unknown = remove(&daemon, login.session_id, login.connection_id).await;
    assert_eq!(unknown, Err(Status::INVALID_CONNECTION_ID));
    let policy = v1::ConnectionPolicy::RoundRobin;
    let wrong = set_policy(&daemon, None, policy, &[]).await.unwrap_err();
    assert_eq!(wrong.status, Status::INVALID_SESSION_ID);
    let id = login.session_id;
    let wrong = set_policy(&daemon, id, policy, &[(0, 1)])
        .await
        .unwrap_err();
    assert_eq!(wrong.status, Status::ERROR_INVALID_PARAMETER);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persistent_login_makes_its_connections_again() {
    let server = serve(target()).await;
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    let mut request = with_connections(persistent(), 2, 4);
    if let Some(options) = &mut request.login_options {
        options.error_recovery_level = Some(1);
    }
    let id = daemon.login(request).await.unwrap().session_id;
    joined(&daemon, 1).await;
    // What is added later is not stored.
    add(&daemon, addition(id)).await.unwrap();
    daemon.stop().await;
    let daemon = place.start().await;
    joined(&daemon, 1).await;
    let shown = session(&daemon).await;
    assert_eq!(shown.connections.len(), 2);
    assert_eq!(shown.negotiated.unwrap().error_recovery_level, 1);
    let too_many = daemon
        .login(with_connections(now(), 3, 2))
        .await
        .unwrap_err();
    assert_eq!(too_many.status, Status::ERROR_INVALID_PARAMETER);
    daemon.stop().await;
}
