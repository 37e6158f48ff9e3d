//! The table of all commands, with the bits that each CDB may have set.

use hawser_scsi::cdb::reservation as pr;
use hawser_scsi::opcode;

use super::super::reservation::Access;
use super::super::unit::LogicalUnit;
use super::{
    Command, atomic, capacity, inquiry, mode, opcodes, persistent, power, provisioning, transfer,
    verify,
};

/// DPO, FUA and the obsolete FUA_NV, which older initiators still set.
const CACHE_BITS: u8 = 0x1a;
/// DPO and BYTCHK.
const VERIFY_BITS: u8 = 0x16;
/// IMMED and the obsolete SYNC_NV.
const SYNC_BITS: u8 = 0x06;

/// CDB usage data of a 6-byte command with a 21-bit LBA.
const fn six(opcode: u8) -> [u8; 6] {
    [opcode, 0x1f, 0xff, 0xff, 0xff, 0]
}

/// GROUP NUMBER: we collect no statistics of groups, so any number is right.
const GROUP: u8 = 0x1f;

/// CDB usage data of a 10-byte command with LBA and length.
const fn ten(opcode: u8, bits: u8) -> [u8; 10] {
    [opcode, bits, 0xff, 0xff, 0xff, 0xff, GROUP, 0xff, 0xff, 0]
}

/// CDB usage data of a 12-byte command with LBA and length.
const fn twelve(opcode: u8, bits: u8) -> [u8; 12] {
    [
        opcode, bits, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, GROUP, 0,
    ]
}

/// CDB usage data of a 16-byte command with LBA and length.
const fn sixteen(opcode: u8, bits: u8) -> [u8; 16] {
    let f = 0xff;
    [opcode, bits, f, f, f, f, f, f, f, f, f, f, f, f, GROUP, 0]
}

/// CDB usage data of SERVICE ACTION IN (16) with a service action.
const fn service_action_in(action: u8) -> [u8; 16] {
    let (op, f) = (opcode::SERVICE_ACTION_IN_16, 0xff);
    [op, action, f, f, f, f, f, f, f, f, f, f, f, f, 0, 0]
}

/// CDB usage data of COMPARE AND WRITE, whose length is one byte.
const fn compare_and_write() -> [u8; 16] {
    let (op, f) = (opcode::COMPARE_AND_WRITE, 0xff);
    [op, CACHE_BITS, f, f, f, f, f, f, f, f, 0, 0, 0, f, GROUP, 0]
}

/// CDB usage data of REPORT SUPPORTED OPERATION CODES.
const fn report_supported() -> [u8; 12] {
    let (op, f) = (opcode::MAINTENANCE_IN, 0xff);
    let action = opcode::SA_REPORT_SUPPORTED_OPERATION_CODES;
    [op, action, 0x87, f, f, f, f, f, f, f, 0, 0]
}

/// CDB usage data of REPORT LUNS.
const fn report_luns() -> [u8; 12] {
    let (op, f) = (opcode::REPORT_LUNS, 0xff);
    [op, 0, f, 0, 0, 0, f, f, f, f, 0, 0]
}

/// CDB usage data of PERSISTENT RESERVE IN with a service action.
const fn reserve_in(action: u8) -> [u8; 10] {
    let op = opcode::PERSISTENT_RESERVE_IN;
    [op, action, 0, 0, 0, 0, 0, 0xff, 0xff, 0]
}

/// CDB usage data of PERSISTENT RESERVE OUT with a service action.
const fn reserve_out(action: u8) -> [u8; 10] {
    let (op, f) = (opcode::PERSISTENT_RESERVE_OUT, 0xff);
    [op, action, f, 0, 0, f, f, f, f, 0]
}

/// Everything that a disk does.
pub(in crate::disk) static COMMANDS: &[Command] = &[
    // The most frequent first: the table is searched from its beginning.
    Command::new(
        &ten(opcode::READ_10, CACHE_BITS),
        Access::Read,
        transfer::read,
    ),
    Command::new(
        &ten(opcode::WRITE_10, CACHE_BITS),
        Access::Write,
        transfer::write,
    ),
    Command::new(
        &sixteen(opcode::READ_16, CACHE_BITS),
        Access::Read,
        transfer::read,
    ),
    Command::new(
        &sixteen(opcode::WRITE_16, CACHE_BITS),
        Access::Write,
        transfer::write,
    ),
    Command::new(&six(opcode::READ_6), Access::Read, transfer::read),
    Command::new(&six(opcode::WRITE_6), Access::Write, transfer::write),
    Command::new(
        &twelve(opcode::READ_12, CACHE_BITS),
        Access::Read,
        transfer::read,
    ),
    Command::new(
        &twelve(opcode::WRITE_12, CACHE_BITS),
        Access::Write,
        transfer::write,
    ),
    Command::new(
        &ten(opcode::SYNCHRONIZE_CACHE_10, SYNC_BITS),
        Access::Steer,
        transfer::synchronize_cache,
    ),
    Command::new(
        &sixteen(opcode::SYNCHRONIZE_CACHE_16, SYNC_BITS),
        Access::Steer,
        transfer::synchronize_cache,
    ),
    Command::new(
        &[opcode::TEST_UNIT_READY, 0, 0, 0, 0, 0],
        Access::Test,
        power::test_unit_ready,
    ),
    Command::new(
        &[opcode::REQUEST_SENSE, 0x01, 0, 0, 0xff, 0],
        Access::Always,
        LogicalUnit::request_sense,
    )
    .without_medium(),
    Command::new(
        &[opcode::INQUIRY, 0x01, 0xff, 0xff, 0xff, 0],
        Access::Always,
        inquiry::inquiry,
    )
    .without_medium(),
    Command::new(
        &[
            opcode::READ_CAPACITY_10,
            0,
            0xff,
            0xff,
            0xff,
            0xff,
            0,
            0,
            0x01,
            0,
        ],
        Access::Always,
        capacity::read_capacity_10,
    ),
    Command::action(
        &service_action_in(opcode::SA_READ_CAPACITY_16),
        Access::Always,
        capacity::read_capacity_16,
    ),
    Command::action(
        &service_action_in(opcode::SA_GET_LBA_STATUS),
        Access::Read,
        provisioning::get_lba_status,
    ),
    Command::new(
        &[opcode::MODE_SENSE_6, 0x08, 0xff, 0xff, 0xff, 0],
        Access::Steer,
        mode::mode_sense_6,
    )
    .without_medium(),
    Command::new(
        &[
            opcode::MODE_SENSE_10,
            0x18,
            0xff,
            0xff,
            0,
            0,
            0,
            0xff,
            0xff,
            0,
        ],
        Access::Steer,
        mode::mode_sense_10,
    )
    .without_medium(),
    Command::new(
        &[opcode::MODE_SELECT_6, 0x11, 0, 0, 0xff, 0],
        Access::Steer,
        mode::mode_select_6,
    )
    .without_medium(),
    Command::new(
        &[opcode::MODE_SELECT_10, 0x11, 0, 0, 0, 0, 0, 0xff, 0xff, 0],
        Access::Steer,
        mode::mode_select_10,
    )
    .without_medium(),
    Command::new(
        &[opcode::START_STOP_UNIT, 0x01, 0, 0x0f, 0xf7, 0],
        Access::Steer,
        power::start_stop,
    )
    .without_medium(),
    Command::new(
        &[opcode::PREVENT_ALLOW_MEDIUM_REMOVAL, 0, 0, 0, 0x03, 0],
        Access::Always,
        power::prevent_allow,
    )
    .without_medium(),
    Command::new(
        &[opcode::UNMAP, 0x01, 0, 0, 0, 0, 0, 0xff, 0xff, 0],
        Access::Write,
        provisioning::unmap,
    ),
    Command::new(
        &ten(opcode::WRITE_SAME_10, 0x18),
        Access::Write,
        provisioning::write_same,
    ),
    Command::new(
        &sixteen(opcode::WRITE_SAME_16, 0x19),
        Access::Write,
        provisioning::write_same,
    ),
    Command::new(
        &compare_and_write(),
        Access::Write,
        atomic::compare_and_write,
    ),
    Command::new(
        &sixteen(opcode::ORWRITE_16, CACHE_BITS),
        Access::Write,
        atomic::or_write,
    ),
    Command::new(
        &sixteen(opcode::WRITE_ATOMIC_16, 0x18),
        Access::Write,
        atomic::write_atomic,
    ),
    Command::new(
        &ten(opcode::WRITE_AND_VERIFY_10, VERIFY_BITS),
        Access::Write,
        verify::write,
    ),
    Command::new(
        &twelve(opcode::WRITE_AND_VERIFY_12, VERIFY_BITS),
        Access::Write,
        verify::write,
    ),
    Command::new(
        &sixteen(opcode::WRITE_AND_VERIFY_16, VERIFY_BITS),
        Access::Write,
        verify::write,
    ),
    Command::new(
        &ten(opcode::VERIFY_10, VERIFY_BITS),
        Access::Read,
        verify::verify,
    ),
    Command::new(
        &twelve(opcode::VERIFY_12, VERIFY_BITS),
        Access::Read,
        verify::verify,
    ),
    Command::new(
        &sixteen(opcode::VERIFY_16, VERIFY_BITS),
        Access::Read,
        verify::verify,
    ),
    Command::new(
        &ten(opcode::PRE_FETCH_10, 0x02),
        Access::Read,
        verify::pre_fetch,
    ),
    Command::new(
        &sixteen(opcode::PRE_FETCH_16, 0x02),
        Access::Read,
        verify::pre_fetch,
    ),
    Command::new(
        &[opcode::RESERVE_6, 0, 0, 0, 0, 0],
        Access::Legacy,
        persistent::reserve_6,
    )
    .without_medium(),
    Command::new(
        &[opcode::RELEASE_6, 0, 0, 0, 0, 0],
        Access::Legacy,
        persistent::release_6,
    )
    .without_medium(),
    Command::action(
        &reserve_in(pr::READ_KEYS),
        Access::Persistent,
        persistent::read_keys,
    )
    .without_medium(),
    Command::action(
        &reserve_in(pr::READ_RESERVATION),
        Access::Persistent,
        persistent::read_reservation,
    )
    .without_medium(),
    Command::action(
        &reserve_in(pr::REPORT_CAPABILITIES),
        Access::Persistent,
        persistent::report_capabilities,
    )
    .without_medium(),
    Command::action(
        &reserve_in(pr::READ_FULL_STATUS),
        Access::Persistent,
        persistent::read_full_status,
    )
    .without_medium(),
    Command::action(
        &reserve_out(pr::REGISTER),
        Access::Persistent,
        persistent::out,
    )
    .without_medium(),
    Command::action(
        &reserve_out(pr::RESERVE),
        Access::Persistent,
        persistent::out,
    )
    .without_medium(),
    Command::action(
        &reserve_out(pr::RELEASE),
        Access::Persistent,
        persistent::out,
    )
    .without_medium(),
    Command::action(&reserve_out(pr::CLEAR), Access::Persistent, persistent::out).without_medium(),
    Command::action(
        &reserve_out(pr::PREEMPT),
        Access::Persistent,
        persistent::out,
    )
    .without_medium(),
    Command::action(
        &reserve_out(pr::PREEMPT_AND_ABORT),
        Access::Persistent,
        persistent::out,
    )
    .without_medium(),
    Command::action(
        &reserve_out(pr::REGISTER_AND_IGNORE_EXISTING_KEY),
        Access::Persistent,
        persistent::out,
    )
    .without_medium(),
    Command::action(
        &report_supported(),
        Access::Steer,
        opcodes::report_supported,
    )
    .without_medium(),
    // Answered by the device for all its units; listed here so that it is reported.
    Command::new(&report_luns(), Access::Always, opcodes::report_own_lun).without_medium(),
];
