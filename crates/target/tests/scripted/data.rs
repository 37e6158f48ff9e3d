//! RFC 7143 §4.2.5.2, §11.3, §11.4, §11.7, §11.8: data both ways, status, residuals.

use hawser_target::KeyPolicy;

use crate::raw::*;

/// O and U of SCSI Response and Data-In.
const OVERFLOW: u8 = 0x04;
const UNDERFLOW: u8 = 0x02;

fn ready(policy: KeyPolicy, keys: &[(&str, &str)]) -> (Server, Initiator) {
    let server = Server::with_policy(policy);
    let mut initiator = server.log_in(keys);
    initiator.hear_news();
    (server, initiator)
}

#[test]
fn reads_come_in_sequences_with_the_status_in_the_last_pdu() {
    let keys = [
        ("MaxRecvDataSegmentLength", "1024"),
        ("MaxBurstLength", "2560"),
        ("FirstBurstLength", "2560"),
    ];
    let (_server, mut initiator) = ready(KeyPolicy::default(), &keys);
    let data = pattern(9, 6 * 1024);
    for (n, part) in data.chunks(1024).enumerate() {
        initiator.write_blocks(n as u32 * 2, part);
    }
    let itt = initiator.command(FINAL | READ | SIMPLE, 6 * 1024, read10(0, 12), &[]);
    let mut offset = 0;
    // Pieces end at 1024 bytes and where a burst of 2560 ends.
    let lengths = [1024, 1024, 512, 1024, 1024, 512, 1024];
    for (data_sn, length) in lengths.into_iter().enumerate() {
        let pdu = initiator.receive();
        assert_eq!(
            (pdu.opcode(), pdu.itt(), pdu.data.len()),
            (DATA_IN, itt, length)
        );
        assert_eq!((pdu.word(36), pdu.word(40)), (data_sn as u32, offset));
        assert_eq!(pdu.word(20), NIL);
        assert_eq!(pdu.data, data[offset as usize..offset as usize + length]);
        offset += length as u32;
        let wanted = match (length, data_sn) {
            (_, 6) => FINAL | 0x01,
            (512, _) => FINAL,
            _ => 0,
        };
        assert_eq!(pdu.header[1], wanted, "PDU {data_sn}");
    }
    initiator.exp_stat_sn += 1;
    initiator.expect_silence();
}

#[test]
fn long_reads_are_right_too() {
    let (_server, mut initiator) = ready(
        KeyPolicy::default(),
        &[
            ("MaxRecvDataSegmentLength", "65536"),
            ("MaxBurstLength", "1048576"),
        ],
    );
    let data = pattern(0x33, 256 * 1024);
    initiator.write_blocks_with_r2t(100, &data);
    assert_eq!(initiator.read_blocks(100, 512), data);
    assert_eq!(initiator.read_blocks(101, 511), data[512..]);
    assert_eq!(initiator.read_blocks(100, 1), data[..512]);
}

#[test]
fn residuals_tell_what_was_not_moved() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[]);
    let data = pattern(1, 1024);
    initiator.write_blocks(0, &data);
    // Read: two blocks, of which 600 bytes, all, and 2000 bytes are expected.
    for (expected, sent, flags, residual) in [
        (600, 600, OVERFLOW, 424),
        (1024, 1024, 0, 0),
        (2000, 1024, UNDERFLOW, 976),
    ] {
        initiator.command(FINAL | READ | SIMPLE, expected, read10(0, 2), &[]);
        let pdu = initiator.expect(DATA_IN);
        assert_eq!(pdu.header[1], FINAL | 0x01 | flags, "{expected}");
        assert_eq!(
            (pdu.word(44), &pdu.data[..]),
            (residual, &data[..sent]),
            "{expected}"
        );
    }
    // No data expected at all.
    initiator.command(FINAL | SIMPLE, 0, read10(0, 2), &[]);
    let pdu = initiator.expect(SCSI_RESPONSE);
    assert_eq!(
        (pdu.header[1], pdu.header[3], pdu.word(44)),
        (FINAL | OVERFLOW, 0, 1024)
    );
    // Write: one block, of which 100 bytes more come.
    initiator.command(FINAL | WRITE | SIMPLE, 612, write10(0, 1), &pattern(2, 612));
    let pdu = initiator.expect(SCSI_RESPONSE);
    assert_eq!(
        (pdu.header[1], pdu.header[3], pdu.word(44)),
        (FINAL | UNDERFLOW, 0, 100)
    );
    assert_eq!(initiator.read_blocks(0, 1), pattern(2, 512));
    // A command that fails moves nothing.
    initiator.command(FINAL | READ | SIMPLE, 512, read10(0x7fff_ffff, 1), &[]);
    let pdu = initiator.expect(SCSI_RESPONSE);
    assert_eq!(pdu.sense(), (0x05, 0x21, 0x00));
    assert_eq!((pdu.header[1], pdu.word(44)), (FINAL | UNDERFLOW, 512));
}

#[test]
fn writes_ask_for_what_did_not_come() {
    let policy = KeyPolicy {
        max_burst: 2048,
        first_burst: 1024,
        ..KeyPolicy::default()
    };
    let keys = [
        ("InitialR2T", "No"),
        ("MaxBurstLength", "2048"),
        ("FirstBurstLength", "1024"),
        ("MaxOutstandingR2T", "2"),
    ];
    let (_server, mut initiator) = ready(policy, &keys);
    let data = pattern(7, 8192);
    // 512 bytes come along, 512 more unasked, the rest in three sequences of which two are open.
    let itt = initiator.command(WRITE | SIMPLE, 8192, write10(0, 16), &data[..512]);
    initiator.data_out(itt, NIL, 0, 512, true, &data[512..1024]);
    let mut open = vec![
        initiator.expect_unnumbered(R2T),
        initiator.expect_unnumbered(R2T),
    ];
    for n in 0..4_u32 {
        let r2t = open.remove(0);
        let offset = 1024 + n * 2048;
        let length = 2048.min(8192 - offset);
        assert_eq!((r2t.itt(), r2t.word(36)), (itt, n));
        assert_eq!((r2t.word(40), r2t.word(44)), (offset, length));
        assert_ne!(r2t.word(20), NIL);
        let (start, end) = (offset as usize, (offset + length) as usize);
        let middle = start + 512;
        initiator.data_out(itt, r2t.word(20), 0, offset, false, &data[start..middle]);
        initiator.data_out(
            itt,
            r2t.word(20),
            1,
            middle as u32,
            true,
            &data[middle..end],
        );
        if n + 2 < 4 {
            open.push(initiator.expect_unnumbered(R2T));
        }
    }
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    assert_eq!(initiator.read_blocks(0, 16), data);
}

#[test]
fn data_may_come_before_the_command_has_its_turn() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[("InitialR2T", "No")]);
    let data = pattern(4, 1024);
    let late = initiator.command_header(FINAL | READ | SIMPLE, 512, read10(1, 1));
    let itt = initiator.command(WRITE | SIMPLE, 1024, write10(0, 2), &[]);
    initiator.data_out(itt, NIL, 0, 0, true, &data);
    initiator.expect_silence();
    initiator.send(late, &[]);
    assert_eq!(initiator.expect(DATA_IN).data, [0; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).itt(), itt);
    assert_eq!(initiator.read_blocks(0, 2), data);
}

#[test]
fn unexpected_unsolicited_data_is_0c_0c() {
    // In R2T mode the F bit must be set; the answer waits for the last of the data.
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[("InitialR2T", "Yes")]);
    let itt = initiator.command(WRITE | SIMPLE, 512, write10(0, 1), &[]);
    initiator.expect_silence();
    initiator.data_out(itt, NIL, 0, 0, true, &[0x55; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense(), (0x0b, 0x0c, 0x0c));
    // Immediate data where there is to be none.
    let policy = KeyPolicy {
        immediate_data: false,
        ..KeyPolicy::default()
    };
    let (_server, mut initiator) = ready(policy, &[("ImmediateData", "Yes")]);
    initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[0x55; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense(), (0x0b, 0x0c, 0x0c));
    assert_eq!(initiator.read_blocks(0, 1), [0; 512]);
}

#[test]
fn a_wrong_amount_of_data_is_0c_0d() {
    let keys = [("InitialR2T", "No"), ("FirstBurstLength", "1024")];
    let (_server, mut initiator) = ready(KeyPolicy::default(), &keys);
    // Too much at once, too little in the end, too much in the end.
    initiator.command(FINAL | WRITE | SIMPLE, 2048, write10(0, 4), &[0x55; 1536]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense(), (0x0b, 0x0c, 0x0d));
    for length in [512, 1536] {
        let itt = initiator.command(WRITE | SIMPLE, 2048, write10(0, 4), &[]);
        initiator.data_out(itt, NIL, 0, 0, true, &vec![0x55; length]);
        assert_eq!(
            initiator.expect(SCSI_RESPONSE).sense(),
            (0x0b, 0x0c, 0x0d),
            "{length}"
        );
    }
    // Less than an R2T asked for.
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    let r2t = initiator.expect_unnumbered(R2T);
    initiator.data_out(itt, r2t.word(20), 0, 0, true, &[0x55; 256]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense(), (0x0b, 0x0c, 0x0d));
    assert_eq!(initiator.read_blocks(0, 4), [0; 2048]);
}

#[test]
fn a_wrong_transfer_tag_is_rejected_and_the_task_goes_on() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[]);
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    let r2t = initiator.expect_unnumbered(R2T);
    initiator.data_out(itt, r2t.word(20) ^ 0x100, 0, 0, true, &[0x55; 512]);
    let reject = initiator.expect(REJECT);
    // Reason 09: invalid PDU field; the header comes back.
    assert_eq!(
        (reject.header[2], reject.itt(), reject.data.len()),
        (0x09, NIL, 48)
    );
    assert_eq!(reject.data[0], DATA_OUT);
    initiator.data_out(itt, r2t.word(20), 0, 0, true, &[0x66; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    assert_eq!(initiator.read_blocks(0, 1), [0x66; 512]);
}

#[test]
fn a_gap_in_data_sn_is_a_lost_pdu() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[]);
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 1024, write10(0, 2), &[]);
    let r2t = initiator.expect_unnumbered(R2T);
    initiator.data_out(itt, r2t.word(20), 0, 0, false, &[0x55; 512]);
    initiator.data_out(itt, r2t.word(20), 2, 512, true, &[0x55; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense(), (0x0b, 0x47, 0x05));
}

#[test]
fn a_lun_without_a_disk_says_so() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[]);
    let mut pdu = initiator.command_header(FINAL | SIMPLE, 0, [0; 16]);
    pdu[9] = 5;
    initiator.send(pdu, &[]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense(), (0x05, 0x25, 0x00));
    // Nothing is asked for that would be thrown away.
    let mut pdu = initiator.command_header(FINAL | WRITE | SIMPLE, 512, write10(0, 1));
    pdu[9] = 5;
    initiator.send(pdu, &[]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense(), (0x05, 0x25, 0x00));
    // REPORT LUNS: one LUN, number 0.
    let mut cdb = [0; 16];
    (cdb[0], cdb[9]) = (0xa0, 64);
    initiator.command(FINAL | READ | SIMPLE, 64, cdb, &[]);
    let pdu = initiator.expect(DATA_IN);
    assert_eq!(pdu.data, [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        (pdu.header[1], pdu.word(44)),
        (FINAL | 0x01 | UNDERFLOW, 48)
    );
}

#[test]
fn long_cdbs_are_read_from_the_additional_header_and_refused() {
    let (_server, mut initiator) = ready(KeyPolicy::default(), &[]);
    let mut cdb = [0; 16];
    cdb[0] = 0x7f;
    let mut pdu = initiator.command_header(FINAL | SIMPLE, 0, cdb);
    pdu[4] = 5;
    let mut bytes = initiator.encode(pdu, &[]);
    // AHSLength 17 = a reserved byte and 16 bytes of CDB; type 1.
    bytes.extend_from_slice(&[0, 17, 1, 0]);
    bytes.extend_from_slice(&[0; 16]);
    initiator.send_bytes(&bytes);
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense().0, 0x05);
    // A type nobody defined.
    let mut pdu = initiator.command_header(FINAL | SIMPLE, 0, cdb);
    initiator.cmd_sn -= 1;
    pdu[4] = 1;
    let mut bytes = initiator.encode(pdu, &[]);
    bytes.extend_from_slice(&[0, 1, 9, 0]);
    initiator.send_bytes(&bytes);
    assert_eq!(initiator.expect(REJECT).header[2], 0x09);
    assert_eq!(initiator.read_blocks(0, 1).len(), 512);
}

#[test]
fn digests_are_checked_on_arrival() {
    let keys = [("HeaderDigest", "CRC32C"), ("DataDigest", "CRC32C")];
    let (_server, mut initiator) = ready(KeyPolicy::default(), &keys);
    initiator.write_blocks(0, &pattern(5, 1024));
    assert_eq!(initiator.read_blocks(0, 2), pattern(5, 1024));
    // A command whose data is spoilt counts as not received.
    let pdu = initiator.command_header(FINAL | WRITE | SIMPLE, 512, write10(0, 1));
    let good = initiator.encode(pdu, &[0x77; 512]);
    let mut spoilt = good.clone();
    spoilt[60] ^= 1;
    initiator.send_bytes(&spoilt);
    let reject = initiator.expect(REJECT);
    assert_eq!((reject.header[2], reject.data[0]), (0x02, SCSI_COMMAND));
    initiator.send_bytes(&good);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    // Spoilt Data-Out: rejected, and the task ends with a CRC error when all has come.
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 1024, write10(0, 2), &[]);
    let ttt = initiator.expect_unnumbered(R2T).word(20);
    let mut out = header(DATA_OUT, 0, itt);
    put(&mut out, 20, ttt);
    let mut spoilt = initiator.encode(out, &[0x77; 512]);
    *spoilt.last_mut().unwrap() ^= 1;
    initiator.send_bytes(&spoilt);
    assert_eq!(initiator.expect(REJECT).header[2], 0x02);
    initiator.data_out(itt, ttt, 1, 512, true, &[0x77; 512]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense(), (0x0b, 0x47, 0x05));
    // A spoilt header: nothing after it can be trusted.
    let pdu = initiator.command_header(FINAL | SIMPLE, 0, [0; 16]);
    let mut spoilt = initiator.encode(pdu, &[]);
    spoilt[33] ^= 1;
    initiator.send_bytes(&spoilt);
    initiator.expect_closed();
}

#[test]
fn more_data_than_was_declared_closes_the_connection() {
    let policy = KeyPolicy {
        max_recv_data_segment: 1024,
        ..KeyPolicy::default()
    };
    let (_server, mut initiator) = ready(policy, &[]);
    let pdu = initiator.command_header(FINAL | WRITE | SIMPLE, 1536, write10(0, 3));
    let bytes = initiator.encode(pdu, &[0; 1536]);
    initiator.send_bytes(&bytes[..48]);
    initiator.expect_closed();
}

#[test]
fn a_file_is_served_by_workers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    let file = hawser_target::disk::FileBackend::create(&path, 4 << 20).unwrap();
    let target = hawser_target::TargetConfig::new(IQN).unwrap();
    let server = Server::with_target(target.lun(0, unit(std::sync::Arc::new(file))));
    let mut initiator = server.log_in(&[]);
    initiator.hear_news();
    let data = pattern(8, 128 * 1024);
    initiator.write_blocks_with_r2t(16, &data);
    for n in 0..32_u32 {
        initiator.command(FINAL | READ | SIMPLE, 4096, read10(16 + n * 8, 8), &[]);
    }
    let mut answered = [false; 32];
    for _ in 0..32 {
        let pdu = initiator.expect(DATA_IN);
        let found = data
            .chunks(4096)
            .position(|chunk| chunk == pdu.data)
            .unwrap();
        answered[found] = true;
    }
    // Every chunk of the pattern differs from the others that were asked for.
    assert!(answered.iter().filter(|seen| **seen).count() >= 16);
    assert_eq!(
        std::fs::read(&path).unwrap()[16 * 512..][..data.len()],
        data
    );
}

impl Initiator {
    /// Writes blocks, all of which are asked for in sequences of up to 1 MiB.
    pub(crate) fn write_blocks_with_r2t(&mut self, lba: u32, data: &[u8]) {
        let (length, blocks) = (data.len() as u32, (data.len() / 512) as u16);
        let itt = self.command(FINAL | WRITE | SIMPLE, length, write10(lba, blocks), &[]);
        let mut asked = 0;
        while asked < data.len() {
            let r2t = self.expect_unnumbered(R2T);
            let (offset, wanted) = (r2t.word(40) as usize, r2t.word(44) as usize);
            let parts: Vec<&[u8]> = data[offset..offset + wanted].chunks(65_536).collect();
            for (n, part) in parts.iter().enumerate() {
                let at = (offset + n * 65_536) as u32;
                self.data_out(itt, r2t.word(20), n as u32, at, n + 1 == parts.len(), part);
            }
            asked += wanted;
        }
        assert_eq!(self.expect(SCSI_RESPONSE).header[3], 0);
    }
}
