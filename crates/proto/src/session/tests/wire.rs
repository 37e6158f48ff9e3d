//! PDUs as bytes: what the scripted target says and how it reads what it is told.

/// Opcodes of RFC 7143 §11.2.1.2, initiator to target.
pub(super) const NOP_OUT: u8 = 0x00;
pub(super) const COMMAND: u8 = 0x01;
pub(super) const TMF: u8 = 0x02;
pub(super) const TEXT: u8 = 0x04;
pub(super) const DATA_OUT: u8 = 0x05;
pub(super) const LOGOUT: u8 = 0x06;
pub(super) const SNACK: u8 = 0x10;

/// Target to initiator.
pub(super) const NOP_IN: u8 = 0x20;
pub(super) const RESPONSE: u8 = 0x21;
pub(super) const TMF_RESPONSE: u8 = 0x22;
pub(super) const LOGIN_RESPONSE: u8 = 0x23;
pub(super) const TEXT_RESPONSE: u8 = 0x24;
pub(super) const DATA_IN: u8 = 0x25;
pub(super) const LOGOUT_RESPONSE: u8 = 0x26;
pub(super) const R2T: u8 = 0x31;
pub(super) const ASYNC: u8 = 0x32;
pub(super) const REJECT: u8 = 0x3f;

/// RFC 7143 §11.2.1: bit 1 of byte 0.
pub(super) const IMMEDIATE: u8 = 0x40;
/// Bit 0 of byte 1.
pub(super) const FINAL: u8 = 0x80;
/// The reserved tag.
pub(super) const NONE: u32 = 0xffff_ffff;

/// CRC32C by the definition (RFC 7143 §13.1): Castagnoli polynomial, reflected, one bit at a time.
pub(super) fn crc32c(bytes: &[u8]) -> [u8; 4] {
    let mut crc = 0xffff_ffff_u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= 0x82f6_3b78;
            }
        }
    }
    (!crc).to_le_bytes()
}

/// A PDU of either side.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pdu {
    pub(super) header: [u8; 48],
    pub(super) data: Vec<u8>,
}

impl std::fmt::Debug for Pdu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for word in self.header.chunks(4) {
            for byte in word {
                write!(f, "{byte:02x}")?;
            }
            write!(f, " ")?;
        }
        write!(f, "+ {} bytes", self.data.len())
    }
}

impl Pdu {
    pub(super) fn new(opcode: u8, flags: u8) -> Self {
        let mut header = [0; 48];
        header[0] = opcode;
        header[1] = flags;
        Self {
            header,
            data: Vec::new(),
        }
    }

    pub(super) fn byte(mut self, at: usize, value: u8) -> Self {
        self.header[at] = value;
        self
    }

    pub(super) fn put16(mut self, at: usize, value: u16) -> Self {
        self.header[at..at + 2].copy_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn put32(mut self, at: usize, value: u32) -> Self {
        self.header[at..at + 4].copy_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn lun(mut self, lun: [u8; 8]) -> Self {
        self.header[8..16].copy_from_slice(&lun);
        self
    }

    pub(super) fn itt(self, itt: u32) -> Self {
        self.put32(16, itt)
    }

    pub(super) fn data(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        self
    }

    pub(super) fn get32(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.header[at..at + 4].try_into().unwrap())
    }

    pub(super) fn opcode(&self) -> u8 {
        self.header[0] & 0x3f
    }

    pub(super) fn is_immediate(&self) -> bool {
        self.header[0] & IMMEDIATE != 0
    }

    pub(super) fn is_final(&self) -> bool {
        self.header[1] & FINAL != 0
    }

    pub(super) fn get_lun(&self) -> [u8; 8] {
        self.header[8..16].try_into().unwrap()
    }

    pub(super) fn get_itt(&self) -> u32 {
        self.get32(16)
    }

    /// Target Transfer Tag; Expected Data Transfer Length of a command; Referenced Task Tag of a
    /// management request.
    pub(super) fn word20(&self) -> u32 {
        self.get32(20)
    }

    pub(super) fn cmd_sn(&self) -> u32 {
        self.get32(24)
    }

    pub(super) fn exp_stat_sn(&self) -> u32 {
        self.get32(28)
    }

    pub(super) fn data_sn(&self) -> u32 {
        self.get32(36)
    }

    pub(super) fn offset(&self) -> u32 {
        self.get32(40)
    }

    /// As it travels. `corrupt` damages the last byte: of the data digest, or of the header digest
    /// when there is no data.
    pub(super) fn to_wire(&self, header_digest: bool, data_digest: bool, corrupt: bool) -> Vec<u8> {
        let mut bytes = self.header.to_vec();
        bytes[5..8].copy_from_slice(&(self.data.len() as u32).to_be_bytes()[1..]);
        if header_digest {
            let digest = crc32c(&bytes);
            bytes.extend(digest);
        }
        if !self.data.is_empty() {
            let begin = bytes.len();
            bytes.extend(&self.data);
            // Padding need not be zero, and is covered by the digest (RFC 7143 §11.1).
            while !(bytes.len() - begin).is_multiple_of(4) {
                bytes.push(0xee);
            }
            if data_digest {
                let digest = crc32c(&bytes[begin..]);
                bytes.extend(digest);
            }
        }
        if corrupt {
            *bytes.last_mut().unwrap() ^= 1;
        }
        bytes
    }

    /// Cuts one PDU off the front of what an initiator wrote, checking lengths, padding and digests.
    pub(super) fn from_wire(bytes: &mut Vec<u8>, header_digest: bool, data_digest: bool) -> Self {
        assert!(bytes.len() >= 48, "half a header: {bytes:02x?}");
        assert_eq!(bytes[4], 0, "additional headers: {bytes:02x?}");
        let length = u32::from_be_bytes([0, bytes[5], bytes[6], bytes[7]]) as usize;
        let mut at = 48;
        if header_digest {
            assert_eq!(bytes[at..at + 4], crc32c(&bytes[..48]), "header digest");
            at += 4;
        }
        let padded = length.next_multiple_of(4);
        let segment = bytes[at..at + padded].to_vec();
        assert!(segment[length..].iter().all(|&pad| pad == 0), "padding");
        at += padded;
        if data_digest && length > 0 {
            assert_eq!(bytes[at..at + 4], crc32c(&segment), "data digest");
            at += 4;
        }
        let mut header: [u8; 48] = bytes[..48].try_into().unwrap();
        header[5..8].fill(0);
        bytes.drain(..at);
        Self {
            header,
            data: segment[..length].to_vec(),
        }
    }
}
