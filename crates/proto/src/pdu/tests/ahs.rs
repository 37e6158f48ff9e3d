//! Additional headers against RFC 7143 §11.2.2, byte by byte.

use super::super::Malformed;
use super::super::ahs::{AdditionalHeaders, MAX_AHS_LENGTH, MAX_CDB_LENGTH};

use proptest::prelude::*;

#[track_caller]
fn offence(bytes: &[u8], offence: Malformed) {
    assert_eq!(AdditionalHeaders::parse(bytes), Err(offence));
}

#[test]
fn a_32_byte_cdb_and_a_read_length() {
    let rest: Vec<u8> = (0x10..0x20).collect();
    let headers = AdditionalHeaders {
        extended_cdb: Some(&rest),
        bidi_read_length: Some(0x0102_0304),
    };
    let mut bytes = Vec::new();
    headers.encode(&mut bytes);
    // AHSLength of the CDB is 32 - 15.
    let golden = [
        0x00, 0x11, 0x01, 0x00, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a,
        0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x00, 0x05, 0x02, 0x00, 0x01, 0x02, 0x03, 0x04,
    ];
    assert_eq!(bytes, golden);
    assert_eq!(AdditionalHeaders::parse(&golden), Ok(headers));
}

#[test]
fn a_17_byte_cdb_is_padded() {
    let headers = AdditionalHeaders {
        extended_cdb: Some(&[0xee]),
        bidi_read_length: None,
    };
    let mut bytes = Vec::new();
    headers.encode(&mut bytes);
    assert_eq!(bytes, [0x00, 0x02, 0x01, 0x00, 0xee, 0x00, 0x00, 0x00]);
    // Neither padding, nor the reserved byte, nor the reserved bits of the type matter.
    let odd = [0x00, 0x02, 0xc1, 0xff, 0xee, 0xff, 0xff, 0xff];
    assert_eq!(AdditionalHeaders::parse(&odd), Ok(headers));
}

#[test]
fn nothing_is_nothing() {
    assert_eq!(
        AdditionalHeaders::parse(&[]),
        Ok(AdditionalHeaders::default())
    );
    let mut bytes = Vec::new();
    AdditionalHeaders {
        extended_cdb: Some(&[]),
        bidi_read_length: None,
    }
    .encode(&mut bytes);
    assert_eq!(bytes, []);
}

#[test]
fn the_longest_cdb_fits() {
    let rest = [0x5a; MAX_CDB_LENGTH - 16];
    let headers = AdditionalHeaders {
        extended_cdb: Some(&rest),
        bidi_read_length: Some(1),
    };
    let mut bytes = Vec::new();
    headers.encode(&mut bytes);
    assert_eq!(bytes.len(), MAX_AHS_LENGTH);
    assert_eq!(AdditionalHeaders::parse(&bytes), Ok(headers));
}

#[test]
fn reserved_types() {
    offence(&[0, 1, 0, 0], Malformed::ReservedAhsType(0));
    offence(&[0, 1, 3, 0], Malformed::ReservedAhsType(3));
    offence(&[0, 1, 0x7f, 0], Malformed::ReservedAhsType(0x3f));
}

#[test]
fn wrong_lengths() {
    let wrong = |kind, length| Malformed::AhsLength { kind, length };
    // No room for the reserved byte; a CDB that needs no additional header.
    offence(&[0, 0, 1, 0], wrong(1, 0));
    offence(&[0, 1, 1, 0], wrong(1, 1));
    // Longer than what is there, without and with its padding.
    offence(&[0, 2, 1, 0], wrong(1, 2));
    offence(&[0, 2, 1, 0, 9], wrong(1, 2));
    offence(&[0xff, 0xff, 1, 0, 9, 9, 9, 9], wrong(1, 0xffff));
    // A CDB longer than any.
    let mut long = vec![0x00, 0xf6, 0x01, 0x00];
    long.resize(4 + 248, 0);
    offence(&long, wrong(1, 246));
    // A read length has five bytes.
    offence(&[0, 4, 2, 0, 0, 0, 0, 0], wrong(2, 4));
    offence(&[0, 6, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0], wrong(2, 6));
}

#[test]
fn the_same_type_twice() {
    let read_length = [0, 5, 2, 0, 0, 0, 0, 1];
    offence(&read_length.repeat(2), Malformed::AhsTwice(2));
    offence(&[0, 2, 1, 0, 9, 0, 0, 0].repeat(2), Malformed::AhsTwice(1));
}

#[test]
fn stray_bytes() {
    offence(&[0, 5, 2, 0, 0, 0, 0, 1, 0, 0], Malformed::AhsStrayBytes(2));
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(
        cdb in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..=244)),
        bidi_read_length in any::<Option<u32>>(),
    ) {
        let headers = AdditionalHeaders { extended_cdb: cdb.as_deref(), bidi_read_length };
        let mut bytes = Vec::new();
        headers.encode(&mut bytes);
        prop_assert!(bytes.len() % 4 == 0 && bytes.len() <= MAX_AHS_LENGTH);
        prop_assert_eq!(AdditionalHeaders::parse(&bytes), Ok(headers));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(headers) = AdditionalHeaders::parse(&bytes) {
            prop_assert!(headers.extended_cdb.is_none_or(|cdb| (1..=244).contains(&cdb.len())));
        }
    }
}
