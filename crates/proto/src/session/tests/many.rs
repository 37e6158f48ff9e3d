//! A bench for sessions of several connections, and for recovery: the target's numbers are kept for each
//! connection, and what it does not hear is lost.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::time::{Duration, Instant};

use super::bench::{Buffers, Ended, command, pattern};
use super::wire::*;
use crate::parameters::Parameters;
use crate::pdu::LoginStatus;
use crate::serial::Serial;
use crate::session::{
    Action, Command, ConnectionError, Direction, Established, Event, LoginRole, MAX_SEGMENTS,
    Outcome, Policy, Session, SessionConfig, TaskId, Transmit,
};

/// One connection, as the target sees it.
#[derive(Default)]
pub(super) struct Wire {
    /// StatSN that is sent next.
    pub(super) stat_sn: u32,
    /// What came and no test has taken yet.
    pub(super) sent: VecDeque<Pdu>,
    /// Nothing that is written arrives.
    pub(super) deaf: bool,
    /// The socket takes nothing: a batch stays as it is.
    pub(super) blocked: bool,
    batch: Option<Transmit>,
}

pub(super) struct Many {
    pub(super) now: Instant,
    pub(super) session: Session,
    pub(super) buffers: Buffers,
    pub(super) parameters: Parameters,
    pub(super) wires: BTreeMap<u16, Wire>,
    pub(super) ended: VecDeque<Ended>,
    pub(super) events: Vec<Event>,
    pub(super) connects: VecDeque<(u16, LoginRole, u32)>,
    pub(super) disconnects: Vec<u16>,
    /// Those of them that the target closes first.
    pub(super) farewells: Vec<u16>,
    /// CmdSN that the target expects next, and later ones that it has.
    pub(super) exp_cmd_sn: u32,
    early: BTreeMap<u32, u16>,
    pub(super) grant: u32,
    /// ExpStatSN of what comes is that of a target which has lost nothing.
    pub(super) check_stat_sn: bool,
    next_token: u64,
}

pub(super) const TSIH: u16 = 0x1234;

/// A configuration without pings, for `connections` connections.
pub(super) fn with_connections(connections: u16) -> SessionConfig {
    SessionConfig {
        ping_interval: Duration::ZERO,
        connections,
        ..SessionConfig::default()
    }
}

impl Many {
    /// A session with its leading connection up and the gate open, at this error recovery level.
    pub(super) fn new(config: SessionConfig, level: u8) -> Self {
        Self::with(config, |p| p.error_recovery_level = level)
    }

    pub(super) fn with(config: SessionConfig, change: impl FnOnce(&mut Parameters)) -> Self {
        let now = Instant::now();
        let mut parameters = Parameters {
            max_connections: 8,
            ..Parameters::default()
        };
        change(&mut parameters);
        let mut many = Self {
            now,
            session: Session::new(config, now),
            buffers: Buffers::default(),
            parameters,
            wires: BTreeMap::new(),
            ended: VecDeque::new(),
            events: Vec::new(),
            connects: VecDeque::new(),
            disconnects: Vec::new(),
            farewells: Vec::new(),
            exp_cmd_sn: 0x1000,
            early: BTreeMap::new(),
            grant: 64,
            check_stat_sn: true,
            next_token: 0,
        };
        many.pass(Duration::ZERO);
        let (cid, role, _) = many.connects.pop_front().unwrap();
        assert_eq!((cid, role), (0, LoginRole::Leading));
        many.log_in(0);
        many.session.open_gate(many.now);
        many.settle();
        many
    }

    /// A session of so many connections at this level, all of them there.
    pub(super) fn up(connections: u16, level: u8) -> Self {
        let mut many = Self::new(with_connections(connections), level);
        many.join_all();
        assert_eq!(many.session.cids().count(), usize::from(connections));
        many.events.clear();
        many
    }

    /// Lets all logins that are wanted now succeed.
    pub(super) fn join_all(&mut self) {
        while let Some((cid, role, _)) = self.connects.pop_front() {
            self.judge_role(role);
            self.log_in(cid);
        }
    }

    fn judge_role(&self, role: LoginRole) {
        if let LoginRole::Additional(joining) | LoginRole::Reinstating(joining) = role {
            assert_eq!(joining.tsih, TSIH);
        }
    }

    pub(super) fn log_in(&mut self, cid: u16) {
        let stat_sn = 0x4000 + 0x100 * u32::from(cid);
        let wire = Wire {
            stat_sn,
            ..Wire::default()
        };
        self.wires.insert(cid, wire);
        let login = Established {
            cid,
            tsih: TSIH,
            tpgt: Some(1),
            parameters: self.parameters.clone(),
            cmd_sn: Serial(self.exp_cmd_sn),
            exp_cmd_sn: Serial(self.exp_cmd_sn),
            max_cmd_sn: Serial(self.max_cmd_sn()),
            exp_stat_sn: stat_sn,
        };
        self.session.handle_logged_in(self.now, login);
        self.settle();
    }

    pub(super) fn refuse(&mut self, cid: u16, status: Option<LoginStatus>) {
        self.session.handle_join_failed(self.now, cid, status);
        self.settle();
    }

    /// Commands of a connection, or of all, that came behind a missing one are forgotten.
    pub(super) fn forget_early(&mut self, cid: Option<u16>) {
        self.early.retain(|_, on| cid.is_some_and(|cid| cid != *on));
    }

    fn max_cmd_sn(&self) -> u32 {
        self.exp_cmd_sn.wrapping_add(self.grant).wrapping_sub(1)
    }

    pub(super) fn submit(&mut self, command: Command) -> TaskId {
        let id = self.submit_quietly(command);
        self.settle();
        id
    }

    /// Like [`submit`](Self::submit), and nothing is sent yet.
    pub(super) fn submit_quietly(&mut self, command: Command) -> TaskId {
        self.next_token += 1;
        let token = self.next_token;
        let buffer = match command.direction {
            Direction::None => Vec::new(),
            Direction::Read(length) => vec![0xaa; length as usize],
            Direction::Write(length) => (0..length).map(|n| pattern(token, n)).collect(),
        };
        let id = self.session.submit(self.now, command, token).unwrap();
        assert!(self.buffers.0.insert(id.slot(), buffer).is_none());
        id
    }

    pub(super) fn read(&mut self, length: u32) -> TaskId {
        self.submit(command(Direction::Read(length)))
    }

    pub(super) fn write(&mut self, length: u32) -> TaskId {
        self.submit(command(Direction::Write(length)))
    }

    /// Does what a driver does after each call: in rounds, until nothing moves.
    pub(super) fn settle(&mut self) {
        loop {
            self.drain();
            let cids: Vec<u16> = self.wires.keys().copied().collect();
            let mut moved = false;
            for cid in cids {
                moved |= self.write_out(cid);
            }
            if !moved {
                return;
            }
        }
    }

    fn write_out(&mut self, cid: u16) -> bool {
        let Some(wire) = self.wires.get_mut(&cid) else {
            return false;
        };
        if wire.batch.is_some() {
            if wire.blocked {
                return false;
            }
            let mut batch = wire.batch.take().unwrap();
            self.session.transmit_done(&mut batch);
            return true;
        }
        let mut batch = Transmit::default();
        if !self
            .session
            .poll_transmit(self.now, cid, &self.buffers, &mut batch)
        {
            return false;
        }
        let mut bytes = Vec::new();
        while !batch.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
            let count = batch.slices(&self.buffers, &mut slices).expect("buffers");
            let before = bytes.len();
            slices[..count]
                .iter()
                .for_each(|slice| bytes.extend_from_slice(slice));
            let written = bytes.len() - before;
            batch.advance(written);
        }
        while !bytes.is_empty() {
            let (header, data) = (self.parameters.header_digest, self.parameters.data_digest);
            let pdu = Pdu::from_wire(&mut bytes, header, data);
            self.arrive(cid, pdu);
        }
        if let Some(wire) = self.wires.get_mut(&cid) {
            wire.batch = Some(batch);
        }
        true
    }

    /// The target hears a PDU, or does not.
    fn arrive(&mut self, cid: u16, pdu: Pdu) {
        let max = self.max_cmd_sn();
        let wire = self.wires.get_mut(&cid).unwrap();
        if wire.deaf {
            return;
        }
        let is_other_logout = pdu.opcode() == LOGOUT && pdu.header[1] & 0x7f != 0;
        if self.check_stat_sn && !is_other_logout {
            assert_eq!(pdu.exp_stat_sn(), wire.stat_sn, "ExpStatSN of {pdu:?}");
        }
        let is_numbered = !pdu.is_immediate() && !matches!(pdu.opcode(), DATA_OUT | SNACK);
        if is_numbered {
            let ahead = pdu.cmd_sn().wrapping_sub(self.exp_cmd_sn);
            assert!(
                ahead <= max.wrapping_sub(self.exp_cmd_sn),
                "window: {pdu:?}"
            );
            let before = self.early.insert(pdu.cmd_sn(), cid);
            assert!(before.is_none(), "twice: {pdu:?}");
            while self.early.remove(&self.exp_cmd_sn).is_some() {
                self.exp_cmd_sn = self.exp_cmd_sn.wrapping_add(1);
            }
        }
        wire.sent.push_back(pdu);
    }

    pub(super) fn drain(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Connect {
                    cid,
                    login,
                    failures,
                } => self.connects.push_back((cid, login, failures)),
                Action::Disconnect { cid, after_logout } => {
                    self.farewells.extend(after_logout.then_some(cid));
                    self.connects.retain(|(waiting, ..)| *waiting != cid);
                    self.wires.remove(&cid);
                    self.disconnects.push(cid);
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

    /// Numbers a PDU of the target on a connection.
    pub(super) fn number(&mut self, cid: u16, pdu: Pdu) -> Pdu {
        let (exp, max) = (self.exp_cmd_sn, self.max_cmd_sn());
        let wire = self.wires.get_mut(&cid).unwrap();
        let consumes = match pdu.opcode() {
            DATA_IN => pdu.header[1] & 0x01 != 0,
            NOP_IN => pdu.get_itt() != NONE,
            R2T => false,
            _ => true,
        };
        let pdu = pdu.put32(24, wire.stat_sn).put32(28, exp).put32(32, max);
        wire.stat_sn = wire.stat_sn.wrapping_add(u32::from(consumes));
        pdu
    }

    pub(super) fn say_raw(
        &mut self,
        cid: u16,
        pdu: &Pdu,
        corrupt: bool,
    ) -> Result<(), ConnectionError> {
        let (header, data) = (self.parameters.header_digest, self.parameters.data_digest);
        let bytes = pdu.to_wire(header, data, corrupt);
        let fed = self
            .session
            .handle_input(self.now, cid, &bytes, &mut self.buffers);
        if fed.is_ok() {
            self.settle();
        }
        fed
    }

    /// The target sends a PDU that is in order.
    pub(super) fn say(&mut self, cid: u16, pdu: Pdu) {
        let pdu = self.number(cid, pdu);
        self.say_raw(cid, &pdu, false).unwrap();
    }

    /// The target says something after which the connection is over.
    pub(super) fn say_last(&mut self, cid: u16, pdu: Pdu) -> ConnectionError {
        let pdu = self.number(cid, pdu);
        let error = self
            .say_raw(cid, &pdu, false)
            .expect_err("the connection goes on");
        self.lose(cid, error.clone());
        error
    }

    pub(super) fn lose(&mut self, cid: u16, error: ConnectionError) {
        self.session.handle_connection_lost(self.now, cid, error);
        self.settle();
    }

    pub(super) fn cut(&mut self, cid: u16) {
        self.lose(cid, ConnectionError::Transport("reset".to_owned()));
    }

    pub(super) fn wire(&mut self, cid: u16) -> &mut Wire {
        self.wires.get_mut(&cid).expect("no such connection")
    }

    /// The next PDU on a connection, which must have this opcode.
    pub(super) fn take(&mut self, cid: u16, opcode: u8) -> Pdu {
        let pdu = self.wire(cid).sent.pop_front().expect("nothing was sent");
        assert_eq!(pdu.opcode(), opcode, "{pdu:?}");
        pdu
    }

    pub(super) fn take_all(&mut self, cid: u16) -> Vec<Pdu> {
        self.wire(cid).sent.drain(..).collect()
    }

    pub(super) fn silent(&mut self, cid: u16) {
        self.settle();
        let sent = &self.wire(cid).sent;
        assert!(sent.is_empty(), "sent {sent:?}");
    }

    pub(super) fn outcome(&mut self) -> Outcome {
        let ended = self.ended.pop_front().expect("nothing ended");
        assert!(self.ended.is_empty(), "also ended: {:?}", self.ended);
        ended.outcome
    }

    pub(super) fn nothing_ended(&self) {
        assert!(self.ended.is_empty(), "{:?}", self.ended);
    }

    /// All ended well.
    pub(super) fn all_good(&mut self) -> Vec<u64> {
        let good = self.ended.drain(..).map(|ended| match ended.outcome {
            Outcome::Completed(answer) if answer.status == 0 => ended.token,
            other => panic!("{} ended with {other:?}", ended.token),
        });
        good.collect()
    }

    /// The session was never lost.
    pub(super) fn never_lost(&self) {
        let lost = |event: &&Event| matches!(event, Event::Lost(_));
        assert!(
            !self.events.iter().any(|event| lost(&event)),
            "{:?}",
            self.events
        );
        assert!(self.session.is_up());
    }

    pub(super) fn set_policy(&mut self, policy: Policy) {
        self.session.set_policy(policy);
    }
}
