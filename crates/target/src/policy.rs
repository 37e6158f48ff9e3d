//! What a target agrees to in a login: digests, bursts, R2T rules, the width of the command window
//! (RFC 7143 §13).

use std::time::Duration;

use crate::session::WINDOW_LIMIT;

/// The range of MaxRecvDataSegmentLength, MaxBurstLength and FirstBurstLength (RFC 7143 §13.12–14).
pub(crate) const SEGMENT_RANGE: std::ops::RangeInclusive<u32> = 512..=0x00ff_ffff;

/// What to make of an offer of digests (RFC 7143 §13.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DigestPolicy {
    /// Take the first of the initiator's list that we know.
    #[default]
    Offered,
    /// Take only `None`.
    Never,
    /// Take only `CRC32C`; a login without it fails.
    Required,
}

/// Our side of the negotiation of operational keys. Lengths are in bytes.
///
/// The result of each key is what the RFC's result function makes of both sides' values: the
/// smaller number, AND or OR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPolicy {
    /// What to make of `HeaderDigest`.
    pub header_digest: DigestPolicy,
    /// What to make of `DataDigest`.
    pub data_digest: DigestPolicy,
    /// `InitialR2T`: true forbids unsolicited Data-Out.
    pub initial_r2t: bool,
    /// `ImmediateData`: false forbids data in the command PDU.
    pub immediate_data: bool,
    /// `MaxRecvDataSegmentLength` that we declare, 512 to 2^24-1.
    pub max_recv_data_segment: u32,
    /// `MaxBurstLength`, 512 to 2^24-1.
    pub max_burst: u32,
    /// `FirstBurstLength`, 512 to 2^24-1 and not above `max_burst`.
    pub first_burst: u32,
    /// `MaxOutstandingR2T`, 1 to 65535.
    pub max_outstanding_r2t: u16,
    /// `MaxConnections`, 1 to 65535: how many connections a session may have.
    pub max_connections: u16,
    /// `DefaultTime2Wait`, 0 to 3600 seconds.
    pub time2wait: u16,
    /// `DefaultTime2Retain`, 0 to 3600 seconds.
    pub time2retain: u16,
    /// `ErrorRecoveryLevel`, 0 to 2: the highest we agree to (RFC 7143 §13.20).
    pub error_recovery_level: u8,
    /// From ErrorRecoveryLevel 1 on: ask with the A bit for an acknowledgment of read data after so
    /// many bytes of a command (RFC 7143 §11.7.2); `None`: never. Less than the agreed
    /// `MaxBurstLength` is more often than the RFC allows, for initiators that are to bear it.
    pub data_ack_every: Option<u32>,
    /// From ErrorRecoveryLevel 1 on: ask again for write data that has not come for so long
    /// (RFC 7143 §7.1.4.1 b); `None`: never.
    pub sequence_timeout: Option<Duration>,
    /// From ErrorRecoveryLevel 1 on: skip a PDU whose header digest is wrong, as far as its header
    /// says, and go on with the next; false closes the connection, as two such PDUs in a row do
    /// anyway (RFC 7143 §7.8).
    pub skip_bad_headers: bool,
    /// `iSCSIProtocolLevel`: the highest we agree to, 1 or 2 (RFC 7144 §7.1.1).
    pub protocol_level: u8,
    /// Take `TaskReporting=FastAbort` (RFC 7143 §13.23, §4.2.3.4).
    pub fast_abort: bool,
    /// `DataPDUInOrder`: false lets the initiator choose.
    pub data_pdu_in_order: bool,
    /// `DataSequenceInOrder`: false lets the initiator choose.
    pub data_sequence_in_order: bool,
    /// How many commands a session may have in hand at once, 1 to 1024.
    pub window: u32,
    /// Ping an initiator that has been silent for so long; `None`: never.
    pub ping_after: Option<Duration>,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self {
            header_digest: DigestPolicy::Offered,
            data_digest: DigestPolicy::Offered,
            initial_r2t: false,
            immediate_data: true,
            max_recv_data_segment: 256 * 1024,
            max_burst: 1024 * 1024,
            first_burst: 256 * 1024,
            max_outstanding_r2t: 8,
            max_connections: 8,
            time2wait: 2,
            time2retain: 20,
            error_recovery_level: 2,
            data_ack_every: None,
            sequence_timeout: Some(Duration::from_secs(5)),
            skip_bad_headers: false,
            protocol_level: 2,
            fast_abort: true,
            data_pdu_in_order: true,
            data_sequence_in_order: true,
            window: 128,
            ping_after: None,
        }
    }
}

impl KeyPolicy {
    /// The same with every value inside its range, so that nothing illegal is ever said.
    pub(crate) fn clamped(mut self) -> Self {
        let (low, high) = (*SEGMENT_RANGE.start(), *SEGMENT_RANGE.end());
        self.max_recv_data_segment = self.max_recv_data_segment.clamp(low, high);
        self.max_burst = self.max_burst.clamp(low, high);
        self.first_burst = self.first_burst.clamp(low, self.max_burst);
        self.max_outstanding_r2t = self.max_outstanding_r2t.max(1);
        self.max_connections = self.max_connections.max(1);
        self.time2wait = self.time2wait.min(3600);
        self.time2retain = self.time2retain.min(3600);
        self.error_recovery_level = self.error_recovery_level.min(2);
        self.protocol_level = self.protocol_level.clamp(1, 2);
        self.window = self.window.clamp(1, WINDOW_LIMIT);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_illegal_value_survives() {
        let policy = KeyPolicy {
            max_recv_data_segment: 1,
            max_burst: u32::MAX,
            first_burst: u32::MAX,
            max_outstanding_r2t: 0,
            time2wait: 5000,
            window: 0,
            ..KeyPolicy::default()
        }
        .clamped();
        assert_eq!(policy.max_recv_data_segment, 512);
        assert_eq!(policy.max_burst, 0x00ff_ffff);
        assert_eq!(policy.first_burst, 0x00ff_ffff);
        assert_eq!(policy.max_outstanding_r2t, 1);
        assert_eq!(policy.time2wait, 3600);
        assert_eq!(policy.window, 1);
        let default = KeyPolicy::default();
        assert_eq!(default.clone().clamped(), default);
    }
}
