//! RFC 7143 §6.3.4, §6.3.6, §7.1.4.3, §7.2.2, §7.5, §11.5.6, §11.14: connection recovery
//! (ErrorRecoveryLevel 2).

use std::io;
use std::sync::{Arc, Condvar, Mutex};

use hawser_target::disk::{Backend, Extent, RamBackend};
use hawser_target::{KeyPolicy, TargetConfig};

use crate::raw::*;

/// Functions of §11.5.1.
const ABORT_TASK: u8 = 1;
const TASK_REASSIGN: u8 = 8;

/// Responses of §11.6.1.
const COMPLETE: u8 = 0;
const NO_SUCH_TASK: u8 = 1;
const STILL_ALLEGIANT: u8 = 3;
const NO_REASSIGNMENT: u8 = 4;
const REJECTED: u8 = 255;

/// Reasons of §11.14.1.
const CLOSE_CONNECTION: u8 = 1;
const RECOVER_CONNECTION: u8 = 2;

const LEVEL_2: [(&str, &str); 3] = [
    ("ErrorRecoveryLevel", "2"),
    ("MaxConnections", "4"),
    ("MaxRecvDataSegmentLength", "512"),
];

fn ready(policy: KeyPolicy, keys: &[(&str, &str)]) -> (Server, Initiator) {
    let server = Server::with_policy(policy);
    let mut one = server.log_in(keys);
    one.hear_news();
    (server, one)
}

fn pair() -> (Server, Initiator, Initiator) {
    let (server, one) = ready(KeyPolicy::default(), &LEVEL_2);
    let two = server.join_with(&one, 2, &LEVEL_2[2..]);
    (server, one, two)
}

/// Reads four blocks in four PDUs, the last of which is not acknowledged.
fn read_four(initiator: &mut Initiator) -> (u32, Vec<Pdu>) {
    let itt = initiator.command(FINAL | READ | SIMPLE, 2048, read10(0, 4), &[]);
    let pdus = initiator.receive_read(itt);
    (itt, pdus)
}

/// Breaks `lost` off; `other` hears event 2 with its CID and the times of the session.
fn break_off(lost: Initiator, other: &mut Initiator) {
    let cid = lost.cid;
    drop(lost);
    let event = other.expect(ASYNC);
    assert_eq!((event.header[36], event.half(38)), (2, cid));
    assert_eq!((event.half(40), event.half(42)), (2, 20));
}

/// Logs the connection of this CID out for recovery; the tasks wait as agreed.
fn recover(initiator: &mut Initiator, cid: u16) {
    initiator.log_out_now(RECOVER_CONNECTION, cid);
    let response = initiator.expect(LOGOUT_RESPONSE);
    assert_eq!(response.header[2], 0);
    assert_eq!((response.half(40), response.half(42)), (2, 20));
}

impl Initiator {
    fn reassign(&mut self, tag: u32, exp_data_sn: u32) -> u8 {
        let itt = self.itt();
        let mut pdu = header(TMF_REQUEST | IMMEDIATE, FINAL | TASK_REASSIGN, itt);
        put(&mut pdu, 20, tag);
        put(&mut pdu, 36, exp_data_sn);
        self.send_request(pdu, &[]);
        let response = self.expect(TMF_RESPONSE);
        assert_eq!(response.itt(), itt);
        response.header[2]
    }
}

#[test]
fn a_write_goes_on_on_another_connection() {
    let (_server, mut one, mut two) = pair();
    let data = pattern(6, 2048);
    let itt = one.command(FINAL | WRITE | SIMPLE, 2048, write10(0, 4), &[]);
    let tag = one.expect_unnumbered(R2T).word(20);
    one.data_out(itt, tag, 0, 0, false, &data[..512]);
    one.expect_silence();
    two.cmd_sn = one.cmd_sn;
    break_off(one, &mut two);
    // Not before the connection has been logged out.
    assert_eq!(two.reassign(itt, 0), STILL_ALLEGIANT);
    recover(&mut two, 1);
    // The first R2T, number 0, had arrived; what came is not asked for again.
    assert_eq!(two.reassign(itt, 1), COMPLETE);
    let r2t = two.expect_unnumbered(R2T);
    assert_eq!((r2t.itt(), r2t.word(36)), (itt, 1));
    assert_eq!((r2t.word(40), r2t.word(44)), (512, 1536));
    two.data_out(itt, r2t.word(20), 0, 512, true, &data[512..]);
    let response = two.expect(SCSI_RESPONSE);
    assert_eq!((response.itt(), response.header[3]), (itt, 0));
    assert_eq!(two.read_blocks(0, 4), data);
}

#[test]
fn a_read_is_answered_again_from_where_it_was_acknowledged() {
    for (exp_data_sn, first) in [(0, 0), (2, 2), (9, 0)] {
        let (_server, mut one, mut two) = pair();
        one.write_blocks(0, &pattern(1, 2048));
        let (itt, sent) = read_four(&mut one);
        two.cmd_sn = one.cmd_sn;
        break_off(one, &mut two);
        recover(&mut two, 1);
        assert_eq!(two.reassign(itt, exp_data_sn), COMPLETE);
        let again = two.receive_read(itt);
        assert_eq!(again.len(), 4 - first, "ExpDataSN {exp_data_sn}");
        for (pdu, before) in again.iter().zip(&sent[first..]) {
            assert_eq!(pdu.header[..20], before.header[..20]);
            assert_eq!(pdu.header[36..], before.header[36..]);
            assert_eq!(pdu.data, before.data);
        }
        // The status has a number of the new connection.
        assert_eq!(again[3 - first].word(24), two.exp_stat_sn);
        two.exp_stat_sn += 1;
        two.expect_silence();
        assert_eq!(two.reassign(itt, 0), NO_SUCH_TASK);
    }
}

#[test]
fn a_read_whose_data_has_all_arrived_gets_its_status() {
    let (_server, mut one, mut two) = pair();
    let (itt, _) = read_four(&mut one);
    two.cmd_sn = one.cmd_sn;
    break_off(one, &mut two);
    recover(&mut two, 1);
    assert_eq!(two.reassign(itt, 4), COMPLETE);
    let response = two.expect(SCSI_RESPONSE);
    assert_eq!((response.itt(), response.header[3]), (itt, 0));
    assert_eq!(response.word(36), 4);
}

#[test]
fn data_is_cut_for_the_new_connection() {
    let (server, mut one) = ready(KeyPolicy::default(), &LEVEL_2);
    let mut two = server.join_with(&one, 2, &[("MaxRecvDataSegmentLength", "1024")]);
    let data = pattern(9, 2048);
    one.write_blocks(0, &data);
    let (itt, _) = read_four(&mut one);
    two.cmd_sn = one.cmd_sn;
    break_off(one, &mut two);
    recover(&mut two, 1);
    assert_eq!(two.reassign(itt, 1), COMPLETE);
    let again = two.receive_read(itt);
    let shape: Vec<_> = again
        .iter()
        .map(|pdu| (pdu.word(36), pdu.word(40), pdu.data.len()))
        .collect();
    assert_eq!(shape, [(1, 512, 1024), (2, 1536, 512)]);
    assert_eq!(again[0].data, data[512..1536]);
}

#[test]
fn what_was_too_much_to_keep_is_not_sent_again() {
    // 64 MiB are kept: eight times the whole disk of 8 MiB, read without an acknowledgment.
    let keys = [
        ("ErrorRecoveryLevel", "2"),
        ("MaxConnections", "2"),
        ("MaxRecvDataSegmentLength", "1048576"),
        ("MaxBurstLength", "1048576"),
    ];
    let (server, mut one) = ready(KeyPolicy::default(), &keys);
    let mut two = server.join_with(&one, 2, &keys[2..3]);
    let reads: Vec<u32> = (0..9)
        .map(|_| {
            let itt = one.command(FINAL | READ | SIMPLE, 8 << 20, read10(0, 16_384), &[]);
            assert_eq!(one.receive_read(itt).len(), 8);
            itt
        })
        .collect();
    one.snack(0, reads[7], NIL, (7, 1));
    assert_eq!(one.receive().word(36), 7);
    one.snack(0, reads[8], NIL, (7, 1));
    let reject = one.receive();
    assert_eq!((reject.opcode(), reject.header[2]), (REJECT, 0x03));
    two.cmd_sn = one.cmd_sn;
    break_off(one, &mut two);
    recover(&mut two, 1);
    assert_eq!(two.reassign(reads[8], 0), NO_SUCH_TASK);
    assert_eq!(two.reassign(reads[7], 0), COMPLETE);
    assert_eq!(two.receive_read(reads[7]).len(), 8);
    two.exp_stat_sn += 1;
    two.expect_silence();
}

#[test]
fn what_a_recovery_logout_acknowledges_is_not_kept() {
    let (_server, mut one, mut two) = pair();
    let (itt, _) = read_four(&mut one);
    let heard = one.exp_stat_sn + 1;
    two.cmd_sn = one.cmd_sn;
    break_off(one, &mut two);
    let mine = std::mem::replace(&mut two.exp_stat_sn, heard);
    two.log_out_now(RECOVER_CONNECTION, 1);
    two.exp_stat_sn = mine;
    assert_eq!(two.expect(LOGOUT_RESPONSE).header[2], 0);
    assert_eq!(two.reassign(itt, 0), NO_SUCH_TASK);
    // Logged out once is gone.
    two.log_out_now(RECOVER_CONNECTION, 1);
    assert_eq!(two.expect(LOGOUT_RESPONSE).header[2], 1);
}

#[test]
fn the_last_connection_may_be_lost_and_made_anew() {
    let (server, mut one) = ready(KeyPolicy::default(), &LEVEL_2);
    let itt = one.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    one.expect_unnumbered(R2T);
    let (tsih, cmd_sn, exp_stat_sn) = (one.tsih, one.cmd_sn, one.exp_stat_sn);
    drop(one);
    server.until("it is lost", |handle| {
        handle.sessions()[0].connections.is_empty()
    });
    // The same CID: an implicit logout for recovery.
    let mut again = server.connect();
    (again.tsih, again.cmd_sn, again.exp_stat_sn) = (tsih, cmd_sn, exp_stat_sn);
    again.log_in_as(&Initiator::further_names());
    assert_eq!(again.tsih, tsih);
    assert_eq!(again.reassign(itt, 1), COMPLETE);
    let r2t = again.expect_unnumbered(R2T);
    assert_eq!((r2t.word(36), r2t.word(40), r2t.word(44)), (1, 0, 512));
    again.data_out(itt, r2t.word(20), 0, 0, true, &[4; 512]);
    assert_eq!(again.expect(SCSI_RESPONSE).header[3], 0);
    // The session is the one it was: no unit attention.
    assert_eq!(again.read_blocks(0, 1), [4; 512]);
}

#[test]
fn a_connection_that_is_there_may_be_replaced_and_its_tasks_reassigned() {
    let (server, mut one) = ready(KeyPolicy::default(), &LEVEL_2);
    let itt = one.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    one.expect_unnumbered(R2T);
    let mut again = server.join(&one, 1);
    one.expect_closed();
    again.expect_silence();
    assert_eq!(again.reassign(itt, 0), COMPLETE);
    let r2t = again.expect_unnumbered(R2T);
    // The initiator has told of none: the numbers begin again.
    assert_eq!((r2t.word(36), r2t.word(40)), (0, 0));
    again.data_out(itt, r2t.word(20), 0, 0, true, &[4; 512]);
    assert_eq!(again.expect(SCSI_RESPONSE).header[3], 0);
}

#[test]
fn an_own_recovery_logout_suspends_the_tasks() {
    let (server, mut one) = ready(KeyPolicy::default(), &LEVEL_2);
    let itt = one.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    one.expect_unnumbered(R2T);
    one.log_out(RECOVER_CONNECTION, 1);
    let response = one.expect(LOGOUT_RESPONSE);
    assert_eq!(response.header[2], 0);
    assert_eq!((response.half(40), response.half(42)), (2, 20));
    one.expect_closed();
    let mut two = server.join(&one, 7);
    assert_eq!(two.reassign(itt, 1), COMPLETE);
    let r2t = two.expect_unnumbered(R2T);
    two.data_out(itt, r2t.word(20), 0, 0, true, &[4; 512]);
    assert_eq!(two.expect(SCSI_RESPONSE).header[3], 0);
    assert_eq!(server.handle.counters().reassignments, 1);
}

#[test]
fn a_place_is_free_as_soon_as_a_logout_is_answered() {
    let keys = [("ErrorRecoveryLevel", "2"), ("MaxConnections", "2")];
    let (server, mut one) = ready(KeyPolicy::default(), &keys);
    let mut two = server.join(&one, 2);
    for cid in 3..40 {
        two.log_out(RECOVER_CONNECTION, cid - 1);
        assert_eq!(two.expect(LOGOUT_RESPONSE).header[2], 0);
        one.cmd_sn = two.cmd_sn;
        two = server.join(&one, cid);
    }
    two.expect_silence();
}

#[test]
fn a_second_connection_may_clean_up_the_only_one() {
    let (server, one) = ready(KeyPolicy::default(), &[("ErrorRecoveryLevel", "2")]);
    let mut two = server.join(&one, 2);
    two.log_out_now(RECOVER_CONNECTION, 1);
    assert_eq!(two.expect(LOGOUT_RESPONSE).header[2], 0);
    assert_eq!(server.handle.sessions()[0].connections, [2]);
}

/// A medium that holds reads back until it is opened.
#[derive(Debug)]
struct Gate {
    medium: RamBackend,
    /// How many reads have come, and whether they may go on.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Gate {
    fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }

    fn reads(&self) -> usize {
        self.state.lock().unwrap().0
    }
}

impl Backend for Gate {
    fn size(&self) -> u64 {
        self.medium.size()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        drop(self.changed.wait_while(state, |state| !state.1).unwrap());
        self.medium.read(offset, buffer)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.medium.write(offset, data)
    }

    fn flush(&self, offset: u64, len: u64) -> io::Result<()> {
        self.medium.flush(offset, len)
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.medium.discard(offset, len)
    }

    fn extent(&self, offset: u64) -> io::Result<Extent> {
        self.medium.extent(offset)
    }

    fn is_volatile(&self) -> bool {
        false
    }
}

#[test]
fn a_command_that_is_being_carried_out_is_answered_where_it_is_at_home_by_then() {
    for early in [true, false] {
        let gate = Arc::new(Gate {
            medium: RamBackend::new(1 << 20).unwrap(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let target = TargetConfig::new(IQN).unwrap();
        let server = Server::with_target(target.lun(0, unit(Arc::<Gate>::clone(&gate))));
        let mut one = server.log_in(&LEVEL_2);
        one.hear_news();
        let mut two = server.join(&one, 2);
        let itt = one.command(FINAL | READ | SIMPLE, 1024, read10(0, 2), &[]);
        server.until("it is being carried out", |_| gate.reads() == 1);
        two.cmd_sn = one.cmd_sn;
        break_off(one, &mut two);
        recover(&mut two, 1);
        // The medium answers before the task has a new home, or after.
        if early {
            gate.open();
        }
        assert_eq!(two.reassign(itt, 0), COMPLETE);
        gate.open();
        let data: Vec<u8> = two
            .receive_read(itt)
            .into_iter()
            .flat_map(|pdu| pdu.data)
            .collect();
        assert_eq!(data, [0; 1024]);
        two.exp_stat_sn += 1;
        two.expect_silence();
    }
}

#[test]
fn what_cannot_be_reassigned_says_why() {
    let (server, mut one, mut two) = pair();
    server.handle.faults().set_black_hole(0, true);
    let itt = one.command(FINAL | READ | SIMPLE, 512, read10(0, 1), &[]);
    one.expect_silence();
    two.cmd_sn = one.cmd_sn;
    assert_eq!(two.reassign(itt, 0), STILL_ALLEGIANT);
    assert_eq!(one.reassign(itt, 0), STILL_ALLEGIANT);
    assert_eq!(two.reassign(0x7777, 0), NO_SUCH_TASK);
    // It must be immediate.
    let tmf = two.itt();
    let mut pdu = header(TMF_REQUEST, FINAL | TASK_REASSIGN, tmf);
    put(&mut pdu, 20, itt);
    two.send_request(pdu, &[]);
    assert_eq!(two.expect(TMF_RESPONSE).header[2], REJECTED);
    // Not below level 2.
    let (_server, mut low) = ready(KeyPolicy::default(), &[("ErrorRecoveryLevel", "1")]);
    let write = low.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    low.expect_unnumbered(R2T);
    assert_eq!(low.reassign(write, 0), NO_REASSIGNMENT);
    low.log_out(RECOVER_CONNECTION, 1);
    assert_eq!(low.expect(LOGOUT_RESPONSE).header[2], 2);
}

#[test]
fn what_waited_for_its_turn_is_to_be_sent_again() {
    let (_server, mut one, mut two) = pair();
    let first = one.command_header(FINAL | READ | SIMPLE, 512, read10(0, 1));
    let early = one.command_header(FINAL | READ | SIMPLE, 512, read10(1, 1));
    one.send(early, &[]);
    one.expect_silence();
    two.cmd_sn = one.cmd_sn;
    break_off(one, &mut two);
    recover(&mut two, 1);
    // Never acknowledged: nothing to reassign, but to send again under the same numbers.
    let tag = u32::from_be_bytes(early[16..20].try_into().unwrap());
    assert_eq!(two.reassign(tag, 0), NO_SUCH_TASK);
    for pdu in [first, early] {
        two.send(two.numbered_again(pdu), &[]);
        assert_eq!(two.expect(DATA_IN).itt(), {
            u32::from_be_bytes(pdu[16..20].try_into().unwrap())
        });
    }
    two.expect_silence();
}

#[test]
fn immediate_commands_do_not_outlive_their_connection() {
    let (server, mut one, mut two) = pair();
    server.handle.faults().set_black_hole(0, true);
    let itt = one.command_now(FINAL | READ | SIMPLE, 512, read10(0, 1));
    one.expect_silence();
    break_off(one, &mut two);
    recover(&mut two, 1);
    assert_eq!(two.reassign(itt, 0), NO_SUCH_TASK);
}

#[test]
fn abort_task_ends_what_a_lost_connection_left() {
    let (_server, mut one, mut two) = pair();
    let write = one.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    let number = one.cmd_sn - 1;
    one.expect_unnumbered(R2T);
    let (read, sent) = read_four(&mut one);
    two.cmd_sn = one.cmd_sn;
    break_off(one, &mut two);
    recover(&mut two, 1);
    assert_eq!(two.manage(ABORT_TASK, 0, write, number), COMPLETE);
    // What was answered already is answered again first.
    two.send_function(ABORT_TASK, 0, read, number + 1);
    let again = two.receive_read(read);
    assert_eq!(again.len(), sent.len());
    two.exp_stat_sn += 1;
    assert_eq!(two.expect(TMF_RESPONSE).header[2], COMPLETE);
    two.expect_silence();
}

#[test]
fn tasks_that_nobody_takes_end_in_time() {
    let policy = KeyPolicy {
        time2wait: 0,
        time2retain: 1,
        ..KeyPolicy::default()
    };
    let mut keys = LEVEL_2.to_vec();
    keys.extend([("DefaultTime2Wait", "0"), ("DefaultTime2Retain", "1")]);
    let (server, mut one) = ready(policy, &keys);
    let mut two = server.join(&one, 2);
    let itt = one.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    one.expect_unnumbered(R2T);
    two.cmd_sn = one.cmd_sn;
    drop(one);
    let event = two.expect(ASYNC);
    assert_eq!((event.half(40), event.half(42)), (0, 1));
    while two.reassign(itt, 0) == STILL_ALLEGIANT {}
    // 47/7F: some commands cleared by iSCSI protocol event.
    two.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    assert_eq!(two.expect(SCSI_RESPONSE).sense(), (0x06, 0x47, 0x7f));
    assert_eq!(two.reassign(itt, 0), NO_SUCH_TASK);
    // The session ends with its last connection, as late.
    let (tsih, isid) = (two.tsih, two.isid);
    drop(two);
    server.until("the session is gone", |handle| handle.sessions().is_empty());
    let mut late = server.connect();
    (late.tsih, late.isid) = (tsih, isid);
    let response = late.login_step(0x87, &Initiator::further_names());
    assert_eq!(response.login_status(), 0x020a);
}

#[test]
fn nothing_is_kept_that_may_not_be() {
    let policy = KeyPolicy {
        time2retain: 0,
        ..KeyPolicy::default()
    };
    let mut keys = LEVEL_2.to_vec();
    keys.push(("DefaultTime2Retain", "0"));
    let (server, mut one) = ready(policy, &keys);
    let mut two = server.join(&one, 2);
    one.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    one.expect_unnumbered(R2T);
    two.cmd_sn = one.cmd_sn;
    drop(one);
    assert_eq!(two.expect(ASYNC).half(42), 0);
    two.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    assert_eq!(two.expect(SCSI_RESPONSE).sense(), (0x06, 0x47, 0x7f));
    drop(two);
    server.until("the session is gone", |handle| handle.sessions().is_empty());
}

#[test]
fn at_level_1_a_lost_connection_is_logged_out_and_its_tasks_end() {
    let keys = [("ErrorRecoveryLevel", "1"), ("MaxConnections", "2")];
    let (server, mut one) = ready(KeyPolicy::default(), &keys);
    let mut two = server.join(&one, 2);
    let itt = one.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    one.expect_unnumbered(R2T);
    two.cmd_sn = one.cmd_sn;
    break_off(one, &mut two);
    two.log_out_now(CLOSE_CONNECTION, 1);
    assert_eq!(two.expect(LOGOUT_RESPONSE).header[2], 0);
    two.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    assert_eq!(two.expect(SCSI_RESPONSE).sense(), (0x06, 0x47, 0x7f));
    assert_eq!(two.reassign(itt, 0), NO_REASSIGNMENT);
    assert_eq!(two.read_blocks(0, 1), [0; 512]);
}
