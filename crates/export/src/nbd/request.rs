//! One request of the transmission phase: its header, and what the disk is asked to do.

use hawser_block::{Geometry, Operation};

use super::error::ClientMisbehaved;
use super::wire::{self, command, command_flag, error_code};

/// Bytes of a request's header.
pub const REQUEST_LENGTH: usize = 28;

/// The header of a request, as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader {
    /// Command flags.
    pub flags: u16,
    /// The command's number.
    pub command: u16,
    /// The client's name for the request; goes back in the reply.
    pub cookie: u64,
    /// Byte offset on the disk.
    pub offset: u64,
    /// Length in bytes.
    pub length: u32,
}

/// What a good request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Submit the operation to the disk; reads and writes with `length` bytes of buffer.
    Submit(Operation),
    /// End the connection when all requests are answered.
    Disconnect,
}

/// Why a request is answered with an error without asking the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The protocol's error number.
    pub code: u32,
    /// One sentence for a human being.
    pub text: &'static str,
}

const fn invalid(text: &'static str) -> Refusal {
    Refusal {
        code: error_code::EINVAL,
        text,
    }
}

impl RequestHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// [`ClientMisbehaved::BadRequestMagic`] when the stream is out of step, and
    /// [`ClientMisbehaved::PayloadTooLong`] when skipping the payload would be the only way on.
    pub fn parse(bytes: &[u8; REQUEST_LENGTH]) -> Result<Self, ClientMisbehaved> {
        let [m0, m1, m2, m3, f0, f1, c0, c1, rest @ ..] = *bytes;
        let magic = u32::from_be_bytes([m0, m1, m2, m3]);
        if magic != wire::REQUEST_MAGIC {
            return Err(ClientMisbehaved::BadRequestMagic(magic));
        }
        let [k0, k1, k2, k3, k4, k5, k6, k7, rest @ ..] = rest;
        let [o0, o1, o2, o3, o4, o5, o6, o7, l0, l1, l2, l3] = rest;
        let header = Self {
            flags: u16::from_be_bytes([f0, f1]),
            command: u16::from_be_bytes([c0, c1]),
            cookie: u64::from_be_bytes([k0, k1, k2, k3, k4, k5, k6, k7]),
            offset: u64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        };
        if header.payload_length() > wire::MAX_PAYLOAD {
            return Err(ClientMisbehaved::PayloadTooLong(header.length));
        }
        Ok(header)
    }

    /// Data bytes that follow the header, whether the request is good or not.
    #[must_use]
    pub fn payload_length(&self) -> u32 {
        if self.command == command::WRITE {
            self.length
        } else {
            0
        }
    }

    /// Whether the reply to success carries data.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.command == command::READ
    }

    /// Says what the disk is to do, or why the request is refused. `structured_replies` is what the
    /// handshake agreed on, `geometry` the disk's present one.
    ///
    /// # Errors
    /// The error to answer with.
    pub fn judge(&self, geometry: &Geometry, structured_replies: bool) -> Result<Command, Refusal> {
        self.check_flags(structured_replies)?;
        let fua = self.has(command_flag::FUA);
        let length = u64::from(self.length);
        let operation = match self.command {
            command::READ if self.length > wire::MAX_PAYLOAD => {
                return Err(invalid("the read is longer than the maximum block size"));
            }
            command::READ => Operation::Read,
            command::WRITE => Operation::Write { fua },
            command::DISC => return Ok(Command::Disconnect),
            command::FLUSH if self.offset != 0 || self.length != 0 => {
                return Err(invalid("a flush has neither offset nor length"));
            }
            command::FLUSH => return Ok(Command::Submit(Operation::Flush)),
            command::TRIM if geometry.can_discard => Operation::Discard { length },
            command::TRIM => return Err(invalid("the disk does not trim")),
            command::WRITE_ZEROES => self.judge_write_zeroes(geometry)?,
            _ => return Err(invalid("unknown command")),
        };
        self.check_range(geometry)?;
        Ok(Command::Submit(operation))
    }

    fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// FUA is good on every command; the others only where they mean something.
    fn check_flags(&self, structured_replies: bool) -> Result<(), Refusal> {
        let valid = match self.command {
            command::READ if structured_replies => command_flag::FUA | command_flag::DF,
            command::WRITE_ZEROES => {
                command_flag::FUA | command_flag::NO_HOLE | command_flag::FAST_ZERO
            }
            _ => command_flag::FUA,
        };
        if self.flags & !valid == 0 {
            Ok(())
        } else {
            Err(invalid("flags unknown for the command"))
        }
    }

    /// FAST_ZERO asks us to fail rather than to be as slow as writing zeroes would be.
    fn judge_write_zeroes(&self, geometry: &Geometry) -> Result<Operation, Refusal> {
        if self.has(command_flag::FAST_ZERO) && !geometry.can_write_zeroes && !geometry.read_only {
            let text = "zeroing is no faster than writing on this disk";
            return Err(Refusal {
                code: error_code::ENOTSUP,
                text,
            });
        }
        Ok(Operation::WriteZeroes {
            length: u64::from(self.length),
            fua: self.has(command_flag::FUA),
            may_unmap: !self.has(command_flag::NO_HOLE),
        })
    }

    fn check_range(&self, geometry: &Geometry) -> Result<(), Refusal> {
        let block = u64::from(geometry.block_size);
        let length = u64::from(self.length);
        let writes = self.command != command::READ;
        if writes && geometry.read_only {
            return Err(Refusal {
                code: error_code::EPERM,
                text: "the export is read-only",
            });
        }
        if length == 0 {
            return Err(invalid("a length of zero"));
        }
        if !self.offset.is_multiple_of(block) || !length.is_multiple_of(block) {
            return Err(invalid(
                "offset or length is not a multiple of the minimum block size",
            ));
        }
        match self.offset.checked_add(length) {
            Some(end) if end <= geometry.size => Ok(()),
            _ if self.command == command::WRITE || self.command == command::WRITE_ZEROES => {
                let text = "the request reaches past the end of the export";
                Err(Refusal {
                    code: error_code::ENOSPC,
                    text,
                })
            }
            _ => Err(invalid("the request reaches past the end of the export")),
        }
    }
}
