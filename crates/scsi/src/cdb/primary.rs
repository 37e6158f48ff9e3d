//! CDBs of SPC-4 (and the few of SBC-3) that ask about a unit or steer it.

use super::Cdb;
use crate::opcode;

/// Which operation codes REPORT SUPPORTED OPERATION CODES shall tell about (SPC-4 §6.35).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpcodeQuery {
    /// All commands.
    All,
    /// One command that has no service actions.
    Opcode(u8),
    /// One service action of a command that has them.
    ServiceAction(u8, u16),
}

/// The scope and type byte of a persistent reservation: scope in the high half, type in the low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReservationScopeType(pub u8);

/// Service actions and types of persistent reservations (SPC-4 §5.12, §6.15, §6.16).
pub mod reservation {
    /// PERSISTENT RESERVE IN: READ KEYS.
    pub const READ_KEYS: u8 = 0x00;
    /// PERSISTENT RESERVE IN: READ RESERVATION.
    pub const READ_RESERVATION: u8 = 0x01;
    /// PERSISTENT RESERVE IN: REPORT CAPABILITIES.
    pub const REPORT_CAPABILITIES: u8 = 0x02;
    /// PERSISTENT RESERVE IN: READ FULL STATUS.
    pub const READ_FULL_STATUS: u8 = 0x03;

    /// PERSISTENT RESERVE OUT: REGISTER.
    pub const REGISTER: u8 = 0x00;
    /// PERSISTENT RESERVE OUT: RESERVE.
    pub const RESERVE: u8 = 0x01;
    /// PERSISTENT RESERVE OUT: RELEASE.
    pub const RELEASE: u8 = 0x02;
    /// PERSISTENT RESERVE OUT: CLEAR.
    pub const CLEAR: u8 = 0x03;
    /// PERSISTENT RESERVE OUT: PREEMPT.
    pub const PREEMPT: u8 = 0x04;
    /// PERSISTENT RESERVE OUT: PREEMPT AND ABORT.
    pub const PREEMPT_AND_ABORT: u8 = 0x05;
    /// PERSISTENT RESERVE OUT: REGISTER AND IGNORE EXISTING KEY.
    pub const REGISTER_AND_IGNORE_EXISTING_KEY: u8 = 0x06;

    /// Type: only the holder may write.
    pub const WRITE_EXCLUSIVE: u8 = 0x1;
    /// Type: only the holder may read or write.
    pub const EXCLUSIVE_ACCESS: u8 = 0x3;
    /// Type: only registered nexuses may write; one of them holds it.
    pub const WRITE_EXCLUSIVE_REGISTRANTS_ONLY: u8 = 0x5;
    /// Type: only registered nexuses may read or write; one of them holds it.
    pub const EXCLUSIVE_ACCESS_REGISTRANTS_ONLY: u8 = 0x6;
    /// Type: only registered nexuses may write; all of them hold it.
    pub const WRITE_EXCLUSIVE_ALL_REGISTRANTS: u8 = 0x7;
    /// Type: only registered nexuses may read or write; all of them hold it.
    pub const EXCLUSIVE_ACCESS_ALL_REGISTRANTS: u8 = 0x8;
}

impl Cdb {
    /// TEST UNIT READY.
    #[must_use]
    pub const fn test_unit_ready() -> Self {
        Self::new_6([opcode::TEST_UNIT_READY, 0, 0, 0, 0, 0])
    }

    /// REQUEST SENSE, in descriptor form with `descriptor`, in fixed form without.
    #[must_use]
    pub const fn request_sense(descriptor: bool, allocation_length: u8) -> Self {
        Self::new_6([
            opcode::REQUEST_SENSE,
            descriptor as u8,
            0,
            0,
            allocation_length,
            0,
        ])
    }

    /// INQUIRY for the standard data. Ask for 36 first: some devices dislike more.
    #[must_use]
    pub const fn inquiry(allocation_length: u16) -> Self {
        let [a, b] = allocation_length.to_be_bytes();
        Self::new_6([opcode::INQUIRY, 0, 0, a, b, 0])
    }

    /// INQUIRY for a page of vital product data.
    #[must_use]
    pub const fn inquiry_vpd(page: u8, allocation_length: u16) -> Self {
        let [a, b] = allocation_length.to_be_bytes();
        Self::new_6([opcode::INQUIRY, 1, page, a, b, 0])
    }

    /// MODE SENSE (6) for current values of a page; `dbd` leaves block descriptors out.
    #[must_use]
    pub const fn mode_sense_6(dbd: bool, page: u8, subpage: u8, allocation_length: u8) -> Self {
        let switches = (dbd as u8) << 3;
        Self::new_6([
            opcode::MODE_SENSE_6,
            switches,
            page & 0x3f,
            subpage,
            allocation_length,
            0,
        ])
    }

    /// MODE SENSE (10) for current values of a page; `dbd` leaves block descriptors out.
    #[must_use]
    pub const fn mode_sense_10(dbd: bool, page: u8, subpage: u8, allocation_length: u16) -> Self {
        let [a, b] = allocation_length.to_be_bytes();
        let switches = (dbd as u8) << 3;
        Self::new_10([
            opcode::MODE_SENSE_10,
            switches,
            page & 0x3f,
            subpage,
            0,
            0,
            0,
            a,
            b,
            0,
        ])
    }

    /// START STOP UNIT: `start` spins up, otherwise down; nothing is loaded or ejected.
    #[must_use]
    pub const fn start_stop_unit(immediate: bool, start: bool) -> Self {
        Self::new_6([
            opcode::START_STOP_UNIT,
            immediate as u8,
            0,
            0,
            start as u8,
            0,
        ])
    }

    /// READ CAPACITY (10): answers 8 bytes.
    #[must_use]
    pub const fn read_capacity_10() -> Self {
        Self::new_10([opcode::READ_CAPACITY_10, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// READ CAPACITY (16): answers 32 bytes.
    #[must_use]
    pub const fn read_capacity_16(allocation_length: u32) -> Self {
        Self::sixteen(
            opcode::SERVICE_ACTION_IN_16,
            opcode::SA_READ_CAPACITY_16,
            0,
            allocation_length,
        )
    }

    /// REPORT LUNS; `select_report` 0 lists ordinary units, 1 well known ones, 2 both. Fewer than
    /// 16 bytes of room are an error (SPC-4 §6.33).
    #[must_use]
    pub const fn report_luns(select_report: u8, allocation_length: u32) -> Self {
        let [a, b, c, d] = allocation_length.to_be_bytes();
        Self::new_12([
            opcode::REPORT_LUNS,
            0,
            select_report,
            0,
            0,
            0,
            a,
            b,
            c,
            d,
            0,
            0,
        ])
    }

    /// PERSISTENT RESERVE IN with a service action of [`reservation`].
    #[must_use]
    pub const fn persistent_reserve_in(service_action: u8, allocation_length: u16) -> Self {
        let [a, b] = allocation_length.to_be_bytes();
        let action = service_action & 0x1f;
        Self::new_10([
            opcode::PERSISTENT_RESERVE_IN,
            action,
            0,
            0,
            0,
            0,
            0,
            a,
            b,
            0,
        ])
    }

    /// PERSISTENT RESERVE OUT with a service action of [`reservation`] and its parameter length in
    /// bytes (24 for all but REGISTER AND MOVE).
    #[must_use]
    pub const fn persistent_reserve_out(
        service_action: u8,
        scope_type: ReservationScopeType,
        parameter_list_length: u32,
    ) -> Self {
        let [a, b, c, d] = parameter_list_length.to_be_bytes();
        let action = service_action & 0x1f;
        let kind = scope_type.0;
        Self::new_10([
            opcode::PERSISTENT_RESERVE_OUT,
            action,
            kind,
            0,
            0,
            a,
            b,
            c,
            d,
            0,
        ])
    }

    /// REPORT SUPPORTED OPERATION CODES; `timeouts` asks for timeouts descriptors too.
    #[must_use]
    pub const fn report_supported_operation_codes(
        query: OpcodeQuery,
        timeouts: bool,
        allocation_length: u32,
    ) -> Self {
        let (option, wanted, action) = match query {
            OpcodeQuery::All => (0, 0, 0),
            OpcodeQuery::Opcode(opcode) => (1, opcode, 0),
            OpcodeQuery::ServiceAction(opcode, action) => (2, opcode, action),
        };
        let options = (timeouts as u8) << 7 | option;
        let [s, t] = action.to_be_bytes();
        let [a, b, c, d] = allocation_length.to_be_bytes();
        Self::new_12([
            opcode::MAINTENANCE_IN,
            opcode::SA_REPORT_SUPPORTED_OPERATION_CODES,
            options,
            wanted,
            s,
            t,
            a,
            b,
            c,
            d,
            0,
            0,
        ])
    }
}
