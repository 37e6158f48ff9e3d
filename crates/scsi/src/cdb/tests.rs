//! Every builder against bytes typed from the tables of SPC-4 and SBC-3.

use super::*;

fn check(cdb: Cdb, expected: &[u8]) {
    assert_eq!(cdb.as_bytes(), expected, "{cdb}");
}

#[test]
fn primary_commands() {
    check(Cdb::test_unit_ready(), &[0x00, 0, 0, 0, 0, 0]);
    check(Cdb::request_sense(true, 252), &[0x03, 0x01, 0, 0, 252, 0]);
    check(Cdb::inquiry(36), &[0x12, 0, 0, 0, 36, 0]);
    check(
        Cdb::inquiry_vpd(0x83, 0x0102),
        &[0x12, 0x01, 0x83, 0x01, 0x02, 0],
    );
    check(
        Cdb::mode_sense_6(true, 0x3f, 0, 192),
        &[0x1a, 0x08, 0x3f, 0, 192, 0],
    );
    check(
        Cdb::mode_sense_10(false, 8, 1, 0x0203),
        &[0x5a, 0, 8, 1, 0, 0, 0, 2, 3, 0],
    );
    check(Cdb::start_stop_unit(true, true), &[0x1b, 1, 0, 0, 1, 0]);
    check(Cdb::read_capacity_10(), &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let capacity = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
    check(Cdb::read_capacity_16(32), &capacity);
    check(
        Cdb::report_luns(2, 0x0102_0304),
        &[0xa0, 0, 2, 0, 0, 0, 1, 2, 3, 4, 0, 0],
    );
}

#[test]
fn reservations_and_operation_codes() {
    check(
        Cdb::persistent_reserve_in(reservation::READ_RESERVATION, 0x0201),
        &[0x5e, 0x01, 0, 0, 0, 0, 0, 2, 1, 0],
    );
    let kind = ReservationScopeType(reservation::EXCLUSIVE_ACCESS);
    check(
        Cdb::persistent_reserve_out(reservation::PREEMPT, kind, 24),
        &[0x5f, 0x04, 0x03, 0, 0, 0, 0, 0, 24, 0],
    );
    check(
        Cdb::report_supported_operation_codes(OpcodeQuery::All, true, 0x0102_0304),
        &[0xa3, 0x0c, 0x80, 0, 0, 0, 1, 2, 3, 4, 0, 0],
    );
    check(
        Cdb::report_supported_operation_codes(OpcodeQuery::ServiceAction(0x9e, 0x10), false, 64),
        &[0xa3, 0x0c, 0x02, 0x9e, 0, 0x10, 0, 0, 0, 64, 0, 0],
    );
}

#[test]
fn reads_and_writes() {
    let both = IoFlags {
        fua: true,
        dpo: true,
    };
    check(
        Cdb::read_6(0x1f_2345, 256).unwrap(),
        &[0x08, 0x1f, 0x23, 0x45, 0, 0],
    );
    check(Cdb::write_6(1, 2).unwrap(), &[0x0a, 0, 0, 1, 2, 0]);
    check(
        Cdb::read_10(0x0102_0304, 0x0506, both),
        &[0x28, 0x18, 1, 2, 3, 4, 0, 5, 6, 0],
    );
    check(
        Cdb::write_10(1, 2, IoFlags::FUA),
        &[0x2a, 0x08, 0, 0, 0, 1, 0, 0, 2, 0],
    );
    let read_12 = [0xa8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0];
    check(
        Cdb::read_12(0x0102_0304, 0x0506_0708, IoFlags::NONE),
        &read_12,
    );
    check(
        Cdb::write_12(1, 2, IoFlags::NONE),
        &[0xaa, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0],
    );
    let wide = [0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0];
    check(
        Cdb::read_16(0x0102_0304_0506_0708, 0x090a_0b0c, IoFlags::NONE),
        &wide,
    );
    let write_16 = [0x8a, 0x10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0];
    check(
        Cdb::write_16(
            1,
            2,
            IoFlags {
                fua: false,
                dpo: true,
            },
        ),
        &write_16,
    );
}

#[test]
fn six_byte_fields_are_checked() {
    assert_eq!(Cdb::read_6(0x20_0000, 1), None);
    assert_eq!(Cdb::read_6(0, 0), None, "0 in the field would mean 256");
    assert_eq!(Cdb::write_6(0, 257), None);
}

#[test]
fn the_shortest_read_and_write_that_fit() {
    assert_eq!(
        Cdb::read(u64::from(u32::MAX), 65535, IoFlags::NONE).opcode(),
        0x28
    );
    assert_eq!(Cdb::read(1 << 32, 1, IoFlags::NONE).opcode(), 0x88);
    assert_eq!(Cdb::write(0, 65536, IoFlags::NONE).opcode(), 0x8a);
    assert_eq!(Cdb::write(0, 1, IoFlags::FUA).opcode(), 0x2a);
}

#[test]
fn cache_and_provisioning_commands() {
    check(
        Cdb::synchronize_cache_10(1, 2, true),
        &[0x35, 0x02, 0, 0, 0, 1, 0, 0, 2, 0],
    );
    let sync = [0x91, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0];
    check(Cdb::synchronize_cache_16(1, 2, false), &sync);
    check(Cdb::unmap(true, 24), &[0x42, 0x01, 0, 0, 0, 0, 0, 0, 24, 0]);
    let flags = WriteSameFlags {
        unmap: true,
        anchor: true,
        ndob: true,
    };
    check(
        Cdb::write_same_10(1, 2, flags),
        &[0x41, 0x18, 0, 0, 0, 1, 0, 0, 2, 0],
    );
    let same = [0x93, 0x19, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0];
    check(Cdb::write_same_16(1, 2, flags), &same);
    let compare = [0x89, 0x08, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0];
    check(Cdb::compare_and_write(1, 2, IoFlags::FUA), &compare);
    let status = [0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 24, 0, 0];
    check(Cdb::get_lba_status(1, 24), &status);
}

#[test]
fn unmap_list_has_both_lengths() {
    let ranges = [UnmapRange {
        lba: 0x0102_0304_0506_0708,
        blocks: 0x090a_0b0c,
    }];
    let expected = [
        0, 22, 0, 16, 0, 0, 0, 0, // data length 22, descriptors 16
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, 0,
    ];
    assert_eq!(encode_unmap(&ranges).unwrap(), expected);
    assert_eq!(encode_unmap(&[ranges[0]; 4096]), None);
    assert_eq!(encode_unmap(&[ranges[0]; 4095]).unwrap().len(), 65528);
}

#[test]
fn foreign_bytes_are_bounded() {
    assert_eq!(Cdb::from_bytes(&[]), None);
    assert_eq!(Cdb::from_bytes(&[0; 17]), None);
    let cdb = Cdb::from_bytes(&[0xc0, 1, 2]).unwrap();
    assert_eq!(cdb.as_bytes(), [0xc0, 1, 2]);
    assert_eq!(cdb.padded()[3..], [0; 13]);
    assert_eq!(cdb.to_string(), "unknown command [c0 01 02]");
}
