//! Numbers: CmdSN and its window, StatSN, DataSN; immediate delivery; pings.

use std::time::Duration;

use hawser_engine::{LunNumber, TmfFunction};
use hawser_testkit::scripted::Pdu;
use hawser_testkit::scripted::wire::{
    DATA_OUT, GOOD, LOGICAL_UNIT_RESET, LOGIN_REQUEST, NO_TAG, NOP_OUT, SCSI_COMMAND,
    TASK_MANAGEMENT_REQUEST,
};

use super::support::{Rig, answered, assert_good, pattern};

#[tokio::test]
async fn ffp_1_1() {
    let mut rig = Rig::up(&[]).await;
    let first = rig.peer.transcript().of(LOGIN_REQUEST)[0].cmd_sn();
    for place in 0..5 {
        let asked = rig.test_unit_ready();
        let command = rig.peer.expect(SCSI_COMMAND).await;
        assert!(!command.is_immediate());
        assert_eq!(command.cmd_sn(), first.wrapping_add(place));
        rig.peer.respond(&command, GOOD).await;
        assert_good(&answered(asked).await);
    }
    rig.log_out().await;
}

#[tokio::test]
async fn ffp_2_1() {
    let ping_soon = |options: &mut hawser_engine::SessionOptions| {
        options.timeouts.ping_interval = Duration::from_millis(50);
    };
    let mut rig = Rig::with(ping_soon, &[]).await;
    let ping = rig.peer.expect(NOP_OUT).await;
    assert!(ping.is_immediate() && ping.itt() != NO_TAG, "{ping:?}");
    assert_eq!(ping.cmd_sn(), rig.peer.next_cmd_sn());
    rig.peer.send(Pdu::pong(&ping)).await;
    let asked = rig.test_unit_ready();
    let command = rig.peer.skip_to(SCSI_COMMAND).await;
    assert_eq!(
        command.cmd_sn(),
        ping.cmd_sn(),
        "the number is used by the command after it"
    );
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
}

#[tokio::test]
async fn ffp_2_2() {
    let mut rig = Rig::up(&[]).await;
    let never = rig.read(512);
    let read = rig.peer.expect(SCSI_COMMAND).await;
    let managed = rig.manage(TmfFunction::LogicalUnitReset, LunNumber::ZERO);
    let request = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    assert!(request.is_immediate());
    assert_eq!(request.cmd_sn(), read.cmd_sn().wrapping_add(1));
    let asked = rig.test_unit_ready();
    let command = rig.peer.expect(SCSI_COMMAND).await;
    assert_eq!(command.cmd_sn(), request.cmd_sn());
    rig.peer
        .send(Pdu::task_management_response(&request, 0))
        .await;
    rig.peer.respond(&command, GOOD).await;
    assert_eq!(answered(managed).await, 0);
    assert_good(&answered(asked).await);
    assert!(
        super::support::ended(never).await.is_err(),
        "the reset ended it"
    );
}

#[tokio::test]
async fn ffp_3_1() {
    let mut rig = Rig::prepared(|_| {}, |peer| peer.grant(1), &[]).await;
    let last = rig.peer.next_cmd_sn();
    rig.peer.fix_max_cmd_sn(last);
    let (first, second) = (rig.test_unit_ready(), rig.test_unit_ready());
    let command = rig.peer.expect(SCSI_COMMAND).await;
    // ExpCmdSN has caught up with MaxCmdSN: the window is closed by this.
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(first).await);
    rig.peer.quiet().await;
    rig.peer.grant(8);
    rig.peer.send(Pdu::nop_in(NO_TAG, [0; 8])).await;
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(second).await);
}

/// A MaxCmdSN that would take back what was granted is ignored (§4.2.2.1).
#[tokio::test]
async fn ffp_3_1_a_window_is_not_taken_back() {
    let mut rig = Rig::prepared(|_| {}, |peer| peer.grant(2), &[]).await;
    let next = rig.peer.next_cmd_sn();
    rig.peer.fix_max_cmd_sn(next.wrapping_sub(1));
    rig.peer.send(Pdu::nop_in(NO_TAG, [0; 8])).await;
    rig.peer.grant(2);
    let asked = rig.test_unit_ready();
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
}

#[tokio::test]
async fn ffp_3_2() {
    let mut rig = Rig::prepared(|_| {}, |peer| peer.grant(100), &[]).await;
    let asked: Vec<_> = (0..100).map(|_| rig.test_unit_ready()).collect();
    let mut commands = Vec::new();
    for _ in 0..100 {
        commands.push(rig.peer.expect(SCSI_COMMAND).await);
    }
    for command in &commands {
        rig.peer.respond(command, GOOD).await;
    }
    for asked in asked {
        assert_good(&answered(asked).await);
    }
}

#[tokio::test]
async fn ffp_3_3() {
    let mut rig = Rig::prepared(|_| {}, |peer| peer.grant(1), &[]).await;
    let mut asked: Vec<_> = (0..4).map(|_| rig.test_unit_ready()).collect();
    for asked in asked.drain(..2) {
        let next = rig.peer.next_cmd_sn();
        rig.peer.fix_max_cmd_sn(next);
        rig.peer.send(Pdu::nop_in(NO_TAG, [0; 8])).await;
        let command = rig.peer.expect(SCSI_COMMAND).await;
        rig.peer.quiet().await;
        rig.peer.respond(&command, GOOD).await;
        assert_good(&answered(asked).await);
    }
    rig.peer.grant(8);
    rig.peer.send(Pdu::nop_in(NO_TAG, [0; 8])).await;
    let both = [
        rig.peer.expect(SCSI_COMMAND).await,
        rig.peer.expect(SCSI_COMMAND).await,
    ];
    for command in &both {
        rig.peer.respond(command, GOOD).await;
    }
    for asked in asked {
        assert_good(&answered(asked).await);
    }
}

#[tokio::test]
async fn ffp_5_1() {
    let mut rig = Rig::up(&[]).await;
    let asked = rig.test_unit_ready();
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.skip_stat_sn(1 << 31);
    rig.peer.respond(&command, GOOD).await;
    assert!(super::support::ended(asked).await.is_err());
    rig.recovers("StatSN").await;
}

#[tokio::test]
async fn ffp_6_1() {
    let answers = [
        ("InitialR2T", "Yes"),
        ("ImmediateData", "No"),
        ("MaxRecvDataSegmentLength", "512"),
        ("MaxBurstLength", "2048"),
        ("FirstBurstLength", "2048"),
    ];
    let mut rig = Rig::up(&answers).await;
    let data = pattern(4096);
    for _ in 0..2 {
        let asked = rig.write(&data);
        let command = rig.peer.expect(SCSI_COMMAND).await;
        assert_eq!(rig.peer.take_write(&command).await, data);
        rig.peer.respond(&command, GOOD).await;
        assert_good(&answered(asked).await);
    }
    let numbers: Vec<u32> = rig
        .peer
        .transcript()
        .of(DATA_OUT)
        .iter()
        .map(Pdu::data_sn)
        .collect();
    assert_eq!(
        numbers,
        [0, 1, 2, 3].repeat(4),
        "two R2Ts in each of two commands"
    );
}

#[tokio::test]
async fn ffp_15_1() {
    let mut rig = Rig::up(&[]).await;
    let (ttt, lun) = (0x0102_0304, [0, 9, 0, 0, 0, 0, 0, 0]);
    let current = rig.peer.next_cmd_sn();
    rig.peer.send(Pdu::nop_in(ttt, lun)).await;
    let answer = rig.peer.expect(NOP_OUT).await;
    assert_eq!(
        (answer.ttt(), answer.lun(), answer.itt()),
        (ttt, lun, NO_TAG)
    );
    assert!(answer.is_immediate());
    assert_eq!((answer.data_length(), answer.cmd_sn()), (0, current));
    assert_eq!(answer.exp_stat_sn(), rig.peer.next_stat_sn());
    rig.works().await;
}

#[tokio::test]
async fn ffp_15_2() {
    let ping_soon = |options: &mut hawser_engine::SessionOptions| {
        options.timeouts.ping_interval = Duration::from_millis(50);
        options.timeouts.ping_timeout = Duration::from_secs(3);
    };
    let mut rig = Rig::with(ping_soon, &[]).await;
    for _ in 0..2 {
        let current = rig.peer.next_cmd_sn();
        let ping = rig.peer.expect(NOP_OUT).await;
        assert_eq!((ping.ttt(), ping.lun()), (NO_TAG, [0; 8]));
        assert!(ping.itt() != NO_TAG && ping.is_immediate());
        assert_eq!((ping.cmd_sn(), rig.peer.next_cmd_sn()), (current, current));
        rig.peer.send(Pdu::pong(&ping)).await;
    }
}

/// The code of a function is what the RFC says, whoever asks for it.
#[tokio::test]
async fn ffp_19_1() {
    let mut rig = Rig::up(&[]).await;
    let managed = rig.manage(TmfFunction::LogicalUnitReset, LunNumber::ZERO);
    let request = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    assert_eq!(
        (request.code(), request.is_immediate()),
        (LOGICAL_UNIT_RESET, true)
    );
    rig.peer
        .send(Pdu::task_management_response(&request, 0))
        .await;
    assert_eq!(answered(managed).await, 0);
    let asked = rig.test_unit_ready();
    let command = rig.peer.expect(SCSI_COMMAND).await;
    assert_eq!(command.cmd_sn(), request.cmd_sn());
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
}
