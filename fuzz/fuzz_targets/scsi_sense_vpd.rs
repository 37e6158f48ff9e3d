//! Any bytes as an answer of a disk: sense data, INQUIRY data, each VPD page, capacities, LUN lists, mode
//! parameters. Nothing may break, and no answer may become larger than its bytes can tell.
#![no_main]

use hawser_scsi::mode::ModeParameters;
use hawser_scsi::vpd::{
    BlockCharacteristics, BlockLimits, Provisioning, decode_device_id, decode_serial,
    decode_supported_pages,
};
use hawser_scsi::{Capacity, DiskIdentity, Inquiry, Lun, ReportedLuns, Sense};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    sense(data);
    pages(data);
    let _ = Inquiry::decode(data);
    let _ = Capacity::decode_10(data);
    let _ = Capacity::decode_16(data);
    let _ = ModeParameters::decode_6(data);
    let _ = ModeParameters::decode_10(data);
    if let Ok(reported) = ReportedLuns::decode(data) {
        assert!(reported.luns.len() * 8 <= data.len());
    }
    if let Some(bytes) = data.first_chunk::<8>() {
        lun(Lun(*bytes));
    }
});

/// What was understood can be written in either format and means the same again.
fn sense(data: &[u8]) {
    let Some(sense) = Sense::decode(data) else {
        return;
    };
    let _ = (sense.text(), sense.to_string());
    for written in [sense.encode_fixed().to_vec(), sense.encode_descriptor()] {
        let again = Sense::decode(&written).expect("our own sense data");
        assert_eq!(
            (again.key, again.asc, again.ascq),
            (sense.key, sense.asc, sense.ascq)
        );
    }
}

fn pages(data: &[u8]) {
    if let Ok(pages) = decode_supported_pages(data) {
        assert!(pages.len() <= data.len());
    }
    let serial = decode_serial(data).ok();
    let designators = decode_device_id(data).unwrap_or_default();
    for designator in &designators {
        assert!(designator.bytes.len() <= data.len());
        let _ = designator.text();
    }
    if let Some(identity) = DiskIdentity::choose(&designators, serial) {
        let again = identity.as_str().parse::<DiskIdentity>();
        assert_eq!(again.as_ref(), Ok(&identity));
    }
    let _ = BlockLimits::decode(data);
    let _ = BlockCharacteristics::decode(data);
    let _ = Provisioning::decode(data);
}

/// A LUN that is written down can be read again.
fn lun(lun: Lun) {
    assert_eq!(lun.to_string().parse::<Lun>(), Ok(lun));
    let _ = lun.number();
}
