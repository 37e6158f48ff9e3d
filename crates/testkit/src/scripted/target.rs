//! A target made of a port: it hands its connections to the test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::numbers::SessionNumbers;
use super::pdu::Pdu;
use super::peer::{LIMIT, Peer};

/// One PDU that came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// On which connection: 0 for the first that was accepted.
    pub connection: usize,
    /// The PDU.
    pub pdu: Pdu,
}

/// What came, in its order.
#[derive(Debug, Clone, Default)]
pub struct Transcript(Vec<Recorded>);

impl Transcript {
    /// What came on one connection.
    #[must_use]
    pub fn of_connection(&self, index: usize) -> Self {
        let on = |recorded: &&Recorded| recorded.connection == index;
        Self(self.0.iter().filter(on).cloned().collect())
    }

    /// The PDUs.
    #[must_use]
    pub fn pdus(&self) -> Vec<Pdu> {
        self.0.iter().map(|recorded| recorded.pdu.clone()).collect()
    }

    /// The PDUs with this opcode.
    #[must_use]
    pub fn of(&self, opcode: u8) -> Vec<Pdu> {
        let mut pdus = self.pdus();
        pdus.retain(|pdu| pdu.opcode() == opcode);
        pdus
    }
}

/// What the connections of a target share.
#[derive(Debug)]
pub(super) struct Shared {
    numbers: Mutex<Arc<Mutex<SessionNumbers>>>,
    transcript: Mutex<Transcript>,
    next_tsih: AtomicU16,
}

impl Shared {
    pub(super) fn numbers(&self) -> Arc<Mutex<SessionNumbers>> {
        Arc::clone(&self.numbers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn record(&self, recorded: Recorded) {
        let mut transcript = self
            .transcript
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        transcript.0.push(recorded);
    }

    pub(super) fn transcript(&self) -> Transcript {
        let transcript = self
            .transcript
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        transcript.clone()
    }

    pub(super) fn new_tsih(&self) -> u16 {
        self.next_tsih.fetch_add(1, Ordering::Relaxed)
    }
}

/// A port on the loopback, and all that comes there.
///
/// The connections of one target share the CmdSN of one session; a leading login begins it anew.
#[derive(Debug)]
pub struct Target {
    listener: TcpListener,
    shared: Arc<Shared>,
    accepted: AtomicUsize,
}

impl Target {
    /// Listens on a port of its own.
    ///
    /// # Panics
    /// When there is no port left.
    pub async fn listen() -> Self {
        Self::listen_on(IpAddr::V4(Ipv4Addr::LOCALHOST)).await
    }

    /// Listens on a port of its own at an address of this machine.
    ///
    /// # Panics
    /// When the machine has not got the address, or no port left.
    pub async fn listen_on(address: IpAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).await;
        let numbers = Arc::new(Mutex::new(SessionNumbers::new()));
        Self {
            listener: listener.expect("a free port"),
            shared: Arc::new(Shared {
                numbers: Mutex::new(numbers),
                transcript: Mutex::default(),
                next_tsih: AtomicU16::new(0x1001),
            }),
            accepted: AtomicUsize::new(0),
        }
    }

    /// Where it listens.
    ///
    /// # Panics
    /// Never: it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound socket")
    }

    /// The next connection.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn accept(&self) -> Peer {
        let accepted = timeout(LIMIT, self.listener.accept()).await;
        let (stream, _) = accepted
            .expect("a connection in time")
            .expect("a connection");
        stream.set_nodelay(true).expect("a connected socket");
        let index = self.accepted.fetch_add(1, Ordering::Relaxed);
        Peer::new(stream, index, &self.shared)
    }

    /// A connection waits to be accepted. Connections are accepted in their order: one that the target
    /// makes to itself is the next if there is no other.
    ///
    /// # Panics
    /// When the target cannot connect to itself.
    pub async fn has_connection(&self) -> bool {
        let own = TcpStream::connect(self.address()).await;
        let own = own.expect("a connection to itself");
        let (_, next) = self.listener.accept().await.expect("a connection");
        next != own.local_addr().expect("a connected socket")
    }

    /// What came on all connections.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        self.shared.transcript()
    }
}
