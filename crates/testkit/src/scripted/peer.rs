//! The target's end of one connection, stepped by a test.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::crc32c::crc32c;
use super::login::Agreed;
use super::numbers::{SessionNumbers, StatusNumbers};
use super::pdu::Pdu;
use super::rules;
use super::target::{Recorded, Shared, Transcript};
use super::wire::{
    DATA_OUT, DEFAULT_SEGMENT, HEADER_BYTES, LOGIN_REQUEST, NO_TAG, NOP_OUT, SCSI_COMMAND, name,
};

/// How long the peer waits for what a test expects: generous, for busy machines.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Bytes read at once.
const READ_SIZE: usize = 64 * 1024;

/// A first StatSN that is no special number.
const FIRST_STAT_SN: u32 = 0x0001_0000;

/// One connection of an initiator, as its target sees it.
///
/// A test takes what comes PDU by PDU ([`next`](Self::next), [`expect`](Self::expect)) and sends what it
/// likes ([`send`](Self::send) numbers a PDU, [`send_bytes`](Self::send_bytes) sends anything). Every PDU
/// that comes is held to what holds for all PDUs of an initiator: reserved fields and padding are zero,
/// CmdSN rises by one and keeps to the window, ExpStatSN neither goes back nor ahead, no data segment is
/// longer than was allowed, digests are right. What breaks one of these panics, whatever the test is about.
#[derive(Debug)]
pub struct Peer {
    pub(super) stream: TcpStream,
    /// Bytes received and not yet taken.
    inbox: Vec<u8>,
    /// PDUs that came while others were waited for, to be taken next.
    aside: VecDeque<Pdu>,
    /// The connection's place in the transcript: 0 for the first.
    index: usize,
    pub(super) status: StatusNumbers,
    pub(super) numbers: Arc<Mutex<SessionNumbers>>,
    shared: Arc<Shared>,
    /// What the login agreed on.
    pub(super) agreed: Agreed,
    header_digest: bool,
    data_digest: bool,
    /// MaxRecvDataSegmentLength of the peer.
    pub(super) segment_limit: usize,
    pings: u32,
}

impl Peer {
    pub(super) fn new(stream: TcpStream, index: usize, shared: &Arc<Shared>) -> Self {
        Self {
            stream,
            inbox: Vec::new(),
            aside: VecDeque::new(),
            index,
            status: StatusNumbers::new(FIRST_STAT_SN),
            numbers: shared.numbers(),
            shared: Arc::clone(shared),
            agreed: Agreed::default(),
            header_digest: false,
            data_digest: false,
            segment_limit: DEFAULT_SEGMENT,
            pings: 0x5000_0000,
        }
    }

    pub(super) fn session(&self) -> MutexGuard<'_, SessionNumbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// A leading login begins a session with numbers of its own; another connection joins its session.
    pub(super) fn begin_or_join(&mut self, request: &Pdu) {
        if request.tsih() == 0 {
            self.session().begin(request.cmd_sn());
        } else {
            self.session().join();
        }
    }

    /// What the login agreed on, once [`log_in`](Self::log_in) has returned.
    #[must_use]
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// All that came on this connection.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        self.shared.transcript().of_connection(self.index)
    }

    /// The port from which the initiator connected.
    ///
    /// # Panics
    /// When the connection is broken.
    #[must_use]
    pub fn remote_port(&self) -> u16 {
        self.stream.peer_addr().expect("a connected socket").port()
    }

    /// The port of the target that the initiator connected to.
    ///
    /// # Panics
    /// When the connection is broken.
    #[must_use]
    pub fn local_port(&self) -> u16 {
        self.stream.local_addr().expect("a connected socket").port()
    }

    /// The CmdSN that the next numbered request will have.
    #[must_use]
    pub fn next_cmd_sn(&self) -> u32 {
        self.session().next()
    }

    /// The StatSN of the next status.
    #[must_use]
    pub fn next_stat_sn(&self) -> u32 {
        self.status.next
    }

    /// Goes on with this StatSN. Before the login: begins with it.
    pub fn set_next_stat_sn(&mut self, stat_sn: u32) {
        self.status = StatusNumbers::new(stat_sn);
    }

    /// Leaves out so many StatSNs, as if their PDUs had been lost.
    pub fn skip_stat_sn(&mut self, count: u32) {
        self.status.next = self.status.next.wrapping_add(count);
    }

    /// From now on MaxCmdSN lets `commands` more commands through than were received.
    pub fn grant(&mut self, commands: u32) {
        self.session().grant(commands);
    }

    /// From now on MaxCmdSN is this, so that the window closes as commands come (§4.2.2.1: it may not
    /// be taken back otherwise).
    pub fn fix_max_cmd_sn(&mut self, max_cmd_sn: u32) {
        self.session().fix_max_cmd_sn(max_cmd_sn);
    }

    /// Counts the CmdSN of `pdu` as not received, as after its Reject (§11.17.1).
    pub fn forget(&mut self, pdu: &Pdu) {
        self.session().forget(pdu.cmd_sn());
    }

    /// Lets the CmdSN of `pdu` come once more (§7.2.1).
    pub fn allow_retry(&mut self, pdu: &Pdu) {
        self.session().allow_retry(pdu.cmd_sn());
    }

    /// Switches digests on or off (§13.1).
    pub fn set_digests(&mut self, header: bool, data: bool) {
        (self.header_digest, self.data_digest) = (header, data);
    }

    /// Gives a PDU the numbers that it would be sent with, and counts them as sent.
    pub fn number(&mut self, pdu: Pdu) -> Pdu {
        let pdu = self.status.stamp(pdu);
        let session = self.session();
        let (expected, max) = (session.exp_cmd_sn(), session.max_cmd_sn());
        pdu.put_word(28, expected).put_word(32, max)
    }

    /// The bytes of a PDU, with the digests of the connection.
    #[must_use]
    pub fn bytes(&self, pdu: &Pdu) -> Vec<u8> {
        let mut bytes = pdu.header.to_vec();
        bytes.extend_from_slice(&pdu.ahs);
        if self.header_digest {
            bytes.extend(crc32c(&bytes));
        }
        let data = [&pdu.data[..], &pdu.padding[..]].concat();
        bytes.extend_from_slice(&data);
        if self.data_digest && !data.is_empty() {
            bytes.extend(crc32c(&data));
        }
        bytes
    }

    /// Numbers a PDU and sends it.
    ///
    /// # Panics
    /// When the initiator is gone.
    pub async fn send(&mut self, pdu: Pdu) {
        let pdu = self.number(pdu);
        self.send_numbered(&pdu).await;
    }

    /// Sends a PDU with the numbers that it has.
    ///
    /// # Panics
    /// When the initiator is gone.
    pub async fn send_numbered(&mut self, pdu: &Pdu) {
        self.send_bytes(&self.bytes(pdu)).await;
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// When the initiator is gone.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        let sent = timeout(LIMIT, self.stream.write_all(bytes)).await;
        sent.expect("the initiator reads")
            .expect("the initiator is there");
    }

    /// Closes the sending half.
    ///
    /// # Panics
    /// When the connection is broken.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.expect("a connected socket");
    }

    /// Closes the connection with a reset.
    ///
    /// # Panics
    /// When the connection is broken already.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("a connected socket");
    }

    /// The next PDU; `None` when the initiator has closed the connection. What is lost when the future
    /// is dropped is nothing.
    ///
    /// # Panics
    /// When nothing comes in time, or what comes breaks a rule that holds for all PDUs.
    pub async fn take(&mut self) -> Option<Pdu> {
        if let Some(pdu) = self.aside.pop_front() {
            return Some(pdu);
        }
        self.receive().await
    }

    /// The next PDU of the stream.
    async fn receive(&mut self) -> Option<Pdu> {
        let read = timeout(LIMIT, self.read()).await;
        let pdu = read.unwrap_or_else(|_| panic!("nothing came in time after{}", self.recent()))?;
        self.judge(&pdu);
        self.shared.record(Recorded {
            connection: self.index,
            pdu: pdu.clone(),
        });
        Some(pdu)
    }

    /// The next PDU.
    ///
    /// # Panics
    /// As [`take`](Self::take), and when the connection ends.
    pub async fn next(&mut self) -> Pdu {
        let next = self.take().await;
        next.unwrap_or_else(|| panic!("the initiator left after{}", self.recent()))
    }

    /// The next PDU, which must have this opcode.
    ///
    /// # Panics
    /// When it has not.
    pub async fn expect(&mut self, opcode: u8) -> Pdu {
        let pdu = self.next().await;
        assert_eq!(
            name(pdu.opcode()),
            name(opcode),
            "a {} was to come, not {pdu:?}, after{}",
            name(opcode),
            self.recent()
        );
        pdu
    }

    /// The next PDU, which must be a SCSI command with this operation code.
    ///
    /// # Panics
    /// When it is not.
    pub async fn expect_command(&mut self, operation: u8) -> Pdu {
        let pdu = self.expect(SCSI_COMMAND).await;
        assert_eq!(pdu.cdb()[0], operation, "{pdu:?}");
        pdu
    }

    /// Passes over what comes until a PDU with this opcode does.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn skip_to(&mut self, opcode: u8) -> Pdu {
        loop {
            let pdu = self.next().await;
            if pdu.opcode() == opcode {
                return pdu;
            }
        }
    }

    /// The initiator closes the connection, without another PDU.
    ///
    /// # Panics
    /// When it sends one.
    pub async fn expect_close(&mut self) {
        if let Some(pdu) = self.take().await {
            panic!("the connection was to be closed, but {pdu:?} came");
        }
    }

    /// The initiator closes the connection; what it sends before does not matter.
    pub async fn await_close(&mut self) {
        while self.take().await.is_some() {}
    }

    /// Nothing is on its way and nothing will come by itself: two pings in a row are answered, with no
    /// other PDU in between. Whatever was ready to be sent before the second would have come first.
    ///
    /// # Panics
    /// When something else comes.
    pub async fn quiet(&mut self) {
        for _ in 0..2 {
            self.pings += 1;
            let tag = self.pings;
            self.send(Pdu::nop_in(tag, [0; 8])).await;
            let answer = self.expect(NOP_OUT).await;
            assert_eq!((answer.itt(), answer.ttt()), (NO_TAG, tag), "{answer:?}");
        }
    }

    /// The initiator neither sends anything nor closes the connection for so long. Only for what cannot
    /// be asked for otherwise, such as that it waits.
    ///
    /// # Panics
    /// When it does.
    pub async fn expect_patience(&mut self, time: Duration) {
        if let Ok(came) = timeout(time, self.read()).await {
            panic!("the initiator was to wait, but {came:?} came");
        }
    }

    /// The last PDUs, for messages.
    fn recent(&self) -> String {
        let transcript = self.transcript();
        let pdus = transcript.pdus();
        let last = pdus.iter().skip(pdus.len().saturating_sub(4));
        last.map(|pdu| format!("\n  {pdu:?}")).collect()
    }

    /// Holds a PDU to what holds for all.
    fn judge(&mut self, pdu: &Pdu) {
        let mut checked = rules::check(pdu);
        if pdu.data_length() > self.segment_limit {
            let (length, limit) = (pdu.data_length(), self.segment_limit);
            checked = checked.and(Err(format!("{length} bytes of data, {limit} are allowed")));
        }
        // The first request of a login begins the numbers, and has nothing to acknowledge (§11.12.9).
        let is_first = pdu.opcode() == LOGIN_REQUEST && self.agreed.requests.is_empty();
        if !is_first {
            checked = checked.and_then(|()| self.session().receive(pdu));
            checked = checked.and_then(|()| self.status.receive(pdu.exp_stat_sn()));
        }
        if let Err(offence) = checked {
            panic!("{offence}: {pdu:?} after{}", self.recent());
        }
    }

    async fn read(&mut self) -> Option<Pdu> {
        loop {
            if let Some(pdu) = self.parse() {
                return Some(pdu);
            }
            self.inbox.reserve(READ_SIZE);
            match self.stream.read_buf(&mut self.inbox).await {
                Ok(0) => {
                    assert!(
                        self.inbox.is_empty(),
                        "an end within a PDU: {:02x?}",
                        self.inbox
                    );
                    return None;
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("cannot read: {error}"),
            }
        }
    }

    /// Takes a whole PDU out of what was received.
    fn parse(&mut self) -> Option<Pdu> {
        let header = self.inbox.first_chunk::<HEADER_BYTES>()?;
        let mut pdu = Pdu::new(0, 0);
        pdu.header = *header;
        let ahs = HEADER_BYTES + pdu.ahs_length();
        let data = ahs + if self.header_digest { 4 } else { 0 };
        let padded = pdu.data_length().next_multiple_of(4);
        let has_data_digest = self.data_digest && padded > 0;
        let end = data + padded + if has_data_digest { 4 } else { 0 };
        if self.inbox.len() < end {
            return None;
        }
        let bytes: Vec<u8> = self.inbox.drain(..end).collect();
        pdu.ahs = bytes[HEADER_BYTES..ahs].to_vec();
        if self.header_digest {
            assert_eq!(
                bytes[ahs..data],
                crc32c(&bytes[..ahs]),
                "the header digest of {pdu:?}"
            );
        }
        if has_data_digest {
            let (segment, digest) = bytes[data..].split_at(padded);
            assert_eq!(digest, crc32c(segment), "the data digest of {pdu:?}");
        }
        pdu.data = bytes[data..data + pdu.data_length()].to_vec();
        pdu.padding = bytes[data + pdu.data_length()..data + padded].to_vec();
        Some(pdu)
    }
}

/// Writes, as a target takes them in.
impl Peer {
    /// The unsolicited data of `command`: what it carries itself, and the Data-Out that follow if its F
    /// bit says so, each held to §11.7.
    pub async fn unsolicited(&mut self, command: &Pdu) -> Vec<u8> {
        let mut data = command.data.clone();
        if !command.is_final() {
            let more = self.burst(command, NO_TAG, data.len()).await;
            data.extend(more);
        }
        data
    }

    /// Asks for `length` bytes at `offset` of `command` and takes them.
    pub async fn solicit(
        &mut self,
        command: &Pdu,
        r2t_sn: u32,
        offset: u32,
        length: u32,
    ) -> Vec<u8> {
        let ttt = 0x0700_0000 + r2t_sn;
        self.send(Pdu::r2t(command, ttt, r2t_sn, offset, length))
            .await;
        self.solicited(command, ttt, offset, length).await
    }

    /// Takes the answer to an R2T that was sent.
    ///
    /// # Panics
    /// When it is not as long as was asked for, or breaks a rule of §11.7.
    pub async fn solicited(
        &mut self,
        command: &Pdu,
        ttt: u32,
        offset: u32,
        length: u32,
    ) -> Vec<u8> {
        let data = self.burst(command, ttt, offset as usize).await;
        assert_eq!(
            data.len(),
            length as usize,
            "the answer to the R2T at {offset}"
        );
        data
    }

    /// All data of a write: what comes unasked, and the rest in bursts of MaxBurstLength.
    pub async fn take_write(&mut self, command: &Pdu) -> Vec<u8> {
        let mut data = self.unsolicited(command).await;
        let mut r2t_sn = 0;
        while data.len() < command.expected_length() as usize {
            let at = data.len() as u32;
            let length = (command.expected_length() - at).min(self.agreed.number("MaxBurstLength"));
            data.extend(self.solicit(command, r2t_sn, at, length).await);
            r2t_sn += 1;
        }
        data
    }

    /// As [`take_write`](Self::take_write), while the initiator sends other commands too: they come
    /// after it.
    ///
    /// # Panics
    /// As [`take_write`](Self::take_write).
    pub async fn take_write_among_others(&mut self, command: &Pdu) -> Vec<u8> {
        let mut data = command.data.clone();
        assert!(
            command.is_final(),
            "unsolicited Data-Out are not told from others here"
        );
        let mut r2t_sn = 0;
        while data.len() < command.expected_length() as usize {
            let at = data.len() as u32;
            let length = (command.expected_length() - at).min(self.agreed.number("MaxBurstLength"));
            let ttt = 0x0700_0000 + r2t_sn;
            self.send(Pdu::r2t(command, ttt, r2t_sn, at, length)).await;
            while data.len() < (at + length) as usize {
                let pdu = self.receive().await.expect("the initiator is there");
                if pdu.opcode() == DATA_OUT {
                    assert_eq!((pdu.itt(), pdu.ttt()), (command.itt(), ttt), "{pdu:?}");
                    assert_eq!(pdu.offset() as usize, data.len(), "the offset of {pdu:?}");
                    data.extend_from_slice(&pdu.data);
                } else {
                    self.aside.push_back(pdu);
                }
            }
            r2t_sn += 1;
        }
        data
    }

    /// One sequence of Data-Out, up to its F bit.
    async fn burst(&mut self, command: &Pdu, ttt: u32, offset: usize) -> Vec<u8> {
        let lun = if ttt == NO_TAG { [0; 8] } else { command.lun() };
        let mut data = Vec::new();
        for data_sn in 0.. {
            let pdu = self.expect(DATA_OUT).await;
            assert_eq!(pdu.itt(), command.itt(), "the task of {pdu:?}");
            assert_eq!((pdu.ttt(), pdu.lun()), (ttt, lun), "tag and LUN of {pdu:?}");
            assert_eq!(pdu.data_sn(), data_sn, "DataSN of {pdu:?}");
            let due = offset + data.len();
            assert_eq!(pdu.offset() as usize, due, "the offset of {pdu:?}");
            data.extend_from_slice(&pdu.data);
            if pdu.is_final() {
                break;
            }
            assert!(!pdu.data.is_empty(), "a Data-Out without data");
        }
        data
    }
}
