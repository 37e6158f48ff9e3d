//! Reading, writing, comparing, making durable.

use hawser_scsi::IoFlags;

use super::*;

const VERIFY_10: u8 = 0x2f;

#[test]
fn every_length_of_write_is_read_by_every_length_of_read() {
    let rig = Rig::new();
    let writes = [
        Cdb::write_6(8, 2).unwrap(),
        Cdb::write_10(8, 2, IoFlags::NONE),
        Cdb::write_12(8, 2, IoFlags::NONE),
        Cdb::write_16(
            8,
            2,
            IoFlags {
                fua: true,
                dpo: true,
            },
        ),
    ];
    let reads = [
        Cdb::read_6(8, 2).unwrap(),
        Cdb::read_10(
            8,
            2,
            IoFlags {
                fua: true,
                dpo: true,
            },
        ),
        Cdb::read_12(8, 2, IoFlags::NONE),
        Cdb::read_16(8, 2, IoFlags::NONE),
    ];
    for (fill, write) in (1..).zip(writes) {
        rig.good(write, &blocks(2, fill));
        for read in reads {
            assert_eq!(rig.good(read, &[]), blocks(2, fill), "{write} then {read}");
        }
    }
    assert_eq!(
        rig.good(Cdb::read_10(7, 1, IoFlags::NONE), &[]),
        blocks(1, 0)
    );
    assert_eq!(
        rig.good(Cdb::read_10(10, 1, IoFlags::NONE), &[]),
        blocks(1, 0)
    );
}

#[test]
fn six_byte_commands_read_0_as_256() {
    let rig = Rig::new();
    assert_eq!(rig.raw(&[0x08, 0, 0, 0, 0, 0], &[]).len(), 256 * BLOCK);
}

#[test]
fn nothing_is_moved_beyond_the_end() {
    let rig = Rig::new();
    let end = u32::try_from(BLOCKS).unwrap();
    for (lba, count) in [
        (end - 1, 2),
        (end, 1),
        (end + 1, 0),
        (0x8000_0000, 0),
        (u32::MAX, 2),
    ] {
        assert_eq!(
            rig.bad(Cdb::read_10(lba, count, IoFlags::NONE), &[]),
            OUT_OF_RANGE
        );
        let data = blocks(usize::from(count), 1);
        assert_eq!(
            rig.bad(Cdb::write_10(lba, count, IoFlags::NONE), &data),
            OUT_OF_RANGE
        );
    }
    let lba = u64::MAX;
    assert_eq!(
        rig.bad(Cdb::read_16(lba, 1, IoFlags::NONE), &[]),
        OUT_OF_RANGE
    );
    assert_eq!(rig.good(Cdb::read_10(end, 0, IoFlags::NONE), &[]), []);
    let (result, _) = rig.send(Cdb::read_10(end, 1, IoFlags::NONE), &[]);
    assert_eq!(result.sense.unwrap().information, Some(BLOCKS));
}

#[test]
fn one_command_moves_a_bounded_amount() {
    let ram = RamBackend::new(1 << 30).unwrap();
    let unit = LogicalUnit::new(Arc::new(ram), 512, UnitIdentity::from_seed(3)).unwrap();
    let nexus = Nexus::new("iqn.a", [0; 6], 1);
    let read = |count| {
        let mut data_in = Vec::new();
        let cdb = Cdb::read_16(0, count, IoFlags::NONE);
        let result = unit.execute(&nexus, cdb.as_bytes(), &[], &mut data_in);
        (result.sense.map(|sense| sense.code()), data_in.len())
    };
    assert_eq!(read(32768), (None, 16 << 20));
    assert_eq!(read(32769), (Some(INVALID_FIELD_IN_CDB), 0));
}

#[test]
fn protection_bits_and_reserved_bits_are_refused() {
    let rig = Rig::new();
    for protect in [0x20, 0x40, 0x60, 0x80, 0xa0] {
        for opcode in [0x28, 0x2a, 0x2e, 0x2f] {
            let cdb = [opcode, protect, 0, 0, 0, 0, 0, 0, 0, 0];
            assert_eq!(rig.bad_raw(&cdb, &[]), INVALID_FIELD_IN_CDB);
        }
    }
    let (result, _) = rig.send(
        Cdb::from_bytes(&[0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0]).unwrap(),
        &[],
    );
    // SKSV, C/D, BPV, bit 5; byte 1.
    assert_eq!(result.sense.unwrap().sense_key_specific, Some([0xcd, 0, 1]));
    assert_eq!(
        rig.bad_raw(&[0x00, 0, 0, 0, 0, 0x04], &[]),
        INVALID_FIELD_IN_CDB,
        "NACA"
    );
    assert_eq!(
        rig.bad_raw(&[0xc0, 0, 0, 0, 0, 0], &[]),
        (SenseKey::IllegalRequest, 0x20, 0)
    );
}

#[test]
fn transfer_lengths_are_those_of_the_cdb() {
    let rig = Rig::new();
    let length = |cdb, data: &[u8]| rig.send(cdb, data).0.transfer_length;
    assert_eq!(length(Cdb::read_10(0, 3, IoFlags::NONE), &[]), Some(1536));
    assert_eq!(
        length(Cdb::write_10(0, 2, IoFlags::NONE), &blocks(2, 1)),
        Some(1024)
    );
    assert_eq!(
        length(Cdb::write_10(0, 2, IoFlags::NONE), &blocks(4, 1)),
        Some(1024)
    );
    assert_eq!(length(Cdb::inquiry(10), &[]), Some(10));
    assert_eq!(length(Cdb::test_unit_ready(), &[]), Some(0));
}

#[test]
fn of_too_few_data_the_whole_blocks_are_written() {
    let rig = Rig::new();
    rig.good(
        Cdb::write_10(0, 3, IoFlags::NONE),
        &blocks(2, 7)[..BLOCK + 100],
    );
    assert_eq!(
        rig.good(Cdb::read_10(0, 1, IoFlags::NONE), &[]),
        blocks(1, 7)
    );
    assert_eq!(
        rig.good(Cdb::read_10(1, 1, IoFlags::NONE), &[]),
        blocks(1, 0)
    );
}

#[test]
fn a_write_protected_disk_refuses_every_write() {
    let rig = Rig::with(512, |unit| unit.with_write_protect(true));
    let data = blocks(1, 1);
    let pair = blocks(2, 0);
    assert_eq!(
        rig.bad(Cdb::write_10(0, 1, IoFlags::NONE), &data),
        WRITE_PROTECTED
    );
    assert_eq!(
        rig.bad(Cdb::compare_and_write(0, 1, IoFlags::NONE), &pair),
        WRITE_PROTECTED
    );
    assert_eq!(
        rig.bad_raw(&[0x2e, 0, 0, 0, 0, 0, 0, 0, 1, 0], &data),
        WRITE_PROTECTED
    );
    let same = Cdb::write_same_10(0, 1, hawser_scsi::cdb::WriteSameFlags::default());
    assert_eq!(rig.bad(same, &data), WRITE_PROTECTED);
    assert_eq!(rig.bad(Cdb::unmap(false, 0), &[]), WRITE_PROTECTED);
    assert_eq!(
        rig.good(Cdb::read_10(0, 1, IoFlags::NONE), &[]),
        blocks(1, 0)
    );
}

#[test]
fn only_flushed_writes_survive_a_power_failure() {
    let rig = Rig::new();
    let write = |lba, flags| rig.good(Cdb::write_10(lba, 1, flags), &blocks(1, 9));
    let survives = |lba| rig.good(Cdb::read_10(lba, 1, IoFlags::NONE), &[]) == blocks(1, 9);
    write(0, IoFlags::NONE);
    write(100, IoFlags::FUA);
    write(200, IoFlags::NONE);
    rig.good(Cdb::synchronize_cache_10(200, 1, false), &[]);
    rig.good(
        Cdb::from_bytes(&[0x2e, 0, 0, 0, 1, 44, 0, 0, 1, 0]).unwrap(),
        &blocks(1, 9),
    );
    rig.medium.forget();
    assert_eq!([0, 100, 200, 300].map(survives), [false, true, true, true]);
    write(0, IoFlags::NONE);
    rig.good(Cdb::synchronize_cache_16(0, 0, true), &[]);
    rig.medium.forget();
    assert!(survives(0), "0 blocks is the whole disk");
    write(400, IoFlags::NONE);
    rig.good(Cdb::read_10(400, 1, IoFlags::FUA), &[]);
    rig.medium.forget();
    assert!(survives(400), "a read with FUA reads the medium");
    let beyond = Cdb::synchronize_cache_10(u32::try_from(BLOCKS).unwrap(), 1, false);
    assert_eq!(rig.bad(beyond, &[]), OUT_OF_RANGE);
}

#[test]
fn verify_compares_what_it_is_told_to() {
    let rig = Rig::new();
    rig.good(Cdb::write_10(0, 4, IoFlags::NONE), &blocks(4, 5));
    let cdb = |bytchk: u8| [VERIFY_10, bytchk << 1, 0, 0, 0, 0, 0, 0, 4, 0];
    rig.raw(&cdb(0), &[]);
    rig.raw(&cdb(1), &blocks(4, 5));
    rig.raw(&cdb(3), &blocks(1, 5));
    assert_eq!(rig.bad_raw(&cdb(2), &[]), INVALID_FIELD_IN_CDB);
    let mut wrong = blocks(4, 5);
    wrong[3 * BLOCK + 7] = 6;
    assert_eq!(rig.bad_raw(&cdb(1), &wrong), MISCOMPARE);
    let (result, _) = rig.send(Cdb::from_bytes(&cdb(1)).unwrap(), &wrong);
    assert_eq!(result.sense.unwrap().information, Some(3 * 512 + 7));
    assert_eq!(rig.bad_raw(&cdb(3), &blocks(1, 6)), MISCOMPARE);
    rig.raw(&[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]);
    rig.raw(&[0x34, 0x02, 0, 0, 0, 0, 3, 0, 1, 0], &[]);
    assert_eq!(
        rig.bad_raw(&[0x34, 0, 0, 0, 8, 0, 0, 0, 1, 0], &[]),
        OUT_OF_RANGE,
        "PRE-FETCH"
    );
}

#[test]
fn compare_and_write_writes_only_on_a_match() {
    let rig = Rig::new();
    let pair = [blocks(1, 0), blocks(1, 1)].concat();
    rig.good(Cdb::compare_and_write(4, 1, IoFlags::NONE), &pair);
    assert_eq!(
        rig.bad(Cdb::compare_and_write(4, 1, IoFlags::NONE), &pair),
        MISCOMPARE
    );
    assert_eq!(
        rig.good(Cdb::read_10(4, 1, IoFlags::NONE), &[]),
        blocks(1, 1)
    );
    let short = Cdb::compare_and_write(4, 2, IoFlags::NONE);
    assert_eq!(
        rig.bad(short, &pair),
        INVALID_FIELD_IN_CDB,
        "half of the data is missing"
    );
    rig.good(Cdb::compare_and_write(4, 0, IoFlags::NONE), &[]);
}

#[test]
fn orwrite_and_atomic_write() {
    let rig = Rig::new();
    rig.good(Cdb::write_10(0, 1, IoFlags::NONE), &blocks(1, 0x0f));
    rig.raw(
        &[0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0],
        &blocks(1, 0x11),
    );
    assert_eq!(
        rig.good(Cdb::read_10(0, 1, IoFlags::NONE), &[]),
        blocks(1, 0x1f)
    );
    let atomic = |boundary, count| [0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, boundary, 0, count, 0, 0];
    rig.raw(&atomic(0, 2), &blocks(2, 3));
    assert_eq!(
        rig.good(Cdb::read_10(0, 2, IoFlags::NONE), &[]),
        blocks(2, 3)
    );
    assert_eq!(
        rig.bad_raw(&atomic(1, 2), &blocks(2, 3)),
        INVALID_FIELD_IN_CDB
    );
    assert_eq!(
        rig.bad_raw(&atomic(0, 2), &blocks(1, 4)),
        INVALID_FIELD_IN_CDB,
        "not all came"
    );
}

#[test]
fn a_stopped_unit_moves_no_data() {
    let rig = Rig::new();
    rig.good(Cdb::write_10(0, 1, IoFlags::NONE), &blocks(1, 1));
    rig.good(Cdb::start_stop_unit(false, false), &[]);
    assert_eq!(rig.medium.unflushed_bytes(), 0, "stopping flushes");
    let stopped = (SenseKey::NotReady, 0x04, 0x02);
    assert_eq!(rig.bad(Cdb::read_10(0, 1, IoFlags::NONE), &[]), stopped);
    assert_eq!(rig.bad(Cdb::test_unit_ready(), &[]), stopped);
    rig.good(Cdb::inquiry(36), &[]);
    rig.good(Cdb::start_stop_unit(false, true), &[]);
    rig.good(Cdb::test_unit_ready(), &[]);
    assert_eq!(
        rig.bad_raw(&[0x1b, 0, 0, 0, 0x02, 0], &[]),
        INVALID_FIELD_IN_CDB,
        "eject"
    );
    rig.raw(&[0x1e, 0, 0, 0, 1, 0], &[]);
    rig.raw(&[0x1e, 0, 0, 0, 0, 0], &[]);
    assert_eq!(
        rig.bad_raw(&[0x1e, 0, 0, 0, 2, 0], &[]),
        INVALID_FIELD_IN_CDB
    );
}
