//! RFC 7143 §11.2.2, §11.3.3, §11.4.5: additional headers, long CDBs, data both ways.

use hawser_target::KeyPolicy;

use crate::raw::*;

/// The test command that gives back its CDB and its data out.
const ECHO: u8 = 0xd0;

/// Header types of §11.2.2.
const EXTENDED_CDB: u8 = 1;
const BIDI_READ_LENGTH: u8 = 2;

/// A CDB of so many bytes.
fn cdb(length: usize) -> Vec<u8> {
    let mut cdb = pattern(0x11, length);
    cdb[0] = ECHO;
    cdb
}

/// One additional header with its reserved byte, content and padding.
fn additional(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = (content.len() as u16 + 1).to_be_bytes().to_vec();
    bytes.extend_from_slice(&[kind, 0]);
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn ready(keys: &[(&str, &str)]) -> (Server, Initiator) {
    let server = Server::with_policy(KeyPolicy {
        max_burst: 1024,
        first_burst: 1024,
        ..KeyPolicy::default()
    });
    server.handle.faults().set_echo(true);
    let mut all = vec![("MaxBurstLength", "1024"), ("FirstBurstLength", "1024")];
    all.extend_from_slice(keys);
    let mut initiator = server.log_in(&all);
    initiator.hear_news();
    (server, initiator)
}

impl Initiator {
    /// Sends a command with the head of its CDB and these additional headers.
    fn long_command(
        &mut self,
        flags: u8,
        length: u32,
        head: &[u8],
        ahs: &[u8],
        data: &[u8],
    ) -> u32 {
        let head: [u8; 16] = head[..16].try_into().unwrap();
        let header = self.command_header(flags, length, head);
        let bytes = self.encode_with(header, ahs, data);
        self.send_bytes(&bytes);
        u32::from_be_bytes(header[16..20].try_into().unwrap())
    }
}

#[test]
fn cdbs_of_any_length_arrive_whole() {
    let (_server, mut initiator) = ready(&[("HeaderDigest", "CRC32C")]);
    for length in [17, 20, 32, 259, 260] {
        let cdb = cdb(length);
        let ahs = additional(EXTENDED_CDB, &cdb[16..]);
        initiator.long_command(FINAL | READ | SIMPLE, 512, &cdb, &ahs, &[]);
        let pdu = initiator.expect(DATA_IN);
        assert_eq!(pdu.data, cdb, "{length}");
        // Underflow: the CDB is all there is.
        assert_eq!(
            (pdu.header[1] & 0x02, pdu.word(44)),
            (2, 512 - length as u32)
        );
    }
}

#[test]
fn without_the_test_command_a_long_cdb_is_unknown() {
    let (server, mut initiator) = ready(&[]);
    server.handle.faults().set_echo(false);
    let cdb = cdb(32);
    let ahs = additional(EXTENDED_CDB, &cdb[16..]);
    initiator.long_command(FINAL | READ | SIMPLE, 512, &cdb, &ahs, &[]);
    // 20/00: invalid command operation code.
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense(), (0x05, 0x20, 0x00));
    initiator.read_blocks(0, 1);
}

#[test]
fn headers_that_make_no_sense_are_rejected() {
    let (_server, mut initiator) = ready(&[]);
    let twice = [
        additional(BIDI_READ_LENGTH, &[0; 4]),
        additional(BIDI_READ_LENGTH, &[0; 4]),
    ];
    for (flags, ahs) in [
        // A reserved type, a wrong length, the same twice, and no read length where one must be.
        (READ, additional(9, &[1, 2, 3, 4])),
        (READ, additional(BIDI_READ_LENGTH, &[1, 2])),
        (READ | WRITE, twice.concat()),
        (READ | WRITE, Vec::new()),
    ] {
        let number = initiator.cmd_sn;
        initiator.long_command(FINAL | flags | SIMPLE, 0, &cdb(16), &ahs, &[]);
        let reject = initiator.expect(REJECT);
        assert!([0x04, 0x09].contains(&reject.header[2]), "{reject:02x?}");
        assert_eq!(reject.word(28), number);
        initiator.cmd_sn = number;
    }
    initiator.read_blocks(0, 1);
}

#[test]
fn data_goes_both_ways_in_one_command() {
    let keys = [
        ("ErrorRecoveryLevel", "1"),
        ("MaxRecvDataSegmentLength", "1024"),
    ];
    let (_server, mut initiator) = ready(&keys);
    let (cdb, data) = (cdb(16), pattern(2, 2048));
    let ahs = additional(BIDI_READ_LENGTH, &4000_u32.to_be_bytes());
    let flags = FINAL | READ | WRITE | SIMPLE;
    let itt = initiator.long_command(flags, 2048, &cdb, &ahs, &[]);
    for n in 0..2 {
        let r2t = initiator.expect_unnumbered(R2T);
        assert_eq!((r2t.itt(), r2t.word(36), r2t.word(40)), (itt, n, n * 1024));
        let start = n as usize * 1024;
        initiator.data_out(
            itt,
            r2t.word(20),
            0,
            n * 1024,
            true,
            &data[start..start + 1024],
        );
    }
    // Data-In is numbered behind the R2Ts; the status comes by itself.
    let mut came = Vec::new();
    for n in 2..5 {
        let pdu = initiator.expect_unnumbered(DATA_IN);
        assert_eq!((pdu.itt(), pdu.word(36)), (itt, n));
        assert_eq!(pdu.header[1] & 0x01, 0);
        came.push(pdu);
    }
    let bytes: Vec<u8> = came.iter().flat_map(|pdu| pdu.data.clone()).collect();
    assert_eq!(bytes, [&cdb[..], &data[..]].concat());
    let response = initiator.receive();
    assert_eq!(response.opcode(), SCSI_RESPONSE);
    initiator.snack(0, itt, NIL, (3, 1));
    assert_eq!(initiator.expect_unnumbered(DATA_IN).data, came[1].data);
    initiator.exp_stat_sn += 1;
    assert_eq!((response.itt(), response.header[3]), (itt, 0));
    // Nothing left to write; 4000 - 16 - 2048 bytes less read than expected (u).
    assert_eq!(response.header[1], FINAL | 0x08);
    assert_eq!(
        (response.word(36), response.word(40)),
        (3, 4000 - 16 - 2048)
    );
    initiator.expect_silence();
}

#[test]
fn a_command_of_one_direction_moves_nothing_in_the_other() {
    let (_server, mut initiator) = ready(&[]);
    let ahs = additional(BIDI_READ_LENGTH, &100_u32.to_be_bytes());
    let flags = FINAL | READ | WRITE | SIMPLE;
    initiator.long_command(flags, 512, &write10(0, 1), &ahs, &[5; 512]);
    let response = initiator.expect(SCSI_RESPONSE);
    assert_eq!((response.header[1], response.word(40)), (FINAL | 0x08, 100));
    let ahs = additional(BIDI_READ_LENGTH, &512_u32.to_be_bytes());
    initiator.long_command(flags, 100, &read10(0, 1), &ahs, &[0; 100]);
    assert_eq!(initiator.expect_unnumbered(DATA_IN).data, [5; 512]);
    let response = initiator.expect(SCSI_RESPONSE);
    // U for what was not written.
    assert_eq!((response.header[1], response.word(44)), (FINAL | 0x02, 100));
}
