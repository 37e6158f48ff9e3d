//! UNMAP, WRITE SAME, GET LBA STATUS.

use hawser_scsi::IoFlags;
use hawser_scsi::cdb::{UnmapRange, WriteSameFlags, encode_unmap};

use super::*;

fn filled() -> Rig {
    let rig = Rig::new();
    let whole = u32::try_from(BLOCKS).unwrap();
    rig.good(
        Cdb::write_16(0, whole, IoFlags::FUA),
        &blocks(BLOCKS as usize, 0xaa),
    );
    rig
}

fn is(rig: &Rig, lba: u32, count: u16, byte: u8) -> bool {
    rig.good(Cdb::read_10(lba, count, IoFlags::NONE), &[]) == blocks(usize::from(count), byte)
}

fn unmap(ranges: &[(u64, u32)]) -> (Cdb, Vec<u8>) {
    let ranges: Vec<_> = ranges
        .iter()
        .map(|&(lba, blocks)| UnmapRange { lba, blocks })
        .collect();
    let list = encode_unmap(&ranges).unwrap();
    (Cdb::unmap(false, u16::try_from(list.len()).unwrap()), list)
}

#[test]
fn unmapped_blocks_read_as_zeros() {
    let rig = filled();
    let (cdb, list) = unmap(&[(8, 8), (100, 1), (0, 0)]);
    rig.good(cdb, &list);
    assert!(is(&rig, 8, 8, 0) && is(&rig, 100, 1, 0));
    assert!(is(&rig, 7, 1, 0xaa) && is(&rig, 16, 1, 0xaa) && is(&rig, 101, 1, 0xaa));
    rig.good(Cdb::unmap(false, 0), &[]);
    rig.good(Cdb::unmap(false, 8), &[0; 8]);
}

#[test]
fn an_unmap_with_a_fault_unmaps_nothing() {
    let rig = filled();
    let (cdb, list) = unmap(&[(0, 1), (BLOCKS, 1)]);
    assert_eq!(rig.bad(cdb, &list), OUT_OF_RANGE);
    assert!(is(&rig, 0, 1, 0xaa));
    let (cdb, list) = unmap(&[(0, 1); 257]);
    assert_eq!(rig.bad(cdb, &list), INVALID_FIELD_IN_LIST);
    let length_error = (SenseKey::IllegalRequest, 0x1a, 0x00);
    assert_eq!(rig.bad(Cdb::unmap(false, 4), &[0; 4]), length_error);
    assert_eq!(
        rig.bad(Cdb::unmap(false, 24), &list[..20]),
        length_error,
        "less came"
    );
    assert_eq!(
        rig.bad(Cdb::unmap(true, 0), &[]),
        INVALID_FIELD_IN_CDB,
        "ANCHOR"
    );
    assert!(is(&rig, 0, 1, 0xaa));
}

#[test]
fn write_same_repeats_its_block() {
    let rig = filled();
    let plain = WriteSameFlags::default();
    rig.good(Cdb::write_same_10(1, 1000, plain), &blocks(1, 3));
    assert!(is(&rig, 0, 1, 0xaa) && is(&rig, 1, 1000, 3) && is(&rig, 1001, 1, 0xaa));
    let with_unmap = WriteSameFlags {
        unmap: true,
        ..plain
    };
    rig.good(Cdb::write_same_16(0, 2, with_unmap), &blocks(1, 4));
    assert!(is(&rig, 0, 2, 4), "data that are not zero are written");
    rig.good(Cdb::write_same_16(0, 2, with_unmap), &blocks(1, 0));
    assert!(is(&rig, 0, 2, 0));
    let no_data = WriteSameFlags {
        ndob: true,
        ..plain
    };
    rig.good(Cdb::write_same_16(4, 2, no_data), &[]);
    assert!(is(&rig, 4, 2, 0));
}

#[test]
fn write_same_has_its_rules() {
    let rig = Rig::new();
    let plain = WriteSameFlags::default();
    let one = blocks(1, 1);
    let anchor = WriteSameFlags {
        anchor: true,
        unmap: true,
        ndob: false,
    };
    assert_eq!(
        rig.bad(Cdb::write_same_10(0, 1, anchor), &one),
        INVALID_FIELD_IN_CDB
    );
    assert_eq!(
        rig.bad(Cdb::write_same_10(0, 0, plain), &one),
        INVALID_FIELD_IN_CDB,
        "WSNZ"
    );
    let end = u32::try_from(BLOCKS).unwrap();
    assert_eq!(
        rig.bad(Cdb::write_same_10(end, 1, plain), &one),
        OUT_OF_RANGE
    );
    let lbdata = [0x41, 0x02, 0, 0, 0, 0, 0, 0, 1, 0];
    assert_eq!(rig.bad_raw(&lbdata, &one), INVALID_FIELD_IN_CDB);
    let short = rig.bad(Cdb::write_same_10(0, 1, plain), &one[..100]);
    assert_eq!(short, INVALID_FIELD_IN_CDB);
    let long = rig.bad(Cdb::write_same_16(0, 1, plain), &blocks(2, 1));
    assert_eq!(long, INVALID_FIELD_IN_CDB);
}

/// LBA, blocks and provisioning status of each descriptor.
fn statuses(rig: &Rig, lba: u64, room: u32) -> Vec<(u64, u32, u8)> {
    let bytes = rig.good(Cdb::get_lba_status(lba, room), &[]);
    let (length, rest) = bytes.split_first_chunk::<4>().unwrap();
    assert!(u32::from_be_bytes(*length) as usize >= rest.len());
    let descriptors = rest[4..].chunks_exact(16);
    descriptors
        .map(|d| {
            let lba = u64::from_be_bytes(d[..8].try_into().unwrap());
            (lba, u32::from_be_bytes(d[8..12].try_into().unwrap()), d[12])
        })
        .collect()
}

#[test]
fn lba_status_tells_mapped_from_unmapped() {
    let rig = Rig::new();
    assert_eq!(statuses(&rig, 0, 1024), [(0, 2048, 1)]);
    rig.good(Cdb::write_10(16, 16, IoFlags::FUA), &blocks(16, 1));
    assert_eq!(
        statuses(&rig, 0, 1024),
        [(0, 16, 1), (16, 16, 0), (32, 2016, 1)]
    );
    assert_eq!(statuses(&rig, 20, 24), [(20, 12, 0)], "room for one");
    assert_eq!(rig.bad(Cdb::get_lba_status(BLOCKS, 24), &[]), OUT_OF_RANGE);
}
