//! What no honest initiator sends: the target closes, rejects or answers, and lives on.

use crate::raw::*;

/// A small generator, so that a failure can be had again by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A PDU that is right in most things and wrong in some.
fn pdu(random: &mut Random, cmd_sn: u32) -> ([u8; 48], Vec<u8>) {
    const OPCODES: [u8; 10] = [0, 1, 1, 2, 4, 5, 5, 6, 0x10, 0x1c];
    let opcode = OPCODES[random.below(10) as usize] | (random.below(2) as u8 * IMMEDIATE);
    let mut bytes = header(opcode, random.next() as u8, random.below(16) as u32);
    for at in [20, 36, 40] {
        let value = [0, 1, 512, NIL, random.next() as u32][random.below(5) as usize];
        put(&mut bytes, at, value);
    }
    put(&mut bytes, 24, cmd_sn.wrapping_add(random.below(4) as u32));
    let cdbs = [
        read10(0, 8),
        write10(0, 8),
        read10(u32::MAX, 9),
        [random.next() as u8; 16],
    ];
    if opcode & 0x3f == SCSI_COMMAND {
        put(&mut bytes, 20, random.below(9000) as u32);
        bytes[32..].copy_from_slice(&cdbs[random.below(4) as usize]);
    }
    let data = vec![random.next() as u8; random.below(3) as usize * random.below(700) as usize];
    (bytes, data)
}

#[test]
fn random_pdus_do_no_harm() {
    let server = Server::new();
    for seed in 1..40_u64 {
        let mut random = Random(seed * 0x9e37_79b9);
        let mut initiator = server.connect();
        initiator.isid[5] = 0x77;
        initiator.log_in(&[("InitialR2T", "No")]);
        let mut bytes = Vec::new();
        for _ in 0..200 {
            let (header, data) = pdu(&mut random, initiator.cmd_sn);
            bytes.extend(initiator.encode(header, &data));
        }
        // The target may close before it has read all.
        initiator.try_send_bytes(&bytes);
        // Whatever happened, others are served.
        let mut other = server.log_in(&[]);
        other.hear_news();
        other.read_in_spite_of_resets();
    }
    // And all those sessions end with their connections.
    server.until("no session is left", |handle| handle.sessions().is_empty());
}

#[test]
fn random_pdus_do_no_harm_with_recovery() {
    let server = Server::with_policy(hawser_target::KeyPolicy {
        data_sequence_in_order: false,
        data_pdu_in_order: false,
        data_ack_every: Some(512),
        sequence_timeout: Some(std::time::Duration::from_millis(20)),
        ..Default::default()
    });
    let keys = [
        ("InitialR2T", "No"),
        ("ErrorRecoveryLevel", "2"),
        ("iSCSIProtocolLevel", "2"),
        ("TaskReporting", "FastAbort"),
        ("MaxConnections", "4"),
        ("MaxOutstandingR2T", "3"),
        ("MaxBurstLength", "1024"),
        ("FirstBurstLength", "1024"),
        ("DataSequenceInOrder", "No"),
        ("DataPDUInOrder", "No"),
        ("DefaultTime2Wait", "0"),
        ("DefaultTime2Retain", "1"),
    ];
    for seed in 1..60_u64 {
        server.handle.faults().set_disorder(Some(seed));
        server.handle.faults().set_echo(seed % 2 == 0);
        let mut random = Random(seed * 0x9e37_79b9);
        let mut one = server.connect();
        one.isid[5] = 0x77;
        one.log_in(&keys);
        let mut connections = vec![one];
        for cid in [2, 3, 2] {
            connections.extend(server.try_join(&connections[0], cid));
        }
        for _ in 0..40 {
            let index = random.below(connections.len() as u64) as usize;
            let connection = &mut connections[index];
            let mut bytes = Vec::new();
            for _ in 0..5 {
                let (mut header, data) = pdu(&mut random, connection.cmd_sn);
                // Now and then what was sent so far is acknowledged, and tasks go from one
                // connection to the other.
                put(&mut header, 28, random.below(30) as u32);
                if header[0] & 0x3f == TMF_REQUEST && random.below(2) == 0 {
                    (header[0], header[1]) = (TMF_REQUEST | IMMEDIATE, FINAL | 8);
                }
                if header[0] & 0x3f == LOGOUT_REQUEST {
                    (header[1], header[20], header[21]) = (FINAL | 2, 0, random.below(4) as u8);
                }
                bytes.extend(connection.encode(header, &data));
            }
            connection.try_send_bytes(&bytes);
        }
        drop(connections);
        let mut other = server.log_in(&[]);
        other.hear_news();
        other.read_in_spite_of_resets();
    }
    server.until("no session is left", |handle| handle.sessions().is_empty());
}

#[test]
fn random_bytes_do_no_harm() {
    let server = Server::new();
    for seed in 1..200_u64 {
        let mut random = Random(seed);
        let mut initiator = server.connect();
        let bytes: Vec<u8> = (0..random.below(600))
            .map(|_| random.next() as u8)
            .collect();
        initiator.try_send_bytes(&bytes);
    }
    server.log_in(&[]).hear_news();
}

#[test]
fn an_initiator_that_reads_nothing_is_not_answered_for_ever() {
    let server = Server::new();
    let mut initiator = server.log_in(&[("MaxRecvDataSegmentLength", "262144")]);
    initiator.hear_news();
    // Immediate pings are outside the window: only the backlog stops them.
    let mut ping = header(NOP_OUT | IMMEDIATE, FINAL, 5);
    put(&mut ping, 20, NIL);
    put(&mut ping, 24, initiator.cmd_sn);
    let one = initiator.encode(ping, &pattern(1, 128 * 1024));
    let mut sent = 0_u64;
    while sent < 1 << 30 && initiator.send_unless_full(&one) {
        sent += one.len() as u64;
    }
    assert!(
        sent < 200 << 20,
        "{sent} bytes were taken and none of the answers read"
    );
}

impl Initiator {
    /// Reads a block. Resets by others may come in between, and are told of each once.
    fn read_in_spite_of_resets(&mut self) {
        let resets = 200;
        for _ in 0..resets {
            self.command(FINAL | READ | SIMPLE, 512, read10(1, 1), &[]);
            let pdu = self.receive();
            self.exp_stat_sn += 1;
            if pdu.opcode() == DATA_IN {
                return;
            }
            assert_eq!(pdu.sense(), (0x06, 0x29, 0x03));
        }
        panic!("more resets than the others have sent");
    }
}
