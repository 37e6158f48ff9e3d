//! The scripted initiator and the server it talks to.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use hawser_target::disk::{Backend, LogicalUnit, RamBackend, UnitIdentity};
use hawser_target::{KeyPolicy, TargetConfig, TargetHandle, TargetServer};
use tokio::runtime::Runtime;

pub(crate) const IQN: &str = "iqn.2024-01.test:disk";
pub(crate) const INITIATOR: &str = "iqn.2024-01.test:scripted";
pub(crate) const NIL: u32 = 0xffff_ffff;

/// Long enough for the slowest machine; nothing here waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

/// RFC 7143 §11.2.1.2, requests.
pub(crate) const NOP_OUT: u8 = 0x00;
pub(crate) const SCSI_COMMAND: u8 = 0x01;
pub(crate) const TMF_REQUEST: u8 = 0x02;
pub(crate) const LOGIN_REQUEST: u8 = 0x03;
pub(crate) const TEXT_REQUEST: u8 = 0x04;
pub(crate) const DATA_OUT: u8 = 0x05;
pub(crate) const LOGOUT_REQUEST: u8 = 0x06;
pub(crate) const SNACK: u8 = 0x10;
/// RFC 7143 §11.2.1.2, responses.
pub(crate) const NOP_IN: u8 = 0x20;
pub(crate) const SCSI_RESPONSE: u8 = 0x21;
pub(crate) const TMF_RESPONSE: u8 = 0x22;
pub(crate) const LOGIN_RESPONSE: u8 = 0x23;
pub(crate) const TEXT_RESPONSE: u8 = 0x24;
pub(crate) const DATA_IN: u8 = 0x25;
pub(crate) const LOGOUT_RESPONSE: u8 = 0x26;
pub(crate) const R2T: u8 = 0x31;
pub(crate) const ASYNC: u8 = 0x32;
pub(crate) const REJECT: u8 = 0x3f;

/// Bit 1 of byte 0: immediate delivery.
pub(crate) const IMMEDIATE: u8 = 0x40;
/// Bits of byte 1.
pub(crate) const FINAL: u8 = 0x80;
pub(crate) const READ: u8 = 0x40;
pub(crate) const WRITE: u8 = 0x20;
pub(crate) const SIMPLE: u8 = 0x01;

/// A server with its own runtime.
pub(crate) struct Server {
    pub(crate) runtime: Runtime,
    pub(crate) handle: TargetHandle,
}

impl Server {
    /// One target with a RAM disk of 8 MiB at LUN 0, and this policy.
    pub(crate) fn with_policy(policy: KeyPolicy) -> Self {
        Self::with_target(target().policy(policy))
    }

    pub(crate) fn new() -> Self {
        Self::with_target(target())
    }

    pub(crate) fn with_target(target: TargetConfig) -> Self {
        Self::start(TargetServer::builder().portal(localhost()).target(target))
    }

    pub(crate) fn start(server: TargetServer) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let handle = runtime.block_on(server.start()).unwrap();
        Self { runtime, handle }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.handle.local_addrs()[0]
    }

    pub(crate) fn connect(&self) -> Initiator {
        Initiator::connect(self.address())
    }

    /// A connection in the full feature phase, with these operational keys.
    pub(crate) fn log_in(&self, keys: &[(&str, &str)]) -> Initiator {
        let mut initiator = self.connect();
        initiator.log_in(keys);
        initiator
    }

    /// Another connection of the session of `leader`, without session-wide keys.
    pub(crate) fn join(&self, leader: &Initiator, cid: u16) -> Initiator {
        self.join_with(leader, cid, &[])
    }

    /// The same with these keys of the connection.
    pub(crate) fn join_with(
        &self,
        leader: &Initiator,
        cid: u16,
        keys: &[(&str, &str)],
    ) -> Initiator {
        let mut initiator = self.connect();
        (initiator.cid, initiator.tsih) = (cid, leader.tsih);
        (initiator.isid, initiator.cmd_sn) = (leader.isid, leader.cmd_sn);
        // Task tags are unique in the session.
        initiator.next_itt = u32::from(cid) << 16;
        let mut all = Initiator::further_names();
        all.extend_from_slice(keys);
        let response = initiator.log_in_as(&all);
        assert_eq!(response.half(14), leader.tsih);
        initiator
    }

    /// The same if the server lets it, which another fate of the session may have made impossible.
    pub(crate) fn try_join(&self, leader: &Initiator, cid: u16) -> Option<Initiator> {
        let mut initiator = self.connect();
        (initiator.cid, initiator.tsih) = (cid, leader.tsih);
        (initiator.isid, initiator.cmd_sn) = (leader.isid, leader.cmd_sn);
        let response = initiator.login_step(0x87, &Initiator::further_names());
        (response.login_status() == 0).then_some(initiator)
    }

    /// Waits until the server sees something.
    pub(crate) fn until(&self, what: &str, seen: impl Fn(&TargetHandle) -> bool) {
        let start = std::time::Instant::now();
        while !seen(&self.handle) {
            assert!(start.elapsed() < PATIENCE, "never: {what}");
            std::thread::yield_now();
        }
    }
}

pub(crate) fn localhost() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) fn unit(backend: Arc<dyn Backend>) -> Arc<LogicalUnit> {
    let identity = UnitIdentity::from_key("scripted");
    Arc::new(LogicalUnit::new(backend, 512, identity).unwrap())
}

pub(crate) fn ram() -> Arc<LogicalUnit> {
    unit(Arc::new(RamBackend::new(8 << 20).unwrap()))
}

pub(crate) fn target() -> TargetConfig {
    TargetConfig::new(IQN).unwrap().lun(0, ram())
}

/// A PDU as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pdu {
    pub(crate) header: [u8; 48],
    pub(crate) data: Vec<u8>,
}

impl Pdu {
    pub(crate) fn opcode(&self) -> u8 {
        self.header[0] & 0x3f
    }

    /// The 32-bit field at this byte.
    pub(crate) fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.header[at..at + 4].try_into().unwrap())
    }

    /// The 16-bit field at this byte.
    pub(crate) fn half(&self, at: usize) -> u16 {
        u16::from_be_bytes(self.header[at..at + 2].try_into().unwrap())
    }

    pub(crate) fn itt(&self) -> u32 {
        self.word(16)
    }

    /// Status-Class and Status-Detail of a Login Response.
    pub(crate) fn login_status(&self) -> u16 {
        assert_eq!(self.opcode(), LOGIN_RESPONSE, "{self:02x?}");
        self.half(36)
    }

    /// Sense key, ASC and ASCQ of a SCSI Response with fixed format sense.
    pub(crate) fn sense(&self) -> (u8, u8, u8) {
        assert_eq!(
            (self.opcode(), self.header[3]),
            (SCSI_RESPONSE, 0x02),
            "{self:02x?}"
        );
        let length = u16::from_be_bytes([self.data[0], self.data[1]]);
        assert_eq!(usize::from(length), self.data.len() - 2);
        assert_eq!(self.data[2] & 0x7f, 0x70);
        (
            self.data[2 + 2] & 0x0f,
            self.data[2 + 12],
            self.data[2 + 13],
        )
    }

    /// The text of the data segment, a line a pair.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.data.clone())
            .unwrap()
            .replace('\0', "\n")
    }
}

/// A header with an opcode byte, byte 1 and an ITT.
pub(crate) fn header(opcode: u8, flags: u8, itt: u32) -> [u8; 48] {
    let mut header = [0; 48];
    header[0] = opcode;
    header[1] = flags;
    put(&mut header, 16, itt);
    header
}

pub(crate) fn put(header: &mut [u8; 48], at: usize, value: u32) {
    header[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// `key=value` pairs as text.
pub(crate) fn text(keys: &[(&str, &str)]) -> Vec<u8> {
    keys.iter()
        .flat_map(|(key, value)| format!("{key}={value}\0").into_bytes())
        .collect()
}

/// CRC32C bit by bit, as RFC 7143 §13.1 describes it.
pub(crate) fn crc32c(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
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

/// READ (10).
pub(crate) fn read10(lba: u32, blocks: u16) -> [u8; 16] {
    rw10(0x28, lba, blocks)
}

/// WRITE (10).
pub(crate) fn write10(lba: u32, blocks: u16) -> [u8; 16] {
    rw10(0x2a, lba, blocks)
}

fn rw10(opcode: u8, lba: u32, blocks: u16) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = opcode;
    cdb[2..6].copy_from_slice(&lba.to_be_bytes());
    cdb[7..9].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

/// Bytes that differ from block to block.
pub(crate) fn pattern(seed: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| (n as u8) ^ (n >> 8) as u8 ^ seed)
        .collect()
}

/// The scripted initiator: one connection.
pub(crate) struct Initiator {
    stream: TcpStream,
    pub(crate) isid: [u8; 6],
    pub(crate) tsih: u16,
    pub(crate) cid: u16,
    pub(crate) cmd_sn: u32,
    pub(crate) exp_stat_sn: u32,
    next_itt: u32,
    pub(crate) header_digest: bool,
    pub(crate) data_digest: bool,
}

impl Initiator {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            isid: [0x80, 1, 2, 3, 0, 1],
            tsih: 0,
            cid: 1,
            cmd_sn: 0x7fff_fff0,
            exp_stat_sn: 0,
            next_itt: 1,
            header_digest: false,
            data_digest: false,
        }
    }

    pub(crate) fn itt(&mut self) -> u32 {
        self.next_itt += 1;
        self.next_itt
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends as much as the peer takes before it closes.
    pub(crate) fn try_send_bytes(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the target hangs"),
            _ => {}
        }
    }

    /// Sends all these bytes, or finds that the peer takes no more for a while.
    pub(crate) fn send_unless_full(&mut self, bytes: &[u8]) -> bool {
        let patience = Some(Duration::from_millis(300));
        self.stream.set_write_timeout(patience).unwrap();
        self.stream.write_all(bytes).is_ok()
    }

    /// A PDU as bytes: DataSegmentLength, padding and digests are added here.
    pub(crate) fn encode(&self, header: [u8; 48], data: &[u8]) -> Vec<u8> {
        self.encode_with(header, &[], data)
    }

    /// The same with additional headers, padded, whose length is added too.
    pub(crate) fn encode_with(&self, mut header: [u8; 48], ahs: &[u8], data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        header[5..8].copy_from_slice(&length[1..]);
        if !ahs.is_empty() {
            header[4] = u8::try_from(ahs.len() / 4).unwrap();
        }
        let mut bytes = [&header[..], ahs].concat();
        if self.header_digest {
            let digest = crc32c(&bytes);
            bytes.extend_from_slice(&digest);
        }
        if !data.is_empty() {
            let mut data = data.to_vec();
            data.resize(data.len().next_multiple_of(4), 0);
            bytes.extend_from_slice(&data);
            if self.data_digest {
                bytes.extend_from_slice(&crc32c(&data));
            }
        }
        bytes
    }

    pub(crate) fn send(&mut self, header: [u8; 48], data: &[u8]) {
        let bytes = self.encode(header, data);
        self.send_bytes(&bytes);
    }

    /// The next PDU; `None` when the connection is closed.
    pub(crate) fn try_receive(&mut self) -> Option<Pdu> {
        let mut header = [0; 48];
        if !self.read(&mut header) {
            return None;
        }
        if self.header_digest {
            let mut digest = [0; 4];
            assert!(self.read(&mut digest));
            assert_eq!(digest, crc32c(&header), "header digest of {header:02x?}");
        }
        assert_eq!(header[4], 0, "no additional headers from a target");
        let length = u32::from_be_bytes([0, header[5], header[6], header[7]]) as usize;
        let mut data = vec![0; length.next_multiple_of(4)];
        if length > 0 {
            assert!(self.read(&mut data), "cut off in the data of {header:02x?}");
            if self.data_digest {
                let mut digest = [0; 4];
                assert!(self.read(&mut digest));
                assert_eq!(digest, crc32c(&data), "data digest of {header:02x?}");
            }
            data.truncate(length);
        }
        Some(Pdu { header, data })
    }

    /// Fills `bytes`; false at the end of the stream before the first byte.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> bool {
        let mut done = 0;
        while done < bytes.len() {
            match self.stream.read(&mut bytes[done..]) {
                Ok(0) => {
                    assert_eq!(done, 0, "closed in the middle");
                    return false;
                }
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("read: {error}"),
            }
        }
        true
    }

    /// Whether bytes come within this time.
    pub(crate) fn peek(&mut self, time: Duration) -> Option<usize> {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let seen = self.stream.peek(&mut [0]).ok();
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        seen
    }

    /// The next PDU, which must be there.
    pub(crate) fn receive(&mut self) -> Pdu {
        self.try_receive().expect("the connection is closed")
    }

    /// The next PDU, which must be of this kind and take a StatSN.
    pub(crate) fn expect(&mut self, opcode: u8) -> Pdu {
        let pdu = self.receive();
        assert_eq!(pdu.opcode(), opcode, "{pdu:02x?}");
        assert_eq!(pdu.word(24), self.exp_stat_sn, "StatSN of {pdu:02x?}");
        self.exp_stat_sn = self.exp_stat_sn.wrapping_add(1);
        pdu
    }

    /// The next PDU, which must be of this kind and only show the next StatSN.
    pub(crate) fn expect_unnumbered(&mut self, opcode: u8) -> Pdu {
        let pdu = self.receive();
        assert_eq!(pdu.opcode(), opcode, "{pdu:02x?}");
        if opcode != DATA_IN {
            assert_eq!(pdu.word(24), self.exp_stat_sn, "StatSN of {pdu:02x?}");
        }
        pdu
    }

    pub(crate) fn expect_closed(&mut self) {
        let pdu = self.try_receive();
        assert_eq!(pdu, None);
    }

    /// Nothing more has come: a ping is answered next.
    pub(crate) fn expect_silence(&mut self) {
        let itt = self.itt();
        let mut ping = header(NOP_OUT | IMMEDIATE, FINAL, itt);
        put(&mut ping, 20, NIL);
        self.send_request(ping, b"still there?");
        let pong = self.expect(NOP_IN);
        assert_eq!((pong.itt(), &pong.data[..]), (itt, &b"still there?"[..]));
    }

    /// Fills in CmdSN and ExpStatSN, and counts a numbered request.
    pub(crate) fn numbered(&mut self, mut header: [u8; 48]) -> [u8; 48] {
        put(&mut header, 24, self.cmd_sn);
        put(&mut header, 28, self.exp_stat_sn);
        if header[0] & IMMEDIATE == 0 {
            self.cmd_sn = self.cmd_sn.wrapping_add(1);
        }
        header
    }

    pub(crate) fn send_request(&mut self, header: [u8; 48], data: &[u8]) {
        let header = self.numbered(header);
        self.send(header, data);
    }

    /// A Login Request; `flags` is byte 1.
    pub(crate) fn login_header(&self, flags: u8) -> [u8; 48] {
        let mut header = header(LOGIN_REQUEST | IMMEDIATE, flags, 0x10);
        header[8..14].copy_from_slice(&self.isid);
        header[14..16].copy_from_slice(&self.tsih.to_be_bytes());
        header[20..22].copy_from_slice(&self.cid.to_be_bytes());
        put(&mut header, 24, self.cmd_sn);
        put(&mut header, 28, self.exp_stat_sn);
        header
    }

    /// Sends a Login Request and gives the response.
    pub(crate) fn login_step(&mut self, flags: u8, keys: &[(&str, &str)]) -> Pdu {
        self.send(self.login_header(flags), &text(keys));
        let response = self.receive();
        assert_eq!(response.opcode(), LOGIN_RESPONSE);
        assert_eq!(response.itt(), 0x10);
        assert_eq!(response.header[8..14], self.isid);
        self.exp_stat_sn = response.word(24).wrapping_add(1);
        response
    }

    /// The keys of a first request to the target.
    pub(crate) fn names() -> Vec<(&'static str, &'static str)> {
        vec![
            ("InitiatorName", INITIATOR),
            ("SessionType", "Normal"),
            ("TargetName", IQN),
        ]
    }

    /// The keys of a first request of a further connection: SessionType is for leading logins.
    pub(crate) fn further_names() -> Vec<(&'static str, &'static str)> {
        vec![("InitiatorName", INITIATOR), ("TargetName", IQN)]
    }

    /// Logs in without security, straight from the operational stage (CSG=1, NSG=3, T=1).
    pub(crate) fn log_in(&mut self, keys: &[(&str, &str)]) -> Pdu {
        let mut all = Self::names();
        all.extend_from_slice(keys);
        self.log_in_as(&all)
    }

    /// The same with the names given.
    pub(crate) fn log_in_as(&mut self, keys: &[(&str, &str)]) -> Pdu {
        let response = self.login_step(0x87, keys);
        assert_eq!(response.login_status(), 0, "{}", response.text());
        assert_eq!(response.header[1], 0x87);
        self.tsih = response.half(14);
        assert_ne!(self.tsih, 0);
        self.header_digest = keys.contains(&("HeaderDigest", "CRC32C"));
        self.data_digest = keys.contains(&("DataDigest", "CRC32C"));
        response
    }

    /// A SCSI Command to LUN 0; `flags` is byte 1.
    pub(crate) fn command_header(&mut self, flags: u8, length: u32, cdb: [u8; 16]) -> [u8; 48] {
        let itt = self.itt();
        let mut header = header(SCSI_COMMAND, flags, itt);
        put(&mut header, 20, length);
        header[32..48].copy_from_slice(&cdb);
        self.numbered(header)
    }

    /// Sends a SCSI Command to LUN 0 and gives its ITT.
    pub(crate) fn command(&mut self, flags: u8, length: u32, cdb: [u8; 16], data: &[u8]) -> u32 {
        let header = self.command_header(flags, length, cdb);
        self.send(header, data);
        u32::from_be_bytes(header[16..20].try_into().unwrap())
    }

    /// Sends an immediate SCSI Command to LUN 0 without data and gives its ITT.
    pub(crate) fn command_now(&mut self, flags: u8, length: u32, cdb: [u8; 16]) -> u32 {
        let itt = self.itt();
        let mut header = header(SCSI_COMMAND | IMMEDIATE, flags, itt);
        put(&mut header, 20, length);
        header[32..48].copy_from_slice(&cdb);
        self.send_request(header, &[]);
        itt
    }

    /// Hears the unit attention that the disk has for every new session.
    pub(crate) fn hear_news(&mut self) {
        self.command(FINAL | SIMPLE, 0, [0; 16], &[]);
        assert_eq!(self.expect(SCSI_RESPONSE).sense().0, 0x06);
    }

    /// Reads blocks and gives them; all must be well.
    pub(crate) fn read_blocks(&mut self, lba: u32, blocks: u16) -> Vec<u8> {
        let length = u32::from(blocks) * 512;
        let itt = self.command(FINAL | READ | SIMPLE, length, read10(lba, blocks), &[]);
        let mut bytes = Vec::new();
        loop {
            let pdu = self.receive();
            assert_eq!((pdu.opcode(), pdu.itt()), (DATA_IN, itt), "{pdu:02x?}");
            bytes.extend_from_slice(&pdu.data);
            // S, the status bit.
            if pdu.header[1] & 0x01 != 0 {
                self.exp_stat_sn = self.exp_stat_sn.wrapping_add(1);
                return bytes;
            }
        }
    }

    /// Writes blocks with immediate data; all must be well.
    pub(crate) fn write_blocks(&mut self, lba: u32, data: &[u8]) {
        let (length, blocks) = (data.len() as u32, (data.len() / 512) as u16);
        self.command(FINAL | WRITE | SIMPLE, length, write10(lba, blocks), data);
        let response = self.expect(SCSI_RESPONSE);
        assert_eq!(response.header[3], 0, "{response:02x?}");
    }

    /// A Data-Out PDU.
    pub(crate) fn data_out(
        &mut self,
        itt: u32,
        ttt: u32,
        data_sn: u32,
        offset: u32,
        last: bool,
        data: &[u8],
    ) {
        let bytes = self.data_out_bytes(itt, ttt, data_sn, offset, last, data);
        self.send_bytes(&bytes);
    }

    /// The bytes of a Data-Out PDU.
    pub(crate) fn data_out_bytes(
        &self,
        itt: u32,
        ttt: u32,
        data_sn: u32,
        offset: u32,
        last: bool,
        data: &[u8],
    ) -> Vec<u8> {
        let mut pdu = header(DATA_OUT, if last { FINAL } else { 0 }, itt);
        put(&mut pdu, 20, ttt);
        put(&mut pdu, 28, self.exp_stat_sn);
        put(&mut pdu, 36, data_sn);
        put(&mut pdu, 40, offset);
        self.encode(pdu, data)
    }

    /// Sends bytes the last of which, in a digest, is wrong.
    pub(crate) fn send_spoilt(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        if let Some(last) = bytes.last_mut() {
            *last ^= 0xff;
        }
        self.send_bytes(&bytes);
    }

    /// The same request with the ExpStatSN of this connection: a retry after a logout.
    pub(crate) fn numbered_again(&self, mut header: [u8; 48]) -> [u8; 48] {
        put(&mut header, 28, self.exp_stat_sn);
        header
    }

    /// A SNACK; `run` is BegRun and RunLength.
    pub(crate) fn snack(&mut self, kind: u8, itt: u32, tag: u32, run: (u32, u32)) {
        let mut pdu = header(SNACK, FINAL | kind, itt);
        put(&mut pdu, 20, tag);
        put(&mut pdu, 28, self.exp_stat_sn);
        put(&mut pdu, 40, run.0);
        put(&mut pdu, 44, run.1);
        self.send(pdu, &[]);
    }

    /// All Data-In PDUs of a read up to the one with its status, which is not acknowledged yet.
    pub(crate) fn receive_read(&mut self, itt: u32) -> Vec<Pdu> {
        let mut pdus = Vec::new();
        loop {
            let pdu = self.receive();
            assert_eq!((pdu.opcode(), pdu.itt()), (DATA_IN, itt), "{pdu:02x?}");
            // S, the status bit.
            let last = pdu.header[1] & 0x01 != 0;
            pdus.push(pdu);
            if last {
                return pdus;
            }
        }
    }

    /// Rejected for this reason.
    pub(crate) fn expect_reject(&mut self, reason: u8) -> Pdu {
        let reject = self.expect(REJECT);
        assert_eq!(reject.header[2], reason, "{reject:02x?}");
        reject
    }

    /// Sends a numbered Logout Request for a connection.
    pub(crate) fn log_out(&mut self, reason: u8, cid: u16) {
        self.send_logout(LOGOUT_REQUEST, reason, cid);
    }

    /// Sends an immediate Logout Request for another connection.
    pub(crate) fn log_out_now(&mut self, reason: u8, cid: u16) {
        self.send_logout(LOGOUT_REQUEST | IMMEDIATE, reason, cid);
    }

    fn send_logout(&mut self, opcode: u8, reason: u8, cid: u16) {
        let itt = self.itt();
        let mut out = header(opcode, FINAL | reason, itt);
        out[20..22].copy_from_slice(&cid.to_be_bytes());
        self.send_request(out, &[]);
    }

    /// A task management function; gives the response code.
    pub(crate) fn manage(&mut self, function: u8, lun: u8, tag: u32, ref_cmd_sn: u32) -> u8 {
        let itt = self.send_function(function, lun, tag, ref_cmd_sn);
        let response = self.expect(TMF_RESPONSE);
        assert_eq!(response.itt(), itt);
        response.header[2]
    }

    pub(crate) fn send_function(
        &mut self,
        function: u8,
        lun: u8,
        tag: u32,
        ref_cmd_sn: u32,
    ) -> u32 {
        let itt = self.itt();
        let mut pdu = header(TMF_REQUEST | IMMEDIATE, FINAL | function, itt);
        pdu[9] = lun;
        put(&mut pdu, 20, tag);
        put(&mut pdu, 32, ref_cmd_sn);
        self.send_request(pdu, &[]);
        itt
    }
}
