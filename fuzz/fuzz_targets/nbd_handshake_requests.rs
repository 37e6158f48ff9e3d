//! A hostile NBD client: any bytes in any split, through the handshake and the requests after it. The
//! answers must not depend on the split, nor be longer than the input can justify.
//!
//! Input: one byte of switches, one byte that seeds the split, then what the client sends.
#![no_main]

use hawser_block::{Geometry, Operation};
use hawser_export::nbd::{
    Command, ExportInfo, Handshake, MAX_PAYLOAD, Negotiated, Progress, REQUEST_LENGTH,
    RequestHeader,
};
use libfuzzer_sys::fuzz_target;

const READ_ONLY: u8 = 1;
const CAN_DISCARD: u8 = 2;
const LARGE_BLOCKS: u8 = 4;
/// Bytes that the server may answer to one option, and its greeting.
const ANSWER_MAX: usize = 4096;
/// The shortest option: magic, number, length.
const OPTION_MIN: usize = 16;

fuzz_target!(|data: &[u8]| {
    let [switches, seed, input @ ..] = data else {
        return;
    };
    let geometry = geometry(*switches);
    let whole = handshake(input, geometry, 0);
    let split = handshake(input, geometry, *seed);
    assert_eq!(whole, split);
    if let Some((negotiated, rest)) = whole.1 {
        requests(&rest, &geometry, negotiated);
    }
});

fn geometry(switches: u8) -> Geometry {
    let block_size = if switches & LARGE_BLOCKS != 0 {
        4096
    } else {
        512
    };
    Geometry {
        size: 1 << 30,
        block_size,
        physical_block_size: 4096,
        optimal_transfer: 0,
        read_only: switches & READ_ONLY != 0,
        can_discard: switches & CAN_DISCARD != 0,
        can_write_zeroes: switches & CAN_DISCARD != 0,
        volatile_cache: true,
    }
}

type Transcript = (Vec<u8>, Option<(Negotiated, Vec<u8>)>);

/// Everything the server sends, and if the handshake succeeds what came after it.
fn handshake(input: &[u8], geometry: Geometry, seed: u8) -> Transcript {
    let export = ExportInfo {
        name: "disk".into(),
        description: "a disk".into(),
    };
    let mut handshake = Handshake::new(export, geometry);
    let mut sent = Vec::new();
    let mut rest = input;
    let mut state = u32::from(seed);
    while !rest.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = if seed == 0 {
            rest.len()
        } else {
            1 + (state >> 26) as usize
        };
        let (piece, later) = rest.split_at(length.min(rest.len()));
        rest = later;
        let progress = handshake.handle_input(piece);
        while let Some(bytes) = handshake.poll_transmit() {
            sent.extend(bytes);
        }
        assert!(sent.len() <= ANSWER_MAX * (1 + input.len() / OPTION_MIN));
        match progress {
            Ok(Progress::NeedInput) => {}
            Ok(Progress::Transmission(negotiated)) => {
                let mut after = handshake.into_input();
                after.extend_from_slice(rest);
                return (sent, Some((negotiated, after)));
            }
            Ok(Progress::Closed) | Err(_) => break,
        }
    }
    (sent, None)
}

/// Reads requests one after the other as the server does; what reaches the disk must fit the disk.
fn requests(mut input: &[u8], geometry: &Geometry, negotiated: Negotiated) {
    while let Some((header, after)) = input.split_first_chunk::<REQUEST_LENGTH>() {
        let Ok(request) = RequestHeader::parse(header) else {
            return;
        };
        assert!(request.payload_length() <= MAX_PAYLOAD);
        match request.judge(geometry, negotiated.structured_replies) {
            Ok(Command::Submit(operation)) => fits(&request, operation, geometry),
            Ok(Command::Disconnect) => return,
            Err(refusal) => assert_ne!(refusal.code, 0),
        }
        let payload = usize::try_from(request.payload_length()).unwrap_or(usize::MAX);
        input = after.get(payload..).unwrap_or_default();
    }
}

fn fits(request: &RequestHeader, operation: Operation, geometry: &Geometry) {
    let length = match operation {
        Operation::Read | Operation::Write { .. } => u64::from(request.length),
        Operation::Discard { length } | Operation::WriteZeroes { length, .. } => length,
        Operation::Flush => return,
    };
    let end = request
        .offset
        .checked_add(length)
        .expect("an end below 2^64");
    assert!(end <= geometry.size);
    assert_eq!(request.offset % u64::from(geometry.block_size), 0);
    assert_eq!(length % u64::from(geometry.block_size), 0);
    let writes = !matches!(operation, Operation::Read);
    assert!(!(writes && geometry.read_only));
    assert!(!matches!(operation, Operation::Discard { .. }) || geometry.can_discard);
}
