//! INQUIRY: the standard data and the pages of vital product data (SPC-4 §6.6, §7.8; SBC-3 §6.6).

use hawser_scsi::{Status, vpd};

use super::super::identity::padded;
use super::super::refusal::Refusal;
use super::super::task::Task;
use super::super::unit::LogicalUnit;
use super::{atomic, provisioning};

/// Version of SPC that we follow: SPC-4.
const VERSION_SPC_4: u8 = 0x06;
/// SAM-5, iSCSI, SPC-4, SBC-3 without a claim to a version (SPC-4 table 144).
const VERSION_DESCRIPTORS: [u16; 4] = [0x00a0, 0x0960, 0x0460, 0x04c0];
/// The pages that we have, in order.
const PAGES: [u8; 6] = [
    vpd::PAGE_SUPPORTED,
    vpd::PAGE_SERIAL,
    vpd::PAGE_DEVICE_ID,
    vpd::PAGE_BLOCK_LIMITS,
    vpd::PAGE_BLOCK_CHARACTERISTICS,
    vpd::PAGE_PROVISIONING,
];
/// Bytes of a block limits page body.
const BLOCK_LIMITS_LEN: usize = 60;
/// Reads and writes above this many bytes gain nothing.
const OPTIMAL_TRANSFER_BYTES: u32 = 1 << 20;
/// Bytes that the backends allocate and like to write as one.
const GRANULARITY_BYTES: u32 = 4096;

/// INQUIRY.
pub(super) fn inquiry(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let page = task.byte(2);
    let bytes = match (task.bit(1, 0), page) {
        (true, vpd::PAGE_SUPPORTED) => with_header(page, &PAGES),
        (true, vpd::PAGE_SERIAL) => with_header(page, unit.identity.serial().as_bytes()),
        (true, vpd::PAGE_DEVICE_ID) => with_header(page, &device_id(unit, task)),
        (true, vpd::PAGE_BLOCK_LIMITS) => with_header(page, &block_limits(unit)),
        (true, vpd::PAGE_BLOCK_CHARACTERISTICS) => with_header(page, &block_characteristics()),
        // LBPU, LBPWS, LBPWS10, LBPRZ; thin.
        (true, vpd::PAGE_PROVISIONING) => with_header(page, &[0, 0xe4, 0x02, 0]),
        (false, 0) => standard(unit).to_vec(),
        _ => return Err(Refusal::cdb_field(2)),
    };
    task.answer(&bytes, task.number(3, 2));
    Ok(Status::Good)
}

fn standard(unit: &LogicalUnit) -> [u8; 96] {
    let mut bytes = [0; 96];
    // HISUP and response data format 2; CMDQUE.
    bytes[..8].copy_from_slice(&[0, 0, VERSION_SPC_4, 0x12, 91, 0, 0, 0x02]);
    bytes[8..16].copy_from_slice(&padded::<8>(&unit.identity.vendor));
    bytes[16..32].copy_from_slice(&padded::<16>(&unit.identity.product));
    bytes[32..36].copy_from_slice(&padded::<4>(&unit.identity.revision));
    let descriptors = VERSION_DESCRIPTORS
        .iter()
        .flat_map(|version| version.to_be_bytes());
    bytes
        .iter_mut()
        .skip(58)
        .zip(descriptors)
        .for_each(|(to, from)| *to = from);
    bytes
}

fn with_header(page: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, page];
    bytes.extend_from_slice(&u16::try_from(body.len()).unwrap_or(0).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Page 83h: who the unit is (NAA, T10 vendor), and which port was asked.
fn device_id(unit: &LogicalUnit, task: &Task<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    designator(&mut body, 0x01, 0x03, unit.identity.naa());
    let mut t10 = padded::<8>(&unit.identity.vendor).to_vec();
    t10.extend_from_slice(unit.identity.serial().as_bytes());
    designator(&mut body, 0x02, 0x01, &t10);
    // Protocol iSCSI, PIV, associated with the target port: relative port, port group.
    let [high, low] = task.nexus.portal_group().to_be_bytes();
    designator(&mut body, 0x51, 0x94, &[0, 0, high, low]);
    body
}

fn designator(body: &mut Vec<u8>, code_set: u8, kind: u8, bytes: &[u8]) {
    body.extend_from_slice(&[code_set, kind, 0, u8::try_from(bytes.len()).unwrap_or(0)]);
    body.extend_from_slice(bytes);
}

/// Page B0h (SBC-3 §6.6.3).
fn block_limits(unit: &LogicalUnit) -> [u8; BLOCK_LIMITS_LEN] {
    let blocks = |bytes: u64| {
        let count = bytes / u64::from(unit.block_size());
        u32::try_from(count)
            .unwrap_or(u32::MAX)
            .max(1)
            .to_be_bytes()
    };
    let granularity = blocks(u64::from(GRANULARITY_BYTES));
    let mut page = [0; BLOCK_LIMITS_LEN];
    page[0] = 0x01; // WSNZ
    page[1] = atomic::MAX_COMPARE_BLOCKS;
    page[2..4].copy_from_slice(&[granularity[2], granularity[3]]);
    page[4..8].copy_from_slice(&blocks(super::super::MAX_TRANSFER_BYTES));
    page[8..12].copy_from_slice(&blocks(u64::from(OPTIMAL_TRANSFER_BYTES)));
    page[16..20].copy_from_slice(&provisioning::MAX_UNMAP_BLOCKS.to_be_bytes());
    page[20..24].copy_from_slice(&provisioning::MAX_UNMAP_RANGES.to_be_bytes());
    page[24..28].copy_from_slice(&granularity);
    page[28] = 0x80; // UGAVALID, alignment 0
    page[36..40].copy_from_slice(&blocks(provisioning::MAX_WRITE_SAME_BYTES));
    page[40..44].copy_from_slice(&blocks(atomic::MAX_ATOMIC_BYTES));
    page
}

/// Page B1h: does not rotate; thin media have no form factor.
const fn block_characteristics() -> [u8; 60] {
    let mut body = [0; 60];
    body[1] = 0x01;
    body
}
