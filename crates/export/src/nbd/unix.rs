//! The two halves of a client's stream on a Unix socket.
//!
//! Whenever the peer of a Unix socket reads, the kernel tells whoever waits for room on it, however much
//! room there was before. The runtime's own stream always waits for both directions, so each read of
//! the client would wake us, at the client's expense. These halves wait for room only when there is none.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// What the client sends.
#[derive(Debug)]
pub(super) struct ReadHalf(AsyncFd<UnixStream>);

/// What the client gets.
#[derive(Debug)]
pub(super) struct WriteHalf {
    stream: UnixStream,
    /// There while the socket is full.
    full: Option<AsyncFd<UnixStream>>,
}

/// The halves of a client's stream, which is in non-blocking mode.
pub(super) fn split(stream: UnixStream) -> io::Result<(ReadHalf, WriteHalf)> {
    let writer = WriteHalf {
        stream: stream.try_clone()?,
        full: None,
    };
    Ok((ReadHalf(register(stream, Interest::READABLE)?), writer))
}

fn register(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    // SAFETY: a stream owns its descriptor: `as_raw_fd` gives the same one until it is dropped.
    let registered = unsafe { AsyncFd::register_with_interest(stream, interest) };
    registered.map_err(io::Error::from)
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut readable = ready!(self.0.poll_read_ready(cx))?;
            let free = buffer.initialize_unfilled();
            match self.0.get_ref().read(free) {
                Ok(count) => {
                    // A short read has emptied the socket, which is noted without another system call.
                    if count > 0 && count < free.len() {
                        readable.clear_ready();
                    }
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => readable.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let room = match &self.full {
                Some(full) => Some(ready!(full.poll_write_ready(cx))?),
                None => None,
            };
            match (&self.stream).write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match room {
                    Some(mut room) => room.clear_ready(),
                    None => {
                        let stream = self.stream.try_clone()?;
                        self.full = Some(register(stream, Interest::WRITABLE)?);
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => {
                    self.full = None;
                    return Poll::Ready(written);
                }
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// More than the sockets hold goes both ways at once, in order.
    #[tokio::test]
    async fn whoever_is_full_waits_for_the_other_side() {
        const LENGTH: usize = 3 << 20;
        let (near, far) = UnixStream::pair().unwrap();
        let mut ends = Vec::new();
        for stream in [near, far] {
            stream.set_nonblocking(true).unwrap();
            let (mut reader, mut writer) = split(stream).unwrap();
            ends.push(async move {
                let sent: Vec<u8> = (0..LENGTH).map(|i| (i % 251) as u8).collect();
                let mut received = vec![0; LENGTH];
                let send = async {
                    writer.write_all(&sent).await.unwrap();
                    writer.shutdown().await.unwrap();
                };
                let receive = async {
                    reader.read_exact(&mut received).await.unwrap();
                    assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
                };
                tokio::join!(send, receive);
                assert!(received == sent);
            });
        }
        let limit = std::time::Duration::from_secs(30);
        let (far, near) = (ends.pop().unwrap(), ends.pop().unwrap());
        let both = async { tokio::join!(near, far) };
        tokio::time::timeout(limit, both).await.expect("in time");
    }
}
