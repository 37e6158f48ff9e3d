//! A hostile target in the full feature phase: whatever it sends and whenever, each command ends exactly
//! once, what ended is no longer written to, and the session can always be closed.
//!
//! Input: a list of steps. Each begins with one byte that chooses what happens: a command is submitted, a
//! batch is sent or its writing completes, time passes, a task is aborted, or the target sends a PDU of
//! which the fuzzer chooses the opcode, the flags and the fields that matter.
#![no_main]

use std::collections::HashMap;
use std::io::IoSlice;
use std::time::{Duration, Instant};

use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::TaskAttribute;
use hawser_proto::serial::Serial;
use hawser_proto::session::{
    Action, Command, Direction, Established, Event, LoginRole, MAX_SEGMENTS, Outcome, Session, SessionConfig,
    TaskBuffers, TaskId, Transmit,
};
use libfuzzer_sys::fuzz_target;

/// Opcodes of a target (RFC 7143 section 11.2.1.2), and one that is none.
const OPCODES: [u8; 10] = [0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3f];
const NIL: u32 = 0xffff_ffff;
/// Commands at once.
const TASKS: u16 = 8;
/// More of them that may be urgent, so that a full table cannot keep the gate shut.
const URGENT_TASKS: usize = 8;
/// Connections that a run may make; further logins fail.
const CONNECTIONS_MAX: u32 = 6;
/// The longest data of a command.
const DATA_MAX: usize = 4096;

/// The buffers of the tasks, by slot.
struct Buffers(HashMap<u16, Vec<u8>>);

impl TaskBuffers for Buffers {
    fn outgoing(&self, slot: u16) -> &[u8] {
        self.0.get(&slot).map_or(&[], Vec::as_slice)
    }

    fn incoming(&mut self, slot: u16) -> &mut [u8] {
        self.0.get_mut(&slot).map_or(&mut [], Vec::as_mut_slice)
    }
}

struct World {
    session: Session,
    buffers: Buffers,
    batch: Transmit,
    now: Instant,
    parameters: Parameters,
    /// Commands without an end, by token.
    open: HashMap<u64, (TaskId, usize)>,
    submitted: u64,
    connected: Option<u16>,
    connections: u32,
    stat_sn: u32,
}

fuzz_target!(|data: &[u8]| {
    let Some((switches, mut input)) = data.split_first() else {
        return;
    };
    let mut world = World::new(*switches);
    while let Some(choice) = take(&mut input) {
        world.step(choice, &mut input);
        world.drain();
    }
    world.session.close();
    world.drain();
    assert!(
        world.open.is_empty(),
        "commands without an end: {:?}",
        world.open
    );
});

/// The next byte of the input.
fn take(input: &mut &[u8]) -> Option<u8> {
    let (first, rest) = input.split_first()?;
    *input = rest;
    Some(*first)
}

impl World {
    fn new(switches: u8) -> Self {
        let now = Instant::now();
        let config = SessionConfig {
            max_tasks: TASKS,
            ..SessionConfig::default()
        };
        let in_order = switches & 1 == 0;
        let parameters = Parameters {
            initial_r2t: switches & 2 == 0,
            immediate_data: switches & 4 == 0,
            max_send_data_segment: 512,
            max_burst: 1024,
            first_burst: 1024,
            max_outstanding_r2t: 2,
            data_pdu_in_order: in_order,
            data_sequence_in_order: in_order,
            ..Parameters::default()
        };
        let mut world = Self {
            session: Session::new(config, now),
            buffers: Buffers(HashMap::new()),
            batch: Transmit::default(),
            now,
            parameters,
            open: HashMap::new(),
            submitted: 0,
            connected: None,
            connections: 0,
            stat_sn: 0,
        };
        world.session.handle_timeout(now);
        world.drain();
        world
    }

    fn step(&mut self, choice: u8, input: &mut &[u8]) {
        match choice {
            0..=31 => self.submit(choice),
            32..=63 => self.send(),
            64..=79 => self.session.transmit_done(&mut self.batch),
            80..=95 => {
                self.now += Duration::from_millis(u64::from(choice - 80) * 500);
                self.session.handle_timeout(self.now);
            }
            96..=103 => self.abort(choice),
            104 => self.session.logout(self.now),
            _ => self.receive(choice, input),
        }
    }

    fn submit(&mut self, choice: u8) {
        let length = DATA_MAX >> (choice & 3);
        let bytes = u32::try_from(length).expect("a small length");
        let direction = match choice >> 2 & 3 {
            0 => Direction::None,
            1 => Direction::Write(bytes),
            _ => Direction::Read(bytes),
        };
        let command = Command {
            cdb: [0; 16],
            lun: [0; 8],
            direction,
            attribute: TaskAttribute::Simple,
            replay: choice & 16 != 0,
            urgent: choice & 8 != 0,
            timeout: Duration::from_secs(10),
        };
        if let Ok(id) = self.session.submit(self.now, command, self.submitted) {
            self.buffers.0.insert(id.slot(), vec![0; length]);
            self.open.insert(self.submitted, (id, length));
            self.submitted += 1;
        }
        assert!(self.open.len() <= usize::from(TASKS) + URGENT_TASKS);
    }

    /// Starts a batch, if none is being written.
    fn send(&mut self) {
        let Some(cid) = self.connected else { return };
        if !self.batch.is_empty() {
            return;
        }
        let (now, buffers) = (self.now, &self.buffers);
        if !self
            .session
            .poll_transmit(now, cid, buffers, &mut self.batch)
        {
            return;
        }
        let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
        let count = self.batch.slices(buffers, &mut slices);
        assert!(count.is_some_and(|count| count <= MAX_SEGMENTS));
    }

    fn abort(&mut self, choice: u8) {
        let token = self.submitted.wrapping_sub(u64::from(choice & 7));
        if let Some((id, _)) = self.open.get(&token) {
            // Refused when too many wait; then nothing happens.
            let _ = self.session.abort(self.now, *id);
        }
    }

    /// The target sends a PDU made of the next bytes.
    fn receive(&mut self, choice: u8, input: &mut &[u8]) {
        let Some(cid) = self.connected else { return };
        let pdu = self.pdu(choice, input);
        let result = self
            .session
            .handle_input(self.now, cid, &pdu, &mut self.buffers);
        if let Err(error) = result {
            assert!(!error.to_string().is_empty());
            self.session.handle_connection_lost(self.now, cid, error);
        }
    }

    fn pdu(&mut self, choice: u8, input: &mut &[u8]) -> Vec<u8> {
        let mut next = || take(input).unwrap_or(0);
        let mut pdu = vec![0; 48];
        pdu[0] = OPCODES[usize::from(choice) % OPCODES.len()];
        pdu[1] = next();
        (pdu[2], pdu[3]) = (next(), next());
        let length = next();
        pdu[7] = length;
        let whom = next();
        let itt = match whom {
            0..=191 => self.itt(whom),
            192..=223 => NIL,
            _ => u32::from(whom),
        };
        pdu[16..20].copy_from_slice(&itt.to_be_bytes());
        let ttt = next();
        let ttt = if ttt == 0xff { NIL } else { u32::from(ttt) };
        pdu[20..24].copy_from_slice(&ttt.to_be_bytes());
        let stat_sn = self.stat_sn.wrapping_add(u32::from(next() / 128));
        self.stat_sn = self.stat_sn.wrapping_add(u32::from(pdu[1] & 1));
        pdu[24..28].copy_from_slice(&stat_sn.to_be_bytes());
        let expected = u32::from(next());
        pdu[28..32].copy_from_slice(&expected.to_be_bytes());
        pdu[32..36].copy_from_slice(&(expected + 16).to_be_bytes());
        for at in [39, 42, 43, 46, 47] {
            pdu[at] = next();
        }
        pdu.extend((0..length).map(|_| next()));
        pdu.resize(pdu.len().next_multiple_of(4), 0);
        pdu
    }

    /// The tag of one of the commands under way.
    fn itt(&self, whom: u8) -> u32 {
        let mut tags: Vec<u32> = self.open.values().map(|(id, _)| id.itt()).collect();
        tags.sort_unstable();
        let index = usize::from(whom) % tags.len().max(1);
        tags.get(index).copied().unwrap_or(u32::from(whom))
    }

    /// Does what the session asks for and takes note of what it says.
    fn drain(&mut self) {
        loop {
            while let Some(action) = self.session.poll_action() {
                self.act(action);
            }
            let Some(event) = self.session.poll_event() else {
                break;
            };
            match event {
                Event::Done(done) => {
                    let (id, length) = self.open.remove(&done.token).expect("one end a command");
                    assert_eq!(id.slot(), done.slot);
                    if let Outcome::Completed(answer) = done.outcome {
                        assert!(answer.transferred as usize <= length);
                    }
                    self.buffers.0.remove(&done.slot);
                }
                Event::Up { .. } => {
                    // It stays shut when the session is lost again or being logged out of.
                    let _ = self.session.open_gate(self.now);
                }
                _ => {}
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Disconnect { .. } => {
                self.connected = None;
                // What was being written goes nowhere now.
                self.session.transmit_done(&mut self.batch);
            }
            Action::Connect { cid, .. } if self.connections < CONNECTIONS_MAX => {
                self.connections += 1;
                self.connected = Some(cid);
                self.stat_sn = 1;
                self.session.handle_logged_in(
                    self.now,
                    Established {
                        cid,
                        tsih: 1,
                        tpgt: Some(1),
                        parameters: self.parameters.clone(),
                        cmd_sn: Serial(1),
                        exp_cmd_sn: Serial(1),
                        max_cmd_sn: Serial(16),
                        exp_stat_sn: 1,
                    },
                );
            }
            Action::Connect {
                login: LoginRole::Leading,
                ..
            } => self.session.handle_login_failed(self.now),
            Action::Connect { cid, .. } => self.session.handle_join_failed(self.now, cid, None),
        }
    }
}
