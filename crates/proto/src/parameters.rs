//! What a login agreed on: the operational parameters of RFC 7143 §13 in force in the full feature
//! phase.

/// RFC 7143 §13.12: the receive limit in force until a peer declares another, in bytes.
pub const DEFAULT_MAX_RECV_DATA_SEGMENT_LENGTH: u32 = 8192;

/// The parameters in force on one connection. Session-wide ones have the same value on each
/// connection of a session. Lengths are in bytes, times in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `HeaderDigest=CRC32C`.
    pub header_digest: bool,
    /// `DataDigest=CRC32C`.
    pub data_digest: bool,
    /// `MaxConnections`, 1–65535.
    pub max_connections: u16,
    /// `InitialR2T`: no unsolicited Data-Out.
    pub initial_r2t: bool,
    /// `ImmediateData`: data may travel in the command PDU.
    pub immediate_data: bool,
    /// The peer's `MaxRecvDataSegmentLength`: the longest data segment it takes.
    pub max_send_data_segment: u32,
    /// Our own `MaxRecvDataSegmentLength`: the longest data segment we take.
    pub max_recv_data_segment: u32,
    /// `MaxBurstLength`: the longest solicited sequence.
    pub max_burst: u32,
    /// `FirstBurstLength`: the most unsolicited data of a command.
    pub first_burst: u32,
    /// `DefaultTime2Wait`.
    pub time2wait: u16,
    /// `DefaultTime2Retain`.
    pub time2retain: u16,
    /// `MaxOutstandingR2T` of one task, 1–65535.
    pub max_outstanding_r2t: u16,
    /// `DataPDUInOrder`.
    pub data_pdu_in_order: bool,
    /// `DataSequenceInOrder`.
    pub data_sequence_in_order: bool,
    /// `ErrorRecoveryLevel`, 0–2.
    pub error_recovery_level: u8,
    /// `TaskReporting=FastAbort` was agreed.
    pub fast_abort: bool,
    /// `iSCSIProtocolLevel` (RFC 7144 §7.1.1): 1, or 2 when agreed.
    pub protocol_level: u8,
}

impl Parameters {
    /// All data of a command comes in rising order (`DataPDUInOrder` and `DataSequenceInOrder`).
    #[must_use]
    pub fn in_order(&self) -> bool {
        self.data_pdu_in_order && self.data_sequence_in_order
    }
}

impl Default for Parameters {
    /// The defaults of RFC 7143 §13, in force for what was not negotiated.
    fn default() -> Self {
        Self {
            header_digest: false,
            data_digest: false,
            max_connections: 1,
            initial_r2t: true,
            immediate_data: true,
            max_send_data_segment: DEFAULT_MAX_RECV_DATA_SEGMENT_LENGTH,
            max_recv_data_segment: DEFAULT_MAX_RECV_DATA_SEGMENT_LENGTH,
            max_burst: 262_144,
            first_burst: 65_536,
            time2wait: 2,
            time2retain: 20,
            max_outstanding_r2t: 1,
            data_pdu_in_order: true,
            data_sequence_in_order: true,
            error_recovery_level: 0,
            fast_abort: false,
            protocol_level: 1,
        }
    }
}
