//! Immediate, unsolicited and solicited data (rfc7143-initiator.md §8).

use super::bench::*;
use super::wire::*;
use crate::parameters::Parameters;
use crate::pdu::Malformed;
use crate::session::{ConnectionError, Direction, Outcome, PeerMisbehaved};

/// What the target has of a write.
#[derive(Default)]
struct Store {
    bytes: Vec<Option<u8>>,
}

impl Store {
    fn put(&mut self, offset: u32, data: &[u8]) {
        let end = offset as usize + data.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, None);
        }
        for (place, &byte) in self.bytes[offset as usize..].iter_mut().zip(data) {
            assert_eq!(*place, None, "sent twice");
            *place = Some(byte);
        }
    }
}

/// Takes a sequence of Data-Out: DataSN from 0, rising offsets, no PDU too long, F on the last only.
fn take_sequence(bench: &mut Bench, store: &mut Store, ttt: u32, lun: [u8; 8], offset: u32) -> u32 {
    let mut at = offset;
    for data_sn in 0.. {
        let pdu = bench.take(DATA_OUT);
        assert_eq!((pdu.data_sn(), pdu.offset()), (data_sn, at), "{pdu:?}");
        assert_eq!((pdu.word20(), pdu.get_lun()), (ttt, lun), "{pdu:?}");
        assert!(pdu.data.len() as u32 <= bench.parameters.max_send_data_segment);
        assert!(!pdu.data.is_empty(), "{pdu:?}");
        assert!(!pdu.is_immediate());
        store.put(at, &pdu.data);
        at += pdu.data.len() as u32;
        if pdu.is_final() {
            break;
        }
        assert_eq!(pdu.data.len() % 4, 0, "padding inside a sequence");
    }
    at - offset
}

/// Carries out one write and checks every PDU of it.
fn write(parameters: &Parameters, size: u32) {
    let mut bench = Bench::up(quiet(), parameters.clone());
    let mut store = Store::default();
    let itt = bench.write_to_3(size).itt();
    let command = bench.take(COMMAND);
    assert_eq!(command.header[1] & 0x60, 0x20, "W");
    assert_eq!(command.word20(), size);
    let immediate = command.data.len() as u32;
    let unsolicited = size.min(parameters.first_burst);
    if parameters.immediate_data {
        assert_eq!(immediate, unsolicited.min(parameters.max_send_data_segment));
    } else {
        assert_eq!(immediate, 0);
    }
    store.put(0, &command.data);
    let mut sent = immediate;
    if !command.is_final() {
        assert!(!parameters.initial_r2t);
        sent += take_sequence(&mut bench, &mut store, NONE, LUN_0, immediate);
        assert_eq!(sent, unsolicited, "all or nothing (RFC 7143 §4.2.5.2)");
    }
    let (mut r2t_sn, mut ttt) = (0, 0);
    while sent < size {
        bench.silent();
        let length = (size - sent).min(parameters.max_burst);
        let asked = r2t(itt, ttt, r2t_sn, sent, length).lun(LUN_3);
        bench.say(asked);
        let came = take_sequence(&mut bench, &mut store, ttt, LUN_3, sent);
        assert_eq!(came, length);
        sent += length;
        (r2t_sn, ttt) = (r2t_sn + 1, ttt.wrapping_sub(0x100));
    }
    bench.silent();
    bench.nothing_ended();
    bench.say(response(itt, 0));
    assert!(matches!(bench.outcome(), Outcome::Completed(_)));
    let expected: Vec<_> = (0..size).map(|at| Some(pattern(1, at))).collect();
    assert!(store.bytes == expected, "payload of {size}");
}

#[test]
fn sup_x01_every_pair_of_data_keys_with_every_size() {
    let (first, max) = (64 * 1024, 256 * 1024);
    let sizes = [
        0,
        1,
        511,
        512,
        first - 1,
        first,
        first + 1,
        max,
        max + 1,
        1024 * 1024 + 3,
    ];
    for (immediate_data, initial_r2t) in
        [(true, true), (true, false), (false, true), (false, false)]
    {
        for max_send_data_segment in [512, 8192, 65_536] {
            for size in sizes {
                let parameters = Parameters {
                    immediate_data,
                    initial_r2t,
                    max_send_data_segment,
                    first_burst: first,
                    max_burst: max,
                    ..Parameters::default()
                };
                write(&parameters, size);
            }
        }
    }
}

#[test]
fn sup_g01_writes_with_every_pair_of_digests_and_every_pad() {
    for (header_digest, data_digest) in [(false, false), (true, false), (false, true), (true, true)]
    {
        for size in 1021..1026 {
            let parameters = Parameters {
                header_digest,
                data_digest,
                max_send_data_segment: 512,
                first_burst: 512,
                max_burst: 512,
                ..Parameters::default()
            };
            write(&parameters, size);
        }
    }
}

#[test]
fn an_odd_segment_limit_is_rounded_down() {
    let parameters = Parameters {
        max_send_data_segment: 515,
        initial_r2t: false,
        ..Parameters::default()
    };
    let mut bench = Bench::up(quiet(), parameters);
    bench.write(1500);
    let lengths: Vec<_> = bench.take_all().iter().map(|pdu| pdu.data.len()).collect();
    assert_eq!(lengths, [512, 512, 476]);
}

#[test]
fn ffp_8_1_unsolicited_up_to_first_burst_and_the_rest_on_r2t() {
    write(
        &Parameters {
            initial_r2t: false,
            first_burst: 512,
            max_burst: 1024,
            ..Parameters::default()
        },
        8192,
    );
}

#[test]
fn ffp_8_2_and_16_2_2_and_16_3_1_nothing_unsolicited() {
    let mut bench = Bench::with(|p| p.immediate_data = false);
    bench.write(4096);
    let command = bench.take(COMMAND);
    assert!(command.is_final() && command.data.is_empty());
    bench.silent();
}

#[test]
fn ffp_8_3_and_16_2_3_unsolicited_data_only_in_pdus_of_its_own() {
    let mut bench = Bench::with(|p| (p.immediate_data, p.initial_r2t) = (false, false));
    bench.write(4096);
    let command = bench.take(COMMAND);
    assert!(!command.is_final() && command.data.is_empty());
    let data = bench.take(DATA_OUT);
    assert!(data.is_final() && data.data.len() == 4096);
}

#[test]
fn ffp_16_2_1_and_16_6_immediate_data_alone_is_final() {
    let mut bench = Bench::with(|p| p.first_burst = 512);
    bench.write(512);
    bench.write(4096);
    for _ in 0..2 {
        let command = bench.take(COMMAND);
        assert!(command.is_final());
        assert_eq!(command.data.len(), 512);
    }
    bench.silent();
}

#[test]
fn ffp_16_2_4_and_11_2_1_unsolicited_data_ends_with_the_final_bit() {
    let mut bench = Bench::with(|p| {
        (p.initial_r2t, p.first_burst, p.max_send_data_segment) = (false, 2048, 512);
    });
    bench.write(9000);
    let command = bench.take(COMMAND);
    assert_eq!((command.is_final(), command.data.len()), (false, 512));
    let finals: Vec<_> = bench.take_all().iter().map(Pdu::is_final).collect();
    assert_eq!(finals, [false, false, true]);
}

#[test]
fn ffp_6_1_and_11_3_data_sn_begins_anew_with_each_sequence_and_each_command() {
    let mut bench = Bench::with(|p| {
        (p.immediate_data, p.max_send_data_segment) = (false, 1024);
    });
    for _ in 0..2 {
        let itt = bench.write(4096).itt();
        bench.take(COMMAND);
        for n in 0..2 {
            bench.say(r2t(itt, 60 + n, n, n * 2048, 2048));
            let numbers: Vec<_> = bench.take_all().iter().map(Pdu::data_sn).collect();
            assert_eq!(numbers, [0, 1]);
        }
    }
}

#[test]
fn ffp_9_1_and_12_1_and_12_2_an_r2t_is_answered_with_its_own_tags_in_its_own_range() {
    let mut bench = Bench::with(|p| {
        (p.immediate_data, p.max_send_data_segment) = (false, 512);
    });
    let itt = bench.write_to_3(8192).itt();
    bench.take(COMMAND);
    let mut store = Store::default();
    // 0 is a valid target transfer tag.
    for (n, ttt) in [(0, 0), (1, 0xdead_beef)] {
        bench.say(r2t(itt, ttt, n, n * 4096, 4096).lun(LUN_3));
        assert_eq!(bench.sent[0].get_itt(), itt);
        let came = take_sequence(&mut bench, &mut store, ttt, LUN_3, n * 4096);
        assert_eq!(came, 4096);
    }
    assert!(bench.sent.is_empty());
}

#[test]
fn ffp_11_1_1_and_11_2_2_and_11_4_a_long_r2t_is_cut_by_the_targets_limit() {
    let parameters = Parameters {
        immediate_data: false,
        max_send_data_segment: 512,
        ..Parameters::default()
    };
    write(&parameters, 64 * 1024);
}

#[test]
fn ffp_12_3_outstanding_r2ts_of_a_task_are_served_in_order_of_arrival() {
    let mut bench = Bench::with(|p| {
        (p.immediate_data, p.max_outstanding_r2t) = (false, 4);
        (p.data_sequence_in_order, p.max_send_data_segment) = (false, 1024);
    });
    let itt = bench.write(8192).itt();
    bench.take(COMMAND);
    let mut bytes = Vec::new();
    for (n, offset) in [6144, 4096, 2048, 0].into_iter().enumerate() {
        let n = n as u32;
        let pdu = bench.number(r2t(itt, 100 + n, n, offset, 2048));
        bytes.extend(pdu.to_wire(false, false, false));
    }
    bench.feed(&bytes).unwrap();
    let served: Vec<_> = bench.take_all();
    let tags: Vec<_> = served.iter().map(Pdu::word20).collect();
    assert_eq!(tags, [100, 100, 101, 101, 102, 102, 103, 103]);
    assert_eq!(served[0].offset(), 6144);
}

#[test]
fn ffp_12_4_r2ts_of_two_commands_are_served_in_order_of_arrival() {
    let mut bench = Bench::with(|p| p.immediate_data = false);
    let (first, second) = (bench.write(512).itt(), bench.write(512).itt());
    bench.take_all();
    let mut bytes = Vec::new();
    for (itt, ttt) in [(second, 2), (first, 1)] {
        let pdu = bench.number(r2t(itt, ttt, 0, 0, 512));
        bytes.extend(pdu.to_wire(false, false, false));
    }
    bench.feed(&bytes).unwrap();
    let tags: Vec<_> = bench.take_all().iter().map(Pdu::word20).collect();
    assert_eq!(tags, [2, 1]);
}

#[test]
fn unsolicited_data_goes_out_in_the_order_of_the_commands() {
    let mut bench = Bench::with(|p| {
        (p.initial_r2t, p.immediate_data, p.max_send_data_segment) = (false, false, 512);
    });
    let ids: Vec<_> = (0..3).map(|_| bench.write(1024).itt()).collect();
    let data: Vec<_> = bench
        .take_all()
        .into_iter()
        .filter(|pdu| pdu.opcode() == DATA_OUT)
        .map(|pdu| pdu.get_itt())
        .collect();
    assert_eq!(data, [ids[0], ids[0], ids[1], ids[1], ids[2], ids[2]]);
}

#[test]
fn sup_x02_r2ts_that_do_not_fit_the_command() {
    for (offset, length) in [
        (0, 4097),
        (4096, 1),
        (4000, 200),
        (u32::MAX, 2),
        (2, u32::MAX),
        (0, 1025), // above MaxBurstLength
    ] {
        let mut bench = Bench::with(|p| {
            (p.immediate_data, p.max_burst) = (false, 1024);
        });
        let itt = bench.write(4096).itt();
        let expected = PeerMisbehaved::R2tOutOfBounds { offset, length };
        assert_eq!(bench.misbehave(r2t(itt, 1, 0, offset, length)), expected);
        assert!(bench.sent.is_empty());
    }
}

#[test]
fn sup_x02_r2ts_without_length_or_tag() {
    for (ttt, length, expected) in [
        (1, 0, Malformed::R2tWithoutLength),
        (NONE, 512, Malformed::R2tWithoutTag),
    ] {
        let mut bench = Bench::with(|p| p.immediate_data = false);
        let itt = bench.write(4096).itt();
        let error = bench.offend(r2t(itt, ttt, 0, 0, length));
        assert_eq!(error, ConnectionError::Malformed(expected));
    }
}

#[test]
fn sup_x02_r2ts_for_tasks_that_write_nothing() {
    for direction in [Direction::None, Direction::Read(4096), Direction::Write(0)] {
        let mut bench = Bench::plain();
        let itt = bench.submit(command(direction)).itt();
        let offence = bench.misbehave(r2t(itt, 1, 0, 0, 512));
        assert_eq!(offence, PeerMisbehaved::WrongTask(itt));
    }
}

#[test]
fn an_r2t_is_for_the_logical_unit_of_its_command() {
    let mut bench = Bench::with(|p| p.immediate_data = false);
    let itt = bench.write_to_3(4096).itt();
    let wrong = PeerMisbehaved::WrongLun {
        got: LUN_0,
        expected: LUN_3,
    };
    assert_eq!(bench.misbehave(r2t(itt, 1, 0, 0, 512)), wrong);
}

#[test]
fn sup_x03_more_r2ts_than_agreed() {
    for agreed in [1, 3] {
        let mut bench = Bench::with(|p| {
            (p.immediate_data, p.max_outstanding_r2t) = (false, agreed);
        });
        let itt = bench.write(65_536).itt();
        let mut bytes = Vec::new();
        for n in 0..=u32::from(agreed) {
            let pdu = bench.number(r2t(itt, n, n, n * 512, 512));
            bytes.extend(pdu.to_wire(false, false, false));
        }
        // All come before any is answered.
        let error = bench.feed(&bytes).unwrap_err();
        assert_eq!(
            error,
            ConnectionError::PeerMisbehaved(PeerMisbehaved::TooManyR2ts)
        );
    }
}

#[test]
fn sup_x03_a_gap_in_r2t_sn_or_a_repeated_one() {
    for got in [0, 2] {
        let mut bench = Bench::with(|p| p.immediate_data = false);
        let itt = bench.write(4096).itt();
        bench.say(r2t(itt, 1, 0, 0, 512));
        let expected = PeerMisbehaved::R2tSnGap { got, expected: 1 };
        assert_eq!(bench.misbehave(r2t(itt, 2, got, 512, 512)), expected);
    }
}

#[test]
fn a_response_stops_the_data_of_its_command() {
    let mut bench = Bench::with(|p| {
        (p.initial_r2t, p.immediate_data) = (false, true);
        (p.first_burst, p.max_send_data_segment) = (262_144, 65_536);
    });
    // A batch takes half a megabyte, so not all of three commands fits in the first.
    bench.writing = Some(crate::session::Transmit::default());
    let ids: Vec<_> = (0..3).map(|_| bench.write(262_144)).collect();
    let mut batch = bench.begin_write().unwrap();
    let refused = response(ids[1].itt(), 0x08);
    bench.say(refused);
    bench.nothing_ended();
    bench.session.transmit_done(&mut batch);
    bench.writing = None;
    let before = bench.sent.len();
    bench.settle();
    assert_eq!(bench.end().token, 2);
    assert!(bench.sent.len() > before);
    let more = bench.sent.iter().skip(before);
    assert!(more.clone().all(|pdu| pdu.get_itt() != ids[1].itt()));
    let of_third = |pdu: &&Pdu| pdu.get_itt() == ids[2].itt();
    let third: usize = bench
        .sent
        .iter()
        .filter(of_third)
        .map(|pdu| pdu.data.len())
        .sum();
    assert_eq!(third, 262_144);
}
