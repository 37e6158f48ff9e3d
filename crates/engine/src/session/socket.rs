//! The bytes of one connection: one vectored write for many PDUs, payload read to where it belongs.

use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use hawser_proto::session::{ConnectionError, DirectRead, MAX_SEGMENTS, Session as Core, Transmit};
use hawser_proto::stream::PageBuffer;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::SessionView;
use super::moderation::Moderation;
use super::slots::Slots;
use hawser_proto::session::TaskBuffers;

/// Bytes read at once where it is not known what comes: holds a dozen 4 KiB Data-Ins.
const SCRATCH: usize = 128 * 1024;

thread_local! {
    /// Where what is not known comes to. Nothing stays in it from one read to the next, so one per thread
    /// does for all connections.
    static SPARE: Cell<Option<PageBuffer>> = const { Cell::new(None) };
}

/// Payload from this size on is read straight into the task's buffer; below it, one large read and
/// a copy cost less than a system call of their own.
const DIRECT_MIN: usize = 16 * 1024;

/// Bytes read at once behind a payload that is read straight to where it belongs: what comes next is
/// such a payload again, most likely, of which little shall have to be copied.
const BEHIND_PAYLOAD: usize = 4096;

/// One logged-in connection.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) cid: u16,
    /// What it was made of.
    pub(super) view: Arc<SessionView>,
    stream: TcpStream,
    batch: Transmit,
    moderation: Moderation,
    /// How much of the scratch buffer a read may fill.
    room: usize,
    /// The last read filled all the room it had.
    has_more: bool,
}

impl Socket {
    pub(super) fn new(cid: u16, stream: TcpStream, view: Arc<SessionView>, now: Instant) -> Self {
        Self {
            cid,
            view,
            stream,
            batch: Transmit::default(),
            moderation: Moderation::new(now),
            room: SCRATCH,
            has_more: false,
        }
    }

    /// The bare connection: the session is done with it.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// What came is not all read: another read finds more at once, most likely.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// The driver is about to sleep: what is to wake it?
    pub(super) fn settle(&mut self, cx: &mut Context<'_>, now: Instant, core: &Core) {
        let received = core
            .traffic(self.cid)
            .map_or(0, |traffic| traffic.bytes_received);
        self.moderation
            .settle(cx, now, (core, self.cid), received, &self.stream);
    }

    /// Reads once and gives the bytes to the core. `Ready(Ok(()))`: there may be more.
    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        core: &mut Core,
        slots: &mut Slots,
    ) -> Poll<Result<(), ConnectionError>> {
        self.moderation.poll(cx, now, &self.stream);
        loop {
            if let Err(error) = ready!(self.stream.poll_read_ready(cx)) {
                return Poll::Ready(Err(transport(&error)));
            }
            let received =
                with_scratch(|scratch| self.receive(read_once, scratch, now, core, slots));
            // The readiness may be used up: only asking again registers for more.
            if let Some(result) = received {
                return Poll::Ready(result);
            }
        }
    }

    /// As [`poll_receive`](Self::poll_receive), without asking the runtime whether there is anything, and
    /// without being woken when there is. `None`: nothing to read.
    pub(super) fn receive_now(
        &mut self,
        now: Instant,
        core: &mut Core,
        slots: &mut Slots,
    ) -> Option<Result<(), ConnectionError>> {
        with_scratch(|scratch| self.receive(read_now, scratch, now, core, slots))
    }

    /// One read, and what it brought given to the core. `None`: nothing to read.
    fn receive(
        &mut self,
        read: ReadOnce,
        scratch: &mut [u8],
        now: Instant,
        core: &mut Core,
        slots: &mut Slots,
    ) -> Option<Result<(), ConnectionError>> {
        let place = core
            .direct_read(self.cid)
            .filter(|place| place.len >= DIRECT_MIN);
        if place.is_some() {
            self.room = BEHIND_PAYLOAD;
        }
        let scratch = scratch.get_mut(..self.room).unwrap_or_default();
        self.has_more = false;
        let count = match place {
            Some(place) => read_direct(read, &self.stream, place, slots, scratch),
            None => read(&self.stream, &mut [IoSliceMut::new(scratch)], self.room),
        };
        let read = match count {
            Ok(read) => read?,
            Err(error) => return Some(Err(transport(&error))),
        };
        let length = place.map_or(0, |place| place.len);
        self.has_more = read == length + self.room;
        if self.has_more && place.is_none() {
            self.room = SCRATCH;
        }
        let direct = length.min(read);
        if direct > 0 {
            core.handle_direct(self.cid, direct, slots);
        }
        let beyond = scratch.get(..read - direct).unwrap_or_default();
        Some(core.handle_input(now, self.cid, beyond, slots))
    }

    /// Writes what the core has to send, until the socket takes no more or nothing is left.
    /// `Ready(Ok(()))`: something was written and nothing is left, or the socket is full, so that other
    /// connections may have something to send now.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        core: &mut Core,
        slots: &Slots,
    ) -> Poll<Result<(), ConnectionError>> {
        let mut sent = false;
        let mut filled = false;
        loop {
            if self.batch.is_empty() {
                core.transmit_done(&mut self.batch);
                if !core.poll_transmit(now, self.cid, slots, &mut self.batch) {
                    return if sent {
                        Poll::Ready(Ok(()))
                    } else {
                        Poll::Pending
                    };
                }
                filled = true;
            }
            match self.stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(transport(&error))),
                Poll::Pending if filled => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
            match write_once(&self.stream, &self.batch, slots) {
                Ok(Some(written)) => self.batch.advance(written),
                // The readiness is used up: asking again registers for more.
                Ok(None) => continue,
                Err(error) => return Poll::Ready(Err(transport(&error))),
            }
            sent = true;
        }
    }
}

/// Calls `work` with this thread's scratch buffer.
fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut scratch = SPARE.take().unwrap_or_else(|| PageBuffer::new(SCRATCH));
    let done = work(&mut scratch);
    SPARE.set(Some(scratch));
    done
}

fn transport(error: &io::Error) -> ConnectionError {
    ConnectionError::Transport(error.to_string())
}

/// Reads the rest of a payload into its task's buffer and what follows it into `scratch`.
fn read_direct(
    read: ReadOnce,
    stream: &TcpStream,
    place: DirectRead,
    slots: &mut Slots,
    scratch: &mut [u8],
) -> io::Result<Option<usize>> {
    let Some(to) = slots
        .incoming(place.slot)
        .get_mut(place.offset..place.offset + place.len)
    else {
        return Err(io::Error::other("a task without its buffer"));
    };
    let capacity = place.len + scratch.len();
    read(
        stream,
        &mut [IoSliceMut::new(to), IoSliceMut::new(scratch)],
        capacity,
    )
}

/// A way to read once: from the stream into the slices, which have so many bytes. `None`: nothing to read.
type ReadOnce = fn(&TcpStream, &mut [IoSliceMut<'_>], usize) -> io::Result<Option<usize>>;

/// One read, whatever the runtime knows of the socket.
fn read_now(
    stream: &TcpStream,
    slices: &mut [IoSliceMut<'_>],
    _: usize,
) -> io::Result<Option<usize>> {
    match (&*SockRef::from(stream)).read_vectored(slices) {
        Ok(0) => Err(closed()),
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the target")
}

/// One read. A short one has emptied the socket, which is noted without another system call.
/// `None`: nothing to read.
fn read_once(
    stream: &TcpStream,
    slices: &mut [IoSliceMut<'_>],
    capacity: usize,
) -> io::Result<Option<usize>> {
    let mut read = None;
    let result = stream.try_io(Interest::READABLE, || {
        let count = (&*SockRef::from(stream)).read_vectored(slices)?;
        read = Some(count);
        if count > 0 && count < capacity {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    });
    match (result, read) {
        (_, Some(0)) => Err(closed()),
        (_, Some(count)) => Ok(Some(count)),
        (Err(error), None) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        (Err(error), None) => Err(error),
        (Ok(()), None) => Ok(None),
    }
}

/// One vectored write of as much of the batch as the socket takes. `None`: it takes nothing now.
fn write_once(stream: &TcpStream, batch: &Transmit, slots: &Slots) -> io::Result<Option<usize>> {
    let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
    let count = batch.slices(slots, &mut slices);
    let Some(slices) = count.and_then(|count| slices.get(..count)) else {
        return Err(io::Error::other("a task without its buffer"));
    };
    match stream.try_io(Interest::WRITABLE, || {
        (&*SockRef::from(stream)).write_vectored(slices)
    }) {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Ok(written) => Ok(Some(written)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
