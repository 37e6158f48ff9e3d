//! The client: one connection to the daemon's Unix socket, a default deadline on every call.
use std::future::Future;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{GrpcMethod, Request};

use crate::failure::Failure;
use crate::places::MAX_SOCKET_PATH_LEN;
use crate::status::Status;
use crate::v1::discovery_client::DiscoveryClient;
use crate::v1::scsi_client::ScsiClient;
use crate::v1::security_client::SecurityClient;
use crate::v1::sessions_client::SessionsClient;
use crate::v1::system_client::SystemClient;
use crate::v1::volumes_client::VolumesClient;

/// Time to reach the daemon: it is on this machine.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Time for a call that only looks at the daemon's memory, or until a stream begins.
const LOOK_DEADLINE: Duration = Duration::from_secs(10);

/// Time for a call that changes the store: a few fsyncs, which a slow disk may take seconds for.
const CHANGE_DEADLINE: Duration = Duration::from_secs(30);

/// Time for a call that talks to a target: several portals, each with its own connect and login timeout; a
/// logout may take over 60 seconds; a mount may replay a journal.
const NETWORK_DEADLINE: Duration = Duration::from_secs(300);

/// Largest message in either direction, in bytes: 1 MiB of SCSI data, or a listing of some ten thousand disks.
pub const MAX_MESSAGE_SIZE: usize = 16 << 20;

/// What the calls of a [`Client`] go through.
pub type Transport = InterceptedService<Channel, Deadlines>;

/// The default deadline of a call, by its names in the contract (`hawser.v1.System`, `GetStatus`).
///
/// For a streaming call it bounds the time until the stream begins.
#[must_use]
pub fn default_deadline(service: &str, method: &str) -> Duration {
    match (service, method) {
        (
            "hawser.v1.Discovery",
            "AddPortal" | "RefreshPortals" | "ListTargets" | "AddIsnsServer" | "RefreshIsnsServers",
        )
        | ("hawser.v1.Sessions", "Login" | "Logout" | "AddConnection" | "RemoveConnection")
        | ("hawser.v1.Volumes", "Bind" | "BindAll" | "Unbind" | "UnbindAll")
        | ("hawser.v1.Scsi", _) => NETWORK_DEADLINE,
        (_, "WatchEvents" | "Wait") => LOOK_DEADLINE,
        (_, method) if method.starts_with("Get") || method.starts_with("List") => LOOK_DEADLINE,
        _ => CHANGE_DEADLINE,
    }
}

/// Puts [`default_deadline`] on each call that has none (`tonic::Request::set_timeout` sets one).
#[derive(Debug, Clone, Copy, Default)]
pub struct Deadlines;

impl Interceptor for Deadlines {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, tonic::Status> {
        if request.metadata().get("grpc-timeout").is_none() {
            let named = request.extensions().get::<GrpcMethod<'_>>();
            let deadline = named.map_or(CHANGE_DEADLINE, |name| {
                default_deadline(name.service(), name.method())
            });
            request.set_timeout(deadline);
        }
        Ok(request)
    }
}

/// Why there is no connection to the daemon.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens on the socket, or it is not there.
    #[error("the daemon is not running: nobody answers on {}", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// This user may not open the socket.
    #[error("this user may not talk to the daemon on {}", path.display())]
    AccessDenied {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path cannot be that of a socket.
    #[error("{} is too long for a socket: {MAX_SOCKET_PATH_LEN} bytes at most", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// Anything else.
    #[error("no connection to the daemon on {}: {source}", path.display())]
    Other {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

impl ConnectError {
    fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Self::NotRunning { path, source }
            }
            io::ErrorKind::PermissionDenied => Self::AccessDenied { path, source },
            _ => Self::Other { path, source },
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let (status, advice) = match &error {
            ConnectError::NotRunning { .. } => (
                Status::SERVICE_NOT_RUNNING,
                "start hawserd, or name its socket with --socket or HAWSER_SOCKET",
            ),
            ConnectError::AccessDenied { .. } => (
                Status::ERROR_ACCESS_DENIED,
                "run this as root or as the daemon's own user",
            ),
            ConnectError::PathTooLong { .. } => (
                Status::ERROR_INVALID_PARAMETER,
                "give hawserd a shorter --socket path",
            ),
            ConnectError::Other { .. } => (Status::RPC_S_SERVER_UNAVAILABLE, "look at its log"),
        };
        Self::new(status, error.to_string()).with_advice(advice)
    }
}

/// A client of the daemon. Cloning is cheap and shares the connection; if the daemon is restarted, the next
/// call connects again.
///
/// Each service has its method here: `client.system().get_status(GetStatusRequest {}).await`. A call's
/// [`tonic::Status`] converts into a [`Failure`]. Every call has a deadline: see [`default_deadline`].
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
}

macro_rules! services {
    ($($(#[$doc:meta])* $method:ident: $client:ident;)*) => {
        impl Client {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $method(&self) -> $client<Transport> {
                    $client::new(self.transport.clone())
                        .max_decoding_message_size(MAX_MESSAGE_SIZE)
                        .max_encoding_message_size(MAX_MESSAGE_SIZE)
                }
            )*
        }
    };
}

services! {
    /// The daemon itself: version, state, name, events.
    system: SystemClient;
    /// Portals and targets.
    discovery: DiscoveryClient;
    /// Sessions and persistent logins.
    sessions: SessionsClient;
    /// Disks and bound volumes.
    volumes: VolumesClient;
    /// SCSI commands.
    scsi: ScsiClient;
    /// Secrets.
    security: SecurityClient;
}

impl Client {
    /// Connects to the daemon on this socket (see [`crate::find_socket`]).
    ///
    /// # Errors
    /// [`ConnectError`], [`ConnectError::NotRunning`] above all.
    pub async fn connect(socket: &Path) -> Result<Self, ConnectError> {
        if socket.as_os_str().as_bytes().len() > MAX_SOCKET_PATH_LEN {
            return Err(ConnectError::PathTooLong {
                path: socket.to_owned(),
            });
        }
        // The first connection is made here, where its error is still an io::Error.
        let first = tokio::time::timeout(CONNECT_DEADLINE, UnixStream::connect(socket))
            .await
            .unwrap_or_else(|late| Err(late.into()))
            .map_err(|error| ConnectError::from_io(socket, error))?;
        let channel = channel_over(first, socket.to_owned())
            .await
            .map_err(|error| ConnectError::from_io(socket, io::Error::other(error)))?;
        Ok(Self {
            transport: InterceptedService::new(channel, Deadlines),
        })
    }
}

/// An HTTP/2 channel over `first`; later connections are made to `socket`.
async fn channel_over(
    first: UnixStream,
    socket: PathBuf,
) -> Result<Channel, tonic::transport::Error> {
    let first = Arc::new(Mutex::new(Some(first)));
    let connector = tower::service_fn(move |_: Uri| {
        let ready = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let socket = socket.clone();
        async move {
            let stream = match ready {
                Some(stream) => stream,
                None => UnixStream::connect(socket).await?,
            };
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // The address is a formality: the connector knows the socket.
    Endpoint::from_static("http://hawserd.localhost")
        .connect_timeout(CONNECT_DEADLINE)
        .connect_with_connector(connector)
        .await
}

/// A [`Client`] for programs without an async runtime: it brings its own, on the calling thread.
///
/// Not to be used from within an async runtime: [`BlockingClient::run`] would panic there, as tokio says.
#[derive(Debug)]
pub struct BlockingClient {
    // Dropped before the runtime, which its connection task lives on.
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl BlockingClient {
    /// Connects to the daemon on this socket.
    ///
    /// # Errors
    /// [`ConnectError`]; a runtime that cannot be made is [`ConnectError::Other`].
    pub fn connect(socket: &Path) -> Result<Self, ConnectError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| ConnectError::Other {
                path: socket.to_owned(),
                source,
            })?;
        let client = runtime.block_on(Client::connect(socket))?;
        Ok(Self { client, runtime })
    }

    /// Runs calls to their end: `blocking.run(async |client| client.system().get_version(..).await)`.
    ///
    /// # Errors
    /// What `calls` fails with, a [`tonic::Status`] as a [`Failure`].
    pub fn run<T, E, F, Fut>(&self, calls: F) -> Result<T, Failure>
    where
        F: FnOnce(Client) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Into<Failure>,
    {
        self.runtime
            .block_on(calls(self.client.clone()))
            .map_err(Into::into)
    }
}
