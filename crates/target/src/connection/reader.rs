//! The receiving half of a connection: many PDUs from one read, long payloads straight to where they
//! belong.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hawser_proto::pdu::{BasicHeader, Bhs};
use hawser_proto::stream::{Item, Offence, PageBuffer, Receiver};
use tokio::io::{AsyncRead, ReadBuf};

use crate::session::{Incoming, Sink};

/// How much is read at once. A queue of 32 writes of 4 KiB fits in.
const BUFFER: usize = 256 * 1024;

/// From how many missing payload bytes on it pays to read them to where they belong.
const IN_PLACE: usize = 16 * 1024;

/// Who takes what arrives.
pub(crate) trait Handler {
    /// Says where the payload of the PDU with this header goes.
    fn begin(&mut self, header: &Bhs) -> Sink;
    /// Stores payload of a task, from this offset of its data on.
    fn store(&mut self, itt: u32, offset: u32, bytes: &[u8]);
    /// Takes a whole PDU. False stops the reader behind it.
    fn receive(&mut self, incoming: &Incoming<'_>) -> bool;
}

/// Who lends the buffers of tasks, to read payload to where it belongs.
pub(crate) trait Lender {
    /// Lends the buffer of a task, if `end` bytes of data fit in it.
    fn lend(&mut self, itt: u32, end: usize) -> Option<Vec<u8>>;
    /// Takes the buffer back.
    fn give_back(&mut self, itt: u32, buffer: Vec<u8>);
}

/// The PDU whose payload is arriving.
#[derive(Debug, Clone, Copy)]
struct Current {
    header: Bhs,
    sink: Sink,
    /// Its header digest was wrong: nothing of it is used.
    bad: bool,
}

/// The receiving half.
#[derive(Debug)]
pub(crate) struct Reader {
    receiver: Receiver,
    buffer: PageBuffer,
    start: usize,
    end: usize,
    current: Option<Current>,
    /// The payload of the current PDU, as far as it came in pieces.
    collected: Vec<u8>,
}

impl Reader {
    /// A reader that takes data segments of up to `limit` bytes.
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            receiver: Receiver::new(limit),
            buffer: PageBuffer::new(BUFFER),
            start: 0,
            end: 0,
            current: None,
            collected: Vec::new(),
        }
    }

    /// The parser, to set what the login agreed on.
    pub(crate) fn receiver(&mut self) -> &mut Receiver {
        &mut self.receiver
    }

    /// Reads what there is, once. Gives the number of bytes; 0 at the end of the stream.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
        lender: &mut impl Lender,
    ) -> Poll<io::Result<usize>> {
        if self.start == self.end
            && self.receiver.payload_missing() >= IN_PLACE
            && let Some(current) = self.current
            && let Some(read) = self.poll_in_place(cx, stream, lender, current.sink)
        {
            return read;
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = ready!(poll_read(cx, stream, room))?;
        self.end += read;
        Poll::Ready(Ok(read))
    }

    /// Reads payload to where it belongs. `None` if there is no such place.
    fn poll_in_place(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
        lender: &mut impl Lender,
        sink: Sink,
    ) -> Option<Poll<io::Result<usize>>> {
        let missing = self.receiver.payload_missing();
        let offset = self.receiver.payload_offset() as usize;
        let (mut target, start, lent) = match sink {
            Sink::Discard => return None,
            Sink::Collect => {
                let mut collected = std::mem::take(&mut self.collected);
                if collected.len() < offset + missing {
                    collected.resize(offset + missing, 0);
                }
                (collected, offset, None)
            }
            Sink::Task(itt, base) => {
                let start = base as usize + offset;
                (lender.lend(itt, start + missing)?, start, Some(itt))
            }
        };
        let place = target.get_mut(start..start + missing).unwrap_or_default();
        let read = poll_read(cx, stream, place);
        if let Poll::Ready(Ok(count)) = read {
            self.receiver
                .payload_in_place(place.get(..count).unwrap_or_default());
        }
        match lent {
            Some(itt) => lender.give_back(itt, target),
            None => self.collected = target,
        }
        Some(read)
    }

    /// Hands on all that was read.
    ///
    /// # Errors
    /// An [`Offence`]: the connection must be closed.
    pub(crate) fn drain(&mut self, handler: &mut impl Handler) -> Result<(), Offence> {
        let Self {
            receiver,
            buffer,
            start,
            end,
            current,
            collected,
        } = self;
        let mut input = buffer.get(*start..*end).unwrap_or_default();
        // The payload of the current PDU, if it lies in the buffer in one piece.
        let mut whole: Option<&[u8]> = None;
        let mut go_on = true;
        while go_on && let Some(item) = receiver.next(&mut input)? {
            match item {
                Item::Header(header) => {
                    let bad = receiver.header_is_bad();
                    let sink = if bad {
                        Sink::Discard
                    } else {
                        handler.begin(&header)
                    };
                    *current = Some(Current { header, sink, bad });
                }
                Item::Data { offset, bytes } => match current.map(|current| current.sink) {
                    Some(Sink::Task(itt, base)) => {
                        handler.store(itt, base.saturating_add(offset), bytes);
                    }
                    Some(Sink::Collect) if offset == 0 => whole = Some(bytes),
                    Some(Sink::Collect) => collect(collected, offset, bytes),
                    _ => {}
                },
                Item::End { digest_ok } => {
                    let Some(Current { header, sink, .. }) = current.take().filter(|it| !it.bad)
                    else {
                        continue;
                    };
                    let length = BasicHeader::from_bhs(&header).data_segment_length() as usize;
                    let data = match whole.take() {
                        Some(data) if data.len() == length => data,
                        Some(begin) => {
                            collect(collected, 0, begin);
                            collected.get(..length).unwrap_or_default()
                        }
                        None if sink == Sink::Collect => {
                            collected.get(..length).unwrap_or_default()
                        }
                        None => &[],
                    };
                    let ahs = receiver.ahs();
                    let incoming = Incoming {
                        header: &header,
                        ahs,
                        data,
                        digest_ok,
                    };
                    go_on = handler.receive(&incoming);
                }
            }
        }
        if let Some(begin) = whole {
            collect(collected, 0, begin);
        }
        *start = *end - input.len();
        Ok(())
    }
}

/// Puts a piece of payload where it belongs.
fn collect(collected: &mut Vec<u8>, offset: u32, bytes: &[u8]) {
    let start = offset as usize;
    let end = start + bytes.len();
    if collected.len() < end {
        collected.resize(end, 0);
    }
    if let Some(place) = collected.get_mut(start..end) {
        place.copy_from_slice(bytes);
    }
}

fn poll_read(
    cx: &mut Context<'_>,
    stream: &mut (impl AsyncRead + Unpin),
    place: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(place);
    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}
