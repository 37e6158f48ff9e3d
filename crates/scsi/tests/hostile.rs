//! No bytes of a device may bring a decoder down, and what it gives stays within its bounds.

use hawser_scsi::identity::MAX_TEXT_LEN;
use hawser_scsi::mode::ModeParameters;
use hawser_scsi::report_luns::MAX_LUNS;
use hawser_scsi::vpd::{self, BlockCharacteristics, BlockLimits, Provisioning};
use hawser_scsi::{Capacity, DiskIdentity, Inquiry, Lun, ReportedLuns, Sense, Status};
use proptest::collection::vec;
use proptest::prelude::*;

/// Random bytes that start like an answer, so that more than the first check is reached.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let page = prop::sample::select(vec![0x00u8, 0x80, 0x83, 0xb0, 0xb1, 0xb2, 0x70, 0x72]);
    (page, vec(any::<u8>(), 0..300), any::<bool>()).prop_map(|(page, mut bytes, tamed)| {
        if let Some(code) = bytes.get_mut(1).filter(|_| tamed) {
            *code = page;
        }
        if let Some(first) = bytes.first_mut().filter(|_| page >= 0x70 && tamed) {
            *first = page;
        }
        bytes
    })
}

fn printable(text: &str) -> bool {
    text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

proptest! {
    #[test]
    fn answers_never_panic(bytes in answer()) {
        let _ = Capacity::decode_10(&bytes);
        let _ = Capacity::decode_16(&bytes);
        let _ = ModeParameters::decode_6(&bytes);
        let _ = ModeParameters::decode_10(&bytes);
        let _ = vpd::decode_supported_pages(&bytes);
        let _ = BlockLimits::decode(&bytes);
        let _ = BlockCharacteristics::decode(&bytes);
        let _ = Provisioning::decode(&bytes);
        if let Ok(inquiry) = Inquiry::decode(&bytes) {
            prop_assert!(printable(&inquiry.vendor) && printable(&inquiry.product));
        }
        if let Ok(reported) = ReportedLuns::decode(&bytes) {
            prop_assert!(reported.luns.len() <= MAX_LUNS);
        }
    }

    #[test]
    fn identities_are_safe_names(page in answer(), serial in vec(any::<u8>(), 0..300)) {
        let designators = vpd::decode_device_id(&page).unwrap_or_default();
        if let Some(identity) = DiskIdentity::choose(&designators, Some(&serial)) {
            let text = identity.as_str();
            prop_assert!(text.len() <= MAX_TEXT_LEN);
            prop_assert!(!text.contains(['/', '\0', ' ', '\\']) && printable(text));
            prop_assert_eq!(text.parse(), Ok(identity.clone()));
        }
    }

    #[test]
    fn sense_never_panics_and_prints(bytes in answer()) {
        if let Some(sense) = Sense::decode(&bytes) {
            prop_assert!(printable(&sense.to_string()));
            let again = Sense::decode(&sense.encode_descriptor());
            prop_assert_eq!(again, Some(sense));
        }
    }

    #[test]
    fn luns_keep_their_bytes_through_text(bytes in any::<[u8; 8]>()) {
        let lun = Lun(bytes);
        prop_assert_eq!(lun.to_string().parse(), Ok(lun));
    }

    #[test]
    fn luns_of_numbers_keep_their_order(a in any::<u32>(), b in any::<u32>()) {
        prop_assert_eq!(a.cmp(&b), Lun::from_number(a).cmp(&Lun::from_number(b)));
        prop_assert_eq!(Lun::from_number(a).number(), Some(u64::from(a)));
    }

    #[test]
    fn statuses_keep_their_byte(byte in any::<u8>()) {
        prop_assert_eq!(Status::from_byte(byte).to_byte(), byte);
    }
}
