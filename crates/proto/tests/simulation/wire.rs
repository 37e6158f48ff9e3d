//! PDUs as bytes, read and written by offset straight from RFC 7143 §11: the model does not trust the
//! codec it tests.

use hawser_proto::digest::wire_digest;

/// The reserved tag.
pub(crate) const NIL: u32 = 0xffff_ffff;

pub(crate) const NOP_OUT: u8 = 0x00;
pub(crate) const COMMAND: u8 = 0x01;
pub(crate) const MANAGEMENT: u8 = 0x02;
pub(crate) const LOGIN: u8 = 0x03;
pub(crate) const TEXT: u8 = 0x04;
pub(crate) const DATA_OUT: u8 = 0x05;
pub(crate) const LOGOUT: u8 = 0x06;
pub(crate) const SNACK: u8 = 0x10;
pub(crate) const NOP_IN: u8 = 0x20;
pub(crate) const RESPONSE: u8 = 0x21;
pub(crate) const MANAGEMENT_RESPONSE: u8 = 0x22;
pub(crate) const LOGIN_RESPONSE: u8 = 0x23;
pub(crate) const TEXT_RESPONSE: u8 = 0x24;
pub(crate) const DATA_IN: u8 = 0x25;
pub(crate) const LOGOUT_RESPONSE: u8 = 0x26;
pub(crate) const R2T: u8 = 0x31;
pub(crate) const ASYNC: u8 = 0x32;
pub(crate) const REJECT: u8 = 0x3f;

/// F of every PDU that has it.
pub(crate) const FINAL: u8 = 0x80;

/// `a` is at or before `b` on the circle of serial numbers.
pub(crate) fn at_most(a: u32, b: u32) -> bool {
    b.wrapping_sub(a) < 1 << 31
}

/// A basic header segment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header(pub(crate) [u8; 48]);

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for word in self.0.chunks(4) {
            for byte in word {
                write!(f, "{byte:02x}")?;
            }
            f.write_str(" ")?;
        }
        Ok(())
    }
}

impl Header {
    pub(crate) fn new(opcode: u8, flags: u8, itt: u32) -> Self {
        let mut header = Self([0; 48]);
        header.0[0] = opcode;
        header.0[1] = flags;
        header.set32(16, itt);
        header
    }

    pub(crate) fn opcode(&self) -> u8 {
        self.0[0] & 0x3f
    }

    pub(crate) fn is_immediate(&self) -> bool {
        self.0[0] & 0x40 != 0
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.0[1] & flag != 0
    }

    pub(crate) fn lun(&self) -> [u8; 8] {
        self.0[8..16].try_into().unwrap()
    }

    pub(crate) fn set_lun(&mut self, lun: [u8; 8]) {
        self.0[8..16].copy_from_slice(&lun);
    }

    pub(crate) fn itt(&self) -> u32 {
        self.u32(16)
    }

    pub(crate) fn ttt(&self) -> u32 {
        self.u32(20)
    }

    /// CmdSN of a request, StatSN of a response.
    pub(crate) fn sn(&self) -> u32 {
        self.u32(24)
    }

    pub(crate) fn exp_stat_sn(&self) -> u32 {
        self.u32(28)
    }

    pub(crate) fn u16(&self, at: usize) -> u16 {
        u16::from_be_bytes(self.0[at..at + 2].try_into().unwrap())
    }

    pub(crate) fn u32(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.0[at..at + 4].try_into().unwrap())
    }

    pub(crate) fn set16(&mut self, at: usize, value: u16) {
        self.0[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn set32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn data_length(&self) -> usize {
        (self.u32(4) & 0x00ff_ffff) as usize
    }

    pub(crate) fn is_zero(&self, range: std::ops::Range<usize>) -> bool {
        self.0[range].iter().all(|&byte| byte == 0)
    }
}

/// Header and data digests in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) header: bool,
    pub(crate) data: bool,
}

#[derive(Debug)]
pub(crate) struct Pdu {
    pub(crate) header: Header,
    pub(crate) data: Vec<u8>,
    /// False: its data digest is wrong.
    pub(crate) is_sound: bool,
}

/// The header digest is wrong: the stream has no frame any more.
#[derive(Debug)]
pub(crate) struct Unframed;

/// Cuts a stream into PDUs.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    bytes: Vec<u8>,
    pub(crate) digests: Digests,
}

impl Framer {
    pub(crate) fn new(digests: Digests) -> Self {
        Self {
            bytes: Vec::new(),
            digests,
        }
    }

    /// It stands between two PDUs.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes bytes and gives the PDUs that are whole now.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Pdu>, Unframed> {
        self.bytes.extend_from_slice(bytes);
        let mut pdus = Vec::new();
        let mut at = 0;
        while let Some(used) = self.next(at, &mut pdus)? {
            at += used;
        }
        self.bytes.drain(..at);
        Ok(pdus)
    }

    fn next(&self, at: usize, pdus: &mut Vec<Pdu>) -> Result<Option<usize>, Unframed> {
        let bytes = &self.bytes[at..];
        let header_length = 48 + 4 * usize::from(self.digests.header);
        if bytes.len() < header_length {
            return Ok(None);
        }
        let header = Header(bytes[..48].try_into().unwrap());
        if self.digests.header && bytes[48..52] != wire_digest(&bytes[..48]) {
            return Err(Unframed);
        }
        assert_eq!(header.0[4], 0, "no additional headers: {header:?}");
        let length = header.data_length();
        let padded = length.next_multiple_of(4);
        let has_digest = self.digests.data && length > 0;
        let end = header_length + padded + 4 * usize::from(has_digest);
        if bytes.len() < end {
            return Ok(None);
        }
        let covered = &bytes[header_length..header_length + padded];
        let is_sound = !has_digest || bytes[header_length + padded..end] == wire_digest(covered);
        pdus.push(Pdu {
            header,
            data: covered[..length].to_vec(),
            is_sound,
        });
        Ok(Some(end))
    }
}

/// The bytes of a PDU, padded with this byte; its DataSegmentLength is set here.
pub(crate) fn encode(mut header: Header, data: &[u8], digests: Digests, pad: u8) -> Vec<u8> {
    header.set32(4, data.len() as u32);
    let mut bytes = header.0.to_vec();
    if digests.header {
        bytes.extend(wire_digest(&header.0));
    }
    if !data.is_empty() {
        let begin = bytes.len();
        bytes.extend_from_slice(data);
        bytes.resize(begin + data.len().next_multiple_of(4), pad);
        if digests.data {
            let digest = wire_digest(&bytes[begin..]);
            bytes.extend(digest);
        }
    }
    bytes
}
