//! The listening sockets of one export.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hawser_block::BlockDevice;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, tcp};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::connection;
use super::handshake::ExportInfo;
use super::unix;

/// Clients of one export at a time, counted until the disk is done with their last request. With the
/// bytes one client may have in flight it bounds the export's memory (512 MiB when all are hostile).
const MAX_CLIENTS: usize = 16;

/// The pause after a failed accept, which is mostly a lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The time connections have to end when the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The longest path of a Unix socket on Linux, without its final NUL (`sun_path`).
const MAX_SOCKET_PATH: usize = 107;

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NbdServerError {
    /// The path does not fit into a socket address.
    #[error("the NBD socket path {path} is {length} bytes long; a socket path has at most {MAX_SOCKET_PATH}: choose a shorter runtime directory", path = path.display(), length = path.as_os_str().len())]
    PathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// Somebody else listens on the path, or it is no socket.
    #[error("{} is in use by something else", .0.display())]
    InUse(PathBuf),
    /// The Unix socket could not be made.
    #[error("cannot listen on {}: {source}", path.display())]
    Unix {
        /// The path.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The TCP socket could not be made.
    #[error("cannot listen on TCP {address}: {source}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// What failed.
        source: io::Error,
    },
}

/// An NBD server for one disk. Dropping it stops it at once; [`stop`](Self::stop) also waits for the
/// connections to end.
#[derive(Debug)]
pub struct NbdServer {
    handle: Handle,
    export: ExportInfo,
    device: Arc<dyn BlockDevice>,
    clients: Arc<Semaphore>,
    stop: watch::Sender<()>,
    listeners: Vec<JoinHandle<()>>,
    socket: Option<PathBuf>,
    tcp: Option<SocketAddr>,
}

impl NbdServer {
    /// A server of `device` under the name and description of `export`, whose tasks run on `handle`.
    /// It listens nowhere yet.
    #[must_use]
    pub fn new(handle: Handle, export: ExportInfo, device: Arc<dyn BlockDevice>) -> Self {
        Self {
            handle,
            export,
            device,
            clients: Arc::new(Semaphore::new(MAX_CLIENTS)),
            stop: watch::Sender::new(()),
            listeners: Vec::new(),
            socket: None,
            tcp: None,
        }
    }

    /// Listens on a Unix socket at `path`, mode 0600. Its directory must be one that only we may
    /// write to (mode 0700): so nobody can connect before the mode is set, or put something else in
    /// its place. A socket that nobody listens on is replaced.
    ///
    /// # Errors
    /// [`NbdServerError::PathTooLong`], [`NbdServerError::InUse`] or [`NbdServerError::Unix`].
    pub fn listen_unix(&mut self, path: &Path) -> Result<(), NbdServerError> {
        if path.as_os_str().len() > MAX_SOCKET_PATH {
            return Err(NbdServerError::PathTooLong {
                path: path.to_owned(),
            });
        }
        let failed = |source| NbdServerError::Unix {
            path: path.to_owned(),
            source,
        };
        make_way(path)?;
        let listener = std::os::unix::net::UnixListener::bind(path).map_err(failed)?;
        self.socket = Some(path.to_owned());
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let _runtime = self.handle.enter();
        let listener = UnixListener::from_std(listener).map_err(failed)?;
        self.spawn_listener(listener);
        Ok(())
    }

    /// Listens on TCP and returns the address, whose port is a fresh one when `address` has port 0.
    /// NBD over TCP has no authentication and no encryption: whoever reaches the port owns the disk.
    ///
    /// # Errors
    /// [`NbdServerError::Tcp`].
    pub fn listen_tcp(&mut self, address: SocketAddr) -> Result<SocketAddr, NbdServerError> {
        let failed = |source| NbdServerError::Tcp { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let _runtime = self.handle.enter();
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        self.tcp = Some(bound);
        self.spawn_listener(listener);
        Ok(bound)
    }

    /// The Unix socket, when there is one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// The TCP address, when there is one.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        self.tcp
    }

    /// Stops listening, closes all connections and removes the socket. Requests that the disk has
    /// already are carried out, but nobody is told of their end.
    pub async fn stop(mut self) {
        self.stop.send_replace(());
        for mut listener in std::mem::take(&mut self.listeners) {
            if tokio::time::timeout(STOP_LIMIT, &mut listener)
                .await
                .is_err()
            {
                listener.abort();
            }
        }
    }

    fn spawn_listener(&mut self, listener: impl Listener) {
        let door = Door {
            export: self.export.clone(),
            device: Arc::clone(&self.device),
            clients: Arc::clone(&self.clients),
        };
        let stop = self.stop.subscribe();
        self.listeners
            .push(self.handle.spawn(door.keep(listener, stop)));
    }
}

/// A listening socket of either kind.
trait Listener: Send + Sync + 'static {
    type Reader: AsyncRead + Unpin + Send + 'static;
    type Writer: AsyncWrite + Unpin + Send + 'static;

    /// Waits for a client and gives the halves of its stream.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Reader, Self::Writer)>> + Send;
}

impl Listener for UnixListener {
    type Reader = unix::ReadHalf;
    type Writer = unix::WriteHalf;

    async fn next(&self) -> io::Result<(Self::Reader, Self::Writer)> {
        unix::split(self.accept().await?.0.into_std()?)
    }
}

impl Listener for TcpListener {
    type Reader = tcp::OwnedReadHalf;
    type Writer = tcp::OwnedWriteHalf;

    async fn next(&self) -> io::Result<(Self::Reader, Self::Writer)> {
        let (stream, _) = self.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream.into_split())
    }
}

/// What a listener needs to let clients in.
struct Door {
    export: ExportInfo,
    device: Arc<dyn BlockDevice>,
    clients: Arc<Semaphore>,
}

impl Door {
    /// Lets clients in until `stop`, then closes their connections.
    async fn keep<L: Listener>(self, listener: L, mut stop: watch::Receiver<()>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.next() => match accepted {
                    Ok((reader, writer)) => self.let_in(&mut connections, reader, writer),
                    Err(error) => {
                        tracing::warn!(export = self.export.name, %error, "NBD accept failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                _ = stop.changed() => break,
            }
        }
        connections.shutdown().await;
    }

    fn let_in<R, W>(&self, connections: &mut JoinSet<()>, reader: R, writer: W)
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let export = self.export.clone();
        let Ok(permit) = Arc::clone(&self.clients).try_acquire_owned() else {
            tracing::warn!(
                export = export.name,
                "NBD client refused: {MAX_CLIENTS} clients are served already"
            );
            return;
        };
        let device = Arc::clone(&self.device);
        connections.spawn(async move {
            let name = export.name.clone();
            match connection::serve(reader, writer, export, device, permit).await {
                Ok(()) => tracing::debug!(export = name, "NBD client left"),
                Err(error) => tracing::warn!(export = name, %error, "NBD client dropped"),
            }
        });
    }
}

impl Drop for NbdServer {
    fn drop(&mut self) {
        self.stop.send_replace(());
        if let Some(path) = &self.socket
            && let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "cannot remove the NBD socket");
        }
    }
}

/// Removes a socket that nobody listens on.
fn make_way(path: &Path) -> Result<(), NbdServerError> {
    let failed = |source| NbdServerError::Unix {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(NbdServerError::InUse(path.to_owned()));
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        _ => Err(NbdServerError::InUse(path.to_owned())),
    }
}
