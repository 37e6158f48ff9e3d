//! What all PDUs share: the 48-byte basic header segment, opcodes and reserved tags
//! (RFC 7143 §11.2.1).

use std::fmt;

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Malformed;

/// The length of a basic header segment in bytes.
pub const BHS_LENGTH: usize = 48;

/// A basic header segment as it travels.
pub type Bhs = [u8; BHS_LENGTH];

/// A logical unit number in the 8-byte form of SAM (RFC 7143 §11.2.1.7).
pub type Lun = [u8; 8];

/// What the LUN field holds where it is reserved.
pub const NO_LUN: Lun = [0; 8];

/// The reserved tag: no task, or no transfer (RFC 7143 §11.2.1.8, §11.7.4).
pub const NIL: u32 = 0xffff_ffff;

/// The longest data segment that the 24 bits of DataSegmentLength can tell, in bytes.
pub const MAX_DATA_SEGMENT_LENGTH: u32 = 0x00ff_ffff;

/// How many padding bytes follow a segment of `length` bytes (RFC 7143 §11.2): 0 to 3.
#[must_use]
pub fn pad_length(length: u32) -> usize {
    (length.wrapping_neg() & 3) as usize
}

/// Bit 0x40 of byte 0: deliver at once.
const IMMEDIATE: u8 = 0x40;
/// The opcode's bits of byte 0.
const OPCODE_MASK: u8 = 0x3f;

macro_rules! opcodes {
    ($( $(#[$doc:meta])* $variant:ident = $code:literal $text:literal $from_target:literal, )*) => {
        /// The opcodes of RFC 7143 §11.2.1.2.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Opcode {
            $( $(#[$doc])* $variant, )*
        }

        impl Opcode {
            /// The six bits on the wire.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $( Self::$variant => $code, )* }
            }

            /// The RFC's name of the PDU.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $( Self::$variant => $text, )* }
            }

            /// Whether only a target may send it; all others only an initiator may send.
            #[must_use]
            pub const fn is_from_target(self) -> bool {
                match self { $( Self::$variant => $from_target, )* }
            }
        }

        impl TryFrom<u8> for Opcode {
            type Error = Malformed;

            /// Reads byte 0 of a header; its I bit and its reserved bit do not matter.
            fn try_from(byte_0: u8) -> Result<Self, Malformed> {
                match byte_0 & OPCODE_MASK {
                    $( $code => Ok(Self::$variant), )*
                    unknown => Err(Malformed::UnknownOpcode(unknown)),
                }
            }
        }
    };
}

opcodes! {
    /// NOP-Out.
    NopOut = 0x00 "NOP-Out" false,
    /// SCSI Command.
    ScsiCommand = 0x01 "SCSI Command" false,
    /// SCSI Task Management Function Request.
    TaskManagementRequest = 0x02 "Task Management Function Request" false,
    /// Login Request.
    LoginRequest = 0x03 "Login Request" false,
    /// Text Request.
    TextRequest = 0x04 "Text Request" false,
    /// SCSI Data-Out.
    DataOut = 0x05 "SCSI Data-Out" false,
    /// Logout Request.
    LogoutRequest = 0x06 "Logout Request" false,
    /// SNACK Request.
    Snack = 0x10 "SNACK Request" false,
    /// NOP-In.
    NopIn = 0x20 "NOP-In" true,
    /// SCSI Response.
    ScsiResponse = 0x21 "SCSI Response" true,
    /// SCSI Task Management Function Response.
    TaskManagementResponse = 0x22 "Task Management Function Response" true,
    /// Login Response.
    LoginResponse = 0x23 "Login Response" true,
    /// Text Response.
    TextResponse = 0x24 "Text Response" true,
    /// SCSI Data-In.
    DataIn = 0x25 "SCSI Data-In" true,
    /// Logout Response.
    LogoutResponse = 0x26 "Logout Response" true,
    /// Ready To Transfer.
    R2t = 0x31 "Ready To Transfer" true,
    /// Asynchronous Message.
    AsyncMessage = 0x32 "Asynchronous Message" true,
    /// Reject.
    Reject = 0x3f "Reject" true,
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#04x})", self.text(), self.code())
    }
}

/// The part of a header that means the same in every PDU.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BasicHeader {
    /// Byte 0: the I bit (0x40) and the opcode.
    pub opcode: u8,
    /// Byte 1: F (0x80) and flags of the opcode.
    pub flags: u8,
    /// Bytes 2 and 3: specific to the opcode.
    pub specific: [u8; 2],
    /// TotalAHSLength, in words of four bytes.
    pub total_ahs_length: u8,
    /// DataSegmentLength in bytes without padding, big-endian.
    pub data_segment_length: [u8; 3],
    /// The LUN, where the PDU has one.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub itt: U32,
    /// Bytes 20 to 47: specific to the opcode.
    pub rest: [u8; 28],
}

const _: () = assert!(size_of::<BasicHeader>() == BHS_LENGTH);

impl BasicHeader {
    /// Sees any 48 bytes as a header.
    #[must_use]
    pub fn from_bhs(bhs: &Bhs) -> &Self {
        zerocopy::transmute_ref!(bhs)
    }

    /// The length of the data segment in bytes, without padding and digest.
    #[must_use]
    pub fn data_segment_length(&self) -> u32 {
        let [high, middle, low] = self.data_segment_length;
        u32::from_be_bytes([0, high, middle, low])
    }

    /// The length of all additional header segments in bytes, with their padding.
    #[must_use]
    pub fn total_ahs_length(&self) -> usize {
        usize::from(self.total_ahs_length) * 4
    }

    /// Whether the I bit is set.
    #[must_use]
    pub fn is_immediate(&self) -> bool {
        self.opcode & IMMEDIATE != 0
    }
}

/// A PDU's header as a struct over its 48 bytes.
pub trait Pdu:
    FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy + Default
{
    /// The opcode of this PDU.
    const OPCODE: Opcode;

    /// The header as it travels.
    fn as_bhs(&self) -> &Bhs;

    /// Sees 48 bytes as this PDU without a look at the opcode; [`FromTarget::parse`] and
    /// [`FromInitiator::parse`] look.
    ///
    /// [`FromTarget::parse`]: super::FromTarget::parse
    /// [`FromInitiator::parse`]: super::FromInitiator::parse
    fn from_bhs(bhs: &Bhs) -> &Self;

    /// The part that means the same in every PDU.
    fn basic(&self) -> &BasicHeader;

    /// The part that means the same in every PDU, to change it.
    fn basic_mut(&mut self) -> &mut BasicHeader;

    /// DataSegmentLength: bytes of data that follow, without padding and digest.
    fn data_segment_length(&self) -> u32 {
        self.basic().data_segment_length()
    }

    /// Sets DataSegmentLength in bytes, without padding; at most [`MAX_DATA_SEGMENT_LENGTH`],
    /// above which no `MaxRecvDataSegmentLength` can be negotiated.
    fn set_data_segment_length(&mut self, length: u32) {
        debug_assert!(
            length <= MAX_DATA_SEGMENT_LENGTH,
            "data segment of {length} bytes"
        );
        let [_, high, middle, low] = length.min(MAX_DATA_SEGMENT_LENGTH).to_be_bytes();
        self.basic_mut().data_segment_length = [high, middle, low];
    }

    /// The length of all additional header segments in bytes, with their padding.
    fn total_ahs_length(&self) -> usize {
        self.basic().total_ahs_length()
    }

    /// Sets TotalAHSLength for `length` bytes of additional headers, which must be a multiple of
    /// four and at most 1020.
    fn set_total_ahs_length(&mut self, length: usize) {
        debug_assert!(
            length.is_multiple_of(4) && length <= 1020,
            "additional headers of {length} bytes"
        );
        self.basic_mut().total_ahs_length = u8::try_from(length / 4).unwrap_or(u8::MAX);
    }
}

/// A request that may be marked for immediate delivery (RFC 7143 §11.2.1.1).
pub trait Request: Pdu {
    /// Whether the target is to deliver it at once, outside the order of CmdSN.
    fn is_immediate(&self) -> bool {
        self.basic().is_immediate()
    }

    /// Sets or clears the I bit.
    fn set_immediate(&mut self, on: bool) {
        if on {
            self.basic_mut().opcode |= IMMEDIATE;
        } else {
            self.basic_mut().opcode &= !IMMEDIATE;
        }
    }
}

/// The three numbers that every PDU from a target carries (RFC 7143 §11.4.9–11.4.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SequenceNumbers {
    /// StatSN: the number of this status, or the next one where the PDU takes none.
    pub stat_sn: u32,
    /// ExpCmdSN: the next CmdSN that the target expects.
    pub exp_cmd_sn: u32,
    /// MaxCmdSN: the last CmdSN that the target takes now.
    pub max_cmd_sn: u32,
}

/// A PDU from a target.
pub trait Response: Pdu {
    /// StatSN, ExpCmdSN and MaxCmdSN. StatSN means nothing in a Data-In without status; none of
    /// them means anything in a Login Response whose status class is not success.
    fn sequence_numbers(&self) -> SequenceNumbers;

    /// Sets StatSN, ExpCmdSN and MaxCmdSN.
    fn set_sequence_numbers(&mut self, numbers: SequenceNumbers);
}

/// A header with its opcode and the flags of byte 1 set and zeros elsewhere.
pub(super) fn blank<P: Pdu>(flags: u8) -> P {
    let mut pdu = <P as FromZeros>::new_zeroed();
    pdu.basic_mut().opcode = P::OPCODE.code();
    pdu.basic_mut().flags = flags;
    pdu
}
