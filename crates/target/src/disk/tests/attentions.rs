//! Unit attentions and resets.

use hawser_scsi::IoFlags;

use super::*;

const POWER_ON: Code = (SenseKey::UnitAttention, 0x29, 0x00);
const RESET: Code = (SenseKey::UnitAttention, 0x29, 0x03);

#[test]
fn a_new_nexus_hears_of_the_power_on_once() {
    let rig = Rig::new();
    rig.device.nexus_started(&rig.a);
    rig.good(Cdb::inquiry(36), &[]);
    rig.good(Cdb::report_luns(0, 16), &[]);
    assert_eq!(rig.bad(Cdb::read_10(0, 1, IoFlags::NONE), &[]), POWER_ON);
    rig.good(Cdb::read_10(0, 1, IoFlags::NONE), &[]);
    let (other, _) = rig.send_as(&rig.b, Cdb::test_unit_ready(), &[]);
    assert_eq!(other.status, Status::Good, "it is nobody else's news");
}

#[test]
fn request_sense_tells_the_news_and_then_none() {
    let rig = Rig::new();
    rig.device.nexus_started(&rig.a);
    let fixed = rig.good(Cdb::request_sense(false, 252), &[]);
    assert_eq!(
        (fixed[0], fixed[2], fixed[12], fixed.len()),
        (0x70, 0x06, 0x29, 18)
    );
    let descriptor = rig.good(Cdb::request_sense(true, 252), &[]);
    assert_eq!(descriptor, [0x72, 0, 0, 0, 0, 0, 0, 0]);
    rig.good(Cdb::test_unit_ready(), &[]);
}

#[test]
fn a_reset_ends_what_is_not_persistent_and_is_told_to_all() {
    let rig = Rig::new();
    rig.raw(&[0x16, 0, 0, 0, 0, 0], &[]);
    rig.good(Cdb::start_stop_unit(false, false), &[]);
    assert!(rig.device.reset_unit(Lun::ZERO));
    assert!(!rig.device.reset_unit(Lun::from_number(9)));
    for nexus in [&rig.a, &rig.b] {
        let (result, _) = rig.send_as(nexus, Cdb::test_unit_ready(), &[]);
        assert_eq!(result.sense.unwrap().code(), RESET);
        let (result, _) = rig.send_as(nexus, Cdb::test_unit_ready(), &[]);
        assert_eq!(result.status, Status::Good, "neither reserved nor stopped");
    }
    rig.device.reset();
    assert_eq!(rig.bad(Cdb::test_unit_ready(), &[]), RESET);
}

#[test]
fn changes_of_size_and_of_luns_are_news() {
    let rig = Rig::new();
    rig.device.unit(Lun::ZERO).unwrap().capacity_changed();
    assert_eq!(
        rig.bad(Cdb::test_unit_ready(), &[]),
        (SenseKey::UnitAttention, 0x2a, 0x09)
    );
    rig.hear(&rig.b);
    let ram = RamBackend::new(4096).unwrap();
    let unit = LogicalUnit::new(Arc::new(ram), 4096, UnitIdentity::from_seed(2)).unwrap();
    rig.device.insert(1, Arc::new(unit));
    let (heard, _) = rig.send_as(&rig.b, Cdb::test_unit_ready(), &[]);
    assert_eq!(
        heard.sense.unwrap().code(),
        (SenseKey::UnitAttention, 0x3f, 0x0e)
    );
    rig.good(Cdb::report_luns(0, 64), &[]);
    rig.good(Cdb::test_unit_ready(), &[]);
}
