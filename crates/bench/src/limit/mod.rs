//! The limit: what the sockets alone cost. A client keeps a number of 48-byte requests outstanding over
//! loopback TCP, a server answers each with 48 + n bytes (for writes the other way round), and neither
//! does anything else. This is about the least that an initiator can pay. Over loopback the sender also pays
//! for most of what the receiver's TCP does, so how the scheduler lets the two meet moves it by half.
//!
//! As many requests leave in one write, and as many bytes come in one read, as are there. Two processes,
//! so that the client's CPU is its own.

mod client;
mod server;

pub(crate) use client::run as client;
pub(crate) use server::run as server;

use std::io::{self, Read, Write};

use hawser_proto::stream::PageBuffer;

/// A request, or an answer without data: what an iSCSI header takes.
const HEADER: usize = 48;

/// Most bytes in one write.
const SEND: usize = 256 << 10;

/// Most bytes in one read: with a header and 128 KiB the limit is twice as fast as with half as much or
/// with half as much again; four megabytes do as well in some runs. Tried on two cores with 512 KiB of
/// second-level cache each.
const RECEIVE: usize = (128 << 10) + HEADER;

/// What the client says first: what one request and one answer take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sizes {
    request: usize,
    answer: usize,
}

impl Sizes {
    /// Accesses of `bytes` each.
    fn new(bytes: u32, writes: bool) -> Self {
        let long = HEADER + bytes as usize;
        if writes {
            Self {
                request: long,
                answer: HEADER,
            }
        } else {
            Self {
                request: HEADER,
                answer: long,
            }
        }
    }

    fn send(self, mut stream: impl Write) -> io::Result<()> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(self.request as u64).to_be_bytes());
        bytes[8..].copy_from_slice(&(self.answer as u64).to_be_bytes());
        stream.write_all(&bytes)
    }

    fn receive(mut stream: impl Read) -> io::Result<Self> {
        let mut word = [0; 8];
        let mut next = || -> io::Result<usize> {
            stream.read_exact(&mut word)?;
            let size = usize::try_from(u64::from_be_bytes(word)).ok();
            size.filter(|size| (HEADER..=1 << 30).contains(size))
                .ok_or_else(|| io::Error::other("no size"))
        };
        Ok(Self {
            request: next()?,
            answer: next()?,
        })
    }
}

/// Sends messages that all look the same, many in one write.
struct Sender {
    bytes: PageBuffer,
}

impl Sender {
    fn new(message: usize) -> Self {
        let mut bytes = PageBuffer::new(message.max(SEND));
        bytes.fill(0x5a);
        Self { bytes }
    }

    fn send(&self, mut stream: impl Write, bytes: usize) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let part = left.min(self.bytes.len());
            stream.write_all(&self.bytes[..part])?;
            left -= part;
        }
        Ok(())
    }
}

/// Counts the messages of one size in a stream of bytes.
struct Counter {
    message: usize,
    /// Bytes of a message that is not complete.
    rest: usize,
    buffer: PageBuffer,
}

impl Counter {
    fn new(message: usize) -> Self {
        Self {
            message,
            rest: 0,
            buffer: PageBuffer::new(RECEIVE),
        }
    }

    /// Reads once; gives how many messages are complete now, `None` at the end of the stream.
    fn read(&mut self, mut stream: impl Read) -> io::Result<Option<usize>> {
        let count = stream.read(&mut self.buffer)?;
        if count == 0 {
            return Ok(None);
        }
        self.rest += count;
        let whole = self.rest / self.message;
        self.rest %= self.message;
        Ok(Some(whole))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn every_request_is_answered_both_ways() {
        for writes in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                server::answer(&stream)
            });
            let stream = TcpStream::connect(address).unwrap();
            let sizes = Sizes::new(128 << 10, writes);
            sizes.send(&stream).unwrap();
            let end = Instant::now() + Duration::from_millis(50);
            let ios = client::exchange(&stream, sizes, 32, end).unwrap();
            assert!(ios >= 32, "{ios}");
            drop(stream);
            server.join().unwrap().unwrap();
        }
    }

    #[test]
    fn sizes_travel() {
        let sizes = Sizes::new(4096, true);
        assert_eq!((sizes.request, sizes.answer), (4144, 48));
        let mut bytes = Vec::new();
        sizes.send(&mut bytes).unwrap();
        assert_eq!(Sizes::receive(&bytes[..]).unwrap(), sizes);
        assert!(Sizes::receive(&[0; 16][..]).is_err());
    }

    #[test]
    fn messages_are_counted_over_reads() {
        let mut counter = Counter::new(100);
        assert_eq!(counter.read(&[0; 150][..]).unwrap(), Some(1));
        assert_eq!(counter.read(&[0; 49][..]).unwrap(), Some(0));
        assert_eq!(counter.read(&[0; 101][..]).unwrap(), Some(2));
        assert_eq!(counter.read(&[][..]).unwrap(), None);
    }

    #[test]
    fn every_byte_is_sent() {
        let mut sent = Vec::new();
        Sender::new(10).send(&mut sent, 3 * SEND + 1).unwrap();
        assert_eq!(sent.len(), 3 * SEND + 1);
    }
}
