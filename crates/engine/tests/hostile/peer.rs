//! A target made of a port and a thread, which knows no shame. PDUs and constants are those of the
//! testkit's scripted peer, typed from RFC 7143; what is here writes without asking what is right.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hawser_testkit::scripted::text::{self, Keys};
pub(crate) use hawser_testkit::scripted::wire::{
    ABORT_TASK, DATA_IN, DATA_OUT, FULL_FEATURE, LOGIN_REQUEST, LOGIN_RESPONSE, LOGOUT_REQUEST,
    NO_TAG, NOP_IN, NOP_OUT, OPERATIONAL, R2T, REJECT, SCSI_COMMAND, SNACK, SNACK_DATA,
    SNACK_STATUS, STATUS, TASK_MANAGEMENT_REQUEST, TASK_REASSIGN, TEXT_REQUEST,
};
pub(crate) use hawser_testkit::scripted::{Pdu, crc32c::crc32c};

/// Reason of a Logout Request (RFC 7143 §11.14.1).
const CLOSE_SESSION: u8 = 0;

/// How long anything in these tests may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Bytes of a flood: what is kept of one would be seen.
pub(crate) const FLOOD: usize = 64 << 20;

/// Key and value.
pub(crate) type Answers = &'static [(&'static str, &'static str)];

/// An answer to a request.
pub(crate) type Make = fn(&Pdu) -> Pdu;

/// CmdSN of the session, for all of its connections.
#[derive(Debug)]
struct Numbers {
    /// ExpCmdSN.
    expected: u32,
    /// MaxCmdSN is so many numbers further, less one.
    window: u32,
}

/// A port of the loopback.
pub(crate) struct Target {
    listener: TcpListener,
    numbers: Arc<Mutex<Numbers>>,
    answers: Answers,
}

impl Target {
    /// Listens, and misbehaves by `script` in a thread of its own. Whoever connects after that is served as
    /// it should be, at error recovery level 0: all scripts have an end, unless they wait to be left.
    pub(crate) fn listen(
        answers: Answers,
        script: impl FnOnce(&Self) -> Option<()> + Send + 'static,
    ) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let numbers = Arc::new(Mutex::new(Numbers {
            expected: 0,
            window: 32,
        }));
        let mut target = Self {
            listener,
            numbers,
            answers,
        };
        thread::spawn(move || {
            script(&target);
            target.answers = &[];
            target.numbers.lock().unwrap().window = 32;
            while let Some(mut peer) = target.accept() {
                thread::spawn(move || peer.behave());
            }
        });
        address
    }

    /// The next connection.
    pub(crate) fn accept(&self) -> Option<Peer> {
        let (stream, _) = self.listener.accept().ok()?;
        // An initiator that holds the connection beyond all limits has failed its test already.
        for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
            set(&stream, Some(LIMIT)).ok()?;
        }
        stream.set_nodelay(true).ok()?;
        Some(Peer {
            stream,
            stat_sn: 1,
            numbers: Arc::clone(&self.numbers),
            answers: self.answers,
            digests: false,
        })
    }

    /// No command may be sent, from the next login on.
    pub(crate) fn close_window(&self) {
        self.numbers.lock().unwrap().window = 0;
    }

    /// The next connection, logged in.
    pub(crate) fn log_in(&self) -> Option<Peer> {
        let mut peer = self.accept()?;
        peer.log_in()?;
        Some(peer)
    }

    /// The next connection whose login gets as far as its first request. Those that the initiator gives up
    /// before are passed over.
    pub(crate) fn accept_request(&self) -> Option<(Peer, Pdu)> {
        loop {
            let mut peer = self.accept()?;
            if let Some(request) = peer.await_request(LOGIN_REQUEST) {
                return Some((peer, request));
            }
        }
    }
}

/// One connection of an initiator, and the numbers it must be told.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    stat_sn: u32,
    numbers: Arc<Mutex<Numbers>>,
    answers: Answers,
    /// Both, or none.
    digests: bool,
}

impl Peer {
    /// The next request; `None` when the initiator is gone.
    pub(crate) fn take(&mut self) -> Option<Pdu> {
        let mut pdu = Pdu::new(0, 0);
        self.stream.read_exact(&mut pdu.header).ok()?;
        let padded = pdu.data_length().next_multiple_of(4);
        let digests = match self.digests {
            true if padded > 0 => 8,
            true => 4,
            false => 0,
        };
        let mut rest = vec![0; pdu.ahs_length() + padded + digests];
        self.stream.read_exact(&mut rest).ok()?;
        let data = pdu.ahs_length() + if self.digests { 4 } else { 0 };
        pdu.data = rest[data..data + pdu.data_length()].to_vec();
        if !pdu.is_immediate() && !matches!(pdu.opcode(), DATA_OUT | SNACK) {
            self.numbers.lock().unwrap().expected = pdu.cmd_sn().wrapping_add(1);
        }
        Some(pdu)
    }

    /// Its socket takes no more than little that nobody reads.
    pub(crate) fn take_little(&self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_recv_buffer_size(64 * 1024).unwrap();
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

    /// The next SCSI command.
    pub(crate) fn command(&mut self) -> Option<Pdu> {
        self.await_request(SCSI_COMMAND)
    }

    /// Gives a PDU its StatSN, ExpCmdSN and MaxCmdSN.
    pub(crate) fn number(&mut self, pdu: Pdu) -> Pdu {
        let is_status = match pdu.opcode() {
            DATA_IN => pdu.byte(1) & STATUS != 0,
            NOP_IN => pdu.itt() != NO_TAG,
            R2T => false,
            _ => true,
        };
        let stat_sn = self.stat_sn;
        self.stat_sn = stat_sn.wrapping_add(u32::from(is_status));
        let (expected, max) = self.window();
        pdu.put_word(24, stat_sn)
            .put_word(28, expected)
            .put_word(32, max)
    }

    /// ExpCmdSN and MaxCmdSN.
    pub(crate) fn window(&self) -> (u32, u32) {
        let numbers = self.numbers.lock().unwrap();
        let max = numbers.expected.wrapping_add(numbers.window);
        (numbers.expected, max.wrapping_sub(1))
    }

    /// From now on so many commands may be sent beyond those received.
    pub(crate) fn set_window(&self, commands: u32) {
        self.numbers.lock().unwrap().window = commands;
    }

    /// Leaves out so many statuses.
    pub(crate) fn skip_statuses(&mut self, count: u32) {
        self.stat_sn = self.stat_sn.wrapping_add(count);
    }

    /// The bytes of a PDU that was numbered.
    pub(crate) fn bytes(&self, pdu: &Pdu) -> Vec<u8> {
        let mut bytes = [&pdu.header[..], &pdu.ahs].concat();
        if self.digests {
            bytes.extend(crc32c(&bytes));
        }
        let data = [&pdu.data[..], &pdu.padding].concat();
        bytes.extend_from_slice(&data);
        if self.digests && !data.is_empty() {
            bytes.extend(crc32c(&data));
        }
        bytes
    }

    /// Numbers a PDU and sends it.
    pub(crate) fn say(&mut self, pdu: Pdu) -> io::Result<()> {
        let pdu = self.number(pdu);
        let bytes = self.bytes(&pdu);
        self.stream.write_all(&bytes)
    }

    /// Sends a PDU with the numbers that it has.
    pub(crate) fn send_numbered(&mut self, pdu: &Pdu) -> io::Result<()> {
        let bytes = self.bytes(pdu);
        self.stream.write_all(&bytes)
    }

    /// Numbers PDUs and sends them in one piece.
    pub(crate) fn say_all(&mut self, pdus: impl IntoIterator<Item = Pdu>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for pdu in pdus {
            let pdu = self.number(pdu);
            bytes.extend(self.bytes(&pdu));
        }
        self.stream.write_all(&bytes)
    }

    /// Sends the same bytes until it is [`FLOOD`]; `None` when the initiator has had enough before.
    pub(crate) fn flood(&mut self, bytes: &[u8]) -> Option<()> {
        let piece = bytes.repeat((64 * 1024_usize).div_ceil(bytes.len()));
        for _ in 0..FLOOD.div_ceil(piece.len()) {
            self.stream.write_all(&piece).ok()?;
        }
        Some(())
    }

    /// Sends PDUs, each with numbers of its own, until it is [`FLOOD`]; `None` as above.
    pub(crate) fn flood_of(&mut self, mut pdu: impl FnMut(u32) -> Pdu) -> Option<()> {
        let (mut sent, mut count) = (0, 0);
        while sent < FLOOD {
            let mut bytes = Vec::new();
            while bytes.len() < 64 * 1024 {
                let pdu = self.number(pdu(count));
                bytes.extend(self.bytes(&pdu));
                count += 1;
            }
            self.stream.write_all(&bytes).ok()?;
            sent += bytes.len();
        }
        Some(())
    }

    /// Sends the same bytes for ever, until the initiator has had enough.
    pub(crate) fn flood_for_ever(&mut self, bytes: &[u8]) {
        let piece = bytes.repeat((64 * 1024_usize).div_ceil(bytes.len()));
        while self.stream.write_all(&piece).is_ok() {}
    }

    /// Sends a byte now and then, until the initiator has had enough. That is what the peer does, not what
    /// a test waits for.
    pub(crate) fn drip(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.stream.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends the same PDU now and then, as [`drip`](Self::drip) does.
    pub(crate) fn drip_pdus(&mut self, pdu: &Pdu) {
        let bytes = self.bytes(pdu);
        while self.stream.write_all(&bytes).is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Says nothing more, until the initiator has had enough.
    pub(crate) fn sit(&mut self) {
        while self.take().is_some() {}
    }

    /// Answers all that comes as it should.
    pub(crate) fn serve(&mut self) -> Option<()> {
        loop {
            let request = self.take()?;
            self.answer(&request).ok()?;
        }
    }

    /// Answers one request as it should be.
    pub(crate) fn answer(&mut self, request: &Pdu) -> io::Result<()> {
        self.say(match request.opcode() {
            SCSI_COMMAND => Pdu::scsi_response(request, 0),
            TASK_MANAGEMENT_REQUEST => Pdu::task_management_response(request, 0),
            NOP_OUT if request.itt() != NO_TAG => Pdu::pong(request),
            LOGOUT_REQUEST => return self.part(request),
            _ => return Ok(()),
        })
    }

    /// Answers a logout; that of the session closes the connection, as with every target (RFC 7143 §11.14).
    fn part(&mut self, request: &Pdu) -> io::Result<()> {
        self.say(Pdu::logout_response(request, 0, 0, 0))?;
        match request.code() {
            CLOSE_SESSION => self.stream.shutdown(Shutdown::Write),
            _ => Ok(()),
        }
    }

    fn behave(&mut self) -> Option<()> {
        self.log_in()?;
        self.serve()
    }
}

/// Logins.
impl Peer {
    /// A response that agrees to go where `request` asks for.
    pub(crate) fn agreement(request: &Pdu, text: &[u8]) -> Pdu {
        let mut pdu = Pdu::login_response(request).with_data(text);
        if request.is_final() {
            pdu = pdu.moving_to(request.next_stage());
            if request.next_stage() == FULL_FEATURE && request.tsih() == 0 {
                pdu = pdu.put_half(14, 0x1001);
            }
        }
        pdu
    }

    /// Agrees to everything, as `answers` say or else to the least that is allowed.
    pub(crate) fn log_in(&mut self) -> Option<()> {
        let first = self.await_request(LOGIN_REQUEST)?;
        self.finish_login(first)
    }

    /// The same from a request on that was taken.
    pub(crate) fn finish_login(&mut self, first: Pdu) -> Option<()> {
        let mut request = first;
        if request.tsih() == 0 {
            self.numbers.lock().unwrap().expected = request.cmd_sn();
        }
        let mut first = true;
        loop {
            let text = self.replies(&request, first);
            self.say(Self::agreement(&request, &text)).ok()?;
            if request.is_final() && request.next_stage() == FULL_FEATURE {
                let on = self.answers.contains(&("HeaderDigest", "CRC32C"));
                self.digests = on;
                return Some(());
            }
            request = self.await_request(LOGIN_REQUEST)?;
            first = false;
        }
    }

    /// The answers to the keys of a request.
    fn replies(&self, request: &Pdu, first: bool) -> Vec<u8> {
        let keys: Keys = request.keys();
        let mut replies: Vec<(&str, &str)> = Vec::new();
        for (key, offer) in keys.iter() {
            let chosen = self.answers.iter().find(|(name, _)| *name == key);
            // Never more than what is offered.
            let chosen = chosen.filter(|_| key != "ErrorRecoveryLevel" || offer != "1");
            let usual = match key {
                "InitiatorName" | "InitiatorAlias" | "TargetName" | "SessionType" => continue,
                "AuthMethod" | "HeaderDigest" | "DataDigest" => "None",
                "MaxRecvDataSegmentLength" => "65536",
                "InitialR2T" => "Yes",
                "ImmediateData" => "No",
                "ErrorRecoveryLevel" if offer == "1" => "1",
                "DataSequenceInOrder" => "Yes",
                "DefaultTime2Wait" | "DefaultTime2Retain" | "ErrorRecoveryLevel" => "0",
                "MaxConnections" | "MaxOutstandingR2T" => "1",
                _ => offer,
            };
            replies.push((key, chosen.map_or(usual, |(_, value)| value)));
        }
        let is_normal = keys.get("SessionType") == Some("Normal");
        if first && is_normal {
            replies.push(("TargetPortalGroupTag", "1"));
        }
        text::write(&replies)
    }
}
