//! One TCP connection: login, then the full feature phase until the end.
//!
//! The full feature phase is one hand-written future: it reads what there is, hands it to the
//! session, writes what the session left, and only sleeps when it can do none of it. No task is
//! spawned and no channel passed for a command.

mod login;
pub(crate) mod mailbox;
pub(crate) mod output;
mod reader;

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hawser_proto::pdu::Bhs;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use self::mailbox::Mailbox;
use self::output::{Output, SLICES_LIMIT};
use self::reader::{Handler, Lender, Reader};
use crate::faults::Event;
use crate::session::{Ending, Incoming, Session, Shared, Sink, Turn};

/// Nothing more is read while so many bytes wait to be written: an initiator that does not read
/// its answers gets no more of them.
const BACKLOG_LIMIT: usize = 8 * 1024 * 1024;

/// How many rounds a connection makes before it lets others run.
const ROUNDS: usize = 32;

/// The tag of our own pings. There is one at a time, and any answer is a sign of life.
const PING_TTT: u32 = 0xfeed;

/// What a connection runs over: a socket, or what does as one.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// The addresses of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

/// Serves a connection until its end.
pub(crate) async fn serve(stream: TcpStream, group: u16, shared: Arc<Shared>) {
    let ends = stream.local_addr().and_then(|local| {
        let peer = stream.peer_addr()?;
        Ok(Ends { local, peer })
    });
    let Ok(ends) = ends else {
        return;
    };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(peer = %ends.peer, %error, "no TCP_NODELAY");
    }
    carry(stream, group, ends, shared).await;
}

/// Takes a connection over any stream through its life.
pub(crate) async fn carry<S: Stream>(stream: S, group: u16, ends: Ends, shared: Arc<Shared>) {
    shared.counters.connections.add();
    let Some((entered, seat)) = login::log_in(stream, group, ends, &shared).await else {
        return;
    };
    let (session, peer) = (Arc::clone(&entered.session), ends.peer);
    tracing::info!(%peer, initiator = %session.key.initiator, tsih = session.tsih, "logged in");
    let mut connection = Connection::new(entered, shared);
    let end = poll_fn(|cx| connection.poll(cx)).await;
    // The socket is closed before the session lets the next login go on.
    drop(connection);
    tracing::info!(%peer, initiator = %session.key.initiator, %end, "connection ended");
    seat.leave().await;
}

/// A connection that has logged in.
struct Entered<S> {
    stream: S,
    reader: Reader,
    session: Arc<Session>,
    cid: u16,
    mailbox: Arc<Mailbox>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the initiator logged out")]
    LoggedOut,
    #[error("the initiator closed it")]
    Closed,
    #[error("we closed it")]
    Dropped,
    #[error("socket: {0}")]
    Socket(#[from] io::Error),
    #[error("{0}")]
    Offence(#[from] hawser_proto::stream::Offence),
    #[error("no answer to a ping")]
    Silent,
}

/// A connection in the full feature phase.
struct Connection<S> {
    stream: S,
    reader: Reader,
    session: Arc<Session>,
    cid: u16,
    mailbox: Arc<Mailbox>,
    shared: Arc<Shared>,
    /// What is being written; the session gathers more meanwhile.
    out: Output,
    /// Bytes that the session has gathered behind it.
    gathered: usize,
    /// A fault holds answers until then.
    delay: Option<Pin<Box<Sleep>>>,
    idle: Option<Idle>,
}

/// Watches for silence.
struct Idle {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    pinged: bool,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            timer: Box::pin(tokio::time::sleep(limit)),
            pinged: false,
        }
    }

    fn heard(&mut self) {
        self.pinged = false;
        self.timer.as_mut().reset(Instant::now() + self.limit);
    }
}

impl<S: Stream> Connection<S> {
    fn new(entered: Entered<S>, shared: Arc<Shared>) -> Self {
        let Entered {
            stream,
            reader,
            session,
            cid,
            mailbox,
        } = entered;
        let mut out = Output::default();
        out.set_cid(cid);
        if let Some(link) = session.lock().link(cid) {
            out.set_digests(link.parameters.header_digest, link.parameters.data_digest);
        }
        let policy = session.purpose.target().map(|target| &target.policy);
        let idle = policy.and_then(|policy| policy.ping_after).map(Idle::new);
        Self {
            stream,
            reader,
            session,
            cid,
            mailbox,
            shared,
            out,
            gathered: 0,
            delay: None,
            idle,
        }
    }

    /// Does all that can be done now.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        for _ in 0..ROUNDS {
            let round = self.round(cx);
            match round {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(end) => return Poll::Ready(end),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One round; false when nothing could be done and all wakers are set.
    fn round(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let called = self.mailbox.look(cx);
        if called {
            self.take_events()?;
        }
        let read = self.read(cx)?;
        let wrote = self.write(cx)?;
        self.watch(cx)?;
        self.check_end()?;
        Ok(called || read || wrote)
    }

    fn take_events(&mut self) -> Result<(), End> {
        while let Some(event) = self.mailbox.take() {
            let mut core = self.session.lock();
            let mut turn = self.session.turn_of(&mut core, self.cid);
            match event {
                Event::Drop => return Err(End::Dropped),
                Event::Async(event) => turn.announce(self.cid, &event),
                Event::Farewell(whole, times) => turn.announce_end(self.cid, whole, times),
                Event::RequestLogout(seconds) => turn.request_logout(self.cid, seconds),
                Event::Ping(ttt) => turn.ping(self.cid, ttt),
                Event::Refresh => turn.refresh_window(self.cid),
            }
        }
        Ok(())
    }

    /// Reads once and hands on what came.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        if self.out.pending() + self.gathered > BACKLOG_LIMIT || self.shared.faults.reads_stalled()
        {
            return Ok(false);
        }
        let mut inbox = Inbox {
            session: &self.session,
            cid: self.cid,
        };
        let count = match self.reader.poll_fill(cx, &mut self.stream, &mut inbox) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(0)) => return Err(End::Closed),
            Poll::Ready(read) => read?,
        };
        self.shared.counters.reads.add();
        self.shared.counters.bytes_read.add_many(count as u64);
        if let Some(idle) = &mut self.idle {
            idle.heard();
        }
        let mut core = self.session.lock();
        let mut desk = Desk {
            turn: self.session.turn_of(&mut core, self.cid),
            cid: self.cid,
        };
        self.reader.drain(&mut desk)?;
        self.gathered = core.link(self.cid).map_or(0, |link| link.out.pending());
        Ok(true)
    }

    /// Writes once.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        if self.out.is_empty()
            && let Some(link) = self.session.lock().link(self.cid)
            && !link.out.is_empty()
        {
            std::mem::swap(&mut link.out, &mut self.out);
            self.gathered = 0;
        }
        if self.out.is_empty() || self.is_held_back(cx) {
            return Ok(false);
        }
        let faults = &self.shared.faults;
        let left = faults.bytes_left();
        let limit = left.map_or(usize::MAX, |left| {
            usize::try_from(left).unwrap_or(usize::MAX)
        });
        let mut slices = [IoSlice::new(&[]); SLICES_LIMIT];
        let count = self.out.slices(&mut slices, limit);
        let slices = slices.get(..count).unwrap_or_default();
        let written = match Pin::new(&mut self.stream).poll_write_vectored(cx, slices) {
            Poll::Pending => return Ok(false),
            Poll::Ready(written) => written?,
        };
        self.shared.counters.writes.add();
        self.shared.counters.bytes_written.add_many(written as u64);
        self.out.advance(written);
        let cut = left.is_some() && faults.bytes_sent(written);
        if cut || self.out.is_empty() && self.out.is_cut() {
            return Err(End::Dropped);
        }
        Ok(true)
    }

    /// Whether a fault keeps us from writing now.
    fn is_held_back(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.shared.faults.armed() && self.delay.is_none() {
            return false;
        }
        if self.shared.faults.answers_stalled() {
            return true;
        }
        let wanted = self.shared.faults.answer_delay();
        if self.delay.is_none() && wanted.is_zero() {
            return false;
        }
        let delay = self
            .delay
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(wanted)));
        if delay.as_mut().poll(cx).is_pending() {
            return true;
        }
        // What was gathered until now goes out; what comes later waits anew.
        self.delay = None;
        false
    }

    /// Pings an initiator that is silent, and gives it up if it does not answer.
    fn watch(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let Some(idle) = &mut self.idle else {
            return Ok(());
        };
        while idle.timer.as_mut().poll(cx).is_ready() {
            if idle.pinged {
                return Err(End::Silent);
            }
            idle.pinged = true;
            idle.timer.as_mut().reset(Instant::now() + idle.limit);
            let mut core = self.session.lock();
            self.session.turn(&mut core).ping(self.cid, PING_TTT);
        }
        Ok(())
    }

    /// Whether the session wants the connection to end.
    fn check_end(&self) -> Result<(), End> {
        let mut core = self.session.lock();
        match core.link(self.cid) {
            None => Err(End::Dropped),
            Some(link) => match link.ending {
                Ending::Open if link.out.is_cut() && link.out.is_empty() && self.out.is_empty() => {
                    Err(End::Dropped)
                }
                Ending::Open => Ok(()),
                Ending::Now => Err(End::Dropped),
                Ending::AfterOutput if link.out.is_empty() && self.out.is_empty() => {
                    Err(End::LoggedOut)
                }
                Ending::AfterOutput => Ok(()),
            },
        }
    }
}

/// Lends buffers while the socket is read; the session is locked for a moment only.
struct Inbox<'a> {
    session: &'a Arc<Session>,
    cid: u16,
}

impl Lender for Inbox<'_> {
    fn lend(&mut self, itt: u32, end: usize) -> Option<Vec<u8>> {
        let mut core = self.session.lock();
        self.session
            .turn_of(&mut core, self.cid)
            .lend_buffer(itt, end)
    }

    fn give_back(&mut self, itt: u32, buffer: Vec<u8>) {
        let mut core = self.session.lock();
        self.session
            .turn_of(&mut core, self.cid)
            .return_buffer(itt, buffer);
    }
}

/// Hands PDUs to the session, which is locked for all that one read gave.
struct Desk<'a> {
    turn: Turn<'a>,
    cid: u16,
}

impl Handler for Desk<'_> {
    fn begin(&mut self, header: &Bhs) -> Sink {
        self.turn.begin(self.cid, header)
    }

    fn store(&mut self, itt: u32, offset: u32, bytes: &[u8]) {
        self.turn.store(itt, offset, bytes);
    }

    fn receive(&mut self, incoming: &Incoming<'_>) -> bool {
        self.turn.receive(self.cid, incoming);
        true
    }
}
