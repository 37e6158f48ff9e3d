//! NOP-Out and NOP-In: pings both ways (RFC 7143 §11.18, §11.19).

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::blank;
use super::{Lun, NIL, NO_LUN, Request};

/// NOP-Out (RFC 7143 §11.18).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct NopOut {
    opcode: u8,
    flags: u8,
    reserved_2: [u8; 2],
    lengths: [u8; 4],
    /// The LUN, copied from the NOP-In that is answered; else reserved.
    pub lun: Lun,
    /// Initiator Task Tag; [`NIL`] when no answer is wanted.
    pub itt: U32,
    /// Target Transfer Tag of the NOP-In that is answered; else [`NIL`].
    pub ttt: U32,
    /// CmdSN.
    pub cmd_sn: U32,
    /// ExpStatSN.
    pub exp_stat_sn: U32,
    reserved_32: [u8; 16],
}

request!(NopOut);

impl NopOut {
    /// A ping under task `itt`, not immediate, without data.
    #[must_use]
    pub fn ping(itt: u32) -> Self {
        let mut pdu = Self {
            itt: itt.into(),
            ..Self::default()
        };
        pdu.set_immediate(false);
        pdu
    }

    /// The answer to a NOP-In that asks for one.
    #[must_use]
    pub fn answer(ping: &NopIn) -> Self {
        Self {
            lun: ping.lun,
            ttt: ping.ttt,
            ..Self::default()
        }
    }
}

impl Default for NopOut {
    /// An immediate NOP-Out that asks for nothing: it only carries ExpStatSN.
    fn default() -> Self {
        let mut pdu: Self = blank(0x80);
        pdu.itt = NIL.into();
        pdu.ttt = NIL.into();
        pdu.set_immediate(true);
        pdu
    }
}

/// NOP-In (RFC 7143 §11.19).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct NopIn {
    opcode: u8,
    flags: u8,
    reserved_2: [u8; 2],
    lengths: [u8; 4],
    /// The LUN, when a Target Transfer Tag is given; else reserved.
    pub lun: Lun,
    /// Initiator Task Tag of the ping that is answered; else [`NIL`].
    pub itt: U32,
    /// Target Transfer Tag when an answer is wanted (0 is a valid one); else [`NIL`].
    pub ttt: U32,
    /// StatSN; the next one, not taken, when ITT is [`NIL`].
    pub stat_sn: U32,
    /// ExpCmdSN.
    pub exp_cmd_sn: U32,
    /// MaxCmdSN.
    pub max_cmd_sn: U32,
    reserved_36: [u8; 12],
}

response!(NopIn);

impl NopIn {
    /// The answer to a ping with Initiator Task Tag `itt`, without data.
    #[must_use]
    pub fn answer(itt: u32) -> Self {
        Self {
            itt: itt.into(),
            ..Self::default()
        }
    }

    /// A ping that asks for an answer; `ttt` must not be [`NIL`].
    #[must_use]
    pub fn ping(ttt: u32, lun: Lun) -> Self {
        Self {
            ttt: ttt.into(),
            lun,
            ..Self::default()
        }
    }

    /// Whether a NOP-Out must answer it.
    #[must_use]
    pub fn wants_answer(&self) -> bool {
        self.ttt.get() != NIL
    }
}

impl Default for NopIn {
    /// A NOP-In that asks for nothing: it only carries the sequence numbers.
    fn default() -> Self {
        let mut pdu: Self = blank(0x80);
        pdu.lun = NO_LUN;
        pdu.itt = NIL.into();
        pdu.ttt = NIL.into();
        pdu
    }
}
