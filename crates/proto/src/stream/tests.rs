//! The stream parser against streams laid out by hand, and against itself under any split.

use proptest::prelude::*;

use super::*;

/// A PDU as a test wants it on the wire.
#[derive(Debug, Clone)]
struct Sent {
    opcode: u8,
    ahs: Vec<u8>,
    data: Vec<u8>,
    pad: u8,
    wrong_data_digest: bool,
}

/// CRC32C bit by bit, little-endian: shares nothing with the code under test.
fn slow_digest(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    (!crc).to_le_bytes()
}

impl Sent {
    fn new(opcode: u8, data: &[u8]) -> Self {
        Self {
            opcode,
            ahs: Vec::new(),
            data: data.to_vec(),
            pad: 0,
            wrong_data_digest: false,
        }
    }

    fn bhs(&self) -> Bhs {
        let mut bhs = [0x5a; 48];
        bhs[0] = self.opcode;
        bhs[4] = (self.ahs.len() / 4) as u8;
        bhs[5..8].copy_from_slice(&(self.data.len() as u32).to_be_bytes()[1..]);
        bhs
    }

    /// Appends the PDU with its digests.
    fn write(&self, (header_digest, data_digest): (bool, bool), wire: &mut Vec<u8>) {
        let header = [&self.bhs()[..], &self.ahs].concat();
        wire.extend_from_slice(&header);
        if header_digest {
            wire.extend_from_slice(&slow_digest(&header));
        }
        let mut data = self.data.clone();
        while !data.len().is_multiple_of(4) {
            data.push(self.pad);
        }
        wire.extend_from_slice(&data);
        if data_digest && !data.is_empty() {
            let mut digest = slow_digest(&data);
            digest[3] ^= u8::from(self.wrong_data_digest);
            wire.extend_from_slice(&digest);
        }
    }

    /// What the parser must make of it.
    fn received(&self, data_digest: bool) -> Received {
        Received {
            bhs: self.bhs(),
            ahs: self.ahs.clone(),
            data: self.data.clone(),
            digest_ok: !(self.wrong_data_digest && data_digest && !self.data.is_empty()),
        }
    }
}

/// A PDU as it came out of the parser.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Received {
    bhs: Bhs,
    ahs: Vec<u8>,
    data: Vec<u8>,
    digest_ok: bool,
}

/// Puts items together, and checks that they come in order.
#[derive(Default)]
struct Assembly {
    open: Option<Received>,
    done: Vec<Received>,
}

impl Assembly {
    /// Feeds all of `input`, but lets `in_place` bytes at most of each payload bypass the input.
    fn feed(&mut self, receiver: &mut Receiver, mut input: &[u8], in_place: usize) {
        loop {
            let missing = receiver.payload_missing().min(in_place).min(input.len());
            if missing > 0 {
                let (bytes, rest) = input.split_at(missing);
                let offset = receiver.payload_offset();
                // What is beyond the payload must not be taken.
                assert_eq!(receiver.payload_in_place(bytes), missing);
                self.data(offset, bytes);
                input = rest;
                continue;
            }
            match receiver.next(&mut input).expect("a good stream") {
                Some(item) => self.item(receiver, item),
                None => break,
            }
        }
        assert!(
            input.is_empty(),
            "all input is used up before more is asked for"
        );
    }

    fn item(&mut self, receiver: &Receiver, item: Item<'_>) {
        match item {
            Item::Header(bhs) => {
                assert!(self.open.is_none(), "a header inside a PDU");
                let length = BasicHeader::from_bhs(&bhs).data_segment_length();
                assert_eq!(receiver.payload_missing(), length as usize);
                let ahs = receiver.ahs().to_vec();
                self.open = Some(Received {
                    bhs,
                    ahs,
                    data: Vec::new(),
                    digest_ok: true,
                });
            }
            Item::Data { offset, bytes } => {
                assert!(!bytes.is_empty());
                self.data(offset, bytes);
            }
            Item::End { digest_ok } => {
                let mut pdu = self.open.take().expect("an end inside a PDU");
                pdu.digest_ok = digest_ok;
                self.done.push(pdu);
            }
        }
    }

    fn data(&mut self, offset: u32, bytes: &[u8]) {
        let pdu = self.open.as_mut().expect("data inside a PDU");
        assert_eq!(offset as usize, pdu.data.len());
        pdu.data.extend_from_slice(bytes);
    }
}

const DIGESTS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

fn receiver((header_digest, data_digest): (bool, bool)) -> Receiver {
    let mut receiver = Receiver::new(8192);
    receiver.set_digests(header_digest, data_digest);
    receiver
}

/// PDUs with every pad (with bytes that are not zero), without data, and with additional headers.
fn mixed() -> Vec<Sent> {
    let mut sent: Vec<Sent> = (0..=9)
        .map(|length| Sent {
            pad: 0xa5,
            ..Sent::new(0x25, &vec![length; usize::from(length)])
        })
        .collect();
    sent.push(Sent {
        ahs: (0..16).collect(),
        ..Sent::new(0x01, b"immediate data")
    });
    sent.push(Sent {
        ahs: vec![0xee; MAX_AHS_LENGTH],
        ..Sent::new(0x01, b"")
    });
    sent.push(Sent {
        wrong_data_digest: true,
        ..Sent::new(0x21, b"damaged")
    });
    sent.push(Sent::new(0x20, &[]));
    sent
}

fn wire(sent: &[Sent], digests: (bool, bool)) -> Vec<u8> {
    let mut wire = Vec::new();
    for pdu in sent {
        pdu.write(digests, &mut wire);
    }
    wire
}

#[test]
fn pdus_come_out_as_they_went_in_whatever_the_split() {
    let sent = mixed();
    for digests in DIGESTS {
        let wire = wire(&sent, digests);
        let expected: Vec<_> = sent.iter().map(|pdu| pdu.received(digests.1)).collect();
        for piece in [1, 2, 3, 5, 47, 48, 49, 51, 52, 53, 300, wire.len()] {
            for in_place in [0, 1, 3, usize::MAX] {
                let mut receiver = receiver(digests);
                let mut assembly = Assembly::default();
                for part in wire.chunks(piece) {
                    assembly.feed(&mut receiver, part, in_place);
                }
                assert_eq!(
                    assembly.done, expected,
                    "pieces of {piece}, digests {digests:?}"
                );
                assert!(receiver.is_between_pdus());
            }
        }
    }
}

#[test]
fn the_end_is_told_with_the_last_byte_of_the_pdu() {
    for digests in DIGESTS {
        for length in 0..=5 {
            let wire = wire(&[Sent::new(0x25, &vec![7; length])], digests);
            let mut receiver = receiver(digests);
            let mut assembly = Assembly::default();
            let (last, before) = wire.split_last().unwrap();
            assembly.feed(&mut receiver, before, 0);
            assert_eq!(assembly.done.len(), 0);
            assert!(!receiver.is_between_pdus());
            assembly.feed(&mut receiver, &[*last], 0);
            assert_eq!(assembly.done.len(), 1);
        }
    }
}

#[test]
fn payload_in_place_takes_no_more_than_the_payload() {
    let wire = wire(&[Sent::new(0x25, b"12345")], (false, true));
    let mut receiver = receiver((false, true));
    let mut input = &wire[..48];
    assert!(matches!(
        receiver.next(&mut input),
        Ok(Some(Item::Header(_)))
    ));
    assert_eq!(receiver.next(&mut input), Ok(None));
    assert_eq!(receiver.payload_in_place(b"12"), 2);
    assert_eq!(
        (receiver.payload_missing(), receiver.payload_offset()),
        (3, 2)
    );
    assert_eq!(receiver.payload_in_place(b"345 and more"), 3);
    assert_eq!(
        (receiver.payload_missing(), receiver.payload_offset()),
        (0, 0)
    );
    assert_eq!(receiver.payload_in_place(b"nothing"), 0);
    let mut input = &wire[53..];
    assert_eq!(
        receiver.next(&mut input),
        Ok(Some(Item::End { digest_ok: true }))
    );
    assert_eq!(receiver.payload_in_place(b"nothing"), 0);
}

#[test]
fn data_read_in_place_is_judged_by_its_digest_too() {
    let wire = wire(&[Sent::new(0x25, b"1234")], (false, true));
    let mut receiver = receiver((false, true));
    let mut input = &wire[..48];
    assert!(matches!(
        receiver.next(&mut input),
        Ok(Some(Item::Header(_)))
    ));
    assert_eq!(receiver.payload_in_place(b"1235"), 4);
    let mut input = &wire[52..];
    assert_eq!(
        receiver.next(&mut input),
        Ok(Some(Item::End { digest_ok: false }))
    );
}

/// RFC 7143 §11.2.3: the data digest covers the padding.
#[test]
fn a_damaged_pad_is_a_damaged_digest() {
    let mut wire = wire(&[Sent::new(0x25, b"123")], (false, true));
    wire[51] ^= 0x10;
    let mut assembly = Assembly::default();
    assembly.feed(&mut receiver((false, true)), &wire, 0);
    assert!(!assembly.done[0].digest_ok);
}

/// The final Login Response carries no digest; what follows it in the same read does.
#[test]
fn digests_begin_with_the_next_header() {
    let mut wire = wire(&[Sent::new(0x23, b"key=value\0")], (false, false));
    let login = wire.len();
    Sent::new(0x25, b"data").write((true, true), &mut wire);
    for switch_at_header in [true, false] {
        let mut receiver = Receiver::new(8192);
        let mut assembly = Assembly::default();
        let mut input = &wire[..];
        while let Some(item) = receiver.next(&mut input).unwrap() {
            if matches!(item, Item::Header(_)) == switch_at_header && assembly.done.is_empty() {
                receiver.set_digests(true, true);
            }
            assembly.item(&receiver, item);
        }
        assert_eq!(assembly.done.len(), 2, "the login is {login} bytes");
        assert!(assembly.done.iter().all(|pdu| pdu.digest_ok));
    }
}

#[test]
fn a_wrong_header_digest_is_fatal() {
    let mut bytes = wire(
        &[Sent {
            ahs: vec![1; 8],
            ..Sent::new(0x01, b"abcd")
        }],
        (true, false),
    );
    let digest = [bytes[56], bytes[57], bytes[58], bytes[59]];
    bytes[20] ^= 0x01;
    let computed = slow_digest(&bytes[..56]);
    let offence = Offence::HeaderDigest {
        received: digest,
        computed,
        opcode: 0x01,
    };
    let plain = wire(&[Sent::new(0x20, b"")], (true, false));
    let fatal = |bytes: &[u8], piece: usize| {
        let mut receiver = receiver((true, false));
        let mut last = Ok(None);
        for mut part in bytes.chunks(piece) {
            last = receiver.next(&mut part);
        }
        // Once unusable, always unusable.
        assert_eq!(receiver.next(&mut &plain[..]), last);
        last.unwrap_err()
    };
    assert_eq!(fatal(&bytes[..60], 60), offence);
    assert_eq!(fatal(&bytes[..60], 7), offence);
    let mut bytes = plain.clone();
    bytes[51] ^= 0x80;
    assert!(matches!(
        fatal(&bytes, 52),
        Offence::HeaderDigest { opcode: 0x20, .. }
    ));
}

#[test]
fn a_wrong_header_digest_may_be_skipped_but_not_twice_in_a_row() {
    let sent = mixed();
    let first = wire(&sent[..1], (true, true));
    let mut spoilt = first.clone();
    spoilt[20] ^= 1;
    for piece in [1, 7, 1000] {
        let mut receiver = receiver((true, true));
        receiver.set_skip_bad_headers(true);
        let stream = [&spoilt[..], &first, &spoilt, &spoilt].concat();
        let (mut bad, mut fatal) = (Vec::new(), None);
        for part in stream.chunks(piece) {
            let mut input = part;
            loop {
                match receiver.next(&mut input) {
                    Ok(Some(Item::Header(_))) => bad.push(receiver.header_is_bad()),
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(offence) => {
                        fatal = Some(offence);
                        break;
                    }
                }
            }
        }
        assert_eq!(bad, [true, false, true], "in pieces of {piece}");
        assert!(matches!(fatal, Some(Offence::HeaderDigest { .. })));
    }
}

#[test]
fn a_data_segment_above_our_limit_is_refused() {
    let mut receiver = Receiver::new(512);
    let at_the_limit = wire(&[Sent::new(0x25, &[0; 512])], (false, false));
    Assembly::default().feed(&mut receiver, &at_the_limit, 0);
    let above = wire(&[Sent::new(0x25, &[0; 513])], (false, false));
    let offence = Offence::DataSegmentTooLong {
        length: 513,
        limit: 512,
        opcode: 0x25,
    };
    assert_eq!(receiver.next(&mut &above[..]), Err(offence));
    let mut receiver = Receiver::new(512);
    receiver.set_max_recv_data_segment_length(513);
    Assembly::default().feed(&mut receiver, &above, 0);
}

/// A damaged length must be told as what it is: a damaged header.
#[test]
fn the_header_digest_is_judged_before_the_length() {
    let mut bytes = wire(&[Sent::new(0x25, b"abcd")], (true, false));
    bytes[5] = 0xff;
    let error = receiver((true, false)).next(&mut &bytes[..]).unwrap_err();
    assert!(matches!(error, Offence::HeaderDigest { .. }), "{error}");
}

#[test]
fn additional_headers_beyond_any_command_are_refused() {
    let ahs = vec![0; MAX_AHS_LENGTH + 4];
    let bytes = wire(
        &[Sent {
            ahs,
            ..Sent::new(0x41, b"")
        }],
        (false, false),
    );
    let offence = Offence::AhsTooLong {
        length: 260,
        opcode: 0x41,
    };
    assert_eq!(Receiver::new(0).next(&mut &bytes[..]), Err(offence));
}

fn any_pdu() -> impl Strategy<Value = Sent> {
    (
        any::<u8>(),
        0..=64_usize,
        proptest::collection::vec(any::<u8>(), 0..600),
        any::<u8>(),
        proptest::bool::weighted(0.2),
        any::<bool>(),
    )
        .prop_map(
            |(opcode, words, data, pad, wrong_data_digest, has_ahs)| Sent {
                opcode,
                ahs: vec![pad ^ 0xff; if has_ahs { words * 4 } else { 0 }],
                data,
                pad,
                wrong_data_digest,
            },
        )
}

proptest! {
    #[test]
    fn any_pdus_survive_any_split(
        sent in proptest::collection::vec(any_pdu(), 1..12),
        digests in any::<(bool, bool)>(),
        pieces in proptest::collection::vec((1..700_usize, 0..300_usize), 1..40),
    ) {
        let wire = wire(&sent, digests);
        let mut whole = Assembly::default();
        whole.feed(&mut receiver(digests), &wire, 0);
        let expected: Vec<_> = sent.iter().map(|pdu| pdu.received(digests.1)).collect();
        prop_assert_eq!(&whole.done, &expected);

        let mut receiver = receiver(digests);
        let mut split = Assembly::default();
        let mut rest = &wire[..];
        for (piece, in_place) in pieces.into_iter().cycle() {
            let (part, behind) = rest.split_at(piece.min(rest.len()));
            split.feed(&mut receiver, part, in_place);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(split.done, expected);
    }

    /// Noise gives items or an offence, uses up its input and never panics.
    #[test]
    fn noise_is_parsed_or_refused(
        noise in proptest::collection::vec(any::<u8>(), 0..4000),
        digests in any::<(bool, bool)>(),
        limit in prop::sample::select(vec![0, 512, 1 << 24]),
    ) {
        let mut receiver = Receiver::new(limit);
        receiver.set_digests(digests.0, digests.1);
        let mut input = &noise[..];
        // Every PDU takes at least 48 bytes and gives at most three items here.
        let most_items = 3 * (noise.len() / 48 + 1);
        let mut items = 0;
        while let Ok(Some(_)) = receiver.next(&mut input) {
            items += 1;
            prop_assert!(items <= most_items);
        }
    }
}
