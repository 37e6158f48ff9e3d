//! RFC 7143 §13.17–§13.19: data and R2Ts in any order that the login allows, several R2Ts at once.

use hawser_target::KeyPolicy;

use crate::raw::*;

/// A session of short PDUs and bursts with these orders; six bursts of two PDUs make 12 blocks.
fn ready(pdus: &str, sequences: &str) -> (Server, Initiator) {
    let server = Server::with_policy(KeyPolicy {
        data_pdu_in_order: false,
        data_sequence_in_order: false,
        ..KeyPolicy::default()
    });
    let mut initiator = server.log_in(&[
        ("MaxRecvDataSegmentLength", "512"),
        ("MaxBurstLength", "1024"),
        ("FirstBurstLength", "1024"),
        ("DataPDUInOrder", pdus),
        ("DataSequenceInOrder", sequences),
        ("MaxOutstandingR2T", "3"),
    ]);
    initiator.hear_news();
    (server, initiator)
}

/// Reads 12 blocks and gives the offsets as they came; numbers, F and S bits must be right.
fn read_offsets(initiator: &mut Initiator, data: &[u8]) -> Vec<u32> {
    let itt = initiator.command(FINAL | READ | SIMPLE, 6144, read10(0, 12), &[]);
    let pdus = initiator.receive_read(itt);
    initiator.exp_stat_sn += 1;
    let mut offsets = Vec::new();
    for (data_sn, pdu) in pdus.iter().enumerate() {
        let offset = pdu.word(40);
        assert_eq!(pdu.word(36), data_sn as u32);
        assert_eq!(pdu.data, data[offset as usize..offset as usize + 512]);
        assert_eq!(pdu.header[1] & FINAL != 0, data_sn % 2 == 1, "{data_sn}");
        offsets.push(offset);
    }
    for sequence in offsets.chunks(2) {
        assert_eq!(sequence[0] / 1024, sequence[1] / 1024, "{offsets:?}");
    }
    offsets
}

#[test]
fn reads_come_in_any_order_that_was_agreed_on() {
    let data = pattern(3, 6144);
    let in_order: Vec<u32> = (0..12).map(|n| n * 512).collect();
    for (pdus, sequences) in [("Yes", "Yes"), ("No", "Yes"), ("Yes", "No"), ("No", "No")] {
        let (server, mut initiator) = ready(pdus, sequences);
        for (n, part) in data.chunks(512).enumerate() {
            initiator.write_blocks(n as u32, part);
        }
        assert_eq!(read_offsets(&mut initiator, &data), in_order);
        let mut orders = Vec::new();
        for seed in 0..8 {
            server.handle.faults().set_disorder(Some(seed));
            let offsets = read_offsets(&mut initiator, &data);
            let mut sorted = offsets.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, in_order);
            let swapped = offsets.chunks(2).any(|pair| pair[0] > pair[1]);
            assert!(!swapped || pdus == "No", "{offsets:?}");
            let starts: Vec<u32> = offsets.chunks(2).map(|pair| pair[0] / 1024).collect();
            assert!(starts.is_sorted() || sequences == "No", "{offsets:?}");
            orders.push(offsets);
        }
        let changed = orders.iter().any(|order| *order != in_order);
        assert_eq!(changed, (pdus, sequences) != ("Yes", "Yes"));
    }
}

#[test]
fn writes_are_asked_for_in_any_order_that_was_agreed_on() {
    let data = pattern(4, 6144);
    let (server, mut initiator) = ready("No", "No");
    let mut orders = Vec::new();
    for seed in 0..4 {
        server.handle.faults().set_disorder(Some(seed));
        let itt = initiator.command(FINAL | WRITE | SIMPLE, 6144, write10(0, 12), &[]);
        let mut order = Vec::new();
        // Three at once; each answer brings the next.
        let mut open: Vec<Pdu> = (0..3).map(|_| initiator.expect_unnumbered(R2T)).collect();
        while !open.is_empty() {
            let r2t = open.remove(0);
            let (tag, offset) = (r2t.word(20), r2t.word(40));
            assert_eq!((r2t.word(36), r2t.word(44)), (order.len() as u32, 1024));
            order.push(offset);
            // Its two PDUs in the wrong order.
            let start = offset as usize;
            let parts = [&data[start..start + 512], &data[start + 512..start + 1024]];
            initiator.data_out(itt, tag, 0, offset + 512, false, parts[1]);
            initiator.data_out(itt, tag, 1, offset, true, parts[0]);
            if order.len() <= 3 {
                open.push(initiator.expect_unnumbered(R2T));
            }
        }
        assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
        server.handle.faults().set_disorder(None);
        assert_eq!(initiator.read_blocks(0, 12), data);
        initiator.write_blocks(0, &[0; 512]);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1024, 2048, 3072, 4096, 5120]);
        orders.push(order);
    }
    assert!(orders.iter().any(|order| !order.is_sorted()), "{orders:?}");
}

#[test]
fn with_recovery_and_free_order_several_r2ts_are_out_at_once() {
    let server = Server::with_policy(KeyPolicy {
        data_sequence_in_order: false,
        ..KeyPolicy::default()
    });
    let mut initiator = server.log_in(&[
        ("ErrorRecoveryLevel", "1"),
        ("MaxBurstLength", "512"),
        ("FirstBurstLength", "512"),
        ("DataSequenceInOrder", "No"),
        ("MaxOutstandingR2T", "2"),
    ]);
    initiator.hear_news();
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 1536, write10(0, 3), &[]);
    let first = initiator.expect_unnumbered(R2T);
    let second = initiator.expect_unnumbered(R2T);
    // The PDU of the first is lost but for its end; that of the second arrives.
    initiator.data_out(itt, second.word(20), 0, 512, true, &[2; 512]);
    let third = initiator.expect_unnumbered(R2T);
    assert_eq!((third.word(36), third.word(40)), (2, 1024));
    initiator.data_out(itt, first.word(20), 1, 256, true, &[1; 256]);
    let again = initiator.expect_unnumbered(R2T);
    assert_eq!(
        (again.word(36), again.word(40), again.word(44)),
        (3, 0, 256)
    );
    initiator.data_out(itt, again.word(20), 0, 0, true, &[1; 256]);
    initiator.data_out(itt, third.word(20), 0, 1024, true, &[3; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    let data = [[1; 512], [2; 512], [3; 512]].concat();
    assert_eq!(initiator.read_blocks(0, 3), data);
}
