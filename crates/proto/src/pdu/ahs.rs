//! Additional header segments of a SCSI Command: the rest of a long CDB and the read length of a
//! bidirectional command (RFC 7143 §11.2.2).

use super::Malformed;

/// The longest CDB there is, in bytes (SPC: a variable-length CDB of 8 + 252 bytes).
pub const MAX_CDB_LENGTH: usize = 260;

/// The bytes of a CDB that stand in the basic header.
const CDB_IN_BHS: usize = 16;

/// AHSLength (2 bytes) and AHSType (1 byte), which AHSLength does not count.
const AHS_HEAD: usize = 3;

/// The most bytes of additional headers that a SCSI Command can need: an extended CDB
/// (3 + 1 + 244) and a bidirectional read length (8).
pub const MAX_AHS_LENGTH: usize = 256;

/// AHS code of an extended CDB.
const EXTENDED_CDB: u8 = 1;
/// AHS code of a bidirectional read length.
const BIDI_READ_LENGTH: u8 = 2;

/// What the additional headers of a SCSI Command say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdditionalHeaders<'a> {
    /// The bytes of the CDB from its seventeenth on; `None` for a CDB of 16 bytes or fewer.
    pub extended_cdb: Option<&'a [u8]>,
    /// Bidirectional Read Expected Data Transfer Length in bytes.
    pub bidi_read_length: Option<u32>,
}

impl<'a> AdditionalHeaders<'a> {
    /// Reads the additional headers, padding included, as they follow the basic header.
    ///
    /// # Errors
    /// [`Malformed::ReservedAhsType`], [`Malformed::AhsLength`], [`Malformed::AhsTwice`] or
    /// [`Malformed::AhsStrayBytes`].
    pub fn parse(mut bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut headers = Self::default();
        // Each turn takes at least four bytes, so at most `bytes.len() / 4` turns.
        while let Some((&[high, low, kind_byte, _], _)) = bytes.split_first_chunk::<4>() {
            let length = u16::from_be_bytes([high, low]);
            let kind = kind_byte & 0x3f;
            let wrong_length = Malformed::AhsLength { kind, length };
            let end = AHS_HEAD + usize::from(length);
            let content = bytes.get(AHS_HEAD + 1..end).ok_or(wrong_length)?;
            match kind {
                EXTENDED_CDB => {
                    if content.is_empty() || content.len() > MAX_CDB_LENGTH - CDB_IN_BHS {
                        return Err(wrong_length);
                    }
                    if headers.extended_cdb.replace(content).is_some() {
                        return Err(Malformed::AhsTwice(kind));
                    }
                }
                BIDI_READ_LENGTH => {
                    let content = <[u8; 4]>::try_from(content).map_err(|_| wrong_length)?;
                    let read_length = u32::from_be_bytes(content);
                    if headers.bidi_read_length.replace(read_length).is_some() {
                        return Err(Malformed::AhsTwice(kind));
                    }
                }
                reserved => return Err(Malformed::ReservedAhsType(reserved)),
            }
            bytes = bytes.get(end.next_multiple_of(4)..).ok_or(wrong_length)?;
        }
        if bytes.is_empty() {
            Ok(headers)
        } else {
            Err(Malformed::AhsStrayBytes(bytes.len()))
        }
    }

    /// Appends the additional headers, padded, to `out`; their length is for
    /// [`Pdu::set_total_ahs_length`](super::Pdu::set_total_ahs_length).
    ///
    /// An extended CDB must have 1 to 244 bytes (a CDB of 17 to [`MAX_CDB_LENGTH`]); what is
    /// longer is cut off, what is empty is not sent.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Some(content) = self.extended_cdb.filter(|content| !content.is_empty()) {
            debug_assert!(content.len() <= MAX_CDB_LENGTH - CDB_IN_BHS, "CDB too long");
            encode_one(out, EXTENDED_CDB, content);
        }
        if let Some(read_length) = self.bidi_read_length {
            encode_one(out, BIDI_READ_LENGTH, &read_length.to_be_bytes());
        }
    }
}

/// Appends one additional header: its length (with the reserved byte), type, reserved byte,
/// content and padding.
fn encode_one(out: &mut Vec<u8>, kind: u8, content: &[u8]) {
    let content = content
        .get(..MAX_CDB_LENGTH - CDB_IN_BHS)
        .unwrap_or(content);
    let length = u16::try_from(content.len())
        .unwrap_or(u16::MAX)
        .saturating_add(1);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[kind, 0]);
    out.extend_from_slice(content);
    // The four bytes before the content are a word of their own.
    let pad = content.len().next_multiple_of(4) - content.len();
    out.resize(out.len() + pad, 0);
}
