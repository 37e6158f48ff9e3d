//! Just enough of an NBD client (the NBD project's `proto.md`) to write and read back where nothing
//! can be mounted: fixed newstyle, EXPORT_NAME, simple replies, one request at a time.

use std::io::{self, Read, Write};
use std::path::PathBuf;

/// First eight bytes of the server's greeting.
const GREETING: &[u8; 8] = b"NBDMAGIC";
/// The next eight, which also begin each option.
const OPTION: &[u8; 8] = b"IHAVEOPT";
/// Client flags: fixed newstyle, no zeroes after the answer to EXPORT_NAME.
const CLIENT_FLAGS: u32 = 0b11;
/// The option that ends the handshake.
const OPT_EXPORT_NAME: u32 = 1;
/// Begins a request.
const REQUEST: u32 = 0x2560_9513;
/// Begins a simple reply.
const SIMPLE_REPLY: u32 = 0x6744_6698;
const COMMAND_READ: u16 = 0;
const COMMAND_WRITE: u16 = 1;
const COMMAND_DISCONNECT: u16 = 2;
const COMMAND_FLUSH: u16 = 3;
/// Bytes of one read or write: what every server takes.
const CHUNK: usize = 1 << 20;

/// The socket in an address such as `nbd+unix:///name?socket=/run/x.sock`, with `%XX` for bytes that
/// an address cannot hold.
pub(super) fn socket_of(address: &str) -> Option<PathBuf> {
    let (_, parameters) = address.strip_prefix("nbd+unix://")?.split_once('?')?;
    let value = parameters
        .split('&')
        .find_map(|one| one.strip_prefix("socket="))?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_first_chunk::<2>()?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

/// Writes `payload` to the start of the disk and flushes it.
pub(super) fn write(stream: impl Read + Write, payload: &[u8]) -> io::Result<()> {
    let mut client = Client::open(stream, payload.len())?;
    for (index, chunk) in payload.chunks(CHUNK).enumerate() {
        client.request(COMMAND_WRITE, index * CHUNK, chunk.len(), chunk)?;
        client.reply()?;
    }
    client.request(COMMAND_FLUSH, 0, 0, &[])?;
    client.reply()?;
    client.request(COMMAND_DISCONNECT, 0, 0, &[])
}

/// Reads `length` bytes from the start of the disk.
pub(super) fn read(stream: impl Read + Write, length: usize) -> io::Result<Vec<u8>> {
    let mut client = Client::open(stream, length)?;
    let mut bytes = vec![0; length];
    for (index, chunk) in bytes.chunks_mut(CHUNK).enumerate() {
        client.request(COMMAND_READ, index * CHUNK, chunk.len(), &[])?;
        client.reply()?;
        client.stream.read_exact(chunk)?;
    }
    client.request(COMMAND_DISCONNECT, 0, 0, &[])?;
    Ok(bytes)
}

struct Client<S> {
    stream: S,
    cookie: u64,
}

impl<S: Read + Write> Client<S> {
    /// Shakes hands; the disk must have `needed` bytes.
    fn open(mut stream: S, needed: usize) -> io::Result<Self> {
        let mut greeting = [0; 18];
        stream.read_exact(&mut greeting)?;
        if !greeting.starts_with(GREETING) || greeting[8..16] != OPTION[..] {
            return Err(wrong("no NBD server greets so"));
        }
        let mut answer = Vec::with_capacity(20);
        answer.extend_from_slice(&CLIENT_FLAGS.to_be_bytes());
        answer.extend_from_slice(OPTION);
        answer.extend_from_slice(&OPT_EXPORT_NAME.to_be_bytes());
        // The empty name: the default export.
        answer.extend_from_slice(&0_u32.to_be_bytes());
        stream.write_all(&answer)?;
        let mut size = [0; 8];
        stream.read_exact(&mut size)?;
        let mut flags = [0; 2];
        stream.read_exact(&mut flags)?;
        if u64::from_be_bytes(size) < needed as u64 {
            return Err(wrong("the disk is too small"));
        }
        Ok(Self { stream, cookie: 0 })
    }

    fn request(
        &mut self,
        command: u16,
        offset: usize,
        length: usize,
        data: &[u8],
    ) -> io::Result<()> {
        self.cookie += 1;
        let length = u32::try_from(length).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(28 + data.len());
        bytes.extend_from_slice(&REQUEST.to_be_bytes());
        bytes.extend_from_slice(&0_u16.to_be_bytes());
        bytes.extend_from_slice(&command.to_be_bytes());
        bytes.extend_from_slice(&self.cookie.to_be_bytes());
        bytes.extend_from_slice(&(offset as u64).to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(data);
        self.stream.write_all(&bytes)
    }

    /// Reads the head of the reply to the last request.
    fn reply(&mut self) -> io::Result<()> {
        let mut head = [0; 16];
        self.stream.read_exact(&mut head)?;
        let [m0, m1, m2, m3, e0, e1, e2, e3, cookie @ ..] = head;
        if u32::from_be_bytes([m0, m1, m2, m3]) != SIMPLE_REPLY
            || u64::from_be_bytes(cookie) != self.cookie
        {
            return Err(wrong("no reply to what was asked"));
        }
        match i32::from_be_bytes([e0, e1, e2, e3]) {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("NBD: {what}"))
}

#[cfg(test)]
mod tests;
