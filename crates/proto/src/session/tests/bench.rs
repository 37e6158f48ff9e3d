//! A session on a bench: its driver, its buffers, the scripted target's numbers, and the clock.

use std::collections::{HashMap, VecDeque};
use std::io::IoSlice;
use std::time::{Duration, Instant};

use super::wire::*;
use crate::parameters::Parameters;
use crate::pdu::TaskAttribute;
use crate::serial::Serial;
use crate::session::{
    Action, Command, ConnectionError, Direction, Established, Event, MAX_SEGMENTS, Outcome,
    PeerMisbehaved, Session, SessionConfig, TaskBuffers, TaskId, Transmit,
};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const LUN_0: [u8; 8] = [0; 8];
pub(super) const LUN_3: [u8; 8] = [0, 3, 0, 0, 0, 0, 0, 0];

/// The driver's buffers, by slot.
#[derive(Default)]
pub(super) struct Buffers(pub(super) HashMap<u16, Vec<u8>>);

impl TaskBuffers for Buffers {
    fn outgoing(&self, slot: u16) -> &[u8] {
        self.0.get(&slot).map_or(&[], Vec::as_slice)
    }

    fn incoming(&mut self, slot: u16) -> &mut [u8] {
        self.0.get_mut(&slot).map_or(&mut [], Vec::as_mut_slice)
    }
}

/// What ended, with the buffer it gave back.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) token: u64,
    pub(super) outcome: Outcome,
    pub(super) buffer: Vec<u8>,
}

pub(super) struct Bench {
    pub(super) now: Instant,
    pub(super) session: Session,
    pub(super) buffers: Buffers,
    pub(super) parameters: Parameters,
    /// PDUs that the initiator wrote and no test has taken yet.
    pub(super) sent: VecDeque<Pdu>,
    pub(super) ended: VecDeque<Ended>,
    pub(super) events: Vec<Event>,
    /// Connect actions that wait for a login: how many failures they told.
    pub(super) connects: VecDeque<u32>,
    pub(super) disconnects: usize,
    /// Those of them that followed a logout which the target had answered.
    pub(super) farewells: usize,
    /// StatSN that the target sends next.
    pub(super) stat_sn: u32,
    /// CmdSN that the target expects next.
    pub(super) exp_cmd_sn: u32,
    pub(super) max_cmd_sn: u32,
    /// Grants so many commands from ExpCmdSN on; `None` leaves MaxCmdSN to the test.
    pub(super) grant: Option<u32>,
    /// Numbers above the next that came, after one that was rejected.
    pub(super) check_cmd_sn: bool,
    /// A batch that is being written and not done.
    pub(super) writing: Option<Transmit>,
    next_token: u64,
}

impl Bench {
    /// A session that wants to connect.
    pub(super) fn down(config: SessionConfig, parameters: Parameters) -> Self {
        let now = Instant::now();
        let mut bench = Self {
            now,
            session: Session::new(config, now),
            buffers: Buffers::default(),
            parameters,
            sent: VecDeque::new(),
            ended: VecDeque::new(),
            events: Vec::new(),
            connects: VecDeque::new(),
            disconnects: 0,
            farewells: 0,
            stat_sn: 0x4000,
            exp_cmd_sn: 0x1000,
            max_cmd_sn: 0x1000,
            grant: Some(64),
            check_cmd_sn: true,
            writing: None,
            next_token: 0,
        };
        bench.pass(Duration::ZERO);
        bench
    }

    /// A session that is up, with its gate open.
    pub(super) fn up(config: SessionConfig, parameters: Parameters) -> Self {
        let mut bench = Self::down(config, parameters);
        bench.login(Some(1));
        bench.open();
        bench
    }

    /// Like [`up`](Self::up), with pings switched off and 64 commands granted.
    pub(super) fn plain() -> Self {
        Self::up(quiet(), Parameters::default())
    }

    /// Like [`plain`](Self::plain), with other parameters.
    pub(super) fn with(change: impl FnOnce(&mut Parameters)) -> Self {
        let mut parameters = Parameters::default();
        change(&mut parameters);
        Self::up(quiet(), parameters)
    }

    /// Like [`plain`](Self::plain), with a window of `size` from the login on and no grants later.
    pub(super) fn window(size: u32) -> Self {
        let mut bench = Self::down(quiet(), Parameters::default());
        bench.grant = None;
        bench.max_cmd_sn = bench.exp_cmd_sn.wrapping_add(size).wrapping_sub(1);
        bench.login(Some(1));
        bench.open();
        bench
    }

    /// Answers the connect action with a login at portal group `tpgt`.
    pub(super) fn login(&mut self, tpgt: Option<u16>) {
        self.connects.pop_front().expect("nobody wants to connect");
        if let Some(grant) = self.grant {
            self.max_cmd_sn = self.exp_cmd_sn.wrapping_add(grant).wrapping_sub(1);
        }
        let login = Established {
            cid: 0,
            tsih: 0,
            tpgt,
            parameters: self.parameters.clone(),
            cmd_sn: Serial(self.exp_cmd_sn),
            exp_cmd_sn: Serial(self.exp_cmd_sn),
            max_cmd_sn: Serial(self.max_cmd_sn),
            exp_stat_sn: self.stat_sn,
        };
        self.session.handle_logged_in(self.now, login);
        self.settle();
    }

    pub(super) fn open(&mut self) {
        self.session.open_gate(self.now);
        self.settle();
    }

    pub(super) fn submit(&mut self, command: Command) -> TaskId {
        self.next_token += 1;
        let token = self.next_token;
        let buffer = match command.direction {
            Direction::None => Vec::new(),
            Direction::Read(length) => vec![0xaa; length as usize],
            Direction::Write(length) => (0..length).map(|n| pattern(token, n)).collect(),
        };
        let id = self.session.submit(self.now, command, token).unwrap();
        let before = self.buffers.0.insert(id.slot(), buffer);
        assert!(before.is_none(), "two tasks in slot {}", id.slot());
        self.settle();
        id
    }

    pub(super) fn read(&mut self, length: u32) -> TaskId {
        self.submit(command(Direction::Read(length)))
    }

    pub(super) fn write(&mut self, length: u32) -> TaskId {
        self.submit(command(Direction::Write(length)))
    }

    /// A write to LUN 3.
    pub(super) fn write_to_3(&mut self, length: u32) -> TaskId {
        self.submit(Command {
            lun: LUN_3,
            ..command(Direction::Write(length))
        })
    }

    /// Does what a driver does after each call: actions, events, and all that can be sent.
    pub(super) fn settle(&mut self) {
        self.drain();
        if self.writing.is_none() {
            while let Some(mut batch) = self.begin_write() {
                self.session.transmit_done(&mut batch);
            }
        }
        self.drain();
    }

    /// Starts a write that the test completes.
    pub(super) fn begin_write(&mut self) -> Option<Transmit> {
        let mut batch = Transmit::default();
        if !self
            .session
            .poll_transmit(self.now, 0, &self.buffers, &mut batch)
        {
            return None;
        }
        let mut bytes = Vec::new();
        while !batch.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
            let count = batch.slices(&self.buffers, &mut slices).expect("buffers");
            let before = bytes.len();
            for slice in &slices[..count] {
                bytes.extend_from_slice(slice);
            }
            let written = bytes.len() - before;
            batch.advance(written);
        }
        while !bytes.is_empty() {
            let (header, data) = (self.parameters.header_digest, self.parameters.data_digest);
            let pdu = Pdu::from_wire(&mut bytes, header, data);
            self.judge(&pdu);
            self.sent.push_back(pdu);
        }
        Some(batch)
    }

    /// The rules that hold for every PDU of the initiator: ExpStatSN everywhere (RFC 7143 §4.2.2.2),
    /// CmdSN in order and inside the window (§4.2.2.1).
    fn judge(&mut self, pdu: &Pdu) {
        assert_eq!(pdu.exp_stat_sn(), self.stat_sn, "ExpStatSN of {pdu:?}");
        if pdu.opcode() == DATA_OUT || !self.check_cmd_sn {
            return;
        }
        assert_eq!(pdu.cmd_sn(), self.exp_cmd_sn, "CmdSN of {pdu:?}");
        if !pdu.is_immediate() {
            let room = self.max_cmd_sn.wrapping_sub(pdu.cmd_sn());
            assert!(room < 1 << 31, "outside the window: {pdu:?}");
            self.exp_cmd_sn = self.exp_cmd_sn.wrapping_add(1);
        }
    }

    pub(super) fn drain(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Connect { cid, failures, .. } => {
                    assert_eq!(cid, 0);
                    self.connects.push_back(failures);
                }
                Action::Disconnect { cid, after_logout } => {
                    assert_eq!(cid, 0);
                    self.disconnects += 1;
                    self.farewells += usize::from(after_logout);
                    self.writing = None;
                }
            }
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Done(done) => {
                    let buffer = self.buffers.0.remove(&done.slot).unwrap_or_default();
                    self.ended.push_back(Ended {
                        token: done.token,
                        outcome: done.outcome,
                        buffer,
                    });
                }
                other => self.events.push(other),
            }
        }
    }

    /// Lets time pass, timer by timer. A timer that is due again at once would be a busy loop.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.session.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            self.settle();
            let next = self.session.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a busy timer");
        }
        self.now = end;
        self.settle();
    }

    /// Numbers a PDU of the target: StatSN, ExpCmdSN, MaxCmdSN.
    pub(super) fn number(&mut self, pdu: Pdu) -> Pdu {
        if let Some(grant) = self.grant {
            self.max_cmd_sn = self.exp_cmd_sn.wrapping_add(grant).wrapping_sub(1);
        }
        let consumes = match pdu.opcode() {
            DATA_IN => pdu.header[1] & 0x01 != 0,
            NOP_IN => pdu.get_itt() != NONE,
            R2T => false,
            _ => true,
        };
        let pdu = pdu
            .put32(24, self.stat_sn)
            .put32(28, self.exp_cmd_sn)
            .put32(32, self.max_cmd_sn);
        self.stat_sn = self.stat_sn.wrapping_add(u32::from(consumes));
        pdu
    }

    /// Gives the session bytes and settles.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        let fed = self
            .session
            .handle_input(self.now, 0, bytes, &mut self.buffers);
        if fed.is_ok() {
            self.settle();
        }
        fed
    }

    /// The target sends a PDU as it stands.
    pub(super) fn say_raw(&mut self, pdu: &Pdu) -> Result<(), ConnectionError> {
        let (header, data) = (self.parameters.header_digest, self.parameters.data_digest);
        self.feed(&pdu.to_wire(header, data, false))
    }

    /// The target sends a PDU that is in order.
    pub(super) fn say(&mut self, pdu: Pdu) {
        let pdu = self.number(pdu);
        self.say_raw(&pdu).unwrap();
    }

    /// The target sends a PDU that costs it the connection.
    pub(super) fn offend(&mut self, pdu: Pdu) -> ConnectionError {
        let pdu = self.number(pdu);
        self.offend_raw(&pdu)
    }

    pub(super) fn offend_raw(&mut self, pdu: &Pdu) -> ConnectionError {
        let error = self.say_raw(pdu).expect_err("the target got away with it");
        assert!(!error.to_string().is_empty());
        self.lose(error.clone());
        error
    }

    /// Like [`offend`](Self::offend), for the rules of the full feature phase.
    pub(super) fn misbehave(&mut self, pdu: Pdu) -> PeerMisbehaved {
        match self.offend(pdu) {
            ConnectionError::PeerMisbehaved(offence) => offence,
            other => panic!("{other:?}"),
        }
    }

    /// The driver tells the session that the connection is gone.
    pub(super) fn lose(&mut self, error: ConnectionError) {
        self.session.handle_connection_lost(self.now, 0, error);
        self.sent.clear();
        self.settle();
    }

    /// The connection breaks.
    pub(super) fn cut(&mut self) {
        self.lose(ConnectionError::Transport("reset".to_owned()));
    }

    /// The next PDU that was sent, which must have this opcode.
    pub(super) fn take(&mut self, opcode: u8) -> Pdu {
        let pdu = self.sent.pop_front().expect("nothing was sent");
        assert_eq!(pdu.opcode(), opcode, "{pdu:?}");
        pdu
    }

    pub(super) fn take_all(&mut self) -> Vec<Pdu> {
        self.sent.drain(..).collect()
    }

    /// Nothing was sent.
    pub(super) fn silent(&mut self) {
        self.settle();
        assert!(self.sent.is_empty(), "sent {:?}", self.sent);
    }

    /// The one task that ended since.
    pub(super) fn end(&mut self) -> Ended {
        let ended = self.ended.pop_front().expect("nothing ended");
        assert!(self.ended.is_empty(), "also ended: {:?}", self.ended);
        ended
    }

    pub(super) fn outcome(&mut self) -> Outcome {
        self.end().outcome
    }

    /// No task ended.
    pub(super) fn nothing_ended(&self) {
        assert!(self.ended.is_empty(), "{:?}", self.ended);
    }

    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The reason of the last loss.
    pub(super) fn lost_by(&mut self) -> ConnectionError {
        let lost = self.take_events().into_iter().rev();
        lost.filter_map(|event| match event {
            Event::Lost(error) => Some(error),
            _ => None,
        })
        .next()
        .expect("no loss")
    }
}

/// A configuration without pings, so that nothing is sent that a test did not ask for.
pub(super) fn quiet() -> SessionConfig {
    SessionConfig {
        ping_interval: Duration::ZERO,
        ..SessionConfig::default()
    }
}

/// A command that may be replayed, for LUN 0, with ten seconds.
pub(super) fn command(direction: Direction) -> Command {
    Command {
        cdb: [0x28, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        lun: LUN_0,
        direction,
        attribute: TaskAttribute::Simple,
        replay: true,
        urgent: false,
        timeout: 10 * SECOND,
    }
}

/// A command that must not be replayed.
pub(super) fn once(direction: Direction) -> Command {
    Command {
        replay: false,
        ..command(direction)
    }
}

/// What is in the buffer of the write with this token at this place.
pub(super) fn pattern(token: u64, at: u32) -> u8 {
    (at.wrapping_mul(7) ^ (at >> 8) ^ (token as u32).wrapping_mul(31)) as u8
}

/// A SCSI Response (RFC 7143 §11.4) with this status.
pub(super) fn response(itt: u32, status: u8) -> Pdu {
    Pdu::new(RESPONSE, FINAL).byte(3, status).itt(itt)
}

/// A Data-In (RFC 7143 §11.7) without flags.
pub(super) fn data_in(itt: u32, data_sn: u32, offset: u32, data: &[u8]) -> Pdu {
    Pdu::new(DATA_IN, 0)
        .itt(itt)
        .put32(20, NONE)
        .put32(36, data_sn)
        .put32(40, offset)
        .data(data)
}

/// Gives a Data-In F and S, and so a GOOD status.
pub(super) fn with_status(pdu: Pdu) -> Pdu {
    pdu.byte(1, FINAL | 0x01)
}

/// An R2T (RFC 7143 §11.8).
pub(super) fn r2t(itt: u32, ttt: u32, r2t_sn: u32, offset: u32, length: u32) -> Pdu {
    Pdu::new(R2T, FINAL)
        .itt(itt)
        .put32(20, ttt)
        .put32(36, r2t_sn)
        .put32(40, offset)
        .put32(44, length)
}

/// A NOP-In (RFC 7143 §11.19) of the target's own.
pub(super) fn nop_in(ttt: u32) -> Pdu {
    Pdu::new(NOP_IN, FINAL).itt(NONE).put32(20, ttt)
}

/// The echo of a ping.
pub(super) fn echo(itt: u32) -> Pdu {
    Pdu::new(NOP_IN, FINAL).itt(itt).put32(20, NONE)
}

/// A task management function response (RFC 7143 §11.6).
pub(super) fn tmf_response(itt: u32, code: u8) -> Pdu {
    Pdu::new(TMF_RESPONSE, FINAL).byte(2, code).itt(itt)
}

/// An asynchronous message (RFC 7143 §11.9).
pub(super) fn async_message(event: u8, parameters: [u16; 3]) -> Pdu {
    Pdu::new(ASYNC, FINAL)
        .itt(NONE)
        .byte(36, event)
        .put16(38, parameters[0])
        .put16(40, parameters[1])
        .put16(42, parameters[2])
}

/// A Reject (RFC 7143 §11.17) of a PDU that the initiator sent.
pub(super) fn reject(reason: u8, victim: &Pdu) -> Pdu {
    Pdu::new(REJECT, FINAL)
        .byte(2, reason)
        .itt(NONE)
        .data(&victim.header)
}

/// A logout response (RFC 7143 §11.15).
pub(super) fn logout_response(itt: u32, code: u8, wait: u16, retain: u16) -> Pdu {
    Pdu::new(LOGOUT_RESPONSE, FINAL)
        .byte(2, code)
        .itt(itt)
        .put16(40, wait)
        .put16(42, retain)
}
