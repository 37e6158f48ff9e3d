//! Any bytes in any split, as a stream of PDUs: what is found must not depend on the split, and no header
//! may break a parser of either role.
//!
//! Input: one byte of switches, one byte that seeds the split, then the stream. With a digest switched on,
//! the right digests are put into the stream, because chance would never guess them.
#![no_main]

use hawser_proto::digest::wire_digest;
use hawser_proto::pdu::{FromInitiator, FromTarget};
use hawser_proto::stream::{Item, Offence, Receiver};
use libfuzzer_sys::fuzz_target;

/// RFC 7143 section 11.2: basic header segment.
const BASIC_HEADER: usize = 48;
const HEADER_DIGEST: u8 = 1;
const DATA_DIGEST: u8 = 2;
/// Leaves the stream as it is even with digests on: they are wrong then.
const WRONG_DIGESTS: u8 = 4;
/// Takes payload without passing it through the parser.
const IN_PLACE: u8 = 8;
/// The smallest legal MaxRecvDataSegmentLength.
const MAX_DATA_SEGMENT: u32 = 512;

/// All that a stream was found to hold: runs of payload joined.
#[derive(Debug, Default, PartialEq)]
struct Found {
    headers: Vec<[u8; BASIC_HEADER]>,
    additional: Vec<Vec<u8>>,
    payload: Vec<u8>,
    ends: Vec<bool>,
    offence: Option<Offence>,
}

fuzz_target!(|data: &[u8]| {
    let [switches, seed, stream @ ..] = data else {
        return;
    };
    let mut stream = stream.to_vec();
    if switches & WRONG_DIGESTS == 0 {
        stream = with_digests(&stream, *switches);
    }
    let whole = receive(&stream, *switches & !IN_PLACE, 0);
    let split = receive(&stream, *switches, *seed);
    assert_eq!(whole, split);
});

/// Puts the digests that `switches` ask for where a parser will look for them.
fn with_digests(stream: &[u8], switches: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = stream;
    while rest.len() >= BASIC_HEADER {
        let header = BASIC_HEADER + usize::from(rest[4]) * 4;
        let data = usize::from(rest[5]) << 16 | usize::from(rest[6]) << 8 | usize::from(rest[7]);
        let padded = data.next_multiple_of(4);
        if rest.len() < header + padded {
            break;
        }
        out.extend_from_slice(&rest[..header]);
        if switches & HEADER_DIGEST != 0 {
            out.extend(wire_digest(&rest[..header]));
        }
        let segment = &rest[header..header + padded];
        out.extend_from_slice(segment);
        if switches & DATA_DIGEST != 0 && data != 0 {
            out.extend(wire_digest(segment));
        }
        rest = &rest[header + padded..];
    }
    out.extend_from_slice(rest);
    out
}

/// Feeds the stream in pieces whose lengths come from `seed`; 0 feeds it whole.
fn receive(stream: &[u8], switches: u8, seed: u8) -> Found {
    let mut receiver = Receiver::new(MAX_DATA_SEGMENT);
    receiver.set_digests(switches & HEADER_DIGEST != 0, switches & DATA_DIGEST != 0);
    let mut found = Found::default();
    let mut rest = stream;
    let mut state = u32::from(seed);
    while !rest.is_empty() && found.offence.is_none() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = if seed == 0 {
            rest.len()
        } else {
            1 + (state >> 24) as usize
        };
        let (piece, later) = rest.split_at(length.min(rest.len()));
        rest = later;
        take(&mut receiver, piece, switches & IN_PLACE != 0, &mut found);
    }
    found
}

fn take(receiver: &mut Receiver, mut piece: &[u8], in_place: bool, found: &mut Found) {
    loop {
        if in_place && receiver.payload_missing() > 0 {
            let taken = receiver.payload_in_place(piece);
            assert!(taken <= piece.len());
            found.payload.extend_from_slice(&piece[..taken]);
            piece = &piece[taken..];
        }
        match receiver.next(&mut piece) {
            Ok(None) => break,
            Ok(Some(item)) => note(receiver, item, found),
            Err(offence) => {
                assert_eq!(receiver.next(&mut piece).unwrap_err(), offence);
                found.offence = Some(offence);
                break;
            }
        }
    }
    assert!(found.offence.is_some() || piece.is_empty());
}

fn note(receiver: &Receiver, item: Item<'_>, found: &mut Found) {
    match item {
        Item::Header(bhs) => {
            // What they say is free; that they say something is the point.
            let _ = FromTarget::parse(&bhs);
            let _ = FromInitiator::parse(&bhs);
            found.headers.push(bhs);
            found.additional.push(receiver.ahs().to_vec());
        }
        Item::Data { bytes, .. } => found.payload.extend_from_slice(bytes),
        Item::End { digest_ok } => found.ends.push(digest_ok),
    }
}
