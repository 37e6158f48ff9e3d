//! PDUs as bytes, by the offsets of RFC 7143 section 11: a hostile peer says what no codec would.

use hawser_proto::digest::wire_digest;

/// The reserved tag.
pub const NIL: u32 = 0xffff_ffff;
/// The F bit.
pub const FINAL: u8 = 0x80;
/// The longest data segment that anybody here sends.
pub const SEGMENT_MAX: usize = 8192;

/// Opcodes of an initiator (RFC 7143 section 11.2.1.2).
pub mod request {
    #![allow(missing_docs)]
    pub const NOP_OUT: u8 = 0x00;
    pub const COMMAND: u8 = 0x01;
    pub const MANAGEMENT: u8 = 0x02;
    pub const LOGIN: u8 = 0x03;
    pub const TEXT: u8 = 0x04;
    pub const DATA_OUT: u8 = 0x05;
    pub const LOGOUT: u8 = 0x06;
    pub const SNACK: u8 = 0x10;
}

/// Opcodes of a target.
pub mod answer {
    #![allow(missing_docs)]
    pub const NOP_IN: u8 = 0x20;
    pub const RESPONSE: u8 = 0x21;
    pub const MANAGEMENT: u8 = 0x22;
    pub const LOGIN: u8 = 0x23;
    pub const TEXT: u8 = 0x24;
    pub const DATA_IN: u8 = 0x25;
    pub const LOGOUT: u8 = 0x26;
    pub const R2T: u8 = 0x31;
    pub const ASYNC: u8 = 0x32;
    pub const REJECT: u8 = 0x3f;
}

/// Which digests a connection uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digests {
    /// `HeaderDigest=CRC32C`.
    pub header: bool,
    /// `DataDigest=CRC32C`.
    pub data: bool,
}

/// What is wrong with a PDU on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// The header digest, if there is one.
    pub header: bool,
    /// The data digest, if there is one.
    pub data: bool,
}

/// A PDU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// The basic header segment.
    pub header: [u8; 48],
    /// Additional headers, a multiple of four bytes.
    pub ahs: Vec<u8>,
    /// The data segment, without its padding.
    pub data: Vec<u8>,
}

impl Pdu {
    /// A PDU without data.
    #[must_use]
    pub fn new(opcode: u8, flags: u8, itt: u32) -> Self {
        let mut pdu = Self {
            header: [0; 48],
            ahs: Vec::new(),
            data: Vec::new(),
        };
        pdu.header[0] = opcode;
        pdu.header[1] = flags;
        pdu.set(16, itt);
        pdu
    }

    /// The same with this data segment.
    #[must_use]
    pub fn with_data(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        self
    }

    /// The opcode.
    #[must_use]
    pub fn opcode(&self) -> u8 {
        self.header[0] & 0x3f
    }

    /// The initiator task tag.
    #[must_use]
    pub fn itt(&self) -> u32 {
        self.get(16)
    }

    /// The LUN field.
    #[must_use]
    pub fn lun(&self) -> [u8; 8] {
        self.header[8..16].try_into().expect("eight bytes")
    }

    /// The number of four bytes at this offset.
    #[must_use]
    pub fn get(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.header[at..at + 4].try_into().expect("four bytes"))
    }

    /// Writes a number of four bytes.
    pub fn set(&mut self, at: usize, value: u32) {
        self.header[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }

    /// Says in the header how long the other parts are.
    pub fn set_lengths(&mut self) {
        let length = u32::try_from(self.data.len()).expect("a short segment");
        self.set(4, length);
        self.header[4] = u8::try_from(self.ahs.len() / 4).expect("short headers");
    }

    /// The bytes on the wire, in which the lengths are those of the header.
    #[must_use]
    pub fn encode(&self, digests: Digests, damage: Damage) -> Vec<u8> {
        let mut bytes = self.header.to_vec();
        bytes.extend_from_slice(&self.ahs);
        if digests.header {
            let digest = spoil(wire_digest(&bytes), damage.header);
            bytes.extend_from_slice(&digest);
        }
        if self.data.is_empty() {
            return bytes;
        }
        let mut data = self.data.clone();
        data.resize(data.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(&data);
        if digests.data {
            bytes.extend_from_slice(&spoil(wire_digest(&data), damage.data));
        }
        bytes
    }

    /// Takes the first PDU off `bytes`, if it is there whole, and checks what holds for all PDUs of
    /// the program that is tested: digests, padding, lengths.
    #[must_use]
    pub fn take(bytes: &mut Vec<u8>, digests: Digests) -> Option<Self> {
        let header: [u8; 48] = bytes.get(..48)?.try_into().expect("48 bytes");
        let mut pdu = Self {
            header,
            ahs: Vec::new(),
            data: Vec::new(),
        };
        let length = (pdu.get(4) & 0x00ff_ffff) as usize;
        let headers = 48 + usize::from(header[4]) * 4;
        let data_at = headers + if digests.header { 4 } else { 0 };
        let padded = data_at + length.next_multiple_of(4);
        let has_digest = digests.data && length > 0;
        let end = padded + if has_digest { 4 } else { 0 };
        if bytes.len() < end {
            return None;
        }
        if digests.header {
            assert_eq!(
                bytes[headers..data_at],
                wire_digest(&bytes[..headers]),
                "header digest"
            );
        }
        if has_digest {
            assert_eq!(
                bytes[padded..end],
                wire_digest(&bytes[data_at..padded]),
                "data digest"
            );
        }
        assert!(
            bytes[data_at + length..padded]
                .iter()
                .all(|&byte| byte == 0),
            "padding"
        );
        pdu.ahs = bytes[48..headers].to_vec();
        pdu.data = bytes[data_at..data_at + length].to_vec();
        bytes.drain(..end);
        Some(pdu)
    }
}

fn spoil(mut digest: [u8; 4], wrong: bool) -> [u8; 4] {
    digest[0] ^= u8::from(wrong);
    digest
}
