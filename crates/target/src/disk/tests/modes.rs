//! MODE SENSE and MODE SELECT.

use hawser_scsi::IoFlags;
use hawser_scsi::mode::ModeParameters;

use super::*;

const CONTROL: [u8; 12] = [0x0a, 10, 0, 0x10, 0, 0, 0, 0, 0xff, 0xff, 0, 0];

/// A MODE SELECT (6) with the control page, its byte `at` with `bits` set.
fn select(at: usize, bits: u8) -> (Cdb, Vec<u8>) {
    let mut page = CONTROL;
    page[at] |= bits;
    let list = [&[0; 4][..], &page].concat();
    (Cdb::from_bytes(&[0x15, 0x10, 0, 0, 16, 0]).unwrap(), list)
}

#[test]
fn all_pages_in_both_forms() {
    let rig = Rig::new();
    let six = rig.good(Cdb::mode_sense_6(true, 0x3f, 0, 255), &[]);
    assert_eq!(usize::from(six[0]) + 1, six.len());
    assert_eq!(six.len(), 4 + 20 + 12 + 12);
    let six = ModeParameters::decode_6(&six).unwrap();
    assert!(six.fua_supported && !six.write_protected);
    assert!(
        six.caching.unwrap().write_cache_enabled,
        "a volatile cache is said to be one"
    );
    let ten = rig.good(Cdb::mode_sense_10(false, 0x08, 0, 255), &[]);
    assert_eq!(ten.len(), 8 + 8 + 20);
    assert_eq!(ten[8..16], [0, 0, 8, 0, 0, 0, 2, 0], "2048 blocks of 512");
    assert_eq!(ModeParameters::decode_10(&ten).unwrap(), six);
    let long = rig.raw(&[0x5a, 0x10, 0x08, 0, 0, 0, 0, 0, 255, 0], &[]);
    assert_eq!((long[4], long[7], long.len()), (1, 16, 8 + 16 + 20));
    let control = rig.good(Cdb::mode_sense_6(true, 0x0a, 0, 255), &[]);
    assert_eq!(control[4..], CONTROL);
}

#[test]
fn what_is_not_there_is_refused() {
    let rig = Rig::new();
    assert_eq!(
        rig.bad(Cdb::mode_sense_6(true, 0x02, 0, 255), &[]),
        INVALID_FIELD_IN_CDB
    );
    assert_eq!(
        rig.bad(Cdb::mode_sense_6(true, 0x0a, 1, 255), &[]),
        INVALID_FIELD_IN_CDB
    );
    let saved = rig.bad_raw(&[0x1a, 0x08, 0xca, 0, 255, 0], &[]);
    assert_eq!(saved, (SenseKey::IllegalRequest, 0x39, 0x00));
}

#[test]
fn software_write_protect_can_be_set_and_is_told_to_others() {
    let rig = Rig::new();
    let changeable = rig.raw(&[0x1a, 0x08, 0x4a, 0, 255, 0], &[]);
    assert_eq!(
        changeable[4..],
        [0x0a, 10, 0x04, 0, 0x08, 0, 0, 0, 0, 0, 0, 0]
    );
    let (cdb, list) = select(4, 0x08);
    rig.good(cdb, &list);
    let write = Cdb::write_10(0, 1, IoFlags::NONE);
    assert_eq!(rig.bad(write, &blocks(1, 1)), WRITE_PROTECTED);
    let sensed = rig.good(Cdb::mode_sense_6(true, 0x0a, 0, 255), &[]);
    assert!(ModeParameters::decode_6(&sensed).unwrap().write_protected);
    let (heard, _) = rig.send_as(&rig.b, Cdb::test_unit_ready(), &[]);
    assert_eq!(
        heard.sense.unwrap().code(),
        (SenseKey::UnitAttention, 0x2a, 0x01)
    );
    let (cdb, list) = select(4, 0);
    rig.good(cdb, &list);
    rig.good(write, &blocks(1, 1));
}

#[test]
fn descriptor_sense_can_be_asked_for() {
    let rig = Rig::new();
    let far = Cdb::read_16(1 << 40, 1, IoFlags::NONE);
    assert_eq!(rig.send(far, &[]).0.sense_data()[0], 0x70);
    let (cdb, list) = select(2, 0x04);
    rig.good(cdb, &list);
    let sense = rig.send(far, &[]).0.sense_data();
    assert_eq!(sense[0], 0x72);
    let sense = hawser_scsi::Sense::decode(&sense).unwrap();
    assert_eq!(
        sense.information,
        Some(1 << 40),
        "more than the fixed format holds"
    );
}

#[test]
fn other_changes_are_refused() {
    let rig = Rig::new();
    let (cdb, list) = select(3, 0x20);
    assert_eq!(rig.bad(cdb, &list), INVALID_FIELD_IN_LIST);
    let short = (SenseKey::IllegalRequest, 0x1a, 0x00);
    assert_eq!(rig.bad_raw(&[0x15, 0x10, 0, 0, 10, 0], &list[..10]), short);
    assert_eq!(rig.bad_raw(&[0x15, 0x10, 0, 0, 3, 0], &list[..3]), short);
    assert_eq!(
        rig.bad_raw(&[0x15, 0x00, 0, 0, 16, 0], &list),
        INVALID_FIELD_IN_CDB,
        "no PF"
    );
    assert_eq!(
        rig.bad_raw(&[0x15, 0x11, 0, 0, 16, 0], &list),
        INVALID_FIELD_IN_CDB,
        "SP"
    );
    rig.raw(&[0x15, 0x10, 0, 0, 0, 0], &[]);
    let ten = [&[0; 8][..], &CONTROL].concat();
    rig.raw(&[0x55, 0x10, 0, 0, 0, 0, 0, 0, 20, 0], &ten);
}
