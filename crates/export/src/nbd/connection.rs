//! One client: reads requests off its socket, gives them to the disk, writes replies in batches.
//!
//! Two futures share a task. The reader parses many requests out of one read and receives big
//! payloads straight into the buffer that goes to the disk. The writer takes all that has finished
//! since it last looked and sends it with one vectored write.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use hawser_block::BlockDevice;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::error::ClientMisbehaved;
use super::handshake::{ExportInfo, Handshake, Negotiated, Progress};
use super::reply::{Outcome, ReplyEncoder};
use super::request::{Command, REQUEST_LENGTH, RequestHeader};
use super::slots::{Finished, Slots};

/// The time a handshake may take. It is a few round trips without any I/O.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);

/// The time a client may stop in the middle of a request, or leave its replies unread, before it is
/// given up. Long, because a virtual machine may be stopped in a debugger.
const STALL_LIMIT: Duration = Duration::from_secs(300);

/// The time requests in flight have to end after the client said goodbye.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// Bytes read at once: some dozens of small requests.
const READ_BUFFER: usize = 64 * 1024;

/// What is missing of a payload is read straight into its buffer from this size on; below it goes
/// through the read buffer, which brings the next requests along.
const DIRECT_READ: usize = 16 * 1024;

/// Bytes read at once behind a payload that was read straight into its buffer: what comes next is such a
/// payload again, most likely, of which little shall have to be copied.
const BEHIND_PAYLOAD: usize = 4096;

/// Replies in one vectored write; each is at most two slices.
const REPLY_BATCH: usize = 64;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error(transparent)]
    Misbehaved(#[from] ClientMisbehaved),
    #[error("the handshake was not over after {} s", HANDSHAKE_LIMIT.as_secs())]
    HandshakeTimeout,
    #[error("the client stopped in the middle of a request or left replies unread for {} s",
        STALL_LIMIT.as_secs())]
    Stalled,
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

/// Serves one client until it leaves.
pub(super) async fn serve(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    export: ExportInfo,
    device: Arc<dyn BlockDevice>,
    permit: OwnedSemaphorePermit,
) -> Result<(), ConnectionError> {
    let handshake = Handshake::new(export, device.geometry());
    let agreed = timeout(
        HANDSHAKE_LIMIT,
        shake_hands(&mut reader, &mut writer, handshake),
    );
    let Some((negotiated, input)) = agreed
        .await
        .map_err(|_| ConnectionError::HandshakeTimeout)??
    else {
        return Ok(());
    };
    let slots = Slots::new(device, permit);
    let mut input = Input::new(reader, input);
    let answering = write_replies(&mut writer, &slots, negotiated);
    tokio::pin!(answering);
    let said_goodbye = tokio::select! {
        result = take_requests(&mut input, &slots, negotiated) => result?,
        result = &mut answering => return result,
    };
    slots.end();
    if said_goodbye && let Ok(result) = timeout(DRAIN_LIMIT, answering).await {
        return result;
    }
    Ok(())
}

/// Drives the handshake; `None` when the client ended it.
async fn shake_hands(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    mut handshake: Handshake,
) -> Result<Option<(Negotiated, Vec<u8>)>, ConnectionError> {
    let mut chunk = [0; 4096];
    let mut progress = Progress::NeedInput;
    loop {
        if let Some(output) = handshake.poll_transmit() {
            writer.write_all(&output).await?;
        }
        match progress {
            Progress::Transmission(agreed) => return Ok(Some((agreed, handshake.into_input()))),
            Progress::Closed => return Ok(None),
            Progress::NeedInput => {}
        }
        let count = reader.read(&mut chunk).await?;
        if count == 0 {
            return Ok(None);
        }
        progress = handshake.handle_input(&chunk[..count])?;
    }
}

/// Takes requests until the client leaves; true when it said goodbye.
async fn take_requests(
    input: &mut Input<impl AsyncRead + Unpin>,
    slots: &Arc<Slots>,
    negotiated: Negotiated,
) -> Result<bool, ConnectionError> {
    while let Some(bytes) = input.next_header().await? {
        let header = RequestHeader::parse(&bytes)?;
        let verdict = header.judge(&slots.device().geometry(), negotiated.structured_replies);
        if verdict == Ok(Command::Disconnect) {
            return Ok(true);
        }
        let has_data = header.payload_length() > 0 || (header.is_read() && verdict.is_ok());
        let length = if has_data { header.length as usize } else { 0 };
        let (token, mut buffer) = slots.admit(header, length).await;
        if header.payload_length() > 0 {
            input.read_payload(&mut buffer).await?;
        }
        match verdict {
            Ok(Command::Submit(operation)) => {
                slots.submit(token, operation, header.offset, buffer);
            }
            Err(refusal) => slots.finish(token, Outcome::Refused(refusal), buffer),
            Ok(Command::Disconnect) => return Ok(true),
        }
    }
    Ok(false)
}

/// Writes replies until all requests are answered and no more will come.
async fn write_replies(
    writer: &mut (impl AsyncWrite + Unpin),
    slots: &Slots,
    negotiated: Negotiated,
) -> Result<(), ConnectionError> {
    let encoder = ReplyEncoder::new(negotiated.structured_replies);
    let mut batch: Vec<Finished> = Vec::with_capacity(REPLY_BATCH);
    let mut headers = Vec::new();
    let mut ends = [0; REPLY_BATCH];
    let mut with_data = [false; REPLY_BATCH];
    while slots.next_finished(&mut batch, REPLY_BATCH).await {
        headers.clear();
        for (index, finished) in batch.iter().enumerate() {
            with_data[index] = encoder.encode(&finished.request, &finished.outcome, &mut headers);
            ends[index] = headers.len();
        }
        let mut slices = [IoSlice::new(&[]); 2 * REPLY_BATCH];
        let mut used = 0;
        let mut start = 0;
        for (index, finished) in batch.iter().enumerate() {
            slices[used] = IoSlice::new(&headers[start..ends[index]]);
            start = ends[index];
            used += 1;
            if with_data[index] {
                slices[used] = IoSlice::new(&finished.buffer);
                used += 1;
            }
        }
        write_all(writer, &mut slices[..used]).await?;
        slots.release(&mut batch);
    }
    Ok(())
}

async fn write_all(
    writer: &mut (impl AsyncWrite + Unpin),
    mut slices: &mut [IoSlice<'_>],
) -> Result<(), ConnectionError> {
    while !slices.is_empty() {
        let written = timeout(STALL_LIMIT, writer.write_vectored(slices))
            .await
            .map_err(|_| ConnectionError::Stalled)??;
        if written == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
        IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
}

/// A socket with a read buffer.
struct Input<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How much of the buffer a read may fill.
    room: usize,
}

impl<R: AsyncRead + Unpin> Input<R> {
    /// `first` came with the handshake.
    fn new(reader: R, first: Vec<u8>) -> Self {
        let end = first.len();
        let mut buffer = first;
        buffer.resize(READ_BUFFER.max(end), 0);
        Self {
            reader,
            buffer,
            start: 0,
            end,
            room: READ_BUFFER,
        }
    }

    /// The next request's header; `None` when the client closed the connection between requests.
    /// Waiting for a request has no limit, waiting for the rest of one has.
    async fn next_header(&mut self) -> Result<Option<[u8; REQUEST_LENGTH]>, ConnectionError> {
        loop {
            let waiting = &self.buffer[self.start..self.end];
            if let Some(header) = waiting.first_chunk::<REQUEST_LENGTH>() {
                let header = *header;
                self.start += REQUEST_LENGTH;
                return Ok(Some(header));
            }
            let begun = !waiting.is_empty();
            let count = if begun {
                stall_limit(self.fill()).await?
            } else {
                self.fill().await?
            };
            match (count, begun) {
                (0, false) => return Ok(None),
                (0, true) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                _ => {}
            }
        }
    }

    async fn read_payload(&mut self, payload: &mut [u8]) -> Result<(), ConnectionError> {
        let mut filled = 0;
        while filled < payload.len() {
            let rest = &mut payload[filled..];
            let buffered = (self.end - self.start).min(rest.len());
            if buffered > 0 {
                rest[..buffered].copy_from_slice(&self.buffer[self.start..self.start + buffered]);
                self.start += buffered;
                filled += buffered;
                continue;
            }
            let direct = rest.len() >= DIRECT_READ;
            let count = if direct {
                self.room = BEHIND_PAYLOAD;
                stall_limit(self.reader.read(rest)).await?
            } else {
                stall_limit(self.fill()).await?
            };
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            filled += if direct { count } else { 0 };
        }
        Ok(())
    }

    /// Reads more into the buffer, whose unread part is shorter than a header or empty.
    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let free = &mut self.buffer[self.end..self.room];
        let count = self.reader.read(free).await?;
        self.end += count;
        if self.end == self.room {
            self.room = READ_BUFFER;
        }
        Ok(count)
    }
}

async fn stall_limit(
    read: impl Future<Output = io::Result<usize>>,
) -> Result<usize, ConnectionError> {
    Ok(timeout(STALL_LIMIT, read)
        .await
        .map_err(|_| ConnectionError::Stalled)??)
}
