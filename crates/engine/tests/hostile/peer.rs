//! A target made of a socket and a thread. All that it knows of iSCSI stands here, typed from RFC 7143
//! §11.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use hawser_engine::{
    Hold, IscsiName, Isid, LoginOptions, LunNumber, Portal, ScsiAnswer, ScsiRequest, Session,
    SessionError, SessionEvent, SessionOptions, Transfer,
};
use hawser_scsi::{Cdb, IoFlags};
use tokio::sync::broadcast;

/// How long anything in these tests may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) const NOP_IN: u8 = 0x20;
pub(crate) const SCSI_RESPONSE: u8 = 0x21;
pub(crate) const LOGIN_RESPONSE: u8 = 0x23;
pub(crate) const TEXT_RESPONSE: u8 = 0x24;
pub(crate) const DATA_IN: u8 = 0x25;
pub(crate) const R2T: u8 = 0x31;

/// The first byte of requests, without the immediate bit.
pub(crate) const NOP_OUT: u8 = 0x00;
pub(crate) const SCSI_COMMAND: u8 = 0x01;
pub(crate) const LOGIN: u8 = 0x03;
pub(crate) const TEXT: u8 = 0x04;
pub(crate) const LOGOUT: u8 = 0x06;

/// "No task", "no tag".
pub(crate) const NONE: u32 = 0xffff_ffff;

/// A PDU: 48 bytes of header, and data without padding.
#[derive(Debug, Clone)]
pub(crate) struct Pdu {
    pub(crate) header: [u8; 48],
    pub(crate) data: Vec<u8>,
}

impl Pdu {
    /// An answer that is final, for the task with this tag.
    pub(crate) fn new(opcode: u8, itt: u32) -> Self {
        let mut header = [0; 48];
        (header[0], header[1]) = (opcode, 0x80);
        let data = Vec::new();
        Self { header, data }.put(16, itt)
    }

    /// Puts four bytes at `at`.
    pub(crate) fn put(mut self, at: usize, value: u32) -> Self {
        self.header[at..at + 4].copy_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn flags(mut self, flags: u8) -> Self {
        self.header[1] = flags;
        self
    }

    pub(crate) fn data(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        self.length(data.len())
    }

    /// Says that so many bytes of data follow.
    pub(crate) fn length(mut self, length: usize) -> Self {
        self.header[5..8].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes()[1..]);
        self
    }

    pub(crate) fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.header[at..at + 4].try_into().unwrap())
    }

    pub(crate) fn itt(&self) -> u32 {
        self.word(16)
    }

    pub(crate) fn opcode(&self) -> u8 {
        self.header[0] & 0x3f
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header.to_vec();
        bytes.extend_from_slice(&self.data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }
}

/// One connection of an initiator, and the numbers it must be told.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    stat_sn: u32,
    cmd_sn: u32,
}

impl Peer {
    /// The next request; `None` when the initiator is gone.
    pub(crate) fn take(&mut self) -> Option<Pdu> {
        let mut header = [0; 48];
        self.stream.read_exact(&mut header).ok()?;
        let length = u32::from_be_bytes([0, header[5], header[6], header[7]]) as usize;
        let mut data = vec![0; length.next_multiple_of(4)];
        self.stream.read_exact(&mut data).ok()?;
        data.truncate(length);
        let pdu = Pdu { header, data };
        if header[0] & 0x40 == 0 && pdu.opcode() != 0x05 {
            self.cmd_sn = pdu.word(24).wrapping_add(1);
        }
        Some(pdu)
    }

    /// The next request with this opcode; others are left without an answer.
    pub(crate) fn await_request(&mut self, opcode: u8) -> Option<Pdu> {
        loop {
            let pdu = self.take()?;
            if pdu.opcode() == opcode {
                return Some(pdu);
            }
        }
    }

    /// Numbers a PDU: StatSN, ExpCmdSN, and MaxCmdSN with a window of 32.
    pub(crate) fn number(&mut self, pdu: Pdu) -> Pdu {
        let is_status = match pdu.header[0] {
            DATA_IN => pdu.header[1] & 1 != 0,
            NOP_IN => pdu.itt() != NONE,
            R2T => false,
            _ => true,
        };
        let stat_sn = self.stat_sn;
        self.stat_sn = stat_sn.wrapping_add(u32::from(is_status));
        let (expected, max) = (self.cmd_sn, self.cmd_sn.wrapping_add(31));
        pdu.put(24, stat_sn).put(28, expected).put(32, max)
    }

    pub(crate) fn say(&mut self, pdu: Pdu) -> io::Result<()> {
        let pdu = self.number(pdu);
        self.stream.write_all(&pdu.bytes())
    }

    /// A login response that agrees to go from stage `from` to stage `to`, as `request` asked.
    pub(crate) fn agree(request: &Pdu, to: u8, text: &[u8]) -> Pdu {
        let from = request.header[1] >> 2 & 3;
        let mut pdu = Pdu::new(LOGIN_RESPONSE, request.itt()).flags(0x80 | from << 2 | to);
        // ISID as asked for; TSIH when the login ends.
        pdu.header[8..14].copy_from_slice(&request.header[8..14]);
        pdu.header[15] = u8::from(to == 3);
        pdu.data(text)
    }

    /// Agrees to everything: security without authentication, then the least that is allowed.
    pub(crate) fn log_in(&mut self) -> Option<()> {
        const OPERATIONAL: &[u8] = b"HeaderDigest=None\0DataDigest=None\0MaxConnections=1\0\
            InitialR2T=Yes\0ImmediateData=No\0MaxRecvDataSegmentLength=65536\0\
            MaxBurstLength=262144\0FirstBurstLength=65536\0DefaultTime2Wait=0\0\
            DefaultTime2Retain=0\0MaxOutstandingR2T=1\0DataPDUInOrder=Yes\0\
            DataSequenceInOrder=Yes\0ErrorRecoveryLevel=0\0";
        const IRRELEVANT: &[u8] = b"HeaderDigest=None\0DataDigest=None\0\
            MaxRecvDataSegmentLength=65536\0DefaultTime2Wait=0\0DefaultTime2Retain=0\0\
            ErrorRecoveryLevel=0\0";
        let first = self.await_request(LOGIN)?;
        let is_discovery = first.data.windows(9).any(|text| text == b"Discovery");
        let security = b"AuthMethod=None\0TargetPortalGroupTag=1\0";
        let security: &[u8] = if is_discovery {
            &security[..16]
        } else {
            security
        };
        self.cmd_sn = first.word(24);
        self.say(Self::agree(&first, 1, security)).ok()?;
        let second = self.await_request(LOGIN)?;
        self.cmd_sn = second.word(24);
        let text = if is_discovery {
            IRRELEVANT
        } else {
            OPERATIONAL
        };
        self.say(Self::agree(&second, 3, text)).ok()
    }

    /// Writes the same bytes until the initiator has had enough.
    pub(crate) fn flood(&mut self, bytes: &[u8]) {
        while self.stream.write_all(bytes).is_ok() {}
    }

    /// Says nothing more, until the initiator has had enough.
    pub(crate) fn sit(&mut self) {
        while self.take().is_some() {}
    }
}

/// Serves each connection by `script`, one after the other, at a port of its own.
pub(crate) fn serve(script: impl Fn(&mut Peer) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            // An initiator that holds the connection beyond all limits has failed its test already.
            for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
                set(&stream, Some(LIMIT)).unwrap();
            }
            script(&mut Peer {
                stream,
                stat_sn: 1,
                cmd_sn: 1,
            });
        }
    });
    address
}

pub(crate) fn login_options() -> LoginOptions {
    LoginOptions::new(IscsiName::parse("iqn.2026-11.test.hawser:victim").unwrap())
}

/// Short limits: commands and functions 300 ms, a login one second, the hold two, no pings.
pub(crate) fn options(address: SocketAddr) -> SessionOptions {
    let target = IscsiName::parse("iqn.2026-11.test.hawser:hostile").unwrap();
    let isid = Isid::from_random([1, 2, 3, 4, 5]);
    let mut options = SessionOptions::new(login_options(), target, Portal::from(address), isid);
    options.hold = Hold::For(Duration::from_secs(2));
    options.timeouts.login = Duration::from_secs(1);
    options.timeouts.command = Duration::from_millis(300);
    options.timeouts.management = Duration::from_millis(300);
    options.timeouts.ping_interval = Duration::ZERO;
    options
}

/// A session with a peer that logs in and goes on by `script`, and its events.
pub(crate) async fn up(
    change: impl FnOnce(&mut SessionOptions),
    script: impl Fn(&mut Peer) + Send + 'static,
) -> (Session, broadcast::Receiver<SessionEvent>) {
    let address = serve(move |peer| {
        if peer.log_in().is_some() {
            script(peer);
        }
    });
    let mut options = options(address);
    change(&mut options);
    let session = Session::open(options);
    let events = session.events();
    in_time(session.established()).await.expect("logged in");
    (session, events)
}

pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("in time")
}

/// Why the connection was lost.
pub(crate) async fn lost(events: &mut broadcast::Receiver<SessionEvent>) -> String {
    loop {
        if let SessionEvent::Lost(why) = in_time(events.recv()).await.expect("events go on") {
            return why;
        }
    }
}

/// READ (10) of so many blocks of 512 bytes, raw.
pub(crate) async fn read(session: &Session, blocks: u32) -> Result<ScsiAnswer, SessionError> {
    let cdb = Cdb::read(0, blocks, IoFlags::default());
    command(session, cdb, Transfer::Read(blocks * 512)).await
}

/// WRITE (10) of so many blocks of 512 bytes, raw.
pub(crate) async fn write(session: &Session, blocks: u32) -> Result<ScsiAnswer, SessionError> {
    let cdb = Cdb::write(0, blocks, IoFlags::default());
    command(
        session,
        cdb,
        Transfer::Write(vec![1; blocks as usize * 512]),
    )
    .await
}

async fn command(
    session: &Session,
    cdb: Cdb,
    transfer: Transfer,
) -> Result<ScsiAnswer, SessionError> {
    let lun = LunNumber::ZERO;
    in_time(session.scsi(ScsiRequest { lun, cdb, transfer })).await
}

/// Most bytes of memory this process has had.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() * 1024
}
