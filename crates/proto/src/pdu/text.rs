//! Text Request and Text Response (RFC 7143 §11.10, §11.11).

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::blank;
use super::{Lun, NIL};

/// Text Request (RFC 7143 §11.10).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct TextRequest {
    opcode: u8,
    flags: u8,
    reserved_2: [u8; 2],
    lengths: [u8; 4],
    /// The LUN copied from the response that is continued; else reserved.
    pub lun: Lun,
    /// Initiator Task Tag, the same through a whole exchange.
    pub itt: U32,
    /// Target Transfer Tag of the response that is continued; [`NIL`] begins anew.
    pub ttt: U32,
    /// CmdSN.
    pub cmd_sn: U32,
    /// ExpStatSN.
    pub exp_stat_sn: U32,
    reserved_32: [u8; 16],
}

request!(TextRequest);

flags!(TextRequest {
    /// F: the last or only request of the exchange.
    0x80 => is_final, set_final;
    /// C: the text goes on in the next request.
    0x40 => is_continued, set_continued;
});

impl TextRequest {
    /// A final request that begins the exchange of task `itt`.
    #[must_use]
    pub fn new(itt: u32) -> Self {
        let mut pdu: Self = blank(0x80);
        pdu.itt = itt.into();
        pdu.ttt = NIL.into();
        pdu
    }
}

impl Default for TextRequest {
    fn default() -> Self {
        Self::new(NIL)
    }
}

/// Text Response (RFC 7143 §11.11).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct TextResponse {
    opcode: u8,
    flags: u8,
    reserved_2: [u8; 2],
    lengths: [u8; 4],
    /// The LUN, to be copied with the Target Transfer Tag.
    pub lun: Lun,
    /// Initiator Task Tag of the request.
    pub itt: U32,
    /// Target Transfer Tag to go on with; [`NIL`] when F is 1, to be ignored then.
    pub ttt: U32,
    /// StatSN.
    pub stat_sn: U32,
    /// ExpCmdSN.
    pub exp_cmd_sn: U32,
    /// MaxCmdSN.
    pub max_cmd_sn: U32,
    reserved_36: [u8; 12],
}

response!(TextResponse);

flags!(TextResponse {
    /// F: the target has finished the whole operation.
    0x80 => is_final, set_final;
    /// C: the text goes on in the next response.
    0x40 => is_continued, set_continued;
});

impl TextResponse {
    /// A final response to task `itt`.
    #[must_use]
    pub fn new(itt: u32) -> Self {
        let mut pdu: Self = blank(0x80);
        pdu.itt = itt.into();
        pdu.ttt = NIL.into();
        pdu
    }
}

impl Default for TextResponse {
    fn default() -> Self {
        Self::new(NIL)
    }
}
