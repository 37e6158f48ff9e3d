//! What the unit says of itself, read back with the decoders of the initiator's room.

use std::io;

use hawser_scsi::cdb::OpcodeQuery;
use hawser_scsi::identity::IdentityKind;
use hawser_scsi::vpd::{
    self, BlockCharacteristics, BlockLimits, DesignatorKind, Provisioning, decode_device_id,
};
use hawser_scsi::{Capacity, DiskIdentity, Inquiry, IoFlags, ReportedLuns, opcode};

use super::super::{Backend, Extent};
use super::*;

#[test]
fn standard_data_are_a_disk_of_ours() {
    let rig = Rig::new();
    let bytes = rig.good(Cdb::inquiry(255), &[]);
    assert_eq!(bytes.len(), 96);
    assert_eq!(bytes[4], 91, "additional length");
    assert_eq!(&bytes[8..36], b"HAWSER  Virtual disk    1   ");
    assert_eq!(&bytes[58..60], [0x00, 0xa0], "SAM-5");
    let inquiry = Inquiry::decode(&bytes).unwrap();
    assert!(inquiry.is_disk() && inquiry.command_queuing && !inquiry.removable);
    assert_eq!(
        rig.good(Cdb::inquiry(5), &[]),
        bytes[..5],
        "cut to the allocation length"
    );
}

#[test]
fn every_listed_page_is_there_and_others_are_not() {
    let rig = Rig::new();
    let listed = rig.good(Cdb::inquiry_vpd(0, 255), &[]);
    let pages = vpd::decode_supported_pages(&listed).unwrap();
    assert_eq!(pages, [0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2]);
    for page in 0..=u8::MAX {
        let cdb = Cdb::inquiry_vpd(page, 255);
        if pages.contains(&page) {
            assert_eq!(rig.good(cdb, &[])[1], page);
        } else {
            assert_eq!(rig.bad(cdb, &[]), INVALID_FIELD_IN_CDB);
        }
    }
    let page_without_evpd = [opcode::INQUIRY, 0, 0x83, 0, 255, 0];
    assert_eq!(rig.bad_raw(&page_without_evpd, &[]), INVALID_FIELD_IN_CDB);
}

#[test]
fn the_identity_is_the_naa_of_its_key() {
    let rig = Rig::new();
    let page = rig.good(Cdb::inquiry_vpd(vpd::PAGE_DEVICE_ID, 255), &[]);
    let designators = decode_device_id(&page).unwrap();
    let port = designators
        .iter()
        .find(|d| d.kind == DesignatorKind::RelativePort)
        .unwrap();
    assert_eq!(port.bytes, [0, 0, 0, 1], "the portal group");
    let serial = rig.good(Cdb::inquiry_vpd(vpd::PAGE_SERIAL, 255), &[]);
    let serial = vpd::decode_serial(&serial).unwrap();
    let unit = rig.device.unit(Lun::ZERO).unwrap();
    assert_eq!(serial, unit.identity().serial().as_bytes());
    let identity = DiskIdentity::choose(&designators, Some(serial)).unwrap();
    assert_eq!(identity.kind(), IdentityKind::Naa);
    let naa: String = unit
        .identity()
        .naa()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(identity.to_string(), format!("naa.{naa}"));
}

#[test]
fn the_limits_are_those_that_are_kept() {
    let rig = Rig::new();
    let limits = rig.good(Cdb::inquiry_vpd(vpd::PAGE_BLOCK_LIMITS, 255), &[]);
    assert_eq!(limits.len(), 64);
    let limits = BlockLimits::decode(&limits).unwrap();
    assert_eq!(limits.max_transfer_blocks, 32768);
    assert_eq!(limits.max_compare_and_write_blocks, 255);
    assert_eq!(limits.optimal_granularity_blocks, 8);
    assert_eq!(
        (limits.max_unmap_blocks, limits.max_unmap_ranges),
        (1 << 20, 256)
    );
    assert_eq!(limits.max_write_same_blocks, 32768);
    assert_eq!(limits.unmap_alignment_block, Some(0));
    assert!(limits.write_same_non_zero);
    let page = rig.good(Cdb::inquiry_vpd(vpd::PAGE_BLOCK_CHARACTERISTICS, 255), &[]);
    assert_eq!(
        BlockCharacteristics::decode(&page).unwrap().rotation_rate,
        1
    );
    let page = rig.good(Cdb::inquiry_vpd(vpd::PAGE_PROVISIONING, 255), &[]);
    let thin = Provisioning::decode(&page).unwrap();
    assert!(thin.unmap && thin.write_same_16 && thin.write_same_10 && thin.unmapped_reads_zero);
    assert!(!thin.anchor);
}

#[test]
fn capacity_in_both_forms_and_block_sizes() {
    for (block_size, exponent) in [(512, 3), (4096, 0)] {
        let rig = Rig::with(block_size, |unit| unit);
        let blocks = BLOCKS * 512 / u64::from(block_size);
        let short = Capacity::decode_10(&rig.good(Cdb::read_capacity_10(), &[]))
            .unwrap()
            .unwrap();
        assert_eq!((short.blocks, short.block_size), (blocks, block_size));
        let long = Capacity::decode_16(&rig.good(Cdb::read_capacity_16(32), &[])).unwrap();
        assert_eq!((long.blocks, long.block_size), (blocks, block_size));
        assert_eq!(long.physical_exponent, exponent);
        assert!(long.provisioned_thin && long.unmapped_reads_zero);
    }
    let rig = Rig::new();
    let address = [0x25, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    assert_eq!(rig.bad_raw(&address, &[]), INVALID_FIELD_IN_CDB);
}

/// A medium of which only the size counts.
#[derive(Debug)]
struct Huge(u64);

impl Backend for Huge {
    fn size(&self) -> u64 {
        self.0
    }
    fn read(&self, _: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0);
        Ok(())
    }
    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
    fn flush(&self, _: u64, _: u64) -> io::Result<()> {
        Err(io::Error::other("broken"))
    }
    fn discard(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }
    fn extent(&self, _: u64) -> io::Result<Extent> {
        Ok(Extent {
            len: u64::MAX,
            mapped: true,
        })
    }
    fn is_volatile(&self) -> bool {
        true
    }
}

#[test]
fn large_disks_do_not_fit_the_short_capacity() {
    let capacities = |blocks: u64| {
        let huge = Arc::new(Huge(blocks * 512));
        let unit = LogicalUnit::new(huge, 512, UnitIdentity::from_seed(7)).unwrap();
        let nexus = Nexus::new("iqn.a", [0; 6], 1);
        let ask = |cdb: Cdb| {
            let mut data_in = Vec::new();
            unit.execute(&nexus, cdb.as_bytes(), &[], &mut data_in);
            data_in
        };
        let short = Capacity::decode_10(&ask(Cdb::read_capacity_10())).unwrap();
        let long = Capacity::decode_16(&ask(Cdb::read_capacity_16(32))).unwrap();
        (short.map(|capacity| capacity.blocks), long.blocks)
    };
    assert_eq!(
        capacities((1 << 32) - 1),
        (Some((1 << 32) - 1), (1 << 32) - 1)
    );
    assert_eq!(capacities(1 << 32), (None, 1 << 32));
    assert_eq!(capacities(1 << 40), (None, 1 << 40));
}

#[test]
fn a_failing_medium_is_a_medium_error() {
    let unit = LogicalUnit::new(Arc::new(Huge(1 << 20)), 512, UnitIdentity::from_seed(7)).unwrap();
    let nexus = Nexus::new("iqn.a", [0; 6], 1);
    let code = |cdb: Cdb, data: &[u8]| {
        let result = unit.execute(&nexus, cdb.as_bytes(), data, &mut Vec::new());
        result.sense.unwrap().code()
    };
    let write = Cdb::write_10(0, 1, IoFlags::NONE);
    assert_eq!(
        code(write, &blocks(1, 0)),
        (SenseKey::DataProtect, 0x27, 0x07),
        "it is full"
    );
    let sync = Cdb::synchronize_cache_10(0, 0, false);
    assert_eq!(code(sync, &[]), (SenseKey::MediumError, 0x0c, 0x00));
}

#[test]
fn luns_are_listed_and_empty_ones_say_so() {
    let rig = Rig::new();
    let second = RamBackend::new(1 << 20).unwrap();
    let unit = LogicalUnit::new(Arc::new(second), 512, UnitIdentity::from_seed(1)).unwrap();
    rig.device.insert(300, Arc::new(unit));
    let reported = ReportedLuns::decode(&rig.good(Cdb::report_luns(0, 4096), &[])).unwrap();
    assert_eq!(reported.luns, [Lun::ZERO, Lun::from_number(300)]);
    assert_eq!(
        rig.good(Cdb::report_luns(1, 16), &[]),
        [0; 8],
        "no well known units"
    );
    assert_eq!(rig.bad(Cdb::report_luns(0, 15), &[]), INVALID_FIELD_IN_CDB);
    assert_eq!(rig.bad(Cdb::report_luns(3, 16), &[]), INVALID_FIELD_IN_CDB);

    let empty = Lun::from_number(5);
    let send = |cdb: Cdb| {
        let mut data_in = Vec::new();
        let result = rig
            .device
            .execute(&rig.a, empty, cdb.as_bytes(), &[], &mut data_in);
        (result, data_in)
    };
    assert_eq!(send(Cdb::inquiry(36)).1[0], 0x7f);
    let refused = send(Cdb::test_unit_ready()).0.sense.unwrap();
    assert_eq!(refused.code(), (SenseKey::IllegalRequest, 0x25, 0x00));
    let (result, sense) = send(Cdb::request_sense(false, 252));
    assert_eq!((result.status, sense[12]), (Status::Good, 0x25));
}

#[test]
fn a_lun_is_found_in_every_address_format() {
    let rig = Rig::new();
    assert!(
        rig.device.unit(Lun([0x40, 0, 0, 0, 0, 0, 0, 0])).is_some(),
        "flat"
    );
    assert!(
        rig.device.unit(Lun([0xd2, 0, 0, 0, 0, 0, 0, 0])).is_some(),
        "extended flat"
    );
    assert!(
        rig.device.unit(Lun([1, 0, 0, 0, 0, 0, 0, 0])).is_none(),
        "another bus"
    );
    assert!(rig.device.remove(0).is_some());
    assert!(rig.device.unit(Lun::ZERO).is_none());
}

#[test]
fn every_reported_command_can_be_asked_for() {
    let rig = Rig::new();
    let ask = |query, timeouts| {
        rig.good(
            Cdb::report_supported_operation_codes(query, timeouts, 4096),
            &[],
        )
    };
    let all = ask(OpcodeQuery::All, false);
    assert_eq!(
        all[..4],
        u32::try_from(all.len() - 4).unwrap().to_be_bytes()
    );
    for entry in all[4..].chunks_exact(8) {
        let query = match entry[5] & 0x01 {
            1 => OpcodeQuery::ServiceAction(entry[0], u16::from(entry[3])),
            _ => OpcodeQuery::Opcode(entry[0]),
        };
        let one = ask(query, false);
        assert_eq!(one[1], 3, "supported: {query:?}");
        assert_eq!(
            (one[3], one[4]),
            (entry[7], entry[0]),
            "length and usage of {query:?}"
        );
        assert_eq!(one.len(), 4 + usize::from(entry[7]));
        assert_eq!(ask(query, true).len(), one.len() + 12);
    }
    assert_eq!(
        ask(OpcodeQuery::Opcode(0xc0), false),
        [0, 1, 0, 0],
        "not supported"
    );
    let wrong = |query| rig.bad(Cdb::report_supported_operation_codes(query, false, 64), &[]);
    assert_eq!(
        wrong(OpcodeQuery::Opcode(opcode::SERVICE_ACTION_IN_16)),
        INVALID_FIELD_IN_CDB
    );
    assert_eq!(
        wrong(OpcodeQuery::ServiceAction(opcode::READ_10, 0)),
        INVALID_FIELD_IN_CDB
    );
    let unknown_action = OpcodeQuery::ServiceAction(opcode::SERVICE_ACTION_IN_16, 0x1f);
    assert_eq!(ask(unknown_action, false), [0, 1, 0, 0]);
}
