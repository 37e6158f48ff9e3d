//! The client against a real tonic server on a Unix socket.
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hawser_api::v1::system_server::{System, SystemServer};
use hawser_api::v1::*;
use hawser_api::{BlockingClient, Client, ConnectError, Failure, Status, default_deadline};
use tokio::net::UnixListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Code, Request, Response};

/// A daemon that answers a few calls, each in its own way.
#[derive(Default)]
struct Daemon {
    /// Told when the call that is never answered has come.
    asked: Arc<Notify>,
}

type Answer<T> = Result<Response<T>, tonic::Status>;

#[tonic::async_trait]
impl System for Daemon {
    /// Tells the deadline that the client put on the call.
    async fn get_version(&self, request: Request<GetVersionRequest>) -> Answer<GetVersionResponse> {
        let deadline = request
            .metadata()
            .get("grpc-timeout")
            .expect("every call has a deadline");
        let text = deadline.to_str().expect("ASCII").to_owned();
        Ok(Response::new(GetVersionResponse {
            text,
            ..Default::default()
        }))
    }

    /// Never answers.
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Answer<GetStatusResponse> {
        self.asked.notify_one();
        std::future::pending().await
    }

    /// Not offered: an older daemon.
    async fn list_initiators(
        &self,
        _: Request<ListInitiatorsRequest>,
    ) -> Answer<ListInitiatorsResponse> {
        Err(tonic::Status::new(Code::Unimplemented, ""))
    }

    async fn get_node_name(&self, _: Request<GetNodeNameRequest>) -> Answer<GetNodeNameResponse> {
        let node_name = "iqn.2026-01.example:host".to_owned();
        Ok(Response::new(GetNodeNameResponse {
            node_name,
            is_default: true,
        }))
    }

    /// Refuses, with all that a failure can tell, and as long as it may be.
    async fn set_node_name(
        &self,
        request: Request<SetNodeNameRequest>,
    ) -> Answer<SetNodeNameResponse> {
        let failure = Failure::new(Status::INVALID_ISCSI_NAME, request.into_inner().node_name)
            .with_target("t".repeat(5000))
            .with_portal("p".repeat(5000))
            .with_peer_said("\u{1b}".repeat(5000))
            .with_advice("é".repeat(5000));
        Err(failure.into())
    }

    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<Event, tonic::Status>> + Send>>;

    async fn watch_events(
        &self,
        _: Request<WatchEventsRequest>,
    ) -> Answer<Self::WatchEventsStream> {
        let events = (1..=3).map(|sequence| {
            Ok(Event {
                sequence,
                ..Default::default()
            })
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(events))))
    }
}

/// A running server, stopped and its socket removed by [`Server::stop`].
struct Server {
    socket: PathBuf,
    asked: Arc<Notify>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    fn start(dir: &Path) -> Self {
        let socket = dir.join("hawser.sock");
        let listener = UnixListener::bind(&socket).expect("bind");
        let (stop, stopped) = oneshot::channel::<()>();
        let daemon = Daemon::default();
        let asked = Arc::clone(&daemon.asked);
        let task = tokio::spawn(async move {
            tonic::transport::Server::builder()
                .add_service(SystemServer::new(daemon))
                .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async {
                    stopped.await.ok();
                })
                .await
                .expect("serve");
        });
        Self {
            socket,
            asked,
            stop,
            task,
        }
    }

    async fn stop(self) {
        self.stop.send(()).expect("is running");
        self.task.await.expect("ends");
        std::fs::remove_file(&self.socket).expect("remove the socket");
    }
}

fn temp_dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("make a directory")
}

#[tokio::test]
async fn a_call_gets_its_answer_and_a_default_deadline() {
    let dir = temp_dir();
    let server = Server::start(dir.path());
    let client = Client::connect(&server.socket).await.expect("connect");
    let deadline = client
        .system()
        .get_version(GetVersionRequest {})
        .await
        .expect("call")
        .into_inner()
        .text;
    let expected = default_deadline("hawser.v1.System", "GetVersion").as_micros();
    assert_eq!(deadline, format!("{expected}u"));

    let mut own = Request::new(GetVersionRequest {});
    own.set_timeout(Duration::from_millis(1500));
    let deadline = client
        .system()
        .get_version(own)
        .await
        .expect("call")
        .into_inner()
        .text;
    assert_eq!(deadline, "1500000u");
}

#[tokio::test]
async fn a_failure_arrives_whole_however_long_it_was() {
    let dir = temp_dir();
    let server = Server::start(dir.path());
    let client = Client::connect(&server.socket).await.expect("connect");
    let request = SetNodeNameRequest {
        node_name: "\n".repeat(5000),
    };
    let rpc = client
        .system()
        .set_node_name(request)
        .await
        .expect_err("is refused");
    assert_eq!(rpc.code(), Code::InvalidArgument);
    let failure = Failure::from(rpc);
    assert_eq!(failure.status, Status::INVALID_ISCSI_NAME);
    assert!(failure.target.starts_with("ttt") && failure.portal.starts_with("ppp"));
    assert!(failure.advice.starts_with("ééé"));
    assert!(!failure.to_string().contains('\u{1b}'));
}

#[tokio::test]
async fn a_daemon_that_hangs_runs_into_the_deadline() {
    let dir = temp_dir();
    let server = Server::start(dir.path());
    let client = Client::connect(&server.socket).await.expect("connect");
    let mut request = Request::new(GetStatusRequest {});
    request.set_timeout(Duration::from_millis(50));
    let rpc = client
        .system()
        .get_status(request)
        .await
        .expect_err("never answers");
    assert_eq!(Failure::from(rpc).status, Status::ERROR_TIMEOUT);
}

#[tokio::test]
async fn an_older_daemon_is_told_by_its_missing_call() {
    let dir = temp_dir();
    let server = Server::start(dir.path());
    let client = Client::connect(&server.socket).await.expect("connect");
    let rpc = client
        .system()
        .list_initiators(ListInitiatorsRequest {})
        .await
        .expect_err("not there");
    assert_eq!(
        Failure::from(rpc).status,
        Status::ERROR_CALL_NOT_IMPLEMENTED
    );
}

#[tokio::test]
async fn a_stream_delivers_its_messages() {
    let dir = temp_dir();
    let server = Server::start(dir.path());
    let client = Client::connect(&server.socket).await.expect("connect");
    let mut events = client
        .system()
        .watch_events(WatchEventsRequest::default())
        .await
        .expect("call")
        .into_inner();
    let mut sequence = 0;
    while let Some(event) = events.message().await.expect("message") {
        sequence += 1;
        assert_eq!(event.sequence, sequence);
    }
    assert_eq!(sequence, 3);
}

#[tokio::test]
async fn a_client_outlives_a_restart_of_the_daemon_and_says_when_it_is_gone() {
    let dir = temp_dir();
    let server = Server::start(dir.path());
    let client = Client::connect(&server.socket).await.expect("connect");
    client
        .system()
        .get_node_name(GetNodeNameRequest {})
        .await
        .expect("call");
    server.stop().await;
    let rpc = client
        .system()
        .get_node_name(GetNodeNameRequest {})
        .await
        .expect_err("is gone");
    assert_eq!(Failure::from(rpc).status, Status::SERVICE_NOT_RUNNING);

    let server = Server::start(dir.path());
    client
        .system()
        .get_node_name(GetNodeNameRequest {})
        .await
        .expect("connects again");
    server.stop().await;
}

#[tokio::test]
async fn a_daemon_that_dies_in_the_middle_of_a_call_counts_as_not_running() {
    let dir = temp_dir();
    let runtime = tokio::runtime::Runtime::new().expect("runtime of the server");
    let server = runtime.spawn({
        let dir = dir.path().to_owned();
        async move { Server::start(&dir) }
    });
    let server = server.await.expect("starts");
    let client = Client::connect(&server.socket).await.expect("connect");
    let call = tokio::spawn(async move { client.system().get_status(GetStatusRequest {}).await });
    server.asked.notified().await;
    // Its connections die with its runtime, as those of a killed process do.
    runtime.shutdown_background();
    let rpc = call.await.expect("no panic").expect_err("is gone");
    assert_eq!(Failure::from(rpc).status, Status::SERVICE_NOT_RUNNING);
}

#[tokio::test]
async fn no_daemon_is_a_typed_error() {
    let dir = temp_dir();
    let absent = Client::connect(&dir.path().join("none.sock"))
        .await
        .expect_err("no socket");
    assert!(
        matches!(absent, ConnectError::NotRunning { .. }),
        "{absent:?}"
    );

    // What a killed daemon leaves behind: a socket that nobody listens on.
    let stale = dir.path().join("stale.sock");
    drop(UnixListener::bind(&stale).expect("bind"));
    let stale = Client::connect(&stale).await.expect_err("nobody listens");
    assert!(
        matches!(stale, ConnectError::NotRunning { .. }),
        "{stale:?}"
    );
    let failure = Failure::from(stale);
    assert_eq!(failure.status, Status::SERVICE_NOT_RUNNING);
    assert!(failure.advice.contains("hawserd"));

    let long = dir.path().join("x".repeat(120));
    let long = Client::connect(&long).await.expect_err("too long");
    assert!(matches!(long, ConnectError::PathTooLong { .. }), "{long:?}");
}

#[test]
fn the_blocking_client_needs_no_runtime() {
    let dir = temp_dir();
    let runtime = tokio::runtime::Runtime::new().expect("runtime of the server");
    let server = runtime.block_on(async { Server::start(dir.path()) });
    let client = BlockingClient::connect(&server.socket).expect("connect");
    let name = client
        .run(async |client| client.system().get_node_name(GetNodeNameRequest {}).await)
        .expect("call")
        .into_inner();
    assert_eq!(name.node_name, "iqn.2026-01.example:host");
    let refused = client
        .run(async |client| {
            client
                .system()
                .set_node_name(SetNodeNameRequest::default())
                .await
        })
        .expect_err("is refused");
    assert_eq!(refused.status, Status::INVALID_ISCSI_NAME);
}
