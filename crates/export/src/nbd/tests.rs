//! The protocol without sockets, against numbers typed from `proto.md`.

use hawser_block::{BlockError, ErrorKind, Geometry, Operation};
use proptest::prelude::*;

use super::*;

const NBDMAGIC_IHAVEOPT: &[u8; 16] = b"NBDMAGICIHAVEOPT";
const OPT_EXPORT_NAME: u32 = 1;
const OPT_ABORT: u32 = 2;
const OPT_LIST: u32 = 3;
const OPT_STARTTLS: u32 = 5;
const OPT_INFO: u32 = 6;
const OPT_GO: u32 = 7;
const OPT_STRUCTURED_REPLY: u32 = 8;
const OPT_LIST_META_CONTEXT: u32 = 9;
const OPT_SET_META_CONTEXT: u32 = 10;
const REP_ACK: u32 = 1;
const REP_SERVER: u32 = 2;
const REP_INFO: u32 = 3;
const REP_ERR_UNSUP: u32 = 0x8000_0001;
const REP_ERR_INVALID: u32 = 0x8000_0003;
const REP_ERR_UNKNOWN: u32 = 0x8000_0006;
/// HAS_FLAGS, SEND_FLUSH, SEND_FUA, SEND_TRIM, SEND_WRITE_ZEROES, CAN_MULTI_CONN, SEND_FAST_ZERO.
const WRITABLE_FLAGS: u16 = 1 | 4 | 8 | 32 | 64 | 256 | 2048;
const FLAG_SEND_DF: u16 = 128;

fn geometry() -> Geometry {
    Geometry {
        size: 1 << 20,
        block_size: 512,
        physical_block_size: 8192,
        optimal_transfer: 0,
        read_only: false,
        can_discard: true,
        can_write_zeroes: true,
        volatile_cache: true,
    }
}

fn handshake(geometry: Geometry) -> Handshake {
    let info = ExportInfo {
        name: "disk one".into(),
        description: "a test".into(),
    };
    let mut handshake = Handshake::new(info, geometry);
    let greeting = handshake.poll_transmit().unwrap();
    assert_eq!(greeting, [&NBDMAGIC_IHAVEOPT[..], &[0, 3]].concat());
    handshake
}

fn option(number: u32, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u32).to_be_bytes();
    [b"IHAVEOPT", &number.to_be_bytes()[..], &length, data].concat()
}

fn info_request(name: &[u8], wanted: &[u16]) -> Vec<u8> {
    let mut data = (name.len() as u32).to_be_bytes().to_vec();
    data.extend_from_slice(name);
    data.extend((wanted.len() as u16).to_be_bytes());
    wanted
        .iter()
        .for_each(|info| data.extend(info.to_be_bytes()));
    data
}

fn meta_request(name: &[u8], queries: &[&[u8]]) -> Vec<u8> {
    let mut data = (name.len() as u32).to_be_bytes().to_vec();
    data.extend_from_slice(name);
    data.extend((queries.len() as u32).to_be_bytes());
    for query in queries {
        data.extend((query.len() as u32).to_be_bytes());
        data.extend_from_slice(query);
    }
    data
}

/// Splits option replies into (option, type, data).
fn replies(mut bytes: &[u8]) -> Vec<(u32, u32, Vec<u8>)> {
    let mut replies = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(&bytes[..8], &[0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9]);
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let end = 20 + number(16) as usize;
        replies.push((number(8), number(12), bytes[20..end].to_vec()));
        bytes = &bytes[end..];
    }
    replies
}

/// Sends client flags 3 and `input`, and gives the progress and the replies.
fn haggle(input: &[u8]) -> (Progress, Vec<(u32, u32, Vec<u8>)>) {
    let mut handshake = handshake(geometry());
    let progress = handshake
        .handle_input(&[&[0, 0, 0, 3], input].concat())
        .unwrap();
    (
        progress,
        replies(&handshake.poll_transmit().unwrap_or_default()),
    )
}

#[test]
fn export_name_answers_size_flags_and_padding() {
    for (client_flags, padding) in [(1, 124), (3, 0), (0, 124), (2, 0)] {
        let mut handshake = handshake(geometry());
        let input = [
            &[0, 0, 0, client_flags][..],
            &option(OPT_EXPORT_NAME, b"disk one"),
        ]
        .concat();
        let progress = handshake.handle_input(&input).unwrap();
        let agreed = Negotiated {
            structured_replies: false,
        };
        assert_eq!(progress, Progress::Transmission(agreed));
        let mut expected = (1u64 << 20).to_be_bytes().to_vec();
        expected.extend(WRITABLE_FLAGS.to_be_bytes());
        expected.resize(10 + padding, 0);
        assert_eq!(
            handshake.poll_transmit().unwrap(),
            expected,
            "client flags {client_flags}"
        );
    }
}

#[test]
fn go_gives_block_sizes_and_only_the_texts_asked_for() {
    let input = [
        option(OPT_STRUCTURED_REPLY, &[]),
        option(OPT_INFO, &info_request(b"", &[1, 2, 3])),
        option(OPT_GO, &info_request(b"disk one", &[])),
    ];
    let (progress, replies) = haggle(&input.concat());
    assert_eq!(
        progress,
        Progress::Transmission(Negotiated {
            structured_replies: true
        })
    );
    let mut export = vec![0, 0];
    export.extend((1u64 << 20).to_be_bytes());
    export.extend((WRITABLE_FLAGS | FLAG_SEND_DF).to_be_bytes());
    let mut sizes = vec![0, 3];
    [512u32, 8192, 32 << 20]
        .iter()
        .for_each(|size| sizes.extend(size.to_be_bytes()));
    let expected = [
        (OPT_STRUCTURED_REPLY, REP_ACK, vec![]),
        (OPT_INFO, REP_INFO, export.clone()),
        (OPT_INFO, REP_INFO, sizes.clone()),
        (OPT_INFO, REP_INFO, b"\0\x01disk one".to_vec()),
        (OPT_INFO, REP_INFO, b"\0\x02a test".to_vec()),
        (OPT_INFO, REP_ACK, vec![]),
        (OPT_GO, REP_INFO, export),
        (OPT_GO, REP_INFO, sizes),
        (OPT_GO, REP_ACK, vec![]),
    ];
    assert_eq!(replies, expected);
}

#[test]
fn what_is_not_there_is_refused_and_the_haggling_goes_on() {
    let input = [
        option(OPT_STARTTLS, &[]),
        option(OPT_GO, &info_request(b"other", &[])),
        option(OPT_GO, b"\0\0\0\xffshort"),
        option(OPT_STRUCTURED_REPLY, b"x"),
        option(
            OPT_SET_META_CONTEXT,
            &meta_request(b"", &[b"base:allocation"]),
        ),
        option(OPT_LIST, b"x"),
        option(77, b"?"),
        option(OPT_LIST, &[]),
        option(OPT_ABORT, &[]),
    ];
    let (progress, replies) = haggle(&input.concat());
    assert_eq!(progress, Progress::Closed);
    let kinds: Vec<_> = replies
        .iter()
        .map(|(option, kind, _)| (*option, *kind))
        .collect();
    let expected = [
        (OPT_STARTTLS, REP_ERR_UNSUP),
        (OPT_GO, REP_ERR_UNKNOWN),
        (OPT_GO, REP_ERR_INVALID),
        (OPT_STRUCTURED_REPLY, REP_ERR_INVALID),
        (OPT_SET_META_CONTEXT, REP_ERR_INVALID),
        (OPT_LIST, REP_ERR_INVALID),
        (77, REP_ERR_UNSUP),
        (OPT_LIST, REP_SERVER),
        (OPT_LIST, REP_ACK),
        (OPT_ABORT, REP_ACK),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(replies[7].2, b"\0\0\0\x08disk one");
}

#[test]
fn a_metadata_query_selects_nothing_without_an_error() {
    let input = [
        option(OPT_STRUCTURED_REPLY, &[]),
        option(OPT_LIST_META_CONTEXT, &meta_request(b"disk one", &[])),
        option(
            OPT_SET_META_CONTEXT,
            &meta_request(b"", &[b"base:allocation", b"x-a:b"]),
        ),
        option(OPT_SET_META_CONTEXT, &meta_request(b"other", &[])),
        option(OPT_SET_META_CONTEXT, b"\0\0\0\0\0\0\0\x02\0\0\0\0"),
    ];
    let (progress, replies) = haggle(&input.concat());
    assert_eq!(progress, Progress::NeedInput);
    let kinds: Vec<_> = replies.iter().map(|(_, kind, _)| *kind).collect();
    assert_eq!(
        kinds,
        [REP_ACK, REP_ACK, REP_ACK, REP_ERR_UNKNOWN, REP_ERR_INVALID]
    );
}

#[test]
fn a_read_only_disk_says_so() {
    let mut handshake = handshake(Geometry {
        read_only: true,
        ..geometry()
    });
    handshake
        .handle_input(&[&[0, 0, 0, 3], &option(OPT_EXPORT_NAME, b"")[..]].concat())
        .unwrap();
    let answer = handshake.poll_transmit().unwrap();
    assert_eq!(answer[8..], (1u16 | 2 | 4 | 8 | 256).to_be_bytes());
}

#[test]
fn offences_end_the_handshake_by_name() {
    let many = option(OPT_STARTTLS, &[]).repeat(65);
    let long = [&b"IHAVEOPT\0\0\0\x07"[..], &32_769_u32.to_be_bytes()].concat();
    let cases: [(u8, &[u8], ClientMisbehaved); 6] = [
        (4, b"", ClientMisbehaved::UnknownClientFlags(4)),
        (
            3,
            b"IHAVEOPS",
            ClientMisbehaved::BadOptionMagic(0x4948_4156_454f_5053),
        ),
        (
            3,
            &long,
            ClientMisbehaved::OptionTooLong {
                option: 7,
                length: 32_769,
                limit: 32_768,
            },
        ),
        (3, &many, ClientMisbehaved::TooManyOptions(64)),
        (
            2,
            &option(OPT_LIST, &[]),
            ClientMisbehaved::OptionWithoutFixedNewstyle(3),
        ),
        (
            3,
            &option(OPT_EXPORT_NAME, b"other"),
            ClientMisbehaved::UnknownExport,
        ),
    ];
    for (flags, input, offence) in cases {
        let input = [&[0, 0, 0, flags], input].concat();
        assert_eq!(handshake(geometry()).handle_input(&input), Err(offence));
    }
}

fn header(command: u16, flags: u16, offset: u64, length: u32) -> RequestHeader {
    RequestHeader {
        flags,
        command,
        cookie: 7,
        offset,
        length,
    }
}

fn bytes_of(request: &RequestHeader) -> [u8; REQUEST_LENGTH] {
    let mut bytes = vec![0x25, 0x60, 0x95, 0x13];
    bytes.extend(request.flags.to_be_bytes());
    bytes.extend(request.command.to_be_bytes());
    bytes.extend(request.cookie.to_be_bytes());
    bytes.extend(request.offset.to_be_bytes());
    bytes.extend(request.length.to_be_bytes());
    bytes.try_into().unwrap()
}

#[test]
fn requests_become_operations() {
    let cases = [
        (header(0, 0, 512, 1024), Operation::Read),
        (header(0, 1, 0, 512), Operation::Read),
        (header(1, 0, 0, 512), Operation::Write { fua: false }),
        (
            header(1, 1, 1 << 19, 1 << 19),
            Operation::Write { fua: true },
        ),
        (header(3, 0, 0, 0), Operation::Flush),
        (header(4, 0, 512, 512), Operation::Discard { length: 512 }),
        (
            header(6, 0, 512, 1024),
            Operation::WriteZeroes {
                length: 1024,
                fua: false,
                may_unmap: true,
            },
        ),
        (
            header(6, 1 | 2 | 16, 0, 512),
            Operation::WriteZeroes {
                length: 512,
                fua: true,
                may_unmap: false,
            },
        ),
    ];
    for (request, operation) in cases {
        assert_eq!(RequestHeader::parse(&bytes_of(&request)), Ok(request));
        assert_eq!(
            request.judge(&geometry(), false),
            Ok(Command::Submit(operation))
        );
    }
    let disconnect = header(2, 0, 0, 0).judge(&geometry(), false);
    assert_eq!(disconnect, Ok(Command::Disconnect));
}

#[test]
fn bad_requests_are_refused_with_the_protocols_numbers() {
    const EPERM: u32 = 1;
    const EINVAL: u32 = 22;
    const ENOSPC: u32 = 28;
    const ENOTSUP: u32 = 95;
    let writable = geometry();
    let read_only = Geometry {
        read_only: true,
        ..writable
    };
    let plain = Geometry {
        can_discard: false,
        can_write_zeroes: false,
        ..writable
    };
    let cases = [
        (header(0, 0, 1, 512), writable, EINVAL),
        (header(0, 0, 0, 100), writable, EINVAL),
        (header(0, 0, 0, 0), writable, EINVAL),
        (header(0, 0, 1 << 20, 512), writable, EINVAL),
        (header(0, 0, u64::MAX - 511, 512), writable, EINVAL),
        (header(0, 0, 0, (32 << 20) + 512), writable, EINVAL),
        (header(0, 4, 0, 512), writable, EINVAL),
        (header(1, 2, 0, 512), writable, EINVAL),
        (header(1, 0, 1 << 20, 512), writable, ENOSPC),
        (header(6, 0, 1 << 20, 512), writable, ENOSPC),
        (header(3, 0, 512, 0), writable, EINVAL),
        (header(5, 0, 0, 512), writable, EINVAL),
        (header(7, 0, 0, 512), writable, EINVAL),
        (header(999, 0, 0, 512), writable, EINVAL),
        (header(1, 0, 0, 512), read_only, EPERM),
        (header(4, 0, 0, 512), read_only, EPERM),
        (header(6, 16, 0, 512), read_only, EPERM),
        (header(4, 0, 0, 512), plain, EINVAL),
        (header(6, 16, 0, 512), plain, ENOTSUP),
    ];
    for (request, geometry, code) in cases {
        let refusal = request.judge(&geometry, false).unwrap_err();
        assert_eq!(refusal.code, code, "{request:?}");
    }
    // With structured replies DF is a flag like any other.
    assert!(header(0, 4, 0, 512).judge(&writable, true).is_ok());
}

#[test]
fn a_stream_out_of_step_and_an_endless_payload_are_offences() {
    let mut bytes = bytes_of(&header(1, 0, 0, 512));
    bytes[3] = 0x14;
    let offence = ClientMisbehaved::BadRequestMagic(0x2560_9514);
    assert_eq!(RequestHeader::parse(&bytes), Err(offence));
    let bytes = bytes_of(&header(1, 0, 0, (32 << 20) + 1));
    assert_eq!(
        RequestHeader::parse(&bytes),
        Err(ClientMisbehaved::PayloadTooLong((32 << 20) + 1))
    );
}

#[test]
fn replies_are_simple_or_structured() {
    let read = header(0, 0, 0x200, 512);
    let write = header(1, 0, 0, 512);
    let failed = Outcome::Failed(BlockError::new(ErrorKind::NoSpace, "full"));
    let encode = |structured, request: &RequestHeader, outcome: &Outcome| {
        let mut out = Vec::new();
        let data = ReplyEncoder::new(structured).encode(request, outcome, &mut out);
        (out, data)
    };
    let cookie = [0, 0, 0, 0, 0, 0, 0, 7];
    let simple = |error: u8| [&[0x67, 0x44, 0x66, 0x98, 0, 0, 0, error], &cookie[..]].concat();
    assert_eq!(encode(false, &read, &Outcome::Done), (simple(0), true));
    assert_eq!(encode(false, &write, &Outcome::Done), (simple(0), false));
    assert_eq!(encode(false, &read, &failed), (simple(28), false));
    let chunk = |kind: [u8; 2], payload: &[u8], length: u32| {
        let start = [&[0x66, 0x8e, 0x33, 0xef, 0, 1][..], &kind, &cookie].concat();
        [&start[..], &length.to_be_bytes(), payload].concat()
    };
    let data = chunk([0, 1], &[0, 0, 0, 0, 0, 0, 2, 0], 520);
    assert_eq!(encode(true, &read, &Outcome::Done), (data, true));
    assert_eq!(
        encode(true, &write, &Outcome::Done),
        (chunk([0, 0], &[], 0), false)
    );
    let error = chunk([0x80, 1], b"\0\0\0\x1c\0\x04full", 10);
    assert_eq!(encode(true, &read, &failed), (error, false));
}

#[test]
fn disk_errors_become_the_few_that_nbd_knows() {
    for (kind, code) in [
        (ErrorKind::Unaligned, 22),
        (ErrorKind::ReadOnly, 1),
        (ErrorKind::Unsupported, 95),
        (ErrorKind::NoSpace, 28),
        (ErrorKind::Closed, 108),
        (ErrorKind::ReservationConflict, 5),
        (ErrorKind::TimedOut, 5),
        (ErrorKind::Io, 5),
    ] {
        assert_eq!(nbd_error(&BlockError::new(kind, "test")), code, "{kind:?}");
    }
}

proptest! {
    /// Any split of the client's bytes gives the same conversation.
    #[test]
    fn splits_do_not_matter(cuts in prop::collection::vec(1usize..40, 0..30)) {
        let input = [
            &[0, 0, 0, 3][..],
            &option(OPT_STRUCTURED_REPLY, &[]),
            &option(OPT_LIST, &[]),
            &option(OPT_GO, &info_request(b"disk one", &[3, 1])),
            b"first request",
        ].concat();
        let mut whole = handshake(geometry());
        let end = whole.handle_input(&input).unwrap();
        let mut split = handshake(geometry());
        let mut rest = &input[..];
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            split.handle_input(now).unwrap();
            rest = later;
        }
        prop_assert_eq!(split.handle_input(rest).unwrap(), end);
        prop_assert_eq!(split.poll_transmit(), whole.poll_transmit());
        prop_assert_eq!(split.into_input(), whole.into_input());
    }

    /// After a good handshake, any requests in any split end alike and are answered briefly.
    #[test]
    fn any_requests_are_survived(
        requests in prop::collection::vec((0u16..9, 0u16..32, any::<u64>(), 0u32..4096), 0..20),
        tail in prop::collection::vec(any::<u8>(), 0..100),
        split in 1usize..100,
    ) {
        let mut bytes = [&[0, 0, 0, 3][..], &option(OPT_EXPORT_NAME, b"")].concat();
        for (command, flags, offset, length) in requests {
            bytes.extend(bytes_of(&header(command, flags, offset, length)));
            bytes.resize(bytes.len() + if command == 1 { length as usize } else { 0 }, 7);
        }
        bytes.extend(tail);
        let whole = converse(&bytes, bytes.len(), geometry());
        prop_assert_eq!(&converse(&bytes, split, geometry()), &whole);
        if let Ok(conversation) = whole {
            // The greeting and the answer to EXPORT_NAME, and a simple reply each.
            prop_assert_eq!(conversation.reply_bytes, 18 + 10 + 16 * conversation.requests);
        }
    }

    /// Whatever comes, the handshake ends or waits; it never panics and keeps little.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut handshake = handshake(geometry());
        let _ = handshake.handle_input(&[&[0, 0, 0, 3], &bytes[..]].concat());
        prop_assert!(handshake.into_input().len() <= bytes.len());
    }
}
