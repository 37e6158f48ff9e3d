//! A TCP proxy that breaks connections on purpose: between our initiator and a real target it cuts,
//! stalls, delays or corrupts one direction at a given byte or on command.
//!
//! Each accepted connection gets its own faults: those planned with [`FaultyProxy::plan`] for its number
//! (0 is the first), or none. Commands (`cut_all`, `stall`, ...) act on every connection now open.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How much is read at once: small enough that a fault at byte N is exact without splitting much.
const CHUNK: usize = 16 * 1024;

/// Which way bytes flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the one who connected (the initiator) to the server.
    ToServer,
    /// From the server (the target) back.
    ToClient,
}

/// What happens to one direction of one connection when byte `at` (from 0) is about to be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Both directions are closed, with a reset to both sides: bytes before `at` have been passed on.
    CutAt {
        /// The first byte that does not get through.
        at: u64,
    },
    /// Nothing more passes in this direction; the connection stays open.
    StallAt {
        /// The first byte that does not get through.
        at: u64,
    },
    /// The bits of `mask` in byte `at` are turned round.
    CorruptAt {
        /// The byte.
        at: u64,
        /// The bits; 0 changes nothing.
        mask: u8,
    },
    /// Every chunk of bytes from `from` on is held back for this time before it is passed on.
    Delay {
        /// The first byte that comes late.
        from: u64,
        /// How long.
        by: Duration,
    },
}

/// The commands in force for all connections.
#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    /// Connections accepted before this number are to be cut.
    cut_below: u64,
    /// Whether bytes to the server wait.
    stall_to_server: bool,
    /// Whether bytes to the client wait.
    stall_to_client: bool,
    /// Whether new connections are closed at once.
    refuse: bool,
}

impl Orders {
    fn stalls(self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.stall_to_server,
            Direction::ToClient => self.stall_to_client,
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    plans: HashMap<u64, Vec<(Direction, Fault)>>,
    accepted: u64,
    /// Bytes passed on, to the server and to the client, of each connection.
    passed: HashMap<(u64, Direction), u64>,
}

type Books = Arc<Mutex<Shared>>;

/// A running proxy on a port of its own at `127.0.0.1`. Dropping it cuts everything.
#[derive(Debug)]
pub struct FaultyProxy {
    address: SocketAddr,
    books: Books,
    orders: watch::Sender<Orders>,
    acceptor: JoinHandle<()>,
}

impl FaultyProxy {
    /// Listens on a free port of `127.0.0.1` and passes every connection on to `server`.
    ///
    /// # Errors
    /// The listener could not be bound.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let books = Books::default();
        let (orders, seen) = watch::channel(Orders::default());
        let acceptor = tokio::spawn(accept(listener, server, books.clone(), seen));
        Ok(Self {
            address,
            books,
            orders,
            acceptor,
        })
    }

    /// The address to connect to instead of the server's.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Plans `fault` for the connection with this number (0 is the first one accepted). Plan before it is
    /// made; several faults of one direction all apply.
    pub fn plan(&self, connection: u64, direction: Direction, fault: Fault) {
        let mut books = lock(&self.books);
        books
            .plans
            .entry(connection)
            .or_default()
            .push((direction, fault));
    }

    /// How many connections have been accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        lock(&self.books).accepted
    }

    /// How many bytes of a connection have been passed on in one direction.
    #[must_use]
    pub fn passed(&self, connection: u64, direction: Direction) -> u64 {
        let books = lock(&self.books);
        books
            .passed
            .get(&(connection, direction))
            .copied()
            .unwrap_or(0)
    }

    /// Cuts all connections now open, with a reset to both sides. Later ones are served.
    pub fn cut_all(&self) {
        let accepted = self.accepted();
        self.orders
            .send_modify(|orders| orders.cut_below = accepted);
    }

    /// Holds back (or lets pass again) the bytes of one direction on all connections, also later ones.
    pub fn stall(&self, direction: Direction, stalled: bool) {
        self.orders.send_modify(|orders| match direction {
            Direction::ToServer => orders.stall_to_server = stalled,
            Direction::ToClient => orders.stall_to_client = stalled,
        });
    }

    /// Closes new connections as soon as they are made (or serves them again). Open ones go on.
    pub fn refuse(&self, refuse: bool) {
        self.orders.send_modify(|orders| orders.refuse = refuse);
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.orders
            .send_modify(|orders| orders.cut_below = u64::MAX);
    }
}

fn lock(books: &Books) -> MutexGuard<'_, Shared> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    books: Books,
    orders: watch::Receiver<Orders>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let (number, faults) = {
            let mut books = lock(&books);
            let number = books.accepted;
            books.accepted += 1;
            (number, books.plans.remove(&number).unwrap_or_default())
        };
        if orders.borrow().refuse {
            reset(&client);
            continue;
        }
        let connection = Connection {
            number,
            books: books.clone(),
            orders: orders.clone(),
        };
        tokio::spawn(connection.serve(client, server, faults));
    }
}

/// Makes the close of a socket a reset: what a peer's crash or a firewall looks like.
fn reset(stream: &TcpStream) {
    // Refused only for sockets that are closed already.
    drop(stream.set_zero_linger());
}

/// A connection is to be broken off: by a plan, by a command, or because a side broke it itself.
#[derive(Debug)]
struct Cut;

#[derive(Debug, Clone)]
struct Connection {
    number: u64,
    books: Books,
    orders: watch::Receiver<Orders>,
}

impl Connection {
    async fn serve(
        self,
        mut client: TcpStream,
        server: SocketAddr,
        faults: Vec<(Direction, Fault)>,
    ) {
        let Ok(mut server) = TcpStream::connect(server).await else {
            reset(&client);
            return;
        };
        for stream in [&client, &server] {
            // Only a matter of speed.
            drop(stream.set_nodelay(true));
        }
        let up = self.flow(Direction::ToServer, &faults);
        let down = self.flow(Direction::ToClient, &faults);
        let end = {
            let (client_read, client_write) = client.split();
            let (server_read, server_write) = server.split();
            tokio::select! {
                end = async { tokio::try_join!(
                    up.run(client_read, server_write),
                    down.run(server_read, client_write),
                ) } => end.map(drop),
                () = self.cut_ordered() => Err(Cut),
            }
        };
        if let Err(Cut) = end {
            reset(&client);
            reset(&server);
        }
    }

    fn flow(&self, direction: Direction, faults: &[(Direction, Fault)]) -> Flow {
        let mine = faults.iter().filter(|(way, _)| *way == direction);
        Flow {
            connection: self.clone(),
            direction,
            faults: mine.map(|(_, fault)| *fault).collect(),
            position: 0,
        }
    }

    /// Returns when a command cuts this connection, or when the proxy is gone.
    async fn cut_ordered(&self) {
        let mut orders = self.orders.clone();
        let ordered = orders.wait_for(|orders| orders.cut_below > self.number);
        drop(ordered.await);
    }
}

/// One direction of one connection.
#[derive(Debug)]
struct Flow {
    connection: Connection,
    direction: Direction,
    faults: Vec<Fault>,
    /// Bytes passed on so far.
    position: u64,
}

impl Flow {
    /// Passes bytes on until the sender closes; then closes the other side's reading end.
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), Cut> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = from.read(&mut buffer).await.map_err(|_| Cut)?;
            let chunk = buffer.get_mut(..length).unwrap_or_default();
            self.hold_back().await;
            if chunk.is_empty() {
                return to.shutdown().await.map_err(|_| Cut);
            }
            self.pass(chunk, &mut to).await?;
        }
    }

    /// Waits out planned delays and ordered stalls.
    async fn hold_back(&self) {
        for fault in &self.faults {
            match fault {
                Fault::Delay { from, by } if *from <= self.position => {
                    tokio::time::sleep(*by).await;
                }
                _ => {}
            }
        }
        let mut orders = self.connection.orders.clone();
        let free = orders.wait_for(|orders| !orders.stalls(self.direction));
        // The proxy itself is gone when this fails; the connection is cut then.
        drop(free.await);
    }

    async fn pass(&mut self, chunk: &mut [u8], to: &mut WriteHalf<'_>) -> Result<(), Cut> {
        let position = self.position;
        let index = |at: u64| {
            at.checked_sub(position)
                .and_then(|at| usize::try_from(at).ok())
        };
        let mut passed = chunk.len();
        let mut stopped_by = None;
        for fault in &self.faults {
            match fault {
                Fault::CorruptAt { at, mask } => {
                    if let Some(byte) = index(*at).and_then(|at| chunk.get_mut(at)) {
                        *byte ^= mask;
                    }
                }
                Fault::CutAt { at } | Fault::StallAt { at } => {
                    let at = index(*at).unwrap_or(0);
                    if at < passed {
                        passed = at;
                        stopped_by = Some(*fault);
                    }
                }
                Fault::Delay { .. } => {}
            }
        }
        to.write_all(chunk.get(..passed).unwrap_or_default())
            .await
            .map_err(|_| Cut)?;
        self.count(passed);
        match stopped_by {
            None => Ok(()),
            Some(Fault::CutAt { .. }) => Err(Cut),
            Some(_) => std::future::pending().await,
        }
    }

    fn count(&mut self, passed: usize) {
        self.position += u64::try_from(passed).unwrap_or(u64::MAX);
        let key = (self.connection.number, self.direction);
        lock(&self.connection.books)
            .passed
            .insert(key, self.position);
    }
}

#[cfg(test)]
mod tests;
