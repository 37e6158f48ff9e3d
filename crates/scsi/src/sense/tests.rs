//! Sense data against bytes typed from SPC-4 §4.5.

use super::*;

#[test]
fn fixed_format_field_by_field() {
    let bytes = [
        0xf0, 0, 0x05, 0x00, 0x00, 0x12, 0x34, 10, // valid, ILLEGAL REQUEST, INFORMATION
        0, 0, 0, 7, 0x21, 0x00, 0, 0xc8, 0x00,
        0x02, // command specific, code, CDB byte 2 bit 0
    ];
    let sense = Sense::decode(&bytes).unwrap();
    assert_eq!(sense.code(), (SenseKey::IllegalRequest, 0x21, 0x00));
    assert!(!sense.deferred);
    assert_eq!(sense.information, Some(0x1234));
    assert_eq!(sense.command_specific, Some(7));
    assert_eq!(
        sense.to_string(),
        "ILLEGAL REQUEST: LOGICAL BLOCK ADDRESS OUT OF RANGE (05/21/00), information 0x1234, \
         byte 2 of the CDB, bit 0"
    );
    assert_eq!(sense.encode_fixed(), bytes);
}

#[test]
fn descriptor_format_field_by_field() {
    let bytes = [
        0x73, 0x03, 0x11, 0x00, 0, 0, 0, 32, // deferred, MEDIUM ERROR
        0x00, 0x0a, 0x80, 0, 1, 2, 3, 4, 5, 6, 7, 8, // information
        0x01, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, // command specific
        0x02, 0x06, 0, 0, 0x80, 0x00, 0x10, 0, // sense key specific
    ];
    let sense = Sense::decode(&bytes).unwrap();
    assert!(sense.deferred);
    assert_eq!(sense.code(), (SenseKey::MediumError, 0x11, 0x00));
    assert_eq!(sense.information, Some(0x0102_0304_0506_0708));
    assert_eq!(sense.command_specific, Some(9));
    assert_eq!(sense.sense_key_specific, Some([0x80, 0, 0x10]));
    assert_eq!(sense.encode_descriptor(), bytes);
}

#[test]
fn bytes_behind_the_additional_length_do_not_count() {
    let mut bytes = [0xff; 18];
    bytes[..8].copy_from_slice(&[0x70, 0, 0x06, 0, 0, 0, 0, 6]);
    bytes[12..14].copy_from_slice(&[0x29, 0x00]);
    let sense = Sense::decode(&bytes).unwrap();
    assert_eq!(sense.code(), (SenseKey::UnitAttention, 0x29, 0x00));
    assert_eq!(sense.sense_key_specific, None);
}

#[test]
fn short_fixed_sense_keeps_its_key() {
    let sense = Sense::decode(&[0x70, 0, 0x02]).unwrap();
    assert_eq!(sense.code(), (SenseKey::NotReady, 0, 0));
    assert_eq!(Sense::decode(&[0x70, 0]), None);
    assert_eq!(Sense::decode(&[0x7f, 0, 0, 0, 0, 0, 0, 0]), None);
    assert_eq!(Sense::decode(&[]), None);
}

#[test]
fn what_does_not_fit_the_fixed_format_is_left_out() {
    let sense = Sense::new(SenseKey::MediumError, 0x11, 0).with_information(1 << 32);
    let bytes = sense.encode_fixed();
    assert_eq!(bytes[0], 0x70, "not marked valid");
    assert_eq!(bytes[3..7], [0; 4]);
}

#[test]
fn unknown_codes_are_still_printed() {
    let sense = Sense::new(SenseKey::VendorSpecific, 0x80, 0x01);
    assert_eq!(sense.to_string(), "VENDOR SPECIFIC (09/80/01)");
    let progress = Sense {
        sense_key_specific: Some([0x80, 0x80, 0x00]),
        ..Sense::new(SenseKey::NotReady, 0x04, 0x04)
    };
    assert!(
        progress
            .to_string()
            .ends_with("FORMAT IN PROGRESS (02/04/04), 50 % done")
    );
}

#[test]
fn keys_round_trip() {
    for nibble in 0..16 {
        assert_eq!(SenseKey::from_nibble(nibble).to_nibble(), nibble);
    }
}
