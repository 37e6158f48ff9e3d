//! A PDU as bytes, with the fields of RFC 7143 §11 read and written by their place.

use std::fmt;

use super::text::Keys;
use super::wire::{
    ACKNOWLEDGE, ASYNC_MESSAGE, CHECK_CONDITION, CONTINUE, DATA_IN, FINAL, HEADER_BYTES, IMMEDIATE,
    LOGIN_RESPONSE, LOGOUT_RESPONSE, NO_TAG, NOP_IN, R2T, REJECT, SCSI_RESPONSE, STATUS,
    TASK_MANAGEMENT_RESPONSE, TEXT_RESPONSE, name,
};

/// One PDU: header, additional header segments with their padding, data without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Pdu {
    /// The Basic Header Segment.
    pub header: [u8; HEADER_BYTES],
    /// The Additional Header Segments, padded.
    pub ahs: Vec<u8>,
    /// The data segment.
    pub data: Vec<u8>,
    /// What fills the data segment up to a multiple of four bytes.
    pub padding: Vec<u8>,
}

impl fmt::Debug for Pdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", name(self.opcode()))?;
        for word in self.header.chunks(4) {
            write!(
                f,
                " {:08x}",
                u32::from_be_bytes([word[0], word[1], word[2], word[3]])
            )?;
        }
        write!(f, " +{} bytes", self.data.len())
    }
}

/// A PDU of the target for the task `itt`, final, without data.
impl Pdu {
    /// An otherwise empty PDU.
    #[must_use]
    pub fn new(opcode: u8, itt: u32) -> Self {
        let mut header = [0; HEADER_BYTES];
        (header[0], header[1]) = (opcode, FINAL);
        let (ahs, data, padding) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            header,
            ahs,
            data,
            padding,
        }
        .put_word(16, itt)
    }

    /// SCSI Response (§11.4) to `command`, "completed at target", with a status.
    #[must_use]
    pub fn scsi_response(command: &Self, status: u8) -> Self {
        Self::new(SCSI_RESPONSE, command.itt()).put_byte(3, status)
    }

    /// SCSI Response with CHECK CONDITION and fixed format sense data (§11.4.7).
    #[must_use]
    pub fn check_condition(command: &Self, sense: [u8; 3]) -> Self {
        let sense = fixed_sense(sense);
        let mut segment = (sense.len() as u16).to_be_bytes().to_vec();
        segment.extend_from_slice(&sense);
        Self::scsi_response(command, CHECK_CONDITION).with_data(&segment)
    }

    /// Data-In (§11.7) for `command` at `offset`, without status, not final.
    #[must_use]
    pub fn data_in(command: &Self, data_sn: u32, offset: u32, data: &[u8]) -> Self {
        Self::new(DATA_IN, command.itt())
            .put_byte(1, 0)
            .put_word(20, NO_TAG)
            .put_word(36, data_sn)
            .put_word(40, offset)
            .with_data(data)
    }

    /// Makes a Data-In the last one, with GOOD status (§11.7.3).
    #[must_use]
    pub fn with_status(self, status: u8) -> Self {
        self.put_byte(1, FINAL | STATUS).put_byte(3, status)
    }

    /// Asks for a DataACK (§11.7.2): the A bit, a tag, and the logical unit that goes with it.
    #[must_use]
    pub fn with_acknowledge(self, ttt: u32, lun: [u8; 8]) -> Self {
        let flags = self.header[1] | ACKNOWLEDGE;
        self.put_byte(1, flags).put_word(20, ttt).put_lun(lun)
    }

    /// R2T (§11.8) for `length` bytes at `offset` of `command`.
    #[must_use]
    pub fn r2t(command: &Self, ttt: u32, r2t_sn: u32, offset: u32, length: u32) -> Self {
        Self::new(R2T, command.itt())
            .put_lun(command.lun())
            .put_word(20, ttt)
            .put_word(36, r2t_sn)
            .put_word(40, offset)
            .put_word(44, length)
    }

    /// NOP-In of the target's own (§11.19): with a tag it wants an answer.
    #[must_use]
    pub fn nop_in(ttt: u32, lun: [u8; 8]) -> Self {
        Self::new(NOP_IN, NO_TAG).put_word(20, ttt).put_lun(lun)
    }

    /// NOP-In that answers the ping `nop_out` (§11.19).
    #[must_use]
    pub fn pong(nop_out: &Self) -> Self {
        Self::new(NOP_IN, nop_out.itt())
            .put_word(20, NO_TAG)
            .put_lun(nop_out.lun())
            .with_data(&nop_out.data)
    }

    /// Task Management Function Response (§11.6).
    #[must_use]
    pub fn task_management_response(request: &Self, response: u8) -> Self {
        Self::new(TASK_MANAGEMENT_RESPONSE, request.itt()).put_byte(2, response)
    }

    /// Text Response (§11.11): the last one, without a tag.
    #[must_use]
    pub fn text_response(request: &Self, text: &[u8]) -> Self {
        Self::new(TEXT_RESPONSE, request.itt())
            .put_word(20, NO_TAG)
            .with_data(text)
    }

    /// Text Response after which more is to come: F=0, with a tag (§11.11.1, §11.11.4).
    #[must_use]
    pub fn unfinished_text(request: &Self, ttt: u32, text: &[u8]) -> Self {
        Self::text_response(request, text)
            .put_byte(1, 0)
            .put_word(20, ttt)
    }

    /// Login Response (§11.13) to `request`: success, in its stage, not moving on.
    #[must_use]
    pub fn login_response(request: &Self) -> Self {
        let stage = request.header[1] & 0x0c;
        let mut pdu = Self::new(LOGIN_RESPONSE, request.itt()).put_byte(1, stage);
        // ISID and TSIH are those of the request.
        pdu.header[8..16].copy_from_slice(&request.header[8..16]);
        pdu
    }

    /// Makes a Login Response move on to `stage` (the T bit, §11.13.6).
    #[must_use]
    pub fn moving_to(self, stage: u8) -> Self {
        let current = self.header[1] & 0x0c;
        self.put_byte(1, FINAL | current | stage)
    }

    /// Gives a Login Response a status class and detail (§11.13.5).
    #[must_use]
    pub fn with_login_status(self, class: u8, detail: u8) -> Self {
        self.put_byte(36, class).put_byte(37, detail)
    }

    /// Logout Response (§11.15).
    #[must_use]
    pub fn logout_response(request: &Self, response: u8, time2wait: u16, time2retain: u16) -> Self {
        Self::new(LOGOUT_RESPONSE, request.itt())
            .put_byte(2, response)
            .put_half(40, time2wait)
            .put_half(42, time2retain)
    }

    /// Reject (§11.17) of `victim`, whose header it holds.
    #[must_use]
    pub fn reject(victim: &Self, reason: u8) -> Self {
        Self::new(REJECT, NO_TAG)
            .put_byte(2, reason)
            .with_data(&victim.header)
    }

    /// Asynchronous Message (§11.9).
    #[must_use]
    pub fn async_message(event: u8, parameters: [u16; 3]) -> Self {
        Self::new(ASYNC_MESSAGE, NO_TAG)
            .put_byte(36, event)
            .put_half(38, parameters[0])
            .put_half(40, parameters[1])
            .put_half(42, parameters[2])
    }

    /// Asynchronous Message 0: a SCSI event with its sense data (§11.9.1).
    #[must_use]
    pub fn async_sense(lun: [u8; 8], sense: [u8; 3]) -> Self {
        let sense = fixed_sense(sense);
        let mut segment = (sense.len() as u16).to_be_bytes().to_vec();
        segment.extend_from_slice(&sense);
        Self::async_message(0, [0; 3])
            .put_lun(lun)
            .with_data(&segment)
    }
}

/// Fixed format sense data (SPC) with a sense key, an additional code and its qualifier.
#[must_use]
pub fn fixed_sense([key, asc, ascq]: [u8; 3]) -> Vec<u8> {
    let mut sense = vec![0; 18];
    sense[0] = 0x70;
    sense[2] = key;
    sense[7] = 10;
    (sense[12], sense[13]) = (asc, ascq);
    sense
}

/// Fields by place.
impl Pdu {
    /// Puts one byte.
    #[must_use]
    pub fn put_byte(mut self, at: usize, value: u8) -> Self {
        self.header[at] = value;
        self
    }

    /// Puts two bytes.
    #[must_use]
    pub fn put_half(mut self, at: usize, value: u16) -> Self {
        self.header[at..at + 2].copy_from_slice(&value.to_be_bytes());
        self
    }

    /// Puts four bytes.
    #[must_use]
    pub fn put_word(mut self, at: usize, value: u32) -> Self {
        self.header[at..at + 4].copy_from_slice(&value.to_be_bytes());
        self
    }

    /// Puts the logical unit.
    #[must_use]
    pub fn put_lun(mut self, lun: [u8; 8]) -> Self {
        self.header[8..16].copy_from_slice(&lun);
        self
    }

    /// Adds a residual: [`OVERFLOW`](super::wire::OVERFLOW) or
    /// [`UNDERFLOW`](super::wire::UNDERFLOW), and the count (§11.4.5).
    #[must_use]
    pub fn with_residual(self, flag: u8, count: u32) -> Self {
        let flags = self.header[1] | flag;
        self.put_byte(1, flags).put_word(44, count)
    }

    /// Gives it a data segment, padded with zeroes, and says so in DataSegmentLength.
    #[must_use]
    pub fn with_data(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        self.padding = vec![0; data.len().next_multiple_of(4) - data.len()];
        self.with_length(data.len())
    }

    /// Says that so many bytes of data follow, whatever does.
    #[must_use]
    pub fn with_length(mut self, length: usize) -> Self {
        let length = u32::try_from(length)
            .expect("a length of 24 bits")
            .to_be_bytes();
        self.header[5..8].copy_from_slice(&length[1..]);
        self
    }

    /// One byte.
    #[must_use]
    pub fn byte(&self, at: usize) -> u8 {
        self.header[at]
    }

    /// Two bytes.
    #[must_use]
    pub fn half(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.header[at], self.header[at + 1]])
    }

    /// Four bytes.
    #[must_use]
    pub fn word(&self, at: usize) -> u32 {
        let bytes = [0, 1, 2, 3].map(|i| self.header[at + i]);
        u32::from_be_bytes(bytes)
    }

    /// The opcode, without the immediate bit.
    #[must_use]
    pub fn opcode(&self) -> u8 {
        self.header[0] & 0x3f
    }

    /// The I bit.
    #[must_use]
    pub fn is_immediate(&self) -> bool {
        self.header[0] & IMMEDIATE != 0
    }

    /// The F bit; in login PDUs the T bit.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.header[1] & FINAL != 0
    }

    /// The C bit of login and text PDUs.
    #[must_use]
    pub fn is_continued(&self) -> bool {
        self.header[1] & CONTINUE != 0
    }

    /// The low seven bits of byte 1: a function, a reason, a type.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.header[1] & 0x7f
    }

    /// Current stage of a login PDU.
    #[must_use]
    pub fn current_stage(&self) -> u8 {
        self.header[1] >> 2 & 3
    }

    /// Next stage of a login PDU.
    #[must_use]
    pub fn next_stage(&self) -> u8 {
        self.header[1] & 3
    }

    /// TotalAHSLength in bytes.
    #[must_use]
    pub fn ahs_length(&self) -> usize {
        usize::from(self.header[4]) * 4
    }

    /// DataSegmentLength.
    #[must_use]
    pub fn data_length(&self) -> usize {
        (self.word(4) & 0x00ff_ffff) as usize
    }

    /// The logical unit.
    #[must_use]
    pub fn lun(&self) -> [u8; 8] {
        std::array::from_fn(|i| self.header[8 + i])
    }

    /// ISID of a login PDU.
    #[must_use]
    pub fn isid(&self) -> [u8; 6] {
        std::array::from_fn(|i| self.header[8 + i])
    }

    /// TSIH of a login PDU.
    #[must_use]
    pub fn tsih(&self) -> u16 {
        self.half(14)
    }

    /// Initiator Task Tag.
    #[must_use]
    pub fn itt(&self) -> u32 {
        self.word(16)
    }

    /// Target Transfer Tag; Referenced Task Tag of a task management request; SNACK tag.
    #[must_use]
    pub fn ttt(&self) -> u32 {
        self.word(20)
    }

    /// Expected Data Transfer Length of a SCSI Command.
    #[must_use]
    pub fn expected_length(&self) -> u32 {
        self.word(20)
    }

    /// CID of a Login or Logout Request.
    #[must_use]
    pub fn cid(&self) -> u16 {
        self.half(20)
    }

    /// CmdSN.
    #[must_use]
    pub fn cmd_sn(&self) -> u32 {
        self.word(24)
    }

    /// ExpStatSN.
    #[must_use]
    pub fn exp_stat_sn(&self) -> u32 {
        self.word(28)
    }

    /// The sixteen bytes of a SCSI Command's CDB.
    #[must_use]
    pub fn cdb(&self) -> [u8; 16] {
        std::array::from_fn(|i| self.header[32 + i])
    }

    /// RefCmdSN of a task management request.
    #[must_use]
    pub fn ref_cmd_sn(&self) -> u32 {
        self.word(32)
    }

    /// DataSN of a Data-Out.
    #[must_use]
    pub fn data_sn(&self) -> u32 {
        self.word(36)
    }

    /// Buffer Offset of a Data-Out; BegRun of a SNACK.
    #[must_use]
    pub fn offset(&self) -> u32 {
        self.word(40)
    }

    /// RunLength of a SNACK.
    #[must_use]
    pub fn run_length(&self) -> u32 {
        self.word(44)
    }

    /// The data segment as text.
    ///
    /// # Panics
    /// When it is no sequence of `key=value` pairs, each with its NUL.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys::parse(&self.data)
    }
}
