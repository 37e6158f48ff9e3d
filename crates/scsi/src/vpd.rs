//! Vital product data: the pages of INQUIRY that name a unit and give its limits (SPC-4 §7.8,
//! SBC-3 §6.6).

use crate::error::DecodeError;
use crate::fields::{be16, be32, be64, byte, printable, slice};

#[cfg(test)]
mod tests;

/// Page code: supported VPD pages.
pub const PAGE_SUPPORTED: u8 = 0x00;
/// Page code: unit serial number.
pub const PAGE_SERIAL: u8 = 0x80;
/// Page code: device identification.
pub const PAGE_DEVICE_ID: u8 = 0x83;
/// Page code: block limits.
pub const PAGE_BLOCK_LIMITS: u8 = 0xb0;
/// Page code: block device characteristics.
pub const PAGE_BLOCK_CHARACTERISTICS: u8 = 0xb1;
/// Page code: logical block provisioning.
pub const PAGE_PROVISIONING: u8 = 0xb2;

/// Bytes before a page's body.
const HEADER_LEN: usize = 4;
/// Bytes before a designator's own bytes.
const DESIGNATOR_HEADER_LEN: usize = 4;
/// Most designators taken from a page. Real units have under ten; a page of 64 KiB of empty ones
/// would be sixteen thousand.
const MAX_DESIGNATORS: usize = 64;

/// The body of page `asked`: what its PAGE LENGTH says, as far as it came.
///
/// # Errors
/// `TooShort` below the 4-byte header; `WrongPage` where the unit sent another page, as some do
/// that do not know VPD.
pub fn page_body(asked: u8, bytes: &[u8]) -> Result<&[u8], DecodeError> {
    DecodeError::need("VPD page", bytes, HEADER_LEN)?;
    let got = byte(bytes, 1);
    if got != asked {
        return Err(DecodeError::WrongPage { asked, got });
    }
    Ok(slice(bytes, HEADER_LEN, usize::from(be16(bytes, 2))))
}

/// Page 00h: the codes of the pages that the unit has.
///
/// # Errors
/// As [`page_body`].
pub fn decode_supported_pages(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    // A code is one byte, so more than 256 are repetitions.
    page_body(PAGE_SUPPORTED, bytes).map(|body| slice(body, 0, 256).to_vec())
}

/// Page 80h: the serial number as raw bytes, still padded as the unit pads it.
///
/// # Errors
/// As [`page_body`].
pub fn decode_serial(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    // SPC-4 knows no limit; nobody's serial number is longer than a designator could be.
    page_body(PAGE_SERIAL, bytes).map(|body| slice(body, 0, 255))
}

/// What a designator names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Association {
    /// The logical unit: the same through every port.
    LogicalUnit,
    /// The port that the question came through.
    TargetPort,
    /// The device that holds the unit.
    TargetDevice,
    /// Reserved by the standard.
    Reserved,
}

/// How a designator's bytes are to be read (SPC-4 table 582).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DesignatorKind {
    /// 0: the vendor's own, unique to nobody knows whom.
    VendorSpecific,
    /// 1: T10 vendor identification and the vendor's own text.
    T10Vendor,
    /// 2: EUI-64 of 8, 12 or 16 bytes.
    Eui64,
    /// 3: NAA of 8 or 16 bytes.
    Naa,
    /// 4: relative target port.
    RelativePort,
    /// 5: target port group.
    PortGroup,
    /// 6: logical unit group.
    LogicalUnitGroup,
    /// 7: MD5 logical unit identifier.
    Md5,
    /// 8: SCSI name string in UTF-8, such as an iSCSI name.
    ScsiName,
    /// Any other type.
    Other(u8),
}

/// One designator of page 83h.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Designator {
    /// What it names.
    pub association: Association,
    /// How to read it.
    pub kind: DesignatorKind,
    /// Code set: 1 binary, 2 ASCII, 3 UTF-8.
    pub code_set: u8,
    /// Its bytes, at most 255.
    pub bytes: Vec<u8>,
}

impl Designator {
    /// The bytes as text that is safe to print.
    #[must_use]
    pub fn text(&self) -> String {
        printable(&self.bytes)
    }
}

/// Page 83h: all designators, up to 64; one that is cut off at the end is left out.
///
/// # Errors
/// As [`page_body`].
pub fn decode_device_id(bytes: &[u8]) -> Result<Vec<Designator>, DecodeError> {
    let mut rest = page_body(PAGE_DEVICE_ID, bytes)?;
    let mut designators = Vec::new();
    while designators.len() < MAX_DESIGNATORS && rest.len() >= DESIGNATOR_HEADER_LEN {
        let end = DESIGNATOR_HEADER_LEN + usize::from(byte(rest, 3));
        let Some(value) = rest.get(DESIGNATOR_HEADER_LEN..end) else {
            break;
        };
        designators.push(designator(byte(rest, 0), byte(rest, 1), value));
        rest = rest.get(end..).unwrap_or(&[]);
    }
    Ok(designators)
}

fn designator(first: u8, second: u8, value: &[u8]) -> Designator {
    Designator {
        association: match (second >> 4) & 0x03 {
            0 => Association::LogicalUnit,
            1 => Association::TargetPort,
            2 => Association::TargetDevice,
            _ => Association::Reserved,
        },
        kind: match second & 0x0f {
            0 => DesignatorKind::VendorSpecific,
            1 => DesignatorKind::T10Vendor,
            2 => DesignatorKind::Eui64,
            3 => DesignatorKind::Naa,
            4 => DesignatorKind::RelativePort,
            5 => DesignatorKind::PortGroup,
            6 => DesignatorKind::LogicalUnitGroup,
            7 => DesignatorKind::Md5,
            8 => DesignatorKind::ScsiName,
            other => DesignatorKind::Other(other),
        },
        code_set: first & 0x0f,
        bytes: value.to_vec(),
    }
}

/// Page B0h: how much one command may ask for. 0 means "no limit said" throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockLimits {
    /// WRITE SAME with 0 blocks is refused (WSNZ).
    pub write_same_non_zero: bool,
    /// Most blocks of one COMPARE AND WRITE; 0 means the command is not there.
    pub max_compare_and_write_blocks: u8,
    /// Transfer lengths are best multiples of this many blocks.
    pub optimal_granularity_blocks: u16,
    /// Most blocks of one read or write.
    pub max_transfer_blocks: u32,
    /// Blocks of one read or write above which it gets slower.
    pub optimal_transfer_blocks: u32,
    /// Most blocks that one UNMAP may name in all; 0 means UNMAP is not there.
    pub max_unmap_blocks: u32,
    /// Most ranges of one UNMAP.
    pub max_unmap_ranges: u32,
    /// Unmapping is best done in multiples of this many blocks.
    pub unmap_granularity_blocks: u32,
    /// First block of such a multiple, if the unit said.
    pub unmap_alignment_block: Option<u32>,
    /// Most blocks of one WRITE SAME.
    pub max_write_same_blocks: u64,
}

impl BlockLimits {
    /// Reads page B0h. Older units send a shorter page: what did not come is 0.
    ///
    /// # Errors
    /// As [`page_body`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let body = page_body(PAGE_BLOCK_LIMITS, bytes)?;
        let alignment = be32(body, 28);
        Ok(Self {
            write_same_non_zero: byte(body, 0) & 0x01 != 0,
            max_compare_and_write_blocks: byte(body, 1),
            optimal_granularity_blocks: be16(body, 2),
            max_transfer_blocks: be32(body, 4),
            optimal_transfer_blocks: be32(body, 8),
            max_unmap_blocks: be32(body, 16),
            max_unmap_ranges: be32(body, 20),
            unmap_granularity_blocks: be32(body, 24),
            unmap_alignment_block: (alignment >> 31 != 0).then_some(alignment & 0x7fff_ffff),
            max_write_same_blocks: be64(body, 32),
        })
    }
}

/// Page B1h: what the medium is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockCharacteristics {
    /// 0 unknown, 1 does not rotate (solid state), else turns a minute.
    pub rotation_rate: u16,
    /// Nominal form factor code (3 = 2.5 inch).
    pub form_factor: u8,
}

impl BlockCharacteristics {
    /// Reads page B1h.
    ///
    /// # Errors
    /// As [`page_body`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let body = page_body(PAGE_BLOCK_CHARACTERISTICS, bytes)?;
        Ok(Self {
            rotation_rate: be16(body, 0),
            form_factor: byte(body, 3) & 0x0f,
        })
    }
}

/// Page B2h: how blocks can be unmapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Provisioning {
    /// UNMAP works (LBPU).
    pub unmap: bool,
    /// WRITE SAME (16) with its UNMAP bit works (LBPWS).
    pub write_same_16: bool,
    /// WRITE SAME (10) with its UNMAP bit works (LBPWS10).
    pub write_same_10: bool,
    /// Unmapped blocks read as zeros (LBPRZ = 1).
    pub unmapped_reads_zero: bool,
    /// Blocks can be anchored (ANC_SUP).
    pub anchor: bool,
    /// 0 not said, 1 resource provisioned, 2 thin.
    pub provisioning_type: u8,
}

impl Provisioning {
    /// Reads page B2h.
    ///
    /// # Errors
    /// As [`page_body`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let body = page_body(PAGE_PROVISIONING, bytes)?;
        let flags = byte(body, 1);
        Ok(Self {
            unmap: flags & 0x80 != 0,
            write_same_16: flags & 0x40 != 0,
            write_same_10: flags & 0x20 != 0,
            unmapped_reads_zero: (flags >> 2) & 0x07 == 1,
            anchor: flags & 0x02 != 0,
            provisioning_type: byte(body, 2) & 0x07,
        })
    }
}
