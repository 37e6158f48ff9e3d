//! The device server from outside: a device with two disks and two nexuses, commands in, answers
//! out.

use std::sync::Arc;

use hawser_scsi::{Cdb, Lun, SenseKey, Status};

use super::{CommandResult, Device, LogicalUnit, Nexus, RamBackend, UnitIdentity, VolatileCache};

mod attentions;
mod hostile;
mod inquiry;
mod modes;
mod provisioning;
mod reservations;
mod transfers;

const BLOCK: usize = 512;
/// Blocks of the rig's disk: 1 MiB.
const BLOCKS: u64 = 2048;

type Code = (SenseKey, u8, u8);
const OUT_OF_RANGE: Code = (SenseKey::IllegalRequest, 0x21, 0x00);
const INVALID_FIELD_IN_CDB: Code = (SenseKey::IllegalRequest, 0x24, 0x00);
const INVALID_FIELD_IN_LIST: Code = (SenseKey::IllegalRequest, 0x26, 0x00);
const WRITE_PROTECTED: Code = (SenseKey::DataProtect, 0x27, 0x00);
const MISCOMPARE: Code = (SenseKey::Miscompare, 0x1d, 0x00);

/// A device with a disk at LUN 0, and two nexuses that have heard all news.
struct Rig {
    device: Device,
    medium: Arc<VolatileCache<RamBackend>>,
    a: Nexus,
    b: Nexus,
}

impl Rig {
    fn new() -> Self {
        Self::with(512, |unit| unit)
    }

    fn with(block_size: u32, change: impl FnOnce(LogicalUnit) -> LogicalUnit) -> Self {
        let ram = RamBackend::new(BLOCKS * BLOCK as u64).unwrap();
        let medium = Arc::new(VolatileCache::new(ram));
        let identity = UnitIdentity::from_key("iqn.2026-01.example:disk,0");
        let unit = LogicalUnit::new(Arc::clone(&medium) as _, block_size, identity).unwrap();
        let device = Device::new();
        device.insert(0, Arc::new(change(unit)));
        let a = Nexus::new("iqn.2026-01.example:a", [0x80, 0, 0, 0, 0, 1], 1);
        let b = Nexus::new("iqn.2026-01.example:b", [0x80, 0, 0, 0, 0, 2], 1);
        let rig = Self {
            device,
            medium,
            a,
            b,
        };
        for nexus in [&rig.a, &rig.b] {
            rig.device.nexus_started(nexus);
            rig.hear(nexus);
        }
        rig
    }

    /// Lets a nexus hear all its news.
    fn hear(&self, nexus: &Nexus) {
        while self
            .send_as(nexus, Cdb::test_unit_ready(), &[])
            .0
            .sense
            .is_some()
        {}
    }

    fn send_as(&self, nexus: &Nexus, cdb: Cdb, data_out: &[u8]) -> (CommandResult, Vec<u8>) {
        let mut data_in = vec![0xdd; 3];
        let lun = Lun::ZERO;
        let result = self
            .device
            .execute(nexus, lun, cdb.as_bytes(), data_out, &mut data_in);
        (result, data_in)
    }

    fn send(&self, cdb: Cdb, data_out: &[u8]) -> (CommandResult, Vec<u8>) {
        self.send_as(&self.a, cdb, data_out)
    }

    /// The command ends with GOOD; gives its data in.
    fn good(&self, cdb: Cdb, data_out: &[u8]) -> Vec<u8> {
        let (result, data_in) = self.send(cdb, data_out);
        assert_eq!((result.status, result.sense), (Status::Good, None), "{cdb}");
        data_in
    }

    /// The command ends with CHECK CONDITION; gives its sense code.
    fn bad(&self, cdb: Cdb, data_out: &[u8]) -> Code {
        let (result, data_in) = self.send(cdb, data_out);
        assert_eq!(result.status, Status::CheckCondition, "{cdb}");
        assert!(data_in.is_empty(), "{cdb}");
        assert_eq!(result.transfer_length, None, "{cdb}");
        result.sense.unwrap().code()
    }

    fn raw(&self, bytes: &[u8], data_out: &[u8]) -> Vec<u8> {
        self.good(Cdb::from_bytes(bytes).unwrap(), data_out)
    }

    fn bad_raw(&self, bytes: &[u8], data_out: &[u8]) -> Code {
        self.bad(Cdb::from_bytes(bytes).unwrap(), data_out)
    }
}

/// `count` blocks of `byte`.
fn blocks(count: usize, byte: u8) -> Vec<u8> {
    vec![byte; count * BLOCK]
}
