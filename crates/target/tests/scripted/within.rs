//! RFC 7143 §7.1.4.1, §7.1.4.2, §7.8, §7.9, §11.16: recovery within a command and within a
//! connection (ErrorRecoveryLevel 1).

use std::time::Duration;

use hawser_target::KeyPolicy;

use crate::raw::*;

/// SNACK types of §11.16.1.
const DATA_OR_R2T: u8 = 0;
const STATUS: u8 = 1;
const DATA_ACK: u8 = 2;
const R_DATA: u8 = 3;

/// Reject reasons of §11.17.1.
const DATA_DIGEST_ERROR: u8 = 0x02;
const SNACK_REJECT: u8 = 0x03;
const PROTOCOL_ERROR: u8 = 0x04;
const INVALID_DATA_ACK: u8 = 0x08;
const INVALID_PDU_FIELD: u8 = 0x09;

const LEVEL_1: [(&str, &str); 2] = [
    ("ErrorRecoveryLevel", "1"),
    ("MaxRecvDataSegmentLength", "512"),
];

fn ready(policy: KeyPolicy, keys: &[(&str, &str)]) -> (Server, Initiator) {
    let server = Server::with_policy(policy);
    let mut all = LEVEL_1.to_vec();
    all.extend_from_slice(keys);
    let mut initiator = server.log_in(&all);
    initiator.hear_news();
    (server, initiator)
}

/// A read of four blocks in four PDUs, the last of which has not been acknowledged.
fn read_four(initiator: &mut Initiator) -> (u32, Vec<Pdu>) {
    let itt = initiator.command(FINAL | READ | SIMPLE, 2048, read10(0, 4), &[]);
    let pdus = initiator.receive_read(itt);
    assert_eq!(pdus.len(), 4);
    (itt, pdus)
}

/// The same PDU but for ExpCmdSN and MaxCmdSN.
fn replica(pdu: &Pdu, of: &Pdu) {
    let mut expected = of.clone();
    expected.header[28..36].copy_from_slice(&pdu.header[28..36]);
    assert_eq!(*pdu, expected);
}

#[test]
fn the_level_is_the_lower_of_both_and_allows_one_r2t() {
    let server = Server::new();
    let mut initiator = server.connect();
    let keys = [("MaxOutstandingR2T", "8"), ("ErrorRecoveryLevel", "1")];
    let text = initiator.log_in(&keys).text();
    assert!(text.contains("ErrorRecoveryLevel=1\n"), "{text}");
    assert!(text.contains("MaxOutstandingR2T=1\n"), "{text}");
}

#[test]
fn data_is_sent_again_in_any_run() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[]);
    initiator.write_blocks(0, &pattern(4, 2048));
    let (itt, pdus) = read_four(&mut initiator);
    for (run, wanted) in [
        ((1, 2), 1..3),
        ((2, 0), 2..4),
        ((0, 0), 0..4),
        ((0, 1), 0..1),
    ] {
        initiator.snack(DATA_OR_R2T, itt, NIL, run);
        for number in wanted {
            replica(&initiator.receive(), &pdus[number]);
        }
    }
    initiator.exp_stat_sn += 1;
    initiator.expect_silence();
}

#[test]
fn what_was_not_sent_or_is_acknowledged_is_not_sent_again() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[]);
    let (itt, _) = read_four(&mut initiator);
    let status = initiator.exp_stat_sn;
    initiator.exp_stat_sn += 1;
    for (run, at) in [((0, 5), 4), ((4, 1), 4), ((7, 0), 4)] {
        let kept = std::mem::replace(&mut initiator.exp_stat_sn, status);
        initiator.snack(DATA_OR_R2T, itt, NIL, run);
        initiator.exp_stat_sn = kept;
        // The next DataSN is told.
        assert_eq!(initiator.expect_reject(PROTOCOL_ERROR).word(36), at);
    }
    // Acknowledged with the status; never heard of.
    for itt in [itt, 0x7777] {
        initiator.snack(DATA_OR_R2T, itt, NIL, (0, 1));
        initiator.expect_reject(PROTOCOL_ERROR);
    }
    initiator.snack(STATUS, NIL, NIL, (status, 1));
    initiator.expect_reject(PROTOCOL_ERROR);
    let next = initiator.exp_stat_sn;
    initiator.snack(STATUS, NIL, NIL, (next, 1));
    initiator.expect_reject(PROTOCOL_ERROR);
    // Tags that do not go with the type.
    for (kind, itt, tag) in [
        (DATA_OR_R2T, NIL, NIL),
        (DATA_OR_R2T, 5, 5),
        (STATUS, 5, NIL),
        (R_DATA, 5, 0),
        (R_DATA, 5, NIL),
    ] {
        initiator.snack(kind, itt, tag, (0, 0));
        initiator.expect_reject(INVALID_PDU_FIELD);
    }
    initiator.expect_silence();
}

#[test]
fn responses_are_sent_again_until_they_are_acknowledged() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[]);
    let first = initiator.exp_stat_sn;
    let mut sent = Vec::new();
    initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[1; 512]);
    sent.push(initiator.receive());
    let (_, pdus) = read_four(&mut initiator);
    sent.extend(pdus.into_iter().next_back());
    initiator.command(FINAL | READ | SIMPLE, 512, read10(0x7fff_ffff, 1), &[]);
    sent.push(initiator.receive());
    for (run, wanted) in [
        ((0, 0), 0..3),
        ((first + 1, 1), 1..2),
        ((first + 1, 0), 1..3),
    ] {
        initiator.snack(STATUS, NIL, NIL, run);
        for number in wanted {
            replica(&initiator.receive(), &sent[number]);
        }
    }
    initiator.exp_stat_sn += 2;
    initiator.snack(STATUS, NIL, NIL, (0, 0));
    replica(&initiator.receive(), &sent[2]);
    initiator.exp_stat_sn += 1;
    initiator.expect_silence();
}

#[test]
fn a_gap_in_status_numbers_was_never_sent() {
    let (server, mut initiator) = ready(KeyPolicy::default(), &[]);
    server.handle.faults().jump_status_number(2);
    let gap = initiator.exp_stat_sn;
    initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[1; 512]);
    assert_eq!(initiator.receive().word(24), gap + 2);
    initiator.snack(STATUS, NIL, NIL, (gap, 2));
    initiator.exp_stat_sn = gap + 3;
    initiator.expect_reject(SNACK_REJECT);
}

#[test]
fn data_is_acknowledged_where_the_target_asks_for_it() {
    let policy = KeyPolicy {
        data_ack_every: Some(1024),
        ..KeyPolicy::default()
    };
    let keys = [("MaxBurstLength", "1024"), ("FirstBurstLength", "1024")];
    let (_server, mut initiator) = ready(policy, &keys);
    let (itt, pdus) = read_four(&mut initiator);
    let marks: Vec<usize> = (0..4).filter(|n| pdus[*n].header[1] & 0x40 != 0).collect();
    assert_eq!(marks, [1, 3]);
    let tag = pdus[1].word(20);
    assert_ne!(tag, NIL);
    assert_eq!(pdus[0].word(20), NIL);
    initiator.snack(DATA_ACK, NIL, tag, (2, 0));
    initiator.snack(DATA_OR_R2T, itt, NIL, (0, 0));
    for sent in &pdus[2..] {
        replica(&initiator.receive(), sent);
    }
    // Acknowledged data is gone.
    let status = initiator.exp_stat_sn;
    let snack = |initiator: &mut Initiator, kind, itt, tag, run| {
        let kept = std::mem::replace(&mut initiator.exp_stat_sn, status);
        initiator.snack(kind, itt, tag, run);
        initiator.exp_stat_sn = kept;
    };
    initiator.exp_stat_sn += 1;
    snack(&mut initiator, DATA_OR_R2T, itt, NIL, (1, 1));
    initiator.expect_reject(PROTOCOL_ERROR);
    // Back again, too far, and by a tag of nobody.
    for (tag, next) in [(tag, 1), (tag, 5), (tag ^ 0x5555, 2)] {
        snack(&mut initiator, DATA_ACK, NIL, tag, (next, 0));
        initiator.expect_reject(INVALID_DATA_ACK);
    }
    // Together with the status.
    initiator.snack(DATA_ACK, NIL, pdus[3].word(20), (4, 0));
    initiator.expect_silence();
}

#[test]
fn data_is_cut_anew_when_the_initiator_takes_less() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[]);
    let data = pattern(8, 2048);
    initiator.write_blocks(0, &data);
    let text = |initiator: &mut Initiator, limit: &str| {
        let itt = initiator.itt();
        let mut pdu = header(TEXT_REQUEST, FINAL, itt);
        put(&mut pdu, 20, NIL);
        initiator.send_request(pdu, &text(&[("MaxRecvDataSegmentLength", limit)]));
    };
    text(&mut initiator, "1024");
    initiator.expect(TEXT_RESPONSE);
    let itt = initiator.command(FINAL | READ | SIMPLE, 2048, read10(0, 4), &[]);
    let pdus = initiator.receive_read(itt);
    assert_eq!(pdus.len(), 2);
    let status = initiator.exp_stat_sn;
    text(&mut initiator, "512");
    assert_eq!(initiator.receive().opcode(), TEXT_RESPONSE);
    initiator.snack(R_DATA, itt, 0xabc, (0, 0));
    for number in 0..4_u32 {
        let pdu = initiator.receive();
        assert_eq!(pdu.opcode(), DATA_IN);
        assert_eq!((pdu.word(36), pdu.word(40)), (number, number * 512));
        // Without status: that comes by itself, with the tag and its old number.
        assert_eq!(pdu.header[1] & 0x01, 0);
        let start = number as usize * 512;
        assert_eq!(pdu.data, data[start..start + 512]);
    }
    let response = initiator.receive();
    assert_eq!((response.opcode(), response.itt()), (SCSI_RESPONSE, itt));
    assert_eq!((response.header[3], response.word(20)), (0, 0xabc));
    assert_eq!((response.word(24), response.word(36)), (status, 4));
    // From now on it is the one that is kept, and the new data.
    initiator.snack(STATUS, NIL, NIL, (status, 1));
    replica(&initiator.receive(), &response);
    initiator.snack(DATA_OR_R2T, itt, NIL, (3, 0));
    assert_eq!(initiator.receive().word(40), 1536);
    initiator.exp_stat_sn += 2;
    initiator.expect_silence();
}

#[test]
fn a_snack_may_come_before_the_answer() {
    let (server, mut initiator) = ready(KeyPolicy::default(), &[]);
    server.handle.faults().set_black_hole(0, true);
    let itt = initiator.command(FINAL | READ | SIMPLE, 512, read10(0, 1), &[]);
    // Nothing was sent: "all" is nothing, any number too many.
    initiator.snack(DATA_OR_R2T, itt, NIL, (0, 0));
    initiator.snack(R_DATA, itt, 0x77, (0, 0));
    initiator.snack(DATA_OR_R2T, itt, NIL, (0, 1));
    initiator.expect_reject(PROTOCOL_ERROR);
    // A write whose data is still to come keeps the tag for its answer.
    server.handle.faults().set_black_hole(0, false);
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    let tag = initiator.expect_unnumbered(R2T).word(20);
    initiator.snack(R_DATA, itt, 0x77, (0, 0));
    initiator.data_out(itt, tag, 0, 0, true, &[1; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).word(20), 0x77);
}

#[test]
fn an_r2t_is_sent_again() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[]);
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    let r2t = initiator.expect_unnumbered(R2T);
    for run in [(0, 1), (0, 0)] {
        initiator.snack(DATA_OR_R2T, itt, NIL, run);
        assert_eq!(initiator.expect_unnumbered(R2T), r2t);
    }
    initiator.snack(DATA_OR_R2T, itt, NIL, (1, 1));
    assert_eq!(initiator.expect_reject(PROTOCOL_ERROR).word(36), 1);
    initiator.data_out(itt, r2t.word(20), 0, 0, true, &[9; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    assert_eq!(initiator.read_blocks(0, 1), [9; 512]);
}

#[test]
fn lost_data_out_is_asked_for_again() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[]);
    let data = pattern(2, 2048);
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 2048, write10(0, 4), &[]);
    let tag = initiator.expect_unnumbered(R2T).word(20);
    // The second of four never came.
    for n in [0_usize, 2, 3] {
        let part = &data[n * 512..(n + 1) * 512];
        initiator.data_out(itt, tag, n as u32, n as u32 * 512, n == 3, part);
    }
    let again = initiator.expect_unnumbered(R2T);
    assert_eq!(
        (again.word(36), again.word(40), again.word(44)),
        (1, 512, 512)
    );
    assert_ne!(again.word(20), tag);
    initiator.data_out(itt, again.word(20), 0, 512, true, &data[512..1024]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    assert_eq!(initiator.read_blocks(0, 4), data);
}

#[test]
fn data_with_a_wrong_digest_is_rejected_and_asked_for_again() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[("DataDigest", "CRC32C")]);
    let data = pattern(3, 512);
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    let tag = initiator.expect_unnumbered(R2T).word(20);
    let bad = initiator.data_out_bytes(itt, tag, 0, 0, true, &data);
    initiator.send_spoilt(&bad);
    initiator.expect_reject(DATA_DIGEST_ERROR);
    let again = initiator.expect_unnumbered(R2T);
    assert_eq!(
        (again.word(36), again.word(40), again.word(44)),
        (1, 0, 512)
    );
    initiator.data_out(itt, again.word(20), 0, 0, true, &data);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    assert_eq!(initiator.read_blocks(0, 1), data);
}

#[test]
fn a_command_with_a_wrong_digest_is_rejected_and_tried_again() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[("DataDigest", "CRC32C")]);
    let data = pattern(3, 512);
    let command = initiator.command_header(FINAL | WRITE | SIMPLE, 512, write10(0, 1));
    let bad = initiator.encode(command, &data);
    initiator.send_spoilt(&bad);
    let reject = initiator.expect_reject(DATA_DIGEST_ERROR);
    // The number counts as not received.
    assert_eq!(reject.word(28), initiator.cmd_sn - 1);
    // What comes behind waits; the retry has the same number and tag. Twice does no harm.
    let read = initiator.command(FINAL | READ | SIMPLE, 512, read10(0, 1), &[]);
    initiator.send(command, &data);
    initiator.send(command, &data);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    let pdu = initiator.expect(DATA_IN);
    assert_eq!((pdu.itt(), &pdu.data[..]), (read, &data[..]));
    initiator.expect_silence();
}

#[test]
fn a_pdu_with_a_wrong_header_digest_is_skipped_where_that_is_wanted() {
    let policy = KeyPolicy {
        skip_bad_headers: true,
        ..KeyPolicy::default()
    };
    let keys = [("HeaderDigest", "CRC32C"), ("DataDigest", "CRC32C")];
    let (_server, mut initiator) = ready(policy, &keys);
    // A command is as good as lost: silence, then the retry.
    let command = initiator.command_header(FINAL | WRITE | SIMPLE, 512, write10(0, 1));
    let good = initiator.encode(command, &[1; 512]);
    let mut bad = good.clone();
    bad[33] ^= 1;
    initiator.send_bytes(&bad);
    initiator.expect_silence();
    initiator.send_bytes(&good);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    // A Data-Out of two is asked for again.
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 1024, write10(0, 2), &[]);
    let tag = initiator.expect_unnumbered(R2T).word(20);
    let mut bad = initiator.data_out_bytes(itt, tag, 0, 0, false, &[2; 512]);
    bad[20] ^= 1;
    initiator.send_bytes(&bad);
    initiator.data_out(itt, tag, 1, 512, true, &[3; 512]);
    let again = initiator.expect_unnumbered(R2T);
    assert_eq!((again.word(40), again.word(44)), (0, 512));
    initiator.data_out(itt, again.word(20), 0, 0, true, &[2; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    // Two in a row: nothing behind them can be trusted.
    let ping = header(NOP_OUT | IMMEDIATE, FINAL, NIL);
    let mut bad = initiator.encode(ping, &[]);
    bad[40] ^= 1;
    initiator.send_bytes(&[&bad[..], &bad[..]].concat());
    initiator.expect_closed();
}

#[test]
fn data_that_stays_away_is_asked_for_again() {
    let policy = KeyPolicy {
        sequence_timeout: Some(Duration::from_millis(50)),
        ..KeyPolicy::default()
    };
    let (_server, mut initiator) = ready(policy, &[("InitialR2T", "No")]);
    // 512 bytes were to come unasked.
    let itt = initiator.command(WRITE | SIMPLE, 1024, write10(0, 2), &[5; 512]);
    let again = initiator.expect_unnumbered(R2T);
    assert_eq!(
        (again.word(36), again.word(40), again.word(44)),
        (0, 512, 512)
    );
    let last = initiator.expect_unnumbered(R2T);
    assert_eq!((last.word(36), last.word(40), last.word(44)), (1, 512, 512));
    // The answer to the first comes too late, and is not minded.
    initiator.data_out(itt, again.word(20), 0, 512, true, &[1; 512]);
    initiator.data_out(itt, last.word(20), 0, 512, true, &[6; 512]);
    loop {
        let pdu = initiator.receive();
        if pdu.opcode() == SCSI_RESPONSE {
            assert_eq!(pdu.header[3], 0);
            break;
        }
        // The machine was slow: once more.
        assert_eq!(pdu.opcode(), R2T);
        initiator.data_out(itt, pdu.word(20), 0, 512, true, &[6; 512]);
    }
    initiator.exp_stat_sn += 1;
    assert_eq!(initiator.read_blocks(1, 1), [6; 512]);
}

#[test]
fn a_rejected_snack_ends_a_command_without_a_status() {
    let (server, mut initiator) = ready(KeyPolicy::default(), &[]);
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    initiator.expect_unnumbered(R2T);
    server.handle.faults().reject_next_snack();
    initiator.snack(DATA_OR_R2T, itt, NIL, (0, 0));
    // 11/13: read error - failed retransmission request.
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense(), (0x0b, 0x11, 0x13));
    initiator.expect_reject(SNACK_REJECT);
    // A command with a status keeps it.
    let (itt, pdus) = read_four(&mut initiator);
    server.handle.faults().reject_next_snack();
    initiator.snack(DATA_OR_R2T, itt, NIL, (0, 0));
    initiator.exp_stat_sn += 1;
    initiator.expect_reject(SNACK_REJECT);
    initiator.exp_stat_sn -= 2;
    initiator.snack(DATA_OR_R2T, itt, NIL, (3, 1));
    replica(&initiator.receive(), &pdus[3]);
}

#[test]
fn without_recovery_nothing_is_kept() {
    let server = Server::new();
    let mut initiator = server.log_in(&[]);
    initiator.hear_news();
    initiator.write_blocks(0, &[1; 512]);
    initiator.exp_stat_sn -= 1;
    initiator.snack(STATUS, NIL, NIL, (0, 0));
    initiator.exp_stat_sn += 1;
    initiator.expect_reject(SNACK_REJECT);
}
