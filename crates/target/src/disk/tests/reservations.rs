//! Reservations as commands: parameter lists, what is told, what is refused.

use hawser_scsi::IoFlags;
use hawser_scsi::cdb::{ReservationScopeType, reservation as pr};

use super::*;

const KEY_A: u64 = 0xa1a2_a3a4_a5a6_a7a8;
const KEY_B: u64 = 0xb1b2_b3b4_b5b6_b7b8;

impl Rig {
    /// PERSISTENT RESERVE OUT.
    fn reserve_out(
        &self,
        nexus: &Nexus,
        action: u8,
        kind: u8,
        key: u64,
        new: u64,
    ) -> CommandResult {
        let mut list = [key.to_be_bytes(), new.to_be_bytes()].concat();
        list.resize(24, 0);
        let cdb = Cdb::persistent_reserve_out(action, ReservationScopeType(kind), 24);
        self.send_as(nexus, cdb, &list).0
    }

    fn register(&self, nexus: &Nexus, key: u64) {
        let result = self.reserve_out(nexus, pr::REGISTER, 0, 0, key);
        assert_eq!(result.status, Status::Good);
    }

    fn status(&self, nexus: &Nexus, cdb: Cdb) -> Status {
        let data = if cdb.opcode() == 0x2a {
            blocks(1, 1)
        } else {
            Vec::new()
        };
        self.send_as(nexus, cdb, &data).0.status
    }
}

#[test]
fn keys_and_reservation_are_read_back() {
    let rig = Rig::new();
    let empty = rig.good(Cdb::persistent_reserve_in(pr::READ_KEYS, 255), &[]);
    assert_eq!(empty, [0, 0, 0, 0, 0, 0, 0, 0]);
    rig.register(&rig.a, KEY_A);
    rig.register(&rig.b, KEY_B);
    let keys = rig.good(Cdb::persistent_reserve_in(pr::READ_KEYS, 255), &[]);
    let body = [KEY_A.to_be_bytes(), KEY_B.to_be_bytes()].concat();
    assert_eq!(keys, [&[0, 0, 0, 2, 0, 0, 0, 16][..], &body].concat());
    let kind = pr::WRITE_EXCLUSIVE;
    let reserved = rig.reserve_out(&rig.a, pr::RESERVE, kind, KEY_A, 0);
    assert_eq!(reserved.status, Status::Good);
    let told = rig.good(Cdb::persistent_reserve_in(pr::READ_RESERVATION, 255), &[]);
    let held = [&KEY_A.to_be_bytes()[..], &[0, 0, 0, 0, 0, kind, 0, 0]].concat();
    assert_eq!(told, [&[0, 0, 0, 2, 0, 0, 0, 16][..], &held].concat());
    let capabilities = rig.good(
        Cdb::persistent_reserve_in(pr::REPORT_CAPABILITIES, 255),
        &[],
    );
    assert_eq!(capabilities, [0, 8, 0, 0x80, 0xea, 0x01, 0, 0]);
}

#[test]
fn full_status_names_the_ports() {
    let rig = Rig::new();
    rig.register(&rig.a, KEY_A);
    rig.reserve_out(&rig.a, pr::RESERVE, pr::EXCLUSIVE_ACCESS, KEY_A, 0);
    let full = rig.good(Cdb::persistent_reserve_in(pr::READ_FULL_STATUS, 1024), &[]);
    let port = b"iqn.2026-01.example:a,i,0x800000000001\0\0";
    let mut expected = vec![0, 0, 0, 1, 0, 0, 0, 68];
    expected.extend_from_slice(&KEY_A.to_be_bytes());
    expected.extend_from_slice(&[0, 0, 0, 0, 0x01, 0x03, 0, 0, 0, 0, 0, 1, 0, 0, 0, 44]);
    expected.extend_from_slice(&[0x45, 0, 0, 40]);
    expected.extend_from_slice(port);
    assert_eq!(full, expected);
}

#[test]
fn who_may_do_what_under_each_type() {
    // read and write of a registered and of an unregistered nexus that is not the holder
    let table = [
        (pr::WRITE_EXCLUSIVE, [true, false, true, false]),
        (pr::EXCLUSIVE_ACCESS, [false, false, false, false]),
        (
            pr::WRITE_EXCLUSIVE_REGISTRANTS_ONLY,
            [true, true, true, false],
        ),
        (
            pr::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY,
            [true, true, false, false],
        ),
        (
            pr::WRITE_EXCLUSIVE_ALL_REGISTRANTS,
            [true, true, true, false],
        ),
        (
            pr::EXCLUSIVE_ACCESS_ALL_REGISTRANTS,
            [true, true, false, false],
        ),
    ];
    let read = Cdb::read_10(0, 1, IoFlags::NONE);
    let write = Cdb::write_10(0, 1, IoFlags::NONE);
    for (kind, expected) in table {
        let rig = Rig::new();
        rig.register(&rig.a, KEY_A);
        rig.reserve_out(&rig.a, pr::RESERVE, kind, KEY_A, 0);
        let may = |cdb| rig.status(&rig.b, cdb) == Status::Good;
        let unregistered = [may(read), may(write)];
        rig.register(&rig.b, KEY_B);
        assert_eq!(
            [[may(read), may(write)], unregistered].concat(),
            expected,
            "type {kind}"
        );
        assert_eq!(rig.status(&rig.a, write), Status::Good, "the holder");
        for always in [
            Cdb::test_unit_ready(),
            Cdb::inquiry(36),
            Cdb::read_capacity_10(),
        ] {
            assert!(may(always), "{always}");
        }
    }
}

#[test]
fn a_wrong_parameter_list_is_refused() {
    let rig = Rig::new();
    let list_of = |flags: u8| {
        let mut list = [0; 24];
        list[15] = 1;
        list[20] = flags;
        list
    };
    let register =
        |length| Cdb::persistent_reserve_out(pr::REGISTER, ReservationScopeType(0), length);
    for flags in [0x01, 0x04, 0x08] {
        assert_eq!(
            rig.bad(register(24), &list_of(flags)),
            INVALID_FIELD_IN_LIST
        );
    }
    let short = (SenseKey::IllegalRequest, 0x1a, 0x00);
    assert_eq!(rig.bad(register(23), &list_of(0)), short);
    assert_eq!(rig.bad(register(24), &list_of(0)[..20]), short);
    rig.register(&rig.a, KEY_A);
    for kind in [0x00, 0x02, 0x09, 0x13] {
        let result = rig.reserve_out(&rig.a, pr::RESERVE, kind, KEY_A, 0);
        assert_eq!(
            result.sense.unwrap().code(),
            INVALID_FIELD_IN_CDB,
            "type {kind:#x}"
        );
    }
    assert_eq!(
        rig.bad_raw(&[0x5e, 0x1f, 0, 0, 0, 0, 0, 0, 8, 0], &[]),
        INVALID_FIELD_IN_CDB
    );
}

#[test]
fn a_preempted_nexus_hears_of_it_and_registrations_outlive_sessions() {
    let rig = Rig::new();
    rig.register(&rig.a, KEY_A);
    rig.register(&rig.b, KEY_B);
    rig.reserve_out(&rig.a, pr::RESERVE, pr::WRITE_EXCLUSIVE, KEY_A, 0);
    rig.device.nexus_lost(&rig.b);
    rig.device.nexus_started(&rig.b);
    rig.hear(&rig.b);
    let kind = pr::EXCLUSIVE_ACCESS;
    let result = rig.reserve_out(&rig.b, pr::PREEMPT, kind, KEY_B, KEY_A);
    assert_eq!(
        result.status,
        Status::Good,
        "the registration is still there"
    );
    assert_eq!(
        rig.bad(Cdb::test_unit_ready(), &[]),
        (SenseKey::UnitAttention, 0x2a, 0x05)
    );
    let read = Cdb::read_10(0, 1, IoFlags::NONE);
    assert_eq!(rig.status(&rig.a, read), Status::ReservationConflict);
}

#[test]
fn reserve_6_shuts_others_out_until_its_session_ends() {
    let rig = Rig::new();
    let (reserve, release) = ([0x16, 0, 0, 0, 0, 0], [0x17, 0, 0, 0, 0, 0]);
    rig.raw(&reserve, &[]);
    rig.raw(&reserve, &[]);
    let conflict = Status::ReservationConflict;
    assert_eq!(rig.status(&rig.b, Cdb::test_unit_ready()), conflict);
    assert_eq!(
        rig.status(&rig.b, Cdb::from_bytes(&reserve).unwrap()),
        conflict
    );
    assert_eq!(
        rig.status(&rig.b, Cdb::from_bytes(&release).unwrap()),
        Status::Good
    );
    assert_eq!(rig.status(&rig.b, Cdb::inquiry(36)), Status::Good);
    let keys = Cdb::persistent_reserve_in(pr::READ_KEYS, 8);
    assert_eq!(rig.status(&rig.b, keys), conflict);
    rig.device.nexus_lost(&rig.a);
    assert_eq!(rig.status(&rig.b, Cdb::test_unit_ready()), Status::Good);
    rig.register(&rig.b, KEY_B);
    assert_eq!(
        rig.status(&rig.a, Cdb::from_bytes(&reserve).unwrap()),
        conflict
    );
}
